"""Batch norm becomes the numbers of its channels and a step for each entry, which shares a loop with what comes after it.

What only a ReLU reads, or the sum with a residual, is then never stored.
"""

from __future__ import annotations

from math import prod

from ...kernels import norm
from ...op import Op
from ..program import Array, Call, Live, Program
from .fuse import form_of
from .split import fresh

MOMENTS = Op(norm.batch_moments, (), name="batch_moments")
SCALES = Op(norm.channel_scales, (), name="channel_scales")
AFFINE = Op(norm.channels_moved, (), name="affine")
NORMS = {"batch_normalized", "channels_normalized"}


def normalized(program: Program) -> Program:
    """Batch norms of several chunks, and norms by given statistics, as two calls each."""
    return program.having([part for call in program.calls for part in parts(call)])


def parts(call: Call) -> list[Call]:
    """A call, or the two that do the same."""
    if call.op.name not in NORMS or not usual(call):
        return [call]
    x, *given = call.args
    scales = fresh(x._replace(shape=(x.shape[1],)))
    if call.op.name == "batch_normalized":
        y, moments = call.results
        mean = moments._replace(shape=moments.shape[1:], strides=moments.strides[1:])
        numbers = Call(MOMENTS, (x, *given[:1]), call.params, (moments, scales), (), call.line)
    else:
        (y,), (mean, var, *given) = call.results, given
        numbers = Call(SCALES, (var, *given[:1]), call.params, (scales,), (), call.line)
    none = 0.0 if prod(x.shape[2:]) > 1 else -0.0  # what the kernels add; -0.0 changes nothing
    bias = beside(given[1], x) if len(given) > 1 else none
    entries = Call(AFFINE, (x, beside(mean, x), beside(scales, x), bias), {}, (y,), (), call.line)
    return [numbers, entries] if form_of(entries) else [call]


def beside(numbers: Array, x: Array) -> Array:
    """The numbers of channels, in the shape in which they stand beside x (N, C, ...)."""
    inner = len(x.shape) - 2
    return numbers._replace(shape=numbers.shape + (1,) * inner, strides=numbers.strides + (x.itemsize,) * inner)


def usual(call: Call) -> bool:
    """Whether all arrays are in order and of one type of floats, and there are enough entries to be worth two calls."""
    x, enough = call.args[0], norm.CHUNK if call.op.name == "batch_normalized" else 0
    alike = all(isinstance(a, Array) and a.contiguous and a.dtype == x.dtype for a in (*call.args, *call.results))
    settled = not any(isinstance(v, Live) for v in call.params.values())
    return alike and settled and x.size > enough and x.dtype.char in "fd"
