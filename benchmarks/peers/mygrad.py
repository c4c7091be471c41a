"""MyGrad: NumPy with `backward`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mygrad as mg
import numpy as np

from ..rows import Step
from . import layers
from .library import Library as Base
from .library import cotangent, leaves

mg.turn_memory_guarding_off()
functions = layers.functions(mg)


class Library(Base):
    """See `library.Library`."""

    m, np, F, nn = mg, mg, functions, layers.layers(mg, functions)

    def numbers(self, result: Any) -> list[np.ndarray]:
        return [np.array(leaf.data if isinstance(leaf, mg.Tensor) else leaf) for leaf in leaves(result)]

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        tensors = [mg.tensor(a, constant=k >= wanted) for k, a in enumerate(arrays)]
        g = cotangent(f(self, *tensors).shape, np.asarray(arrays[0]).dtype)

        def step() -> tuple:
            for t in tensors:
                t.null_grad()
            y = f(self, *tensors)
            y.backward(g)
            return y.data, *(t.grad for t in tensors[:wanted])

        return step

    def derivative(self, kind: str, f: Callable, *arrays: np.ndarray) -> Step:
        if kind != "grad":
            return super().derivative(kind, f, *arrays)
        x = mg.tensor(arrays[0])

        def step() -> np.ndarray:
            x.null_grad()
            f(mg, x, *arrays[1:]).backward()
            return x.grad

        return step

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), lr: float = 1e-3) -> Callable:
        layers.load(model)
        params = {k: mg.tensor(p) for k, p in layers.read(model, True).items()}
        m, v = ({k: np.zeros_like(p.data) for k, p in params.items()} for _ in range(2))
        layers.write(model, params)
        t = 0

        def step(*batch: Any) -> np.ndarray:
            nonlocal t
            t += 1
            found = loss(*batch)
            found.backward()
            for k, p in params.items():
                p.data[...], m[k], v[k] = layers.adam(np, t, p.data, p.grad, m[k], v[k], lr)
                p.null_grad()
            return np.array(found.data)

        return step
