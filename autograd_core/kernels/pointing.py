"""Arrays that are looked at through records that stay where they are, while the memory behind them changes.

A captured program names its arrays by their records.  What an op has made anew is not copied to where the last result
was: the records of all arrays in it are pointed to where it lies.
"""

from __future__ import annotations

import ctypes

import numpy as np

from ._jit import COMPILED, Late, kernel
from ._products import HEAD

word, set_word = Late("_pack", "word"), Late("_pack", "set_word")


@kernel(numbers="aii", written=True, glue=True)
def point(made, table, count):
    """Point records to the memory of `made`: table has, for each, its address and how many bytes after the first it begins."""
    place = word(made, HEAD)
    for i in range(count):
        set_word(word(table, 2 * i), HEAD, place + word(table, 2 * i + 1))


def _in_python(made, table, count):
    """The same where nothing is compiled."""
    at = lambda record: ctypes.c_int64.from_address(record + 8 * HEAD)
    place, numbers = at(made).value, (ctypes.c_int64 * (2 * count)).from_address(table)
    for i in range(count):
        at(numbers[2 * i]).value = place + numbers[2 * i + 1]


def pointing():
    """What is called to point records."""
    return point.build().func if COMPILED else _in_python


def pointer(views: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """The table for `point`."""
    return np.array([n for view, offset in views for n in (id(view), offset)], np.int64)
