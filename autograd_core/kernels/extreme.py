"""Largest and smallest entries over axes, their places, and how their gradient is shared.  NaN counts as largest.

Layouts as in `reduce`.  Smallest entries are the largest with all signs changed: `sign` is 1 or -1.
"""

from __future__ import annotations

import numpy as np

from . import _memory
from ._jit import Kernel, Late, choice, kernel, plain

# fmt: off
from .reduce import (
    DOUBLE,
    FLOATS,
    GRAIN,
    PIECE,
    POOL,
    SINGLE,
    at,
    layout,
    reduced,
    result,
    shared_out,
    view,
    way,
    without,
)

# fmt: on

WHOLE = 64  # entries that are compared at a time
entries, greatest = Late("_borrowed", "entries"), Late("_order", "greatest")


@kernel(chunks=True)
def max_rows(begin, end, x, out, n, block, blocks, sign):
    """out (rows, blocks): the largest sign * x of each block of rows of x (rows, n)."""
    scale = x.dtype.type(sign)
    for i in range(begin, end):
        row = i if blocks == 1 else i // blocks
        low = row * n + (i - row * blocks) * block
        top, count = x.dtype.type(-np.inf), min(block, row * n + n - low)
        half = (count + 2 * WHOLE - 1) // (2 * WHOLE) * WHOLE
        if count < WHOLE:
            for k in range(count):
                top = greatest(top, scale * at(x, low + k))
        else:  # both halves at a time, some entries twice, rather than the last ones one by one
            for k in range(half):
                pair = greatest(scale * at(x, low + k), scale * at(x, low + count - half + k))
                top = greatest(top, pair)
        out[i] = top


