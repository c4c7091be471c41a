"""What the tape itself costs: many tiny operations, the import, the first steps, growth with the length of a graph.

    python -m benchmarks.overhead [--rounds N] [--json FILE]

Everything is measured in turn, A B A B ..., so that a machine that slows down slows down both; figures are medians over
the rounds, with the quartiles beside them.  One thread.  PyTorch is measured if it is installed.
"""

from __future__ import annotations

import os

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"  # before NumPy is loaded

import argparse  # noqa: E402
import gc  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402

import autograd_core as ag  # noqa: E402


def tiny_ops_ours() -> Callable:
    """50 times tanh(x * 1.01 + 0.1) on 4 x 4, summed, and back: 150 operations."""
    start = ag.tensor(np.full((4, 4), 0.3, np.float32), requires_grad=True)

    def step() -> None:
        x = start
        for _ in range(50):
            x = ag.tanh(x * 1.01 + 0.1)
        start.grad = None
        x.sum().backward()

    return step


def tiny_ops_torch() -> Callable | None:
    """The same in PyTorch, or None if it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(1)
    start = torch.full((4, 4), 0.3, requires_grad=True)

    def step() -> None:
        x = start
        for _ in range(50):
            x = torch.tanh(x * 1.01 + 0.1)
        start.grad = None
        x.sum().backward()

    return step


def interleaved(tasks: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The results of each task, called in turn; the order is reversed every other round."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for k in range(rounds):
        for name in list(tasks)[:: 1 if k % 2 == 0 else -1]:
            found[name].append(tasks[name]())
    return found


def timed(step: Callable, repeat: int) -> float:
    """Seconds per call of a step."""
    before = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - before) / repeat


def tiny_ops(rounds: int) -> dict[str, list[float]]:
    """Seconds for 150 tiny operations forward and backward, here and in PyTorch."""
    steps = {"autograd_core": tiny_ops_ours(), "torch": tiny_ops_torch()}
    steps = {name: step for name, step in steps.items() if step}
    for step in steps.values():
        timed(step, 50)
    return interleaved({name: lambda step=step: timed(step, 20) for name, step in steps.items()}, rounds)


def imports(rounds: int) -> dict[str, list[float]]:
    """Seconds that a new Python takes to import NumPy, and to import this package, once both are compiled."""
    with tempfile.TemporaryDirectory() as compiled:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = compiled

        def started(module: str) -> float:
            code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
            command = [sys.executable, "-c", code]
            return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)

        tasks = {module: (lambda module=module: started(module)) for module in ("numpy", "autograd_core")}
        for task in tasks.values():
            task()
        return interleaved(tasks, rounds)


FIRST_GRADIENT = """
import numpy as np
import autograd_core as ag
x = ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
(ag.tanh(x) * x).sum().backward()
"""
FIRST_STEP = """
import numpy as np
import autograd_core as ag
from autograd_core.ops.losses import cross_entropy
rng = np.random.default_rng(0)
x, y = ag.tensor(rng.random((64, 784), np.float32)), ag.tensor(rng.integers(0, 10, 64))
w = [ag.tensor(rng.standard_normal(n).astype("f") * 0.05, requires_grad=True) for n in [(784, 128), 128, (128, 10), 10]]
cross_entropy(ag.relu(x @ w[0] + w[1]) @ w[2] + w[3], y).backward()
"""


def first_steps(rounds: int) -> dict[str, list[float]]:
    """Seconds from starting Python to a first gradient and to a first step, without and with a cache of kernels."""
    with tempfile.TemporaryDirectory() as folder:

        def started(code: str, cache: str) -> float:
            environment = {**os.environ, "AUTOGRAD_CORE_CACHE": os.path.join(folder, cache)}
            environment["PYTHONPYCACHEPREFIX"] = os.path.join(folder, "pyc")
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            before = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            return time.perf_counter() - before

        caches = iter(range(10**9))
        tasks = {
            "first gradient": lambda: started(FIRST_GRADIENT, "none"),
            "first MLP step, cold": lambda: started(FIRST_STEP, f"cold{next(caches)}"),
            "first MLP step, warm": lambda: started(FIRST_STEP, "warm"),
        }
        for task in tasks.values():
            task()
        return interleaved(tasks, rounds)


SHORT, LONG, NUMBERS = "100,000 operations", "1,000,000 operations", "100,000 on one number"


def chain(length: int, shape: tuple) -> float:
    """Seconds per operation of a chain of that many, forward and backward."""
    start = ag.tensor(np.ones(shape, np.float32), requires_grad=True)
    gc.collect()
    gc.freeze()  # what other packages have loaded is not ours to collect
    before = time.perf_counter()
    x = start
    for _ in range(length):
        x = x * 1.0000001
    x.backward(ag.ones_like(x))
    del x
    return (time.perf_counter() - before) / length


def growth(rounds: int) -> dict[str, list[float]]:
    """Seconds per operation of a short and of a long chain, which should be the same."""
    sizes = {SHORT: (100_000, (4,)), LONG: (1_000_000, (4,)), NUMBERS: (100_000, ())}
    return interleaved({name: lambda size=size: chain(*size) for name, size in sizes.items()}, rounds)


def summary(times: list[float]) -> dict[str, float]:
    """The median and the quartiles."""
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return {"median": statistics.median(times), "low": low, "high": high, "rounds": len(times)}


def ratio(a: list[float], b: list[float]) -> float:
    """The median over the rounds of a / b."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def table(title: str, unit: str, scale: float, found: dict[str, list[float]]) -> None:
    """Print medians with their quartiles."""
    print(f"\n{title} ({unit})")
    for name, times in found.items():
        s = summary(times)
        print(f"  {name:24} {s['median'] * scale:9.3f}   [{s['low'] * scale:.3f} .. {s['high'] * scale:.3f}]")


def main() -> None:
    """Measure, print, and write what was measured if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured (default 15)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    few = max(2, options.rounds // 5)
    tiny, started, first, chains = tiny_ops(2 * options.rounds), imports(options.rounds), first_steps(few), growth(few)
    over_numpy = [a - b for a, b in zip(started["autograd_core"], started["numpy"], strict=True)]

    table("150 tiny operations, forward and backward", "ms", 1e3, tiny)
    if "torch" in tiny:
        print(f"  ours / torch             {ratio(tiny['autograd_core'], tiny['torch']):9.3f}")
    table("import in a new process", "ms", 1e3, {**started, "over numpy": over_numpy})
    table("from the start of Python", "ms", 1e3, first)
    table("a chain of operations, time for each", "us", 1e6, chains)
    print(f"  long / short             {ratio(chains['1,000,000 operations'], chains['100,000 operations']):9.3f}")
    if options.json:
        groups = {"tiny_ops": tiny, "import": {**started, "over numpy": over_numpy}, "start": first, "chain": chains}
        results = {g: {name: summary(times) for name, times in found.items()} for g, found in groups.items()}
        measured = {"python": platform.python_version(), "numpy": np.__version__, "seconds": results}
        with open(options.json, "w") as file:
            json.dump(measured, file, indent=1)


if __name__ == "__main__":
    main()
