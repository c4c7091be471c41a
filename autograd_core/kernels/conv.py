"""Convolution and its two gradients: which way of computing suits which shape.

x (N, C, size), w (K, C / groups, kernel) and y (N, K, out) have one to three axes of pixels; `padding` is a pair of
numbers for each.  All three are sums of products of the other two, so each is the gradient of the others.
"""

from __future__ import annotations

import math

import numpy as np

from . import conv_pixels, conv_planes, conv_pointwise, conv_tiling, conv_windows, conv_winograd
from ._jit import choice, plain
from .conv_direct import direct, direct_input
from .conv_gradients import direct_weight
from .conv_reference import convolve_input_reference, convolve_reference, convolve_weight_reference
from .conv_shapes import shape_of


def _single_sample(rng, n, dtype):
    side = max(int((n / 4) ** 0.5), 3)
    x, w = rng.standard_normal((1, 4, side, side)), rng.standard_normal((8, 4, 3, 3))
    return x.astype(dtype), w.astype(dtype), (1, 1), ((1, 1), (1, 1)), (1, 1), 1


def _input_sample(rng, n, dtype):
    x, w, *how = _single_sample(rng, n, dtype)
    return rng.standard_normal((1, 8, *x.shape[2:])).astype(dtype), w, *how, x.shape[2:]


def _weight_sample(rng, n, dtype):
    x, w, *how = _single_sample(rng, n, dtype)
    return rng.standard_normal((1, 8, *x.shape[2:])).astype(dtype), x, *how, w.shape[2:]


def _compiled(*arrays) -> bool:
    """Whether there are kernels for arrays of this type, and something for them to do."""
    return all(a.dtype == arrays[0].dtype and a.size for a in arrays) and arrays[0].dtype.char in "fd"


def _three_axes(array, shape):
    return plain(array).reshape(shape)


@choice(reference=convolve_reference, sample=_single_sample)
def convolve(x, w, stride, padding, dilation, groups):
    """y (N, K, out) of x (N, C, size) and w (K, C / groups, kernel)."""
    if not _compiled(x, w):
        return convolve_reference(x, w, stride, padding, dilation, groups)
    s = shape_of(x.shape, w.shape, stride, padding, dilation, groups)
    out = tuple(
        (n + a + b - d * (k - 1) - 1) // t + 1
        for n, k, t, (a, b), d in zip(x.shape[2:], w.shape[2:], stride, padding, dilation)
    )
    shape = (x.shape[0], w.shape[0], *out)
    if 0 in out:
        return np.zeros(shape, x.dtype)
    x, w = _three_axes(x, s.x), _three_axes(w, s.w)
    if conv_pointwise.fits(s):
        y = conv_pointwise.pointwise(x, w, s)
    elif conv_planes.fits(s, "output"):
        y = conv_planes.forward(x, w, s)
    elif conv_pixels.fits(s, x.dtype, "output"):
        y = conv_pixels.forward(x, w, s)
    else:
        y = (conv_winograd.winograd if conv_tiling.fits(s, x.dtype, "output") else direct)(x, w, s)
    return y.reshape(shape)


@choice(reference=convolve_input_reference, sample=_input_sample)
def convolve_input(g, w, stride, padding, dilation, groups, shape):
    """The gradient by x (N, C, *shape) of <g, y>."""
    if not _compiled(g, w) or not math.prod(shape):
        return convolve_input_reference(g, w, stride, padding, dilation, groups, shape)
    x_shape = (g.shape[0], w.shape[1] * groups, *shape)
    s = shape_of(x_shape, w.shape, stride, padding, dilation, groups)
    g, w = _three_axes(g, s.y), _three_axes(w, s.w)
    if conv_pointwise.fits(s):
        x = conv_pointwise.pointwise_input(g, w, s)
    elif conv_planes.fits(s, "input"):
        x = conv_planes.backward(g, w, s)
    elif conv_pixels.fits(s, g.dtype, "input"):
        x = conv_pixels.backward(g, w, s)
    else:
        x = (conv_winograd.winograd_input if conv_tiling.fits(s, g.dtype, "input") else direct_input)(g, w, s)
    return x.reshape(x_shape)


@choice(reference=convolve_weight_reference, sample=_weight_sample)
def convolve_weight(g, x, stride, padding, dilation, groups, shape):
    """The gradient by w (K, C / groups, *shape) of <g, y>."""
    if not _compiled(g, x):
        return convolve_weight_reference(g, x, stride, padding, dilation, groups, shape)
    w_shape = (g.shape[1], x.shape[1] // groups, *shape)
    s = shape_of(x.shape, w_shape, stride, padding, dilation, groups)
    g, x = _three_axes(g, s.y), _three_axes(x, s.x)
    if conv_planes.fits(s, "weight"):
        w = conv_planes.weight(g, x, s)
    elif conv_tiling.fits(s, x.dtype, "weight"):
        w = conv_winograd.winograd_weight(g, x, s)
    elif conv_windows.fits(s, x.dtype):
        w = conv_windows.weight(g, x, s)
    else:
        w = (conv_pointwise.pointwise_weight if conv_pointwise.fits(s) else direct_weight)(g, x, s)
    return w.reshape(w_shape)
