"""Sums and products over axes, in blocks: partial results of bounded length, added up block by block.

Every array is taken as (outer, n, inner), in order and flat; n is what is reduced.  Where inner is 1 these are rows,
else columns.  A block is at most BLOCK entries of a row, kept in many sums at once, or DEEP rows of columns; the
results of blocks are reduced in turn.  So no sum is longer than some hundred terms, and what threads share out are
blocks.  All of that is one call, since for a few entries calls are what takes time.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any, NamedTuple

import numpy as np

from . import _memory
from ._jit import SUMS as ANY_ORDER
from ._jit import Kernel, Late, choice, inline, kernel, plain
from ._steps import copy
from ._threads import ADDRESS as POOL
from .sums import LONG, add_up

blank, entries, for_chunks = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_native", "for_chunks")
BLOCK, DEEP, PIECE = 1 << 16, 128, 1024  # entries of a row, rows of columns, columns: what makes one partial result
RUN, GROUP = 2048, 8  # entries of a row that are joined as they come, and how many such runs
GRAIN = 1 << 17  # entries that a thread takes at a time; up to so many, blocks may be larger
SHARE = 1 << 15  # entries that a thread takes at a time where there are few
FLOATS = frozenset("fd")
SINGLE, DOUBLE = np.dtype("f"), np.dtype("d")


# --- layout ----------------------------------------------------------------------------------------------------------


def layout(x: np.ndarray, axis: tuple) -> tuple:
    """x in order and flat, (outer, n, inner) with the axes as n, and whether all axes were read from back to front."""
    if len(axis) == x.ndim:
        if not x.flags.forc:
            x = plain(x)
        return plain(x if x.ndim == 1 else x.reshape(-1, order="A")), (1, x.size, 1), False
    axis = tuple(sorted(axis))
    if back := not x.flags.c_contiguous and x.flags.f_contiguous:
        x, axis = x.T, tuple([-1 - x.ndim - a for a in axis[::-1]])
    first, last = axis[0] + x.ndim, axis[-1] + x.ndim + 1
    if last - first != len(axis):
        x = np.moveaxis(x, axis, range(-len(axis), 0))
        first, last = x.ndim - len(axis), x.ndim
    shape = x.shape
    dims = prod(shape[:first]), prod(shape[first:last]), prod(shape[last:])
    return plain(x).reshape(-1), dims, back


def result(x: np.ndarray, axis: tuple, back: bool, dtype: np.dtype | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Memory for what is left when axes are reduced: with these axes at length one, and flat."""
    dtype = x.dtype if dtype is None else dtype
    if len(axis) == x.ndim:
        flat = np.empty(1, dtype)
        return flat.reshape((1,) * x.ndim), flat
    shape = list(x.shape)
    for a in axis:
        shape[a] = 1
    if not back:
        y = _memory.empty(tuple(shape), dtype)
        return y, y.reshape(-1)
    y = _memory.empty(tuple(shape[::-1]), dtype)
    return y.T, y.reshape(-1)


def without(y: np.ndarray, axis: tuple, keepdims: bool) -> np.ndarray:
    """The result without the axes that were reduced, unless they are to be kept."""
    if keepdims:
        return y
    return (
        y.reshape(())
        if len(axis) == y.ndim
        else y.reshape([n for k, n in enumerate(y.shape, -y.ndim) if k not in axis])
    )


@functools.lru_cache(4096)
def view(shape: tuple, axis: tuple, keepdims: bool) -> tuple | None:
    """An array with entries in order as (outer, n, inner), the shape of what is left, and what makes room for it.

    It is None if the axes lie apart, or leave a few long columns, which have a way of their own.
    """
    axis = tuple(sorted(axis))
    if not axis or axis[-1] - axis[0] >= len(axis):
        return None
    first, last = axis[0] + len(shape), axis[-1] + len(shape) + 1
    outer, n, inner = prod(shape[:first]), prod(shape[first:last]), prod(shape[last:])
    left = (*shape[:first], *(1,) * (len(axis) if keepdims else 0), *shape[last:])
    room = np.empty if 8 * outer * inner < _memory.LEAST else _memory.empty
    return None if narrow(n, inner, prod(shape)) else (outer, n, inner, left, room)


