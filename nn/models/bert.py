"""BERT: a model of language that attends to both sides, and what it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import Generator, Tensor, arange, rand, randint, where, zeros

from .. import functional as F
from .. import init
from ..attention import MultiheadAttention
from ..dropout import Dropout
from ..embedding import Embedding
from ..linear import Linear
from ..module import Module
from ..normalization import LayerNorm
from ..parameter import Parameter
from ..transformer import TransformerEncoder, TransformerEncoderLayer


class Bert(Module):
    """Tokens, places and kinds of sentences embedded, layers of attention, and one vector for the whole of the text."""

    def __init__(
        self,
        vocab_size: int = 30522,
        context: int = 512,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        dropout: float = 0.1,
        kinds: int = 2,
    ):
        self.context = context
        with init.skipped():
            self.words, self.places = Embedding(vocab_size, width), Embedding(context, width)
            self.kinds = Embedding(kinds, width)
            self.norm, self.dropout = LayerNorm(width, 1e-12), Dropout(dropout)
            how: dict[str, Any] = {"layer_norm_eps": 1e-12, "batch_first": True}
            layer = TransformerEncoderLayer(width, heads, 4 * width, dropout, F.gelu, **how)
            self.encoder = TransformerEncoder(layer, depth)
            self.pooler = Linear(width, width)
        self.apply(first_values)

    def forward(
        self, tokens: Tensor, kinds: Tensor | None = None, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Tokens (N, T) to vectors (N, T, width), and one for each text (N, width), made of that of its first token.

        `kinds` (N, T) says which sentence a token is of, 0 if not given; `padding` (N, T) is True where there is none.
        """
        if tokens.ndim != 2 or not 0 < tokens.shape[1] <= self.context:
            raise ValueError(
                f"Bert: tokens must be (N, T) with T from 1 to {self.context}, got {tuple(tokens.shape)}; cut them, or "
                "make the model with a longer context="
            )
        kinds = zeros(1, tokens.shape[1], dtype=tokens.dtype) if kinds is None else kinds
        x = self.words(tokens) + self.places(arange(tokens.shape[1])) + self.kinds(kinds)
        x = self.encoder(self.dropout(self.norm(x)), src_key_padding_mask=padding)
        return x, F.tanh(self.pooler(x[:, 0]))


class BertForPretraining(Module):
    """Scores of what stands under masked tokens, and of whether the second sentence follows the first."""

    def __init__(self, bert: Bert):
        self.bert = bert
        vocab_size, width = bert.words.weight.shape
        with init.skipped():
            self.transform, self.norm = Linear(width, width), LayerNorm(width, 1e-12)
            self.follows = Linear(width, 2)
        self.bias = Parameter(zeros(vocab_size))
        for part in (self.transform, self.norm, self.follows):
            first_values(part)

    def forward(
        self, tokens: Tensor, kinds: Tensor | None = None, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores (N, T, vocab_size), made with the matrix that embeds the words, and (N, 2): 0 if it follows."""
        x, text = self.bert(tokens, kinds, padding)
        x = self.norm(F.gelu(self.transform(x)))
        return F.linear(x, self.bert.words.weight, self.bias), self.follows(text)


def first_values(module: Module) -> None:
    """Normal weights of deviation 0.02, and no biases."""
    if isinstance(module, (Linear, Embedding)):
        init.normal_(module.weight, 0, 0.02)
    if isinstance(module, Linear) and module.bias is not None:
        init.zeros_(module.bias)
    if isinstance(module, MultiheadAttention):
        for name, p in module.named_parameters(recurse=False):
            init.normal_(p, 0, 0.02 if name == "in_proj_weight" else 0)
    if isinstance(module, LayerNorm):
        module.reset_parameters()


def mask_tokens(
    tokens: Tensor,
    mask_token: int,
    vocab_size: int,
    special: Sequence[int] = (),
    share: float = 0.15,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Tokens of which a share is to be guessed, and what they were: -100, which cross entropy leaves out, for the others.

    Of the chosen eight tenths are masked, one tenth is another token, one tenth stays.  `special` tokens are not chosen.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"mask_tokens: share must be from 0 to 1, got {share}")
    shape = tuple(tokens.shape)
    chosen = rand(shape, generator=generator) < share
    for token in special:
        chosen = chosen & (tokens != token)
    fate = rand(shape, generator=generator)
    other = randint(0, vocab_size, shape, generator=generator)
    shown = where(chosen & (fate < 0.8), mask_token, where(chosen & (fate >= 0.9), other, tokens))
    return shown, where(chosen, tokens, -100)
