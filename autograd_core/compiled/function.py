"""`compile`: a function that is watched until two runs did the same, and from then on replayed."""

from __future__ import annotations

import copy
import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..errors import CaptureError
from ..op import Traced
from ..tape import memory, state
from ..tensor import Tensor
from ..tree import flatten
from .capture import Capture, capturing
from .compare import difference
from .guards import Readings, reading
from .replay import Replay

TRIES = 4  # runs that may differ from the one before, as the first does that sets up state
UNKNOWN = "an argument whose value cannot be told"
EAGER = object()  # stands for a replay where there can be none


class CacheInfo(NamedTuple):
    """How calls of a compiled function were answered."""

    replays: int
    captures: int
    eager: int
    size: int
    maximum: int


class Compiled:
    """A function with what was captured of it."""

    def __init__(self, fn: Callable, fallback: bool, cache_size: int):
        functools.update_wrapper(self, fn, updated=())
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.fn, self.fallback, self.cache_size = fn, fallback, cache_size
        self.entries: dict[tuple, Any] = {}
        self.counts: Counter = Counter()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten((args, kwargs)) if kwargs else flatten(args)
        if watched() or any(isinstance(v, Traced) and (v.level or unsuited(v)) for v in leaves) or sharing(leaves):
            return self.as_it_is(args, kwargs)
        key = (tuple(map(kind_of, leaves)), structure(args), structure(kwargs), state.mode, dtypes.get_default_dtype())
        entry = self.entries.get(key)
        if entry is EAGER or UNKNOWN in key[0]:
            return self.as_it_is(args, kwargs)
        if entry is not None and entry.ready and entry.valid():
            if entry.meets(leaves):
                return self.as_it_is(args, kwargs)
            if entry.lock.acquire(blocking=False):
                try:
                    self.counts["replays"] += 1
                    return entry(leaves)
                finally:
                    entry.lock.release()
            return self.as_it_is(args, kwargs)  # another thread is in it
        try:
            return self.captured(key, leaves, lambda given: self.called(build(given), bool(kwargs)), entry)
        except CaptureError:
            self.entries.pop(key, None)
            raise

    def as_it_is(self, args: tuple, kwargs: dict) -> Any:
        """The function itself."""
        self.counts["eager"] += 1
        return self.fn(*args, **kwargs)

    def called(self, given: Any, named: bool) -> Any:
        """The function on arguments as they were flattened."""
        return self.fn(*given[0], **given[1]) if named else self.fn(*given)

    def captured(self, key: tuple, leaves: list, call: Callable, before: Replay | None) -> Any:
        """Run the function, watched; what it does is replayed once two runs did the same."""
        self.counts["captures"] += 1
        capture, readings = Capture(self.fallback), Readings(self.fn)
        given = [capture.standing_for(v) if isinstance(v, (Tensor, np.ndarray)) else v for v in leaves]
        with capturing(capture), reading(readings):
            result = call(given)
        capture.settled()
        entry = Replay(capture, given, leaves, result, readings.guards(capture.places))
        answer = entry.first(result, leaves, given)
        again = before is not None and not before.ready
        other = again and (difference(before.program, entry.program) or before.other_results(entry))
        entry.tries = before.tries + 1 if other else 1
        written = readings.written(capture.places) if again and not other else None
        if other and before.tries >= TRIES:
            capture.refuse(f"{self.__name__} does something else each time: {other}")
        elif written:
            capture.refuse(f"{self.__name__} changes {written}, which a replay would not do again")
        if entry.differentiable or capture.refused:
            entry = EAGER
        elif again and not other:
            entry.prepare()
        self.keep(key, entry)
        return answer

    def keep(self, key: tuple, entry: Any) -> None:
        """Remember an entry, as the last."""
        self.entries.pop(key, None)
        self.entries[key] = entry
        while len(self.entries) > self.cache_size:
            del self.entries[next(iter(self.entries))]

    def cache_info(self) -> CacheInfo:
        """How often calls were replayed, captured, or run as they are, and how many replays are kept."""
        n = self.counts
        return CacheInfo(n["replays"], n["captures"], n["eager"], len(self.entries), self.cache_size)

    def cache_clear(self) -> None:
        """Forget all replays."""
        self.entries.clear()

    def replays(self) -> list[Replay]:
        """What is ready to be replayed."""
        return [e for e in self.entries.values() if e is not EAGER and e.ready]

    def memory_plan(self) -> str:
        """Who lives where in the memory of each replay."""
        return "\n\n".join(r.memory.described() for r in self.replays()) or "nothing has been captured twice yet"

    def source(self) -> str:
        """The source of each replay."""
        return "\n".join(r.source.text for r in self.replays()) or "nothing has been captured twice yet"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __deepcopy__(self, memo: dict) -> Compiled:
        return Compiled(copy.deepcopy(self.fn, memo), self.fallback, self.cache_size)

    def __reduce__(self) -> tuple:
        return Compiled, (self.fn, self.fallback, self.cache_size)

    def __repr__(self) -> str:
        return f"<compiled {self.__name__}>"


def watched() -> bool:
    """Whether somebody watches what runs here, or is about to differentiate it: then it runs as it is."""
    mode = state.mode
    return bool(state.depth) or (mode is not None and bool(mode.observers or mode.pack or mode.anomaly))


def kind_of(v: Any) -> Any:
    """What of an argument decides which replay fits: shape and type of arrays, the value of all else."""
    if isinstance(v, Tensor):
        return v.value.shape, v.value.dtype, v.node is None
    if isinstance(v, np.ndarray):
        return v.shape, v.dtype
    if isinstance(v, (float, complex)):
        return type(v), repr(v)  # -0.0 is not 0.0
    if isinstance(v, (int, str, bytes, bool, np.dtype, type)):
        return type(v), v
    if callable(v) or hasattr(v, "__dict__"):
        return type(v), id(v)
    return UNKNOWN


def sharing(leaves: list) -> bool:
    """Whether arguments share memory with each other."""
    if len(leaves) < 2:
        return False
    owners = [
        id(memory(v.value if isinstance(v, Tensor) else v)) for v in leaves if isinstance(v, (Tensor, np.ndarray))
    ]
    return len(set(owners)) < len(owners)


def unsuited(t: Any) -> bool:
    """Whether a tensor has what would not stay in the function: a history, or a gradient that would be added to."""
    return isinstance(t, Tensor) and t.node is not None and (not t.is_leaf or t.leaf.grad is not None)


def structure(tree: Any) -> Any:
    """How a nest of arguments is built, without its leaves."""
    if isinstance(tree, dict):
        return dict, tuple(tree), tuple(map(structure, tree.values()))
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(map(structure, tree))
    return tree is None
