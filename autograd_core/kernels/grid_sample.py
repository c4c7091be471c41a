"""Sums of entries at given places with given weights, the same places in every channel: sampling on any grid.

With x (N, C, S), weights and places (N, K, P): sample y[n, c, p] = sum over k of w[n, k, p] x[n, c, places[n, k, p]].
It is linear in x and in w; `spread` and `correlate` are its transposes, and each of the three has the others as its
gradients.  A weight of zero takes nothing, not even from NaN.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, choice, kernel, plain
from ._memory import empty
from ._sizes import CHUNK
from .grid_corners import BLOCK, corner_blocks, corners, slopes, weighed

borrowed = Late("_borrowed", "borrowed")
FEW = CHUNK // 4  # entries of images and of grids, up to which one thread does all at once


def apart(*arguments):
    """The compiler for functions whose arrays share no memory."""
    from ._borrowed import Apart

    return Apart(*arguments)


# --- kernels ---------------------------------------------------------------------------------------------------------


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


@kernel
def images_at_once(x, channels, height, width, grid, padding, align, n, y):
    """y (N, C, P) from images x (N, C, height, width) at points of a grid (N, P, 2), a few."""
    points = len(grid) // 2
    w, places = np.empty(4 * points, x.dtype), np.empty(4 * points, np.int32)
    corner_blocks(0, points // n * -(-n // BLOCK), grid, height, width, padding, align, n, BLOCK, w, places)
    sample_planes(0, len(y) // n, x, channels, height * width, w, places, 4, n, y)
    w[:0], places[:0] = 0, 0  # they are in use until here


# --- arrays ----------------------------------------------------------------------------------------------------------


def _at(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """x (..., C, S) at places (..., K, P): (..., C, K, P)."""
    flat = places.reshape(*places.shape[:-2], 1, math.prod(places.shape[-2:]))
    taken = np.take_along_axis(x, np.broadcast_to(flat, (*x.shape[:-1], flat.shape[-1])), -1)
    return taken.reshape(*x.shape[:-1], *places.shape[-2:])


def sample_reference(x: np.ndarray, w: np.ndarray, places: np.ndarray) -> np.ndarray:
    """In NumPy, all channels at once."""
    if not x.shape[-1]:
        return np.zeros((*x.shape[:-1], w.shape[-1]), np.result_type(x, w))
    weights = w[..., None, :, :]
    return np.where(weights != 0, weights * _at(x, places), 0).sum(-2, dtype=np.result_type(x, w))


def spread_reference(g: np.ndarray, w: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """In NumPy, with one long index."""
    weights = w[..., None, :, :]
    terms = np.where(weights != 0, weights * g[..., None, :], 0)
    y = np.zeros((math.prod(g.shape[:-1]), size), terms.dtype)
    rows = np.arange(len(y)).reshape(*g.shape[:-1], 1, 1)
    np.add.at(y, (np.broadcast_to(rows, terms.shape), np.broadcast_to(places[..., None, :, :], terms.shape)), terms)
    return y.reshape(*g.shape[:-1], size)


def correlate_reference(g: np.ndarray, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """In NumPy, all channels at once."""
    if not x.shape[-1]:
        return np.zeros(places.shape, np.result_type(g, x))
    return (g[..., None, :] * _at(x, places)).sum(-3)


def _sample(rng, n, dtype):
    size = max(n // 6, 2)
    x, w = rng.standard_normal((2, 3, size)).astype(dtype), rng.standard_normal((2, 4, size)).astype(dtype)
    return x, w, rng.integers(0, size, (2, 4, size))


def _regular(places: np.ndarray, *arrays: np.ndarray) -> bool:
    """Whether kernels are made for these."""
    char = arrays[0].dtype.char
    return char in "fd" and all(a.dtype.char == char and a.size for a in arrays) and places.dtype.char in "ilq"


@choice(reference=sample_reference, sample=_sample)
def sample(x, w, places):
    """x (..., C, S) at places (..., K, P), weighed and added up: (..., C, P)."""
    if not _regular(places, x, w):
        return sample_reference(x, w, places)
    (channels, size), (taps, n) = x.shape[-2:], w.shape[-2:]
    y = empty((*x.shape[:-1], n), x.dtype)
    x, w, places = plain(x).reshape(-1), plain(w).reshape(-1), plain(places).reshape(-1)
    sample_planes(y.size // n, max(1, CHUNK // (taps * n)), x, channels, size, w, places, taps, n, y.reshape(-1))
    return y


@choice(reference=spread_reference, sample=lambda *a: (*(v := _sample(*a)), v[0].shape[-1]))
def spread(g, w, places, size):
    """Zeros (..., C, size) to which the entries of g (..., C, P) are added at places (..., K, P), weighed."""
    if not _regular(places, g, w) or not size:
        return spread_reference(g, w, places, size)
    (channels, n), taps = g.shape[-2:], w.shape[-2]
    y = empty((*g.shape[:-1], size), g.dtype)
    g, w, places = plain(g).reshape(-1), plain(w).reshape(-1), plain(places).reshape(-1)
    grain = max(1, CHUNK // (taps * n))
    spread_planes(y.size // size, grain, g, channels, n, w, places, taps, y.reshape(-1), size)
    return y


def _pairs(rng, n, dtype):
    x, _, places = _sample(rng, n, dtype)
    return rng.standard_normal(x.shape).astype(dtype), x, places


@choice(reference=correlate_reference, sample=_pairs)
def correlate(g, x, places):
    """The products of g (..., C, P) with x (..., C, S) at places (..., K, P), added up over channels: (..., K, P)."""
    if not _regular(places, g, x):
        return correlate_reference(g, x, places)
    (channels, size), (taps, n) = x.shape[-2:], places.shape[-2:]
    y = empty(places.shape, x.dtype)
    g, x, places = plain(g).reshape(-1), plain(x).reshape(-1), plain(places).reshape(-1)
    count = y.size // (taps * n) * -(-n // BLOCK)
    correlate_blocks(count, 1, g, x, channels, size, places, taps, n, BLOCK, y.reshape(-1))
    return y


def flattened(x, grid):
    """Images (..., C, S) and points (..., P, 2)."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1]), grid.reshape(*grid.shape[:-3], -1, 2)


