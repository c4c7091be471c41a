"""Whether many places hold the very objects that they held: asked in a few native calls, since every replay asks.

A no is no answer yet: another object may be as good, and whoever asks looks closely then.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import Any

END = object()  # so that a container that has grown, or shrunk, is another


class Attributes:
    """Attributes of objects: rows of a name, the objects that have it, and what it stands for in each."""

    def __init__(self, *rows: tuple[str, list, list]):
        self.getters, self.objects = [attrgetter(name) for name, *_ in rows], [objects for _, objects, _ in rows]
        self.held = list(chain.from_iterable(held for *_, held in rows))

    def __call__(self) -> bool:
        try:
            return all(map(is_, chain.from_iterable(map(map, self.getters, self.objects)), self.held))
        except (AttributeError, ValueError):  # ValueError: a variable that is empty now
            return False


class Names:
    """Names in dicts, some of which are not there, and rows of objects: lists, and the keys and values of dicts."""

    def __init__(self, places: Iterable[tuple[Any, str]], rows: Iterable[Iterable]):
        dicts: dict[int, tuple[Any, list, list]] = {}
        for place, name in places:
            dicts.setdefault(id(place), (place, [], []))[1 if name in place else 2].append(name)
        self.there = [(itemgetter(*names, names[0]), place) for place, names, _ in dicts.values() if names]
        self.missing = [(place.keys(), names) for place, _, names in dicts.values() if names]
        self.rows = [*rows, (END,)]
        self.held = list(chain.from_iterable([*(get(place) for get, place in self.there), *self.rows]))

    def __call__(self) -> bool:
        try:
            named = [get(place) for get, place in self.there]
        except KeyError:
            return False
        there = all(map(is_, chain.from_iterable(chain(named, self.rows)), self.held))
        return there and (not self.missing or all(keys.isdisjoint(names) for keys, names in self.missing))


class Looks:
    """What has to be looked at: names in dicts, and rows of objects.  `live` names may stand for something else."""

    def __init__(self, live: set[tuple[int, Any]]):
        self.live = live
        self.places: list[tuple[Any, str]] = []
        self.rows: list[Iterable] = []
        self.whole: set[int] = set()

    def name(self, place: Any, name: str) -> None:
        """A name in a dict; nothing is said twice of those that are looked at as a whole."""
        if id(place) not in self.whole and (id(place), name) not in self.live:
            self.places.append((place, name))

    def all_of(self, place: Any) -> None:
        """All that a dict holds."""
        self.rows.append(place)
        if any((id(place), name) in self.live for name in place):
            self.places += [(place, name) for name in place if (id(place), name) not in self.live]
        else:
            self.rows.append(place.values())
        self.whole.add(id(place))

    def inside(self, value: Any, depth: int) -> None:
        """What a container and those in it hold."""
        if not depth or not isinstance(value, (dict, list, tuple, set)) or id(value) in self.whole:
            return
        if isinstance(value, dict):
            self.all_of(value)
        elif not isinstance(value, tuple):  # which is what it was
            self.rows.append(value)
            self.whole.add(id(value))
        for v in list(value.values() if isinstance(value, dict) else value):
            self.inside(v, depth - 1)

    def quick(self) -> Names:
        """The answer to all of it."""
        return Names(self.places, self.rows)
