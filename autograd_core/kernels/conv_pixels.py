"""Convolution with pixels as lanes: where there are few channels, or few in each group.

An image is copied, with its padding, to where a thread works on it; a tile is a few channels of the result for the same
16 columns of a few lines.  Nothing else is moved, but going back over strides, where what belongs to each place of a
step is computed by itself and put together line by line: neither input nor result has to change its layout.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from . import conv_tiling
from ._jit import Late, kernel
from ._memory import empty
from ._threads import get_num_threads
from .conv_layout import full, grain, lanes_of, packed, planes_entered
from .conv_shapes import Shape, backward_taps, bounds, forward_taps
from .conv_tiling import LANES

copy_line, fetch_line = Late("_conv_lines", "copy_line"), Late("_conv_lines", "fetch_line")
split_line, join_lines = Late("_conv_lines", "split_line"), Late("_conv_lines", "join_lines")
pixel_tile = Late("_conv_lines", "pixel_tile")
store, swap = Late("_native", "store"), Late("_native", "swap")
ROOM = 800_000  # bytes of an image that a thread works on
WHOLE, NEAR = 500_000, 1 << 16  # bytes of images that are copied at once, and of lines of others
FEW = 256  # products for an entry of the result
BESIDE = 1.5  # operations for a cycle of tiles that pixels as lanes may need
BACK = 320  # weights for each channel of the result, going back over steps
SMALL, SMALL_BACK = 512, 64  # pairs of channels in a group; going back over steps


@kernel(written=True)
def columns_entered(x, held, at, to, source, room, low, several):
    """Put an image, which starts at x[at], to held[to], with zeros around: columns that are so many apart together."""
    (depth, height, width), (room_d, room_h, room_w, phase) = source, room
    size, zero, pitch = x.itemsize, x.dtype.type(0), several * phase
    left, right = max(low[2], 0), min(low[2] + width, room_w)
    for d in range(room_d):
        for h in range(room_h):
            start, from_d, from_h = to + (d * room_h + h) * pitch, d - low[0], h - low[1]
            if not (0 <= from_h < height and 0 <= from_d < depth and left < right):
                held[start : start + pitch] = 0
                continue
            first = at + (from_d * height + from_h) * width + left - low[2]
            a, b = x.ctypes.data + size * first, held.ctypes.data + size * start
            if several == 2:
                even, other = left % 2 * phase + left // 2, (1 - left % 2) * phase + left // 2 + left % 2
                split_line(zero, a, b + size * even, b + size * other, right - left)
            else:
                for v in range(left, right):
                    held[start + v % several * phase + v // several] = x[first + v - left]


@kernel(written=True)
def plane_joined(held, y, at, to, steps, into, first, last):
    """Lines from first to last of each plane of an image y[to], of whose places within a jump each has planes in held.

    steps: from one of these to the next, from plane to plane and from line to line there.
    """
    (into_d, into_h, into_w, jump_d, jump_h, jump_w), (length, of_plane, of_line) = into, steps
    size, zero = y.itemsize, y.dtype.type(0)
    for d in range(into_d):
        for h in range(first, last):
            part = (d % jump_d * jump_h + h % jump_h) * jump_w
            line = at + part * length + d // jump_d * of_plane + (h - first) // jump_h * of_line
            start = to + (d * into_h + h) * into_w
            a, b = held.ctypes.data + size * line, y.ctypes.data + size * start
            if jump_w == 1:
                copy_line(zero, a, b, into_w)
            elif jump_w == 2:
                join_lines(zero, a, a + size * length, b, into_w)
            else:
                for v in range(into_w):
                    y[start + v] = held[line + v % jump_w * length + v // jump_w]


@kernel(chunks=True, written=True, glue=True)
def images_correlated(begin, end, x, w, y, rooms, taken, places, parts, source, room, low, out, steps, into, tiles):
    """Blocks of lines of y (N, G, K, D', H', W') from x (N, G, C, D, H, W) and weights (G, blocks, taps * C, rows).

    rooms: memory of each thread for copies of its block of x and, at `into[-1]` if not 0, of y; taken: which are in use.
    places: of taps in the copy; those from parts[i] to parts[i + 1] make the i-th of the places within a jump of y.
    room: D, H, W of the copy, and how far columns that come after each other are apart there, and channels.
    out: D, H, W of what each part computes, lines of a block; into: D', H', W', the jumps along each.
    """
    groups, channels, depth, height, width = source
    room_d, room_h, room_w, phase, of_source = room
    out_d, out_h, out_w, block = out
    step_d, step_h, step_w = steps
    into_d, into_h, into_w, jump_d, jump_h, jump_w, stage = into
    rows, vectors, blocks, outer, lanes = tiles
    size, zero, shares, pitch = x.itemsize, x.dtype.type(0), -(-out_h // block), step_w * phase
    plane, panel = room_h * pitch, len(places) * rows
    of_line, of_plane, of_channel = into_w, into_h * into_w, into_d * into_h * into_w
    image, length = outer * of_channel, out_d * block * out_w
    if stage:
        of_line, of_plane, of_channel = out_w, block * out_w, (len(parts) - 1) * length
    mine = 0
    while not swap(taken.ctypes.data, mine, 0, 1):
        mine = (mine + 1) % len(taken)
    held = rooms[mine]
    held[:] = 0
    at, weights, table = held.ctypes.data, w.ctypes.data, places.ctypes.data
    for item in range(begin, end):
        n, h0 = item // shares, item % shares * block
        high, group = min(block, out_h - h0), n % groups
        some = high * jump_h * into_w
        ahead, here = y.ctypes.data + size * (n * image + h0 * jump_h * into_w), (low[0], low[1] - h0 * step_h, low[2])
        for c in range(channels):
            first = (n * channels + c) * depth * height * width
            if outer == 1:  # one line of the result is written at a time, as soon as this is done
                fetch_line(zero, ahead + size * c * some // channels, some // channels)
            if step_w == 1:
                planes_entered(x, held, first, c * of_source, source[2:], (room_d, room_h, pitch), here)
            else:
                columns_entered(x, held, first, c * of_source, source[2:], room[:4], here, step_w)
        for part in range(len(parts) - 1):
            t0, taps = parts[part], parts[part + 1] - parts[part]
            to = at + size * (stage + part * length) if stage else y.ctypes.data + size * (n * image + h0 * of_line)
            for d in range(out_d if taps else 0):
                for i in range(-(-high // vectors)):
                    h = min(i * vectors, high - vectors)
                    a = at + size * (d * step_d * plane + h * step_h * pitch)
                    for k in range(blocks):
                        k0 = min(k * rows, outer - rows)
                        b = weights + size * ((group * blocks + k) * panel + t0 * rows)
                        c = to + size * (k0 * of_channel + d * of_plane + h * of_line)
                        for v in range(0, out_w, lanes):
                            pixel_tile(
                                zero, rows, vectors, b, a + size * v, step_h * pitch, table + 8 * t0, taps,
                                c + size * v, of_channel, of_line, min(lanes, out_w - v),
                            )  # fmt: skip
        for k in range(outer if stage else 0):
            first, last = h0 * jump_h, min((h0 + high) * jump_h, into_h)
            to, staged = (n * outer + k) * into_d * into_h * into_w, stage + k * of_channel
            plane_joined(held, y, staged, to, (length, of_plane, of_line), into[:6], first, last)
    store(taken.ctypes.data, mine, 0)


class Plan(NamedTuple):
    """What the kernel needs to know of a convolution, or of its gradient by the input."""

    places: np.ndarray
    parts: np.ndarray
    taps: np.ndarray
    room: tuple
    low: tuple
    out: tuple
    steps: tuple
    into: tuple
    tiles: tuple
    length: int  # of the memory of a thread
    items: int
    cost: float


def _tile(outer: int, height: int) -> tuple[int, int]:
    """Rows and vectors of a tile: as many sums as registers hold."""
    for most, vectors in ((4, 6), (8, 3), (14, 2)):
        if height >= vectors:
            blocks = -(-outer // most)
            if blocks == 1 or most == 14 or height < vectors:
                return -(-outer // blocks), vectors
    return -(-outer // -(-outer // 4)), 1


@functools.lru_cache(2048)
def plan(s: Shape, back: bool, lanes: int) -> Plan:
    """How a convolution is computed, or, going back, its gradient by the input, which is a part for each place of a step.

    All parts compute as many lines as the longest, and what is too much is not put into the result.
    """
    parts, result = (backward_taps(s), s.size) if back else (forward_taps(s), s.out)
    inner, outer = (s.outputs, s.inputs) if back else (s.inputs, s.outputs)
    inner, outer, images = inner // s.groups, outer // s.groups, s.n * s.groups
    out_d, out_h, out_w = counts = [max(a.count for a in axes) for axes in zip(*(part.axes for part in parts))]
    even = lambda part: part._replace(axes=tuple(a._replace(count=n) for a, n in zip(part.axes, counts)))
    low, size = bounds(tuple(map(even, parts)))
    step_d, step_h, step_w = steps = tuple(a.step for a in parts[0].axes)
    jumps = tuple(n + 1 for n in parts[-1].first)
    phase, (rows, vectors) = -(-size[2] // step_w), _tile(outer, out_h)
    span = size[1] - (out_h - 1) * step_h
    line, share = (
        inner * size[0] * step_w * phase * 64 // lanes,
        1 if step_h == 1 else 8,
    )  # over steps, few lines are shared
    block = max(vectors, min(out_h, NEAR // share // (line * step_h)))
    block = out_h if images >= 16 and line * size[1] <= WHOLE // share else block
    block = -(-out_h // max(1, out_h // block))
    while out_h % block and out_h % block < vectors:
        block += 1
    room = (size[0], (block - 1) * step_h + span, size[2], phase)
    of_source = (room[0] * room[1] * step_w * phase // lanes | 1) * lanes + lanes  # channels on different cache lines
    of_source += lanes * (of_source // lanes % 2 == 0)
    taps, places, ends = [], [], [0]
    for part in parts:
        for (d, i), (h, j), (w, k) in itertools.product(*(a.taps for a in part.axes)):
            taps.append((i * s.kernel[1] + j) * s.kernel[2] + k)
            w += low[2]
            at = ((d + low[0]) * room[1] + h + low[1]) * step_w * phase + w % step_w * phase + w // step_w
            places += [at + c * of_source for c in range(inner)]
        ends.append(len(places))
    length, copy = inner * of_source + 2 * lanes, outer * len(parts) * out_d * block * out_w
    stage = length if len(parts) > 1 else 0
    flat, items = lambda v: np.array(v, np.int64), images * -(-out_h // block)
    columns = out_d * block * -(-out_w // lanes)
    cost = columns * outer * (len(places) * 0.2 + 2 * len(parts)) + inner * math.prod(room[:3]) * 0.15
    return Plan(
        flat(places), flat(ends), flat(taps), (*room, of_source), low, (out_d, out_h, out_w, block), steps,
        (*result, *jumps, stage), (rows, vectors, -(-outer // rows), outer, lanes), length + (copy if stage else 0),
        items, cost,
    )  # fmt: skip


def fits(s: Shape, dtype: np.dtype, of: str) -> bool:
    """Whether a convolution ("output"), or its gradient by "input", has pixels as lanes."""
    if s.groups > 1:
        return s.inputs == s.groups or _small_groups(s, dtype, of == "input")
    return (_few_input if of == "input" else _few_output)(s, dtype) or _fuller(s, dtype, of)


def _small_groups(s: Shape, dtype: np.dtype, back: bool) -> bool:
    """Whether groups are small, and pixels fill vectors as well as channels do."""
    outer, width = (s.inputs, -(-s.size[2] // s.stride[2])) if back else (s.outputs, s.out[2])
    lanes, pairs, outer = lanes_of(dtype), SMALL_BACK if back and s.stride != (1, 1, 1) else SMALL, outer // s.groups
    worth = 1 if outer >= 2 * lanes else 0.8  # tiles of two vectors of channels read less for each product
    return s.inputs * s.outputs <= pairs * s.groups**2 and full(width, lanes) > worth * full(outer, lanes)


def _few_output(s: Shape, dtype: np.dtype) -> bool:
    """Whether there are few channels to sum over for the result, and pixels fill vectors as well as channels do."""
    lanes, image = lanes_of(dtype), 4 * math.prod(s.x[1:])
    few = s.inputs <= 16 and s.inputs * math.prod(s.kernel) <= FEW
    worth = 0.85 if s.outputs > lanes else 0.6  # a tile of one vector of channels reads as much as it multiplies
    return few and image < ROOM and full(s.out[2], lanes) >= worth * full(s.outputs, lanes)


def _few_input(s: Shape, dtype: np.dtype) -> bool:
    """Whether the gradient by the input has few channels; over strides, few taps for each place too."""
    image, taps = 4 * math.prod(s.y[1:]), math.prod(s.kernel)
    if s.stride != (1, 1, 1):
        return taps <= 25 and s.inputs * taps <= BACK and s.size[2] >= 24 and image < 2 * ROOM
    return s.inputs <= 8 and image < ROOM and s.size[2] > lanes_of(dtype) // 2


def _fuller(s: Shape, dtype: np.dtype, of: str) -> bool:
    """Whether pixels fill vectors so much better than channels do that transformed tiles, which fit, take longer."""
    if s.stride != (1, 1, 1) or 4 * math.prod(s.x[1:]) >= ROOM or not conv_tiling.fits(s, dtype, of):
        return False
    _, height, width = s.size if of == "input" else s.out
    return height > 1 and s.flops / 2 / LANES / full(width, LANES) < BESIDE * conv_tiling.cycles(s, of)


def correlate(x, w, y, s: Shape, back: bool) -> None:
    """Fill y with the convolution of x, or x's gradient with that by what it is the result of."""
    p, threads, taps = plan(s, back, lanes_of(x.dtype)), get_num_threads(), math.prod(s.kernel)
    if not len(p.places):  # strides passed over all there is
        y[...] = 0
        return
    rows, _, _, outer, lanes = p.tiles
    inner, whole = x.shape[1] // s.groups, s.inputs // s.groups * taps
    steps = (s.outputs // s.groups * whole, *((taps, whole) if back else (whole, taps)))
    weights = packed(w, p.taps, (inner, outer, rows), steps, s.groups, outer - rows)
    images_correlated(
        p.items, grain(p.items, p.cost), x.reshape(-1), weights, y.reshape(-1), empty((threads, p.length), x.dtype),
        np.zeros(threads, np.int64), p.places, p.parts, (s.groups, inner, *x.shape[2:]), p.room, p.low, p.out,
        p.steps, p.into, p.tiles,
    )  # fmt: skip


def forward(x, w, y, s: Shape) -> None:
    """Fill y of a convolution."""
    correlate(x, w, y, s, False)


def backward(g, w, x, s: Shape) -> None:
    """Fill the gradient by x of <g, y>."""
    correlate(g, w, x, s, True)
