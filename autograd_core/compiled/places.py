"""Places that hold something: what is compared of it, and attributes that are in no dict."""

from __future__ import annotations

import array
import collections
import contextvars
import ctypes
import functools
import gc
import queue
import random
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..tensor import Tensor
from .users import of_ours

MISSING = object()
DEEP = 24  # how far lists and dicts inside each other, and attributes of attributes, are followed
LOOKED_INTO = 1 << 18  # bytes of an array of NumPy's whose entries are compared
CONTAINERS = (list, tuple, dict, set, collections.deque)
PLAIN = (int, float, complex, str, bytes, bool, type(None))
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
SHARED = random._inst, np.random.mtrand._rand  # type: ignore[attr-defined]
OF_FUNCTIONS = "__code__", "__defaults__", "__kwdefaults__"
BUFFERS = (bytearray, array.array, memoryview, ctypes.Array, ctypes.Structure, ctypes.Union, ctypes.c_double.__base__)
REFERENCES = (weakref.ProxyType, weakref.CallableProxyType, weakref.ReferenceType)
VARYING = (
    contextvars.ContextVar,
    threading.local,
    queue.SimpleQueue,
    collections.abc.MappingView,
    *REFERENCES,
)  # hold now one object, now another


class Slots:
    """Attributes of an object that are in no dict, as if they were."""

    def __init__(self, owner: Any):
        self.owner = owner

    def get(self, name: str, default: Any = None) -> Any:
        """What stands under a name."""
        return getattr(self.owner, name, default) if name in self else default

    def __contains__(self, name: str) -> bool:
        return name in OF_FUNCTIONS or isinstance(getattr(type(self.owner), name, None), types.MemberDescriptorType)

    def __iter__(self) -> Iterator[str]:
        return (name for name in dir(type(self.owner)) if name in self and hasattr(self.owner, name))

    def values(self) -> list:
        """What stands there."""
        return [self.get(name) for name in self]


class Zeros:
    """Whether the numbers of a setting are zero that were, and no others: that may decide what is done."""

    def __init__(self, place: dict, name: str):
        self.place, self.name, self.seen = place, name, MISSING
        self.first = self.zero(place[name])

    @staticmethod
    def zero(value: Any) -> Any:
        """Which are."""
        return [not x for x in value] if isinstance(value, (tuple, list)) else not value

    def __call__(self) -> bool:
        value = self.place[self.name]
        if value is self.seen:
            return True
        same = bool(self.zero(value) == self.first)
        if same and lasting(value):
            self.seen = value
        return same


def lasting(value: Any) -> bool:
    """Whether a setting stays what it is as long as it is the same object."""
    return value.__class__ in (float, int, bool) or (value.__class__ is tuple and all(map(lasting, value)))


def equals(now: Any, value: Any) -> bool:
    """Whether a number or text is that which was there."""
    return now is value or (type(now) is type(value) and repr(now) == repr(value))


def held_in(place: Any, skip: set[str]) -> tuple:
    """The names in a dict, and the identities of what they stand for."""
    if skip:
        place = {n: None if n in skip else place.get(n) for n in place}
    return list(place), list(map(id, place.values()))


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


def owner_of(method: Any) -> list:
    """What a method is bound to."""
    owner = method.__self__
    return [] if owner is None or isinstance(owner, (types.ModuleType, type)) else [owner]


def target_of(proxy: Any) -> list:
    """What a weak proxy stands for."""
    try:
        return [proxy.__init__.__self__]
    except ReferenceError:
        return []


def attributes_of(value: Any) -> list:
    """The attributes of an object, if it has a dict of them."""
    return [vars(value)] if hasattr(value, "__dict__") else []


WITHIN: dict[type, Callable[[Any], list]] = {
    functools.partial: lambda p: [p.func, p.args, p.keywords],
    types.BuiltinMethodType: owner_of,
    types.MethodWrapperType: owner_of,
    types.MethodType: owner_of,
    frozenset: list,
    np.ndarray: lambda a: list(a.flat) if a.dtype.hasobject else [],
    collections.abc.MappingView: list,
    types.MappingProxyType: gc.get_referents,
    contextvars.ContextVar: lambda v: [v.get(None)],
    weakref.ReferenceType: lambda r: [r()],
    weakref.ProxyType: target_of,
    weakref.CallableProxyType: target_of,
    threading.local: attributes_of,
    queue.Queue: attributes_of,
    queue.SimpleQueue: lambda q: [q.qsize()],
    collections.abc.Mapping: attributes_of,  # of Python's own library, or written after its manner
    collections.abc.Sequence: attributes_of,
}


