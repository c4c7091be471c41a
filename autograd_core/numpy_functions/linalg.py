"""What stands in for the functions of `np.linalg`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..ops import linalg as ours
from ..vmap import Batched
from . import products, reductions, shapes
from .operands import F, common, inexact, operand, plain

# --- decompositions --------------------------------------------------------------------------------------------------


def cholesky(a, upper=False):
    factor = ours.cholesky(inexact(a))
    return F.conj(F.swapaxes(factor, -1, -2)) if upper else factor


def qr(a, mode="reduced"):
    if mode not in ("reduced", "complete", "r"):
        raise TypeError(f"numpy.linalg.qr with mode={mode!r} is not covered; use t.detach().numpy() to leave the tape")
    if mode == "r":
        return ours.qr(inexact(a), "reduced")[1]
    return np.linalg.qr(np.ones((1, 1)))._make(ours.qr(inexact(a), mode))


def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    x = inexact(a)
    if not compute_uv:
        return svdvals(x)
    return np.linalg.svd(np.ones((1, 1)))._make(ours.svd(x, full_matrices=full_matrices))


def svdvals(x):
    return ours.svdvals(inexact(x))


def eigh(a, UPLO="L"):
    return np.linalg.eigh(np.ones((1, 1)))._make(ours.eigh(inexact(a), UPLO=UPLO.upper()))


def eigvalsh(a, UPLO="L"):
    return ours.eigvalsh(inexact(a), UPLO=UPLO.upper())


_REAL_RESULTS = np.lib.NumpyVersion(np.__version__) < "2.5.0"  # later ones are always complex


def real_if_possible(x: Any, *results: Any) -> tuple:
    """Real results where the eigenvalues of a real matrix are all real, as NumPy has it."""
    possible = _REAL_RESULTS and x.dtype.kind == "f" and not isinstance(x, Batched)
    is_real = possible and (plain(results[0]).imag == 0).all()
    return tuple(F.real(r) if is_real else r for r in results)


def eig(a):
    x = inexact(a)
    return np.linalg.eig(np.ones((1, 1)))._make(real_if_possible(x, *ours.eig(x)))


def eigvals(a):
    x = inexact(a)
    return real_if_possible(x, ours.eigvals(x))[0]


# --- solving ---------------------------------------------------------------------------------------------------------


def inv(a):
    return ours.inv(inexact(a))


def solve(a, b):
    a, b = common(inexact(a), inexact(b))
    return ours.solve(a, b.reshape((-1, 1)))[..., 0] if b.ndim == 1 else ours.solve(a, b)


def lstsq(a, b, rcond=None):
    a, b = common(inexact(a), inexact(b))
    m, n = a.shape
    values = np.linalg.svd(plain(a), compute_uv=False) if min(m, n) else np.zeros(0)
    rcond = np.finfo(a.dtype).eps * max(m, n) if rcond is None else rcond
    rank = int((values > rcond * values.max(initial=0)).sum())
    x = F.matmul(ours.pinv(a, rtol=float(rcond)), b)
    apart = F.matmul(a, x) - b
    residuals = F.sum((F.conj(apart) * apart).real, dim=0) if rank == n < m else np.zeros(0, values.dtype)
    return x, residuals.reshape((1,)) if residuals.ndim == 0 else residuals, rank, svdvals(a)


def pinv(a, rcond=None, hermitian=False, rtol=None):
    x = inexact(a)
    if rcond is None:
        rcond = 1e-15 if rtol is None else rtol
    return ours.pinv(x, rtol=rcond, hermitian=hermitian)


def matrix_power(a, n):
    x = operand(a)
    return ours.matrix_power(x if n >= 0 else inexact(x), n)


def multi_dot(arrays):
    return ours.multi_dot(common(*map(operand, arrays)))


def tensorinv(a, ind=2):
    return ours.tensorinv(inexact(a), ind)


def tensorsolve(a, b, axes=None):
    a, b = common(inexact(a), inexact(b))
    if axes is not None:
        axes = normalize_axis_tuple(axes, a.ndim)
        a = F.permute(a, tuple(i for i in range(a.ndim) if i not in axes) + axes)
    return ours.tensorsolve(a, b)


# --- numbers of a matrix ---------------------------------------------------------------------------------------------


def det(a):
    return ours.det(inexact(a))


def slogdet(a):
    return np.linalg.slogdet(np.ones((1, 1)))._make(ours.slogdet(inexact(a)))


def cond(x, p=None):
    x = inexact(x)
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(ours.inv(x), p, (-2, -1))


def matrix_rank(A, tol=None, hermitian=False, rtol=None):
    return np.linalg.matrix_rank(plain(A), tol, hermitian, rtol=rtol)


def norm(x, ord=None, axis=None, keepdims=False):
    x = inexact(x)
    if axis is None and ord is None:
        y = ours.vector_norm(x.reshape((-1,)), 2)
        return y.reshape((1,) * x.ndim) if keepdims else y
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        return vector_norm(x, axes[0], keepdims, 2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"norm: needs one or two axes, got {len(axes)}")
    return norm_of_matrices(x, "fro" if ord is None else ord, axes, keepdims)


def norm_of_matrices(x: Any, ord: Any, axes: tuple, keepdims: bool) -> Any:
    if ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(f"norm: matrices have no norm {ord!r}; use 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    if ord == "fro":
        return ours.vector_norm(x, 2, axes, keepdims)
    y = ours.matrix_norm(F.movedim(x, axes, (-2, -1)), ord)
    return shapes.expand_dims(y, axes) if keepdims else y


def matrix_norm(x, keepdims=False, ord="fro"):
    return norm_of_matrices(inexact(x), ord, (operand(x).ndim - 2, operand(x).ndim - 1), keepdims)


def vector_norm(x, axis=None, keepdims=False, ord=2):
    x = inexact(x)
    one = lambda v, _: ours.vector_norm(v, ord, -1)
    return reductions.along(one, x, axis, keepdims)


def trace(x, offset=0, dtype=None):
    return products.trace(x, offset, -2, -1, dtype)


def diagonal(x, offset=0):
    return shapes.diagonal(x, offset, -2, -1)


# --- products --------------------------------------------------------------------------------------------------------


def cross(x1, x2, axis=-1):
    return products.cross(x1, x2, axis=axis)


def outer(x1, x2):
    if operand(x1).ndim != 1 or operand(x2).ndim != 1:
        raise ValueError(f"outer: needs two vectors, got shapes {operand(x1).shape} and {operand(x2).shape}")
    return products.outer(x1, x2)


def matmul(x1, x2):
    return F.matmul(*common(x1, x2))


def vecdot(x1, x2, axis=-1):
    a, b = common(x1, x2)
    return F.sum(F.conj(a) * b, dim=axis) if axis == -1 else vecdot(F.movedim(a, axis, -1), F.movedim(b, axis, -1))


matrix_transpose, tensordot = shapes.matrix_transpose, products.tensordot
