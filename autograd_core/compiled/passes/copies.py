"""A copy of what nobody looks at afterwards is not made: the original goes on under its name."""

from __future__ import annotations

from ..program import TEMPORARY, Array, Call, Program, renamed, with_blocks


def without_copies(program: Program) -> Program:
    """Clones that stand in for what they were made of."""
    last = {a.block: k for k, call in enumerate(program.calls) for a in (*call.reads, *call.changes)}
    kept, stands = {a.block for a in program.outputs}, {}  # type: ignore[var-annotated]
    calls: list[Call] = []
    for k, call in enumerate(program.calls):
        if call.op.name == "clone" and isinstance(call.args[0], Array):
            source, copy = renamed(call.args[0], stands), call.results[0]
            free = source.block.kind == TEMPORARY and source.block not in kept and last[call.args[0].block] == k
            if free and source.whole and copy.whole and source.strides == copy.strides:
                stands[copy.block] = source.block
                last[source.block] = last[copy.block]
                if copy.block in kept:
                    kept.add(source.block)
                continue
        calls.append(call)
    result = program.having([with_blocks(c, stands) for c in calls])
    result.outputs = [renamed(a, stands) for a in program.outputs]
    return result
