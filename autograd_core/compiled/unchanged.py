"""Whether many places hold the very objects that they held: asked in one native call, since every replay asks.

A no is no answer yet: another object may be as good, and whoever asks looks closely then.
"""

from __future__ import annotations

import functools
import operator
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from ctypes import c_int64
from typing import Any, NamedTuple

import numpy as np

from ..kernels._jit import COMPILED
from ..kernels.objects import ATTRIBUTE, DICT, ENTRY, ITEM, LIST, LOOKED, NAME, VERSION, WORD, held
from ..tape import Leaf
from .places import BUFFERS, CONTAINERS, LOOKED_INTO, MISSING, VARYING, Slots, bytes_of, entries, within
from .users import of_ours

ANY = object()


def words_of(value: Any, count: int) -> list[int]:
    """The first words of an object as it lies in memory."""
    return list((c_int64 * count).from_address(id(value)))


@functools.cache
def slot_of(kind: type, name: str) -> int | None:
    """Which word of objects of a class of ours holds an attribute; None if none does."""
    slot = getattr(kind, name, None)
    if not isinstance(slot, types.MemberDescriptorType) or not of_ours(home := slot.__objclass__):
        return None
    probe, mark = object.__new__(home), object()
    slot.__set__(probe, mark)
    found = [k for k, word in enumerate(words_of(probe, home.__basicsize__ // 8)) if word == id(mark)]
    return found[0] if len(found) == 1 and kind.__getattribute__ is object.__getattribute__ else None


def versioned() -> bool:
    """Whether Python gives a dict another version after each change, as it does until 3.12."""
    changing: dict = {}
    versions = set()
    for _ in range(3):
        changing["a"] = object()
        versions.add(words_of(changing, VERSION + 1)[VERSION])
    del changing["a"]
    versions.add(words_of(changing, VERSION + 1)[VERSION])
    return sys.implementation.name == "cpython" and sys.version_info < (3, 13) and len(versions) == 4


VERSIONED = COMPILED and versioned()


class Look(NamedTuple):
    """One place, what of it is asked for, and what is there; of dicts and lists as a whole, the names and all they hold."""

    how: int
    place: Any
    what: Any
    value: Any

    def rows(self, before: int) -> Iterable[tuple[int, int, int, int]]:
        """How it is told to `held`, after so many rows."""
        address = lambda v: 0 if v is ANY or v is MISSING else id(v)
        if self.how == ATTRIBUTE and (slot := slot_of(type(self.place), self.what)) is not None:
            yield WORD, id(self.place), slot, address(self.value)
            return
        if self.how in (ATTRIBUTE, NAME):
            yield self.how, id(self.place), id(self.what), address(self.value)
            return
        yield self.how, id(self.place), len(self.value), 0
        if self.how == DICT:
            yield from ((ITEM, 0, id(n), address(v)) for n, v in zip(self.what, self.value))
            yield from [(LOOKED, id(self.place), before, 0)] * VERSIONED
        else:
            yield from ((ENTRY, id(self.place), k, id(v)) for k, v in enumerate(self.value))

    def holds(self) -> bool:
        """The same in Python."""
        if self.how == ATTRIBUTE:
            return attribute(self.place, self.what) is self.value
        if self.how == NAME:
            return self.place.get(self.what, MISSING) is self.value
        now, names = (self.place.values(), list(self.place)) if self.how == DICT else (self.place, None)
        same = all(a is b or b is ANY for a, b in zip(now, self.value))
        return same and len(now) == len(self.value) and names == self.what


def attribute(owner: Any, name: str) -> Any:
    """An attribute, `MISSING` if there is none; the variable of a cell may be empty."""
    try:
        return getattr(owner, name)
    except (AttributeError, ValueError):
        return MISSING


class Unchanged:
    """Whether a number of places hold what they held when this was made."""

    def __init__(self, looks: Iterable[Look], others: Iterable[Callable[[], bool]] = ()):
        self.looks, self.others = list(looks), list(others)
        self.table, self.room = table_of(self.looks if COMPILED else [])
        self.given = self.table.ctypes.data, len(self.table), self.room.ctypes.data, 0

    def __call__(self) -> bool:
        found = held(*self.given) if COMPILED else all(look.holds() for look in self.looks)
        return bool(found) and all(other() for other in self.others)

    def __add__(self, more: Unchanged) -> Unchanged:
        return Unchanged(self.looks + more.looks, self.others + more.others)


def table_of(looks: Iterable[Look], more: Iterable[tuple[int, int, int, int]] = (), arguments: int = 0) -> tuple:
    """What `held` goes through, and words for it to work in."""
    rows: list[tuple[int, int, int, int]] = []
    for look in looks:
        rows += look.rows(len(rows))
    return np.array([*rows, *more], np.int64).reshape(-1, 4), np.empty(3 + arguments, np.int64)


def attributes(*rows: tuple[str, Iterable, Iterable]) -> Unchanged:
    """Of attributes: rows of a name, the objects that have it, and what it stands for in each."""
    return Unchanged(Look(ATTRIBUTE, o, name, v) for name, objects, values in rows for o, v in zip(objects, values))


def outside(seen: list[tuple], before: list[tuple]) -> Unchanged:
    """Whether tensors, with value and node, have these and their hooks, and leaves their gradients."""
    tensors, values, nodes = map(list, zip(*seen)) if seen else ([], [], [])
    hooked = [node for node in nodes if node is not None]
    leaves = [node for node in hooked if isinstance(node, Leaf)]
    return attributes(
        ("value", tensors, values),
        ("node", tensors, nodes),
        ("hooks", hooked, [node.hooks for node in hooked]),
        ("after", leaves, [leaf.after for leaf in leaves]),
        ("grad", [leaf for leaf, _ in before], [g for _, g in before]),
    )


class Looks:
    """What has to be looked at: names in dicts, and containers.  `live` names may stand for something else."""

    def __init__(self, live: set[tuple[int, Any]]):
        self.live = live
        self.found: list[Look] = []
        self.others: list[Callable[[], bool]] = []  # of what is neither a dict nor a list
        self.whole: set[int] = set()

    def name(self, place: Any, name: str) -> None:
        """A name in a dict; nothing is said twice of those that are looked at as a whole."""
        if id(place) in self.whole or (id(place), name) in self.live:
            return
        value = place.get(name, MISSING)
        look = Look(NAME, place, name, value)
        if isinstance(place, dict):
            self.found.append(look)
        elif isinstance(place, Slots) and value is not MISSING:
            self.found.append(Look(ATTRIBUTE, place.owner, name, value))
        else:
            self.others.append(look.holds)

    def all_of(self, place: Any) -> None:
        """All that a dict holds."""
        if isinstance(place, Slots):
            for name in place:
                self.name(place, name)
            return
        values = [ANY if (id(place), name) in self.live else v for name, v in place.items()]
        look = Look(DICT, place, list(place), values)
        if isinstance(place, dict):
            self.found.append(look)
        else:
            self.others.append(look.holds)
        self.whole.add(id(place))

    def inside(self, value: Any, depth: int) -> None:
        """What a container and those in it hold."""
        if isinstance(value, np.ndarray) and value.nbytes <= LOOKED_INTO and id(value) not in self.whole:
            if not value.dtype.hasobject:
                self.whole.add(id(value))
            form = value.shape, value.strides, value.tobytes()
            self.others.append(lambda: (value.shape, value.strides, value.tobytes()) == form)
        if isinstance(value, BUFFERS) and (form := bytes_of(value)) is not None and id(value) not in self.whole:
            self.whole.add(id(value))
            self.others.append(lambda: bytes_of(value) == form)
        if not depth or id(value) in self.whole or not (isinstance(value, CONTAINERS) or within(value)):
            return
        if isinstance(value, dict):
            self.all_of(value)
        elif isinstance(value, list):
            self.found.append(Look(LIST, value, None, list(value)))
        elif isinstance(value, (set, deque)):
            self.others.append(Look(LIST, value, None, list(value)).holds)
        elif isinstance(value, VARYING):
            held = within(value)
            self.others.append(lambda: len(now := within(value)) == len(held) and all(map(operator.is_, now, held)))
        if isinstance(value, OrderedDict):  # its order is not that of the dict inside it
            names = list(value)
            self.others.append(lambda: list(value) == names)
        self.whole.add(id(value))
        for v in entries(value):
            self.inside(v, depth - 1)
