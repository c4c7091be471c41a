"""Gradient descent, with momentum if wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core import from_numpy
from autograd_core.ops import updates

from .checks import chosen, finite, not_negative, settings
from .elementwise import Elementwise, Update


class SGD(Elementwise):
    """Stochastic gradient descent, with momentum, Nesterov's if wanted."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "SGD", "lr", "momentum", "weight_decay")
        finite(group, "SGD", "dampening")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov=True needs a momentum above 0 and no dampening, got momentum={group['momentum']} and "
                f"dampening={group['dampening']}"
            )

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"_taken": 0.0} if group["momentum"] else {}

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def remembered(self, group: dict[str, Any], p: Any) -> None:
        state = self.state.get(p, {})
        if state.get("momentum_buffer") is not None and "_taken" not in state:
            state["_taken"] = from_numpy(np.ones(()))  # loaded: not the first step, which has no dampening
        super().remembered(group, p)

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "momentum", "dampening", "weight_decay", "nesterov", "maximize")
        keys = ("momentum_buffer", "_taken") if group["momentum"] else (None, None)
        return Update(updates.sgd_step, keys, (group["lr"],), given)
