"""The method: who is measured when, and what may be said of the figures.

All ways of a row are measured in turn, A B C, then C B A, and so on, so that a machine that slows down slows all of them
down.  Figures are medians over the rounds with their quartiles; a ratio is the median of the ratios of the rounds, and
where the quartiles of the ratios are further apart than the ratio is from 1, there is no difference.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FASTER, SLOWER, SAME = "faster", "slower", "no difference"
SETTLE = 0.005  # seconds of a turn that do not count, in which threads wake up and caches fill
PART = 1 << 16  # entries that are compared at a time: what fits in a cache
PAUSE = 0.01  # seconds before a turn, in which everything comes to rest
IDLE, PATIENCE = 0.004, 0.5  # seconds: of hardly any work, after which threads are asleep; for which that is waited for


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The first, the median, the third."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else list(values) * 3
    return low, middle, high


def verdict(low: float, ratio: float, high: float) -> str:
    """What a ratio of times with its quartiles says of whoever is above the line."""
    spread, difference = math.log(high / low), abs(math.log(ratio))
    if spread >= difference:
        return SAME
    return FASTER if ratio < 1 else SLOWER


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Our times over theirs, round by round."""
    low, ratio, high = quartiles([a / b for a, b in zip(ours, theirs, strict=True)])
    return {"ratio": ratio, "low": low, "high": high, "verdict": verdict(low, ratio, high)}


def rounds_within(seconds: float, turn: float, least: int, most: int) -> int:
    """How many rounds fit, if a round of all ways takes `turn` seconds; never fewer than `least`."""
    return max(least, min(most, int(seconds / turn)))


def order(count: int, k: int) -> list[int]:
    """Who follows whom in round k: there and back again, so that no way always has the same one before it."""
    shifted = [(i + k // 2) % count for i in range(count)]
    return shifted[:: 1 if k % 2 == 0 else -1]


def in_turn(tasks: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """What each task answered in each round."""
    found: list[list[float]] = [[] for _ in tasks]
    for k in range(rounds):
        for i in order(len(tasks), k):
            found[i].append(tasks[i]())
    return found


# --- one way, in its own process -------------------------------------------------------------------------------------


def timed(work: Callable[[], object], repeat: int) -> float:
    """Seconds for each of some calls."""
    before = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - before) / repeat


def often_enough(work: Callable[[], object], seconds: float) -> tuple[int, float]:
    """How many calls take so long, at least one, and how long each takes."""
    repeat, took = 1, timed(work, 1)
    while took * repeat < seconds / 4:
        repeat = min(4 * repeat, math.ceil(seconds / max(took, 1e-9)))
        took = timed(work, repeat)
    return max(1, math.ceil(seconds / took)), took


def settling(took: float) -> float:
    """Seconds that work has to settle, which takes so long itself: none, if nothing that happens before it can matter."""
    return SETTLE if took < 10 * SETTLE else 0.0


def wait_for_sleep() -> None:
    """Wait until no thread of this process looks for work: OpenBLAS's do so for 2**28 ticks after it is done, 0.13 s."""
    until = time.perf_counter() + PATIENCE
    while time.perf_counter() < until:
        before = time.process_time()
        time.sleep(IDLE)
        if time.process_time() - before < IDLE / 4:
            return


def turn(work: Callable[[], object], repeat: int, pause: float = PAUSE, settle: float = SETTLE) -> float:
    """Seconds per call, after a pause and once everything has settled; no garbage is collected meanwhile."""
    gc.collect()
    gc.disable()
    try:
        time.sleep(pause)
        until = time.perf_counter() + settle
        while time.perf_counter() < until:
            timed(work, max(1, repeat // 8))
        took = timed(work, repeat)
        if pause:
            wait_for_sleep()  # or it would take time from whose turn is next
        return took
    finally:
        gc.enable()


def pairs(sides: Sequence[Callable[[], object]], rounds: int, block: float = 0.005) -> list[list[float]]:
    """Seconds per call of each side in each round, of sides that live in this process."""
    for side in sides:
        side()
    repeats = [often_enough(side, block)[0] for side in sides]
    tasks = [lambda side=side, n=n: turn(side, n, 0) for side, n in zip(sides, repeats, strict=True)]
    return in_turn(tasks, rounds)


# --- whether the same was computed -----------------------------------------------------------------------------------


def difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray], tolerance: float | None) -> str:
    """Why two lists of arrays are not the same result; empty if they are."""
    if len(a) != len(b):
        return f"{len(a)} results here, {len(b)} there"
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        if x.shape != y.shape:
            return f"result {k} has shape {x.shape} here, {y.shape} there"
        if tolerance is not None and x.size and (far := distance(x, y)) > tolerance:
            return f"result {k} differs by {far:.2g} of the largest entry, {tolerance:.2g} is allowed"
    return ""


def distance(x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of two arrays, in parts of the largest entry; infinite where only one is a number."""
    x, y = x.reshape(-1), y.reshape(-1)
    far, largest = 0.0, float(np.finfo(np.float32).tiny)
    for k in range(0, x.size, PART):
        a, b = (np.asarray(v[k : k + PART], np.result_type(v, np.float64)) for v in (x, y))
        finite = np.isfinite(a)
        if not finite.all():
            if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
                return math.inf
            a, b = a[finite], b[finite]
        if not np.isfinite(b).all():
            return math.inf
        far = max(far, float(np.abs(a - b).max(initial=0)))
        largest = max(largest, float(np.abs(a).max(initial=0)))
    return far / largest
