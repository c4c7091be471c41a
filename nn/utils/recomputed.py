"""Weights that are computed anew before each call of a module: what the older ways to do so have in common."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor

from ..module import Module
from ..parameter import Parameter, is_uninitialized


class Recomputed:
    """A hook that sets `module.<name>` before each call."""

    name: str

    def compute_weight(self, module: Module) -> Tensor:
        """What the weight is now."""
        raise TypeError(f"{type(self).__name__}: compute_weight is not defined")

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def hooks_of(module: Module, kind: Any, name: str | None = None) -> list[Any]:
    """Those functions of a kind that are called before a module, for a name or for any."""
    hooks = module._hooks.before if module._hooks is not None else []
    found = [h.function for h in hooks if isinstance(h.function, kind)]
    return [f for f in found if name is None or f.name == name]


def unhook(module: Any, function: Any) -> None:
    """Call a function no more."""
    module._hooks.before[:] = [h for h in module._hooks.before if h.function is not function]


def parameter_of(module: Module, name: str, who: str) -> Parameter:
    """The parameter that is to be computed from others."""
    held = dict(module.held(Parameter))
    if name not in held:
        raise ValueError(
            f"{who}: {type(module).__name__} has no parameter {name!r}; it has {', '.join(held) or 'none'}"
        )
    if is_uninitialized(held[name]):
        raise ValueError(f"{who}: {name} has no shape yet; call the model on a batch first")
    return held[name]


def only(found: list, module: Module, name: str, who: str) -> Any:
    """The hook that is to be removed."""
    if not found:
        raise ValueError(f"{who} of {name!r} not found in {type(module).__name__}")
    return found[0]
