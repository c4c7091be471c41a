"""Weights kept within a ball: the norm of what comes into each unit is bounded, as is often done beside dropout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd_core import Tensor
from autograd_core.ops.reduce import reduce_norm
from autograd_core.tape import mark_written

from .clip_grad import listed


def max_norm_(weight: Tensor, max_norm: float, norm_type: float = 2.0, dim: int = 0) -> Tensor:
    """Shrink, in place and unrecorded, those parts of a weight along `dim` whose norm is above max_norm."""
    if not max_norm > 0:
        raise ValueError(f"max_norm_: max_norm must be positive, got {max_norm}")
    if weight.ndim < 2 or not -weight.ndim <= dim < weight.ndim:
        raise ValueError(
            f"max_norm_: needs a weight (outputs, inputs, ...) of two axes or more and one of them as dim, "
            f"got shape {tuple(weight.shape)} and dim={dim}"
        )
    w = weight.value
    others = tuple(a for a in range(-w.ndim, 0) if a != (dim if dim < 0 else dim - w.ndim))
    size = reduce_norm(w, p=float(norm_type), axis=others, keepdims=True)
    over = size > max_norm
    if over.any():
        np.multiply(w, np.where(over, max_norm / np.where(over, size, 1), 1).astype(size.dtype), out=w)
        mark_written(w, "max_norm_")
    return weight


class MaxNorm:
    """Applies `max_norm_` to every weight among some parameters; biases and other vectors are left alone.

    Call it after each step, or hand it to the optimizer: `optimizer.register_step_post_hook(MaxNorm(parameters, 3))`.
    """

    def __init__(self, parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, dim: int = 0):
        self.weights = [p for p in listed(parameters, "MaxNorm") if p.ndim > 1]
        self.max_norm, self.norm_type, self.dim = max_norm, norm_type, dim
        if not self.weights:
            raise ValueError("MaxNorm: no parameter has two axes or more, so there is nothing to bound")
        if not max_norm > 0:
            raise ValueError(f"MaxNorm: max_norm must be positive, got {max_norm}")

    def __call__(self, *ignored: Any) -> None:
        """Project; the arguments are those of a hook."""
        for w in self.weights:
            max_norm_(w, self.max_norm, self.norm_type, self.dim)
