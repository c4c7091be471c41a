"""Entries at places: the primitives behind all indexing.

Places are one array of integers that counts through the axes `axes` of a tensor in C order.  The result has the axes of
that array in place of the addressed ones, before the last `after` others.  Hence three primitives (take, put, add) do
all advanced indexing, and three more (take_along, add_along, entry_at) what names a place for each entry.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from ..errors import called
from ..kernels import gather as reading
from ..kernels import scatter as kernels
from ..op import op
from ..samples import shapes
from ..tape import NO_GRAD, state
from ..tensor import PLAIN
from .arranging import expand_dims, permuted, reshape_to, whole
from .base import masked

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


# --- usual calls -----------------------------------------------------------------------------------------------------


def unrecorded(x: Any) -> bool:
    """Whether x is a plain tensor in a call of which no op need know: then it may go to its kernel at once."""
    mode = state.mode
    return x.__class__ in PLAIN and x.origin is None and (mode is NO_GRAD or mode is None and x.node is None)


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


@functools.lru_cache(4096)
def same_but(a: tuple, b: tuple, axis: int) -> bool:
    """Whether two shapes are the same but for an axis."""
    return len(a) == len(b) and a[:axis] == b[:axis] and (axis == -1 or a[axis + 1 :] == b[axis + 1 :])
