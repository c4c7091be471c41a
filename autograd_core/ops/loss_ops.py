"""The ops under the losses that training spends its time in: forward and backward in one pass each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import cross_entropy as kernels
from ..kernels import losses as sums
from ..op import elementwise, op
from .arranging import expand_dims
from .base import broadcast_to
from .math import clamp_min, exp, log, log1p, logaddexp, sigmoid, where
from .reduce import reduce_sum

__all__: list[str] = []

# --- one sum over all entries ----------------------------------------------------------------------------------------


def _member_sums(size, values, batched, *, scale, each):
    """A loss for each member of a batch."""
    a, b = (v if m else broadcast_to(v, shape=(size, *v.shape)) for v, m in zip(values, batched))
    loss = each(a, b)
    return reduce_sum(loss, axis=tuple(range(1 - loss.ndim, 0))) * scale


def _number_and_pair(rng):
    shape = tuple(int(n) for n in rng.integers(0, 4, int(rng.integers(3))))
    draw = rng.standard_normal
    return [draw(() if rng.random() < 0.7 else shape), draw(shape), draw(shape)], {"scale": 0.5}


def _equals(rng):
    arrays, params = _number_and_pair(rng)
    return arrays[1:], params


def _times(c: Any, scale: float) -> Any:
    return c * c.dtype.type(scale) if isinstance(c, np.ndarray) else np.asarray(c) * scale


scaled_gap = elementwise(
    lambda c, a, b, *, scale: sums.scaled_gap(_times(c, scale), a, b),
    lambda a, b, scale: (a - b) * scale,
    lambda c, scale: c * scale,
    lambda c, scale: c * -scale,
    name="scaled_gap",
    samples=_number_and_pair,
)


@op(
    lambda g, a, b, scale: scaled_gap(g, a, b, scale=2 * scale),
    lambda g, a, b, scale: scaled_gap(g, b, a, scale=2 * scale),
    samples=_equals,
    batch=lambda *v, scale: _member_sums(*v, scale=scale, each=lambda a, b: (a - b) * (a - b)),
)
def squared_gaps(a, b, *, scale):
    """scale * Σ (a - b)²"""
    return sums.squared_gaps(a, b, scale)


def _logit_slope(c, x, scale):
    s = sigmoid(x)
    return c * scale * (s * (1 - s))


scaled_logit_gap = elementwise(
    lambda c, x, t, *, scale: sums.scaled_logit_gap(_times(c, scale), x, t),
    lambda x, t, scale: (sigmoid(x) - t) * scale,
    _logit_slope,
    lambda c, scale: c * -scale,
    name="scaled_logit_gap",
    samples=_number_and_pair,
)


@op(
    lambda g, x, t, scale: scaled_logit_gap(g, x, t, scale=scale),
    lambda g, x, scale: g * x * -scale,
    samples=_equals,
    batch=lambda *v, scale: _member_sums(
        *v, scale=scale, each=lambda x, y: logaddexp(x, np.zeros((), x.dtype)) - x * y
    ),
)
def logit_losses(x, t, *, scale):
    """scale * Σ (log(1 + exp(x)) - x t)"""
    return sums.logit_losses(x, t, scale)


binary_losses = elementwise(
    lambda x, t: (t - 1) * np.maximum(np.log1p(-x), -100) - t * np.maximum(np.log(x), -100),
    lambda x, t: (x - t) / clamp_min((1 - x) * x, 1e-12),
    lambda x: clamp_min(log1p(-x), -100) - clamp_min(log(x), -100),
    name="binary_losses",
    domain="probability",
    inputs=("x", "t"),
)


@op(differentiable=False, batch=lambda size, values, batched: broadcast_to(in_unit(*values), shape=(size,)))
def in_unit(x, t):
    """0 if inputs and targets of binary cross entropy are from 0 to 1, and an error if not; a replay asks it again."""
    for name, value in (("input", x), ("target", t)):
        if value.size and not (value.min() >= 0 and value.max() <= 1):
            error = ValueError(f"binary_cross_entropy: all of {name} must be from 0 to 1{UNIT[name]}")
            error.explained = True  # it names the function that was called
            raise error
    return np.zeros((), x.dtype)


UNIT = {"input": "; for log-odds there is binary_cross_entropy_with_logits", "target": ", probabilities of true"}


# --- cross entropy ---------------------------------------------------------------------------------------------------


def _classes(weights: int, *reductions: str):
    """Samples of scores, class indices, and weights, which are whole numbers since they have no gradient."""

    def draw(rng):
        shape = [(3, 4), (2, 3, 2), (1, 2), (0, 3), (2, 3, 2, 2)][int(rng.integers(5))]
        target = rng.integers(-1, shape[1], (shape[0], *shape[2:]))
        target.flat[:1] = 0
        params = {"ignored": -1}
        if reductions:
            params |= {"smoothing": [0.0, 0.1][int(rng.integers(2))], "reduction": str(rng.choice(reductions))}
        if "mean" in reductions and not target.size:
            params["reduction"] = "sum"
        return [rng.standard_normal(shape) * 2, target, *(rng.integers(1, 4, shape[1]) for _ in range(weights))], params

    return draw


def _pull_sample(weights: int):
    def draw(rng):
        (x, target, *weight), params = _classes(weights, "sum")(rng)
        level = np.stack([x.max(axis=1), np.log(np.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1)) + 0.1], -1)
        c = rng.standard_normal(() if rng.random() < 0.5 else target.shape)
        return [c, x, level, target, *weight], {
            "ignored": -1, "smoothing": params["smoothing"], "hit": bool(rng.integers(2)),
        }  # fmt: skip

    return draw


def _beside(rows: Any, x: Any) -> Any:
    """Numbers of rows (N, ...), beside x (N, C, ...)."""
    return expand_dims(rows, axis=(1 - x.ndim,))


def _above(x: Any, level: Any) -> Any:
    """Scores less log Σ exp of their row, whose two parts are taken off one after the other."""
    return (x - _beside(level[..., 0], x)) - _beside(level[..., 1], x)


def _cross_entropy_rule(g, y, xs, ignored, smoothing, reduction):
    """The gradient by the scores: of the loss, and of the level, which the gradient of the gradient reads.

    Of its two parts the first goes to the largest score, the second to all by their shares, less what the first has.
    """
    (loss, level, _), (x, target, *weight), dx = g, xs, None
    if loss is not None:
        c = loss / y[2] if reduction == "mean" else loss
        dx = cross_entropy_pull(c, x, y[1], target, *weight, ignored=ignored, smoothing=smoothing, hit=True)
    if level is not None:
        top, rest = _beside(level[..., 0], x), _beside(level[..., 1], x)
        d = rest * exp(_above(x, y[1])) + where(x == _beside(y[1][..., 0], x), top - rest, 0)
        dx = d if dx is None else dx + d
    return (dx, None, None)[: len(xs)]


@op(together=_cross_entropy_rule, samples=[_classes(k, "none", "mean", "sum") for k in range(2)])
def cross_entropy_of(*xs, ignored, smoothing, reduction):
    """The loss of scores (N, C, ...) for classes (N, ...), the weight of all rows, and before it the level of each row.

    That is log Σ exp in two parts (N, ..., 2): the largest score, and the rest.
    """
    x, target, weight = (*xs, None)[:3]
    return kernels.forward(x, target, weight, ignored, smoothing, reduction)


def _cross_entropy_pull_rule(g, xs, ignored, smoothing, hit):
    """Gradients of the gradient by its factor, the scores and the level, which is an argument of its own here."""
    (c, x, *rest), axis = xs, (1 - xs[1].ndim,)
    params = {"ignored": ignored, "smoothing": smoothing}
    dc = reduce_sum(g * cross_entropy_pull(np.ones((), x.dtype), x, *rest, **params, hit=hit), axis=axis)
    dx = g * cross_entropy_pull(c, x, *rest, **params, hit=False)
    part = expand_dims(-reduce_sum(dx, axis=axis), axis=(-1,))
    return (dc, dx, broadcast_to(part, shape=rest[0].shape), None, None)[: len(xs)]


@op(together=_cross_entropy_pull_rule, samples=[_pull_sample(k) for k in range(2)])
def cross_entropy_pull(*xs, ignored, smoothing, hit):
    """c times the gradient of the loss of each row by its scores; without the part of the target unless `hit`."""
    c, x, level, target, weight = (*xs, None)[:5]
    return kernels.backward(c, x, level, target, weight, ignored, smoothing, hit)


def _placed_sample(weights: int):
    def draw(rng):
        (x, *rest), params = _classes(weights)(rng)
        c = rng.standard_normal(() if rng.random() < 0.5 else rest[0].shape)
        return [c, *rest], params | {"classes": x.shape[1]}

    return draw


@op(
    together=lambda g, xs, ignored, classes: (picked_losses(g, *xs[1:], ignored=ignored)[0], None, None)[: len(xs)],
    samples=[_placed_sample(k) for k in range(2)],
)
def placed_losses(*xs, ignored, classes):
    """-c weight[t] at the class t of each row."""
    c, target, weight = (*xs, None)[:3]
    return kernels.placed(c, target, weight, ignored, classes)


def _picked_rule(g, xs, xs_shape, ignored):
    if g[0] is None:
        return (None,) * len(xs)
    return (placed_losses(g[0], *xs[1:], ignored=ignored, classes=xs_shape[0][1]), None, None)[: len(xs)]


@op(together=_picked_rule, samples=[_classes(k) for k in range(2)])
def picked_losses(*xs, ignored):
    """-weight[t] x[t] for each row of x (N, C, ...) and its class t, and weight[t]."""
    x, target, weight = (*xs, None)[:3]
    return kernels.picked(x, target, weight, ignored)
