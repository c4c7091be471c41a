"""Steps of optimizers, as ops that change a parameter and what is remembered of it in place.

The rules are those of torch.optim.  Rates are numbers or arrays without axes, and `step`, an array without axes that
counts the steps taken, is moved on by the op: so whoever records a step can repeat it with other rates.  `scale`
multiplies the gradient, as clipping by a global norm wants it.  The gradient itself is left alone.
"""

from __future__ import annotations

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
    step += 1
    return int(step)


def limits(p: Any, fresh: float = 1.0) -> tuple[float, float]:
    """The smallest normal number, and the smallest entry whose square, times `fresh`, is one."""
    c = p.dtype.char if p.dtype.char in kernels.TINY else "f"
    return kernels.TINY[c], kernels.ROOTS[c] / sqrt(max(fresh, 1e-6))


@op(mutates=("parameter", "buffer", "step"), samples=[])
def sgd_step(
    parameter, gradient, buffer, step, lr, scale=None, *,
    momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False,
):  # fmt: skip
    """Stochastic gradient descent; without momentum, buffer and step may be None."""
    f = factor(scale, maximize)
    if not momentum:
        kernels.sgd(parameter, gradient, f, weight_decay, number(lr))
        return
    tiny, _ = limits(parameter)
    if first := counted(step) == 1:
        buffer[...] = 0
    fresh = 1.0 if first else 1.0 - dampening
    kernels.momentum(parameter, gradient, buffer, f, weight_decay, number(lr), momentum, fresh, bool(nesterov), tiny)


@op(mutates=("parameter", "mean", "square", "most", "step"), samples=[])
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
        kernels.adam(parameter, gradient, mean, square, *scalars)
    else:
        kernels.amsgrad(parameter, gradient, mean, square, most, *scalars)


@op(mutates=("parameter", "mean", "norm", "step"), samples=[])
def adamax_step(
    parameter, gradient, mean, norm, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False,
):  # fmt: skip
    """Adamax: Adam with the largest gradient so far in place of the root of squares."""
    t, (b1, b2) = counted(step), betas
    rate = number(lr) / (1 - b1**t)
    tiny, _ = limits(parameter)
    kernels.adamax(parameter, gradient, mean, norm, factor(scale, maximize), weight_decay, 1 - b1, b2, eps, rate, tiny)


@op(mutates=("parameter", "mean", "square", "product", "step"), samples=[])
def nadam_step(
    parameter, gradient, mean, square, product, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3, decoupled=False, maximize=False,
):  # fmt: skip
    """Adam with Nesterov's momentum; `product`, an array without axes, begins at 1."""
    t, lr, (b1, b2) = counted(step), number(lr), betas
    now, then = (b1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    product *= now
    reached = float(product)
    direct, ahead = lr * (1 - now) / (1 - reached), lr * then / (1 - reached * then)
    tiny, least = limits(parameter, 1 - b2)
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    kernels.nadam(
        parameter, gradient, mean, square, factor(scale, maximize), decay, shrink, 1 - b1, b2, 1 / (1 - b2**t), eps,
        direct, ahead, tiny, least,
    )  # fmt: skip


@op(mutates=("parameter", "mean", "square", "step"), samples=[])
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
    kernels.radam(
        parameter, gradient, mean, square, factor(scale, maximize), decay, shrink, 1 - b1, b2, eps, rate,
        bool(adaptive), tiny, least,
    )  # fmt: skip


@op(mutates=("parameter", "total", "step"), samples=[])
def adagrad_step(
    parameter, gradient, total, step, lr, scale=None, *, lr_decay=0.0, eps=1e-10, weight_decay=0.0, maximize=False
):
    """Adagrad: rates fall with the sum of squared gradients."""
    rate = number(lr) / (1 + (counted(step) - 1) * lr_decay)
    _, least = limits(parameter)
    kernels.adagrad(parameter, gradient, total, factor(scale, maximize), weight_decay, rate, eps, least)


@op(mutates=("parameter", "square", "change"), samples=[])
def adadelta_step(
    parameter, gradient, square, change, lr, scale=None, *, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False
):
    """Adadelta: steps as large as earlier ones were."""
    tiny, least = limits(parameter, 1 - rho)
    f = factor(scale, maximize)
    kernels.adadelta(parameter, gradient, square, change, f, weight_decay, rho, eps, number(lr), tiny, least)


@op(mutates=("parameter", "square", "mean", "buffer"), samples=[])
def rmsprop_step(
    parameter, gradient, square, mean, buffer, lr, scale=None, *,
    alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False,
):  # fmt: skip
    """RMSprop; unless it is centered and has momentum, mean and buffer may be None."""
    tiny, least = limits(parameter, 1 - alpha)
    scalars = factor(scale, maximize), weight_decay, alpha, eps, number(lr)
    if not momentum and not centered:
        kernels.rmsprop(parameter, gradient, square, *scalars, tiny, least)
        return
    mean, buffer = (np.zeros_like(parameter) if v is None else v for v in (mean, buffer))
    kernels.rmsprop_full(parameter, gradient, square, mean, buffer, *scalars, momentum, bool(centered), tiny, least)


@op(mutates=("parameter", "mean"), samples=[])
def lion_step(parameter, gradient, mean, lr, scale=None, *, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    """Lion: steps of one size, in the direction of the sign of a mean gradient; the decay is decoupled."""
    lr, (b1, b2) = number(lr), betas
    tiny, _ = limits(parameter)
    kernels.lion(parameter, gradient, mean, factor(scale, maximize), 1 - lr * weight_decay, 1 - b1, 1 - b2, lr, tiny)


@op(mutates=("parameter", "before", "size"), samples=[])
def rprop_step(parameter, gradient, before, size, scale=None, *, etas=(0.5, 1.2), sizes=(1e-6, 50.0), maximize=False):
    """Rprop: each entry has a step size that grows while its gradient keeps its sign; `size` begins at the rate."""
    kernels.rprop(parameter, gradient, before, size, factor(scale, maximize), *etas, *sizes)


@op(mutates=("parameter", "average", "step", "rate", "weight"), samples=[])
def asgd_step(
    parameter, gradient, average, step, rate, weight, lr, scale=None, *,
    lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0, maximize=False,
):  # fmt: skip
    """Averaged descent; `rate` begins at lr and `weight` at 1, arrays without axes that are moved on."""
    t, eta = counted(step), float(rate)
    f = factor(scale, maximize)
    kernels.asgd(parameter, gradient, average, f, weight_decay, 1 - lambd * eta, eta, float(weight))
    lr = number(lr)
    rate[...] = lr / (1 + lambd * lr * t) ** alpha
    weight[...] = 1 / max(1, t - t0)
