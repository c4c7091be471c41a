"""The adjoint of one expression: lines that hand a cotangent on to the names that it was made of."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable
from typing import Any

from ..ops import PUBLIC
from ..symbolic.calculus import ZERO, slope
from ..symbolic.expression import Expression, constant, nodes, symbol
from ..symbolic.printing import ATOM, INFIX, POWER, UNARY, Text, _in, _infix
from ..symbolic.simplify import simplify
from .kinds import Kind, Scope
from .read import index_text, walk

Line = Any  # a line of source, or (the head of a block, its lines)
OPERATORS: dict[type, Callable] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.Pow: PUBLIC["pow"], ast.Mod: lambda a, b: a % b,
    ast.FloorDiv: lambda a, b: a // b,
}  # fmt: skip
NUMPY = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "atan2": "arctan2", "sgn": "sign", "abs": "abs", "round": "round", "logical_not": "logical_not",
}  # fmt: skip
SELECTS = ("where", "maximum", "minimum", "clip", "fmax", "fmin")


class Pull:
    """Writes the adjoint of the expressions of one statement."""

    def __init__(self, scope: Scope, names: Any):
        self.scope, self.names = scope, names
        self.lines: list[Line] = []
        self.values: dict[str, str] = {}  # texts of values that have been given a name

    def active(self, e: ast.expr) -> bool:
        """Whether gradients go through an expression."""
        return self.scope.is_active(e)

    # --- values ---

    def value(self, e: ast.expr) -> str:
        """The text of a value; of one that costs something, a name, so that it is worked out once."""
        text = ast.unparse(e)
        if text in self.values:
            return self.values[text]
        if not any(isinstance(n, ast.Call) for n in walk(e)) and not self.costly(e):
            return text if isinstance(e, (ast.Name, ast.Constant, ast.Subscript, ast.Attribute)) else f"({text})"
        self.values[text] = self.bound(self.written(e), "t")
        return self.values[text]

    def costly(self, e: ast.expr) -> bool:
        """Whether a value is arithmetic on whole arrays."""
        kind = self.scope.kind(e)
        return bool(kind and kind.ndim) and isinstance(e, (ast.BinOp, ast.UnaryOp))

    def written(self, e: ast.expr) -> str:
        """The text of an expression in which the values of parts that have a name are called by it."""
        known = self.values

        class Named(ast.NodeTransformer):
            def visit(self, node: ast.AST) -> Any:
                text = ast.unparse(node) if isinstance(node, ast.expr) else ""
                if text in known:
                    return ast.Name(known[text], ast.Load())
                return self.generic_visit(node)

        copied = ast.parse(ast.unparse(e), mode="eval").body
        return ast.unparse(Named().visit(copied))

    def bound(self, text: str, stem: str = "g") -> str:
        """A name for a value, unless it is one already."""
        if re.fullmatch(r"-?[A-Za-z_]\w*|\d+(\.\d*)?", text):
            return text
        name = self.names.fresh(stem)
        self.lines.append(f"{name} = {text}")
        return name

    def factor(self, g: str) -> str:
        """A cotangent as part of a product."""
        return g if re.fullmatch(r"-?\w+(\[[^\[\]]*\])?", g) else f"({g})"

    def inside(self, write: Callable[[], None]) -> list[Line]:
        """The lines of a block."""
        outside, values, self.lines = self.lines, dict(self.values), []
        write()
        lines, self.lines, self.values = self.lines, outside, values
        return lines

    # --- cotangents ---

    def pull(self, e: ast.expr, g: str) -> None:
        """Hand the cotangent of an expression on to what it was made of."""
        if not self.active(e):
            return
        getattr(self, f"pull_{type(e).__name__}")(e, g)

    def pull_Name(self, e: ast.Name, g: str) -> None:
        self.add(self.names.bar(e.id), g)

    def add(self, place: str, g: str) -> None:
        """Add to an adjoint."""
        minus = re.fullmatch(r"-(\w+(\[[^\[\]]*\])?|\([^()]*\))", g)
        self.lines.append(f"{place} -= {minus[1].removeprefix('(').removesuffix(')')}" if minus else f"{place} += {g}")

    def pull_Subscript(self, e: ast.Subscript, g: str) -> None:
        if not isinstance(e.value, ast.Name):
            shadow = self.names.fresh("g")
            self.lines.append(f"{shadow} = np.zeros_like({self.value(e.value)})")
            self.add(f"{shadow}[{index_text(e.slice)}]", g)
            return self.pull(e.value, shadow)
        return self.add(f"{self.names.bar(e.value.id)}[{index_text(e.slice)}]", g)

    def pull_Attribute(self, e: ast.Attribute, g: str) -> None:
        self.pull(e.value, f"{self.factor(g)}.T")

    def pull_UnaryOp(self, e: ast.UnaryOp, g: str) -> None:
        g = g if isinstance(e.op, ast.UAdd) else g[1:] if re.fullmatch(r"-\w+", g) else f"-{self.factor(g)}"
        self.pull(e.operand, g)

    def pull_BinOp(self, e: ast.BinOp, g: str) -> None:
        if isinstance(e.op, ast.MatMult):
            self.scope.program.product(self, e, [e.left, e.right], g)
        else:
            self.elementwise(e, [e.left, e.right], OPERATORS[type(e.op)], g)

    def pull_IfExp(self, e: ast.IfExp, g: str) -> None:
        self.choice(e.test, e.body, e.orelse, g)

    def pull_Call(self, e: ast.Call, g: str) -> None:
        entry, args = self.scope.program.entry_of(self.scope, e)
        if entry.pull is None:
            self.scope.function.refuse(e, f"no gradients flow through the arguments of {ast.unparse(e.func)}")
        entry.pull(self, e, args, g)

    def choice(self, test: ast.expr, yes: ast.expr, no: ast.expr, g: str) -> None:
        """One of two expressions, by a condition that can be asked again."""
        g = self.bound(g)
        body = self.inside(lambda: self.pull(yes, g))
        orelse = self.inside(lambda: self.pull(no, g))
        if body:
            self.lines.append((f"if {ast.unparse(test)}:", body))
        if orelse:
            self.lines.append(("else:" if body else f"if not ({ast.unparse(test)}):", orelse))

    def spread(self, e: ast.expr, g: str, kind: Kind, whole_array: bool) -> None:
        """A cotangent that is the same for all entries along some axes."""
        if isinstance(e, ast.Name) or isinstance(e, ast.Subscript) and isinstance(e.value, ast.Name):
            return self.pull(e, g)
        x = self.value(e)
        text = f"{self.factor(g)} + np.zeros_like({x})" if whole_array else f"np.full({x}.shape, {g})"
        return self.pull(e, self.bound(text))

    # --- elementwise functions, by the rules of their ops ---

    def elementwise(self, e: ast.expr, args: list[ast.expr], f: Callable, g: str) -> None:
        """Hand a cotangent on through an elementwise function."""
        g = self.bound(g)
        given = tuple(_number(a) for a in args)
        kinds = [self.scope.kind(a) for a in args]
        for i, a in enumerate(args):
            if self.active(a):
                whole, d = pulled(f, given, i)
                text = self.formula(d, whole, e, args, g)
                fitted = self.fitted(text, self.scope.kind(e), kinds, i, a)  # type: ignore[arg-type]
                guarded = self.careful and any(n.op and n.op.name in ("div", "pow", "log") for n in nodes(d))
                self.hand_on(a, fitted, g if guarded else "", self.scope.kind(e))  # type: ignore[arg-type]

    def hand_on(self, a: ast.expr, text: str, guard: str, kind: Kind) -> None:
        """Pull the cotangent of an argument; where nothing was selected, a slope that is infinite says nothing."""
        if not guard:
            return self.pull(a, text)
        if kind.ndim:
            return self.pull(a, f"np.where({guard} == 0, 0.0, {text})" if not text.startswith("np.sum") else text)
        self.lines.append((f"if {guard} != 0.0:", self.inside(lambda: self.pull(a, text))))
        return None

    @functools.cached_property
    def careful(self) -> bool:
        """Whether the function selects, so that a cotangent may be zero because something was not selected."""
        return any(
            isinstance(n, (ast.IfExp, ast.If)) or isinstance(n, ast.Attribute) and n.attr in SELECTS
            for n in walk(self.scope.statements)
        )

    def formula(self, d: Expression, whole: Expression, e: ast.expr, args: list, g: str) -> str:
        """The text of a derivative, with the values of the arguments and of the result put in."""
        used = set(nodes(d))
        known: dict[Expression, Text] = {symbol("g"): (g, UNARY if g[0] == "-" else ATOM)}
        if whole in used and whole.op is not None:
            known[whole] = (self.value(e), ATOM)
        inner = {n for part in nodes(d) if part not in known for n in part.args} | {d}
        for k, a in enumerate(args):
            if symbol(f"a{k}") in inner:
                known[symbol(f"a{k}")] = (self.value(a), ATOM)
        return numpy_text(d, known, not self.scope.kind(e).ndim)  # type: ignore[union-attr]

    def fitted(self, text: str, result: Kind, kinds: list, i: int, a: ast.expr) -> str:
        """A cotangent in the shape of the argument: summed where broadcasting enlarged it."""
        mine = kinds[i]
        if mine.ndim > 3 and any(k.ndim for j, k in enumerate(kinds) if j != i):
            self.scope.function.refuse(a, "functions of several arrays are supported up to three axes")
        if result.ndim and not mine.ndim:
            return f"np.sum({text})"
        for _ in range(result.ndim - mine.ndim):
            text = f"np.sum({text}, axis=0)"
        others = [k for j, k in enumerate(kinds) if j != i and k.ndim]
        if mine.ndim and others:
            return f"fit_{mine.ndim}d({text}, {self.value(a)})"
        return text


def _number(a: ast.expr) -> Any:
    """A number that is written out, None for anything else."""
    try:
        value = ast.literal_eval(a)
    except ValueError:
        return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@functools.cache
def pulled(f: Callable, given: tuple, i: int) -> tuple[Expression, Expression]:
    """An elementwise function of symbols a0, a1, ... (and the numbers given), and the cotangent of its argument i."""
    args = [symbol(f"a{k}") if v is None else v for k, v in enumerate(given)]
    whole = f(*args)
    whole = whole if isinstance(whole, Expression) else constant(whole)
    slopes = {args[i]: symbol("g")}
    for part in nodes(whole):
        slopes.setdefault(part, slope(part, [slopes.get(a, ZERO) for a in part.args]))
    return whole, simplify(slopes[whole])


def numpy_text(e: Expression, known: dict[Expression, Text], scalar: bool) -> str:
    """An expression as NumPy that Numba takes."""
    made: dict[Expression, Text] = {}
    for part in nodes(e):
        made[part] = known.get(part) or _numpy(part, [made[a] for a in part.args], scalar)
    return made[e][0]


def _numpy(e: Expression, args: list[Text], scalar: bool) -> Text:
    if e.op is None:
        if e.name:
            return e.name, ATOM
        return re.sub(r"(inf|nan)$", r"np.\1", repr(e.constant)), UNARY if e.constant < 0 else ATOM
    name, inner = e.op.name, ", ".join(a for a, _ in args)
    if name == "neg":
        return f"-{_in(args[0], UNARY)}", UNARY
    if name == "where" and scalar:
        return f"({args[1][0]} if {args[0][0]} else {args[2][0]})", ATOM
    if scalar and name in ("logical_and", "logical_or"):
        return f"({args[0][0]} {name[8:]} {args[1][0]})", ATOM
    if scalar and name == "logical_not":
        return f"(not {args[0][0]})", ATOM
    if name in ("square", "power"):
        return _power(args[0], e.params.get("exponent", 2))
    if name in INFIX:
        text, binds = _infix(*INFIX[name], *args)
        return (f"({text})", ATOM) if binds < 4 else (text, binds)
    if name == "clamp":
        return f"np.minimum(np.maximum({inner}, {e.params['low']!r}), {e.params['high']!r})", ATOM
    if name in ("digamma",):
        return f"digamma({inner})", ATOM
    return f"np.{NUMPY.get(name, name)}({inner})", ATOM


def _power(base: Text, p: Any) -> Text:
    if p == 2 and re.fullmatch(r"\w+", base[0]):
        return f"{base[0]}*{base[0]}", 5
    return f"{_in(base, ATOM)}**{p!r}", POWER
