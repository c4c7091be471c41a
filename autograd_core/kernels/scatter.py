"""Reading and writing at places that are listed: gather, scatter, and what is added, multiplied or compared there.

Arrays are taken as (outer, m, inner), in order and flat; the places are numbers below m, (outer, n, inner) of them
(one for each entry) or (n) (one for each slice), told apart by the steps from one to the next in each direction.
Entries that meet in one place come in the order of the list, on one thread.  A place out of range is noted and skipped;
what has been made is then thrown away by whoever raises the error.
"""

from __future__ import annotations

from math import prod

import numpy as np

from . import _memory
from ._jit import EXACT, choice, kernel, plain
from .extreme import larger
from .reduce import FLOATS, at, plus, shared_out, times

MANY = 1 << 18  # entries from which on slices are copied by several threads
PUT, ADD, MULTIPLY, LARGEST, SMALLEST = "put", "add", "multiply", "largest", "smallest"


@kernel(forceinline=True)
def second(a, b):
    return b


@kernel(forceinline=True)
def smaller(best, v):
    return v if (v < best) | (v != v) else best


@kernel(chunks=True)
def gather(begin, end, x, index, out, bad, m, n, inner, outer_step, step, each):
    """out[o, k, j] = x[o, index[o, k, j], j]; an item is one of the outer * n slices."""
    for i in range(begin, end):
        o = i // n
        source, spot, place = o * m * inner, o * outer_step + (i - o * n) * step, i * inner
        if each:
            for j in range(inner):
                p = at(index, spot + j)
                p = p + m if p < 0 else p
                if 0 <= p < m:
                    out[np.uint64(place + j)] = at(x, source + p * inner + j)
                else:
                    bad[0] = 1
            continue
        p = at(index, spot)
        p = p + m if p < 0 else p
        if 0 <= p < m:
            for j in range(inner):
                out[np.uint64(place + j)] = at(x, source + p * inner + j)
        else:
            bad[0] = 1


@kernel(chunks=True)
def gather_line(begin, end, x, index, out, bad, m):
    """out = x[index], of vectors."""
    index, out = index[begin:end], out[begin:end]
    for k in range(len(out)):
        p = index[k]
        p = p + m if p < 0 else p
        if 0 <= p < m:
            out[k] = at(x, p)
        else:
            bad[0] = 1


def scattering(name, join):
    """The kernel that joins what is in a place with what goes there."""

    @kernel(chunks=True, fastmath=EXACT, name=f"scatter_{name}")
    def scatter(begin, end, v, index, out, bad, m, n, inner, piece, outer_step, step, each):
        """out[o, index[o, k, j], j] = join(itself, v[o, k, j]); an item is a piece of the columns of one o."""
        pieces = (inner + piece - 1) // piece
        for i in range(begin, end):
            o = i // pieces
            left = (i - o * pieces) * piece
            wide = min(piece, inner - left)
            base, place, spot = o * m * inner + left, o * n * inner + left, o * outer_step + (left if each else 0)
            for _ in range(n):
                if each:
                    for j in range(wide):
                        p = at(index, spot + j)
                        p = p + m if p < 0 else p
                        if 0 <= p < m:
                            q = base + p * inner + j
                            out[np.uint64(q)] = join(at(out, q), at(v, place + j))
                        else:
                            bad[0] = 1
                else:
                    p = at(index, spot)
                    p = p + m if p < 0 else p
                    if 0 <= p < m:
                        q = base + p * inner
                        for j in range(wide):
                            out[np.uint64(q + j)] = join(at(out, q + j), at(v, place + j))
                    else:
                        bad[0] = 1
                place += inner
                spot += step

    return scatter


JOINS = {
    PUT: (scattering(PUT, second), None),
    ADD: (scattering(ADD, plus), np.add),
    MULTIPLY: (scattering(MULTIPLY, times), np.multiply),
    LARGEST: (scattering(LARGEST, larger), np.maximum),
    SMALLEST: (scattering(SMALLEST, smaller), np.minimum),
}


