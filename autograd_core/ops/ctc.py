"""Connectionist temporal classification."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import ctc as kernels
from ..op import op
from .arguments import innermost_of
from .arranging import expand_dims, reshape_to
from .composed import pulled_back
from .joining import cat, stack
from .losses import _reduction
from .math import isinf, logaddexp, where
from .reduce import mean, sum
from .special import softmax_along

__all__: list[str] = []  # torch.ctc_loss has codes for reductions

NEVER = -1e30  # the logarithm of a probability of nothing, without the trouble of an infinity


def _sample(rng):
    time, members, classes = 4, int(rng.integers(1, 3)), 3
    labels = rng.integers(1, classes, (members, 2))
    times = rng.integers(3, time + 1, members)
    logs = np.log(rng.dirichlet(np.ones(classes) * 3, (time, members)))
    return [logs, labels, times, rng.integers(0, 3, members) * (labels[:, 0] != labels[:, 1])], {"blank": 0}


@op(
    lambda g, logs, labels, times, lengths, blank: (
        -expand_dims(g, axis=(-1,)) * ctc_shares(logs, labels, times, lengths, blank=blank)
    ),
    None,
    None,
    None,
    samples=_sample,
)
def ctc_of(logs, labels, times, lengths, *, blank):
    """-log likelihood of labels (N, S) given log-probabilities (T, N, C)."""
    return kernels.ctc(logs, labels, times, lengths, blank, False)[0]


@op(
    lambda g, logs, labels, times, lengths, blank: pulled_back(
        lambda v: _shares(v, labels, times, lengths, blank), [logs], [g]
    )[0],
    None,
    None,
    None,
    samples=_sample,
)
def ctc_shares(logs, labels, times, lengths, *, blank):
    """The expected number of uses of each class at each time."""
    return kernels.ctc(logs, labels, times, lengths, blank, True)[1]


def _shares(logs: Any, labels: Any, times: Any, lengths: Any, blank: int) -> Any:
    """The same by ops, which have gradients."""
    times, lengths = innermost_of(times), innermost_of(lengths)
    time, members, classes = logs.shape
    extended = _woven(labels, blank)
    place = np.arange(2 * labels.shape[1] + 1)
    used = (place < 2 * lengths[:, None] + 1).astype(logs.dtype)
    one_hot = (extended[..., None] == np.arange(classes)).astype(logs.dtype)
    emitted = sum(expand_dims(logs, axis=(-2,)) * one_hot, -1)  # (T, N, states)
    skips = _woven(labels != cat((labels[:, :1], labels[:, :-1]), 1), False)
    forward = _ways(emitted, lambda t: (t == 0) & (place < 2), skips, range(time), 1)
    last = (place >= 2 * lengths[:, None] - 1) & (used > 0)
    ends = lambda t: (t == times - 1)[:, None] & last
    leaps = cat((skips, np.zeros((members, 2), bool)), 1)[:, 2:]
    backward = _ways(emitted, ends, leaps, range(time - 1, -1, -1), -1)[::-1]
    alive = (np.arange(time)[:, None] < times)[..., None] & (used > 0)
    both = stack([f + b for f, b in zip(forward, backward)], 0) - emitted
    both = where(alive, both, NEVER)
    weights = where(both > NEVER / 2, softmax_along(both, axis=-1), 0)
    return sum(expand_dims(weights, axis=(-1,)) * one_hot, -2)


def _woven(odd: Any, value: Any) -> Any:
    """(N, 2 S + 1): what is given, with a value before, between and after."""
    members, size = odd.shape
    pairs = stack([np.full((members, size), value), odd], -1)
    return cat((reshape_to(pairs, shape=(members, 2 * size)), np.full((members, 1), value)), 1)


def _ways(emitted: Any, starts: Any, leaps: np.ndarray, order: range, step: int) -> list:
    """Logarithms of the sums over all ways up to each time, and its emission, in one direction."""
    found: list = []
    members, states = emitted.shape[1:]
    edge = np.full((members, 2), NEVER, emitted.dtype)
    for t in order:
        start = np.where(starts(t), 0, NEVER).astype(emitted.dtype)
        if found:
            y = found[-1]
            wide = cat((edge, y) if step > 0 else (y, edge), 1)
            near = wide[:, 1 : 1 + states]
            far = wide[:, :states] if step > 0 else wide[:, 2:]
            start = logaddexp(logaddexp(logaddexp(y, near), where(leaps, far, NEVER)), start)
        found.append(start + emitted[t])
    return found


def _lengths(value: Any, members: int, name: str) -> np.ndarray:
    """Lengths given as a tensor, a sequence, or one number."""
    array = np.asarray(innermost_of(value, f"ctc_loss: {name}"))
    if array.dtype.kind not in "iu" or array.size != members:
        raise ValueError(f"ctc_loss: {name} must be {members} whole numbers, got {array.dtype} {array.shape}")
    return array.reshape(members).astype(np.int64)


def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):  # fmt: skip
    """-log likelihood of sequences of labels, however they are timed, given log-probabilities (T, N, C) or (T, C).

    Targets are (N, S), or all labels one after the other.  The gradient is that by log_probs as they are.
    """
    how = _reduction(reduction, None, None, "ctc_loss")
    if log_probs.ndim not in (2, 3):
        raise ValueError(f"ctc_loss: log_probs must be (T, N, C) or (T, C), got {tuple(log_probs.shape)}")
    alone = log_probs.ndim == 2
    logs = expand_dims(log_probs, axis=(-2,)) if alone else log_probs
    time, members, classes = logs.shape
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank must be one of the {classes} classes, got {blank}")
    times, lengths = (
        _lengths(input_lengths, members, "input_lengths"),
        _lengths(target_lengths, members, "target_lengths"),
    )
    labels = _labels(targets, members, lengths)
    used = innermost_of(labels)
    if times.size and (times.min() < 0 or times.max() > time):
        raise ValueError(f"ctc_loss: input_lengths must be from 0 to {time}, the length of log_probs")
    if used.size and (used.min() < 0 or used.max() >= classes):
        raise ValueError(f"ctc_loss: targets must be classes from 0 to {classes - 1}")
    loss = ctc_of(logs, labels, times, lengths, blank=int(blank))
    if zero_infinity:
        loss = where(isinf(loss), 0, loss)
    if how == "mean":
        return mean(loss / np.maximum(lengths, 1).astype(loss.dtype))
    return sum(loss) if how == "sum" else reshape_to(loss, shape=()) if alone else loss


def _labels(targets: Any, members: int, lengths: np.ndarray) -> Any:
    """Labels (N, S), with 0 where a target has ended."""
    most, size = int(lengths.max(initial=0)), math.prod(targets.shape)
    if targets.ndim == 1 and not (members == 1 and size == most):
        if size != lengths.sum():
            raise ValueError(f"ctc_loss: {size} targets, but target_lengths add up to {lengths.sum()}")
        starts = np.cumsum(lengths) - lengths
    else:
        width = size // members if members else 0
        if width < most or width * members != size:
            raise ValueError(f"ctc_loss: targets are {tuple(targets.shape)}, but target_lengths go up to {most}")
        starts, most = np.arange(members) * width, max(most, 1) if width else 0
    counted = np.arange(most) < lengths[:, None]
    places = np.where(counted, starts[:, None] + np.arange(most), 0)
    return where(counted, targets.reshape(-1)[places], 0).astype(np.int64) if size else np.zeros(places.shape, np.int64)
