"""A shorter way than `apply` through ops of several arrays or results, for plain tensors in a mode in which nobody watches.

A function that knows its op asks for `arrays_of` its arguments; if there are any, it computes, and makes a tensor of what
comes out with `recorded`.  Only the first of several results is made a tensor of: whoever wants all calls the op.  What
is said here twice is said for speed, as in `shortcuts`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import explained
from .op import Op
from .tape import NO_GRAD, Pick, state
from .tensor import PLAIN, Tensor, as_entry, at, record
from .views import refresh

new = object.__new__


def arrays_of(args: tuple) -> list | None:
    """The arrays of plain tensors, and plain arrays; None if others are among them, or somebody watches."""
    mode = state.mode
    if mode is not None and mode is not NO_GRAD:
        return None
    values, traced = [], False
    for a in args:
        kind = a.__class__
        if kind is Tensor or kind is not np.ndarray and isinstance(a, Tensor):
            if a.level:
                return None
            if a.origin is not None:
                refresh(a)
            values.append(a.value)
            traced = True
        elif kind is np.ndarray:
            values.append(a)
        else:
            return None
    return values if traced else None


def unrecorded(args: tuple) -> list | None:
    """The arrays, if of what is done with them nothing is recorded either."""
    values = arrays_of(args)
    if values is not None and state.mode is None:
        for a in args:
            if a.__class__ is not np.ndarray and a.node is not None:
                return None
    return values


def recorded(op: Op, args: tuple, values: list, params: dict, y: Any) -> Tensor:
    """The tensor of what an op has made of values, or of the first that it has made, recorded if gradients are wanted."""
    several = y.__class__ is tuple
    first = y[0] if several else y
    t = new(Tensor)
    t.value = first = first if first.__class__ is np.ndarray else as_entry(first)
    t.leaf = t.origin = t.node = None
    if state.mode is None:
        parents, needs, bit = [], 0, 1
        for a in args:
            if a.__class__ is not np.ndarray and a.node is not None:
                parents.append(a.node)
                needs |= bit
            bit += bit
        if parents:
            y = (first, *y[1:]) if several else first
            node = record(op, y, values, params, parents, bit + needs)
            t.node = Pick.of(node, 0, first.shape, first.dtype) if several and node else node
    return t


def unwatched(x: Any) -> bool:
    """Whether x is a plain tensor, and nobody watches."""
    mode = state.mode
    return x.__class__ in PLAIN and x.origin is None and (mode is None or mode is NO_GRAD)


def found_at(take: Any, x: Tensor, y: np.ndarray, places: np.ndarray, params: dict) -> Tensor:
    """The tensor of entries of such an x that were found with their places, as the op `take` would take them from there."""
    t = at(y)
    if x.node is not None and state.mode is None:
        t.node = record(take.op, y, [x.value, places], params, [x.node], 0b101)
    return t


def first_of(call: Any, args: tuple, params: dict) -> Any:
    """call(*args, **params), or the first of its results, for the function `call` of an op."""
    values = arrays_of(args)
    if values is None:
        y = call(*args, **params)
        return y[0] if y.__class__ is tuple else y
    op = call.op
    try:
        y = op.forward(*values, **params)
    except Exception as error:
        raise explained(op, args, error) from error
    return recorded(op, args, values, params, y)
