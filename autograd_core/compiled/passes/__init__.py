"""What makes a program smaller and quicker without changing what it does, one file for each."""

from __future__ import annotations

from ..program import Program
from .copies import without_copies
from .dead import without_dead
from .fuse import fused


def improved(program: Program) -> Program:
    """All passes, in order."""
    for improve in (without_dead, without_copies, without_dead, fused):
        program = improve(program)
    return program
