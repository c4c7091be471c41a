"""Reductions."""

from __future__ import annotations

import numpy as np

from ..op import op
from ..samples import shapes
from .axes import all_axes
from .shape import expand_dims

__all__ = ["sum"]


def spread(g, axis, keepdims):
    """The cotangent of a reduction with the reduced axes back at length one; the engine spreads it."""
    return g if keepdims else expand_dims(g, axis=axis)


@op(
    lambda g, axis, keepdims: spread(g, axis, keepdims),
    linear=True,
    trailing=True,
    samples=shapes("n m", axis=[(-1,), (-2, -1), ()], keepdims=[True, False]),
)
def reduce_sum(x, *, axis, keepdims=False):
    """The sum over some axes."""
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def sum(x, dim=None, keepdim=False, *, dtype=None):
    """The sum of all entries, or along `dim`."""
    x = x if dtype is None else x.astype(dtype)
    return reduce_sum(x, axis=all_axes(x.ndim, dim, "sum"), keepdims=keepdim)
