"""The two sweeps of a function: forward, which keeps what is overwritten, and reverse, which takes it back.

Each statement becomes some lines forward and some lines in reverse.  A value is kept on a tape, a list, just before it is
overwritten, and only if the reverse sweep reads the variable at all; it is taken back just before the adjoint of the
statement that overwrote it.  An array has a shadow of its adjoints, made when the array is, and whatever shares the
memory of one shares the memory of the other: so views and changes in place need no rules of their own.
"""

from __future__ import annotations

import ast
from typing import Any

from .kinds import Kind, Scope, _loaded
from .pull import Line, Pull
from .read import names_in, names_set, walk

Lines = list[Line]


class Names:
    """Names for what the generated source adds."""

    def __init__(self, taken: set[str], tapes: set[str]):
        self.taken, self.tapes = set(taken), tapes
        self.suffix = "_bar"
        while any(f"{n}{self.suffix}" in taken for n in taken):
            self.suffix += "_"

    def fresh(self, stem: str) -> str:
        """A name that occurs nowhere else."""
        k = 1
        while (name := f"{stem}{k}") in self.taken:
            k += 1
        self.taken.add(name)
        return name

    def bar(self, name: str) -> str:
        """The adjoint of a name."""
        return f"{name}{self.suffix}"

    def tape(self, kind: Kind) -> str:
        """The list that keeps values of a kind."""
        name = f"{kind.dtype}_{kind.ndim}d" if kind.ndim else "reals" if kind.base == "float" else "wholes"
        self.tapes.add(name)
        return name