@kernel(chunks=True)
def others_of(begin, end, x, v, index, before, dx, dv, m, n, inner, piece, outer_step, step, unit):
    """dx, dv: for each x (outer, m, inner) and v (outer, n, inner), the product of all others that meet in its place.

    An item is a piece of columns.  Once forward for what comes before each, once back for what comes after.
    """
    pieces = (inner + piece - 1) // piece
    for i in range(begin, end):
        o = i // pieces
        left = (i - o * pieces) * piece
        wide = min(piece, inner - left)
        base, place, spot = o * m * inner + left, o * n * inner + left, o * outer_step + left * unit
        for k in range(m):
            for j in range(wide):
                q = base + k * inner + j
                before[q], dx[q] = x[q], 1
        for k in range(n):
            for j in range(wide):
                p, r = at(index, spot + k * step + j * unit), place + k * inner + j
                q = base + (p + m if p < 0 else p) * inner + j
                dv[r] = before[q]
                before[q] *= v[r]
        for k in range(n - 1, -1, -1):
            for j in range(wide):
                p, r = at(index, spot + k * step + j * unit), place + k * inner + j
                q = base + (p + m if p < 0 else p) * inner + j
                dv[r] *= dx[q]
                dx[q] *= v[r]


@kernel(chunks=True)
def ties_of(begin, end, g, x, v, y, index, share, dx, dv, m, n, inner, piece, outer_step, step, unit):
    """The cotangent g of y, the extremes of x and of v at their places, in equal parts to all that equal them."""
    pieces, zero, one = (inner + piece - 1) // piece, x.dtype.type(0), x.dtype.type(1)
    for i in range(begin, end):
        o = i // pieces
        left = (i - o * pieces) * piece
        wide = min(piece, inner - left)
        base, place, spot = o * m * inner + left, o * n * inner + left, o * outer_step + left * unit
        for k in range(m):
            for j in range(wide):
                q = base + k * inner + j
                share[q] = x[q] == y[q]
        for k in range(n):
            for j in range(wide):
                p, r = at(index, spot + k * step + j * unit), place + k * inner + j
                q = base + (p + m if p < 0 else p) * inner + j
                share[q] += v[r] == y[q]
        for k in range(m):
            for j in range(wide):
                q = base + k * inner + j
                part = g[q] / max(share[q], one)
                share[q] = part
                dx[q] = part if x[q] == y[q] else zero
        for k in range(n):
            for j in range(wide):
                p, r = at(index, spot + k * step + j * unit), place + k * inner + j
                q = base + (p + m if p < 0 else p) * inner + j
                dv[r] = share[q] if v[r] == y[q] else zero


@kernel(chunks=True)
def last_words(begin, end, index, turn, won, m, n, inner, piece, outer_step, step, unit):
    """won (outer, n, inner): whether no later entry goes to the same place; turn (outer, m, inner) is scratch."""
    pieces = (inner + piece - 1) // piece
    for i in range(begin, end):
        o = i // pieces
        left = (i - o * pieces) * piece
        wide = min(piece, inner - left)
        base, place, spot = o * m * inner + left, o * n * inner + left, o * outer_step + left * unit
        for k in range(n):
            for j in range(wide):
                p = at(index, spot + k * step + j * unit)
                turn[np.uint64(base + (p + m if p < 0 else p) * inner + j)] = k
        for k in range(n):
            for j in range(wide):
                p = at(index, spot + k * step + j * unit)
                last = at(turn, base + (p + m if p < 0 else p) * inner + j)
                won[np.uint64(place + k * inner + j)] = last == k


# --- what ops call ---------------------------------------------------------------------------------------------------
#
# `axis` is one axis from the end; `each` says whether the index has the shape of the values, else it is a vector.


def _beside(a: tuple, b: tuple, axis: int) -> bool:
    """Whether two shapes are the same but for an axis."""
    return a[:axis] == b[:axis] and (axis == -1 or a[axis + 1 :] == b[axis + 1 :])


def _dims(shape: tuple, axis: int) -> tuple[int, int, int]:
    a = len(shape) + axis
    return prod(shape[:a]), shape[a], prod(shape[a + 1 :])


def _steps(n: int, inner: int, each: bool) -> tuple[int, int]:
    return (n * inner, inner) if each else (0, 1)


def _long(index: np.ndarray) -> np.ndarray:
    return plain(index if index.dtype == np.int64 else index.astype(np.int64)).reshape(-1)


def refuse(index: np.ndarray, size: int) -> None:
    """Raise the error of an index that is out of range."""
    low, high = index.min(), index.max()
    raise IndexError(f"index {low if low < -size else high} is out of bounds for axis with size {size}")


def _taken(x, index, axis, each):
    return np.take_along_axis(x, index, axis) if each else np.take(x, index, axis)


