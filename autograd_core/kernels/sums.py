"""Sums that lose few digits: NumPy adds in pairs along contiguous axes only, and rounds float16 at every step."""

from __future__ import annotations

import numpy as np

LONG, ROWS = 1024, 64  # along an axis longer than the first, sums are made of sums of so many entries as the second
single, half = np.dtype("float32"), np.dtype("float16")


def add_up(x: np.ndarray, axis: tuple, keepdims: bool = False) -> np.ndarray:
    """The sum over some axes, counted from the end."""
    if x.dtype == half:
        with np.errstate(over="ignore"):
            return add_up(x.astype(single), axis, keepdims).astype(half)
    if x.size > LONG and x.dtype.char in "fF" and axis and not (len(axis) == x.ndim and x.flags.forc):
        a = max(axis, key=x.shape.__getitem__)
        if x.shape[a] > LONG and abs(x.strides[a]) != x.itemsize:
            while x.shape[a] > ROWS:
                x = _in_blocks(x, a)
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def _in_blocks(x: np.ndarray, a: int) -> np.ndarray:
    """Partial sums along an axis, each of entries far apart, so that one addition serves many of them."""
    count, before, after = x.shape[a] // ROWS, x.shape[:a], x.shape[x.ndim + a + 1 :]
    head, tail = np.split(x, [count * ROWS], axis=a)
    y = np.add.reduce(head.reshape(*before, ROWS, count, *after), axis=a - 1)
    return np.concatenate([y, np.add.reduce(tail, axis=a, keepdims=True)], axis=a) if tail.shape[a] else y


def running_in_single(accumulate, x: np.ndarray, axis: int) -> np.ndarray:
    """An accumulation along an axis in which float16 is rounded once, at the end."""
    if x.dtype != half:
        return accumulate(x, axis)
    with np.errstate(over="ignore"):
        return accumulate(x.astype(single), axis).astype(half)
