"""Parametrizations for common ends: orthogonal matrices, weights with a norm of their own, weights of norm one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autograd_core import Tensor, cat, eye, linalg, no_grad, randn, tensor, tril, zeros

from .. import functional as F
from ..module import Module
from .parametrize import register_parametrization

MAPS = ("matrix_exp", "cayley", "householder")


def weight_of(module: Any, name: str, who: str) -> Tensor:
    """The tensor that is to be parametrized."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{who}: {type(module).__name__} has no parameter or buffer {name!r}")
    return weight


# --- orthogonal ------------------------------------------------------------------------------------------------------


class _Orthogonal(Module):
    """A matrix with orthonormal columns (or rows, if these are fewer) from one without conditions.

    It is base times a map of the trained matrix, and begins as base; without `base` as the map alone.
    """

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True):
        if weight.dtype.kind == "c" and orthogonal_map == "householder":
            raise ValueError("orthogonal: householder takes real matrices; matrix_exp and cayley take complex ones too")
        self.shape, self.orthogonal_map = tuple(weight.shape), orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    @property
    def right_inverse(self) -> Callable[[Tensor], Tensor] | None:
        """What makes of a matrix what is trained; None where no way back is known."""
        if "base" in vars(self):
            return self._rebased
        return self._reflectors if self.orthogonal_map == "householder" else None

    def forward(self, X: Tensor) -> Tensor:
        """The orthogonal matrix of a trained one."""
        wide = X.shape[-2] < X.shape[-1]
        X = X.mT if wide else X
        Q = self._reflected(X) if self.orthogonal_map == "householder" else self._rotated(X)
        base = vars(self).get("base")
        Q = Q if base is None else base @ Q
        return Q.mT if wide else Q

    def _rotated(self, X: Tensor) -> Tensor:
        """The exponential, or its approximation by Cayley, of the antisymmetric part of a lower triangle."""
        n, k = X.shape[-2:]
        X = tril(X)
        if n != k:
            X = cat([X, zeros(*X.shape[:-1], n - k, dtype=X.dtype)], -1)
        A = X - X.mH
        if self.orthogonal_map == "matrix_exp":
            Q = linalg.matrix_exp(A)
        else:
            one = eye(n, dtype=A.dtype)
            Q = linalg.solve(one - A * 0.5, one + A * 0.5)
        return Q[..., :k]

    def _reflected(self, X: Tensor) -> Tensor:
        """The product of the reflections whose vectors are below the diagonal; the diagonal has signs, not trained."""
        A = tril(X, -1)
        Q = linalg.householder_product(A, 2 / (1 + (A * A).sum(-2)))
        return Q * X.detach().diagonal(dim1=-2, dim2=-1).trunc()[..., None, :]

    def _tall(self, Q: Tensor) -> np.ndarray:
        if tuple(Q.shape) != self.shape:
            raise ValueError(f"orthogonal: expected a tensor of shape {self.shape}, got {tuple(Q.shape)}")
        values = Q.detach().numpy()
        return np.swapaxes(values, -1, -2) if self.shape[-2] < self.shape[-1] else values

    def _reflectors(self, Q: Tensor) -> Tensor:
        """What the map makes the orthogonal factor of Q of."""
        tall = self._tall(Q)
        h, tau = np.linalg.qr(tall, mode="raw")
        X = np.array(np.swapaxes(h, -1, -2))
        diagonal = np.einsum("...ii->...i", X[..., : X.shape[-1], :])
        diagonal[...] = np.where(tau == 0, -1, 1) * np.where(diagonal < 0, -1, 1)
        return tensor(np.ascontiguousarray(np.swapaxes(X, -1, -2) if tall.shape != self.shape else X))

    def _rebased(self, Q: Tensor) -> Tensor:
        """Make Q the base, orthogonal and square, and begin at the matrix that leaves it as it is."""
        Q0 = tensor(np.ascontiguousarray(self._tall(Q)))
        n, k = Q0.shape[-2:]
        if n != k:
            Q0 = cat([Q0, randn(*Q0.shape[:-2], n, n - k, dtype=Q0.dtype)], -1)
        if n != k or not _is_orthogonal(Q0.numpy()):
            Q0, R = linalg.qr(Q0)
            Q0 = Q0 * R.diagonal(dim1=-2, dim2=-1).sgn()[..., None, :]
        self.base = Q0
        start = np.zeros(self.shape, Q0.dtype)
        np.einsum("...ii->...i", start[..., : min(self.shape[-2:]), : min(self.shape[-2:])])[...] = -1
        return tensor(start)


