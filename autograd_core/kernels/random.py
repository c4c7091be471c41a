"""Random numbers as pure functions of a key, a place and a count, so that any draw can be replayed or split.

The bits are those of Philox4x64-10: block b of key k is a fixed function of (k, b) and holds four 64-bit words.  The
state of a generator is three words: two of key, and the number of the next unused block.  A draw reserves whole blocks
and turns their words into numbers, one after the other; number i of a draw depends on nothing but key, block and i.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

WORD = (1 << 64) - 1
WORDS = 4  # in a block
CHUNK = 1 << 15  # numbers made at a time, so that what is between bits and numbers stays in cache

_lock = threading.Lock()


@functools.cache
def _shared() -> tuple[np.random.Philox, Any]:
    """Making a source of bits costs more than a small draw, so there is one that is moved about, and its place."""
    source = np.random.Philox(0)
    return source, source.state


def _after_fork() -> None:
    """A child process has only the thread that forked: whoever else was drawing is gone, with both locks held."""
    global _lock
    _lock = threading.Lock()
    _shared.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def reserve(state: np.ndarray, blocks: int) -> tuple[int, int, int]:
    """Key and first block of a draw of so many blocks, which the state moves past."""
    with _lock:
        key0, key1, block = state.tolist()
        state[2] = (block + blocks) & WORD
    return key0, key1, block


def words(place: tuple[int, int, int], count: int) -> np.ndarray:
    """The first words from a place on; NumPy's source, put at block b - 1 of Philox, begins with block b."""
    key0, key1, block = place
    counter = (block, 0, 0, 0)
    if count > 1024:
        return _bits(place[:2], counter).random_raw(count)
    with _lock:
        source, place = _shared()
        place["state"]["key"], place["state"]["counter"] = (key0, key1), counter
        source.state = place
        return source.random_raw(count)


def _bits(key: tuple, counter: tuple) -> np.random.Philox:
    """A source of its own, for whoever should not keep others waiting."""
    return np.random.Philox(key=np.array(key, np.uint64), counter=np.array(counter, np.uint64))


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> list[int]:
    """Philox4x64-10 as its authors define it: ten rounds of two wide products on a block's number."""
    (k0, k1), (a, b, c, d) = key, counter
    for _ in range(10):
        p, q = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
        a, b, c, d = q >> 64 ^ b ^ k0, q & WORD, p >> 64 ^ d ^ k1, p & WORD
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & WORD, (k1 + 0xBB67AE8584CAA73B) & WORD
    return [a, b, c, d]


# --- from words to numbers -------------------------------------------------------------------------------------------

_LOWER_FIRST, _WORD = np.dtype("<u4"), np.dtype("<u8")
_8, _11, _21, _32 = np.array(8, np.uint32), np.array(11, np.uint64), np.array(21, np.uint32), np.array(32, np.uint64)
_LOWER_HALF = np.array(0xFFFFFFFF, np.uint64)


def _power(exponent: int, dtype: type) -> np.ndarray:
    """A power of two, without axes: NumPy takes that faster than a number."""
    return np.array(2.0**exponent, dtype)


_16TH, _32ND, _53RD = _power(-11, np.float16), _power(-24, np.float32), _power(-53, np.float64)
_HALVES_TO_1, _WORDS_TO_1 = _power(-32, np.float32), _power(-64, np.float64)
_STEP32, _STEP64 = _power(-1, np.float32), _power(-1, np.float64)


def _halves(w: np.ndarray) -> np.ndarray:
    """Words as twice as many 32-bit numbers, lower half first."""
    return w.astype(_WORD, copy=False).view(_LOWER_FIRST)


