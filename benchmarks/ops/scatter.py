"""Gather and scatter: float32 tables of 1e2 to 1e7 entries, all of whose places are visited once on average."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

SIZES = [10**k for k in range(2, 8)]
CALLS = {
    "gather": lambda m, x, v, places, rows: x.gather(0, places),
    "index_select": lambda m, x, v, places, rows: m.index_select(x, 0, rows),
    "take": lambda m, x, v, places, rows: m.take(x, places),
    "scatter": lambda m, x, v, places, rows: m.scatter(x, 0, places, v),
    "scatter_add": lambda m, x, v, places, rows: m.scatter_add(x, 0, places, v),
    "scatter_reduce amax": lambda m, x, v, places, rows: m.scatter_reduce(x, 0, places, v, "amax"),
    "scatter_reduce prod": lambda m, x, v, places, rows: m.scatter_reduce(x, 0, places, v, "prod"),
    "scatter_reduce mean": lambda m, x, v, places, rows: m.scatter_reduce(x, 0, places, v, "mean"),
    "index_add": lambda m, x, v, places, rows: m.index_add(x, 0, rows, v),
    "index_reduce amax": lambda m, x, v, places, rows: m.index_reduce(x, 0, rows, v, "amax"),
    "index_reduce prod": lambda m, x, v, places, rows: m.index_reduce(x, 0, rows, v, "prod"),
    "index_put add": lambda m, x, v, places, rows: m.index_put(x, (rows,), v, accumulate=True),
    "bincount": lambda m, x, v, places, rows: m.bincount(rows),
}
FORWARD_ONLY = {"bincount"}


def arrays(size: int) -> list[np.ndarray]:
    """A table, values for it, where each goes in its column, and where each row goes."""
    rng, n = np.random.default_rng(size), size // 10
    x, v = (1 + 0.1 * rng.standard_normal((n, 10)).astype(np.float32) for _ in range(2))
    return [x, v, rng.integers(0, n, (n, 10)), rng.integers(0, n, n)]


def with_gradient(module: Any, call: Callable, x: Any, v: Any, *rest: Any) -> Callable:
    """A call and its gradients."""
    x, v = x.requires_grad_(), v.requires_grad_()
    ones = module.ones_like(call(module, x, v, *rest).detach())

    def run() -> None:
        x.grad = v.grad = None
        call(module, x, v, *rest).backward(ones)

    return run


def rows() -> Iterator[Row]:
    """Every call alone and with its gradients."""
    for size in SIZES:
        given = arrays(size)
        for name, call in CALLS.items():
            sides = [(ag, [ag.tensor(a) for a in given])]
            sides += [(torch, [torch.tensor(a) for a in given])] if torch else []
            both = [lambda m=m, a=a, call=call: call(m, *a) for m, a in sides]
            yield Row("scatter", name, f"{size:.0e}", both[0], both[1] if torch else None)
            if name not in FORWARD_ONLY:
                sides = [(m, [t.clone() for t in a]) for m, a in sides]
                both = [with_gradient(m, call, *a) for m, a in sides]
                yield Row("scatter with gradient", name, f"{size:.0e}", both[0], both[1] if torch else None)
