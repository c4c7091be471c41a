"""Matrices without an inverse: pseudoinverses, ranks, shortest solutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...kernels import linalg as kernels
from ...op import op
from ...samples import shapes
from ..arranging import reshape_to
from ..base import conj, real
from ..products import adjoint, product
from ..reduce import reduce_sum
from .matrices import batches, by_rows, empty, matrices, tril
from .spectra import svdvals


def _of_pseudoinverse(g, y, x):
    """By the rule of Golub and Pereyra, which holds where the rank does not change."""
    gh, yh = adjoint(g), adjoint(y)
    by_y = product(gh, y)
    rows, columns = product(product(yh, y), gh - product(by_y, x)), product(by_y, yh)
    return rows + columns - product(x, product(y, columns)) - adjoint(product(y, by_y))


@op(
    _of_pseudoinverse,
    trailing=True,
    samples=shapes(
        "3 2:spread | 2 3:spread | b 3 2:spread | n n:invertible | 3 2:complex_invertible | 0 2",
        atol=[0.0],
        rtol=[None],
    ),
    name="pinv",
)
def pseudoinverse(x, *, atol, rtol):
    """The pseudoinverse, in which singular values up to max(atol, rtol times the largest) count as zero."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    with np.errstate(all="ignore"):
        scale = np.where(s > _cutoff(s, x.shape, atol, rtol)[..., None], 1 / s, s.dtype.type(0))
    return kernels.adjoint((u * scale[..., None, :]) @ vh)


def _cutoff(s: np.ndarray, shape: Sequence[int], atol: Any, rtol: Any) -> np.ndarray:
    """The number up to which singular values count as zero."""
    if rtol is None:
        rtol = max(shape[-2:]) * float(np.finfo(s.dtype).eps) if np.all(np.asarray(atol) == 0) else 0.0
    return np.maximum(atol, rtol * s.max(-1, initial=0))


def _tolerances(name: str, atol: Any, rtol: Any) -> tuple:
    """Tolerances as numbers or arrays."""
    plain = lambda t: t.detach().numpy() if hasattr(t, "detach") else t
    if any(t is not None and np.any(np.asarray(plain(t)) < 0) for t in (atol, rtol)):
        raise ValueError(f"{name}: tolerances must not be negative, got atol={atol}, rtol={rtol}")
    return (0.0 if atol is None else plain(atol)), plain(rtol)


def pinv(A, *, atol=None, rtol=None, hermitian=False):
    """The pseudoinverse; singular values up to max(atol, rtol times the largest) count as zero."""
    matrices("pinv", square=hermitian, A=A)
    atol, rtol = _tolerances("pinv", atol, rtol)
    return pseudoinverse(_hermitian(A) if hermitian else A, atol=atol, rtol=rtol)


def pinverse(x, rcond=1e-15):
    """The pseudoinverse; singular values up to rcond times the largest count as zero."""
    return pinv(x, rtol=rcond)


def _hermitian(x: Any) -> Any:
    """The Hermitian matrix with the lower triangle of x."""
    return tril(x) + adjoint(tril(x, -1))


class LstsqResult(NamedTuple):
    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def lstsq(A, B, rcond=None, *, driver=None):
    """The X that makes A @ X - B shortest, and among those the shortest.

    As in PyTorch the driver says what else is returned: the rank unless it is "gels"; the squared residuals (if A has
    full column rank and fewer columns than rows) unless it is the usual "gelsy"; singular values by "gelsd", "gelss".
    """
    matrices("lstsq", A=A)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ValueError(f"lstsq: driver must be one of 'gels', 'gelsy', 'gelsd', 'gelss', got {driver!r}")
    rtol = max(A.shape[-2:]) * float(np.finfo(A.dtype).eps) if rcond is None else rcond
    m, n = A.shape[-2:]
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    b = by_rows(B) if vector else B
    if b.ndim < 2 or b.shape[-2] != m:
        raise ValueError(f"lstsq: B must have {m} rows as A has: A is {tuple(A.shape)}, B is {tuple(B.shape)}")
    batches("lstsq", A, b, B)
    x, rank = product(pinv(A, rtol=rtol), b), rank_of(A, atol=0.0, rtol=rtol)
    residuals = empty(A)
    if m > n and driver in ("gels", "gelsd", "gelss") and bool((rank == n).all()):
        difference = product(A, x) - b
        residuals = reduce_sum(real(difference * conj(difference)), axis=(-2,))
    x = reshape_to(x, shape=x.shape[:-1]) if vector else x
    rank = empty(A).astype(np.int64) if driver == "gels" else rank
    return LstsqResult(x, residuals, rank, svdvals(A) if driver in ("gelsd", "gelss") else real(empty(A)))


@op(differentiable=False, trailing=True, name="matrix_rank")
def rank_of(x, *, atol, rtol):
    """How many singular values exceed the cutoff."""
    s = np.linalg.svd(x, compute_uv=False)
    return (s > _cutoff(s, x.shape, atol, rtol)[..., None]).sum(-1)


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None):
    """How many singular values exceed max(atol, rtol times the largest)."""
    matrices("matrix_rank", A=A)
    if tol is not None:
        atol, rtol = tol, 0.0
    atol, rtol = _tolerances("matrix_rank", atol, rtol)
    return rank_of(_hermitian(A) if hermitian else A, atol=atol, rtol=rtol)
