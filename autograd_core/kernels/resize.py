"""Sums of neighbours along axes, with weights from a table: averages, interpolation, and the gradients of both.

A weight of zero takes nothing, not even from NaN.
"""

from __future__ import annotations

import math

import numpy as np

from . import boxes as windows
from . import stretch
from ._jit import Kernel, Late, choice, inline, kernel, plain
from ._kept import hold, remembering
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL
from .reduce import DOUBLE, SINGLE
from .tables import LONG, Table, identity

borrowed, entries, for_chunks = (
    Late("_borrowed", "borrowed"),
    Late("_borrowed", "entries"),
    Late("_native", "for_chunks"),
)
NARROW, LAST, FIRST, TOTAL, NOTHING, BOXES, MORE, TWICE = range(8)  # ways to go about it
FEW = 1 << 10  # entries that make no large array, whatever becomes of them

# --- kernels ---------------------------------------------------------------------------------------------------------

# Innermost loops are functions of their own that take whole arrays and places in them: a slice handed from function to
# function would be counted by its owner, atomically, which costs more than a short row of arithmetic.


@inline
def part(w, v):
    """w v, or nothing where w is zero."""
    return w * v if w != 0 else w


@kernel
def copied(x, i, y, o, n):
    """n entries of y from x; Numba's own copy takes seconds to compile, for the text of an error."""
    x, y = x[i : i + n], y[o : o + n]
    for j in range(n):
        y[j] = x[j]


@kernel
def times(x, i, c, y, o, n):
    """n entries of y from c x."""
    x, y = x[i : i + n], y[o : o + n]
    for j in range(n):
        y[j] = c * x[j]


@kernel
def plus(x, i, c, y, o, n):
    """c x added to n entries of y."""
    x, y = x[i : i + n], y[o : o + n]
    for j in range(n):
        y[j] += c * x[j]


@kernel
def mixed(x, i, k, u, v, y, o, n):
    """n entries of y from two rows of x."""
    a, b, y = x[i : i + n], x[k : k + n], y[o : o + n]
    for j in range(n):
        y[j] = u * a[j] + v * b[j]


@kernel
def combine(x, i, pitch, w, at, taps, y, o, n):
    """n entries of y from rows of x, of which the k-th is at i + k pitch and counts w[at + k]."""
    low, high = 0, taps
    while low < high and w[at + low] == 0:
        low += 1
    while low < high and w[at + high - 1] == 0:
        high -= 1
    if high == low:
        y[o : o + n] = 0
        return
    one = i + low * pitch
    if high > low + 1 and w[at + low + 1] != 0:
        mixed(x, one, one + pitch, w[at + low], w[at + low + 1], y, o, n)
        low += 2
    else:
        times(x, one, w[at + low], y, o, n)
        low += 1
    for k in range(low, high):
        if w[at + k] != 0:
            plus(x, i + k * pitch, w[at + k], y, o, n)


@kernel
def dots(x, i, start, w, taps, y, o):
    """Sums of many neighbours, one by one; weights are in the order of places."""
    for j in range(len(start)):
        near, weights, total = x[i + start[j] :], w[j * taps : j * taps + taps], w.dtype.type(0)
        for k in range(taps):
            total += part(weights[k], near[k])
        y[o + j] = total


@kernel
def totals(x, i, start, stop, share, y, o):
    """Sums of many neighbours of one weight."""
    for j in range(len(start)):
        near, total = x[i + start[j] : i + stop[j]], share.dtype.type(0)
        for k in range(len(near)):
            total += near[k]
        y[o + j] = share[j] * total


@kernel
def ones(x, i, start, w, y, o):
    """One neighbour each, wherever it is; from here on weights are in the order of neighbours."""
    x, y = x[i:], y[o : o + len(start)]
    for j in range(len(start)):
        y[j] = part(w[j], x[np.uint64(start[j])])


@kernel
def twos(x, i, start, w, y, o):
    """Two neighbours each, wherever they are."""
    n = len(start)
    x, x1, y, u, v = x[i:], x[i + 1 :], y[o : o + n], w[:n], w[n : 2 * n]
    for j in range(n):
        k = np.uint64(start[j])
        y[j] = part(u[j], x[k]) + part(v[j], x1[k])


