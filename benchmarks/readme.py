"""`python -m benchmarks readme`: the tables of README.md and docs/ that are marked, written from result files.

    <!-- benchmarks: table train -->
    (written here)
    <!-- end of benchmarks -->

Of each suite the last run that has it is taken; a machine may be that of several.  What can stand there is in TABLES.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import method, views
from .rows import SUITES

ROOT = Path(__file__).parent.parent
DOCUMENTS = "README.md", "docs/performance.md"
PLACE = re.compile(r"^\w+: | \(\S+:\d+\)$")  # of what goes before and after the words of a problem
MARK = re.compile(r"<!--\s*(?:end of )?benchmarks\b.*?-->")
MARKED = re.compile(r"(<!-- benchmarks: ([\w ]+?) -->\n)(.*?)(<!-- end of benchmarks -->)", re.DOTALL)

Run = dict[str, Any]


def grid(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *lines])


def cell(row: views.Result, way: str) -> str:
    """A time; beside a peer's, our best time over it, bold where we are slower, ~ where there is no difference."""
    if way not in row["ways"]:
        return "failed" if way in row.get("problems", {}) else ""
    text = views.seconds(row["ways"][way]["seconds"])
    found = views.against(row, way)
    return f"{text} ({ratio(found)})" if found else text


def ratio(found: dict[str, Any]) -> str:
    """A ratio as tables have it."""
    if found["verdict"] == method.SAME:
        return f"~{views.ratio(found['ratio'])}"
    text = views.ratio(found["ratio"])
    return f"**{text}**" if found["verdict"] == method.SLOWER else text


def table(run: Run) -> str:
    """Every row that is no point of a curve."""
    parts = []
    for (_, group), rows in views.groups(row for row in run["rows"] if not row.get("axis")).items():
        ways, broken = measured(rows)
        lines = [[row["name"], *(cell(row, w) for w in ways)] for row in rows]
        failed = "".join(f"\nFailed in every row: {views.label(way)}{reason(rows, way)}.\n" for way in broken)
        parts.append(grid([group, *map(views.label, ways)], lines) + failed)
    return "\n".join(parts)


def reason(rows: list[views.Result], way: str) -> str:
    """Why, if it is the same everywhere."""
    told = {row["problems"][way] for row in rows if way in row.get("problems", {})}
    return f" ({PLACE.sub('', told.pop())})" if len(told) == 1 else ""


def measured(rows: list[views.Result]) -> tuple[list[str], list[str]]:
    """The ways of some rows that any of them has a time for, and those that failed wherever they were tried."""
    ways = views.columns(rows)
    found = [w for w in ways if any(w in row["ways"] for row in rows)]
    return found, [w for w in ways if w not in found]


def curves(run: Run) -> str:
    """Our best time over each peer's, by size: a line for each curve and peer."""
    parts = []
    everything = views.curves(run["rows"])
    for group in dict.fromkeys(key[1] for key in everything):
        found = {key[2]: points for key, points in everything.items() if key[1] == group}
        sizes = sorted({p["size"] for points in found.values() for p in points})
        lines = []
        for series, points in found.items():
            at = {p["size"]: p for p in points}
            for peer in views.others(points):
                compared = [views.against(at[n], peer) if n in at else None for n in sizes]
                lines.append([f"{series} / {views.label(peer)}", *(ratio(c) if c else "" for c in compared)])
        parts.append(grid([group, *map(views.count, sizes)], lines))
    return "\n".join(parts)


def growth(run: Run) -> str:
    """Time and memory of every way, by size."""
    parts = []
    for (_, group, _), points in views.curves(run["rows"]).items():
        lines = []
        for way in views.columns(points):
            cells = [p["ways"].get(way) for p in points]
            shown = [f"{views.seconds(f['seconds'])}, {views.size(views.memory(f))}" if f else "" for f in cells]
            lines.append([views.label(way), *shown])
        parts.append(grid([f"{group}, {points[0]['axis']}", *(views.count(p["size"]) for p in points)], lines))
    return "\n".join(parts)


