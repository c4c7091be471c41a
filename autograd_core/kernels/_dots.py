"""Inner products of many rows with one vector, and sums of multiples of many rows, as LLVM code.

    dots_at(code, a, a_row, x, c, c_row, depth, rows)     c[i * c_row] = sum over k < depth of a[i * a_row + k] * x[k]
    blend_at(code, x, step, b, b_row, c, columns, rows)   c[j] += sum over i < rows of x[i * step] * b[i * b_row + j]

`code` is the address from `_shared.table`; addresses are integers and steps count entries, as in `_tile`.  Imports Numba.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Vectors, counting
from ._shared import I32, I64, call_at

ROWS, SUMS = 4, 8  # rows that are taken together, and sums of vectors under way at once
BLENDED = 8  # rows of which multiples are added at once
AHEAD = 1024  # bytes that are asked for before they are needed


def write_dots(function: ir.Function, char: str, form: int) -> None:
    """The function `dots`: rows by fours, then the rest one by one."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, a_row, x, c, c_row, depth, rows = function.args
    vectors, whole = Vectors(builder, char), builder.and_(rows, I64(-ROWS))
    for count, first, stop in ((ROWS, I64(0), whole), (1, whole, builder.sub(rows, whole))):
        with counting(builder, stop, count) as i:
            places = [builder.add(builder.add(i, first), I64(t)) for t in range(count)]
            for place, value in zip(places, _sums(vectors, [(a, (p, a_row)) for p in places], x, depth)):
                target = builder.bitcast(vectors.pointer(c, (place, c_row)), vectors.real.as_pointer())
                builder.store(value, target, align=vectors.size)
    builder.ret_void()


def write_blend(function: ir.Function, char: str, form: int) -> None:
    """The function `blend`: rows by eights, whose entries are read side by side, then the rest one by one."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    x, step, b, b_row, c, columns, rows = function.args
    vectors, many = Vectors(builder, char), builder.and_(rows, I64(-BLENDED))
    whole = builder.and_(columns, I64(-vectors.lanes))
    some = vectors.first(builder.sub(columns, whole))
    for count, first, stop in ((BLENDED, I64(0), many), (1, many, builder.sub(rows, many))):
        with counting(builder, stop, count) as i:
            places = [builder.add(builder.add(i, first), I64(t)) for t in range(count)]
            factors = [vectors.spread(_entry(vectors, x, p, step)) for p in places]
            with counting(builder, whole, vectors.lanes) as j:
                _add_rows(vectors, factors, [vectors.pointer(b, (p, b_row), (j, I64(1))) for p in places], c, j, None)
            with builder.if_then(builder.icmp_signed("<", whole, columns)):
                rest = [vectors.pointer(b, (p, b_row), (whole, I64(1))) for p in places]
                _add_rows(vectors, factors, rest, c, whole, some)
    builder.ret_void()


def _entry(vectors: Vectors, x, i, step):
    """One entry."""
    pointer = vectors.builder.bitcast(vectors.pointer(x, (i, step)), vectors.real.as_pointer())
    return vectors.builder.load(pointer, align=vectors.size)


def _add_rows(vectors: Vectors, factors: list, rows: list, c, j, some) -> None:
    """Add multiples of a vector from each of some rows to one of c."""
    to = vectors.pointer(c, (j, I64(1)))
    value = vectors.load(to, some)
    for factor, row in zip(factors, rows):
        value = vectors.fma(factor, vectors.load(row, some), value)
    vectors.store(value, to, some)


def _sums(vectors: Vectors, rows: list, x, depth) -> list:
    """The inner products of some rows with x."""
    builder, lanes = vectors.builder, vectors.lanes
    sets = SUMS // len(rows)
    row = lambda r, k: vectors.pointer(r[0], r[1], (k, I64(1)))
    whole = builder.and_(depth, I64(-lanes * sets))
    sums = [[vectors.zero] * len(rows)] * sets
    with _carrying(builder, I64(0), whole, sets * lanes, sum(sums, [])) as (k, flat, new):
        for s in range(sets):
            here = builder.add(k, I64(s * lanes))
            y = vectors.load(vectors.pointer(x, (here, I64(1))))
            part = flat[s * len(rows) : (s + 1) * len(rows)]
            new += [vectors.fma(vectors.load(row(r, here)), y, z) for r, z in zip(rows, part)]
            for r in rows:
                vectors.ask_for(row(r, builder.add(here, I64(AHEAD // vectors.size))))
    sums = [new[s * len(rows) : (s + 1) * len(rows)] for s in range(sets)]
    while len(sums) > 1:
        sums = [[builder.fadd(p, q) for p, q in zip(*pair)] for pair in zip(sums[::2], sums[1::2])]
    with _carrying(builder, whole, depth, lanes, sums[0]) as (k, old, new):
        some = vectors.first(builder.sub(depth, k))
        y = vectors.load(vectors.pointer(x, (k, I64(1))), some)
        new += [vectors.fma(vectors.load(row(r, k), some), y, z) for r, z in zip(rows, old)]
    return [_added_up(vectors, z) for z in new]


class _carrying:
    """A loop from a start by steps to a stop that carries values; after it, `new` holds what they have become."""

    def __init__(self, builder, start, stop, step, values):
        self.builder, self.start, self.stop, self.step, self.values = builder, start, stop, step, values

    def __enter__(self):
        builder, before = self.builder, self.builder.block
        self.head, body, self.after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        builder.branch(self.head)
        builder.position_at_end(self.head)
        self.k, self.phis, self.new = builder.phi(I64), [builder.phi(v.type) for v in self.values], []
        for phi, value in zip([self.k, *self.phis], [self.start, *self.values]):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", self.k, self.stop), body, self.after)
        builder.position_at_end(body)
        return self.k, self.phis, self.new

    def __exit__(self, *error):
        builder = self.builder
        following = builder.add(self.k, I64(self.step))
        for phi, value in zip([self.k, *self.phis], [following, *self.new]):
            phi.add_incoming(value, builder.block)
        builder.branch(self.head)
        builder.position_at_end(self.after)
        self.new[:] = self.phis


def _added_up(vectors: Vectors, x):
    """The sum of a vector's entries: halves are added until one is left."""
    builder, lanes = vectors.builder, vectors.lanes
    while lanes > 1:
        lanes //= 2
        order = [*range(lanes, 2 * lanes), *range(lanes, vectors.lanes)][: vectors.lanes]
        x = builder.fadd(x, builder.shuffle_vector(x, x, ir.Constant(ir.VectorType(I32, vectors.lanes), order)))
    return builder.extract_element(x, I32(0))


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
