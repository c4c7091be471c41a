"""What depends on nothing that can change is computed once, when a program is made: masks, ranges, tables of positions."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from ..emit import on_arrays
from ..program import OUTER, TEMPORARY, Array, Block, Call, Live, Program, address

MOST = 1 << 20  # bytes of a result that is kept for all runs


def folded(program: Program) -> Program:
    """The program without those of its calls that make a constant, or are given no arrays but such; their results stay."""
    writes = Counter(a.block for call in program.calls for a in call.changes)
    kept = {a.block for a in program.outputs}
    lasting = lambda a: a.block.kind == TEMPORARY and a.block not in kept and writes[a.block] == 1
    constants: set[Block] = set()
    calls: list[Call] = []
    for call in program.calls:
        as_it_is = taken(call)
        fixed = call.settings.get("constant") or {a.block for a in call.reads} <= constants
        most = math.inf if as_it_is else MOST
        if fixed and foldable(call) and all(lasting(a) and a.whole and a.bytes <= most for a in call.results):
            (take if as_it_is else keep)(call)
            constants |= {a.block for a in call.results}
        else:
            calls.append(call)
    return program.having(calls)


def foldable(call: Call) -> bool:
    """Whether a call gives the same each time, on the same arrays."""
    live = any(isinstance(v, Live) for v in (*call.args, *call.params.values()))
    return call.pure and bool(call.results) and not live


def taken(call: Call) -> bool:
    """Whether a constant can stay where its data are, so that it is not kept twice, however large it is."""
    if not call.settings.get("constant"):
        return False
    (source,), (result,) = call.args, call.results
    return source.whole and source[2:] == result[2:]


def take(call: Call) -> None:
    """Let a constant lie where its data are."""
    block, source = call.results[0].block, call.args[0].block
    block.kind, block.owner, block.address = OUTER, source.owner, source.address


def keep(call: Call) -> None:
    """Let the results of a call lie in memory from outside, where they are now and for ever."""
    values = on_arrays(call)(*[seen(a) if isinstance(a, Array) else a for a in call.args], **call.params)
    for a, value in zip(call.results, values if isinstance(values, tuple) else (values,)):
        owner = np.empty(max(a.block.size, 1), np.uint8)
        a.block.kind, a.block.owner, a.block.address = OUTER, owner, address(owner)
        np.copyto(seen(a), value)


def seen(a: Array) -> np.ndarray:
    """An array of memory from outside."""
    return np.ndarray(a.shape, a.dtype, a.block.owner, a.offset, a.strides)
