"""Elementwise functions: each is declared by its partial derivatives, or written with those that are."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import precise
from ..op import Rule, elementwise, op, predicate
from ..samples import elementwise_samples, shapes
from .base import conj, imag, masked, real
from .meanings import MEANINGS

__all__ = [
    "abs", "absolute", "acos", "acosh", "add", "addcdiv", "addcmul", "allclose", "angle", "arccos", "arccosh",
    "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp",
    "clamp_max", "clamp_min", "clip", "complex", "conj_physical", "copysign", "cos", "cosh", "deg2rad", "div",
    "divide", "eq", "equal", "exp", "exp2", "expm1", "fix", "float_power", "floor", "floor_divide", "fmax", "fmin",
    "fmod", "frac", "gcd", "ge", "greater", "greater_equal", "gt", "heaviside", "hypot", "is_complex",
    "is_floating_point", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "lcm",
    "ldexp", "le", "lerp", "less", "less_equal", "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "lt", "maximum", "minimum", "mul", "multiply",
    "nan_to_num", "ne", "neg", "negative", "nextafter", "not_equal", "polar", "positive", "pow", "rad2deg",
    "reciprocal", "relu", "remainder", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit", "sin", "sinc", "sinh",
    "sqrt", "square", "sub", "subtract", "tan", "tanh", "true_divide", "trunc", "view_as_complex", "view_as_real",
    "where", "xlogy",
]  # fmt: skip

INPLACE = [
    "add", "addcdiv", "addcmul", "clamp", "clamp_max", "clamp_min", "clip", "conj_physical", "deg2rad", "div",
    "divide", "float_power", "frac", "heaviside", "ldexp", "lerp", "logit", "nan_to_num", "pow", "rad2deg", "round",
    "sinc", "sub", "subtract", "true_divide",
]  # fmt: skip


# --- how the tables below are written --------------------------------------------------------------------------------

flat = np.False_  # the slope of a staircase: as a truth value it selects nothing, whatever the cotangent


def clear_of_cuts(count: int) -> Callable:
    """Complex samples that stay away from 0, ±1, ±i and both axes, where functions have branch points and cuts."""
    part = lambda rng: rng.uniform(0.25, 0.75, (2, 3)) * rng.choice([-1.0, 1.0], (2, 3))
    return lambda rng: ([part(rng) + 1j * part(rng) for _ in range(count)], {})


def untied(rng):
    """Samples of two arrays that broadcast, no entry of one closer than 0.2 to one of the other: extremes have no slope
    where they tie."""
    a, b = (((3, 4), (3, 4)), ((3, 4), (3, 4)), ((5,), (3, 1)), ((), (4,)), ((0, 2), (2,)))[rng.integers(5)]
    return [rng.integers(-5, 5, a) * 0.4, rng.integers(-5, 5, b) * 0.4 + 0.2], {}


def between_steps(*steps: float) -> Callable:
    """Samples x, or x and a step, whose quotient is at least 0.1 away from every half integer."""

    def draw(rng):
        step = rng.choice(steps or (1.0,), (2, 3))
        x = step * (rng.integers(-6, 6, (2, 3)) / 2 + rng.uniform(0.1, 0.4, (2, 3)))
        return ([x, step] if steps else [x]), {}

    return draw


def analytic(forward: Callable, *partials: Any, domain: str = "", **options: Any) -> Callable:
    """Declare a function whose partial derivatives hold for real and for complex numbers."""
    samples = [*elementwise_samples(len(partials), domain), clear_of_cuts(len(partials))]
    return elementwise(forward, *partials, **{"samples": samples, "promotes": "inexact"} | options)


def staircase(name: str, ufunc: np.ufunc) -> Callable:
    """Declare a rounding to whole numbers, which leaves integers as they are."""
    forward = lambda x: np.array(x) if np.asarray(x).dtype.kind in "biu" else ufunc(x)
    return elementwise(forward, flat, inputs=("x",), name=name, samples=between_steps())


def ordered(ufunc: np.ufunc) -> Callable:
    """A comparison of numbers that have an order: complex ones have none, though NumPy makes one up."""

    def compare(a, b):
        if getattr(a, "dtype", _real) in _PLANE or getattr(b, "dtype", _real) in _PLANE:
            raise TypeError("complex numbers have no order; compare .real, .imag or .abs()")
        return ufunc(a, b)

    return compare


_real, _PLANE = dtypes.float64, {dtypes.complex64, dtypes.complex128}


test = functools.partial(predicate, promotes=False)  # of numbers as they are: the result is true or false


# --- selection -------------------------------------------------------------------------------------------------------

_WORDS = {dtypes.float32: np.int32, dtypes.float64: np.int64}


def _where(condition, a, b):
    """np.where looks at every entry in turn; masking the bits of many floats at once is several times faster."""
    dtype = a.dtype if isinstance(a, np.ndarray) else getattr(b, "dtype", None)
    word = _WORDS.get(dtype) if getattr(condition, "size", 0) > 1000 and condition.dtype == np.bool_ else None
    if word is None or any(getattr(v, "dtype", dtype) != dtype for v in (a, b)):
        return np.where(condition, a, b)
    mask = np.negative(condition.view(np.int8)).astype(word)
    a, b = (v if v.__class__ is int and v == 0 else np.asarray(v, dtype).view(word) for v in (a, b))
    if b.__class__ is int:
        return (mask & a).view(dtype)
    return (~mask & b if a.__class__ is int else (mask & (a ^ b)) ^ b).view(dtype)


def _where_jvp(tangents, y, condition, a, b):
    _, s, t = tangents
    return select(condition, 0 if s is None else s, 0 if t is None else t)


select = elementwise(
    _where,
    None,
    lambda g, condition: select(condition, g, 0),
    lambda g, condition: select(condition, 0, g),
    name="where",
    rule=Rule,
    promotes=False,
    jvp=_where_jvp,
    samples=[*shapes("n m:bool, n m, n m | n m:bool, m, () | m:bool, n 1, n 1"), *shapes("n m:bool, n m:complex, m")],
)


def where(condition, a=None, b=None):
    """a where the condition holds, b elsewhere; of a condition alone, the indices where it holds, a tensor per axis."""
    if a is None and b is None:
        from .masks import nonzero

        return nonzero(condition, as_tuple=True)
    if a is None or b is None:
        raise TypeError("where: give both values, where(condition, a, b), or neither, where(condition)")
    if getattr(a, "dtype", None) is not getattr(b, "dtype", a):
        a, b = matched(a, b)
    return select(condition, a, b)


def _where_method(x, condition, other):
    """x where the condition holds, and `other` elsewhere."""
    return where(condition, x, other)


METHODS = {"where": _where_method}  # methods whose arguments come in another order than the function's


def matched(a: Any, b: Any) -> list:
    """Two values of one type; a number that the other's type can hold stays a number."""
    for number, other in ((a, b), (b, a)):
        if hasattr(other, "dtype") and other.dtype.kind in _HOLDERS.get(number.__class__, ""):
            return [a, b]
    return dtypes.promoted([a, b], False)


