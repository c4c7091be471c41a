"""How hypothesis searches: briefly by default, reproducibly under CI, at length with HYPOTHESIS_PROFILE=thorough.

What a test records with `record_property` is printed at the end of the run, whichever process the test ran in.  Which
tests were skipped because a package is not installed is kept, so that they can be run alone once it is: `--wanting torch`.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # the processes already use every core
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

usual = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("usual", usual)
settings.register_profile("ci", usual, derandomize=True)
settings.register_profile("thorough", usual, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "usual"))


def pytest_addoption(parser):
    """The option that runs what an earlier run could not."""
    told = "run only what the last run without this option skipped because PACKAGE was not installed"
    parser.addoption("--wanting", metavar="PACKAGE", help=told)
    parser.addoption("--every", metavar="N", type=int, default=1, help="of those only every N-th (1)")


def pytest_terminal_summary(terminalreporter, config):
    """Print the figures that tests recorded, and keep what was skipped for want of what: reports come from all processes."""
    reports = [r for kind in terminalreporter.stats.values() for r in kind if getattr(r, "when", "") == "call"]
    for name, value in (item for report in reports for item in report.user_properties):
        terminalreporter.write_line(f"{name}: {value}")
    if not config.getoption("--wanting") and hasattr(config, "cache"):
        config.cache.set("wanting", unimported(terminalreporter.stats.get("skipped", ())))


def unimported(reports):
    """By package that was not there, the tests that were skipped for it, and the files that were skipped as a whole."""
    found = {}
    for report in reports:
        if missing := re.search(r"could not import '(\w+)", str(report.longrepr)):
            found.setdefault(missing[1], []).append(report.nodeid)
    return found


def pytest_configure(config):
    """Refuse to run nothing."""
    if (package := config.getoption("--wanting")) and not wanting(config):
        raise pytest.UsageError(f"--wanting {package}: run the tests without {package} first; none was skipped for it")


def wanting(config):
    """The tests and files that were skipped for the package asked for."""
    return set(config.cache.get("wanting", {}).get(config.getoption("--wanting"), ()))


def pytest_collection_modifyitems(config, items):
    """Leave out what did not want the package."""
    if config.getoption("--wanting"):
        kept = wanting(config)
        wanted = [item for item in items if {item.nodeid, item.nodeid.partition("::")[0]} & kept]
        chosen = wanted[:: config.getoption("--every")]
        left = set(items).difference(chosen)
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = chosen


def pytest_collection_finish(session):
    """Have collections of garbage, and captures, which look through all objects, pass over the million that tests are made of."""
    gc.collect()
    gc.freeze()


class Unwritten:
    """NumPy, whose empty arrays are full of NaN, so that what a kernel forgets to write is seen."""

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def empty(shape, dtype):
        """An array of bytes 255: NaN, -1 and True."""
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[...] = 255
        return array


@pytest.fixture(autouse=True, scope="session")
def nothing_is_written_yet():
    """Results of kernels begin as NaN in all tests: memory that happens to hold zeros hides what is missing."""
    from autograd_core.kernels import _memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_memory, "np", Unwritten())
        yield


KERNELS = Path(__file__).parent.parent / "autograd_core" / "kernels"


class Ground:
    """A package of what lies under the kernels, and a few to test it with, in a folder and with a cache of its own."""

    def __init__(self, folder: Path):
        self.folder, self.cache = folder, folder / "cache"
        self.kernels = folder / "autograd_core" / "kernels"
        self.kernels.mkdir(parents=True)
        (folder / "autograd_core" / "__init__.py").touch()
        under = "__init__ _jit _cache _machine _written _writer _arrays _values _native _entries _callers _borrowed _products"
        under += " _known _threads _memory _sizes _steps random"
        for name in under.split():
            shutil.copy2(KERNELS / f"{name}.py", self.kernels)
        shutil.copy2(Path(__file__).parent / "ground" / "probe.py", self.kernels)

    def start(self, *command: str, **environment: str | None) -> subprocess.Popen:
        """Start Python there; environment variables that are None are taken away."""
        given = {"PYTHONPATH": str(self.folder), "AUTOGRAD_CORE_CACHE": str(self.cache), "NUMBA_DISABLE_JIT": None}
        merged = {k: v for k, v in (os.environ | given | environment).items() if v is not None}
        out = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, *command], stdout=out, stderr=out, text=True, env=merged, cwd=self.folder
        )

    def run(self, *command: str, **environment: str | None) -> str:
        """What Python prints there; errors, and anything on stderr, are errors."""
        with self.start(*command, **environment) as process:
            try:
                out, err = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0 and not err, f"{process.returncode}\n{out}\n{err}"
        return out

    def kept(self) -> list[Path]:
        """The files in the cache."""
        return sorted(self.cache.glob("*/*"))


@pytest.fixture
def ground(tmp_path) -> Ground:
    """An empty cache, and programs that use it."""
    return Ground(tmp_path)


@pytest.fixture(scope="session")
def warm_ground(tmp_path_factory) -> Ground:
    """One that tests share, for what does not depend on the cache."""
    return Ground(tmp_path_factory.mktemp("ground"))
