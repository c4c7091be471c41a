"""What an op does, as the calls of kernels that it makes: written down once, and then made again on arrays of a plan.

No op says how it is to be replayed.  Its forward function is run twice on what it was given when it was captured, the
second time on other numbers, and the calls of kernels that it makes are watched: what was passed to a kernel is an
argument of the op, a result, a table that was there before, or scratch memory, which gets a place in the arena like any
other block.  Then the calls are made once more, on memory full of ones that no result has anything of, and must give
what the function gave, bit by bit.  If they do not, because NumPy did some of it between kernels, the op is run as it is.

Only ops of `NATIVE` are asked: those in which it is never decided by data which kernels are called.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..kernels import _steps
from ..kernels._jit import COMPILED, Kernel
from ..kernels._steps import watching
from ..tape import memory
from .memory import fresh
from .program import TEMPORARY, Array, Block, Call, address

NATIVE = {
    "add_rows", "attend", "attend_pull", "averaged", "batch_norm_pull", "batch_normalized", "channels_normalized",
    "convolve", "convolve_input", "convolve_weight", "cross_entropy_of", "cross_entropy_pull", "dropped", "embed",
    "embedding", "fit_shape", "largest_of", "linear", "linear_product", "log_softmax", "log_softmax_pull",
    "logit_losses", "matmul", "mean", "normalized", "normalized_pull", "put_at", "run_sequence", "sequence_pull",
    "shared_out", "softmax", "softmax_pull", "squared_gaps", "sum", "taken_at", "update_running",
}  # fmt: skip
SMALL = 1 << 16  # bytes of a table, at most
NOTHING = np.empty(0, np.uint8)


class Launch(NamedTuple):
    """One call of a kernel: arrays are those of the program, all else is itself."""

    kernel: Any
    args: tuple
    returned: Any = None  # what it returned when it was captured; if it returns something else, the op is run as it is


class Given:
    """Copies of what an op was given, changed so that no number is what it was if `other`."""

    def __init__(self, call: Call, known: dict[Array, np.ndarray], other: bool):
        self.room: dict[Block, np.ndarray] = {}
        for a in call.reads:
            if a.block not in self.room:
                self.room[a.block] = room = fresh(a.block.size)
                room[:] = np.frombuffer((ctypes.c_char * a.block.size).from_address(a.block.address), np.uint8)
        self.arrays = {a: self.view(a) for a in dict.fromkeys(call.reads)}
        self.changed = True
        for a in self.arrays.values() if other else ():
            before = a.copy()
            if a.dtype.kind in "fc":
                a *= a.dtype.type(0.984375)
                a += np.abs(a) * a.dtype.type(0.0078125) * (np.arange(a.size).reshape(a.shape) % 3) + a.dtype.type(1e-3)
            else:
                a[...] = a.reshape(-1)[::-1].reshape(a.shape).copy()
            self.changed &= not a.size or bool((before != a).any())

    def view(self, a: Array) -> np.ndarray:
        """An array on the copy of its block."""
        return on(self.room, a)

    def args(self, call: Call) -> list:
        """What the op is to be given."""
        return [self.arrays[a] if isinstance(a, Array) else a for a in call.args]


class Watched:
    """A run of an op, and the calls of kernels in it."""

    def __init__(self, call: Call, forward: Callable, given: Given):
        self.calls: list[list] = []  # what was called, arguments, result
        self.first: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # small arrays as they were first seen, by owner
        self.given, self.call = given, call
        with watching(Kernel, self.tell):
            results = forward(*given.args(call), **call.params)
        self.results = results if isinstance(results, tuple) else (results,) if call.results else ()
        self.results = tuple(np.asarray(r) for r in self.results)
        self.owners = {id(memory(r)): k for k, (r, a) in enumerate(zip(self.results, call.results)) if fits(r, a)}

    def tell(self, kernel: Any, args: tuple) -> Callable:
        """A call, before it is made; what notes the result."""
        letters = getattr(kernel, "numbers", "") or " " * len(args)
        args = tuple(array_at(a) if letter == "a" else a for a, letter in zip(args, letters))
        for a in leaves(args):
            if isinstance(a, np.ndarray) and (owner := memory(a)).nbytes <= SMALL:
                self.first.setdefault(id(owner), (owner, owner.copy()))
        self.calls.append([kernel, args])
        return self.calls[-1].append

    def place(self, a: np.ndarray) -> tuple[Any, int]:
        """The block of an argument or a result in which an array lies, or else its owner; and where in it."""
        at = address(a)
        for block, room in self.given.room.items():
            if address(room) <= at < address(room) + max(room.size, 1):
                return block, at - address(room)
        owner = memory(a)
        if (k := self.owners.get(id(owner))) is not None:
            made = self.call.results[k]
            return made.block, at - address(self.results[k]) + made.offset
        return owner, at - address(owner)


def on(room: dict[Block, np.ndarray], a: Array) -> np.ndarray:
    """An array in the memory that its block has."""
    return np.ndarray(a.shape, a.dtype, room[a.block], a.offset, a.strides) if a.size else np.empty(a.shape, a.dtype)


def fits(r: np.ndarray, a: Array) -> bool:
    """Whether a result lies in memory of its own as it did when it was captured."""
    owner = memory(r)
    return (owner.nbytes, address(r) - address(owner), r.strides) == (a.block.size, a.offset, a.strides)


def array_at(record: int) -> np.ndarray | None:
    """The array of a record, if there is one."""
    return ctypes.cast(record, ctypes.py_object).value if record else None


def leaves(args: Any):
    """All that is in nested tuples."""
    for a in args:
        yield from leaves(a) if isinstance(a, tuple) else (a,)


def launches_of(call: Call, forward: Callable, known: dict) -> tuple[list[Launch], tuple[Array, ...]] | None:
    """The calls of kernels that an op makes, and the scratch memory that they need; None if that is not all that it does."""
    if not COMPILED or call.op.name not in NATIVE or not any(a.size for a in call.changes):
        return None
    if not all(a in known for a in call.reads):
        return None
    with np.errstate(all="ignore"):
        try:
            one, two = (Watched(call, forward, Given(call, known, other)) for other in (False, True))
        except (ValueError, IndexError, TypeError):
            return None  # other numbers do not suit it
        return Translation(one, two).launches() if alike(one, two, call) else None


def alike(one: Watched, two: Watched, call: Call) -> bool:
    """Whether two runs made as many calls, and results of the shapes and types that were captured."""
    if len(one.results) != len(call.results) or len(one.calls) != len(two.calls) or not one.calls:
        return False
    return all((r.shape, r.dtype) == (a.shape, a.dtype) for r, a in zip(one.results, call.results))


class Unlike(Exception):
    """Two runs differ in what they passed to kernels."""


class Translation:
    """Two runs of an op as calls on arrays of a program."""

    def __init__(self, one: Watched, two: Watched):
        self.one, self.two = one, two
        self.scratch: dict[int, tuple[Block, Any]] = {}  # by the owner in the first run, with that of the second

    def launches(self) -> tuple[list[Launch], tuple[Array, ...]] | None:
        """All calls, if they give what the op gives."""
        try:
            calls = [self.call(p, q) for p, q in zip(self.one.calls, self.two.calls)]
            calls += [*self.copies()]
        except Unlike:
            return None
        scratch = [b for b, _ in self.scratch.values()]
        arrays = tuple(Array(b, 0, (b.size,), (1,), np.dtype(np.uint8)) for b in scratch)
        return (calls, arrays) if self.right(calls) else None

    def call(self, p: list, q: list) -> Launch:
        """One call."""
        (kernel, args, result), (other, others, other_result) = p, q
        if kernel is not other or len(args) != len(others) or not isinstance(result, (int, type(None))):
            raise Unlike
        if result != other_result:
            raise Unlike
        return Launch(kernel, tuple(map(self.value, args, others)), result)

    def copies(self) -> Iterator[Launch]:
        """Results that lie in other memory than they did when they were captured, put in their place."""
        for x, y, a in zip(self.one.results, self.two.results, self.one.call.results):
            if a.size and not (fits(x, a) and fits(y, a)):
                yield Launch(_steps.copy, (self.array(x, y), a))

    def value(self, x: Any, y: Any) -> Any:
        """An argument of a kernel."""
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            return self.array(x, y)
        if isinstance(x, tuple) and isinstance(y, tuple) and len(x) == len(y):
            made = tuple(map(self.value, x, y))
            return type(x)(*made) if hasattr(x, "_fields") else made
        if type(x) is not type(y) or not (x == y or x != x and y != y):
            raise Unlike
        return x

    def array(self, x: np.ndarray, y: np.ndarray) -> Any:
        """An array: where it lies in a block, or itself if it was there before."""
        if (x.shape, x.strides, x.dtype) != (y.shape, y.strides, y.dtype):
            raise Unlike
        if not x.size:
            return x
        (a, i), (b, j) = self.one.place(x), self.two.place(y)
        if isinstance(a, Block) and a is b and i == j:
            return Array(a, i, x.shape, x.strides, x.dtype)
        if isinstance(a, Block) or isinstance(b, Block) or i != j:
            raise Unlike
        if a is b or self.table(a, b):
            return x
        block, other = self.scratch.setdefault(id(a), (Block(TEMPORARY, NOTHING, 0, a.nbytes), b))
        if other is not b:
            raise Unlike
        return Array(block, i, x.shape, x.strides, x.dtype)

    def table(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether arrays are tables that have nothing of the arguments, and that nobody has written to."""
        p, q = self.one.first.get(id(a)), self.two.first.get(id(b))
        if p is None or q is None or not self.two.given.changed:
            return False
        same = lambda u, v: u.tobytes() == v.tobytes()
        return a.shape == b.shape and same(a, b) and same(a, p[1]) and same(b, q[1])

    def right(self, calls: list[Launch]) -> bool:
        """Whether the calls give what the op gave in the second run, and change what it changed."""
        call, two = self.one.call, self.two
        blocks = [b for b, _ in self.scratch.values()]
        again = Given(call, {}, True)
        room = dict(again.room)
        for a in (*call.results, *(Array(b, 0, (b.size,), (1,), np.dtype("B")) for b in blocks)):
            if a.block not in room:
                room[a.block] = fresh(a.block.size)
                room[a.block].fill(255)
        view = lambda a: on(room, a)
        for kernel, args, _ in calls:
            made = [bound(a, view) for a in args]
            entry(kernel)(*kernel.args, *as_given(kernel, made))
        same = all(view(a).tobytes() == r.tobytes() for a, r in zip(call.results, two.results))
        return same and all(np.array_equal(again.room[b], two.given.room[b]) for b in again.room)


def bound(a: Any, view: Callable) -> Any:
    """An argument with arrays in place of what stands for them."""
    if isinstance(a, Array):
        return view(a)
    if isinstance(a, tuple):
        return type(a)(*(bound(v, view) for v in a)) if hasattr(a, "_fields") else tuple(bound(v, view) for v in a)
    return a


def as_given(kernel: Any, args: list) -> list:
    """Arguments with records of arrays where a kernel takes these."""
    return [(0 if a is None else id(a)) if c == "a" else a for a, c in zip(args, kernel.numbers or " " * len(args))]


def entry(kernel: Any) -> Callable:
    """What is called at last."""
    return (kernel.build() if isinstance(kernel, Kernel) else kernel).func
