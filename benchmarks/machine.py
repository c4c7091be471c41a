"""The machine: what it is called, and what it can do, measured: the figures that rows are held against."""

from __future__ import annotations

import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from . import peers

ROOT = Path(__file__).parent.parent


def processor() -> str:
    """The processor, as the system calls it."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def vectors() -> str:
    """The widest vectors of the processor, where the system tells."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next(line for line in file if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return ""
    return "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""


def described(cores: int) -> dict[str, Any]:
    """The machine and what is installed."""
    found = {"processor": processor(), "vectors": vectors(), "cores": cores, "system": platform.platform()}
    return found | {"python": platform.python_version(), "versions": peers.versions()}


def revision(tree: Path = ROOT) -> str:
    """The revision of a tree, with a + if it was changed since; empty without Git."""
    git = lambda *arguments: subprocess.run(
        ["git", *arguments], cwd=tree, capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def times_of(work: Callable[[], object], seconds: float = 0.4) -> list[float]:
    """How long some work takes, time after time."""
    work()
    times, until = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return times


def product(n: int = 1536) -> float:
    """GFLOP/s of NumPy's product of float32 matrices."""
    a, b, c = (np.random.default_rng(k).random((n, n), np.float32) for k in range(3))
    return 2 * n**3 / min(times_of(lambda: np.matmul(a, b, out=c))) / 1e9


def copying(threads: int, entries: int = 5 * 10**7) -> float:
    """GB/s, read and written, of a usual copy of a float32 array that no cache can hold."""
    x, y = np.ones(entries, np.float32), np.ones(entries, np.float32)
    parts = list(zip(np.array_split(x, threads), np.array_split(y, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        copies = times_of(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)))
    return 2 * x.nbytes / statistics.median(copies) / 1e9


def peaks(threads: int) -> dict[str, float]:
    """What rows are held against."""
    return {"GFLOP/s": product(), "GB/s": copying(threads), "threads": threads}
