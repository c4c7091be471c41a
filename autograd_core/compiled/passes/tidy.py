"""Calls that change no entry become copies, which the next pass but one leaves out: what a program says in passing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...op import REGISTRY
from ..program import Array, Call, Program

# What may stand on which side without changing any bit of the other one.  Adding 0 is not among them: -0.0 + 0 is 0.
NEUTRAL = {"mul": (1, (0, 1)), "div": (1, (1,)), "sub": (0, (1,)), "power": (1, (1,))}
UNCHANGING = {"cast", "positive", "compact", "reshape"}  # if the result is of the same form


def tidied(program: Program) -> Program:
    """Copies in place of what gives back its operand."""
    return program.having([copied(call) for call in program.calls])


def copied(call: Call) -> Call:
    """A call, or the copy that does the same."""
    source = unchanged(call)
    if source is None or not like(source, call.results[0]):
        return call
    return replace(call, op=REGISTRY["clone"], args=(source,), params={}, settings={}, launches=None)


def unchanged(call: Call) -> Any:
    """The operand whose entries a call gives back, if there is one."""
    name, args = call.op.name, call.args
    if not call.pure or len(call.results) != 1:
        return None
    if name in UNCHANGING:
        return args[0]
    if name not in NEUTRAL or len(args) != 2:
        return None
    number, sides = NEUTRAL[name]
    found = [args[1 - k] for k in sides if not isinstance(args[k], Array) and args[k] == number]
    return found[0] if found else None


def like(x: Any, y: Array) -> bool:
    """Whether x is an array of the form of y."""
    return isinstance(x, Array) and (x.shape, x.strides, x.dtype) == (y.shape, y.strides, y.dtype)
