"""Batch norm: channels of a batch (N, C, inner) brought to mean 0 and variance 1; forward and backward.

Sums are made of each (n, c), or of chunks of n where inner is 1, and put together in order.  With inner above 1 the
arrays are seen as rows (N * C, inner), row r of channel r % C; with inner 1 as (N, C), channels side by side.
"""

from __future__ import annotations

import numpy as np

from ._jit import kernel

# --- moments ---------------------------------------------------------------------------------------------------------


@kernel(chunks=True)
def moments_of_rows(begin, end, x, means, squares):
    """The mean of each row, and the sum of squared deviations from it."""
    x, means, squares = x[begin:end], means[begin:end], squares[begin:end]
    n, zero = x.shape[1], x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(n)
    for i in range(len(x)):
        mean = zero
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
        means[i] = mean + first
        squares[i] = second - first * first * x.dtype.type(n)


@kernel(chunks=True)
def moments_of_columns(begin, end, x, means, squares, step):
    """The same of each column, for each chunk of `step` rows."""
    x, means, squares = x[begin:end], means[begin // step], squares[begin // step]
    share = x.dtype.type(1) / x.dtype.type(end - begin)
    means[:] = x.dtype.type(0)
    squares[:] = x.dtype.type(0)
    for i in range(len(x)):
        for c in range(x.shape[1]):
            means[c] += x[i, c] - x[0, c]  # a mean that is large beside the deviation would take up all digits
    for c in range(x.shape[1]):
        means[c] = x[0, c] + means[c] * share
    for i in range(len(x)):
        for c in range(x.shape[1]):
            squares[c] += (x[i, c] - means[c]) * (x[i, c] - means[c])


@kernel
def moments_together(means, squares, each, count, mean, var):
    """Mean and variance of channels from those of parts (parts, C) of `each` entries, the last one of what is left."""
    parts = len(means)
    for c in range(len(mean)):
        total = 0.0
        for k in range(parts):
            total += means[k, c] * np.float64(min(each, count - k * each))
        m = total / count
        total = 0.0
        for k in range(parts):
            d = means[k, c] - m
            total += squares[k, c] + d * d * np.float64(min(each, count - k * each))
        mean[c], var[c] = m, max(total, 0.0) / count


# --- forward ---------------------------------------------------------------------------------------------------------


@kernel
def scales_of(var, weight, eps, scales):
    """weight / √(var + eps); no weights count as 1."""
    one = var.dtype.type(1)
    for c in range(len(var)):
        scales[c] = (weight[c] if len(weight) else one) / np.sqrt(var[c] + eps)


@kernel(chunks=True)
def affine_rows(begin, end, x, mean, scales, bias, out):
    """(x - mean) * scale + bias for rows that take turns in channels."""
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        c = (begin + i) % len(mean)
        m, s, b = mean[c], scales[c], bias[c] if len(bias) else x.dtype.type(0)
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - m) * s + b


@kernel(chunks=True)
def affine_columns(begin, end, x, mean, scales, bias, out):
    """(x - mean) * scale + bias for channels side by side."""
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        if len(bias):
            for c in range(x.shape[1]):
                out[i, c] = (x[i, c] - mean[c]) * scales[c] + bias[c]
        else:
            for c in range(x.shape[1]):
                out[i, c] = (x[i, c] - mean[c]) * scales[c]


# --- backward --------------------------------------------------------------------------------------------------------


@kernel(chunks=True)
def sums_of_rows(begin, end, g, x, mean, totals, dots):
    """Σ g and Σ g (x - mean) of each row."""
    g, x, totals, dots = g[begin:end], x[begin:end], totals[begin:end], dots[begin:end]
    for i in range(len(x)):
        m = mean[(begin + i) % len(mean)]
        total = x.dtype.type(0)
        dot = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += g[i, j]
            dot += g[i, j] * (x[i, j] - m)
        totals[i], dots[i] = total, dot


@kernel(chunks=True)
def sums_of_columns(begin, end, g, x, mean, totals, dots, step):
    """The same of each column, for each chunk of `step` rows."""
    g, x, totals, dots = g[begin:end], x[begin:end], totals[begin // step], dots[begin // step]
    totals[:] = x.dtype.type(0)
    dots[:] = x.dtype.type(0)
    for i in range(len(x)):
        for c in range(x.shape[1]):
            totals[c] += g[i, c]
            dots[c] += g[i, c] * (x[i, c] - mean[c])


@kernel
def slopes_together(totals, dots, var, weight, eps, count, dw, db, scales, slopes, lifts):
    """The gradients by weight and bias from parts (parts, C); what g, x - mean and 1 are multiplied by in that by x."""
    one = var.dtype.type(1)
    for c in range(len(var)):
        total = 0.0
        dot = 0.0
        for k in range(len(totals)):
            total += totals[k, c]
            dot += dots[k, c]
        r = one / np.sqrt(var[c] + eps)
        w = weight[c] if len(weight) else one
        dw[c], db[c] = dot * r, total
        scales[c], slopes[c], lifts[c] = w * r, -w * r * r * r * dot / count, -w * r * total / count


@kernel(chunks=True)
def pull_rows(begin, end, g, x, mean, scales, slopes, lifts, out):
    """g * scale + (x - mean) * slope + lift for rows that take turns in channels."""
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    for i in range(len(x)):
        c = (begin + i) % len(mean)
        m, s, t, b = mean[c], scales[c], slopes[c], lifts[c]
        for j in range(x.shape[1]):
            out[i, j] = g[i, j] * s + (x[i, j] - m) * t + b


@kernel(chunks=True)
def pull_columns(begin, end, g, x, mean, scales, slopes, lifts, out):
    """The same for channels side by side."""
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    for i in range(len(x)):
        for c in range(x.shape[1]):
            out[i, c] = g[i, c] * scales[c] + (x[i, c] - mean[c]) * slopes[c] + lifts[c]
