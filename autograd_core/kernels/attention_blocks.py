"""Blocks of attention, a few queries with a few keys: what forward and back do alike.

Everything is turned around: a block of scores has a row for each key, so that what is done to each query (largest
score, sum, scale) is done to vectors of queries, and all products take their matrices as they lie in memory.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, inline, kernel
from ._scalars import like, pick, raised
from .attention_dropout import KEYS, LANES
from .vector_exp import EXP, reduced

multiply, ROWS = Late("_tile", "multiply"), Late("_tile", "ROWS")
pack = Late("_pack", "pack")


@inline
def weight(x):
    """exp(x) for x that is not large; 0 instead of subnormal numbers."""
    shifted, r, _ = reduced(x)
    y = (r * r * EXP(r) + r + like(x, 1)) * raised(like(x, 1), shifted)
    return like(x, 0) if x < pick(x, -87.0, -708.0) else y


@kernel
def block_product(like, a, a_row, a_depth, b, b_row, c, c_row, depth, rows, columns, width, mode):
    """c (+)= a @ b; addresses and steps as those of a tile, any size."""
    size = like.itemsize
    parts = max((rows + ROWS - 1) // ROWS, 1)
    step = (rows + parts - 1) // parts
    for j in range(0, columns, width):
        for i in range(0, rows, step):
            multiply(
                like, a + i * a_row * size, a_row, a_depth, b + j * size, b_row, c + (i * c_row + j) * size, c_row,
                depth, min(step, rows - i), min(width, columns - j), mode, 0,
            )  # fmt: skip


@kernel
def even(count):
    """How many at a time, at most KEYS, so that about as many are left for the last time."""
    parts = (count + KEYS - 1) // KEYS
    return (count + parts - 1) // parts


@kernel
def turned(x, scale, out):
    """The rows of x, at most LANES, as columns of out: (d, LANES), with zeros behind."""
    rows, columns = x.shape
    pack(out, x.ctypes.data, 1, columns, out.ctypes.data, LANES, columns, rows)
    for j in range(columns):
        row = out[j]
        for i in range(LANES):
            row[i] = row[i] * scale if i < rows else row.dtype.type(0)


@kernel
def returned(x, out):
    """The first columns of x: (d, LANES), as rows."""
    pack(out, x.ctypes.data, 1, LANES, out.ctypes.data, out.shape[1], out.shape[0], out.shape[1])


@kernel
def cleared(x):
    """Zeros."""
    flat = x.reshape(-1)
    for i in range(len(flat)):
        flat[i] = 0


@kernel
def mask_scores(s, mask, first, step_query, step_key, count, q0, k0, queries, causal):
    """Add the mask to the scores of `count` keys from k0 and LANES queries from q0; no key may come after its query."""
    nothing = s.dtype.type(-np.inf)
    for k in range(count):
        row = s[k * LANES : (k + 1) * LANES]
        if len(mask):
            start = first + (k0 + k) * step_key + q0 * step_query
            if step_query:
                given = mask[start : start + queries]
                for i in range(len(given)):
                    row[i] += given[i]
            else:
                for i in range(LANES):
                    row[i] += mask[start]
        if causal and k0 + k > q0:
            for i in range(min(k0 + k - q0, LANES)):
                row[i] = nothing
