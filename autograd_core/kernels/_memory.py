"""Memory for results, used again: fresh pages from the system cost several times what it takes to fill them."""

from __future__ import annotations

import ctypes
import math
import os
import sys

import numpy as np

LEAST = 1 << 20  # bytes; below that NumPy's own allocator is as quick
SOME = 1 << 14  # bytes of a copy that is read more often than made
LINE = 64  # what results are aligned to: a cache line, and the widest vector


def _most() -> int:
    """Bytes that are kept while nobody uses them: a GiB, or an eighth of what the machine has."""
    try:
        return min(1 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8)
    except (AttributeError, ValueError, OSError):
        return 1 << 28


MOST = _most()
_give_back = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # glibc's
_free: dict[int, list[tuple[np.ndarray, int]]] = {}  # by size: memory, and where its first line of the cache is
_kept = [0]  # bytes in _free


class Block:
    """What an array lives in; when the last view of the array is gone, the memory is free for another."""

    __slots__ = ("__array_interface__", "raw")

    def __del__(self, free=_free, kept=_kept, most=MOST):
        try:
            size = self.raw[0].nbytes
        except AttributeError:  # whoever made it was interrupted
            return
        if size > most:
            return
        if kept[0] + size > most:  # of sizes that are used no more, perhaps
            free.clear()
            kept[0] = 0
        kept[0] += size
        free.setdefault(size, []).append(self.raw)


def empty(shape: tuple[int, ...], dtype: np.dtype, least: int = LEAST) -> np.ndarray:
    """An array to be filled; one that is large is likely to be where another was."""
    size = math.prod(shape) * dtype.itemsize
    if size < least:
        return np.empty(shape, dtype)
    raw, block = _taken(_class(size)), Block()
    block.raw = raw
    block.__array_interface__ = {"data": (raw[1], False), "typestr": dtype.str, "shape": shape, "version": 3}
    return np.asarray(block)


def lined_up(x: np.ndarray) -> np.ndarray:
    """A copy of x that, if it is not small, begins where a line of the cache does: no vector of it lies in two."""
    if x.nbytes < SOME or not x.flags.c_contiguous:
        return x.copy(order="K")
    y = empty(x.shape, x.dtype, SOME)
    y[...] = x
    return y


def _class(size: int) -> int:
    """Sizes in steps of an eighth of a power of two, so that blocks fit what comes next, with room to align."""
    step = 1 << max(size.bit_length() - 4, 12)
    return size + -size % step + LINE


def _taken(size: int) -> tuple[np.ndarray, int]:
    """A free block of a size, or a new one, and where its first line of the cache is."""
    try:
        raw = _free[size].pop()
    except (KeyError, IndexError):
        new = np.empty(size, np.uint8)
        return new, new.ctypes.data + -new.ctypes.data % LINE
    _kept[0] -= size
    return raw


def trim() -> None:
    """Give all unused memory back to the system, that of the C library's allocator too where it can be asked to."""
    _free.clear()
    _kept[0] = 0
    if _give_back is not None:
        _give_back(0)
