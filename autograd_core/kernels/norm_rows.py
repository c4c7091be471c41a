"""Layer, RMS, group and instance norm: rows brought to mean 0 and variance 1; forward and backward.

Means and variances of rows are found again in backward: the row is in the cache by then, and nothing need be kept.
Inside loops over rows no row is taken out as an array: counting references to it would be most of the work.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel

blank, for_chunks = Late("_values", "blank"), Late("_native", "for_chunks")
SHORT = 256  # entries of a row up to which its moments are found in one pass
APART = 40  # entries between parts


@kernel(forceinline=True)
def row_moments(x, i, eps, centre):
    """The mean (0 unless wanted) and 1 / √(variance + eps) of row i.

    Deviations are from the mean, found before, or, in a short row, from its first entry: they cannot all be large beside
    the deviation from the mean, as one of them is 0, and that saves a pass.
    """
    n, zero = x.shape[1], x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(n)
    mean = zero
    if centre and n <= SHORT:
        mean = x[i, 0]
    elif centre:
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
    return mean, x.dtype.type(1) / np.sqrt(variance + x.dtype.type(eps))


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
def normalize_groups(begin, end, x, weight, bias, eps, centre, out):
    """The same of rows of channels; x (rows, s, inner), weight and bias (groups, s)."""
    x, out = x[begin:end], out[begin:end]
    flat = x.reshape(len(x), x.shape[1] * x.shape[2])
    for i in range(len(x)):
        mean, scale = row_moments(flat, i, eps, centre)
        group = (begin + i) % len(weight)
        for c in range(x.shape[1]):
            w, b = weight[group, c] * scale, bias[group, c]
            for j in range(x.shape[2]):
                out[i, c, j] = (x[i, c, j] - mean) * w + b


@kernel(forceinline=True)
def row_slopes(g, x, weight, i, eps, centre):
    """Of row i the mean and the scale, and what deviations and 1 are multiplied by in the gradient."""
    n, zero, affine = x.shape[1], x.dtype.type(0), len(weight) > 0
    share = x.dtype.type(1) / x.dtype.type(n)
    mean = zero
    if centre and n <= SHORT:
        mean = x[i, 0]
    elif centre:
        for j in range(n):
            mean += x[i, j]
        mean *= share
    first = zero
    second = zero
    total = zero
    along = zero
    if affine:
        for j in range(n):
            d, t = x[i, j] - mean, g[i, j] * weight[j]
            first += d
            second += d * d
            total += t
            along += t * d
    else:
        for j in range(n):
            d, t = x[i, j] - mean, g[i, j]
            first += d
            second += d * d
            total += t
            along += t * d
    first = first * share if centre else zero
    scale = x.dtype.type(1) / np.sqrt(max(second * share - first * first, zero) + x.dtype.type(eps))
    slope = (along - total * first) * share * scale * scale * scale
    return mean + first, scale, slope, total * share * scale if centre else zero


@kernel(chunks=True)
def normalize_rows_pull(begin, end, g, x, weight, eps, centre, dx, parts, step):
    """The gradients of normalize_rows; those of weight and bias in parts (chunks of `step` rows, 2, n and more).

    Parts are wider than rows: at the same place in two pages, what was written would stand in the way of what is read.
    """
    g, x, dx = g[begin:end], x[begin:end], dx[begin:end]
    n, affine, zero = x.shape[1], len(weight) > 0, x.dtype.type(0)
    dw, db = parts[begin // step, 0], parts[begin // step, 1]
    for j in range(len(weight)):
        dw[j], db[j] = zero, zero
    for i in range(len(x)):
        mean, scale, slope, lift = row_slopes(g, x, weight, i, eps, centre)
        if affine:
            for j in range(n):
                d, t = x[i, j] - mean, g[i, j]
                dw[j] += t * (d * scale)
                db[j] += t
                dx[i, j] = t * weight[j] * scale - d * slope - lift
        else:
            for j in range(n):
                dx[i, j] = g[i, j] * scale - (x[i, j] - mean) * slope - lift


@kernel(chunks=True)
def normalize_groups_pull(begin, end, g, x, weight, eps, centre, dx, parts, step):
    """The gradients of normalize_groups; those of weight and bias in parts (chunks, 2, groups * s and more)."""
    g, x, dx = g[begin:end], x[begin:end], dx[begin:end]
    dw, db, zero = parts[begin // step, 0], parts[begin // step, 1], x.dtype.type(0)
    groups, s, n = len(weight), x.shape[1], x.shape[1] * x.shape[2]
    flat, sums, share = x.reshape(len(x), n), np.empty((2, s), x.dtype), x.dtype.type(1) / x.dtype.type(n)
    for k in range(weight.size):
        dw[k], db[k] = zero, zero
    for i in range(len(x)):
        group, mean = (begin + i) % groups, flat[i, 0]
        if n > SHORT or not centre:
            mean = zero
            for j in range(n if centre else 0):
                mean += flat[i, j]
            mean *= share
        first = zero
        second = zero
        total = zero
        along = zero
        for c in range(s):
            part = zero
            dot = zero
            for j in range(x.shape[2]):
                d = x[i, c, j] - mean
                first += d
                second += d * d
                part += g[i, c, j]
                dot += g[i, c, j] * d
            sums[0, c], sums[1, c] = part, dot
            total += part * weight[group, c]
            along += dot * weight[group, c]
        first = first * share if centre else zero
        mean, along = mean + first, along - total * first
        scale = x.dtype.type(1) / np.sqrt(max(second * share - first * first, zero) + x.dtype.type(eps))
        lift = total * share * scale if centre else zero
        slope = along * share * scale * scale * scale
        for c in range(s):
            dw[group * s + c] += (sums[1, c] - sums[0, c] * first) * scale
            db[group * s + c] += sums[0, c]
            w = weight[group, c] * scale
            for j in range(x.shape[2]):
                dx[i, c, j] = g[i, c, j] * w - (x[i, c, j] - mean) * slope - lift


@kernel
def rows_pull(pool, count, grain, g, x, weight, eps, centre, dx, dw, db):
    """The gradients of normalize_rows, those of weight and bias too unless these have no entries."""
    width = len(dw) + APART
    parts = blank(x.dtype.type(0), (count + grain - 1) // grain * 2 * width).reshape(-1, 2, width)
    for_chunks(pool, normalize_rows_pull, count, grain, (g, x, weight, eps, centre, dx, parts, grain))
    parts_together(parts, dw, db)


@kernel
def groups_pull(pool, count, grain, g, x, weight, eps, centre, dx, dw, db):
    """The gradients of normalize_groups."""
    width = len(dw) + APART
    parts = blank(x.dtype.type(0), (count + grain - 1) // grain * 2 * width).reshape(-1, 2, width)
    for_chunks(pool, normalize_groups_pull, count, grain, (g, x, weight, eps, centre, dx, parts, grain))
    parts_together(parts, dw, db)


@kernel
def parts_together(parts, dw, db):
    """The sums of parts (parts, 2, n and more), in order."""
    for j in range(len(dw)):
        dw[j], db[j] = parts[0, 0, j], parts[0, 1, j]
    for k in range(1, len(parts)):
        for j in range(len(dw)):
            dw[j] += parts[k, 0, j]
            db[j] += parts[k, 1, j]
