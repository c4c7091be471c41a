"""Other shapes and orders, joining and splitting, borders."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..op import Traced
from .operands import F, cast, common, constant, cut, operand, pick, rows, spread, traced_in

# --- joining and splitting -------------------------------------------------------------------------------------------


def concatenate(arrays, axis=0, out=None, dtype=None, casting="same_kind"):
    parts = common(*map(operand, rows(arrays)), dtype=dtype)
    return F.cat([p.reshape((-1,)) for p in parts], 0) if axis is None else F.cat(parts, axis)


def stack(arrays, axis=0, dtype=None, casting="same_kind"):
    return F.stack(common(*map(operand, rows(arrays)), dtype=dtype), axis)


vstack = lambda tup, dtype=None, casting="same_kind": concatenate([atleast_2d(a) for a in rows(tup)], 0, dtype=dtype)


def hstack(tup, dtype=None, casting="same_kind"):
    parts = [atleast_1d(a) for a in rows(tup)]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype=dtype)


dstack = lambda tup: concatenate([atleast_3d(a) for a in rows(tup)], 2)


def column_stack(tup):
    parts = [operand(a) for a in rows(tup)]
    return concatenate([p.reshape((-1, 1)) if p.ndim < 2 else p for p in parts], 1)


def block(arrays):
    depth = lambda x: 1 + max(map(depth, x)) if isinstance(x, list) else 0
    leaves = lambda x: [y for v in x for y in leaves(v)] if isinstance(x, list) else [operand(x)]
    levels = depth(arrays)
    ndim = max(levels, *(x.ndim for x in leaves(arrays)), 0)

    def joined(x: Any, level: int) -> Any:
        if isinstance(x, list):
            return concatenate([joined(v, level - 1) for v in x], -level)
        x = operand(x)
        return x.reshape((1,) * (ndim - x.ndim) + tuple(x.shape))

    return joined(arrays, levels)


def unstack(x, axis=0):
    x = F.movedim(operand(x), axis, 0)
    return tuple(x[i] for i in range(x.shape[0]))


def array_split(ary, indices_or_sections, axis=0):
    x = operand(ary)
    n = x.shape[normalize_axis_index(axis, x.ndim)]
    if np.ndim(indices_or_sections):
        bounds = [0, *(int(i) for i in indices_or_sections), n]
    else:
        size, longer = divmod(n, int(indices_or_sections))
        bounds = [i * size + min(i, longer) for i in range(int(indices_or_sections) + 1)]
    return [cut(x, axis, start, stop) for start, stop in zip(bounds, bounds[1:])]


def split(ary, indices_or_sections, axis=0):
    n = operand(ary).shape[axis]
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(f"split: {n} entries do not divide into {indices_or_sections} equal parts; use array_split")
    return array_split(ary, indices_or_sections, axis)


hsplit = lambda ary, indices_or_sections: split(ary, indices_or_sections, 1 if operand(ary).ndim > 1 else 0)
vsplit = lambda ary, indices_or_sections: split(ary, indices_or_sections, needs_axes("vsplit", ary, 2) and 0)
dsplit = lambda ary, indices_or_sections: split(ary, indices_or_sections, needs_axes("dsplit", ary, 3) and 2)


def needs_axes(name: str, x: Any, least: int) -> int:
    if operand(x).ndim < least:
        raise ValueError(f"{name}: needs an array with {least} axes or more, got {operand(x).ndim}")
    return least


# --- shapes ----------------------------------------------------------------------------------------------------------


def reshape(a, shape, order="C", copy=None):
    x = operand(a)
    shape = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    y = x.reshape(shape) if order != "F" else transpose(transpose(x).reshape(shape[::-1]))
    return F.clone(y) if copy else y


def ravel(a, order="C"):
    x = operand(a)
    return (transpose(x) if order == "F" else x).reshape((-1,))


def transpose(a, axes=None):
    x = operand(a)
    return F.permute(x, tuple(range(x.ndim))[::-1] if axes is None else tuple(int(i) for i in axes))


moveaxis = lambda a, source, destination: F.movedim(operand(a), source, destination)
swapaxes = lambda a, axis1, axis2: F.swapaxes(operand(a), axis1, axis2)
matrix_transpose = lambda x: swapaxes(x, -1, -2)


def rollaxis(a, axis, start=0):
    x = operand(a)
    axis = normalize_axis_index(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return F.movedim(x, axis, start - 1 if axis < start else start)


def squeeze(a, axis=None):
    x = operand(a)
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axis_tuple(axis, x.ndim)
    if wide := [i for i in axes if x.shape[i] != 1]:
        raise ValueError(f"squeeze: axis {wide[0]} has length {x.shape[wide[0]]}, not one")
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def expand_dims(a, axis):
    x = operand(a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = x.ndim + len(axes)
    axes, lengths = normalize_axis_tuple(axes, ndim), iter(x.shape)
    return x.reshape(tuple(1 if i in axes else next(lengths) for i in range(ndim)))


broadcast_to = lambda array, shape, subok=False: spread(array, (shape,) if isinstance(shape, int) else shape)


def broadcast_arrays(*args, subok=False):
    xs = [operand(a) for a in args]
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in xs))
    return tuple(spread(x, shape) for x in xs)


def at_least(args: tuple, shape_of: Any) -> Any:
    xs = [operand(a) for a in args]
    results = tuple(x.reshape(shape_of(*x.shape)) for x in xs)
    return results[0] if len(results) == 1 else results


atleast_1d = lambda *arys: at_least(arys, lambda *shape: shape or (1,))
atleast_2d = lambda *arys: at_least(arys, lambda *shape: (1,) * (2 - len(shape)) + shape)


def atleast_3d(*arys):
    deep = {0: lambda: (1, 1, 1), 1: lambda n: (1, n, 1), 2: lambda n, m: (n, m, 1)}
    return at_least(arys, lambda *shape: shape if len(shape) > 2 else deep[len(shape)](*shape))


tile = lambda A, reps: F.tile(operand(A), (reps,) if np.ndim(reps) == 0 else tuple(int(r) for r in reps))


def repeat(a, repeats, axis=None):
    x, axis = (ravel(a), 0) if axis is None else (operand(a), axis)
    axis = normalize_axis_index(axis, x.ndim)
    return pick(x, np.repeat(np.arange(x.shape[axis]), constant(repeats, "repeat: repeats")), axis)


def roll(a, shift, axis=None):
    x = operand(a)
    if axis is None:
        return roll(ravel(x), shift, 0).reshape(tuple(x.shape))
    pairs = np.broadcast_arrays(shift, axis)
    shifts, axes = (tuple(int(i) for i in np.atleast_1d(p)) for p in pairs)
    for s, i in zip(shifts, axes):
        x = F.roll(x, s, i)
    return x


def flip(m, axis=None):
    x = operand(m)
    return F.flip(x, tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim))


fliplr = lambda m: flip(m, needs_axes("fliplr", m, 2) - 1)
flipud = lambda m: flip(m, needs_axes("flipud", m, 1) - 1)
rot90 = lambda m, k=1, axes=(0, 1): F.rot90(operand(m), k, tuple(axes))


def diag(v, k=0):
    x = operand(v)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: needs an array with one or two axes, got {x.ndim}")
    return F.diag_embed(x, k) if x.ndim == 1 else diagonal(x, k)


diagflat = lambda v, k=0: F.diag_embed(ravel(v), k)
diagonal = lambda a, offset=0, axis1=0, axis2=1: F.diagonal(operand(a), offset, axis1, axis2)
tril = lambda m, k=0: triangle(F.tril, m, k)
triu = lambda m, k=0: triangle(F.triu, m, k)


def triangle(function: Any, m: Any, k: int) -> Any:
    x = operand(m)
    return function(spread(x, (x.shape[0],) * 2) if x.ndim == 1 else x, k)


def pad(array, pad_width, mode="constant", **options):
    x = operand(array)
    widths = pairs_for(x.ndim, pad_width)
    if mode == "constant":
        values = pairs_for(x.ndim, options.get("constant_values", 0), rows_of_objects=True)
        for axis, ((before, after), (low, high)) in enumerate(zip(widths, values)):
            edge = lambda n, v, axis=axis, x=x: spread(cast(v, x.dtype), (*x.shape[:axis], n, *x.shape[axis + 1 :]))
            x = F.cat([edge(before, low), x, edge(after, high)], axis) if before or after else x
        return x
    if mode not in ("edge", "reflect", "symmetric", "wrap") or options:
        what = f"mode={mode!r}" + "".join(f" and {name}" for name in options)
        raise TypeError(f"numpy.pad with {what} is not covered for Tensor; use t.detach().numpy() to leave the tape")
    for axis, width in enumerate(widths):
        if any(width):
            x = pick(x, np.pad(np.arange(x.shape[axis]), width, mode), axis)
    return x


def pairs_for(ndim: int, spec: Any, rows_of_objects: bool = False) -> list:
    """What `np.pad` takes for each axis and side: one for all, a pair for all, or a pair for each axis."""
    if isinstance(spec, dict):
        return [pairs_for(1, next((spec[k] for k in (i, i - ndim) if k in spec), 0))[0] for i in range(ndim)]
    if rows_of_objects and traced_in(spec):
        spec = [spec, spec] if isinstance(spec, Traced) else spec
        return list(map(tuple, spec)) if isinstance(spec[0], (list, tuple)) else [tuple(spec)] * ndim
    return [tuple(p) for p in np.broadcast_to(np.asarray(spec), (ndim, 2)).tolist()]
