"""The tape: nodes that record calls, leaves where gradients arrive, modes, and the clock that orders them.

A node points to the nodes before it and to the arrays its rules will read, never to tensors: there are no reference
cycles, so a graph is freed the moment nobody holds its result.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from typing import Any, NamedTuple

import numpy as np

from .errors import module_path, require_callable, users_frame
from .op import Op, Plan, Traced

clock = itertools.count(1)
user_code = False  # whether a graph may hold hooks or backward functions of the user's, which must run just once


class Leaf:
    """Where gradients arrive: a tensor the user asked gradients for.  It holds the gradient, not the tensor."""

    __slots__ = ("grad", "hooks", "after", "shape", "dtype", "over", "born", "__weakref__")
    parents, index, name = (), 0, "leaf"

    def __init__(self, shape: tuple, dtype: np.dtype):
        self.grad = self.hooks = self.after = None
        self.shape, self.dtype = shape, dtype
        self.born = next(clock)
        self.over = False  # whether it stood in for an argument of a transform whose function has returned


class Node:
    """A recorded call: its plan, the nodes its gradients go to, and what its rules will read."""

    __slots__ = ("plan", "parents", "env", "shape", "dtype", "index", "hooks", "picks", "__weakref__")

    def __init__(self, plan: Plan, parents: list, env: Sequence | None, shape: tuple | None, dtype: np.dtype | None):
        self.plan = plan
        self.parents = parents
        self.env = env
        self.shape = shape
        self.dtype = dtype
        self.index = next(clock)
        self.hooks = None
        self.picks: dict[int, weakref.ref] | None = None  # of a node with several results, the pick of each

    @property
    def name(self) -> str:
        return self.plan.op.name

    @property
    def next_functions(self) -> tuple:
        """The nodes this one's gradients go to, as in PyTorch."""
        return tuple((p, 0) for p in self.parents)

    def __repr__(self):
        return f"<{self.name}>"


class Keep:
    """The last hook of a node whose gradient is kept: it adds what it is given to a leaf of the tensor's own."""

    __slots__ = ("leaf",)

    def __init__(self, leaf: Leaf):
        self.leaf = leaf


class Packed(Node):
    """A node whose saved arrays went through `saved_tensors_hooks`."""

    __slots__ = ("packed", "unpack")

    @property
    def env(self) -> Sequence | None:
        return self.packed and [self.taken(*p) for p in self.packed]

    @env.setter
    def env(self, value: Sequence | None) -> None:
        self.packed = value

    def taken(self, v: Any, shape: Any) -> Any:
        """What was packed: an array of a shape, a tuple of such, or something else that was left alone."""
        return tuple(self.taken(*p) for p in v) if shape is tuple else v if shape is None else self.unpack(v, shape)


class Pick:
    """One result of a node with several: it hands its cotangent to the node under its number."""

    __slots__ = ("parents", "k", "shape", "dtype", "index", "hooks", "__weakref__")

    def __init__(self, node: Node, k: int, shape: tuple, dtype: np.dtype):
        self.parents, self.k, self.shape, self.dtype = (node,), k, shape, dtype
        self.index, self.hooks = next(clock), None

    @classmethod
    def of(cls, node: Node, k: int, shape: tuple, dtype: np.dtype) -> Pick:
        """The one node of a result: all that flows to the result must meet there."""
        picks = node.picks = node.picks or {}
        known = picks.get(k)
        pick = known and known()
        if pick is None:
            pick = cls(node, k, shape, dtype)
            picks[k] = weakref.ref(pick)
        return pick

    name = property(lambda self: f"{self.parents[0].name}[{self.k}]")
    next_functions = Node.next_functions
    __repr__ = Node.__repr__


places: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()  # the user's line, in anomaly mode


# --- modes -----------------------------------------------------------------------------------------------------------


class Mode(NamedTuple):
    """How calls on tensors are treated in this thread: recorded or not, watched by whom, saved how."""

    grad: bool = True
    inference: bool = False
    observers: tuple[Callable, ...] = ()
    pack: tuple[Callable, Callable] | None = None
    anomaly: bool = False
    capture: Any = None  # who keeps all that is done, to do it again: then backward runs its rules on tensors, too


ORDINARY = Mode()


class _State(threading.local):
    mode: Mode | None = None  # None is ORDINARY, so that the usual case costs one look
    again = False  # whether a checkpoint runs its function once more: it must find all as it was the first time
    depth = 0  # of forward-mode and batching transforms around the code that runs
    generator: Any = None  # of this thread's random numbers, if not the default one
    numbers = (
        False  # whether what has no axes stands for a number, which += replaces: in functions that are given no tensors
    )
    mapped: tuple = ()  # of each vmap around the code that runs: its level, its size, what it says of randomness


state = _State()


everywhere: list[list] = []  # of hooks that all modules call: while there are any, compiled functions run as they are


def current() -> Mode:
    """The mode in force in this thread."""
    return state.mode or ORDINARY


NO_GRAD = Mode(grad=False)


def enter(grad: bool | None = None, **changes: Any) -> None:
    """Change the mode of this thread; what every step does is prepared."""
    before = state.mode
    if before is None and grad is not None and not changes:
        state.mode = None if grad else NO_GRAD
        return
    if grad is not None:
        changes["grad"] = grad
    mode = (before or ORDINARY)._replace(**changes)
    state.mode = None if mode == ORDINARY else mode


