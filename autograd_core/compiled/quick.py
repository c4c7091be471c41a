"""The usual call of a replay: one native call looks at all that decides, and copies what is given to where it is read.

What is asked is what the long way asks: whether somebody watches, the forms of the arguments and whose memory they lie in,
what the run read of its surroundings, who holds the gradients of the last call.  A no is no answer yet, for another object
may be as good: then the long way is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import c_int64
from sys import getrefcount
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels._jit import COMPILED
from ..kernels._products import HEAD
from ..kernels.objects import (
    APART,
    ARGUMENT,
    ATTRIBUTE,
    BITS,
    COPY,
    HELD,
    KEEP,
    LIST,
    LOW,
    NAME,
    OTHER,
    OWNER,
    WITHIN,
    held,
)
from ..tape import Leaf, everywhere, state
from ..tensor import Tensor
from .signature import value_of
from .unchanged import Look, attribute, slot_of, table_of

AXES, LENGTHS, TYPE, FLAGS = HEAD + 1, HEAD + 2, HEAD + 5, HEAD + 6  # words of an array's record
IN_ORDER = 0x101  # NumPy's flags of entries that lie in order and are aligned
SLOTS = [slot_of(Tensor, name) for name in ("value", "node", "origin")]
GRAD = slot_of(Leaf, "grad")


def counted() -> bool:
    """Whether the first word of an object says how many hold it, one less than Python says of those in a list."""
    probes: list = [object(), [], np.empty(2)]
    probes.append(probes[1])
    counts = [c_int64.from_address(address).value & LOW for address in map(id, probes)]
    return counts == [n - 1 for n in map(getrefcount, probes)]


class Quick:
    """The look before a replay, for arguments of the forms of some that it was called with."""

    def __init__(self, replay: Any, leaves: list):
        self.replay, self.count = replay, len(leaves)
        self.objects = [value_of(v).dtype for v in leaves]  # held, since the table has addresses of such
        self.looks = [*surroundings(), *replay.same.looks, *replay.intact.looks]
        more = [*holders(replay), *arguments(leaves, replay.owners), *copies(replay, leaves)]
        self.table, self.room = table_of(self.looks, more, len(leaves))
        self.given = self.table.ctypes.data, len(self.table), self.room.ctypes.data
        there = [lambda: replay.has_gradients()] if replay.there else []
        self.others = [*replay.same.others, *there, *replay.settings]

    def __call__(self, leaves: tuple) -> bool:
        """Whether these can be replayed now; then their entries are where they are read."""
        if not held(*self.given, id(leaves)):
            return False
        for other in self.others:
            if not other():
                return False
        if self.replay.lent:
            self.replay.point(leaves)
        return True


def suits(replay: Any, leaves: list) -> bool:
    """Whether calls on such arguments can be looked at in one go."""
    if not COUNTED or replay.back.linked or replay.kept or replay.changing or replay.returned_to:
        return False
    whole = all(place.flags.c_contiguous for _, place in replay.inputs)
    return whole and all(type(v) in (Tensor, np.ndarray) and usual(v) for v in leaves)


def usual(v: Any) -> bool:
    """Whether an argument is what most are: no view, without a history, in order."""
    if isinstance(v, Tensor) and (v.node is not None or v.origin is not None):
        return False
    a = value_of(v)
    return type(a) is np.ndarray and bool(a.flags.c_contiguous and a.flags.aligned)


def surroundings() -> Iterator[Look]:
    """What `watched` and `signature` ask besides the arguments."""
    yield from (Look(ATTRIBUTE, state, name, attribute(state, name)) for name in ("depth", "generator", "mode"))
    yield Look(NAME, vars(dtypes), "_default", dtypes._default)
    for hooks in (everywhere, *everywhere):
        yield Look(LIST, hooks, None, list(hooks))


def holders(replay: Any) -> Iterator[tuple]:
    """That nobody holds a gradient of the last call, but for the parameter itself."""
    counts = iter(replay.users)
    yield from ((HELD, id(v), id(v), n - 1) for v, n in zip(replay.holders, counts) if v is not None)
    for leaf, t, n in zip(replay.leaves, replay.handed, counts):
        yield HELD, id(t), id(leaf) + 8 * GRAD, n - 1


def arguments(leaves: list, owners: set[int]) -> Iterator[tuple]:
    """That there are so many arguments of these forms, in memory of their own."""
    for k, v in enumerate(leaves):
        a = value_of(v)
        yield from array_in(k, v)
        yield BITS, -1, TYPE, id(a.dtype)
        yield BITS, LOW, AXES, a.ndim
        yield BITS, IN_ORDER, FLAGS, IN_ORDER
        yield OWNER, id(np.ndarray), 0, 0
        yield KEEP, 0, k, 0
        yield from ((APART, 0, j, 0) for j in range(k))
        yield from ((OTHER, owner, 0, 0) for owner in owners)
        yield from array_in(k, v)
        yield WITHIN, 0, LENGTHS, 0
        yield from ((BITS, -1, i, n) for i, n in enumerate(a.shape))


def array_in(k: int, v: Any) -> Iterator[tuple]:
    """The array of an argument."""
    yield ARGUMENT, id(type(v)), k, 0
    if isinstance(v, Tensor):
        value, *rest = SLOTS
        yield from ((BITS, -1, slot, id(None)) for slot in rest)
        yield WITHIN, 0, value, 0
        yield BITS, -1, HEAD - 1, id(np.ndarray)


def copies(replay: Any, leaves: list) -> Iterator[tuple]:
    """What is copied, once all is well."""
    for k, place in replay.inputs:
        yield from array_in(k, leaves[k])
        yield COPY, place.ctypes.data, place.nbytes, 0


COUNTED = COMPILED and None not in (*SLOTS, GRAD) and counted()
