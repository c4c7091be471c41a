"""What depends on the order of entries: extremes along an axis, sorting, quantiles, searching and counting.

Functions that choose entries find their places with an op on integers and then take them with `take_along`, which
carries the gradient.  NaN counts as larger than any number.
"""

from __future__ import annotations

import operator
from math import nan, prod
from typing import Any, NamedTuple

import numpy as np

from ..direct import found_at, unwatched
from ..kernels import extreme, select
from ..op import Traced, op
from ..samples import shapes
from ..tensor import at
from .arranging import along, permuted, reshape_to, view_at
from .axes import one_axis
from .base import clone
from .entries import entry_at, take_along
from .math import ceil, floor, maximum, minimum, where
from .math import round as rounded
from .reduce import EVERY, amax, amin, count, demand_entries, demand_order, reduce_sum, refuse, shared

__all__ = [
    "argmax", "argmin", "argsort", "bincount", "bucketize", "histc", "histogram", "kthvalue", "max", "median", "min",
    "mode", "msort", "nanmedian", "nanquantile", "quantile", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip


class Chosen(NamedTuple):
    """Entries of a tensor and where along the axis they are."""

    values: Any
    indices: Any


# --- places ----------------------------------------------------------------------------------------------------------

choices = {"differentiable": False, "trailing": True}


@op(**choices, name="argsort", samples=shapes("n m | 3 4:integers(0;3)", axis=[-1, -2], descending=[True, False]))
def arg_sort(x, *, axis, descending=False):
    """The places of the entries in order; equal ones stay in the order they had."""
    return select.sorted_places(x, axis, descending)


_places = shapes(
    "n m | 3 4:integers(0;3)", smallest=1, axis=[(-1,), (-2,), (-2, -1)], largest=[True, False], keepdims=[True, False]
)


@op(**choices, samples=_places)
def arg_extreme(x, *, axis, largest=True, keepdims=True):
    """The place of the first largest (or smallest) entry along an axis or all of the last, or of the first NaN."""
    return extreme.place(x, axis, 1 if largest else -1, keepdims)


def arg_extreme_along(x: Any, *, axis: int, largest: bool, keepdims: bool) -> Any:
    """The same along one axis."""
    return arg_extreme(x, axis=(axis,), largest=largest, keepdims=keepdims)


@op(**choices, samples=shapes("3 4 | 9 9:integers(0;5)", k=[0, 1, 3], axis=[-1, -2], largest=[True, False]))
def arg_topk(x, *, k, axis, largest=True):
    """The places of the k largest (or smallest) entries, best first, of equal ones the earlier first."""
    return select.best(x, k, axis, largest)


@op(**choices, samples=shapes("3 4 | 3 5:integers(0;3)", axis=[-1, -2], k=[1, 3], keepdims=[True, False]))
def arg_kth(x, *, k, axis, keepdims=True):
    """The place of the k-th smallest entry."""
    return select.kth(x, k, axis, keepdims)


@op(**choices, samples=shapes("3 4 | 3 5:integers(0;3)", axis=[-1, -2], skip=[True, False], keepdims=[True, False]))
def arg_median(x, *, axis, skip=False, keepdims=True):
    """The place of the median, the lower of two; NaN is the median of what contains it, unless it is to be skipped."""
    return select.median(x, axis, skip, keepdims)


@op(**choices, samples=shapes("3 4:integers(0;3) | 1 5:integers(0;3)", axis=[-1, -2], keepdims=[True, False]))
def arg_mode(x, *, axis, keepdims=True):
    """The place of the last of the most frequent entries; of several as frequent, of the smallest."""
    order = np.argsort(x, axis, kind="stable")
    ordered = np.take_along_axis(x, order, axis)
    place = np.arange(x.shape[axis]).reshape(-1, *(1,) * (-axis - 1))
    upper, lower = along(axis, slice(1, None)), along(axis, slice(None, -1))
    starts = np.zeros(x.shape, np.int64)
    starts[upper] = np.where(ordered[upper] != ordered[lower], place[1:], 0)
    longest = np.argmax(place - np.maximum.accumulate(starts, axis), axis, keepdims=True)
    places = np.take_along_axis(order, longest, axis)
    return places if keepdims else np.squeeze(places, axis)


def taken(x: Any, places: Any, dim: Any) -> Any:
    """The entries at places along dim; a tensor without axes is its own only entry."""
    return take_along(x, places, axis=one_axis(x.ndim, dim, "taken")) if x.ndim else clone(x)


def with_axis(x: Any) -> Any:
    """x, as a vector if it has no axes."""
    return x if x.ndim else reshape_to(x, shape=(1,))


def paired(take: Any, x: Any, axis: int, both: tuple) -> Chosen:
    """Entries of x and where they are, found together, as tensors; recorded as what `take` takes from there."""
    y, places = both
    return tuple.__new__(Chosen, (found_at(take, x, y, places, {"axis": axis}), at(places)))


def chosen(primitive: Any, x: Any, dim: Any, keepdim: bool, name: str, rank: tuple = (), **params: Any) -> Chosen:
    """The one entry of each row whose place the primitive finds; `rank` says which to a kernel that finds both."""
    ndim = len(shape := x.shape)
    axis, rows, kept = one_axis(ndim, dim, name), x if ndim else with_axis(x), bool(keepdim and ndim)
    if 0 in shape or x.dtype.kind == "c":
        demand_order(x, name)
        demand_entries(rows, (axis,), name)
    take = take_along if kept else entry_at
    if rank and unwatched(rows) and (both := select.kth_pair(rows.value, axis, kept, *rank)):
        return paired(take, rows, axis, both)
    places = primitive(rows, axis=axis, keepdims=kept, **params)
    return Chosen(take(rows, places, axis=axis), places)


# --- extremes --------------------------------------------------------------------------------------------------------


def max(x, dim=None, keepdim=False, *, other=None):
    """The largest entry; along `dim`, also where it is; with another tensor, the larger of two at each place."""
    return _extreme(x, dim, keepdim, other, "max", amax, maximum)


def min(x, dim=None, keepdim=False, *, other=None):
    """The smallest entry; along `dim`, also where it is; with another tensor, the smaller of two at each place."""
    return _extreme(x, dim, keepdim, other, "min", amin, minimum)


def _extreme(x: Any, dim: Any, keepdim: bool, other: Any, name: str, reduction: Any, between: Any) -> Any:
    if other is not None or isinstance(dim, (Traced, np.ndarray)):
        return between(x, dim if other is None else other)
    if dim is None:
        demand_order(x, name)
        demand_entries(x, EVERY[x.ndim], name)
        return reduction(x)
    if isinstance(dim, (tuple, list)):
        raise TypeError(
            f"{name}: dim must be one axis, got {dim}; a{name}(x, {dim}) takes several, without the indices"
        )
    return chosen(arg_extreme_along, x, dim, keepdim, name, largest=name == "max")


def argmax(x, dim=None, keepdim=False):
    """Where the largest entry is: among all, counted through, or along `dim`.  The first of equal ones."""
    return _place(x, dim, keepdim, "argmax")


def argmin(x, dim=None, keepdim=False):
    """Where the smallest entry is: among all, counted through, or along `dim`.  The first of equal ones."""
    return _place(x, dim, keepdim, "argmin")


def _place(x: Any, dim: Any, keepdim: bool, name: str) -> Any:
    ndim = x.ndim
    axis = EVERY[ndim] if dim is None or not ndim and one_axis(0, dim, name) else (one_axis(ndim, dim, name),)
    try:
        return arg_extreme(x, axis=axis, largest=name == "argmax", keepdims=keepdim)
    except (TypeError, ValueError):
        refuse(x, axis, name)
        raise


# --- sorting ---------------------------------------------------------------------------------------------------------


def argsort(x, dim=-1, descending=False, stable=False):
    """The places of the entries along `dim` in order; equal ones stay in the order they had."""
    demand_order(x, "argsort")
    places = arg_sort(with_axis(x), axis=one_axis(x.ndim, dim, "argsort"), descending=bool(descending))
    return places if x.ndim else reshape_to(places, shape=())


def sort(x, dim=-1, descending=False, stable=False):
    """The entries along `dim` in order and the places where they were; equal ones stay in the order they had."""
    one_axis(x.ndim, dim, "sort")
    demand_order(x, "sort")
    places = argsort(x, dim, descending)
    return Chosen(taken(x, places, dim), places)


def msort(x):
    """The entries sorted along the first axis."""
    return sort(x, 0).values


def whole(k: Any, name: str) -> int:
    """A number of entries."""
    try:
        return operator.index(k)
    except TypeError:
        raise TypeError(f"{name}: k must be an integer, got {k!r}") from None


def topk(x, k, dim=-1, largest=True, sorted=True):
    """The k largest (or smallest) entries along `dim`, best first, and where they are."""
    shape = x.shape
    axis, rows = one_axis(len(shape), dim, "topk"), x if shape else with_axis(x)
    k = k if k.__class__ is int else whole(k, "topk")
    if not 0 <= k <= (n := shape[axis] if shape else 1):
        raise ValueError(f"topk: k must be from 0 to {n}, the length of axis {dim} of shape {x.shape}, got {k}")
    if unwatched(rows) and (both := select.best_pair(rows.value, k, axis, bool(largest))):
        return paired(take_along, rows, axis, both)
    demand_order(x, "topk")
    places = arg_topk(rows, k=k, axis=axis, largest=bool(largest))
    values = take_along(rows, places, axis=axis)
    return Chosen(values, places) if shape or not k else Chosen(*(reshape_to(v, shape=()) for v in (values, places)))


def kthvalue(x, k, dim=-1, keepdim=False):
    """The k-th smallest entry along `dim`, counted from 1, and where it is."""
    axis, k = one_axis(len(shape := x.shape), dim, "kthvalue"), whole(k, "kthvalue")
    n = shape[axis] if shape else 1
    if not 1 <= k <= n:
        raise ValueError(f"kthvalue: k must be from 1 to {n}, the length of axis {dim} of shape {x.shape}, got {k}")
    return chosen(arg_kth, x, dim, keepdim, "kthvalue", (k - 1, select.FIXED), k=k)


def mode(x, dim=-1, keepdim=False):
    """The most frequent entry along `dim` (the smallest of several) and where it is last."""
    return chosen(arg_mode, x, dim, keepdim, "mode")


# --- medians and quantiles -------------------------------------------------------------------------------------------


@op(
    shared,
    trailing=True,
    name="median",
    samples=shapes("3 5:distinct | 4:distinct", axis=[(-1,)], keepdims=[True, False], skip=[True, False])
    + shapes("3 2:distinct | 2 2 3:distinct", axis=[(-2, -1)], keepdims=[True, False], skip=[True, False]),
)
def reduce_median(x, *, axis, skip=False, keepdims=False):
    """The lower median of all entries of the last axes; equal ones share the gradient."""
    first = x.shape[: x.ndim - len(axis)]
    rows = x.reshape(*first, prod(x.shape[len(first) :]))
    places = select.median(rows, -1, skip, True)
    y = np.take_along_axis(rows, places, -1) if first else rows[places]
    return y.reshape((*first, *(1,) * len(axis)) if keepdims else first)


def median(x, dim=None, keepdim=False):
    """The median of all entries, the lower of two; along `dim`, also where it is.  NaN if there is one."""
    if dim is not None:
        return chosen(arg_median, x, dim, keepdim, "median", (0, select.MEDIAN), skip=False)
    return _median(x, "median", False)


def nanmedian(x, dim=None, keepdim=False):
    """The median of the entries that are not NaN, the lower of two; along `dim`, also where it is."""
    if dim is not None:
        return chosen(arg_median, x, dim, keepdim, "nanmedian", (0, select.NUMBERS), skip=True)
    return _median(x, "nanmedian", True)


def _median(x: Any, name: str, skip: bool) -> Any:
    """The median of all entries."""
    demand_order(x, name)
    axis = EVERY[x.ndim]
    if 0 not in x.shape:
        return reduce_median(x, axis=axis, skip=skip)
    nothing = reduce_sum(x, axis=axis)
    return nothing * nan if x.dtype.kind == "f" else (nothing + _nothing(x.dtype)).astype(x.dtype)


def _nothing(dtype: np.dtype) -> int:
    """What PyTorch has for the NaN of an integer type: what a processor makes of one, which is the least of int32 and int64."""
    return int(np.iinfo(dtype).min) if dtype.kind == "i" and dtype.itemsize >= 4 else int(dtype.kind == "b")


INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(x, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The value below which a fraction q of the entries lie; several q give a new first axis."""
    return _quantile(x, q, dim, keepdim, interpolation, "quantile", False)


def nanquantile(x, q, dim=None, keepdim=False, *, interpolation="linear"):
    """`quantile` of the entries that are not NaN."""
    return _quantile(x, q, dim, keepdim, interpolation, "nanquantile", True)


def _quantile(x: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, name: str, skip: bool) -> Any:
    q = _fractions(x, q, interpolation, name)
    axis = EVERY[x.ndim] if dim is None or not x.ndim else (one_axis(x.ndim, dim, name),)
    demand_entries(x, axis, name)
    rest = tuple(a for a in EVERY[x.ndim] if a not in axis)
    rows = permuted(x, axes=rest + axis)
    rows = reshape_to(rows, shape=(*rows.shape[: len(rest)], count(x, axis)))
    ranks = _ranks(rows, with_axis(q), interpolation, skip)
    y = _at_ranks(taken(rows, arg_sort(rows, axis=-1), -1), ranks, interpolation)
    if keepdim:
        kept = [1 if a in axis else x.shape[a] for a in EVERY[x.ndim]]
        y = reshape_to(y, shape=(*kept, y.shape[-1]))
    return permuted(y, axes=(-1, *range(-y.ndim, -1))) if q.ndim else view_at(y, index=(..., 0))


def _fractions(x: Any, q: Any, interpolation: str, name: str) -> Any:
    """q as an array of x's type, if everything is as it should be."""
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: x must be of a floating-point type, got {x.dtype}; use {name}(x.float(), q)")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"{name}: interpolation must be one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}")
    q = q if isinstance(q, (Traced, np.ndarray)) else np.asarray(q)
    if q.ndim > 1:
        raise ValueError(f"{name}: q must be a number or a vector of numbers, got shape {q.shape}")
    if isinstance(q, np.ndarray) and not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"{name}: q must be from 0 to 1, got {q.tolist()}")
    return q if q.dtype == x.dtype else q.astype(x.dtype)


