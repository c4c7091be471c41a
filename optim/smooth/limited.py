"""L-BFGS: the inverse Hessian of BFGS, from the last few steps alone."""

from __future__ import annotations

from collections import deque

import numpy as np

from .bfgs import unit_step
from .lines import Point


class Limited:
    """Time and memory grow with `history` times the number of entries."""

    name, search, c2 = "l-bfgs", "wolfe", 0.9

    def __init__(self, history: int = 10):
        self.pairs: deque = deque(maxlen=history)

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        return two_loops(self.pairs, -g)

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        return unit_step(g, slope, last, bool(self.pairs))

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        curvature = float(s @ y)
        if curvature > 2.2e-16 * float(y @ y):
            self.pairs.append((s, y, curvature))

    def forget(self) -> None:
        self.pairs.clear()


def two_loops(pairs: deque, q: np.ndarray) -> np.ndarray:
    """The inverse Hessian times q, from pairs of steps and changes of the gradient."""
    q, shares = q.copy(), []
    for s, y, curvature in reversed(pairs):
        shares.append(float(s @ q) / curvature)
        q -= shares[-1] * y
    if pairs:
        s, y, curvature = pairs[-1]
        q *= curvature / float(y @ y)
    for (s, y, curvature), share in zip(pairs, reversed(shares)):
        q += (share - float(y @ q) / curvature) * s
    return q
