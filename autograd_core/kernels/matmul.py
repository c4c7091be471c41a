"""The product of matrices: any strides, any leading axes, with a row added and an activation."""

from __future__ import annotations

import numpy as np

from ._jit import COMPILED, choice
from ._memory import LEAST as MEMORY
from ._memory import empty
from ._products import MOST_DEPTH, PACKED, large, product
from ._sizes import LEAST
from ._threads import ADDRESS as POOL
from .skinny import PIECE, skinny

LARGE = LEAST["matmul.matmul"]
SINGLE, WIDE = np.dtype("f"), np.dtype("d")
RELU = 2
DOT = 10_000  # entries of vectors whose inner product OpenBLAS takes by parts, as many as it has threads
FRESH = MEMORY // 8  # entries of a result so small that its memory is not kept
PARTED, SQUARE, PARTS = 4096, 64 * 64, 16  # products for each of few results from which they are taken in so many parts
ROWWISE, SIDE = 1 << 15, 32  # products of rows by rows, and rows of each, from which OpenBLAS is slower than ours
FEW = 4  # fewer rows or columns are a matter of their own
_codes: dict[np.dtype, int | None] = {}
_tables: list[np.ndarray] = []


def two(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a @ b for two matrices of float32 or float64 that fit; None for anything else.

    Small products are OpenBLAS's, on one thread, by the shortest way that NumPy has to it.
    """
    dtype = a.dtype
    if (dtype is not SINGLE and dtype is not WIDE) or b.dtype is not dtype or a.ndim != 2 or b.ndim != 2:
        return None
    n = b.shape[1]
    size = a.size * n
    if size < LARGE and not (n == 1 and size >= DOT and len(a) == 1) and not (size >= ROWWISE and rowwise(a, b)):
        try:
            return a.dot(b)
        except ValueError:
            return None
    m, k = a.shape
    if k != len(b):
        return None
    if not COMPILED:
        return matmul.reference(a, b)
    if m < FEW or n < FEW:
        return _narrow(a, b, _codes.get(dtype) or _code(dtype))
    if size >= PACKED or (k >= PARTED and m * n <= SQUARE):
        return matmul.compiled(a, b)
    c = (np.empty if m * n < FRESH else empty)((m, n), dtype)
    return c if product(POOL, _codes.get(dtype) or _code(dtype), id(a), id(b), id(c), 0, 0) else matmul(a, b)


def rowwise(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a product of ROWWISE or more is ours though it is small: rows of a by columns of b that lie as rows."""
    return len(a) >= SIDE <= b.shape[1] and b.flags.f_contiguous and a.flags.c_contiguous and COMPILED


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """The inner product of two vectors of real numbers, on our own threads if it is long."""
    found = two(a.reshape(1, -1), b.reshape(-1, 1)) if a.size >= DOT else None
    return float(a.dot(b) if found is None else found.item())


def matmul_reference(a, b, bias=None, relu=False):
    """NumPy's own."""
    return _finished(np.matmul(a, b), bias, relu)


def _finished(y, bias, relu):
    if bias is not None:
        y += bias
    return np.maximum(y, 0, out=y) if relu else y


def work(a, b, *rest) -> int:
    """How many products of entries there are, unless each has leading axes that the other lacks."""
    return max(a.size * b.shape[-1], b.size * a.shape[-2]) if a.ndim > 1 < b.ndim else a.size * b.shape[-1]


def _sample(rng, n, dtype):
    side = max(round(n ** (1 / 3)), 1)
    return rng.standard_normal((side, side)).astype(dtype), rng.standard_normal((side, side)).astype(dtype)


@choice(reference=matmul_reference, sample=_sample, size=work)
def matmul(a, b, bias=None, relu=False):
    """relu(a @ b + bias): a (..., m, k), b (..., k, n), bias (n) or none; the leading axes broadcast."""
    dtype, a_shape, b_shape = a.dtype, a.shape, b.shape
    code = _codes.get(dtype) or _code(dtype)
    if not code or (b.dtype is not dtype and b.dtype != dtype) or len(a_shape) < 2 or len(b_shape) < 2:
        return matmul_reference(a, b, bias, relu)
    *lead, m, k = a_shape
    n = b_shape[-1]
    if k != b_shape[-2]:
        return matmul_reference(a, b, bias, relu)  # which raises
    if lead or len(b_shape) > 2:
        lead = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
    elif m < FEW or n < FEW or (k >= PARTED and m * n <= SQUARE):
        return _finished((_narrow if m < FEW or n < FEW else _in_parts)(a, b, code), bias, relu)
    c = empty((*lead, m, n), dtype)
    bias = None if bias is None else np.ascontiguousarray(bias, dtype)
    finish = 0 if bias is None else id(bias), RELU if relu else 0
    if m * n * k < PACKED or lead:
        done = product(POOL, code, id(a), id(b), id(c), *finish)
    else:
        room = empty((MOST_DEPTH * (m + n + 128),), dtype)
        done = large(POOL, code, id(a), id(b), id(c), *finish, id(room))
    return c if done else matmul(a.copy(), b.copy(), bias, relu)


def _narrow(a, b, code):
    """a @ b for a matrix with few rows or columns; inner products of two vectors are added piece by piece."""
    m, k, n = *a.shape, b.shape[1]
    c = empty((m, n) if m * n != 1 else (1, k // PIECE + 1), a.dtype)
    c.fill(0)
    if not skinny(POOL, code, id(a), id(b), id(c)):
        c = empty((m, n), a.dtype)
        if not product(POOL, code, id(a), id(b), id(c), 0, 0):
            return _narrow(a.copy(), b.copy(), code)
    return c if m * n != 1 else np.add.reduce(c, axis=1, keepdims=True)


def _in_parts(a, b, code):
    """a @ b for a small result of many products: a batch of products, of which threads take their share, added up."""
    m, k, n = *a.shape, b.shape[1]
    deep = k // PARTS
    first = deep * PARTS
    left, right = a[:, :first].reshape(m, PARTS, deep).swapaxes(0, 1), b[:first].reshape(PARTS, deep, n)
    y = np.add.reduce(matmul.compiled(left, right), axis=0)
    if first < k:
        y += np.matmul(a[:, first:], b[first:])
    return y


def _code(dtype: np.dtype):
    """The address of a table of what kernels call for a type; None if there is nothing for it."""
    if dtype.char not in "fd" or not dtype.isnative:
        return None
    from ._shared import table

    _tables.append(table(dtype))
    _codes[dtype] = _tables[-1].ctypes.data
    return _codes[dtype]
