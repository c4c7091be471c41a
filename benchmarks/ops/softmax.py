"""softmax, its logarithm, and log Σ exp over rows."""

from __future__ import annotations

from collections.abc import Iterator

import autograd_core as ag
from benchmarks.rows import Row

from ._sides import HAS_TORCH, LABELS, SHAPES, both, normal


def rows() -> Iterator[Row]:
    """Rows of this file."""
    torch = __import__("torch") if HAS_TORCH else None
    for shape in SHAPES:
        for name in ("softmax", "log_softmax", "logsumexp"):
            f, g = getattr(ag, name), getattr(torch, name, None)
            yield from both(name, LABELS[shape], [normal(*shape)], lambda x, f=f: f(x, -1), lambda x, g=g: g(x, -1))
    wide, columns, line = normal(1_000_000, 10), normal(32, 100, 3000), normal(10_000_000)
    for x, dim, label in ((wide, 1, "1e6 x 10"), (columns, 1, "32 x 100 x 3000, dim 1"), (line, 0, "1e7 in a row")):
        yield from both("softmax", label, [x], lambda x, d=dim: ag.softmax(x, d), lambda x, d=dim: torch.softmax(x, d))
