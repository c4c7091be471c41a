"""Convolution in other ways: flipped, by Fourier transform, in steps, with weights of each place, for other layouts."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core import Tensor, einsum, fft, flip
from autograd_core.ops.convolution import conv1d, conv2d, conv3d, numbers, pairs
from autograd_core.ops.folding import unfold_windows
from autograd_core.ops.padding import pad

__all__ = [
    "channels_last", "convolve1d", "convolve2d", "convolve3d", "fft_conv1d", "fft_conv2d", "fft_conv3d",
    "locally_connected1d", "locally_connected2d", "pad_same", "separable_conv1d", "separable_conv2d",
    "spatially_separable_conv2d", "tiled_conv1d", "tiled_conv2d",
]  # fmt: skip

PLAIN: dict[int, Callable] = {1: conv1d, 2: conv2d, 3: conv3d}


# --- borders and layouts ---------------------------------------------------------------------------------------------


def pad_same(
    input: Tensor, kernel_size: Any, stride: Any = 1, dilation: Any = 1, mode: str = "constant", value: float = 0.0
) -> Tensor:
    """A border after which windows give ceil(n / stride) places: TensorFlow's SAME.

    It has max(0, (ceil(n / stride) - 1) * stride + dilation * (kernel - 1) + 1 - n) entries, the odd one at the end.
    Pad with -inf before a max pooling.
    """
    rank = len(kernel_size) if isinstance(kernel_size, Sequence) else input.ndim - 2
    kernel, step, gaps = (
        numbers(v, rank, "pad_same", what, 1)
        for v, what in ((kernel_size, "kernel_size"), (stride, "stride"), (dilation, "dilation"))
    )
    borders: list[int] = []
    for n, k, s, d in zip(reversed(input.shape), reversed(kernel), reversed(step), reversed(gaps)):
        whole = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
        borders += [whole // 2, whole - whole // 2]
    return pad(input, borders, mode, value if mode == "constant" else None)


def channels_last(function: Callable) -> Callable:
    """The function for inputs (N, ..., C) instead of (N, C, ...): channels_last(F.conv2d)(images, weight, padding=1).

    What comes out has its channels last too.  Weights stay as they are.  One image of a function whose name tells how many
    axes it has may come without N.
    """
    told = re.search("([123])d", function.__name__)

    def moved(y: Any, axis: int) -> Any:
        return tuple(moved(part, axis) for part in y) if isinstance(y, tuple) else y.movedim(axis, -1)

    @functools.wraps(function)
    def call(input: Tensor, *args: Any, **options: Any) -> Any:
        axis = 0 if told and input.ndim == int(told[1]) + 1 else 1
        return moved(function(input.movedim(-1, axis), *args, **options), axis)

    return call


# --- flipped ---------------------------------------------------------------------------------------------------------


def _convolved(rank: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, *rest: Any) -> Tensor:
    if padding == "full":
        dilation = numbers(rest[0], rank, f"convolve{rank}d", "dilation", 1)
        padding = tuple(d * (k - 1) for d, k in zip(dilation, weight.shape[2:]))
    return PLAIN[rank](input, flip(weight, tuple(range(-rank, 0))), bias, stride, padding, *rest)


def convolve1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[t] = sum_k x[t - k] w[k], the convolution of mathematics: `conv1d` with the kernel flipped.

    padding="full" gives every place at which the two meet.
    """
    return _convolved(1, input, weight, bias, stride, padding, dilation, groups)


def convolve2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` with the kernel turned by 180 degrees: the convolution of mathematics, as `convolve1d`."""
    return _convolved(2, input, weight, bias, stride, padding, dilation, groups)


def convolve3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv3d` with the kernel flipped along all of its axes: the convolution of mathematics, as `convolve1d`."""
    return _convolved(3, input, weight, bias, stride, padding, dilation, groups)


# --- by Fourier transform --------------------------------------------------------------------------------------------


def _spread(weight: Tensor, dilation: tuple) -> Tensor:
    """The kernel with zeros between its entries."""
    for axis, d in enumerate(dilation, 2):
        if d > 1:
            wide = pad(weight.unsqueeze(axis + 1), (0, 0) * (weight.ndim - axis - 1) + (0, d - 1))
            weight = wide.flatten(axis, axis + 1).narrow(axis, 0, d * (weight.shape[axis] - 1) + 1)
    return weight


def _by_fft(
    rank: int, x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    name = f"fft_conv{rank}d"
    if x.ndim == rank + 1:
        return _by_fft(rank, x.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    if x.ndim != rank + 2 or weight.ndim != rank + 2 or x.shape[1] != weight.shape[1] * groups:
        given = f"{tuple(x.shape)} and {tuple(weight.shape)}, groups={groups}"
        raise ValueError(f"{name}: needs input (N, C, ...) or (C, ...) and weight (K, C / groups, ...), got {given}")
    step, gaps = (numbers(v, rank, name, what, 1) for v, what in ((stride, "stride"), (dilation, "dilation")))
    borders = [p for pair in reversed(pairs(padding, tuple(weight.shape[2:]), step, gaps, name)) for p in pair]
    x = pad(x, borders) if any(borders) else x
    w = _spread(weight, gaps)
    size, kernel, axes = tuple(x.shape[2:]), tuple(w.shape[2:]), tuple(range(-rank, 0))
    if any(k > n for k, n in zip(kernel, size)):
        raise ValueError(f"{name}: the kernel, which spans {kernel}, is larger than the input with its padding, {size}")
    waves = fft.rfftn(x, size, axes).unflatten(1, (groups, -1))
    slopes = fft.rfftn(w, size, axes).conj().unflatten(0, (groups, -1))
    product = einsum("ngc...,gkc...->ngk...", waves, slopes).flatten(1, 2)
    kept = tuple(slice(0, n - k + 1, s) for n, k, s in zip(size, kernel, step))
    y = fft.irfftn(product, size, axes)[(slice(None), slice(None), *kept)]
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def fft_conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv1d` as a product of Fourier transforms, whose cost does not grow with the kernel: F^-1(F x . conj(F w))."""
    return _by_fft(1, input, weight, bias, stride, padding, dilation, groups)


