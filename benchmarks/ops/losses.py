"""Cross entropy, squared error, cross entropy of truth values; and dropout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from autograd_core.ops import dropout, losses
from benchmarks.rows import Row

from ._sides import LABELS, SHAPES, both, functional, normal


def rows() -> Iterator[Row]:
    """Rows of this file."""
    there = functional()
    for shape in SHAPES:
        label, rng = LABELS[shape], np.random.default_rng(0)
        x, y = normal(*shape), rng.random(shape).astype("f")
        target = rng.integers(0, shape[1], shape[0])
        cases = [
            ("cross_entropy", [x, target]),
            ("mse_loss", [x, y]),
            ("binary_cross_entropy_with_logits", [x, y]),
        ]
        for name, arrays in cases:
            yield from both(name, label, arrays, getattr(losses, name), getattr(there, name, None))
        yield from both("dropout", label, [x], lambda x: dropout.dropout(x, 0.1), lambda x: there.dropout(x, 0.1))
