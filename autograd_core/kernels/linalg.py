"""Matrix algorithms that NumPy lacks; all of them on batches, over the last two axes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._openblas import quietly, solve_triangle

FEW = 16  # members of a batch that are solved one by one
PANEL = 32  # columns that are eliminated one by one before the rest is updated by one product


def adjoint(a: np.ndarray) -> np.ndarray:
    """The conjugate transpose."""
    return np.conjugate(a).mT


def each(solve: Callable, *arrays: np.ndarray) -> tuple[np.ndarray, tuple | None]:
    """A NumPy routine on a batch: inf for the members on which it fails, and the place of the first of these."""
    try:
        with quietly(max(a.shape[-1] ** 3 for a in arrays)):
            return solve(*arrays), None
    except np.linalg.LinAlgError:
        lead = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
        arrays = tuple(np.broadcast_to(a, (*lead, *a.shape[-2:])) for a in arrays)
        result, first = np.full(arrays[-1].shape, np.inf, np.result_type(*arrays)), None
        for place in np.ndindex(lead):
            try:
                result[place] = solve(*(a[place] for a in arrays))
            except np.linalg.LinAlgError:
                first = place if first is None else first
        return result, first


# --- triangles -------------------------------------------------------------------------------------------------------


def lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian elimination with row exchanges: L and U in one matrix, and the row exchanged with each row in turn."""
    shape, a = a.shape, np.array(a.reshape(-1, *a.shape[-2:]) if a.size else np.zeros((0, *a.shape[-2:]), a.dtype))
    m, n = shape[-2:]
    steps, members = min(m, n), np.arange(len(a))
    pivots = np.zeros((len(a), steps), np.int32)
    for start in range(0, steps, PANEL):
        stop = min(start + PANEL, steps)
        for j in range(start, stop):
            pivots[:, j] = chosen = j + _size(a[:, j:, j]).argmax(1)
            a[members, j], a[members, chosen] = a[members, chosen], a[members, j]
            pivot = a[:, j, j, None]
            a[:, j + 1 :, j] /= np.where(pivot == 0, 1, pivot)
            a[:, j + 1 :, j + 1 : stop] -= a[:, j + 1 :, j, None] * a[:, None, j, j + 1 : stop]
        a[:, start:stop, stop:] = substitute(
            a[:, start:stop, start:stop], a[:, start:stop, stop:], upper=False, unit=True
        )
        a[:, stop:, stop:] -= a[:, stop:, start:stop] @ a[:, start:stop, stop:]
    if not a.size:
        pivots = np.broadcast_to(np.arange(steps, dtype=np.int32), (*shape[:-2], steps)).copy()
    return a.reshape(shape), pivots.reshape(*shape[:-2], steps) + 1


def _size(a: np.ndarray) -> np.ndarray:
    """How LAPACK measures complex numbers when it chooses a pivot."""
    return np.abs(a.real) + np.abs(a.imag) if a.dtype.kind == "c" else np.abs(a)


def row_order(pivots: np.ndarray, size: int) -> np.ndarray:
    """Where each row comes from after the exchanges that `pivots` lists (counted from 1)."""
    flat = pivots.reshape(-1, pivots.shape[-1]) if pivots.size else np.zeros((0, 0), int)
    order, members = np.tile(np.arange(size), (len(flat), 1)), np.arange(len(flat))
    for j in range(flat.shape[-1]):
        order[members, j], order[members, flat[:, j] - 1] = order[members, flat[:, j] - 1], order[members, j]
    return (
        order.reshape(*pivots.shape[:-1], size)
        if pivots.size
        else np.broadcast_to(np.arange(size), (*pivots.shape[:-1], size))
    )


def substitute(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """Solve a x = b, reading only a triangle of a: by OpenBLAS, or by halves until these are small."""
    n = a.shape[-1]
    few = n > PANEL or math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) <= FEW
    if few and (unit or np.diagonal(a, axis1=-2, axis2=-1).all()):
        if (x := solve_triangle(a, b, upper, unit)) is not None:
            return x
    if n <= PANEL:
        return _substitute_rows(a, b, upper, unit)
    h = n // 2
    first, last = (slice(h, n), slice(0, h)) if upper else (slice(0, h), slice(h, n))
    x = substitute(a[..., first, first], b[..., first, :], upper, unit)
    y = substitute(a[..., last, last], b[..., last, :] - a[..., last, first] @ x, upper, unit)
    return np.concatenate((y, x) if upper else (x, y), axis=-2)


def _substitute_rows(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """The same for a small triangle; a zero on the diagonal divides."""
    n = a.shape[-1]
    triangle = np.triu(a) if upper else np.tril(a)
    if unit:
        triangle = triangle * (1 - np.eye(n, dtype=a.dtype)) + np.eye(n, dtype=a.dtype)
    elif not np.all(np.diagonal(a, axis1=-2, axis2=-1)):
        return _by_rows(triangle, b, upper)
    return np.linalg.solve(triangle, b)


def _by_rows(a: np.ndarray, b: np.ndarray, upper: bool) -> np.ndarray:
    lead, n = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-1]
    x = np.zeros((*lead, *b.shape[-2:]), b.dtype)
    with np.errstate(all="ignore"):
        for i in reversed(range(n)) if upper else range(n):
            known = a[..., i, None, i + 1 :] @ x[..., i + 1 :, :] if upper else a[..., i, None, :i] @ x[..., :i, :]
            x[..., i, :] = (b[..., i, :] - known[..., 0, :]) / a[..., i, i, None]
    return x


