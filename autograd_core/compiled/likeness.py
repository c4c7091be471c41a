"""Calls that differ only in which memory they work on: what is found out of one holds for all, as in a repeated block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .program import Array, Block, Call, everywhere

PLAIN = (int, float, complex, bool, str, type(None), np.dtype)
Found = tuple[list, tuple[Array, ...]] | None  # launches and scratch memory


class Unknown(Exception):
    """A call is given something of which it cannot be said whether another call is given the like."""


class Likeness:
    """What a call is, with a number in place of each block."""

    def __init__(self, call: Call):
        self.blocks: dict[Block, int] = {}
        try:
            params = tuple(sorted(call.params.items()))
            self.key: tuple | None = (call.op, *map(self.of, (call.args, params, call.results)))
        except Unknown:
            self.key = None

    def of(self, value: Any) -> Any:
        """A value as it takes part: numbers by how they are written, for 0 is not -0.0, and NaN is NaN."""
        if isinstance(value, Array):
            block = self.blocks.setdefault(value.block, len(self.blocks))
            return "array", block, value.block.size, value.offset, value.shape, value.strides, value.dtype.str
        if type(value) is tuple:
            return tuple(map(self.of, value))
        if type(value) not in PLAIN:
            raise Unknown
        return type(value), repr(value)


class Shared:
    """What has been found of calls, for others like them."""

    def __init__(self) -> None:
        self.found: dict[tuple, tuple[list[Block], Found]] = {}

    def of(self, call: Call, find: Callable[[], Found]) -> Found:
        """What is found of a call, or was of one like it."""
        likeness = Likeness(call)
        if likeness.key is None:
            return find()
        if likeness.key not in self.found:
            self.found[likeness.key] = list(likeness.blocks), find()
            return self.found[likeness.key][1]
        first, found = self.found[likeness.key]
        if found is None:
            return None
        launches, scratch = found
        stands = dict(zip(first, likeness.blocks)) | {a.block: replace(a.block) for a in scratch}
        moved = [launch._replace(args=everywhere(launch.args, stands)) for launch in launches]
        return moved, everywhere(scratch, stands)
