"""Optimizers that go by the sign of gradients, and averaged descent."""

from __future__ import annotations

from typing import Any

from autograd_core.ops import updates

from .checks import chosen, not_negative, number, settings, shares
from .elementwise import Elementwise, Update
from .rates import both


class Rprop(Elementwise):
    """Each entry has a step size that grows while its gradient keeps its sign and shrinks when it turns; for whole batches."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Rprop", "lr")
        less, more = group["etas"]
        if not 0 < less < 1 < more:
            raise ValueError(f"Rprop: etas are a factor below 1 and one above, like (0.5, 1.2), got {group['etas']}")
        if not 0 <= group["step_sizes"][0] <= group["step_sizes"][1]:
            raise ValueError(
                f"Rprop: step_sizes are the least and the most, like (1e-6, 50), got {group['step_sizes']}"
            )

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"prev": 0.0, "step_size": number(group["lr"], "Rprop", "lr")}

    def first(self, p: Any, name: str, value: float) -> Any:
        return both(p, value)

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "etas", "maximize", sizes="step_sizes")
        return Update(updates.rprop_step, ("prev", "step_size"), (), given)


class Lion(Elementwise):
    """Steps of one size, by the sign of a mean of gradients; weight decay is decoupled."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Lion", "lr", "weight_decay")
        shares(group, "Lion", "betas")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "betas", "weight_decay", "maximize")
        return Update(updates.lion_step, ("exp_avg",), (group["lr"],), given)


class ASGD(Elementwise):
    """Descent whose steps shrink, and the average of the parameters from step t0 on, in `state[p]["ax"]`."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "ASGD", "lr", "weight_decay")

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "eta": number(group["lr"], "ASGD", "lr"), "mu": 1.0}

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"ax": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "lambd", "alpha", "t0", "weight_decay", "maximize")
        return Update(updates.asgd_step, ("ax", "step", "eta", "mu"), (group["lr"],), given)
