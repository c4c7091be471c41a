"""Two programs that share memory: what a forward run leaves for the backward one lies in a frame, a new one for each call.

Lines name arrays by their records, which stay where they are.  Before a run the records of all that lies in the frame are
pointed to its memory, so any number of calls may wait for their gradients at once, and each may be walked back twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..kernels._memory import empty
from ..kernels.pointing import pointer, pointing
from .emit import emitted, resolved, without_memory
from .memory import LINE, Memory, sole
from .passes import improved
from .passes.dead import without_dead
from .program import INPUT, OUTER, TEMPORARY, Array, Block, Program, address, with_blocks


class Lent(Memory):
    """The memory of a program some of whose blocks lie elsewhere, at each run."""

    def __init__(self, program: Program, known: dict, pointed: set[Block], lent: set[Block]):
        self.lent = lent
        super().__init__(program, known, pointed | lent)  # type: ignore[arg-type]

    def taker(self, a: Array) -> Callable:
        if a.block in self.lent:
            home = self[a]
            return lambda made: np.copyto(home, sole(made))
        return super().taker(a)


class Table:
    """The records of all arrays in some blocks, to be pointed to one place."""

    def __init__(self, memory: Memory, offsets: dict[Block, int]):
        views = [(v, offsets[a.block] + a.offset) for a, v in memory.arrays.items() if a.block in offsets and a.size]
        self.views, self.table, self.point = views, pointer(views), pointing()
        self.at, self.count = self.table.ctypes.data, len(views)

    def __call__(self, home: np.ndarray) -> None:
        if self.count:
            self.point(id(home), self.at, self.count)


class Placed:
    """A program in memory, ready to run."""

    def __init__(self, program: Program, known: dict, lent: Iterable[Block], name: str):
        self.program, lent = program, set(lent)
        make = lambda program, known, pointed: Lent(program, known, pointed - lent, lent)
        self.memory, self.run, self.source = emitted(program, known, make, name)


class Frame:
    """What one call has left: a block of memory, and what ops have made in their own."""

    __slots__ = ("home", "made")

    def __init__(self, home: np.ndarray):
        self.home, self.made = home, []  # type: ignore[var-annotated]


class Forward:
    """The forward program, and what it leaves behind."""

    def __init__(self, program: Program, saved: list[Array], known: dict):
        count = len(program.outputs)
        program = Program(program.calls, program.inputs, [*program.outputs, *saved], program.live)
        program = resolved(improved(program), known)
        results, self.saved = program.outputs[:count], program.outputs[count:]
        left = dict.fromkeys(a.block for a in self.saved)
        general = {a.block for c in program.calls if not without_memory(c) for a in c.results if a.whole_block}
        self.taken = [b for b in left if b in general and b not in {a.block for a in results}]
        self.offsets, self.size = laid_out(b for b in left if b not in self.taken)
        self.placed = Placed(
            Program(program.calls, program.inputs, results, program.live), known, self.offsets, "forward"
        )
        self.memory = memory = self.placed.memory
        self.inputs, self.ends = [memory[a] for a in program.inputs], [memory[a] for a in results]
        for a in results:
            memory[whole(a.block)]  # results that share memory are copied as a whole
        self.live = [(memory[a], get) for a, get in program.live]
        self.table = Table(memory, self.offsets)

    def begin(self) -> Frame:
        """A new frame, to which all is pointed."""
        frame = Frame(lined(self.size))
        self.table(frame.home)
        return frame

    def run(self, frame: Frame) -> None:
        """Run, and keep what ops have made."""
        for place, get in self.live:
            place[...] = get()
        self.placed.run()
        frame.made = [self.memory.takers[b].made for b in self.taken]


class Backward:
    """The backward program on what a forward one has left."""

    def __init__(self, program: Program, stands: dict[Block, Block], forward: Forward, known: dict):
        known = {a: v for a, v in known.items() if a.block.kind == OUTER}
        homes = {stand: a.block for stand, a in zip(stands.values(), forward.saved)}
        framed = {s: forward.offsets[b] for s, b in homes.items() if b in forward.offsets}
        ends = dict.fromkeys(a.block for a in program.outputs if a.block.kind == TEMPORARY)
        self.placed = Placed(program, known, [*homes, *ends], "backward")
        memory = self.placed.memory
        self.inputs = [memory[a] for a in program.inputs]
        self.outputs = [(a, memory[a], a.block.kind == TEMPORARY) for a in program.outputs]
        self.live = [(memory[a], get) for a, get in program.live]
        self.table = Table(memory, framed)
        self.taken = [Table(memory, {s: 0 for s, b in homes.items() if b is home}) for home in forward.taken]
        shapes = {a.block: a for a in program.outputs if a.whole}
        self.ends = [(b, shapes.get(b, whole(b)), Table(memory, {b: 0})) for b in ends]

    def begin(self, frame: Frame) -> dict[Block, np.ndarray]:
        """Point all to what a call has left, and gradients to new memory."""
        self.table(frame.home)
        for table, made in zip(self.taken, frame.made):
            table(made)
        homes = {}
        for block, like, table in self.ends:
            homes[block] = home = empty(like.shape, like.dtype)
            table(home)
        return homes

    def __call__(self, frame: Frame, cotangents: list[np.ndarray]) -> list[np.ndarray]:
        """The gradients, each in memory of its own."""
        homes = self.begin(frame)
        for place, g in zip(self.inputs, cotangents):
            np.copyto(place, g)
        for place, get in self.live:
            place[...] = get()
        self.placed.run()
        return [self.given(homes, a, place, own) for a, place, own in self.outputs]

    @staticmethod
    def given(homes: dict[Block, np.ndarray], a: Array, place: np.ndarray, own: bool) -> np.ndarray:
        """One gradient: in the memory that it was made in, unless another has that already."""
        home = homes.pop(a.block, None) if own else None
        if home is None:
            return place.copy(order="K")
        return home if a.whole else np.ndarray(a.shape, a.dtype, home, a.offset, a.strides)


class Halves:
    """A function forward and back."""

    def __init__(self, forward: Program, backward: Program | None, known: dict):
        stands: dict[Block, Block] = {}
        if backward is not None:
            backward, stands = renamed(without_dead(backward), touched(forward))
        self.forward = Forward(forward, list(map(whole, stands)), known)
        self.memory, self.ends, self.inputs = self.forward.memory, self.forward.ends, self.forward.inputs
        if backward is not None:
            known = known | {a._replace(block=stands[a.block]): v for a, v in known.items() if a.block in stands}
            backward = resolved(improved(backward), known)
        self.backward = None if backward is None else Backward(backward, stands, self.forward, known)

    def parts(self) -> list[Placed]:
        """Both programs as they are placed."""
        return [self.forward.placed, *([self.backward.placed] if self.backward else [])]


def touched(program: Program) -> set[Block]:
    """The blocks of a program that are not there before it runs."""
    arrays = [a for c in program.calls for a in (*c.reads, *c.changes)] + program.inputs
    return {a.block for a in arrays if a.block.kind != OUTER}


def harmless(forward: Program, backward: Program) -> bool:
    """Whether a walk back changes nothing that was there before it."""
    left = touched(forward)
    return not any(a.block in left or a.block.kind == OUTER for c in backward.calls for a in c.writes)


def renamed(program: Program, left: set[Block]) -> tuple[Program, dict[Block, Block]]:
    """A backward program with other blocks in place of those that the forward one has made, and which those are."""
    stands: dict[Block, Block] = {}
    for a in [*(a for c in program.calls for a in c.reads), *program.outputs]:
        if a.block in left and a.block not in stands:
            stands[a.block] = Block(INPUT, a.block.owner, a.block.address, a.block.size)
    outputs = [a._replace(block=stands.get(a.block, a.block)) for a in program.outputs]
    return Program([with_blocks(c, stands) for c in program.calls], program.inputs, outputs, program.live), stands


def whole(block: Block) -> Array:
    """All bytes of a block."""
    return Array(block, 0, (block.size,), (1,), np.dtype(np.uint8))


def laid_out(blocks: Iterable[Block]) -> tuple[dict[Block, int], int]:
    """Where blocks lie one behind the other, and how much that takes."""
    offsets, end = {}, 0
    for b in blocks:
        offsets[b] = end
        end += b.size + -b.size % LINE
    return offsets, end


def lined(size: int) -> np.ndarray:
    """Bytes from memory that is used again, beginning on a line of the cache."""
    raw = empty((size + LINE,), np.dtype(np.uint8))
    start = -address(raw) % LINE
    return raw[start : start + max(size, 1)]
