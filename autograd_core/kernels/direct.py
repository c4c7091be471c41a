"""Kernels on arrays, called with the arrays' records: for callers whose arrays stay where they are.

Numba takes apart every array that Python hands to a kernel; an address costs nothing.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ._jit import Kernel, Late, generated, kernel

recorded, for_chunks = Late("_borrowed", "recorded"), Late("_native", "for_chunks")
LIKE = {"f": np.float32(0), "d": np.float64(0), "l": np.int64(0), "?": np.bool_(False)}


class Typed(dict):
    """`direct` for a kernel and arrays of each type of floats, where x stands for that in the form; made when asked for."""

    def __init__(self, called: Kernel, form: str):
        self.called, self.form = called, form

    def __missing__(self, dtype: np.dtype) -> Kernel:
        made = self[dtype] = direct(self.called, self.form.replace("x", dtype.char))
        return made


@functools.cache
def direct(called: Kernel, form: str) -> Kernel:
    """A kernel with a record for each array of `form`, such as "f2 l1 i d": type and number of axes; i and d are numbers.

    One that works on chunks is given the pool, the count and the grain first.
    """
    parts = form.split()
    names = [f"x{k}" for k in range(len(parts))]
    given = [f"recorded(like_{p[0]}, ({'0, ' * int(p[1:])}), {n})" if p[1:] else n for n, p in zip(names, parts)]
    given = [g.replace("like_?", "like_b") for g in given]
    lead = "pool, count, grain, " if called.chunks else ""
    call = (
        f"for_chunks(pool, called, count, grain, ({', '.join(given)},))"
        if called.chunks
        else f"return called({', '.join(given)})"
    )
    source = f"def call({lead}{', '.join(names)}):\n    {call}\n"
    scope: dict[str, Any] = {"called": called, "recorded": recorded, "for_chunks": for_chunks, "__name__": __name__}
    scope |= {f"like_{c}".replace("?", "b"): v for c, v in LIKE.items()}
    letters = "iii" * called.chunks + "".join("a" if p[1:] else p for p in parts)
    name = f"{called.name}.{form.replace(' ', '_')}".replace("?", "b")
    how = {"written": True} if called.written else {"launcher": True}
    return kernel(generated(source, name, scope), numbers=letters, name=name, **how)
