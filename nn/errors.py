"""Errors that arise inside a model say where: the path of the module, as `get_submodule` takes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd_core.errors import of_another_library

TOLD = (ValueError, TypeError, IndexError, RuntimeError, AttributeError)


def placed(error: Exception, module: Any, inputs: Iterable = ()) -> None:
    """Begin an error's text with the path from this module to the one in which it arose; called from the inside out."""
    if isinstance(error, (TypeError, AttributeError)) and "arose_in" not in vars(error):
        error.args = (of_another_library(inputs) or error.args[0],) if error.args else ()
    if not isinstance(error, TOLD) or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    inner, text = vars(error).setdefault("arose_in", (module, error.args[0]))
    path = next(
        (path for path, m in module.named_modules() if vars(m) is vars(inner)), None
    )  # a compiled one has its attributes
    if path is not None:
        text = text.removeprefix(f"{type(inner).__name__}: ")  # which is said anyway
        error.args = (f"{path}{' ' if path else ''}{described(inner, bool(path))}: {text}",)


def demand_type(input: Any, weight: Any, what: str = "input", fix: str = "model") -> None:
    """Raise unless an input has the type of the parameters it meets."""
    if input.dtype != weight.dtype:
        given, needed = str(input.dtype), str(weight.dtype)
        short = {"float32": ".float()", "float64": ".double()", "float16": ".half()"}
        cast = f".astype({needed!r})" if isinstance(input, np.ndarray) else short.get(needed, f".to({needed!r})")
        either = what.split()[-1] + cast
        both = f" or {fix}{short.get(given, f'.to({given!r})')}" if input.dtype.kind in "fc" else ""
        raise TypeError(f"{what} is {given}, the parameters are {needed}; {either}{both} makes them one type")


def described(module: Any, inside: bool = False) -> str:
    """A module in a few words: its class and what is printed of it, in parentheses after a path."""
    extra = module.extra_repr()
    text = type(module).__name__ + (f"({extra})" if extra and "\n" not in extra else "")
    return f"({text})" if inside else text
