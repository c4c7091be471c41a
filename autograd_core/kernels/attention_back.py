"""The ways back of attention: to queries, keys and values, and to the mask.

Weights are made anew from scores and the logarithms of sums that the forward run kept.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from .attention_blocks import block_product, cleared, even, mask_scores, returned, turned, weight
from .attention_dropout import KEYS, LANES, kept

borrowed = Late("_borrowed", "borrowed")


@kernel(chunks=True)
def attend_back(begin, end, g, q, k, v, mask, place, step_query, step_key, starts, row, least, grow, out, lse, scale,
                causal, width, share, dq, dk, dv):  # fmt: skip
    """What arrives at q, k, v; a chunk has `share` blocks of queries of one head, and dk and dv: (parts, n, s, .)."""
    size, blocks = q.itemsize, (q.shape[1] + LANES - 1) // LANES
    q, k, v, mask, out, lse = borrowed(q), borrowed(k), borrowed(v), borrowed(mask), borrowed(out), borrowed(lse)
    g, dq, dk, dv = borrowed(g), borrowed(dq), borrowed(dk), borrowed(dv)
    e, d, keys, parts = q.shape[2], v.shape[2], k.shape[1], dk.shape[0]
    space = np.empty((2 * KEYS + 2 * e + d + 2, LANES), q.dtype)
    rest = borrowed(space)
    s, ds, rest = rest[:KEYS].reshape(-1), rest[KEYS : 2 * KEYS].reshape(-1), rest[2 * KEYS :]
    dqt, given = rest[:e], (rest[e : 2 * e], rest[2 * e : -2], rest[-2], rest[-1])
    drawn = np.empty((KEYS * 8 if len(starts) else 0, 8), np.bool_)
    dropout = starts, row, least, grow, borrowed(drawn)
    for item in range(begin, end):
        n, part = item // parts, item % parts
        masked, dk_n, dv_n = (mask, place[n], step_query, step_key, causal), dk[part, n], dv[part, n]
        cleared(dk_n)
        cleared(dv_n)
        for q0 in range(part * share * LANES, min((part + 1) * share, blocks) * LANES, LANES):
            queries = min(LANES, q.shape[1] - q0)
            prepare(g[n, q0 : q0 + queries], q[n, q0 : q0 + queries], out[n, q0 : q0 + queries],
                    lse[n, q0 : q0 + queries], scale, given)  # fmt: skip
            cleared(dqt)
            before = (n * q.shape[1] + q0) * size
            at_g, at_q = g.ctypes.data + before * d, q.ctypes.data + before * e
            last = min(keys, q0 + queries) if causal else keys
            step = even(last)
            for k0 in range(0, last, step):
                count = min(step, last - k0)
                slopes_of_block(k, v, given, masked, dropout, n, q0, k0, queries, count, scale, width, s, ds)
                block_product(q, s.ctypes.data, LANES, 1, at_g, d, dv_n.ctypes.data + k0 * d * size, d, queries, count,
                              d, width, 1)  # fmt: skip
                block_product(q, ds.ctypes.data, LANES, 1, at_q, e, dk_n.ctypes.data + k0 * e * size, e, queries, count,
                              e, width, 1)  # fmt: skip
                block_product(q, k.ctypes.data + (n * keys + k0) * e * size, 1, e, ds.ctypes.data, LANES,
                              dqt.ctypes.data, LANES, count, e, LANES, width, 1)  # fmt: skip
            returned(dqt, dq[n, q0 : q0 + queries])
    space[0, 0] = 0  # which keeps it until here
    if len(drawn):
        drawn[0, 0] = False


@kernel(chunks=True)
def mask_back(begin, end, g, q, k, v, mask, members, step_query, step_key, starts, row, least, grow, out, lse, scale,
              causal, width, share, dm):  # fmt: skip
    """What arrives at the mask, added to dm: (parts or 1, masks, l or 1, s or 1); members: (masks, heads of each).

    A chunk has `share` blocks of queries of all heads of one mask.
    """
    blocks = (q.shape[1] + LANES - 1) // LANES
    q, k, v, mask, out, lse = borrowed(q), borrowed(k), borrowed(v), borrowed(mask), borrowed(out), borrowed(lse)
    g, dm = borrowed(g), borrowed(dm)
    e, d, keys, parts = q.shape[2], v.shape[2], k.shape[1], (blocks + share - 1) // share
    space = np.empty((2 * KEYS + e + d + 2, LANES), q.dtype)
    rest = borrowed(space)
    s, ds, rest = rest[:KEYS].reshape(-1), rest[KEYS : 2 * KEYS].reshape(-1), rest[2 * KEYS :]
    given = rest[:e], rest[e:-2], rest[-2], rest[-1]
    drawn = np.empty((KEYS * 8 if len(starts) else 0, 8), np.bool_)
    dropout, one = (starts, row, least, grow, borrowed(drawn)), q.dtype.type(1)
    for item in range(begin, end):
        m, part = item // parts, item % parts
        to = dm[0 if step_query else part, m]
        masked = mask, m * dm.shape[2] * dm.shape[3], step_query, step_key, causal
        for h in range(members.shape[1]):
            n = members[m, h]
            for q0 in range(part * share * LANES, min((part + 1) * share, blocks) * LANES, LANES):
                queries = min(LANES, q.shape[1] - q0)
                prepare(g[n, q0 : q0 + queries], q[n, q0 : q0 + queries], out[n, q0 : q0 + queries],
                        lse[n, q0 : q0 + queries], scale, given)  # fmt: skip
                last = min(keys, q0 + queries) if causal else keys
                step = even(last)
                for k0 in range(0, last, step):
                    count = min(step, last - k0)
                    slopes_of_block(k, v, given, masked, dropout, n, q0, k0, queries, count, one, width, s, ds)
                    add_slopes(ds, count, step_query, step_key, q0, k0, queries, to)
    space[0, 0] = 0  # which keeps it until here
    if len(drawn):
        drawn[0, 0] = False


@kernel
def prepare(g, q, out, lse, scale, given):
    """Fill `given`, what blocks need of some queries: q and g turned, inner products of g and out, what scores are reduced by."""
    turned_q, turned_g, inner, shift = given
    turned(q, scale, turned_q)
    turned(g, g.dtype.type(1), turned_g)
    for i in range(LANES):
        inner[i], shift[i] = 0, np.inf
    for i in range(len(g)):
        a, b, total = g[i], out[i], g.dtype.type(0)
        for j in range(len(a)):
            total += a[j] * b[j]
        inner[i], shift[i] = total, lse[i]


@kernel
def slopes_of_block(k, v, given, masked, dropout, n, q0, k0, queries, count, scale, width, s, ds):
    """The weights s of a block, after dropout, and `scale` times what arrives at its scores, ds.

    It has `count` keys from k0 and `queries` queries from q0, of head n, and of these what `prepare` has given.  masked: a mask,
    where that of the head begins, its steps of queries and of keys, and whether no key may come after its query.
    """
    (turned_q, turned_g, inner, shift), (mask, first, step_query, step_key, causal) = given, masked
    (starts, row, least, grow, keep), (keys, e), d, size = dropout, k.shape[1:], v.shape[2], k.itemsize
    at_k, at_v = k.ctypes.data + (n * keys + k0) * e * size, v.ctypes.data + (n * keys + k0) * d * size
    block_product(k, at_k, e, 1, turned_q.ctypes.data, LANES, s.ctypes.data, LANES, e, count, LANES, width, 0)
    if len(mask) or causal and k0 + count > q0:
        mask_scores(s, mask, first, step_query, step_key, count, q0, k0, queries, causal)
    block_product(v, at_v, d, 1, turned_g.ctypes.data, LANES, ds.ctypes.data, LANES, d, count, LANES, width, 0)
    if len(starts):
        kept(starts, row[n], q0 // LANES * keys + k0, count, least, keep)
        slopes_of_kept(s, ds, count, shift, inner, scale, keep, grow)
    else:
        slopes(s, ds, count, shift, inner, scale)


@kernel
def slopes(s, ds, count, shift, inner, scale):
    """Scores become weights; ds, what arrives at the weights, becomes what arrives at products of queries and keys."""
    for k in range(count):
        row, slope = s[k * LANES : (k + 1) * LANES], ds[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            a = weight(row[i] - shift[i])
            row[i] = a
            slope[i] = a * (slope[i] - inner[i]) * scale


@kernel
def slopes_of_kept(s, ds, count, shift, inner, scale, keep, grow):
    """The same where some weights are dropped and the others grow."""
    zero, keep = s.dtype.type(0), keep.reshape(keep.size)
    for k in range(count):
        row, slope = s[k * LANES : (k + 1) * LANES], ds[k * LANES : (k + 1) * LANES]
        stays = keep[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            a, b, c = weight(row[i] - shift[i]), slope[i] * grow, stays[i]
            row[i] = a * grow if c else zero
            slope[i] = a * ((b if c else zero) - inner[i]) * scale


@kernel
def add_slopes(ds, count, step_query, step_key, q0, k0, queries, to):
    """Add what arrives at a block of scores where the mask, one for each query and key or one for several, has them."""
    if step_query and step_key:
        for i in range(queries):
            slope, row = ds[i:], to[q0 + i, k0 : k0 + count]
            for k in range(len(row)):
                row[k] += slope[k * LANES]
        return
    for k in range(count):
        slope, column = ds[k * LANES : k * LANES + queries], k0 + k if step_key else 0
        total = ds.dtype.type(0)
        for i in range(len(slope)):
            if step_query:
                to[q0 + i, column] += slope[i]
            else:
                total += slope[i]
        if not step_query:
            to[0, column] += total
