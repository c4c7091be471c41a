"""GPT: a model of language that attends to what came before, as GPT-2."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core import Generator, Tensor, arange, as_tensor, cat, multinomial, no_grad

from .. import functional as F
from .. import init
from ..containers import ModuleList
from ..dropout import Dropout
from ..embedding import Embedding
from ..linear import Linear
from ..module import Module
from ..normalization import LayerNorm

# Width, depth and heads.
SIZES = {"small": (768, 12, 12), "medium": (1024, 24, 16), "large": (1280, 36, 20), "xl": (1600, 48, 25)}


class Past:
    """The keys and values of one layer for what it has seen."""

    def __init__(self) -> None:
        self.keys: Any = None
        self.values: Any = None

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, those that are new at the end."""
        if self.keys is not None:
            keys, values = cat([self.keys, keys], 2), cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values


class CausalAttention(Module):
    """Attention of several heads to oneself and what came before."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool):
        self.c_attn = Linear(width, 3 * width, bias)
        self.c_proj = Linear(width, width, bias)
        self.heads, self.dropout = heads, Dropout(dropout)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        """(N, T, width) to the same; with `past` after what that holds, to which x is added."""
        n, time, width = x.shape
        seen = 0 if past is None else len(past)
        q, k, v = self.c_attn(x).reshape(n, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind()
        k, v = (k, v) if past is None else past.extended(k, v)
        mask = as_tensor(np.tri(time, seen + time, seen, dtype=bool)) if seen and time > 1 else None
        share = self.dropout.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, mask, share, is_causal=not seen)
        return self.dropout(self.c_proj(y.transpose(1, 2).reshape(n, time, width)))


class MLP(Module):
    """Two products at each place, to four times the width and back."""

    def __init__(self, width: int, dropout: float, bias: bool):
        self.c_fc = Linear(width, 4 * width, bias)
        self.c_proj = Linear(4 * width, width, bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same."""
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(Module):
    """Attention and products, each of what is normalized before, and added to what comes in."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool):
        self.ln_1 = LayerNorm(width, bias=bias)
        self.attn = CausalAttention(width, heads, dropout, bias)
        self.ln_2 = LayerNorm(width, bias=bias)
        self.mlp = MLP(width, dropout, bias)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        """(N, T, width) to the same."""
        x = x + self.attn(self.ln_1(x), past)
        return x + self.mlp(self.ln_2(x))


class GPT(Module):
    """Scores of the next token at each place; tokens are embedded and scored with the same matrix.

    Names are those of the weights published for GPT-2, which `load_state_dict` takes as they are.
    """

    def __init__(
        self,
        vocab_size: int = 50257,
        context: int = 1024,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        dropout: float = 0.1,
        bias: bool = True,
    ):
        if width % heads:
            raise ValueError(f"GPT: width must be a multiple of heads, got {width=}, {heads=}")
        self.context, self.width, self.depth = context, width, depth
        with init.skipped():
            self.wte = Embedding(vocab_size, width)
            self.wpe = Embedding(context, width)
            self.dropout = Dropout(dropout)
            self.h = ModuleList([Block(width, heads, dropout, bias) for _ in range(depth)])
            self.ln_f = LayerNorm(width, bias=bias)
            self.lm_head = Linear(width, vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights of deviation 0.02, and no biases; less where results are added up over all layers."""
        for name, p in self.named_parameters():
            if p.ndim > 1:
                init.normal_(p, 0, 0.02 / math.sqrt(2 * self.depth) if name.endswith("c_proj.weight") else 0.02)
            else:
                init.constant_(p, 1.0 if name.endswith("weight") else 0.0)

    def forward(self, tokens: Tensor, cache: list[Past] | None = None) -> Tensor:
        """Tokens (N, T) to scores (N, T, vocab_size); with a cache they come after those it has seen."""
        begin = len(cache[0]) if cache else 0
        end = begin + tokens.shape[-1]
        if tokens.ndim != 2 or end > self.context:
            raise ValueError(
                f"GPT: tokens must be (N, T) with T at most {self.context}, got {tuple(tokens.shape)}"
                + (f" after {begin} in the cache" if begin else "")
                + "; cut them, or make the model with a longer context="
            )
        x = self.dropout(self.wte(tokens) + self.wpe(arange(begin, end)))
        pasts: list[Any] = cache or [None] * self.depth
        for block, past in zip(self.h, pasts):
            x = block(x, past)
        return self.lm_head(self.ln_f(x))

    def cache(self) -> list[Past]:
        """An empty cache: with it, what a call has seen need not be computed again in the next."""
        return [Past() for _ in range(self.depth)]

    def generate(
        self,
        tokens: Tensor,
        count: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Tokens (N, T) with `count` more, drawn one after the other, in the mode the model is in: call `eval()` before.

        Scores are divided by `temperature`: 0 takes the likeliest token; `top_k` draws from so many of the likeliest.
        """
        if tokens.ndim != 2 or not tokens.shape[1]:
            raise ValueError(f"generate: tokens to begin with must be (N, T), at least one, got {tuple(tokens.shape)}")
        cache, new = self.cache(), tokens[:, -self.context :]
        with no_grad():
            for _ in range(count):
                if len(cache[0]) + new.shape[1] > self.context:  # places shift, so nothing computed is of use
                    cache, new = self.cache(), tokens[:, -self.context :]
                new = drawn(self(new, cache)[:, -1], temperature, top_k, generator)
                tokens = cat([tokens, new], 1)
        return tokens

    def before_load(self, state: dict[str, Any], prefix: str) -> None:
        """Published weights are (in, out), come with masks, which are no parameters, and without the tied head."""
        if tuple(np.shape(state.get(f"{prefix}h.0.attn.c_attn.weight", ()))) != (self.width, 3 * self.width):
            return
        state.setdefault(f"{prefix}lm_head.weight", state[f"{prefix}wte.weight"])
        for name in [n for n in state if n.startswith(f"{prefix}h.")]:
            if name.endswith((".attn.bias", ".attn.masked_bias")):
                del state[name]
            elif name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
                state[name] = state[name].T


def drawn(scores: Tensor, temperature: float, top_k: int | None, generator: Generator | None) -> Tensor:
    """One token (N, 1) for each row of scores (N, vocab_size)."""
    if temperature < 0:
        raise ValueError(f"generate: temperature must not be negative, got {temperature}")
    if temperature == 0:
        return scores.argmax(-1, keepdim=True)
    if top_k is not None:
        least = scores.topk(min(top_k, scores.shape[-1]), -1)[0][:, -1:]
        scores = scores.masked_fill(scores < least, -math.inf)
    return multinomial((scores / temperature).softmax(-1), 1, generator=generator)


def gpt2(size: str = "small", **kwargs: Any) -> GPT:
    """GPT-2: "small", "medium", "large" or "xl"."""
    if size not in SIZES:
        raise ValueError(f"gpt2: size must be one of {', '.join(SIZES)}, got {size!r:.40}")
    return GPT(**dict(zip(("width", "depth", "heads"), SIZES[size])) | kwargs)
