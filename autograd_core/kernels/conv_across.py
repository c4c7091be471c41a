"""Convolution by lines, with channels as lanes: an entry of a line, read once, meets all the taps across that reach it.

Neither input nor weights in a tile wait for each other, and the image keeps its layout: it is read as it lies, or copied
with its padding to where a thread works on it.  Only the result is turned, a few lines at a time.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from . import conv_pixels, conv_tiling
from ._jit import Late, kernel
from ._memory import empty
from ._steps import fill
from ._threads import get_num_threads
from .conv_layout import full, grain, lanes_of, packed, planes_entered
from .conv_shapes import Axis, Shape, backward_taps, bounds, forward_taps

across_tile, turn = Late("_conv_across", "across_tile"), Late("_conv_tile", "turn")
fetch_line = Late("_conv_lines", "fetch_line")
store, swap = Late("_native", "store"), Late("_native", "swap")
REGISTERS = 32  # for sums of a tile and taps across
MOST = 7  # taps across
NEAR = 300_000  # bytes of an image that are copied at a time
TURNED = 192  # places of the result that are computed before they are turned, at most
TURN = 24  # taps that would take as long as to turn a place of the result and what is around it
TILED, TILED_FEW = 0.75, 0.45  # cycles of transformed tiles for each product here, up to which these are quicker


@kernel(chunks=True, written=True, glue=True)
def lines_correlated(begin, end, x, w, y, rooms, taken, places, phases, source, room, low, out, steps, jumps, tiles):
    """Blocks of lines of y (N, G, K, out) from x (N, G, C, D, H, W) and weights (G, blocks, taps, C, lanes).

    rooms: memory of each thread for a block of y, and before it for its block of x, if that is copied; taken: which are
    in use, and which have zeros at the sides.  places: of lines of taps, those of a phase from phases[.] on: the result's
    lines and columns within a jump.  room: D, H, W of what is read, and how far channels are apart there.  out: D, H, W,
    lines of a block, lines that are turned together, both whole jumps.
    """
    groups, channels, depth, height, width = source
    (_, room_h, room_w, of_source), (out_d, out_h, out_w, block, deep) = room, out
    (step_d, step_h, step_w), (jump_h, jump_w) = steps, jumps
    lines, pieces, outer, lanes, kind, copied = tiles
    size, zero, shares, blocks = x.itemsize, x.dtype.type(0), -(-out_h // block), -(-outer // lanes)
    panel, pixels, table = len(w) // (groups * blocks), out_d * out_h * out_w, places.ctypes.data
    of_line, across = panel // len(places), -(-out_w // jump_w)
    mine = 0
    while not swap(taken.ctypes.data, mine, 0, 1):
        mine = (mine + 1) % len(rooms)
    held = rooms[mine]
    if copied and not taken[len(rooms) + mine]:
        held[:] = 0
        taken[len(rooms) + mine] = 1
    staged = held.ctypes.data + size * (copied * channels * of_source)
    staged += -staged % (size * lanes)
    for item in range(begin, end):
        n, h0 = item // shares, item % shares * block
        high, group, here = min(block, out_h - h0), n % groups, n * channels * depth * height * width
        s0, weights = h0 // jump_h * step_h, w.ctypes.data + size * group * blocks * panel
        at = x.ctypes.data + size * (here + s0 * width)
        if copied:
            at = held.ctypes.data
            for c in range(channels):
                first, before = here + c * depth * height * width, (low[0], low[1] - s0, low[2])
                planes_entered(x, held, first, c * of_source, source[2:], room[:3], before)
        shifts = -(-high // deep)
        for index in range(out_d * shifts):
            d, h1 = index // shifts, index % shifts * deep
            some = min(deep, high - h1)
            rows, a = -(-some // (lines * jump_h)), at + size * (d * step_d * room_h + h1 // jump_h * step_h) * room_w
            for k in range(blocks):
                b, wide, count = weights + size * k * panel, min(lanes, outer - k * lanes), jump_h * rows * pieces
                to = (n * outer + k * lanes) * pixels + (d * out_h + h0 + h1) * out_w
                for i in range(count):
                    for c in range(i * wide // count, (i + 1) * wide // count):
                        fetch_line(zero, y.ctypes.data + size * (to + c * pixels), some * out_w)
                    phase, row, piece = i // (rows * pieces), i // pieces % rows, i % pieces
                    first, there = phases[phase], (some - phase + jump_h - 1) // jump_h
                    r0, r1 = row * there // rows, (row + 1) * there // rows
                    v0, v1 = piece * across // pieces * jump_w, min((piece + 1) * across // pieces * jump_w, out_w)
                    if r0 == r1:
                        continue
                    across_tile(
                        zero, (r1 - r0 - 1) * 1024 + (v1 - v0) * 32 + kind,
                        a + size * (r0 * step_h * room_w + v0 // jump_w * step_w), step_h * room_w, table + 8 * first,
                        of_source, b + size * first * of_line, phases[phase + 1] - first, channels,
                        staged + size * ((r0 * jump_h + phase) * out_w + v0) * lanes, jump_h * out_w * lanes,
                    )  # fmt: skip
                for p in range(0, some * out_w, lanes):
                    turn(
                        zero, staged + size * p * lanes, lanes, min(lanes, some * out_w - p), wide,
                        y.ctypes.data + size * (to + p), pixels,
                    )  # fmt: skip
    store(taken.ctypes.data, mine, 0)


class Plan(NamedTuple):
    """What the kernel needs to know of a convolution, or of its gradient by the input."""

    places: np.ndarray
    phases: np.ndarray
    taps: np.ndarray
    room: tuple
    low: tuple
    out: tuple
    steps: tuple
    jumps: tuple
    tiles: tuple
    length: int  # of the memory of a thread
    items: int
    cost: float


def _tile(taps: int, high: int, wide: int, jump: int) -> tuple[int, int]:
    """Lines of a tile, and how many tiles a line has, whole jumps: as many sums as registers hold."""
    most = (REGISTERS - taps - 1) // jump
    pieces = -(-wide // most)
    return max(1, min(4, high, most // -(-wide // pieces))), pieces


def _turned(high: int, wide: int, lines: int, lanes: int) -> int:
    """How many lines are turned together, whose places fill vectors best."""
    counts = range(min(lines, high), max(min(high, TURNED // wide), min(lines, high)) + 1)
    return max(counts, key=lambda n: (full(n * wide, lanes), -n))


def _met(axis: Axis, s: Shape, jump: int) -> tuple[int, int]:
    """Where the first column reads its source first, and the kind of tile: which taps an entry meets for which columns."""
    taps = s.kernel[2]
    if jump == 1:
        (first, _), (second, _) = axis.taps[:2]
        return first, taps * 4 + 2 * (axis.step - 1) + second - first - 1
    late = (s.low[2] - taps + 1) % 2  # whether the last tap meets the second column first
    return (s.low[2] - taps + 1 + late) // 2, 4096 + taps * 4 + 2 * late


@functools.lru_cache(2048)
def plan(s: Shape, back: bool, lanes: int) -> Plan:
    """How a convolution is computed, or, going back, its gradient by the input."""
    parts, source = (backward_taps(s), s.out) if back else (forward_taps(s), s.size)
    inner, outer = (s.outputs, s.inputs) if back else (s.inputs, s.outputs)
    inner, outer, images = inner // s.groups, outer // s.groups, s.n * s.groups
    (out_d, out_h, out_w), jumps = (s.size, s.stride[1:]) if back else (s.out, (1, 1))
    step_d, step_h, step_w = (a.step for a in parts[0].axes)
    low, size = bounds(tuple(parts))
    copied = low != (0, 0, 0) or any(n > m for n, m in zip(size, source))
    high, reach = -(-out_h // jumps[0]), max(o for part in parts for o, _ in part.axes[1].taps)  # lines: of whole jumps
    span = max(size[1] - (high - 1) * step_h, low[1] + reach + 1)
    first, kind = _met(parts[0].axes[2], s, jumps[1])
    lines, pieces = _tile(s.kernel[2], high, -(-out_w // jumps[1]), jumps[1])
    deep = _turned(high, jumps[0] * out_w, lines, lanes)
    most = (NEAR * lanes // (64 * inner * size[0] * size[2]) - span) // step_h + 1
    block = high if images >= 16 and (not copied or most >= high) else max(deep, min(high // 2, most))
    block = min(high, -(-block // deep) * deep)
    room = (size[0], (block - 1) * step_h + span, size[2]) if copied else source
    of_source = math.prod(room)
    of_source += (16 - of_source % 32) % 32 if copied else 0  # neighbouring channels on different cache lines
    outermost = [list(itertools.product(*(a.taps for a in part.axes[:2]))) for part in parts[:: jumps[1]]]
    places = [((d + low[0]) * room[1] + h + low[1]) * room[2] + first + low[2]
              for of_phase in outermost for (d, _), (h, _) in of_phase]  # fmt: skip
    order = range(s.kernel[2]) if jumps[1] > 1 else [k for _, k in parts[0].axes[2].taps]
    taps = [(i * s.kernel[1] + j) * s.kernel[2] + k
            for of_phase in outermost for (_, i), (_, j) in of_phase for k in order]  # fmt: skip
    length = (inner * of_source if copied else 0) + (deep * jumps[0] * out_w + 1) * lanes
    items, flat = images * -(-high // block), lambda v: np.array(v, np.int64)
    cost = out_d * block * (out_w / jumps[1] * -(-outer // lanes) * inner * len(taps) * 0.2 + copied * inner * 10)
    phases = list(itertools.accumulate(map(len, outermost), initial=0))
    return Plan(
        flat(places), flat(phases), flat(taps), (*room, of_source), low,
        (out_d, out_h, out_w, block * jumps[0], deep * jumps[0]), (step_d, step_h, step_w), jumps,
        (lines, pieces, outer, lanes, kind, int(copied)), length, items, cost,
    )  # fmt: skip


def _cheaper(s: Shape, dtype: np.dtype, back: bool) -> bool:
    """Whether pixels as lanes take longer: by how full vectors are, and by the lines that are copied, in nanoseconds."""
    (result, count), lanes = (s.x, s.inputs) if back else (s.y, s.outputs), lanes_of(dtype)
    taps = s.flops / 2 / math.prod(result)
    ours, theirs = plan(s, back, lanes), conv_pixels.plan(s, back, lanes)
    inner = (s.outputs if back else s.inputs) // s.groups
    lines = [p.items * inner * p.room[0] * p.room[1] for p in (ours, theirs)]
    vectors = math.prod(result) / lanes * 0.2
    here = vectors * (taps / full(count // s.groups, lanes) + TURN) + 10 * ours.tiles[-1] * lines[0]
    return here < vectors * (1.15 * taps / full(result[-1], lanes) + 10) + 25 * lines[1]


def goes_back(s: Shape) -> bool:
    """Whether all places within a step, of one or two lines and columns, have taps."""
    parts = backward_taps(s)
    whole = all(axis.taps for part in parts for axis in part.axes) and len(parts) == math.prod(s.stride)
    return whole and s.stride[0] == 1 and s.stride[1] <= 2 and (s.stride[2] == 1 or s.dilation[2] == 1)


@functools.lru_cache(2048)
def fits(s: Shape, dtype: np.dtype, of: str) -> bool:
    """Whether a convolution ("output"), or its gradient by "input", is computed by lines."""
    back, lanes, taps = of == "input", lanes_of(dtype), s.kernel[2]
    if not 2 <= taps <= MOST or s.dilation[2] > 2 or s.stride[2] > 2 or back and not goes_back(s):
        return False
    (_, high, wide), outer, inner = (s.size, s.inputs, s.outputs) if back else (s.out, s.outputs, s.inputs)
    filled = full(outer // s.groups, lanes)
    if filled <= 0.5 or min(high, 4) * wide < 8:
        return False
    if conv_pixels.fits(s, dtype, of):
        return back and s.stride != (1, 1, 1) or _cheaper(s, dtype, back)
    tiled = (TILED if inner // s.groups > lanes else TILED_FEW) * s.flops / 2 / lanes / filled
    return not conv_tiling.fits(s, dtype, of) or conv_tiling.cycles(s, of) > tiled


def correlate(x, w, y, s: Shape, back: bool) -> None:
    """Fill y with the convolution of x, or x's gradient with that by what it is the result of."""
    p, threads, taps = plan(s, back, lanes_of(x.dtype)), get_num_threads(), math.prod(s.kernel)
    outer, lanes = p.tiles[2:4]
    inner, whole = x.shape[1] // s.groups, s.inputs // s.groups * taps
    steps = (s.outputs // s.groups * whole, *((taps, whole) if back else (whole, taps)))
    taken = np.empty(2 * threads, np.int64)
    fill(taken, 0)
    weights = packed(w, p.taps, (inner, outer, lanes), steps, s.groups)
    lines_correlated(
        p.items, grain(p.items, p.cost), x.reshape(-1), weights, y.reshape(-1), empty((threads, p.length), x.dtype),
        taken, p.places, p.phases, (s.groups, inner, *x.shape[2:]), p.room, p.low, p.out, p.steps, p.jumps, p.tiles,
    )  # fmt: skip


def forward(x, w, y, s: Shape) -> None:
    """Fill y of a convolution."""
    correlate(x, w, y, s, False)


def backward(g, w, x, s: Shape) -> None:
    """Fill the gradient by x of <g, y>."""
    correlate(g, w, x, s, True)
