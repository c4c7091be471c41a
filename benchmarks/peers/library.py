"""What a row may ask of any library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..rows import Row, Step


def cotangent(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """What arrives at a result on the way back: the same numbers everywhere."""
    return np.random.default_rng(1).standard_normal(tuple(shape)).astype(dtype)


def first_value(k: int, name: str, shape: Sequence[int]) -> np.ndarray:
    """What the k-th parameter of a model is at first: the same numbers everywhere, of the usual size."""
    if len(shape) < 2:
        return np.full(tuple(shape), 0.0 if "bias" in name else 1.0, np.float32)
    fan = int(np.prod(shape[1:]))
    return (np.random.default_rng(k).standard_normal(tuple(shape)) / np.sqrt(fan)).astype(np.float32)


def leaves(tree: Any) -> list[Any]:
    """What lists, tuples and dicts hold, in order."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [] if tree is None else [tree]


class Library:
    """A library at its best setting.

    m       its functions of tensors, under the names that PyTorch and NumPy share
    np      its functions under NumPy's names
    nn, F   its layers and the functions they are made of, under PyTorch's names
    """

    m: Any
    np: Any
    nn: Any
    F: Any
    sparse = False  # whether embeddings should have sparse gradients
    trying = False  # whether settings are being tried, for which nothing needs to be compiled
    setting = ""  # the one that is in use, of those to try

    def __init__(self, compiled: bool):
        self.compiled = compiled

    def to_try(self, row: Row) -> list[str]:
        """Settings of which the quickest is to be used."""
        return []

    def tensor(self, array: np.ndarray) -> Any:
        """A constant."""
        return array

    def numbers(self, result: Any) -> list[np.ndarray]:
        """The arrays in a result."""
        return [np.asarray(leaf) for leaf in leaves(result)]

    def call(self, f: Callable, arrays: Sequence[np.ndarray]) -> Step:
        """f(library, *tensors), without gradients."""
        raise NotImplementedError(f"{type(self).__module__} has no calls without gradients")

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        """f(library, *tensors), and the gradients of the first so many tensors."""
        raise NotImplementedError(f"{type(self).__module__} has no gradients")

    def derivative(self, kind: str, f: Callable, *arrays: np.ndarray) -> Step:
        """`grad`, `hessian`, `jacobian` or `hvp` of f(library.np, x, ...) by x; the last array is the vector of `hvp`."""
        raise NotImplementedError(f"{type(self).__module__} has no {kind}")

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), **settings: Any) -> Callable:
        """step(*batch): the loss; parameters of the model have taken a step.  `beside` are other models in the loss."""
        raise NotImplementedError(f"{type(self).__module__} does not train")

    def fixed(self, x: Any) -> Any:
        """The same, through which no gradient flows."""
        return x.detach()

    def work(self, model: Any, moved: float, *inputs: Any) -> dict[str, float] | None:
        """What a training step must compute and move at least, in which each parameter is moved so often; if it is known.

        What is kept for backward is written and read.
        """
        return None

    def whole(self, step: Callable) -> Callable:
        """A function of a batch that calls trainers, compiled where this library compiles whole programs."""
        return step
