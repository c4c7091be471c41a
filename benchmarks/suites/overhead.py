"""What is not arithmetic: tiny operations, a long tape, the import, the start; on one thread."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..rows import Row, Step, alike
from .scale import chain

TAPED = "ours", "torch", "autograd", "mygrad"
EVERYWHERE = "ours", "ours compiled", "torch", "torch.compile", "jax", "autograd", "mygrad"
CACHES = "AUTOGRAD_CORE_CACHE", "TORCHINDUCTOR_CACHE_DIR", "CACHEDB"
PACKAGES = {"ours": "autograd_core", "numpy": "numpy", "torch": "torch", "jax": "jax", "autograd": "autograd"}
PACKAGES |= {"mygrad": "mygrad", "tinygrad": "tinygrad"}


def tiny(lib: Any, x: Any) -> Any:
    """150 operations."""
    for _ in range(50):
        x = lib.m.tanh(x * 1.01 + 0.1)
    return lib.m.sum(x)


def tiny_forward(lib: Any, x: Any) -> Any:
    """The same without a gradient."""
    for _ in range(50):
        x = lib.m.tanh(x * 1.01 + 0.1)
    return x


def row(group: str, name: str, ways: dict[str, Callable], **more: Any) -> Row:
    """A row of this suite."""
    usual = dict(suite="overhead", tolerance=1e-3, threads=1, seconds=3.0, block=0.02)
    return Row(**{**usual, "group": group, "name": name, "ways": ways, **more})  # type: ignore[arg-type]


# --- from the start of Python ----------------------------------------------------------------------------------------


def started(code: str, cold: bool) -> Callable[[Any], Step]:
    """A new Python that runs some code and prints a number; with nothing in any cache of kernels if `cold`."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            apart = {name: os.path.join(folder, name) for name in CACHES} if cold else {}
            # With bytecode, as what is installed has it.
            env = {**os.environ, **apart, "PYTHONDONTWRITEBYTECODE": ""}
            done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the new process failed: {done.stderr.strip().splitlines()[-1:]}")
        return float(done.stdout.split()[-1])

    return lambda lib: run


def imported() -> dict[str, Callable]:
    """Each package, and nothing else."""
    return {way: started(f"import {package}; print(0)", False) for way, package in PACKAGES.items()}


def gradients() -> dict[str, Callable]:
    """The import and the gradient of a small expression."""
    ours = "import autograd_core as m; x = m.tensor([1.0, 2.0, 3.0], requires_grad=True)"
    torch = "import torch as m; x = m.tensor([1.0, 2.0, 3.0], requires_grad=True)"
    back = "; (m.tanh(x) * x).sum().backward(); print(float(x.grad[1]))"
    jax = "import jax, jax.numpy as m; g = jax.jit(jax.grad(lambda x: m.sum(m.tanh(x) * x)))"
    jax += "; print(float(g(m.array([1.0, 2.0, 3.0]))[1]))"
    plain = "import autograd, autograd.numpy as m; g = autograd.grad(lambda x: m.sum(m.tanh(x) * x))"
    plain += "; print(g(m.array([1.0, 2.0, 3.0]))[1])"
    codes = {"ours": ours + back, "torch": torch + back, "jax": jax, "autograd": plain}
    return {way: started(code, False) for way, code in codes.items()}


def first_steps(model: str, calls: int, cold: bool, *ways: str) -> dict[str, Callable]:
    """The import, a model, and so many training steps of it: as many as it takes to compile."""
    code = f"from benchmarks.suites.overhead import trained_once; print(trained_once({{!r}}, {model!r}, {calls}))"
    return {way: started(code.format(way), cold) for way in ways}


def trained_once(way: str, name: str, calls: int) -> float:
    """What a new process does: steps of a row of the suite of training."""
    from ..peers import loaded
    from .train import rows

    lib = loaded(way)
    step = next(row for row in rows() if row.name == name).ways[way](lib)
    return [float(lib.numbers(step())[0]) for _ in range(calls)][-1]


def starts() -> Iterator[Row]:
    """Everything that begins with a new Python: each call is one."""
    slow = {"seconds": 12.0, "rounds": (3, 9), "block": 0.0, "warm": 1}
    rare = {**slow, "rounds": (2, 3)}
    group, compiled = "from the start of Python", ("ours compiled", "torch.compile", "jax")
    yield row(group, "import", imported(), **slow, quick=True)
    yield row(group, "first gradient of a small expression", gradients(), **slow)
    mlp, eager = "MLP 784-128-10, batch 64", ("ours", "torch")
    for cold in (False, True):
        how, often = ("nothing cached", rare) if cold else ("kernels cached", slow)
        yield row(group, f"first step, {mlp}, {how}", first_steps(mlp, 1, cold, *eager), **often)
        yield row(group, f"four steps, compiled, {mlp}, {how}", first_steps(mlp, 4, cold, *compiled), **often)


def rows() -> Iterator[Row]:
    """Tiny operations first."""
    ones = [np.full((4, 4), 0.3, np.float32)]
    both, alone = (lambda lib: lib.slopes(tiny, ones, 1)), (lambda lib: lib.call(tiny_forward, ones))
    group = "tiny operations"
    yield row(group, "150 on 4 x 4 numbers, forward and backward", alike(both, *EVERYWHERE), quick=True)
    yield row(group, "150 on 4 x 4 numbers, forward", alike(alone, "ours", "torch", "jax", "numpy"))
    yield row(
        "a long tape", "100,000 operations, forward and backward", alike(chain(100_000), *TAPED), tolerance=1e-2, warm=1
    )
    yield from starts()
