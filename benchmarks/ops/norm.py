"""Layer, RMS, group and batch norm, with weight and bias."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.ops import normalization as here
from benchmarks.rows import Row

from ._sides import LABELS, SHAPES, both, functional, normal

IMAGES = {
    "1e2": (2, 4, 4, 3), "1e3": (4, 4, 8, 8), "1e4": (4, 16, 12, 13), "1e5": (8, 16, 28, 28), "1e6": (16, 64, 31, 31),
    "1e7": (64, 64, 49, 49),
}  # fmt: skip


def layer(m: Any, n: int) -> Callable:
    """Layer norm of rows of n."""
    return lambda x, w, b: m.layer_norm(x, (n,), w, b)


def rms(m: Any, n: int) -> Callable:
    """RMS norm of rows of n."""
    return lambda x, w: m.rms_norm(x, (n,), w, 1e-5)


def batch(m: Any) -> Callable:
    """Batch norm in training."""
    return lambda x, w, b, mean, var: m.batch_norm(x, mean, var, w, b, True)


def group(m: Any) -> Callable:
    """Group norm of four groups."""
    return lambda x, w, b: m.group_norm(x, 4, w, b)


def rows() -> Iterator[Row]:
    """Rows of this file."""
    there = functional()
    for shape in SHAPES:
        label, n = LABELS[shape], shape[1]
        x, w, b = normal(*shape), normal(n) + 1, normal(n)
        yield from both("layer_norm", label, [x, w, b], layer(here, n), layer(there, n), 3)
        yield from both("rms_norm", label, [x, w], rms(here, n), rms(there, n), 2)
        running = [np.zeros(n, "f"), np.ones(n, "f")]
        yield from both("batch_norm", f"{label} (N, C)", [x, w, b, *running], batch(here), batch(there), 3)
        x = normal(*IMAGES[label])
        c = x.shape[1]
        arrays = [x, normal(c) + 1, normal(c), np.zeros(c, "f"), np.ones(c, "f")]
        yield from both("batch_norm", f"{label} images", arrays, batch(here), batch(there), 3)
        yield from both("group_norm", label, arrays[:3], group(here), group(there), 3)
