"""How calls are written that only move entries: as copies of arrays, or of pieces of them, into place."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from .emit import emitter
from .program import Array, Call, address, in_order
from .rows import moved, zeroed


@emitter("reshape", "compact", "clone")
def whole(call: Call) -> list | None:
    """The same entries, in order."""
    x, y = call.args[0], call.results[0]
    if x.shape != y.shape:
        y = y._replace(shape=x.shape, strides=in_order(x)) if y.contiguous else None
    return y and [moved(x, y)]


@emitter("cat")
def cat(call: Call) -> list:
    """Arrays side by side."""
    y, axis = call.results[0], call.params["axis"]
    ends = accumulate(x.shape[axis] for x in call.args)
    return [moved(x, part(y, axis, end - x.shape[axis], x.shape[axis])) for x, end in zip(call.args, ends)]


@emitter("stack")
def stack(call: Call) -> list:
    """Arrays along a new axis."""
    y, axis = call.results[0], call.params["axis"]
    axis %= len(y.shape)
    places = (part(y, axis, k, 1) for k in range(len(call.args)))
    without = lambda values: values[:axis] + values[axis + 1 :]
    flat = (a._replace(shape=without(a.shape), strides=without(a.strides)) for a in places)
    return [moved(x, a) for x, a in zip(call.args, flat)]


@emitter("put_block")
def put_block(call: Call) -> list:
    """Zeros with a block of entries."""
    x, y, index = call.args[0], call.results[0], call.params["index"]
    like = np.lib.stride_tricks.as_strided(np.empty(1, y.dtype), y.shape, y.strides)
    block = like[index if ... in index else (*index, ...)]
    block = y._replace(offset=y.offset + address(block) - address(like), shape=block.shape, strides=block.strides)
    return [zeroed(y), moved(x, block)]


@emitter("roll")
def roll(call: Call) -> list | None:
    """Entries moved along axes: each piece to where it goes, those that fall off the end to the start."""
    x, y = call.args[0], call.results[0]
    shifts: dict[int, int] = {}
    for shift, axis in zip(call.params["shifts"], call.params["axis"]):
        shifts[axis % len(x.shape)] = shifts.get(axis % len(x.shape), 0) + shift
    pieces = [(x, y)]
    for axis, shift in shifts.items():
        n = x.shape[axis]
        first = shift % n if n else 0  # where the first entry goes
        bounds = [(0, first, n - first), (n - first, 0, first)]
        pieces = [
            (part(a, axis, k, count), part(b, axis, j, count)) for a, b in pieces for k, j, count in bounds if count
        ]
    return [moved(a, b) for a, b in pieces] if x.size else None


def part(a: Array, axis: int, begin: int, count: int) -> Array:
    """Some of an axis."""
    axis %= len(a.shape)
    shape = (*a.shape[:axis], count, *a.shape[axis + 1 :])
    return a._replace(offset=a.offset + begin * a.strides[axis], shape=shape)
