"""Convolution: nine shapes of networks, and those that must not fall off a cliff."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.rows import Row

from .calls import call, normal, slopes

# N, C, H = W, K, kernel, padding
NINE = (
    (32, 1, 28, 8, 5, 0), (64, 3, 32, 32, 3, 1), (64, 32, 32, 64, 3, 1), (64, 64, 16, 128, 3, 1),
    (64, 128, 8, 256, 3, 1), (16, 64, 56, 64, 3, 1), (16, 256, 14, 256, 3, 1), (16, 64, 56, 256, 1, 0),
    (64, 6, 14, 16, 5, 0),
)  # fmt: skip
# name, function, input, weight, options
OTHERS = (
    ("stride 2", "conv2d", (16, 64, 56, 56), (128, 64, 3, 3), {"stride": 2, "padding": 1}),
    ("stride 2, 7 x 7, 3 channels", "conv2d", (8, 3, 112, 112), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ("stride 2, 1 x 1", "conv2d", (16, 64, 56, 56), (128, 64, 1, 1), {"stride": 2}),
    ("dilation 2", "conv2d", (16, 64, 28, 28), (64, 64, 3, 3), {"dilation": 2, "padding": 2}),
    ("depthwise", "conv2d", (16, 64, 56, 56), (64, 1, 3, 3), {"groups": 64, "padding": 1}),
    ("depthwise, stride 2", "conv2d", (16, 64, 56, 56), (64, 1, 3, 3), {"groups": 64, "padding": 1, "stride": 2}),
    ("groups 4", "conv2d", (16, 64, 28, 28), (128, 16, 3, 3), {"groups": 4, "padding": 1}),
    ("odd sizes", "conv2d", (7, 19, 23, 29), (37, 19, 3, 3), {"padding": 1}),
    ("odd sizes, 5 x 3", "conv2d", (7, 19, 23, 29), (37, 19, 5, 3), {}),
    ("5 x 5", "conv2d", (16, 64, 28, 28), (64, 64, 5, 5), {"padding": 2}),
    ("conv1d", "conv1d", (16, 64, 1000), (128, 64, 5), {"padding": 2}),
    ("conv3d", "conv3d", (4, 16, 16, 28, 28), (32, 16, 3, 3, 3), {"padding": 1}),
    ("transposed", "conv_transpose2d", (16, 64, 28, 28), (64, 32, 4, 4), {"stride": 2, "padding": 1}),
)


def cases() -> Iterator[tuple]:
    """Group, name, function, shapes, options."""
    for n, c, h, k, r, p in NINE:
        name = f"{n} x {c} x {h} x {h}, {k} of {r} x {r}"
        yield "convolution", name, "conv2d", (n, c, h, h), (k, c, r, r), {"padding": p}
    for name, *rest in OTHERS:
        yield "convolution, other kinds", name, *rest


def multiplied(function: str, x: tuple, w: tuple, options: dict) -> float:
    """Operations of the direct method: every entry of the result (of the input, transposed) meets every tap."""
    if "transpose" in function:
        return 2.0 * math.prod(w[1:]) * math.prod(x)
    stride, padding, dilation = (options.get(k, d) for k, d in (("stride", 1), ("padding", 0), ("dilation", 1)))
    places = math.prod((n + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x[2:], w[2:]))
    return 2.0 * math.prod(w) * x[0] * places


def rows() -> Iterator[Row]:
    """Forward, and forward with both gradients."""
    for group, name, function, x, w, options in cases():
        arrays, flops = lambda x=x, w=w: [normal(*x), normal(*w, seed=1)], multiplied(function, x, w, options)
        f = lambda l, x, w, f=function, o=options: getattr(l.F, f)(x, w, **o)
        more = {"images": True, "tolerance": 1e-3, "quick": name.startswith("64 x 32 x 32")}
        yield call(group, name, arrays, f, flops=flops, **more)
        yield slopes(f"{group}, and gradients", name, arrays, f, 2, flops=3 * flops, **more)
