"""Embedding, and the gradient of its table."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.rows import Row

from .calls import call, integers, normal, slopes

SIZES = [(50_000, 128, (64, 128)), (1000, 64, (32, 16)), (100, 8, (16,))]  # rows, columns, shape of the integers


def rows() -> Iterator[Row]:
    """A vocabulary of a language model, and smaller ones."""
    f = lambda l, table, index: l.F.embedding(index, table)
    for count, columns, shape in SIZES:
        arrays = lambda n=count, c=columns, s=shape: [normal(n, c), integers(n, *s)]
        name = f"embedding of {' x '.join(map(str, shape))} in {count} x {columns}"
        moved = 8.0 * columns * math.prod(shape)
        yield call("embedding", name, arrays, f, bytes=moved)
        yield slopes("embedding and gradients", name, arrays, f, 1, bytes=2 * moved + 4.0 * count * columns)
