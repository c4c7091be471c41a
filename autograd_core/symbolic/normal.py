"""The normal form: sums collect like terms, products collect powers, numbers are worked out.

A sum is read as how often each term is added, a product as a number and the power of each factor; both are written in a
fixed order.  What is equal by these rules alone is then one object.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..op import REGISTRY
from .expression import Expression, applied, constant, named, nodes, remembered

ARITHMETIC = set("add sub neg mul masked div exp pow power square sqrt rsqrt reciprocal".split())
SUM, PRODUCT = {"add", "sub"}, {"mul", "masked", "div"}
SAME = {"positive", "conj", "real", "clone", "alias", "cast", "compact"}  # of real entries: the entry itself
E = named("e", "base")  # the base of the natural logarithm, as a factor: exp(a) is E to the a
ZERO, ONE, ONE_ = constant(0), constant(1), Fraction(1)


# --- sums: {what is added: how often} ---


@remembered
def terms(e: Expression) -> dict[Expression, Any]:
    """An expression as a sum: how often each term is added; numbers stand under 1."""
    name = e.op.name if e.op else ""
    if name in SUM:
        found: dict[Expression, Any] = {}
        for part, by in _chained(e, SUM):
            for core, times in terms(part).items():
                found[core] = number(found.get(core, 0) + (-times if by == "sub" else times))
        return {core: times for core, times in found.items() if times != 0}
    times, powers = factors(e)
    if len(powers) == 1 and next(iter(powers.values())) is ONE_:
        (only,) = powers
        if only.op and only.op.name in ("add", "sub"):
            return {core: number(times * t) for core, t in terms(only).items()}
    return {product(1, powers): times} if times != 0 else {}


def _chained(e: Expression, names: set[str], ends: Callable = lambda e: False) -> list[tuple[Expression, str]]:
    """A chain of ops, ((a + b) - c) + d, as what it is made of with the op of each."""
    parts = []
    while e.op and e.op.name in names and not ends(e):
        parts.append((e.args[1], e.op.name))
        e = e.args[0]
    return [(e, ""), *parts[::-1]]


def inside(root: Expression) -> set[Expression]:
    """Sums in sums, and products in products, that occur in nothing else: they are in order when the whole is."""
    users: dict[Expression, list[Expression]] = {}
    for e in nodes(root):
        for a in e.args:
            users.setdefault(a, []).append(e)
    alike = lambda a, e: any(a.op.name in ops and e.op.name in ops for ops in (SUM, PRODUCT))
    return {a for a, by in users.items() if a.op and len(by) == 1 and alike(a, by[0])}


def total(found: dict[Expression, Any]) -> Expression:
    """The sum of terms: highest powers first, numbers last, and no minus in front where that can be."""
    cores = ordered(found)
    front = next((core for core in cores if found[core] > 0 or found[core] != found[core]), None)
    if front is not None and found[cores[0]] < 0:
        cores = [front, *(core for core in cores if core is not front)]
    result = None
    for core in cores:
        times = found[core]
        if result is None:
            result = scaled(core, times)
        else:
            less = times < 0 and _turned(factors(core)[1]) is None
            result = make("sub" if less else "add", result, scaled(core, -times if less else times))
    return ZERO if result is None else result


def ordered(found: dict[Expression, Any]) -> list[Expression]:
    """The terms of a sum as they are written: highest powers first, numbers last."""
    return sorted(found, key=lambda core: (core is ONE, -degree(core), _spelled(core)))


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
    if name in PRODUCT and not _by_zero(e):
        times, powers = 1, {}
        for part, by in _chained(e, PRODUCT, _by_zero):
            t, more = factors(part)
            if by == "div":
                t, more = number(Fraction(1, t) if isinstance(t, (int, Fraction)) else 1 / t), _raised(more, -ONE_)
            times = number(times * t)
            _join(powers, more)
        return times, _present(powers)
    if name == "exp":
        return 1, {E: exponent(args[0])}
    if (power := _power_of(e)) is not None:
        return _to_the(args[0], power)
    if name in SUM and (found := terms(e)) and found[ordered(found)[0]] < 0:  # b - a is -1 times a - b
        return -1, {negated(e): ONE_}
    return 1, {e: ONE_}


def _by_zero(e: Expression) -> bool:
    """Whether it is a quotient that has no value."""
    return e.op.name == "div" and factors(e.args[1])[0] == 0  # type: ignore[union-attr]


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


def _to_the(base: Expression, power: Any) -> tuple[Any, dict]:
    times, powers = factors(base)
    if isinstance(power, Fraction) and power.denominator == 1 and (times != 0 or power > 0):
        times = number(Fraction(times) ** int(power) if isinstance(times, int) else times ** int(power))
        return times, _present(_raised(powers, power))
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


def joined_factors(left: dict, right: dict) -> dict:
    found = dict(left)
    _join(found, right)
    return _present(found)


def _join(found: dict, more: dict) -> None:
    for base, p in more.items():
        found[base] = _plus(found[base], p) if base in found else p


def _present(powers: dict) -> dict:
    return {base: p for base, p in powers.items() if not (isinstance(p, Fraction) and p == 0)}


def _plus(p: Any, q: Any) -> Any:
    if isinstance(p, Fraction) and isinstance(q, Fraction):
        return p + q
    return exponent(normal(make("add", _shown(p), _shown(q))))


def _times(p: Any, q: Any) -> Any:
    if isinstance(p, Fraction) and isinstance(q, Fraction):
        return p * q
    return exponent(normal(make("mul", _shown(p), _shown(q))))


def _shown(p: Any) -> Expression:
    """An exponent as an expression."""
    if isinstance(p, Expression):
        return p
    return constant(int(p)) if p.denominator == 1 else _ratio(p)


def _ratio(p: Fraction) -> Expression:
    exact = p.denominator & (p.denominator - 1) == 0
    return constant(float(p)) if exact else make("div", constant(p.numerator), constant(p.denominator))


def product(times: Any, powers: dict[Expression, Any]) -> Expression:
    """The product of a number and powers, as a fraction with one bar."""
    if times == 0:
        return ZERO
    if times == -1 and len(powers) == 1 and _odd_sum(only := next(iter(powers)), powers[only]) and powers[only] == 1:
        return negated(only)
    if times < 0 and (turned := _turned(powers)) is not None:
        others = {base: p for base, p in powers.items() if base is not turned}
        times, powers = -times, joined_factors(others, {negated(turned): powers[turned]})
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
    result = make("div", top, _chain(below)) if below else top
    return make("neg", result) if minus else result


def _turned(powers: dict) -> Expression | None:
    """A factor that takes on a minus: a sum with a term that is taken away, to an odd power."""
    return next((base for base, p in powers.items() if _odd_sum(base, p) and min(terms(base).values()) < 0), None)


def _odd_sum(base: Expression, p: Any) -> bool:
    return base.op is not None and base.op.name in SUM and isinstance(p, Fraction) and p % 2 == 1


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
        result = make("mul", result, part)
    return result


def raised(base: Expression, p: Any) -> Expression:
    """A power, by the op that is meant for it."""
    if base is E:
        return make("exp", _shown(p))
    if isinstance(p, Expression):
        return make("pow", base, p)
    short = {Fraction(1): None, Fraction(2): "square", Fraction(1, 2): "sqrt"}
    if p in short:
        return base if short[p] is None else make(short[p], base)
    if p.denominator & (p.denominator - 1):
        return make("pow", base, _shown(p))
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
    """The normal form of an expression."""
    return rewritten(e, collected)


def rewritten(root: Expression, one: Callable[[Expression], Expression]) -> Expression:
    """An expression after `one` was done to each of its ops, whose arguments have it behind them; to chains, once."""
    new: dict[Expression, Expression] = {}
    within = inside(root)
    for e in nodes(root):
        whole = e if e.op is None else applied(e.op, tuple(new[a] for a in e.args), e.params)
        new[e] = whole if e.op is None or e in within else one(whole)
    return new[root]


def collected(e: Expression, added: Any = dict, joined: Any = dict) -> Expression:
    """One op of arguments in normal form, in normal form; `added` and `joined` may do more to terms and to factors."""
    name = e.op.name  # type: ignore[union-attr]
    if name in ("add", "sub"):
        return total(added(terms(e)))
    if name in ARITHMETIC or name in SAME:
        times, powers = factors(e)
        return product(times, joined(powers))
    return worked_out(e) if all(is_number(a) for a in e.args) else e


def worked_out(e: Expression) -> Expression:
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


def make(name: str, *args: Expression) -> Expression:
    return applied(REGISTRY[name], args, {})
