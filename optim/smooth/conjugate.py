"""Nonlinear conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .descent import decrease_step
from .lines import Point


def fletcher_reeves(g: np.ndarray, before: np.ndarray, d: np.ndarray) -> float:
    """The ratio of the squares of the gradients."""
    return float(g @ g) / float(before @ before)


def polak_ribiere(g: np.ndarray, before: np.ndarray, d: np.ndarray) -> float:
    """That falls to zero, which starts anew, where the gradient hardly changed."""
    return float(g @ (g - before)) / float(before @ before)


def polak_ribiere_plus(g: np.ndarray, before: np.ndarray, d: np.ndarray) -> float:
    """That never turns the direction before round."""
    return max(polak_ribiere(g, before, d), 0.0)


def hestenes_stiefel(g: np.ndarray, before: np.ndarray, d: np.ndarray) -> float:
    """That keeps directions conjugate whatever the length of the step was."""
    y = g - before
    return max(float(g @ y) / float(d @ y), 0.0)


def hager_zhang(g: np.ndarray, before: np.ndarray, d: np.ndarray) -> float:
    """That makes sure of descent after any step that meets the Wolfe conditions."""
    y = g - before
    curvature = float(d @ y)
    least = -1 / (float(np.linalg.norm(d)) * min(0.01, float(np.linalg.norm(before))))
    return max(float((y - 2 * d * float(y @ y) / curvature) @ g) / curvature, least)


BETAS: dict[str, Callable] = {
    "fletcher-reeves": fletcher_reeves,
    "polak-ribiere": polak_ribiere,
    "polak-ribiere+": polak_ribiere_plus,
    "hestenes-stiefel": hestenes_stiefel,
    "hager-zhang": hager_zhang,
}


class Conjugate:
    """Each direction is the gradient's and a share, `beta`, of the direction before.

    Polak and Ribière's share, never below 0, needs the fewest evaluations on the problems of `benchmarks.problems`, 0.8 of
    SciPy's in the mean.  That of Fletcher and Reeves, which has Powell's rule to start anew where gradients are far from
    orthogonal, jams where scales differ much: it may take a thousand times as many, by how sums are rounded.
    """

    name, search, c2 = "cg", "wolfe", 0.2

    def __init__(self, beta: str = "polak-ribiere+"):
        self.beta = BETAS[beta]
        self.d: np.ndarray | None = None
        self.g: np.ndarray | None = None

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        d = -g
        if self.d is not None and self.g is not None:
            square = float(g @ g)
            far = abs(float(g @ self.g)) >= 0.9 * square and self.beta is fletcher_reeves
            d = -g if far else -g + self.beta(g, self.g, self.d) * self.d
            if not float(d @ g) <= -1e-10 * square:
                d = -g
        self.d, self.g = d, g
        return d

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        first = min(1.0, 1.0 / float(np.linalg.norm(g)))
        return decrease_step(slope, last, first)

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        """The next direction is made of the gradient that comes, and the last direction."""

    def forget(self) -> None:
        self.d = None
