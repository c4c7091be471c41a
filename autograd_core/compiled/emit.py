"""The source of a replay: a line for each call, in Python, that runs what was captured on arrays that stay in place."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels._jit import plain
from ..op import REGISTRY
from .launches import bound, entry, launches_of
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

    def kept(self, value: Any) -> Any:
        """A value that stays as long as the lines do."""
        self.name(value)
        return value

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
        line = self.special(call) or (launched(self, call) if call.launches else general(self, call))
        first, *rest = line.split("\n")
        self.lines += [f"{first}  # {call.line}" if call.line else first, *rest]

    def special(self, call: Call) -> str | None:
        """The line of a call for which there is an emitter that can write it."""
        write = EMITTERS.get(call.op.name)
        return (write(self, call) if write else None) or ufunc(self, call)

    def function(self, name: str = "replay") -> Callable:
        """All lines as a function of no arguments."""
        text = f"def {name}():\n" + "".join(f"    {line}\n" for line in self.lines or ["pass"])
        file = f"<{name} {id(self):x}>"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(compile(text, file, "exec"), self.scope)
        self.text = text
        return self.scope[name]


def general(source: Source, call: Call) -> str:
    """The forward function of an op; records are pointed to what it makes, or else its results are copied."""
    given = ", ".join(
        [*map(source.argument, call.args), *(f"{n}={source.argument(p)}" for n, p in call.params.items())]
    )
    if call.op is REGISTRY["overwrite"]:
        return f"{source.name(np.copyto, 'copy')}({given}, casting='unsafe')"
    run = f"{source.name(on_arrays(call), f'{call.op.name}_')}({given})"
    if not call.results:
        return run
    takers = [source.name(source.memory.taker(a), "take") for a in call.results]
    if len(takers) == 1:
        return f"{takers[0]}({run})"
    return f"{source.name(handed_out, 'hand_out')}(({', '.join(takers)}), {run})"


def ufunc(source: Source, call: Call) -> str | None:
    """A function of NumPy's that acts entry by entry, on arrays of one type."""
    op, function = call.op, getattr(call.op.forward, "small", call.op.forward)
    types = {a.dtype for a in call.reads}
    if not isinstance(function, np.ufunc) or len(types) != 1 or len(call.results) != 1 or call.params:
        return None
    empty = [np.empty(0, a.dtype) if isinstance(a, Array) else a for a in call.args]
    if op.promotes == "inexact" and types.pop().kind not in "fc" or function(*empty).dtype != call.results[0].dtype:
        return None
    given = ", ".join(map(source.argument, call.args))
    return f"{source.name(function, op.name)}({given}, out={source.array(call.results[0])})"


def launched(source: Source, call: Call) -> str:
    """The calls of kernels that an op makes, on its place in the plan."""
    lines, indent = [], ""
    for kernel, args, returned in call.launches or ():
        letters = kernel.numbers or " " * len(args)
        run = source.name(entry(kernel), call.op.name)
        given = [*map(repr, kernel.args), *(passed(source, a, letter) for a, letter in zip(args, letters))]
        line = f"{run}({', '.join(given)})"
        if returned is None or returned is True:  # the latter says that it could be done
            lines.append(indent + line)
        else:
            lines += [f"{indent}if {line} != {returned}: {general(source, call)}", f"{indent}else:"]
            indent += "    "
    return "\n".join([*lines, f"{indent}pass"] if indent else lines)


def passed(source: Source, a: Any, letter: str) -> str:
    """What a kernel is passed, as it is written."""
    if letter == "a":
        return "0" if a is None else source.address(a) if isinstance(a, Array) else str(id(source.kept(a)))
    return source.argument(bound(a, lambda v: writable(source.memory[v])))


def writable(a: np.ndarray) -> np.ndarray:
    """An array as kernels are compiled for, of one that may not be written."""
    return a if a.flags.writeable else plain(a)


def handed_out(takers: tuple, results: tuple) -> None:
    """Give several results to who takes them."""
    for take, result in zip(takers, results):
        take(result)


def on_arrays(call: Call) -> Callable:
    """The forward function of an op, with what `Tensor.apply` does to types."""
    op = call.op
    types = {a.dtype for a in call.reads}
    if not op.promotes or (len(types) == 1 and call.results and call.results[0].dtype in types):
        return op.forward
    return lambda *values, **params: op.forward(*dtypes.promoted(values, op.promotes == "inexact"), **params)


class Trial:
    """Stands for the memory of a program while it is found out how calls will be written."""

    def __getitem__(self, a: Array) -> Array:
        return a


def written(call: Call) -> bool:
    """Whether a call will be written as a kernel's, not as its forward function."""
    return call.launches is not None or Source(Trial()).special(call) is not None  # type: ignore[arg-type]


def resolve(call: Call, known: dict) -> None:
    """Find out by which kernels a call can be replayed, if nothing else says so."""
    if not written(call) and (found := launches_of(call, on_arrays(call), known)):
        call.launches, call.scratch = found


def emitted(program: Program, known: dict) -> tuple[Memory, Callable, Source]:
    """Memory for a program, and what replays it there."""
    kept = {a.block for a in program.outputs}  # who holds these must keep their memory
    for call in program.calls:
        resolve(call, known)
    pointed = {a.block for c in program.calls if not written(c) for a in c.results if a.whole_block} - kept
    memory = Memory(program, known, pointed)
    source = Source(memory)
    for call in program.calls:
        source.write(call)
    memory.settle(program.outputs)
    return memory, source.function(), source
