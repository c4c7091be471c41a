"""This library, as it comes or with whole steps compiled."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_core as ag
import nn
import optim
from nn import functional

from ..rows import Step
from .recording import Recording, single


class Library(Recording):
    """See `library.Library`."""

    m, np, nn, F, optim = ag, np, nn, functional, optim

    def __init__(self, compiled: bool):
        super().__init__(compiled)
        ag.set_num_threads(int(os.environ["BENCHMARK_THREADS"]))

    def tensor(self, array: np.ndarray) -> ag.Tensor:
        return ag.tensor(array)

    def compile_function(self, f: Callable) -> Callable:
        return ag.compile(f) if self.compiled else f

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        tensors, g = self.taped(f, arrays, wanted)

        def step() -> tuple:
            y = single(f(self, *tensors))
            return y.detach(), *ag.gradient(y, tensors[:wanted], g)

        return self.compile_function(step)

    def derivative(self, kind: str, f: Callable, *arrays: np.ndarray) -> Step:
        if kind == "hvp":
            run = lambda x, v: ag.hvp(lambda x: f(np, x), x, v)
        else:
            run = lambda x, *rest: getattr(ag, kind)(lambda x: f(np, x, *rest))(x)
        tensors, run = [ag.tensor(a) for a in arrays], self.compile_function(run)
        return lambda: run(*tensors)

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), **settings: Any) -> Callable:
        self.load(model)
        opt = self.optimizer(model, optimizer, settings)

        def step(*batch: Any) -> ag.Tensor:
            value = loss(*batch)
            opt.zero_grad()
            value.backward()
            opt.step()
            return value.detach()

        return step

    def work(self, model: Any, moved: float, *inputs: Any) -> dict[str, float] | None:
        found = nn.summary(model, tuple(inputs))
        first = next(row for row in found.rows if row.trainable)
        unneeded = first.multiply_adds if first.kind.startswith(("Linear", "Conv")) else 0  # the gradient by the input
        products = 3 * found.multiply_adds - unneeded  # forward, and a gradient for each factor
        return {"flops": 2.0 * products, "bytes": 2.0 * found.kept_bytes + moved * found.parameter_bytes}

    def whole(self, step: Callable) -> Callable:
        return self.compile_function(step)
