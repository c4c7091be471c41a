"""Convolution: the nine shapes, and those that must not fall off a cliff."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

import autograd_core as ag
from autograd_core.ops import convolution as ours
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None

# N, C, H = W, K, kernel, padding
NINE = (
    (32, 1, 28, 8, 5, 0), (64, 3, 32, 32, 3, 1), (64, 32, 32, 64, 3, 1), (64, 64, 16, 128, 3, 1),
    (64, 128, 8, 256, 3, 1), (16, 64, 56, 64, 3, 1), (16, 256, 14, 256, 3, 1), (16, 64, 56, 256, 1, 0),
    (64, 6, 14, 16, 5, 0),
)  # fmt: skip
# name, function, input, weight, options
OTHERS = (
    ("stride 2", "conv2d", (16, 64, 56, 56), (128, 64, 3, 3), {"stride": 2, "padding": 1}),
    ("stride 2, 7x7, 3 channels", "conv2d", (8, 3, 112, 112), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ("stride 2, 1x1", "conv2d", (16, 64, 56, 56), (128, 64, 1, 1), {"stride": 2}),
    ("dilation 2", "conv2d", (16, 64, 28, 28), (64, 64, 3, 3), {"dilation": 2, "padding": 2}),
    ("depthwise", "conv2d", (16, 64, 56, 56), (64, 1, 3, 3), {"groups": 64, "padding": 1}),
    ("depthwise, stride 2", "conv2d", (16, 64, 56, 56), (64, 1, 3, 3), {"groups": 64, "padding": 1, "stride": 2}),
    ("groups 4", "conv2d", (16, 64, 28, 28), (128, 16, 3, 3), {"groups": 4, "padding": 1}),
    ("odd sizes", "conv2d", (7, 19, 23, 29), (37, 19, 3, 3), {"padding": 1}),
    ("odd sizes, 5x3", "conv2d", (7, 19, 23, 29), (37, 19, 5, 3), {}),
    ("5x5", "conv2d", (16, 64, 28, 28), (64, 64, 5, 5), {"padding": 2}),
    ("conv1d", "conv1d", (16, 64, 1000), (128, 64, 5), {"padding": 2}),
    ("conv3d", "conv3d", (4, 16, 16, 28, 28), (32, 16, 3, 3, 3), {"padding": 1}),
    ("transposed", "conv_transpose2d", (16, 64, 28, 28), (64, 32, 4, 4), {"stride": 2, "padding": 1}),
)


def _cases() -> Iterator[tuple]:
    for n, c, h, k, r, p in NINE:
        yield "convolution", "conv2d", (n, c, h, h), (k, c, r, r), {"padding": p}, f"{n}x{c}x{h}x{h}, {k} of {r}x{r}"
    for name, function, x, w, options in OTHERS:
        yield "convolution, other", function, x, w, options, name


def _flops(function: str, x: tuple, w: tuple, y: tuple) -> float:
    """Of the direct method: every entry of the input (of the output) meets every tap."""
    return 2.0 * math.prod(w[1:]) * (math.prod(x) if "transpose" in function else math.prod(y))


def _pair(function: str, x: np.ndarray, w: np.ndarray, options: dict) -> tuple[Callable, Callable, float]:
    """Forward, and forward with backward, of ours."""
    f = getattr(ours, function)
    tx, tw = ag.tensor(x, requires_grad=True), ag.tensor(w, requires_grad=True)
    px, pw = ag.tensor(x), ag.tensor(w)
    y = f(px, pw, **options)
    g = ag.tensor(np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype))
    both = lambda: ag.gradient(f(tx, tw, **options), [tx, tw], g)
    return lambda: f(px, pw, **options), both, _flops(function, x.shape, w.shape, tuple(y.shape))


def _their_pair(function: str, x: np.ndarray, w: np.ndarray, options: dict) -> tuple:
    """The same of PyTorch."""
    if torch is None:
        return None, None
    f = getattr(torch.nn.functional, function)
    tx, tw = torch.from_numpy(x).requires_grad_(), torch.from_numpy(w).requires_grad_()
    px, pw = torch.from_numpy(x), torch.from_numpy(w)
    g = torch.randn_like(f(px, pw, **options))
    return lambda: f(px, pw, **options), lambda: torch.autograd.grad(f(tx, tw, **options), [tx, tw], g)


def rows() -> Iterator[Row]:
    """Forward, and forward with both gradients."""
    rng = np.random.default_rng(0)
    for group, function, x_shape, w_shape, options, size in _cases():
        x, w = (rng.standard_normal(s).astype("f") for s in (x_shape, w_shape))
        forward, both, flops = _pair(function, x, w, options)
        their_forward, their_both = _their_pair(function, x, w, options)
        yield Row(f"{group}: forward", function, size, forward, their_forward, flops=flops)
        yield Row(f"{group}: forward+backward", function, size, both, their_both, flops=3 * flops)
