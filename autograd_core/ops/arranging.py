"""The primitives that arrange the same entries otherwise, as views wherever NumPy can make one.

They take axes counted from the end, whole shapes and normalised indices; the public functions, which read arguments,
are in `shape` (other shapes and orders), `parts` (slices, windows, diagonals) and `joining`.
"""

from __future__ import annotations

import functools

import numpy as np

from ..op import op
from ..samples import shapes
from ..views import memory
from .base import broadcast_to as spread_to
from .base import fit_shape

# --- shapes, orders and views ----------------------------------------------------------------------------------------


@op(
    lambda g, x_shape: reshape_to(g, shape=x_shape),
    linear=True,
    view=True,
    samples=shapes("3 4 | 12 | 2 3 2", shape=[(2, 6), (12,), (4, 3, 1)]) + shapes("0 2", shape=[(0,), (3, 0)]),
    batch=lambda size, values, batched, shape: reshape_to(values[0], shape=(size, *shape)),
    name="reshape",
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
    name="unsqueeze",
)
def expand_dims(x, *, axis):
    """x with axes of length one put in."""
    return x[_opened(x.ndim, axis if axis.__class__ is tuple else (axis,))]


@functools.lru_cache(1000)
def _opened(ndim: int, axis: tuple) -> tuple:
    """The index that puts axes of length one into an array with so many axes."""
    found: list = [slice(None)] * (ndim + len(axis))
    for a in axis:
        found[a] = None
    return tuple(found)


@op(
    lambda g, axes: permuted(g, axes=inverse(axes)),
    linear=True,
    view=True,
    trailing=True,
    samples=shapes("n m k", axes=[(-1, -2, -3), (-2, -3, -1), (-1, -3, -2), (-1, -2), ()])
    + shapes("n m:complex", axes=[(-1, -2)]),
    name="permute",
)
def permuted(x, *, axes):
    """The last axes in another order: the first of them is to be axes[0], and so on."""
    return x.transpose(*range(x.ndim - len(axes)), *[x.ndim + a for a in axes])


def inverse(axes):
    """The order that undoes an order of the last axes."""
    return tuple(axes.index(a) - len(axes) for a in range(-len(axes), 0))


@op(
    lambda g, x_shape, index: put_block(g, shape=x_shape, index=index),
    linear=True,
    view=True,
    name="getitem",
    samples=shapes(
        "3 4",
        index=[
            (1,),
            (-1, 2),
            (slice(None, None, -1),),
            (..., slice(1, 4, 2)),
            (slice(2, 0, -2), None, 1),
            (None, ..., -1),
            (),
        ],
    ),
    batch=lambda size, values, batched, index: view_at(values[0], index=(slice(None), *index)),
)
def view_at(x, *, index):
    """x[index] for a tuple of integers, slices, None and Ellipsis: always a view."""
    return np.asarray(x[index] if ... in index else x[(*index, ...)])


@op(
    lambda g, index: view_at(g, index=index),
    linear=True,
    samples=shapes("3", shape=[(3, 4)], index=[(slice(None), 2), (..., -1)])
    + shapes("2 4", shape=[(3, 4)], index=[(slice(None, None, -2),), (slice(1, 3), slice(None, None, -1))]),
    batch=lambda size, values, batched, shape, index: put_block(
        values[0], shape=(size, *shape), index=(slice(None), *index)
    ),
)
def put_block(x, *, shape, index):
    """Zeros of a shape with x at an index of integers, slices, None and Ellipsis."""
    y = np.zeros(shape, x.dtype)
    y[index] = x
    return y


def along(axis, part):
    """The index that takes a part (an integer or a slice) of an axis counted from the end."""
    return (..., part, *(slice(None),) * (-axis - 1))


# --- side by side ----------------------------------------------------------------------------------------------------


def tangents_of(join):
    """The forward mode of an op that puts its inputs side by side: zeros for those without a tangent."""
    fill = lambda tangents, y, xs: [np.zeros(x.shape, y.dtype) if t is None else t for t, x in zip(tangents, xs)]
    return lambda tangents, y, *xs, axis: join()(*fill(tangents, y, xs), axis=axis)


def piece(g, i, xs_shape, axis):
    """The part of the cotangent of `cat` that belongs to the i-th tensor."""
    start = sum(s[axis] for s in xs_shape[:i])
    return view_at(g, index=along(axis, slice(start, start + xs_shape[i][axis])))


