"""What a module can hold: parameters, which are trained, and buffers, which are only kept."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any, cast

import numpy as np

from autograd_core import Tensor, get_default_dtype

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


class Parameter(Tensor):
    """A tensor that is meant to be trained: it requires gradients unless told otherwise; a tensor's data is shared."""

    def __init__(self, data: Any = (), requires_grad: bool = True):
        _share(self, data)
        self.requires_grad = requires_grad

    def __deepcopy__(self, memo: dict) -> Parameter:
        grad, self.grad = self.grad, None  # a copy of a model begins without gradients
        try:
            return cast(Parameter, super().__deepcopy__(memo))
        finally:
            self.grad = grad

    def __repr__(self) -> str:
        return f"Parameter containing:\n{self.detach()!r}"

    __str__ = __repr__


class Buffer(Tensor):
    """A tensor that belongs to a module without being trained; `persistent` ones are part of its state."""

    def __init__(self, data: Any = (), requires_grad: bool = False, *, persistent: bool = True):
        _share(self, data)
        self.requires_grad = requires_grad
        self.persistent = persistent


class Uninitialized:
    """What parameters and buffers have in common whose shape is not known yet."""

    becomes: type[Tensor]

    def __init__(self, dtype: Any, **options: Any):
        lazy, known = type(self), cast(Any, self)
        known.__class__ = self.becomes
        known.__init__(np.empty(0, get_default_dtype() if dtype is None else dtype), **options)
        known.__class__ = lazy

    def materialize(self, shape: Any, dtype: Any = None) -> None:
        """Become an ordinary one, of this shape, with entries yet to be set."""
        known = cast(Any, self)
        known.__class__ = self.becomes
        known.data = np.empty(tuple(shape), known.dtype if dtype is None else dtype)

    def __deepcopy__(self, memo: dict) -> Any:
        lazy, known = type(self), cast(Any, self)
        known.__class__ = self.becomes
        try:
            copy = memo[id(self)] = deepcopy(known, {k: v for k, v in memo.items() if k != id(self)})
        finally:
            known.__class__ = lazy
        copy.__class__ = lazy
        return copy

    def __reduce__(self) -> tuple:
        options = {"persistent": self.persistent} if hasattr(self, "persistent") else {}
        return partial(type(self), **options), (cast(Any, self).node is not None, cast(Any, self).dtype)

    def recast(self, dtype: Any) -> None:
        """Have another type, still without a shape."""
        lazy, known = type(self), cast(Any, self)
        self.materialize((0,), dtype)
        known.__class__ = lazy

    @property
    def shape(self) -> Any:
        """Not known: an error that says how it will be."""
        raise RuntimeError(
            "shape: the parameters of a lazy module have none until it has been called once; "
            "call the model on one batch, or load its state, before asking for shapes"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


class UninitializedParameter(Uninitialized, Parameter):
    """A parameter whose shape the first input of its lazy module will tell."""

    becomes = Parameter

    def __init__(self, requires_grad: bool = True, dtype: Any = None):
        Uninitialized.__init__(self, dtype, requires_grad=requires_grad)


class UninitializedBuffer(Uninitialized, Buffer):
    """A buffer whose shape the first input of its lazy module will tell."""

    becomes = Buffer

    def __init__(self, requires_grad: bool = False, dtype: Any = None, persistent: bool = True):
        Uninitialized.__init__(self, dtype, requires_grad=requires_grad, persistent=persistent)


def is_uninitialized(value: Any) -> bool:
    """Whether its shape is not known yet."""
    return isinstance(value, Uninitialized)


def _share(target: Tensor, data: Any) -> None:
    """Begin as a leaf, on the memory of a tensor, or on a copy of other data."""
    Tensor.__init__(target, () if isinstance(data, Tensor) else data)
    if isinstance(data, Tensor):
        target.value = data.value
