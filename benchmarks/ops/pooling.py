"""Pooling, interpolation and grid sampling against PyTorch, forward and with the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.ops import pooling, resampling
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None

SHAPES = [(64, 32, 32, 32), (16, 64, 56, 56), (1, 1, 10, 10)]
WORK: dict[str, tuple[Any, str, dict]] = {
    "max_pool2d 2x2": (pooling, "max_pool2d", dict(kernel_size=2)),
    "max_pool2d 3x3 stride 2": (pooling, "max_pool2d", dict(kernel_size=3, stride=2, padding=1)),
    "avg_pool2d 2x2": (pooling, "avg_pool2d", dict(kernel_size=2)),
    "avg_pool2d 3x3 stride 2": (pooling, "avg_pool2d", dict(kernel_size=3, stride=2, padding=1)),
    "adaptive_avg_pool2d to 1x1": (pooling, "adaptive_avg_pool2d", dict(output_size=1)),
    "adaptive_avg_pool2d to 7x7": (pooling, "adaptive_avg_pool2d", dict(output_size=7)),
    "adaptive_max_pool2d to 7x7": (pooling, "adaptive_max_pool2d", dict(output_size=7)),
    "interpolate nearest x2": (resampling, "interpolate", dict(scale_factor=2)),
    "interpolate bilinear x2": (resampling, "interpolate", dict(scale_factor=2, mode="bilinear")),
    "interpolate bicubic x2": (resampling, "interpolate", dict(scale_factor=2, mode="bicubic")),
    "grid_sample bilinear": (resampling, "grid_sample", dict(align_corners=False)),
}


def both(f: Callable, arrays: list, make: Callable, gradient: Callable, numbers: Callable) -> tuple[Callable, Callable]:
    """The work alone, and with the gradients of all arrays."""
    plain, leaves = [make(a, False) for a in arrays], [make(a, True) for a in arrays]
    seed = numbers(f(*plain))
    return lambda: f(*plain), lambda: gradient(f(*leaves), leaves, seed)


def ours(module: Any, name: str, options: dict, arrays: list) -> tuple[Callable, Callable]:
    """Ours, on tensors."""
    f = partial(getattr(module, name), **options)
    gradient = lambda y, xs, g: ag.gradient(y, xs, g)
    make = lambda a, grad: ag.tensor(a, requires_grad=grad)
    return both(f, arrays, make, gradient, lambda y: ag.tensor(np.ones(y.shape, y.numpy().dtype)))


def theirs(name: str, options: dict, arrays: list) -> tuple[Callable | None, Callable | None]:
    """PyTorch's."""
    if torch is None:
        return None, None
    f = partial(getattr(torch.nn.functional, name), **options)
    gradient = lambda y, xs, g: torch.autograd.grad(y, xs, g)
    make = lambda a, grad: torch.tensor(a, requires_grad=grad)
    return both(f, arrays, make, gradient, torch.ones_like)


def rows() -> Iterator[Row]:
    """Every kind of work on every shape, forward and forward+backward."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x = rng.standard_normal(shape).astype(np.float32)
        grid = rng.uniform(-1, 1, (shape[0], *shape[2:], 2)).astype(np.float32)
        for label, (module, name, options) in WORK.items():
            arrays = [x, grid] if name == "grid_sample" else [x]
            pairs = zip(ours(module, name, options, arrays), theirs(name, options, arrays))
            for what, (a, b) in zip(("forward", "forward+backward"), pairs):
                yield Row("pooling and resampling", f"{label} {what}", "x".join(map(str, shape)), a, b)
