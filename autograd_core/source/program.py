"""A whole program: a function and all that it calls, each for the kinds of arguments it is called with."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from . import support
from .assignments import Line, Lines, Names
from .functions import entry_of, pull_product
from .kinds import NONE, Kind, Scope, kind_of_value
from .read import Function, is_data, missing, python_function, walk
from .structure import structured
from .sweep import Sweep

TAPES = {"reals": "[0.0]", "wholes": "[0]"}


class Record:
    """A function for arguments of given kinds, with gradients wanted of some."""

    def __init__(self, program: Program, function: Function, arguments: dict[str, Kind], wanted: frozenset[str]):
        self.program, self.function, self.wanted = program, function, wanted
        shape = structured(function)
        self.count, self.falls, self.structure = shape.results, shape.falls, shape
        self.scope = Scope(function, program.with_data(function, shape), arguments, program)
        self.name = program.name_for(function.name)
        self.names: Names | None = None

    def result_names(self) -> list[str]:
        """The names of the results."""
        return [self.structure.result(k) for k in range(self.count)]

    def results(self) -> list[Kind | None]:
        """The kinds of the results, as far as they are known."""
        return [self.scope.kinds.get(n) for n in self.result_names()]

    def arrays(self) -> list[str]:
        """The parameters that are arrays."""
        return [n for n, k in self.scope.arguments.items() if k.ndim]

    def numbers(self) -> list[str]:
        """The parameters that are numbers."""
        return [n for n, k in self.scope.arguments.items() if not k.ndim]

    def swept(self, kept: set[str], joint: bool) -> tuple[Sweep, Lines, Lines, set[str]]:
        """The sweeps, with as little kept as they need."""
        needed: set[str] = set()
        kinds, active, local = dict(self.scope.kinds), set(self.scope.active), set(self.scope.local)
        while True:
            self.scope.kinds, self.scope.active, self.scope.local = dict(kinds), set(active), set(local)
            self.names = Names(self.structure.taken | local | self.program.taken, self.program.tapes, self.program.mark)
            sweep = Sweep(self.scope, self.names, needed, kept, joint)
            forward, reverse = sweep.run()
            read = {n for n in read_in(reverse) if n in self.scope.kinds}
            if read <= needed:
                return sweep, forward, reverse, needed
            needed |= read

    # --- as source ---

    def joint(self, wanted: list[str]) -> str:
        """One function that runs both sweeps and returns the results and the gradients."""
        sweep, forward, reverse, _ = self.swept(set(), True)
        assert self.names is not None
        bar, scope = self.names.bar, self.scope
        written = {n for n in scope.arguments if scope.kinds[n].ndim and scope.root(n) in scope.written}
        start: Lines = [f"{n} = {n}.copy()" for n in self.arrays() if n in written]
        start += [f"{bar(n)} = np.zeros_like({n})" for n in self.arrays() if n in scope.active]
        start += self.free_shadows() + blanks(sweep, scope, bar)
        results = self.result_names()
        values = [self.names.fresh("value") for _ in results]
        copies = [f"{v} = {r}{'.copy()' if scope.kinds[r].ndim else ''}" for v, r in zip(values, results)]
        seeds = [self.names.fresh("seed") for _ in results]
        back = [f"{bar(n)} = 0.0" for n in self.plain_bars(results)]
        for r, seed in zip(results, seeds):
            if r in scope.active:
                back.append(f"{bar(r)} {'+=' if scope.kinds[r].ndim else '='} {seed}")
        zero = lambda n: f"np.zeros_like({n})" if scope.kinds[n].ndim else "0.0"
        gradients = [bar(n) if n in scope.active else zero(n) for n in wanted]
        head = f"def {self.name}_adjoint({', '.join([*scope.arguments, *seeds, '*FREE*'])}):"
        body = [*start, *forward, *copies, *back, *reverse, f"return {', '.join([*values, *gradients])}"]
        return written_out([(head, ["*TAPES*", *body])], 0)

    def plain_bars(self, without: list[str]) -> list[str]:
        """The numbers that have adjoints, which start as 0."""
        scope = self.scope
        found = {n for n in scope.active if n in scope.kinds and not scope.kinds[n].ndim}
        return sorted(found - set(without))

    def free_shadows(self) -> Lines:
        """Shadows of arrays from outside that share memory with what gradients reach."""
        assert self.names is not None
        free = [n for n in self.scope.active if n in self.program.data and self.scope.kinds[n].ndim]
        return [f"{self.names.bar(n)} = np.zeros_like({n})" for n in sorted(free) if n not in self.scope.arguments]

    def split(self) -> str:
        """Two functions, one for each sweep, for callers that go on in between."""
        sweep, forward, reverse, needed = self.swept(set(self.arrays()), False)
        assert self.names is not None
        bar, scope, results = self.names.bar, self.scope, self.result_names()
        shadows = [bar(n) for n in self.arrays() if n in scope.active]
        finals = self.finals(needed, reverse)
        sweep.blank |= {n for n in finals if n not in sweep.certain}
        pairs = [
            (part, self.names.tape(scope.kinds[n]))
            for n in finals
            for part in [n, *([bar(n)] if scope.kinds[n].ndim and n in scope.active else [])]
        ]
        keep = [f"{tape}.append({part})" for part, tape in pairs]
        back = [f"{part} = {tape}.pop()" for part, tape in pairs[::-1]]
        answers = [x for r in results for x in ([r, bar(r)] if scope.kinds[r].ndim and r in scope.active else [r])]
        head = f"def {self.name}_forward({', '.join([*scope.arguments, *shadows, '*EXTRA*'])}):"
        start = self.free_shadows() + blanks(sweep, scope, bar)
        first = [*start, *forward, *keep, f"return {', '.join(answers)}" if answers else "return"]
        seeds = [bar(r) for r in results if r in scope.active and not scope.kinds[r].ndim]
        zeros = [f"{bar(n)} = 0.0" for n in self.plain_bars([r for r in results if r in scope.active])]
        second = f"def {self.name}_reverse({', '.join([*seeds, *self.arrays(), *shadows, '*EXTRA*'])}):"
        gradients = [bar(n) for n in self.numbers() if n in scope.active]
        end = [f"return {', '.join(gradients)}"] if gradients else []
        body = [*back, *zeros, *reverse, *end]
        return written_out([(head, first)], 0) + "\n\n" + written_out([(second, body or ["pass"])], 0)

    def finals(self, needed: set[str], reverse: Lines) -> list[str]:
        """The names whose last values the reverse sweep starts from."""
        assert self.names is not None
        scope, used = self.scope, read_in(reverse)
        changed = {n.id for n in walk(scope.statements) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        own = [
            n
            for n in scope.kinds
            if n not in self.program.data and (n not in scope.arguments or not scope.kinds[n].ndim or n in changed)
        ]
        loops = {n.target.id for n in walk(scope.statements) if isinstance(n, ast.For)}  # type: ignore[attr-defined]
        shadow = lambda n: scope.kinds[n].ndim and n in scope.active and self.names.bar(n) in used  # type: ignore
        return sorted(n for n in own if n not in loops and (n in needed or shadow(n)))


class Program:
    """A function with everything it calls, as source."""

    def __init__(self, f: Callable, kinds: dict[str, Kind], wanted: list[str]):
        self.records: dict[tuple, Record] = {}
        self.functions: dict[Any, Function] = {}
        self.data: dict[str, tuple[Function, str]] = {}  # numbers and arrays from outside, by their names here
        self.taken: set[str] = {"np", *TAPES, *support.NAMES}
        self.scope: dict[str, Any] = {"np": np}
        self.top = self.record(self.function(f), kinds, frozenset(wanted))
        self.wanted = wanted
        self.tapes: set[str] = set()
        self.used: list[Record] = []
        self.settle()
        self.text = self.source()
        for name in self.user_names() & {n for n in support.NAMES if f"{n}(" in self.text}:
            self.top.function.refuse(self.top.function.tree, f"the name {name} is needed for a function; use another")
        self.kinds_then = self.kinds_now()

    def function(self, f: Any) -> Function:
        """A function that has been read."""
        f = python_function(f)
        if f not in self.functions:
            self.functions[f] = Function(f)
        return self.functions[f]

    def record(self, function: Function, kinds: dict[str, Kind], wanted: frozenset[str]) -> Record:
        """The record of a function for arguments of these kinds."""
        key = (function.f, tuple(kinds.items()), wanted)
        if key not in self.records:
            fresh = Function(function.f)
            self.records[key] = Record(self, fresh, kinds, wanted)
        return self.records[key]

    def name_for(self, name: str) -> str:
        """A name for a function's sweeps."""
        stem, k = name, 2
        while f"{name}_forward" in self.taken:
            name, k = f"{stem}{k}", k + 1
        self.taken.add(f"{name}_forward")
        return name

    def with_data(self, function: Function, structure: Any) -> list[ast.stmt]:
        """The statements, in which numbers and arrays from outside have names of their own."""
        new: dict[str, str] = {}
        for node in walk(structure.statements):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in structure.local:
                value = function.lookup(node.id)
                if node.id in new:
                    node.id = new[node.id]
                elif value is not missing and is_data(value) and node.id not in structure.taken - {node.id}:
                    new[node.id] = self.data_name(function, node.id)
                    node.id = new[node.id]
                elif value is not missing and not self.is_flag(node.id, structure):
                    self.note(function, node, value)
        function.free = new  # type: ignore[attr-defined]
        return structure.statements

    def is_flag(self, name: str, structure: Any) -> bool:
        return name in {
            n.id for n in walk(structure.statements) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }

    def data_name(self, function: Function, name: str) -> str:
        """The name that a number or an array from outside goes by."""
        where = function.f.__globals__ if name not in function.f.__code__.co_freevars else function.f
        k, new = 2, name
        while new in self.data:
            other, its = self.data[new]
            theirs = other.f.__globals__ if its not in other.f.__code__.co_freevars else other.f
            if its == name and theirs is where:
                return new
            new, k = f"{name}_{k}", k + 1
        self.data[new] = (function, name)
        return new

    def note(self, function: Function, node: ast.Name, value: Any) -> None:
        """A module or function that the source names: the generated source means the same by the name."""
        if hasattr(builtins, node.id) and getattr(builtins, node.id) is value:
            return
        if self.scope.setdefault(node.id, value) is not value:
            function.refuse(node, f"{node.id} means something else in another function; use one name for it everywhere")

    # --- what records ask ---

    entry_of, product = staticmethod(entry_of), staticmethod(pull_product)

    def called(self, scope: Scope, e: ast.Call) -> tuple[Record, dict[str, ast.expr]]:
        """The record of a function that is called, and its arguments by name."""
        function = self.function(scope.function.resolve(e.func, scope.local))
        given = bound_arguments(scope, function, e)
        kinds = {n: scope.kind(a) for n, a in given.items()}
        if None in kinds.values():
            return None, given  # type: ignore[return-value]
        wanted = {n for n, a in given.items() if kinds[n].base == "float" and (kinds[n].ndim or scope.is_active(a))}  # type: ignore
        record = self.record(function, kinds, frozenset(wanted))  # type: ignore[arg-type]
        self.used.append(record)
        return record, given

    def results(self, scope: Scope, e: ast.Call) -> list[Kind]:
        """The kinds of the results of a call, none while they are not known."""
        record, _ = self.called(scope, e)
        if record is None or None in record.results():
            return []
        return record.results() or [NONE]  # type: ignore[return-value]

    def follow(self, scope: Scope, s: ast.stmt) -> None:
        """Activity through a call: of its results, and of arrays that it writes to."""
        record, given = self.called(scope, s.value)  # type: ignore[attr-defined]
        inner = record.scope
        for n in record.arrays():
            if (source := scope.source(given[n])) is not None:
                if inner.root(n) in inner.written:
                    scope.written.add(scope.root(source))
                if n in inner.active and inner.kinds[n].base == "float":
                    scope.active.add(source)
        if isinstance(s, ast.Assign):
            (target,) = s.targets
            names = [t.id for t in target.elts] if isinstance(target, ast.Tuple) else [target.id]  # type: ignore
            for t, r in zip(names, record.result_names()):
                if r in inner.active:
                    scope.active.add(t)
                if r not in inner.kinds:
                    continue
                for n in record.arrays():
                    source = scope.source(given[n])
                    if source and inner.kinds[r].ndim and inner.root(r) == inner.root(n):
                        scope.share(t, source)

    # --- all together ---

    def settle(self) -> None:
        """Kinds and activity of every function, until nothing changes: functions may call each other."""
        before = None
        while before != (before := self._state()):
            for record in list(self.records.values()):
                self._infer(record)
            if before == self._state():
                for record in list(self.records.values()):
                    self._activate(record)
        for record in self.records.values():
            if record.falls and record.count:
                record.function.refuse(
                    record.function.tree, "returns a value on some ways through it, and none on others"
                )
            for name, kind in zip(record.result_names(), record.results()):
                if kind is None:
                    record.function.refuse(record.function.tree, f"it never returns ({name} has no value)")

    def _state(self) -> Any:
        return [
            (len(self.records), dict(r.scope.kinds), set(r.scope.active), set(r.scope.written), dict(r.scope.same))
            for r in self.records.values()
        ]

    def _infer(self, record: Record) -> None:
        for name in record.function.free.values():  # type: ignore[attr-defined]
            function, outer = self.data[name]
            kind = Scope.kind_Name(record.scope, ast.Name(outer, ast.Load())) if function is record.function else None
            record.scope.kinds.setdefault(name, kind or kind_of_value(function.lookup(outer)))
            record.scope.local.add(name)
        record.scope.infer()

    def _activate(self, record: Record) -> None:
        record.scope.find_active({n for n in record.wanted} | record.scope.active)

    def free(self) -> list[str]:
        """The names of all numbers and arrays from outside."""
        return sorted(self.data)

    def source(self) -> str:
        """The generated source: the sweeps of every function that is called, and the whole of the first."""
        self.used, self.mark = [], ""
        while any(re.fullmatch(rf"(reals|wholes|\w+_\dd){self.mark}", n) for n in self.user_names()):
            self.mark += "_"
        parts, done = [self.top.joint(self.wanted)], []
        while rest := [r for r in self.used if r not in done]:
            done.append(rest[0])
            parts.insert(0, rest[0].split())
        tapes = "".join(f"    {t} = {tape_of(t.removesuffix(self.mark))}\n" for t in sorted(self.tapes))
        extra = ", ".join([*self.free(), *sorted(self.tapes)])
        text = "\n\n".join(parts).replace("    *TAPES*\n", tapes)
        for mark, names in (("*EXTRA*", extra), ("*FREE*", ", ".join(self.free()))):
            text = text.replace(f", {mark}", f", {names}" if names else "").replace(mark, names)
        return text

    def user_names(self) -> set[str]:
        """All names of all functions."""
        return set().union(*(r.structure.taken | r.scope.local for r in self.records.values()))

    def helpers(self) -> set[str]:
        """The support functions that are used."""
        return {n.id for n in ast.walk(ast.parse(self.text)) if isinstance(n, ast.Name) and n.id in support.NAMES}

    def kinds_now(self) -> list[Any]:
        """The kinds of the numbers and arrays from outside; when they change, the source is generated anew."""
        return [kind_of_value(v) for v in self.values()]

    def values(self) -> list[Any]:
        """The numbers and arrays from outside, as they are now."""
        return [function.lookup(name) for function, name in (self.data[n] for n in self.free())] if self.data else []


