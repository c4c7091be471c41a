"""What the machine can do, measured: the figures that kernels are held against."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import autograd_core as ag


def versions() -> dict[str, str]:
    """Python, and the packages that matter."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "numba", "llvmlite", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def processor() -> str:
    """The processor, as the system calls it."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def best(work: Callable[[], object], seconds: float = 0.3) -> float:
    """The least time that some work takes."""
    work()
    times, until = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return min(times)


def sgemm_peak() -> float:
    """GFLOP/s of NumPy's product of float32 matrices."""
    n = 1536
    a, b, c = (np.random.default_rng(k).random((n, n), np.float32) for k in range(3))
    return 2 * n**3 / best(lambda: np.matmul(a, b, out=c)) / 1e9


def copy_bandwidth(entries: int = 10**7) -> float:
    """GB/s, read and written, of a copy of a float32 array on as many threads as kernels use."""
    count = ag.get_num_threads()
    x, y = np.ones(entries, np.float32), np.ones(entries, np.float32)
    parts = list(zip(np.array_split(x, count), np.array_split(y, count), strict=True))
    with ThreadPoolExecutor(count) as pool:
        return 2 * x.nbytes / best(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))) / 1e9


def machine() -> dict:
    """All of it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": processor(),
        "system": platform.platform(),
        "cores": cores,
        "threads": ag.get_num_threads(),
        "versions": versions(),
        "sgemm GFLOP/s": round(sgemm_peak(), 1),
        "copy GB/s": round(copy_bandwidth(), 1),
    }