@kernel
def more(x, i, k, start, w, y, o):
    """The k-th neighbour of each added."""
    n = len(start)
    x, y, w = x[i + k :], y[o : o + n], w[k * n : k * n + n]
    for j in range(n):
        y[j] += part(w[j], x[np.uint64(start[j])])


@kernel
def threes1(x, i, n, w, y, o):
    """Three neighbours each, moving on by one."""
    x, x1, x2, y, u, v, t = x[i : i + n], x[i + 1 :], x[i + 2 :], y[o : o + n], w[:n], w[n : 2 * n], w[2 * n :]
    for j in range(n):
        y[j] = part(u[j], x[j]) + part(v[j], x1[j]) + part(t[j], x2[j])


@kernel
def twos2(x, i, n, w, y, o):
    """Two neighbours each, moving on by two."""
    x, y, u, v = x[i : i + 2 * n], y[o : o + n], w[:n], w[n : 2 * n]
    for j in range(n):
        y[j] = part(u[j], x[2 * j]) + part(v[j], x[2 * j + 1])


@kernel
def threes2(x, i, n, w, y, o):
    """Three neighbours each, moving on by two."""
    x, y, u, v, t = x[i : i + 2 * n + 1], y[o : o + n], w[:n], w[n : 2 * n], w[2 * n :]
    for j in range(n):
        y[j] = part(u[j], x[2 * j]) + part(v[j], x[2 * j + 1]) + part(t[j], x[2 * j + 2])


@kernel
def fours2(x, i, n, w, y, o):
    """Four neighbours each, moving on by two."""
    x, y, a, b, c, d = x[i : i + 2 * n + 2], y[o : o + n], w[:n], w[n : 2 * n], w[2 * n : 3 * n], w[3 * n :]
    for j in range(n):
        low = part(a[j], x[2 * j]) + part(b[j], x[2 * j + 1])
        y[j] = low + part(c[j], x[2 * j + 2]) + part(d[j], x[2 * j + 3])


@kernel
def across(x, i, start, w, wt, taps, step, y, o):
    """The sums along one row of x from i on, which has its margins, to y from o on."""
    n = len(start)
    if taps >= 16:
        dots(x, i, start, w, taps, y, o)
    elif step == 1 and taps == 3:
        threes1(x, i + start[0], n, wt, y, o)
    elif step == 2 and taps == 2:
        twos2(x, i + start[0], n, wt, y, o)
    elif step == 2 and taps == 3:
        threes2(x, i + start[0], n, wt, y, o)
    elif step == 2 and taps == 4:
        fours2(x, i + start[0], n, wt, y, o)
    elif taps == 1:
        ones(x, i, start, wt, y, o)
    else:
        twos(x, i, start, wt, y, o)
        for k in range(2, taps):
            more(x, i, k, start, wt, y, o)


@kernel(chunks=True)
def resize_rows(begin, end, x, ints, floats, y):
    """Rows of y (P, I, J) from x (P, H, W), as a `packed` pair of tables says.

    Each inner function is called at one place only, for the sake of the time to compile.
    """
    kind, height, width, high, n, down, along, left, right, step = ints[:10]
    vstart, hstart, hstop = (
        borrowed(ints[10:]),
        borrowed(ints[10 + high : 10 + high + n]),
        borrowed(ints[10 + high + n :]),
    )
    a, b, c = high * down, high * down + n * along, high * down + 2 * n * along
    vw, hw, hwt, share = borrowed(floats[:a]), borrowed(floats[a:b]), borrowed(floats[b:c]), borrowed(floats[c:])
    space = np.zeros(width + left + right, x.dtype)
    x, y, padded = borrowed(x), borrowed(y), borrowed(space)
    for r in range(begin, end):
        i, image = r % high, r // high * height * width
        if kind == TOTAL:
            totals(x, r * width, hstart, hstop, share, y, r * n)
            continue
        if kind != LAST:
            target, to, count = (padded, left, width) if kind == NARROW else (y, r * n, n)
            combine(x, image + vstart[i] * width, width, vw, i * down, down, target, to, count)
        elif left + right:
            copied(x, image, padded, left, width)
        if kind != FIRST:
            source, at = (padded, r - r) if kind == NARROW or left + right else (x, image)
            across(source, at, hstart, hw, hwt, along, step, y, r * n)
    space[:0] = 0  # it is in use until here


