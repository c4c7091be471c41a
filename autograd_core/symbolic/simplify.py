"""The simplifier: the normal form, and rules, one a line, for all else.

What it gives has the value of what it got wherever that has one: x / x becomes 1, and sqrt(x) * sqrt(x) becomes x.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Any

from ..ops import PUBLIC
from .expression import Expression, applied, constant, named, nodes
from .normal import (
    PRODUCT,
    SUM,
    collected,
    factors,
    joined_factors,
    leading,
    make,
    negated,
    normal,
    number,
    product,
    rewritten,
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
        try:
            self.left, self.right = parse(left), parse(right)
        except NameError as error:
            raise ValueError(f"symbolic: a rule's letters are a, b, c, n, x, y, z; in {line!r}: {error}") from None
        self.head = self.left.op.name if self.left.op else ""
        self.orders = [] if self.head not in SUM | PRODUCT else self._orders()

    def _orders(self) -> list[tuple]:
        """The two parts of a sum or product, with how often they are in it; the first says what all letters stand for."""
        parts = terms(self.left) if self.head in SUM else factors(self.left)[1]
        letters = lambda part: {e for e in nodes(part[0]) if e.name}
        return [order for order in permutations(parts.items()) if letters(order[0]) >= letters(order[1])]

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
        new = rewritten(e, lambda part: _one(part, RULES))
        if new is e:
            break
        e = new
    return e


def _one(e: Expression, rules: tuple) -> Expression:
    """One op of simplified arguments, simplified."""
    e = collected(e, lambda found: _added(found, rules), lambda powers: _paired(powers, rules))
    for rule in rules:
        if (better := rule.apply(e)) is not None:
            return better
    return e


def _added(found: dict, rules: tuple) -> dict:
    """Terms after all rules for two of them: sin(x)**2 + cos(x)**2, and the same times anything."""
    for rule in rules:
        for first, second in rule.orders if rule.head in SUM else ():
            for core in found:
                if (better := _with_another(rule, first, second, core, found)) is not None:
                    return _added(better, rules)
    return found


def _with_another(rule: Rule, first: tuple, second: tuple, core: Expression, found: dict) -> dict | None:
    """Terms after a rule for one of them, which says by itself which other is needed."""
    ((pattern, power),) = factors(first[0])[1].items()
    powers = factors(core)[1]
    scale = number(found[core] * Fraction(1, first[1]))
    for base, p in powers.items():
        for letters in matches(pattern, base, {}) if _alike(p, power) else ():
            rest = _without(powers, base)
            partner = product(1, joined_factors(rest, factors(_filled(second[0], letters))[1]))
            if partner is not core and found.get(partner) == number(scale * second[1]):
                times, more = factors(normal(_filled(rule.right, letters)))
                new = terms(product(number(scale * times), joined_factors(more, rest)))
                whole = _summed([*_without(found, core, partner).items(), *new.items()])
                return {c: t for c, t in whole.items() if t != 0}
    return None


def _without(found: dict, *gone: Expression) -> dict:
    return {e: value for e, value in found.items() if e not in set(gone)}


def _alike(p: Any, q: Any) -> bool:
    return p is q or isinstance(p, Fraction) and isinstance(q, Fraction) and p == q


def _summed(parts: list) -> dict:
    found: dict = {}
    for core, times in parts:
        found[core] = number(found.get(core, 0) + times)
    return found


def _paired(powers: dict, rules: tuple) -> dict:
    """Factors after all rules for two of them: sgn(x) * abs(x)."""
    for rule in rules:
        for (pattern, power), second in rule.orders[:1] if rule.head in PRODUCT else ():
            for base, p in powers.items():
                for letters in matches(pattern, base, {}) if _alike(p, power) else ():
                    partner = _filled(second[0], letters)
                    times, more = factors(normal(_filled(rule.right, letters)))
                    if partner is not base and times == 1 and _alike(powers.get(partner), second[1]):
                        return _paired(joined_factors(_without(powers, base, partner), more), rules)
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
