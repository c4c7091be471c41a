"""Losses that are one sum over all entries: squared differences, and cross entropy of truth values given log-odds.

Sums are made chunk by chunk, and the chunks' sums added in order.
"""

from __future__ import annotations

import numpy as np

from ._jit import Kernel, Late, choice, kernel, plain
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL
from .reduce import DOUBLE, SINGLE, at
from .softmax import GRAIN, exp_below
from .vector_math import like, log1p

blank, entries, for_chunks = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_native", "for_chunks")


@kernel(chunks=True, written=True)
def squared_gap_sums(begin, end, a, b, step, parts):
    """Σ (a - b)² of each chunk."""
    a, b, k = a[begin:end], b[begin:end], begin // step
    total = a.dtype.type(0)
    for i in range(len(a)):
        d = a[i] - b[i]
        total += d * d
    parts[k] = total


@kernel(chunks=True, written=True)
def gap_times(begin, end, c, a, b, out):
    """c (a - b)"""
    a, b, out = a[begin:end], b[begin:end], out[begin:end]
    for i in range(len(a)):
        out[i] = c * (a[i] - b[i])


@kernel(chunks=True, written=True)
def logit_loss_sums(begin, end, x, y, step, parts):
    """Σ log(1 + exp(x)) - x y of each chunk, without overflow."""
    x, y, k = x[begin:end], y[begin:end], begin // step
    zero = x.dtype.type(0)
    total = zero
    for i in range(len(x)):
        v = x[i]
        total += (v if v > zero else zero) - v * y[i] + log1p(exp_below(-abs(v)))
    parts[k] = total


@kernel(chunks=True, written=True)
def logit_gap_times(begin, end, c, x, y, out):
    """c (1 / (1 + exp(-x)) - y)"""
    x, y, out = x[begin:end], y[begin:end], out[begin:end]
    one = like(c, 1)
    for i in range(len(x)):
        e = exp_below(-abs(x[i]))
        s = (e if x[i] < like(c, 0) else one) / (one + e)
        out[i] = c * (s - y[i])


def summing(sums: Kernel, grain: int) -> tuple[Kernel, Kernel]:
    """The kernels that make one number of all of two arrays of either type: the sums of chunks, added in order."""

    def whole(dtype: np.dtype) -> Kernel:
        zero = dtype.type(0)

        @kernel(numbers="iaaaid", name=f"{sums.name.rpartition('.')[2]}_{dtype.char}", written=True)
        def sum_all(pool, a, b, out, n, scale):
            parts, y, total = blank(zero, (n + grain - 1) // grain), entries(zero, out, 1), zero
            for_chunks(pool, sums, n, grain, (entries(zero, a, n), entries(zero, b, n), grain, parts))
            for k in range(len(parts)):
                total += at(parts, k)
            y[0] = total * y.dtype.type(scale)

        return sum_all

    return whole(SINGLE), whole(DOUBLE)


def scaling(times: Kernel, grain: int) -> tuple[Kernel, Kernel]:
    """The kernels that do all of two arrays of either type, with a number before them."""

    def whole(dtype: np.dtype) -> Kernel:
        zero = dtype.type(0)

        @kernel(numbers="iaaaid", name=f"{times.name.rpartition('.')[2]}_{dtype.char}", written=True)
        def scale_all(pool, a, b, out, n, c):
            y = entries(zero, out, n)
            for_chunks(pool, times, n, grain, (y.dtype.type(c), entries(zero, a, n), entries(zero, b, n), y))

        return scale_all

    return whole(SINGLE), whole(DOUBLE)


SQUARES, GAPS = summing(squared_gap_sums, CHUNK), scaling(gap_times, CHUNK)
LOGITS, LOGIT_GAPS = summing(logit_loss_sums, GRAIN), scaling(logit_gap_times, GRAIN)


def _fit(a, b):
    dtype = a.dtype
    return (dtype is SINGLE or dtype is DOUBLE) and b.dtype is dtype and a.shape == b.shape and a.size


def _pair(rng, n, dtype):
    return rng.standard_normal(n).astype(dtype), rng.standard_normal(n).astype(dtype)


def _triple(rng, n, dtype):
    return np.asarray(rng.standard_normal(), dtype), *_pair(rng, n, dtype)


def squared_gaps_reference(a, b, scale=1.0):
    """scale * Σ (a - b)²"""
    d = a - b
    return np.asarray(np.add.reduce(d * d, axis=None) * a.dtype.type(scale))


def scaled_gap_reference(c, a, b):
    """c (a - b)"""
    return c * (a - b)


def logit_losses_reference(x, y, scale=1.0):
    """Σ log(1 + exp(x)) - x y"""
    with np.errstate(over="ignore"):
        each = np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))
    return np.asarray(np.add.reduce(each, axis=None) * x.dtype.type(scale))


def scaled_logit_gap_reference(c, x, y):
    """c (1 / (1 + exp(-x)) - y)"""
    e = np.exp(-np.abs(x))
    return c * (np.where(x < 0, e, np.ones((), e.dtype)) / (1 + e) - y)


def _made(kernels: tuple, a: np.ndarray, b: np.ndarray, number: float, out: np.ndarray) -> np.ndarray:
    """out, filled by the kernel for its type."""
    a, b = a if a.flags.carray else plain(a), b if b.flags.carray else plain(b)
    kernels[out.dtype is DOUBLE](POOL, id(a), id(b), id(out), a.size, number)
    return out


@choice(reference=squared_gaps_reference, sample=_pair)
def squared_gaps(a, b, scale=1.0):
    """scale * Σ (a - b)²"""
    return _made(SQUARES, a, b, scale, np.empty((), a.dtype)) if _fit(a, b) else squared_gaps_reference(a, b, scale)


@choice(reference=scaled_gap_reference, sample=_triple, size=lambda c, a, b: a.size)
def scaled_gap(c, a, b):
    """c (a - b)"""
    fit = _fit(a, b) and not c.ndim
    return _made(GAPS, a, b, c, empty(a.shape, a.dtype)) if fit else scaled_gap_reference(c, a, b)


@choice(reference=logit_losses_reference, sample=_pair)
def logit_losses(x, y, scale=1.0):
    """scale * Σ log(1 + exp(x)) - x y"""
    return _made(LOGITS, x, y, scale, np.empty((), x.dtype)) if _fit(x, y) else logit_losses_reference(x, y, scale)


@choice(reference=scaled_logit_gap_reference, sample=_triple, size=lambda c, a, b: a.size)
def scaled_logit_gap(c, x, y):
    """c (1 / (1 + exp(-x)) - y)"""
    fit = _fit(x, y) and not c.ndim
    return _made(LOGIT_GAPS, x, y, c, empty(x.shape, x.dtype)) if fit else scaled_logit_gap_reference(c, x, y)
