"""Other sizes: interpolation, and pixels that become channels.

Every mode of `interpolate` is a table of weights for each axis (`kernels.tables.Table`), so one primitive, linear and
with a gradient of its own kind, does them all; averages over windows are the same again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels._kept import remembering
from ..kernels.resize import resize
from ..kernels.tables import Table, boxes, identity
from ..op import op
from ..samples import shapes
from .arranging import permuted, reshape_to
from .base import compact
from .shape import swapaxes

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


# --- tables ----------------------------------------------------------------------------------------------------------


def clamped(n_in: int, at: np.ndarray, weights: np.ndarray) -> Table:
    """The table of weights (n_out, K) at entries (n_out, K), of which those beyond the ends are the ends."""
    at = np.clip(at, 0, n_in - 1)
    start = at.min(1, initial=max(n_in - 1, 0))
    table = np.zeros((len(at), int((at - start[:, None]).max(initial=0)) + 1))
    np.add.at(table, (np.arange(len(at))[:, None], at - start[:, None]), weights)
    return Table(n_in, start, table)


@remembering(512)
def shares(n_in: int, n_out: int) -> Table:
    """Averages over n_out windows that cover the axis."""
    i = np.arange(n_out)
    start, stop = i * n_in // n_out, -(-(i + 1) * n_in // n_out)
    return boxes(n_in, start, stop, 1.0 / (stop - start))


def cubic(x: np.ndarray, a: float) -> np.ndarray:
    """The weights of cubic convolution at distances x."""
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def smoothed(mode: str, n_in: int, n_out: int, scale: float) -> Table:
    """Weights that reach as far as what one entry of the result covers."""
    reach = (1.0 if mode == "linear" else 2.0) * max(scale, 1.0)
    centre = scale * (np.arange(n_out) + 0.5)
    start = np.maximum(np.trunc(centre - reach + 0.5), 0).astype(np.int64)
    stop = np.minimum(np.trunc(centre + reach + 0.5), n_in).astype(np.int64)
    at = start[:, None] + np.arange(int((stop - start).max()))
    distance = (at - centre[:, None] + 0.5) / max(scale, 1.0)
    weights = np.maximum(0.0, 1 - np.abs(distance)) if mode == "linear" else cubic(distance, -0.5)
    weights = np.where(at < stop[:, None], weights, 0.0)
    return Table(n_in, start, weights / weights.sum(1, keepdims=True))


@remembering(512)
def table_of(mode: str, n_in: int, n_out: int, scale: float, align: bool, smooth: bool) -> Table:
    """The table of a mode along one axis; `scale` is the length of n_in that one entry of the result stands for."""
    i = np.arange(n_out)
    if mode.startswith("nearest"):  # counted in float32, as PyTorch does, so that the same entry is nearest
        at = np.floor((i.astype(np.float32) + np.float32(0.5 if mode == "nearest-exact" else 0)) * np.float32(scale))
        return clamped(n_in, at.astype(np.int64)[:, None], np.ones((n_out, 1)))
    if smooth:
        return smoothed(mode, n_in, n_out, scale)
    if n_in == n_out and mode == "linear":
        return identity(n_in)
    source = i * scale if align else (i + 0.5) * scale - 0.5
    if mode == "linear":
        source = np.maximum(source, 0)
        base = np.minimum(np.floor(source).astype(np.int64), n_in - 1)
        part = np.clip(source - base, 0, 1)
        return clamped(n_in, base[:, None] + [0, 1], np.stack([1 - part, part], 1))
    base = np.floor(source).astype(np.int64)
    taps = np.arange(-1, 3)
    return clamped(n_in, base[:, None] + taps, cubic((source - base)[:, None] - taps, -0.75))


def _tables(rng):
    two = lambda n: rng.choice([shares(n, 2), table_of("linear", n, 2 * n, 0.5, False, False), identity(n)])
    x = rng.standard_normal((2, 4, 5))
    return [x], {"tables": (two(4), two(5)) if rng.random() < 0.5 else (shares(4, 1), two(5))}


@op(
    lambda g, tables: resampled(g, tables=tuple([t.T for t in tables])),
    linear=True,
    trailing=True,
    samples=[
        _tables,
        shapes("2 6", tables=[(table_of("cubic", 6, 4, 1.5, False, True),), (shares(6, 4),), (identity(6),)]),
        shapes("2 3 4", tables=[(table_of("nearest", 3, 5, 0.6, False, False), shares(4, 4))]),
        shapes(
            "2 3 2 4", tables=[(shares(3, 2), shares(2, 3), shares(4, 1)), (shares(3, 5), identity(2), shares(4, 3))]
        ),
    ],
)
def resampled(x, *, tables):
    """The last axes of x resized, each by its table of weights."""
    return resize(x, tables)


# --- interpolation ---------------------------------------------------------------------------------------------------

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")


def numbers(value: Any, d: int, name: str, what: str, of: Any = operator.index) -> tuple:
    """One number for each of d axes, from as many, or from one for all."""
    try:
        if isinstance(value, (tuple, list, np.ndarray)):
            got = tuple([of(v) for v in value])
            got = got * d if len(got) == 1 else got
        else:
            got = (of(value),) * d
    except TypeError:
        raise TypeError(f"{name}: {what} must be a number or {d} numbers, got {value!r:.40}") from None
    if len(got) != d:
        raise ValueError(f"{name}: {what} must be a number or {d} numbers, got {len(got)}: {value}")
    return got


def _sizes(shape: tuple, size: Any, scale_factor: Any, recompute: Any, name: str) -> tuple[tuple, tuple]:
    """The sizes of the result, and the factors that are to be taken at their word (or None)."""
    d = len(shape)
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{name}: give either size or scale_factor, got size={size} and scale_factor={scale_factor}")
    if size is not None:
        if recompute:
            raise ValueError(f"{name}: recompute_scale_factor has no meaning with size; leave it out")
        wanted, factors = numbers(size, d, name, "size"), (None,) * d
    else:
        factors = numbers(scale_factor, d, name, "scale_factor", float)
        wanted = tuple([int(math.floor(n * f)) for n, f in zip(shape, factors)])
        factors = (None,) * d if recompute else factors
    if min(shape, default=1) < 1 or min(wanted, default=1) < 1:
        raise ValueError(f"{name}: sizes must be positive, got {tuple(shape)} to be made {wanted}")
    return wanted, factors


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """`input` (N, C, ...) in another size, given as such or by a factor."""
    options = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    tables = quickly(_tables_for, input.shape, *options)
    if input.dtype.kind not in "fc" and not mode.startswith("nearest"):
        raise TypeError(f"interpolate: mode {mode!r} needs floating-point entries, got {input.dtype}; use .float()")
    return resampled(input, tables=tables)


def quickly(make: Callable, *arguments: Any) -> Any:
    """What a function with a memory makes of arguments, of which some may be lists."""
    try:
        return make(*arguments)
    except TypeError:
        return make(*[tuple(a) if isinstance(a, (list, np.ndarray)) else a for a in arguments])


@remembering(1024, typed=True)
def _tables_for(full, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias) -> tuple:
    """The tables with which (N, C, ...) is interpolated."""
    d = len(full) - 2
    needed = LINEAR.get(mode, 2 if mode == "bicubic" else d)
    if mode not in MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(MODES)}, got {mode!r}")
    if not 1 <= d <= 3 or d != needed:
        wanted = f"{needed + 2} axes" if mode in LINEAR or mode == "bicubic" else "3 to 5 axes"
        raise ValueError(f"interpolate: mode {mode!r} needs {wanted} (N, C, ...), got shape {full}")
    if align_corners is not None and mode not in LINEAR and mode != "bicubic":
        raise ValueError(f"interpolate: align_corners has no meaning for mode {mode!r}; leave it out")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias is for modes 'bilinear' and 'bicubic', got {mode!r}")
    shape = tuple(full[2:])
    wanted, factors = _sizes(shape, size, scale_factor, recompute_scale_factor, "interpolate")
    if mode == "area":
        return tuple(map(shares, shape, wanted))
    kind, align = "linear" if mode in LINEAR else mode.removeprefix("bi"), bool(align_corners)
    tables = [
        table_of(kind, n, m, _scale(n, m, f, align), align, bool(antialias)) for n, m, f in zip(shape, wanted, factors)
    ]
    return tuple(tables)


def _scale(n: int, m: int, factor: float | None, align: bool) -> float:
    """The length of an axis that one entry of the result stands for."""
    if align:
        return (n - 1) / (m - 1) if m > 1 else 0.0
    return 1.0 / factor if factor else n / m


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate` by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with mode 'nearest'."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` with mode 'bilinear' and corners that stay where they are."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# --- pixels and channels ---------------------------------------------------------------------------------------------


def _images(input: Any, name: str) -> tuple:
    if input.ndim < 3:
        raise ValueError(f"{name}: needs at least 3 axes (..., C, H, W), got shape {tuple(input.shape)}")
    return tuple(input.shape[:-3]), *input.shape[-3:]


def pixel_shuffle(input, upscale_factor):
    """(..., C r^2, H, W) as (..., C, H r, W r)."""
    (lead, c, h, w), r = _images(input, "pixel_shuffle"), operator.index(upscale_factor)
    if r < 1 or c % (r * r):
        raise ValueError(f"pixel_shuffle: {c} channels do not divide into squares of {r} x {r}")
    x = reshape_to(input, shape=(*lead, c // (r * r), r, r, h, w))
    x = permuted(x, axes=(-5, -2, -4, -1, -3))
    return reshape_to(compact(x), shape=(*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input, downscale_factor):
    """(..., C, H r, W r) as (..., C r^2, H, W)."""
    (lead, c, h, w), r = _images(input, "pixel_unshuffle"), operator.index(downscale_factor)
    if r < 1 or h % r or w % r:
        raise ValueError(f"pixel_unshuffle: images of {h} x {w} do not divide into squares of {r} x {r}")
    x = reshape_to(input, shape=(*lead, c, h // r, r, w // r, r))
    x = permuted(x, axes=(-5, -3, -1, -4, -2))
    return reshape_to(compact(x), shape=(*lead, c * r * r, h // r, w // r))


def channel_shuffle(input, groups):
    """Channels (N, C, ...) in another order: the first of each group, then the second of each, and so on."""
    groups = operator.index(groups)
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise ValueError(f"channel_shuffle: needs (N, C, ...) with C in {groups} groups, got {tuple(input.shape)}")
    n, c, *rest = input.shape
    x = swapaxes(reshape_to(input, shape=(n, groups, c // groups, *rest)), 1, 2)
    return reshape_to(compact(x), shape=(n, c, *rest))
