"""NumPy and SciPy, which have no gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..rows import Step
from .library import Library as Base


class Library(Base):
    """See `library.Library`."""

    m = np = np

    def call(self, f: Callable, arrays: Sequence) -> Step:
        return lambda: f(self, *arrays)
