"""Padding of the last axes: with a number, or with what is inside."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor
from autograd_core.ops.resampling import numbers

from . import functional as F
from .module import Module


class Padding(Module):
    """What paddings have in common: widths before and after the last axis, then the one before it, and so on."""

    rank: int
    mode: str

    def __init__(self, padding: Any):
        self.padding = numbers(padding, 2 * self.rank, type(self).__name__, "padding")

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) or (C, ...) to the same with larger axes, or smaller ones where a width is negative."""
        if input.ndim not in (self.rank + 1, self.rank + 2):
            given = f"got shape {tuple(input.shape)}"
            raise ValueError(f"input must be (N, C, ...) or (C, ...) with {self.rank} axes to pad, {given}")
        return F.pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class ReflectionPad1d(Padding):
    """The last axis mirrored at its ends, which are not repeated."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(Padding):
    """The last two axes mirrored at their ends, which are not repeated."""

    rank, mode = 2, "reflect"


class ReflectionPad3d(Padding):
    """The last three axes mirrored at their ends, which are not repeated."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(Padding):
    """The ends of the last axis repeated."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(Padding):
    """The ends of the last two axes repeated."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(Padding):
    """The ends of the last three axes repeated."""

    rank, mode = 3, "replicate"


class CircularPad1d(Padding):
    """The last axis continued from its other end."""

    rank, mode = 1, "circular"


class CircularPad2d(Padding):
    """The last two axes continued from their other ends."""

    rank, mode = 2, "circular"


class CircularPad3d(Padding):
    """The last three axes continued from their other ends."""

    rank, mode = 3, "circular"


class ConstantPad(Padding):
    """What paddings with a number have in common."""

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Any shape with so many axes or more, to the same with larger ones."""
        return F.pad(input, self.padding, mode="constant", value=self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPad):
    """A number around the last axis."""

    rank = 1


class ConstantPad2d(ConstantPad):
    """A number around the last two axes."""

    rank = 2


class ConstantPad3d(ConstantPad):
    """A number around the last three axes."""

    rank = 3


class ZeroPad(ConstantPad):
    """What paddings with zeros have in common."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(ZeroPad, ConstantPad1d):
    """Zeros around the last axis."""


class ZeroPad2d(ZeroPad, ConstantPad2d):
    """Zeros around the last two axes."""


class ZeroPad3d(ZeroPad, ConstantPad3d):
    """Zeros around the last three axes."""
