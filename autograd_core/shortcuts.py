"""The shortest way through the most usual ops, for plain tensors, recorded or not; anything else is left to `apply`.

What is said here twice is said for speed: on tiny tensors `Tensor.apply` takes longer than NumPy's work.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import float32, float64
from .op import REQUIRED, SHORTCUTS, Op
from .tape import NO_GRAD, Node, clock, state
from .tensor import PLAIN, Tensor, as_entry, explained, link, record, results_of  # noqa: F401 - named in sources
from .views import View, refresh  # noqa: F401 - the first is named in ONE

new, ndarray = object.__new__, np.ndarray

# How an op of one array is called: parameters, and how they are handed on.  To pass `**params` on costs as much as it
# does to record, so those that many ops share are spelled out.
ONE = """
def of_one(op, general, forward, small, least, plans, promotes, view):
    def call(input{parameters}):
        mode, kind = state.mode, input.__class__
        if kind is ndarray:
            value = input
        elif kind not in PLAIN or (mode is not None and mode is not NO_GRAD):
            return general(input{given})
        else:
            if input.origin is not None:
                refresh(input)
            value = input.value
        try:
            y = {forward}(value{given})
        except Exception as error:
            raise explained(op, (input,), error) from error
        if kind is ndarray:
            return y
        if y.__class__ is not ndarray:
            if y.__class__ is tuple:
                parents = [] if input.node is None else [input.node]
                return results_of(input, op, (input,), {{{listed}}}, y, [value], parents, 2 + len(parents))
            y = as_entry(y)
        dtype = y.dtype
        if promotes and dtype is not value.dtype:
            return general(input{given})
        t = new(Tensor)
        t.value = y
        t.leaf = t.origin = t.node = None
        if input.node is not None and mode is None:
            if (plan := plans.get(3)) is None or not (dtype is float32 or dtype is float64):
                t.node = record(op, y, [value], {{{listed}}}, [input.node], 3)
            else:
                t.node = n = new(Node)
                n.plan = plan
                n.parents = (input.node,)
                n.env = plan.save(y, value{given})
                n.shape = y.shape
                n.dtype = dtype
                n.index = next(clock)
                n.hooks = None
        if view and mode is None and ((base := y.base) is value or base is not None and base is value.base):
            t.origin = View.of(input, op, {{{listed}}}, None)
        elif view:
            link(t, input, op, {{{listed}}})
        return t

    return call
"""


# The same for several arrays, whose types the op does not mind; arrays that are no tensors may be among them.
SEVERAL = """
def of_several(op, general, forward, plans):
    def call({inputs}, /{parameters}):
        mode = state.mode
        if mode is not None and mode is not NO_GRAD:
            return general({inputs}{given})
        parents, key, traced = [], {top}, False
{looks}
        try:
            y = forward({values}{given})
        except Exception as error:
            raise explained(op, ({inputs},), error) from error
        if not traced:
            return y
        if y.__class__ is tuple:
            return results_of(Tensor, op, ({inputs},), {{{listed}}}, y, [{values}], parents, key)
        t = new(Tensor)
        t.value = y = y if y.__class__ is ndarray else as_entry(y)
        t.leaf = t.origin = t.node = None
        if parents and mode is None:
            dtype = y.dtype
            if (plan := plans.get(key)) is None or not (dtype is float32 or dtype is float64):
                t.node = record(op, y, [{values}], {{{listed}}}, parents, key)
            else:
                t.node = Node(plan, parents, plan.save(y, {values}{given}), y.shape, dtype)
        return t

    return call
"""
LOOK = """
        v{k} = a{k}
        if (kind := v{k}.__class__) is not ndarray:
            if kind not in PLAIN:
                return general({inputs}{given})
            if a{k}.origin is not None:
                refresh(a{k})
            v{k} = a{k}.value
            traced = True
            if a{k}.node is not None:
                parents.append(a{k}.node)
                key += {bit}
