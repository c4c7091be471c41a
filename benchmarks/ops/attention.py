"""Scaled dot-product attention: 8 heads, forward, and forward with all gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import autograd_core as ag
from autograd_core.ops.attention import scaled_dot_product_attention
from benchmarks.rows import Row

try:
    import torch
except ImportError:
    torch = None

HEADS = 8
SIZES = [(4, 128), (4, 512), (1, 2048)]  # batch, length


def _ours(arrays: list, g: np.ndarray, causal: bool, back: bool) -> Callable:
    tensors, seed = [ag.tensor(a, requires_grad=back) for a in arrays], ag.tensor(g)

    def step():
        y = scaled_dot_product_attention(*tensors, is_causal=causal)
        return ag.gradient(y, tensors, seed) if back else y

    return step


def _theirs(arrays: list, g: np.ndarray, causal: bool, back: bool) -> Callable | None:
    if torch is None:
        return None
    tensors, seed = [torch.tensor(a, requires_grad=back) for a in arrays], torch.tensor(g)

    def step():
        y = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=causal)
        return torch.autograd.grad(y, tensors, seed) if back else y

    return step


def rows() -> Iterator[Row]:
    """Lengths, widths of a head, with and without the future; products of the run back are 2.5 times those forward."""
    rng = np.random.default_rng(0)
    for batch, length in SIZES:
        for width in (32, 64):
            *arrays, g = (rng.standard_normal((batch, HEADS, length, width)).astype("f") for _ in range(4))
            for causal in (False, True):
                flops = 4.0 * batch * HEADS * length * length * width * (0.5 if causal else 1)
                for back in (False, True):
                    name = f"attention{', causal' * causal}{', forward and back' * back}"
                    size = f"{batch} x {HEADS} x {length} x {width}"
                    calls = [make(arrays, g, causal, back) for make in (_ours, _theirs)]
                    yield Row("attention", name, size, *calls, flops=flops * (3.5 if back else 1))
