"""Which call first made a gradient zero or NaN: found when it happens, once for each leaf, for `explain` to tell."""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np

from .kernels.matmul import DOT
from .kernels.reduce import square_sum
from .op import Traced
from .tape import Leaf, Node, places, using

# Entries from which NumPy is slower than all threads, or takes OpenBLAS's own, which meet ours.
LARGE = {"f": 1 << 18, "d": DOT}
FEW = 1 << 12  # entries up to which one call of NumPy's does for all types


def square(g: Any) -> complex:
    """The sum of squares: NaN if an entry is, zero if all are, and cheaper than looking at entries."""
    if g.__class__ is np.ndarray and g.size <= FEW and g.flags.c_contiguous:
        return np.vdot(g, g)
    while isinstance(g, Traced):
        g = g.innermost()
    if g.ndim and 0 in g.strides:  # one entry in many places: they need not be looked at one by one
        if not any(g.strides) and g.size:
            return (v := g.item(0)) * v.conjugate()
        g = g[tuple([slice(None) if step else slice(1) for step in g.strides])]
    flat = g if g.ndim == 1 else g.ravel("K")
    if flat.dtype.kind == "c":
        flat = np.ascontiguousarray(flat).view(flat.real.dtype)
    if flat.size >= LARGE.get(flat.dtype.char, math.inf):
        return square_sum(flat, (-1,)).item()
    return flat.dot(flat)  # the method, which is called in half the time


def doubtful(g: Any) -> bool:
    """Whether all of a gradient is zero, or some of it NaN."""
    s = square(g)
    return not s or s != s  # to compare one of NumPy's numbers with one of Python's takes longer than all else here


def spoilt(square: complex) -> str:
    """What a sum of squares says of a gradient."""
    return "NaN" if square != square else "zero" if square == 0 else ""


# Why a gradient was zero or NaN, for `explain`.
notes: weakref.WeakKeyDictionary[Leaf, str] = weakref.WeakKeyDictionary()


def note(walk: Any, squares: dict) -> None:
    """Once for each leaf: find the call after which all that flows to it is zero, or some of it NaN."""
    cases = {n: s for n, s in squares.items() if n.__class__ is Leaf and n not in notes and spoilt(s)}
    if any(math.prod(leaf.shape) for leaf in cases):
        blamed: dict = {}
        watch = lambda call, args, _, cts: blame(blamed, call, args[0], cts) if isinstance(call, Node) else None
        with using(observers=(watch,)):
            walk.run(True)
        for leaf, s in cases.items():
            state = spoilt(s)
            node = blamed.get((leaf, state))
            place = f", recorded at {places[node]}" if node in places else ""
            notes[leaf] = f"its gradient was {state}" + (f", first after {node.name}{place}" if node else "")


def blame(blamed: dict, node: Node, g: Any, cotangents: tuple) -> None:
    """Note for each parent which call first handed on zero or NaN, and nothing else."""
    already = {spoilt(square(c)) for c in (g if type(g) is tuple else (g,)) if c is not None}
    for parent, ct in zip(node.parents, cotangents):
        state = "" if ct is None else spoilt(square(ct))
        if state:
            blamed.setdefault((parent, state), blamed.get((node, state), node) if state in already else node)
