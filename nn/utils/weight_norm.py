"""The older way to train the norm of a weight apart from its direction: `weight_g` and `weight_v`, and a hook."""

from __future__ import annotations

import warnings
from typing import Any

from autograd_core import Tensor, no_grad

from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except_dim
from .recomputed import Recomputed, hooks_of, only, parameter_of, unhook


class WeightNorm(Recomputed):
    """g v / |v|, with the norm of each part along an axis."""

    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Tensor:
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, self.dim))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train `weight_g` and `weight_v` in place of `weight`; `parametrizations.weight_norm` is the newer way."""
    warnings.warn(
        "nn.utils.weight_norm is deprecated in favor of nn.utils.parametrizations.weight_norm",
        FutureWarning,
        stacklevel=2,
    )
    if hooks_of(module, WeightNorm, name):
        raise RuntimeError(f"weight_norm: {name!r} has it already")
    weight, hook = parameter_of(module, name, "weight_norm"), WeightNorm(name, dim)
    with no_grad():
        norms = norm_except_dim(weight, hook.dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(norms))
    module.register_parameter(f"{name}_v", Parameter(weight.data))
    hook(module, ())
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again, with the value that it has."""
    hook = only(hooks_of(module, WeightNorm, name), module, name, "weight_norm")
    weight = hook.compute_weight(module).detach()
    unhook(module, hook)
    for part in (name, f"{name}_g", f"{name}_v"):
        delattr(module, part)
    module.register_parameter(name, Parameter(weight))
    return module
