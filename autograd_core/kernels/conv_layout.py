"""Layouts of convolution: padding while copying, channels last and back, weights in the order of the tiles."""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, kernel
from ._memory import empty

turn, copy_line = Late("_conv_tile", "turn"), Late("_conv_lines", "copy_line")
copy_lines = Late("_conv_lines", "copy_lines")
blank = Late("_values", "blank")
FEW = 4  # channels that are moved one by one
SLACK = 128  # entries behind an array that vectors may read, whatever is there


@kernel(chunks=True, written=True)
def rows_to_last(begin, end, x, y, sizes, out, low, lanes):
    """Rows of y (N, D', H', W', C) from x (N, C, D, H, W), moved by `low` and zero where x is not."""
    channels, depth, height, width = sizes
    out_depth, out_height, out_width = out
    plane, length = depth * height * width, out_width * channels
    size = x.itemsize
    first, last = max(low[2], 0), min(low[2] + width, out_width)
    for row in range(begin, end):
        h = row % out_height - low[1]
        d = row // out_height % out_depth - low[0]
        n = row // (out_height * out_depth)
        line = y[row * length : (row + 1) * length]
        if not (0 <= h < height and 0 <= d < depth and first < last):
            line[:] = 0
            continue
        line[: first * channels] = 0
        line[last * channels :] = 0
        start = n * channels * plane + (d * height + h) * width + first - low[2]
        if channels <= FEW:
            for c in range(channels):
                from_x, to = x[start + c * plane :][: last - first], line[first * channels + c :]
                for w in range(len(from_x)):
                    to[w * channels] = from_x[w]
            continue
        source = x.ctypes.data + size * start
        target = y.ctypes.data + size * (row * length + first * channels)
        for c in range(0, channels, lanes):
            for w in range(0, last - first, lanes):
                high, wide = min(lanes, channels - c), min(lanes, last - first - w)
                a, b = source + size * (c * plane + w), target + size * (w * channels + c)
                turn(x.dtype.type(0), a, plane, high, wide, b, channels)


