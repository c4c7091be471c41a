"""Attention by several heads."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor, empty

from . import functional as F
from . import init
from .errors import demand_type
from .functional.attention import each_once
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = ["MultiheadAttention"]


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
            query, key, value = each_once(lambda x: x.transpose(0, 1) if x.ndim == 3 else x, query, key, value)
        out_weight = self.out_proj.weight  # once: it may be computed
        output, weights = F.multi_head_attention_forward(
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
            out_weight,
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
        for x, name in ((query, "query"), (key, "key"), (value, "value")):
            if x.dtype is not out_weight.dtype:
                demand_type(x, out_weight, name)
        return (output.transpose(0, 1) if turned else output), weights
