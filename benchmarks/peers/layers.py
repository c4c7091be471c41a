"""Layers over any library with NumPy's functions, under PyTorch's names and with its parameters: models for JAX, autograd
and MyGrad are made of these, so that a model is written once.

A module's arrays are its attributes.  `read` takes them out under their paths, `write` puts others in, such as those that
a library differentiates by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .library import first_value


class Module:
    """What has arrays and modules as attributes."""

    trained: tuple[str, ...] = ("weight", "bias")  # the names of arrays that are parameters

    def __call__(self, *args: Any) -> Any:
        return self.forward(*args)  # type: ignore[attr-defined]

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all in it, with their paths."""
        yield prefix, self
        for name, value in vars(self).items():
            parts = enumerate(value) if isinstance(value, (list, tuple)) else [(name, value)]
            for label, part in parts:
                if isinstance(part, Module):
                    yield from part.modules(f"{prefix}{label}.")


def read(module: Module, trained: bool) -> dict[str, Any]:
    """The parameters, or the other arrays."""
    found = {}
    for prefix, part in module.modules():
        names = [name for name, value in vars(part).items() if hasattr(value, "shape")]
        found |= {prefix + name: getattr(part, name) for name in names if (name in part.trained) == trained}
    return found


def write(module: Module, arrays: dict[str, Any]) -> None:
    """Put arrays in their places."""
    for prefix, part in module.modules():
        for name in list(vars(part)):
            if prefix + name in arrays:
                setattr(part, name, arrays[prefix + name])


def load(module: Module) -> None:
    """Give the parameters their first values."""
    shapes = {name: value.shape for name, value in read(module, True).items()}
    write(module, {name: first_value(k, name, shape) for k, (name, shape) in enumerate(shapes.items())})


def zeros(*shape: int) -> np.ndarray:
    """A place for a parameter."""
    return np.zeros(shape, np.float32)


def functions(xp: Any) -> SimpleNamespace:
    """The functions that need no more than NumPy's."""

    def log_softmax(x: Any, dim: int = -1) -> Any:
        x = x - xp.max(x, dim, keepdims=True)
        return x - xp.log(xp.sum(xp.exp(x), dim, keepdims=True))

    def cross_entropy(x: Any, target: Any) -> Any:
        return -xp.mean(log_softmax(x)[np.arange(x.shape[0]), target])

    def binary_cross_entropy_with_logits(x: Any, y: Any) -> Any:
        return xp.mean(xp.maximum(x, 0) - x * y + xp.log(1 + xp.exp(-xp.abs(x))))

    def layer_norm(x: Any, shape: tuple, weight: Any, bias: Any, eps: float = 1e-5) -> Any:
        centred = x - xp.mean(x, -1, keepdims=True)
        return centred / xp.sqrt(xp.mean(centred * centred, -1, keepdims=True) + eps) * weight + bias

    return SimpleNamespace(
        relu=lambda x: xp.maximum(x, 0),
        log_softmax=log_softmax,
        cross_entropy=cross_entropy,
        mse_loss=lambda x, y: xp.mean((x - y) * (x - y)),
        binary_cross_entropy_with_logits=binary_cross_entropy_with_logits,
        layer_norm=layer_norm,
    )


def layers(xp: Any, F: Any) -> SimpleNamespace:
    """The layers that need no more than these functions."""

    class Linear(Module):
        def __init__(self, n: int, m: int):
            self.weight, self.bias = zeros(m, n), zeros(m)

        def forward(self, x: Any) -> Any:
            return xp.matmul(x, self.weight.T) + self.bias

    class Sequential(Module):
        def __init__(self, *parts: Callable):
            self.parts = parts

        def forward(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return x

    class Embedding(Module):
        def __init__(self, n: int, m: int, sparse: bool = False):
            self.weight = zeros(n, m)

        def forward(self, index: Any) -> Any:
            return self.weight[index]

    class LayerNorm(Module):
        def __init__(self, n: int):
            self.weight, self.bias = zeros(n), zeros(n)

        def forward(self, x: Any) -> Any:
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)

    return SimpleNamespace(
        Module=Module,
        ModuleList=list,
        Linear=Linear,
        Sequential=Sequential,
        Embedding=Embedding,
        LayerNorm=LayerNorm,
        ReLU=lambda: F.relu,
        Tanh=lambda: xp.tanh,
        Flatten=lambda: lambda x: xp.reshape(x, (x.shape[0], -1)),
    )


def adam(xp: Any, t: Any, p: Any, g: Any, m: Any, v: Any, lr: float) -> tuple[Any, Any, Any]:
    """A step of Adam with its usual settings."""
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * (g * g)
    slope = math.sqrt if isinstance(t, int) else xp.sqrt
    root = xp.sqrt(v) / slope(1 - 0.999**t) + 1e-8
    return p - lr / (1 - 0.9**t) * m / root, m, v
