"""Scaled dot-product attention: softmax(query key.T * scale + mask) value, without the matrix of all scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import attention as kernel
from ..kernels import attention_dropout as dropout
from ..op import Traced, op
from ..tensor import Tensor
from .arranging import expand_dims
from .base import broadcast_to
from .composed import OnDemand, arrived, pulled_back
from .dropout import checked, dropped
from .gather import repeated
from .math import exp, where
from .products import product
from .reduce import reduce_sum

__all__: list[str] = []  # torch.nn.functional has it

WORDS = {2: np.dtype("int16"), 4: np.dtype("int32"), 8: np.dtype("int64")}


# --- as a composition ------------------------------------------------------------------------------------------------


@op(differentiable=False, trailing=True)
def highest_score(s):
    """The largest entry of each row, which may be subtracted before exp; 0 in rows of -inf."""
    top = s.max(-1, keepdims=True, initial=-np.inf)
    return np.where(top == -np.inf, np.zeros((), s.dtype), top).astype(s.dtype)


def weights_of(q, k, mask, scale, causal):
    """The weights of all keys for each query, 0 where a query may look at none."""
    s = product(q, k.mT) * scale
    s = s if mask is None or 0 in mask.shape else s + mask
    if causal:
        s = where(np.tri(*s.shape[-2:], dtype=bool), s, np.array(-np.inf, s.dtype))
    e = exp(s - highest_score(s))
    total = reduce_sum(e, axis=(-1,), keepdims=True)
    return e / (total + (total == 0).astype(e.dtype))


def composed(q, k, v, mask, place, scale, causal, p):
    """Attention by way of all scores, for second derivatives."""
    w = weights_of(q, k, mask, scale, causal)
    if p:
        w = dropped(w, kept_weights(place, w, p=p), scale=1 / (1 - p) if p < 1 else 0.0)
    return product(w, v)


# --- dropout ---------------------------------------------------------------------------------------------------------


@op(mutates=("state",), samples=(), name="attention_dropout")
def draw_places(state, *, shape, length, keys):
    """Where the random words of each head begin."""
    return dropout.draw(state, shape, length, keys)


def _places(query: Any, key: Any, p: float, traced: bool) -> Any:
    """Where the random words of each head begin: an array where nobody watches, unless members of a vmap differ."""
    from ..random import drawn

    place = drawn(draw_places, None, shape=tuple(query.shape[:-2]), length=query.shape[-2], keys=key.shape[-2])
    return place.value if isinstance(place, Tensor) and not traced else place


@op(differentiable=False, trailing=True)
def kept_weights(place, w, *, p):
    """Which weights are kept, of the shape of w."""
    return dropout.mask_of(place, w.shape[:-2], *w.shape[-2:], p)


# --- primitives ------------------------------------------------------------------------------------------------------


def _rule(g, y, q, k, v, mask, place, scale, causal, p):
    given = (arrived(g[0], y[0]), *y, q, k, v, mask, place)
    of_mask = lambda: attend_mask_pull(*given, scale=scale, causal=causal, p=p)
    return OnDemand(*attend_pull(*given, scale=scale, causal=causal, p=p), of_mask, None)


def _rule_of_pull(g, go, q, k, v, mask, place, scale, causal, p):
    return _pulled_twice(g, slice(0, 3), go, q, k, v, mask, place, scale, causal, p)


def _rule_of_mask_pull(g, go, q, k, v, mask, place, scale, causal, p):
    return _pulled_twice((g,), slice(3, 4), go, q, k, v, mask, place, scale, causal, p)


def _pulled_twice(g, part, go, q, k, v, mask, place, scale, causal, p):
    """What arrives at the inputs of a pull, which gives a part of what arrives at q, k, v and mask."""
    given = (q, k, v, mask) if mask.size else (q, k, v)
    run = lambda q, k, v, mask=mask: (composed(q, k, v, mask, place, scale, causal, p),)
    found = pulled_back(lambda go, *xs: pulled_back(run, xs, (go,))[part], (go, *given), g)
    return found[0], None, None, *found[1:], *[None] * (5 - len(given))


def _sample(rng):
    """With and without masks and dropout."""
    length, keys, e, d = rng.integers(1, 4, 4)
    lead = tuple(rng.integers(1, 3, rng.integers(3)))
    q, k, v = (rng.uniform(-1, 1, (*lead, *s)) for s in ((length, e), (keys, e), (keys, d)))
    nothing = np.zeros((1,) * len(lead) + (0, 0))
    some = [(*lead, length, keys), (*nothing.shape[:-2], 1, keys), (*lead, length, 1)]
    mask = rng.uniform(-1, 1, some[rng.integers(3)]) if rng.integers(2) else nothing
    place = rng.integers(0, 2**60, (*lead, 1, 3)).astype(np.uint64)
    p = float(rng.integers(2) / 2)
    return [q, k, v, mask, place if p else nothing], {"scale": 0.7, "causal": bool(rng.integers(2)), "p": p}


@op(together=_rule, trailing=True, samples=_sample)
def attend(q, k, v, mask, place, *, scale, causal, p):
    """The result, and words in which the pull finds the logarithms of sums; mask is added, and has no entries if none.

    q: (..., l, e), k: (..., s, e), v: (..., s, d), mask: (..., l or 1, s or 1), place: (..., 1, 3), with as many axes.
    """
    y, lse = kernel.attention(q, k, v, mask, scale, causal, place, p)
    return y, lse.view(WORDS[lse.itemsize])


@op(together=_rule_of_pull, trailing=True)
def attend_pull(go, out, words, q, k, v, mask, place, *, scale, causal, p):
    """What arrives at q, k and v."""
    return kernel.attention_pull(go, out, words.view(q.dtype), q, k, v, mask, scale, causal, place, p)


@op(together=_rule_of_mask_pull, trailing=True)
def attend_mask_pull(go, out, words, q, k, v, mask, place, *, scale, causal, p):
    """What arrives at the mask."""
    if not mask.size:
        return np.zeros(mask.shape, q.dtype)
    return kernel.mask_pull(go, out, words.view(q.dtype), q, k, v, mask, scale, causal, place, p)


# --- the function ----------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query key.T * scale + mask) value: query (..., l, e), key (..., s, e), value (..., s, d).

    A mask of truth values says who may look at whom; one of numbers is added to the scores.
    """
    query, key, value = _checked(query, key, value, enable_gqa)
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
    if attn_mask is not None and is_causal:
        raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal=True, not both")
    mask = _mask(attn_mask, query, key)
    p = checked(dropout_p, "scaled_dot_product_attention(dropout_p)")
    nothing = np.zeros((1,) * (query.ndim - 2) + (0, 0), query.dtype)
    mask, half = nothing if mask is None else mask, query.dtype == np.float16
    if half:  # blocks are of float32 or float64
        query, key, value, mask = (x.astype(np.float32) for x in (query, key, value, mask))
    traced = any(isinstance(x, Traced) for x in (query, key, value, mask))
    place = _places(query, key, p, traced) if p else nothing
    y = attend(query, key, value, mask, place, scale=scale, causal=bool(is_causal), p=p)[0]
    return y.astype(np.float16) if half else y


