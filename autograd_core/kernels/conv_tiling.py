"""Which convolutions are computed on transformed tiles, and how tiles lie in images."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from .conv_shapes import Shape

KINDS = ((1, 3), (1, 5), (2, 2), (3, 3), (4, 4), (5, 5), (3, 5), (5, 3))  # taps down and across
LANES = 16
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


def _cycles(s: Shape, t: Tiling, tiles: int, inner: int, outer: int) -> float:
    """What tiles cost: their products, and the transforms of so many channels before and after."""
    several, count = panels(outer)
    points = t.points[0] * t.points[1]
    products = points * tiles * inner * s.kernel[0] * count * several // LANES * s.groups * s.out[0]
    moved = 6 * points * s.size[0] * -(-inner * s.groups // LANES) + 12 * points * s.out[0] * -(
        -outer * s.groups // LANES
    )
    return 1.1 * products + tiles * moved


@functools.lru_cache(2048)
def fits(s: Shape, dtype: np.dtype, backward: bool = False) -> bool:
    """Whether a convolution, or its gradient by the input, is computed on tiles."""
    t = tiling(s)
    if dtype.char != "f" or t is None or s.flops < LEAST:
        return False
    down, across = t.tiles(s.out[1:])
    tiles, inner, outer = s.n * down * across * math.prod(t.phases), s.inputs // s.groups, s.outputs // s.groups
    filled = -(-outer // LANES) * LANES / outer
    if backward:
        several = s.inputs * t.split[1]
        if t.split != (1, 1) and several > LANES and several % LANES:
            return False
        filled, inner, outer = -(-inner // LANES) * LANES / inner, outer, inner * math.prod(t.split)
    else:
        inner *= math.prod(t.split)
    direct = s.flops / 2 / LANES * min(filled, 2)
    return tiles >= LANES and _cycles(s, t, tiles, inner, outer) < 0.75 * direct
