"""Gradient rules of elementwise ops on large arrays, each run as one loop instead of one for every operation in it.

A rule is an expression in our own ops, so calling it on symbols writes it down: the steps of a loop over single
numbers.  Rules that do anything else than what such loops can, and operands that do not lie in memory entry by entry,
are left to NumPy, as are small arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kernels import elementwise as loops
from .kernels._jit import COMPILED, plain
from .op import PULLS, Op, Partial, Plan, Traced


class Symbol(Traced):
    """A number in a loop, under the name that it has there."""

    __slots__ = ("text", "dtype", "steps")

    def __init__(self, text: str, dtype: np.dtype, steps: list[str]):
        self.text, self.dtype, self.steps = text, dtype, steps

    def apply(self, op: Op, args: tuple, params: dict) -> Symbol:
        """Write down a step."""
        truth = op.name in loops.TRUTHS
        numbers = [self.named(a, truth or (k == 0 and op.name == "where")) for k, a in enumerate(args)]
        given = {n: self.named(p, False) for n, p in params.items()}
        text = loops.power(numbers[0], params["exponent"]) if op.name == "power" else None
        text = text or loops.STEPS[op.name].format(*numbers, **given)
        name = f"t{len(self.steps)}"
        self.steps.append(f"{name} = {text}")
        return Symbol(name, np.dtype(bool) if truth else number_type(self, args), self.steps)

    def named(self, v: Any, truth: bool) -> str:
        """How a loop names a value; truth values take part in arithmetic as 0 and 1."""
        if isinstance(v, Symbol):
            return v.text if truth or v.dtype.kind != "b" else f"(one if {v.text} else zero)"
        if v.__class__ not in (int, float, bool):
            raise Unwritable
        return f"like(x0, {v!r})" if v.__class__ is not bool or not truth else repr(v)

    def __bool__(self):
        raise Unwritable


class Unwritable(Exception):
    """The rule is none for loops."""


def number_type(x: Symbol, args: tuple) -> np.dtype:
    """The type of what arithmetic makes of truth values and numbers: that of the numbers."""
    return next((a.dtype for a in args if isinstance(a, Symbol) and a.dtype.kind == "f"), x.dtype)


class Pull:
    """The pull of a plan for large arrays."""

    def __init__(self, plan: Plan, otherwise: Callable):
        self.plan, self.otherwise = plan, otherwise
        self.rules = [(i, plan.op.rule(i)) for i in plan.wrt]
        self.slots = sorted(plan.op.slots[n] for n in plan.reads)
        self.found: dict[tuple, tuple | None] = {}

    def __call__(self, g: np.ndarray, env: list) -> tuple:
        dtype, shape, operands, kinds = g.dtype, g.shape, [], []
        if dtype.char not in "fd":
            return self.otherwise(g, env)
        for v in (g, *[env[k] for k in self.slots]):
            kind = v
            if v.__class__ is np.ndarray:
                if v.dtype is not dtype:
                    return self.otherwise(g, env)
                if v.shape == shape and v.flags.c_contiguous:
                    kind, v = "array", plain(v)
                elif not any(v.strides) and v.size and (v.shape == shape or not v.ndim):
                    kind, v = "number", float(v.flat[0])
                else:
                    return self.otherwise(g, env)
            elif v.__class__ is float or v.__class__ is int:
                kind = "number"
            kinds.append(kind)
            operands.append(v)
        return self.run(tuple(kinds), operands, g) or self.otherwise(g, env)

    def run(self, kinds: tuple, operands: list, g: np.ndarray) -> tuple | None:
        """The cotangents, if these kinds of operands can be dealt with; those that are g itself are g itself."""
        found = self.known(kinds, g.dtype)
        if found is None and "number" in kinds:  # perhaps with a loop for these numbers
            stated = [v if k and kind == "number" else kind for k, (kind, v) in enumerate(zip(kinds, operands))]
            found = self.known(tuple(stated), g.dtype)
        if found is None:
            return None
        kernel, results, used, places = found
        made = loops.looked_at(kernel, g, [operands[k] for k in used], results)
        return made.__class__([g if place is None else made[place] for place in places])

    def known(self, kinds: tuple, dtype: np.dtype) -> tuple | None:
        """What `written` gives, which is kept."""
        key = kinds, dtype
        if key not in self.found:
            if len(self.found) > 100:
                self.found.clear()
            self.found[key] = self.written(kinds, dtype)
        return self.found[key]

    def written(self, kinds: tuple, dtype: np.dtype) -> tuple | None:
        """The loop of the rules, its number of results, the operands it takes, and where the result of each rule is."""
        used = [k for k, kind in enumerate(kinds) if kind in ("array", "number")]
        if not any(kinds[k] == "array" for k in used):
            return None
        steps: list[str] = []
        symbols = {k: Symbol(f"x{n}", dtype, steps) for n, k in enumerate(used)}
        values = dict(zip(self.slots, [symbols.get(k, kind) for k, kind in enumerate(kinds)][1:]))
        g, results, places = symbols[0], [], []
        try:
            for i, rule in self.rules:
                y = called(rule, g, i, values)
                places.append(None if y is g else len(results))
                if y is not g:
                    if not isinstance(y, Symbol) or y.dtype.kind != "f":
                        return None
                    results.append(y.text)
        except Exception:  # whatever a rule does that a symbol does not know
            return None
        arrays = tuple(kinds[k] == "array" for k in used)
        return loops.whole(loops.Program(arrays, tuple(steps), tuple(results), True), dtype), len(results), used, places


def called(rule: Any, g: Symbol, i: int, values: dict) -> Any:
    """What a rule makes of symbols."""
    if isinstance(rule, Partial) and rule.constant is not None:
        return g if rule.constant == 1 else -g if rule.constant == -1 else g * rule.constant
    positional, named = [], {}
    for a in rule.arguments:
        name, _, place = (a or "").rpartition("env[")
        value = i if a is None else values[int(place[:-1])]
        if name:
            named[name.rstrip("=")] = value
        else:
            positional.append(value)
    return g * rule.fn(*positional, **named) if isinstance(rule, Partial) else rule.fn(g, *positional, **named)


if COMPILED:
    PULLS.append(Pull)
