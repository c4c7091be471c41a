"""Code of the user's: which it is, whose objects may hold settings."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import types
from typing import Any

HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
STANDARD = os.path.dirname(os.__file__) + os.sep
OURS = ("nn", "optim")  # packages beside this one, whose classes and functions stay as they are
EVERY = "*"  # stands for all names that an object has
ABSENT = "?"  # stands for names that an object or a module has not, but may have the next time
COMPUTED = {
    "getattr": "vars", "setattr": EVERY, "__dict__": EVERY, "vars": EVERY, "dir": "vars",  # names of any kind
    "hasattr": ABSENT, "AttributeError": ABSENT, "NameError": ABSENT, "globals": ABSENT, "Exception": ABSENT,
}  # fmt: skip
HOLDERS = ("types", "argparse", "collections", "builtins", "functools", "enum", "configparser")


@functools.cache
def ours(file: str) -> bool:
    """Whether a file is of one of our packages."""
    root = os.path.dirname(HERE.rstrip(os.sep))
    return file.startswith(tuple(os.path.join(root, name) + os.sep for name in (*OURS, "autograd_core")))


@functools.cache
def of_user(file: str) -> bool:
    """Whether a file is neither ours, nor Python's own, nor NumPy's."""
    parts = file.split(os.sep)
    if file.startswith(("<replay", "<frozen", "<loop", "<nest", "<elementwise")) or file == "<":
        return False
    if file.startswith(HERE):
        return False
    if "site-packages" in parts:
        return not {"numpy", "numba", "llvmlite", "scipy", "torch", "_pytest", "pluggy", "hypothesis"} & set(parts)
    return not file.startswith(STANDARD)


@functools.cache
def followed(module: str) -> bool:
    """Whether objects of a class from this module may hold settings of the user's."""
    if module in HOLDERS:
        return True
    file = getattr(sys.modules.get(module), "__dict__", {}).get("__file__")
    return module == "__main__" or (file is not None and of_user(file))


def parameters(code: types.CodeType) -> tuple[str, ...]:
    """The names of what a piece of code is given, those of what more it is given among them."""
    more = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]


def of_ours(value: Any) -> bool:
    """Whether a function or class is of our packages."""
    return (value.__module__ or "").partition(".")[0] in (*OURS, "autograd_core")
