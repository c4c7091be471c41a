"""Elementary functions of small arrays in plain NumPy, to the bounds that the loops of `vector_math` hold on large ones.

NumPy's own of float32 are off by up to four units in the last place, and a formula of several steps by more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .vector_trig import pi

NARROW, DOUBLE = {np.dtype(np.float16), np.dtype(np.float32)}, np.dtype(np.float64)
FAR = 700  # exp of it, of its negative, and a thousand times either, are ordinary numbers of float64
HUGE = 1e8  # up to where sines of float64 keep all digits in all C libraries


def named(function: Callable) -> Callable:
    """A decorator: the name of the function, and its docstring unless that tells of a ufunc's arguments."""
    left = ("__doc__",) * isinstance(function, np.ufunc)
    return functools.wraps(function, [n for n in functools.WRAPPER_ASSIGNMENTS if n not in left])


def in_double(function: Callable) -> Callable:
    """The function, of narrower floating-point numbers computed in float64 and rounded once."""

    @named(function)
    def call(x: Any, **params: Any) -> Any:
        dtype = getattr(x, "dtype", None)
        if dtype in NARROW:
            return function(x.astype(DOUBLE), **params).astype(dtype)
        return function(x, **params)

    return call


exp, exp2, expm1, log, log2, log10, log1p, sinh, cosh = map(
    in_double, (np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sinh, np.cosh)
)


@functools.cache
def _quarter() -> int:
    """A quarter turn, so often 2**-1300."""
    return pi(1300) >> 1


def _less_quarters(x: float) -> tuple[int, float]:
    """The number of quarter turns that is nearest to x, and by how much x is more."""
    above, below = x.as_integer_ratio()
    half = _quarter() >> 1
    n, left = divmod((above << 1300) // below + half, _quarter())
    return n, (left - half) / (1 << 1300)


def _far_sin(x: float, turns: int) -> float:
    """The sine of x and so many quarter turns."""
    n, r = _less_quarters(x)
    n += turns
    y = math.cos(r) if n & 1 else math.sin(r)
    return -y if n & 2 else y


def circular(function: np.ufunc, turns: int) -> Callable:
    """NumPy's function, but of huge float64 in our way: C libraries miss values near 0 there by up to 1e5 units."""

    @named(function)
    def call(x: Any) -> Any:
        y = function(x)
        if getattr(x, "dtype", None) is not DOUBLE or np.vdot(x, x) < HUGE * HUGE:
            return y
        y, huge = np.asarray(y), np.isfinite(x) & (np.abs(x) >= HUGE)
        y[huge] = [_far_sin(v, turns) for v in x[huge].tolist()]
        return y

    return call


sin, cos = circular(np.sin, 0), circular(np.cos, 1)


def damped(y: Any, x: Any, more: Any = None) -> Any:
    """y * sigmoid(x + more) for real x, rounded to a subnormal number in the last step alone."""
    least = 0.0 - x  # which truth values allow, as -x does not
    e = np.exp(np.minimum(least, FAR))
    if more is not None:
        e += e * np.expm1(-more)
    return y / (1 + e) / np.exp(np.maximum(least - FAR, 0))


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
