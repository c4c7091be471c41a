"""Shapes: the same entries in other shapes and orders, as views wherever NumPy can make one."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..op import Traced
from ..views import memory
from .arguments import afford, common_shape, completed, entry, integer, integers, needs_axes
from .arranging import expand_dims, permuted, reshape_to, rolled, tiled, view_at
from .axes import all_axes, one_axis
from .base import alias, clone, conj, fit_shape
from .base import broadcast_to as spread_to

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "broadcast_to", "expand", "expand_as",
    "flatten", "flip", "fliplr", "flipud", "moveaxis", "movedim", "numel", "permute", "ravel", "repeat", "reshape",
    "reshape_as", "roll", "rot90", "squeeze", "sum_to_size", "swapaxes", "swapdims", "t", "tile", "transpose",
    "unflatten", "unsqueeze", "view", "view_as",
]  # fmt: skip


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
    rank = max(len(dims), x.ndim)
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
    axes = list(range(min(a, b), 0))
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
