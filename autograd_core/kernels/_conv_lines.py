"""The inner loops of convolution with pixels as lanes, as LLVM vector code: tiles of products, and moving lines.

All addresses are integers, all steps count entries.  Imports Numba, and is itself imported when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I32, I64, call_shared, char_of


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
def window_products(typingctx, like, rows, columns, g, g_row, x, places, starts, segments, depth, sums, keep):
    """sums[i columns + j] = inner products of lines of g and x: of g[i g_row + a + k] with x[places[j] + b + k], for all
    segments, which begin at pairs (a, b) of `starts`, and k < lanes * depth; added to what is there if keep.

    At most 24 of them, of which whole vectors are written.
    """

    def generate(context, builder, sig, args):
        _, rows, columns, *rest = args
        form = builder.add(builder.mul(rows, I64(16)), columns)
        call_shared(builder, "windows", char_of(like), [*rest, form])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 11), generate


def write_windows(function: ir.Function, char: str, form: int) -> None:
    """Products of so many rows and columns, likewise 16 * rows + columns."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    _window_products(e, form // 16, form % 16, *function.args[:-1])
    e.b.ret_void()


def _window_products(e, rows, columns, g, g_row, x, places, starts, segments, depth, sums, keep):
    """The loops over segments and depth, whose sums stay in registers, and what they are put together to."""
    bd, zero, before, count = e.b, e.constant(0), e.b.block, rows * columns
    outer, inner, after, end = (bd.append_basic_block(name) for name in ("segment", "depth", "after", "end"))
    table = lambda address, i: bd.load(bd.gep(bd.inttoptr(address, I64.as_pointer()), [i]))
    offsets, of_rows = [table(places, I64(j)) for j in range(columns)], [bd.mul(g_row, I64(i)) for i in range(rows)]
    bd.branch(outer)
    bd.position_at_end(outer)
    s, held = bd.phi(I64), [bd.phi(e.vector) for _ in range(count)]
    from_g, from_x = (e.step(e.at(v), table(starts, bd.add(bd.add(s, s), I64(k)))) for k, v in enumerate((g, x)))
    bd.branch(inner)
    bd.position_at_end(inner)
    k, at_g, at_x = bd.phi(I64), bd.phi(e.pointer), bd.phi(e.pointer)
    totals = [bd.phi(e.vector) for _ in range(count)]
    slopes, new = [e.load(e.step(at_g, row)) for row in of_rows], [None] * count
    for j, offset in enumerate(offsets):
        value = e.load(e.step(at_x, offset))
        for i, slope in enumerate(slopes):
            new[i * columns + j] = e.fma(slope, value, totals[i * columns + j])
    following = bd.add(k, I64(1))
    pairs = [(k, I64(0), following), *((p, q, e.step(p, e.lanes)) for p, q in ((at_g, from_g), (at_x, from_x)))]
    for phi, start, value in [*pairs, *zip(totals, held, new)]:
        phi.add_incoming(start, outer)
        phi.add_incoming(value, inner)
    bd.cbranch(bd.icmp_signed("<", following, depth), inner, after)
    bd.position_at_end(after)
    onwards = bd.add(s, I64(1))
    for phi, start, value in [(s, I64(0), onwards), *zip(held, [zero] * count, new)]:
        phi.add_incoming(start, before)
        phi.add_incoming(value, after)
    bd.cbranch(bd.icmp_signed("<", onwards, segments), outer, end)
    bd.position_at_end(end)
    new += [zero] * (-count % e.lanes)
    for first in range(0, count, e.lanes):
        total, target = _across(e, new[first : first + e.lanes]), e.step(e.at(sums), first)
        with bd.if_else(bd.icmp_signed("!=", keep, I64(0))) as (added, plain):
            with added:
                e.store(bd.fadd(e.load(target), total), target)
            with plain:
                e.store(total, target)


def _across(e, vectors):
    """A vector of the sums across each of as many vectors as it has lanes."""
    bits, half = e.lanes.bit_length() - 1, e.lanes // 2
    vectors = [vectors[int(f"{i:0{bits}b}"[::-1], 2)] for i in range(e.lanes)]
    while half:
        blocks = range(0, e.lanes, 2 * half)
        low = [v + i for v in blocks for v in (v, e.lanes + v) for i in range(half)]
        pairs = zip(vectors[::2], vectors[1::2])
        vectors = [e.b.fadd(e.shuffled(a, b, low), e.shuffled(a, b, [i + half for i in low])) for a, b in pairs]
        half //= 2
    return vectors[0]


