"""Calls that are better two: small linear layers, whose bias goes into a loop with others, and sums over axes that lie apart.

A large linear layer takes on a ReLU.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from ...kernels.matmul import RELU
from ...op import REGISTRY
from ..emit import special
from ..program import TEMPORARY, Array, Block, Call, Program, in_order
from .fuse import STEPS, lying, narrowed


def split(program: Program) -> Program:
    """Small linear layers as a product and the addition of a bias, large ones with the ReLU of their result."""
    calls = with_relu(program.calls, {a.block for a in program.outputs})
    for apart in (sums, parts, straightened):
        calls = [part for call in calls for part in apart(call)]
    return program.having(calls)


def straightened(call: Call) -> list[Call]:
    """A call that works entry by entry, after copies of operands that lie otherwise than loops read them."""
    if call.op.name not in STEPS or len(call.changes) != 1 or not call.changes[0].contiguous:
        return [call]
    if not {a.dtype.char for a in call.reads} <= {"f", "d"}:
        return [call]
    target, copies = call.changes[0], {}  # type: ignore[var-annotated]
    for a in call.reads:
        if lying(a, target.shape) is None and a not in copies:
            near = narrowed(a)
            near = near if lying(fresh(near), target.shape) else a
            copies[a] = Call(REGISTRY["compact"], (near,), {}, (fresh(near),), (), call.line)
    if not copies:
        return [call]
    args = tuple(copies[a].results[0] if isinstance(a, Array) and a in copies else a for a in call.args)
    return [*copies.values(), replace(call, args=args)]


def fresh(a: Array) -> Array:
    """New temporary memory for an array of this shape, with entries in order."""
    a = a._replace(offset=0, strides=in_order(a))
    return a._replace(block=Block(TEMPORARY, np.empty(0, a.dtype), 0, a.bytes))


def sums(call: Call) -> list[Call]:
    """A call, or the sums along neighbouring axes, the last first, that add up as much."""
    x, name = call.args[0] if call.args else None, call.op.name
    if name not in ("sum", "mean", "fit_shape") or not isinstance(x, Array) or not call.results[0].contiguous:
        return [call]
    y, axes = call.results[0], call.params.get("axis")
    if axes is None:
        left = (1,) * (len(x.shape) - len(y.shape)) + y.shape
        axes = [k - len(left) for k, (n, m) in enumerate(zip(x.shape, left)) if n != m and m == 1]
        name = "sum" if axes else name
    if name == "fit_shape":  # from ones to fewer ones
        return (
            [Call(REGISTRY["reshape"], (x,), {"shape": y.shape}, (y,), (), call.line)] if x.size == y.size else [call]
        )
    runs = runs_of(list(axes))
    if not x.contiguous or not x.size or not runs or (len(runs) == 1 and call.op.name == name):
        return [call]
    calls, shape = [], list(x.shape)
    for run in reversed(runs):
        for a in run:
            shape[a] = 1
        between = fresh(x._replace(shape=tuple(shape), dtype=y.dtype))
        if run is runs[0]:
            between = y._replace(shape=tuple(shape), strides=between.strides)
        calls.append(Call(REGISTRY[name], (x,), {"axis": run, "keepdims": True}, (between,), (), call.line))
        x = between
    return calls


def runs_of(axes: list[int]) -> list[tuple[int, ...]]:
    """Axes in groups of neighbours."""
    runs: list[tuple[int, ...]] = []
    for a in axes:
        if runs and runs[-1][-1] == a - 1:
            runs[-1] += (a,)
        else:
            runs.append((a,))
    return runs


def with_relu(calls: list[Call], kept: set[Block]) -> list[Call]:
    """The calls with each ReLU of what only it reads, if a product can do it, in the call that makes that."""
    readers, makers = (
        Counter(a.block for c in calls for a in c.reads),
        {c.results[0].block: c for c in calls if c.results},
    )
    found: dict[Call, Call] = {}
    for call in calls:
        source = call.args[0] if call.op.name == "relu" else None
        maker = makers.get(source.block) if isinstance(source, Array) else None
        if maker is None or maker.op.name != "linear" or readers[source.block] > 1 or source.block in kept:
            continue
        y = call.results[0]
        if source == maker.results[0] and y.whole and y.strides == source.strides:
            joint = replace(maker, results=(y,), settings={"activation": RELU})
            if special(joint):
                found[maker] = joint
                found[call] = joint
    return [found.get(c, c) for c in calls if not (c in found and c.op.name == "relu")]


def parts(call: Call) -> list[Call]:
    """A call, or the two that do the same."""
    if call.op.name != "linear" or call.settings or not all(isinstance(a, Array) for a in call.args):
        return [call]
    x, w, bias = call.args
    y = call.results[0]
    if special(call) or not y.whole or y.dtype.char not in "fd":
        return [call]
    between = alike(y)
    return [
        Call(REGISTRY["linear_product"], (x, w), {}, (between,), (), call.line),
        Call(REGISTRY["add"], (between, bias), {}, (y,), (), call.line),
    ]


def alike(a: Array) -> Array:
    """A new temporary array of the shape of another that is all of its block."""
    owner = np.empty(0, a.dtype)
    return a._replace(block=Block(TEMPORARY, owner, 0, a.block.size))
