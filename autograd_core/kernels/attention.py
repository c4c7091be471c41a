"""Attention over blocks of queries and keys, forward and back, without the matrix of all scores.

Everything is turned around: a block of scores has a row for each key, so that what is done to each query (largest
score, sum, scale) is done to vectors of queries, and all products take their matrices as they lie in memory.  The
forward run keeps the logarithm of the sum of exponentials of each query; the run back makes the weights anew from it.
Which weights are dropped follows from where a head's random words begin (`attention_dropout`), so both runs draw the same.
"""

from __future__ import annotations

import math

import numpy as np

from . import _memory
from ._jit import Late, choice, inline, kernel, plain
from ._scalars import like, pick, raised
from ._steps import add_first
from .attention_dropout import KEYS, LANES, dropped, kept, mask_of
from .dropout import least_half
from .vector_exp import EXP, log, reduced

multiply, ROWS = Late("_tile", "multiply"), Late("_tile", "ROWS")
pack, borrowed = Late("_pack", "pack"), Late("_borrowed", "borrowed")

SHARES = 8  # at least so many pieces of work, if there are so many blocks of queries


@inline
def weight(x):
    """exp(x) for x that is not large; 0 instead of subnormal numbers."""
    shifted, r, _ = reduced(x)
    y = (r * r * EXP(r) + r + like(x, 1)) * raised(like(x, 1), shifted)
    return like(x, 0) if x < pick(x, -87.0, -708.0) else y


