"""Pooling that PyTorch has not: sums, lengths, and regions of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core import Tensor, cat, einsum, op, sqrt, where
from autograd_core.ops.arguments import innermost_of
from autograd_core.ops.pooling import avg_pool2d, avg_pool3d, taken_at

__all__ = [
    "l2_pool1d", "l2_pool2d", "l2_pool3d", "roi_align", "roi_pool", "sum_pool1d", "sum_pool2d", "sum_pool3d",
]  # fmt: skip


# --- sums and lengths ------------------------------------------------------------------------------------------------


def sum_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
) -> Tensor:
    """The sum of each window of (N, C, L)."""
    along = lambda v, other: v if v is None else (other, v[0] if isinstance(v, Sequence) else v)
    sizes = along(kernel_size, 1), along(stride, 1), along(padding, 0)
    return sum_pool2d(input.unsqueeze(-2), *sizes, ceil_mode).squeeze(-2)


def sum_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
) -> Tensor:
    """The sum of each window of (N, C, H, W)."""
    return avg_pool2d(input, kernel_size, stride, padding, ceil_mode, divisor_override=1)


def sum_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
) -> Tensor:
    """The sum of each window of (N, C, D, H, W)."""
    return avg_pool3d(input, kernel_size, stride, padding, ceil_mode, divisor_override=1)


def _length(squares: Tensor) -> Tensor:
    """The root; where it is 0 it has no slope, and gets none."""
    return where(squares > 0, sqrt(where(squares > 0, squares, 1)), 0)


def l2_pool1d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Tensor:
    """sqrt(sum(x**2)) of each window of (N, C, L); no gradient where that is 0."""
    return _length(sum_pool1d(input * input, kernel_size, stride, padding, ceil_mode))


def l2_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Tensor:
    """sqrt(sum(x**2)) of each window of (N, C, H, W); no gradient where that is 0."""
    return _length(sum_pool2d(input * input, kernel_size, stride, padding, ceil_mode))


def l2_pool3d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Tensor:
    """sqrt(sum(x**2)) of each window of (N, C, D, H, W); no gradient where that is 0."""
    return _length(sum_pool3d(input * input, kernel_size, stride, padding, ceil_mode))


# --- regions of interest ---------------------------------------------------------------------------------------------


def _boxes(boxes: Any, images: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The image of each box, and (left, top, right, bottom)."""
    raw = lambda b: np.asarray(innermost_of(b, f"{name}: boxes"), np.float64)
    if isinstance(boxes, (list, tuple)):
        parts = [raw(b).reshape(-1, 4) for b in boxes]
        table = np.concatenate([np.insert(b, 0, i, axis=1) for i, b in enumerate(parts)]) if parts else np.zeros((0, 5))
    else:
        table = raw(boxes)
    if table.ndim != 2 or table.shape[1] != 5:
        raise ValueError(
            f"{name}: boxes are rows (image, left, top, right, bottom) for {images} images, or for each image a list of "
            f"rows (left, top, right, bottom); got shape {table.shape}"
        )
    if len(outside := table[(table[:, 0] < 0) | (table[:, 0] >= images), 0]):
        raise ValueError(f"{name}: boxes begin with the index of an image, from 0 to {images - 1}, got {outside[0]:g}")
    return table[:, 0].astype(np.int64), table[:, 1:]


def _pair(output_size: Any) -> tuple[int, int]:
    return (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)


def _edges(start: float, stop: float, parts: int, length: int) -> list[tuple[int, int]]:
    """Where the parts of a range begin and end, in whole entries of an axis; neighbours may share one."""
    size = max(stop - start + 1, 1) / parts
    clip = lambda v: min(max(int(v) + int(start), 0), length)
    return [(clip(math.floor(i * size)), clip(math.ceil((i + 1) * size))) for i in range(parts)]


@op(differentiable=False)
def roi_places(x, image, corners, *, size):  # type: ignore[no-untyped-def]
    """Where the largest entries of the parts of boxes are in their planes; one past the end where a part is empty."""
    channels, height, width = x.shape[1:]
    places = np.full((len(image), channels, *size), height * width)
    for k, (left, top, right, bottom) in enumerate(corners):
        columns = _edges(left, right, size[1], width)
        for i, (a, b) in enumerate(_edges(top, bottom, size[0], height)):
            for j, (c, d) in enumerate(columns):
                if a < b and c < d:
                    best = x[image[k], :, a:b, c:d].reshape(channels, -1).argmax(1)
                    places[k, :, i, j] = (a + best // (d - c)) * width + c + best % (d - c)
    return places


def roi_pool(input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Tensor:
    """The largest entries of output_size parts of each box, (K, C, height, width), of images (N, C, H, W).

    boxes are rows (image, left, top, right, bottom), or a list with rows of four for each image.  Times spatial_scale
    they are rounded, both ends belong to the box, parts overlap where entries do not divide evenly, empty ones are 0.
    """
    image, corners = _boxes(boxes, input.shape[0], "roi_pool")
    corners = corners * spatial_scale
    corners = np.copysign(np.floor(np.abs(corners) + 0.5), corners)
    places = roi_places(input, image, corners, size=_pair(output_size))
    height, width = input.shape[2:]
    empty = places == height * width
    return where(empty, 0, taken_at(input[image], where(empty, 0, places), axes=2))


def _between(start: float, size: float, parts: int, points: int, length: int) -> np.ndarray:
    """How much each entry of an axis counts in the mean of points evenly placed in each part: (parts, length)."""
    if points < 1:
        return np.zeros((parts, length))
    at = start + size * (np.arange(parts * points) + 0.5) / points
    inside = (at >= -1) & (at <= length)
    at = np.clip(at, 0, length - 1)
    low = np.minimum(at.astype(np.int64), max(length - 2, 0))
    table = np.zeros((parts * points, length))
    rows = np.arange(len(at))
    table[rows, low] = low + 1 - at
    table[rows, np.minimum(low + 1, length - 1)] += at - low
    return (table * inside[:, None]).reshape(parts, points, length).mean(1)


def roi_align(
    input: Tensor,
    boxes: Any,
    output_size: Any,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """The means of points, interpolated linearly, in output_size parts of each box: (K, C, height, width).

    boxes as for `roi_pool`, but not rounded.  sampling_ratio**2 points are in each part, as many as it has entries if
    that is not positive.  `aligned` takes entries for points in the middle of a square, and so moves boxes by half;
    without it boxes are at least 1 wide and high.
    """
    image, corners = _boxes(boxes, input.shape[0], "roi_align")
    size, shape = _pair(output_size), tuple(input.shape[2:])
    corners = corners * spatial_scale - (0.5 if aligned else 0.0)
    tables: tuple[list, list] = ([], [])
    for box in corners:
        for axis in (0, 1):
            start, whole = box[1 - axis], box[3 - axis] - box[1 - axis]
            part = (whole if aligned else max(whole, 1.0)) / size[axis]
            points = sampling_ratio if sampling_ratio > 0 else math.ceil(part)
            tables[axis].append(_between(start, part, size[axis], points, shape[axis]))
    down, right = (np.reshape(t, (len(image), m, n)).astype(input.dtype) for t, m, n in zip(tables, size, shape))
    order = np.argsort(image, kind="stable")
    groups = [order[image[order] == i] for i in np.unique(image)]
    parts = [einsum("kph,chw,kqw->kcpq", down[g], input[int(image[g[0]])], right[g]) for g in groups]
    if not parts:
        return input[:0, :, :1, :1].expand(0, input.shape[1], *size)
    return cat(parts)[np.argsort(np.concatenate(groups))]
