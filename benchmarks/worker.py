"""The process that does rows in one way, on order: `python -m benchmarks.worker WAY`.

Orders come as pickles on the standard input, `(name, arguments)`; answers go back as pickles, `(True, answer)` or
`(False, what went wrong)`.  What libraries print goes to the standard error, which the runner keeps.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from . import method, peers
from .rows import Row, Step, declared

LONG = 0.25  # seconds of a call that is not repeated only to learn how long it takes
ENOUGH = 1.0  # seconds of first calls, where nothing is compiled by them
TRIAL = 0.01  # seconds for which each setting is tried, three times
PAGE = 4096


class Worker:
    """A library, and the row that it is at."""

    def __init__(self, way: str):
        self.way, self.row = way, ""
        self.rows: dict[str, Row] = {}
        self.step: Step = lambda: None
        self.repeat, self.settle = 1, method.SETTLE
        self.library: Any = None

    def load(self) -> dict[str, Any]:
        """Import the library; tell how long that took and how much memory the process has now."""
        before = time.perf_counter()
        self.library = peers.loaded(self.way)
        return {"seconds": time.perf_counter() - before, "resident": resident()}

    def open(self, suite: str, key: str, block: float) -> dict[str, Any]:
        """Get a row ready: its first results, seconds of the first calls, and how long a turn takes."""
        if suite not in {row.suite for row in self.rows.values()}:
            self.rows |= {row.key: row for row in declared([suite])}
        row, before = self.rows[key], resident()
        self.step = self.best(row)
        results, first = [], []
        for k in range(max(row.checked, row.warm)):
            start = time.perf_counter()
            result = self.step()
            first.append(time.perf_counter() - start)
            results += self.library.numbers(result) if k < row.checked else []
            if sum(first) > (60 if self.library.compiled else ENOUGH) and k + 1 >= max(row.checked, 2):
                break
        self.repeat, took = (1, first[-1]) if first[-1] > max(LONG, block) else method.often_enough(self.step, block)
        compiling = max(0.0, sum(first) - len(first) * took)
        gc.collect()
        gc.freeze()  # or each turn would begin with a look at all that was imported, which takes longer than the turn
        told = {"results": results, "first": first[0], "compile": compiling, "call": took, "before": before}
        self.settle = method.settling(took)
        told |= {"turn": self.repeat * took + self.settle + method.PAUSE}
        return told | {"settings": self.library.setting, "work": getattr(self.step, "work", None)}

    def best(self, row: Row) -> Step:
        """The work, done with the best of the settings that its library has for it."""
        make, tried = row.ways[self.way.partition("@")[0]], {}
        settings = self.library.to_try(row)
        for setting in settings if len(settings) > 1 else []:
            self.library.trying, self.library.setting = True, setting
            step = make(self.library)
            tried[setting] = method.timed(step, 1)
            if tried[setting] < LONG:
                repeat, took = method.often_enough(step, TRIAL)
                tried[setting] = min(took, *(method.timed(step, repeat) for _ in range(3)))
        self.library.trying, self.library.setting = False, min(tried, key=lambda name: tried[name], default="")
        return make(self.library)

    def turn(self) -> float:
        """Seconds per call."""
        return method.turn(self.step, self.repeat, settle=self.settle)

    def memory(self) -> dict[str, float]:
        """The most memory that the process has while the work is done, and what each call takes anew from the system."""
        calls = max(1, min(self.repeat, 20))
        watched, before = forget_peak(), faults()
        for _ in range(calls):
            self.step()
        return {"peak": peak(watched), "fresh": (faults() - before) * PAGE / calls}

    def close(self) -> None:
        """Let go of the row."""
        self.step = lambda: None
        gc.unfreeze()

    def peaks(self) -> dict[str, float]:
        """What the machine can do."""
        from . import machine

        return machine.peaks(int(os.environ["BENCHMARK_THREADS"]))


def resident() -> float:
    """Bytes of memory of this process; 0 where that cannot be told."""
    return _status("VmRSS:")


def peak(watched: bool) -> float:
    """The most bytes since `forget_peak`, or since the process started where they cannot be forgotten."""
    if watched:
        return _status("VmHWM:")
    try:
        import resource
    except ImportError:
        return 0.0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> bool:
    """Let the system count the most memory from now on; whether it does."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def _status(name: str) -> float:
    try:
        with open("/proc/self/status") as file:
            return next(float(line.split()[1]) * 1024 for line in file if line.startswith(name))
    except (OSError, StopIteration):
        return 0.0


def faults() -> int:
    """Pages that the system has given to this process."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def answer(worker: Worker, name: str, arguments: tuple) -> tuple[bool, Any]:
    """What an order leads to."""
    work: Callable = getattr(worker, name)
    try:
        return True, work(*arguments)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error).strip().partition("\n")[0][:300]
        return False, f"{type(error).__name__}: {text} ({os.path.basename(last.filename)}:{last.lineno})"


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner is who is interrupted, and ends this process
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    while True:
        try:
            name, arguments = pickle.load(orders)
        except EOFError:
            return
        told = answer(worker, name, arguments)
        pickle.dump(told, answers)
        answers.flush()


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
