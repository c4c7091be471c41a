"""Sums of neighbours that all count the same: averages over windows.

Rows of a window are added as vectors, then the columns of their sum (`_pool_lines`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._jit import Late, kernel

if TYPE_CHECKING:
    from .resize import Table

rows_summed, windows_summed = Late("_pool_lines", "rows_summed"), Late("_pool_lines", "windows_summed")
pairs_summed = Late("_pool_lines", "pairs_summed")
LANES = 16  # the most in a vector


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
    whole = max(left + columns.n_in, int(start.max()) + taps) + 3 * LANES
    even = len(set(down.share.tolist())) == 1 and not step
    together = max(1, LANES // columns.n_out) if even else 1
    n = columns.n_out * together
    lines, shares = np.zeros((2, n + -n % LANES), np.int32), np.zeros(n + -n % LANES)
    lines[0, :n] = (start + whole * np.arange(together)[:, None]).ravel()
    lines[1, :n], shares[:n] = np.tile(along.count, together), np.tile(along.share, together)
    header = rows.n_in, columns.n_in, rows.n_out, columns.n_out, left, step, taps, whole, together
    ints = np.concatenate([header, lines.ravel().view(np.int64), down.start, down.count])
    return ints.astype(np.int64), np.concatenate([shares, down.share]).astype(dtype)


@kernel(chunks=True)
def box_rows(begin, end, x, ints, floats, y):
    """Rows of y (P, I, J) from x (P, H, W), as `packed` tables say.  Short rows of one share go sideways together."""
    height, width, high, n, left, step, taps, whole, together = ints[:9]
    padded, size, zero = n * together + -(n * together) % 16, x.itemsize, x.dtype.type(0)
    starts, counts = ints[9 + padded :], ints[9 + padded + high :]
    columns, shares = ints.ctypes.data + 72, floats[padded:]
    sums = np.zeros(whole * together, x.dtype)
    room = sums.ctypes.data
    i = begin % high
    source, target = x.ctypes.data + size * height * width * (begin // high), y.ctypes.data + size * n * begin
    for r in range(begin, end):
        first = source + size * starts[i] * width
        if step == taps == 2 and left == 0 and counts[i] == 2:
            pairs_summed(zero, first, width, columns, shares[i], floats.ctypes.data, target, n, width)
        else:
            k = (r - begin) % together
            rows_summed(zero, first, width, counts[i], room + size * (k * whole + left), width)
            if k == together - 1 or r == end - 1:
                windows_summed(
                    zero, room, columns, columns + 4 * padded, taps, step, shares[i], floats.ctypes.data,
                    target - size * n * k, n * (k + 1),
                )  # fmt: skip
        i, target = i + 1, target + size * n
        if i == high:
            i, source = 0, source + size * height * width
    sums[:0] = 0  # it is in use until here
