"""Activation functions: those of PyTorch, and others that are found in books."""

from __future__ import annotations

import warnings
from typing import Any

import autograd_core as ag
from autograd_core import Tensor, abs, clamp, norm, tanh, where
from autograd_core.ops.activations import softmin as negative_softmax

__all__ = [
    "hard_sigmoid", "log_softmax", "maxout", "scaled_tanh", "softmax", "softmin", "squash", "tanh_linear",
    "ultra_fast_sigmoid",
]  # fmt: skip


# --- probabilities ---------------------------------------------------------------------------------------------------


def _axis(input: Any, dim: int | None, name: str) -> int:
    """dim, or the one that PyTorch takes where none is given."""
    if dim is not None:
        return dim
    axis = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(f"{name}: give dim; without it dim={axis} is taken, since input has {input.ndim} axes", stacklevel=4)
    return axis


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(input) divided by its sum along dim."""
    return ag.softmax(input, _axis(input, dim, "softmax"), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(input)), without going through it."""
    return ag.log_softmax(input, _axis(input, dim, "log_softmax"), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-input)"""
    return negative_softmax(input, _axis(input, dim, "softmin"), dtype=dtype)


# --- of books --------------------------------------------------------------------------------------------------------


def hard_sigmoid(input: Tensor, slope: float = 0.2) -> Tensor:
    """clamp(slope * input + 1/2, 0, 1): a sigmoid of three straight pieces.  PyTorch's `hardsigmoid` has slope 1/6."""
    return clamp(slope * input + 0.5, 0.0, 1.0)


def ultra_fast_sigmoid(input: Tensor) -> Tensor:
    """(1 + t(input / 2)) / 2, where t is odd and in three pieces near tanh; within 0.028 of the sigmoid.

    t(z) = 1.5 z / (1 + z) below z = 1.7, 0.935409070603099 + 0.0458812946797165 (z - 1.7) below 3, 0.99505475368673 from
    there on.
    """
    z = abs(input) / 2
    line = 0.935409070603099 + 0.0458812946797165 * (z - 1.7)
    t = where(z < 1.7, 1.5 * z / (1 + z), where(z < 3, line, 0.99505475368673))
    return 0.5 + 0.5 * where(input < 0, -t, t)


def scaled_tanh(input: Tensor, scale: float = 1.7159, slope: float = 2 / 3) -> Tensor:
    """scale * tanh(slope * input); as it stands it is near 1 at 1, where its second derivative is largest."""
    return scale * tanh(slope * input)


def tanh_linear(input: Tensor, slope: float = 0.1) -> Tensor:
    """tanh(input) + slope * input: no place is so flat that nothing is learned there."""
    return tanh(input) + slope * input


def maxout(input: Tensor, pieces: int, dim: int = 1) -> Tensor:
    """The largest of each `pieces` neighbours along dim: of (N, C, ...) what is left is (N, C / pieces, ...)."""
    axis = dim % input.ndim
    count = input.shape[axis]
    if pieces < 1 or count % pieces:
        raise ValueError(f"maxout: {count} entries along dim {dim} of {tuple(input.shape)} make no groups of {pieces}")
    return input.unflatten(axis, (count // pieces, pieces)).amax(axis + 1)


def squash(input: Tensor, dim: int = -1) -> Tensor:
    """input * |input| / (1 + |input|**2) along dim: vectors of the same direction, and of a length below 1."""
    length = norm(input, 2, dim, True)
    return input * (length / (1 + length * length))
