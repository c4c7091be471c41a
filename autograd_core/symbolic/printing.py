"""Expressions as text: Python that runs, and LaTeX."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..ops import PUBLIC, special
from .expression import TRUTH, Expression, nodes

# fmt: off
INFIX = {  # the sign, and how tightly it binds
    "logical_or": ("|", 1), "logical_and": ("&", 3), "eq": ("==", 0), "ne": ("!=", 0), "lt": ("<", 0), "le": ("<=", 0),
    "gt": (">", 0), "ge": (">=", 0), "add": ("+", 4), "sub": ("-", 4), "mul": ("*", 5), "div": ("/", 5),
    "floor_divide": ("//", 5), "remainder": ("%", 5), "pow": ("**", 7), "masked": ("*", 5),
}
GREEK = set("""alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi
               psi omega""".split())
LATEX_SIGNS = {"==": "=", "!=": r"\ne", "<=": r"\le", ">=": r"\ge", "&": r"\land", "|": r"\lor"}
LATEX_NAMES = {n: "\\" + n for n in "sin cos tan sinh cosh tanh exp log".split()} | {
    "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "sigmoid": r"\sigma", "maximum": r"\max",
    "minimum": r"\min", "sgn": r"\operatorname{sgn}", "digamma": r"\psi", "lgamma": r"\ln\Gamma",
}
LATEX_FORMS = {
    "sqrt": r"\sqrt{{{0}}}", "rsqrt": r"\frac{{1}}{{\sqrt{{{0}}}}}", "abs": r"\left|{0}\right|",
    "reciprocal": r"\frac{{1}}{{{0}}}", "floor": r"\lfloor {0} \rfloor", "ceil": r"\lceil {0} \rceil",
    "div": r"\frac{{{0}}}{{{1}}}", "floor_divide": r"\left\lfloor\frac{{{0}}}{{{1}}}\right\rfloor",
    "where": r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
}
# fmt: on
ATOM, POWER, UNARY, PRODUCT, SUM, REMAINDER, COMPARISON = 9, 7, 6, 5, 4, 3, 0
Text = tuple[str, int]  # a piece of text, and how tightly its outermost sign binds


def text(e: Expression, prefix: str = "", known: dict[Expression, str] | None = None) -> str:
    """As Python, with a prefix before the names of functions; parts that are known by a name are called by it."""
    names = known or {}
    made: dict[Expression, Text] = {}
    for part in nodes(e, known=names):
        made[part] = (names[part], ATOM) if part in names else _python(part, [made[a] for a in part.args], prefix)
    return made[e][0]


def library(e: Expression) -> str:
    """What source calls the library, with a dot: its usual name, unless a symbol has that."""
    taken = {s.name for s in e.symbols()}
    free = [name for name in ("ag", "autograd_core") if name not in taken]
    if not free:
        raise ValueError(
            "symbolic: symbols are called ag and autograd_core, as source calls the library; substitute one"
        )
    return f"{free[0]}."


def definition(e: Expression, name: str) -> str:
    """As a Python function, in which what occurs several times is computed once."""
    uses: dict[Expression, int] = {}
    for part in nodes(e):
        for a in part.args:
            uses[a] = uses.get(a, 0) + 1
    prefix, taken = library(e), {s.name for s in e.symbols()}
    free = (name for name in map("t{}".format, itertools.count(1)) if name not in taken)
    known: dict[Expression, str] = {}
    lines = []
    for part in nodes(e):
        if part.op and uses.get(part, 0) > 1:
            line, known[part] = text(part, prefix, known), next(free)
            lines.append(f"    {known[part]} = {line}")
    parameters = ", ".join(s.name for s in e.symbols())  # type: ignore[misc]
    return "\n".join([f"def {name}({parameters}):", *lines, f"    return {text(e, prefix, known)}"]) + "\n"


def _python(e: Expression, args: list[Text], prefix: str) -> Text:
    if e.op is None:
        return (e.name, ATOM) if e.name else _number(e.constant, prefix)
    name = e.op.name
    if name == "neg":
        return f"-{_in(args[0], PRODUCT if _takes_sign(e.args[0]) else UNARY)}", min(args[0][1], UNARY)
    if name in INFIX and _has_sign(e):
        return _infix(*INFIX[name], *args)
    if name in ("square", "power"):
        return f"{_in(args[0], ATOM)}**{_number(e.params.get('exponent', 2), prefix)[0]}", POWER
    inner = ", ".join([*(a for a, _ in args), *(f"{k}={_parameter(v, prefix)}" for k, v in e.params.items())])
    return f"{_called(e, prefix)}({inner})", ATOM


def _takes_sign(e: Expression) -> bool:
    """Whether a sign before it negates it: -x // y is (-x) // y."""
    while e.op and e.op.name in ("mul", "div", "masked"):
        e = e.args[0]
    return e.op is None or e.op.name not in ("floor_divide", "remainder")


