"""Sums over long windows that overlap, in time and memory that do not grow with the windows.

An axis is cut into blocks as long as a window.  A window then is the end of one block and the beginning of the next, and
running sums of each block, from either side, hold both.  Nothing is subtracted: what a window holds is added, and no more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .arranging import reshape_to, view_at
from .math import where
from .padding import constant_pad_nd
from .resampling import resampled
from .scan import cumsum_along

LARGE = 1 << 17  # weights of a table that need no thought
MANY = 8  # weights for each entry from which on a table is out of proportion


class Slides(NamedTuple):
    """Windows of k entries at every s-th, after p entries of padding, and what each counts; along an axis from its end."""

    axis: int
    k: int
    s: int
    p: int
    share: np.ndarray


def long(n: int, k: int, out: int) -> bool:
    """Whether windows of k of n entries, so many as there are to come out, need more weights than there are entries."""
    return k * out > max(LARGE, MANY * (n + out))


def slid(x: Any, windows: Slides) -> Any:
    """The sum of each window along one axis, times its share."""
    axis, k, s, p, share = windows
    dtype, out = x.dtype, len(share)
    x = x.astype(np.dtype(np.float32)) if dtype.char == "e" else x
    rest = (slice(None),) * (-axis - 1)
    first = np.arange(out) * s
    blocks = -(-(int(first[-1]) + k) // k)
    x = constant_pad_nd(x, (0, 0) * (-axis - 1) + (p, blocks * k - x.shape[axis] - p))
    whole, shape = x.shape, list(x.shape)
    shape[axis : axis + 1 or None] = blocks, k  # the axis from its end now is that of a block
    x = reshape_to(x, shape=tuple(shape))
    ends = reshape_to(cumsum_along(x, axis=axis, reverse=True), shape=whole)
    begins = reshape_to(cumsum_along(x, axis=axis), shape=whole)
    reach = int(first[-1]) + 1
    ends = view_at(ends, index=(..., slice(0, reach, s), *rest))
    begins = view_at(begins, index=(..., slice(k - 1, k - 1 + reach, s), *rest))
    column = (out, *(1,) * (-axis - 1))
    y = ends + where((first % k != 0).reshape(column), begins, 0.0)  # a block by itself is in `ends` already
    y = y * share.astype(y.dtype.type(0).real.dtype).reshape(column)
    return y.astype(dtype) if y.dtype != dtype else y


def averages(x: Any, tables: tuple, slides: tuple) -> Any:
    """Sums of windows of the last axes: of those that are long as they slide, of others by their tables."""
    for windows in slides:
        x = slid(x, windows)
    return x if len(slides) == len(tables) else resampled(x, tables=tables)
