"""`compile`: a function that is watched once for each kind of arguments, and from then on replayed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backward import ancestors
from ..errors import require_callable
from ..op import Traced
from ..tape import Leaf, is_grad_enabled, mark_written, state
from ..tensor import Tensor, at
from ..tree import flatten
from . import lines  # noqa: F401 - declares how calls are written
from .capture import UNSEEN, Capture, Refused, capturing
from .compare import difference
from .emit import emitted
from .guards import Readings, reading
from .memory import Memory
from .passes import improved
from .program import OUTER, Array

TRIES = 4  # runs that may differ from the one before, as the first does that sets up state
EAGER = object()  # stands for a replay where there can be none


def compile(
    fn: Callable | None = None, *, fallback: bool = False, cache_size: int = 8
) -> Any:
    """Watch a function run once for each kind of arguments, and replay what it did as planned, fused kernels.

    Everything that touches tensors is part of it: forward, backward, optimizer steps, running statistics, random draws.
    What cannot be replayed, such as a branch on data, is refused with its line, or runs as it is with `fallback=True`.
    """
    if fn is None:
        return lambda fn: compile(fn, fallback=fallback, cache_size=cache_size)
    require_callable(fn, "compile")
    return Compiled(fn, fallback, cache_size)


class Compiled:
    """A function with what was captured of it."""

    def __init__(self, fn: Callable, fallback: bool, cache_size: int):
        functools.update_wrapper(self, fn)
        self.fn, self.fallback, self.cache_size = fn, fallback, cache_size
        self.replays: dict[tuple, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten((args, kwargs)) if kwargs else flatten(args)
        if state.depth or (state.mode is not None and state.mode.capture is not None):
            return self.fn(*args, **kwargs)
        key = (tuple(map(kind_of, leaves)), is_grad_enabled(), tuple(kwargs))
        replay = self.replays.get(key)
        if replay is EAGER or any(isinstance(v, Traced) and (v.level or with_history(v)) for v in leaves):
            return self.fn(*args, **kwargs)
        if replay is not None and replay.confirmed and replay.valid():
            return replay(leaves)
        call = lambda inputs: self.called(build(inputs), bool(kwargs))
        try:
            self.replays[key], result = self.captured(leaves, call, replay)
        except Refused:
            self.replays.pop(key, None)
            if not self.fallback:
                raise
            self.replays[key] = EAGER
            result = self.fn(*args, **kwargs)
        while len(self.replays) > self.cache_size:
            del self.replays[next(iter(self.replays))]
        return result

    def called(self, given: Any, named: bool) -> Any:
        """The function itself."""
        return self.fn(*given[0], **given[1]) if named else self.fn(*given)

    def captured(self, leaves: list, call: Callable, before: Replay | None) -> tuple[Replay, Any]:
        """Run the function, watched; a replay is confirmed once two runs did the same."""
        capture, readings = Capture(), Readings()
        inputs = [as_input(v) for v in leaves]
        for v in inputs:
            if isinstance(v, Tensor):
                capture.input(v.value)
        with capturing(capture), reading(readings):
            result = call(inputs)
        replay = Replay(capture, inputs, result, readings.guards(self.fn, capture.places))
        if before is not None and before.tries:
            other = difference(before.seen, replay.seen)
            if other and before.tries >= TRIES:
                raise Refused(f"compile: {self.__name__} does something else each time: {other}")
            replay.tries = before.tries + 1 if other else 0
            if not other:
                replay.finish()
        return replay, result

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


def kind_of(v: Any) -> Any:
    """What of an argument decides which replay fits: shape and type of arrays, the value of all else."""
    if isinstance(v, Tensor):
        return v.value.shape, v.value.dtype, v.node is None
    if isinstance(v, np.ndarray):
        return v.shape, v.dtype
    try:
        hash(v)
    except TypeError:
        return type(v), id(v)
    return type(v), v


def with_history(t: Any) -> bool:
    """Whether a tensor was computed from what wants gradients, so that a backward would leave the function."""
    return isinstance(t, Tensor) and not t.is_leaf


def as_input(v: Any) -> Any:
    """Arrays as tensors, so that what NumPy's functions do to them is seen."""
    return at(v) if isinstance(v, np.ndarray) else v