def _checked(query: Any, key: Any, value: Any, groups: bool) -> tuple:
    """The three with equal leading axes, or an error."""
    name, shapes = "scaled_dot_product_attention", [tuple(x.shape) for x in (query, key, value)]
    given = "query is {}, key is {}, value is {}".format(*shapes)
    if query.dtype.kind != "f" or not query.dtype == key.dtype == value.dtype:
        types = f"{query.dtype}, {key.dtype} and {value.dtype}"
        raise TypeError(f"{name}: query, key and value must be of one floating-point type, got {types}")
    if min(map(len, shapes)) < 2 or shapes[0][-1] != shapes[1][-1] or shapes[1][-2] != shapes[2][-2]:
        raise ValueError(f"{name}: needed are (..., l, e), (..., s, e) and (..., s, d); {given}")
    if groups:
        counts = [s[-3] if len(s) > 2 else 0 for s in shapes]
        if not all(counts) or counts[0] % counts[1] or counts[0] % counts[2]:
            raise ValueError(f"{name}: with enable_gqa the heads of query must be a multiple of those of key; {given}")
        key, value = (
            x if x.shape[-3] == counts[0] else repeated(x, repeats=counts[0] // x.shape[-3], axis=-3)
            for x in (key, value)
        )
    try:
        lead = np.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
    except ValueError:
        more = "" if groups else "; for fewer heads of key and value there is enable_gqa=True"
        raise ValueError(f"{name}: the leading axes do not broadcast: {given}{more}") from None
    spread = lambda x: x if x.shape[:-2] == lead else broadcast_to(x, shape=(*lead, *x.shape[-2:]))
    return spread(query), spread(key), spread(value)


def _mask(mask: Any, query: Any, key: Any) -> Any:
    """What is added to the scores, with as many axes as they have; None if nothing is."""
    if mask is None:
        return None
    wanted = (*query.shape[:-1], key.shape[-2])
    try:
        fine = np.broadcast_shapes(mask.shape, wanted) == wanted
    except ValueError:
        fine = False
    if not fine or mask.dtype.kind not in "bf":
        raise ValueError(
            f"scaled_dot_product_attention: attn_mask must be of truth values or floats and broadcast to {wanted}, "
            f"got {tuple(mask.shape)} {mask.dtype}"
        )
    if mask.dtype.kind == "b":
        mask = where(mask, np.zeros((), query.dtype), np.array(-np.inf, query.dtype))
    mask = mask if mask.dtype == query.dtype else mask.astype(query.dtype)
    missing = len(wanted) - mask.ndim
    return expand_dims(mask, axis=tuple(range(-len(wanted), -mask.ndim))) if missing else mask
