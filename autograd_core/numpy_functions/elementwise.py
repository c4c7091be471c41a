"""Functions of each entry, comparisons, interpolation."""

from __future__ import annotations

import math

import numpy as np

from .creation import full_like
from .operands import F, cast, common, inexact, operand, pick, plain, store, yielding
from .sorting import searchsorted

round = lambda a, decimals=0: F.round(operand(a), decimals=decimals)
around = round
fix = lambda x: F.trunc(operand(x))


def clip(a, a_min=None, a_max=None, min=None, max=None):
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    x, *bounds = yielding(a, *(b for b in (low, high) if b is not None))
    if low is not None:
        x = F.clamp_min(x, bounds[0])
    return x if high is None else F.clamp_max(x, bounds[-1])


real = lambda val: F.real(operand(val))


def imag(val):
    x = operand(val)
    return F.imag(x) if x.dtype.kind == "c" else full_like(x, 0)


def angle(z, deg=False):
    y = F.angle(inexact(z))
    return y * (180 / math.pi) if deg else y


isreal = lambda x: imag(x) == 0
iscomplex = lambda x: imag(x) != 0


def real_if_close(a, tol=100):
    x = operand(a)
    if x.dtype.kind != "c":
        return x
    limit = tol * np.finfo(x.dtype).eps if tol > 1 else tol
    return F.real(x) if (np.abs(plain(x).imag) < limit).all() else x


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    a, b = common(inexact(a), inexact(b))
    return F.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


allclose = lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: np.allclose(plain(a), plain(b), rtol, atol, equal_nan)


def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    x = operand(x)
    y = F.nan_to_num(x, nan, posinf, neginf) if x.dtype.kind == "f" else x
    if x.dtype.kind == "c":
        y = F.complex(F.nan_to_num(x.real, nan, posinf, neginf), F.nan_to_num(x.imag, nan, posinf, neginf))
    return y if copy else store(x, y, "nan_to_num")


isneginf = lambda x: F.isneginf(inexact(x))
isposinf = lambda x: F.isposinf(inexact(x))
sinc = lambda x: F.sinc(inexact(x))
i0 = lambda x: F.i0(inexact(x))


def interp(x, xp, fp, left=None, right=None, period=None):
    x, xp = (cast(v, np.float64) for v in common(x, xp))
    fp = cast(operand(fp), np.result_type(operand(fp).dtype, np.float64))
    if period is not None:
        x, xp = x % abs(period), xp % abs(period)
        order = np.argsort(plain(xp))
        xp, fp = pick(xp, order), pick(fp, order)
        xp, fp = F.cat([xp[-1:] - abs(period), xp, xp[:1] + abs(period)], 0), F.cat([fp[-1:], fp, fp[:1]], 0)
        left = right = None
    low = F.clamp(searchsorted(xp, x, "right") - 1, 0, max(xp.shape[0] - 2, 0))
    high = F.clamp_max(low + 1, xp.shape[0] - 1)
    x0, x1, f0, f1 = pick(xp, low), pick(xp, high), pick(fp, low), pick(fp, high)
    width = F.where(x1 > x0, x1 - x0, np.ones(()))
    y = f0 + (x - x0) * ((f1 - f0) / width)
    y = F.where(x < xp[0], fp[0] if left is None else cast(left, fp.dtype), y)
    return F.where(x > xp[-1], fp[-1] if right is None else cast(right, fp.dtype), y)
