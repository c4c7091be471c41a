"""Levenberg-Marquardt as Moré made it: steps in a region of trust whose axes are scaled by the columns of the Jacobian."""

from __future__ import annotations

from math import inf

import numpy as np

from .bounds import Box
from .descent import EPS, Settings
from .lines import ROUNDING, shorter
from .objectives import Residuals, squarable


class Levenberg:
    """One run; the region is measured by `scale`, and the gain of each step sets its size."""

    name = "lm"

    def __init__(self, residuals: Residuals, settings: Settings, box: Box, radius: float = 10.0):
        self.residuals, self.settings, self.box, self.factor = residuals, settings, box, radius
        self.most = 500 + 100 * residuals.form.size
        self.x, self.iterations, self.quiet = box.clip(residuals.form.start()), 0, 0

    def run(self) -> int:
        """Iterate until there is a reason to stop, which is returned."""
        self.r, self.J = self.residuals.begin(self.x)
        self.scale = norms(self.J)
        self.scale[self.scale == 0] = 1.0
        self.radius = self.factor * (float(np.linalg.norm(self.scale * self.x)) or 1.0)
        self.multiplier, status = 0.0, None
        while status is None:
            exact = float(np.linalg.norm(self.r)) <= 10 * EPS * float(np.linalg.norm(norms(self.J) * self.x))
            status = 1 if exact else 0 if self.cosine() <= self.settings.tol else self.iterate()
        return status

    def cosine(self) -> float:
        """The largest cosine of an angle between the residuals and a column: zero at the minimum, whatever the scales."""
        size = float(np.linalg.norm(self.r))
        free = ~self.box.held(self.x, self.J.T @ self.r)
        lengths = norms(self.J)
        usable = free & (lengths > 0)
        if size == 0 or not usable.any():
            return 0.0
        return float(np.abs((self.J[:, usable] / lengths[usable]).T @ (self.r / size)).max())

    def iterate(self) -> int | None:
        """Steps from here until one is good; the status to stop with, if there is a reason to."""
        self.scale = np.maximum(self.scale, norms(self.J))
        self.decompose(~self.box.held(self.x, self.J.T @ self.r))
        while True:
            status, moved = self.attempt()
            if status is None:
                status = self.outside_reasons(moved)
            if moved or status is not None:
                return status

    def decompose(self, free: np.ndarray) -> None:
        """Singular values of the scaled columns that are free to move."""
        self.free = free
        Q, R = np.linalg.qr(self.J[:, free])
        U, s, V = np.linalg.svd(R / self.scale[free], full_matrices=False)
        self.spectrum = s, U.T @ (Q.T @ self.r), V

    def best_step(self) -> np.ndarray:
        """The best step in the region, as far as the bounds allow."""
        p = np.zeros_like(self.x)
        while self.free.any():
            s, b, V = self.spectrum
            q, self.multiplier = within(s, b, self.radius, self.multiplier)
            p[:] = 0
            p[self.free] = (V.T @ q) / self.scale[self.free]
            blocked = self.free & self.box.held(self.x, -p)
            if not blocked.any():
                break
            self.decompose(self.free & ~blocked)  # else these would spoil the step for the others
        return self.box.clip(self.x + p) - self.x

    def attempt(self) -> tuple[int | None, bool]:
        """Try the step for this size of the region; whether it was taken, and whether to stop."""
        p = self.best_step()
        length = float(np.linalg.norm(self.scale * p))
        if self.iterations == 0:
            self.radius = min(self.radius, length)
        gained, predicted, slope, ratio = self.evaluate(p)
        self.resize(ratio, gained, slope, length)
        moved = ratio > 1e-4 and self.arrive(p)
        share = abs(predicted) / (float(self.r @ self.r) or 1.0)  # what is still to be gained
        self.quiet = self.quiet + 1 if share <= 1e-4 * EPS else 0
        if self.quiet >= 3 or (share <= EPS and not moved):
            return 1, moved
        least = max(1e-3 * self.settings.tol, EPS) * float(np.linalg.norm(self.scale * self.x))
        return (2 if self.radius <= least else None), moved

    def evaluate(self, p: np.ndarray) -> tuple[float, float, float, float]:
        """What half the sum of squares falls by after p, what it should fall by, its slope along p, and the gain ratio.

        A fall that rounding would hide is taken from the slopes at both ends, as the searches along lines do.
        """
        Jp = self.J @ p
        slope = float(Jp @ self.r)
        predicted = -slope - float(Jp @ Jp) / 2
        self.there, self.J_there = self.residuals.value(self.x + p), None
        if not squarable(self.there):
            return -inf, predicted, slope, -1.0
        gained = float((self.r - self.there) @ (self.r + self.there)) / 2
        if abs(gained) <= ROUNDING * float(self.r @ self.r):
            self.J_there = self.residuals.jacobian(self.x + p)
            gained = -(slope + float((self.J_there @ p) @ self.there)) / 2
        return gained, predicted, slope, gained / predicted if predicted > 0 else -1.0

    def arrive(self, p: np.ndarray) -> bool:
        """Go there, if the Jacobian is finite there; whether that was done."""
        J = self.residuals.jacobian(self.x + p) if self.J_there is None else self.J_there
        if not squarable(J):
            self.radius /= 4
            return False
        self.x, self.r, self.J = self.box.landed(self.x + p, self.x), self.there, J
        self.iterations += 1
        return True

    def resize(self, ratio: float, gained: float, slope: float, length: float) -> None:
        """A smaller region after a step that disappointed, a larger one after one that did not."""
        if ratio <= 0.25:
            shrink = 0.5 if gained >= 0 else shorter(slope, -gained)
            self.radius = shrink * min(self.radius, 10 * length)
            self.multiplier /= shrink
        elif self.multiplier == 0 or ratio >= 0.75:
            self.radius = 2 * length
            self.multiplier /= 2

    def outside_reasons(self, moved: bool) -> int | None:
        """Reasons to stop that lie outside the mathematics."""
        if moved and self.settings.tell(self.residuals.form, self.x):
            return 13
        return self.settings.limit(self.residuals, self.iterations, self.most)


