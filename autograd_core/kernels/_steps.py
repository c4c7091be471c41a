"""What kernels do, told to whoever watches a function call them; and steps in NumPy that can be told of as kernels can.

A captured program keeps of an op the calls of kernels that it makes, and makes these again on arrays of its own.  That
is right if all that happens to entries between the arguments and the results happens in kernels and in steps, which are
given all arrays that they read and fill; and if what is decided between them is decided by what they return.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

watched = threading.local()  # .tell(what, arguments): called before, in a thread that is watched
watchers: list[Callable] = []  # those of all threads
_lock = threading.Lock()


def _after_fork() -> None:
    """A child process has only the thread that forked: whoever else held the lock is gone."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def elsewhere() -> bool:
    """Whether it is another thread that is watched."""
    return getattr(watched, "tell", None) is None


class Step:
    """A function in NumPy that fills arrays."""

    def __init__(self, fn: Callable):
        self.func, self.args, self.numbers, self.__doc__ = fn, (), "", fn.__doc__

    def __call__(self, *args: Any) -> None:
        tell = getattr(watched, "tell", None)
        if tell:
            tell(self, args)(None)
            if watched.instead:
                watched.instead(self)
                return
        self.func(*args)


@Step
def copy(x, out):
    """out = x."""
    np.copyto(out, x)


@Step
def fill(out, value):
    """All of out is a number."""
    out.fill(value)


@Step
def add_first(x, out):
    """out = the sum along the first axis of x."""
    np.add.reduce(x, 0, out=out)


@Step
def add_all(x, scale, out):
    """out = scale * the sum of all of x."""
    np.add.reduce(x, None, out=out)
    np.multiply(out, scale, out=out)


@Step
def add(x, y, out):
    """out = x + y."""
    np.add(x, y, out=out)


def copied(x: np.ndarray) -> np.ndarray:
    """A copy with entries in order."""
    y = np.empty(x.shape, x.dtype)
    copy(x, y)
    return y


def added(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y for arrays of one shape and type."""
    z = np.empty(x.shape, x.dtype)
    add(x, y, z)
    return z


@contextmanager
def watching(kind: type, tell: Callable, instead: Callable | None = None) -> Iterator[None]:
    """Tell of every call that this thread makes of steps, and of kernels, which are of this kind.

    `tell(what, arguments)` is called before, and what it returns is then called with the result.  With `instead` nothing
    runs, and what `instead(what)` returns is taken for the result.  Kernels are called without any Python of ours: only
    while somebody watches they have a `__call__`.
    """

    def call(kernel, *args):
        tell = getattr(watched, "tell", None)
        done = tell(kernel, args) if tell else None
        instead = tell and watched.instead
        result = instead(kernel) if instead else partial.__call__(kernel.build(), *args)
        if done:
            done(result)
        return result

    with _lock:
        watchers.append(tell)
        kind.__call__ = call  # type: ignore[method-assign]
    watched.tell, watched.instead = tell, instead
    try:
        yield
    finally:
        watched.tell = None
        with _lock:
            watchers.remove(tell)
            if not watchers:
                del kind.__call__
