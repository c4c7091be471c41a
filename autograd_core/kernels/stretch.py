"""Sums of weighted neighbours where there are more rows than before: enlarging, and the gradients of averages.

Each row of the source is resized along itself once, into a ring of those that are still needed, and rows of the result are
mixed of these as vectors (`_pool_lines`); what several rows in a row have in common is written to all of them at once.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from .tables import Table

line_stretched, rows_mixed = Late("_pool_lines", "line_stretched"), Late("_pool_lines", "rows_mixed")
EVEN, ODD = -2, -3
LANES = 16  # the most in a vector


def span(table: Table, pattern: np.ndarray) -> tuple[int, int]:
    """How far before a pattern of places the neighbours begin, and how many from there on hold all that count."""
    place, tap = np.nonzero(table.weights)
    far = table.start[place] + tap - pattern[place]
    return (int(far.min()), int(far.max() - far.min()) + 1) if len(far) else (0, 1)


def shifted(table: Table, start: np.ndarray, taps: int) -> np.ndarray:
    """The weights (n_out, taps) of a table, counted from other places on."""
    weights = np.zeros((table.n_out, taps))
    place, tap = np.nonzero(table.weights)
    weights[place, table.start[place] + tap - start[place]] = table.weights[place, tap]
    return weights


def columns_of(table: Table) -> tuple[int, np.ndarray, np.ndarray]:
    """How places follow each other, where the neighbours of each begin, and what they count.

    1 if each begins one entry after the one before, EVEN or ODD if every other one does, 0 if there is no such order.
    """
    places = np.arange(table.n_out)
    for step, pattern in ((EVEN, places // 2), (ODD, (places + 1) // 2), (1, places)):
        first, taps = span(table, pattern)
        if taps <= table.weights.shape[1] + 1:
            return step, pattern + first, shifted(table, pattern + first, taps)
    return 0, table.start, table.weights


def rows_of(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where the neighbours of each row begin, how many there are, how many rows from each on have the same, and weights."""
    first = table.start + (table.weights != 0).argmax(1)
    _, taps = span(table, first)
    start = first if (np.diff(first) >= 0).all() else table.start  # a ring moves on
    weights = shifted(table, first, taps) if start is first else table.weights
    count = (np.arange(1, weights.shape[1] + 1) * (weights != 0)).max(1)
    same = np.ones(len(start), np.int64)
    for i in range(len(start) - 2, -1, -1):
        if start[i] == start[i + 1] and (weights[i] == weights[i + 1]).all():
            same[i] += same[i + 1]
    return start, count, same, weights


def packed(rows: Table, columns: Table, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Two tables as what `stretched_rows` takes."""
    (step, first, along), (start, count, same, down) = columns_of(columns), rows_of(rows)
    n = columns.n_out
    line = np.zeros(n + -n % LANES, np.int32)
    weights = np.zeros((along.shape[1], len(line)))
    line[:n], weights[:, :n] = first, along.T
    header = rows.n_in, columns.n_in, rows.n_out, n, step, along.shape[1], down.shape[1]
    ints = np.concatenate([header, line.view(np.int64), start, count, same])
    return ints.astype(np.int64), np.concatenate([weights.ravel(), down.ravel()]).astype(dtype)


@kernel(chunks=True)
def stretched_rows(begin, end, x, ints, floats, y):
    """Rows of y (P, I, J) from x (P, H, W), as `packed` tables say."""
    height, width, high, n, step, along, down = ints[:7]
    padded, size, zero, one = n + -n % 16, x.itemsize, x.dtype.type(0), x.dtype.type(1)
    rest = ints[7 + padded // 2 :]
    start, taps, same, scales = rest[:high], rest[high : 2 * high], rest[2 * high :], floats[along * padded :]
    line, weights, mixing = ints.ctypes.data + 56, floats.ctypes.data, floats.ctypes.data + size * along * padded
    ring = np.zeros(down * padded + 16, x.dtype)
    room, r, last = ring.ctypes.data, begin, begin
    while r < end:
        i = r % high
        source, target, count = (
            x.ctypes.data + size * height * width * (r // high),
            y.ctypes.data + size * n * r,
            same[i],
        )
        count = min(count, end - r)
        if r == begin or i == 0:
            last = max(start[i], 0)
        stop = min(start[i] + down, height)
        if down == 1:
            last, stop = start[i], start[i] + 1
        while last < stop:
            to, scale, copies, near = room + size * padded * (last % down), one, 1, along
            if down == 1:
                to, scale, copies, near = target, scales[i], count, along if taps[i] else 0
            line_stretched(zero, source + size * width * last, width, line, weights, near, step, scale, to, n, copies)
            last += 1
        if down > 1:
            first = start[i] % down
            rows_mixed(zero, room, down, first, mixing + size * down * i, taps[i], target, n, count)
        r += count
    ring[:0] = 0  # it is in use until here
