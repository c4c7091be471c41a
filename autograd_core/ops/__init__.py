"""All ops: importing this fills the registry and gives every traced value its operators and methods."""

from __future__ import annotations

import inspect

from .. import tensor  # noqa: F401 - ops are compiled with the shortcuts that tensors offer
from ..dtypes import as_dtype
from ..op import Traced
from . import base, math, reduce, shape
from .axes import spelled

MODULES = (base, math, reduce, shape)
FIRST = ("x", "a")  # functions with a first parameter of this name are methods too
OPERATORS = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "neg": "neg", "gt": "gt"}


def public() -> dict:
    """Every function that the modules of ops offer, by name."""
    return {name: spelled(getattr(m, name)) for m in MODULES for name in getattr(m, "__all__", None) or _ops_of(m)}


def _ops_of(module) -> list[str]:
    return [n for n, v in vars(module).items() if hasattr(v, "op") and not n.startswith("_")]


def _is_method(function) -> bool:
    op = getattr(function, "op", None)
    first = op.inputs[0] if op else next(iter(inspect.signature(function).parameters), "")
    return first in FIRST


PUBLIC = public()
Traced.astype = lambda self, dtype: self if self.dtype == dtype else base.cast(self, dtype=as_dtype(dtype))
Traced.real = property(base.real)
Traced.imag = property(base.imag)
for name, function in PUBLIC.items():
    if _is_method(function) and name not in vars(Traced):
        setattr(Traced, name, function)
for dunder, name in OPERATORS.items():
    setattr(Traced, f"__{dunder}__", PUBLIC[name])
    if dunder in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"):
        setattr(Traced, f"__r{dunder}__", lambda self, other, f=PUBLIC[name]: f(other, self))
