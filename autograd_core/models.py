"""Models: what has named modules inside.  Which these are is not known here; what is asked of one is that a look leaves it be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .random import get_rng_state, set_rng_state


def is_module(f: Any) -> bool:
    """Whether something is a model whose parts have names."""
    return hasattr(f, "named_modules") and hasattr(f, "register_forward_pre_hook")


@contextmanager
def as_it_was(model: Any) -> Iterator[None]:
    """Afterwards the hooks, the buffers, the modes and the state of random numbers are what they were."""
    spaces = [(vars(m), dict(vars(m))) for m in model.modules()]
    buffers = [(b, b.value, b.value.copy()) for b in model.buffers()]
    random = get_rng_state()
    try:
        yield
    finally:
        for space, before in spaces:
            space.clear()
            space.update(before)
        for b, array, values in buffers:
            b.value = array
            if not np.array_equal(array, values, equal_nan=array.dtype.kind in "fc"):
                array[...] = values
        set_rng_state(random)
