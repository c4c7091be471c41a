"""Entries chosen by conditions and by places, put in, taken out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .creation import full_like
from .operands import NUMBERS, F, cast, common, constant, operand, pick, plain, rows, spread, store, truth, yielding
from .shapes import concatenate, moveaxis, ravel

# --- by conditions ---------------------------------------------------------------------------------------------------


def where(condition, x=None, y=None):
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ValueError("where: give both x and y, or neither")
    return F.where(truth(condition), *yielding(x, y))


nonzero = lambda a: tuple(F.nonzero(operand(a), as_tuple=True))
argwhere = lambda a: F.argwhere(operand(a))
flatnonzero = lambda a: nonzero(ravel(a))[0]


def select(condlist, choicelist, default=0):
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    *choices, y = yielding(*choicelist, default)
    for condition, choice in reversed(list(zip(condlist, choices))):
        y = F.where(truth(condition), choice, y)
    return y


def choose(a, choices, mode="raise"):
    choices = common(*rows(choices))
    index, n = operand(a), len(choices)
    if mode == "raise" and ((plain(index) < 0) | (plain(index) >= n)).any():
        raise ValueError(f"choose: an index is not one of 0 to {n - 1}; mode='clip' or 'wrap' allows that")
    index = index % n if mode == "wrap" else F.clamp(index, 0, n - 1)
    return select([index == k for k in range(n - 1)], choices[:-1], choices[-1])


extract = lambda condition, arr: compress(ravel(condition), arr)
compress = lambda condition, a, axis=None: take(a, np.flatnonzero(plain(condition)), axis)


def trim_zeros(filt, trim="fb", axis=None):
    x = operand(filt)
    places = np.argwhere(plain(x))
    key = [slice(None)] * x.ndim
    for i in range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim):
        low, high = (places[:, i].min(), places[:, i].max() + 1) if len(places) else (0, 0)
        key[i] = slice(low if "f" in trim.lower() else None, high if "b" in trim.lower() or not len(places) else None)
    return x[tuple(key)]


# --- by places -------------------------------------------------------------------------------------------------------


def take(a, indices, axis=None, mode="raise"):
    x, index = operand(a), operand(indices)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, x.ndim)
    if mode == "wrap":
        index = index % x.shape[axis]
    elif mode == "clip":
        index = F.clamp(index, 0, x.shape[axis] - 1)
    return pick(x, index, axis)


def take_along_axis(arr, indices, axis=-1):
    x, index = operand(arr), operand(indices)
    if axis is None:
        x, axis = ravel(x), 0
    if x.ndim != index.ndim:
        raise ValueError(f"take_along_axis: indices have {index.ndim} axes, the array has {x.ndim}")
    axis = normalize_axis_index(axis, x.ndim)
    return F.take_along_dim(x, F.where(index < 0, index + x.shape[axis], index), axis)


def delete(arr, obj, axis=None):
    x, axis = (ravel(arr), 0) if axis is None else (operand(arr), axis)
    axis = normalize_axis_index(axis, x.ndim)
    obj = obj if isinstance(obj, slice) else constant(obj, "delete: obj")
    return pick(x, np.delete(np.arange(x.shape[axis]), obj), axis)


def insert(arr, obj, values, axis=None):
    x, axis = (ravel(arr), 0) if axis is None else (operand(arr), axis)
    axis, v = normalize_axis_index(axis, x.ndim), cast(operand(values), x.dtype)
    obj = obj if isinstance(obj, slice) else constant(obj, "insert: obj")
    n = x.shape[axis]
    v = v.reshape((1,) * (x.ndim - v.ndim) + tuple(v.shape))
    if not isinstance(obj, slice) and obj.ndim == 0:
        v, m = moveaxis(v, 0, axis), None
    else:
        m = len(np.insert(np.arange(n), obj, 0)) - n
    shape = tuple(x.shape[:axis]) + (v.shape[axis] if m is None else m,) + tuple(x.shape[axis + 1 :])
    order = np.insert(np.arange(n), obj, n + np.arange(shape[axis]))
    return pick(F.cat([x, spread(v, shape)], axis), order, axis)


def append(arr, values, axis=None):
    return concatenate((ravel(arr), ravel(values)) if axis is None else (arr, values), axis or 0)


def resize(a, new_shape):
    x = ravel(a)
    return pick(x, np.resize(np.arange(x.shape[0]), new_shape)) if x.shape[0] else full_like(x, 0, shape=new_shape)


def placed(name: str, target: Any, values: Any, *before: Any, after: tuple = (), **options: Any) -> None:
    """Change `target` in place as a NumPy function would: NumPy does it with the numbers of the values."""
    values = operand(values)
    numbers = np.full(target.shape, -1)
    getattr(np, name)(numbers, *before, np.arange(math.prod(values.shape)).reshape(values.shape), *after, **options)
    chosen = pick(cast(ravel(values), target.dtype), np.maximum(numbers, 0))
    store(target, F.where(numbers >= 0, chosen, target), name)


def fill_diagonal(a, val, wrap=False):
    placed("fill_diagonal", a, val, wrap=wrap)


def place(arr, mask, vals):
    placed("place", arr, vals, constant(mask, "place: mask"))


def putmask(a, mask, values):
    placed("putmask", a, values, constant(mask, "putmask: mask"))


def put(a, ind, v, mode="raise"):
    placed("put", a, v, constant(ind, "put: ind"), mode=mode)


def put_along_axis(arr, indices, values, axis):
    placed("put_along_axis", arr, values, constant(indices, "put_along_axis: indices"), after=(axis,))


def copyto(dst, src, casting="same_kind", where=True):
    src = operand(src) if type(src) not in NUMBERS else np.asarray(src, dst.dtype)
    if not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"copyto: cannot cast {src.dtype} to {dst.dtype} under casting={casting!r}")
    store(dst, cast(src, dst.dtype) if where is True else F.where(truth(where), cast(src, dst.dtype), dst), "copyto")


def ix_(*args):
    parts = [nonzero(a)[0] if operand(a).dtype == bool else operand(a) for a in args]
    return tuple(p.reshape((1,) * i + (-1,) + (1,) * (len(parts) - i - 1)) for i, p in enumerate(parts))
