"""Expression swell: how long derivatives become when they are written out, against what the tape does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..backward import gradient
from ..reach import ancestors
from ..tape import Node
from ..tensor import Tensor, at
from .calculus import differentiated, require_order
from .expression import Expression, symbol, trace
from .simplify import simplify


@dataclass(frozen=True)
class Order:
    """The operations of one derivative: written out, each once, after simplifying; and those on the tape."""

    order: int
    written: int
    shared: int
    simplified: int
    tape: int


@dataclass(frozen=True)
class Swell:
    """The operations of derivatives of several orders; printed, a table."""

    orders: tuple[Order, ...]

    def __str__(self) -> str:
        head = f"{'order':>5} {'written out':>16} {'shared':>8} {'simplified':>10} {'tape':>8}"
        row = lambda o: f"{o.order:>5} {o.written:>16,} {o.shared:>8,} {o.simplified:>10,} {o.tape:>8,}"
        return "\n".join([head, *map(row, self.orders)])

    __repr__ = __str__


def swell(f: Callable | Expression, order: int = 1, at: dict | None = None) -> Swell:
    """Operations of the derivatives of f by its first symbol up to an order, as symbols and on the tape.

    Of each derivative: written out as a formula; with what occurs twice counted once; simplified after every step; and
    the operations that the tape records when it computes it (at the numbers in `at`, by default 0.5 for every symbol).
    """
    require_order(order)
    e = trace(f)
    by = e.symbols()[0] if e.symbols() else symbol("x")
    taped = on_tape(e, by, order, at or {})
    rows, raw, short = [], e, simplify(e)
    for k in range(order + 1):
        rows.append(Order(k, raw.operations(False), raw.operations(), short.operations(False), taped[k]))
        raw, short = differentiated(raw, by), simplify(differentiated(short, by))
    return Swell(tuple(rows))


def on_tape(e: Expression, by: Expression, order: int, values: dict) -> list[int]:
    """The operations that tape after tape records on the way to the derivatives."""
    given = {s.name: at(np.asarray(float(values.get(s.name, 0.5)))) for s in e.symbols()}
    x = Tensor(given.get(by.name, 0.5), requires_grad=True)
    y = e.evaluate(given | {by.name: x}) if by.name in given else x * 0
    counts = [recorded(y)]
    for _ in range(order):
        y = gradient(y, [x], create_graph=True, allow_unused=True)[0]
        counts.append(recorded(y))
        if y is None or not y.requires_grad:
            counts += [0] * (order + 1 - len(counts))
            break
    return counts


def recorded(y: Tensor | None) -> int:
    """How many operations the history of a tensor has."""
    if y is None or y.node is None:
        return 0
    return sum(isinstance(n, Node) for n in ancestors([y.grad_fn or y.node]))
