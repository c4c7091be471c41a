"""What a call does, said before it is known where its arrays lie: rows, which native code goes through, and lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..kernels import copying
from ..kernels._jit import COMPILED, Kernel
from ..kernels._threads import ADDRESS as POOL
from .program import Array

ZERO = {size: np.zeros(1, dtype) for size, dtype in copying.TYPES.items()}


class Row(NamedTuple):
    """A call of a kernel of numbers; arrays stand for their records."""

    kernel: Kernel
    args: tuple


class Line(NamedTuple):
    """Python with {} for each value; what is an array of the program, or to be made of the memory, is put in."""

    text: str
    values: tuple = ()


class Tail(NamedTuple):
    """A row whose answer is looked at, and a line of what is done then: the first {} is the answer."""

    row: Row
    line: Line


class Named(NamedTuple):
    """A value under a name of its own, for whoever reads the source."""

    name: str
    value: Any


class Placed(NamedTuple):
    """A value that is made of the memory."""

    make: Callable


class Record(NamedTuple):
    """The record of an array of the program, of another, or of none."""

    array: Any


def as_line(item: Row | Tail | Line) -> Line:
    """What is done as Python does it."""
    if isinstance(item, Line):
        return item
    if isinstance(item, Tail):
        row, line = as_line(item.row), item.line
        return Line(line.text.replace("{}", row.text, 1), (*row.values, *line.values))
    args = [Record(a) if c == "a" else a for a, c in zip(item.args, item.kernel.numbers)]
    return Line(f"{{}}({', '.join(['{}'] * len(args))})", (Named(item.kernel.name, item.kernel.build().func), *args))


def zeroed(y: Array) -> Row | Line:
    """All entries 0."""
    kernels = copying.KERNELS.get(y.itemsize) if COMPILED and y.dtype.kind in "fiu" else None
    if kernels and y.contiguous and y.size:
        return Row(kernels[0], (POOL, ZERO[y.itemsize], y, y.size, y.size, 0, 0))
    return Line("{}({}, 0)", (np.copyto, y))


def moved(x: Array, y: Array) -> Row | Line:
    """One copy, by a kernel if y lies in order."""
    kernels = copying.KERNELS.get(x.itemsize) if COMPILED and x.dtype == y.dtype and x.dtype.kind in "fiu" else None
    if kernels and y.contiguous and x.size and x.shape == y.shape and x.aligned:
        if way := (1, 0, 1) if x.size == 1 else copying.rows(x):
            return Row(kernels[0], (POOL, x, y, x.size, *way))
        if lies := copying.turned(x.shape, x.strides, x.itemsize):
            return Row(kernels[1], (POOL, x, y, *lies))
    return Line("{}({}, {}, casting='unsafe')", (np.copyto, y, x))
