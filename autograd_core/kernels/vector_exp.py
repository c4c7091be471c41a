"""Exponentials, logarithms and powers of one number, for kernels to take into their loops; see `vector_math`."""

from __future__ import annotations

import math

import numpy as np

from ._jit import inline
from ._scalars import Polynomial, fma, like, mantissa_exponent, nearest, pick, raised, signed, single, two_to

# (exp(r) - 1 - r) / r**2 for |r| up to log(2) / 2
EXP = Polynomial(
    "EXP",
    (0.0013817918, 0.008367009, 0.04166816, 0.1666654, 0.49999994),
    (2.0825387510578004e-09, 2.510993915297626e-08, 2.7557571567124725e-07, 2.7557241875052495e-06,
     2.4801586966298766e-05, 0.0001984126988816826, 0.0013888888889071098, 0.008333333333320944, 0.04166666666666628,
     0.16666666666666677, 0.5),
)  # fmt: skip

# for float32 (log(1+f) - f + f**2 / 2) / f**3 for f between root(1/2) - 1 and root(2) - 1;
# for float64 (log((1+s)/(1-s)) - 2 s) / s**3 in powers of s**2
LOG = Polynomial(
    "LOG",
    (-0.078602165, 0.12881517, -0.13128448, 0.14181195, -0.1662459, 0.20002288, -0.2500081, 0.33333316),
    (0.14787973989304698, 0.15314903683477904, 0.18183528224093312, 0.2222219933728547, 0.28571428734005755,
     0.3999999999945868, 0.6666666666666726),
)  # fmt: skip

# (log((1+s)/(1-s)) - 2 s - 2/3 s**3) / s**5 in powers of s**2, and in float64 with the digits that float32 needs
# log2(1+f) / f and 2**r
LOG_REST = Polynomial(
    "LOG_REST",
    (0.0,),
    (0.1316234173061595, 0.13260760891600198, 0.15386573343559767, 0.18181788757095743, 0.2222222246392704,
     0.28571428570457275, 0.4000000000000138),
)  # fmt: skip
LOG2_MIDDLE = Polynomial(
    "LOG2_MIDDLE",
    (0.0,),
    (0.07954761749792648, -0.14442395403945543, 0.1444605161316273, -0.14276809125104056, 0.15876406080849487,
     -0.18033587757988104, 0.20617752300590034, -0.24045172741785675, 0.2885372012763356, -0.36067369952894557,
     0.4808983625155016, -0.7213475207458466, 1.4426950408667607),
)  # fmt: skip
EXP2_MIDDLE = Polynomial(
    "EXP2_MIDDLE",
    (0.0,),
    (0.00015478026108721956, 0.0013400431987084826, 0.009617994548146358, 0.055503272166567565, 0.24022651504200743,
     0.6931472067074467, 0.9999999999184808),
)  # fmt: skip


# --- exponentials ----------------------------------------------------------------------------------------------------


@inline
def between(x, low, high):
    """x, or the bound that it is beyond; NaN stays."""
    t = low if x < low else x
    return high if t > high else t


