"""Covariances and histograms."""

from __future__ import annotations

import builtins

import numpy as np

from .creation import linspace
from .differences import diff
from .operands import F, cast, inexact, needs_grad, operand, pick, plain
from .reductions import max, min
from .shapes import concatenate, ravel, squeeze, transpose


def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, dtype=None):
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"cov: ddof must be an integer, got {ddof}")
    ddof = (0 if bias else 1) if ddof is None else ddof
    parts = [operand(v) for v in (m, y) if v is not None]
    dtype = dtype or np.result_type(*(p.dtype for p in parts), np.float64)
    rowed = lambda v: v.reshape((1, -1)) if v.ndim < 2 else v if rowvar else transpose(v)
    x = concatenate([rowed(cast(p, dtype)) for p in parts], 0)
    w = None if fweights is None else inexact(fweights)
    if aweights is not None:
        w = inexact(aweights) if w is None else w * inexact(aweights)
    total = x.shape[1] if w is None else F.sum(w)
    center = (F.sum(x, dim=1) if w is None else F.matmul(x, cast(w, dtype))) / total
    if aweights is None or ddof == 0:
        spare = total - ddof
    else:
        spare = total - ddof * F.sum(w * inexact(aweights)) / total
    x = x - center.reshape((-1, 1))
    weighted = x if w is None else x * w
    return squeeze(F.matmul(weighted, F.conj(transpose(x))) / spare)


def corrcoef(x, y=None, rowvar=True, dtype=None):
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    d = F.sqrt(F.real(F.diagonal(c)))
    c = c / d.reshape((-1, 1)) / d.reshape((1, -1))
    return c if c.dtype.kind == "c" else F.clamp(c, -1, 1)


def bincount(x, weights=None, minlength=0):
    x = operand(x)
    if weights is None:
        return F.bincount(x, minlength=minlength)
    length = builtins.max(int(plain(x).max(initial=-1)) + 1, minlength)
    return F.index_add(np.zeros(length), 0, x, cast(operand(weights), np.float64))


def histogram_bin_edges(a, bins=10, range=None, weights=None):
    if not isinstance(bins, (int, str)):
        return operand(bins)
    edges = np.histogram_bin_edges(plain(a), bins, range, None if weights is None else plain(weights))
    if range is not None or not needs_grad(a) or plain(a).size == 0 or plain(a).min() == plain(a).max():
        return edges
    return linspace(min(a), max(a), len(edges))


def histogram(a, bins=10, range=None, density=None, weights=None):
    edges = histogram_bin_edges(a, bins, range, weights)
    if not needs_grad(weights):
        counts, _ = np.histogram(plain(a), plain(edges), None, density, None if weights is None else plain(weights))
        return counts, edges
    where, n = np.searchsorted(plain(edges), plain(a).ravel(), "right") - 1, edges.shape[0] - 1
    where[plain(a).ravel() == plain(edges)[-1]] = n - 1
    inside = np.flatnonzero((where >= 0) & (where < n))
    counts = cast(bincount(where[inside], pick(ravel(weights), inside), n), operand(weights).dtype)
    return counts / diff(edges) / F.sum(counts) if density else counts, edges
