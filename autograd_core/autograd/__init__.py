"""The names of `torch.autograd`, for scripts that use them; everything here has a name in `autograd_core` too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..anomaly import detect_anomaly
from ..backward import gradient
from ..custom import Function
from ..gradcheck import gradcheck, gradgradcheck
from ..ops.create import as_tensor
from ..ops.joining import stack
from ..tape import enable_grad, inference_mode, no_grad, set_grad_enabled
from ..tensor import Tensor
from . import functional

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "functional", "grad", "gradcheck",
    "gradgradcheck", "inference_mode", "no_grad", "set_grad_enabled",
]  # fmt: skip


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """Gradients of the outputs by the inputs, as a tuple: `gradient` with PyTorch's order of arguments."""
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is no longer offered, here as in PyTorch; use backward()")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True gives zeros for unused inputs, which allow_unused=False forbids")
    options = {"create_graph": create_graph, "allow_unused": bool(allow_unused) or materialize_grads}
    if is_grads_batched:
        weights = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
        rows = [gradient(outputs, inputs, list(row), retain_graph=True, **options) for row in zip(*weights)]
        found = tuple(None if column[0] is None else stack(column) for column in zip(*rows))
    else:
        found = gradient(outputs, inputs, grad_outputs, retain_graph=retain_graph, **options)
    if not materialize_grads:
        return found
    inputs = [inputs] if isinstance(inputs, Tensor) else inputs
    return tuple(as_tensor(np.zeros(x.shape, x.dtype)) if g is None else g for g, x in zip(found, inputs))


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of all the tensors to `.grad` of the leaves."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    weights = [grad_tensors] if isinstance(grad_tensors, Tensor) else grad_tensors or [None] * len(tensors)
    if len(weights) != len(tensors):
        raise ValueError(f"backward: {len(tensors)} tensors but {len(weights)} grad_tensors")
    for k, (y, g) in enumerate(zip(tensors, weights)):
        y.backward(g, True if k + 1 < len(tensors) else retain_graph, create_graph, inputs)


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """A tensor on the same memory: tensors and variables are one."""
    return as_tensor(data).detach().requires_grad_(requires_grad)
