"""Sums and products over axes, in blocks: partial results of bounded length, added up block by block.

Every array is taken as (outer, n, inner), in order and flat; n is what is reduced.  Where inner is 1 these are rows,
else columns.  A block is at most BLOCK entries of a row, kept in many sums at once, or DEEP rows of columns; the
results of blocks are reduced in turn.  So no sum is longer than some hundred terms, and what threads share out are
blocks.
"""

from __future__ import annotations

from math import prod

import numpy as np

from . import _memory
from ._jit import choice, inline, kernel, plain
from .sums import LONG, add_up

BLOCK, DEEP, PIECE = (
    1 << 16,
    128,
    1024,
)  # entries of a row, rows of columns, columns: what one partial result is made of
RUN, GROUP = 2048, 8  # entries of a row that are joined as they come, and how many such runs
GRAIN = 1 << 17  # entries that a thread takes at a time
FLOATS = frozenset("fd")


# --- layout ----------------------------------------------------------------------------------------------------------


def layout(x: np.ndarray, axis: tuple) -> tuple:
    """x in order and flat, (outer, n, inner) with the axes as n, and whether all axes were read from back to front."""
    if len(axis) == x.ndim:
        if not x.flags.forc:
            x = plain(x)
        return plain(x if x.ndim == 1 else x.reshape(-1, order="A")), (1, x.size, 1), False
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


def shared_out(each: int) -> int:
    """How many items of so many entries make a chunk."""
    return max(1, GRAIN // max(each, 1))


# --- kernels ---------------------------------------------------------------------------------------------------------


@kernel(forceinline=True)
def plus(a, b):
    return a + b


@kernel(forceinline=True)
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


def reducing(name: str, term, join, start: int) -> tuple:
    """Kernels for rows and for columns: join the terms of each block, and divide by a number."""

    @kernel(chunks=True, name=f"{name}_rows")
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

    @kernel(chunks=True, name=f"{name}_columns")
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

    return rows, columns


SUMS = reducing("sum", itself, plus, 0)
PRODUCTS = reducing("prod", itself, times, 1)
SIZES = reducing("absolute_sum", size_of, plus, 0)
SQUARES = reducing("square_sum", square_of, plus, 0)


def reduced(x: np.ndarray, dims: tuple, out: np.ndarray, first: tuple, then: tuple, divisor: float = 1) -> None:
    """Reduce x (outer, n, inner) into out (outer, inner): blocks by the first kernels, their results by the others."""
    outer, n, inner = dims
    if out.size == 0:
        return
    if inner == 1:
        blocks = -(-n // BLOCK) or 1
        y = out if blocks == 1 else _memory.empty((outer * blocks,), x.dtype)
        first[0](outer * blocks, shared_out(min(n, BLOCK)), x, y, n, BLOCK, blocks, divisor if blocks == 1 else 1)
    elif inner < 32 and n >= 256 and x.size > 1 << 14:
        return _folded(x, dims, out, first, then, divisor, 64 // inner)
    else:
        blocks = -(-n // DEEP) or 1
        y = out if blocks == 1 else _memory.empty((outer * blocks * inner,), x.dtype)
        items, each = outer * blocks * -(-inner // PIECE), min(n, DEEP) * min(inner, PIECE)
        first[1](items, shared_out(each), x, y, n, inner, DEEP, blocks, PIECE, divisor if blocks == 1 else 1)
    if blocks > 1:
        reduced(y, (outer, blocks, inner), out, then, then, divisor)


def _folded(x, dims, out, first, then, divisor, times_over) -> None:
    """Few columns: several rows are taken as one, so that there are enough columns, which are then reduced in turn."""
    outer, n, inner = dims
    whole = n // times_over
    rest = n - whole * times_over
    y = _memory.empty((outer, times_over + (rest > 0), inner), x.dtype)
    cube = x.reshape(outer, n, inner)
    head = (
        x
        if not rest
        else np.ascontiguousarray(cube[:, : n - rest]).reshape(-1)
        if outer > 1
        else x[: (n - rest) * inner]
    )
    z = y if not rest else _memory.empty((outer, times_over, inner), x.dtype)
    reduced(head, (outer, whole, times_over * inner), z.reshape(-1), first, then)
    if rest:
        y[:, :times_over] = z
        tail = _memory.empty((outer, inner), x.dtype)
        reduced(
            np.ascontiguousarray(cube[:, n - rest :]).reshape(-1), (outer, rest, inner), tail.reshape(-1), first, then
        )
        y[:, times_over] = tail
    reduced(y.reshape(-1), (outer, y.shape[1], inner), out, then, then, divisor)


def _over(x: np.ndarray, axis: tuple, keepdims: bool, first: tuple, then: tuple, divisor: float = 1) -> np.ndarray:
    if len(axis) == x.ndim and x.size <= BLOCK and not keepdims and x.flags.carray:  # the same, without detours
        y = np.empty((), x.dtype)
        first[0](1, 1, x if x.ndim == 1 else x.reshape(-1), y.reshape(1), x.size, BLOCK, 1, divisor)
        return y
    flat, dims, back = layout(x, axis)
    y, out = result(x, axis, back)
    reduced(flat, dims, out, first, then, divisor)
    return without(y, axis, keepdims)


# --- what ops call ---------------------------------------------------------------------------------------------------


def _sum(x, axis, keepdims=False):
    precise = x.size > LONG or x.dtype.char == "e"
    return add_up(x, axis, keepdims) if precise else np.add.reduce(x, axis=axis, keepdims=keepdims)


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


@choice(reference=_sum, sample=_rows)
def total(x, axis, keepdims=False):
    """The sum over some axes, counted from the end."""
    if x.dtype.char not in FLOATS or not axis:
        return _sum(x, axis, keepdims)
    return _over(x, axis, keepdims, SUMS, SUMS)


@choice(reference=_mean, sample=_columns)
def mean(x, axis, keepdims=False):
    """The mean over some axes."""
    if x.dtype.char not in FLOATS or not axis:
        return _mean(x, axis, keepdims)
    return _over(x, axis, keepdims, SUMS, SUMS, prod([x.shape[a] for a in axis]))


@choice(reference=_prod, sample=lambda rng, n, dtype: ((1 + rng.standard_normal(n) / 100).astype(dtype), (-1,)))
def product(x, axis, keepdims=False):
    """The product over some axes."""
    if x.dtype.char not in FLOATS or not axis:
        return _prod(x, axis, keepdims)
    return _over(x, axis, keepdims, PRODUCTS, PRODUCTS)


@choice(reference=_absolute, sample=_columns)
def absolute_sum(x, axis, keepdims=False):
    """The sum of absolute values over some axes."""
    if x.dtype.char not in FLOATS or not axis:
        return _absolute(x, axis, keepdims)
    return _over(x, axis, keepdims, SIZES, SUMS)


@choice(reference=_squares, sample=_rows)
def square_sum(x, axis, keepdims=False):
    """The sum of squares over some axes."""
    if x.dtype.char not in FLOATS or not axis:
        return _squares(x, axis, keepdims)
    return _over(x, axis, keepdims, SQUARES, SUMS)
