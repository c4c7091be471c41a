"""Steps of an optimizer in a replay: its rule is asked once, and one kernel steps all parameters."""

from __future__ import annotations

from functools import partial
from itertools import chain
from math import prod
from operator import is_
from struct import Struct
from typing import Any

import numpy as np

from ..kernels import dropout, together
from ..kernels._jit import COMPILED
from .emit import emitter
from .memory import Memory
from .places import MISSING, lasting
from .program import Array, Call, Live
from .rows import Line, Named, Placed

FEW = 1 << 15  # entries of all parameters, up to which it is worth compiling for a microsecond


@emitter("steps")
def steps(call: Call) -> list:
    """One call for all parameters."""
    return [Line("{}()", (Placed(lambda memory: Named("step", Steps(memory, call.settings["members"]))),))]


@emitter("dropout")
def draw_mask(call: Call) -> list | None:
    """Which entries dropout keeps, drawn where the mask lies; there is room for all of the last block of words."""
    state, out, shape = call.args[0], call.results[0], call.params["shape"]
    blocks = -(-prod(shape) // dropout.PER_BLOCK)
    if (
        not COMPILED
        or not isinstance(state, Array)
        or out.offset
        or out.block.size != blocks * dropout.PER_BLOCK
        or not blocks
    ):
        return None
    room = out._replace(shape=(blocks, dropout.PER_BLOCK), strides=(dropout.PER_BLOCK, 1))
    return [Line("{}({}, {}, {})", (dropout.keep_into, state, call.params["p"], room))]


class Asked:
    """A setting that is asked for at each step."""

    def __init__(self, name: str, live: Live):
        self.name, self.live, self.place, self.key, self.seen = name, live, live.place, live.name, MISSING

    def ask(self, params: dict) -> None:
        """Enter its value; it need not be asked for again while the very same stands there, if that cannot change."""
        params[self.name], value = self.live.now(), self.place[self.key]
        self.seen = value if lasting(value) else MISSING


class Steps:
    """Parameters of one type that are stepped by one rule."""

    def __init__(self, memory: Memory, members: list[Call]):
        first = members[0]
        place = lambda a: memory[a] if isinstance(a, Array) else a
        self.rule = first.op.call.rule  # type: ignore[attr-defined]
        self.params = dict(first.params)
        self.live = [Asked(n, v) for n, v in first.params.items() if isinstance(v, Live)]
        self.given = [[place(a) for a in c.args] for c in members]
        at = [k for k, a in enumerate(first.args) if isinstance(a, Array) and not a.shape and a in first.writes]
        self.counters = [[values[k] for values in self.given] for k in at]
        sizes = [members[k].args[0].size for k in range(len(members))]
        self.starts, self.char = together.starts_of(sizes), first.args[0].dtype.char
        self.step, self.arrays, self.numbers = None, (), np.empty((0, 0))  # type: ignore[var-annotated]
        self.scalars = [v for v in self.given[0] if isinstance(v, np.ndarray) and not v.shape]
        self.last: tuple | None = None  # the rates of the last step, if they are all that its numbers depend on
        places = [v.ctypes.data for row in self.counters for v in row]
        self.places, self.before = np.array(places, np.int64), np.empty(len(self.counters))
        self.firsts = [(self.before[k, ...], row[0]) for k, row in enumerate(self.counters)]
        self.moves = self.places.ctypes.data, len(self.counters), len(members), self.before.ctypes.data
        small = self.starts[-1] <= FEW and all(v.dtype.char == "d" for row in self.counters for v in row)
        self.follow = partial(together.follow, *self.moves) if COMPILED and small else self.followed

    def __call__(self) -> None:
        for one in self.live:
            if one.place[one.key] is not one.seen:
                one.ask(self.params)
        if self.counters:
            self.ask()
        elif (rates := ([v.item() for v in self.scalars], dict(self.params))) != self.last:
            self.last = rates
            self.ask()
        self.step.together(*self.taken)

    def ask(self) -> None:
        """Let the rule say what to do now: by which kernel, on which arrays, with what numbers, of which all have their own
        unless all have been stepped equally often."""
        for place, first in self.firsts:
            place[()] = first
        step, arrays, numbers = self.rule(*self.given[0], **self.params)
        rows = [numbers]
        if not self.follow():
            rows += [self.rule(*values, **self.params)[2] for values in self.given[1:]]
        if step is not self.step or len(rows) != len(self.numbers) or not all(map(is_, arrays, self.arrays)):
            self.take(step, arrays, rows)
        self.put.pack_into(self.numbers, 0, *(numbers if len(rows) == 1 else chain.from_iterable(rows)))

    def followed(self) -> bool:
        """What `together.follow` does, in Python."""
        rows = [(first, others, was.item()) for (first, *others), was in zip(self.counters, self.before)]
        if any(v.item() != was for _, others, was in rows for v in others):
            return False
        for first, others, _ in rows:
            for v in others:
                v[()] = first
        return True

    def take(self, step: Any, arrays: tuple, rows: list) -> None:
        """What the kernel is called with: the records of what it takes, and room for as many rows of numbers."""
        places = [0, 1, *(next(k for k, v in enumerate(self.given[0]) if v is a) for a in arrays)]
        self.table = np.array([[id(values[k]) for k in places] for values in self.given])
        self.numbers, self.put = np.empty((len(rows), len(rows[0]))), Struct(f"{len(rows) * len(rows[0])}d")
        which = np.arange(len(self.given)) % len(rows)
        self.step, self.arrays = step, arrays
        self.taken = together.given(self.char, self.starts, self.table, which, self.numbers)
