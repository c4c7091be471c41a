"""The loop of all methods that choose a direction and search along it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .bounds import Box
from .forms import Form
from .lines import SEARCHES, Line, Point
from .objectives import Objective
from .results import Result, gather

EPS = 2.3e-16
BOTTOM = 1e100  # what lies below that falls without bound
PATIENCE = 6  # iterations in a row that lower the value, or move x, by no more than rounding


@dataclass
class Settings:
    """When to stop, and whom to tell."""

    tol: float = 1e-8
    max_iterations: int | None = None
    max_evaluations: int | None = None
    callback: Callable | None = None

    def tell(self, form: Form, x: np.ndarray) -> bool:
        """Call the callback with a new x; whether it wants an end."""
        try:
            return self.callback is not None and self.callback(form.outside(x)) is True
        except StopIteration:
            return True

    def limit(self, counted: Any, iterations: int, usual: int) -> int | None:
        """The status for a limit that is reached."""
        if iterations >= (self.max_iterations or usual):
            return 10
        return 11 if counted.nfev >= (self.max_evaluations or 20 * (self.max_iterations or usual)) else None


class Rule(Protocol):
    """What makes a method: which way to go, and what to learn from a step."""

    name: str
    search: str  # the line search that suits
    c2: float  # how much flatter the function must be at the end of a search

    def direction(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Which way to go."""

    def first_step(self, g: np.ndarray, slope: float, last: Point | None) -> float:
        """How far to go at first, in lengths of the direction."""

    def learn(self, s: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        """Take a step, the change of the gradient, and the new gradient into account."""

    def forget(self) -> None:
        """Drop what was learnt."""


class Descent:
    """One run of a method from a start to where no more is to be gained."""

    def __init__(self, objective: Objective, rule: Rule, settings: Settings, box: Box, search: str, options: dict):
        self.objective, self.rule, self.settings, self.box = objective, rule, settings, box
        self.search, self.options = SEARCHES[search], options
        self.most, self.told = max(1000, 200 * objective.form.size), False
        self.x = box.clip(objective.form.start())
        self.iterations, self.quiet = 0, 0
        self.last: Point | None = None

    def run(self) -> Result:
        """Iterate until there is a reason to stop."""
        self.value, self.g = self.objective.begin(self.x)
        status = self.stop()
        while status is None:
            point = self.step()
            if point is None:
                status = 1 if self.quiet or at_rounding(self.x, self.value, self.g) else 12
                break
            self.take(point)
            status = self.stop()
        norm = self.box.measure(self.x, self.g)
        found = gather(self.objective, self.x, self.value, self.g, norm, status)
        return Result(**found, method=self.rule.name, iterations=self.iterations)

    def stop(self) -> int | None:
        """The status to stop with, if there is a reason to."""
        if self.box.measure(self.x, self.g) <= self.settings.tol:
            return 0
        if self.quiet >= PATIENCE:
            return 1
        if self.value < -BOTTOM:
            return 14
        return 13 if self.told else self.settings.limit(self.objective, self.iterations, self.most)

    def step(self) -> Point | None:
        """The next point, along the direction of the rule, or else straight down."""
        d = self.rule.direction(self.x, self.g)
        point = self.along(d)
        if point is None and not np.array_equal(d, -self.g):
            self.rule.forget()
            point = self.along(self.box.clip(self.x - self.g) - self.x if self.box.bounded else -self.g)
        return point

    def along(self, d: np.ndarray) -> Point | None:
        """A good point in a direction, if it leads down."""
        if not (np.isfinite(d).all() and float(self.g @ d) < 0):
            return None
        line = Line(self.objective.value_and_gradient, self.x, self.value, self.g, d)
        t = self.rule.first_step(self.g, line.slope, self.last)
        longest = self.box.longest(self.x, d)
        return self.search(line, t, c2=self.rule.c2, longest=longest, **self.options)

    def take(self, point: Point) -> None:
        """Go to a point."""
        x = self.box.landed(point.x, self.x)
        self.rule.learn(x - self.x, point.gradient - self.g, point.gradient)
        self.quiet = self.patience_spent(x, point)
        self.x, self.value, self.g, self.last = x, point.value, point.gradient, point
        self.iterations += 1
        self.told = self.settings.tell(self.objective.form, x)

    def patience_spent(self, x: np.ndarray, point: Point) -> int:
        """Iterations in a row that came to nothing, with that to x; all that are allowed if x stays, for so it would again."""
        moved = np.abs(x - self.x)
        if not moved.any():
            return PATIENCE
        still = (moved <= 8 * EPS * np.abs(x)).all()
        return self.quiet + 1 if still or -point.rise <= EPS * abs(point.value) else 0


def at_rounding(x: np.ndarray, value: float, g: np.ndarray) -> bool:
    """Whether moving each entry by a part in ten million would, by the gradient, hardly be seen in the value."""
    return float(np.abs(g * x).sum()) <= 1e-7 * abs(value)


def decrease_step(slope: float, last: Point | None, first: float) -> float:
    """A first step that would lower the value by as much as the last one did, were the slope to stay half as steep."""
    if last is None or not last.rise < 0:
        return first
    return 2.02 * last.rise / slope