def launching(rows: Kernel, dtype: np.dtype) -> Kernel:
    """What does all rows of arrays of a type by a kernel of some rows: those of `boxes` or of `stretch`."""
    zero, whole = dtype.type(0), np.int64(0)

    @kernel(numbers="iaaaaiiiiii", name=f"{rows.__name__}_{dtype.char}", launcher=True)
    def launch(pool, x, ints, floats, y, size, length, weights, made, count, grain):
        tables = entries(whole, ints, length), entries(zero, floats, weights)
        for_chunks(pool, rows, count, grain, (entries(zero, x, size), *tables, entries(zero, y, made)))

    return launch


BOXED, STRETCHED = (
    {t: launching(rows, t) for t in (SINGLE, DOUBLE)} for rows in (windows.box_rows, stretch.stretched_rows)
)


# --- arrays ----------------------------------------------------------------------------------------------------------


def along_axis(x: np.ndarray, table: Table, axis: int) -> np.ndarray:
    """One axis, in NumPy."""
    if table.still:
        return x
    x = np.moveaxis(x, axis, -1)
    y = np.zeros((*x.shape[:-1], table.n_out), np.result_type(x.dtype, np.float32) if x.dtype.kind == "f" else x.dtype)
    if x.size:
        for k, w in enumerate(table.weights.T.astype(y.dtype.type(0).real.dtype)):
            taken = np.flatnonzero(w)
            y[..., taken] += w[taken] * x[..., table.start[taken] + k]
    return np.moveaxis(y, -1, axis)


def resize_reference(x: np.ndarray, tables: tuple[Table, ...]) -> np.ndarray:
    """Axis by axis, in NumPy."""
    y = x
    for k, table in enumerate(tables):
        y = along_axis(y, table, k - len(tables))
    return np.array(y, order="C") if y is x else np.ascontiguousarray(y.astype(x.dtype, copy=False))


