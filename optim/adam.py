"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from autograd_core.ops import updates

from .checks import not_negative, shares
from .elementwise import Elementwise, Update


class Adam(Elementwise):
    """Steps by the mean of gradients over the root of the mean of their squares; with amsgrad, of the largest so far."""

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
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        who = type(self).__name__
        not_negative(group, who, "lr", "eps", "weight_decay")
        shares(group, who, "betas")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        most = {"max_exp_avg_sq": 0.0} if group["amsgrad"] else {}
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0} | most

    def update(self, group: dict[str, Any]) -> Update:
        most = "max_exp_avg_sq" if group["amsgrad"] else None
        settings = {n: group[n] for n in ("eps", "weight_decay", "maximize")}
        settings |= {"betas": tuple(map(float, group["betas"])), "decoupled": group["decoupled_weight_decay"]}
        return Update(updates.adam_step, ("exp_avg", "exp_avg_sq", most, "step"), (group["lr"],), settings)


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
