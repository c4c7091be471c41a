"""Normalisation of arrays of any shape: what ops call, with the references in NumPy.

A row is normalised with what it holds itself: layer, RMS, group and instance norm.  Rows of n = s * inner entries take
turns in `groups`; the weights of a row are the s of its group, each for `inner` neighbours (1 in layer norm).
A channel is normalised over a whole batch (N, C, ...), or with a mean and a variance that are given.
"""

from __future__ import annotations

from math import prod

import numpy as np

from . import channels as by_channel
from . import norm_rows as by_row
from ._jit import choice, plain
from ._memory import LEAST as LARGE
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL
from .direct import Typed

LINES = 1024  # rows of channels side by side that are added up one after the other
SINGLE, DOUBLE = np.dtype("f"), np.dtype("d")
NOTHING = {c: np.empty(0, c) for c in "fd"}
ROWS, GROUPS = (
    Typed(by_row.normalize_rows, "x2 x1 x1 d i x2"),
    Typed(by_row.normalize_groups, "x3 x2 x2 d i x3"),
)
ROWS_PULL, GROUPS_PULL = (
    Typed(by_row.rows_pull, "i i i x2 x2 x1 d i x2 x1 x1"),
    Typed(by_row.groups_pull, "i i i x3 x3 x2 d i x3 x1 x1"),
)
AT_ONCE = {SINGLE: by_channel.at_once(SINGLE), DOUBLE: by_channel.at_once(DOUBLE)}


# --- rows ------------------------------------------------------------------------------------------------------------


def _spread(w, groups, inner):
    """A weight for each entry of a turn of rows: (groups, n)."""
    return np.repeat(w.reshape(groups, -1), inner, axis=1)


def _moments(x, eps, centre):
    """Deviations and 1 / √(variance + eps) of rows (..., n)."""
    d = x - x.mean(axis=-1, keepdims=True) if centre else x
    d = d - d.mean(axis=-1, keepdims=True) if centre else d
    return d, 1 / np.sqrt((d * d).mean(axis=-1, keepdims=True) + x.dtype.type(eps))


def rows_reference(x, weight, bias, n, groups, inner, eps, centre):
    """Normalised rows of n entries, in NumPy."""
    if not x.size:
        return np.array(x)
    wide = np.float32 if x.dtype.itemsize < 4 else x.dtype
    d, scale = _moments(x.astype(wide, copy=False).reshape(-1, groups, n), eps, centre)
    y = d * scale
    if weight is not None:
        y *= _spread(weight, groups, inner)
    if bias is not None:
        y += _spread(bias, groups, inner)
    return y.astype(x.dtype, copy=False).reshape(x.shape)


