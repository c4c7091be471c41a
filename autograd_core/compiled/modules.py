"""Compiled modules: a module in all it is and holds, whose call is compiled."""

from __future__ import annotations

import copy
import functools
from typing import Any

from .function import Compiled
from .guards import is_module


@functools.cache
def kind_of(cls: type) -> type:
    """A class of the modules of a class whose calls are compiled: it shows and holds what its base does."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.compiled(*args, **kwargs)

    def copied(self: Any, memo: dict) -> Any:
        c = self.compiled
        return module(copy.deepcopy(c.fn, memo), c.options)

    def parts(self: Any) -> tuple:
        return module, (self.compiled.fn, self.compiled.options)

    shared = ("cache_info", "cache_clear", "memory_plan", "source", "explain")
    methods = {n: forwarded(n) for n in shared if not hasattr(cls, n)}
    inside = {"__slots__": ("compiled",), "__call__": call, "__deepcopy__": copied, "__reduce__": parts}
    named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls,), inside | methods | named)


def forwarded(name: str) -> Any:
    """A method that is that of the compiled function."""

    @functools.wraps(getattr(Compiled, name))
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.compiled, name)(*args, **kwargs)

    return method


def made(fn: Any, options: dict) -> Any:
    """A function or a module, compiled."""
    return module(fn, options) if is_module(fn) else Compiled(fn, **options)


def module(fn: Any, options: dict) -> Any:
    """A module that shares all attributes with another, and whose call is compiled."""
    cls = type(fn)
    made = object.__new__(kind_of(cls))
    object.__setattr__(made, "__dict__", vars(fn))
    object.__setattr__(made, "compiled", Compiled(fn, **options))
    return made
