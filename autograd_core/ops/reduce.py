"""Reductions: sums, extremes, moments and norms.

What selects entries by their order (max along a dim, median, sort) is in `sort`; the product, whose gradient is made of
cumulative products, is in `scan`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import inf, nan
from math import prod as product
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import as_dtype, float16, float32, get_default_dtype
from ..kernels.sums import LONG, add_up
from ..op import op, predicate
from ..samples import shapes
from .axes import all_axes, one_axis
from .base import conj, masked, real
from .math import abs, exp, isinf, sgn, sqrt, where
from .shape import expand_dims, reshape_to

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "corrcoef", "count_nonzero", "cov", "dist", "logsumexp", "mean", "nanmean",
    "nansum", "norm", "renorm", "std", "std_mean", "sum", "trace", "var", "var_mean",
]  # fmt: skip
INPLACE = ["renorm"]
EVERY = [tuple(range(-n, 0)) for n in range(65)]  # all axes of a tensor with n of them


def spread(g, axis, keepdims):
    """The cotangent of a reduction with the reduced axes back at length one; the engine spreads it."""
    return g if keepdims else expand_dims(g, axis=axis)


def axes_of(x: Any, dim: Any, name: str) -> tuple[int, ...]:
    """The axes meant by dim; none given means all."""
    return EVERY[x.ndim] if dim is None or dim == () else all_axes(x.ndim, dim, name)


def count(x: Any, axis: tuple) -> int:
    """How many entries make one result."""
    shape = x.shape
    return product([shape[a] for a in axis])


def typed(x: Any, dtype: Any) -> Any:
    """x in the type asked for, if one was."""
    return x if dtype is None else x.astype(as_dtype(dtype))


def rounded_once(function: Callable) -> Callable:
    """The function with float16 computed in float32, so that it is rounded at the end only; gradients are float16."""

    @functools.wraps(function)
    def call(x, *args, **options):
        wanted = options.get("dtype")
        if x.dtype != float16 and (wanted is None or as_dtype(wanted) != float16):
            return function(x, *args, **options)
        y = function(x.astype(float32), *args, **options | ({} if wanted is None else {"dtype": None}))
        result = float16 if wanted is None else as_dtype(wanted)
        return tuple(v.astype(result) for v in y) if isinstance(y, tuple) else y.astype(result)

    return call


def inexact(x: Any) -> Any:
    """x with integers as numbers of the default type."""
    return x if x.dtype.kind in "fc" else x.astype(get_default_dtype())


def demand_inexact(x: Any, name: str, meaning: str) -> None:
    """Refuse integers where the result would not be one."""
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name}: x has type {x.dtype}, but {meaning} is seldom an integer; use {name}(x.float())")


def demand_order(x: Any, name: str) -> None:
    """Refuse to compare complex numbers."""
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, x has type {x.dtype}; use {name}(x.abs())")


def demand_entries(x: Any, axis: tuple, name: str) -> None:
    """Refuse to choose among no entries."""
    if empty := [a + x.ndim for a in axis if x.shape[a] == 0]:
        raise ValueError(
            f"{name}: x has shape {x.shape}, with no entries along axis {empty[0]} to choose from: it needs one"
        )


def kept_shape(x: Any, axis: tuple) -> tuple:
    """The lengths of the axes that a reduction leaves."""
    return tuple(x.shape[a] for a in EVERY[x.ndim] if a not in axis)


# --- sums ------------------------------------------------------------------------------------------------------------


@op(
    lambda g, axis, keepdims: spread(g, axis, keepdims),
    linear=True,
    trailing=True,
    samples=[
        shapes("n m", axis=[(-1,), (-2, -1), ()], keepdims=[True, False]),
        shapes("n m:complex | n m k", axis=[(-2,), (-1,)], keepdims=[False]),
        shapes("()", axis=[()], keepdims=[True, False]),
    ],
    name="sum",
)
def reduce_sum(x, *, axis, keepdims=False):
    """The sum over some axes."""
    precise = x.size > LONG or x.dtype.char == "e"
    y = add_up(x, axis, keepdims) if precise else np.add.reduce(x, axis=axis, keepdims=keepdims)
    return y.astype(np.int64) if y.dtype.kind == "u" else y


def sum(x, dim=None, keepdim=False, *, dtype=None):
    """The sum of all entries, or along `dim`; integers add up to int64."""
    if dim is None and dtype is None and not keepdim:
        return reduce_sum(x, axis=EVERY[x.ndim])
    return typed(reduce_sum(typed(x, dtype), axis=axes_of(x, dim, "sum"), keepdims=keepdim), dtype)


@rounded_once
def mean(x, dim=None, keepdim=False, *, dtype=None):
    """The mean of all entries, or along `dim`; NaN of none."""
    x, axis = typed(x, dtype), axes_of(x, dim, "mean")
    demand_inexact(x, "mean", "a mean")
    total, n = reduce_sum(x, axis=axis, keepdims=keepdim), count(x, axis)
    return total / n if n else total * nan


@rounded_once
def nansum(x, dim=None, keepdim=False, *, dtype=None):
    """The sum of the entries that are not NaN."""
    return sum(where(x == x, x, 0), dim, keepdim, dtype=dtype)


@rounded_once
def nanmean(x, dim=None, keepdim=False, *, dtype=None):
    """The mean of the entries that are not NaN; NaN if all are."""
    x, axis = typed(x, dtype), axes_of(x, dim, "nanmean")
    demand_inexact(x, "nanmean", "a mean")
    with np.errstate(invalid="ignore"):
        return nansum(x, axis, keepdim) / reduce_sum(x == x, axis=axis, keepdims=keepdim).astype(x.dtype)


def count_nonzero(x, dim=None):
    """How many entries are not zero."""
    return reduce_sum(x != 0, axis=axes_of(x, dim, "count_nonzero"))


@rounded_once
def trace(x):
    """The sum of the diagonal of a matrix."""
    if x.ndim != 2:
        raise ValueError(f"trace: needs a matrix, got shape {x.shape}; for many, x.diagonal(0, -2, -1).sum(-1)")
    return reduce_sum(x.diagonal(), axis=(-1,))


# --- extremes --------------------------------------------------------------------------------------------------------

same = predicate(lambda a, b: (a == b) | ((a != a) & (b != b)), name="same", inputs=("a", "b"))


def shared(g, x, y, axis, keepdims):
    """The cotangent of a chosen value, in equal parts to all entries that have that value."""
    chosen = same(x, spread(y, axis, keepdims))
    ways = reduce_sum(chosen, axis=axis, keepdims=True)
    return masked(spread(g, axis, keepdims) / ways.astype(g.dtype), chosen)


@op(
    shared,
    trailing=True,
    samples=[
        shapes("n m:distinct | 3 1 2:distinct", axis=[(-1,), (-2, -1), (-2,)], keepdims=[True, False], smallest=1),
        shapes("0 2", axis=[(-1,), ()], keepdims=[False]),
    ],
    name="amax",
)
def reduce_max(x, *, axis, keepdims=False):
    """The largest entry over some axes; equal ones share the gradient."""
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


@op(
    shared,
    trailing=True,
    name="amin",
    samples=shapes("n m:distinct", axis=[(-1,), (-2, -1), (-2,)], keepdims=[True, False], smallest=1),
)
def reduce_min(x, *, axis, keepdims=False):
    """The smallest entry over some axes; equal ones share the gradient."""
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


class Extremes(NamedTuple):
    """The smallest and the largest entries."""

    min: Any
    max: Any


def _extreme(primitive: Any, x: Any, dim: Any, keepdim: bool, name: str) -> Any:
    axis = axes_of(x, dim, name)
    demand_order(x, name)
    demand_entries(x, axis, name)
    return primitive(x, axis=axis, keepdims=keepdim)


def amax(x, dim=(), keepdim=False):
    """The largest entry of all, or along `dim`; equal entries share the gradient."""
    return _extreme(reduce_max, x, dim, keepdim, "amax")


def amin(x, dim=(), keepdim=False):
    """The smallest entry of all, or along `dim`; equal entries share the gradient."""
    return _extreme(reduce_min, x, dim, keepdim, "amin")


def aminmax(x, *, dim=None, keepdim=False):
    """The smallest and the largest entry, of all or along `dim`."""
    axis = axes_of(x, dim, "aminmax")
    demand_order(x, "aminmax")
    demand_entries(x, axis, "aminmax")
    return Extremes(reduce_min(x, axis=axis, keepdims=keepdim), reduce_max(x, axis=axis, keepdims=keepdim))


@op(
    lambda g, x, y, axis, keepdims: spread(g, axis, keepdims) * conj(exp_gap(x, spread(y, axis, keepdims))),
    trailing=True,
    promotes="inexact",
    samples=[
        shapes("n m | 3 2", axis=[(-1,), (-2, -1), (-2,)], keepdims=[True, False], smallest=1),
        shapes("3 2:complex", axis=[(-1,), (-2, -1)], keepdims=[True, False]),
    ],
    name="logsumexp",
)
def reduce_logsumexp(x, *, axis, keepdims=False):
    """log(sum(exp(x))) over some axes, safe from overflow."""
    top = np.maximum.reduce(x.real, axis=axis, keepdims=True, initial=-inf)
    top = np.where(np.isfinite(top), top, np.zeros((), top.dtype))
    with np.errstate(all="ignore"):
        y = np.log(add_up(np.exp(x - top), axis, True)) + top
    return y if keepdims else np.squeeze(y, axis)


def exp_gap(x, y):
    """exp(x - y) where y bounds x from above; 0 where y is infinite: the entries behind it then have no share in it."""
    return exp(where(isinf(y), -inf, x - y))


@rounded_once
def logsumexp(x, dim, keepdim=False):
    """log(sum(exp(x))) along `dim`, safe from overflow; rows of -inf have value -inf and gradient 0."""
    return reduce_logsumexp(inexact(x), axis=axes_of(x, dim, "logsumexp"), keepdims=keepdim)


# --- logic -----------------------------------------------------------------------------------------------------------


@op(
    trailing=True,
    differentiable=False,
    name="all",
    samples=shapes("n m:bool", axis=[(-1,), (-2, -1), ()], keepdims=[True, False]),
)
def reduce_all(x, *, axis, keepdims=False):
    """Whether all entries over some axes are true."""
    y = np.logical_and.reduce(x, axis=axis, keepdims=keepdims)
    return y.astype(x.dtype) if x.dtype == np.uint8 else y


@op(
    trailing=True,
    differentiable=False,
    name="any",
    samples=shapes("n m:bool", axis=[(-1,), (-2, -1), ()], keepdims=[True, False]),
)
def reduce_any(x, *, axis, keepdims=False):
    """Whether any entry over some axes is true."""
    y = np.logical_or.reduce(x, axis=axis, keepdims=keepdims)
    return y.astype(x.dtype) if x.dtype == np.uint8 else y


def all(x, dim=None, keepdim=False):
    """Whether all entries are true (not zero)."""
    return reduce_all(x, axis=all_axes(x.ndim, dim, "all"), keepdims=keepdim)


def any(x, dim=None, keepdim=False):
    """Whether any entry is true (not zero)."""
    return reduce_any(x, axis=all_axes(x.ndim, dim, "any"), keepdims=keepdim)


# --- moments ---------------------------------------------------------------------------------------------------------


@op(
    lambda g, axis: centered(g, axis=axis),
    linear=True,
    trailing=True,
    samples=shapes("n m | 3 4:complex", axis=[(-1,), (-2, -1), (-2,), ()]),
)
def centered(x, *, axis):
    """x minus its mean over some axes: exactly 0 where all entries are equal."""
    if x.size == 0:
        return np.array(x)
    with np.errstate(invalid="ignore", over="ignore"):
        first = x[tuple(slice(0, 1) if a in axis else slice(None) for a in EVERY[x.ndim])]
        away = np.asarray(x - first)
        away -= add_up(away, axis, True) / count(x, axis)
    return away


def _deviations(x: Any, dim: Any, unbiased: Any, correction: Any, name: str) -> tuple:
    """Deviations from the mean, the axes meant, and what to divide their squares by."""
    demand_inexact(x, name, "a deviation from the mean")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise ValueError(
            f"{name}: unbiased={unbiased} and correction={correction} say the same twice; give correction only"
        )
    axis = axes_of(x, dim, name)
    correction = (1 if unbiased is None else int(unbiased)) if correction is None else correction
    return centered(x, axis=axis), axis, max(count(x, axis) - correction, 0)


@rounded_once
def var(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance of all entries, or along `dim`: squared deviations over their number less `correction` (1)."""
    d, axis, n = _deviations(x, dim, unbiased, correction, "var")
    square = d * d if d.dtype.kind == "f" else real(d * conj(d))
    total = reduce_sum(square, axis=axis, keepdims=keepdim)
    with np.errstate(divide="ignore", invalid="ignore"):
        if n:
            return total / n
        return where(total > 0, total / n, reduce_sum(real(d), axis=axis, keepdims=keepdim) * nan)


