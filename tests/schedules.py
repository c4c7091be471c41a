"""What schedules of rates are tested on: (label, how many groups, what makes it from a library's optim and an optimizer)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

STEPS = 500
SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda k: 0.99**k, lambda k: 1 / (k + 1)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda k: 0.99 if k % 3 else 1.01),
    "StepLR": lambda s, o: s.StepLR(o, 30),
    "StepLR gamma": lambda s, o: s.StepLR(o, 7, gamma=0.9),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [5, 90, 90, 300], gamma=0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "ConstantLR factor": lambda s, o: s.ConstantLR(o, factor=0.7, total_iters=100),
    "LinearLR": lambda s, o: s.LinearLR(o),
    "LinearLR down": lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.05, total_iters=400),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.987),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o),
    "PolynomialLR power": lambda s, o: s.PolynomialLR(o, total_iters=333, power=1.7),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 60, eta_min=1e-4),
    "CosineAnnealingLR long": lambda s, o: s.CosineAnnealingLR(o, 499),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 20, T_mult=2, eta_min=1e-3),
    "CosineAnnealingWarmRestarts same": lambda s, o: s.CosineAnnealingWarmRestarts(o, 37),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 1e-3, 0.1, step_size_up=20, step_size_down=50),
    "CyclicLR 2": lambda s, o: s.CyclicLR(o, [1e-3, 1e-2], [0.1, 0.2], step_size_up=33, mode="triangular2"),
    "CyclicLR range": lambda s, o: s.CyclicLR(o, 1e-3, 0.1, step_size_up=15, mode="exp_range", gamma=0.995),
    "CyclicLR own": lambda s, o: s.CyclicLR(
        o, 1e-3, 0.1, step_size_up=15, scale_fn=lambda x: 1 / x, cycle_momentum=False
    ),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=501),
    "OneCycleLR three": lambda s, o: s.OneCycleLR(
        o, [0.1, 0.3], epochs=51, steps_per_epoch=10, pct_start=0.2, three_phase=True, anneal_strategy="linear"
    ),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=3, factor=0.5),
    "ReduceLROnPlateau max": lambda s, o: s.ReduceLROnPlateau(
        o, mode="max", patience=1, factor=0.9, threshold=0.1, threshold_mode="abs", cooldown=4, min_lr=[1e-3, 1e-2]
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=20), s.ExponentialLR(o, 0.99), s.CosineAnnealingLR(o, 100)], [20, 120]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.1, total_iters=20), s.StepLR(o, 50, 0.8)]),
}


def value_at(k: int) -> float:
    """Something to measure, with plateaus."""
    return 1 / (1 + k // 25) + 0.01 * (k % 4)


def advance(optimizer: Any, schedule: Any, steps: int, begin: int = 0) -> list[list[float]]:
    """The rates, and momentums if there are any, at each of so many steps."""
    found = []
    for k in range(begin, begin + steps):
        found.append([float(v) for g in optimizer.param_groups for v in (g["lr"], g.get("momentum", 0))])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if "Plateau" in type(schedule).__name__:
                schedule.step(value_at(k))
            else:
                schedule.step()
    return found


def start(library: Any, tensor: Callable, name: str) -> tuple[Any, Any]:
    """An optimizer with two groups, and its schedule."""
    groups = [{"params": [tensor([1.0])]}, {"params": [tensor([2.0])], "lr": 0.02}]
    optimizer = library.SGD(groups, lr=0.05, momentum=0.9)
    return optimizer, SCHEDULES[name](library.lr_scheduler, optimizer)
