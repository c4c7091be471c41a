"""softmax, its logarithm, and log Σ exp, along one axis; forward and backward.

An array is seen as (outer, n, inner) with n the axis meant.  Where inner is 1, a row is gone through in whole vectors,
of which the last is masked (`_lines`), and logarithms are taken of a block of rows at once.  Otherwise neighbours in
memory belong to different rows, and a tile of these is worked on at once.  Rows too long for one thread's cache are cut
into pieces, each with a largest entry and a sum of its own, which are then put together in order.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, inline, kernel
from ._sizes import CHUNK
from .vector_math import EXP, like, log, nearest, pick, two_to

line_sums, line_exps, line_scaled = (Late("_lines", f"line_{n}") for n in ("sums", "exps", "scaled"))
line_lowered, line_pulled, line_log_pulled = (Late("_lines", f"line_{n}") for n in ("lowered", "pulled", "log_pulled"))
line_shares = Late("_lines", "line_shares")
rank, of_rank, blank = Late("_order", "rank"), Late("_order", "of_rank"), Late("_values", "blank")
BLOCK = 4096  # entries of short rows at a time
TILE = 512  # neighbours at a time where they belong to different rows
GRAIN = CHUNK // 4  # entries that make a chunk: exp takes its time
LONG = 4 * CHUNK  # entries from which a row is cut into pieces


@inline
def exp_below(x):
    """exp(x) for x up to 0, with 0 in place of subnormal numbers."""
    n = nearest(x * like(x, 1.4426950408889634))
    r = x - n * pick(x, 0.693145752, 0.6931471803691238)
    r = r - n * pick(x, 1.42860677e-06, 1.9082149292705877e-10)
    y = (r * r * EXP(r) + r + like(x, 1)) * two_to(n)
    return like(x, 0) if x < pick(x, -87.3, -708.3) else y


# --- rows ------------------------------------------------------------------------------------------------------------


@inline
def sums_of_line(like, at, n):
    """The largest of n entries from an address on, 0 in place of -inf, and Σ exp(x - that)."""
    return line_sums(like, at, n)


@inline
def softmax_of_line(like, at, to, n):
    """softmax of n entries, in another place."""
    total = line_exps(like, at, to, n)
    line_scaled(to, n, one_over(total))


@inline
def one_over(total):
    """1 / total, and 1 if that is 0."""
    return like(total, 1) / (like(total, 1) if total == like(total, 0) else total)


@inline
def log_softmax_of_line(at, to, n, top, rest):
    """x - top - rest of n entries, in another place."""
    line_lowered(at, to, n, top, rest)


@kernel(written=True)
def sums_of_rows(x, first, tops, sums):
    """The tops of as many rows from the first on as sums has room for, and Σ exp(x - top)."""
    n = x.shape[1]
    at, step = x.ctypes.data + first * n * x.itemsize, n * x.itemsize
    for i in range(len(sums)):
        tops[i], sums[i] = sums_of_line(x[0, 0], at + i * step, n)


@kernel(chunks=True, written=True)
def softmax_rows(begin, end, x, out):
    """softmax of rows (rows, n)."""
    n, step = x.shape[1], x.shape[1] * x.itemsize
    at, to = x.ctypes.data, out.ctypes.data
    for i in range(begin, end):
        softmax_of_line(x[0, 0], at + i * step, to + i * step, n)


@kernel(chunks=True, written=True)
def log_softmax_rows(begin, end, x, out):
    """The logarithm of softmax of rows (rows, n)."""
    n, step, rows = x.shape[1], x.shape[1] * x.itemsize, min(max(BLOCK // x.shape[1], 1), end - begin)
    tops, sums, at, to = blank(x[0, 0], rows), blank(x[0, 0], rows), x.ctypes.data, out.ctypes.data
    for first in range(begin, end, rows):
        s = sums[: min(rows, end - first)]
        sums_of_rows(x, first, tops, s)
        for i in range(len(s)):
            s[i] = log(like(s[i], 1) if s[i] == like(s[i], 0) else s[i])
        for i in range(len(s)):
            log_softmax_of_line(at + (first + i) * step, to + (first + i) * step, n, tops[i], s[i])


@kernel(chunks=True, written=True)
def logsumexp_rows(begin, end, x, out):
    """log Σ exp of rows (rows, n)."""
    x, out, n = x[begin:end], out[begin:end], x.shape[1]
    step = min(max(BLOCK // n, 1), len(x))
    tops, sums = blank(x[0, 0], step), blank(x[0, 0], step)
    for first in range(0, len(x), step):
        s = sums[: min(step, len(x) - first)]
        sums_of_rows(x, first, tops, s)
        for i in range(len(s)):
            out[first + i] = tops[i] + log(s[i])
        for i in range(len(s)):
            if tops[i] == like(s[i], np.inf):  # and so is the result, if no entry is NaN
                y = tops[i]
                for j in range(n):
                    y += like(y, 0) if x[first + i, j] == x[first + i, j] else x[first + i, j]
                out[first + i] = y


@inline
def softmax_pull_of_line(like, v, p, to, n):
    """p (v - Σ v p) of n entries from addresses on."""
    line_pulled(like, v, p, to, n)


@kernel(chunks=True, written=True)
def softmax_rows_pull(begin, end, v, p, out):
    """p (v - Σ v p) of rows (rows, n)."""
    n, step = v.shape[1], v.shape[1] * v.itemsize
    at_v, at_p, to = v.ctypes.data, p.ctypes.data, out.ctypes.data
    for i in range(begin, end):
        softmax_pull_of_line(v[0, 0], at_v + i * step, at_p + i * step, to + i * step, n)


@inline
def log_softmax_pull_of_line(like, v, logs, to, n):
    """v - exp(logs) Σ v of n entries from addresses on, leaving out entries whose logarithm is -inf."""
    line_log_pulled(like, v, logs, to, n)


@kernel(chunks=True, written=True)
def log_softmax_rows_pull(begin, end, v, logs, out):
    """v - exp(logs) Σ v of rows (rows, n), leaving out entries whose logarithm is -inf."""
    n, step = v.shape[1], v.shape[1] * v.itemsize
    at_v, at_logs, to = v.ctypes.data, logs.ctypes.data, out.ctypes.data
    for i in range(begin, end):
        log_softmax_pull_of_line(v[0, 0], at_v + i * step, at_logs + i * step, to + i * step, n)


@inline
def shares_of_line(x, to, n, top, rest, factor):
    """exp(x - top - rest) * factor of n entries from an address on."""
    line_shares(x, to, n, top, rest, factor)


@kernel(chunks=True, written=True)
def shares_of_rows(begin, end, g, x, y, out):
    """g exp(x - y) of rows (rows, n) with g and y (rows), and 0 where y is infinite."""
    n, step, zero = x.shape[1], x.shape[1] * x.itemsize, x.dtype.type(0)
    for i in range(begin, end):
        if abs(y[i]) == x.dtype.type(np.inf):
            for j in range(n):
                out[i, j] = zero
        else:
            shares_of_line(x.ctypes.data + i * step, out.ctypes.data + i * step, n, y[i], zero, g[i])


# --- tiles of neighbours that belong to different rows ---------------------------------------------------------------


@inline
def tile_of(k, inner):
    """Which of the outer parts a tile is in, and its bounds there."""
    tiles = (inner + TILE - 1) // TILE
    left = k % tiles * TILE
    return k // tiles, np.uint64(left), np.uint64(min(left + TILE, inner))


@kernel(written=True)
def exps_of_tile(x, o, left, right, tops, sums):
    """The largest entries along axis 1, and Σ exp(x - top), of a tile of x (outer, n, inner)."""
    n, low = x.shape[1], x.dtype.type(-np.inf)
    tops[:] = low
    sums[:] = x.dtype.type(0)
    for i in range(n):
        for k in range(left, right):
            t = tops[k - left]
            v = x[o, i, k]
            tops[k - left] = v if v > t or v != v else t
    for k in range(left, right):
        tops[k - left] = like(low, 0) if tops[k - left] == low else tops[k - left]
    for i in range(n):
        for k in range(left, right):
            sums[k - left] += exp_below(x[o, i, k] - tops[k - left])


@kernel(chunks=True, written=True)
def softmax_tiles(begin, end, x, logs, out):
    """softmax along axis 1 of (outer, n, inner), or its logarithm; a chunk is a number of tiles."""
    tops, sums = blank(x.dtype.type(0), TILE), blank(x.dtype.type(0), TILE)
    n, one = x.shape[1], x.dtype.type(1)
    for t in range(begin, end):
        o, left, right = tile_of(t, x.shape[2])
        exps_of_tile(x, o, left, right, tops, sums)
        for k in range(TILE):
            s = one if sums[k] == one - one else sums[k]
            sums[k] = log(s) if logs else one / s
        for i in range(n):
            if logs:
                for k in range(left, right):
                    out[o, i, k] = x[o, i, k] - tops[k - left] - sums[k - left]
            else:
                for k in range(left, right):
                    out[o, i, k] = exp_below(x[o, i, k] - tops[k - left]) * sums[k - left]


@kernel(chunks=True, written=True)
def logsumexp_tiles(begin, end, x, out):
    """log Σ exp along axis 1 of (outer, n, inner) into (outer, inner)."""
    tops, sums = blank(x.dtype.type(0), TILE), blank(x.dtype.type(0), TILE)
    infinite = x.dtype.type(np.inf)
    for t in range(begin, end):
        o, left, right = tile_of(t, x.shape[2])
        exps_of_tile(x, o, left, right, tops, sums)
        for k in range(left, right):
            top = tops[k - left]
            out[o, k] = top if top == infinite else top + log(sums[k - left])


@kernel(chunks=True, written=True)
def pull_tiles(begin, end, v, y, logs, out):
    """The gradient of softmax_tiles from its result."""
    sums, zero, low = blank(v.dtype.type(0), TILE), v.dtype.type(0), v.dtype.type(-np.inf)
    for t in range(begin, end):
        o, left, right = tile_of(t, v.shape[2])
        sums[:] = zero
        for i in range(v.shape[1]):
            if logs:
                for k in range(left, right):
                    sums[k - left] += zero if y[o, i, k] == low else v[o, i, k]
            else:
                for k in range(left, right):
                    sums[k - left] += v[o, i, k] * y[o, i, k]
        for i in range(v.shape[1]):
            if logs:
                for k in range(left, right):
                    d = v[o, i, k] - exp_below(y[o, i, k]) * sums[k - left]
                    out[o, i, k] = zero if y[o, i, k] == low else d
            else:
                for k in range(left, right):
                    out[o, i, k] = (v[o, i, k] - sums[k - left]) * y[o, i, k]


# --- long rows, in pieces --------------------------------------------------------------------------------------------


@kernel(chunks=True, written=True)
def sums_of_pieces(begin, end, x, tops, sums):
    """The largest entry and Σ exp(x - top) of each piece of CHUNK entries of the rows of x (rows, n)."""
    low = x.dtype.type(-np.inf)
    pieces = tops.shape[1]
    for t in range(begin, end):
        row = x[t // pieces, t % pieces * CHUNK : (t % pieces + 1) * CHUNK]
        most = rank(low)
        for j in range(len(row)):
            most = max(most, rank(row[j]))
        top = of_rank(low, most)
        total = x.dtype.type(0)
        shift = total if top == low else top
        for j in range(len(row)):
            total += exp_below(row[j] - shift)
        tops[t // pieces, t % pieces], sums[t // pieces, t % pieces] = shift, total


@kernel(chunks=True, written=True)
def softmax_pieces(begin, end, x, tops, sums, logs, out):
    """softmax of long rows, or its logarithm, from the top and the sum (or its logarithm) of each row."""
    pieces = (x.shape[1] + CHUNK - 1) // CHUNK
    for t in range(begin, end):
        i, left, right = t // pieces, t % pieces * CHUNK, (t % pieces + 1) * CHUNK
        row, y, top, s = x[i, left:right], out[i, left:right], tops[i], sums[i]
        if logs:
            for j in range(len(row)):
                y[j] = row[j] - top - s
        else:
            scale = x.dtype.type(1) / s
            for j in range(len(row)):
                y[j] = exp_below(row[j] - top) * scale


@kernel(chunks=True, written=True)
def pull_sums_of_pieces(begin, end, v, y, logs, sums):
    """Σ v y of each piece of the rows, or Σ v without masked entries."""
    pieces, zero, low = sums.shape[1], v.dtype.type(0), v.dtype.type(-np.inf)
    for t in range(begin, end):
        i, left, right = t // pieces, t % pieces * CHUNK, (t % pieces + 1) * CHUNK
        a, b, total = v[i, left:right], y[i, left:right], zero
        if logs:
            for j in range(len(a)):
                total += zero if b[j] == low else a[j]
        else:
            for j in range(len(a)):
                total += a[j] * b[j]
        sums[i, t % pieces] = total


@kernel(chunks=True, written=True)
def pull_pieces(begin, end, v, y, sums, logs, out):
    """The gradient of softmax_pieces, from its result and the sums of whole rows."""
    pieces, zero, low = (v.shape[1] + CHUNK - 1) // CHUNK, v.dtype.type(0), v.dtype.type(-np.inf)
    for t in range(begin, end):
        i, left, right = t // pieces, t % pieces * CHUNK, (t % pieces + 1) * CHUNK
        a, b, z, total = v[i, left:right], y[i, left:right], out[i, left:right], sums[i]
        if logs:
            for j in range(len(a)):
                d = a[j] - exp_below(b[j]) * total
                z[j] = zero if b[j] == low else d
        else:
            for j in range(len(a)):
                z[j] = (a[j] - total) * b[j]