@rounded_once
def std(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation of all entries, or along `dim`; its gradient is 0 where all entries are equal."""
    d, axis, n = _deviations(x, dim, unbiased, correction, "std")
    with np.errstate(divide="ignore", invalid="ignore"):
        return reduce_norm(d, p=2, axis=axis, keepdims=keepdim) / n**0.5


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


# --- norms -----------------------------------------------------------------------------------------------------------


def norm_rule(g, x, y, p, axis, keepdims):
    """Where the norm is 0 its gradient is 0, and so is that of entries that are 0, to any order."""
    g, y = spread(g, axis, keepdims), spread(y, axis, keepdims)
    if p == 2:
        return g / where(y == 0, inf, y) * x
    if p == 1 or p == 0:
        return (g if p else 0) * sgn(x)
    if abs(p) == inf:
        return shared(g, abs(x), y, axis, True) * sgn(x)
    ratio = where(x == 0, 1, abs(x) / where(y == 0, 1, y))
    return masked(g, y != 0) * sgn(x) * ratio ** (p - 1)


@op(
    norm_rule,
    trailing=True,
    samples=[
        shapes(
            "n m:nonzero | 3 2:distinct", p=[2, 1, 3, 2.5, 0], axis=[(-1,), (-2, -1), (-2,), ()], keepdims=[True, False]
        ),
        shapes("2 3:distinct", p=[inf, -inf, -1, 0.5], axis=[(-1,), (-2, -1)], keepdims=[True, False]),
        shapes("2 3:complex", p=[2, 1, 3, inf, 0.5], axis=[(-1,), (-2, -1)], keepdims=[False]),
    ],
    name="norm",
)
def reduce_norm(x, *, p, axis, keepdims=False):
    """The p-norm over some axes."""
    over = {"axis": axis, "keepdims": keepdims}
    if p == 2:
        return np.sqrt(add_up(x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x, **over))
    size = np.abs(x)
    if p == 0:
        return np.add.reduce(size != 0, **over).astype(size.dtype)
    if np.isinf(p):
        return np.maximum.reduce(size, initial=0, **over) if p > 0 else np.minimum.reduce(size, **over)
    with np.errstate(all="ignore"):
        return add_up(size, **over) if p == 1 else add_up(size**p, **over) ** (1 / p)


@rounded_once
def norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    """The p-norm of all entries, or along `dim`: p is a number, inf, -inf, "fro" (that is 2) or "nuc" (of matrices)."""
    x = typed(x, dtype)
    demand_inexact(x, "norm", "a norm")
    if p == "nuc":
        from .linalg import matrix_norm

        return matrix_norm(x, "nuc", (-2, -1) if dim is None else dim, keepdim)
    if isinstance(p, str) and p != "fro" or not isinstance(p, (str, int, float, np.number, type(None))):
        raise ValueError(f"norm: p must be a number, 'fro' or 'nuc', got {p!r}")
    p, axis = 2.0 if p in ("fro", None) else float(p), axes_of(x, dim, "norm")
    if p < 0 or p == inf:
        demand_entries(x, axis, "norm")
    return reduce_norm(x, p=p, axis=axis, keepdims=keepdim)


def dist(x, other, p=2):
    """The p-norm of x - other."""
    return norm(x - other, p)


@rounded_once
def renorm(x, p, dim, maxnorm):
    """x with those of its parts along `dim` scaled down whose p-norm is above `maxnorm`."""
    axis = one_axis(x.ndim, dim, "renorm")
    demand_inexact(x, "renorm", "a norm")
    if x.ndim < 2 or p <= 0 or maxnorm < 0:
        given = f"shape {x.shape}, p={p}, maxnorm={maxnorm}"
        raise ValueError(f"renorm: needs two axes or more, p > 0 and maxnorm >= 0, got {given}")
    size = reduce_norm(x, p=p, axis=tuple(a for a in EVERY[x.ndim] if a != axis), keepdims=True)
    return x * where(size > maxnorm, maxnorm / (size + 1e-7), 1)
