"""One captured run, ready to be done again on other numbers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from operator import attrgetter, gt, is_, sub
from sys import getrefcount
from typing import Any, NamedTuple

import numpy as np

from ..kernels._memory import trim
from ..tape import Leaf, mark_all, mark_written, memory, writes_of
from ..tensor import Tensor, at, node_of
from . import lines, moves, steps  # noqa: F401 - declare how calls are written
from .back import Back, Lessons, Undone, put
from .capture import UNSEEN, Capture
from .compare import difference
from .emit import Source, emitted, resolved
from .guards import Guard
from .halves import Lent, Table, whole
from .kept import Slope
from .memory import Memory
from .passes import improved
from .program import OUTER, Program
from .quick import Quick, suits
from .results import Copies, Results, finished
from .signature import owners_of, sharing, value_of
from .unchanged import attributes, outside

GRADIENT = attrgetter("grad")
HANDED = ("value", "node", "leaf", "origin")  # what a tensor of a gradient has while nobody has changed it
LARGE = 1 << 14  # bytes of an argument that is not copied into the plan
COPIED = 1 << 18  # bytes, at most, that are copied before a replay, lest it raises after it has changed them
TRIES = 4  # runs that may differ from the one before, as the first does that sets up state


class Part(NamedTuple):
    """A program as it is placed and written."""

    program: Program
    memory: Memory
    source: Source


class Replay:
    """What a run did, and how to do it again: `prepare` makes it ready."""

    def __init__(
        self, capture: Capture, given: list, leaves: list, call: Callable, result: Any, guard: Guard, kept: list
    ):
        self.kept = kept  # places where a run leaves tensors for the next
        self.ready, self.agreed, self.tries, self.guard = False, False, 1, guard
        self.settings = capture.guards
        self.slow, self.quick = 0, None  # how often it was replayed the long way, and what looks for the short one
        self.uses = self.wasted = 0  # how often it was replayed, and how often others like it were prepared in vain
        self.capture, self.given = capture, given
        self.others = [v for v in given if not isinstance(v, Tensor)]  # held, since the key has the ids of some
        self.tensors = [k for k, v in enumerate(given) if isinstance(v, Tensor)]
        self.results = Results(result, capture, given, leaves)
        self.added_to = [k.place for k in kept if isinstance(k, Slope)]  # leaves that have gradients before a run
        same = lambda leaf, before: leaf in self.added_to and leaf.grad is before
        self.gradients = [self.gradient(leaf) for leaf, before in capture.leaves.values() if not same(leaf, before)]
        self.changing = [k for _, k, _ in self.gradients if k is not None]
        slopes = [g for *_, g in self.gradients if g is not None]
        self.program = capture.program(self.results.arrays + slopes)
        self.met = capture.met()
        linked = [j for j in self.results.linked if not finished(self.results.found[j])]
        ended = (j for j in self.results.linked if j not in linked)
        self.ended = {j: node_of(self.results.found[j]) for j in ended}  # histories of which nothing is left
        self.back = Back(capture, self.results, linked, call, kept)
        self.lost = self.loses()
        self.back.settle = weakly(self.prepare)

    @property
    def lock(self) -> Any:
        """What one run holds, forward or back: both are in the same memory."""
        return self.back.lock

    @property
    def hopeless(self) -> bool:
        """Whether the function has to run as it is."""
        return self.lost or self.back.hopeless or bool(not self.ready and self.capture.refused)

    def loses(self) -> bool:
        """Whether a replay could not leave histories as the run has left them."""
        capture, back = self.capture, self.back
        if self.results.unusual or any(node is not node_of(t) for t, _, node in capture.tensors.values()):
            return True
        if any(self.given[k].node is not node for k, node in capture.nodes.items()):
            return True
        if any(self.results.found[j].leaf.grad is not None for j in self.results.asking):
            return True
        slopes = [id(memory(leaf.grad.value)) for leaf, _ in capture.leaves.values() if leaf.grad is not None]
        if len(set(slopes)) < len(slopes):  # one tensor as the gradient of several, or parts of one
            return True
        owners = [a.block.owner for a in capture.inputs]
        written = any(map(capture.input_written, owners))
        changed = bool(self.gradients or self.added_to)
        return bool(back.linked) and (back.graph is None or changed or capture.outward or written)

    def differs(self, later: Replay) -> str | None:
        """What a later run did otherwise."""
        if other := difference(self.program, later.program):
            return other
        if self.results.plain() != later.results.plain():
            return "a number or text that is returned"
        how = lambda r: [(w.how, w.what if w.how in ("argument", "same", "gradient") else None) for w in r.results.ways]
        edge = lambda r: (r.back.keys, r.back.linked, r.results.asking, [(id(k.place), *k[1::2]) for k in r.kept])
        return (
            None if how(self) == how(later) and edge(self) == edge(later) else "which results share memory or history"
        )

    def gradient(self, leaf: Leaf) -> tuple:
        """Whose gradient changed, by position if it is an argument's, and where it is at the end."""
        position = next((k for k in self.tensors if self.given[k].leaf is leaf), None)
        return leaf, position, None if leaf.grad is None else self.capture.array(leaf.grad.value)

    def takes(self, leaves: list, owners: list[int]) -> bool:
        """Whether it can be replayed on these now; if so, its lock is taken: one thread at a time is in it.

        Not if an argument shares memory with what the function has from elsewhere, or has a gradient already that a run
        changes.
        """
        if self.kept:
            owners = owners_of(leaves)
        if (self.kept and sharing(owners)) or not self.owners.isdisjoint(owners) or self.adds(leaves):
            return False
        return self.lock.acquire(blocking=False)

    def adds(self, leaves: list) -> bool:
        """Whether an argument has a gradient already that a run changes."""
        found = [leaves[k].leaf for k in self.changing]
        return any(leaf is not None and leaf.grad is not None for leaf in found)

    def first(self, leaves: list, name: str) -> Any:
        """The results of the run that was watched, in terms of the arguments that it was given."""
        write_back(self.capture, self.given, leaves)
        found, made = self.results.found, {}  # type: ignore[var-annotated]
        if self.back.linked and not self.hopeless:
            made = self.back.first(leaves, name)
        return self.results.given_back(lambda j: made.get(j, found[j]), leaves)[0]

    def with_kept(self, leaves: list) -> list | None:
        """The arguments, and what else a run is given; None if that is of another form now."""
        for kept in self.kept:
            found = kept.tensors()
            if found is None:
                return None
            leaves = leaves + found
        return leaves

    def finish(self, returned: tuple) -> Any:
        """Leave for the next run what is for it; the result."""
        result, left = returned
        for kept, tensors in zip(self.kept, left):
            kept.put(tensors)
        return result

    def follows(self, last: Replay | None) -> None:
        """Go on learning where the last run left off; give up if what was learnt was never of use."""
        if last is not None:
            self.wasted = last.wasted + (last.ready and not last.uses) if not last.uses else 0
            self.lost = self.lost or self.wasted >= TRIES
        if last is not None and last.back.linked:
            lessons = last.back.lessons
            known = Lessons(lessons.wanted, lessons.relearnt + last.back.stale) if last.ready else lessons
            self.back.lessons = known

    def agrees(self, before: Replay) -> None:
        """Two runs did the same: prepare for the next, once it is known whether gradients flow back from them."""
        self.agreed = self.back.agreed = True
        lessons = self.back.lessons
        if not self.back.linked or (before.agreed and not lessons.last and not lessons.wanted):
            lessons.done = True
            self.prepare()

    # --- doing it again ---

    def prepare(self) -> None:
        """Improve the program, place it in memory, and write it."""
        own = {id(self.given[k].leaf) for k in self.tensors} | set(map(id, self.added_to))
        seen = [(f, b) for f, b in self.capture.leaves.values() if b is not UNSEEN and id(f) not in own]
        used = {id(a.block.owner) for c in self.program.calls for a in (*c.reads, *c.changes)}
        held = lambda b: b is None or id(memory(b.value)) in used
        self.there = [f for f, b in seen if not held(b)]  # gradients of which the run only saw that they are there
        self.outside = outside(list(self.capture.tensors.values()), [(f, b) for f, b in seen if held(b)])
        self.same = self.outside + self.guard.quick
        self.owners = {id(b.owner) for b in self.capture.blocks.values() if b.kind == OUTER}
        known = self.capture.known
        self.known = {a: v for a, v in known.items() if a.block.kind == OUTER}
        self.shown = {k: known[a] for k, a in zip(self.tensors, self.program.inputs)}
        if self.back.linked:
            self.back.prepare(known)
        else:
            self.program = resolved(improved(self.program), known)
            self.place()
        self.ready, self.given, self.explained = True, [], False
        self.results.forget()
        del self.capture, self.back.capture
        trim()  # runs as they are need far more, and the next is a replay

    def place(self) -> None:
        """Find memory for everything, and write the lines that run on it."""
        program = self.program
        written = {a.block for call in program.calls for a in call.changes}
        here = written | {a.block for a in program.outputs}
        large = lambda a: a.bytes >= LARGE and a.contiguous
        lent = {a.block for a in program.inputs if large(a)} - here  # these are looked at where they lie
        make = lambda program, known, pointed: Lent(program, known, pointed - lent, lent)
        self.memory, self.run, source = emitted(program, self.known, make)
        self.part = Part(program, self.memory, source)
        places = iter([self.memory[a] for a in program.outputs])
        self.ends = {j: next(places) for j in self.results.made}
        slopes = [(leaf, k, None if g is None else next(places)) for leaf, k, g in self.gradients]
        self.returned_slopes = [(k, g) for _, k, g in slopes if k is not None]
        self.emptied = [leaf for leaf, k, g in slopes if k is None and g is None]
        shown = {id(w.what) for w in self.results.ways if w.how == "gradient"}
        self.slopes = [(leaf, g) for leaf, k, g in slopes if k is None and g is not None and id(leaf) not in shown]
        self.shown_slopes = [(leaf, g) for leaf, k, g in slopes if k is None and id(leaf) in shown]
        risk = [b.owner for b in source.at_risk]
        self.at_risk = risk if sum(owner.nbytes for owner in risk) <= COPIED else None
        self.hold()
        given = list(zip(self.tensors, program.inputs))
        self.inputs = [(k, self.memory[a]) for k, a in given if a.block not in lent]
        self.lent = [(k, Table(self.memory, {a.block: -a.offset})) for k, a in given if a.block in lent]
        self.live = [(self.memory[a], get) for a, get in program.live]
        self.written = [writes_of(b.owner) for b in written if b.kind == OUTER]
        self.returned_to = [(k, self.memory[a]) for k, a in given if a.block in written]
        self.take(self.shown)  # so that it can be run before it is called

    def take(self, values: Any) -> None:
        """Copy arguments into their places, and point to the large ones, which stay until there are others."""
        for k, place in self.inputs:
            np.copyto(place, value_of(values[k]))
        self.point(values)

    def point(self, values: Any) -> None:
        """Point to large arguments."""
        self.looked_at = [in_order(value_of(values[k])) for k, _ in self.lent]
        for (_, table), v in zip(self.lent, self.looked_at):
            table(v)

    def parts(self) -> list:
        """The programs: one, or one forward and one back."""
        return self.back.halves.parts() if self.back.halves else [self.part]

    def valid(self) -> bool:
        """Whether all that the run took from outside is as it was."""
        same = self.same() or (self.outside() and self.guard())
        return same and self.has_gradients() and all(setting() for setting in self.settings)

    def has_gradients(self) -> bool:
        """Whether gradients are there of which the run only saw that they are."""
        return None not in map(GRADIENT, self.there)

    def quicken(self, leaves: list) -> None:
        """Make what looks at the next call, if it is like this one; ever more rarely, where that is of no use."""
        self.slow += 1
        if self.quick is None and self.slow & (self.slow - 1) == 0 and suits(self, leaves):
            self.quick = Quick(self, leaves)

    def hold(self) -> None:
        """Tensors of the gradients of parameters, to hand out until somebody has changed, or still holds, one."""
        leaves, values = map(list, zip(*self.slopes)) if self.slopes else ([], [])
        self.handed, self.leaves = [at(g) for g in values], leaves
        self.intact = attributes(*((n, self.handed, [getattr(t, n) for t in self.handed]) for n in HANDED))
        self.holders, self.users, self.quick = [*values, *(g.base for g in values)], None, None

    def held(self) -> list[int]:
        """How many hold each gradient of a parameter, and what it lies in, apart from the parameter itself."""
        ours = map(is_, map(GRADIENT, self.leaves), self.handed)
        return [*map(getrefcount, self.holders), *map(sub, map(getrefcount, self.handed), ours)]

    def __call__(self, leaves: list, name: str) -> Any:
        if self.back.linked:
            self.uses += 1
            run, places = self.back.run(self.valid, leaves, self.tensors)
            copied = self.copied(places, self.back.halves.memory)  # type: ignore[union-attr]
            made = self.back.tensors(run, name, copied)
            return self.finish(
                self.results.given_back(lambda j: made[j] if j in made else self.made(copied, j), leaves)
            )
        if self.users is not None and any(map(gt, self.held(), self.users)):
            self.place()  # somebody holds what this run would change
        if not self.intact():
            self.hold()
        if self.users is None:
            self.users = self.held()
        self.take(leaves)
        return self.again(leaves)

    def again(self, leaves: Sequence) -> Any:
        """Run on arguments that are where they are read."""
        self.uses += 1
        for place, get in self.live:
            place[...] = get()
        self.attempt()
        for leaf, t in zip(self.leaves, self.handed):
            leaf.grad = t
        for leaf in self.emptied:
            leaf.grad = None
        for leaf, g in self.shown_slopes:  # whoever is given it may keep it, and changes the leaf's with it
            leaf.grad = at(g.copy())
        for k, g in self.returned_slopes:
            leaves[k].leaf.grad = None if g is None else at(g.copy())
        mark_all(self.written)
        for k, place in self.returned_to:
            np.copyto(value_of(leaves[k]), place)
            mark_written(value_of(leaves[k]))
        if self.results.lone:  # nothing but one new tensor, as the loss of a step
            t = at(self.ends[0].copy(order="K"))
            t.node = self.ended.get(0)
            return t
        copied = self.copied(self.ends, self.memory)
        return self.finish(self.results.given_back(lambda j: self.made(copied, j), leaves))

    def attempt(self) -> None:
        """Run; if that raises, what was there before is put back, so that the function itself can do it, and raise."""
        before = self.at_risk and [owner.copy() for owner in self.at_risk]
        try:
            self.run()
        except Exception as error:
            if self.at_risk is None:
                raise
            put(self.at_risk, before or [])
            raise Undone from error

    def copied(self, places: dict[int, np.ndarray], memory: Any) -> Callable[[int], np.ndarray]:
        """What copies results from where they were made, those that share memory together."""
        copies, ways = Copies(self.results.shared), self.results.ways
        return lambda j: copies.of(ways[j].what, places[j], lambda b: memory[whole(b)])

    def made(self, copied: Callable[[int], np.ndarray], j: int) -> Tensor:
        """A result without a history, or with one that has been gone through."""
        t = at(copied(j))
        t.node = self.ended.get(j)
        return t.requires_grad_() if j in self.results.asking else t


def in_order(v: np.ndarray) -> np.ndarray:
    """An array whose entries lie in order, as kernels read them: itself, if it is one."""
    return v if v.flags.c_contiguous and v.flags.aligned else np.array(v, order="C")


def weakly(method: Callable) -> Callable[[], bool]:
    """A call of a method while its object is there; whether it is."""
    reference = weakref.WeakMethod(method)

    def call() -> bool:
        if (found := reference()) is not None:
            found()
        return found is not None

    return call


def write_back(capture: Capture, given: list, leaves: list) -> None:
    """What the run has changed of its arguments, for those that it had copies of."""
    for k in capture.nodes:
        v, t = leaves[k], given[k]
        if not capture.input_written(t.value) or t.value is value_of(v):
            continue
        if isinstance(v, Tensor) and t.node is not None:
            v.write(t)
        else:
            np.copyto(value_of(v), t.value)
            mark_written(value_of(v))
