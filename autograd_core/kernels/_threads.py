"""The pool of threads that kernels share: how many there are, and their life and death.

Worker threads run native code (`_native.work`) that never needs Python's lock: they wait for a region, take chunks of
it until none is left, and wait again.  Whoever opens a region works on it too and never waits for a worker that has not
come.  What a chunk computes depends on its bounds only, and these on the size of the problem only, so results are the
same bits for any number of threads.  A second thread that opens a region meanwhile works through its own alone, as does
a chunk that opens one.
"""

from __future__ import annotations

import atexit
import ctypes
import operator
import os
import sys
import threading
import time

import numpy as np

__all__ = ["get_num_threads", "set_num_threads"]

# The state that all threads share: 64-bit words, those that change often on cache lines of their own.
THREADS, BUSY, FUNCTION, DATA, COUNT, GRAIN, WORKERS, STOP = range(8)
GENERATION, NEXT, ACTIVE, OPEN = 8, 16, 24, 32
TRIED = 33  # the kind of region whose time is being taken, which way, since when and until when at most
ALONE, ENDED, YIELD = 40, 41, 42  # how long regions ran without sleepers, when the last ended; a function that yields
PLACE, PLACES, KEEP = 43, 44, 45  # functions: on which core a thread is, on which it may be, and to change that
REGION = 46  # where the code is that opens regions
SLEEPING = 48  # for each worker a word that says whether it sleeps, then for each the lock that it sleeps on
MOST = 64  # workers
NUMBERS = SLEEPING + 2 * MOST  # for each its number in the system, then for each the core it is kept from, plus one
CORES = NUMBERS + 2 * MOST  # a set of cores, a bit for each
SETS = 128  # bytes of it
# of each kind of region: which it is, how long it takes alone, so and shared with what comes after it, how many turns
KIND, TOOK, SINGLY, JOINTLY, TURN = range(5)
COSTS, EACH = CORES + SETS // 8, 8
KINDS = 1 << 12  # of regions, so many that those of a program hardly ever meet
WORDS = COSTS + EACH * KINDS

_memory = (ctypes.c_int64 * (WORDS + 8))()
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_memory))  # workers may outlive the module
ADDRESS = ctypes.addressof(_memory) + -ctypes.addressof(_memory) % 64
state = np.ctypeslib.as_array(_memory)[(ADDRESS - ctypes.addressof(_memory)) // 8 :][:WORDS]

_workers: list[threading.Thread] = []
_starting = threading.Lock()
_wanted = False  # workers, by a kernel that has been built; not yet, or no more


def _usual() -> int:
    """As many threads as this process may use cores, unless OMP_NUM_THREADS says how many."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(max(int(wanted[:9]), 1) if wanted.isdecimal() else _cores(), MOST + 1)


def _cores(system: str = "/sys/devices/system/cpu") -> int:
    """How many cores this process may use: two processors that share one would wait for each other, not help.

    Where a system does not say which those are, each processor counts.
    """
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    try:
        with open(f"{system}/smt/active", "rb") as shared:
            if shared.read().strip() != b"1":
                return max(len(usable), 1)
        cores = set()
        for processor in usable:
            with open(f"{system}/cpu{processor}/topology/thread_siblings_list", "rb") as siblings:
                cores.add(siblings.read().strip() or processor)
        return max(len(cores), 1)
    except OSError:
        return max(len(usable), 1)


def _of_system(name: str, library: str | None = None) -> int:
    """The address of one of the system's functions; 0 if it is not found."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value or 0
    except (AttributeError, OSError, TypeError):
        return 0


FUNCTIONS = {YIELD: ("SwitchToThread", "kernel32") if sys.platform == "win32" else ("sched_yield",)}
if sys.platform == "linux":
    FUNCTIONS |= {PLACE: ("sched_getcpu",), PLACES: ("sched_getaffinity",), KEEP: ("sched_setaffinity",)}

state[THREADS] = _usual()
for _word, _function in FUNCTIONS.items():
    state[_word] = _of_system(*_function)


def get_num_threads() -> int:
    """How many threads the kernels use."""
    return int(state[THREADS])


def set_num_threads(count: int) -> None:
    """Let kernels use so many threads; what they compute does not depend on it."""
    try:
        wanted = operator.index(None if isinstance(count, bool) else count)
    except TypeError:
        raise TypeError(f"set_num_threads: expected a number of threads, got {count!r}") from None
    if not 1 <= wanted <= MOST + 1:
        raise ValueError(f"set_num_threads: expected 1 to {MOST + 1} threads, got {wanted}")
    state[THREADS] = wanted
    if _wanted:
        start()


def start() -> None:
    """Start the workers that are missing; if the system has no more threads, those that there are do the work."""
    global _wanted
    with _starting:
        if not state[REGION]:
            from ._entries import code_of_pool

            state[REGION], _ = code_of_pool()
        _wanted = not state[STOP]
        while _wanted and len(_workers) < int(state[THREADS]) - 1:
            try:
                _workers.append(_worker(len(_workers)))
            except RuntimeError:
                return
            state[WORKERS] = len(_workers)


def _worker(index: int) -> threading.Thread:
    """A thread with a lock to sleep on, which it finds taken."""
    from ._entries import code_of_pool

    work = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(code_of_pool()[1])  # which lets go of Python's lock
    lock = _locks("PyThread_allocate_lock", ctypes.c_void_p)()
    _locks("PyThread_acquire_lock", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(lock, 1)
    state[SLEEPING + index], state[SLEEPING + MOST + index] = 0, lock
    thread = threading.Thread(target=work, args=(ADDRESS, index), daemon=True, name=f"autograd_core-{index + 1}")
    thread.start()
    state[NUMBERS + index], state[NUMBERS + MOST + index] = thread.native_id or 0, 0
    return thread


def _locks(name: str, *types):
    """A function of Python's own locks, which native code can use without Python."""
    return ctypes.PYFUNCTYPE(*types)((name, ctypes.pythonapi))


def stop() -> None:
    """Let all workers go, at the end: the code that they run goes away with the interpreter."""
    global _wanted
    _wanted, state[STOP], state[WORKERS] = False, 1, 0
    until, release = time.monotonic() + 1, _locks("PyThread_release_lock", None, ctypes.c_void_p)
    for index, worker in enumerate(_workers):
        while worker.is_alive() and time.monotonic() < until:  # one that is in the middle of a chunk takes a while
            if state[SLEEPING + index]:
                release(int(state[SLEEPING + MOST + index]))
            worker.join(0.01)


def _after_fork() -> None:
    """A child process has only the thread that forked: no worker, and no region that somebody else has opened."""
    global _starting
    kept = {word: int(state[word]) for word in (THREADS, STOP, REGION, *FUNCTIONS)}
    _workers.clear()
    _starting = threading.Lock()
    state[:] = 0
    for word, value in kept.items():
        state[word] = value
    if _wanted:
        start()


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
