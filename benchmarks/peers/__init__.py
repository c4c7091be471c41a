"""The ways in which a row can be done: this library's two, and those of the libraries beside it, each at its best setting.

A way is loaded in a process of its own, which does nothing else.  What it is given is described by `library.Library`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass, field
from typing import Any

ONE_THREAD = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"


@dataclass(frozen=True)
class Way:
    """How a library is used: its package, our module that knows it, and what is said of its settings."""

    package: str
    module: str
    settings: str
    compiled: bool = False
    tries: bool = False  # several settings, each for some time, before it is measured
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is this library that is measured."""
        return self.package == "autograd_core"

    def installed(self) -> bool:
        """Whether there is such a package; nothing is imported."""
        return importlib.util.find_spec(self.package) is not None


WAYS = {
    "ours": Way("autograd_core", "ours", "as it comes"),
    "ours compiled": Way("autograd_core", "ours", "ag.compile of the whole step", True),
    "torch": Way(
        "torch",
        "pytorch",
        "eager, oneDNN and MKL; fused optimizers; one thread, and channels_last, where that is faster",
        tries=True,
    ),
    "torch.compile": Way(
        "torch",
        "pytorch",
        "model and loss by TorchInductor; fused optimizers; one thread where eager is faster so",
        True,
        tries=True,
    ),
    "jax": Way("jax", "jax", "the whole step under jit, its state donated", True, environment={"JAX_PLATFORMS": "cpu"}),
    "autograd": Way("autograd", "hips", "NumPy"),
    "mygrad": Way("mygrad", "mygrad", "NumPy; memory guards off"),
    "tinygrad": Way(
        "tinygrad", "tinygrad", "TinyJit on the CPU (clang)", True, environment={"DEV": "CPU", "TRAINING": "1"}
    ),
    "numpy": Way("numpy", "plain", "its own OpenBLAS"),
    "scipy": Way("scipy", "plain", "NumPy's arrays"),
}
OURS = [name for name, way in WAYS.items() if way.ours]
PEERS = [name for name in WAYS if name not in OURS]


def way(name: str) -> Way:
    """The way of a name; `ours@REVISION` is done as `ours` is."""
    return WAYS[name.partition("@")[0]]


def environment(name: str, threads: int) -> dict[str, str]:
    """What a process that does things in this way finds in its environment."""
    chosen = {**dict.fromkeys(ONE_THREAD, str(threads)), **way(name).environment, "BENCHMARK_THREADS": str(threads)}
    chosen["PYTHONDONTWRITEBYTECODE"] = ""  # what pip installs has its bytecode, and so shall a tree that was cloned
    if name == "jax" and threads == 1:
        chosen["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        chosen["NPROC"] = "1"
    return chosen


def loaded(name: str) -> Any:
    """The library of a way, imported."""
    module = importlib.import_module(f"benchmarks.peers.{way(name).module}")
    return module.Library(way(name).compiled)


def versions() -> dict[str, str]:
    """The version of every package that is installed; the tree that is measured has a revision instead."""
    found = {}
    for package in ("numpy", "numba", "llvmlite", *(way.package for way in WAYS.values() if not way.ours)):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
