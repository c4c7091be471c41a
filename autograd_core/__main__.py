"""python -m autograd_core: compile all kernels in advance, or say what there is.

python -m autograd_core warm     fill the cache of compiled kernels
python -m autograd_core info     versions, threads, the processor, the cache
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import pkgutil
import platform
import subprocess
import sys
import time
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
    if options.jobs > 1:
        return _in_processes(names, options)
    failed = 0
    for number, name in enumerate(names, 1):
        try:
            line = f"{compile_choice(name):7.2f} s  {name}"
        except Exception as error:
            failed, line = 1, f"{'failed':>9}  {name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if not options.quiet or "failed" in line:
            print(f"[{number}/{len(names)}]", line, flush=True)
    if not options.quiet and not options.name:
        print(f"{len(names)} kernels in {_cache.folders()[-1]}, {_size(_cache.folders()[-1]) / 1e6:.1f} MB")
    return failed


def _in_processes(names: list[str], options: argparse.Namespace) -> int:
    """The same in several processes, each with a part."""
    command = [sys.executable, "-m", __package__, "warm", *["--quiet"] * options.quiet]
    parts = [part for part in (names[k :: options.jobs] for k in range(options.jobs)) if part]
    return max(process.wait() for process in [subprocess.Popen([*command, *part]) for part in parts])


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


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m autograd_core", description=__doc__, formatter_class=described)
    commands = parser.add_subparsers(metavar="{warm,info}")
    command = commands.add_parser("warm", help="fill the cache of compiled kernels", description=warm.__doc__)
    command.add_argument("name", nargs="*", help="kernels to compile, as --list names them (default: all)")
    command.add_argument("--list", action="store_true", help="only print the names")
    command.add_argument("--quiet", action="store_true", help="print failures only")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="processes to compile in (default 1)")
    command.set_defaults(run=warm)
    command = commands.add_parser("info", help=info.__doc__, description=info.__doc__)
    command.set_defaults(run=info)
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
