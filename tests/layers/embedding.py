"""Lines for nn/embedding.py."""

import numpy as np

from . import case

KINDS = [
    {},
    {"padding_idx": 2},
    {"padding_idx": -1, "scale_grad_by_freq": True},
    {"scale_grad_by_freq": True},
    {"max_norm": 1.0},
    {"max_norm": 0.8, "norm_type": 1.0, "padding_idx": 0},
    {"sparse": True},
]
BAGS = [
    {},
    {"mode": "sum"},
    {"mode": "max"},
    {"mode": "sum", "padding_idx": 2},
    {"mode": "mean", "padding_idx": -3},
    {"mode": "max", "padding_idx": 1},
    {"mode": "sum", "max_norm": 1.0},
    {"max_norm": 0.8, "norm_type": 1.0},
    {"mode": "sum", "sparse": True},
]
ENDS = np.array([0, 3, 3, 5, 7])


def parts(draw):
    """Seven integers in bags that begin at offsets; one is empty."""
    return [draw.integers(6, 7), ENDS[:-1].copy()]


def equally_often(draw):
    """Bags of integers of which each occurs twice."""
    return [draw.rng.permutation(np.repeat(np.arange(1, 6), 2)).reshape(2, 5)]


CASES = [
    *(
        case("Embedding", 6, 3, inputs=lambda draw, shape=shape: [draw.integers(6, *shape)], **options)
        for options in KINDS
        for shape in ((5,), (2, 4), (2, 1, 3))
    ),
    case("Embedding", 6, 3, 1, inputs=lambda draw: [np.array(1)]),
    case("Embedding", 6, 3, inputs=lambda draw: [draw.integers(6, 0, 2)]),
    case("Embedding", 6, 3, inputs=lambda draw: [draw.integers(6, 4).astype(np.int32)]),
    *(
        case("EmbeddingBag", 6, 3, inputs=inputs, **options)
        for options in BAGS
        for inputs in (lambda draw: [draw.integers(6, 3, 4)], parts)
    ),
    # Of rows that occur more often than others PyTorch mixes the frequencies up: tests/test_layers.py.
    *(case("EmbeddingBag", 6, 3, mode=mode, scale_grad_by_freq=True, inputs=equally_often) for mode in ("sum", "mean")),
    *(
        case("EmbeddingBag", 6, 3, mode=mode, include_last_offset=True, inputs=lambda draw: [draw.integers(6, 7), ENDS])
        for mode in ("sum", "mean", "max")
    ),
    *(
        case("EmbeddingBag", 6, 3, mode="sum", inputs=inputs, **options)
        for options in ({}, {"padding_idx": 2}, {"max_norm": 1.0})
        for inputs in (
            lambda draw: [draw.integers(6, 3, 4), {"per_sample_weights": draw(3, 4)}],
            lambda draw: [*parts(draw), draw(7)],
        )
    ),
]
