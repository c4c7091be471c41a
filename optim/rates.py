"""Optimizers that give each entry a rate of its own by the squares of its gradients: Adagrad and what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core import from_numpy
from autograd_core.ops import updates

from .checks import chosen, not_negative, settings, share
from .elementwise import Elementwise, Update


def both(p: Any, value: float) -> Any:
    """An array like a parameter, full of a value; in complex entries in both parts."""
    return from_numpy(np.full_like(p.value, complex(value, value) if p.dtype.kind == "c" else value))


class Adagrad(Elementwise):
    """Rates fall with the sum of all squared gradients."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Adagrad", "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        for p in param_group["params"]:  # PyTorch's state is there before the first step, too
            self.remembered(param_group, p)

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def first(self, p: Any, name: str, value: float) -> Any:
        return both(p, value)

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "lr_decay", "eps", "weight_decay", "maximize")
        return Update(updates.adagrad_step, ("sum", "step"), (group["lr"],), given)

    def share_memory(self) -> None:
        """PyTorch's; there is nothing to do, threads share memory."""


class Adadelta(Elementwise):
    """Steps as large as earlier ones were, in units of the parameter."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Adadelta", "lr", "eps", "weight_decay")
        share(group, "Adadelta", "rho")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "rho", "eps", "weight_decay", "maximize")
        return Update(updates.adadelta_step, ("square_avg", "acc_delta"), (group["lr"],), given)


class RMSprop(Elementwise):
    """Steps by the gradient over the root of a mean of squares; `centered` takes the squared mean off."""

    later = "grad_avg", "momentum_buffer"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "RMSprop", "lr", "eps", "weight_decay", "momentum", "alpha")

    def names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Of the mean square, the mean and the buffer; what is not wanted but has its place is not shown."""
        if not group["momentum"] and not group["centered"]:
            return ("square_avg",)
        mean = "grad_avg" if group["centered"] else "_mean"
        return "square_avg", mean, "momentum_buffer" if group["momentum"] else "_buffer"

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return dict.fromkeys(self.names(group), 0.0)

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")
        keys = (*self.names(group), None, None)[:3]
        return Update(updates.rmsprop_step, keys, (group["lr"],), given)
