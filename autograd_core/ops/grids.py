"""Images at points of a grid: `grid_sample`, and the grids of affine maps.

Entries are taken at places with weights: the places are integers, the weights are ordinary functions of the grid.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import called
from ..kernels import grid_sample as kernels
from ..op import op
from ..samples import shapes
from .arranging import reshape_to, stack_along, view_at
from .base import broadcast_to, masked
from .math import clamp, floor, round, where
from .products import product
from .shape import swapaxes

__all__ = ["affine_grid_generator", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d"]


# --- entries at places, weighed --------------------------------------------------------------------------------------

_WEIGHED = shapes("2 3 5, 2 4 3, 2 4 3:integers(0;5) | 2 5, 1 3, 1 3:integers(0;5) | 0 2 5, 0 4 3, 0 4 3:integers(0;5)")


@op(
    lambda g, x_shape, w, places: spread(g, w, places, size=x_shape[-1]),
    lambda g, x, places: correlate(g, x, places),
    None,
    linear=True,
    trailing=True,
    samples=_WEIGHED,
)
def sample(x, w, places):
    """x (..., C, S) at places (..., K, P) with weights (..., K, P), added up over K: (..., C, P)."""
    return kernels.sample(x, w, places)


@op(
    lambda g, w, places: sample(g, w, places),
    lambda g, x, places: correlate(x, g, places),
    None,
    linear=True,
    trailing=True,
    samples=shapes("2 2 3, 2 4 3, 2 4 3:integers(0;5) | 2 3, 1 3, 1 3:integers(0;5)", size=[5]),
)
def spread(x, w, places, *, size):
    """The transpose of `sample` in its first argument."""
    return kernels.spread(x, w, places, size)


@op(
    lambda g, x, places: sample(x, g, places),
    lambda g, a, x_shape, places: spread(a, g, places, size=x_shape[-1]),
    None,
    linear=True,
    trailing=True,
    samples="2 3 4, 2 3 5, 2 2 4:integers(0;5) | 2 3, 2 5, 1 3:integers(0;5)",
)
def correlate(a, x, places):
    """The transpose of `sample` in its second argument."""
    return kernels.correlate(a, x, places)


# --- sampling on a grid ----------------------------------------------------------------------------------------------

PADDINGS = ("zeros", "border", "reflection")


def reflected(u: Any, low: float, high: float) -> Any:
    """Coordinates folded back into a stretch at whose ends there are mirrors."""
    v, span = within(u - low), high - low
    if span == 0:
        return v * 0
    rest = v - floor(v / (2 * span)) * (2 * span)
    return where(rest > span, 2 * span - rest, rest) + low


def within(v: Any) -> Any:
    """v, or 0 where it is so far out, infinitely perhaps, that there are no numbers between whole ones."""
    return where(abs(v) + 1 == abs(v), 0, v)


def padded(u: Any, n: int, padding: str, align: bool) -> Any:
    """Coordinates as a way of padding takes them."""
    if padding == "reflection":
        u = reflected(u, 0, n - 1) if align else reflected(u, -0.5, n - 0.5)
    if padding == "zeros":
        return u
    return where(u > 0, where(u < n - 1, u, n - 1.0), 0.0)  # no slope at the ends, where clamp has one


def known(u: Any, padding: str) -> Any:
    """Coordinates without NaN: the first entry, or so far outside that nothing there has a slope."""
    return where(u == u, u, -4.0 if padding == "zeros" else 0.0)


def taps_of(u: Any, n: int, mode: str, padding: str, align: bool) -> list:
    """Pairs of a weight and a coordinate, a whole number, along one axis."""
    if mode == "bicubic":
        u = within(u) if padding == "reflection" else u
        base = floor(u)
        t, taps = u - base, []
        for k in (-1, 0, 1, 2):
            x, a = t - k if k <= 0 else k - t, -0.75
            inner, outer = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
            taps.append((inner if k in (0, 1) else outer, padded(base + k, n, padding, align)))
        return taps
    u = padded(u, n, padding, align)
    if mode == "nearest":
        return [(clamp(u, 0, n - 1) * 0 + 1, round(u))]
    base = floor(u)
    part = u - base
    return [(1 - part, base), (part, base + 1)]


def lattice(grid: Any, sizes: tuple, mode: str, padding: str, align: bool) -> tuple:
    """Weights and places (N, K, P) of the entries around each point of a grid (N, P, d)."""
    d, combined = len(sizes), [(None, 0, None)]
    for axis, n in enumerate(sizes):
        x = view_at(grid, index=(..., d - 1 - axis))
        u = (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) * 0.5
        u = known(u, padding)
        along = []
        for w, at in taps_of(u, n, mode, padding, align):
            inside = (at >= 0) & (at <= n - 1)
            along.append((w, clamp(at, 0, n - 1).astype(np.int64), inside))
        combined = [
            (w if v is None else v * w, p * n + q, i if j is None else i & j)
            for v, p, j in combined
            for w, q, i in along
        ]
    weights = [masked(w, i.astype(grid.dtype)) for w, _, i in combined]
    return stack_along(*weights, axis=-2), stack_along(*[p for _, p, _ in combined], axis=-2)


def slope(x: Any, n: int, padding: str, align: bool) -> Any:
    """How fast the place along an axis of n changes with the coordinate: a constant, of either sign, or 0."""
    rate = (n - 1) / 2 if align else n / 2
    if padding == "zeros":
        return rate
    low, span = (0, n - 1) if align else (-0.5, n)
    u = (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) * 0.5
    sign = rate
    if padding == "reflection":
        back = floor(within(u - low) / max(span, 1)) % 2 == 1
        sign, u = where(back, -rate, rate), reflected(u, low, low + span)
    return where((u > 0) & (u < n - 1), sign, 0.0)


def _corners_rule(g, grid, sizes, padding, align):
    """Each weight is a product of one along y and one along x, linear in the place between two entries."""
    g, axes = g[0], []
    if isinstance(g, np.ndarray) and isinstance(grid, np.ndarray):
        return kernels.slopes(grid, g, sizes, PADDINGS.index(padding), align)
    for k, n in enumerate(sizes):
        x = view_at(grid, index=(..., 1 - k))
        u = (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) * 0.5
        u = padded(known(u, padding), n, padding, align)
        base = floor(u)
        part = u - base
        first, second = (((at >= 0) & (at <= n - 1)).astype(g.dtype) for at in (base, base + 1))
        axes.append((masked(1 - part, first), masked(part, second), first, second, slope(x, n, padding, align)))
    (v0, v1, top, bottom, by_y), (u0, u1, left, right, by_x) = axes
    a, b, c, d = [view_at(g, index=(..., k, slice(None))) for k in range(4)]
    along_x = masked(v0 * (b * right - a * left) + v1 * (d * right - c * left), by_x)
    along_y = masked(u0 * (c * bottom - a * top) + u1 * (d * bottom - b * top), by_y)
    return stack_along(along_x.astype(g.dtype), along_y.astype(g.dtype), axis=-1)


def _points(rng):
    """Points a little away from the entries, where weights have no derivative."""
    sizes, align = (3, 4), bool(rng.random() < 0.5)
    places = [rng.integers(-1, n, (2, 5)) + rng.uniform(0.2, 0.8, (2, 5)) for n in (4, 3)]
    scaled = [2 * u / (n - 1) - 1 if align else (2 * u + 1) / n - 1 for u, n in zip(places, (4, 3))]
    return [np.stack(scaled, -1)], {"sizes": sizes, "padding": str(rng.choice(PADDINGS)), "align": align}


@op(_corners_rule, trailing=True, outputs=2, samples=[_points] * 3)
def corners(grid, *, sizes, padding, align):
    """Weights and places (..., 4, P) of the four entries around points (..., P, 2) of an image."""
    return kernels.corners(grid, sizes, PADDINGS.index(padding), align)


def _flat_points(grid: Any) -> Any:
    return reshape_to(grid, shape=(*grid.shape[:-3], math.prod(grid.shape[-3:-1]), 2))


def _flat_images(x: Any) -> Any:
    return reshape_to(x, shape=(*x.shape[:-2], math.prod(x.shape[-2:])))


def _images_rule(g, x_shape, grid, padding, align):
    """Each entry of the gradient goes to the four around its point."""
    if isinstance(g, np.ndarray) and isinstance(grid, np.ndarray):
        return kernels.images_back(g, grid, tuple(x_shape), PADDINGS.index(padding), align)
    sizes = tuple(x_shape[-2:])
    w, places = corners(_flat_points(grid), sizes=sizes, padding=padding, align=align)
    return reshape_to(spread(_flat_images(g), w, places, size=math.prod(sizes)), shape=tuple(x_shape))


def _grid_rule(g, x, grid, padding, align):
    """Through the weights of the four."""
    if isinstance(g, np.ndarray) and isinstance(x, np.ndarray) and isinstance(grid, np.ndarray):
        return kernels.images_slopes(g, x, grid, PADDINGS.index(padding), align)
    params = {"sizes": tuple(x.shape[-2:]), "padding": padding, "align": align}
    points = _flat_points(grid)
    d = correlate(_flat_images(g), _flat_images(x), corners(points, **params)[1])
    return reshape_to(_corners_rule((d, None), points, **params), shape=tuple(grid.shape))


def _images_and_points(rng):
    (points,), params = _points(rng)
    return [rng.standard_normal((2, 2, 3, 4)), points[:, :, None]], {n: params[n] for n in ("padding", "align")}


@op(_images_rule, _grid_rule, trailing=True, samples=[_images_and_points] * 3)
def images_at(x, grid, *, padding, align):
    """Images (..., C, H, W) at points of a grid (..., h, w, 2), between entries by how near these are."""
    return kernels.images(x, grid, PADDINGS.index(padding), align)


MODE_NAMES = ("bilinear", "nearest", "bicubic")


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """`input` (N, C, H, W) or (N, C, D, H, W) at points of a grid (N, ..., 2 or 3) whose coordinates x, y(, z) are
    -1 at one end and 1 at the other."""
    shape, points = input.shape, grid.shape
    d = len(shape) - 2
    if d not in (2, 3) or len(points) != d + 2 or points[-1] != d or points[0] != shape[0]:
        needs = "input (N, C, H, W) and grid (N, H', W', 2), or input (N, C, D, H, W) and grid (N, D', H', W', 3)"
        raise ValueError(f"{called('grid_sample')}: needs {needs}, got {tuple(shape)} and {tuple(points)}")
    if mode not in MODE_NAMES or padding_mode not in PADDINGS:
        modes = f"mode bilinear, nearest or bicubic and padding_mode {', '.join(PADDINGS)}"
        raise ValueError(f"{called('grid_sample')}: needs {modes}, got {mode!r} and {padding_mode!r}")
    if mode == "bicubic" and d == 3:
        raise ValueError(f"{called('grid_sample')}: mode 'bicubic' is for 4 axes, got shape {tuple(shape)}")
    if input.dtype != grid.dtype or input.dtype.kind != "f":
        given = f"{input.dtype} and {grid.dtype}"
        raise TypeError(f"{called('grid_sample')}: input and grid must have one floating-point type, got {given}")
    if 0 in shape[2:]:
        raise ValueError(f"{called('grid_sample')}: input has no entries to sample, its shape is {tuple(shape)}")
    if mode == "bilinear" and d == 2:
        return images_at(input, grid, padding=padding_mode, align=bool(align_corners))
    sizes, points = tuple(shape[2:]), tuple(points[1:-1])
    x = reshape_to(input, shape=(*input.shape[:2], math.prod(sizes)))
    flat = reshape_to(grid, shape=(grid.shape[0], math.prod(points), d))
    weights, places = lattice(flat, sizes, mode, padding_mode, bool(align_corners))
    return reshape_to(sample(x, weights, places), shape=(*input.shape[:2], *points))


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """`grid_sample` with modes given by number."""
    try:
        mode, padding = MODE_NAMES[interpolation_mode], PADDINGS[padding_mode]
    except (IndexError, TypeError):
        given = f"got {interpolation_mode!r} and {padding_mode!r}"
        raise ValueError(f"grid_sampler: modes are numbers from 0 to 2, {given}; grid_sample takes names") from None
    return grid_sample(input, grid, mode, padding, align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid(theta, size, align_corners=None):
    """The grid (N, H, W, 2) or (N, D, H, W, 3) that affine maps theta (N, d, d + 1) make of the points of a size."""
    d = len(size) - 2
    if d not in (2, 3) or tuple(theta.shape) != (size[0], d, d + 1):
        needs = "theta (N, 2, 3) with size (N, C, H, W), or theta (N, 3, 4) with size (N, C, D, H, W)"
        raise ValueError(f"affine_grid: needs {needs}, got theta {tuple(theta.shape)} and size {tuple(size)}")
    if theta.dtype.kind != "f" or min(size) < 1:
        raise ValueError(f"affine_grid: needs floating-point maps and positive sizes, got {theta.dtype} and {size}")
    lines = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in size[2:]]
    lines = lines if align_corners else [line * ((n - 1) / n) for line, n in zip(lines, size[2:])]
    points = [*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(tuple(size[2:]))]
    base = np.stack(points, -1).reshape(1, -1, d + 1).astype(theta.dtype)
    base = broadcast_to(base, shape=(size[0], *base.shape[1:]))
    return reshape_to(product(base, swapaxes(theta, -1, -2)), shape=(size[0], *size[2:], d))


def affine_grid_generator(theta, size, align_corners):
    """`affine_grid` by its other name."""
    return affine_grid(theta, size, align_corners)
