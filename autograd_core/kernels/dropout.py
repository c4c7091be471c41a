"""Dropout: which entries are kept, from the bits of `random`, and the product with that.

Entry i of a draw is kept if the i-th 32-bit half of its words, as a fraction, is not below p.
"""

from __future__ import annotations

from math import prod

import numpy as np

from . import random
from ._jit import Kernel, Late, choice, kernel, plain
from ._memory import empty
from ._sizes import CHUNK
from ._threads import ADDRESS as POOL

high_product, entries, for_chunks = (
    Late("_order", "high_product"),
    Late("_borrowed", "entries"),
    Late("_native", "for_chunks"),
)
PER_BLOCK = 2 * random.WORDS  # 32-bit halves
GRAIN = CHUNK // PER_BLOCK // 2  # blocks that make a chunk
BOOL, SINGLE, DOUBLE = np.dtype(bool), np.dtype("f"), np.dtype("d")


@kernel(chunks=True)
def philox_above(begin, end, key0, key1, block, least, keep):
    """keep (blocks, 8): whether the halves of Philox4x64-10 blocks from block + 1 on are `least` or more."""
    first, second = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
    bump0, bump1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
    half, low, least = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(least)
    keep = keep[begin:end]
    start = np.uint64(block) + np.uint64(begin) + np.uint64(1)
    for i in range(len(keep)):
        a, b, c, d = start + np.uint64(i), np.uint64(0), np.uint64(0), np.uint64(0)
        k0, k1 = np.uint64(key0), np.uint64(key1)
        for _ in range(10):
            p, q = high_product(first, a), high_product(second, c)
            a, b, c, d = q ^ b ^ k0, second * c, p ^ d ^ k1, first * a
            k0, k1 = k0 + bump0, k1 + bump1
        keep[i, 0], keep[i, 1] = (a & low) >= least, (a >> half) >= least
        keep[i, 2], keep[i, 3] = (b & low) >= least, (b >> half) >= least
        keep[i, 4], keep[i, 5] = (c & low) >= least, (c >> half) >= least
        keep[i, 6], keep[i, 7] = (d & low) >= least, (d >> half) >= least


@kernel(chunks=True)
def product_where(begin, end, x, keep, scale, out):
    """x * scale where keep is true, else 0."""
    x, keep, out = x[begin:end], keep[begin:end], out[begin:end]
    zero, scale = x.dtype.type(0), x.dtype.type(scale)
    for i in range(len(x)):
        y = x[i] * scale
        out[i] = y if keep[i] else zero


@kernel(chunks=True)
def drop_blocks(begin, end, key0, key1, block, least, x, scale, keep, out):
    """keep as philox_above, and x * scale where that is true, else 0."""
    philox_above(begin, end, key0, key1, block, least, keep)
    first, last = begin * keep.shape[1], min(end * keep.shape[1], len(x))
    product_where(first, last, x, keep.reshape(keep.size), scale, out)


def whole(dtype: np.dtype) -> tuple[Kernel, Kernel]:
    """The kernels that drop entries of all of an array of a type: as they are drawn, and by a mask."""
    zero, false = dtype.type(0), np.bool_(False)

    @kernel(numbers="iiiiiiadaa", name=f"drop_{dtype.char}", launcher=True)
    def draw_all(pool, count, key0, key1, block, least, x, scale, keep, out):
        blocks = (count + PER_BLOCK - 1) // PER_BLOCK
        kept = entries(false, keep, blocks * PER_BLOCK).reshape(blocks, PER_BLOCK)
        xs, y = entries(zero, x, count), entries(zero, out, count)
        for_chunks(pool, drop_blocks, blocks, GRAIN, (key0, key1, block, least, xs, scale, kept, y))

    @kernel(numbers="iiaada", name=f"dropped_{dtype.char}", launcher=True)
    def mask_all(pool, count, x, keep, scale, out):
        xs, kept, y = entries(zero, x, count), entries(false, keep, count), entries(zero, out, count)
        for_chunks(pool, product_where, count, CHUNK, (xs, kept, scale, y))

    return draw_all, mask_all


KERNELS = {SINGLE: whole(SINGLE), DOUBLE: whole(DOUBLE)}