@kernel
def block_product(like, a, a_row, a_depth, b, b_row, c, c_row, depth, rows, columns, width, mode):
    """c (+)= a @ b; addresses and steps as those of a tile, any size."""
    size = like.itemsize
    parts = max((rows + ROWS - 1) // ROWS, 1)
    step = (rows + parts - 1) // parts
    for j in range(0, columns, width):
        for i in range(0, rows, step):
            multiply(
                like, a + i * a_row * size, a_row, a_depth, b + j * size, b_row, c + (i * c_row + j) * size, c_row,
                depth, min(step, rows - i), min(width, columns - j), mode, 0,
            )  # fmt: skip


@kernel
def turned(x, scale, out):
    """The rows of x, at most LANES, as columns of out: (d, LANES), with zeros behind."""
    rows, columns = x.shape
    pack(out, x.ctypes.data, 1, columns, out.ctypes.data, LANES, columns, rows)
    for j in range(columns):
        row = out[j]
        for i in range(LANES):
            row[i] = row[i] * scale if i < rows else row.dtype.type(0)


@kernel
def returned(x, out):
    """The first columns of x: (d, LANES), as rows."""
    pack(out, x.ctypes.data, 1, LANES, out.ctypes.data, out.shape[1], out.shape[0], out.shape[1])


@kernel
def cleared(x):
    """Zeros."""
    flat = x.reshape(-1)
    for i in range(len(flat)):
        flat[i] = 0


@kernel
def mask_scores(s, mask, first, step_query, step_key, count, q0, k0, queries, causal):
    """Add the mask to the scores of `count` keys from k0 and LANES queries from q0; no key may come after its query."""
    nothing = s.dtype.type(-np.inf)
    for k in range(count):
        row = s[k * LANES : (k + 1) * LANES]
        if len(mask):
            start = first + (k0 + k) * step_key + q0 * step_query
            if step_query:
                given = mask[start : start + queries]
                for i in range(len(given)):
                    row[i] += given[i]
            else:
                for i in range(LANES):
                    row[i] += mask[start]
        if causal and k0 + k > q0:
            for i in range(min(k0 + k - q0, LANES)):
                row[i] = nothing


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
def even(count):
    """How many at a time, at most KEYS, so that about as many are left for the last time."""
    parts = (count + KEYS - 1) // KEYS
    return (count + parts - 1) // parts


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
    qt, dqt, gt, inner, shift = rest[:e], rest[e : 2 * e], rest[2 * e : -2], rest[-2], rest[-1]
    drawn = np.empty((KEYS * 8 if len(starts) else 0, 8), np.bool_)
    keep, one = borrowed(drawn), q.dtype.type(1)
    for item in range(begin, end):
        n, part = item // parts, item % parts
        dk_n, dv_n = dk[part, n], dv[part, n]
        cleared(dk_n)
        cleared(dv_n)
        for q0 in range(part * share * LANES, min((part + 1) * share, blocks) * LANES, LANES):
            queries = min(LANES, q.shape[1] - q0)
            turned(q[n, q0 : q0 + queries], scale, qt)
            turned(g[n, q0 : q0 + queries], one, gt)
            prepare(g[n, q0 : q0 + queries], out[n, q0 : q0 + queries], lse[n, q0 : q0 + queries], inner, shift)
            cleared(dqt)
            last = min(keys, q0 + queries) if causal else keys
            step = even(last)
            for k0 in range(0, last, step):
                count = min(step, last - k0)
                at_k, at_v = (n * keys + k0) * e * size, (n * keys + k0) * d * size
                block_product(q, k.ctypes.data + at_k, e, 1, qt.ctypes.data, LANES, s.ctypes.data, LANES, e, count,
                              LANES, width, 0)  # fmt: skip
                if len(mask) or causal and k0 + count > q0:
                    mask_scores(s, mask, place[n], step_query, step_key, count, q0, k0, queries, causal)
                block_product(q, v.ctypes.data + at_v, d, 1, gt.ctypes.data, LANES, ds.ctypes.data, LANES, d, count,
                              LANES, width, 0)  # fmt: skip
                if len(starts):
                    kept(starts, row[n], q0 // LANES * keys + k0, count, least, keep)
                    slopes_of_kept(s, ds, count, shift, inner, scale, keep, grow)
                else:
                    slopes(s, ds, count, shift, inner, scale)
                rows = (n * q.shape[1] + q0) * size
                block_product(q, s.ctypes.data, LANES, 1, g.ctypes.data + rows * d, d, dv_n.ctypes.data + k0 * d * size,
                              d, queries, count, d, width, 1)  # fmt: skip
                block_product(q, ds.ctypes.data, LANES, 1, q.ctypes.data + rows * e, e,
                              dk_n.ctypes.data + k0 * e * size, e, queries, count, e, width, 1)  # fmt: skip
                block_product(q, k.ctypes.data + at_k, 1, e, ds.ctypes.data, LANES, dqt.ctypes.data, LANES, count, e,
                              LANES, width, 1)  # fmt: skip
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
    size, blocks = q.itemsize, (q.shape[1] + LANES - 1) // LANES
    q, k, v, mask, out, lse = borrowed(q), borrowed(k), borrowed(v), borrowed(mask), borrowed(out), borrowed(lse)
    g, dm = borrowed(g), borrowed(dm)
    e, d, keys, parts = q.shape[2], v.shape[2], k.shape[1], (blocks + share - 1) // share
    space = np.empty((2 * KEYS + e + d + 2, LANES), q.dtype)
    rest = borrowed(space)
    s, ds, rest = rest[:KEYS].reshape(-1), rest[KEYS : 2 * KEYS].reshape(-1), rest[2 * KEYS :]
    qt, gt, inner, shift = rest[:e], rest[e:-2], rest[-2], rest[-1]
    drawn = np.empty((KEYS * 8 if len(starts) else 0, 8), np.bool_)
    keep, one = borrowed(drawn), q.dtype.type(1)
    for item in range(begin, end):
        m, part = item // parts, item % parts
        to = dm[0 if step_query else part, m]
        first = m * dm.shape[2] * dm.shape[3]
        for h in range(members.shape[1]):
            n = members[m, h]
            for q0 in range(part * share * LANES, min((part + 1) * share, blocks) * LANES, LANES):
                queries = min(LANES, q.shape[1] - q0)
                turned(q[n, q0 : q0 + queries], scale, qt)
                turned(g[n, q0 : q0 + queries], one, gt)
                prepare(g[n, q0 : q0 + queries], out[n, q0 : q0 + queries], lse[n, q0 : q0 + queries], inner, shift)
                last = min(keys, q0 + queries) if causal else keys
                step = even(last)
                for k0 in range(0, last, step):
                    count = min(step, last - k0)
                    at_k, at_v = (n * keys + k0) * e * size, (n * keys + k0) * d * size
                    block_product(q, k.ctypes.data + at_k, e, 1, qt.ctypes.data, LANES, s.ctypes.data, LANES, e, count,
                                  LANES, width, 0)  # fmt: skip
                    mask_scores(s, mask, first, step_query, step_key, count, q0, k0, queries, causal)
                    block_product(q, v.ctypes.data + at_v, d, 1, gt.ctypes.data, LANES, ds.ctypes.data, LANES, d, count,
                                  LANES, width, 0)  # fmt: skip
                    if len(starts):
                        kept(starts, row[n], q0 // LANES * keys + k0, count, least, keep)
                        slopes_of_kept(s, ds, count, shift, inner, one, keep, grow)
                    else:
                        slopes(s, ds, count, shift, inner, one)
                    add_slopes(ds, count, step_query, step_key, q0, k0, queries, to)
    space[0, 0] = 0  # which keeps it until here
    if len(drawn):
        drawn[0, 0] = False


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


@kernel
def prepare(g, out, lse, inner, shift):
    """For each query the inner product of what arrives and what left, and what its scores are reduced by."""
    for i in range(LANES):
        inner[i], shift[i] = 0, np.inf
    for i in range(len(g)):
        a, b, total = g[i], out[i], g.dtype.type(0)
        for j in range(len(a)):
            total += a[j] * b[j]
        inner[i], shift[i] = total, lse[i]


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


# --- references ------------------------------------------------------------------------------------------------------


def scores(q, k, mask, scale, causal):
    """All scores, -inf where a query may not look."""
    s = (q * scale) @ np.swapaxes(k, -1, -2)
    if mask.size:
        s = s + mask
    return np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf).astype(q.dtype) if causal else s


def share_kept(place, p, q, k):
    """What weights are multiplied by: 1 without dropout, else 0 or 1 / (1 - p)."""
    if not p:
        return q.dtype.type(1)
    keep = mask_of(place, q.shape[:-2], q.shape[-2], k.shape[-2], p)
    return np.where(keep, grown(p, q.dtype), q.dtype.type(0))


def attention_reference(q, k, v, mask, scale, causal, place=None, p=0.0):
    """With all scores at once."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        s = scores(q, k, mask, scale, causal)
        top = s.max(-1, keepdims=True, initial=-np.inf)
        top = np.where(top == -np.inf, 0, top).astype(q.dtype)
        e = np.exp(s - top)
        total = e.sum(-1, keepdims=True)
        lse = np.where(total == 0, np.inf, top + np.log(total)).astype(q.dtype)
        weights = e / np.where(total == 0, 1, total) * share_kept(place, p, q, k)
        return weights.astype(q.dtype) @ v, lse[..., 0]


def slopes_reference(g, out, lse, q, k, v, mask, scale, causal, place, p):
    """What weights are after dropout, and what arrives at the scores."""
    weights = np.exp(scores(q, k, mask, scale, causal) - lse[..., None]).astype(q.dtype)
    share = share_kept(place, p, q, k)
    ds = weights * (g @ np.swapaxes(v, -1, -2) * share - (g * out).sum(-1, keepdims=True))
    return weights * share, ds.astype(q.dtype)


def attention_pull_reference(g, out, lse, q, k, v, mask, scale, causal, place=None, p=0.0):
    """With all scores at once."""
    with np.errstate(invalid="ignore", over="ignore"):
        weights, ds = slopes_reference(g, out, lse, q, k, v, mask, scale, causal, place, p)
        ds = (ds * scale).astype(q.dtype)
        return ds @ k, np.swapaxes(ds, -1, -2) @ q, np.swapaxes(weights, -1, -2) @ g


def mask_pull_reference(g, out, lse, q, k, v, mask, scale, causal, place=None, p=0.0):
    """With all scores at once."""
    with np.errstate(invalid="ignore", over="ignore"):
        _, ds = slopes_reference(g, out, lse, q, k, v, mask, scale, causal, place, p)
        return ds.sum(tuple(i for i, n in enumerate(mask.shape) if n == 1), keepdims=True, dtype=q.dtype)


# --- choices ---------------------------------------------------------------------------------------------------------


def laid_out(mask: np.ndarray, lead: tuple) -> tuple:
    """The entries of a mask with queries side by side, where each head's begin, and the steps of queries and keys."""
    if not mask.size:
        return np.empty(0, mask.dtype), np.zeros(math.prod(lead), np.int64), 0, 0
    mask = plain(np.swapaxes(mask, -1, -2))
    count = mask.shape[-1] * mask.shape[-2]
    numbers = np.arange(mask.size // count).reshape(mask.shape[:-2])
    place = np.ascontiguousarray(np.broadcast_to(numbers, lead)).reshape(-1) * count
    return mask.reshape(-1), place, int(mask.shape[-1] > 1), mask.shape[-1] if mask.shape[-2] > 1 else 0


def grown(p: float, dtype: np.dtype) -> np.number:
    """What those that are kept are multiplied by."""
    return dtype.type(1 / (1 - p) if p < 1 else 0)


def dropout_of(place: np.ndarray | None, lead: tuple, p: float, dtype: np.dtype) -> tuple:
    """Where words begin, which of these are each head's, the first half that is kept, and what that is multiplied by."""
    if not p:
        return np.empty((0, 3), np.int64), np.zeros(0, np.int64), 0, dtype.type(1)
    assert place is not None
    starts = plain(place).reshape(-1, 3).view(np.int64)
    row = np.broadcast_to(np.arange(len(starts)).reshape(place.shape[:-2]), lead)
    return starts, np.ascontiguousarray(row).reshape(-1), least_half(p), grown(p, dtype)


def heads(x: np.ndarray) -> np.ndarray:
    """All leading axes as one."""
    return plain(x).reshape(-1, *x.shape[-2:]) if x.size else np.empty((1, *x.shape[-2:]), x.dtype)


def width_of(dtype: np.dtype) -> int:
    """The columns of a tile."""
    from ._tile import shape_of

    return shape_of(dtype)[1]


def _sample(rng, n, dtype):
    length = max(round((n / 8) ** 0.5), 1)
    q, k, v = (rng.standard_normal((2, length, 4)).astype(dtype) for _ in range(3))
    return q, k, v, np.zeros((1, 0, 0), dtype), 0.5, False


def pairs(q, k, *rest) -> int:
    """How many scores there are."""
    return q[..., 0].size * k.shape[-2] if q.shape[-1] else 0


def fits(q, k, v) -> bool:
    """Whether this is for kernels."""
    return q.dtype.char in "fd" and q.dtype == k.dtype == v.dtype and q.size and k.size and v.size


@choice(attention_reference, sample=_sample, size=pairs)
def attention(q, k, v, mask, scale, causal, place=None, p=0.0):
    """softmax(q k.T * scale + mask) v, and the logarithms of sums; q: (..., l, e), k: (..., s, e), v: (..., s, d).

    Weights are dropped with probability p, by random words from a place for each head on: (..., 1, 3).
    """
    if not fits(q, k, v):
        return attention_reference(q, k, v, mask, scale, causal, place, p)
    lead, length, d = q.shape[:-2], q.shape[-2], v.shape[-1]
    out, lse = _memory.empty((*lead, length, d), q.dtype), np.empty((*lead, length), q.dtype)
    flat = out.reshape(-1, length, d)
    attend(
        len(flat) * -(-length // LANES), 1, heads(q), heads(k), heads(v), *laid_out(mask, lead),
        *dropout_of(place, lead, p, q.dtype), q.dtype.type(scale), causal, width_of(q.dtype), flat,
        lse.reshape(-1, length),
    )  # fmt: skip
    return out, lse


def added_up(x: np.ndarray) -> np.ndarray:
    """The sum along the first axis."""
    y = _memory.empty(x.shape[1:], x.dtype)
    add_first(x, y)
    return y


def _pull_sample(rng, n, dtype):
    q, k, v, *rest = _sample(rng, n, dtype)
    out, lse = attention_reference(q, k, v, *rest)
    return rng.standard_normal(out.shape).astype(dtype), out, lse, q, k, v, *rest


def shared_blocks(blocks: int, n: int) -> tuple[int, int]:
    """How many blocks of queries a chunk has, and how many chunks there are of each of n."""
    share = -(-blocks // min(-(-SHARES // n), blocks))
    return share, -(-blocks // share)


@choice(attention_pull_reference, sample=_pull_sample, size=lambda g, out, lse, q, k, *rest: pairs(q, k))
def attention_pull(g, out, lse, q, k, v, mask, scale, causal, place=None, p=0.0):
    """What arrives at q, k and v."""
    if not fits(q, k, v):
        return attention_pull_reference(g, out, lse, q, k, v, mask, scale, causal, place, p)
    lead, length, blocks = q.shape[:-2], q.shape[-2], -(-q.shape[-2] // LANES)
    q, k, v, g, out = heads(q), heads(k), heads(v), heads(g), heads(out)
    n = len(q)
    share, parts = shared_blocks(blocks, n)
    many = (parts,) if parts > 1 else ()
    dq, dk, dv = (_memory.empty((*m, *lead, *x.shape[1:]), x.dtype) for m, x in (((), q), (many, k), (many, v)))
    attend_back(
        n * parts, 1, g, q, k, v, *laid_out(mask, lead), *dropout_of(place, lead, p, q.dtype), out,
        plain(lse).reshape(n, length), q.dtype.type(scale), causal, width_of(q.dtype), share,
        dq.reshape(q.shape), dk.reshape(parts, *k.shape), dv.reshape(parts, *v.shape),
    )  # fmt: skip
    return (dq, *(added_up(x) if many else x for x in (dk, dv)))


def _mask_sample(rng, n, dtype):
    g, out, lse, q, k, v, _, *rest = _pull_sample(rng, n, dtype)
    mask = rng.standard_normal((1, q.shape[-2], k.shape[-2])).astype(dtype)
    return g, *attention_reference(q, k, v, mask, *rest), q, k, v, mask, *rest


@choice(mask_pull_reference, sample=_mask_sample, size=lambda g, out, lse, q, k, *rest: pairs(q, k))
def mask_pull(g, out, lse, q, k, v, mask, scale, causal, place=None, p=0.0):
    """What arrives at the mask, which has entries: the scores anew, added up where heads, queries or keys share it."""
    if not fits(q, k, v):
        return mask_pull_reference(g, out, lse, q, k, v, mask, scale, causal, place, p)
    lead, length, blocks = q.shape[:-2], q.shape[-2], -(-q.shape[-2] // LANES)
    flat, first, step_query, step_key = laid_out(mask, lead)
    masks = math.prod(mask.shape[:-2])
    members = np.argsort(first, kind="stable").reshape(masks, -1)
    share, parts = shared_blocks(blocks, masks)
    dm = np.zeros((1 if step_query else parts, masks, *mask.shape[-2:]), q.dtype)
    mask_back(
        masks * parts, 1, heads(g), heads(q), heads(k), heads(v), flat, members, step_query, step_key,
        *dropout_of(place, lead, p, q.dtype), heads(out), plain(lse).reshape(-1, length), q.dtype.type(scale), causal,
        width_of(q.dtype), share, dm,
    )  # fmt: skip
    return (added_up(dm) if len(dm) > 1 else dm).reshape(mask.shape)
