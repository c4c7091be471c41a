"""The inner loops of convolution with pixels as lanes, as LLVM vector code: tiles of products, and moving lines.

All addresses are integers, all steps count entries.  Imports Numba, and is itself imported when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._conv_tile import Emit
from ._shared import I32, I64, call_shared, char_of

TAPS = 12


@intrinsic
def pixel_tile(typingctx, like, rows, vectors, w, x, x_step, places, count, c, c_row, c_step, columns):
    """c[i c_row + v c_step + j] = sum over t < count of w[t rows + i] x[places[t] + v x_step + j] for j < columns.

    At most 4 rows of 6 vectors, 8 of 3, 14 of 2, 4 of 1; j counts the lanes of a vector.
    """

    def generate(context, builder, sig, args):
        _, rows, vectors, *rest = args
        form = builder.add(builder.mul(vectors, I64(16)), rows)
        call_shared(builder, "pixels", char_of(like), [*rest, form])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 11), generate


def write_pixels(function: ir.Function, char: str, form: int) -> None:
    """A tile of so many vectors and rows, likewise 16 * vectors + rows."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    _pixel_tile(e, form % 16, form // 16, *function.args[:-1])
    e.b.ret_void()


def _pixel_tile(e, rows, vectors, w, x, x_step, places, count, c, c_row, c_step, columns):
    """The loop over taps for one shape of tile."""
    bd, zero, before = e.b, e.constant(0), e.b.block
    body, end = bd.append_basic_block("taps"), bd.append_basic_block("sums")
    w, x, places = e.at(w), e.at(x), bd.inttoptr(places, I64.as_pointer())
    steps = [bd.mul(x_step, I64(v)) for v in range(vectors)]
    bd.branch(body)
    bd.position_at_end(body)
    t, weights = bd.phi(I64), bd.phi(e.pointer)
    sums, new = [bd.phi(e.vector) for _ in range(rows * vectors)], []
    here = e.step(x, bd.load(bd.gep(places, [t])))
    columns_of_x = [e.load(e.step(here, step)) for step in steps]
    for i in range(rows):
        weight = e.all(bd.load(e.step(weights, i)))
        new += [e.fma(weight, value, sums[i * vectors + v]) for v, value in enumerate(columns_of_x)]
    following = bd.add(t, I64(1))
    pairs = [(t, I64(0), following), (weights, w, e.step(weights, rows))]
    for phi, start, value in [*pairs, *zip(sums, [zero] * len(sums), new)]:
        phi.add_incoming(start, before)
        phi.add_incoming(value, body)
    bd.cbranch(bd.icmp_signed("<", following, count), body, end)
    bd.position_at_end(end)
    mask = e.mask(columns)
    for i in range(rows):
        row = e.step(e.at(c), bd.mul(c_row, I64(i)))
        for v in range(vectors):
            e.masked_store(new[i * vectors + v], e.step(row, bd.mul(c_step, I64(v))), mask)


@intrinsic
def line_products(typingctx, like, taps, g, g_step, x, x_step, places, count, sums, columns):
    """sums[t lanes + j] += sum over i < count of g[i g_step + j] x[places[t] + i x_step + j], for j < columns.

    At most TAPS of them; j counts the lanes of a vector.
    """

    def generate(context, builder, sig, args):
        call_shared(builder, "lines", char_of(like), [*args[2:], args[1]])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 9), generate


