"""Time and memory as something grows: batch, width, depth, sequence, tape, threads.  Every group is a curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..rows import Row, Step, alike
from . import models
from .models import perceptron
from .train import classified, labels, trained

MAIN = "ours", "ours compiled", "torch", "jax"


def curve(axis: str, size: int, row: Row, **more: Any) -> Row:
    """A row as a point of a curve."""
    usual = dict(suite="scale", axis=axis, size=float(size), seconds=1.2, block=0.02, rounds=(3, 9), apart=False)
    return replace(row, **{**usual, **more})


def grown(axis: str, sizes: list[int], title: str, make: Callable, batch: Callable, **more: Any) -> Iterator[Row]:
    """Training steps of models of several sizes; `make` and `batch` are given the size."""
    series = title.format("n")
    for n in sizes:
        row = trained(title.format(n), make(n), batch(n), ways=MAIN)
        yield curve(axis, n, replace(row, group=f"by {axis}: {series}", series=series), **more)


def chain(length: int) -> Callable[[Any], Step]:
    """A chain of additions and products on four numbers, forward and backward."""

    def f(lib: Any, x: Any) -> Any:
        for _ in range(length // 2):
            x = x * 1.0000001 + 1e-7
        return lib.m.sum(x)

    return lambda lib: lib.slopes(f, [np.ones(4, np.float32)], 1)


def tapes() -> Iterator[Row]:
    """Eager libraries alone: others would compile for hours."""
    for n in (1000, 10_000, 100_000, 1_000_000):
        ways = ["ours", "torch"] + (["autograd"] if n <= 100_000 else []) + (["mygrad"] if n <= 10_000 else [])
        series = "chain of operations"
        row = Row("scale", f"by tape: {series}", f"{n:,} operations", alike(chain(n), *ways), series=series)
        yield curve("operations", n, row, tolerance=1e-2, warm=1, threads=1, quick=n == 10_000)


def threads(most: int) -> Iterator[Row]:
    """The same step on more and more threads."""
    for n in sorted({1, 2, 4, 8, 16, 32, 64, most}):
        if n <= most:
            for row in (
                trained("MLP 784-1024-1024-10, batch 256", perceptron(784, 1024, 1024, 10), classified(10, 256, 784)),
                trained("VGG, six convolutions, batch 16", models.vgg, classified(10, 16, 3, 32, 32), tolerance=1e-2),
            ):
                group, ways = f"by threads: {row.name}", {way: row.ways[way] for way in MAIN}
                named = replace(row, group=group, series=row.name, name=f"{row.name}, threads: {n}", ways=ways)
                yield curve("threads", n, named, threads=n, apart=True)


def rows() -> Iterator[Row]:
    """All curves."""
    from ..runner import cores

    by_batch = lambda n: classified(10, n, 784)
    fixed = lambda n: perceptron(784, 256, 10)
    yield from grown("batch", [1, 4, 16, 64, 256, 1024], "MLP 784-256-10, batch {}", fixed, by_batch)
    square = lambda n: perceptron(n, n, n, 10)
    yield from grown(
        "width", [16, 64, 256, 1024], "MLP {0}-{0}-{0}-10, batch 64", square, lambda n: classified(10, 64, n)
    )
    deep = lambda n: perceptron(*[64] * n, 10)
    yield from grown("depth", [1, 4, 16, 64], "{} layers of 64, batch 32", deep, lambda n: classified(10, 32, 64))
    lstm = lambda n: models.recurrent("LSTM", 64, 64)
    yield from grown(
        "length", [8, 32, 128, 512], "LSTM of 64, {} steps, batch 16", lstm, lambda n: classified(10, 16, n, 64)
    )
    gpt = lambda n: models.gpt(256, 64, 2, n)
    tokens = lambda n: lambda: (labels(256, 4, n), labels(256, 4 * n))
    yield from grown("length", [32, 128, 512], "GPT of 64, 2 layers, {} tokens, batch 4", gpt, tokens)
    yield from tapes()
    yield from threads(cores())
