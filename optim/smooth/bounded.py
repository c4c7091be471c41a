"""L-BFGS-B: L-BFGS between bounds (Byrd, Lu, Nocedal and Zhu).

The Hessian is B = theta I - W M Wᵀ, made of the last steps.  A direction leads to the lowest point of that model among
the entries that are free at the generalised Cauchy point, the first minimum of the model on the way straight down,
which bends at each bound it meets.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from .bfgs import unit_step
from .bounds import Box
from .limited import two_loops
from .lines import Point


class Bounded:
    """The quasi-Newton model in the compact form, and the two steps to a direction."""

    name, search, c2 = "l-bfgs-b", "wolfe", 0.9

    def __init__(self, box: Box, history: int = 10):
        self.box, self.theta = box, 1.0
        self.pairs: deque = deque(maxlen=history)
        self.W: Any = None
        self.M: Any = None

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        if not self.box.bounded:
            return two_loops(self.pairs, -g)
        if self.W is None:
            self.W, self.M = np.zeros((len(x), 0)), np.zeros((0, 0))
        place, c = self.cauchy(x, g)
        return self.lowest(x, g, place, c) - x

    def cauchy(self, x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first minimum of the model along the bent way down, and Wᵀ times the way there."""
        W, M, theta = self.W, self.M, self.theta
        room = np.where(g < 0, self.box.high - x, self.box.low - x)
        ends = np.divide(-room, g, out=np.full(len(x), np.inf), where=g != 0)
        d = np.where(ends > 0, -g, 0.0)
        place, p, c, passed = x.copy(), W.T @ d, np.zeros(W.shape[1]), 0.0
        slope = -float(d @ d)
        curvature = -theta * slope - float(p @ M @ p)
        for k in np.argsort(ends, kind="stable"):
            if ends[k] <= 0:
                continue
            step = ends[k] - passed
            if not curvature > 0 or -slope / curvature < step or not np.isfinite(ends[k]):
                break
            place[k] = self.box.high[k] if g[k] < 0 else self.box.low[k]
            z, w = place[k] - x[k], W[k]
            c, passed = c + step * p, ends[k]
            slope += step * curvature + g[k] ** 2 + theta * g[k] * z - g[k] * float(w @ M @ c)
            curvature -= theta * g[k] ** 2 + 2 * g[k] * float(w @ M @ p) + g[k] ** 2 * float(w @ M @ w)
            p, d[k] = p + g[k] * w, 0.0
            if slope >= 0 or not d.any():
                break
        more = max(-slope / curvature, 0.0) if curvature > 0 and slope < 0 and d.any() else 0.0
        moving = d != 0
        place[moving] = x[moving] + (passed + more) * d[moving]
        return self.box.clip(place), c + more * p

    def lowest(self, x: np.ndarray, g: np.ndarray, place: np.ndarray, c: np.ndarray) -> np.ndarray:
        """The lowest point of the model where the entries on bounds stay, brought back between the bounds."""
        W, M, theta = self.W, self.M, self.theta
        free = (place > self.box.low) & (place < self.box.high)
        if free.all():  # the same as below, but in a form that errors of rounding do less harm to
            return self.box.clip(x + two_loops(self.pairs, -g))
        if not free.any() or not W.shape[1]:
            return place
        F = W[free]
        r = (g + theta * (place - x) - W @ (M @ c))[free]
        inner = np.eye(len(M)) - M @ (F.T @ F) / theta
        step = -r / theta - F @ np.linalg.solve(inner, M @ (F.T @ r)) / theta**2
        there = place.copy()
        there[free] += step
        there = self.box.clip(there)
        if float((there - x) @ g) < 0:
            return there
        way = np.zeros_like(x)
        way[free] = step
        return place + min(1.0, self.box.longest(place, way)) * way

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        if not self.box.bounded:
            return unit_step(g, slope, last, bool(self.pairs))
        boxed = bool(np.isfinite(self.box.high - self.box.low).all())
        return 1.0 if boxed or last is not None else min(1.0, 1.0 / float(np.sqrt(-slope)))

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        curvature = float(s @ y)
        if not curvature > 2.2e-16 * float(y @ y):
            return
        self.pairs.append((s, y, curvature))
        if self.box.bounded:
            self.compact(float(y @ y) / curvature)

    def compact(self, theta: float) -> None:
        """The model as theta I - W M Wᵀ."""
        S, Y = (np.stack(column, 1) for column in list(zip(*self.pairs))[:2])
        products = S.T @ Y
        L = np.tril(products, -1)
        inverse = np.block([[-np.diag(np.diag(products)), L.T], [L, theta * (S.T @ S)]])
        try:
            self.theta, self.W, self.M = theta, np.hstack([Y, theta * S]), np.linalg.inv(inverse)
        except np.linalg.LinAlgError:
            self.forget()

    def forget(self) -> None:
        self.pairs.clear()
        self.theta, self.W = 1.0, None
