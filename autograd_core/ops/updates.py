"""Steps of optimizers, as ops that change a parameter and what is remembered of it in place.

The rules are those of torch.optim.  Rates are numbers or arrays without axes, and `step`, an array without axes that
counts the steps taken, is moved on by the op: so whoever records a step can repeat it with other rates.  `scale`
multiplies the gradient, as clipping by a global norm wants it.  The gradient itself is left alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from ..kernels import optimizer as kernels
from ..op import op

__all__: list[str] = []


def number(v: Any) -> float:
    """A rate as a Python number."""
    return v if v.__class__ is float else float(v)


def factor(scale: Any, maximize: bool) -> float:
    """What the gradient is multiplied by."""
    scale = 1.0 if scale is None else number(scale)
    return -scale if maximize else scale


def counted(step: Any) -> int:
    """The number of this step; the counter moves on."""
    t = step.item() + 1
    step.fill(t)
    return int(t)


def limits(p: Any, fresh: float = 1.0) -> tuple[float, float]:
    """The smallest normal number, and the smallest entry whose square, times `fresh`, is one."""
    c = "d" if p.dtype.char in "dD" else "f"
    return kernels.TINY[c], kernels.ROOTS[c] / sqrt(max(fresh, 1e-6))


def update(mutates: tuple[str, ...]) -> Any:
    """Declare a step by its rule, which says what a kernel is given besides parameter and gradient: arrays and numbers.

    The numbers depend on the rates and on the counters, which the rule moves on.  Who steps many parameters that have
    been stepped equally often asks the `.rule` once.
    """

    def declare(rule: Callable) -> Callable:
        @functools.wraps(rule)
        def step(parameter: Any, gradient: Any, *rest: Any, **options: Any) -> None:
            kernel, arrays, numbers = rule(parameter, gradient, *rest, **options)
            kernel(parameter, gradient, *arrays, *numbers)

        call = op(mutates=mutates, samples=[])(step)
        call.rule = rule
        return call

    return declare


@update(("parameter", "buffer", "step"))
def sgd_step(
    parameter, gradient, buffer, step, lr, scale=None, *,
    momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False,
):  # fmt: skip
    """Stochastic gradient descent; without momentum, buffer and step may be None."""
    f = factor(scale, maximize)
    if not momentum:
        return kernels.sgd, (), (f, weight_decay, number(lr))
    tiny, _ = limits(parameter)
    if first := counted(step) == 1:
        buffer[...] = 0
    fresh = 1.0 if first else 1.0 - dampening
    return kernels.momentum, (buffer,), (f, weight_decay, number(lr), momentum, fresh, bool(nesterov), tiny)


@update(("parameter", "mean", "square", "most", "step"))
def adam_step(
    parameter, gradient, mean, square, most, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False, maximize=False,
):  # fmt: skip
    """Adam; AdamW if `decoupled`; AMSGrad if `most`, the largest squares so far, is not None."""
    t, lr, (b1, b2) = counted(step), number(lr), betas
    tiny, least = limits(parameter, 1 - b2)
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    scalars = (
        factor(scale, maximize), decay, shrink, 1 - b1, b2, 1 / sqrt(1 - b2**t), eps, lr / (1 - b1**t), tiny, least
    )  # fmt: skip
    if most is None:
        return kernels.adam, (mean, square), scalars
    return kernels.amsgrad, (mean, square, most), scalars


@update(("parameter", "mean", "norm", "step"))
def adamax_step(
    parameter, gradient, mean, norm, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False,
):  # fmt: skip
    """Adamax: Adam with the largest gradient so far in place of the root of squares."""
    t, (b1, b2) = counted(step), betas
    rate = number(lr) / (1 - b1**t)
    tiny, _ = limits(parameter)
    return kernels.adamax, (mean, norm), (factor(scale, maximize), weight_decay, 1 - b1, b2, eps, rate, tiny)


@update(("parameter", "mean", "square", "product", "step"))
def nadam_step(
    parameter, gradient, mean, square, product, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3, decoupled=False, maximize=False,
):  # fmt: skip
    """Adam with Nesterov's momentum; `product`, an array without axes, begins at 1."""
    t, lr, (b1, b2) = counted(step), number(lr), betas
    now, then = (b1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    product *= now
    reached = float(product)
    if reached < kernels.TINY["f"]:
        product[...] = 0
    direct, ahead = lr * (1 - now) / (1 - reached), lr * then / (1 - reached * then)
    tiny, least = limits(parameter, 1 - b2)
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    return kernels.nadam, (mean, square), (
        factor(scale, maximize), decay, shrink, 1 - b1, b2, 1 / (1 - b2**t), eps, direct, ahead, tiny, least
    )  # fmt: skip


@update(("parameter", "mean", "square", "step"))
def radam_step(
    parameter, gradient, mean, square, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False, maximize=False,
):  # fmt: skip
    """Adam that adapts its rates only once it has seen enough to know how much they vary."""
    t, lr, (b1, b2) = counted(step), number(lr), betas
    most = 2 / (1 - b2) - 1
    reached = most - 2 * t * b2**t / (1 - b2**t)
    rate, adaptive = lr / (1 - b1**t), reached > 5
    if adaptive:
        rate *= sqrt((reached - 4) * (reached - 2) * most / ((most - 4) * (most - 2) * reached)) * sqrt(1 - b2**t)
    tiny, least = limits(parameter, 1 - b2)
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    return kernels.radam, (mean, square), (
        factor(scale, maximize), decay, shrink, 1 - b1, b2, eps, rate, bool(adaptive), tiny, least
    )  # fmt: skip


@update(("parameter", "total", "step"))
def adagrad_step(
    parameter, gradient, total, step, lr, scale=None, *, lr_decay=0.0, eps=1e-10, weight_decay=0.0, maximize=False
):
    """Adagrad: rates fall with the sum of squared gradients."""
    rate = number(lr) / (1 + (counted(step) - 1) * lr_decay)
    _, least = limits(parameter)
    return kernels.adagrad, (total,), (factor(scale, maximize), weight_decay, rate, eps, least)


@update(("parameter", "square", "change"))
def adadelta_step(
    parameter, gradient, square, change, lr, scale=None, *, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False
):
    """Adadelta: steps as large as earlier ones were."""
    tiny, least = limits(parameter, 1 - rho)
    scalars = factor(scale, maximize), weight_decay, rho, eps, number(lr), tiny, least
    return kernels.adadelta, (square, change), scalars


@update(("parameter", "square", "mean", "buffer"))
def rmsprop_step(
    parameter, gradient, square, mean, buffer, lr, scale=None, *,
    alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False,
):  # fmt: skip
    """RMSprop; unless it is centered and has momentum, mean and buffer may be None."""
    tiny, least = limits(parameter, 1 - alpha)
    scalars = factor(scale, maximize), weight_decay, alpha, eps, number(lr)
    if not momentum and not centered:
        return kernels.rmsprop, (square,), (*scalars, tiny, least)
    mean, buffer = (np.zeros_like(parameter) if v is None else v for v in (mean, buffer))
    return kernels.rmsprop_full, (square, mean, buffer), (*scalars, momentum, bool(centered), tiny, least)


@update(("parameter", "mean"))
def lion_step(parameter, gradient, mean, lr, scale=None, *, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    """Lion: steps of one size, in the direction of the sign of a mean gradient; the decay is decoupled."""
    lr, (b1, b2) = number(lr), betas
    tiny, _ = limits(parameter)
    return kernels.lion, (mean,), (factor(scale, maximize), 1 - lr * weight_decay, 1 - b1, 1 - b2, lr, tiny)


@update(("parameter", "before", "size"))
def rprop_step(parameter, gradient, before, size, scale=None, *, etas=(0.5, 1.2), sizes=(1e-6, 50.0), maximize=False):
    """Rprop: each entry has a step size that grows while its gradient keeps its sign; `size` begins at the rate."""
    return kernels.rprop, (before, size), (factor(scale, maximize), *etas, *sizes)


@update(("parameter", "average", "step", "rate", "weight"))
def asgd_step(
    parameter, gradient, average, step, rate, weight, lr, scale=None, *,
    lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0, maximize=False,
):  # fmt: skip
    """Averaged descent; `rate` begins at lr and `weight` at 1, arrays without axes that are moved on."""
    t, eta, average_by = counted(step), float(rate), float(weight)
    lr = number(lr)
    rate[...] = lr / (1 + lambd * lr * t) ** alpha
    weight[...] = 1 / max(1, t - t0)
    scalars = factor(scale, maximize), weight_decay, 1 - lambd * eta, eta, average_by
    return kernels.asgd, (average,), scalars


@update(("parameter",))
def equilibrated_step(
    parameter, gradient, total, products, lr, scale=None, *, eps=1e-4, weight_decay=0.0, maximize=False
):
    """Steps by the gradient over the root of a mean of squared Hessian-vector products, `total` of which there are."""
    count = max(float(products), 1.0)
    _, least = limits(parameter)
    scalars = factor(scale, maximize), weight_decay, 1.0, eps * sqrt(count), number(lr) * sqrt(count), 0.0, least
    return kernels.rmsprop, (total,), scalars
