"""autograd, of whom JAX learnt: NumPy, differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np

from ..rows import Step
from . import layers
from .library import Library as Base
from .library import cotangent

functions = layers.functions(anp)


class Library(Base):
    """See `library.Library`."""

    m, np, F, nn = anp, anp, functions, layers.layers(anp, functions)

    def call(self, f: Callable, arrays: Sequence[np.ndarray]) -> Step:
        return lambda: f(self, *arrays)

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        g = cotangent(np.shape(f(self, *arrays)), np.asarray(arrays[0]).dtype)

        def step() -> tuple:
            some = tuple(arrays[:wanted])
            back, y = autograd.make_vjp(lambda some: f(self, *some, *arrays[wanted:]))(some)
            return y, *back(g)

        return step

    def derivative(self, kind: str, f: Callable, *arrays: np.ndarray) -> Step:
        if kind == "hvp":
            run = autograd.hessian_vector_product(lambda x: f(anp, x))
        else:
            run = getattr(autograd, kind)(lambda x, *rest: f(anp, x, *rest))
        return lambda: run(*arrays)

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), lr: float = 1e-3) -> Callable:
        layers.load(model)
        params = layers.read(model, True)
        m, v = ({k: np.zeros_like(p) for k, p in params.items()} for _ in range(2))
        t = 0

        def value(params: dict, *batch: Any) -> Any:
            layers.write(model, params)
            return loss(*batch)

        gradient = autograd.value_and_grad(value)

        def step(*batch: Any) -> Any:
            nonlocal t, params
            t, (found, slopes) = t + 1, gradient(params, *batch)
            for k, p in params.items():
                params[k], m[k], v[k] = layers.adam(np, t, p, slopes[k], m[k], v[k], lr)
            return found

        return step
