"""What results say, for whatever shows them: the best of ours, shares of the machine, curves, means, units."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from . import method, peers

Result = dict[str, Any]  # of a row, as `runner.measured` makes it

MARKS = {method.FASTER: "", method.SLOWER: ">", method.SAME: "~"}
LABELS = {"ours": "here", "ours compiled": "here, compiled", "torch": "PyTorch", "jax": "JAX", "mygrad": "MyGrad"}
LABELS |= {"numpy": "NumPy", "scipy": "SciPy"}


def label(way: str) -> str:
    """What a way is called in tables."""
    name, _, revision = way.partition("@")
    if revision:
        return revision + LABELS[name].removeprefix("here")
    return LABELS.get(name, name)


def best(row: Result) -> str:
    """The quicker of our ways of this tree; empty if there is none."""
    ours = {way: row["ways"][way]["seconds"] for way in peers.OURS if way in row["ways"]}
    return min(ours, key=lambda way: ours[way], default="")


def against(row: Result, peer: str) -> Result | None:
    """Our best way compared with a peer; a way of ours at another revision with the same way here."""
    name, _, revision = peer.partition("@")
    return row.get("ratios", {}).get(name if revision else best(row), {}).get(peer)


def others(rows: Iterable[Result]) -> list[str]:
    """The ways that are not ours of this tree, in the order of `peers.WAYS`, then revisions."""
    found = {way for row in rows for way in [*row["ways"], *row.get("problems", {})] if way not in peers.OURS}
    return sorted(found, key=lambda way: ("@" in way, list(peers.WAYS).index(way.partition("@")[0]), way))


def columns(rows: list[Result]) -> list[str]:
    """All ways of some rows, ours first."""
    ours = [way for way in peers.OURS if any(way in row["ways"] or way in row.get("problems", {}) for row in rows)]
    return [*ours, *others(rows)]


def groups(rows: Iterable[Result]) -> dict[tuple[str, str], list[Result]]:
    """Rows by suite and group."""
    found: dict[tuple[str, str], list[Result]] = {}
    for row in rows:
        found.setdefault((row["suite"], row["group"]), []).append(row)
    return found


def curves(rows: Iterable[Result]) -> dict[tuple[str, str, str], list[Result]]:
    """Rows that are points of a curve, by suite, group and series, in order of size."""
    found: dict[tuple[str, str, str], list[Result]] = {}
    for row in rows:
        if row.get("axis"):
            found.setdefault((row["suite"], row["group"], row["series"]), []).append(row)
    return {key: sorted(points, key=lambda row: row["size"]) for key, points in found.items()}


def means(rows: Iterable[Result], peer: str) -> Iterator[tuple[str, str, float, list[float]]]:
    """Suite, group, geometric mean and all ratios of our best way against a peer."""
    for (suite, group), members in groups(rows).items():
        if ratios := [found["ratio"] for row in members if (found := against(row, peer))]:
            yield suite, group, statistics.geometric_mean(ratios), ratios


def counts(rows: Iterable[Result], peer: str) -> dict[str, int]:
    """In how many rows our best way is faster, slower, neither."""
    found = dict.fromkeys(MARKS, 0)
    for row in rows:
        if compared := against(row, peer):
            found[compared["verdict"]] += 1
    return found


# --- the machine's peaks ---------------------------------------------------------------------------------------------


def shares(row: Result, way: str, peaks: dict[str, float]) -> dict[str, float]:
    """What parts of a way's time the arithmetic, and the moving of bytes, would take at the machine's peaks.

    Arithmetic is counted as of direct products and sums, and can exceed 1 where an algorithm needs fewer.
    """
    seconds, found = row["ways"][way]["seconds"], {}
    if row.get("threads") != peaks.get("threads"):
        return {}
    for name, amount, unit in (("arithmetic", "flops", "GFLOP/s"), ("memory", "bytes", "GB/s")):
        if row.get(amount) and peaks.get(unit):
            found[name] = row[amount] / seconds / 1e9 / peaks[unit]
    return found


def limit(found: dict[str, float]) -> str:
    """What takes most of the time: arithmetic, memory, or what is left, which is overhead: calls, waiting, small loops."""
    left = {"overhead": max(0.0, 1 - sum(found.values()))}
    everything = found | left
    return max(everything, key=lambda name: everything[name])


def rate(row: Result, way: str, amount: str) -> float | None:
    """GFLOP/s of `flops`, GB/s of `bytes`."""
    return row[amount] / row["ways"][way]["seconds"] / 1e9 if row.get(amount) else None


def memory(figures: Result) -> float:
    """The bytes that a process had while it did the work beyond what the library alone takes."""
    return max(0.0, figures.get("peak", 0) - figures.get("resident", 0))


def cost(figures: Result) -> str:
    """What a way costs beside time: compiling, if it takes any, and memory."""
    compiling = figures.get("compile", 0)
    parts = [seconds(compiling)] if compiling > 0.05 else []
    return ", ".join([*parts, size(memory(figures))] if figures.get("peak") else parts)


# --- units -----------------------------------------------------------------------------------------------------------


def digits(x: float) -> str:
    """Three digits, and no more than needed."""
    return f"{x:.0f}" if x >= 99.5 else f"{x:.1f}" if x >= 9.95 else f"{x:.2f}"


def ratio(x: float) -> str:
    """Three digits, of small numbers two."""
    return digits(x) if x >= 0.0995 else f"{x:.2g}"


def seconds(x: float) -> str:
    """A time with its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if x >= size * 0.9995:
            return f"{digits(x / size)} {unit}"
    return f"{digits(x * 1e9)} ns"


def size(x: float) -> str:
    """Bytes with their unit."""
    for unit, n in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if x >= n * 0.9995:
            return f"{digits(x / n)} {unit}"
    return f"{x:.0f} B"


def count(x: float) -> str:
    """A size on an axis: 1e6 for large round ones."""
    power = math.log10(x) if x > 0 else 0
    return f"1e{power:.0f}" if x >= 1000 and abs(power - round(power)) < 1e-9 else f"{x:g}"
