"""Losses that PyTorch has no functions for: of margins, of rare classes, of overlap, of style, and for hidden units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core import Tensor, clamp_min, exp, eye, gather, logsumexp, matmul, norm, vjp, vmap, where, xlogy
from autograd_core.ops.activations import logsigmoid
from autograd_core.ops.embedding import one_hot

__all__ = [
    "contractive_penalty", "contrastive_loss", "dice_loss", "focal_loss", "gram_matrix", "hinge_loss",
    "kl_sparsity_penalty", "sigmoid_contractive_penalty", "sigmoid_focal_loss", "style_loss",
]  # fmt: skip


def reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    """The loss of each, or the sum or mean of all."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r:.40}")
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def same_shape(input: Any, target: Any, name: str) -> None:
    """An error unless there is a target for each entry."""
    if input.shape != target.shape:
        given = f"input is {tuple(input.shape)}, target is {tuple(target.shape)}"
        raise ValueError(f"{name}: {given}; they must have the same shape")


# --- margins ---------------------------------------------------------------------------------------------------------


def hinge_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, squared: bool = False, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - target * input), or its square: target is 1 or -1.  `multi_margin_loss` is that of many classes."""
    same_shape(input, target, "hinge_loss")
    short = clamp_min(margin - target * input, 0)
    return reduced(short * short if squared else short, reduction, "hinge_loss")


def contrastive_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """(1 - y) d**2 / 2 + y max(0, margin - d)**2 / 2 (Hadsell), d the distance of rows, y 0 for like and 1 for unlike.

    Unlike rows that coincide get no gradient: none of the ways apart is better than another.
    """
    if input1.shape != input2.shape or target.shape != input1.shape[:-1]:
        given = f"{tuple(input1.shape)}, {tuple(input2.shape)} and target {tuple(target.shape)}"
        raise ValueError(f"contrastive_loss: needs two arrays of rows and a target for each pair, got shapes {given}")
    difference = input1 - input2
    near = clamp_min(margin - norm(difference, 2, -1), 0)
    loss = (1 - target) * (difference * difference).sum(-1) + target * (near * near)
    return reduced(loss / 2, reduction, "contrastive_loss")


# --- rare classes ----------------------------------------------------------------------------------------------------


def _modulated(log_p: Tensor, log_rest: Tensor, gamma: float) -> Tensor:
    """-(1 - p)**gamma log p, given log(p) and log(1 - p)."""
    return -log_p if gamma == 0 else -(exp(gamma * log_rest) * log_p)


def sigmoid_focal_loss(
    input: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """Binary cross entropy of log-odds, -a (1 - p)**gamma log(p), p the probability given to the target.

    a is alpha for the target 1 and 1 - alpha for 0; a negative alpha weighs all the same.
    """
    same_shape(input, target, "sigmoid_focal_loss")
    yes, no = logsigmoid(input), logsigmoid(-input)
    positive, negative = _modulated(yes, no, gamma), _modulated(no, yes, gamma)
    if alpha >= 0:
        positive, negative = alpha * positive, (1 - alpha) * negative
    return reduced(target * positive + (1 - target) * negative, reduction, "sigmoid_focal_loss")


def focal_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    """-w (1 - p)**gamma log(p): input (N, C, ...) are scores, target (N, ...) classes, p the softmax of the target's.

    The mean is over all places, weighted or not: with gamma=0 it is that of `cross_entropy(..., reduction="none")`, whose
    own mean with a weight is divided by the weights of the targets instead.
    """
    if tuple(target.shape) != (*input.shape[:1], *input.shape[2:]) or target.dtype.kind not in "iu":
        given = f"input {tuple(input.shape)} and target {tuple(target.shape)} {target.dtype}"
        raise ValueError(f"focal_loss: needs input (N, C, ...) and whole numbers (N, ...), got {given}")
    places = target.unsqueeze(1)
    total = logsumexp(input, 1, True)
    others = input + _hiding(places, input)
    loss = _modulated(gather(input, 1, places) - total, logsumexp(others, 1, True) - total, gamma).squeeze(1)
    return reduced(loss if weight is None else loss * weight[target], reduction, "focal_loss")


def _hiding(places: Any, like: Any) -> Any:
    """-inf at the places along the second axis, 0 elsewhere."""
    classes = np.arange(like.shape[1]).reshape(-1, *(1,) * (like.ndim - 2))
    return where(places == classes, -math.inf, 0.0).astype(like.dtype)


def dice_loss(
    input: Tensor, target: Tensor, smooth: float = 1.0, squared: bool = False, reduction: str = "mean"
) -> Tensor:
    """1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), the sums over all of a sample; `squared` sums p**2, t**2.

    input are probabilities, target of their shape; or the target (N, ...) are classes of input (N, C, ...), and there is
    one loss for each sample and class.
    """
    if target.ndim == input.ndim - 1:
        target = one_hot(target, input.shape[1]).movedim(-1, 1).to(input.dtype)
        axes = tuple(range(2, input.ndim))
    else:
        axes = tuple(range(1, input.ndim))
    same_shape(input, target, "dice_loss")
    total = lambda x: x.sum(axes) if axes else x
    sizes = total(input * input) + total(target * target) if squared else total(input) + total(target)
    return reduced(1 - (2 * total(input * target) + smooth) / (sizes + smooth), reduction, "dice_loss")


# --- style -----------------------------------------------------------------------------------------------------------


def gram_matrix(input: Tensor, normalize: bool = True) -> Tensor:
    """F F.T for the channels of (N, C, ...) or (C, ...) as rows of F, divided by its number of entries."""
    single = input.ndim == 3
    rows = input.flatten(1 if single else 2)
    gram = matmul(rows, rows.mT)
    return gram / (rows.shape[-1] * rows.shape[-2]) if normalize else gram


def style_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """sum((G - A)**2) / (4 C**2 M**2) for each image, G and A the Gram matrices of C channels of M places (Gatys)."""
    difference = gram_matrix(input) - gram_matrix(target)
    return reduced((difference * difference).sum((-2, -1)) / 4, reduction, "style_loss")


# --- hidden units ----------------------------------------------------------------------------------------------------


def kl_sparsity_penalty(input: Tensor, rho: float = 0.05, dim: int = 0, reduction: str = "sum") -> Tensor:
    """rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)) for each unit, r its mean activation along dim."""
    if not 0 <= rho <= 1:
        raise ValueError(f"kl_sparsity_penalty: rho is the share of the time a unit should be on, 0 to 1, got {rho}")
    r = input.mean(dim)
    entropy = float(np.sum([p * np.log(p) for p in (rho, 1 - rho) if p]))
    return reduced(entropy - xlogy(rho, r) - xlogy(1 - rho, 1 - r), reduction, "kl_sparsity_penalty")


def contractive_penalty(function: Callable, input: Tensor, reduction: str = "mean") -> Tensor:
    """sum((dh / dx)**2) for each row x of input (N, D), where h = function(x): the Jacobian by differentiating.

    The function acts on each row for itself.  It costs a walk back for each unit of h; where h is a sigmoid layer,
    `sigmoid_contractive_penalty` costs next to nothing.
    """
    hidden = function(input)
    if hidden.shape[:1] != input.shape[:1] or hidden.ndim != 2:
        given = f"{tuple(hidden.shape)} of input {tuple(input.shape)}"
        raise ValueError(f"contractive_penalty: the function must make a row (N, H) of each row, it made {given}")
    one_unit = lambda e: vjp(function, input)[1](e.expand(hidden.shape))
    rows = vmap(one_unit)(eye(hidden.shape[1], dtype=hidden.dtype))  # (H, N, D)
    return reduced((rows * rows).flatten(2).sum((0, 2)), reduction, "contractive_penalty")


def sigmoid_contractive_penalty(hidden: Tensor, weight: Tensor, reduction: str = "mean") -> Tensor:
    """sum_j (h_j (1 - h_j))**2 sum_i W_ji**2 for hidden = sigmoid(x W.T + b): the penalty of contraction, closed form."""
    if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[0]:
        given = f"{tuple(hidden.shape)} and {tuple(weight.shape)}"
        raise ValueError(f"sigmoid_contractive_penalty: needs hidden (N, H) and weight (H, D), got shapes {given}")
    slope = hidden * (1 - hidden)
    return reduced(matmul(slope * slope, (weight * weight).sum(1)), reduction, "sigmoid_contractive_penalty")
