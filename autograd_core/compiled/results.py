"""What a run returned, and how a replay returns the like: the same tensors, views of the same memory, or new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..reach import ancestors
from ..tape import Leaf, Packed
from ..tensor import Tensor, at, node_of
from ..tree import flatten
from ..views import follow
from .capture import Given
from .program import INPUT, OUTER, Array, Block
from .signature import value_of

PLAIN = (int, float, complex, str, bytes, bool, type(None))


class Way(NamedTuple):
    """How one result is given: `what` is a value, a position, or an array, as it takes."""

    how: str
    what: Any
    path: tuple = ()


class Results:
    """The results of a run, in terms of its arguments, of what is outside, and of what it made."""

    def __init__(self, result: Any, capture: Any, given: list, leaves: list):
        self.found, self.build = flatten(result)
        self.capture, self.given = capture, given
        self.ordered = [not isinstance(t, Tensor) or value_of(v).flags.c_contiguous for t, v in zip(given, leaves)]
        self.unusual = False  # whether some are such that only the function itself can give the like
        self.places = {id(y): j for j, y in reversed(list(enumerate(self.found))) if isinstance(y, Tensor)}
        self.arguments = {id(t): k for k, t in enumerate(given) if isinstance(t, Tensor)}
        self.slopes = {id(leaf.grad): leaf for leaf, _ in capture.leaves.values() if leaf.grad is not None}
        self.ways = [self.way(j, y) for j, y in enumerate(self.found)]
        last = {"view": 1, "same": 2}
        self.bare = {j for j, y in enumerate(self.found) if y.__class__ is Given}  # arrays outside of the run
        self.order = sorted(range(len(self.ways)), key=lambda j: last.get(self.ways[j].how, 0))
        self.made = [j for j, w in enumerate(self.ways) if w.how == "made"]
        self.asking = {j for j in self.made if self.is_leaf(j)}
        self.linked = [j for j in self.made if j not in self.asking and node_of(self.found[j]) is not None]
        self.lone = (
            isinstance(result[0], Tensor) and len(self.found) == len(self.made) == 1 and not (self.asking or self.bare)
        )
        blocks = Counter(self.ways[j].what.block for j in self.made)
        self.shared = {b for b, n in blocks.items() if n > 1}
        histories = Counter(self.ways[j].what.block for j in self.linked)
        self.unusual = self.unusual or any(n > 1 for n in histories.values())

    @property
    def arrays(self) -> list[Array]:
        """The arrays that the run made and returned."""
        return [self.ways[j].what for j in self.made]

    def is_leaf(self, j: int) -> bool:
        """Whether a result is a tensor that was made, and then asked for gradients."""
        return isinstance(node_of(self.found[j]), Leaf)

    def way(self, j: int, y: Any) -> Way:
        """How a result is given."""
        if not isinstance(y, Tensor):
            if not isinstance(y, PLAIN):
                self.capture.refuse(
                    f"the function returns {type(y).__name__}; return tensors, in tuples, lists or dicts"
                )
            return Way("plain", y)
        if id(y) in self.arguments:
            return Way("argument", self.arguments[id(y)])
        if self.places[id(y)] < j:
            return Way("same", self.places[id(y)])
        if id(y) in self.slopes:
            leaf = self.slopes[id(y)]
            return Way("gradient", next((k for k in self.arguments.values() if self.given[k].leaf is leaf), leaf))
        return self.seen_from(y) or self.by_memory(y)

    def seen_from(self, y: Tensor) -> Way | None:
        """A view of an argument, of a tensor from outside, or of another result."""
        if y.origin is None:
            return None
        node_of(y)  # brings it up to date
        base, path = y.origin.base, y.origin.path
        if id(base) in self.arguments:
            return Way("view", Way("argument", self.arguments[id(base)]), path)
        if id(base) in self.places and base.origin is None:
            return Way("view", Way("same", self.places[id(base)]), path)
        if id(base) in self.capture.tensors:
            return Way("view", Way("outer", base), path)
        return None

    def by_memory(self, y: Tensor) -> Way:
        """A tensor of which only the memory says whose it is."""
        array = self.capture.array(y.value)
        owner, kind = array.block.owner, array.block.kind
        if kind == OUTER and id(y.value) not in self.capture.made_here:
            return Way("outer", y)
        if kind not in (OUTER, INPUT):
            return Way("made", array)
        k = next((k for k, t in enumerate(self.given) if isinstance(t, Tensor) and t.value is owner), None)
        if node_of(y) is not None or not array.size or (kind == INPUT and k is None):
            self.unusual = True  # a history that no path tells of
            return Way("made", array)
        if kind == OUTER:
            return Way("memory", y.value)
        if not self.ordered[k]:
            self.capture.refuse("a view of an argument is returned whose entries do not lie in order; clone() it")
        return Way("bytes", (k, array))

    def plain(self) -> list:
        """Results that come from no tensor."""
        return [(type(w.what), repr(w.what)) for w in self.ways if w.how == "plain"]

    def given_back(self, make: Callable[[int], Tensor], leaves: list) -> Any:
        """The results for these arguments, where `make` gives those that the run made."""
        out: dict[int, Any] = {}
        for j in self.order:
            how, what, path = self.ways[j]
            if how == "view":
                base = leaves[what.what] if what.how == "argument" else what.what if what.how == "outer" else None
                out[j] = follow(path, out[what.what] if base is None else base)
            elif how == "made":
                out[j] = make(j)
            elif how == "gradient":
                out[j] = (leaves[what].leaf if type(what) is int else what).grad
            elif how == "bytes":
                out[j] = inside(leaves[what[0]], what[1])
            else:
                out[j] = {"same": out.get, "argument": leaves.__getitem__, "memory": at}.get(how, same)(what)
        return self.build([bare(out[j]) if j in self.bare else out[j] for j in range(len(self.ways))])

    def forget(self) -> None:
        """Let go of the tensors of the run."""
        self.found, self.given, self.places, self.arguments, self.slopes = [], [], {}, {}, {}
        del self.capture


def finished(y: Tensor) -> bool:
    """Whether a backward has been through the graph behind a tensor, so that no other can."""
    kept = lambda node: node.packed if isinstance(node, Packed) else getattr(node, "env", ())  # and nothing is unpacked
    return any(kept(node) is None for node in ancestors([y.grad_fn or y.node]))


def bare(y: Any) -> Any:
    """A tensor as the array, or the single number of NumPy's, that it stands for."""
    return y if not isinstance(y, Tensor) else y.value if y.ndim else y.value[()]


def same(v: Any) -> Any:
    """The value itself."""
    return v


def inside(argument: Any, array: Array) -> Any:
    """What lies somewhere in the memory of an argument whose entries are in order."""
    value = value_of(argument)
    first = value.reshape(-1).view(np.uint8)[array.offset : array.offset + array.dtype.itemsize].view(array.dtype)
    found = np.lib.stride_tricks.as_strided(first, array.shape, array.strides)
    return at(found)


class Copies:
    """New tensors of what a replay made: results that share memory share it again."""

    def __init__(self, shared: set[Block]):
        self.shared, self.whole = shared, {}  # type: ignore[var-annotated]

    def of(self, array: Array, place: np.ndarray, block: Callable[[Block], np.ndarray]) -> np.ndarray:
        """A copy of one."""
        if array.block not in self.shared:
            return place.copy(order="K")
        if array.block not in self.whole:
            self.whole[array.block] = block(array.block).copy()
        return np.ndarray(array.shape, array.dtype, self.whole[array.block], array.offset, array.strides)