def norms(J: np.ndarray) -> np.ndarray:
    """The length of each column."""
    return np.sqrt(np.einsum("ij,ij->j", J, J))


def within(s: np.ndarray, b: np.ndarray, radius: float, guess: float = 0.0) -> tuple[np.ndarray, float]:
    """The q that minimises |diag(s) q + b| with |q| <= radius (nearly), and the multiplier of |q|²."""
    full = s > EPS * len(s) * s.max(initial=0)
    q = np.where(full, -b / np.where(full, s, 1), 0.0)
    if float(np.linalg.norm(q)) <= 1.03 * radius:
        return q, 0.0
    return secular(s, b, radius, guess, 0.03)


def secular(
    s: np.ndarray, b: np.ndarray, radius: float, guess: float = 0.0, slack: float = 1e-15
) -> tuple[np.ndarray, float]:
    """The multiplier with which |q| = radius, by Newton's method on 1 / |q|, which is nearly straight."""
    low, high = 0.0, float(np.linalg.norm(s * b)) / radius
    m = min(max(guess, low), high) or 1e-3 * high
    for _ in range(60):
        q = -s * b / (s * s + m)
        size = float(np.linalg.norm(q))
        if abs(size - radius) <= slack * radius:
            break
        low, high = (m, high) if size > radius else (low, m)
        steeper = float(np.sum(q * q / (s * s + m))) / (size * size)
        m = m + (size / radius - 1) / steeper
        if not low < m < high:
            m = max(1e-3 * high, float(np.sqrt(low * high)))
        if high - low <= EPS * high:
            break
    return q, m
