"""Gather and scatter: float32 tables of 1e2 to 1e7 entries, all of whose places are visited once on average."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Row

from .calls import call, slopes

SIZES = 100, 10**4, 10**6
PYTORCH = "ours", "torch"
CALLS = {
    "gather": lambda l, x, v, places, rows: l.m.gather(x, 0, places),
    "index_select": lambda l, x, v, places, rows: l.m.index_select(x, 0, rows),
    "take": lambda l, x, v, places, rows: l.m.take(x, places),
    "scatter_add": lambda l, x, v, places, rows: l.m.scatter_add(x, 0, places, v),
    "scatter_reduce amax": lambda l, x, v, places, rows: l.m.scatter_reduce(x, 0, places, v, "amax"),
    "scatter_reduce prod": lambda l, x, v, places, rows: l.m.scatter_reduce(x, 0, places, v, "prod"),
    "scatter_reduce mean": lambda l, x, v, places, rows: l.m.scatter_reduce(x, 0, places, v, "mean"),
    "index_add": lambda l, x, v, places, rows: l.m.index_add(x, 0, rows, v),
    "index_reduce amax": lambda l, x, v, places, rows: l.m.index_reduce(x, 0, rows, v, "amax"),
    "index_put add": lambda l, x, v, places, rows: l.m.index_put(x, (rows,), v, accumulate=True),
}
READS = "gather", "index_select", "take"


def arrays(n: int) -> list[np.ndarray]:
    """A table, values for it, where each goes in its column, and where each row goes."""
    rng, k = np.random.default_rng(n), n // 10
    x, v = (1 + 0.1 * rng.standard_normal((k, 10)).astype(np.float32) for _ in range(2))
    return [x, v, rng.integers(0, k, (k, 10)), rng.integers(0, k, k)]


def rows() -> Iterator[Row]:
    """Every call alone and with its gradients."""
    for n in SIZES:
        for name, f in CALLS.items():
            given, wanted = lambda n=n: arrays(n), 1 if name in READS else 2
            yield call("scatter", name, given, f, *PYTORCH, n=n, bytes=12.0 * n, tolerance=1e-3)
            yield slopes("scatter and gradients", name, given, f, wanted, *PYTORCH, n=n, bytes=28.0 * n, tolerance=1e-3)
