"""Where everything lives during a replay: temporary blocks share one arena, each from its first writing to its last reading."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import CaptureError
from ..kernels.pointing import pointer, pointing
from .program import OUTER, TEMPORARY, Array, Block, Program, address

SMALL = 1 << 12  # bytes of a block of which it does not matter where it lies
MANY = 256  # blocks of one size that are each compared with all others to find them a place: more share places by themselves
LINE = 64  # bytes in a line of the cache: blocks begin on one


class Memory:
    """The arrays of a program, placed."""

    def __init__(self, program: Program, known: dict[Array, np.ndarray], pointed: set[Block] = frozenset()):  # type: ignore[assignment]
        self.pointed = pointed  # blocks whose memory is what an op has just made: all arrays in them are pointed to it
        self.takers: dict[Block, Taker] = {}
        self.known = known  # arrays in outer blocks, as they were seen
        self.placed: dict[Block, np.ndarray] = {}
        self.arrays: dict[Array, np.ndarray] = {}
        kept = {a.block for a in program.outputs}
        for a in program.inputs:
            if a.block not in pointed:
                self.placed[a.block] = fresh(a.block.size)
        for block in kept:
            if block.kind == TEMPORARY:
                self.placed[block] = fresh(block.size)
        self.program, self.lives = program, lifetimes(program, kept | pointed)
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

    def taker(self, a: Array) -> Callable:
        """What takes a result for an array: a function of the result."""
        if a.block not in self.pointed or not a.whole_block:
            home = self[a]
            return lambda made: np.copyto(home, sole(made))
        return self.takers.setdefault(a.block, Taker(self[a]))

    def settle(self, outputs: list[Array]) -> None:
        """Once all lines are written: tell takers which arrays lie in their blocks."""
        for a in outputs:
            self[a]
        for block, taker in self.takers.items():
            taker.views = [(v, a.offset) for a, v in self.arrays.items() if a.block is block and a.size]
            taker.table = pointer(taker.views)
            taker.at, taker.count = taker.table.ctypes.data, len(taker.views)

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
        if a.block in self.pointed:
            return np.lib.stride_tricks.as_strided(np.empty(1, a.dtype), a.shape, a.strides)
        if a.block.kind != OUTER:
            return np.ndarray(a.shape, a.dtype, self.placed[a.block], a.offset, a.strides)
        return np.asarray(Described(a))


class Described:
    """An array in memory from outside, which it keeps."""

    def __init__(self, a: Array):
        self.owner = a.block.owner
        place = a.block.address + a.offset, not self.owner.flags.writeable
        self.__array_interface__ = {
            "data": place, "shape": a.shape, "strides": a.strides, "typestr": a.dtype.str, "version": 3
        }  # fmt: skip


class Taker:
    """Takes what an op has made: it is kept until the next, and the arrays of its block are pointed to it."""

    views: list[tuple[np.ndarray, int]]
    table: np.ndarray
    at = count = 0

    def __init__(self, like: np.ndarray):
        self.strides, self.dtype, self.shape = like.strides, like.dtype, like.shape
        self.made: np.ndarray | None = None
        self.point = pointing()

    def __call__(self, made: np.ndarray) -> None:
        if made.__class__ is not np.ndarray:
            made = np.asarray(sole(made))  # NumPy returns bare entries where a result has no axes
        if made.strides != self.strides or made.dtype != self.dtype or made.shape != self.shape:
            made = self.laid_out(made)
        self.made = made
        self.point(id(made), self.at, self.count)

    def laid_out(self, made: np.ndarray) -> np.ndarray:
        """A result in the order in which it was captured."""
        made = np.asarray(made)
        if made.shape != self.shape:
            raise CaptureError(
                f"compile: a result of shape {self.shape} has shape {made.shape} now: it depends on data"
            )
        order = sorted(range(made.ndim), key=lambda d: -self.strides[d])
        home = np.empty([made.shape[d] for d in order], self.dtype).transpose(np.argsort(order))
        np.copyto(home, made)
        return home


def sole(made: Any) -> Any:
    """What an op has made, which may be a tuple of one."""
    return made[0] if made.__class__ is tuple else made


def fresh(size: int) -> np.ndarray:
    """Bytes that begin on a line of the cache."""
    raw = np.empty(size + LINE, np.uint8)
    start = -address(raw) % LINE
    return raw[start : start + size]


def lifetimes(program: Program, kept: Iterable[Block]) -> dict[Block, tuple[int, int]]:
    """For each temporary block that need not outlive the run, the first and the last call that touches it."""
    found: dict[Block, tuple[int, int]] = {}
    for k, call in enumerate(program.calls):
        for a in (*call.reads, *call.changes, *call.scratch):
            if a.block.kind == TEMPORARY and a.block not in kept:
                found[a.block] = (found.get(a.block, (k, k))[0], k)
    return found


def arranged(lives: dict[Block, tuple[int, int]]) -> tuple[dict[Block, int], int]:
    """An offset for each block, such that those alive at once do not overlap."""
    sizes = Counter(b.size for b in lives)
    large = {b: life for b, life in lives.items() if b.size > SMALL and sizes[b.size] <= MANY}
    offsets, size = fitted(large)
    small, size = swept({b: life for b, life in lives.items() if b not in large}, size + -size % LINE)
    return offsets | small, size


def fitted(lives: dict[Block, tuple[int, int]]) -> tuple[dict[Block, int], int]:
    """Large blocks: the largest first, each as low as it can be."""
    offsets: dict[Block, int] = {}
    for block, (begin, end) in sorted(lives.items(), key=lambda item: -item[0].size):
        rivals = [(at, at + b.size) for b, at in offsets.items() if lives[b][0] <= end and begin <= lives[b][1]]
        at = 0
        for low, high in sorted(rivals):
            if at + block.size <= low:
                break
            at = max(at, high + -high % LINE)
        offsets[block] = at
    return offsets, max((offsets[b] + b.size for b in offsets), default=0)


def swept(lives: dict[Block, tuple[int, int]], size: int) -> tuple[dict[Block, int], int]:
    """Blocks of which there may be thousands: in the order of time, where one of that many lines has ended."""
    offsets: dict[Block, int] = {}
    ended: list[tuple[int, int, int]] = []  # when a place becomes free, where it is, how large
    free: dict[int, list[int]] = {}
    for block, (begin, end) in sorted(lives.items(), key=lambda item: item[1]):
        while ended and ended[0][0] < begin:
            _, place, length = heapq.heappop(ended)
            free.setdefault(length, []).append(place)
        length = block.size + -block.size % LINE
        if free.get(length):
            place = free[length].pop()
        else:
            place, size = size, size + length
        offsets[block] = place
        heapq.heappush(ended, (end, place, length))
    return offsets, size
