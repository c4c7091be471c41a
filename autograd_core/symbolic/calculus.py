"""Derivatives, from the gradient rules that the ops are declared with: a rule called on symbols is a formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..op import REGISTRY, Op, Partial
from .expression import Expression, applied, constant, expression, listed, nodes, rebuilt, symbol, trace
from .simplify import simplify

ZERO, ONE = constant(0), constant(1)
LONG = 1000  # operations: what is longer when it was simplified takes seconds, and nobody reads it


def derivative(e: Expression, by: Sequence, order: int = 1) -> Expression:
    """The derivative by one or several symbols in turn, each to the given order; simplified if that is not too long."""
    require_order(order)
    by = [_named(s, e) for s in by] or _only(e)
    for s in by:
        if not isinstance(s, Expression) or not s.name:
            raise TypeError(f"symbolic: a derivative is by a symbol or its name, got {s!r:.60}")
        for _ in range(order):
            e = differentiated(e, s)
            e = simplify(e) if e.operations() <= LONG else e
    return e


def require_order(order: Any) -> None:
    """Refuse what is not how often one can differentiate."""
    if not isinstance(order, int) or order < 0:
        raise ValueError(f"symbolic: the order of a derivative is a whole number from 0 on, got {order!r}")


def _named(s: Any, e: Expression) -> Any:
    """A symbol by its name in an expression; by a symbol that is not in it, the derivative is 0."""
    if not isinstance(s, str):
        return s
    names = [known.name for known in e.symbols()]
    if s not in names:
        raise ValueError(
            f"symbolic: there is no symbol {s} in it; there are: {listed(names, s)}; by a symbol as such it would be 0"
        )
    return symbol(s)


def _only(e: Expression) -> list[Expression]:
    found = e.symbols()
    if len(found) > 1:
        raise ValueError(f"symbolic: say by which symbol: {', '.join(s.name for s in found)}")
    return found or [symbol("x")]


def differentiated(root: Expression, by: Expression) -> Expression:
    """The derivative as the chain rule leaves it."""
    slopes: dict[Expression, Expression] = {by: ONE}
    for e in nodes(root):
        slopes.setdefault(e, slope(e, [slopes.get(a, ZERO) for a in e.args]))
    return slopes[root]


def slope(e: Expression, inner: Sequence[Expression]) -> Expression:
    """The derivative of an op's result, given those of its arguments."""
    if e.op is None or not e.op.differentiable:
        return ZERO
    total = ZERO
    for i, d in enumerate(inner):
        if d is not ZERO:
            part = pulled(e.op, i, d, e)
            total = part if total is ZERO else total + part
    return total


def pulled(op: Op, i: int, g: Expression, e: Expression) -> Expression:
    """What the rule of input i makes of g: an elementwise Jacobian is its own transpose, so this is a tangent too."""
    rule = op.rule(i)
    if rule is None:
        return ZERO
    env = {"y": e, **dict(zip(op.inputs, e.args)), **dict.fromkeys([f"{n}_shape" for n in op.inputs], ())}
    values = list({**env, **op.defaults, **e.params}.values())
    if op.together:
        return expression(op.together.fn(g, *_arguments(op.together, values))[i] or 0)
    if not isinstance(rule, Partial):
        return expression(rule.fn(g, *_arguments(rule, values)))
    partial = expression(rule.constant if rule.constant is not None else rule.fn(*_arguments(rule, values)))
    if partial.dtype.kind == "b" or isinstance(partial.constant, bool):  # what is not selected is no product with zero
        return REGISTRY["where"].call(partial, g, 0) if partial.op else g if partial.constant else ZERO
    return g * partial


def _arguments(rule: Any, values: list) -> list:
    """What a rule asks for by name, out of all that it may ask for."""
    return [values[int(a.partition("[")[2][:-1])] for a in rule.arguments]


def formula(name: str) -> str:
    """The rule of an op as a line: d sin(x) = cos(x) * dx."""
    op = REGISTRY.get(name)
    if op is None or not op.elementwise or not op.differentiable:
        raise ValueError(f"symbolic: {name!r} is not the name of an elementwise op that has a derivative")
    args = tuple(symbol(n) for n in op.inputs)
    e = applied(op, args, {k: symbol(k) for k in op.defaults})
    total = slope(e, [symbol(f"d{n}") for n in op.inputs])
    return f"d {e} = {simplify(total)}"


def steps(e: Expression, by: Any = None) -> list[tuple[Expression, Expression]]:
    """Every part of an expression with its derivative, innermost first: how the rules were applied."""
    (by,) = [_named(by, e)] if by is not None else _only(e)
    found: dict[Expression, Expression] = {by: ONE}
    for part in nodes(e):
        found.setdefault(part, slope(part, [found.get(a, ZERO) for a in part.args]))
    return [(part, simplify(d)) for part, d in found.items() if part.op is not None]


def taylor(e: Expression | Callable, by: Any, at: Any = 0, order: int = 4) -> Expression:
    """The Taylor polynomial about a point, up to an order."""
    require_order(order)
    e = trace(e)
    by, total, factor, whole = _named(by, e), ZERO, 1, e
    for k in range(order + 1):
        value = simplify(rebuilt(e, lambda leaf: expression(at) if leaf is by else leaf))
        if not _finite(value):
            what = f"derivative {k} of {whole!s:.60}" if k else f"{whole!s:.60}"
            raise ValueError(f"symbolic: there is no Taylor polynomial: {what} has no finite value at {by} = {at}")
        total = total + value * (by - at) ** k / factor
        factor *= k + 1
        e = derivative(e, [by]) if k < order else e
    return simplify(total)


def _finite(e: Expression) -> bool:
    """Whether every part without a symbol has a finite value."""
    free = {part for part in nodes(e) if part.name}
    for part in nodes(e):
        if any(a in free for a in part.args):
            free.add(part)
    closed = (part for part in nodes(e) if part not in free)
    try:
        return all(math.isfinite(part.evaluate()) for part in closed)
    except ArithmeticError:
        return False
