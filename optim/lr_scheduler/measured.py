"""Schedules that go by a value that is measured: the loss on held-out data, as a rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core import tape

from ..checks import at_least, not_negative
from .base import LRScheduler, check_optimizer, for_each_group, put, rates


class ReduceLROnPlateau(LRScheduler):
    """Times a factor once a value has not become better for more than `patience` steps."""

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0,
        eps: float = 1e-8,
    ):
        check_optimizer(optimizer, type(self).__name__)
        if not factor < 1:
            raise ValueError(f"{type(self).__name__}: factor must be below 1, to reduce the rate, got {factor}")
        for name, value, known in ("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs")):
            if value not in known:
                raise ValueError(f"{type(self).__name__}: {name} is {known[0]!r} or {known[1]!r}, got {value!r}")
        self.optimizer, self.factor = optimizer, factor
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = for_each_group(optimizer, min_lr, type(self).__name__)
        self.patience, self.cooldown, self.eps = patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.last_epoch, self._last_lr = 0, rates(optimizer)
        self.best, self.cooldown_counter, self.num_bad_epochs = self.mode_worse, 0, 0

    @property
    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def is_better(self, value: float) -> bool:
        """Whether a value is better than the best by the threshold."""
        low = self.mode == "min"
        if self.threshold_mode == "rel":
            return value < self.best * (1.0 - self.threshold) if low else value > self.best * (self.threshold + 1.0)
        return value < self.best - self.threshold if low else value > self.best + self.threshold

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of a value, and reduce the rates if it is time."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value):
            self.best, self.num_bad_epochs = value, 0
            self._improved()
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = rates(self.optimizer)

    def _improved(self) -> None:
        """What is done at a value better than all before."""

    def _reduce(self) -> None:
        """Reduce the rates, unless it would make next to no difference."""
        if len(self.optimizer.param_groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"{type(self).__name__}: min_lr was given for {len(self.min_lrs)} groups, the optimizer has "
                    f"{len(self.optimizer.param_groups)} now; append to min_lrs when you add a group"
                )
            self.min_lrs = [self.default_min_lr] * len(self.optimizer.param_groups)
        for group, least in zip(self.optimizer.param_groups, self.min_lrs):
            before = float(group["lr"])
            after = max(before * self.factor, least)
            if before - after > self.eps:
                put(group, "lr", after)


class RestartFromBest(ReduceLROnPlateau):
    """Annealing by restarts: when nothing becomes better, go back to the best parameters, with a lower rate.

    What the optimizer remembers of the way there is forgotten.
    """

    def __init__(self, optimizer: Any, mode: str = "min", factor: float = 0.1, patience: int = 10, **options: Any):
        super().__init__(optimizer, mode, factor, patience, **options)
        self.best_parameters = self._copy()

    def _copy(self) -> list[np.ndarray]:
        return [p.value.copy() for p in self.optimizer.parameters()]

    def _improved(self) -> None:
        self.best_parameters = self._copy()

    def _reduce(self) -> None:
        super()._reduce()
        for p, best in zip(self.optimizer.parameters(), self.best_parameters):
            p.value[...] = best
            tape.mark_written(p.value)
        self.optimizer.state.clear()


class BoldDriver(LRScheduler):
    """Raise the rate while a loss falls, lower it at once when it rises."""

    def __init__(self, optimizer: Any, up: float = 1.05, down: float = 0.5, min_lr: float = 0.0):
        check_optimizer(optimizer, "BoldDriver")
        at_least({"up": up}, "BoldDriver", 1, "up")
        not_negative({"down": down, "min_lr": min_lr}, "BoldDriver", "down", "min_lr")
        if down > 1:
            raise ValueError(f"BoldDriver: down must be at most 1, to lower the rate, got {down}")
        self.optimizer, self.up, self.down, self.min_lr = optimizer, up, down, min_lr
        self.last_epoch, self.before, self._last_lr = 0, math.inf, rates(optimizer)

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of a loss."""
        value = float(metrics)
        factor = self.up if value <= self.before else self.down
        for group in self.optimizer.param_groups:
            put(group, "lr", max(float(group["lr"]) * factor, self.min_lr))
        self.before, self.last_epoch, self._last_lr = value, self.last_epoch + 1, rates(self.optimizer)
