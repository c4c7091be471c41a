"""softmax, its logarithm, and log Σ exp over rows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row

from .calls import SHAPES, both, call, normal

FUNCTIONS = {
    "softmax": (lambda l, x: l.m.softmax(x, -1), ("ours", "torch")),
    "log_softmax": (lambda l, x: l.F.log_softmax(x, -1), ("ours", "torch", "jax")),
    "logsumexp": (lambda l, x: l.m.logsumexp(x, -1), ("ours", "torch")),
}


def rows() -> Iterator[Row]:
    """Every size, then shapes that are harder."""
    for name, (f, ways) in FUNCTIONS.items():
        for n, shape in SHAPES.items():
            quick = name == "softmax" and n in (100, 10**6)
            yield from both(name, n, lambda shape=shape: [normal(*shape)], f, ways=ways, quick=quick)
    for shape, dim in (((1_000_000, 10), 1), ((32, 100, 3000), 1), ((10_000_000,), 0)):
        title = f"softmax of {' x '.join(map(str, shape))} along {dim}"
        f = lambda l, x, dim=dim: l.m.softmax(x, dim)
        yield call("softmax, other shapes", title, lambda shape=shape: [normal(*shape)], f, "ours", "torch")
