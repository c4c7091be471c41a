"""Which axes: the one place where `dim` is read, `axis` accepted, and negative numbers made of both.

Primitives get axes counted from the end, so that a batch axis in front leaves them valid.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from ..op import called


def one_axis(ndim: int, dim: Any, name: str) -> int:
    """dim counted from the end, or an IndexError that says what it may be."""
    try:
        dim = operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}") from None
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise IndexError(
            f"{name}: dim {dim} is out of range for a tensor with {ndim} axes "
            f"(use {-max(ndim, 1)} to {max(ndim, 1) - 1})"
        )
    return dim if dim < 0 else dim - max(ndim, 1)


def all_axes(ndim: int, dim: Any, name: str) -> tuple[int, ...]:
    """The axes meant by None (all), a number or a sequence of numbers, counted from the end; none twice."""
    if ndim == 0 and dim in (None, 0, -1, (), (0,), (-1,)):
        return ()
    if dim is None:
        return tuple(range(-ndim, 0))
    axes = (
        tuple(one_axis(ndim, d, name) for d in dim) if isinstance(dim, (tuple, list)) else (one_axis(ndim, dim, name),)
    )
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: dim {dim} names an axis twice")
    return axes


def spelled(function: Callable) -> Callable:
    """The function with NumPy's spellings `axis` and `keepdims` accepted for `dim` and `keepdim`.

    What is no tensor at all is noticed when something is asked of it that only tensors have.
    """
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "op"):
        return function
    if "dim" not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return guarded(function)

    @functools.wraps(function)
    def call(*args, **options):
        if "axis" in options:
            options["dim"] = options.pop("axis")
        if "keepdims" in options:
            options["keepdim"] = options.pop("keepdims")
        try:
            return function(*args, **options)
        except (AttributeError, TypeError) as error:
            raise unlike_a_tensor(function.__name__, args, error) from error

    return call


def guarded(function: Callable) -> Callable:
    """The function as it is called by name; as a method it needs no guard, which costs a little: `as_method`."""

    @functools.wraps(function)
    def call(*args, **options):
        try:
            return function(*args, **options)
        except (AttributeError, TypeError) as error:
            raise unlike_a_tensor(function.__name__, args, error) from error

    call.as_method = function
    return call


def unlike_a_tensor(name: str, args: tuple, error: Exception) -> Exception:
    """The error of a function that was given something else than a tensor, if that is what went wrong."""
    kinds = (str, bytes, list, tuple, dict, set, int, float, complex, type(None))
    strange = [a for a in args if isinstance(a, kinds) and f"'{type(a).__name__}'" in str(error)]
    if not strange or not str(error).startswith(("'", "unsupported operand")):
        return error
    kind = type(strange[0]).__name__
    given = f"{kind} {strange[0]!r:.40}"
    return TypeError(f"{called(name)}: expected a tensor or an array, got {given}; make one with ag.tensor(...)")
