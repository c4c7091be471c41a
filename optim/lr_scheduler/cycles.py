"""Schedules that go along cosines, up and down, and in cycles."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from typing import Any

from ..checks import at_least, finite
from .base import LRScheduler, check_optimizer, for_each_group, put


class CosineAnnealingLR(LRScheduler):
    """From the first rate to eta_min in T_max epochs along a cosine, and back."""

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        at_least({"T_max": T_max}, "CosineAnnealingLR", 1, "T_max")
        finite({"eta_min": eta_min}, "CosineAnnealingLR", "eta_min")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        turn, least = self.T_max, self.eta_min
        if self._is_initial:
            return lr
        if self._step_count == 1 and self.last_epoch > 0:
            return least + (base - least) * (1 + math.cos(self.last_epoch * math.pi / turn)) / 2
        if (self.last_epoch - 1 - turn) % (2 * turn) == 0:
            return lr + (base - least) * (1 - math.cos(math.pi / turn)) / 2
        now, before = (1 + math.cos(math.pi * k / turn) for k in (self.last_epoch, self.last_epoch - 1))
        return now / before * (lr - least) + least

    def closed(self, base: Any) -> Any:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    """Down along a cosine in T_0 epochs, then from the top again, each time in T_mult as many."""

    def __init__(self, optimizer: Any, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1):
        for name, value in ("T_0", T_0), ("T_mult", T_mult):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"CosineAnnealingWarmRestarts: {name} must be a whole number above 0, got {value!r}")
        self.T_0, self.T_i, self.T_mult, self.eta_min, self.T_cur = T_0, T_0, T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2

    def step(self, epoch: float | None = None) -> None:
        """Go on by one, or to an epoch, which may be a part of one."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        else:
            self._place(epoch)
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def _place(self, epoch: float) -> None:
        """Find the cycle of an epoch, and how far it is."""
        if epoch < 0:
            raise ValueError(f"CosineAnnealingWarmRestarts.step: epochs count from 0, got {epoch}")
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch  # type: ignore[assignment]
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0  # type: ignore[assignment]
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)  # type: ignore[assignment]
            self.T_i = self.T_0 * self.T_mult**n


class WithMomentum(LRScheduler):
    """A schedule that can also move the momentum, or the first of the betas, the other way."""

    use_beta1 = False

    def _prepare(self, optimizer: Any, least: Any, most: Any, begin: bool) -> tuple[list[Any], list[Any]]:
        """Set the first momentum of each group, and its bounds."""
        who = type(self).__name__
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"{who}: {type(optimizer).__name__} has neither momentum nor betas to cycle; pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        bounds = for_each_group(optimizer, least, who), for_each_group(optimizer, most, who)
        for low, high, group in zip(*bounds, optimizer.param_groups):
            if begin:
                self._put_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        return bounds

    def _put_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(WithMomentum):
    """Up from base_lr to max_lr and down again; heights shrink by `mode`, or by a function of the user's."""

    UNSAVED = ("optimizer", "_scale_fn_custom", "_scale_fn_ref")

    def __init__(
        self,
        optimizer: Any,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer, "CyclicLR")
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"CyclicLR: mode is 'triangular', 'triangular2' or 'exp_range', got {mode!r}; or give a scale_fn"
            )
        base_lrs = for_each_group(optimizer, base_lr, "CyclicLR")
        self.max_lrs = for_each_group(optimizer, max_lr, "CyclicLR")
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size, self.step_ratio = up + down, up / (up + down)
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            bounds = self._prepare(optimizer, base_momentum, max_momentum, last_epoch == -1)
            self.base_momentums, self.max_momentums = bounds
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups):
                put(group, "lr", lr)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """By what the height of a cycle, or at an iteration, is multiplied."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1)}.get(self.mode) or self.gamma**x

    def get_lr(self) -> list[Any]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        up = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, self.optimizer.param_groups)
            for low, high, group in bounds:
                self._put_momentum(group, high - (high - low) * up * scale)
        return [low + (high - low) * up * scale for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        """Without a function, which cannot be saved; of an object that can be called, what it holds."""
        f = self._scale_fn_custom
        kept = None if f is None or isinstance(f, types.FunctionType) else dict(vars(f))
        return super().state_dict() | {"_scale_fn_custom": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there, with the function of this one."""
        super().load_state_dict(state_dict)
        if state_dict.get("_scale_fn_custom") is not None:
            vars(self._scale_fn_custom).update(state_dict["_scale_fn_custom"])


