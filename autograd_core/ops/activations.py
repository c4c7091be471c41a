"""Activation functions as `torch.nn.functional` has them: elementwise declarations, and functions made of those."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import activations as kernels
from ..op import Rule, Traced, elementwise
from ..samples import shapes
from ..tensor import Tensor
from ..views import write
from .axes import one_axis
from .base import clone
from .math import abs, clamp, exp, le, log, logical_and, logical_not, sigmoid, tanh, where
from .math import relu as rectified
from .parts import chunk
from .reduce import amax
from .special import softmax, softmin  # noqa: F401

__all__ = ["celu", "hardshrink", "prelu", "rrelu", "selu", "threshold"]  # PyTorch has these beside torch.relu

DENSITY = 1 / math.sqrt(2 * math.pi)
SLOPE, CUBIC = kernels.SLOPE, kernels.CUBIC
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of selu: for these, mean 0 and variance 1 stay

function = functools.partial(elementwise, promotes=False)


def _clear_of(*corners: float, **params: list) -> list:
    """Samples at least 0.1 away from where a function has no derivative."""

    def draw(rng):
        grid = np.linspace(-4, 4, 41) + 0.037
        x = rng.choice(grid[np.min(np.abs(grid[:, None] - np.array(corners)), axis=1) > 0.1], (2, 3))
        return [x], {n: v[int(rng.integers(len(v)))] for n, v in params.items()}

    return [draw]


# --- declarations ----------------------------------------------------------------------------------------------------


def _tanh_part(x):
    """What the tangent form of gelu multiplies x with, and how fast that changes, times x.

    From 25 on that is 1 or 0 in every precision, and powers of x, of which a float16 holds few, are not asked for.
    """
    x = clamp(x, -25.0, 25.0)
    part = sigmoid(x * (SLOPE + CUBIC * x * x))
    return part + part * (1 - part) * x * (SLOPE + 3 * CUBIC * x * x)


def _mish_slope(x):
    part = tanh(soft(x, beta=1.0, threshold=20.0))
    return part + x * sigmoid(x) * (1 - part * part)


def _elu_slope(x, left, rate, right):
    return where(x > 0, right, left * exp(x * rate))


def _silu_bend(x):
    part = sigmoid(x)
    return part * (1 - part) * (2 + x * (1 - 2 * part))


_SOFT = [*shapes("n m | ()", beta=[1.0, 2.5], threshold=[20.0]), *shapes("n m:large", beta=[4.0], threshold=[10.0])]

# fmt: off
normal_part = function(kernels.gelu, lambda x: gelu_slope(x), name="gelu")
gelu_slope  = function(kernels.gelu_slope, lambda x: exp(-0.5 * x * x) * (2 - x * x) * DENSITY, name="gelu_slope")
tanh_part   = function(kernels.gelu_tanh, lambda x: _tanh_part(x), name="gelu_tanh")
swish       = function(kernels.silu, lambda x: silu_slope(x), name="silu")
silu_slope  = function(kernels.silu_slope, lambda x: _silu_bend(x), name="silu_slope")
mish_of     = function(kernels.mish, lambda x: _mish_slope(x), name="mish")
log_sigmoid = function(kernels.log_sigmoid, lambda x: sigmoid(-x), name="log_sigmoid")
soft        = function(kernels.softplus, lambda x, beta, threshold: soft_slope(x, beta=beta, threshold=threshold),
                       name="softplus", samples=_SOFT)
soft_slope  = function(kernels.softplus_slope, lambda x, y, beta, threshold: where(x * beta > threshold, 0, y * (1 - y) * beta),
                       name="softplus_slope", samples=_SOFT)
expand      = function(kernels.expand, lambda x, alpha, rate, scale: _elu_slope(x, alpha * rate * scale, rate, scale),
                       name="elu", samples=_clear_of(0.0, alpha=[1.0, 0.7], rate=[1.0, 0.4], scale=[1.0, 1.3]))
leak        = function(kernels.leak, lambda g, x, slope: where(x > 0, g, g * slope), name="leaky_relu", rule=Rule,
                       jvp=lambda tangents, y, x, slope: where(x > 0, tangents[0], tangents[0] * slope),
                       samples=_clear_of(0.0, slope=[0.01, -0.5]))
bounded     = function(kernels.bounded, lambda x, low, high: logical_and(x > low, x < high), name="hardtanh",
                       samples=_clear_of(-1.0, 2.0, low=[-1.0], high=[2.0]))
hard_swish  = function(kernels.hard_swish, lambda x: where(x <= -3, 0, where(x < 3, x / 3 + 0.5, 1)), name="hardswish",
                       samples=_clear_of(-3.0, 3.0))
hard_shrunk = function(kernels.hard_shrunk, lambda x, size: logical_not(le(abs(x), size)), name="hardshrink",
                       samples=_clear_of(-0.5, 0.5, size=[0.5]))
soft_shrunk = function(kernels.soft_shrunk, lambda x, size: logical_not(le(abs(x), size)), name="softshrink",
                       samples=_clear_of(-0.5, 0.5, size=[0.5]))
lifted      = function(kernels.lifted, lambda x, threshold, value: logical_not(x <= threshold), name="threshold",
                       samples=_clear_of(0.5, threshold=[0.5], value=[3.0]))
# fmt: on


# --- functions -------------------------------------------------------------------------------------------------------


def _floats(x: Any, name: str) -> Any:
    """x, if its entries are real floating-point numbers; a number of Python's as NumPy has it."""
    if x.__class__ is Tensor and x.value.dtype.kind == "f":
        return x
    if (dtype := getattr(x, "dtype", None)) is None:
        x = np.asarray(x)
        x, dtype = x[()], x.dtype
    if dtype.kind != "f":
        raise TypeError(f"{name}: expected real floating-point numbers, got {dtype}; use input.float()")
    return x