@op(
    lambda g, i, axis: view_at(g, index=along(axis, i)),
    linear=True,
    name="stack",
    jvp=tangents_of(lambda: stack_along),
    samples=shapes("n m, n m, n m", axis=[-1, -2, -3])
    + shapes("(), ()", axis=[-1])
    + shapes("2:complex, 2", axis=[-1]),
    batch=lambda size, values, batched, axis: stack_along(*whole(size, values, batched), axis=axis),
)
def stack_along(*xs, axis):
    """Tensors of one shape along a new axis."""
    return np.stack(xs, axis)


@op(
    lambda g, i, xs_shape, axis: piece(g, i, xs_shape, axis),
    linear=True,
    name="cat",
    jvp=tangents_of(lambda: cat_along),
    samples=shapes("n m, k m, 1 m", axis=[-2]) + shapes("n m, n k", axis=[-1]) + shapes("2:complex, 3", axis=[-1]),
    batch=lambda size, values, batched, axis: cat_along(*whole(size, values, batched), axis=axis),
)
def cat_along(*xs, axis):
    """Tensors one after the other along an axis."""
    return np.concatenate(xs, axis)


def whole(size, values, batched):
    """All values with the batch axis."""
    return [v if b else spread_to(v, shape=(size, *v.shape)) for v, b in zip(values, batched)]


def filled(gs, sizes):
    """The cotangents of several results, with zeros of the given shapes for those that got none."""
    dtype = next(g.dtype for g in gs if g is not None)
    return [np.broadcast_to(np.zeros((), dtype), shape) if g is None else g for g, shape in zip(gs, sizes)]


def pieces(shape, axis, sizes):
    """The shapes of the parts of a split."""
    return [(*shape[:axis], n, *shape[len(shape) + axis + 1 :]) for n in sizes]


@op(
    lambda g, x_shape, axis, sizes: cat_along(*filled(g, pieces(x_shape, axis, sizes)), axis=axis),
    linear=True,
    view=True,
    trailing=True,
    name="split",
    samples=shapes("4 3", axis=[-2], sizes=[(1, 3), (2, 0, 2), (4,)]) + shapes("2 3", axis=[-1], sizes=[(1, 2)]),
)
def split_at(x, *, axis, sizes):
    """Consecutive parts of an axis, all recorded as one call: a loop over them costs one gradient of the whole."""
    ends = np.cumsum(sizes).tolist()
    return tuple([x[along(axis, slice(end - n, end))] for n, end in zip(sizes, ends)])


@op(
    lambda g, x_shape, axis: stack_along(*filled(g, [without(x_shape, axis)] * x_shape[axis]), axis=axis),
    linear=True,
    view=True,
    trailing=True,
    name="unbind",
    samples=shapes("3 2", axis=[-1, -2]) + shapes("2", axis=[-1]),
)
def unbind_at(x, *, axis):
    """The slices along an axis, all recorded as one call."""
    return tuple([x[along(axis, i)] for i in range(x.shape[axis])])


def without(shape, axis):
    """A shape with one axis left out; the axis is counted from the end."""
    return (*shape[:axis], *shape[len(shape) + axis + 1 :])


# --- diagonals and triangles -----------------------------------------------------------------------------------------


def sized(call):
    """The batch rule of an op with one input whose parameter `shape` describes the result of one member."""
    return lambda size, values, batched, shape, **params: call()(values[0], shape=(size, *shape), **params)


@op(
    lambda g, x_shape, offset, axis1, axis2: put_diagonal(g, shape=x_shape, offset=offset, axis1=axis1, axis2=axis2),
    linear=True,
    view=True,
    trailing=True,
    samples=shapes("2 3 4", offset=[0, 1, -1, 5], axis1=[-2, -3], axis2=[-1])
    + shapes("n n", offset=[0, 1], axis1=[-1], axis2=[-2]),
    name="diagonal",
)
def diagonal_of(x, *, offset, axis1, axis2):
    """The diagonal of two axes as the last axis, a view that can be written to."""
    y = np.diagonal(x, offset, axis1, axis2)
    y.flags.writeable = x.flags.writeable
    return y


