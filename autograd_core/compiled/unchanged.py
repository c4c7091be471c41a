"""Whether many places hold the very objects that they held: asked in one native call, since every replay asks.

A no is no answer yet: another object may be as good, and whoever asks looks closely then.
"""

from __future__ import annotations

import operator
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..kernels._jit import COMPILED
from ..kernels.objects import ATTRIBUTE, DICT, ENTRY, ITEM, LIST, NAME, held
from .places import BUFFERS, CONTAINERS, LOOKED_INTO, MISSING, VARYING, Slots, bytes_of, entries, within

ANY = object()


class Look(NamedTuple):
    """One place, what of it is asked for, and what is there; of dicts and lists as a whole, the names and all they hold."""

    how: int
    place: Any
    what: Any
    value: Any

    def rows(self) -> Iterable[tuple[int, int, int, int]]:
        """How it is told to `held`."""
        address = lambda v: 0 if v is ANY or v is MISSING else id(v)
        if self.how in (ATTRIBUTE, NAME):
            yield self.how, id(self.place), id(self.what), address(self.value)
            return
        yield self.how, id(self.place), len(self.value), 0
        if self.how == DICT:
            yield from ((ITEM, 0, id(n), address(v)) for n, v in zip(self.what, self.value))
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
        rows = [row for look in self.looks for row in look.rows()] if COMPILED else []
        self.table, self.room = np.array(rows, np.int64).reshape(-1, 4), np.empty(3, np.int64)
        self.given = self.table.ctypes.data, len(rows), self.room.ctypes.data

    def __call__(self) -> bool:
        found = held(*self.given) if COMPILED else all(look.holds() for look in self.looks)
        return bool(found) and all(other() for other in self.others)

    def __add__(self, more: Unchanged) -> Unchanged:
        return Unchanged(self.looks + more.looks, self.others + more.others)


def attributes(*rows: tuple[str, Iterable, Iterable]) -> Unchanged:
    """Of attributes: rows of a name, the objects that have it, and what it stands for in each."""
    return Unchanged(Look(ATTRIBUTE, o, name, v) for name, objects, values in rows for o, v in zip(objects, values))


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
