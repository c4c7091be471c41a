"""Indexing: reading and writing by slices, masks and integer arrays.

Integers, slices, None and Ellipsis make views (`view_at`).  Everything else becomes one array of flat places: several
index arrays, or a mask, that together address the axes `axes` of a tensor are turned into one index over all of these
axes, C order.  The result has the axes of the index array in place of the addressed ones, before the last `after`
others.  Hence three primitives (take, put, add) do all advanced indexing.
"""

from __future__ import annotations

import functools
import itertools
import operator
import re
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..errors import called
from ..kernels import gather as reading
from ..kernels import scatter as kernels
from ..op import Traced, op
from ..samples import shapes
from ..tape import NO_GRAD, current, mark_written, memory, observe, state
from ..tensor import LEAVE, PLAIN, at, node_of
from ..views import View, as_array, require_writable
from . import math
from .arguments import common_shape, integer, sequence
from .arranging import expand_dims, permuted, reshape_to, stack_along, view_at, whole
from .axes import one_axis
from .base import broadcast_to as spread_to
from .base import fit_shape, masked
from .parts import unbind
from .shape import atleast_1d, ravel

__all__ = [
    "argwhere", "combinations", "gather", "index_put", "index_select", "masked_fill", "masked_scatter", "masked_select",
    "nonzero", "put", "repeat_interleave", "take", "take_along_dim",
]  # fmt: skip
INPLACE = ["index_put", "masked_fill", "masked_scatter", "put"]


# --- places ----------------------------------------------------------------------------------------------------------


@op(differentiable=False, elementwise=True)
def flat_index(*indices, sizes):
    """Indices of several axes as one index over all of them; negative ones count from the end."""
    flat = np.zeros((), np.int64)
    if any(i.size == 0 for i in indices):
        return np.zeros(np.broadcast_shapes(*[i.shape for i in indices]), np.int64)
    for i, n in zip(indices, sizes):
        low, high = i.min(), i.max()
        if low < -n or high >= n:
            raise IndexError(f"index {low if low < -n else high} is out of bounds for axis with size {n}")
        flat = flat * n + (np.where(i < 0, i + n, i) if low < 0 else i)
    return flat


def _refuse_batch(size, values, batched):
    why = "a mask whose entries differ over the batch of vmap selects different numbers of entries; use where()"
    raise RuntimeError(f"{called('getitem')}: {why}")


@op(differentiable=False, batch=_refuse_batch)
def mask_places(mask):
    """The flat places of the nonzero entries."""
    return np.flatnonzero(mask)


@op(differentiable=False, trailing=True)
def true_before(mask):
    """How many true entries of a vector come before each true one."""
    return np.maximum(np.cumsum(mask, -1) - 1, 0)


def _last_batch(size, values, batched, length):
    flat = flat_index(_steps(size, values[0].ndim), values[0], sizes=(size, length))
    return last_writers(flat, length=size * length)


@op(differentiable=False, batch=_last_batch)
def last_writers(index, *, length):
    """Which entries of an index have the last word where places are repeated."""
    flat, turns = index.reshape(-1), np.arange(index.size)
    turn = np.zeros(length, np.int64)
    turn[flat] = turns
    return (turn[flat] == turns).reshape(index.shape)


def _steps(size, rank):
    """0, 1, 2, ... along the first of `rank` axes."""
    return np.arange(size).reshape(size, *(1,) * (rank - 1))


def shifted(y, start, count, to):
    """`count` axes from `start` on moved so that `to` of the others are before them."""
    if start == to or count == 0:
        return y
    block, rest = range(start, start + count), [k for k in range(y.ndim) if not start <= k < start + count]
    return permuted(y, axes=tuple([k - y.ndim for k in (*rest[:to], *block, *rest[to:])]))


def leading(axes, ndim):
    """The order of axes that puts `axes` first, all counted from the end."""
    return axes + tuple([a for a in range(-ndim, 0) if a not in axes])


@functools.lru_cache(4096)
def region(shape: tuple, places: tuple, axes: tuple, after: int) -> tuple:
    """The shape of the part that an index with places of this shape addresses."""
    rest = [n for a, n in zip(range(-len(shape), 0), shape) if a not in axes]
    return (*rest[: len(rest) - after], *places, *rest[len(rest) - after :])


# --- primitives ------------------------------------------------------------------------------------------------------

