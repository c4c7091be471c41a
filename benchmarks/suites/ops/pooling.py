"""Pooling, interpolation and grid sampling, forward and with the gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Row

from .calls import call, normal, slopes

SHAPES = [(64, 32, 32, 32), (16, 64, 56, 56), (1, 1, 10, 10)]
WORK = {
    "max_pool2d 2 x 2": lambda l, x: l.F.max_pool2d(x, 2),
    "max_pool2d 3 x 3, stride 2": lambda l, x: l.F.max_pool2d(x, 3, 2, 1),
    "avg_pool2d 2 x 2": lambda l, x: l.F.avg_pool2d(x, 2),
    "avg_pool2d 3 x 3, stride 2": lambda l, x: l.F.avg_pool2d(x, 3, 2, 1),
    "adaptive_avg_pool2d to 1 x 1": lambda l, x: l.F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d to 7 x 7": lambda l, x: l.F.adaptive_avg_pool2d(x, 7),
    "adaptive_max_pool2d to 7 x 7": lambda l, x: l.F.adaptive_max_pool2d(x, 7),
    "interpolate, nearest, twice": lambda l, x: l.F.interpolate(x, scale_factor=2),
    "interpolate, bilinear, twice": lambda l, x: l.F.interpolate(x, scale_factor=2, mode="bilinear"),
    "interpolate, bicubic, twice": lambda l, x: l.F.interpolate(x, scale_factor=2, mode="bicubic"),
}


def positions(n: int, h: int, w: int) -> np.ndarray:
    """Where to sample n images."""
    return np.random.default_rng(3).uniform(-1, 1, (n, h, w, 2)).astype(np.float32)


def rows() -> Iterator[Row]:
    """Every kind of work on every shape."""
    groups = "pooling and resampling", "pooling and resampling, and gradients"
    for shape in SHAPES:
        title, arrays = " x ".join(map(str, shape)), lambda s=shape: [normal(*s)]
        for name, f in WORK.items():
            ways = ("ours", "torch", "jax") if name.startswith(("max_pool", "avg_pool")) else ("ours", "torch")
            more = {"images": True, "tolerance": 1e-3}
            yield call(groups[0], f"{name}, of {title}", arrays, f, *ways, **more)
            yield slopes(groups[1], f"{name}, of {title}", arrays, f, 1, *ways, **more)
        sampled = lambda s=shape: [normal(*s), positions(s[0], *s[2:])]
        f = lambda l, x, grid: l.F.grid_sample(x, grid, align_corners=False)
        yield call(groups[0], f"grid_sample, of {title}", sampled, f, "ours", "torch")
        yield slopes(groups[1], f"grid_sample, of {title}", sampled, f, 2, "ours", "torch", tolerance=1e-2)
