"""Powers, exponentials and chains of products of matrices; products of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import linalg as kernels
from ...op import op
from ..arranging import cat_along, reshape_to, stack_along
from ..axes import one_axis
from ..base import clone, conj, masked
from ..parts import diagonal as _diagonal
from ..products import adjoint, crossed, product
from ..reduce import reduce_sum
from .matrices import by_columns, by_rows, matrices, part
from .systems import inv

# --- matrices --------------------------------------------------------------------------------------------------------


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


# --- vectors ---------------------------------------------------------------------------------------------------------


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