def overwriting(function: Callable) -> Callable:
    """Make something of the last parameter of a function of `input`, inplace: it writes the result into the input."""
    count, name = function.__code__.co_argcount, f"{function.__name__}_"

    def overwritten(input, *args, **options):
        write(input, function(clone(input) if isinstance(input, Traced) else input, *args, **options), name)
        return input

    @functools.wraps(function)
    def call(input, *args, inplace=False, **options):
        if len(args) == count - 1:
            *args, inplace = args
        return (overwritten if inplace else function)(input, *args, **options)

    @functools.wraps(function)
    def call_alone(input, inplace=False):
        return overwritten(input) if inplace else function(input)

    return call_alone if count == 2 else call


def gelu(input, approximate="none"):
    """input times the probability that a normal number is below it; "tanh" for an approximation of that."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r:.40}")
    return (normal_part if approximate == "none" else tanh_part)(_floats(input, "gelu"))


@overwriting
def relu(input, inplace=False):
    """input where it is positive, 0 elsewhere."""
    return rectified(input)


@overwriting
def silu(input, inplace=False):
    """input * sigmoid(input)"""
    return swish(_floats(input, "silu"))


@overwriting
def mish(input, inplace=False):
    """input * tanh(softplus(input))"""
    return mish_of(_floats(input, "mish"))


def softplus(input, beta=1, threshold=20):
    """log(1 + exp(beta * input)) / beta, and input itself where beta * input is above the threshold."""
    return soft(_floats(input, "softplus"), beta=float(beta), threshold=float(threshold))


@overwriting
def elu(input, alpha=1.0, inplace=False):
    """input where it is positive, alpha * (exp(input) - 1) elsewhere."""
    return expand(_floats(input, "elu"), alpha=float(alpha), rate=1.0, scale=1.0)


@overwriting
def selu(input, inplace=False):
    """An `elu` under which mean 0 and variance 1 stay what they are."""
    return expand(_floats(input, "selu"), alpha=ALPHA, rate=1.0, scale=SCALE)


@overwriting
def celu(input, alpha=1.0, inplace=False):
    """input where it is positive, alpha * (exp(input / alpha) - 1) elsewhere."""
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")
    return expand(_floats(input, "celu"), alpha=float(alpha), rate=1 / alpha, scale=1.0)


@overwriting
def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where it is positive, negative_slope * input elsewhere."""
    return leak(_floats(input, "leaky_relu"), slope=float(negative_slope))


