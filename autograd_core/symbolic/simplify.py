"""The simplifier: sums collect like terms, products collect powers, and rules, one a line, do the rest.

What it gives has the value of what it got wherever that has one: x / x becomes 1, and sqrt(x) * sqrt(x) becomes x.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np

from ..op import REGISTRY
from ..ops import PUBLIC
from .expression import Expression, applied, constant, nodes, remembered, symbol

COMMUTATIVE = {"add", "mul", "maximum", "minimum", "eq", "ne", "hypot", "logaddexp", "logical_and", "logical_or"}
ARITHMETIC = {"add", "sub", "neg", "mul", "masked", "div", "exp", "pow", "power", "square", "sqrt", "rsqrt", "reciprocal"}
SAME = {"positive", "conj", "real", "clone", "alias", "cast", "compact"}  # of real entries: the entry itself
E = symbol("e_")  # the base of the natural logarithm, as a factor: exp(a) is E to the a


class Rule:
    """A rewriting: wherever the left side fits, its letters standing for any expression, the right side is written."""

    def __init__(self, line: str):
        self.line = line.strip()
        left, arrow, right = self.line.partition("->")
        if not arrow:
            raise ValueError(f"symbolic: a rule is written 'pattern -> replacement', got {line!r}")
        scope = {**PUBLIC, **{letter: symbol(letter) for letter in "abcnxyz"}}
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


# --- sums: {what is added: how often} ---


@remembered
def terms(e: Expression) -> dict[Expression, Any]:
    """An expression as a sum: how often each term is added; numbers stand under 1."""
    name = e.op.name if e.op else ""
    if name in ("add", "sub"):
        found = dict(terms(e.args[0]))
        for core, times in terms(e.args[1]).items():
            found[core] = number(found.get(core, 0) + (times if name == "add" else -times))
        return {core: times for core, times in found.items() if times != 0}
    times, powers = factors(e)
    if len(powers) == 1 and next(iter(powers.values())) is ONE_:
        (only,) = powers
        if only.op and only.op.name in ("add", "sub"):
            return {core: number(times * t) for core, t in terms(only).items()}
    return {product(1, powers): times} if times != 0 else {}


def total(found: dict[Expression, Any]) -> Expression:
    """The sum of terms: highest powers first, numbers last, and no minus in front where that can be."""
    cores = sorted(found, key=lambda core: (core is ONE, -degree(core), _spelled(core)))
    front = next((core for core in cores if found[core] > 0 or found[core] != found[core]), None)
    if front is not None and found[cores[0]] < 0:
        cores = [front, *(core for core in cores if core is not front)]
    result = None
    for core in cores:
        times = found[core]
        if result is None:
            result = scaled(core, times)
        else:
            name = "sub" if times < 0 else "add"
            result = _make(name, result, scaled(core, -times if times < 0 else times))
    return ZERO if result is None else result


def scaled(core: Expression, times: Any) -> Expression:
    """A multiple of an expression without a number in front; of a sum, without multiplying out."""
    if core.op and core.op.name in ("add", "sub"):
        return product(times, {core: ONE_})
    more, powers = factors(core)
    return product(number(times * more), powers)


@remembered
def degree(e: Expression) -> float:
    """Of a product, the sum of the powers of its symbols."""
    powers = factors(e)[1]
    return sum(float(p) for base, p in powers.items() if base.name and isinstance(p, Fraction))


# --- products: a number and {factor: power} ---


@remembered
def factors(e: Expression) -> tuple[Any, dict[Expression, Any]]:
    """An expression as a product: a number, and the power of each factor; powers are numbers, or expressions."""
    if e.op is None:
        return (e.constant, {}) if is_number(e) else (1, {e: ONE_})
    name, args = e.op.name, e.args
    if name in SAME:
        return factors(args[0])
    if name == "neg":
        times, powers = factors(args[0])
        return number(-times), powers
    if name in ("mul", "masked", "div"):
        (s, left), (t, right) = factors(args[0]), factors(args[1])
        if name == "div":
            if t == 0:
                return 1, {e: ONE_}
            t, right = number(Fraction(1, t) if isinstance(t, (int, Fraction)) else 1 / t), _raised(right, -ONE_)
        return number(s * t), _joined(left, right)
    if name == "exp":
        return 1, {E: exponent(args[0])}
    if (power := _power_of(e)) is not None:
        return _to_the(args[0], power, e)
    return 1, {e: ONE_}


def _power_of(e: Expression) -> Any:
    """The exponent, of an expression that is a power."""
    name = e.op.name  # type: ignore[union-attr]
    fixed = {"square": 2, "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2), "reciprocal": -1}
    if name == "pow":
        return exponent(e.args[1])
    p = e.params.get("exponent") if name == "power" else fixed.get(name)
    return None if p is None else Fraction(p) if isinstance(p, int | Fraction) else exponent(constant(p))


def exponent(e: Expression) -> Any:
    """An exponent, as a fraction where it is one."""
    value = number(e.constant) if is_number(e) else e
    return Fraction(value) if isinstance(value, (int, Fraction)) else constant(value) if value is not e else e


def _to_the(base: Expression, power: Any, whole: Expression) -> tuple[Any, dict]:
    times, powers = factors(base)
    if isinstance(power, Fraction) and power.denominator == 1 and (times != 0 or power > 0):
        if base.op and base.op.name in ("add", "sub"):
            return 1, {base: power}
        return number(Fraction(times) ** int(power) if isinstance(times, int) else times ** int(power)), _raised(
            powers, power
        )
    if not powers and isinstance(power, Fraction):
        root = _exact_root(times, power)
        return (root, {}) if root is not None else (1, {base: power})
    if E in powers and len(powers) == 1 and times == 1 and isinstance(power, Fraction):
        return 1, _raised(powers, power)
    return 1, {base: power}


def _exact_root(value: Any, power: Fraction) -> Any:
    """A number to a broken power, if that is a whole number or a fraction."""
    if not isinstance(value, (int, Fraction)) or value <= 0:
        return None
    found = Fraction(float(value) ** float(power)).limit_denominator(10**6)
    return number(found) if found**power.denominator == Fraction(value) ** power.numerator else None


def _raised(powers: dict, to: Any) -> dict:
    return {base: _times(p, to) for base, p in powers.items()}


def _joined(left: dict, right: dict) -> dict:
    found = dict(left)
    for base, p in right.items():
        q = _plus(found[base], p) if base in found else p
        found[base] = q
    return {base: p for base, p in found.items() if not (isinstance(p, Fraction) and p == 0)}


def _plus(p: Any, q: Any) -> Any:
    if isinstance(p, Fraction) and isinstance(q, Fraction):
        return p + q
    return exponent(normal(_make("add", _shown(p), _shown(q))))


def _times(p: Any, q: Any) -> Any:
    if isinstance(p, Fraction) and isinstance(q, Fraction):
        return p * q
    return exponent(normal(_make("mul", _shown(p), _shown(q))))


def _shown(p: Any) -> Expression:
    """An exponent as an expression."""
    if isinstance(p, Expression):
        return p
    return constant(int(p)) if p.denominator == 1 else _ratio(p)


def _ratio(p: Fraction) -> Expression:
    exact = p.denominator & (p.denominator - 1) == 0
    return constant(float(p)) if exact else _make("div", constant(p.numerator), constant(p.denominator))


def product(times: Any, powers: dict[Expression, Any]) -> Expression:
    """The product of a number and powers, as a fraction with one bar."""
    if times == 0:
        return ZERO
    above, below = [], []
    for base, p in sorted(powers.items(), key=lambda item: _place(item[0])):
        down = leading(p) < 0 if isinstance(p, Expression) else p < 0
        down &= not (base is E and isinstance(p, Expression))
        (below if down else above).append(raised(base, _times(p, -ONE_) if down else p))
    p, q = (times.numerator, times.denominator) if isinstance(times, Fraction) else (times, 1)
    minus = p == -1 and bool(above)
    if not minus and (p != 1 or not above):
        above.insert(0, constant(p))
    if q != 1:
        below.insert(0, constant(q))
    top = _chain(above)
    result = _make("div", top, _chain(below)) if below else top
    return _make("neg", result) if minus else result


@remembered
def _place(base: Expression) -> tuple:
    kind = 0 if is_number(base) else 1 if base.name and base is not E else 2
    return (kind, _spelled(base))


@remembered
def _spelled(e: Expression) -> str:
    """A text to sort by, no longer than a line: of long expressions the beginning, and a digest."""
    if e.op is None:
        return str(e)
    whole = f"{e.op.name}({','.join(map(_spelled, e.args))}){e.params or ''}"
    return whole if len(whole) < 120 else whole[:80] + hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest()


def _chain(parts: list[Expression]) -> Expression:
    result = parts[0]
    for part in parts[1:]:
        result = _make("mul", result, part)
    return result


def raised(base: Expression, p: Any) -> Expression:
    """A power, by the op that is meant for it."""
    if base is E:
        return _make("exp", _shown(p))
    if isinstance(p, Expression):
        return _make("pow", base, p)
    short = {Fraction(1): None, Fraction(2): "square", Fraction(1, 2): "sqrt"}
    if p in short:
        return base if short[p] is None else _make(short[p], base)
    if p.denominator & (p.denominator - 1):
        return _make("pow", base, _shown(p))
    return applied(REGISTRY["power"], (base,), {"exponent": int(p) if p.denominator == 1 else float(p)})


# --- numbers ---


def is_number(e: Expression) -> bool:
    """Whether an expression is a number."""
    return e.op is None and e.name is None


def number(value: Any) -> Any:
    """A number in the simplest form that is exactly it: whole, a fraction with a small power of two, a float."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value) or (value * 1024) % 1:
            return value
        value = Fraction(value)
    return value.numerator if value.denominator == 1 else value


