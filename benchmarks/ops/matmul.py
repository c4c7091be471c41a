"""Products of matrices against NumPy's OpenBLAS and PyTorch: sizes, transpositions, types, batches, fused layers.

OpenBLAS keeps its threads spinning for a tenth of a second after use, where it uses them: those rows have a longer pause.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.kernels.matmul import matmul as fused
from autograd_core.ops.linear import linear
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

SIZES = (32, 48, 64, 96, 100, 128, 192, 256, 333, 512, 777, 1024, 2048)
WAYS = ("NN", "NT", "TN", "TT")
BATCHES = (
    ("attention scores", (8, 4, 128, 32), (8, 4, 32, 128)),
    ("attention values", (8, 4, 128, 128), (8, 4, 128, 32)),
    ("many small", (1000, 8, 8), (1000, 8, 8)),
    ("one matrix for many", (64, 100, 64), (64, 64)),
    ("row by matrix", (1, 1024), (1024, 1024)),
    ("matrix by column", (1024, 1024), (1024, 1)),
    ("tall", (100_000, 16), (16, 16)),
    ("deep", (32, 20_000), (20_000, 32)),
)
PAUSE = 0.12  # seconds, from so many products on
THREADED = 1 << 18
LAYERS = ((32, 64, 64), (64, 784, 128), (128, 784, 512), (256, 1024, 1024), (1024, 1024, 1024))  # rows, in, out


@functools.lru_cache(8)
def numbers(shape: tuple, dtype: str, turned: bool = False) -> np.ndarray:
    """Normal numbers, stored by columns if turned."""
    rng = np.random.default_rng(sum(shape))
    x = rng.standard_normal((*shape[:-2], shape[-1], shape[-2]) if turned else shape).astype(dtype)
    return x.swapaxes(-1, -2) if turned else x


def product_rows(name: str, size: str, a: np.ndarray, b: np.ndarray, letter: str) -> Iterator[Row]:
    """Against both."""
    x, y = ag.tensor(a), ag.tensor(b)
    flops = 2.0 * a.size * b.shape[-1]
    ours = lambda: ag.matmul(x, y)
    yield against_blas(f"matmul / OpenBLAS, {letter}", name, size, ours, lambda: np.matmul(a, b), flops)
    if torch is not None:
        p, q = torch.from_numpy(a), torch.from_numpy(b)
        yield Row(f"matmul / PyTorch, {letter}", name, size, ours, lambda: torch.matmul(p, q), flops=flops)


def against_blas(group: str, name: str, size: str, ours: Callable, theirs: Callable, flops: float) -> Row:
    """A comparison with OpenBLAS."""
    pause = PAUSE if flops > 2 * THREADED else 0
    return Row(group, name, size, ours, theirs, flops=flops, pause=pause)


def layer_rows(n: int, k: int, m: int) -> Iterator[Row]:
    """A layer: product, bias and activation; then a linear layer forward and back."""
    x, w, bias = numbers((n, k), "f"), numbers((k, m), "f"), numbers((m,), "f")
    size, flops = f"{n}x{k}x{m}", 2.0 * n * k * m
    theirs = lambda: np.maximum(np.matmul(x, w) + bias, 0)
    yield against_blas("matmul+bias+relu / OpenBLAS", "fused", size, lambda: fused(x, w, bias, True), theirs, flops)
    ours, peer = _step(ag.tensor, linear, x, w.T, bias), None
    if torch is not None:
        peer = _step(torch.tensor, torch.nn.functional.linear, x, w.T, bias)
    yield Row("linear / PyTorch", "linear forward+backward", size, ours, peer, flops=3 * flops)


def _step(tensor: Callable, function: Callable, *arrays: np.ndarray) -> Callable[[], Any]:
    leaves = [tensor(np.ascontiguousarray(a), requires_grad=True) for a in arrays]
    seed = tensor(numbers((len(arrays[0]), len(arrays[1])), "f"))

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        function(*leaves).backward(seed)

    return run


def rows() -> Iterator[Row]:
    """Squares in all layouts, then batches and odd shapes, then layers."""
    for letter in "fd":
        for n in SIZES:
            for way in WAYS:
                a, b = (numbers((n, n), letter, turned=w == "T") for w in way)
                yield from product_rows(way, str(n), a, b, letter)
    for name, a_shape, b_shape in BATCHES:
        yield from product_rows(name, f"{a_shape} @ {b_shape}", numbers(a_shape, "f"), numbers(b_shape, "f"), "f")
    for shape in LAYERS:
        yield from layer_rows(*shape)