def _scaled(bits: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Whole numbers times a step, in the step's type."""
    u = bits.astype(step.dtype)
    return np.multiply(u, step, u)


def uniform16(w: np.ndarray) -> np.ndarray:
    """Two per word: the upper 11 of 32 bits, in steps of 2**-11 from 0 to below 1."""
    return _scaled(_halves(w) >> _21, _16TH)


def uniform32(w: np.ndarray) -> np.ndarray:
    """Two per word: the upper 24 of 32 bits, in steps of 2**-24 from 0 to below 1."""
    return _scaled(_halves(w) >> _8, _32ND)


def uniform64(w: np.ndarray) -> np.ndarray:
    """One per word: the upper 53 bits, in steps of 2**-53 from 0 to below 1."""
    return _scaled(w >> _11, _53RD)


def _above_zero(bits: np.ndarray) -> np.ndarray:
    """Uniform numbers above 0 and up to 1 from all bits: fine near 0, where logarithms look."""
    half, step = (_STEP32, _HALVES_TO_1) if bits.dtype.itemsize == 4 else (_STEP64, _WORDS_TO_1)
    u = bits.astype(step.dtype)
    np.add(u, half, u)
    return np.multiply(u, step, u)


def _exponential(bits: np.ndarray) -> np.ndarray:
    """The logarithm without its sign."""
    u = _above_zero(bits)
    return np.abs(np.log(u, u), u)


def _box_muller(bits: np.ndarray) -> np.ndarray:
    """Each two neighbours as a radius and an angle; the numbers are the point's two coordinates."""
    radius = _above_zero(bits[0::2])
    np.log(radius, radius)
    np.sqrt(np.multiply(radius, -2, radius), radius)
    angle = bits[1::2].astype(radius.dtype)
    np.multiply(angle, 2 * math.pi * 2.0 ** (-8 * bits.dtype.itemsize), angle)
    points = np.empty(bits.shape, radius.dtype)
    np.multiply(radius, np.cos(angle), points[0::2])
    np.multiply(radius, np.sin(angle), points[1::2])
    return points


RECIPES: dict[tuple[str, int], tuple[int, Callable]] = {  # by bytes per number: numbers per word, and how to make them
    ("uniform", 2): (2, uniform16),
    ("uniform", 4): (2, uniform32),
    ("uniform", 8): (1, uniform64),
    ("normal", 2): (2, lambda w: _box_muller(_halves(w)).astype(np.float16)),
    ("normal", 4): (2, lambda w: _box_muller(_halves(w))),
    ("normal", 8): (1, _box_muller),
    ("exponential", 2): (2, lambda w: _exponential(_halves(w)).astype(np.float16)),
    ("exponential", 4): (2, lambda w: _exponential(_halves(w))),
    ("exponential", 8): (1, _exponential),
}


def floats(state: np.ndarray, recipe: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A draw of floating-point numbers; complex ones are drawn as their two parts."""
    if dtype.kind == "c":
        parts = np.dtype(f"f{dtype.itemsize // 2}")
        return floats(state, recipe, (*shape, 2), parts).view(dtype).reshape(shape)
    return drawn(state, math.prod(shape), *RECIPES[recipe, dtype.itemsize]).reshape(shape)


def drawn(state: np.ndarray, count: int, per_word: float, make: Callable) -> np.ndarray:
    """So many numbers of a recipe, from blocks of their own."""
    per_block = int(WORDS * per_word)
    place = reserve(state, -(-count // per_block))
    if count <= CHUNK:
        return make(words(place, -(-count // per_block) * WORDS))[:count]
    pieces = range(0, count, CHUNK)  # which several threads could as well make
    return np.concatenate([_piece(place, start, min(CHUNK, count - start), per_block, make) for start in pieces])


def _piece(place: tuple[int, int, int], start: int, count: int, per_block: int, make: Callable) -> np.ndarray:
    """The numbers of a draw from `start` on, which is at the beginning of a block."""
    key0, key1, block = place
    place = key0, key1, block + start // per_block & WORD
    return make(words(place, -(-count // per_block) * WORDS))[:count]


def integers(state: np.ndarray, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
    """A draw of integers from low to below high, as int64 (uint64 if high needs it).

    A number is the upper part of the product of random bits and the range, of 64 bits if the range has at most 32 and
    of 128 otherwise: no number is likelier than another by more than 2**-32, or 2**-64, of its share.
    """
    span = high - low
    scale = np.array(span & WORD, np.uint64)
    if span > 1 << 32:
        offsets = drawn(state, math.prod(shape), 0.5, lambda w: _high_of_two_words(w[0::2], w[1::2], scale))
    else:
        offsets = drawn(state, math.prod(shape), 1, lambda w: _high_of_one_word(w, scale))
    y = np.add(offsets, np.array(low & WORD, np.uint64), offsets)  # wraps round, as two's complement wants it
    return (y.view(np.int64) if high <= 1 << 63 else y).reshape(shape)


def _high_of_one_word(w: np.ndarray, span: np.ndarray) -> np.ndarray:
    """w * span >> 64 for a span of at most 2**32."""
    y = w & _LOWER_HALF
    np.right_shift(np.multiply(y, span, y), _32, y)
    w >>= _32
    np.add(y, np.multiply(w, span, w), y)
    return np.right_shift(y, _32, y)


def _high_of_two_words(upper: np.ndarray, lower: np.ndarray, span: np.ndarray) -> np.ndarray:
    """(upper * 2**64 + lower) * span >> 128; a span of 2**64 is written as 0."""
    if not span:
        return upper.copy()
    low = upper * span  # wraps round: the lower word of the product
    carry = low + _high(lower, span) < low
    return _high(upper, span) + carry


def _high(w: np.ndarray, span: np.ndarray) -> np.ndarray:
    """w * span >> 64, from four products of halves."""
    a, b, c, d = w >> _32, w & _LOWER_HALF, span >> _32, span & _LOWER_HALF
    ad, bc = a * d, b * c
    middle = (b * d >> _32) + (ad & _LOWER_HALF) + (bc & _LOWER_HALF)
    return a * c + (ad >> _32) + (bc >> _32) + (middle >> _32)


def permutation(state: np.ndarray, n: int) -> np.ndarray:
    """The order of n random words."""
    return np.argsort(words(reserve(state, -(-n // WORDS)), n))


def bernoulli(state: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Whether uniform numbers of double precision fall below p."""
    return floats(state, "uniform", p.shape, np.dtype(np.float64)) < p


def poisson(state: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Counts by NumPy's sampler, which needs no fixed number of words: it has a stream of its own beside each block."""
    key0, key1, block = reserve(state, 1)
    source = np.random.Generator(_bits((key0, key1), (0, block, 1, 0)))
    return np.asarray(source.poisson(rate)).astype(rate.dtype)


def multinomial(state: np.ndarray, weights: np.ndarray, count: int, replacement: bool) -> np.ndarray:
    """Places drawn with probability proportional to the weights along the last axis."""
    weights = weights / weights.max(axis=-1, keepdims=True, initial=0, where=weights > 0).astype(np.float64)
    if replacement:
        return _with_replacement(state, np.cumsum(weights, axis=-1), count)
    race = floats(state, "exponential", weights.shape, weights.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        arrivals = np.log(race) - np.log(weights)
    return np.argsort(arrivals, axis=-1, kind="stable")[..., :count]


def _with_replacement(state: np.ndarray, sums: np.ndarray, count: int) -> np.ndarray:
    """The first places whose running sums exceed random fractions of the whole.

    Never one of weight zero: at the far end, where a fraction may be rounded up to the whole, that takes a limit.
    """
    u = floats(state, "uniform", (*sums.shape[:-1], count), sums.dtype) * sums[..., -1:]
    places = np.empty(u.shape, np.int64)
    for row in np.ndindex(u.shape[:-1]):
        last = np.searchsorted(sums[row], sums[row][-1], side="left")
        places[row] = np.minimum(np.searchsorted(sums[row], u[row], side="right"), last)
    return places
