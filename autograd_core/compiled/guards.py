"""What a run read of the Python around it, and whether it is still so: attributes, globals, closed-over variables.

While a run is captured, every Python function of the user's that is called is noted, and of it the names that it reads:
in its globals, in the variables it closes over, and as attributes of what it is given, of what these hold and so on.
Their values at the end of the run are what a replay needs.  A place whose value is another at the end than when it was
first read is one that the function writes, and a replay would not write it again.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..tape import refuse_capture
from ..tensor import Tensor
from .kept import kept
from .unchanged import MISSING, Looks, Unchanged, attributes

HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
STANDARD = os.path.dirname(os.__file__) + os.sep
OURS = ("nn", "optim")  # packages beside this one, whose classes and functions stay as they are
DEEP = 6  # how far lists and dicts inside each other, and attributes of attributes, are followed
MANY = 2000  # entries of a container that are looked into
HOLDERS = ("types", "argparse", "collections", "builtins", "functools", "enum", "configparser")
LASTING = (types.FunctionType, types.BuiltinFunctionType, type, types.ModuleType)  # in modules of our own
PLAIN = (int, float, complex, str, bytes, bool, type(None))
DRAWS = ("random", "_random", "numpy.random", "numpy.random.mtrand", "numpy.random._generator", "secrets")


class Guard(NamedTuple):
    """Whether what was read is as it was: as a rule the very same objects, else as good ones."""

    quick: Unchanged
    checks: list[Callable[[], bool]]

    def __call__(self) -> bool:
        return self.quick() or all(check() for check in self.checks)


class Readings:
    """What was read: places, which are a dict and a name in it."""

    def __init__(self, fn: Any = None) -> None:
        self.places: dict[tuple[int, str], tuple[Any, str]] = {}
        self.first: dict[tuple[int, str], Any] = {}  # what was there when it was first read
        self.values: dict[tuple[int, str], Any] = {}
        self.whole: dict[int, dict] = {}  # dicts of attributes that were looked at as a whole
        self.cells: dict[int, tuple[Any, str]] = {}
        self.seen: set[tuple] = set()
        self.codes: set = set()  # of functions that close over something
        self.own = fn.__code__ if isinstance(fn, types.FunctionType) else None
        if self.own:
            self.function(fn, named_in(self.own))

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        """What Python tells of every call."""
        code = frame.f_code
        if event == "c_call" and of_user(code.co_filename):
            home = getattr(argument, "__module__", None) or type(getattr(argument, "__self__", None)).__module__
            if home in DRAWS:
                refuse_capture(
                    f"{getattr(argument, '__name__', home)} draws random numbers that no replay would draw again"
                )
        if event != "call" or not of_user(code.co_filename):
            return
        known = frame.f_locals
        first = known.get(code.co_varnames[0]) if code.co_argcount else None
        if (code, id(first)) in self.seen:
            return
        self.seen.add((code, id(first)))
        names = named_in(code)
        for name in names:
            if name in frame.f_globals:
                self.note(frame.f_globals, name)
                self.inside(frame.f_globals[name], names)
        if code.co_freevars and code is not self.own:
            self.codes.add(code)
        for name in (*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *code.co_freevars):
            self.inside(known.get(name), names)

    def closures(self) -> None:
        """The variables that functions close over which were called on the way: found in one look at all objects."""
        for fn in gc.get_referrers(*self.codes) if self.codes else ():
            if isinstance(fn, types.FunctionType):
                self.function(fn, named_in(fn.__code__))
        self.codes = set()

    def function(self, fn: Any, names: tuple[str, ...]) -> None:
        """What a function closes over, and its defaults."""
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or ()):
            if filled(cell) and id(cell) not in self.cells:
                self.cells[id(cell)] = cell, name
                self.first[id(cell), ""] = snapshot(cell.cell_contents, set())
                self.inside(cell.cell_contents, names)

    def inside(self, value: Any, names: tuple[str, ...], depth: int = DEEP) -> None:
        """The attributes of a value that have one of these names, and theirs."""
        if not depth or isinstance(value, (Tensor, *PLAIN)) or (id(value), names) in self.seen:
            return
        self.seen.add((id(value), names))
        if isinstance(value, (list, tuple, dict)):
            for v in list(value.values() if isinstance(value, dict) else value)[:MANY]:
                self.inside(v, names, depth - 1)
            return
        if isinstance(value, types.ModuleType) and not of_user(getattr(value, "__file__", None) or "<"):
            return
        if isinstance(value, functools.partial):
            for v in (value.func, value.args, value.keywords):
                self.inside(v, names, depth - 1)
            return
        attributes = getattr(value, "__dict__", None)
        if not isinstance(value, (types.FunctionType, types.ModuleType, type)) and not followed(type(value).__module__):
            return
        if isinstance(value, (types.FunctionType, type)) and value.__module__.partition(".")[0] in (
            *OURS,
            "autograd_core",
        ):
            return
        if not isinstance(attributes, (dict, types.MappingProxyType)):
            return
        if "vars" in names or "__dict__" in names or callable(getattr(value, "named_modules", None)):
            self.whole[id(attributes)] = attributes  # type: ignore[assignment]
            for v in list(attributes.values())[:MANY]:
                if callable(getattr(v, "named_modules", None)):
                    self.inside(v, names, depth - 1)
        for name in names:
            if name in attributes:
                self.note(attributes, name)
                self.inside(attributes[name], names, depth - 1)
            elif not isinstance(value, types.ModuleType) and hasattr(type(value), name):
                self.note(attributes, name)  # of the class, until the object has one of its own
                self.of_class(type(value), name)

    def of_class(self, cls: type, name: str) -> None:
        """An attribute of a class of the user's."""
        for base in cls.__mro__:
            if name in vars(base):
                if base.__module__.partition(".")[0] not in (*OURS, "autograd_core", "builtins"):
                    self.note(vars(base), name)
                return

    def note(self, place: Any, name: str) -> None:
        """One place."""
        key = id(place), name
        if key not in self.places and not (ours(place.get("__file__") or "") and isinstance(place.get(name), LASTING)):
            self.places[key] = place, name
            self.values[key] = value = place.get(name, MISSING)
            self.first[key] = snapshot(value, set())

    def kept(self) -> list:
        """Places at which tensors were found, and others left for the next run."""
        found = [kept(place, name, self.values[k], place.get(name)) for k, (place, name) in self.places.items()]
        return [k for k in found if k is not None]

    def written(self, live: set[tuple[int, Any]]) -> str | None:
        """The name of a place that the run has changed, if there is one."""
        for key, (place, name) in self.places.items():
            if key not in live and self.first[key] != snapshot(place.get(name, MISSING), set()):
                return name
        for key, (cell, name) in self.cells.items():
            if self.first[key, ""] != snapshot(cell.cell_contents, set()):
                return name
        return None

    def guard(self, live: set[tuple[int, Any]]) -> Guard:
        """What says whether all is as it is now; `live` numbers may change."""
        self.closures()
        return Guard(self.looks(live), self.checks(live))

    def looks(self, live: set[tuple[int, Any]]) -> Unchanged:
        """Whether all objects are the very same, which is so as a rule."""
        looks, cells = Looks(live), [cell for cell, _ in self.cells.values()]
        contents = [cell.cell_contents for cell in cells]
        for place in self.whole.values():
            looks.all_of(place)
        for key, (place, name) in self.places.items():
            looks.name(place, name)
            if key not in live:
                looks.inside(place.get(name), DEEP)
        for value in contents:
            looks.inside(value, DEEP)
        return Unchanged(looks.found, looks.others) + attributes(("cell_contents", cells, contents))

    def checks(self, live: set[tuple[int, Any]]) -> list[Callable[[], bool]]:
        """Whether everything is as good as what was there: the same objects, or equal numbers, texts and containers."""
        found: list[Callable[[], bool]] = []
        same, equal = [], []
        for place, name in self.places.values():
            value = place.get(name, MISSING)
            if (id(place), name) in live:
                continue
            if isinstance(value, (list, tuple, dict, set)):
                found.append(as_before(lambda place=place, name=name: place.get(name, MISSING), live))
            elif isinstance(value, PLAIN):
                equal.append((place, name, value))
            else:
                same.append((place, name, value))
        found += [as_before(functools.partial(contents, cell), live) for cell, _ in self.cells.values()]
        keys = [(d, skip := {n for n in d if (id(d), n) in live}, held_in(d, skip)) for d in self.whole.values()]
        found.append(lambda: all(place.get(name, MISSING) is value for place, name, value in same))
        found.append(lambda: all(equals(place.get(name, MISSING), value) for place, name, value in equal))
        return [*found, lambda: all(held_in(d, skip) == held for d, skip, held in keys)]


