"""How far to go along a direction: searches that end where the strong Wolfe conditions hold, or at the lowest point.

Near a minimum two values differ by less than their rounding errors, long before the gradient is small.  `Line` then
takes the difference from the slopes at both ends: sufficient decrease becomes the approximate Wolfe condition of Hager
and Zhang, and searches work until the gradient itself is noise.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np

ROUNDING = 1e-12  # values that differ by less, relatively, are told apart by their slopes


class Point(NamedTuple):
    """A place on the line: how far, how much higher than the start, and what was evaluated there."""

    t: float
    rise: float
    slope: float
    x: np.ndarray
    value: float
    gradient: np.ndarray


def rise(before: float, after: float, slope_before: float, slope_after: float, t: float = 1.0) -> float:
    """How much a value grew over a way of length t, from slopes where the values do not tell."""
    if abs(after - before) <= ROUNDING * abs(before):
        return t * (slope_before + slope_after) / 2
    return after - before


class Line:
    """A function on a ray from x: `both(x)` gives value and gradient."""

    def __init__(self, both: Callable, x: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray):
        self.both, self.x, self.value, self.direction = both, x, value, direction
        self.slope = float(gradient @ direction)
        self.start = Point(0.0, 0.0, self.slope, x, value, gradient)

    def at(self, t: float) -> Point:
        """What is found at a distance."""
        x = self.x + t * self.direction
        value, gradient = self.both(x)
        if not (isfinite(value) and np.isfinite(gradient).all()):
            return Point(t, inf, inf, x, inf, gradient)
        slope = float(gradient @ self.direction)
        return Point(t, rise(self.value, value, self.slope, slope, t), slope, x, value, gradient)


def cubic(a: Point, b: Point) -> float | None:
    """Where the cubic through two points, with their slopes, is lowest."""
    width = b.t - a.t
    z = 3 * (a.rise - b.rise) / width + a.slope + b.slope
    size = max(abs(z), abs(a.slope), abs(b.slope))  # squares of what is large would overflow
    square = (z / size) ** 2 - (a.slope / size) * (b.slope / size) if 0 < size < inf else -1.0
    if square < 0:
        return None
    w = size * sqrt(square) * (1 if width > 0 else -1)
    below = b.slope - a.slope + 2 * w
    return b.t - width * (b.slope + w - z) / below if below else None


def secant(a: Point, b: Point) -> float:
    """Where the slope vanishes if it changes evenly."""
    return b.t + b.slope / (b.slope - a.slope) * (a.t - b.t)


class Bracket:
    """The interval of Moré and Thuente: the lowest point so far, and one beyond it once that is known."""

    def __init__(self, start: Point):
        self.low, self.high, self.closed = start, start, False

    def next(self, p: Point, least: float, most: float) -> float:
        """The next trial, after p; p takes its place as an end of the interval."""
        low, high = self.low, self.high
        if p.rise > low.rise:
            t = _after_higher(low, p)
        elif p.slope * np.sign(low.slope) < 0:
            c, s = cubic(low, p), secant(low, p)
            t = s if c is None or abs(c - p.t) <= abs(s - p.t) else c
        elif abs(p.slope) < abs(low.slope):
            t = self._after_flatter(p, least, most)
        else:
            limit = most if p.t > low.t else least
            t = ((p.t + high.t) / 2 if (c := cubic(p, high)) is None else c) if self.closed else limit
        self._take(p)
        return t

    def _after_flatter(self, p: Point, least: float, most: float) -> float:
        """Lower, and flatter: further on, by the more careful of two guesses if something is known to lie there."""
        low, ahead = self.low, p.t > self.low.t
        c, s = cubic(low, p), secant(low, p)
        if c is None or (c - p.t) * (p.t - low.t) <= 0:
            c = most if ahead else least
        if not self.closed:
            return min(max(max(c, s, key=lambda t: abs(t - p.t)), least), most)
        t, limit = min(c, s, key=lambda t: abs(t - p.t)), p.t + 0.66 * (self.high.t - p.t)
        return min(limit, t) if ahead else max(limit, t)

    def _take(self, p: Point) -> None:
        if p.rise > self.low.rise:
            self.high, self.closed = p, True
            return
        if p.slope * np.sign(self.low.slope) < 0:
            self.high, self.closed = self.low, True
        self.low = p

    def width(self) -> float:
        """How long the interval is."""
        return abs(self.high.t - self.low.t)


def _after_higher(low: Point, p: Point) -> float:
    width = p.t - low.t
    parabola = low.t + low.slope / ((low.rise - p.rise) / width + low.slope) / 2 * width
    c = cubic(low, p)
    if c is None:
        return parabola
    return c if abs(c - low.t) < abs(parabola - low.t) else c + (parabola - c) / 2


def wolfe(
    line: Line, t: float, c1: float = 1e-4, c2: float = 0.9, longest: float = inf, most: int = 60
) -> Point | None:
    """A point that is low and flat enough, by the method of Moré and Thuente; None if there is no lower one."""
    bracket, best, first_stage = Bracket(line.start), line.start, True
    widths, t = [inf, inf], min(t, longest)
    for _ in range(most):
        p = line.at(t)
        if p.rise == inf:
            longest, t = t, best.t + (t - best.t) / 4
            continue
        best = min(best, p, key=lambda q: q.rise)
        enough = p.rise <= c1 * t * line.slope
        if enough and (abs(p.slope) <= -c2 * line.slope or (t >= longest and p.slope <= c1 * line.slope)):
            return p
        first_stage = first_stage and not (enough and p.slope >= min(c1, c2) * line.slope)
        t = _step(bracket, p, longest, line.slope * c1 if first_stage and not enough else 0.0)
        if bracket.closed:
            ends = sorted((bracket.low.t, bracket.high.t))
            if bracket.width() >= 0.66 * widths[0]:
                t = sum(ends) / 2
            widths = [widths[1], bracket.width()]
            t = min(max(t, ends[0]), ends[1])
            if widths[1] <= 1e-14 * ends[1] or t == bracket.low.t:
                break
    return best if best.rise < 0 else None


def _step(bracket: Bracket, p: Point, longest: float, tilt: float) -> float:
    """The next trial; at first of the function with a part of the first slope taken off, which falls to a Wolfe point."""
    low = bracket.low
    least, most = (
        (0.0, longest) if bracket.closed else (p.t + 1.1 * (p.t - low.t), min(longest, p.t + 4 * (p.t - low.t)))
    )
    if not tilt or p.rise > low.rise:
        return bracket.next(p, min(least, most), most)
    move = lambda q, s: q._replace(rise=q.rise - s * tilt * q.t, slope=q.slope - s * tilt)
    bracket.low, bracket.high = move(bracket.low, 1), move(bracket.high, 1)
    t = bracket.next(move(p, 1), min(least, most), most)
    bracket.low, bracket.high = move(bracket.low, -1), move(bracket.high, -1)
    return t


def exact(
    line: Line, t: float, c1: float = 0.0, c2: float = 0.0, longest: float = inf, most: int = 100
) -> Point | None:
    """The lowest point: Brent's search for where the slope vanishes, in a bracket that is found first."""
    low, high = line.start, line.at(min(t, longest))
    for _ in range(most):
        if 0 <= high.slope < inf:
            high = _vanishing(line, low, high, most)
            if high.rise <= low.rise:
                break
        if high.rise <= low.rise:
            if high.t >= longest:
                break
            low, high = high, line.at(min(high.t + 2 * (high.t - low.t), longest))
        else:
            middle = line.at(low.t + (high.t - low.t) / (4 if high.rise == inf else 2))
            falls = middle.slope < 0 and middle.rise <= low.rise
            low, high = (middle, high) if falls else (low, middle)
    best = min(low, high, key=lambda p: p.rise)
    return best if best.rise < 0 else None


