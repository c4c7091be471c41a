"""Gradients through one call of a compiled function: the graph of a run, fenced in, and the node that stands for it.

Seen from outside a call is one node, whose parents are what the run depended on: arguments with a history, and leaves.
Its cotangents are found by walking the graph that the function left, or by a program that was captured from such a walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import tape
from ..backward import Walk, _runs_user_code, gradients_of
from ..custom import Named
from ..op import Traced
from ..reach import by_index, leading_to
from ..tape import Leaf, Node, Pick, current, enter, is_grad_enabled, state
from ..tensor import Tensor, at, node_of


class Fenced(Walk):
    """A walk that ends where the graph began: hooks of leaves are called by the walk that goes on from there."""

    def hooked(self, node: Any, g: Any) -> Any:
        return g if node.__class__ is Leaf else super().hooked(node, g)


class Graph:
    """What lies between the results of a run and what it was given."""

    def __init__(self, roots: list, order: list, edge: list):
        self.roots, self.order, self.edge = roots, order, edge

    @classmethod
    def of(cls, results: Iterable[Tensor], since: int, entrances: Iterable, leaves: set) -> Graph | None:
        """The graph behind results; None if it goes on to what is neither an argument nor a leaf from outside."""
        roots, entrances = [node_of(y) for y in results], set(entrances)
        found, edge = list(dict.fromkeys(roots)), []
        seen = set(found)
        for node in found:  # grows as it is walked
            if node in entrances or node.__class__ is Leaf:
                edge.append(node)
                if node.__class__ is Leaf and node not in leaves:
                    return None
                continue
            if node.index <= since:
                return None
            for parent in node.parents:
                if parent not in seen:
                    seen.add(parent)
                    found.append(parent)
        return cls(roots, sorted(found, key=by_index), edge)

    def pull(self, cotangents: Sequence, keep: Sequence[bool]) -> list:
        """The cotangents of those on the edge that are to be kept, None where none arrive."""
        tracked = is_grad_enabled() and any(isinstance(g, Tensor) and not g.level for g in cotangents)
        roots: dict = {}
        for node, g in zip(self.roots, cotangents):
            if g is not None:
                roots[node] = roots[node] + g if node in roots else g
        wanted = {node for node, k in zip(self.edge, keep) if k}
        mode, before = current(), state.mode
        walk = Fenced(
            roots, self.order, leading_to(self.order, wanted), wanted, 0,
            tracked=tracked, captured=mode.capture is not None,
        )  # fmt: skip
        careful = bool(mode.anomaly or mode.capture or (tape.user_code and any(map(_runs_user_code, self.order))))
        if tracked or not any(isinstance(g, Traced) and g.level for g in cotangents):
            enter(grad=tracked)
        try:
            found = gradients_of(walk, careful, told=False)
        finally:
            state.mode = before
        own = lambda g: g.copy() if isinstance(g, np.ndarray) else g
        return [own(found.get(node)) if k else None for node, k in zip(self.edge, keep)]


class Link:
    """The plan of the node of a call: whom to ask for cotangents, and which are wanted."""

    __slots__ = ("op", "wrt", "keep")
    reads, keeps, owns = frozenset(), True, True

    def __init__(self, name: str, keep: Sequence[bool]):
        self.op, self.keep = Named(name), tuple(keep)
        self.wrt = tuple(i for i, k in enumerate(keep) if k)

    def restricted(self, keep: Sequence[bool]) -> Link:
        """The same with only some of the cotangents."""
        wanted = iter(keep)
        return Link(self.op.name, [k and next(wanted) for k in self.keep])

    def fast(self, g: Any, env: Sequence) -> tuple:
        """The cotangents of the parents."""
        given = g if isinstance(g, tuple) else (g,)
        found = env[1].pull(given, self.keep)
        return tuple(c for c, k in zip(found, self.keep) if k)

    careful = fast


def tensors_of(run: Any, name: str, parents: list, values: list[np.ndarray]) -> list[Tensor]:
    """Results as tensors whose gradients flow through one node; `run.pull` finds where to."""
    node = Node(Link(name, [True] * len(parents)), parents, [None, run], len(values), None)  # type: ignore[arg-type]
    return [at(v, Pick.of(node, k, v.shape, v.dtype)) for k, v in enumerate(values)]


class Watched:
    """A run that left its graph, whose first walk back is watched."""

    def __init__(self, graph: Graph, watch: Callable):
        self.graph, self.watch = graph, watch

    def pull(self, cotangents: Sequence, keep: Sequence[bool]) -> list:
        """Walk the graph."""
        watch, self.watch = self.watch, None  # type: ignore[assignment]
        if watch is None or not usual(cotangents):
            return self.graph.pull(cotangents, keep)
        return watch(self.graph, cotangents, keep)


def usual(cotangents: Sequence) -> bool:
    """Whether these are plain arrays, and nobody watches or is about to differentiate what is done with them."""
    mode = state.mode
    plain = all(g is None or isinstance(g, np.ndarray) for g in cotangents)
    return plain and not state.depth and not (mode and (mode.observers or mode.pack or mode.anomaly or mode.capture))
