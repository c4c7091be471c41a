"""Polynomials as their coefficients, the highest power first."""

from __future__ import annotations

import numpy as np

from ..ops.linalg import pinv
from .creation import full_like
from .operands import F, common, inexact, operand, rows, spread
from .products import convolve
from .shapes import concatenate, ravel


def polyval(p, x):
    x = operand(x)
    coefficients = rows(p)
    y = full_like(x, 0, dtype=common(x, *coefficients)[0].dtype)
    for c in coefficients:
        y = y * x + c
    return y


def polyadd(a1, a2):
    a, b = common(ravel(a1), ravel(a2))
    n = max(a.shape[0], b.shape[0])
    lead = lambda v: F.cat([np.zeros(n - v.shape[0], v.dtype), v], 0)
    return lead(a) + lead(b)


polysub = lambda a1, a2: polyadd(a1, -ravel(a2))
polymul = lambda a1, a2: convolve(a1, a2)


def polyder(p, m=1):
    p = operand(p)
    for _ in range(m):
        p, powers = common(p[:-1], np.arange(p.shape[0] - 1, 0, -1))
        p = p * powers
    return p


def polyint(p, m=1, k=None):
    p = inexact(p)
    k = ravel(0.0 if k is None else k)
    k = spread(k, (m,)) if k.shape[0] == 1 else k
    for i in range(m):
        p, powers = common(p, np.arange(p.shape[0], 0, -1))
        p = concatenate((p / powers, k[i : i + 1]))
    return p


def vander(x, N=None, increasing=False):
    x = operand(x)
    x, powers = common(x, np.arange(x.shape[0] if N is None else N))
    y = F.pow(x.reshape((-1, 1)), powers)
    return y if increasing else F.flip(y, (1,))


def polyfit(x, y, deg, w=None):
    x, y = inexact(x), inexact(y)
    a, b = vander(x, deg + 1), y
    if w is not None:
        w = inexact(w)
        a, b = a * w.reshape((-1, 1)), b * w.reshape((-1,) + (1,) * (y.ndim - 1))
    scale = F.sqrt(F.sum(a * a, dim=0))
    c = F.matmul(pinv(a / scale), b)
    return c / scale.reshape((-1,) + (1,) * (y.ndim - 1))