class Replay:
    """One captured run, ready to be done again on other numbers."""

    def __init__(self, capture: Capture, inputs: list, result: Any, guards: list):
        self.confirmed, self.tries, self.guards = False, 1, guards
        outputs, self.build = flatten(result)
        results = [self.returned(capture, y) for y in outputs]
        gradients = [self.gradient(capture, inputs, leaf) for leaf, _ in capture.leaves.values()]
        ends = [r for r in results if isinstance(r, Array)] + [g for *_, g in gradients if g is not None]
        self.seen, self.parts = capture.program(ends), (capture, inputs, results, gradients)

    def finish(self) -> None:
        """Make ready to run."""
        capture, inputs, results, gradients = self.parts
        self.program = improved(self.seen)
        self.memory = Memory(self.program, capture.known)
        self.run, self.source = emitted(self.program, self.memory)
        self.confirmed, self.parts = True, None
        places = iter([self.memory[a] for a in self.program.outputs])
        self.results = [(next(places), True) if isinstance(r, Array) else (r, False) for r in results]
        self.gradients = [(leaf, k, None if g is None else next(places)) for leaf, k, g in gradients]
        self.tensors, self.before = list(capture.tensors.values()), self.looked_at(capture, inputs)
        self.inputs = [
            (k, self.memory[a])
            for k, a in zip([k for k, v in enumerate(inputs) if isinstance(v, Tensor)], self.program.inputs)
        ]
        self.live = [(self.memory[a], get) for a, get in self.program.live]
        self.written = list({id(a.block): a.block.owner for call in self.program.calls for a in call.writes if a.block.kind == OUTER}.values())

    @staticmethod
    def looked_at(capture: Capture, inputs: list) -> list:
        """Leaves from outside whose gradient at the beginning mattered, and what it was."""
        own = {id(v.leaf) for v in inputs if isinstance(v, Tensor)}
        return [(f, before) for f, before in capture.leaves.values() if before is not UNSEEN and id(f) not in own]

    def returned(self, capture: Capture, y: Any) -> Any:
        """How a result is given: the array that it is in, or itself if it does not come from the run."""
        if not isinstance(y, Tensor):
            if isinstance(y, np.ndarray):
                raise Refused("compile: the function returns an array; return the tensor, so that it can be told what it holds")
            return y
        if y.node is not None and not finished(y):
            raise Refused(
                "compile: the function returns a tensor that gradients can flow back from; differentiate inside the "
                "function, or call it under no_grad()"
            )
        array = capture.array(y.value)
        return y if array.block.kind == OUTER and capture.tensors.get(id(y)) else array

    @staticmethod
    def gradient(capture: Capture, inputs: list, leaf: Leaf) -> tuple:
        """Whose gradient changed, by position if it is an argument's, and where it is at the end."""
        position = next((k for k, v in enumerate(inputs) if isinstance(v, Tensor) and v.leaf is leaf), None)
        return leaf, position, None if leaf.grad is None else capture.array(leaf.grad.value)

    def valid(self) -> bool:
        """Whether all that the run took from outside is as it was."""
        for t, value, node in self.tensors:
            if t.value is not value or t.node is not node:
                return False
        for leaf, before in self.before:
            if leaf.grad is not before:
                return False
        return all([guard() for guard in self.guards])

    def __call__(self, leaves: list) -> Any:
        for k, place in self.inputs:
            v = leaves[k]
            np.copyto(place, v.value if isinstance(v, Tensor) else v)
        for place, get in self.live:
            place[...] = get()
        self.run()
        for leaf, k, g in self.gradients:
            target = leaf if k is None else leaves[k].leaf
            target.grad = None if g is None else at(g)
        for owner in self.written:
            mark_written(owner)
        return self.build([at(v.copy()) if computed else v for v, computed in self.results])


def finished(y: Tensor) -> bool:
    """Whether a backward has been through the graph behind a tensor, so that no other can."""
    return any(getattr(node, "env", ()) is None for node in ancestors([y.grad_fn or y.node]))
