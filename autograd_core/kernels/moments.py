"""Variances over axes, in one pass over memory, and the gradient.

A block of entries is gone through twice while it is in the cache: for its mean, then for the squares of what deviates
from it.  Blocks are put together by means and squares of deviations alike, so nothing large is ever subtracted; equal
entries have a variance of exactly 0, since all are seen from the first.
"""

from __future__ import annotations

from math import nan, prod

import numpy as np

from . import _memory
from ._jit import Kernel, Late, choice, kernel, plain
from .reduce import DOUBLE, FLOATS, GRAIN, PIECE, POOL, SINGLE, at, layout, result, shared_out, view, without
from .sums import add_up

blank, entries, for_chunks = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_native", "for_chunks")
SPAN, DEEP = 4096, 64  # entries of a row, rows of columns that make a block


@kernel(chunks=True, written=True)
def moment_rows(begin, end, x, mean, square, n, block, blocks):
    """mean and square (rows, blocks) of x (rows, n): means and sums of squared deviations of blocks."""
    zero = x.dtype.type(0)
    for i in range(begin, end):
        row = i // blocks
        low = row * n + (i - row * blocks) * block
        count = min(low + block, row * n + n) - low
        first, total = at(x, low), zero
        for k in range(count):
            total += at(x, low + k) - first
        away = total / x.dtype.type(count)
        squares = zero
        for k in range(count):
            d = (at(x, low + k) - first) - away
            squares += d * d
        mean[i], square[i] = first + away, squares


