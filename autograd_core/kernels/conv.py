"""Convolution and its two gradients: which way of computing suits which shape.

x (N, C, size), w (K, C / groups, kernel) and y (N, K, out) have one to three axes of pixels; `padding` is a pair of
numbers for each.  All three are sums of products of the other two, so each is the gradient of the others.  A way fills
the result that it is given: a view of it would be copied where gradients must be nobody else's.
"""

from __future__ import annotations

import math

import numpy as np

from . import conv_across, conv_pixels, conv_planes, conv_pointwise, conv_tiling, conv_windows, conv_winograd
from ._jit import choice, plain
from ._memory import empty
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
    if conv_pointwise.fits(s):
        way = conv_pointwise.pointwise
    elif conv_planes.fits(s, "output"):
        way = conv_planes.forward
    elif conv_across.fits(s, x.dtype, "output"):
        way = conv_across.forward
    elif conv_pixels.fits(s, x.dtype, "output"):
        way = conv_pixels.forward
    else:
        way = conv_winograd.winograd if conv_tiling.fits(s, x.dtype, "output") else direct
    y = empty(shape, x.dtype)
    way(_three_axes(x, s.x), _three_axes(w, s.w), y.reshape(s.y), s)
    return y


@choice(reference=convolve_input_reference, sample=_input_sample)
def convolve_input(g, w, stride, padding, dilation, groups, shape):
    """The gradient by x (N, C, *shape) of <g, y>."""
    if not _compiled(g, w) or not math.prod(shape):
        return convolve_input_reference(g, w, stride, padding, dilation, groups, shape)
    x_shape = (g.shape[0], w.shape[1] * groups, *shape)
    s = shape_of(x_shape, w.shape, stride, padding, dilation, groups)
    if conv_pointwise.fits(s):
        way = conv_pointwise.pointwise_input
    elif conv_planes.fits(s, "input"):
        way = conv_planes.backward
    elif conv_across.fits(s, g.dtype, "input"):
        way = conv_across.backward
    elif conv_pixels.fits(s, g.dtype, "input"):
        way = conv_pixels.backward
    else:
        way = conv_winograd.winograd_input if conv_tiling.fits(s, g.dtype, "input") else direct_input
    x = empty(x_shape, g.dtype)
    way(_three_axes(g, s.y), _three_axes(w, s.w), x.reshape(s.x), s)
    return x


@choice(reference=convolve_weight_reference, sample=_weight_sample)
def convolve_weight(g, x, stride, padding, dilation, groups, shape):
    """The gradient by w (K, C / groups, *shape) of <g, y>."""
    if not _compiled(g, x):
        return convolve_weight_reference(g, x, stride, padding, dilation, groups, shape)
    w_shape = (g.shape[1], x.shape[1] // groups, *shape)
    s = shape_of(x.shape, w_shape, stride, padding, dilation, groups)
    if conv_planes.fits(s, "weight"):
        way = conv_planes.weight
    elif conv_tiling.fits(s, x.dtype, "weight"):
        way = conv_winograd.winograd_weight
    elif conv_windows.fits(s, x.dtype):
        way = conv_windows.weight
    else:
        way = conv_pointwise.pointwise_weight if conv_pointwise.fits(s) else direct_weight
    w = empty(w_shape, x.dtype)
    way(_three_axes(g, s.y), _three_axes(x, s.x), w.reshape(s.w), s)
    return w
