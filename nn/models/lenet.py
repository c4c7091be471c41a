"""LeNet-5, as in "Gradient-based learning applied to document recognition", and as it is mostly written today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core import Tensor, cat, empty, full, zeros

from .. import functional as F
from .. import init
from ..activations import ReLU
from ..containers import Sequential
from ..convolution import Conv2d
from ..distance import RadialBasis
from ..linear import Linear
from ..module import Module
from ..parameter import Parameter
from ..pooling import MaxPool2d
from ..shape import Flatten

# Which maps of S2 each map of C3 sees: three in a row, four in a row, four with a gap, all.
CONNECTIONS = (
    *((k, (k + 1) % 6, (k + 2) % 6) for k in range(6)),
    *((k, (k + 1) % 6, (k + 2) % 6, (k + 3) % 6) for k in range(6)),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# What the 84 units of F6 should show: the digits, from a font for all of ASCII, as 12 rows of 7 pixels.
DIGITS = """
.#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
.##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. #....## ..####. .##..## ##..... ######. ...##.. .#####. ##..###
##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
"""


def prototypes() -> np.ndarray:
    """The bitmaps of the digits, (10, 84), ink 1 and paper -1."""
    rows = [line.split() for line in DIGITS.split("\n") if line]
    return np.array([[1.0 if c == "#" else -1.0 for row in rows for c in row[digit]] for digit in range(10)])


def squash(x: Tensor) -> Tensor:
    """1.7159 tanh(2x/3), which is 1 at 1, -1 at -1, and bends most there."""
    return F.tanh(x * (2 / 3)) * 1.7159


def narrow(fan_in: int, *parameters: Any) -> None:
    """Draw parameters between -2.4 and 2.4 over the number of inputs of a unit."""
    for p in parameters:
        init.uniform_(p, -2.4 / fan_in, 2.4 / fan_in)


class Subsampling(Module):
    """The sum of each 2x2 pixels times a coefficient of the map, plus a bias."""

    def __init__(self, channels: int):
        self.weight, self.bias = Parameter(empty(channels, 1, 1)), Parameter(empty(channels, 1, 1))
        narrow(4, self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / 2, W / 2)."""
        return F.avg_pool2d(x, 2, divisor_override=1) * self.weight + self.bias


class PartialConv2d(Module):
    """A convolution whose output maps see only the input maps that `connections` lists for each; it has no other weights."""

    def __init__(self, in_channels: int, connections: Sequence[Sequence[int]], kernel_size: int):
        if any(not 0 <= c < in_channels for seen in connections for c in seen):
            raise ValueError(f"PartialConv2d: connections must be maps from 0 to {in_channels - 1}, got {connections}")
        count = sum(map(len, connections))
        self.weight = Parameter(empty(count, kernel_size, kernel_size))
        self.bias = Parameter(empty(len(connections)))
        self.places = np.full((len(connections), in_channels), count)  # the kernel of a pair, or the zeros after all
        pairs = [(out, c) for out, seen in enumerate(connections) for c in seen]
        self.places[tuple(zip(*pairs))] = range(count)
        ends = np.cumsum([len(seen) for seen in connections])
        for out, (seen, end) in enumerate(zip(connections, ends)):
            narrow(
                len(seen) * kernel_size**2,
                self.weight.detach()[end - len(seen) : end],
                self.bias.detach()[out : out + 1],
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, maps, H - kernel_size + 1, W - kernel_size + 1)."""
        kernels = cat([self.weight, zeros(1, *self.weight.shape[1:], dtype=self.weight.dtype)])
        return F.conv2d(x, kernels[self.places], self.bias)


class LeNet5(Module):
    """The network of 1998: trained subsampling, maps that see some maps, and distances to drawings of the digits.

    What comes out are penalties: predict `argmin(1)`, take `softmin(1)` for probabilities, and train with `map_loss`.
    Images are 32x32, white -0.1 and black 1.175.
    """

    def __init__(self) -> None:
        self.c1 = Conv2d(1, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = PartialConv2d(6, CONNECTIONS, 5)
        self.s4 = Subsampling(16)
        self.c5 = Conv2d(16, 120, 5)
        self.f6 = Linear(120, 84)
        self.output = RadialBasis(prototypes())
        for layer, fan_in in ((self.c1, 25), (self.c5, 400), (self.f6, 120)):
            narrow(fan_in, layer.weight, layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 1, 32, 32) to the penalty of each digit (N, 10)."""
        if tuple(x.shape[1:]) != (1, 32, 32):
            raise ValueError(
                f"LeNet5: images must be (N, 1, 32, 32), got {tuple(x.shape)}; F.pad(x, (2, 2, 2, 2), value=-0.1) "
                "makes them of 28x28"
            )
        x = squash(self.s2(squash(self.c1(x))))
        x = squash(self.s4(squash(self.c3(x))))
        x = squash(self.c5(x)).flatten(1)
        return self.output(squash(self.f6(x)))


def map_loss(penalties: Tensor, target: Tensor, j: float = 0.1) -> Tensor:
    """The mean of y_right + log(e^-j + sum e^-y): right classes get nearer, and wrong ones go away while they are near.

    The constant j, of a class for what is no digit, keeps those from being pushed that are further away than it already.
    """
    right = penalties.gather(1, target.unsqueeze(1)).squeeze(1)
    rubbish = full((penalties.shape[0], 1), -j, dtype=penalties.dtype)
    return (right + cat([-penalties, rubbish], 1).logsumexp(1)).mean()


def modern_lenet5(num_classes: int = 10) -> Sequential:
    """The same sizes with rectifiers, maxima, maps that see all, and scores of classes for cross entropy."""
    return Sequential(
        Conv2d(1, 6, 5), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
        Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, num_classes),
    )  # fmt: skip
