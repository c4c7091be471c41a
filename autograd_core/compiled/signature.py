"""What of a call decides which replay fits: the forms of its arguments, and what else is set around it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..op import Traced
from ..tape import Leaf, memory, state
from ..tensor import Tensor, node_of
from ..tree import flatten

UNKNOWN = "an argument whose value cannot be told"
FLAT = {Tensor}
CONTAINERS = dict, tuple, list, OrderedDict
FORM = attrgetter("value.shape", "value.dtype", "value.flags.c_contiguous", "node", "origin")


class Signature(NamedTuple):
    """The arguments of a call in a row, how to build them again, and what decides which replay fits."""

    leaves: list
    build: Callable[[list], Any]
    key: tuple

    @property
    def unknown(self) -> bool:
        """Whether no replay can be known to fit."""
        return UNKNOWN in self.key[0]


def signature(args: tuple, kwargs: dict) -> Signature:
    """That of a call."""
    if not kwargs and FLAT.issuperset(map(type, args)):
        forms = tuple(map(FORM, args))
        if not any(f[3] or f[4] for f in forms):  # what most calls are: no histories, no views
            n = len(args)
            row = lambda leaves: tuple(leaves[:n])
            return Signature(list(args), row, (forms, n, state.mode, dtypes.get_default_dtype()))
    if unusual((args, kwargs)):
        return Signature([], lambda leaves: args, ((UNKNOWN,),))
    leaves, build = flatten((args, kwargs)) if kwargs else flatten(args)
    forms = tuple(map(kind_of, leaves))
    return Signature(leaves, build, (forms, structure((args, kwargs)), state.mode, dtypes.get_default_dtype()))


def kind_of(v: Any) -> Any:
    """What of an argument decides which replay fits: shape and type of arrays, the value of all else."""
    if isinstance(v, Traced) and v.level:
        return UNKNOWN
    if isinstance(v, Tensor):
        node = v.node if v.origin is None else node_of(v)
        history = node is not None and node.__class__ is not Leaf
        return v.__class__, v.value.shape, v.value.dtype, v.value.flags.c_contiguous, node is None, history
    if isinstance(v, np.ndarray):
        known = type(v) is np.ndarray and v.dtype.kind in "biufc"
        return (v.shape, v.dtype, v.flags.c_contiguous) if known else UNKNOWN
    if isinstance(v, (float, complex)):
        return type(v), repr(v)  # -0.0 is not 0.0
    if isinstance(v, (int, str, bytes, bool, np.dtype, type)):
        return type(v), v
    if callable(v) or hasattr(v, "__dict__"):
        return type(v), id(v)
    return UNKNOWN


def unusual(tree: Any) -> bool:
    """Whether some container in a nest is of a class that may hold more than what is in it, or cannot be built of that."""
    if not isinstance(tree, (dict, tuple, list)):
        return False
    usual = type(tree) in CONTAINERS or (hasattr(tree, "_fields") and not getattr(tree, "__dict__", None))
    return not usual or any(map(unusual, tree.values() if isinstance(tree, dict) else tree))


def structure(tree: Any) -> Any:
    """How a nest of arguments is built, without its leaves."""
    if isinstance(tree, dict):
        return type(tree), tuple((type(k), k) for k in tree), tuple(map(structure, tree.values()))
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(map(structure, tree))
    return tree is None


def value_of(argument: Any) -> Any:
    """The array of a tensor, or what is given itself."""
    return argument.value if isinstance(argument, Tensor) else argument


def owners_of(leaves: list) -> list[int]:
    """Which memory each of the arguments that are arrays lies in."""
    values = [value_of(v) for v in leaves if isinstance(v, (Tensor, np.ndarray))]
    return [id(v) if v.__class__ is np.ndarray and v.base is None else id(memory(v)) for v in values]


def sharing(owners: list[int]) -> bool:
    """Whether arguments share memory with each other."""
    return len(set(owners)) < len(owners)