ANNEAL: dict[str, Callable[[Any, Any, float], Any]] = {  # from a start to an end, by the share of the way
    "cos": lambda start, end, way: end + (start - end) / 2.0 * (math.cos(math.pi * way) + 1),
    "linear": lambda start, end, way: (end - start) * way + start,
}


def check_anneal(strategy: str, who: str) -> None:
    """Raise if there is no such way to anneal."""
    if strategy not in ANNEAL:
        raise ValueError(f"{who}: anneal_strategy is 'cos' or 'linear', got {strategy!r}")


class OneCycleLR(WithMomentum):
    """One rise to max_lr and one long fall, for a known number of steps; the momentum goes the other way."""

    def __init__(
        self,
        optimizer: Any,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer, "OneCycleLR")
        check_anneal(anneal_strategy, "OneCycleLR")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(
                f"OneCycleLR: pct_start is the share of steps that rise, from 0.0 to 1.0, got {pct_start!r}"
            )
        self.total_steps = steps_of_all(total_steps, epochs, steps_per_epoch)
        self._anneal_func_type, self.cycle_momentum = anneal_strategy, cycle_momentum
        self._schedule_phases = phases(self.total_steps, pct_start, three_phase)
        highest = for_each_group(optimizer, max_lr, "OneCycleLR")
        if cycle_momentum:
            self._prepare(optimizer, base_momentum, max_momentum, last_epoch == -1)
        for most, group in zip(highest, optimizer.param_groups):
            if last_epoch == -1:
                first = most / div_factor
                group |= {"initial_lr": first, "max_lr": most, "min_lr": first / final_div_factor}
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch} of a schedule of {self.total_steps}; step it once for each step of "
                "the optimizer, or give it more total_steps"
            )
        start = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if self.last_epoch <= end:
                break
            start = end
        else:
            start = self._schedule_phases[-2]["end_step"]
        way = (self.last_epoch - start) / (end - start)
        return [self._annealed(group, phase, way) for group in self.optimizer.param_groups]

    def _annealed(self, group: dict[str, Any], phase: dict[str, Any], way: float) -> Any:
        """The rate of a group so far on the way through a phase; its momentum is set."""
        anneal = ANNEAL[self._anneal_func_type]
        if self.cycle_momentum:
            bounds = group[phase["start_momentum"]], group[phase["end_momentum"]]
            self._put_momentum(group, anneal(*bounds, way))
        return anneal(group[phase["start_lr"]], group[phase["end_lr"]], way)


def steps_of_all(total_steps: Any, epochs: Any, steps_per_epoch: Any) -> int:
    """How many steps there will be."""
    given = [total_steps] if total_steps is not None else [epochs, steps_per_epoch]
    if not all(isinstance(n, int) and n > 0 for n in given):
        raise ValueError(
            f"OneCycleLR: needs total_steps, or epochs and steps_per_epoch, as whole numbers above 0, got {total_steps}, "
            f"{epochs} and {steps_per_epoch}"
        )
    return math.prod(given)


def phases(steps: int, rise: float, three: bool) -> list[dict[str, Any]]:
    """The parts of one cycle, and what each leads from and to."""
    lrs, momentums = ["initial_lr", "max_lr", "min_lr"], ["max_momentum", "base_momentum", "max_momentum"]
    ends: list[float] = [float(rise * steps) - 1, steps - 1]
    if three:
        lrs.insert(2, "initial_lr")
        momentums.append("max_momentum")
        ends.insert(1, float(2 * rise * steps) - 2)
    return [
        {"end_step": end, "start_lr": a, "end_lr": b, "start_momentum": u, "end_momentum": v}
        for end, a, b, u, v in zip(ends, lrs, lrs[1:], momentums, momentums[1:])
    ]
