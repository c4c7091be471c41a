"""Products of simple factors that matrices are taken apart into: Cholesky, QR, LU, reflections."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...kernels import linalg as kernels
from ...op import op
from ...samples import shapes
from ..arranging import cat_along, view_at
from ..base import masked
from ..products import adjoint, product
from .matrices import checked, empty, half_upper, leading_columns, matrices, part, per_matrix, plus, tril, triu
from .systems import solved, triangular

# --- Cholesky --------------------------------------------------------------------------------------------------------


def _of_cholesky(g, y):
    middle = adjoint(half_upper(product(adjoint(g), y)))
    inner = triangular(
        adjoint(y), adjoint(triangular(adjoint(y), adjoint(middle), upper=True, unit=False)), upper=True, unit=False
    )
    return (inner + adjoint(inner)) / 2


# Hermitian arguments are read whole in the samples, so that differences see what the rule says: the symmetric gradient.
@op(
    _of_cholesky,
    trailing=True,
    samples=shapes("n n:spd | b n n:spd | n n:hermitian_spd", read=["LU"]),
    name="cholesky",
)
def cholesky_factor(x, *, read="L", strict=True):
    """The lower triangular L with L @ L.mH = x; where there is none an error, or inf unless `strict`."""
    x = (x + kernels.adjoint(x)) / 2 if read == "LU" else x
    if not strict:
        return kernels.each(np.linalg.cholesky, x)[0]
    return checked("cholesky", np.linalg.cholesky, x, what="not positive definite")


@op(differentiable=False, trailing=True)
def failing_minor(x):
    """The order of the first leading part that is not positive definite; 0 of matrices that are."""
    info = np.zeros(x.shape[:-2], np.int32)
    fails = lambda a: kernels.each(np.linalg.cholesky, a)[1] is not None
    if fails(x):
        for place in np.ndindex(info.shape):
            orders = range(1, x.shape[-1] + 1) if fails(x[place]) else ()
            info[place] = next((k for k in orders if fails(x[place][:k, :k])), 0)
    return info


class CholeskyResult(NamedTuple):
    L: Any
    info: Any


def cholesky(A, *, upper=False):
    """The lower triangular L with positive diagonal and L @ L.mH = A, or L.mH if `upper`; A is positive definite."""
    matrices("cholesky", square=True, A=A)
    return adjoint(cholesky_factor(adjoint(A))) if upper else cholesky_factor(A)


def cholesky_ex(A, *, upper=False, check_errors=False):
    """The factor, inf where there is none, and the order of the leading part that is not positive definite, or 0."""
    matrices("cholesky_ex", square=True, A=A)
    a = adjoint(A) if upper else A
    low = cholesky_factor(a, strict=bool(check_errors))
    return CholeskyResult(adjoint(low) if upper else low, failing_minor(a))


# --- QR --------------------------------------------------------------------------------------------------------------


def _of_qr(g, y, x_shape, mode):
    """LAPACK makes the diagonal of R real, which fixes all phases."""
    gq, gr = g
    q, r = y
    m, n = x_shape[-2:]
    k = min(m, n)
    q, gq = leading_columns(q, gq, k)
    r, gr = part(r, slice(k), slice(None)), None if gr is None else part(gr, slice(k), slice(None))
    tail = None
    if n > k and gr is not None:
        r2, gr2, gr = (
            part(r, slice(None), slice(k, None)),
            part(gr, slice(None), slice(k, None)),
            part(gr, slice(None), slice(k)),
        )
        tail, gq = product(q, gr2), plus(gq, product(product(q, r2), adjoint(gr2)))
    r = part(r, slice(None), slice(k))
    of_r = None if gr is None else product(triu(gr), adjoint(r))
    middle = half_upper(plus(of_r, None if gq is None else -product(adjoint(q), gq)))
    x = plus(gq, product(q, middle + adjoint(middle)))
    x = adjoint(triangular(r, adjoint(x), upper=True, unit=False))
    if n == k:
        return x
    return cat_along(x, tail if tail is not None else np.zeros((*x.shape[:-1], n - k), x.dtype), axis=-1)


@op(
    _of_qr,
    trailing=True,
    outputs=2,
    samples=[
        shapes(
            "3 2:spread | 2 3:spread | b 2 2:spread | n n:invertible | 1 3:nonzero | 3 1:nonzero | 0 2",
            mode=["reduced"],
        ),
        shapes("2 3:complex_invertible | 3 2:complex_invertible", mode=["reduced"]),
    ],
    name="qr",
)
def orthogonal_triangular(x, *, mode):
    """Q with orthonormal columns and upper triangular R with Q @ R = x."""
    return tuple(np.linalg.qr(x, mode=mode))


class QRResult(NamedTuple):
    Q: Any
    R: Any


def qr(A, mode="reduced"):
    """Orthonormal columns Q and upper triangular R with Q @ R = A; "complete" makes Q square, "r" leaves it out."""
    matrices("qr", A=A)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    q, r = orthogonal_triangular(A, mode="complete" if mode == "complete" else "reduced")
    return QRResult(empty(A) if mode == "r" else q, r)


def householder_product(A, tau):
    """The first columns of the product of reflections, with factors tau and vectors from below the diagonal of A."""
    matrices("householder_product", A=A)
    m, n = A.shape[-2:]
    k = tau.shape[-1]
    if m < n or k > n or tuple(tau.shape[:-1]) != tuple(A.shape[:-2]):
        raise ValueError(
            "householder_product: needs A (..., m, n) and tau (..., k) with m >= n >= k, "
            f"got {tuple(A.shape)} and {tuple(tau.shape)}"
        )
    vectors, q = tril(A, -1) + np.eye(m, n, dtype=A.dtype), np.eye(m, n, dtype=A.dtype)
    for i in reversed(range(k)):
        v = part(vectors, slice(None), slice(i, i + 1))
        q = q - per_matrix(view_at(tau, index=(..., i))) * product(v, product(adjoint(v), q))
    return masked(A, np.False_) + q


# --- LU --------------------------------------------------------------------------------------------------------------


def _of_lu(g, y, x_shape):
    """In the order of the exchanged rows: the square part first, then the columns or rows beyond it."""
    both, (m, n) = y[0], x_shape[-2:]
    k = min(m, n)
    square, all_of = slice(k), slice(None)
    low, up = tril(part(both, all_of, square), -1) + np.eye(m, k, dtype=both.dtype), triu(part(both, square, all_of))
    g_low, g_up = part(g[0], all_of, square), part(g[0], square, all_of)
    low1, up1 = part(low, square, all_of), part(up, all_of, square)
    under = lambda x: triangular(adjoint(low1), x, upper=True, unit=True)
    over = lambda x: adjoint(triangular(up1, adjoint(x), upper=True, unit=False))
    g_low1, g_up1 = part(g_low, square, all_of), part(g_up, all_of, square)
    if n > k:
        right = under(part(g_up, all_of, slice(k, None)))
        g_low1 = tril(g_low1, -1) - product(right, adjoint(part(up, all_of, slice(k, None))))
    if m > k:
        below = over(part(g_low, slice(k, None), all_of))
        g_up1 = triu(g_up1) - product(adjoint(part(low, slice(k, None), all_of)), below)
    inner = tril(product(adjoint(low1), tril(g_low1, -1)), -1) + triu(product(triu(g_up1), adjoint(up1)))
    x = over(under(inner))
    x = cat_along(x, right, axis=-1) if n > k else x
    x = cat_along(x, below, axis=-2) if m > k else x
    return product(permutation(y[1], size=m, dtype=both.dtype), x)


@op(
    _of_lu,
    trailing=True,
    outputs=2,
    samples="n n:invertible | b n n:invertible | 2 3:spread | 3 2:spread | 0 2 | 2 2:complex_invertible | 35 34:spread",
    name="lu",
)
def eliminated(x):
    """L and U of the matrix with exchanged rows in one matrix, and the row that each row was exchanged with, from 1."""
    return kernels.lu(x)


@op(differentiable=False, trailing=True)
def permutation(pivots, *, size, dtype):
    """The matrix P with P @ L @ U = A, from the exchanges."""
    return np.swapaxes(np.eye(size, dtype=dtype)[kernels.row_order(pivots, size)], -1, -2)


class LUResult(NamedTuple):
    P: Any
    L: Any
    U: Any


class LUFactorResult(NamedTuple):
    LU: Any
    pivots: Any


def lu_factor(A, *, pivot=True):
    """L (below its diagonal of ones) and U of P.mT @ A in one matrix, and the row exchanges as LAPACK counts them."""
    matrices("lu_factor", A=A)
    if not pivot:
        raise ValueError("lu_factor: pivot=False is not supported: rows are always exchanged")
    return LUFactorResult(*eliminated(A))


def lu(A, *, pivot=True):
    """A permutation P, a lower triangular L with ones on the diagonal and an upper triangular U with P @ L @ U = A."""
    matrices("lu", A=A)
    if not pivot:
        raise ValueError("lu: pivot=False is not supported: rows are always exchanged")
    both, pivots = eliminated(A)
    m, n = A.shape[-2:]
    k = min(m, n)
    low = tril(part(both, slice(None), slice(k)), -1) + np.eye(m, k, dtype=A.dtype)
    return LUResult(permutation(pivots, size=m, dtype=A.dtype), low, triu(part(both, slice(k), slice(None))))


def lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """Solve with what `lu_factor` gave: A @ X = B, X @ A = B unless `left`, with A.mH for A if `adjoint`."""
    matrices("lu_solve", square=True, LU=LU)
    matrices("lu_solve", B=B)
    return solved("lu_solve", LU, B, left, lambda a, b: _lu_solved(a, pivots, b, left, adjoint))


def _lu_solved(a: Any, pivots: Any, b: Any, left: bool, conjugate: bool) -> Any:
    p = permutation(pivots, size=a.shape[-1], dtype=a.dtype)
    if not left:
        return adjoint(_lu_solved(a, pivots, adjoint(b), True, not conjugate))
    if not conjugate:
        return triangular(a, triangular(a, product(p.mT, b), upper=False, unit=True), upper=True, unit=False)
    a = adjoint(a)
    return product(p, triangular(a, triangular(a, b, upper=False, unit=False), upper=True, unit=True))
