"""Entries and slices at places that are listed, along one axis or counted through all; repeats and choices."""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

import numpy as np

from ..kernels import gather as reading
from ..kernels import scatter as kernels
from ..op import Traced, op
from ..samples import shapes
from ..tensor import PLAIN, at
from .arguments import common_shape, differs, innermost_of, integer
from .arranging import reshape_to, view_at
from .axes import one_axis
from .base import fit_shape
from .entries import put_entries, same_but, take_along, take_entries, unrecorded
from .index import listed, misplaced, suited
from .shape import atleast_1d, ravel

__all__ = [
    "combinations", "gather", "index_select", "put", "repeat_interleave", "take", "take_along_dim",
]  # fmt: skip
INPLACE = ["put"]


# --- along one axis --------------------------------------------------------------------------------------------------


def read_at_once(x: Any, dim: Any, index: Any, each: bool) -> Any:
    """The entries (or slices) of x at places of an axis, if to read them is a usual call of which no op need know."""
    if dim.__class__ is int and unrecorded(x) and unrecorded(index):
        if (y := reading.read_at_once(x.value, index.value, dim, each)) is not None:
            return at(y)
    return None


def whole_numbers(index: Any, name: str, what: str = "index") -> Any:
    """An index as an array of integers."""
    if not isinstance(index, (Traced, np.ndarray)):
        index = listed(index, name) if isinstance(index, (list, tuple)) else np.asarray(index)
    kind = index.dtype.kind
    if kind == "i":
        return index
    if kind != "u":
        raise TypeError(f"{name}: {what} must hold integers, got {index.dtype}")
    return index.astype(np.dtype("int64"))


def as_vector(index: Any, name: str) -> Any:
    """An index of one axis as a vector; a number is a vector of one."""
    index = whole_numbers(index, name)
    if (ndim := index.ndim) == 1:
        return index
    if ndim:
        raise ValueError(f"{name}: index must be a vector, got shape {tuple(index.shape)}")
    return reshape_to(index, shape=(1,))


def index_select(x, dim, index):
    """The slices of an axis at the places listed."""
    try:
        if (y := read_at_once(x, dim, index, False)) is not None:
            return y
        axis, index = one_axis(x.ndim, dim, "index_select"), as_vector(index, "index_select")
        return take_entries(x, index, axes=(axis,), after=-axis - 1) if x.ndim else x
    except IndexError as error:
        raise misplaced(error, "index_select", x) from None


def take_along_dim(x, indices, dim=None):
    """Entries at places of one axis (without dim: of all as one) given for each entry of the others."""
    indices = whole_numbers(indices, "take_along_dim", "indices")
    if dim is None:
        x, indices, dim = ravel(x), ravel(indices), 0
    axis = one_axis(x.ndim, dim, "take_along_dim")
    if x.ndim != indices.ndim:
        raise ValueError(
            f"take_along_dim: x has shape {tuple(x.shape)} and indices {tuple(indices.shape)}; they need as many axes"
        )
    others = [[n for a, n in zip(range(-x.ndim, 0), v.shape) if a != axis] for v in (x, indices)]
    common_shape(others, "take_along_dim")
    try:
        return take_along(x, indices, axis=axis)
    except IndexError as error:
        raise misplaced(error, "take_along_dim", x) from None


def gather(x, dim, index, *, sparse_grad=False):
    """y[i, j, k] = x[index[i, j, k], j, k] for dim 0, and so on."""
    try:
        if (y := read_at_once(x, dim, index, True)) is not None:
            return y
    except IndexError as error:
        raise misplaced(error, "gather", x) from None
    index, shape = whole_numbers(index, "gather"), x.shape
    axis, places = one_axis(len(shape), dim, "gather"), index.shape
    if not shape or not places:
        return reshape_to(gather(atleast_1d(x), 0, atleast_1d(index)), shape=tuple(places))
    if not same_but(places, shape, axis):
        fits_beside(places, shape, axis, "gather", "index", "x")
        part = [slice(None) if a == axis else slice(n) for a, n in zip(range(-len(shape), 0), places)]
        x = view_at(x, index=tuple(part))
    try:
        return take_along(x, index, axis=axis)
    except IndexError as error:
        raise misplaced(error, "gather", x) from None


