"""Functions that remember what they made for a shape, all of them together within a number of bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable

ROOM = 128 << 20  # bytes that may be remembered, and besides those what the latest call has made

_functions: list = []
_held = [0]


def remembering(maxsize: int, typed: bool = False) -> Callable:
    """`functools.lru_cache` for what counts its bytes with `hold`."""

    def declare(function: Callable) -> Callable:
        _functions.append(cached := functools.lru_cache(maxsize, typed)(function))
        return cached

    return declare


def hold(*sizes: int) -> None:
    """Count so many bytes more; if there were too many before, all is forgotten first (and made again when needed)."""
    if _held[0] > ROOM:
        for function in _functions:
            function.cache_clear()
        _held[0] = 0
    _held[0] += sum(sizes)
