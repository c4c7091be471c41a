"""Elementary functions of small arrays in plain NumPy, to the bounds that the loops of `vector_math` hold on large ones.

NumPy's own of float32 are off by up to four units in the last place, and a formula of several steps by more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

NARROW, DOUBLE = {np.dtype(np.float16), np.dtype(np.float32)}, np.dtype(np.float64)
FAR = 700  # exp of it, of its negative, and a thousand times either, are ordinary numbers of float64


def in_double(function: Callable) -> Callable:
    """The function, of narrower floating-point numbers computed in float64 and rounded once."""

    @functools.wraps(function)
    def call(x: Any, **params: Any) -> Any:
        dtype = getattr(x, "dtype", None)
        if dtype in NARROW:
            return function(x.astype(DOUBLE), **params).astype(dtype)
        return function(x, **params)

    return call


exp, exp2, expm1, log, log2, log10, log1p, sinh, cosh = map(
    in_double, (np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sinh, np.cosh)
)


def damped(y: Any, x: Any) -> Any:
    """y * sigmoid(x) for real x, rounded to a subnormal number in the last step alone."""
    least = 0.0 - x  # which truth values allow, as -x does not
    return y / (1 + np.exp(np.minimum(least, FAR))) / np.exp(np.maximum(least - FAR, 0))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))"""
    dtype = getattr(x, "dtype", None)
    if dtype in NARROW:
        return (1 / (1 + np.exp(np.minimum(-x.astype(DOUBLE), FAR)))).astype(dtype)
    if np.iscomplexobj(x):
        with np.errstate(over="ignore"):  # an exponential that is too large makes 0, as it should
            return 1 / (1 + np.exp(-x))
    e = np.exp(-np.abs(0.0 - x))  # of truth values too
    return np.where(np.less(x, 0), e, 1.0) / (1 + e)
