"""Gauss-Newton: the residuals made straight, solved by least squares, and a search along the way there."""

from __future__ import annotations

import numpy as np

from .bounds import Box
from .descent import EPS, Settings
from .levenberg import Levenberg, norms
from .lines import shorter
from .objectives import Residuals


class GaussNewton(Levenberg):
    """Quick where residuals are small or nearly straight; steps are halved until the sum of squares falls enough."""

    name = "gn"

    def __init__(self, residuals: Residuals, settings: Settings, box: Box):
        super().__init__(residuals, settings, box)

    def iterate(self) -> int | None:
        way = self.way()
        size, t = float(self.r @ self.r) / 2, 1.0
        for _ in range(60):
            p = self.box.clip(self.x + t * way) - self.x
            gained, predicted, slope, _ = self.evaluate(p)
            small = t == 1 and abs(predicted) <= EPS * size
            if small and (gained <= 0 or self.quiet >= 3):
                return 1
            if t == 1 and self.tiny(p):
                return 2
            if gained >= -1e-4 * slope > 0 and self.arrive(p):
                self.quiet = self.quiet + 1 if small else 0
                return self.reason(p, t)
            t *= shorter(slope, -gained)
        return 12

    def way(self) -> np.ndarray:
        """The step that would solve the straightened problem, leaving out entries that bounds stop at once."""
        free, way = ~self.box.held(self.x, self.J.T @ self.r), np.zeros_like(self.x)
        while free.any():
            lengths = np.where((n := norms(self.J[:, free])) > 0, n, 1.0)
            way[:] = 0
            way[free] = np.linalg.lstsq(self.J[:, free] / lengths, -self.r, rcond=None)[0] / lengths
            blocked = free & self.box.held(self.x, -way)
            if not blocked.any():
                break
            free &= ~blocked
        return way

    def reason(self, p: np.ndarray, t: float) -> int | None:
        """The status to stop with, if there is a reason to."""
        if self.tiny(p):
            return 2 if t >= 0.1 else 12
        return self.outside_reasons(True)

    def tiny(self, p: np.ndarray) -> bool:
        """Whether a step is lost in the rounding of x."""
        return float(np.linalg.norm(self.scale * p)) <= 2 * EPS * float(np.linalg.norm(self.scale * self.x))
