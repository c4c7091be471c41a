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
from ._memory import empty
from ._sizes import CHUNK

LINES = 1024  # rows of channels side by side that are added up one after the other
NOTHING = {c: np.empty(0, c) for c in "fd"}


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


def _compilable(x, *affine):
    """Whether arrays are of one type that kernels are compiled for."""
    return x.dtype.char in "fd" and all(a is None or a.dtype == x.dtype for a in affine)


def _pair(weight, bias, x):
    """Weight and bias as kernels want them: both, or none."""
    if weight is None and bias is None:
        return NOTHING[x.dtype.char], NOTHING[x.dtype.char]
    w = np.ones(bias.shape, x.dtype) if weight is None else plain(weight)
    return w, np.zeros(w.shape, x.dtype) if bias is None else plain(bias)


@choice(reference=rows_reference, sample=_sample)
def rows(x, weight, bias, n, groups, inner, eps, centre):
    """Rows of n entries normalised, times weight (groups * n / inner) or None, plus bias or None."""
    if not _compilable(x, weight, bias) or not x.size:
        return rows_reference(x, weight, bias, n, groups, inner, eps, centre)
    x = plain(x)
    out, (w, b) = empty(x.shape, x.dtype), _pair(weight, bias, x)
    count, eps = x.size // n, x.dtype.type(eps)
    flat, grain = x.reshape(count, n), max(CHUNK // n, 1)
    if groups == inner == 1 or not w.size:
        by_row.normalize_rows(count, grain, flat, w.reshape(-1), b.reshape(-1), eps, centre, out.reshape(count, n))
    else:
        view, turn = (count, n // inner, inner), (groups, n // inner)
        w, b = w.reshape(turn), b.reshape(turn)
        by_row.normalize_groups(count, grain, flat, x.reshape(view), w, b, eps, centre, out.reshape(view))
    return out


def _pull_sample(rng, n, dtype):
    x, w, _, *rest = _sample(rng, n, dtype)
    return rng.standard_normal(x.shape).astype(dtype), x, w, *rest


@choice(reference=rows_pull_reference, sample=_pull_sample)
def rows_pull(g, x, weight, n, groups, inner, eps, centre):
    """The gradients of `rows` by x, weight and bias (None, None without a weight)."""
    if not _compilable(x, g, weight) or not x.size:
        return rows_pull_reference(g, x, weight, n, groups, inner, eps, centre)
    g, x, count, eps = plain(g), plain(x), x.size // n, x.dtype.type(eps)
    dx, grain = empty(x.shape, x.dtype), max(CHUNK // n, 1 if weight is None else min(8, -(-x.size // n // 2)))
    parts, flat = -(-count // grain), x.reshape(count, n)
    if weight is None or groups == inner == 1:
        w = NOTHING[x.dtype.char] if weight is None else plain(weight).reshape(-1)
        dw, db = np.zeros((2, parts, w.size), x.dtype)
        by_row.normalize_rows_pull(
            count, grain, g.reshape(count, n), flat, w, eps, centre, dx.reshape(count, n), dw, db, grain
        )
    else:
        view, w = (count, n // inner, inner), plain(weight).reshape(groups, n // inner)
        dw, db = np.zeros((2, parts, *w.shape), x.dtype)
        by_row.normalize_groups_pull(
            count, grain, g.reshape(view), flat, x.reshape(view), w, eps, centre, dx.reshape(view), dw, db, grain
        )
    if weight is None:
        return dx, None, None
    fold = lambda t: np.add.reduce(t, axis=0).reshape(weight.shape)
    return dx, fold(dw), fold(db)


# --- channels of a batch ---------------------------------------------------------------------------------------------


def _others(x):
    """The axes over which a channel is normalised, and the shape in which its numbers stand beside x."""
    return (0, *range(2, x.ndim)), (1, -1, *(1,) * (x.ndim - 2))


def channel_moments_reference(x):
    """The mean and the variance of each channel of x (N, C, ...)."""
    axes, shape = _others(x)
    if not x.size:
        return tuple(np.zeros((2, x.shape[1]), x.dtype))
    wide = x.astype(np.float64)
    mean = wide.mean(axis=axes)
    d = wide - mean.reshape(shape)
    return mean.astype(x.dtype), (d * d).mean(axis=axes).astype(x.dtype)


def channels_reference(x, mean, var, weight, bias, eps):
    """(x - mean) / √(var + eps) * weight + bias."""
    _, shape = _others(x)
    scale = 1 / np.sqrt(var + var.dtype.type(eps))
    scale = scale if weight is None else scale * weight
    y = (x - mean.reshape(shape)) * scale.reshape(shape)
    return (y if bias is None else y + bias.reshape(shape)).astype(x.dtype, copy=False)


def channels_pull_reference(g, x, mean, var, weight, eps):
    """The gradients by x, weight and bias, through mean and variance."""
    axes, shape = _others(x)
    r = 1 / np.sqrt(var + var.dtype.type(eps))
    d, count = x - mean.reshape(shape), x.size // max(len(mean), 1)
    total, dot = g.sum(axis=axes), (g * d).sum(axis=axes)
    count = max(count, 1)
    scale = r if weight is None else r * weight
    dx = g * scale.reshape(shape) - d * (scale * r * r * dot / count).reshape(shape)
    dx -= (scale * total / count).reshape(shape)
    return dx.astype(x.dtype, copy=False), (dot * r).astype(x.dtype), total.astype(x.dtype, copy=False)


def _batch(rng, n, dtype):
    return (rng.standard_normal((max(n // 32, 1), 4, 8)[: 2 + n // 32 % 2]).astype(dtype),)


def _normal_batch(rng, n, dtype):
    (x,) = _batch(rng, n, dtype)
    mean, var = channel_moments_reference(x)
    return x, mean, var, mean + 1, var, 1e-5


def _pulled_batch(rng, n, dtype):
    x, mean, var, weight, _, eps = _normal_batch(rng, n, dtype)
    return rng.standard_normal(x.shape).astype(dtype), x, mean, var, weight, eps


def _view(x):
    """x (N, C, ...) as rows of a channel each, or (N, C); how many make a chunk; whether it is the former."""
    inner = prod(x.shape[2:])
    wide = inner if inner > 1 else x.shape[1]
    return x.reshape(x.size // wide, wide), max(CHUNK // wide if inner > 1 else min(CHUNK // wide, LINES), 1), inner > 1


@choice(reference=channel_moments_reference, sample=_batch)
def channel_moments(x):
    """The mean and the variance of each channel of x (N, C, ...)."""
    if not _compilable(x) or not x.size:
        return channel_moments_reference(x)
    channels = x.shape[1]
    view, grain, in_rows = _view(plain(x))
    count = x.size // channels
    mean, var = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    each, parts = (view.shape[1], x.shape[0]) if in_rows else (grain, -(-count // grain))
    means, squares = np.empty((2, parts, channels), x.dtype)
    if in_rows:
        by_channel.moments_of_rows(len(view), grain, view, means.reshape(-1), squares.reshape(-1))
    else:
        by_channel.moments_of_columns(len(view), grain, view, means, squares, grain)
    by_channel.moments_together(means, squares, each, count, mean, var)
    return mean, var


@choice(reference=channels_reference, sample=_normal_batch)
def channels(x, mean, var, weight, bias, eps):
    """(x - mean) / √(var + eps) * weight + bias, channel by channel."""
    if not _compilable(x, mean, var, weight, bias) or not x.size:
        return channels_reference(x, mean, var, weight, bias, eps)
    x, none = plain(x), NOTHING[x.dtype.char]
    out, scales = empty(x.shape, x.dtype), np.empty(mean.shape, x.dtype)
    by_channel.scales_of(plain(var), none if weight is None else plain(weight), x.dtype.type(eps), scales)
    view, grain, in_rows = _view(x)
    affine = by_channel.affine_rows if in_rows else by_channel.affine_columns
    affine(len(view), grain, view, plain(mean), scales, none if bias is None else plain(bias), out.reshape(view.shape))
    return out


@choice(reference=channels_pull_reference, sample=_pulled_batch)
def channels_pull(g, x, mean, var, weight, eps):
    """The gradients of normalised channels by x, weight and bias, through mean and variance."""
    if not _compilable(x, g, mean, var, weight) or not x.size:
        return channels_pull_reference(g, x, mean, var, weight, eps)
    g, x, mean, var = plain(g), plain(x), plain(mean), plain(var)
    out, (view, grain, in_rows) = empty(x.shape, x.dtype), _view(x)
    v, count = g.reshape(view.shape), x.size // len(mean)
    dw, db = np.empty(mean.shape, x.dtype), np.empty(mean.shape, x.dtype)
    scales, slopes, lifts = np.empty((3, *mean.shape), x.dtype)
    totals, dots = np.empty((2, x.shape[0] if in_rows else -(-len(view) // grain), len(mean)), x.dtype)
    if in_rows:
        by_channel.sums_of_rows(len(view), grain, v, view, mean, totals.reshape(-1), dots.reshape(-1))
    else:
        by_channel.sums_of_columns(len(view), grain, v, view, mean, totals, dots, grain)
    w = NOTHING[x.dtype.char] if weight is None else plain(weight)
    by_channel.slopes_together(totals, dots, var, w, x.dtype.type(eps), count, dw, db, scales, slopes, lifts)
    pull = by_channel.pull_rows if in_rows else by_channel.pull_columns
    pull(len(view), grain, v, view, mean, scales, slopes, lifts, out.reshape(view.shape))
    return out, dw, db
