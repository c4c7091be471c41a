"""PyTorch on the CPU, eager or by TorchInductor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..rows import Row, Step
from .recording import Recording, single

ALONE, LAST = "one thread ", "channels_last"
SMALL = 10_000  # entries that it leaves to one thread by itself
FUSED = "Adam", "AdamW", "SGD", "Adagrad"


def is_spread(t: torch.Tensor) -> bool:
    """Whether many entries are one number in memory."""
    return any(n > 1 and not step for n, step in zip(t.shape, t.stride()))


def filled(t: torch.Tensor) -> torch.Tensor:
    """The same with a number for each entry, as `backward` leaves it in `.grad`, and as everybody else answers."""
    return t.clone(memory_format=torch.contiguous_format) if is_spread(t) else t


class Library(Recording):
    """See `library.Library`."""

    m, np, nn, F, optim = torch, torch, torch.nn, torch.nn.functional, torch.optim

    def __init__(self, compiled: bool):
        super().__init__(compiled)
        self.most = int(os.environ["BENCHMARK_THREADS"])
        torch.set_num_threads(self.most)

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        return not self.compiled  # TorchInductor has none

    def to_try(self, row: Row) -> list[str]:
        small = row.axis == "entries" and (row.size or 0) <= SMALL
        threads = [ALONE, ""] if self.most > 1 and not small else [""]
        return [f"{a}{b}" for a in threads for b in ([LAST, ""] if row.images and not self.compiled else [""])]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "setting":
            torch.set_num_threads(1 if ALONE in value else self.most)
        super().__setattr__(name, value)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        t = torch.tensor(array)
        return t.contiguous(memory_format=torch.channels_last) if LAST in self.setting and t.dim() == 4 else t

    def compile_function(self, f: Callable) -> Callable:
        return torch.compile(f) if self.compiled and not self.trying else f

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        tensors, g = self.taped(f, arrays, wanted)
        run = self.compile_function(lambda *ts: single(f(self, *ts)))

        def step() -> tuple:
            y = run(*tensors)
            return y, *torch.autograd.grad(y, tensors[:wanted], g)

        return step if self.compiled or not any(map(is_spread, step()[1:])) else lambda: tuple(map(filled, step()))

    def derivative(self, kind: str, f: Callable, *arrays: np.ndarray) -> Step:
        tensors = [torch.tensor(a) for a in arrays]
        if kind == "grad":  # quicker than torch.func.grad, which wraps what it is given
            leaf = tensors[0].requires_grad_()
            run = self.compile_function(lambda *ts: f(torch, *ts))
            return lambda: torch.autograd.grad(run(*tensors), leaf)[0]
        func = torch.func
        if kind == "hvp":
            run = lambda x, v: func.jvp(func.grad(lambda x: f(torch, x)), (x,), (v,))[1]
        elif kind == "hessian":
            run = lambda x, *rest: func.hessian(lambda x: f(torch, x, *rest))(x)
        else:
            run = lambda x, *rest: func.jacrev(lambda x: f(torch, x, *rest))(x)
        run = self.compile_function(run)
        return lambda: run(*tensors)

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), **settings: Any) -> Callable:
        self.load(model)
        if LAST in self.setting:
            model.to(memory_format=torch.channels_last)
        sparse = any(getattr(module, "sparse", False) for module in model.modules())
        fused = {"fused": True} if optimizer in FUSED and not sparse else {}
        opt, loss = self.optimizer(model, optimizer, settings | fused), self.compile_function(loss)

        def step(*batch: Any) -> torch.Tensor:
            value = loss(*batch)
            opt.zero_grad()
            value.backward()
            opt.step()
            return value.detach()

        return step
