"""Copies of large arrays, spread and turned ones among them, on several threads and into memory that is used again."""

from __future__ import annotations

import functools

import numpy as np

from ._jit import EXACT, Kernel, Late, choice, kernel
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL

blank, entries, for_chunks = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_native", "for_chunks")


@kernel(chunks=True, fastmath=EXACT, written=True)
def write(begin, end, x, out, n, down, right):
    """Entries of out (rows, n): the one at (i, j) is that of x at i * down + j * right, `right` being 0 or 1."""
    place = begin
    while place < end:
        row = place // n
        first = place - row * n
        y = out[place : min(end, row * n + n)]
        if right == 0:
            v = x[row * down]
            for j in range(len(y)):
                y[j] = v
        else:
            xs = x[row * down + first : row * down + first + len(y)]
            for j in range(len(y)):
                y[j] = xs[j]
        place += len(y)


def whole(dtype: np.dtype) -> Kernel:
    """The same for all entries, arrays being given as records."""
    zero = dtype.type(0)

    @kernel(numbers="iaaiiii", written=True, name=f"write_{dtype.char}")
    def write_all(pool, x, out, count, n, down, right):
        last = (count - 1) // n * down + (n - 1) * right
        given = entries(zero, x, last + 1), entries(zero, out, count), n, down, right
        for_chunks(pool, write, count, CHUNK, given)

    return write_all


@kernel(chunks=True, fastmath=EXACT, written=True)
def gather(begin, end, x, out, table, n, right):
    """Rows of out (rows, n) from x, whose axes but the last `table` gives as pairs of a length and a step.

    Where the last of these is the one whose entries are neighbours, lines of some rows are read at a time.
    """
    axes, place, rest = len(table) // 2, 0, begin
    at = blank(0, axes)
    for a in range(axes - 1, -1, -1):
        at[a] = rest % table[2 * a]
        rest //= table[2 * a]
        place += at[a] * table[2 * a + 1]
    row, last = begin, axes - 1
    while row < end:
        many = 1
        if right == 1:
            xs, y = x[place : place + n], out[row * n : row * n + n]
            for j in range(len(y)):
                y[j] = xs[j]
        else:
            if table[2 * last + 1] == 1:
                many = min(LINES, end - row, table[2 * last] - at[last])
            for j in range(n):
                xs, y = x[place + j * right : place + j * right + many], out[row * n + j :]
                for i in range(len(xs)):
                    y[i * n] = xs[i]
        row += many
        at[last] += many
        place += many * table[2 * last + 1]
        for a in range(last, 0, -1):
            if at[a] == table[2 * a]:
                at[a] = 0
                at[a - 1] += 1
                place += table[2 * a - 1] - table[2 * a] * table[2 * a + 1]


def gathering(dtype: np.dtype) -> Kernel:
    """The same for all entries, arrays being given as records."""
    zero, number = dtype.type(0), np.int64(0)

    @kernel(numbers="iaaaiiiii", written=True, name=f"gather_{dtype.char}")
    def gather_all(pool, x, out, table, length, rows, n, right, span):
        grain = CHUNK // n + 1
        if right != 1:
            grain = (grain + LINES - 1) // LINES * LINES
        given = entries(zero, x, span), entries(zero, out, rows * n), entries(number, table, length), n, right
        for_chunks(pool, gather, rows, grain, given)

    return gather_all


LINES = 16  # rows that are read at a time, a cache line of each
TYPES = {4: np.dtype(np.float32), 8: np.dtype(np.float64)}  # what entries are copied as, by how many bytes they have
KERNELS = {size: (whole(dtype), gathering(dtype)) for size, dtype in TYPES.items()}


def rows(x: np.ndarray) -> tuple[int, int, int] | None:
    """n, down and right for `write`; None if the entries of x do not lie so."""
    axes: list[tuple[int, int]] = []
    for n, step in zip(x.shape, x.strides):
        if axes and axes[-1][1] == n * step:
            n *= axes.pop()[0]
        if n > 1:
            axes.append((n, step))
    size = x.itemsize
    if len(axes) > 2 or not axes or axes[-1][1] not in (0, size) or axes[0][1] < 0 or axes[0][1] % size:
        return None
    return axes[-1][0], axes[0][1] // size if len(axes) == 2 else 0, axes[-1][1] // size


@functools.lru_cache(4096)
def turned(shape: tuple, strides: tuple, size: int) -> tuple | None:
    """What `gather_all` takes after the arrays; None if there is nothing to be gathered, or entries lie backwards."""
    axes: list[tuple[int, int]] = []
    for n, step in zip(shape, strides):
        if axes and axes[-1][1] == n * step:
            n *= axes.pop()[0]
        if n > 1:
            axes.append((n, step))
    if len(axes) < 2 or any(step < 0 or step % size for _, step in axes):
        return None
    *outer, (n, right) = axes
    table = np.array([v for count, step in outer for v in (count, step // size)], np.int64)
    span = sum((count - 1) * step for count, step in axes) // size + 1
    rows = 1
    for count, _ in outer:
        rows *= count
    return table, len(table), rows, n, right // size, span


def _copied(x):
    return x.copy()


def _spread(rng, n, dtype):
    return (np.broadcast_to(rng.standard_normal((max(n // 64, 1), 1)).astype(dtype), (max(n // 64, 1), 64)),)


@choice(reference=_copied, sample=_spread, ulps=0)
def copied(x):
    """A copy with entries in order, last axis fastest."""
    dtype = x.dtype
    kernels = KERNELS.get(x.itemsize) if dtype.kind in "fiu" else None
    if kernels is None or not x.size or not x.flags.aligned:
        return x.copy()
    way = rows(x)
    lies = turned(x.shape, x.strides, x.itemsize) if way is None else None
    if way is None and lies is None:
        return x.copy()
    y = empty(x.shape, dtype)
    if way is None:
        kernels[1](POOL, id(x), id(y), id(lies[0]), *lies[1:])
    else:
        kernels[0](POOL, id(x), id(y), x.size, *way)
    return y
