"""Digits drawn by a network that learns to deceive another one."""

import autograd_core as ag
import nn
import optim
from nn import plot
from nn.data import MNIST, ConcatDataset, DataLoader
from nn.train import fit

ROWS, DATA, EPOCHS = "H-35", "MNIST, all 70,000", 6
PRINTED = "after 100 epochs: discriminator 0.76 to 1.02, generator 1.12 to 2.01"


def dense(sizes, last):
    """Leaky layers; weights of deviation 0.02."""
    layers = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.LeakyReLU(0.2)]
        nn.init.normal_(layers[-2].weight, std=0.02)
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1], *last)


def players(settings, generator, discriminator, side, data):
    """Train both: two steps of the generator for each of the discriminator."""
    pair = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
    ours, theirs = (optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in pair.values())
    truth = nn.functional.binary_cross_entropy_with_logits
    noise = lambda n: ag.rand(n, 100) * 2 - 1

    def step(images, _):
        n = len(images)
        real = discriminator(side(images))
        false = discriminator(generator(noise(n)).detach())
        theirs.zero_grad()
        judged = truth(real, ag.ones_like(real)) + truth(false, ag.zeros_like(false))
        judged.backward()
        theirs.step()
        for _ in range(2):
            ours.zero_grad()
            answer = discriminator(generator(noise(n)))
            deceived = truth(answer, ag.ones_like(answer))
            deceived.backward()
            ours.step()
        return {"discriminator": judged, "generator": deceived}

    fixed = noise(40)
    history = fit(pair, data, optimizer=[ours, theirs], step=step, **settings.fit)
    with ag.no_grad():
        drawn = generator.eval()(fixed).reshape(40, -1, *side(ag.zeros(1, 1, 28, 28)).shape[-2:])
    settings.picture("curves", plot.curves, history)
    settings.picture("digits", plot.images, drawn, columns=10)
    return {name: history[name][-1] for name in ("discriminator", "generator")}


def digits(settings):
    """All images, to train with and to test with."""
    both = ConcatDataset([MNIST(settings.data, train) for train in (True, False)])
    return DataLoader(settings.some(both), 64, shuffle=True, drop_last=True)


def main(settings):
    generator = dense([100, 256, 512, 1024, 784], [nn.Tanh(), nn.Unflatten(1, (1, 28, 28))])
    discriminator = nn.Sequential(nn.Flatten(), *dense([784, 1024, 512, 256, 1], []))
    return players(settings, generator, discriminator, lambda x: x * 2 - 1, digits(settings))
