"""The gamma function's logarithm, its derivatives, and Hurwitz' zeta function.

How the polynomials were made stands in `special`.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from .special import Array, blockwise, constant, horner, pieces

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)

# fmt: off
_LGAMMA = (  # log Γ(2 + t) / t in t from -½ to ½
    -5.043009058425092e-13, 2.126623574915764e-12, -6.599791480347414e-12, 2.807778288259308e-11,
    -1.247500494813837e-10, 5.352422368894483e-10, -2.3043738035184404e-09, 1.0012495486246804e-08,
    -4.3873352909331736e-08, 1.9425326866834958e-07, -8.716982578328323e-07, 3.981793089152702e-06,
    -1.8636779872543994e-05, 9.032844784482085e-05, -0.0004615969392919999, 0.0025726010534725475,
    -0.016838075263299526, 0.16123351671205663, 0.42278433509846713,
)
_DIGAMMA = (  # ψ(x) / (x - its zero) in x from 1 to 2
    2.832706668021759e-11, -8.498137230186096e-11, 9.206434499177992e-11, -2.7619635330317715e-10,
    1.2358072433984831e-09, -3.7075072647122386e-09, 1.0542687624027994e-08, -3.163020268955334e-08,
    9.542050972688906e-08, -2.86315275846934e-07, 8.589127353033379e-07, -2.57809436305308e-06, 7.741232223504057e-06,
    -2.325824239445257e-05, 6.995018873950506e-05, -0.00021074841140458636, 0.0006368880303257201,
    -0.0019350666648590097, 0.005936795278305649, -0.018550615381735115, 0.060135621060196744, -0.2118137106407303,
    0.9510558760318328,
)
_DIGAMMA_ZERO = (1.4616321449683622, 9.549995429965697e-17)
_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]
_BERNOULLI += [854513 / 138, -236364091 / 2730]  # B_2, B_4, ...
_STIRLING = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI[:9], start=1)][::-1]
_DIGAMMA_LARGE = [b / (2 * k) for k, b in enumerate(_BERNOULLI[:9], start=1)][::-1]
_ZETA = [b / math.factorial(2 * k) for k, b in enumerate(_BERNOULLI, start=1)]
# fmt: on


def stirling(x: Array) -> Array:
    """What Stirling's formula leaves out of log Γ(x), for x >= 8."""
    return horner(_STIRLING, 1 / (x * x)) / x


def log_gamma_from_2(t: Array) -> Array:
    """log Γ(2 + t) for |t| <= ½."""
    return t * horner(_LGAMMA, 2 * t)


def _lgamma_large(x: Array) -> Array:
    return (x - 0.5) * (np.log(x) - 1) + (LOG_ROOT_2PI - 0.5) + np.where(x < 1e100, stirling(x), 0)


def _lgamma_small(x: Array) -> Array:
    """log |Γ(x)| for -½ <= x < 8, from log Γ(2 + t); x is never added to, so nothing is lost near its zeros 1 and 2."""
    k = np.rint(x)
    t = x - k
    y, product = log_gamma_from_2(t), np.ones_like(x)
    for j in range(2, 8):
        product *= np.where(k > j, t + j, 1)
    return y + np.log(product) - np.where(k < 2, np.log1p(t), 0) - np.where(k < 1, np.log(np.abs(t)), 0)


def log_gamma(x: Array) -> Array:
    """log |Γ(x)| of a vector."""
    return pieces((x >= 8, x >= -0.5), (_lgamma_large, _lgamma_small, _lgamma_reflected), x)


def _lgamma_reflected(x: Array) -> Array:
    away = x - np.rint(x)
    y = math.log(math.pi) - np.log(np.abs(np.sin(math.pi * away))) - log_gamma(np.fmax(1 - x, 1.0))
    return np.where(x == np.rint(x), np.inf, y)


@blockwise
def lgamma(x: Array) -> Array:
    """log |Γ(x)|."""
    return log_gamma(x)


def _digamma_small(x: Array) -> Array:
    """ψ(x) for 0 < x < 8, from ψ(1 + t), which keeps its relative accuracy around its zero."""
    k = np.floor(x)
    t = x - k
    y = (t - (_DIGAMMA_ZERO[0] - 1) - _DIGAMMA_ZERO[1]) * horner(_DIGAMMA, 2 * t - 1)
    for j in range(1, 7):
        y += np.where(k > j, 1 / (t + j), 0)
    return y - np.where(k < 1, 1 / t, 0)


def _digamma(x: Array) -> Array:
    large = lambda x: np.log(x) - 0.5 / x - horner(_DIGAMMA_LARGE, 1 / (x * x)) / (x * x)
    return pieces((x >= 8, x > 0), (large, _digamma_small, _digamma_reflected), x)


def _digamma_reflected(x: Array) -> Array:
    away = x - np.rint(x)
    y = _digamma(np.fmax(1 - x, 1.0)) - math.pi / np.tan(math.pi * away)
    return np.where(x == 0, np.copysign(np.inf, -x), np.where(away == 0, np.nan, y))


@blockwise
def digamma(x: Array) -> Array:
    """The derivative of lgamma."""
    return _digamma(x)


def _hurwitz(s: Array, q: Array) -> Array:
    """Σ (q + k)^-s for s > 1 and q > 0: ten terms, then Euler and Maclaurin."""
    total = functools.reduce(np.add, [(q + k) ** -s for k in reversed(range(10))])
    a = q + 10
    power = a**-s
    total += np.where(power > 0, a * power / (s - 1) + 0.5 * power, 0)
    term = s * power / a
    for j, c in enumerate(_ZETA, start=1):
        total += np.where(term > 0, c * term, 0)
        term *= (s + (2 * j - 1)) / a * ((s + 2 * j) / a)
    return total


def _hurwitz_below(s: Array, q: Array) -> Array:
    """ζ(s, q) for q < 0 and an integer s: the terms left of zero are themselves a difference of two zetas."""
    f = -q - np.floor(-q)
    sign = np.where(s % 2 == 0, 1.0, -1.0)
    return _hurwitz(s, 1 - f) + sign * (_hurwitz(s, f) - _hurwitz(s, 1 - q))


def _zeta(s: Array, q: Array) -> Array:
    pole = (s == 1) | (q <= 0) & (q == np.floor(q)) & (s > 1)
    outside = (s < 1) | (q < 0) & (s != np.floor(s)) | np.isnan(s + q)
    return pieces((outside, pole, q < 0), (constant(np.nan), constant(np.inf), _hurwitz_below, _hurwitz), s, q)


@blockwise
def zeta(s: Array, q: Array) -> Array:
    """Hurwitz' zeta function, Σ (q + k)^-s over k = 0, 1, 2 ..."""
    return _zeta(s, q)


@blockwise
def polygamma(x: Array, *, n: int) -> Array:
    """The n-th derivative of the digamma function."""
    if n == 0:
        return _digamma(x)
    factorial = float(math.factorial(n)) if n < 171 else math.inf
    return (factorial if n % 2 else -factorial) * _zeta(np.full_like(x, n + 1.0), x)
