"""Steps of optimizers that look at a parameter as a whole: at its norm, at its rows, at the directions of a matrix."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np

from ..kernels import optimizer as kernels
from ..kernels.matmul import inner
from ..op import op
from .updates import counted, factor, limits, number

__all__: list[str] = []


def size(x: Any) -> float:
    """The Euclidean norm of all entries."""
    flat = x.reshape(-1)
    return sqrt(inner(flat, flat))


def trust(p: Any, update: float, most: float = float("inf")) -> float:
    """The norm of a parameter over that of its update; 1 if either is 0."""
    own = size(p)
    return min(own / update, most) if own > 0 and update > 0 else 1.0


@op(mutates=("parameter", "mean", "square", "change", "step"), samples=[])
def lamb_step(
    parameter, gradient, mean, square, change, step, lr, scale=None, *,
    betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, most=10.0, adapt=True, maximize=False,
):  # fmt: skip
    """Adam's change, scaled to the norm of the parameter; `change` is room for it."""
    t, lr, (b1, b2) = counted(step), number(lr), betas
    tiny, least = limits(parameter, 1 - b2)
    change[...] = 0
    scalars = factor(scale, maximize), 0.0, 0.0, 1 - b1, b2, 1 / sqrt(1 - b2**t), eps, -1 / (1 - b1**t), tiny, least
    kernels.adam(change, gradient, mean, square, *scalars)
    if weight_decay:
        kernels.sgd(change, parameter, 1.0, 0.0, -weight_decay)
    ratio = trust(parameter, size(change), most) if adapt else 1.0
    kernels.sgd(parameter, change, 1.0, 0.0, lr * ratio)


@op(mutates=("parameter", "buffer", "step"), samples=[])
def lars_step(
    parameter, gradient, buffer, step, lr, scale=None, *,
    momentum=0.9, dampening=0.0, weight_decay=0.0, coefficient=1e-3, eps=1e-8, nesterov=False, adapt=True,
    maximize=False,
):  # fmt: skip
    """Momentum, with a rate in proportion to the norm of the parameter over that of its gradient."""
    f, decay = factor(scale, maximize), weight_decay
    own, slope = size(parameter), abs(f) * size(gradient)
    if adapt and own > 0 and slope > 0:
        local = coefficient * own / (slope + weight_decay * own + eps)
        f, decay = f * local, decay * local
    first = counted(step) == 1
    tiny, _ = limits(parameter)
    fresh = 1.0 if first else 1.0 - dampening
    kernels.momentum(parameter, gradient, buffer, f, decay, number(lr), momentum, fresh, bool(nesterov), tiny)


