"""Copies of large arrays, spread ones among them, on several threads and into memory that is used again."""

from __future__ import annotations

import numpy as np

from ._jit import EXACT, Kernel, Late, choice, kernel
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL

entries, for_chunks = Late("_borrowed", "entries"), Late("_native", "for_chunks")


@kernel(chunks=True, fastmath=EXACT)
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

    @kernel(numbers="iaaiiii", name=f"write_{dtype.char}")
    def write_all(pool, x, out, count, n, down, right):
        last = (count - 1) // n * down + (n - 1) * right
        given = entries(zero, x, last + 1), entries(zero, out, count), n, down, right
        for_chunks(pool, write, count, CHUNK, given)

    return write_all


KERNELS = {dtype: whole(dtype) for dtype in (np.dtype(np.float32), np.dtype(np.float64))}


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


def _copied(x):
    return x.copy()


def _spread(rng, n, dtype):
    return (np.broadcast_to(rng.standard_normal((max(n // 64, 1), 1)).astype(dtype), (max(n // 64, 1), 64)),)


@choice(reference=_copied, sample=_spread, ulps=0)
def copied(x):
    """A copy with entries in order, last axis fastest."""
    if (kernel := KERNELS.get(x.dtype)) is None or not x.size or not x.flags.aligned or (way := rows(x)) is None:
        return x.copy()
    y = empty(x.shape, x.dtype)
    kernel(POOL, id(x), id(y), x.size, *way)
    return y
