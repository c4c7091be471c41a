"""A step length that meets the strong Wolfe conditions: low enough, and flat enough, along a direction.

The method is that of Nocedal and Wright, chapter 3, with the safeguards of minFunc: first a bracket that must hold such
a point, by steps that grow; then a smaller and smaller one, by cubics through its ends.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np

from autograd_core.kernels.matmul import inner


class Point(NamedTuple):
    """A place on the line: how far, the value there, its gradient, and the slope along the line."""

    t: float
    value: float
    gradient: np.ndarray
    slope: float


def cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where a cubic through two points, with their slopes, is lowest, within bounds."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = sqrt(square)
    place = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(place, low), high)


class Search:
    """One search: `evaluate(t, row)` gives value and gradient, the latter in that row, at a distance along the direction.

    Of the `HELD` rows, one of which may have the first gradient, those are used again whose points are of no more use.
    """

    C1, C2 = 1e-4, 0.9  # how much lower, in terms of the first slope, and how much flatter, it must be
    HELD = 4  # the start, two points, and a new one

    def __init__(
        self, evaluate: Callable, direction: np.ndarray, start: Point, most: int, tolerance: float, rows: list
    ):
        self.evaluate, self.direction, self.start, self.rows = evaluate, direction, start, rows
        self.most, self.tolerance, self.rounds = most, tolerance, 0

    def at(self, t: float, *held: Point) -> Point:
        """The point so far along; others are held."""
        row = next(r for r in self.rows if all(r is not p.gradient for p in (self.start, *held)))
        value, gradient = self.evaluate(t, row)
        return Point(t, value, gradient, inner(gradient, self.direction))

    def too_high(self, p: Point) -> bool:
        """Whether the value has not fallen enough."""
        return p.value > self.start.value + self.C1 * p.t * self.start.slope

    def flat(self, p: Point) -> bool:
        """Whether the slope has become small enough."""
        return abs(p.slope) <= -self.C2 * self.start.slope

    def run(self, t: float) -> Point:
        """The point that is found, from a first guess of where it lies."""
        bracket, done = self._bracket(t)
        return self._narrowed(bracket, done)

    def _bracket(self, t: float) -> tuple[list[Point], bool]:
        """Two points that must have a good one between them, or one that is good."""
        before, now = self.start, self.at(t)
        while self.rounds < self.most:
            if self.too_high(now) or (self.rounds > 1 and now.value >= before.value):
                return [before, now], False
            if self.flat(now):
                return [now], True
            if now.slope >= 0:
                return [before, now], False
            bounds = now.t + 0.01 * (now.t - before.t), now.t * 10
            before, now = now, self.at(cubic(before, now, bounds), now)
            self.rounds += 1
        return [self.start, now], False

    def _narrowed(self, bracket: list[Point], done: bool) -> Point:
        """The better end of a bracket, once it is good, or the bracket small."""
        d = self.direction
        slow, size = False, float(max(d.max(initial=0), -d.min(initial=0)))
        low, high = (0, len(bracket) - 1) if bracket[0].value <= bracket[-1].value else (1, 0)
        while not done and self.rounds < self.most:
            if abs(bracket[1].t - bracket[0].t) * size < self.tolerance:
                break
            t, slow = inside(bracket, cubic(bracket[0], bracket[1]), slow)
            new = self.at(t, *bracket)
            self.rounds += 1
            if self.too_high(new) or new.value >= bracket[low].value:
                bracket[high] = new
                low, high = (0, 1) if bracket[0].value <= bracket[1].value else (1, 0)
                continue
            done = self.flat(new)
            if not done and new.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
        return bracket[low]


def inside(bracket: list[Point], t: float, slow: bool) -> tuple[float, bool]:
    """A guess, kept away from the ends of the bracket if the one before was close to an end, too."""
    ends = [p.t for p in bracket]
    least, most = min(ends), max(ends)
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin:
        return t, False
    if slow or t >= most or t <= least:
        return (most - margin if abs(t - most) < abs(t - least) else least + margin), False
    return t, True
