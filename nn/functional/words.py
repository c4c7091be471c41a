"""Losses over many classes, of which no more than a few are looked at: words of a vocabulary."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core import Generator, Tensor, as_tensor, cat, einsum, index_put, log, multinomial, where, zeros
from autograd_core.ops.activations import logsigmoid
from autograd_core.ops.arguments import innermost_of
from autograd_core.ops.embedding import embedding
from autograd_core.ops.linear import linear

from .losses import reduced

__all__ = [
    "HuffmanTree", "adaptive_log_softmax", "adaptive_log_softmax_with_loss", "hierarchical_log_softmax",
    "hierarchical_softmax_loss", "nce_loss", "negative_sampling_loss", "noise_distribution",
]  # fmt: skip


# --- noise -----------------------------------------------------------------------------------------------------------


def noise_distribution(counts: Any, power: float = 0.75) -> Tensor:
    """Probabilities in proportion to counts**power: what word2vec draws wrong words from."""
    counts = as_tensor(counts)
    shares = (counts if counts.dtype.kind == "f" else counts.to(ag.get_default_dtype())) ** power
    return shares / shares.sum()


def _against_noise(
    name: str, input: Tensor, weight: Tensor, target: Tensor, noise: Tensor, samples: Any, bias: Any, generator: Any
) -> tuple:
    """Scores of the targets (N,) and of the noise (N, k), with the noise drawn or given."""
    if input.ndim != 2 or weight.ndim != 2 or input.shape[1] != weight.shape[1]:
        given = f"{tuple(input.shape)} and {tuple(weight.shape)}"
        raise ValueError(f"{name}: needs input (N, D) and weight (V, D), got shapes {given}")
    if tuple(target.shape) != (input.shape[0],) or tuple(noise.shape) != (weight.shape[0],):
        given = f"{tuple(target.shape)} and {tuple(noise.shape)}"
        raise ValueError(
            f"{name}: needs a target for each of {len(input)} rows and the noise of {len(weight)}, got {given}"
        )
    if isinstance(samples, int):
        drawn = multinomial(noise, max(len(input) * samples, 1), True, generator=generator)
        samples = drawn[: len(input) * samples].reshape(len(input), samples)
    elif samples.ndim == 1:
        samples = samples.expand(len(input), samples.shape[0])
    scores = (input * embedding(target, weight)).sum(-1), einsum("nd,nkd->nk", input, embedding(samples, weight))
    if bias is not None:
        scores = scores[0] + bias[target], scores[1] + bias[samples]
    return (*scores, samples)


def negative_sampling_loss(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    noise: Tensor,
    samples: int | Tensor = 5,
    bias: Tensor | None = None,
    reduction: str = "mean",
    generator: Generator | None = None,
) -> Tensor:
    """-log s(z) - sum log s(-z'), s the sigmoid: z = input . weight[target] + bias, z' the same for words of noise.

    `samples` says how many are drawn for each row from the probabilities `noise` (V,), or which: (N, k), or (k,) for all.
    """
    name = "negative_sampling_loss"
    right, wrong, _ = _against_noise(name, input, weight, target, noise, samples, bias, generator)
    return reduced(-logsigmoid(right) - logsigmoid(-wrong).sum(-1), reduction, name)


def nce_loss(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    noise: Tensor,
    samples: int | Tensor = 64,
    bias: Tensor | None = None,
    reduction: str = "mean",
    generator: Generator | None = None,
) -> Tensor:
    """`negative_sampling_loss` with z - log(k q) for each score z, where q is its probability as noise.

    That is noise-contrastive estimation: as k grows its gradient becomes that of the cross entropy of the softmax.
    """
    right, wrong, drawn = _against_noise("nce_loss", input, weight, target, noise, samples, bias, generator)
    usual = log(noise * drawn.shape[-1]) if drawn.shape[-1] else noise
    return reduced(-logsigmoid(right - usual[target]) - logsigmoid(usual[drawn] - wrong).sum(-1), reduction, "nce_loss")


# --- a tree of decisions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HuffmanTree:
    """Words as leaves of a binary tree, the frequent ones near its root: what each passes on its way there.

    nodes (V, depth) are the decisions that lead to a word, of V - 1 in all, signs (V, depth) how they must go: 1 or -1,
    and 0 behind the last.
    """

    nodes: Tensor
    signs: Tensor

    @classmethod
    def of(cls, counts: Any) -> HuffmanTree:
        """The tree in which the mean number of decisions, weighted with counts, is smallest."""
        weights = np.asarray(counts.detach().numpy() if isinstance(counts, Tensor) else counts, float)
        size = len(weights)
        if weights.ndim != 1 or size < 2:
            raise ValueError(f"HuffmanTree.of: needs the counts of two or more words, got shape {weights.shape}")
        if not (weights >= 0).all():
            raise ValueError(f"HuffmanTree.of: counts must not be negative, got {weights[~(weights >= 0)][0]:g}")
        heap = [(w, leaf) for leaf, w in enumerate(weights.tolist())]
        heapq.heapify(heap)
        above = np.zeros((2, 2 * size - 1), np.int64)  # of each node: its parent, and the sign of the way from there
        for inner in range(size, 2 * size - 1):
            (v, left), (w, right) = heapq.heappop(heap), heapq.heappop(heap)
            above[:, left], above[:, right] = (inner, 1), (inner, -1)
            heapq.heappush(heap, (v + w, inner))
        ways = [list(_way(leaf, above, size)) for leaf in range(size)]
        table = np.zeros((2, size, max(map(len, ways))), np.int64)
        for leaf, way in enumerate(ways):
            table[:, leaf, : len(way)] = np.transpose(way)
        return cls(as_tensor(table[0]), as_tensor(table[1]))


def _way(node: int, above: np.ndarray, size: int) -> Any:
    """The decisions from a node up to the root, and their signs."""
    while node != 2 * size - 2:
        parent, sign = above[:, node]
        yield parent - size, sign
        node = parent


def _decisions(input: Tensor, weight: Tensor, bias: Tensor | None, tree: HuffmanTree) -> Tensor:
    if weight.shape[0] != len(tree.nodes) - 1:
        raise ValueError(
            f"hierarchical softmax: {len(tree.nodes)} words need weights of {len(tree.nodes) - 1} decisions, "
            f"got shape {tuple(weight.shape)}"
        )
    return linear(input, weight, bias)


def hierarchical_softmax_loss(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    tree: HuffmanTree,
    bias: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-sum log s(sign * (input . weight[node] + bias[node])) over the decisions on the way to the target.

    input (N, D), weight (V - 1, D): what is looked at grows with the logarithm of V.
    """
    if weight.shape[0] != len(tree.nodes) - 1:
        _decisions(input, weight, bias, tree)
    nodes, signs = tree.nodes[target], tree.signs[target]
    scores = einsum("nd,nkd->nk", input, embedding(nodes, weight))
    scores = scores if bias is None else scores + bias[nodes]
    loss = where(signs == 0, 0, -logsigmoid(scores * signs)).sum(-1)
    return reduced(loss, reduction, "hierarchical_softmax_loss")


def hierarchical_log_softmax(input: Tensor, weight: Tensor, tree: HuffmanTree, bias: Tensor | None = None) -> Tensor:
    """The logarithms of the probabilities of all words (N, V), which sum to 1."""
    scores = _decisions(input, weight, bias, tree)
    return where(tree.signs == 0, 0, logsigmoid(scores[:, tree.nodes] * tree.signs)).sum(-1)


# --- clusters --------------------------------------------------------------------------------------------------------


def adaptive_log_softmax(
    input: Tensor,
    head_weight: Tensor,
    tails: Sequence[tuple[Tensor, Tensor]],
    cutoffs: Sequence[int],
    head_bias: Tensor | None = None,
) -> Tensor:
    """The logarithms of the probabilities of all words (N, V).

    The head decides among the words below cutoffs[0] and the clusters; tails[i] = (projection, weight) among the words
    from cutoffs[i] to below cutoffs[i + 1], the last of which is V: a word of a cluster has the product of the two.
    """
    head = ag.log_softmax(_head(input, head_weight, tails, cutoffs, head_bias), -1)
    first = cutoffs[0]
    parts = [
        ag.log_softmax(linear(linear(input, p), w), -1) + head[:, first + i, None] for i, (p, w) in enumerate(tails)
    ]
    return cat([head[:, :first], *parts], -1)


def _head(input: Tensor, weight: Tensor, tails: Sequence, cutoffs: Sequence[int], bias: Tensor | None) -> Tensor:
    sizes = [b - a for a, b in zip(cutoffs, cutoffs[1:])]
    if len(tails) != len(sizes) or weight.shape[0] != cutoffs[0] + len(sizes):
        raise ValueError(
            f"adaptive softmax: cutoffs {list(cutoffs)} need a head of {cutoffs[0] + len(sizes)} rows and {len(sizes)} "
            f"tails, got {weight.shape[0]} rows and {len(tails)} tails"
        )
    return linear(input, weight, bias)


def adaptive_log_softmax_with_loss(
    input: Tensor,
    target: Tensor,
    head_weight: Tensor,
    tails: Sequence[tuple[Tensor, Tensor]],
    cutoffs: Sequence[int],
    head_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What `adaptive_log_softmax` gives the targets (N,), and its negative mean; a tail sees only the rows it is for."""
    head = ag.log_softmax(_head(input, head_weight, tails, cutoffs, head_bias), -1)
    words = np.asarray(innermost_of(target, "adaptive softmax: targets"))
    if words.shape != (len(input),) or words.size and not 0 <= words.min() <= words.max() < cutoffs[-1]:
        raise ValueError(
            f"adaptive softmax: needs a target from 0 to {cutoffs[-1] - 1} for each of {len(input)} rows, got shape "
            f"{words.shape}" + (f" from {words.min()} to {words.max()}" if words.size else "")
        )
    cluster = np.searchsorted(cutoffs, words, side="right")  # 0 is the head
    place = np.where(cluster == 0, words, cutoffs[0] + cluster - 1)
    output = head[np.arange(len(words)), place]
    for i, (projection, weight) in enumerate(tails):
        rows = np.flatnonzero(cluster == i + 1)
        if rows.size:
            inside = ag.log_softmax(linear(linear(input[rows], projection), weight), -1)
            found = inside[np.arange(len(rows)), words[rows] - cutoffs[i]]
            output = output + index_put(zeros(len(words), dtype=output.dtype), (rows,), found)
    return output, -output.mean()
