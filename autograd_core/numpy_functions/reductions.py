"""Sums, means, extremes and their like, with and without NaN."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..vmap import Batched
from .operands import F, cast, common, fill, merged, operand, plain, spread, type_from

# --- of all entries --------------------------------------------------------------------------------------------------


def over(function: Any, x: Any, axis: Any, keepdims: bool, **options: Any) -> Any:
    """A reduction of ours over NumPy's axes, of which `()` means none."""
    if axis == () and x.ndim:
        return function(x.reshape((*x.shape, 1)), dim=-1, **options)
    return function(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=bool(keepdims), **options)


def along(function: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction of ours that knows one axis, over NumPy's axes."""
    x, kept = merged(x, axis)
    y = function(x, -1)
    return y.reshape(kept) if keepdims else y


def selected(x: Any, where: Any, filler: Any) -> Any:
    return x if where is True else F.where(operand(where), x, np.asarray(filler, x.dtype))


def count(x: Any, axis: Any, keepdims: bool, where: Any = True) -> Any:
    """How many entries a reduction takes in."""
    return sum(spread(where, x.shape), axis, keepdims=keepdims)


def sum(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    x = selected(operand(a), where, 0)
    dtype = dtype or type_from(np.sum, x.dtype)
    y = cast(over(F.sum, cast(x, dtype), axis, keepdims), dtype)
    return y if initial is None else y + initial


def prod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    x = selected(operand(a), where, 1)
    dtype = dtype or type_from(np.prod, x.dtype)
    y = cast(along(F.prod, cast(x, dtype), axis, keepdims), dtype)
    return y if initial is None else y * initial


def mean(a, axis=None, dtype=None, keepdims=False, where=True):
    x = operand(a)
    x = cast(x, dtype or type_from(np.mean, x.dtype))
    if where is True:
        return over(F.mean, x, axis, keepdims)
    return sum(x, axis, keepdims=keepdims, where=where) / count(x, axis, keepdims, where)


numpy_mean = mean


def var(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    ddof = ddof if correction is None else correction
    x = selected(operand(a), where, 0)
    x = cast(x, dtype or type_from(np.mean, x.dtype))
    if where is True and mean is None and x.dtype.kind == "f":
        return over(F.var, x, axis, keepdims, correction=ddof)
    center = numpy_mean(x, axis, keepdims=True, where=where) if mean is None else operand(mean)
    apart = x - center
    squares = (apart * F.conj(apart)).real
    spare = F.clamp_min(count(x, axis, keepdims, where) - ddof, 0)
    return sum(squares, axis, keepdims=keepdims, where=where) / spare


def std(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    x = operand(a)
    if where is True and mean is None and x.dtype.kind != "c":
        x = cast(x, dtype or type_from(np.mean, x.dtype))
        return over(F.std, x, axis, keepdims, correction=ddof if correction is None else correction)
    return F.sqrt(var(x, axis, dtype, ddof, keepdims, where, mean, correction))


def extreme(reduction, combine, a, axis, keepdims, initial, where):
    x = operand(a)
    if where is not True:
        if initial is None:
            raise ValueError("max, min: with a where mask, `initial` must say what an empty selection gives")
        x = selected(x, where, initial)
    if initial is None:
        return over(reduction, x, axis, keepdims)
    lead = spread(np.asarray(initial, x.dtype), merged(x, axis)[0].shape[:-1] + (1,))
    joined, kept = F.cat([merged(x, axis)[0], lead], -1), merged(x, axis)[1]
    y = reduction(joined, dim=-1)
    return y.reshape(kept) if keepdims else y


def max(a, axis=None, keepdims=False, initial=None, where=True):
    return extreme(F.amax, F.maximum, a, axis, keepdims, initial, where)


def min(a, axis=None, keepdims=False, initial=None, where=True):
    return extreme(F.amin, F.minimum, a, axis, keepdims, initial, where)


ptp = lambda a, axis=None, keepdims=False: max(a, axis, keepdims) - min(a, axis, keepdims)
all = lambda a, axis=None, keepdims=False, where=True: over(F.all, selected(operand(a), where, 1), axis, keepdims)
any = lambda a, axis=None, keepdims=False, where=True: over(F.any, selected(operand(a), where, 0), axis, keepdims)
argmax = lambda a, axis=None, keepdims=False: along(F.argmax, operand(a), axis, keepdims)
argmin = lambda a, axis=None, keepdims=False: along(F.argmin, operand(a), axis, keepdims)
count_nonzero = lambda a, axis=None, keepdims=False: sum(operand(a) != 0, axis, keepdims=keepdims)


def average(a, axis=None, weights=None, returned=False, keepdims=False):
    x = operand(a)
    if weights is None:
        y = mean(x, axis, keepdims=keepdims)
        total = np.asarray(math.prod(x.shape) / builtins.max(math.prod(y.shape), 1), y.dtype)
    else:
        w = operand(weights)
        if x.dtype.kind in "biu":
            x = cast(x, np.result_type(x.dtype, w.dtype, np.float64))
        x, w = common(x, weights_along(w, x.shape, axis))
        total = sum(spread(w, x.shape), axis, keepdims=keepdims)
        if not isinstance(total, Batched) and (plain(total) == 0).any():
            raise ZeroDivisionError("average: the weights sum to zero, so they cannot be normalised")
        y = sum(x * w, axis, keepdims=keepdims) / total
    return (y, spread(total, y.shape)) if returned else y


def weights_along(w: Any, shape: tuple, axis: Any) -> Any:
    """Weights for some axes in a shape that broadcasts against the whole."""
    if tuple(w.shape) == tuple(shape):
        return w
    if axis is None:
        raise TypeError(f"average: weights of shape {w.shape} for an array of shape {shape} need axis")
    axes = normalize_axis_tuple(axis, len(shape))
    if tuple(w.shape) != tuple(shape[i] for i in axes):
        along = tuple(shape[i] for i in axes)
        raise ValueError(f"average: weights have shape {w.shape}, but the array has {along} along axis {axis}")
    w = F.permute(w, tuple(int(i) for i in np.argsort(axes)))
    return w.reshape(tuple(n if i in axes else 1 for i, n in enumerate(shape)))


amax, amin = max, min


# --- that skip NaN ---------------------------------------------------------------------------------------------------


def without_nan(a: Any, value: Any) -> Any:
    x = operand(a)
    return fill(x, F.isnan(x), value) if x.dtype.kind in "fc" else x


def valid(x: Any, where: Any) -> Any:
    """The mask of entries that are selected and not NaN."""
    mask = ~F.isnan(x) if x.dtype.kind in "fc" else np.ones(x.shape, bool)
    return mask if where is True else mask & operand(where)


def nansum(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    return sum(without_nan(a, 0), axis, dtype, keepdims, initial, where)


def nanprod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    return prod(without_nan(a, 1), axis, dtype, keepdims, initial, where)


def nanmean(a, axis=None, dtype=None, keepdims=False, where=True):
    x = operand(a)
    return mean(x, axis, dtype, keepdims, valid(x, where))


def nanvar(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    x = operand(a)
    return var(x, axis, dtype, ddof, keepdims, valid(x, where), mean, correction)


def nanstd(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    x = operand(a)
    return std(x, axis, dtype, ddof, keepdims, valid(x, where), mean, correction)


def nan_extreme(extreme, infinity, a, axis, keepdims, initial, where):
    x = operand(a)
    if x.dtype.kind not in "fc":
        return extreme(x, axis, keepdims, initial, where)
    y = extreme(without_nan(x, infinity), axis, keepdims, initial, where)
    return fill(y, ~any(valid(x, where), axis, keepdims), np.nan) if initial is None else y


def nanmax(a, axis=None, keepdims=False, initial=None, where=True):
    return nan_extreme(max, -np.inf, a, axis, keepdims, initial, where)


def nanmin(a, axis=None, keepdims=False, initial=None, where=True):
    return nan_extreme(min, np.inf, a, axis, keepdims, initial, where)


def nan_argument(argument, infinity, a, axis, keepdims):
    x = operand(a)
    if not plain(any(valid(x, True), axis)).all():
        raise ValueError("nanargmax, nanargmin: a slice holds nothing but NaN")
    return argument(without_nan(x, infinity), axis, keepdims)


nanargmax = lambda a, axis=None, keepdims=False: nan_argument(argmax, -np.inf, a, axis, keepdims)
nanargmin = lambda a, axis=None, keepdims=False: nan_argument(argmin, np.inf, a, axis, keepdims)
