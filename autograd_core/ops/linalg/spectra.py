"""Eigenvalues and singular values, with their vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...kernels import linalg as kernels
from ...op import op
from ...samples import shapes
from ..base import conj, imag, real
from ..distances import inverse_or_zero
from ..math import eq, logical_and, ne, where
from ..products import adjoint, product
from .matrices import by_columns, by_rows, diag, diag_of, leading_columns, matrices, plus
from .systems import solution

# --- what they share -------------------------------------------------------------------------------------------------


def over(x: Any, d: Any) -> Any:
    """x / d, with 0 / 0 = 0: nobody has asked for that entry; NaN where only d is zero: there is no answer."""
    return x * where(logical_and(eq(d, 0), ne(x, 0)), math.nan, inverse_or_zero(d))


def gaps(x: Any) -> Any:
    """The matrix with entries x[j] - x[i]."""
    return by_columns(x) - by_rows(x)


def over_gaps(x: Any, gap: Any) -> Any:
    """The entries of x off the diagonal, each over the gap between its two eigenvalues; 0 on the diagonal."""
    return over(x * (1 - np.eye(x.shape[-1], dtype=x.dtype)), gap)


def steady(vectors: Callable, pattern: str, **params: Any) -> Callable:
    """Samples around which LAPACK changes neither signs nor order of the vectors it finds, so that differences make sense."""
    alternatives = shapes(pattern, **params)

    def draw(rng: np.random.Generator) -> tuple[list, dict]:
        while True:
            (x,), chosen = alternatives[rng.integers(len(alternatives))].draw(rng)
            v = vectors(x)
            near = (vectors(x + h * rng.standard_normal(x.shape)) for h in (0.001, 0.004) for _ in range(50))
            if all(((v * w).sum(-2) > 0.5).all() for w in near):
                return [x], chosen

    return draw


# --- of Hermitian matrices -------------------------------------------------------------------------------------------


def _of_eigh(g, y):
    gw, gv = g
    w, v = y
    inner = None if gv is None else over_gaps(product(adjoint(v), gv), gaps(w))
    inner = plus(inner, None if gw is None else diag(gw))
    x = product(product(v, inner), adjoint(v))
    return (x + adjoint(x)) / 2


@op(
    _of_eigh,
    trailing=True,
    outputs=2,
    samples=steady(lambda x: np.linalg.eigh(x + x.mT)[1], "n n:symmetric | b n n:symmetric", read=["LU"]),
    name="eigh",
)
def hermitian_eigen(x, *, read="L"):
    """Eigenvalues in ascending order and orthonormal eigenvectors of Hermitian matrices."""
    return tuple(np.linalg.eigh((x + kernels.adjoint(x)) / 2 if read == "LU" else x, UPLO=read[0]))


def _of_hermitian_values(g, x, read):
    v = hermitian_eigen(x, read=read)[1]
    return product(v * by_columns(g), adjoint(v))


@op(
    _of_hermitian_values,
    trailing=True,
    samples=shapes("n n:symmetric | b n n:symmetric", read=["LU"]),
    name="eigvalsh",
)
def hermitian_values(x, *, read):
    """Eigenvalues of Hermitian matrices: without the vectors they cost a fraction."""
    return np.linalg.eigvalsh((x + kernels.adjoint(x)) / 2 if read == "LU" else x, UPLO=read[0])


class EigResult(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


def eigh(A, UPLO="L"):
    """Eigenvalues in ascending order and orthonormal eigenvectors of Hermitian matrices; one triangle is read."""
    return EigResult(*hermitian_eigen(A, read=_triangle_read("eigh", A, UPLO)))


def eigvalsh(A, UPLO="L"):
    """Eigenvalues of Hermitian matrices in ascending order."""
    return hermitian_values(A, read=_triangle_read("eigvalsh", A, UPLO))


def _triangle_read(name: str, A: Any, UPLO: str) -> str:
    """The triangle to read, "L" or "U"."""
    matrices(name, square=True, A=A)
    if str(UPLO).upper() not in ("L", "U"):
        raise ValueError(f"{name}: UPLO must be 'L' or 'U', got {UPLO!r}")
    return UPLO.upper()


# --- of square matrices ----------------------------------------------------------------------------------------------


def _of_eigen(g, y):
    """Of the vectors only their length is fixed; dividing by the gaps undoes the mixing among them."""
    gw, gv = g
    w, v = y
    inner = None if gw is None else diag(gw)
    if gv is not None:
        k = product(adjoint(v), gv)
        along = product(adjoint(v), v) * by_columns(real(diag_of(k)))
        inner = plus(inner, over_gaps(k - along, conj(gaps(w))))
    return solution(adjoint(v), product(inner, adjoint(v)))


# Samples with real eigenvalues: the phases of complex vectors are LAPACK's choice, which no rule can know.
@op(
    _of_eigen,
    trailing=True,
    outputs=2,
    samples=steady(lambda x: np.linalg.eig(x)[1].real, "n n:spread | b n n:spread"),
    name="eig",
)
def eigen(x):
    """Eigenvalues and eigenvectors of length one, always complex."""
    w, v = np.linalg.eig(x)
    dtype = np.result_type(x.dtype, np.complex64)
    return w.astype(dtype, copy=False), v.astype(dtype, copy=False)


def eig(A):
    """Eigenvalues and eigenvectors of square matrices, always complex."""
    matrices("eig", square=True, A=A)
    return EigResult(*eigen(A))


def eigvals(A):
    """Eigenvalues of square matrices, always complex."""
    matrices("eigvals", square=True, A=A)
    return eigen(A)[0]


# --- singular values -------------------------------------------------------------------------------------------------


def _of_svd(g, y, x_shape, full_matrices):
    gu, gs, gvh = g
    u, s, vh = y
    k = min(x_shape[-2:])
    gv, v = None if gvh is None else adjoint(gvh), adjoint(vh)
    if full_matrices:
        (u, gu), (v, gv) = leading_columns(u, gu, k), leading_columns(v, gv, k)
    inner, outside = None if gs is None else diag(gs), None
    gap = gaps(s) * (by_columns(s) + by_rows(s))
    for vectors, grad, is_left in ((u, gu, True), (v, gv, False)):
        if grad is None:
            continue
        w = product(adjoint(vectors), grad)
        turn = over_gaps(w, gap)
        inner = plus(inner, (turn + adjoint(turn)) * (by_columns(s) if is_left else by_rows(s)))
        if w.dtype.kind == "c":
            phase = over(imag(diag_of(w)), s)
            inner = inner + diag(phase) * (0.5j if is_left else -0.5j)
        if vectors.shape[-2] > k:
            normal = over(grad - product(vectors, w), by_columns(s))
            outside = plus(outside, product(normal, adjoint(v)) if is_left else product(u, adjoint(normal)))
    return plus(outside, None if inner is None else product(product(u, inner), adjoint(v)))


# Real, because the phases of complex vectors are LAPACK's choice.
@op(
    _of_svd,
    trailing=True,
    outputs=3,
    samples=steady(
        lambda x: np.linalg.svd(x, full_matrices=False)[0],
        "3 2:spread | 2 3:spread | b 2 2:spread | 3 3:spread | 1 3:nonzero | 3 1:nonzero | 0 2 | 0 3 2",
        full_matrices=[False],
    ),
    name="svd",
)
def singular(x, *, full_matrices=False):
    """Singular values in descending order, with left and right vectors."""
    return tuple(np.linalg.svd(x, full_matrices=full_matrices))


def _of_singular_values(g, x):
    u, _, vh = singular(x, full_matrices=False)
    return product(u * by_columns(g), vh)


@op(
    _of_singular_values,
    trailing=True,
    samples="3 2:spread | 2 3:spread | b 2 2:spread | 1 3:nonzero | 0 2 | n n:complex_invertible",
    name="svdvals",
)
def singular_values(x):
    """Singular values in descending order: without the vectors they cost a fraction."""
    return np.linalg.svd(x, compute_uv=False)


class SVDResult(NamedTuple):
    U: Any
    S: Any
    Vh: Any


def svd(A, full_matrices=True, *, driver=None):
    """U, S, Vh with A = U diag(S) Vh, the singular values in descending order."""
    matrices("svd", A=A)
    return SVDResult(*singular(A, full_matrices=bool(full_matrices)))


def svdvals(A, *, driver=None):
    """Singular values in descending order."""
    matrices("svdvals", A=A)
    return singular_values(A)
