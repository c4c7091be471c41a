"""Products of matrices: sizes, transpositions, types, batches, fused layers.

OpenBLAS keeps its threads looking for work for a tenth of a second after use; in processes of their own, beside which
nothing else runs, that costs the others some of their time, and hence the longer turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.rows import Row, Step

from .calls import call, normal, row, slopes

SIZES = (32, 48, 64, 96, 128, 192, 256, 333, 512, 777, 1024, 2048)
WAYS = "NN", "NT", "TN", "TT"
BATCHES = (
    ("attention scores", (8, 4, 128, 32), (8, 4, 32, 128)),
    ("attention values", (8, 4, 128, 128), (8, 4, 128, 32)),
    ("many small", (1000, 8, 8), (1000, 8, 8)),
    ("one matrix for many", (64, 100, 64), (64, 64)),
    ("row by matrix", (1, 1024), (1024, 1024)),
    ("matrix by column", (1024, 1024), (1024, 1)),
    ("tall", (100_000, 16), (16, 16)),
    ("deep", (32, 20_000), (20_000, 32)),
)
LAYERS = ((32, 64, 64), (64, 784, 128), (128, 784, 512), (256, 1024, 1024), (1024, 1024, 1024))  # rows, in, out
EVERYWHERE = "ours", "torch", "jax", "numpy"


def square(n: int, dtype: str, turned: bool, seed: int) -> np.ndarray:
    """Normal numbers, stored by columns if turned."""
    x = normal(n, n, seed=seed).astype(dtype)
    return x.T if turned else x


def fused(x: tuple, w: tuple) -> dict[str, Callable[[Any], Step]]:
    """Product, bias and ReLU: one kernel of ours, three calls of NumPy's."""
    arrays = lambda: (normal(*x), normal(*w, seed=1), normal(w[1], seed=2))

    def ours(lib: Any) -> Step:
        from autograd_core.kernels.matmul import matmul

        a, b, c = arrays()
        return lambda: matmul(a, b, c, True)

    def plain(lib: Any) -> Step:
        return lib.call(lambda l, a, b, c: np.maximum(np.matmul(a, b) + c, 0), arrays())

    return {"ours": ours, "numpy": plain}


def rows() -> Iterator[Row]:
    """Squares in all layouts, then batches and odd shapes, then layers."""
    product = lambda l, a, b: l.m.matmul(a, b)
    for dtype in ("float32", "float64"):
        for n in SIZES:
            for way in WAYS if n in (64, 333, 1024) else WAYS[:1]:
                arrays = lambda n=n, t=dtype, w=way: [square(n, t, c == "T", k) for k, c in enumerate(w)]
                curve = {
                    "axis": "rows and columns",
                    "size": float(n),
                    "series": way,
                    "flops": 2.0 * n**3,
                    "quick": n in (64, 1024),
                }
                curve["quick"] &= way == "NN" and dtype == "float32"
                yield call(f"matmul, {dtype}", f"{way}, {n}", arrays, product, *EVERYWHERE, **curve)
    for name, a, b in BATCHES:
        arrays, flops = lambda a=a, b=b: [normal(*a), normal(*b, seed=1)], 2.0 * np.prod(a) * b[-1]
        yield call("matmul, batches", f"{name}, {a} by {b}", arrays, product, *EVERYWHERE, flops=float(flops))
    for n, k, m in LAYERS:
        flops, title = 2.0 * n * k * m, f"{n} x {k} by {k} x {m}"
        yield row("matmul with bias and ReLU", title, fused((n, k), (k, m)), flops=flops)
        arrays = lambda n=n, k=k, m=m: [normal(n, k), normal(m, k, seed=1), normal(m, seed=2)]
        f = lambda l, x, w, b: l.F.linear(x, w, b)
        yield slopes("linear layer and gradients", title, arrays, f, 3, "ours", "torch", flops=3 * flops)
