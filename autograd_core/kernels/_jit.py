"""The one place where kernels are compiled: options, laziness, the disk cache, and the mode without any compiling.

A kernel is a loop nest on arrays and numbers that fills `out`.  Nothing is compiled, loaded or imported until it is first
called.  Who calls it is a Python function beside it, declared with `choice`: small inputs, and everything if
NUMBA_DISABLE_JIT is set, go to a reference in plain NumPy instead.  What is small stands in one table, `_sizes.py`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

import numpy as np

from . import _threads
from ._sizes import LEAST

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

# What rounding may do.  Neither set pretends that NaN, infinities or zeros of either sign do not occur.
EXACT = frozenset({"contract"})  # a product and a sum may be rounded once
SUMS = frozenset({"contract", "reassoc", "arcp"})  # and sums may be taken in another order, so that they vectorise

KERNELS: dict[str, Kernel] = {}
CHOICES: dict[str, Callable] = {}
_building = threading.RLock()


class Late:
    """Something of a module that imports Numba: looked up when the first kernel that names it is built."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def resolve(self) -> Any:
        return getattr(importlib.import_module(f".{self.module}", __package__), self.name)


class Kernel:
    """A function that is compiled when it is first called, and kept on disk.

    One that works on chunks is written as f(begin, end, ...) and called as f(count, grain, ...); what it does to a chunk
    may depend on nothing but the bounds.
    """

    def __init__(self, fn: Callable, chunks: bool, options: dict, name: str | None = None):
        self.fn, self.chunks, self.options = fn, chunks, options
        self.name = f"{fn.__module__.rpartition('.')[2]}.{name or fn.__qualname__}"
        if self.name in KERNELS or "<" in self.name:
            raise ValueError(f"kernel {self.name}: give it a name=... of its own, under which it is kept on disk")
        self.__doc__, self.__name__, self.__wrapped__ = fn.__doc__, fn.__name__, fn
        self.ready = self._first
        KERNELS[self.name] = self

    def __call__(self, *args):
        return self.ready(*args)

    def _first(self, *args):
        """Build, then call."""
        return self.build()(*args)

    @functools.cached_property
    def dispatcher(self):
        """What other kernels call: the compiled function itself, of (begin, end, ...) if it works on chunks."""
        from numba import njit

        from ._native import WideCompiler

        with _building:
            options = {"nogil": True, "error_model": "numpy", "pipeline_class": WideCompiler, **self.options}
            inner = njit(**options)(_resolved(self.fn))
            keep(inner, self.name)
            return inner

    def build(self) -> Callable:
        """Make what Python calls."""
        with _building:
            if self.chunks:
                _threads.start()
                entry = functools.partial(self._launcher(), _threads.ADDRESS)
            else:
                entry = self.dispatcher
            self.ready, entry.kernel = entry, self
            if self.fn.__globals__.get(self.fn.__name__) is self:
                self.fn.__globals__[self.fn.__name__] = entry  # whoever stands beside it calls it without a detour
            return entry

    def _launcher(self):
        """launch(pool, count, grain, ...), compiled."""
        from numba import njit

        from ._native import for_chunks

        names = self.fn.__code__.co_varnames[2 : self.fn.__code__.co_argcount]
        source = (
            f"def {self.fn.__name__}_in_chunks(pool, count, grain, {', '.join(names)}):\n"
            f"    for_chunks(pool, kernel, count, grain, ({', '.join(names)},))\n"
        )
        scope = {"for_chunks": for_chunks, "kernel": self.dispatcher, "__name__": self.fn.__module__}
        exec(compile(source, f"<launcher of {self.name}>", "exec"), scope)
        launcher = njit(nogil=True)(scope[f"{self.fn.__name__}_in_chunks"])
        keep(launcher, f"{self.name}.in_chunks")
        return launcher

    def __repr__(self):
        return f"<kernel {self.name}>"


def kernel(fn: Callable | None = None, *, chunks: bool = False, fastmath=SUMS, name=None, **options) -> Any:
    """Declare a kernel; with chunks=True its first two parameters are the bounds of a chunk."""
    if fn is None:
        return lambda fn: kernel(fn, chunks=chunks, fastmath=fastmath, name=name, **options)
    return Kernel(fn, chunks, {"fastmath": set(fastmath), **options}, name)


def inline(fn: Callable) -> Kernel:
    """A scalar function that kernels take into their loops, rounding as written."""
    return kernel(fn, fastmath=EXACT, forceinline=True)


