"""Products with weights: plain ones, of groups of rows, and of a head with its loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_core import Tensor, cat, checkpoint, matmul, stack
from autograd_core.ops.arguments import innermost_of
from autograd_core.ops.linear import bilinear, linear
from autograd_core.ops.losses import cross_entropy
from autograd_core.ops.padding import pad

__all__ = ["LinearCrossEntropyOptions", "bilinear", "grouped_mm", "linear", "linear_cross_entropy"]


# --- groups ----------------------------------------------------------------------------------------------------------


def grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Tensor:
    """Products of pairs of matrices: 3-axis arguments hold one for each group, those of 2 axes are cut at `offs`.

    offs[g] is where group g ends.  (M, K) with (G, K, N) is cut along M, (G, M, K) with (K, N) along N, and (M, K) with
    (K, N) along K, which gives (G, M, N).  What lies beyond the last end is 0, or left out of the sums.
    """
    kinds = mat_a.ndim, mat_b.ndim
    if not set(kinds) <= {2, 3} or mat_a.shape[-1] != mat_b.shape[-2]:
        shapes = f"{tuple(mat_a.shape)} and {tuple(mat_b.shape)}"
        raise ValueError(f"grouped_mm: needs matrices (M, K) and (K, N), or groups of such, got shapes {shapes}")
    if (offs is None) is not (kinds == (3, 3)):
        raise ValueError("grouped_mm: offs says where matrices of 2 axes are cut; give it if and only if there is one")
    y = matmul(mat_a, mat_b) if offs is None else _cut_products(mat_a, mat_b, offs)
    y = y if bias is None else y + bias
    return y if out_dtype is None else y.astype(np.dtype(out_dtype))


def _cut_products(a: Tensor, b: Tensor, offs: Any) -> Tensor:
    length = {(2, 3): a.shape[0], (3, 2): b.shape[-1], (2, 2): a.shape[-1]}[a.ndim, b.ndim]
    ranges = list(_ranges(offs, length, {(2, 3): b.shape[0], (3, 2): a.shape[0]}.get((a.ndim, b.ndim))))
    if a.ndim == b.ndim == 2:
        return stack([matmul(a[:, r], b[r]) for r in ranges])
    rest = length - ranges[-1].stop
    if a.ndim == 2:
        return pad(cat([matmul(a[r], part) for r, part in zip(ranges, b.unbind(0))]), (0, 0, 0, rest))
    return pad(cat([matmul(part, b[:, r]) for r, part in zip(ranges, a.unbind(0))], 1), (0, rest))


def _ranges(offs: Any, length: int, count: int | None) -> Iterator[slice]:
    ends = innermost_of(offs, "grouped_mm: offs").tolist()
    if count not in (None, len(ends)) or not ends or [0, *ends] != sorted([0, *ends]) or ends[-1] > length:
        groups = "" if count is None else f"{count} "
        raise ValueError(f"grouped_mm: offs must be {groups}ends that do not fall, up to {length}, got {ends}")
    return map(slice, [0, *ends], ends)


# --- a head and its loss ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """How linear_cross_entropy cuts the batch into chunks, so that the scores of no more than one exist at a time.

    The scores are computed again for the gradients, which may be taken any number of times and be differentiated.
    `batch_chunk_size` is a number of rows.  Without it "aspect_ratio:n" chooses one for which the scores of a chunk take
    an n-th of the memory of the input; "auto" is "aspect_ratio:2".  What else PyTorch lets one choose (what may be kept
    between the passes, and the types of sums on the way) makes no difference here.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        name, _, parts = (self.chunking_method or "auto").partition(":")
        if name not in ("auto", "aspect_ratio") or parts and not (parts.isdigit() and int(parts)):
            raise ValueError(
                f"chunking_method must be 'aspect_ratio' or 'aspect_ratio:2', got {self.chunking_method!r}"
            )
        size = self.batch_chunk_size
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f"batch_chunk_size must be a positive number of rows, got {size!r}")
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"acc_policy must be auto, accurate, balanced or compact, got {self.acc_policy!r}")

    def rows(self, batch: int, features: int, classes: int) -> int:
        """How many rows a chunk has."""
        if self.batch_chunk_size is not None or self.chunking_method is None:
            return self.batch_chunk_size or max(batch, 1)
        parts = 2 if self.chunking_method == "auto" else int(self.chunking_method.partition(":")[2] or 1)
        same_memory = math.ceil(batch / math.ceil(classes / features))
        return max(1, min(batch, (1 << max(same_memory - 1, 0).bit_length()) // parts))


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target): input (N, F) or (F), linear_weight (C, ..., F).

    With `options` and whole-number targets, chunk by chunk.
    """
    classes, *places, features = linear_weight.shape
    lead = tuple(input.shape[:-1])
    if input.ndim not in (1, 2) or input.shape[-1] != features or places and not lead:
        given = f"{tuple(input.shape)} and {tuple(linear_weight.shape)}"
        raise ValueError(f"linear_cross_entropy: needs input (N, F) and linear_weight (C, ..., F), got {given}")
    if ignore_index is not None and tuple(target.shape) == (*lead, classes, *places):
        raise ValueError("linear_cross_entropy: ignore_index is a class, and the target holds probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    if options is not None and not places and lead and not label_smoothing and target.dtype.kind in "iu":
        return _in_chunks(input, linear_weight, linear_bias, target, weight, reduction, ignored, options)
    flat = linear_bias if linear_bias is None else linear_bias.reshape(-1)
    scores = linear(input, linear_weight.reshape(-1, features), flat).reshape(*lead, classes, *places)
    how: dict[str, Any] = {"reduction": reduction, "ignore_index": ignored, "label_smoothing": label_smoothing}
    return cross_entropy(scores, target, weight, **how)


def _in_chunks(
    x: Tensor, w: Tensor, bias: Any, target: Any, weight: Any, reduction: str, ignored: int, options: Any
) -> Any:
    rows = options.rows(len(x), x.shape[1], w.shape[0])
    how = "none" if reduction == "none" else "sum"

    def loss(x: Tensor, w: Tensor, bias: Any, target: Any) -> Tensor:
        return cross_entropy(linear(x, w, bias), target, weight, reduction=how, ignore_index=ignored)

    starts = range(0, max(len(x), 1), rows)
    parts = [checkpoint(loss, x[s : s + rows], w, bias, target[s : s + rows]) for s in starts]
    if reduction == "none":
        return cat(parts)
    total = sum(parts[1:], parts[0])
    if reduction == "sum":
        return total
    counted = target != ignored
    return total / (counted.sum() if weight is None else (weight[target * counted] * counted).sum())
