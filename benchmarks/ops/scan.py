"""Cumulative functions and selection: float32 arrays of 1e2 to 1e7 entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

SIZES = [10**k for k in range(2, 8)]


def with_gradient(call: Callable, x: Any, ones: Any) -> Callable:
    """A call and the gradient of its sum."""

    def run() -> None:
        x.grad = None
        y = call(x)
        (y if hasattr(y, "backward") else y[0]).backward(ones)

    return run


def pair(call: Callable, x: np.ndarray, gradient: bool) -> tuple[Callable, Callable | None]:
    """The same call here and there; `call` is given the module and the tensor."""

    def one(module: Any, tensor: Any) -> Callable:
        if not gradient:
            return lambda: call(module, tensor)
        y = call(module, tensor.requires_grad_())
        y = y if hasattr(y, "backward") else y[0]
        return with_gradient(lambda t: call(module, t), tensor, module.ones_like(y.detach()))

    return one(ag, ag.tensor(x)), torch and one(torch, torch.tensor(x))


CUMULATIVE = {
    "cumsum": lambda m, x: m.cumsum(x, -1),
    "cumprod": lambda m, x: m.cumprod(x, -1),
    "cummax": lambda m, x: m.cummax(x, -1),
    "logcumsumexp": lambda m, x: m.logcumsumexp(x, -1),
}
SELECTION = {
    "topk 10": lambda m, x: m.topk(x, 10),
    "topk half": lambda m, x: m.topk(x, x.shape[-1] // 2),
    "median": lambda m, x: m.median(x, -1),
    "kthvalue": lambda m, x: m.kthvalue(x, x.shape[-1] // 3 + 1),
}


def rows() -> Iterator[Row]:
    """Long vectors, and matrices along either axis."""
    for size in SIZES:
        x = 1 + 0.01 * np.random.default_rng(size).standard_normal(size).astype(np.float32)
        for name, call in CUMULATIVE.items():
            for gradient in (False, True):
                group, name_ = ("cumulative with gradient", f"{name} backward") if gradient else ("cumulative", name)
                yield Row(group, name_, f"{size:.0e}", *pair(call, x, gradient))
        square = x.reshape(-1, 10 ** ((len(str(size)) - 1) // 2))
        yield Row("cumulative", "cumsum first axis", f"{size:.0e}", *pair(lambda m, t: m.cumsum(t, 0), square, False))
        for name, call in SELECTION.items():
            yield Row("selection", name, f"{size:.0e}", *pair(call, x, False))
            yield Row("selection", f"{name} of rows", f"{size:.0e}", *pair(call, x.reshape(-1, 100), False))