def _sample(rng, n, dtype):
    side = max(int(math.sqrt(n / 4)), 2)
    at = np.maximum((np.arange(2 * side) - 1) // 2, 0)
    up = Table(side, np.minimum(at, side - 2), np.full((2 * side, 2), 0.5))
    return rng.standard_normal((2, 2, side, side)).astype(dtype), (up, up.T.T)


@choice(reference=resize_reference, sample=_sample)
def resize(x, tables):
    """The last axes of x, each by its table."""
    dtype = x.dtype
    if quick := _ready(x.shape, tables, dtype):
        launch, room, shape, ints, floats, numbers, _ = quick
        x, y = x if x.flags.carray else plain(x), room(shape, dtype)
        launch(POOL, id(x), ints, floats, id(y), *numbers)
        return y
    return _by_loops(x, tables)


@remembering(4096)
def _ready(full: tuple, tables: tuple[Table, ...], dtype: np.dtype) -> tuple | None:
    """The kernel for arrays of a shape, what makes room, and all else that it takes; None where `_by_loops` is to do it."""
    d, size = len(tables), math.prod(full)
    if dtype not in (SINGLE, DOUBLE) or not size or d > 2:
        return None
    kind, grain, ints, floats, n, high, ends = packed(tables, dtype)
    if kind not in (BOXES, MORE):
        return None
    shape, count = (*full[: len(full) - d], *ends), size // n * high
    launch = (BOXED if kind == BOXES else STRETCHED)[dtype]
    numbers = size, len(ints), len(floats), math.prod(shape), count, grain
    return launch, empty if size > FEW else np.empty, shape, id(ints), id(floats), numbers, (ints, floats)  # kept alive


def _by_loops(x: np.ndarray, tables: tuple[Table, ...]) -> np.ndarray:
    """What has no kernel of vectors."""
    dtype, size = x.dtype, x.size
    if not (dtype is SINGLE or dtype is DOUBLE) or not size:
        return resize_reference(x, tables)
    d = len(tables)
    if d > 2 or tables[-1].n_in == 0:
        return _axis_by_axis(plain(x), tables)
    kind, grain, ints, floats, n, high, ends = packed(tables, dtype)
    if kind == NOTHING:
        return np.array(x, order="C") if 0 not in ends else np.zeros((*x.shape[:-d], *ends), dtype)
    if kind == TWICE:
        return resize(resize(x, tables[1:]), (tables[0], identity(ends[1])))
    shape, count, x = (*x.shape[:-d], *ends), size // n * high, x if x.flags.carray else plain(x)
    y = empty(shape, dtype) if size > FEW else np.empty(shape, dtype)
    resize_rows(count, grain, x.ravel(), ints, floats, y.ravel())
    return y


@remembering(1024)
def packed(tables: tuple[Table, ...], dtype: np.dtype) -> tuple:
    """Two tables, or one for the last axis, as the few arrays that a quick call takes, with what else it needs."""
    columns, rows = tables[-1], tables[0] if len(tables) > 1 else identity(1)
    same_rows, same_columns = rows.still, columns.still
    ends, n = tuple(t.n_out for t in tables), rows.n_in * columns.n_in
    if 0 in ends or same_rows and same_columns:
        return NOTHING, 1, None, None, n, 0, ends
    kind, many = LAST if same_rows else FIRST if same_columns else NARROW, columns.weights.shape[1] >= LONG
    more = columns.n_out - columns.n_in if same_rows else rows.n_out - rows.n_in
    height, high = rows.n_in, rows.n_out
    if same_rows:
        n, height, high, rows = columns.n_in, 1, 1, identity(1)
    even = columns.even if kind == LAST else None
    kind = TOTAL if even else kind
    grain = max(1, CHUNK // max(columns.n_out, rows.weights.shape[1] * columns.n_in))
    boxes = None if kind == FIRST or many or more > 0 else windows.packed(rows, columns, dtype)
    if boxes:
        hold(*[a.nbytes for a in boxes])
        return BOXES, grain, *boxes, n, high, ends
    if kind != FIRST and more >= 0 and not many:
        ints, floats = stretch.packed(rows, columns, dtype)
        hold(ints.nbytes, floats.nbytes)
        return MORE, grain, ints, floats, n, high, ends
    if kind == NARROW and more >= 0:
        return TWICE, grain, None, None, n, high, ends
    header = kind, height, columns.n_in, high, columns.n_out, rows.weights.shape[1], columns.weights.shape[1]
    starts = columns.start + columns.margins[0], even[0] if even else []
    shares = even[1] if even else []
    ints = np.concatenate([header, columns.margins, [columns.step], rows.start, *starts]).astype(np.int64)
    weights = columns.weights
    floats = np.concatenate([rows.weights.ravel(), weights.ravel(), weights.T.ravel(), shares]).astype(dtype)
    hold(ints.nbytes, floats.nbytes)
    return kind, grain, ints, floats, n, high, ends


def _axis_by_axis(x: np.ndarray, tables: tuple[Table, ...]) -> np.ndarray:
    """Three axes: the first by itself, before the others if it becomes shorter, else after them."""
    if 0 in (shape := (*x.shape[: x.ndim - 3], *[t.n_out for t in tables])):
        return np.zeros(shape, x.dtype)
    depth, lead = tables[0], x.shape[: x.ndim - 3]

    def first(v):
        pair = depth, identity(math.prod(v.shape[-2:]))
        y = resize.compiled(v.reshape(*lead, v.shape[-3], math.prod(v.shape[-2:])), pair)
        return y.reshape(*lead, depth.n_out, *v.shape[-2:])

    if depth.n_out < depth.n_in:
        return resize.compiled(first(x), tables[1:])
    return first(resize.compiled(x, tables[1:]))
