"""Which nodes made others, and which lead to others."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from .tape import Leaf

by_index, LEAVES = attrgetter("index"), {Leaf}


def ancestors(roots: Iterable) -> list:
    """The nodes that made these, oldest first."""
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for node in found:  # grows as it is walked
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                found.append(parent)
    found.sort(key=by_index)
    return found


def leading_to(order: list, wanted: set) -> set:
    """Those of the nodes (oldest first) through which gradients reach the wanted ones."""
    needed = set(wanted)
    for node in order:
        if node not in needed and not needed.isdisjoint(node.parents):
            needed.add(node)
    return needed


def all_leaves(order: list, wanted: set) -> bool:
    """Whether the wanted ones are leaves, and all that the nodes have: then every node leads to them."""
    for node in order:
        if node.__class__ is Leaf and node not in wanted:
            return False
    return LEAVES.issuperset(map(type, wanted))