def bound_arguments(scope: Scope, function: Function, e: ast.Call) -> dict[str, ast.expr]:
    """The arguments of a call by the names of parameters, with defaults filled in."""
    if any(k.arg is None for k in e.keywords):
        scope.function.refuse(e, "a call with **options")
    try:
        bound = function.signature.bind(*e.args, **{k.arg: k.value for k in e.keywords})
    except TypeError as error:
        scope.function.refuse(e, f"{function.name}: {error}")
    for name, p in function.signature.parameters.items():
        if name not in bound.arguments and p.default is not inspect.Parameter.empty:
            if not isinstance(p.default, (bool, int, float)):
                scope.function.refuse(e, f"the default of {name} of {function.name} is no number; pass it")
            bound.arguments[name] = ast.copy_location(ast.Constant(p.default), e)
    return {n: bound.arguments[n] for n in function.parameters}


def read_in(lines: Lines) -> set[str]:
    """The names that lines read; those that are only given back to what is on the tape are not."""
    found = set()
    for node in ast.walk(ast.parse(written_out(lines, 0).replace("*EXTRA*", "EXTRA"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
    return found


def written_out(lines: list[Line], depth: int) -> str:
    """Lines and blocks as text."""
    text = ""
    for line in lines:
        if isinstance(line, str):
            text += "    " * depth + line.replace("\n", "\n" + "    " * depth) + "\n"
        else:
            text += "    " * depth + line[0] + "\n" + written_out(line[1] or ["pass"], depth + 1)
    return text


def blanks(sweep: Sweep, scope: Scope, bar: Callable) -> Lines:
    """First values for what is kept before it has one."""
    lines: Lines = []
    for n in sorted(sweep.blank - set(scope.arguments)):
        kind = scope.kinds[n]
        if kind.ndim:
            lines.append(f"{n} = np.zeros({(0,) * kind.ndim}, np.{kind.dtype})")
            lines += [f"{bar(n)} = {n}"] if n in scope.active else []
        else:
            lines.append(f"{n} = {({'float': '0.0', 'int': '0', 'bool': 'False'})[kind.base]}")
    return lines


def tape_of(name: str) -> str:
    """A new tape, with something on it that tells its type."""
    if name in TAPES:
        return TAPES[name]
    dtype, _, axes = name.rpartition("_")
    n = int(axes[:-1])
    return f"[np.zeros({(2,) * n}, np.{dtype})[{', '.join(['::2'] * n)}]]"