def prelu(input, weight):
    """input where it is positive, weight * input elsewhere; one weight, or one for each channel (the second axis)."""
    channels = input.shape[1] if input.ndim > 1 else 1
    count = math.prod(weight.shape)
    if weight.ndim > 1 or count not in (1, channels):
        raise ValueError(f"prelu: weight must have 1 or {channels} entries, one for each channel, got {weight.shape}")
    if count > 1:
        weight = weight.reshape((count, *(1,) * (input.ndim - 2)))
    elif input.ndim == 0:
        weight = weight.reshape(())
    return where(input > 0, input, weight * input)


@overwriting
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """`leaky_relu` with a slope drawn anew for each entry in training, and with the mean slope otherwise."""
    if lower > upper:
        raise ValueError(f"rrelu: lower must not be above upper, got {lower} and {upper}")
    if not training:
        return leak(_floats(input, "rrelu"), slope=(lower + upper) / 2)
    from ..random import draw_uniform, drawn

    slope = drawn(draw_uniform, None, shape=tuple(input.shape), dtype=_floats(input, "rrelu").dtype)
    slope = (slope if isinstance(input, Traced) else slope.value) * (upper - lower) + lower
    return where(input > 0, input, slope * input)


@overwriting
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """input, but at least min_val and at most max_val; no gradient there."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be above max_val, got {min_val} and {max_val}")
    whole = input.dtype.kind in "iu" and min_val == int(min_val) and max_val == int(max_val)
    return bounded(input, low=int(min_val) if whole else min_val, high=int(max_val) if whole else max_val)


@overwriting
def relu6(input, inplace=False):
    """input, but at least 0 and at most 6."""
    return bounded(input, low=0, high=6)


@overwriting
def hardsigmoid(input, inplace=False):
    """A straight line from 0 at -3 to 1 at 3, flat outside."""
    return bounded(_floats(input, "hardsigmoid") + 3, low=0, high=6) / 6


@overwriting
def hardswish(input, inplace=False):
    """input * hardsigmoid(input)"""
    return hard_swish(_floats(input, "hardswish"))


def hardshrink(input, lambd=0.5):
    """input, but 0 where its size is at most lambd."""
    return hard_shrunk(input, size=lambd)


def softshrink(input, lambd=0.5):
    """input moved towards 0 by lambd, and 0 where it is nearer than that."""
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must not be negative, got {lambd}")
    return soft_shrunk(input, size=lambd)


def tanhshrink(input):
    """input - tanh(input)"""
    return input - tanh(input)


def softsign(input):
    """input / (1 + |input|)"""
    return input / (1 + abs(input))


def logsigmoid(input):
    """log(sigmoid(input))"""
    return log_sigmoid(_floats(input, "logsigmoid"))


@overwriting
def threshold(input, threshold, value, inplace=False):
    """input where it is above the threshold, `value` elsewhere."""
    return lifted(input, threshold=threshold, value=value)


def celu_(input, alpha=1.0):
    """`celu` in place; returns the input, as all of these do."""
    return celu(input, alpha, True)


def elu_(input, alpha=1.0):
    """`elu` in place."""
    return elu(input, alpha, True)


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, True)


def leaky_relu_(input, negative_slope=0.01):
    """`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, True)


def relu_(input):
    """`relu` in place."""
    return relu(input, True)


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, True)


def selu_(input):
    """`selu` in place."""
    return selu(input, True)


_limited = threshold  # in the next function the name is a number's


def threshold_(input, threshold, value):
    """`threshold` in place."""
    return _limited(input, threshold, value, True)


def glu(input, dim=-1):
    """The first half of input along dim times the sigmoid of the second."""
    axis = one_axis(input.ndim, dim, "glu")
    if input.shape[axis] % 2:
        raise ValueError(f"glu: the axis to halve must have an even length, dim {dim} of {input.shape} has not")
    a, b = chunk(input, 2, axis)
    return a * sigmoid(b)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A random point of the simplex, near a corner chosen with the probabilities softmax(logits); a corner if `hard`.

    The gradient of a corner is that of the point.
    """
    from ..random import draw_exponential, drawn

    noise = drawn(draw_exponential, None, shape=tuple(logits.shape), dtype=_floats(logits, "gumbel_softmax").dtype)
    y = softmax((logits - log(noise if isinstance(logits, Traced) else noise.value)) / tau, dim=dim)
    if not hard:
        return y
    corner = (y == amax(y, dim, True)).astype(y.dtype)
    return corner - y.detach() + y if isinstance(y, Traced) else corner
