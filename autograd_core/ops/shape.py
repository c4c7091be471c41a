"""Shapes."""

from __future__ import annotations

import numpy as np

from ..op import op
from ..samples import shapes

__all__ = []


@op(
    lambda g, x_shape: reshape_to(g, shape=x_shape),
    linear=True,
    view=True,
    samples=shapes("3 4 | 12", shape=[(2, 6), (12,), (4, 3, 1)]),
    batch=lambda size, values, batched, shape: reshape_to(values[0], shape=(size, *shape)),
)
def reshape_to(x, *, shape):
    """The same entries in another shape, as a view where possible."""
    return np.reshape(x, shape)


@op(
    lambda g, x_shape: reshape_to(g, shape=x_shape),
    linear=True,
    view=True,
    trailing=True,
    samples=shapes("n m", axis=[(-1,), (-3, -1)]),
)
def expand_dims(x, *, axis):
    """x with axes of length one put in."""
    return np.expand_dims(x, axis)


@op(
    lambda g, i, axis: take_at(g, index=i, axis=axis),
    linear=True,
    samples=shapes("n m, n m", axis=[-1, -2, -3], smallest=1),
    batch=lambda size, values, batched, axis: stack(*spread_all(size, values, batched), axis=axis),
)
def stack(*xs, axis):
    """Tensors of one shape along a new axis."""
    return np.stack(xs, axis)


def spread_all(size, values, batched):
    """All with the batch axis."""
    from ..vmap import spread

    return spread(values, batched, size)


@op(
    lambda g, x_shape, index, axis: put_at(g, shape=x_shape, index=index, axis=axis),
    linear=True,
    view=True,
    trailing=True,
    samples=shapes("4 3", index=[0, 2], axis=[-1, -2]),
)
def take_at(x, *, index, axis):
    """The entries at one place of an axis, as a view."""
    return x[(..., index, *(slice(None),) * (-axis - 1))]


@op(
    lambda g, index, axis: take_at(g, index=index, axis=axis),
    linear=True,
    samples=[],
)
def put_at(x, *, shape, index, axis):
    """Zeros of a shape with x at one place of an axis."""
    y = np.zeros(shape, x.dtype)
    y[(..., index, *(slice(None),) * (-axis - 1))] = x
    return y
