"""The two sweeps of a function: forward, which keeps what is overwritten, and reverse, which takes it back.

Each statement becomes some lines forward and some lines in reverse; a branch notes which way it went, and a loop how
often it turned, unless that can be worked out again.
"""

from __future__ import annotations

import ast
from typing import Any

from .assignments import Assignments, Frame, Lines
from .kinds import Kind
from .read import names_set


class Sweep(Assignments):
    """The sweeps of a function for arguments of given kinds."""

    def sweep_Assert(self, s: ast.Assert) -> tuple[Lines, Lines]:
        return [ast.unparse(s)], []

    sweep_Raise = sweep_Assert

    def sweep_If(self, s: ast.If) -> tuple[Lines, Lines]:
        tests, bodies = chain(s)
        before = set(self.assigned)
        sweeps = []
        after: set[str] = set()
        for body in bodies:
            self.assigned = set(before)
            sweeps.append(self.inner(body))
            after |= self.assigned
        self.assigned = after
        heads = [f"{'el' if k else ''}if {ast.unparse(t)}:" for k, t in enumerate(tests)] + ["else:"]
        if not any(r for _, r in sweeps):
            return self.branches(heads, [f for f, _ in sweeps]), []
        if all(self.is_stable(t) for t in tests):
            both = [self.branches(heads, [sweep[k] for sweep in sweeps]) for k in (0, 1)]
            return both[0], both[1]
        mark = self.names.fresh("branch")
        first, back = self.stored(mark, Kind("int"))
        forward = [[*f, first.replace(mark, str(k))] for k, (f, _) in enumerate(sweeps)]
        return self.branches(heads, forward), self.by_number(back, [r for _, r in sweeps])

    def by_number(self, kept: str, reverse: list[Lines]) -> Lines:
        """The reverse of branches, by the number of the one that was taken."""
        if len(reverse) == 2:
            heads = [f"if {kept} == 0:", "else:"] if reverse[0] else [f"if {kept} == 1:", ""]
            found = reverse if reverse[0] else reverse[::-1]
            return [(h, b) for h, b in zip(heads, found) if b]
        name = self.names.fresh("branch")
        heads = [f"if {name} == {k}:" for k in range(len(reverse))]
        return [f"{name} = {kept}", *((h, b) for h, b in zip(heads, reverse) if b)]

    def branches(self, heads: list[str], bodies: list[Lines]) -> Lines:
        """The text of an `if`."""
        pairs: Lines = [(h, b or ["pass"]) for h, b in zip(heads, bodies)]
        while pairs and pairs[-1][1] == ["pass"]:
            pairs.pop()
        return pairs

    def is_stable(self, e: ast.expr) -> bool:
        """Whether an expression has the same value later: of what never changes, and variables of the loops we are in."""
        if isinstance(e, ast.Name):
            return e.id in self.stable and not self.scope.kinds[e.id].ndim
        if isinstance(e, ast.Attribute):
            return isinstance(e.value, ast.Name) and e.value.id in self.stable and e.attr in ("shape", "size", "ndim")
        if isinstance(e, ast.Call):
            length = ast.unparse(e.func) == "len" and all(ast.unparse(a) in self.stable for a in e.args)
            return length or ast.unparse(e.func) in ("min", "max") and all(map(self.is_stable, e.args))
        simple = (ast.Compare, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Subscript)
        parts = [c for c in ast.iter_child_nodes(e) if isinstance(c, ast.expr)]
        return isinstance(e, simple) and all(map(self.is_stable, parts))

    def sweep_For(self, s: ast.For) -> tuple[Lines, Lines]:
        variable, args = s.target.id, s.iter.args  # type: ignore[attr-defined]
        start, stop, step = bounds(args)
        flag, fixed = s.stop, step in (1, -1) and all(map(self.is_stable, args))  # type: ignore[attr-defined]
        outside = self.frame
        self.frame = Frame(self.names, turn(variable, start, step)) if fixed and flag is None else None
        body, back = self.turns(s.body, variable)
        frame, self.frame = self.frame, outside
        head = f"for {variable} in {ast.unparse(s.iter)}:"
        if not back:
            return [(head, [*body, *([(f"if {flag}:", ["break"])] if flag else [])] or ["pass"])], []
        if frame is None:
            return self.counted(variable, args, step, flag, body, back)
        made = frame.made(f"max({difference(start, stop, step)}, 0)")
        first, last = self.frame_kept(frame)
        return [*made, (head, body), *first], [*last, (reversed_head(variable, start, stop, step), back)]

    def turns(self, body: list[ast.stmt], variable: str | None = None) -> tuple[Lines, Lines]:
        """The body of a loop, at every turn of which the variable has another value."""
        self.assigned |= names_set(body)
        self.stable |= {variable} if variable else set()
        self.loops += 1
        found = self.inner(body)
        self.loops -= 1
        self.stable -= {variable} if variable else set()
        return found

    def frame_kept(self, frame: Frame) -> tuple[Lines, Lines]:
        """How the arrays of a loop are kept, if there may be others before they are read."""
        first: Lines = []
        last: Lines = []
        for dtype, (name, _) in frame.arrays.items() if self.loops or not self.joint else ():
            keep, back = self.stored(name, Kind("float" if dtype == "float64" else "int", 2, dtype))
            first, last = [*first, keep], [f"{name} = {back}", *last]
        return first, last

    def counted(self, variable: str, args: list, step: Any, flag: Any, body: Lines, back: Lines) -> tuple[Lines, Lines]:
        """A loop that may be left, or whose bounds may change: its turns are counted, and its range is kept."""
        names, texts = self.names, [ast.unparse(a) for a in args]
        turns = names.fresh("turns")
        start, stop, by = [*(["0"] if len(args) == 1 else []), *texts, "1"][:3]
        forward: Lines = []
        kept = [turns]
        if len(args) > 1 and not self.is_stable(args[0]):
            forward, start, kept = [f"{(first := names.fresh('first'))} = {start}"], first, [first, turns]
        if step is None:
            forward.append(f"{(name := names.fresh('step'))} = {by}")
            by, kept = name, [*kept, name]
        tail = "" if by == "1" else f", {by}"
        if flag is None:
            forward.append(f"{(last := names.fresh('last'))} = {stop}")
            whole = f"range({start}, {last}{tail})"
            forward += [f"{turns} = len({whole})", (f"for {variable} in {whole}:", body)]
        else:
            inside = [*body, f"{turns} += 1", (f"if {flag}:", ["break"])]
            forward += [f"{turns} = 0", (f"for {variable} in range({start}, {stop}{tail}):", inside)]
        stored = [self.stored(n, Kind("int")) for n in kept]
        again = [f"{n} = {b}" for n, (_, b) in zip(kept, stored)][::-1]
        head = f"for {variable} in {turned(start, turns, by)}:"
        return [*forward, *(f for f, _ in stored)], [*again, (head, back)]

    def sweep_While(self, s: ast.While) -> tuple[Lines, Lines]:
        outside, self.frame = self.frame, None
        body, back = self.turns(s.body)
        self.frame = outside
        test, flag = ast.unparse(s.test), s.stop  # type: ignore[attr-defined]
        test = test if not flag else f"not {flag}" if test == "True" else f"not {flag} and ({test})"
        if not back:
            return [(f"while {test}:", body or ["pass"])], []
        turns = self.names.fresh("turns")
        keep, kept = self.stored(turns, Kind("int"))
        forward = [f"{turns} = 0", (f"while {test}:", [*body, f"{turns} += 1"]), keep]
        return forward, [(f"for _ in range({kept}):", back)]


