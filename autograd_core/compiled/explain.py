"""What a replay is made of: a row for each kernel, with what was fused into it, its work, its time, and how good that is."""

from __future__ import annotations

import functools
import linecache
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..kernels import matmul as products
from .emit import Source, sequence, without_memory
from .program import OUTER, Array, Call

RUNS = 5  # of which the quickest counts
NAMES = 46  # letters for what is in a kernel
DRY = {"overwrite", "clone", "cast", "broadcast_to", "getitem", "gather"}  # that move entries and compute nothing


class Row(NamedTuple):
    """One kernel of a replay."""

    kernel: str
    parts: tuple[str, ...]  # the ops in it
    bytes: int  # that it reads and writes
    flops: int
    seconds: float
    line: str  # of the user's code


def rows(replay: Any) -> list[Row]:
    """The kernels of a replay in order, timed by running it on what it was last given; nothing is changed by that."""
    found = []
    with replay.lock, as_it_was(replay):
        for part, run in stages(replay):
            seconds = timed(part, run)
            found += [row(call, t) for call, t in zip(part.program.calls, seconds)]
    return found


def row(call: Call, seconds: float) -> Row:
    """What is to be said of one call."""
    parts = tuple(call.settings.get("names", ()))
    members = call.settings.get("members", ())
    parts = parts or tuple(c.op.name for c in members) or (call.op.name, *["relu"] * ("activation" in call.settings))
    return Row(call.op.name, parts, traffic(call), work(call), seconds, call.line)


def traffic(call: Call) -> int:
    """The bytes of all that a call reads and writes."""
    of = lambda arrays: sum(a.size * a.dtype.itemsize for a in dict.fromkeys(arrays))
    return of(call.reads) + of(call.changes)


def work(call: Call) -> int:
    """About how many operations on numbers a call takes."""
    name, sizes = call.op.name, [a.size for a in (*call.reads, *call.changes)] or [0]
    arrays = [a for a in call.args if isinstance(a, Array)]
    if name in ("matmul", "linear", "linear_product"):
        return 2 * call.results[0].size * arrays[0].shape[-1]
    if name.startswith("convolve"):
        w = {"convolve": 1, "convolve_input": 1}.get(name)
        shape = arrays[w].shape if w else call.results[0].shape
        y = call.results[0] if name == "convolve" else arrays[0]
        return int(2 * y.size * np.prod(shape[1:]))
    if name.startswith("attend"):
        q, k = (arrays[0], arrays[1]) if name == "attend" else (arrays[3], arrays[4])
        return (4 if name == "attend" else 10) * q.size * k.shape[-2]
    if name in DRY:
        return 0
    return max(sizes) * max(len(call.settings.get("names", ())), 1)


# --- timing ----------------------------------------------------------------------------------------------------------


def timed(part: Any, run: Callable) -> list[float]:
    """The least time each call of a program took."""
    calls, source = part.program.calls, Source(part.memory)
    found = [float("inf")] * len(calls)
    text = "def timed(clock, took):\n    begin = clock()\n"
    for k, call in enumerate(calls):
        before = len(source.lines)
        source.add([*sequence([call], [without_memory(call)])])
        lines = [*source.lines[before:], f"took({k}, clock() - begin)", "begin = clock()"]
        text += "".join(f"    {line}\n" for line in lines)
    file = f"<timed {id(source):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), source.scope)
    for _ in range(RUNS):
        run(lambda: source.scope["timed"](time.perf_counter, functools.partial(keep_least, found)))
    return found


def keep_least(found: list[float], k: int, seconds: float) -> None:
    """Note a time, if it is the least."""
    found[k] = min(found[k], seconds)


def stages(replay: Any) -> Iterator[tuple[Any, Callable]]:
    """The programs of a replay, and how each is run by what runs its lines."""
    halves = replay.back.halves
    if halves is None:
        yield replay.part, lambda lines: lines()
        return
    forward, backward = halves.forward, halves.backward
    frame = forward.begin()
    for a, place in zip(forward.placed.program.inputs, forward.inputs):
        np.copyto(place, a.block.owner)
    yield forward.placed, lambda lines: lines()
    if backward is not None:
        forward.run(frame)
        homes = backward.begin(frame)
        for a, place in zip(backward.placed.program.inputs, backward.inputs):
            np.copyto(place, a.block.owner)
        yield backward.placed, lambda lines: lines()
        del homes


