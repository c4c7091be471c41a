"""How gradients flow back through a compiled function: learnt from walks that were watched, then replayed.

What cannot be replayed, gradients of gradients, batches of cotangents, gradients of other results than those that were
asked for before, is found by running the function itself once more, on all that was there when it ran, and walking back
through the graph of that run.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from .. import dtypes
from ..tape import Leaf, clock, enable_grad, mark_all, refuse_capture, using, write_after, writes_of
from ..tensor import Tensor, at, node_of
from .capture import Capture
from .compare import difference
from .guards import Guard, Readings, reading
from .halves import Frame, Halves, harmless
from .program import INPUT, OUTER, Program
from .results import Results
from .reverse import Graph, Watched, tensors_of, usual
from .signature import value_of

TRIES = 4  # walks that may differ from the one before
LOCKED: weakref.WeakSet[Back] = weakref.WeakSet()
MISSES = 2  # walks of a kind that is not known, before the function is watched again


class Undone(Exception):
    """A replay has raised, and left nothing changed: the function itself is to run."""


class Walked:
    """What was seen of a walk back."""

    def __init__(self, program: Program, arrived: tuple, keep: tuple, found: tuple, guard: Guard):
        self.program, self.arrived, self.keep, self.found, self.guard = program, arrived, keep, found, guard
        read = {a.block for c in program.calls for a in c.reads if a.block.kind == OUTER}
        self.read = [writes_of(b.owner) for b in read]

    def answers(self, cotangents: Sequence, keep: Sequence[bool]) -> bool:
        """Whether it holds what another walk asks for."""
        arrived = tuple(g is not None for g in cotangents)
        return self.arrived == arrived and all(b or not a for a, b in zip(keep, self.keep))


class Lessons:
    """What runs of one kind have taught of the way back."""

    def __init__(self, wanted: tuple = (), relearnt: int = 0):
        self.wanted, self.relearnt = wanted, relearnt  # which cotangents have been asked for, and how often anew
        self.last: Back | None = None  # the run that was walked back last
        self.tries, self.done = 1, False
        self.closures: set[int] = set()  # code that the walks have called


class Back:
    """The way back through one kind of run."""

    def __init__(self, capture: Capture, results: Results, linked: list[int], call: Callable, kept: list):
        self.kept = kept
        self.capture, self.results, self.call, self.linked = capture, results, call, linked
        self.graph, self.keys = graph_of(capture, results, linked)
        self.lock = threading.Lock()
        LOCKED.add(self)
        self.walked: Walked | None = None
        self.lessons, self.settle = Lessons(), lambda: False
        self.halves: Halves | None = None
        self.forward = capture.program(results.arrays)
        self.agreed = self.stale = self.hopeless = False
        self.misses, self.dtype = 0, dtypes.get_default_dtype()

    def parents(self, leaves: list) -> list:
        """The nodes to which cotangents go on."""
        return [node_of(leaves[k]) if isinstance(k, int) else k for k in self.keys]

    def first(self, leaves: list, name: str) -> dict[int, Tensor]:
        """The results of a run that was watched."""
        ways, shared = self.results.ways, self.results.shared
        copied = lambda v, a: v if a.block in shared else v.copy(order="K")  # changes in place must not reach the graph
        values = [copied(self.results.found[j].value, ways[j].what) for j in self.linked]
        return dict(zip(self.linked, tensors_of(Watched(self.graph, self.watch), name, self.parents(leaves), values)))

    # --- learning ---

    def watch(self, graph: Graph, cotangents: Sequence, keep: Sequence[bool]) -> list:
        """Walk the graph of the run, watched; once two walks did the same, the next is a replay."""
        if self.lessons.done or self.hopeless:
            return graph.pull(cotangents, keep)
        capture, readings = self.capture, Readings(known=self.lessons.closures)
        cut, live, leaves = len(capture.calls), len(capture.live), len(capture.leaves)
        every = tuple(a or b for a, b in zip(keep, self.lessons.wanted or keep))
        given = [None if g is None else at(np.array(g)) for g in cotangents]
        inputs = [capture.array(t.value, INPUT) for t in given if t is not None]
        capture.made_here |= {id(t.value) for t in given if t is not None}
        capture.soft = True
        with using(observers=(capture,), capture=capture), reading(readings):
            found = [value_of(g) for g in graph.pull(given, every)]
        ends = [capture.array(v) for v in found if v is not None]
        program = Program(capture.calls[cut:], inputs, ends, capture.live[live:])
        arrived, there = tuple(g is not None for g in cotangents), tuple(v is not None for v in found)
        self.walked = Walked(program, arrived, every, there, readings.guard(capture.places))
        calm = len(capture.leaves) == leaves and harmless(self.forward, program)
        self.hopeless = bool(capture.refused) or not calm or readings.written(capture.places) is not None
        self.learn()
        return found

    def learn(self) -> None:
        """Compare the walk with that through the run before."""
        lessons, last = self.lessons, self.lessons.last
        if self.hopeless or not last:
            lessons.last = self
        elif self.differs(last):
            lessons.last, lessons.tries = self, lessons.tries + 1
            self.hopeless = lessons.tries >= TRIES
        elif self.agreed or last.agreed:
            lessons.last, lessons.done = None, True
            for back in (last, self):  # of several calls the last is walked back first, and is the one that is kept
                if back.agreed and back.settle():
                    break

    def differs(self, last: Back) -> bool:
        """Whether the run before was walked back otherwise."""
        mine, other = self.walked, last.walked
        kinds = [(w.arrived, w.keep, w.found) for w in (mine, other)]  # type: ignore[union-attr]
        return kinds[0] != kinds[1] or difference(last.joint(), self.joint()) is not None

    def joint(self) -> Program:
        """The whole run, forward and back."""
        a, b = self.forward, self.walked.program  # type: ignore[union-attr]
        return Program(a.calls + b.calls, a.inputs + b.inputs, a.outputs + b.outputs, a.live + b.live)

    def prepare(self, known: dict) -> None:
        """Place both programs in memory."""
        written = {a.block for c in self.forward.calls for a in c.changes if a.block.kind == OUTER}
        read = {a.block for c in self.forward.calls for a in c.reads if a.block.kind == OUTER} - written
        self.changed, self.read = [b.owner for b in written], [writes_of(b.owner) for b in read]
        self.written = [writes_of(owner) for owner in self.changed]
        self.halves = Halves(self.forward, self.walked and self.walked.program, known)
        self.graph = self.forward = None  # type: ignore[assignment]
        if self.walked:
            self.walked.program = None  # type: ignore[assignment]

    # --- doing it again ---

    def run(self, valid: Callable, leaves: list, inputs: list[int]) -> tuple[Run, dict]:
        """One replay, and the places of its results."""
        forward, before = self.halves.forward, [owner.copy() for owner in self.changed]  # type: ignore[union-attr]
        frame = forward.begin()
        for k, place in zip(inputs, forward.inputs):
            np.copyto(place, value_of(leaves[k]))
        try:
            forward.run(frame)
        except Exception as error:
            put(self.changed, before)
            raise Undone from error
        mark_all(self.written)
        return Run(self, valid, frame, leaves, before), dict(zip(self.results.made, forward.ends))

    def tensors(self, run: Run, name: str, copied: Callable) -> dict[int, Tensor]:
        """The results of a replay that have a history, as those of one node."""
        return dict(zip(self.linked, tensors_of(run, name, self.parents(run.leaves), list(map(copied, self.linked)))))

    def pull(self, run: Run, cotangents: Sequence, keep: Sequence[bool]) -> list:
        """The cotangents of what a call depended on."""
        plain, walked = usual(cotangents), self.walked
        answers = walked is not None and walked.answers(cotangents, keep)
        if plain and answers and not changed(walked.read, run.since) and walked.guard():  # type: ignore[union-attr]
            return self.replayed(run, cotangents, keep)
        if plain and not answers:
            self.misses += 1
            self.lessons.wanted = tuple(a or b for a, b in zip(keep, walked.keep if walked else keep))
            self.stale = self.misses == MISSES and self.lessons.relearnt < TRIES
        refuse_capture("gradients flow back into a compiled function that was called before")
        return self.again(run).pull(cotangents, keep)

    def replayed(self, run: Run, cotangents: Sequence, keep: Sequence[bool]) -> list:
        """The same by the backward program."""
        with self.lock:
            made = iter(self.halves.backward(run.frame, [g for g in cotangents if g is not None]))  # type: ignore[union-attr,misc]
        found = [next(made) if there else None for there in self.walked.found]  # type: ignore[union-attr]
        return [g if k else None for g, k in zip(found, keep)]

    def again(self, run: Run) -> Graph:
        """Run the function itself as it was run then, for its graph."""
        who = "compile: these gradients need the function to run again, and"
        arguments = [v for v in run.leaves if isinstance(v, (Tensor, np.ndarray))]
        if changed(self.read, run.since) or any(write_after(value_of(v), run.since) for v in arguments):
            raise RuntimeError(f"{who} what it reads has been changed in place since; ask for them before that")
        if not run.valid():
            raise RuntimeError(f"{who} something around it is another now; ask for them before that")
        now, dtype = [owner.copy() for owner in self.changed], dtypes.get_default_dtype()
        try:
            dtypes.set_default_dtype(self.dtype)
            put(self.changed, run.before)
            with enable_grad():
                return self.graph_again(run.leaves)
        finally:
            dtypes.set_default_dtype(dtype)
            put(self.changed, now)
            mark_all(self.written)

    def graph_again(self, leaves: list) -> Graph:
        """The graph that the function leaves on arguments, its edge in the order of the node's parents."""
        stands, rest = Capture(True), iter(leaves[len(leaves) - sum(len(k.forms) for k in self.kept) :])
        given = [stands.standing_for(v, k) for k, v in enumerate(leaves)]
        present = [k.place.get(k.name) for k in self.kept]
        try:
            for k in self.kept:
                k.put([next(rest) for _ in k.forms])
            results = Results((self.call(given), [k.tensors() for k in self.kept]), stands, given, leaves)
        finally:
            for k, value in zip(self.kept, present):
                k.place[k.name] = value
        stands.leaves_outside = {k for k in self.keys if not isinstance(k, int)}
        graph, keys = graph_of(stands, results, self.linked)
        if graph is None or not set(keys) <= set(self.keys):
            raise RuntimeError("compile: the function did something else when it was run again for its gradients")
        places = dict(zip(keys, graph.edge))
        graph.edge = [places.get(k) for k in self.keys]
        return graph


