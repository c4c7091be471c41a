"""The terminal: a table that grows as rows are measured, how far the run is, and what it all means at the end."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from . import peers, views

NAME, CELL = 46, 17
NOW_AND_THEN = 60.0  # seconds between lines that say how far a run is, where no terminal shows it


def cell(row: dict[str, Any], way: str) -> str:
    """The time of a way, and of our best way over it; > marks where we are slower, ~ where there is no difference."""
    if way not in row["ways"]:
        return ("failed" if way in row.get("problems", {}) else "") + "  "
    text = views.seconds(row["ways"][way]["seconds"])
    found = views.against(row, way)
    return f"{text} {views.ratio(found['ratio']):>6}{views.MARKS[found['verdict']] or ' '}" if found else f"{text}  "


class Table:
    """Prints rows under a heading for each group, as they come."""

    def __init__(self, ways: list[str], say: Callable[[str], None] = print):
        self.say, self.group, self.ways = say, ("", ""), ways
        self.shown: list[str] = []

    def heading(self, row: dict[str, Any], ways: list[str]) -> None:
        """Name a group and its columns when it begins, or when others come in."""
        group = row["suite"], row["group"]
        if group != self.group or not set(ways) <= set(self.shown):
            self.group, self.shown = group, ways
            self.say("")
            self.say(f"{' / '.join(group):{NAME}}" + "".join(f"{views.label(way)[: CELL - 1]:>{CELL}}" for way in ways))

    def show(self, row: dict[str, Any]) -> None:
        """A row, and what went wrong with it."""
        present = {*row["ways"], *row.get("problems", {})}
        self.heading(row, [way for way in self.ways if way in present])
        cells = "".join(f"{cell(row, way):>{CELL}}" for way in self.shown)
        narrow = NAME + len(cells) > shutil.get_terminal_size((200, 24)).columns
        if narrow or len(row["name"]) > NAME - 2:
            self.say(f"  {row['name']}")
        self.say(
            f"{'' if narrow or len(row['name']) > NAME - 2 else '  ' + row['name']:{0 if narrow else NAME}}{cells}"
        )
        for way, problem in row.get("problems", {}).items():
            self.say(f"    {way}: {problem}")


def summary(run: dict[str, Any]) -> list[str]:
    """Means for each group, and how often who wins."""
    lines = []
    for peer in views.others(run["rows"]):
        counted = views.counts(run["rows"], peer)
        if not sum(counted.values()):
            continue
        told = ", ".join(f"{n} {name}" for name, n in counted.items())
        lines.append(f"\nour best way against {views.label(peer)}: {told}")
        for suite, group, mean, ratios in views.means(run["rows"], peer):
            text = f"{suite} / {group}"
            lines.append(f"  {text:60.60} geometric mean {mean:6.3f} of {len(ratios):3}, worst {max(ratios):.3f}")
    broken = sum(bool(row.get("problems")) for row in run["rows"])
    lines += costs(run)
    if broken:
        lines.append(f"\n{broken} rows in which something failed: see above, or `problems` in the file")
    return lines


def costs(run: dict[str, Any]) -> list[str]:
    """Compiling and memory of every way, and what our best way reaches of the machine, for rows that are whole steps."""
    rows = [row for row in run["rows"] if not row.get("axis") and row["suite"] != "ops" and row["ways"]]
    lines = []
    for (suite, group), members in views.groups(rows).items():
        ways = [way for way in views.columns(members) if any(way in row["ways"] for row in members)]
        cells = {row["name"]: [views.cost(row["ways"].get(way, {})) for way in ways] for row in members}
        if any(map(any, cells.values())):
            title = f"compiling and memory: {suite} / {group}"
            lines += ["", f"{title:{NAME}}" + "".join(f"{views.label(way)[: CELL - 1]:>{CELL}}" for way in ways)]
            lines += [
                f"  {name:{NAME - 2}.{NAME - 2}}" + "".join(f"{c:>{CELL}}" for c in cells[name]) for name in cells
            ]
    reached = [line for row in rows if (line := share(row, run["peaks"]))]
    return lines + (["", "of the machine's peaks, our best way:", *reached] if reached else [])


def share(row: dict[str, Any], peaks: dict[str, float]) -> str:
    """What is reached of the peaks that were measured in the same run; empty where no operations are counted."""
    way = views.best(row)
    found = views.shares(row, way, peaks) if way else {}
    units = {"arithmetic": ("flops", "GFLOP/s"), "memory": ("bytes", "GB/s")}
    told = [f"{views.digits(views.rate(row, way, units[n][0]) or 0)} {units[n][1]} ({100 * part:.0f} %)"
            for n, part in found.items()]  # fmt: skip
    return f"  {row['name']:{NAME - 2}.{NAME - 2}}  {', '.join(told)}; {views.limit(found)}" if told else ""


def about(run: dict[str, Any]) -> list[str]:
    """The machine, before anything is measured."""
    machine, found = run["machine"], run["peaks"]
    lines = [f"{machine['processor']}, {machine['vectors']}, {machine['cores']} cores, {machine['system']}"]
    lines.append(f"Python {machine['python']}, " + ", ".join(f"{k} {v}" for k, v in machine["versions"].items()))
    at = f"revision {run['revision'] or 'unknown'}, {run['threads']} threads"
    peaks = ", ".join(f"{value:.1f} {unit}" for unit, value in found.items() if unit != "threads")
    lines.append(at + (f", products of matrices and copies: {peaks}" if peaks else ""))
    lines += [f"  {views.label(way):14} {peers.way(way).settings}" for way in run["settings"]]
    return lines + [f"  {way:14} not installed" for way in run["absent"]]


class Progress:
    """How far a run is, on the standard error: by rich or tqdm where they are installed, in a plain line where they are not.

    Where nobody watches, a line now and then.
    """

    def __init__(self, total: int, file: Any = None):
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.file = file or sys.stderr
        self.watched, self.told = self.file.isatty(), self.start
        self.bar = (rich_bar(total) or tqdm_bar(total, self.file)) if self.watched else None

    def step(self, text: str) -> None:
        """One more is done; `text` is what comes next."""
        self.done += 1
        if self.bar:
            self.bar.step(text)
        elif self.watched:
            self.file.write(f"\r{self.plain()}")
            self.file.flush()
        elif time.monotonic() > self.told + NOW_AND_THEN:
            self.told = time.monotonic()
            print(self.plain(), file=self.file, flush=True)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.bar:
            return self.bar.say(text)
        if self.watched and self.done:
            self.file.write("\r" + " " * len(self.plain()) + "\r")
            self.file.flush()
        plain_line(text)

    def plain(self) -> str:
        """How far it is, in words."""
        spent = time.monotonic() - self.start
        left = spent / self.done * (self.total - self.done) if self.done else 0
        return f"{self.done} of {self.total} rows, {spent / 60:.1f} min spent, about {left / 60:.1f} min left"

    def close(self) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.close()


class Bar:
    """What rich and tqdm have in common here."""

    def __init__(self, step: Callable, say: Callable, close: Callable):
        self.step, self.say, self.close = step, say, close


def rich_bar(total: int) -> Bar | None:
    """A bar by rich."""
    if importlib.util.find_spec("rich") is None:
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=total)
    bar.start()
    above = lambda text: console.print(text, soft_wrap=True, markup=False, highlight=False)
    say = above if sys.stdout.isatty() else plain_line
    return Bar(lambda text: bar.update(task, advance=1, description=text[:60]), say, bar.stop)


def tqdm_bar(total: int, file: Any) -> Bar | None:
    """A bar by tqdm."""
    if importlib.util.find_spec("tqdm") is None:
        return None
    from tqdm import tqdm

    bar = tqdm(total=total, file=file, leave=False, dynamic_ncols=True)

    def step(text: str) -> None:
        bar.set_description_str(text[:60], refresh=False)
        bar.update()

    return Bar(step, lambda text: tqdm.write(text, file=sys.stdout), bar.close)


def plain_line(text: str) -> None:
    """A line on the standard output."""
    print(text, flush=True)
