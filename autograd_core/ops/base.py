"""The few ops that the engine itself stands on: fitting, casting, copying, and writing through views.

Many rules here return `g` as it is: the engine fits every cotangent to the shape and type of its input, by summing
where broadcasting enlarged, spreading where an axis was left at length one, and casting.
"""

from __future__ import annotations

import numpy as np

from ..kernels.sums import add_up
from ..op import op
from ..samples import shapes
from ..views import follow

__all__ = ["broadcast_to", "clone", "conj", "imag", "real"]


@op(
    lambda ct, p: masked(ct, conj(p)),
    lambda ct, g: masked(ct, conj(g)),
    linear=True,
    elementwise=True,
    samples="n m:nonzero, n m | n m:nonzero, m | n:complex, n:complex",
)
def masked(g, p):
    """g * p in which a zero means "not selected": the product is 0 whatever the other is, infinite or NaN."""
    product = np.multiply(g, p)
    return np.where(np.not_equal(g, 0) & np.not_equal(p, 0), product, np.zeros((), product.dtype))


@op(lambda g: conj(g), linear=True, elementwise=True, view=True, samples="n m | n:complex")
def conj(x):
    """The complex conjugate; a real tensor is its own."""
    return np.conjugate(x) if np.iscomplexobj(x) else x


@op(lambda g: g, linear=True, elementwise=True, view=True, samples="n m | n:complex")
def real(x):
    """The real part, as a view; a real tensor is its own."""
    return np.real(x)


@op(lambda g: g * 1j, linear=True, elementwise=True, view=True, samples="n m:complex")
def imag(x):
    """The imaginary part, as a view."""
    if not np.iscomplexobj(x):
        raise TypeError("imag: expected a complex tensor")
    return np.imag(x)


@op(lambda g: g, linear=True, elementwise=True, samples=shapes("n m", dtype=[np.dtype("float64")]))
def cast(x, *, dtype):
    """The same numbers as another type; from complex to real, the real part."""
    return (x.real if x.dtype.kind == "c" and dtype.kind not in "cb" else x).astype(dtype)


@op(lambda g: g, linear=True, elementwise=True, view=True, samples="n m")
def alias(x):
    """The same memory under a history of its own."""
    return x.view()


@op(lambda g: g, linear=True, elementwise=True, samples="n m | ()")
def clone(x):
    """A copy, in the memory order of the original."""
    return np.array(x)


def spread_out(x, shape):
    """np.broadcast_to, at a fraction of its cost where entries lie in order."""
    if x.__class__ is not np.ndarray or (lead := len(shape) - x.ndim) < 0 or not x.flags.c_contiguous:
        return np.broadcast_to(x, shape)
    strides = (0,) * lead
    for n, wanted, step in zip(x.shape, shape[lead:], x.strides):
        if n != wanted and n != 1:
            return np.broadcast_to(x, shape)  # which says what is wrong
        strides += (step if n == wanted else 0,)
    y = np.ndarray(shape, x.dtype, x, 0, strides)
    y.flags.writeable = False
    return y


def _batched_shape(size, values, batched, *, shape, call):
    """Give the value a batch axis and every axis of the wanted shape, apply the op, drop what is left over."""
    x, rank = values[0], max(len(shape), values[0].ndim - 1)
    x = x.reshape((size, *(1,) * (rank - x.ndim + 1), *x.shape[1:]))
    return call(x, shape=(size, *(1,) * (rank - len(shape)), *shape)).reshape((size, *shape))


@op(
    lambda g: g,
    linear=True,
    view=True,
    samples=[shapes("4 | ()", shape=[(4,), (3, 4), (0, 4)]), shapes("3 1 | 1 1 | 3 4", shape=[(3, 4), (2, 3, 4)])],
    batch=lambda *a, **p: _batched_shape(*a, call=broadcast_to, **p),
)
def broadcast_to(x, *, shape):
    """x spread over a larger shape without copying."""
    return spread_out(x, shape)


@op(
    lambda g: g,
    linear=True,
    samples=shapes("3 4 | 1 4", shape=[(4,), (1, 4), (3, 4), (2, 3, 4)]),
    batch=lambda *a, **p: _batched_shape(*a, call=fit_shape, **p),
)
def fit_shape(x, *, shape):
    """Undo or do broadcasting: add up the axes along which x is larger than `shape`, spread where it is smaller."""
    lead = x.ndim - len(shape)
    if lead < 0 or not lead and 1 not in shape:
        return spread_out(x, shape)
    if lead and shape and x.shape[lead:] == shape:
        return add_up(
            x, tuple(range(-x.ndim, -len(shape)))
        )  # the gradient of a bias: an array of its own, with no copy
    axes = tuple([*range(lead), *[lead + i for i, n in enumerate(shape) if n == 1 != x.shape[lead + i]]])
    x = add_up(x, tuple(a - x.ndim for a in axes), True) if axes else x
    return spread_out(x.reshape(x.shape[lead:]) if lead else x, shape)


def _put_in_each(size, values, batched, *, path):
    """Each member by itself, as paths are not made for batches; of none, nothing."""
    from ..vmap import one_by_one

    if size:
        return one_by_one(put_view.op, values, batched, size, {"path": path})
    return clone(values[0]) if batched[0] else broadcast_to(values[0], shape=(0, *values[0].shape))


def erased(g, path):
    """g with nothing in the view that a path describes."""
    part = follow(path, g)
    return put_view(g, np.zeros(part.shape, part.dtype), path=path)


@op(
    lambda g, path: erased(g, path),
    lambda g, path: follow(path, g),
    jvp=lambda tangents, y, *xs, path: put_view(
        *[np.zeros(x.shape, y.dtype) if t is None else t for t, x in zip(tangents, xs)], path=path
    ),
    samples=[],
    batch=lambda *a, **p: _put_in_each(*a, **p),
)
def put_view(x, v, *, path):
    """x with the view that `path` describes replaced by v."""
    y = np.array(x)
    follow(path, y)[...] = v
    return y


@op(mutates=("x",), samples=[])
def overwrite(x, v):
    """Write v into the memory of x: what every change in place ends with."""
    np.copyto(x, v, casting="same_kind")


@op(lambda g: g, linear=True, elementwise=True, samples="n m")
def compact(x):
    """A copy with entries in order, last axis fastest."""
    return np.array(x, order="C")


@op(lambda g: None, elementwise=True, jvp=lambda tangents, y, x, **p: None, samples=[])
def filled(x, *, array):
    """A constant in the shape of x, traced as x is, so that it can take on values of the same transform in place."""
    return np.array(np.broadcast_to(array, np.shape(x)))
