"""Attention with several heads, and the projections around it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core import Tensor, cat, matmul, softmax, where
from autograd_core.ops.attention import scaled_dot_product_attention
from autograd_core.ops.dropout import dropout
from autograd_core.ops.linear import linear
from autograd_core.ops.padding import pad

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]

NAME = "multi_head_attention_forward"


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Project query (L, N, E), key and value (S, N, E) into heads, attend in each, and project what they found together.

    Without batches the second axis is missing.  In masks, which are of truth values or added to the scores, True hides:
    key_padding_mask (N, S) hides keys, attn_mask (L, S) or (N * heads, L, S) pairs.  `bias_k` and `bias_v` are one more
    key and value, `add_zero_attn` adds one of zeros, `static_k` and `static_v` (N * heads, S, E / heads) replace those
    projected.  `is_causal` is a hint that attn_mask is the causal one, which may then not be read.

    The second result is the weights, of the mean head (N, L, S) or of each (N, heads, L, S); None unless asked for.
    """
    batched = _checked(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if not batched:
        query, key, value = _one_batch(query, key, value)
        key_padding_mask = key_padding_mask if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    if is_causal and attn_mask is None:
        raise ValueError(f"{NAME}: is_causal=True is a hint about attn_mask: give that mask too")
    causal = is_causal and key_padding_mask is None and not need_weights
    keys = key.shape[0] if static_k is None else static_k.shape[1]
    shape = (query.shape[1], num_heads, query.shape[0], keys)
    masks = [_pair_mask(None if causal else attn_mask, shape, query), _key_mask(key_padding_mask, shape, query)]
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, in_proj_weight, separate, in_proj_bias)
    if (bias_k is None) != (bias_v is None):
        raise ValueError(f"{NAME}: bias_k and bias_v go together, only one of them was given")
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise ValueError(f"{NAME}: bias_k and bias_v cannot be added to static_k and static_v")
        k, v = (cat([x, b.expand(1, *x.shape[1:])]) for x, b in ((k, bias_k), (v, bias_v)))
    q = _heads(q, num_heads)
    k = _heads(k, num_heads) if static_k is None else _static(static_k, q, "static_k")
    v = _heads(v, num_heads) if static_v is None else _static(static_v, q, "static_v")
    if add_zero_attn:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    mask = _merged(masks, k.shape[-2])
    p = dropout_p if training else 0.0
    if need_weights:
        y, weights = _with_weights(q, k, v, mask, p)
        weights = weights.mean(1) if average_attn_weights else weights
    else:
        y, weights = scaled_dot_product_attention(q, k, v, mask, p, causal), None
    y = linear(y.permute(2, 0, 1, 3).reshape(*query.shape), out_proj_weight, out_proj_bias)
    if batched:
        return y, weights
    return y.squeeze(1), weights if weights is None else weights.squeeze(0)


def _checked(query: Any, key: Any, value: Any, width: int, heads: int, separate: bool) -> bool:
    """Whether there are batches."""
    given = "query is {}, key is {}, value is {}".format(*[tuple(x.shape) for x in (query, key, value)])
    if not query.ndim == key.ndim == value.ndim or query.ndim not in (2, 3):
        raise ValueError(f"{NAME}: needed are (L, N, E), (S, N, E) and (S, N, E), or all without N; {given}")
    if query.shape[-1] != width:
        raise ValueError(f"{NAME}: the last axis of query must be embed_dim_to_check={width}; {given}")
    if width % heads:
        raise ValueError(f"{NAME}: an embedding of {width} numbers cannot be divided among {heads} heads")
    if key.shape[: -1 if separate else None] != value.shape[: -1 if separate else None]:
        less = "" if separate else "; for values of another width there is use_separate_proj_weight=True"
        raise ValueError(f"{NAME}: each key needs a value; {given}{less}")
    return query.ndim == 3


