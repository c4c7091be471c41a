"""Programs that use threads and processes in every order: `python programs.py NAME`, run by test_threads.py."""

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

from autograd_core.kernels import _threads, probe, random

HOUR = 10_000_000_000_000  # in ticks


def once(n=5000, grain=100, dtype="d"):
    """One region, checked."""
    x, out = np.arange(n, dtype=dtype), np.full(n, -1, dtype)
    probe.mix(n, grain, x, out)
    assert (out == 2 * x + np.arange(n) // grain * grain).all()


def often(threads=3):
    """Many regions; the number of workers that live."""
    _threads.set_num_threads(threads)
    for _ in range(200):
        once()
    return sum(worker.is_alive() for worker in _threads._workers)


def child(do):
    """Fork, and do something there."""
    pid = os.fork()
    if pid:
        return pid
    try:
        do()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def ends_well(pid):
    """Whether a child ends, and with 0."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def busy(stop, ticks=5000):
    """A Python thread that opens regions until it is told to stop."""
    out = np.zeros(200)
    while not stop:
        probe.linger(200, 5, ticks, out)


def fork_idle():
    often()
    for _ in range(5):
        pid = child(often)
        often()
        assert ends_well(pid)


def fork_within_a_region():
    often()
    stop = []
    threads = [threading.Thread(target=busy, args=(stop,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    found = [ends_well(child(often)) for _ in range(5)]
    stop.append(True)
    for thread in threads:
        thread.join()
    assert all(found), found


def fork_of_a_fork():
    def grandchild():
        once()
        assert ends_well(child(often))
        once()

    often()
    assert ends_well(child(grandchild))
    once()


def fork_while_compiling():
    def compiling():
        for dtype in ("f", "i", "l"):
            once(dtype=dtype)

    once()
    thread = threading.Thread(target=compiling)
    thread.start()
    found = []
    while thread.is_alive():
        time.sleep(0.05)
        found.append(ends_well(child(lambda: once(dtype="i"))))
    thread.join()
    assert all(found) and found, found


def fork_while_numba_is_imported():
    thread = threading.Thread(target=once)
    thread.start()
    while "numba" not in sys.modules:
        time.sleep(0.001)
    pid = child(once)
    thread.join()
    assert ends_well(pid)


def fork_while_another_draws():
    stop, state = [], np.zeros(3, np.uint64)
    draw = lambda: random.words(random.reserve(state, 1), 4)

    def draws():
        while not stop:
            draw()

    draw()
    thread = threading.Thread(target=draws)
    thread.start()
    found = [ends_well(child(draw)) for _ in range(100)]
    stop.append(True)
    thread.join()
    assert all(found), found


def _pool(kind):
    with multiprocessing.get_context(kind).Pool(2) as pool:
        assert pool.map(often, [3] * 4) == [2] * 4


def pool_fork():
    often()
    _pool("fork")


def pool_spawn():
    often()
    _pool("spawn")


def pool_forkserver():
    often()
    _pool("forkserver")


def futures():
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(often, [3] * 12)) == [2] * 12
    with ProcessPoolExecutor(2) as processes:
        assert list(processes.map(often, [3] * 4)) == [2] * 4


def exit_asleep():
    often(9)
    time.sleep(0.05)


def exit_at_once():
    _threads.set_num_threads(9)
    once()


def exit_within_regions():
    often(4)
    for _ in range(3):
        threading.Thread(target=busy, args=([], 20_000), daemon=True).start()
    time.sleep(0.05)


def exit_within_an_endless_chunk():
    often(3)
    threading.Thread(target=probe.linger, args=(9, 1, HOUR, np.zeros(9)), daemon=True).start()
    time.sleep(0.05)


def exit_handlers_use_kernels():
    atexit.register(often)
    often()


def exit_after_workers_have_gone():
    _threads.stop()
    often()
    assert not _threads._workers


def interrupt():
    often()
    out = np.zeros(1000)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        for _ in range(100_000):
            probe.linger(1000, 10, 10_000, out)
    except KeyboardInterrupt:
        often()
        return
    raise AssertionError("not interrupted")


def interrupt_while_compiling():
    """The signal comes where LLVM has called Python, and an exception would be lost."""
    from numba.core.codegen import JITCodeLibrary

    hook, pending = JITCodeLibrary._object_compiled_hook, [signal.SIGINT]

    def interrupting(*args):
        if pending:
            signal.raise_signal(pending.pop())
        hook(*args)

    JITCodeLibrary._object_compiled_hook = staticmethod(interrupting)
    try:
        once()
    except KeyboardInterrupt:
        often()
        return
    raise AssertionError("not interrupted")


def error():
    often()
    raise SystemExit(0)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
