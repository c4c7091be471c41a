"""Batch norm: channels of a batch (N, C, inner) brought to mean 0 and variance 1; forward and backward.

Sums are made of each (n, c), or of chunks of n where inner is 1, and put together in order.  With inner above 1 the
arrays are seen as rows (N * C, inner), row r of channel r % C; with inner 1 as (N, C), channels side by side.
"""

from __future__ import annotations

import numpy as np

from ._jit import Kernel, Late, inline, kernel

blank, entries, recorded = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_borrowed", "recorded")

# --- moments ---------------------------------------------------------------------------------------------------------


@kernel(chunks=True, written=True)
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


@kernel(chunks=True, written=True)
def moments_of_columns(begin, end, x, means, squares, step):
    """The same of each column, for each chunk of `step` rows, in one pass.

    Deviations are from the first row, which is one of the numbers: their mean is not large beside them, whatever they are.
    """
    x, means, squares = x[begin:end], means[begin // step], squares[begin // step]
    n, whole, zero = len(x), len(x) // 4 * 4, x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(n)
    for c in range(x.shape[1]):
        means[c], squares[c] = zero, zero
    for i in range(0, whole, 4):
        for c in range(x.shape[1]):
            first = x[0, c]
            p, q, r, s = x[i, c] - first, x[i + 1, c] - first, x[i + 2, c] - first, x[i + 3, c] - first
            means[c] += (p + q) + (r + s)
            squares[c] += (p * p + q * q) + (r * r + s * s)
    for i in range(whole, n):
        for c in range(x.shape[1]):
            d = x[i, c] - x[0, c]
            means[c] += d
            squares[c] += d * d
    for c in range(x.shape[1]):
        d = means[c] * share
        squares[c] = max(squares[c] - d * means[c], zero)
        means[c] = x[0, c] + d


@kernel(written=True)
def moments_together(means, squares, each, count, weight, eps, moments, scales):
    """The moments (2, C) of channels, mean and variance, from those of parts (parts, C), and weight / √(variance + eps).

    A part has `each` entries, the last one what is left; no weights count as 1.
    """
    totals, gaps = blank(0.0, moments.shape[1]), blank(0.0, moments.shape[1])
    totals[:], gaps[:] = 0, 0
    for k in range(len(means)):
        n = np.float64(min(each, count - k * each))
        for c in range(len(totals)):
            totals[c] += means[k, c] * n
    for c in range(len(totals)):
        totals[c] /= count
        moments[0, c] = totals[c]
    for k in range(len(means)):
        n = np.float64(min(each, count - k * each))
        for c in range(len(totals)):
            d = means[k, c] - totals[c]
            gaps[c] += squares[k, c] + d * d * n
    for c in range(len(gaps)):
        moments[1, c] = max(gaps[c], 0.0) / count
    scales_of(moments[1], weight, eps, scales)


# --- forward ---------------------------------------------------------------------------------------------------------


@kernel(written=True)
def scales_of(var, weight, eps, scales):
    """weight / √(var + eps); no weights count as 1."""
    one, eps = var.dtype.type(1), var.dtype.type(eps)
    for c in range(len(var)):
        scales[c] = (weight[c] if len(weight) else one) / np.sqrt(var[c] + eps)


@inline
def affine(x, mean, scale, bias):
    """What is done to an entry; also a step of loops of several steps, where it gives the same bits."""
    return (x - mean) * scale + bias


@kernel(chunks=True, written=True)
def affine_rows(begin, end, x, mean, scales, bias, out):
    """(x - mean) * scale + bias for rows that take turns in channels."""
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        c = (begin + i) % len(mean)
        m, s, b = mean[c], scales[c], bias[c] if len(bias) else x.dtype.type(0)
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - m) * s + b


@kernel(chunks=True, written=True)
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


@kernel(written=True)
def move_towards(running_mean, running_var, moments, momentum, count):
    """Running statistics, of which either may be missing, moved a part of the way to new ones of `count` numbers."""
    rest, part = moments.dtype.type(1 - momentum), moments.dtype.type(momentum)
    correction = moments.dtype.type(count / max(count - 1, 1))
    for c in range(len(running_mean)):
        running_mean[c] = running_mean[c] * rest + moments[0, c] * part
    for c in range(len(running_var)):
        running_var[c] = running_var[c] * rest + moments[1, c] * correction * part


