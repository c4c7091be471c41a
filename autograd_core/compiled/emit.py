"""The source of a replay: Python that runs what was captured on arrays that stay in place, with few lines for many calls.

What a call does is said without knowing where its arrays will be: as *rows*, calls of kernels that take nothing but
numbers and the records of arrays, or as *lines* of Python.  Rows that follow each other are one call of native code.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from itertools import accumulate, groupby
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import _steps
from ..kernels._jit import Kernel, Writeable
from ..op import REGISTRY
from .launches import Launch, bound, entry, launches_of
from .likeness import Shared
from .memory import Memory
from .place import in_place
from .program import OUTER, Array, Block, Call, Live, Program
from .rows import Line, Named, Placed, Record, Row, Tail, as_line, moved, zeroed

EMITTERS: dict[str, Callable] = {}  # by the name of an op: what says how a call is written, or None
SMALL = 1 << 16  # bytes of all arrays of a call of a kernel that is worth a row of its own making


def emitter(*names: str) -> Callable:
    """Declare how calls of some ops are written: a function of the call that gives rows and lines, or None."""

    def declare(write: Callable) -> Callable:
        EMITTERS.update(dict.fromkeys(names, write))
        return write

    return declare


# --- what a call does ------------------------------------------------------------------------------------------------


def special(call: Call) -> list | None:
    """What is said of a call by who knows its op; needs no new memory."""
    write = EMITTERS.get(call.op.name)
    return (write(call) if write else None) or ufunc(call)


def resolve(call: Call, known: dict, shared: Shared) -> None:
    """Find out by which kernels a call can be replayed, if its op does not say so."""
    if any(isinstance(v, Live) for v in call.params.values()):
        return  # kernels would be called with what it is now
    if call.launches is None and not special(call):
        found = shared.of(call, lambda: launches_of(call, on_arrays(call), known))
        call.launches, call.scratch = found or (None, ())


def without_memory(call: Call) -> list | None:
    """What a call does without new memory: as its op says, or as the calls of kernels that it makes."""
    return launched(call, call.launches) if call.launches else special(call)


def ufunc(call: Call) -> list | None:
    """A function of NumPy's that acts entry by entry, on arrays of one type."""
    op, function = call.op, getattr(call.op.forward, "small", call.op.forward)
    if not isinstance(function, np.ufunc) or len(call.results) != 1 or call.params:
        return None
    types = {a.dtype for a in call.reads}
    if len(types) != 1 or (op.promotes == "inexact" and min(types).kind not in "fc"):
        return None
    empty = [np.empty(0, a.dtype) if isinstance(a, Array) else a for a in call.args]
    if function(*empty).dtype != call.results[0].dtype:
        return None
    return [Line(f"{{}}({', '.join(['{}'] * len(call.args))}, out={{}})", (function, *call.args, call.results[0]))]


def launched(call: Call, launches: list[Launch]) -> list:
    """The calls of kernels that an op makes; if one returns something else than it did, the op runs as it is."""
    found: list = []
    for k, launch in enumerate(launches):
        row = as_row(launch, not call.settings.get("among large"))
        if launch.returned in (None, True):  # the latter says that it could be done
            found.append(row or called(launch))
            continue
        instead, rest = general(call), [as_line(item) for item in launched(call, launches[k + 1 :])]
        after = "\n".join(["else:", *(line.text for line in rest)]).replace("\n", "\n    ") if rest else "else: pass"
        text = f" != {launch.returned}: {instead.text}\n{after}"
        values = tuple(v for line in (instead, *rest) for v in line.values)
        if row and type(launch.returned) in (int, bool):
            return [*found, Tail(row, Line(f"if {{}}{text}", values))]
        run = called(launch)
        return [*found, Line(f"if {run.text}{text}", (*run.values, *values))]
    return found


