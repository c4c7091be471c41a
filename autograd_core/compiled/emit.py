"""The source of a replay: a line for each call, in Python, that runs what was captured on arrays that stay in place."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..op import REGISTRY
from .memory import Memory
from .program import Array, Call, Program

EMITTERS: dict[str, Callable] = {}  # by the name of an op: what writes a line that needs no new memory, or None


def emitter(*names: str) -> Callable:
    """Declare how calls of some ops are written."""

    def declare(write: Callable) -> Callable:
        EMITTERS.update(dict.fromkeys(names, write))
        return write

    return declare


class Source:
    """Lines, and the values that they name."""

    def __init__(self, memory: Memory):
        self.memory, self.lines, self.names, self.scope = memory, [], {}, {}  # type: ignore[var-annotated]

    def name(self, value: Any, prefix: str = "v") -> str:
        """How lines name a value."""
        key = id(value)
        if key not in self.names:
            self.names[key] = f"{prefix}{len(self.names)}"
            self.scope[self.names[key]] = value
        return self.names[key]

    def array(self, a: Array) -> str:
        """How lines name an array."""
        return self.name(self.memory[a], "a")

    def address(self, a: Array) -> str:
        """The record of an array, as kernels take it."""
        self.array(a)  # keeps it
        return str(id(self.memory[a]))

    def argument(self, a: Any) -> str:
        """An array or a number as it is written."""
        if isinstance(a, Array):
            return self.array(a)
        return (
            repr(a)
            if a is None or type(a) in (int, float, bool) and a == a and abs(a) != float("inf")
            else self.name(a)
        )

    def write(self, call: Call) -> None:
        """The line of a call."""
        line = EMITTERS.get(call.op.name, general)(self, call) or general(self, call)
        self.lines.append(f"{line}  # {call.line}" if call.line else line)

    def function(self, name: str = "replay") -> Callable:
        """All lines as a function of no arguments."""
        text = f"def {name}():\n" + "".join(f"    {line}\n" for line in self.lines or ["pass"])
        file = f"<{name} {id(self):x}>"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(compile(text, file, "exec"), self.scope)
        self.text = text
        return self.scope[name]


def general(source: Source, call: Call) -> str:
    """The forward function of an op, whose results are copied to where they belong."""
    given = ", ".join(
        [*map(source.argument, call.args), *(f"{n}={source.argument(p)}" for n, p in call.params.items())]
    )
    if call.op is REGISTRY["overwrite"]:
        return f"{source.name(np.copyto, 'copy')}({given}, casting='unsafe')"
    function = source.name(on_arrays(call), f"{call.op.name}_")
    if not call.results:
        return f"{function}({given})"
    outs = ", ".join(map(source.array, call.results))
    if len(call.results) == 1:
        return f"{source.name(np.copyto, 'copy')}({outs}, {function}({given}))"
    return f"{source.name(copied, 'copied')}(({outs}), {function}({given}))"


def on_arrays(call: Call) -> Callable:
    """The forward function of an op, with what `Tensor.apply` does to types."""
    op = call.op
    types = {a.dtype for a in call.reads}
    if not op.promotes or (len(types) == 1 and call.results and call.results[0].dtype in types):
        return op.forward
    return lambda *values, **params: op.forward(*dtypes.promoted(values, op.promotes == "inexact"), **params)


def copied(outs: tuple, results: tuple) -> None:
    """Put several results where they belong."""
    for out, result in zip(outs, results):
        np.copyto(out, result)


def emitted(program: Program, memory: Memory) -> tuple[Callable, Source]:
    """What replays a program."""
    source = Source(memory)
    for call in program.calls:
        source.write(call)
    return source.function(), source
