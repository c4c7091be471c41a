"""Tensors that a function keeps under a name from one call to the next: a replay is given what is there, and puts another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..tape import Leaf
from ..tensor import Tensor
from ..tree import flatten


class Kept(NamedTuple):
    """A place, which is a dict and a name in it, and how to build what stands there of tensors."""

    place: dict
    name: str
    build: Callable
    forms: tuple  # of the tensors: their shapes and types

    def tensors(self) -> list | None:
        """What stands there now; None if it is of another form."""
        leaves = tensors_in(self.place.get(self.name))
        return leaves if leaves is not None and forms_of(leaves) == self.forms else None

    def put(self, tensors: list) -> None:
        """Let these stand there."""
        self.place[self.name] = self.build(tensors)


class Slope(NamedTuple):
    """A gradient that a leaf has before a run, which reads it or adds to it: another tensor in each run, perhaps."""

    place: Leaf
    name: str
    build: None
    forms: tuple

    def tensors(self) -> list | None:
        """The gradient that is there now; None if it is of another form."""
        found = [] if self.place.grad is None else [self.place.grad]
        return found if found and forms_of(found) == self.forms else None

    def put(self, tensors: list) -> None:
        """It is changed in place; where another is there after the run, that is one of the run's gradients."""


def kept(place: Any, name: str, first: Any, last: Any) -> tuple[Kept, list, list] | None:
    """A place at which a run found tensors, and left others of the same form; and both."""
    if first is last or not isinstance(place, dict):
        return None
    before, after = tensors_in(first), tensors_in(last)
    if not before or not after or type(first) is not type(last) or forms_of(before) != forms_of(after):
        return None
    return Kept(place, name, flatten(last)[1], forms_of(after)), before, after


def tensors_in(value: Any) -> list | None:
    """The leaves of a nest, if all are tensors."""
    leaves = flatten(value)[0] if isinstance(value, (Tensor, tuple, list, dict)) else []
    return leaves if leaves and all(isinstance(t, Tensor) for t in leaves) else None


def forms_of(tensors: list) -> tuple:
    """Shapes and types, and whether there is a history."""
    return tuple((t.shape, t.dtype, t.node is None, t.value.flags.c_contiguous, type(t)) for t in tensors)