def _one_batch(query: Any, key: Any, value: Any) -> tuple:
    """The three with an axis of batches; what was one tensor stays one."""
    q = query.unsqueeze(1)
    k = q if key is query else key.unsqueeze(1)
    return q, k, k if value is key else value.unsqueeze(1)


def _projected(q: Any, k: Any, v: Any, packed: Any, separate: Any, bias: Any) -> tuple:
    """Queries, keys and values, with as few products as there are different inputs."""
    width = q.shape[-1]
    if separate is not None:
        if any(w is None for w in separate):
            raise ValueError(f"{NAME}: use_separate_proj_weight=True needs q_proj_weight, k_proj_weight, v_proj_weight")
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        return tuple(linear(x, w, b) for x, w, b in zip((q, k, v), separate, biases))
    if packed is None:
        raise ValueError(f"{NAME}: needs in_proj_weight, or use_separate_proj_weight=True and three weights")
    if packed.shape[0] != 3 * width:
        raise ValueError(f"{NAME}: in_proj_weight must be {(3 * width, width)}, got {tuple(packed.shape)}")
    if q is k and k is v:
        return linear(q, packed, bias).split(width, -1)
    parts = [slice(0, width), slice(width, 2 * width), slice(2 * width, None)]
    return tuple(linear(x, packed[p], bias if bias is None else bias[p]) for x, p in zip((q, k, v), parts))


def _heads(x: Any, heads: int) -> Any:
    """(L, N, E) as (N, heads, L, E / heads)."""
    length, batch, width = x.shape
    return x.reshape(length, batch, heads, width // heads).permute(1, 2, 0, 3)


def _static(x: Any, q: Any, what: str) -> Any:
    batch, heads, _, width = q.shape
    if x.ndim != 3 or (x.shape[0], x.shape[2]) != (batch * heads, width):
        raise ValueError(f"{NAME}: {what} must be ({batch * heads}, S, {width}), got {tuple(x.shape)}")
    return x.reshape(batch, heads, x.shape[1], width)


def _added(mask: Any, like: Any, what: str) -> Any:
    """A mask as what is added to the scores."""
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{NAME}: {what} must be of truth values or floats, got {mask.dtype}")
    return where(mask, np.array(-np.inf, like.dtype), np.array(0, like.dtype)) if mask.dtype.kind == "b" else mask


def _pair_mask(mask: Any, shape: tuple, like: Any) -> Any:
    if mask is None:
        return None
    batch, heads, length, keys = shape
    if tuple(mask.shape) not in ((length, keys), (batch * heads, length, keys)):
        wanted = f"{(length, keys)} or {(batch * heads, length, keys)}"
        raise ValueError(f"{NAME}: attn_mask must be {wanted}, got {tuple(mask.shape)}")
    lead = (1, 1) if mask.ndim == 2 else (batch, heads)
    return _added(mask, like, "attn_mask").reshape(*lead, length, keys)


def _key_mask(mask: Any, shape: tuple, like: Any) -> Any:
    if mask is None:
        return None
    batch, _, _, keys = shape
    if tuple(mask.shape) != (batch, keys):
        raise ValueError(f"{NAME}: key_padding_mask must be {(batch, keys)}, got {tuple(mask.shape)}")
    return _added(mask, like, "key_padding_mask").reshape(batch, 1, 1, keys)


def _merged(masks: list, keys: int) -> Any:
    """The sum of the masks that there are, which hide none of the keys that were added at the end."""
    given = [pad(m, (0, keys - m.shape[-1])) if m.shape[-1] < keys else m for m in masks if m is not None]
    return sum(given[1:], given[0]) if given else None


def _with_weights(q: Any, k: Any, v: Any, mask: Any, p: float) -> tuple:
    scores = matmul(q * math.sqrt(1 / q.shape[-1]), k.mT)
    weights = softmax(scores if mask is None else scores + mask, dim=-1)
    weights = dropout(weights, p)
    return matmul(weights, v), weights
