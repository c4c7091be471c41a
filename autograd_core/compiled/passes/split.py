"""Linear layers: the addition of a small one's bias goes into a loop with others, and a large one takes on a ReLU."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from ...kernels.matmul import LARGE, RELU
from ...op import REGISTRY
from ..emit import written
from ..program import TEMPORARY, Array, Block, Call, Program


def split(program: Program) -> Program:
    """Small linear layers as a product and the addition of a bias, large ones with the ReLU of their result."""
    calls = with_relu(program.calls, {a.block for a in program.outputs})
    return program.having([part for call in calls for part in parts(call)])


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
            if written(joint):
                found[maker] = joint
                found[call] = joint
    return [found.get(c, c) for c in calls if not (c in found and c.op.name == "relu")]


def parts(call: Call) -> list[Call]:
    """A call, or the two that do the same."""
    if call.op.name != "linear" or call.settings or not all(isinstance(a, Array) for a in call.args):
        return [call]
    x, w, bias = call.args
    y = call.results[0]
    if x.size * w.shape[0] >= LARGE or not y.whole or y.dtype.char not in "fd":
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
