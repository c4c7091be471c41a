"""Rows, one after another: each way in a process of its own, all in turn; what is broken is noted and left out."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import method, peers
from .process import Crew, Process
from .rows import Row

QUICK, FEWEST = 0.25, 4  # of the seconds of a row; rounds, in a quick run
SLOWEST = 3  # rounds, if one takes more than a second
PATIENCE = 180.0  # seconds that a way may take to get a row ready
DISTURBED = 8.0  # times as long as alone
LONG = 60.0  # seconds that a turn may take


@dataclass
class Plan:
    """What is measured: rows, by which ways, on how many threads, from which trees (by revision)."""

    rows: list[Row]
    ways: list[str]
    threads: int
    quick: bool = False
    trees: dict[str, Path] = field(default_factory=dict)
    patience: float = PATIENCE

    def ways_of(self, row: Row) -> list[str]:
        """The ways in which a row is done, ours first."""
        return [way for way in self.ways if way.partition("@")[0] in row.ways]


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(plan: Plan, note: Callable[[dict[str, Any]], None]) -> None:
    """Measure the rows; `note` is given each as soon as it is known, so that nothing is lost if the run is interrupted."""
    for group in together(plan.rows):
        crew = Crew(group[0].threads or plan.threads, plan.trees)
        try:
            for row in group:
                note(measured(row, crew, plan))
        finally:
            crew.dismiss()


def together(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows that share processes."""
    share = lambda row: row.key if row.apart else (row.suite, row.crew or row.group, row.threads)
    for _, group in itertools.groupby(rows, share):
        yield list(group)


def measured(row: Row, crew: Crew, plan: Plan) -> dict[str, Any]:
    """What is known of a row once it has been measured."""
    ways, start = plan.ways_of(row), time.perf_counter()
    problems = crew.gather(ways, plan.patience)
    ready = opened(row, [way for way in ways if way not in problems], crew, problems, plan)
    wrong = disagreeing(row, ready)
    problems |= wrong
    times = rounds(row, [way for way in ready if way not in wrong], ready, crew, problems, plan.quick)
    for way in [way for way in times if not row.program and disturbed(times[way], ready[way]["call"])]:
        least, alone = min(times.pop(way)), ready[way]["call"]
        problems[way] = f"takes {least / alone:.0f} times as long in turns as it took alone: something else was running"
    found = {way: figures(seconds, ready[way]) for way, seconds in times.items()}
    for way in found:
        with crew.careful(way, problems):
            if not row.program:
                found[way] |= crew.processes[way].ask("memory", timeout=LONG + 20 * found[way]["seconds"])
            crew.processes[way].ask("close", timeout=LONG)
    known = {"suite": row.suite, "group": row.group, "name": row.name, "ways": found, "ratios": ratios(times)}
    work = next((ready[way]["work"] for way in ready if ready[way]["work"]), {})
    known |= {"flops": row.flops, "bytes": row.bytes} | work
    known |= {"axis": row.axis, "size": row.size, "series": row.series, "threads": crew.threads, "problems": problems}
    known["took"] = time.perf_counter() - start
    return {name: value for name, value in known.items() if value not in (None, "", {})} | {"ways": found}


def opened(row: Row, ways: list[str], crew: Crew, problems: dict[str, str], plan: Plan) -> dict[str, dict[str, Any]]:
    """What each way tells of the row, once it is ready.

    One after another, so that compiling is timed alone; of a crew, of whose rows it is not told, all at once but those that
    try settings.
    """
    ready: dict[str, dict[str, Any]] = {}
    order = row.suite, row.key, row.block
    early = [way for way in ways if row.crew and not peers.way(way).tries]
    for way in early:
        with crew.careful(way, problems):
            crew.processes[way].tell("open", *order)
    for way in [*early, *(way for way in ways if way not in early)]:
        if way in problems:
            continue
        with crew.careful(way, problems):
            process = crew.processes[way]
            ready[way] = (
                process.answer(plan.patience) if way in early else process.ask("open", *order, timeout=plan.patience)
            )
            ready[way]["resident"] = process.about["resident"]
    return {way: ready[way] for way in ways if way in ready}


def disagreeing(row: Row, ready: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The ways whose results are not those of most others, or of the first if as many say so, and how they differ."""
    results = {way: told.pop("results") for way, told in ready.items()}
    found: dict[str, str] = {}
    most = len(results) + 1
    for judge in results:  # the first of those with whom most agree
        differ = {way: method.difference(results[judge], result, row.tolerance) for way, result in results.items()}
        told = {way: f"not the result of {judge}: {text}" for way, text in differ.items() if text}
        if len(told) < most:
            found, most = told, len(told)
        if not found:
            break
    return found


def rounds(
    row: Row, ways: list[str], ready: dict[str, Any], crew: Crew, problems: dict[str, str], quick: bool
) -> dict[str, list[float]]:
    """Seconds per call of each way in each round; a way that fails is left out from then on, with its times."""
    least, most = row.rounds
    seconds = row.seconds * (QUICK if quick else 1)
    turn = sum(ready[way]["turn"] for way in ways) or 1
    least = min(least, FEWEST if quick else least, SLOWEST if turn > 1 else least)
    count = method.rounds_within(seconds, turn, least, most)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for k in range(count):
        for i in method.order(len(ways), k):
            if ways[i] in times:
                with crew.careful(ways[i], problems):
                    times[ways[i]].append(crew.processes[ways[i]].ask("turn", timeout=LONG))
                if ways[i] in problems:
                    del times[ways[i]]
    return times


def disturbed(times: list[float], alone: float) -> bool:
    """Whether every round took far longer than the work had taken before them: no figures of the work then."""
    return min(times) > DISTURBED * alone + 5e-4


def figures(times: list[float], told: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a way."""
    low, middle, high = method.quartiles(times)
    kept = {"seconds": middle, "low": low, "high": high, "rounds": len(times)}
    kept |= {name: told[name] for name in ("first", "compile", "resident", "settings") if told.get(name)}
    return kept


def ratios(times: dict[str, list[float]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Ours over theirs: every way of ours over every other's; this tree's over the same way at another revision."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for ours in peers.OURS:
        for other in times:
            same = other.startswith(f"{ours}@") or (other.partition("@")[0] not in peers.OURS)
            if ours in times and other != ours and same:
                found.setdefault(ours, {})[other] = method.compared(times[ours], times[other])
    return found


def peaks(threads: int) -> dict[str, float]:
    """What the machine can do, measured in a process of its own; nothing if that fails."""
    crew, problems = Crew(threads), {}  # type: ignore[var-annotated]
    found: dict[str, float] = {}
    try:
        crew.processes["ours"] = Process("ours", threads)
        with crew.careful("ours", problems):
            found = crew.processes["ours"].ask("peaks", timeout=PATIENCE)
    finally:
        crew.dismiss()
    return found
