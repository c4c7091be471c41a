"""Steps of optimizers: one pass over a parameter, its gradient and what is remembered of earlier ones, all in place.

The gradient d that a step uses is factor * g + decay * p: `factor` holds the sign and the scale of clipping, `decay`
is the weight decay; `shrink` multiplies the parameter first (decoupled decay).  What is remembered decays for ever, so
what falls below the smallest normal number becomes 0: arithmetic on subnormal numbers is many times slower.  Squares
that would be that small are not even made (`least` is the smallest entry that has one).

Loops round where PyTorch's do: p * shrink, say, is rounded before a step is taken off, though it could be rounded with
it, for its errors have one sign for thousands of steps and are what parameters differ by in the end.  Only a rate is
multiplied with a quotient, and not with what stands above the line: that product would be subnormal at once.
"""

from __future__ import annotations

import numpy as np

from ._jit import WRITTEN, Late, choice, inline, kernel
from ._scalars import fma, like
from ._sizes import CHUNK

borrowed = Late("_borrowed", "borrowed")


@inline
def normal(v, tiny):
    """v, or 0 if it is subnormal."""
    return like(v, 0) if abs(v) < tiny else v


@inline
def square(v, tiny):
    """The same for what is never negative: half as many instructions."""
    return like(v, 0) if v < tiny else v


@inline
def slope(g, p, factor, decay):
    """The gradient that is used; an infinite parameter does not spoil it unless it decays."""
    return fma(decay, p, g * factor) if decay != 0 else g * factor


