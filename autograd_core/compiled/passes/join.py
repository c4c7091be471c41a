"""Steps of an optimizer, one for each parameter, become one call for all of them."""

from __future__ import annotations

from ...op import Op
from ..program import Array, Call, Live, Program

STEPS = Op(lambda *xs: None, (), name="steps")


def joined(program: Program) -> Program:
    """Neighbouring steps by one rule, with one set of settings and rates, as one call."""
    calls: list[Call] = []
    for call in program.calls:
        if is_step(call) and calls and calls[-1].op is STEPS and alike(calls[-1].settings["members"][-1], call):
            calls[-1] = together([*calls[-1].settings["members"], call])
        else:
            calls.append(together([call]) if is_step(call) else call)
    return program.having(calls)


def is_step(call: Call) -> bool:
    """Whether a call is a step that says what a kernel is to be given, on arrays in order of one type of floats."""
    large = [a for a in call.reads if a.shape]
    usual = large and all(a.contiguous and a.shape == large[0].shape and a.dtype == large[0].dtype for a in large)
    return hasattr(call.op.call, "rule") and bool(usual) and large[0].dtype.char in "fd" and large[0].size > 0


def alike(a: Call, b: Call) -> bool:
    """Whether two steps differ only in what they step."""
    fixed = lambda c: [x for x in c.args if not isinstance(x, Array)]
    rates = lambda c: [x for x in c.args if isinstance(x, Array) and not x.shape and x not in c.writes]
    live = lambda c: {n: v.source for n, v in c.params.items() if isinstance(v, Live)}
    types = lambda c: [(x.dtype, bool(x.shape)) if isinstance(x, Array) else None for x in c.args]
    return (
        a.op is b.op
        and a.params == b.params
        and live(a) == live(b)
        and fixed(a) == fixed(b)
        and rates(a) == rates(b)
        and types(a) == types(b)
    )


def together(members: list[Call]) -> Call:
    """Steps as one call."""
    args = tuple(dict.fromkeys(a for c in members for a in c.reads))
    writes = tuple(dict.fromkeys(a for c in members for a in c.writes))
    return Call(STEPS, args, {}, (), writes, members[0].line, {"members": members})