def narrow(n: int, inner: int, size: int) -> bool:
    """Whether there are so few columns that several rows are better taken as one."""
    return 1 < inner < 32 and n >= 256 and size > 1 << 14


def shared_out(each: int) -> int:
    """How many items of so many entries make a chunk."""
    return max(1, GRAIN // max(each, 1))


# --- kernels ---------------------------------------------------------------------------------------------------------


@inline(fastmath=ANY_ORDER)
def plus(a, b):
    return a + b


@inline(fastmath=ANY_ORDER)
def times(a, b):
    return a * b


@inline
def at(x, i):
    """x[i] for i that is not negative, which need not be looked at; taking slices in a loop would count references."""
    return x[np.uint64(i)]


@inline
def itself(v):
    return v


@inline
def size_of(v):
    return abs(v)


@inline
def square_of(v):
    return v * v


Pair = tuple[Kernel, Kernel]


class Way(NamedTuple):
    """Kernels that reduce rows and columns, and those for all of an array of a type."""

    rows: Kernel
    columns: Kernel
    single: Pair
    double: Pair

    def of(self, dtype: np.dtype) -> Any:
        """The kernels for all of an array of a type, if there are such: the second if `inner` is not 1."""
        return self.single if dtype is SINGLE else self.double if dtype is DOUBLE else None


def reducing(name: str, term, join, start: int, then: tuple = ()) -> Way:
    """Kernels that join the terms of each block, and divide by a number; results of blocks are joined as by `then`."""

    @kernel(chunks=True, name=f"{name}_rows", written=True)
    def rows(begin, end, x, out, n, block, blocks, divisor):
        """out (rows, blocks) of x (rows, n)."""
        divide, scale = divisor != 1, x.dtype.type(divisor)
        if n <= RUN:
            for i in range(begin, end):
                total = x.dtype.type(start)
                for k in range(n):
                    total = join(total, term(at(x, i * n + k)))
                out[i] = total / scale if divide else total
            return
        for i in range(begin, end):
            row = i // blocks
            low = row * n + (i - row * blocks) * block
            high = min(low + block, row * n + n)
            total = x.dtype.type(start)
            for group in range(low, high, GROUP * RUN):
                several = x.dtype.type(start)
                for first in range(group, min(group + GROUP * RUN, high), RUN):
                    some = x.dtype.type(start)
                    for k in range(min(RUN, high - first)):
                        some = join(some, term(at(x, first + k)))
                    several = join(several, some)
                total = join(total, several)
            out[i] = total / scale if divide else total

    @kernel(chunks=True, name=f"{name}_columns", written=True)
    def columns(begin, end, x, out, n, inner, block, blocks, piece, divisor):
        """out (outer, blocks, inner) of x (outer, n, inner); an item is a piece of the columns of a block."""
        pieces = (inner + piece - 1) // piece
        scale = x.dtype.type(divisor)
        for i in range(begin, end):
            spot, left = i // pieces, (i % pieces) * piece
            low, wide = (spot % blocks) * block, min(piece, inner - left)
            y = out[spot * inner + left : spot * inner + left + wide]
            y[:] = x.dtype.type(start)
            place, rows = (spot // blocks * n + low) * inner + left, min(block, n - low)
            for _ in range(rows // 4):
                for j in range(wide):
                    a, b = at(x, place + j), at(x, place + inner + j)
                    c, d = at(x, place + 2 * inner + j), at(x, place + 3 * inner + j)
                    y[j] = join(y[j], join(join(term(a), term(b)), join(term(c), term(d))))
                place += 4 * inner
            for _ in range(rows % 4):
                for j in range(wide):
                    y[j] = join(y[j], term(at(x, place + j)))
                place += inner
            if divisor != 1:
                for j in range(wide):
                    y[j] /= scale

    return way(name, rows, columns, then[:2] or (rows, columns))


def way(name: str, rows: Kernel, columns: Kernel, then: tuple, root: bool = False) -> Way:
    """A way to reduce whole arrays by kernels for blocks, then by others for their results; and to take roots then."""
    return Way(rows, columns, *(in_one_call(name, rows, columns, then, root, dtype) for dtype in (SINGLE, DOUBLE)))


def in_one_call(name: str, rows: Kernel, columns: Kernel, then: tuple, root: bool, dtype: np.dtype) -> Pair:
    """Kernels for all of an array of a type: of rows, and of columns, of which most programs need one kind only."""
    zero, (rows_then, columns_then, *_), char = dtype.type(0), then, dtype.char

    @kernel(name=f"{name}_{char}_after", written=True)
    def finish(y, scale):
        """Signs are turned round where the scale is negative; roots are taken."""
        if scale < 0:
            for i in range(len(y)):
                y[i] = -y[i]
        if root:
            for i in range(len(y)):
                y[i] = np.sqrt(y[i])

    @kernel(numbers="iaaiiidd", name=f"{name}_{char}", written=True)
    def of_rows(pool, x, out, outer, n, inner, scale, after):
        """out (outer) of x (outer, n), given as records; `scale` and `after` are for the two kernels."""
        xs, y = entries(zero, x, outer * n), entries(zero, out, outer)
        size, both = outer * n, scale * after
        if size <= SHARE or outer == 1 and size <= GRAIN:
            rows(0, outer, xs, y, n, n, 1, both)
        else:
            blocks = (n + BLOCK - 1) // BLOCK if size > GRAIN else 1
            grain = max((SHARE if size <= 8 * GRAIN else GRAIN) // min(n, BLOCK), 1)
            if blocks == 1:
                for_chunks(pool, rows, outer, grain, (xs, y, n, n, 1, both))
            else:
                part = blank(zero, outer * blocks)
                for_chunks(pool, rows, outer * blocks, grain, (xs, part, n, BLOCK, blocks, scale))
                rows_then(0, outer, part, y, blocks, blocks, 1, after)
        finish(y, scale)

    @kernel(numbers="iaaiiidd", name=f"{name}_columns_{char}", written=True)
    def of_columns(pool, x, out, outer, n, inner, scale, after):
        """out (outer, inner) of x (outer, n, inner), in the same way."""
        size, pieces = outer * n * inner, (inner + PIECE - 1) // PIECE
        xs, y = entries(zero, x, size), entries(zero, out, outer * inner)
        share = SHARE if size <= 8 * GRAIN else GRAIN
        if n <= DEEP or size <= GRAIN and n <= 4 * DEEP:
            grain = max(share // max(n * min(inner, PIECE), 1), 1)
            for_chunks(pool, columns, outer * pieces, grain, (xs, y, n, inner, n, 1, PIECE, scale * after))
        else:
            blocks = (n + DEEP - 1) // DEEP
            part, grain = blank(zero, outer * blocks * inner), max(share // (DEEP * min(inner, PIECE)), 1)
            for_chunks(pool, columns, outer * blocks * pieces, grain, (xs, part, n, inner, DEEP, blocks, PIECE, scale))
            columns_then(0, outer * pieces, part, y, blocks, inner, blocks, 1, PIECE, after)
        finish(y, scale)

    return of_rows, of_columns


SUMS = reducing("sum", itself, plus, 0)
PRODUCTS = reducing("prod", itself, times, 1)
SIZES = reducing("absolute_sum", size_of, plus, 0, SUMS)
SQUARES = reducing("square_sum", square_of, plus, 0, SUMS)
NORMS = way("norm", SQUARES.rows, SQUARES.columns, SUMS, root=True)


def reduced(x: np.ndarray, dims: tuple, out: np.ndarray, kernel: Pair, then: Pair, after: float, scale=1.0) -> None:
    """Reduce x (outer, n, inner) into out (outer, inner), both in order."""
    outer, n, inner = dims
    if narrow(n, inner, x.size):
        _folded(x, dims, out, kernel, then, after, scale)
    else:
        kernel[inner != 1](POOL, id(x), id(out), outer, n, inner, scale, after)


def _folded(x, dims, out, kernel, then, after, scale) -> None:
    """Few columns: several rows are taken as one, so that there are enough columns, which are then reduced in turn."""
    outer, n, inner = dims
    times_over = 64 // inner
    whole = n // times_over
    rest = n - whole * times_over
    y = _memory.empty((outer, times_over + (rest > 0), inner), x.dtype)
    cube = x.reshape(outer, n, inner)
    ordered = lambda part: plain(part).reshape(-1)
    head = x if not rest else ordered(cube[:, : n - rest]) if outer > 1 else x[: (n - rest) * inner]
    z = y if not rest else _memory.empty((outer, times_over, inner), x.dtype)
    reduced(head, (outer, whole, times_over * inner), z, kernel, then, 1, scale)
    if rest:
        tail = _memory.empty((outer, inner), x.dtype)
        reduced(ordered(cube[:, n - rest :]), (outer, rest, inner), tail, kernel, then, 1, scale)
        copy(z, y[:, :times_over])
        copy(tail, y[:, times_over])
    reduced(y, (outer, y.shape[1], inner), out, then, then, after)


def reduction(reference, first: Way, then: Way, mean: bool = False, root: bool = False):
    """A function of an array and axes counted from the end: blocks by the first kernels, their results by the others."""
    single, double = first.single, first.double

    def reduced_over(x, axis, keepdims=False):
        dtype = x.dtype
        kernel = single if dtype is SINGLE else double if dtype is DOUBLE else None
        if kernel is None or not axis:
            return reference(x, axis, keepdims)
        if x.flags.carray and (seen := view(x.shape, axis, keepdims)):
            outer, n, inner, left, room = seen
            y = room(left, dtype)
            kernel[inner != 1](POOL, id(x), id(y), outer, n, inner, 1.0, n if mean else 1.0)
            return y
        flat, dims, back = layout(x, axis)
        y, out = result(x, axis, back)
        plain_way = (SQUARES if root else first).of(dtype)
        reduced(flat, dims, out, plain_way, then.of(dtype), dims[1] if mean else 1.0)
        return without(np.sqrt(y, y) if root else y, axis, keepdims)

    return reduced_over


# --- what ops call ---------------------------------------------------------------------------------------------------


def _sum(x, axis, keepdims=False):
    if x.size > LONG or x.dtype.char == "e":
        y = add_up(x, axis, keepdims)
    else:
        y = np.add.reduce(x, axis=axis, keepdims=keepdims)
    return y.astype(np.int64) if y.dtype.kind == "u" else y


def _mean(x, axis, keepdims=False):
    if x.dtype.char == "e":
        with np.errstate(over="ignore"):
            return _mean(x.astype(np.float32), axis, keepdims).astype(x.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        y = _sum(x, axis, keepdims)
        return np.divide(y, prod([x.shape[a] for a in axis]), dtype=y.dtype)


def _prod(x, axis, keepdims=False):
    return np.multiply.reduce(x, axis=axis, keepdims=keepdims)


def _absolute(x, axis, keepdims=False):
    return add_up(np.abs(x), axis, keepdims)


def _squares(x, axis, keepdims=False):
    return add_up(x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x, axis, keepdims)


def _rows(rng, n, dtype):
    return rng.standard_normal((max(n // 64, 1), 64)).astype(dtype), (-1,)


def _columns(rng, n, dtype):
    return rng.standard_normal((max(n // 64, 1), 64)).astype(dtype), (-2,)


def _norm(x, axis, keepdims=False):
    return np.sqrt(_squares(x, axis, keepdims))


def _nearly_one(rng, n, dtype):
    return (1 + rng.standard_normal(n) / 100).astype(dtype), (-1,)


total = choice(reference=_sum, sample=_rows, name="total")(reduction(_sum, SUMS, SUMS))
mean = choice(reference=_mean, sample=_columns, name="mean")(reduction(_mean, SUMS, SUMS, True))
product = choice(reference=_prod, sample=_nearly_one, name="product")(reduction(_prod, PRODUCTS, PRODUCTS))
absolute_sum = choice(reference=_absolute, sample=_columns, name="absolute_sum")(reduction(_absolute, SIZES, SUMS))
square_sum = choice(reference=_squares, sample=_rows, name="square_sum")(reduction(_squares, SQUARES, SUMS))
norm = choice(reference=_norm, sample=_columns, name="norm")(reduction(_norm, NORMS, SUMS, root=True))