def fits_beside(small: tuple, large: tuple, axis: int | None, name: str, what: str, other: str) -> None:
    """Raise unless one shape is within another, but for an axis."""
    if len(small) != len(large) or any(m > n for a, m, n in zip(range(-len(small), 0), small, large) if a != axis):
        but = "" if axis is None else f", except along axis {axis}"
        raise ValueError(
            f"{name}: {what} has shape {tuple(small)}; it must fit within {other} {tuple(large)}, axis by axis{but}"
        )


# --- through all axes ------------------------------------------------------------------------------------------------

_EVERY = [tuple(range(-n, 0)) for n in range(65)]


def take(x, index):
    """The entries at places counted through all axes."""
    if index.__class__ not in PLAIN or index.value.dtype is not reading.LONG:
        index = whole_numbers(index, "take")
    try:
        if unrecorded(x) and unrecorded(index) and (y := reading.read_few(x.value, index.value)) is not None:
            return at(y)
        x = x if (ndim := x.ndim) else atleast_1d(x)
        return take_entries(x, index, axes=_EVERY[ndim or 1], after=0)
    except IndexError as error:
        raise misplaced(error, "take", x) from None


def put(x, index, source, accumulate=False):
    """x with entries replaced (or added to) at places counted through all its axes."""
    index = whole_numbers(index, "put")
    if prod(index.shape) != prod(source.shape):
        raise ValueError(
            f"put: index has {prod(index.shape)} entries, source has {prod(source.shape)}; they need as many"
        )
    flat = ravel(index)
    v, how = suited(ravel(source), flat.shape, x.dtype, "put"), kernels.ADD if accumulate else kernels.PUT
    try:
        return reshape_to(put_entries(ravel(x), v, flat, axes=(-1,), after=0, how=how), shape=x.shape)
    except IndexError as error:
        raise misplaced(error, "put", x) from None


# --- repeated and chosen ---------------------------------------------------------------------------------------------


@op(
    lambda g, x_shape, repeats, axis: reshape_to(_unrepeated(g, x_shape, repeats, axis), shape=x_shape),
    linear=True,
    trailing=True,
    samples=shapes("2 n", repeats=[3, 1, 0], axis=[-1, -2]),
    name="repeat_interleave",
)
def repeated(x, *, repeats, axis):
    """Each slice of an axis so many times in a row."""
    return np.repeat(x, repeats, axis)


def _unrepeated(g, shape, repeats, axis):
    """The sum over the copies of each slice, their axis left at length one."""
    n, rest = len(shape) + axis + 1, shape[len(shape) + axis + 1 :]
    return fit_shape(reshape_to(g, shape=(*shape[:n], repeats, *rest)), shape=(*shape[:n], 1, *rest))


def repeat_interleave(x, repeats, dim=None, *, output_size=None):
    """Each entry (each slice along dim) so many times in a row; `repeats` is a number, or one number for each."""
    if dim is None:
        x, dim = ravel(x), 0
    x = atleast_1d(x)
    axis, repeats = one_axis(x.ndim, dim, "repeat_interleave"), whole_numbers(repeats, "repeat_interleave", "repeats")
    counts, n = np.asarray(innermost_of(repeats, "repeat_interleave: repeats")).reshape(-1), x.shape[axis]
    if differs(repeats) or counts.size not in (1, n) or (counts < 0).any():
        raise ValueError(f"repeat_interleave: repeats must be one number or {n}, none negative, got {repeats!r:.60}")
    if counts.size == 1:
        result = repeated(x, repeats=int(counts[0]), axis=axis)
    else:
        result = take_entries(x, np.repeat(np.arange(n), counts), axes=(axis,), after=-axis - 1)
    if output_size is not None and output_size != result.shape[axis]:
        raise ValueError(f"repeat_interleave: output_size is {output_size}, but the result has {result.shape[axis]}")
    return result


def combinations(x, r=2, with_replacement=False):
    """All choices of r entries of a vector, as rows."""
    if x.ndim != 1:
        raise ValueError(f"combinations: expected a vector, got shape {tuple(x.shape)}")
    if (r := integer(r, "combinations", "r")) < 0:
        raise ValueError(f"combinations: r must not be negative, got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(x.shape[0]), r)), np.int64).reshape(-1, r)
    return take_entries(x, rows, axes=(-1,), after=0)
