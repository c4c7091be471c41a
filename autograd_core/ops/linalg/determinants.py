"""Determinants and their logarithms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...kernels import linalg as kernels
from ...op import op
from ..base import conj, imag, masked
from ..math import angle, where
from ..products import adjoint, product
from ..reduce import reduce_sum
from .matrices import broadcasting, diag_of, matrices, per_matrix, plus
from .systems import inverse_of


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
    batch=broadcasting(lambda: cofactors_along),
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
