"""The two sweeps of a function: forward, which keeps what is overwritten, and reverse, which takes it back.

Each statement becomes some lines forward and some lines in reverse; a branch notes which way it went, and a loop how
often it turned, unless that can be worked out again.
"""

from __future__ import annotations

import ast
from typing import Any

from .assignments import Assignments, Lines
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
        tape = self.names.tape(Kind("int"))
        forward = [[*f, f"{tape}.append({k})"] for k, (f, _) in enumerate(sweeps)]
        return self.branches(heads, forward), self.by_number(tape, [r for _, r in sweeps])

    def by_number(self, tape: str, reverse: list[Lines]) -> Lines:
        """The reverse of branches, by the number of the one that was taken."""
        if len(reverse) == 2:
            heads = [f"if {tape}.pop() == 0:", "else:"] if reverse[0] else [f"if {tape}.pop() == 1:", ""]
            found = reverse if reverse[0] else reverse[::-1]
            return [(h, b) for h, b in zip(heads, found) if b]
        name = self.names.fresh("branch")
        heads = [f"if {name} == {k}:" for k in range(len(reverse))]
        return [f"{name} = {tape}.pop()", *((h, b) for h, b in zip(heads, reverse) if b)]

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
        self.assigned |= names_set(s.body)
        self.stable.add(variable)
        body, back = self.inner(s.body)
        self.stable.discard(variable)
        flag, head = s.stop, f"for {variable} in {ast.unparse(s.iter)}:"  # type: ignore[attr-defined]
        if not back:
            return [(head, [*body, *([(f"if {flag}:", ["break"])] if flag else [])] or ["pass"])], []
        if flag is None and all(map(self.is_stable, args)) and step in (1, -1):
            return [(head, body)], [(reversed_head(variable, start, stop, step), back)]
        return self.counted(variable, args, step, flag, body, back)

    def counted(self, variable: str, args: list, step: Any, flag: Any, body: Lines, back: Lines) -> tuple[Lines, Lines]:
        """A loop that may be left, or whose bounds may change: its turns are counted, and its range is kept."""
        tape, turns = self.names.tape(Kind("int")), self.names.fresh("turns")
        texts = [ast.unparse(a) for a in args]
        start, stop, by = [*(["0"] if len(args) == 1 else []), *texts, "1"][:3]
        forward: Lines = []
        kept = [turns]
        if len(args) > 1 and not self.is_stable(args[0]):
            forward, start, kept = [f"{(first := self.names.fresh('first'))} = {start}"], first, [first, turns]
        if step is None:
            forward.append(f"{(name := self.names.fresh('step'))} = {by}")
            by, kept = name, [*kept, name]
        tail = "" if by == "1" else f", {by}"
        if flag is None:
            forward.append(f"{(last := self.names.fresh('last'))} = {stop}")
            whole = f"range({start}, {last}{tail})"
            forward += [f"{turns} = len({whole})", (f"for {variable} in {whole}:", body)]
        else:
            inside = [*body, f"{turns} += 1", (f"if {flag}:", ["break"])]
            forward += [f"{turns} = 0", (f"for {variable} in range({start}, {stop}{tail}):", inside)]
        forward += [f"{tape}.append({n})" for n in kept]
        head = f"for {variable} in {turned(start, turns, by)}:"
        return forward, [*(f"{n} = {tape}.pop()" for n in kept[::-1]), (head, back)]

    def sweep_While(self, s: ast.While) -> tuple[Lines, Lines]:
        self.assigned |= names_set(s.body)
        body, back = self.inner(s.body)
        test, flag = ast.unparse(s.test), s.stop  # type: ignore[attr-defined]
        test = test if not flag else f"not {flag}" if test == "True" else f"not {flag} and ({test})"
        if not back:
            return [(f"while {test}:", body or ["pass"])], []
        tape, turns = self.names.tape(Kind("int")), self.names.fresh("turns")
        forward = [f"{turns} = 0", (f"while {test}:", [*body, f"{turns} += 1"]), f"{tape}.append({turns})"]
        return forward, [(f"for _ in range({tape}.pop()):", back)]


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