@inline
def two_sum(a, b):
    """a + b, and what rounding took from it."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@inline
def shifter(x):
    """What a number is added to so that its whole part stands in the last bits."""
    return pick(x, 12582912.0, 6755399441055744.0)


@inline
def reduced(x):
    """n shifted, r and what rounding took from r: exp(x) = 2**n * exp(r + low), |r| <= log(2) / 2, unless x is huge."""
    shifted = x * like(x, 1.4426950408889634) + shifter(x)
    n = shifted - shifter(x)
    r = x - n * pick(x, 0.693145752, 0.6931471803691238)
    low = n * pick(x, 1.42860677e-06, 1.9082149292705877e-10)
    return shifted, r - low, (r - (r - low)) - low


@inline
def exp_less_one(r, low):
    """exp(r + low) - 1 for |r| up to log(2) / 2."""
    return r * r * EXP(r) + low + r


@inline
def exp_of_rest(x):
    """exp(x) / 2**n for a number that is not huge, and n shifted."""
    shifted = x * like(x, 1.4426950408889634) + shifter(x)
    n = shifted - shifter(x)
    r = (x - n * pick(x, 0.693145752, 0.6931471803691238)) - n * pick(x, 1.42860677e-06, 1.9082149292705877e-10)
    return (r * EXP(r) + like(x, 1)) * r + like(x, 1), shifted


@inline
def near_exp(x):
    """exp(x) for |x| up to 86, or 707: the result is a normal number."""
    y, shifted = exp_of_rest(x)
    return raised(y, shifted)


@inline
def exp_number(x):
    """exp(x) for x that is a number, and not so large that the result is infinite."""
    small = x < pick(x, -86.0, -707.0)
    lowest = pick(x, -105.0, -746.0)
    y, shifted = exp_of_rest(lowest if x < lowest else x)
    y = raised(y, shifted + like(x, 64) if small else shifted)
    return y * (like(x, 2.0**-64) if small else like(x, 1))


@inline
def exp_down(x):
    """exp(x) for x that is not so large that it is infinite."""
    y = exp_number(x)
    return y if x == x else x


@inline
def exp(x):
    y = exp_number(x)
    return y if x <= pick(x, 88.72283172607422, 709.782712893384) else x + like(x, math.inf)


@inline
def scaled(y, n):
    """y * 2**n, in two steps: 2**n may be out of range though the result is not."""
    half = nearest(n * like(n, 0.5))
    return y * two_to(half) * two_to(n - half)


@inline
def exp_product(x, more, factor):
    """factor * exp(x + more), `more` being tiny: rounded once, and out of range only if the result is."""
    shifted, r, low = reduced(between(x, pick(x, -174.0, -1400.0), pick(x, 174.0, 1400.0)))
    less = exp_less_one(r, low)
    return scaled(factor * (less + (more * less + more)) + factor, shifted - shifter(x))


@inline
def exp_times(x, more, factor, factor_low):
    """exp(x + more) * (factor + factor_low) for x and `more` that are not positive, and a factor of moderate size."""
    lowest = pick(x, -130.0, -752.0)
    x = lowest if x < lowest else x
    shift, up, down = pick(x, 12582912.0, 6755399441055744.0), pick(x, 64.0, 100.0), pick(x, 2.0**-64, 2.0**-100)
    n = (x * like(x, 1.4426950408889634) + shift) - shift
    whole = x - n * pick(x, 0.693145752, 0.6931471803691238)
    rest = n * pick(x, 1.42860677e-06, 1.9082149292705877e-10) - more
    r = whole - rest
    curved = r * r * EXP(r) + ((whole - r) - rest)  # and with r it is exp - 1
    return ((factor * r + (factor * curved + factor_low)) + factor) * two_to(n + up) * down


@inline
def exp2(x):
    t = between(x, pick(x, -151.0, -1076.0), pick(x, 129.0, 1025.0))
    n = nearest(t)
    d = t - n
    r = d * like(x, 0.6931471805599453)
    low = fma(d, like(x, 0.6931471805599453), -r) + d * pick(x, -1.904654299957768e-09, 2.3190468138462996e-17)
    return scaled(exp_less_one(r, low) + like(x, 1), n)


@inline
def expm1_down(x):
    """exp(x) - 1 for x that is not so large that it is infinite."""
    lowest = pick(x, -18.0, -38.0)
    shifted, r, low = reduced(lowest if x < lowest else x)
    scale = raised(like(x, 1), shifted)
    y = exp_less_one(r, low) * scale + (scale - like(x, 1))
    return y if x == x else x


@inline
def expm1(x):
    highest = pick(x, 88.0, 709.0)
    y = expm1_down(highest if x > highest else x)
    y = exp(x) if x > highest else y
    return x if abs(x) < pick(x, 1e-10, 1e-18) else y


@inline
def exp2_middle(x):
    """2**x of a float64 of moderate size, to the digits that float32 has."""
    n = nearest(x)
    return EXP2_MIDDLE(x - n) * two_to(n)


# --- logarithms ------------------------------------------------------------------------------------------------------


@inline
def log_mantissa(f):
    """log(1 + f) - f of float64, in two parts, for 1 + f between the roots of 1/2 and of 2."""
    half = like(f, 0.5) * f * f
    s = f / (f + like(f, 2))
    return s * (half + s * s * LOG(s * s)), half


@inline
def log_scaled(f, e):
    """log((1 + f) * 2**e) for 1 + f between the roots of 1/2 and of 2."""
    if single(f):
        rest = f * f * (f * LOG(f) - like(f, 0.5)) + e * like(f, 1.42860677e-06)
        return e * like(f, 0.693145752) + (rest + f)
    tail, half = log_mantissa(f)
    tail += e * like(f, 1.9082149292705877e-10)
    return e * like(f, 0.6931471803691238) + (tail - half + f)


@inline
def positive_parts(x):
    """m and e with x = m * 2**e and m between the roots of 1/2 and of 2; subnormal numbers too."""
    tiny = x < pick(x, 1.17549435e-38, 2.2250738585072014e-308)
    m, e = mantissa_exponent(x * pick(x, 8388608.0, 4503599627370496.0) if tiny else x)
    return m, e - pick(x, 23.0, 52.0) if tiny else e


@inline
def at_edges(y, x, zero):
    """The logarithm y, or what it is where x <= zero, infinite, or NaN."""
    y = y if x < like(x, math.inf) else x
    y = like(x, -math.inf) if x == zero else y
    return like(x, math.nan) if x < zero else y


@inline
def log_of_parts(f, e):
    """The same for what is no small difference: of float32 in fewer steps, off by more where log1p would show it."""
    if single(f):
        return e * like(f, 0.6931471805599453) + (f * f * (f * LOG(f) - like(f, 0.5)) + f)
    return log_scaled(f, e)


@inline
def near_log(x):
    """log(x) for positive normal x."""
    m, e = mantissa_exponent(x)
    return log_of_parts(m - like(x, 1), e)


@inline
def log(x):
    m, e = positive_parts(x)
    return at_edges(log_of_parts(m - like(x, 1), e), x, like(x, 0))


@inline
def log1p(x):
    m, e = mantissa_exponent(x + like(x, 1))
    scale = two_to(-e)
    f = x * scale + (scale - like(x, 1)) if e < like(x, 64) else m - like(x, 1)
    y = log_scaled(f, e)
    return at_edges(x if abs(x) < pick(x, 1e-10, 1e-18) else y, x, like(x, -1))


@inline
def log1p_unit(x):
    """log(1 + x) for x from 0 to 1."""
    large = x > like(x, 0.41421356)
    return log_scaled(x * like(x, 0.5) - like(x, 0.5) if large else x, like(x, 1) if large else like(x, 0))


@inline
def log_in_base(x, scale, low):
    """log(x) * (scale + low), exact for powers of 2 if that is the base."""
    m, e = positive_parts(np.float64(x))
    f = m - 1.0
    tail, half = log_mantissa(f)
    y = f + (tail - half)
    part = y * scale + (y * low + (tail - half - (y - f)) * scale)
    whole = scale * 0.6931471805599453
    y = e * whole + (e * (fma(scale, 0.6931471805599453, -whole) + scale * 2.3190468138462996e-17 + low * 0.69) + part)
    return at_edges(like(x, y), x, like(x, 0))


@inline
def log2(x):
    return log_in_base(x, 1.4426950408889634, 2.0355273740931033e-17)


@inline
def log10(x):
    return log_in_base(x, 0.4342944819032518, 1.098319650216765e-17)


# --- powers ----------------------------------------------------------------------------------------------------------


@inline
def rsqrt(x):
    """1 / sqrt(x)"""
    return like(x, 1) / math.sqrt(x)


@inline
def log_in_two(x):
    """The logarithm of a positive float64 as a sum of two, to some 65 digits."""
    m, e = positive_parts(x)
    f, d = m - 1.0, m + 1.0
    inverse = 1.0 / d
    q = f * inverse
    q_low = (fma(-q, d, f) - q * (m - (d - 1.0))) * inverse
    z = q * q
    z_low = fma(q, q, -z) + (q + q) * q_low
    cube = q * z
    cube_low = fma(q, z, -cube) + (q * z_low + q_low * z)
    third = 0.6666666666666666 * cube
    third_low = fma(0.6666666666666666, cube, -third) + (0.6666666666666666 * cube_low + 3.700743415417188e-17 * cube)
    high = (q + q) + third
    low = (third - (high - (q + q))) + ((q_low + q_low) + (third_low + cube * z * LOG_REST(z)))
    whole = e * 0.6931471805599453
    whole_low = fma(e, 0.6931471805599453, -whole) + e * 2.3190468138462996e-17
    total = whole + high
    rest = (high - (total - whole)) + (low + whole_low)
    return total + rest, rest - ((total + rest) - total)


@inline
def power_size(x, y):
    """x ** y for x > 0, neither being infinite."""
    if single(x):
        m, e = mantissa_exponent(np.float64(x))
        t = np.float64(y) * (e + (m - 1.0) * LOG2_MIDDLE(m - 1.0))
        return like(x, exp2_middle(between(t, -200.0, 200.0)))
    high, low = log_in_two(np.float64(x))
    wide = np.float64(y)
    t = wide * high
    huge = abs(t) > 1000.0
    more = 0.0 if huge else fma(wide, high, -t) + wide * low
    return like(x, exp_product(t, more, 1.0))


@inline
def pow(x, y):
    """x to a power, as C has it: 1 if x is 1 or y is 0, even if the other is NaN."""
    zero, one, infinity = like(x, 0), like(x, 1), like(x, math.inf)
    size = abs(x)
    y_size = abs(y)
    z = power_size(size, y)
    grows = (y > zero) == (size > one)  # what becomes of it at infinity
    z = (infinity if grows else zero) if y_size == infinity or size == infinity or size == zero else z
    z = one if size == one else z
    half = y * like(x, 0.5)
    odd = nearest(y) == y and nearest(half) != half
    z = signed(z, x) if odd else z
    z = like(x, math.nan) if x < zero and nearest(y) != y and size < infinity else z
    z = x + y if x != x or y != y else z
    return one if x == one or y == zero else z
