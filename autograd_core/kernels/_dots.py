"""Inner products of many rows with one vector, and sums of multiples of many rows, as LLVM code.

    dots_at(code, a, a_row, x, c, c_row, depth, rows)     c[i * c_row] = sum over k < depth of a[i * a_row + k] * x[k]
    blend_at(code, x, step, b, b_row, c, columns, rows)   c[j] += sum over i < rows of x[i * step] * b[i * b_row + j]

`code` is the address from `_shared.table`; addresses are integers and steps count entries, as in `_tile`.  Imports Numba.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit, carrying, counting
from ._shared import BYTES_OF_VECTOR, I64, call_at

ROWS, SUMS = 4, 8  # rows that are taken together, and sums of vectors under way at once
BLENDED = 8  # rows of which multiples are added at once
AHEAD = 1024  # bytes that are asked for before they are needed


def write_dots(function: ir.Function, char: str, form: int) -> None:
    """The function `dots`: rows by fours, then the rest one by one."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, a_row, x, c, c_row, depth, rows = function.args
    e, whole = Emit(builder, char, BYTES_OF_VECTOR), builder.and_(rows, I64(-ROWS))
    a, x, c = map(e.at, (a, x, c))
    for count, first, stop in ((ROWS, I64(0), whole), (1, whole, builder.sub(rows, whole))):
        with counting(builder, stop, count) as i:
            places = [builder.add(builder.add(i, first), I64(t)) for t in range(count)]
            sums = _sums(e, [e.step(a, builder.mul(p, a_row)) for p in places], x, depth)
            for place, value in zip(places, sums):
                builder.store(value, e.step(c, builder.mul(place, c_row)))
    builder.ret_void()


def write_blend(function: ir.Function, char: str, form: int) -> None:
    """The function `blend`: rows by eights, whose entries are read side by side, then the rest one by one."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    x, step, b, b_row, c, columns, rows = function.args
    e, many = Emit(builder, char, BYTES_OF_VECTOR), builder.and_(rows, I64(-BLENDED))
    x, b, c = map(e.at, (x, b, c))
    whole = builder.and_(columns, I64(-e.lanes))
    some = e.mask(builder.sub(columns, whole))
    for count, first, stop in ((BLENDED, I64(0), many), (1, many, builder.sub(rows, many))):
        with counting(builder, stop, count) as i:
            places = [builder.add(builder.add(i, first), I64(t)) for t in range(count)]
            factors = [e.all(builder.load(e.step(x, builder.mul(p, step)))) for p in places]
            lines = [e.step(b, builder.mul(p, b_row)) for p in places]
            with counting(builder, whole, e.lanes) as j:
                _add_rows(e, factors, lines, c, j, None)
            with builder.if_then(builder.icmp_signed("<", whole, columns)):
                _add_rows(e, factors, lines, c, whole, some)
    builder.ret_void()


def _add_rows(e: Emit, factors: list, rows: list, c, j, some) -> None:
    """Add multiples of a vector from each of some rows to one of c."""
    to = e.step(c, j)
    value = e.masked_load(to, some)
    for factor, row in zip(factors, rows):
        value = e.fma(factor, e.masked_load(e.step(row, j), some), value)
    e.masked_store(value, to, some)


def _sums(e: Emit, rows: list, x, depth) -> list:
    """The inner products of some rows with x."""
    builder, sets = e.b, SUMS // len(rows)
    whole = builder.and_(depth, I64(-e.lanes * sets))
    sums = [[e.constant(0)] * len(rows)] * sets
    with carrying(builder, I64(0), whole, sets * e.lanes, sum(sums, [])) as (k, flat, new):
        for s in range(sets):
            here = builder.add(k, I64(s * e.lanes))
            y = e.load(e.step(x, here))
            part = flat[s * len(rows) : (s + 1) * len(rows)]
            new += [e.fma(e.load(e.step(row, here)), y, z) for row, z in zip(rows, part)]
            for row in rows:
                e.ask_for(e.step(row, builder.add(here, I64(AHEAD // e.size))))
    sums = [new[s * len(rows) : (s + 1) * len(rows)] for s in range(sets)]
    while len(sums) > 1:
        sums = [[builder.fadd(p, q) for p, q in zip(*pair)] for pair in zip(sums[::2], sums[1::2])]
    with carrying(builder, whole, depth, e.lanes, sums[0]) as (k, old, new):
        some = e.mask(builder.sub(depth, k))
        y = e.masked_load(e.step(x, k), some)
        new += [e.fma(e.masked_load(e.step(row, k), some), y, z) for row, z in zip(rows, old)]
    return [e.folded(z, builder.fadd) for z in new]


@intrinsic
def dots_at(typingctx, code, a, a_row, x, c, c_row, depth, rows):
    """See above."""

    def generate(context, builder, sig, args):
        call_at(builder, "dots", args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8), generate


@intrinsic
def blend_at(typingctx, code, x, step, b, b_row, c, columns, rows):
    """See above."""

    def generate(context, builder, sig, args):
        call_at(builder, "blend", args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8), generate
