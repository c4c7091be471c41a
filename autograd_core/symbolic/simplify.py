"""The simplifier: the normal form, and rules, one a line, for all else.

What it gives has the value of what it got wherever that has one: x / x becomes 1, and sqrt(x) * sqrt(x) becomes x.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from typing import Any

from ..ops import PUBLIC
from .expression import Expression, applied, constant, named, nodes, remembered
from .normal import (
    ARITHMETIC,
    collected,
    factors,
    joined_factors,
    leading,
    make,
    negated,
    normal,
    number,
    product,
    scaled,
    terms,
    total,
)

COMMUTATIVE = {"add", "mul", "maximum", "minimum", "eq", "ne", "hypot", "logaddexp", "logical_and", "logical_or"}


class Rule:
    """A rewriting: wherever the left side fits, its letters standing for any expression, the right side is written."""

    def __init__(self, line: str):
        self.line = line.strip()
        left, arrow, right = self.line.partition("->")
        if not arrow:
            raise ValueError(f"symbolic: a rule is written 'pattern -> replacement', got {line!r}")
        scope = {**PUBLIC, **{letter: named(letter, "letter") for letter in "abcnxyz"}}
        parse = lambda text: normal(_expression(eval(text, {"__builtins__": {}}, scope)))
        self.left, self.right = parse(left), parse(right)
        self.head = self.left.op.name if self.left.op else ""
        self.needs = {e.op.name for e in nodes(self.left) if e.op} - ARITHMETIC

    def apply(self, e: Expression) -> Expression | None:
        """What the rule makes of an expression, None where it does not fit."""
        found = next(matches(self.left, e, {}), None) if e.op and e.op.name == self.head else None
        return None if found is None else normal(_filled(self.right, found))

    def __repr__(self) -> str:
        return f"Rule({self.line!r})"


def _expression(x: Any) -> Expression:
    return x if isinstance(x, Expression) else constant(x)


def _filled(right: Expression, found: dict) -> Expression:
    new: dict[Expression, Expression] = {}
    for e in nodes(right):
        new[e] = found.get(e.name, e) if e.op is None else applied(e.op, tuple(new[a] for a in e.args), e.params)
    return new[right]


def matches(pattern: Expression, e: Expression, found: dict) -> Iterator[dict]:
    """All ways to read an expression as a pattern, as what the letters then stand for."""
    if pattern.name:
        if found.get(pattern.name, e) is e:
            yield found | {pattern.name: e}
    elif pattern is e:
        yield found
    elif pattern.op and pattern.op.name == "neg":
        if leading(e) < 0:
            yield from matches(pattern.args[0], negated(e), found)
    elif pattern.op and e.op is pattern.op and e.params == pattern.params:
        orders = [e.args, e.args[::-1]] if e.op.name in COMMUTATIVE and len(e.args) == 2 else [e.args]
        for args in orders:
            yield from _all_match(pattern.args, args, found)


def _all_match(patterns: tuple, args: tuple, found: dict) -> Iterator[dict]:
    if not patterns:
        yield found
        return
    for first in matches(patterns[0], args[0], found):
        yield from _all_match(patterns[1:], args[1:], first)


def simplify(e: Expression) -> Expression:
    """An expression of the same value wherever this one has one, usually shorter."""
    for _ in range(20):
        new = _rewritten(e, RULES)
        if new is e:
            break
        e = new
    return e


def _rewritten(root: Expression, rules: tuple) -> Expression:
    new: dict[Expression, Expression] = {}
    for e in nodes(root):
        new[e] = e if e.op is None else _one(applied(e.op, tuple(new[a] for a in e.args), e.params), rules)
    return new[root]


def _one(e: Expression, rules: tuple) -> Expression:
    """One op of simplified arguments, simplified."""
    e = collected(e, lambda found: _added(found, rules), lambda powers: _paired(powers, rules))
    for rule in rules:
        if (better := rule.apply(e)) is not None:
            return better
    return e


def _added(found: dict, rules: tuple) -> dict:
    """Terms after all rules for two of them: sin(x)**2 + cos(x)**2, and the same times anything."""
    present = set().union(*map(_names, found)) if len(found) > 1 else set()
    for rule in rules:
        if rule.head in ("add", "sub") and rule.needs <= present:
            for (a, s), (b, t) in combinations(found.items(), 2):
                if (
                    abs(s) == abs(t)
                    and rule.needs <= _names(a) | _names(b)
                    and (better := _pair(rule, a, s, b, t)) is not None
                ):
                    rest = {core: times for core, times in found.items() if core is not a and core is not b}
                    for core, times in terms(better).items():
                        rest[core] = number(rest.get(core, 0) + times)
                    return _added({core: times for core, times in rest.items() if times != 0}, rules)
    return found


def _pair(rule: Rule, a: Expression, s: Any, b: Expression, t: Any) -> Expression | None:
    left, right = factors(a)[1], factors(b)[1]
    common = {base: p for base, p in left.items() if _alike(p, right.get(base))}
    bare = lambda powers: product(1, {base: p for base, p in powers.items() if base not in common})
    for sign in (1, -1):
        pair = total(_summed([(bare(left), s * sign / abs(s)), (bare(right), t * sign / abs(t))]))
        if (better := rule.apply(pair)) is not None:
            times, powers = factors(better)
            return product(number(times * sign * abs(s)), joined_factors(powers, common))
    return None


@remembered
def _names(core: Expression) -> set[str]:
    """The ops that the factors of a term are."""
    return {base.op.name for base in factors(core)[1] if base.op}


def _alike(p: Any, q: Any) -> bool:
    return p is q or isinstance(p, Fraction) and isinstance(q, Fraction) and p == q


def _summed(parts: list) -> dict:
    found: dict = {}
    for core, times in parts:
        found[core] = number(found.get(core, 0) + times)
    return found


def _paired(powers: dict, rules: tuple) -> dict:
    """Factors after all rules for two of them: sgn(x) * abs(x)."""
    present = {base.op.name for base in powers if base.op}
    for rule in rules:
        if rule.head in ("mul", "div") and rule.needs <= present:
            for (a, p), (b, q) in combinations(powers.items(), 2):
                pair = rule.needs <= {base.op.name for base in (a, b) if base.op}
                better = rule.apply(product(1, {a: p, b: q})) if pair else None
                times, more = factors(better) if better is not None else (0, {})
                if times == 1:
                    return _paired(
                        joined_factors({c: r for c, r in powers.items() if c is not a and c is not b}, more), rules
                    )
    return powers


def expand(e: Expression) -> Expression:
    """The same with products of sums, and whole powers of them, multiplied out."""
    new: dict[Expression, Expression] = {}
    for part in nodes(simplify(e)):
        whole = (
            part if part.op is None else _one(applied(part.op, tuple(new[a] for a in part.args), part.params), RULES)
        )
        new[part] = _multiplied(whole) if whole.op else whole
    return simplify(new[part])


def _multiplied(e: Expression) -> Expression:
    times, powers = factors(e)
    sums = {base for base, p in powers.items() if _opens(base, p)}
    if not sums:
        return e
    result = terms(product(times, {base: p for base, p in powers.items() if base not in sums}))
    for base in sorted(sums, key=str):
        for _ in range(int(powers[base])):
            pairs = [(scaled(make("mul", a, b), 1), s * t) for a, s in result.items() for b, t in terms(base).items()]
            result = _summed(
                [(core, number(more * t)) for whole, t in pairs for core, more in terms(normal(whole)).items()]
            )
    return total({core: t for core, t in result.items() if t != 0})


def _opens(base: Expression, p: Any) -> bool:
    whole = isinstance(p, Fraction) and p.denominator == 1 and 0 < p <= 64
    return whole and base.op is not None and base.op.name in ("add", "sub")


# fmt: off
RULES: tuple[Rule, ...] = tuple(map(Rule, """
    sin(x)**2 + cos(x)**2     -> 1
    1 - sin(x)**2             -> cos(x)**2
    1 - cos(x)**2             -> sin(x)**2
    cosh(x)**2 - sinh(x)**2   -> 1
    sgn(x) * abs(x)           -> x
    sin(x) / cos(x)           -> tan(x)
    sinh(x) / cosh(x)         -> tanh(x)
    log(exp(x))               -> x
    exp(log(x))               -> x
    sqrt(x**2)                -> abs(x)
    abs(x)**2                 -> x**2
    abs(abs(x))               -> abs(x)
    abs(sqrt(x))              -> sqrt(x)
    abs(exp(x))               -> exp(x)
    abs(-x)                   -> abs(x)
    sgn(-x)                   -> -sgn(x)
    sin(-x)                   -> -sin(x)
    cos(-x)                   -> cos(x)
    tan(-x)                   -> -tan(x)
    asin(-x)                  -> -asin(x)
    atan(-x)                  -> -atan(x)
    sinh(-x)                  -> -sinh(x)
    cosh(-x)                  -> cosh(x)
    tanh(-x)                  -> -tanh(x)
    erf(-x)                   -> -erf(x)
    maximum(x, x)             -> x
    minimum(x, x)             -> x
    where(c, x, x)            -> x
    where(c, where(c, x, y), z) -> where(c, x, z)
    where(c, x, where(c, y, z)) -> where(c, x, z)
    where(True, x, y)         -> x
    where(False, x, y)        -> y
    logical_and(True, c)      -> c
    logical_and(False, c)     -> False
    where(c, a*x, a*y)        -> a * where(c, x, y)
""".strip().splitlines()))
# fmt: on
