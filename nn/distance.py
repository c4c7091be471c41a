"""Distances and angles between pairs of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core import Tensor, as_tensor, empty

from . import functional as F
from .module import Module
from .parameter import Buffer

__all__ = ["CosineSimilarity", "PairwiseDistance", "RadialBasis"]


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last axis."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(..., n) and (..., n) to (...)."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between x1 and x2 along dim."""

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Two of the same shape to the same without axis dim."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class RadialBasis(Module):
    """Squared distances to `prototypes` (number, size), which are given and stay: the smallest is that of the class."""

    def __init__(self, prototypes: Any):
        if np.ndim(prototypes) != 2:
            raise ValueError(f"RadialBasis: prototypes must be (number, size), got shape {np.shape(prototypes)}")
        self.prototypes = Buffer(empty(*np.shape(prototypes)).copy_(as_tensor(prototypes)))

    def forward(self, input: Tensor) -> Tensor:
        """(..., size) to (..., number)."""
        if input.shape[-1:] != self.prototypes.shape[1:]:
            needed = f"(..., {self.prototypes.shape[1]})"
            raise ValueError(f"RadialBasis: input must be {needed} as prototypes are, got shape {tuple(input.shape)}")
        return ((input.unsqueeze(-2) - self.prototypes) ** 2).sum(-1)

    def extra_repr(self) -> str:
        return f"{self.prototypes.shape[0]}, {self.prototypes.shape[1]}"
