"""The older way to divide a weight by its largest singular value: `weight_orig`, `weight_u`, `weight_v`, and a hook."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor, no_grad, randn

from .. import functional as F
from ..module import Module
from ..parameter import Parameter
from .parametrizations import as_matrix, output_axis
from .recomputed import Recomputed, hooks_of, only, parameter_of, unhook


class SpectralNorm(Recomputed):
    """A weight over uᵀ W v; a step of a power method for u and v comes before each call in training."""

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def compute_weight(self, module: Any, do_power_iteration: bool | None = None) -> Tensor:
        """The weight; without being told, steps are made in training."""
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if module.training if do_power_iteration is None else do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.mT @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
        u, v = u.clone(), v.clone()  # the next call changes them, and backward of this one needs them
        return weight / (u * (matrix @ v)).sum()


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value; `parametrizations.spectral_norm` is the newer way."""
    if hooks_of(module, SpectralNorm, name):
        raise RuntimeError(f"spectral_norm: {name!r} has it already")
    weight = parameter_of(module, name, "spectral_norm")
    hook = SpectralNorm(name, n_power_iterations, output_axis(module) if dim is None else dim, eps)
    with no_grad():
        shape = as_matrix(weight, hook.dim).shape
        u, v = (F.normalize(randn(n, dtype=weight.dtype), dim=0, eps=eps) for n in shape)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Any, name: str = "weight") -> Module:
    """Make the weight a parameter again, with the value that it has."""
    hook = only(hooks_of(module, SpectralNorm, name), module, name, "spectral_norm")
    weight = hook.compute_weight(module, False).detach()
    unhook(module, hook)
    for part in (name, f"{name}_orig", f"{name}_u", f"{name}_v"):
        delattr(module, part)
        module._buffer_names.pop(part, None)
    module.register_parameter(name, Parameter(weight))
    return module
