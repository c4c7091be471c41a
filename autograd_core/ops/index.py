"""Indexing: reading and writing by slices, masks and integer arrays, as in NumPy.

Integers, slices, None and Ellipsis make views (`view_at`).  Everything else becomes one array of flat places: several
index arrays, or a mask, that together address some axes of a tensor are turned into one index over all of these axes.
"""

from __future__ import annotations

import operator
import re
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..errors import called
from ..kernels import scatter as kernels
from ..op import Traced
from ..tape import NO_GRAD, current, mark_written, memory, state
from ..tensor import node_of
from ..views import View, as_array, require_writable
from . import math
from .arguments import bare, differs, sequence
from .arranging import reshape_to, stack_along, view_at
from .base import broadcast_to as spread_to
from .entries import axis_of_slices, flat_index, mask_places, put_entries, region, take_entries

__all__ = ["index_put"]
INPLACE = ["index_put"]


# --- x[index] and x[index] = value -----------------------------------------------------------------------------------

_BASIC = frozenset({int, type(None), type(Ellipsis)})
_LIMITS = frozenset({int, type(None)})
_SMALL, _RUN, _SELDOM = 4096, 32, 0.05  # entries, and their share: beyond, a branch for each takes longer than `where`
_VALUES = (Traced, np.ndarray, np.generic, bool, int, float, complex)
_ALL = slice(None)


def getitem(x, index):
    """x[index], as in NumPy: a view unless the index holds arrays or masks."""
    items = index if index.__class__ is tuple else (index,)
    if _plain(items):
        return view_at(x, index=items)
    try:
        spot = located(x, items, "getitem")
        part = x if spot.basic is None else view_at(x, index=spot.basic)
        if spot.index is None:
            return part
        y = take_entries(part, spot.index, axes=spot.axes, after=spot.after)
        if _says_where(spot.index):
            current().capture.picked(y, x, items)
        return y
    except IndexError as error:
        raise misplaced(error, "getitem", x) from None


def assign(x, index, value):
    """x[index] = value, in place and recorded."""
    items = index if index.__class__ is tuple else (index,)
    try:
        if not (plain := _plain(items)) and _fills(x, items, value):
            return
        spot = Spot(items) if plain else located(x, items, "setitem")
        part = x if spot.basic is None else view_at(x, index=spot.basic)
        if spot.index is None:
            if not _is_same_view(part, value):
                part.write(suited(value, part.shape, x.dtype, "setitem"), "setitem")
            return
        if _says_where(spot.index):
            current().capture.put_back(value, x, items)
        value = suited(value, region(part.shape, spot.index.shape, spot.axes, spot.after), x.dtype, "setitem")
        changed = put_entries(part, value, spot.index, axes=spot.axes, after=spot.after)
    except IndexError as error:
        raise misplaced(error, "setitem", x) from None
    part.write(changed, "setitem")


def index_put(x, indices, values, accumulate=False):
    """x with x[indices] = values, or with values added there in turn; None stands for a whole axis."""
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put: indices must be a tuple of tensors, got {type(indices).__name__}")
    how = kernels.ADD if accumulate else kernels.PUT
    try:
        if len(indices) == 1 and (axis := axis_of_slices(x, 0, indices[0], values)):
            return put_entries(x, values, indices[0], axes=(axis,), after=-axis - 1, how=how)
        indices = tuple(_ALL if i is None else i for i in indices)
        spot = located(x, indices, "index_put")
        if spot.basic is not None and any(i.__class__ is not slice for i in spot.basic) or spot.index is None:
            raise TypeError("index_put: indices must be tensors (or None)")
        values = suited(values, region(x.shape, spot.index.shape, spot.axes, spot.after), x.dtype, "index_put")
        return put_entries(x, values, spot.index, axes=spot.axes, after=spot.after, how=how)
    except IndexError as error:
        raise misplaced(error, "index_put", x) from None


