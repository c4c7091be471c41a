"""Whole matrices of derivatives, and products with them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backward import pullback
from .forward import new_level
from .functional import (
    Run,
    array_form,
    as_tensor,
    chosen_arguments,
    derivative,
    differentiable,
    outward,
    push_through,
    require_callable,
    vjp,
)
from .op import REGISTRY
from .ops import PUBLIC
from .tape import state
from .tensor import at
from .tree import flatten
from .vmap import Batched


def jacobian(f: Callable, argnums: int | Sequence[int] = 0, mode: str = "auto") -> Callable:
    """A function that returns f's derivative, of shape result + argument, by rows (reverse) or columns (forward)."""
    return _jacobian(f, argnums, mode, "jacobian")


def _jacobian(f: Callable, argnums: int | Sequence[int], mode: str, who: str) -> Callable:
    require_callable(f, who)
    if mode not in ("auto", "reverse", "forward"):
        raise ValueError(f'jacobian: mode must be "auto", "reverse" or "forward", got {mode!r}')

    @functools.wraps(f)
    def call(*args, **options):
        numbers, put = chosen_arguments(args, argnums, who)
        chosen = tuple(args[n] for n in numbers)
        build, rebuild, blocks = _blocks(lambda *xs: f(*put(xs), **options), chosen, mode, who)
        rows = [rebuild(row) for row in blocks]
        return build([row[0] for row in rows] if isinstance(argnums, int) else rows)

    return call


def _blocks(f: Callable, arguments: tuple, mode: str, who: str) -> tuple:
    """The derivative of each leaf of the result by each leaf of the arguments, and how to build the trees of both."""
    if mode != "forward":
        run = Run(f, arguments, who)
        size = lambda leaves: sum(math.prod(np.shape(x)) for x in leaves)
        if mode == "reverse" or size(run.ys) <= size(run.xs):
            return run.build, run.rebuild, [_rows(run, y) for y in run.ys]
    given, rebuild = flatten(arguments)
    columns = [_columns(f, given, rebuild, j, who) for j in range(len(given))]
    return columns[0][1], rebuild, [list(row) for row in zip(*(column for column, _ in columns))]


def _rows(run: Run, y: Any) -> list:
    """One walk back with a whole basis of cotangents of y, as a batch."""
    found: dict = {}
    if run.mine(y):
        with new_level() as level:
            seed = Batched(at(_basis(y)), level)
            found = pullback([y], [seed], run.nodes, retain=True, tracked=run.follow, only_wanted=True)
    blocks = []
    for n, x, form in zip(run.nodes, run.xs, run.given):
        g = (
            _unbatched(found[n][0], math.prod(y.shape))
            if n in found
            else np.zeros((math.prod(np.shape(y)), *x.shape), x.dtype)
        )
        g = REGISTRY["reshape"].call(g, shape=(*np.shape(y), *x.shape))
        if run.mine(y) and y.dtype.kind == "c":
            g = REGISTRY["conj"].call(g)  # the derivative itself, as forward mode has it, not the direction of ascent
        blocks.append(outward(g, array_form(form) if g.ndim else form, run.level))
    return blocks


def _unbatched(g: Any, size: int) -> Any:
    """The rows of a batch of cotangents; one that does not depend on the cotangent of the result is the same in all."""
    return g.batch if isinstance(g, Batched) else REGISTRY["broadcast_to"].call(as_tensor(g), shape=(size, *g.shape))


def _columns(f: Callable, given: list, rebuild: Callable, j: int, who: str) -> tuple[list, Callable]:
    """One run forward with a whole basis of tangents of argument leaf j, as a batch."""
    values = [differentiable(x, who, f"leaf {k} of the arguments") for k, x in enumerate(given)]
    with new_level() as level:
        tangents = [
            Batched(at(_basis(x)), level) if k == j else np.zeros(x.shape, x.dtype) for k, x in enumerate(values)
        ]
        y, t = push_through(f, rebuild(values), rebuild(tangents), False, who)
    ts, build = flatten(t)
    x, blocks = values[j], []
    for result, t in zip(flatten(y)[0], ts):
        mine = isinstance(t, Batched) and t.level == level
        block = (
            PUBLIC["movedim"](t.batch, 0, -1) if mine else np.zeros((*np.shape(result), math.prod(x.shape)), x.dtype)
        )
        block = REGISTRY["reshape"].call(block, shape=(*np.shape(result), *x.shape))
        blocks.append(outward(block, array_form(given[j]) if block.ndim else given[j], 2 * state.depth))
    return blocks, build


def _basis(x: Any) -> np.ndarray:
    size = math.prod(x.shape)
    return np.eye(size, dtype=x.dtype).reshape(size, *x.shape)


def hessian(f: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """A function that returns the matrix of second derivatives of f, forward over reverse."""
    return _jacobian(derivative(f, argnums, False, "hessian"), argnums, "forward", "hessian")


def hvp(f: Callable, primals: Any, tangents: Any) -> Any:
    """The Hessian of f times the tangents, at the cost of a few gradients; for several primals, a tuple."""
    primals, tangents, several = *_tuples(primals, tangents, "hvp"), isinstance(primals, (tuple, list))
    gradient = derivative(f, tuple(range(len(primals))), False, "hvp")
    product = push_through(gradient, primals, tangents, False, "hvp")[1]
    return product if several and len(primals) > 1 else product[0]


def ggnvp(f: Callable, primals: Any, tangents: Any, loss: Callable | None = None) -> Any:
    """The Gauss-Newton matrix Jᵀ H J of loss(f(x)) times the tangents; by default half the sum of squares."""
    primals, tangents, several = *_tuples(primals, tangents, "ggnvp"), isinstance(primals, (tuple, list))
    pushed = push_through(f, primals, tangents, False, "ggnvp")[1]
    y, pull = vjp(f, *primals)
    pulled = pull(pushed if loss is None else hvp(loss, (y,), (pushed,)))
    return pulled if several and len(primals) > 1 else pulled[0] if len(primals) > 1 else pulled


def _tuples(primals: Any, tangents: Any, who: str) -> tuple[tuple, tuple]:
    primals, tangents = (tuple(t) if isinstance(t, (tuple, list)) else (t,) for t in (primals, tangents))
    if len(primals) != len(tangents):
        raise ValueError(f"{who}: {len(primals)} primals but {len(tangents)} tangents")
    return primals, tangents