# --- determinants ----------------------------------------------------------------------------------------------------


def cofactors(a: np.ndarray) -> np.ndarray:
    """The derivative of det by each entry: det(a) a⁻ᵀ, and its limit where a is singular."""
    inverse, regular = _inverse(a)
    with np.errstate(all="ignore"):
        result = np.linalg.det(a)[..., None, None] * inverse.mT
    return _replaced(result, ~regular, _cofactors_of_singular, a)


def cofactors_along(a: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The derivative of `cofactors` at a in the direction e."""
    inverse, regular = _inverse(a)
    with np.errstate(all="ignore"):
        x = inverse @ e
        change = np.trace(x, axis1=-2, axis2=-1)[..., None, None] * inverse - x @ inverse
        result = np.linalg.det(a)[..., None, None] * change.mT
    return _replaced(result, ~regular, _cofactors_along_singular, a, e)


def _inverse(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses, and which of them are accurate to half the digits."""
    inverse, _ = each(np.linalg.inv, a)
    with np.errstate(all="ignore"):
        condition = np.abs(a).sum((-1, -2)) * np.abs(inverse).sum((-1, -2))
    return inverse, np.asarray(condition < np.finfo(a.dtype).eps ** -0.5)


def _replaced(result: np.ndarray, bad: np.ndarray, other: Callable, *arrays: np.ndarray) -> np.ndarray:
    """The result, computed in the other way for the bad members."""
    if bad.any():
        result[bad] = other(*(np.broadcast_to(x, result.shape)[bad] for x in arrays))
    return result


def _cofactors_of_singular(a: np.ndarray) -> np.ndarray:
    """With a = u diag(s) v: the product of all singular values but one, for each of them."""
    u, s, v = np.linalg.svd(a)
    others = _products(s)[0]
    return _phase(u, v) * ((u.conj() * others[..., None, :]) @ v.conj())


def _cofactors_along_singular(a: np.ndarray, e: np.ndarray) -> np.ndarray:
    u, s, v = np.linalg.svd(a)
    f = adjoint(u) @ e @ adjoint(v)
    _, pairs = _products(s)
    d = -f * pairs
    k = np.arange(s.shape[-1])
    d[..., k, k] = (pairs @ np.diagonal(f, axis1=-2, axis2=-1)[..., None])[..., 0]
    return _phase(u, v) * (u.conj() @ d.mT @ v.conj())


def _phase(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.linalg.det(u) * np.linalg.det(v))[..., None, None]


def _products(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The product of all entries but i, and (zero on the diagonal) of all but i and j, without a division."""
    n, one = s.shape[-1], np.ones((*s.shape[:-1], 1), s.dtype)
    before = np.cumprod(np.concatenate((one, s), -1), -1)[..., :n]
    after = np.cumprod(np.concatenate((one, s[..., ::-1]), -1), -1)[..., n - 1 :: -1] if n else s
    pairs = np.zeros((*s.shape, n), s.dtype)
    between = np.zeros_like(s)  # for each i < j, the product of the entries strictly between
    for j in range(1, n):
        between[..., : j - 1] *= s[..., j - 1, None]
        between[..., j - 1] = 1
        pairs[..., j, :j] = pairs[..., :j, j] = before[..., :j] * between[..., :j] * after[..., j, None]
    return before * after, pairs


# --- exponential -----------------------------------------------------------------------------------------------------

_PADE = [64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1]  # fmt: skip
_REACH = 5.37  # the norm up to which the approximant of degree 13 is exact to double precision


def exponential(a: np.ndarray) -> np.ndarray:
    """The matrix exponential: halve each member until it is small, approximate, square as often."""
    with np.errstate(all="ignore"):
        norm = np.abs(a).sum(-2).max(-1, initial=0)
        halvings = np.nan_to_num(np.ceil(np.log2(norm / _REACH)), nan=0, posinf=0, neginf=0).clip(0, 1000).astype(int)
        small = np.ldexp(1.0, -halvings).astype(a.real.dtype)
        y = _approximant(a * small[..., None, None])
        for step in range(int(halvings.max(initial=0))):
            y = np.where((step < halvings)[..., None, None], y @ y, y)
    return y


def _approximant(a: np.ndarray) -> np.ndarray:
    """The quotient of polynomials of degree 13 that is nearest to exp at 0."""
    c = [k / _PADE[0] for k in _PADE]
    one, a2 = np.eye(a.shape[-1], dtype=a.dtype), a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a @ (a6 @ (c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * one)
    even = a6 @ (c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * one
    return each(np.linalg.solve, even - odd, even + odd)[0]
