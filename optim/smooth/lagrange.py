"""Minima under equations and inequalities: the multipliers of Lagrange, and of Karush, Kuhn and Tucker.

The augmented Lagrangian adds to f the constraints, weighted by what is known of their multipliers, and their squares.
Its minima without constraints lead to better multipliers, and these to the minimum under constraints, without the
squares ever having to weigh very much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.op import Traced
from autograd_core.tree import flatten

from .descent import Settings
from .forms import Form
from .results import ConstrainedResult

MOST = 60  # rounds of multipliers


class Constraint:
    """A function that must vanish, or with `below` not be above 0, and the multipliers of its entries."""

    def __init__(self, f: Callable | None, below: bool, start: Any, name: str):
        if f is not None and not callable(f):
            raise TypeError(f"minimize: {name} is a function of x, got {type(f).__name__}")
        self.f, self.below = f, below
        self.values = self.at(start) if f is not None else np.zeros(0)
        if not np.isfinite(self.values).all():
            raise ValueError(f"minimize: {name} is not finite at x0; start elsewhere")
        self.multipliers = np.zeros_like(self.values)

    def row(self, x: Any) -> Any:
        """The entries at x, in a row."""
        parts = [part if isinstance(part, Traced) else ag.tensor(part) for part in flatten(self.f(x))[0]]  # type: ignore
        return ag.concatenate([ag.reshape(part, (-1,)) for part in parts])

    def at(self, x: Any) -> np.ndarray:
        """The same as an array."""
        leaves, rebuild = flatten(x)
        with ag.no_grad():
            return np.asarray(self.row(rebuild([ag.tensor(leaf) for leaf in leaves])).value, np.float64)

    def cost(self, x: Any, weight: float) -> Any:
        """What is added to f."""
        raised = self.multipliers + weight * self.row(x)
        if self.below:
            raised = ag.relu(raised)
        return (raised * raised).sum() / (2 * weight)

    def learn(self, x: Any, weight: float) -> float:
        """Take the values at a minimum into account; how far the constraint is from holding, multipliers included."""
        if self.f is None:
            return 0.0
        self.values = self.at(x)
        raised = self.multipliers + weight * self.values
        raised = np.maximum(raised, 0.0) if self.below else raised
        off = float(np.abs(raised - self.multipliers).max(initial=0)) / weight
        self.multipliers = raised
        return off


def under_constraints(
    solve: Callable, f: Callable, x0: Any, args: tuple, equal: Any, below: Any, settings: Settings
) -> ConstrainedResult:
    """The lowest point with equal(x) = 0 and below(x) <= 0; `solve(f, x0, tol)` minimises without constraints."""
    form = Form(x0, "minimize")
    inside = form.inside(form.start())
    held = Constraint(equal, False, inside, "equal"), Constraint(below, True, inside, "below")
    active = [c for c in held if c.f is not None]
    x, before, counts, weight = x0, np.inf, np.zeros(4, int), 10.0

    def augmented(x: Any) -> Any:
        return sum((c.cost(x, weight) for c in active), f(x, *args))

    for k in range(MOST):
        tol = max(settings.tol, 10.0 ** (-2 - k))
        found = solve(augmented, x, tol)
        x = found.x
        counts += found.iterations, found.nfev, found.njev, found.nhev
        now = flatten(x)[0]
        off = max(c.learn(form.inside(form.vector(now)), weight) for c in active)
        if not found.success or (off <= settings.tol and tol <= settings.tol):
            break
        if off > before / 4:
            weight *= 10
        before = off
    with ag.no_grad():
        value = float(f(form.inside(form.vector(flatten(x)[0])), *args))
    names: dict[str, Any] = dict(zip(("iterations", "nfev", "njev", "nhev"), counts.tolist()))
    kept: dict[str, Any] = {
        n: getattr(found, n) for n in ("x", "grad", "grad_norm", "status", "success", "message", "method")
    }
    if off > 10 * settings.tol:
        kept |= {"success": False, "status": 15, "message": f"the constraints are missed by {off:.3g}"}
    multipliers: dict[str, Any] = {"equal": held[0].multipliers, "below": held[1].multipliers, "violation": off}
    return ConstrainedResult(**kept, **names, **multipliers, value=value)
