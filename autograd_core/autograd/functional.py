"""The functions of `torch.autograd.functional`: they take the point instead of giving back a function of it.

Results are cut off from what they were computed from unless create_graph asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import functional, jacobians
from ..ops.create import ones_like
from ..tree import tree_map

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    vectorize: bool = True,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of func at the inputs (one, or a tuple); it is always computed in one batch."""
    modes = {"reverse-mode": "reverse", "forward-mode": "forward"}
    if strategy not in modes:
        raise ValueError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r:.40}")
    return _cut(jacobians.jacobian(func, _places(inputs), modes[strategy])(*_several(inputs)), create_graph)


def hessian(func: Callable, inputs: Any, create_graph: bool = False, vectorize: bool = True) -> Any:
    """The second derivatives of func, which returns one number."""
    return _cut(jacobians.hessian(func, _places(inputs))(*_several(inputs)), create_graph)


def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple:
    """The result, and v times the derivative; v may be left out for a result of one number."""
    y, pull = functional.vjp(func, *_several(inputs))
    return _cut((y, pull(_one(y, "vjp") if v is None else v)), create_graph)


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple:
    """The result, and the derivative times v; v may be left out for an input of one number."""
    v = _one(inputs, "jvp") if v is None else v
    return _cut(functional.jvp(func, _several(inputs), _several(v)), create_graph)


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple:
    """The result, and the second derivatives times v."""
    v = _one(inputs, "hvp") if v is None else v
    product = jacobians.hvp(func, _several(inputs), _several(v))
    product = (product,) if isinstance(inputs, tuple) and len(inputs) == 1 else product
    return _cut((func(*_several(inputs)), product), create_graph)


vhp = hvp  # second derivatives are symmetric


def _cut(result: Any, create_graph: bool) -> Any:
    """Results without their history, unless that is to be kept."""
    return result if create_graph else tree_map(lambda t: t.detach(), result)


def _several(inputs: Any) -> tuple:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _places(inputs: Any) -> Any:
    """All arguments for a tuple of inputs, the only one for an input by itself."""
    return tuple(range(len(inputs))) if isinstance(inputs, (tuple, list)) else 0


def _one(value: Any, who: str) -> Any:
    """The number one in the form of a value that is one number."""
    if isinstance(value, (tuple, list)) or value.numel() != 1:
        raise RuntimeError(f"{who}: v can be left out only where there is a single number; give it one")
    return ones_like(value)