@kernel(chunks=True)
def max_columns(begin, end, x, out, n, inner, block, blocks, piece, sign):
    """out (outer, blocks, inner) of x (outer, n, inner); an item is a piece of the columns of a block."""
    pieces, scale = (inner + piece - 1) // piece, x.dtype.type(sign)
    for i in range(begin, end):
        spot, left = i // pieces, (i % pieces) * piece
        low, wide = (spot % blocks) * block, min(piece, inner - left)
        y = out[spot * inner + left : spot * inner + left + wide]
        y[:] = x.dtype.type(-np.inf)
        place = (spot // blocks * n + low) * inner + left
        for _ in range(min(block, n - low)):
            for j in range(wide):
                y[j] = greatest(y[j], scale * at(x, place + j))
            place += inner


_, _, MAX_SINGLE, MAX_DOUBLE = way("max", max_rows, max_columns, (max_rows, max_columns))


@kernel(chunks=True)
def place_columns(begin, end, x, out, n, inner, piece, sign):
    """out (outer, inner): where along n the first largest sign * x is, or the first NaN."""
    pieces, scale = (inner + piece - 1) // piece, x.dtype.type(sign)
    best, where = np.empty(piece, x.dtype), np.empty(piece, np.int32)
    for i in range(begin, end):
        spot, left = i // pieces, (i % pieces) * piece
        wide, place = min(piece, inner - left), spot * n * inner + left
        for j in range(wide):
            best[j], where[j] = scale * at(x, place + j), 0
        for k in range(1, n):
            place += inner
            k32 = np.int32(k)
            for j in range(wide):
                v, b = scale * at(x, place + j), best[j]
                new = (v > b) | ((v != v) & (b == b))
                best[j] = v if new else b
                where[j] = k32 if new else where[j]
        y = out[spot * inner + left : spot * inner + left + wide]
        for j in range(wide):
            y[j] = where[j]


def placing(dtype: np.dtype) -> Kernel:
    """A kernel for the places in columns of a small array of a type."""
    zero = dtype.type(0)

    @kernel(numbers="aaiiid", name=f"place_{dtype.char}")
    def places(x, out, outer, n, inner, sign):
        """out (outer, inner): where along n the first largest sign * x (outer, n, inner) is, or the first NaN."""
        xs, y = entries(zero, x, outer * n * inner), entries(np.int64(0), out, outer * inner)
        place_columns(0, outer * ((inner + PIECE - 1) // PIECE), xs, y, n, inner, PIECE, sign)

    return places


PLACE_SINGLE, PLACE_DOUBLE = placing(SINGLE), placing(DOUBLE)


@kernel(chunks=True)
def share_rows(begin, end, g, x, y, out, n):
    """out = g / (how many of the row equal y) where x equals y, else 0; g and y (rows), x and out (rows, n)."""
    zero = x.dtype.type(0)
    for i in range(begin, end):
        top, count = y[i], 0
        nan = top != top
        for k in range(n):
            v = at(x, i * n + k)
            count += (v == top) | (nan & (v != v))
        part = g[i] / x.dtype.type(count)
        for k in range(n):
            v = at(x, i * n + k)
            out[np.uint64(i * n + k)] = part if (v == top) | (nan & (v != v)) else zero


@kernel(chunks=True)
def share_columns(begin, end, g, x, y, out, n, inner, piece):
    """The same for g and y (outer, inner), x and out (outer, n, inner)."""
    pieces, zero = (inner + piece - 1) // piece, x.dtype.type(0)
    count = np.empty(piece, x.dtype)
    for i in range(begin, end):
        spot, left = i // pieces, (i % pieces) * piece
        wide, flat, place = min(piece, inner - left), spot * inner + left, spot * n * inner + left
        count[:] = zero
        for k in range(n):
            for j in range(wide):
                v, top = at(x, place + k * inner + j), at(y, flat + j)
                count[j] += (v == top) | ((v != v) & (top != top))
        for j in range(wide):
            count[j] = at(g, flat + j) / count[j]
        for k in range(n):
            for j in range(wide):
                v, top = at(x, place + k * inner + j), at(y, flat + j)
                same = (v == top) | ((v != v) & (top != top))
                out[np.uint64(place + k * inner + j)] = count[j] if same else zero


# --- what ops call ---------------------------------------------------------------------------------------------------


def _in_order(x: np.ndarray) -> None:
    """Refuse complex numbers, which NumPy compares nevertheless."""
    if x.dtype.kind == "c":
        raise TypeError("complex numbers have no order")


def _most(x, axis, sign, keepdims=False):
    _in_order(x)
    return (np.maximum if sign > 0 else np.minimum).reduce(x, axis=axis, keepdims=keepdims)


def _place(x, axis, sign, keepdims=True):
    _in_order(x)
    if len(axis) != 1:
        x = x.reshape(*x.shape[: x.ndim - len(axis)], -1)
    y = (x.argmax if sign > 0 else x.argmin)(axis[0] if len(axis) == 1 else -1, keepdims=keepdims)
    return y.reshape((*y.shape[:-1], *(1,) * len(axis))) if keepdims and len(axis) != 1 else y


def _shares(g, x, y, axis):
    """g and y with the axes at length one."""
    same = (x == y) | ((x != x) & (y != y))
    with np.errstate(all="ignore"):
        part = g / np.add.reduce(same, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(same, part, np.zeros((), part.dtype))


def _sample(rng, n, dtype):
    return rng.standard_normal((max(n // 64, 1), 64)).astype(dtype)


@choice(reference=_most, sample=lambda *a: (_sample(*a), (-1,), 1))
def most(x, axis, sign, keepdims=False):
    """The largest entry over some axes, or with sign=-1 the smallest."""
    dtype = x.dtype
    kernel = MAX_SINGLE if dtype is SINGLE else MAX_DOUBLE if dtype is DOUBLE else None
    if kernel is None or not axis or not x.size:
        return _most(x, axis, sign, keepdims)
    if x.flags.carray and (seen := view(x.shape, axis, keepdims)):
        outer, n, inner, left, room = seen
        y = room(left, dtype)
        kernel[inner != 1](POOL, id(x), id(y), outer, n, inner, sign, 1)
        return y
    flat, dims, back = layout(x, axis)
    y, out = result(x, axis, back)
    reduced(flat, dims, out, kernel, kernel, 1, sign)
    return without(y, axis, keepdims)


@choice(reference=_place, sample=lambda *a: (_sample(*a), (-2,), 1))
def place(x, axis, sign, keepdims=True):
    """Where along an axis, or along all of the last, the first largest (smallest) entry is, or the first NaN."""
    dtype = x.dtype
    kernel = PLACE_SINGLE if dtype is SINGLE else PLACE_DOUBLE if dtype is DOUBLE else None
    if kernel is None or x.size == 0 or not axis or x.flags.c_contiguous and axis[0] == -len(axis):
        return _place(x, axis, sign, keepdims)  # places in rows are found by NumPy in a fifth of the time of columns
    if x.size <= GRAIN and (seen := view(x.shape, axis, keepdims)):
        outer, n, inner, left, room = seen
        x, y = x if x.flags.carray else plain(x), room(left, np.int64)
        kernel(id(x), id(y), outer, n, inner, sign)
        return y
    flat, (outer, n, inner), back = layout(x, axis)
    if inner < 16:
        rows = flat.reshape(outer, n, inner).swapaxes(1, 2) if inner > 1 else flat.reshape(outer, n)
        y = (np.argmax if sign > 0 else np.argmin)(rows, -1)
        shape = [1 if a in axis else m for a, m in enumerate(x.shape, -x.ndim)]
        y = y.reshape(shape[::-1]).T if back else y.reshape(shape)
        return without(y, axis, keepdims)
    y, out = result(x, axis, back, np.dtype(np.int64))
    piece = min(PIECE, max(64, inner // 8))
    place_columns(outer * -(-inner // piece), shared_out(n * min(inner, piece)), flat, out, n, inner, piece, sign)
    return without(y, axis, keepdims)


@choice(
    reference=_shares,
    size=lambda g, x, *rest: x.size,
    sample=lambda *a: (np.ones((len(x := _sample(*a)), 1), x.dtype), x, x.max(-1, keepdims=True), (-1,)),
)
def shares(g, x, y, axis):
    """The cotangent g of the chosen value y, in equal parts to all entries of x that have that value."""
    if not g.dtype == x.dtype == y.dtype or x.dtype.char not in FLOATS or not axis or x.size == 0:
        return _shares(g, x, y, axis)
    if not x.flags.c_contiguous:
        x = plain(x)
    flat, (outer, n, inner), _ = layout(x, axis)
    if len(axis) > 1 and len(axis) < x.ndim and axis[-1] - axis[0] >= len(axis):
        return _shares(g, x, y, axis)
    out = _memory.empty(x.shape, x.dtype)
    g, y, into = plain(g).reshape(-1), plain(y).reshape(-1), out.reshape(-1)
    if inner == 1:
        share_rows(outer, shared_out(2 * n), g, flat, y, into, n)
    else:
        items, each = outer * -(-inner // PIECE), 2 * n * min(inner, PIECE)
        share_columns(items, shared_out(each), g, flat, y, into, n, inner, PIECE)
    return out
