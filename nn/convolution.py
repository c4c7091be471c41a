"""Convolutions and their transposes, of one to three axes, and the windows that they are made of as columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograd_core import Tensor, empty
from autograd_core.ops.convolution import numbers, pairs

from . import functional as F
from .errors import demand_type
from .lazy import Lazy, materialize
from .linear import uniform
from .module import Module
from .parameter import Parameter, UninitializedParameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold", "LazyConv1d",
    "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "Unfold",
]  # fmt: skip

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Module):
    """What the convolutions have in common; `weight` is (out_channels, in_channels / groups, kernel)."""

    rank: int
    function: Callable
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        self.settle(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode)
        self.create(bias, device, dtype)

    def settle(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        padding_mode: str,
        output_padding: Any = 0,
    ) -> None:
        """Store the arguments, with a number for each axis, once they are known to fit each other."""
        who = type(self).__name__
        given = {"in_channels": in_channels, "out_channels": out_channels}
        for what, channels in given.items():
            if groups < 1 or channels % groups:
                raise ValueError(f"{who}: groups must be positive and divide {what}, got {groups=}, {what}={channels}")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"{who}: padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = numbers(kernel_size, self.rank, who, "kernel_size", 1)
        self.stride = numbers(stride, self.rank, who, "stride", 1)
        self.dilation = numbers(dilation, self.rank, who, "dilation", 1)
        around = pairs(padding, self.kernel_size, self.stride, self.dilation, who)
        self.padding = padding if isinstance(padding, str) else tuple(before for before, _ in around)
        self.output_padding = numbers(output_padding, self.rank, who, "output_padding", 0)
        self.padding_mode = padding_mode

    def create(self, bias: bool, device: Any, dtype: Any) -> None:
        """Make the parameters."""
        self.weight = Parameter(empty(*self.weight_shape(), device=device, dtype=dtype))
        self.bias = Parameter(empty(self.out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def weight_shape(self) -> tuple[int, ...]:
        """(out_channels, in_channels / groups, kernel), or the other way round if transposed."""
        first, second = self.out_channels, self.in_channels
        first, second = (second, first) if self.transposed else (first, second)
        return first, second // self.groups, *self.kernel_size

    def reset_parameters(self) -> None:
        """Uniform within one over the root of the number of weights that a channel of `weight` has."""
        uniform(math.prod(self.weight.shape[1:]), self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, size) to (N, out_channels, size), or both without the first axis."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self.margins(), mode=self.padding_mode), 0
        weight = self.weight  # once: it may be computed
        y = self.function(input, weight, self.bias, self.stride, padding, self.dilation, self.groups)
        if input.dtype is not weight.dtype:
            demand_type(input, weight)
        return y

    def margins(self) -> list[int]:
        """The padding as `pad` takes it: before and after the last axis, then the one before it."""
        around = pairs(self.padding, self.kernel_size, self.stride, self.dilation, type(self).__name__)
        return [width for pair in reversed(around) for width in pair]

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {"padding": 0, "dilation": 1, "output_padding": 0}
        given = {n: getattr(self, n) for n, v in usual.items() if getattr(self, n) != (v,) * self.rank}
        given |= {} if self.groups == 1 else {"groups": self.groups}
        given |= {} if self.bias is not None else {"bias": False}
        text = ", ".join([text, *(f"{n}={v}" for n, v in given.items())])
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class Conv1d(Convolution):
    """Convolution of (N, C, W) or (C, W)."""

    rank, function = 1, staticmethod(F.conv1d)


class Conv2d(Convolution):
    """Convolution of (N, C, H, W) or (C, H, W)."""

    rank, function = 2, staticmethod(F.conv2d)


class Conv3d(Convolution):
    """Convolution of (N, C, D, H, W) or (C, D, H, W)."""

    rank, function = 3, staticmethod(F.conv3d)


class TransposedConvolution(Convolution):
    """What the transposed convolutions have in common; `weight` is (in_channels, out_channels / groups, kernel)."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        self.settle(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode, output_padding
        )
        self.create(bias, device, dtype)

    def settle(self, *args: Any, **options: Any) -> None:
        super().settle(*args, **options)
        who = type(self).__name__
        if self.padding_mode != "zeros":
            raise ValueError(f"{who}: padding_mode must be 'zeros', got {self.padding_mode!r}; pad the input instead")
        if isinstance(self.padding, str):
            raise ValueError(f"{who}: padding must be given in numbers, got {self.padding!r}")

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """(N, in_channels, size) to (N, out_channels, size), or both without the first axis.

        Where a stride leaves open how large the result is, `output_size` says so.
        """
        more = self.output_padding if output_size is None else self.padding_for(tuple(input.shape), output_size)
        weight = self.weight
        y = self.function(input, weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)
        if input.dtype is not weight.dtype:
            demand_type(input, weight)
        return y

    def padding_for(self, shape: tuple, output_size: Any) -> tuple[int, ...]:
        """The output_padding that gives a size."""
        who, rank = type(self).__name__, self.rank
        wanted = numbers(output_size, len(output_size), who, "output_size", 0)
        if len(wanted) not in (rank, len(shape)) or len(shape) not in (rank + 1, rank + 2):
            raise ValueError(f"{who}: output_size must be {rank} sizes or a shape, got {output_size} for input {shape}")
        rows = zip(shape[-rank:], self.kernel_size, self.stride, self.padding, self.dilation)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in rows)
        more = tuple(w - m for w, m in zip(wanted[-rank:], least))
        if any(not 0 <= extra < s for extra, s in zip(more, self.stride)):
            most = tuple(m + s - 1 for m, s in zip(least, self.stride))
            raise ValueError(
                f"{who}: output_size {wanted[-rank:]} cannot come of input {shape}; it can be from {least} to {most}"
            )
        return more


