"""Pooling: one number for each window of the last axes, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import Tensor
from autograd_core.ops.resampling import numbers

from . import functional as F
from .module import Module


class MaxPool(Module):
    """What the pools of maxima have in common."""

    function: Callable

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        """The largest entry of each window, and with return_indices their places."""
        windows = self.kernel_size, self.stride, self.padding, self.dilation
        return self.function(input, *windows, ceil_mode=self.ceil_mode, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        windows = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return f"{windows}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class MaxPool1d(MaxPool):
    """The largest entry of each window of (N, C, L) or (C, L)."""

    function = staticmethod(F.max_pool1d)


class MaxPool2d(MaxPool):
    """The largest entry of each window of (N, C, H, W) or (C, H, W)."""

    function = staticmethod(F.max_pool2d)


class MaxPool3d(MaxPool):
    """The largest entry of each window of (N, C, D, H, W) or (C, D, H, W)."""

    function = staticmethod(F.max_pool3d)


class MaxUnpool(Module):
    """What has in common that takes maxima back to where they were, with zeros around them."""

    rank: int
    function: Callable

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        d, name = self.rank, type(self).__name__
        self.kernel_size = numbers(kernel_size, d, name, "kernel_size")
        self.stride = numbers(kernel_size if stride is None else stride, d, name, "stride")
        self.padding = numbers(padding, d, name, "padding")

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """What a MaxPool with return_indices gave, as large as its input was, or as `output_size` says."""
        return self.function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    """Zeros in the size before MaxPool1d, with the maxima where they were."""

    rank, function = 1, staticmethod(F.max_unpool1d)


class MaxUnpool2d(MaxUnpool):
    """Zeros in the size before MaxPool2d, with the maxima where they were."""

    rank, function = 2, staticmethod(F.max_unpool2d)


class MaxUnpool3d(MaxUnpool):
    """Zeros in the size before MaxPool3d, with the maxima where they were."""

    rank, function = 3, staticmethod(F.max_unpool3d)


# --- averages --------------------------------------------------------------------------------------------------------


class AvgPool1d(Module):
    """The average of each window of (N, C, L) or (C, L)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.kernel_size = numbers(kernel_size, 1, "AvgPool1d", "kernel_size")
        self.stride = numbers(kernel_size if stride is None else stride, 1, "AvgPool1d", "stride")
        self.padding = numbers(padding, 1, "AvgPool1d", "padding")
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) to (N, C, windows), or both without the first axis."""
        windows = self.kernel_size, self.stride, self.padding
        return F.avg_pool1d(input, *windows, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool(Module):
    """What the averages of planes and of blocks have in common."""

    function: Callable

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The average of each window, or its sum over `divisor_override`."""
        windows = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return self.function(input, *windows, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(AvgPool):
    """The average of each window of (N, C, H, W) or (C, H, W)."""

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(AvgPool):
    """The average of each window of (N, C, D, H, W) or (C, D, H, W)."""

    function = staticmethod(F.avg_pool3d)


class LPPool(Module):
    """What the pools of norms have in common."""

    function: Callable

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False):
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """The root of the sum of powers of each window."""
        return self.function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        windows = f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{windows}, ceil_mode={self.ceil_mode}"


class LPPool1d(LPPool):
    """The norm of each window of (N, C, L) or (C, L)."""

    function = staticmethod(F.lp_pool1d)


class LPPool2d(LPPool):
    """The norm of each window of (N, C, H, W) or (C, H, W)."""

    function = staticmethod(F.lp_pool2d)


class LPPool3d(LPPool):
    """The norm of each window of (N, C, D, H, W) or (C, D, H, W)."""

    function = staticmethod(F.lp_pool3d)


# --- windows laid out for a result of some size ----------------------------------------------------------------------


class AdaptiveMaxPool(Module):
    """What has in common that takes the maxima of as many windows as are wanted."""

    function: Callable

    def __init__(self, output_size: Any, return_indices: bool = False):
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        """The largest entry of each window, and with return_indices their places."""
        return self.function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """The largest entries of as many windows as wanted, which cover (N, C, L) or (C, L)."""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """The largest entries of as many windows as wanted, which cover (N, C, H, W) or (C, H, W); None keeps an axis."""

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """The largest entries of as many windows as wanted, which cover (N, C, D, H, W) or (C, D, H, W)."""

    function = staticmethod(F.adaptive_max_pool3d)


class AdaptiveAvgPool(Module):
    """What has in common that takes the averages of as many windows as are wanted."""

    function: Callable

    def __init__(self, output_size: Any):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The average of each window."""
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """The averages of as many windows as wanted, which cover (N, C, L) or (C, L)."""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """The averages of as many windows as wanted, which cover (N, C, H, W) or (C, H, W); None keeps an axis."""

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """The averages of as many windows as wanted, which cover (N, C, D, H, W) or (C, D, H, W)."""

    function = staticmethod(F.adaptive_avg_pool3d)


class FractionalMaxPool(Module):
    """What has in common that lays out windows a random step apart, so that they come to a size or a ratio."""

    rank: int
    function: Callable
    _random_samples: Tensor | None

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        d, name = self.rank, type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: give either output_size or output_ratio, got {output_size=}, {output_ratio=}")
        self.kernel_size = numbers(kernel_size, d, name, "kernel_size")
        if min(self.kernel_size) < 1:
            raise ValueError(f"{name}: kernel_size must be positive, got {kernel_size}")
        ratios = None if output_ratio is None else numbers(output_ratio, d, name, "output_ratio", float)
        if ratios and not all(0 < r < 1 for r in ratios):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")
        self.return_indices, self.output_ratio = return_indices, ratios
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else numbers(output_size, d, name, "output_size")

    def forward(self, input: Tensor) -> Any:
        """The largest entry of each window, and with return_indices their places."""
        sizes = self.output_size, self.output_ratio
        return self.function(input, self.kernel_size, *sizes, self.return_indices, self._random_samples)


class FractionalMaxPool2d(FractionalMaxPool):
    """The largest entries of windows a random step apart in (N, C, H, W) or (C, H, W)."""

    rank, function = 2, staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(FractionalMaxPool):
    """The largest entries of windows a random step apart in (N, C, D, H, W) or (C, D, H, W)."""

    rank, function = 3, staticmethod(F.fractional_max_pool3d)