@choice(
    reference=_taken,
    size=lambda x, index, *rest: index.size,
    sample=lambda rng, n, dtype: (rng.standard_normal((n, 3)).astype(dtype), rng.integers(-n, n, (n, 3)), -2, True),
)
def taken(x, index, axis, each):
    """The entries (or slices) of an axis at places."""
    if x.dtype.char not in FLOATS or x.size == 0 or index.size == 0 or each and x.ndim != index.ndim:
        return _taken(x, index, axis, each)
    if not each and index.size * prod(x.shape) // x.shape[axis] < MANY:
        return np.take(x, index, axis)  # which copies slices as they are
    if each and not _beside(index.shape, x.shape, axis):
        sizes = [1 if k == axis else n for k, n in enumerate(x.shape, -x.ndim)]
        shape = np.broadcast_shapes(sizes, [1 if k == axis else n for k, n in enumerate(index.shape, -x.ndim)])
        full = lambda a: [a.shape[axis] if k == axis else n for k, n in enumerate(shape, -x.ndim)]
        x, index = np.broadcast_to(x, full(x)), np.broadcast_to(index, full(index))
    outer, m, inner = _dims(x.shape, axis)
    n = index.shape[axis] if each else index.size
    out = _memory.empty(
        index.shape if each else (*x.shape[:axis], *index.shape, *x.shape[x.ndim + axis + 1 :]), x.dtype
    )
    bad = np.zeros(1, np.int64)
    flat, places, y = plain(x).reshape(-1), _long(index), out.reshape(-1)
    if outer == 1 == inner:
        gather_line(n, shared_out(4), flat, places, y, bad, m)
    else:
        gather(outer * n, shared_out(4 * inner), flat, places, y, bad, m, n, inner, *_steps(n, inner, each), each)
    if bad[0]:
        refuse(index, m)
    return out


def _scattered(x, v, index, axis, each, how):
    y, join = np.array(x, order="C"), JOINS[how][1]
    index, v = np.ascontiguousarray(index), np.ascontiguousarray(v)  # NumPy goes through others in an order of its own
    if each:
        places = [np.arange(k).reshape(-1, *(1,) * (x.ndim - a - 1)) for a, k in enumerate(index.shape)]
        places[axis] = index
        at_all = tuple(places)
    else:
        at_all = (slice(None),) * (x.ndim + axis) + (index,)
    if join is None:
        y[at_all] = v
    else:
        join.at(y, at_all, v)
    return y


@choice(
    reference=_scattered,
    size=lambda x, v, *rest: v.size,
    sample=lambda rng, n, dtype: (
        rng.standard_normal((n, 3)).astype(dtype), rng.standard_normal((n, 3)).astype(dtype),
        rng.integers(-n, n, (n, 3)), -2, True, ADD,
    ),
)  # fmt: skip
def scattered(x, v, index, axis, each, how):
    """x with v joined to it, in turn, at places of an axis; v is as large as x but along the axis."""
    if x.dtype.char not in FLOATS or v.dtype != x.dtype or v.size == 0 or x.size == 0:
        return _scattered(x, v, index, axis, each, how)
    y = _memory.empty(x.shape, x.dtype)
    np.copyto(y, x)
    scatter_into(y, v, index, axis, each, how)
    return y


