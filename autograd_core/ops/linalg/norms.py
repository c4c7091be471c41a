"""Norms of vectors and of matrices, and condition numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arranging import expand_dims, view_at
from ..axes import all_axes
from ..base import real
from ..reduce import amax, amin, reduce_norm, reduce_sum, rounded_once
from ..shape import movedim
from .matrices import matrices, numbers
from .spectra import svdvals
from .systems import inverse_of


@rounded_once
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors along `dim` (of all entries by default); its gradient at zero is zero."""
    numbers("vector_norm", "x", x)
    if not isinstance(ord, (int, float)):
        raise TypeError(f"vector_norm: ord must be a number, got {ord!r}")
    x = x if dtype is None else x.astype(dtype)
    axis = tuple(sorted(all_axes(x.ndim, None if dim == () else dim, "vector_norm")))
    if (ord < 0 or ord == math.inf) and any(x.shape[a] == 0 for a in axis):
        raise ValueError(
            f"vector_norm: there is no norm of order {ord} of no entries; x is {tuple(x.shape)}, dim is {dim}"
        )
    return reduce_norm(x, p=float(ord), axis=axis, keepdims=bool(keepdim))


_MATRIX_ORDERS = ("fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The norm of matrices: Frobenius, nuclear, or largest (-: smallest) column sum (1), row sum (inf), stretch (2)."""
    if ord not in _MATRIX_ORDERS:
        raise ValueError(f"matrix_norm: ord must be one of 'fro', 'nuc', inf, -inf, 1, -1, 2, -2, got {ord!r}")
    axes = all_axes(A.ndim, dim, "matrix_norm") if A.ndim > 1 else ()
    if len(axes) != 2:
        raise ValueError(f"matrix_norm: needs two different axes, got dim={dim} for shape {tuple(A.shape)}")
    A = A if dtype is None else A.astype(dtype)
    if ord == "fro" and A.dtype == np.float16:
        return vector_norm(A, 2.0, axes, keepdim)
    numbers("matrix_norm", "A", A)
    if ord == "fro":
        return reduce_norm(A, p=2.0, axis=axes, keepdims=bool(keepdim))
    y = _norm_of(movedim(A, axes, (-2, -1)), ord)
    return expand_dims(y, axis=tuple(sorted(axes))) if keepdim else y


def _norm_of(x: Any, order: Any) -> Any:
    """A norm of matrices, over the last two axes."""
    if order == "nuc":
        return reduce_sum(svdvals(x), axis=(-1,))
    extreme = amin if order < 0 else amax
    if abs(order) == 2:
        sizes = svdvals(x)
    else:
        sizes = reduce_norm(x, p=1.0, axis=(-2,) if abs(order) == 1 else (-1,), keepdims=False)
    return extreme(sizes, -1) if sizes.shape[-1] or order < 0 else reduce_sum(sizes, axis=(-1,))  # 0 of no entries


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors (one axis, or all entries if `ord` is not given) or of matrices (two axes)."""
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if isinstance(ord, str) and not (pair or (dim is None and A.ndim == 2)):
        raise ValueError(f"norm: ord {ord!r} is for matrices; give two axes, got dim={dim} for shape {tuple(A.shape)}")
    if ord is not None and dim is None and A.ndim not in (1, 2):
        raise ValueError(f"norm: with ord and without dim, A must have one or two axes, got shape {tuple(A.shape)}")
    if ord is not None and (pair or (dim is None and A.ndim == 2)):
        return matrix_norm(A, ord, dim if pair else (-2, -1), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def cond(A, p=None):
    """The condition number: the norm of A times that of its inverse."""
    matrices("cond", square=p not in (None, 2, -2), A=A)
    if p not in (None, *_MATRIX_ORDERS):
        raise ValueError(f"cond: p must be None, 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2, got {p!r}")
    if 0 in A.shape[-2:]:
        return real(reduce_sum(A, axis=(-2, -1)))  # 0, as in PyTorch
    if p in (None, 2, -2):
        s = svdvals(A)
        first, last = view_at(s, index=(..., 0)), view_at(s, index=(..., -1))
        return last / first if p == -2 else first / last
    return matrix_norm(A, p) * matrix_norm(inverse_of(A, strict=False), p)