def leading(e: Expression) -> Any:
    """The number in front of an expression; of a sum, of its first term."""
    if e.op and e.op.name in ("add", "sub"):
        return leading(e.args[0])
    times = factors(e)[0]
    return times if times == times else 1


def negated(e: Expression) -> Expression:
    """An expression with the other sign."""
    return total({core: -times for core, times in terms(e).items()})


# --- all together ---


def normal(e: Expression) -> Expression:
    """Like terms and powers collected, numbers worked out, without any rules."""
    return _rewritten(e, ())


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
    name = e.op.name  # type: ignore[union-attr]
    if name in ARITHMETIC or name in SAME:
        e = _collected(e, rules)
    elif all(is_number(a) for a in e.args):
        e = _worked_out(e)
    for rule in rules:
        if (better := rule.apply(e)) is not None:
            return better
    return e


def _collected(e: Expression, rules: tuple) -> Expression:
    found = terms(e) if e.op and e.op.name in ("add", "sub") else None
    if found is None:
        times, powers = factors(e)
        return product(times, _paired(powers, rules))
    return total(_added(found, rules))


def _worked_out(e: Expression) -> Expression:
    """An op of numbers, as a number if that is exact, or was not to begin with."""
    with np.errstate(all="ignore"):
        value = e.op.call(*(np.float64(a.constant) for a in e.args), **e.params)  # type: ignore[union-attr]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return constant(value)
    inexact = any(isinstance(a.constant, float) and number(a.constant) == a.constant for a in e.args)
    exact = isinstance(value, float) and not isinstance(number(value), float)
    return constant(_plain(number(value))) if exact or inexact else e


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Fraction) else value


