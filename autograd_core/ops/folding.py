"""Windows of images as columns, and their transpose: entries are moved and added, never multiplied."""

from __future__ import annotations

import math

from ..kernels import folding as kernels
from ..op import op
from ..samples import shapes
from .arranging import reshape_to
from .convolution import numbers

__all__: list[str] = []  # torch.nn.functional has them

_HOW = {"kernel": [(2, 2)], "stride": [(1, 1), (2, 1)], "padding": [(1, 0), (0, 2)], "dilation": [(1, 2)]}


def _columns(rng):
    """Columns of images of 3 x 4."""
    kernel, stride, padding, dilation = (2, 2), (1, 2), (1, int(rng.integers(0, 3))), (2, 1)
    many = math.prod(kernels.places((3, 4), kernel, stride, padding, dilation))
    how = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return [rng.uniform(-2, 2, (2, 4, many))], {"size": (3, 4), **how}


@op(
    lambda g, x_shape, **how: add_columns(g, size=tuple(x_shape[-2:]), **how),
    linear=True,
    trailing=True,
    samples=shapes("3 4 | 2 3 5", **_HOW),
)
def columns(x, *, kernel, stride, padding, dilation):
    """The windows of planes (..., H, W) as columns (..., taps, places)."""
    return kernels.unfold(x, kernel, stride, padding, dilation)


@op(lambda g, size, **how: columns(g, **how), linear=True, trailing=True, samples=[_columns] * 3)
def add_columns(g, *, size, kernel, stride, padding, dilation):
    """Columns added up where their windows lie in planes of a size."""
    return kernels.fold(g, size, kernel, stride, padding, dilation)


def unfold_windows(input, kernel_size, dilation=1, padding=0, stride=1):
    """Windows of images (N, C, H, W) as columns (N, C * taps, places): PyTorch's `nn.functional.unfold`."""
    who = "unfold"
    if not hasattr(input, "ndim") or input.ndim not in (3, 4):
        raise ValueError(f"{who}: input must be (N, C, H, W) or (C, H, W), got shape {getattr(input, 'shape', input)}")
    how = _windows(who, kernel_size, dilation, padding, stride)
    if min(kernels.places(input.shape[-2:], **how)) < 1:
        kernel = how["kernel"]
        raise ValueError(f"{who}: windows of {kernel} do not fit input of shape {tuple(input.shape)} with its padding")
    y = columns(input, **how)
    *lead, channels, taps, many = y.shape
    return reshape_to(y, shape=(*lead, channels * taps, many))


def fold_windows(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns (N, C * taps, places) added up where windows lie in images (N, C, *output_size): PyTorch's `fold`."""
    who = "fold"
    if not hasattr(input, "ndim") or input.ndim not in (2, 3):
        raise ValueError(f"{who}: input must be (N, C * taps, places), got shape {getattr(input, 'shape', input)}")
    how = _windows(who, kernel_size, dilation, padding, stride)
    size, taps = numbers(output_size, 2, who, "output_size", 1), math.prod(how["kernel"])
    many, (*lead, rows, given) = tuple(kernels.places(size, **how)), input.shape
    if rows % taps:
        shape = tuple(input.shape)
        raise ValueError(f"{who}: axis {len(lead)} of input must be a multiple of the {taps} taps, got {shape}")
    if min(many) < 1 or given != math.prod(many):
        raise ValueError(f"{who}: images of {size} have {many} = {math.prod(many)} windows, input has {given}")
    return add_columns(reshape_to(input, shape=(*lead, rows // taps, taps, given)), size=size, **how)


def _windows(who, kernel_size, dilation, padding, stride):
    """The static parameters."""
    given = {"kernel_size": (kernel_size, 1), "stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    return {what.removesuffix("_size"): numbers(v, 2, who, what, least) for what, (v, least) in given.items()}
