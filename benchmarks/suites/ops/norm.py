"""Layer, RMS, group and batch norm, with weight and bias."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Row

from .calls import SHAPES, both, normal

IMAGES = {
    100: (2, 4, 4, 3), 1000: (4, 4, 8, 8), 10**4: (4, 16, 12, 13), 10**5: (8, 16, 28, 28), 10**6: (16, 64, 31, 31),
    10**7: (64, 64, 49, 49),
}  # fmt: skip
TORCH = {"ways": ("ours", "torch"), "tolerance": 1e-3}


def weighted(x: np.ndarray, count: int, axis: int = -1) -> list:
    """An array, its weight and bias, its running mean and variance."""
    c = x.shape[axis]
    return [x, normal(c) + 1, normal(c, seed=1), np.zeros(c, "f"), np.ones(c, "f")][:count]


def rows() -> Iterator[Row]:
    """Every norm at every size."""
    layer = lambda l, x, w, b: l.F.layer_norm(x, x.shape[-1:], w, b)
    rms = lambda l, x, w: l.F.rms_norm(x, x.shape[-1:], w, 1e-5)
    batch = lambda l, x, w, b, mean, var: l.F.batch_norm(x, mean, var, w, b, True)
    group = lambda l, x, w, b: l.F.group_norm(x, 4, w, b)
    for n, shape in SHAPES.items():
        flat = lambda count, s=shape: weighted(normal(*s), count)
        images = lambda count, s=IMAGES[n]: weighted(normal(*s), count, 1)
        yield from both("layer_norm", n, lambda f=flat: f(3), layer, 3, tolerance=1e-3)
        yield from both("rms_norm", n, lambda f=flat: f(2), rms, 2, **TORCH)
        yield from both("batch_norm", n, lambda f=flat: f(5), batch, 3, **TORCH)
        yield from both("batch_norm of images", n, lambda f=images: f(5), batch, 3, **TORCH)
        yield from both("group_norm", n, lambda f=images: f(3), group, 3, **TORCH)
