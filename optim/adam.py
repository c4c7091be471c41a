"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from autograd_core.ops import updates

from .checks import chosen, not_negative, settings, shares
from .elementwise import Elementwise, Update


class Adam(Elementwise):
    """Steps by the mean of gradients over the root of the mean of their squares; with amsgrad, of the largest so far."""

    later = ("max_exp_avg_sq",)

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        who = type(self).__name__
        not_negative(group, who, "lr", "eps", "weight_decay")
        shares(group, who, "betas")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        most = {"max_exp_avg_sq": 0.0} if group["amsgrad"] else {}
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0} | most

    def update(self, group: dict[str, Any]) -> Update:
        most = "max_exp_avg_sq" if group["amsgrad"] else None
        given = chosen(group, "eps", "weight_decay", "maximize", decoupled="decoupled_weight_decay")
        given["betas"] = tuple(map(float, group["betas"]))
        return Update(updates.adam_step, ("exp_avg", "exp_avg_sq", most, "step"), (group["lr"],), given)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves, not by way of the gradient."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip


class Adamax(Elementwise):
    """Adam with the largest gradient so far, slowly forgotten, in place of the root of a mean of squares."""

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    check = Adam.check

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "betas", "eps", "weight_decay", "maximize")
        return Update(updates.adamax_step, ("exp_avg", "exp_inf", "step"), (group["lr"],), given)


class NAdam(Elementwise):
    """Adam with Nesterov's momentum, which grows by a schedule."""

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "NAdam", "lr", "eps", "weight_decay", "momentum_decay")
        shares(group, "NAdam", "betas")

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "mu_product": 1.0}

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        names = "betas", "eps", "weight_decay", "momentum_decay", "maximize"
        given = chosen(group, *names, decoupled="decoupled_weight_decay")
        keys = "exp_avg", "exp_avg_sq", "mu_product", "step"
        return Update(updates.nadam_step, keys, (group["lr"],), given)


class RAdam(Elementwise):
    """Adam that uses squares only once it has seen enough of them to know how much they vary."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings(locals()))

    check = Adam.check

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "betas", "eps", "weight_decay", "maximize", decoupled="decoupled_weight_decay")
        return Update(updates.radam_step, ("exp_avg", "exp_avg_sq", "step"), (group["lr"],), given)
