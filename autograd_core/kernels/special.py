"""What special functions on arrays are made of, in double precision: blocks, polynomials, cases; and two with logarithms.

Every polynomial of `error_function`, `gamma` and `bessel` was made for this library: the function, computed to 50 digits,
was interpolated at Chebyshev points of the interval named beside it, and the interpolant written in powers of t, which runs
from -1 to 1 over that interval, highest power first.  Everything else is a Taylor, Stirling or Euler-Maclaurin series, whose
coefficients are computed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
BLOCK = 16384  # entries at a time: the vectors of one polynomial stay in the cache


def blockwise(kernel: Callable | None = None, *, single: bool = False) -> Callable:
    """Make a function of arrays of any shape and floating-point type from one of vectors of float64.

    With `single`, the kernel has a way of its own for float32.
    """
    if kernel is None:
        return functools.partial(blockwise, single=single)

    @functools.wraps(kernel)
    def call(*args: Any, **static: Any) -> Array:
        dtype = np.result_type(*args)
        if dtype.kind == "c":
            raise _not_real(kernel.__name__, dtype)
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        work = np.float32 if single and dtype.itemsize <= 4 else np.float64
        arrays = np.broadcast_arrays(*args) if len(args) > 1 else (np.asarray(args[0]),)
        out = np.empty(arrays[0].shape, dtype)
        flat, vectors = out.reshape(-1), [a.reshape(-1) for a in arrays]
        with np.errstate(all="ignore"):
            for k in range(0, flat.size, BLOCK):
                flat[k : k + BLOCK] = kernel(*[v[k : k + BLOCK].astype(work) for v in vectors], **static)
        return out

    return call


def _not_real(name: str, dtype: np.dtype) -> TypeError:
    error = TypeError(f"{name}: expected real arguments, got {dtype}; take .real or .abs() of it first")
    error.explained = True  # type: ignore[attr-defined]  # it names the function already
    return error


def horner(coefficients: Any, t: Array) -> Array:
    """The polynomial with these coefficients, highest power first."""
    y = np.full_like(t, coefficients[0])
    for c in coefficients[1:]:
        y *= t
        y += c
    return y


def pieces(conditions: tuple, functions: tuple, *args: Array) -> Array:
    """Each function on the entries that its condition is the first to select; the last one on all that are left."""
    out, left = np.empty_like(args[0]), np.ones(args[0].shape, bool)
    for condition, function in zip((*conditions, True), functions, strict=True):
        chosen = left & condition
        if chosen.all():
            return function(*args)
        if chosen.any():
            out[chosen] = function(*[a[chosen] for a in args])
        left &= ~chosen
    return out


def constant(value: float) -> Callable:
    """The function that is `value` everywhere."""
    return lambda x, *_: np.full_like(x, value)


@blockwise
def entr(x: Array) -> Array:
    """-x log x, 0 at 0."""
    return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0.0, np.where(x < 0, -np.inf, x)))


@blockwise
def xlog1py(a: Array, b: Array) -> Array:
    """a log(1 + b), 0 where a is 0."""
    return np.where((a == 0) & ~np.isnan(b), 0.0, a * np.log1p(b))
