"""What all of linear algebra is written with: pieces of matrices, checks of arguments, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels import linalg as kernels
from ...vmap import aligned
from ..arranging import diagonal_of, expand_dims, put_diagonal, reshape_to, triangle, view_at
from ..products import adjoint, product

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


def leading_columns(u: Any, gu: Any, k: int) -> tuple[Any, Any]:
    """The first k columns of a unitary matrix, and the gradient of them alone: the others follow them."""
    if u.shape[-1] == k:
        return u, gu
    first, rest = part(u, slice(None), slice(k)), part(u, slice(None), slice(k, None))
    if gu is None:
        return first, None
    g_first, g_rest = part(gu, slice(None), slice(k)), part(gu, slice(None), slice(k, None))
    return first, g_first - product(rest, product(adjoint(g_rest), first))


def empty(x: Any) -> Any:
    """No entries, of the type of x."""
    return reshape_to(view_at(x, index=(..., slice(0))), shape=(0,))


# --- arguments -------------------------------------------------------------------------------------------------------


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


def batches(name: str, A: Any, b: Any, B: Any) -> None:
    """Raise unless the leading axes of matrices broadcast."""
    try:
        np.broadcast_shapes(tuple(A.shape[:-2]), tuple(b.shape[:-2]))
    except ValueError:
        raise ValueError(
            f"{name}: the batches do not broadcast: A is {tuple(A.shape)}, B is {tuple(B.shape)}"
        ) from None


def broadcasting(call: Callable) -> Callable:
    """The batch rule of an op whose inputs' leading axes broadcast."""
    return lambda size, values, batched, **params: call()(*aligned(values, batched), **params)


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
