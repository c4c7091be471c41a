"""Steps of an optimizer in a replay: its rule is asked once, and one kernel steps all parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import prod

import numpy as np

from ..kernels import dropout, together
from .emit import emitter
from .memory import Memory
from .program import Array, Call, at_present
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
    if not isinstance(state, Array) or out.offset or out.block.size != blocks * dropout.PER_BLOCK or not blocks:
        return None
    room = out._replace(shape=(blocks, dropout.PER_BLOCK), strides=(dropout.PER_BLOCK, 1))
    return [Line("{}({}, {}, {})", (dropout.keep_into, state, call.params["p"], room))]


class Steps:
    """Parameters of one type that are stepped by one rule."""

    def __init__(self, memory: Memory, members: list[Call]):
        first = members[0]
        place = lambda a: memory[a] if isinstance(a, Array) else a
        self.rule, self.params = first.op.call.rule, first.params  # type: ignore[attr-defined]
        self.given = [[place(a) for a in c.args] for c in members]
        self.at = [k for k, a in enumerate(first.args) if isinstance(a, Array) and not a.shape and a in first.writes]
        self.counters = [[values[k] for values in self.given] for k in self.at]
        sizes = [members[k].args[0].size for k in range(len(members))]
        self.starts, self.char = together.starts_of(sizes), first.args[0].dtype.char
        self.one, self.each = np.zeros(len(members), np.int64), np.arange(len(members))
        self.arrays: list[int] | None = None
        self.scalars = [v for v in self.given[0] if isinstance(v, np.ndarray) and not v.shape]
        self.last: list | None = None  # the rates of the last step, if they are all that its numbers depend on

    def __call__(self) -> None:
        rates = [[v.item() for v in self.scalars], at_present(self.params)]
        if rates != self.last:
            self.last = None if self.counters else rates
            self.call = self.asked()
        self.call()

    def asked(self) -> Callable[[], None]:
        """The step, with the numbers that the rule gives now."""
        before = [[c.item() for c in counters] for counters in self.counters]
        if all(v.count(v[0]) == len(v) for v in before):
            answers = [self.rule(*self.given[0], **at_present(self.params))]
            for counters in self.counters:
                now = counters[0]
                for c in counters[1:]:
                    c[...] = now
        else:
            answers = [self.rule(*values, **at_present(self.params)) for values in self.given]
        step, arrays, _ = answers[0]
        records = self.records(arrays)
        which = self.one if len(answers) == 1 else self.each
        numbers = np.array([a[2] for a in answers], np.float64)
        return functools.partial(together.run, step, self.char, self.starts, records, which, numbers)

    def records(self, arrays: tuple) -> np.ndarray:
        """The records of what the kernel takes, a row for each parameter."""
        places = [0, 1, *(next(k for k, v in enumerate(self.given[0]) if v is a) for a in arrays)]
        if places != self.arrays:
            self.arrays = places
            self.table = np.array([[id(values[k]) for k in places] for values in self.given])
        return self.table
