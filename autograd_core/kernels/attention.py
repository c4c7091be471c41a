"""Attention over blocks of queries and keys, forward and back, without the matrix of all scores.

The forward run (`attention_forward`) keeps the logarithm of the sum of exponentials of each query; the runs back
(`attention_back`) make the weights anew from it.  Which weights are dropped follows from where a head's random words
begin (`attention_dropout`), so all draw the same.
"""

from __future__ import annotations

import math

import numpy as np

from . import _memory
from ._jit import choice, plain
from ._steps import add_first
from .attention_back import attend_back, mask_back
from .attention_dropout import LANES, dropout_of
from .attention_forward import attend
from .attention_reference import attention_pull_reference, attention_reference, mask_pull_reference

SHARES = 8  # at least so many pieces of work, if there are so many blocks of queries


# --- what kernels are given ------------------------------------------------------------------------------------------


def laid_out(mask: np.ndarray, lead: tuple) -> tuple:
    """The entries of a mask with queries side by side, where each head's begin, and the steps of queries and keys."""
    if not mask.size:
        return np.empty(0, mask.dtype), np.zeros(math.prod(lead), np.int64), 0, 0
    mask = plain(np.swapaxes(mask, -1, -2))
    count = mask.shape[-1] * mask.shape[-2]
    numbers = np.arange(mask.size // count).reshape(mask.shape[:-2])
    place = np.ascontiguousarray(np.broadcast_to(numbers, lead)).reshape(-1) * count
    return mask.reshape(-1), place, int(mask.shape[-1] > 1), mask.shape[-1] if mask.shape[-2] > 1 else 0


def heads(x: np.ndarray) -> np.ndarray:
    """All leading axes as one."""
    return plain(x).reshape(-1, *x.shape[-2:]) if x.size else np.empty((1, *x.shape[-2:]), x.dtype)


def width_of(dtype: np.dtype) -> int:
    """The columns of a tile."""
    from ._tile import shape_of

    return shape_of(dtype)[1]


def fits(q, k, v) -> bool:
    """Whether this is for kernels."""
    return q.dtype.char in "fd" and q.dtype == k.dtype == v.dtype and q.size and k.size and v.size


def shared_blocks(blocks: int, n: int) -> tuple[int, int]:
    """How many blocks of queries a chunk has, and how many chunks there are of each of n."""
    share = -(-blocks // min(-(-SHARES // n), blocks))
    return share, -(-blocks // share)


def added_up(x: np.ndarray) -> np.ndarray:
    """The sum along the first axis."""
    y = _memory.empty(x.shape[1:], x.dtype)
    add_first(x, y)
    return y


# --- choices ---------------------------------------------------------------------------------------------------------


def pairs(q, k, *rest) -> int:
    """How many scores there are."""
    return q[..., 0].size * k.shape[-2] if q.shape[-1] else 0


def _sample(rng, n, dtype):
    length = max(round((n / 8) ** 0.5), 1)
    q, k, v = (rng.standard_normal((2, length, 4)).astype(dtype) for _ in range(3))
    return q, k, v, np.zeros((1, 0, 0), dtype), 0.5, False


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


def _pull_sample(rng, n, dtype):
    q, k, v, *rest = _sample(rng, n, dtype)
    out, lse = attention_reference(q, k, v, *rest)
    return rng.standard_normal(out.shape).astype(dtype), out, lse, q, k, v, *rest


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