@inline
def between(a, b, share, tiny):
    """a and a share of the way to b: all of it where the share would be subnormal, as near b it is for ever."""
    if share == 0:
        return a
    gap = b - a
    close = abs(gap) < tiny / share
    way = like(a, 0) if close else gap
    there = fma(share, way, a) if share < 0.5 else fma(share - like(share, 1), way, b)
    return b if close else there


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def sgd_loop(begin, end, p, g, factor, decay, rate):
    p, g, c = p[begin:end], g[begin:end], p.dtype.type
    factor, decay, rate = c(factor), c(decay), c(rate)
    for i in range(len(p)):
        p[i] = fma(-rate, slope(g[i], p[i], factor, decay), p[i])


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def momentum_loop(begin, end, p, g, m, factor, decay, rate, momentum, fresh, nesterov, tiny):
    p, g, m, c = p[begin:end], g[begin:end], m[begin:end], p.dtype.type
    factor, decay, rate, momentum, fresh, tiny = c(factor), c(decay), c(rate), c(momentum), c(fresh), c(tiny)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        a = fma(fresh, d, momentum * m[i])
        m[i] = normal(a, tiny)
        p[i] = fma(-rate, fma(momentum, a, d) if nesterov else a, p[i])


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def adam_loop(begin, end, p, g, m, v, factor, decay, shrink, new, keep, root, eps, step, tiny, least):
    p, g, m, v, c = p[begin:end], g[begin:end], m[begin:end], v[begin:end], p.dtype.type
    factor, decay, shrink, new, keep, fresh = c(factor), c(decay), c(shrink), c(new), c(keep), c(1 - keep)
    root, eps, step, tiny, least = c(root), c(eps), c(step), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        a = between(m[i], d, new, tiny)
        d = normal(d, least)
        s = fma(fresh * d, d, v[i] * keep)
        m[i], v[i] = normal(a, tiny), square(s, tiny)
        p[i] = p[i] * shrink - step * (a / (np.sqrt(s) * root + eps))


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def amsgrad_loop(begin, end, p, g, m, v, w, factor, decay, shrink, new, keep, root, eps, step, tiny, least):
    p, g, m, v, w, c = p[begin:end], g[begin:end], m[begin:end], v[begin:end], w[begin:end], p.dtype.type
    factor, decay, shrink, new, keep, fresh = c(factor), c(decay), c(shrink), c(new), c(keep), c(1 - keep)
    root, eps, step, tiny, least = c(root), c(eps), c(step), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        a = between(m[i], d, new, tiny)
        d = normal(d, least)
        s = fma(fresh * d, d, v[i] * keep)
        top = s if (s > w[i]) | (s != s) else w[i]
        m[i], v[i], w[i] = normal(a, tiny), square(s, tiny), square(top, tiny)
        p[i] = p[i] * shrink - step * (a / (np.sqrt(top) * root + eps))


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def adamax_loop(begin, end, p, g, m, u, factor, decay, new, keep, eps, step, tiny):
    p, g, m, u, c = p[begin:end], g[begin:end], m[begin:end], u[begin:end], p.dtype.type
    factor, decay, new, keep, eps, step, tiny = c(factor), c(decay), c(new), c(keep), c(eps), c(step), c(tiny)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        a = between(m[i], d, new, tiny)
        old, now = keep * u[i], abs(d) + eps
        top = old if (old > now) | (old != old) else now
        m[i], u[i] = normal(a, tiny), square(top, tiny)
        p[i] -= step * (a / top)


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def nadam_loop(begin, end, p, g, m, v, factor, decay, shrink, new, keep, correction, eps, direct, step, tiny, least):
    p, g, m, v, c = p[begin:end], g[begin:end], m[begin:end], v[begin:end], p.dtype.type
    factor, decay, shrink, new, keep, fresh = c(factor), c(decay), c(shrink), c(new), c(keep), c(1 - keep)
    correction, eps, direct, step, tiny, least = c(correction), c(eps), c(direct), c(step), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        a = between(m[i], d, new, tiny)
        e = normal(d, least)
        s = fma(fresh * e, e, v[i] * keep)
        m[i], v[i] = normal(a, tiny), square(s, tiny)
        root = np.sqrt(s * correction) + eps
        p[i] = p[i] * shrink - direct * (d / root) - step * (a / root)


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def radam_loop(begin, end, p, g, m, v, factor, decay, shrink, new, keep, eps, step, adaptive, tiny, least):
    p, g, m, v, c = p[begin:end], g[begin:end], m[begin:end], v[begin:end], p.dtype.type
    factor, decay, shrink, new, keep, fresh = c(factor), c(decay), c(shrink), c(new), c(keep), c(1 - keep)
    eps, step, tiny, least = c(eps), c(step), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        a = between(m[i], d, new, tiny)
        d = normal(d, least)
        s = fma(fresh * d, d, v[i] * keep)
        m[i], v[i] = normal(a, tiny), square(s, tiny)
        p[i] = p[i] * shrink - step * (a / (np.sqrt(s) + eps) if adaptive else a)


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def adagrad_loop(begin, end, p, g, v, factor, decay, rate, eps, least):
    p, g, v, c = p[begin:end], g[begin:end], v[begin:end], p.dtype.type
    factor, decay, rate, eps, least = c(factor), c(decay), c(rate), c(eps), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        e = normal(d, least)
        v[i] = fma(e, e, v[i])
        p[i] -= rate * (d / (np.sqrt(v[i]) + eps))


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def adadelta_loop(begin, end, p, g, v, a, factor, decay, keep, eps, rate, tiny, least):
    p, g, v, a, c = p[begin:end], g[begin:end], v[begin:end], a[begin:end], p.dtype.type
    factor, decay, keep, fresh = c(factor), c(decay), c(keep), c(1 - keep)
    eps, rate, tiny, least = c(eps), c(rate), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        e = normal(d, least)
        s = fma(fresh * e, e, v[i] * keep)
        delta = np.sqrt(a[i] + eps) / np.sqrt(s + eps) * d
        e = normal(delta, least)
        v[i], a[i] = square(s, tiny), square(fma(fresh * e, e, a[i] * keep), tiny)
        p[i] = fma(-rate, delta, p[i])


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def rmsprop_loop(begin, end, p, g, v, factor, decay, keep, eps, rate, tiny, least):
    p, g, v, c = p[begin:end], g[begin:end], v[begin:end], p.dtype.type
    factor, decay, keep, fresh = c(factor), c(decay), c(keep), c(1 - keep)
    eps, rate, tiny, least = c(eps), c(rate), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        e = normal(d, least)
        s = fma(fresh * e, e, v[i] * keep)
        v[i] = square(s, tiny)
        p[i] -= rate * (d / (np.sqrt(s) + eps))


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def rmsprop_full_loop(begin, end, p, g, v, a, m, factor, decay, keep, eps, rate, momentum, centered, tiny, least):
    p, g, v, a, m, c = p[begin:end], g[begin:end], v[begin:end], a[begin:end], m[begin:end], p.dtype.type
    factor, decay, keep, fresh = c(factor), c(decay), c(keep), c(1 - keep)
    eps, rate, momentum, tiny, least = c(eps), c(rate), c(momentum), c(tiny), c(least)
    for i in range(len(p)):
        d = slope(g[i], p[i], factor, decay)
        e = normal(d, least)
        s = fma(fresh * e, e, v[i] * keep)
        mean = between(a[i], d, fresh, tiny) if centered else c(0)
        b = momentum * m[i] + d / (np.sqrt(fma(-mean, mean, s)) + eps)
        v[i], a[i], m[i] = square(s, tiny), normal(mean, tiny), normal(b, tiny)
        p[i] = fma(-rate, b, p[i])


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def lion_loop(begin, end, p, g, m, factor, shrink, near, far, rate, tiny):
    p, g, m, c = p[begin:end], g[begin:end], m[begin:end], p.dtype.type
    factor, shrink, near, far, rate, tiny = c(factor), c(shrink), c(near), c(far), c(rate), c(tiny)
    for i in range(len(p)):
        d = g[i] * factor
        u = between(m[i], d, near, tiny)
        m[i] = normal(between(m[i], d, far, tiny), tiny)
        step = rate if u > 0 else -rate if u < 0 else u
        p[i] = p[i] * shrink - step


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def rprop_loop(begin, end, p, g, before, size, factor, less, more, least, most):
    p, g, before, size, c = p[begin:end], g[begin:end], before[begin:end], size[begin:end], p.dtype.type
    factor, less, more, least, most = c(factor), c(less), c(more), c(least), c(most)
    for i in range(len(p)):
        d = g[i] * factor
        turn = d * before[i]
        s = size[i] * (more if turn > 0 else less if turn < 0 else c(1))
        s = min(max(s, least), most)
        d = c(0) if turn < 0 else d
        p[i] -= s if d > 0 else -s if d < 0 else d
        size[i], before[i] = s, d


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def asgd_loop(begin, end, p, g, a, factor, decay, shrink, rate, weight):
    p, g, a, c = p[begin:end], g[begin:end], a[begin:end], p.dtype.type
    factor, decay, shrink, rate, weight = c(factor), c(decay), c(shrink), c(rate), c(weight)
    for i in range(len(p)):
        y = fma(-rate, slope(g[i], p[i], factor, decay), p[i] * shrink)
        a[i] += (y - a[i]) * weight
        p[i] = y


