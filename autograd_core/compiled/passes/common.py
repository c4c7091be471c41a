"""What has been computed already is not computed again.

Cheap steps are left alone: they are done again in the loop that needs them, where keeping their results would cost more.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..program import TEMPORARY, Array, Block, Call, Live, Program, with_blocks
from .fuse import CHEAP


def without_repeats(program: Program) -> Program:
    """Only the first of calls that give the same, as long as nothing they read has changed between them."""
    writes = Counter(a.block for call in program.calls for a in call.changes)
    kept = {a.block for a in program.outputs}
    lasting = lambda b: b.kind == TEMPORARY and b not in kept and writes[b] == 1
    known: dict[Any, Call] = {}
    stands: dict[Block, Block] = {}
    versions: Counter = Counter()
    calls: list[Call] = []
    for call in program.calls:
        call = with_blocks(call, stands)
        key = told(call, versions) if all(lasting(a.block) and a.whole for a in call.results) else None
        first = known.get(key) if key is not None else None
        if first is not None:
            stands.update((a.block, b.block) for a, b in zip(call.results, first.results))
            continue
        if key is not None:
            known[key] = call
        versions.update(a.block for a in call.changes)
        calls.append(call)
    return program.having(calls)


def told(call: Call, versions: Counter) -> Any:
    """All that a call's results depend on; None if that cannot be told, or is not worth it."""
    given = (*call.args, *call.params.values())
    if call.op.name in CHEAP or not call.pure or not call.results or any(isinstance(v, Live) for v in given):
        return None
    parts = [(a, versions[a.block]) if isinstance(a, Array) else (type(a), repr(a), plain(a)) for a in given]
    forms = [(a.shape, a.strides, a.dtype) for a in call.results]
    key = call.op, tuple(parts), tuple(call.params), tuple(forms)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def plain(value: Any) -> Any:
    """What tells a value from others of the same text: itself, unless it is a number, whose text tells."""
    return None if isinstance(value, (int, float, complex, str)) else value