@contextmanager
def as_it_was(replay: Any) -> Iterator[None]:
    """Leave everything from outside, and all results that somebody may hold, as they were."""
    places = [replay.part.memory.placed[b] for b in ends(replay)]
    owners = [b.owner for part in replay.parts() for c in part.program.calls for b in outside(c)]
    held = [(a, a.copy()) for a in {id(a): a for a in (*places, *owners)}.values()]
    try:
        yield
    finally:
        for a, value in held:
            np.copyto(a, value)


def outside(call: Call) -> list:
    """The blocks from outside that a call changes."""
    return [a.block for a in call.changes if a.block.kind == OUTER]


def ends(replay: Any) -> list:
    """The blocks of results and arguments in the memory of one program."""
    if replay.back.halves is not None:
        return []
    program, placed = replay.part.program, replay.part.memory.placed
    return [a.block for a in (*program.inputs, *program.outputs) if a.block.kind != OUTER and a.block in placed]


# --- printing --------------------------------------------------------------------------------------------------------


@functools.cache
def peaks() -> tuple[float, float]:
    """What this machine can do at best: operations and bytes in a second."""
    a = np.random.default_rng(0).random((768, 768), np.float32)
    x, y = np.ones(1 << 22, np.float32), np.empty(1 << 22, np.float32)
    return 2 * 768**3 / quickest(lambda: products.two(a, a)), 2 * x.nbytes / quickest(lambda: np.copyto(y, x))


def quickest(run: Callable) -> float:
    """The least time that something takes."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def share(r: Row) -> float:
    """How much of what the machine can do a kernel gets, in what limits it."""
    flops, width = peaks()
    return max(r.flops / flops, r.bytes / width) / r.seconds if r.seconds else 0.0


def table(replay: Any, name: str) -> str:
    """All kernels of a replay in a table."""
    found = rows(replay)
    total = sum(r.seconds for r in found) or 1.0
    lines = [f"{name}: {len(found)} kernels of {sum(len(r.parts) for r in found)} operations, {total * 1e6:.0f} us"]
    lines.append(f"{'kernel':<22}{'us':>9}{'%':>5}{'KB':>10}{'MFLOP':>10}{'of peak':>9}  what is in it")
    for r in found:
        amounts = f"{r.seconds * 1e6:>9.1f}{100 * r.seconds / total:>5.0f}{r.bytes / 1e3:>10.1f}{r.flops / 1e6:>10.3f}"
        lines.append(
            f"{r.kernel:<22}{amounts}{100 * share(r):>8.0f}%  {shortened(r.parts)}  {place_of(r.line)}".rstrip()
        )
    return "\n".join(lines)


def shortened(parts: tuple[str, ...]) -> str:
    """The names of ops, those in a row that are the same counted."""
    said: list[list] = []
    for p in parts:
        if said and said[-1][0] == p:
            said[-1][1] += 1
        else:
            said.append([p, 1])
    text = " ".join(p if n == 1 else f"{n}x{p}" for p, n in said)
    return text if len(text) <= NAMES else f"{text[: NAMES - 3]}..."


def place_of(line: str) -> str:
    """The file, without its folders, and the line."""
    return line.split("; ")[0].split(" in ")[0].rpartition(os.sep)[2]


def debugged(replay: Any, name: str) -> None:
    """Print as much of a replay as AG_DEBUG asks for: 1 the operations, 2 the memory, 3 the kernels, 4 the source."""
    asked = os.environ.get("AG_DEBUG") or "0"
    if not asked.isdecimal():
        raise ValueError(f"AG_DEBUG={asked}: needs 1 (operations), 2 (memory), 3 (kernels) or 4 (source)")
    level = int(asked)
    if level < 1:
        return
    say = functools.partial(print, file=sys.stderr)
    for part in replay.parts():
        say(f"--- {name}: {len(part.program.calls)} calls")
        for call in part.program.calls:
            say(f"{described(call)}  {place_of(call.line)}")
    if level >= 2:
        say("\n\n".join(part.memory.described() for part in replay.parts()))
    if level >= 3:
        say(table(replay, name))
    if level >= 4:
        say("\n".join(part.source.text for part in replay.parts()))


def described(call: Call) -> str:
    """A call in a line: what it makes of what."""
    form = lambda a: f"{a.dtype.char}{list(a.shape)}" if isinstance(a, Array) else f"{a!r:.20}"
    parts = call.settings.get("names")
    name = f"{call.op.name}({shortened(tuple(parts))})" if parts else call.op.name
    return f"{', '.join(map(form, call.changes)) or '-':<24} = {name} of {', '.join(map(form, call.args))}"
