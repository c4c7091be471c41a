"""Parts of tensors: slices, pieces and windows of an axis, diagonals and triangles, as views wherever that can be."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import REGISTRY, Traced
from .arguments import integer, integers, needs_axes
from .arranging import along, diagonal_of, put_diagonal, reshape_to, split_at, triangle, unbind_at, view_at, windows
from .axes import one_axis
from .base import clone, put_view
from .shape import ravel

__all__ = [
    "chunk", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "dsplit", "hsplit", "narrow", "select",
    "select_scatter", "slice_scatter", "split", "split_with_sizes", "tensor_split", "tril", "triu", "unbind", "unfold",
    "vsplit",
]  # fmt: skip
INPLACE = ["tril", "triu"]


# --- along an axis ---------------------------------------------------------------------------------------------------


def narrow(x, dim, start, length):
    """`length` entries of an axis from `start` on, as a view."""
    axis, start, length = (
        one_axis(x.ndim, dim, "narrow"),
        integer(start, "narrow", "start"),
        integer(length, "narrow", "length"),
    )
    needs_axes(x, 1, "narrow")
    size = x.shape[axis]
    first = start + size if start < 0 else start
    if length < 0 or not 0 <= first <= size - length:
        raise IndexError(
            f"narrow: {length} entries from {start} on do not exist on an axis of {size} (shape {x.shape})"
        )
    return view_at(x, index=along(axis, slice(first, first + length)))


def select(x, dim, index):
    """The entries at one place of an axis, as a view."""
    return view_at(x, index=along(*place(x, dim, index, "select")))


def place(x: Any, dim: Any, index: Any, name: str) -> tuple[int, int]:
    """An axis counted from the end and a valid place on it."""
    needs_axes(x, 1, name)
    axis, index = one_axis(x.ndim, dim, name), integer(index, name, "index")
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise IndexError(f"{name}: index {index} is out of range for axis {dim} of shape {x.shape}")
    return axis, index


def part_replaced(x: Any, src: Any, name: str, primitive: str, **params: Any) -> Any:
    """A copy of x with one of its views replaced."""
    wanted = REGISTRY[primitive].forward(np.broadcast_to(np.zeros(()), x.shape), **params).shape
    if src.shape != wanted:
        raise ValueError(f"{name}: src has shape {src.shape}, but the part of {x.shape} it replaces has shape {wanted}")
    return put_view(
        x, src if src.dtype == x.dtype else src.astype(x.dtype), path=((REGISTRY[primitive], params, None),)
    )


def select_scatter(x, src, dim, index):
    """A copy of x with the entries at one place of an axis replaced."""
    return part_replaced(x, src, "select_scatter", "getitem", index=along(*place(x, dim, index, "select_scatter")))


def slice_scatter(x, src, dim=0, start=None, end=None, step=1):
    """A copy of x with a slice of an axis replaced."""
    needs_axes(x, 1, "slice_scatter")
    if step < 1:
        raise ValueError(f"slice_scatter: step must be positive, got {step}")
    axis = one_axis(x.ndim, dim, "slice_scatter")
    return part_replaced(x, src, "slice_scatter", "getitem", index=along(axis, slice(start, end, step)))


def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    """A copy of x with a diagonal replaced."""
    axis1, axis2 = two_axes(x, dim1, dim2, "diagonal_scatter")
    return part_replaced(x, src, "diagonal_scatter", "diagonal", offset=offset, axis1=axis1, axis2=axis2)


def unbind(x, dim=0):
    """The slices along an axis, as views."""
    needs_axes(x, 1, "unbind")
    axis = one_axis(x.ndim, dim, "unbind")
    return unbind_at(x, axis=axis) if x.shape[axis] else ()


def split(x, split_size_or_sections, dim=0):
    """Parts of a given size (the last may be smaller), or of the sizes listed, as views."""
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(x, split_size_or_sections, dim)
    needs_axes(x, 1, "split")
    axis, size = one_axis(x.ndim, dim, "split"), integer(split_size_or_sections, "split", "the size of a part")
    n = x.shape[axis]
    if size < 0 or size == 0 != n:
        raise ValueError(f"split: the size of a part must be positive, got {size}")
    return split_at(x, axis=axis, sizes=tuple(min(size, n - k) for k in range(0, n, size or 1)) or (0,))


def split_with_sizes(x, split_sizes, dim=0):
    """Parts of the sizes listed, as views."""
    needs_axes(x, 1, "split")
    axis, sizes = one_axis(x.ndim, dim, "split"), integers((split_sizes,), "split")
    if sum(sizes) != x.shape[axis] or any(n < 0 for n in sizes):
        raise ValueError(
            f"split: sizes {sizes} must add up to {x.shape[axis]}, the length of axis {dim} of shape {x.shape}"
        )
    return split_at(x, axis=axis, sizes=sizes) if sizes else ()


def chunk(x, chunks, dim=0):
    """At most `chunks` parts of equal size (the last may be smaller), as views."""
    needs_axes(x, 1, "chunk")
    axis, chunks = one_axis(x.ndim, dim, "chunk"), integer(chunks, "chunk", "the number of chunks")
    if chunks < 1:
        raise ValueError(f"chunk: the number of chunks must be positive, got {chunks}")
    n = x.shape[axis]
    return split(x, -(-n // chunks), axis) if n else split_at(x, axis=axis, sizes=(0,) * chunks)


def tensor_split(x, indices_or_sections, dim=0):
    """A number of parts of almost equal size, or parts that end at the indices listed, as views."""
    return parts(x, indices_or_sections, dim, "tensor_split")


def parts(x: Any, where: Any, dim: Any, name: str) -> tuple:
    """Parts of an axis: so many, or ending at these places."""
    needs_axes(x, 1, name)
    axis = one_axis(x.ndim, dim, name)
    n = x.shape[axis]
    where = where.tolist() if isinstance(where, (Traced, np.ndarray)) else where
    if isinstance(where, (tuple, list)):
        ends = [integer(k, name, "an index") for k in where]
    else:
        count = integer(where, name, "the number of parts")
        if count < 1:
            raise ValueError(f"{name}: the number of parts must be positive, got {count}")
        ends = [k * (n // count) + min(k, n % count) for k in range(1, count)]
    spans = [slice(a, b).indices(n)[:2] for a, b in zip([0, *ends], [*ends, n])]
    if spans[0][0] == 0 and all(a <= b for a, b in spans) and all(b == c for (_, b), (c, _) in zip(spans, spans[1:])):
        return split_at(x, axis=axis, sizes=tuple(b - a for a, b in spans))
    return tuple(view_at(x, index=along(axis, slice(a, max(a, b)))) for a, b in spans)


def even_parts(x: Any, where: Any, dim: int, name: str) -> tuple:
    """Parts of an axis; a number of them must divide its length."""
    if not isinstance(where, (tuple, list, Traced, np.ndarray)):
        count = integer(where, name, "the number of parts")
        if count < 1 or x.shape[dim] % count:
            raise ValueError(
                f"{name}: axis {dim} of shape {x.shape} does not split into {count} equal parts; use tensor_split"
            )
    return parts(x, where, dim, name)


def hsplit(x, indices_or_sections):
    """Parts along the second axis (along the first of a vector)."""
    needs_axes(x, 1, "hsplit")
    return even_parts(x, indices_or_sections, 1 if x.ndim > 1 else 0, "hsplit")


def vsplit(x, indices_or_sections):
    """Parts along the first axis."""
    needs_axes(x, 2, "vsplit")
    return even_parts(x, indices_or_sections, 0, "vsplit")


def dsplit(x, indices_or_sections):
    """Parts along the third axis."""
    needs_axes(x, 3, "dsplit")
    return even_parts(x, indices_or_sections, 2, "dsplit")


def unfold(x, dimension, size, step=1):
    """Windows of `size` entries of an axis, every `step` entries, as a last axis; read-only if they overlap."""
    axis, size, step = (
        one_axis(x.ndim, dimension, "unfold"),
        integer(size, "unfold", "size"),
        integer(step, "unfold", "step"),
    )
    lifted = None if x.ndim else reshape_to(x, shape=(1,))
    x = x if lifted is None else lifted
    if not 0 <= size <= x.shape[axis]:
        raise ValueError(f"unfold: windows of {size} do not fit axis {dimension} of shape {x.shape}")
    if step < 1:
        raise ValueError(f"unfold: step must be positive, got {step}")
    y = windows(x, axis=axis, size=size, step=step)
    return y if lifted is None else reshape_to(y, shape=(size,))


# --- diagonals and triangles -----------------------------------------------------------------------------------------


def two_axes(x: Any, dim1: Any, dim2: Any, name: str) -> tuple[int, int]:
    """Two different axes, counted from the end."""
    needs_axes(x, 2, name)
    axis1, axis2 = one_axis(x.ndim, dim1, name), one_axis(x.ndim, dim2, name)
    if axis1 == axis2:
        raise ValueError(f"{name}: dims {dim1} and {dim2} are the same axis of shape {x.shape}")
    return axis1, axis2


def diagonal(x, offset=0, dim1=0, dim2=1):
    """The diagonal of two axes as the last axis, a view."""
    axis1, axis2 = two_axes(x, dim1, dim2, "diagonal")
    return diagonal_of(x, offset=integer(offset, "diagonal", "offset"), axis1=axis1, axis2=axis2)


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    """The last axis as the diagonal of two new ones, zero elsewhere."""
    needs_axes(x, 1, "diag_embed")
    axis1, axis2 = one_axis(x.ndim + 1, dim1, "diag_embed"), one_axis(x.ndim + 1, dim2, "diag_embed")
    if axis1 == axis2:
        raise ValueError(f"diag_embed: dims {dim1} and {dim2} are the same axis")
    if axis1 > axis2:
        axis1, axis2, offset = axis2, axis1, -offset
    shape, n = list(x.shape[:-1]), x.shape[-1] + abs(offset)
    for axis in (axis1, axis2):
        shape.insert(x.ndim + 1 + axis, n)
    return put_diagonal(x, shape=tuple(shape), offset=offset, axis1=axis1, axis2=axis2)


def diag(x, diagonal=0):
    """A vector as the diagonal of a matrix; the diagonal of a matrix as a vector."""
    if x.ndim not in (1, 2):
        raise ValueError(
            f"diag: expected a vector or a matrix, got shape {x.shape}; use diagonal or diag_embed for batches"
        )
    return diag_embed(x, diagonal) if x.ndim == 1 else clone(diagonal_of(x, offset=diagonal, axis1=-2, axis2=-1))


def diagflat(x, offset=0):
    """All entries as the diagonal of a matrix."""
    return diag_embed(ravel(x), offset)


def tril(x, diagonal=0):
    """The lower triangle of matrices, zero elsewhere."""
    needs_axes(x, 2, "tril")
    return triangle(x, k=integer(diagonal, "tril", "diagonal"), lower=True)


def triu(x, diagonal=0):
    """The upper triangle of matrices, zero elsewhere."""
    needs_axes(x, 2, "triu")
    return triangle(x, k=integer(diagonal, "triu", "diagonal"), lower=False)
