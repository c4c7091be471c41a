"""The same work here and in other libraries, measured in turn in one run, its results compared first.

suites (all, if none is named):
  ops        kernels and ops, by size and shape
  overhead   tiny operations, a long tape, the import, the start; on one thread
  train      whole training steps, from the smallest network to a ResNet and a GPT
  science    differential equations, Hessians, Jacobians, implicit functions, least squares
  scale      time and memory as batch, width, depth, sequence, tape or threads grow

Libraries that are not installed are left out (pip install 'autograd-core[peers]' has them all).  In the table, what
stands beside a peer's time is our best time over it: > marks rows in which we are slower, ~ those whose ratios spread
wider than they differ from 1.  A peer or a row that is broken is told and left out; Ctrl-C ends the run and writes what
has been measured.
"""

from __future__ import annotations

import argparse
import runpy
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import against, html, machine, peers, png, readme, results, runner, text
from .rows import SUITES, Row, chosen, declared

OTHER = {
    "readme": "write the marked tables of README.md and docs/ from result files",
    "accuracy": "errors of elementary functions, in units in the last place",
    "thresholds": "from which sizes on compiled kernels are quicker than NumPy",
    "threads": "two threads beside one, for each choice of kernels",
    "adjoints": "generated adjoints beside adjoints written by hand",
    "minima": "evaluations that optim.minimize needs, beside SciPy's",
}
EXAMPLES = """
other commands (each has its own --help):
""" + "".join(f"  {name:10} {what}\n" for name, what in OTHER.items())
EXAMPLES += """
examples:
  python -m benchmarks --quick                          something of everything, in under three minutes
  python -m benchmarks train overhead --json run.json --html run.html
  python -m benchmarks --suite train --row lenet --peer torch
  python -m benchmarks ops --row softmax --against HEAD~1
  python -m benchmarks --compare before.json after.json
"""
HISTORY = results.STORED / "history.jsonl"


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "suites", nargs="*", metavar="SUITE", help="what to measure: the above, or a module of yours that has rows()"
    )
    choose = p.add_argument_group("what is measured")
    choose.add_argument("--suite", action="append", default=[], choices=SUITES, help="the same, as an option")
    choose.add_argument("--row", action="append", default=[], metavar="TEXT", help="only rows with this in their name")
    choose.add_argument(
        "--peer", action="append", default=[], metavar="NAME", help=f"only beside: {', '.join(peers.PEERS)}"
    )
    choose.add_argument("--quick", action="store_true", help="a few rows of each suite, in fewer rounds")
    choose.add_argument(
        "--against", metavar="GIT_REV", help="beside this library at another revision, not beside peers"
    )
    choose.add_argument("--threads", type=int, metavar="N", help="threads of every library (default: as many as cores)")
    choose.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    write = p.add_argument_group("what is written")
    write.add_argument("--json", metavar="FILE", help="the results, for --compare and readme")
    write.add_argument("--html", metavar="FILE", help="a page that needs nothing else")
    write.add_argument("--png", metavar="FILE", help="a picture (needs matplotlib)")
    write.add_argument(
        "--history", metavar="FILE", default=str(HISTORY), help="a line is added to it (default: %(default)s)"
    )
    write.add_argument("--no-history", dest="history", action="store_const", const="", help="no line is added")
    p.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two result files: what changed, who wins in both")
    return p


def asked(arguments: list[str] | None) -> argparse.Namespace:
    """What is asked for, checked."""
    p = parser()
    options = p.parse_args(arguments)
    unknown = [s for s in options.suites if s not in SUITES and "." not in s]
    if unknown:
        p.error(
            f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}, and {', '.join(OTHER)} by themselves"
        )
    named = [*options.suites, *options.suite]
    options.suites = [s for s in SUITES if s in named] + [s for s in named if "." in s] or list(SUITES)
    if unknown := [name for name in options.peer if name not in peers.PEERS]:
        p.error(f"no such peer: {', '.join(unknown)}; there are {', '.join(peers.PEERS)}")
    if options.threads is not None and options.threads < 1:
        p.error("--threads is at least 1")
    try:
        rows = list(declared(options.suites))
    except Exception as error:
        p.error(f"the rows of {', '.join(options.suites)} cannot be had: {type(error).__name__}: {error}")
    options.rows = chosen(rows, options.row, options.quick)
    if not options.rows and not options.compare:
        p.error(
            f"no row of {', '.join(options.suites)} has {' or '.join(map(repr, options.row))} in its name: see --list"
        )
    return options


def ways(options: argparse.Namespace, revisions: list[str]) -> tuple[list[str], list[str]]:
    """Who takes part, and who is not installed."""
    wanted = options.peer or ([] if revisions else peers.PEERS)
    present = [name for name in wanted if peers.way(name).installed()]
    old = [f"{way}@{revision}" for revision in revisions for way in peers.OURS]
    return [*peers.OURS, *old, *present], [name for name in wanted if name not in present]


def begun(options: argparse.Namespace, plan: runner.Plan, absent: list[str]) -> dict[str, Any]:
    """A run before its first row."""
    return {
        "format": results.FORMAT,
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "took": 0.0,
        "revision": machine.revision(),
        "quick": options.quick,
        "interrupted": False,
        "threads": plan.threads,
        "machine": machine.described(runner.cores()),
        "peaks": runner.peaks(plan.threads),
        "settings": {way: peers.way(way).settings for way in plan.ways},
        "absent": absent,
        "rows": [],
    }


