"""How assignments and calls become lines of the forward and of the reverse sweep.

A value is kept on a tape, a list, just before it is overwritten, and only if the reverse sweep reads the variable at all;
it is taken back just before the adjoint of the statement that overwrote it.  An array has a shadow of its adjoints, made
when the array is, and whatever shares the memory of one shares the memory of the other: so views and changes in place
need no rules of their own.
"""

from __future__ import annotations

import ast
from typing import Any

from .kinds import Kind, Scope, _loaded
from .pull import Line, Pull
from .read import Fresh, index_text, names_in, names_set, walk

Lines = list[Line]


class Names(Fresh):
    """Names for what the generated source adds."""

    def __init__(self, taken: set[str], tapes: set[str], mark: str):
        self.taken, self.tapes, self.mark = set(taken), tapes, mark  # the mark keeps tapes apart from the user's names
        self.suffix = "_bar"
        while any(f"{n}{self.suffix}" in taken for n in taken):
            self.suffix += "_"

    def bar(self, name: str) -> str:
        """The adjoint of a name."""
        return f"{name}{self.suffix}"

    def tape(self, kind: Kind) -> str:
        """The list that keeps values of a kind."""
        name = f"{kind.dtype}_{kind.ndim}d" if kind.ndim else "reals" if kind.base == "float" else "wholes"
        self.tapes.add(name + self.mark)
        return name + self.mark


class Frame:
    """Where a loop keeps numbers: a row of an array for each turn, a column for each place in the body that keeps one."""

    def __init__(self, names: Names, turn: str):
        self.names, self.turn = names, turn
        self.arrays: dict[str, tuple[str, int]] = {}  # by the type of numbers: the array, and how many columns it has

    def place(self, dtype: str) -> str:
        """A new place."""
        name, columns = self.arrays.get(dtype) or (self.names.fresh("kept"), 0)
        self.arrays[dtype] = (name, columns + 1)
        return f"{name}[{self.turn}, {columns}]"

    def made(self, turns: str) -> Lines:
        """The lines that make the arrays."""
        typed = {"float64": "", "int64": ", np.int64"}
        return [f"{name} = np.empty(({turns}, {count}){typed[t]})" for t, (name, count) in self.arrays.items()]


class Assignments:
    """How assignments and calls are swept, in a function for arguments of given kinds."""

    def __init__(self, scope: Scope, names: Names, needed: set[str], kept: set[str], joint: bool):
        self.scope, self.names, self.joint = scope, names, joint
        self.needed = needed  # names whose values the reverse sweep reads
        self.kept = {scope.root(n) for n in needed | kept if n in scope.kinds and scope.kinds[n].ndim}
        self.assigned = set(scope.arguments)  # names that may have a value by now
        self.certain = set(scope.arguments)  # names that have one
        self.blank: set[str] = set()  # names that are kept and may have none
        self.stable = constants(scope)
        self.depth = 0  # of loops and branches we are in
        self.loops = 0  # of them, the loops
        self.frame: Frame | None = None  # where the loop we are in keeps numbers, if it has such a place

    def run(self) -> tuple[Lines, Lines]:
        """The lines of both sweeps."""
        return self.block(self.scope.statements)

    def block(self, statements: list[ast.stmt]) -> tuple[Lines, Lines]:
        """Statements: forward in order, reverse in the other."""
        forward: Lines = []
        reverse: Lines = []
        for s in statements:
            with self.scope.function.at(s):
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
        stored = [self.stored(p, kind) for p in parts]
        return [first for first, _ in stored], [f"{p} = {back}" for p, (_, back) in zip(parts, stored)][::-1]

    def stored(self, text: str, kind: Kind) -> tuple[str, str]:
        """The line that keeps a value, and the text of what was kept."""
        truth = " != 0" if kind.base == "bool" and not kind.ndim else ""
        if self.frame is not None and not kind.ndim:
            place = self.frame.place("float64" if kind.base == "float" else "int64")
            return f"{place} = {text}", place + truth
        tape = self.names.tape(kind)
        return f"{tape}.append({text})", f"{tape}.pop(){truth}"

    def keep_part(self, name: str, place: str, kind: Kind) -> tuple[Lines, Lines]:
        """The same of a part of an array."""
        if self.scope.root(name) not in self.kept:
            return [], []
        first, back = self.stored(f"{place}.copy()" if kind.ndim else place, kind)
        return [first], [f"{place} = {back}"]

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
            return [*first, *self.contiguous(value), f"{bar} = {self.shadow(value)}", text], back
        p = self.puller()
        g = self.names.fresh("g") if back and self.scope.is_active(value) else bar
        p.pull(value, g)
        move = [f"{g} = {bar}"] if g != bar else []
        return [*first, text, f"{bar} = np.zeros_like({x})"], [*move, *back, *p.lines]

    def contiguous(self, e: ast.expr) -> Lines:
        """Checks that a view is one, and no copy, whose shadow would not be the one of the array."""
        what = "an array that is not contiguous is copied when it is reshaped; reshape a copy, or index it"
        message = f"source_grad: {self.scope.function.name}, line {getattr(e, 'lineno', 1)}: {what}"
        arrays = [ast.unparse(a) for a in self.scope.copying(e)]
        return [(f"if not {a}.flags.c_contiguous:", [f"raise ValueError({message!r})"]) for a in arrays]

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
            self.scope.function.refuse(
                target, f"{name} is not the function's own, and is written to; pass it as an argument"
            )
        index, kind = index_text(target.slice), self.scope.kind(_loaded(target))
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
        before += [line for p in arrays if p in record.scope.active for line in self.contiguous(given[p])]
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


def added_to(x: str, value: ast.expr) -> tuple[ast.expr, bool] | None:
    """What is added to x (or taken away, False), if that is all that the value is; it does not itself read x."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub)):
        left = ast.unparse(value.left)
        if left == x or f"{left}[:]" == x:
            alone = not x.isidentifier() or x not in names_in(value.right)
            return (value.right, isinstance(value.op, ast.Add)) if alone else None
    return None


def constants(scope: Scope) -> set[str]:
    """Names that never change: parameters that are not assigned, and what is assigned once, outside of all loops."""
    stores = [n.id for n in walk(scope.statements) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    changed = {
        n.target.id for n in walk(scope.statements) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
    }
    top = {n for s in scope.statements if isinstance(s, ast.Assign) for n in names_set(s)}
    once = {n for n in top if stores.count(n) == 1} - changed
    return (
        once
        | (set(scope.kinds) - scope.local)
        | (set(scope.arguments) - set(stores))
        | {n for n in scope.program.data if n not in stores}
    )
