"""Newton's method with exact Hessians, damped where they do not curve upwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .lines import Point


class Newton:
    """The Hessian is scaled to a unit diagonal and Cholesky-factored, more of the diagonal added until that works."""

    name, search, c2 = "newton", "wolfe", 0.9

    def __init__(self, hessian: Callable):
        self.hessian = hessian

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        H = self.hessian(x)
        return -damped_solve(H, g) if np.isfinite(H).all() else -g

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        return 1.0

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        """The next Hessian is computed afresh."""

    def forget(self) -> bool:
        return False


def damped_solve(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """(H + damping) \\ g; the damping is as Levenberg's, in proportion to the diagonal, and zero for convex functions."""
    scale = np.sqrt(np.abs(np.diag(H)))
    scale = np.maximum(scale, 1e-10 * (scale.max(initial=0) or 1.0))
    A, b = H / np.outer(scale, scale), g / scale
    damping = 0.0
    while True:
        try:
            L = np.linalg.cholesky(A + damping * np.eye(len(A)))
        except np.linalg.LinAlgError:
            damping = max(2 * damping, 1e-3, -1.01 * float(np.linalg.eigvalsh(A)[0]) if not damping else 0.0)
        else:
            return np.linalg.solve(L.T, np.linalg.solve(L, b)) / scale