def _plain(items: tuple) -> bool:
    """Whether an index is made only of what a view is made of, and needs no reading."""
    for i in items:
        kind = i.__class__
        if kind is slice:
            if i.start.__class__ not in _LIMITS or i.stop.__class__ not in _LIMITS or i.step.__class__ not in _LIMITS:
                return False
        elif kind not in _BASIC:
            return False
    return True


def _fills(x: Any, items: tuple, value: Any) -> bool:
    """Do `x[..., mask, ...] = value` if the value is the same for all entries of the mask.

    How many these are need not be known then: captured code can do it again, and it is quicker.
    """
    masks = [i for i in items if isinstance(i, (Traced, np.ndarray)) and i.dtype.kind == "b"]
    if len(masks) != 1 or not isinstance(value, _VALUES) or not _plain(tuple([i for i in items if i is not masks[0]])):
        return False
    tokens, mask = completed_index(x, list(items), "setitem"), masks[0]
    k = next(k for k, i in enumerate(tokens) if i is mask)
    used = len([i for i in tokens[:k] if i is not None and i is not Ellipsis])
    if tuple(mask.shape) != tuple(x.shape[used : used + mask.ndim]):
        return False
    basic = (*tokens[:k], *[_ALL] * mask.ndim, *tokens[k + 1 :])
    part = x if all(i is _ALL for i in basic) else view_at(x, index=basic)
    before = len([i for i in tokens[:k] if i.__class__ is not int and i is not Ellipsis])
    before, after = tuple(part.shape[:before]), tuple(part.shape[before + mask.ndim :])
    v = _for_all(value, (before, (1,) * mask.ndim, after), int in map(type, tokens), x.dtype)
    if v is None:
        return False
    where = reshape_to(mask, shape=(*mask.shape, *(1,) * len(after))) if after else mask
    if not _filled_at_once(part, where, v, prod(after)):
        part.write(math.where(where, v, part), "setitem")
    return True


def _filled_at_once(part: Any, where: Any, v: Any, run: int) -> bool:
    """Fill the part itself, if it has no history and nobody watches, and the mask, for runs of entries, changes seldom."""
    plain = lambda a: not isinstance(a, Traced) or not a.level and node_of(a) is None
    if (state.mode is not None and state.mode is not NO_GRAD) or not all(map(plain, (part, where, v))):
        return False
    mask, size = bare(where), prod(where.shape)
    if size > _SMALL and run < _RUN:
        count = np.count_nonzero(mask)
        if min(count, size - count) > size * _SELDOM:
            return False
    if memory(where) is memory(part):
        return False
    require_writable(part, "setitem")
    np.copyto(part.value, bare(v), where=mask)
    mark_written(part.value)
    return True


def _for_all(value: Any, place: tuple, moved: bool, dtype: np.dtype) -> Any:
    """A value that is to go to each entry of a mask, on the axes of the whole; None if it has something for each.

    Axes of integers beside the mask may have moved its axis: then only what is one number is taken.
    """
    shape, (before, ones, after) = np.shape(value), place
    form = (*before, 1, *after)
    if prod(shape) == 1:
        return suited(value, (), dtype, "setitem")
    if moved or len(shape) > len(form) or any(m not in (1, n) for m, n in zip(shape[::-1], form[::-1])):
        return None
    return reshape_to(suited(value, form, dtype, "setitem"), shape=(*before, *ones, *after))


def _is_same_view(part: Any, value: Any) -> bool:
    """Whether a value is the very part it is to be assigned to, as at the end of `x[i] += 1`."""
    a, b = getattr(part, "origin", None), getattr(value, "origin", None)
    return isinstance(a, View) and isinstance(b, View) and a.base is b.base and a.path == b.path


