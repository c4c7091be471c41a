"""Direct convolution: sums over taps in registers, without a matrix of windows.

With channels last, the rows of a tile are neighbouring pixels and its lanes are channels of the result.  Where the
result has few channels these are the rows, and the lanes are pixels in their usual order.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, kernel, plain
from ._memory import empty
from .conv_layout import SLACK, channels_first, channels_last, grain, lanes_of, packed, padded
from .conv_shapes import Correlation, Shape, backward_taps, bounds, flat_table, forward_taps, table

turn, tile = Late("_conv_tile", "turn"), Late("_conv_tile", "tile")
blank = Late("_values", "blank")
ROWS = 14  # of a tile
BLOCK = 256  # pixels that are computed before they are put in their place
LINE = 1 << 15  # bytes of a line with all channels, at most, for lines to be turned for each block of rows


@kernel(chunks=True, written=True, glue=True)
def rows_correlated(begin, end, x, w, y, places, starts, source, out, target, sizes, moved):
    """Blocks of rows of y, from x with channels last and weights (G, blocks, taps, depth, lanes).

    source: extents D, H, W and channels of x, and steps; out: D, H, W of what is computed, rows of a block.
    target: extents D, H, W, stride of pixels, first places, steps in y with channels last; stride 0: y is (N, K, out).
    moved: if x is (N, C, H', W') yet, these extents, and padding before; its lines are turned for each block.
    """
    depth, height, width, channels, step_d, step_h, step_w = source
    out_d, out_h, out_w, block = out
    into_d, into_h, into_w, stride, first_d, first_h, first_w, jump_d, jump_h, jump_w = target
    groups, inner, outer, deep, vectors, lanes = sizes
    from_h, from_w, low_h, low_w = moved
    size, zero, several = x.itemsize, x.dtype.type(0), vectors * lanes
    blocks, parts = -(-outer // several), -(-out_h // block)
    panel, pixels = len(places) * deep * several, out_d * out_h * out_w
    row_count, line = -(-out_w // ROWS), width * channels
    held = blank(zero, block * out_w * several if stride == 0 else 1)
    span = height - (out_h - 1) * step_h
    room = blank(zero, ((block - 1) * step_h + span) * line + SLACK if from_h else 1)
    room[:] = 0
    left, right = max(low_w, 0), min(low_w + from_w, width)
    for item in range(begin, end):
        n, d, h0 = item // (parts * out_d), item // parts % out_d, item % parts * block
        h1 = min(h0 + block, out_h)
        from_x = x.ctypes.data
        if from_h:
            from_x = room.ctypes.data
            for i in range((h1 - h0 - 1) * step_h + span):
                h = h0 * step_h + i - low_h
                if not (0 <= h < from_h and left < right):
                    room[i * line : (i + 1) * line] = 0
                    continue
                room[i * line : i * line + left * channels] = 0
                room[i * line + right * channels : (i + 1) * line] = 0
                a = x.ctypes.data + size * ((n * channels * from_h + h) * from_w + left - low_w)
                b = from_x + size * (i * line + left * channels)
                for v in range(0, right - left, lanes):
                    for k in range(0, channels, lanes):
                        turn(
                            zero, a + size * (k * from_h * from_w + v), from_h * from_w, min(lanes, channels - k),
                            min(lanes, right - left - v), b + size * (v * channels + k), channels,
                        )  # fmt: skip
        for gb in range(groups * blocks):
            g, k = gb // blocks, gb % blocks * several
            wide = 1 if outer - k <= lanes else vectors
            for h in range(h0, h1):
                a = (h - h0) * step_h * width if from_h else ((n * depth + d * step_d) * height + h * step_h) * width
                for part in range(row_count):
                    w0, w1 = part * out_w // row_count, (part + 1) * out_w // row_count
                    if stride == 0:
                        c, ldc = held.ctypes.data + size * (((h - h0) * out_w + w0) * several), several
                    else:
                        c = ((n * into_d + first_d + d * jump_d) * into_h + first_h + h * jump_h) * into_w
                        c = y.ctypes.data + size * ((c + first_w + w0 * jump_w) * stride + g * outer + k)
                        ldc = jump_w * stride
                    at = from_x + size * ((a + w0 * step_w) * channels + g * inner)
                    b = w.ctypes.data + size * gb * panel
                    tile(
                        zero, w1 - w0, wide, at, step_w * channels, 1, places.ctypes.data,
                        b, several, starts.ctypes.data, len(places), deep, c, ldc, 0,
                    )  # fmt: skip
            if stride == 0:
                count, to = (h1 - h0) * out_w, ((n * groups + g) * outer + k) * pixels + (d * out_h + h0) * out_w
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


def correlate_rows(x, w, parts: list[Correlation], s: Shape, steps: tuple, shape: tuple) -> np.ndarray:
    """The sum of correlations, in `shape` (N, K, ...), of x (N, C, ...); weights lie at `steps` for (group, K, C)."""
    lanes = lanes_of(x.dtype)
    inner, outer = x.shape[1] // s.groups, shape[1] // s.groups
    vectors = 2 if outer > lanes else 1
    several, whole = vectors * lanes, len(parts) > 1 or not all(a.taps for a in parts[0].axes)
    low, size = bounds(tuple(parts))
    lines = not whole and by_lines(parts[0], size, x.shape[1] * x.itemsize)
    source = x.reshape(-1) if lines else channels_last(x, low, size)
    moved = (*x.shape[3:], *low[1:]) if lines else (0, 0, 0, 0)
    stride = (s.groups - 1) * outer + -(-outer // several) * several if whole else 0
    y = empty((shape[0] * math.prod(shape[2:]) * stride,) if whole else shape, x.dtype)
    for part in parts:
        t = table(part, low, size, s.kernel, (inner, x.shape[1]), several)
        out = tuple(a.count for a in part.axes)
        if not len(t.places):
            put_zeros(y, shape, stride, part, s.stride)
            continue
        weights = packed(w, t.weights, (inner, outer, several), steps, s.groups)
        block = rows_of_block(part.axes)
        items = shape[0] * out[0] * -(-out[1] // block)
        per_item = 2 * block * out[2] * t.depth * len(t.places) * s.groups * -(-outer // several) * several
        rows_correlated(
            items, grain(items, per_item / 150), source, weights, y.reshape(-1), t.places, t.starts,
            (*size, x.shape[1], *(a.step for a in part.axes)), (*out, block),
            (*shape[2:], stride, *part.first, *(s.stride if whole else (1, 1, 1))),
            (s.groups, inner, outer, t.depth, vectors, lanes), moved,
        )  # fmt: skip
    return channels_first(y, shape, stride) if whole else y


def rows_of_block(axes: tuple) -> int:
    """How many rows are computed before they are put in their place."""
    return max(1, min(axes[1].count, BLOCK // axes[2].count))


def by_lines(part: Correlation, size: tuple, pixel: int) -> bool:
    """Whether lines are turned for each block of rows: blocks have few lines in common, and no planes."""
    axis, block = part.axes[1], rows_of_block(part.axes)
    common = size[1] - axis.count * axis.step
    return size[0] == 1 and size[2] * pixel <= LINE and (block == axis.count or 4 * common <= block * axis.step)


def put_zeros(y, shape, stride, part, jumps):
    """Nothing reaches these places."""
    image = y.reshape(shape[0], *shape[2:], stride)
    image[:, part.first[0] :: jumps[0], part.first[1] :: jumps[1], part.first[2] :: jumps[2]] = 0


def correlate_pixels(x, w, part: Correlation, shape: tuple) -> np.ndarray:
    """A correlation with step 1 whose result, of `shape`, has few channels; w is (K, C, taps)."""
    low, size = bounds((part,))
    source = padded(x, low, size)
    starts, places, step = flat_table(part, low, size, x.shape[1])
    out, y = tuple(a.count for a in part.axes), empty(shape, x.dtype)
    block = max(1, min(out[1], 4 * BLOCK // size[2]))
    items, deep = shape[0] * out[0] * -(-out[1] // block), len(part.axes[2].taps)
    sizes = (x.shape[1], shape[1], deep, step, lanes_of(x.dtype))
    cost = 2 * block * size[2] * shape[1] * len(places) * deep / 120
    pixels_correlated(
        items, grain(items, cost), source, w.reshape(-1), y.reshape(-1), places, starts, size, (*out, block), sizes
    )
    return y


def few(channels: int, dtype: np.dtype) -> bool:
    """Whether pixels make better lanes than so many channels."""
    return channels <= lanes_of(dtype) // 2


def direct(x, w, s: Shape) -> np.ndarray:
    """y of a convolution."""
    parts, taps = forward_taps(s), math.prod(s.kernel)
    if s.groups == 1 and s.stride == (1, 1, 1) and few(s.outputs, x.dtype):
        return correlate_pixels(x, w, parts[0], s.y)
    inner = s.inputs // s.groups
    return correlate_rows(x, w, parts, s, (s.outputs // s.groups * inner * taps, inner * taps, taps), s.y)


def direct_input(g, w, s: Shape) -> np.ndarray:
    """The gradient by x of <g, y>."""
    parts, taps = backward_taps(s), math.prod(s.kernel)
    if s.groups == 1 and s.stride == (1, 1, 1) and few(s.inputs, g.dtype):
        turned = plain(w.swapaxes(0, 1)[:, :, ::-1, ::-1, ::-1])
        return correlate_pixels(g, turned, parts[0], s.x)
    inner = s.inputs // s.groups
    return correlate_rows(g, w, parts, s, (s.outputs // s.groups * inner * taps, taps, inner * taps), s.x)