@contextmanager
def using(**changes) -> Iterator[None]:
    """Change the mode for a block."""
    before = state.mode
    enter(**changes)
    try:
        yield
    finally:
        state.mode = before


@contextmanager
def standing_for(given: list) -> Iterator[None]:
    """A block that runs a function of these on what stands for them: where none is a tensor, += is as it is for numbers."""
    before = state.numbers
    state.numbers = before or not any(
        isinstance(v, Traced) for v in given
    )  # inside such a function, others get stand-ins
    try:
        yield
    finally:
        state.numbers = before


class _Switch(ContextDecorator):
    """A change of mode that works as a context, as a decorator, and as a decorator without parentheses."""

    changes: dict[str, Any] = {}

    def __new__(cls, function: Callable | None = None):
        switch = super().__new__(cls)
        return switch(function) if callable(function) else switch

    def __call__(self, function: Any) -> Any:
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def steps(*args: Any, **options: Any) -> Iterator:
            iterator = function(*args, **options)
            while True:
                with type(self)():
                    try:
                        value = next(iterator)
                    except StopIteration as done:
                        return done.value
                yield value

        return steps

    def __enter__(self):
        self.before = state.mode
        enter(**self.changes)

    def __exit__(self, *exc):
        state.mode = self.before

    def _recreate_cm(self):
        return type(self)()


class no_grad(_Switch):
    """Compute without recording."""

    changes = {"grad": False}


class enable_grad(_Switch):
    """Record again inside `no_grad`."""

    changes = {"grad": True}


class inference_mode(_Switch):
    """Compute without recording and without keeping track of views: the results never take part in gradients."""

    changes = {"grad": False, "inference": True}


class set_grad_enabled(ContextDecorator):
    """Switch recording on or off at once; as a context, for a block."""

    def __init__(self, mode: bool):
        self.before, self.flag = state.mode, bool(mode)
        self.__enter__()

    def __call__(self, function: Any) -> Any:
        state.mode = self.before
        return super().__call__(function)

    def _recreate_cm(self):
        return type(self)(self.flag)

    def __enter__(self):
        enter(grad=self.flag)

    def __exit__(self, *exc):
        state.mode = self.before


def is_grad_enabled() -> bool:
    """Whether calls on tensors are recorded now."""
    return current().grad


def expect_user_code() -> None:
    """From now on, walks look for code of the user's before they start."""
    global user_code
    user_code = True


@contextmanager
def saved_tensors_hooks(pack: Callable, unpack: Callable) -> Iterator[None]:
    """Pass every array the tape keeps through `pack`, and through `unpack` when backward needs it."""
    for f in (pack, unpack):
        require_callable(f, "saved_tensors_hooks")
    expect_user_code()
    with using(pack=(pack, unpack)):
        yield


def observe(op: Op, args: tuple, params: dict, result: Any) -> None:
    """Tell whoever watches this thread what was called, on what, with what result."""
    for observer in state.mode.observers:
        observer(op, args, params, result)


def unwatched() -> Any:
    """A block of which nobody who watches is told: what is done in it once need not be done again."""
    return using(observers=(), capture=None)


def refuse_capture(what: str) -> None:
    """Something is done that a replay could not do again: whoever captures must know."""
    capture = current().capture
    if capture is not None:
        capture.refuse(what)


def live(place: dict, name: str, static: bool = False) -> Any:
    """The number place[name], as a tensor or a static parameter that captured code asks for anew: what schedules change."""
    capture = current().capture
    return place[name] if capture is None else (capture.setting if static else capture.number)(place, name)


# --- writes ----------------------------------------------------------------------------------------------------------

_writes: dict[int, list] = {}  # id of an array that owns its memory -> [weak reference, clock, count, where]
latest_write = 0


def memory(value: Any) -> Any:
    """The array that owns a value's memory."""
    if isinstance(value, Traced):
        return value.memory()
    while isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray):
        value = value.base
    return value


def mark_written(value: Any, where: str | None = None) -> None:
    """Note that a value's memory has just been changed, so that a backward that kept it can refuse."""
    owner = memory(value)
    if isinstance(owner, np.ndarray):
        mark_all([writes_of(owner)], where)


def writes_of(owner: np.ndarray) -> list:
    """What is noted of the writes to an array that owns its memory."""
    key = id(owner)
    entry = _writes.get(key)
    if entry is None:
        entry = _writes[key] = [weakref.ref(owner, lambda _: _writes.pop(key, None)), 0, 0, None]
    return entry


def mark_all(entries: list[list], where: str | None = None) -> None:
    """Note that all these have just been written to."""
    global latest_write
    latest_write = now = next(clock)
    if state.mode is not None and state.mode.capture is not None:
        state.mode.capture.written([entry[0]() for entry in entries])
    for entry in entries:
        entry[1] = now
        entry[2] += 1
        entry[3] = where


def write_after(value: Any, index: int) -> list | None:
    """The last write to a value's memory if it came after the clock stood at `index`."""
    entry = _writes.get(id(memory(value)))
    return entry if entry and entry[1] > index else None


def version(value: Any) -> int:
    """How often a value's memory has been changed in place."""
    entry = _writes.get(id(memory(value)))
    return entry[2] if entry else 0


def user_line() -> str:
    """The user's file, line and function from which the current call came."""
    frame, inside = users_frame(), module_path() if current().anomaly else ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}{inside}"