_PLACES = (
    shapes("4 2, 2 2:integers(-4;4)", axes=[(-2,)], after=[1])
    + shapes("2 4, 3:integers(0;4) | 3 4, ():integers(0;4) | 4 4, 0:integers(0;4)", axes=[(-1,)], after=[0])
    + shapes("2 3 2, 3:integers(0;6)", axes=[(-2, -1)], after=[0, 1])
    + shapes("2 3 2, 3 1:integers(0;4)", axes=[(-3, -1)], after=[0, 1])
    + shapes("2 3, 5:integers(0;6)", axes=[(-2, -1)], after=[0])
)


def _take_batch(size, values, batched, axes, after):
    x, index = values
    if not batched[1]:
        return take_entries(x, index, axes=axes, after=after)
    rank = index.ndim - 1
    if not batched[0]:
        return shifted(take_entries(x, index, axes=axes, after=after), x.ndim - len(axes) - after, 1, 0)
    n, length = x.ndim, prod([x.shape[a] for a in axes])
    flat = flat_index(_steps(size, index.ndim), index, sizes=(size, length))
    y = take_entries(x, flat, axes=(-n, *axes), after=n - 1 - len(axes))
    return shifted(y, 1, rank, y.ndim - rank - after)


@op(
    lambda g, x_shape, index, axes, after: add_entries(g, index, shape=x_shape, axes=axes, after=after),
    None,
    linear=True,
    samples=_PLACES,
    batch=_take_batch,
    name="index",
)
def take_entries(x, index, *, axes, after):
    """The entries of x at flat places of some axes."""
    k, order = len(axes), None
    if k == x.ndim:
        joined, axis = x if k == 1 else x.reshape(-1), -1
    elif k == 1:
        joined, axis = x, axes[0]
    else:
        joined, axis, order = as_one(x, axes, -axes[-1] - 1)
    y = reading.taken(joined, index, axis, False)
    if y.size == 0 and index.size:
        flat_index(index, sizes=(prod([x.shape[a] for a in axes]),))  # NumPy looks at no index where nothing is taken
    if order is None and after == -axes[-1] - 1:
        return y
    return shifted(y, x.ndim + axes[0] if order is None else 0, index.ndim, y.ndim - index.ndim - after)


def as_one(x, axes, after):
    """x with some axes as one, which one that is, and in what order the axes are then, if not in their own."""
    n, k, shape = x.ndim, len(axes), x.shape
    if after == -axes[-1] - 1 and axes[-1] - axes[0] == k - 1:
        first = n + axes[0]
        y = x if k == 1 else x.reshape(*shape[:first], prod(shape[first : first + k]), *shape[first + k :])
        return y, -after - 1, None
    order = leading(axes, n)
    moved = permuted(x, axes=order)
    return moved.reshape(prod(moved.shape[:k]), *moved.shape[k:]), k - n - 1, order


def in_line(v, index, after, order):
    """Values for the places of an index, with the axes of the index as one: where `as_one` has that of the places."""
    rank = index.ndim
    if order is not None:
        v, after = shifted(v, v.ndim - rank - after, rank, 0), v.ndim - rank
    first = v.ndim - rank - after
    return v.reshape(*v.shape[:first], index.size, *v.shape[first + rank :])


def as_before(y, shape, order):
    """What `as_one` joined, in its shape."""
    if order is None and y.shape == shape:
        return y
    return y.reshape(shape) if order is None else permuted(y.reshape([shape[a] for a in order]), axes=restored(order))


def _add_batch(size, values, batched, shape, axes, after):
    g, index = values
    if not batched[1]:
        return add_entries(g, index, shape=(size, *shape), axes=axes, after=after)
    g, rank, n = g if batched[0] else whole(size, [g], [False])[0], index.ndim - 1, len(shape) + 1
    flat = flat_index(_steps(size, index.ndim), index, sizes=(size, prod([shape[a] for a in axes])))
    g = shifted(g, g.ndim - rank - after, rank, 1)
    return add_entries(g, flat, shape=(size, *shape), axes=(-n, *axes), after=n - 1 - len(axes))


