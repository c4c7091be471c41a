"""Entries divided by a norm: of vectors, and of neighbouring channels."""

from __future__ import annotations

import math

import numpy as np

from .joining import cat
from .math import clamp, pow
from .reduce import norm

__all__: list[str] = []


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """input divided by its p-norm along dim, or by eps if that is larger."""
    if out is not None:
        raise TypeError("normalize: out= is not supported; use the result")
    return input / clamp(norm(input, p, dim, True), min=eps)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """input (N, C, ...) divided by (k + alpha * mean of squares over `size` neighbouring channels) ** beta."""
    if input.ndim < 3:
        raise ValueError(f"local_response_norm: input must have 3 axes or more, got shape {tuple(input.shape)}")
    if size < 1:
        raise ValueError(f"local_response_norm: size must be positive, got {size}")
    if not math.prod(input.shape):
        return input
    channels, square = input.shape[1], input * input
    edge = lambda width: np.zeros((input.shape[0], width, *input.shape[2:]), input.dtype)
    wide = cat((edge(size // 2), square, edge((size - 1) // 2)), 1)
    near = wide[:, :channels]
    for shift in range(1, size):
        near = near + wide[:, shift : shift + channels]
    return input / pow(near * (alpha / size) + k, beta)
