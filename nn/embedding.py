"""Embeddings: a row of numbers, which are trained, for each integer, and sums of such rows."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor, empty, no_grad

from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Table(Module):
    """What embeddings have in common; `weight` is (num_embeddings, embedding_dim)."""

    padding_idx: int | None

    def settle(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
    ) -> None:
        """Store the arguments; gradients are dense whatever `sparse` says."""
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            who = type(self).__name__
            raise ValueError(f"{who}: padding_idx must name one of the {num_embeddings} rows, got {padding_idx}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse

    def create(self, weight: Tensor | None, freeze: bool, device: Any, dtype: Any) -> None:
        """Make the table, or take one that is given."""
        shape = self.num_embeddings, self.embedding_dim
        if weight is not None and tuple(weight.shape) != shape:
            raise ValueError(f"{type(self).__name__}: _weight must be {shape}, got {tuple(weight.shape)}")
        made = empty(*shape, device=device, dtype=dtype) if weight is None else weight
        self.weight = Parameter(made, requires_grad=not freeze)
        if weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal numbers, zeros in the row of padding."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].zero_()


def of_two_axes(embeddings: Tensor, who: str) -> tuple[int, int]:
    """The sizes of a table that is given."""
    if embeddings.ndim != 2:
        raise ValueError(f"{who}: embeddings must have a row for each integer, got shape {tuple(embeddings.shape)}")
    return embeddings.shape[0], embeddings.shape[1]


class Embedding(Table):
    """A row of `weight` for each integer."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        self.settle(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        self.create(_weight, _freeze, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Integers of any shape to rows, along a new last axis."""
        how = self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        return F.embedding(input, self.weight, *how)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An embedding on a table that is there, frozen unless told otherwise."""
        rows, width = of_two_axes(embeddings, "from_pretrained")
        return cls(
            rows, width, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings, _freeze=freeze
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False, "sparse": False}
        return ", ".join([text, *(f"{n}={getattr(self, n)}" for n, v in usual.items() if getattr(self, n) != v)])


class EmbeddingBag(Table):
    """The sum, mean or maximum (`mode`) of the rows of `weight` for each bag of integers."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ):
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
        self.settle(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        self.mode, self.include_last_offset = mode, include_last_offset
        self.create(_weight, False, device, dtype)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """Bags (bags, n), or (n) in parts that begin at offsets, to (bags, embedding_dim)."""
        how = self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse
        more = per_sample_weights, self.include_last_offset, self.padding_idx
        return F.embedding_bag(input, self.weight, offsets, *how, *more)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer on a table that is there, frozen unless told otherwise."""
        rows, width = of_two_axes(embeddings, "from_pretrained")
        made = cls(
            rows, width, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx
        )  # fmt: skip
        made.weight.requires_grad = not freeze
        return made

    def extra_repr(self) -> str:
        usual = {"max_norm": None, "norm_type": 2, "scale_grad_by_freq": False, "mode": None, "padding_idx": None}
        given = [f"{n}={getattr(self, n)!r}" for n, v in usual.items() if getattr(self, n) != v]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *given])
