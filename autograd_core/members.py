"""Random draws inside vmap: once for all members of a batch, anew for each, or an error, as its `randomness` says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import called
from .op import Traced
from .ops.joining import stack
from .tape import state as thread
from .tensor import at
from .vmap import Batched


def drawn(one: Callable, draw: Any, state: np.ndarray, values: tuple, params: dict) -> Any:
    """A draw inside vmap: once for all members of those that say "same", anew for each of those that say "different"."""
    levels = [_level(draw, values, *mapping) for mapping in thread.mapped]
    anew = [level for level in levels if level is not None]
    sizes = tuple(size for _, size in anew)
    if not anew:
        return one(draw, state, values, params)
    if values:  # what they are drawn for is made to differ, or at least to have the axes
        return one(draw, state, tuple(v + _boxed(at(np.zeros(sizes, v.dtype)), anew) for v in values), params)
    if "shape" in params:
        return _boxed(one(draw, state, (), params | {"shape": (*sizes, *params["shape"])}), anew)
    rows = [one(draw, state, (), params) for _ in range(math.prod(sizes))]
    return _boxed(stack(rows).reshape(*sizes, *rows[0].shape), anew)


def _level(draw: Any, values: tuple, level: int, size: int, randomness: str) -> tuple[int, int] | None:
    """The level and size of a vmap whose members draw anew; None if they do not, an error if it cannot be."""
    name = called(draw.op.name)
    if randomness == "error":
        raise RuntimeError(
            f"{name}: a random draw inside vmap; give vmap randomness='different' if each member is to draw its own, "
            "'same' if all are to share one, or draw before, outside of vmap"
        )
    if randomness == "different":
        return level, size
    if any(_is_batched(v, level) for v in values):
        raise RuntimeError(
            f"{name}: members cannot share a draw whose parameters differ between them; "
            "give vmap randomness='different', or compare one draw of rand with them"
        )
    return None


def _is_batched(value: Any, level: int) -> bool:
    """Whether a value differs between the members of the vmap of a level."""
    while isinstance(value, Traced) and value.level > level:
        value = value.innermost()
    return isinstance(value, Batched) and value.level == level


def _boxed(y: Any, levels: list) -> Any:
    """Values whose first axes are those of the levels, from the outermost in."""
    for level, _ in levels:
        y = Batched(y, level)
    return y
