"""Layers that learn the size of their input from the first one, and then are ordinary layers."""

from __future__ import annotations

from typing import Any

from .parameter import Uninitialized


class Lazy:
    """Comes before the layer it becomes among the bases of a lazy layer; the first call sets shapes, then values."""

    becomes: type

    def infer(self, *inputs: Any) -> None:
        """Set the attributes that say sizes, and `materialize` what has no shape yet."""
        raise TypeError(f"{type(self).__name__}: infer is not defined; it says what sizes follow from an input")

    def has_uninitialized_params(self) -> bool:
        """Whether a shape is missing still: neither called yet nor loaded."""
        return any(isinstance(v, Uninitialized) for v in vars(self).values())

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Become the ordinary layer, and be called."""
        layer: Any = self
        fresh = self.has_uninitialized_params()
        self.infer(*inputs, **named)
        layer.__class__ = self.becomes
        if fresh:
            layer.reset_parameters()
        return layer.forward(*inputs, **named)


def materialize(value: Any, *shape: int) -> None:
    """Give a parameter or buffer that has none its shape; those that were loaded have it, and None needs none."""
    if isinstance(value, Uninitialized):
        value.materialize(shape)
