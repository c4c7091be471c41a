"""What a run read of the Python around it, and whether it is still so: attributes, globals, closed-over variables.

While a run is captured, every Python function of the user's that is called is noted, and of it the names that it reads
from its globals and from the attributes of its arguments.  Their values at the end of the run are what a replay needs.
"""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..tensor import Tensor

HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
STANDARD = os.path.dirname(os.__file__) + os.sep
MISSING = object()
DEEP = 4  # how far lists and dicts inside each other are compared
PLAIN = (int, float, complex, str, bytes, bool, type(None))
FIXED = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, types.MethodType, property)


class Readings:
    """What was read: places, which are a dict and a name in it."""

    def __init__(self):
        self.places: dict[tuple[int, str], tuple[dict, str]] = {}
        self.whole: dict[int, dict] = {}  # dicts of attributes that were looked at as a whole
        self.seen: set[tuple] = set()

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        """What Python tells of every call."""
        code = frame.f_code
        if event != "call" or not of_user(code.co_filename):
            return
        known = frame.f_locals
        first = known.get(code.co_varnames[0]) if code.co_argcount else None
        if (code, id(first)) in self.seen:
            return
        self.seen.add((code, id(first)))
        for name in code.co_names:
            value = frame.f_globals.get(name, MISSING)
            if value is not MISSING and not isinstance(value, FIXED):
                self.note(frame.f_globals, name)
                self.inside(value, code.co_names)
        for name in (*code.co_varnames[: code.co_argcount], *code.co_freevars):
            self.inside(known.get(name), code.co_names)

    def inside(self, value: Any, names: tuple[str, ...], depth: int = 3) -> None:
        """The attributes of a value that have one of these names, and theirs."""
        attributes = getattr(value, "__dict__", None)
        if not isinstance(attributes, dict) or isinstance(value, (Tensor, *FIXED)) or not depth:
            return
        if "vars" in names or "__dict__" in names:
            self.whole[id(attributes)] = attributes
        for name in names:
            if name in attributes:
                self.note(attributes, name)
                self.inside(attributes[name], names, depth - 1)
            elif not isinstance(getattr(type(value), name, FIXED[0]), (*FIXED, types.MemberDescriptorType)):
                self.note(attributes, name)  # of the class, until the object has one of its own

    def note(self, place: dict, name: str) -> None:
        """One place."""
        self.places[id(place), name] = place, name

    def closure(self, fn: Callable) -> None:
        """The variables that a function closes over."""
        self.cells = [(c, fn) for c in getattr(fn, "__closure__", None) or ()]

    def guards(self, fn: Callable, live: set[tuple[int, Any]]) -> list[Callable[[], bool]]:
        """Functions that say whether all is as it is now; `live` numbers may change."""
        found: list[Callable[[], bool]] = []
        same, equal = [], []
        for place, name in self.places.values():
            value = place.get(name, MISSING)
            if (id(place), name) in live:
                continue
            if isinstance(value, (list, tuple, dict, set)):
                found.append(as_before(place, name, live))
            elif isinstance(value, PLAIN):
                equal.append((place, name, value))
            else:
                same.append((place, name, value))
        cells = [(c, c.cell_contents) for c in getattr(fn, "__closure__", None) or () if filled(c)]
        keys = [(d, list(d), list(map(id, d.values()))) for d in self.whole.values()]

        def quick() -> bool:
            for place, name, value in same:
                if place.get(name, MISSING) is not value:
                    return False
            for place, name, value in equal:
                now = place.get(name, MISSING)
                if now is not value and (type(now) is not type(value) or now != value):
                    return False
            return all(filled(c) and c.cell_contents is v for c, v in cells)

        def wholes() -> bool:
            return all(list(d) == names and list(map(id, d.values())) == ids for d, names, ids in keys)

        return [quick, *([wholes] if keys else []), *found]


@functools.cache
def of_user(file: str) -> bool:
    """Whether a file is neither ours, nor Python's own, nor NumPy's."""
    parts = file.split(os.sep)
    return not file.startswith((HERE, "<")) and (
        "site-packages" in parts and "numpy" not in parts or not file.startswith(STANDARD)
    )


def filled(cell: Any) -> bool:
    """Whether a cell holds anything yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def as_before(place: dict, name: str, live: set) -> Callable[[], bool]:
    """Whether a container holds what it holds now: the same objects, as a rule, or else what is equal."""
    first = place[name]
    before, parts = snapshot(first, live), list(containers(first, DEEP))

    def holds() -> bool:
        if place.get(name, MISSING) is first:
            for part, ids in parts:
                if list(map(id, part.values() if isinstance(part, dict) else part)) != ids:
                    break
            else:
                return True
        return snapshot(place.get(name, MISSING), live) == before

    return holds


def containers(value: Any, depth: int) -> Iterator[tuple[Any, list[int]]]:
    """A container and those inside it, with the identities of what they hold."""
    if depth and isinstance(value, (dict, list, tuple, set)):
        held = list(value.values()) if isinstance(value, dict) else value
        yield value, list(map(id, held))
        for v in held:
            yield from containers(v, depth - 1)


def snapshot(value: Any, live: set, depth: int = DEEP) -> Any:
    """What is compared of a value: numbers and texts themselves, all else by identity, containers by what they hold."""
    if isinstance(value, PLAIN):
        return type(value), value
    if isinstance(value, Tensor):
        return id(value), id(value.value)
    if depth and isinstance(value, dict):
        keep = [(k, v) for k, v in value.items() if not (isinstance(k, str) and (id(value), k) in live)]
        return [(k if isinstance(k, PLAIN) else id(k), snapshot(v, live, depth - 1)) for k, v in keep]
    if isinstance(value, set):
        return {v if isinstance(v, PLAIN) else id(v) for v in value}
    if depth and isinstance(value, (list, tuple)):
        return [snapshot(v, live, depth - 1) for v in value]
    return id(value)


@contextmanager
def reading(readings: Readings) -> Iterator[None]:
    """Note what Python functions of the user's read."""
    before = sys.getprofile()
    sys.setprofile(readings)
    try:
        yield
    finally:
        sys.setprofile(before)
