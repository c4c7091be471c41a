"""Newton's method with exact Hessians, damped where they do not curve upwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bfgs import unit_step
from .lines import Point

FLOOR = 1e-4  # the least curvature, in units of the largest, where some direction curves downwards


class Newton:
    """The Hessian is scaled to a unit diagonal, and modified where it is not positive definite."""

    name, search, c2 = "newton", "wolfe", 0.9

    def __init__(self, hessian: Callable):
        self.hessian, self.scaled = hessian, True

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        H = self.hessian(x)
        self.scaled = bool(np.isfinite(H).all() and H.any())
        return -damped_solve(H, g) if self.scaled else -g

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        return unit_step(g, slope, last, self.scaled)

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        """The next Hessian is computed afresh."""

    def forget(self) -> None:
        """The next Hessian is computed afresh."""


def damped_solve(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """H \\ g; where H curves downwards it is turned round, where it hardly curves it is damped, in proportion to its diagonal."""
    scale = np.sqrt(np.abs(np.diag(H)))
    scale = np.maximum(scale, 1e-10 * (scale.max(initial=0) or 1.0))
    A, b = H / np.outer(scale, scale), g / scale
    try:
        L = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(A)
        values = np.maximum(np.abs(values), FLOOR * np.abs(values).max())
        return vectors @ ((vectors.T @ b) / values) / scale
    return np.linalg.solve(L.T, np.linalg.solve(L, b)) / scale
