"""Newton's method in a region of trust: conjugate gradients with exact Hessian products (Steihaug)."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np

from .bounds import box
from .descent import BOTTOM, EPS, PATIENCE, Settings, at_rounding
from .lines import rise
from .objectives import Objective
from .results import Result, gather


class TrustRegion:
    """Steps are as long as the quadratic model has proved right for; no matrix is formed."""

    name = "trust-ncg"

    def __init__(self, objective: Objective, settings: Settings, radius: float = 1.0, largest_radius: float = inf):
        self.objective, self.settings = objective, settings
        self.radius, self.largest = radius, largest_radius
        self.most, self.told = max(1000, 200 * objective.form.size), False
        self.x, self.iterations, self.quiet = objective.form.start(), 0, 0

    def run(self) -> Result:
        """Iterate until there is a reason to stop."""
        self.value, self.g = self.objective.begin(self.x)
        while (status := self.stop()) is None:
            self.iterate()
        norm = box(None, self.objective.form).measure(self.x, self.g)
        found = gather(self.objective, self.x, self.value, self.g, norm, status)
        return Result(**found, method=self.name, iterations=self.iterations)

    def stop(self) -> int | None:
        """The status to stop with, if there is a reason to."""
        if np.abs(self.g).max() <= self.settings.tol:
            return 0
        if self.quiet >= PATIENCE:
            return 1
        if self.radius <= EPS * float(np.abs(self.x).max(initial=1e-300)):
            return 1 if at_rounding(self.x, self.value, self.g) else 12
        if self.value < -BOTTOM:
            return 14
        return 13 if self.told else self.settings.limit(self.objective, self.iterations, self.most)

    def iterate(self) -> None:
        """Try one step, and learn from it how far the model can be trusted."""
        p, Hp, at_edge = self.step()
        predicted = -float(self.g @ p) - float(p @ Hp) / 2
        value, g = self.objective.value_and_gradient(self.x + p)
        finite = np.isfinite(value) and np.isfinite(g).all()
        lowered = -rise(self.value, value, float(self.g @ p), float(g @ p)) if finite else -inf
        ratio = lowered / predicted if predicted > 0 else -1.0
        self.quiet = self.quiet + 1 if min(abs(lowered), predicted) <= EPS * abs(self.value) else 0
        if ratio < 0.25:
            self.radius = 0.25 * float(np.linalg.norm(p))
        elif ratio > 0.75 and at_edge:
            self.radius = min(2 * self.radius, self.largest)
        if ratio > 1e-4:
            self.x, self.value, self.g = self.x + p, value, g
            self.told = self.settings.tell(self.objective.form, self.x)
        self.iterations += 1

    def step(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """A step that lowers the model as far as conjugate gradients get it in the region; H times it; if it ends there."""
        p, Hp = np.zeros_like(self.g), np.zeros_like(self.g)
        r, d = self.g, -self.g
        norm = float(np.linalg.norm(self.g))
        enough = min(0.5, sqrt(norm)) * norm
        for _ in range(2 * len(r)):
            Hd = self.objective.product(self.x, d)
            curvature, square = float(d @ Hd), float(r @ r)
            if not curvature > 0:
                t = self.to_edge(p, d)
                return p + t * d, Hp + t * Hd, True
            t = square / curvature
            if float(np.linalg.norm(p + t * d)) >= self.radius:
                t = self.to_edge(p, d)
                return p + t * d, Hp + t * Hd, True
            p, Hp, r = p + t * d, Hp + t * Hd, r + t * Hd
            if float(np.linalg.norm(r)) <= enough:
                break
            d = -r + float(r @ r) / square * d
        return p, Hp, False

    def to_edge(self, p: np.ndarray, d: np.ndarray) -> float:
        """How far along d the edge of the region is."""
        a, b, c = float(d @ d), float(p @ d), float(p @ p) - self.radius**2
        root = sqrt(max(b * b - a * c, 0.0))
        return -c / (b + root) if b > 0 else (root - b) / a
