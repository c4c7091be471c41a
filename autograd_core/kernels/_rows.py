"""Many calls of kernels in one: a table has a row for each, with what is called and the words that it is given.

To call a kernel costs Python a quarter of a microsecond or more, and native code some nanoseconds.  A row begins with
the address of what unpacks it, of which there is one for each way in which words and fractions follow each other.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ._jit import EXACT, Kernel, Late, kernel

word, call = Late("_pack", "word"), Late("_unpacking", "call")


class Unpack(Late):
    """What calls the function of a row with words as some letters say."""

    def __init__(self, letters: str):
        super().__init__("_unpacking", "unpack")
        self.letters = letters

    def resolve(self) -> Any:
        return super().resolve()(self.letters)


@functools.cache
def unpacking(letters: str) -> Kernel:
    """A kernel that calls the function of a row with the words after it, which are as `letters` says; what that returns."""

    unpack = Unpack(letters)

    def unpacked(row):
        return unpack(row)

    unpacked.__module__ = __name__
    return kernel(unpacked, fastmath=EXACT, name=f"row_{letters}", numbers="i", written=True, glue=True)


@kernel(fastmath=EXACT, numbers="iii", written=True, glue=True)
def run(rows, starts, count):
    """Call each of some rows; what the last returns, if it is a whole number or a truth."""
    found = 0
    for k in range(count):
        row = rows + 8 * word(starts, k)
        found = call(word(row, 0), row)
    return found


class Table:
    """Rows, and what calls them all."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.starts: list[int] = []

    def add(self, called: Kernel, args: tuple) -> None:
        """A row for a call of a kernel of numbers."""
        letters = called.numbers.replace("a", "i")
        self.starts.append(len(self.words))
        self.words += [address(unpacking(letters)), address(called)]
        self.words += [bits(a) if c == "d" else int(a) for a, c in zip(args, letters)]

    def ready(self) -> tuple[Callable, tuple[int, int, int]]:
        """What to call, and with what, while the table is kept."""
        self.held = np.array(self.words, np.int64), np.array(self.starts, np.int64)
        rows, starts = self.held
        return run.build().func, (rows.ctypes.data, starts.ctypes.data, len(starts))


def bits(x: float) -> int:
    """A fraction as a word."""
    return struct.unpack("<q", struct.pack("<d", x))[0]


def address(kernel: Kernel) -> int:
    """Where the machine code of a kernel of numbers is."""
    return kernel.build().address
