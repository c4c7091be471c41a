"""Recurrent sequences over all time steps: LSTM, GRU and the plain RNN, forward and back.

Steps lie one after the other: the rows of step t, sizes[t] of them and never more than a step before it has, follow
those of the steps before.  Of x: (n, m), v: (k h, m) makes what the inputs give to k gates of h numbers, and of the h
states w: (k h, h) makes what they give.  A function returns the states after each step (n, h), those after the last
(batch, h), and rows of what it leaves for its pull: gates, then states before the step.  A pull gives what arrives at
x @ v.T, at the bias, the first states, and w.  In reverse, the first step in time is the last in the array.
"""

from __future__ import annotations

import numpy as np

from . import _memory
from . import recurrent_steps as steps
from ._jit import choice, plain
from ._steps import add_first, copied, fill
from .matmul import matmul

NEAR = 1 << 21  # bytes of v and w that stay near a processor while it goes through time


def starts_of(sizes: tuple) -> np.ndarray:
    """Where each step begins, and the end."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def in_time(sizes: tuple, reverse: bool):
    """The rows of each step, and how many, in the order of time."""
    starts = starts_of(sizes).tolist()
    order = range(len(sizes))
    for t in reversed(order) if reverse else order:
        yield slice(starts[t], starts[t + 1]), sizes[t]


# --- references ------------------------------------------------------------------------------------------------------


def sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def lstm_reference(x, v, bias, h0, c0, w, sizes, reverse):
    """Step after step."""
    n = h0.shape[1]
    hs, saved, h, c = np.empty((len(x), n), x.dtype), np.empty((len(x), 6 * n), x.dtype), np.array(h0), np.array(c0)
    x = x @ v.T + bias
    for rows, m in in_time(sizes, reverse):
        z = x[rows] + h[:m] @ w.T
        i, f, o, g = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), sigmoid(z[:, 3 * n :]), np.tanh(z[:, 2 * n : 3 * n])
        saved[rows] = np.concatenate([i, f, g, o, c[:m], h[:m]], 1)
        c[:m] = f * c[:m] + i * g
        hs[rows] = h[:m] = o * np.tanh(c[:m])
    return hs, h, c, saved


def lstm_pull_reference(g_hs, g_h, g_c, saved, w, sizes, reverse):
    """Step after step, from the last."""
    n = w.shape[1]
    dx, dh, dc = np.empty((len(saved), 4 * n), w.dtype), np.array(g_h), np.array(g_c)
    for rows, m in in_time(sizes, not reverse):
        i, f, g, o, c, _ = np.split(saved[rows], 6, 1)
        t, slope = np.tanh(f * c + i * g), dh[:m] + g_hs[rows]
        d = dc[:m] + slope * o * (1 - t * t)
        parts = d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g * g), slope * t * o * (1 - o)
        dx[rows] = np.concatenate(parts, 1)
        dh[:m], dc[:m] = dx[rows] @ w, d * f
    return dx, dx.sum(0), dh, dc, dx.T @ saved[:, 5 * n :]


def gru_reference(x, v, bias_x, bias, h0, w, sizes, reverse):
    """Step after step."""
    n = h0.shape[1]
    hs, saved, h = np.empty((len(x), n), x.dtype), np.empty((len(x), 5 * n), x.dtype), np.array(h0)
    x = x @ v.T + bias_x
    for rows, m in in_time(sizes, reverse):
        a, b = x[rows], h[:m] @ w.T + bias
        r, z = np.split(sigmoid(a[:, : 2 * n] + b[:, : 2 * n]), 2, 1)
        new = np.tanh(a[:, 2 * n :] + r * b[:, 2 * n :])
        saved[rows] = np.concatenate([r, z, new, b[:, 2 * n :], h[:m]], 1)
        hs[rows] = h[:m] = (1 - z) * new + z * h[:m]
    return hs, h, saved


def gru_pull_reference(g_hs, g_h, saved, w, sizes, reverse):
    """Step after step, from the last."""
    n = w.shape[1]
    dx, dy, dh = np.empty((len(saved), 3 * n), w.dtype), np.empty((len(saved), 3 * n), w.dtype), np.array(g_h)
    for rows, m in in_time(sizes, not reverse):
        r, z, new, part, h = np.split(saved[rows], 5, 1)
        slope = dh[:m] + g_hs[rows]
        dn = slope * (1 - z) * (1 - new * new)
        dr, dz = dn * part * r * (1 - r), slope * (h - new) * z * (1 - z)
        dx[rows], dy[rows] = np.concatenate([dr, dz, dn], 1), np.concatenate([dr, dz, dn * r], 1)
        dh[:m] = slope * z + dy[rows] @ w
    return dx, dx.sum(0), dy.sum(0), dh, dy.T @ saved[:, 4 * n :]


def rnn_reference(x, v, bias, h0, w, sizes, reverse, relu):
    """Step after step."""
    n = h0.shape[1]
    hs, saved, h = np.empty((len(x), n), x.dtype), np.empty((len(x), 2 * n), x.dtype), np.array(h0)
    x = x @ v.T + bias
    for rows, m in in_time(sizes, reverse):
        z = x[rows] + h[:m] @ w.T
        saved[rows, n:] = h[:m]
        saved[rows, :n] = hs[rows] = h[:m] = np.maximum(z, 0) if relu else np.tanh(z)
    return hs, h, saved


def rnn_pull_reference(g_hs, g_h, saved, w, sizes, reverse, relu):
    """Step after step, from the last."""
    n = w.shape[1]
    dx, dh = np.empty((len(saved), n), w.dtype), np.array(g_h)
    for rows, m in in_time(sizes, not reverse):
        y, slope = saved[rows, :n], dh[:m] + g_hs[rows]
        dx[rows] = np.where(y > 0, slope, 0) if relu else slope * (1 - y * y)
        dh[:m] = dx[rows] @ w
    return dx, dx.sum(0), dh, dx.T @ saved[:, n:]


# --- choices ---------------------------------------------------------------------------------------------------------


def numbers(x, v, *rest):
    """How many numbers the inputs give to gates."""
    return len(x) * len(v)


def panels(b: np.ndarray) -> np.ndarray:
    """A matrix in the order in which products with few rows read it."""
    from ._tile import shape_of

    width = shape_of(b.dtype)[1]
    packed = np.empty((-(-b.shape[1] // width), b.shape[0], width), b.dtype)
    steps.pack(b, packed)
    return packed


def inputs(x: np.ndarray, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and panels of v if that is small; else the product of all steps, and no panels."""
    if (v.size + w.size) * w.itemsize <= NEAR:
        return plain(x), panels(v.T)
    return matmul(x, v.T), np.empty((0, 1, 1), x.dtype)


