"""Losses that are one sum over all entries: squared differences, and cross entropy of truth values given log-odds.

Sums are made chunk by chunk, and the chunks' sums added in order.
"""

from __future__ import annotations

import numpy as np

from ._jit import choice, kernel, plain
from ._memory import empty
from ._sizes import CHUNK
from ._steps import add_all
from .softmax import GRAIN, exp_below
from .vector_math import like, log1p


@kernel(chunks=True)
def squared_gap_sums(begin, end, a, b, step, parts):
    """Σ (a - b)² of each chunk."""
    a, b, k = a[begin:end], b[begin:end], begin // step
    total = a.dtype.type(0)
    for i in range(len(a)):
        d = a[i] - b[i]
        total += d * d
    parts[k] = total


@kernel(chunks=True)
def gap_times(begin, end, c, a, b, out):
    """c (a - b)"""
    a, b, out = a[begin:end], b[begin:end], out[begin:end]
    for i in range(len(a)):
        out[i] = c * (a[i] - b[i])


@kernel(chunks=True)
def logit_loss_sums(begin, end, x, y, step, parts):
    """Σ log(1 + exp(x)) - x y of each chunk, without overflow."""
    x, y, k = x[begin:end], y[begin:end], begin // step
    zero = x.dtype.type(0)
    total = zero
    for i in range(len(x)):
        v = x[i]
        total += (v if v > zero else zero) - v * y[i] + log1p(exp_below(-abs(v)))
    parts[k] = total


@kernel(chunks=True)
def logit_gap_times(begin, end, c, x, y, out):
    """c (1 / (1 + exp(-x)) - y)"""
    x, y, out = x[begin:end], y[begin:end], out[begin:end]
    one = like(c, 1)
    for i in range(len(x)):
        e = exp_below(-abs(x[i]))
        s = (e if x[i] < like(c, 0) else one) / (one + e)
        out[i] = c * (s - y[i])


def _fit(a, b):
    return a.dtype.char in "fd" and a.dtype == b.dtype and a.shape == b.shape and a.size


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


def _summed(sums, grain, a, b, scale):
    a, b = plain(a).reshape(-1), plain(b).reshape(-1)
    parts = np.empty(-(-a.size // grain), a.dtype)
    sums(a.size, grain, a, b, grain, parts)
    total = np.empty((), a.dtype)
    add_all(parts, a.dtype.type(scale), total)
    return total


def _scaled(times, grain, c, a, b):
    a, b = plain(a), plain(b)
    out = empty(a.shape, a.dtype)
    times(a.size, grain, a.dtype.type(c), a.reshape(-1), b.reshape(-1), out.reshape(-1))
    return out


@choice(reference=squared_gaps_reference, sample=_pair)
def squared_gaps(a, b, scale=1.0):
    """scale * Σ (a - b)²"""
    return _summed(squared_gap_sums, CHUNK, a, b, scale) if _fit(a, b) else squared_gaps_reference(a, b, scale)


@choice(reference=scaled_gap_reference, sample=_triple, size=lambda c, a, b: a.size)
def scaled_gap(c, a, b):
    """c (a - b)"""
    fit = _fit(a, b) and not np.ndim(c)
    return _scaled(gap_times, CHUNK, c, a, b) if fit else scaled_gap_reference(c, a, b)


@choice(reference=logit_losses_reference, sample=_pair)
def logit_losses(x, y, scale=1.0):
    """scale * Σ log(1 + exp(x)) - x y"""
    return _summed(logit_loss_sums, GRAIN, x, y, scale) if _fit(x, y) else logit_losses_reference(x, y, scale)


@choice(reference=scaled_logit_gap_reference, sample=_triple, size=lambda c, a, b: a.size)
def scaled_logit_gap(c, x, y):
    """c (1 / (1 + exp(-x)) - y)"""
    fit = _fit(x, y) and not np.ndim(c)
    return _scaled(logit_gap_times, GRAIN, c, x, y) if fit else scaled_logit_gap_reference(c, x, y)
