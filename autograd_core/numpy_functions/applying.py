"""Functions of the user's own, along axes and where conditions hold."""

from __future__ import annotations

import functools
import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .creation import full_like
from .operands import F, cast, operand, plain, spread
from .shapes import expand_dims, stack


def piecewise(x, condlist, funclist, *args, **kw):
    x = operand(x)
    single = not isinstance(condlist, (list, tuple)) and operand(condlist).ndim == x.ndim
    masks = [spread(m, x.shape) for m in ([condlist] if single else condlist)]
    if len(funclist) == len(masks) + 1:
        masks.append(~functools.reduce(operator.or_, masks))
    if len(funclist) != len(masks):
        raise ValueError(f"piecewise: {len(masks)} conditions for {len(funclist)} functions")
    y = full_like(x, 0)
    for mask, f in zip(masks, funclist):
        if callable(f):
            y = F.masked_scatter(y, mask, cast(operand(f(x[plain(mask)], *args, **kw)), x.dtype))
        else:
            y = F.where(mask, cast(f, x.dtype), y)
    return y


def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    x = operand(arr)
    axis = normalize_axis_index(axis, x.ndim)
    x = F.movedim(x, axis, -1)
    lead = tuple(x.shape[:-1])
    lines = x.reshape((-1, x.shape[-1]))
    y = stack([operand(func1d(lines[i], *args, **kwargs)) for i in range(lines.shape[0])])
    y, extra = y.reshape(lead + tuple(y.shape[1:])), y.ndim - 1
    return F.movedim(y, tuple(range(len(lead), len(lead) + extra)), tuple(range(axis, axis + extra))) if extra else y


def apply_over_axes(func, a, axes):
    x = operand(a)
    for axis in np.atleast_1d(axes):
        y = func(x, int(axis))
        x = y if y.ndim == x.ndim else expand_dims(y, int(axis) % x.ndim)
    return x
