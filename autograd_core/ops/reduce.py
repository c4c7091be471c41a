"""Reductions: sums, extremes and norms.

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
from ..kernels import extreme, softmaxes
from ..kernels import reduce as kernels
from ..op import elementwise, op, predicate
from ..samples import shapes
from .arranging import expand_dims
from .axes import all_axes, one_axis
from .base import conj, masked
from .math import abs, exp, isinf, sgn, where

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "count_nonzero", "dist", "logsumexp", "mean", "nanmean", "nansum", "norm",
    "renorm", "sum", "trace",
]  # fmt: skip
INPLACE = ["renorm"]
EVERY = [tuple(range(-n, 0)) for n in range(65)]  # all axes of a tensor with n of them


def spread(g, axis, keepdims):
    """The cotangent of a reduction with the reduced axes back at length one; the engine spreads it."""
    return g if keepdims else expand_dims(g, axis=axis)


def axes_of(x: Any, dim: Any, name: str) -> tuple[int, ...]:
    """The axes meant by dim, in order; none given means all."""
    n = x.ndim
    if dim is None or dim == ():
        return EVERY[n]
    return (one_axis(n, dim, name),) if n and dim.__class__ is int else tuple(sorted(all_axes(n, dim, name)))


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
        if not options and x.dtype.char != "e":
            return function(x, *args)
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
        raise TypeError(f"{name}: complex numbers have no order, x has type {x.dtype}; use {name}(x.abs())") from None


def demand_entries(x: Any, axis: tuple, name: str) -> None:
    """Refuse to choose among no entries."""
    shape = x.shape
    if 0 in shape and (empty := [a + x.ndim for a in axis if shape[a] == 0]):
        raise ValueError(
            f"{name}: x has shape {x.shape}, with no entries along axis {empty[0]} to choose from: it needs one"
        ) from None


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
    return kernels.total(x, axis, keepdims)


def sum(x, dim=None, keepdim=False, *, dtype=None):
    """The sum of all entries, or along `dim`; integers add up to int64."""
    if dtype is None:
        return reduce_sum(x, axis=EVERY[x.ndim] if dim is None else axes_of(x, dim, "sum"), keepdims=keepdim)
    return typed(reduce_sum(typed(x, dtype), axis=axes_of(x, dim, "sum"), keepdims=keepdim), dtype)


@op(
    lambda g, x_shape, axis, keepdims: spread(g, axis, keepdims) / (product([x_shape[a] for a in axis]) or nan),
    linear=True,
    trailing=True,
    samples=[
        shapes("n m", smallest=1, axis=[(-1,), (-2, -1), ()], keepdims=[True, False]),
        shapes("n m:complex | n m k", smallest=1, axis=[(-2,), (-1,)], keepdims=[False]),
        shapes("()", axis=[()], keepdims=[True, False]),
    ],
    name="mean",
)
def reduce_mean(x, *, axis, keepdims=False):
    """The mean over some axes; NaN of none."""
    return kernels.mean(x, axis, keepdims)


def mean(x, dim=None, keepdim=False, *, dtype=None):
    """The mean of all entries, or along `dim`; NaN of none."""
    if dtype is not None:
        return _mean_as(x, dim, keepdim, dtype=dtype)
    demand_inexact(x, "mean", "a mean")
    return reduce_mean(x, axis=axes_of(x, dim, "mean"), keepdims=keepdim)


@rounded_once
def _mean_as(x: Any, dim: Any, keepdim: bool, *, dtype: Any) -> Any:
    """The mean of entries as another type."""
    return mean(typed(x, dtype), dim, keepdim)


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


def gathered(ct, x, top, axis):
    """The mean of a cotangent over the entries that have the chosen value."""
    chosen = same(x, top)
    ways = reduce_sum(chosen, axis=axis, keepdims=True).astype(ct.dtype)
    return reduce_sum(masked(ct, chosen), axis=axis, keepdims=True) / ways


@op(
    lambda ct, x, top, axis: gathered(ct, x, top, axis),
    None,
    None,
    trailing=True,
    jvp=lambda tangents, y, g, x, top, axis: None if tangents[0] is None else shares(tangents[0], x, top, axis=axis),
    samples=[],  # which entries are chosen changes with any of them: tested where it is used
)
def shares(g, x, top, *, axis):
    """The cotangent g of the chosen value (axes at length one), in equal parts to all of x that have that value."""
    return extreme.shares(g, x, top, axis)


def shared(g, x, y, axis, keepdims):
    """The cotangent of a chosen value, in equal parts to all entries that have that value."""
    return shares(spread(g, axis, keepdims), x, spread(y, axis, keepdims), axis=axis)


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
    return extreme.most(x, axis, 1, keepdims)


@op(
    shared,
    trailing=True,
    name="amin",
    samples=shapes("n m:distinct", axis=[(-1,), (-2, -1), (-2,)], keepdims=[True, False], smallest=1),
)
def reduce_min(x, *, axis, keepdims=False):
    """The smallest entry over some axes; equal ones share the gradient."""
    return extreme.most(x, axis, -1, keepdims)


class Extremes(NamedTuple):
    """The smallest and the largest entries."""

    min: Any
    max: Any


def refuse(x: Any, axis: tuple, name: str) -> None:
    """Say why extremes could not be had, if x is complex or empty: it is looked at only then."""
    demand_order(x, name)
    demand_entries(x, axis, name)


def amax(x, dim=(), keepdim=False):
    """The largest entry of all, or along `dim`; equal entries share the gradient."""
    axis = axes_of(x, dim, "amax")
    try:
        return reduce_max(x, axis=axis, keepdims=keepdim)
    except (TypeError, ValueError):
        refuse(x, axis, "amax")
        raise


def amin(x, dim=(), keepdim=False):
    """The smallest entry of all, or along `dim`; equal entries share the gradient."""
    axis = axes_of(x, dim, "amin")
    try:
        return reduce_min(x, axis=axis, keepdims=keepdim)
    except (TypeError, ValueError):
        refuse(x, axis, "amin")
        raise


def aminmax(x, *, dim=None, keepdim=False):
    """The smallest and the largest entry, of all or along `dim`."""
    axis = axes_of(x, dim, "aminmax")
    demand_order(x, "aminmax")
    demand_entries(x, axis, "aminmax")
    return Extremes(reduce_min(x, axis=axis, keepdims=keepdim), reduce_max(x, axis=axis, keepdims=keepdim))


@op(
    lambda g, x, y, axis, keepdims: shares_of_sum(spread(g, axis, keepdims), x, spread(y, axis, keepdims)),
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
    return softmaxes.logsumexp(x, axis, keepdims)


exp_gap_times = elementwise(
    softmaxes.shares,
    lambda x, level: exp_gap(x, level),
    lambda y: y,
    lambda y: -y,
    name="exp_gap_times",
    inputs=("g", "x", "level"),
    samples="n m, n m, n m:large | n 1, n m, n 1:large | n m, n m, ():large",
)


def shares_of_sum(g, x, y):
    """The gradient of log(sum(exp(x))) = y: in one pass for real numbers."""
    return g * conj(exp_gap(x, y)) if x.dtype.kind == "c" else exp_gap_times(g, x, y)


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
    if p == 2:
        return kernels.norm(x, axis, keepdims)
    if p == 1:
        return kernels.absolute_sum(x, axis, keepdims)
    over = {"axis": axis, "keepdims": keepdims}
    size = np.abs(x)
    if p == 0:
        return np.add.reduce(size != 0, **over).astype(size.dtype)
    if np.isinf(p):
        return (
            extreme.most(size, sign=1 if p > 0 else -1, **over)
            if size.size
            else np.maximum.reduce(size, initial=0, **over)
        )
    with np.errstate(all="ignore"):
        return kernels.total(size**p, **over) ** (1 / p)


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
