"""Which axes: the one place where `dim` is read, `axis` accepted, and negative numbers made of both.

Primitives get axes counted from the end, so that a batch axis in front leaves them valid.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

from ..errors import called, of_another_library
from ..op import Signature


def one_axis(ndim: int, dim: Any, name: str) -> int:
    """dim counted from the end, or an IndexError that says what it may be."""
    if dim.__class__ is int and -ndim <= dim < ndim:
        return dim if dim < 0 else dim - ndim
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


SPELLINGS = {
    "broadcast_to": {"size": "shape"},
    "diagonal": {"axis1": "dim1", "axis2": "dim2"},
    "dsplit": {"sections": "indices_or_sections", "indices": "indices_or_sections"},
    "expand": {"size": "sizes"},
    "flip": {"axis": "dims"},
    "hsplit": {"sections": "indices_or_sections", "indices": "indices_or_sections"},
    "permute": {"axes": "dims"},
    "roll": {"axis": "dims"},
    "rot90": {"axes": "dims"},
    "split": {"tensor": "x", "split_size": "split_size_or_sections"},
    "tensor_split": {"sections": "indices_or_sections", "indices": "indices_or_sections"},
    "tile": {"reps": "dims"},
    "view": {"size": "shape"},
    "vsplit": {"sections": "indices_or_sections", "indices": "indices_or_sections"},
    "where": {"input": "a", "other": "b", "x": "a", "y": "b"},
}  # of parameters, by function: what PyTorch or NumPy calls them, and what they are called here


def spelled(function: Callable) -> Callable:
    """The function under all names of its parameters: PyTorch's (`input`, `other`, ...), NumPy's `axis` and `keepdims`.

    What is no tensor at all is noticed when something is asked of it that only tensors have.
    """
    if getattr(function, "__code__", None) is None or hasattr(function, "as_method"):
        return function
    op, signature = getattr(function, "op", None), Signature(function)
    if op and not signature.takes_rest:
        return function  # a shortcut, whose parameters have PyTorch's names
    positional = op.inputs if op else signature.positional
    star = "" if op or not signature.variadic else signature.variadic[0]
    known, name = {*positional, *signature.keywords, star}, function.__name__
    usual = {
        "axis": "dim",
        "keepdims": "keepdim",
        "input": next((n for n in positional if n in "xaA"), ""),
        "other": "b",
    }
    names = {n: p for n, p in usual.items() if p in known and p and n not in known} | SPELLINGS.get(name, {})

    def respelled(args, options):
        for n in names.keys() & options.keys():
            if names[n] in options:
                raise TypeError(f"{name}: {n} and {names[n]} are two names of one argument; give one of them")
            options[names[n]] = options.pop(n)
        if op or star in options:
            args = (*args, *[options.pop(n) for n in (*positional[len(args) :], star) if n in options])
        return function(*args, **options)

    @functools.wraps(function)
    def call(*args, **options):
        try:
            return respelled(args, options) if options else function(*args)
        except (AttributeError, TypeError) as error:
            raise unlike_a_tensor(function, args, options, error) from error

    if not op and not star and names.keys() <= {"input"}:
        call.as_method = function  # type: ignore[attr-defined]  # it needs neither other names nor a guard
    return call


def unlike_a_tensor(function: Callable, args: tuple, options: dict, error: Exception) -> Exception:
    """The error of a function that was given something else than it takes, if that is what went wrong."""
    if (found := of_another_library([*args, *options.values()])) is not None and not hasattr(error, "explained"):
        return TypeError(f"{called(function.__name__)}: {found}")
    if not str(error).startswith(("'", "unsupported operand", "bad operand", "can't multiply")):
        return error
    kinds = (str, bytes, list, tuple, dict, set, int, float, complex, type(None))
    suspect = lambda v: isinstance(v, kinds) and (f"'{type(v).__name__}'" in str(error) or hasattr(v, "__getitem__"))
    parameters = inspect.signature(function).parameters
    for name, value in [*zip(parameters, args), *options.items()]:
        if suspect(value):
            given, who = f"{type(value).__name__} {value!r:.40}", called(function.__name__)
            if name == next(iter(parameters)):
                return TypeError(f"{who}: expected a tensor or an array, got {given}; make one with ag.tensor(...)")
            return TypeError(f"{who}: {name} cannot be {given}")
    return error
