"""Dropout: entries, channels, and the form that keeps mean and variance.

Masks are drawn from the default generator.  An entry that is dropped is 0 whatever it was, and so is its gradient.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np

from ..direct import arrays_of, recorded
from ..kernels import dropout as kernels
from ..op import Traced, op
from ..tape import state
from ..tensor import Tensor
from ..views import write
from .math import where

__all__: list[str] = []  # PyTorch's functions of these names at the top level have other parameters

ALPHA = 1.7580993408473766  # what SELU tends to far below zero, without its sign


def _sample(rng):
    shape = tuple(int(n) for n in rng.integers(0, 4, int(rng.integers(3))))
    mask = rng.random(shape if rng.random() < 0.7 or not shape else (*shape[:-1], 1)) < 0.6
    return [rng.standard_normal(shape), mask], {"scale": 1.5}


@op(
    lambda g, mask, scale: dropped(g, mask, scale=scale), None, linear=True, elementwise=True, samples=_sample
)  # fmt: skip
def dropped(x, mask, *, scale):
    """x * scale where the mask is true, else 0."""
    return kernels.dropped(x, mask, scale)


@op(mutates=("state",), samples=(), name="dropout")
def draw_mask(state, *, shape, p):
    """True with probability 1 - p."""
    return kernels.draw(state, shape, p)


def _mask(x: Any, shape: tuple, p: float) -> Any:
    """A mask for x, an array where x is one, unless it differs between the members of a vmap."""
    from ..random import drawn

    mask = drawn(draw_mask, None, shape=shape, p=p)
    return mask.value if isinstance(mask, Tensor) and not isinstance(x, Traced) else mask


def checked(p: Any, name: str) -> float:
    """The probability, if it is one."""
    if not isinstance(p, (int, float, np.number)) or not 0 <= p <= 1:
        raise ValueError(f"{name}: p is the probability to drop an entry, from 0 to 1, but got {p!r:.40}")
    return float(p)


@functools.cache
def _random() -> Any:
    """The module of random numbers, which is made of ops; to import it at each call would be a tenth of a small one."""
    from .. import random

    return random


def _at_once(x: Any, value: np.ndarray, p: float) -> Any:
    """Dropout where nobody watches: mask and product in one step."""
    scale = 1 / (1 - p) if p < 1 else 0.0
    y, mask = kernels.drawn(_random().current_generator().state, value, p, scale)
    return recorded(dropped.op, (x, mask), [value, mask], {"scale": scale}, y)


def _drop(x: Any, p: Any, training: bool, inplace: bool, name: str, shape: tuple | None = None, alpha=False) -> Any:
    """x with entries (or whatever has the shape given) dropped."""
    p = checked(p, name)
    if training and p and shape is None and not (alpha or inplace or state.mapped) and (values := arrays_of((x,))):
        (value,) = values
        if value.size and value.dtype.kind in "fc":
            return _at_once(x, value, p)
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name}: expected floating-point numbers, got {x.dtype}; use input.float()")
    if not training or p == 0 or not math.prod(x.shape):
        return x
    mask = _mask(x, tuple(x.shape) if shape is None else shape, p)
    if alpha and p < 1:
        scale = 1 / math.sqrt((ALPHA * ALPHA * p + 1) * (1 - p))
        shift = where(mask, ALPHA * scale * p, ALPHA * scale * (p - 1))
        y = dropped(x, mask, scale=scale) + shift.astype(x.dtype)
    else:
        y = dropped(x, mask, scale=1 / (1 - p) if p < 1 else 0.0)
    if inplace:
        write(x, y, name)
        return x
    return y


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, entries set to 0 with probability p, and the others scaled so that the mean stays."""
    return _drop(input, p, training, inplace, "dropout")


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """In training, entries set to what SELU tends to with probability p, then scaled to keep mean and variance."""
    return _drop(input, p, training, inplace, "alpha_dropout", alpha=True)


def _channels(input: Any, p: Any, training: bool, inplace: bool, name: str, alpha: bool = False) -> Any:
    """Whole channels of input (N, C, ...) dropped."""
    if input.ndim < 2:
        raise ValueError(f"{name}: input must be (N, C, ...), got shape {tuple(input.shape)}")
    shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _drop(input, p, training, inplace, name, shape, alpha)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout of whole channels of input (N, C, ...)."""
    return _channels(input, p, training, inplace, "feature_alpha_dropout", True)


def _warn(input: Any, name: str, *meant: int) -> None:
    """Say how input is understood that has another number of axes than is meant."""
    if input.ndim not in meant:
        text = f"{name}: input has {input.ndim} axes, {meant[0]} or {meant[1]} are meant; the first two count as (N, C)"
        warnings.warn(text, stacklevel=3)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Whole channels of input (N, C, L) or (C, L) dropped."""
    if input.ndim not in (2, 3):
        raise ValueError(f"dropout1d: input must be (N, C, L) or (C, L), got shape {tuple(input.shape)}")
    if input.ndim == 2:
        return _drop(input, p, training, inplace, "dropout1d", (input.shape[0], 1))
    return _channels(input, p, training, inplace, "dropout1d")


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Whole channels of input (N, C, H, W) dropped; three axes are taken for (N, C, L), as in PyTorch."""
    _warn(input, "dropout2d", 3, 4)
    return _channels(input, p, training, inplace, "dropout2d")


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Whole channels of input (N, C, D, H, W) or (C, D, H, W) dropped."""
    if input.ndim == 4:
        return _drop(input, p, training, inplace, "dropout3d", (input.shape[0], 1, 1, 1))
    _warn(input, "dropout3d", 4, 5)
    return _channels(input, p, training, inplace, "dropout3d")
