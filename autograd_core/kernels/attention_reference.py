"""Attention in NumPy: with all scores at once."""

from __future__ import annotations

import numpy as np

from .attention_dropout import grown, mask_of


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
