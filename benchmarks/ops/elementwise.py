"""Elementwise functions and activations, at every size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import autograd_core as ag
from autograd_core.ops import activations
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None

SIZES = [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000]
UNARY = ["exp", "log", "tanh", "sigmoid", "relu", "erf", "sin"]
ACTIVATIONS = ["gelu", "silu", "softplus"]
BINARY = ["add", "mul", "div"]
TRAINED = ["tanh", "sigmoid", "relu", "gelu", "silu", "softplus"]


def ours(name: str):
    """Our function of a name."""
    return getattr(activations if name in ACTIVATIONS else ag, name)


def theirs(name: str):
    """PyTorch's function of a name."""
    return getattr(torch.nn.functional if name in ACTIVATIONS else torch, name)


def forward(f, *tensors):
    """A call."""
    return lambda: f(*tensors)


def both_ways(f, x, g):
    """A call and the gradient."""

    def step():
        x.grad = None
        f(x).backward(g)

    return step


def rows() -> Iterator[Row]:
    """One row for each function and size, and one for each activation with its gradient."""
    rng = np.random.default_rng(0)
    for n in SIZES:
        x, y = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
        x_log = np.abs(x) + np.float32(0.1)
        for name in [*UNARY, *ACTIVATIONS, *BINARY]:
            arrays = [x, y] if name in BINARY else [x_log if name == "log" else x]
            there = forward(theirs(name), *map(torch.from_numpy, arrays)) if torch else None
            size = 4.0 * n * (len(arrays) + 1)
            yield Row("elementwise", name, f"{n:.0e}", forward(ours(name), *map(ag.from_numpy, arrays)), there, size)
        for name in TRAINED:
            there = None
            if torch:
                there = both_ways(theirs(name), torch.from_numpy(x).clone().requires_grad_(), torch.from_numpy(y))
            t = ag.tensor(x, requires_grad=True)
            here = both_ways(ours(name), t, ag.from_numpy(y))
            yield Row("elementwise, gradients", f"{name}, forward and backward", f"{n:.0e}", here, there)