def suited(value: Any, shape: tuple, dtype: np.dtype, name: str) -> Any:
    """A value in the shape and type of the place it goes to, or an error."""
    if isinstance(value, (Traced, np.ndarray)) and value.shape == shape and value.dtype == dtype:
        return value
    if not isinstance(value, (Traced, np.ndarray, np.generic)):
        value = as_array(value, dtype, name)
    if not np.can_cast(value.dtype, dtype, "same_kind"):
        raise TypeError(f"{name}: a value of {value.dtype} cannot be stored in a tensor of {dtype}; convert it first")
    value = value if value.dtype == dtype else value.astype(dtype)
    if value.shape == shape:
        return value
    extra = value.ndim - len(shape)
    if extra > 0 and value.shape[:extra] == (1,) * extra:
        value = reshape_to(value, shape=tuple(value.shape[extra:]))
    if value.ndim > len(shape) or any(m not in (1, n) for m, n in zip(value.shape[::-1], shape[::-1])):
        raise ValueError(
            f"{name}: a value of shape {tuple(value.shape)} does not fit the part it goes to, of shape {tuple(shape)}"
        )
    return spread_to(value, shape=shape)


def misplaced(error: IndexError, name: str, x: Any) -> IndexError:
    """An IndexError that says what was indexed, and by which function."""
    text = getattr(error, "explained", None) or str(error)
    if text.startswith(f"{name}: "):
        return error
    if found := re.search(r"index (-?\d+) is out of bounds .*?size (\d+)", text):
        text = f"index {found[1]} is out of range for an axis of {found[2]} entries"
    return IndexError(f"{called(name)}: {text}; the tensor has shape {tuple(x.shape)}")


Traced.__getitem__ = getitem
Traced.__setitem__ = assign


# --- what an index means ---------------------------------------------------------------------------------------------


class Spot(NamedTuple):
    """Where an index points: first at a view, then at flat places of some of its axes."""

    basic: tuple | None
    index: Any = None
    axes: tuple[int, ...] = ()
    after: int = 0


def located(x: Any, items: tuple, name: str) -> Spot:
    """What an index means for x."""
    if (
        len(items) == 1
        and isinstance(i := items[0], (Traced, np.ndarray))
        and i.dtype.kind == "i"
        and i.ndim
        and x.ndim
    ):
        return Spot(None, i, (-x.ndim,), x.ndim - 1)
    tokens = completed_index(x, [_token(i, x, name) for i in items], name)
    if not any(_is_advanced(i) for i in tokens):
        return Spot(tuple(tokens))
    basic, groups = [], []
    layout = []  # for each token, whether it takes part in advanced indexing (None: it only separates)
    axis = rank = 0  # axes of x used up, axes of the view made
    for i in tokens:
        layout.append(None if i is Ellipsis else _is_advanced(i) or i.__class__ is int)
        if i is Ellipsis:
            continue
        if i.__class__ is bool:
            groups.append((np.zeros(int(i), np.int64), 1, (rank,)))
            basic.append(None)
            rank += 1
        elif _is_advanced(i):
            index, length, count = _places(i, x.shape[axis:], name)
            groups.append((index, length, tuple(range(rank, rank + count))))
            basic += [_ALL] * count
            axis, rank = axis + count, rank + count
        else:
            basic.append(i)
            axis, rank = axis + (i is not None), rank + (i.__class__ is not int)
    axes = tuple([a - rank for _, _, group in groups for a in group])
    index = groups[0][0] if len(groups) == 1 else _one_index([g[0] for g in groups], tuple(g[1] for g in groups), name)
    return Spot(None if all(i is not None and i == _ALL for i in basic) else tuple(basic), index, axes, _after(layout))


def _one_index(indices: list, sizes: tuple, name: str) -> Any:
    """Index arrays that go together as one."""
    try:
        return flat_index(*indices, sizes=sizes)
    except ValueError:
        given = ", ".join(str(tuple(i.shape)) for i in indices)
        raise IndexError(f"{name}: index arrays of shapes {given} do not broadcast together") from None