def equals(now: Any, value: Any) -> bool:
    """Whether a number or text is that which was there."""
    return now is value or (type(now) is type(value) and repr(now) == repr(value))


def held_in(place: dict, skip: set[str]) -> tuple:
    """The names in a dict, and the identities of what they stand for."""
    if skip:
        place = {n: None if n in skip else v for n, v in place.items()}
    return list(place), list(map(id, place.values()))


@functools.cache
def named_in(code: Any) -> tuple[str, ...]:
    """The names that a piece of code may read as globals or attributes: those it names, and texts that could be names."""
    texts = [c for c in code.co_consts if isinstance(c, str) and c.isidentifier() and len(c) < 60]
    inner = [n for c in code.co_consts if isinstance(c, types.CodeType) for n in named_in(c)]
    computed = ["vars"] if "getattr" in code.co_names and not ours(code.co_filename) else []  # by names of any kind
    return tuple(dict.fromkeys([*code.co_names, *texts, *inner, *computed]))


@functools.cache
def ours(file: str) -> bool:
    """Whether a file is of one of our packages."""
    root = os.path.dirname(HERE.rstrip(os.sep))
    return file.startswith(tuple(os.path.join(root, name) + os.sep for name in (*OURS, "autograd_core")))


@functools.cache
def of_user(file: str) -> bool:
    """Whether a file is neither ours, nor Python's own, nor NumPy's."""
    parts = file.split(os.sep)
    if file.startswith(("<replay", "<frozen", "<string>", "<loop", "<nest", "<elementwise")) or file == "<":
        return False
    if file.startswith(HERE):
        return False
    if "site-packages" in parts:
        return not {"numpy", "numba", "llvmlite", "scipy", "torch", "_pytest", "pluggy", "hypothesis"} & set(parts)
    return not file.startswith(STANDARD)


@functools.cache
def followed(module: str) -> bool:
    """Whether objects of a class from this module may hold settings of the user's."""
    if module in HOLDERS:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return module == "__main__" or (file is not None and of_user(file))


def filled(cell: Any) -> bool:
    """Whether a cell holds anything yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def contents(cell: Any) -> Any:
    """What a variable holds that a function closes over."""
    return cell.cell_contents if filled(cell) else MISSING


def as_before(get: Callable[[], Any], live: set) -> Callable[[], bool]:
    """Whether a place holds what is equal to what it holds now."""
    before = snapshot(get(), live)
    return lambda: bool(snapshot(get(), live) == before)


def snapshot(value: Any, live: set, depth: int = DEEP) -> Any:
    """What is compared of a value: numbers and texts themselves, all else by identity, containers by what they hold."""
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, Tensor):
        return id(value), id(value.value)
    if depth and isinstance(value, dict):
        items = list(value.items())  # some grow while they are looked at: caches of the interpreter's own
        keep = [(k, v) for k, v in items if not (isinstance(k, str) and (id(value), k) in live)]
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
