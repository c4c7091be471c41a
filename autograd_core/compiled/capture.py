"""Watching one run: every op that touches array data, forward, backward and update, in the order in which it ran."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import CaptureError
from ..op import REGISTRY, Op, Traced
from ..ops.arguments import bare
from ..tape import Leaf, Node, clock, current, enable_grad, memory, user_line, using
from ..tensor import DETACH, LEAVE, Tensor, at, node_of
from .picked import Pick, Picks
from .places import Zeros
from .program import INPUT, OUTER, TEMPORARY, Array, Block, Call, Live, Program, address

UNSEEN = object()
SHAPED_BY_DATA = {
    "argwhere": ("argwhere or nonzero returns", "use a mask, and where(mask, a, b)"),
    "bincount": ("bincount returns", "add up in a size that is known: zeros(n).index_add(0, x, ones)"),
    "mask_places": ("a mask picks", "keep all entries: y = where(mask, y * 2, y) for y[mask] *= 2"),
    "unique": ("unique returns", "call it before"),
    "unique_consecutive": ("unique_consecutive returns", "call it before"),
}


class Given(Tensor):
    """An array that was given, as a tensor: what is computed of such alone is an array outside of the run."""

    __slots__ = ()


class Capture:
    """What is seen of one run."""

    def __init__(self, soft: bool = False, before: Sequence[set[int]] = ()):
        self.calls: list[Call] = []
        self.blocks: dict[int, Block] = {}  # by the id of the array that owns the memory, while it is there
        self.kept: list[Any] = []  # what is held so that nothing else gets the same id
        self.passing: dict[int, weakref.ref] = {}  # what is not held, since the run made it: gone with the block
        self.known: dict[Array, np.ndarray] = {}  # arrays from outside, and of whole numbers, as they were seen
        self.tensors: dict[int, tuple[Tensor, np.ndarray, Any]] = {}  # from outside, as they were first met
        self.inputs: list[Array] = []
        self.made_here: set[int] = set()  # ids of arrays that came up in the run, or stand for arguments
        self.live: list[tuple[Array, Any]] = []
        self.leaves: dict[int, tuple[Leaf, Any]] = {}  # whose gradient changed, and what it was if that mattered
        self.soft = soft  # whether to go on after what cannot be replayed, and say so at the end
        self.refused: str | None = None
        self.pending: dict[int, Any] = {}  # arrays that were written to, until a call says that it was it
        self.places: set[tuple[int, str]] = set()  # of numbers that are asked for anew
        self.guards: list[Any] = []  # what must hold besides what was read
        self.deciding: dict[Array, bytes] = {}  # what the run's course depends on: where it lies, and what it was
        self.copied: dict[int, Any] = {}  # what owns the memory of arguments of which the run has copies
        self.decisive = True  # whether there can be more of that
        self.picks = Picks()
        self.since = next(clock)
        self.nodes: dict[int, Any] = {}  # those of arguments, by position
        self.shared: dict[int, np.ndarray] = {}  # arrays of NumPy whose memory became tensors, by where they lie
        self.borrowed: list[tuple[np.ndarray, np.ndarray]] = []  # those that the run made, and copies as they were then
        self.elsewhere = set().union(*before) if before else None  # where what other runs have met lies
        self.outward = False  # whether a walk inside the run has gone on into the history of an argument
        self.leaves_outside: set[Leaf] = set()

    # --- what the core tells ---

    def __call__(self, op: Any, args: tuple, params: dict, result: Any) -> None:
        """A call, after it ran."""
        if not isinstance(op, Op) or op is DETACH:
            self.outward = self.outward or (op.__class__ is Node and op in self.nodes.values())
            return
        if any(isinstance(a, Traced) and a.level > 0 for a in args):
            return  # what it does to values below is told by these
        if op is LEAVE:
            if "decides" in params and self.decides(args[0].value):
                return
            self.refuse(
                "a value leaves the tensors (item, tolist, numpy, text, bool or a branch on data), and the replay would use "
                "that of this run for ever: keep to tensors, use where() or cond(), return or print the tensor outside"
            )
            return
        if op.name in SHAPED_BY_DATA:
            what, fix = SHAPED_BY_DATA[op.name]
            self.refuse(f"the shape of what {what} depends on data; {fix}")
        if result is not None:
            self.as_given(op, args, result)
        given = tuple(map(self.argument, args))
        if op is REGISTRY["overwrite"]:
            made, written = (), (given[0],)
        else:
            results = () if result is None else result if isinstance(result, tuple) else (result,)
            written = tuple(a for n, a in zip(op.inputs, given) if n in op.mutates and isinstance(a, Array))
            made = tuple(self.made(r.value if isinstance(r, Tensor) else r) for r in results)
            if not written and all(m.block in [a.block for a in given if isinstance(a, Array)] for m in made):
                return  # another look at the same memory: nothing to do
        if self.picks.sources and (wrong := self.picks.wrong(given, written)):
            self.refuse(wrong)
        for a in written:
            self.pending = {k: v for k, v in self.pending.items() if self.blocks.get(k) is not a.block}
        self.settled()
        settings = {"constant": True} if op is REGISTRY["clone"] and isinstance(args[0], np.ndarray) else {}
        self.calls.append(Call(op, given, params, made, written, user_line(), settings))

    def as_given(self, op: Op, args: tuple, result: Any) -> None:
        """Note what is computed of given arrays alone: outside of the run NumPy would do so, in its own types."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        if not tensors or not all(a.__class__ is Given for a in tensors):
            return
        for y in result if isinstance(result, tuple) else (result,):
            if op.promotes:
                self.typed(op, args, y.dtype)
            if y.__class__ is Tensor:
                y.__class__ = Given

    def typed(self, op: Op, args: tuple, dtype: np.dtype) -> None:
        """Refuse to compute of arrays in another type than NumPy would."""
        if not all(a.__class__ is Given for a in args if isinstance(a, Tensor)):
            return
        usual = np.result_type(*[a.dtype if isinstance(a, Tensor) else a for a in args if a is not None])
        usual = usual if usual.kind in "fc" else np.dtype(np.float64)
        if dtype.kind in "fc" and dtype != usual:
            self.refuse(f"{op.name} of arrays is {usual} for NumPy, but {dtype} for tensors; give tensors")

    def like(self, form: Any, t: Tensor) -> Tensor:
        """A tensor in place of what stands for an argument: for an array if that does."""
        if form.__class__ is Given and t.__class__ is Tensor:
            t.__class__ = Given
        return t

    def as_tensor(self, t: Any) -> Any:
        """What a user makes a tensor of is one from then on, if it stood for an array."""
        return at(t.value) if t.__class__ is Given else t

    def of_data(self, t: Tensor, shared: bool = False) -> Tensor:
        """A tensor of a user's data; if the run made its memory, that is a constant of which each replay has a new copy.

        Of memory that is `shared` with an array of NumPy nobody says where it is from.  What the run before has met is
        from outside, and so is all in a first run; what it has not is made by each run.
        """
        owner = memory(t.value)
        if not isinstance(owner, np.ndarray) or owner.dtype.kind not in "biufc":
            return t
        new = not shared or self.is_new(owner)
        if shared:
            self.shared.setdefault(address(owner), owner)
        if new:
            then = owner.copy(order="K")
            self(REGISTRY["clone"], (then,), {}, at(owner))
            if shared:
                self.borrowed.append((owner, then))
        return t

    def copied_from(self, t: Tensor, data: Any) -> None:
        """Note that a tensor began as a copy of a user's data."""
        if isinstance(data, Tensor):
            self(REGISTRY["clone"], (data,), {}, t)
        else:
            self.of_data(t)

    def is_new(self, owner: np.ndarray) -> bool:
        """Whether an array of NumPy's is none that was met before, in this run or another."""
        met = id(owner) in self.blocks or id(owner) in self.copied
        return not met and self.elsewhere is not None and address(owner) not in self.elsewhere

    def met(self) -> set[int]:
        """Where the memory lies that was there before the run, as far as it is known, or came from NumPy."""
        return {b.address for b in self.blocks.values() if b.kind == OUTER} | self.shared.keys()

    def refuse(self, what: str) -> None:
        """The run did what a replay cannot."""
        text = (
            f"compile: {what}, at {user_line()}; or compile with fallback=True, which then runs the function as it is"
        )
        if not self.soft:
            raise CaptureError(text)
        self.refused = self.refused or text

    def written(self, owners: list[Any]) -> None:
        """Arrays have been written to, by a call of which is about to be told, or else by NumPy."""
        self.pending.update({id(a): a for a in owners if a is not None})

    def settled(self) -> None:
        """All that was written to was written to by calls."""
        if self.pending:
            self.pending.clear()
            self.refuse("a tensor is changed in place by other means than the library's operations on tensors")

    def gradient(self, leaf: Leaf, before: Any = UNSEEN) -> None:
        """The gradient of a leaf is about to be looked at or to change; `before` is what it is, if that is looked at."""
        if leaf.born < self.since:  # or it is gone after the run
            self.leaves.setdefault(id(leaf), (leaf, before))

    def number(self, place: dict, name: str) -> Tensor:
        """A tensor of no axes that holds the number `place[name]` as it is at the time of each run."""
        array = np.array(place[name], np.float64)
        self.live.append((self.array(array), lambda: place[name]))
        self.places.add((id(place), name))
        return at(array)

    def setting(self, place: dict, name: str) -> Any:
        """A static parameter as it is at the time of each run; whether it is zero may decide what is done."""
        value = Live.of(place, name)
        self.places.add((id(place), name))
        self.guards.append(Zeros(place, name))
        return value

    # --- values that say where ---

    def picked(self, y: Traced, x: Traced, index: tuple) -> None:
        """y is a copy of what is a view of x where nobody captures, since a tensor says which part it is."""
        where = [i for i in index if isinstance(i, Traced)]
        if x.__class__ is Given and any(i.__class__ is Given for i in where):
            return  # of an array at places that an array says NumPy makes a copy, too
        places = {self.array(memory(i)).block for i in where}
        self.picks.add(self.array(memory(y)).block, Pick(self.array(bare(x)), index, places))

    def put_back(self, y: Any, x: Traced, index: tuple) -> None:
        """y is about to be assigned to that part of x."""
        if self.picks.owed and isinstance(y, Traced):
            self.picks.put_back(self.array(memory(y)).block, self.array(bare(x)), index)

    # --- values that decide ---

    def decides(self, value: np.ndarray) -> bool:
        """What is computed depends on a value: replays do only while all that it was computed of is as it is now.

        False if it cannot be told, since the run has changed some of that, or if the value is not what it would be.
        """
        array = self.array(value)
        sources = self.sources(array) if self.decisive and not self.picks.outdated(array.block) else None
        if sources is None:
            return False
        for array, now in sources.items():
            self.deciding.setdefault(array, now.tobytes())
        return True

    def sources(self, array: Array) -> dict[Array, np.ndarray] | None:
        """What an array was computed of from outside; None if the run has written to something of that."""
        blocks, found = {array.block}, {array}
        for call in reversed(self.calls):
            if not any(a.block in blocks for a in call.changes):
                continue
            if any(a.block.kind != TEMPORARY for a in call.writes):
                return None
            if "constant" not in call.settings:
                found |= set(call.reads)
                blocks |= {a.block for a in call.reads}
        written = {a.block for call in self.calls for a in call.writes}
        outside = {a for a in found if a.block.kind != TEMPORARY}
        if any(a.block in written for a in outside) or not outside <= self.known.keys():
            return None
        return {a: self.known[a] for a in outside}

    def decided(self, given: list, count: int) -> tuple[int, ...]:
        """The arguments, of which there are `count`, whose values have decided; all else that has is guarded from now on."""
        self.decisive = False
        written = {a.block for call in self.calls for a in call.writes}
        places = {self.array(v.value).block: k for k, v in enumerate(given) if isinstance(v, Tensor)}
        if any(a.block in written or places.get(a.block, 0) >= count for a in self.deciding):
            self.refuse("a value that decides what is computed is changed by the run")
        for array, then in self.deciding.items():
            if array.block not in places:
                self.guards.append(lambda now=self.known[array], then=then: now.tobytes() == then)
        return tuple(sorted({places[a.block] for a in self.deciding if a.block in places}))

    def conditional(self, f: Callable, operands: tuple) -> Any:
        """f(*operands), which is done in all replays but may count in some only: nothing of it may be seen elsewhere."""
        since, leaves = len(self.calls), len(self.leaves)
        with np.errstate(all="ignore"):
            result = f(*operands)
        made = {a.block for call in self.calls[since:] for a in call.results}
        if len(self.leaves) > leaves or any(a.block not in made for c in self.calls[since:] for a in c.writes):
            self.refuse(
                "a function given to cond changes something in place, draws random numbers or calls backward, and in a replay "
                "both functions run: return what is new, and draw before"
            )
        return result

    # --- arrays and where they lie ---

    def block(self, owner: np.ndarray, kind: str) -> Block:
        """The block of an array that owns its memory."""
        key = id(owner)
        if key in self.copied:
            self.refuse("an argument shares memory with an array that the function has from elsewhere")
        if key not in self.blocks:
            self.blocks[key] = Block.of(kind, owner)
            if kind == TEMPORARY:
                self.passing[key] = weakref.ref(owner, functools.partial(gone, weakref.ref(self), key))
            else:
                self.kept.append(owner)
        return self.blocks[key]

    def array(self, value: np.ndarray, kind: str = OUTER) -> Array:
        """An array of the run; if its memory has not been seen yet, it is of this kind."""
        block = self.block(memory(value), kind)
        offset = address(value) - block.address
        array = Array(block, offset, value.shape, value.strides, value.dtype)
        if block.kind != TEMPORARY or value.dtype.kind not in "fc":
            self.known.setdefault(array, value)
        return array

    def made(self, value: Any) -> Array:
        """What a call has made."""
        array = self.array(value, TEMPORARY)
        if array.block.kind != TEMPORARY:
            self.made_here.add(id(value))
            self.kept.append(value)
        return array

    def argument(self, a: Any) -> Any:
        """What a call was given; tensors from outside are noted, to be compared before each replay."""
        if isinstance(a, Tensor):
            array = self.array(a.value)
            if array.block.kind == OUTER and id(a) not in self.tensors:
                self.tensors[id(a)] = (a, a.value, a.node)
            elif array.block.kind == INPUT and id(a.value) not in self.made_here:
                self.refuse("an argument shares memory with a tensor that the function has from elsewhere")
            return array
        return self.array(a) if isinstance(a, np.ndarray) else a

    def standing_for(self, v: Any, k: int) -> Any:
        """A tensor in place of an argument: on memory that it has for itself, since replays copy into such memory."""
        if not isinstance(v, (Tensor, np.ndarray)):
            return v
        value, node = (v.value, node_of(v)) if isinstance(v, Tensor) else (v, None)
        computed = node is not None and node.__class__ is not Leaf
        own = memory(value) is value and value.flags.c_contiguous and not computed
        if not own:
            self.copied[id(memory(value))] = memory(value)
        t = at(value if own else np.array(value, order="C"), node)
        if isinstance(v, np.ndarray):
            t.__class__ = Given
        if computed:
            with enable_grad():
                t.node = REGISTRY["alias"].call(t).node
        elif isinstance(v, Tensor):
            t.leaf = v.leaf
        self.nodes[k] = t.node
        self.inputs.append(self.array(t.value, INPUT))
        self.made_here.add(id(t.value))
        return t

    def adopted(self, tensors: list, since: int) -> bool:
        """Take tensors from outside, in whose place later runs have others, as further arguments, if they can be that."""
        arrays = [self.array(t.value) for t in tensors]
        overlapping = any(a.overlaps(b) for k, a in enumerate(arrays) for b in arrays[:k])
        if overlapping or any(t.node is not None or a.block.kind != OUTER for t, a in zip(tensors, arrays)):
            return False
        for k, (t, a) in enumerate(zip(tensors, arrays), since):
            a.block.kind = INPUT
            self.tensors.pop(id(t), None)
            self.inputs.append(a)
            self.made_here.add(id(t.value))
            self.nodes[k] = None
        return True

    def input_written(self, value: np.ndarray) -> bool:
        """Whether a call has changed an argument."""
        return any(a.block.owner is value for call in self.calls for a in call.writes)

    def program(self, outputs: list[Array]) -> Program:
        """What was seen, as data."""
        if wrong := self.picks.left(outputs):
            self.refuse(wrong)
        written = {a.block for call in self.calls for a in call.writes}
        for owner, then in self.borrowed:
            if self.blocks[id(owner)] not in written:  # but NumPy may have gone on with it
                np.copyto(then, owner)
        return Program(list(self.calls), list(self.inputs), outputs, list(self.live))


def gone(capture: weakref.ref, key: int, _: Any) -> None:
    """An array that the run made is there no more: another may get its id."""
    if there := capture():
        del there.blocks[key], there.passing[key]


@contextmanager
def capturing(capture: Capture) -> Iterator[Capture]:
    """Tell a capture of every call in this thread."""
    with using(observers=(*current().observers, capture), capture=capture):
        yield capture
