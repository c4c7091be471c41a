"""The gradient by weights of a convolution in which every channel has kernels of its own: products of lines."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from .conv_layout import SLACK, grain, lanes_of
from .conv_shapes import Shape, bounds, forward_taps

copy_line, split_line = Late("_conv_lines", "copy_line"), Late("_conv_lines", "split_line")
line_products = Late("_conv_lines", "line_products")
TAPS = 12  # that are summed at a time


@kernel
def plane_entered(x, held, at, source, room, low, several):
    """Put an image of a channel, which starts at x[at], where it is worked on: columns that are a step apart together."""
    (depth, height, width), (room_d, room_h, room_w, phase) = source, room
    size, zero, pitch = x.itemsize, x.dtype.type(0), several * phase
    left, right = max(low[2], 0), min(low[2] + width, room_w)
    for line in range(room_d * room_h):
        d, h = line // room_h - low[0], line % room_h - low[1]
        if not (0 <= h < height and 0 <= d < depth and left < right):
            continue
        a = x.ctypes.data + size * (at + (d * height + h) * width + left - low[2])
        b, odd = held.ctypes.data + size * line * pitch, left % 2
        if several == 1:
            copy_line(zero, a, b + size * left, right - left)
        elif several == 2:
            even, other = odd * phase + left // 2, (1 - odd) * phase + left // 2 + odd
            split_line(zero, a, b + size * even, b + size * other, right - left)
        else:
            first = at + (d * height + h) * width - low[2]
            for v in range(left, right):
                held[line * pitch + v % several * phase + v // several] = x[first + v]


@kernel(chunks=True)
def planes_multiplied(begin, end, x, g, w, places, images, source, room, low, out, steps, many, lanes):
    """w (C * many, taps): inner products of planes of g (N, C * many, out) and windows of x (N, C, D, H, W)."""
    (out_d, out_h, out_w), (step_d, step_h, step_w), taps = out, steps, len(places)
    size, zero, pitch = x.itemsize, x.dtype.type(0), step_w * room[3]
    outer, plane = len(w) // taps, source[0] * source[1] * source[2]
    held = np.zeros(room[0] * room[1] * pitch + SLACK, x.dtype)
    sums, parts = np.empty(taps * lanes, x.dtype), -(-taps // TAPS)
    for item in range(begin, end):
        sums[:] = 0
        for n in range(images):
            plane_entered(x, held, (n * (outer // many) + item // many) * plane, source, room, low, step_w)
            for d in range(out_d):
                a = g.ctypes.data + size * ((n * outer + item) * out_d + d) * out_h * out_w
                b = held.ctypes.data + size * d * step_d * room[1] * pitch
                for v in range(0, out_w, lanes):
                    for part in range(parts):
                        t0, t1 = part * taps // parts, (part + 1) * taps // parts
                        line_products(
                            zero, t1 - t0, a + size * v, out_w, b + size * v, step_h * pitch,
                            places.ctypes.data + 8 * t0, out_h, sums.ctypes.data + size * t0 * lanes, out_w - v,
                        )  # fmt: skip
        for t in range(taps):
            total = 0.0
            for lane in range(lanes):
                total += sums[t * lanes + lane]
            w[item * taps + t] = total


@functools.lru_cache(2048)
def _plan(s: Shape) -> tuple[tuple, tuple, np.ndarray]:
    """The padding before; the size with padding, and how far columns that follow each other are apart; the taps."""
    low, size = bounds(tuple(forward_taps(s)))
    several = s.stride[2]
    phase = -(-size[2] // several)
    offsets = [[i * d for i in range(k)] for k, d in zip(s.kernel, s.dilation)]
    places = [
        (d * size[1] + h) * several * phase + w % several * phase + w // several
        for d, h, w in itertools.product(*offsets)
    ]
    return low, (*size, phase), np.array(places, np.int64)


def depthwise_weight(g, x, s: Shape) -> np.ndarray:
    """The gradient by w of <g, y>."""
    w, (low, room, places) = empty(s.w, x.dtype), _plan(s)
    cost = s.flops / s.outputs / 30 + s.n * s.size[0] * s.size[1] * s.size[2] * 0.2
    planes_multiplied(
        s.outputs, grain(s.outputs, cost), x.reshape(-1), g.reshape(-1), w.reshape(-1), places, s.n, s.size, room, low,
        s.out, s.stride, s.outputs // s.groups, lanes_of(x.dtype),
    )  # fmt: skip
    return w
