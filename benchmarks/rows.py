"""What a benchmark is: the same work done here and there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Row:
    """One comparison.  `ours` and `theirs` do the work once; `bytes` and `flops` say how much work that is.

    `pause` is how many seconds nothing happens before either side's turn: the threads of the side before go on looking for
    work after it is done, on a core that the next then does not have.  Those of OpenMP do so for 10 milliseconds.
    """

    group: str
    name: str
    size: str
    ours: Callable[[], object]
    theirs: Callable[[], object] | None = None
    bytes: float | None = None
    flops: float | None = None
    pause: float = 0.015
