"""Scatter: entries and slices of an axis put, added, multiplied or compared at places that are listed.

One primitive, `scattered`, joins values to the entries of an axis, each at a place of its own or slice by slice.  What
meets in one place is joined in the order of the list.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..kernels import scatter as kernels
from ..kernels.gather import LONG
from ..op import Traced, op
from ..samples import shapes
from ..tensor import PLAIN, at
from . import math
from .arguments import differs, innermost_of, needs_number
from .arranging import cat_along, reshape_to, view_at, whole
from .axes import one_axis
from .base import broadcast_to as spread_to
from .base import conj, masked
from .entries import axis_of_slices, beside, flat_index, nothing, same_but, take_along, take_entries, unrecorded
from .gather import as_vector, fits_beside, whole_numbers
from .index import misplaced, suited
from .scan import recurrence
from .shape import ravel

__all__ = [
    "index_add", "index_copy", "index_fill", "index_reduce", "scatter", "scatter_add", "scatter_reduce",
]  # fmt: skip
INPLACE = ["index_add", "index_copy", "index_fill", "index_reduce", "scatter", "scatter_add", "scatter_reduce"]


SIMPLE = kernels.PUT, kernels.ADD
SMALL = 1024  # entries


# --- primitives ------------------------------------------------------------------------------------------------------


def at_places(x, index, axis, each):
    """The entries of x where those of `scattered` go."""
    return take_along(x, index, axis=axis) if each else take_entries(x, index, axes=(axis,), after=-axis - 1)


def _each_of_batch(call):
    """A batching rule for what takes x and others of its shape, values, and an index at last."""

    def batch(size, values, batched, *, axis, each, **params):
        *arrays, index = values
        arrays = whole(size, arrays, batched[:-1])
        if batched[-1] and not each:
            index, each = reshape_to(index, shape=(*index.shape, *(1,) * (-axis - 1))), True
            rank = arrays[1].ndim
            index = reshape_to(index, shape=(size, *(1,) * (rank - index.ndim), *index.shape[1:]))
        if each:
            shape = arrays[params.pop("like", 1)].shape
            index = spread_to(index, shape=shape)
        return call(*arrays, index, axis=axis, each=each, **params)

    return batch


def _ties_tangent(tangents, y, g, x, v, top, index, axis, each):
    return (None, None) if tangents[0] is None else ties(tangents[0], x, v, top, index, axis=axis, each=each)


def _ties_rule(g, x, v, top, index, axis, each):
    """The mean of the cotangents of all that equal what is in their place."""
    in_x, in_v = (p.astype(top.dtype) for p in (math.eq(x, top), math.eq(v, at_places(top, index, axis, each))))
    joined = lambda a, b: scattered(a, b, index, axis=axis, each=each, how=kernels.ADD)
    of_x, of_v = (0 * p if ct is None else masked(ct, p) for ct, p in zip(g, (in_x, in_v)))
    return joined(of_x, of_v) / math.maximum(joined(in_x, in_v), 1)


@op(
    _ties_rule,
    None,
    None,
    None,
    None,
    outputs=2,
    jvp=_ties_tangent,
    samples=[],  # which entries are equal changes with any of them: tested where it is used
    batch=lambda size, values, batched, **p: _each_of_batch(
        lambda g, v, x, top, index, **q: ties(g, x, v, top, index, **q)
    )(size, [values[k] for k in (0, 2, 1, 3, 4)], [batched[k] for k in (0, 2, 1, 3, 4)], **p),
)
def ties(g, x, v, top, index, *, axis, each):
    """The cotangent g of top, the extremes of x and of v that goes there, in equal parts to all that equal them."""
    return kernels.ties(g, x, v, top, index, axis, each)


def _others_rule(g, x, v, index, axis, each):
    """Products of others change with each other entry by the product of all but the two; products of pairs, so to say.

    Both are made of recurrences along all entries, sorted by where they meet, so that they can be differentiated again.
    """
    if differs(index):
        raise RuntimeError("reduce='prod' with an index that differs over the batch of vmap has no second gradient")
    slots = _slots(x.shape, v.shape, innermost_of(index), axis, each)
    order = np.argsort(slots, kind="stable")
    starts = np.diff(slots[order], prepend=-1) != 0
    in_order = lambda a, b: take_entries(cat_along(ravel(a), ravel(b), axis=-1), order, axes=(-1,), after=0)
    cx, cv = (0 * a if ct is None else ct for ct, a in zip(g, (x, v)))
    s, t = in_order(x, v), in_order(cx, cv)
    one = starts.astype(x.dtype)

    def products(s, t, first):
        """Of all before each entry, and how that changes along t."""
        before = lambda a: math.where(
            first, 0, cat_along(np.zeros(1, a.dtype), view_at(a, index=(slice(-1),)), axis=-1)
        )
        factors = before(s)
        p = recurrence(factors, first.astype(one.dtype), axis=-1)
        return p, recurrence(factors, before(p * t), axis=-1)

    back = lambda a: view_at(a, index=(slice(None, None, -1),))
    (p, dp), (q, dq) = products(s, t, starts), products(back(s), back(t), np.append(starts[1:], True)[::-1])
    change = take_entries(dp * back(q) + p * back(dq), np.argsort(order, kind="stable"), axes=(-1,), after=0)
    many = prod(x.shape)
    halves = view_at(change, index=(slice(many),)), view_at(change, index=(slice(many, None),))
    return reshape_to(halves[0], shape=x.shape), reshape_to(halves[1], shape=v.shape), None


def _slots(x_shape, v_shape, index, axis, each):
    """Where the entries of x and of v meet, as numbers below the size of x."""
    n = len(x_shape)
    index = np.where(index < 0, index + x_shape[axis], index)
    grid = [np.arange(m).reshape(-1, *(1,) * (n - k - 1)) for k, m in enumerate(v_shape)]
    grid[axis] = index if each else index.reshape(-1, *(1,) * (-axis - 1))
    flat = np.ravel_multi_index(np.broadcast_arrays(*grid), x_shape) if prod(v_shape) else np.zeros(0, np.int64)
    return np.concatenate([np.arange(prod(x_shape)), flat.reshape(-1)])


@op(
    together=_others_rule,
    outputs=2,
    samples=shapes("4 2, 3 2, 3:integers(-4;4)", axis=[-2], each=[False])
    + shapes("3 4, 3 5, 3 5:integers(0;4)", axis=[-1], each=[True]),
    batch=_each_of_batch(lambda *a, **p: others(*a, **p)),
)
def others(x, v, index, *, axis, each):
    """For each entry of x, and each of v that goes to one, the product of all the others that meet there."""
    return kernels.others(x, v, index, axis, each)


def _combined_rule(g, x, v, y, index, axis, each, how):
    """The cotangents of the entries and of what goes there."""
    if how == kernels.MULTIPLY:
        of_x, of_v = others(x, v, index, axis=axis, each=each)
        return masked(g, conj(of_x)), masked(at_places(g, index, axis, each), conj(of_v)), None
    return *ties(g, x, v, y, index, axis=axis, each=each), None


def _placed_rule(g, x_shape, v_shape, index, axis, each, how):
    """The same where entries are put or added: no value is looked at, so none is kept."""
    if how == kernels.ADD:
        return g, at_places(g, index, axis, each), None
    won = winners(index, shape=v_shape, length=x_shape[axis], axis=axis, each=each)
    return (
        scattered(g, nothing(v_shape, g), index, axis=axis, each=each, how=how),
        masked(at_places(g, index, axis, each), won),
        None,
    )


def _scattered_tangent(tangents, y, x, v, index, axis, each, how):
    """How the result changes with entries and values."""
    dx, dv = (nothing(a.shape, y) if t is None else t for t, a in zip(tangents, (x, v)))
    if how == kernels.PUT or how == kernels.ADD:
        return scattered(dx, dv, index, axis=axis, each=each, how=how)
    joined = lambda a, b: scattered(a, b, index, axis=axis, each=each, how=kernels.ADD)
    if how == kernels.MULTIPLY:
        of_x, of_v = others(x, v, index, axis=axis, each=each)
        return joined(masked(dx, of_x), masked(dv, of_v))
    return _ties_rule((dx, dv), x, v, y, index, axis, each)


def _winners_batch(size, values, batched, *, shape, length, axis, each):
    index = values[0]
    if not each:
        index = reshape_to(index, shape=(size, *(1,) * (len(shape) + axis), index.shape[1], *(1,) * (-axis - 1)))
        index = spread_to(index, shape=(size, *shape))
    return winners(index, shape=(size, *shape), length=length, axis=axis, each=True)


@op(differentiable=False, batch=_winners_batch, samples=[])
def winners(index, *, shape, length, axis, each):
    """Which of the entries that are put in places have the last word there."""
    return kernels.winners(index, shape, length, axis, each)


_MEETINGS = (
    shapes("4 2:distinct, 3 2:distinct, 3:integers(-4;4)", axis=[-2], each=[False])
    + shapes("2 4:distinct, 2 5:distinct, 2 5:integers(-4;4)", axis=[-1], each=[True])
    + shapes("3 2:distinct, 0 2, 0 2:integers(0;4)", axis=[-2], each=[True])
)


def _meetings(*hows):
    return [shapes(s.pattern, **s.params, how=list(hows)) for s in _MEETINGS]


@op(
    together=_placed_rule,
    jvp=_scattered_tangent,
    samples=_meetings("put", "add"),
    batch=_each_of_batch(lambda *a, **p: placed(*a, **p)),
    name="scatter",
)
def placed(x, v, index, *, axis, each, how):
    """x with each of v put in its place of an axis, or added to what is there: one for `each`, or for each slice."""
    return kernels.scattered(x, v, index, axis, each, how)


@op(
    together=_combined_rule,
    jvp=_scattered_tangent,
    samples=_meetings("multiply", "largest", "smallest"),
    batch=_each_of_batch(lambda *a, **p: combined(*a, **p)),
    name="scatter_reduce",
)
def combined(x, v, index, *, axis, each, how):
    """x with each of v multiplied with, or compared to, the entry at its place."""
    return kernels.scattered(x, v, index, axis, each, how)


def scattered(x, v, index, *, axis, each, how):
    """x with each of v joined, in turn, to the entry at its place of an axis."""
    return (placed if how in SIMPLE else combined)(x, v, index, axis=axis, each=each, how=how)


# --- public ----------------------------------------------------------------------------------------------------------


class Target(NamedTuple):
    """A tensor, one of no axes as a vector, the values that go into it, and where; and the shape of the result."""

    x: Any
    v: Any
    index: Any
    axis: int
    each: bool
    shape: tuple[int, ...]

    def join(self, how: str, x: Any = None, v: Any = None) -> Any:
        """x with the values joined to it."""
        own, values, index, axis, each, shape = self
        x, call = own if x is None else x, placed if how in SIMPLE else combined
        y = call(x, values if v is None else v, index, axis=axis, each=each, how=how)
        return y if y.shape == shape else reshape_to(y, shape=shape)


def at_once(x: Any, dim: Any, index: Any, v: Any, each: bool, how: str) -> Any:
    """x with v joined to it, if that is a usual call of which no op need know; else None."""
    if dim.__class__ is int and unrecorded(x) and unrecorded(index) and unrecorded(v):
        if (y := kernels.joined_at_once(x.value, v.value, index.value, dim, each, how)) is not None:
            return at(y)
    return None


def axis_of_entries(x: Any, dim: Any, index: Any, v: Any) -> int | None:
    """The axis of a usual call: plain tensors that fit as they are, with a place for each entry of v."""
    if x.__class__ in PLAIN and index.__class__ in PLAIN and v.__class__ in PLAIN and dim.__class__ is int:
        whole, places, part = x.value, index.value, v.value
        if whole.dtype is part.dtype and places.dtype is LONG and places.shape == (shape := part.shape):
            return beside(whole.shape, shape, dim)
    return None


def _scattered(x: Any, dim: Any, index: Any, src: Any, name: str) -> Target:
    """Where the entries of src go."""
    if axis := axis_of_entries(x, dim, index, src):
        return Target(x, src, index, axis, True, x.value.shape)
    index, left = whole_numbers(index, name), x.shape
    axis, places = one_axis(len(left), dim, name), index.shape
    shape, x = (left, x) if left else ((1,), reshape_to(x, shape=(1,)))
    if not isinstance(src, (Traced, np.ndarray)):
        src = suited(src, tuple(places), x.dtype, name)
    if places and src.shape == places and same_but(places, shape, axis) and src.dtype == x.dtype:
        return Target(x, src, index, axis, True, left)
    index, src = (v if v.ndim else reshape_to(v, shape=(1,)) for v in (index, src))
    fits_beside(index.shape, x.shape, axis, name, "index", "x")
    fits_beside(index.shape, src.shape, None, name, "index", "src")
    if src.shape != index.shape:
        src = view_at(src, index=tuple(map(slice, index.shape)))
    src = suited(src, tuple(index.shape), x.dtype, name)
    if same_but(index.shape, x.shape, axis):
        return Target(x, src, index, axis, True, left)
    grid = [np.arange(n).reshape(-1, *(1,) * (x.ndim - k - 1)) for k, n in enumerate(index.shape)]
    grid[axis] = index
    flat = flat_index(*grid, sizes=tuple(x.shape))
    return Target(ravel(x), ravel(src), ravel(flat), -1, False, left)


def _slices(x: Any, dim: Any, index: Any, source: Any, name: str) -> Target:
    """Where the slices of source along an axis go."""
    if axis := axis_of_slices(x, dim, index, source):
        return Target(x, source, index, axis, False, x.value.shape)
    index, left = as_vector(index, name), x.shape
    axis = one_axis(len(left), dim, name)
    shape, x = (left, x) if left else ((1,), reshape_to(x, shape=(1,)))
    wanted = (*shape[:axis], *index.shape, *(shape[axis + 1 :] if axis < -1 else ()))
    if isinstance(source, (Traced, np.ndarray)) and source.shape != wanted:
        if source.ndim or wanted != (1,):
            count = f"the {index.shape[0]} slices have shape {wanted}"
            raise ValueError(f"{name}: source has shape {tuple(source.shape)}, but {count}")
        source = reshape_to(source, shape=(1,))
    return Target(x, suited(source, wanted, x.dtype, name), index, axis, False, left)


def scatter(x, dim, index, src=None, *, value=None, reduce=None):
    """A copy of x with y[index[i, j], j] = src[i, j] for dim 0, and so on; src may be one number."""
    if (src is None) == (value is None):
        raise TypeError("scatter: needs src, a tensor or a number, or value")
    names = {None: None, "add": "sum", "multiply": "prod"}
    if reduce not in names:
        raise ValueError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}; scatter_reduce knows more")
    try:
        target = _scattered(x, dim, index, value if src is None else src, "scatter")
        return target.join(kernels.PUT) if reduce is None else reduced(target, names[reduce], True, "scatter")
    except IndexError as error:
        raise misplaced(error, "scatter", x) from None


def scatter_add(x, dim, index, src):
    """A copy of x with src[i, j] added at [index[i, j], j] for dim 0, and so on."""
    try:
        if (y := at_once(x, dim, index, src, True, kernels.ADD)) is not None:
            return y
        return _scattered(x, dim, index, src, "scatter_add").join(kernels.ADD)
    except IndexError as error:
        raise misplaced(error, "scatter_add", x) from None


def scatter_reduce(x, dim, index, src, reduce, *, include_self=True):
    """A copy of x with the sum, prod, mean, amax or amin of what src sends to each entry that index mentions."""
    try:
        how = include_self and _JOINS.get(reduce)
        if how and (y := at_once(x, dim, index, src, True, how)) is not None:
            return y
        return reduced(_scattered(x, dim, index, src, "scatter_reduce"), reduce, include_self, "scatter_reduce")
    except IndexError as error:
        raise misplaced(error, "scatter_reduce", x) from None


def index_add(x, dim, index, source, *, alpha=1):
    """A copy of x with alpha times the slices of source added to those at the places listed."""
    try:
        plain = alpha.__class__ is int and alpha == 1
        if plain and (y := at_once(x, dim, index, source, False, kernels.ADD)) is not None:
            return y
        target = _slices(x, dim, index, source, "index_add")
        return target.join(kernels.ADD, v=None if alpha == 1 else target.v * alpha)
    except IndexError as error:
        raise misplaced(error, "index_add", x) from None


def index_copy(x, dim, index, source):
    """A copy of x with the slices at the places listed replaced by those of source."""
    try:
        return _slices(x, dim, index, source, "index_copy").join(kernels.PUT)
    except IndexError as error:
        raise misplaced(error, "index_copy", x) from None


def index_fill(x, dim, index, value):
    """A copy of x with the slices at the places listed filled with one number."""
    needs_number(value, "index_fill")
    if isinstance(value, Traced):
        index = as_vector(index, "index_fill")
        axis = one_axis(x.ndim, dim, "index_fill")
        value = spread_to(
            value, shape=tuple(index.shape[0] if a == axis else n for a, n in zip(range(-x.ndim, 0), x.shape))
        )
    try:
        value = value if isinstance(value, Traced) else np.asarray(value).item()
        return _slices(x, dim, index, value, "index_fill").join(kernels.PUT)
    except IndexError as error:
        raise misplaced(error, "index_fill", x) from None


def index_reduce(x, dim, index, source, reduce, *, include_self=True):
    """A copy of x in which each slice listed is the prod, mean, amax or amin of what source sends there."""
    try:
        how = include_self and _JOINS.get(reduce)
        if how and (y := at_once(x, dim, index, source, False, how)) is not None:
            return y
        return reduced(_slices(x, dim, index, source, "index_reduce"), reduce, include_self, "index_reduce")
    except IndexError as error:
        raise misplaced(error, "index_reduce", x) from None


# --- reductions ------------------------------------------------------------------------------------------------------


def reduced(target: Target, how: str, include_self: bool, name: str) -> Any:
    """x with each addressed entry reduced with the values that go there, or replaced by their reduction."""
    if how not in NEUTRAL:
        raise ValueError(f"{name}: reduce must be one of {', '.join(NEUTRAL)}, got {how!r}")
    x = target.x
    if not include_self:
        neutral = np.asarray(NEUTRAL[how](x.dtype), x.dtype)
        x = target.join(kernels.PUT, v=np.broadcast_to(neutral, target.v.shape))
        x = x if x.shape == target.x.shape else reshape_to(x, shape=target.x.shape)
    if how == "mean":
        return _shared(target.join(kernels.ADD, x), target, include_self)
    return target.join(_JOINS[how], x)


_JOINS = {"sum": kernels.ADD, "prod": kernels.MULTIPLY, "amax": kernels.LARGEST, "amin": kernels.SMALLEST}


def _shared(total: Any, target: Target, include_self: bool) -> Any:
    """Sums divided by the number of terms."""
    dtype = total.dtype
    start, one_each = constant(target.x.shape, int(include_self), dtype), constant(target.v.shape, 1, dtype)
    count = target.join(kernels.ADD, start, one_each)
    count = count if include_self else math.maximum(count, 1)
    return math.floor_divide(total, count) if dtype.kind in "iu" else total / count


def constant(shape: tuple, number: int, dtype: np.dtype) -> np.ndarray:
    """An array of one number; small ones are kept, to be read from."""
    return (_kept if prod(shape) <= SMALL else np.full)(shape, number, dtype)


_kept = functools.lru_cache(256)(np.full)


def _least(dtype: np.dtype) -> Any:
    return -np.inf if dtype.kind in "fc" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _greatest(dtype: np.dtype) -> Any:
    return np.inf if dtype.kind in "fc" else True if dtype.kind == "b" else np.iinfo(dtype).max


NEUTRAL = {"sum": lambda t: 0, "prod": lambda t: 1, "mean": lambda t: 0, "amax": _least, "amin": _greatest}
