"""What a program waits for when it starts: neither Numba nor a compiler, until it needs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograd_core.kernels._jit import COMPILED

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
ROOT = Path(__file__).parent.parent
HEAVY = "import sys; assert not {'numba', 'llvmlite', 'scipy', 'torch'} & set(sys.modules), sorted(sys.modules)\n"
BLOCK = "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = None\n"
SMALL = """
import numpy as np
import autograd_core as ag
x = ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
w = ag.tensor(np.eye(3, 2, dtype=np.float32), requires_grad=True)
((ag.tanh(x) @ w).exp().sum() + ag.special.gammaln(x).sum() + (x * x).mean()).backward()
assert x.grad.shape == (3,) and w.grad.shape == (3, 2)
"""
LARGE = """
import sys
import numpy as np
import autograd_core as ag, nn, optim
rng = np.random.default_rng(0)
net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
step = optim.Adam(net.parameters())
x, y = ag.tensor(rng.normal(size=(64, 784)).astype(np.float32)), ag.tensor(rng.integers(0, 10, 64))
nn.CrossEntropyLoss()(net(x), y).backward()
step.step()
print("numba" in sys.modules)
"""


def run(code, **environment):
    given = os.environ | environment
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=given)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_the_first_gradient_of_something_small_needs_no_numba():
    run(SMALL + HEAVY)


def test_small_work_is_done_where_there_is_no_numba():
    run(BLOCK + SMALL)


@compiled
def test_kernels_that_are_kept_are_loaded_without_numba(tmp_path):
    assert run(LARGE, AUTOGRAD_CORE_CACHE=str(tmp_path)) == "True\n"
    assert run(LARGE, AUTOGRAD_CORE_CACHE=str(tmp_path)) == "False\n"


@pytest.mark.parametrize("module", ["autograd_core", "autograd_core.kernels._cache", "autograd_core.__main__"])
def test_importing_compiles_and_loads_nothing(module):
    run(f"import {module}\n{HEAVY}")


def test_every_kernel_is_declared_without_numba():
    code = """
import importlib, pkgutil
import autograd_core.kernels as kernels
from autograd_core.kernels._jit import CHOICES, KERNELS
for module in pkgutil.iter_modules(kernels.__path__):
    if not module.name.startswith("_"):
        importlib.import_module(f"autograd_core.kernels.{module.name}")
assert len(KERNELS) > len(CHOICES) > 10
assert all(kernel.func is kernel.first for kernel in KERNELS.values())
"""
    run(BLOCK + code)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_warm_says_what_it_compiles_and_goes_on_where_it_was(tmp_path, jobs):
    names = ["losses.squared_gaps", "optimizer.sgd"]
    command = [sys.executable, "-m", "autograd_core", "warm", *names, "--jobs", jobs]
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_DISABLE_JIT"}
    environment["AUTOGRAD_CORE_CACHE"] = str(tmp_path)
    kept = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
        assert done.returncode == 0 and not done.stderr, done.stderr
        lines = [re.fullmatch(r"\[(\d)/2\] +[0-9.]+ s  (\S+)", line) for line in done.stdout.splitlines()]
        assert [line.groups() for line in lines] == [("1", names[0]), ("2", names[1])]
        kept.append({path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")})
    assert kept[0] and kept[0] == kept[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--jobs", "0"], "expected a number of processes, 1 or more, got '0'"), (["nothing"], "no such kernel: nothing")],
)
def test_warm_refuses_what_it_does_not_know(arguments, message):
    command = [sys.executable, "-m", "autograd_core", "warm", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and message in done.stderr
