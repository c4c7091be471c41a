"""Inverses and systems of equations, of matrices and of tensors read as matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...kernels import linalg as kernels
from ...op import op
from ...samples import shapes
from ..arranging import reshape_to
from ..products import adjoint, product
from ..shape import movedim
from .matrices import batches, broadcasting, by_rows, checked, matrices, numbers, tril, triu

# --- inverses --------------------------------------------------------------------------------------------------------

_SINGULAR = "; lstsq and pinv take singular matrices"


@op(
    lambda g, y: -product(product(adjoint(y), g), adjoint(y)),
    trailing=True,
    samples=shapes("n n:invertible | b n n:invertible | n n:complex_invertible", strict=[True, False]),
    name="inv",
)
def inverse_of(x, *, strict=True):
    """Inverse matrices; where there is none an error, or inf unless `strict`."""
    return checked("inv", np.linalg.inv, x, advice=_SINGULAR) if strict else kernels.each(np.linalg.inv, x)[0]


def inv(A):
    """The inverse of square matrices."""
    matrices("inv", square=True, A=A)
    return inverse_of(A)


class InvResult(NamedTuple):
    inverse: Any
    info: Any


@op(differentiable=False, trailing=True)
def zero_pivot(x):
    """The number of the first pivot that is zero, from 1; 0 of matrices that have an inverse."""
    zero = np.diagonal(kernels.lu(x)[0], 0, -2, -1) == 0
    return np.where(zero.any(-1), zero.argmax(-1) + 1 if zero.shape[-1] else 0, 0).astype(np.int32)


def inv_ex(A, *, check_errors=False):
    """The inverse, inf where there is none, and the number of the pivot that was zero, or 0."""
    matrices("inv_ex", square=True, A=A)
    return InvResult(inverse_of(A, strict=bool(check_errors)), zero_pivot(A))


def inverse(x):
    """The inverse of square matrices."""
    return inv(x)


def tensorinv(A, ind=2):
    """The inverse of the map b -> tensordot(A, b, b.ndim), where the first `ind` axes of A are those of the result."""
    rows, columns = math.prod(A.shape[:ind]), math.prod(A.shape[ind:])
    if ind <= 0 or rows != columns:
        raise ValueError(f"tensorinv: the axes before and after ind={ind} need equal products, A is {tuple(A.shape)}")
    return reshape_to(inv(reshape_to(A, shape=(rows, rows))), shape=(*A.shape[ind:], *A.shape[:ind]))


# --- systems ---------------------------------------------------------------------------------------------------------


def _of_system(g, y, a):
    gb = solution(adjoint(a), g)
    return -product(gb, adjoint(y)), gb


@op(
    together=_of_system,
    promotes=True,
    batch=broadcasting(lambda: solution),
    samples="n n:invertible, n m | b n n:invertible, b n m | b n n:invertible, n m | n n:invertible, b n m "
    "| n n:complex_invertible, n m:complex",
    name="solve",
)
def solution(a, b):
    """The x with a @ x = b."""
    return checked("solve", np.linalg.solve, a, b, advice=_SINGULAR)


def _of_triangular(g, y, a, upper, unit):
    gb = triangular(adjoint(a), g, upper=not upper, unit=unit)
    ga = -product(gb, adjoint(y))
    return (triu(ga, int(unit)) if upper else tril(ga, -int(unit))), gb


@op(
    together=_of_triangular,
    promotes=True,
    batch=broadcasting(lambda: triangular),
    samples=shapes(
        "n n:invertible, n m | b n n:invertible, b n m | b n n:invertible, n m | n n:complex_invertible, n m:complex",
        upper=[True, False],
        unit=[True, False],
    )
    + shapes("35 35:invertible, 35 1", upper=[True, False], unit=[False]),
    name="solve_triangular",
)
def triangular(a, b, *, upper, unit):
    """The x with a @ x = b, where only a triangle of a counts, with ones on its diagonal if `unit`."""
    return kernels.substitute(a, b, upper, unit)


def solve(A, B, *, left=True):
    """The X with A @ X = B, or X @ A = B unless `left`; B is a vector, matrices, or one vector for each of A."""
    matrices("solve", square=True, A=A)
    return solved("solve", A, B, left, lambda a, b: solution(a, b) if left else solution(a.mT, b.mT).mT)


def solved(name: str, A: Any, B: Any, left: bool, solver: Callable) -> Any:
    """Solve for matrices B, or for vectors as matrices of one column."""
    if not hasattr(B, "ndim"):
        raise TypeError(f"{name}: B must be a tensor or an array, got {type(B).__name__}")
    numbers(name, "B", B)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    if vector and not left:
        raise ValueError(f"{name}: with left=False, B must be matrices, got vectors of shape {tuple(B.shape)}")
    b = by_rows(B) if vector else B
    axis = -2 if left else -1
    if b.ndim < 2 or b.shape[axis] != A.shape[-1]:
        side = "rows" if left else "columns"
        raise ValueError(
            f"{name}: B must have {A.shape[-1]} {side} as A has: A is {tuple(A.shape)}, B is {tuple(B.shape)}"
        )
    batches(name, A, b, B)
    x = solver(A, b)
    return reshape_to(x, shape=x.shape[:-1]) if vector else x


def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """Solve A @ X = B (X @ A = B unless `left`) reading one triangle of A only; a zero on its diagonal gives inf."""
    matrices("solve_triangular", square=True, A=A)
    matrices("solve_triangular", B=B)
    unit = bool(unitriangular)
    forward = lambda a, b: triangular(a, b, upper=bool(upper), unit=unit)
    backward = lambda a, b: triangular(a.mT, b.mT, upper=not upper, unit=unit).mT
    return solved("solve_triangular", A, B, left, forward if left else backward)


def tensorsolve(A, B, dims=None):
    """The X with tensordot(A, X, X.ndim) = B; `dims` are axes of A to be moved to its end first."""
    A = A if dims is None else movedim(A, tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = tuple(A.shape[B.ndim :])
    if not math.prod(shape) == math.prod(B.shape) == math.prod(A.shape[: B.ndim]):
        raise ValueError(
            "tensorsolve: A must begin with axes of as many entries as B has, and have as many in its others: "
            f"A is {tuple(A.shape)}, B is {tuple(B.shape)}"
        )
    size = math.prod(shape)
    return reshape_to(solve(reshape_to(A, shape=(size, size)), reshape_to(B, shape=(size,))), shape=shape)