def scatter_into(y, v, index, axis, each, how):
    """The same on the memory of a fresh array."""
    outer, m, inner = _dims(y.shape, axis)
    n = v.shape[axis]
    bad = np.zeros(1, np.int64)
    piece = 64 if inner >= 128 else inner
    grain = shared_out(8 * n * min(piece, inner))
    values, places = plain(v).reshape(-1), _long(index)
    JOINS[how][0](
        outer * -(-inner // piece), grain, values, places, y.reshape(-1), bad, m, n, inner, piece,
        *_steps(n, inner, each), each,
    )  # fmt: skip
    if bad[0]:
        refuse(index, m)


def _added(v, index, size, axis, each):
    y = np.zeros((*v.shape[:axis], size, *v.shape[v.ndim + axis + 1 :]), v.dtype)
    if v.size and not y.size:
        refuse(index, size)
    return _scattered(y, v, index, axis, each, ADD)


@choice(
    reference=_added,
    sample=lambda rng, n, dtype: (rng.standard_normal((n, 3)).astype(dtype), rng.integers(-n, n, n), n, -2, False),
)
def added(v, index, size, axis, each):
    """Zeros with v added at places of an axis that is to have a size."""
    if v.dtype.char not in FLOATS or not v.size or not size:
        return _added(v, index, size, axis, each)
    y = _memory.empty((*v.shape[:axis], size, *v.shape[v.ndim + axis + 1 :]), v.dtype)
    y.fill(0)
    scatter_into(y, v, index, axis, each, ADD)
    return y


def _on(loop, x, v, index, axis, each, *arrays):
    """Run one of the loops over x and v on arrays of the type of x, of which the last three are made and given back."""
    outer, m, inner = _dims(x.shape, axis)
    n, (count, dx, dv) = v.shape[axis], (_memory.empty(a.shape, a.dtype) for a in (x, x, v))
    flat = [plain(a).reshape(-1) for a in arrays]
    piece = 64 if inner >= 128 else inner
    made = [a.reshape(-1) for a in (count, dx, dv)]
    sizes = m, n, inner, piece, *_steps(n, inner, each), int(each)
    grain = shared_out(8 * (m + n) * min(piece, inner))
    loop(outer * -(-inner // max(piece, 1)), grain, *flat, _long(index), *made, *sizes)
    return dx, dv


def _slowly(kernel):
    """A loop of Python's own over what the kernel does."""
    return lambda count, grain, *args: kernel.__wrapped__(0, count, *args)


def _others(x, v, index, axis, each):
    with np.errstate(all="ignore"):
        return _on(_slowly(others_of), x, v, index, axis, each, x, v)


def _ties(g, x, v, y, index, axis, each):
    with np.errstate(all="ignore"):
        return _on(_slowly(ties_of), x, v, index, axis, each, g, x, v, y)


def _pair(rng, n, dtype):
    x, v = (rng.uniform(0.5, 1, (n, 3)).astype(dtype) for _ in range(2))
    return x, v, rng.integers(-n, n, (n, 3)), -2, True


@choice(reference=_others, size=lambda x, v, *rest: x.size + v.size, sample=_pair)
def others(x, v, index, axis, each):
    """For each entry of x and of v, the product of all the others that meet in its place."""
    if x.dtype.char not in FLOATS or v.dtype != x.dtype:
        return _others(x, v, index, axis, each)
    return _on(others_of, x, v, index, axis, each, x, v)


@choice(reference=_ties, size=lambda g, x, v, *rest: x.size + v.size, sample=lambda *a: (_pair(*a)[0], *_tied(*a)))
def ties(g, x, v, y, index, axis, each):
    """The cotangents of x and of v, of which y holds the extremes."""
    if x.dtype.char not in FLOATS or not g.dtype == v.dtype == y.dtype == x.dtype:
        return _ties(g, x, v, y, index, axis, each)
    return _on(ties_of, x, v, index, axis, each, g, x, v, y)


def _tied(rng, n, dtype):
    x, v, index, axis, each = _pair(rng, n, dtype)
    return x, v, _scattered(x, v, index, axis, each, LARGEST), index, axis, each


def _winners(index, shape, length, axis, each):
    index = index if each else np.broadcast_to(index.reshape(-1, *(1,) * (-axis - 1)), shape)
    index = np.ascontiguousarray(index)
    turns = np.broadcast_to(np.arange(shape[axis]).reshape(-1, *(1,) * (-axis - 1)), shape)
    turn = np.zeros(tuple(length if a == axis else n for a, n in enumerate(shape, -len(shape))), np.int64)
    np.put_along_axis(turn, index, turns, axis)
    return np.take_along_axis(turn, index, axis) == turns


@choice(
    reference=_winners,
    size=lambda index, shape, *rest: prod(shape),
    sample=lambda rng, n, dtype: (rng.integers(-n, n, (n, 3)), (n, 3), n, -2, True),
)
def winners(index, shape, length, axis, each):
    """Which of the values of a shape that are put in places of an axis have the last word there."""
    outer, n, inner = _dims(shape, axis)
    turn, won = _memory.empty((outer * length * inner,), np.dtype(np.int32)), _memory.empty(shape, np.dtype(bool))
    piece = 64 if inner >= 128 else inner
    items, grain = outer * -(-inner // max(piece, 1)), shared_out(8 * n * min(piece, inner))
    sizes = length, n, inner, piece, *_steps(n, inner, each), int(each)
    last_words(items, grain, _long(index), turn, won.reshape(-1), *sizes)
    return won
