"""Steps of an optimizer in a replay: its rule is asked once, and one kernel steps all parameters."""

from __future__ import annotations

from itertools import chain
from math import prod
from operator import is_
from struct import Struct

import numpy as np

from ..kernels import dropout, together
from ..kernels._jit import COMPILED
from .emit import emitter
from .memory import Memory
from .program import Array, Call, Live
from .rows import Line, Named, Placed


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


class Steps:
    """Parameters of one type that are stepped by one rule."""

    def __init__(self, memory: Memory, members: list[Call]):
        first = members[0]
        place = lambda a: memory[a] if isinstance(a, Array) else a
        self.rule = first.op.call.rule  # type: ignore[attr-defined]
        self.live = [(n, v) for n, v in first.params.items() if isinstance(v, Live)]
        self.params = dict(first.params)
        self.given = [[place(a) for a in c.args] for c in members]
        self.at = [k for k, a in enumerate(first.args) if isinstance(a, Array) and not a.shape and a in first.writes]
        self.counters = [[values[k] for values in self.given] for k in self.at]
        sizes = [members[k].args[0].size for k in range(len(members))]
        self.starts, self.char = together.starts_of(sizes), first.args[0].dtype.char
        self.one, self.each = np.zeros(len(members), np.int64), np.arange(len(members))
        self.arrays: tuple | None = None
        self.numbers, self.put = np.empty((0, 0)), Struct("")
        self.scalars = [v for v in self.given[0] if isinstance(v, np.ndarray) and not v.shape]
        self.last: tuple | None = None  # the rates of the last step, if they are all that its numbers depend on

    def __call__(self) -> None:
        for name, value in self.live:
            self.params[name] = value.now()
        if self.counters:
            self.ask()
        elif (rates := ([v.item() for v in self.scalars], dict(self.params))) != self.last:
            self.last = rates
            self.ask()
        together.run(self.step, self.char, self.starts, self.table, self.which, self.numbers)

    def ask(self) -> None:
        """Let the rule say what to do now: by which kernel, on which arrays, with what numbers, of which all have their own
        unless all have been stepped equally often."""
        alike = all(before.count(before[0]) == len(before) for before in ([c.item() for c in r] for r in self.counters))
        given = self.given[:1] if alike else self.given
        answers = [self.rule(*values, **self.params) for values in given]
        if alike:
            for first, *others in self.counters:
                now = first.item()
                for c in others:
                    c[()] = now
        self.step, arrays, _ = answers[0]
        self.keep(arrays)
        self.which = self.one if alike else self.each
        self.write([numbers for *_, numbers in answers])

    def keep(self, arrays: tuple) -> None:
        """The records of what the kernel takes, a row for each parameter."""
        if self.arrays is None or len(arrays) != len(self.arrays) or not all(map(is_, arrays, self.arrays)):
            places = [0, 1, *(next(k for k, v in enumerate(self.given[0]) if v is a) for a in arrays)]
            self.arrays, self.table = arrays, np.array([[id(values[k]) for k in places] for values in self.given])

    def write(self, rows: list[tuple]) -> None:
        """Put numbers where the kernel finds them."""
        if self.numbers.shape != (len(rows), len(rows[0])):
            self.numbers, self.put = np.empty((len(rows), len(rows[0]))), Struct(f"{len(rows) * len(rows[0])}d")
        self.put.pack_into(self.numbers, 0, *chain.from_iterable(rows))
