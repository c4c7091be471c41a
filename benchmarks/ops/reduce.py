"""Reductions of float32 arrays of 1e2 to 1e7 entries: over all of them, the last axis, the first axis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

SIZES = [10**k for k in range(2, 8)]
NAMES = ["sum", "mean", "var", "amax", "argmax", "norm", "prod"]
DIMS = {"all": None, "last": -1, "first": 0}


@functools.cache
def data(size: int, flat: bool) -> np.ndarray:
    """Normal numbers: a vector, or a matrix of about as many rows as columns."""
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    return x if flat else x.reshape(-1, 10 ** ((len(str(size)) - 1) // 2))


def reduction(module: Any, name: str, x: Any, dim: int | None) -> Callable:
    """One call of a reduction."""
    f = getattr(module, name)
    if name == "norm":
        return lambda: f(x, 2, dim) if dim is not None else f(x)
    return (lambda: f(x, dim)) if dim is not None else (lambda: f(x))


def backward(module: Any, name: str, x: Any, dim: int | None) -> Callable:
    """A reduction, and the gradient of its sum."""
    forward, leaf = reduction(module, name, x, dim), x

    def run() -> Any:
        leaf.grad = None
        y = forward()
        y.backward(None if dim is None else ones)

    y = forward()
    ones = module.ones_like(y.detach())
    return run


def rows() -> Iterator[Row]:
    """Every reduction in every direction, then some of them with their gradients."""
    for name in NAMES:
        for where, dim in DIMS.items():
            for size in SIZES:
                if name == "prod" and (where != "all" or size > 10**6):
                    continue
                x = data(size, dim is None)
                ours = reduction(ag, name, ag.tensor(x), dim)
                theirs = torch and reduction(torch, name, torch.from_numpy(x), dim)
                yield Row("reductions", f"{name} {where}", f"{size:.0e}", ours, theirs, bytes=x.nbytes)
    for name in ("sum", "mean", "var", "amax", "norm"):
        for where, dim in DIMS.items():
            for size in SIZES:
                x = data(size, dim is None)
                ours = backward(ag, name, ag.tensor(x).requires_grad_(), dim)
                theirs = torch and backward(torch, name, torch.tensor(x).requires_grad_(), dim)
                yield Row("reductions with gradient", f"{name} {where}", f"{size:.0e}", ours, theirs)
