"""Loops of many steps over rows of entries, made from text: what a captured program does entry by entry, in one pass.

An operand is *full* (an entry for each), a *row* (one row for all), a *column* (one entry for each row), a *cycle* (the
same for rows so many apart, as the channels of images), a *group* (a row for as many neighbouring ones as there are to
each), *one* (one entry for all) or *number* (given with the call).
Steps are those of `elementwise`, each rounded by itself: a program gives what its ops give one by one.  Values may also
be summed: a run of them in memory that stays in the cache, then the sums of runs, then those of chunks, which are where
they are for any number of threads.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._jit import Late, generated, kernel
from .channels import affine
from .elementwise import CONSTANTS, MOST, SCOPE, turns

blank, entries, recorded = Late("_values", "blank"), Late("_borrowed", "entries"), Late("_borrowed", "recorded")
for_chunks = Late("_native", "for_chunks")
RUN = 2048  # values that are summed as they come
FULL, ROW, COLUMN, CYCLE, GROUP, ONE, NUMBER = "full", "row", "column", "cycle", "group", "one", "number"


class Nest(NamedTuple):
    """What to do to each entry."""

    char: str  # the type of numbers; truth values are told by the kinds
    operands: tuple[tuple[str, str], ...]  # how each lies, and the character of its type: x0, x1, ...
    steps: tuple[str, ...]
    stores: tuple[tuple[str, str, int | None], ...]  # what is kept, its type, and the operand it overwrites, if one
    totals: tuple[tuple[str, float], ...] = ()  # what is summed, and what the sum is divided by

    @property
    def by_rows(self) -> bool:
        """Whether rows and the entries in them are told apart."""
        return any(kind in (ROW, COLUMN, CYCLE, GROUP) for kind, _ in self.operands)

    def source(self) -> str:
        """The loop over a chunk: of rows, or of entries if these are all in one."""
        names = [f"x{k}" for k in range(len(self.operands))]
        outs = [f"y{k}" for k, (_, _, over) in enumerate(self.stores) if over is None]
        sums = range(len(self.totals))
        given = ["grain"] * bool(sums) + ["rows", "columns", *(f"{n}s" for n in names + outs), *(f"p{k}" for k in sums)]
        lines = [f"def chunk(begin, end, {', '.join(given)}):"]
        lines += [f"    {n} = number({v})" for n, v in CONSTANTS.items()]
        of_kind = lambda *kinds: [n for n, (kind, _) in zip(names, self.operands) if kind in kinds]
        lines += [f"    {n} = number({n}s)" for n in of_kind(NUMBER)] + [f"    {n} = {n}s[0]" for n in of_kind(ONE)]
        through = turns(self.steps)
        lines += [f"    s{k}, b{k} = zero, blank(number(0), {'columns' if self.by_rows else RUN})" for k in sums]
        full = of_kind(FULL) + outs
        if self.by_rows:
            lines += ["    for r in range(end - begin):", "        first = (begin + r) * columns"]
            lines += [f"        {n}r = {n}s[first:first + columns]" for n in full]
            lines += [f"        {n} = {n}s[begin + r]" for n in of_kind(COLUMN)]
            lines += [f"        {n} = {n}s[(begin + r) % len({n}s)]" for n in of_kind(CYCLE)]
            lines += [f"        {n}r = {n}s[0:columns]" for n in of_kind(ROW)]
            for n in of_kind(GROUP):
                lines.append(f"        place = (begin + r) // (rows // (len({n}s) // columns)) * columns")
                lines.append(f"        {n}r = {n}s[place:place + columns]")
            lines += ["        for i in range(columns):"]
        elif sums:
            lines += [f"    for low in range(begin, end, {RUN}):", f"        columns = min({RUN}, end - low)"]
            lines += [f"        {n}r = {n}s[low:low + columns]" for n in full]
            lines += [f"        for i in {through}(columns):"]
        else:
            lines += [f"    {n}r = {n}s[begin:end]" for n in full]
            lines += [f"    for i in {through}(len({full[0]}r)):"]
        indent = "            " if self.by_rows or sums else "        "
        lines += [f"{indent}{n} = {n}r[i]" for n in of_kind(FULL, ROW, GROUP)]
        lines += [f"{indent}{step}" for step in self.steps]
        for k, (value, _, over) in enumerate(self.stores):
            lines.append(f"{indent}{f'y{k}' if over is None else f'x{over}'}r[i] = {value}")
        lines += [f"{indent}b{k}[i] = {value}" for k, (value, _) in enumerate(self.totals)]
        lines += [f"        s{k} += added(b{k}, columns)" for k in sums]
        lines += [f"    p{k}[begin // grain] = s{k}" for k in sums]
        return "\n".join([*lines, ""])


@kernel(name="run_total", written=True)
def added(b, n):
    """The sum of the first n entries."""
    total = b.dtype.type(0)
    for i in range(n):
        total += b[np.uint64(i)]
    return total


ZEROS = {"f": np.float32(0), "d": np.float64(0), "?": np.bool_(False)}


@functools.cache
def nest(described: Nest) -> Callable:
    """The kernel of a nest: f(pool, rows, grain, columns, operands and stores as records, or as numbers)."""
    source, char = described.source(), described.char
    number = np.float32 if char == "f" else np.float64
    scope: dict[str, Any] = {**SCOPE, "number": number, "blank": blank, "added": added, "affine": affine}
    name = f"nest_{hashlib.sha256((source + char + repr(described)).encode()).hexdigest()[:16]}"
    chunk = kernel(generated(source, name, scope), fastmath=(), name=name, written=True)
    names = [f"x{k}" for k in range(len(described.operands))]
    outs = [(f"y{k}", char) for k, (_, char, over) in enumerate(described.stores) if over is None]
    sums = [(f"p{k}", f"r{k}", divisor) for k, (_, divisor) in enumerate(described.totals)]
    sizes = {FULL: "rows * columns", ROW: "columns", COLUMN: "rows", ONE: "1"}
    like = {"f": "f", "d": "d", "?": "b"}
    given = ["grain"] * bool(sums) + ["rows", "columns"]
    given += [as_array(n, kind, like[char], sizes) for n, (kind, char) in zip(names, described.operands)]
    given += [f"entries({like[char]}, {n}, rows * columns)" for n, char in outs] + [p for p, *_ in sums]
    parameters = [*names, *(n for n, _ in outs), *(r for _, r, _ in sums)]
    lines = [f"def whole(pool, rows, grain, columns, {', '.join(parameters)}):"]
    lines += ["    count = (rows + grain - 1) // grain"] * bool(sums)
    lines += [f"    {p} = blank(number(0), count)" for p, *_ in sums]
    lines += ["    if rows <= grain:", f"        chunk(0, rows, {', '.join(given)})"]
    lines += ["    else:", f"        for_chunks(pool, chunk, rows, grain, ({', '.join(given)}))"]
    lines += [f"    entries({char}, {r}, 1)[0] = added({p}, count) / number({divisor})" for p, r, divisor in sums]
    scope = {"chunk": chunk, "entries": entries, "recorded": recorded, "for_chunks": for_chunks, "__name__": __name__}
    scope |= {"f": ZEROS["f"], "d": ZEROS["d"], "b": ZEROS["?"], "blank": blank, "number": number, "added": added}
    whole = generated("\n".join([*lines, ""]), f"{name}_whole", scope)
    letters = "iiii" + "".join("d" if kind == NUMBER else "a" for kind, _ in described.operands)
    return kernel(whole, numbers=letters + "a" * (len(outs) + len(sums)), name=f"{name}_whole", written=True)


def as_array(name: str, kind: str, like: str, sizes: dict[str, str]) -> str:
    """How an operand is handed on to the loop."""
    if kind == NUMBER:
        return name
    return f"recorded({like}, (0,), {name})" if kind in (CYCLE, GROUP) else f"entries({like}, {name}, {sizes[kind]})"


def grain_of(rows: int, columns: int) -> int:
    """How many rows a thread takes at a time."""
    return max(MOST // max(columns, 1), 1) if columns > 1 else MOST
