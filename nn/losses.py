"""Losses as modules: the functions of nn.functional with their settings kept; weights of classes are buffers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autograd_core import Tensor, argmax, cat, checkpoint, gather, tensor, where
from autograd_core.ops.arguments import innermost_of
from autograd_core.ops.losses import _reduction

from . import functional as F
from .containers import ModuleList, Sequential
from .distance import PairwiseDistance
from .linear import Linear
from .module import Module

__all__ = [
    "AdaptiveLogSoftmaxWithLoss", "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss",
    "CrossEntropyLoss", "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss",
    "LinearCrossEntropyLoss", "LinearCrossEntropyOptions", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss", "SmoothL1Loss",
    "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class Loss(Module):
    """What losses have in common: how one number is made of many, "mean", "sum" or "none"."""

    reductions: tuple[str, ...] = ()  # what is allowed besides

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"):
        self.reduction = _reduction(reduction, size_average, reduce, type(self).__name__, *self.reductions)


class WeightedLoss(Loss):
    """A loss with a weight for each class, or for each entry."""

    weight: Any

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


# --- differences -----------------------------------------------------------------------------------------------------


class L1Loss(Loss):
    """The sizes of the differences."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Input and target of one shape."""
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(Loss):
    """The squares of the differences."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Input and target of one shape."""
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """The sizes of the differences, and where these are below beta half their squares over beta."""

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Input and target of one shape."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """Half the squares of the differences up to delta, and beyond that a straight line."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Input and target of one shape."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


# --- classes ---------------------------------------------------------------------------------------------------------


class NLLLoss(WeightedLoss):
    """The negated log-probability of the class of each row."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Log-probabilities (N, C, ...) and class indices (N, ...)."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """An old name of NLLLoss."""


class CrossEntropyLoss(WeightedLoss):
    """-log of the probability that softmax of the scores gives the target; takes scores, not their softmax."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Scores (N, C, ...) and class indices (N, ...), or probabilities (N, C, ...)."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MultiMarginLoss(WeightedLoss):
    """How much other scores of a row come too close to that of its class, to the power of p."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ):
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: weight must be (C,), got {tuple(weight.shape)}")
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Scores (N, C) and class indices (N,), or (C,) and ()."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(Loss):
    """How much other scores come too close to those of the classes that a row of targets lists, up to a -1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Scores and lists of classes (N, C) or (C,)."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


# --- probabilities ---------------------------------------------------------------------------------------------------


