"""Noise taken out of MNIST digits by a convolutional autoencoder, once for each kind of noise."""

import autograd_core as ag
import nn
import optim
from nn import plot
from nn.data import MNIST, DataLoader
from nn.metrics import mse
from nn.train import fit

ROWS, DATA, EPOCHS = "S80", "MNIST, scaled to 32 x 32", 10
PRINTED = "pictures before and after, no number"

NOISES = {
    "gaussian": lambda x: x + 0.1**0.5 * ag.randn_like(x),
    "salt and pepper": lambda x: ag.where((u := ag.rand_like(x)) < 0.025, 0.0, ag.where(u > 0.975, 1.0, x)),
}


def autoencoder():
    """Down to 2 x 2 in three strides, and up again."""
    down = lambda i, o, s: [nn.Conv2d(i, o, 5, stride=s, padding=2), nn.ReLU()]
    up = lambda i, o, s: nn.ConvTranspose2d(i, o, 5, stride=s, padding=2, output_padding=s - 1)
    return nn.Sequential(
        *down(1, 32, 2), *down(32, 16, 2), *down(16, 8, 4),
        up(8, 16, 4), nn.ReLU(), up(16, 32, 2), nn.ReLU(), up(32, 1, 2), nn.Tanh(),
    )  # fmt: skip


def larger(x):
    return nn.functional.interpolate(x, size=(32, 32), mode="bilinear")


def trained(settings, data, name):
    """A model that has learnt to take out one kind of noise."""
    model = autoencoder()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(x, _):
        clean = larger(x)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(NOISES[name](clean)), clean)
        loss.backward()
        optimizer.step()
        return loss

    where = {"checkpoint": f"{settings.checkpoint}-{name}"} if settings.checkpoint else {}
    fit(model, data, optimizer=optimizer, step=step, **settings.fit | where)
    return model.eval()


def main(settings):
    train, test = (settings.some(MNIST(settings.data, train)) for train in (True, False))
    clean = larger(next(iter(DataLoader(test, 1000)))[0])
    result = {}
    for name, noise in NOISES.items():
        settings.begin()
        print(name)
        model = trained(settings, DataLoader(train, 1000, shuffle=True), name)
        noisy = noise(clean)
        with ag.no_grad():
            found = model(noisy)
        shown = ag.cat([clean[:8], noisy[:8].clamp(0, 1), found[:8].clamp(0, 1)])
        settings.picture(name.replace(" ", "-"), plot.images, shown, columns=8)
        result |= {f"{name}: squared error before": mse(noisy, clean), f"{name}: after": mse(found, clean)}
    return result
