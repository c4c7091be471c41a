"""What kind of value each name and expression is: a whole number, a float, or an array of so many axes."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

import numpy as np

from .read import Conflict, Function, is_data, is_ours, missing, names_set


class Kind(NamedTuple):
    """A number ("float", "int", "bool"), an array of them (with axes and a type), a "tuple" of whole numbers, "none"."""

    base: str
    ndim: int = 0
    dtype: str = ""

    def __str__(self) -> str:
        return f"an array of {self.dtype} with {self.ndim} axes" if self.dtype else f"a number ({self.base})"


FLOAT, INT, BOOL, NONE = Kind("float"), Kind("int"), Kind("bool"), Kind("none")
ORDER = ["bool", "int", "float"]


def kind_of_value(v: Any) -> Kind | None:
    """The kind of a number or an array; None of anything else, and of complex numbers."""
    if isinstance(v, (bool, np.bool_)):
        return BOOL
    if isinstance(v, (int, np.integer)):
        return INT
    if isinstance(v, (float, np.floating)):
        return FLOAT
    if isinstance(v, np.ndarray) and v.dtype.kind in "biuf":
        return array(v.ndim, v.dtype.name) if v.ndim else kind_of_value(v[()])
    return None


def array(ndim: int, dtype: str = "float64") -> Kind:
    """The kind of an array, or without axes of a number."""
    base = {"f": "float", "b": "bool"}.get(np.dtype(dtype).kind, "int")
    return Kind(base, ndim, dtype) if ndim else Kind(base)


def joined(a: Kind | None, b: Kind | None) -> Kind | None:
    """The kind of a name that has both."""
    if a is None or b is None or a == b:
        return a or b
    if a.ndim or b.ndim or "tuple" in (a.base, b.base) or "none" in (a.base, b.base):
        raise Conflict
    return Kind(max(a.base, b.base, key=ORDER.index))


def broadcast(*kinds: Kind, base: str | None = None) -> Kind:
    """The kind of an elementwise function of values of these kinds."""
    ndim = max(k.ndim for k in kinds)
    base = base or max((k.base for k in kinds), key=ORDER.index)
    if not ndim:
        return Kind(base)
    if base == "bool":
        return array(ndim, "bool")
    types = [np.dtype(k.dtype) if k.ndim else {"float": 0.0, "int": 0, "bool": False}[k.base] for k in kinds]
    dtype = np.result_type(*types)
    return array(ndim, "float64" if base == "float" and dtype.kind != "f" else dtype.name)


class Scope:
    """A function for arguments of given kinds: the kinds of all its names, and which of them gradients reach."""

    def __init__(self, function: Function, statements: list[ast.stmt], arguments: dict[str, Kind], program: Any):
        self.function, self.statements, self.program = function, statements, program
        self.arguments, self.kinds, self.results = arguments, dict(arguments), []
        self.local = set(arguments) | names_set(statements)
        self.active: set[str] = set()
        self.same: dict[str, str] = {}  # for names of arrays: another name that may share its memory
        self.written: set[str] = set()
        self.versions = 0

    # --- kinds ---

    def infer(self) -> None:
        """Find the kind of every name."""
        for _ in range(100):
            before = dict(self.kinds)
            k = 0
            while k < len(self.statements):
                try:
                    self.pass_over(self.statements[k])
                except Conflict as conflict:
                    self.renamed(k, conflict)
                    continue
                k += 1
            if self.kinds == before:
                return
        raise AssertionError("kinds grow for ever")

    def renamed(self, k: int, conflict: Conflict) -> None:
        """From here on, a name that is given a value of another kind is another name."""
        s, (name,) = self.statements[k], conflict.args
        if not isinstance(s, ast.Assign) or name not in names_set(s.targets):
            old = self.kinds[name]
            self.function.refuse(
                s, f"{name} is {old} and becomes something else inside a branch or loop; use two names"
            )
        self.versions += 1
        new = f"{name}_{self.versions}"
        for node in ast.walk(ast.Module(s.targets, [])):
            if isinstance(node, ast.Name) and node.id == name:
                node.id = new
        for later in self.statements[k + 1 :]:
            for node in ast.walk(later):
                if isinstance(node, ast.Name) and node.id == name:
                    node.id = new
        self.local.add(new)

    def pass_over(self, s: ast.stmt) -> None:
        """Note what kinds a statement, and those inside it, give to names."""
        with self.function.at(s):
            self.noted(s)
        for inner in [*getattr(s, "body", []), *getattr(s, "orelse", [])]:
            self.pass_over(inner)

    def noted(self, s: ast.stmt) -> None:
        """The same of a statement alone."""
        if isinstance(s, ast.Assign):
            (target,) = s.targets
            if isinstance(target, ast.Tuple):
                kinds = self.results_of(s.value)
                if kinds and len(kinds) != len(target.elts):
                    self.function.refuse(
                        s,
                        f"{len(target.elts)} names for a call that returns {len(kinds)}; name an array before its parts",
                    )
                for t, kind in zip(target.elts, kinds):
                    self.give(t.id, kind)  # type: ignore[attr-defined]
            elif isinstance(target, ast.Name):
                self.give(target.id, self.kind(s.value))
            else:
                self.kind(target), self.kind(s.value)
        elif isinstance(s, ast.AugAssign):
            kind = self.kind(ast.BinOp(_loaded(s.target), s.op, s.value, lineno=s.lineno))
            if isinstance(s.target, ast.Name) and not self.kinds[s.target.id].ndim:
                self.give(s.target.id, kind)
        elif isinstance(s, ast.For):
            for a in s.iter.args:  # type: ignore[attr-defined]
                self.kind(a)
            self.give(s.target.id, INT)  # type: ignore[attr-defined]
        elif isinstance(s, ast.Expr):
            self.results_of(s.value)
        elif isinstance(s, (ast.While, ast.If)):
            self.kind(s.test)

    def give(self, name: str, kind: Kind | None) -> None:
        """A name takes on a value of a kind."""
        try:
            found = joined(self.kinds.get(name), kind)
        except Conflict:
            raise Conflict(name) from None
        if found is not None:
            self.kinds[name] = found

    def results_of(self, call: ast.expr) -> list[Kind]:
        """The kinds of the results of a call of a user's function; none if they are not known yet."""
        if not self.is_call(call):
            self.function.refuse(call, f"the value of {ast.unparse(call)} is not used, or is no tuple")
        return self.program.results(self, call)

    def is_call(self, e: ast.AST) -> bool:
        """Whether an expression is a call of a function whose source is transformed too."""
        if not isinstance(e, ast.Call):
            return False
        found = self.function.resolve(e.func, self.local)
        return found is not missing and is_ours(found)

    def kind(self, e: ast.expr) -> Kind | None:
        """The kind of an expression; None while it depends on what is not known yet."""
        method = getattr(self, f"kind_{type(e).__name__}", None)
        if method is None:
            self.function.refuse(e, f"{type(e).__name__} is not supported: {ast.unparse(e)}")
        return method(e)

    def kinds_of(self, parts: list[ast.expr]) -> list[Kind] | None:
        """The kinds of several expressions, None while one is not known."""
        found = [self.kind(p) for p in parts]
        return None if None in found else found  # type: ignore[return-value]

    def kind_Constant(self, e: ast.Constant) -> Kind:
        kind = kind_of_value(e.value)
        if kind is None and not isinstance(e.value, str):
            self.function.refuse(e, f"{e.value!r} is no real number")
        return kind or NONE

    def kind_Name(self, e: ast.Name) -> Kind | None:
        if e.id in self.local:
            return self.kinds.get(e.id)
        value = self.function.lookup(e.id)
        kind = kind_of_value(value) if is_data(value) else None
        if kind is None:
            what = "is not defined" if value is missing else f"is {type(value).__name__}, neither number nor array"
            self.function.refuse(e, f"{e.id} {what}")
        return kind

    def kind_Attribute(self, e: ast.Attribute) -> Kind | None:
        value = self.function.resolve(e, self.local)
        if value is not missing:
            kind = kind_of_value(value)
            return kind if kind else self.function.refuse(e, f"{ast.unparse(e)} is neither a number nor an array")
        kind = self.kind(e.value)
        if kind is None:
            return None
        if e.attr == "T":
            return kind
        if e.attr in ("size", "ndim"):
            return INT
        if e.attr == "shape":
            return Kind("tuple", 0)
        return self.function.refuse(e, f"the attribute .{e.attr} is not known; known are shape, size, ndim, T")

    def kind_BinOp(self, e: ast.BinOp) -> Kind | None:
        kinds = self.kinds_of([e.left, e.right])
        if kinds is None:
            return None
        if any(k.base in ("tuple", "none") for k in kinds):
            self.function.refuse(e, f"{ast.unparse(e)} is no arithmetic on numbers or arrays")
        if isinstance(e.op, ast.MatMult):
            return product_kind(self, e, *kinds)
        whole = all(k.base != "float" for k in kinds)
        if isinstance(e.op, ast.Div):
            return broadcast(*kinds, base="float")
        if whole:
            negative = isinstance(e.op, ast.Pow) and isinstance(e.right, ast.UnaryOp)
            return broadcast(*kinds, base="float" if negative else "int")
        return broadcast(*kinds)

    def kind_UnaryOp(self, e: ast.UnaryOp) -> Kind | None:
        kind = self.kind(e.operand)
        return kind and (broadcast(kind, base="bool") if isinstance(e.op, ast.Not) else kind)

    def kind_Compare(self, e: ast.Compare) -> Kind | None:
        kinds = self.kinds_of([e.left, *e.comparators])
        return kinds and broadcast(*kinds, base="bool")

    def kind_BoolOp(self, e: ast.BoolOp) -> Kind | None:
        kinds = self.kinds_of(e.values)
        if kinds and any(k.base == "float" for k in kinds):
            self.function.refuse(e, "and/or of numbers that are no truth values; compare them")
        return kinds and BOOL

    def kind_IfExp(self, e: ast.IfExp) -> Kind | None:
        kinds = self.kinds_of([e.test, e.body, e.orelse])
        try:
            return kinds and joined(*kinds[1:])
        except Conflict:
            return self.function.refuse(e, "both sides of a choice must be of one kind")

    def kind_Tuple(self, e: ast.Tuple | ast.List) -> Kind | None:
        kinds = self.kinds_of(e.elts)
        if kinds and any(k != INT for k in kinds):
            self.function.refuse(
                e, f"{ast.unparse(e)} as a value; give each of its parts a name, or make an array by np.array"
            )
        return None if kinds is None else Kind("tuple")

    kind_List = kind_Tuple

    def kind_Subscript(self, e: ast.Subscript) -> Kind | None:
        kind = self.kind(e.value)
        if kind is None:
            return None
        if kind.base == "tuple":
            return INT
        if not kind.ndim:
            self.function.refuse(e, f"{ast.unparse(e.value)} is a number and has no parts")
        ndim = kind.ndim
        for part in e.slice.elts if isinstance(e.slice, ast.Tuple) else [e.slice]:
            ndim += self.axes_of(part)
        if ndim < 0:
            self.function.refuse(e, f"too many indices for {kind}")
        return array(ndim, kind.dtype)

    def axes_of(self, part: ast.expr) -> int:
        """How many axes a part of an index adds."""
        if isinstance(part, ast.Slice) or isinstance(part, ast.Constant) and part.value is Ellipsis:
            return 0
        if isinstance(part, ast.Constant) and part.value is None or ast.unparse(part).endswith("newaxis"):
            return 1
        kind = self.kind(part)
        if kind is not None and kind != INT:
            self.function.refuse(part, f"an index must be a whole number or a slice, {ast.unparse(part)} is {kind}")
        return -1

    def kind_Call(self, e: ast.Call) -> Kind | None:
        if self.is_call(e):
            found = self.results_of(e)
            if len(found) > 1:
                self.function.refuse(e, f"{ast.unparse(e)} returns {len(found)} values; give each a name: a, b = ...")
            return found[0] if found else None
        entry, args = self.program.entry_of(self, e)
        kinds = [NONE if entry.listed and a is args[0] else self.kind(a) for a in args[: entry.most]]
        return None if None in kinds else entry.kind(self, e, args, kinds)

    # --- activity ---

    def find_active(self, wanted: set[str]) -> None:
        """Which names gradients reach, from parameters that are wanted; and which arrays may share memory."""
        self.active = set(wanted)
        before = None
        while before != (len(self.active), len(self.written), len(self.same)):
            before = (len(self.active), len(self.written), len(self.same))
            for s in _statements(self.statements):
                with self.function.at(s):
                    self.follow(s)
            shared = {self.root(n) for n in self.active if self.kinds[n].ndim}
            self.active |= {n for n, k in self.kinds.items() if k.ndim and k.base == "float" and self.root(n) in shared}

    def follow(self, s: ast.stmt) -> None:
        """Activity through one statement."""
        if isinstance(s, (ast.Assign, ast.Expr)) and self.is_call(s.value):
            self.program.follow(self, s)
        elif isinstance(s, (ast.Assign, ast.AugAssign)):
            target = s.targets[0] if isinstance(s, ast.Assign) else s.target
            name = target.id if isinstance(target, ast.Name) else target.value.id  # type: ignore[attr-defined]
            if self.kinds[name].ndim and not (isinstance(target, ast.Name) and isinstance(s, ast.Assign)):
                self.written.add(self.root(name))
            if self.kinds[name].base == "float" and self.is_active(s.value):
                self.active.add(name)
            if self.kinds[name].ndim and isinstance(s, ast.Assign) and isinstance(target, ast.Name):
                if (source := self.source(s.value)) is not None:
                    self.share(name, source)

    def is_active(self, e: ast.expr) -> bool:
        """Whether an expression is a float that depends on what gradients are wanted of."""
        if isinstance(e, ast.Name):
            return e.id in self.active
        if isinstance(e, (ast.Tuple, ast.List)):
            return any(map(self.is_active, e.elts))
        kind = self.kind(e)
        if kind is None or kind.base != "float" and kind.base != "tuple":
            return False
        if isinstance(e, ast.Subscript):
            return self.is_active(e.value)
        parts = [c for c in ast.iter_child_nodes(e) if isinstance(c, ast.expr)]
        if isinstance(e, ast.Call) and not self.is_call(e):
            entry, args = self.program.entry_of(self, e)
            parts = args[: entry.most]
        return any(self.is_active(c) for c in parts)

    def is_method(self, e: ast.Call) -> bool:
        """Whether a call is one of a method of an array."""
        return isinstance(e.func, ast.Attribute) and self.function.resolve(e.func, self.local) is missing

    def source(self, e: ast.expr) -> str | None:
        """The name of the array of which an expression is a view, None if it is no view."""
        if isinstance(e, ast.Name):
            return e.id if self.kind(e).ndim else None  # type: ignore[union-attr]
        if isinstance(e, ast.Subscript) or isinstance(e, ast.Attribute) and e.attr == "T":
            return self.source(e.value) if (kind := self.kind(e)) and kind.ndim else None
        if isinstance(e, ast.Call) and not self.is_call(e):
            entry, args = self.program.entry_of(self, e)
            return self.source(args[0]) if entry.view else None
        if isinstance(e, ast.IfExp) and (self.source(e.body) or self.source(e.orelse)):
            self.function.refuse(e, "a choice of arrays inside an expression; give it a name in a statement before")
        return None

    def copying(self, e: ast.expr) -> list[ast.expr]:
        """The arrays in a view that must be contiguous, because views of others would be copies."""
        calls = [n for n in ast.walk(e) if isinstance(n, ast.Call) and not self.is_call(n)]
        entries = [self.program.entry_of(self, n) for n in calls]
        return [args[0] for entry, args in entries if entry.copies]

    def root(self, name: str) -> str:
        """The name that stands for all arrays that may share memory with this one."""
        while self.same.get(name, name) != name:
            name = self.same[name]
        return name

    def share(self, a: str, b: str) -> None:
        """Two names may stand for the same memory."""
        a, b = self.root(a), self.root(b)
        if a != b:
            self.same[a] = b


def product_kind(scope: Scope, e: ast.expr, a: Kind, b: Kind) -> Kind:
    """The kind of a product of vectors or matrices."""
    if (a.ndim, b.ndim) not in ((1, 1), (1, 2), (2, 1), (2, 2)):
        scope.function.refuse(e, f"a product of arrays with {a.ndim} and {b.ndim} axes; vectors and matrices are known")
    return array(a.ndim + b.ndim - 2, np.result_type(a.dtype, b.dtype).name)


def _statements(body: list[ast.stmt]):
    for s in body:
        yield s
        yield from _statements([*getattr(s, "body", []), *getattr(s, "orelse", [])])


def _loaded(target: ast.expr) -> ast.expr:
    """A target, to be read."""
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load(), lineno=target.lineno)
    return ast.Subscript(target.value, target.slice, ast.Load(), lineno=target.lineno)  # type: ignore[attr-defined]
