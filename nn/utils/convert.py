"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from autograd_core import Tensor, cat, no_grad


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The entries of all parameters in a row; gradients flow back to them."""
    rows = [p.reshape(-1) for p in parameters]
    if not rows:
        raise ValueError("parameters_to_vector: there are no parameters; a generator can be used only once")
    return cat(rows)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the entries of a vector into parameters, in order; `functional_call` is the way to keep their history."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}")
    listed = list(parameters)
    sizes = [p.numel() for p in listed]
    if vec.ndim != 1 or sum(sizes) != vec.numel():
        raise ValueError(
            f"vector_to_parameters: {len(listed)} parameters have {sum(sizes)} entries together, "
            f"the vector is {tuple(vec.shape)}"
        )
    start = 0
    with no_grad():
        for p, size in zip(listed, sizes):
            p.copy_(vec[start : start + size].reshape(p.shape))
            start += size
