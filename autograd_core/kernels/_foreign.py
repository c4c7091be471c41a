"""Functions from outside, whose source is generated while the program runs, compiled by Numba."""

from __future__ import annotations

from numba import njit


def compile_together(scope: dict, names: list[str]) -> None:
    """Replace the functions of these names in their globals by compiled ones, which then call each other.

    Indices are the user's, so they are checked: one that is out of bounds would read or write anything.
    """
    for name in names:
        scope[name] = njit(error_model="numpy", nogil=True, boundscheck=True)(scope[name])
