"""What a run read of the Python around it, and whether it is still so: attributes, globals, closed-over variables.

While a run is captured, every Python function of the user's that is called is noted, and of it the names that it reads:
in its globals, in the variables it closes over, and as attributes of what it is given, of what these hold and so on.
Their values at the end of the run are what a replay needs.  A place whose value is another at the end than when it was
first read is one that the function writes, and a replay would not write it again.  What the functions that it calls close
over is found from their code, which is remembered from one run to the next, and read before the next begins.
"""

from __future__ import annotations

import builtins
import functools
import operator
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..tape import refuse_capture
from ..tensor import Tensor
from .codes import function_of, functions, named_in, told, within
from .kept import kept
from .places import (
    CONTAINERS,
    DEEP,
    MISSING,
    OF_FUNCTIONS,
    PLAIN,
    SHARED,
    Slots,
    as_before,
    contents,
    draws,
    entries,
    equals,
    filled,
    held_in,
    looked_into,
    runs_on,
    snapshot,
    state_of,
)  # fmt: skip
from .unchanged import Looks, Unchanged, attributes
from .users import ABSENT, EVERY, HERE, followed, of_ours, of_user, ours, parameters

MANY = 2000  # entries of a container that are looked into
LASTING = (types.FunctionType, types.BuiltinFunctionType, type, types.ModuleType)  # in modules of our own
DRAWS = ("random", "_random", "numpy.random", "numpy.random.mtrand", "numpy.random._generator", "secrets")
CLOCKS = {
    "time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "clock_gettime",
    "now", "today", "utcnow", "gmtime", "localtime", "ctime", "strftime",
}  # fmt: skip
ENTROPY = {("posix", "urandom"), ("nt", "urandom"), ("_uuid", "generate_time_safe")}
FILES = {"open", "stat", "listdir", "scandir"}
PATHS = ("pathlib", "genericpath", "posixpath", "ntpath")
FAR = FILES | {name for _, name in ENTROPY}  # which Python's own library calls for the user
GETTERS = (operator.attrgetter, operator.methodcaller)


class Guard(NamedTuple):
    """Whether what was read is as it was: as a rule the very same objects, else as good ones."""

    quick: Unchanged
    checks: list[Callable[[], bool]]

    def __call__(self) -> bool:
        return self.quick() or all(check() for check in self.checks)


