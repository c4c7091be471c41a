"""The one place where kernels are compiled: options, laziness, and the mode without any compiling.

A kernel is a loop nest on arrays and numbers that fills `out`.  Nothing is compiled, loaded or imported until it is
first called.  Who calls it is a Python function beside it, declared with `choice`: small inputs, and everything if
NUMBA_DISABLE_JIT is set, go to a reference in plain NumPy instead.  What is small stands in one table, `_sizes.py`.
"""

from __future__ import annotations

import functools
import gc
import importlib
import linecache
import operator
import os
import threading
import time
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

import numpy as np

from . import _steps, _threads
from ._sizes import LEAST
from ._steps import elsewhere, watchers

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

# What rounding may do.  None of the sets pretends that NaN, infinities or zeros of either sign do not occur.
WRITTEN: frozenset[str] = frozenset()  # each operation is rounded, in the order in which it is written
EXACT = frozenset({"contract"})  # a product and a sum may be rounded once
SUMS = frozenset({"contract", "reassoc", "arcp"})  # and sums may be taken in another order, so that they vectorise

KERNELS: dict[str, Kernel] = {}
CHOICES: dict[str, Callable] = {}
IMPORTED = time.time()  # what has changed on disk since then is not what runs
_building = threading.RLock()


class Late:
    """Something of a module that imports Numba: looked up when the first kernel that names it is built."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def resolve(self) -> Any:
        return getattr(importlib.import_module(f".{self.module}", __package__), self.name)


# What compiles quicker than what Numba has for the same.
BUILTINS = {"min": Late("_order", "smallest"), "max": Late("_order", "largest")}


def _alike(a: Callable, b: Callable) -> bool:
    """Whether two functions were made by the same lines: the same code, which closes over the very same."""
    closed = [[cell.cell_contents for cell in f.__closure__ or ()] for f in (a, b)]
    return a is not b and a.__code__ == b.__code__ and all(map(operator.is_, *closed))


class Kernel(functools.partial):
    """A function that is compiled when it is first called, and kept on disk.

    One that works on chunks is written as f(begin, end, ...) and called as f(count, grain, ...); what it does to a
    chunk may depend on nothing but the bounds.  No kernel may raise.  It is a `partial` of what is called at last,
    machine code, which costs less than any `__call__` in Python; before, of what builds it.
    """

    def __new__(cls, fn: Callable, chunks: bool, options: dict, name: str | None = None, numbers: str = ""):
        def first(*args):
            return self.build()(*args)

        name = f"{fn.__module__.rpartition('.')[2]}.{name or fn.__qualname__}"
        if "<" in name or (name in KERNELS and not _alike(KERNELS[name].fn, fn)):
            raise ValueError(f"kernel {name}: give it a name=... of its own, under which it is kept on disk")
        if name in KERNELS:  # two threads make it at once
            return KERNELS[name]
        self = super().__new__(cls, first)
        self.written, self.glue = options.pop("written", False), options.pop("glue", False)
        self.level = options.pop("level", 3)  # of LLVM's passes
        self.fn, self.chunks, self.options, self.first, self._part = fn, chunks, options, first, None
        self.numbers, self.name = numbers, name
        self.__doc__, self.__name__, self.__wrapped__ = fn.__doc__, fn.__name__, fn
        KERNELS[name] = self
        return self

    @property
    def part(self):
        """What other kernels take in: compiled as part of them; of (begin, end, ...) if it works on chunks."""
        with _begin():
            if self._part is None:
                name = f"{self.name}.part"
                self._part = self._written(name) if self.written else self._compiled(name, part=True)
            return self._part

    def _written(self, name: str):
        """What is written into kernels where they call it."""
        from ._written import written

        compiled, inlined = lambda: self._compiled(name, part=True), "forceinline" in self.options
        return written(_resolved(self.fn, name), self.options["fastmath"], compiled, inlined)

    def _compiled(self, name: str, part: bool = False):
        """What Numba compiles when it is first called."""
        from ._native import compiled

        fn = _resolved(self.fn, name)
        if self.written and not part:
            from ._written import shell

            fn = shell(fn, name, self.part)
        return compiled(fn, name, part, **self.options)

    def build(self) -> Kernel:
        """Make what Python calls; `self`, which calls that from now on."""
        if self.func is not self.first:
            return self
        return undisturbed(self._build) if COMPILED else self._build()

    def _build(self) -> Kernel:
        with _begin():
            if self.func is not self.first:
                return self
            if not COMPILED:
                called, bound = functools.partial(_in_python, self.fn) if self.chunks else self.fn, ()
            else:
                bound = (_threads.ADDRESS,) if self.chunks else ()
                called = self._called()
                _threads.start()
            self.__setstate__((called, bound, None, self.__dict__))
            return self

    def _called(self) -> Callable:
        """What Python calls."""
        if not self.written or set(self.options) - {"fastmath", "nogil"}:
            return self._by_numba()
        from ._entries import chosen, entry

        how = {"glue": self.glue, "level": self.level, "keep": self.fn.__module__.startswith(__package__)}
        how |= {"nogil": self.options.get("nogil", True)}
        if self.chunks or not self.numbers:
            return chosen(self, self._launched_part if self.chunks else lambda: self.part, how)
        called, self.address = entry(self.name, lambda: self.part, tuple(self.numbers), **how)
        return called

    def _by_numba(self) -> Callable:
        """What Numba makes of it."""
        called = self._launcher() if self.chunks else self._compiled(self.name)
        return self._entry(called) if self.numbers else called

    def _launched_part(self):
        """launch(pool, count, grain, ...), written."""
        from ._written import written

        return written(self._launched(), (), lambda: self._launcher(part=True))

    def _launched(self) -> FunctionType:
        """launch(pool, count, grain, ...): the kernel on all chunks."""
        from ._native import for_chunks

        names = "".join(f"a{i}, " for i in range(self.fn.__code__.co_argcount - 2))
        source = f"def launch(pool, count, grain, {names}):\n    for_chunks(pool, kernel, count, grain, ({names}))\n"
        scope = {"for_chunks": for_chunks, "kernel": self.part, "__name__": self.fn.__module__}
        return _resolved(generated(source, f"launcher of {self.name}", scope), f"{self.name}.launch")

    def _launcher(self, part: bool = False):
        """The same, compiled by Numba."""
        from ._native import compiled

        return compiled(self._launched(), f"{self.name}.launch", part, launcher=not self.written, glue=self.glue)

    def _entry(self, dispatcher: Any) -> Callable:
        """What a dispatcher would call after it has looked at the types of all arguments, which are numbers."""
        from numba import types

        signature = tuple(types.float64 if letter == "d" else types.intp for letter in self.numbers)
        dispatcher.compile(signature)
        made = dispatcher.overloads[signature]
        if hasattr(made, "library"):
            self.address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
        return getattr(made, "entry_point", dispatcher)

    def __reduce__(self):
        return _found, (self.fn.__module__, self.name)

    def __repr__(self):
        return f"<kernel {self.name}>"


def undisturbed(do: Callable, *args: Any) -> Any:
    """do(*args), where no KeyboardInterrupt strikes: it would be lost where LLVM calls Python, or leave half of a kernel.

    The main thread, which is the one that signals interrupt, waits for another; if it stops waiting, that one goes on.
    """
    do = functools.partial(uncollected, do)
    if threading.current_thread() is not threading.main_thread():
        return do(*args)
    done: list[Any] = []
    failed: list[BaseException] = []

    def run():
        try:
            done.append(do(*args))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="autograd_core-compiler")
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter ends
        return do(*args)
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def uncollected(do: Callable, *args: Any) -> Any:
    """do(*args) without a look at what is no longer needed: among all that Numba makes, that takes a tenth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return do(*args)
    finally:
        if collects:
            gc.enable()