@kernel(chunks=True, written=True)
def rows_padded(begin, end, x, y, sizes, out, low, block):
    """Blocks of rows of y (N * C, D', H', W') from x (N * C, D, H, W), moved by `low` and zero where x is not."""
    depth, height, width = sizes
    out_depth, out_height, out_width = out
    first, last = max(low[2], 0), min(low[2] + width, out_width)
    parts = -(-out_height // block)
    for item in range(begin, end):
        plane, d, part = item // (parts * out_depth), item // parts % out_depth, item % parts
        for row in range(part * block, min((part + 1) * block, out_height)):
            h = row - low[1]
            at = ((plane * out_depth + d) * out_height + row) * out_width
            line = y[at : at + out_width]
            if not (0 <= h < height and 0 <= d - low[0] < depth and first < last):
                for w in range(len(line)):
                    line[w] = 0
                continue
            for w in range(first):
                line[w] = 0
            for w in range(last, out_width):
                line[w] = 0
            source = x[((plane * depth + d - low[0]) * height + h) * width + first - low[2] :]
            line = line[first:last]
            for w in range(len(line)):
                line[w] = source[w]


@kernel(written=True)
def planes_entered(x, held, at, to, source, room, low):
    """Put an image, which starts at x[at], to held[to] with zeros above and below; to the sides they are there."""
    (depth, height, width), (room_d, room_h, room_w) = source, room
    size, zero, plane = x.itemsize, x.dtype.type(0), room_h * room_w
    left, right = max(low[2], 0), min(low[2] + width, room_w)
    top, bottom = max(low[1], 0), min(low[1] + height, room_h)
    for d in range(room_d):
        start, from_d = to + d * plane, d - low[0]
        if not (0 <= from_d < depth and top < bottom and left < right):
            held[start : start + plane] = 0
            continue
        held[start : start + top * room_w] = 0
        held[start + bottom * room_w : start + plane] = 0
        first = at + (from_d * height + top - low[1]) * width + left - low[2]
        a, b = x.ctypes.data + size * first, held.ctypes.data + size * (start + top * room_w + left)
        copy_lines(zero, a, width, b, room_w, bottom - top, right - left)


@kernel(chunks=True, written=True)
def weights_packed(begin, end, w, y, taps, sizes, steps):
    """y (G, blocks, taps, C, lanes) from w: entry (g, k, c, tap) at g, k, c times their steps plus the tap's place."""
    inner, outer, blocks, lanes, most = sizes
    group_step, outer_step, inner_step = steps
    for item in range(begin, end):
        g, first = item // blocks, min(item % blocks * lanes, most)
        count = min(lanes, outer - first)
        target = y[item * len(taps) * inner * lanes : (item + 1) * len(taps) * inner * lanes]
        for t in range(len(taps)):
            for c in range(inner):
                line = target[(t * inner + c) * lanes : (t * inner + c + 1) * lanes]
                place = g * group_step + first * outer_step + c * inner_step + taps[t]
                for k in range(count):
                    line[k] = w[place + k * outer_step]
                line[count:] = 0


@kernel(chunks=True, written=True)
def weights_turned(begin, end, w, y, taps, sizes, steps, vector):
    """The same for whole vectors of lanes, of which that many channels are turned at once, with all taps that they have."""
    inner, outer, blocks, lanes, whole = sizes
    group_step, outer_step, inner_step = steps
    size, zero, panel = w.itemsize, w.dtype.type(0), len(taps) * inner * lanes
    held = blank(zero, (whole + vector) * vector)
    for item in range(begin, end):
        g, first = item // blocks, item % blocks * lanes
        if first + lanes > outer:
            y[item * panel : (item + 1) * panel] = 0
        for k in range(0, min(lanes, outer - first), vector):
            high = min(vector, outer - first - k)
            held[:] = 0
            for c in range(inner):
                a = w.ctypes.data + size * (g * group_step + (first + k) * outer_step + c * inner_step)
                for t in range(0, whole, vector):
                    to = held.ctypes.data + size * t * vector
                    turn(zero, a + size * t, outer_step, high, min(vector, whole - t), to, vector)
                to = y.ctypes.data + size * (item * panel + c * lanes + k)
                for t in range(len(taps)):
                    copy_line(zero, held.ctypes.data + size * taps[t] * vector, to + size * t * inner * lanes, vector)


def lanes_of(dtype: np.dtype) -> int:
    """How many entries a vector has."""
    return 64 // dtype.itemsize


def full(count: int, lanes: int) -> float:
    """How much of the vectors so many entries fill."""
    return count / (-(-count // lanes) * lanes)


def grain(count: int, cost: float) -> int:
    """How many items make a chunk, if each costs so many nanoseconds: to wake a thread costs as much as 40000."""
    if count * cost < 40_000:
        return max(count, 1)
    return max(1, min(count, int(20_000 // max(cost, 1.0)) + 1))


def channels_last(x: np.ndarray, low: tuple, out: tuple) -> np.ndarray:
    """x (N, C, D, H, W) as a flat (N, *out, C), moved by `low` and zero where x is not; with slack behind."""
    n, channels, *sizes = x.shape
    if low == (0, 0, 0) and tuple(sizes) == out:
        sizes = out = (1, 1, math.prod(out))
    rows, length = n * out[0] * out[1], out[2] * channels
    y = empty((rows * length + SLACK,), x.dtype)
    if rows * length:
        lanes = lanes_of(x.dtype)
        rows_to_last(rows, grain(rows, length * 0.3), x.reshape(-1), y, (channels, *sizes), out, low, lanes)
    return y


def padded(x: np.ndarray, low: tuple, out: tuple) -> np.ndarray:
    """x (N, C, D, H, W) as a flat (N, C, *out), moved by `low` and zero where x is not; with slack behind."""
    planes, block = x.shape[0] * x.shape[1], 16
    y = empty((planes * out[0] * out[1] * out[2] + SLACK,), x.dtype)
    items = planes * out[0] * -(-out[1] // block)
    if items and out[2]:
        cost = min(block, out[1]) * (out[2] * 0.2 + 5)
        rows_padded(items, grain(items, cost), x.reshape(-1), y, x.shape[2:], out, low, block)
    return y


def packed(w: np.ndarray, taps: np.ndarray, sizes: tuple, steps: tuple, groups: int, most: int = -1) -> np.ndarray:
    """Weights as (G, blocks, taps, C, lanes); sizes are (C, K, lanes); no block starts after `most`, if given."""
    inner, outer, lanes = sizes
    blocks = -(-outer // lanes)
    y = empty((groups * blocks * len(taps) * inner * lanes,), w.dtype)
    count = groups * blocks
    cost, vector, whole = len(taps) * inner * lanes * 0.5, lanes_of(w.dtype), min(steps[1:])
    if lanes % vector == 0 and most < 0 and whole >= FEW:
        sizes = (inner, outer, blocks, lanes, whole)
        weights_turned(count, grain(count, cost), w.reshape(-1), y, taps, sizes, steps, vector)
        return y
    sizes = (inner, outer, blocks, lanes, most if most >= 0 else outer)
    weights_packed(count, grain(count, cost), w.reshape(-1), y, taps, sizes, steps)
    return y
