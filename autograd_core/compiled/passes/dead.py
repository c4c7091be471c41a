"""Calls of which nothing is seen are left out."""

from __future__ import annotations

from ..program import INPUT, OUTER, Block, Call, Program


def without_dead(program: Program) -> Program:
    """Only calls whose effect outlives the run, or is read by a call that stays."""
    needed: set[Block] = {a.block for a in program.outputs}
    alive: list[Call] = []
    for call in reversed(program.calls):
        if any(a.block.kind in (OUTER, INPUT) or a.block in needed for a in call.changes):
            alive.append(call)
            needed |= {a.block for a in call.reads}
    return program.having(alive[::-1])
