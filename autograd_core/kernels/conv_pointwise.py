"""Convolution with a 1 x 1 kernel: for each image a product of matrices, on the usual layout."""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from .conv_layout import grain, lanes_of
from .conv_shapes import Shape, shape_of

tile, turn = Late("_conv_tile", "tile"), Late("_conv_tile", "turn")
copy_line, copy_lines = Late("_conv_lines", "copy_line"), Late("_conv_lines", "copy_lines")
even_lines, spread_line = Late("_conv_lines", "even_lines"), Late("_conv_lines", "spread_line")
fetch_line, blank = Late("_conv_lines", "fetch_line"), Late("_values", "blank")
ROWS, LONG = 14, 256  # rows of a tile; pixels that are worked on at a time
NEAR = 200_000  # bytes of x that are
START = np.zeros(1, np.int64)


@kernel(written=True)
def pixels_entered(x, room, at, channels, here, columns, length, source, out, jumps):
    """Put some pixels of an image, which starts at x[at], to room, whose lines are so long; they are so many jumps apart."""
    (depth, height, width), (_, out_h, out_w), (jump_d, jump_h, jump_w) = source, out, jumps
    size, zero = x.itemsize, x.dtype.type(0)
    plane = depth * height * width
    for row in range(here // out_w, -(-(here + columns) // out_w)):
        low, high = max(here - row * out_w, 0), min(here + columns - row * out_w, out_w)
        first = at + (row // out_h * jump_d * height + row % out_h * jump_h) * width + low * jump_w
        to, count = row * out_w + low - here, high - low
        a, b = x.ctypes.data + size * first, room.ctypes.data + size * to
        if jump_w == 1:
            copy_lines(zero, a, plane, b, length, channels, count)
        elif jump_w == 2:
            even_lines(zero, a, plane, b, length, channels, count, jump_h * width)
        else:
            for c in range(channels):
                for i in range(count):
                    room[to + c * length + i] = x[first + c * plane + i * jump_w]


@kernel(chunks=True, written=True, glue=True)
def images_multiplied(begin, end, w, x, y, start, sizes, steps, lanes, source, out, jumps):
    """Columns of y (N, G, K, P) = w (K, C) x (N, G, C, P); w lies at `steps` for (group, K, C).

    Pixels of y are some of those of x, so many jumps apart; source and out say how these lie.
    """
    groups, inner, outer, pixels, length = sizes
    group_step, outer_step, inner_step = steps
    depth, height, width = source
    size, zero, several = x.itemsize, x.dtype.type(0), 2 * lanes
    line = (length // lanes | 1) * lanes  # channels lie on different lines of the cache
    room, held = blank(zero, inner * line), blank(zero, ROWS * several)
    parts, shares = -(-outer // ROWS), -(-pixels // length)
    for item in range(begin, end):
        image, here = item // shares, item % shares * length
        columns = min(length, pixels - here)
        for c in range(inner if columns % several else 0):  # what is there may be slow to compute with
            room[c * line + columns : c * line + columns + several - columns % several] = 0
        first = image * inner * depth * height * width
        pixels_entered(x, room, first, inner, here, columns, line, source, out, jumps)
        for part in range(parts):  # lines of y grow together: memory is quicker to follow a few
            k0, k1 = part * outer // parts, (part + 1) * outer // parts
            a = w.ctypes.data + size * (image % groups * group_step + k0 * outer_step)
            for first in range(0, columns, several):
                wide, at = min(several, columns - first), (image * outer + k0) * pixels + here + first
                vectors, c, ldc = 2 if wide > lanes else 1, y.ctypes.data + size * at, pixels
                whole = wide == vectors * lanes
                for k in range(k1 - k0):
                    fetch_line(zero, c + size * k * pixels, wide)
                if not whole:
                    c, ldc = held.ctypes.data, several
                tile(
                    zero, k1 - k0, vectors, a, outer_step, inner_step, start.ctypes.data,
                    room.ctypes.data + size * first, line, start.ctypes.data, 1, inner, c, ldc, 0,
                )  # fmt: skip
                for k in range(0 if whole else k1 - k0):
                    copy_line(zero, c + size * k * several, y.ctypes.data + size * (at + k * pixels), wide)


@kernel(chunks=True, written=True, glue=True)
def images_summed(begin, end, g, x, u, start, sizes, lanes, source, out, jumps):
    """Partial sums u (parts, G, K, C') of g (N, G, K, P) times x (N, G, C, P) transposed, C' whole vectors.

    Pixels of g are some of those of x, so many jumps apart; source and out say how these lie.
    """
    images, groups, inner, outer, pixels, parts, vectors = sizes
    size, zero, several = x.itemsize, x.dtype.type(0), vectors * lanes
    panels, pieces = -(-inner // several), -(-outer // ROWS)
    depth, height, width = source
    held, apart = blank(zero, panels * LONG * several), jumps[0] * jumps[1] * jumps[2] > 1
    plane, gathered = depth * height * width, blank(zero, lanes * LONG if apart else 1)
    blocks = -(-pixels // LONG)
    for item in range(begin, end):
        part, group = item // groups, item % groups
        total = u.ctypes.data + size * item * outer * panels * several
        first, last = part * images * blocks // parts, (part + 1) * images * blocks // parts
        for index in range(first, last):
            image, p0 = index // blocks * groups + group, index % blocks * LONG
            many = min(LONG, pixels - p0)
            for c in range(0, inner, lanes):
                lines, of_channel = x.ctypes.data + size * ((image * inner + c) * plane + p0), plane
                if apart:
                    lines, of_channel, high = gathered.ctypes.data, LONG, min(lanes, inner - c)
                    at = (image * inner + c) * plane
                    pixels_entered(x, gathered, at, high, p0, many, LONG, source, out, jumps)
                for p in range(0, many, lanes):
                    a = lines + size * p
                    b = held.ctypes.data + size * ((c // several * LONG + p) * several + c % several)
                    turn(zero, a, of_channel, min(lanes, inner - c), min(lanes, many - p), b, several)
            for piece in range(pieces):
                k0, k1 = piece * outer // pieces, (piece + 1) * outer // pieces
                for panel in range(panels):
                    tile(
                        zero, k1 - k0, vectors, g.ctypes.data + size * ((image * outer + k0) * pixels + p0), pixels, 1,
                        start.ctypes.data, held.ctypes.data + size * panel * LONG * several, several,
                        start.ctypes.data, 1, many, total + size * (k0 * panels + panel) * several, panels * several,
                        int(index > first),
                    )  # fmt: skip


@kernel(chunks=True, written=True, glue=True)
def planes_spread(begin, end, y, x, sizes, out, steps):
    """Planes of x (images, D, H, W), zero but for the entries of y (images, D', H', W'), which are so far apart."""
    (depth, height, width), (out_d, out_h, out_w), (step_d, step_h, step_w) = sizes, out, steps
    size, zero = x.itemsize, x.dtype.type(0)
    for plane in range(begin, end):
        d, first = plane % depth, (plane // depth * out_d + plane % depth // step_d) * out_h
        for h in range(height):
            line, source = (plane * height + h) * width, (first + h // step_h) * out_w
            if d % step_d or h % step_h:
                x[line : line + width] = 0
            elif step_w == 2:
                spread_line(zero, y.ctypes.data + size * source, x.ctypes.data + size * line, width)
            else:
                x[line : line + width] = 0
                for v in range(out_w):
                    x[line + v * step_w] = y[source + v]


def fits(s: Shape) -> bool:
    """Whether every pixel is computed from one, and images are large enough for their pixels to be lanes."""
    if s.kernel != (1, 1, 1) or any(s.low) or any(o != -(-n // step) for n, o, step in zip(s.size, s.out, s.stride)):
        return False
    return s.out[2] >= 8 if s.stride == (1, 1, 1) else math.prod(s.out) >= 8


def sampled(s: Shape) -> Shape:
    """The same convolution of just those pixels that it reads."""
    return shape_of((s.n, s.inputs, *s.out), s.w, (1, 1, 1), ((0, 0),) * 3, (1, 1, 1), s.groups)


def _pointwise(x, w, y, s: Shape, inner: int, outer: int, steps: tuple) -> None:
    """Fill y with products of weights at `steps` with those pixels of x that become pixels of s.out."""
    lanes, pixels = lanes_of(x.dtype), math.prod(s.out)
    several = 2 * lanes
    panels = -(-pixels // several)
    panels = -(-panels // -(-panels // max(1, NEAR // (inner * several * x.itemsize))))
    length = panels * several
    items = s.n * s.groups * -(-pixels // length)
    sizes = (s.groups, inner, outer, pixels, length)
    cost = 2 * length * inner * outer / 150
    images_multiplied(
        items, grain(items, cost), w.reshape(-1), x.reshape(-1), y.reshape(-1), START, sizes, steps, lanes,
        s.size, s.out, s.stride,
    )  # fmt: skip


def pointwise(x, w, y, s: Shape) -> None:
    """Fill y of a convolution."""
    inner, outer = s.inputs // s.groups, s.outputs // s.groups
    _pointwise(x, w, y, s, inner, outer, (outer * inner, inner, 1))


def pointwise_input(g, w, x, s: Shape) -> None:
    """Fill the gradient by x of <g, y>."""
    inner, outer, dense = s.inputs // s.groups, s.outputs // s.groups, sampled(s)
    y = x if s.stride == (1, 1, 1) else empty(dense.x, g.dtype)
    _pointwise(g, w, y, dense, outer, inner, (outer * inner, 1, inner))
    if y is not x:
        planes, cost = s.n * s.inputs * s.size[0], s.size[1] * (5 + s.size[2] * 0.2)
        planes_spread(planes, grain(planes, cost), y.reshape(-1), x.reshape(-1), s.size, s.out, s.stride)


def pointwise_weight(g, x, w, s: Shape) -> None:
    """Fill the gradient by w of <g, y>."""
    inner, outer, lanes, pixels = s.inputs // s.groups, s.outputs // s.groups, lanes_of(x.dtype), math.prod(s.out)
    vectors = 2 if inner > lanes else 1
    wide = -(-inner // (vectors * lanes)) * vectors * lanes
    parts = int(max(1, min(16, s.n * -(-pixels // LONG), s.flops // 4_000_000)))
    u = empty((parts, s.groups, outer, wide), x.dtype)
    items = parts * s.groups
    sizes = (s.n, s.groups, inner, outer, pixels, parts, vectors)
    images_summed(
        items, grain(items, s.flops / items / 150), g.reshape(-1), x.reshape(-1), u.reshape(-1), START, sizes, lanes,
        s.size, s.out, s.stride,
    )  # fmt: skip
    np.add.reduce(u[..., :inner], axis=0, out=w.reshape(s.groups, outer, inner))
