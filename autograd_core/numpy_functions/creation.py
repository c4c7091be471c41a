"""Arrays made like others, copied, or laid out between given ends."""

from __future__ import annotations

import operator

import numpy as np

from ..forward import Dual
from ..op import Traced
from ..vmap import Batched
from .operands import F, cast, common, inexact, operand, plain, spread, yielding
from .shapes import broadcast_arrays, expand_dims


def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, device=None):
    x = operand(a)
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    shape = tuple(x.shape) if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    if isinstance(fill_value, Traced):
        return F.clone(spread(cast(fill_value, dtype), shape))
    y = np.full(shape, fill_value, dtype)
    if isinstance(x, (Dual, Batched)) and shape == tuple(x.shape):
        return F.where(np.False_, cast(x, dtype), y)  # so that it can be written to inside the transform
    return y


zeros_like = lambda a, dtype=None, order="K", subok=True, shape=None, device=None: full_like(a, 0, dtype, shape=shape)
ones_like = lambda a, dtype=None, order="K", subok=True, shape=None, device=None: full_like(a, 1, dtype, shape=shape)


def empty_like(prototype, dtype=None, order="K", subok=True, shape=None, device=None):
    return full_like(prototype, 0, dtype, shape=shape)


copy = lambda a, order="K", subok=False: F.clone(operand(a))


def astype(x, dtype, copy=True, device=None):
    y = cast(operand(x), dtype)
    return F.clone(y) if copy and y is x else y


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, device=None):
    start, stop = map(inexact, yielding(start, stop))
    num, parts = operator.index(num), operator.index(num) - bool(endpoint)
    if num < 0:
        raise ValueError(f"linspace: the number of samples must not be negative, got {num}")
    start, stop = broadcast_arrays(start, stop)
    step = (stop - start) / parts if parts > 0 else (stop - start) * np.asarray(np.nan, start.dtype)
    places = np.arange(num, dtype=start.dtype).reshape((-1,) + (1,) * start.ndim)
    y = start + places * step if parts > 0 else start + places * (stop - start)
    if endpoint and num > 1:
        y = F.cat([y[:-1], expand_dims(stop, 0)], 0)
    if dtype is not None:
        y = cast(F.floor(y) if np.dtype(dtype).kind in "iu" else y, dtype)
    y = F.movedim(y, 0, axis) if axis else y
    return (y, step) if retstep else y


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    exponents = linspace(start, stop, num, endpoint)
    y = F.pow(*yielding(base, exponents))
    y = y if dtype is None else cast(y, dtype)
    return F.movedim(y, 0, axis) if axis else y


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    start, stop = common(inexact(start), inexact(stop))
    seen = not isinstance(start * stop, Batched)
    if start.dtype.kind == "c" or seen and (plain(start) * plain(stop) <= 0).any():
        raise ValueError("geomspace: start and stop must be real, of one sign, and not zero")
    sign = F.sgn(start)
    y = sign * F.exp(linspace(F.log(start * sign), F.log(stop * sign), num, endpoint))
    if num > 0:
        first = expand_dims(spread(start, y.shape[1:]), 0)
        last = expand_dims(spread(stop, y.shape[1:]), 0)
        y = F.cat([first, y[1:-1], last], 0) if endpoint and num > 1 else F.cat([first, y[1:]], 0)
    y = y if dtype is None else cast(y, dtype)
    return F.movedim(y, 0, axis) if axis else y


def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    place = lambda i: 1 - i if indexing == "xy" and i < 2 <= len(xi) else i
    lined = lambda x, i: x.reshape(tuple(-1 if k == place(i) else 1 for k in range(len(xi))))
    parts = tuple(lined(operand(x), i) for i, x in enumerate(xi))
    return parts if sparse else tuple(map(F.clone, broadcast_arrays(*parts))) if copy else broadcast_arrays(*parts)
