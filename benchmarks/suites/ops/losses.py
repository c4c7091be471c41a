"""Cross entropy, squared error, cross entropy of truth values; and dropout."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row

from .calls import SHAPES, both, integers, normal, uniform


def rows() -> Iterator[Row]:
    """Every loss at every size."""
    for n, shape in SHAPES.items():
        classes = lambda s=shape: [normal(*s), integers(s[1], s[0])]
        numbers = lambda s=shape: [normal(*s), uniform(*s)]
        yield from both("cross_entropy", n, classes, lambda l, x, y: l.F.cross_entropy(x, y), group="losses")
        yield from both("mse_loss", n, numbers, lambda l, x, y: l.F.mse_loss(x, y), group="losses")
        f = lambda l, x, y: l.F.binary_cross_entropy_with_logits(x, y)
        yield from both("binary_cross_entropy_with_logits", n, numbers, f, group="losses")
        f, one = lambda l, x: l.F.dropout(x, 0.1), lambda s=shape: [normal(*s)]
        yield from both("dropout", n, one, f, ways=("ours", "torch"), group="dropout", tolerance=None)
