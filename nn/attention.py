"""Attention by several heads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core import Tensor, as_tensor, cat, empty, softmax, zeros
from autograd_core.ops.attention import weights_of

from . import functional as F
from . import init
from .linear import Linear
from .module import Module
from .parameter import Parameter


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear under the name that PyTorch prints for the last product of attention."""


class MultiheadAttention(Module):
    """Attention of `num_heads` heads, each to a part of embed_dim / num_heads of what query, key and value are made.

    Inputs are (time, batch, features), with `batch_first` (batch, time, features), or (time, features) of one.  The
    features of keys and values are `kdim` and `vdim`, if not embed_dim.  `add_bias_kv` appends a learned key and value,
    `add_zero_attn` ones of zeros.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim must be a multiple of num_heads and both positive, got "
                f"embed_dim={embed_dim}, num_heads={num_heads}"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        new: Any = lambda *shape: Parameter(empty(shape, device=device, dtype=dtype))
        self.in_proj_weight = self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        if self._qkv_same_embed_dim:
            self.in_proj_weight = new(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight, self.k_proj_weight = new(embed_dim, embed_dim), new(embed_dim, self.kdim)
            self.v_proj_weight = new(embed_dim, self.vdim)
        self.in_proj_bias = new(3 * embed_dim) if bias else None
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k: Any = new(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v: Any = new(1, 1, embed_dim) if add_bias_kv else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot's uniform weights for what comes in, no biases, Glorot's normal ones for the learned key and value."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for learned in (self.bias_k, self.bias_v):
            if learned is not None:
                init.xavier_normal_(learned)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """What the queries find, like query; and the weights (batch, queries, keys), or None unless they are needed.

        A mask of truth values is True where nobody may look, one of numbers is added to the scores: key_padding_mask is
        (batch, keys), attn_mask (queries, keys) or (batch * heads, queries, keys).  Without need_weights the matrix of
        all weights is never made, which is quicker.
        """
        turned = self.batch_first and getattr(query, "ndim", 0) == 3
        if turned:
            query, key, value = _each_once(lambda x: x.transpose(0, 1) if x.ndim == 3 else x, query, key, value)
        output, weights = multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            not self._qkv_same_embed_dim,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (output.transpose(0, 1) if turned else output), weights


def _each_once(change: Any, *tensors: Any) -> list:
    """What changes each tensor, such that those that are one remain one."""
    changed = {id(t): change(t) for t in tensors}
    return [changed[id(t)] for t in tensors]


# --- the function ----------------------------------------------------------------------------------------------------


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
    alone = query.ndim == 2
    if alone:
        query, key, value = _each_once(lambda x: x.unsqueeze(1), query, key, value)
    length, batch, width = query.shape
    packed = None if use_separate_proj_weight else in_proj_weight
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
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
        weights = F.dropout(_weights(q, k, mask, causal), dropout_p) if dropout_p else _weights(q, k, mask, causal)
        found = weights @ v
    else:
        found = F.scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    output = F.linear(found.permute(2, 0, 1, 3).reshape(length, batch, width), out_proj_weight, out_proj_bias)
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


def _kinds(*values: Any) -> list[str]:
    return [type(v).__name__ for v in values]


def _projected(inputs: tuple, packed: Any, separate: tuple, bias: Any, heads: int) -> list[Any]:
    """Query, key and value times their weights, (batch, heads, time, features of a head); one product for inputs that are one."""
    query, key, value = inputs
    width = query.shape[-1]
    if packed is not None and query is key is value and width == packed.shape[-1]:
        return _apart(F.linear(query, packed, bias), 3, heads)
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
        both = F.linear(key, packed[width:], None if bias is None else bias[width:])
        return [*_apart(F.linear(query, weights[0], biases[0]), 1, heads), *_apart(both, 2, heads)]
    return [_apart(F.linear(*each), 1, heads)[0] for each in zip(inputs, weights, biases)]


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
    found = mask.numpy()
    return bool(np.array_equal(found, later if found.dtype.kind == "b" else np.where(later, -np.inf, 0)))
