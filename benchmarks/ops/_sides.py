"""The same function here and there, forward alone and with backward, on the same numbers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

import numpy as np

import autograd_core as ag
from benchmarks.rows import Row

HAS_TORCH = importlib.util.find_spec("torch") is not None


def both(group: str, size: str, arrays: list, ours: Callable, theirs: Callable, wanted: int = 1) -> Iterator[Row]:
    """Rows of a function of arrays, of which the first so many are differentiated."""
    count = sum(a.size for a in arrays[:1]) * arrays[0].itemsize
    mine, other = _sides(arrays, ours, wanted, "ours"), (None, None)
    if HAS_TORCH:
        other = _sides(arrays, theirs, wanted, "theirs")
    yield Row(group, f"{group} forward", size, mine[0], other[0], bytes=2 * count)
    yield Row(group, f"{group} forward+backward", size, mine[1], other[1], bytes=5 * count)


def _sides(arrays: list, f: Callable, wanted: int, side: str) -> tuple[Callable, Callable]:
    """Forward without recording, and a step forward and back."""
    if side == "ours":
        no_grad, tensor = ag.no_grad, lambda a, grad: ag.tensor(a, requires_grad=grad)
    else:
        import torch

        no_grad, tensor = torch.no_grad, lambda a, grad: torch.tensor(a, requires_grad=grad)
    still = [tensor(a, False) for a in arrays]
    leaves = [tensor(a, k < wanted) for k, a in enumerate(arrays)]
    seed = tensor(np.random.default_rng(1).standard_normal(tuple(f(*still).shape)).astype("f"), False)

    def forward() -> object:
        with no_grad():
            return f(*still)

    def step() -> None:
        for leaf in leaves[:wanted]:
            leaf.grad = None
        f(*leaves).backward(seed)

    return forward, step


def functional() -> object:
    """torch.nn.functional, or None."""
    return importlib.import_module("torch.nn.functional") if HAS_TORCH else None


SHAPES = [(10, 10), (10, 100), (100, 100), (100, 1000), (1000, 1000), (10_000, 1000)]
LABELS = dict(zip(SHAPES, ("1e2", "1e3", "1e4", "1e5", "1e6", "1e7")))


def normal(*shape: int) -> np.ndarray:
    """Normal numbers in float32."""
    return np.random.default_rng(0).standard_normal(shape).astype("f")
