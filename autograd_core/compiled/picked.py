"""What `x[t]` gives for a tensor t of no axes: a view where the function runs as it is, a copy in a replay.

The place is known only when the replay reads t.  A copy is as good as the view unless one of the two is written to and the
other then looked at, or it is returned while the memory that it would share is somebody else's.  That is refused.

Copies are made of copies, too: all that would share memory, what was first picked from and what was picked, is a family.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .program import TEMPORARY, Array, Block

FIX = "clone() what x[t] gives for a tensor t, or write x[t] = ... with the very same t"


class Pick(NamedTuple):
    """Of what there is a copy, and of which part; where the tensors lie that say so."""

    source: Array
    index: tuple
    places: set[Block]


class Picks:
    """The copies of a run, and what they are copies of."""

    def __init__(self) -> None:
        self.sources: dict[Block, Pick] = {}  # by the copy
        self.stale: set[Block] = set()  # copies of what has changed since
        self.owed: set[Block] = set()  # copies that were changed: so would be what they are copies of
        self.moved: set[Block] = set()  # copies of a part which their index no longer says
        self.below: dict[Block, set[Block]] = {}  # which copies become stale with a block
        self.said: dict[Block, set[Block]] = {}  # and which have their index from it

    def add(self, copy: Block, pick: Pick) -> None:
        """A copy is made."""
        self.sources[copy] = pick
        for block in self.above(copy):
            self.below.setdefault(block, set()).add(copy)
        for block in pick.places:
            self.said.setdefault(block, set()).add(copy)

    def put_back(self, copy: Block, source: Array, index: tuple) -> None:
        """A copy is about to be assigned to where it is from, as at the end of `x[t] += 1`."""
        if copy in self.owed - self.moved:
            pick = self.sources[copy]
            if pick.source == source and _same(pick.index, index):
                self.owed.discard(copy)

    def wrong(self, given: Iterable, written: Iterable[Array]) -> str | None:
        """What is wrong with a call that is given these, and writes to some of them."""
        if any(self.outdated(a.block) for a in given if isinstance(a, Array)):
            return f"what x[t] gave for a tensor t, or x, is read after a change to the other: {FIX}"
        for block in {a.block for a in written}:
            self.owed |= {block} & self.sources.keys()
            self.stale |= self.below.pop(block, set())  # once is enough: what is stale stays so
            self.moved |= self.said.pop(block, set())
        return None

    def outdated(self, block: Block) -> bool:
        """Whether it would have changed with another of its family."""
        return block in self.stale or any(self.root(copy) is self.root(block) for copy in self.owed)

    def left(self, outputs: list[Array]) -> str | None:
        """What is wrong at the end of a run that returns these."""
        ends = {a.block for a in outputs}
        if self.owed or not ends.isdisjoint(self.stale):
            return f"what x[t] gave for a tensor t is changed, or returned after a change to x: {FIX}"
        roots = [self.root(block) for block in ends]
        shared = lambda root: root.kind != TEMPORARY or roots.count(root) > 1
        if any(shared(self.root(copy)) for copy in ends & self.sources.keys()):
            return "x[t] for a tensor t is returned as a view of what others have, too: return x[t].clone()"
        return None

    def above(self, block: Block) -> Iterator[Block]:
        """What a block is a copy of, what that is a copy of, and so on."""
        while block in self.sources:
            block = self.sources[block].source.block
            yield block

    def root(self, block: Block) -> Block:
        """What its family was first picked from."""
        return [block, *self.above(block)][-1]


def _same(a: tuple, b: tuple) -> bool:
    """Whether two indices are written with the same objects."""
    alike: Any = lambda m, n: m is n or (m.__class__ is n.__class__ and m.__class__ in (int, slice) and m == n)
    return len(a) == len(b) and all(map(alike, a, b))
