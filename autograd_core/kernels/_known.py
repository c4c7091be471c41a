"""What Numba knows of functions and types, loaded as far as it is needed.

Before it compiles a first function Numba loads all of its own, with SciPy's linear algebra to see whether it is there: 0.3
to 0.5 s.  Written kernels need numbers, tuples and arrays.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.callconv import create_error_model
from numba.core.cpu import CPUContext
from numba.core.imputils import builtin_registry
from numba.core.registry import cpu_target
from numba.cpython import builtins, cmathimpl, iterators, mathimpl, numbers, rangeobj, slicing, tupleobj  # noqa: F401
from numba.np import arrayobj, linalg, npyimpl  # noqa: F401 - an import declares what a module has


@contextmanager
def standing_in(place: Any, name: str, value: Any) -> Iterator[None]:
    """Let a place have something else under a name."""
    had, held = name in vars(place), getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        if had:
            setattr(place, name, held)
        else:
            delattr(place, name)


class Few(CPUContext):
    """What functions are written with: Numba's own context, with which it shares what both know, but loads less."""

    def refresh(self):
        """Learn what was declared since.  Numba's own is asked to, of everything, by each function that is then met."""
        with standing_in(cpu_target.target_context, "refresh", lambda: None):
            super().refresh()
        self.install_registry(builtin_registry)  # what those functions have declared

    def load_additional_registries(self):
        """The few that are needed."""
        for place in (cmathimpl, mathimpl, npyimpl):
            self.install_registry(place.registry)


@functools.cache
def few() -> Any:
    """The context that functions are written with."""
    target = cpu_target.target_context
    context = target.subtarget(enable_nrt=True, error_model=create_error_model("numpy", target))
    context.__class__ = Few
    context.refresh()
    return context


@functools.cache
def load_all() -> bool:
    """Have Numba load all it knows of; whether that was done, once, by this call."""
    has_scipy = importlib.util.find_spec("scipy") is not None
    with standing_in(linalg, "ensure_blas", (lambda: None) if has_scipy else linalg.ensure_blas):
        cpu_target.target_context.load_additional_registries()
    few().refresh()
    cpu_target.target_context.refresh()
    return True
