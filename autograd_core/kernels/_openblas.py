"""The OpenBLAS that NumPy brought along: functions of it that NumPy does not hand out, and how many threads it uses.

Its threads share out even a matrix of ten rows, and whoever needs the processors next waits for them: small work is done
on one (`alone`).  Where NumPy has another library, nothing is found, and what is here says so.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

AFFIXES = (("scipy_", "64_", 64), ("", "64_", 64), ("scipy_", "", 32), ("", "", 32))  # of names, and bits of integers
BY_ROWS, AS_IT_IS, TURNED = 101, 111, 112  # words of the C interface
LEFT, UPPER, LOWER, ANY_DIAGONAL, ONES = 141, 121, 122, 131, 132
REALS, LETTERS = {"f": ctypes.c_float, "d": ctypes.c_double}, dict(zip("fdFD", "sdcz"))
SMALL = 1 << 24  # multiplications that are not worth a second thread's waking up


def _libraries() -> Iterator[ctypes.CDLL]:
    """What NumPy brought along, then what its own extension module is linked to; all are loaded already."""
    home = Path(np.__file__).parent
    found = [p for folder in (home.parent / "numpy.libs", home / ".dylibs") for p in sorted(folder.glob("*blas*"))]
    module = sys.modules.get("numpy._core._multiarray_umath")
    for path in (*found, getattr(module, "__file__", None)):
        try:
            if path:
                yield ctypes.CDLL(str(path))
        except OSError:
            continue


@functools.cache
def function(name: str) -> tuple[Any, int]:
    """A function by its usual name, and how many bits its integers have; None, 0 if there is none."""
    for library in _libraries():
        for prefix, suffix, bits in AFFIXES:
            if found := getattr(library, f"{prefix}{name}{suffix}", None):
                return found, bits
    return None, 0


class Alone:
    """A block in which OpenBLAS uses one thread; as many as before once the last of those that overlap has ended."""

    def __init__(self) -> None:
        self.lock, self.inside, self.before = threading.Lock(), 0, 1

    def __enter__(self) -> None:
        (count, _), (choose, _) = function("openblas_get_num_threads"), function("openblas_set_num_threads")
        with self.lock:
            if not self.inside and count and choose:
                self.before = count()
                choose(1)
            self.inside += 1

    def __exit__(self, *error: Any) -> None:
        choose, _ = function("openblas_set_num_threads")
        with self.lock:
            self.inside -= 1
            if not self.inside and choose and self.before > 1:
                choose(self.before)


alone = Alone()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=alone.__init__)  # whoever was inside is not in the child


def quietly(multiplications: int) -> Any:
    """A block for so much work: on one thread, if more are not worth it."""
    return alone if multiplications <= SMALL else nullcontext()


@functools.cache
def _solver(char: str) -> tuple[Any, Any] | None:
    """The solver of triangular systems of a type, and how it takes a factor of 1."""
    found, bits = function(f"cblas_{LETTERS[char]}trsm")
    if found is None:
        return None
    whole, word, address = {64: ctypes.c_int64, 32: ctypes.c_int32}[bits], ctypes.c_int, ctypes.c_void_p
    factor = REALS.get(char, address)
    solve = ctypes.CFUNCTYPE(None, *[word] * 5, whole, whole, factor, address, whole, address, whole)(
        ctypes.cast(found, address).value
    )
    one = np.ones((), char)
    return solve, factor(1.0) if char in REALS else one


def solve_triangle(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray | None:
    """The x with a x = b, of which only a triangle is read and no diagonal entry may be 0; None if it cannot be had here."""
    char = b.dtype.char
    if a.dtype != b.dtype or char not in LETTERS or not (found := _solver(char)):
        return None
    lead, (n, m) = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), b.shape[-2:]
    x = np.array(np.broadcast_to(b, (*lead, n, m)), order="C")
    turned = a.mT.flags.c_contiguous and not a.flags.c_contiguous
    rows = np.broadcast_to(a.mT if turned else np.ascontiguousarray(a), (*lead, n, n))
    triangle, way = UPPER if upper != turned else LOWER, TURNED if turned else AS_IT_IS
    (solve, one), sizes = found, (ONES if unit else ANY_DIAGONAL, n, m)
    one = one if char in REALS else one.ctypes.data
    with quietly(n * n * m):
        for place in np.ndindex(lead) if x.size else ():
            solve(BY_ROWS, LEFT, triangle, way, *sizes, one, rows[place].ctypes.data, n, x[place].ctypes.data, m)
    return x
