"""Scaled dot-product attention: 8 heads, forward, and forward with all gradients."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row

from .calls import call, normal, slopes

HEADS = 8
SIZES = [(4, 128), (4, 512), (1, 2048)]  # batch, length


def rows() -> Iterator[Row]:
    """Lengths, widths of a head, with and without the future; products of the run back are 2.5 times those forward."""
    for batch, length in SIZES:
        for width in (32, 64):
            shape = batch, HEADS, length, width
            arrays = lambda s=shape: [normal(*s, seed=k) for k in range(3)]
            for causal in (False, True):
                flops = 4.0 * batch * HEADS * length * length * width * (0.5 if causal else 1)
                name = f"{'causal ' * causal}attention, {' x '.join(map(str, shape))}"
                f = lambda l, q, k, v, c=causal: l.F.scaled_dot_product_attention(q, k, v, is_causal=c)
                yield call("attention", name, arrays, f, flops=flops)
                yield slopes("attention and gradients", name, arrays, f, 3, flops=3.5 * flops)
