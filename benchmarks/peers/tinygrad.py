"""tinygrad with TinyJit, on the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from tinygrad import Tensor, TinyJit, nn

from ..rows import Row, Step
from .library import Library as Base
from .library import cotangent, first_value, leaves


class Sequential:
    """One after another."""

    def __init__(self, *layers: Callable):
        self.layers = layers

    def __call__(self, x: Tensor) -> Tensor:
        return x.sequential(list(self.layers))


FUNCTIONS = SimpleNamespace(
    cross_entropy=lambda x, y: x.cross_entropy(y),
    mse_loss=lambda x, y: ((x - y) * (x - y)).mean(),
    relu=Tensor.relu,
)
LAYERS = SimpleNamespace(
    Linear=nn.Linear,
    Conv2d=nn.Conv2d,
    BatchNorm2d=nn.BatchNorm,
    Sequential=Sequential,
    ReLU=lambda: Tensor.relu,
    Tanh=lambda: Tensor.tanh,
    MaxPool2d=lambda size: lambda x: x.max_pool2d(size),
    Flatten=lambda: lambda x: x.flatten(1),
)
FUNCTIONS_BY_NAME = SimpleNamespace(tanh=Tensor.tanh, exp=Tensor.exp, sum=Tensor.sum, matmul=Tensor.matmul)


class Library(Base):
    """See `library.Library`."""

    m = np = FUNCTIONS_BY_NAME
    nn, F = LAYERS, FUNCTIONS

    def to_try(self, row: Row) -> list[str]:
        if not row.program and shutil.which("clang") is None:
            raise RuntimeError("it compiles by clang, which is not installed")
        return []

    def tensor(self, array: np.ndarray) -> Tensor:
        return Tensor(array).clone().realize()  # what is no buffer yet, as numbers are not, cannot be given to TinyJit

    def numbers(self, result: Any) -> list[np.ndarray]:
        return [leaf.numpy() if isinstance(leaf, Tensor) else np.asarray(leaf) for leaf in leaves(result)]

    def waited(self, run: Callable, *given: Any) -> Any:
        """A call, once it is done."""
        result = run(*given)
        [leaf.numpy() for leaf in leaves(result) if leaf.numel() < 100] or leaves(result)[0].numpy()
        return result

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        tensors = [self.tensor(a) for a in arrays]
        g = self.tensor(cotangent(f(self, *tensors).shape, np.float32))

        @TinyJit
        def run(g: Tensor, *tensors: Tensor) -> tuple:
            y = f(self, *tensors)
            back = y.gradient(*tensors[:wanted], gradient=g)
            return tuple(t.realize() for t in (y, *back))

        return lambda: self.waited(run, g, *tensors)

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), lr: float = 1e-3) -> Callable:
        state = {k: p for k, p in nn.state.get_state_dict(model).items() if k.rpartition(".")[2] in ("weight", "bias")}
        for k, (name, p) in enumerate(state.items()):
            p.assign(Tensor(first_value(k, name, p.shape))).realize()
        opt = getattr(nn.optim, optimizer)(list(state.values()), lr=lr)

        @TinyJit
        def run(*batch: Tensor) -> Tensor:
            opt.zero_grad()
            found = loss(*batch).backward()
            return found.realize(*opt.schedule_step())

        return lambda *batch: self.waited(run, *batch)