class Sweep:
    """The sweeps of a function for arguments of given kinds."""

    def __init__(self, scope: Scope, names: Names, needed: set[str], kept: set[str]):
        self.scope, self.names = scope, names
        self.needed = needed  # names whose values the reverse sweep reads
        self.kept = {scope.root(n) for n in needed | kept if n in scope.kinds and scope.kinds[n].ndim}
        self.assigned = set(scope.arguments)  # names that may have a value by now
        self.certain = set(scope.arguments)  # names that have one
        self.blank: set[str] = set()  # names that are kept and may have none
        self.stable = constants(scope)
        self.depth = 0  # of loops and branches we are in

    def run(self) -> tuple[Lines, Lines]:
        """The lines of both sweeps."""
        return self.block(self.scope.statements)

    def block(self, statements: list[ast.stmt]) -> tuple[Lines, Lines]:
        """Statements: forward in order, reverse in the other."""
        forward: Lines = []
        reverse: Lines = []
        for s in statements:
            f, r = getattr(self, f"sweep_{type(s).__name__}")(s)
            forward += f
            reverse = r + reverse
            self.assigned |= names_set(s)
            if not self.depth:
                self.certain |= names_set(s) if isinstance(s, ast.Assign) else set()
        return forward, reverse

    def inner(self, statements: list[ast.stmt]) -> tuple[Lines, Lines]:
        """The statements of a loop or branch."""
        self.depth += 1
        found = self.block(statements)
        self.depth -= 1
        return found

    def puller(self) -> Pull:
        return Pull(self.scope, self.names)

    # --- keeping ---

    def keep(self, name: str) -> tuple[Lines, Lines]:
        """How a name's value is kept before it is overwritten, and taken back."""
        kind = self.scope.kinds[name]
        if name not in self.assigned:
            return [], []
        shadow = bool(kind.ndim) and name in self.scope.active
        parts = ([name] if name in self.needed else []) + ([self.names.bar(name)] if shadow else [])
        if parts and name not in self.certain:
            self.blank.add(name)
        tape = self.names.tape(kind) if parts else ""
        back = "{} = {}.pop() != 0" if kind.base == "bool" and not kind.ndim else "{} = {}.pop()"
        return [f"{tape}.append({p})" for p in parts], [back.format(p, tape) for p in parts[::-1]]

    def keep_part(self, name: str, place: str, kind: Kind) -> tuple[Lines, Lines]:
        """The same of a part of an array."""
        if self.scope.root(name) not in self.kept:
            return [], []
        tape = self.names.tape(kind)
        back = f"{place} = {tape}.pop()" + (" != 0" if kind.base == "bool" and not kind.ndim else "")
        return [f"{tape}.append({place}{'.copy()' if kind.ndim else ''})"], [back]

    # --- assignments ---

    def sweep_Assign(self, s: ast.Assign) -> tuple[Lines, Lines]:
        (target,) = s.targets
        if self.scope.is_call(s.value):
            names = [t.id for t in target.elts] if isinstance(target, ast.Tuple) else [target.id]  # type: ignore
            return self.call(names, s.value)  # type: ignore[arg-type]
        if isinstance(target, ast.Subscript):
            return self.part(target, s.value, ast.unparse(s))
        kind = self.scope.kinds[target.id]  # type: ignore[attr-defined]
        return (self.whole_array if kind.ndim else self.number)(target.id, s.value, ast.unparse(s))  # type: ignore

    def sweep_AugAssign(self, s: ast.AugAssign) -> tuple[Lines, Lines]:
        target, text = s.target, ast.unparse(s)
        value = ast.copy_location(ast.BinOp(_loaded(target), s.op, s.value), s)
        if isinstance(target, ast.Name) and not self.scope.kinds[target.id].ndim:
            return self.number(target.id, value, text)
        if isinstance(target, ast.Name):
            target = ast.copy_location(ast.Subscript(target, ast.Slice(), ast.Store()), s)
        return self.part(target, value, text)  # type: ignore[arg-type]

    def number(self, x: str, value: ast.expr, text: str) -> tuple[Lines, Lines]:
        """A number takes on a value."""
        first, back = self.keep(x)
        forward: Lines = [*first, text]
        if x not in self.scope.active:
            return forward, back
        p, bar = self.puller(), self.names.bar(x)
        over = x not in self.assigned and not self.depth  # nobody asks for the adjoint of what was there before
        zero = [] if over else [f"{bar} = 0.0"]
        if (rest := added_to(x, value)) is not None:
            p.pull(rest[0], bar if rest[1] else f"-{bar}")
            return forward, [*back, *p.lines]
        if not self.scope.is_active(value):
            return forward, [*zero, *back]
        if x in names_in(value):
            g = self.names.fresh("g")
            p.pull(value, g)
            return forward, [f"{g} = {bar}", f"{bar} = 0.0", *back, *p.lines]
        p.pull(value, bar)
        return forward, [*back, *p.lines, *zero]

    def whole_array(self, x: str, value: ast.expr, text: str) -> tuple[Lines, Lines]:
        """A name takes on an array: another view of one, or a new one."""
        first, back = self.keep(x)
        if x not in self.scope.active:
            return [*first, text], back
        bar, source = self.names.bar(x), self.scope.source(value)
        if source is not None:
            return [*first, f"{bar} = {self.shadow(value)}", text], back
        p = self.puller()
        g = self.names.fresh("g") if back and self.scope.is_active(value) else bar
        p.pull(value, g)
        move = [f"{g} = {bar}"] if g != bar else []
        return [*first, text, f"{bar} = np.zeros_like({x})"], [*move, *back, *p.lines]

    def shadow(self, e: ast.expr) -> str:
        """The view of a shadow that belongs to a view of an array."""
        source = self.scope.source(e)
        if source not in self.scope.active:
            return f"np.zeros_like({ast.unparse(e)})"

        def write(node: ast.expr) -> ast.expr:
            if isinstance(node, ast.Name):
                return ast.Name(self.names.bar(node.id), ast.Load())
            if isinstance(node, ast.Subscript):
                return ast.Subscript(write(node.value), node.slice, ast.Load())
            if isinstance(node, ast.Attribute):
                return ast.Attribute(write(node.value), node.attr, ast.Load())
            if self.scope.is_method(node):  # type: ignore[arg-type]
                f = ast.Attribute(write(node.func.value), node.func.attr, ast.Load())  # type: ignore[attr-defined]
                return ast.Call(f, node.args, node.keywords)  # type: ignore[attr-defined]
            first, *others = node.args  # type: ignore[attr-defined]
            return ast.Call(node.func, [write(first), *others], node.keywords)  # type: ignore[attr-defined]

        return ast.unparse(write(e))

    def part(self, target: ast.Subscript, value: ast.expr, text: str) -> tuple[Lines, Lines]:
        """A part of an array takes on a value."""
        name = target.value.id  # type: ignore[attr-defined]
        if name not in self.scope.local:
            self.scope.function.refuse(target, f"{name} is not the function's own, and is written to; pass it as an argument")
        index, kind = ast.unparse(target.slice), self.scope.kind(_loaded(target))
        assert kind is not None
        place, bar = f"{name}[{index}]", f"{self.names.bar(name)}[{index}]"
        first, back = self.keep_part(name, place, kind)
        if name not in self.scope.active:
            return [*first, text], back
        rest = added_to(place, value)
        p, lines = self.puller(), []
        roots = {self.scope.root(n) for n in names_in(rest[0] if rest else value)}
        touches = self.scope.root(name) in roots
        if rest is not None and not touches:
            g = bar
        else:
            g = self.names.fresh("g")
            lines = [f"{g} = {bar}{'.copy()' if kind.ndim else ''}"]
        if rest is None:
            lines.append(f"{bar} = 0.0")
        self.into(p, rest[0] if rest else value, g if rest is None or rest[1] else f"-{g}", kind)
        if not p.lines and rest is None:
            lines = [f"{bar} = 0.0"]
        return [*first, text], [*(lines if p.lines or rest is None else []), *back, *p.lines]

    def into(self, p: Pull, value: ast.expr, g: str, kind: Kind) -> None:
        """Pull what arrives at a part of an array into the value that it was given."""
        mine = self.scope.kind(value)
        if mine is None or not p.active(value):
            return
        text = p.fitted(g, kind, [mine, kind], 0, value) if kind.ndim else g
        p.pull(value, text)

    # --- calls of functions of the user's ---

    def sweep_Expr(self, s: ast.Expr) -> tuple[Lines, Lines]:
        if not self.scope.is_call(s.value):
            return [ast.unparse(s)], []
        return self.call([], s.value)  # type: ignore[arg-type]

    def call(self, targets: list[str], e: ast.Call) -> tuple[Lines, Lines]:
        """A call: its forward function, and in reverse its reverse function, on the same tapes."""
        program, scope = self.scope.program, self.scope
        record, given = program.called(scope, e)
        before, undo, given = self.named_arrays(record, given)
        arrays = [p for p in record.arrays()]
        shadows = [self.shadow(given[p]) for p in arrays if p in record.scope.active]
        texts = [ast.unparse(given[p]) for p in record.scope.arguments]
        answers, seeds, bars = self.answers(record, targets)
        first, back = self.kept_targets(targets)
        call = f"{record.name}_forward({', '.join([*texts, *shadows, '*EXTRA*'])})"
        forward: Lines = [*before, f"{', '.join(answers)} = {call}" if answers else call]
        if first:
            temps = [self.names.fresh("value") for _ in answers]
            forward = [*before, f"{', '.join(temps)} = {call}", *first]
            forward += [f"{a} = {t}" for a, t in zip(answers, temps)]
        forward += self.new_shadows(record, targets)
        values = [self.names.fresh("g") for _ in seeds]
        reverse: Lines = [f"{v} = {b}" for v, b in zip(values, seeds)] + [f"{b} = 0.0" for b in bars] + back
        p = self.puller()
        wanted = [q for q in record.numbers() if q in record.scope.active]
        gs = [self.names.fresh("g") for _ in wanted]
        arguments = [*values, *(ast.unparse(given[q]) for q in arrays), *shadows, "*EXTRA*"]
        pull = f"{record.name}_reverse({', '.join(arguments)})"
        reverse.append(f"{', '.join(gs)} = {pull}" if gs else pull)
        for q, g in zip(wanted, gs):
            p.pull(given[q], g)
        return forward, [*reverse, *p.lines, *undo]

    def named_arrays(self, record: Any, given: dict) -> tuple[Lines, Lines, dict]:
        """Arrays that are worked out in a call's arguments get a name before, so that they have a shadow."""
        forward: Lines = []
        reverse: Lines = []
        given = dict(given)
        for q in record.arrays():
            if self.scope.source(given[q]) is None:
                name = self.names.fresh("argument")
                self.scope.kinds[name] = self.scope.kind(given[q])  # type: ignore[assignment]
                self.scope.local.add(name)
                if self.scope.kinds[name].base == "float":
                    self.scope.active.add(name)
                if self.depth:
                    self.assigned.add(name)
                f, r = self.whole_array(name, given[q], f"{name} = {ast.unparse(given[q])}")
                forward, reverse = forward + f, r + reverse
                given[q] = ast.copy_location(ast.Name(name, ast.Load()), given[q])
        return forward, reverse, given

    def answers(self, record: Any, targets: list[str]) -> tuple[list[str], list[str], list[str]]:
        """What a forward function's results are assigned to, and the adjoints that go into the reverse function."""
        answers, seeds, bars = [], [], []
        for t, result in zip(targets, record.result_names()):
            answers.append(t)
            active = result in record.scope.active
            if active and record.scope.kinds[result].ndim:
                answers.append(self.names.bar(t))
            elif active:
                seeds.append(self.names.bar(t))
            if t in self.scope.active and not self.scope.kinds[t].ndim:
                bars.append(self.names.bar(t))
        return answers, seeds, bars

    def new_shadows(self, record: Any, targets: list[str]) -> Lines:
        """Shadows of arrays that a function makes without making any of them depend on what gradients are wanted of."""
        pairs = zip(targets, record.result_names())
        mine = lambda t, r: t in self.scope.active and self.scope.kinds[t].ndim and r not in record.scope.active
        return [f"{self.names.bar(t)} = np.zeros_like({t})" for t, r in pairs if mine(t, r)]

    def kept_targets(self, targets: list[str]) -> tuple[Lines, Lines]:
        first: Lines = []
        back: Lines = []
        for t in targets:
            f, r = self.keep(t)
            first, back = first + f, r + back
        return first, back

    # --- control flow ---

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
            (first, *rest) = e.args or [None]
            length = ast.unparse(e.func) == "len" and isinstance(first, ast.Name) and first.id in self.stable
            smaller = ast.unparse(e.func) in ("min", "max") and all(map(self.is_stable, e.args))
            return length and not rest or smaller
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

    def counted(
        self, variable: str, args: list, step: Any, flag: Any, body: Lines, back: Lines
    ) -> tuple[Lines, Lines]:
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