def choice(reference: Callable, *, sample: Callable, size: Callable = lambda x, *rest: x.size) -> Callable:
    """Declare what stands between ops and kernels: f(...) chooses by size alone between itself and its reference.

    `sample(rng, n, dtype)` gives arguments of about n entries: from it follow the check of the two against each other,
    the measurement of the size from which compiled code is quicker, and what `warm` compiles.
    """

    def declare(compiled: Callable) -> Callable:
        name = f"{compiled.__module__.rpartition('.')[2]}.{compiled.__name__}"
        least = LEAST.get(name, 0)

        @functools.wraps(compiled)
        def choose(*args, **options):
            return (reference if size(*args) < least else compiled)(*args, **options)

        chosen = choose if COMPILED else functools.wraps(compiled)(lambda *args, **options: reference(*args, **options))
        chosen.compiled, chosen.reference, chosen.sample = compiled, reference, sample
        CHOICES[name] = chosen
        return chosen

    return declare


def _resolved(fn: Callable) -> FunctionType:
    """The function with compiled kernels in place of those it names."""

    def value(v):
        v = getattr(v, "kernel", v) if isinstance(v, functools.partial) else v
        return v.dispatcher if isinstance(v, Kernel) else v.resolve() if isinstance(v, Late) else v

    scope = dict(fn.__globals__)
    scope |= {n: value(scope[n]) for n in fn.__code__.co_names if n in scope}
    cells = tuple(CellType(value(c.cell_contents)) for c in fn.__closure__ or ())
    copy = FunctionType(fn.__code__, scope, fn.__name__, fn.__defaults__, cells or None)
    copy.__module__, copy.__qualname__, copy.__doc__ = fn.__module__, fn.__qualname__, fn.__doc__
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
        return np.asarray(_Writeable(x))
    return np.require(x, x.dtype.newbyteorder("="), "CAW")


class _Writeable:
    """The memory of an array, described as open to writing."""

    def __init__(self, x: np.ndarray):
        self.owner, described = x, x.__array_interface__
        self.__array_interface__ = {**described, "data": (described["data"][0], False)}


# --- the cache on disk -----------------------------------------------------------------------------------------------


@functools.cache
def stamp() -> str:
    """Everything that compiled code depends on, as one word: all sources here, versions, and what the processor can do."""
    import llvmlite.binding
    import numba

    words = [sys.version, platform.machine(), numba.__version__, llvmlite.binding.llvm_version_info, np.__version__]
    words += [numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()]
    words += [numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten(), numba.config.OPT]
    digest = hashlib.sha256(repr(words).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:24]


def cache_folder() -> Path:
    """Where compiled kernels are kept for this user: AUTOGRAD_CORE_CACHE, or the usual place of the system."""
    home = Path.home
    if given := os.environ.get("AUTOGRAD_CORE_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local") / "autograd_core"
    if sys.platform == "darwin":
        return home() / "Library" / "Caches" / "autograd_core"
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "autograd_core"


@functools.cache
def _folder() -> Path | None:
    """The folder of what this source on this machine compiles to; None if nothing can be kept."""
    for base in (cache_folder, lambda: Path(tempfile.gettempdir()) / f"autograd_core-{os.getuid()}"):
        try:
            folder = base() / stamp()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid():
                if os.access(folder, os.W_OK | os.X_OK):
                    return folder
        except (OSError, RuntimeError, AttributeError):
            continue
    return None


class Cache:
    """Compiled code on disk: one file for each function and signature, written whole and put in place at once.

    So processes that start together need not know of each other: whoever comes last replaces equal by equal.
    """

    def __init__(self, name: str, folder: Path):
        from numba.core.caching import CompileResultCacheImpl

        self.name, self.folder, self.methods = name, folder, CompileResultCacheImpl
        self.cache_path = str(folder)

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...

    def path(self, signature) -> Path:
        """The file of a signature."""
        return self.folder / f"{self.name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:24]}.bin"

    def load_overload(self, signature, target_context):
        """What was compiled for a signature, or None; a file that is damaged counts as none."""
        import pickle

        try:
            content = self.path(signature).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        target_context.refresh()
        from numba.core.compiler import CompileResult

        return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))

    def save_overload(self, signature, result) -> None:
        """Keep what was compiled; without room for it there will be more to compile next time, and that is all."""
        from numba.core.serialize import dumps

        content = dumps(result._reduce())
        try:
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, self.path(signature))
        except OSError:
            return


def keep(dispatcher, name: str) -> None:
    """Let a dispatcher look on disk before it compiles, if its source is one that `stamp` knows."""
    folder = _folder() if dispatcher.py_func.__module__.startswith(__package__) else None
    if folder is not None:
        dispatcher._cache = Cache(name, folder)
