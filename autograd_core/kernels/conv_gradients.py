"""The gradient of a convolution by its weights, directly: for each tap a product of pixels of x with pixels of g."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from .conv_layout import channels_last, grain, lanes_of
from .conv_shapes import Shape, bounds, forward_taps

turn, tile = Late("_conv_tile", "turn"), Late("_conv_tile", "tile")
blank = Late("_values", "blank")
ROWS, ITEMS = 14, 16  # rows of a tile; at least so many items are made
NEAR = 600_000  # bytes of x and g that are worked on at a time


@kernel(chunks=True, written=True, glue=True)
def taps_summed(begin, end, x, g, u, taps, joins, places, starts, sizes, steps, blocks):
    """Partial sums u (parts, G, blocks, taps, C, lanes) over lines of pixels of x and g, both with channels last.

    Line i starts at places[i] in x and starts[i] in g; `taps` says where each reads x, `joins` neighbours together.
    """
    inner, outer, groups, all_inner, vectors, lanes = sizes
    count, step, every = steps
    panels, parts = blocks
    size, zero, several = x.itemsize, x.dtype.type(0), vectors * lanes
    long, all_outer = inner * joins, outer * groups
    pieces = -(-long // ROWS)
    length = len(taps) * long * several
    for item in range(begin, end):
        part, gb = item // (groups * panels), item % (groups * panels)
        group, k = gb // panels, gb % panels * several
        first, last = part * len(places) // parts, (part + 1) * len(places) // parts
        wide = 1 if outer - k <= lanes else vectors
        for line in range(first, last, every):
            lines = min(every, last - line)
            b = g.ctypes.data + size * (group * outer + k)
            for t in range(len(taps)):
                for piece in range(pieces):
                    c0, c1 = piece * long // pieces, (piece + 1) * long // pieces
                    tile(
                        zero, c1 - c0, wide, x.ctypes.data + size * (taps[t] + group * inner + c0), 1,
                        step * all_inner, places.ctypes.data + 8 * line, b, all_outer, starts.ctypes.data + 8 * line,
                        lines, count, u.ctypes.data + size * (item * length + (t * long + c0) * several), several,
                        int(line > first),
                    )  # fmt: skip


@kernel(chunks=True, written=True, glue=True)
def parts_added(begin, end, u, w, taps, inner, outer, blocks):
    """w (G, K, C, taps) from the sum over parts of u (parts, G, blocks, taps, C, lanes of a panel)."""
    groups, panels, parts, several, lanes = blocks
    size, zero = u.itemsize, u.dtype.type(0)
    panel = taps * inner * several
    held = blank(zero, lanes * lanes)
    vectors = several // lanes
    for item in range(begin, end):
        gb, v, c = item // (inner * vectors), item // inner % vectors, item % inner
        group, k = gb // panels, gb % panels * several + v * lanes
        if k >= outer:
            continue
        for t0 in range(0, taps, lanes):
            high = min(lanes, taps - t0)
            for t in range(high):
                line = held[t * lanes : (t + 1) * lanes]
                line[:] = 0
                for part in range(parts):
                    at = (part * groups * panels + gb) * panel + ((t0 + t) * inner + c) * several + v * lanes
                    row = u[at : at + lanes]
                    for i in range(len(line)):
                        line[i] += row[i]
            to = w.ctypes.data + size * (((group * outer + k) * inner + c) * taps + t0)
            turn(zero, held.ctypes.data, lanes, high, min(lanes, outer - k), to, inner * taps)


@functools.lru_cache(2048)
def lines(s: Shape, size: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Where taps, and lines of x and of g start; and how many taps are neighbours that are taken together."""
    low, _ = bounds(tuple(forward_taps(s)))
    d, h, w = (np.arange(k) * step for k, step in zip(s.kernel, s.dilation))
    joined = s.groups == 1 and s.dilation[2] == 1
    w = w[:1] if joined else w
    taps = [((i * size[1] + j) * size[2] + k) * s.inputs for i, j, k in itertools.product(d, h, w)]
    n, i, j = np.indices((s.n, *s.out[:2]))
    places = ((n * size[0] + i * s.stride[0]) * size[1] + j * s.stride[1]) * size[2] * s.inputs
    starts = ((n * s.out[0] + i) * s.out[1] + j) * s.out[2] * s.outputs
    flat = lambda v: np.array(v, np.int64).reshape(-1)
    return flat(taps), flat(places), flat(starts), s.kernel[2] if joined else 1


def direct_weight(g, x, w, s: Shape) -> None:
    """Fill the gradient by w of <g, y>."""
    lanes, inner, outer = lanes_of(x.dtype), s.inputs // s.groups, s.outputs // s.groups
    low, size = bounds(tuple(forward_taps(s)))
    x, g = channels_last(x, low, size), channels_last(g, (0, 0, 0), s.out)
    taps, places, starts, joins = lines(s, size)
    vectors = 2 if outer > lanes else 1
    panels = -(-outer // (vectors * lanes))
    row = (s.out[2] * s.stride[2] * s.inputs + s.out[2] * s.outputs) * x.itemsize
    every = max(1, NEAR // row)
    parts = min(len(places), -(-ITEMS // (panels * s.groups)), max(1, s.flops // 200_000))
    all_taps, items = len(taps) * joins, parts * panels * s.groups
    u = empty((items * all_taps * inner * vectors * lanes,), x.dtype)
    taps_summed(
        items, grain(items, s.flops / items / 100), x, g, u, taps, joins, places, starts,
        (inner, outer, s.groups, s.inputs, vectors, lanes), (s.out[2], s.stride[2], every), (panels, parts),
    )  # fmt: skip
    items = s.groups * panels * inner * vectors
    cost = (parts + 2) * all_taps * 4
    blocks = (s.groups, panels, parts, vectors * lanes, lanes)
    parts_added(items, grain(items, cost), u, w.reshape(-1), all_taps, inner, outer, blocks)
