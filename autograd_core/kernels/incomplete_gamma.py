"""The regularized incomplete gamma functions, by series, continued fraction or quadrature."""

from __future__ import annotations

import functools
import math

import numpy as np

from .gamma import log_gamma, log_gamma_from_2, stirling
from .special import Array, blockwise, constant, horner, pieces

_ARTANH = [1 / (2 * k + 1) for k in range(18, 0, -1)]
_MANY = 20.0  # from this a on, the integral is computed by quadrature


def _excess(u: Array) -> Array:
    """u - log(1 + u), without cancellation near 0."""

    def near(u: Array) -> Array:
        r = u / (2 + u)  # log(1 + u) = 2 artanh(r)
        return u * r - 2 * r**3 * horner(_ARTANH, r * r)

    return pieces((np.abs(u) < 0.5,), (near, lambda u: u - np.log1p(u)), u)


def _poisson(a: Array, x: Array) -> Array:
    """x^a exp(-x) / Γ(a + 1)."""

    def small(a: Array, x: Array) -> Array:
        half = np.exp(-0.5 * x)
        return x**a * half * np.exp(-log_gamma(a + 1)) * half

    def large(a: Array, x: Array) -> Array:
        u = (x - a) / a
        excess = pieces((np.abs(u) < 0.5,), (lambda u, r: _excess(u), lambda u, r: u - np.log(r)), u, x / a)
        return np.exp(-a * excess - stirling(a)) / np.sqrt(2 * math.pi * a)

    return pieces((a < _MANY,), (small, large), a, x)


def _lower_series(a: Array, x: Array) -> Array:
    """P(a, x) for x below a + 1: Σ x^k / ((a + 1) ... (a + k)), up to its factor."""
    total, term, k = np.ones_like(x), np.ones_like(x), 0
    while np.any(term > 1e-17 * total):
        k += 1
        term = term * x / (a + k)
        total = total + term
    return _poisson(a, x) * total


def _upper_series(a: Array, x: Array) -> Array:
    """Q(a, x) for a < 1 and x near 0, where it is no good as 1 - P."""
    total, power = np.zeros_like(x), np.ones_like(x)
    for k in range(1, 24):
        power = power * -x / k
        total += power / (a + k)
    gamma = log_gamma_from_2(a - (a > 0.5)) - np.where(a > 0.5, 0, np.log1p(a))
    exponent = a * np.log(x) - gamma
    return -np.expm1(exponent) - a * np.exp(exponent) * total


def _upper_fraction(a: Array, x: Array) -> Array:
    """Q(a, x) for x above a + 1: its continued fraction by the recurrence of its convergents' ratios."""
    b = x + 1 - a
    ratio, inverse = np.full_like(b, np.inf), 1 / b
    value = inverse
    for k in range(1, 1000):
        b = b + 2
        inverse = 1 / (b - k * (k - a) * inverse)
        ratio = b - k * (k - a) / ratio
        step = ratio * inverse
        settled = np.abs(step - 1) < 4e-16
        value = np.where(settled, value, value * step)
        if settled.all():
            break
    return _poisson(a, x) * a * value


def _quadrature(a: Array, x: Array, side: int) -> Array:
    """P (side -1) or Q (side 1) for a large: the integral from x to where nothing is left, by Gauss and Legendre."""
    depth, slope = 38.0, side * (x - a + 1) / x
    height = lambda s: slope * s + (a - 1) * _excess(side * s / x)
    length = 2 * depth / (slope + np.sqrt(slope * slope + 2 * depth * (a - 1) / (x * x)))
    for _ in range(3):  # Newton's way to the length at which the integrand has fallen by exp(-depth)
        length = length if side > 0 else np.minimum(length, 0.9 * x)
        length = length + (depth - height(length)) / (slope + (a - 1) / x * length / (x + side * length))
    length = length if side > 0 else np.minimum(length, x)
    total = np.zeros_like(x)
    for node, weight in zip(*_legendre(), strict=True):
        total += weight * np.exp(-height(node * length))
    return _poisson(a, x) * a / x * length * total


@functools.cache
def _legendre() -> tuple[list, list]:
    """Nodes and weights on the interval from 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(56)
    return list((nodes + 1) / 2), list(weights / 2)


def _incomplete(a: Array, x: Array, upper: bool) -> Array:
    """The regularized incomplete gamma function; of P and Q the smaller is computed, or what comes near it."""
    as_lower = lambda f: (lambda a, x: 1 - f(a, x)) if upper else f
    as_upper = lambda f: f if upper else (lambda a, x: 1 - f(a, x))
    cases = [
        (~((a >= 0) & (x >= 0)) | (a == 0) & (x == 0) | np.isinf(a) & np.isinf(x), constant(np.nan)),
        ((x == 0) | np.isinf(a), as_lower(constant(0.0))),
        ((a == 0) | np.isinf(x), as_upper(constant(0.0))),
        ((a >= _MANY) & (x < a), as_lower(lambda a, x: _quadrature(a, x, -1))),
        (a >= _MANY, as_upper(lambda a, x: _quadrature(a, x, 1))),
        (x > a + 1, as_upper(_upper_fraction)),
        (upper & (x < 1.1) & (a < 1), _upper_series),
    ]
    return pieces(tuple(c for c, _ in cases), (*[f for _, f in cases], as_lower(_lower_series)), a, x)


@blockwise
def gammainc(a: Array, x: Array) -> Array:
    """The regularized lower incomplete gamma function P(a, x)."""
    return _incomplete(a, x, upper=False)


@blockwise
def gammaincc(a: Array, x: Array) -> Array:
    """The regularized upper incomplete gamma function, 1 - P(a, x)."""
    return _incomplete(a, x, upper=True)
