"""Rows for the tests of the runner: ways that work, are wrong, break, print, die, sleep."""

import os
import time

import numpy as np

from benchmarks.rows import Row, alike


def fine(lib):
    return lib.call(lambda lib, x: x + 1, [np.arange(4.0)])


def wrong(lib):
    return lib.call(lambda lib, x: x + 2, [np.arange(4.0)])


def broken(lib):
    raise ValueError("no such luck")


def breaking_later(lib):
    calls = iter(range(6))
    return lambda: (next(calls), np.arange(4.0) + 1)[1]


def dying(lib):
    os._exit(3)


def printing(lib):
    print("Loading ...")
    return fine(lib)


def sleeping(lib):
    time.sleep(60)


def allocating(lib):
    kept = np.ones(4_000_000)  # 32 MB, while the row is measured
    return lambda: kept[:3] + 0


def row(name, ways, **more):
    return Row(**{"suite": "tests.benchmark_rows", "group": "g", "name": name, "ways": ways, "seconds": 0.1, **more})


def rows():
    yield row("fine", alike(fine, "ours", "numpy", "scipy"), flops=1e6, bytes=1e3, quick=True)
    yield row("wrong", {"ours": fine, "numpy": wrong, "scipy": fine})
    yield row("chance", {"ours": fine, "numpy": wrong}, tolerance=None)
    yield row("broken", {"ours": fine, "numpy": broken, "scipy": fine})
    yield row("breaking later", {"ours": fine, "numpy": breaking_later, "scipy": fine})
    yield row("dying", {"ours": fine, "numpy": dying, "scipy": fine})
    yield row("printing", alike(printing, "ours", "numpy"))
    yield row("allocating", alike(allocating, "numpy"))
    for n in (10, 100):
        yield row(f"curve {n}", alike(fine, "ours", "numpy"), axis="entries", size=float(n), series="curve")
    yield row("sleeping", {"ours": fine, "numpy": sleeping}, apart=True)
