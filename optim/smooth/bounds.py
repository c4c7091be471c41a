"""Lower and upper bounds of each entry."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from .forms import Form


class Box:
    """Where a vector may be; infinite where it is free."""

    def __init__(self, low: np.ndarray, high: np.ndarray):
        self.low, self.high = low, high
        self.bounded = bool(np.isfinite(low).any() or np.isfinite(high).any())

    def clip(self, x: np.ndarray) -> np.ndarray:
        """The nearest point that is allowed."""
        return np.clip(x, self.low, self.high) if self.bounded else x

    def landed(self, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Where a step leads that came from `before`: onto a bound, if only rounding keeps it off."""
        if not self.bounded:
            return x
        slack = 1e-15 * (np.abs(before) + np.abs(x))
        x = np.where(np.abs(x - self.low) <= slack, self.low, np.where(np.abs(x - self.high) <= slack, self.high, x))
        return self.clip(x)

    def longest(self, x: np.ndarray, d: np.ndarray) -> float:
        """How many lengths of d one can go before a bound is met."""
        if not self.bounded:
            return inf
        moving = d != 0
        room = np.where(d > 0, self.high - x, self.low - x)[moving] / d[moving]
        return float(room.min(initial=inf))

    def measure(self, x: np.ndarray, g: np.ndarray) -> float:
        """The largest entry of the gradient, as far as one may go against it."""
        return float(np.abs(x - self.clip(x - g) if self.bounded else g).max(initial=0))

    def held(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Which entries lie on a bound that going down would cross."""
        return ((x <= self.low) & (g > 0)) | ((x >= self.high) & (g < 0))


def box(bounds: Any, form: Form) -> Box:
    """Bounds as given: (low, high) of trees or numbers, None for no bound, or SciPy's pairs, one for each entry."""
    if bounds is None:
        return Box(np.full(form.size, -inf), np.full(form.size, inf))
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = np.asarray(bounds.lb, float), np.asarray(bounds.ub, float)
    if not isinstance(bounds, (tuple, list, np.ndarray)) or not len(bounds):
        raise TypeError(
            f"{form.who}: bounds are (low, high), each like {form.name} or one number or None, or a list of one pair "
            f"(low, high) for each entry; got {type(bounds).__name__} {bounds!r:.40}"
        )
    low, high = _of_pairs(bounds, form) if _pairs(bounds, form) else _of_two(bounds, form)
    crossed = np.flatnonzero(~(low <= high))
    if crossed.size:
        k = int(crossed[0])
        raise ValueError(
            f"{form.who}: the bounds leave no room at entry {k}: the lower is {low[k]:g}, the upper {high[k]:g}"
        )
    return Box(low, high)


def _pairs(bounds: Any, form: Form) -> bool:
    """Whether bounds are pairs of an entry's bounds; for two entries, a tuple of two is (low, high), a list is of pairs."""
    entries = all(isinstance(b, (tuple, list)) and len(b) == 2 for b in bounds)
    entries = entries or (isinstance(bounds, np.ndarray) and bounds.ndim == 2 and bounds.shape[1] == 2)
    return entries and len(bounds) == form.size and not (len(bounds) == 2 and isinstance(bounds, tuple))


def _of_pairs(bounds: Any, form: Form) -> tuple[np.ndarray, np.ndarray]:
    low = [-inf if a is None else float(a) for a, _ in bounds]
    high = [inf if b is None else float(b) for _, b in bounds]
    return np.array(low), np.array(high)


def _of_two(bounds: Any, form: Form) -> tuple[np.ndarray, np.ndarray]:
    if len(bounds) != 2:
        raise ValueError(
            f"{form.who}: bounds have length {len(bounds)}; needed are (low, high), or one pair for each of the "
            f"{form.size} entries of {form.name}"
        )
    low, high = (form.limits(b, end, sign) for b, end, sign in zip(bounds, ("lower", "upper"), (-inf, inf)))
    return low, high
