"""Elementwise functions and activations, at every size."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row

from .calls import SIZES, call, normal, slopes, uniform

UNARY = "exp", "log", "tanh", "sin"
PYTORCH = "sigmoid", "erf"
ACTIVATIONS = "relu", "gelu", "silu", "softplus"
BINARY = {"add": lambda l, x, y: x + y, "mul": lambda l, x, y: x * y, "div": lambda l, x, y: x / y}
TRAINED = "tanh", "relu", "gelu", "silu", "softplus"


def function(name: str):
    """The function of a name, in a library."""
    return lambda l, x: getattr(l.F if name in ACTIVATIONS else l.m, name)(x)


def rows() -> Iterator[Row]:
    """One row for each function and size, and one for each activation with its gradient."""
    for name in (*UNARY, *PYTORCH, *ACTIVATIONS, *BINARY):
        ways = ["ours", "torch"] + (["jax"] if name not in PYTORCH else [])
        ways += ["numpy"] if name in (*UNARY, *BINARY) else []
        count = 2 if name in BINARY else 1
        for n in SIZES:
            arrays = lambda n=n, c=count: [normal(n), uniform(n, low=0.5)][:c]
            arrays = (lambda n=n: [uniform(n, low=0.1)]) if name == "log" else arrays
            f, quick = BINARY.get(name) or function(name), name in ("exp", "add") and n in (100, 10**6)
            yield call("elementwise", name, arrays, f, *ways, n=n, bytes=4.0 * n * (count + 1), quick=quick)
    for name in TRAINED:
        for n in SIZES:
            yield slopes(
                "elementwise and gradients", name, lambda n=n: [normal(n)], function(name), 1, n=n, bytes=20.0 * n
            )
