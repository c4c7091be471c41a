"""The gradient of a convolution by its weights, directly: for each tap a product of pixels of x with pixels of g.

Lines of x are copied to where a thread works on them, with zeros around; lines of g are turned there, some channels last.
These are lanes, channels of x the rows of a tile, whose sums stay in registers over all pixels that are held.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from ._steps import fill
from ._threads import get_num_threads
from .conv_layout import SLACK, grain, lanes_of, planes_entered
from .conv_shapes import Shape

turn, tile = Late("_conv_tile", "turn"), Late("_conv_tile", "tile")
store, swap = Late("_native", "store"), Late("_native", "swap")
blank = Late("_values", "blank")
ROWS, ITEMS = 14, 16  # rows of a tile; at least so many items are made
HELD = 100_000  # entries of x that are held at a time
NEAR = 196  # pixels of g that are turned at a time: with a tile's lines of x in the nearest cache
LEAST = 512  # pixels whose sums are worth their own place


@kernel(written=True, forceinline=True)
def lines_turned(g, slopes, at, k, group, first, h0, s0, s1, source, out, lanes, several):
    """Put lines s0 to s1 of those of a chunk of g, of `several` channels from the k-th on, to slopes[at], channels last."""
    groups, outer, inner, images, depth, height, width = source
    out_d, out_h, out_w, high = out
    size, zero, pixels, s = g.itemsize, g.dtype.type(0), out_d * out_h * out_w, s0
    while s < s1:  # lines of a plane are neighbours
        run, n, d = min(s1 - s, high - s % high), first + s // (out_d * high), s // high % out_d
        a = ((n * groups + group) * outer + k) * pixels + (d * out_h + h0 + s % high) * out_w
        to = at + (s - s0) * out_w * several
        for p in range(0, run * out_w, lanes):
            for c in range(0, min(several, outer - k), lanes):
                turn(
                    zero, g.ctypes.data + size * (a + c * pixels + p), pixels, min(lanes, outer - k - c),
                    min(lanes, run * out_w - p), slopes.ctypes.data + size * (to + p * several + c), several,
                )  # fmt: skip
        s += run


@kernel(chunks=True, written=True, glue=True)
def lines_summed(begin, end, x, g, u, rooms, taken, taps, places, starts, source, out, low, steps, room, shares, sizes):
    """Partial sums u (parts, G, blocks, taps, C, lanes) of products of g (N, G, K, D', H', W') with x (N, G, C, D, H, W).

    rooms: memory of each thread for lines of x, with zeros around, and of g; taken: which are in use, and which have zeros.
    taps: where they read there; places: where lines of a chunk do, and those of an image's last chunk; starts: lines of g.
    room: D, H, W of what is held of x, how far channels and images are apart, images and lines of g of a chunk.  shares:
    of chunks, of blocks of K; chunks, and those of an image.  sizes: vectors of a block, lines of g that are turned at once.
    """
    groups, outer, inner, images, depth, height, width = source
    out_d, out_h, out_w = out
    room_d, room_h, room_w, of_channel, of_image, many, block = room
    (parts, split, chunks, shares_h), (vectors, lanes, every) = shares, sizes
    size, zero, several, panels = x.itemsize, x.dtype.type(0), vectors * lanes, -(-outer // (vectors * lanes))
    pieces, mine = -(-inner // ROWS), 0
    while not swap(taken.ctypes.data, mine, 0, 1):
        mine = (mine + 1) % len(rooms)
    held, cut = rooms[mine], many * of_image
    cut += -(held.ctypes.data // size + cut) % lanes
    if not taken[len(rooms) + mine]:  # around lines of x nothing is written again; what g lacks may be slow numbers
        held[:] = 0
        taken[len(rooms) + mine] = 1
    for item in range(begin, end):
        part, group, share = item // (groups * split), item // split % groups, item % split
        low_panel, high_panel = share * panels // split, (share + 1) * panels // split
        for chunk in range(part * chunks // parts, (part + 1) * chunks // parts):
            first, h0 = chunk // shares_h * many, chunk % shares_h * block
            high, some = min(block, out_h - h0), min(many, images - first)
            for n in range(some):
                for c in range(inner):
                    at = (((first + n) * groups + group) * inner + c) * depth * height * width
                    before = (low[0], low[1] - h0 * steps[1], low[2])
                    planes_entered(
                        x, held, at, n * of_image + c * of_channel, (depth, height, width),
                        (room_d, room_h, room_w), before,
                    )  # fmt: skip
            lines = some * out_d * high
            table = places.ctypes.data + 8 * (many * out_d * block if high < block else 0)
            turns = -(-lines // every)
            for turned in range(low_panel * turns, high_panel * turns):
                panel, s0 = turned // turns, turned % turns * every
                s1, wide = min(s0 + every, lines), 1 if outer - panel * several <= lanes else vectors
                to = u.ctypes.data + size * ((part * groups + group) * panels + panel) * len(taps) * inner * several
                keep = int(chunk > part * chunks // parts or s0 > 0)
                lines_turned(
                    g, held, cut, panel * several, group, first, h0, s0, s1, source,
                    (out_d, out_h, out_w, high), lanes, several,
                )  # fmt: skip
                for t in range(len(taps)):
                    for piece in range(pieces):
                        c0, c1 = piece * inner // pieces, (piece + 1) * inner // pieces
                        tile(
                            zero, c1 - c0, wide, held.ctypes.data + size * (taps[t] + c0 * of_channel), of_channel,
                            steps[2], table + 8 * s0, held.ctypes.data + size * cut, several, starts.ctypes.data,
                            s1 - s0, out_w, to + size * (t * inner + c0) * several, several, keep,
                        )  # fmt: skip
    store(taken.ctypes.data, mine, 0)


@kernel(chunks=True, written=True, glue=True)
def parts_added(begin, end, u, w, taps, inner, outer, blocks):
    """w (G, K, C, taps) from the sum over parts of u (parts, G, blocks, taps, C, lanes of a panel), some channels at a time."""
    groups, panels, parts, several, lanes = blocks
    size, zero, shares = u.itemsize, u.dtype.type(0), -(-inner // lanes)
    held = blank(zero, taps * lanes * several)
    for item in range(begin, end):
        gb, c0 = item // shares, item % shares * lanes
        group, k, many = gb // panels, gb % panels * several, min(lanes, inner - c0)
        long = many * several
        for t in range(taps):
            line = held[t * long : (t + 1) * long]
            for part in range(parts):
                at = (((part * groups * panels + gb) * taps + t) * inner + c0) * several
                row = u[at : at + long]
                if part == 0:
                    for i in range(len(line)):
                        line[i] = row[i]
                    continue
                for i in range(len(line)):
                    line[i] += row[i]
        for c in range(many):
            for v in range(0, min(several, outer - k), lanes):
                for t in range(0, taps, lanes):
                    to = w.ctypes.data + size * (((group * outer + k + v) * inner + c0 + c) * taps + t)
                    turn(
                        zero, held.ctypes.data + size * (t * long + c * several + v), long, min(lanes, taps - t),
                        min(lanes, outer - k - v), to, inner * taps,
                    )  # fmt: skip


class Plan(NamedTuple):
    """What the kernel needs to know of a convolution."""

    taps: np.ndarray
    places: np.ndarray
    starts: np.ndarray
    room: tuple
    shares: tuple
    sizes: tuple
    length: int  # of the memory of a thread


@functools.lru_cache(2048)
def plan(s: Shape, lanes: int) -> Plan:
    """How the gradient is computed: chunks of lines, or of images if these are small."""
    inner, outer = s.inputs // s.groups, s.outputs // s.groups
    (out_d, out_h, out_w), (step_d, step_h, step_w) = s.out, s.stride
    reach = [(k - 1) * d for k, d in zip(s.kernel, s.dilation)]
    room_d, room_w = (out_d - 1) * step_d + reach[0] + 1, (out_w - 1) * step_w + reach[2] + 1
    most = (HELD // (inner * room_d * room_w) - reach[1] - 1) // step_h + 1
    block = -(-out_h // -(-out_h // max(4, most)))
    room_h = (block - 1) * step_h + reach[1] + 1
    of_channel = room_d * room_h * room_w
    of_channel += (16 - of_channel % 32) % 32  # neighbouring channels on different cache lines
    of_image, pixels = inner * of_channel, out_d * out_h * out_w
    many = max(1, min(HELD // of_image, NEAR // pixels, s.n)) if block == out_h else 1
    at = lambda d, h, w=0: (d * room_h + h) * room_w + w
    taps = [at(*(i * d for i, d in zip(tap, s.dilation))) for tap in np.ndindex(*s.kernel)]
    places = [n * of_image + at(d * step_d, h * step_h)
              for high in (block, out_h % block) for n, d, h in np.ndindex(many, out_d, high)]  # fmt: skip
    vectors = 2 if outer > lanes else 1
    turns = -(-many * out_d * block // max(1, NEAR // out_w))
    every, panels, shares_h = -(-many * out_d * block // turns), -(-outer // (vectors * lanes)), -(-out_h // block)
    chunks = -(-s.n // many) * shares_h
    parts = max(1, min(chunks, -(-ITEMS // s.groups), s.n * pixels // LEAST))
    split = max(1, min(panels // 4, ITEMS // (parts * s.groups)))
    flat = lambda v: np.array(v, np.int64)
    length = many * of_image + SLACK + lanes + every * out_w * vectors * lanes
    return Plan(
        flat(taps), flat(places), np.arange(every) * (out_w * vectors * lanes),
        (room_d, room_h, room_w, of_channel, of_image, many, block), (parts, split, chunks, shares_h),
        (vectors, lanes, every), length,
    )  # fmt: skip


def direct_weight(g, x, w, s: Shape) -> None:
    """Fill the gradient by w of <g, y>."""
    p, threads = plan(s, lanes_of(x.dtype)), get_num_threads()
    (vectors, lanes, _), (parts, split, *_), inner, outer = (
        p.sizes,
        p.shares,
        s.inputs // s.groups,
        s.outputs // s.groups,
    )
    several, taps = vectors * lanes, len(p.taps)
    panels, items = -(-outer // several), parts * split * s.groups
    u = empty((parts * s.groups * panels * taps * inner * several,), x.dtype)
    taken = np.empty(2 * threads, np.int64)
    fill(taken, 0)
    lines_summed(
        items, grain(items, s.flops / items / 100), x.reshape(-1), g.reshape(-1), u, empty((threads, p.length), x.dtype),
        taken, p.taps, p.places, p.starts, (s.groups, outer, inner, s.n, *s.size), s.out, s.low, s.stride, p.room,
        p.shares, p.sizes,
    )  # fmt: skip
    items, cost = s.groups * panels * -(-inner // lanes), (parts + 2) * taps * several * 2
    parts_added(
        items, grain(items, cost), u, w.reshape(-1), taps, inner, outer, (s.groups, panels, parts, several, lanes)
    )
