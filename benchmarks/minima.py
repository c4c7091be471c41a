"""Evaluations that `optim` needs beside SciPy's, on the problems of Moré, Garbow and Hillstrom: `python -m benchmarks.minima`.

Both are given the same exact derivatives and asked for a gradient of 1e-8 (least squares: for all that rounding allows).
A sign * marks a value that is not within 1e-8 of a known minimum; rows above twice SciPy's count are marked with !.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
import optim

from .problems import PROBLEMS, Problem

METHODS = {
    "bfgs": "BFGS",
    "l-bfgs": "L-BFGS-B",
    "l-bfgs-b": "L-BFGS-B",
    "cg": "CG",
    "newton": "Newton-CG",
    "trust-ncg": "trust-ncg",
    "lm": "lm",
}


def ours(p: Problem, method: str) -> tuple[int, float]:
    """Our evaluations and value."""
    if method == "lm":
        fit = optim.least_squares(p.residuals, p.start)
        return fit.nfev, 2 * fit.value
    found = optim.minimize(p.value, p.start, method, max_iterations=10000)
    return found.nfev, found.value


def theirs(p: Problem, method: str) -> tuple[int, float]:
    """SciPy's evaluations and value."""
    from scipy.optimize import least_squares, minimize

    if method == "lm":
        plain: Callable = lambda x: np.asarray(p.residuals(ag.tensor(x)).value)
        tight: dict[str, Any] = dict.fromkeys(("xtol", "ftol", "gtol"), 1e-12)
        fit = least_squares(plain, p.start, ag.jacobian(p.residuals), method="lm", max_nfev=5000, **tight)
        return fit.nfev, 2 * fit.cost
    options: dict[str, Any] = {"gtol": 1e-8} if method != "newton" else {"xtol": 1e-10}
    options["maxiter"] = 10000
    if "l-bfgs" in method:
        options |= {"ftol": 0, "maxfun": 100000}
    more = {"hess": ag.hessian(p.value)} if method in ("newton", "trust-ncg") else {}
    found = minimize(ag.value_and_grad(p.value), p.start, jac=True, method=METHODS[method], options=options, **more)
    return found.nfev, found.fun


def cell(p: Problem, method: str) -> str:
    """Our count and theirs."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        (n, value), (m, other) = ours(p, method), theirs(p, method)
    star = lambda v: " " if p.reached(v) <= 1e-8 else "*"
    mark = "!" if n > 2 * m and star(other) == " " else " "
    return f"{n:6d}{star(value)}{m:6d}{star(other)}{mark}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.minima", description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS), help="which methods")
    parser.add_argument("--filter", default="", help="only problems with this in their name")
    options = parser.parse_args()
    methods = options.methods.split(",")
    print(f"{'ours, SciPy':24s}" + "".join(f"{name:>14s} " for name in methods))
    for name, p in PROBLEMS.items():
        if options.filter in name:
            print(f"{name:24s}" + "".join(cell(p, method) for method in methods), flush=True)


if __name__ == "__main__":
    main()
