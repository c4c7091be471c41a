"""Elementary functions of one number, for kernels to take into their loops: no branches, so that they become vectors.

Each is written once for float32 and float64 and computed in the type of its argument.  NaN, infinities, zeros of either
sign and subnormal numbers give what they should; the errors are measured (`python -m benchmarks.accuracy`) and stand in
docs/accuracy.md.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, inline
from ._scalars import Polynomial, fma, like, nearest, pick, raised, signed, single, two_to  # noqa: F401 - for other kernels
from .vector_exp import (  # noqa: F401
    EXP,
    between,
    exp,
    exp2,
    exp2_middle,
    exp_down,
    exp_less_one,
    exp_product,
    exp_times,
    expm1,
    expm1_down,
    log,
    log1p,
    log1p_unit,
    log2,
    log10,
    pow,
    reduced,
    rsqrt,
    two_sum,
)
from .vector_trig import cos, sin  # noqa: F401

normal_above, normal_slope = (Late("_normal", n) for n in ("above", "slope"))

# erf(x) / x - 1 in powers of x**2, for |x| up to 1
ERF = Polynomial(
    "ERF",
    (7.8891106e-05, -0.0008020839, 0.005189535, -0.026854444, 0.112836, -0.37612626, 0.1283791671),
    (-7.801188874097751e-10, 1.3722976265924504e-08, -1.6209175911748696e-07, 1.6447517677871873e-06,
     -1.4924744663335489e-05, 0.00012055295320494294, -0.0008548325989696758, 0.005223977607423468,
     -0.02686617064327622, 0.11283791670945253, -0.3761263890318355, 0.12837916709551257),
)  # fmt: skip

# (t + 5) exp(t**2 / 2) times the probability that a normal number is above t, in powers of u with t = 5 (1 + u) / (1 - u),
# up to 38.7, less the value at u = 0, and over u
TAIL = Polynomial(
    "TAIL",
    (0.0,),
    (-2.9646675785951264e-10, 1.4486023008981952e-09, 7.935775674443539e-09, -8.34193754991671e-09,
     -6.602444687498478e-08, 4.0937154333500476e-08, 4.3291327115374446e-07, -3.3557489768871334e-07,
     -2.7689771179262695e-06, 3.9803999034088435e-06, 1.6681052647316033e-05, -4.976265873915519e-05,
     -5.9375677947737553e-05, 0.0005448990339914889, -0.0007978694074892429, -0.0029933767667626745,
     0.02079506680078892, -0.06911863870656694, 0.16502036617033972, -0.3135331566712963, 0.49530561596997724,
     -0.6653825028900567),
)  # fmt: skip

# exp(t**2 / 2) / p times that probability, less 1, in powers of p - 0.1648479, p being 0.58271813 / (t + 2), for t up to
# 13.2; and (exp(-r / 2) - 1) / r for r up to log(2), both moved by some units to where the errors of float32 are least
MILLS = Polynomial(
    "MILLS",
    (176769.422, -21071.9824, -15386.1719, 4947.82227, -75.9165573, -419.501801, 130.647263, 12.972559, -19.9249973,
     1.16426516, 3.97079134, 0.229460463),
    (0.0,),
)  # fmt: skip
EXP_HALF = Polynomial(
    "EXP_HALF",
    (2.15848759e-05, -0.000261525944, 0.00260427408, -0.0208331458, 0.124999963, -0.5),
    (0.0,),
)  # fmt: skip

# -log(erfc(t)) for t from 0.95 to 4 and to 6: good enough for 1 - erfc(t)
LOG_ERFC = Polynomial(
    "LOG_ERFC",
    (2.1495784e-05, -0.00043910262, 0.0041935933, -0.025178922, 0.108372405, 0.6332627, 1.1295568, -0.00018343786),
    (-2.1849170995924246e-11, 7.995513521675339e-10, -1.3334460761110509e-08, 1.3273716421361768e-07,
     -8.573229386021453e-07, 3.525988002514737e-06, -6.8392094593871764e-06, -1.862114128040913e-05,
     0.00020952146380437588, -0.0008828987198728895, 0.0020483853422487773, -0.000531444514021772,
     -0.01890674442461682, 0.10266131064567043, 0.6366582861976597, 1.1283709512752127, 8.141724343704863e-07),
)  # fmt: skip

# (exp(2 r) - 1 - 2 r) / (2 r**2) for |r| up to log(2) / 4, of float32
EXP_TWICE = Polynomial(
    "EXP_TWICE",
    (0.0442173376, 0.133872144, 0.33334528, 0.6666616, 0.99999988),
    (0.0,),
)  # fmt: skip

# (sinh(x) / x - 1) / x**2 for |x| up to 1, in powers of x**2
SINH = Polynomial(
    "SINH",
    (2.8174345e-06, 0.00019836068, 0.0083333505, 0.16666667),
    (2.8483959972315844e-15, 7.646476460185974e-13, 1.6059050704118977e-10, 2.50521083456577e-08,
     2.7557319224120156e-06, 0.00019841269841269592, 0.008333333333333333, 0.16666666666666666),
)  # fmt: skip


@inline
def quotient(a, a_low, d, d_low):
    """(a + a_low) / (d + d_low), d being from 1 to 2; for what is left after a division, 1 / d need not be known well."""
    q = a / d
    return q + (((a - q * d) + a_low) - q * d_low) * (like(d, 1.46) - d * like(d, 0.486))


# --- hyperbolic functions --------------------------------------------------------------------------------------------


@inline
def tanh(x):
    size = abs(x)
    if single(x):  # what exp(2 t) is less than 1 and more than -1, halved: each is rounded once, and neither is large
        t = like(x, -10) if -size < like(x, -10) else -size
        shifted = t * like(x, 2.885390081777927) + like(x, 12582912.0)
        n, half = shifted - like(x, 12582912.0), like(x, 0.5)
        r = (t - n * like(x, 0.346572876)) - n * like(x, 7.14303385e-07)
        s, scale = r * r * EXP_TWICE(r) + r, raised(like(x, 1), shifted)
        return signed(((half - half * scale) - s * scale) / (s * scale + (half * scale + half)), x)
    t, lowest = like(x, -2) * size, like(x, -38.0)
    shifted, r, low = reduced(lowest if t < lowest else t)
    scale = raised(like(x, 1), shifted)
    part = exp_less_one(r, low) * scale
    m = part + (scale - like(x, 1))  # exp(t) - 1
    m_low = part - (m - (scale - like(x, 1)))
    d = like(x, 2) + m
    return signed(quotient(-m, -m_low, d, (m - (d - like(x, 2))) + m_low), x)


@inline
def sinh(x):
    size = abs(x)
    h = exp_product(size, like(x, 0), like(x, 0.5))
    far = h - like(x, 0.25) / h
    return signed(size + size * (x * x) * SINH(x * x) if size < like(x, 1) else far, x)


@inline
def cosh(x):
    h = exp_product(abs(x), like(x, 0), like(x, 0.5))
    return h + like(x, 0.25) / h


# --- soft steps ------------------------------------------------------------------------------------------------------


@inline
def positive_part(x):
    """x where it is positive, 0 elsewhere, and NaN."""
    return like(x, 0) if x <= like(x, 0) else x


@inline
def one_and_exp(x, more):
    """(1 + exp(x + more)) * down and down, a power of 2 that keeps that in range; x is neither huge nor far below 0.

    What the sum of the two large parts loses is added to the small one, so that it is rounded once.
    """
    shift, down = pick(x, 12582912.0 - 32.0, 6755399441055744.0 - 100.0), pick(x, 2.0**-32, 2.0**-100)
    n = (x * like(x, 1.4426950408889634) + shift) - shift
    r = x - n * pick(x, 0.693145752, 0.6931471803691238)
    r = r - (n * pick(x, 1.42860677e-06, 1.9082149292705877e-10) - more)
    scale = two_to(n - pick(x, 32.0, 100.0))
    total = scale + down
    return ((r * r * EXP(r) + r) * scale + (down - (total - scale))) + total, down


@inline
def sigmoid(x):
    """1 / (1 + exp(-x))"""
    d, down = one_and_exp(-between(x, pick(x, -106.0, -748.0), like(x, 60)), like(x, 0))
    return down / d


@inline
def times_sigmoid(x, v, more):
    """x * sigmoid(v + more) for x and v of one sign, x being above -110 or -755, and `more` tiny."""
    d, down = one_and_exp(-between(v, pick(x, -110.0, -755.0), like(x, 60)), -more)
    y = x / d * down
    return y if x <= like(x, 1000) and x != like(x, 0) else x


@inline
def silu(x):
    """x * sigmoid(x)"""
    lowest = pick(x, -110.0, -755.0)
    return times_sigmoid(lowest if x < lowest else x, x, like(x, 0))


@inline
def silu_slope(x):
    """The derivative of silu; that of a positive number and that of its negative are 1 together."""
    lowest, t = pick(x, -110.0, -755.0), -abs(x)
    t = lowest if t < lowest else t
    d, down = one_and_exp(-t, like(x, 0))
    up = like(x, 2.0**20)  # so that part is in range though the sigmoid is not
    part, down = up / d, down / up
    y = (like(x, 1) + t * (like(x, 1) - part * down)) * part * down
    return like(x, 1) - y if x > like(x, 0) else y


@inline
def softplus(x):
    """log(1 + exp(x))"""
    return positive_part(x) + log1p_unit(exp_down(-abs(x)))


@inline
def log_sigmoid(x):
    """log(sigmoid(x))"""
    return like(x, 0) - softplus(-x)


@inline
def mish(x):
    """x * tanh(log(1 + exp(x)))"""
    if single(x):
        wide = np.float64(between(x, like(x, -300), like(x, 40)))
        e = exp2_middle(wide * 1.4426950408889634)
        w = e * (e + 2.0)
        y = like(x, wide * w / (w + 2.0))
    else:
        t = between(x, like(x, -800), like(x, 40))
        up, down = like(x, 2.0**60), like(x, 2.0**-60)  # e may be subnormal though the result is not
        e_up = exp_product(t, like(x, 0), up)
        e = e_up * down
        y = t * e_up * (e + like(x, 2)) / (e * (e + like(x, 2)) + like(x, 2)) * down
    return y if x < like(x, 40) else x


# --- the normal distribution -----------------------------------------------------------------------------------------


@inline
def tail(t, t_low, factor):
    """factor * exp(t**2 / 2) times the probability that a normal number is above t >= 0, in float64.

    t is a sum of two; the result is the sum of the first two numbers, times one more than the third.
    """
    k, top = like(t, 5), like(t, 0.769193049750063)
    d = t + k
    part = like(t, 1) / d
    rest = (like(t, 1) - d * part) - ((t - (d - k)) + t_low) * part
    u = (t - k) * part
    u += u * rest + t_low * part
    step = u * TAIL(u) - like(t, 1.7716821143070358e-17)
    y = step + top
    y_low = step - (y - top)
    first = y * part
    second = first * factor
    low = fma(first, factor, -second) + factor * (fma(y, part, -first) + y_low * part)
    return second, low, rest


@inline
def erf(x):
    size = abs(x)
    t = pick(x, 4.0, 6.0) if size > pick(x, 4.0, 6.0) else size
    near, far = size + size * ERF(x * x), like(x, 1) - exp_down(-LOG_ERFC(t))
    return signed(near if size < like(x, 1) else far, x)


@inline
def erfc_as_it_is(x):
    """erfc in the type of x; too far off in float32."""
    t = abs(x)
    t = like(x, 30) if t > like(x, 30) else t
    square = t * t
    root = like(x, 1.4142135623730951)
    s = t * root
    s_low = fma(t, root, -s) + t * pick(x, 2.4203233844160365e-08, -9.667293313452913e-17)
    part, low, rest = tail(s, s_low, like(x, 2))
    y = exp_times(-square, rest - fma(t, t, -square), part, low)
    y = like(x, 2) - y if x < like(x, 0) else y
    y = like(x, 1) - (x + x * ERF(x * x)) if t < like(x, 0.5) else y
    return y if x == x else x


@inline
def erfc(x):
    return like(x, erfc_as_it_is(np.float64(x)))


@inline
def mills(t):
    """p, m and what p lacks, of float32: p * (1 + m) is exp(t**2 / 2) times the probability to be above t >= 0."""
    k, top = like(t, 2), like(t, 0.58271813)
    d = t + k
    p = top / d
    return p, MILLS(p - like(t, 0.1648479)), fma(-(t - (d - k)), p, fma(-d, p, top))


@inline
def exp_half(square, low):
    """scale, r and h with exp(-(square + low) / 2) = scale * 2**-64 * (1 + r * h), of float32, for squares up to 220."""
    shifted = square * like(square, -0.72134752) + like(square, 12582976.0)
    n = shifted - like(square, 12582976.0)
    r = (n * like(square, 1.386291504) + square) + (n * like(square, 2.85721354e-06) + low)
    return raised(like(square, 1), shifted), r, EXP_HALF(r)


@inline
def gelu_single(x):
    """gelu of float32: the sum at the end is the only one of numbers that have been rounded to 24 digits."""
    t = abs(x)
    t = like(x, 14.5) if t > like(x, 14.5) else t
    p, m, rest = mills(t)
    square = t * t
    scale, r, h = exp_half(square, fma(rest, p * like(x, -5.5) - like(x, 3.95), fma(t, t, -square)))
    large = t * scale
    size = large * p
    size += fma(size, fma(fma(m, r, r), h, m), fma(large, p, -size))
    return (like(x, -0.0) if x < like(x, -0.0) else x) - size * like(x, 2.0**-64)


@inline
def gelu(x):
    """x times the probability that a normal number is below x."""
    if single(x):
        return gelu_single(x)
    t = abs(x)
    t = like(x, 40) if t > like(x, 40) else t
    square, half = t * t, like(x, -0.5)
    part, low, rest = tail(t, like(x, 0), t)
    y = exp_times(half * square, rest + half * fma(t, t, -square), part, low)
    y = positive_part(x) - y
    return x if x == like(x, 0) else y


@inline
def gelu_slope(x):
    """The derivative of gelu."""
    t = abs(x)
    t = like(x, 40) if t > like(x, 40) else t
    if single(x):
        t = like(x, 14.8) if t > like(x, 14.8) else t
        p, m, rest = mills(t)
        square = t * t
        scale, r, h = exp_half(square, fma(t, t, -square))
        factor = (p * m + p) - t * like(x, 0.3989422804014327)
        y = (factor * (r * h) + factor) * scale * like(x, 2.0**-64)
    else:
        square, half = t * t, like(x, -0.5)
        part = like(x, 1) / (t + like(x, 5))
        u = (t - like(x, 5)) * part
        factor = (u * TAIL(u) + like(x, 0.769193049750063)) * part - t * like(x, 0.3989422804014327)
        y = exp_times(half * square, half * fma(t, t, -square), factor, like(x, 0))
    y = like(x, 1) - y if x > like(x, 0) else y
    return y if x == x else x


FAR = 5.61  # up to where the polynomials below are for


@inline
def near_gelu(x):
    """gelu(x) of float32 for |x| up to FAR, for processors with AVX-512."""
    t = abs(x)
    return fma(-t, normal_above(t), like(x, -0.0) if x < like(x, -0.0) else x)


@inline
def near_gelu_slope(x):
    """The derivative of that."""
    y = normal_slope(abs(x))
    return like(x, 1) - y if x > like(x, 0) else y


@inline
def gelu_tanh(x):
    """x * (1 + tanh(c * (x + 0.044715 x**3))) / 2 with c = sqrt(2 / pi)"""
    limit = like(x, 40)
    t = between(x, -limit, limit)
    square = t * t
    a, b = pick(x, 1.5957691669464111, 1.5957691216057308), pick(x, 0.07135481387376785, 0.07135481627260025)
    a_low, b_low = pick(x, -4.534068042105272e-08, -9.96930880911092e-17), pick(x, 2.39883e-09, -6.17515e-19)
    cubic = b * square
    slope, low = two_sum(a, cubic)
    low += (fma(b, square, -cubic) + fma(t, t, -square) * b) + (a_low + b_low * square)
    v = t * slope
    y = times_sigmoid(t, v, fma(t, slope, -v) + t * low)
    return x if x > limit else y
