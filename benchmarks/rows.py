"""What a benchmark is: one piece of work, how each library does it, and how much work it is.

A row is a declaration and costs nothing to make: nothing is imported, drawn or computed before a process that measures
it calls the function of one of its ways.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SUITES = "ops", "overhead", "train", "science", "scale"

Step = Callable[[], Any]  # does the work once; its results are compared before its time is taken
Make = Callable[[Any], Step]  # given a library (`benchmarks.peers`), gets everything ready


@dataclass(frozen=True)
class Row:
    """One comparison.

    `ways` says how each way that `peers.WAYS` names does the work.  The results of the first `checked` calls must be the
    same to within `tolerance` of the largest entry; where chance decides, `tolerance` is None and shapes must be the same.
    `flops` and `bytes` are what must be computed and moved at least.  A row with an `axis` is a point of the curve `series`,
    and `size` says where on it.  Rows of a `crew`, or of a group where they have none, share their processes unless they
    stand `apart`, as whole programs do.
    """

    suite: str
    group: str
    name: str
    ways: Mapping[str, Make]
    tolerance: float | None = 1e-4
    checked: int = 1
    flops: float | None = None
    bytes: float | None = None
    axis: str = ""
    size: float | None = None
    series: str = ""
    threads: int | None = None
    seconds: float = 1.0  # of measuring, all ways and rounds together
    block: float = 0.005  # seconds that each turn of a way goes on for, at least
    rounds: tuple[int, int] = (5, 15)  # at least, at most
    warm: int = 4  # calls before anything counts, at least: captures and compilers look at the first few
    crew: str = ""
    apart: bool = False
    images: bool = False  # libraries may prefer another layout of its arrays
    quick: bool = False  # is measured by --quick

    @property
    def program(self) -> bool:
        """Whether each call is a new process: it warms nothing up for the next, and its memory is not that of the worker."""
        return self.block == 0

    @property
    def key(self) -> str:
        """What `--row` looks for its text in."""
        return f"{self.suite} / {self.group} / {self.name}"


def alike(make: Make, *ways: str) -> dict[str, Make]:
    """All these ways do the same thing, with the library that they are given."""
    return dict.fromkeys(ways, make)


def declared(suites: Iterable[str] = SUITES) -> Iterator[Row]:
    """The rows of some suites, in order; a name with a dot is that of a module of one's own, with `rows()`."""
    for suite in suites:
        yield from importlib.import_module(suite if "." in suite else f"benchmarks.suites.{suite}").rows()


def chosen(rows: Iterable[Row], texts: Iterable[str] = (), quick: bool = False) -> list[Row]:
    """The rows in whose key one of the texts stands; of a quick run only those that are meant for it, unless named."""
    texts = list(texts)
    if texts:
        return [row for row in rows if any(text.lower() in row.key.lower() for text in texts)]
    return [row for row in rows if row.quick or not quick]
