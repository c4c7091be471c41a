"""Reductions of float32 arrays of 1e2 to 1e7 entries: over all of them, the last axis, the first axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.rows import Row

from .calls import SIZES, call, normal, slopes

EVERYWHERE, PYTORCH = ("ours", "torch", "jax", "numpy"), ("ours", "torch")
NAMES = {
    "sum": EVERYWHERE, "mean": EVERYWHERE, "var": PYTORCH, "amax": PYTORCH, "argmax": EVERYWHERE, "norm": PYTORCH,
    "prod": EVERYWHERE,
}  # fmt: skip
DIMS = {"all": None, "last": -1, "first": 0}


def data(n: int, flat: bool) -> np.ndarray:
    """Normal numbers: a vector, or a matrix of about as many rows as columns."""
    return normal(n) if flat else normal(n).reshape(-1, 10 ** ((len(str(n)) - 1) // 2))


def reduction(name: str, dim: int | None) -> Callable[[Any, Any], Any]:
    """One call of a reduction."""
    if dim is None:
        return lambda l, x: getattr(l.m, name)(x)
    extra = (2,) if name == "norm" else ()
    return lambda l, x: getattr(l.m, name)(x, *extra, dim)


def rows() -> Iterator[Row]:
    """Every reduction in every direction, then some of them with their gradients."""
    for name, ways in NAMES.items():
        for where, dim in DIMS.items():
            sizes = SIZES if name != "prod" else SIZES[:5] if where == "all" else []
            for n in sizes:
                arrays = lambda n=n, flat=dim is None: [data(n, flat)]
                f, loose = reduction(name, dim), {"tolerance": 1e-3}
                yield call("reductions", f"{name} {where}", arrays, f, *ways, n=n, bytes=4.0 * n, **loose)
    for name in ("sum", "mean", "var", "amax", "norm"):
        ways = tuple(way for way in NAMES[name] if way != "numpy")
        for where, dim in DIMS.items():
            for n in SIZES[::2] + SIZES[-1:]:
                arrays = lambda n=n, flat=dim is None: [data(n, flat)]
                title, group = f"{name} {where}", "reductions and gradients"
                yield slopes(group, title, arrays, reduction(name, dim), 1, *ways, n=n, bytes=8.0 * n, tolerance=1e-3)
