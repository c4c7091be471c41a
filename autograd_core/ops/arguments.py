"""What functions are given: whole numbers, sizes, lists of tensors; read, or refused with what was given."""

from __future__ import annotations

import functools
import operator
import os
from functools import reduce
from math import inf, prod
from typing import Any

import numpy as np

from ..dtypes import promote_types
from ..op import Traced
from ..tape import observe, state
from ..tensor import LEAVE

# --- read and checked ------------------------------------------------------------------------------------------------


def integer(n: Any, name: str, what: str) -> int:
    """A whole number, or a TypeError that says what was given."""
    if n.__class__ is int:
        return n
    try:
        return operator.index(n)
    except TypeError:
        raise TypeError(f"{name}: {what} must be an integer, got {n!r:.60}") from None


def integers(numbers: tuple, name: str, what: str = "a size") -> tuple[int, ...]:
    """Whole numbers given one by one, or as one tuple or list."""
    if len(numbers) == 1 and isinstance(numbers[0], (tuple, list, np.ndarray)):
        numbers = tuple(numbers[0])
    return tuple([n if n.__class__ is int else integer(n, name, what) for n in numbers])


def completed(shape: tuple, total: int, given: tuple, name: str) -> tuple[int, ...]:
    """A shape with -1 replaced by what is left of `total` entries; `given` is what the message calls their shape."""
    if -1 in shape:
        known = prod([n for n in shape if n != -1])
        if shape.count(-1) == 1 and known and total % known == 0:
            return tuple([total // known if n == -1 else n for n in shape])
    elif prod(shape) == total and (not shape or min(shape) >= 0):
        return shape
    if shape.count(-1) > 1:
        raise ValueError(f"{name}: only one size may be -1, got {shape}")
    if any(n < -1 for n in shape):
        raise ValueError(f"{name}: sizes cannot be negative, got {shape}")
    if -1 in shape and not total and not prod([n for n in shape if n != -1]):
        raise ValueError(f"{name}: -1 in {shape} could be any size, as there are no entries; give it explicitly")
    raise ValueError(
        f"{name}: {total} entries of shape {given} do not fill shape {shape}; -1 stands for the size that would"
    )


def common_shape(sizes: list, name: str) -> tuple[int, ...]:
    """The shape to which several broadcast."""
    try:
        return np.broadcast_shapes(*sizes)
    except ValueError:
        raise ValueError(f"{name}: shapes {', '.join(map(str, sizes))} do not broadcast together") from None


def sequence(tensors: Any, name: str, at_least: int = 1) -> list:
    """A list or tuple of tensors, of one dtype: PyTorch's promotion decides which."""
    if isinstance(tensors, (Traced, np.ndarray)):
        tensors = list(tensors) if tensors.ndim else [tensors]
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}: expected a list or tuple of tensors, got {type(tensors).__name__}")
    tensors = [t if isinstance(t, (Traced, np.ndarray)) else entry(t, name) for t in tensors]
    if len(tensors) < at_least:
        raise ValueError(f"{name}: needs at least {at_least} tensor{'s' * (at_least > 1)}, got {len(tensors)}")
    if any(t.dtype is not tensors[0].dtype for t in tensors):
        dtype = reduce(promote_types, [t.dtype for t in tensors])
        tensors = [t if t.dtype == dtype else t.astype(dtype) for t in tensors]
    return tensors


def entry(value: Any, name: str) -> np.ndarray:
    """A number as an array; anything else among tensors is a mistake."""
    if not isinstance(value, (int, float, complex, np.generic)):
        raise TypeError(f"{name}: expected tensors, got {type(value).__name__}")
    return np.asarray(value)


def needs_axes(x: Any, count: int, name: str) -> None:
    """Raise unless x has at least so many axes."""
    if x.ndim < count:
        raise ValueError(f"{name}: needs a tensor with at least {count} axes, got shape {x.shape}")


def needs_number(value: Any, name: str) -> None:
    if np.ndim(value) != 0:
        raise ValueError(f"{name}: value must be one number, got shape {tuple(value.shape)}")


def afford(shape: tuple, dtype: np.dtype, name: str) -> None:
    """Refuse a result that this machine's memory cannot hold."""
    if (needed := prod(shape) * dtype.itemsize) > 1 << 28 and needed > memory_limit():
        there = f"{needed / 2**30:.4g} GiB, and there are {memory_limit() / 2**30:.4g}"
        raise MemoryError(f"{name}: {shape} {dtype} would take {there}")


@functools.cache
def memory_limit() -> float:
    """Bytes that this process may have: those of the machine, or fewer if a control group says so."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return inf
    try:
        with open("/sys/fs/cgroup/memory.max") as limit:
            return min(total, int(limit.read()))
    except (OSError, ValueError):
        return total


# --- the numbers inside ----------------------------------------------------------------------------------------------


def differs(i: Any) -> bool:
    """Whether a value differs over the batch of a `vmap` around."""
    while isinstance(i, Traced):
        if hasattr(i, "batch"):
            return True
        i = i.innermost()
    return False


def bare(value: Any) -> Any:
    """The numbers of a value, inside however many transforms, to check them."""
    while isinstance(value, Traced):
        value = value.innermost()
    return value


def innermost_of(index: Any, who: str = "") -> np.ndarray:
    """The numbers of a value, by which is decided what to compute: whoever captures a run must know.

    Where they decide on shapes, a batch of them cannot: its members would go different ways.
    """
    while isinstance(index, Traced):
        if who and type(index).__name__ == "Batched":
            raise RuntimeError(
                f"{who} decide what is computed, and inside vmap they differ over the batch; let all members share them "
                "(in_dims None), or call the function in a loop"
            )
        if state.mode is not None:
            observe(LEAVE, (index,), {"decides": True}, None)
        index = index.innermost()
    return index
