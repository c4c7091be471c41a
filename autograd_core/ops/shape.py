"""Shapes: the same entries arranged otherwise, as views wherever NumPy can make one.

Primitives take axes counted from the end, whole shapes and normalised indices; the public functions below them do the
reading of arguments.
"""

from __future__ import annotations

import builtins
import functools
import operator
import os
from functools import reduce
from math import inf, prod
from typing import Any

import numpy as np

from ..dtypes import promote_types
from ..op import REGISTRY, Traced, op
from ..samples import shapes
from ..views import memory
from .axes import all_axes, one_axis
from .base import alias, clone, conj, fit_shape, put_view
from .base import broadcast_to as spread_to

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_tensors", "broadcast_to",
    "cartesian_prod", "cat", "chunk", "column_stack", "concat", "concatenate", "constant_pad_nd", "diag",
    "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "dsplit", "dstack", "expand", "expand_as", "flatten",
    "flip", "fliplr", "flipud", "hsplit", "hstack", "moveaxis", "movedim", "narrow", "numel", "permute", "ravel",
    "repeat", "reshape", "reshape_as", "roll", "rot90", "row_stack", "select", "select_scatter", "slice_scatter",
    "split", "split_with_sizes", "squeeze", "stack", "sum_to_size", "swapaxes", "swapdims", "t", "tensor_split", "tile",
    "transpose", "tril", "triu", "unbind", "unflatten", "unfold", "unsqueeze", "view", "view_as", "vsplit", "vstack",
]  # fmt: skip
INPLACE = ["tril", "triu"]


# --- primitives ------------------------------------------------------------------------------------------------------


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


def tangents_of(join):
    """The forward mode of an op that puts its inputs side by side: zeros for those without a tangent."""
    fill = lambda tangents, y, xs: [np.zeros(x.shape, y.dtype) if t is None else t for t, x in zip(tangents, xs)]
    return lambda tangents, y, *xs, axis: join()(*fill(tangents, y, xs), axis=axis)


def piece(g, i, xs_shape, axis):
    """The part of the cotangent of `cat` that belongs to the i-th tensor."""
    start = builtins.sum(s[axis] for s in xs_shape[:i])
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
    lambda g, shifts, axis: rolled(g, shifts=tuple(-s for s in shifts), axis=axis),
    linear=True,
    trailing=True,
    name="roll",
    samples=shapes("n m", shifts=[(1, -2), (5, 0)], axis=[(-1, -2), (-1, -1)]),
)
def rolled(x, *, shifts, axis):
    """Entries moved along axes, those that fall off the end put in at the start."""
    return np.roll(x, shifts, axis)


@op(
    lambda g, k, lower: triangle(g, k=k, lower=lower),
    linear=True,
    trailing=True,
    samples=shapes("2 n m", k=[0, 1, -1], lower=[True, False]),
)
def triangle(x, *, k, lower):
    """The lower or upper triangle of matrices, zero elsewhere."""
    return np.tril(x, k) if lower else np.triu(x, k)


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


# --- reading arguments -----------------------------------------------------------------------------------------------


def integer(n: Any, name: str, what: str) -> int:
    """A whole number, or a TypeError that says what was given."""
    if n.__class__ is int:
        return n
    try:
        return operator.index(n)
    except TypeError:
        raise TypeError(f"{name}: {what} must be an integer, got {n!r:.60}") from None


def integers(numbers: tuple, name: str, what: str = "a size") -> tuple[int, ...]:
    """Whole numbers given one by one, or as one tuple or list."""
    if len(numbers) == 1 and isinstance(numbers[0], (tuple, list, np.ndarray)):
        numbers = tuple(numbers[0])
    return tuple([n if n.__class__ is int else integer(n, name, what) for n in numbers])