def added_to(x: str, value: ast.expr) -> tuple[ast.expr, bool] | None:
    """What is added to x (or taken away, False), if that is all that the value is; it does not itself read x."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub)):
        left = ast.unparse(value.left)
        if left == x or f"{left}[:]" == x:
            alone = not x.isidentifier() or x not in names_in(value.right)
            return (value.right, isinstance(value.op, ast.Add)) if alone else None
    return None


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
    return f"for {variable} in range({_shifted(stop, -step)}, {_shifted(start, -step)}, {-step}):".replace(", 1):", "):")


def turned(start: str, turns: str, by: str) -> str:
    """The range that goes back over so many turns."""
    if start == "0" and by == "1":
        return f"range({turns} - 1, -1, -1)"
    if by == "1":
        return f"range({start} + {turns} - 1, {start} - 1, -1)"
    return f"range({start} + ({turns} - 1) * {by}, {start} - {by}, -{by})"


def constants(scope: Scope) -> set[str]:
    """Names that never change: parameters that are not assigned, and what is assigned once, outside of all loops."""
    stores = [n.id for n in walk(scope.statements) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    changed = {n.target.id for n in walk(scope.statements) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
    top = {n for s in scope.statements if isinstance(s, ast.Assign) for n in names_set(s)}
    once = {n for n in top if stores.count(n) == 1} - changed
    return once | (set(scope.kinds) - scope.local) | (set(scope.arguments) - set(stores)) | {
        n for n in scope.program.data if n not in stores
    }


def _shifted(e: ast.expr, by: int) -> str:
    if isinstance(e, ast.Constant):
        return str(e.value + by)
    text = ast.unparse(e)
    if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Sub)) and isinstance(e.right, ast.Constant):
        value = (e.right.value if isinstance(e.op, ast.Add) else -e.right.value) + by
        left = ast.unparse(e.left)
        return left if value == 0 else f"{left} {'+' if value > 0 else '-'} {abs(value)}"
    return f"{text} {'+' if by > 0 else '-'} {abs(by)}"


