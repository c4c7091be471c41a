"""Whole functions as fused native code: captured until two runs did the same, then replayed in planned memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import require_callable


def compile(fn: Callable | None = None, *, fallback: bool = False, cache_size: int = 8, explain: bool = False) -> Any:
    """Watch a function run, twice for each kind of arguments, and then replay what it did as planned, fused kernels.

    Everything that touches tensors is part of it: forward, backward, optimizer steps, running statistics, random draws.
    What cannot be replayed, such as a branch on data, is refused with its line, or runs as it is with `fallback=True`.
    Replays for the last `cache_size` kinds of arguments are kept.  With `explain=True` the kernels of each are printed when
    it first ran.  A module stays a module, with the same parameters: only its call is compiled.
    """
    if fn is None:
        return lambda fn: compile(fn, fallback=fallback, cache_size=cache_size, explain=explain)
    require_callable(fn, "compile")
    if not isinstance(cache_size, int) or cache_size < 1:
        raise ValueError(f"compile: cache_size must be a positive whole number, got {cache_size!r}")
    from .modules import made  # only now: most programs compile nothing

    return made(fn, {"fallback": fallback, "cache_size": cache_size, "explain": explain})
