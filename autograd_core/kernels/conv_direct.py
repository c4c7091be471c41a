"""Direct convolution: sums over taps in registers, without a matrix of windows.

With channels last, the rows of a tile are neighbouring pixels and its lanes are channels of the result.  Where the
result has few channels these are the rows, and the lanes are pixels in their usual order.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, kernel, plain
from .conv_layout import SLACK, channels_last, grain, lanes_of, packed, padded
from .conv_shapes import Correlation, Shape, backward_taps, bounds, flat_table, forward_taps, table

turn, tile = Late("_conv_tile", "turn"), Late("_conv_tile", "tile")
blank = Late("_values", "blank")
ROWS, COLUMNS = 14, 8  # rows of a tile; what is known of a part
BLOCK = 256  # pixels that are computed before they are put in their place
LINE = 1 << 15  # bytes of a line with all channels, at most, for lines to be turned for each block of rows


@kernel(written=True)
def lines_entered(x, room, at, first, count, moved, width, channels, lanes):
    """Put lines from `first` on of an image, which starts at x[at], to room with channels last, zeros around."""
    from_h, from_w, _, low_w = moved
    left, right = max(low_w, 0), min(low_w + from_w, width)
    size, zero, line = x.itemsize, x.dtype.type(0), width * channels
    for i in range(count):
        h = first + i
        if not (0 <= h < from_h and left < right):
            room[i * line : (i + 1) * line] = 0
            continue
        room[i * line : i * line + left * channels] = 0
        room[i * line + right * channels : (i + 1) * line] = 0
        a = x.ctypes.data + size * (at + h * from_w + left - low_w)
        b = room.ctypes.data + size * (i * line + left * channels)
        for v in range(0, right - left, lanes):
            for k in range(0, channels, lanes):
                turn(
                    zero, a + size * (k * from_h * from_w + v), from_h * from_w, min(lanes, channels - k),
                    min(lanes, right - left - v), b + size * (v * channels + k), channels,
                )  # fmt: skip


@kernel(chunks=True, written=True, glue=True)
def rows_correlated(begin, end, x, w, y, places, starts, parts, source, out, jumps, sizes, moved):
    """Blocks of rows of y (N, K, out), from x with channels last, by parts, each of which has the places within a jump.

    parts: of each where its taps are in the tables, how many, and their depth; where its weights (G, blocks, taps, depth,
    lanes) are; its first place and columns.  source: extents D, H, W and channels of x, and steps; out: D, H, W, and
    rows of a block for each place within a jump.
    moved: if x is (N, C, H', W') yet, these extents, and padding before; its lines are turned for each block.
    """
    depth, height, width, channels, step_d, step_h, step_w = source
    (out_d, out_h, out_w, block), (jump_d, jump_h, jump_w) = out, jumps
    groups, inner, outer, vectors, lanes = sizes
    from_h, from_w, low_h, _ = moved
    size, zero, several = x.itemsize, x.dtype.type(0), vectors * lanes
    blocks, pixels, lines = -(-outer // several), out_d * out_h * out_w, -(-out_h // jump_h)
    shares, line = -(-lines // block), width * channels
    held = blank(zero, block * jump_h * out_w * several)
    span = height - (out_h - 1) * step_h
    room = blank(zero, ((block - 1) * step_h + span) * line + SLACK if from_h else 1)
    room[:] = 0
    for item in range(begin, end):
        n, d, h0 = item // (shares * out_d), item // shares % out_d, item % shares * block
        h1, from_x, first = min(h0 + block, lines), x.ctypes.data, h0 * jump_h
        if from_h:
            from_x = room.ctypes.data
            count = (h1 - h0 - 1) * step_h + span
            lines_entered(
                x, room, n * channels * from_h * from_w, h0 * step_h - low_h, count, moved, width, channels, lanes
            )
        for gb in range(groups * blocks):
            g, k = gb // blocks, gb % blocks * several
            wide = 1 if outer - k <= lanes else vectors
            for part in range(len(parts) // COLUMNS):
                of = part * COLUMNS
                t0, taps, deep, weights = parts[of], parts[of + 1], parts[of + 2], parts[of + 3]
                first_d, first_h, first_w, count_w = parts[of + 4], parts[of + 5], parts[of + 6], parts[of + 7]
                row_count, b = -(-count_w // ROWS), w.ctypes.data + size * (weights + gb * taps * deep * several)
                for h in range(h0, h1 if first_d == d % jump_d else h0):
                    into = h * jump_h + first_h - first
                    if first + into >= out_h:
                        continue
                    to = into * out_w + first_w
                    for v in range(count_w if taps == 0 else 0):
                        held[(to + v * jump_w) * several : (to + v * jump_w + 1) * several] = 0
                    a = ((n * depth + d // jump_d * step_d) * height + h * step_h) * width
                    a = (h - h0) * step_h * width if from_h else a
                    for piece in range(row_count if taps else 0):
                        w0, w1 = piece * count_w // row_count, (piece + 1) * count_w // row_count
                        at = from_x + size * ((a + w0 * step_w) * channels + g * inner)
                        tile(
                            zero, w1 - w0, wide, at, step_w * channels, 1, places.ctypes.data + 8 * t0, b, several,
                            starts.ctypes.data + 8 * t0, taps, deep,
                            held.ctypes.data + size * (to + w0 * jump_w) * several, jump_w * several, 0,
                        )  # fmt: skip
            count = (min(h1 * jump_h, out_h) - first) * out_w
            to = ((n * groups + g) * outer + k) * pixels + (d * out_h + first) * out_w
            for p in range(0, count, lanes):
                for j in range(0, min(several, outer - k), lanes):
                    a = held.ctypes.data + size * (p * several + j)
                    b = y.ctypes.data + size * (to + j * pixels + p)
                    turn(zero, a, several, min(lanes, count - p), min(lanes, outer - k - j), b, pixels)


@kernel(chunks=True, written=True, glue=True)
def pixels_correlated(begin, end, x, w, y, places, starts, source, out, sizes):
    """Blocks of rows of y (N, K, out), from x (N, C, D, H, W) and weights (K, len(places), deep); K at most 8."""
    depth, height, width = source
    out_d, out_h, out_w, block = out
    inner, outer, deep, step, lanes = sizes
    size, zero, parts = x.itemsize, x.dtype.type(0), -(-out_h // block)
    vectors = 6 if outer <= 4 else 3
    several = vectors * lanes
    length = -(-((block - 1) * width + out_w) // several) * several
    held = blank(zero, outer * length)
    for item in range(begin, end):
        n, d, h0 = item // (parts * out_d), item // parts % out_d, item % parts * block
        h1 = min(h0 + block, out_h)
        at = x.ctypes.data + size * ((n * inner * depth + d) * height + h0) * width
        for p in range(0, (h1 - h0 - 1) * width + out_w, several):
            tile_at = held.ctypes.data + size * p
            tile(
                zero, outer, vectors, w.ctypes.data, len(places) * deep, 1, places.ctypes.data,
                at + size * p, step, starts.ctypes.data, len(places), deep, tile_at, length, 0,
            )  # fmt: skip
        for k in range(outer):
            for h in range(h1 - h0):
                source_row = held[k * length + h * width : k * length + h * width + out_w]
                to = (((n * outer + k) * out_d + d) * out_h + h0 + h) * out_w
                row = y[to : to + out_w]
                for i in range(len(source_row)):
                    row[i] = source_row[i]


def correlate_rows(x, w, y, parts: list[Correlation], s: Shape, steps: tuple) -> None:
    """Fill y (N, K, ...) with the sum of correlations of x (N, C, ...); weights lie at `steps` for (group, K, C)."""
    lanes, shape = lanes_of(x.dtype), y.shape
    inner, outer = x.shape[1] // s.groups, shape[1] // s.groups
    vectors = 2 if outer > lanes else 1
    low, size = bounds(tuple(parts))
    lines = len(parts) == x.shape[2] == 1 and by_lines(parts[0], size, x.shape[1] * x.itemsize)
    source = x.reshape(-1) if lines else channels_last(x, low, size)
    moved = (*x.shape[3:], *low[1:]) if lines else (0, 0, 0, 0)
    jumps = tuple(n + 1 for n in parts[-1].first)
    tables = [table(part, low, size, s.kernel, (inner, x.shape[1]), vectors * lanes) for part in parts]
    weights = [packed(w, t.weights, (inner, outer, vectors * lanes), steps, s.groups) for t in tables]
    rows, taps, entries = [], 0, 0
    for part, t, of_part in zip(parts, tables, weights):
        rows += [taps, len(t.places), t.depth, entries, *part.first, part.axes[2].count]
        taps, entries = taps + len(t.places), entries + len(of_part)
    block = rows_of_block(parts[0].axes, jumps)
    items = shape[0] * shape[2] * -(-parts[0].axes[1].count // block)
    joined = lambda arrays: arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    rows_correlated(
        items, grain(items, s.flops / items / 150), source, joined(weights), y.reshape(-1),
        joined([t.places for t in tables]), joined([t.starts for t in tables]), np.array(rows, np.int64),
        (*size, x.shape[1], *(a.step for a in parts[0].axes)), (*shape[2:], block), jumps,
        (s.groups, inner, outer, vectors, lanes), moved,
    )  # fmt: skip


def rows_of_block(axes: tuple, jumps: tuple = (1, 1, 1)) -> int:
    """How many rows, for each place within a jump, are computed before they are put in their place."""
    return max(1, min(axes[1].count, BLOCK // (axes[2].count * jumps[1] * jumps[2])))


def by_lines(part: Correlation, size: tuple, pixel: int) -> bool:
    """Whether lines are turned for each block of rows: blocks have few lines in common, and no planes."""
    axis, block = part.axes[1], rows_of_block(part.axes)
    common = size[1] - axis.count * axis.step
    return size[0] == 1 and size[2] * pixel <= LINE and (block == axis.count or 4 * common <= block * axis.step)


def correlate_pixels(x, w, y, part: Correlation) -> None:
    """Fill y, which has few channels, with a correlation with step 1; w is (K, C, taps)."""
    low, size = bounds((part,))
    source = padded(x, low, size)
    starts, places, step = flat_table(part, low, size, x.shape[1])
    out, shape = tuple(a.count for a in part.axes), y.shape
    block = max(1, min(out[1], 4 * BLOCK // size[2]))
    items, deep = shape[0] * out[0] * -(-out[1] // block), len(part.axes[2].taps)
    sizes = (x.shape[1], shape[1], deep, step, lanes_of(x.dtype))
    cost = 2 * block * size[2] * shape[1] * len(places) * deep / 120
    pixels_correlated(
        items, grain(items, cost), source, w.reshape(-1), y.reshape(-1), places, starts, size, (*out, block), sizes
    )


def few(channels: int, dtype: np.dtype) -> bool:
    """Whether pixels make better lanes than so many channels."""
    return channels <= lanes_of(dtype) // 2


def direct(x, w, y, s: Shape) -> None:
    """Fill y of a convolution."""
    parts, taps = forward_taps(s), math.prod(s.kernel)
    if s.groups == 1 and s.stride == (1, 1, 1) and few(s.outputs, x.dtype):
        return correlate_pixels(x, w, y, parts[0])
    inner = s.inputs // s.groups
    return correlate_rows(x, w, y, parts, s, (s.outputs // s.groups * inner * taps, inner * taps, taps))


def direct_input(g, w, x, s: Shape) -> None:
    """Fill the gradient by x of <g, y>."""
    parts, taps = backward_taps(s), math.prod(s.kernel)
    if s.groups == 1 and s.stride == (1, 1, 1) and few(s.inputs, g.dtype):
        turned = plain(w.swapaxes(0, 1)[:, :, ::-1, ::-1, ::-1])
        return correlate_pixels(g, turned, x, parts[0])
    inner = s.inputs // s.groups
    return correlate_rows(g, w, x, parts, s, (s.outputs // s.groups * inner * taps, taps, inner * taps))
