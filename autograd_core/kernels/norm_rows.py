"""Layer, RMS, group and instance norm: rows brought to mean 0 and variance 1; forward and backward.

Means and variances of rows are found again in backward: the row is in the cache by then, and nothing need be kept.
Inside loops over rows no row is taken out as an array: counting references to it would be most of the work.
"""

from __future__ import annotations

import numpy as np

from ._jit import kernel


@kernel(forceinline=True)
def row_moments(x, i, eps, centre):
    """The mean (0 unless wanted) and 1 / √(variance + eps) of row i, in two passes."""
    n, zero = x.shape[1], x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(n)
    mean = zero
    if centre:
        for j in range(n):
            mean += x[i, j]
        mean *= share
    first = zero
    second = zero
    for j in range(n):
        d = x[i, j] - mean
        first += d
        second += d * d
    first *= share
    variance = max(second * share - first * first, zero) if centre else second * share
    mean = mean + first if centre else zero
    return mean, x.dtype.type(1) / np.sqrt(variance + eps)


@kernel(chunks=True)
def normalize_rows(begin, end, x, weight, bias, eps, centre, out):
    """out = (x - mean) / √(variance + eps) * weight + bias; x (rows, n), weight and bias (n) or (0)."""
    x, out = x[begin:end], out[begin:end]
    n, affine = x.shape[1], len(weight) > 0
    for i in range(len(x)):
        mean, scale = row_moments(x, i, eps, centre)
        if affine:
            for j in range(n):
                out[i, j] = (x[i, j] - mean) * scale * weight[j] + bias[j]
        else:
            for j in range(n):
                out[i, j] = (x[i, j] - mean) * scale


@kernel(chunks=True)
def normalize_groups(begin, end, flat, x, weight, bias, eps, centre, out):
    """The same of rows of channels; flat (rows, s * inner) is x (rows, s, inner), weight and bias (groups, s)."""
    flat, x, out = flat[begin:end], x[begin:end], out[begin:end]
    for i in range(len(x)):
        mean, scale = row_moments(flat, i, eps, centre)
        group = (begin + i) % len(weight)
        for c in range(x.shape[1]):
            w, b = weight[group, c] * scale, bias[group, c]
            for j in range(x.shape[2]):
                out[i, c, j] = (x[i, c, j] - mean) * w + b


@kernel(chunks=True)
def normalize_rows_pull(begin, end, g, x, weight, eps, centre, dx, dw, db, step):
    """The gradients of normalize_rows; those of weight and bias in parts, one for each chunk of `step` rows."""
    g, x, dx = g[begin:end], x[begin:end], dx[begin:end]
    n, affine, zero = x.shape[1], len(weight) > 0, x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(n)
    dw, db = dw[begin // step], db[begin // step]
    for i in range(len(x)):
        mean, scale = row_moments(x, i, eps, centre)
        total = zero
        along = zero
        if affine:
            for j in range(n):
                d, t = x[i, j] - mean, g[i, j] * weight[j]
                total += t
                along += t * d
            for j in range(n):
                dw[j] += g[i, j] * ((x[i, j] - mean) * scale)
                db[j] += g[i, j]
        else:
            for j in range(n):
                total += g[i, j]
                along += g[i, j] * (x[i, j] - mean)
        lift = total * share * scale if centre else zero
        slope = along * share * scale * scale * scale
        if affine:
            for j in range(n):
                dx[i, j] = g[i, j] * weight[j] * scale - (x[i, j] - mean) * slope - lift
        else:
            for j in range(n):
                dx[i, j] = g[i, j] * scale - (x[i, j] - mean) * slope - lift


@kernel(chunks=True)
def normalize_groups_pull(begin, end, g, flat, x, weight, eps, centre, dx, dw, db, step):
    """The gradients of normalize_groups; those of weight and bias in parts (chunks, groups, s)."""
    g, flat, x, dx = g[begin:end], flat[begin:end], x[begin:end], dx[begin:end]
    dw, db, zero = dw[begin // step], db[begin // step], x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(flat.shape[1])
    for i in range(len(x)):
        mean, scale = row_moments(flat, i, eps, centre)
        group = (begin + i) % len(weight)
        total = zero
        along = zero
        for c in range(x.shape[1]):
            part = zero
            dot = zero
            for j in range(x.shape[2]):
                part += g[i, c, j]
                dot += g[i, c, j] * (x[i, c, j] - mean)
            total += part * weight[group, c]
            along += dot * weight[group, c]
            dw[group, c] += dot * scale
            db[group, c] += part
        lift = total * share * scale if centre else zero
        slope = along * share * scale * scale * scale
        for c in range(x.shape[1]):
            w = weight[group, c] * scale
            for j in range(x.shape[2]):
                dx[i, c, j] = g[i, c, j] * w - (x[i, c, j] - mean) * slope - lift