class Run:
    """What is kept of one call until its gradients have been asked for."""

    __slots__ = ("back", "valid", "frame", "leaves", "before", "since")

    def __init__(self, back: Back, valid: Callable, frame: Frame, leaves: list, before: list[np.ndarray]):
        self.back, self.valid, self.frame, self.leaves, self.before = back, valid, frame, leaves, before
        self.since = next(clock)

    def pull(self, cotangents: Sequence, keep: Sequence[bool]) -> list:
        """The cotangents of what the call depended on."""
        return self.back.pull(self, cotangents, keep)


def graph_of(capture: Capture, results: Results, which: list[int]) -> tuple[Graph | None, list]:
    """The graph that a run has left, and what its edge is made of: positions of arguments, and leaves from outside."""
    position = {node: k for k, node in capture.nodes.items() if node is not None}
    outer = capture.leaves_outside | {n for _, _, n in capture.tensors.values() if n.__class__ is Leaf}
    graph = Graph.of([results.found[j] for j in which], capture.since, position, outer | position.keys())
    return graph, [position.get(n, n) for n in graph.edge] if graph else []


def changed(entries: list[list], since: int) -> bool:
    """Whether one of these has been written to since."""
    return any(e[1] > since for e in entries)


def put(owners: list[np.ndarray], values: list[np.ndarray]) -> None:
    """Give arrays other values."""
    for owner, value in zip(owners, values):
        np.copyto(owner, value)


def unlocked() -> None:
    """In a child after a fork: the threads that held locks are not there."""
    for back in LOCKED:
        back.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=unlocked)