def write_lines(function: ir.Function, char: str, form: int) -> None:
    """Products for so many taps."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    _line_products(e, form, *function.args[:-1])
    e.b.ret_void()


def _line_products(e, taps, g, g_step, x, x_step, places, count, sums, columns):
    """The loop over lines for so many taps."""
    bd, before, mask = e.b, e.b.block, e.mask(columns)
    body, end = bd.append_basic_block("lines"), bd.append_basic_block("sums")
    g, x, places = e.at(g), e.at(x), bd.inttoptr(places, I64.as_pointer())
    starts = [e.step(x, bd.load(bd.gep(places, [I64(t)]))) for t in range(taps)]
    targets = [e.step(e.at(sums), t * e.lanes) for t in range(taps)]
    held = [e.load(target) for target in targets]
    bd.branch(body)
    bd.position_at_end(body)
    i, totals = bd.phi(I64), [bd.phi(e.vector) for _ in range(taps)]
    row = e.masked_load(e.step(g, bd.mul(i, g_step)), mask)
    offset = bd.mul(i, x_step)
    new = [e.fma(row, e.masked_load(e.step(start, offset), mask), total) for start, total in zip(starts, totals)]
    following = bd.add(i, I64(1))
    for phi, start, value in [(i, I64(0), following), *zip(totals, held, new)]:
        phi.add_incoming(start, before)
        phi.add_incoming(value, body)
    bd.cbranch(bd.icmp_signed("<", following, count), body, end)
    bd.position_at_end(end)
    for value, target in zip(new, targets):
        e.store(value, target)


def _over_line(e, count, step, body):
    """body(first, how many are left) for the steps that make up a line."""
    bd, before = e.b, e.b.block
    loop, end = bd.append_basic_block("line"), bd.append_basic_block("line_end")
    bd.cbranch(bd.icmp_signed("<", I64(0), count), loop, end)
    bd.position_at_end(loop)
    i = bd.phi(I64)
    i.add_incoming(I64(0), before)
    body(i, bd.sub(count, i))
    following = bd.add(i, I64(step))
    i.add_incoming(following, bd.block)
    bd.cbranch(bd.icmp_signed("<", following, count), loop, end)
    bd.position_at_end(end)


@intrinsic
def copy_line(typingctx, like, source, target, count):
    """target[i] = source[i]"""

    def generate(context, builder, sig, args):
        e, source, target = Emit(builder, char_of(like)), *args[1:3]

        def body(i, left):
            mask = e.mask(left)
            e.masked_store(e.masked_load(e.step(e.at(source), i), mask), e.step(e.at(target), i), mask)

        _over_line(e, args[3], e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 3), generate


@intrinsic
def fetch_line(typingctx, like, target, count):
    """Have the lines of the cache that hold target[i] read while something else is done, since they will be written."""

    def generate(context, builder, sig, args):
        e, byte = Emit(builder, char_of(like)), ir.IntType(8).as_pointer()
        signature = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
        fetch = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
        to_write, near, data = I32(1), I32(3), I32(1)

        def body(i, left):
            builder.call(fetch, [builder.bitcast(e.step(e.at(args[1]), i), byte), to_write, near, data])

        _over_line(e, args[2], e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 2), generate


@intrinsic
def split_line(typingctx, like, source, even, odd, count):
    """even[i] = source[2 i], odd[i] = source[2 i + 1]; count entries of the source."""

    def generate(context, builder, sig, args):
        e, (source, even, odd) = Emit(builder, char_of(like)), map(Emit(builder, char_of(like)).at, args[1:4])

        def body(i, left):
            rest, half = builder.sub(left, I64(e.lanes)), builder.ashr(i, I64(1))
            from_x = e.step(source, i)
            a, b = e.masked_load(from_x, e.mask(left)), e.masked_load(e.step(from_x, e.lanes), e.mask(rest))
            for first, target in enumerate((even, odd)):
                many = builder.ashr(builder.add(left, I64(1 - first)), I64(1))
                value = e.shuffled(a, b, range(first, 2 * e.lanes, 2))
                e.masked_store(value, e.step(target, half), e.mask(many))

        _over_line(e, args[4], 2 * e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 4), generate


@intrinsic
def even_line(typingctx, like, source, target, count):
    """target[i] = source[2 i]; count entries of the target."""

    def generate(context, builder, sig, args):
        e, source, target = Emit(builder, char_of(like)), *args[1:3]

        def body(i, left):
            from_x, rest = e.step(e.at(source), builder.shl(i, I64(1))), builder.sub(builder.shl(left, I64(1)), I64(1))
            a = e.masked_load(from_x, e.mask(rest))
            b = e.masked_load(e.step(from_x, e.lanes), e.mask(builder.sub(rest, I64(e.lanes))))
            value = e.shuffled(a, b, range(0, 2 * e.lanes, 2))
            e.masked_store(value, e.step(e.at(target), i), e.mask(left))

        _over_line(e, args[3], e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 3), generate


@intrinsic
def spread_line(typingctx, like, source, target, count):
    """target[2 i] = source[i], target[2 i + 1] = 0; count entries of the target."""

    def generate(context, builder, sig, args):
        e, source, target = Emit(builder, char_of(like)), *args[1:3]

        def body(i, left):
            many = builder.ashr(builder.add(left, I64(1)), I64(1))
            value = e.masked_load(e.step(e.at(source), builder.ashr(i, I64(1))), e.mask(many))
            for k in (0, 1):
                order = [e.lanes if j % 2 else j // 2 + k * e.lanes // 2 for j in range(e.lanes)]
                to = e.step(e.step(e.at(target), i), k * e.lanes)
                e.masked_store(e.shuffled(value, e.constant(0), order), to, e.mask(builder.sub(left, I64(k * e.lanes))))

        _over_line(e, args[3], 2 * e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 3), generate


@intrinsic
def join_lines(typingctx, like, even, odd, target, count):
    """target[2 i] = even[i], target[2 i + 1] = odd[i]; count entries of the target."""

    def generate(context, builder, sig, args):
        e, (even, odd, target) = Emit(builder, char_of(like)), map(Emit(builder, char_of(like)).at, args[1:4])

        def body(i, left):
            half, to = builder.ashr(i, I64(1)), e.step(target, i)
            many = [builder.ashr(builder.add(left, I64(1 - first)), I64(1)) for first in (0, 1)]
            a, b = (e.masked_load(e.step(p, half), e.mask(m)) for p, m in zip((even, odd), many))
            for k in (0, 1):
                order = [j // 2 + (j % 2) * e.lanes + k * e.lanes // 2 for j in range(e.lanes)]
                there = builder.sub(left, I64(k * e.lanes))
                e.masked_store(e.shuffled(a, b, order), e.step(to, k * e.lanes), e.mask(there))

        _over_line(e, args[4], 2 * e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 4), generate
