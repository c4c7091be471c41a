"""Gauss-Newton: the residuals made straight, solved by least squares, and a search along the way there."""

from __future__ import annotations

import numpy as np

from .bounds import Box
from .descent import EPS, Settings
from .levenberg import Levenberg
from .lines import shorter
from .objectives import Residuals


class GaussNewton(Levenberg):
    """Quick where residuals are small or nearly straight; steps are halved until the sum of squares falls enough."""

    name = "gn"

    def __init__(self, residuals: Residuals, settings: Settings, box: Box):
        super().__init__(residuals, settings, box)

    def iterate(self) -> int | None:
        free = np.flatnonzero(~self.box.held(self.x, self.J.T @ self.r))
        lengths = np.where((n := np.linalg.norm(self.J[:, free], axis=0)) > 0, n, 1.0)
        way = np.zeros_like(self.x)
        way[free] = np.linalg.lstsq(self.J[:, free] / lengths, -self.r, rcond=None)[0] / lengths
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

    def reason(self, p: np.ndarray, t: float) -> int | None:
        """The status to stop with, if there is a reason to."""
        if self.tiny(p):
            return 2 if t >= 0.1 else 12
        return self.outside_reasons(True)

    def tiny(self, p: np.ndarray) -> bool:
        """Whether a step is lost in the rounding of x."""
        return float(np.linalg.norm(self.scale * p)) <= 2 * EPS * float(np.linalg.norm(self.scale * self.x))
