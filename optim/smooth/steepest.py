"""Steepest descent: straight against the gradient."""

from __future__ import annotations

import numpy as np

from .descent import decrease_step
from .lines import Point


class Steepest:
    """With exact steps, successive gradients are orthogonal."""

    name, search, c2 = "steepest", "exact", 0.1

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        return -g

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        return decrease_step(slope, last, min(1.0, 1.0 / float(np.linalg.norm(g))))

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        """Nothing is remembered."""

    def forget(self) -> None:
        """Nothing is remembered."""
