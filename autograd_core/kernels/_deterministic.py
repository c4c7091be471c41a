"""Whether results must have the same bits for any number of threads: they always have."""

from __future__ import annotations

__all__ = ["are_deterministic_algorithms_enabled", "use_deterministic_algorithms"]

_enabled = False


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that have the same bits in every run.

    Nothing has to change for that, and it costs nothing: work is cut by its size alone, whatever the number of threads.
    """
    global _enabled
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: expected True or False, got {mode!r}")
    _enabled = mode


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was last told."""
    return _enabled