# --- references: the same on whole arrays ----------------------------------------------------------------------------


def _store(tiny, *pairs):
    """Write new values into the memory of old ones, subnormal ones as 0."""
    for old, new in pairs:
        old[...] = np.where(np.abs(new) < tiny, 0, new)


def _slope(g, p, factor, decay):
    """The gradient that is used."""
    return g * factor + decay * p if decay else g * factor


def _sgd(p, g, factor, decay, rate):
    p -= (rate * _slope(g, p, factor, decay)).astype(p.dtype)


def _momentum(p, g, m, factor, decay, rate, momentum, fresh, nesterov, tiny):
    d = _slope(g, p, factor, decay)
    a = momentum * m + fresh * d
    _store(tiny, (m, a))
    p -= rate * (momentum * a + d if nesterov else a)


def _adam(p, g, m, v, factor, decay, shrink, new, keep, root, eps, step, tiny, least):
    d = _slope(g, p, factor, decay)
    a, s = m + (d - m) * new, v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    _store(tiny, (m, a), (v, s))
    p[...] = p * shrink - step * (a / (np.sqrt(s) * root + eps))


def _amsgrad(p, g, m, v, w, factor, decay, shrink, new, keep, root, eps, step, tiny, least):
    d = _slope(g, p, factor, decay)
    a, s = m + (d - m) * new, v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    top = np.maximum(w, s)
    _store(tiny, (m, a), (v, s), (w, top))
    p[...] = p * shrink - step * (a / (np.sqrt(top) * root + eps))


def _adamax(p, g, m, u, factor, decay, new, keep, eps, step, tiny):
    d = _slope(g, p, factor, decay)
    a, top = m + (d - m) * new, np.maximum(keep * u, np.abs(d) + eps)
    _store(tiny, (m, a), (u, top))
    p -= step * (a / top)


