"""Places that hold something: what is compared of it, and attributes that are in no dict."""

from __future__ import annotations

import collections
import random
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..tensor import Tensor

MISSING = object()
DEEP = 6  # how far lists and dicts inside each other, and attributes of attributes, are followed
LOOKED_INTO = 1 << 18  # bytes of an array of NumPy's whose entries are compared
CONTAINERS = (list, tuple, dict, set, collections.deque)
PLAIN = (int, float, complex, str, bytes, bool, type(None))
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
SHARED = random._inst, np.random.mtrand._rand  # type: ignore[attr-defined]
OF_FUNCTIONS = "__code__", "__defaults__", "__kwdefaults__"


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
    if depth and isinstance(value, (list, tuple, collections.deque)):
        return [snapshot(v, live, depth - 1) for v in value]
    if isinstance(value, np.ndarray) and value.nbytes <= LOOKED_INTO:
        return id(value), value.shape, value.strides, value.dtype, value.tobytes()
    return id(value), state_of(generator) if (generator := draws(value)) else None


def draws(value: Any) -> Any:
    """The generator of random numbers that a value is, or is a method of."""
    value = getattr(value, "__self__", value) if callable(value) else value
    return value if isinstance(value, GENERATORS) else None


def state_of(generator: Any) -> Any:
    """What a generator of random numbers draws next, to be compared."""
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    if isinstance(generator, random.Random):
        return generator.getstate()
    name, key, *rest = generator.get_state()
    return name, key.tobytes(), *rest
