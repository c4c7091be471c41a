"""Which weights attention drops, block by block, from the counter of `random` alone.

Every head has Philox blocks of its own, from its start on: eight for each key and each LANES queries, keys of the first
LANES queries before those of the next.  So a block of scores, with a row for each key, takes neighbours, whose halves lie
as its entries do; what is drawn again on the way back, in blocks of another size or of a part of all keys, is the same.
"""

from __future__ import annotations

import numpy as np

from . import random
from ._jit import kernel, plain
from .dropout import PER_BLOCK, keep, least_half, philox_above

LANES = 64  # queries of a block
KEYS = 128  # keys of a block, at most
PER_KEY = LANES // PER_BLOCK  # Philox blocks


@kernel
def kept(starts, row, first, count, least, keep):
    """keep (at least 8 * count, 8): which weights of `count` keys are kept, the first of them the `first` of a head."""
    philox_above(0, count * 8, starts[row, 0], starts[row, 1], starts[row, 2] + first * 8, least, keep)


@kernel
def dropped(s, count, keep):
    """Weights become 0 where they are not kept."""
    zero, keep = s.dtype.type(0), keep.reshape(keep.size)
    for k in range(count):
        row, stays = s[k * LANES : (k + 1) * LANES], keep[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            a = row[i]
            row[i] = a if stays[i] else zero


def blocks_of(length: int, keys: int) -> int:
    """The Philox blocks of a head."""
    return -(-length // LANES) * keys * PER_KEY


def draw(state: np.ndarray, shape: tuple, length: int, keys: int) -> np.ndarray:
    """Where the words of each head begin, key and block: (*shape, 1, 3); the state moves past them all."""
    heads, blocks = int(np.prod(shape)), blocks_of(length, keys)
    key0, key1, block = random.reserve(state, heads * blocks)
    if block + heads * blocks >= random.WORD:
        block = 0  # counters of kernels have one word
    places = np.empty((heads, 3), np.uint64)
    places[:, :2] = key0, key1
    places[:, 2] = np.arange(heads, dtype=np.uint64) * np.uint64(blocks) + np.uint64(block)
    return places.reshape(*shape, 1, 3)


def mask_of(place: np.ndarray, lead: tuple, length: int, keys: int, p: float) -> np.ndarray:
    """Which weights are kept, all at once: (*lead, length, keys)."""
    count = blocks_of(length, keys) * PER_BLOCK
    rows = place.reshape(-1, 3).tolist()
    masks = np.array([keep(tuple(row), count, p) for row in rows], bool)
    masks = masks.reshape(*place.shape[:-2], -(-length // LANES), keys, LANES).swapaxes(-1, -2)
    masks = masks.reshape(*place.shape[:-2], -(-length // LANES) * LANES, keys)[..., :length, :]
    return np.broadcast_to(masks, (*lead, length, keys))


def grown(p: float, dtype: np.dtype) -> np.number:
    """What those that are kept are multiplied by."""
    return dtype.type(1 / (1 - p) if p < 1 else 0)


def dropout_of(place: np.ndarray | None, lead: tuple, p: float, dtype: np.dtype) -> tuple:
    """Where words begin, which of these are each head's, the first half that is kept, and what that is multiplied by."""
    if not p:
        return np.empty((0, 3), np.int64), np.zeros(0, np.int64), 0, dtype.type(1)
    assert place is not None
    starts = plain(place).reshape(-1, 3).view(np.int64)
    row = np.broadcast_to(np.arange(len(starts)).reshape(place.shape[:-2]), lead)
    return starts, np.ascontiguousarray(row).reshape(-1), least_half(p), grown(p, dtype)