def completed(shape: tuple, total: int, given: tuple, name: str) -> tuple[int, ...]:
    """A shape with -1 replaced by what is left of `total` entries; `given` is what the message calls their shape."""
    if -1 in shape:
        known = prod([n for n in shape if n != -1])
        if shape.count(-1) == 1 and known and total % known == 0:
            return tuple([total // known if n == -1 else n for n in shape])
    elif prod(shape) == total and (not shape or builtins.min(shape) >= 0):
        return shape
    if shape.count(-1) > 1:
        raise ValueError(f"{name}: only one size may be -1, got {shape}")
    if any(n < -1 for n in shape):
        raise ValueError(f"{name}: sizes cannot be negative, got {shape}")
    if -1 in shape and not total and not prod([n for n in shape if n != -1]):
        raise ValueError(f"{name}: -1 in {shape} could be any size, as there are no entries; give it explicitly")
    raise ValueError(
        f"{name}: {total} entries of shape {given} do not fill shape {shape}; -1 stands for the size that would"
    )


def sequence(tensors: Any, name: str, at_least: int = 1) -> list:
    """A list or tuple of tensors, of one dtype: PyTorch's promotion decides which."""
    if isinstance(tensors, (Traced, np.ndarray)):
        tensors = list(tensors) if tensors.ndim else [tensors]
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}: expected a list or tuple of tensors, got {type(tensors).__name__}")
    tensors = [t if isinstance(t, (Traced, np.ndarray)) else entry(t, name) for t in tensors]
    if len(tensors) < at_least:
        raise ValueError(f"{name}: needs at least {at_least} tensor{'s' * (at_least > 1)}, got {len(tensors)}")
    if any(t.dtype is not tensors[0].dtype for t in tensors):
        dtype = reduce(promote_types, [t.dtype for t in tensors])
        tensors = [t if t.dtype == dtype else t.astype(dtype) for t in tensors]
    return tensors


def entry(value: Any, name: str) -> np.ndarray:
    """A number as an array; anything else among tensors is a mistake."""
    if not isinstance(value, (int, float, complex, np.generic)):
        raise TypeError(f"{name}: expected tensors, got {type(value).__name__}")
    return np.asarray(value)


def needs_axes(x: Any, count: int, name: str) -> None:
    """Raise unless x has at least so many axes."""
    if x.ndim < count:
        raise ValueError(f"{name}: needs a tensor with at least {count} axes, got shape {x.shape}")


def afford(shape: tuple, dtype: np.dtype, name: str) -> None:
    """Refuse a result that this machine's memory cannot hold."""
    if (needed := prod(shape) * dtype.itemsize) > 1 << 28 and needed > memory_limit():
        there = f"{needed / 2**30:.4g} GiB, and there are {memory_limit() / 2**30:.4g}"
        raise MemoryError(f"{name}: {shape} {dtype} would take {there}")


@functools.cache
def memory_limit() -> float:
    """Bytes that this process may have: those of the machine, or fewer if a control group says so."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return inf
    try:
        with open("/sys/fs/cgroup/memory.max") as limit:
            return builtins.min(total, int(limit.read()))
    except (OSError, ValueError):
        return total


# --- other shapes ----------------------------------------------------------------------------------------------------


def reshape(x, *shape):
    """The same entries in another shape, which may have one -1; a view where possible."""
    return reshape_to(x, shape=completed(integers(shape, "reshape"), prod(x.shape), x.shape, "reshape"))


def reshape_as(x, other):
    """x in the shape of another tensor."""
    return reshape(x, tuple(other.shape))


def view(x, *shape):
    """The same memory in another shape; where only a copy would do, an error (see `reshape`)."""
    y = reshape_to(x, shape=completed(integers(shape, "view"), prod(x.shape), x.shape, "view"))
    if memory(y) is not memory(x):
        raise RuntimeError(
            f"view: shape {y.shape} cannot be a view of this tensor of shape {x.shape} without a copy; use reshape"
        )
    return y


def view_as(x, other):
    """The same memory in the shape of another tensor."""
    return view(x, tuple(other.shape))


def flatten(x, start_dim=0, end_dim=-1):
    """Axes start_dim to end_dim as one."""
    if x.ndim == 0:
        return reshape_to(x, shape=(1,))
    first, last = (x.ndim + one_axis(x.ndim, d, "flatten") for d in (start_dim, end_dim))
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {x.shape}")
    return reshape_to(x, shape=(*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def ravel(x):
    """All entries as one axis."""
    return reshape_to(x, shape=(prod(x.shape),))


def unflatten(x, dim, sizes):
    """One axis as several of the given sizes, of which one may be -1."""
    axis = x.ndim + one_axis(x.ndim, dim, "unflatten")
    sizes = completed(integers((sizes,), "unflatten"), x.shape[axis], (x.shape[axis],), "unflatten")
    return reshape_to(x, shape=(*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def squeeze(x, dim=None):
    """x without its axes of length one, or without those of them named by dim."""
    axes = all_axes(x.ndim, dim, "squeeze")
    return reshape_to(x, shape=tuple(n for a, n in zip(range(-x.ndim, 0), x.shape) if n != 1 or a not in axes))


def unsqueeze(x, dim):
    """x with an axis of length one put in at dim."""
    return expand_dims(x, axis=(one_axis(x.ndim + 1, dim, "unsqueeze"),))


def expand(x, *sizes):
    """x spread along axes of length one and new leading ones, without copying; -1 keeps a size.

    The result can only be read if entries share memory.
    """
    return spread_view(x, spread_shape(x, integers(sizes, "expand"), "expand"))


def spread_view(x: Any, shape: tuple) -> Any:
    """x spread to a shape; where each entry stays one, a view that can be written to."""
    if x.shape == shape:
        return alias(x)
    return (reshape_to if prod(shape) == prod(x.shape) else spread_to)(x, shape=shape)


def spread_shape(x: Any, shape: tuple, name: str) -> tuple[int, ...]:
    """The shape to which x is to be spread, with sizes for -1, or an error if it cannot be."""
    lead = len(shape) - x.ndim
    full = tuple([x.shape[k - lead] if n == -1 and k >= lead else n for k, n in enumerate(shape)])
    if lead < 0 or any(n < 0 for n in full) or any(m != n and m != 1 for m, n in zip(x.shape, full[lead:])):
        raise ValueError(
            f"{name}: shape {x.shape} does not spread to {shape}; sizes must agree from the right, or be 1"
        )
    return full


def numel(input):
    """The number of entries."""
    return prod(input.shape)


def expand_as(x, other):
    """x spread to the shape of another tensor."""
    return spread_view(x, spread_shape(x, tuple(other.shape), "expand_as"))


def broadcast_to(x, shape):
    """x spread to a shape, without copying."""
    return spread_view(x, spread_shape(x, integers((shape,), "broadcast_to"), "broadcast_to"))


def broadcast_tensors(*tensors):
    """All tensors spread to their common shape."""
    shape = common_shape([t.shape for t in tensors], "broadcast_tensors")
    return tuple(t if t.shape == shape else spread_to(t, shape=shape) for t in tensors)


def common_shape(sizes: list, name: str) -> tuple[int, ...]:
    """The shape to which several broadcast."""
    try:
        return np.broadcast_shapes(*sizes)
    except ValueError:
        raise ValueError(f"{name}: shapes {', '.join(map(str, sizes))} do not broadcast together") from None


def sum_to_size(x, *size):
    """x added up to a shape that broadcasts to its own: what the gradient of broadcasting is."""
    size = integers(size, "sum_to_size")
    if len(size) > x.ndim or any(m not in (1, n) for m, n in zip(size[::-1], x.shape[::-1])):
        raise ValueError(f"sum_to_size: shape {x.shape} cannot be summed to {size}, which does not broadcast to it")
    if x.shape == size:
        return alias(x)
    x = x if x.dtype.kind not in "biu" else x.astype(np.dtype(np.int64))
    return fit_shape(x, shape=size)


def repeat(x, *repeats):
    """x laid out several times along each axis, and along new leading ones."""
    repeats = integers(repeats, "repeat", "a number of repeats")
    if len(repeats) < x.ndim:
        raise ValueError(f"repeat: needs a number for each of the {x.ndim} axes, got {repeats}")
    return laid_out(x, repeats, "repeat")


def tile(x, *dims):
    """x laid out several times along its last axes."""
    return laid_out(x, integers(dims, "tile", "a number of repeats"), "tile")


def laid_out(x: Any, dims: tuple, name: str) -> Any:
    """Copies of x side by side along its last axes."""
    if any(n < 0 for n in dims):
        raise ValueError(f"{name}: numbers of repeats cannot be negative, got {dims}")
    afford((prod(x.shape), *dims), x.dtype, name)
    rank = builtins.max(len(dims), x.ndim)
    x = x if x.ndim == rank else reshape_to(x, shape=(1,) * (rank - x.ndim) + x.shape)
    return tiled(x, dims=(1,) * (rank - len(dims)) + dims)


def atleast_1d(*tensors):
    """Each tensor with one axis at least."""
    return each(tensors, lambda x: reshape_to(x, shape=(1,)) if x.ndim == 0 else x, "atleast_1d")


def atleast_2d(*tensors):
    """Each tensor with two axes at least: vectors become rows."""
    return each(
        tensors, lambda x: reshape_to(x, shape=(1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x, "atleast_2d"
    )


def atleast_3d(*tensors):
    """Each tensor with three axes at least: vectors become (1, n, 1), matrices (n, m, 1)."""
    raised = {0: lambda n: (1, 1, 1), 1: lambda n: (1, *n, 1), 2: lambda n: (*n, 1)}
    return each(tensors, lambda x: reshape_to(x, shape=raised[x.ndim](x.shape)) if x.ndim < 3 else x, "atleast_3d")


def each(tensors: tuple, change: Any, name: str) -> Any:
    """One tensor changed; several, or a list of them, as a tuple."""
    several = len(tensors) != 1 or isinstance(tensors[0], (tuple, list))
    if several and len(tensors) == 1:
        tensors = tuple(tensors[0])
    results = tuple([change(x if isinstance(x, (Traced, np.ndarray)) else entry(x, name)) for x in tensors])
    return results if several else results[0]


# --- other orders ----------------------------------------------------------------------------------------------------


def permute(x, *dims):
    """The axes in another order, as a view."""
    dims = integers(dims, "permute", "an axis")
    if len(dims) != x.ndim:
        raise ValueError(f"permute: needs each of the {x.ndim} axes of shape {x.shape} once, got {dims}")
    return permuted(x, axes=all_axes(x.ndim, dims, "permute"))


def transpose(x, dim0, dim1):
    """Two axes exchanged, as a view."""
    return exchanged(x, dim0, dim1, "transpose")


def swapaxes(x, axis0, axis1):
    """Two axes exchanged, as a view."""
    return exchanged(x, axis0, axis1, "swapaxes")


def swapdims(x, dim0, dim1):
    """Two axes exchanged, as a view."""
    return exchanged(x, dim0, dim1, "swapdims")


def exchanged(x: Any, first: Any, second: Any, name: str) -> Any:
    """Two axes exchanged: only those from the outer of them on are mentioned to the primitive."""
    a, b = one_axis(x.ndim, first, name), one_axis(x.ndim, second, name)
    if x.ndim == 0:
        return permuted(x, axes=())
    axes = list(range(builtins.min(a, b), 0))
    axes[a], axes[b] = axes[b], axes[a]
    return permuted(x, axes=tuple(axes))


def t(x):
    """The transpose of a matrix; a vector is its own."""
    if x.ndim > 2:
        raise ValueError(
            f"t: expected a tensor with at most 2 axes, got shape {x.shape}; use mT for batches of matrices"
        )
    return permuted(x, axes=(-1, -2)) if x.ndim == 2 else permuted(x, axes=())


def T(x):
    """All axes in reverse order."""
    return permuted(x, axes=tuple(range(-1, -x.ndim - 1, -1)))


def mT(x):
    """The last two axes exchanged."""
    needs_axes(x, 2, "mT")
    return permuted(x, axes=(-1, -2))


def mH(x):
    """The conjugate, with the last two axes exchanged."""
    needs_axes(x, 2, "mH")
    return conj(permuted(x, axes=(-1, -2)))


def H(x):
    """The conjugate transpose of a matrix."""
    if x.ndim not in (0, 2):
        raise ValueError(f"H: expected a matrix, got shape {x.shape}; use mH for batches of matrices")
    return conj(T(x))


def adjoint(x):
    """The conjugate, with the last two axes exchanged."""
    return mH(x)


def movedim(x, source, destination):
    """Axes moved to other places; the rest stay in order."""
    return moved(x, source, destination, "movedim")


def moveaxis(x, source, destination):
    """Axes moved to other places; the rest stay in order."""
    return moved(x, source, destination, "moveaxis")


def moved(x: Any, source: Any, destination: Any, name: str) -> Any:
    """Axes moved to other places."""
    sources, targets = (
        all_axes(x.ndim, integers((source,), name), name),
        all_axes(x.ndim, integers((destination,), name), name),
    )
    if len(sources) != len(targets):
        raise ValueError(f"{name}: {len(sources)} axes to move, but {len(targets)} places for them")
    rest = iter([a for a in range(-x.ndim, 0) if a not in sources])
    chosen = dict(zip(targets, sources))
    return permuted(x, axes=tuple([chosen[a] if a in chosen else next(rest) for a in range(-x.ndim, 0)]))


def flip(x, *dims):
    """A copy with the entries along some axes in reverse order; x[::-1] is the view."""
    axes = all_axes(x.ndim, integers(dims, "flip", "an axis"), "flip")
    return clone(
        view_at(x, index=tuple(slice(None, None, -1) if a in axes else slice(None) for a in range(-x.ndim, 0)))
    )


def fliplr(x):
    """A copy with columns in reverse order."""
    needs_axes(x, 2, "fliplr")
    return flip(x, 1)


def flipud(x):
    """A copy with rows in reverse order."""
    needs_axes(x, 1, "flipud")
    return flip(x, 0)


def rot90(x, k=1, dims=(0, 1)):
    """The plane of two axes turned k times by 90 degrees, the first axis towards the second."""
    needs_axes(x, 2, "rot90")
    axes = all_axes(x.ndim, tuple(dims), "rot90")
    if len(axes) != 2:
        raise ValueError(f"rot90: dims must be two axes, got {dims}")
    k = integer(k, "rot90", "k") % 4
    if k == 2:
        return flip(x, axes)
    return clone(x) if k == 0 else flip(exchanged(x, *axes, "rot90"), axes[0] if k == 1 else axes[1])


def roll(x, shifts, dims=None):
    """Entries moved along axes, those that fall off the end put in at the start; without dims, as one long axis."""
    shifts = integers((shifts,), "roll", "a shift")
    if dims is None:
        if len(shifts) != 1:
            raise ValueError(f"roll: {len(shifts)} shifts need as many dims")
        return reshape_to(rolled(ravel(x), shifts=shifts, axis=(-1,)), shape=x.shape)
    axes = tuple(one_axis(x.ndim, d, "roll") for d in integers((dims,), "roll", "an axis"))
    if len(axes) != len(shifts):
        raise ValueError(f"roll: {len(shifts)} shifts, but {len(axes)} dims")
    return rolled(x, shifts=shifts, axis=axes) if x.ndim else x


# --- parts -----------------------------------------------------------------------------------------------------------


def narrow(x, dim, start, length):
    """`length` entries of an axis from `start` on, as a view."""
    axis, start, length = (
        one_axis(x.ndim, dim, "narrow"),
        integer(start, "narrow", "start"),
        integer(length, "narrow", "length"),
    )
    needs_axes(x, 1, "narrow")
    size = x.shape[axis]
    first = start + size if start < 0 else start
    if length < 0 or not 0 <= first <= size - length:
        raise IndexError(
            f"narrow: {length} entries from {start} on do not exist on an axis of {size} (shape {x.shape})"
        )
    return view_at(x, index=along(axis, slice(first, first + length)))


def select(x, dim, index):
    """The entries at one place of an axis, as a view."""
    return view_at(x, index=along(*place(x, dim, index, "select")))


def place(x: Any, dim: Any, index: Any, name: str) -> tuple[int, int]:
    """An axis counted from the end and a valid place on it."""
    needs_axes(x, 1, name)
    axis, index = one_axis(x.ndim, dim, name), integer(index, name, "index")
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise IndexError(f"{name}: index {index} is out of range for axis {dim} of shape {x.shape}")
    return axis, index


def part_replaced(x: Any, src: Any, name: str, primitive: str, **params: Any) -> Any:
    """A copy of x with one of its views replaced."""
    wanted = REGISTRY[primitive].forward(np.broadcast_to(np.zeros(()), x.shape), **params).shape
    if src.shape != wanted:
        raise ValueError(f"{name}: src has shape {src.shape}, but the part of {x.shape} it replaces has shape {wanted}")
    return put_view(
        x, src if src.dtype == x.dtype else src.astype(x.dtype), path=((REGISTRY[primitive], params, None),)
    )


def select_scatter(x, src, dim, index):
    """A copy of x with the entries at one place of an axis replaced."""
    return part_replaced(x, src, "select_scatter", "getitem", index=along(*place(x, dim, index, "select_scatter")))


def slice_scatter(x, src, dim=0, start=None, end=None, step=1):
    """A copy of x with a slice of an axis replaced."""
    needs_axes(x, 1, "slice_scatter")
    if step < 1:
        raise ValueError(f"slice_scatter: step must be positive, got {step}")
    axis = one_axis(x.ndim, dim, "slice_scatter")
    return part_replaced(x, src, "slice_scatter", "getitem", index=along(axis, slice(start, end, step)))


def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    """A copy of x with a diagonal replaced."""
    axis1, axis2 = two_axes(x, dim1, dim2, "diagonal_scatter")
    return part_replaced(x, src, "diagonal_scatter", "diagonal", offset=offset, axis1=axis1, axis2=axis2)


def unbind(x, dim=0):
    """The slices along an axis, as views."""
    needs_axes(x, 1, "unbind")
    axis = one_axis(x.ndim, dim, "unbind")
    return unbind_at(x, axis=axis) if x.shape[axis] else ()


def split(x, split_size_or_sections, dim=0):
    """Parts of a given size (the last may be smaller), or of the sizes listed, as views."""
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(x, split_size_or_sections, dim)
    needs_axes(x, 1, "split")
    axis, size = one_axis(x.ndim, dim, "split"), integer(split_size_or_sections, "split", "the size of a part")
    n = x.shape[axis]
    if size < 0 or size == 0 != n:
        raise ValueError(f"split: the size of a part must be positive, got {size}")
    return split_at(x, axis=axis, sizes=tuple(builtins.min(size, n - k) for k in range(0, n, size or 1)) or (0,))


def split_with_sizes(x, split_sizes, dim=0):
    """Parts of the sizes listed, as views."""
    needs_axes(x, 1, "split")
    axis, sizes = one_axis(x.ndim, dim, "split"), integers((split_sizes,), "split")
    if builtins.sum(sizes) != x.shape[axis] or any(n < 0 for n in sizes):
        raise ValueError(
            f"split: sizes {sizes} must add up to {x.shape[axis]}, the length of axis {dim} of shape {x.shape}"
        )
    return split_at(x, axis=axis, sizes=sizes) if sizes else ()


def chunk(x, chunks, dim=0):
    """At most `chunks` parts of equal size (the last may be smaller), as views."""
    needs_axes(x, 1, "chunk")
    axis, chunks = one_axis(x.ndim, dim, "chunk"), integer(chunks, "chunk", "the number of chunks")
    if chunks < 1:
        raise ValueError(f"chunk: the number of chunks must be positive, got {chunks}")
    n = x.shape[axis]
    return split(x, -(-n // chunks), axis) if n else split_at(x, axis=axis, sizes=(0,) * chunks)


def tensor_split(x, indices_or_sections, dim=0):
    """A number of parts of almost equal size, or parts that end at the indices listed, as views."""
    return parts(x, indices_or_sections, dim, "tensor_split")


def parts(x: Any, where: Any, dim: Any, name: str) -> tuple:
    """Parts of an axis: so many, or ending at these places."""
    needs_axes(x, 1, name)
    axis = one_axis(x.ndim, dim, name)
    n = x.shape[axis]
    where = where.tolist() if isinstance(where, (Traced, np.ndarray)) else where
    if isinstance(where, (tuple, list)):
        ends = [integer(k, name, "an index") for k in where]
    else:
        count = integer(where, name, "the number of parts")
        if count < 1:
            raise ValueError(f"{name}: the number of parts must be positive, got {count}")
        ends = [k * (n // count) + builtins.min(k, n % count) for k in range(1, count)]
    spans = [slice(a, b).indices(n)[:2] for a, b in zip([0, *ends], [*ends, n])]
    if spans[0][0] == 0 and all(a <= b for a, b in spans) and all(b == c for (_, b), (c, _) in zip(spans, spans[1:])):
        return split_at(x, axis=axis, sizes=tuple(b - a for a, b in spans))
    return tuple(view_at(x, index=along(axis, slice(a, builtins.max(a, b)))) for a, b in spans)


def even_parts(x: Any, where: Any, dim: int, name: str) -> tuple:
    """Parts of an axis; a number of them must divide its length."""
    if not isinstance(where, (tuple, list, Traced, np.ndarray)):
        count = integer(where, name, "the number of parts")
        if count < 1 or x.shape[dim] % count:
            raise ValueError(
                f"{name}: axis {dim} of shape {x.shape} does not split into {count} equal parts; use tensor_split"
            )
    return parts(x, where, dim, name)


def hsplit(x, indices_or_sections):
    """Parts along the second axis (along the first of a vector)."""
    needs_axes(x, 1, "hsplit")
    return even_parts(x, indices_or_sections, 1 if x.ndim > 1 else 0, "hsplit")


def vsplit(x, indices_or_sections):
    """Parts along the first axis."""
    needs_axes(x, 2, "vsplit")
    return even_parts(x, indices_or_sections, 0, "vsplit")


def dsplit(x, indices_or_sections):
    """Parts along the third axis."""
    needs_axes(x, 3, "dsplit")
    return even_parts(x, indices_or_sections, 2, "dsplit")


def unfold(x, dimension, size, step=1):
    """Windows of `size` entries of an axis, every `step` entries, as a last axis; read-only if they overlap."""
    axis, size, step = (
        one_axis(x.ndim, dimension, "unfold"),
        integer(size, "unfold", "size"),
        integer(step, "unfold", "step"),
    )
    lifted = None if x.ndim else reshape_to(x, shape=(1,))
    x = x if lifted is None else lifted
    if not 0 <= size <= x.shape[axis]:
        raise ValueError(f"unfold: windows of {size} do not fit axis {dimension} of shape {x.shape}")
    if step < 1:
        raise ValueError(f"unfold: step must be positive, got {step}")
    y = windows(x, axis=axis, size=size, step=step)
    return y if lifted is None else reshape_to(y, shape=(size,))


# --- together --------------------------------------------------------------------------------------------------------


def stack(tensors, dim=0):
    """Tensors of one shape along a new axis."""
    tensors = sequence(tensors, "stack")
    if any(x.shape != tensors[0].shape for x in tensors):
        raise ValueError(
            f"stack: all tensors must have one shape, got {', '.join(dict.fromkeys(str(x.shape) for x in tensors))}"
        )
    return stack_along(*tensors, axis=one_axis(tensors[0].ndim + 1, dim, "stack"))


def cat(tensors, dim=0):
    """Tensors one after the other along an axis; they differ at most in its length."""
    return joined(tensors, dim, "cat")


def concat(tensors, dim=0):
    """Tensors one after the other along an axis."""
    return joined(tensors, dim, "concat")


def concatenate(tensors, dim=0):
    """Tensors one after the other along an axis."""
    return joined(tensors, dim, "concatenate")


def joined(tensors: Any, dim: Any, name: str) -> Any:
    """Tensors one after the other; as in PyTorch, empty vectors are left out among tensors with more axes."""
    tensors = sequence(tensors, name)
    if any(x.ndim == 0 for x in tensors):
        raise ValueError(f"{name}: tensors without axes cannot be joined; use stack, or hstack")
    full = [x for x in tensors if x.shape != (0,)] or tensors
    axis = one_axis(full[0].ndim, dim, name)
    if any(x.ndim != full[0].ndim or without(x.shape, axis) != without(full[0].shape, axis) for x in full):
        raise ValueError(
            f"{name}: shapes may differ only along axis {dim}, got {', '.join(str(x.shape) for x in full[:8])}"
        )
    return cat_along(*full, axis=axis)


def hstack(tensors):
    """Tensors one after the other along the second axis (vectors along their only one)."""
    tensors = atleast_1d(sequence(tensors, "hstack"))
    return joined(tensors, 0 if tensors[0].ndim == 1 else 1, "hstack")


def vstack(tensors):
    """Tensors on top of each other; vectors are rows."""
    return joined(atleast_2d(sequence(tensors, "vstack")), 0, "vstack")


def row_stack(tensors):
    """Tensors on top of each other; vectors are rows."""
    return joined(atleast_2d(sequence(tensors, "row_stack")), 0, "row_stack")


def dstack(tensors):
    """Tensors one after the other along the third axis."""
    return joined(atleast_3d(sequence(tensors, "dstack")), 2, "dstack")


def column_stack(tensors):
    """Tensors side by side; vectors and numbers are columns."""
    columns = [reshape_to(x, shape=(prod(x.shape), 1)) if x.ndim < 2 else x for x in sequence(tensors, "column_stack")]
    return joined(columns, 1, "column_stack")


def block_diag(*tensors):
    """Matrices along the diagonal of a larger one, zero elsewhere."""
    blocks = atleast_2d(sequence(tensors, "block_diag"))
    if any(x.ndim > 2 for x in blocks):
        raise ValueError(
            f"block_diag: expected tensors with at most 2 axes, got {', '.join(str(x.shape) for x in blocks)}"
        )
    total, before, rows = builtins.sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(put_block(x, shape=(x.shape[0], total), index=(..., slice(before, before + x.shape[1]))))
        before += x.shape[1]
    return cat_along(*rows, axis=-2)


def cartesian_prod(*tensors):
    """All combinations of one entry of each vector, as rows."""
    vectors = sequence(tensors, "cartesian_prod")
    if any(x.ndim > 1 for x in vectors):
        raise ValueError(f"cartesian_prod: expected vectors, got shapes {', '.join(str(x.shape) for x in vectors)}")
    if len(vectors) == 1:
        return vectors[0]
    vectors = atleast_1d(vectors)
    sizes = tuple(x.shape[0] for x in vectors)
    lifted = [
        reshape_to(x, shape=tuple(n if j == k else 1 for j, n in enumerate(sizes))) for k, x in enumerate(vectors)
    ]
    grid = stack_along(*[spread_to(x, shape=sizes) for x in lifted], axis=-1)
    return reshape_to(grid, shape=(prod(sizes), len(sizes)))


def constant_pad_nd(x, pad, value=0):
    """x with entries put around it: pad is (before, after) of the last axis, then of the one before it, and so on.

    Negative numbers take entries away.
    """
    pad = integers((pad,), "constant_pad_nd")
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(f"constant_pad_nd: needs two numbers for each of at most {x.ndim} axes, got {pad}")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [pad[k : k + 2] for k in range(len(pad) - 2, -1, -2)]
    shape = tuple(a + n + b for (a, b), n in zip(pairs, x.shape))
    if any(n < 0 for n in shape):
        raise ValueError(f"constant_pad_nd: {pad} takes away more than there is of shape {x.shape}")
    if any(n < 0 for n in pad):
        x = view_at(
            x, index=tuple(slice(builtins.max(-a, 0), n - builtins.max(-b, 0)) for (a, b), n in zip(pairs, x.shape))
        )
    index = tuple(slice(builtins.max(a, 0), builtins.max(a, 0) + n) for (a, _), n in zip(pairs, x.shape))
    padded = put_block(x, shape=shape, index=index)
    return padded if value == 0 else padded + border(shape, index, value, x.dtype)


def border(shape: tuple, index: tuple, value: Any, dtype: Any) -> np.ndarray:
    """A value everywhere but in a block of zeros."""
    frame = np.full(shape, value, dtype)
    frame[index] = 0
    return frame


# --- diagonals and triangles -----------------------------------------------------------------------------------------


def two_axes(x: Any, dim1: Any, dim2: Any, name: str) -> tuple[int, int]:
    """Two different axes, counted from the end."""
    needs_axes(x, 2, name)
    axis1, axis2 = one_axis(x.ndim, dim1, name), one_axis(x.ndim, dim2, name)
    if axis1 == axis2:
        raise ValueError(f"{name}: dims {dim1} and {dim2} are the same axis of shape {x.shape}")
    return axis1, axis2


def diagonal(x, offset=0, dim1=0, dim2=1):
    """The diagonal of two axes as the last axis, a view."""
    axis1, axis2 = two_axes(x, dim1, dim2, "diagonal")
    return diagonal_of(x, offset=integer(offset, "diagonal", "offset"), axis1=axis1, axis2=axis2)


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    """The last axis as the diagonal of two new ones, zero elsewhere."""
    needs_axes(x, 1, "diag_embed")
    axis1, axis2 = one_axis(x.ndim + 1, dim1, "diag_embed"), one_axis(x.ndim + 1, dim2, "diag_embed")
    if axis1 == axis2:
        raise ValueError(f"diag_embed: dims {dim1} and {dim2} are the same axis")
    if axis1 > axis2:
        axis1, axis2, offset = axis2, axis1, -offset
    shape, n = list(x.shape[:-1]), x.shape[-1] + builtins.abs(offset)
    for axis in (axis1, axis2):
        shape.insert(x.ndim + 1 + axis, n)
    return put_diagonal(x, shape=tuple(shape), offset=offset, axis1=axis1, axis2=axis2)


def diag(x, diagonal=0):
    """A vector as the diagonal of a matrix; the diagonal of a matrix as a vector."""
    if x.ndim not in (1, 2):
        raise ValueError(
            f"diag: expected a vector or a matrix, got shape {x.shape}; use diagonal or diag_embed for batches"
        )
    return diag_embed(x, diagonal) if x.ndim == 1 else clone(diagonal_of(x, offset=diagonal, axis1=-2, axis2=-1))


def diagflat(x, offset=0):
    """All entries as the diagonal of a matrix."""
    return diag_embed(ravel(x), offset)


def tril(x, diagonal=0):
    """The lower triangle of matrices, zero elsewhere."""
    needs_axes(x, 2, "tril")
    return triangle(x, k=integer(diagonal, "tril", "diagonal"), lower=True)


def triu(x, diagonal=0):
    """The upper triangle of matrices, zero elsewhere."""
    needs_axes(x, 2, "triu")
    return triangle(x, k=integer(diagonal, "triu", "diagonal"), lower=False)
