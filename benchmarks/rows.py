"""What a benchmark is: the same work done here and there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Row:
    """One comparison.  `ours` and `theirs` do the work once; `bytes` and `flops` say how much work that is."""

    group: str
    name: str
    size: str
    ours: Callable[[], object]
    theirs: Callable[[], object] | None = None
    bytes: float | None = None
    flops: float | None = None
