"""Attention forward: blocks of keys one after the other, and what is summed so far brought to each new highest score."""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from .attention_blocks import block_product, cleared, even, mask_scores, returned, turned, weight
from .attention_dropout import KEYS, LANES, dropped, kept
from .vector_exp import log

borrowed = Late("_borrowed", "borrowed")


@kernel(chunks=True)
def attend(begin, end, q, k, v, mask, place, step_query, step_key, starts, row, least, grow, scale, causal, width,
           out, lse):  # fmt: skip
    """Blocks of queries, the heads one after the other; q: (n, l, e), k: (n, s, e), v: (n, s, d), lse: (n, l)."""
    size, blocks = q.itemsize, (q.shape[1] + LANES - 1) // LANES
    q, k, v, mask, out, lse = borrowed(q), borrowed(k), borrowed(v), borrowed(mask), borrowed(out), borrowed(lse)
    e, d, keys = q.shape[2], v.shape[2], k.shape[1]
    space = np.empty((KEYS + e + d + 3, LANES), q.dtype)
    parts = borrowed(space)
    s, qt, sums = parts[:KEYS].reshape(-1), parts[KEYS : KEYS + e], parts[KEYS + e : KEYS + e + d]
    top, shift, total = parts[KEYS + e + d], parts[KEYS + e + d + 1], parts[KEYS + e + d + 2]
    drawn = np.empty((KEYS * 8 if len(starts) else 0, 8), np.bool_)
    keep = borrowed(drawn)
    for item in range(begin, end):
        n, q0 = item // blocks, item % blocks * LANES
        queries = min(LANES, q.shape[1] - q0)
        turned(q[n, q0 : q0 + queries], scale, qt)
        cleared(sums)
        for i in range(LANES):
            top[i], shift[i], total[i] = -np.inf, 0, 0
        last = min(keys, q0 + queries) if causal else keys
        step = even(last)
        for k0 in range(0, last, step):
            count = min(step, last - k0)
            block_product(q, k.ctypes.data + (n * keys + k0) * e * size, e, 1, qt.ctypes.data, LANES, s.ctypes.data,
                          LANES, e, count, LANES, width, 0)  # fmt: skip
            if len(mask) or causal and k0 + count > q0:
                mask_scores(s, mask, place[n], step_query, step_key, count, q0, k0, queries, causal)
            rescale(s, count, top, shift, total, sums, k0 > 0)
            weights(s, count, shift, total)
            if len(starts):
                kept(starts, row[n], q0 // LANES * keys + k0, count, least, keep)
                dropped(s, count, keep)
            block_product(q, v.ctypes.data + (n * keys + k0) * d * size, 1, d, s.ctypes.data, LANES, sums.ctypes.data,
                          LANES, count, d, LANES, width, 1)  # fmt: skip
        finish(sums, shift, total, grow, lse[n, q0 : q0 + queries])
        returned(sums, out[n, q0 : q0 + queries])
    space[0, 0] = 0  # which keeps it until here
    if len(drawn):
        drawn[0, 0] = False


@kernel
def rescale(s, count, top, shift, total, sums, again):
    """Take the highest scores so far for the new shift, and bring what has been summed to it, if something has."""
    highest(s, count, top)
    zero, nothing = s.dtype.type(0), s.dtype.type(-np.inf)
    for i in range(LANES):
        new = zero if top[i] == nothing else top[i]
        factor = weight(shift[i] - new) if total[i] != zero else zero
        total[i] *= factor
        shift[i] = new
        top[i] = factor
    for j in range(sums.shape[0] if again else 0):
        row = sums[j]
        for i in range(LANES):
            row[i] *= top[i]
    for i in range(LANES):
        top[i] = shift[i]


@kernel
def highest(s, count, top):
    """top = max(top, scores of each query); NaN may be lost here, but not in the sums that follow."""
    whole = count // 4 * 4
    for k in range(0, whole, 4):
        part = s[k * LANES : (k + 4) * LANES]
        for i in range(LANES):
            a, b, c, d = part[i], part[i + LANES], part[i + 2 * LANES], part[i + 3 * LANES]
            a, c = a if a > b else b, c if c > d else d
            a = a if a > c else c
            top[i] = a if a > top[i] else top[i]
    for k in range(whole, count):
        part = s[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            top[i] = part[i] if part[i] > top[i] else top[i]


@kernel
def weights(s, count, shift, total):
    """Scores become weights exp(score - shift) of each query, which are added to total."""
    whole = count // 4 * 4
    for k in range(0, whole, 4):
        part = s[k * LANES : (k + 4) * LANES]
        for i in range(LANES):
            a, b = weight(part[i] - shift[i]), weight(part[i + LANES] - shift[i])
            c, d = weight(part[i + 2 * LANES] - shift[i]), weight(part[i + 3 * LANES] - shift[i])
            part[i], part[i + LANES], part[i + 2 * LANES], part[i + 3 * LANES] = a, b, c, d
            total[i] += (a + b) + (c + d)
    for k in range(whole, count):
        part = s[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            a = weight(part[i] - shift[i])
            part[i] = a
            total[i] += a


@kernel
def finish(sums, shift, total, grow, lse):
    """Divide by the sums of weights, and multiply by grow; a query that may look at nothing gets 0, and weights of 0 later."""
    zero, infinite = sums.dtype.type(0), sums.dtype.type(np.inf)
    for i in range(len(lse)):
        lse[i] = shift[i] + log(total[i]) if total[i] != zero else infinite
    for i in range(LANES):
        total[i] = grow / total[i] if total[i] != zero else zero
    for j in range(sums.shape[0]):
        row = sums[j]
        for i in range(LANES):
            row[i] *= total[i]
