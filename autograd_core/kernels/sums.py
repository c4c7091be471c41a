"""Sums that lose few digits: NumPy adds in pairs along contiguous axes only, and rounds float16 at every step."""

from __future__ import annotations

import numpy as np

ROWS = 256  # added one after another; the partial sums of so many are added up in turn
single, half = np.dtype("float32"), np.dtype("float16")


def add_up(x: np.ndarray, axis: tuple, keepdims: bool = False) -> np.ndarray:
    """The sum over some axes, counted from the end."""
    if x.dtype is half or x.dtype == half:
        with np.errstate(over="ignore"):
            return add_up(x.astype(single), axis, keepdims).astype(half)
    if x.size > 2 * ROWS and x.dtype.char in "fF" and axis and not (len(axis) == x.ndim and x.flags.forc):
        a = max(axis, key=x.shape.__getitem__)
        if x.shape[a] > 2 * ROWS and abs(x.strides[a]) != x.itemsize:
            return _in_blocks(x, a, axis, keepdims)
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def _in_blocks(x: np.ndarray, a: int, axis: tuple, keepdims: bool) -> np.ndarray:
    """The sum of partial sums along axis a, each of entries far apart so that neighbours are added in one go."""
    count, before, after = x.shape[a] // ROWS, x.shape[:a], x.shape[x.ndim + a + 1 :]
    head, tail = np.split(x, [count * ROWS], axis=a)
    partial = np.add.reduce(head.reshape(*before, ROWS, count, *after), axis=a - 1)
    total = add_up(partial, axis, keepdims)
    return total + np.add.reduce(tail, axis=axis, keepdims=keepdims) if tail.shape[a] else total


def running_in_single(accumulate, x: np.ndarray, axis: int) -> np.ndarray:
    """An accumulation along an axis in which float16 is rounded once, at the end."""
    if x.dtype != half:
        return accumulate(x, axis)
    with np.errstate(over="ignore"):
        return accumulate(x.astype(single), axis).astype(half)
