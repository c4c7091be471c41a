"""Running sums, differences, integrals and slopes along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .operands import NUMBERS, F, along_axis, cast, cut, inexact, operand, spread, stand_in, type_from, yielding
from .reductions import sum, without_nan
from .shapes import concatenate, ravel

# --- running sums ----------------------------------------------------------------------------------------------------


def scanned(function: Any, like: Any, a: Any, axis: Any, dtype: Any) -> Any:
    x = operand(a)
    dtype = dtype or type_from(like, x.dtype)
    x = cast(x, dtype)
    return cast(function(x.reshape((-1,)), 0) if axis is None else function(x, axis), dtype)


cumsum = lambda a, axis=None, dtype=None: scanned(F.cumsum, np.cumsum, a, axis, dtype)
cumprod = lambda a, axis=None, dtype=None: scanned(F.cumprod, np.cumprod, a, axis, dtype)
nancumsum = lambda a, axis=None, dtype=None: cumsum(without_nan(a, 0), axis, dtype)
nancumprod = lambda a, axis=None, dtype=None: cumprod(without_nan(a, 1), axis, dtype)


def cumulative_sum(x, axis=None, dtype=None, include_initial=False):
    return cumulative(cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x, axis=None, dtype=None, include_initial=False):
    return cumulative(cumprod, 1, x, axis, dtype, include_initial)


def cumulative(scan, first, x, axis, dtype, include_initial):
    x = operand(x)
    if axis is None and x.ndim != 1:
        raise ValueError(f"cumulative_sum, cumulative_prod: an array with {x.ndim} axes needs axis")
    y = scan(x, axis or 0, dtype)
    if not include_initial:
        return y
    start = np.full(y[along_axis(y, axis or 0, slice(0, 1))].shape if y.shape[axis or 0] else (1,), first, y.dtype)
    return F.cat([start, y], axis or 0)


# --- differences -----------------------------------------------------------------------------------------------------


def diff(a, n=1, axis=-1, prepend=None, append=None):
    x = operand(a)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    one = tuple(1 if i == normalize_axis_index(axis, x.ndim) else m for i, m in enumerate(x.shape))
    edge = lambda v: [] if v is None else [spread(v, one) if operand(v).ndim == 0 else operand(v)]
    parts = [*edge(prepend), x, *edge(append)]
    x = concatenate(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        after, before = cut(x, axis, 1), cut(x, axis, None, -1)
        x = after != before if x.dtype == bool else after - before
    return x


def ediff1d(ary, to_end=None, to_begin=None):
    x = ravel(ary)
    parts = [to_begin, x[1:] - x[:-1], to_end]
    return F.cat([cast(ravel(p), x.dtype) for p in parts if p is not None], 0)


def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = operand(y)
    if x is None:
        width = dx
    else:
        width = diff(x, axis=axis if operand(x).ndim > 1 else -1)
        if width.ndim == 1:
            width = width.reshape(tuple(-1 if i == normalize_axis_index(axis, y.ndim) else 1 for i in range(y.ndim)))
    y = inexact(y)
    parts = yielding(width, (cut(y, axis, 1) + cut(y, axis, None, -1)) / 2)
    return sum(parts[0] * parts[1], axis)


def gradient(f, *varargs, axis=None, edge_order=1):
    f = inexact(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    steps = varargs or (1.0,)
    if len(steps) == 1 and np.ndim(stand_in(steps[0])) == 0:
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"gradient: {len(steps)} spacings for {len(axes)} axes")
    results = tuple(slope_along(f, step, i, edge_order) for step, i in zip(steps, axes))
    return results[0] if len(results) == 1 else results


def slope_along(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Second-order differences inside, differences of the given order at the edges, for even or uneven steps."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"gradient: {n} entries along axis {axis}; edge_order={edge_order} needs {edge_order + 1}")
    step = step if type(step) in NUMBERS else operand(step)
    even = np.ndim(stand_in(step)) == 0
    if not even and step.shape[0] != n:
        raise ValueError(f"gradient: {step.shape[0]} coordinates for {n} entries along axis {axis}")
    widths = spread(step, (n - 1,)) if even else step[1:] - step[:-1]
    widths = cast(widths.reshape((-1,) + (1,) * (f.ndim - axis - 1)), f.dtype)
    slopes = (cut(f, axis, 1) - cut(f, axis, None, -1)) / widths
    h, k = widths[:-1], widths[1:]
    inside = (cut(slopes, axis, None, -1) * k + cut(slopes, axis, 1) * h) / (h + k)
    first, last = cut(slopes, axis, 0, 1), cut(slopes, axis, -1)
    if edge_order == 2:
        h, k = widths[0], widths[1]
        first = first + (first - cut(slopes, axis, 1, 2)) * (h / (h + k))
        h, k = widths[-2], widths[-1]
        last = last + (last - entry_of(slopes, axis, -2)) * (k / (h + k))
    return F.cat([first, inside, last], axis)


def entry_of(x: Any, axis: int, i: int) -> Any:
    """One entry along an axis, which stays with length one."""
    return cut(x, axis, i, i + 1 or None)


def unwrap(p, discont=None, axis=-1, period=2 * math.pi):
    x = operand(p)
    x, half = cast(x, type_from(np.unwrap, x.dtype)), period / 2
    step = diff(x, axis=axis)
    short = (step + half) % period - half
    short = F.where((short == -half) & (step > 0), np.asarray(half, x.dtype), short)
    change = F.where(F.abs(step) < operand(half if discont is None else discont), np.zeros((), x.dtype), short - step)
    return F.cat([cut(x, axis, 0, 1), cut(x, axis, 1) + F.cumsum(change, axis)], axis)
