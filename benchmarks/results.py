"""Result files: what was measured, where, with what; two of them beside each other; one line for each run in a history."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import method, views

FORMAT = 1
STORED = Path(__file__).parent / "results"


class Unreadable(Exception):
    """A file is no result file; the message says which and why."""


class Unwritable(Exception):
    """A file cannot be written; the message says which and why."""


def rounded(value: Any) -> Any:
    """The same with numbers of five digits: the next ones are noise."""
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        near = float(f"{value:.5g}")
        return near if math.isfinite(near) else None
    return value


def save(run: dict[str, Any], path: str | Path) -> None:
    """Write a run, a row to a line; the file is replaced whole or not at all."""
    head = {name: value for name, value in run.items() if name != "rows"}
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rounded(run["rows"]))
    text = json.dumps(rounded(head), indent=1, ensure_ascii=False)[:-2] + f',\n "rows": [\n{rows}\n]\n}}\n'
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(text)
    beside.replace(path)


def load(path: str | Path) -> dict[str, Any]:
    """Read a run."""
    try:
        run = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}") from None
    rows = run.get("rows") if isinstance(run, dict) and run.get("format") == FORMAT else None
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and {"suite", "group", "name", "ways"} <= r.keys() for r in rows
    ):
        raise Unreadable(f"{path}: not a result file of `python -m benchmarks --json` (format {FORMAT})")
    return run


def stored(paths: Iterable[str | Path] = ()) -> list[dict[str, Any]]:
    """The runs in these files, or in all that are kept with the sources, oldest first."""
    found = [load(path) for path in list(paths) or sorted(STORED.glob("*.json"))]
    return sorted(found, key=lambda run: run["time"])


def suite(runs: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The last run with rows of a suite, with these rows alone."""
    for run in reversed(runs):
        if rows := [row for row in run["rows"] if row["suite"] == name]:
            return {**run, "rows": rows}
    return None


def remember(run: dict[str, Any], path: str | Path) -> None:
    """Add a line to a history: the machine, the versions, the revision, and a median for each way of each row."""
    kept = {name: run[name] for name in ("time", "revision", "quick", "threads", "machine", "peaks")}
    kept["rows"] = {
        f"{row['suite']} / {row['group']} / {row['name']}": {way: f["seconds"] for way, f in row["ways"].items()}
        for row in run["rows"]
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(rounded(kept), ensure_ascii=False) + "\n")


# --- two runs --------------------------------------------------------------------------------------------------------


def by_key(run: dict[str, Any]) -> dict[tuple, dict[str, Any]]:
    """Rows by what they are called."""
    return {(row["suite"], row["group"], row["name"]): row for row in run["rows"]}


def agreement(a: dict[str, Any], b: dict[str, Any]) -> tuple[int, list[str]]:
    """How many comparisons two runs share, and those in which one says faster and the other slower."""
    first, second, shared, contrary = by_key(a), by_key(b), 0, []
    for key in first.keys() & second.keys():
        for ours, compared in first[key].get("ratios", {}).items():
            for peer, found in compared.items():
                other = second[key].get("ratios", {}).get(ours, {}).get(peer)
                shared += other is not None
                if other and {found["verdict"], other["verdict"]} == {method.FASTER, method.SLOWER}:
                    contrary.append(f"{' / '.join(key)}: {ours} against {peer}")
    return shared, sorted(contrary)


def compare(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """What two runs have to say to each other: times of b over those of a where their quartiles are apart, and agreement."""
    lines, ratios, same = [], [], 0
    first, second = by_key(a), by_key(b)
    for key in [key for key in first if key in second]:
        for way in [way for way in first[key]["ways"] if way in second[key]["ways"]]:
            x, y = first[key]["ways"][way], second[key]["ways"][way]
            ratios.append(y["seconds"] / x["seconds"])
            apart = y["low"] > x["high"] or y["high"] < x["low"]
            same += not apart
            if apart:
                change = f"{views.seconds(x['seconds']):>9} -> {views.seconds(y['seconds']):>9}  {ratios[-1]:6.2f}"
                lines.append(f"{change}  {way:14} {' / '.join(key)}")
    head = f"{len(ratios)} times in both, geometric mean of the second over the first"
    mean = statistics.geometric_mean(ratios) if ratios else math.nan
    shared, contrary = agreement(a, b)
    told = f"who wins: {shared} comparisons in both, {len(contrary)} contrary"
    told += f" ({100 * (1 - len(contrary) / shared):.1f} % agree)" if shared else ""
    missing = [f"only in the {n}: {' / '.join(key)}" for n, x, y in (("first", first, second), ("second", second, first))
               for key in x if key not in y]  # fmt: skip
    apart = sorted(lines, key=lambda line: float(line.split("->")[1].split()[2]))
    return [f"{head}: {mean:.3f}; {same} without a difference", *apart, told, *contrary, *missing]