@op(
    lambda g, index, axes, after: take_entries(g, index, axes=axes, after=after),
    None,
    linear=True,
    samples=shapes("2 2 2, 2 2:integers(-4;4)", shape=[(4, 2)], axes=[(-2,)], after=[1])
    + shapes("2 3, 3:integers(0;4) | 2, ():integers(0;4)", shape=[(2, 4)], axes=[(-1,)], after=[0])
    + shapes("3 5, 5:integers(0;4)", shape=[(2, 3, 2)], axes=[(-3, -1)], after=[0]),
    batch=_add_batch,
)
def add_entries(x, index, *, shape, axes, after):
    """Zeros of a shape with the entries of x added at flat places of some axes; what meets adds up."""
    if len(axes) == 1 == index.ndim and after == -axes[0] - 1:
        return kernels.added(x, index, shape[axes[0]], axes[0], False)
    if len(axes) == len(shape):
        return kernels.added(x.reshape(-1), index.reshape(-1), prod(shape), -1, False).reshape(shape)
    _, axis, order = as_one(nothing(shape, x), axes, after)
    size = prod([shape[a] for a in axes])
    return as_before(kernels.added(in_line(x, index, after, order), index.reshape(-1), size, axis, False), shape, order)


def restored(order):
    """The order that undoes `leading`."""
    return tuple([order.index(a) - len(order) for a in range(-len(order), 0)])


def _put_batch(size, values, batched, axes, after, how):
    x, v, index = values
    x, v = whole(size, [x, v], batched[:2])
    if not batched[2]:
        return put_entries(x, v, index, axes=axes, after=after, how=how)
    n, rank = x.ndim, index.ndim - 1
    flat = flat_index(_steps(size, index.ndim), index, sizes=(size, prod([x.shape[a] for a in axes])))
    v, place = shifted(v, v.ndim - rank - after, rank, 1), {"axes": (-n, *axes), "after": n - 1 - len(axes)}
    return put_entries(x, v, flat, **place, how=how)


def nothing(shape, like):
    """Zeros without memory."""
    return np.broadcast_to(np.zeros((), like.dtype), shape)


def _left(g, v_shape, index, axes, after, how):
    """The part of a cotangent that belongs to what was there before."""
    return g if how == kernels.ADD else put_entries(g, nothing(v_shape, g), index, axes=axes, after=after)


def _kept(g, x_shape, index, axes, after, how):
    """The part that belongs to what went there: where it was put, to the entries that won."""
    taken = take_entries(g, index, axes=axes, after=after)
    if how == kernels.ADD:
        return taken
    won = last_writers(index, length=prod([x_shape[a] for a in axes]))
    return masked(taken, reshape_to(won, shape=(*won.shape, *(1,) * after)))


def _put_tangent(tangents, y, x, v, index, **place):
    dx, dv, _ = tangents
    zeros = lambda like: nothing(like.shape, y)
    return put_entries(zeros(x) if dx is None else dx, zeros(v) if dv is None else dv, index, **place)


@op(
    _left,
    _kept,
    None,
    samples=shapes("4 2, 2 2 2, 2 2:integers(-4;4)", axes=[(-2,)], after=[1], how=["put", "add"])
    + shapes("2 4, 2 3, 3:integers(0;4) | 2 4, 2, ():integers(0;4)", axes=[(-1,)], after=[0], how=["put", "add"])
    + shapes("2 3 2, 3 5, 5:integers(0;4)", axes=[(-3, -1)], after=[0], how=["put", "add"])
    + shapes("2 3, 0, 0:integers(0;6)", axes=[(-2, -1)], after=[0], how=["put", "add"]),
    jvp=_put_tangent,
    batch=_put_batch,
    name="index_put",
)
def put_entries(x, v, index, *, axes, after, how=kernels.PUT):
    """x with values put in, or added to, flat places of some axes; of what is put in one place the last stays."""
    if len(axes) == 1 == index.ndim and after == -axes[0] - 1:
        return kernels.scattered(x, v, index, axes[0], False, how)
    joined, axis, order = as_one(x, axes, after)
    y = kernels.scattered(joined, in_line(v, index, after, order), index.reshape(-1), axis, False, how)
    return as_before(y, x.shape, order)


@op(
    lambda g, x_shape, indices, axis: add_along(g, indices, size=x_shape[axis], axis=axis),
    None,
    linear=True,
    trailing=True,
    samples=shapes("2 4, 2 3:integers(-4;4) | 1 4, 2 1:integers(0;4) | 2 4, 2 0:integers(0;4)", axis=[-1])
    + shapes("4 2, 3 2:integers(0;4) | 2 4 2, 2 5 2:integers(0;4)", axis=[-2]),
    name="gather",
)
def take_along(x, indices, *, axis):
    """The entries of x at places of one axis that are given for each entry of the others."""
    return reading.taken(x, indices, axis, True)


