"""What `x[t]` gives for a tensor t of no axes: a view where the function runs as it is, a copy in a replay.

The place is known only when the replay reads t.  A copy is as good as the view unless one of the two is written to and the
other then looked at, or it is returned while the memory that it would share is somebody else's.  That is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .program import TEMPORARY, Array, Block

FIX = "clone() what x[t] gives for a tensor t, or write x[t] = ... with the very same t"


class Picks:
    """The copies of a run, and what they are copies of."""

    def __init__(self) -> None:
        self.sources: dict[Block, tuple[Block, tuple]] = {}  # with the index
        self.stale: set[Block] = set()  # copies of what has changed since
        self.owed: set[Block] = set()  # copies that were changed: so would be what they are copies of

    def add(self, copy: Block, source: Block, index: tuple) -> None:
        """A copy is made."""
        self.sources[copy] = source, index

    def put_back(self, copy: Block, source: Block, index: tuple) -> None:
        """A copy is about to be assigned to where it is from, as at the end of `x[t] += 1`."""
        if copy in self.owed and self.sources[copy][0] is source and _same(self.sources[copy][1], index):
            self.owed.discard(copy)

    def wrong(self, given: Iterable, written: Iterable[Array]) -> str | None:
        """What is wrong with a call that is given these, and writes to some of them."""
        read = {a.block for a in given if isinstance(a, Array)}
        owing = self.owed | {self.sources[copy][0] for copy in self.owed}
        if not read.isdisjoint(self.stale | owing):
            return f"what x[t] gave for a tensor t, or x, is read after a change to the other: {FIX}"
        changed = {a.block for a in written}
        self.owed |= changed & self.sources.keys()
        self.stale |= {copy for copy, (source, _) in self.sources.items() if source in changed}
        return None

    def left(self, outputs: list[Array]) -> str | None:
        """What is wrong at the end of a run that returns these."""
        ends = {a.block for a in outputs}
        shared = lambda source: source.kind != TEMPORARY or source in ends
        if self.owed or not ends.isdisjoint(self.stale):
            return f"what x[t] gave for a tensor t is changed, or returned after a change to x: {FIX}"
        if any(copy in ends and shared(source) for copy, (source, _) in self.sources.items()):
            return "x[t] for a tensor t is returned as a view of what others have, too: return x[t].clone()"
        return None


def _same(a: tuple, b: tuple) -> bool:
    """Whether two indices are written with the same objects."""
    alike: Any = lambda m, n: m is n or (m.__class__ is n.__class__ and m.__class__ in (int, slice) and m == n)
    return len(a) == len(b) and all(map(alike, a, b))
