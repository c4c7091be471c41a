"""Layers that change the shape and nothing else."""

from __future__ import annotations

import operator
from typing import Any

from autograd_core import Tensor

from .module import Module


class Flatten(Module):
    """Axes from start_dim to end_dim made one; as it is made, all but the first."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The same entries."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis made several, of the sizes unflattened_size; -1 stands for the size that is left."""

    def __init__(self, dim: int, unflattened_size: Any):
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of sizes, got {unflattened_size!r}")
        for size in unflattened_size:
            if not hasattr(size, "__index__"):
                raise TypeError(f"Unflatten: unflattened_size must be whole numbers, got {unflattened_size!r}")
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """The same entries."""
        return input.unflatten(self.dim, tuple(map(operator.index, self.unflattened_size)))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
