"""Activation functions in plain NumPy; large arrays go through the loops of `elementwise` instead."""

from __future__ import annotations

import functools
import math

import numpy as np

from .error_function import DENSITY, ROOT_HALF, each, normal_bend, normal_tail
from .precise import DOUBLE, FAR, NARROW, damped, expm1, in_double, sigmoid

SLOPE = 2 * math.sqrt(2 / math.pi)  # of what the tangent form of gelu takes the sigmoid of, and its cubic term
CUBIC = SLOPE * 0.044715
CUBIC_HEAD, CUBIC_REST = round(CUBIC * 2**17) / 2**17, -2.9107781810012236e-06  # 14 digits, and what is left
RATIO_HEAD, RATIO_REST = round(2**16 / 0.044715) / 2**16, -1.0817479889997765e-06  # SLOPE / CUBIC, to 2**-16


def quiet(function):
    """The function without NumPy's warnings: limits at infinity are reached through overflow."""

    @functools.wraps(function)
    def call(x, **params):
        with np.errstate(all="ignore"):
            return function(x, **params)

    return call


def _times(x, part):
    """x * part, and 0 where part is, though x be infinite."""
    return np.where(part == 0, x * 0 if x.size == 0 else np.copysign(0, x), x * part).astype(x.dtype)


def _below(x):
    """The probability that a normal number is below x, to more digits than float32 has."""
    return 0.5 * each(math.erfc, -ROOT_HALF * x)


@quiet
def gelu(x):
    """x times the probability that a normal number is below it."""
    if x.dtype in NARROW:
        a = np.maximum(x, -40.0, dtype=DOUBLE)
        return (a * _below(a)).astype(x.dtype)
    a = np.minimum(np.abs(x), 40.0)
    y = normal_tail(a, a)
    return np.where(x < 0, -y, x - y)


@quiet
def gelu_slope(x):
    """The derivative of gelu: the probability that a normal number is below x, and x times its density."""
    if x.dtype in NARROW:
        a = np.minimum(np.maximum(x, -40.0, dtype=DOUBLE), 40.0)
        return (_below(a) + a * DENSITY * np.exp(-0.5 * a * a)).astype(x.dtype)
    y = normal_bend(np.minimum(np.abs(x), 40.0))
    return np.where(x > 0, 1 - y, y)


@quiet
def gelu_tanh(x):
    """x * sigmoid(SLOPE * x + CUBIC * x**3)"""
    return _gelu_tanh_single(x) if x.dtype in NARROW else _gelu_tanh_double(x)


@in_double
def _gelu_tanh_single(x):
    x = np.maximum(x, -1000.0)
    return damped(x, x * (SLOPE + CUBIC * x * x))


def _gelu_tanh_double(x):
    """The argument of the exponential in two parts: the large one, of factors with few digits, is not rounded."""
    x = np.maximum(x, -22.0)  # where the result is 0, as it is x from 22 on
    t = np.minimum(x, 22.0)
    head = np.rint(t * 256) / 256
    sum = RATIO_HEAD + head * head
    product = head * sum
    more = CUBIC_REST * product + CUBIC * (RATIO_REST * t + (t - head) * (sum + t * (head + t)))
    return damped(x, CUBIC_HEAD * product, more)


@quiet
@in_double
def silu(x):
    """x * sigmoid(x)"""
    x = np.maximum(x, -1000.0)  # where it is 0 already, as it is not of an infinite factor
    return damped(x, x)


@quiet
@in_double
def silu_slope(x):
    """The derivative of silu; that of a positive number and that of its negative are 1 together."""
    size = np.minimum(np.abs(x), 1000.0)
    part = 1 / (1 + np.exp(np.minimum(size, FAR)))
    y = part * (1 - size * (1 - part)) / np.exp(np.maximum(size - FAR, 0))
    return np.where(x > 0, 1 - y, y)


@quiet
@in_double
def mish(x):
    """x * tanh(log(1 + exp(x)))"""
    x = np.maximum(x, -1000.0)
    part = np.tanh(np.log1p(np.exp(np.minimum(np.maximum(x, -FAR), 40))))
    return x * part * np.exp(np.minimum(x + FAR, 0))


@in_double
def _log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@quiet
def softplus(x, *, beta, threshold):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above the threshold."""
    z = x * beta
    return np.where(z > threshold, x, (0 - _log_sigmoid(-z)) / beta).astype(x.dtype)


@quiet
def softplus_slope(x, *, beta, threshold):
    """The derivative of softplus: sigmoid(beta * x), and 1 where beta * x is above the threshold."""
    z = x * beta
    return np.where(z > threshold, 1, sigmoid(z)).astype(x.dtype)


@quiet
def log_sigmoid(x):
    """log(sigmoid(x))"""
    return _log_sigmoid(x)


@quiet
def expand(x, *, alpha, rate, scale):
    """scale * x where x is positive, scale * alpha * (exp(rate * x) - 1) elsewhere."""
    return np.where(x > 0, scale * x, scale * alpha * expm1(x * rate)).astype(x.dtype)


def leak(x, *, slope):
    """x where it is positive, slope * x elsewhere."""
    return np.where(x > 0, x, x * slope).astype(x.dtype)


def bounded(x, *, low, high):
    """x, but at least low and at most high."""
    return np.minimum(np.maximum(x, low), high)


@quiet
def hard_swish(x):
    """x * min(max(x + 3, 0), 6) / 6"""
    return _times(x, bounded(x + 3, low=0, high=6) / 6)


def hard_shrunk(x, *, size):
    """x, but 0 where it is at most as large as `size`."""
    return np.where(np.abs(x) <= size, 0, x).astype(x.dtype)


def soft_shrunk(x, *, size):
    """x moved towards 0 by `size`, and 0 where it is nearer than that."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(x) <= size, 0 * x, x - np.copysign(size, x)).astype(x.dtype)


def lifted(x, *, threshold, value):
    """x where it is above the threshold, `value` elsewhere."""
    return np.where(x <= threshold, value, x).astype(x.dtype)