_HOLDERS = {bool: "biufc", int: "iufc", float: "fc"}  # kinds of types that hold a Python number


# --- arithmetic ------------------------------------------------------------------------------------------------------

# fmt: off
plus         = analytic(np.add, 1, 1, name="add", promotes=True)
minus        = analytic(np.subtract, 1, -1, name="sub", promotes=True)
mul          = analytic(np.multiply, lambda b: b, lambda a: a, name="mul", promotes=True)
over         = analytic(np.true_divide, lambda b: _inverse(b), lambda b, y: -y / b, name="div", domain=",nonzero")
neg          = analytic(np.negative, -1, name="neg", promotes=True)
positive     = analytic(np.positive, 1, promotes=True)
reciprocal   = analytic(lambda x: np.true_divide(1, x), lambda y: -(y * y), name="reciprocal", domain="nonzero")
floor_divide = elementwise(np.floor_divide, flat, flat, samples=between_steps(-2.0, 0.75, 1.5))
remainder    = elementwise(np.remainder, 1, lambda a, b: -floor_divide(a, b), samples=between_steps(-2.0, 0.75, 1.5))
fmod         = elementwise(np.fmod, 1, lambda a, b: -trunc(a / b), samples=between_steps(-2.0, 0.75, 1.5))
gcd          = predicate(np.gcd)
lcm          = predicate(np.lcm)
# fmt: on


def _inverse(b):
    """1 / b, of Python's zero too."""
    if b.__class__ not in (int, float) or b:
        return 1 / b
    return math.copysign(math.inf, b)


def add(x, other, *, alpha=1):
    """x + alpha * other."""
    return plus(x, other if alpha.__class__ is int and alpha == 1 else other * alpha)


