"""Rows of a table: taking them, and adding to them."""

from __future__ import annotations

import numpy as np

from . import _memory
from ._jit import EXACT, Kernel, Late, choice, kernel, plain
from ._sizes import CHUNK
from ._steps import fill
from ._threads import ADDRESS as POOL
from .reduce import DOUBLE, SINGLE, at

blank, entries, for_chunks = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_native", "for_chunks")
move = Late("_runs", "move")
INTEGERS = np.dtype(np.int64)
NEAR = 1 << 18  # bytes of the table that one chunk adds to: they stay in the nearer caches
FEW, NARROW = 16, 64  # with fewer parts of the table than this, each is cut into columns, so many wide


@kernel(fastmath=EXACT)
def beyond(index, size):
    """How many places are none of a table of so many rows; index: (n)."""
    count = 0
    for i in range(len(index)):
        count += np.uint64(index[i]) >= np.uint64(size)
    return count


@kernel(chunks=True, written=True)
def copy_rows(begin, end, table, index, skip, out, bad, rows, d):
    """out[i] = table[index[i]], zero where the index is `skip`; table: (rows, d), index: (n), out: (n, d)."""
    zero, wrong = table.dtype.type(0), 0
    for i in range(begin, end):
        place = at(index, i)
        there = np.uint64(place) < np.uint64(rows)
        wrong += 0 if there else 1
        if place == skip:
            for j in range(d):
                out[np.uint64(i * d + j)] = zero
        else:
            move(table, (place if there else 0) * d, out, i * d, d)
    if wrong > 0:
        bad[0] = 1


