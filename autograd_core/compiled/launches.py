"""What an op does, as the calls of kernels that it makes: written down once, and then made again on arrays of a plan.

No op says how it is to be replayed.  Its forward function is run on numbers of no meaning, and the calls of kernels that
it makes are watched: what was passed to a kernel is an argument of the op, a result, a table that was there before, or
scratch memory, which gets a place in the arena like any other block.  Which of these it is, and whether anything else was
made of numbers, shows when the function runs again on other numbers; kernels then only pretend to run.  At last the calls
are made once more, on memory full of ones that no result has anything of, and must give what the function gave, bit by
bit.  If they do not, because NumPy did some of it between kernels, the op is run as it is.

Only ops of `NATIVE` are asked: those in which it is never decided by data which kernels are called.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
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
PARTS = {"affine", "batch_moments", "channel_scales"}  # of ops, which passes make
SMALL = 1 << 16  # bytes of a table, at most
PRIME = 8191
STARTS = itertools.count(step=1009)  # in the numbers that ops are given
NOTHING = np.empty(0, np.uint8)


class Launch(NamedTuple):
    """One call of a kernel: arrays are those of the program, all else is itself."""

    kernel: Any
    args: tuple
    returned: Any = None  # what it returned when it was captured; if it returns something else, the op is run as it is


@functools.cache
def numbers(dtype: np.dtype, positive: bool) -> np.ndarray:
    """Numbers of both signs, or of one; their count is prime, so that no two rows of an array are the same."""
    drawn = np.random.default_rng(0).uniform(0.25, 1.25, (2, PRIME))
    drawn[:, ::3] *= 1 if positive else -1
    return (drawn[0] + 1j * drawn[1] if dtype.kind == "c" else drawn[0]).astype(dtype)


class Given:
    """What an op is to be given: any floats, but of whole numbers and truths those that it was given, or these turned round.

    With `other` no number is what it was.  Nor are they those of another time: what lies in memory since then, which an op
    is given to be filled, must not look as if it had been there and nobody had written to it.
    """

    def __init__(self, call: Call, other: bool = False, positive: bool = False, start: int | None = None):
        self.positive, self.start = positive, next(STARTS) if start is None else start
        self.room: dict[Block, np.ndarray] = {}
        for a in call.reads:
            if a.block not in self.room:
                self.room[a.block] = room = fresh(a.block.size)
                if a.dtype.kind in "fc":
                    fill(room, numbers(a.dtype, positive), self.start + 97 * len(self.room))
                else:
                    room[:] = np.frombuffer((ctypes.c_char * a.block.size).from_address(a.block.address), np.uint8)
        self.arrays = {a: self.view(a) for a in dict.fromkeys(call.reads)}
        self.changed = True
        for a in self.arrays.values() if other else ():
            if a.dtype.kind not in "fc":
                before = a.copy()
                a[...] = before.reshape(-1)[::-1].reshape(a.shape)
                self.changed &= not a.size or bool((before != a).any())

    def again(self, call: Call) -> dict[Block, np.ndarray]:
        """The memory as it was before something ran on it."""
        return Given(call, positive=self.positive, start=self.start).room

    def view(self, a: Array) -> np.ndarray:
        """An array on the copy of its block."""
        return on(self.room, a)

    def args(self, call: Call) -> list:
        """What the op is to be given."""
        return [self.arrays[a] if isinstance(a, Array) else a for a in call.args]


def fill(room: np.ndarray, pattern: np.ndarray, start: int) -> None:
    """Bytes with numbers over and over, from somewhere in them on."""
    out = room[: room.size // pattern.itemsize * pattern.itemsize].view(pattern.dtype)
    room[out.nbytes :] = 0
    whole, pattern = out.size // PRIME, np.roll(pattern, -start)
    out[: whole * PRIME].reshape(whole, PRIME)[...] = pattern
    out[whole * PRIME :] = pattern[: out.size - whole * PRIME]


class Watched:
    """A run of an op, and the calls of kernels in it; after a `real` run these return what they did there, and do nothing."""

    def __init__(self, call: Call, forward: Callable, given: Given, real: Watched | None = None):
        self.calls: list[list] = []  # what was called, arguments, result
        self.first: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # small arrays as they were first seen, by owner
        self.given, self.call = given, call
        answers = iter(real.calls if real else ())
        with watching(Kernel, self.tell, (lambda kernel: answer(kernel, next(answers, None))) if real else None):
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


class Unlike(Exception):
    """Two runs differ in what they passed to kernels."""


def answer(kernel: Any, call: list | None) -> Any:
    """What a kernel returned in a run before."""
    if call is None or call[0] is not kernel:
        raise Unlike
    return call[2]


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
    if not COMPILED or call.op.name not in NATIVE | PARTS or not any(a.size for a in call.changes):
        return None
    if not all(a in known or a.dtype.kind in "fc" for a in call.reads):
        return None
    with np.errstate(all="ignore"):
        try:
            real = Watched(call, forward, Given(call))
            pretended = Watched(call, forward, Given(call, other=True), real)
            found = Translation(pretended, real).launches() if alike(pretended, real, call) else None
            if found and not all(map(finite, real.results)):  # of numbers that say more
                found = found if right(*found, Watched(call, forward, Given(call, positive=True))) else None
            return found
        except (ValueError, IndexError, TypeError, Unlike):
            return None  # such numbers do not suit it


def finite(a: np.ndarray) -> bool:
    """Whether all entries are numbers."""
    return a.dtype.kind not in "fc" or bool(np.isfinite(a.sum()))


def alike(one: Watched, two: Watched, call: Call) -> bool:
    """Whether two runs made as many calls, and results of the shapes and types that were captured."""
    if len(one.results) != len(call.results) or len(one.calls) != len(two.calls) or not one.calls:
        return False
    return all((r.shape, r.dtype) == (a.shape, a.dtype) for r, a in zip(one.results, call.results))


class Translation:
    """Two runs of an op, the second a real one, as calls on arrays of a program."""

    def __init__(self, one: Watched, two: Watched):
        self.one, self.two = one, two
        self.scratch: dict[int, tuple[Block, Any]] = {}  # by the owner in the first run, with that of the second

    def launches(self) -> tuple[list[Launch], tuple[Array, ...]] | None:
        """All calls, if they give what the op gives."""
        calls = [self.call(p, q) for p, q in zip(self.one.calls, self.two.calls)]
        calls += [*self.copies()]
        scratch = [b for b, _ in self.scratch.values()]
        arrays = tuple(Array(b, 0, (b.size,), (1,), np.dtype(np.uint8)) for b in scratch)
        return (calls, arrays) if right(calls, arrays, self.two) else None

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
        if p is None or q is None or not self.one.given.changed:
            return False
        same = lambda u, v: u.tobytes() == v.tobytes()
        return a.shape == b.shape and same(a, b) and same(a, p[1]) and same(b, q[1])


def right(calls: list[Launch], scratch: tuple[Array, ...], run: Watched) -> bool:
    """Whether the calls give what the op gave in a run, and change what it changed."""
    call, room = run.call, run.given.again(run.call)
    inputs = dict(room)
    for a in (*call.results, *scratch):
        if a.block not in room:
            room[a.block] = fresh(a.block.size)
            room[a.block].fill(255)
    view = lambda a: on(room, a)
    for kernel, args, _ in calls:
        made = [bound(a, view) for a in args]
        entry(kernel)(*kernel.args, *as_given(kernel, made))
    results = all(np.array_equal(bits(view(a)), bits(r)) for a, r in zip(call.results, run.results))
    return results and all(np.array_equal(inputs[b], run.given.room[b]) for b in inputs)


def bits(a: np.ndarray) -> np.ndarray:
    """The entries of an array as whole numbers, which are the same only if all bits are."""
    return a.view(f"u{a.itemsize}") if a.itemsize <= 8 else np.frombuffer(a.tobytes(), np.uint8)


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
