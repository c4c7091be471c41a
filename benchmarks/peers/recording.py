"""What this library and PyTorch have in common: tensors that record, layers with parameters, optimizers that step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..rows import Step
from .library import Library, cotangent, first_value


class Recording(Library):
    """A library in PyTorch's manner; `compile_function` compiles what it is given, if this way does."""

    optim: Any

    def leaf(self, array: np.ndarray) -> Any:
        """A tensor that asks for a gradient."""
        t = self.tensor(array)
        return t.requires_grad_() if t.is_floating_point() else t

    def gradients(self, y: Any, xs: Sequence, g: Any) -> Sequence:
        """Of a result by tensors, given what arrives at the result."""
        raise NotImplementedError

    def compile_function(self, f: Callable) -> Callable:
        """The function as this way runs it."""
        raise NotImplementedError

    def numbers(self, result: Any) -> list[np.ndarray]:
        return [np.array(t.detach()) if hasattr(t, "detach") else np.asarray(t) for t in flat(result)]

    def call(self, f: Callable, arrays: Sequence[np.ndarray]) -> Step:
        tensors = [self.tensor(a) for a in arrays]
        run = self.compile_function(lambda *ts: f(self, *ts))
        return lambda: run(*tensors)

    def taped(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> tuple[list, Any]:
        """Tensors of which some ask for gradients, and what arrives at the first result."""
        tensors = [self.leaf(a) if k < wanted else self.tensor(a) for k, a in enumerate(arrays)]
        y = single(f(self, *tensors))
        return tensors, self.tensor(cotangent(y.shape, np.float32 if "32" in str(y.dtype) else np.float64))

    def load(self, model: Any) -> None:
        """Give the parameters of a model their first values."""
        for k, (name, p) in enumerate(model.named_parameters()):
            p.data = self.tensor(first_value(k, name, p.shape))

    def optimizer(self, model: Any, name: str, settings: dict[str, Any]) -> Any:
        """An optimizer of a model's parameters."""
        return getattr(self.optim, name)(model.parameters(), **settings)


def flat(result: Any) -> list[Any]:
    """The tensors in a result, whatever kind of tuple they come in."""
    return [t for part in result for t in flat(part)] if isinstance(result, (tuple, list)) else [result]


def single(y: Any) -> Any:
    """The first of several results."""
    return y[0] if isinstance(y, (tuple, list)) else y