def _found(module: str, name: str) -> Kernel:
    """A kernel by its name."""
    importlib.import_module(module)
    return KERNELS[name]


def _in_python(fn, count, grain, *args):
    """What a kernel that works on chunks does, without compiling."""
    for begin in range(0, count, grain):
        fn(begin, min(begin + grain, count), *args)


def kernel(fn: Callable | None = None, *, chunks=False, fastmath=SUMS, name=None, numbers="", **options) -> Any:
    """Declare a kernel; with chunks=True its first two parameters are the bounds of a chunk.

    One of `numbers`, a letter for each parameter (i: whole, d: any, a: an array), is compiled for these alone, and called
    at half the cost.  It is given arrays as the addresses of NumPy's records, by `id`, and makes arrays of them with
    `entries`.  At `level=2` LLVM leaves a loop one, whatever it asks that does not change; at 3 it makes one for each answer.
    """
    if fn is None:
        return lambda fn: kernel(fn, chunks=chunks, fastmath=fastmath, name=name, numbers=numbers, **options)
    return Kernel(fn, chunks, {"fastmath": set(fastmath), **options}, name, numbers)


def inline(fn: Callable | None = None, *, fastmath=EXACT) -> Any:
    """Declare a function of numbers, without loops, that is written into the loops which call it, rounding as it says."""
    return kernel(fn, fastmath=fastmath, forceinline=True, written=True)


def generated(source: str, name: str, scope: dict[str, Any]) -> Any:
    """The function of a source that was made, under its own name; the text stays to be read, by tracebacks too."""
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec", dont_inherit=True), scope)
    return scope[source.split("(")[0].split()[-1]]


def entries_of_first(x, *rest) -> int:
    """How many entries the first array has: the usual size of a problem."""
    return x.size


def entries_of_second(x, v, *rest) -> int:
    """How many entries the second array has, what goes somewhere in the first."""
    return v.size


USUAL = entries_of_first, entries_of_second


# Choices by such a size, by number of parameters: to pass on `*args, **options` would cost as much as a small kernel.
@functools.cache
def quick(size: Callable, count: int) -> Callable:
    """What makes such a choice, from both functions and the size."""
    names = [f"a{k}" for k in range(count)]
    chosen = f"(small if a{USUAL.index(size)}.size < least and (not watchers or elsewhere()) else large)"
    return eval(f"lambda small, large, least: lambda {', '.join(names)}: {chosen}({', '.join(names)})")


