"""Kernels and ops, by size and shape: a file for each family, whose `rows()` declares its rows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from benchmarks.rows import Row

FAMILIES = """
    convolution matmul attention softmax losses norm elementwise reduce scan scatter embedding pooling recurrent updates
""".split()


def rows() -> Iterator[Row]:
    """The rows of every family."""
    for family in FAMILIES:
        yield from importlib.import_module(f"{__name__}.{family}").rows()
