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
        q, shares = -g, []
        for s, y, curvature in reversed(self.pairs):
            shares.append(float(s @ q) / curvature)
            q -= shares[-1] * y
        if self.pairs:
            s, y, curvature = self.pairs[-1]
            q *= curvature / float(y @ y)
        for (s, y, curvature), share in zip(self.pairs, reversed(shares)):
            q += (share - float(y @ q) / curvature) * s
        return q

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        return unit_step(g, slope, last)

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        curvature = float(s @ y)
        if curvature > 2.2e-16 * float(y @ y):
            self.pairs.append((s, y, curvature))

    def forget(self) -> bool:
        was = bool(self.pairs)
        self.pairs.clear()
        return was
