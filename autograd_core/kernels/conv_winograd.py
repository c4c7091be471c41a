"""Winograd's convolution F(4 x 4, 3 x 3) in float32: a quarter of the products, for kernels of 3 x 3 with step 1.

Tiles of 6 x 6 entries of x, 4 apart, and the kernels are transformed so that the convolution becomes 36 products of
matrices; what comes out is transformed back to tiles of 4 x 4 entries of y (Lavin and Gray 2015).  Entries of the
transforms reach 8, so rounding errors are some ten times those of direct sums: measured at 1e-6 to 7e-6 of the largest
entry, and tested to stay below 1e-5.  float64 is always computed directly.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from ._threads import get_num_threads
from .conv_layout import SLACK, channels_last, grain, packed
from .conv_shapes import Shape

tile, turn = Late("_conv_tile", "tile"), Late("_conv_tile", "turn")
input_tiles, cotangent_tiles = Late("_conv_tile", "input_tiles"), Late("_conv_tile", "cotangent_tiles")
filter_tiles, filter_sums = Late("_conv_tile", "filter_tiles"), Late("_conv_tile", "filter_sums")
output_tile = Late("_conv_tile", "output_tile")
store, swap = Late("_native", "store"), Late("_native", "swap")

LANES, ROWS, WIDE = 16, 14, 32
NEAR = 1_800_000  # bytes of transformed tiles that are worked on at a time: most of the second cache
FAR = 512  # tiles that are transformed together for the gradient by weights
START = np.zeros(1, np.int64)


@kernel(chunks=True)
def filters_transformed(begin, end, w, u, inner, blocks):
    """u (36, blocks, C, 32) from w (blocks, 9, C, 32)."""
    size, zero = w.itemsize, w.dtype.type(0)
    for item in range(begin, end):
        k, c = item // inner, item % inner
        for v in range(0, WIDE, LANES):
            a = w.ctypes.data + size * ((k * 9 * inner + c) * WIDE + v)
            b = u.ctypes.data + size * (item * WIDE + v)
            filter_tiles(zero, a, 3 * inner * WIDE, inner * WIDE, b, blocks * inner * WIDE)


@kernel(chunks=True)
def tiles_convolved(begin, end, x, u, y, held, taken, start, source, out, sizes):
    """Blocks of tiles of y (N, K, H, W), from x (N, H', W', C) and u (36, blocks, C, 32).

    held: room for the transformed tiles of each thread; taken: which rooms are in use.
    """
    height, width, inner = source
    out_h, out_w, outer = out
    per_item, total, inner_step, outer_step = sizes
    size, zero = x.itemsize, x.dtype.type(0)
    down, across, blocks = -(-out_h // 4), -(-out_w // 4), -(-outer // WIDE)
    v_step, m_step = per_item * inner_step + LANES, per_item * outer_step + LANES
    room = 0
    while not swap(taken.ctypes.data, room, 0, 1):
        room = (room + 1) % len(taken)
    v = held[room].ctypes.data
    m = v + size * 36 * v_step
    for item in range(begin, end):
        first = item * per_item
        count = min(per_item, total - first)
        for t in range(count):
            n, i, j = (first + t) // (down * across), (first + t) // across % down, (first + t) % across
            a = x.ctypes.data + size * ((n * height + 4 * i) * width + 4 * j) * inner
            for c in range(0, inner, LANES):
                input_tiles(zero, a + size * c, width * inner, inner, v + size * (t * inner_step + c), v_step)
        parts = -(-count // ROWS)
        for e in range(36):
            for k in range(blocks):
                b = u.ctypes.data + size * (e * blocks + k) * inner * WIDE
                for part in range(parts):
                    t0, t1 = part * count // parts, (part + 1) * count // parts
                    tile(
                        zero, t1 - t0, 2, v + size * (e * v_step + t0 * inner_step), inner_step, 1, start.ctypes.data,
                        b, WIDE, start.ctypes.data, 1, inner, m + size * (e * m_step + t0 * outer_step + k * WIDE),
                        outer_step, 0,
                    )  # fmt: skip
        for t in range(count):
            n, i, j = (first + t) // (down * across), (first + t) // across % down, (first + t) % across
            b = y.ctypes.data + size * ((n * outer * out_h + 4 * i) * out_w + 4 * j)
            for k in range(0, outer, LANES):
                output_tile(
                    zero, m + size * (t * outer_step + k), m_step, b + size * k * out_h * out_w, out_h * out_w, out_w,
                    min(LANES, outer - k), min(4, out_h - 4 * i), min(4, out_w - 4 * j),
                )  # fmt: skip
    store(taken.ctypes.data, room, 0)


@kernel(chunks=True)
def tiles_transformed(begin, end, x, v, first, of_input, source, tiles, steps):
    """v (36, panels, T, wide) from tiles of x (N, H', W', C): those of an input, or of a cotangent of the output."""
    height, width, inner = source
    down, across = tiles
    wide, panel_step, tile_step = steps
    size, zero = x.itemsize, x.dtype.type(0)
    for t in range(begin, end):
        n, i, j = (first + t) // (down * across), (first + t) // across % down, (first + t) % across
        a = x.ctypes.data + size * ((n * height + 4 * i) * width + 4 * j) * inner
        for c in range(0, inner, LANES):
            b = v.ctypes.data + size * (c // wide * panel_step + t * wide + c % wide)
            if of_input:
                input_tiles(zero, a + size * c, width * inner, inner, b, tile_step)
            else:
                cotangent_tiles(zero, a + size * c, width * inner, inner, b, tile_step)


@kernel(chunks=True)
def tiles_summed(begin, end, v, d, u, start, many, sizes, keep):
    """u (36, blocks, C, 32) = sum over tiles of v (36, C / 16, T, 16) d (36, blocks, T, 32), added to u if keep."""
    inner, blocks, v_panel, d_panel, v_step, d_step = sizes
    size, zero = v.itemsize, v.dtype.type(0)
    for item in range(begin, end):
        e, k = item // blocks, item % blocks
        b = d.ctypes.data + size * (e * d_step + k * d_panel)
        for c in range(0, inner, LANES // 2):
            a = v.ctypes.data + size * (e * v_step + c // LANES * v_panel + c % LANES)
            tile(
                zero, min(LANES // 2, inner - c), 2, a, 1, LANES, start.ctypes.data, b, WIDE, start.ctypes.data, 1,
                many, u.ctypes.data + size * (item * inner + c) * WIDE, WIDE, keep,
            )  # fmt: skip


@kernel(chunks=True)
def filters_summed(begin, end, u, w, inner, outer):
    """w (K, C, 3, 3) from u (36, blocks, C, 32)."""
    blocks, size, zero = -(-outer // WIDE), u.itemsize, u.dtype.type(0)
    taps = np.empty(9 * LANES, u.dtype)
    for item in range(begin, end):
        k, c = item // inner * LANES, item % inner
        step = blocks * inner * WIDE
        a = u.ctypes.data + size * ((k // WIDE * inner + c) * WIDE + k % WIDE)
        filter_sums(zero, a, 6 * step, step, taps.ctypes.data, LANES)
        b = w.ctypes.data + size * (k * inner + c) * 9
        turn(zero, taps.ctypes.data, LANES, 9, min(LANES, outer - k), b, inner * 9)


def fits(s: Shape, dtype: np.dtype) -> bool:
    """Whether a convolution is one for this method, and large enough for it."""
    if dtype.char != "f" or s.kernel != (1, 3, 3) or s.groups != 1 or s.stride != (1, 1, 1) or s.dilation[1:] != (1, 1):
        return False
    (_, height, width), tiles = s.out, -(-s.out[1] // 4) * -(-s.out[2] // 4)
    deep = min(s.inputs, s.outputs) >= 16 and s.size[0] == 1 == s.out[0]
    return deep and 4 * height * width > 1.3 * 16 * tiles and s.n * tiles >= 16 and s.flops > 1e7


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _winograd(x, w, steps, taps, low, out) -> np.ndarray:
    """y (N, K, 1, *out) from x (N, C, 1, H, W); weights lie at `steps` for (K, C)."""
    n, inner = x.shape[:2]
    outer = w.size // (9 * inner)
    down, across = -(-out[0] // 4), -(-out[1] // 4)
    size = (1, 4 * down + 2, 4 * across + 2)
    source = channels_last(x, (0, *low), size)
    blocks, total = -(-outer // WIDE), n * down * across
    weights = packed(w, taps, (inner, outer, WIDE), (0, *steps), 1)
    u = empty((36 * blocks * inner * WIDE,), x.dtype)
    filters_transformed(blocks * inner, grain(blocks * inner, 60), weights, u, inner, blocks)
    inner_step, outer_step = _up(inner, LANES), blocks * WIDE
    most = max(ROWS, NEAR // (144 * (inner_step + outer_step)) // ROWS * ROWS)
    items = _up(-(-total // most), 2) if total > ROWS else 1
    per_item = -(-total // items)
    items = -(-total // per_item)
    room = 36 * (per_item * (inner_step + outer_step) + 2 * LANES)
    threads = get_num_threads()
    held, taken = empty((threads, room), x.dtype), np.zeros(threads, np.int64)
    y = empty((n, outer, 1, *out), x.dtype)
    tiles_convolved(
        items, 1, source, u, y.reshape(-1), held, taken, START, (*size[1:], inner), (*out, outer),
        (per_item, total, inner_step, outer_step),
    )  # fmt: skip
    return y


TAPS = np.arange(9, dtype=np.int64)


def winograd(x, w, s: Shape) -> np.ndarray:
    """y of a convolution."""
    return _winograd(x, w, (9 * s.inputs, 9), TAPS, s.low[1:], s.out[1:])


def winograd_input(g, w, s: Shape) -> np.ndarray:
    """The gradient by x of <g, y>."""
    low = tuple(2 - p for p in s.low[1:])
    return _winograd(g, w, (9, 9 * s.inputs), TAPS[::-1].copy(), low, s.size[1:])


def winograd_weight(g, x, s: Shape) -> np.ndarray:
    """The gradient by w of <g, y>."""
    down, across, blocks = -(-s.out[1] // 4), -(-s.out[2] // 4), -(-s.outputs // WIDE)
    total = s.n * down * across
    x_size, g_size = (1, 4 * down + 2, 4 * across + 2), (1, 4 * down, 4 * across)
    x, g = channels_last(x, (0, *s.low[1:]), x_size), channels_last(g, (0, 0, 0), g_size)
    count = -(-total // -(-total // FAR))
    v_panel, d_panel = count * LANES, count * WIDE
    v_step, d_step = -(-s.inputs // LANES) * v_panel + LANES, blocks * d_panel + LANES
    v, d = empty((36 * v_step + SLACK,), x.dtype), empty((36 * d_step + SLACK,), x.dtype)
    u = empty((36 * blocks * s.inputs * WIDE,), x.dtype)
    sizes = (s.inputs, blocks, v_panel, d_panel, v_step, d_step)
    for first in range(0, total, count):
        many, tiles = min(count, total - first), (down, across)
        of_x, of_g = grain(many, s.inputs * 4), grain(many, s.outputs * 4)
        tiles_transformed(many, of_x, x, v, first, 1, (*x_size[1:], s.inputs), tiles, (LANES, v_panel, v_step))
        tiles_transformed(many, of_g, g, d, first, 0, (*g_size[1:], s.outputs), tiles, (WIDE, d_panel, d_step))
        tiles_summed(36 * blocks, 1, v, d, u, START, many, sizes, int(first > 0))
    w = empty((s.outputs, s.inputs, 1, 3, 3), x.dtype)
    items = -(-s.outputs // LANES) * s.inputs
    filters_summed(items, grain(items, 100), u, w.reshape(-1), s.inputs, s.outputs)
    return w
