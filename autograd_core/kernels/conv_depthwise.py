"""The gradient by weights of a convolution of few channels with few others, in many groups: products of lines."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from .conv_layout import SLACK, full, grain, lanes_of
from .conv_pixels import plane_entered
from .conv_shapes import Shape, bounds, forward_taps

blank = Late("_values", "blank")
line_products = Late("_conv_lines", "line_products")
TAPS = 12  # that are summed at a time
PAIRS, MANY = 64, 8  # of channels in a group, at most; groups, at least


@kernel(chunks=True, written=True, glue=True)
def planes_multiplied(begin, end, x, g, w, places, images, source, room, low, out, steps, channels, lanes):
    """w (G, K, C, taps): inner products of planes of g (N, G, K, out) and windows of x (N, G, C, D, H, W)."""
    (out_d, out_h, out_w), (step_d, step_h, step_w), (groups, outer, inner) = out, steps, channels
    taps, size, zero, pitch = len(places), x.itemsize, x.dtype.type(0), step_w * room[3]
    plane, length, pairs = source[0] * source[1] * source[2], room[0] * room[1] * pitch, outer * inner
    held = blank(zero, inner * length + SLACK)
    sums, parts = blank(zero, pairs * taps * lanes), -(-taps // TAPS)
    held[:] = 0
    for item in range(begin, end):
        sums[:] = 0
        for n in range(images):
            image = n * groups + item
            for c in range(inner):
                plane_entered(x, held, (image * inner + c) * plane, c * length, source, room, low, step_w, 0, 0)
            for pair in range(pairs):
                k, c = pair // inner, pair % inner
                for d in range(out_d):
                    a = g.ctypes.data + size * ((image * outer + k) * out_d + d) * out_h * out_w
                    b = held.ctypes.data + size * (c * length + d * step_d * room[1] * pitch)
                    for v in range(0, out_w, lanes):
                        for part in range(parts):
                            t0, t1 = part * taps // parts, (part + 1) * taps // parts
                            line_products(
                                zero, t1 - t0, a + size * v, out_w, b + size * v, step_h * pitch,
                                places.ctypes.data + 8 * t0, out_h, sums.ctypes.data + size * (pair * taps + t0) * lanes,
                                out_w - v,
                            )  # fmt: skip
        for t in range(pairs * taps):
            total = 0.0
            for lane in range(lanes):
                total += sums[t * lanes + lane]
            w[item * pairs * taps + t] = total


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


def fits(s: Shape, dtype: np.dtype) -> bool:
    """Whether groups are small, enough of them for threads, and lines fill vectors better than channels do."""
    outer, lanes = s.outputs // s.groups, lanes_of(dtype)
    small = s.groups >= MANY and s.inputs * outer <= PAIRS * s.groups
    return s.inputs == s.groups > 1 or small and full(s.out[2], lanes) > full(outer, lanes)


def planes_weight(g, x, s: Shape) -> np.ndarray:
    """The gradient by w of <g, y>."""
    w, (low, room, places) = empty(s.w, x.dtype), _plan(s)
    inner, outer = s.inputs // s.groups, s.outputs // s.groups
    cost = s.flops / s.groups / 30 + s.n * inner * s.size[0] * s.size[1] * s.size[2] * 0.2
    planes_multiplied(
        s.groups, grain(s.groups, cost), x.reshape(-1), g.reshape(-1), w.reshape(-1), places, s.n, s.size, room, low,
        s.out, s.stride, (s.groups, outer, inner), lanes_of(x.dtype),
    )  # fmt: skip
    return w
