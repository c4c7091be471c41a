"""Sums of entries at given places with given weights, the same places in every channel: sampling on any grid.

With x (N, C, S), weights and places (N, K, P): sample y[n, c, p] = sum over k of w[n, k, p] x[n, c, places[n, k, p]].
It is linear in x and in w; `spread` and `correlate` are its transposes, and each of the three has the others as its
gradients.  A weight of zero takes nothing, not even from NaN.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from ._jit import COMPILED, Kernel, Late, choice, kernel, plain
from ._memory import empty
from ._sizes import CHUNK, LEAST
from .grid_corners import BLOCK, corner_blocks, corner_slopes, corners, slopes
from .grid_planes import correlate_blocks, sample_planes, spread_planes
from .reduce import DOUBLE, SINGLE

entries = Late("_borrowed", "entries")
FEW = CHUNK // 4  # entries of images and of grids, up to which one thread does all at once


# --- kernels ---------------------------------------------------------------------------------------------------------


@kernel
def images_at_once(x, channels, height, width, grid, padding, align, n, y):
    """y (N, C, P) from images x (N, C, height, width) at points of a grid (N, P, 2), a few."""
    points = len(grid) // 2
    w, places = np.empty(4 * points, x.dtype), np.empty(4 * points, np.int32)
    corner_blocks(0, points // n * -(-n // BLOCK), grid, height, width, padding, align, n, BLOCK, w, places)
    sample_planes(0, len(y) // n, x, channels, height * width, w, places, 4, n, y)
    w[:0], places[:0] = 0, 0  # they are in use until here


@kernel
def back_at_once(g, channels, height, width, grid, padding, align, n, y):
    """The gradient (N, C, height, width) by images from that by what points took of them, a few."""
    points = len(grid) // 2
    w, places = np.empty(4 * points, g.dtype), np.empty(4 * points, np.int32)
    corner_blocks(0, points // n * -(-n // BLOCK), grid, height, width, padding, align, n, BLOCK, w, places)
    spread_planes(0, len(g) // n, g, channels, n, w, places, 4, y, height * width)
    w[:0], places[:0] = 0, 0  # they are in use until here


@kernel
def slopes_at_once(g, x, channels, height, width, grid, padding, align, n, y):
    """The gradient (N, P, 2) by points, likewise; the weights make room for their own gradients."""
    points = len(grid) // 2
    blocks, w, places = points // n * -(-n // BLOCK), np.empty(4 * points, x.dtype), np.empty(4 * points, np.int32)
    corner_blocks(0, blocks, grid, height, width, padding, align, n, BLOCK, w, places)
    correlate_blocks(0, blocks, g, x, channels, height * width, places, 4, n, BLOCK, w)
    corner_slopes(0, blocks, grid, w, height, width, padding, align, n, BLOCK, y)
    w[:0], places[:0] = 0, 0  # they are in use until here


class AtOnce(NamedTuple):
    """The kernels that do all of a few images and points, of floats of one type."""

    images: Kernel
    back: Kernel
    slopes: Kernel


def launching(dtype: np.dtype) -> AtOnce:
    """Those of a type; they are told how many images, channels, rows, columns and points there are."""
    zero = dtype.type(0)
    named = lambda name: {"name": f"{name}_{dtype.char}", "launcher": True}

    @kernel(numbers="aaaiiiiiii", **named("images"))
    def images(x, grid, y, count, channels, height, width, n, padding, align):
        xs, points = entries(zero, x, count * channels * height * width), entries(zero, grid, 2 * count * n)
        images_at_once(xs, channels, height, width, points, padding, align, n, entries(zero, y, count * channels * n))

    @kernel(numbers="aaaiiiiiii", **named("back"))
    def back(g, grid, y, count, channels, height, width, n, padding, align):
        gs, points = entries(zero, g, count * channels * n), entries(zero, grid, 2 * count * n)
        made = entries(zero, y, count * channels * height * width)
        back_at_once(gs, channels, height, width, points, padding, align, n, made)

    @kernel(numbers="aaaaiiiiiii", **named("slopes"))
    def slopes(g, x, grid, y, count, channels, height, width, n, padding, align):
        gs, xs = entries(zero, g, count * channels * n), entries(zero, x, count * channels * height * width)
        points, made = entries(zero, grid, 2 * count * n), entries(zero, y, 2 * count * n)
        slopes_at_once(gs, xs, channels, height, width, points, padding, align, n, made)

    return AtOnce(images, back, slopes)


SINGLES, DOUBLES = launching(SINGLE), launching(DOUBLE)


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
    flat = grid.reshape(*grid.shape[:-3], math.prod(grid.shape[-3:-1]), 2)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1]), flat


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
    seen = few(x.shape, grid.shape, x.dtype, grid.dtype)
    if not seen:
        return images_reference(x, grid, padding, align)
    (kernel, _, _), lengths, shape = seen
    x, grid, y = x if x.flags.carray else plain(x), plain(grid), np.empty(shape, x.dtype)
    kernel(id(x), id(grid), id(y), *lengths, padding, align)
    return y


@functools.lru_cache(4096)
def few(full: tuple, points: tuple, *types: np.dtype) -> tuple[AtOnce, tuple, tuple] | None:
    """The kernels for images and points of such shapes, what they are told, and the shape of images at points.

    None unless there are a few of each, all of one type.
    """
    kernels, shape = {(SINGLE,): SINGLES, (DOUBLE,): DOUBLES}.get(tuple(set(types))), (*full[:-2], *points[-3:-1])
    sizes = math.prod(full), math.prod(points), math.prod(shape)
    if not COMPILED or not kernels or sizes[0] < LEAST["grid_sample.images"] or not 0 < min(sizes) <= max(sizes) <= FEW:
        return None
    return kernels, (math.prod(full[:-3]), *full[-3:], points[-3] * points[-2]), shape


def images_back(g, grid, shape, padding, align):
    """The gradient by images, of a shape (..., C, H, W), from that by what points of a grid took of them."""
    if seen := few(shape, grid.shape, g.dtype, grid.dtype):
        (_, kernel, _), lengths, _ = seen
        g, grid, y = plain(g), plain(grid), np.empty(shape, g.dtype)
        kernel(id(g), id(grid), id(y), *lengths, padding, align)
        return y
    flat, points = flattened(g, grid)
    return spread(flat, *corners(points, shape[-2:], padding, align), math.prod(shape[-2:])).reshape(shape)


def images_slopes(g, x, grid, padding, align):
    """The gradient by the points of a grid, likewise."""
    if seen := few(x.shape, grid.shape, g.dtype, x.dtype, grid.dtype):
        (_, _, kernel), lengths, _ = seen
        g, x, grid, y = plain(g), plain(x), plain(grid), np.empty(grid.shape, x.dtype)
        kernel(id(g), id(x), id(grid), id(y), *lengths, padding, align)
        return y
    (flat, points), (images, _), sizes = flattened(g, grid), flattened(x, grid), x.shape[-2:]
    d = correlate(flat, images, corners(points, sizes, padding, align)[1])
    return slopes(points, d, sizes, padding, align).reshape(grid.shape)
