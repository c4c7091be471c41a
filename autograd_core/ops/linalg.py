"""Linear algebra, batched over all axes but the last two: the namespace `linalg`.

The rules are written with g as the gradient in PyTorch's convention: the first-order change of the result is
Re sum(conj(g) * change).  Where a factorisation is not unique (signs and phases of vectors, bases of eigenspaces) only
functions of it that do not depend on the choice have a gradient; terms that cannot matter to those are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..kernels import linalg as kernels
from ..op import op
from ..samples import shapes
from ..vmap import aligned
from .arranging import cat_along, diagonal_of, expand_dims, put_diagonal, reshape_to, stack_along, triangle, view_at
from .axes import all_axes, one_axis
from .base import clone, conj, imag, masked, real
from .math import angle, eq, logical_and, ne, where
from .parts import diagonal as _diagonal
from .products import adjoint, crossed, inverse_or_zero, matmul, product
from .reduce import reduce_norm, reduce_sum, rounded_once
from .shape import movedim as _movedim

__all__ = [
    "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "inverse", "logdet", "lstsq", "lu", "lu_factor", "lu_solve", "matmul",
    "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "pinverse", "qr",
    "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip


# --- pieces ----------------------------------------------------------------------------------------------------------


def part(x: Any, i: slice, j: slice) -> Any:
    """Some rows and columns of matrices."""
    return view_at(x, index=(..., i, j))


def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle, from diagonal k on."""
    return triangle(x, k=k, lower=True)


def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle, from diagonal k on."""
    return triangle(x, k=k, lower=False)


def diag(x: Any) -> Any:
    """Vectors as diagonal matrices."""
    n = x.shape[-1]
    return put_diagonal(x, shape=(*x.shape, n), offset=0, axis1=-2, axis2=-1)


def diag_of(x: Any) -> Any:
    """The diagonals of matrices."""
    return diagonal_of(x, offset=0, axis1=-2, axis2=-1)


def by_rows(x: Any) -> Any:
    """One number per row, to multiply matrices with."""
    return expand_dims(x, axis=-1)


def by_columns(x: Any) -> Any:
    """One number per column, to multiply matrices with."""
    return expand_dims(x, axis=-2)


def per_matrix(x: Any) -> Any:
    """One number per matrix, to multiply matrices with."""
    return expand_dims(x, axis=(-2, -1))


def half_upper(x: Any) -> Any:
    """The upper triangle with half the diagonal, so that adding the adjoint gives a Hermitian matrix."""
    return (triu(x) + triu(x, 1)) / 2


def plus(a: Any, b: Any) -> Any:
    """The sum of two gradients either of which may be missing."""
    return b if a is None else a if b is None else a + b


def over(x: Any, d: Any) -> Any:
    """x / d, with 0 / 0 = 0: nobody has asked for that entry; NaN where only d is zero: there is no answer."""
    return x * where(logical_and(eq(d, 0), ne(x, 0)), math.nan, inverse_or_zero(d))


def gaps(x: Any) -> Any:
    """The matrix with entries x[j] - x[i]."""
    return by_columns(x) - by_rows(x)


def over_gaps(x: Any, gap: Any) -> Any:
    """The entries of x off the diagonal, each over the gap between its two eigenvalues; 0 on the diagonal."""
    return over(x * (1 - np.eye(x.shape[-1], dtype=x.dtype)), gap)


def matrices(name: str, square: bool = False, **given: Any) -> None:
    """Raise unless these are batches of (square) matrices of floating-point or complex numbers."""
    for argument, x in given.items():
        if not (hasattr(x, "dtype") and hasattr(x, "ndim")):
            raise TypeError(f"{name}: {argument} must be a tensor or an array, got {type(x).__name__}")
        if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
            kind = "a square matrix" if square else "a matrix"
            hint = "; lstsq and pinv take any shape" if square and x.ndim > 1 and name in ("solve", "inv") else ""
            raise ValueError(f"{name}: {argument} must be {kind} or a batch of them, got shape {tuple(x.shape)}{hint}")
        numbers(name, argument, x)


def numbers(name: str, argument: str, x: Any) -> None:
    """Raise unless x has a type that LAPACK knows."""
    if x.dtype.kind not in "fc" or x.dtype.itemsize < 4:
        raise TypeError(
            f"{name}: {argument} must be float32, float64 or complex, got {x.dtype}; use .float() or .double()"
        )


def failed(name: str, what: str, place: tuple | None, advice: str = "") -> Exception:
    """The error of a matrix that has not what a routine needs, with its place in the batch."""
    where = f" (batch member {place[0] if len(place) == 1 else place})" if place else ""
    error = np.linalg.LinAlgError(f"{name}: the matrix is {what}{where}{advice}")
    error.explained = True  # type: ignore[attr-defined]
    return error


def checked(name: str, routine: Callable, *arrays: np.ndarray, what: str = "singular", advice: str = "") -> np.ndarray:
    """A routine on a batch, or an error that says which member it failed on."""
    result, place = kernels.each(routine, *arrays)
    if place is not None:
        raise failed(name, what, place, advice)
    return result


_SINGULAR = "; lstsq and pinv take singular matrices"


# --- inverses and systems --------------------------------------------------------------------------------------------


@op(
    lambda g, y: -product(product(adjoint(y), g), adjoint(y)),
    trailing=True,
    samples=shapes("n n:invertible | b n n:invertible | n n:complex_invertible", strict=[True, False]),
    name="inv",
)
def inverse_of(x, *, strict=True):
    """Inverse matrices; where there is none an error, or inf unless `strict`."""
    return checked("inv", np.linalg.inv, x, advice=_SINGULAR) if strict else kernels.each(np.linalg.inv, x)[0]


def _of_system(g, y, a):
    gb = solution(adjoint(a), g)
    return -product(gb, adjoint(y)), gb


def _broadcasting(call: Callable) -> Callable:
    """The batch rule of an op whose inputs' leading axes broadcast."""
    return lambda size, values, batched, **params: call()(*aligned(values, batched), **params)