def _is_orthogonal(Q: np.ndarray) -> bool:
    n, k = Q.shape[-2:]
    return np.allclose(np.swapaxes(Q, -1, -2).conj() @ Q, np.eye(k), atol=10 * n * np.finfo(Q.dtype).eps)


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keep a matrix, or the matrices of the last two axes, orthogonal: its columns, or its rows if these are fewer.

    The map is "matrix_exp" (for square or complex matrices), "cayley" or "householder" (otherwise).
    """
    weight = weight_of(module, name, "orthogonal")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: {name} must have two axes or more, got {tuple(weight.shape)}")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1] or weight.dtype.kind == "c"
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(f"orthogonal: orthogonal_map must be one of {', '.join(MAPS)}, got {orthogonal_map!r}")
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)


# --- norms of their own ----------------------------------------------------------------------------------------------


def norm_except_dim(v: Tensor, dim: int | None) -> Tensor:
    """The norms of the parts along an axis, beside v; of all of it if the axis is None, or -1."""
    if dim is None or dim == -1:
        return linalg.vector_norm(v)
    if not -v.ndim <= dim < v.ndim:
        raise IndexError(f"weight_norm: dim={dim}, but the weight has {v.ndim} axes")
    others = tuple(a for a in range(v.ndim) if a != dim % v.ndim)
    return linalg.vector_norm(v, 2, others, True) if others else v.abs()


class _WeightNorm(Module):
    """g v / |v|"""

    def __init__(self, dim: int | None = 0):
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """Norms and directions to the weight."""
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The weight to norms and directions."""
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the norms of a weight's parts along an axis (`original0`) apart from their directions (`original1`)."""
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module.register_load_state_dict_pre_hook(partial(_from_older, name))
    return module


def _from_older(name: str, module: Module, state: dict, prefix: str, *rest: Any) -> None:
    """Bring a state under the names of the older `weight_norm` up to date."""
    for i, part in enumerate("gv"):
        if (old := f"{prefix}{name}_{part}") in state:
            state[f"{prefix}parametrizations.{name}.original{i}"] = state.pop(old)


# --- the largest singular value --------------------------------------------------------------------------------------


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight with one axis in front and all others as one."""
    weight = weight.movedim(dim, 0) if dim else weight
    return weight.reshape(weight.shape[0], -1)


class _SpectralNorm(Module):
    """A weight over its largest singular value, estimated: in training each use is one more step of a power method."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm: dim={dim}, but the weight has {weight.ndim} axes")
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}")
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = as_matrix(weight, self.dim)
                for name, size in zip(("_u", "_v"), matrix.shape):
                    self.register_buffer(name, F.normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps))
                self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, steps: int) -> None:
        held: Any = self
        with no_grad():
            for _ in range(steps):
                held._u.copy_(F.normalize(matrix @ held._v, dim=0, eps=self.eps))
                held._v.copy_(F.normalize(matrix.mH @ held._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        """A vector is divided by its length."""
        held: Any = self
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        u, v = held._u.clone(), held._v.clone()  # the next use changes them, and backward of this one needs them
        return weight / (u.conj() * (matrix @ v)).sum()

    def right_inverse(self, value: Tensor) -> Tensor:
        """Taken to have norm one already."""
        return value


def output_axis(module: Module) -> int:
    """The axis of outputs: the second in the weights of transposed convolutions."""
    return 1 if getattr(module, "transposed", False) else 0


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, estimated by a power method that goes on while training."""
    weight = weight_of(module, name, "spectral_norm")
    made = _SpectralNorm(weight.detach(), n_power_iterations, output_axis(module) if dim is None else dim, eps)
    return register_parametrization(module, name, made)
