"""Convolution of each channel by itself, with kernels of 3 x 3 or 5 x 5 and steps of one or two, on images as they lie.

An image is read a few lines at a time, and what pads it is never made: lanes beyond its columns are masked, and lines
beyond it are read from a line of zeros.  So nothing is copied, and memory is what takes the time.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from .conv_layout import grain, lanes_of
from .conv_shapes import Shape

correlated_band, products_summed = Late("_conv_planes", "correlated_band"), Late("_conv_planes", "products_summed")
spread_band, blank = Late("_conv_planes", "spread_band"), Late("_values", "blank")
LINES = {(3, 1): 8, (3, 2): 8, (5, 1): 4, (5, 2): 4}  # of a band, at most, by taps and steps
SPREAD = {3: 4, 5: 2}
AHEAD = 1 << 13  # bytes from what is computed to what is fetched meanwhile: more than memory answers with in the time


@kernel(chunks=True, written=True, glue=True)
def planes_correlated(begin, end, x, w, y, zeros, source, out, low, taps, step, several, turned, lines):
    """Planes of y (N, K, H', W') from x (N, C, H, W) and w (K, taps, taps), which is read backwards if turned."""
    (height, width), (out_h, out_w), (outputs, multiple) = source, out, several
    size, zero, sign, square = x.itemsize, x.dtype.type(0), 1 - 2 * turned, taps * taps
    for plane in range(begin, end):
        a = x.ctypes.data + size * (plane // multiple) * height * width
        b = w.ctypes.data + size * (plane % outputs * square + turned * (square - 1))
        c = y.ctypes.data + size * plane * out_h * out_w
        below = 0
        while below < out_h:
            some = lines if below + lines // 2 < out_h else lines // 2
            some = some if some <= out_h else 1
            h = min(below, out_h - some)  # the last of them again, with what was missing
            to = c + size * h * out_w
            correlated_band(
                zero, taps, step, some, b, sign, a, zeros.ctypes.data, h * step - low[0], -low[1], height, width, to,
                out_w, out_w, a + size * h * step * width + AHEAD, to + AHEAD,
            )  # fmt: skip
            below += some


@kernel(chunks=True, written=True, glue=True)
def planes_spread_back(begin, end, g, w, x, zeros, source, into, low, taps, lines):
    """Planes of x (N, C, H, W), of which a convolution by steps of two makes g (N, C, H', W') with w (C, taps, taps)."""
    (height, width), (into_h, into_w), (images_of, odd, down, across) = source, into, low
    size, zero = x.itemsize, x.dtype.type(0)
    for plane in range(begin, end):
        a = g.ctypes.data + size * plane * height * width
        b = w.ctypes.data + size * (plane % images_of) * taps * taps
        c = x.ctypes.data + size * plane * into_h * into_w
        for h in range(0, into_h, 2 * lines):
            to = c + size * h * into_w
            spread_band(
                zero, taps, odd, b, a, zeros.ctypes.data, h // 2 + down, across, height, width, to, into_w,
                into_h - h, into_w, to + AHEAD,
            )  # fmt: skip


@kernel(written=True)
def planes_next(x, plane, then, length, at):
    """Where that is which comes some way after entry `at` of a plane, and if that has ended, of the one that comes then."""
    first = at + min(AHEAD // x.itemsize, length)
    start = plane * length + first if first < length else (then - 1) * length + first
    return x.ctypes.data + x.itemsize * start


@kernel(chunks=True, written=True, glue=True)
def planes_summed(begin, end, x, g, w, zeros, images, source, out, low, taps, step, several, lines, lanes):
    """w (K, taps, taps): inner products of planes of g (N, K, H', W') and windows of x (N, C, H, W)."""
    (height, width), (out_h, out_w), (outputs, multiple) = source, out, several
    size, zero, square = x.itemsize, x.dtype.type(0), taps * taps
    count = square * lanes  # of sums for each channel
    sums = blank(zero, (end - begin) * count)
    sums[:] = 0
    for n in range(images):
        for k in range(begin, end):
            plane, then = n * outputs + k, n * outputs + k + 1 if k + 1 < end else (n + 1) * outputs + begin
            a = x.ctypes.data + size * (plane // multiple) * height * width
            b = g.ctypes.data + size * plane * out_h * out_w
            h, some = 0, lines
            while h < out_h:
                while h + some > out_h:
                    some //= 2
                products_summed(
                    zero, taps, step, some, sums.ctypes.data + size * (k - begin) * count, a, zeros.ctypes.data,
                    h * step - low[0], -low[1], height, width, b + size * h * out_w, out_w, out_w,
                    planes_next(x, plane // multiple, then // multiple, height * width, h * step * width),
                    planes_next(g, plane, then, out_h * out_w, h * out_w),
                )  # fmt: skip
                h += some
    for t in range((end - begin) * square):
        total = zero
        for lane in range(lanes):
            total += sums[t * lanes + lane]
        w[begin * square + t] = total


def fits(s: Shape, of: str) -> bool:
    """Whether a convolution ("output"), or its gradient by "input" or "weight", is one of these."""
    flat = s.size[0] == s.out[0] == s.kernel[0] == 1 and s.low[0] == 0 and s.dilation[1:] == (1, 1)
    (down, across), (h, v) = s.kernel[1:], s.stride[1:]
    if not flat or s.inputs != s.groups or s.groups == 1 or down != across or h != v or (down, h) not in LINES:
        return False
    if of == "input":
        return s.outputs == s.groups and (h == 1 or (s.low[1] - s.low[2]) % 2 == 0)
    return True


def _cost(s: Shape, places: int) -> float:
    """Nanoseconds for a plane of so many places."""
    return places * (0.01 * s.kernel[1] ** 2 + 0.1) + 20


def _correlated(x, w, y, source: tuple, out: tuple, low: tuple, s: Shape, turned: bool) -> None:
    """Fill y, planes of `out`, from x, planes of `source`."""
    taps, step, planes = s.kernel[1], 1 if turned else s.stride[1], s.n * s.outputs
    planes_correlated(
        planes, grain(planes, _cost(s, out[0] * out[1])), x.reshape(-1), w.reshape(-1), y.reshape(-1),
        np.zeros(source[1], x.dtype), source, out, low, taps, step, (s.outputs, s.outputs // s.groups), int(turned),
        LINES[taps, step],
    )  # fmt: skip


def forward(x, w, y, s: Shape) -> None:
    """Fill y of a convolution."""
    _correlated(x, w, y, s.size[1:], s.out[1:], s.low[1:], s, False)


def backward(g, w, x, s: Shape) -> None:
    """Fill the gradient by x of <g, y>."""
    taps, planes, into = s.kernel[1], s.n * s.inputs, s.size[1:]
    if s.stride[1] == 1:
        low = (taps - 1 - s.low[1], taps - 1 - s.low[2])
        return _correlated(g, w, x, s.out[1:], into, low, s, True)
    planes_spread_back(
        planes, grain(planes, _cost(s, into[0] * into[1])), g.reshape(-1), w.reshape(-1), x.reshape(-1),
        np.zeros(s.out[2], g.dtype), s.out[1:], into, (s.inputs, s.low[1] % 2, s.low[1] // 2, s.low[2] // 2), taps,
        SPREAD[taps],
    )  # fmt: skip
    return None


def weight(g, x, w, s: Shape) -> None:
    """Fill the gradient by w of <g, y>."""
    cost = s.n * _cost(s, s.out[1] * s.out[2])
    planes_summed(
        s.outputs, grain(s.outputs, cost), x.reshape(-1), g.reshape(-1), w.reshape(-1), np.zeros(s.size[2], x.dtype),
        s.n, s.size[1:], s.out[1:], s.low[1:], s.kernel[1], s.stride[1], (s.outputs, s.outputs // s.groups),
        LINES[s.kernel[1], s.stride[1]], lanes_of(x.dtype),
    )  # fmt: skip
