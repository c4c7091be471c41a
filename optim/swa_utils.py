"""Averages of parameters over a training: plain (SWA) and exponential, and the schedule that goes with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from autograd_core import Tensor, no_grad, where
from autograd_core.tape import current

from .checks import not_negative
from .lr_scheduler.base import LRScheduler, check_optimizer, for_each_group
from .lr_scheduler.cycles import check_anneal

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def check_decay(decay: float, who: str) -> None:
    """Raise if what an average keeps is no share."""
    if not 0 <= decay <= 1:
        raise ValueError(f"{who}: decay is the share of the average that stays, from 0 to 1, got {decay}")


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """A function (averaged, current, how many before) -> their exponential average."""
    check_decay(decay, "get_ema_avg_fn")
    return lambda averaged, current, count: decay * averaged + (1 - decay) * current


def get_swa_avg_fn() -> Callable:
    """A function (averaged, current, how many before) -> the mean of all."""
    return lambda averaged, current, count: averaged + (current - averaged) / (count + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """The same for lists, in place."""
    check_decay(decay, "get_ema_multi_avg_fn")
    return in_place(lambda averaged, current, count: nearer(averaged, current, decay))


def nearer(averaged: Tensor, current: Tensor, decay: float) -> Tensor:
    """An average moved on; that of whole numbers is rounded otherwise, as in PyTorch, and then cut off."""
    if averaged.dtype.kind in "fc":
        return averaged + (current - averaged) * (1 - decay)
    return averaged * decay + current * (1 - decay)


def get_swa_multi_avg_fn() -> Callable:
    """The same for lists, in place."""
    return in_place(get_swa_avg_fn())


def in_place(mean: Callable) -> Callable:
    """An average of two tensors, written into the first, for lists of them."""

    def update(averaged: list[Tensor], current: list[Tensor], count: Any) -> None:
        with no_grad():
            for a, c in zip(averaged, current):
                a.copy_(mean(a, c, count))

    return update


class AveragedModel:
    """A copy of a model, or of a list of tensors, that holds averages of what `update_parameters` is given.

    It is called like the model, and has whatever else the model has.  By default each set of parameters counts alike.
    Of a module it is a module, whose weights are part of the state of whatever holds it.
    """

    def __new__(cls, model: Any = (), *args: Any, **options: Any) -> Any:
        kind: Any = cls
        base = module_class(model)
        return object.__new__(kind if base is None or issubclass(kind, base) else averaging(kind, base))

    def __init__(
        self,
        model: Any,
        device: Any = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ):
        check_model(model)
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give avg_fn, for a tensor, or multi_avg_fn, for lists, not both")
        self.module: Any = [p.detach().clone() for p in model] if isinstance(model, (list, tuple)) else deepcopy(model)
        self._start(Tensor(np.zeros((), np.int64)))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def _start(self, count: Tensor) -> None:
        """Have averaged so many; of a module this is a buffer."""
        if hasattr(type(self), "register_buffer"):
            self.register_buffer("n_averaged", count)
        else:
            self.n_averaged = count

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.module(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "module" or name.startswith("__"):  # not there yet, while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.module, name)

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """The averages."""
        return iter(parts(self.module, False))

    def update_parameters(self, model: Any) -> None:
        """Take the present parameters of a model into the average."""
        ours, theirs = (parts(m, self.use_buffers) for m in (self.module, model))
        if [p.shape for p in ours] != [p.shape for p in theirs]:
            raise ValueError(
                "AveragedModel.update_parameters: this is not the model that was copied: its parameters differ"
            )
        with no_grad():
            averaged, present = ([p.detach() for p in tensors] for tensors in (ours, theirs))
            if current().capture is not None:  # how many there were is not known when a replay is written
                first = self.n_averaged == 0
                self._average(averaged, present)
                for a, c in zip(averaged, present):
                    a.copy_(where(first, c, a))
            elif self.n_averaged.item() == 0:
                for a, c in zip(averaged, present):
                    a.copy_(c)
            else:
                self._average(averaged, present)
            if not self.use_buffers and hasattr(model, "buffers"):
                for a, c in zip(self.module.buffers(), model.buffers()):
                    a.detach().copy_(c.detach())
            self.n_averaged += 1

    def _average(self, averaged: list[Tensor], current: list[Tensor]) -> None:
        """Average in place."""
        if self.avg_fn is not None:
            in_place(self.avg_fn)(averaged, current, self.n_averaged)
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averaged, current, self.n_averaged)

    def state_dict(self) -> dict[str, Any]:
        """The averages under the model's names, behind "module.", and how many there were."""
        names = self.module.state_dict() if hasattr(self.module, "state_dict") else dict(enumerate(self.module))
        return {"n_averaged": self.n_averaged} | {f"module.{n}": v for n, v in names.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, here or in PyTorch."""
        inner = {n.removeprefix("module."): v for n, v in state_dict.items() if n.startswith("module.")}
        if "n_averaged" not in state_dict:
            raise ValueError(
                "AveragedModel.load_state_dict: there is no 'n_averaged': this is the state of another model"
            )
        if hasattr(self.module, "load_state_dict"):
            self.module.load_state_dict(inner)
        else:
            with no_grad():
                for k, p in enumerate(self.module):
                    p.copy_(Tensor(np.asarray(inner[str(k)])))
        self.n_averaged = Tensor(np.array(np.asarray(state_dict["n_averaged"]), np.int64))


def check_model(model: Any) -> None:
    """Raise if there is nothing in it to average."""
    listed = isinstance(model, (list, tuple))
    if (listed and all(isinstance(p, Tensor) for p in model)) or callable(getattr(model, "parameters", None)):
        return
    what = f"a {type(model).__name__} with other things in it" if listed else f"{type(model).__name__} {model!r:.40}"
    raise TypeError(f"AveragedModel: averages a module, or a list of tensors, got {what}")


def module_class(model: Any) -> type | None:
    """The class that makes a model a module; found from the model, since modules stand beside this package."""
    return next((c for c in type(model).mro() if {"add_module", "register_buffer"} <= set(vars(c))), None)


@cache
def averaging(cls: type, base: type) -> type:
    """AveragedModel as a module: all that modules do is done as they do it."""

    def forward(self: Any, *args: Any, **options: Any) -> Any:
        return self.module(*args, **options)

    def reduce(self: Any, protocol: Any) -> Any:
        return blank, (cls, base), *object.__reduce_ex__(self, protocol)[2:]

    own = {"forward": forward, "__reduce_ex__": reduce, "__module__": cls.__module__, "__doc__": cls.__doc__}
    return type(cls.__name__, (base, cls), own)


def blank(cls: type, base: type) -> Any:
    """An average whose attributes are about to be set, while it is copied or unpickled."""
    return object.__new__(averaging(cls, base))


def parts(model: Any, buffers: bool) -> list[Any]:
    """The tensors of a model, or of a list."""
    if isinstance(model, (list, tuple)):
        return list(model)
    return [*model.parameters(), *(model.buffers() if buffers else ())]


def update_bn(loader: Iterable[Any], model: Any, device: Any = None) -> None:
    """Compute the running statistics of a model's normalizations anew, as means over all batches of a loader."""
    norms = [m for m in model.modules() if hasattr(m, "reset_running_stats") and hasattr(m, "momentum")]
    if not norms:
        return
    before, training = [m.momentum for m in norms], model.training
    try:
        model.train()
        for m in norms:
            m.reset_running_stats()
            m.momentum = None
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for m, momentum in zip(norms, before):
            m.momentum = momentum
        model.train(training)


SHARES: dict[str, Callable[[float], float]] = {
    "cos": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "linear": lambda t: t,
}


class SWALR(LRScheduler):
    """From the present rate to swa_lr in `anneal_epochs` epochs, and constant from there on."""

    def __init__(
        self,
        optimizer: Any,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer, "SWALR")
        check_anneal(anneal_strategy, "SWALR")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs is a whole number, 0 or more, got {anneal_epochs!r}")
        rates = for_each_group(optimizer, swa_lr, "SWALR")
        for lr in rates:
            not_negative({"swa_lr": lr}, "SWALR", "swa_lr")
        for lr, group in zip(rates, optimizer.param_groups):
            group["swa_lr"] = lr
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1
        step = max(1, step) if self.anneal_epochs == 0 else step
        before, now = (self._share(k) for k in (step - 1, step))
        found = []
        for group in self.optimizer.param_groups:
            lr, end = group["lr"], group["swa_lr"]
            first = end if before == 1 else (lr - before * end) / (1 - before)
            found.append(end * now + first * (1 - now))
        return found

    def _share(self, step: int) -> float:
        """How much of swa_lr is in the rate after so many steps."""
        return SHARES[self._anneal_strategy](max(0, min(1, step / max(1, self.anneal_epochs))))
