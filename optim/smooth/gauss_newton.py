"""Gauss-Newton: the residuals made straight, solved by least squares, and a search along the way there."""

from __future__ import annotations

import numpy as np

from .bounds import Box
from .descent import EPS, Settings
from .levenberg import Levenberg
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
            r = self.residuals.value(self.x + p)
            gained, predicted, slope = self.gain(r, p)
            if predicted <= EPS * size and abs(gained) <= EPS * size:
                return 1
            if gained >= -1e-4 * slope > 0 and np.isfinite(J := self.residuals.jacobian(self.x + p)).all():
                return self.take(p, r, J)
            curved = -slope * t / (2 * (-gained - slope)) if np.isfinite(gained) else 0.0
            t = min(max(curved, 0.1 * t), 0.5 * t)
        return 12

    def take(self, p: np.ndarray, r: np.ndarray, J: np.ndarray) -> int | None:
        """Go there; the status to stop with, if there is a reason to."""
        before = float(np.linalg.norm(self.scale * self.x))
        self.x, self.r, self.J = self.x + p, r, J
        self.iterations += 1
        if float(np.linalg.norm(self.scale * p)) <= EPS * before:
            return 2
        return self.outside_reasons()
