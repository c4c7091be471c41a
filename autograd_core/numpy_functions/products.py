"""Products of vectors, matrices and tensors, and convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .operands import F, common, operand, stand_in
from .reductions import sum
from .shapes import diagonal, ravel


def dot(a, b):
    a, b = common(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return F.matmul(a, b) if b.ndim <= 2 else F.tensordot(a, b, dims=([-1], [-2]))


def inner(a, b):
    a, b = common(a, b)
    return a * b if a.ndim == 0 or b.ndim == 0 else F.tensordot(a, b, dims=([-1], [-1]))


def vdot(a, b):
    a, b = common(a, b)
    return F.sum(F.conj(ravel(a)) * ravel(b))


def outer(a, b):
    a, b = common(a, b)
    return a.reshape((-1, 1)) * b.reshape((1, -1))


kron = lambda a, b: F.kron(*common(a, b))


def tensordot(a, b, axes=2):
    listed = lambda x: [int(i) for i in np.atleast_1d(x)]
    dims = axes if isinstance(axes, int) else (listed(axes[0]), listed(axes[1]))
    return F.tensordot(*common(a, b), dims=dims)


def einsum(*operands, optimize=False, dtype=None, order="K", casting="safe"):
    if not isinstance(operands[0], str):
        operands = lettered(operands)
    return F.einsum(operands[0], *common(*map(operand, operands[1:]), dtype=dtype))


def lettered(operands: tuple) -> tuple:
    """einsum's arguments with subscripts as a string, from pairs of an operand and a list of axis numbers."""
    spell = lambda axes: "".join("..." if i is Ellipsis else chr((65 if i < 26 else 71) + i) for i in axes)
    arrays, axes = operands[0 : len(operands) // 2 * 2 : 2], operands[1::2]
    result = f"->{spell(operands[-1])}" if len(operands) % 2 else ""
    return (",".join(map(spell, axes)) + result, *arrays)


einsum_path = lambda *operands, optimize="greedy": np.einsum_path(*map(stand_in, operands), optimize=optimize)


def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = common(a, b)
    a, b = F.movedim(a, axisa, -1), F.movedim(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(f"cross: needs vectors of three components, got {a.shape[-1]} and {b.shape[-1]}")
    (a0, a1, a2), (b0, b1, b2) = ([v[..., i] for i in range(3)] for v in (a, b))
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return F.movedim(F.stack(parts, -1), -1, axisc)


trace = lambda a, offset=0, axis1=0, axis2=1, dtype=None: sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def full_convolution(a: Any, v: Any) -> Any:
    """Every overlap of two sequences, the first at least as long as the second."""
    n = v.shape[0]
    zeros = np.zeros(n - 1, a.dtype)
    return F.matmul(F.unfold(F.cat([zeros, a, zeros], 0), 0, n, 1), F.flip(v, (0,)))


def overlaps(a: Any, v: Any, mode: str, late: bool = False) -> Any:
    a, v = common(a, v)
    a, v = a.reshape((-1,)), v.reshape((-1,))
    if 0 in (a.shape[0], v.shape[0]):
        raise ValueError("convolve, correlate: sequences must not be empty")
    late = late and a.shape[0] < v.shape[0]
    a, v = (a, v) if a.shape[0] >= v.shape[0] else (v, a)
    m, n = a.shape[0], v.shape[0]
    y = full_convolution(a, v)
    if mode == "full":
        return y
    if mode not in ("same", "valid"):
        raise ValueError(f"convolve, correlate: mode must be 'full', 'same' or 'valid', got {mode!r}")
    start = n - 1 if mode == "valid" else n // 2 if late else (n - 1) // 2
    return y[start : start + (m - n + 1 if mode == "valid" else m)]


convolve = lambda a, v, mode="full": overlaps(a, v, mode)
correlate = lambda a, v, mode="valid": overlaps(a, F.flip(F.conj(operand(v)), (0,)), mode, late=True)
