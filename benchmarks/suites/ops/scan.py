"""Cumulative functions and selection: float32 arrays of 1e2 to 1e7 entries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Row

from .calls import call, normal, slopes

SIZES = 100, 10**4, 10**6, 10**7
PYTORCH = "ours", "torch"
CUMULATIVE = {
    "cumsum": lambda l, x: l.m.cumsum(x, -1),
    "cumprod": lambda l, x: l.m.cumprod(x, -1),
    "cummax": lambda l, x: l.m.cummax(x, -1),
    "logcumsumexp": lambda l, x: l.m.logcumsumexp(x, -1),
}
SELECTION = {
    "topk 10": lambda l, x: l.m.topk(x, 10)[0],
    "topk half": lambda l, x: l.m.topk(x, x.shape[-1] // 2)[0],
    "median": lambda l, x: l.m.median(x, -1)[0],
    "kthvalue": lambda l, x: l.m.kthvalue(x, x.shape[-1] // 3 + 1)[0],
}


def near_one(n: int) -> np.ndarray:
    """Numbers whose products stay finite."""
    return 1 + normal(n) * np.float32(1e-3 if n < 10**7 else 1e-4)


def rows() -> Iterator[Row]:
    """Long vectors, and matrices along either axis."""
    for n in SIZES:
        long, loose = lambda n=n: [near_one(n)], {"n": n, "bytes": 8.0 * n, "tolerance": 1e-2}
        square = lambda n=n: [near_one(n).reshape(-1, 10 ** ((len(str(n)) - 1) // 2))]
        for name, f in CUMULATIVE.items():
            ways = ("ours", "torch", "jax", "numpy") if name in ("cumsum", "cumprod") else PYTORCH
            yield call("cumulative", name, long, f, *ways, **loose)
            yield slopes("cumulative and gradients", name, long, f, 1, *PYTORCH, **loose)
        yield call("cumulative", "cumsum, first axis", square, lambda l, x: l.m.cumsum(x, 0), **loose)
        for name, f in SELECTION.items():
            of_rows = lambda n=n: [near_one(n).reshape(-1, 100)]
            yield call("selection", name, long, f, *PYTORCH, n=n, bytes=4.0 * n)
            yield call("selection", f"{name} of rows", of_rows, f, *PYTORCH, n=n, bytes=4.0 * n)
