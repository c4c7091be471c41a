"""softmax, its logarithm and log Σ exp for arrays of any shape, with the references in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod

import numpy as np

from . import softmax as kernels
from ._jit import choice, plain
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL
from .direct import Typed
from .softmax import GRAIN, LONG, TILE
from .sums import add_up

Array = np.ndarray
SMALL = 1 << 15  # entries up to which NumPy's allocator will do
SINGLE, DOUBLE = np.dtype("f"), np.dtype("d")
ROWS, LOG_ROWS, PULL, LOG_PULL = (
    Typed(kernels.softmax_rows, "x2 x2"),
    Typed(kernels.log_softmax_rows, "x2 x2"),
    Typed(kernels.softmax_rows_pull, "x2 x2 x2"),
    Typed(kernels.log_softmax_rows_pull, "x2 x2 x2"),
)


def _below_top(x: Array, axis: int) -> Array:
    """x less the largest entry along the axis, as floats wide enough to sum; a row of nothing but -inf stays that."""
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        x = x.astype(np.float32 if x.dtype.kind == "f" else np.float64)
    top = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-inf)
    return x - np.where(top == -inf, 0, top)


def _total(x: Array, axis: int) -> Array:
    """The sum along the axis, or 1 in place of 0."""
    total = np.add.reduce(x, axis=axis, keepdims=True)
    total[total == 0] = 1
    return total


def softmax_reference(x: Array, axis: int) -> Array:
    """exp(x) / Σ exp(x)."""
    with np.errstate(invalid="ignore", over="ignore"):
        y = _below_top(x, axis)
    np.exp(y, out=y)
    y /= _total(y, axis)
    return y.astype(x.dtype, copy=False) if x.dtype.kind == "f" else y


def log_softmax_reference(x: Array, axis: int) -> Array:
    """x - log Σ exp(x)."""
    with np.errstate(invalid="ignore", over="ignore"):
        y = _below_top(x, axis)
    y -= np.log(_total(np.exp(y), axis))
    return y.astype(x.dtype, copy=False) if x.dtype.kind == "f" else y


def softmax_pull_reference(v: Array, p: Array, axis: int) -> Array:
    """p (v - Σ v p)."""
    y = v - np.expand_dims(np.vecdot(v, p, axis=axis), axis)
    y *= p
    return y


def log_softmax_pull_reference(v: Array, logs: Array, axis: int) -> Array:
    """v - p Σ v, with logs = log p."""
    masked = logs == -inf
    v = np.where(masked, 0, v) if masked.any() else v
    y = np.exp(logs)
    y *= np.add.reduce(v, axis=axis, keepdims=True)
    return np.subtract(v, y, out=y)


def logsumexp_reference(x: Array, axis: tuple, keepdims: bool = False) -> Array:
    """log Σ exp(x) over some axes; also of complex numbers."""
    top = np.maximum.reduce(x.real, axis=axis, keepdims=True, initial=-inf)
    top = np.where(np.isfinite(top), top, np.zeros((), top.dtype))
    with np.errstate(all="ignore"):
        y = np.log(add_up(np.exp(x - top), axis, True)) + top
    return y if keepdims else np.squeeze(y, axis)


def _sample(rng, n, dtype):
    return rng.standard_normal((max(n // 32, 1), 32)).astype(dtype), -1


def _pairs(rng, n, dtype):
    x, axis = _sample(rng, n, dtype)
    return rng.standard_normal(x.shape).astype(dtype), softmax_reference(x, axis), axis


def _log_pairs(rng, n, dtype):
    v, p, axis = _pairs(rng, n, dtype)
    return v, np.log(p), axis


def _tiles(outer: int, n: int, inner: int) -> tuple[int, int]:
    """How many tiles there are, and how many make a chunk."""
    tiles = -(-inner // TILE)
    return outer * tiles, max(GRAIN // (n * min(inner, TILE)), 1)


def _chunk(count: int, n: int) -> int:
    """How many of `count` rows of n entries make a chunk: about GRAIN entries, and all chunks alike."""
    return -(-count // -(-count * n // GRAIN))


def _ready(x: Array) -> bool:
    """Whether an array is as kernels want it, without anything being done to it."""
    dtype = x.dtype
    return (dtype is SINGLE or dtype is DOUBLE) and x.flags.carray and x.size > 0


def _blank(x: Array) -> Array:
    """An array like x, to be filled."""
    return np.empty(x.shape, x.dtype) if x.size < SMALL else empty(x.shape, x.dtype)


def _forward(x: Array, axis: int, logs: bool, reference: Callable) -> Array:
    if not _ready(x):
        if x.dtype.char not in "fd" or not x.size:
            return reference(x, axis)
        x = plain(x)
    shape, size, dtype = x.shape, x.size, x.dtype
    n, out = shape[axis], np.empty(shape, dtype) if size < SMALL else empty(shape, dtype)
    if axis != -1 and (inner := prod(shape[axis + 1 :])) > 1:
        view = (size // (n * inner), n, inner)
        kernels.softmax_tiles(*_tiles(*view), x.reshape(view), logs, out.reshape(view))
        return out
    count, y = size // n, out
    if len(shape) != 2 or axis != -1:
        x, y = x.reshape(count, n), out.reshape(count, n)
    if n < LONG:
        rows = (LOG_ROWS if logs else ROWS)[dtype]
        rows(POOL, count, count if size < GRAIN else _chunk(count, n), id(x), id(y))
    else:
        tops, sums = _of_pieces(x)
        sums[sums == 0] = 1
        sums = np.log(sums) if logs else sums
        kernels.softmax_pieces(count * -(-n // CHUNK), 1, x, tops, sums, logs, y)
    return out


def _of_pieces(x: Array) -> tuple[Array, Array]:
    """The top and the sum of each row, from those of its pieces."""
    rows, pieces = len(x), -(-x.shape[1] // CHUNK)
    tops, sums = np.empty((2, rows, pieces), x.dtype)
    kernels.sums_of_pieces(rows * pieces, 1, x, tops, sums)
    with np.errstate(all="ignore"):
        top = np.maximum.reduce(np.where(sums == 0, -inf, tops).astype(x.dtype), axis=1, keepdims=True)
        top[top == -inf] = 0
        total = np.add.reduce(np.where(sums == 0, 0, sums * np.exp(tops - top)), axis=1)
    return top[:, 0], total.astype(x.dtype, copy=False)


def _backward(v: Array, y: Array, axis: int, logs: bool, reference: Callable) -> Array:
    if not (_ready(v) and _ready(y) and v.dtype is y.dtype and v.shape == y.shape):
        if v.dtype.char not in "fd" or v.dtype != y.dtype or v.shape != y.shape or not v.size:
            return reference(v, y, axis)
        v, y = plain(v), plain(y)
    shape, size, dtype = v.shape, v.size, v.dtype
    n, out = shape[axis], np.empty(shape, dtype) if size < SMALL else empty(shape, dtype)
    if axis != -1 and (inner := prod(shape[axis + 1 :])) > 1:
        view = (size // (n * inner), n, inner)
        kernels.pull_tiles(*_tiles(*view), v.reshape(view), y.reshape(view), logs, out.reshape(view))
        return out
    count, z = size // n, out
    if len(shape) != 2 or axis != -1:
        v, y, z = v.reshape(count, n), y.reshape(count, n), out.reshape(count, n)
    if n < LONG:
        pull = LOG_PULL if logs else PULL
        pull[dtype](POOL, count, count if size < GRAIN else _chunk(count, n), id(v), id(y), id(z))
    else:
        parts = np.empty((count, -(-n // CHUNK)), v.dtype)
        kernels.pull_sums_of_pieces(parts.size, 1, v, y, logs, parts)
        kernels.pull_pieces(parts.size, 1, v, y, np.add.reduce(parts, axis=1), logs, z)
    return out


@choice(reference=softmax_reference, sample=_sample)
def softmax(x: Array, axis: int) -> Array:
    """exp(x) / Σ exp(x) along an axis counted from the end; 0 where that would be 0 / 0."""
    return _forward(x, axis, False, softmax_reference)


@choice(reference=log_softmax_reference, sample=_sample)
def log_softmax(x: Array, axis: int) -> Array:
    """x - log Σ exp(x) along an axis; a row of nothing but -inf stays that."""
    return _forward(x, axis, True, log_softmax_reference)


@choice(reference=softmax_pull_reference, sample=_pairs)
def softmax_pull(v: Array, p: Array, axis: int) -> Array:
    """p (v - Σ v p), with p = softmax(x)."""
    return _backward(v, p, axis, False, softmax_pull_reference)


@choice(reference=log_softmax_pull_reference, sample=_log_pairs)
def log_softmax_pull(v: Array, logs: Array, axis: int) -> Array:
    """v - p Σ v, with logs = log p; an entry whose p is 0 was masked: it takes no part."""
    return _backward(v, logs, axis, True, log_softmax_pull_reference)


@choice(reference=logsumexp_reference, sample=lambda rng, n, dtype: (_sample(rng, n, dtype)[0], (-1,)))
def logsumexp(x: Array, axis: tuple, keepdims: bool = False) -> Array:
    """log Σ exp(x) over some axes counted from the end."""
    ends = axis == tuple(range(-len(axis), 0))
    if x.dtype.char not in "fd" or not x.size or not (ends and axis or len(axis) == 1):
        return logsumexp_reference(x, axis, keepdims)
    x, shape = plain(x), x.shape
    last = min(axis)
    rest = () if ends else shape[last + 1 :]
    n, inner = prod(shape[last:]) if ends else shape[last], prod(rest)
    out = np.empty((*shape[:last], *(1,) * (len(axis) if keepdims else 0), *rest), x.dtype)
    if inner > 1:
        view = (x.size // (n * inner), n, inner)
        kernels.logsumexp_tiles(*_tiles(*view), x.reshape(view), out.reshape(view[0], inner))
        return out
    view = x.reshape(x.size // n, n)
    if n < LONG:
        kernels.logsumexp_rows(len(view), _chunk(len(view), n), view, out.reshape(-1))
        return out
    return logsumexp_reference(x, axis, keepdims) if not _long(view, out.reshape(-1)) else out


def _long(x: Array, out: Array) -> bool:
    """log Σ exp of long rows; False if there are entries for which the pieces will not do."""
    tops, sums = _of_pieces(x)
    with np.errstate(divide="ignore"):
        np.add(tops, np.log(sums), out)
    return bool(np.isfinite(out).all())


def shares_reference(g: Array, x: Array, y: Array) -> Array:
    """g exp(x - y), and 0 where y is infinite."""
    with np.errstate(all="ignore"):
        return g * np.exp(np.where(np.isinf(y), -inf, x - y))


def _row_shares(rng, n, dtype):
    x, _ = _sample(rng, n, dtype)
    return rng.standard_normal((len(x), 1)).astype(dtype), x, logsumexp_reference(x, (-1,), True)


@choice(reference=shares_reference, sample=_row_shares, size=lambda g, x, y: x.size)
def shares(g: Array, x: Array, y: Array) -> Array:
    """g exp(x - y) for y of at least x, and 0 where y is infinite; the gradient of log Σ exp."""
    rows, n, lead = y.size, x.size // max(y.size, 1), x.ndim - _ones(y.shape)
    whole = y.ndim == x.ndim and y.shape[:lead] == x.shape[:lead] and g.shape == y.shape
    if x.dtype.char not in "fd" or not whole or not x.dtype == g.dtype == y.dtype or not x.size:
        return shares_reference(g, x, y)
    x = plain(x)
    out = _blank(x)
    view, flat = (rows, n), (plain(g).reshape(-1), plain(y).reshape(-1))
    kernels.shares_of_rows(rows, _chunk(rows, n), flat[0], x.reshape(view), flat[1], out.reshape(view))
    return out


def _ones(shape: tuple) -> int:
    """How many of the last axes have length one."""
    count = 0
    while count < len(shape) and shape[-1 - count] == 1:
        count += 1
    return count
