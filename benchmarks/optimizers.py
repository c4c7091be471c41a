"""Steps of Adam alone: many small parameters, many large ones, and a net that has been saturated for long.

Theirs is PyTorch's best, `fused=True`; in the last row it is our own optimizer at its 20th step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import autograd_core as ag
import optim

from .rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]


def adam(count: int, size: int, library: str = "ours") -> Callable[[], object]:
    """A step of parameters that have gradients."""
    rng = np.random.default_rng(0)
    tensor = torch.tensor if library == "theirs" else ag.tensor
    params = [tensor(rng.standard_normal(size).astype("f"), requires_grad=True) for _ in range(count)]
    for p in params:
        p.grad = tensor(rng.standard_normal(size).astype("f"))
    return torch.optim.Adam(params, fused=True).step if library == "theirs" else optim.Adam(params).step


def saturated(steps: int) -> Callable[[], object]:
    """A step after so many whose gradients are zero, subnormal, or anything up to 1, and always the same."""
    rng = np.random.default_rng(0)
    p = ag.tensor(rng.standard_normal(10_000).astype("f"), requires_grad=True)
    p.grad = ag.tensor(rng.standard_normal(10_000).astype("f"))
    step = optim.Adam([p]).step
    step()
    p.grad = ag.tensor((rng.standard_normal(10_000) * np.exp(rng.uniform(-110, 0, 10_000))).astype("f"))
    for _ in range(steps):
        step()
    return step


class Late:
    """A step that is made when it is first wanted."""

    def __init__(self, make: Callable, *args: object):
        self.make, self.args, self.step = make, args, None

    def __call__(self) -> object:
        self.step = self.step or self.make(*self.args)
        return self.step()


def rows() -> Iterator[Row]:
    """What parameters, gradients and moments are read and written: seven arrays."""
    for count, size in (50, 1_000), (100, 100_000):
        theirs = Late(adam, count, size, "theirs") if torch else None
        yield Row("Adam", "step", f"{count} x {size:,}", Late(adam, count, size), theirs, bytes=28.0 * count * size)
    yield Row("Adam", "step 20,000 beside step 20", "saturated", Late(saturated, 20_000), Late(saturated, 20))