def all_at_once(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of all steps' rows, a.T @ b."""
    return matmul(a.T, b)


def room(rows: int, columns: int, like: np.ndarray) -> np.ndarray:
    """Memory for the rows of all steps."""
    return _memory.empty((rows, columns), like.dtype)


def totals_of(batch: int, columns: int, like: np.ndarray) -> np.ndarray:
    """Sums over the rows of each chunk, zero at first."""
    totals = np.empty((-(-batch // steps.CHUNK), columns), like.dtype)
    fill(totals, 0)
    return totals


def added_up(totals: np.ndarray) -> np.ndarray:
    """The sum over all chunks."""
    total = np.empty(totals.shape[1:], totals.dtype)
    add_first(totals, total)
    return total


def writable(x: np.ndarray) -> np.ndarray:
    """A copy that a kernel may change."""
    return copied(x)


def _lstm_sample(rng, n, dtype):
    h = max(min(int(n**0.5) // 2, 64), 1)
    batch = max(n // (16 * h), 2)
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype) * dtype.type(0.5)
    arrays = draw(4 * batch, 4), draw(4 * h, 4), draw(4 * h), draw(batch, h), draw(batch, h), draw(4 * h, h)
    return *arrays, (batch,) * 4, False


@choice(lstm_reference, sample=_lstm_sample, size=numbers)
def lstm(x, v, bias, h0, c0, w, sizes, reverse):
    """Gates i, f, g, o; v: (4 h, m), h0 and c0: (batch, h), w: (4 h, h). Returns hs, h, c and what is left for pull."""
    if x.dtype.char not in "fd":
        return lstm_reference(x, v, bias, h0, c0, w, sizes, reverse)
    batch, n = h0.shape
    hs, saved, h, c = room(len(x), n, x), room(len(x), 6 * n, x), writable(h0), writable(c0)
    x, inner = inputs(x, v, w)
    arrays = x, plain(bias), inner, panels(w.T), starts_of(sizes), reverse
    steps.lstm_steps(batch, steps.CHUNK, *arrays, hs, h, c, saved)
    return hs, h, c, saved


def _lstm_pull_sample(rng, n, dtype):
    *rest, w, sizes, reverse = _lstm_sample(rng, n, dtype)
    hs, h, c, saved = lstm_reference(*rest, w, sizes, reverse)
    return hs, h, c, saved, w, sizes, reverse


@choice(lstm_pull_reference, sample=_lstm_pull_sample, size=lambda g, gh, gc, saved, *rest: saved.size)
def lstm_pull(g_hs, g_h, g_c, saved, w, sizes, reverse):
    """What arrives at x @ v.T, bias, h0, c0 and w, given what arrives at hs, h and c."""
    if saved.dtype.char not in "fd":
        return lstm_pull_reference(g_hs, g_h, g_c, saved, w, sizes, reverse)
    batch, n = g_h.shape
    dx, dh, dc, totals = room(len(saved), 4 * n, w), writable(g_h), writable(g_c), totals_of(batch, 4 * n, w)
    arrays = plain(g_hs), plain(saved), panels(w), starts_of(sizes), reverse
    steps.lstm_steps_back(batch, steps.CHUNK, *arrays, dh, dc, dx, totals)
    return dx, added_up(totals), dh, dc, all_at_once(dx, saved[:, 5 * n :])


def _gru_sample(rng, n, dtype):
    h = max(min(int(n**0.5) // 2, 64), 1)
    batch = max(n // (16 * h), 2)
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype) * dtype.type(0.5)
    arrays = draw(4 * batch, 4), draw(3 * h, 4), draw(3 * h), draw(3 * h), draw(batch, h), draw(3 * h, h)
    return *arrays, (batch,) * 4, False


@choice(gru_reference, sample=_gru_sample, size=numbers)
def gru(x, v, bias_x, bias, h0, w, sizes, reverse):
    """Gates r, z, n; v: (3 h, m), w: (3 h, h); `bias` is added to what the states give. Returns hs, h and the rest."""
    if x.dtype.char not in "fd":
        return gru_reference(x, v, bias_x, bias, h0, w, sizes, reverse)
    batch, n = h0.shape
    hs, saved, h = room(len(x), n, x), room(len(x), 5 * n, x), writable(h0)
    x, inner = inputs(x, v, w)
    arrays = x, plain(bias_x), plain(bias), inner, panels(w.T), starts_of(sizes), reverse
    steps.gru_steps(batch, steps.CHUNK, *arrays, hs, h, saved)
    return hs, h, saved


def _gru_pull_sample(rng, n, dtype):
    *rest, w, sizes, reverse = _gru_sample(rng, n, dtype)
    hs, h, saved = gru_reference(*rest, w, sizes, reverse)
    return hs, h, saved, w, sizes, reverse


@choice(gru_pull_reference, sample=_gru_pull_sample, size=lambda g, gh, saved, *rest: saved.size)
def gru_pull(g_hs, g_h, saved, w, sizes, reverse):
    """What arrives at x @ v.T, bias_x, bias, h0 and w, given what arrives at hs and h."""
    if saved.dtype.char not in "fd":
        return gru_pull_reference(g_hs, g_h, saved, w, sizes, reverse)
    batch, n = g_h.shape
    dx, dy, dh = room(len(saved), 3 * n, w), room(len(saved), 3 * n, w), writable(g_h)
    totals = totals_of(batch, 6 * n, w)
    arrays = plain(g_hs), plain(saved), panels(w), starts_of(sizes), reverse
    steps.gru_steps_back(batch, steps.CHUNK, *arrays, dh, dx, dy, totals)
    total = added_up(totals)
    return dx, total[: 3 * n], total[3 * n :], dh, all_at_once(dy, saved[:, 4 * n :])


def _rnn_sample(rng, n, dtype):
    h = max(min(int(n**0.5) // 2, 64), 1)
    batch = max(n // (16 * h), 2)
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype) * dtype.type(0.5)
    return draw(4 * batch, 4), draw(h, 4), draw(h), draw(batch, h), draw(h, h), (batch,) * 4, False, False


@choice(rnn_reference, sample=_rnn_sample, size=numbers)
def rnn(x, v, bias, h0, w, sizes, reverse, relu):
    """tanh or relu; v: (h, m), w: (h, h). Returns hs, h and what is left for pull."""
    if x.dtype.char not in "fd":
        return rnn_reference(x, v, bias, h0, w, sizes, reverse, relu)
    batch, n = h0.shape
    hs, saved, h = room(len(x), n, x), room(len(x), 2 * n, x), writable(h0)
    x, inner = inputs(x, v, w)
    arrays = x, plain(bias), inner, panels(w.T), starts_of(sizes), reverse, relu
    steps.rnn_steps(batch, steps.CHUNK, *arrays, hs, h, saved)
    return hs, h, saved


def _rnn_pull_sample(rng, n, dtype):
    *rest, w, sizes, reverse, relu = _rnn_sample(rng, n, dtype)
    hs, h, saved = rnn_reference(*rest, w, sizes, reverse, relu)
    return hs, h, saved, w, sizes, reverse, relu


@choice(rnn_pull_reference, sample=_rnn_pull_sample, size=lambda g, gh, saved, *rest: saved.size)
def rnn_pull(g_hs, g_h, saved, w, sizes, reverse, relu):
    """What arrives at x @ v.T, bias, h0 and w, given what arrives at hs and h."""
    if saved.dtype.char not in "fd":
        return rnn_pull_reference(g_hs, g_h, saved, w, sizes, reverse, relu)
    batch, n = g_h.shape
    dx, dh, totals = room(len(saved), n, w), writable(g_h), totals_of(batch, n, w)
    arrays = plain(g_hs), plain(saved), panels(w), starts_of(sizes), reverse, relu
    steps.rnn_steps_back(batch, steps.CHUNK, *arrays, dh, dx, totals)
    return dx, added_up(totals), dh, all_at_once(dx, saved[:, n:])
