"""Rows of a table: taking them, and adding to them."""

from __future__ import annotations

import numpy as np

from . import _memory
from ._jit import EXACT, choice, kernel, plain
from ._sizes import CHUNK
from ._steps import fill

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


@kernel(chunks=True, fastmath=EXACT)
def copy_rows(begin, end, table, index, skip, out):
    """out[i] = table[index[i]], zero where the index is `skip`; table: (v, d), index: (n), out: (n, d)."""
    index, out = index[begin:end], out[begin:end]
    for i in range(len(index)):
        source, row = table[index[i]], out[i]
        if index[i] == skip:
            row[:] = 0
        else:
            for j in range(len(row)):
                row[j] = source[j]


@kernel(fastmath=EXACT)
def rows_at_once(table, index, skip, out):
    """copy_rows of all at once; how many places are none of the table, which are left out."""
    count = 0
    for i in range(len(index)):
        at = index[i]
        if np.uint64(at) >= np.uint64(len(table)):
            count += 1
        elif at == skip:
            for j in range(out.shape[1]):
                out[i, j] = 0
        else:
            for j in range(out.shape[1]):
                out[i, j] = table[at, j]
    return count


@kernel(fastmath=EXACT)
def add_at_once(x, index, skip, out):
    """out[index[i]] += x[i], from zero, one after the other; how many places are none of out, which are left out."""
    count = 0
    for i in range(len(out)):
        for j in range(out.shape[1]):
            out[i, j] = 0
    for i in range(len(index)):
        at = index[i]
        if np.uint64(at) >= np.uint64(len(out)):
            count += 1
        elif at != skip:
            for j in range(out.shape[1]):
                out[at, j] += x[i, j]
    return count


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
    if table.dtype.char not in "fd":
        return rows_at_reference(table, index, skip, out)
    index, table, shape = _places(index), plain(table), (len(index), table.shape[1])
    out = _memory.empty(shape, table.dtype) if out is None else out
    if out.size <= CHUNK:
        if rows_at_once(table, index, skip, out):
            require_rows(index, len(table))
        return out
    if beyond(index, len(table)):
        require_rows(index, len(table))
    copy_rows(len(index), max(CHUNK // max(table.shape[1], 1), 1), table, index, skip, out)
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
    if x.dtype.char not in "fd":
        return add_rows_reference(x, index, size, skip, out)
    index, (n, d) = _places(index), x.shape
    out = _memory.empty((size, d), x.dtype) if out is None else out
    if x.size <= CHUNK and out.size <= CHUNK:
        if add_at_once(plain(x), index, skip, out):
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
    add_to_parts(parts * -(-d // max(width, 1)), 1, plain(x), index, order, starts, shift, max(width, 1), out)
    return out
