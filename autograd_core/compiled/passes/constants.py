"""What depends on nothing that can change is computed once, when a program is made: masks, ranges, tables of positions."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..emit import on_arrays
from ..program import OUTER, TEMPORARY, Array, Block, Call, Live, Program, address, with_blocks

MOST = 1 << 20  # bytes of a result that is kept for all runs


def folded(program: Program) -> Program:
    """The program on the results of those of its calls that make a constant, or are given no arrays but such."""
    writes = Counter(a.block for call in program.calls for a in call.changes)
    kept = {a.block for a in program.outputs}
    lasting = lambda a: a.block.kind == TEMPORARY and a.block not in kept and writes[a.block] == 1
    constants: dict[Block, Block] = {}
    calls: list[Call] = []
    for call in program.calls:
        given = with_blocks(call, constants)
        fixed = call.settings.get("constant") or {a.block for a in given.reads} <= set(constants.values())
        if fixed and foldable(call) and all(lasting(a) and a.whole and a.bytes <= MOST for a in call.results):
            constants.update(zip([a.block for a in call.results], made(given)))
        else:
            calls.append(given)
    return program.having(calls)


def foldable(call: Call) -> bool:
    """Whether a call gives the same each time, on the same arrays."""
    live = any(isinstance(v, Live) for v in (*call.args, *call.params.values()))
    return call.pure and bool(call.results) and not live


def made(call: Call) -> list[Block]:
    """The results of a call, each in memory that stays as it is."""
    values = on_arrays(call)(*[seen(a) if isinstance(a, Array) else a for a in call.args], **call.params)
    values = values if isinstance(values, tuple) else (values,)
    return [block_of(a, value) for a, value in zip(call.results, values)]


def seen(a: Array) -> np.ndarray:
    """An array of memory that stays."""
    return np.ndarray(a.shape, a.dtype, a.block.owner, a.offset, a.strides)


def block_of(a: Array, value: np.ndarray) -> Block:
    """Memory with a value in it, laid out as the program has it."""
    owner = np.empty(max(a.block.size, 1), np.uint8)
    np.copyto(np.ndarray(a.shape, a.dtype, owner, a.offset, a.strides), value)
    return Block(OUTER, owner, address(owner), a.block.size)
