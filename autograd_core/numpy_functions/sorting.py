"""Order: sorting, quantiles, searching, sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .operands import NUMBERS, F, cast, common, constant, inexact, merged, operand, pick, plain
from .reductions import any, mean, sum
from .shapes import concatenate, expand_dims, ravel

# --- quantiles -------------------------------------------------------------------------------------------------------


def order_statistics(x: Any, q: Any, axis: Any, method: str, keepdims: bool, skip_nan: bool = False) -> Any:
    """Quantiles, by interpolation in the sorted entries.

    A quantile of the places 0, 1, ... n-1 is itself a place: NumPy is asked for that, in whatever method.
    """
    x = inexact(x)
    q = q if type(q) in NUMBERS else constant(q, "quantile: q")
    dtype = np.quantile(np.ones(1, x.dtype), q, method=method).dtype
    q_shape = np.shape(q)
    x, kept = merged(x, axis)
    n, lead = x.shape[-1], tuple(x.shape[:-1])
    if n == 0:
        return mean(x, -1)
    ordered = F.sort(x, -1)[0]
    place = lambda m: np.quantile(np.arange(max(m, 1), dtype=float), q, method=method).ravel()
    places = np.stack([place(m) for m in (range(n + 1) if skip_nan else [n])])
    low = np.floor(places).astype(np.int64)
    which = sum(~F.isnan(x), -1) if skip_nan else np.zeros(lead, np.int64)  # row of `places` for each slice
    low, high, part = (pick(v, which) for v in (low, np.minimum(low + 1, n - 1), (places - low).astype(x.dtype)))
    below, above = F.take_along_dim(ordered, low, -1), F.take_along_dim(ordered, high, -1)
    y = F.where(part > 0, below + (above - below) * part, below)
    if not skip_nan:
        last = ordered[..., -1:]
        y = F.where(F.isnan(last), last, y)
    y = F.movedim(y, -1, 0)
    return cast(y.reshape(q_shape + (kept if keepdims else lead)), dtype)


def quantile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, q, axis, method, keepdims)


def nanquantile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, q, axis, method, keepdims, skip_nan=True)


def percentile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, hundredth(q), axis, method, keepdims)


def nanpercentile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, hundredth(q), axis, method, keepdims, skip_nan=True)


def hundredth(q: Any) -> Any:
    return q / 100 if type(q) in NUMBERS else constant(q, "percentile: q") / 100


median = lambda a, axis=None, overwrite_input=False, keepdims=False: order_statistics(a, 0.5, axis, "linear", keepdims)


def nanmedian(a, axis=None, overwrite_input=False, keepdims=False):
    return order_statistics(a, 0.5, axis, "linear", keepdims, skip_nan=True)


# --- sorting and searching -------------------------------------------------------------------------------------------


def sort(a, axis=-1, kind=None, stable=None):
    x = operand(a)
    return F.sort(x.reshape((-1,)) if axis is None else x, -1 if axis is None else axis)[0]


def argsort(a, axis=-1, kind=None, stable=None):
    x = operand(a)
    return F.argsort(x.reshape((-1,)) if axis is None else x, -1 if axis is None else axis)


partition = lambda a, kth, axis=-1, kind=None: sort(a, axis)
argpartition = lambda a, kth, axis=-1, kind=None: argsort(a, axis)


def searchsorted(a, v, side="left", sorter=None):
    a, v = common(a, v)
    a = a if sorter is None else pick(a, constant(sorter, "searchsorted: sorter"))
    return F.searchsorted(a, v, right=side == "right")


def digitize(x, bins, right=False):
    x, bins = common(x, bins)
    steps = np.diff(plain(bins))
    side = "left" if right else "right"
    if (steps >= 0).all():
        return searchsorted(bins, x, side)
    if (steps <= 0).all():
        return bins.shape[0] - searchsorted(F.flip(bins, (0,)), x, side)
    raise ValueError("digitize: bins must go up or down throughout")


# --- sets ------------------------------------------------------------------------------------------------------------


def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, equal_nan=True, sorted=True):
    x = operand(ar)
    _, index, inverse, counts = np.unique(plain(x), True, True, True, axis, equal_nan=equal_nan)
    values = pick(ravel(x), index) if axis is None else pick(x, index, normalize_axis_index(axis, x.ndim))
    wanted = [(index, return_index), (inverse, return_inverse), (counts, return_counts)]
    results = (values, *(r for r, asked in wanted if asked))
    return results if len(results) > 1 else values


unique_values = lambda x: unique(x, equal_nan=False)


def unique_all(x):
    found = np.unique_all(plain(x))
    return found._replace(values=pick(ravel(operand(x)), found.indices))


unique_counts = lambda x: np.unique_counts(plain(x))._replace(values=unique_values(x))
unique_inverse = lambda x: np.unique_inverse(plain(x))._replace(values=unique_values(x))


def found_in(source: Any, values: np.ndarray) -> Any:
    """The entries of a flat source that have these values."""
    order = np.argsort(plain(source), kind="stable")
    return pick(source, order[np.searchsorted(plain(source), values, sorter=order)])


union1d = lambda ar1, ar2: unique(concatenate((ar1, ar2), None))


def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    a, b = common(ar1, ar2)
    _, i, j = np.intersect1d(plain(a), plain(b), assume_unique, return_indices=True)
    return (pick(ravel(a), i), i, j) if return_indices else pick(ravel(a), i)


def setdiff1d(ar1, ar2, assume_unique=False):
    return found_in(ravel(operand(ar1)), np.setdiff1d(plain(ar1), plain(ar2), assume_unique))


def setxor1d(ar1, ar2, assume_unique=False):
    return found_in(concatenate((ar1, ar2), None), np.setxor1d(plain(ar1), plain(ar2), assume_unique))


def isin(element, test_elements, assume_unique=False, invert=False, kind=None):
    x, tests = common(element, test_elements)
    found = any(expand_dims(x, -1) == tests.reshape((-1,)), -1)
    return ~found if invert else found