def _with_names_of(function: Callable, quick: FunctionType) -> Callable:
    """A choice under the names of parameters, and with the defaults, of the function it stands for."""
    code = quick.__code__.replace(co_varnames=function.__code__.co_varnames[: quick.__code__.co_argcount])
    return functools.wraps(function)(
        FunctionType(code, globals(), function.__name__, function.__defaults__, quick.__closure__)
    )


def choice(reference: Callable, *, sample: Callable, size: Callable = entries_of_first, ulps=100, name=None):
    """Declare what stands between ops and kernels: f(...) chooses by size alone between itself and its reference.

    `sample(rng, n, dtype)` gives arguments of about n entries: from it follow the check of the two against each other,
    the measurement of the size from which compiled code is quicker, and what `warm` compiles.  `dtype` is a NumPy dtype.
    By how much the two may differ is told in steps between numbers of the largest result's size; `name` is for functions
    that are made by others.  Who watches for calls of kernels is shown them however little there is to do.
    """

    def declare(compiled: Callable) -> Callable:
        if name:
            compiled.__name__ = compiled.__qualname__ = name
        key = f"{compiled.__module__.rpartition('.')[2]}.{compiled.__name__}"
        least = LEAST.get(key, 0)

        @functools.wraps(compiled)
        def choose(*args, **options):
            return (reference if size(*args) < least and (not watchers or elsewhere()) else compiled)(*args, **options)

        if size in USUAL:
            choose = _with_names_of(compiled, quick(size, compiled.__code__.co_argcount)(reference, compiled, least))

        @functools.wraps(compiled)
        def only_reference(*args, **options):
            return reference(*args, **options)

        chosen = only_reference if not COMPILED else choose if least else compiled
        chosen.compiled, chosen.reference, chosen.size = compiled, reference, size
        chosen.sample, chosen.ulps = sample, ulps
        CHOICES[key] = chosen
        return chosen

    return declare


def _resolved(fn: Callable, name: str) -> FunctionType:
    """The function with compiled kernels in place of those it names.

    It goes by the name of the kernel, which is the only one: compiled code of different processes meets under the names
    that Numba makes of these.
    """

    def value(v):
        return v.part if isinstance(v, Kernel) else v.resolve() if isinstance(v, Late) else v

    scope = BUILTINS | fn.__globals__
    scope |= {n: value(scope[n]) for n in fn.__code__.co_names if n in scope}
    cells = tuple(CellType(value(c.cell_contents)) for c in fn.__closure__ or ())
    copy = FunctionType(fn.__code__, scope, fn.__name__, fn.__defaults__, cells or None)
    copy.__module__, copy.__qualname__, copy.__doc__ = fn.__module__, name, fn.__doc__
    return copy


def plain(x: np.ndarray) -> np.ndarray:
    """x in the one layout that kernels are compiled for: entries in order, aligned, of the machine's byte order.

    An array that may not be written is handed on under a flag that says it may: kernels write to `out` only, and a type
    of its own for such arrays would mean to compile everything twice.
    """
    flags = x.flags
    if flags.carray and x.dtype.isnative:
        return x
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return np.asarray(Writeable(x))
    y = np.empty(x.shape, x.dtype.newbyteorder("="))
    _steps.copy(x, y)
    return y


class Writeable:
    """The memory of an array, described as open to writing."""

    def __init__(self, x: np.ndarray):
        self.owner, described = x, x.__array_interface__
        self.__array_interface__ = {**described, "data": (described["data"][0], False)}


def keep(dispatcher, name: str):
    """Let a dispatcher look on disk before it compiles, if its source is one that stands here."""
    if COMPILED and dispatcher.py_func.__module__.startswith(__package__):
        from . import _cache

        if _cache.folders():
            dispatcher._cache = _cache.Cache(name)
    return dispatcher


def _begin() -> threading.RLock:
    """The lock of who makes kernels; forks wait for it from the first time on, as they would copy a Numba half imported."""
    _before_forks()
    return _building


@functools.cache
def _before_forks() -> None:
    import logging  # noqa: F401 - who makes kernels logs: so a fork has to take that lock later, and ask for it earlier

    hold_over_forks(lambda: _building.acquire(), lambda: _building.release(), lambda: None)


def hold_over_forks(hold: Callable, let_go: Callable, let_go_in_child: Callable) -> None:
    """Call these before and after every fork from now on; one that is under way is not told of before, but of after."""
    held: list[bool] = []

    def before() -> None:
        hold()
        held.append(True)

    def after(let_go: Callable) -> None:
        if held:
            held.pop()
            let_go()

    if hasattr(os, "register_at_fork"):
        in_parent, in_child = (functools.partial(after, f) for f in (let_go, let_go_in_child))
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _after_fork() -> None:
    """A child process has only the thread that forked: whoever else was building something is gone."""
    global _building
    _building = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