def measure(plan: runner.Plan, run: dict[str, Any]) -> None:
    """Measure the rows and show them; a run that is interrupted ends here, with what it has."""
    bar, start = text.Progress(len(plan.rows)), time.monotonic()
    table = text.Table(plan.ways, bar.say)
    for line in text.about(run):
        bar.say(line)

    def note(row: dict[str, Any]) -> None:
        run["rows"].append(row)
        table.show(row)
        bar.step(row["name"])

    try:
        runner.run(plan, note)
    except KeyboardInterrupt:
        run["interrupted"] = True
        bar.say("\ninterrupted: what has been measured is kept")
    finally:
        run["took"] = time.monotonic() - start
        bar.close()


def outputs(options: argparse.Namespace) -> dict[str, Callable[[dict[str, Any]], None]]:
    """How the files that are asked for are written."""
    ways = {
        "json": lambda run: results.save(run, options.json),
        "html": lambda run: Path(options.html).write_text(html.page(run)),
        "png": lambda run: png.draw(run, options.png),
        "history": lambda run: results.remember(run, options.history),
    }
    return {name: way for name, way in ways.items() if getattr(options, name)}


def writable(options: argparse.Namespace) -> None:
    """Raise before anything is measured if a file that is asked for cannot be written."""
    if options.png:
        png.required()
    for name in outputs(options):
        path = Path(getattr(options, name))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            there = path.exists()
            path.open("a").close()
            if not there:
                path.unlink()
        except OSError as error:
            instead = "name another, or say --no-history" if name == "history" else "name another"
            raise results.Unwritable(f"--{name} {path} cannot be written ({error.strerror}): {instead}") from None


def write(options: argparse.Namespace, run: dict[str, Any]) -> list[str]:
    """Write the files that are asked for; tells what could not be."""
    lost = []
    for name, way in outputs(options).items():
        try:
            way(run)
        except OSError as error:
            lost.append(f"--{name} {getattr(options, name)} could not be written: {error}")
    return lost


def measured(options: argparse.Namespace) -> None:
    """A run from its plan to its files."""
    writable(options)
    with ExitStack() as stack:
        revisions = [options.against] if options.against else []
        trees = {r: stack.enter_context(against.worktree(r)) for r in revisions}
        taking_part, absent = ways(options, revisions)
        threads = options.threads or runner.cores()
        plan = runner.Plan(options.rows, taking_part, threads, options.quick, trees)
        run = begun(options, plan, absent)
        lost: list[str] = []
        try:
            measure(plan, run)
        finally:
            lost += write(options, run)
        for line in [*text.summary(run), *lost]:
            print(line)
        if lost or run["interrupted"]:
            sys.exit(130 if run["interrupted"] else 1)


def written(arguments: list[str]) -> None:
    """`python -m benchmarks readme`."""
    p = argparse.ArgumentParser(prog="python -m benchmarks readme", description=OTHER["readme"])
    p.add_argument("files", nargs="*", help="result files (default: those in benchmarks/results)")
    p.add_argument("--check", action="store_true", help="write nothing; fail if a document would change")
    options = p.parse_args(arguments)
    runs, stale = results.stored(options.files), []
    if unfit := [run["time"] for run in runs if run.get("quick") or run.get("interrupted")]:
        raise results.Unreadable(f"the run of {unfit[0]} was quick or interrupted: no figures for documents")
    for name in readme.DOCUMENTS:
        path = readme.ROOT / name
        before = path.read_text()
        after = readme.rewritten(before, runs, results.suite)
        stale += [name] if after != before else []
        if not options.check:
            path.write_text(after)
    print(f"{'would change' if options.check else 'written'}: {', '.join(stale) or 'nothing'}")
    if options.check and stale:
        sys.exit("the tables are not those of the stored results: run python -m benchmarks readme")


def listed(rows: list[Row], only: list[str]) -> None:
    """The names of rows, and who takes part."""
    for row in rows:
        print(f"{row.key}  ({', '.join(way for way in row.ways if not only or way in {*peers.OURS, *only})})")


def main(arguments: list[str] | None = None) -> None:
    """Do what is asked for."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == "readme":
        return written(arguments[1:])
    if arguments and arguments[0] in OTHER:
        sys.argv = [f"python -m benchmarks {arguments[0]}", *arguments[1:]]
        runpy.run_module(f"benchmarks.{arguments[0]}", run_name="__main__")
        return
    options = asked(arguments)
    if options.list:
        listed(options.rows, options.peer)
    elif options.compare:
        print("\n".join(results.compare(*map(results.load, options.compare))))
    else:
        measured(options)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what has been measured is written then, too
    try:
        main()
    except (results.Unreadable, results.Unwritable, readme.NoSuchTable, against.NoRevision, png.NoMatplotlib) as error:
        sys.exit(f"benchmarks: {error}")
    except (KeyboardInterrupt, BrokenPipeError):  # before anything was measured, or nobody reads what is said
        sys.exit(130)