def means(run: Run) -> str:
    """The geometric mean of our best time over a peer's, for each group."""
    peers_, groups = views.others(run["rows"]), list(dict.fromkeys(row["group"] for row in run["rows"]))
    found = {(group, peer): mean for peer in peers_ for _, group, mean, _ in views.means(run["rows"], peer)}
    shown = [[views.ratio(found[g, p]) if (g, p) in found else "" for p in peers_] for g in groups]
    return grid(
        ["here over", *map(views.label, peers_)], [[g, *cells] for g, cells in zip(groups, shown) if any(cells)]
    )


def limits(run: Run) -> str:
    """What our best way reaches, in parts of the peaks that were measured in the same run, and what takes the time.

    Of curves the largest point.
    """
    lines = []
    largest = [points[-1] for points in views.curves(run["rows"]).values()]
    for row in [row for row in run["rows"] if not row.get("axis") or row in largest]:
        way = views.best(row)
        if not way or not (found := views.shares(row, way, run["peaks"])):
            continue
        rates = [views.rate(row, way, amount) for amount in ("flops", "bytes")]
        shown = [
            f"{views.digits(r)} ({100 * found[n]:.0f} %)" if r else "" for r, n in zip(rates, ("arithmetic", "memory"))
        ]
        lines.append([row["name"], views.label(way), *shown, views.limit(found)])
    head = ["", "way", "GFLOP/s (of peak)", "GB/s (of peak)", "limited by"]
    return grid(head, lines)


def costs(run: Run) -> str:
    """Seconds of compiling, and memory while a step runs, of every way."""
    parts = []
    for (_, group), rows in views.groups(row for row in run["rows"] if not row.get("axis")).items():
        ways, _ = measured(rows)
        lines = []
        for row in rows:
            figures = [row["ways"].get(way) for way in ways]
            lines.append([row["name"], *(views.cost(f) if f else "" for f in figures)])
        parts.append(grid([group, *map(views.label, ways)], lines))
    return "\n".join(parts)


def machine(run: Run) -> str:
    """Where and when it was measured."""
    about, peaks = run["machine"], run["peaks"]
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items() if k != "llvmlite")
    vectors = f", {about['vectors']}" if about["vectors"] else ""
    text = f"{about['processor']}{vectors}, {run['threads']} threads; Python {about['python']}, {versions};"
    text += f" {run['time'][:10]}, revision {run['revision']}{', a quick run' if run['quick'] else ''}."
    if "GFLOP/s" in peaks:
        text += f" Products of float32 matrices reach {peaks['GFLOP/s']:.0f} GFLOP/s there, copies {peaks['GB/s']:.0f} GB/s."
    return wrapped(text)


def wrapped(text: str, width: int = 118) -> str:
    """Lines of a document."""
    lines = [""]
    for word in text.split():
        lines.append(word) if len(lines[-1]) + len(word) >= width else lines.append(f"{lines.pop()} {word}".strip())
    return "\n".join(lines) + "\n"


TABLES: dict[str, Callable[[Run], str]] = {
    "machine": machine,
    "table": table,
    "curves": curves,
    "growth": growth,
    "means": means,
    "limits": limits,
    "costs": costs,
}


class NoSuchTable(Exception):
    """A document asks for what there is not; the message says what there is."""


def rewritten(text: str, runs: list[Run], pick: Callable[[list[Run], str], Run | None]) -> str:
    """A document with its marked tables written anew; those of suites that no run has stay as they are."""

    def written(found: re.Match) -> str:
        kind, *suites = found[2].split()
        if kind not in TABLES or not suites or not set(suites) <= set(SUITES) or len(suites) > 1 and kind != "machine":
            needs = f"a table is one of {', '.join(TABLES)}, and a suite: {', '.join(SUITES)}"
            raise NoSuchTable(f"<!-- benchmarks: {found[2]} -->: {needs}")
        picked = [run for suite in suites if (run := pick(runs, suite)) is not None]
        once = {run["time"]: run for run in picked}.values()
        return f"{found[1]}\n{chr(10).join(map(TABLES[kind], once))}\n{found[4]}" if picked else found[0]

    marks = len(MARK.findall(text))
    if marks != 2 * len(MARKED.findall(text)):
        raise NoSuchTable(
            "a mark is misspelt or has no end: <!-- benchmarks: TABLE SUITE -->, and <!-- end of benchmarks --> below"
        )
    return MARKED.sub(written, text)
