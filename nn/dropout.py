"""Dropout: in training, entries or channels dropped by chance."""

from __future__ import annotations

from collections.abc import Callable

from autograd_core import Tensor

from . import functional as F
from .module import Module


class Dropping(Module):
    """What the dropouts have in common; in evaluation they give back their input."""

    function: Callable

    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p is the probability to drop an entry, from 0 to 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """The same shape."""
        return self.function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(Dropping):
    """Entries set to 0 with probability p, and the others scaled so that the mean stays."""

    function = staticmethod(F.dropout)


class Dropout1d(Dropping):
    """Whole channels of (N, C, L) or (C, L) dropped."""

    function = staticmethod(F.dropout1d)


class Dropout2d(Dropping):
    """Whole channels of (N, C, H, W) dropped; three axes are taken for (N, C, L), as in PyTorch."""

    function = staticmethod(F.dropout2d)


class Dropout3d(Dropping):
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) dropped."""

    function = staticmethod(F.dropout3d)


class AlphaDropout(Dropping):
    """Entries set to what SELU tends to with probability p, then scaled to keep mean and variance."""

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(Dropping):
    """AlphaDropout of whole channels of (N, C, ...)."""

    function = staticmethod(F.feature_alpha_dropout)
