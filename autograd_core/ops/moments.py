"""Moments: variances, standard deviations, covariances and correlations."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from ..dtypes import float16, float32
from ..kernels import moments
from ..op import op
from ..samples import shapes
from .arranging import expand_dims, reshape_to
from .base import conj, real
from .math import sqrt, where
from .reduce import axes_of, count, demand_inexact, inexact, mean, reduce_norm, reduce_sum, rounded_once, spread

__all__ = ["corrcoef", "cov", "std", "std_mean", "var", "var_mean"]


@op(
    lambda g, axis: centered(g, axis=axis),
    linear=True,
    trailing=True,
    samples=shapes("n m | 3 4:complex", axis=[(-1,), (-2, -1), (-2,), ()]),
)
def centered(x, *, axis):
    """x minus its mean over some axes: exactly 0 where all entries are equal."""
    return moments.centred(x, axis)


@op(
    lambda ct, x, axis, scale: reduce_sum(ct * centered(x, axis=axis) * scale, axis=axis, keepdims=True),
    lambda ct, g, axis, scale: centered(ct * g * scale, axis=axis),
    linear=True,
    trailing=True,
    samples=shapes("n 1, n m", axis=[(-1,)], scale=[0.5, 2]) + shapes("1 m, n m", axis=[(-2,)], scale=[0.5]),
)
def deviations(g, x, *, axis, scale):
    """g * scale * (x - its mean over some axes), where g has these axes at length one."""
    return moments.variance_pull(g, x, axis, scale)


_variances = [
    shapes("n m", smallest=2, axis=[(-1,), (-2, -1), (-2,)], keepdims=[True, False], divisor=[1, 3]),
    shapes("2 3 4", axis=[(-2,), (-3, -1)], keepdims=[False], divisor=[2]),
]


@op(
    lambda g, x, axis, keepdims, divisor: deviations(spread(g, axis, keepdims), x, axis=axis, scale=over(2, divisor)),
    trailing=True,
    name="var",
    samples=_variances,
)
def reduce_var(x, *, axis, keepdims=False, divisor):
    """Squared deviations from the mean over some axes, added up and divided."""
    return moments.variance(x, axis, divisor, False, keepdims)


def _std_rule(g, x, y, axis, keepdims, divisor):
    """Where nothing deviates the gradient is 0, to any order."""
    y = spread(y, axis, keepdims)
    share = where(y == 0, 0, spread(g, axis, keepdims) / where(y == 0, 1, y))
    return deviations(share, x, axis=axis, scale=over(1, divisor))


@op(_std_rule, trailing=True, name="std", samples=_variances)
def reduce_std(x, *, axis, keepdims=False, divisor):
    """The root of `var`."""
    return moments.variance(x, axis, divisor, True, keepdims)


def over(a: float, b: float) -> float:
    """a / b, infinite where b is 0."""
    return a / b if b else inf


def _freedom(x: Any, dim: Any, unbiased: Any, correction: Any, name: str) -> tuple:
    """The axes meant, and what to divide squared deviations by."""
    demand_inexact(x, name, "a deviation from the mean")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise ValueError(
            f"{name}: unbiased={unbiased} and correction={correction} say the same twice; give correction only"
        )
    axis = axes_of(x, dim, name)
    correction = (1 if unbiased is None else int(unbiased)) if correction is None else correction
    return axis, max(count(x, axis) - correction, 0)


def var(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance of all entries, or along `dim`: squared deviations over their number less `correction` (1)."""
    if x.dtype == float16:
        return var(x.astype(float32), dim, unbiased, keepdim, correction=correction).astype(float16)
    axis, n = _freedom(x, dim, unbiased, correction, "var")
    if n and x.dtype.kind == "f":
        return reduce_var(x, axis=axis, keepdims=keepdim, divisor=n)
    d = centered(x, axis=axis)
    square = d * d if d.dtype.kind == "f" else real(d * conj(d))
    total = reduce_sum(square, axis=axis, keepdims=keepdim)
    with np.errstate(divide="ignore", invalid="ignore"):
        if n:
            return total / n
        return where(total > 0, total / n, reduce_sum(real(d), axis=axis, keepdims=keepdim) * nan)


def std(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation of all entries, or along `dim`; its gradient is 0 where all entries are equal."""
    if x.dtype == float16:
        return std(x.astype(float32), dim, unbiased, keepdim, correction=correction).astype(float16)
    axis, n = _freedom(x, dim, unbiased, correction, "std")
    if n and x.dtype.kind == "f":
        return reduce_std(x, axis=axis, keepdims=keepdim, divisor=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return reduce_norm(centered(x, axis=axis), p=2, axis=axis, keepdims=keepdim) / n**0.5


@rounded_once
def var_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance and the mean."""
    y = var(x, dim, unbiased, keepdim, correction=correction)
    return y, mean(x, None if isinstance(dim, bool) else dim, keepdim)


@rounded_once
def std_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation and the mean."""
    y = std(x, dim, unbiased, keepdim, correction=correction)
    return y, mean(x, None if isinstance(dim, bool) else dim, keepdim)


def cov(x, *, correction=1, fweights=None, aweights=None):
    """The covariances of the rows of x; columns are observations, `fweights` times each, weighed by `aweights`."""
    if x.ndim > 2:
        raise ValueError(f"cov: expected a row or a matrix of rows, got shape {x.shape}")
    rows = inexact(x if x.ndim == 2 else x.reshape(1, -1))
    given = {n: w for n, w in (("fweights", fweights), ("aweights", aweights)) if w is not None}
    for name, w in given.items():
        if w.shape != rows.shape[1:]:
            n = rows.shape[1]
            raise ValueError(f"cov: {name} has shape {w.shape}, but x of shape {x.shape} has {n} observations")
    if fweights is not None and fweights.dtype.kind not in "iu":
        raise TypeError(f"cov: fweights count observations, so they must be integers, not {fweights.dtype}")
    with np.errstate(divide="ignore", invalid="ignore"):
        y = _weighted_cov(rows, *given.values(), correction=correction, scaled=aweights)
    return y if len(y) != 1 else reshape_to(y, shape=())


def _weighted_cov(rows: Any, *weights: Any, correction: Any, scaled: Any) -> Any:
    """The covariance matrix; weights that only scale (not count) take their share of the correction."""
    if not weights:
        d = centered(rows, axis=(-1,))
        return d @ conj(d.mT) / max(rows.shape[1] - correction, 0)
    w = weights[0] if len(weights) == 1 else weights[0] * weights[1]
    total = reduce_sum(w, axis=(-1,))
    d = rows - expand_dims(reduce_sum(rows * w, axis=(-1,)) / total, axis=(-1,))
    less = correction if scaled is None else correction * reduce_sum(w * scaled, axis=(-1,)) / total
    return (d * w) @ conj(d.mT) / where(total < less, 0, total - less)


@rounded_once
def corrcoef(x):
    """The correlation coefficients of the rows of x."""
    c = cov(x)
    if c.ndim == 0:
        return c / c
    scale = sqrt(real(c.diagonal()))
    with np.errstate(divide="ignore", invalid="ignore"):
        c = c / expand_dims(scale, axis=(-1,)) / scale
    return c.clip(-1, 1) if c.dtype.kind == "f" else c
