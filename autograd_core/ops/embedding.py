"""Embeddings: rows of a table, their sums over bags, and integers as unit vectors.

Two primitives that are each other's adjoint, rows taken and rows added, do everything.  `embed` is the first again with
a gradient that leaves out one row, or divides by how often a row was taken.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import embedding as kernel
from ..op import Traced, op
from ..samples import shapes
from ..tape import no_grad
from ..views import write
from .arguments import bare, differs, innermost_of
from .arranging import along, expand_dims, reshape_to, view_at
from .base import broadcast_to
from .entries import put_entries, take_along, take_entries
from .gather import whole_numbers
from .math import maximum
from .reduce import norm as norm_of
from .shape import ravel

__all__: list[str] = []  # torch.embedding is another function; this one is of torch.nn.functional

NONE = -1  # no row


def _apart(size, values, batched, rows):
    """An index that counts through the tables of all members, one after the other."""
    index = values if batched else broadcast_to(values, shape=(size, *values.shape))
    return index + rows * np.arange(size).reshape(size, *(1,) * (index.ndim - 1))


def _rows_of_batch(size, values, batched, *, skip):
    table, index = values
    if not batched[0]:
        return rows_at(table, index, skip=skip)
    rows, d = table.shape[1:]
    index, skipped = _within(index, rows), index == skip
    y = rows_at(reshape_to(table, shape=(size * rows, d)), _apart(size, index, batched[1], rows), skip=NONE)
    return y if skip < 0 else y * expand_dims(1 - skipped.astype(table.dtype), axis=-1)


def _within(index, rows):
    """The index itself, once it is known to name rows that are there."""
    kernel.require_rows(index, rows)
    return index


@op(
    lambda g, table_shape, index, skip: add_rows(g, index, rows=table_shape[0], skip=skip),
    None,
    linear=True,
    batch=_rows_of_batch,
    samples=shapes("4 3, n:integers(0;4) | 4 2, n m:integers(0;4) | 4 0, n:integers(0;4)", skip=[NONE, 2])
    + shapes("4 3, ():integers(0;4)", skip=[NONE, 2]),
    name="embedding",
)
def rows_at(table, index, *, skip):
    """The rows of a table that an index names, zero where that is `skip`."""
    if index.ndim == 1:
        return kernel.rows_at(table, index, skip)
    return kernel.rows_at(table, index.reshape(-1), skip).reshape(*index.shape, table.shape[1])


def _sums_of_batch(size, values, batched, *, rows, skip):
    x, index = values
    d = x.shape[-1]
    x = x if batched[0] else broadcast_to(x, shape=(size, *x.shape))
    index, skipped = _within(index, rows), index == skip
    if skip >= 0:
        x = x * expand_dims(1 - skipped.astype(x.dtype), axis=-1)
    y = add_rows(x, _apart(size, index, batched[1], rows), rows=size * rows, skip=NONE)
    return reshape_to(y, shape=(size, rows, d))


@op(
    lambda g, index, skip: rows_at(g, index, skip=skip),
    None,
    linear=True,
    batch=_sums_of_batch,
    samples=shapes("n 3, n:integers(0;4) | n m 2, n m:integers(0;4) | n 0, n:integers(0;4)", rows=[4], skip=[NONE, 2])
    + shapes("3, ():integers(0;4)", rows=[4], skip=[NONE, 2]),
)
def add_rows(x, index, *, rows, skip):
    """Zeros of so many rows with those of x added where an index says, except at `skip`."""
    return kernel.add_rows(x.reshape(math.prod(index.shape), x.shape[-1]), index.reshape(-1), rows, skip)


@op(differentiable=False)
def frequencies(index):
    """How often each entry of an array of integers occurs in it."""
    _, places, counts = np.unique(index, return_inverse=True, return_counts=True)
    return counts[places.reshape(index.shape)]


def _thinned(g, index, rows, padding, by_frequency):
    """The cotangent of a table: what arrives for each row, or its mean."""
    g = g / expand_dims(frequencies(index), axis=-1).astype(g.dtype) if by_frequency else g
    return add_rows(g, index, rows=rows, skip=padding)


@op(
    lambda g, table_shape, index, padding, by_frequency: _thinned(g, index, table_shape[0], padding, by_frequency),
    None,
    linear=True,
    batch=lambda size, values, batched, **p: _rows_of_batch(size, values, batched, skip=NONE),
    samples=[shapes("4 3, n m:integers(1;4)", padding=[0], by_frequency=[False])]
    + [lambda rng: ([rng.standard_normal((4, 2)), rng.permutation(4)], {"padding": NONE, "by_frequency": True})],
)
def embed(table, index, *, padding, by_frequency):
    """The rows of a table that an index names; no gradient goes to row `padding`."""
    return kernel.rows_at(table, index.reshape(-1)).reshape(*index.shape, table.shape[1])


# --- functions -------------------------------------------------------------------------------------------------------


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """The rows of `weight` that the integers of `input` name; gradients are dense whatever `sparse` says."""
    index, weight = _checked(input, weight)
    padding = _padding(padding_idx, weight)
    if max_norm is not None:
        _shorten(weight, index, float(max_norm), float(norm_type))
    if padding == NONE and not scale_grad_by_freq:
        return rows_at(weight, index, skip=NONE)
    return embed(weight, index, padding=padding, by_frequency=bool(scale_grad_by_freq))


def _checked(input: Any, weight: Any) -> tuple:
    """Integers and a table, or an error."""
    index = whole_numbers(input, "embedding", "input")
    if not isinstance(weight, (Traced, np.ndarray)) or weight.ndim != 2:
        got = f"shape {tuple(weight.shape)}" if hasattr(weight, "shape") else type(weight).__name__
        raise ValueError(f"embedding: weight must be a matrix with a row for each integer, got {got}")
    return index, weight


def _padding(padding_idx: int | None, weight: Any) -> int:
    """The row that gets no gradient."""
    if padding_idx is None:
        return NONE
    rows = weight.shape[0]
    if not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx is {padding_idx}, but weight has {rows} rows")
    return padding_idx % rows


def _shorten(weight: Any, index: Any, most: float, kind: float) -> None:
    """Scale the rows that will be taken down to a norm, in the weight itself."""
    if differs(index) or differs(weight):
        raise RuntimeError("embedding: max_norm changes weight in place, which vmap cannot do for a batch")
    with no_grad():
        index = innermost_of(index)
        kernel.require_rows(index, weight.shape[0])
        index = np.unique(index)
        rows = take_entries(weight, index, axes=(-2,), after=1)
        length = norm_of(rows, kind, -1, True)
        write(weight, put_entries(weight, rows * (most / maximum(length + 1e-7, most)), index, axes=(-2,), after=1))


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """Sums, means or maxima of embeddings: over the rows of `input`, or over the parts that begin at `offsets`."""
    index, weight = _checked(input, weight)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
    if per_sample_weights is not None and (mode != "sum" or per_sample_weights.shape != index.shape):
        given = f"mode {mode!r}, weights {tuple(per_sample_weights.shape)}, input {tuple(index.shape)}"
        raise ValueError(f"embedding_bag: per_sample_weights go with mode='sum', one for each of input; got {given}")
    bags, count = _bags(index, offsets, include_last_offset)
    index, padding = _first(index, len(bags)), _padding(padding_idx, weight)
    rows = embedding(index, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    kept = (index != padding).astype(weight.dtype)  # padding counts for nothing, whatever stands in its row
    if mode == "max":
        return _largest(rows, kept, bags, count)
    if per_sample_weights is not None:
        kept = kept * _first(per_sample_weights, len(bags))
    if padding_idx is not None or per_sample_weights is not None:
        rows = rows * expand_dims(kept, axis=-1)
    y = add_rows(rows, bags, rows=count, skip=NONE)
    if mode == "sum":
        return y
    return y / maximum(add_rows(expand_dims(kept, axis=-1), bags, rows=count, skip=NONE), 1)


def _bags(index: Any, offsets: Any, include_last: bool) -> tuple[np.ndarray, int]:
    """The number of the bag of each entry, and how many bags there are."""
    if index.ndim == 2 and offsets is None:
        return np.repeat(np.arange(index.shape[0]), index.shape[1]), index.shape[0]
    if index.ndim != 1 or offsets is None:
        given = f"input of shape {tuple(index.shape)}" + (" and offsets" if offsets is not None else " and no offsets")
        raise ValueError(f"embedding_bag: takes input (bags, n), or input (n) with offsets; got {given}")
    offsets = whole_numbers(offsets, "embedding_bag", "offsets")
    offsets = innermost_of(offsets, "embedding_bag: offsets")
    n, starts = index.shape[0], offsets[:-1] if include_last else offsets
    ends = offsets[1:] if include_last else np.append(offsets[1:], n)
    if offsets.ndim != 1 or len(offsets) < include_last or len(offsets) and (offsets[0] or (np.diff(offsets) < 0).any()
        or offsets[-1] > n):  # fmt: skip
        raise ValueError(f"embedding_bag: offsets must begin with 0, not fall, and not exceed {n}, got {offsets!r:.60}")
    return np.repeat(np.arange(len(starts)), ends - starts), len(starts)


def _first(x: Any, count: int) -> Any:
    """The first entries, as a vector."""
    x = ravel(x)
    return x if x.shape[0] == count else view_at(x, index=along(-1, slice(0, count)))


@op(differentiable=False)
def largest_in_bags(rows, kept, bags, *, size):
    """The place of the largest entry of each bag and column, -1 in bags without any."""
    y = np.full((size, rows.shape[1]), -1)
    for i in np.flatnonzero(kept):
        best = y[bags[i]]
        best[...] = np.where((best < 0) | (rows[i] > rows[best, np.arange(len(best))]), i, best)
    return y


def _largest(rows: Any, kept: Any, bags: np.ndarray, count: int) -> Any:
    """The largest entries of each bag, 0 in bags without any."""
    places = largest_in_bags(rows, kept, bags, size=count)
    if 0 in rows.shape:
        return rows_at(rows, np.zeros(count, np.int64), skip=0) if rows.shape[0] else _nothing(rows, count)
    found = take_along(rows, maximum(places, 0), axis=-2)
    return found * (places >= 0).astype(rows.dtype)


def _nothing(rows: Any, count: int) -> Any:
    """Zeros in place of bags that are all empty."""
    return add_rows(rows, np.zeros(0, np.int64), rows=count, skip=NONE)


@op(differentiable=False, elementwise=False, batch=lambda size, values, batched, **p: unit_rows(*values, **p))
def unit_rows(index, *, count, dtype):
    """Zeros with a one at each index, along a new last axis."""
    return (np.expand_dims(index, -1) == np.arange(count)).astype(dtype)


def one_hot(tensor, num_classes=-1):
    """Integers as unit vectors of int64; of as many entries as the largest needs, unless that is given."""
    index = whole_numbers(tensor, "one_hot", "tensor")
    plain = index
    plain = innermost_of(plain) if num_classes == -1 else bare(plain)
    if not plain.size and num_classes <= 0:
        raise ValueError("one_hot: of no integers num_classes cannot be guessed; give it")
    low, high = (plain.min(), plain.max()) if plain.size else (0, -1)
    if low < 0:
        raise ValueError(f"one_hot: classes must not be negative, got {low}")
    if num_classes != -1 and high >= num_classes:
        raise ValueError(f"one_hot: class {high} does not fit num_classes={num_classes}")
    return unit_rows(index, count=int(high) + 1 if num_classes == -1 else num_classes, dtype=np.dtype("int64"))
