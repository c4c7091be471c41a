"""Schedules that multiply: by steps, along lines and powers, and by functions of the user's."""

from __future__ import annotations

import math
import types
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..checks import at_least, finite
from .base import LRScheduler, check_optimizer, for_each_group

SHAPES: dict[str, Callable[[float, float], float]] = {  # of a rise from a factor to 1, by the share of the way
    "linear": lambda start, way: start + (1 - start) * way,
    "cosine": lambda start, way: start + (1 - start) * (1 - math.cos(math.pi * way)) / 2,
    "exponential": lambda start, way: start ** (1 - way),
}


class Functions(LRScheduler):
    """A schedule by functions of the epoch, one for each group or one for all."""

    def __init__(self, optimizer: Any, lr_lambda: Any, last_epoch: int = -1):
        who = type(self).__name__
        check_optimizer(optimizer, who)
        self.lr_lambdas = for_each_group(optimizer, lr_lambda, who)
        for f in self.lr_lambdas:
            if not callable(f):
                raise TypeError(f"{who}: lr_lambda must be a function of the epoch, got {type(f).__name__} {f!r:.40}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Without functions, which cannot be saved; of objects that can be called, what they hold."""
        kept = [None if isinstance(f, types.FunctionType) else dict(vars(f)) for f in self.lr_lambdas]
        return {n: v for n, v in super().state_dict().items() if n != "lr_lambdas"} | {"lr_lambdas": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there, with the functions of this one."""
        super().load_state_dict({n: v for n, v in state_dict.items() if n != "lr_lambdas"})
        for f, kept in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            if kept is not None:
                vars(f).update(kept)


class LambdaLR(Functions):
    """The first rate times a function of the epoch."""

    def get_lr(self) -> list[Any]:
        return [base * f(self.last_epoch) for f, base in zip(self.lr_lambdas, self.base_lrs)]


class MultiplicativeLR(Functions):
    """The rate before times a function of the epoch."""

    def get_lr(self) -> list[Any]:
        factors = [1 if self._is_initial else f(self.last_epoch) for f in self.lr_lambdas]
        return [group["lr"] * factor for factor, group in zip(factors, self.optimizer.param_groups)]


class StepLR(LRScheduler):
    """Times gamma every `step_size` epochs."""

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        at_least({"step_size": step_size}, "StepLR", 1, "step_size")
        finite({"gamma": gamma}, "StepLR", "gamma")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        return lr if self.last_epoch == 0 or self.last_epoch % self.step_size else lr * self.gamma

    def closed(self, base: Any) -> Any:
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Times gamma at each of some epochs."""

    def __init__(self, optimizer: Any, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1):
        finite({"gamma": gamma}, "MultiStepLR", "gamma")
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        return lr * self.gamma ** self.milestones[self.last_epoch] if self.last_epoch in self.milestones else lr

    def closed(self, base: Any) -> Any:
        return base * self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ConstantLR(LRScheduler):
    """Times a factor until `total_iters`."""

    def __init__(self, optimizer: Any, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1):
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be from 0 to 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1.0 / self.factor) if self.last_epoch == self.total_iters else lr

    def closed(self, base: Any) -> Any:
        return base * (self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor))


class LinearLR(LRScheduler):
    """Times a factor that goes from one value to another along a line, until `total_iters`."""

    def __init__(
        self,
        optimizer: Any,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR: factors are at most 1, start_factor above 0, end_factor 0 or more, got {start_factor} and "
                f"{end_factor}"
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        return lr * (1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))

    def closed(self, base: Any) -> Any:
        along = (self.end_factor - self.start_factor) * min(self.total_iters, self.last_epoch) / self.total_iters
        return base * (self.start_factor + along)


class ExponentialLR(LRScheduler):
    """Times gamma at each epoch."""

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1):
        finite({"gamma": gamma}, "ExponentialLR", "gamma")
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        return lr if self._is_initial else lr * self.gamma

    def closed(self, base: Any) -> Any:
        return base * self.gamma**self.last_epoch


class PolynomialLR(LRScheduler):
    """Falls to 0 at `total_iters`, by a power of what is left."""

    def __init__(self, optimizer: Any, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        at_least({"total_iters": total_iters}, "PolynomialLR", 1, "total_iters")
        finite({"power": power}, "PolynomialLR", "power")
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        left, before = (1.0 - k / self.total_iters for k in (self.last_epoch, self.last_epoch - 1))
        return lr * (left / before) ** self.power

    def closed(self, base: Any) -> Any:
        return base * (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power


class WarmUp(LRScheduler):
    """Rises from `start_factor` of the first rate to all of it in `steps` steps, and then leaves the rate alone.

    shape is "linear", "cosine" or "exponential".  In a ChainedScheduler it comes before the schedule that goes on.
    """

    def __init__(
        self, optimizer: Any, steps: int, start_factor: float = 0.0, shape: str = "linear", last_epoch: int = -1
    ):
        at_least({"steps": steps}, "WarmUp", 1, "steps")
        if shape not in SHAPES or not 0 <= start_factor <= 1 or (shape == "exponential" and start_factor == 0):
            raise ValueError(
                f"WarmUp: shape is one of {', '.join(SHAPES)}, start_factor from 0 to 1, above 0 if exponential, got "
                f"{shape!r} and {start_factor}"
            )
        self.steps, self.start_factor, self.shape = steps, start_factor, shape
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        return lr if self.last_epoch > self.steps else self.closed(base)

    def closed(self, base: Any) -> Any:
        return base * SHAPES[self.shape](self.start_factor, min(self.last_epoch / self.steps, 1.0))


class InverseSquareRootLR(LRScheduler):
    """Rises along a line for `warmup_steps`, then falls as one over the root of the step, as transformers are trained.

    The first rate is reached at the top; with `d_model` it is multiplied by that of "Attention is all you need".
    """

    def __init__(self, optimizer: Any, warmup_steps: int, d_model: int | None = None, last_epoch: int = -1):
        at_least({"warmup_steps": warmup_steps}, "InverseSquareRootLR", 1, "warmup_steps")
        self.warmup_steps, self.d_model = warmup_steps, d_model
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: Any, base: Any) -> Any:
        return self.closed(base)

    def closed(self, base: Any) -> Any:
        t, w = self.last_epoch + 1, self.warmup_steps
        if self.d_model is not None:
            return base * self.d_model**-0.5 * min(t**-0.5, t * w**-1.5)
        return base * min(t / w, (w / t) ** 0.5)
