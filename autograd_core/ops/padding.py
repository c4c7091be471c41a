"""Borders around arrays: of one value, or continuing what is inside by reflection, repetition or going round."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..op import op
from ..samples import shapes
from .arguments import integers
from .arranging import along, put_block, view_at

__all__ = ["constant_pad_nd"]  # `pad` is in torch.nn.functional

MODES = ("reflect", "replicate", "circular")


def _strips(y: np.ndarray, axis: int, before: int, after: int, mode: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The strips of a border along an axis, each with what it repeats, as views."""
    part = lambda start, stop, step=1: y[along(axis, slice(start, stop, step))]
    end = y.shape[axis] - after  # of what is inside
    if before:
        yield (
            part(0, before),
            {
                "reflect": lambda: part(2 * before, before, -1),
                "replicate": lambda: part(before, before + 1),
                "circular": lambda: part(end - before, end),
            }[mode](),
        )
    if after:
        yield (
            part(end, end + after),
            {
                "reflect": lambda: part(end - 2, end - 2 - after if end - 2 - after >= 0 else None, -1),
                "replicate": lambda: part(end - 1, end),
                "circular": lambda: part(before, before + after),
            }[mode](),
        )


def _inside(shape: tuple, borders: tuple) -> tuple:
    """The index of what the borders are around."""
    sizes = shape[len(shape) - len(borders) :]
    return (..., *[slice(before, n - after) for n, (before, after) in zip(sizes, borders)])


def _options(*choices: tuple) -> dict:
    return {"borders": list(choices), "mode": list(MODES)}


@op(
    lambda g, borders, mode: gathered(g, borders=borders, mode=mode),
    linear=True,
    trailing=True,
    samples=shapes("2 3 4", **_options(((1, 2),), ((2, 0), (0, 3)), ((1, 1), (2, 1), (3, 3)))),
)
def continued(x, *, borders, mode):
    """x with borders around its last axes, (before, after) for each, that continue it."""
    lead = x.ndim - len(borders)
    sizes = [n + before + after for n, (before, after) in zip(x.shape[lead:], borders)]
    y = np.empty((*x.shape[:lead], *sizes), x.dtype)
    y[_inside(y.shape, borders)] = x
    for axis, (before, after) in enumerate(borders, -len(borders)):  # corners come right with the last axis
        for strip, source in _strips(y, axis, before, after, mode):
            strip[...] = source
    return y


@op(
    lambda g, borders, mode: continued(g, borders=borders, mode=mode),
    linear=True,
    trailing=True,
    samples=shapes("4 5 7", **_options(((1, 2),), ((2, 0), (0, 3)), ((1, 1), (2, 0), (2, 2)))),
)
def gathered(g, *, borders, mode):
    """The transpose of `continued`: what lies on the borders added to where it came from."""
    g = g.copy()
    for axis, (before, after) in zip(range(-1, -len(borders) - 1, -1), borders[::-1]):
        for strip, source in _strips(g, axis, before, after, mode):
            source += strip.sum(axis, keepdims=True) if mode == "replicate" else strip
    return np.ascontiguousarray(g[_inside(g.shape, borders)])


def pad(input, pad, mode="constant", value=None):
    """input with borders: pad is (before, after) of the last axis, then of the one before it, and so on.

    The mode says what they hold: "constant" the value (0 if none is given), "reflect" the entries mirrored at the last
    one, "replicate" the last one, "circular" those from the other end.  Negative numbers take entries away.
    """
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if mode not in MODES:
        raise ValueError(f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r:.40}")
    if value:
        raise ValueError(f"pad: a value belongs to mode='constant'; mode={mode!r} takes its entries from the input")
    numbers = integers((pad,), "pad")
    borders = tuple([numbers[k : k + 2] for k in range(len(numbers) - 2, -1, -2)])
    _check(input, numbers, borders, mode)
    if not any(n < 0 for n in numbers):
        return continued(input, borders=borders, mode=mode)
    kept = (..., *[slice(max(-a, 0), min(b, 0) or None) for a, b in borders])
    added = tuple([(max(a, 0), max(b, 0)) for a, b in borders])
    if mode == "circular":  # goes round what is left
        return continued(view_at(input, index=kept), borders=added, mode=mode)
    return view_at(continued(input, borders=added, mode=mode), index=kept)


def _check(x: Any, numbers: tuple, borders: tuple, mode: str) -> None:
    if len(numbers) % 2 or len(borders) > x.ndim:
        raise ValueError(f"pad: needs two numbers for each of at most {x.ndim} axes, got {numbers}")
    for axis, sides in enumerate(borders, -len(borders)):
        n, taken = x.shape[axis], -min(sides[0], 0) - min(sides[1], 0)
        most = {"reflect": n - 1, "replicate": math.inf if n else 0, "circular": n - taken}[mode]
        if n + sum(sides) < 0 or max(sides) > most:
            need = {
                "reflect": "borders shorter than the axis",
                "replicate": "at least one entry inside",
                "circular": "borders no longer than what they go round",
            }[mode]
            shape = tuple(x.shape)
            raise ValueError(f"pad: mode {mode!r} needs {need}; got {sides} for dim {axis} of shape {shape}")


def constant_pad_nd(x, pad, value=0):
    """x with entries put around it: pad is (before, after) of the last axis, then of the one before it, and so on.

    Negative numbers take entries away.
    """
    pad = integers((pad,), "constant_pad_nd")
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(f"constant_pad_nd: needs two numbers for each of at most {x.ndim} axes, got {pad}")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [pad[k : k + 2] for k in range(len(pad) - 2, -1, -2)]
    shape = tuple(a + n + b for (a, b), n in zip(pairs, x.shape))
    if any(n < 0 for n in shape):
        raise ValueError(f"constant_pad_nd: {pad} takes away more than there is of shape {x.shape}")
    if any(n < 0 for n in pad):
        x = view_at(x, index=tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, x.shape)))
    index = tuple(slice(max(a, 0), max(a, 0) + n) for (a, _), n in zip(pairs, x.shape))
    padded = put_block(x, shape=shape, index=index)
    return padded if value == 0 else padded + border(shape, index, value, x.dtype)


def border(shape: tuple, index: tuple, value: Any, dtype: Any) -> np.ndarray:
    """A value everywhere but in a block of zeros."""
    frame = np.full(shape, value, dtype)
    frame[index] = 0
    return frame
