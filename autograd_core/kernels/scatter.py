"""Writing at places that are listed: what is put, added, multiplied or compared there.

Arrays and places are as in `gather`.  To write is one call of a kernel, which copies what is written into, or begins with
zeros.  Entries that meet in one place come in the order of the list, on one thread.
"""

from __future__ import annotations

from math import prod

import numpy as np

from . import _memory
from ._jit import EXACT, Kernel, Late, choice, entries_of_second, inline, kernel, plain
from ._threads import ADDRESS as POOL
from .gather import LONG, behind, dims, in_order, layout, layout_at, refuse
from .reduce import DOUBLE, FLOATS, GRAIN, SINGLE, at, plus, shared_out, times

entries, for_chunks, greatest = Late("_borrowed", "entries"), Late("_native", "for_chunks"), Late("_order", "greatest")
on_stack, word, set_word = Late("_pack", "on_stack"), Late("_pack", "word"), Late("_pack", "set_word")
PUT, ADD, MULTIPLY, LARGEST, SMALLEST = "put", "add", "multiply", "largest", "smallest"


@inline
def second(a, b):
    return b


@inline
def larger(best, v):
    """Which is larger; NaN is, once it has been seen."""
    return greatest(best, v)


@inline
def smaller(best, v):
    return v if v < best or v != v else best


@kernel(chunks=True, written=True)
def copy_part(begin, end, x, out):
    """A part of out is that of x."""
    x, out = x[begin:end], out[begin:end]
    for i in range(len(out)):
        out[i] = x[i]


@kernel(chunks=True, written=True)
def clear_part(begin, end, out):
    """A part of out is 0."""
    out = out[begin:end]
    zero = out.dtype.type(0)
    for i in range(len(out)):
        out[i] = zero