@op(
    lambda g, offset, axis1, axis2: diagonal_of(g, offset=offset, axis1=axis1, axis2=axis2),
    linear=True,
    samples=shapes("3 2", shape=[(3, 2, 2), (3, 3, 2)], offset=[0], axis1=[-2], axis2=[-1])
    + shapes("3 2", shape=[(3, 2, 3)], offset=[1], axis1=[-2], axis2=[-1])
    + shapes("3 2", shape=[(2, 3, 3)], offset=[-1], axis1=[-1], axis2=[-3]),
    batch=sized(lambda: put_diagonal),
)
def put_diagonal(x, *, shape, offset, axis1, axis2):
    """Zeros of a shape with x on a diagonal."""
    y = np.zeros(shape, x.dtype)
    diagonal_of(y, offset=offset, axis1=axis1, axis2=axis2)[...] = x
    return y


@op(
    lambda g, k, lower: triangle(g, k=k, lower=lower),
    linear=True,
    trailing=True,
    samples=shapes("2 n m", k=[0, 1, -1], lower=[True, False]),
)
def triangle(x, *, k, lower):
    """The lower or upper triangle of matrices, zero elsewhere."""
    return np.tril(x, k) if lower else np.triu(x, k)


# --- moved and repeated ----------------------------------------------------------------------------------------------


@op(
    lambda g, shifts, axis: rolled(g, shifts=tuple(-s for s in shifts), axis=axis),
    linear=True,
    trailing=True,
    name="roll",
    samples=shapes("n m", shifts=[(1, -2), (5, 0)], axis=[(-1, -2), (-1, -1)]),
)
def rolled(x, *, shifts, axis):
    """Entries moved along axes, those that fall off the end put in at the start."""
    return np.roll(x, shifts, axis)


def interleaved(a: tuple, b: tuple) -> tuple[int, ...]:
    """a[0], b[0], a[1], b[1], ..."""
    return tuple(n for pair in zip(a, b) for n in pair)


def folded(g, shape, dims):
    """The sum over the copies that `tiled` made."""
    lead, sizes = shape[: len(shape) - len(dims)], shape[len(shape) - len(dims) :]
    g = reshape_to(g, shape=lead + interleaved(dims, sizes))
    return reshape_to(fit_shape(g, shape=lead + interleaved((1,) * len(dims), sizes)), shape=shape)


@op(
    lambda g, x_shape, dims: folded(g, x_shape, dims),
    linear=True,
    trailing=True,
    samples=shapes("n 2", dims=[(2, 3), (1, 1), (0, 2), (3,)]) + shapes("1 2 1", dims=[(2, 1, 3)]),
    name="tile",
)
def tiled(x, *, dims):
    """Copies of x side by side along its last axes."""
    return np.tile(x, dims)


@op(
    lambda g, x_shape, axis, step: add_windows(g, size=x_shape[axis], axis=axis, step=step),
    linear=True,
    view=True,
    trailing=True,
    name="unfold",
    samples=shapes("5 4", axis=[-1, -2], size=[2, 3], step=[1, 2, 3]),
)
def windows(x, *, axis, size, step):
    """Windows of an axis, as a last axis; where they overlap, and may share entries, they can be read only."""
    owner = memory(x)
    buffer = owner.transpose(sorted(range(owner.ndim), key=lambda a: -owner.strides[a]))
    shared = not buffer.flags.c_contiguous
    if shared:  # memory that is somebody else's
        x = buffer = np.array(x, order="C")
    count, stride, rest = (x.shape[axis] - size) // step + 1, x.strides[axis], x.ndim + axis + 1
    shape = (*x.shape[:axis], count, *x.shape[rest:], size)
    strides = (*x.strides[:axis], stride * step, *x.strides[rest:], stride)
    y = np.ndarray(shape, x.dtype, buffer, address(x) - address(buffer), strides)
    if shared or step < size or not x.flags.writeable:
        y.flags.writeable = False
    return y


def address(x):
    """Where an array's first entry is."""
    return x.__array_interface__["data"][0]


@op(
    lambda g, axis, x_shape, step: windows(g, axis=axis, size=x_shape[-1], step=step),
    linear=True,
    trailing=True,
    samples=shapes("3 2", size=[6, 7], axis=[-1], step=[2]) + shapes("3 2 2", size=[4], axis=[-2], step=[1]),
)
def add_windows(x, *, size, axis, step):
    """The sum of windows over an axis of a given size, each where it was taken from."""
    count, width = x.shape[axis - 1], x.shape[-1]
    y = np.zeros((*x.shape[: axis - 1], size, *x.shape[x.ndim + axis : -1]), x.dtype)
    for k in range(width):
        y[along(axis, slice(k, k + step * (count - 1) + 1, step))] += x[..., k]
    return y
