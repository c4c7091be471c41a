"""What one loop makes of values that are kept anyway is made again where the way back reads it, and not kept meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace

from ..program import TEMPORARY, Array, Block, Call, Program, with_blocks
from .fuse import MANY
from .split import alike

GAP = 12  # calls between two uses that are a pause: a value is not kept for the second
LEAST = 1 << 16  # bytes of a value that is worth a loop
COSTLY = 10  # steps of a loop that takes longer than to write its result


def recomputed(program: Program) -> Program:
    """The program with loops made again before those who read their result much later."""
    changes = places(program.calls, lambda c: c.changes)
    outputs, seen = {a.block for a in program.outputs}, places(program.calls, lambda c: (*c.reads, *c.changes))
    lasting = lambda a: a.block.kind == TEMPORARY and a.block not in outputs and len(changes[a.block]) == 1 and a.whole
    again: dict[int, list[Call]] = {}
    stands: dict[int, dict[Block, Block]] = {}
    gone: set[Block] = set()
    for k, call in enumerate(program.calls):
        if call.op.name != "fused" or call.writes or len(call.results) != 1 or not lasting(call.results[0]):
            continue
        y = call.results[0]
        at = pause(seen[y.block])
        if at is None or y.bytes < LEAST or not cheap(call):
            continue
        kept = lambda a, at=at: a.bytes < LEAST or seen[a.block][-1] >= at and a.block not in gone
        same = lambda a, at=at, k=k: not any(k < j < at for j in changes.get(a.block, ()))
        if all(kept(a) and same(a) for a in call.reads):
            copy = alike(y)
            again.setdefault(at, []).append(replace(call, results=(copy,)))
            stands.setdefault(at, {})[y.block] = copy.block
            gone.add(y.block)
    calls: list[Call] = []
    now: dict[Block, Block] = {}
    for k, call in enumerate(program.calls):
        calls += again.get(k, [])
        now |= stands.get(k, {})
        calls.append(with_blocks(call, now))
    return program.having(calls)


def places(calls: list[Call], what: Callable[[Call], Iterable[Array]]) -> dict[Block, list[int]]:
    """Which calls have to do with each block, in order."""
    found: dict[Block, list[int]] = {}
    for k, call in enumerate(calls):
        for block in dict.fromkeys(a.block for a in what(call)):
            found.setdefault(block, []).append(k)
    return found


def pause(uses: list[int]) -> int | None:
    """The first use after a long pause."""
    return next((b for a, b in itertools.pairwise(uses) if b - a > GAP), None)


def cheap(call: Call) -> bool:
    """Whether a loop takes about as long as its result takes to be written."""
    names = call.settings["names"]
    return not call.settings["nest"].totals and len(names) <= COSTLY and not MANY.keys() & set(names)
