"""Windows of planes as columns, and columns added up where windows lie: no arithmetic but these sums."""

from __future__ import annotations

import functools
import math

import numpy as np

from ._jit import EXACT, Late, choice, kernel, plain
from ._memory import empty
from ._sizes import CHUNK
from .copying import copied

borrowed = Late("_borrowed", "borrowed")
LINE = 16  # entries beside each other from which on the kernel for copies is no slower than NumPy


def places(size: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple) -> list[int]:
    """How many windows there are along each axis; padding is a number for each, the same at both ends."""
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)]


def _framed(x: np.ndarray, padding: tuple) -> np.ndarray:
    """Planes with zeros around them, entries in order."""
    if not any(padding):
        return np.ascontiguousarray(x)
    (*lead, h, w), (p, q) = x.shape, padding
    y = empty((*lead, h + 2 * p, w + 2 * q), x.dtype)
    y[...] = 0
    y[..., p : p + h, q : q + w] = x
    return y


@functools.lru_cache(1024)
def _along(width: int, kernel: int, columns: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    """For each tap of a row: the first window whose entry lies inside, the one after the last, and where the first is."""
    shift = padding - dilation * np.arange(kernel)  # that of window c lies at c * stride - shift
    first = np.maximum(0, -(-shift // stride))
    last = np.minimum(columns, (width - 1 + shift) // stride + 1)
    return np.stack([first, np.maximum(first, last), first * stride - shift], 1).reshape(-1)


# --- kernels ---------------------------------------------------------------------------------------------------------


@kernel(fastmath=EXACT)
def plus(x, i, y, o, step, n):
    """n entries of x added to every step-th of y."""
    x = x[i : i + n]
    if step == 1:
        y = y[o : o + n]
        for t in range(n):
            y[t] += x[t]
    else:
        y = y[o : o + n * step]
        for t in range(n):
            y[t * step] += x[t]


@kernel(chunks=True, fastmath=EXACT)
def fold_rows(begin, end, g, y, along, height, width, kh, rows, columns, down, right, top, vertical):
    """Rows of planes: each entry is the sum of what windows have there, tap by tap."""
    g, y, along, kw = borrowed(g), borrowed(y), borrowed(along), len(along) // 3
    for r in range(begin, end):
        plane, at = r // height, r % height + top
        y[r * width : r * width + width] = 0
        for i in range(kh):
            inside = at - i * vertical
            if inside < 0 or inside % down or inside // down >= rows:
                continue
            for j in range(kw):
                first, last = along[3 * j], along[3 * j + 1]
                source = (((plane * kh + i) * kw + j) * rows + inside // down) * columns + first
                plus(g, source, y, r * width + along[3 * j + 2], right, last - first)


# --- arrays ----------------------------------------------------------------------------------------------------------


def unfold(x, kernel, stride, padding, dilation):
    """The windows of planes (..., H, W) as columns (..., taps, places): one copy out of a view of them."""
    many = places(x.shape[-2:], kernel, stride, padding, dilation)
    x = _framed(x, padding)
    steps = [s * n for by in (dilation, stride) for s, n in zip(x.strides[-2:], by)]
    windows = np.ndarray((*x.shape[:-2], *kernel, *many), x.dtype, x, 0, (*x.strides[:-2], *steps))
    y = copied(windows) if stride[1] == 1 and many[1] >= LINE else windows.copy()
    return y.reshape(*x.shape[:-2], math.prod(kernel), math.prod(many))


def fold_reference(g, size, kernel, stride, padding, dilation):
    """In NumPy, tap by tap."""
    many = places(size, kernel, stride, padding, dilation)
    g = g.reshape(*g.shape[:-2], *kernel, *many)
    y = np.zeros((*g.shape[:-4], *[n + 2 * p for n, p in zip(size, padding)]), g.dtype)
    reach = [s * (m - 1) + 1 for s, m in zip(stride, many)]
    for i, j in np.ndindex(*kernel):
        a, b = i * dilation[0], j * dilation[1]
        y[..., a : a + reach[0] : stride[0], b : b + reach[1] : stride[1]] += g[..., i, j, :, :]
    (p, q), (h, w) = padding, size
    return np.ascontiguousarray(y[..., p : p + h, q : q + w])


def _columns(rng, n, dtype):
    size = (max(n // 60, 3), 5)
    how = (3, 2), (1, 2), (1, 0), (1, 2)
    return rng.standard_normal((2, 6, math.prod(places(size, *how)))).astype(dtype), size, *how


@choice(reference=fold_reference, sample=_columns, ulps=0)
def fold(g, size, kernel, stride, padding, dilation):
    """Columns (..., taps, places) added up where windows lie in planes: (..., H, W)."""
    if g.dtype.char not in "fd" or not g.size:
        return fold_reference(g, size, kernel, stride, padding, dilation)
    y, width = empty((*g.shape[:-2], *size), g.dtype), size[1]
    grain = max(1, CHUNK // (width * math.prod(kernel)))
    many = places(size, kernel, stride, padding, dilation)
    along = _along(width, kernel[1], many[1], stride[1], padding[1], dilation[1])
    numbers = size[0], width, kernel[0], *many, *stride, padding[0], dilation[0]
    fold_rows(y.size // width, grain, plain(g).reshape(-1), y.reshape(-1), along, *numbers)
    return y