def _nadam(p, g, m, v, factor, decay, shrink, new, keep, correction, eps, direct, step, tiny, least):
    d = _slope(g, p, factor, decay)
    a, s = m + (d - m) * new, v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    _store(tiny, (m, a), (v, s))
    root = np.sqrt(s * correction) + eps
    p[...] = p * shrink - direct * (d / root) - step * (a / root)


def _radam(p, g, m, v, factor, decay, shrink, new, keep, eps, step, adaptive, tiny, least):
    d = _slope(g, p, factor, decay)
    a, s = m + (d - m) * new, v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    _store(tiny, (m, a), (v, s))
    p[...] = p * shrink - step * (a / (np.sqrt(s) + eps) if adaptive else a)


def _adagrad(p, g, v, factor, decay, rate, eps, least):
    d = _slope(g, p, factor, decay)
    v += np.where(np.abs(d) < least, 0, d) ** 2
    p -= rate * (d / (np.sqrt(v) + eps))


def _adadelta(p, g, v, a, factor, decay, keep, eps, rate, tiny, least):
    d = _slope(g, p, factor, decay)
    s = v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    delta = np.sqrt(a + eps) / np.sqrt(s + eps) * d
    _store(tiny, (v, s), (a, a * keep + (1 - keep) * np.where(np.abs(delta) < least, 0, delta) ** 2))
    p -= rate * delta


def _rmsprop(p, g, v, factor, decay, keep, eps, rate, tiny, least):
    d = _slope(g, p, factor, decay)
    s = v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    _store(tiny, (v, s))
    p -= rate * (d / (np.sqrt(s) + eps))


def _rmsprop_full(p, g, v, a, m, factor, decay, keep, eps, rate, momentum, centered, tiny, least):
    d = _slope(g, p, factor, decay)
    s = v * keep + (1 - keep) * np.where(np.abs(d) < least, 0, d) ** 2
    mean = a + (d - a) * (1 - keep) if centered else a * 0
    b = momentum * m + d / (np.sqrt(s - mean * mean) + eps)
    _store(tiny, (v, s), (a, mean), (m, b))
    p -= rate * b


def _lion(p, g, m, factor, shrink, near, far, rate, tiny):
    d = g * factor
    u = m + (d - m) * near
    _store(tiny, (m, m + (d - m) * far))
    p[...] = p * shrink - rate * np.sign(u)


def _rprop(p, g, before, size, factor, less, more, least, most):
    d = g * factor
    turn = d * before
    size[...] = np.clip(size * np.where(turn > 0, more, np.where(turn < 0, less, 1)).astype(p.dtype), least, most)
    before[...] = np.where(turn < 0, 0, d)
    p -= np.sign(before) * size


def _asgd(p, g, a, factor, decay, shrink, rate, weight):
    y = p * shrink - rate * _slope(g, p, factor, decay)
    a += (y - a) * weight
    p[...] = y


# --- what ops call ---------------------------------------------------------------------------------------------------

TINY = {c: float(np.finfo(c).tiny) for c in "fd"}
ROOTS = {c: TINY[c] ** 0.5 for c in TINY}


def step(name: str, loop, reference, arrays: int, *scalars: float):
    """Declare a step that changes its first `arrays` in place, but for the gradient (the second), and returns them."""

    def compiled(*args):
        p, rest = args[0], args[1:arrays]
        usual = p.dtype.char in TINY and p.flags.carray
        for a in rest:
            usual = usual and (a.dtype is p.dtype or a.dtype == p.dtype) and a.flags.c_contiguous
        if not usual or p.size == 0:
            return whole(*args)
        from .together import alone  # which is needed for several anyway

        alone(chosen, args[:arrays], args[arrays:])
        return args[:arrays]

    def whole(*args):
        scalars = [v if isinstance(v, bool) else float(v) for v in args[arrays:]]
        with np.errstate(all="ignore"):
            reference(*args[:arrays], *scalars)
        return args[:arrays]

    def sample(rng, n, dtype):
        made = [rng.standard_normal(n).astype(dtype) for _ in range(2)]
        made += [rng.uniform(0.5, 1, n).astype(dtype) for _ in range(arrays - 2)]
        return (*made, *scalars)

    compiled.__name__, compiled.__module__ = name, __name__
    chosen = choice(reference=whole, sample=sample, size=lambda p, *rest: p.size)(compiled)
    chosen.loop, chosen.arrays, chosen.scalars = loop, arrays, scalars
    return chosen


