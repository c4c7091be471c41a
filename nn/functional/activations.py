"""Activation functions: those of PyTorch, and others that are found in books."""

from __future__ import annotations

import warnings
from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.ops.activations import softmin as negative_softmax

__all__ = ["log_softmax", "softmax", "softmin"]


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
    return ag.softmax(input, _axis(input, dim, "softmax"), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(input)), without going through it."""
    return ag.log_softmax(input, _axis(input, dim, "log_softmax"), dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-input)"""
    return negative_softmax(input, _axis(input, dim, "softmin"), dtype=dtype)
