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
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import against, html, machine, peers, png, readme, results, runner, text
from .rows import SUITES, Row, chosen, declared

OTHER = {
    "readme": "write the marked tables of README.md and docs/ from result files",
    "accuracy": "errors of elementary functions, in units in the last place",
    "thresholds": "from which sizes on compiled kernels are quicker than NumPy",
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
    options.rows = chosen(declared(options.suites), options.row, options.quick)
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


def write(options: argparse.Namespace, run: dict[str, Any]) -> None:
    """The files that are asked for."""
    if options.json:
        results.save(run, options.json)
    if options.html:
        Path(options.html).write_text(html.page(run))
    if options.png:
        png.draw(run, options.png)
    if options.history:
        try:
            results.remember(run, options.history)
        except OSError as error:
            print(f"the history cannot be written ({error}): name another with --history, or say --no-history")


def measured(options: argparse.Namespace) -> None:
    """A run from its plan to its files."""
    with ExitStack() as stack:
        revisions = [options.against] if options.against else []
        trees = {r: stack.enter_context(against.worktree(r)) for r in revisions}
        taking_part, absent = ways(options, revisions)
        threads = options.threads or runner.cores()
        plan = runner.Plan(options.rows, taking_part, threads, options.quick, trees)
        run = begun(options, plan, absent)
        try:
            measure(plan, run)
        finally:
            write(options, run)
        for line in text.summary(run):
            print(line)


def written(arguments: list[str]) -> None:
    """`python -m benchmarks readme`."""
    p = argparse.ArgumentParser(prog="python -m benchmarks readme", description=OTHER["readme"])
    p.add_argument("files", nargs="*", help="result files (default: those in benchmarks/results)")
    p.add_argument("--check", action="store_true", help="write nothing; fail if a document would change")
    options = p.parse_args(arguments)
    runs, stale = results.stored(options.files), []
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


def listed(rows: list[Row]) -> None:
    """The names of rows."""
    for row in rows:
        print(f"{row.key}  ({', '.join(row.ways)})")


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
        listed(options.rows)
    elif options.compare:
        print("\n".join(results.compare(*map(results.load, options.compare))))
    else:
        measured(options)


if __name__ == "__main__":
    try:
        main()
    except (results.Unreadable, readme.NoSuchTable, against.NoRevision, png.NoMatplotlib) as error:
        sys.exit(f"benchmarks: {error}")
    except (KeyboardInterrupt, BrokenPipeError):  # before anything was measured, or nobody reads what is said
        sys.exit(130)
