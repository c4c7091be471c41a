"""Simpler statements of the same meaning: one way out of every block, one call of a function to a statement.

What is left afterwards: assignments to one name or one part of an array, `if`, `for` over a range, `while`, and calls.
`break`, `continue` and `return` have become the last thing that happens in their block, or a flag.
"""

from __future__ import annotations

import ast
import math

from .order import Order, assign, load
from .read import Function, names_in, names_set, walk

RESULT = "result"
FALL, BREAK, CONTINUE, RETURN = "fall", "break", "continue", "return"
REFUSED = {
    ast.Try: "try", ast.With: "with", ast.FunctionDef: "a function inside the function", ast.ClassDef: "a class",
    ast.Delete: "del", ast.Global: "global", ast.Nonlocal: "nonlocal", ast.Import: "import", ast.Match: "match",
    ast.ImportFrom: "import", ast.AsyncFor: "async", ast.AsyncWith: "async", ast.TryStar: "try",
}  # fmt: skip
REFUSED_IN = {
    ast.Lambda: "a lambda", ast.ListComp: "a comprehension", ast.SetComp: "a comprehension", ast.Dict: "a dict",
    ast.DictComp: "a comprehension", ast.GeneratorExp: "a generator", ast.Await: "await", ast.Yield: "yield",
    ast.YieldFrom: "yield", ast.NamedExpr: "an assignment inside an expression (:=)", ast.Set: "a set",
    ast.Starred: "a starred expression", ast.JoinedStr: "a formatted string",
}  # fmt: skip


