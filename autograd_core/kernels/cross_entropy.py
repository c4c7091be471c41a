"""Cross entropy with class indices, forward and backward in one pass each, and log-likelihoods of given classes.

Forward keeps log Σ exp(x) of each row and nothing else, its `level`: the largest x, and what comes on top of that, apart,
for in a sum of a large number and a small one the small one is lost.  With q the weighted and smoothed target of a row
and W its sum, the loss is W (level - x) q, and its gradient W exp(x - level) - q.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ._jit import Late, choice, kernel, plain
from ._memory import empty
from ._steps import fill
from ._threads import ADDRESS as POOL
from .direct import Typed
from .softmax import BLOCK, GRAIN, TILE, exp_below, exps_of_tile, shares_of_line, sums_of_rows, tile_of
from .softmaxes import _tiles
from .vector_math import like, log

blank = Late("_values", "blank")
INTEGERS, SINGLE, DOUBLE = np.dtype(np.int64), np.dtype(np.float32), np.dtype(np.float64)
NOTHING = {c: np.empty(0, c) for c in "fd"}

# Each kernel takes weight (n) or (0), `ignored`, the class that does not count, `sharp` and `blur`, what the target and
# every class have of the target, and `bad`, where it leaves the place of a target that is no class, plus one.


@kernel(written=True)
def loss_of(x, i, t, top, rest, weight, sharp, blur):
    """The loss of row i, whose log Σ exp(x) is top + rest and whose target is t, and its weight."""
    w = weight[t] if len(weight) else like(top, 1)
    y = sharp * w * ((top - x[i, t]) + rest)
    if blur != like(top, 0):
        dot = like(top, 0)
        if len(weight):
            for j in range(x.shape[1]):
                dot += ((top - x[i, j]) + rest) * weight[j]
        else:
            for j in range(x.shape[1]):
                dot += (top - x[i, j]) + rest
        y += blur * dot
    return y, w


@kernel(written=True)
def summed(weight, out):
    """The weights of all classes, added up; no weights count as 1."""
    total = out.dtype.type(0 if len(weight) else out.shape[1])
    for j in range(len(weight)):
        total += weight[j]
    return total


@kernel(written=True)
def added_up(each, share, how, loss, total):
    """The weights of rows, and their losses too unless they stay as they are (0: as they are, 1: sum, 2: mean)."""
    weights = 0.0
    for i in range(len(share)):
        weights += share[i]
    total[()] = weights
    if how > 0:
        losses = 0.0
        for i in range(len(each)):
            losses += each[i]
        loss[()] = losses / weights if how == 2 else losses


@kernel(chunks=True, written=True)
def cross_entropy_rows(begin, end, x, target, weight, ignored, sharp, blur, loss, level, share, bad):
    """Loss, level and weight of each row of x (rows, n)."""
    x, target, loss, level = x[begin:end], target[begin:end], loss[begin:end], level[begin:end]
    share = share[begin:end]
    step, n, zero = max(min(BLOCK // x.shape[1], len(x)), 1), x.shape[1], x.dtype.type(0)
    sharp, blur = x.dtype.type(sharp), x.dtype.type(blur)
    tops, sums = blank(zero, step), blank(zero, step)
    for first in range(0, len(x), step):
        s = sums[: min(step, len(x) - first)]
        sums_of_rows(x, first, tops, s)
        for k in range(len(s)):
            s[k] = log(s[k])
        for k in range(len(s)):
            i, t = first + k, target[first + k]
            level[i, 0], level[i, 1] = tops[k], s[k]
            if t == ignored:
                loss[i], share[i] = zero, zero
            elif t < 0 or t >= n:
                bad[0] = begin + i + 1
            else:
                loss[i], share[i] = loss_of(x, i, t, tops[k], s[k], weight, sharp, blur)


@kernel(written=True)
def answer(bads):
    """What chunks have left for whoever asks."""
    return bads[0]


@kernel(written=True)
def cross_entropy_at_once(x, target, weight, ignored, sharp, blur, how, loss, level, total):
    """The sum or mean of the losses of few rows; the place of a target that is no class, plus one, or 0."""
    each, share, bad = blank(x.dtype.type(0), len(x)), blank(x.dtype.type(0), len(x)), blank(np.int64(0), 1)
    bad[0] = 0
    cross_entropy_rows(0, len(x), x, target, weight, ignored, sharp, blur, each, level, share, bad)
    added_up(each, share, how, loss, total)
    return bad[0]


@kernel(chunks=True, written=True)
def cross_entropy_rows_pull(begin, end, c, x, level, target, weight, ignored, sharp, blur, hit, out):
    """out = c (W exp(x - level) - q), with c for each row or one for all; without q unless `hit`."""
    x, out, level, target = x[begin:end], out[begin:end], level[begin:end], target[begin:end]
    n, zero, whole = out.shape[1], out.dtype.type(0), summed(weight, out)
    sharp, blur = x.dtype.type(sharp), x.dtype.type(blur)
    for i in range(len(out)):
        t = target[i]
        scale = c[0] if len(c) == 1 else c[begin + i]
        if t == ignored or t < 0 or t >= n:
            for j in range(n):
                out[i, j] = zero
            continue
        w = weight[t] if len(weight) else like(scale, 1)
        factor, row = scale * (sharp * w + blur * whole), i * n * x.itemsize
        shares_of_line(x.ctypes.data + row, out.ctypes.data + row, n, level[i, 0], level[i, 1], factor)
        if hit:
            if blur != zero:
                each = scale * blur
                for j in range(n):
                    out[i, j] -= each * weight[j] if len(weight) else each
            out[i, t] -= scale * sharp * w


@kernel(chunks=True, written=True)
def cross_entropy_tiles(begin, end, x, target, weight, ignored, sharp, blur, loss, level, share, bad):
    """The same along axis 1 of x (outer, n, inner); the others are (outer, inner, ...).  A chunk is a number of tiles."""
    tops, sums = blank(x.dtype.type(0), TILE), blank(x.dtype.type(0), TILE)
    n, zero = x.shape[1], x.dtype.type(0)
    sharp, blur = x.dtype.type(sharp), x.dtype.type(blur)
    for tile in range(begin, end):
        o, left, right = tile_of(tile, x.shape[2])
        exps_of_tile(x, o, left, right, tops, sums)
        for k in range(left, right):
            sums[k - left] = log(sums[k - left])
        for k in range(left, right):
            top, rest, t = tops[k - left], sums[k - left], target[o, k]
            level[o, k, 0], level[o, k, 1], loss[o, k], share[o, k] = top, rest, zero, zero
            if t == ignored:
                continue
            if t < 0 or t >= n:
                bad[0] = o * x.shape[2] + np.int64(k) + 1
                continue
            w = weight[t] if len(weight) else like(rest, 1)
            loss[o, k], share[o, k] = sharp * w * ((top - x[o, t, k]) + rest), w
        if blur != zero:
            for i in range(n):
                w = blur * (weight[i] if len(weight) else like(blur, 1))
                for k in range(left, right):
                    y = loss[o, k] + w * ((tops[k - left] - x[o, i, k]) + sums[k - left])
                    loss[o, k] = zero if target[o, k] == ignored else y


@kernel(chunks=True, written=True)
def cross_entropy_tiles_pull(begin, end, c, x, level, target, weight, ignored, sharp, blur, hit, out):
    """The gradient of cross_entropy_tiles; c is (outer, inner) or (1, 1)."""
    n, inner, zero, whole = out.shape[1], out.shape[2], out.dtype.type(0), summed(weight, out)
    sharp, blur = x.dtype.type(sharp), x.dtype.type(blur)
    scale, factor, tops, rests = blank(zero, TILE), blank(zero, TILE), blank(zero, TILE), blank(zero, TILE)
    for tile in range(begin, end):
        o, left, right = tile_of(tile, inner)
        for k in range(left, right):
            t = target[o, k]
            fine = t != ignored and t >= 0 and t < n
            a = c[0, 0] if c.size == 1 else c[o, k]
            w = weight[t] if len(weight) and fine else like(a, 1)
            scale[k - left] = a if fine else zero
            factor[k - left] = a * (sharp * w + blur * whole) if fine else zero
            tops[k - left], rests[k - left] = level[o, k, 0], level[o, k, 1]
        for i in range(n):
            each = blur * (weight[i] if len(weight) else like(blur, 1)) if hit else zero
            for k in range(left, right):
                y = exp_below((x[o, i, k] - tops[k - left]) - rests[k - left]) * factor[k - left]
                out[o, i, k] = zero if target[o, k] == ignored else y
            if each != zero:
                for k in range(left, right):
                    out[o, i, k] -= each * scale[k - left]
        for k in range(left, right):
            t = target[o, k]
            if hit and t != ignored and t >= 0 and t < n:
                w = weight[t] if len(weight) else like(sharp, 1)
                out[o, t, k] -= scale[k - left] * sharp * w


AT_ONCE = Typed(cross_entropy_at_once, "x2 l1 x1 i d d i x0 x2 x0")
ROWS_PULL = Typed(cross_entropy_rows_pull, "x1 x2 x2 l1 x1 i d d i x2")

# --- what ops call ---------------------------------------------------------------------------------------------------


def _beside(x, w):
    """A weight for each class, beside x (N, C, ...)."""
    return w.reshape(1, -1, *(1,) * (x.ndim - 2))


def _targets(target, classes, ignored, name="cross_entropy"):
    """Which targets count, and targets with 0 for the others; an error for one that is no class."""
    counts = target != ignored
    t = np.where(counts, target, 0)
    if t.size and (t.min() < 0 or t.max() >= classes):
        _refuse(t[(t < 0) | (t >= classes)].flat[0], classes, name)
    return counts, t


def _refuse(t, classes, name):
    error = IndexError(f"{name}: target {t} is no class: input has {classes} of them, 0 to {classes - 1}")
    error.explained = True  # it names the function that was called
    raise error


def refuse_at(target, place, classes):
    """Raise for the target at a place, counted from 1."""
    _refuse(target.flat[place - 1], classes, "cross_entropy")


def _q(target, weight, shape, dtype, ignored, smoothing):
    """The weighted and smoothed targets (N, C, ...), and the weights of targets (N, ...)."""
    classes = shape[1]
    counts, t = _targets(target, classes, ignored)
    w = np.ones(classes, dtype) if weight is None else weight.astype(dtype)
    share = np.where(counts, w[t] if classes else np.zeros(t.shape, dtype), 0).astype(dtype)
    hits = np.expand_dims(t, 1) == np.arange(classes).reshape(1, -1, *(1,) * (len(shape) - 2))
    q = (hits * (1 - smoothing) + smoothing / max(classes, 1)) * w.reshape(1, -1, *(1,) * (len(shape) - 2))
    return np.where(np.expand_dims(counts, 1), q, 0).astype(dtype), share


HOW = {"none": 0, "sum": 1, "mean": 2}


def plainly(x, target, weight, ignored, smoothing):
    """Whether rows of scores have one class each, all of which count alike: then a few lines do."""
    n = x.shape[1]
    if weight is not None or smoothing or x.ndim != 2 or not x.size or 0 <= ignored < n:
        return False
    return np.minimum.reduce(target) >= 0 and np.maximum.reduce(target) < n


def forward_reference(x, target, weight, ignored, smoothing, reduction="none"):
    """The loss of x (N, C, ...), the level of each row (N, ..., 2), and the weight of all rows."""
    if plainly(x, target, weight, ignored, smoothing):
        top = np.maximum.reduce(x, axis=1)
        if abs(np.add.reduce(top)) < np.inf:
            rest = np.log(np.add.reduce(np.exp(x - top[:, None]), axis=1))
            loss, total = (top - x[np.arange(len(x)), target]) + rest, x.dtype.type(len(x))
            if reduction != "none":
                loss = np.add.reduce(loss)
            loss = loss / total if reduction == "mean" else loss
            return np.asarray(loss), np.stack([top, rest], -1), np.asarray(total)
    q, share = _q(target, weight, x.shape, x.dtype, ignored, smoothing)
    with np.errstate(all="ignore"):
        top = np.maximum.reduce(x, axis=1, keepdims=True, initial=-np.inf)
        top = np.where(top == -np.inf, 0, top).astype(x.dtype)
        rest = np.log(np.add.reduce(np.exp(x - top), axis=1, keepdims=True))
        loss = np.add.reduce(np.where(q != 0, q * (top - x + rest), 0), axis=1).astype(x.dtype)
        total = np.add.reduce(share, axis=None)
        if reduction != "none":
            loss = np.add.reduce(loss, axis=None)
        loss = loss / total if reduction == "mean" else loss
    return np.asarray(loss), np.stack([top[:, 0], rest[:, 0]], -1), np.asarray(total)


def _above(x, level):
    """x less the level of its row; x is (N, C, ...)."""
    top, rest = np.moveaxis(np.expand_dims(level, 1), -1, 0)
    return (x - top) - rest


def backward_reference(c, x, level, target, weight, ignored, smoothing, hit):
    """c (W exp(x - level) - q), with c (N, ...) or without axes."""
    if plainly(x, target, weight, ignored, smoothing):
        with np.errstate(all="ignore"):
            y = np.exp(_above(x, level))
            if hit:
                y[np.arange(len(y)), target] -= 1
            y *= c[:, None] if c.ndim else c
        return y.astype(x.dtype, copy=False)
    q, _ = _q(target, weight, x.shape, x.dtype, ignored, smoothing)
    total = np.add.reduce(q, axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        y = np.where(total != 0, total * np.exp(_above(x, level)), 0)
        y = (y - q if hit else y) * (np.expand_dims(c, 1) if c.ndim else c)
    counts = np.expand_dims(target != ignored, 1)
    return np.where(counts, y, 0).astype(x.dtype)


def _sample(rng, n, dtype):
    shape = (max(n // 12, 1), 12) if n // 12 % 2 else (max(n // 24, 1), 6, 4)
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    target.flat[0] = -100
    return rng.standard_normal(shape).astype(dtype), target, rng.uniform(0.5, 2, shape[1]).astype(dtype), -100, 0.1


def _pull_sample(rng, n, dtype):
    x, target, weight, *rest = _sample(rng, n, dtype)
    loss, level, _ = forward_reference(x, target, weight, *rest)
    return rng.standard_normal(loss.shape).astype(dtype), x, level, target, weight, *rest, True


def _ready(x, target, weight, *others):
    """Arrays as kernels want them; None if kernels are not made for them."""
    dtype = x.dtype
    if weight is None and target.dtype is INTEGERS and (dtype is SINGLE or dtype is DOUBLE) and x.size:
        ready = x.flags.carray and target.flags.carray
        for a in others:
            ready = ready and a.dtype is dtype and a.flags.carray
        if ready:
            return x, target, NOTHING[dtype.char], *others
    if dtype.char not in "fd" or not x.size or any([a.dtype != dtype for a in others]):
        return None
    w = NOTHING[dtype.char] if weight is None else plain(weight.astype(dtype, copy=False))
    return plain(x), plain(target.astype(np.int64, copy=False)), w, *map(plain, others)


@choice(reference=forward_reference, sample=_sample)
def forward(x, target, weight, ignored, smoothing, reduction="none"):
    """The loss of x (N, C, ...) for class indices (N, ...), the level of each row, and the weight of all rows."""
    ready = _ready(x, target, weight)
    if ready is None:
        return forward_reference(x, target, weight, ignored, smoothing, reduction)
    (x, target, w), n, how, dtype = ready, x.shape[1], HOW[reduction], x.dtype
    loss, level, total = np.empty((), dtype), np.empty((*target.shape, 2), dtype), np.empty((), dtype)
    if how and x.ndim == 2 and x.size <= 2 * GRAIN:
        sums, made = (ignored, 1 - smoothing, smoothing / n, how), (id(loss), id(level), id(total))
        bad = AT_ONCE[dtype](id(x), id(target), id(w), *sums, *made)
    else:
        each, share, bads = np.empty(target.shape, dtype), np.empty(target.shape, dtype), np.empty(1, np.int64)
        fill(bads, 0)
        rates = w, ignored, 1 - smoothing, smoothing / n
        _each(x.reshape(len(x), n, -1), target, rates, each, level, share, bads)
        added_up(each.reshape(-1), share.reshape(-1), how, loss, total)
        loss, bad = loss if how else each, answer(bads)
    if bad:
        _refuse(target.flat[bad - 1], n, "cross_entropy")
    return loss, level, total


def _each(x, target, rates, *results):
    """Loss, level and weight of each row of x (outer, n, inner)."""
    (outer, n, inner), (each, level, share, bads) = x.shape, results
    if inner == 1:
        flat = each.reshape(-1), level.reshape(-1, 2), share.reshape(-1)
        cross_entropy_rows(outer, GRAIN // n + 1, x.reshape(outer, n), target.reshape(-1), *rates, *flat, bads)
    else:
        flat = each.reshape(-1, inner), level.reshape(-1, inner, 2), share.reshape(-1, inner)
        cross_entropy_tiles(*_tiles(*x.shape), x, target.reshape(-1, inner), *rates, *flat, bads)


@choice(reference=backward_reference, sample=_pull_sample, size=lambda c, x, *rest: x.size)
def backward(c, x, level, target, weight, ignored, smoothing, hit):
    """c (W exp(x - level) - q), with c (N, ...) or without axes."""
    c = np.asarray(c)
    ready = _ready(x, target, weight, c, level)
    if ready is None:
        return backward_reference(c, x, level, target, weight, ignored, smoothing, hit)
    (x, target, w, c, level), n = ready, x.shape[1]
    out = np.empty(x.shape, x.dtype) if x.size <= GRAIN else empty(x.shape, x.dtype)
    rates = ignored, 1 - smoothing, smoothing / n, hit
    if x.ndim == 2:
        c = c if c.ndim else c.reshape(1)
        arrays = id(c), id(x), id(level), id(target), id(w)
        ROWS_PULL[x.dtype](POOL, len(x), GRAIN // n + 1, *arrays, *rates, id(out))
        return out
    inner = prod(x.shape[2:])
    view = x.size // (n * inner), n, inner
    c = c.reshape(-1, inner) if c.ndim else c.reshape(1, 1)
    rows = level.reshape(-1, inner, 2), target.reshape(-1, inner)
    cross_entropy_tiles_pull(*_tiles(*view), c, x.reshape(view), *rows, w, *rates, out.reshape(view))
    return out


def picked(x, target, weight, ignored):
    """-weight[t] x[t] and weight[t] for each row of x (N, C, ...) and its class t; 0 for those that do not count."""
    counts, t = _targets(target, x.shape[1], ignored, "nll_loss")
    if not x.size:
        return np.zeros(target.shape, x.dtype), np.zeros(target.shape, x.dtype)
    share = (np.ones((), x.dtype) if weight is None else weight.astype(x.dtype, copy=False)[t]) * counts
    share = share.astype(x.dtype, copy=False)
    values = np.take_along_axis(x, np.expand_dims(t, 1), axis=1)[:, 0]
    return np.where(share != 0, -values * share, 0).astype(x.dtype, copy=False), share


def placed(c, target, weight, ignored, classes):
    """-c weight[t] at the class t of each row, in (N, C, ...); c is (N, ...) or has no axes."""
    counts, t = _targets(target, classes, ignored, "nll_loss")
    out = empty((t.shape[0], classes, *t.shape[1:]), c.dtype)
    out[...] = 0
    if out.size:
        share = counts if weight is None else weight.astype(c.dtype, copy=False)[t] * counts
        np.put_along_axis(out, np.expand_dims(t, 1), np.expand_dims(np.where(share, -c * share, 0), 1), axis=1)
    return out
