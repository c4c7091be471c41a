"""Layers that multiply by a matrix."""

from __future__ import annotations

import math
import operator
from typing import Any

from autograd_core import Tensor, empty

from . import functional as F
from . import init
from .errors import demand_type
from .lazy import Lazy, materialize
from .module import Module
from .parameter import Parameter, UninitializedParameter

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear"]


class Identity(Module):
    """Gives back its input; takes and ignores any arguments, to stand in for a layer that takes them."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def forward(self, input: Tensor) -> Tensor:
        """The input itself."""
        return input


class Linear(Module):
    """x Wᵀ + b over the last axis; `weight` is (out_features, in_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        demand_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within one over the root of the number of inputs."""
        uniform(self.in_features, self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        weight = self.weight  # once: it may be computed
        y = F.linear(input, weight, self.bias)
        if input.dtype is not weight.dtype:
            demand_type(input, weight)
        return y

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class LazyLinear(Lazy, Linear):
    """A Linear whose number of inputs the first one tells."""

    becomes = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        self.in_features, self.out_features = 0, out_features
        self.weight = UninitializedParameter(dtype=dtype)
        self.bias = UninitializedParameter(dtype=dtype) if bias else None

    def infer(self, input: Tensor) -> None:
        self.in_features = input.shape[-1]
        materialize(self.weight, self.out_features, self.in_features)
        materialize(self.bias, self.out_features)


class Bilinear(Module):
    """x1 A x2 + b over the last axes; `weight` is (out_features, in1_features, in2_features)."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        if in1_features <= 0:
            raise ValueError(f"Bilinear: in1_features must be positive, got {in1_features}")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within one over the root of the number of first inputs."""
        uniform(self.in1_features, self.weight, self.bias)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """(..., in1_features) and (..., in2_features) to (..., out_features)."""
        weight = self.weight
        y = F.bilinear(input1, input2, weight, self.bias)
        demand_type(input1, weight, "input1")
        demand_type(input2, weight, "input2")
        return y

    def extra_repr(self) -> str:
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{sizes}, out_features={self.out_features}, bias={self.bias is not None}"


def demand_sizes(name: str, **sizes: Any) -> None:
    """Raise unless sizes are whole numbers that are not negative."""
    for what, size in sizes.items():
        try:
            fine = operator.index(size) >= 0
        except TypeError:
            fine = False
        if not fine:
            raise (ValueError if isinstance(size, int) else TypeError)(
                f"{name}: {what} must be a whole number that is not negative, got {size!r:.40}"
            )


def uniform(fan_in: int, *parameters: Parameter | None) -> None:
    """Draw parameters between -1/√fan_in and 1/√fan_in, which is what PyTorch's layers begin with."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    for p in parameters:
        if p is not None:
            init.uniform_(p, -bound, bound)