def fft_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` as a product of Fourier transforms, whose cost does not grow with the kernel."""
    return _by_fft(2, input, weight, bias, stride, padding, dilation, groups)


def fft_conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv3d` as a product of Fourier transforms, whose cost does not grow with the kernel."""
    return _by_fft(3, input, weight, bias, stride, padding, dilation, groups)


# --- in steps --------------------------------------------------------------------------------------------------------


def _separable(rank: int, input: Tensor, depthwise: Tensor, pointwise: Tensor, bias: Any, *how: Any) -> Tensor:
    channels = input.shape[-rank - 1]
    if depthwise.shape[0] % channels or depthwise.shape[1] != 1 or pointwise.shape[1] != depthwise.shape[0]:
        given = f"{tuple(depthwise.shape)} and {tuple(pointwise.shape)}"
        raise ValueError(
            f"separable_conv{rank}d: for {channels} channels the depthwise weight is ({channels} * m, 1, ...), the "
            f"pointwise one (K, {channels} * m, 1, ...), got {given}"
        )
    return PLAIN[rank](PLAIN[rank](input, depthwise, None, *how, channels), pointwise, bias)


def separable_conv1d(
    input: Tensor,
    depthwise: Tensor,
    pointwise: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Tensor:
    """m kernels for each channel, depthwise (C * m, 1, k), and then a mixture of channels, pointwise (K, C * m, 1)."""
    return _separable(1, input, depthwise, pointwise, bias, stride, padding, dilation)


def separable_conv2d(
    input: Tensor,
    depthwise: Tensor,
    pointwise: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Tensor:
    """m kernels for each channel, depthwise (C * m, 1, k, k), and then a mixture, pointwise (K, C * m, 1, 1)."""
    return _separable(2, input, depthwise, pointwise, bias, stride, padding, dilation)


def spatially_separable_conv2d(
    input: Tensor, vertical: Tensor, horizontal: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0
) -> Tensor:
    """`conv2d` along one axis, vertical (M, C, kh), and then the other, horizontal (K, M, kw): kh + kw steps, not kh kw."""
    (down, right), (above, left) = (
        numbers(v, 2, "spatially_separable_conv2d", what, least)
        for v, what, least in ((stride, "stride", 1), (padding, "padding", 0))
    )
    y = conv2d(input, vertical.unsqueeze(-1), None, (down, 1), (above, 0))
    return conv2d(y, horizontal.unsqueeze(-2), bias, (1, right), (0, left))


# --- weights of each place -------------------------------------------------------------------------------------------


def locally_connected2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Tensor:
    """`conv2d` of (N, C, H, W) with a kernel for each place: weight (rows, columns, K, C, kh, kw), bias (K, rows, columns)."""
    rows, columns, count, *kernel = weight.shape
    windows = unfold_windows(input, tuple(kernel[1:]), dilation, padding, stride)
    if windows.shape[1:] != (math.prod(kernel), rows * columns):
        raise ValueError(
            f"locally_connected2d: weight {tuple(weight.shape)} is for {rows} x {columns} windows of {kernel[0]} channels, "
            f"input {tuple(input.shape)} has {windows.shape[-1]} windows of {windows.shape[1]} entries"
        )
    y = einsum("nfl,lkf->nkl", windows, weight.reshape(rows * columns, count, -1)).unflatten(2, (rows, columns))
    return y if bias is None else y + bias


def locally_connected1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """`conv1d` of (N, C, L) with a kernel for each place: weight (places, K, C, k), bias (K, places)."""
    bias = bias if bias is None else bias.unsqueeze(-2)
    how = ((1, stride), (0, padding), (1, dilation))
    return locally_connected2d(input.unsqueeze(-2), weight.unsqueeze(0).unsqueeze(-2), bias, *how).squeeze(-2)


def tiled_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Tensor:
    """`conv2d` whose kernels take turns: at row i and column j it is weight[i % a, j % b], of weight (a, b, K, C, kh, kw)."""
    sizes = (numbers(v, 2, "tiled_conv2d", "a size", 0) for v in (stride, padding, dilation))
    spans = zip(input.shape[2:], weight.shape[4:], *sizes)
    rows, columns = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in spans)
    turns = weight[np.arange(rows) % weight.shape[0]][:, np.arange(columns) % weight.shape[1]]
    bias = bias if bias is None else bias.reshape(-1, 1, 1)
    return locally_connected2d(input, turns, bias, stride, padding, dilation)


def tiled_conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """`conv1d` whose kernels take turns: at place i it is weight[i % a], of weight (a, K, C, k)."""
    how = ((1, stride), (0, padding), (1, dilation))
    return tiled_conv2d(input.unsqueeze(-2), weight.unsqueeze(0).unsqueeze(-2), bias, *how).squeeze(-2)