def sub(x, other, *, alpha=1):
    """x - alpha * other."""
    return minus(x, other if alpha.__class__ is int and alpha == 1 else other * alpha)


def div(x, other, *, rounding_mode=None):
    """x / other, or the quotient rounded: "floor" rounds down, "trunc" towards zero."""
    if rounding_mode is None:
        return over(x, other)
    if rounding_mode == "floor":
        return floor_divide(x, other)
    if rounding_mode != "trunc":
        raise ValueError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    if dtypes.result_type(x, other).kind in "iu":
        return floor_divide(x - fmod(x, other), other)
    return trunc(over(x, other))


OPERATORS = {"add": plus, "sub": minus, "div": over}  # what + - / call, without a look at the options


def addcmul(x, tensor1, tensor2, *, value=1):
    """x + value * tensor1 * tensor2."""
    return add(x, tensor1 * tensor2, alpha=value)


def addcdiv(x, tensor1, tensor2, *, value=1):
    """x + value * tensor1 / tensor2."""
    return add(x, tensor1 / tensor2, alpha=value)


def lerp(x, end, weight):
    """The point on the way from x to `end`: x at weight 0, `end` at weight 1."""
    if isinstance(weight, float) and weight >= 0.5:
        return end - (end - x) * (1 - weight)
    return x + weight * (end - x)


# --- powers ----------------------------------------------------------------------------------------------------------


def _power(x, *, exponent):
    """Small whole powers by multiplying, which is much faster than NumPy's general way."""
    if exponent not in range(3, 9):
        return np.power(x, exponent)
    y = x
    for bit in bin(int(exponent))[3:]:
        y = y * y * x if bit == "1" else y * y
    return y


def _square(x):
    return np.square(x if getattr(x, "dtype", None) != np.bool_ else x.astype(np.int64))


def _slope_in_exponent(a, b, y):
    """Of a ** b by b: 0 where a is 0, unless the power is infinite there."""
    return where(logical_and(a == 0, real(b) >= 0), 0, y * log(a))


# fmt: off
square = analytic(_square, lambda x: 2 * x, name="square", promotes=True)
sqrt   = analytic(np.sqrt, lambda y: 0.5 / y, domain="positive")
rsqrt  = analytic(lambda x: 1 / np.sqrt(x), lambda y: -0.5 * y * y * y, name="rsqrt", domain="positive")
power  = elementwise(_power, lambda x, exponent: exponent * pow(x, exponent - 1) if exponent else flat, name="power",
                     samples=[*shapes("n m:positive | ():positive", exponent=[0, 1.0, 3, 4.0, 7, -1.5, 2.5]),
                              *shapes("n m:nonzero", exponent=[3, 4.0, -3])])
pow_of = analytic(np.power, lambda a, b: where(b == 0, 0, b * pow(a, b - 1)), _slope_in_exponent, name="pow",
                  domain="positive,", promotes=True)
hypot  = elementwise(np.hypot, lambda a, y: where(y == 0, 0, a / y), lambda b, y: where(y == 0, 0, b / y),
                     domain="nonzero,nonzero", promotes="inexact")
# fmt: on

_POWERS = {1: positive, 2: square, 0.5: sqrt, -1: reciprocal, -0.5: rsqrt}


def pow(x, exponent):
    """x to a power."""
    if exponent.__class__ in (int, float) and hasattr(x, "dtype") and x.dtype.kind in "fc":
        short = _POWERS.get(exponent)
        return power(x, exponent=exponent) if short is None else short(x)
    if x.__class__ in (int, float) and hasattr(exponent, "dtype") and exponent.dtype.kind == "f":
        x = np.asarray(x, exponent.dtype)
    return pow_of(x, exponent)


def float_power(x, exponent):
    """x to a power, in float64 or complex128."""
    wide = dtypes.complex128 if dtypes.result_type(x, exponent).kind == "c" else dtypes.float64
    return pow(*(v.astype(wide) if hasattr(v, "dtype") else v for v in (x, exponent)))


def ldexp(x, other):
    """x * 2 ** other."""
    x, other = dtypes.promoted([x, other], True)
    return x * exp2(other)


# --- exponentials, logarithms, circular and hyperbolic functions -----------------------------------------------------


def _xlogy(a, b):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.equal(a, 0) & ~np.isnan(b), 0, a * np.log(b))


