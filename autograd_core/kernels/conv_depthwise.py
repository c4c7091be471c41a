"""The gradient by weights of a convolution in which every channel has kernels of its own: products of lines."""

from __future__ import annotations

import numpy as np

from ._jit import inline, kernel
from ._memory import empty
from .conv_layout import grain, padded
from .conv_shapes import Shape, bounds, forward_taps


@inline
def multiply_lines(sums, row, x, step):
    """sums[v] += row[v] x[v step]."""
    if step == 1:
        for v in range(len(sums)):
            sums[v] += row[v] * x[v]
    else:
        for v in range(len(sums)):
            sums[v] += row[v] * x[v * step]


@kernel(chunks=True)
def planes_multiplied(begin, end, x, g, w, source, out, taps, steps, dilation, many):
    """w (C * many, taps): inner products of planes of g (N, C * many, out) and windows of x (N, C, D, H, W), padded."""
    (depth, height, width), (out_d, out_h, out_w), (kd, kh, kw) = source, out, taps
    outer = len(w) // (kd * kh * kw)
    n = len(g) // (outer * out_d * out_h * out_w)
    held = np.empty(kd * kh * kw * out_w, x.dtype)
    for item in range(begin, end):
        held[:] = 0
        for index in range(n * out_d * out_h):
            image, d, h = index // (out_d * out_h), index // out_h % out_d, index % out_h
            at = (((image * outer + item) * out_d + d) * out_h + h) * out_w
            row, t = g[at : at + out_w], 0
            plane = (image * (outer // many) + item // many) * depth * height * width
            for i in range(kd):
                for j in range(kh):
                    line = (d * steps[0] + i * dilation[0]) * height + h * steps[1] + j * dilation[1]
                    for k in range(kw):
                        from_x = x[plane + line * width + k * dilation[2] :]
                        multiply_lines(held[t * out_w : (t + 1) * out_w], row, from_x, steps[2])
                        t += 1
        for t in range(kd * kh * kw):
            total = 0.0
            for v in range(out_w):
                total += held[t * out_w + v]
            w[item * kd * kh * kw + t] = total


def _source(s: Shape) -> tuple[tuple, tuple]:
    """The padding before, and the size with padding."""
    return bounds(tuple(forward_taps(s)))


def depthwise_weight(g, x, s: Shape) -> np.ndarray:
    """The gradient by w of <g, y>."""
    low, size = _source(s)
    x, w = padded(x, low, size), empty(s.w, x.dtype)
    args = (s.out, s.kernel, s.stride, s.dilation, s.outputs // s.groups)
    cost = s.flops / s.outputs / 8
    planes_multiplied(s.outputs, grain(s.outputs, cost), x, g.reshape(-1), w.reshape(-1), size, *args)
    return w