def images_reference(x, grid, padding, align):
    """By what each point takes of the entries around it."""
    flat, points = flattened(x, grid)
    y = sample(flat, *corners(points, x.shape[-2:], padding, align))
    return y.reshape(*x.shape[:-2], *grid.shape[-3:-1])


def _images(rng, n, dtype):
    side = max(round((n / 2) ** 0.5), 1)
    x, grid = rng.standard_normal((1, 2, side, side)), rng.uniform(-1.2, 1.2, (1, side, side, 2))
    return x.astype(dtype), grid.astype(dtype), 0, False


@choice(reference=images_reference, sample=_images)
def images(x, grid, padding, align):
    """Images (..., C, H, W) at points of a grid (..., h, w, 2): (..., C, h, w)."""
    few = x.dtype.char in "fd" and x.dtype == grid.dtype and 0 < x.size <= FEW and 0 < grid.size <= FEW
    shape = (*x.shape[:-2], *grid.shape[-3:-1])
    if not few or math.prod(shape) > FEW:
        return images_reference(x, grid, padding, align)
    y, (channels, height, width), n = np.empty(shape, x.dtype), x.shape[-3:], shape[-1] * shape[-2]
    images_at_once(plain(x).ravel(), channels, height, width, plain(grid).ravel(), padding, align, n, y.ravel())
    return y


def images_back(g, grid, shape, padding, align):
    """The gradient by images, of a shape (..., C, H, W), from that by what points of a grid took of them."""
    flat, points = flattened(g, grid)
    return spread(flat, *corners(points, shape[-2:], padding, align), math.prod(shape[-2:])).reshape(shape)


def images_slopes(g, x, grid, padding, align):
    """The gradient by the points of a grid, likewise."""
    (flat, points), (images, _), sizes = flattened(g, grid), flattened(x, grid), x.shape[-2:]
    d = correlate(flat, images, corners(points, sizes, padding, align)[1])
    return slopes(points, d, sizes, padding, align).reshape(grid.shape)