class Readings:
    """What was read: places, which are a dict and a name in it."""

    def __init__(self, fn: Any = None, known: set[int] | None = None) -> None:
        self.places: dict[tuple[int, str], tuple[Any, str]] = {}
        self.first: dict[tuple[int, str], Any] = {}  # what was there when it was first read
        self.values: dict[tuple[int, str], Any] = {}
        self.whole: dict[int, dict] = {}  # dicts of attributes that were looked at as a whole
        self.cells: dict[int, tuple[Any, str]] = {}
        self.slots: dict[int, Slots] = {}
        self.seen: set[tuple] = set()
        self.roots: list[Any] = []  # what functions were given, and found
        self.names: set[str] = set()  # that any of them reads
        # code that closes over something, which runs before this have called, and of which a run may make functions
        self.known = set() if known is None else known
        self.codes: set[int] = set()  # the same, of this run
        self.inner: set[int] = set()  # the code of functions that this run may have made
        self.before: dict[int, types.FunctionType] = {}  # functions from before the run that it has called
        self.states = [state_of(g) for g in SHARED]
        self.own = fn.__code__ if isinstance(fn, types.FunctionType) else None
        self.made: dict[int, Any] = {}  # objects that are made in the run
        self.kinds: dict[tuple, tuple] = {}  # objects whose class, attributes as a whole or line of classes must stay
        self.going: set[int] = set()  # iterators that functions close over, from before the run
        self.remembered: list[Any] = []  # functions whose results are
        self.times = 0  # that the code of the function itself was called
        self.fn = fn

    def begin(self) -> None:
        """What is there before the run: what the function closes over, and what those that it has called before do."""
        if self.own:
            self.function(self.fn, named_in(self.own))
        elif isinstance(self.fn, functools.partial):
            self.note({"partial": self.fn}, "partial")
        self.closures(self.known)

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        """What Python tells of every call."""
        code = frame.f_code
        if event == "c_call" and (of_user(code.co_filename) or argument.__name__ in FAR):
            self.native(frame, argument)
        if event != "call" or not of_user(code.co_filename):
            return
        if code.co_filename == "<string>" and code.co_name.startswith("__"):  # what Python makes of classes of records
            return
        self.times += code is self.own
        known, names = frame.f_locals, named_in(code)
        if code.co_name == "__init__":
            self.making(known.get(code.co_varnames[0]) if code.co_argcount else None)
        given = [known.get(name) for name in (*parameters(code), *code.co_freevars)]
        self.inner.update(map(id, within(code)))
        if set(code.co_freevars) - {"__class__"} and not ours(code.co_filename):
            self.closing(frame)
        for name in code.co_freevars if self.going else ():
            if id(known.get(name)) in self.going:
                refuse_iterator(known[name], name)
        if (id(code), *map(id, given)) in self.seen:
            return
        self.seen.add((id(code), *map(id, given)))
        self.globals(frame.f_globals, names)
        for value in given:
            self.found(value, names)

    def closing(self, frame: Any) -> None:
        """A function that closes over something.

        If the code around it has not run yet it is from before the run, and so are its variables.  Else it may be that the
        run has made it, which can be told only of functions that are there before the next run.
        """
        code = frame.f_code
        if id(code) in self.inner or not told():
            if code is not self.own or self.times > 1:
                self.codes.add(id(code))
        elif id(fn := function_of(frame)) not in self.before:
            self.before[id(fn)] = fn
            self.function(fn, named_in(code))

    def native(self, frame: Any, called: Any) -> None:
        """A call of a function that is compiled from C: some give something else to each run."""
        owner, told, user = getattr(called, "__self__", None), getattr(called, "__name__", ""), asks(frame)
        home = getattr(called, "__module__", None) or (owner if isinstance(owner, type) else type(owner)).__module__
        if (home, told) in ENTROPY and by_user(frame) or user and home in ("time", "datetime") and told in CLOCKS:
            refuse_capture(f"{told} gives something else each time, and a replay what it gave in this run")
        elif user and home in DRAWS:
            refuse_capture(f"{told} draws random numbers that no replay would draw again")
        elif told in FILES and home in ("io", "_io", "posix", "nt") and asks(past_paths(frame)):
            refuse_capture(f"{told} reads or writes files, which no replay would do again: do that outside")

    def making(self, value: Any) -> None:
        """An object that the run makes, which may change it; what it is given from outside is found all the same."""
        if value is not None and not getattr(value, "__dict__", None) and not isinstance(value, type):
            self.made[id(value)] = value

    def globals(self, place: dict, names: tuple[str, ...]) -> None:
        """What a piece of code reads of its module, of those it imports, and of the environment."""
        self.names.update(names)
        if not {"environ", "environb", "getenv", "getenvb"}.isdisjoint(names):
            self.note(vars(os), "environ")
        for name in names:
            if name in place or (ABSENT in names and not hasattr(builtins, name)):
                self.note(place, name)
            if name in place:
                self.found(place[name], names)
            for module in (name, f"{place.get('__package__')}.{name}".rstrip(".")):
                file = getattr(sys.modules.get(module), "__dict__", {}).get("__file__") or "<"
                if of_user(file) and not ours(file):
                    self.found(sys.modules[module], names)

    def unrun(self, fn: Any) -> None:
        """A function that need not be called for its result, since that is remembered."""
        if isinstance(fn, types.FunctionType) and fn not in self.remembered and of_user(fn.__code__.co_filename):
            self.remembered.append(fn)
            names = named_in(fn.__code__)
            self.globals(fn.__globals__, names)
            self.function(fn, names)
            for name in names:
                self.unrun(fn.__globals__.get(name))

    def found(self, value: Any, names: tuple[str, ...]) -> None:
        """Something that a function can reach: what it reads of it is noted now, what others read of it at the end."""
        self.roots.append(value)
        self.inside(value, names)
        if isinstance(value, GETTERS):
            texts = [text for text in value.__reduce__()[1] if isinstance(text, str)]  # type: ignore[index]
            self.names.update(n for text in texts for n in text.split("."))
        if isinstance(value, functools._lru_cache_wrapper):
            self.unrun(value.__wrapped__)

    def reached(self) -> None:
        """What one function reads of what another has found: of objects that are returned, or properties."""
        names = tuple(sorted(self.names - {EVERY, ABSENT}))
        for value in self.roots:
            self.inside(value, names)
        self.roots = []

    def closures(self, codes: set[int]) -> None:
        """The variables that functions of some codes close over."""
        for fn in functions(codes):
            self.function(fn, named_in(fn.__code__))

    def function(self, fn: Any, names: tuple[str, ...]) -> None:
        """What a function closes over, and its defaults."""
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or ()):
            if filled(cell) and id(cell) not in self.cells:
                self.cells[id(cell)] = cell, name
                self.first[id(cell), ""] = snapshot(cell.cell_contents, set())
                if runs_on(cell.cell_contents):
                    self.going.add(id(cell.cell_contents))
                self.found(cell.cell_contents, names)
        for name in OF_FUNCTIONS:
            self.note(self.slots_of(fn), name)

    def slots_of(self, value: Any) -> Slots:
        """The attributes of an object that are in no dict, as if they were."""
        return self.slots.setdefault(id(value), Slots(value))

    def inside(self, value: Any, names: tuple[str, ...], depth: int = DEEP) -> None:
        """The attributes of a value that have one of these names, and theirs."""
        if not depth or isinstance(value, PLAIN) or (id(value), names) in self.seen:
            return
        self.seen.add((id(value), names))
        if isinstance(value, Tensor):
            for name in [n for n in getattr(value, "__dict__", None) or () if n in names or "vars" in names]:
                self.note(vars(value), name)
                self.inside(vars(value)[name], names, depth - 1)
            return
        for v in entries(value)[:MANY]:
            self.inside(v, names, depth - 1)
        if isinstance(value, CONTAINERS) and not hasattr(value, "__dict__"):
            return
        if isinstance(value, types.ModuleType) and not of_user(vars(value).get("__file__") or "<"):
            return
        attributes = getattr(value, "__dict__", None)
        if attributes is None and hasattr(type(value), "__slots__"):
            attributes = self.slots_of(value)
        if not isinstance(value, (types.FunctionType, types.ModuleType, type)) and not followed(type(value).__module__):
            return
        if isinstance(value, (types.FunctionType, type)) and of_ours(value):
            return
        if isinstance(value, types.FunctionType):
            for name in OF_FUNCTIONS:
                self.note(self.slots_of(value), name)
        if not isinstance(attributes, (dict, types.MappingProxyType, Slots)):
            return
        if id(value) in self.made:
            for name in names:
                self.inside(attributes.get(name), names, depth - 1)
            return
        self.kind(value)
        if EVERY in names:
            names = (*names, *(n for n in attributes if isinstance(n, str)))
        if "vars" in names or "__dict__" in names or is_module(value):
            self.whole[id(attributes)] = attributes  # type: ignore[assignment]
            for v in list(attributes.values())[:MANY]:
                if is_module(v) or isinstance(v, Tensor):
                    self.inside(v, names, depth - 1)
        for name in names:
            if name in attributes:
                self.note(attributes, name)
                self.inside(attributes.get(name), names, depth - 1)
            elif hasattr(type(value), "__slots__") and name in self.slots_of(value):
                self.note(self.slots_of(value), name)
                self.inside(getattr(value, name), names, depth - 1)
            elif not isinstance(value, types.ModuleType) and hasattr(type(value), name):
                self.note(attributes, name)  # of the class, until the object has one of its own
                self.of_class(type(value), name)
            elif ABSENT in names:
                self.note(attributes, name)
                self.note(vars(type(value)), name)

    def kind(self, value: Any) -> None:
        """What an object is: its class, and which dict its attributes are; of a class, those that it is made of."""
        kind = value if isinstance(value, type) else type(value)
        self.kinds[id(kind), "__mro__"] = kind, "__mro__", kind.__mro__
        for name in ("__class__", "__dict__") if kind is not value else ():
            if hasattr(value, name):
                self.kinds[id(value), name] = value, name, getattr(value, name)

    def of_class(self, cls: type, name: str) -> None:
        """An attribute of a class of the user's."""
        for base in cls.__mro__:
            if name in vars(base):
                if not of_ours(base) and base.__module__ != "builtins":
                    self.note(vars(base), name)
                return

    def note(self, place: Any, name: str) -> None:
        """One place."""
        key = id(place), name
        if key not in self.places and not (ours(place.get("__file__") or "") and isinstance(place.get(name), LASTING)):
            self.places[key] = place, name
            self.values[key] = value = place.get(name, MISSING)
            refuse_iterator(value, name)
            self.first[key] = snapshot(value, set())

    def kept(self) -> list:
        """Places at which tensors were found, and others left for the next run."""
        found = [kept(place, name, self.values[k], place.get(name)) for k, (place, name) in self.places.items()]
        return [k for k in found if k is not None]

    def drawn(self) -> str | None:
        """What is wrong if random numbers were drawn from a generator that all share."""
        if self.states != [state_of(g) for g in SHARED]:
            return "random numbers are drawn from Python's or NumPy's own generator, which no replay would do again"
        drawn = [n for k, (p, n) in self.places.items() if draws(v := p.get(n)) and self.first[k] != snapshot(v, set())]
        return f"random numbers are drawn from {drawn[0]}, which no replay would do again" if drawn else None

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
        new = self.codes - self.known  # others have been found before the run, so what it made itself is left out
        self.closures(new)
        self.known |= new
        self.reached()
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
        kinds = attributes(*((name, [value], [now]) for value, name, now in self.kinds.values()))
        return Unchanged(looks.found, looks.others) + attributes(("cell_contents", cells, contents)) + kinds

    def checks(self, live: set[tuple[int, Any]]) -> list[Callable[[], bool]]:
        """Whether everything is as good as what was there: the same objects, or equal numbers, texts and containers."""
        found: list[Callable[[], bool]] = []
        same, equal = [], []
        for place, name in self.places.values():
            value = place.get(name, MISSING)
            if (id(place), name) in live:
                continue
            if looked_into(value):
                found.append(as_before(lambda place=place, name=name: place.get(name, MISSING), live))
            elif isinstance(value, PLAIN):
                equal.append((place, name, value))
            else:
                same.append((place, name, value))
        found += [as_before(functools.partial(contents, cell), live) for cell, _ in self.cells.values()]
        keys = [(d, skip := {n for n in d if (id(d), n) in live}, held_in(d, skip)) for d in self.whole.values()]
        found.append(lambda: all(place.get(name, MISSING) is value for place, name, value in same))
        found.append(lambda: all(equals(place.get(name, MISSING), value) for place, name, value in equal))
        kinds = list(self.kinds.values())
        found.append(lambda: all(getattr(value, name, None) is now for value, name, now in kinds))
        return [*found, lambda: all(held_in(d, skip) == held for d, skip, held in keys)]


