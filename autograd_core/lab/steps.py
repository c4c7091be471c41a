"""Differences of one step, and the step that is the best: what the methods of `numeric` are made of."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

EPSILON = float(np.finfo(np.float64).eps)


class Scheme(NamedTuple):
    """A derivative as a sum of weights times f(x + offset * h), divided by h, which is off by a multiple of h**order."""

    offsets: tuple[complex, ...]
    weights: tuple[float, ...]
    order: int


SCHEMES = {
    "forward": Scheme((0, 1), (-1, 1), 1),
    "backward": Scheme((-1, 0), (-1, 1), 1),
    "central": Scheme((-1, 1), (-1 / 2, 1 / 2), 2),
    "richardson": Scheme((-2, -1, 1, 2), (1 / 12, -8 / 12, 8 / 12, -1 / 12), 4),  # (4 central(h) - central(2h)) / 3
    "complex": Scheme((1j,), (1,), 2),
}


class Vector(Protocol):
    """A function of a vector, near one."""

    x: np.ndarray
    y: np.ndarray
    epsilon: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """All results as one vector."""

    def noise(self) -> np.ndarray:
        """How far rounding inside the function moves its results."""


def searched(flat: Vector, stencil: Stencil, near: Neighbourhood) -> Trial:
    """The trial of the least error, found by going towards it; what smaller steps do not confirm is none."""
    scale = max(1.0, near.scale)
    h = scale * _power_of_two(flat.epsilon ** (1 / (stencil.order + len(stencil.along))))
    best, tried = near.confirmed(stencil.at(flat, h)), {h}
    while True:
        better = h / 4 if best.truncation > 8 * best.rounding else h * 4 if best.rounding > 8 * best.truncation else h
        if better in tried or not near.least < better <= scale / 4:
            return best
        h = better
        tried.add(h)
        found = near.confirmed(stencil.at(flat, h))
        if found.worst < best.worst or not np.isfinite(best.worst):
            best = found


class Neighbourhood:
    """What steps far smaller than the usual tell: rough slopes, which finer ones must agree with, and whether they jump.

    A wide step that has left the neighbourhood can look perfect: far from a narrow peak, or on the same place of the
    next wave, all differences are 0.
    """

    def __init__(self, flat: Vector, along: tuple[int, ...]):
        self.flat, self.along = flat, along
        self.scale = max(abs(flat.x[j]) for j in along)
        self.least = EPSILON * (min(abs(flat.x[j]) for j in along) or EPSILON)
        self.corner, self.sides = np.zeros(len(flat.y), bool), [(flat.y, flat.y)]  # the slopes of both, by two steps
        look = self._slopes if len(along) == 1 else self._bends
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []  # slopes and their errors, the finest step's first
        with np.errstate(all="ignore"):
            for scale in self._scales():
                for value, error in look(scale):
                    error = np.where(np.isfinite(value + error) & self._fits(value, error), error, np.inf)
                    self.seen.append((np.nan_to_num(value), error))

    def _scales(self) -> list[float]:
        """That of the argument, and 1 if that is far away."""
        near = _power_of_two(self.scale) if self.scale else 1.0
        return [near, 1.0] if near < 2.0**-10 else [near]

    def _slopes(self, scale: float) -> list[tuple]:
        """Of two steps, the slope and its error, from the slopes on both sides."""
        (j,), steps = self.along, [scale * self.flat.epsilon ** (1 / root) for root in (2, 3)]
        sides = [(self._side(j, -h), self._side(j, h)) for h in steps]
        gaps = [np.abs(right - left) for left, right in sides]
        roundings = [6 * (self.flat.noise() + self.flat.epsilon * np.abs(self.flat.y)) / h for h in steps]
        if not self.seen:  # where the sides meet smoothly, the gap shrinks with the step
            floor = 4 * roundings[0] + 1e-6 * (np.abs(sides[0][0]) + np.abs(sides[0][1]))
            self.corner, self.sides = (gaps[0] > gaps[1] / 4) & (gaps[0] > floor), sides
        return [((left + right) / 2, 2 * gap + r) for (left, right), gap, r in zip(sides, gaps, roundings)]

    def _side(self, j: int, h: float) -> np.ndarray:
        x = self.flat.x.copy()
        x[j] += h
        return (self.flat(x) - self.flat.y) / (x[j] - self.flat.x[j])

    def _bends(self, scale: float) -> list[tuple]:
        """Of one step, the second difference and its error."""
        central, h = Stencil("central", self.along), scale * _power_of_two(self.flat.epsilon ** (1 / 4))
        (value, largest), (wider, _) = central.slope(self.flat, h), central.slope(self.flat, 2 * h)
        rounding = 6 * (self.flat.noise() + self.flat.epsilon * largest) * central.weight / h**2
        return [(value, 2 * np.abs(wider - value) + rounding)]

    def _fits(self, value: np.ndarray, error: np.ndarray) -> np.ndarray:
        """Where a slope is no further from what was seen than both may be off."""
        return np.all([np.abs(value - seen) <= error + off for seen, off in self.seen] or True, axis=0)

    def confirmed(self, trial: Trial) -> Trial:
        """A trial, its error infinite where smaller steps contradict it."""
        fits = self._fits(trial.value, trial.error)
        return replace(trial, truncations=np.where(fits, trial.truncations, np.inf))

    def error(self, trial: Trial) -> np.ndarray:
        """That of a trial; at a corner it reaches the slopes of both sides."""
        if not self.corner.any():
            return trial.error
        off = [np.abs(trial.value - finer) + 2 * np.abs(finer - wider) for finer, wider in zip(*self.sides)]
        return np.where(self.corner, np.fmax(trial.error, np.maximum(*off)), trial.error)


class Stencil:
    """The points and weights of a derivative along one entry, or along two, where one scheme is applied to another."""

    def __init__(self, method: str, along: tuple[int, ...]):
        schemes = [SCHEMES[method]] * len(along)
        if method == "complex" and len(along) == 2:
            schemes[1] = SCHEMES["central"]
        self.along, self.order = along, min(s.order for s in schemes)
        self.points = [
            (offsets, math.prod(weights))
            for offsets, weights in zip(
                itertools.product(*(s.offsets for s in schemes)), itertools.product(*(s.weights for s in schemes))
            )
        ]
        self.weight = sum(abs(w) for _, w in self.points)

    def slope(self, flat: Vector, h: float) -> tuple[np.ndarray, np.ndarray]:
        """The difference with a step, and the largest size of the values in it."""
        total, largest = np.zeros(len(flat.y)), np.abs(flat.y)
        for offsets, weight in self.points:
            imaginary = any(isinstance(o, complex) for o in offsets)
            x = flat.x.astype(np.complex128 if imaginary else np.float64)
            for j, offset in zip(self.along, offsets):
                x[j] += offset * h
            y = flat(x)
            total = total + weight * (y.imag if imaginary else y)
            largest = np.maximum(largest, np.abs(y))
        return total / h ** len(self.along), largest

    def at(self, flat: Vector, h: float) -> Trial:
        """The difference with a step, and its error: how it changes with a wider one, and once more, lest that be chance."""
        with np.errstate(all="ignore"):
            value, largest = self.slope(flat, h)
            wider, _ = self.slope(flat, 2 * h)
            widest, _ = self.slope(flat, 4 * h)
            change = np.fmax(np.abs(wider - value), np.abs(widest - wider) / 2**self.order)
            truncation = max(2.0, 4 / (2**self.order - 1)) * change
            place = max(abs(flat.x[j]) for j in self.along) * np.abs(value) / h  # x + h is rounded as well
            noise = (flat.epsilon * largest + flat.noise()) * self.weight / h ** len(self.along)
            rounding = 6 * (noise + flat.epsilon * place)
        return Trial(value, truncation, rounding, h)


@dataclass(frozen=True)
class Trial:
    """A difference with one step, and the two parts of its error for each result."""

    value: np.ndarray
    truncations: np.ndarray
    roundings: np.ndarray
    h: float

    @property
    def error(self) -> np.ndarray:
        """For each result."""
        return np.nan_to_num(self.truncations + self.roundings, nan=np.inf, posinf=np.inf)

    @property
    def truncation(self) -> float:
        """The largest; infinite where a value is not a number, for then the step has left the domain."""
        return float(np.max(np.nan_to_num(self.truncations, nan=np.inf, posinf=np.inf), initial=0))

    @property
    def rounding(self) -> float:
        """The largest."""
        return float(np.max(np.nan_to_num(self.roundings, nan=0.0), initial=0))

    @property
    def worst(self) -> float:
        """The largest error."""
        return float(np.max(self.error, initial=0))


def _power_of_two(h: float) -> float:
    """So that x + h is rounded as little as can be."""
    return 2.0 ** round(math.log2(h))
