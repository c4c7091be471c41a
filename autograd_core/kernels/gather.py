"""Reading at places that are listed.

Arrays are taken as (outer, m, inner), in order and flat; the places are numbers below m, (outer, n, inner) of them
(one for each entry) or (n) (one for each slice).  To read is one call of a kernel, which looks whether all places are
there; for a few entries calls are what takes time.  If one is not, the call says so, and what has been made is thrown
away by whoever raises the error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from . import _memory
from ._jit import COMPILED, Kernel, Late, choice, kernel, plain
from ._sizes import LEAST
from ._steps import watchers
from ._threads import ADDRESS as POOL
from .reduce import DOUBLE, GRAIN, SINGLE, at

entries, for_chunks, move = Late("_borrowed", "entries"), Late("_native", "for_chunks"), Late("_runs", "move")
on_stack, word, set_word = Late("_pack", "on_stack"), Late("_pack", "word"), Late("_pack", "set_word")
LONG = np.dtype(np.int64)
SMALL = LEAST["gather.taken"]
FEW = 256  # runs of entries that NumPy has read before a kernel has begun


@kernel(chunks=True, written=True)
def gather(begin, end, x, index, out, bad, m, n, inner, each):
    """out[o, k, j] = x[o, index[o, k, j], j]; an item is one of the outer * n slices."""
    source, k, wrong = begin // n * m * inner, begin % n, 0
    for i in range(begin, end):
        place = i * inner
        if each:
            for j in range(inner):
                p = at(index, place + j)
                p += m if p < 0 else 0
                there = np.uint64(p) < np.uint64(m)
                wrong += 0 if there else 1
                out[np.uint64(place + j)] = at(x, source + (p if there else 0) * inner + j)
        else:
            p = at(index, k)
            p += m if p < 0 else 0
            there = np.uint64(p) < np.uint64(m)
            wrong += 0 if there else 1
            move(x, source + (p if there else 0) * inner, out, place, inner)
        k += 1
        if k == n:
            k, source = 0, source + m * inner
    if wrong > 0:
        set_word(bad, 0, 1)


@kernel(chunks=True, written=True)
def gather_lines(begin, end, x, index, out, bad, m, n, each):
    """The same where inner is 1."""
    first, wrong = begin, 0
    while first < end:
        o = first // n
        line, k = x[o * m : o * m + m], first - o * n
        count = min(n - k, end - first)
        places = index[first : first + count] if each else index[k : k + count]
        some = out[first : first + count]
        for j in range(len(some)):
            p = places[j]
            p += m if p < 0 else 0
            there = np.uint64(p) < np.uint64(m)
            wrong += 0 if there else 1
            some[j] = at(line, p if there else 0)
        first += count
    if wrong > 0:
        set_word(bad, 0, 1)


def gathering(dtype: np.dtype) -> Kernel:
    """The kernel for all of an array of a type; how many chunks came upon a place that is not there."""
    zero = dtype.type(0)

    @kernel(numbers="iaaaiiiii", name=f"gather_{dtype.char}", written=True)
    def gather_all(pool, x, index, out, outer, m, n, inner, each):
        xs, y = entries(zero, x, outer * m * inner), entries(zero, out, outer * n * inner)
        places, bad = entries(np.int64(0), index, outer * n * inner if each else n), on_stack(8)
        set_word(bad, 0, 0)
        if inner == 1:
            for_chunks(pool, gather_lines, outer * n, GRAIN // 4, (xs, places, y, bad, m, n, each))
        else:
            grain = max(GRAIN // (4 * inner), 1)
            for_chunks(pool, gather, outer * n, grain, (xs, places, y, bad, m, n, inner, each))
        return word(bad, 0)

    return gather_all


GATHER_SINGLE, GATHER_DOUBLE = gathering(SINGLE), gathering(DOUBLE)


# --- what ops call ---------------------------------------------------------------------------------------------------
#
# `axis` is one axis from the end; `each` says whether the index has the shape of the values, else it is a vector.


class Layout(NamedTuple):
    """The lengths that loops are told of, the shape of what is read, what makes room for it, and for what is written into.

    `quick` holds the axis along which NumPy reads as quickly, None for the only line, or nothing.
    """

    outer: int
    m: int
    n: int
    inner: int
    left: tuple[int, ...]
    room: Callable
    room_for_all: Callable
    quick: tuple[int | None, ...]


@functools.lru_cache(4096)
def layout(shape: tuple, places: tuple, axis: int, each: bool) -> Layout | None:
    """How to go through an array of a shape with places of an axis; None if there are no entries, or shapes differ."""
    outer, m, inner = dims(shape, axis)
    if not (prod(shape) and prod(places)) or each and (len(places) != len(shape) or not beside(places, shape, axis)):
        return None
    n, left = (places[axis], places) if each else (prod(places), (*shape[:axis], *places, *behind(shape, axis)))
    quick: tuple[int | None, ...] = () if outer * n > FEW else (axis,) if not each else (None,) * (outer * inner == 1)
    return Layout(outer, m, n, inner, left, room_for(outer * n * inner), room_for(prod(shape)), quick)


@functools.lru_cache(4096)
def layout_of_one(shape: tuple, places: tuple, axis: int) -> Layout | None:
    """The same for one place in each line, whose axis is left out."""
    last = len(places) + axis + 1
    seen = layout(shape, (*places[:last], 1, *places[last:]), axis, True)
    return seen and seen._replace(left=places)


@functools.lru_cache(4096)
def layout_at(dtype: np.dtype, shape: tuple, places: tuple, part: tuple | None, dim: int, each: bool) -> Layout | None:
    """The layout of a usual call: of floats, with a place for each entry (or slice) of a part, all of which fit as they are.

    None for others, and where so little is to be done that no kernel should have to be compiled for it.  Slices that are
    read have no part yet.
    """
    axis = dim if dim < 0 else dim - len(shape)
    if not COMPILED or not (dtype is SINGLE or dtype is DOUBLE) or not -len(shape) <= axis < 0:
        return None
    part = (*shape[:axis], *places, *behind(shape, axis)) if part is None else part
    if len(part) != len(shape) or prod(part) < SMALL or places != (part if each else (part[axis],)):
        return None
    return layout(shape, places, axis, each) if beside(part, shape, axis) else None


def room_for(entries: int) -> Callable:
    """What makes an array of so many entries."""
    return np.empty if 8 * entries < _memory.LEAST else _memory.empty


def behind(shape: tuple, axis: int) -> tuple:
    """The lengths of the axes after one."""
    return shape[axis + 1 :] if axis < -1 else ()


def beside(a: tuple, b: tuple, axis: int) -> bool:
    """Whether two shapes are the same but for an axis."""
    return a[:axis] == b[:axis] and behind(a, axis) == behind(b, axis)


def dims(shape: tuple, axis: int) -> tuple[int, int, int]:
    """How many lines there are before an axis, its length, and how many entries after it."""
    return prod(shape[:axis]), shape[axis], prod(behind(shape, axis))


def in_order(index: np.ndarray) -> np.ndarray:
    """An index of 64 bits whose entries lie in order."""
    return index if index.dtype is LONG and index.flags.carray else plain(index.astype(LONG, copy=False))


def refuse(index: np.ndarray, size: int) -> None:
    """Raise the error of an index that is out of range."""
    low, high = index.min(), index.max()
    raise IndexError(f"index {low if low < -size else high} is out of bounds for axis with size {size}")


def _taken(x, index, axis, each):
    return np.take_along_axis(x, index, axis) if each else x.take(index, axis)


@choice(
    reference=_taken,
    sample=lambda rng, n, dtype: (rng.standard_normal((n, 3)).astype(dtype), rng.integers(-n, n, (n, 3)), -2, True),
)
def taken(x, index, axis, each):
    """The entries (or slices) of an axis at places."""
    dtype = x.dtype
    if dtype is SINGLE or dtype is DOUBLE:
        if seen := layout(x.shape, index.shape, axis, each):
            return _read(x, index, seen, each)
        if x.size and index.size and x.ndim == index.ndim:
            return taken.compiled(*_spread(x, index, axis), axis, each)
    return _taken(x, index, axis, each)


def _read(x, index, seen, each):
    """What is at places of an array of floats, by its layout."""
    outer, m, n, inner, left, room, _, quick = seen
    if quick and index.dtype is LONG and not watchers:
        try:
            return x.take(index, quick[0])
        except IndexError:
            refuse(index, m)
    kernel, out = GATHER_DOUBLE if x.dtype is DOUBLE else GATHER_SINGLE, room(left, x.dtype)
    x = x if x.flags.carray else plain(x)
    places = index if index.dtype is LONG and index.flags.carray else in_order(index)
    if kernel(POOL, id(x), id(places), id(out), outer, m, n, inner, each):
        refuse(index, m)
    return out


def read_at_once(x, index, dim, each):
    """What `taken` reads, if there is nothing unusual about it; None else."""
    places = index.shape
    if index.dtype is not LONG or not (
        seen := layout_at(x.dtype, x.shape, places, places if each else None, dim, each)
    ):
        return None
    return _read(x, index, seen, each)


def read_few(x, index):
    """The few entries at places counted through all axes, by NumPy, which is quicker then; None if they are many."""
    if index.dtype is not LONG or not index.ndim or not 0 < index.size <= FEW or x.size < SMALL:
        return None
    try:
        return x.take(index)
    except IndexError:
        refuse(index, x.size)


def one_in_each(x, places, axis):
    """The entry at one place of an axis, which goes, for each entry of the others."""
    dtype = x.dtype
    if COMPILED and (dtype is SINGLE or dtype is DOUBLE) and (seen := layout_of_one(x.shape, places.shape, axis)):
        return _read(x, places, seen, True)
    last = places.ndim + axis + 1
    y = taken(x, places.reshape((*places.shape[:last], 1, *places.shape[last:])), axis, True)
    return y.reshape((*y.shape[:axis], *behind(y.shape, axis)))


def _spread(x, index, axis):
    """Both in one shape, but along an axis."""
    sizes = [[1 if k == axis else n for k, n in enumerate(a.shape, -a.ndim)] for a in (x, index)]
    shape = np.broadcast_shapes(*sizes)
    full = lambda a: [a.shape[axis] if k == axis else n for k, n in enumerate(shape, -x.ndim)]
    return np.broadcast_to(x, full(x)), np.broadcast_to(index, full(index))
