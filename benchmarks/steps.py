"""Whole training steps: forward, loss, backward, optimizer; run as they are, and compiled; beside PyTorch's, eager.

The same code makes either side: `lib` is the pair of modules (tensors and functions; layers) that it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np

import autograd_core as ag
import nn
import optim

from . import optimizers
from .rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

OURS = SimpleNamespace(nn=nn, optim=optim, tensor=ag.tensor)
THEIRS = torch and SimpleNamespace(nn=torch.nn, optim=torch.optim, tensor=torch.tensor)


def perceptron(lib: SimpleNamespace, *sizes: int) -> object:
    """Linear layers with ReLU between them."""
    pairs = [(lib.nn.Linear(a, b), lib.nn.ReLU()) for a, b in zip(sizes, sizes[1:])]
    return lib.nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])


def lenet(lib: SimpleNamespace) -> object:
    """LeNet-5 with ReLU and largest entries."""
    n = lib.nn
    return n.Sequential(
        n.Conv2d(1, 6, 5, padding=2), n.ReLU(), n.MaxPool2d(2), n.Conv2d(6, 16, 5), n.ReLU(), n.MaxPool2d(2),
        n.Flatten(), n.Linear(400, 120), n.ReLU(), n.Linear(120, 84), n.ReLU(), n.Linear(84, 10),
    )  # fmt: skip


def vgg(lib: SimpleNamespace) -> object:
    """Six convolutions with batch norm, as for CIFAR."""
    n, layers, channels = lib.nn, [], 3
    for width in (32, 64, 128):
        for _ in range(2):
            layers += [n.Conv2d(channels, width, 3, padding=1), n.BatchNorm2d(width), n.ReLU()]
            channels = width
        layers.append(n.MaxPool2d(2))
    return n.Sequential(*layers, n.Flatten(), n.Linear(128 * 16, 10))


def rows_of_images(lib: SimpleNamespace) -> object:
    """An LSTM over the rows of an image, and a linear layer on its last state."""

    class Model(lib.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.last = lib.nn.LSTM(28, 128, batch_first=True), lib.nn.Linear(128, 10)

        def forward(self, x: object) -> object:
            return self.last(self.rnn(x)[0][:, -1])

    return Model()


MODELS: dict[str, tuple[Callable, tuple[int, ...], int]] = {
    "MLP 2-8-2, 1": (lambda lib: perceptron(lib, 2, 8, 2), (1, 2), 2),
    "MLP 64-64-64-10, 32": (lambda lib: perceptron(lib, 64, 64, 64, 10), (32, 64), 10),
    "MLP 784-128-10, 64": (lambda lib: perceptron(lib, 784, 128, 10), (64, 784), 10),
    "MLP 784-512-256-10, 128": (lambda lib: perceptron(lib, 784, 512, 256, 10), (128, 784), 10),
    "MLP 784-1024-1024-10, 256": (lambda lib: perceptron(lib, 784, 1024, 1024, 10), (256, 784), 10),
    "LeNet-5, 64": (lenet, (64, 1, 28, 28), 10),
    "six convolutions, 64": (vgg, (64, 3, 32, 32), 10),
    "LSTM 28-128, 128": (rows_of_images, (128, 28, 28), 10),
}


def step(lib: SimpleNamespace, make: Callable, shape: tuple[int, ...], classes: int) -> tuple[Callable, tuple]:
    """One step of training a model by Adam, and what it is called on."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape).astype(np.float32), rng.integers(0, classes, shape[0])
    model = make(lib)
    optimizer = lib.optim.Adam(model.parameters())
    loss_of = lib.nn.functional.cross_entropy

    def run(x: object, y: object) -> object:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return run, (lib.tensor(x), lib.tensor(y))


def rows() -> Iterator[Row]:
    """A step of each model, eager and compiled; what a row needs is made when it is first called."""
    for name, model in MODELS.items():
        for way in ("eager", "compiled"):
            yield Row(
                "training step", name, way, Side(OURS, model, way), Side(THEIRS, model, "eager") if THEIRS else None
            )
    yield from optimizers.rows()


class Side:
    """A step that is made, and run often enough to have been captured, when it is first wanted."""

    def __init__(self, lib: SimpleNamespace, model: tuple, way: str):
        self.lib, self.model, self.way, self.run = lib, model, way, None

    def __call__(self) -> object:
        if self.run is None:
            self.run, self.given = step(self.lib, *self.model)
            self.run = ag.compile(self.run) if self.way == "compiled" else self.run
            for _ in range(3):
                self.run(*self.given)
        return self.run(*self.given)