def cut(room: Any, dtype: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """Arrays of these shapes in a row of bytes, which has room for all of them."""
    flat, found = room.view(dtype), []
    for shape in shapes:
        found.append(flat[: prod(shape)].reshape(shape))
        flat = flat[prod(shape) :]
    return found


def clear(x: Any, sizes: Any, tiny: float, room: Any) -> None:
    """Set to 0 what is smaller than `tiny`; the room is an array like x."""
    small = room.reshape(-1).view(bool)[: x.size].reshape(x.shape)
    x[np.less(sizes, tiny, out=small)] = 0


@op(mutates=("parameter", "row", "column", "square", "step", "room"), samples=[])
def adafactor_step(
    parameter, gradient, row, column, square, step, room, lr, scale=None, *,
    beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, maximize=False,
):  # fmt: skip
    """Adam without means, whose squares are kept as those of rows and columns; vectors have `square` instead."""
    t, lr = counted(step), number(lr)
    least = float(np.finfo(parameter.dtype).eps) if eps[0] is None else eps[0]
    if not (count := parameter.size):
        return
    tiny, _ = limits(parameter)
    rate = max(eps[1], size(parameter) / sqrt(count)) * min(lr, 1 / sqrt(t))
    g, change = cut(room, parameter.dtype, parameter.shape, parameter.shape)
    np.multiply(gradient, factor(scale, maximize), out=g)
    if weight_decay:
        parameter *= 1 - lr * weight_decay
    np.multiply(g, g, out=change)
    new = t**beta2_decay
    if g.ndim > 1:
        row += (np.mean(change, -1, keepdims=True) - row) * new
        column += (np.mean(change, -2, keepdims=True) - column) * new
        row[row < tiny], column[column < tiny] = 0, 0
        np.matmul(row, column, out=change)
        change /= np.maximum(np.mean(row, -2, keepdims=True), least)
        np.maximum(change, least * least, out=change)
    else:
        change -= square
        change *= new
        square += change
        clear(square, square, tiny, change)
        np.maximum(square, least * least, out=change)
    np.divide(g, np.sqrt(change, out=change), out=change)
    change *= rate / max(1.0, size(change) / (sqrt(count) * d))
    parameter -= change


def orthogonalize(x: Any, coefficients: tuple[float, float, float], eps: float, rounds: int, work: list[Any]) -> None:
    """Make singular values of a matrix alike, roughly, in place: Newton's and Schulz's iteration, to the fifth power.

    The work is done in two arrays of as many entries, and two squares of as many rows as x has at its short side.
    """
    (a, b, c), (*turns, gram, square) = coefficients, work
    wide = x if x.shape[0] <= x.shape[1] else x.T
    turns = [t.reshape(wide.shape) for t in turns]
    turns[0][...] = y = wide
    y /= max(size(turns[0]), eps)
    for k in range(rounds):
        np.matmul(y, y.T, out=gram)
        np.matmul(gram, gram, out=square)
        square *= c
        gram *= b
        gram += square
        new, old = turns[k % 2], turns[1 - k % 2]
        np.matmul(gram, y, out=new)
        old[...] = y  # which lies there already, but for the first round: sums over arrays of unlike order take memory
        old *= a
        new += old
        y = new
    wide[...] = y


RATIOS = {  # how a rate becomes that of a matrix of so many rows and columns
    None: lambda rows, columns: sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * sqrt(max(rows, columns)),
}


@op(mutates=("parameter", "buffer", "room"), samples=[])
def muon_step(
    parameter, gradient, buffer, room, lr, scale=None, *,
    momentum=0.95, nesterov=True, coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, rounds=5, weight_decay=0.1,
    adjust=None, maximize=False,
):  # fmt: skip
    """Steps of a matrix in all of its directions alike; computed in the type of the parameter."""
    lr, least = number(lr), (min(parameter.shape),) * 2
    g, change, spare, *squares = cut(room, parameter.dtype, *[parameter.shape] * 3, least, least)
    np.multiply(gradient, factor(scale, maximize), out=g)
    np.subtract(g, buffer, out=change)
    change *= 1 - momentum
    buffer += change
    clear(buffer, np.abs(buffer, out=change), limits(parameter)[0], spare)
    change[...] = buffer
    if nesterov:
        change -= g
        change *= momentum
        change += g
    orthogonalize(change, coefficients, eps, rounds, [g, spare, *squares])
    parameter *= 1 - lr * weight_decay
    change *= lr * RATIOS[adjust](*parameter.shape)
    parameter -= change


@op(mutates=("parameter", "mean", "square", "step"), samples=[])
def sparse_adam_step(
    parameter, gradient, mean, square, step, lr, scale=None, *, betas=(0.9, 0.999), eps=1e-8, maximize=False
):
    """Adam for the rows that have a gradient, one that is not all zeros; what is remembered of the others stays."""
    t, (b1, b2) = counted(step), betas
    tiny, least = limits(parameter, 1 - b2)
    rate = number(lr) * sqrt(1 - b2**t) / (1 - b1**t)
    scalars = factor(scale, maximize), 1 - b1, b2, eps, rate, tiny, least
    kernels.sparse_adam(parameter, gradient, mean, square, *scalars)
