"""One captured run, ready to be done again on other numbers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from operator import gt
from typing import Any

import numpy as np

from ..backward import ancestors
from ..tape import Leaf, mark_all, mark_written, memory, writes_of
from ..tensor import Tensor, at
from ..tree import flatten
from . import lines, moves, steps  # noqa: F401 - declare how calls are written
from .capture import UNSEEN, Capture
from .emit import emitted
from .passes import improved
from .program import OUTER


class Replay:
    """What a run did, and how to do it again: `prepare` makes it ready."""

    def __init__(self, capture: Capture, given: list, leaves: list, result: Any, guards: list[Callable]):
        self.ready, self.tries, self.guards, self.lock = False, 1, guards, threading.Lock()
        self.capture, self.given = capture, given
        self.differentiable = False  # whether gradients may be wanted of a result: then the function runs as it is
        self.others = [v for v in given if not isinstance(v, Tensor)]  # held, since the key has the ids of some
        self.tensors = [k for k, v in enumerate(given) if isinstance(v, Tensor)]
        found, self.build = flatten(result)
        self.results = [self.returned(y) for y in found]
        self.gradients = [self.gradient(leaf) for leaf, _ in capture.leaves.values()]
        ends = [r for how, r in self.results if how == "made"] + [g for *_, g in self.gradients if g is not None]
        self.program = capture.program(ends)

    # --- what a run gave ---

    def returned(self, y: Any) -> tuple[str, Any]:
        """How a result is given: computed, an argument, a view of what is outside, or itself."""
        if not isinstance(y, Tensor):
            if not isinstance(y, (int, float, complex, str, bytes, bool, type(None))):
                self.capture.refuse(
                    f"the function returns {type(y).__name__}; return tensors, in tuples, lists or dicts"
                )
            return "itself", y
        for k in self.tensors:
            if self.given[k] is y:
                return "argument", k
        if y.node is not None and not y.is_leaf and not finished(y):
            self.differentiable = True
        array = self.capture.array(y.value)
        if array.block.kind == OUTER:
            return ("view", y.value) if id(y.value) in self.capture.made_here else ("itself", y)
        return "made", array

    def other_results(self, later: Replay) -> str | None:
        """Whether results that come from no tensor were others in a later run."""
        plain = lambda r: [(type(v), repr(v)) for how, v in r.results if how == "itself" and not isinstance(v, Tensor)]
        return None if plain(self) == plain(later) else "a number or text that is returned"

    def meets(self, leaves: list) -> bool:
        """Whether an argument shares memory with what the function has from elsewhere."""
        return any(
            id(memory(v.value if isinstance(v, Tensor) else v)) in self.owners
            for v in map(leaves.__getitem__, self.tensors)
        )

    def gradient(self, leaf: Leaf) -> tuple:
        """Whose gradient changed, by position if it is an argument's, and where it is at the end."""
        position = next((k for k in self.tensors if self.given[k].leaf is leaf), None)
        return leaf, position, None if leaf.grad is None else self.capture.array(leaf.grad.value)

    def first(self, result: Any, leaves: list, given: list) -> Any:
        """The result of the run that was watched, in terms of the arguments that it was given."""
        for k in self.tensors:
            v = leaves[k]
            value = v.value if isinstance(v, Tensor) else v
            if value is not given[k].value and self.capture.input_written(given[k].value):
                np.copyto(value, given[k].value)
                mark_written(value)
        found, build = flatten(result)
        return build([leaves[r] if how == "argument" else y for y, (how, r) in zip(found, self.results)])

    # --- doing it again ---

    def prepare(self) -> None:
        """Improve the program, place it in memory, and write it."""
        own = {id(self.given[k].leaf) for k in self.tensors}
        self.before = [(f, b) for f, b in self.capture.leaves.values() if b is not UNSEEN and id(f) not in own]
        self.outside = [(t, v, n, *hooks_of(t, n)) for t, v, n in self.capture.tensors.values()]
        self.owners = {id(b.owner) for b in self.capture.blocks.values() if b.kind == OUTER}
        self.known = self.capture.known
        self.program = improved(self.program)
        self.place()
        self.ready, self.given = True, []
        del self.capture

    def place(self) -> None:
        """Find memory for everything, and write the lines that run on it."""
        program = self.program
        self.memory, self.run, self.source = emitted(program, self.known)
        places = iter([self.memory[a] for a in program.outputs])
        self.ends = [(how, next(places) if how == "made" else r) for how, r in self.results]
        self.slopes = [(leaf, k, None if g is None else next(places)) for leaf, k, g in self.gradients]
        self.inputs = list(zip(self.tensors, [self.memory[a] for a in program.inputs]))
        self.live = [(self.memory[a], get) for a, get in program.live]
        written = {a.block for call in program.calls for a in call.changes}
        self.written = [writes_of(b.owner) for b in written if b.kind == OUTER]
        self.returned_to = [(k, self.memory[a]) for k, a in zip(self.tensors, program.inputs) if a.block in written]
        self.users: list[int] | None = None

    def valid(self) -> bool:
        """Whether all that the run took from outside is as it was."""
        for t, value, node, hooks, after in self.outside:
            if t.value is not value or t.node is not node:
                return False
            if node is not None and (node.hooks is not hooks or getattr(node, "after", None) is not after):
                return False
        for leaf, before in self.before:
            if leaf.grad is not before:
                return False
        for guard in self.guards:
            if not guard():
                return False
        return True

    def held(self) -> list[int]:
        """How many hold each gradient, or the memory it lies in."""
        return [sys.getrefcount(a) for _, _, g in self.slopes if g is not None for a in (g, g.base)]

    def __call__(self, leaves: list) -> Any:
        if self.users is not None and any(map(gt, self.held(), self.users)):
            self.place()  # somebody holds what this run would change
        for k, place in self.inputs:
            v = leaves[k]
            np.copyto(place, v.value if isinstance(v, Tensor) else v)
        for place, get in self.live:
            place[...] = get()
        self.run()
        for leaf, k, g in self.slopes:
            (leaf if k is None else leaves[k].leaf).grad = None if g is None else at(g)
        if self.users is None:
            self.users = self.held()
        mark_all(self.written)
        for k, place in self.returned_to:
            v = leaves[k]
            np.copyto(v.value if isinstance(v, Tensor) else v, place)
            mark_written(v.value if isinstance(v, Tensor) else v)
        return self.build([self.given_back(how, r, leaves) for how, r in self.ends])

    @staticmethod
    def given_back(how: str, r: Any, leaves: list) -> Any:
        """One result."""
        if how == "made":
            return at(r.copy())
        return leaves[r] if how == "argument" else at(r) if how == "view" else r


def hooks_of(t: Tensor, node: Any) -> tuple:
    """The hooks of a tensor, as they are now."""
    return getattr(node, "hooks", None), getattr(node, "after", None)


def finished(y: Tensor) -> bool:
    """Whether a backward has been through the graph behind a tensor, so that no other can."""
    return any(getattr(node, "env", ()) is None for node in ancestors([y.grad_fn or y.node]))