def _part(a, y):
    """The logarithm of a summand's part of a sum, given the logarithms of both; nothing is no part of nothing."""
    return a - where(y == -math.inf, 0, y)


def _log_odds(x):
    """By a formula that keeps all digits next to 1/2, where it is 0."""
    return 2 * np.arcsinh((x - 0.5) / np.sqrt(x * (1 - x) + 0.0))  # -0.0 + 0.0 is 0.0


def _sinc(x, *, order):
    """A derivative of sin(πx)/(πx): by its recurrence away from 0, by its power series near 0."""
    u = np.multiply(x, math.pi)
    near = np.abs(u) < (2 if order else 1)
    v, s = np.where(near, 2, u), np.where(near, u, 0)
    whole = np.rint(np.real(x))  # half turns, which are taken off before π is multiplied with: so zeros are kept
    r, sign = np.multiply(x - whole, math.pi), 1 - 2 * np.mod(whole, 2)
    y, series = sign * np.sin(r) / v, 0
    for k in range(1, order + 1):
        y = (sign * (1 - (k & 2)) * (np.cos if k & 1 else np.sin)(r) - k * y) / v
    for n in reversed(range((order + 1) // 2, (order + 1) // 2 + 14)):
        series = series * (s * s) + (-1) ** n / ((2 * n + 1) * math.factorial(2 * n - order))
    return np.where(near, series * (s if order % 2 else 1), y) * math.pi**order


# fmt: off
exp        = analytic(precise.exp, lambda y: y, inputs=("x",))
exp2       = analytic(precise.exp2, lambda y: y * math.log(2), inputs=("x",))
expm1      = analytic(precise.expm1, lambda y: y + 1, inputs=("x",))
log        = analytic(precise.log, lambda x: 1 / x, domain="positive", inputs=("x",))
log2       = analytic(precise.log2, lambda x: 1 / (x * math.log(2)), domain="positive", inputs=("x",))
log10      = analytic(precise.log10, lambda x: 1 / (x * math.log(10)), domain="positive", inputs=("x",))
log1p      = analytic(precise.log1p, lambda x: 1 / (x + 1), domain="positive", inputs=("x",))
sin        = analytic(precise.sin, lambda x: cos(x), inputs=("x",))
cos        = analytic(precise.cos, lambda x: -sin(x), inputs=("x",))
tan        = analytic(np.tan, lambda y: 1 + y * y, domain="unit")
asin       = analytic(np.arcsin, lambda x: rsqrt((1 - x) * (1 + x)), name="asin", domain="probability")
acos       = analytic(np.arccos, lambda x: -rsqrt((1 - x) * (1 + x)), name="acos", domain="probability")
atan       = analytic(np.arctan, lambda x: 1 / (1 + x * x), name="atan")
sinh       = analytic(precise.sinh, lambda x: cosh(x), inputs=("x",))
cosh       = analytic(precise.cosh, lambda x: sinh(x), inputs=("x",))
tanh       = analytic(np.tanh, lambda y: 1 - y * y)
asinh      = analytic(np.arcsinh, lambda x: rsqrt(1 + x * x), name="asinh")
acosh      = analytic(np.arccosh, lambda x: _acosh_slope(x), name="acosh", domain="above1")
atanh      = analytic(np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), name="atanh", domain="probability")
sigmoid    = analytic(precise.sigmoid, lambda y: y * (1 - y), inputs=("x",))
log_odds   = analytic(_log_odds, lambda x: 1 / (x * (1 - x)), name="logit", inputs=("x",),
                      domain="probability")
sinc_slope = elementwise(_sinc, lambda x, order: sinc_slope(x, order=order + 1), name="sinc", promotes="inexact",
                         samples=[*shapes("n m", order=[0, 1, 2]), lambda rng: ([np.linspace(-1, 1, 9)], {"order": 1})])
atan2      = elementwise(np.arctan2, lambda a, b: _turn(b, a), lambda a, b: -_turn(a, b), name="atan2",
                         domain="nonzero,nonzero", promotes="inexact")
logaddexp  = elementwise(np.logaddexp, lambda a, y: exp(_part(a, y)), lambda b, y: exp(_part(b, y)), promotes="inexact")
logaddexp2 = elementwise(np.logaddexp2, lambda a, y: exp2(_part(a, y)), lambda b, y: exp2(_part(b, y)),
                         promotes="inexact")
xlogy      = elementwise(_xlogy, lambda a, b: where(logical_and(a == 0, b <= 0), 0, log(b)),
                         lambda a, b: where(logical_and(a == 0, b == 0), 0, a / b), name="xlogy",
                         domain=",positive", promotes="inexact")
# fmt: on


def _acosh_slope(x):
    """One root for real numbers; of complex ones the root of a product is not always the product of the roots."""
    return rsqrt(x - 1) * rsqrt(x + 1) if x.dtype.kind == "c" else rsqrt((x - 1) * (x + 1))


def _turn(p, q):
    """How fast the direction of a vector turns when q changes; 0 for the vector 0."""
    square_length = p * p + q * q
    return where(square_length == 0, 0, p / square_length)


def sinc(x):
    """sin(πx) / (πx), and 1 at 0."""
    return sinc_slope(x, order=0)


def logit(x, eps=None):
    """log(x / (1 - x)), of x clamped to [eps, 1 - eps] if eps is given."""
    return log_odds(x if eps is None else clamp(x, eps, 1 - eps))


def deg2rad(x):
    """Degrees to radians."""
    return x * (math.pi / 180)


def rad2deg(x):
    """Radians to degrees."""
    return x * (180 / math.pi)


# --- signs, sizes, rounding ------------------------------------------------------------------------------------------


def _real_jvp(slope: Callable) -> Callable:
    """The tangent of a real function of complex numbers whose gradient is `slope`."""
    return lambda tangents, y, x: real(masked(tangents[0], conj(slope(x))))


def _angle(x):
    return np.arctan2(x.imag, x.real) if np.iscomplexobj(x) else np.arctan2(0, np.add(x, 0.0))  # -0.0 + 0.0 is 0.0


def _angle_slope(x):
    return where(x == 0, 0, 1j / conj(x)) if x.dtype.kind == "c" else flat


def _heaviside(x, values):
    return np.where(np.equal(x, 0), values, np.greater(x, 0)).astype(np.result_type(x, values), copy=False)


def _sgn(x):
    return np.array(x) if np.asarray(x).dtype == np.bool_ else np.sign(x)


def _sgn_rule(g, x, y):
    """On the real line nothing; in the plane, what of g is perpendicular to x, over the size of x."""
    if x.dtype.kind != "c":
        return masked(g, flat)
    size = abs(x)
    return where(size == 0, 0, (g - y * real(conj(y) * g)) / size)


def _nan_to_num(x, *, nan, posinf, neginf):
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def _holed(rng):
    """Numbers, and some that are none."""
    return [np.where(rng.random((2, 3)) < 0.5, math.nan, 1.5)], {"nan": 0.0, "posinf": None, "neginf": None}


_BOTH = [*elementwise_samples(1, "nonzero"), clear_of_cuts(1)]

# fmt: off
abs       = elementwise(np.absolute, lambda x: sgn(x), name="abs", promotes=False,
                        jvp=_real_jvp(lambda x: sgn(x)), samples=_BOTH)
angle     = elementwise(_angle, _angle_slope, name="angle", promotes="inexact",
                        jvp=_real_jvp(_angle_slope), samples=_BOTH)
sgn       = elementwise(_sgn, _sgn_rule, name="sgn", rule=Rule,
                        jvp=lambda t, y, x: _sgn_rule(t[0], x, y), samples=_BOTH)
floor     = staircase("floor", np.floor)
ceil      = staircase("ceil", np.ceil)
trunc     = staircase("trunc", np.trunc)
rint      = staircase("round", np.rint)
copysign  = elementwise(np.copysign, lambda a, y: sgn(a) * sgn(y), flat, domain="nonzero,nonzero", promotes="inexact")
nextafter = elementwise(np.nextafter, 1, flat)
step      = elementwise(_heaviside, flat, lambda x: x == 0, name="heaviside", inputs=("x", "values"),
                        samples=shapes("n m:nonzero, m | n m:integers(-1;2), n m | 3 4:integers(-1;2), 3 4"))
finite    = elementwise(_nan_to_num, lambda x: isfinite(x), name="nan_to_num",
                        samples=[*shapes("n m | n:complex", nan=[0.0], posinf=[None], neginf=[None]), _holed])
# fmt: on


def heaviside(x, values):
    """0 where x is negative, 1 where it is positive, and `values` where it is 0."""
    return step(x, values)


def round(x, decimals=0):
    """The nearest whole numbers, ties to the even one; or to that many decimals, which may be negative."""
    if decimals == 0:
        return rint(x)
    scale = 10.0 ** max(decimals, -decimals)
    return rint(x * scale) / scale if decimals > 0 else rint(x / scale) * scale


def frac(x):
    """What is left of x without its whole part, with the sign of x."""
    return x - trunc(x)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with NaN and infinities replaced; the infinities, by default, by the largest numbers there are."""
    return finite(x, nan=nan or 0.0, posinf=posinf, neginf=neginf)


# --- the larger and the smaller --------------------------------------------------------------------------------------


def _share(g, a, b, loses):
    """What a gets of the cotangent of an extreme of a and b: all if it wins, half of a tie."""
    return where(a == b, g * 0.5, where(loses, 0, g))


def _wins(first, b):
    """Whether fmax and fmin take their first argument: it comes first, or the other is NaN."""
    return logical_or(first, isnan(b))


def _relu(x):
    if getattr(x, "dtype", _real) in _PLANE:
        raise TypeError("complex numbers have no order; relu takes real ones")
    return np.maximum(x, 0)


def _clamp(x, *, low, high):
    return np.minimum(np.maximum(x, low), high)


# fmt: off
maximum   = elementwise(ordered(np.maximum), lambda g, a, b: _share(g, a, b, a < b),
                        lambda g, a, b: _share(g, a, b, a > b), name="maximum", inputs=("a", "b"), rule=Rule,
                        samples=untied)
minimum   = elementwise(ordered(np.minimum), lambda g, a, b: _share(g, a, b, a > b),
                        lambda g, a, b: _share(g, a, b, a < b), name="minimum", inputs=("a", "b"), rule=Rule,
                        samples=untied)
fmax      = elementwise(np.fmax, lambda a, b: _wins(a >= b, b), lambda a, b: logical_not(_wins(a >= b, b)),
                        samples=untied)
fmin      = elementwise(np.fmin, lambda a, b: _wins(a <= b, b), lambda a, b: logical_not(_wins(a <= b, b)),
                        samples=untied)
at_least  = elementwise(ordered(np.maximum), lambda x, min: x >= min, lambda x, min: x < min, name="clamp_min",
                        inputs=("x", "min"), samples=untied)
at_most   = elementwise(ordered(np.minimum), lambda x, max: x <= max, lambda x, max: x > max, name="clamp_max",
                        inputs=("x", "max"), samples=untied)
clamped   = elementwise(_clamp, lambda x, low, high: logical_and(x >= low, x <= high), name="clamp",
                        samples=lambda rng: ([rng.integers(-5, 5, (2, 3)) * 0.4 + 0.13], {"low": -1.0, "high": 0.5}))
relu      = elementwise(_relu, lambda y: logical_not(y <= 0), name="relu", domain="nonzero")
# fmt: on


def clamp_min(x, min):
    """x, but at least `min`."""
    return at_least(x, min)


def clamp_max(x, max):
    """x, but at most `max`."""
    return at_most(x, max)


def clamp(x, min=None, max=None):
    """x, but at least `min` and at most `max`; these are numbers or tensors."""
    if not hasattr(x, "dtype"):
        raise TypeError(f"clamp: expected a tensor or an array, got {type(x).__name__} {x!r:.40}")
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    if min is None or max is None:
        return clamp_max(x, max) if min is None else clamp_min(x, min)
    if hasattr(min, "dtype") or hasattr(max, "dtype"):
        return clamp_max(clamp_min(x, min), max)
    x = x if x.dtype.kind == "f" else x.astype(dtypes.result_type(x, min, max))
    if x.dtype.kind == "c":
        raise TypeError(f"clamp: complex numbers have no order, x has type {x.dtype}")
    return clamped(x, low=min, high=max)


# --- complex numbers -------------------------------------------------------------------------------------------------


def _complex(real, imag):
    y = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), np.result_type(real, imag, np.complex64))
    y.real, y.imag = real, imag
    return y


def _complex_jvp(tangents, y, real, imag):
    return from_parts(*(0.0 * x if t is None else t for t, x in zip(tangents, (real, imag))))


from_parts = elementwise(
    _complex,
    lambda g: real(g),
    lambda g: imag(g),
    name="complex",
    rule=Rule,
    promotes=False,
    jvp=_complex_jvp,
    samples="n m, m | (), n",
)


def complex(real, imag):
    """Complex numbers of given real and imaginary parts."""
    return from_parts(real, imag)


def polar(abs, angle):
    """Complex numbers of given absolute values and angles."""
    return complex(abs * cos(angle), abs * sin(angle))


def conj_physical(x):
    """The complex conjugate."""
    return conj(x)


@op(lambda g: view_as_complex(g), linear=True, view=True, trailing=True, samples="n m:complex | n:complex")
def view_as_real(x):
    """Complex numbers as pairs along a last axis of length 2, in the same memory."""
    if not np.iscomplexobj(x):
        raise TypeError(f"view_as_real: expected a complex tensor, got {x.dtype}")
    return x[..., None].view(x.real.dtype)


@op(lambda g: view_as_real(g), linear=True, view=True, trailing=True, samples="n m 2 | 2")
def view_as_complex(x):
    """Pairs along the last axis as complex numbers, in the same memory where the pairs lie together."""
    if x.dtype.kind != "f" or x.dtype.itemsize not in (4, 8) or x.shape[-1:] != (2,):
        raise ValueError(f"view_as_complex: needs pairs of floats along the last axis, got {x.shape} {x.dtype}")
    x = x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)
    return x.view(np.result_type(x.dtype, np.complex64))[..., 0]


# --- comparison and logic --------------------------------------------------------------------------------------------


def _isclose(x, other, *, rtol, atol, equal_nan):
    return np.isclose(x, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


# fmt: off
eq          = test(np.equal, name="eq")
ne          = test(np.not_equal, name="ne")
lt          = test(ordered(np.less), name="lt", inputs=("a", "b"))
le          = test(ordered(np.less_equal), name="le", inputs=("a", "b"))
gt          = test(ordered(np.greater), name="gt", inputs=("a", "b"))
ge          = test(ordered(np.greater_equal), name="ge", inputs=("a", "b"))
logical_and = test(np.logical_and)
logical_or  = test(np.logical_or)
logical_xor = test(np.logical_xor)
logical_not = test(np.logical_not)
isfinite    = test(np.isfinite)
isinf       = test(np.isinf)
isnan       = test(np.isnan)
isposinf    = test(lambda x: np.equal(x, np.inf), name="isposinf")
isneginf    = test(lambda x: np.equal(x, -np.inf), name="isneginf")
isreal      = test(lambda x: np.equal(np.imag(x), 0), name="isreal")
signbit     = test(lambda x: np.signbit(x) if np.asarray(x).dtype.kind == "f" else np.less(x, 0), name="signbit")
near        = test(_isclose, name="isclose")
bitwise_and = predicate(np.bitwise_and)
bitwise_or  = predicate(np.bitwise_or)
bitwise_xor = predicate(np.bitwise_xor)
bitwise_not = predicate(np.bitwise_not, name="bitwise_not")
bitwise_left_shift  = predicate(np.left_shift, name="bitwise_left_shift")
bitwise_right_shift = predicate(np.right_shift, name="bitwise_right_shift")
# fmt: on


def isclose(x, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where |x - other| <= atol + rtol * |other|."""
    return near(x, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(x, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all entries are close; a Python bool."""
    return bool(isclose(x, other, rtol, atol, equal_nan).all())


def equal(x, other):
    """Whether two tensors have the same shape and the same entries; a Python bool."""
    return tuple(x.shape) == tuple(other.shape) and bool(eq(x, other).all())


@op(samples=[], name="isin")
def member(elements, test_elements, *, assume_unique, invert):
    """Which of the elements are among the test elements."""
    return np.isin(elements, test_elements, assume_unique=assume_unique, invert=invert)


def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Which of the elements are among the test elements; with `invert`, which are not."""
    return member(elements, test_elements, assume_unique=assume_unique, invert=invert)


def is_complex(x):
    """Whether the type of the entries is complex."""
    return x.dtype.kind == "c"


def is_floating_point(x):
    """Whether the entries are floats."""
    return x.dtype.kind == "f"


# fmt: off
absolute, sign, negative, multiply, fix = abs, sgn, neg, mul, trunc
subtract, divide, true_divide, clip     = sub, div, div, clamp
arcsin, arccos, arctan, arctan2         = asin, acos, atan, atan2
arcsinh, arccosh, arctanh               = asinh, acosh, atanh
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
# fmt: on


for _name, _meaning in MEANINGS.items():
    globals()[_name].__doc__ = _meaning