def _vanishing(line: Line, a: Point, b: Point, most: int) -> Point:
    """Brent's root of the slope between two points at which its signs differ."""
    c, before = a, b.t - a.t
    step = before
    for _ in range(most):
        if (b.slope > 0) == (c.slope > 0):
            c, step, before = a, b.t - a.t, b.t - a.t
        if abs(c.slope) < abs(b.slope):
            a, b, c = b, c, b
        half, least = (c.t - b.t) / 2, 2e-16 * abs(b.t)
        if abs(half) <= least or abs(b.slope) <= 1e-12 * abs(line.slope):
            break
        guess = _inverse(a, b, c)
        inside = 0 < guess / half < 1.5 and abs(guess) < abs(before) / 2
        before, step = (step, guess) if inside else (half, half)
        a, b = b, line.at(b.t + (step if abs(step) > least else np.copysign(least, half)))
    return b


def _inverse(a: Point, b: Point, c: Point) -> float:
    """The step from b to where a line, or a parabola with the slopes as abscissas, vanishes."""
    s = b.slope / a.slope
    if a.t == c.t:
        return (c.t - b.t) * s / (s - 1)
    q, r = a.slope / c.slope, b.slope / c.slope
    above = s * ((c.t - b.t) * q * (q - r) - (b.t - a.t) * (r - 1))
    below = (q - 1) * (r - 1) * (s - 1)
    return -above / below if below else inf


def shorter(slope: float, rise: float) -> float:
    """By what to shorten a step that disappointed: to where a parabola is lowest, within a tenth and a half."""
    if rise == inf or rise <= slope:
        return 0.1 if rise == inf else 0.5
    return min(max(slope / (slope - rise) / 2, 0.1), 0.5)


def backtracking(
    line: Line, t: float, c1: float = 1e-4, c2: float = 1.0, longest: float = inf, most: int = 60
) -> Point | None:
    """The first point that is low enough, among steps that shrink."""
    t = min(t, longest)
    for _ in range(most):
        p = line.at(t)
        if p.rise <= c1 * t * line.slope:
            return p
        t *= shorter(line.slope * t, p.rise)
    return None


SEARCHES: dict[str, Callable[..., Point | None]] = {"wolfe": wolfe, "exact": exact, "backtracking": backtracking}
