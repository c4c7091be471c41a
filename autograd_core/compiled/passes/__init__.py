"""What makes a program smaller and quicker without changing what it does, one file for each."""

from __future__ import annotations

from ...kernels._jit import COMPILED
from ..program import Program
from .common import without_repeats
from .constants import folded
from .copies import without_copies
from .dead import without_dead
from .fuse import fused
from .join import joined
from .normalize import normalized
from .recompute import recomputed
from .split import split
from .tidy import tidied

PASSES = [
    without_dead,
    tidied,
    folded,
    without_repeats,
    without_copies,
    *[joined, normalized, split, fused, recomputed] * COMPILED,
]


def improved(program: Program) -> Program:
    """All passes, in order."""
    for improve in PASSES:
        program = improve(program)
    return program
