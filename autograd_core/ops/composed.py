"""Rules for ops whose kernels do at once what a composition of ops would: found by differentiating the composition.

Such an op has a pull of its own, with kernels again.  The rule of the pull is the derivative of what the pull computes,
and that is what `pulled_back` gives for the composition, to any order and under any transform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..op import Traced
from ..tape import state


class OnDemand:
    """The cotangents of several inputs, of which those given as functions are computed when asked for."""

    def __init__(self, *parts: Any):
        self.parts = parts

    def __getitem__(self, i: int) -> Any:
        part = self.parts[i]
        return part() if callable(part) else part


@contextmanager
def _above(values: Sequence) -> Iterator[None]:
    """Let what is differentiated here be a transform around all that is going on in these values."""
    before = state.depth
    state.depth = max([before, *[(v.level + 1) // 2 for v in values if isinstance(v, Traced)]])
    try:
        yield
    finally:
        state.depth = before


def pulled_back(f: Callable, primals: Sequence, cotangents: Sequence) -> tuple:
    """The cotangents of primals, given those of the results of f(*primals); None stands for zero."""
    from ..functional import vjp

    with _above([*primals, *cotangents]):
        ys, pull = vjp(f, *primals)
        found = pull(tuple(np.zeros(y.shape, y.dtype) if g is None else g for y, g in zip(ys, cotangents)))
    return found if len(primals) > 1 else (found,)


def arrived(g: Any, like: Any) -> Any:
    """A cotangent, or zeros without memory where none arrived."""
    return np.broadcast_to(np.zeros((), like.dtype), like.shape) if g is None else g
