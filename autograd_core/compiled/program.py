"""A captured run as data: blocks of memory, arrays that lie in them, and calls that read and write these, in order.

Memory is what is described, not values: a view is an array in the block of its base, a change in place is a call that
writes.  So what a program does to memory is all there is to know about it, and views and changes in place need no
rules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from ..op import Op

TEMPORARY = "temporary"  # made by a call, and gone when the program has run, unless it is a result
OUTER = "outer"  # there before and after: parameters, moments, running statistics, constants
INPUT = "input"  # what an argument is copied into


class Form(NamedTuple):
    """What is kept of an array that is not held."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(eq=False)
class Block:
    """Memory of some bytes; `owner` is the array that owned it when it was captured, or only its form if the run made it.

    What a run makes goes when the run lets go of it, so that a capture takes little more memory than the run.
    """

    kind: str
    owner: Any = field(repr=False)
    address: int  # where it was
    size: int

    @classmethod
    def of(cls, kind: str, owner: np.ndarray) -> Block:
        """The block of an array that owns its memory."""
        low, high = (0, owner.nbytes) if owner.flags.forc else np.lib.array_utils.byte_bounds(owner)
        kept = Form(owner.shape, owner.strides) if kind == TEMPORARY else owner
        return cls(kind, kept, low or address(owner), high - low)


def address(a: np.ndarray) -> int:
    """Where the first entry of an array lies."""
    return a.__array_interface__["data"][0]


def in_order(a: Array) -> tuple[int, ...]:
    """The strides of an array of this shape and type whose entries lie in order."""
    return tuple(accumulate((a.dtype.itemsize, *a.shape[:0:-1]), mul))[::-1] if a.shape else ()


class Array(NamedTuple):
    """An array in a block."""

    block: Block
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @property
    def span(self) -> tuple[int, int]:
        """The bytes of its block between which it lies."""
        low = high = self.offset
        for n, step in zip(self.shape, self.strides):
            if n == 0:
                return self.offset, self.offset
            low, high = (low, high + (n - 1) * step) if step > 0 else (low + (n - 1) * step, high)
        return low, high + self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        """Whether its entries lie in order, without gaps."""
        step = self.dtype.itemsize
        for n, s in zip(reversed(self.shape), reversed(self.strides)):
            if n > 1 and s != step:
                return False
            step *= n
        return True

    @property
    def itemsize(self) -> int:
        """Bytes of an entry."""
        return self.dtype.itemsize

    @property
    def aligned(self) -> bool:
        """Whether entries are whole entries apart, from where memory begins."""
        return not any(n % self.itemsize for n in (self.offset, *self.strides))

    @property
    def size(self) -> int:
        """How many entries."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """What its entries take."""
        return self.size * self.itemsize

    @property
    def whole(self) -> bool:
        """Whether it is all of its block."""
        return self.contiguous and self.offset == 0 and self.size * self.dtype.itemsize == self.block.size

    @property
    def whole_block(self) -> bool:
        """Whether it is what its block was made as, in whatever order its entries lie."""
        owner = self.block.owner
        same = (self.offset, self.shape, self.strides) == (0, owner.shape, owner.strides)
        return self.block.kind == TEMPORARY and self.size > 0 and same and min(self.strides, default=1) > 0

    def overlaps(self, other: Array) -> bool:
        """Whether the two may share memory."""
        if self.block is not other.block:
            return False
        (a, b), (c, d) = self.span, other.span
        return a < d and c < b


class Live:
    """A static parameter that is asked for anew at each run: `place[name]`."""

    place: dict
    name: str

    @classmethod
    def of(cls, place: dict, name: str) -> Any:
        """The value as it is now, with where it is from."""
        value = place[name]
        made = (LiveNumbers if isinstance(value, (tuple, list)) else LiveNumber)(value)
        made.place, made.name = place, name
        return made

    @property
    def source(self) -> tuple[int, str]:
        """Where it is from."""
        return id(self.place), self.name

    def now(self) -> Any:
        """Its value."""
        value = self.place[self.name]
        return tuple(map(float, value)) if isinstance(self, tuple) else value


class LiveNumber(Live, float):
    """One number."""


class LiveNumbers(Live, tuple):
    """Several."""


@dataclass(eq=False)
class Call:
    """One op: what it is given (arrays, or Python's numbers), static parameters, what it makes, what it changes."""

    op: Op
    args: tuple
    params: dict[str, Any]
    results: tuple[Array, ...]
    writes: tuple[Array, ...] = ()  # arguments that it changes in place
    line: str = ""
    settings: dict = field(default_factory=dict)  # what passes have decided; "constant" if it makes the same each time
    scratch: tuple[Array, ...] = ()  # memory that it needs while it runs
    launches: list | None = None  # the calls of kernels that it makes, if that is all that it does

    @property
    def reads(self) -> list[Array]:
        """The arrays it is given."""
        return [a for a in self.args if isinstance(a, Array)]

    @property
    def changes(self) -> tuple[Array, ...]:
        """All that is other after it than before."""
        return self.results + self.writes

    @property
    def pure(self) -> bool:
        """Whether it changes nothing that was there before."""
        return not self.writes


@dataclass
class Program:
    """Calls in order, what they are given, and what is of them at the end."""

    calls: list[Call]
    inputs: list[Array]
    outputs: list[Array]  # all that outlives a run: results, and gradients
    live: list[tuple[Array, Any]]  # numbers that are asked for before each run

    def having(self, calls: list[Call]) -> Program:
        """The same with other calls."""
        return Program(calls, self.inputs, self.outputs, self.live)


def renamed(a: Array, stands: dict[Block, Block]) -> Array:
    """An array in the block that stands for its own."""
    return a._replace(block=stands[a.block]) if a.block in stands else a


def with_blocks(call: Call, stands: dict[Block, Block]) -> Call:
    """A call on the blocks that stand for others."""
    if not any(a.block in stands for a in (*call.reads, *call.changes)):
        return call
    new = lambda values: tuple(everywhere(v, stands) for v in values)
    settings = call.settings
    if "members" in settings:
        settings = settings | {"members": [with_blocks(m, stands) for m in settings["members"]]}
    launches = call.launches and [v._replace(args=new(v.args)) for v in call.launches]
    changed = {n: new(getattr(call, n)) for n in ("args", "results", "writes")}
    return replace(call, settings=settings, launches=launches, **changed)


def everywhere(value: Any, stands: dict[Block, Block]) -> Any:
    """A value, with the arrays in nested tuples in the blocks that stand for others."""
    if isinstance(value, Array):
        return renamed(value, stands)
    if isinstance(value, tuple) and not isinstance(value, Live):
        made = [everywhere(v, stands) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else tuple(made)
    return value
