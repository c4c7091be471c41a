"""Memory for results, used again: fresh pages from the system cost several times what it takes to fill them."""

from __future__ import annotations

import math

import numpy as np

LEAST = 1 << 20  # bytes; below that NumPy's own allocator is as quick
MOST = 1 << 30  # bytes that are kept while nobody uses them
LINE = 64  # what results are aligned to: a cache line, and the widest vector

_free: dict[int, list[np.ndarray]] = {}  # by size
_kept = 0


class Block:
    """What an array lives in; when the last view of the array is gone, the memory is free for another."""

    __slots__ = ("__array_interface__", "raw")

    def __del__(self, free=_free, most=MOST):
        global _kept
        size = self.raw.nbytes
        if _kept + size <= most:
            _kept += size
            free.setdefault(size, []).append(self.raw)


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array to be filled; one that is large is likely to be where another was."""
    size = math.prod(shape) * dtype.itemsize
    if size < LEAST:
        return np.empty(shape, dtype)
    block = Block()
    block.raw = raw = _taken(_class(size))
    address = raw.__array_interface__["data"][0]
    described = {"data": (address + -address % LINE, False), "typestr": dtype.str, "shape": shape, "version": 3}
    block.__array_interface__ = described
    return np.asarray(block)


def _class(size: int) -> int:
    """Sizes in steps of an eighth of a power of two, so that blocks fit what comes next, with room to align."""
    step = 1 << max(size.bit_length() - 4, 12)
    return size + -size % step + LINE


def _taken(size: int) -> np.ndarray:
    """A free block of a size, or a new one."""
    global _kept
    try:
        raw = _free[size].pop()
    except (KeyError, IndexError):
        return np.empty(size, np.uint8)
    _kept -= size
    return raw


def trim() -> None:
    """Give all unused memory back to the system."""
    global _kept
    _free.clear()
    _kept = 0
