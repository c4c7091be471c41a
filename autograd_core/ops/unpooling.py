"""Maxima put back to where `max_pool` found them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import op
from .arranging import reshape_to
from .pooling import planes
from .resampling import numbers
from .scatter import scatter

__all__: list[str] = []


@op(differentiable=False, batch=lambda size, values, batched, **params: places_in(*values, **params))
def places_in(indices, *, sizes, name):
    """Indices, none of which may lie outside of images of some sizes; a replay asks it again."""
    count = math.prod(sizes)
    if indices.size and not (indices.min() >= 0 and indices.max() < count):
        bad = int(indices[(indices < 0) | (indices >= count)].flat[0])
        error = IndexError(
            f"{name}: index {bad} lies outside of a result of size {sizes}, which has {count} entries; indices are what "
            "max_pool gave with return_indices=True, and the sizes follow from kernel_size, stride, padding, output_size"
        )
        error.explained = True  # it names the function that was called
        raise error
    return indices.astype(np.int64)


def _unpool(d: int, name: str, input, indices, kernel_size, stride, padding, output_size) -> Any:
    shape = planes(input.shape, d, name)
    if tuple(indices.shape) != tuple(input.shape):
        raise ValueError(
            f"{name}: indices must have the shape of input {tuple(input.shape)}, got {tuple(indices.shape)}"
        )
    kernel = numbers(kernel_size, d, name, "kernel_size")
    stride = kernel if stride is None else numbers(stride, d, name, "stride")
    padding = numbers(padding, d, name, "padding")
    usual = tuple([(n - 1) * s + k - 2 * p for n, k, s, p in zip(shape, kernel, stride, padding)])
    if output_size is not None:
        wanted = tuple(output_size)[-d:]
        if len(wanted) != d or any(not m - s < w < m + s for m, s, w in zip(usual, stride, wanted)):
            raise ValueError(
                f"{name}: output_size {tuple(output_size)} is too far from {usual}, at least a stride {stride}"
            )
        usual = wanted
    lead, n = tuple(input.shape[:-d]), math.prod(shape)
    zeros = np.zeros((*lead, math.prod(usual)), input.dtype)
    places = places_in(indices, sizes=usual, name=name)
    flat = [reshape_to(v, shape=(*lead, n)) for v in (places, input)]
    return reshape_to(scatter(zeros, -1, *flat), shape=(*lead, *usual))


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros in the size before max_pool1d, with the maxima where they were."""
    return _unpool(1, "max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros in the size before max_pool2d, with the maxima where they were."""
    return _unpool(2, "max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros in the size before max_pool3d, with the maxima where they were."""
    return _unpool(3, "max_unpool3d", input, indices, kernel_size, stride, padding, output_size)
