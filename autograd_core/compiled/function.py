"""`compile`: a function that is watched until two runs did the same, and from then on replayed."""

from __future__ import annotations

import copy
import functools
from collections import Counter
from collections.abc import Callable
from operator import is_
from typing import Any, NamedTuple

from ..errors import CaptureError
from ..tape import Leaf, everywhere, memory, refuse_capture, state
from ..tensor import Tensor
from ..tree import flatten
from .back import Undone
from .capture import Capture, capturing
from .entries import Entries
from .explain import debugged, table
from .guards import Readings, reading
from .kept import Slope, forms_of
from .replay import TRIES, Replay, write_back
from .signature import owners_of, sharing, signature

NOTHING = "nothing has been captured twice yet"


class CacheInfo(NamedTuple):
    """How calls of a compiled function were answered."""

    replays: int
    captures: int
    eager: int
    size: int
    maximum: int


class Compiled:
    """A function with what was captured of it."""

    def __init__(self, fn: Callable, **options: Any):
        functools.update_wrapper(self, fn, updated=())
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.fn, self.options = fn, options
        self.entries = Entries(options["cache_size"])
        self.counts: Counter = Counter()
        self.closures: set[int] = set()  # code that runs have called
        self.last: Replay | None = None  # what was replayed last

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        last = self.last
        if last is not None and not kwargs and (lock := last.lock).acquire(blocking=False):
            try:
                if (quick := last.quick) is not None and len(args) == quick.count and quick(args):
                    self.entries.vain = 0
                    result = last.again(args)
                    self.counts["replays"] += 1
                    return result
            except Undone:
                pass
            finally:
                lock.release()
        return self.answered(args, kwargs)

    def answered(self, args: tuple, kwargs: dict) -> Any:
        """A call, however unusual."""
        if watched():
            return self.as_it_is(args, kwargs)
        leaves, build, form = found = signature(args, kwargs)
        owners = owners_of(leaves)
        if found.unknown or sharing(owners):
            return self.as_it_is(args, kwargs)
        key = self.entries.key(form, leaves)
        for entry in (kinds := self.entries.kinds.get(key, ())):
            if entry.hopeless:
                self.entries.keep(key, entry)
                return self.as_it_is(args, kwargs)
            if entry.ready and not entry.back.stale:
                every = entry.with_kept(leaves)
                if every is not None and entry.valid():
                    self.entries.first(key, entry)
                    if not entry.takes(every, owners):
                        return self.as_it_is(args, kwargs)
                    flat = not kwargs and len(args) == len(leaves) and all(map(is_, args, leaves))
                    try:
                        return self.replayed(entry, every, flat and not self.entries.deciding)
                    except Undone:
                        pass
                    return self.as_it_is(args, kwargs)  # raises the same, unless the function handles it
        if not self.entries.worthwhile(key, self.__name__):
            return self.as_it_is(args, kwargs)
        call = functools.partial(called, self.fn, build, bool(kwargs))
        try:
            return self.captured(form, leaves, call, kinds)
        except CaptureError:
            self.entries.drop(key)
            raise

    def replayed(self, entry: Replay, leaves: list, usual: bool) -> Any:
        """A replay, whose lock this thread has; `usual` are calls on nothing but what is in a row, whose values do not matter."""
        try:
            result = entry(leaves, self.__name__)
            self.counts["replays"] += 1
            if usual:
                entry.quicken(leaves)
            self.last = entry
        finally:
            entry.lock.release()
        if not entry.explained:
            self.tell(entry)
        return result

    def as_it_is(self, args: tuple, kwargs: dict) -> Any:
        """The function itself."""
        self.counts["eager"] += 1
        return self.fn(*args, **kwargs)

    def captured(self, form: tuple, leaves: list, call: Callable, kinds: tuple) -> Any:
        """Run the function, watched; what it does is replayed once two runs did the same."""
        self.last = None
        self.counts["captures"] += 1
        pending = [e for e in kinds if not e.ready]
        capture = Capture(self.options["fallback"], [e.met for e in pending])
        readings = Readings(self.fn, self.closures)
        given = [capture.standing_for(v, k) for k, v in enumerate(leaves)]
        had = [k for k, v in enumerate(leaves) if isinstance(v, Tensor) and v.leaf and v.leaf.grad is not None]
        try:
            with capturing(capture), reading(readings):
                result = call(given)
        except BaseException:
            write_back(capture, given, leaves)
            raise
        capture.settled()
        if drawn := readings.drawn():
            capture.refuse(drawn)
        count = len(given)
        places, found, left = adopted(capture, readings, count)
        self.entries.decided_by(form, capture.decided(given + found, count))
        given, leaves, result = given + found, leaves + found, (result, left)
        entry = Replay(capture, given, leaves, call, result, readings.guard(capture.places), places)
        answer = entry.first(leaves, self.__name__)
        if any(k in had for _, k, _ in entry.gradients):
            return answer  # it was added to, which is another thing to do
        pending = [e for e in pending if not e.ready]
        before = next((e for e in pending if not e.differs(entry)), pending[0] if pending else None)
        entry.follows(kinds[0] if kinds else None)
        if self.compare(entry, before, readings, any(e.ready for e in kinds)):
            self.entries.keep(self.entries.key(form, leaves), entry)
        return answer

    def compare(self, entry: Replay, before: Replay | None, readings: Readings, others: bool) -> bool:
        """Whether to keep an entry, now that it is known what the run before did; `others` are ready for such calls."""
        capture, other = entry.capture, before and before.differs(entry)
        written = readings.written(capture.places) if before else None
        again = before and other and (written or before.guard())  # or somebody else has changed something
        entry.tries = before.tries + 1 if before and again else 1
        if other and entry.tries > TRIES:
            capture.refuse(f"{self.__name__} does something else each time: {other}")
        elif written and not other:
            if others:  # as when a state begins anew, which is left to the function itself
                return False
            capture.refuse(
                f"{self.__name__} changes {written}, which a replay would not do again; tensors that it leaves for the next "
                "call, without history, in an attribute or a global of their own are followed"
            )
        if before and not other and not entry.hopeless:
            entry.agrees(before)
        return True

    def cache_info(self) -> CacheInfo:
        """How often calls were replayed, captured, or run as they are, and how many replays are kept."""
        n = self.counts
        return CacheInfo(n["replays"], n["captures"], n["eager"], len(self.entries), self.options["cache_size"])

    def cache_clear(self) -> None:
        """Forget all replays."""
        self.last = None
        self.entries = Entries(self.options["cache_size"])

    def replays(self) -> list[Replay]:
        """What is ready to be replayed."""
        return self.entries.replays()

    def memory_plan(self) -> str:
        """Who lives where in the memory of each replay."""
        return "\n\n".join(p.memory.described() for r in self.replays() for p in r.parts()) or NOTHING

    def source(self) -> str:
        """The source of each replay."""
        return "\n".join(p.source.text for r in self.replays() for p in r.parts()) or NOTHING

    def explain(self) -> str:
        """The kernels of each replay in a table: what is in them, bytes, operations, times, and the share of the peak."""
        return "\n\n".join(table(r, self.__name__) for r in self.replays()) or NOTHING

    def tell(self, entry: Replay) -> None:
        """Print of a new replay what was asked for."""
        entry.explained = True
        if self.options.get("explain"):
            print(table(entry, self.__name__))
        debugged(entry, self.__name__)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __deepcopy__(self, memo: dict) -> Compiled:
        return Compiled(copy.deepcopy(self.fn, memo), **self.options)

    def __reduce__(self) -> tuple:
        return again, (self.fn, self.options)

    def __getattr__(self, name: str) -> Any:
        if name == "fn":
            raise AttributeError(name)
        return getattr(self.fn, name)

    def __repr__(self) -> str:
        return f"<compiled {self.__name__}>"