@op(
    lambda g, indices, axis: take_along(g, indices, axis=axis),
    None,
    linear=True,
    trailing=True,
    samples=shapes("2 3, 2 3:integers(-4;4)", size=[4], axis=[-1])
    + shapes("3 2, 3 2:integers(0;4)", size=[4], axis=[-2]),
)
def add_along(x, indices, *, size, axis):
    """Zeros with the entries of x added at places of one axis, which is to have a size."""
    indices = indices if indices.shape == x.shape else np.broadcast_to(indices, x.shape)
    return kernels.added(x, indices, size, axis, True)


@op(
    lambda g, x_shape, places, axis: add_along(
        expand_dims(g, axis=(axis,)), expand_dims(places, axis=(axis,)), size=x_shape[axis], axis=axis
    ),
    None,
    linear=True,
    trailing=True,
    samples=shapes("4, ():integers(-4;4) | 2 4, 2:integers(0;4)", axis=[-1])
    + shapes("4 2, 2:integers(0;4) | 2 4 2, 2 2:integers(0;4)", axis=[-2]),
)
def entry_at(x, places, *, axis):
    """The entry of x at one place of an axis, which goes, for each entry of the others."""
    return reading.one_in_each(x, places, axis)


@op(differentiable=False)
def argwhere(x):
    """The indices of the nonzero entries, as rows."""
    return np.argwhere(x)


# --- reading an index ------------------------------------------------------------------------------------------------

_BASIC = frozenset({int, type(None), type(Ellipsis)})
_LIMITS = frozenset({int, type(None)})
_SMALL, _RUN, _SELDOM = 4096, 32, 0.05  # entries, and their share: beyond, a branch for each takes longer than `where`
_VALUES = (Traced, np.ndarray, np.generic, bool, int, float, complex)
_ALL = slice(None)
_EVERY = [tuple(range(-n, 0)) for n in range(65)]


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


def misplaced(error: IndexError, name: str, x: Any) -> IndexError:
    """An IndexError that says what was indexed, and by which function."""
    text = getattr(error, "explained", None) or str(error)
    if text.startswith(f"{name}: "):
        return error
    if found := re.search(r"index (-?\d+) is out of bounds .*?size (\d+)", text):
        text = f"index {found[1]} is out of range for an axis of {found[2]} entries"
    return IndexError(f"{called(name)}: {text}; the tensor has shape {tuple(x.shape)}")


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
        i = _listed(i, name)
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


def _listed(i: Any, name: str) -> Any:
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


def differs(i: Any) -> bool:
    """Whether a value differs over the batch of a `vmap` around."""
    while isinstance(i, Traced):
        if hasattr(i, "batch"):
            return True
        i = i.innermost()
    return False


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


Traced.__getitem__ = getitem
Traced.__setitem__ = assign


# --- along one axis --------------------------------------------------------------------------------------------------


def unrecorded(x: Any) -> bool:
    """Whether x is a plain tensor in a call of which no op need know: then it may go to its kernel at once."""
    mode = state.mode
    return x.__class__ in PLAIN and x.origin is None and (mode is NO_GRAD or mode is None and x.node is None)


def read_at_once(x: Any, dim: Any, index: Any, each: bool) -> Any:
    """The entries (or slices) of x at places of an axis, if to read them is a usual call of which no op need know."""
    if dim.__class__ is int and unrecorded(x) and unrecorded(index):
        if (y := reading.read_at_once(x.value, index.value, dim, each)) is not None:
            return at(y)
    return None


def axis_of_slices(x: Any, dim: Any, index: Any, v: Any) -> int | None:
    """The axis of a usual call: plain tensors that fit as they are, with a vector of places, and in v a slice for each."""
    if x.__class__ in PLAIN and index.__class__ in PLAIN and v.__class__ in PLAIN and dim.__class__ is int:
        whole, places, part = x.value, index.value, v.value
        if whole.dtype is part.dtype and places.dtype is reading.LONG:
            return _slices(whole.shape, places.shape, part.shape, dim)
    return None


@functools.lru_cache(4096)
def beside(shape: tuple, places: tuple, dim: int) -> int | None:
    """dim from the end, if shapes are the same but there."""
    n = len(shape)
    axis = dim if dim < 0 else dim - n
    return axis if -n <= axis < 0 and same_but(places, shape, axis) else None


@functools.lru_cache(4096)
def _slices(shape: tuple, places: tuple, part: tuple, dim: int) -> int | None:
    """dim from the end, if a part has as many slices there as there are places."""
    axis = beside(shape, part, dim)
    return axis if axis and places == (part[axis],) else None


