"""python -m autograd_core: compile all kernels in advance, say what there is, or see gradients at work.

python -m autograd_core warm     fill the cache of compiled kernels; one that was stopped goes on where it was
python -m autograd_core info     versions, threads, the processor, the cache
python -m autograd_core lab      a tour of the gradient laboratory: every way to differentiate, side by side
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import multiprocessing
import os
import pkgutil
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from . import kernels
from .kernels import _jit, _threads

DTYPES = np.dtype("f"), np.dtype("d")
ENTRIES = 64, 1 << 17  # of samples: kernels may differ for what is small and what is not


def choices() -> list[str]:
    """The names of all choices between a kernel and NumPy, once every file of kernels has been imported."""
    for module in pkgutil.iter_modules(kernels.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{kernels.__name__}.{module.name}")
    return sorted(_jit.CHOICES)


def compile_choice(name: str) -> float:
    """Run the compiled way on samples of both kinds of numbers; the seconds that it took."""
    before, chosen = time.perf_counter(), _jit.CHOICES[name]
    for dtype, entries in itertools.product(DTYPES, ENTRIES):
        chosen.compiled(*chosen.sample(np.random.default_rng(0), entries, dtype))
    return time.perf_counter() - before


def warm(options: argparse.Namespace) -> int:
    """Compile what is not in the cache yet; 1 if something cannot be compiled."""
    known = choices()
    names = options.name or known
    if unknown := sorted(set(names) - set(known)):
        print(f"warm: no such kernel: {', '.join(unknown)}; see warm --list", file=sys.stderr)
        return 2
    if options.list:
        print(*names, sep="\n")
        return 0
    if not _jit.COMPILED:
        print("warm: NUMBA_DISABLE_JIT is set, there is nothing to compile", file=sys.stderr)
        return 2
    from .kernels import _cache

    if not _cache.folders():
        print(f"warm: no folder to keep compiled kernels in; set AUTOGRAD_CORE_CACHE ({_place()})", file=sys.stderr)
        return 2
    failed = 0
    for number, (name, outcome) in enumerate(_outcomes(names, min(options.jobs, len(names))), 1):
        bad = isinstance(outcome, str)
        failed |= bad
        if bad or not options.quiet:
            line = f"{'failed':>9}  {name}: {outcome}" if bad else f"{outcome:7.2f} s  {name}"
            print(f"[{number}/{len(names)}]", line, flush=True)
    if not options.quiet and not options.name:
        print(f"{len(names)} kernels in {_cache.folders()[-1]}, {_size(_cache.folders()[-1]) / 1e6:.1f} MB")
    return failed


def _outcomes(names: list[str], jobs: int) -> Iterator[tuple[str, float | str]]:
    """What becomes of each kernel, in as many processes as told."""
    if jobs == 1:
        yield from map(_outcome, names)
        return
    here = importlib.import_module(f"{__package__}.__main__")  # under the name by which other processes find it
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), here.choices) as pool:
        yield from pool.map(here._outcome, names)


def _outcome(name: str) -> tuple[str, float | str]:
    """A kernel, and the seconds that it took to compile or why it cannot be compiled."""
    try:
        return name, compile_choice(name)
    except Exception as error:
        return name, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _jobs(text: str) -> int:
    """How many processes are meant."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number of processes, 1 or more, got {text!r}")
    return int(text)


def _size(folder: Path) -> int:
    """The bytes in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _place() -> Path | str:
    """Where the cache should be."""
    from .kernels import _cache

    try:
        return _cache.cache_folder()
    except (OSError, RuntimeError) as error:
        return f"nowhere: {error}"


def info(options: argparse.Namespace) -> int:
    """Versions, threads, the processor, and what has been compiled."""
    print(f"autograd_core   {Path(__file__).parent}")
    print(f"python          {platform.python_version()} on {platform.platform()}")
    print(f"numpy           {np.__version__}")
    try:
        import llvmlite.binding
        import numba
    except ImportError as error:
        print(f"numba           not to be had: {error}; whatever is not small fails")
        return 1
    from .kernels import _cache

    features = llvmlite.binding.get_host_cpu_features()
    present = " ".join(sorted(name for name, there in features.items() if there))
    print(f"numba           {numba.__version__}, llvmlite {llvmlite.__version__}", end="")
    print("" if _jit.COMPILED else "; not used, because NUMBA_DISABLE_JIT is set")
    print(f"threads         {_threads.get_num_threads()} of {os.cpu_count()} cores")
    print(f"processor       {llvmlite.binding.get_host_cpu_name()}: {present}")
    print(f"kernels         {len(choices())} choices, {len(_jit.KERNELS)} kernels")
    for folder in _cache.folders() or [None]:
        kept = f"{len(list(folder.iterdir()))} files, {_size(folder) / 1e6:.1f} MB" if folder else "nothing can be kept"
        print(f"cache           {folder or _place()}: {kept}")
    return 0


def lab(options: argparse.Namespace) -> int:
    """A tour of the gradient laboratory, on examples that can be followed by hand."""
    from .lab.tour import STOPS, tour

    if unknown := sorted(set(options.stop) - set(STOPS)):
        print(f"lab: no such stop: {', '.join(unknown)}; see lab --list", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{name:12} {function.__doc__}" for name, function in STOPS.items()))
        return 0
    tour(options.stop)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m autograd_core", description=__doc__, formatter_class=described)
    commands = parser.add_subparsers(metavar="{warm,info,lab}")
    command = commands.add_parser("warm", help="fill the cache of compiled kernels", description=warm.__doc__)
    command.add_argument("name", nargs="*", help="kernels to compile, as --list names them (default: all)")
    command.add_argument("--list", action="store_true", help="only print the names")
    command.add_argument("--quiet", action="store_true", help="print failures only")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = f"processes to compile in (default: as many as there are cores, {cores} here)"
    command.add_argument("--jobs", type=_jobs, default=cores, metavar="N", help=told)
    command.set_defaults(run=warm)
    command = commands.add_parser("info", help=info.__doc__, description=info.__doc__)
    command.set_defaults(run=info)
    command = commands.add_parser("lab", help="every way to differentiate, side by side", description=lab.__doc__)
    command.add_argument("stop", nargs="*", help="stops to make, as --list names them (default: all)")
    command.add_argument("--list", action="store_true", help="only say what there is to see")
    command.set_defaults(run=lab)
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
