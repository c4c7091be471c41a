"""Convolution with pixels as lanes: where there are few channels, or each has kernels of its own.

An image is copied, with its padding, to where a thread works on it; a tile is a few channels of the result for the same
16 columns of a few lines.  Nothing else is moved: neither input nor result has to change its layout.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from ._steps import fill
from ._threads import get_num_threads
from .conv_layout import grain, lanes_of, packed
from .conv_shapes import Correlation, Shape, backward_taps, bounds, forward_taps

copy_line, split_line = Late("_conv_lines", "copy_line"), Late("_conv_lines", "split_line")
join_lines, pixel_tile = Late("_conv_lines", "join_lines"), Late("_conv_lines", "pixel_tile")
store, swap = Late("_native", "store"), Late("_native", "swap")
ROOM = 800_000  # bytes of an image that a thread works on
NEAR = 1 << 16
FEW = 256  # products for an entry of the result


@kernel(chunks=True)
def images_correlated(begin, end, x, w, y, rooms, taken, places, source, room, low, out, steps, into, tiles):
    """Blocks of lines of y from x (N, G, C, D, H, W) and weights (G, blocks, taps * C, rows).

    rooms: memory for the copy of each thread; taken: which are in use.
    room: D, H, W of the copy, and how far columns that come after each other are apart there, and channels.
    into: where in y an image, a channel, a plane, a line, and the first of all are.
    """
    groups, channels, depth, height, width = source
    room_d, room_h, room_w, phase, of_source = room
    out_d, out_h, out_w, block = out
    step_d, step_h, step_w = steps
    of_image, of_channel, of_plane, of_line, first = into
    rows, vectors, blocks, outer, lanes = tiles
    size, zero, parts, pitch = x.itemsize, x.dtype.type(0), -(-out_h // block), step_w * phase
    plane, panel = room_h * pitch, len(places) * rows
    mine = 0
    while not swap(taken.ctypes.data, mine, 0, 1):
        mine = (mine + 1) % len(taken)
    held = rooms[mine]
    held[:] = 0
    left, right = max(low[2], 0), min(low[2] + width, room_w)
    at, weights, result, table = held.ctypes.data, w.ctypes.data, y.ctypes.data, places.ctypes.data
    for item in range(begin, end):
        n, h0 = item // parts, item % parts * block
        high = min(block, out_h - h0)
        for line in range(channels * room_d * room_h):
            h = line % room_h + h0 * step_h - low[1]
            d = line // room_h % room_d - low[0]
            c = line // (room_h * room_d)
            start = c * of_source + line % (room_h * room_d) * pitch
            if not (0 <= h < height and 0 <= d < depth and left < right):
                held[start : start + pitch] = 0
                continue
            a = x.ctypes.data + size * ((((n * channels + c) * depth + d) * height + h) * width + left - low[2])
            b = at + size * start
            if step_w == 1:
                copy_line(zero, a, b + size * left, right - left)
            elif step_w == 2:
                odd = left % 2
                even, other = b + size * (odd * phase + left // 2), b + size * ((1 - odd) * phase + left // 2 + odd)
                split_line(zero, a, even, other, right - left)
            else:
                from_x = x[(((n * channels + c) * depth + d) * height + h) * width + left - low[2] :]
                for v in range(left, right):
                    held[start + v % step_w * phase + v // step_w] = from_x[v - left]
        b = result + size * (n // groups * of_image + n % groups * outer * of_channel + first)
        for dh in range(out_d * -(-high // vectors)):
            d, h = dh // -(-high // vectors), min(dh % -(-high // vectors) * vectors, high - vectors)
            for part in range(blocks):
                k = min(part * rows, outer - rows)
                a = weights + size * ((n % groups * blocks + part) * panel)
                for v in range(0, out_w, lanes):
                    pixel_tile(
                        zero, rows, vectors, a, at + size * (d * step_d * plane + h * step_h * pitch + v),
                        step_h * pitch, table, len(places),
                        b + size * (k * of_channel + d * of_plane + (h0 + h) * of_line + v), of_channel, of_line,
                        min(lanes, out_w - v),
                    )  # fmt: skip
    store(taken.ctypes.data, mine, 0)


@kernel(chunks=True)
def lines_joined(begin, end, y, x, width, several):
    """Lines of x (lines, width) from those of y (lines, several, columns), which hold every several-th of them."""
    size, columns = x.itemsize, -(-width // several)
    for line in range(begin, end):
        a, b = y.ctypes.data + size * line * several * columns, x.ctypes.data + size * line * width
        if several == 2:
            join_lines(x.dtype.type(0), a, a + size * columns, b, width)
        else:
            for v in range(width):
                x[line * width + v] = y[(line * several + v % several) * columns + v // several]


class Plan(NamedTuple):
    """What the kernel needs to know of one correlation."""

    places: np.ndarray
    taps: np.ndarray
    room: tuple
    low: tuple
    out: tuple
    steps: tuple
    tiles: tuple
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
def plan(part: Correlation, kernel: tuple, images: int, inner: int, outer: int, lanes: int) -> Plan:
    """A correlation of so many images (of one group each), from inner to outer channels."""
    low, size = bounds((part,))
    step_w, (out_d, out_h, out_w) = part.axes[2].step, (a.count for a in part.axes)
    step_d, step_h, _ = steps = tuple(a.step for a in part.axes)
    phase, (rows, vectors) = -(-size[2] // step_w), _tile(outer, out_h)
    span = size[1] - (out_h - 1) * step_h
    line = inner * size[0] * step_w * phase * 512 // lanes
    block = max(vectors, min(out_h, NEAR // (line * step_h)))
    block = out_h if images >= 16 and line * size[1] <= ROOM else block
    parts = max(1, out_h // block)
    block = -(-out_h // parts)
    while out_h % block and out_h % block < vectors:
        block += 1
    room = (size[0], (block - 1) * step_h + span, size[2], phase)
    of_source = (room[0] * room[1] * step_w * phase // lanes | 1) * lanes + lanes  # channels on different cache lines
    of_source += lanes * (of_source // lanes % 2 == 0)
    taps, places = [], []
    for (d, i), (h, j), (w, k) in itertools.product(*(a.taps for a in part.axes)):
        taps.append((i * kernel[1] + j) * kernel[2] + k)
        w += low[2]
        at = ((d + low[0]) * room[1] + h + low[1]) * step_w * phase + w % step_w * phase + w // step_w
        places += [at + c * of_source for c in range(inner)]
    flat, items = lambda v: np.array(v, np.int64), images * -(-out_h // block)
    tiles = (rows, vectors, -(-outer // rows), outer, lanes)
    columns = out_d * block * -(-out_w // lanes)
    cost = columns * outer * len(places) * 0.2 + columns * outer * 2 + inner * math.prod(size[:1] + room[1:3]) * 0.15
    out = (out_d, out_h, out_w, block)
    return Plan(flat(places), flat(taps), (*room, of_source), low, out, steps, tiles, items, cost)


def fits(s: Shape) -> bool:
    """Whether each channel is convolved by itself."""
    return s.inputs == s.groups > 1


def _full(count: int, lanes: int) -> float:
    """How much of the vectors so many entries fill."""
    return count / (-(-count // lanes) * lanes)


def fits_output(s: Shape, dtype: np.dtype) -> bool:
    """The same for the result, or there are few channels to sum over, and pixels fill vectors as well as channels do."""
    lanes, image = lanes_of(dtype), 4 * math.prod(s.x[1:])
    few = s.groups == 1 and s.inputs <= 8 and s.inputs * math.prod(s.kernel) <= FEW and s.stride == (1, 1, 1)
    return fits(s) or few and image < ROOM and _full(s.out[2], lanes) >= 0.9 * _full(s.outputs, lanes)


def fits_input(s: Shape, dtype: np.dtype) -> bool:
    """The same for the gradient by the input, or it has few channels, and there are few taps for each place or many."""
    few, image = s.groups == 1 and s.inputs <= 8, 4 * math.prod(s.y[1:])
    if few and s.stride == (1, 1, 1) and image < ROOM:
        many = math.prod(s.kernel) >= 16 and s.outputs * math.prod(s.kernel) <= 2 * FEW
        return fits(s) or many and s.size[2] > lanes_of(dtype) // 2
    return fits(s) or few and s.inputs <= 4 and s.stride != (1, 1, 1) and s.size[2] >= 24 and image < 2 * ROOM


def correlate(x, w, part: Correlation, s: Shape, weight_steps: tuple, y, into: tuple) -> None:
    """Put the result of a correlation of x (N, C, D, H, W) where it belongs in y."""
    inner, outer = x.shape[1] // s.groups, y.shape[1] // s.groups
    p = plan(part, s.kernel, s.n * s.groups, inner, outer, lanes_of(x.dtype))
    rows = p.tiles[0]
    weights = packed(w, p.taps, (inner, outer, rows), weight_steps, s.groups, outer - rows)
    threads, lanes = get_num_threads(), lanes_of(x.dtype)
    rooms = empty((threads, inner * p.room[-1] + 2 * lanes), x.dtype)
    images_correlated(
        p.items, grain(p.items, p.cost), x.reshape(-1), weights, y.reshape(-1), rooms,
        np.zeros(threads, np.int64), p.places, (s.groups, inner, *x.shape[2:]), p.room, p.low, p.out,
        p.steps, into, p.tiles,
    )  # fmt: skip


def _steps(shape: tuple, width: int) -> tuple:
    """How far images, channels, planes and lines of so many entries are apart."""
    _, k, d, h, _ = shape
    return k * d * h * width, d * h * width, h * width, width


def forward(x, w, s: Shape) -> np.ndarray:
    """y of a convolution."""
    y, taps, inner = empty(s.y, x.dtype), math.prod(s.kernel), s.inputs // s.groups
    steps = (s.outputs // s.groups * inner * taps, inner * taps, taps)
    correlate(x, w, forward_taps(s)[0], s, steps, y, (*_steps(s.y, s.out[2]), 0))
    return y


def backward(g, w, s: Shape) -> np.ndarray:
    """The gradient by x of <g, y>."""
    x, several, (d, h, _) = empty(s.x, g.dtype), min(s.stride[2], s.size[2]), s.stride
    taps, inner = math.prod(s.kernel), s.inputs // s.groups
    columns = -(-s.size[2] // several)
    y = empty((*s.x[:4], several * columns), g.dtype) if several > 1 else x
    parts = backward_taps(s)
    if not all(a.taps for part in parts for a in part.axes):
        fill(y, 0)
    image, channel, plane, line = _steps(s.x, several * columns)
    for part in parts:
        if all(a.taps for a in part.axes):
            first = part.first[0] * plane + part.first[1] * line + part.first[2] * columns
            steps = (s.outputs // s.groups * inner * taps, taps, inner * taps)
            correlate(g, w, part, s, steps, y, (image, channel, d * plane, h * line, first))
    if several > 1:
        lines = math.prod(s.x[:4])
        lines_joined(lines, grain(lines, 10 + s.size[2] * 0.3), y.reshape(-1), x.reshape(-1), s.size[2], several)
    return x
