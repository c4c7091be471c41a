"""Parts of neural networks, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that is meant to be trained: it requires gradients unless told otherwise; a tensor's data is shared."""

    __slots__ = ()

    def __init__(self, data: Any = (), requires_grad: bool = True):
        super().__init__(() if isinstance(data, Tensor) else data)
        if isinstance(data, Tensor):
            self.value = data.value
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return f"Parameter containing:\n{self.detach()!r}"

    __str__ = __repr__
