"""Trees of numbers, arrays and tensors as one vector of float64, and back."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from autograd_core import Tensor, from_numpy
from autograd_core.tree import flatten

NUMBERS = (int, float, np.number)


class Form:
    """How a tree lies in a vector; a list of numbers counts as an array, as NumPy has it."""

    def __init__(self, tree: Any, who: str, name: str = "x0"):
        if isinstance(tree, list) and _only_numbers(tree):
            tree = np.asarray(tree, float)
        self.who, self.name = who, name
        self.leaves, self.rebuild = flatten(tree)
        for k, leaf in enumerate(self.leaves):
            _check(leaf, who, name if len(self.leaves) == 1 else f"leaf {k} of {name}")
        self.shapes = [np.shape(leaf) for leaf in self.leaves]
        self.sizes = [prod(shape) for shape in self.shapes]
        self.size = sum(self.sizes)
        if not self.size:
            raise ValueError(f"{who}: {name} has no entries; there is nothing to move")

    def start(self) -> np.ndarray:
        """The tree that the form was made of, as a vector."""
        return self.vector(self.leaves)

    def vector(self, leaves: list) -> np.ndarray:
        """Leaves in a row."""
        plain = (leaf.value if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        return np.concatenate([np.asarray(leaf, np.float64).reshape(-1) for leaf in plain])

    def inside(self, v: Any) -> Any:
        """The tree with the entries of a vector, an array or a tensor, in float64."""
        if len(self.sizes) == 1:
            return self.rebuild([v if self.shapes[0] == v.shape else v.reshape(self.shapes[0])])
        return self.rebuild([part.reshape(shape) for part, shape in zip(self._parts(v), self.shapes)])

    def outside(self, v: np.ndarray) -> Any:
        """The same, each leaf of the kind that was given: a number, an array, a tensor, of its own type."""
        parts = (part.reshape(shape) for part, shape in zip(self._parts(v), self.shapes))
        return self.rebuild([_as(like, part) for like, part in zip(self.leaves, parts)])

    def _parts(self, v: Any) -> list:
        ends = np.cumsum(self.sizes)
        return [v[end - size : end] for end, size in zip(ends.tolist(), self.sizes)]

    def limits(self, tree: Any, end: str, absent: float) -> np.ndarray:
        """Bounds of one side as a vector: of a tree like this one, of one number for all entries, or None for none."""
        if tree is None or isinstance(tree, NUMBERS):
            return np.full(self.size, absent if tree is None else float(tree))
        if isinstance(tree, list) and len(self.sizes) == 1:
            tree = np.array([absent if v is None else v for v in tree], float)
        leaves = [np.asarray(v.value if isinstance(v, Tensor) else v, float) for v in flatten(tree)[0]]
        shapes = [leaf.shape for leaf in leaves]
        if shapes != self.shapes:
            given, needed = (", ".join(map(str, s)) for s in (shapes, self.shapes))
            raise ValueError(f"{self.who}: the {end} bounds have shape {given}, but {self.name} has {needed}")
        return self.vector(leaves)


def _only_numbers(tree: Any) -> bool:
    if isinstance(tree, list):
        return bool(tree) and all(_only_numbers(part) for part in tree)
    return isinstance(tree, NUMBERS)


def _check(leaf: Any, who: str, what: str) -> None:
    if isinstance(leaf, (bool, np.bool_)) or not isinstance(leaf, (Tensor, np.ndarray, *NUMBERS)):
        raise TypeError(
            f"{who}: {what} is {type(leaf).__name__} {leaf!r:.40}; needed are numbers, arrays, tensors, or trees of them"
        )
    dtype = np.dtype(getattr(leaf, "dtype", type(leaf)))
    if dtype.kind not in "fiu":
        raise TypeError(f"{who}: {what} holds {dtype}; needed are real numbers")
    if not np.isfinite(leaf.value if isinstance(leaf, Tensor) else leaf).all():
        raise ValueError(f"{who}: {what} holds NaN or infinity; start from finite numbers")


def _as(like: Any, v: np.ndarray) -> Any:
    if isinstance(like, Tensor):
        return from_numpy(v.astype(like.dtype if like.dtype.kind == "f" else np.float64))
    if isinstance(like, np.ndarray):
        return v.astype(like.dtype if like.dtype.kind == "f" else np.float64)
    return v.item()


def arrays(f: Callable, form: Form, args: tuple) -> Callable:
    """f as a function of one vector."""
    return lambda v: f(form.inside(v), *args)
