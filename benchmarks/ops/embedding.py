"""Embedding, and the gradient of its table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import autograd_core as ag
from autograd_core.ops.embedding import embedding
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None

SIZES = [(50_000, 128, (64, 128)), (1000, 64, (32, 16)), (100, 8, (16,))]  # rows, columns, shape of the integers


def _ours(table, index, g, back):
    weight, seed = ag.tensor(table, requires_grad=back), ag.tensor(g)
    if back:
        return lambda: ag.gradient(embedding(index, weight), [weight], seed)
    return lambda: embedding(index, weight)


def _theirs(table, index, g, back):
    if torch is None:
        return None
    weight, index, seed = torch.tensor(table, requires_grad=back), torch.tensor(index), torch.tensor(g)
    run = lambda: torch.nn.functional.embedding(index, weight)
    return (lambda: torch.autograd.grad(run(), weight, seed)) if back else run


def rows() -> Iterator[Row]:
    """A vocabulary of a language model, and smaller ones."""
    rng = np.random.default_rng(0)
    for count, columns, shape in SIZES:
        table, index = rng.standard_normal((count, columns)).astype("f"), rng.integers(0, count, shape)
        g = rng.standard_normal((*shape, columns)).astype("f")
        for back in (False, True):
            name = f"embedding{', forward and back' * back}"
            moved = 8.0 * g.size + back * (4 * table.size + 8 * g.size)
            size = f"{count} x {columns}, {' x '.join(map(str, shape))}"
            yield Row("embedding", name, size, *(f(table, index, g, back) for f in (_ours, _theirs)), bytes=moved)
