"""Trees: nests of tuples, lists, dicts and None whose leaves are numbers, arrays and tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def flatten(tree: Any) -> tuple[list, Callable[[list], Any]]:
    """The leaves of a tree in order, and a function that builds the same tree of other leaves."""
    if tree is None:
        return [], lambda leaves: None
    if isinstance(tree, dict):
        return _nest(list(tree.values()), lambda parts: type(tree)(zip(tree, parts)))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return _nest(list(tree), lambda parts: type(tree)(*parts))
    if isinstance(tree, (tuple, list)):
        return _nest(list(tree), type(tree))
    return [tree], lambda leaves: leaves[0]


def _nest(parts: list, build: Callable) -> tuple[list, Callable[[list], Any]]:
    pairs = [flatten(part) for part in parts]
    counts = [len(leaves) for leaves, _ in pairs]

    def rebuild(leaves: list) -> Any:
        position, rebuilt = 0, []
        for count, (_, one) in zip(counts, pairs):
            rebuilt.append(one(leaves[position : position + count]))
            position += count
        return build(rebuilt)

    return [leaf for leaves, _ in pairs for leaf in leaves], rebuild


def tree_map(f: Callable, tree: Any, *others: Any) -> Any:
    """f of each leaf (and of the leaves at the same place of other trees), in a tree of the same form."""
    leaves, rebuild = flatten(tree)
    columns = [leaves, *(flatten(other)[0] for other in others)]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"trees of different form: {[len(column) for column in columns]} leaves")
    return rebuild([f(*row) for row in zip(*columns)])
