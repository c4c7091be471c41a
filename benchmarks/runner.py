"""How rows are measured: ours and theirs in turn, in blocks, and the ratio of each pair of blocks.

A machine that slows down slows both sides down, so ratios are kept where times drift; which of the two goes first
changes from round to round.  A block goes on for some milliseconds, and starts with a pause, in which the threads of the
side before fall asleep, and with some milliseconds that do not count, in which those of this side wake up.
"""

from __future__ import annotations

import gc
import importlib
import math
import pkgutil
import statistics
import time
from collections.abc import Callable, Iterator

from . import ops
from .rows import Row

SETTLE, BLOCK = 0.005, 0.005  # seconds of a block that do not count, and that do
SLOW = 0.5  # seconds of a round from which on there are fewer


def timed(work: Callable[[], object], repeat: int) -> float:
    """Seconds for each of some calls."""
    before = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - before) / repeat


def often_enough(work: Callable[[], object], seconds: float) -> int:
    """How many calls take so long; at least one.  Called before anything counts, it also compiles what there is to."""
    work()
    repeat, took = 1, timed(work, 1)
    while took * repeat < seconds / 4:
        repeat = min(4 * repeat, math.ceil(seconds / max(took, 1e-9)))
        took = timed(work, repeat)
    return max(1, math.ceil(seconds / took))


def block(work: Callable[[], object], repeat: int, pause: float = 0) -> float:
    """Seconds per call, once everything has settled."""
    time.sleep(pause)
    until = time.perf_counter() + SETTLE
    while time.perf_counter() < until:
        timed(work, max(1, repeat // 8))
    return timed(work, repeat)


def pairs(sides: list[Callable[[], object]], rounds: int, pause: float = 0) -> list[list[float]]:
    """Seconds per call of each side in each round."""
    repeats = [often_enough(side, BLOCK) for side in sides]
    found: list[list[float]] = []
    gc.collect()
    gc.disable()
    try:
        before = time.perf_counter()
        for k in range(rounds):
            order = range(len(sides))[:: 1 if k % 2 == 0 else -1]
            times = {i: block(sides[i], repeats[i], pause) for i in order}
            found.append([times[i] for i in range(len(sides))])
            if len(found) >= 4 and (time.perf_counter() - before) / len(found) * rounds > SLOW * 15:
                break
    finally:
        gc.enable()
    return found


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The first, the median, the third."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return low, middle, high


def measured(row: Row, rounds: int) -> dict:
    """What is known of a row."""
    found = pairs([row.ours, row.theirs] if row.theirs else [row.ours], rounds, row.pause)
    ours = statistics.median(times[0] for times in found)
    result: dict = {"group": row.group, "name": row.name, "size": row.size, "ours": ours, "rounds": len(found)}
    if row.theirs:
        result["theirs"] = statistics.median(times[1] for times in found)
        result["low"], result["ratio"], result["high"] = quartiles([a / b for a, b in found])
    if row.flops:
        result["GFLOP/s"] = row.flops / ours / 1e9
    if row.bytes:
        result["GB/s"] = row.bytes / ours / 1e9
    return result


def line(result: dict) -> str:
    """A row of the table; one that is slower than the other side is marked."""
    work = f"{result['name']} {result['size']}"
    text = f"{work:52.52} {result['ours'] * 1e6:11.2f}"
    if "ratio" in result:
        text += f" {result['theirs'] * 1e6:11.2f} {result['ratio']:7.3f} [{result['low']:.3f} .. {result['high']:.3f}]"
        text += " <-- slower" if result["ratio"] > 1 else ""
    return text + "".join(f"  {result[unit]:.1f} {unit}" for unit in ("GFLOP/s", "GB/s") if unit in result)


def ops_rows() -> Iterator[Row]:
    """The rows of every file in benchmarks/ops."""
    for module in sorted(m.name for m in pkgutil.iter_modules(ops.__path__) if not m.name.startswith("_")):
        yield from importlib.import_module(f"{ops.__name__}.{module}").rows()


def run(rows: Iterator[Row], rounds: int, wanted: str = "") -> list[dict]:
    """Measure rows, printing each; those whose group, name or size does not hold the wanted text are left out."""
    results: list[dict] = []
    print(f"{'':52} {'ours, us':>11} {'theirs, us':>11} {'ratio':>7} [quartiles]")
    for row in rows:
        if wanted not in f"{row.group} {row.name} {row.size}":
            continue
        if not results or results[-1]["group"] != row.group:
            print(f"\n{row.group}")
        results.append(measured(row, rounds))
        print(line(results[-1]), flush=True)
    return results


def means(results: list[dict]) -> dict[str, float]:
    """The geometric mean of the ratios of each group."""
    groups: dict[str, list[float]] = {}
    for result in results:
        if "ratio" in result:
            groups.setdefault(result["group"], []).append(result["ratio"])
    return {group: statistics.geometric_mean(ratios) for group, ratios in groups.items()}


def summary(results: list[dict]) -> None:
    """Print what matters of all rows: the means, and how many are slower."""
    for group, mean in means(results).items():
        ratios = [r["ratio"] for r in results if r["group"] == group and "ratio" in r]
        slower = sum(ratio > 1 for ratio in ratios)
        print(f"{group:32} geometric mean {mean:.3f} of {len(ratios)}, worst {max(ratios):.3f}, slower {slower}")
