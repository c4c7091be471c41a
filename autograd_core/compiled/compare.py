"""Whether two captured runs did the same: what they differ in cannot be replayed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .program import OUTER, Array, Block, Call, Live, Program

Pairs = dict[Block, tuple[Block, int]]  # the block that plays the part of one, and how much further in it all lies


def difference(a: Program, b: Program) -> str | None:
    """The first thing in which two programs differ, in words; None if they do the same."""
    pairs: Pairs = {}
    for x, y in [*zip(a.inputs, b.inputs), *((x, y) for (x, _), (y, _) in zip(a.live, b.live))]:
        pairs[x.block] = y.block, y.offset - x.offset
    for k, (p, q) in enumerate(zip(a.calls, b.calls)):
        said = of_calls(p, q, pairs)
        if said:
            return f"{said} (operation {k}, {q.op.name}, at {q.line})"
    if len(a.calls) != len(b.calls):
        longer = max(a.calls, b.calls, key=len)[min(len(a.calls), len(b.calls))]
        return f"one run has {len(a.calls)} operations, the next {len(b.calls)}: {longer.op.name} at {longer.line}"
    if len(a.outputs) != len(b.outputs) or not all(matches(x, y, pairs) for x, y in zip(a.outputs, b.outputs)):
        return "what is returned, or which parameters have gradients at the end"
    return None


def of_calls(p: Call, q: Call, pairs: Pairs) -> str | None:
    """In what two calls differ."""
    if p.op is not q.op:
        return f"where one run called {p.op.name}, the next called {q.op.name}"
    if len(p.args) != len(q.args):
        return "the number of arguments"
    for x, y in zip(p.args, q.args):
        if isinstance(x, Array) != isinstance(y, Array):
            return "a number in one run is an array in the next"
        if isinstance(x, Array):
            if not matches(x, y, pairs):
                return (
                    "an array that is neither an argument, nor computed from tensors, and was another one; give it as an "
                    "argument, or change it in place (copy_, sub_) and keep the tensor"
                )
        elif not same(x, y):
            return f"a number was {x!r:.30} in one run and {y!r:.30} in the next"
    if p.params.keys() != q.params.keys() or not all(same(v, q.params[n]) for n, v in p.params.items()):
        return "the settings of the call"
    if not all(matches(x, y, pairs) for x, y in zip(p.changes, q.changes)):
        return "the shape or the place of what it returned"
    return None


def matches(x: Array, y: Array, pairs: Pairs) -> bool:
    """Whether two arrays play the same part in two programs."""
    if x[2:] != y[2:] or x.block.kind != y.block.kind:
        return False
    if x.block in pairs:
        return pairs[x.block] == (y.block, y.offset - x.offset)
    pairs[x.block] = y.block, 0
    if x.offset != y.offset:
        return False
    if x.block.kind != OUTER or x.block.owner is y.block.owner:
        return True
    return np.array_equal(x.block.owner, y.block.owner, equal_nan=x.block.owner.dtype.kind in "fc")


def same(x: Any, y: Any) -> bool:
    """Whether two static values are the same."""
    if isinstance(x, Live) or isinstance(y, Live):
        return type(x) is type(y) and x.source == y.source
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and np.array_equal(x, y)
    return x is y or (type(x) is type(y) and (x == y or repr(x) == repr(y)))
