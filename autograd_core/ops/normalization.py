"""Normalisation: layer, RMS, group, instance and batch norm, and normalisation by a norm."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..direct import arrays_of, first_of, recorded
from ..kernels import norm as kernels
from ..op import Traced, op
from ..tape import mark_all, memory, writes_of
from ..tensor import Tensor
from ..views import require_writable
from .arranging import expand_dims, reshape_to, stack_along
from .base import broadcast_to
from .math import rsqrt
from .reduce import reduce_sum
from .scaling import local_response_norm, normalize  # noqa: F401 - for those who look for all norms here

__all__ = [
    "group_norm",
    "layer_norm",
    "rms_norm",
]  # PyTorch's batch_norm and instance_norm are other functions than these


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows_sample(affine: int, centre: bool):
    """Samples of layer norm and of group norm, with so many of weight and bias."""

    def draw(rng):
        inner, s, groups, turns = (int(v) for v in rng.integers(1, 4, 4))
        inner, groups = (1, 1) if rng.random() < 0.5 else (inner, groups)
        s = max(s, 2) if inner == 1 else s
        x = rng.standard_normal((turns, groups * s, inner)) * 2
        weights = [rng.standard_normal(groups * s) + 2 for _ in range(affine)]
        return [x, *weights], {"n": s * inner, "groups": groups, "inner": inner, "eps": 0.1, "centre": centre}

    return draw


def _pull_sample(affine: int, centre: bool):
    def draw(rng):
        arrays, params = _rows_sample(affine, centre)(rng)
        return [rng.standard_normal(arrays[0].shape), *arrays], params

    return draw


def _moved_rows(tangents, y, *xs, n, groups, inner, eps, centre):
    """Forward mode: the Jacobian of a normalised row is symmetric, so the gradient by x does for both directions."""
    bare = {"n": n, "groups": 1, "inner": 1, "eps": eps, "centre": centre}
    (x, *affine), (t, *moved) = xs, tangents
    wide = lambda v: _beside(v, x.shape, n, groups, inner)
    y = None if t is None else normalized_pull(t, x, **bare)[0]
    y = y * wide(affine[0]) if affine and y is not None else y
    if affine and moved[0] is not None:
        h = normalized(x, **bare) * wide(moved[0])
        y = h if y is None else y + h
    if len(affine) == 2 and moved[1] is not None:
        y = broadcast_to(wide(moved[1]), shape=x.shape) if y is None else y + wide(moved[1])
    return y


def _beside(w, shape, n, groups, inner):
    """A weight for every entry of x."""
    rows = math.prod(shape) // max(n, 1)
    w = reshape_to(w, shape=(1, groups, n // inner, 1))
    return reshape_to(broadcast_to(w, shape=(rows // groups, groups, n // inner, inner)), shape=shape)


def _batch_of_rows(size, values, batched, **p):
    """Rows of all members at once; weights of their own are multiplied with afterwards."""
    x, *affine = values
    x = x if batched[0] else broadcast_to(x, shape=(size, *x.shape))
    if not any(batched[1:]):
        return normalized(x, *affine, **p)
    y = normalized(x, **p | {"groups": 1, "inner": 1})
    turn = p["groups"], p["n"] // p["inner"], 1
    each = (size, x.size // max(size * p["n"] * p["groups"], 1)) if isinstance(x, np.ndarray) else None
    each = each or (size, math.prod(x.shape[1:]) // max(p["n"] * p["groups"], 1))
    wide = lambda w, b: broadcast_to(
        reshape_to(w, shape=(size if b else 1, 1, *turn)), shape=(*each, *turn[:2], p["inner"])
    )
    w, *b = (reshape_to(wide(w, b), shape=x.shape) for w, b in zip(affine, batched[1:]))
    return y * w + b[0] if b else y * w


@op(
    together=lambda g, xs, **p: normalized_pull(g, *xs[:2], **p),
    jvp=_moved_rows,
    batch=_batch_of_rows,
    samples=[_rows_sample(k, c) for k in range(3) for c in (True, False)],
)
def normalized(*xs, n, groups, inner, eps, centre):
    """Rows of n entries of x brought to mean 0 (if `centre`) and mean square 1, times weight, plus bias, if given.

    Rows take turns in `groups`; each n / inner weights of a group are for `inner` neighbours.
    """
    x, weight, bias = (*xs, None, None)[:3]
    return kernels.rows(x, weight, bias, n, groups, inner, eps, centre)


def _pull_of_pull(g, xs, n, groups, inner, eps, centre):
    """Gradients of the gradients, with J the Jacobian of a normalised row h = (x - mean) r.

    J is symmetric, and the gradient of <u, J v> by x is -r (h <u, J v> + <v, h> J u + <u, h> J v) / n.
    """
    (u, p, q), (v0, x0, w0) = (*g, None, None)[:3], (*xs, None)[:3]
    turns = math.prod(x0.shape) // max(n * groups, 1)
    shape = turns, groups, n // inner, inner
    folded = lambda t: None if t is None else reshape_to(t, shape=shape)
    weight = lambda t: None if t is None else reshape_to(t, shape=(groups, n // inner, 1))
    u, v, x, p, q, w = folded(u), folded(v0), folded(x0), weight(p), weight(q), weight(w0)
    bare = {"n": n, "groups": 1, "inner": 1, "eps": eps, "centre": centre}
    along = lambda t: normalized_pull(t, x, **bare)[0]
    average = lambda t: reduce_sum(t, axis=(-2, -1), keepdims=True) / n
    h = normalized(x, **bare)
    dv = dx = dw = v * 0
    if u is not None:
        d = x - average(x) if centre else x
        r = rsqrt(average(d * d) + eps)
        vw = v if w is None else v * w
        ju, jv = along(u), along(vw)
        dx = dx - r * (h * average(u * jv) + average(vw * h) * ju + average(u * h) * jv)
        dv = dv + (ju if w is None else ju * w)
        dw = dw + v * ju
    if p is not None:
        dv, dx = dv + p * h, dx + along(p * v)
    if q is not None:
        dv = dv + q
    dv, dx = reshape_to(dv, shape=v0.shape), reshape_to(dx, shape=x0.shape)
    return (dv, dx) if w is None else (dv, dx, reshape_to(reduce_sum(dw, axis=(-4, -1)), shape=w0.shape))


def _batch_of_pulls(size, values, batched, **p):
    """Without weights, rows of all members at once."""
    if len(values) == 2:
        g, x = (v if b else broadcast_to(v, shape=(size, *v.shape)) for v, b in zip(values, batched))
        return normalized_pull(g, x, **p)
    from ..vmap import one_by_one

    return one_by_one(normalized_pull.op, values, batched, size, p)


@op(
    together=_pull_of_pull,
    batch=_batch_of_pulls,
    samples=[_pull_sample(k, c) for k in range(2) for c in (True, False)],
)
def normalized_pull(*xs, n, groups, inner, eps, centre):
    """From g, x and perhaps weight: the gradients of `normalized` by x, and by weight and bias."""
    g, x, weight = (*xs, None)[:3]
    dx, dw, db = kernels.rows_pull(g, x, weight, n, groups, inner, eps, centre)
    return (dx,) if weight is None else (dx, dw, db)


def _affine(x, weight, bias, n, groups, inner, eps, centre):
    """Normalised rows with whatever of weight and bias there is."""
    if weight is None:
        y = first_of(normalized, (x,), {"n": n, "groups": 1, "inner": 1, "eps": eps, "centre": centre})
        return y if bias is None else y + _beside(bias, x.shape, n, groups, inner)
    xs = (x, weight) if bias is None else (x, weight, bias)
    return first_of(normalized, xs, {"n": n, "groups": groups, "inner": inner, "eps": eps, "centre": centre})


def _require_floats(x: Any, name: str) -> None:
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected floating-point numbers, got {x.dtype}; use input.float()")


def _sizes(normalized_shape: Any, name: str) -> tuple:
    """The sizes of the axes that make a row, given as such or as one number."""
    try:
        if isinstance(normalized_shape, int):
            return (operator.index(normalized_shape),)
        return tuple(map(operator.index, normalized_shape))
    except TypeError:
        try:
            return (operator.index(normalized_shape),)
        except TypeError:
            raise TypeError(f"{name}: normalized_shape must be sizes of axes, got {normalized_shape!r:.40}") from None


def _row_shape(x: Any, normalized_shape: Any, weight: Any, bias: Any, name: str) -> int:
    """How many entries make a row, if everything fits."""
    _require_floats(x, name)
    shape, given = _sizes(normalized_shape, name), x.shape
    if not shape or given[-len(shape) :] != shape:
        raise ValueError(
            f"{name}: normalized_shape {shape} must be the sizes of the last axes of input, which is {tuple(given)}"
        )
    for part, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape:
            raise ValueError(
                f"{name}: {part} is {tuple(value.shape)}, but normalized_shape is {shape}; they must agree"
            )
    return math.prod(shape)


def _of_rows(xs: tuple, values: list, n: int, groups: int, inner: int, eps: float) -> Any:
    """Normalised rows, of tensors whose arrays are known."""
    params = {"n": n, "groups": groups, "inner": inner, "eps": eps, "centre": True}
    return recorded(normalized.op, xs, values, params, kernels.rows(*values, *params.values()))


def _fitting(x: np.ndarray, wanted: tuple, *parts: np.ndarray) -> bool:
    """Whether x holds floats, and all parts have a shape: the usual case, of which nothing else need be asked."""
    for p in parts:
        if p.shape != wanted:
            return False
    return x.dtype.kind == "f"


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """The last axes of input brought to mean 0 and variance 1, times weight, plus bias."""
    values = None if weight is None or bias is None else arrays_of((input, weight, bias))
    if values and (shape := values[0].shape[-1:]) == normalized_shape != () and _fitting(values[0], shape, *values[1:]):
        return _of_rows((input, weight, bias), values, shape[0], 1, 1, eps)
    n = _row_shape(input, normalized_shape, weight, bias, "layer_norm")
    return _affine(input, weight, bias, n, 1, 1, eps, True)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """The last axes of input divided by the root of their mean square, times weight."""
    n = _row_shape(input, normalized_shape, weight, None, "rms_norm")
    return _affine(input, weight, None, n, 1, 1, float(np.finfo(input.dtype).eps) if eps is None else eps, False)


def _channels(x: Any, name: str, **parts: Any) -> int:
    """The number of channels of x (N, C, ...), if every part has one number for each."""
    _require_floats(x, name)
    shape = x.shape
    if len(shape) < 2:
        raise ValueError(f"{name}: input must be (N, C, ...), got shape {tuple(shape)}")
    wanted = (shape[1],)
    for part, value in parts.items():
        if value is not None and value.shape != wanted:
            raise ValueError(
                f"{name}: {part} is {tuple(value.shape)}, but input is {tuple(shape)}: "
                f"{part} needs one number for each of its {shape[1]} channels (axis 1)"
            )
    return shape[1]


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Each of num_groups groups of channels of input (N, C, ...) brought to mean 0 and variance 1."""
    values = None if weight is None or bias is None else arrays_of((input, weight, bias))
    if values and (wanted := (shape := values[0].shape)[1:2]) and _fitting(values[0], wanted, *values[1:]):
        if num_groups > 0 and not shape[1] % num_groups:
            inner = math.prod(shape[2:])
            return _of_rows((input, weight, bias), values, shape[1] // num_groups * inner, num_groups, inner, eps)
    channels = _channels(input, "group_norm", weight=weight, bias=bias)
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {channels} channels cannot be divided into num_groups={num_groups} equal groups")
    inner = math.prod(input.shape[2:])
    return _affine(input, weight, bias, channels // num_groups * inner, num_groups, inner, eps, True)


# --- channels of a batch ---------------------------------------------------------------------------------------------


def _over(t):
    """The sum of t (N, C, ...) over all but channels."""
    return reduce_sum(t, axis=(-t.ndim, *range(2 - t.ndim, 0)))


def _per(c, t):
    """Numbers of channels, beside t (N, C, ...)."""
    return expand_dims(c, axis=tuple(range(2 - t.ndim, 0))) if t.ndim > 2 else c


def _pull_batch_norm(g, y, xs, eps):
    """The rule of batch_normalized: also of its moments, which the gradient of the gradient reads."""
    (gy, gs), x = g, xs[0]
    parts = batch_norm_pull(gy, x, y[1], *xs[1:2], eps=eps) if gy is not None else (None,) * len(xs)
    dx = parts[0]
    if gs is not None:
        count = max(math.prod(x.shape) // max(x.shape[1], 1), 1)
        d = (x - _per(y[1][0], x)) * _per(gs[1] * (2 / count), x) + _per(gs[0] / count, x)
        dx = d if dx is None else dx + d
    return dx, *parts[1:]


def _batches(affine: int):
    def draw(rng):
        shape = [(3, 2), (2, 3, 2), (2, 2, 2, 2), (4, 1)][int(rng.integers(4))]
        return [rng.standard_normal(shape) * 2, *(rng.standard_normal(shape[1]) + 2 for _ in range(affine))], {
            "eps": 0.1
        }

    return draw


@op(together=_pull_batch_norm, samples=[_batches(k) for k in range(3)])
def batch_normalized(*xs, eps):
    """Channels of x (N, C, ...) brought to mean 0 and variance 1, times weight, plus bias; their moments (2, C)."""
    x, weight, bias = (*xs, None, None)[:3]
    return kernels.batch(x, weight, bias, eps)


def _pull_of_batch_pull(g, xs, eps):
    """Gradients of the gradients, by mean m and variance s too; c = x - m, r = 1 / √(s + eps)."""
    (u, p, q), (v, x, moments, w) = (*g, None, None)[:3], (*xs, None)[:4]
    m, s = moments[0], moments[1]
    count = max(math.prod(x.shape) // max(x.shape[1], 1), 1)
    c, r = x - _per(m, x), rsqrt(s + eps)
    dv, dx, dr, dw = v * 0, x * 0, s * 0, s * 0
    dot, total = _over(v * c), _over(v)
    if u is not None:
        uw, a = u if w is None else u * _per(w, x), _over(u * c)
        a = a if w is None else a * w
        sum_u = _over(uw)
        dv = dv + uw * _per(r, x) - _per(sum_u * r / count, x) - c * _per(r * r * r * a / count, x)
        dx = dx - uw * _per(r * r * r * dot / count, x) - v * _per(r * r * r * a / count, x)
        dr = dr + _over(uw * v) - sum_u * total / count - 3 * r * r * a * dot / count
        if w is not None:
            inner = _over(u * v) * r - _over(u) * total * r / count
            dw = dw + inner - _over(u * c) * dot * r * r * r / count
    if p is not None:
        dv, dx, dr = dv + c * _per(p * r, x), dx + v * _per(p * r, x), dr + p * dot
    if q is not None:
        dv = dv + _per(q, x)
    parts = dv, dx, stack_along(-_over(dx), dr * r * r * r * -0.5, axis=-2)
    return parts if w is None else (*parts, dw)


def _batch_pulls(affine: int):
    def draw(rng):
        (x, *w), params = _batches(affine)(rng)
        c = x.shape[1]
        return [rng.standard_normal(x.shape), x, rng.uniform(0.5, 2, (2, c)), *w], params

    return draw


@op(together=_pull_of_batch_pull, samples=[_batch_pulls(k) for k in range(2)])
def batch_norm_pull(*xs, eps):
    """From g, x, moments and perhaps weight: the gradients of batch norm by x, weight and bias."""
    g, x, moments, weight = (*xs, None)[:4]
    return kernels.batch_pull(g, x, moments, weight, eps)


def _channel_pull(g, xs, eps):
    """The rule of channels normalised by given means and variances."""
    x, mean, var, w, *_ = (*xs, None)
    r = rsqrt(var + eps)
    scale = r if w is None else r * w
    dx, total = g * _per(scale, x), _over(g)
    dot = _over(g * (x - _per(mean, x)))
    dvar = dot * (r * r * -0.5) * scale
    return (dx, -total * scale, dvar, dot * r, total)[: len(xs)]


def _given(affine: int):
    def draw(rng):
        (x, *parts), params = _batches(affine)(rng)
        return [x, rng.standard_normal(x.shape[1]), rng.uniform(0.5, 2, x.shape[1]), *parts], params

    return draw


@op(together=_channel_pull, samples=[_given(k) for k in range(3)])
def channels_normalized(*xs, eps):
    """(x - mean) / √(var + eps), times weight, plus bias, for the channels of x (N, C, ...)."""
    x, mean, var, weight, bias = (*xs, None, None)[:5]
    return kernels.channels(x, mean, var, weight, bias, eps)


def _refuse_batches(size, values, batched, **params):
    raise RuntimeError(
        "batch_norm: running statistics cannot be updated inside vmap, where each member has its own; "
        "pass running_mean=None, or training=False"
    )


@op(mutates=("running_mean", "running_var"), batch=_refuse_batches, samples=())
def update_running(running_mean, running_var, moments, *, momentum, count):
    """Move running statistics by a fraction of the way to new ones, in place; the variance is that of a sample."""
    kernels.moved(running_mean, running_var, moments, momentum, count)


def _plain(value: Any) -> Any:
    """A value cut off from its history."""
    return value.detach() if isinstance(value, Traced) else value


def _open(value: Any) -> bool:
    """Whether this is the usual case, a tensor of numbers that may be changed, or a buffer of a layer."""
    plain = isinstance(value, Tensor) and not value.level and value.node is None and value.origin is None
    return plain and value.value.dtype.kind == "f" and value.value.flags.writeable


def _check_running(mean: Any, var: Any, name: str) -> None:
    """Refuse, before anything is changed, statistics that cannot be updated."""
    for what, value in (("running_mean", mean), ("running_var", var)):
        if value is not None and not _open(value):
            if value.dtype.kind != "f":
                raise TypeError(f"{name}: {what} must hold floating-point numbers to be updated, not {value.dtype}")
            require_writable(value, name)


def _trained(xs: tuple, mean: Any, var: Any, eps: float, momentum: float, count: int) -> Any:
    """Batch norm in training: in one step where nobody watches, else in two, so that each can be seen."""
    values, running = arrays_of(xs), [t for t in (mean, var) if t is not None]
    if values is None or not all(map(_open, running)):
        y, moments = batch_normalized(*xs, eps=eps)
        if running and count:
            update_running(mean, var, _plain(moments), momentum=momentum, count=count)
        return y
    x, weight, bias = values if len(values) == 3 else (*values, None, None)[:3]
    moving = [None if t is None else t.value for t in (mean, var)]
    y = kernels.batch(x, weight, bias, eps, *moving, momentum)
    if running:
        mark_all([writes_of(memory(r)) for r in moving if r is not None])
    return recorded(batch_normalized.op, xs, values, {"eps": eps}, y)


def _usual_batch(xs: tuple) -> list | None:
    """The arrays of input, weight, bias and running statistics, where all are given and fit: then nothing else need be asked."""
    values = arrays_of(xs)
    fit = values and values[0].ndim > 1 and _fitting(values[0], values[0].shape[1:2], *values[1:])
    return values if fit and values[0].size > values[1].size and _open(xs[3]) and _open(xs[4]) else None


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):  # fmt: skip
    """Each channel of input (N, C, ...) brought to mean 0 and variance 1, times weight, plus bias.

    In training with the mean and variance of the batch, by which the running ones are updated in place; otherwise with
    the running ones.
    """
    if training and (values := _usual_batch((input, weight, bias, running_mean, running_var))):
        y = kernels.batch(*values[:3], eps, *values[3:], 0.0 if momentum is None else momentum)
        mark_all([writes_of(r if r.base is None else memory(r)) for r in values[3:]])
        return recorded(batch_normalized.op, (input, weight, bias), values[:3], {"eps": eps}, y)
    channels = _channels(
        input, "batch_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    xs = () if weight is None and bias is None else (weight,) if bias is None else (weight, bias)
    if xs and weight is None:
        xs = (np.ones(channels, input.dtype), bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: needs running_mean and running_var when training is False")
        return channels_normalized(input, running_mean, running_var, *xs, eps=eps)
    count = math.prod(input.shape) // max(channels, 1)
    if count == 1:
        given = tuple(input.shape)
        raise ValueError(
            f"batch_norm: expected more than 1 value per channel when training, got input of shape {given}"
        )
    _check_running(running_mean, running_var, "batch_norm")
    return _trained((input, *xs), running_mean, running_var, eps, 0.0 if momentum is None else momentum, count)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Each channel of each member of input (N, C, ...) brought to mean 0 and variance 1, times weight, plus bias."""
    channels = _channels(
        input, "instance_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    inner, batch = math.prod(input.shape[2:]), input.shape[0]
    if inner == 1:
        given = tuple(input.shape)
        raise ValueError(
            f"instance_norm: expected more than 1 entry per channel when training, got input of shape {given}"
        )
    _check_running(running_mean, running_var, "instance_norm")
    y = _affine(input, weight, bias, inner, channels, inner, eps, True)
    if running_mean is not None or running_var is not None:
        x = reshape_to(_plain(input), shape=(1, batch * channels, inner))
        each = reshape_to(batch_normalized(x, eps=eps)[1], shape=(2, batch, channels))
        moments = _plain(reduce_sum(each, axis=(-2,)) / batch)
        update_running(running_mean, running_var, moments, momentum=momentum, count=inner)
    return y
