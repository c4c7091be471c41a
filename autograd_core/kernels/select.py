"""Entries by their rank: the k-th, medians, the k best, and sorting.  Rows are put in order only as far as need be.

Numbers are compared as integers, their `keys`, in which the order is the same, NaN is largest and zeros of both signs
are equal.  A rank is found by counting: the span of the keys is cut into 256 parts, and the part in which the rank lies
becomes the span.  For few keys the span is halved until it holds one of them, or equal ones: that takes as many looks at
all keys as the span has bits at most, each of a few vectors.  Equal entries keep the order they had.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from ._jit import COMPILED, Kernel, Late, choice, inline, kernel, plain
from ._sizes import LEAST, ROUND
from ._threads import ADDRESS as POOL
from .gather import LONG, behind, room_for
from .reduce import DOUBLE, GRAIN, SINGLE, at

entries, for_chunks = Late("_borrowed", "entries"), Late("_native", "for_chunks")
count_below, count_before = Late("_order", "count_below"), Late("_order", "count_before")
SHORT = 512  # keys of which a rank is found by halving their span, which takes a look at all of them each time
RANKED = 96  # keys that are put in order by comparing all with all, many at a time
SHORTLIST = 32  # the most best entries of long rows for which a sorted list is kept on the way
FIXED, MEDIAN, NUMBERS = 0, 1, 2  # which rank is meant: the one given, the median, the median of the numbers


@inline
def bits_of(v):
    """A key as an unsigned number: differences of these are right whatever their size."""
    return np.uint64(np.int64(v))


@kernel
def make_keys(words, start, n, largest, keys):
    """The keys of a row, with the order turned about if the largest are to come first; how many are numbers."""
    word = words.dtype.type
    last = word(8 * words.itemsize - 1)
    sign = word(word(1) << last)
    rest = word(~sign)
    top = word(rest ^ ((word(1) << word(23 if words.itemsize == 4 else 52)) - word(1)))  # infinity
    flip = word(-1) if largest else word(0)
    numbers = np.int32(0)
    for j in range(n):
        w = at(words, start + j)
        w = word(0) if w == sign else w
        number = word(w & rest) <= top
        numbers = np.int32(numbers + np.int32(number))
        keys[j] = word((word(w ^ ((w >> last) & rest)) if number else rest) ^ flip)
    return np.int64(numbers)


@kernel
def halved(keys, n, low, high, rank):
    """The key of a rank among n that are from low to high, and how many equal to it come before, by halving the span.

    Keys are filled up with the largest there are.
    """
    word, one = keys.dtype.type, np.uint64(1)
    rounds, below, until = (n + ROUND - 1) // ROUND, 0, n
    for j in range(n, rounds * ROUND):
        keys[j] = word((one << np.uint64(8 * keys.itemsize - 1)) - one)
    while low < high and until - below > 1:
        middle = word(bits_of(low) + ((bits_of(high) - bits_of(low) + one) >> one))
        count = count_below(keys, rounds, middle)
        if rank < count:
            high, until = word(middle - 1), count
        else:
            low, below = middle, count
    if low < high:  # a single one lies there
        key = low
        for j in range(n):
            v = keys[j] if keys[j] <= high else low
            key = v if v > key else key
        return key, 0
    return low, rank - below


@kernel
def threshold(keys, n, rank, some, counts):
    """The key of a rank, and how many keys equal to it come before; `some` is scratch, and both have room for ROUND more."""
    low, high = keys[0], keys[0]
    for j in range(n):
        v = keys[j]
        low = v if v < low else low
        high = v if v > high else high
    base, top, source, m = bits_of(low), bits_of(high), keys, n
    span = top - base
    while m > SHORT and span > np.uint64(0):
        shift = np.uint64(0)
        while span >> shift > np.uint64(255):
            shift += np.uint64(1)
        counts[:256] = 0
        for j in range(m):
            counts[(bits_of(source[j]) - base) >> shift] += 1
        part = 0
        while rank >= counts[part]:
            rank -= counts[part]
            part += 1
        wanted, c = np.uint64(part), 0
        for j in range(m):
            v = source[j]
            some[c] = v
            c += (bits_of(v) - base) >> shift == wanted
        source, m = some, c
        base += wanted << shift
        span = min((np.uint64(1) << shift) - np.uint64(1), top - base)
    if span == np.uint64(0):
        return keys.dtype.type(base), rank
    word = keys.dtype.type
    return halved(source, m, word(base), word(base + span), rank)


@kernel
def find(keys, n, key, turn):
    """Where a key is, after so many equal to it."""
    for start in range(0, n, ROUND):
        part, equal = keys[start : min(start + ROUND, n)], 0
        for j in range(len(part)):
            equal += part[j] == key
        if equal > turn:
            for j in range(len(part)):
                turn -= part[j] == key
                if turn < 0:
                    return start + j
        turn -= equal
    return n


@kernel
def order_few(keys, places, n, ranks, ordered):
    """Places in the order of their keys, each of which is compared with all; equal ones stay in the order they had.

    There is room for whole vectors of keys and of ranks.
    """
    count_before(keys, n, ranks)
    for i in range(n):
        ordered[ranks[i]] = places[i]


@kernel
def radix_sort(keys, places, n, other_keys, other_places, counts):
    """Sort keys and places along with them, by digits from the last; whether the result is in the other arrays."""
    low, high = keys[0], keys[0]
    for j in range(n):
        v = keys[j]
        low = v if v < low else low
        high = v if v > high else high
    base = bits_of(low)
    span = bits_of(high) - base
    width = np.uint64(8 if n < 4096 else 11)
    mask = (np.uint64(1) << width) - np.uint64(1)
    shift, swapped = np.uint64(0), False
    a, p, b, q = keys, places, other_keys, other_places
    while shift < np.uint64(64) and span >> shift > np.uint64(0):
        counts[: mask + np.uint64(1)] = 0
        for j in range(n):
            counts[((bits_of(a[j]) - base) >> shift) & mask] += 1
        total = 0
        for d in range(np.int64(mask) + 1):
            count = counts[d]
            counts[d] = total
            total += count
        for j in range(n):
            d = ((bits_of(a[j]) - base) >> shift) & mask
            to = counts[d]
            counts[d] = to + 1
            b[to], q[to] = a[j], p[j]
        a, p, b, q = b, q, a, p
        shift += width
        swapped = not swapped
    return swapped


@kernel
def shortlist(keys, n, k, best, places):
    """The first k keys in order, and their places; the list is looked at only where a stretch has a smaller one."""
    count = 0
    for start in range(0, n, 64):
        stop = min(start + 64, n)
        if count == k:
            last, smaller = best[k - 1], 0
            part = keys[start:stop]
            for j in range(len(part)):
                smaller += part[j] < last
            if smaller == 0:
                continue
        for j in range(start, stop):
            v = keys[j]
            if count == k and not v < best[k - 1]:
                continue
            spot = count if count < k else k - 1
            count = min(count + 1, k)
            while spot > 0 and best[spot - 1] > v:
                best[spot], places[spot] = best[spot - 1], places[spot - 1]
                spot -= 1
            best[spot], places[spot] = v, j


@kernel(chunks=True)
def kth_rows(begin, end, words, out, chosen, both, n, rank, which):
    """out (rows): where in each row of words (rows, n) the entry of a rank is; the entry itself too, for both."""
    two, counts = np.empty(2 * (n + ROUND), words.dtype), np.empty(256, np.int64)
    keys, some = two[: n + ROUND], two[n + ROUND :]
    for i in range(begin, end):
        numbers = make_keys(words, i * n, n, False, keys)
        wanted = rank
        if which != FIXED:
            wanted = numbers if which == MEDIAN and numbers < n else max(numbers - 1, 0) // 2
        key, turn = threshold(keys, n, wanted, some, counts)
        j = find(keys, n, key, turn)
        out[i] = j
        if both:
            chosen[i] = words[i * n + j]


@kernel(chunks=True)
def best_rows(begin, end, words, out, chosen, both, n, k, largest):
    """out (rows, k): where the k smallest (largest) entries of each row of words (rows, n) are, best first; or both."""
    two, four, counts = np.empty(2 * (n + ROUND), words.dtype), np.empty(2 * n, np.int32), np.empty(2048, np.int64)
    keys, some, places, others = two[: n + ROUND], two[n + ROUND :], four[:n], four[n:]
    ranks = np.empty(RANKED, np.int32)
    for i in range(begin, end):
        make_keys(words, i * n, n, largest, keys)
        y = out[i * k : i * k + k]
        swapped = False
        if k <= SHORTLIST and n > SHORT:
            shortlist(keys, n, k, some, places)
        else:
            if k < n:
                key, turn = threshold(keys, n, k - 1, some, counts)
                c = 0
                for j in range(n):
                    v = keys[j]
                    keys[c], places[c] = v, j
                    equal = v == key
                    c += (v < key) | (equal & (turn >= 0))
                    turn -= equal
            else:
                for j in range(n):
                    places[j] = j
            if k <= RANKED:
                order_few(keys, places, k, ranks, others)
                swapped = True
            else:
                swapped = radix_sort(keys, places, k, some, others, counts)
        sorted_places = others if swapped else places
        for j in range(k):
            y[j] = sorted_places[j]
        if both:
            for j in range(k):
                chosen[i * k + j] = words[i * n + y[j]]


def launching(loop: Kernel, word: type) -> Kernel:
    """The kernel that does all rows of an array of floats, which are read as words; places are of 64 bits.

    What is at these places is written to another array, if there is one.
    """
    like, number = word(0), np.int64(0)

    @kernel(numbers="iaaaiiiii", name=f"{loop.name.rpartition('.')[2]}_{like.dtype.char}", launcher=True)
    def launch(pool, x, out, chosen, rows, n, wide, first, second):
        words, places, both = entries(like, x, rows * n), entries(number, out, rows * wide), chosen != 0
        values = entries(like, chosen if both else out, rows * wide)
        for_chunks(pool, loop, rows, max(GRAIN // (24 * n), 1), (words, places, values, both, n, first, second))

    return launch


KTH = launching(kth_rows, np.int32), launching(kth_rows, np.int64)
BEST = launching(best_rows, np.int32), launching(best_rows, np.int64)


# --- references ------------------------------------------------------------------------------------------------------


def _first(x, axis, start, stop):
    return x[(..., slice(start, stop), *(slice(None),) * (-axis - 1))]


def _sorted_places(x, axis, descending=False):
    if not descending:
        return np.argsort(x, axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


def _best(x, k, axis, largest):
    n = x.shape[axis]
    if not 0 < 8 * k < n:
        return _first(_sorted_places(x, axis, largest), axis, 0, k)
    parts = np.argpartition(x, n - k if largest else k - 1, axis)
    last = np.take_along_axis(
        x, _first(parts, axis, n - k, n - k + 1) if largest else _first(parts, axis, k - 1, k), axis
    )
    if (np.add.reduce(x == last, axis=axis) > 1).any() or (
        last != last
    ).any():  # which of equal ones is arbitrary there
        return _first(_sorted_places(x, axis, largest), axis, 0, k)
    some = np.sort(_first(parts, axis, n - k, None) if largest else _first(parts, axis, 0, k), axis)
    order = _sorted_places(np.take_along_axis(x, some, axis), axis, largest)
    return np.take_along_axis(some, order, axis)


def _kth(x, k, axis, keeps):
    return _dropped(_first(np.argsort(x, axis, kind="stable"), axis, k - 1, k), axis, keeps)


def _median(x, axis, skip, keeps):
    numbers = np.add.reduce(x == x, axis=axis, keepdims=True)
    half = np.maximum(numbers - 1, 0) // 2
    rank = half if skip else np.where(numbers < x.shape[axis], numbers, half)
    return _dropped(np.take_along_axis(np.argsort(x, axis, kind="stable"), rank, axis), axis, keeps)


# --- what ops call ---------------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """The kernels of a type, rows and their length, the shape of the places in all, and what makes room for these."""

    kth: Kernel
    best: Kernel
    rows: int
    n: int
    left: tuple[int, ...]
    room: Callable


@functools.lru_cache(4096)
def layout(dtype: np.dtype, shape: tuple, axis: int, k: int, keeps: bool) -> Layout | None:
    """How to find k places in each row along an axis, which comes last then; one need not keep it.  None for what is unusual."""
    before, n, after = shape[:axis], shape[axis], shape[axis + 1 :] if axis < -1 else ()
    rows, axes = prod(before) * prod(after), (k,) * (keeps or k > 1)
    if not (dtype is SINGLE or dtype is DOUBLE) or not (rows * n and k) or n >= 1 << 31:
        return None
    left, double = (*before, *axes, *after) if k == 1 else (*before, *after, k), dtype is DOUBLE
    return Layout(KTH[double], BEST[double], rows, n, left, room_for(rows * k))


def _rows(x: np.ndarray, axis: int) -> np.ndarray:
    """An array whose rows lie in order."""
    x = x if axis == -1 else np.moveaxis(x, axis, -1)
    return x if x.flags.carray else plain(x)


def _ranked(x: np.ndarray, seen: Layout, axis: int, rank: int, which: int) -> np.ndarray:
    """The place of a rank in each row."""
    kernel, _, rows, n, left, room = seen
    x, y = x if axis == -1 and x.flags.carray else _rows(x, axis), room(left, LONG)
    kernel(POOL, id(x), id(y), 0, rows, n, 1, rank, which)
    return y


def _dropped(places: np.ndarray, axis: int, keeps: bool) -> np.ndarray:
    """Places without their axis, which is one long, unless it is to be kept."""
    return places if keeps else places.reshape((*places.shape[:axis], *behind(places.shape, axis)))


def _numbers(rng, n, dtype):
    return rng.integers(-n, n, (3, max(n // 3, 1))).astype(dtype)


@choice(reference=_kth, sample=lambda *a: (x := _numbers(*a), x.shape[1] // 2 + 1, -1, True))
def kth(x, k, axis, keeps):
    """The place of the k-th smallest entry along an axis, which stays at length one or goes."""
    seen = layout(x.dtype, x.shape, axis, 1, keeps)
    return _ranked(x, seen, axis, k - 1, FIXED) if seen else _kth(x, k, axis, keeps)


@choice(reference=_median, sample=lambda *a: (_numbers(*a), -2, True, True))
def median(x, axis, skip, keeps):
    """The place of the median along an axis, the lower of two; of NaN if there is one, unless it is to be skipped."""
    seen = layout(x.dtype, x.shape, axis, 1, keeps)
    return _ranked(x, seen, axis, 0, NUMBERS if skip else MEDIAN) if seen else _median(x, axis, skip, keeps)


@choice(reference=_best, sample=lambda *a: (x := _numbers(*a), x.shape[1] // 3 + 1, -1, True))
def best(x, k, axis, largest):
    """The places of the k largest (or smallest) entries along an axis, best first, of equal ones the earlier first."""
    seen = layout(x.dtype, x.shape, axis, k, True)
    return _best_places(x, seen, axis, k, largest) if seen else _best(x, k, axis, largest)


@choice(reference=_sorted_places, sample=lambda *a: (_numbers(*a), -1, True))
def sorted_places(x, axis, descending=False):
    """The places of the entries along an axis in order; equal ones stay in the order they had."""
    n = x.shape[axis]
    seen = layout(x.dtype, x.shape, axis, n, True)
    return _best_places(x, seen, axis, n, descending) if seen else _sorted_places(x, axis, descending)


def _best_places(x: np.ndarray, seen: Layout, axis: int, k: int, largest: bool) -> np.ndarray:
    """The places of the best of each row."""
    _, kernel, rows, n, left, room = seen
    x, y = x if axis == -1 and x.flags.carray else _rows(x, axis), room(left, LONG)
    kernel(POOL, id(x), id(y), 0, rows, n, k, k, largest)
    return y if axis == -1 or k == 1 else np.moveaxis(y, -1, axis)


def kth_pair(x: np.ndarray, axis: int, keeps: bool, rank: int, which: int) -> tuple | None:
    """The entry of a rank along an axis, and its place, at once; None where `kth` and `median` do without a kernel."""
    if x.size < PAIRED or not (seen := layout(x.dtype, x.shape, axis, 1, keeps)):
        return None
    kernel, _, rows, n, left, room = seen
    rowed = x if axis == -1 and x.flags.carray else _rows(x, axis)
    y, places = room(left, x.dtype), room(left, LONG)
    kernel(POOL, id(rowed), id(places), id(y), rows, n, 1, rank, which)
    return y, places


def best_pair(x: np.ndarray, k: int, axis: int, largest: bool) -> tuple | None:
    """The k largest (or smallest) entries along the last axis, and their places, at once; None for what `best` is to do."""
    if axis != -1 or x.size < PAIRED or not (seen := layout(x.dtype, x.shape, -1, k, True)):
        return None
    _, kernel, rows, n, left, room = seen
    rowed, y, places = x if x.flags.carray else plain(x), room(left, x.dtype), room(left, LONG)
    kernel(POOL, id(rowed), id(places), id(y), rows, n, k, k, largest)
    return y, places


PAIRED = LEAST["select.kth"] if COMPILED else math.inf  # entries
