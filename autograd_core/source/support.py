"""What generated source calls: plain loops, compiled by Numba together with it."""

from __future__ import annotations

import math

import numpy as np


def fit_1d(g, x):
    """g in the shape of x, summed where broadcasting enlarged it."""
    if g.shape[0] != x.shape[0]:
        y = np.zeros(1, g.dtype)
        y[0] = np.sum(g)
        return y
    return g


def fit_2d(g, x):
    """The same of matrices."""
    if g.shape[0] != x.shape[0]:
        g = np.sum(g, axis=0).reshape((1, g.shape[1]))
    if g.shape[1] != x.shape[1]:
        g = np.sum(g, axis=1).reshape((g.shape[0], 1))
    return g


def fit_3d(g, x):
    """The same of arrays with three axes."""
    if g.shape[0] != x.shape[0]:
        g = np.sum(g, axis=0).reshape((1, g.shape[1], g.shape[2]))
    if g.shape[1] != x.shape[1]:
        g = np.sum(g, axis=1).reshape((g.shape[0], 1, g.shape[2]))
    if g.shape[2] != x.shape[2]:
        g = np.sum(g, axis=2).reshape((g.shape[0], g.shape[1], 1))
    return g


def others(x):
    """Of each entry, the product of all others."""
    n = x.shape[0]
    y = np.ones(n)
    before, after = 1.0, 1.0
    for i in range(n):
        y[i] *= before
        before *= x[i]
        y[n - 1 - i] *= after
        after *= x[n - 1 - i]
    return y


def digamma(x):
    """The derivative of lgamma: by reflection and recurrence to where its series is exact."""
    y = 0.0
    if x <= 0.0:
        y = -math.pi / math.tan(math.pi * x)
        x = 1.0 - x
    while x < 10.0:
        y -= 1.0 / x
        x += 1.0
    s = 1.0 / (x * x)
    series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132)))))
    return y + math.log(x) - 0.5 / x - series


NAMES = ("fit_1d", "fit_2d", "fit_3d", "others", "digamma")
