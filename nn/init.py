"""Schemes to fill tensors with before training, in place and unrecorded, under the names of `torch.nn.init`.

The first two axes of a weight are its outputs and its inputs, all others are places of a window: the fan in of
(o, i, *window) is i * window, the fan out o * window.  Schemes that draw take a `generator=`; without one they draw from
the default generator, which `autograd_core.manual_seed` starts over.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from autograd_core import Generator, Tensor, empty, linalg, no_grad, rand, special

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_", "fan_in_and_fan_out",
    "glorot_normal_", "glorot_uniform_", "he_normal_", "he_uniform_", "identity_", "kaiming_normal",
    "kaiming_normal_", "kaiming_trunc_normal_", "kaiming_uniform", "kaiming_uniform_", "lecun_normal_",
    "lecun_trunc_normal_", "lecun_uniform_", "normal", "normal_", "ones_", "orthogonal", "orthogonal_", "skipped", "sparse",
    "sparse_", "trunc_normal_", "uniform", "uniform_", "variance_scaling_", "xavier_normal", "xavier_normal_",
    "xavier_trunc_normal_", "xavier_uniform", "xavier_uniform_", "zeros_",
]  # fmt: skip

GAINS = {"sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
GAINS |= dict.fromkeys(["linear", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3))], 1)
CUT = 2.0  # deviations beyond which the truncated forms of the schemes draw nothing
KEPT = math.sqrt(1 - CUT * math.sqrt(2 / math.pi) * math.exp(-CUT * CUT / 2) / math.erf(CUT / math.sqrt(2)))


_skipped: ContextVar[bool] = ContextVar("skipped", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Inside, all that is here leaves tensors as they are: for models whose values are about to be loaded."""
    token = _skipped.set(True)
    try:
        yield
    finally:
        _skipped.reset(token)


def _filling(fill: Any) -> Any:
    """A function that fills a tensor, unless that is to be skipped."""

    @functools.wraps(fill)
    def call(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        return tensor if _skipped.get() else fill(tensor, *args, **options)

    return call


# --- what the schemes are made of ------------------------------------------------------------------------------------


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By what to widen the weights that feed a nonlinearity (a name of nn.functional) for its results to keep their size.

    `param` is the slope of a leaky_relu.
    """
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ValueError(f"calculate_gain: the negative slope of leaky_relu must be a number, got {param!r:.40}")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        known = ", ".join(sorted([*GAINS, "leaky_relu"]))
        raise ValueError(f"calculate_gain: no gain is known for {nonlinearity!r:.40}, only for {known}")
    return GAINS[nonlinearity]


def fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output of this weight has, and how many outputs an input."""
    if tensor.ndim < 2:
        raise ValueError(
            f"fan in and fan out need a weight of at least 2 axes (outputs, inputs, ...), got shape {tensor.shape}; "
            "for a bias use zeros_ or uniform_"
        )
    outputs, inputs, *window = tensor.shape
    return inputs * math.prod(window), outputs * math.prod(window)


def _fan(tensor: Tensor, mode: str) -> float:
    """The number that the variance of a weight is divided by."""
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if str(mode).lower() not in fans:
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r:.40}")
    return fans[mode.lower()]


_calculate_fan_in_and_fan_out, _calculate_correct_fan = fan_in_and_fan_out, _fan  # programs for PyTorch call these


def _with_axes(tensor: Tensor, name: str, *counts: int) -> None:
    if tensor.ndim not in counts:
        wanted = " or ".join(map(str, counts))
        raise ValueError(f"{name}: fills tensors of {wanted} axes, got shape {tuple(tensor.shape)}")


def _require_floats(tensor: Tensor, name: str) -> None:
    if tensor.dtype.kind not in "fc":
        raise TypeError(f"{name}: needs a floating-point tensor, got {tensor.dtype}; use x.float()")


def _scaled(tensor: Tensor, variance: float, distribution: str, generator: Generator | None) -> Tensor:
    """Fill with numbers of mean 0 and a variance."""
    std = math.sqrt(variance)
    if distribution == "uniform":
        return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)
    if distribution == "normal":
        return normal_(tensor, 0.0, std, generator)
    if distribution == "truncated_normal":
        std /= KEPT
        return trunc_normal_(tensor, 0.0, std, -CUT * std, CUT * std, generator)
    raise ValueError(f"distribution must be 'uniform', 'normal' or 'truncated_normal', got {distribution!r:.40}")


# --- plain distributions and constants -------------------------------------------------------------------------------


@_filling
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers from a to below b."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


@_filling
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


@_filling
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of which those outside [a, b] are never drawn: x = mean + std * F^-1(u), u uniform.

    The bounds are values, not deviations.  What `std` says of is the normal distribution before it was cut.
    """
    _require_floats(tensor, "trunc_normal_")
    if not std > 0 or not a <= b:
        raise ValueError(f"trunc_normal_: std must be positive and a at most b, got std={std}, a={a}, b={b}")
    mirrored = a > mean  # the lower tail has the digits
    low, high = (mean - b, mean - a) if mirrored else (a - mean, b - mean)
    first, last = (0.5 * math.erfc(-z / std / math.sqrt(2)) for z in (low, high))
    if last == 0:
        raise ValueError(f"trunc_normal_: [{a}, {b}] lies too far from the mean {mean} for std={std}: nothing is there")
    with no_grad():
        share = rand(tuple(tensor.shape), dtype=np.dtype("float64"), generator=generator) * (last - first) + first
        x = (special.ndtri(share) * std).clamp(low, high)
        return tensor.copy_(mean - x if mirrored else mean + x)


@_filling
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with a number."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


@_filling
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on its diagonal and zeros elsewhere: as many inputs as possible pass unchanged."""
    _with_axes(tensor, "eye_", 2)
    with no_grad():
        return tensor.copy_(np.eye(*tensor.shape, dtype=tensor.dtype))


