"""Where everything lives during a replay: temporary blocks share one arena, each from its first writing to its last reading."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .program import OUTER, TEMPORARY, Array, Block, Program, address

LINE = 64  # bytes in a line of the cache: blocks begin on one


class Memory:
    """The arrays of a program, placed."""

    def __init__(self, program: Program, known: dict[Array, np.ndarray]):
        self.known = known  # arrays in outer blocks, as they were seen
        self.placed: dict[Block, np.ndarray] = {}
        self.arrays: dict[Array, np.ndarray] = {}
        kept = {a.block for a in program.outputs}
        for a in program.inputs:
            self.placed[a.block] = fresh(a.block.size)
        for block in kept:
            if block.kind == TEMPORARY:
                self.placed[block] = fresh(block.size)
        self.program, self.lives = program, lifetimes(program, kept)
        offsets, self.size = arranged(self.lives)
        self.arena = arena = fresh(self.size)
        for block, offset in offsets.items():
            self.placed[block] = arena[offset : offset + block.size]

    def __getitem__(self, a: Array) -> np.ndarray:
        """The array itself."""
        if a not in self.arrays:
            known = self.known.get(a) if a.block.kind == OUTER else None
            self.arrays[a] = self.view(a) if known is None else known
        return self.arrays[a]

    def described(self) -> str:
        """Who lives where: a line for each block in the arena."""
        lines = [f"arena of {self.size} bytes, for {sum(b.size for b in self.lives)} bytes of temporary results"]
        for block, (begin, end) in sorted(self.lives.items(), key=lambda item: item[1]):
            offset = address(self.placed[block]) - address(self.arena)
            lines.append(
                f"{offset:>12} {block.size:>12} bytes  steps {begin}..{end}  of {self.program.calls[begin].op.name}"
            )
        return "\n".join(lines)

    def view(self, a: Array) -> np.ndarray:
        """An array in a block."""
        if not a.size:
            return np.empty(a.shape, a.dtype)
        if a.block.kind != OUTER:
            return np.ndarray(a.shape, a.dtype, self.placed[a.block], a.offset, a.strides)
        near = next(
            v for b, v in self.known.items() if b.block is a.block and b.offset == a.offset and b.dtype == a.dtype
        )
        return np.lib.stride_tricks.as_strided(near, a.shape, a.strides)


def fresh(size: int) -> np.ndarray:
    """Bytes that begin on a line of the cache."""
    raw = np.empty(size + LINE, np.uint8)
    start = -address(raw) % LINE
    return raw[start : start + size]


def lifetimes(program: Program, kept: Iterable[Block]) -> dict[Block, tuple[int, int]]:
    """For each temporary block that need not outlive the run, the first and the last call that touches it."""
    found: dict[Block, tuple[int, int]] = {}
    for k, call in enumerate(program.calls):
        for a in (*call.reads, *call.changes):
            if a.block.kind == TEMPORARY and a.block not in kept:
                found[a.block] = (found.get(a.block, (k, k))[0], k)
    return found


def arranged(lives: dict[Block, tuple[int, int]]) -> tuple[dict[Block, int], int]:
    """An offset for each block, such that those alive at once do not overlap: large ones first, each as low as it can."""
    offsets: dict[Block, int] = {}
    for block, (begin, end) in sorted(lives.items(), key=lambda item: -item[0].size):
        rivals = [
            (offsets[b], offsets[b] + b.size) for b, (c, d) in lives.items() if b in offsets and c <= end and begin <= d
        ]
        at = 0
        for low, high in sorted(rivals):
            if at + block.size <= low:
                break
            at = max(at, high + -high % LINE)
        offsets[block] = at
    return offsets, max((offsets[b] + b.size for b in offsets), default=0)
