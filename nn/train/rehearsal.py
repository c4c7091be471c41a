"""A compiled step that is tried before it counts.

What `compile` has not seen yet it runs as it comes, and later replays with sums in another order.  A run that is broken
off and taken up would do that again and end with other bits; so calls are made on trial until the first replay, and
everything they changed is put back: then each step that counts is a replay, in whatever process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag

from .run import Run

TRIALS = 4


class Rehearsed:
    """A compiled step of a run, tried on the first batch of each form, of as many forms as replays are kept for.

    What has more forms than that runs as it comes time and again, and to try it would be work in vain.
    """

    def __init__(self, step: Any, run: Run):
        self.step, self.run = step, run
        self.known: set[tuple] = set()

    def __call__(self, *batch: Any) -> Any:
        form = _form(batch)
        if form not in self.known and len(self.known) < self.step.cache_info().maximum:
            self.known.add(form)
            self.rehearse(batch)
        return self.step(*batch)

    def rehearse(self, batch: tuple) -> None:
        """Call the step until it is replayed, and put back what that has changed."""
        _begin(self.run.optimizers)
        random, before = ag.get_rng_state(), [(a, a.copy()) for a in _arrays(self.run)]
        try:
            for _ in range(TRIALS):
                replays = self.step.cache_info().replays
                self.step(*batch)
                if self.step.cache_info().replays > replays:
                    break
        finally:
            for array, values in before:
                array[...] = values
            ag.set_rng_state(random)


def _form(part: Any) -> tuple:
    """Shapes and types in a batch."""
    if isinstance(part, (tuple, list)):
        return tuple(map(_form, part))
    if isinstance(part, dict):
        return tuple((key, _form(value)) for key, value in part.items())
    return (getattr(part, "shape", ()), str(getattr(part, "dtype", type(part))))


def _begin(optimizers: list) -> None:
    """Have optimizers remember what they would from their first step on, so that it can be put back."""
    for optimizer in optimizers:
        remembered: Callable | None = getattr(optimizer, "remembered", None)
        for group in optimizer.param_groups if remembered else ():
            for p in group["params"]:
                if p.requires_grad:
                    remembered(group, p)  # type: ignore[misc]


def _arrays(run: Run) -> Iterator[np.ndarray]:
    """All numbers that a step may change."""
    tensors = [*run.model.parameters(), *run.model.buffers()]
    for optimizer in run.optimizers:  # which may be anything that has a step
        tensors += [v for state in getattr(optimizer, "state", {}).values() for v in state.values()]
        tensors += [p for group in getattr(optimizer, "param_groups", ()) for p in group["params"]]
    for tensor in {id(t): t for t in tensors if isinstance(t, ag.Tensor)}.values():
        yield tensor.detach().numpy()