def copying(dtype: np.dtype) -> Kernel:
    """The kernel that takes all rows of a table of a type; not 0 if a place is none of the table."""
    zero = dtype.type(0)

    @kernel(numbers="iaaaiiii", name=f"rows_at_{dtype.char}", written=True)
    def take_rows(pool, table, index, out, rows, d, n, skip):
        bad, places = blank(np.int64(0), 1), entries(np.int64(0), index, n)
        bad[0] = 0
        given = entries(zero, table, rows * d), places, skip, entries(zero, out, n * d), bad, rows, d
        for_chunks(pool, copy_rows, n, max(CHUNK // max(d, 1), 1), given)
        return bad[0]

    return take_rows


def adding(dtype: np.dtype) -> Kernel:
    """The kernel that adds a few rows to zeros one after the other; how many places are none of a row."""
    zero = dtype.type(0)

    @kernel(numbers="aaaiiii", name=f"add_at_once_{dtype.char}", fastmath=EXACT, written=True)
    def add_at_once(x, index, out, rows, d, n, skip):
        """out[index[i]] += x[i], from zero; x: (n, d), index: (n), out: (rows, d)."""
        xs, places, y, count = entries(zero, x, n * d), entries(np.int64(0), index, n), entries(zero, out, rows * d), 0
        for k in range(rows * d):
            y[np.uint64(k)] = zero
        for i in range(n):
            place = at(places, i)
            if np.uint64(place) >= np.uint64(rows):
                count += 1
            elif place != skip:
                row, more = y[place * d : place * d + d], xs[i * d :]
                for j in range(len(row)):
                    row[j] += at(more, j)
        return count

    return add_at_once


ROWS_AT, ADD_AT_ONCE = tuple(map(copying, (SINGLE, DOUBLE))), tuple(map(adding, (SINGLE, DOUBLE)))


@kernel(fastmath=EXACT)
def sort_by_part(index, shift, skip, starts, order):
    """Which entries of an index fall into each part of 2**shift rows, in order; starts: (parts + 1), zero at first."""
    for i in range(len(index)):
        if index[i] != skip:
            starts[(index[i] >> shift) + 1] += 1
    for part in range(1, len(starts)):
        starts[part] += starts[part - 1]
    ends = starts.copy()
    for i in range(len(index)):
        if index[i] != skip:
            part = index[i] >> shift
            order[ends[part]] = i
            ends[part] += 1


@kernel(chunks=True, fastmath=EXACT)
def add_to_parts(begin, end, x, index, order, starts, shift, width, out):
    """out[index[i]] += x[i], from zero; chunks are parts of 2**shift rows and `width` columns of out: (v, d)."""
    across = (out.shape[1] + width - 1) // width
    for chunk in range(begin, end):
        part, left = chunk // across, chunk % across * width
        columns, given = out[:, left : left + width], x[:, left : left + width]
        if across == 1:
            whole = out[part << shift : (part + 1) << shift].reshape(-1)
            for j in range(len(whole)):
                whole[j] = 0
        else:
            for r in range(part << shift, min((part + 1) << shift, len(out))):
                row = columns[r]
                for j in range(len(row)):
                    row[j] = 0
        for k in range(starts[part], starts[part + 1]):
            i = order[k]
            row, more = columns[index[i]], given[i]
            for j in range(len(row)):
                row[j] += more[j]


# --- references ------------------------------------------------------------------------------------------------------


def rows_at_reference(table, index, skip=-1, out=None):
    """By NumPy's own indexing, which would take negative numbers for places from the end."""
    if index.size and index.min() < 0:
        require_rows(index, len(table))
    out = table.take(index, 0, out)
    if skip >= 0:
        out[index == skip] = 0
    return out


def add_rows_reference(x, index, size, skip=-1, out=None):
    """By NumPy's unbuffered addition."""
    require_rows(index, size)
    kept = index != skip
    out = np.zeros((size, x.shape[1]), x.dtype) if out is None else np.multiply(out, 0, out)
    np.add.at(out, index[kept], x[kept])
    return out


def require_rows(index: np.ndarray, size: int) -> None:
    """Raise if an index names a row that is not there."""
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index[(index < 0) | (index >= size)][0]
        raise IndexError(f"index {wrong} is out of bounds for axis with size {size}")


# --- choices ---------------------------------------------------------------------------------------------------------


def _table(rng, n, dtype):
    rows = max(n // 32, 1)
    return rng.standard_normal((rows, 32)).astype(dtype), rng.integers(0, rows, rows)


@choice(rows_at_reference, sample=_table, size=lambda table, index, *rest: index.size * table.shape[1])
def rows_at(table, index, skip=-1, out=None):
    """The rows of a table (v, d) at an index (n), zero where that is `skip`: (n, d)."""
    dtype, (rows, d), (n,) = table.dtype, table.shape, index.shape
    if not (dtype is SINGLE or dtype is DOUBLE) or not rows:
        return rows_at_reference(table, index, skip, out)
    index, table = _places(index), table if table.flags.carray else plain(table)
    out = _memory.empty((n, d), dtype) if out is None else out
    if ROWS_AT[dtype is DOUBLE](POOL, id(table), id(index), id(out), rows, d, n, skip):
        require_rows(index, rows)
    return out


def _places(index):
    """An index as kernels want it."""
    return index if index.dtype is INTEGERS and index.flags.carray else plain(index.astype(np.int64, copy=False))


def _rows(rng, n, dtype):
    rows = max(n // 32, 1)
    return rng.standard_normal((rows, 32)).astype(dtype), rng.integers(0, rows, rows), rows


@choice(add_rows_reference, sample=_rows)
def add_rows(x, index, size, skip=-1, out=None):
    """Zeros (size, d) with the rows of x: (n, d) added at an index (n), except where that is `skip`."""
    dtype, (n, d) = x.dtype, x.shape
    if not (dtype is SINGLE or dtype is DOUBLE):
        return add_rows_reference(x, index, size, skip, out)
    index, x = _places(index), x if x.flags.carray else plain(x)
    out = _memory.empty((size, d), dtype) if out is None else out
    if x.size <= CHUNK and out.size <= CHUNK:
        if ADD_AT_ONCE[dtype is DOUBLE](id(x), id(index), id(out), size, d, n, skip):
            require_rows(index, size)
        return out
    if beyond(index, size):
        require_rows(index, size)
    shift = max(NEAR // max(d * x.itemsize, 1), 1).bit_length() - 1
    parts = (size + (1 << shift) - 1) >> shift
    width = d if parts >= FEW or n * d < CHUNK else NARROW
    starts, order = np.empty(parts + 1, np.int64), np.empty(n, np.int64)
    fill(starts, 0)
    sort_by_part(index, shift, skip, starts, order)
    add_to_parts(parts * -(-d // max(width, 1)), 1, x, index, order, starts, shift, max(width, 1), out)
    return out
