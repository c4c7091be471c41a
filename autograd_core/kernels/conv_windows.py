"""The gradient of a convolution by its weights with pixels as lanes: inner products of planes of g with windows of x.

Lines of x are copied to where a thread works on them, with zeros around, and with strides the places within a step each to
a plane of their own; lines of g are copied as far apart as those of x.  So all taps read the same long lines from other
places, whatever the stride and dilation, and neither x nor g has to change its layout.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from ._threads import get_num_threads
from .conv_layout import SLACK, full, grain, lanes_of
from .conv_shapes import Shape

copy_line, split_line = Late("_conv_lines", "copy_line"), Late("_conv_lines", "split_line")
window_products, blank = Late("_conv_lines", "window_products"), Late("_values", "blank")
store, swap = Late("_native", "store"), Late("_native", "swap")
SUMS, ROWS, COLUMNS = 24, 4, 12  # of a tile, at most
NEAR = 64  # vectors of a line of g that are worked on at a time: with ROWS lines in the nearest cache
HELD, FAR = 1 << 18, 1 << 21  # entries of x that are; where channels fill few of the lanes
ITEMS = 16  # are made at least
AROUND = 6  # vectors that would take as long as to add up what a tile has, and what is around it
LEAST, LESS = 0.7, 0.95  # of the lanes that are filled; of what channels as lanes reach, which is as quick
FEW = 5  # cycles that a tile of channels takes at least, for each pixel
PAIRS = 64  # of channels in a group, at most, for kernels of 1 x 1


@kernel(written=True)
def lines_spread(x, held, at, to, source, low, count, steps, phases):
    """Put lines of x, an image that starts at x[at], to held[to]: to a plane for each place within a step, zeros beyond.

    count: lines and columns of such a plane; low: how far before the image they begin.
    """
    (height, width), (low_h, low_w), (lines, pitch), (step_h, step_w) = source, low, count, steps
    size, zero, many_h, many_w = x.itemsize, x.dtype.type(0), phases[0], phases[1]
    left, right = max(low_w, 0), min(low_w + width, pitch * step_w)
    for p in range(many_h):
        for line in range(lines):
            start, h = to + (p * many_w * lines + line) * pitch, line * step_h + p - low_h
            if not (0 <= h < height and left < right):
                for q in range(many_w):
                    held[start + q * lines * pitch : start + q * lines * pitch + pitch] = 0
                continue
            first = at + h * width + left - low_w
            a, b = x.ctypes.data + size * first, held.ctypes.data + size * start
            if step_w == 1:
                copy_line(zero, a, b + size * left, right - left)
            elif step_w == 2 and many_w == 2:
                even = left % 2 * lines * pitch + left // 2
                other = (1 - left % 2) * lines * pitch + left // 2 + left % 2
                split_line(zero, a, b + size * even, b + size * other, right - left)
            else:
                for q in range(many_w):
                    v = left + (q + step_w - left % step_w) % step_w
                    while v < right:
                        held[start + q * lines * pitch + v // step_w] = x[first + v - left]
                        v += step_w


@kernel(written=True, forceinline=True)
def images_spread(x, held, group, first, h0, source, low, steps, room):
    """Put what lines of g from h0 on read of a group of images, from the first on, to held; zeros where there are none."""
    groups, outer, inner, images, depth, height, width = source
    many, planes, lines, pitch, many_h, many_w, of_plane, of_image, of_channel, block, deep, lanes = room
    for c in range(inner):
        for n in range(many):
            for d in range(planes):
                to, of_x = c * of_channel + n * of_image + d * of_plane, d - low[0]
                if first + n < images and 0 <= of_x < depth:
                    at = ((((first + n) * groups + group) * inner + c) * depth + of_x) * height * width
                    lines_spread(
                        x, held, at, to, (height, width), (low[1] - h0 * steps[1], low[2]), (lines, pitch),
                        (steps[1], steps[2]), (many_h, many_w),
                    )  # fmt: skip
                else:
                    held[to : to + of_plane] = 0


@kernel(written=True, forceinline=True)
def slopes_spread(g, slopes, aligned, group, k0, count, first, h0, source, out, room):
    """Put lines of g from h0 on, of `count` channels and of images from the first on, as far apart as those of x."""
    groups, outer, inner, images, depth, height, width = source
    out_d, out_h, out_w = out
    many, planes, lines, pitch, many_h, many_w, of_plane, of_image, of_channel, block, deep, lanes = room
    size, zero, length, segments = g.itemsize, g.dtype.type(0), deep * lanes, many * out_d
    high = min(block, out_h - h0)
    for k in range(count):
        for s in range(segments):
            to = aligned + (k * segments + s) * length
            n, d = first + s // out_d, s % out_d
            if n >= images:
                slopes[to : to + length] = 0
                continue
            at = (((n * groups + group) * outer + k0 + k) * out_d + d) * out_h + h0
            a, b = g.ctypes.data + size * at * out_w, slopes.ctypes.data + size * to
            for h in range(high):
                copy_line(zero, a + size * h * out_w, b + size * h * pitch, out_w)
            if high < block:
                slopes[to + high * pitch : to + length] = 0


@kernel(chunks=True, written=True, glue=True)
def windows_multiplied(
    begin, end, x, g, u, rooms, taken, places, starts, source, out, low, steps, room, blocks, shares
):
    """Partial sums u (parts, G, tiles) of products of g (N, G, K, D', H', W') with windows of x (N, G, C, D, H, W).

    rooms: memory of each thread for copies of x and g; taken: which are in use.  places: where each channel's taps read there;
    starts: where pairs of planes start in the copies of g and x.  room: images, planes, lines and columns of a copy, planes
    within a step, and how far planes, images and channels are apart.  blocks: of channels of g, of places.
    """
    groups, outer, inner, images, depth, height, width = source
    many, planes, lines, pitch, many_h, many_w, of_plane, of_image, of_channel, block, deep, lanes = room
    row_blocks, column_blocks, wide = blocks
    parts, split, chunks, across = shares
    size, zero, columns, segments = x.itemsize, x.dtype.type(0), len(places), len(starts) // 2
    of_g = segments * deep * lanes
    mine = 0
    while not swap(taken.ctypes.data, mine, 0, 1):
        mine = (mine + 1) % len(taken)
    cut = rooms.shape[1] - ROWS * of_g - lanes
    held, slopes = rooms[mine][:cut], rooms[mine][cut:]
    aligned = -slopes.ctypes.data // size % lanes  # vectors that lie in two lines of the cache are read twice
    held[:] = 0  # what lies around and between lines is never written again
    slopes[:] = 0
    for item in range(begin, end):
        part, group, share = item // (groups * split), item // split % groups, item % split
        for chunk in range(part * chunks // parts, (part + 1) * chunks // parts):
            first, h0 = chunk // across * many, chunk % across * block
            images_spread(x, held, group, first, h0, source, low, steps, room)
            for row in range(share * row_blocks // split, (share + 1) * row_blocks // split):
                k0, k1 = row * outer // row_blocks, (row + 1) * outer // row_blocks
                slopes_spread(g, slopes, aligned, group, k0, k1 - k0, first, h0, source, out, room)
                target = ((part * groups + group) * row_blocks + row) * column_blocks * wide
                for column in range(column_blocks):
                    c0, c1 = column * columns // column_blocks, (column + 1) * columns // column_blocks
                    window_products(
                        zero, k1 - k0, c1 - c0, slopes.ctypes.data + size * aligned, of_g, held.ctypes.data,
                        places.ctypes.data + 8 * c0, starts.ctypes.data, segments, deep,
                        u.ctypes.data + size * (target + column * wide), int(chunk > part * chunks // parts),
                    )  # fmt: skip
    store(taken.ctypes.data, mine, 0)


@kernel(chunks=True, written=True, glue=True)
def tiles_added(begin, end, u, w, parts, outer, columns, blocks):
    """w (G, K, places) from the sum over parts of u (parts, G, blocks of K, blocks of places, rows * columns)."""
    row_blocks, column_blocks, wide = blocks
    held = blank(w.dtype.type(0), wide)
    for item in range(begin, end):
        group, row = item // row_blocks, item % row_blocks
        k0, k1 = row * outer // row_blocks, (row + 1) * outer // row_blocks
        for column in range(column_blocks):
            c0, c1 = column * columns // column_blocks, (column + 1) * columns // column_blocks
            held[:] = 0
            for part in range(parts):
                at = ((part * (len(w) // (outer * columns)) * row_blocks + item) * column_blocks + column) * wide
                tile = u[at : at + wide]
                for i in range(len(held)):
                    held[i] += tile[i]
            for k in range(k1 - k0):
                to = (group * outer + k0 + k) * columns + c0
                for c in range(c1 - c0):
                    w[to + c] = held[k * (c1 - c0) + c]


class Room(NamedTuple):
    """How much is worked on at a time: images, planes, lines and columns of copies; places of a step; distances."""

    many: int
    planes: int
    lines: int
    pitch: int
    many_h: int
    many_w: int
    of_plane: int
    of_image: int
    of_channel: int
    block: int  # lines of g
    deep: int  # vectors that they take
    lanes: int


class Plan(NamedTuple):
    """What the kernels need to know of a convolution."""

    places: np.ndarray
    starts: np.ndarray
    room: Room
    blocks: tuple
    shares: tuple
    length: int  # of the memory of a thread


@functools.lru_cache(2048)
def room(s: Shape, lanes: int) -> Room:
    """Blocks of lines, or of images if these are small."""
    inner, step_h, step_w = s.inputs // s.groups, *s.stride[1:]
    reach = [(k - 1) * d for k, d in zip(s.kernel, s.dilation)]
    many_h, many_w = (min(step, r + 1) for step, r in zip(s.stride[1:], reach[1:]))
    pitch, planes = s.out[2] + reach[2] // step_w, (s.out[0] - 1) * s.stride[0] + reach[0] + 1
    block = max(1, NEAR * lanes // (pitch * s.out[0]))
    block = -(-s.out[1] // -(-s.out[1] // block))
    deep, lines = -(-((block - 1) * pitch + s.out[2]) // lanes), block + reach[1] // step_h
    of_plane = many_h * many_w * lines * pitch
    most = min(NEAR // (deep * s.out[0]), HELD // (inner * planes * of_plane), s.n // 2)
    many = max(1, most) if block == s.out[1] else 1
    sizes = planes * of_plane, many * planes * of_plane + lanes
    return Room(many, planes, lines, pitch, many_h, many_w, of_plane, *sizes, block, deep, lanes)


@functools.lru_cache(2048)
def plan(s: Shape, lanes: int) -> Plan:
    """How the gradient is computed: for blocks of channels of g and of places, and parts of all images."""
    inner, outer, r = s.inputs // s.groups, s.outputs // s.groups, room(s, lanes)
    (step_d, step_h, step_w), taps = s.stride, [[i * d for i in range(k)] for k, d in zip(s.kernel, s.dilation)]
    within = lambda i, j: ((i % step_h * r.many_w + j % step_w) * r.lines + i // step_h) * r.pitch + j // step_w
    channels = range(0, inner * r.of_channel, r.of_channel)
    places = [c + d * r.of_plane + within(i, j) for c, d, i, j in itertools.product(channels, *taps)]
    of_x = [n * r.of_image + d * step_d * r.of_plane for n in range(r.many) for d in range(s.out[0])]
    starts = [at for k, start in enumerate(of_x) for at in (k * r.deep * lanes, start)]
    rows = min(ROWS, outer)
    blocks = -(-outer // rows), -(-len(places) // min(COLUMNS, SUMS // rows)), -(-SUMS // lanes) * lanes
    across = -(-s.out[1] // r.block)
    chunks = -(-s.n // r.many) * across
    parts = max(1, min(chunks, -(-ITEMS // s.groups), s.n * math.prod(s.out) // 1024))
    split = max(1, min(blocks[0] // 4, ITEMS // (2 * parts * s.groups)))
    flat = lambda v: np.array(v, np.int64)
    length = inner * r.of_channel + SLACK + ROWS * len(of_x) * r.deep * lanes + lanes
    return Plan(flat(places), flat(starts), r, blocks, (parts, split, chunks, across), length)


def _reached(inner: int, outer: int, lanes: int) -> float:
    """How much of what the processor can multiply is left where channels are rows and lanes of tiles, two vectors wide."""
    pieces, vectors = -(-inner // 14), -(-outer // lanes)
    rows, whole, odd = inner / pieces, vectors // 2, vectors % 2
    return inner * outer / lanes / 2 / (pieces * (whole * max(rows, FEW) + odd * max(rows / 2, FEW)))


@functools.lru_cache(2048)
def fits(s: Shape, dtype: np.dtype) -> bool:
    """Whether pixels fill vectors, or channels do so much less, and what is held is near."""
    lanes, inner, outer = lanes_of(dtype), s.inputs // s.groups, s.outputs // s.groups
    r = room(s, lanes)
    held = inner * r.of_channel
    if s.groups > 1 and full(outer, lanes) <= 0.5 and (s.kernel != (1, 1, 1) or inner * outer <= PAIRS):
        return held <= FAR
    vectors, useful = r.many * s.out[0] * r.deep, r.many * s.out[0] * r.block * s.out[2]
    filled = useful / lanes > max(LEAST, LESS * _reached(inner, outer, lanes)) * (vectors + AROUND)
    near = held <= 2 * HELD and vectors <= 2 * NEAR and r.lines <= 1.5 * r.block
    return filled and near and s.kernel != (1, 1, 1)


def weight(g, x, w, s: Shape) -> None:
    """Fill the gradient by w of <g, y>."""
    p, threads = plan(s, lanes_of(x.dtype)), get_num_threads()
    (row_blocks, column_blocks, wide), (parts, split, *_) = p.blocks, p.shares
    u = empty((parts * s.groups * row_blocks * column_blocks * wide,), x.dtype)
    inner, outer, items = s.inputs // s.groups, s.outputs // s.groups, parts * s.groups * split
    windows_multiplied(
        items, grain(items, s.flops / items / 100), x.reshape(-1), g.reshape(-1), u, empty((threads, p.length), x.dtype),
        np.zeros(threads, np.int64), p.places, p.starts, (s.groups, outer, inner, s.n, *s.size), s.out, s.low, s.stride,
        p.room, p.blocks, p.shares,
    )  # fmt: skip
    items = s.groups * row_blocks
    tiles_added(
        items, grain(items, column_blocks * wide * parts * 0.2), u, w.reshape(-1), parts, outer, len(p.places), p.blocks
    )
