"""Ops that do two things are taken apart where one of them can then be done in a loop with others."""

from __future__ import annotations

import numpy as np

from ...kernels.matmul import LARGE
from ...op import REGISTRY
from ..program import TEMPORARY, Array, Block, Call, Program


def split(program: Program) -> Program:
    """Small linear layers as a product and the addition of a bias."""
    return program.having([part for call in program.calls for part in parts(call)])


def parts(call: Call) -> list[Call]:
    """A call, or the two that do the same."""
    if call.op.name != "linear" or not all(isinstance(a, Array) for a in call.args):
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
