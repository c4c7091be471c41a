"""Masks: entries where a condition holds, found, read, filled, replaced."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..op import Traced, op
from . import math
from .arguments import common_shape, differs, needs_number
from .arranging import reshape_to, view_at
from .base import broadcast_to as spread_to
from .entries import mask_places, put_entries, take_entries, true_before
from .index import misplaced, suited
from .parts import unbind
from .shape import atleast_1d, ravel

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero"]
INPLACE = ["masked_fill", "masked_scatter"]


def truth_values(mask: Any, name: str) -> Any:
    """A mask as an array of truth values."""
    mask = mask if isinstance(mask, (Traced, np.ndarray)) else np.asarray(mask)
    if mask.dtype.kind != "b":
        raise TypeError(f"{name}: mask must hold truth values, got {mask.dtype}; write mask > 0 or mask.bool()")
    return mask


@op(differentiable=False)
def argwhere(x):
    """The indices of the nonzero entries, as rows."""
    return np.argwhere(x)


def masked_fill(x, mask, value):
    """x with one number wherever mask is true."""
    mask = truth_values(mask, "masked_fill")
    needs_number(value, "masked_fill")
    common_shape([x.shape, mask.shape], "masked_fill")
    return math.where(mask, suited(value, (), x.dtype, "masked_fill"), x)


def masked_select(x, mask):
    """The entries where mask is true, as a vector."""
    x, mask = _aligned(x, mask, "masked_select")
    try:
        return take_entries(x, mask_places(mask), axes=tuple(range(-x.ndim, 0)), after=0)
    except IndexError as error:
        raise misplaced(error, "masked_select", x) from None


def masked_scatter(x, mask, source):
    """x with the entries where mask is true replaced by those of source, in order."""
    x, mask = _aligned(x, mask, "masked_scatter")
    if differs(mask):
        return _scattered_by_count(x, mask, source)
    places = mask_places(mask)
    if prod(source.shape) < places.shape[0]:
        raise ValueError(
            f"masked_scatter: mask has {places.shape[0]} true entries, but source only {prod(source.shape)}"
        )
    v = suited(view_at(ravel(source), index=(slice(places.shape[0]),)), tuple(places.shape), x.dtype, "masked_scatter")
    return put_entries(x, v, places, axes=tuple(range(-x.ndim, 0)), after=0)


def _scattered_by_count(x: Any, mask: Any, source: Any) -> Any:
    """The same for a mask that differs over a batch: each true entry takes the value that its number among them is."""
    turns = true_before(ravel(mask))
    try:
        v = take_entries(ravel(source), turns, axes=(-1,), after=0)
    except IndexError as error:
        raise misplaced(error, "masked_scatter", source) from None
    return math.where(mask, suited(reshape_to(v, shape=tuple(x.shape)), tuple(x.shape), x.dtype, "masked_scatter"), x)


def _aligned(x: Any, mask: Any, name: str) -> tuple[Any, Any]:
    """A tensor and a mask in their common shape, with one axis at least."""
    mask = truth_values(mask, name)
    shape = common_shape([x.shape, mask.shape], name) or (1,)
    return tuple(a if a.shape == shape else spread_to(a, shape=shape) for a in (x, mask))


def nonzero(x, *, as_tuple=False):
    """The indices of the nonzero entries as rows, or as one vector for each axis."""
    if as_tuple:
        return unbind(argwhere(atleast_1d(x)), 1)
    return argwhere(x)
