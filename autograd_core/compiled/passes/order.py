"""Which calls must come before which: because one reads what the other makes, or changes what the other reads."""

from __future__ import annotations

from ..program import Array, Block, Call


def dependencies(calls: list[Call]) -> list[set[int]]:
    """For each call, those before it that must stay before it."""
    readers: dict[Block, list[tuple[int, Array]]] = {}
    writers: dict[Block, list[tuple[int, Array]]] = {}
    needed: list[set[int]] = []
    for k, call in enumerate(calls):
        before: set[int] = set()
        for a in call.reads:
            before |= {j for j, b in writers.get(a.block, ()) if b.overlaps(a)}
        for a in call.changes:
            before |= {j for j, b in writers.get(a.block, ()) if b.overlaps(a)}
            before |= {j for j, b in readers.get(a.block, ()) if b.overlaps(a)}
        for a in call.changes:  # what overlaps those that it covers overlaps it too, and so comes after them
            for seen in (readers, writers):
                seen[a.block] = [(j, b) for j, b in seen.get(a.block, ()) if not covers(a, b)]
        for a in call.reads:
            readers.setdefault(a.block, []).append((k, a))
        for a in call.changes:
            writers.setdefault(a.block, []).append((k, a))
        needed.append(before - {k})
    return needed


def covers(a: Array, b: Array) -> bool:
    """Whether one array spans all that another does in the same block."""
    return a.span[0] <= b.span[0] and b.span[1] <= a.span[1]