def called(fn: Callable, build: Callable, named: bool, leaves: list) -> Any:
    """A function on arguments as they were flattened."""
    given = build(leaves)
    result = fn(*given[0], **given[1]) if named else fn(*given)
    after = flatten(given)[0]
    if len(after) != len(leaves) or any(a is not b for a, b in zip(after, leaves)):
        refuse_capture(
            "a list or dict that was given is changed, which no replay would do again: return what is new, or keep it in "
            "an attribute"
        )
    return result


def adopted(capture: Capture, readings: Readings, since: int) -> tuple[list, list, list]:
    """Places where a run found tensors and left others: these, what was there before, and after."""
    places: list = []
    found: list = []
    left: list = []
    argued = [node for node in capture.nodes.values() if isinstance(node, Leaf)]
    for kept, before, after in readings.kept():
        if capture.adopted(before, since + len(found)):
            places.append(kept)
            found += before
            left.append(after)
            capture.places.add((id(kept.place), kept.name))
    used = {id(a.block.owner) for c in capture.calls for a in (*c.reads, *c.changes)}
    for leaf, before in capture.leaves.values():
        if not isinstance(before, Tensor) or leaf in argued or id(memory(before.value)) not in used:
            continue
        if capture.adopted([before], since + len(found)):
            places.append(Slope(leaf, "grad", None, forms_of([before])))
            found.append(before)
            left.append([])
    return places, found, left


def again(fn: Callable, options: dict) -> Compiled:
    """What was compiled, after it has been pickled."""
    return Compiled(fn, **options)


def watched() -> bool:
    """Whether somebody watches what runs here, or all modules, is about to differentiate it, or lends it random numbers:
    then it runs as it is."""
    mode = state.mode
    return (
        bool(state.depth)
        or state.generator is not None
        or any(everywhere)
        or (mode is not None and bool(mode.observers or mode.pack or mode.anomaly))
    )