@kernel
def batch_at_once(x, in_rows, weight, bias, eps, count, running_mean, running_var, momentum, moments, out):
    """The moments of channels, the result, and running statistics moved, of a batch that is one chunk."""
    channels = moments.shape[1]
    work = np.empty((2, len(x) // channels if in_rows else 1, channels), x.dtype)
    means, squares, scales = work[0], work[1], np.empty(channels, x.dtype)
    if in_rows:
        moments_of_rows(0, len(x), x, means.reshape(means.size), squares.reshape(means.size))
        moments_together(means, squares, x.shape[1], count, weight, eps, moments, scales)
        affine_rows(0, len(x), x, moments[0], scales, bias, out)
    else:
        moments_of_columns(0, len(x), x, means, squares, len(x))
        moments_together(means, squares, count, count, weight, eps, moments, scales)
        affine_columns(0, len(x), x, moments[0], scales, bias, out)
    move_towards(running_mean, running_var, moments, momentum, count)


# --- backward --------------------------------------------------------------------------------------------------------


@kernel(chunks=True, written=True)
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


@kernel(chunks=True, written=True)
def sums_of_columns(begin, end, g, x, mean, totals, dots, step):
    """The same of each column, for each chunk of `step` rows."""
    g, x, totals, dots = g[begin:end], x[begin:end], totals[begin // step], dots[begin // step]
    n, whole = len(x), len(x) // 4 * 4
    for c in range(x.shape[1]):
        totals[c], dots[c] = x.dtype.type(0), x.dtype.type(0)
    for i in range(0, whole, 4):
        for c in range(x.shape[1]):
            m, p, q, r, s = mean[c], g[i, c], g[i + 1, c], g[i + 2, c], g[i + 3, c]
            totals[c] += (p + q) + (r + s)
            dots[c] += (p * (x[i, c] - m) + q * (x[i + 1, c] - m)) + (r * (x[i + 2, c] - m) + s * (x[i + 3, c] - m))
    for i in range(whole, n):
        for c in range(x.shape[1]):
            totals[c] += g[i, c]
            dots[c] += g[i, c] * (x[i, c] - mean[c])


@kernel(written=True)
def slopes_together(totals, dots, moments, weight, eps, count, dw, db, slopes):
    """The gradients by weight and bias from parts (parts, C); what g, x - mean and 1 are multiplied by in that by x."""
    one, eps = moments.dtype.type(1), moments.dtype.type(eps)
    sums, products = blank(0.0, moments.shape[1]), blank(0.0, moments.shape[1])
    sums[:], products[:] = 0, 0
    for k in range(len(totals)):
        for c in range(moments.shape[1]):
            sums[c] += totals[k, c]
            products[c] += dots[k, c]
    for c in range(moments.shape[1]):
        total, dot = sums[c], products[c]
        r = one / np.sqrt(moments[1, c] + eps)
        w = weight[c] if len(weight) else one
        dw[c], db[c] = dot * r, total
        slopes[0, c], slopes[1, c], slopes[2, c] = w * r, -w * r * r * r * dot / count, -w * r * total / count


@kernel(chunks=True, written=True)
def pull_rows(begin, end, g, x, mean, slopes, out):
    """g * scale + (x - mean) * slope + lift for rows that take turns in channels."""
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    for i in range(len(x)):
        c = (begin + i) % len(mean)
        m, s, t, b = mean[c], slopes[0, c], slopes[1, c], slopes[2, c]
        for j in range(x.shape[1]):
            out[i, j] = g[i, j] * s + (x[i, j] - m) * t + b


@kernel(chunks=True, written=True)
def pull_columns(begin, end, g, x, mean, slopes, out):
    """The same for channels side by side."""
    g, x, out = g[begin:end], x[begin:end], out[begin:end]
    for i in range(len(x)):
        for c in range(x.shape[1]):
            out[i, c] = g[i, c] * slopes[0, c] + (x[i, c] - mean[c]) * slopes[1, c] + slopes[2, c]


@kernel
def pull_at_once(g, x, in_rows, moments, weight, eps, count, dw, db, out):
    """The gradients of batch_at_once."""
    channels = moments.shape[1]
    work = np.empty((2, len(x) // channels if in_rows else 1, channels), x.dtype)
    totals, dots, slopes = work[0], work[1], np.empty((3, channels), x.dtype)
    if in_rows:
        sums_of_rows(0, len(x), g, x, moments[0], totals.reshape(totals.size), dots.reshape(totals.size))
        slopes_together(totals, dots, moments, weight, eps, count, dw, db, slopes)
        pull_rows(0, len(x), g, x, moments[0], slopes, out)
    else:
        sums_of_columns(0, len(x), g, x, moments[0], totals, dots, len(x))
        slopes_together(totals, dots, moments, weight, eps, count, dw, db, slopes)
        pull_columns(0, len(x), g, x, moments[0], slopes, out)


# --- of one chunk, given as records ----------------------------------------------------------------------------------


def at_once(dtype: np.dtype) -> tuple[Kernel, Kernel]:
    """batch_at_once and pull_at_once for arrays of a type, of any shape: `rows` of `n` entries say how they are seen."""
    zero = dtype.type(0)

    @kernel(numbers="aiiiaadiaadaa", name=f"batch_{dtype.char}", launcher=True)
    def batch(x, rows, n, in_rows, weight, bias, eps, count, running_mean, running_var, momentum, moments, out):
        view, y = entries(zero, x, rows * n).reshape(rows, n), entries(zero, out, rows * n).reshape(rows, n)
        w, b, found = recorded(zero, (0,), weight), recorded(zero, (0,), bias), recorded(zero, (0, 0), moments)
        mean, var = recorded(zero, (0,), running_mean), recorded(zero, (0,), running_var)
        batch_at_once(view, in_rows, w, b, eps, count, mean, var, momentum, found, y)

    @kernel(numbers="aaiiiaadiaaa", name=f"batch_pull_{dtype.char}", launcher=True)
    def pull(g, x, rows, n, in_rows, moments, weight, eps, count, dw, db, out):
        v, view = entries(zero, g, rows * n).reshape(rows, n), entries(zero, x, rows * n).reshape(rows, n)
        w, given, y = recorded(zero, (0,), weight), recorded(zero, (0, 0), moments), entries(zero, out, rows * n)
        sums = recorded(zero, (0,), dw), recorded(zero, (0,), db)
        pull_at_once(v, view, in_rows, given, w, eps, count, sums[0], sums[1], y.reshape(rows, n))

    return batch, pull
