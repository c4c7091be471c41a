"""The pool of threads that kernels share: how many there are, and their life and death.

Worker threads run native code (`_native.work`) that never needs Python's lock: they wait for a region, take chunks of it
until none is left, and wait again.  Whoever opens a region works on it too and never waits for a worker that has not come.
What a chunk computes depends on its bounds only, and these on the size of the problem only, so results are the same bits
for any number of threads.  A second thread that opens a region meanwhile works through its own alone.
"""

from __future__ import annotations

import atexit
import ctypes
import operator
import os
import threading

import numpy as np

__all__ = ["get_num_threads", "set_num_threads"]

# The state that all threads share: 64-bit words, those that change often on cache lines of their own.
THREADS, BUSY, FUNCTION, DATA, COUNT, GRAIN, WORKERS, STOP = 0, 1, 2, 3, 4, 5, 6, 7
GENERATION, NEXT, ACTIVE, OPEN, SLEEPING = 8, 16, 24, 32, 40
MOST = 64  # workers; each has a word that says whether it sleeps, and one for the lock that it sleeps on
WORDS = SLEEPING + 2 * MOST

_memory = (ctypes.c_int64 * (WORDS + 8))()
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_memory))  # workers may outlive the module
ADDRESS = ctypes.addressof(_memory) + -ctypes.addressof(_memory) % 64
state = np.ctypeslib.as_array(_memory)[(ADDRESS - ctypes.addressof(_memory)) // 8 :][:WORDS]

_workers: list[threading.Thread] = []
_starting = threading.Lock()


def _usual() -> int:
    """As many threads as this process may use cores, unless OMP_NUM_THREADS says how many."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(int(wanted), 1) if wanted.isdecimal() else cores, MOST + 1)


state[THREADS] = _usual()


def get_num_threads() -> int:
    """How many threads the kernels use."""
    return int(state[THREADS])


def set_num_threads(count: int) -> None:
    """Let kernels use so many threads; what they compute does not depend on it."""
    try:
        wanted = operator.index(count)
    except TypeError:
        raise TypeError(f"set_num_threads: expected a number of threads, got {count!r}") from None
    if not 1 <= wanted <= MOST + 1:
        raise ValueError(f"set_num_threads: expected 1 to {MOST + 1} threads, got {wanted}")
    state[THREADS] = wanted
    if _workers:
        start()


def start() -> None:
    """Start the workers that are missing."""
    with _starting:
        if int(state[THREADS]) - 1 > len(_workers):
            from ._native import work

            while len(_workers) < int(state[THREADS]) - 1:
                _workers.append(_worker(len(_workers), work))
                state[WORKERS] = len(_workers)


def _worker(index: int, work) -> threading.Thread:
    """A thread with a lock to sleep on, which it finds taken."""
    locks = ctypes.pythonapi
    locks.PyThread_allocate_lock.restype = ctypes.c_void_p
    locks.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
    lock = locks.PyThread_allocate_lock()
    locks.PyThread_acquire_lock(lock, 1)
    state[SLEEPING + index], state[SLEEPING + MOST + index] = 0, lock
    thread = threading.Thread(target=work, args=(ADDRESS, index), daemon=True, name=f"autograd_core-{index + 1}")
    thread.start()
    return thread


@atexit.register
def stop() -> None:
    """Let all workers go: the code that they run goes away with the interpreter."""
    release = ctypes.pythonapi.PyThread_release_lock
    release.argtypes = (ctypes.c_void_p,)
    state[STOP] = 1
    for index, worker in enumerate(_workers):
        if state[SLEEPING + index]:
            state[SLEEPING + index] = 0
            release(int(state[SLEEPING + MOST + index]))
    for worker in _workers:
        worker.join(1.0)
    _workers.clear()
    state[STOP] = state[WORKERS] = 0


def _after_fork() -> None:
    """A child process has only the thread that forked: no worker, and no region that somebody else has opened."""
    global _starting
    had = bool(_workers)
    _workers.clear()
    threads, _starting = int(state[THREADS]), threading.Lock()
    state[:] = 0
    state[THREADS] = threads
    if had:
        start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