@op(
    together=_of_system,
    promotes=True,
    batch=_broadcasting(lambda: solution),
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
    batch=_broadcasting(lambda: triangular),
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


def solve(A, B, *, left=True):
    """The X with A @ X = B, or X @ A = B unless `left`; B is a vector, matrices, or one vector for each of A."""
    matrices("solve", square=True, A=A)
    return _solved("solve", A, B, left, lambda a, b: solution(a, b) if left else solution(a.mT, b.mT).mT)


def _solved(name: str, A: Any, B: Any, left: bool, solver: Callable) -> Any:
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
    _leads(name, A, b, B)
    x = solver(A, b)
    return reshape_to(x, shape=x.shape[:-1]) if vector else x


def _leads(name: str, A: Any, b: Any, B: Any) -> None:
    try:
        np.broadcast_shapes(tuple(A.shape[:-2]), tuple(b.shape[:-2]))
    except ValueError:
        raise ValueError(
            f"{name}: the batches do not broadcast: A is {tuple(A.shape)}, B is {tuple(B.shape)}"
        ) from None


def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """Solve A @ X = B (X @ A = B unless `left`) reading one triangle of A only; a zero on its diagonal gives inf."""
    matrices("solve_triangular", square=True, A=A)
    matrices("solve_triangular", B=B)
    unit = bool(unitriangular)
    forward = lambda a, b: triangular(a, b, upper=bool(upper), unit=unit)
    backward = lambda a, b: triangular(a.mT, b.mT, upper=not upper, unit=unit).mT
    return _solved("solve_triangular", A, B, left, forward if left else backward)


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
    return pseudoinverse(_hermitian(A, "L") if hermitian else A, atol=atol, rtol=rtol)


def pinverse(x, rcond=1e-15):
    """The pseudoinverse; singular values up to rcond times the largest count as zero."""
    return pinv(x, rtol=rcond)


def _hermitian(x: Any, triangle_read: str) -> Any:
    """The Hermitian matrix with the given triangle."""
    lower = x if triangle_read == "L" else adjoint(x)
    return tril(lower) + adjoint(tril(lower, -1))


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
    _leads("lstsq", A, b, B)
    x, rank = product(pinv(A, rtol=rtol), b), rank_of(A, atol=0.0, rtol=rtol)
    residuals = empty(A)
    if m > n and driver in ("gels", "gelsd", "gelss") and bool((rank == n).all()):
        difference = product(A, x) - b
        residuals = reduce_sum(real(difference * conj(difference)), axis=(-2,))
    x = reshape_to(x, shape=x.shape[:-1]) if vector else x
    rank = empty(A).astype(np.int64) if driver == "gels" else rank
    return LstsqResult(x, residuals, rank, svdvals(A) if driver in ("gelsd", "gelss") else real(empty(A)))


def empty(x: Any) -> Any:
    """No entries, of the type of x."""
    return reshape_to(view_at(x, index=(..., slice(0))), shape=(0,))


@op(differentiable=False, trailing=True, name="matrix_rank")
def rank_of(x, *, atol, rtol):
    """How many singular values exceed the cutoff."""
    s = np.linalg.svd(x, compute_uv=False)
    return (s > _cutoff(s, x.shape, atol, rtol)[..., None]).sum(-1)


# --- determinants ----------------------------------------------------------------------------------------------------


def _third_derivative(a: Any, e: Any, g: Any) -> Any:
    """The gradient in a of sum(g * (change of the cofactors of a along e)), for regular a."""
    inverse = inverse_of(a, strict=False)
    x, y = product(inverse, e), product(inverse, g)
    trace = lambda m: per_matrix(reduce_sum(diag_of(m), axis=(-1,)))
    xy, yx = product(x, y), product(y, x)
    inside = (
        (trace(x) * trace(y) - trace(xy)) * inverse - trace(x) * product(y, inverse) - trace(y) * product(x, inverse)
    )
    return per_matrix(determinant(a)) * (inside + product(xy + yx, inverse)).mT


@op(
    lambda g, a, e: _third_derivative(conj(a), conj(e), g),
    lambda g, a: cofactors_along(conj(a), g),
    batch=_broadcasting(lambda: cofactors_along),
    samples="n n:invertible, n n | b n n:invertible, b n n | n n:complex_invertible, n n:complex",
)
def cofactors_along(a, e):
    """The derivative of `cofactors` at a in the direction e; right for singular a too."""
    return kernels.cofactors_along(a, e)


@op(
    lambda g, x: cofactors_along(conj(x), g),
    trailing=True,
    samples="n n:invertible | b n n:invertible | n n:complex_invertible",
)
def cofactors(x):
    """The derivative of det by each entry; right for singular x too."""
    return kernels.cofactors(x)


@op(
    lambda g, x: per_matrix(g) * conj(cofactors(x)),
    trailing=True,
    samples="n n | b n n | n n:complex | 3 3:singular",
    name="det",
)
def determinant(x):
    """Determinants."""
    return np.linalg.det(x)


def _of_slogdet(g, y, x):
    """The logarithm has the real part of the coefficient, the phase of a complex determinant the imaginary one."""
    by_sign, by_log = g
    phase = imag(conj(y[0]) * by_sign) * 1j if by_sign is not None and x.dtype.kind == "c" else None
    coefficient = plus(by_log, phase)
    return None if coefficient is None else masked(per_matrix(coefficient), adjoint(inverse_of(x, strict=False)))


@op(
    _of_slogdet,
    trailing=True,
    outputs=2,
    samples="n n:invertible | b n n:invertible | n n:complex_invertible",
    name="slogdet",
)
def sign_and_log(x):
    """The sign (or phase) of determinants and the logarithm of their absolute value."""
    return tuple(np.linalg.slogdet(x))


class SlogdetResult(NamedTuple):
    sign: Any
    logabsdet: Any


def det(A):
    """The determinant of square matrices."""
    matrices("det", square=True, A=A)
    return determinant(A)


def slogdet(A):
    """The sign of the determinant and the logarithm of its absolute value."""
    matrices("slogdet", square=True, A=A)
    return SlogdetResult(*sign_and_log(A))


def logdet(x):
    """The logarithm of the determinant; NaN where that is negative."""
    matrices("logdet", square=True, x=x)
    sign, log = sign_and_log(x)
    if x.dtype.kind == "c":
        return log + 1j * angle(sign)
    return where(sign < 0, math.nan, log)


# --- factorisations --------------------------------------------------------------------------------------------------


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


def _of_svd(g, y, x_shape, full_matrices):
    gu, gs, gvh = g
    u, s, vh = y
    k = min(x_shape[-2:])
    gv, v = None if gvh is None else adjoint(gvh), adjoint(vh)
    if full_matrices:
        (u, gu), (v, gv) = _leading(u, gu, k), _leading(v, gv, k)
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


def _leading(u: Any, gu: Any, k: int) -> tuple[Any, Any]:
    """The first k columns of a unitary matrix, and the gradient of them alone: the others follow them."""
    if u.shape[-1] == k:
        return u, gu
    first, rest = part(u, slice(None), slice(k)), part(u, slice(None), slice(k, None))
    if gu is None:
        return first, None
    g_first, g_rest = part(gu, slice(None), slice(k)), part(gu, slice(None), slice(k, None))
    return first, g_first - product(rest, product(adjoint(g_rest), first))


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


def _of_qr(g, y, x_shape, mode):
    """LAPACK makes the diagonal of R real, which fixes all phases."""
    gq, gr = g
    q, r = y
    m, n = x_shape[-2:]
    k = min(m, n)
    q, gq = _leading(q, gq, k)
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
    return _solved("lu_solve", LU, B, left, lambda a, b: _lu_solved(a, pivots, b, left, adjoint))


def _lu_solved(a: Any, pivots: Any, b: Any, left: bool, conjugate: bool) -> Any:
    p = permutation(pivots, size=a.shape[-1], dtype=a.dtype)
    if not left:
        return adjoint(_lu_solved(a, pivots, adjoint(b), True, not conjugate))
    if not conjugate:
        return triangular(a, triangular(a, product(p.mT, b), upper=False, unit=True), upper=True, unit=False)
    a = adjoint(a)
    return product(p, triangular(a, triangular(a, b, upper=False, unit=False), upper=True, unit=True))


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


# --- functions of matrices -------------------------------------------------------------------------------------------


def _of_exponential(g, x):
    """The derivative of exp at a in the direction e is the upper right block of exp [[a, e], [0, a]]."""
    a, n = adjoint(x), x.shape[-1]
    top, bottom = cat_along(a, g, axis=-1), cat_along(np.zeros(a.shape, a.dtype), a, axis=-1)
    return part(exponential(cat_along(top, bottom, axis=-2)), slice(n), slice(n, None))


@op(_of_exponential, trailing=True, samples="n n | b n n | n n:complex", name="matrix_exp")
def exponential(x):
    """The matrix exponential."""
    return kernels.exponential(x)


def matrix_exp(A):
    """The exponential of square matrices."""
    matrices("matrix_exp", square=True, A=A)
    return exponential(A)


def matrix_power(A, n):
    """A multiplied with itself n times; a negative n takes the inverse first."""
    matrices("matrix_power", square=True, A=A)
    if not isinstance(n, int):
        raise TypeError(f"matrix_power: n must be an integer, got {n!r}")
    if n == 0:
        return masked(A, np.False_) + np.eye(A.shape[-1], dtype=A.dtype)
    if n == 1:
        return clone(A)
    base, n, result = (inv(A) if n < 0 else A), abs(n), None
    while n:
        if n & 1:
            result = base if result is None else product(result, base)
        n >>= 1
        base = product(base, base) if n else base
    return result


def multi_dot(tensors):
    """The product of several matrices (the first and the last may be vectors), multiplied in the cheapest order."""
    tensors = list(tensors)
    if len(tensors) < 2:
        raise ValueError(f"multi_dot: needs at least two tensors, got {len(tensors)}")
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    chain = [
        by_columns(t) if k == 0 and first else by_rows(t) if k == len(tensors) - 1 and last else t
        for k, t in enumerate(tensors)
    ]
    for k, t in enumerate(chain):
        if t.ndim != 2 or (k and t.shape[0] != chain[k - 1].shape[1]):
            raise ValueError(f"multi_dot: shapes {[tuple(t.shape) for t in tensors]} cannot be multiplied in a row")
    y = _multiplied(chain, *_cheapest([t.shape[0] for t in chain] + [chain[-1].shape[1]]))
    return reshape_to(y, shape=(() if first else (y.shape[0],)) + (() if last else (y.shape[1],)))


def _cheapest(sizes: list) -> tuple[dict, int, int]:
    """Where to cut each stretch of a chain of matrices so that all products together cost least."""
    count = len(sizes) - 1
    cost, cut = {(i, i): 0 for i in range(count)}, {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            price = lambda k, i=i, j=j: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
            cut[i, j] = min(range(i, j), key=price)
            cost[i, j] = price(cut[i, j])
    return cut, 0, count - 1


def _multiplied(chain: list, cut: dict, i: int, j: int) -> Any:
    if i == j:
        return chain[i]
    return product(_multiplied(chain, cut, i, cut[i, j]), _multiplied(chain, cut, cut[i, j] + 1, j))


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None):
    """How many singular values exceed max(atol, rtol times the largest)."""
    matrices("matrix_rank", A=A)
    if tol is not None:
        atol, rtol = tol, 0.0
    atol, rtol = _tolerances("matrix_rank", atol, rtol)
    return rank_of(_hermitian(A, "L") if hermitian else A, atol=atol, rtol=rtol)


# --- norms -----------------------------------------------------------------------------------------------------------


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
    y = _norm_of(_movedim(A, axes, (-2, -1)), ord)
    return expand_dims(y, axis=tuple(sorted(axes))) if keepdim else y


def _norm_of(x: Any, order: Any) -> Any:
    """A norm of matrices, over the last two axes."""
    from .reduce import amax, amin

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


# --- vectors and tensors ---------------------------------------------------------------------------------------------


def cross(input, other, *, dim=-1):
    """The cross product along an axis of length 3."""
    return crossed(input, other, dim)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonal of two axes as the last axis, a view."""
    return _diagonal(A, offset, dim1, dim2)


def vecdot(x, y, *, dim=-1):
    """The inner products along an axis; x is conjugated."""
    try:
        ndim = len(np.broadcast_shapes(tuple(x.shape), tuple(y.shape)))
    except ValueError:
        raise ValueError(f"vecdot: the shapes do not broadcast: x is {tuple(x.shape)}, y is {tuple(y.shape)}") from None
    return reduce_sum(conj(x) * y, axis=(one_axis(ndim, dim, "vecdot"),))


def vander(x, N=None):
    """The powers 0 to N - 1 of each entry, along a new last axis; N is the number of entries by default."""
    if N is None and x.ndim == 0 or N is not None and N < 1:
        raise ValueError(f"vander: needs at least one axis and N > 0, got shape {tuple(x.shape)} and N={N}")
    x = x if x.ndim else reshape_to(x, shape=(1,))
    count = x.shape[-1] if N is None else N
    x = x.astype(np.dtype(np.int64)) if x.dtype.kind in "biu" else x
    powers = [masked(x, np.False_) + 1]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    return stack_along(*powers, axis=-1)


def tensorinv(A, ind=2):
    """The inverse of the map b -> tensordot(A, b, b.ndim), where the first `ind` axes of A are those of the result."""
    rows, columns = math.prod(A.shape[:ind]), math.prod(A.shape[ind:])
    if ind <= 0 or rows != columns:
        raise ValueError(f"tensorinv: the axes before and after ind={ind} need equal products, A is {tuple(A.shape)}")
    return reshape_to(inv(reshape_to(A, shape=(rows, rows))), shape=(*A.shape[ind:], *A.shape[:ind]))


def tensorsolve(A, B, dims=None):
    """The X with tensordot(A, X, X.ndim) = B; `dims` are axes of A to be moved to its end first."""
    A = A if dims is None else _movedim(A, tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = tuple(A.shape[B.ndim :])
    if not math.prod(shape) == math.prod(B.shape) == math.prod(A.shape[: B.ndim]):
        raise ValueError(
            "tensorsolve: A must begin with axes of as many entries as B has, and have as many in its others: "
            f"A is {tuple(A.shape)}, B is {tuple(B.shape)}"
        )
    size = math.prod(shape)
    return reshape_to(solve(reshape_to(A, shape=(size, size)), reshape_to(B, shape=(size,))), shape=shape)


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
