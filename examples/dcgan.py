"""Digits drawn by a convolutional network that learns to deceive another one.

Both have half the book's channels: a quarter of the work, and the digits do not need more.
"""

import nn
from examples.gan import digits, players

ROWS, DATA, EPOCHS = "H-36", "MNIST, all 70,000, with a border of zeros", 1
PRINTED = "pictures, no number"


def main(settings):
    up = lambda i, o: nn.ConvTranspose2d(i, o, 5, stride=2, padding=2, output_padding=1)
    down = lambda i, o: nn.Conv2d(i, o, 5, stride=2, padding=2)
    leaky = lambda: nn.LeakyReLU(0.2)
    generator = nn.Sequential(
        nn.Linear(100, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4)),
        up(128, 64), nn.BatchNorm2d(64), nn.ReLU(), up(64, 32), nn.BatchNorm2d(32), nn.ReLU(), up(32, 1), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        down(1, 32), leaky(), down(32, 64), nn.BatchNorm2d(64), leaky(), down(64, 128), nn.BatchNorm2d(128), leaky(),
        nn.Flatten(), nn.Linear(2048, 1),
    )  # fmt: skip
    for layer in [*generator, *discriminator]:
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    bordered = lambda x: nn.functional.pad(x, (2, 2, 2, 2)) * 2 - 1
    return players(settings, generator, discriminator, bordered, digits(settings))
