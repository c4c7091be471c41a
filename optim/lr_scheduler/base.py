"""What schedules of learning rates share: when they step, what they set, what they save."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from autograd_core import Tensor

from ..optimizer import Optimizer


def rates(optimizer: Any, key: str = "lr") -> list[Any]:
    """A setting of each group; tensors are copied."""
    return [g[key].clone() if isinstance(g[key], Tensor) else g[key] for g in optimizer.param_groups]


def put(group: dict[str, Any], key: str, value: Any) -> None:
    """Change a setting; a tensor stays the same tensor."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def for_each_group(optimizer: Any, value: Any, who: str) -> list[Any]:
    """One value for each group: as given, or the same for all."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * len(optimizer.param_groups)
    if len(values) != len(optimizer.param_groups):
        raise ValueError(f"{who}: {len(values)} values for {len(optimizer.param_groups)} groups of parameters")
    return values


def check_optimizer(optimizer: Any, who: str) -> None:
    """Raise if a schedule is given something else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{who}: schedules the rates of an Optimizer, got {type(optimizer).__name__} {optimizer!r:.40}")


class LRScheduler:
    """Sets the learning rate of each group of an optimizer; `step()` is called after the optimizer's.

    A subclass says what the rates are, group by group: `rate(lr, base)` from the present one, at `self.last_epoch`, and,
    if it can, `closed(base)` from the rate that the schedule began with.
    """

    _is_initial = False
    UNSAVED: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Any, last_epoch: int = -1):
        check_optimizer(optimizer, type(self).__name__)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"].clone() if isinstance(group["lr"], Tensor) else group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch} goes on with a schedule, but group {i} has no "
                    "'initial_lr': load the optimizer's state first, or leave last_epoch out"
                )
        self.base_lrs: list[Any] = rates(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._last_lr: list[Any] = []
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the first rates."""
        self._step_count, self._is_initial = 0, True
        try:
            self.step()
        finally:
            self._is_initial = False

    def rate(self, lr: Any, base: Any) -> Any:
        """The rate at `last_epoch`, from the one before."""
        raise TypeError(f"{type(self).__name__}: a subclass of LRScheduler must define rate(lr, base) or get_lr()")

    closed: Callable[[Any], Any] | None = None

    def get_lr(self) -> list[Any]:
        """The rates at `last_epoch`, before they are set; those that are set are `get_last_lr()`."""
        return [self.rate(group["lr"], base) for group, base in zip(self.optimizer.param_groups, self.base_lrs)]

    def get_last_lr(self) -> list[Any]:
        """The rates that were set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one, or to an epoch, and set the rates."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                f"{type(self).__name__}.step() was called before optimizer.step(): the first rate of the schedule is never "
                "used; call it after",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        direct = epoch is not None and self.closed is not None
        values = [self.closed(base) for base in self.base_lrs] if direct and self.closed else self.get_lr()
        self._set(values)

    def _set(self, values: list[Any]) -> None:
        """Set the rates."""
        for group, value in zip(self.optimizer.param_groups, values):
            put(group, "lr", value)
        self._last_lr = rates(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, in PyTorch's layout."""
        return {n: v for n, v in vars(self).items() if n not in self.UNSAVED}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, here or in PyTorch."""
        vars(self).update({n: v for n, v in state_dict.items() if n not in self.UNSAVED})