def turn(variable: str, start: ast.expr, step: Any) -> str:
    """Which turn it is, by the variable of the loop."""
    if step == -1:
        return f"{ast.unparse(start)} - {variable}"
    return variable if ast.unparse(start) == "0" else f"{variable} - ({ast.unparse(start)})"


def difference(start: ast.expr, stop: ast.expr, step: int) -> str:
    """How many turns a loop takes, if that is not negative."""
    low, high = (start, stop) if step == 1 else (stop, start)
    return ast.unparse(high) if ast.unparse(low) == "0" else f"{ast.unparse(high)} - ({ast.unparse(low)})"


def chain(s: ast.If) -> tuple[list[ast.expr], list[list[ast.stmt]]]:
    """The conditions of if and elif, and the blocks, with that of else."""
    tests, bodies = [s.test], [s.body]
    while len(s.orelse) == 1 and isinstance(s.orelse[0], ast.If):
        s = s.orelse[0]
        tests.append(s.test)
        bodies.append(s.body)
    return tests, [*bodies, s.orelse]


def bounds(args: list[ast.expr]) -> tuple[ast.expr, ast.expr, Any]:
    """Where a range starts and stops, and its step if that is written out."""
    start: ast.expr = args[0] if len(args) > 1 else ast.Constant(0)
    stop = args[1] if len(args) > 1 else args[0]
    try:
        return start, stop, ast.literal_eval(args[2]) if len(args) > 2 else 1
    except ValueError:
        return start, stop, None


def reversed_head(variable: str, start: ast.expr, stop: ast.expr, step: int) -> str:
    """The head of the loop that goes back."""
    return f"for {variable} in range({_shifted(stop, -step)}, {_shifted(start, -step)}, {-step}):".replace(
        ", 1):", "):"
    )


def turned(start: str, turns: str, by: str) -> str:
    """The range that goes back over so many turns."""
    if start == "0" and by == "1":
        return f"range({turns} - 1, -1, -1)"
    if by == "1":
        return f"range({start} + {turns} - 1, {start} - 1, -1)"
    return f"range({start} + ({turns} - 1) * {by}, {start} - {by}, -{by})"


def _shifted(e: ast.expr, by: int) -> str:
    if isinstance(e, ast.Constant):
        return str(e.value + by)
    text = ast.unparse(e)
    if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Sub)) and isinstance(e.right, ast.Constant):
        value = (e.right.value if isinstance(e.op, ast.Add) else -e.right.value) + by
        left = ast.unparse(e.left)
        return left if value == 0 else f"{left} {'+' if value > 0 else '-'} {abs(value)}"
    return f"{text} {'+' if by > 0 else '-'} {abs(by)}"
