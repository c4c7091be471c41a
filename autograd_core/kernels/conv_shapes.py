"""The shapes of a convolution: three axes whatever there were, and where each tap of the kernel reads."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """A convolution of x (N, C, D, H, W) with w (K, C / groups, kernel), which gives (N, K, out)."""

    n: int
    inputs: int  # C
    outputs: int  # K
    groups: int
    size: tuple  # of x: D, H, W
    kernel: tuple
    out: tuple
    stride: tuple
    low: tuple  # padding before
    dilation: tuple

    x = property(lambda self: (self.n, self.inputs, *self.size))
    w = property(lambda self: (self.outputs, self.inputs // self.groups, *self.kernel))
    y = property(lambda self: (self.n, self.outputs, *self.out))
    flops = property(lambda self: 2 * math.prod(self.y) * math.prod(self.w[1:]))


@functools.lru_cache(2048)
def shape_of(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> Shape:
    """The shape with three axes: those along which nothing happens come first, a 1 x 1 kernel has one long axis."""
    axes = []
    for n, k, s, (low, high), d in zip(x[2:], w[2:], stride, padding, dilation):
        axes.append((n, k, (n + low + high - d * (k - 1) - 1) // s + 1, s, low, d if k > 1 else 1))
    if all(k == s == 1 and low == 0 and n == o for n, k, o, s, low, _ in axes):
        size = math.prod(n for n, *_ in axes)
        axes = [(size, 1, size, 1, 0, 1)]
    idle = (1, 1, 1, 1, 0, 1)
    axes = [a for a in axes if a[:3] != idle[:3] or a[4]]
    axes = [idle] * (3 - len(axes)) + axes
    size, kernel, out, stride, low, dilation = zip(*axes)
    return Shape(x[0], x[1], w[0], groups, size, kernel, out, stride, low, dilation)  # type: ignore[call-arg]


class Axis(NamedTuple):
    """One axis of a correlation: places along the result, steps along the source, and (offset, index) of the taps."""

    count: int
    step: int
    taps: tuple


class Correlation(NamedTuple):
    """Sums over taps of source times weight, for places that lie `spread` apart in the result, from `first` on."""

    axes: tuple
    first: tuple


@functools.lru_cache(2048)
def forward_taps(s: Shape) -> list[Correlation]:
    """The convolution itself."""
    rows = zip(s.out, s.stride, s.kernel, s.dilation, s.low)
    axes = [Axis(o, step, tuple((i * d - low, i) for i in range(k))) for o, step, k, d, low in rows]
    return [Correlation(tuple(axes), (0, 0, 0))]


@functools.lru_cache(2048)
def backward_taps(s: Shape) -> list[Correlation]:
    """Its gradient by the input: one correlation for each place within a stride."""
    phases = []
    for n, step, k, d, low in zip(s.size, s.stride, s.kernel, s.dilation, s.low):
        of_axis = []
        for p in range(min(step, n)):
            hits = [((p + low - i * d) // step, i) for i in reversed(range(k)) if (p + low - i * d) % step == 0]
            of_axis.append((p, Axis(-(-(n - p) // step), 1, tuple(hits))))
        phases.append(of_axis)
    return [Correlation(tuple(a for _, a in parts), tuple(p for p, _ in parts)) for parts in itertools.product(*phases)]


@functools.lru_cache(2048)
def bounds(parts: tuple) -> tuple[tuple, tuple]:
    """How far before the source correlations read, and how long its axes are with what they read around it.

    The source's first place counts as read, though it be padding only that is: what has one place has no other.
    """
    low, size = [], []
    for axes in zip(*(part.axes for part in parts)):
        used = [a for a in axes if a.taps]
        low.append(-min((o for a in used for o, _ in a.taps), default=0))
        last = max((o + (a.count - 1) * a.step for a in used for o, _ in a.taps), default=0)
        last = max(last, 0)
        size.append(last + low[-1] + 1)
    return tuple(low), tuple(size)


class Table(NamedTuple):
    """Where the taps of a correlation read: in the padded source and among the weights; each reads `depth` entries."""

    places: np.ndarray
    weights: np.ndarray
    starts: np.ndarray
    depth: int


@functools.lru_cache(2048)
def table(part: Correlation, low: tuple, size: tuple, kernel: tuple, channels: tuple, lanes: int) -> Table:
    """Taps for a source with channels last; neighbours along the last axis join if all channels are read."""
    inner, total = channels
    outer = itertools.product(*(a.taps for a in part.axes[:2]))
    offset = lambda d, h, w: ((d + low[0]) * size[1] + h + low[1]) * size[2] + w + low[2]
    index = lambda d, h, w: (d * kernel[1] + h) * kernel[2] + w
    last = part.axes[2].taps
    joined = inner == total and all(b[0] - a[0] == 1 for a, b in zip(last, last[1:]))
    places, weights = [], []
    for (d, i), (h, j) in outer:
        weights += [index(i, j, k) for _, k in last]
        places += [offset(d, h, w) * total for w, _ in (last[:1] if joined else last)]
    depth = inner * (len(last) if joined else 1)
    starts = np.arange(len(places)) * (depth * lanes)
    return Table(np.array(places, np.int64), np.array(weights, np.int64), starts.astype(np.int64), depth)


@functools.lru_cache(2048)
def flat_table(part: Correlation, low: tuple, size: tuple, channels: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Where (channel, d, h) read in a source with pixels last, where their weights are, and the step along w."""
    last = part.axes[2].taps
    starts = [
        ((c * size[0] + d + low[0]) * size[1] + h + low[1]) * size[2] + last[0][0] + low[2]
        for c in range(channels)
        for (d, _), (h, _) in itertools.product(*(a.taps for a in part.axes[:2]))
    ]
    step = last[1][0] - last[0][0] if len(last) > 1 else 1
    return np.array(starts, np.int64), np.arange(len(starts), dtype=np.int64) * len(last), step