"""


@functools.cache
def written(parameters: str, given: str, listed: str, sized: bool) -> Callable:
    """The first of these functions for some parameters; `sized` for forward functions that leave small arrays to another."""
    forward = "(forward if value.__class__ is ndarray and value.size >= least else small)" if sized else "forward"
    return executed(ONE.format(parameters=parameters, given=given, listed=listed, forward=forward))["of_one"]


@functools.cache
def written_for(count: int, parameters: str, given: str, listed: str) -> Callable:
    """The second of them for so many arrays."""
    inputs, values = (", ".join(f"{letter}{k}" for k in range(count)) for letter in "av")
    looks = "".join(LOOK.format(k=k, bit=1 << k, inputs=inputs, given=given) for k in range(count))
    names = {"parameters": parameters, "given": given, "listed": listed, "inputs": inputs, "values": values}
    return executed(SEVERAL.format(**names, looks=looks, top=1 << count))["of_several"]


def executed(source: str) -> dict:
    """The names that a source defines."""
    scope = dict(globals())
    exec(compile(source, f"{__file__}, written", "exec"), scope)
    return scope


SPELLED = {
    names: tuple("".join(f", {form.format(n=n)}" for n in names) for form in ("{n}={n}", "'{n}': {n}"))
    for names in [
        (), ("axis",), ("axis", "keepdims"), ("axis", "keepdims", "divisor"), ("axis", "largest", "keepdims"),
        ("p", "axis", "keepdims"), ("beta", "threshold"), ("tables",), ("axes",), ("axes", "after"), ("skip",),
        ("shape", "axes", "after"), ("axes", "after", "how"), ("size", "axis"), ("axis", "each", "how"), ("scale",),
        ("axis", "reverse"), ("k", "axis", "keepdims"), ("k", "axis", "largest"), ("axis", "largest"),
        ("axis", "skip", "keepdims"), ("shape",), ("padding", "align"),
        ("index",), ("axis", "sizes"),
    ]
}  # fmt: skip


def spelled(op: Op) -> tuple[str, str, str]:
    """The parameters of an op, how they are handed on, and how they are listed."""
    given, listed = SPELLED.get(tuple(op.defaults), (", **params", ", **params"))
    stated = "".join(f", {n}" + ("" if v is REQUIRED else f"={v!r}") for n, v in op.defaults.items())
    return given if given == ", **params" else stated and f", *{stated}", given, listed[2:]


def unary(op: Op, general: Callable) -> Callable:
    """The shortest way through an op of one array with one result: `apply` for a plain tensor in ordinary mode."""
    forward = op.forward
    small, least = getattr(forward, "small", None), getattr(forward, "least", math.inf)
    of_one = written(*spelled(op), small is not None and not op.defaults)
    return of_one(op, general, forward, small, least, op.quick, bool(op.promotes), op.view)


def several(op: Op, general: Callable) -> Callable:
    """The same for an op of several arrays, of whatever types; its code is put in place of this when it is first called."""
    forward, plans = op.forward, op.quick

    def call(*args, **params):
        return begin(op, general, forward, plans)(*args, **params)

    return call


def begin(op: Op, *closed: Any) -> Callable:
    """The function that calls an op, with code for its arrays and parameters, which refers to the same variables."""
    made = written_for(len(op.inputs), *spelled(op))(op, *closed)
    op.call.__code__, op.call.__kwdefaults__ = made.__code__, made.__kwdefaults__
    return op.call


def value_now(view: Tensor) -> np.ndarray:
    """The value of a view, whose history is brought up to date."""
    refresh(view)
    return view.value


def binary(op: Op, general: Callable) -> Callable:
    """The same for an elementwise op of two inputs: plain tensors of one type, or one and a Python number."""
    forward, plans, promotes = op.forward, op.quick, bool(op.promotes)
    small, least = getattr(forward, "small", forward), getattr(forward, "least", math.inf)

    def call(input, other):
        if (mode := state.mode) is not None and mode is not NO_GRAD:
            return general(input, other)
        x, y, parents, key = input, other, (), 4
        if input.__class__ in PLAIN:
            tensor = input
            x = input.value if input.origin is None else value_now(input)
            if input.node is not None:
                parents, key = (input.node,), 5
            dtype = x.dtype
            if other.__class__ in PLAIN:
                y = other.value if other.origin is None else value_now(other)
                if y.dtype is not dtype:
                    return general(input, other)
                if other.node is not None:
                    parents, key = (*parents, other.node), key | 2
            elif other.__class__ is float and dtype.kind == "f":
                y = _constants.get(other) if dtype is float32 else None
                if y is None:
                    y = _constant(other, dtype)
            elif other.__class__ is not int:
                return general(input, other)
        elif other.__class__ in PLAIN and (input.__class__ is float or input.__class__ is int):
            tensor = other
            y = other.value if other.origin is None else value_now(other)
            dtype = y.dtype
            if input.__class__ is float and dtype.kind == "f":
                x = _constant(input, dtype)
            if other.node is not None:
                parents, key = (other.node,), 6
        else:
            return general(input, other)
        try:
            whole = tensor.value
            value = (forward if whole.__class__ is np.ndarray and whole.size >= least else small)(x, y)
        except Exception as error:
            raise explained(op, (input, other), error) from error
        if value.__class__ is not np.ndarray:
            value = as_entry(value)
        if promotes and value.dtype is not dtype:
            return general(input, other)
        dtype = value.dtype
        t = new(Tensor)
        t.value = value
        t.leaf = t.origin = t.node = None
        if parents and mode is None:
            if (plan := plans.get(key)) is None or not (dtype is float32 or dtype is float64):
                t.node = record(op, value, [x, y], {}, list(parents), key)
            else:
                t.node = n = new(Node)
                n.plan = plan
                n.parents = parents
                n.env = plan.save(value, x, y) if plan.keeps else ()
                n.shape = value.shape
                n.dtype = dtype
                n.index = next(clock)
                n.hooks = None
        return t

    return call


_constants: dict[float, np.ndarray] = {}


def _constant(b: float, dtype: np.dtype) -> np.ndarray:
    """A Python number as an array: NumPy is twice as fast with these.  Those of float32 are kept for the next call."""
    array = np.array(b, dtype)
    if dtype is float32 and b != 0:  # 0.0 and -0.0 are one key
        if len(_constants) > 500:
            _constants.clear()
        array.flags.writeable = False
        _constants[b] = array
    return array


SHORTCUTS |= {1: unary, 2: binary, 3: several}
