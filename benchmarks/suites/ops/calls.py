"""Rows of a function of arrays: alone, and with its gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.rows import Row, alike

USUAL = "ours", "torch", "jax"
SIZES = [10**k for k in range(2, 8)]
SHAPES = {
    100: (10, 10),
    1000: (10, 100),
    10**4: (100, 100),
    10**5: (100, 1000),
    10**6: (1000, 1000),
    10**7: (10**4, 1000),
}


def label(n: int) -> str:
    """A size, for a name."""
    return f"{n:.0e}".replace("e+0", "e").replace("e+", "e")


@functools.lru_cache(8)
def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


@functools.lru_cache(8)
def uniform(*shape: int, low: float = 0.0) -> np.ndarray:
    """Numbers between `low` and 1 in float32."""
    return np.random.default_rng(0).uniform(low, 1, shape).astype("f")


@functools.lru_cache(8)
def integers(below: int, *shape: int) -> np.ndarray:
    """Whole numbers."""
    return np.random.default_rng(2).integers(0, below, shape)


def row(group: str, name: str, ways: dict[str, Callable], n: float | None = None, **more: Any) -> Row:
    """A row of this suite; one of so many entries is a point of the curve of its name.

    JAX, which compiles each row anew, stands beside every second size.
    """
    if n and round(math.log10(n)) % 2:
        ways = {name: make for name, make in ways.items() if name != "jax"}
    curve = {"axis": "entries", "size": float(n), "series": name} if n else {}
    title = f"{name}, {label(int(n))}" if n else name
    return Row(
        **{"suite": "ops", "group": group, "name": title, "ways": ways, "seconds": 0.4, "crew": "ops", **curve, **more}
    )


def call(group: str, name: str, arrays: Callable[[], list], f: Callable, *ways: str, **more: Any) -> Row:
    """f(library, *tensors), in so many ways (PyTorch's and JAX's if none is named)."""
    return row(group, name, alike(lambda lib: lib.call(f, arrays()), *ways or USUAL), **more)


def slopes(group: str, name: str, arrays: Callable[[], list], f: Callable, wanted: int, *ways: str, **more: Any) -> Row:
    """The same, and the gradients of the first so many tensors."""
    return row(group, name, alike(lambda lib: lib.slopes(f, arrays(), wanted), *ways or USUAL), **more)


def both(
    name: str,
    n: int,
    arrays: Callable[[], list],
    f: Callable,
    wanted: int = 1,
    ways: tuple[str, ...] = USUAL,
    group: str = "",
    **more: Any,
) -> Iterator[Row]:
    """Both, of which the first tensor has n entries of float32, which are read and written once, or five times."""
    group = group or name
    yield call(f"{group}", name, arrays, f, *ways, n=n, bytes=8.0 * n, **more)
    yield slopes(f"{group} and gradients", name, arrays, f, wanted, *ways, n=n, bytes=20.0 * n, **more)