def _after(layout: list) -> int:
    """How many axes come after those of the index arrays: as in NumPy, all, if these are not neighbours."""
    first, last = layout.index(True), len(layout) - layout[::-1].index(True)
    return (layout[last:] if all(layout[first:last]) else layout).count(False)


def _is_advanced(token: Any) -> bool:
    return token.__class__ is bool or isinstance(token, (Traced, np.ndarray))


def _places(i: Any, shape: tuple, name: str) -> tuple[Any, int, int]:
    """Flat places, the number of places there are, and the number of axes they address."""
    if i.dtype.kind != "b":
        return (i if i.dtype.kind == "i" else i.astype(np.dtype("int64"))), shape[0], 1
    if tuple(i.shape) != tuple(shape[: i.ndim]):
        raise IndexError(
            f"{name}: a mask of shape {tuple(i.shape)} does not fit the axes {tuple(shape[: i.ndim])} it selects from"
        )
    return mask_places(i), prod(i.shape), i.ndim


def completed_index(x: Any, tokens: list, name: str) -> list:
    """An index with slices in place of the Ellipsis, so that it mentions every axis; one that stands for none stays."""
    used = sum(
        i.ndim
        if getattr(i, "dtype", None) == np.bool_
        else i is not None and i is not Ellipsis and i.__class__ is not bool
        for i in tokens
    )
    if used > x.ndim:
        raise IndexError(f"{name}: {used} indices for a tensor with {x.ndim} axes, of shape {tuple(x.shape)}")
    dots = [k for k, i in enumerate(tokens) if i is Ellipsis] or [len(tokens)]
    if len(dots) > 1:
        raise IndexError(f"{name}: an index can have only one ellipsis (...)")
    between = [_ALL] * (x.ndim - used) or tokens[dots[0] : dots[0] + 1]
    return [*tokens[: dots[0]], *between, *tokens[dots[0] + 1 :]]


def _token(i: Any, x: Any, name: str) -> Any:
    """One part of an index: an int, bool, slice, None, Ellipsis, or an array of integers or truth values."""
    if i.__class__ in _BASIC or i.__class__ is bool:
        return i
    if isinstance(i, slice):
        return slice(*[_limit(n, name) for n in (i.start, i.stop, i.step)])
    if isinstance(i, (list, tuple)):
        i = listed(i, name)
    if isinstance(i, (Traced, np.ndarray, np.generic)):
        if i.dtype.kind not in "biu":
            raise IndexError(f"{name}: an array of {i.dtype} is no index; use integers or a mask (t.long(), t > 0)")
        if i.ndim or differs(i) or i.dtype.kind != "b" and _says_where(i):
            return i
        return bool(i) if i.dtype.kind == "b" else operator.index(i)
    try:
        return operator.index(i)
    except TypeError:
        kinds = "integers, slices, None, ..., masks and integer arrays"
        raise IndexError(f"{name}: {i!r:.60} is no index; a tensor of shape {tuple(x.shape)} takes {kinds}") from None


def _says_where(i: Any) -> bool:
    """Whether an index is a number that code which is captured reads anew in each replay."""
    return isinstance(i, Traced) and not i.ndim and current().capture is not None and not differs(i)


def listed(i: Any, name: str) -> Any:
    """A list as an index array."""
    if any(isinstance(n, Traced) for n in i):
        return stack_along(*sequence(i, name), axis=-1)
    try:
        i = np.asarray(i)
    except ValueError:
        raise IndexError(f"{name}: {i!r:.60} is no index; its rows have different lengths") from None
    return i if i.size else i.astype(np.int64)


def _limit(n: Any, name: str) -> int | None:
    """Where a slice starts, stops, or its step."""
    if n is None:
        return None
    try:
        return operator.index(n)
    except TypeError:
        raise TypeError(f"{name}: slices are made of integers, not {n!r:.60}") from None
