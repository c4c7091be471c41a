"""Gradients kept from growing too large: in place, without copies of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from types import GeneratorType
from typing import Any

import numpy as np

from autograd_core import Tensor, no_grad, norm, stack
from autograd_core.kernels import reduce as kernels
from autograd_core.ops.reduce import reduce_norm
from autograd_core.tape import current, mark_written, refuse_capture


def listed(tensors: Any, who: str) -> list[Tensor]:
    """One tensor, or several, as a list."""
    if isinstance(tensors, Tensor):
        return [tensors]
    if isinstance(tensors, GeneratorType):
        tensors = list(tensors)
        if not tensors:
            warnings.warn(f"{who}: the generator of parameters is used up: nothing is clipped", stacklevel=3)
    if not isinstance(tensors, Iterable):
        hint = "; write .parameters()" if hasattr(tensors, "parameters") else ""
        raise TypeError(f"{who}: expected tensors in a list or the like, got {type(tensors).__name__}{hint}")
    tensors = list(tensors)
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{who}: expected tensors, as model.parameters() gives, got {type(t).__name__} {t!r:.40}")
    return tensors


def gradients(parameters: Iterable[Tensor]) -> list[np.ndarray]:
    """The arrays of those gradients that are there, each once, ready to be written to."""
    found: dict[int, np.ndarray] = {}
    for grad in (p.grad for p in parameters if p.grad is not None):
        if not grad.value.flags.writeable:
            grad.value = grad.value.copy()
        found[id(grad.value)] = grad.value
    return list(found.values())


def norm_of(arrays: list[np.ndarray], p: float) -> float:
    """The p-norm of all entries, as if they were one vector."""
    every = [tuple(range(-a.ndim, 0)) for a in arrays]
    if p == 2:
        parts = [float(kernels.norm(a, axes)) for a, axes in zip(arrays, every)]
    else:
        parts = [float(reduce_norm(a, p=p, axis=axes)) for a, axes in zip(arrays, every) if a.size]
    return float(np.linalg.norm(parts, p)) if parts else 0.0


def total_of(arrays: list[np.ndarray], norm_type: Any, error_if_nonfinite: bool, who: str) -> Tensor:
    """The norm as a tensor of the type of the gradients."""
    p = float(norm_type)
    total = norm_of(arrays, p)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"{who}: the norm of order {p} is {total}, so some gradient is not finite; gradients are as they were. "
            "autograd_core.detect_anomaly() finds where it came from; error_if_nonfinite=False clips all the same"
        )
    kinds = [np.zeros((), a.dtype).real.dtype for a in arrays]
    return Tensor(np.asarray(total, np.result_type(*kinds) if kinds else np.float32))


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all entries of all tensors, as if they were one vector."""
    arrays = [t.value for t in listed(tensors, "get_total_norm")]
    return total_of(arrays, norm_type, error_if_nonfinite, "get_total_norm")


def scale(arrays: list[np.ndarray], max_norm: float, total: float) -> None:
    """Shrink to a norm of max_norm whatever has more; a total that is NaN makes everything NaN, so that it is seen."""
    factor = float(max_norm) / (total + 1e-6)
    if factor >= 1:
        return
    with np.errstate(invalid="ignore"):
        for a in arrays:
            np.multiply(a, factor, out=a)
            mark_written(a, "clip_grad_norm_")


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor | float, foreach: bool | None = None
) -> None:
    """Shrink gradients whose norm is known already, all by one factor, to a norm of at most max_norm."""
    scale(gradients(listed(parameters, "clip_grads_with_norm_")), max_norm, float(total_norm))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Shrink gradients, all by one factor, to a common norm of at most max_norm; returns the norm they had.

    Call it between `backward` and `step`.  `foreach` is taken for PyTorch's sake.
    """
    tensors = listed(parameters, "clip_grad_norm_")
    if current().capture is not None:
        if error_if_nonfinite:
            refuse_capture("clip_grad_norm_ looks at the norm for error_if_nonfinite=True")
        return clipped_by_ops([p.grad for p in tensors if p.grad is not None], max_norm, norm_type)
    arrays = gradients(tensors)
    total = total_of(arrays, norm_type, error_if_nonfinite, "clip_grad_norm_")
    scale(arrays, max_norm, total.item())
    return total


@no_grad()
def clipped_by_ops(grads: list[Tensor], max_norm: float, norm_type: float) -> Tensor:
    """The same by operations on tensors, which a replay can do again."""
    if not grads:
        return Tensor(np.zeros((), np.float32))
    total = norm(stack([norm(g, norm_type) for g in grads]), norm_type)
    factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(factor)
    return total


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn("clip_grad_norm is now deprecated in favor of clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Bring every entry of the gradients into [-clip_value, clip_value]."""
    limit, tensors = float(clip_value), listed(parameters, "clip_grad_value_")
    arrays = gradients(tensors)
    if any(a.dtype.kind == "c" for a in arrays):
        raise TypeError("clip_grad_value_: complex numbers have no order; clip_grad_norm_ takes them")
    if current().capture is not None:
        with no_grad():
            for g in [p.grad for p in tensors if p.grad is not None]:
                g.clamp_(-limit, limit)
        return
    for a in arrays:
        np.clip(a, -limit, limit, out=a)
        mark_written(a, "clip_grad_value_")