def as_row(launch: Launch, own: bool = True) -> Row | None:
    """A call of a kernel as a row: if it takes numbers alone, or, on few entries, can be given them by a kernel of its `own`."""
    kernel, args, _ = launch
    if kernel in (_steps.copy, _steps.fill) and all(isinstance(a, (Array, int)) for a in args):
        said = moved(*args) if kernel is _steps.copy else None if args[1] else zeroed(args[0])
        return said if isinstance(said, Row) else None
    if not isinstance(kernel, Kernel):
        return None
    if kernel.numbers:
        return Row(kernel, args)
    arrays = [a for a in args if isinstance(a, (Array, np.ndarray))]
    if not own or sum(a.size * a.dtype.itemsize for a in arrays) > SMALL:
        return None
    from ..kernels.direct import LIKE, direct

    form = []
    for a in args:
        if isinstance(a, (Array, np.ndarray)):
            in_order = a.contiguous if isinstance(a, Array) else a.flags.c_contiguous
            if not in_order or a.dtype.char not in LIKE:
                return None
            form.append(f"{a.dtype.char}{len(a.shape)}")
        elif type(a) in (int, bool, float):
            form.append("d" if type(a) is float else "i")
        else:
            return None
    if kernel.chunks:
        return Row(direct(kernel, " ".join(form[2:])), (*kernel.build().args, *args))
    return Row(direct(kernel, " ".join(form)), args)


def called(launch: Launch) -> Line:
    """A call of a kernel as Python makes it."""
    kernel, args, _ = launch
    run = Named(getattr(kernel, "name", "step"), entry(kernel))
    given = [*kernel.args, *(Placed(lambda memory, a=a: bound(a, lambda v: writable(memory[v]))) for a in args)]
    return Line(f"{{}}({', '.join(['{}'] * len(given))})", (run, *given))


def writable(a: np.ndarray) -> np.ndarray:
    """The same memory as kernels are compiled for, of an array that may not be written."""
    return a if a.flags.writeable else np.asarray(Writeable(a))


def general(call: Call) -> Line:
    """The forward function of an op; records are pointed to what it makes, or else its results are copied."""
    given = ", ".join(["{}"] * len(call.args) + [f"{name}={{}}" for name in call.params])
    values = (*call.args, *call.params.values())
    if call.op is REGISTRY["overwrite"]:
        return Line(f"{{}}({given}, casting='unsafe')", (np.copyto, *values))
    run = Named(call.op.name, on_arrays(call))
    if not call.results:
        return Line(f"{{}}({given})", (run, *values))
    takers = [Placed(lambda memory, a=a: Named("take", memory.taker(a))) for a in call.results]
    if len(takers) == 1:
        return Line(f"{{}}({{}}({given}))", (takers[0], run, *values))
    taken = ", ".join(["{}"] * len(takers))
    return Line(f"{{}}(({taken}), {{}}({given}))", (handed_out, *takers, run, *values))


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


# --- the source ------------------------------------------------------------------------------------------------------


