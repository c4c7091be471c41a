"""All ops: importing this fills the registry and gives every traced value its operators and methods."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import numpy as np

from .. import fused, shortcuts  # noqa: F401 - ops are made with the shortcuts that tensors offer, and fused rules
from ..dtypes import as_dtype
from ..op import SHORTCUTS, Traced
from ..tape import current, state
from . import (
    activations,
    attention,
    base,
    contractions,
    convolution,
    create,
    ctc,
    distances,
    dropout,
    embedding,
    fft,
    folding,
    gather,
    grids,
    index,
    joining,
    linalg,
    linear,
    losses,
    masks,
    math,
    moments,
    normalization,
    padding,
    parts,
    pooling,
    products,
    recurrent,
    reduce,
    resampling,
    scan,
    scatter,
    shape,
    sort,
    special,
    unpooling,
    updates,
)
from .axes import spelled

MODULES = (
    base,
    math,
    special,
    activations,
    reduce,
    moments,
    scan,
    sort,
    shape,
    parts,
    joining,
    padding,
    index,
    gather,
    masks,
    scatter,
    products,
    contractions,
    distances,
    create,
    linear,
    embedding,
    convolution,
    folding,
    normalization,
    pooling,
    unpooling,
    resampling,
    grids,
    recurrent,
    dropout,
    losses,
    ctc,
    attention,
    updates,
)
NAMESPACES = {"linalg": linalg, "fft": fft, "special": special}
OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
COMPARISONS = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}
UNARY = {"neg": "neg", "pos": "positive", "abs": "abs", "invert": "bitwise_not"}


def names_of(module: ModuleType) -> list[str]:
    """The public functions of a module: its `__all__`, and every op it declares without one."""
    return (
        module.__all__
        if hasattr(module, "__all__")
        else [n for n, v in vars(module).items() if hasattr(v, "op") and n[0] != "_"]
    )


def first_parameter(function: Any) -> str:
    """The name of a function's first parameter."""
    op = getattr(function, "op", None)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return op.inputs[0] if op else code.co_varnames[0] if code and code.co_varnames else ""


def in_place(name: str, function: Any) -> Any:
    """The form of a method that overwrites its tensor with the result."""

    simple = hasattr(function, "op")

    def change(self: Any, *args: Any, **options: Any) -> Any:
        self.write(
            function(self if simple and kept_by_one_node(self) else set_apart(self, args), *args, **options), f"{name}_"
        )
        return self

    change.__name__ = change.__qualname__ = f"{name}_"
    change.__doc__ = f"`{name}` in place; returns the tensor."
    return change


def augmented(name: str, function: Any) -> Any:
    """The method behind += and its like: in place, unless the value stands for a number."""
    change = in_place(name, function)

    def method(self: Any, other: Any) -> Any:
        replaced = self.is_number or (state.numbers and not self.shape)
        return function(self, other) if replaced else change(self, other)

    return method


def kept_by_one_node(t: Any) -> bool:
    """Whether only the node of an op's result can keep t's memory; `views.overwrite` sees to that one."""
    return not t.level and (state.mode is None or state.mode.pack is None)


def set_apart(t: Any, args: tuple) -> Any:
    """A copy to compute with before t is overwritten, if nodes that are made on the way may keep its memory."""
    wanted = t.level or (current().grad and any(getattr(a, "requires_grad", False) for a in (t, *args)))
    return base.clone(t) if wanted else t


def operator(function: Any, reflected: bool = False) -> Any:
    """The method behind an operator: it leaves operands that are no numbers to the other side."""

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    op = getattr(function, "op", None)
    short = op is not None and not reflected and len(op.inputs) == 2 and op.elementwise and not op.defaults
    return SHORTCUTS[2](op, method) if short else method


OPERANDS = (Traced, int, float, complex, np.ndarray, np.generic)
PUBLIC = {name: spelled(getattr(m, name)) for m in MODULES for name in names_of(m)}
PUBLIC |= {name: spelled(function) for name, function in linalg.TOP_LEVEL.items()}


def install() -> None:
    """Give traced values their methods and operators."""
    inplace = {n for m in MODULES for n in getattr(m, "INPLACE", ())}
    for name, function in PUBLIC.items():
        if first_parameter(function) in ("x", "a", "A") and name not in vars(Traced):
            setattr(Traced, name, getattr(function, "as_method", function))
            op = getattr(function, "op", None)
            if name in inplace or (op and op.elementwise and not op.view):
                setattr(Traced, f"{name}_", in_place(name, function))
    direct = PUBLIC | {name: f for m in MODULES for name, f in getattr(m, "OPERATORS", {}).items()}
    for dunder, name in {**OPERATORS, **COMPARISONS}.items():
        setattr(Traced, f"__{dunder}__", operator(direct[name]))
    for dunder, name in OPERATORS.items():
        setattr(Traced, f"__r{dunder}__", operator(direct[name], reflected=True))
        setattr(Traced, f"__i{dunder}__", augmented(name, direct[name]))
    for name, method in [item for m in MODULES for item in getattr(m, "METHODS", {}).items()]:
        setattr(Traced, name, method)
    for module in NAMESPACES.values():
        for name in getattr(module, "NAMESPACE", None) or names_of(module):
            setattr(module, name, spelled(getattr(module, name)))
    for dunder, name in UNARY.items():
        setattr(Traced, f"__{dunder}__", PUBLIC[name])
    for name in ("real", "imag"):
        setattr(Traced, name, property(PUBLIC[name]))
    Traced.astype = lambda self, dtype: self if self.dtype == dtype else base.cast(self, dtype=as_dtype(dtype))


Traced.__hash__ = object.__hash__  # comparison is by entries, identity is by object
install()
