"""Winograd's convolutions in float32: fewer products, for kernels of two to five taps along an axis.

Tiles of 6 x 6 entries of x and the kernels are transformed so that the convolution becomes 36 products of matrices;
what comes out is transformed back to tiles of y, of 4 x 4 entries for 3 x 3 taps (Lavin and Gray 2015).  Taps along
depth add up in the products.  Rounding errors are some times those of direct sums: measured at 5e-7 to 4e-6 of the
largest entry, for 2 x 2 taps up to 9e-6, and tested to stay below 1e-5.  float64 is always computed directly.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, kernel, plain
from ._memory import empty
from ._steps import copy, fill
from ._threads import get_num_threads
from .conv_layout import SLACK, channels_last, grain, packed
from .conv_shapes import Shape
from .conv_tiling import LANES, Tiling, panels, tiling

tile, turn = Late("_conv_tile", "tile"), Late("_conv_tile", "turn")
input_tiles, output_tiles = Late("_conv_transforms", "input_tiles"), Late("_conv_transforms", "output_tiles")
filter_tiles, filter_sums = Late("_conv_transforms", "filter_tiles"), Late("_conv_transforms", "filter_sums")
cotangent_tiles = Late("_conv_transforms", "cotangent_tiles")
store, swap = Late("_native", "store"), Late("_native", "swap")
blank = Late("_values", "blank")

ROWS = 14  # of a tile of products
NEAR = 1_800_000  # bytes of transformed tiles that are worked on at a time: most of the second cache
FAR = 512  # tiles that are transformed together for the gradient by weights
START = np.zeros(1, np.int64)


@kernel(chunks=True, written=True, glue=True)
def filters_transformed(begin, end, w, u, tiling, sizes):
    """u (points, blocks, depth, C, lanes) from w (blocks, depth, taps, C, lanes)."""
    kind, down, across, points_w = tiling
    blocks, depth, inner, several = sizes
    size, zero = w.itemsize, w.dtype.type(0)
    step = blocks * depth * inner * several
    for item in range(begin, end):
        k, c = item // inner, item % inner
        for v in range(0, several, LANES):
            a = w.ctypes.data + size * ((k * down * across * inner + c) * several + v)
            b = u.ctypes.data + size * (item * several + v)
            filter_tiles(zero, kind, a, across * inner * several, inner * several, b, points_w * step, step)


@kernel(written=True)
def lines_entered(zero, x, v, first, count, source, tiling, grid, steps):
    """Transformed tiles v (points, D, lines, tiles, C) of some lines of them."""
    size, depth, height, width, pixel = source
    _, points_h, points_w, side_h, side_w, split_h, split_w, phases_h, phases_w, apart_h, apart_w = tiling
    down, stripes, across = grid
    v_row, v_step, _, _, _, _ = steps
    wide, run, many = phases_w * across, split_w * pixel, int(points_h > 1)
    for index in range(depth * count * wide):
        d, line, j = index // (count * wide), first + index // wide % count, index % wide
        p, i, stripe = line // (down * stripes), line // stripes % down, line % stripes
        row = i * side_h * apart_h + p % phases_h
        column = (stripe * across + j % across) * side_w * apart_w + j // across
        a = x + size * (((p // phases_h * depth + d) * height + row) * width + column) * pixel
        for q in range(split_h):
            for c in range(0, run, LANES):
                at, b = a + size * (q * width * pixel + c), v + size * (index * v_row + q * run + c)
                input_tiles(zero, many, at, apart_h * width * pixel, apart_w * pixel, b, points_w * v_step, v_step)


@kernel(written=True)
def lines_multiplied(zero, v, u, m, starts, rows, points, segments, channels, steps):
    """Products m (points, rows, panels) of transformed tiles and kernels; starts: where segments start in both."""
    size, groups, inner, inner_step, blocks, several = channels
    v_row, v_step, m_row, m_step, _, _ = steps
    panel, parts = segments * inner * several, -(-rows // ROWS)
    for e in range(points):
        for gb in range(groups * blocks):
            b = u + size * (e * groups * blocks + gb) * panel
            for part in range(parts):
                t0, t1 = part * rows // parts, (part + 1) * rows // parts
                at = v + size * (e * v_step + t0 * v_row + gb // blocks * inner_step)
                to = m + size * (e * m_step + t0 * m_row + gb * several)
                tile(
                    zero, t1 - t0, several // LANES, at, v_row, 1, starts, b, several, starts + 8 * segments, segments,
                    inner, to, m_row, 0,
                )  # fmt: skip


@kernel(written=True)
def lines_left(zero, m, held, y, first, count, tiling, grid, channels, into, steps):
    """What lines of tiles add to y, transformed and put together in `held`, with channels last, one by one."""
    kind, _, points_w, side_h, side_w, _, _, phases_h, phases_w, _, _ = tiling
    down, stripes, across = grid
    size, _, _, _, blocks, several = channels
    out_d, out_h, out_w, groups, outer, up_h, up_w, first_h, first_w = into
    _, _, m_row, m_step, held_pixel, held_row = steps
    wide, planes, fine, piece = phases_w * across, out_d * out_h * out_w, held_pixel // up_w, side_h * held_row
    for index in range(out_d * count):
        d, line = index // count, first + index % count
        p, i, stripe = line // (down * stripes), line // stripes % down, line % stripes
        for j in range(wide):
            column = j % across * side_w * phases_w + j // across
            for q in range(up_h):
                for k in range(0, held_pixel, LANES):
                    a = m + size * ((index * wide + j) * m_row + q * (m_row // up_h) + k)
                    b = held + size * (q * piece + column * held_pixel + k)
                    output_tiles(zero, kind, a, points_w * m_step, m_step, b, held_row, phases_w * held_pixel)
        left = stripe * across * side_w * phases_w * up_w - first_w
        low, high = max(0, -left), min(across * side_w * phases_w * up_w, out_w - left)
        for q in range(up_h * side_h):
            row = ((i * side_h + q // up_h) * phases_h + p % phases_h) * up_h + q % up_h - first_h
            if not 0 <= row < out_h:
                continue
            from_held = held + size * (q % up_h * piece + q // up_h * held_row)
            for g in range(groups):
                to = ((p // phases_h * groups + g) * outer * out_d + d) * out_h + row
                for k in range(0, outer, LANES):
                    for s in range(low, high, LANES):
                        a = from_held + size * (s * fine + g * blocks * several + k)
                        b = y + size * (to * out_w + k * planes + left + s)
                        turn(zero, a, fine, min(LANES, high - s), min(LANES, outer - k), b, planes)


@kernel(chunks=True, written=True, glue=True)
def tiles_convolved(begin, end, x, u, y, rooms, taken, depths, source, tiling, grid, block, channels, into, steps):
    """Blocks of lines of tiles of y (N, K, D, H, W), from x (N, D', H', W', C) and u (points, blocks, depth, C, lanes).

    A line of tiles is a stripe of all phases across, in all planes.  rooms: memory for each thread; taken: which are in
    use.  depths: where the taps along depth read.  grid: tiles down, stripes, tiles of one; block: lines of one, all.
    into: sizes and channels of y, the places of y within an entry of a tile, and how many of the first are not in y.
    steps: in the transformed tiles, in the products, in what is put together.
    """
    per_item, lines = block
    points, wide = tiling[1] * tiling[2], tiling[8] * grid[2]
    zero, many, starts = x.dtype.type(0), len(depths), blank(0, 2 * len(depths))
    room = 0
    while not swap(taken.ctypes.data, room, 0, 1):
        room = (room + 1) % len(taken)
    v = rooms[room].ctypes.data
    m = v + x.itemsize * points * steps[1]
    held = m + x.itemsize * points * steps[3]
    for item in range(begin, end):
        first = item * per_item
        count = min(per_item, lines - first)
        lines_entered(zero, x.ctypes.data, v, first, count, source, tiling, grid, steps)
        for k in range(many):
            starts[k], starts[many + k] = depths[k] * count * wide * steps[0], k * channels[2] * channels[5]
        rows = into[0] * count * wide
        lines_multiplied(zero, v, u.ctypes.data, m, starts.ctypes.data, rows, points, many, channels, steps)
        lines_left(zero, m, held, y.ctypes.data, first, count, tiling, grid, channels, into, steps)
    store(taken.ctypes.data, room, 0)


@kernel(chunks=True, written=True, glue=True)
def tiles_transformed(begin, end, x, v, first, source, tiling, grid, steps):
    """v (points, panels, D, T, lanes) from tiles of x (N, D, H', W', C): of an input, or of a cotangent of the output.

    steps: how many parts of a pixel, how far apart, of how many channels are transformed; whether they are inputs.
    """
    depth, height, width, pixel = source
    kind, points_h, points_w, side_h, side_w, phases_h, phases_w, apart_h, apart_w = tiling
    down, across, many = grid
    pieces, piece, run, of_input, several, panel_step, v_step = steps
    size, zero = x.itemsize, x.dtype.type(0)
    blocks = -(-run // several)
    for t in range(begin, end):
        j, jj, i = (first + t) % across, (first + t) // across % phases_w, (first + t) // (across * phases_w) % down
        p = (first + t) // (across * phases_w * down)
        n, row, column = p // phases_h, i * side_h * apart_h + p % phases_h, j * side_w * apart_w + jj
        for d in range(depth):
            a = x.ctypes.data + size * (((n * depth + d) * height + row) * width + column) * pixel
            for q in range(pieces):
                for c in range(0, run, LANES):
                    at = (q * blocks + c // several) * panel_step + (d * many + t) * several + c % several
                    at, b = a + size * (q * piece + c), v.ctypes.data + size * at
                    if of_input:
                        input_tiles(
                            zero, int(points_h > 1), at, apart_h * width * pixel, apart_w * pixel, b,
                            points_w * v_step, v_step,
                        )  # fmt: skip
                    else:
                        cotangent_tiles(
                            zero, kind, at, apart_h * width * pixel, apart_w * pixel, b, points_w * v_step, v_step
                        )  # fmt: skip


@kernel(chunks=True, written=True, glue=True)
def tiles_summed(begin, end, v, d, u, start, depths, sizes, channels, keep):
    """u (points, blocks, depth, C, lanes) = sum over tiles of v (.., C / 16, T, 16) d (.., T, lanes), or added to it."""
    many, out_d, v_panel, d_panel, v_step, d_step = sizes
    groups, inner, blocks, several, pieces, run = channels
    size, zero = v.itemsize, v.dtype.type(0)
    deep = inner // pieces
    for item in range(begin, end):
        e, gb = item // (groups * blocks), item % (groups * blocks)
        b = d.ctypes.data + size * (e * d_step + gb * d_panel)
        low = gb // blocks * inner if groups > 1 else 0
        for k in range(len(depths)):
            for q in range(pieces):
                c = low
                while c < low + deep:
                    rows = min(LANES // 2, LANES - c % LANES, low + deep - c)
                    a = e * v_step + (q * -(-run // LANES) + c // LANES) * v_panel + depths[k] * many * LANES
                    at = ((item * len(depths) + k) * inner + q * deep + c - low) * several
                    tile(
                        zero, rows, several // LANES, v.ctypes.data + size * (a + c % LANES), 1, LANES,
                        start.ctypes.data, b, several, start.ctypes.data, 1, out_d * many, u.ctypes.data + size * at,
                        several, keep,
                    )  # fmt: skip
                    c += rows


@kernel(chunks=True, written=True, glue=True)
def filters_summed(begin, end, u, w, tiling, sizes):
    """w (G, K, C, depth, taps) from u (points, G, blocks, depth, C, lanes)."""
    kind, down, across, points_w = tiling
    groups, blocks, depth, inner, several, outer = sizes
    size, zero, many = u.itemsize, u.dtype.type(0), down * across
    taps, step = blank(zero, many * LANES), groups * blocks * depth * inner * several
    for item in range(begin, end):
        gb, d, c = item // (depth * inner), item // inner % depth, item % inner
        g, k = gb // blocks, gb % blocks * several
        for lane in range(0, min(several, outer - k), LANES):
            a = u.ctypes.data + size * (item * several + lane)
            filter_sums(zero, kind, a, points_w * step, step, taps.ctypes.data, across * LANES, LANES)
            for t in range(0, many, LANES):
                to = (((g * outer + k + lane) * inner + c) * depth + d) * many + t
                turn(
                    zero, taps.ctypes.data + size * t * LANES, LANES, min(LANES, many - t),
                    min(LANES, outer - k - lane), w.ctypes.data + size * to, inner * depth * many,
                )  # fmt: skip


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _tiling(s: Shape) -> Tiling:
    t = tiling(s)
    assert t is not None
    return t


def _split(w: np.ndarray, s: Shape, t: Tiling) -> np.ndarray:
    """Weights (K, C, kernel) with the places within a stride as channels: (K, split, C, depth, taps)."""
    if t.split == (1, 1):
        return w
    (down, across), (high, wide), depth = t.taps, t.split, s.kernel[0]
    room = np.empty((s.outputs, s.inputs, depth, down * high, across * wide), w.dtype)
    fill(room, 0)
    copy(w, room[..., : s.kernel[1], : s.kernel[2]])
    room = room.reshape(s.outputs, s.inputs, depth, down, high, across, wide)
    return plain(room.transpose(0, 4, 6, 1, 2, 3, 5))


def _joined(w: np.ndarray, s: Shape, t: Tiling) -> np.ndarray:
    """The way back."""
    (down, across), (high, wide), depth = t.taps, t.split, s.kernel[0]
    w = w.reshape(s.outputs, high, wide, s.inputs, depth, down, across).transpose(0, 3, 4, 5, 1, 6, 2)
    w = plain(w).reshape(s.outputs, s.inputs, depth, down * high, across * wide)
    return w[..., : s.kernel[1], : s.kernel[2]]


def _lines(count: int, tiles: int) -> int:
    """How many lines of tiles make a block: as many blocks for each of two threads, if there are several."""
    items = -(-count // max(1, tiles))
    return -(-count // (_up(items, 2) if count > 1 else 1))


def _convolved(x, w, s: Shape, t: Tiling, taps, channels, low, counts, y, up, first) -> None:
    """Fill y (N, K, ...) from x (N, C, ...), of which `counts` places are computed.

    channels: groups, how far apart these are in x, inner and outer channels of one, and steps of all three in w.
    """
    groups, inner_step, inner, outer, *weight_steps = channels
    (down, across), kinds = t.tiles(counts), (t.kind, *t.taps, t.points[1])
    n, pixel, out_d, points = x.shape[0], x.shape[1], y.shape[2], math.prod(t.points)
    several, blocks = panels(outer)
    depths = np.arange(s.kernel[0]) * s.dilation[0]
    depth = out_d + int(depths[-1])
    v_row = (t.split[0] - 1) * t.split[1] * pixel + _up(t.split[1] * pixel, LANES)
    m_row = groups * blocks * several
    one = 4 * points * t.phases[1] * (depth * v_row + out_d * m_row)  # bytes of a column of tiles
    stripes = max(1, round(across * one / NEAR))
    stripe = -(-across // stripes)
    stripes = -(-across // stripe)
    extents = t.extents((down, stripes * stripe))
    source = channels_last(x, low, (depth, *extents))
    weights = packed(w, taps, (inner, outer, several), tuple(weight_steps), groups)
    sizes = groups * blocks, len(depths), inner, several
    u, items = empty((points * math.prod(sizes),), x.dtype), math.prod(sizes[:3])
    filters_transformed(items, grain(items, 60), weights, u, kinds, sizes)
    lines = n * t.phases[0] * down * stripes
    per_item = _lines(lines, NEAR // (one * stripe))
    rows = per_item * t.phases[1] * stripe
    v_step, m_step = rows * depth * v_row + LANES, rows * out_d * m_row + LANES
    held_pixel = m_row if up == (1, 1) else up[1] * y.shape[1]
    held_row = stripe * t.sides[1] * t.phases[1] * held_pixel + LANES
    threads, held = get_num_threads(), up[0] * t.sides[0] * held_row + SLACK
    rooms, taken = empty((threads, points * (v_step + m_step) + held), x.dtype), np.zeros(threads, np.int64)
    of_y = (1, y.shape[1]) if up != (1, 1) else (groups, outer)
    tiles_convolved(
        -(-lines // per_item), 1, source, u, y.reshape(-1), rooms, taken, depths, (x.itemsize, depth, *extents, pixel),
        (t.kind, *t.points, *t.sides, *t.split, *t.phases, *t.apart), (down, stripes, stripe), (per_item, lines),
        (x.itemsize, groups, inner, inner_step, blocks, several), (*y.shape[2:], *of_y, *up, *first),
        (v_row, v_step, m_row, m_step, held_pixel, held_row),
    )  # fmt: skip


def winograd(x, w, y, s: Shape) -> None:
    """Fill y of a convolution."""
    t = _tiling(s)
    taps, inner, outer = (
        s.kernel[0] * math.prod(t.taps),
        s.inputs // s.groups * math.prod(t.split),
        s.outputs // s.groups,
    )
    channels = s.groups, inner, inner, outer, outer * inner * taps, inner * taps, taps
    _convolved(x, _split(w, s, t), s, t, np.arange(taps), channels, s.low, s.out[1:], y, (1, 1), (0, 0))


def winograd_input(g, w, x, s: Shape) -> None:
    """Fill the gradient by x of <g, y>."""
    t = _tiling(s)
    taps, inner, outer, (high, wide) = (
        s.kernel[0] * math.prod(t.taps),
        s.outputs // s.groups,
        s.inputs // s.groups,
        t.split,
    )
    channels = s.groups, inner, inner, outer, outer * inner * taps, taps, outer * taps
    if t.split != (1, 1):  # channels of the result are places within a step; those of a line of them make a group
        channels = high, 0, inner, wide * outer, wide * outer * taps, taps, high * wide * outer * taps
    first = tuple(p % step for p, step in zip(s.low[1:], t.split))
    low = [d * (k - 1) - p // step for k, p, step, d in zip(t.taps, s.low[1:], t.split, t.phases)]
    counts = tuple(-(-(n + f) // step) for n, f, step in zip(s.size[1:], first, t.split))
    whole = t._replace(split=(1, 1), apart=t.phases)
    low = (s.dilation[0] * (s.kernel[0] - 1) - s.low[0], *low)
    _convolved(g, _split(w, s, t), s, whole, np.arange(taps)[::-1].copy(), channels, low, counts, x, t.split, first)


def winograd_weight(g, x, w, s: Shape) -> None:
    """Fill the gradient by w of <g, y>."""
    t = _tiling(s)
    (down, across), (high, wide), points = t.tiles(s.out[1:]), t.split, math.prod(t.points)
    out_d, inner, outer = s.out[0], s.inputs // s.groups * high * wide, s.outputs // s.groups
    (several, blocks), run, pieces = panels(outer), wide * s.inputs, high
    depths = np.arange(s.kernel[0]) * s.dilation[0]
    depth, extents = out_d + int(depths[-1]), t.extents((down, across))
    places = tuple(n * side * p for n, side, p in zip((down, across), t.sides, t.phases))
    x, g = channels_last(x, s.low, (depth, *extents)), channels_last(g, (0, 0, 0), (out_d, *places))
    total = s.n * down * across * math.prod(t.phases)
    count = -(-total // -(-total // max(1, FAR * 36 // points // out_d)))
    v_panel, d_panel = count * depth * LANES, count * out_d * several
    v_step, d_step = pieces * -(-run // LANES) * v_panel + LANES, s.groups * blocks * d_panel + LANES
    v, d = empty((points * v_step + SLACK,), x.dtype), empty((points * d_step + SLACK,), x.dtype)
    sizes = s.groups, blocks, len(depths), inner, several
    u = empty((points * math.prod(sizes),), x.dtype)
    shape, of_x = (
        (t.kind, *t.points, *t.sides, *t.phases),
        (pieces, extents[1] * s.inputs, run, 1, LANES, v_panel, v_step),
    )
    of_g = s.groups, outer, outer, 0, several, d_panel, d_step
    for first in range(0, total, count):
        many = min(count, total - first)
        grid, costs = (down, across, many), [depth * pieces * run * points / 9, out_d * s.outputs * points / 9]
        tiles_transformed(
            many, grain(many, costs[0]), x, v, first, (depth, *extents, s.inputs), (*shape, *t.apart), grid, of_x
        )
        tiles_transformed(
            many, grain(many, costs[1]), g, d, first, (out_d, *places, s.outputs), (*shape, *t.phases), grid, of_g
        )
        tiles_summed(
            points * s.groups * blocks, 1, v, d, u, START, depths, (many, out_d, v_panel, d_panel, v_step, d_step),
            (s.groups, inner, blocks, several, pieces, run), int(first > 0),
        )  # fmt: skip
    taps = (
        w.reshape(-1) if t.split == (1, 1) else empty((w.shape[0] * inner * len(depths) * math.prod(t.taps),), x.dtype)
    )
    items = math.prod(sizes[:4])
    filters_summed(items, grain(items, 100), u, taps, (t.kind, *t.taps, t.points[1]), (*sizes, outer))
    if t.split != (1, 1):
        copy(_joined(taps, s, t), w)