class Source:
    """Lines, and the values that they name."""

    def __init__(self, memory: Memory):
        self.memory, self.lines, self.names, self.scope = memory, [], {}, {}  # type: ignore[var-annotated]
        self.at_risk: set[Block] = set()

    def name(self, value: Any, prefix: str = "v") -> str:
        """How lines name a value."""
        key = id(value)
        if key not in self.names:
            prefix = prefix if prefix != "v" else getattr(value, "__name__", "v").strip("<>")
            prefix = prefix.rpartition(".")[2] + "_" * (len(prefix) > 1)
            self.names[key] = f"{prefix}{len(self.names)}"
            self.scope[self.names[key]] = value
        return self.names[key]

    def record(self, a: Any) -> int:
        """The address of the record of an array, which is kept."""
        a = self.memory[a] if isinstance(a, Array) else a
        self.name(a, "a")
        return 0 if a is None else id(a)

    def written(self, value: Any) -> str:
        """A value as it is written."""
        if isinstance(value, Array):
            return self.name(self.memory[value], "a")
        if isinstance(value, Record):
            return str(self.record(value.array))
        if isinstance(value, Named):
            return self.name(value.value, value.name)
        if isinstance(value, Placed):
            return self.written(value.make(self.memory))
        if isinstance(value, Live):
            return f"{self.name(value, 'live')}.now()"
        finite = type(value) in (int, float) and value == value and abs(value) != float("inf")
        return repr(value) if finite or value is None or type(value) is bool else self.name(value)

    def add(self, said: list) -> None:
        """What calls do, each with the line of the user's that it comes from."""
        tails = accumulate((isinstance(item, Tail) for item, _ in said), initial=0)
        for (rows, _), group in groupby(zip(said, tails), lambda pair: (not isinstance(pair[0][0], Line), pair[1])):
            items = [item for item, _ in group]
            if rows and len(items) > 1:
                self.rows(items)
                continue
            for item, place in items:
                self.line(as_line(item), place)

    def line(self, line: Line, place: str) -> None:
        """A line of Python, which may go on in others."""
        first, *rest = line.text.format(*map(self.written, line.values)).split("\n")
        self.lines += [f"{first}  # {place}" if place else first, *rest]

    def rows(self, items: list) -> None:
        """Calls of kernels that follow each other; the answer of the last may be looked at."""
        from ..kernels._rows import Table

        table, last = Table(), items[-1][0]
        for item, its_place in items:
            row = item.row if isinstance(item, Tail) else item
            args = [self.record(a) if c == "a" else a for a, c in zip(row.args, row.kernel.numbers)]
            table.add(row.kernel, tuple(args))
            self.lines.append(f"# {row.kernel.name}({', '.join(map(str, args))})  # {its_place}")
        run, given = table.ready()
        text, these = f"{{}}({', '.join(map(str, given))})", f"{self.name(table, 'table')}: these"
        if isinstance(last, Tail):
            text = last.line.text.replace("{}", text, 1)
            self.line(Line(text, (run, *last.line.values)), these)
        else:
            self.line(Line(text, (run,)), these)

    def function(self, name: str = "replay") -> Callable:
        """All lines as a function of no arguments."""
        text = f"def {name}():\n" + "".join(f"    {line}\n" for line in [*self.lines, "return None"])
        file = f"<{name} {id(self):x}>"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(compile(text, file, "exec"), self.scope)
        self.text = text
        return self.scope[name]


def resolved(program: Program, known: dict) -> Program:
    """A program of which it is known by which kernels its calls are replayed, over what they may write."""
    shared, large = Shared(), is_large(program)
    for call in program.calls:
        resolve(call, known, shared)
        if large and call.launches:
            call.settings = call.settings | {"among large": True}
    return in_place(program)


def is_large(program: Program) -> bool:
    """Whether calls are on so much, one with another, that to save some microseconds is not worth compiling for them."""
    touched = sum(a.bytes for call in program.calls for a in {*call.reads, *call.changes})
    return touched > SMALL * len(program.calls)


def emitted(
    program: Program, known: dict, make: Callable = Memory, name: str = "replay"
) -> tuple[Memory, Callable, Source]:
    """Memory for a resolved program, and what replays it there."""
    kept = {a.block for a in program.outputs}  # who holds these must keep their memory
    said = [*map(without_memory, program.calls)]
    pointed = {a.block for c, s in zip(program.calls, said) if not s for a in c.results if a.whole_block} - kept
    memory = make(program, known, pointed)
    source = Source(memory)
    source.add([*sequence(program.calls, said)])
    source.at_risk = at_risk(program.calls, said)
    memory.settle(program.outputs)
    return memory, source.function(name), source


def at_risk(calls: list[Call], said: list) -> set[Block]:
    """Memory from outside that is changed before a call that may raise, or by it."""
    last = max((k for k, pair in enumerate(zip(calls, said)) if may_raise(*pair)), default=-1)
    return {a.block for call in calls[: last + 1] for a in call.changes if a.block.kind == OUTER}


def may_raise(call: Call, said: list | None) -> bool:
    """Whether a call may raise: by its op itself, or where a kernel finds that it must answer otherwise."""
    if not said:
        return call.op is not REGISTRY["overwrite"]
    sure = call.op.name in EMITTERS  # lines of these are kernels and copies
    checked = any(launch.returned not in (None, True) for launch in call.launches or ())
    return checked or any(isinstance(item, Line) and not sure for item in said)


def sequence(calls: list[Call], said: list) -> Iterator[tuple]:
    """All rows and lines, with the user's lines that they come from."""
    for call, what in zip(calls, said):
        for item in what or [general(call)]:
            yield item, call.line