def whole_numbers(index: Any, name: str, what: str = "index") -> Any:
    """An index as an array of integers."""
    if not isinstance(index, (Traced, np.ndarray)):
        index = _listed(index, name) if isinstance(index, (list, tuple)) else np.asarray(index)
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
        part = [_ALL if a == axis else slice(n) for a, n in zip(range(-len(shape), 0), places)]
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


@functools.lru_cache(4096)
def same_but(a: tuple, b: tuple, axis: int) -> bool:
    """Whether two shapes are the same but for an axis."""
    return len(a) == len(b) and a[:axis] == b[:axis] and (axis == -1 or a[axis + 1 :] == b[axis + 1 :])


def needs_number(value: Any, name: str) -> None:
    if np.ndim(value) != 0:
        raise ValueError(f"{name}: value must be one number, got shape {tuple(value.shape)}")


def bare(value: Any) -> Any:
    """The numbers of a value, inside however many transforms, to check them."""
    while isinstance(value, Traced):
        value = value.innermost()
    return value


def innermost_of(index: Any, who: str = "") -> np.ndarray:
    """The numbers of a value, by which is decided what to compute: whoever captures a run must know.

    Where they decide on shapes, a batch of them cannot: its members would go different ways.
    """
    while isinstance(index, Traced):
        if who and type(index).__name__ == "Batched":
            raise RuntimeError(
                f"{who} decide what is computed, and inside vmap they differ over the batch; let all members share them "
                "(in_dims None), or call the function in a loop"
            )
        if state.mode is not None:
            observe(LEAVE, (index,), {"decides": True}, None)
        index = index.innermost()
    return index


# --- by masks and by flat places -------------------------------------------------------------------------------------


def truth_values(mask: Any, name: str) -> Any:
    """A mask as an array of truth values."""
    mask = mask if isinstance(mask, (Traced, np.ndarray)) else np.asarray(mask)
    if mask.dtype.kind != "b":
        raise TypeError(f"{name}: mask must hold truth values, got {mask.dtype}; write mask > 0 or mask.bool()")
    return mask


def masked_fill(x, mask, value):
    """x with one number wherever mask is true."""
    mask = truth_values(mask, "masked_fill")
    needs_number(value, "masked_fill")
    common_shape([x.shape, mask.shape], "masked_fill")
    return math.where(mask, suited(value, (), x.dtype, "masked_fill"), x)


def masked_select(x, mask):
    """The entries where mask is true, as a vector."""
    x, mask = _aligned(x, mask, "masked_select")
    try:
        return take_entries(x, mask_places(mask), axes=tuple(range(-x.ndim, 0)), after=0)
    except IndexError as error:
        raise misplaced(error, "masked_select", x) from None


def masked_scatter(x, mask, source):
    """x with the entries where mask is true replaced by those of source, in order."""
    x, mask = _aligned(x, mask, "masked_scatter")
    if differs(mask):
        return _scattered_by_count(x, mask, source)
    places = mask_places(mask)
    if prod(source.shape) < places.shape[0]:
        raise ValueError(
            f"masked_scatter: mask has {places.shape[0]} true entries, but source only {prod(source.shape)}"
        )
    v = suited(view_at(ravel(source), index=(slice(places.shape[0]),)), tuple(places.shape), x.dtype, "masked_scatter")
    return put_entries(x, v, places, axes=tuple(range(-x.ndim, 0)), after=0)


def _scattered_by_count(x: Any, mask: Any, source: Any) -> Any:
    """The same for a mask that differs over a batch: each true entry takes the value that its number among them is."""
    turns = true_before(ravel(mask))
    try:
        v = take_entries(ravel(source), turns, axes=(-1,), after=0)
    except IndexError as error:
        raise misplaced(error, "masked_scatter", source) from None
    return math.where(mask, suited(reshape_to(v, shape=tuple(x.shape)), tuple(x.shape), x.dtype, "masked_scatter"), x)


def _aligned(x: Any, mask: Any, name: str) -> tuple[Any, Any]:
    """A tensor and a mask in their common shape, with one axis at least."""
    mask = truth_values(mask, name)
    shape = common_shape([x.shape, mask.shape], name) or (1,)
    return tuple(a if a.shape == shape else spread_to(a, shape=shape) for a in (x, mask))


def nonzero(x, *, as_tuple=False):
    """The indices of the nonzero entries as rows, or as one vector for each axis."""
    if as_tuple:
        return unbind(argwhere(atleast_1d(x)), 1)
    return argwhere(x)


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


# --- choices ---------------------------------------------------------------------------------------------------------


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
