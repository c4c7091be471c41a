"""`minimize`: the lowest point of a function near a start."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import number, whole
from .bfgs import BFGS
from .bounded import Bounded
from .bounds import Box, box
from .conjugate import BETAS, Conjugate
from .descent import Descent, Settings
from .lagrange import under_constraints
from .limited import Limited
from .lines import SEARCHES
from .newton import Newton
from .objectives import Objective, several
from .results import Result
from .steepest import Steepest
from .trust import TrustRegion

METHODS = {
    "bfgs": (BFGS, ()),
    "l-bfgs": (Limited, ("history",)),
    "l-bfgs-b": (Bounded, ("history",)),
    "cg": (Conjugate, ("beta",)),
    "newton": (Newton, ()),
    "trust-ncg": (TrustRegion, ("radius", "largest_radius")),
    "steepest": (Steepest, ()),
}
SEARCH_OPTIONS = ("line_search", "c1", "c2")
ELSEWHERE = dict.fromkeys(("jac", "hess", "hessp"), "derivatives are computed here, exactly: leave it out")
ELSEWHERE |= dict.fromkeys(("gtol", "ftol", "xtol"), "here it is tol, how small the gradient becomes")
ELSEWHERE |= dict.fromkeys(("maxiter", "max_nfev", "maxfun"), "here they are max_iterations and max_evaluations")
ELSEWHERE |= {"options": "each option is an argument of its own here, as in tol=1e-6, max_iterations=100"}
ELSEWHERE |= {"constraints": "here they are functions, equal= for h(x) = 0 and below= for g(x) <= 0"}
ELSEWHERE |= {"kwargs": "pass further arguments as args, or in a lambda"}
SCIPYS = {"newton-cg": "'trust-ncg' has products with the Hessian, 'newton' all of it"}
SCIPYS |= dict.fromkeys(("trust-krylov", "trust-exact", "dogleg"), "take 'trust-ncg' or 'newton'")
SCIPYS |= {"tnc": "take 'l-bfgs-b', which knows bounds, too"}
SCIPYS |= dict.fromkeys(("trust-constr", "slsqp", "cobyla", "cobyqa"), "give equal= and below= with any method")
SCIPYS |= dict.fromkeys(("nelder-mead", "powell"), "derivatives are at hand here: take 'bfgs'")
SCIPYS |= dict.fromkeys(("trf", "dogbox"), "'lm' and 'gn' know bounds, too")


def minimize(
    f: Callable,
    x0: Any,
    method: str | None = None,
    bounds: Any = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    max_evaluations: int | None = None,
    callback: Callable | None = None,
    args: tuple = (),
    equal: Callable | None = None,
    below: Callable | None = None,
    **options: Any,
) -> Result:
    """The lowest point of f near x0: a number, an array, a tensor, or a tree of these, in which f gets its argument.

    f is made of functions of this library or of NumPy; its derivatives are exact.  Methods are "bfgs" (the default),
    "l-bfgs" (for more than a thousand entries), "l-bfgs-b" (with bounds), "cg", "newton", "trust-ncg", "steepest".
    `tol` is how small the largest entry of the gradient becomes, 1e-8 if it is None.  A callback gets each new x, and
    stops the search by returning True or raising StopIteration.  Options: `line_search` "wolfe", "exact" or
    "backtracking", `c1` and `c2` of the Wolfe conditions, `history` of the limited methods, `beta` of cg, `radius` and
    `largest_radius` of trust-ncg.

    With `equal` and `below`, functions of x like f, the lowest point is found where all entries of equal(x) are zero and
    none of below(x) is above zero; the result has multipliers: grad f + equal' * v + below' * w = 0, w >= 0.
    """
    if equal is not None or below is not None:
        settings = checked_settings("minimize", 1e-8 if tol is None else tol, max_iterations, max_evaluations, callback)

        def solve(g: Callable, x: Any, tol: float) -> Result:
            return minimize(g, x, method, bounds, tol, max_iterations, max_evaluations, callback, **options)

        return under_constraints(solve, f, x0, several(args), equal, below, settings)
    objective = Objective(f, x0, args)
    limits = box(bounds, objective.form)
    name = chosen_method(method, limits, objective.form.size)
    check_options(name, options)
    settings = checked_settings("minimize", 1e-8 if tol is None else tol, max_iterations, max_evaluations, callback)
    make, own = METHODS[name]
    given = {key: options[key] for key in own if key in options}
    if make is TrustRegion:
        return TrustRegion(objective, settings, **given).run()
    if make is Bounded:
        given["box"] = limits
    rule = Newton(objective.hessian) if make is Newton else make(**given)
    if "c2" in options:
        rule.c2 = options["c2"]
    search = options.get("line_search", rule.search)
    return Descent(objective, rule, settings, limits, search, {k: options[k] for k in ("c1",) if k in options}).run()


def named(name: Any, known: Any, who: str, what: str) -> str:
    """A name among those that are known, or an error that suggests the nearest."""
    if not isinstance(name, str):
        raise TypeError(f"{who}: {what} is one of {', '.join(known)}; got {type(name).__name__} {name!r:.40}")
    if name.lower() in known:
        return name.lower()
    if what == "method" and name.lower() in SCIPYS:
        raise ValueError(f"{who}: no method is called {name!r} here; {SCIPYS[name.lower()]}")
    near = difflib.get_close_matches(name.lower(), known, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"{who}: no {what} is called {name!r}; {hint}there are {', '.join(map(repr, known))}")


def refuse_elsewhere(who: str, options: dict[str, Any]) -> None:
    """Raise for what SciPy calls otherwise, with the name that it has here."""
    for key in options:
        if key in ELSEWHERE:
            raise ValueError(f"{who}: no option is called {key!r}; {ELSEWHERE[key]}")


def chosen_method(method: str | None, limits: Box, size: int) -> str:
    """The method asked for, or one that suits."""
    if method is None:
        return "l-bfgs-b" if limits.bounded else "bfgs" if size <= 1000 else "l-bfgs"
    name = named(method, METHODS, "minimize", "method")
    if limits.bounded and name != "l-bfgs-b":
        raise ValueError(f"minimize: {name} does not know bounds; with them, use method='l-bfgs-b'")
    return name


def check_options(name: str, options: dict[str, Any]) -> None:
    """Raise if an option is unknown, or not for this method."""
    allowed = [*METHODS[name][1], *(SEARCH_OPTIONS if name != "trust-ncg" else ())]
    refuse_elsewhere(f"minimize with {name}", options)
    for key in options:
        named(key, allowed, f"minimize with {name}", "option")
    if "line_search" in options:
        options["line_search"] = named(options["line_search"], SEARCHES, "minimize", "line_search")
    if "beta" in options:
        options["beta"] = named(options["beta"], BETAS, "minimize", "beta")
    for key in "c1", "c2", "radius", "largest_radius":
        if key in options:
            number(options[key], "minimize", key)
    if "history" in options:
        whole(options, "minimize", "history")
    c1, c2 = options.get("c1", 1e-4), options.get("c2", getattr(METHODS[name][0], "c2", 0.9))
    if not 0 < c1 < c2 < 1:
        raise ValueError(f"minimize: needed is 0 < c1 < c2 < 1, got c1={c1} and c2={c2}")
    for key in "radius", "largest_radius":
        if key in options and not options[key] > 0:
            raise ValueError(f"minimize: {key} must be above 0, got {options[key]!r}")


def checked_settings(who: str, tol: Any, iterations: Any, evaluations: Any, callback: Any) -> Settings:
    """When to stop, and whom to tell, or an error that says what is wrong with it."""
    if isinstance(tol, bool) or not isinstance(tol, (int, float, np.number)) or not 0 <= tol < float("inf"):
        raise ValueError(f"{who}: tol must be a number from 0 on, got {tol!r}")
    for name, count in (("max_iterations", iterations), ("max_evaluations", evaluations)):
        if count is not None and (not isinstance(count, (int, np.integer)) or count < 1):
            raise ValueError(f"{who}: {name} must be a whole number from 1 on, or None; got {count!r}")
    if callback is not None and not callable(callback):
        raise TypeError(f"{who}: callback must be a function of x, got {type(callback).__name__}")
    return Settings(float(tol), iterations, evaluations, callback)
