"""Sums of neighbours that all count the same: averages over windows.

Rows of a window are added as vectors, then the columns of their sum (`_pool_lines`).  Where windows do not follow each
other by one or two, sixteen such rows are turned over, so that a column of all of them is a vector.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._jit import Late, kernel
from .tables import Table

rows_summed, windows_summed = Late("_pool_lines", "rows_summed"), Late("_pool_lines", "windows_summed")
pairs_summed, lines_summed = Late("_pool_lines", "pairs_summed"), Late("_pool_lines", "lines_summed")
turned = Late("_pool_lines", "turned")
LANES = 16  # the most in a vector
ROOM = 1024  # entries of sums that are written before the first is read: a processor waits for what it has just written


class Boxes(NamedTuple):
    """Where the entries of each window begin, how many there are, and what each of them counts."""

    start: np.ndarray
    count: np.ndarray
    share: np.ndarray

    @staticmethod
    def of(table: Table) -> Boxes | None:
        """The windows of a table, if the entries of each lie side by side and count the same."""
        counted = table.weights != 0
        first, count = counted.argmax(1), counted.sum(1)
        share = table.weights[np.arange(len(first)), first]
        taps = np.arange(table.weights.shape[1]) - first[:, None]
        inside = (taps >= 0) & (taps < count[:, None])
        if not (table.weights == np.where(inside, share[:, None], 0)).all():
            return None
        return Boxes(np.where(count > 0, table.start + first, 0), count, share)


def steps(table: Table, boxes: Boxes) -> tuple[int, np.ndarray, int]:
    """How windows follow each other, where they begin from the left margin on, and how wide that is.

    1 or 2 if each begins so many entries after the one before, and what it has less than others is beyond the axis.
    """
    at = table.start[:, None] + np.arange(table.weights.shape[1])
    whole = ((table.weights != 0) == ((at >= 0) & (at < table.n_in))).all()
    left, _ = table.margins
    if table.step and whole:
        return table.step, table.start + left, left
    return 0, boxes.start, 0


def packed(rows: Table, columns: Table, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray] | None:
    """Two tables as what `box_rows` takes, if all their weights in a window are the same."""
    down, along = Boxes.of(rows), Boxes.of(columns)
    if down is None or along is None:
        return None
    step, start, left = steps(columns, along)
    taps = columns.weights.shape[1] if step > 0 else int(along.count.max())
    whole, n = max(left + columns.n_in, int(start.max()) + taps) + 3 * LANES, columns.n_out
    paired = step == taps == 2 and not left and (down.count == 2).all()
    together = 0 if paired else min(max(1, ROOM // whole), LANES) if step else LANES
    lines, shares = np.zeros((2, n + -n % LANES), np.int32), np.zeros(n + -n % LANES)
    lines[0, :n], lines[1, :n], shares[:n] = start, along.count, along.share
    header = rows.n_in, columns.n_in, rows.n_out, n, left, step, taps, whole, together
    ints = np.concatenate([header, lines.ravel().view(np.int64), down.start, down.count])
    return ints.astype(np.int64), np.concatenate([shares, down.share]).astype(dtype)


@kernel(chunks=True)
def box_rows(begin, end, x, ints, floats, y):
    """Rows of y (P, I, J) from x (P, H, W), as `packed` tables say: the sums of columns for so many rows `together`, then
    those of windows of these; for none together where windows are two by two, which takes no sums in between.
    """
    height, width, high, n, left, step, taps, whole, together = ints[:9]
    padded, size, zero = n + -n % 16, x.itemsize, x.dtype.type(0)
    starts, counts = ints[9 + padded :], ints[9 + padded + high :]
    columns, shares, weights = ints.ctypes.data + 72, floats[padded:], floats.ctypes.data
    first = np.int64(ints.view(np.int32)[18])
    space = np.zeros(16 + whole * together + (0 if step else 16 * (whole + padded)), x.dtype)
    scales, room = space[:16], space.ctypes.data + size * 16
    lines = room + size * whole * together
    found = lines + size * 16 * whole
    i, k = begin % high, 0
    source, target = x.ctypes.data + size * height * width * (begin // high), y.ctypes.data + size * n * begin
    for r in range(begin, end):
        here = source + size * starts[i] * width
        if together == 0:
            pairs_summed(zero, here, width, first, shares[i], weights, target, n, width)
            target += size * n
        else:
            rows_summed(zero, here, width, counts[i], room + size * (k * whole + left), width)
            scales[k], k = shares[i], k + 1
        if k > 0 and (k == together or r == end - 1):
            if step:
                for j in range(k):
                    windows_summed(
                        zero, room + size * (j * whole + first), taps, step, scales[j], weights,
                        target + size * n * j, n,
                    )  # fmt: skip
            else:
                turned(zero, room, whole, lines, 16, 16, width)
                lines_summed(zero, lines, columns, columns + 4 * padded, scales.ctypes.data, weights, found, n)
                turned(zero, found, 16, target, n, n, k)
            target, k = target + size * n * k, 0
        i += 1
        if i == high:
            i, source = 0, source + size * height * width
    space[:0] = 0  # it is in use until here
