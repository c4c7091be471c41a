"""Losses: how far predictions are from what they should be, with the names and arguments of torch.nn.functional.

Those that training spends its time in have ops of their own, in `loss_ops`: cross entropy, squared error, cross entropy
of truth values given log-odds.  All others are written with other ops.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..direct import arrays_of, first_of, recorded
from ..kernels import cross_entropy as kernels
from ..op import Traced
from .arguments import bare
from .arranging import expand_dims, reshape_to
from .base import broadcast_to
from .gather import gather
from .loss_ops import binary_losses, cross_entropy_of, in_unit, logit_losses, picked_losses, squared_gaps
from .math import abs, clamp_min, exp, log, logaddexp, logical_and, minimum, sqrt, where, xlogy
from .reduce import any as any_of
from .reduce import mean, norm, reduce_sum, sum
from .scan import cumsum
from .special import log_softmax_along

__all__ = ["cosine_similarity", "pairwise_distance"]  # PyTorch's others at the top level have codes for reductions

# --- what all have in common -----------------------------------------------------------------------------------------


def _reduction(reduction: str, size_average: Any, reduce: Any, name: str, *more: str) -> str:
    """The reduction meant, also by the two arguments that came before it."""
    if size_average is not None or reduce is not None:
        warnings.warn(f"{name}: size_average and reduce are old; say reduction='...'", DeprecationWarning, stacklevel=3)
        return "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum", *more):
        raise ValueError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def _reduced(loss: Any, reduction: str) -> Any:
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


def _tensors(name: str, **values: Any) -> None:
    """Refuse lists and other things that are neither tensors nor arrays."""
    for what, value in values.items():
        if not hasattr(value, "shape"):
            raise TypeError(f"{name}: {what} must be a tensor, got {type(value).__name__}; tensor(...) makes one")


def _differ(input: Any, target: Any, name: str) -> bool:
    try:
        return input.shape != target.shape
    except AttributeError:
        _tensors(name, input=input, target=target)
        raise


def _pair(input: Any, target: Any, name: str) -> None:
    """Warn of shapes that differ, and refuse those that do not go together."""
    if _differ(input, target, name):
        given = f"input is {tuple(input.shape)}, target is {tuple(target.shape)}"
        try:
            np.broadcast_shapes(input.shape, target.shape)
        except ValueError:
            raise ValueError(f"{name}: {given}; they must have the same shape") from None
        warnings.warn(f"{name}: {given}; they are broadcast, which is seldom what is meant", stacklevel=3)


def _same(input: Any, target: Any, name: str) -> None:
    if _differ(input, target, name):
        given = f"input is {tuple(input.shape)}, target is {tuple(target.shape)}"
        raise ValueError(f"{name}: {given}; they must have the same shape")


def _weighted(each: Any, weight: Any, shape: tuple, reduction: str, name: str) -> Any:
    """A loss with a weight for each entry; its mean is by weight."""
    if weight.shape != shape:
        raise ValueError(f"{name}: weight is {tuple(weight.shape)}, but input is {tuple(shape)}; they must be the same")
    each = each * weight
    return sum(each) / sum(weight) if reduction == "mean" else _reduced(each, reduction)


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, Traced) else value


def _fused(a: Any, b: Any, reduction: str) -> bool:
    """Whether a sum over two arrays can be made in one pass."""
    return (
        reduction != "none" and a.shape == b.shape and a.dtype == b.dtype and a.dtype.char in "fd" and 0 not in a.shape
    )


def _share(input: Any, reduction: str) -> float:
    """What each entry counts."""
    return 1 / math.prod(input.shape) if reduction == "mean" else 1.0


# --- one sum over all entries ----------------------------------------------------------------------------------------


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The squared differences."""
    how = _reduction(reduction, size_average, reduce, "mse_loss")
    _pair(input, target, "mse_loss")
    if weight is None and _fused(input, target, how):
        return squared_gaps(input, target, scale=_share(input, how))
    gap = input - target
    return _reduced(gap * gap, how) if weight is None else _weighted(gap * gap, weight, input.shape, how, "mse_loss")


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """-log of the probability of truth values, given their log-odds."""
    how = _reduction(reduction, size_average, reduce, "binary_cross_entropy_with_logits")
    _same(input, target, "binary_cross_entropy_with_logits")
    if weight is None and pos_weight is None and _fused(input, target, how):
        return logit_losses(input, target, scale=_share(input, how))
    zero = np.zeros((), input.dtype)
    if pos_weight is None:
        loss = logaddexp(input, zero) - input * target
    else:
        loss = (1 - target) * input + (1 + (pos_weight - 1) * target) * logaddexp(-input, zero)
    return _reduced(loss if weight is None else loss * weight, how)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-log of the probability of truth values, given the probabilities of true; no logarithm is less than -100."""
    how = _reduction(reduction, size_average, reduce, "binary_cross_entropy")
    _same(input, target, "binary_cross_entropy")
    fine = in_unit(input, target)
    with np.errstate(divide="ignore"):
        loss = binary_losses(input, target)
    return _reduced(loss if weight is None else loss * weight, how) + fine


# --- cross entropy ---------------------------------------------------------------------------------------------------


def _as_batch(input: Any, target: Any, weight: Any, name: str) -> tuple:
    """Scores (N, C, ...), class indices (N, ...), and the shape of a loss for each."""
    if input.dtype.kind != "f":
        hint = (
            "; are input and target in each other's place?" if getattr(target, "dtype", input.dtype).kind == "f" else ""
        )
        raise TypeError(f"{name}: input must be floating-point numbers, got {input.dtype}{hint}")
    shape = tuple(input.shape)
    if not shape:
        raise ValueError(f"{name}: input must be (C,), (N, C) or (N, C, ...), got a single number")
    single = len(shape) == 1
    wanted, classes = ((), shape[0]) if single else ((shape[0], *shape[2:]), shape[1])
    if target.shape != wanted:
        given, hint = f"input is {shape}, so class indices must be {wanted}", ""
        if tuple(target.shape) == shape and name == "cross_entropy":
            hint = "; probabilities, one-hot ones too, are floats: target.float(), or target.argmax(1) for indices"
        elif math.prod(target.shape) == math.prod(wanted):
            hint = "; a target.reshape or squeeze may be missing"
        elif not single and tuple(target.shape) == shape[:-1]:
            hint = "; if the classes are the last axis of input, input.movedim(-1, 1) would fit"
        raise ValueError(f"{name}: {given}, got {tuple(target.shape)}{hint}")
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name}: class indices must be integers, got {target.dtype}; target.long() makes them so")
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{name}: weight is {tuple(weight.shape)}, but there are {classes} classes")
    if single:
        input, target = reshape_to(input, shape=(1, classes)), reshape_to(target, shape=(1,))
    return input, target, wanted


def _rows_and_classes(x: np.ndarray, t: np.ndarray) -> bool:
    """Whether these are scores (N, C) and a class for each row: the usual case, of which nothing else need be asked."""
    return x.ndim == 2 and t.shape == x.shape[:1] and x.dtype.kind == "f" and t.dtype.kind in "iu"


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """-log of the probability that softmax of input (N, C, ...) gives the target: class indices, or probabilities."""
    how = _reduction(reduction, size_average, reduce, "cross_entropy")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}")
    params = {"ignored": ignore_index, "smoothing": float(label_smoothing), "reduction": how}
    if weight is None and (values := arrays_of((input, target))) and _rows_and_classes(*values):
        y = kernels.forward(*values, None, ignore_index, params["smoothing"], how)
        return recorded(cross_entropy_of.op, (input, target), values, params, y)
    if not _differ(input, target, "cross_entropy") and target.dtype.kind == "f":
        return _soft_cross_entropy(input, target, weight, how, label_smoothing)
    x, t, shape = _as_batch(input, target, weight, "cross_entropy")
    xs = (x, t) if weight is None else (x, t, weight)
    loss = first_of(cross_entropy_of, xs, params)
    return loss if how != "none" or input.ndim > 1 else reshape_to(loss, shape=shape)


def _soft_cross_entropy(x: Any, target: Any, weight: Any, how: str, smoothing: float) -> Any:
    """Cross entropy with a probability for each class."""
    axis = 1 - x.ndim if x.ndim > 1 else -1
    if weight is not None and tuple(weight.shape) != (x.shape[axis],):
        raise ValueError(f"cross_entropy: weight is {tuple(weight.shape)}, but there are {x.shape[axis]} classes")
    if smoothing:
        target = target * (1 - smoothing) + smoothing / x.shape[axis]
    if weight is not None:
        target = target * reshape_to(weight, shape=(-1, *(1,) * (-1 - axis)))
    loss = -reduce_sum(log_softmax_along(x, axis=axis) * target, axis=(axis,))
    return _reduced(loss, how)


def nll_loss(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
):  # fmt: skip
    """The negated entry of input (N, C, ...), which holds log-probabilities, at the class of each row."""
    how = _reduction(reduction, size_average, reduce, "nll_loss")
    x, t, shape = _as_batch(input, target, weight, "nll_loss")
    loss, share = picked_losses(*((x, t) if weight is None else (x, t, weight)), ignored=ignore_index)
    if how == "none":
        return loss if input.ndim > 1 else reshape_to(loss, shape=shape)
    with np.errstate(invalid="ignore"):
        return sum(loss) / sum(_plain(share)) if how == "mean" else sum(loss)


# --- differences -----------------------------------------------------------------------------------------------------


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The sizes of the differences."""
    how = _reduction(reduction, size_average, reduce, "l1_loss")
    _pair(input, target, "l1_loss")
    gap = abs(input - target)
    return _reduced(gap, how) if weight is None else _weighted(gap, weight, input.shape, how, "l1_loss")


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """The sizes of the differences, and where these are below beta half their squares over beta."""
    how = _reduction(reduction, size_average, reduce, "smooth_l1_loss")
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    _pair(input, target, "smooth_l1_loss")
    gap = abs(input - target)
    return _reduced(where(gap < beta, gap * gap * (0.5 / beta), gap - 0.5 * beta) if beta else gap, how)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Half the squares of the differences up to delta, and beyond that a straight line."""
    how = _reduction(reduction, None, None, "huber_loss")
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    _pair(input, target, "huber_loss")
    gap = abs(input - target)
    loss = where(gap <= delta, gap * gap * 0.5, (gap - 0.5 * delta) * delta)
    if weight is not None and weight.shape != input.shape:
        given = f"weight is {tuple(weight.shape)}, but input is {tuple(input.shape)}"
        raise ValueError(f"huber_loss: {given}; they must be the same")
    return _reduced(loss if weight is None else loss * weight, how)


# --- probabilities ---------------------------------------------------------------------------------------------------


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """Pointwise terms of the divergence of log-probabilities `input` from `target`; "batchmean" is its definition."""
    how = _reduction(reduction, size_average, reduce, "kl_div", "batchmean")
    _tensors("kl_div", input=input, target=target)
    loss = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    return sum(loss) / input.shape[0] if how == "batchmean" and input.ndim else _reduced(loss, how)


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """-log of the probability of counts, but for a constant unless `full`, given rates or their logarithms."""
    how = _reduction(reduction, size_average, reduce, "poisson_nll_loss")
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = where(target > 1, target, 1)
        rest = safe * log(safe) - safe + 0.5 * log(safe * (2 * math.pi))
        loss = loss + where(target > 1, rest, 0)
    return _reduced(loss, how)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """-log of the density of target, but for a constant unless `full`, given means and variances (at least eps)."""
    how = _reduction(reduction, None, None, "gaussian_nll_loss")
    if isinstance(var, (int, float)):
        var = np.full(input.shape, var, input.dtype)
    if bare(var).size and (bare(var) < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entries")
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = expand_dims(var, axis=(-1,))
        elif var.ndim != input.ndim or [m for n, m in zip(input.shape, var.shape) if n != m] != [1]:
            raise ValueError(f"gaussian_nll_loss: var is {tuple(var.shape)}, which does not fit {tuple(input.shape)}")
    var = where(var < eps, var + _plain(eps - var), var)  # the limit has no part in the gradient
    gap = input - target
    loss = 0.5 * (log(var) + gap * gap / var)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, how)


# --- margins ---------------------------------------------------------------------------------------------------------


def _log_odds_loss(x: Any) -> Any:
    """log(1 + exp(-x))"""
    return logaddexp(-x, np.zeros((), x.dtype))


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """Distances where the target is 1, and by how much they fall short of the margin where it is -1."""
    how = _reduction(reduction, size_average, reduce, "hinge_embedding_loss")
    return _reduced(where(target != 1, clamp_min(margin - input, 0), 0) + where(target != -1, input, 0), how)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """By how much the one input is not above the other (target 1), or below (target -1), by the margin."""
    how = _reduction(reduction, size_average, reduce, "margin_ranking_loss")
    if not input1.ndim == input2.ndim == target.ndim:
        shapes = ", ".join(str(tuple(v.shape)) for v in (input1, input2, target))
        raise ValueError(f"margin_ranking_loss: inputs and target must have as many axes, got {shapes}")
    return _reduced(clamp_min(-target * (input1 - input2) + margin, 0), how)


def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cosine where the target is 1, and by how much the cosine exceeds the margin where it is -1."""
    how = _reduction(reduction, size_average, reduce, "cosine_embedding_loss")
    if target.ndim > 1 or input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        shapes = ", ".join(str(tuple(v.shape)) for v in (input1, input2, target))
        raise ValueError(f"cosine_embedding_loss: needs (N, D), (N, D) and (N,), or (D,), (D,) and (), got {shapes}")
    total = lambda t: reduce_sum(t, axis=(-1,))
    size = (total(input1 * input1) + 1e-12) * (total(input2 * input2) + 1e-12)
    cosine = total(input1 * input2) / sqrt(size)
    loss = where(target == 1, 1 - cosine, 0) + where(target == -1, clamp_min(cosine - margin, 0), 0)
    return _reduced(loss, how)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-target * input)), with targets 1 and -1."""
    how = _reduction(reduction, size_average, reduce, "soft_margin_loss")
    _same(input, target, "soft_margin_loss")
    return _reduced(_log_odds_loss(target * input), how)


def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """How much other scores of a row come too close to that of its class, to the power of p; the mean over classes."""
    how = _reduction(reduction, size_average, reduce, "multi_margin_loss")
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    if input.ndim > 2:
        raise ValueError(f"multi_margin_loss: input must be (N, C) or (C,), got {tuple(input.shape)}")
    x, t, shape = _as_batch(
        input, reshape_to(target, shape=()) if input.ndim == 1 else target, weight, "multi_margin_loss"
    )
    column = expand_dims(t, axis=(-1,))
    classes = x.shape[-1]
    each = clamp_min(margin - gather(x, 1, column) + x, 0)
    each = each if p == 1 else each * each
    if weight is not None:
        each = each * expand_dims(weight[t], axis=(-1,))
    loss = reduce_sum(where(column == np.arange(classes), 0, each), axis=(-1,)) / classes
    return _reduced(loss if input.ndim > 1 else reshape_to(loss, shape=shape), how)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """How much other scores come too close to those of the classes that a row of targets lists, up to a -1."""
    how = _reduction(reduction, size_average, reduce, "multilabel_margin_loss")
    _same(input, target, "multilabel_margin_loss")
    if input.ndim not in (1, 2):
        raise ValueError(f"multilabel_margin_loss: input must be (N, C) or (C,), got {tuple(input.shape)}")
    listed = cumsum((target < 0).astype(np.dtype("int64")), -1) == 0
    t, classes = where(listed, target, 0), input.shape[-1]
    column = expand_dims(t, axis=(-1,))
    is_target = any_of(logical_and(column == np.arange(classes), expand_dims(listed, axis=(-1,))), -2)
    scores = gather(input, -1, t)
    close = clamp_min(1 - (expand_dims(scores, axis=(-1,)) - expand_dims(input, axis=(-2,))), 0)
    counts = logical_and(expand_dims(listed, axis=(-1,)), expand_dims(is_target == 0, axis=(-2,)))
    return _reduced(reduce_sum(where(counts, close, 0), axis=(-2, -1)) / classes, how)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Cross entropy of truth values given log-odds, the mean over classes."""
    how = _reduction(reduction, size_average, reduce, "multilabel_soft_margin_loss")
    loss = target * _log_odds_loss(input) + (1 - target) * _log_odds_loss(-input)
    loss = loss if weight is None else loss * weight
    return _reduced(reduce_sum(loss, axis=(-1,)) / input.shape[-1], how)


