"""`least_squares`: the parameters with which the squares of residuals sum up to least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import number
from .bounds import box
from .descent import EPS
from .gauss_newton import GaussNewton
from .levenberg import Levenberg, norms
from .minimize import checked_settings, named, refuse_elsewhere
from .objectives import Residuals
from .results import LeastSquaresResult, gather

METHODS = {"lm": Levenberg, "gn": GaussNewton}


def least_squares(
    residuals: Callable,
    x0: Any,
    method: str = "lm",
    bounds: Any = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    max_evaluations: int | None = None,
    callback: Callable | None = None,
    args: tuple = (),
    radius: float = 10.0,
    **options: Any,
) -> LeastSquaresResult:
    """The x with the least sum of squares of residuals(x), near x0: a number, an array, a tensor or a tree of these.

    "lm" is Levenberg-Marquardt, "gn" Gauss-Newton; both use exact Jacobians.  `tol` is how near to square the residuals
    stand on all columns of the Jacobian (the cosine) at the end, 1e-12 if it is None.  `radius` is the first size of lm's
    region of trust, in units of the size of x0.  The result has the covariance of the parameters, for residuals whose
    errors are independent and of one variance, and their standard errors.
    """
    refuse_elsewhere("least_squares", options)
    for key in options:
        named(key, ("method", "bounds", "tol", "callback", "args", "radius"), "least_squares", "option")
    problem = Residuals(residuals, x0, args)
    limits = box(bounds, problem.form)
    settings = checked_settings(
        "least_squares", 1e-12 if tol is None else tol, max_iterations, max_evaluations, callback
    )
    name = named(method, METHODS, "least_squares", "method")
    if not number(radius, "least_squares", "radius") > 0:
        raise ValueError(f"least_squares: radius must be above 0, got {radius!r}")
    run = Levenberg(problem, settings, limits, radius) if name == "lm" else GaussNewton(problem, settings, limits)
    status = run.run()
    g = run.J.T @ run.r
    rank, covariance = spread(run.J, run.r)
    found = gather(problem, run.x, float(run.r @ run.r) / 2, g, limits.measure(run.x, g), status)
    return LeastSquaresResult(
        **found,
        method=name,
        iterations=run.iterations,
        residuals=run.r,
        jac=run.J,
        rank=rank,
        covariance=covariance,
        standard_errors=problem.form.outside(np.sqrt(np.diag(covariance))),
        active=problem.form.outside(np.where(run.x <= limits.low, -1.0, np.where(run.x >= limits.high, 1.0, 0.0))),
    )


def spread(J: np.ndarray, r: np.ndarray) -> tuple[int, np.ndarray]:
    """The rank, and the variance of the residuals times (JᵀJ)⁻¹; infinite if parameters are not determined."""
    m, n = J.shape
    scale = np.where((lengths := norms(J)) > 0, lengths, 1.0)
    _, s, V = np.linalg.svd(J / scale, full_matrices=False)
    rank = int((s > max(m, n) * EPS * s.max(initial=0)).sum())
    if rank < n or m <= n:
        return rank, np.full((n, n), np.inf)
    half = V.T / s / scale[:, None]
    return rank, half @ half.T * (float(r @ r) / (m - n))
