"""Steps of optimizers in float32, on one parameter and on the many of a model; PyTorch's are its fused ones where it has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.rows import Row, Step, alike

from .calls import label, normal, row, uniform

SIZES = [10**k for k in range(3, 8)]
NAMES: dict[str, tuple[str, dict, int]] = {  # class, settings, arrays of the parameter's size that are read or written
    "SGD": ("SGD", {}, 3),
    "SGD with momentum": ("SGD", {"momentum": 0.9}, 5),
    "Adam": ("Adam", {}, 7),
    "AdamW": ("AdamW", {}, 7),
    "RMSprop": ("RMSprop", {}, 5),
    "Adagrad": ("Adagrad", {}, 5),
}
FUSED = "Adam", "AdamW", "SGD", "Adagrad"
MODELS = [(50, 1_000), (100, 100_000)]  # so many parameters of so many entries


def stepping(kind: str, settings: dict, count: int, size: int) -> Callable[[Any], Step]:
    """A step of an optimizer of `count` parameters, whose gradients stay the same; the last parameter is the result."""

    def ready(lib: Any) -> Step:
        params = [lib.leaf(normal(size, seed=k % 8)) for k in range(count)]
        for p in params:
            p.grad = lib.tensor(uniform(size))
        fused = {"fused": True} if kind in FUSED and lib.m.__name__ == "torch" else {}
        optimizer = getattr(lib.optim, kind)(params, lr=1e-3, **settings, **fused)

        def step() -> Any:
            optimizer.step()
            return params[-1]

        return step

    return ready


def saturated(steps: int) -> Callable[[Any], Step]:
    """A step of Adam after so many whose gradients are zero, subnormal, or anything up to 1, and always the same."""

    def ready(lib: Any) -> Step:
        rng = np.random.default_rng(0)
        p = lib.leaf(rng.standard_normal(10_000).astype("f"))
        p.grad = lib.tensor(rng.standard_normal(10_000).astype("f"))
        optimizer = lib.optim.Adam([p], **({"fused": True} if lib.m.__name__ == "torch" else {}))
        optimizer.step()
        p.grad = lib.tensor((rng.standard_normal(10_000) * np.exp(rng.uniform(-110, 0, 10_000))).astype("f"))
        for _ in range(steps):
            optimizer.step()
        return lambda: (optimizer.step(), p)[1]

    return ready


def rows() -> Iterator[Row]:
    """Every optimizer at every size, those of models, and one of a net that has been saturated for long."""
    for name, (kind, settings, arrays) in NAMES.items():
        for n in SIZES:
            ways = alike(stepping(kind, settings, 1, n), "ours", "torch")
            yield row("optimizers, one parameter", name, ways, n=n, bytes=4.0 * arrays * n)
    for count, size in MODELS:
        for name, (kind, settings, arrays) in NAMES.items():
            ways, moved = alike(stepping(kind, settings, count, size), "ours", "torch"), 4.0 * arrays * count * size
            yield row("optimizers, models", f"{name}, {count} parameters of {label(size)}", ways, bytes=moved)
    for steps in (20, 20_000):
        curve = {"axis": "steps", "size": float(steps), "series": "Adam with tiny gradients", "tolerance": 1e-2}
        ways = alike(saturated(steps), "ours", "torch")
        yield row("optimizers, after many steps", f"Adam with tiny gradients, step {steps:,}", ways, **curve)