def over_line(e, count, step, body, values=()):
    """body(first, how many are left) for the steps that make up a line; given values, it is handed them and answers with new."""
    bd, before = e.b, e.b.block
    loop, end = bd.append_basic_block("line"), bd.append_basic_block("line_end")
    bd.cbranch(bd.icmp_signed("<", I64(0), count), loop, end)
    bd.position_at_end(loop)
    i, held = bd.phi(I64), [bd.phi(value.type) for value in values]
    new = body(i, bd.sub(count, i), *([held] if values else [])) or []
    pairs = [(i, I64(0), bd.add(i, I64(step))), *zip(held, values, new)]
    after = bd.block
    bd.cbranch(bd.icmp_signed("<", pairs[0][2], count), loop, end)
    bd.position_at_end(end)
    for phi, start, value in pairs:
        phi.add_incoming(start, before)
        phi.add_incoming(value, after)
    results = [bd.phi(value.type) for value in values]
    for phi, start, value in zip(results, values, new):
        phi.add_incoming(start, before)
        phi.add_incoming(value, after)
    return results


@intrinsic
def copy_line(typingctx, like, source, target, count):
    """target[i] = source[i]"""

    def generate(context, builder, sig, args):
        e, source, target = Emit(builder, char_of(like)), *args[1:3]

        def body(i, left):
            mask = e.mask(left)
            e.masked_store(e.masked_load(e.step(e.at(source), i), mask), e.step(e.at(target), i), mask)

        over_line(e, args[3], e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 3), generate


@intrinsic
def copy_lines(typingctx, like, source, source_step, target, target_step, lines, count):
    """target[h target_step + i] = source[h source_step + i] for h < lines, i < count, of which there is at least one."""

    def generate(context, builder, sig, args):
        e, (source, source_step, target, target_step, lines, count) = Emit(builder, char_of(like)), args[1:]
        whole = builder.mul(builder.sdiv(builder.sub(count, I64(1)), I64(e.lanes)), I64(e.lanes))
        rest = e.mask(builder.sub(count, whole))

        def line(h, left):
            a, b = (e.step(e.at(p), builder.mul(h, n)) for p, n in ((source, source_step), (target, target_step)))
            over_line(e, whole, e.lanes, lambda i, left: e.store(e.load(e.step(a, i)), e.step(b, i)))
            e.masked_store(e.masked_load(e.step(a, whole), rest), e.step(b, whole), rest)

        over_line(e, lines, 1, line)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 6), generate


def fetch(e, address, to_write):
    """Have the line of the cache at an address read."""
    signature = ir.FunctionType(ir.VoidType(), [address.type, I32, I32, I32])
    found = cgutils.get_or_insert_function(e.b.module, signature, "llvm.prefetch.p0")
    near, data = I32(3), I32(1)
    e.b.call(found, [address, I32(to_write), near, data])


@intrinsic
def fetch_line(typingctx, like, target, count):
    """Have the lines of the cache that hold target[i] read while something else is done, since they will be written."""

    def generate(context, builder, sig, args):
        e, byte = Emit(builder, char_of(like)), ir.IntType(8).as_pointer()
        over_line(e, args[2], e.lanes, lambda i, left: fetch(e, builder.bitcast(e.step(e.at(args[1]), i), byte), 1))
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

        over_line(e, args[4], 2 * e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 4), generate


@intrinsic
def even_lines(typingctx, like, source, source_step, target, target_step, lines, count, ahead):
    """target[h target_step + i] = source[h source_step + 2 i] for h < lines, i < count, of which there is at least one.

    Meanwhile as much is fetched from source[ahead] on, which is read next.
    """

    def generate(context, builder, sig, args):
        e, (source, source_step, target, target_step, lines, count, ahead) = Emit(builder, char_of(like)), args[1:]
        whole = builder.mul(builder.sdiv(builder.sub(count, I64(1)), I64(e.lanes)), I64(e.lanes))
        some = builder.sub(count, whole)
        twice = builder.sub(builder.shl(some, I64(1)), I64(1))
        rest, parts = e.mask(some), [e.mask(builder.sub(twice, I64(k))) for k in (0, e.lanes)]
        byte = ir.IntType(8).as_pointer()

        def line(h, left):
            a, b = (e.step(e.at(p), builder.mul(h, n)) for p, n in ((source, source_step), (target, target_step)))

            def moved(i, load):
                first = e.step(a, builder.shl(i, I64(1)))
                for k in (0, e.lanes):
                    fetch(e, builder.bitcast(e.step(e.step(first, ahead), k), byte), 0)
                return e.shuffled(load(first, 0), load(e.step(first, e.lanes), 1), range(0, 2 * e.lanes, 2))

            over_line(e, whole, e.lanes, lambda i, left: e.store(moved(i, lambda p, k: e.load(p)), e.step(b, i)))
            e.masked_store(moved(whole, lambda p, k: e.masked_load(p, parts[k])), e.step(b, whole), rest)

        over_line(e, lines, 1, line)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 7), generate


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

        over_line(e, args[3], 2 * e.lanes, body)
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

        over_line(e, args[4], 2 * e.lanes, body)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 4), generate
