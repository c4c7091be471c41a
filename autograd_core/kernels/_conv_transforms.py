"""Winograd's transforms of small tiles, as LLVM vector code: channels are lanes, the entries of a tile are vectors.

A convolution of r taps is computed from 6 entries for 7 - r places at a time, as products of polynomials at the points
0, 2/3, -2/3, 3/2, -3/2 and infinity.  All addresses are integers, all steps count entries.  Imports Numba, and is itself imported
when the first kernel of a convolution is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I64, call_shared, char_of
from .conv_tiling import KINDS

# The points whose products are 1 keep the entries of all transforms below 6: errors are a quarter of those of 1 and 2.
NEAR, FAR = 2 / 3, 3 / 2
SQUARES = NEAR**2 + FAR**2
SCALES = (1, *[0.5 / (p**2 * (p**2 - q**2)) for p, q in ((NEAR, FAR), (FAR, NEAR)) for _ in "+-"], 1)


def _of_input(e, d):
    """Six entries of the input, as the products need them."""
    fma, add, number = e.fma, e.b.fadd, e.constant
    inner = []
    for point, other in ((NEAR, FAR), (FAR, NEAR)):
        even, odd = (fma(number(-(other**2)), d[i], d[i + 2]) for i in (2, 1))
        inner += [fma(number(sign * point), odd, even) for sign in (1, -1)]
    return [fma(number(-SQUARES), d[2], add(d[0], d[4])), *inner, fma(number(-SQUARES), d[3], add(d[1], d[5]))]


def _at_points(e, y):
    """The values at the points of the polynomial that has these coefficients."""
    inner = []
    for point in (NEAR, FAR):
        even, odd = y[0], y[1]
        for i in range(2, len(y)):
            factor = e.constant(point ** (i - i % 2))
            even, odd = (e.fma(factor, y[i], even), odd) if i % 2 == 0 else (even, e.fma(factor, y[i], odd))
        inner += [e.fma(e.constant(sign * point), odd, even) for sign in (1, -1)]
    return [y[0], *inner, y[-1]]


def _from_points(e, m, count):
    """The transpose: so many coefficients from the values at the points."""
    sub, add, number = e.b.fsub, e.b.fadd, e.constant
    near, far = (add(m[1], m[2]), sub(m[1], m[2])), (add(m[3], m[4]), sub(m[3], m[4]))
    scaled = lambda i: e.b.fmul(number(NEAR**i), near[i % 2])
    out = [e.fma(number(FAR**i), far[i % 2], scaled(i)) if i else add(near[0], far[0]) for i in range(count)]
    out[0], out[-1] = add(out[0], m[0]), add(out[-1], m[5])
    return out


def _scaled(e, values):
    return [v if scale == 1 else e.b.fmul(v, e.constant(scale)) for v, scale in zip(values, SCALES)]


def _sandwich(e, rows, along_columns, along_rows):
    """A small matrix of vectors, transformed along both axes; one of a single row along the rows only."""
    if len(rows) > 1:
        rows = zip(*[along_columns(list(column)) for column in zip(*rows)])
    return [along_rows(list(row)) for row in rows]


def _transform(name):
    """A kind of a shared transform."""

    @intrinsic
    def tiles(typingctx, like, kind, source, row_step, column_step, target, target_row, target_column):
        def generate(context, builder, sig, args):
            call_shared(builder, name, char_of(like), [*args[2:], args[1]])
            return context.get_dummy_value()

        return types.void(like, *[types.intp] * 7), generate

    return tiles


def _writer(kinds, read, written):
    """Who writes a transform of tiles of these kinds: `read(taps)` and `written(e, values, taps)` are along an axis."""

    def write(function: ir.Function, char: str, form: int) -> None:
        e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
        _one_kind(e, read, written, *kinds[form], *function.args[:-1])
        e.b.ret_void()

    return write


def _one_kind(e, read, written, down, across, source, row_step, column_step, target, target_row, target_column):
    """Read a tile, transform it, write it."""
    source, target = e.at(source), e.at(target)
    place = lambda at, i, step: e.step(at, e.b.mul(step, I64(i)))
    rows = [place(source, i, row_step) for i in range(read(down) if down > 1 else 1)]
    values = [[e.load(place(row, j, column_step)) for j in range(read(across))] for row in rows]
    out = _sandwich(e, values, lambda v: written(e, v, down), lambda v: written(e, v, across))
    for i, row in enumerate(out):
        for j, value in enumerate(row):
            e.store(value, place(place(target, i, target_row), j, target_column))


_six = lambda taps: 6
write_input = _writer([(1, 3), (3, 3)], _six, lambda e, v, taps: _of_input(e, v))
write_output = _writer(KINDS, _six, lambda e, v, taps: _from_points(e, v, 7 - taps))
write_cotangent = _writer(KINDS, lambda taps: 7 - taps, lambda e, v, taps: _at_points(e, v))
write_filter = _writer(KINDS, lambda taps: taps, lambda e, v, taps: _scaled(e, _at_points(e, v)))
write_filter_sums = _writer(KINDS, _six, lambda e, v, taps: _from_points(e, _scaled(e, v), taps))

# target[i target_row + j target_column] from source[i row_step + j column_step]; the kind of an input is whether its
# tiles have several rows
input_tiles, output_tiles, cotangent_tiles = map(_transform, ("input", "output", "cotangent"))
filter_tiles, filter_sums = map(_transform, ("filter", "filter_sums"))
