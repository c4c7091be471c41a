"""Arrays that are looked at through records that stay where they are, while the memory behind them changes.

A captured program names its arrays by their records.  What an op has made anew is not copied to where the last result
was: the records of all arrays in it are pointed to where it lies.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from ._products import HEAD

word, set_word = Late("_pack", "word"), Late("_pack", "set_word")


@kernel(numbers="aii")
def point(made, table, count):
    """Point records to the memory of `made`: table has, for each, its address and how many bytes after the first it begins."""
    place = word(made, HEAD)
    for i in range(count):
        set_word(word(table, 2 * i), HEAD, place + word(table, 2 * i + 1))


def pointer(views: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """The table for `point`."""
    return np.array([n for view, offset in views for n in (id(view), offset)], np.int64)