@_filling
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that, in each group, as many channels as possible pass unchanged."""
    _with_axes(tensor, "dirac_", 3, 4, 5)
    outputs, inputs, *window = tensor.shape
    if groups < 1 or outputs % groups:
        raise ValueError(f"dirac_: the {outputs} outputs (dim 0) cannot be divided into {groups} groups")
    values = np.zeros(tensor.shape, tensor.dtype)
    each = outputs // groups
    for channel in range(min(each, inputs)):
        centre: Any = (slice(channel, None, each), channel, *(n // 2 for n in window))
        values[centre] = 1
    with no_grad():
        return tensor.copy_(values)


# --- schemes that look at the fans -----------------------------------------------------------------------------------


def variance_scaling_(
    tensor: Tensor,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with numbers of mean 0 and variance scale / fan, the fan being "fan_in", "fan_out" or their mean "fan_avg".

    The distribution is "uniform", "normal", or "truncated_normal", which is cut at two deviations and then widened, so
    that the variance is the same.
    """
    if not scale >= 0:
        raise ValueError(f"variance_scaling_: scale must not be negative, got {scale}")
    return _scaled(tensor, scale / max(_fan(tensor, mode), 1), distribution, generator)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers of variance gain**2 * 2 / (fan in + fan out): Glorot's scheme."""
    return variance_scaling_(tensor, gain * gain, "fan_avg", "uniform", generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers of variance gain**2 * 2 / (fan in + fan out): Glorot's scheme."""
    return variance_scaling_(tensor, gain * gain, "fan_avg", "normal", generator)


def xavier_trunc_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """`xavier_normal_` of the same variance, but cut at two deviations."""
    return variance_scaling_(tensor, gain * gain, "fan_avg", "truncated_normal", generator)


def _kaiming(tensor: Any, a: Any, mode: str, nonlinearity: str, distribution: str, generator: Any) -> Tensor:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return tensor
    gain = calculate_gain(nonlinearity, a)
    return variance_scaling_(tensor, gain * gain, mode, distribution, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers of variance gain**2 / fan: He's scheme; a is the slope of a leaky_relu."""
    return _kaiming(tensor, a, mode, nonlinearity, "uniform", generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of variance gain**2 / fan: He's scheme; a is the slope of a leaky_relu."""
    return _kaiming(tensor, a, mode, nonlinearity, "normal", generator)


def kaiming_trunc_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """`kaiming_normal_` of the same variance, but cut at two deviations."""
    return _kaiming(tensor, a, mode, nonlinearity, "truncated_normal", generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers of variance 1 / fan in: LeCun's scheme, the one for selu."""
    return variance_scaling_(tensor, 1.0, "fan_in", "uniform", generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers of variance 1 / fan in: LeCun's scheme, the one for selu."""
    return variance_scaling_(tensor, 1.0, "fan_in", "normal", generator)


def lecun_trunc_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """`lecun_normal_` of the same variance, but cut at two deviations."""
    return variance_scaling_(tensor, 1.0, "fan_in", "truncated_normal", generator)


glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_
he_uniform_, he_normal_, identity_ = kaiming_uniform_, kaiming_normal_, eye_


# --- schemes for whole matrices --------------------------------------------------------------------------------------


@_filling
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with gain times a matrix drawn evenly from those with orthonormal rows or columns, whichever are fewer.

    Axes from the second on count as one.
    """
    _require_floats(tensor, "orthogonal_")
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: fills tensors of 2 or more axes, got shape {tuple(tensor.shape)}")
    if 0 in tensor.shape:
        return tensor
    shape = (tensor.shape[0], math.prod(tensor.shape[1:]))
    dtype = np.result_type(tensor.dtype, np.float32)
    with no_grad():
        q, r = linalg.qr(empty((max(shape), min(shape)), dtype=dtype).normal_(generator=generator))
        q = q * r.diagonal().sgn()  # signs that are the factorization's own would favour some matrices
        return tensor.copy_(((q.mT if shape[0] < shape[1] else q) * gain).reshape(tensor.shape))


@_filling
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fill a matrix with normal numbers, and in each column a share of zeros (rounded up) in random places."""
    _with_axes(tensor, "sparse_", 2)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity is the share of zeros in a column, from 0 to 1, but got {sparsity}")
    rows, columns = tensor.shape
    with no_grad():
        tensor.normal_(0, std, generator=generator)
        order = rand((rows, columns), generator=generator).argsort(0)
        return tensor.scatter_(0, order[: math.ceil(sparsity * rows)], 0.0)


# --- names of old ----------------------------------------------------------------------------------------------------


def _deprecated(fill: Callable) -> Any:
    new, old = fill.__name__, fill.__name__[:-1]

    @functools.wraps(fill)
    def call(*args: Any, **options: Any) -> Tensor:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return fill(*args, **options)

    call.__doc__ = f"The old name of `{new}`."
    call.__name__ = call.__qualname__ = old
    return call


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
