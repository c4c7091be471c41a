"""Attention with several heads, and the projections around it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core import Tensor, as_tensor, cat, softmax, zeros
from autograd_core.ops.arguments import innermost_of
from autograd_core.ops.attention import scaled_dot_product_attention, weights_of
from autograd_core.ops.dropout import dropout
from autograd_core.ops.linear import linear

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


def each_once(change: Any, *tensors: Any) -> list:
    """What changes each tensor, such that those that are one remain one."""
    changed = {id(t): change(t) for t in tensors}
    return [changed[id(t)] for t in tensors]


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
    """What MultiheadAttention computes, of inputs (time, batch, features) or (time, features), with the weights given.

    `static_k` and `static_v` (batch * heads, keys, features of a head) stand in for what is made of key and value.
    """
    _check_inputs(query, key, value, embed_dim_to_check, num_heads)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    _check_weights(in_proj_weight, separate if use_separate_proj_weight else None, embed_dim_to_check, bias_k, bias_v)
    _check_static(
        embed_dim_to_check // num_heads, num_heads * (1 if query.ndim == 2 else query.shape[1]), static_k, static_v
    )
    alone = query.ndim == 2
    if alone:
        query, key, value = each_once(lambda x: x.unsqueeze(1), query, key, value)
    length, batch, width = query.shape
    packed = None if use_separate_proj_weight else in_proj_weight
    q, k, v = _projected((query, key, value), packed, separate, in_proj_bias, num_heads)
    if bias_k is not None and bias_v is not None:
        k, v = (_appended(x, b.reshape(1, num_heads, 1, x.shape[-1])) for x, b in ((k, bias_k), (v, bias_v)))
    k, v = (x if s is None else s.reshape(batch, num_heads, *s.shape[1:]) for x, s in ((k, static_k), (v, static_v)))
    if add_zero_attn:
        k, v = (_appended(x, zeros(1, 1, 1, x.shape[-1], dtype=x.dtype)) for x in (k, v))
    given_keys = static_k.shape[1] if static_k is not None else key.shape[0]
    mask, causal = _merged(attn_mask, key_padding_mask, is_causal, q, k, given_keys, alone)
    dropout_p = dropout_p if training else 0.0
    weights = None
    if need_weights:
        weights = dropout(_weights(q, k, mask, causal), dropout_p) if dropout_p else _weights(q, k, mask, causal)
        found = weights @ v
    else:
        found = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    output = linear(found.permute(2, 0, 1, 3).reshape(length, batch, width), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if alone:
        return output.squeeze(1), None if weights is None else weights.squeeze(0)
    return output, weights


def _check_inputs(query: Any, key: Any, value: Any, width: int, heads: int) -> None:
    """Raise unless the three belong together."""
    name = "multi_head_attention_forward"
    if any(not hasattr(x, "ndim") for x in (query, key, value)):
        raise TypeError(f"{name}: query, key and value must be tensors, got {', '.join(_kinds(query, key, value))}")
    shapes = [tuple(x.shape) for x in (query, key, value)]
    given = "query is {}, key is {}, value is {}".format(*shapes)
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        raise ValueError(f"{name}: all three must be (time, batch, features), or all (time, features); {given}")
    if shapes[1][:-1] != shapes[2][:-1] or shapes[0][1:-1] != shapes[1][1:-1]:
        raise ValueError(
            f"{name}: key and value must be of one length, and all three of one batch; {given}, as (time, batch, "
            "features); batch_first=True is for (batch, time, features)"
        )
    if query.shape[-1] != width or width % heads:
        raise ValueError(f"{name}: query must have embed_dim={width} features, for {heads} heads of one size; {given}")


def _check_weights(packed: Any, separate: tuple | None, width: int, bias_k: Any, bias_v: Any) -> None:
    """Raise if a weight is missing, or does not fit."""
    name = "multi_head_attention_forward"
    if separate is None and packed is None:
        raise ValueError(f"{name}: needs in_proj_weight ({3 * width}, {width}), or use_separate_proj_weight=True")
    if separate is None and tuple(packed.shape) != (3 * width, width):
        raise ValueError(f"{name}: in_proj_weight must be {(3 * width, width)}, got {tuple(packed.shape)}")
    if separate is not None and any(w is None for w in separate):
        raise ValueError(f"{name}: use_separate_proj_weight=True needs q_proj_weight, k_proj_weight, v_proj_weight")
    if (bias_k is None) != (bias_v is None):
        raise ValueError(f"{name}: bias_k and bias_v go together: a learned key needs a learned value")


def _check_static(size: int, heads: int, *static: Any) -> None:
    """Raise if keys or values that stand in for others do not fit."""
    for letter, s in zip("kv", static):
        if s is not None and (s.ndim != 3 or (s.shape[0], s.shape[2]) != (heads, size)):
            raise ValueError(
                f"multi_head_attention_forward: static_{letter} must be ({heads}, S, {size}), got {tuple(s.shape)}"
            )


def _kinds(*values: Any) -> list[str]:
    return [type(v).__name__ for v in values]


def _projected(inputs: tuple, packed: Any, separate: tuple, bias: Any, heads: int) -> list[Any]:
    """Query, key and value times their weights, (batch, heads, time, features of a head); one product for inputs that are one."""
    query, key, value = inputs
    width = query.shape[-1]
    if packed is not None and query is key is value and width == packed.shape[-1]:
        return _apart(linear(query, packed, bias), 3, heads)
    weights = separate if packed is None else packed.split(width)
    biases = (None, None, None) if bias is None else bias.split(width)
    for name, x, w in zip(("query", "key", "value"), inputs, weights):
        if w is None:
            raise TypeError(f"multi_head_attention_forward: weights for the {name} are missing")
        if x.shape[-1] != w.shape[-1]:
            hint = "" if name == "query" else f"; {name[0]}dim={x.shape[-1]} makes a layer that takes them"
            raise ValueError(
                f"multi_head_attention_forward: {name} must have {w.shape[-1]} features, got {x.shape[-1]}{hint}"
            )
    if packed is not None and key is value:
        both = linear(key, packed[width:], None if bias is None else bias[width:])
        return [*_apart(linear(query, weights[0], biases[0]), 1, heads), *_apart(both, 2, heads)]
    return [_apart(linear(*each), 1, heads)[0] for each in zip(inputs, weights, biases)]


def _apart(x: Any, count: int, heads: int) -> list[Any]:
    """(time, batch, count * heads * size) as `count` of (batch, heads, time, size)."""
    time, batch, width = x.shape
    return list(x.reshape(time, batch, count, heads, width // count // heads).permute(2, 1, 3, 0, 4).unbind())


def _appended(x: Any, one: Any) -> Any:
    """(batch, heads, time, size) with one more time, the same in the whole batch."""
    return cat([x, one.expand(x.shape[0], x.shape[1], 1, x.shape[3])], 2)


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """The weights of all keys for each query; 0 for all of them where a query may look at none."""
    scale = 1 / math.sqrt(max(q.shape[-1], 1))
    return softmax((q * scale) @ k.mT, -1) if mask is None and not causal else weights_of(q, k, mask, scale, causal)


def _merged(
    attn_mask: Any, padding: Any, is_causal: bool, q: Tensor, k: Tensor, keys: int, alone: bool
) -> tuple[Any, bool]:
    """What is added to the scores (batch, heads, queries, keys), or None; and whether a query sees what came before it only.

    A causal mask of one's own is left out where nothing else is added, as kernels need none for that.
    """
    batch, heads, length = q.shape[:3]
    attn = _as_mask(attn_mask, "attn_mask", ((length, keys), (batch * heads, length, keys)), "(batch * heads, {})")
    padding = _as_mask(padding, "key_padding_mask", ((keys,) if alone else (batch, keys),), "")
    extra = k.shape[2] - keys
    if is_causal and padding is None and not extra and (attn is None or is_causal_mask(attn)):
        return None, True
    if is_causal and attn is None:
        attn = as_tensor(np.tri(length, keys, dtype=bool)).logical_not()
    parts = []
    if attn is not None:
        parts.append(attn if attn.ndim == 2 else attn.reshape(batch, heads, length, keys))
    if padding is not None:
        parts.append(padding.reshape(batch, 1, 1, keys))
    if not parts:
        return None, False
    merged = _added(parts, q.dtype)
    if extra:
        merged = cat([merged, zeros(*merged.shape[:-1], extra, dtype=q.dtype)], -1)
    return merged, False


def _as_mask(mask: Any, name: str, shapes: tuple, more: str) -> Any:
    """The mask, if there is one, of a type and a shape that it can have."""
    if mask is None:
        return None
    mask = mask if hasattr(mask, "logical_not") else as_tensor(mask)
    if mask.dtype.kind not in "bf":
        raise TypeError(
            f"{name} must be of truth values (True where nobody may look) or floats (added to the scores), got "
            f"{mask.dtype}; {name}.bool() makes truth values"
        )
    if tuple(mask.shape) not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must be {wanted}, got {tuple(mask.shape)}")
    return mask


def _added(masks: list, dtype: Any) -> Any:
    """Masks as one that is added: -inf where nobody may look."""
    if all(m.dtype.kind == "b" for m in masks):
        masks = [masks[0] if len(masks) == 1 else masks[0] | masks[1]]
    numbers = [
        zeros(m.shape, dtype=dtype).masked_fill(m, -math.inf) if m.dtype.kind == "b" else m.to(dtype) for m in masks
    ]
    return numbers[0] if len(numbers) == 1 else numbers[0] + numbers[1]


def is_causal_mask(mask: Any) -> bool:
    """Whether a mask is the one that hides what comes later, and nobody asks for its gradient."""
    if mask.ndim != 2 or mask.requires_grad or mask.level:
        return False
    later = np.triu(np.ones(mask.shape, bool), 1)
    found = innermost_of(mask)
    return bool(np.array_equal(found, later if found.dtype.kind == "b" else np.where(later, -np.inf, 0)))
