"""Connectionist temporal classification: the likelihood of a labelling, summed over all ways to time it.

A labelling of s labels has 2 s + 1 states, blanks around and between the labels.  alpha[t, k] is the logarithm of the
probability of all beginnings that are in state k at time t, beta[t, k] that of all ends that follow.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import choice, kernel, plain

INF = math.inf


@kernel(forceinline=True)
def log_sum(a, b):
    """log(exp(a) + exp(b))"""
    top, low = max(a, b), min(a, b)
    return top if top == -INF else top + math.log1p(math.exp(low - top))


@kernel(chunks=True)
def ctc_members(begin, end, logs, labels, times, lengths, blank, losses, shares):
    """-log likelihood of each member, and the expected number of uses of each class at each time, if there is room."""
    for m in range(begin, end):
        steps, states = times[m], 2 * lengths[m] + 1
        alpha = np.full((steps + 1, states), -INF)
        for t in range(steps):
            for k in range(states):
                label = labels[m, k // 2] if k % 2 else blank
                if t == 0:
                    y = 0.0 if k < 2 else -INF
                else:
                    y = alpha[t - 1, k]
                    if k > 0:
                        y = log_sum(y, alpha[t - 1, k - 1])
                    if k > 2 and k % 2 and label != labels[m, k // 2 - 1]:
                        y = log_sum(y, alpha[t - 1, k - 2])
                alpha[t, k] = y + logs[t, m, label]
        if steps == 0:
            total = 0.0 if states == 1 else -INF
        else:
            total = alpha[steps - 1, states - 1]
            if states > 1:
                total = log_sum(total, alpha[steps - 1, states - 2])
        losses[m] = -total
        if shares.size and total > -INF:
            shares_of(m, alpha, total, logs, labels, steps, states, blank, shares)


@kernel
def shares_of(m, alpha, total, logs, labels, steps, states, blank, shares):
    """Add up what each way contributes to each class at each time, walking back."""
    beta = np.full(states, -INF)
    for step in range(steps):
        t = steps - 1 - step
        for k in range(states):  # what a state at time t needs is behind it: k, k + 1, k + 2 at time t + 1
            label = labels[m, k // 2] if k % 2 else blank
            if step == 0:
                y = 0.0 if k >= states - 2 else -INF
            else:
                y = beta[k]
                if k + 1 < states:
                    y = log_sum(y, beta[k + 1])
                if k + 2 < states and k % 2 and label != labels[m, k // 2 + 1]:
                    y = log_sum(y, beta[k + 2])
            shares[t, m, label] += math.exp(alpha[t, k] + y - total)
            beta[k] = y + logs[t, m, label]


def ctc_reference(logs, labels, times, lengths, blank, want):
    """The same in Python."""
    ways = getattr(ctc_members, "kernel", ctc_members).fn
    losses, shares = np.zeros(logs.shape[1]), np.zeros(logs.shape if want else (0, 0, 0))
    with np.errstate(all="ignore"):
        ways(0, logs.shape[1], logs, labels, times, lengths, blank, losses, shares)
    return losses.astype(logs.dtype), shares.astype(logs.dtype)


def _sample(rng, n, dtype):
    time, members, classes, length = max(n // 24, 3), 4, 6, 2
    logs = np.log(rng.dirichlet(np.ones(classes), (time, members))).astype(dtype)
    labels = rng.integers(1, classes, (members, length))
    return logs, labels, np.full(members, time), np.array([2, 1, 0, 2]), 0, True


@choice(reference=ctc_reference, sample=_sample)
def ctc(logs, labels, times, lengths, blank, want):
    """-log likelihood of labels (N, S) given logs (T, N, C), and, if wanted, the share of each class at each time."""
    losses, shares = np.zeros(logs.shape[1]), np.zeros(logs.shape if want else (0, 0, 0))
    wide = plain(logs.astype(np.float64, copy=False))
    ctc_members(logs.shape[1], 1, wide, plain(labels), plain(times), plain(lengths), blank, losses, shares)
    return losses.astype(logs.dtype), shares.astype(logs.dtype)
