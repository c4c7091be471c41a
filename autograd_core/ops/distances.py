"""Distances between the rows of matrices."""

from __future__ import annotations

import numpy as np

from ..op import elementwise, op
from ..samples import shapes
from ..vmap import aligned
from .arranging import expand_dims
from .gather import index_select
from .products import product
from .reduce import reduce_norm, reduce_sum

__all__ = ["cdist", "pdist"]


def _inverse_or_zero(x):
    with np.errstate(all="ignore"):
        return np.where(x == 0, np.zeros((), x.dtype), 1 / x)


inverse_or_zero = elementwise(
    _inverse_or_zero, lambda y: -y * y, name="inverse_or_zero", inputs=("x",), samples="n m:nonzero"
)


def _pull(g, y, a, b):
    """The force on each a of all b, each along the unit vector that joins them; none where they coincide."""
    force = g * inverse_or_zero(y)
    return reduce_sum(force, axis=(-1,), keepdims=True) * a - product(force, b)


@op(
    lambda g, y, a, b: _pull(g, y, a, b),
    lambda g, y, a, b: _pull(g.mT, y.mT, b, a),
    promotes=True,
    batch=lambda size, values, batched, by_product: euclidean(*aligned(values, batched), by_product=by_product),
    samples=shapes(
        "n k:small, m k:large | b n k:small, b m k:large | b n k:small, m k:large", by_product=[False, True], smallest=1
    ),
    name="cdist",
)
def euclidean(a, b, *, by_product):
    """The distances between all rows of a and all rows of b; by a product of matrices it is faster and less exact."""
    if not by_product:
        difference = a[..., :, None, :] - b[..., None, :, :]
        return np.sqrt(np.einsum("...k,...k->...", difference, difference))
    squares = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :]
    return np.sqrt(np.maximum(squares - 2 * product.op.forward(a, b.mT), 0))


_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def cdist(x1, x2, p=2.0, compute_mode=_MODES[0]):
    """The p-norm distances between all rows of x1 and all rows of x2; the gradient is 0 where two coincide."""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist: needs (..., n, k) and (..., m, k), got {tuple(x1.shape)} and {tuple(x2.shape)}")
    if p < 0 or x1.dtype.kind != "f" or x2.dtype.kind != "f":
        raise ValueError(f"cdist: needs p >= 0 and real floating-point rows, got p={p}, {x1.dtype} and {x2.dtype}")
    if compute_mode not in _MODES:
        raise ValueError(f"cdist: compute_mode must be one of {_MODES}, got {compute_mode!r}")
    if p == 2:
        many = max(x1.shape[-2], x2.shape[-2]) > 25
        return euclidean(x1, x2, by_product=compute_mode == _MODES[1] or (many and compute_mode == _MODES[0]))
    return reduce_norm(expand_dims(x1, axis=-2) - expand_dims(x2, axis=-3), p=float(p), axis=(-1,), keepdims=False)


def pdist(input, p=2):
    """The p-norm distances between each row and those after it; the gradient is 0 where two coincide."""
    if input.ndim != 2 or p < 0 or input.dtype.kind != "f":
        given = f"{tuple(input.shape)} {input.dtype} and p={p}"
        raise ValueError(f"pdist: needs a matrix of real floating-point numbers and p >= 0, got {given}")
    first, second = np.triu_indices(input.shape[0], 1)
    difference = index_select(input, 0, first) - index_select(input, 0, second)
    return reduce_norm(difference, p=float(p), axis=(-1,), keepdims=False)