def is_module(value: Any) -> bool:
    """Whether an object is a module, which lists those inside it; its class is asked, for it may answer to any name."""
    return callable(getattr(type(value), "named_modules", None))


def asks(frame: Any) -> bool:
    """Whether a call is made in code of the user's."""
    return of_user(frame.f_code.co_filename)


def past_paths(frame: Any) -> Any:
    """Who calls, if not what Python itself has to read of paths."""
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in PATHS:
        frame = frame.f_back
    return frame


def by_user(frame: Any) -> bool:
    """Whether a call is made for code of the user's, by what it calls of Python's own library."""
    while frame is not None and not asks(frame) and not frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return frame is not None and asks(frame)


def refuse_iterator(value: Any, name: str) -> None:
    """Say that what stands under a name gives something else to each run."""
    if runs_on(value):
        refuse_capture(
            f"{name} is an iterator, or holds one, of which each run takes what comes next: take that outside, and give it "
            "as an argument"
        )


@contextmanager
def reading(readings: Readings) -> Iterator[None]:
    """Note what Python functions of the user's read."""
    readings.begin()
    before = sys.getprofile()
    sys.setprofile(readings)
    try:
        yield
    finally:
        if before is None or callable(before):
            sys.setprofile(before)
        else:
            before.enable()  # cProfile's