def _ranks(rows: Any, q: Any, interpolation: str, skip: bool) -> Any:
    """Where in sorted rows the quantiles are; in rows with a NaN not to be skipped, at the last entry, a NaN."""
    n = rows.shape[-1]
    numbers = reduce_sum(rows == rows, axis=(-1,), keepdims=True)
    ranks = q * where(numbers > 0, numbers - 1, 0).astype(rows.dtype)
    ranks = ranks if skip else where(numbers < n, n - 1, ranks)
    return {"nearest": rounded, "lower": floor, "higher": ceil}.get(interpolation, lambda r: r)(ranks)


def _at_ranks(ordered: Any, ranks: Any, interpolation: str) -> Any:
    """Entries of sorted rows at ranks that may lie between two."""
    low, high = floor(ranks), ceil(ranks)
    below = take_along(ordered, low.astype(np.int64), axis=-1)
    if interpolation in ("lower", "higher", "nearest"):
        return below
    above = take_along(ordered, high.astype(np.int64), axis=-1)
    if interpolation == "midpoint":
        return (below + above) / 2
    way, step = ranks - low, above - below
    return where(way < 0.5, below + way * step, above - (1 - way) * step)


# --- searching -------------------------------------------------------------------------------------------------------


@op(
    differentiable=False,
    name="searchsorted",
    samples=shapes("5:distinct, 3 | 5:distinct, 2 3 | 0, 3", right=[True, False]),
)
def insertion(sequence, values, *, right=False):
    """Where values would have to be put into sorted sequences, one or one for each row of values."""
    side = "right" if right else "left"
    if sequence.ndim == 1:
        return np.searchsorted(sequence, values, side)
    y = np.empty(values.shape, np.int64)
    for row in np.ndindex(sequence.shape[:-1]):
        y[row] = np.searchsorted(sequence[row], values[row], side)
    return y


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where values belong in a sorted sequence: before entries equal to them, or after if `right`."""
    if side not in (None, "left", "right") or side == "left" and right:
        raise ValueError(
            f"searchsorted: side must be 'left' or 'right' and agree with right, got side={side!r}, right={right}"
        )
    rows = sorted_sequence if sorter is None else taken(sorted_sequence, sorter, -1)
    values = input if isinstance(input, (Traced, np.ndarray)) else np.asarray(input)
    demand_order(rows, "searchsorted")
    demand_order(values, "searchsorted")
    if rows.ndim == 0 or rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"searchsorted: sequences of shape {rows.shape} and values of shape {values.shape} do not go together; "
            "give one sequence, or one for each row of values"
        )
    places = insertion(rows, values, right=bool(right) or side == "right")
    return places.astype(np.int32) if out_int32 else places


def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The number of the bucket between sorted boundaries that each entry falls into."""
    if boundaries.ndim != 1:
        raise ValueError(f"bucketize: boundaries must be a vector, got shape {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# --- different values ------------------------------------------------------------------------------------------------


@op(differentiable=False, outputs=3, name="unique", samples=shapes("3 4:integers(0;3)", axis=[None, -1, -2]))
def distinct(x, *, axis=None):
    """The different entries (or slices of an axis) in order, which of them each was, and how often."""
    y, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    return y, inverse.reshape(x.shape if axis is None else -1), counts


@op(
    differentiable=False, outputs=3, name="unique_consecutive", samples=shapes("3 4:integers(0;2)", axis=[None, -1, -2])
)
def distinct_runs(x, *, axis=None):
    """The entries (or slices of an axis) that differ from the one before, the run of each, and how long it is."""
    slices = x.reshape(-1, 1) if axis is None else np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    new = np.ones(len(slices), bool)
    new[1:] = (slices[1:] != slices[:-1]).any(axis=1)
    run = np.cumsum(new) - 1
    y = x.reshape(-1)[new] if axis is None else np.compress(new, x, axis)
    return y, run.reshape(x.shape) if axis is None else run, np.bincount(run, minlength=new.sum())


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different entries (or slices of `dim`) in order; also which of them each was, and how often."""
    return _distinct(distinct, x, return_inverse, return_counts, dim, "unique")


def unique_consecutive(x, return_inverse=False, return_counts=False, dim=None):
    """The entries (or slices of `dim`) that differ from the one before; also the run of each, and how long it is."""
    return _distinct(distinct_runs, x, return_inverse, return_counts, dim, "unique_consecutive")


def _distinct(primitive: Any, x: Any, return_inverse: bool, return_counts: bool, dim: Any, name: str) -> Any:
    axis = None if dim is None or not x.ndim else one_axis(x.ndim, dim, name)
    y, inverse, counts = primitive(x, axis=axis)
    results = (y, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return results if len(results) > 1 else y


# --- counting --------------------------------------------------------------------------------------------------------


@op(differentiable=False, name="bincount", samples=shapes("5:integers(0;4), 5 | 0:integers(0;4), 0", minlength=[0, 6]))
def tally(x, weights, *, minlength=0):
    """How often each number from 0 on occurs, or the sum of the weights of those that are it."""
    if x.size and x.min() < 0:
        raise ValueError(f"bincount: x must not be negative, but has {x.min()} in it")
    y = np.bincount(x, weights, minlength)
    return y if weights is None or weights.dtype != np.float32 else y.astype(np.float32)


def bincount(x, weights=None, minlength=0):
    """How often each number from 0 on occurs in x, or the sum of the weights there."""
    if x.ndim != 1 or x.dtype.kind not in "iu":
        kind = ValueError if x.ndim != 1 else TypeError
        raise kind(f"bincount: x must be a vector of integers, got shape {x.shape} of {x.dtype}")
    if weights is not None and weights.shape != x.shape:
        raise ValueError(f"bincount: weights must have the shape of x, {x.shape}, got {weights.shape}")
    if minlength < 0:
        raise ValueError(f"bincount: minlength must not be negative, got {minlength}")
    return tally(x, weights, minlength=int(minlength))


@op(differentiable=False, name="histc", samples=shapes("7 | 3 4", bins=[1, 5], low=[-1, 0], high=[1, 0.5]))
def bin_counts(x, *, bins, low, high):
    """How many entries lie in each of equal bins; those outside are left out."""
    if low == high:
        low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    if not np.isfinite([low, high]).all():
        raise ValueError(f"histc: the entries of x range from {low} to {high}; give a finite min and max")
    return np.histogram(x[x == x], bins, (low, high))[0].astype(x.dtype)


def histc(x, bins=100, min=0, max=0):
    """How many entries lie in each of `bins` equal bins from min to max, by default those of the entries."""
    demand_order(x, "histc")
    if bins < 1 or min > max:
        raise ValueError(f"histc: needs bins >= 1 and min <= max, got bins={bins}, min={min}, max={max}")
    return bin_counts(x, bins=int(bins), low=float(min), high=float(max))


class Histogram(NamedTuple):
    """Counts, and the edges of the bins they are of."""

    hist: Any
    bin_edges: Any


@op(differentiable=False, outputs=2, name="histogram", samples=[])
def bin_counts_and_edges(x, weight, edges, *, bins, range, density):
    """A histogram and its edges."""
    hist, edges = np.histogram(x, bins if edges is None else edges, range, density, weight)
    return hist.astype(x.dtype), edges.astype(x.dtype)


def histogram(x, bins, *, range=None, weight=None, density=False):
    """How many entries lie in each bin (of equal width, or with the edges given), and the edges."""
    edges = bins if isinstance(bins, (Traced, np.ndarray)) and bins.ndim else None
    many = None if edges is not None else int(bins)
    span = None if range is None else (float(range[0]), float(range[1]))
    return Histogram(*bin_counts_and_edges(x, weight, edges, bins=many, range=span, density=bool(density)))