S = 2.0**-100  # stands for the smallest numbers in samples
sgd = step("sgd", sgd_loop, _sgd, 2, 1.0, 0.1, 0.1)
momentum = step("momentum", momentum_loop, _momentum, 3, 1.0, 0.1, 0.1, 0.9, 0.5, True, S)
adam = step("adam", adam_loop, _adam, 4, 1.0, 0.1, 0.9, 0.1, 0.99, 0.5, 1e-8, 0.1, S, S)
amsgrad = step("amsgrad", amsgrad_loop, _amsgrad, 5, 1.0, 0.1, 0.9, 0.1, 0.99, 0.5, 1e-8, 0.1, S, S)
adamax = step("adamax", adamax_loop, _adamax, 4, 1.0, 0.1, 0.1, 0.99, 1e-8, 0.1, S)
nadam = step("nadam", nadam_loop, _nadam, 4, 1.0, 0.1, 0.9, 0.1, 0.99, 0.5, 1e-8, 0.1, 0.1, S, S)
radam = step("radam", radam_loop, _radam, 4, 1.0, 0.1, 0.9, 0.1, 0.99, 1e-8, 0.1, True, S, S)
adagrad = step("adagrad", adagrad_loop, _adagrad, 3, 1.0, 0.1, 0.1, 1e-8, S)
adadelta = step("adadelta", adadelta_loop, _adadelta, 4, 1.0, 0.1, 0.9, 1e-6, 0.1, S, S)
rmsprop = step("rmsprop", rmsprop_loop, _rmsprop, 3, 1.0, 0.1, 0.9, 1e-8, 0.1, S, S)
rmsprop_full = step("rmsprop_full", rmsprop_full_loop, _rmsprop_full, 5, 1.0, 0.1, 0.5, 2.0, 0.1, 0.9, False, S, S)
lion = step("lion", lion_loop, _lion, 3, 1.0, 0.9, 0.1, 0.01, 0.1, S)
rprop = step("rprop", rprop_loop, _rprop, 4, 1.0, 0.5, 1.2, 1e-6, 50.0)
asgd = step("asgd", asgd_loop, _asgd, 3, 1.0, 0.1, 0.9, 0.1, 0.5)


# --- rows ------------------------------------------------------------------------------------------------------------


@kernel(chunks=True, fastmath=WRITTEN, written=True)
def sparse_adam_loop(begin, end, n, p, g, m, v, factor, new, keep, eps, step, tiny, least):
    """adam_loop on those rows of n entries whose gradient is not all zeros."""
    p, g, m, v = borrowed(p), borrowed(g), borrowed(m), borrowed(v)
    for k in range(begin, end):
        i, first, after = k * n, k * n, k * n + n
        while i < after and g[i] == 0:
            i += 1
        if i < after:
            adam_loop(first, after, p, g, m, v, factor, 0.0, 1.0, new, keep, 1.0, eps, step, tiny, least)


def _sparse_adam(p, g, m, v, factor, new, keep, *rest):
    rows = np.flatnonzero(g.any(tuple(range(1, g.ndim))))
    found = [a[rows] for a in (p, g, m, v)]
    adam.reference(*found, factor, 0.0, 1.0, new, keep, 1.0, *rest)
    p[rows], _, m[rows], v[rows] = found
    return p, g, m, v


def _sparse_sample(rng, n, dtype):
    found = [a.reshape(-1, 5) for a in adam.sample(rng, n // 5 * 5, dtype)[:4]]
    found[1][::2] = 0
    return (*found, 1.0, 0.1, 0.99, 1e-8, 0.1, S, S)


@choice(reference=_sparse_adam, sample=_sparse_sample, size=lambda p, *rest: p.size)
def sparse_adam(p, g, m, v, *numbers):
    """adam, on rows along the first axis, for those whose gradient is not all zeros."""
    usual = p.dtype.char in TINY and all(a.dtype == p.dtype and a.flags.carray for a in (p, m, v))
    if not (usual and g.dtype == p.dtype and g.flags.c_contiguous) or p.size == 0:
        return _sparse_adam(p, g, m, v, *numbers)
    n = p.size // len(p)
    sparse_adam_loop(len(p), max(CHUNK // n, 1), n, *(a.reshape(-1) for a in (p, g, m, v)), *numbers)
    return p, g, m, v
