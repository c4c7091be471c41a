"""The loops over planes by which entries at places are weighed and added up, their transpose, and products at places."""

from __future__ import annotations

import numpy as np

from ._jit import Late, kernel
from .grid_corners import weighed

borrowed = Late("_borrowed", "borrowed")


def apart(*arguments):
    """The compiler for functions whose arrays share no memory."""
    from ._borrowed import Apart

    return Apart(*arguments)


@kernel(pipeline_class=apart)
def gather4(x, i, size, w, places, j, n, y, o):
    """n sums of four."""
    x, y = x[i : i + size], y[o : o + n]
    a, b, c, d = w[j : j + n], w[j + n : j + 2 * n], w[j + 2 * n : j + 3 * n], w[j + 3 * n : j + 4 * n]
    p, q = places[j : j + n], places[j + n : j + 2 * n]
    r, s = places[j + 2 * n : j + 3 * n], places[j + 3 * n : j + 4 * n]
    zero = y.dtype.type(0)
    for t in range(n):
        e, f, g, h = a[t], b[t], c[t], d[t]
        first, second = e * x[np.uint64(p[t])], f * x[np.uint64(q[t])]
        third, fourth = g * x[np.uint64(r[t])], h * x[np.uint64(s[t])]
        low = (first if e != 0 else zero) + (second if f != 0 else zero)
        y[t] = low + (third if g != 0 else zero) + (fourth if h != 0 else zero)


@kernel(pipeline_class=apart)
def gather(x, i, size, w, places, j, n, y, o, first):
    """n entries times their weights, added to what is there unless they are the first."""
    x, y, w, places = x[i : i + size], y[o : o + n], w[j : j + n], places[j : j + n]
    if first:
        y[:] = 0
    for t in range(n):
        y[t] += weighed(w[t], x[np.uint64(places[t])])


@kernel
def scatter(g, i, w, places, j, n, y, o, size):
    """n entries times their weights added at their places."""
    g, w, places, y = g[i : i + n], w[j : j + n], places[j : j + n], y[o : o + size]
    for t in range(n):
        y[np.uint64(places[t])] += weighed(w[t], g[t])


@kernel
def scatter4(g, i, w, places, j, n, y, o, size):
    """The same for four places each."""
    g, y = g[i : i + n], y[o : o + size]
    a, b, c, d = w[j : j + n], w[j + n : j + 2 * n], w[j + 2 * n : j + 3 * n], w[j + 3 * n : j + 4 * n]
    p, q = places[j : j + n], places[j + n : j + 2 * n]
    r, s = places[j + 2 * n : j + 3 * n], places[j + 3 * n : j + 4 * n]
    for t in range(n):
        v = g[t]
        y[np.uint64(p[t])] += weighed(a[t], v)
        y[np.uint64(q[t])] += weighed(b[t], v)
        y[np.uint64(r[t])] += weighed(c[t], v)
        y[np.uint64(s[t])] += weighed(d[t], v)


@kernel(pipeline_class=apart)
def products(g, i, x, j, size, places, k, n, y, o):
    """n products of entries of g and of x at places, added up."""
    g, x, places, y = g[i : i + n], x[j : j + size], places[k : k + n], y[o : o + n]
    for t in range(n):
        y[t] += g[t] * x[np.uint64(places[t])]


@kernel(pipeline_class=apart)
def products4(g, i, x, j, size, places, k, far, n, y):
    """The same for four places each."""
    g, x, u, v, w = g[i : i + n], x[j : j + size], k + far, k + 2 * far, k + 3 * far
    p, q, r, s = places[k : k + n], places[u : u + n], places[v : v + n], places[w : w + n]
    a, b, c, d = y[k : k + n], y[u : u + n], y[v : v + n], y[w : w + n]
    for t in range(n):
        a[t] += g[t] * x[np.uint64(p[t])]
        b[t] += g[t] * x[np.uint64(q[t])]
        c[t] += g[t] * x[np.uint64(r[t])]
        d[t] += g[t] * x[np.uint64(s[t])]


@kernel(chunks=True)
def sample_planes(begin, end, x, channels, size, w, places, taps, n, y):
    """Planes of y (N, C, P)."""
    x, w, places, y = borrowed(x), borrowed(w), borrowed(places), borrowed(y)
    for r in range(begin, end):
        at = r // channels * taps * n
        if taps == 4:
            gather4(x, r * size, size, w, places, at, n, y, r * n)
        else:
            for k in range(taps):
                gather(x, r * size, size, w, places, at + k * n, n, y, r * n, k == 0)


@kernel(chunks=True)
def spread_planes(begin, end, g, channels, n, w, places, taps, y, size):
    """Planes of y (N, C, S)."""
    g, w, places, y = borrowed(g), borrowed(w), borrowed(places), borrowed(y)
    for r in range(begin, end):
        y[r * size : r * size + size] = 0
        if taps == 4:
            scatter4(g, r * n, w, places, r // channels * 4 * n, n, y, r * size, size)
            continue
        for k in range(taps):
            scatter(g, r * n, w, places, (r // channels * taps + k) * n, n, y, r * size, size)


@kernel(chunks=True)
def correlate_blocks(begin, end, g, x, channels, size, places, taps, n, block, y):
    """Blocks of y (N, K, P), each added up over the channels."""
    g, x, places, y = borrowed(g), borrowed(x), borrowed(places), borrowed(y)
    blocks = -(-n // block)
    for r in range(begin, end):
        m, start = r // blocks, r % blocks * block
        count = min(block, n - start)
        for k in range(taps):
            y[(m * taps + k) * n + start : (m * taps + k) * n + start + count] = 0
        for c in range(m * channels, (m + 1) * channels):
            if taps == 4:
                products4(g, c * n + start, x, c * size, size, places, m * 4 * n + start, n, count, y)
                continue
            for k in range(taps):
                at = (m * taps + k) * n + start
                products(g, c * n + start, x, c * size, size, places, at, count, y, at)
