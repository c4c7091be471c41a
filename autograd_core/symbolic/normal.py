"""The normal form: sums collect like terms, products collect powers, numbers are worked out.

A sum is read as how often each term is added, a product as a number and the power of each factor; both are written in a
fixed order.  What is equal by these rules alone is then one object.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..op import REGISTRY
from .expression import Expression, applied, constant, named, nodes, remembered

ARITHMETIC = set("add sub neg mul masked div exp pow power square sqrt rsqrt reciprocal".split())
SAME = {"positive", "conj", "real", "clone", "alias", "cast", "compact"}  # of real entries: the entry itself
E = named("e", "base")  # the base of the natural logarithm, as a factor: exp(a) is E to the a
ZERO, ONE, ONE_ = constant(0), constant(1), Fraction(1)


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
            result = make(name, result, scaled(core, -times if times < 0 else times))
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
        return number(s * t), joined_factors(left, right)
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


def joined_factors(left: dict, right: dict) -> dict:
    found = dict(left)
    for base, p in right.items():
        q = _plus(found[base], p) if base in found else p
        found[base] = q
    return {base: p for base, p in found.items() if not (isinstance(p, Fraction) and p == 0)}


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
    if times == -1 and len(powers) == 1 and (only := next(iter(powers))).op and powers[only] is ONE_:
        if only.op.name in ("add", "sub"):
            return negated(only)
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
    new: dict[Expression, Expression] = {}
    for part in nodes(e):
        new[part] = (
            part if part.op is None else collected(applied(part.op, tuple(new[a] for a in part.args), part.params))
        )
    return new[e]


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
