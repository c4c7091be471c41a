"""Schedules made of others: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from .base import LRScheduler, put, rates
from .measured import ReduceLROnPlateau


def check_parts(schedulers: Sequence[Any], optimizer: Any, who: str) -> None:
    """Raise if schedules cannot be put together."""
    if not schedulers:
        raise ValueError(f"{who}: needs at least one schedule, got none")
    for k, s in enumerate(schedulers):
        if not hasattr(s, "optimizer"):
            raise TypeError(f"{who}: schedule {k} is a {type(s).__name__}, which has no optimizer: not a schedule")
        if isinstance(s, ReduceLROnPlateau):
            raise ValueError(f"{who}: schedule {k} is a {type(s).__name__}, whose step needs a value; step it apart")
        if s.optimizer is not optimizer:
            raise ValueError(f"{who}: schedule {k}, a {type(s).__name__}, belongs to another optimizer")


class Composed(LRScheduler):
    """What schedules of schedules save."""

    UNSAVED = ("optimizer", "_schedulers")
    _schedulers: list[Any]

    def state_dict(self) -> dict[str, Any]:
        """Where each of the schedules stands."""
        return super().state_dict() | {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state_dict)
        for s, saved in zip(self._schedulers, state_dict["_schedulers"]):
            s.load_state_dict(saved)


class SequentialLR(Composed):
    """One schedule after the other, each from its milestone on."""

    def __init__(self, optimizer: Any, schedulers: list[Any], milestones: list[int], last_epoch: int = -1):
        check_parts(schedulers, optimizer, "SequentialLR")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules meet at {len(schedulers) - 1} milestones, got {len(milestones)}"
            )
        self._schedulers, self._milestones = schedulers, milestones
        self.last_epoch, self.optimizer = last_epoch + 1, optimizer
        for group in optimizer.param_groups:
            put(group, "lr", group["initial_lr"])
        take_back(self)  # the first steps that they made when they were made
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one."""
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        now = self._schedulers[k]
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            now._update_lr(0)
        else:
            now.step()
        self._last_lr = now.get_last_lr()


def take_back(schedule: Any) -> None:
    """Let a schedule, and those that it is made of, stand one step before."""
    for part in getattr(schedule, "_schedulers", ()):
        take_back(part)
    if not hasattr(schedule, "_schedulers"):
        schedule.last_epoch -= 1


class ChainedScheduler(Composed):
    """All schedules at each step; each multiplies what the one before has set."""

    def __init__(self, schedulers: Sequence[Any], optimizer: Any = None):
        if schedulers and optimizer is None:
            optimizer = getattr(schedulers[0], "optimizer", None)
        check_parts(schedulers, optimizer, "ChainedScheduler")
        self._schedulers, self.optimizer = list(schedulers), optimizer
        self._last_lr = rates(optimizer)

    def step(self, epoch: int | None = None) -> None:
        """Go on by one."""
        for s in self._schedulers:
            s.step()
        self._last_lr = rates(self.optimizer)