@functools.lru_cache(1 << 10)
def way_into(kind: type) -> Callable[[Any], list] | None:
    """How to find what counts of objects of a class."""
    plain = issubclass(kind, (Tensor, *CONTAINERS, *PLAIN, *BUFFERS)) or of_ours(kind)
    return None if plain else next((way for base, way in WITHIN.items() if issubclass(kind, base)), None)


def within(value: Any) -> list:
    """What counts of an object that is no container: of partial functions, methods of objects, mappings, references."""
    way = way_into(type(value))
    return way(value) if way else []


def looked_into(value: Any) -> bool:
    """Whether more than its identity counts of a value."""
    return isinstance(value, (*CONTAINERS, *BUFFERS, np.ndarray)) or bool(within(value))


def entries(value: Any) -> list:
    """What a container holds, or what counts of another object."""
    if isinstance(value, CONTAINERS):
        keys = [k for k in value if not isinstance(k, PLAIN)] if isinstance(value, dict) else []
        return [*(value.values() if isinstance(value, dict) else value), *keys]
    return within(value)


def runs_on(value: Any, depth: int = DEEP, seen: set[int] | None = None) -> bool:
    """Whether a value is an iterator, holds one, or is a method of one: something that each run takes the next of."""
    seen = set() if seen is None else seen
    if isinstance(value, (Tensor, *PLAIN)) or id(value) in seen or not depth:
        return False
    if hasattr(type(value), "__next__") and not isinstance(value, REFERENCES[:2]):
        return True
    seen.add(id(value))
    return any(runs_on(v, depth - 1, seen) for v in entries(value))


def bytes_of(value: Any) -> bytes | None:
    """The entries of an array, if there are not too many."""
    view = value if isinstance(value, np.ndarray) else memoryview(value)
    return view.tobytes() if view.nbytes <= LOOKED_INTO else None


def snapshot(value: Any, live: set, depth: int = DEEP, seen: set[int] | None = None) -> Any:
    """What is compared of a value: numbers and texts themselves, all else by identity, containers by what they hold."""
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, Tensor):
        return id(value), id(value.value)
    seen = set() if seen is None else seen
    if id(value) in seen or not depth:
        return id(value)
    if isinstance(value, CONTAINERS):
        seen.add(id(value))
    if isinstance(value, dict):
        items = list(value.items())  # some grow while they are looked at: caches of the interpreter's own
        keep = [(k, v) for k, v in items if not (isinstance(k, str) and (id(value), k) in live)]
        return [(k if isinstance(k, PLAIN) else id(k), snapshot(v, live, depth - 1, seen)) for k, v in keep]
    if isinstance(value, set):
        return {v if isinstance(v, PLAIN) else id(v) for v in value}
    if isinstance(value, (list, tuple, collections.deque)):
        return [snapshot(v, live, depth - 1, seen) for v in value]
    if isinstance(value, np.ndarray) and value.nbytes <= LOOKED_INTO and not value.dtype.hasobject:
        return id(value), value.shape, value.strides, value.dtype, value.tobytes()
    if isinstance(value, BUFFERS):
        return id(value), bytes_of(value)
    if generator := draws(value):
        return id(value), state_of(generator)
    if found := within(value):
        seen.add(id(value))
        name = getattr(value, "__name__", "") if isinstance(value, types.BuiltinMethodType) else ""
        return type(value), name, [snapshot(v, live, depth - 1, seen) for v in found]
    return id(value)


def draws(value: Any) -> Any:
    """The generator of random numbers that a value is, or is a method of."""
    value = getattr(value, "__self__", value) if callable(value) else value
    return value if isinstance(value, GENERATORS) and not isinstance(value, random.SystemRandom) else None


def state_of(generator: Any) -> Any:
    """What a generator of random numbers draws next, to be compared."""
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    if isinstance(generator, random.Random):
        return generator.getstate()
    name, key, *rest = generator.get_state()
    return name, key.tobytes(), *rest
