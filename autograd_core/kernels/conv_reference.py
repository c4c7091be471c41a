"""Convolution in NumPy: windows as a matrix, and one product."""

from __future__ import annotations

import math

import numpy as np


def _windows(x, kernel, stride, padding, dilation, groups):
    """All windows of x as (G, C/G * taps, N * places), and the shape of the places."""
    around = [(0, 0), (0, 0), *padding]
    x = np.pad(x, around) if any(map(any, padding)) else x
    spans, axes = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)], tuple(range(2, x.ndim))
    if any(size < span for size, span in zip(x.shape[2:], spans)):  # no images, which may have no pixels either
        out = tuple(max((size - span) // s + 1, 0) for size, span, s in zip(x.shape[2:], spans, stride))
        return np.empty((groups, x.shape[1] // groups * math.prod(kernel), 0), x.dtype), out
    v = np.lib.stride_tricks.sliding_window_view(x, spans, axes)
    v = v[(..., *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))]
    n, c, rank = x.shape[0], x.shape[1], len(kernel)
    out = v.shape[2 : 2 + rank]
    v = v.reshape(n, groups, c // groups, *v.shape[2:])
    order = (1, 2, *range(3 + rank, 3 + 2 * rank), 0, *range(3, 3 + rank))
    return v.transpose(order).reshape(groups, c // groups * math.prod(kernel), n * math.prod(out)), out


def _grouped(y, groups):
    """y (N, K, ...) as (G, K/G, N * places)."""
    n, k, *out = y.shape
    y = y.reshape(n, groups, k // groups, math.prod(out)).transpose(1, 2, 0, 3)
    return y.reshape(groups, k // groups, n * math.prod(out))


def _product(a, b):
    """Matrix products, rounded once to half precision."""
    return np.matmul(a.astype("f"), b.astype("f")).astype(a.dtype) if a.dtype.char == "e" else np.matmul(a, b)


def convolve_reference(x, w, stride, padding, dilation, groups):
    """y (N, K, out) of x (N, C, size) and w (K, C/G, kernel)."""
    v, out = _windows(x, w.shape[2:], stride, padding, dilation, groups)
    y = _product(w.reshape(groups, w.shape[0] // groups, v.shape[1]), v)
    n = x.shape[0]
    y = y.reshape(groups, w.shape[0] // groups, n, math.prod(out)).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(y).reshape(n, w.shape[0], *out)


def convolve_input_reference(g, w, stride, padding, dilation, groups, shape):
    """The gradient by x (N, C, *shape) of <g, y>: what each tap contributes, put where it came from."""
    kernel, n = w.shape[2:], g.shape[0]
    c = w.shape[1] * groups
    v = _product(w.reshape(groups, w.shape[0] // groups, w.shape[1] * math.prod(kernel)).mT, _grouped(g, groups))
    v = v.reshape(c, *kernel, n, *g.shape[2:])
    x = np.zeros((c, n, *(s + low + high for s, (low, high) in zip(shape, padding))), v.dtype)
    for tap in np.ndindex(*kernel):
        places = (
            slice(t * d, t * d + (o - 1) * s + 1, s) if o else slice(0, 0)
            for t, d, o, s in zip(tap, dilation, g.shape[2:], stride)
        )
        x[(slice(None), slice(None), *places)] += v[(slice(None), *tap)]
    inside = (slice(low, low + s) for s, (low, _) in zip(shape, padding))
    return np.ascontiguousarray(x[(slice(None), slice(None), *inside)].swapaxes(0, 1))


def convolve_weight_reference(g, x, stride, padding, dilation, groups, shape):
    """The gradient by w (K, C/G, *shape) of <g, y>."""
    v, _ = _windows(x, shape, stride, padding, dilation, groups)
    w = _product(_grouped(g, groups), v.mT)
    return w.reshape(g.shape[1], x.shape[1] // groups, *shape)