def _added(found: dict, rules: tuple) -> dict:
    """Terms after all rules for two of them: sin(x)**2 + cos(x)**2, and the same times anything."""
    for rule in rules:
        if rule.head in ("add", "sub"):
            for (a, s), (b, t) in combinations(found.items(), 2):
                if abs(s) == abs(t) and rule.needs <= _names(a) | _names(b) and (better := _pair(rule, a, s, b, t)) is not None:
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
            return product(number(times * sign * abs(s)), _joined(powers, common))
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
    for rule in rules:
        if rule.head in ("mul", "div"):
            for (a, p), (b, q) in combinations(powers.items(), 2):
                pair = rule.needs <= {base.op.name for base in (a, b) if base.op}
                better = rule.apply(product(1, {a: p, b: q})) if pair else None
                times, more = factors(better) if better is not None else (0, {})
                if times == 1:
                    return _paired(_joined({c: r for c, r in powers.items() if c is not a and c is not b}, more), rules)
    return powers


def expand(e: Expression) -> Expression:
    """The same with products of sums, and whole powers of them, multiplied out."""
    new: dict[Expression, Expression] = {}
    for part in nodes(simplify(e)):
        whole = part if part.op is None else _one(applied(part.op, tuple(new[a] for a in part.args), part.params), RULES)
        new[part] = _multiplied(whole) if whole.op else whole
    return simplify(new[part])


def _multiplied(e: Expression) -> Expression:
    times, powers = factors(e)
    sums = [base for base, p in powers.items() if _opens(base, p)]
    if not sums:
        return e
    result = terms(product(times, {base: p for base, p in powers.items() if base not in sums}))
    for base in sums:
        for _ in range(int(powers[base])):
            pairs = [(scaled(_make("mul", a, b), 1), s * t) for a, s in result.items() for b, t in terms(base).items()]
            result = _summed([(core, number(more * t)) for whole, t in pairs for core, more in terms(normal(whole)).items()])
    return total({core: t for core, t in result.items() if t != 0})


def _opens(base: Expression, p: Any) -> bool:
    whole = isinstance(p, Fraction) and p.denominator == 1 and 0 < p <= 64
    return whole and base.op is not None and base.op.name in ("add", "sub")


def _make(name: str, *args: Expression) -> Expression:
    return applied(REGISTRY[name], args, {})


ZERO, ONE, ONE_ = constant(0), constant(1), Fraction(1)

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
    logical_and(True, x)      -> x
    logical_and(False, x)     -> False
    where(c, a*x, a*y)        -> a * where(c, x, y)
""".strip().splitlines()))
# fmt: on
