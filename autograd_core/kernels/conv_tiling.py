"""Which convolutions are computed on transformed tiles, and how tiles lie in images."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from .conv_shapes import Shape

KINDS = ((1, 3), (1, 5), (2, 2), (3, 3), (4, 4), (5, 5), (3, 5), (5, 3))  # taps down and across
LANES = 16
GROUP = 32  # channels of a group that are too few for it
LEAST = 10_000_000  # operations that are worth the while


class Tiling(NamedTuple):
    """Tiles of a convolution along its last two axes.

    With a stride the entries within a step count as channels, of which there are `split` along each axis, and taps as
    those of a convolution without; with dilation there are `phases` of images.  Entries of a tile are `apart`.
    """

    kind: int
    taps: tuple
    points: tuple  # entries of a tile
    sides: tuple  # places of the result that come from it
    split: tuple
    phases: tuple
    apart: tuple

    def tiles(self, counts: tuple) -> tuple[int, int]:
        """How many tiles each phase has, down and across, for so many places."""
        rows = zip(counts, self.phases, self.sides)
        return tuple(-(-n // (p * side)) for n, p, side in rows)  # type: ignore[return-value]

    def extents(self, tiles: tuple) -> tuple:
        """How many entries of an image they read."""
        return tuple(a * ((n - 1) * m + p) for a, n, m, p in zip(self.apart, tiles, self.sides, self.points))


@functools.lru_cache(2048)
def tiling(s: Shape) -> Tiling | None:
    """The tiles of a convolution; None if it is not one for this method."""
    taps = tuple(-(-k // step) for k, step in zip(s.kernel[1:], s.stride[1:]))
    strided, dilated = s.stride[1:] != (1, 1), s.dilation[1:] != (1, 1)
    if taps not in KINDS or s.stride[0] != 1 or strided and (s.groups > 1 or dilated):
        return None
    points, sides = tuple(6 if r > 1 else 1 for r in taps), tuple(7 - r if r > 1 else 1 for r in taps)
    phases = s.dilation[1:]
    return Tiling(KINDS.index(taps), taps, points, sides, s.stride[1:], phases, s.stride[1:] if strided else phases)


def panels(outer: int) -> tuple[int, int]:
    """How many channels lie side by side where matrices are multiplied, and how many such panels there are."""
    several = 2 * LANES if outer > LANES else LANES
    return several, -(-outer // several)


def _cycles(s: Shape, t: Tiling, tiles: int, inner: int, outer: int, of: str) -> float:
    """What tiles cost: their products, and the transforms of so many channels before and after, and of kernels."""
    (several, count), points = panels(outer), math.prod(t.points)
    before, after = (9, 16) if of == "weight" else (6, 12)  # cycles for each vector, measured as all numbers here
    kernels = inner * outer * s.groups * s.kernel[0] * (6 * points + 20 * math.prod(t.taps) * (t.split != (1, 1)))
    if of == "weight":
        inner, kernels = -(-inner // LANES) * LANES, 0
    products = inner * s.kernel[0] * count * several // LANES * s.groups * s.out[0]
    moved = before * s.size[0] * -(-inner * s.groups // LANES) + after * s.out[0] * -(-outer * s.groups // LANES)
    return tiles * points * (1.1 * products + moved) + kernels


@functools.lru_cache(2048)
def cycles(s: Shape, of: str) -> float:
    """What a convolution or gradient costs on tiles."""
    t = tiling(s)
    if t is None:
        return math.inf
    tiles, many = s.n * math.prod(t.tiles(s.out[1:])) * math.prod(t.phases), math.prod(t.split)
    inner, outer = s.inputs // s.groups, s.outputs // s.groups
    inner, outer = (outer, inner * many) if of == "input" else (inner * many, outer)
    return _cycles(s, t, tiles, inner, outer, of)


@functools.lru_cache(2048)
def fits(s: Shape, dtype: np.dtype, of: str) -> bool:
    """Whether a convolution ("output"), or its gradient by "input" or "weight", is computed on tiles."""
    t = tiling(s)
    if dtype.char != "f" or t is None or s.flops < LEAST:
        return False
    tiles = s.n * math.prod(t.tiles(s.out[1:])) * math.prod(t.phases)
    inner, outer, strided = s.inputs // s.groups, s.outputs // s.groups, t.split != (1, 1)
    if s.groups > 1 and min(inner, outer) <= GROUP:
        return False
    short = inner if of == "input" else outer
    direct = s.flops / 2 / LANES * min(-(-short // LANES) * LANES / short, 2)  # cycles of vectors that are not full
    if of == "input" and strided and inner * t.split[1] > LANES and inner * t.split[1] % LANES:
        return False
    if strided and of != "weight":
        direct *= 1.1 if of == "input" else 0.7
    return tiles >= LANES and cycles(s, of) < (0.48 if of == "weight" else 0.87) * direct
