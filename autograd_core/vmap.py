"""Batching: a value with an extra leading axis that the function being mapped does not see."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes
from .op import REGISTRY, Op, Traced
from .tape import memory
from .views import write


class Batched(Traced):
    """A batch of values, at the level of the `vmap` that made it; its first axis is the batch."""

    __slots__ = ("batch", "level")

    def __init__(self, batch: Any, level: int):
        self.batch, self.level = batch, level

    shape = property(lambda self: self.batch.shape[1:])
    dtype = property(lambda self: self.batch.dtype)
    ndim = property(lambda self: self.batch.ndim - 1)
    requires_grad = False

    def apply(self, op: Op, args: tuple, params: dict) -> Any:
        """The op on the whole batch."""
        if any(isinstance(a, Traced) and a.level > self.level for a in args):
            return max((a for a in args if isinstance(a, Traced)), key=lambda a: a.level).apply(op, args, params)
        batched = [isinstance(a, Batched) and a.level == self.level for a in args]
        values = [a.batch if b else a for a, b in zip(args, batched)]
        size = self.batch.shape[0]
        if op.promotes:
            values = self.promoted(op, args, values, batched)
        if op.batch is not None:
            y = op.batch(size, values, batched, **params)
        elif op.elementwise:
            y = op.call(*aligned(values, batched), **params)
        elif op.trailing:
            y = op.call(*spread(values, batched, size), **params)
        else:
            y = one_by_one(op, values, batched, size, params)
        if isinstance(y, tuple):
            return tuple(Batched(_entry(v), self.level) for v in y)
        return None if y is None else Batched(_entry(y), self.level)

    def promoted(self, op: Op, args: tuple, values: list, batched: list) -> list:
        """Values of the type that each member alone would have: a batch of numbers counts as a number."""
        target = dtypes.result_type(*args)
        return [
            v.astype(target) if b and v.dtype.kind in "fc" and v.dtype != target else v for v, b in zip(values, batched)
        ]

    def write(self, new: Any, who: str = "write") -> None:
        """Take on other values in place."""
        if isinstance(new, Batched) and new.level == self.level:
            new = new.batch
        elif isinstance(new, Traced) and new.shape == self.shape:  # the same for all
            new = REGISTRY["broadcast_to"].call(new, shape=self.batch.shape)
        write(self.batch, new, who)

    def detach(self) -> Any:
        """The batch without its history."""
        return Batched(self.batch.detach(), self.level)

    def innermost(self) -> Any:
        """The value one level below."""
        return self.batch

    def memory(self) -> Any:
        """The array that owns the batch's memory."""
        return memory(self.batch)

    def __repr__(self):
        return f"Batched({self.batch!r})"


def _entry(v: Any) -> Any:
    return v if isinstance(v, (np.ndarray, Traced)) else np.asarray(v)


def aligned(values: list, batched: list) -> list:
    """Values whose batch axes come before every axis of every other value, as broadcasting needs."""
    rank = max((v.ndim if hasattr(v, "ndim") else np.ndim(v)) - b for v, b in zip(values, batched))
    fill = lambda v: v.reshape((v.shape[0], *(1,) * (rank - v.ndim + 1), *v.shape[1:]))
    return [fill(v) if b and v.ndim - 1 < rank else v for v, b in zip(values, batched)]


def spread(values: list, batched: list, size: int) -> list:
    """Arrays that all have the batch axis."""
    broadcast = REGISTRY["broadcast_to"].call
    whole = lambda v: v if np.ndim(v) == 0 and not hasattr(v, "shape") else broadcast(v, shape=(size, *v.shape))
    return [v if b or v is None else whole(v) for v, b in zip(values, batched)]


def one_by_one(op: Op, values: list, batched: list, size: int, params: dict) -> Any:
    """The op on each member of the batch, and the results stacked."""
    if size == 0:
        raise ValueError(f"vmap: {op.name} has no rule for an empty batch")
    members = [op.call(*[v[k] if b else v for v, b in zip(values, batched)], **params) for k in range(size)]
    stack = REGISTRY["stack"].call
    if isinstance(members[0], tuple):
        return tuple(stack(*column, axis=-1 - np.ndim(column[0])) for column in zip(*members))
    return stack(*members, axis=-1 - np.ndim(members[0]))