def scattering(name: str, join: Kernel) -> tuple[Kernel, Kernel]:
    """The kernels, for either type, that join what is in a place with what goes there, in a copy of x, or in zeros."""

    @kernel(chunks=True, fastmath=EXACT, name=f"scatter_{name}", written=True)
    def scatter(begin, end, v, index, out, bad, m, n, inner, piece, each):
        """out[o, index[o, k, j], j] = join(itself, v[o, k, j]); an item is a piece of the columns of one o."""
        pieces, wrong = (inner + piece - 1) // piece, 0
        for i in range(begin, end):
            o = i // pieces
            left = (i - o * pieces) * piece
            wide = min(piece, inner - left)
            base, place = o * m * inner + left, o * n * inner + left
            for k in range(n):
                if each:
                    for j in range(wide):
                        p = at(index, place + j)
                        p += m if p < 0 else 0
                        if np.uint64(p) < np.uint64(m):
                            q = base + p * inner + j
                            out[np.uint64(q)] = join(at(out, q), at(v, place + j))
                        else:
                            wrong += 1
                else:
                    p = at(index, k)
                    p += m if p < 0 else 0
                    if np.uint64(p) < np.uint64(m):
                        q = base + p * inner
                        for j in range(wide):
                            out[np.uint64(q + j)] = join(at(out, q + j), at(v, place + j))
                    else:
                        wrong += 1
                place += inner
        if wrong > 0:
            set_word(bad, 0, 1)

    def whole(dtype: np.dtype) -> Kernel:
        zero = dtype.type(0)

        @kernel(numbers="iaaaaiiiii", name=f"scatter_{name}_{dtype.char}", written=True)
        def scatter_all(pool, x, v, index, out, outer, m, n, inner, each):
            size, piece, many = outer * m * inner, 64 if inner >= 128 else inner, outer * n * inner
            y, values = entries(zero, out, size), entries(zero, v, many)
            places, bad = entries(np.int64(0), index, many if each else n), on_stack(8)
            set_word(bad, 0, 0)
            if x == 0:
                for_chunks(pool, clear_part, size, GRAIN, (y,))
            else:
                for_chunks(pool, copy_part, size, GRAIN, (entries(zero, x, size), y))
            items, grain = outer * ((inner + piece - 1) // piece), max(GRAIN // (8 * n * piece), 1)
            for_chunks(pool, scatter, items, grain, (values, places, y, bad, m, n, inner, piece, each))
            return word(bad, 0)

        return scatter_all

    return whole(SINGLE), whole(DOUBLE)


JOINS = {
    PUT: (*scattering(PUT, second), None),
    ADD: (*scattering(ADD, plus), np.add),
    MULTIPLY: (*scattering(MULTIPLY, times), np.multiply),
    LARGEST: (*scattering(LARGEST, larger), np.maximum),
    SMALLEST: (*scattering(SMALLEST, smaller), np.minimum),
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
def ties_of(begin, end, g, x, v, y, index, pairs, dx, dv, m, n, inner, piece, outer_step, step, unit):
    """The cotangent g of y, the extremes of x and of v at their places, in equal parts to all that equal them.

    `pairs` is scratch: for each place the extreme and, beside it, since both are looked up together, how many equal it.
    """
    pieces, zero, one, two = (inner + piece - 1) // piece, x.dtype.type(0), x.dtype.type(1), np.uint64(2)
    for i in range(begin, end):
        o = i // pieces
        left = (i - o * pieces) * piece
        wide = min(piece, inner - left)
        base, place, spot = o * m * inner + left, o * n * inner + left, o * outer_step + left * unit
        for k in range(m):
            for j in range(wide):
                q = np.uint64(base + k * inner + j)
                pairs[two * q], pairs[two * q + np.uint64(1)] = y[q], x[q] == y[q]
        for k in range(n):
            for j in range(wide):
                p, r = at(index, spot + k * step + j * unit), np.uint64(place + k * inner + j)
                q = two * np.uint64(base + (p + m if p < 0 else p) * inner + j)
                pairs[q + np.uint64(1)] += v[r] == pairs[q]
        for k in range(m):
            for j in range(wide):
                q = np.uint64(base + k * inner + j)
                part = g[q] / max(pairs[two * q + np.uint64(1)], one)
                pairs[two * q + np.uint64(1)] = part
                dx[q] = part if x[q] == y[q] else zero
        for k in range(n):
            for j in range(wide):
                p, r = at(index, spot + k * step + j * unit), np.uint64(place + k * inner + j)
                q = two * np.uint64(base + (p + m if p < 0 else p) * inner + j)
                dv[r] = pairs[q + np.uint64(1)] if v[r] == pairs[q] else zero


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


def _steps(n: int, inner: int, each: bool) -> tuple[int, int]:
    return (n * inner, inner) if each else (0, 1)


def _scattered(x, v, index, axis, each, how):
    y, join = np.array(x, order="C"), JOINS[how][2]
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
    size=entries_of_second,
    sample=lambda rng, n, dtype: (
        rng.standard_normal((n, 3)).astype(dtype), rng.standard_normal((n, 3)).astype(dtype),
        rng.integers(-n, n, (n, 3)), -2, True, ADD,
    ),
)  # fmt: skip
def scattered(x, v, index, axis, each, how):
    """x with v joined to it, in turn, at places of an axis; v is as large as x but along the axis."""
    dtype = x.dtype
    if (dtype is SINGLE or dtype is DOUBLE) and dtype is v.dtype and (seen := layout(x.shape, index.shape, axis, each)):
        x = x if x.flags.carray else plain(x)
        return _joined(id(x), v, index, seen, x.shape, each, how)
    return _scattered(x, v, index, axis, each, how)


def joined_at_once(x, v, index, dim, each, how):
    """What `scattered` makes, if there is nothing unusual about it; None else."""
    dtype = x.dtype
    if index.dtype is not LONG or dtype is not v.dtype:
        return None
    if not (seen := layout_at(dtype, x.shape, index.shape, v.shape, dim, each)):
        return None
    x = x if x.flags.carray else plain(x)
    return _joined(id(x), v, index, seen, x.shape, each, how)


def _joined(x, v, index, seen, shape, each, how):
    """v joined to what the array of a record, or zeros if that is 0, has at places of an axis of a shape."""
    outer, m, n, inner, _, _, room, _ = seen
    dtype = v.dtype
    y, v = room(shape, dtype), v if v.flags.carray else plain(v)
    places = index if index.dtype is LONG and index.flags.carray else in_order(index)
    kernel = JOINS[how][dtype is DOUBLE]
    if kernel(POOL, x, id(v), id(places), id(y), outer, m, n, inner, each):
        refuse(index, m)
    return y


def _added(v, index, size, axis, each):
    y = np.zeros((*v.shape[:axis], size, *v.shape[v.ndim + axis + 1 :]), v.dtype)
    if v.size and not y.size:
        refuse(index, size)
    return _scattered(y, v, index, axis, each, ADD)


@choice(
    reference=_added,
    size=lambda v, index, size, axis, each: max(v.size, size),
    sample=lambda rng, n, dtype: (rng.standard_normal((n, 3)).astype(dtype), rng.integers(-n, n, n), n, -2, False),
)
def added(v, index, size, axis, each):
    """Zeros with v added at places of an axis that is to have a size."""
    shape, dtype = (*v.shape[:axis], size, *behind(v.shape, axis)), v.dtype
    if (dtype is SINGLE or dtype is DOUBLE) and (seen := layout(shape, index.shape, axis, each)):
        return _joined(0, v, index, seen, shape, each, ADD)
    return _added(v, index, size, axis, each)


def _on(loop, words, x, v, index, axis, each, *arrays):
    """Run one of the loops over x and v on arrays of the type of x, so many words for each entry, and two to give back."""
    outer, m, inner = dims(x.shape, axis)
    n, (count, dx, dv) = v.shape[axis], (_memory.empty(s, x.dtype) for s in ((words, *x.shape), x.shape, v.shape))
    flat = [plain(a).reshape(-1) for a in arrays]
    piece = 64 if inner >= 128 else inner
    made = [a.reshape(-1) for a in (count, dx, dv)]
    sizes = m, n, inner, piece, *_steps(n, inner, each), int(each)
    grain = shared_out(8 * (m + n) * min(piece, inner))
    loop(outer * -(-inner // max(piece, 1)), grain, *flat, in_order(index).reshape(-1), *made, *sizes)
    return dx, dv


def _slowly(kernel):
    """A loop of Python's own over what the kernel does."""
    return lambda count, grain, *args: kernel.__wrapped__(0, count, *args)


def _others(x, v, index, axis, each):
    with np.errstate(all="ignore"):
        return _on(_slowly(others_of), 1, x, v, index, axis, each, x, v)


def _ties(g, x, v, y, index, axis, each):
    with np.errstate(all="ignore"):
        return _on(_slowly(ties_of), 2, x, v, index, axis, each, g, x, v, y)


def _pair(rng, n, dtype):
    x, v = (rng.uniform(0.5, 1, (n, 3)).astype(dtype) for _ in range(2))
    return x, v, rng.integers(-n, n, (n, 3)), -2, True


@choice(reference=_others, size=lambda x, v, *rest: x.size + v.size, sample=_pair)
def others(x, v, index, axis, each):
    """For each entry of x and of v, the product of all the others that meet in its place."""
    if x.dtype.char not in FLOATS or v.dtype != x.dtype:
        return _others(x, v, index, axis, each)
    return _on(others_of, 1, x, v, index, axis, each, x, v)


@choice(reference=_ties, size=lambda g, x, v, *rest: x.size + v.size, sample=lambda *a: (_pair(*a)[0], *_tied(*a)))
def ties(g, x, v, y, index, axis, each):
    """The cotangents of x and of v, of which y holds the extremes."""
    if x.dtype.char not in FLOATS or not g.dtype == v.dtype == y.dtype == x.dtype:
        return _ties(g, x, v, y, index, axis, each)
    return _on(ties_of, 2, x, v, index, axis, each, g, x, v, y)


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
    outer, n, inner = dims(shape, axis)
    turn, won = _memory.empty((outer * length * inner,), np.dtype(np.int32)), _memory.empty(shape, np.dtype(bool))
    piece = 64 if inner >= 128 else inner
    items, grain = outer * -(-inner // max(piece, 1)), shared_out(8 * n * min(piece, inner))
    sizes = length, n, inner, piece, *_steps(n, inner, each), int(each)
    last_words(items, grain, in_order(index).reshape(-1), turn, won.reshape(-1), *sizes)
    return won