# --- distances -------------------------------------------------------------------------------------------------------


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along dim; lengths below eps count as eps."""
    if x1.shape != x2.shape:
        try:
            shape = np.broadcast_shapes(x1.shape, x2.shape)
        except ValueError:
            given = f"x1 is {tuple(x1.shape)}, x2 is {tuple(x2.shape)}"
            raise ValueError(
                f"cosine_similarity: {given}; they must have the same shape, or one to broadcast to"
            ) from None
        x1, x2 = broadcast_to(x1, shape=shape), broadcast_to(x2, shape=shape)
    first, second = (clamp_min(norm(x, 2, dim, True), eps) for x in (x1, x2))
    return sum((x1 / first) * (x2 / second), dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps along the last axis."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """By how much the anchor is not nearer to the positive than to the negative by the margin."""
    how = _reduction(reduction, size_average, reduce, "triplet_margin_loss")
    distance = lambda a, b: pairwise_distance(a, b, p, eps)
    return _triplet(anchor, positive, negative, distance, margin, swap, how, "triplet_margin_loss")


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """triplet_margin_loss with a distance of the user's."""
    how, name = (
        _reduction(reduction, None, None, "triplet_margin_with_distance_loss"),
        "triplet_margin_with_distance_loss",
    )
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, how, name)


def _triplet(anchor: Any, positive: Any, negative: Any, distance: Any, margin: float, swap: bool, how: str, name: str):
    if margin <= 0:
        raise ValueError(f"{name}: margin must be positive, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = ", ".join(str(tuple(v.shape)) for v in (anchor, positive, negative))
        raise ValueError(f"{name}: anchor, positive and negative must have as many axes, got {shapes}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return _reduced(clamp_min(near - far + margin, 0), how)
