"""Activations: functions of each entry, and of entries along an axis."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from autograd_core import Tensor, empty

from . import functional as F
from . import init as initial
from .module import Module
from .parameter import Parameter


def listed(inplace: bool, **options: Any) -> str:
    """Options as they are printed, `inplace` if it is set."""
    given = options | ({"inplace": True} if inplace else {})
    return ", ".join(f"{name}={value}" for name, value in given.items())


class Plain(Module):
    """What activations without options have in common."""

    function: Callable

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return self.function(input)


class Sigmoid(Plain):
    """1 / (1 + exp(-x))"""

    function = staticmethod(F.sigmoid)


class Tanh(Plain):
    """The hyperbolic tangent."""

    function = staticmethod(F.tanh)


class LogSigmoid(Plain):
    """log(sigmoid(x))"""

    function = staticmethod(F.logsigmoid)


class Softsign(Plain):
    """x / (1 + |x|)"""

    function = staticmethod(F.softsign)


class Tanhshrink(Plain):
    """x - tanh(x)"""

    function = staticmethod(F.tanhshrink)


class Overwriting(Module):
    """What activations have in common that have no option but `inplace`, to write the result into the input."""

    function: Callable

    def __init__(self, inplace: bool = False):
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return self.function(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace)


class ReLU(Overwriting):
    """x where it is positive, 0 elsewhere."""

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.relu_(input) if self.inplace else F.relu(input)


class SiLU(Overwriting):
    """x * sigmoid(x)"""

    function = staticmethod(F.silu)


class Mish(Overwriting):
    """x * tanh(softplus(x))"""

    function = staticmethod(F.mish)


class SELU(Overwriting):
    """An ELU under which mean 0 and variance 1 stay what they are."""

    function = staticmethod(F.selu)


class Hardsigmoid(Overwriting):
    """A straight line from 0 at -3 to 1 at 3, flat outside."""

    function = staticmethod(F.hardsigmoid)

    def extra_repr(self) -> str:
        return ""


class Hardswish(Overwriting):
    """x * hardsigmoid(x)"""

    function = staticmethod(F.hardswish)

    def extra_repr(self) -> str:
        return ""


# --- with options ----------------------------------------------------------------------------------------------------


class ELU(Module):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.elu(input, self.alpha, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace, alpha=self.alpha)


class CELU(Module):
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.celu(input, self.alpha, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace, alpha=self.alpha)


class LeakyReLU(Module):
    """x where it is positive, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.leaky_relu(input, self.negative_slope, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace, negative_slope=self.negative_slope)


class RReLU(Module):
    """LeakyReLU with a slope drawn anew for each entry in training, and with the mean slope otherwise."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False):
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.rrelu(input, self.lower, self.upper, self.training, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace, lower=self.lower, upper=self.upper)


class PReLU(Module):
    """x where it is positive, weight * x elsewhere; one weight, or one for each channel (the second axis)."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Every weight as `init` says."""
        initial.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Hardtanh(Module):
    """x, but at least min_val and at most max_val."""

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ):
        for old, value in (("min_value", min_value), ("max_value", max_value)):
            if value is not None:
                warnings.warn(f"Hardtanh: {old} has become {old[:-2]}", FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.min_val < self.max_val:
            raise ValueError(f"Hardtanh: min_val must be below max_val, got {self.min_val} and {self.max_val}")

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.hardtanh(input, self.min_val, self.max_val, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace, min_val=self.min_val, max_val=self.max_val)


class ReLU6(Hardtanh):
    """x, but at least 0 and at most 6."""

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace)


class Threshold(Module):
    """x where it is above the threshold, `value` elsewhere."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.threshold(input, self.threshold, self.value, inplace=self.inplace)

    def extra_repr(self) -> str:
        return listed(self.inplace, threshold=self.threshold, value=self.value)


class GELU(Module):
    """x times the probability that a normal number is below it; approximate="tanh" for an approximation of that."""

    def __init__(self, approximate: str = "none"):
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardshrink(Module):
    """x, but 0 where its size is at most lambd."""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Module):
    """x moved towards 0 by lambd, and 0 where it is nearer than that."""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


# --- along an axis ---------------------------------------------------------------------------------------------------


class GLU(Module):
    """The first half along dim times the sigmoid of the second."""

    def __init__(self, dim: int = -1):
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, of which axis dim is halved."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Along(Module):
    """What has in common that makes entries along an axis shares of one."""

    function: Callable

    def __init__(self, dim: int | None = None):
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return self.function(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(Along):
    """exp(x) / Σ exp(x) along dim."""

    function = staticmethod(F.softmax)


class Softmin(Along):
    """exp(-x) / Σ exp(-x) along dim."""

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape, which stays."""
        return F.softmin(input, self.dim)


class LogSoftmax(Along):
    """log(softmax(x)) along dim."""

    function = staticmethod(F.log_softmax)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W), at each place."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) or (C, H, W) to the same shape."""
        if input.ndim not in (3, 4):
            raise ValueError(f"input must be (N, C, H, W) or (C, H, W), got shape {tuple(input.shape)}")
        return F.softmax(input, -3)
