"""Types of entries: NumPy's own under PyTorch's names, and PyTorch's rules for mixing them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from .errors import called
from .op import Traced

__all__ = [
    "bool", "cdouble", "cfloat", "complex128", "complex64", "double", "float", "float16", "float32", "float64",
    "get_default_dtype", "half", "int", "int16", "int32", "int64", "int8", "long", "promote_types", "result_type",
    "set_default_dtype", "short", "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
int8, int16, int32, int64 = np.dtype("int8"), np.dtype("int16"), np.dtype("int32"), np.dtype("int64")
uint8, uint16, uint32, uint64 = np.dtype("uint8"), np.dtype("uint16"), np.dtype("uint32"), np.dtype("uint64")
bool = np.dtype("bool")
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")
half, float, double, short, int, long = float16, float32, float64, int16, int32, int64
cfloat, cdouble = complex64, complex128

_default = float32


def set_default_dtype(dtype: Any) -> None:
    """The type that Python floats become, and that integers become where a result cannot be an integer."""
    global _default
    dtype = as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"set_default_dtype: needs a floating-point type, got {dtype}")
    _default = dtype


def get_default_dtype() -> np.dtype:
    """The type that Python floats become."""
    return _default


def default_complex() -> np.dtype:
    """The complex type whose parts have the default type."""
    return complex128 if _default == float64 else complex64


_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
_SCALARS: dict[type, builtins.int] = {builtins.bool: 0, builtins.int: 1, builtins.float: 2, complex: 3}


def promote_types(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smaller type that holds both; an integer never widens a float."""
    if not (isinstance(a, np.dtype) and isinstance(b, np.dtype)):
        a, b = as_dtype(a), as_dtype(b)
    if (a.kind in "fc") != (b.kind in "fc"):
        return a if a.kind in "fc" else b
    wide = np.result_type(a, b)
    return int64 if wide.kind == "f" and a.kind in "ui" else wide  # uint64 with int64


def result_type(*values: Any) -> np.dtype:
    """The type of a result of these: arrays decide, 0-d arrays and then numbers only if they are of a higher kind."""
    arrays, scalars, numbers = [], [], []
    for v in values:
        if isinstance(v, (Traced, np.ndarray)):
            (arrays if v.ndim else scalars).append(v.dtype)
        elif v is not None:
            numbers.append(v if isinstance(v, np.dtype) else _of_number(v))
    results = [reduce(promote_types, dtypes) for dtypes in (arrays, scalars, numbers) if dtypes]
    return reduce(_outrank, reversed(results))


def _outrank(lower: np.dtype, higher: np.dtype) -> np.dtype:
    """The type that `higher` and `lower` make when `higher` has the say."""
    if higher.kind == "c" or (higher.kind == "f" and lower.kind != "c"):
        return higher
    if higher.kind == "f":
        return complex128 if higher == float64 else complex64
    return promote_types(higher, lower) if higher.kind == "b" or lower.kind in "fc" else higher


def _of_number(v: Any) -> np.dtype:
    kind = next((k for t, k in _SCALARS.items() if isinstance(v, t)), None)
    if kind is None and isinstance(v, np.generic):
        kind = _KINDS.get(v.dtype.kind)
    if kind is None:
        raise TypeError(
            f"{called('result_type')}: expected tensors, arrays or numbers, got {type(v).__name__} {v!r:.40}"
        )
    return (bool, int64, _default, default_complex())[kind]


def promoted(values: Sequence, inexact: builtins.bool) -> list:
    """Values brought to their common type; with `inexact`, integers become the default floating-point type."""
    target = result_type(*values)
    if inexact and target.kind in "biu":
        target = _default
    return [_cast(v, target) for v in values]


def _cast(v: Any, target: np.dtype) -> Any:
    if isinstance(v, (Traced, np.ndarray)):
        return v if v.dtype == target else v.astype(target)
    return v if v is None else np.asarray(v, target)


def as_dtype(dtype: Any) -> np.dtype:
    """A type however it is spelled: ours, NumPy's, Python's (float is the default type), or a name."""
    if dtype is builtins.float or dtype is complex:
        return _default if dtype is builtins.float else default_complex()
    try:
        result = np.dtype(dtype)
    except TypeError:
        known = "use one of ag.float32, ag.float64, ag.int64, ag.bool ..."
        raise TypeError(f"{called('dtype')}: not a type of entries: {dtype!r}; {known}") from None
    if result.kind not in _KINDS:
        raise TypeError(f"{called('dtype')}: tensors hold numbers, not {result}")
    return result
