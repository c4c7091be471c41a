"""Noise for training: dropped weights, blocks and layers, Gaussian factors, masks that stay the same along an axis."""

from __future__ import annotations

import math

from autograd_core import Tensor, bernoulli, full, matmul, rand, randn, sigmoid
from autograd_core.ops.dropout import dropout
from autograd_core.ops.linear import linear
from autograd_core.ops.padding import pad
from autograd_core.ops.pooling import max_pool2d

__all__ = [
    "adaptive_dropout", "drop_block2d", "drop_connect", "drop_connect_linear", "dropout_mask", "embedding_dropout",
    "gaussian_dropout", "stochastic_depth", "variational_dropout",
]  # fmt: skip


def _probability(p: float, name: str, below_one: bool = False) -> None:
    if not 0 <= p <= 1 or below_one and p == 1:
        raise ValueError(f"{name}: p is the probability to drop, from 0 to {'below ' * below_one}1, but got {p}")


def drop_connect(weight: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, weights set to 0 with probability p and the others divided by 1 - p: one mask for the whole batch."""
    return dropout(weight, p, training)


def drop_connect_linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, p: float = 0.5, training: bool = True
) -> Tensor:
    """`linear` in which each row of input (N, D) has weights (K, D) of its own dropped, as `drop_connect` drops them."""
    _probability(p, "drop_connect_linear")
    if not training or p == 0:
        return linear(input, weight, bias)
    rows = input.reshape(-1, input.shape[-1])
    each = dropout(weight.expand(rows.shape[0], *weight.shape), p)
    y = matmul(each, rows.unsqueeze(-1)).reshape(*input.shape[:-1], weight.shape[0])
    return y if bias is None else y + bias


def drop_block2d(input: Tensor, p: float, block_size: int, training: bool = True, eps: float = 1e-6) -> Tensor:
    """In training, squares of block_size of (N, C, H, W) set to 0, of which a share p is covered; then scaled.

    Corners of squares are drawn with probability p H W / (b**2 (H - b + 1) (W - b + 1)), which counts no overlaps.  The
    scale is the number of entries divided by that of those that stay, plus eps.
    """
    _probability(p, "drop_block2d")
    if input.ndim != 4 or block_size < 1:
        given = f"{tuple(input.shape)} and {block_size}"
        raise ValueError(f"drop_block2d: needs input (N, C, H, W) and a block of at least 1, got {given}")
    if not training or p == 0 or 0 in input.shape:
        return input
    height, width = input.shape[2:]
    b = min(block_size, height, width)
    corners = (height - b + 1, width - b + 1)
    rate = min(1.0, p * height * width / (b * b * math.prod(corners)))
    drawn = (rand((*input.shape[:2], *corners)) < rate).to(input.dtype)
    kept = 1 - max_pool2d(pad(drawn, (b - 1,) * 4), b, 1)
    return input * kept * (kept.numel() / (kept.sum() + eps))


def stochastic_depth(input: Tensor, p: float, mode: str = "row", training: bool = True) -> Tensor:
    """In training, a whole branch set to 0 with probability p, for each row by itself or for the "batch"; else / (1 - p).

    Added to what goes around it, the branch is a layer that is there with probability 1 - p.
    """
    _probability(p, "stochastic_depth")
    if mode not in ("row", "batch"):
        raise ValueError(f"stochastic_depth: mode must be 'row' or 'batch', got {mode!r:.40}")
    if not training or p == 0:
        return input
    count = input.shape[0] if mode == "row" else 1
    there = bernoulli(full((count, *(1,) * (input.ndim - 1)), 1 - p, dtype=input.dtype))
    return input * (there / (1 - p) if p < 1 else there)


def gaussian_dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, input times noise of mean 1 and variance p / (1 - p), which is that of dropout."""
    _probability(p, "gaussian_dropout", True)
    if not training or p == 0:
        return input
    return input * (1 + math.sqrt(p / (1 - p)) * randn(tuple(input.shape), dtype=input.dtype))


def dropout_mask(input: Tensor, p: float = 0.5, dim: int | tuple[int, ...] = ()) -> Tensor:
    """A mask for input, 0 with probability p and else 1 / (1 - p), which has length 1 along dim: to be used many times."""
    dims = {d % input.ndim for d in ((dim,) if isinstance(dim, int) else dim)}
    shape = tuple(1 if d in dims else n for d, n in enumerate(input.shape))
    return dropout(full(shape, 1.0, dtype=input.dtype), p)


def variational_dropout(input: Tensor, p: float = 0.5, training: bool = True, dim: int = 0) -> Tensor:
    """In training, dropout with the same mask at each place of dim: at each step of a sequence (L, N, C)."""
    _probability(p, "variational_dropout")
    return input * dropout_mask(input, p, dim) if training and p else input


def embedding_dropout(weight: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, rows of a table of embeddings set to 0 with probability p, and the others divided by 1 - p.

    A word that is dropped is dropped wherever it occurs: `embedding(words, embedding_dropout(weight, p, training))`.
    """
    _probability(p, "embedding_dropout")
    return variational_dropout(weight, p, training, -1)


def adaptive_dropout(
    input: Tensor, scores: Tensor, alpha: float = 1.0, beta: float = 0.0, training: bool = True
) -> Tensor:
    """In training, each unit kept with probability sigmoid(alpha * score + beta); in evaluation multiplied by that.

    The scores are what the units are an activation of (standout), or those of a network of their own.  No gradient goes
    through what is drawn.
    """
    if input.shape != scores.shape:
        given = f"{tuple(input.shape)} and {tuple(scores.shape)}"
        raise ValueError(f"adaptive_dropout: needs a score for each unit, got {given}")
    kept = sigmoid(alpha * scores + beta)
    return input * (bernoulli(kept.detach()) if training else kept)
