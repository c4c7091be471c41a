"""Steps of optimizers in float32: the op on one parameter against torch.optim as it comes, whole models against fused ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import autograd_core as ag
import optim
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


MODELS = [(50, 1_000), (100, 100_000)]  # so many parameters of so many entries
FUSED = {"Adam": 7, "AdamW": 7, "SGD": 3, "Adagrad": 5}  # those that PyTorch has fused, and the arrays that they touch


def model(count: int, size: int) -> list[ag.Tensor]:
    """Parameters with gradients."""
    params = [ag.tensor(np.random.default_rng(k).random(size, np.float32), requires_grad=True) for k in range(count)]
    for p in params:
        p.grad = ag.tensor(np.random.default_rng(1).random(size, np.float32))
    return params


def fused(name: str, count: int, size: int) -> Callable:
    """PyTorch's fused step of as many."""
    params = [torch.rand(size) for _ in range(count)]
    for p in params:
        p.grad = torch.rand(size)
    return getattr(torch.optim, name)(params, lr=1e-3, fused=True).step


def whole_models() -> Iterator[Row]:
    """Steps of all parameters of a model, and as much work for a copy."""
    for count, size in MODELS:
        for name, arrays in FUSED.items():
            ours = getattr(optim, name)(model(count, size), lr=1e-3).step
            there = fused(name, count, size) if torch else None
            yield Row("optimizers", name, f"{count} x {size:.0e}", ours, there, bytes=4.0 * arrays * count * size)
        a, b = (np.ones(count * size, np.float32) for _ in range(2))
        there = partial(torch.from_numpy(b).copy_, torch.from_numpy(a)) if torch else None
        yield Row(
            "optimizers", "a copy", f"{count} x {size:.0e}", partial(np.copyto, b, a), there, bytes=8.0 * count * size
        )


def rows() -> Iterator[Row]:
    """Every optimizer at every size."""
    for name, (_, _, arrays) in NAMES.items():
        for size in SIZES:
            there = theirs(name, size) if torch else None
            yield Row("optimizer steps", name, f"{size:.0e}", ours(name, size), there, bytes=4.0 * arrays * size)
    yield from whole_models()