class Structure(Order):
    """The body of a function in simpler statements."""

    def __init__(self, function: Function):
        self.function = function
        self.taken = {n.id for n in ast.walk(function.tree) if isinstance(n, ast.Name)} | set(function.parameters)
        self.local = names_set(function.tree.body) | set(function.parameters)
        self.loops: list[str] = []  # the flags that stop the loops we are in
        self.left: list[list[str]] = [
            []
        ]  # for each of them, the flag that says that its body has been left, if any asks
        self.results = 0
        self.returned = ""  # the flag that says that a result is there, if anybody asks

    def body(self) -> list[ast.stmt]:
        """The simpler statements."""
        self._check()
        Bases(self).visit(self.function.tree)
        statements = self.function.tree.body
        if ast.get_docstring(self.function.tree, clean=False) is not None:
            statements = statements[1:]
        statements = self.clean_loops([s for old in statements for s in self.simple(old)])
        done, exits = self.block(statements)
        self.falls = FALL in exits
        front = [assign(self.returned, ast.Constant(False))] if self.returned else []
        return front + done

    def _check(self) -> None:
        for node in walk(self.function.tree.body):
            if what := REFUSED.get(type(node)) or REFUSED_IN.get(type(node)):
                self.function.refuse(node, f"{what} is not supported")
            if isinstance(node, (ast.For, ast.While)) and node.orelse:
                self.function.refuse(node, "else after a loop is not supported; use a flag")

    # --- one statement to several simpler ones ---

    def simple(self, s: ast.stmt) -> list[ast.stmt]:
        """A statement as those that do the same."""
        method = getattr(self, f"simple_{type(s).__name__}", None)
        if method is None:
            self.function.refuse(s, f"{type(s).__name__} is not supported")
        with self.function.at(s):
            return [ast.copy_location(new, s) if not hasattr(new, "lineno") else new for new in method(s)]

    def all_simple(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [new for s in statements for new in self.simple(s)]

    def simple_Pass(self, s: ast.Pass) -> list:
        return []

    def simple_Assert(self, s: ast.Assert) -> list:
        before, s.test = self.tested(s.test)
        return [*before, s]

    def simple_Raise(self, s: ast.Raise | ast.Break | ast.Continue) -> list:
        return [s]

    simple_Break = simple_Continue = simple_Raise

    def simple_Expr(self, s: ast.Expr) -> list:
        if isinstance(s.value, ast.Constant):
            return []
        if not isinstance(s.value, ast.Call):
            self.function.refuse(s, "an expression whose value is not used")
        before, s.value = self.hoisted(s.value, keep=True)
        return [*before, s]

    def simple_AnnAssign(self, s: ast.AnnAssign) -> list:
        return [] if s.value is None else self.simple(ast.copy_location(ast.Assign([s.target], s.value), s))

    def simple_AugAssign(self, s: ast.AugAssign) -> list:
        if isinstance(s.target, ast.Subscript) and self.may_write(s):
            before, target = self.place(s.target)
            more, target.slice = self.held(target.slice)
            held, old = self.held(ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), s))
            value = ast.copy_location(ast.BinOp(old, s.op, s.value), s)
            return [*before, *more, *held, *self.simple(ast.copy_location(ast.Assign([target], value), s))]
        before, s.value = self.hoisted(s.value)
        more, s.target = self.place(s.target)
        return [*before, *more, s]

    def simple_Return(self, s: ast.Return) -> list:
        if s.value is None or isinstance(s.value, ast.Constant) and s.value.value is None:
            return [ast.Return(None)]
        values = s.value.elts if isinstance(s.value, ast.Tuple) else [s.value]
        self.results = max(self.results, len(values))
        before, whole = self.hoisted(ast.Tuple(values, ast.Load()))
        for k, value in enumerate(whole.elts):
            if self.may_alias(value):
                more, whole.elts[k] = self.chosen(value)
                before += more
        return [*before, ast.Return(whole)]

    def simple_Assign(self, s: ast.Assign) -> list:
        if len(s.targets) > 1:
            name = self.fresh("value")
            first = self.simple(ast.copy_location(assign(name, s.value), s))
            rest = [ast.copy_location(ast.Assign([t], load(name)), s) for t in s.targets]
            return first + self.all_simple(rest)
        (target,) = s.targets
        if isinstance(target, (ast.Tuple, ast.List)):
            return self.unpacked(target.elts, s)
        if isinstance(target, ast.Name) and self.may_alias(s.value):
            return self.as_branches(s.value, target)
        before, value = self.hoisted(s.value, keep=isinstance(target, ast.Name))
        if self.may_write(target):
            held, value = self.held(value)
            before += held
        more, target = self.place(target)
        return [*before, *more, ast.copy_location(ast.Assign([target], value), s)]

    def place(self, target: ast.expr) -> tuple[list, ast.expr]:
        """A name, or a part of an array that has a name."""
        if isinstance(target, ast.Name):
            return [], target
        if not isinstance(target, ast.Subscript):
            self.function.refuse(target, f"assignment to {ast.unparse(target)}; assign to names and parts of arrays")
        before, index = self.hoisted(target.slice)
        if not isinstance(target.value, ast.Name):
            name = self.fresh("part")
            before += self.simple(ast.copy_location(assign(name, target.value), target))
            target.value = load(name)
        target.slice = index
        return before, target

    def unpacked(self, targets: list[ast.expr], s: ast.Assign) -> list:
        """Several targets: what is assigned is worked out before any of them changes."""
        value = s.value
        if isinstance(value, (ast.Tuple, ast.List)):
            if len(value.elts) != len(targets):
                self.function.refuse(s, f"{len(value.elts)} values for {len(targets)} names")
            first: list = targets
            if not self.in_order(targets, value.elts):
                first = [self.stand_in(t) for t in targets]
            then = [ast.copy_location(ast.Assign([t], v), s) for t, v in zip(first, value.elts)]
            if first is not targets:
                then += [ast.copy_location(ast.Assign([t], loaded(f)), s) for f, t in zip(first, targets)]
            return self.all_simple(then)
        if self.is_call(value):
            before, value = self.hoisted(value, keep=True)
            names = [t.id if isinstance(t, ast.Name) else self.fresh("value") for t in targets]
            stores: list = [ast.Name(n, ast.Store()) for n in names]
            whole = ast.copy_location(ast.Assign([ast.Tuple(stores, ast.Store())], value), s)
            rest = [
                ast.copy_location(ast.Assign([t], load(n)), s)
                for n, t in zip(names, targets)
                if not isinstance(t, ast.Name)
            ]
            return [*before, whole, *self.all_simple(rest)]
        before = []
        if not isinstance(value, (ast.Name, ast.Attribute)):
            name = self.fresh("value")
            before, value = self.simple(ast.copy_location(assign(name, value), s)), load(name)
        items: list = [ast.Subscript(value, ast.Constant(k), ast.Load()) for k in range(len(targets))]
        count: ast.expr = ast.Call(load("len"), [value], [])
        message = ast.Constant(f"{len(targets)} names for another number of values")
        check = ast.Assert(ast.Compare(count, [ast.Eq()], [ast.Constant(len(targets))]), message)
        each = ast.Assign([], ast.Tuple(items, ast.Load()))
        check, each = (ast.fix_missing_locations(ast.copy_location(n, s)) for n in (check, each))
        return [*before, check, *self.unpacked(targets, each)]

    def stand_in(self, target: ast.expr) -> ast.expr:
        """New names for a target, which may itself be several."""
        if isinstance(target, (ast.Tuple, ast.List)):
            return ast.Tuple([self.stand_in(t) for t in target.elts], ast.Store())
        return ast.Name(self.fresh("value"), ast.Store())

    def in_order(self, targets: list[ast.expr], values: list[ast.expr]) -> bool:
        """Whether values may be assigned one after the other: none reads a name that was assigned before it."""
        names = [t.id if isinstance(t, ast.Name) else "" for t in targets]
        return all(names) and not any(set(names[:k]) & names_in(v) for k, v in enumerate(values))

    def simple_If(self, s: ast.If) -> list:
        before, s.test = self.tested(s.test)
        s.body, s.orelse = self.all_simple(s.body), self.all_simple(s.orelse)
        return [*before, s]

    def simple_While(self, s: ast.While) -> list:
        before, test = self.tested(s.test)
        s.body = self.all_simple(s.body)
        if before:  # at each turn
            leave = ast.If(ast.UnaryOp(ast.Not(), test), [ast.Break()], [])
            s.test, s.body = ast.Constant(True), [*before, leave, *s.body]
            ast.fix_missing_locations(s)
        return [s]

    def simple_For(self, s: ast.For) -> list:
        s.body = self.all_simple(s.body)
        called = s.iter.func.id if isinstance(s.iter, ast.Call) and isinstance(s.iter.func, ast.Name) else ""
        if called in self.local:
            called = ""
        if called == "range" or called in ("prange",):
            if not isinstance(s.target, ast.Name):
                self.function.refuse(s, "the variable of a loop over a range must be a name")
            before, s.iter = self.hoisted(s.iter)
            return [*before, s]
        if called == "enumerate" and isinstance(s.target, ast.Tuple) and len(s.target.elts) == 2:
            return self.over(s, [s.iter.args[0]], [s.target.elts[1]], s.target.elts[0])
        if called == "zip" and isinstance(s.target, ast.Tuple):
            return self.over(s, s.iter.args, s.target.elts)
        if called:
            self.function.refuse(s, f"a loop over {called}(...); loop over a range, an array, enumerate or zip")
        return self.over(s, [s.iter], [s.target])

    def over(self, s: ast.For, arrays: list, targets: list, index: ast.expr | None = None) -> list:
        """A loop over the entries of arrays, as one over a range."""
        before, names = [], []
        for a in arrays:
            named = isinstance(a, ast.Name) and a.id not in names_set([*s.body, *targets])
            name = a.id if named else self.fresh("items")
            if not named:
                before += self.simple(ast.copy_location(assign(name, a), s))
            names.append(name)
        k = self.fresh("k")
        first = [ast.Assign([t], ast.Subscript(load(n), load(k), ast.Load())) for t, n in zip(targets, names)]
        if index is not None:
            first.insert(0, ast.Assign([index], load(k)))
        lengths: list = [ast.Call(load("len"), [load(n)], []) for n in names]
        limit = lengths[0] if len(lengths) == 1 else ast.Call(load("min"), lengths, [])
        body = self.all_simple([ast.fix_missing_locations(ast.copy_location(a, s)) for a in first]) + s.body
        loop = ast.For(ast.Name(k, ast.Store()), ast.Call(load("range"), [limit], []), body, [])
        return [*before, ast.fix_missing_locations(ast.copy_location(loop, s))]

    # --- variables of loops ---

    def clean_loops(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Loops whose variable is used for something else get one of their own, and assign it at each turn."""
        loops = [n for n in walk(statements) if isinstance(n, ast.For)]
        for name in {loop.target.id for loop in loops}:  # type: ignore[attr-defined]
            mine = [loop for loop in loops if loop.target.id == name]  # type: ignore[attr-defined]
            inside = {id(n) for loop in mine for n in walk(loop.body)}
            reads = [n for n in walk(statements) if isinstance(n, ast.Name) and n.id == name]
            targets = {id(loop.target) for loop in mine}
            outside = [n for n in reads if id(n) not in inside and id(n) not in targets]
            if outside or name in self.function.parameters or any(name in names_set(loop.body) for loop in mine):
                for loop in mine:
                    own = self.fresh(name)
                    first = ast.copy_location(assign(name, load(own)), loop)
                    loop.target, loop.body = ast.Name(own, ast.Store()), [first, *loop.body]
        return statements

    # --- one way out ---

    def block(self, statements: list[ast.stmt]) -> tuple[list[ast.stmt], set[str]]:
        """A block without break, continue and return, and the ways in which it may end."""
        done: list[ast.stmt] = []
        for k, s in enumerate(statements):
            new, exits = self.ended(s)
            done += new
            rest = statements[k + 1 :]
            if exits == {FALL}:
                continue
            if FALL not in exits:
                return done, exits
            if not rest:
                return done, exits
            more, ends = self.block(rest)
            if isinstance(s, ast.If) and self._append(s, new[-1], more):
                return done, (exits - {FALL}) | ends
            guard = ast.If(ast.UnaryOp(ast.Not(), load(self._left(exits))), more or [ast.Pass()], [])
            done.append(ast.copy_location(guard, s))
            return done, (exits - {FALL}) | ends
        return done, {FALL}

    def _append(self, s: ast.If, new: ast.stmt, rest: list[ast.stmt]) -> bool:
        """Move what follows an `if` into the only branch that gets there."""
        for branch, falls in ((new.body, s.falls[0]), (new.orelse, s.falls[1])):  # type: ignore[attr-defined]
            if falls == {FALL}:
                other = s.falls[1] if branch is new.body else s.falls[0]  # type: ignore[attr-defined]
                if FALL not in other:
                    branch.extend(rest)
                    return True
        return False

    def _left(self, exits: set[str]) -> str:
        """The flag that says that the block has been left on the way."""
        if exits <= {FALL, RETURN}:
            self.returned = self.returned or self.fresh("returned")
            return self.returned
        if not self.left[-1]:
            self.left[-1].append(self.fresh("left"))
        return self.left[-1][0]

    def ended(self, s: ast.stmt) -> tuple[list[ast.stmt], set[str]]:
        """A statement without exits, and how it may end."""
        if isinstance(s, ast.Break):
            return [*self._mark(), assign(self.loops[-1], ast.Constant(True))], {BREAK}
        if isinstance(s, ast.Continue):
            return self._mark(), {CONTINUE}
        if isinstance(s, ast.Return):
            return self._returned(s), {RETURN}
        if isinstance(s, ast.If):
            return self._branches(s)
        if isinstance(s, (ast.For, ast.While)):
            return self._loop(s)
        return [s], {FALL}

    def _mark(self, returns: bool = False) -> list[ast.stmt]:
        """The place where the flags are set that somebody turns out to ask for."""
        marker = ast.Pass()
        marker.left, marker.returns = self.left[-1], returns  # type: ignore[attr-defined]
        return [marker]

    def _returned(self, s: ast.Return) -> list[ast.stmt]:
        values = s.value.elts if s.value is not None else []  # type: ignore[attr-defined]
        if len(values) != self.results:
            self.function.refuse(s, f"returns {len(values)} values here and {self.results} elsewhere")
        done: list[ast.stmt] = []
        for k, v in enumerate(values):
            done.append(ast.copy_location(assign(self.result(k), v), s))
        if self.loops:
            done.append(assign(self.loops[-1], ast.Constant(True)))
        return [*done, *self._mark(returns=True)]

    def result(self, k: int) -> str:
        """The name of a result."""
        name = RESULT if self.results == 1 else f"{RESULT}{k + 1}"
        while name in self.local:
            name += "_"
        return name

    def _branches(self, s: ast.If) -> tuple[list[ast.stmt], set[str]]:
        body, ends = self.block(s.body)
        orelse, others = self.block(s.orelse)
        s.falls = (ends, others)  # type: ignore[attr-defined]
        new = ast.If(s.test, body or [ast.Pass()], orelse)
        return [ast.copy_location(new, s)], ends | others

    def _loop(self, s: ast.For | ast.While) -> tuple[list[ast.stmt], set[str]]:
        self.loops.append(self.fresh("stop"))
        self.left.append([])
        body, exits = self.block(s.body)
        stop, left = self.loops.pop(), self.left.pop()
        if left:
            body.insert(0, assign(left[0], ast.Constant(False)))
        stops = bool(exits & {BREAK, RETURN})
        fields = (s.target, s.iter) if isinstance(s, ast.For) else (s.test,)
        new = type(s)(*fields, body or [ast.Pass()], [])
        new.stop = stop if stops else None  # type: ignore[attr-defined]
        done = [assign(stop, ast.Constant(False))] if stops else []
        done.append(ast.copy_location(new, s))
        if RETURN in exits and self.loops:
            onward: list[ast.stmt] = [assign(self.loops[-1], ast.Constant(True)), *self._mark()]
            leave = ast.If(load(self._left({RETURN})), onward, [])
            done.append(ast.copy_location(leave, s))
        return done, {FALL, RETURN} if RETURN in exits else {FALL}


class Bases(ast.NodeTransformer):
    """Logarithms to a base, and negative powers of whole numbers, as Python works them out; Numba's are others."""

    def __init__(self, structure: Structure):
        self.structure = structure

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """math.log(x, base)."""
        self.generic_visit(node)
        if len(node.args) != 2 or self.structure.function.resolve(node.func, self.structure.local) is not math.log:
            return node
        x, base = (ast.copy_location(ast.Call(node.func, [a], node.keywords), node) for a in node.args)
        return ast.copy_location(ast.BinOp(x, ast.Div(), base), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """a ** -k, which is no whole number if a is one."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.UnaryOp) and isinstance(node.right.op, ast.USub):
            node.left = ast.copy_location(ast.BinOp(node.left, ast.Mult(), ast.Constant(1.0)), node)
        return node


def structured(function: Function) -> Structure:
    """The function in simpler statements, as `statements`."""
    s = Structure(function)
    s.statements = [ast.fix_missing_locations(t) for t in settled(s, s.body())]  # type: ignore[attr-defined]
    return s


def settled(s: Structure, statements: list[ast.stmt]) -> list[ast.stmt]:
    """The statements with marks replaced by the flags they set, if any."""
    done: list[ast.stmt] = []
    for t in statements:
        if isinstance(t, ast.Pass):
            flags = [*getattr(t, "left", []), *([s.returned] if getattr(t, "returns", False) and s.returned else [])]
            done += [assign(flag, ast.Constant(True)) for flag in flags]
            continue
        for field in ("body", "orelse"):
            if hasattr(t, field):
                setattr(t, field, settled(s, getattr(t, field)))
        done.append(t)
    return done


def loaded(target: ast.expr) -> ast.expr:
    """New names, to be read."""
    if isinstance(target, ast.Tuple):
        return ast.Tuple([loaded(t) for t in target.elts], ast.Load())
    return load(target.id)  # type: ignore[attr-defined]