class BCELoss(WeightedLoss):
    """-log of the probability of truth values, given the probabilities of true."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Probabilities and truth values of one shape."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """-log of the probability of truth values, given their log-odds; `pos_weight` is what those that are true count."""

    weight: Any
    pos_weight: Any

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Log-odds and truth values of one shape."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MultiLabelSoftMarginLoss(WeightedLoss):
    """Cross entropy of truth values given log-odds, the mean over classes."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Log-odds and truth values (..., C)."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target * input)), with targets 1 and -1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Input and target of one shape."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class KLDivLoss(Loss):
    """The divergence of log-probabilities from the target, entry by entry; "batchmean" gives it as it is defined."""

    reductions = ("batchmean",)

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Log-probabilities, and probabilities or their logarithms."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """-log of the probability of counts, but for a constant unless `full`, given rates or their logarithms."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """Rates, or their logarithms, and counts."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(Loss):
    """-log of the density of the target, but for a constant unless `full`, given means and variances (at least eps)."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """Means, targets and variances; one variance for each row will do."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class CTCLoss(Loss):
    """-log likelihood of sequences of labels, however they are timed."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        """Log-probabilities (T, N, C) or (T, C); targets (N, S), or all labels one after the other."""
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


# --- distances -------------------------------------------------------------------------------------------------------


class HingeEmbeddingLoss(Loss):
    """Distances where the target is 1, and by how much they fall short of the margin where it is -1."""

    def __init__(self, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Distances and signs of one shape."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 - cosine where the target is 1, and by how much the cosine exceeds the margin where it is -1."""

    def __init__(self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """(N, D), (N, D) and signs (N,), or (D,), (D,) and ()."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """By how much the one input is not above the other (target 1), or below (target -1), by the margin."""

    def __init__(self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Two inputs and signs of one shape."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """By how much the anchor is not nearer to the positive than to the negative by the margin."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.margin, self.p, self.eps, self.swap = positive_margin(margin, "TripletMarginLoss"), p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Three of one shape, (N, D) or (D,)."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Loss):
    """TripletMarginLoss with a distance of the user's."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ):
        super().__init__(reduction=reduction)
        self.margin, self.swap = positive_margin(margin, "TripletMarginWithDistanceLoss"), swap
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Three that the distance takes two of at a time."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


def positive_margin(margin: float, name: str) -> float:
    """A margin, if it is one that can be fallen short of."""
    if margin <= 0:
        raise ValueError(f"{name}: margin must be positive, got {margin}")
    return margin


# --- many classes ----------------------------------------------------------------------------------------------------


class Scored(NamedTuple):
    """The log-probability of each row's class, and the loss: their negated mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Cross entropy over many classes sorted by how often they occur: rare ones in clusters with fewer features.

    The head scores the classes below the first of `cutoffs`, and each cluster as one more class; cluster i has
    in_features / div_value^(i+1) features.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        bounds = [0, *cutoffs, n_classes]
        if len(bounds) < 3 or any(int(b) != b for b in bounds) or any(a >= b for a, b in zip(bounds, bounds[1:])):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must be whole numbers that increase from 1 to n_classes - 1, "
                f"which is {n_classes - 1}, got {list(cutoffs)}"
            )
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs = bounds[1:]
        self.shortlist_size, self.n_clusters = bounds[1], len(bounds) - 2
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(self.clusters()):
            features = int(in_features // div_value ** (i + 1))
            inward = Linear(in_features, features, bias=False, **made)
            self.tail.append(Sequential(inward, Linear(features, high - low, bias=False, **made)))

    def clusters(self) -> Iterator[tuple[int, int]]:
        """The first class of each cluster, and the one after its last."""
        return zip(self.cutoffs, self.cutoffs[1:])

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in (self.head, *(layer for cluster in self.tail for layer in cluster)):
            layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> Scored:
        """Rows (N, in_features) and classes (N,), or (in_features,) and ()."""
        labels = self._labels(input_, target_)
        rows = input_ if target_.ndim else input_[None]
        cluster = np.searchsorted(self.cutoffs, labels, side="right")
        column = np.where(cluster == 0, labels, self.shortlist_size - 1 + cluster)
        output = gather(F.log_softmax(self.head(rows), -1), 1, tensor(column[:, None]))[:, 0]
        for i, (low, _) in enumerate(self.clusters()):
            members = np.flatnonzero(cluster == i + 1)
            if members.size:
                inside = F.log_softmax(self.tail[i](rows[members]), -1)
                chosen = gather(inside, 1, tensor(labels[members, None] - low))[:, 0]
                output = output.index_add(0, tensor(members), chosen)
        return Scored(output if target_.ndim else output[0], -output.mean())

    def _labels(self, input: Tensor, target: Tensor) -> np.ndarray:
        """The classes meant, if there are such classes, and one for each row."""
        if target.ndim > 1 or input.ndim != target.ndim + 1 or tuple(input.shape[:-1]) != tuple(target.shape):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: needs rows (N, {self.in_features}) and classes (N,), or "
                f"({self.in_features},) and (), got {tuple(input.shape)} and {tuple(target.shape)}"
            )
        if target.dtype.kind not in "iu":
            raise TypeError(f"AdaptiveLogSoftmaxWithLoss: classes must be integers, got {target.dtype}")
        labels = np.atleast_1d(innermost_of(target, "AdaptiveLogSoftmaxWithLoss: classes"))
        if labels.size and not 0 <= labels.min() <= labels.max() < self.n_classes:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: classes must be from 0 to {self.n_classes - 1}, "
                f"got some from {labels.min()} to {labels.max()}"
            )
        return labels

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: (N, in_features) to (N, n_classes)."""
        head = F.log_softmax(self.head(input), -1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            parts.append(F.log_softmax(cluster(input), -1) + head[:, self.shortlist_size + i, None])
        return cat(parts, -1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row: (N, in_features) to (N,); clusters are looked into where they may win."""
        output = argmax(self.head(input), -1)
        rare = np.flatnonzero(output.numpy() >= self.shortlist_size)
        if not rare.size:
            return output
        best = output.numpy().copy()
        best[rare] = argmax(self.log_prob(input[rare]), -1).numpy()
        return tensor(best)


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """That logits are made for some rows at a time, and made again in backward, so that memory never holds them all.

    "aspect_ratio" makes the logits of a chunk as large as the whole input, "aspect_ratio:n" an nth of that.  Logits
    are computed in `acc_dtype`.  Gradients add up in the type of what they are of, and may be taken more than once,
    whatever `acc_policy` and `allow_retain_graph` say: these are here since PyTorch has them.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"acc_policy must be 'auto', 'accurate', 'balanced' or 'compact', got {self.acc_policy!r}")
        name, _, factor = (self.chunking_method or "auto").partition(":")
        if (
            name not in ("auto", "aspect_ratio")
            or factor
            and (name == "auto" or not factor.isdecimal() or factor == "0")
        ):
            raise ValueError(
                f"chunking_method must be 'auto', 'aspect_ratio' or 'aspect_ratio:n', got {self.chunking_method!r}"
            )
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be a positive whole number or None, got {size!r}")

    def rows(self, count: int, features: int, classes: int) -> int:
        """How many of `count` rows make a chunk."""
        if self.batch_chunk_size is not None or self.chunking_method is None:
            return self.batch_chunk_size or count
        method = "aspect_ratio:2" if self.chunking_method == "auto" else self.chunking_method
        even = -(-count // -(-classes // features))
        return max(1, min((1 << (even - 1).bit_length()) // int(method.partition(":")[2] or 1), count))


class LinearCrossEntropyLoss(WeightedLoss):
    """A linear layer and cross entropy of what it gives; with `options` its scores are never all in memory."""

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ):
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise ValueError(
                f"LinearCrossEntropyLoss: weight must have one entry for each of {num_classes} classes, "
                f"got {tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"LinearCrossEntropyLoss: label_smoothing must be from 0 to 1, got {label_smoothing}")
        super().__init__(weight, reduction=reduction)
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Rows (N, in_features) and class indices (N, *out_features), or probabilities (N, C, *out_features)."""
        soft = target.dtype.kind == "f"
        if soft and self.ignore_index is not None:
            raise ValueError("LinearCrossEntropyLoss: ignore_index is for class indices, but target has probabilities")
        if self.options is None or input.ndim < 2 or not len(input):
            return self._entropy(input, target, self.reduction)
        size = self.options.rows(len(input), self.linear.in_features, self.linear.out_features)
        how = "none" if self.reduction == "none" else "sum"
        parts = [
            checkpoint(self._entropy, input[i : i + size], target[i : i + size], how)
            for i in range(0, len(input), size)
        ]
        if how == "none":
            return cat(parts, 0)
        total = sum(parts[1:], parts[0])
        return total / self._counted(target, soft) if self.reduction == "mean" else total

    def _entropy(self, input: Tensor, target: Tensor, reduction: str) -> Tensor:
        kind = None if self.options is None else self.options.acc_dtype
        x = input if kind is None else input.to(kind)
        w, b = (p if p is None or kind is None else p.to(kind) for p in (self.linear.weight, self.linear.bias))
        scores = F.linear(x, w, b).reshape(*input.shape[:-1], self.num_classes, *self.out_features)
        return F.cross_entropy(
            scores,
            target,
            weight=self.weight,
            ignore_index=-100 if self.ignore_index is None else self.ignore_index,
            reduction=reduction,
            label_smoothing=self.label_smoothing,
        ).to(input.dtype)

    def _counted(self, target: Tensor, soft: bool) -> Any:
        """What a mean divides by: the weight of all targets."""
        if soft:
            return target.numel() / self.num_classes
        counts = target != (-100 if self.ignore_index is None else self.ignore_index)
        return counts.sum() if self.weight is None else where(counts, self.weight[where(counts, target, 0)], 0).sum()

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )
