"""BFGS: the inverse Hessian as it is known from the changes of the gradient.

It begins as the identity.  To scale that by the first step, which goes where the function curves most, makes it too
small wherever it curves less: searches then accept steps that hardly get anywhere, and on quadratics of condition 1e6
need six times the evaluations.  What is too large is found out by one search.
"""

from __future__ import annotations

import numpy as np

from .descent import decrease_step
from .lines import Point


def unit_step(g: np.ndarray, slope: float, last: Point | None, scaled: bool) -> float:
    """The whole direction; while no curvature is known, which gives it its scale, as far as the last step suggests."""
    return 1.0 if scaled else decrease_step(slope, last, min(1.0, 1.0 / float(np.linalg.norm(g))))


class BFGS:
    """Keeps a matrix of n rows: for up to some thousand entries."""

    name, search, c2 = "bfgs", "wolfe", 0.9

    def __init__(self) -> None:
        self.H: np.ndarray | None = None

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        return -g if self.H is None else -(self.H @ g)

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        return unit_step(g, slope, last, self.H is not None)

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        curvature = float(s @ y)
        if not curvature > 1e-14 * float(np.linalg.norm(s) * np.linalg.norm(y)):
            return
        if self.H is None:
            self.H = np.eye(len(s))
        u = self.H @ y / curvature
        growth = 1 / curvature + float(y @ u) / curvature
        self.H += growth * np.outer(s, s) - np.outer(u, s) - np.outer(s, u)

    def forget(self) -> None:
        self.H = None
