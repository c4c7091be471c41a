"""Steps of optimizers on one parameter of float32, against torch.optim as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import autograd_core as ag
from autograd_core.ops import updates
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

SIZES = [10**k for k in range(3, 8)]
NAMES = {  # torch's class, its settings, and how many arrays of the parameter's size are read or written
    "sgd": ("SGD", {}, 3),
    "sgd with momentum": ("SGD", {"momentum": 0.9}, 5),
    "adam": ("Adam", {}, 7),
    "adamw": ("AdamW", {}, 7),
    "rmsprop": ("RMSprop", {}, 5),
    "adagrad": ("Adagrad", {}, 5),
}


def ours(name: str, size: int) -> Callable:
    """A step of ours, on tensors."""
    p, g, m, v = (ag.tensor(np.random.default_rng(k).uniform(0.5, 1, size).astype(np.float32)) for k in range(4))
    t = np.zeros(())
    return {
        "sgd": lambda: updates.sgd_step(p, g, None, None, 1e-3),
        "sgd with momentum": lambda: updates.sgd_step(p, g, m, t, 1e-3, momentum=0.9),
        "adam": lambda: updates.adam_step(p, g, m, v, None, t, 1e-3),
        "adamw": lambda: updates.adam_step(p, g, m, v, None, t, 1e-3, weight_decay=0.01, decoupled=True),
        "rmsprop": lambda: updates.rmsprop_step(p, g, v, None, None, 1e-3),
        "adagrad": lambda: updates.adagrad_step(p, g, v, t, 1e-3),
    }[name]


def theirs(name: str, size: int, **more) -> Callable:
    """The step of torch.optim."""
    p = torch.rand(size)
    p.grad = torch.rand(size)
    kind, options, _ = NAMES[name]
    return getattr(torch.optim, kind)([p], lr=1e-3, **options, **more).step


def rows() -> Iterator[Row]:
    """Every optimizer at every size."""
    for name, (_, _, arrays) in NAMES.items():
        for size in SIZES:
            there = theirs(name, size) if torch else None
            yield Row("optimizer steps", name, f"{size:.0e}", ours(name, size), there, bytes=4.0 * arrays * size)
