"""Linear algebra, batched over all axes but the last two: the namespace `linalg`.

The rules are written with g as the gradient in PyTorch's convention: the first-order change of the result is
Re sum(conj(g) * change).  Where a factorisation is not unique (signs and phases of vectors, bases of eigenspaces) only
functions of it that do not depend on the choice have a gradient; terms that cannot matter to those are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base import masked
from ..products import adjoint, matmul
from .determinants import SlogdetResult, det, logdet, slogdet
from .factorisations import (
    CholeskyResult,
    LUFactorResult,
    LUResult,
    QRResult,
    cholesky,
    cholesky_ex,
    householder_product,
    lu,
    lu_factor,
    lu_solve,
    qr,
)
from .least_squares import LstsqResult, lstsq, matrix_rank, pinv, pinverse
from .norms import cond, matrix_norm, norm, vector_norm
from .products import cross, diagonal, matrix_exp, matrix_power, multi_dot, vander, vecdot
from .spectra import EigResult, SVDResult, eig, eigh, eigvals, eigvalsh, svd, svdvals
from .systems import InvResult, inv, inv_ex, inverse, solve, solve_triangular, tensorinv, tensorsolve

__all__ = [
    "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "inverse", "logdet", "lstsq", "lu", "lu_factor", "lu_solve", "matmul",
    "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "pinverse", "qr",
    "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip

for _thing in [v for v in globals().values() if getattr(v, "__module__", "").startswith(f"{__name__}.")]:
    _thing.__module__ = __name__  # where pickle looks for it


# --- the older names outside the namespace ---------------------------------------------------------------------------


class OldSVDResult(NamedTuple):
    U: Any
    S: Any
    V: Any


def _old_svd(x, some=True, compute_uv=True):
    """U, S, V with x = U diag(S) V.mH: `linalg.svd` under its older name, with V itself."""
    u, s, vh = svd(x, full_matrices=not some)
    keep = (lambda m: m) if compute_uv else (lambda m: masked(m, np.False_))
    return OldSVDResult(keep(u), s, keep(adjoint(vh)))


def _old_qr(x, some=True):
    """Q and R with Q @ R = x; Q is square unless `some`."""
    return qr(x, "reduced" if some else "complete")


TOP_LEVEL = {
    **{f.__name__: f for f in (cholesky, det, inverse, logdet, matrix_exp, matrix_power, pinverse, slogdet)},
    "qr": _old_qr,
    "svd": _old_svd,
}