def rows_pull_reference(g, x, weight, n, groups, inner, eps, centre):
    """The gradients by x, weight and bias."""
    if not x.size:
        return np.array(x), *(None if weight is None else np.zeros_like(weight) for _ in "wb")
    wide = np.float32 if x.dtype.itemsize < 4 else x.dtype
    v = g.astype(wide, copy=False).reshape(-1, groups, n)
    d, scale = _moments(x.astype(wide, copy=False).reshape(-1, groups, n), eps, centre)
    h = d * scale
    u = v if weight is None else v * _spread(weight, groups, inner)
    dx = u - h * (u * h).mean(axis=-1, keepdims=True)
    dx = (dx - u.mean(axis=-1, keepdims=True) if centre else dx) * scale
    dx = dx.astype(x.dtype, copy=False).reshape(x.shape)
    if weight is None:
        return dx, None, None
    fold = lambda t: (
        t.reshape(-1, groups * (n // inner), inner).sum(axis=(0, 2)).reshape(weight.shape).astype(weight.dtype)
    )
    return dx, fold(v * h), fold(v)


def _sample(rng, n, dtype):
    """Layer norm of rows of 32 on the one hand, group norm of 4 x 8 on the other."""
    size, inner = max(n // 32, 1) * 32, (1, 8)[n // 32 % 2]
    groups = 1 if inner == 1 else 1
    w = rng.standard_normal((2, 32 // inner)).astype(dtype)
    return rng.standard_normal((size // 32, 32)).astype(dtype), w[0], w[1], 32, groups, inner, 1e-5, True


def _compilable(x, *others):
    """Whether arrays are of one type that kernels are compiled for."""
    dtype = x.dtype
    for a in others:
        if a is not None and a.dtype is not dtype and a.dtype != dtype:
            return False
    return dtype.char in "fd"


def _ready(x, *others):
    """Arrays as kernels want them; None if kernels are not made for them.  Some may be missing."""
    dtype, ready = x.dtype, x.flags.carray
    if dtype is not SINGLE and dtype is not DOUBLE:
        ready = False
    for a in others:
        if a is not None and (a.dtype is not dtype or not a.flags.carray):
            ready = False
    if ready:
        return x, *others
    if not _compilable(x, *others):
        return None
    return plain(x), *[a if a is None else plain(a) for a in others]


def _room(x):
    """An array like x for a result."""
    return np.empty(x.shape, x.dtype) if x.nbytes < LARGE else empty(x.shape, x.dtype)


@choice(reference=rows_reference, sample=_sample)
def rows(x, weight, bias, n, groups, inner, eps, centre):
    """Rows of n entries normalised, times weight (groups * n / inner) or None, plus bias or None."""
    ready = _ready(x, weight, bias)
    if ready is None or not x.size:
        return rows_reference(x, weight, bias, n, groups, inner, eps, centre)
    (x, w, b), count = ready, x.size // n
    w, b = _pair(w, b, x) if w is None or b is None else (w, b)
    out, grain, each = _room(x), CHUNK // n or 1, w.size == 0 or groups == inner == 1
    view = (count, n) if each else (count, n // inner, inner)
    flat, y = (x, out) if view == x.shape else (x.reshape(view), out.reshape(view))
    if each:
        w, b = (w, b) if w.ndim == 1 else (w.reshape(-1), b.reshape(-1))
        ROWS[x.dtype](POOL, count, grain, id(flat), id(w), id(b), eps, centre, id(y))
    else:
        turn = groups, n // inner
        w, b = w.reshape(turn), b.reshape(turn)
        GROUPS[x.dtype](POOL, count, grain, id(flat), id(w), id(b), eps, centre, id(y))
    return out


def _pair(weight, bias, x):
    """Both, if there is one of weight and bias, else nothing."""
    if weight is None and bias is None:
        return NOTHING[x.dtype.char], NOTHING[x.dtype.char]
    w = np.ones(bias.shape, x.dtype) if weight is None else weight
    return w, np.zeros(w.shape, x.dtype) if bias is None else bias


def _pull_sample(rng, n, dtype):
    x, w, _, *rest = _sample(rng, n, dtype)
    return rng.standard_normal(x.shape).astype(dtype), x, w, *rest


@choice(reference=rows_pull_reference, sample=_pull_sample)
def rows_pull(g, x, weight, n, groups, inner, eps, centre):
    """The gradients of `rows` by x, weight and bias (None, None without a weight)."""
    ready = _ready(x, g, weight)
    if ready is None or not x.size:
        return rows_pull_reference(g, x, weight, n, groups, inner, eps, centre)
    (x, g, w), count = ready, x.size // n
    dx, each, dtype = _room(x), weight is None or groups == inner == 1, x.dtype
    view = (count, n) if each else (count, n // inner, inner)
    v, flat, out = (g, x, dx) if view == x.shape else (g.reshape(view), x.reshape(view), dx.reshape(view))
    if weight is None:
        none = id(NOTHING[dtype.char])
        ROWS_PULL[dtype](POOL, count, CHUNK // n or 1, id(v), id(flat), none, eps, centre, id(out), none, none)
        return dx, None, None
    dw, db, grain = np.empty(w.shape, dtype), np.empty(w.shape, dtype), max(CHUNK // n, min(8, -(-count // 2)))
    sums = (dw, db) if dw.ndim == 1 else (dw.reshape(-1), db.reshape(-1))
    w = (w if w.ndim == 1 else w.reshape(-1)) if each else w.reshape(groups, n // inner)
    pull = (ROWS_PULL if each else GROUPS_PULL)[dtype]
    pull(POOL, count, grain, id(v), id(flat), id(w), eps, centre, id(out), *map(id, sums))
    return dx, dw, db


# --- channels of a batch ---------------------------------------------------------------------------------------------


def _others(x):
    """The axes over which a channel is normalised, and the shape in which its numbers stand beside x."""
    return (0, *range(2, x.ndim)), (1, -1, *(1,) * (x.ndim - 2))


def batch_reference(x, weight, bias, eps, running_mean=None, running_var=None, momentum=0.0):
    """Channels of x (N, C, ...) normalised, times weight, plus bias, and their moments (2, C), mean and variance."""
    axes, shape = _others(x)
    if not x.size:
        return np.array(x), np.zeros((2, x.shape[1]), x.dtype)
    wide = x.astype(np.float64)
    mean = wide.mean(axis=axes)
    d = wide - mean.reshape(shape)
    moments = np.array([mean, (d * d).mean(axis=axes)]).astype(x.dtype)
    moved(running_mean, running_var, moments, momentum, x.size // x.shape[1])
    return channels_reference(x, *moments, weight, bias, eps), moments


def channels_reference(x, mean, var, weight, bias, eps):
    """(x - mean) / √(var + eps) * weight + bias."""
    _, shape = _others(x)
    scale = 1 / np.sqrt(var + var.dtype.type(eps))
    scale = scale if weight is None else scale * weight
    y = (x - mean.reshape(shape)) * scale.reshape(shape)
    return (y if bias is None else y + bias.reshape(shape)).astype(x.dtype, copy=False)


def batch_pull_reference(g, x, moments, weight, eps):
    """The gradients by x, weight and bias, through mean and variance."""
    axes, shape = _others(x)
    mean, var = moments
    r = 1 / np.sqrt(var + var.dtype.type(eps))
    d, count = x - mean.reshape(shape), max(x.size // max(len(mean), 1), 1)
    total, dot = g.sum(axis=axes), (g * d).sum(axis=axes)
    scale = r if weight is None else r * weight
    dx = g * scale.reshape(shape) - d * (scale * r * r * dot / count).reshape(shape)
    dx -= (scale * total / count).reshape(shape)
    return dx.astype(x.dtype, copy=False), (dot * r).astype(x.dtype), total.astype(x.dtype, copy=False)


def moved_reference(running_mean, running_var, moments, momentum, count):
    """Running statistics, if any, moved by a part of the way to new ones, of `count` numbers for each channel."""
    correction = count / max(count - 1, 1)
    with np.errstate(all="ignore"):
        mean, var = moments
        for running, new in ((running_mean, mean), (running_var, var * var.dtype.type(correction))):
            if running is not None:
                running *= running.dtype.type(1 - momentum)
                running += (new * new.dtype.type(momentum)).astype(running.dtype, copy=False)
    return running_mean, running_var


def _batch(rng, n, dtype):
    x = rng.standard_normal((max(n // 32, 1), 4, 8)[: 2 + n // 32 % 2]).astype(dtype)
    return x, np.full(4, 2, dtype), np.ones(4, dtype), 1e-5


def _normal_batch(rng, n, dtype):
    x, weight, bias, eps = _batch(rng, n, dtype)
    mean, var = batch_reference(x, None, None, eps)[1]
    return x, mean, var, weight, bias, eps


def _pulled_batch(rng, n, dtype):
    x, weight, _, eps = _batch(rng, n, dtype)
    return rng.standard_normal(x.shape).astype(dtype), x, batch_reference(x, None, None, eps)[1], weight, eps


def _view(x):
    """x (N, C, ...) as rows of a channel each, or (N, C); how many make a chunk; whether it is the former."""
    if x.ndim == 2:
        return x, max(min(CHUNK // x.shape[1], LINES), 1), False
    channels, inner = x.shape[1], prod(x.shape[2:])
    if inner == 1:
        return x.reshape(-1, channels), max(min(CHUNK // channels, LINES), 1), False
    return x.reshape(-1, inner), max(CHUNK // inner, 1), True


def _seen(x):
    """How many rows x (N, C, ...) has as `_view` has it, of how many entries, and whether each is of one channel."""
    rows = len(x) * x.shape[1]
    return (rows, x.size // rows, True) if x.size > rows else (len(x), x.shape[1], False)


@choice(reference=batch_reference, sample=_batch)
def batch(x, weight, bias, eps, running_mean=None, running_var=None, momentum=0.0):
    """Channels of x (N, C, ...) normalised, times weight, plus bias, and their moments (2, C), mean and variance.

    Running statistics are moved, in place, by a part of the way to these.
    """
    ready = _ready(x, weight, bias)
    if ready is None or not x.size:
        return batch_reference(x, weight, bias, eps, running_mean, running_var, momentum)
    (x, w, b), channels, none = ready, x.shape[1], NOTHING[x.dtype.char]
    w, b = none if w is None else w, none if b is None else b
    out, moments, count = _room(x), np.empty((2, channels), x.dtype), x.size // channels
    if x.size > CHUNK:
        view, grain, in_rows = _view(x)
        _batch_in_chunks(view, grain, in_rows, w, b, eps, count, moments, out.reshape(view.shape))
    else:
        m, v = none if running_mean is None else running_mean, none if running_var is None else running_var
        movable = _movable(x, m, v)
        m, v, part = (m, v, momentum) if movable else (none, none, 0.0)
        given = *_seen(x), id(w), id(b), eps, count, id(m), id(v), part
        AT_ONCE[x.dtype][0](id(x), *given, id(moments), id(out))
        if movable:
            return out, moments
    moved.compiled(running_mean, running_var, moments, momentum, count)
    return out, moments


def _batch_in_chunks(x, grain, in_rows, weight, bias, eps, count, moments, out):
    """The same for batches of several chunks."""
    scales = np.empty(moments.shape[1], x.dtype)
    _moments_in_chunks(x, grain, in_rows, weight, eps, count, moments, scales)
    affine = by_channel.affine_rows if in_rows else by_channel.affine_columns
    affine(len(x), grain, x, moments[0], scales, bias, out)


def _moments_in_chunks(x, grain, in_rows, weight, eps, count, moments, scales):
    """Fill the moments (2, C), and weight / √(variance + eps)."""
    each, parts = (x.shape[1], len(x) // len(scales)) if in_rows else (grain, -(-count // grain))
    means, squares = np.empty((2, parts, len(scales)), x.dtype)
    if in_rows:
        by_channel.moments_of_rows(len(x), grain, x, means.reshape(-1), squares.reshape(-1))
    else:
        by_channel.moments_of_columns(len(x), grain, x, means, squares, grain)
    by_channel.moments_together(means, squares, each, count, weight, eps, moments, scales)


def batch_moments(*xs, eps):
    """What `batch` finds out of a batch of several chunks: moments (2, C), and weight / √(variance + eps)."""
    x, weight = (*xs, None)[:2]
    moments, scales = np.empty((2, x.shape[1]), x.dtype), np.empty(x.shape[1], x.dtype)
    view, grain, in_rows = _view(plain(x))
    w = NOTHING[x.dtype.char] if weight is None else plain(weight)
    _moments_in_chunks(view, grain, in_rows, w, eps, x.size // x.shape[1], moments, scales)
    return moments, scales


def channel_scales(*xs, eps):
    """weight / √(variance + eps)."""
    var, weight = (*xs, None)[:2]
    scales = np.empty(var.shape, var.dtype)
    by_channel.scales_of(plain(var), NOTHING[var.dtype.char] if weight is None else plain(weight), eps, scales)
    return scales


def channels_moved(x, mean, scale, bias):
    """(x - mean) * scale + bias, channel by channel; bias may be a number, for none."""
    out, (view, grain, in_rows), none = _room(x), _view(plain(x)), NOTHING[x.dtype.char]
    affine = by_channel.affine_rows if in_rows else by_channel.affine_columns
    mean, scale, bias = (plain(v).reshape(-1) if isinstance(v, np.ndarray) else none for v in (mean, scale, bias))
    affine(len(view), grain, view, mean, scale, bias, out.reshape(view.shape))
    return out


def _movable(x, *running):
    """Whether a kernel can move these running statistics, of which some may be missing."""
    for r in running:
        if r is not None and not (r.flags.carray and (r.dtype is x.dtype or r.dtype == x.dtype)):
            return False
    return True


def _running(rng, n, dtype):
    moments = rng.uniform(1, 2, (4, max(n // 8, 1))).astype(dtype)
    return moments[0].copy(), moments[1].copy(), moments[2:], 0.1, 8


@choice(reference=moved_reference, sample=_running, size=lambda m, v, moments, _, count: count * moments.size // 2)
def moved(running_mean, running_var, moments, momentum, count):
    """Running statistics, if any, moved, in place, a part of the way to new ones, of `count` numbers for each channel.

    It is a step of its own where somebody watches, who shall see it, and takes the same choice as `batch`.
    """
    if not (_compilable(moments) and _movable(moments, running_mean, running_var)):
        return moved_reference(running_mean, running_var, moments, momentum, count)
    none = NOTHING[moments.dtype.char]
    m, v = none if running_mean is None else running_mean, none if running_var is None else running_var
    by_channel.move_towards(m, v, plain(moments), momentum, count)
    return running_mean, running_var


@choice(reference=channels_reference, sample=_normal_batch)
def channels(x, mean, var, weight, bias, eps):
    """(x - mean) / √(var + eps) * weight + bias, channel by channel."""
    ready = _ready(x, mean, var, weight, bias)
    if ready is None or not x.size:
        return channels_reference(x, mean, var, weight, bias, eps)
    (x, mean, var, w, b), none = ready, NOTHING[x.dtype.char]
    out, scales = _room(x), np.empty(mean.shape, x.dtype)
    by_channel.scales_of(var, none if w is None else w, eps, scales)
    view, grain, in_rows = _view(x)
    affine = by_channel.affine_rows if in_rows else by_channel.affine_columns
    affine(len(view), grain, view, mean, scales, none if b is None else b, out.reshape(view.shape))
    return out


@choice(reference=batch_pull_reference, sample=_pulled_batch)
def batch_pull(g, x, moments, weight, eps):
    """The gradients of `batch` by x, weight and bias, through mean and variance."""
    ready = _ready(x, g, moments, weight)
    if ready is None or not x.size:
        return batch_pull_reference(g, x, moments, weight, eps)
    x, g, moments, w = ready
    w = NOTHING[x.dtype.char] if w is None else w
    out, channels = _room(x), x.shape[1]
    dw, db, count = np.empty(channels, x.dtype), np.empty(channels, x.dtype), x.size // channels
    if x.size <= CHUNK:
        given = *_seen(x), id(moments), id(w), eps, count
        AT_ONCE[x.dtype][1](id(g), id(x), *given, id(dw), id(db), id(out))
        return out, dw, db
    view, grain, in_rows = _view(x)
    v, flat = (g, out) if view is x else (g.reshape(view.shape), out.reshape(view.shape))
    totals, dots = np.empty((2, x.shape[0] if in_rows else -(-len(view) // grain), channels), x.dtype)
    if in_rows:
        by_channel.sums_of_rows(len(view), grain, v, view, moments[0], totals.reshape(-1), dots.reshape(-1))
    else:
        by_channel.sums_of_columns(len(view), grain, v, view, moments[0], totals, dots, grain)
    slopes = np.empty((3, channels), x.dtype)
    by_channel.slopes_together(totals, dots, moments, w, eps, count, dw, db, slopes)
    pull = by_channel.pull_rows if in_rows else by_channel.pull_columns
    pull(len(view), grain, v, view, moments[0], slopes, flat)
    return out, dw, db
