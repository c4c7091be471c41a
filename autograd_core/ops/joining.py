"""Several tensors as one: stacked, one after the other, side by side, on a diagonal, combined."""

from __future__ import annotations

from math import prod
from typing import Any

from .arguments import sequence
from .arranging import cat_along, put_block, reshape_to, stack_along, without
from .axes import one_axis
from .base import broadcast_to as spread_to
from .shape import atleast_1d, atleast_2d, atleast_3d

__all__ = [
    "block_diag", "cartesian_prod", "cat", "column_stack", "concat", "concatenate", "dstack", "hstack", "row_stack",
    "stack", "vstack",
]  # fmt: skip


def stack(tensors, dim=0):
    """Tensors of one shape along a new axis."""
    tensors = sequence(tensors, "stack")
    if any(x.shape != tensors[0].shape for x in tensors):
        raise ValueError(
            f"stack: all tensors must have one shape, got {', '.join(dict.fromkeys(str(x.shape) for x in tensors))}"
        )
    return stack_along(*tensors, axis=one_axis(tensors[0].ndim + 1, dim, "stack"))


def cat(tensors, dim=0):
    """Tensors one after the other along an axis; they differ at most in its length."""
    return joined(tensors, dim, "cat")


def concat(tensors, dim=0):
    """Tensors one after the other along an axis."""
    return joined(tensors, dim, "concat")


def concatenate(tensors, dim=0):
    """Tensors one after the other along an axis."""
    return joined(tensors, dim, "concatenate")


def joined(tensors: Any, dim: Any, name: str) -> Any:
    """Tensors one after the other; as in PyTorch, empty vectors are left out among tensors with more axes."""
    tensors = sequence(tensors, name)
    if any(x.ndim == 0 for x in tensors):
        raise ValueError(f"{name}: tensors without axes cannot be joined; use stack, or hstack")
    full = [x for x in tensors if x.shape != (0,)] or tensors
    axis = one_axis(full[0].ndim, dim, name)
    if any(x.ndim != full[0].ndim or without(x.shape, axis) != without(full[0].shape, axis) for x in full):
        raise ValueError(
            f"{name}: shapes may differ only along axis {dim}, got {', '.join(str(x.shape) for x in full[:8])}"
        )
    return cat_along(*full, axis=axis)


def hstack(tensors):
    """Tensors one after the other along the second axis (vectors along their only one)."""
    tensors = atleast_1d(sequence(tensors, "hstack"))
    return joined(tensors, 0 if tensors[0].ndim == 1 else 1, "hstack")


def vstack(tensors):
    """Tensors on top of each other; vectors are rows."""
    return joined(atleast_2d(sequence(tensors, "vstack")), 0, "vstack")


def row_stack(tensors):
    """Tensors on top of each other; vectors are rows."""
    return joined(atleast_2d(sequence(tensors, "row_stack")), 0, "row_stack")


def dstack(tensors):
    """Tensors one after the other along the third axis."""
    return joined(atleast_3d(sequence(tensors, "dstack")), 2, "dstack")


def column_stack(tensors):
    """Tensors side by side; vectors and numbers are columns."""
    columns = [reshape_to(x, shape=(prod(x.shape), 1)) if x.ndim < 2 else x for x in sequence(tensors, "column_stack")]
    return joined(columns, 1, "column_stack")


def block_diag(*tensors):
    """Matrices along the diagonal of a larger one, zero elsewhere."""
    blocks = atleast_2d(sequence(tensors, "block_diag"))
    if any(x.ndim > 2 for x in blocks):
        raise ValueError(
            f"block_diag: expected tensors with at most 2 axes, got {', '.join(str(x.shape) for x in blocks)}"
        )
    total, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(put_block(x, shape=(x.shape[0], total), index=(..., slice(before, before + x.shape[1]))))
        before += x.shape[1]
    return cat_along(*rows, axis=-2)


def cartesian_prod(*tensors):
    """All combinations of one entry of each vector, as rows."""
    vectors = sequence(tensors, "cartesian_prod")
    if any(x.ndim > 1 for x in vectors):
        raise ValueError(f"cartesian_prod: expected vectors, got shapes {', '.join(str(x.shape) for x in vectors)}")
    if len(vectors) == 1:
        return vectors[0]
    vectors = atleast_1d(vectors)
    sizes = tuple(x.shape[0] for x in vectors)
    lifted = [
        reshape_to(x, shape=tuple(n if j == k else 1 for j, n in enumerate(sizes))) for k, x in enumerate(vectors)
    ]
    grid = stack_along(*[spread_to(x, shape=sizes) for x in lifted], axis=-1)
    return reshape_to(grid, shape=(prod(sizes), len(sizes)))
