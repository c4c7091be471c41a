"""Windows of the last axes reduced to one entry each: the largest, the average, a norm.

Maxima are a primitive with two results, values and places; its gradient puts what arrives at the places, and the
gradient of that takes it from there.  Averages are `resampled`, with tables of equal weights, or
`slid` where such a table would be out of proportion.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..direct import found_at, unwatched
from ..kernels import pool as kernels
from ..kernels._kept import remembering
from ..kernels.tables import Table, identity
from ..op import op
from ..samples import shapes
from ..tensor import at
from .arranging import reshape_to
from .math import where
from .resampling import numbers, quickly, resampled, shares
from .sliding import Slides, averages, long

__all__ = [
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "avg_pool1d", "max_pool1d", "max_pool1d_with_indices", "max_pool2d",
    "max_pool3d",
]  # fmt: skip

# --- primitives ------------------------------------------------------------------------------------------------------


@op(
    lambda g, places, axes, x_shape: put_at(g, places, shape=tuple(x_shape[len(x_shape) - axes :])),
    None,
    linear=True,
    trailing=True,
    samples=shapes("2 3 4, 2 2 2:integers(0;12)", axes=[2]) + shapes("3 5, 3 0:integers(0;5)", axes=[1]),
)
def taken_at(x, places, *, axes):
    """The entries of planes, which are the last axes, at places in them."""
    return kernels.take(x, places, axes)


@op(
    lambda g, places, shape: taken_at(g, places, axes=len(shape)),
    None,
    linear=True,
    trailing=True,
    samples=shapes("2 2 2, 2 2 2:integers(0;12)", shape=[(3, 4)]) + shapes("3 3, 3 3:integers(0;5)", shape=[(5,)]),
)
def put_at(x, places, *, shape):
    """Planes of a shape, zero but for the entries of x, which are added at places."""
    return kernels.put(x, places, shape)


def _largest_rule(g, y, x_shape, windows):
    return put_at(g[0], y[1], shape=tuple(x_shape[len(x_shape) - len(windows) :]))


@op(
    lambda g, axes, x_shape: shared_out(g, shape=tuple(x_shape[len(x_shape) - axes :])),
    linear=True,
    trailing=True,
    samples=shapes("2 3 4 | 2 1 3", axes=[1, 2]),
)
def averaged(x, *, axes):
    """The averages of planes, which are the last axes; these stay, with one entry."""
    return kernels.average(x, axes)


@op(
    lambda g, shape: averaged(g, axes=len(shape)),
    linear=True,
    trailing=True,
    samples=shapes("2 1 1 | 0 1 1", shape=[(3, 4), (1, 2)]),
)
def shared_out(x, *, shape):
    """Planes of a shape, each of the n entries of one an n-th of the one entry that x has for it."""
    return kernels.shared_out(x, shape)


def _windows(n: int, kernel: int, stride: int, padding: int = 0, step: int = 1, out: int | None = None):
    out = (n + 2 * padding - step * (kernel - 1) - 1) // stride + 1 if out is None else out
    return kernels.Windows(n, np.arange(out) * stride - padding, np.full(out, kernel), step)


@op(
    _largest_rule,
    trailing=True,
    outputs=2,
    jvp=lambda tangents, y, x, windows: (taken_at(tangents[0], y[1], axes=len(windows)), None),
    samples=[
        shapes(
            "2 4 5:distinct",
            windows=[(_windows(4, 2, 2), _windows(5, 3, 2, 1)), (_windows(4, 2, 1), _windows(5, 2, 2))],
        ),
        shapes("2 6:distinct", windows=[(_windows(6, 3, 1, 1, 2),), (_windows(6, 2, 3),)]),
        shapes("2 3 4 2:distinct", windows=[(_windows(3, 2, 1), _windows(4, 2, 2, 1), _windows(2, 2, 1))]),
    ],
)
def largest_of(x, *, windows):
    """The largest entry of each window of the last axes, and its place in the plane that they are."""
    return kernels.largest(x, windows)


@op(
    differentiable=False,
    trailing=True,
    samples=shapes("2 4 5:distinct, 2 2:probability", kernel=[(2, 2)], out=[(2, 3)]),
)
def scattered_largest(x, u, *, kernel, out):
    """The places of the largest entries of windows that numbers u, one for each plane and axis, have laid out."""
    d = len(kernel)
    shape, sizes = x.shape[: x.ndim - d], x.shape[x.ndim - d :]
    rows, u = x.reshape(math.prod(shape), math.prod(sizes)), u.reshape(-1, d)
    starts = [_starts(u[:, a], n, k, m) for a, n, k, m in zip(range(d), sizes, kernel, out)]
    best, places = None, np.zeros((len(rows), *out), np.int64)
    for taps in np.ndindex(*kernel):
        at = np.zeros((len(rows), *(1,) * d), np.int64)
        for a in range(d):
            spot = (starts[a] + taps[a]).reshape(len(rows), *[m if a == b else 1 for b, m in enumerate(out)])
            at = at * sizes[a] + spot
        v = np.take_along_axis(rows, at.reshape(len(rows), math.prod(out)), 1).reshape(places.shape)
        other = np.ones(v.shape, bool) if best is None else (v > best) | (v != v)
        best, places = np.where(other, v, best), np.where(other, at, places)
    return places.reshape(*shape, *out)


def _starts(u: np.ndarray, n: int, k: int, m: int) -> np.ndarray:
    """Where m windows of k entries begin in an axis of n, for each number of u."""
    if m == 1:
        return np.full((len(u), 1), n - k)
    alpha = u.dtype.type((n - k) / (m - 1)) if u.dtype.kind == "f" else (n - k) / (m - 1)
    first = np.trunc((np.arange(m - 1, dtype=u.dtype) + u[:, None]) * alpha) - np.trunc(u[:, None] * alpha)
    return np.concatenate([first.astype(np.int64), np.full((len(u), 1), n - k)], 1)


# --- arguments -------------------------------------------------------------------------------------------------------


def planes(full: tuple, d: int, name: str) -> tuple[int, ...]:
    """The sizes of the last d axes, before which there are one or two."""
    if len(full) not in (d + 1, d + 2):
        letters = ", ".join("DHW"[-d:] if d > 1 else "L")
        given = f"got shape {tuple(full)}"
        raise ValueError(f"{name}: needs {d + 1} axes (C, {letters}) or {d + 2} axes (N, C, {letters}), {given}")
    return tuple(full[-d:])


def geometry(name: str, d: int, full: tuple, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool):
    """For each axis: its size, kernel, stride, padding, dilation, and how many windows there are."""
    shape, found = planes(full, d, name), []
    kernel = numbers(kernel, d, name, "kernel_size")
    stride = kernel if stride is None or stride == () else numbers(stride, d, name, "stride")
    padding, dilation = numbers(padding, d, name, "padding"), numbers(dilation, d, name, "dilation")
    for n, k, s, p, step in zip(shape, kernel, stride, padding, dilation):
        if k < 1 or s < 1 or step < 1 or p < 0:
            given = f"kernel_size {k}, stride {s}, dilation {step}, padding {p}"
            raise ValueError(
                f"{name}: kernel_size, stride and dilation must be at least 1, padding at least 0; got {given}"
            )
        reach = step * (k - 1) + 1
        if 2 * p > reach:
            raise ValueError(f"{name}: padding {p} is more than half of the window, which reaches over {reach} entries")
        out = (n + 2 * p - reach + (s - 1 if ceil_mode else 0)) // s + 1
        out -= ceil_mode and (out - 1) * s >= n + p
        if out < 1 or n < 1:
            larger = f"an axis of {n} entries and padding {p} on both sides"
            raise ValueError(
                f"{name}: windows over {reach} entries do not fit {larger}, input is {(..., *shape)}".replace(
                    "Ellipsis", "..."
                )
            )
        found.append((n, k, s, p, step, out))
    return found


@remembering(1024)
def max_windows(*arguments: Any) -> tuple:
    """The windows of a maximum."""
    return tuple([_windows(n, k, s, p, step, out) for n, k, s, p, step, out in geometry(*arguments)])


@remembering(1024)
def mean_tables(count_padding: bool, divisor: int | None, scaled: bool, *arguments: Any) -> tuple:
    """The tables of an average (of what is inside, or of the padding too, or over a divisor), and what is too long for one.

    If `scaled`, it is as many times the average as a whole window has entries.
    """
    if divisor == 0:
        raise ValueError(f"{arguments[0]}: divisor_override must not be zero")
    sizes = geometry(*arguments)
    times = math.prod([k for _, k, *_ in sizes]) if scaled else 1
    tables: list[Table] = []
    slides = []
    for axis, (n, k, s, p, _, out) in enumerate(sizes, -len(sizes)):
        start = np.arange(out) * s - p
        stop = np.minimum(start + k, n + p)
        low, high = np.maximum(start, 0), np.minimum(stop, n)
        size = stop - start if count_padding else np.maximum(high - low, 1)
        weight = np.full(out, 1.0) if divisor is not None else 1.0 / size
        if not tables:
            weight = weight * (times if divisor is None else times / divisor)
        if long(n, k, out):
            slides.append(Slides(axis, k, s, p, weight))
            tables.append(identity(out))
        else:
            inside = start[:, None] + np.arange(k)
            inside = (inside >= low[:, None]) & (inside < high[:, None])
            tables.append(Table(n, start, np.where(inside, weight[:, None], 0.0)))
    return tuple(tables), tuple(slides)


# --- maxima ----------------------------------------------------------------------------------------------------------


def _chosen(input: Any, windows: tuple, indices: bool) -> Any:
    """The largest of windows, with their places if these are wanted."""
    if unwatched(input) and input.value.dtype.kind == "f":
        y, places = kernels.largest(input.value, windows)
        y = found_at(taken_at, input, y, places, {"axes": len(windows)})
        return (y, at(places.astype(np.int64))) if indices else y
    y, places = largest_of(input, windows=windows)
    return (y, places.astype(np.int64)) if indices else y


def _max_pool(d: int, name: str, input, kernel_size, stride, padding, dilation, ceil_mode, indices: bool) -> Any:
    try:  # what `quickly` does, without passing everything on
        windows = max_windows(name, d, input.shape, kernel_size, stride, padding, dilation, ceil_mode)
    except TypeError:
        windows = quickly(max_windows, name, d, input.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return _chosen(input, windows, indices)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest entry of each window of (N, C, L)."""
    return _max_pool(1, "max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest entry of each window of (N, C, H, W); with return_indices also their places in the plane H x W."""
    return _max_pool(2, "max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest entry of each window of (N, C, D, H, W)."""
    return _max_pool(3, "max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# In these return_indices is there because PyTorch has it; the places are given always.
def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest entry of each window, and its place."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest entry of each window, and its place in the plane."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest entry of each window, and its place in the block."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


# --- averages --------------------------------------------------------------------------------------------------------


def _floats(input: Any, name: str) -> None:
    if input.dtype.kind not in "fc":
        raise TypeError(f"{name}: needs floating-point entries, got {input.dtype}; use .float()")


def _avg_pool(d: int, name: str, input, kernel_size, stride, padding, ceil_mode, count_padding, divisor) -> Any:
    shape = input.shape
    try:  # what `quickly` does, without passing everything on
        tables = mean_tables(count_padding, divisor, False, name, d, shape, kernel_size, stride, padding, 1, ceil_mode)
    except TypeError:
        windows = name, d, shape, kernel_size, stride, padding, 1, ceil_mode
        tables = quickly(mean_tables, count_padding, divisor, False, *windows)
    if input.dtype.kind not in "fc":
        _floats(input, name)
    return averages(input, *tables) if tables[1] else resampled(input, tables=tables[0])


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The average of each window of (N, C, L)."""
    return _avg_pool(1, "avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The average of each window of (N, C, H, W)."""
    include, divisor = count_include_pad, divisor_override
    return _avg_pool(2, "avg_pool2d", input, kernel_size, stride, padding, ceil_mode, include, divisor)


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The average of each window of (N, C, D, H, W)."""
    options = stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool(3, "avg_pool3d", input, kernel_size, *options)


def _lp_pool(d: int, name: str, input, norm_type, kernel_size, stride, ceil_mode) -> Any:
    p = float(norm_type)
    _floats(input, name)
    if p == math.inf:
        return _max_pool(d, name, input, kernel_size, stride, 0, 1, ceil_mode, False)
    if not p > 0:
        raise ValueError(f"{name}: norm_type must be positive, got {norm_type}")
    tables = quickly(mean_tables, True, None, True, name, d, input.shape, kernel_size, stride, 0, 1, ceil_mode)
    powers = input if p == 1 else input ** (int(p) if p == int(p) else p)
    total = averages(powers, *tables)
    return total if p == 1 else where(total == 0, 0.0, total) ** (1 / p)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The root of the sum of powers of each window of (N, C, L)."""
    return _lp_pool(1, "lp_pool1d", input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The root of the sum of powers of each window of (N, C, H, W)."""
    return _lp_pool(2, "lp_pool2d", input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The root of the sum of powers of each window of (N, C, D, H, W)."""
    return _lp_pool(3, "lp_pool3d", input, norm_type, kernel_size, stride, ceil_mode)


# --- windows that cover the input ------------------------------------------------------------------------------------


def _wanted(name: str, d: int, full: tuple, output_size: Any) -> tuple[tuple, tuple]:
    """Sizes of the last axes as they are and as they are to be; None stays as it is."""
    shape = planes(full, d, name)
    of = lambda v: -1 if v is None else int(v)
    wanted = numbers(output_size, d, name, "output_size", of)
    wanted = tuple([n if m == -1 else m for n, m in zip(shape, wanted)])
    if min(wanted) < 0 or min(shape) < 1:
        raise ValueError(f"{name}: output_size must not be negative nor input empty, got {output_size} for {shape}")
    return shape, wanted


@remembering(512)
def covering(n: int, m: int) -> Any:
    """m windows that cover an axis of n."""
    i = np.arange(m)
    start = i * n // m if m else i
    return kernels.Windows(n, start, -(-(i + 1) * n // m) - start if m else i)


@remembering(1024)
def covering_windows(*arguments: Any) -> tuple:
    """As many windows of each axis as wanted."""
    return tuple(map(covering, *_wanted(*arguments)))


@remembering(1024)
def covering_tables(*arguments: Any) -> tuple | None:
    """The tables of averages over as many windows of each axis as wanted; None if one is to cover all."""
    shape, wanted = _wanted(*arguments)
    same = lambda n, m: identity(n) if n == m else shares(n, m)
    return None if wanted == (1,) * len(wanted) else tuple(map(same, shape, wanted))


def _adaptive_max_pool(d: int, name: str, input, output_size, indices: bool) -> Any:
    return _chosen(input, quickly(covering_windows, name, d, input.shape, output_size), indices)


def _adaptive_avg_pool(d: int, name: str, input, output_size) -> Any:
    tables = quickly(covering_tables, name, d, input.shape, output_size)
    _floats(input, name)
    return averaged(input, axes=d) if tables is None else resampled(input, tables=tables)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest entries of as many windows as wanted, which cover (N, C, L)."""
    return _adaptive_max_pool(1, "adaptive_max_pool1d", input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool1d` and the places."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest entries of as many windows as wanted, which cover (N, C, H, W)."""
    return _adaptive_max_pool(2, "adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` and the places."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest entries of as many windows as wanted, which cover (N, C, D, H, W)."""
    return _adaptive_max_pool(3, "adaptive_max_pool3d", input, output_size, return_indices)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool3d` and the places."""
    return adaptive_max_pool3d(input, output_size, True)


def adaptive_avg_pool1d(input, output_size):
    """The averages of as many windows as wanted, which cover (N, C, L)."""
    return _adaptive_avg_pool(1, "adaptive_avg_pool1d", input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The averages of as many windows as wanted, which cover (N, C, H, W)."""
    return _adaptive_avg_pool(2, "adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """The averages of as many windows as wanted, which cover (N, C, D, H, W)."""
    return _adaptive_avg_pool(3, "adaptive_avg_pool3d", input, output_size)


# --- windows laid out by chance --------------------------------------------------------------------------------------


def _fractional(d: int, name: str, input, kernel_size, output_size, output_ratio, indices, samples) -> Any:
    from ..random import rand

    shape, kernel = planes(input.shape, d, name), numbers(kernel_size, d, name, "kernel_size")
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: give either output_size or output_ratio, got {output_size} and {output_ratio}")
    if output_size is None:
        ratios = numbers(output_ratio, d, name, "output_ratio", float)
        if not all(0 < r < 1 for r in ratios):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")
        output_size = tuple([int(n * r) for n, r in zip(shape, ratios)])
    out = numbers(output_size, d, name, "output_size")
    if any(m < 1 or k < 1 or m + k - 1 > n for n, k, m in zip(shape, kernel, out)):
        raise ValueError(f"{name}: {out} windows of {kernel} entries do not fit {shape}; n + kernel_size - 1 must")
    lead = tuple(input.shape[:-d])
    if samples is None:
        samples = rand((1,) * (2 - len(lead)) + lead + (d,), dtype=input.dtype)
    elif tuple(samples.shape[-1:]) != (d,) or math.prod(samples.shape[:-1]) != math.prod(lead):
        raise ValueError(f"{name}: _random_samples must be {(*lead, d)}, got {tuple(samples.shape)}")
    u = reshape_to(samples, shape=(*lead, d))
    places = scattered_largest(input, u if d == 3 else u[..., ::-1], kernel=kernel, out=out)
    values = taken_at(input, places, axes=d)
    return (values, places) if indices else values


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The largest entries of windows that are a random step apart, so that they come to a size or ratio."""
    options = output_size, output_ratio, return_indices, _random_samples
    return _fractional(2, "fractional_max_pool2d", input, kernel_size, *options)


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The largest entries of windows that are a random step apart, so that they come to a size or ratio."""
    options = output_size, output_ratio, return_indices, _random_samples
    return _fractional(3, "fractional_max_pool3d", input, kernel_size, *options)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` and the places."""
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool3d` and the places."""
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)