def _has_sign(e: Expression) -> bool:
    """Whether a sign of Python does what the op does."""
    name = e.op.name  # type: ignore[union-attr]
    if name in ("logical_and", "logical_or"):
        return all(a.dtype == TRUTH or isinstance(a.constant, bool) for a in e.args)
    return name != "masked"


def _called(e: Expression, prefix: str) -> str:
    """The name of the function that does what the op does."""
    name = e.op.name  # type: ignore[union-attr]
    if not prefix or name in PUBLIC and not e.params:
        return prefix + name
    return (
        f"{prefix}special.{name}" if hasattr(special, name) and not e.params else f"{prefix}symbolic.functions.{name}"
    )


def _parameter(value: Any, prefix: str) -> str:
    if isinstance(value, (np.dtype, type)):
        return f"{prefix}{np.dtype(value).name}"
    return _number(value, prefix)[0] if isinstance(value, (int, float)) else repr(value)


def _number(value: Any, prefix: str) -> Text:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return f"{'-' if value < 0 else ''}{prefix}{'nan' if value != value else 'inf'}", UNARY
    return repr(value), UNARY if repr(value)[0] == "-" else ATOM


def _infix(sign: str, binds: int, left: Text, right: Text) -> Text:
    gap = "" if binds in (PRODUCT, POWER) else " "
    first = binds + (binds in (POWER, COMPARISON))  # x**y**z is x**(y**z), and x < y < z is none of both
    return f"{_in(left, first)}{gap}{sign}{gap}{_in(right, binds + (binds != POWER))}", binds


def _in(part: Text, binds: int) -> str:
    return part[0] if part[1] >= binds else f"({part[0]})"


def latex(e: Expression) -> str:
    """As LaTeX."""
    made: dict[Expression, Text] = {}
    for part in nodes(e):
        made[part] = _tex(part, [made[a] for a in part.args])
    return made[e][0]


def _tex(e: Expression, args: list[Text]) -> Text:
    if e.op is None:
        return (_tex_symbol(e.name), ATOM) if e.name else _tex_number(e.constant)
    name = e.op.name
    if name == "neg":
        return f"-{_paren(args[0], PRODUCT)}", SUM
    if name in ("square", "power", "pow"):
        power = args[1][0] if name == "pow" else _tex_number(e.params.get("exponent", 2))[0]
        return f"{_paren(args[0], ATOM)}^{{{power}}}", POWER
    if name == "exp":
        return f"e^{{{args[0][0]}}}", POWER
    if name in LATEX_FORMS:
        return LATEX_FORMS[name].format(*(a for a, _ in args)), ATOM if name != "where" else SUM
    if name in ("mul", "masked"):
        dot = r" \cdot " if args[1][0][:1].isdigit() else " "
        return f"{_paren(args[0], PRODUCT)}{dot}{_paren(args[1], PRODUCT + 1)}", PRODUCT
    if name == "remainder":
        return rf"{_paren(args[0], UNARY)} \bmod {_paren(args[1], UNARY)}", REMAINDER
    if name in INFIX:
        sign, binds = INFIX[name]
        first = binds + (binds == COMPARISON)
        return f"{_paren(args[0], first)} {LATEX_SIGNS.get(sign, sign)} {_paren(args[1], binds + 1)}", binds
    called = LATEX_NAMES.get(name, rf"\operatorname{{{name.replace('_', ' ')}}}")
    return rf"{called}\left({', '.join(a for a, _ in args)}\right)", ATOM


def _paren(part: Text, binds: int) -> str:
    return part[0] if part[1] >= binds else rf"\left({part[0]}\right)"


def _tex_symbol(name: str) -> str:
    stem, _, index = name.partition("_")
    if not index and stem.rstrip("0123456789") and stem[-1].isdigit():
        bare = stem.rstrip("0123456789")
        stem, index = bare, stem[len(bare) :]
    shown = "\\" + stem if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    return f"{shown}_{{{index}}}" if index else shown


def _tex_number(value: Any) -> Text:
    if isinstance(value, bool):
        return rf"\text{{{value}}}", ATOM
    if isinstance(value, float) and not math.isfinite(value):
        return (r"\text{nan}" if value != value else r"\infty" if value > 0 else r"-\infty"), UNARY
    shown = repr(value)
    if "e" in shown:
        digits, _, power = shown.partition("e")
        shown = rf"{digits} \cdot 10^{{{int(power)}}}"
    return shown, UNARY if value < 0 else ATOM