@kernel(chunks=True, written=True)
def moment_columns(begin, end, x, mean, square, n, inner, block, blocks, piece):
    """mean and square (outer, blocks, inner) of x (outer, n, inner)."""
    pieces = (inner + piece - 1) // piece
    for i in range(begin, end):
        spot, left = i // pieces, (i % pieces) * piece
        low, wide = (spot % blocks) * block, min(piece, inner - left)
        m = mean[spot * inner + left : spot * inner + left + wide]
        s = square[spot * inner + left : spot * inner + left + wide]
        m[:] = x.dtype.type(0)
        s[:] = x.dtype.type(0)
        start, rows = (spot // blocks * n + low) * inner + left, min(block, n - low)
        count = x.dtype.type(rows)
        for k in range(1, rows):
            for j in range(wide):
                m[j] += at(x, start + k * inner + j) - at(x, start + j)
        for j in range(wide):
            m[j] /= count
        for k in range(rows):
            for j in range(wide):
                d = (at(x, start + k * inner + j) - at(x, start + j)) - m[j]
                s[j] += d * d
        for j in range(wide):
            m[j] += at(x, start + j)


@kernel(chunks=True, written=True)
def together(begin, end, mean, square, n, inner, block, blocks, divisor, root, means, out):
    """means and out (outer, inner): the means, and sums of squares over a divisor (or their roots), of all blocks."""
    zero = mean.dtype.type(0)
    length, whole, scale = mean.dtype.type(block), mean.dtype.type(n), mean.dtype.type(divisor)
    short = mean.dtype.type(n - (blocks - 1) * block)
    for i in range(begin, end):
        o = i // inner
        base = o * blocks * inner + i - o * inner
        first, total = at(mean, base), zero
        for b in range(blocks):
            total += (at(mean, base + b * inner) - first) * (short if b == blocks - 1 else length)
        away = total / whole
        squares = zero
        for b in range(blocks):
            d = (at(mean, base + b * inner) - first) - away
            squares += at(square, base + b * inner) + d * d * (short if b == blocks - 1 else length)
        means[i] = first + away
        y = squares / scale
        out[i] = np.sqrt(y) if root else y


@kernel(chunks=True, written=True)
def pull_rows(begin, end, g, x, mean, out, n, scale):
    """out = g * scale * (x - mean); g and mean (rows), x and out (rows, n)."""
    for i in range(begin, end):
        factor, centre = g[i] * x.dtype.type(scale), mean[i]
        for k in range(n):
            out[np.uint64(i * n + k)] = factor * (at(x, i * n + k) - centre)


@kernel(chunks=True, written=True)
def pull_columns(begin, end, g, x, mean, out, n, inner, scale):
    """The same for g and mean (outer, inner), x and out (outer, n, inner); an item is one of the outer * n."""
    factor = x.dtype.type(scale)
    for i in range(begin, end):
        spot, place = i // n * inner, i * inner
        for j in range(inner):
            d = at(x, place + j) - at(mean, spot + j)
            out[np.uint64(place + j)] = at(g, spot + j) * factor * d


# --- what ops call ---------------------------------------------------------------------------------------------------


def _first(x, axis):
    return x[tuple(slice(0, 1) if a in axis else slice(None) for a in range(-x.ndim, 0))]


def centred(x: np.ndarray, axis: tuple) -> np.ndarray:
    """x minus its mean over some axes: exactly 0 where all entries are equal."""
    if x.size == 0:
        return np.array(x)
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.asarray(x - _first(x, axis))
        away -= add_up(away, axis, True) / prod([x.shape[a] for a in axis])
    return away


def _variance(x, axis, divisor, root=False, keepdims=False):
    d = centred(x, axis)
    with np.errstate(all="ignore"):
        y = add_up(d * d, axis, keepdims)
        y = np.divide(y, divisor, dtype=y.dtype) if divisor or x.size else y * nan
        return np.sqrt(y) if root else y


def _pull(g, x, axis, scale):
    with np.errstate(all="ignore"):
        return g * x.dtype.type(scale) * centred(x, axis)


def _sample(rng, n, dtype):
    return (1000 + rng.standard_normal((max(n // 64, 1), 64))).astype(dtype)


def whole(dtype: np.dtype) -> Kernel:
    """A kernel for the moments of an array of a type."""
    zero = dtype.type(0)

    @kernel(numbers="iaaaiiidi", name=f"moments_{dtype.char}", written=True)
    def moments(pool, x, means, out, outer, n, inner, divisor, root):
        """means and out (outer, inner) of x (outer, n, inner), given as records: means; squares over a divisor, or roots."""
        xs, count = entries(zero, x, outer * n * inner), outer * inner
        m, y = entries(zero, means, count), entries(zero, out, count)
        block = SPAN if inner == 1 else DEEP
        blocks, pieces = (n + block - 1) // block, (inner + PIECE - 1) // PIECE
        mean, square = blank(zero, count * blocks), blank(zero, count * blocks)
        each, items = min(n, block) * min(inner, PIECE), outer * blocks * pieces
        grain = max(GRAIN // max(each, 1), 1)
        if inner == 1:
            for_chunks(pool, moment_rows, items, grain, (xs, mean, square, n, block, blocks))
        else:
            for_chunks(pool, moment_columns, items, grain, (xs, mean, square, n, inner, block, blocks, PIECE))
        last = (mean, square, n, inner, block, blocks, divisor, root, m, y)
        for_chunks(pool, together, count, max(GRAIN // (4 * blocks), 1), last)

    return moments


MOMENTS = {SINGLE: whole(SINGLE), DOUBLE: whole(DOUBLE)}


def moments(flat, dims, divisor, root, means, out):
    """Means and variances of x (outer, n, inner), both (outer, inner)."""
    MOMENTS[flat.dtype](POOL, id(flat), id(means), id(out), *dims, divisor, root)


@choice(reference=_variance, sample=lambda *a: (_sample(*a), (-1,), 63))
def variance(x, axis, divisor, root=False, keepdims=False):
    """Squared deviations from the mean over some axes, added up and divided; or the root of that."""
    dtype = x.dtype
    kernel = MOMENTS[dtype] if dtype is SINGLE or dtype is DOUBLE else None
    if kernel is None or not axis or x.size == 0:
        return _variance(x, axis, divisor, root, keepdims)
    if x.flags.carray and (seen := view(x.shape, axis, keepdims)):
        outer, n, inner, left, room = seen
        means, y = room(left, dtype), room(left, dtype)
        kernel(POOL, id(x), id(means), id(y), outer, n, inner, divisor, root)
        return y
    flat, dims, back = layout(x, axis)
    y, out = result(x, axis, back)
    moments(flat, dims, divisor, root, np.empty_like(out), out)
    return without(y, axis, keepdims)


@choice(
    reference=_pull,
    size=lambda g, x, *rest: x.size,
    sample=lambda *a: (np.ones((1, 64), a[2]), _sample(*a), (-2,), 0.5),
)
def variance_pull(g, x, axis, scale):
    """g * scale * (x - its mean over some axes); g has these axes at length one."""
    neighbours = not axis or axis[-1] - axis[0] < len(axis)
    if g.dtype != x.dtype or x.dtype.char not in FLOATS or not axis or x.size == 0 or not neighbours:
        return _pull(g, x, axis, scale)
    x = plain(x)
    flat, dims, _ = layout(x, axis)
    outer, n, inner = dims
    mean = np.empty(outer * inner, x.dtype)
    moments(flat, dims, 1, False, mean, np.empty_like(mean))
    out = _memory.empty(x.shape, x.dtype)
    g, into = plain(g).reshape(-1), out.reshape(-1)
    if inner > 1:
        pull_columns(outer * n, shared_out(inner), g, flat, mean, into, n, inner, scale)
    elif outer == 1:
        pull_rows_of_one(n, shared_out(1), g, flat, mean, into, scale)
    else:
        pull_rows(outer, shared_out(n), g, flat, mean, into, n, scale)
    return out


@kernel(chunks=True, written=True)
def pull_rows_of_one(begin, end, g, x, mean, out, scale):
    """pull_rows for one long row."""
    x, out = x[begin:end], out[begin:end]
    factor, centre = g[0] * x.dtype.type(scale), mean[0]
    for k in range(len(x)):
        out[k] = factor * (x[k] - centre)