def _signed(word: int) -> int:
    """A word as a number that kernels take quickly."""
    return word - (word >> 63 << 64)


def least_half(p: float) -> int:
    """The first half that is kept, of 2**32."""
    return min(round(p * 2**32), 2**32)


def keep_reference(place: tuple, count: int, p: float) -> np.ndarray:
    """Which of the next `count` entries from a place on are kept."""
    w = random.words(place, -(-count // PER_BLOCK) * random.WORDS)
    return w.astype("<u8", copy=False).view("<u4")[:count] >= least_half(p)


def _place(rng, n, dtype):
    return tuple(int(v) for v in rng.integers(0, 2**63, 3)), n, 0.3


@choice(reference=keep_reference, sample=_place, size=lambda place, count, p: count)
def keep(place: tuple, count: int, p: float) -> np.ndarray:
    """Which of the next `count` entries from a place on are kept, each with probability 1 - p."""
    blocks = -(-count // PER_BLOCK)
    if place[2] + blocks >= random.WORD:
        return keep_reference(place, count, p)
    out = empty((blocks, PER_BLOCK), BOOL)
    philox_above(blocks, GRAIN, *map(_signed, place), least_half(p), out)
    return out.reshape(-1)[:count]


def keep_into(state: np.ndarray, p: float, out: np.ndarray) -> None:
    """The same for all of out (blocks, PER_BLOCK), from a generator's state, which moves on."""
    place = random.reserve(state, len(out))
    if place[2] + len(out) >= random.WORD:
        out.reshape(-1)[:] = keep_reference(place, out.size, p)
    else:
        philox_above(len(out), GRAIN, *map(_signed, place), least_half(p), out)


def dropped_reference(x: np.ndarray, mask: np.ndarray, scale: float) -> np.ndarray:
    """x * scale where the mask is true, else 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(mask, x * x.dtype.type(scale), np.zeros((), x.dtype))


def _masked(rng, n, dtype):
    return rng.standard_normal(n).astype(dtype), rng.random(n) < 0.7, 1.5


@choice(reference=dropped_reference, sample=_masked)
def dropped(x: np.ndarray, mask: np.ndarray, scale: float) -> np.ndarray:
    """x * scale where the mask is true, else 0."""
    if x.dtype.char not in "fd" or mask.shape != x.shape or mask.dtype != bool or not x.size:
        return dropped_reference(x, mask, scale)
    x, mask = plain(x), plain(mask)
    out = empty(x.shape, x.dtype)
    KERNELS[x.dtype][1](POOL, x.size, id(x), id(mask), scale, id(out))
    return out


def drop_reference(place: tuple, x: np.ndarray, p: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """x * scale where the next entries from a place on are kept, else 0; and where they are."""
    mask = keep_reference(place, x.size, p).reshape(x.shape)
    return dropped_reference(x, mask, scale), mask


def _dropped(rng, n, dtype):
    return _place(rng, n, dtype)[0], rng.standard_normal(n).astype(dtype), 0.3, 1.5


@choice(reference=drop_reference, sample=_dropped, size=lambda place, x, *rest: x.size)
def drop(place: tuple, x: np.ndarray, p: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """x * scale where the next entries from a place on are kept, else 0; and where they are."""
    count, blocks = x.size, -(-x.size // PER_BLOCK)
    if x.dtype.char not in "fd" or place[2] + blocks >= random.WORD or not count:
        return drop_reference(place, x, p, scale)
    x, kept = plain(x), empty((blocks * PER_BLOCK,), BOOL)
    out, words = empty(x.shape, x.dtype), map(_signed, place)
    KERNELS[x.dtype][0](POOL, count, *words, least_half(p), id(x), scale, id(kept), id(out))
    return out, kept[:count].reshape(x.shape)


def drawn(state: np.ndarray, x: np.ndarray, p: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """What is left of x, and where, with numbers from a generator's state, which moves on."""
    return drop(random.reserve(state, -(-x.size // PER_BLOCK)), x, p, scale)


def draw(state: np.ndarray, shape: tuple, p: float) -> np.ndarray:
    """A mask of a shape, from a generator's state, which moves on."""
    count = prod(shape)
    return keep(random.reserve(state, -(-count // PER_BLOCK)), count, p).reshape(shape)
