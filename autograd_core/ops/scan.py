"""Cumulative functions, and the product, whose gradient is made of them.

Gradients of cumulative products divide by nothing: they are first-order linear recurrences, whose gradients are again
such recurrences, so zeros do no harm to any order.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from ..direct import unwatched
from ..kernels import reduce, scan
from ..op import op
from ..samples import shapes
from .arranging import along, cat_along, expand_dims, reshape_to, view_at
from .axes import one_axis
from .base import clone, conj, masked
from .entries import take_along
from .joining import cat
from .reduce import (
    EVERY,
    axes_of,
    count,
    demand_order,
    exp_gap,
    inexact,
    kept_shape,
    reduce_sum,
    rounded_once,
    spread,
    typed,
)  # fmt: skip
from .sort import Chosen, paired, with_axis

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp", "prod", "trapezoid",
    "trapz",
]  # fmt: skip
INPLACE = ["cumprod", "cumsum"]


def part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """A stretch of an axis."""
    return view_at(x, index=along(axis, slice(start, stop)))


def shifted(x: Any, axis: int, value: float, reverse: bool) -> Any:
    """x one place further along the axis (back, if `reverse`), with a value in the free place."""
    if x.shape[axis] == 0:
        return x
    edge = np.full(tuple(1 if a == axis else x.shape[a] for a in EVERY[x.ndim]), value, x.dtype)
    if reverse:
        return cat_along(part(x, axis, 1, None), edge, axis=axis)
    return cat_along(edge, part(x, axis, None, -1), axis=axis)


def signed(y: np.ndarray) -> np.ndarray:
    """Sums of unsigned integers are signed."""
    return y.astype(np.int64) if y.dtype.kind == "u" else y


# --- primitives ------------------------------------------------------------------------------------------------------


@op(
    lambda g, axis, reverse: cumsum_along(g, axis=axis, reverse=not reverse),
    linear=True,
    trailing=True,
    samples=shapes("n m | 3 4:complex", axis=[-1, -2], reverse=[False, True]),
    name="cumsum",
)
def cumsum_along(x, *, axis, reverse=False):
    """Sums of the entries up to each place of an axis, or from each place on."""
    return scan.cumsum(x, axis, reverse)


def carried(g, a, axis, reverse):
    """Cotangents run through a recurrence the other way: each step by the factor that it took forward."""
    return recurrence(shifted(conj(a), axis, 0, not reverse), g, axis=axis, reverse=not reverse)


def recurrence_rules(g, a, y, axis, reverse):
    """The cotangents of the factors and of the terms."""
    ct = carried(g, a, axis, reverse)
    return masked(ct, conj(shifted(y, axis, 0, reverse))), ct


@op(
    together=recurrence_rules,
    trailing=True,
    samples=shapes("n m, n m | 3 4:complex, 3 4:complex", axis=[-1, -2], reverse=[False, True]),
)
def recurrence(a, b, *, axis, reverse=False):
    """y[k] = a[k] y[k-1] + b[k] along an axis, from the far end if `reverse`; a zero times infinity is zero."""
    return scan.recurrence(a, b, axis, reverse)


def with_zeros(rng, shape):
    """Numbers with none, one or several zeros in a row."""
    return rng.uniform(-2, 2, shape) * (rng.random(shape) < 0.6)


@op(
    lambda g, x, y, axis, reverse: cumprod_pull(g, x, y, axis=axis, reverse=reverse),
    trailing=True,
    samples=[
        shapes("n m | 3 4:complex", axis=[-1, -2], reverse=[False, True]),
        lambda rng: (
            [with_zeros(rng, (4, 5))],
            {"axis": int(rng.choice([-1, -2])), "reverse": bool(rng.random() < 0.5)},
        ),
    ],
    name="cumprod",
)
def cumprod_along(x, *, axis, reverse=False):
    """Products of the entries up to each place of an axis, or from each place on."""
    return scan.cumprod(x, axis, reverse)


def cumprod_pull_rules(ct, g, x, total, axis, reverse):
    """Those of `masked(carried(g, x), conj(shifted(total)))`, one after the other."""
    factors, back = shifted(conj(x), axis, 0, not reverse), carried(g, x, axis, reverse)
    of_factors, of_g = recurrence_rules(masked(ct, shifted(total, axis, 1, reverse)), factors, back, axis, not reverse)
    of_total = shifted(conj(masked(ct, conj(back))), axis, 0, not reverse)
    return of_g, conj(shifted(of_factors, axis, 0, reverse)), of_total


@op(
    together=cumprod_pull_rules,
    trailing=True,
    samples=shapes("n m, n m, n m | 3 4:complex, 3 4:complex, 3 4:complex", axis=[-1, -2], reverse=[False, True]),
)
def cumprod_pull(g, x, total, *, axis, reverse=False):
    """The gradient of x, from the gradient g of its running products, the totals."""
    return scan.product_pull(g, x, total, axis, reverse)


@op(
    lambda g, x, axis, keepdims: masked(spread(g, (axis,), keepdims), conj(product_of_others(x, axis))),
    trailing=True,
    samples=[
        shapes("n m | 3 4 | m 1", axis=[-1, -2], keepdims=[True, False]),
        shapes("n 3:complex", axis=[-1], keepdims=[False]),
        lambda rng: ([with_zeros(rng, (5, 3))], {"axis": -1, "keepdims": False}),
        lambda rng: ([with_zeros(rng, (4, 2))], {"axis": -2, "keepdims": True}),
    ],
    name="prod",
)
def reduce_prod(x, *, axis, keepdims=False):
    """The product along an axis."""
    return signed(reduce.product(x, (axis,), keepdims))


def product_of_others(x, axis):
    """For each entry the product of the others along the axis: of those before it and of those after it."""
    before, after = cumprod_along(x, axis=axis), cumprod_along(x, axis=axis, reverse=True)
    return shifted(before, axis, 1, False) * shifted(after, axis, 1, True)


def logcumsumexp_rule(g, x, y, axis):
    """Every factor is exp of something not positive, so none overflows."""
    factors = exp_gap(y, shifted(y, axis, inf, True))
    return exp_gap(x, y) * recurrence(factors, g, axis=axis, reverse=True)


@op(
    logcumsumexp_rule,
    trailing=True,
    promotes="inexact",
    name="logcumsumexp",
    samples=shapes("n m | 3 4", axis=[-1, -2]),
)
def logcumsumexp_along(x, *, axis):
    """log(sum(exp(x))) of the entries up to each place of an axis."""
    return scan.logcumsumexp(x, axis)


@op(
    differentiable=False, trailing=True, samples=shapes("n m | 3 4:integers(0;3)", axis=[-1, -2], largest=[True, False])
)
def arg_running(x, *, axis, largest=True):
    """Where the largest (or smallest) entry up to each place of an axis is: the last of equal ones, or NaN."""
    return scan.extremes(x, axis, 1 if largest else -1)[1]


# --- public ----------------------------------------------------------------------------------------------------------


def _along(primitive: Any, x: Any, dim: Any, name: str) -> Any:
    """The primitive along dim; a tensor without axes counts as one entry."""
    ndim = x.ndim
    axis = one_axis(ndim, dim, name)
    return primitive(x, axis=axis) if ndim else reshape_to(primitive(reshape_to(x, shape=(1,)), axis=-1), shape=())


def cumsum(x, dim, *, dtype=None):
    """Sums of the entries up to each place of an axis."""
    if dtype is None and x.ndim:
        return cumsum_along(x, axis=one_axis(x.ndim, dim, "cumsum"))
    if dtype is None:
        return _along(cumsum_along, x, dim, "cumsum")
    return typed(_along(cumsum_along, typed(x, dtype), dim, "cumsum"), dtype)


def cumprod(x, dim, *, dtype=None):
    """Products of the entries up to each place of an axis; the gradient is right whatever entries are zero."""
    if dtype is None and x.ndim:
        return cumprod_along(x, axis=one_axis(x.ndim, dim, "cumprod"))
    if dtype is None:
        return _along(cumprod_along, x, dim, "cumprod")
    return typed(_along(cumprod_along, typed(x, dtype), dim, "cumprod"), dtype)


def logcumsumexp(x, dim):
    """log(sum(exp(x))) of the entries up to each place of an axis, safe from overflow."""
    if x.dtype.kind == "c":
        raise TypeError(f"logcumsumexp: x must be real, got {x.dtype}; for a complex one, log(cumsum(exp(x), dim))")
    return _along(logcumsumexp_along, inexact(x), dim, "logcumsumexp")


def cummax(x, dim):
    """The largest entry up to each place of an axis, and where it is."""
    return _running(x, dim, "cummax", True)


def cummin(x, dim):
    """The smallest entry up to each place of an axis, and where it is."""
    return _running(x, dim, "cummin", False)


def _running(x: Any, dim: Any, name: str, largest: bool) -> Chosen:
    ndim = x.ndim
    axis, line = one_axis(ndim, dim, name), x if ndim else with_axis(x)
    if unwatched(line) and (values := line.value).dtype.kind != "c":
        both = paired(take_along, line, axis, scan.extremes(values, axis, 1 if largest else -1))
    else:
        demand_order(x, name)
        places = arg_running(line, axis=axis, largest=largest)
        both = Chosen(take_along(line, places, axis=axis), places)
    return both if ndim else Chosen(*(reshape_to(v, shape=()) for v in both))


def prod(x, dim=None, keepdim=False, *, dtype=None):
    """The product of all entries, or along `dim`; the gradient is right whatever entries are zero."""
    if dtype is None and dim is None and x.ndim == 1 and x.dtype.char != "e":
        return reduce_prod(x, axis=-1, keepdims=keepdim)
    return _prod(x, dim, keepdim) if dtype is None else _prod(x, dim, keepdim, dtype=dtype)


@rounded_once
def _prod(x, dim, keepdim, *, dtype=None):
    x, axis = typed(x, dtype), axes_of(x, dim, "prod")
    if len(axis) == x.ndim and not keepdim:
        x = x if len(axis) == 1 else reshape_to(x, shape=(count(x, axis),))
        return typed(reduce_prod(x, axis=-1), dtype)
    for a in axis:
        x = reduce_prod(x, axis=a, keepdims=True)
    x = typed(x, dtype)
    return x if keepdim else reshape_to(x, shape=kept_shape(x, axis))


def diff(x, n=1, dim=-1, prepend=None, append=None):
    """Differences of neighbours along an axis, n times; `prepend` and `append` are put before and after x first."""
    if x.ndim == 0 or n < 0:
        raise ValueError(f"diff: needs an axis and n >= 0, got shape {x.shape} and n={n}")
    axis = one_axis(x.ndim, dim, "diff")
    x = x if prepend is None and append is None else cat([v for v in (prepend, x, append) if v is not None], axis)
    if n == 0:
        return clone(x)
    for _ in range(n):
        upper, lower = part(x, axis, 1, None), part(x, axis, None, -1)
        x = upper != lower if x.dtype.kind == "b" else upper - lower
    return x


def _areas(y: Any, x: Any, dx: Any, dim: Any, name: str) -> tuple:
    """Twice the areas between neighbours along the axis, and the axis."""
    axis = one_axis(y.ndim, dim, name)
    if x is not None and dx is not None:
        raise ValueError(f"{name}: x and dx both say how far apart the samples are; give one of them")
    if y.ndim == 0:
        raise ValueError(f"{name}: y needs an axis of samples, got a single number")
    pairs = part(y, axis, 1, None) + part(y, axis, None, -1)
    if x is None:
        return pairs if dx is None else pairs * dx, axis
    at = -1 if x.ndim == 1 else axis
    if x.ndim < -at or x.shape[at] != y.shape[axis]:
        given = f"y has {y.shape[axis]} samples along axis {dim} (shape {y.shape}), but x has shape {x.shape}"
        raise ValueError(f"{name}: {given}; it needs as many there")
    step = part(x, at, 1, None) - part(x, at, None, -1)
    return pairs * (expand_dims(step, axis=tuple(range(axis + 1, 0))) if x.ndim == 1 else step), axis


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral along an axis by the trapezoidal rule, over sample points x or steps of dx."""
    areas, axis = _areas(y, x, dx, dim, "trapezoid")
    return reduce_sum(areas, axis=(axis,)) / 2


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral up to each sample point but the first, by the trapezoidal rule."""
    areas, axis = _areas(y, x, dx, dim, "cumulative_trapezoid")
    return cumsum_along(areas, axis=axis) / 2


trapz = trapezoid
