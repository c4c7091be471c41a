"""Weights and places of the entries of an image around points of a grid, and what arrives at the points from the weights."""

from __future__ import annotations

import math

import numpy as np

from ._jit import choice, inline, kernel, plain
from ._memory import empty

BLOCK = 1024  # points, or places, that a thread takes at a time


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


# --- arrays ----------------------------------------------------------------------------------------------------------


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
