"""python -m benchmarks: the same work here and in PyTorch, measured in one run.

suites:
  ops        kernels and ops, by size
  steps      whole training steps, as they are and compiled, beside PyTorch's
  overhead   many tiny operations, the import, growth with the length of a graph (one thread, in a process of its own)

Ratios are our time over theirs, medians over paired rounds; rows above 1 are marked.  Without PyTorch only our times
are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

SUITES = "ops", "steps", "overhead"


def arguments() -> argparse.Namespace:
    """What the command line says."""
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=described)
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="what to measure (default: all)")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only rows with this in their group, name or size")
    parser.add_argument("--rounds", type=int, metavar="N", help="pairs of blocks for each row (default 15)")
    parser.add_argument("--quick", action="store_true", help="5 rounds")
    parser.add_argument("--threads", type=int, metavar="N", help="threads on either side (default: as many as cores)")
    parser.add_argument("--json", metavar="FILE", help="write what was measured, and on what machine")
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 15)
    if options.rounds < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--rounds and --threads are at least 1")
    return options


def set_threads(count: int | None) -> None:
    """Let both sides use so many threads."""
    import autograd_core as ag

    if count:
        ag.set_num_threads(count)
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(ag.get_num_threads())


def ops(options: argparse.Namespace) -> dict:
    """The suite of kernels and ops."""
    from . import runner

    return beside(options, runner.ops_rows)


def steps(options: argparse.Namespace) -> dict:
    """The suite of whole training steps."""
    from . import steps

    return beside(options, steps.rows)


def beside(options: argparse.Namespace, rows: Callable) -> dict:
    """A suite whose rows are measured beside PyTorch's."""
    set_threads(options.threads)
    from . import runner
    from .machine import machine

    about = machine()
    for name, value in about.items():
        print(f"{name:16} {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
    results = runner.run(rows(), options.rounds, options.filter)
    print()
    runner.summary(results)
    return {"machine": about, "rows": results, "means": runner.means(results)}


def overhead(options: argparse.Namespace) -> dict:
    """The suite that `benchmarks.overhead` measures, in a process of its own: it wants one thread everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        written = os.path.join(folder, "overhead.json")
        command = [sys.executable, "-m", "benchmarks.overhead", "--rounds", str(options.rounds), "--json", written]
        subprocess.run(command, check=True)
        with open(written) as file:
            return json.load(file)


def main() -> None:
    """Measure, print, and write what was measured if a file is named."""
    options = arguments()
    if options.threads:  # before NumPy is loaded
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(options.threads)
    found: dict = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "rounds": options.rounds}
    for suite in options.suite or SUITES:
        print(f"== {suite}", flush=True)
        found[suite] = {"ops": ops, "steps": steps, "overhead": overhead}[suite](options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