class ConvTranspose1d(TransposedConvolution):
    """The transpose of Conv1d: what sends gradients back through it, as a layer."""

    rank, function = 1, staticmethod(F.conv_transpose1d)


class ConvTranspose2d(TransposedConvolution):
    """The transpose of Conv2d: what sends gradients back through it, as a layer."""

    rank, function = 2, staticmethod(F.conv_transpose2d)


class ConvTranspose3d(TransposedConvolution):
    """The transpose of Conv3d: what sends gradients back through it, as a layer."""

    rank, function = 3, staticmethod(F.conv_transpose3d)


# --- lazy ------------------------------------------------------------------------------------------------------------


class LazyConvolution(Lazy, Convolution):
    """A convolution whose number of input channels the first input tells."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        self.settle(0, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode)
        self.create(bias, device, dtype)

    def create(self, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = UninitializedParameter(dtype=dtype)
        self.bias = UninitializedParameter(dtype=dtype) if bias else None

    def infer(self, input: Tensor, output_size: Any = None) -> None:
        who, shape, rank = type(self).__name__, tuple(input.shape), self.rank
        if len(shape) not in (rank + 1, rank + 2):
            raise ValueError(f"{who}: input must be (N, C, ...) or (C, ...) with {rank} axes of pixels, got {shape}")
        channels = shape[-rank - 1]
        if channels % self.groups:
            raise ValueError(f"{who}: groups={self.groups} must divide the {channels} channels of input {shape}")
        self.in_channels = channels
        materialize(self.weight, *self.weight_shape())
        materialize(self.bias, self.out_channels)


class LazyTransposedConvolution(LazyConvolution, TransposedConvolution):
    """A transposed convolution whose number of input channels the first input tells."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        self.settle(0, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode, output_padding)
        self.create(bias, device, dtype)


class LazyConv1d(LazyConvolution, Conv1d):
    """A Conv1d whose number of input channels the first input tells."""

    becomes = Conv1d


class LazyConv2d(LazyConvolution, Conv2d):
    """A Conv2d whose number of input channels the first input tells."""

    becomes = Conv2d


class LazyConv3d(LazyConvolution, Conv3d):
    """A Conv3d whose number of input channels the first input tells."""

    becomes = Conv3d


class LazyConvTranspose1d(LazyTransposedConvolution, ConvTranspose1d):
    """A ConvTranspose1d whose number of input channels the first input tells."""

    becomes = ConvTranspose1d


class LazyConvTranspose2d(LazyTransposedConvolution, ConvTranspose2d):
    """A ConvTranspose2d whose number of input channels the first input tells."""

    becomes = ConvTranspose2d


class LazyConvTranspose3d(LazyTransposedConvolution, ConvTranspose3d):
    """A ConvTranspose3d whose number of input channels the first input tells."""

    becomes = ConvTranspose3d


# --- windows ---------------------------------------------------------------------------------------------------------


class Unfold(Module):
    """Windows of images (N, C, H, W) as columns (N, C * taps, places)."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C * taps, places), or both without the first axis."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        windows = f"kernel_size={self.kernel_size}, dilation={self.dilation}"
        return f"{windows}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns (N, C * taps, places) added up where windows lie in images (N, C, *output_size)."""

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        self.output_size = output_size
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """(N, C * taps, places) to (N, C, *output_size), or both without the first axis."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        windows = f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}"
        return f"{windows}, padding={self.padding}, stride={self.stride}"
