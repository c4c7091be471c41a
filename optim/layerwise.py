"""Optimizers that look at a parameter as a whole: LAMB and LARS for large batches, Adafactor, Muon, and lazy Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy, tape
from autograd_core.ops import layerwise

from .checks import at_least, chosen, finite, not_negative, number, numbers, refuse_complex, settings, shares, whole
from .elementwise import Elementwise, Update


class LAMB(Elementwise):
    """Adam whose steps are scaled to the norm of each parameter; `max_trust` bounds by how much."""

    order = "C"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        max_trust: float = 10.0,
        adapt: bool = True,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "LAMB", "lr", "eps", "weight_decay")
        at_least(group, "LAMB", 0, "max_trust")
        shares(group, "LAMB", "betas")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0, "_change": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "betas", "eps", "weight_decay", "adapt", "maximize", most="max_trust")
        return Update(layerwise.lamb_step, ("exp_avg", "exp_avg_sq", "_change", "step"), (group["lr"],), given)


class LARS(Elementwise):
    """Momentum whose rate is, for each parameter, in proportion to its norm over that of its gradient."""

    order = "C"

    def __init__(
        self,
        params: Any,
        lr: Any = 0.1,
        momentum: float = 0.9,
        dampening: float = 0,
        weight_decay: float = 0,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        nesterov: bool = False,
        adapt: bool = True,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "LARS", "lr", "momentum", "weight_decay", "trust_coefficient", "eps")
        finite(group, "LARS", "dampening")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        names = "momentum", "dampening", "weight_decay", "eps", "nesterov", "adapt", "maximize"
        given = chosen(group, *names, coefficient="trust_coefficient")
        return Update(layerwise.lars_step, ("momentum_buffer", "step"), (group["lr"],), given)


class InRoom(Elementwise):
    """An optimizer whose steps need room for a few arrays: one for all parameters, as large as the largest wants it."""

    order = "C"
    _room: Tensor | None = None

    def entries(self, p: Any) -> int:
        """How many numbers of the type of a parameter its step has to put somewhere."""
        raise TypeError(f"{type(self).__name__}: a subclass of InRoom must define entries(p)")

    def room(self) -> Tensor:
        """Bytes to cut arrays from."""
        wanted = max((self.entries(p) * p.dtype.itemsize for p in self.parameters()), default=0)
        if self._room is None or self._room.value.size < wanted:
            with tape.unwatched():
                self._room = from_numpy(np.empty(-(-wanted // 16) * 16, np.uint8))  # whole numbers of any type
        return self._room


class Adafactor(InRoom):
    """Adam with little memory: for a matrix, squares of rows and of columns are kept in place of those of entries."""

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Adafactor", "lr", "weight_decay")
        at_least(group, "Adafactor", 1, "d")
        if not number(group["beta2_decay"], "Adafactor", "beta2_decay") <= 0:
            raise ValueError(
                f"Adafactor: beta2_decay must be at most 0, got {group['beta2_decay']}: a power of the step"
            )
        eps = group["eps"]
        first = {"eps": (0, *eps[1:]) if isinstance(eps, (tuple, list)) and eps and eps[0] is None else eps}
        if min(numbers(first, "Adafactor", "eps", 2, (None, 1e-3))) < 0:
            raise ValueError(f"Adafactor: eps must be two numbers from 0 on, like (None, 1e-3), got {eps}")
        refuse_complex(group["params"], "Adafactor")

    def shapes(self, p: Any) -> dict[str, tuple[int, ...]]:
        """What is remembered of a parameter, and in which shape."""
        shape = tuple(p.shape)
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def remembered(self, group: dict[str, Any], p: Any) -> None:
        super().remembered(group, p)
        for name, shape in self.shapes(p).items():
            if self.state[p].get(name) is None:
                self.state[p][name] = from_numpy(np.zeros(shape, p.dtype))

    def expected_shape(self, group: dict[str, Any], p: Any, key: str) -> tuple[int, ...] | None:
        """As they are made."""
        return self.shapes(p).get(key)

    def needed(self, group: dict[str, Any], p: Any) -> set[str]:
        """The squares that are kept of its shape."""
        return {"step", *self.shapes(p)}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "beta2_decay", "eps", "d", "weight_decay", "maximize")
        keys = "row_var", "col_var", "variance", "step"
        return Update(layerwise.adafactor_step, keys, (self.room(), group["lr"]), given)

    def entries(self, p: Any) -> int:
        """The gradient and the change."""
        return 2 * p.value.size


class Muon(InRoom):
    """Momentum for matrices whose steps go in all directions alike; other parameters want another optimizer.

    PyTorch computes the steps in bfloat16, with two digits; here they have the precision of the parameter.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "Muon", "lr", "weight_decay", "momentum", "eps")
        numbers(group, "Muon", "ns_coefficients", 3, (3.4445, -4.775, 2.0315))
        whole(group, "Muon", "ns_steps")
        if group["adjust_lr_fn"] not in layerwise.RATIOS:
            raise ValueError(f"Muon: adjust_lr_fn is 'original' or 'match_rms_adamw', got {group['adjust_lr_fn']!r}")
        if group["ns_steps"] >= 100:
            raise ValueError(f"Muon: ns_steps must be below 100, got {group['ns_steps']}")
        refuse_complex(group["params"], "Muon")
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(
                    f"Muon: takes matrices only, got a parameter of shape {tuple(p.shape)}; give such as biases, "
                    "embeddings and convolutions to another optimizer, like AdamW"
                )

    def counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {}

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(
            group, "momentum", "nesterov", "eps", "weight_decay",
            coefficients="ns_coefficients", rounds="ns_steps", adjust="adjust_lr_fn",
        )  # fmt: skip
        return Update(layerwise.muon_step, ("momentum_buffer",), (self.room(), group["lr"]), given)

    def entries(self, p: Any) -> int:
        """The gradient, the change, its product with a matrix, and two of these."""
        return 3 * p.value.size + 2 * min(p.shape) ** 2


class SparseAdam(Elementwise):
    """Adam that leaves rows without a gradient alone, as of an embedding: what is remembered of them does not decay.

    Gradients are dense here: a row has one if it is not all zeros.
    """

    order = "C"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ):
        super().__init__(params, settings(locals()))

    def check(self, group: dict[str, Any]) -> None:
        not_negative(group, "SparseAdam", "lr", "eps")
        if not (group["lr"] > 0 and group["eps"] > 0):
            raise ValueError(f"SparseAdam: lr and eps must be above 0, got {group['lr']} and {group['eps']}")
        shares(group, "SparseAdam", "betas")
        refuse_complex(group["params"], "SparseAdam")
        if any(p.ndim == 0 for p in group["params"]):
            raise ValueError("SparseAdam: one of the parameters has no axes, hence no rows; use Adam")

    def slots(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, group: dict[str, Any]) -> Update:
        given = chosen(group, "betas", "eps", "maximize")
        return Update(layerwise.sparse_adam_step, ("exp_avg", "exp_avg_sq", "step"), (group["lr"],), given)
