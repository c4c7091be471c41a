"""Convolution with a 1 x 1 kernel: for each image a product of matrices, on the usual layout."""

from __future__ import annotations

import math

import numpy as np

from ._jit import Late, kernel
from ._memory import empty
from .conv_layout import grain, lanes_of
from .conv_shapes import Shape, shape_of

tile, turn = Late("_conv_tile", "tile"), Late("_conv_tile", "turn")
ROWS, LONG = 14, 256  # rows of a tile; pixels that are worked on at a time
START = np.zeros(1, np.int64)


@kernel(chunks=True)
def images_multiplied(begin, end, w, x, y, start, sizes, steps, lanes, source, out, jumps):
    """Columns of y (N, G, K, P) = w (K, C) x (N, G, C, P); w lies at `steps` for (group, K, C).

    If pixels of y are some of those of x, so many jumps apart, source and out say how these lie; else they are zeros.
    """
    groups, inner, outer, pixels, panels = sizes
    group_step, outer_step, inner_step = steps
    size, zero, several = x.itemsize, x.dtype.type(0), 2 * lanes
    panel, held = np.empty(inner * several, x.dtype), np.empty(ROWS * several, x.dtype)
    parts, blocks = -(-outer // ROWS), -(-pixels // several)
    per_image, length = -(-blocks // panels), panels * several
    room = np.empty(inner * length if out[2] else 1, x.dtype)
    for item in range(begin, end):
        image, here = item // per_image, item % per_image * length
        if out[2]:
            for row in range(here // out[2], -(-min(here + length, pixels) // out[2])):
                low, high = max(here - row * out[2], 0), min(here + length - row * out[2], out[2])
                line = (row // out[1] * jumps[0] * source[1] + row % out[1] * jumps[1]) * source[2] + low * jumps[2]
                for c in range(inner):
                    from_x = x[(image * inner + c) * source[0] * source[1] * source[2] + line :]
                    to = room[c * length + row * out[2] + low - here :][: high - low]
                    if jumps[2] == 2:
                        for i in range(len(to)):
                            to[i] = from_x[2 * i]
                    else:
                        for i in range(len(to)):
                            to[i] = from_x[i * jumps[2]]
        for block in range(item % per_image * panels, min((item % per_image + 1) * panels, blocks)):
            first = block * several
            wide = min(several, pixels - first)
            b, ldb = room.ctypes.data + size * (first - here), length
            if not out[2]:
                b, ldb = panel.ctypes.data, several
                for c in range(inner):
                    row = x[(image * inner + c) * pixels + first :][:wide]
                    line = panel[c * several : c * several + wide]
                    for i in range(len(line)):
                        line[i] = row[i]
            for part in range(parts):
                k0, k1 = part * outer // parts, (part + 1) * outer // parts
                a = w.ctypes.data + size * (image % groups * group_step + k0 * outer_step)
                at = (image * outer + k0) * pixels + first
                c, ldc = y.ctypes.data + size * at, pixels
                if wide < several:
                    c, ldc = held.ctypes.data, several
                tile(
                    zero, k1 - k0, 2, a, outer_step, inner_step, start.ctypes.data, b, ldb, start.ctypes.data, 1, inner,
                    c, ldc, 0,
                )  # fmt: skip
                if wide < several:
                    for k in range(k1 - k0):
                        row, line = held[k * several : k * several + wide], y[at + k * pixels : at + k * pixels + wide]
                        for i in range(len(line)):
                            line[i] = row[i]


@kernel(chunks=True)
def images_summed(begin, end, g, x, u, start, sizes, lanes):
    """Partial sums u (parts, G, K, C') of g (N, G, K, P) times x (N, G, C, P) transposed, C' whole vectors."""
    images, groups, inner, outer, pixels, parts, vectors = sizes
    size, zero, several = x.itemsize, x.dtype.type(0), vectors * lanes
    panels, pieces = -(-inner // several), -(-outer // ROWS)
    held = np.empty(panels * LONG * several, x.dtype)
    blocks = -(-pixels // LONG)
    for item in range(begin, end):
        part, group = item // groups, item % groups
        total = u.ctypes.data + size * item * outer * panels * several
        first, last = part * images * blocks // parts, (part + 1) * images * blocks // parts
        for index in range(first, last):
            image, p0 = index // blocks * groups + group, index % blocks * LONG
            many = min(LONG, pixels - p0)
            for c in range(0, inner, lanes):
                for p in range(0, many, lanes):
                    a = x.ctypes.data + size * ((image * inner + c) * pixels + p0 + p)
                    b = held.ctypes.data + size * ((c // several * LONG + p) * several + c % several)
                    turn(zero, a, pixels, min(lanes, inner - c), min(lanes, many - p), b, several)
            for piece in range(pieces):
                k0, k1 = piece * outer // pieces, (piece + 1) * outer // pieces
                for panel in range(panels):
                    tile(
                        zero, k1 - k0, vectors, g.ctypes.data + size * ((image * outer + k0) * pixels + p0), pixels, 1,
                        start.ctypes.data, held.ctypes.data + size * panel * LONG * several, several,
                        start.ctypes.data, 1, many, total + size * (k0 * panels + panel) * several, panels * several,
                        int(index > first),
                    )  # fmt: skip


@kernel(chunks=True)
def rows_sampled(begin, end, x, y, sizes, out, steps):
    """Rows of y (planes, D', H', W'): entries of x (planes, D, H, W) that are so many steps apart."""
    (depth, height, width), (out_d, out_h, out_w), (step_d, step_h, step_w) = sizes, out, steps
    for row in range(begin, end):
        plane, d, h = row // (out_d * out_h), row // out_h % out_d * step_d, row % out_h * step_h
        line, source = y[row * out_w : (row + 1) * out_w], x[((plane * depth + d) * height + h) * width :]
        if step_w == 2:
            for v in range(len(line)):
                line[v] = source[2 * v]
        else:
            for v in range(len(line)):
                line[v] = source[v * step_w]


@kernel(chunks=True)
def rows_spread(begin, end, y, x, sizes, out, steps):
    """Rows of x (planes, D, H, W), zero but for the entries of y (planes, D', H', W'), which are so far apart."""
    (depth, height, width), (out_d, out_h, out_w), (step_d, step_h, step_w) = sizes, out, steps
    for row in range(begin, end):
        plane, d, h = row // (depth * height), row // height % depth, row % height
        line = x[row * width : (row + 1) * width]
        if d % step_d or h % step_h:
            line[:] = 0
            continue
        source = y[((plane * out_d + d // step_d) * out_h + h // step_h) * out_w :][:out_w]
        if step_w == 2:
            pairs = line[: width // 2 * 2]
            for v in range(len(pairs) // 2):
                pairs[2 * v] = source[v]
                pairs[2 * v + 1] = 0
            for v in range(len(pairs), width):
                line[v] = source[v // 2] if v % 2 == 0 else 0
        else:
            line[:] = 0
            for v in range(len(source)):
                line[v * step_w] = source[v]


def fits(s: Shape) -> bool:
    """Whether every pixel is computed from one, and images are large enough for their pixels to be lanes."""
    if s.kernel != (1, 1, 1) or any(s.low) or any(o != -(-n // step) for n, o, step in zip(s.size, s.out, s.stride)):
        return False
    return s.out[2] >= 8 if s.stride == (1, 1, 1) else math.prod(s.out) >= 8


def sampled(s: Shape) -> Shape:
    """The same convolution of just those pixels that it reads."""
    return shape_of((s.n, s.inputs, *s.out), s.w, (1, 1, 1), ((0, 0),) * 3, (1, 1, 1), s.groups)


def _sampled(x, s: Shape) -> np.ndarray:
    """Those pixels of x."""
    if s.stride == (1, 1, 1):
        return x
    y, rows = empty((s.n, s.inputs, *s.out), x.dtype), s.n * s.inputs * s.out[0] * s.out[1]
    rows_sampled(rows, grain(rows, 5 + s.out[2] * 0.4), x.reshape(-1), y.reshape(-1), s.size, s.out, s.stride)
    return y


def _pointwise(x, w, s: Shape, inner: int, outer: int, steps: tuple, shape: tuple, of=None) -> np.ndarray:
    """Products of weights at `steps` with the pixels of x, or those that a convolution `of` the same reads."""
    y, lanes = empty(shape, x.dtype), lanes_of(x.dtype)
    blocks = -(-s.out[2] // (2 * lanes))
    panels = max(1, min(blocks, 100_000 // (inner * 2 * lanes * x.itemsize)))
    items = s.n * s.groups * -(-blocks // panels)
    sizes = (s.groups, inner, outer, s.out[2], panels)
    cost = panels * 4 * lanes * inner * outer / 150
    jumps = (of.size, of.out, of.stride) if of else ((0,) * 3,) * 3
    images_multiplied(
        items, grain(items, cost), w.reshape(-1), x.reshape(-1), y.reshape(-1), START, sizes, steps, lanes, *jumps
    )
    return y


def pointwise(x, w, s: Shape) -> np.ndarray:
    """y of a convolution."""
    inner, outer, dense = s.inputs // s.groups, s.outputs // s.groups, sampled(s)
    return _pointwise(x, w, dense, inner, outer, (outer * inner, inner, 1), s.y, None if s.stride == (1, 1, 1) else s)


def pointwise_input(g, w, s: Shape) -> np.ndarray:
    """The gradient by x of <g, y>."""
    inner, outer, dense = s.inputs // s.groups, s.outputs // s.groups, sampled(s)
    y = _pointwise(g, w, dense, outer, inner, (outer * inner, 1, inner), dense.x)
    if s.stride == (1, 1, 1):
        return y
    x, rows = empty(s.x, g.dtype), s.n * s.inputs * s.size[0] * s.size[1]
    rows_spread(rows, grain(rows, 5 + s.size[2] * 0.2), y.reshape(-1), x.reshape(-1), s.size, s.out, s.stride)
    return x


def pointwise_weight(g, x, s: Shape) -> np.ndarray:
    """The gradient by w of <g, y>."""
    of_w, x, s = s.w, _sampled(x, s), sampled(s)
    inner, outer, lanes = s.inputs // s.groups, s.outputs // s.groups, lanes_of(x.dtype)
    vectors = 2 if inner > lanes else 1
    wide = -(-inner // (vectors * lanes)) * vectors * lanes
    parts = int(max(1, min(16, s.n * -(-s.out[2] // LONG), s.flops // 4_000_000)))
    u = empty((parts, s.groups, outer, wide), x.dtype)
    items = parts * s.groups
    sizes = (s.n, s.groups, inner, outer, s.out[2], parts, vectors)
    images_summed(
        items, grain(items, s.flops / items / 150), g.reshape(-1), x.reshape(-1), u.reshape(-1), START, sizes, lanes
    )
    return np.add.reduce(u, axis=0)[..., :inner].reshape(of_w)
