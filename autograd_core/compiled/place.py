"""A loop writes over an operand that nobody looks at afterwards: that is half the memory, and it is in the cache."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..kernels import nest
from .program import TEMPORARY, Array, Block, Call, Program, with_blocks


def in_place(program: Program) -> Program:
    """Results of loops in the memory of operands that end there."""
    last = {a.block: k for k, call in enumerate(program.calls) for a in (*call.reads, *call.changes)}
    kept, stands = {a.block for a in program.outputs}, {}  # type: ignore[var-annotated]
    calls: list[Call] = []
    for k, call in enumerate(program.calls):
        call = with_blocks(call, stands)
        for y in call.results if call.op.name == "fused" else ():
            free = [x for x in ending(call, k, last) if x.block not in kept and fits(x, y)]
            if free and y.block.kind == TEMPORARY and y.block not in kept:
                call, x = over(call, y, free[0]), free[0]
                stands[y.block] = x.block
                last[x.block] = last[y.block]
        calls.append(call)
    return program.having(calls)


def ending(call: Call, k: int, last: dict[Block, int]) -> list[Array]:
    """The operands with an entry for each that are not needed after call k, and not written over yet."""
    once = Counter(a.block for a in (*call.reads, *call.changes))
    full = [x for x, (kind, _) in zip(call.args, call.settings["nest"].operands) if kind == nest.FULL]
    return [x for x in full if x.block.kind == TEMPORARY and last[x.block] == k and once[x.block] == 1]


def fits(x: Array, y: Array) -> bool:
    """Whether y can lie where x does."""
    return x.whole and y.whole and (x.shape, x.strides, x.dtype) == (y.shape, y.strides, y.dtype)


def over(call: Call, y: Array, x: Array) -> Call:
    """The loop with a result in the memory of an operand."""
    described, place = call.settings["nest"], call.args.index(x)
    new = [k for k, store in enumerate(described.stores) if store[2] is None]
    which = new[call.results.index(y)]
    value, char, _ = described.stores[which]
    stores = (*described.stores[:which], (value, char, place), *described.stores[which + 1 :])
    results = tuple(a for a in call.results if a is not y)
    settings = call.settings | {"nest": described._replace(stores=stores)}
    return replace(call, results=results, writes=(*call.writes, x), settings=settings)
