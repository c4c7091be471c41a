"""Sums of entries at given places with given weights, the same places in every channel: sampling on any grid.

With x (N, C, S), weights and places (N, K, P): sample y[n, c, p] = sum over k of w[n, k, p] x[n, c, places[n, k, p]].
It is linear in x and in w; `spread` and `correlate` are its transposes, and each of the three has the others as its
gradients.  A weight of zero takes nothing, not even from NaN.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, choice, inline, kernel, plain
from ._memory import empty
from ._sizes import CHUNK

borrowed = Late("_borrowed", "borrowed")
FEW = CHUNK // 4  # entries of images and of grids, up to which one thread does all at once
BLOCK = 1024  # places that a thread takes at a time where it adds up over channels


def apart(*arguments):
    """The compiler for functions whose arrays share no memory."""
    from ._borrowed import Apart

    return Apart(*arguments)


# --- kernels ---------------------------------------------------------------------------------------------------------


@inline
def weighed(w, v):
    """w v, or nothing where w is zero."""
    return w * v if w != 0 else w


@inline
def clipped(u, most):
    """u, or the end of an axis that is nearest."""
    zero = most - most
    return most if u > most else u if u > zero else zero


@inline
def within(v, one):
    """v, or 0 where it is so far out that there are no numbers between whole ones."""
    return v if abs(v) + one != abs(v) else one - one


@inline
def inside_image(x, n, padding, align, one, half):
    """A coordinate from -1 to 1 as a place along an axis of n; padding is 0 for none, 1 at the border, 2 by mirrors.

    NaN is the first entry; without padding, so far outside that nothing there has a slope.
    """
    u = (x + one) * ((n - one) * half) if align else ((x + one) * n - one) * half
    u = u if u == u else (one - one if padding else -(one + one) / half)
    if padding == 2:
        low, span = (one - one, n - one) if align else (-half, n)
        v = within(u - low, one)
        rest = v - np.floor(v / (span + span)) * (span + span)
        rest = span + span - rest if rest > span else rest
        u = rest + low if span > 0 else one - one
    return clipped(u, n - one) if padding else u


@inline
def steepness(x, n, padding, align, one, half):
    """How fast the place along an axis changes with the coordinate: a constant, of either sign, or 0."""
    rate, zero = (n - one) * half if align else n * half, one - one
    if padding == 0:
        return rate
    u = (x + one) * ((n - one) * half) if align else ((x + one) * n - one) * half
    if padding == 2:
        low, span = (zero, n - one) if align else (-half, n)
        v = within(u - low, one)
        turns = np.floor(v / max(span, one))
        rate = rate if turns * half == np.floor(turns * half) else -rate
        rest = v - np.floor(v / (span + span)) * (span + span)
        u = (span + span - rest if rest > span else rest) + low if span > zero else zero
    return rate if (u > zero) & (u < n - one) else zero


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


@kernel(chunks=True)
def corner_blocks(begin, end, grid, height, width, padding, align, n, block, w, places):
    """Blocks of the weights and places (N, 4, P) of the corners around points (N, P, 2)."""
    blocks, one, half, zero = -(-n // block), grid.dtype.type(1), grid.dtype.type(0.5), grid.dtype.type(0)
    tall, wide = grid.dtype.type(height), grid.dtype.type(width)
    for r in range(begin, end):
        m, start = r // blocks, r % blocks * block
        count, at = min(block, n - start), m * 4 * n + start
        points = grid[2 * (m * n + start) : 2 * (m * n + start + count)]
        a, b = w[at : at + count], w[at + n : at + n + count]
        c, d = w[at + 2 * n : at + 2 * n + count], w[at + 3 * n : at + 3 * n + count]
        p, q = places[at : at + count], places[at + n : at + n + count]
        s, t = places[at + 2 * n : at + 2 * n + count], places[at + 3 * n : at + 3 * n + count]
        for j in range(count):
            x = inside_image(points[2 * j], wide, padding, align, one, half)
            y = inside_image(points[2 * j + 1], tall, padding, align, one, half)
            left, top = np.floor(x), np.floor(y)
            right, bottom = left + one, top + one
            u1, v1 = x - left, y - top
            u0, v0 = one - u1, one - v1
            u0 = u0 if (left >= zero) & (left < wide) else zero
            u1 = u1 if (right >= zero) & (right < wide) else zero
            v0 = v0 if (top >= zero) & (top < tall) else zero
            v1 = v1 if (bottom >= zero) & (bottom < tall) else zero
            x0, x1 = np.int32(clipped(left, wide - one)), np.int32(clipped(right, wide - one))
            y0, y1 = np.int32(clipped(top, tall - one)), np.int32(clipped(bottom, tall - one))
            a[j], b[j], c[j], d[j] = v0 * u0, v0 * u1, v1 * u0, v1 * u1
            p[j], q[j], s[j], t[j] = y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1


@kernel(chunks=True)
def corner_slopes(begin, end, grid, d, height, width, padding, align, n, block, out):
    """The gradients (N, P, 2) by points from those by weights d (N, 4, P)."""
    blocks, one, half, zero = -(-n // block), grid.dtype.type(1), grid.dtype.type(0.5), grid.dtype.type(0)
    tall, wide = grid.dtype.type(height), grid.dtype.type(width)
    for r in range(begin, end):
        m, start = r // blocks, r % blocks * block
        at = m * 4 * n + start
        for j in range(min(block, n - start)):
            k = 2 * (m * n + start + j)
            x = inside_image(grid[k], wide, padding, align, one, half)
            y = inside_image(grid[k + 1], tall, padding, align, one, half)
            left, top = np.floor(x), np.floor(y)
            u1, v1 = x - left, y - top
            u0, v0 = one - u1, one - v1
            e = one if (left >= zero) & (left < wide) else zero
            f = one if (left + one >= zero) & (left + one < wide) else zero
            g = one if (top >= zero) & (top < tall) else zero
            h = one if (top + one >= zero) & (top + one < tall) else zero
            a, b, c, d3 = d[at + j], d[at + n + j], d[at + 2 * n + j], d[at + 3 * n + j]
            along_x = weighed(g, v0) * (b * f - a * e) + weighed(h, v1) * (d3 * f - c * e)
            along_y = weighed(e, u0) * (c * h - a * g) + weighed(f, u1) * (d3 * h - b * g)
            by_x = steepness(grid[k], wide, padding, align, one, half)
            by_y = steepness(grid[k + 1], tall, padding, align, one, half)
            out[k], out[k + 1] = weighed(by_x, along_x), weighed(by_y, along_y)


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


def _folded(v: np.ndarray, span: float) -> np.ndarray:
    """Distances from one of two mirrors, between them; 0 where v is so far out that there are only whole numbers."""
    v = np.where(np.abs(v) + 1 == np.abs(v), 0, v)
    rest = v % (2 * span) if span else v * 0
    return np.where(rest > span, 2 * span - rest, rest)


def _coordinates(x: np.ndarray, n: int, padding: int, align: bool) -> np.ndarray:
    """Coordinates from -1 to 1 as places along an axis."""
    u = (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) * 0.5
    u = np.where(u == u, u, 0 if padding else -4).astype(x.dtype)
    if padding == 2:
        low, span = (0, n - 1) if align else (-0.5, n)
        u = _folded(u - low, span) + (low if span else 0)
    return np.clip(u, 0, n - 1) if padding else u


def corners_reference(grid: np.ndarray, sizes: tuple, padding: int, align: bool) -> tuple[np.ndarray, np.ndarray]:
    """In NumPy, all points at once."""
    ends = []
    for k, n in enumerate(sizes):
        u = _coordinates(grid[..., 1 - k], n, padding, align)
        base = np.floor(u)
        part = u - base
        ends.append([(np.where((b >= 0) & (b < n), w, 0), b) for w, b in ((1 - part, base), (part, base + 1))])
    pairs = [
        (v * u, np.clip(t, 0, sizes[0] - 1) * sizes[1] + np.clip(s, 0, sizes[1] - 1))
        for v, t in ends[0]
        for u, s in ends[1]
    ]
    weights, places = (np.stack(c, -2) for c in zip(*pairs))
    return weights.astype(grid.dtype, copy=False), places.astype(np.int32)


def _grid(rng, n, dtype):
    side = max(round((n / 2) ** 0.5), 1)
    return rng.uniform(-1.2, 1.2, (2, side * side, 2)).astype(dtype), (side, side), 0, False


@choice(reference=corners_reference, sample=_grid)
def corners(grid, sizes, padding, align):
    """Weights and places (..., 4, P) of the entries around points (..., P, 2) of an image."""
    if grid.dtype.char not in "fd" or not grid.size or math.prod(sizes) >= 1 << 24:
        return corners_reference(grid, sizes, padding, align)
    n, lead = grid.shape[-2], grid.shape[:-2]
    w, places = empty((*lead, 4, n), grid.dtype), empty((*lead, 4, n), np.dtype(np.int32))
    count = math.prod(lead) * -(-n // BLOCK)
    corner_blocks(count, 8, plain(grid).ravel(), *sizes, padding, align, n, BLOCK, w.ravel(), places.ravel())
    return w, places


def corner_slopes_reference(grid, d, sizes, padding, align):
    """In NumPy, all points at once."""
    axes = []
    for k, n in enumerate(sizes):
        x = grid[..., 1 - k]
        u, rate = _coordinates(x, n, padding, align), (n - 1) / 2 if align else n / 2
        base = np.floor(u)
        first, second = (((b >= 0) & (b < n)).astype(d.dtype) for b in (base, base + 1))
        if padding:
            at = (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) * 0.5
            low, span = (0, n - 1) if align else (-0.5, n)
            if padding == 2:
                v = np.where(np.abs(at - low) + 1 == np.abs(at - low), 0, at - low)
                rate = np.where(np.floor(v / max(span, 1)) % 2 == 1, -rate, rate)
                at = _folded(v, span) + (low if span else 0)
            rate = np.where((at > 0) & (at < n - 1), rate, 0)
        axes.append((np.where(first, 1 - (u - base), 0), np.where(second, u - base, 0), first, second, rate))
    (v0, v1, top, bottom, by_y), (u0, u1, left, right, by_x) = axes
    a, b, c, e = [d[..., k, :] for k in range(4)]
    along_x = v0 * (b * right - a * left) + v1 * (e * right - c * left)
    along_y = u0 * (c * bottom - a * top) + u1 * (e * bottom - b * top)
    pair = [np.where(by != 0, along * by, 0) for along, by in ((along_x, by_x), (along_y, by_y))]
    return np.stack(pair, -1).astype(d.dtype, copy=False)


def _weighed_grid(rng, n, dtype):
    grid, *rest = _grid(rng, n, dtype)
    return grid, rng.standard_normal((2, 4, grid.shape[1])).astype(dtype), *rest


@choice(reference=corner_slopes_reference, sample=_weighed_grid)
def slopes(grid, d, sizes, padding, align):
    """The gradients by points (..., P, 2) from those by weights d (..., 4, P)."""
    if grid.dtype.char not in "fd" or not grid.size or d.dtype != grid.dtype or math.prod(sizes) >= 1 << 24:
        return corner_slopes_reference(grid, d, sizes, padding, align)
    n, out = grid.shape[-2], empty(grid.shape, grid.dtype)
    count = grid.size // (2 * n) * -(-n // BLOCK)
    corner_slopes(count, 8, plain(grid).ravel(), plain(d).ravel(), *sizes, padding, align, n, BLOCK, out.ravel())
    return out


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
