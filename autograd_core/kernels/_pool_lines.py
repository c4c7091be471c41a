"""Windows along rows as LLVM vector code: sums of some rows, then of the columns of a row; `_pool_largest` has maxima.

Neighbouring windows are lanes: those that move on by one are read as they lie, by two with every other entry taken out
of two vectors, the largest of any others from wherever they begin; for sums of such, rows are lanes.  All addresses are
integers.  A row that is read in windows has room for two more vectors behind it.  Imports Numba, and is itself imported
when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit, bytes_of, carrying, named
from ._shared import I32, I64, char_of

LANES = 16  # to a multiple of so many entries rows of tables and of rings are filled up
AHEAD = 512  # entries by which memory is asked for before it is read: images are often in no cache of a core's own
EVEN, ODD = -2, -3  # neighbours move on by one at every other place: the even ones from the third on, or the odd ones


class Lanes(Emit):
    """Vectors of numbers, and of as many whole numbers."""

    def __init__(self, context, builder, number, place=types.int32):
        super().__init__(builder, char_of(number))
        self.place = context.get_value_type(place)
        self.places = ir.VectorType(self.place, self.lanes)

    def spread(self, x):
        """A vector of one whole number, of either width."""
        return self.all(x if x.type == self.place else self.b.trunc(x, self.place))

    def filled(self, count):
        """The entries of a row that is filled up to whole vectors."""
        return self.b.and_(self.b.add(count, I64(LANES - 1)), I64(-LANES))

    def numbered(self):
        """The number of each lane."""
        return ir.Constant(self.places, list(range(self.lanes)))

    def below(self, count):
        """Which of the lanes come before `count`."""
        few = self.b.select(self.b.icmp_signed("<", count, I64(self.lanes)), count, I64(self.lanes))
        return self.b.icmp_signed("<", self.numbered(), self.spread(few))

    def within(self, first, count):
        """Which of the lanes are at places from 0 to before `count`, if the first of them is at `first`."""
        return self.b.icmp_unsigned("<", self.b.add(self.numbered(), self.spread(first)), self.spread(count))

    def ask_ahead(self, pointer) -> None:
        """Let what lies some way ahead of a pointer come near."""
        self.ask_for(self.step(pointer, AHEAD))

    def gathered(self, pointer, offsets, mask, otherwise):
        """The entries at offsets from a pointer where the mask is set."""
        kind = otherwise.type
        pointers = self.b.gep(pointer, [I64(0)])  # llvmlite knows no vectors of pointers
        pointers.indices, pointers.type = [offsets], ir.VectorType(pointer.type, self.lanes)
        size = I32(bytes_of(kind.element))
        return self.called(f"llvm.masked.gather.{named(kind)}.v{self.lanes}p0", kind, pointers, size, mask, otherwise)

    def every_other(self, pointer, kind):
        """Every other entry from a pointer on."""
        a, b = self.load(pointer, kind), self.load(self.step(pointer, self.lanes), kind)
        return self.shuffled(a, b, range(0, 2 * self.lanes, 2))

    def loop(self, count, step, held, body):
        """What is held at last, by body(i, ...) for each i from 0 to before count."""
        with carrying(self.b, I64(0), count, step, held) as (i, values, new):
            new += body(i, *values) or ()
        return new

    def either(self, choice, cases, body):
        """The values of body(case) for the case that is chosen; the last is for all others."""
        bd = self.b
        blocks = [bd.append_basic_block(f"case{case}") for case in cases]
        done, results = bd.append_basic_block("chosen"), []
        switch = bd.switch(choice, blocks[-1])
        for case, block in zip(cases, blocks):
            if block is not blocks[-1]:
                switch.add_case(I64(case), block)
            bd.position_at_end(block)
            results.append((body(case), bd.block))
            bd.branch(done)
        bd.position_at_end(done)
        phis = [bd.phi(v.type) for v in results[0][0]]
        for values, block in results:
            for phi, value in zip(phis, values):
                phi.add_incoming(value, block)
        return phis


@intrinsic
def rows_summed(typingctx, like, source, pitch, rows, target, count):
    """target[i] = the sum over a < rows of source[a pitch + i], for i < count."""

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        source, target, (pitch, rows, count) = e.at(args[1]), e.at(args[4]), (args[2], args[3], args[5])

        def vector(i):
            here, mask = e.step(source, i), e.below(builder.sub(count, i))

            def row(a, total):
                there = e.step(here, builder.mul(a, pitch))
                e.ask_ahead(there)
                return [builder.fadd(total, e.masked_load(there, mask, e.constant(0)))]

            one = e.masked_load(here, builder.and_(mask, e.all(builder.icmp_signed("<", I64(0), rows))))
            here = e.step(here, pitch)
            e.masked_store(e.loop(builder.sub(rows, I64(1)), 1, [one], row)[0], e.step(target, i), mask)

        e.loop(count, e.lanes, [], vector)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 5), generate


@intrinsic
def windows_summed(typingctx, like, source, taps, step, scale, shares, target, columns):
    """target[j] = scale shares[j] (the sum over k < taps of source[step j + k]), for j < columns; step is 1 or 2.

    Shares fill up whole vectors.
    """

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        _, source, taps, step, scale, shares, target, columns = args

        def vector(i):
            def sums(case):
                begin = e.step(e.at(source), builder.mul(i, I64(case)))
                read = lambda p: e.load(p) if case == 1 else e.every_other(p, e.vector)
                more = lambda k, total: [builder.fadd(total, read(e.step(e.step(begin, k), 1)))]
                return e.loop(builder.sub(taps, I64(1)), 1, [read(begin)], more)

            total = e.either(step, (1, 2), sums)[0]
            weights = builder.fmul(e.all(scale), e.load(e.step(e.at(shares), i)))
            e.masked_store(builder.fmul(weights, total), e.step(e.at(target), i), e.below(builder.sub(columns, i)))

        e.loop(columns, e.lanes, [], vector)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 3, like, *[types.intp] * 3), generate


@intrinsic
def turned(typingctx, like, source, pitch, target, far, rows, columns):
    """target[j far + i] = source[i pitch + j] for i < rows, j < columns; source is read in whole squares of vectors."""

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        _, source, pitch, target, far, rows, columns = args
        source, target = e.at(source), e.at(target)

        def square(i, j):
            here = e.step(e.step(source, builder.mul(i, pitch)), j)
            there = e.step(e.step(target, builder.mul(j, far)), i)
            lines = e.transposed([e.load(e.step(here, builder.mul(pitch, I64(k)))) for k in range(e.lanes)])
            for k, line in enumerate(lines):
                inside = builder.icmp_signed("<", builder.add(j, I64(k)), columns)
                left = builder.select(inside, builder.sub(rows, i), I64(0))
                e.masked_store(line, e.step(there, builder.mul(far, I64(k))), e.below(left))

        e.loop(rows, e.lanes, [], lambda i: e.loop(columns, e.lanes, [], lambda j: square(i, j)) and None)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 6), generate


@intrinsic
def lines_summed(typingctx, like, source, starts, counts, scales, shares, target, lines):
    """target[j] = scales shares[j] (the sum over k < counts[j] of source[starts[j] + k]), for j < lines.

    Entries of source, scales and target are lines of LANES numbers; starts and counts are int32.
    """

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        _, source, starts, counts, scales, shares, target, lines = args
        of = lambda table, j: builder.sext(builder.load(e.step(builder.inttoptr(table, I32.as_pointer()), j)), I64)
        line = lambda base, j, part: e.step(e.step(e.at(base), builder.mul(j, I64(LANES))), part)

        def window(j, part):
            first, share = of(starts, j), e.all(builder.load(e.step(e.at(shares), j)))
            more = lambda k, total: [builder.fadd(total, e.load(line(source, builder.add(first, k), part)))]
            total = e.loop(of(counts, j), 1, [e.constant(0)], more)[0]
            weights = builder.fmul(e.load(e.step(e.at(scales), part)), share)
            e.store(builder.fmul(weights, total), line(target, j, part))

        e.loop(lines, 1, [], lambda j: [window(j, part) for part in range(0, LANES, e.lanes)] and None)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 7), generate


@intrinsic
def pairs_summed(typingctx, like, source, pitch, first, scale, shares, target, columns, width):
    """`windows_summed` of two rows by two columns side by side from `first` on, in one go, from rows of this width."""

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        _, source, pitch, first, scale, shares, target, columns, width = args
        upper, scales = e.step(e.at(source), first), e.all(scale)
        lower, width = e.step(upper, pitch), builder.sub(width, first)

        def vector(i):
            twice, sums = builder.shl(i, I64(1)), []
            for at in (twice, builder.add(twice, I64(e.lanes))):
                mask = e.below(builder.sub(width, at))
                for row in (upper, lower):
                    e.ask_ahead(e.step(row, at))
                sums.append(
                    builder.fadd(*(e.masked_load(e.step(row, at), mask, e.constant(0)) for row in (upper, lower)))
                )
            total = builder.fadd(*(e.shuffled(*sums, range(k, 2 * e.lanes, 2)) for k in (0, 1)))
            weights = builder.fmul(scales, e.load(e.step(e.at(shares), i)))
            e.masked_store(builder.fmul(weights, total), e.step(e.at(target), i), e.below(builder.sub(columns, i)))

        e.loop(columns, e.lanes, [], vector)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 3, like, *[types.intp] * 4), generate


@intrinsic
def line_stretched(typingctx, like, source, width, starts, weights, taps, step, scale, target, columns, copies):
    """So many rows of target, each of `columns` entries scale (the sum over k < taps of weights[k, j] source[starts[j] + k]).

    starts are int32, they and rows of weights fill up whole vectors.  What has no weight is not looked at, and may lie
    outside of the `width` entries of source.  If step is 1, neighbours begin one entry after those of the place before;
    if it is EVEN or ODD, at every other place.
    """

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        _, source, width, starts, weights, taps, step, scale, target, columns, copies = args
        source, weights, scale, zero = e.at(source), e.at(weights), e.all(scale), e.constant(0)
        line = builder.inttoptr(starts, I32.as_pointer())
        first, pitch = builder.sext(builder.load(line), I64), e.filled(columns)

        def vector(i, case):
            if case:
                begin = builder.add(first, i if case == 1 else builder.ashr(i, I64(1)))
            else:
                begin = e.load(e.step(line, i), e.places)

            def near(k, total):
                weight = e.load(e.step(weights, builder.add(builder.mul(k, pitch), i)))
                counts = builder.fcmp_unordered("une", weight, zero)
                if case:
                    at = builder.add(begin, k)
                    v = e.masked_load(e.step(source, at), e.within(at, width), zero)
                else:
                    v = e.gathered(source, builder.add(begin, e.spread(k)), counts, zero)
                if case in (EVEN, ODD):
                    v = e.shuffled(v, v, [(j + (case == ODD)) // 2 for j in range(e.lanes)])
                return [builder.fadd(total, builder.select(counts, builder.fmul(weight, v), zero))]

            total = builder.fmul(scale, e.loop(taps, 1, [zero], near)[0])
            here, mask = e.step(e.at(target), i), e.within(i, columns)
            e.loop(copies, 1, [], lambda c: e.masked_store(total, e.step(here, builder.mul(c, columns)), mask))

        def all_of(case):
            e.loop(columns, e.lanes, [], lambda i: vector(i, case))
            return []

        e.either(step, (1, EVEN, ODD, 0), all_of)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 6, like, *[types.intp] * 3), generate


@intrinsic
def rows_mixed(typingctx, like, ring, rows, first, weights, taps, target, columns, copies):
    """So many rows of target, each of `columns` entries the sum over a < taps of weights[a] ring[(first + a) % rows].

    Rows of the ring fill up whole vectors, and there is room for one more; what has no weight is not looked at.
    """

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like)
        _, ring, rows, first, weights, taps, target, columns, copies = args
        ring, weights, target, zero = e.at(ring), e.at(weights), e.at(target), e.constant(0)
        pitch = e.filled(columns)

        def pair(i):
            def row(a, *totals):
                weight, at = e.all(builder.load(e.step(weights, a))), builder.add(first, a)
                at = builder.select(builder.icmp_signed("<", at, rows), at, builder.sub(at, rows))
                counts = builder.fcmp_unordered("une", weight, zero)
                here, new = e.step(ring, builder.add(builder.mul(at, pitch), i)), []
                for k, total in enumerate(totals):
                    v = builder.fmul(weight, e.load(e.step(here, k * e.lanes)))
                    new.append(builder.fadd(total, builder.select(counts, v, zero)))
                return new

            totals, here = e.loop(taps, 1, [zero, zero], row), e.step(target, i)
            masks = [e.within(builder.add(i, I64(k * e.lanes)), columns) for k in range(2)]

            def copy(c):
                for k in range(2):
                    e.masked_store(totals[k], e.step(e.step(here, builder.mul(c, columns)), k * e.lanes), masks[k])

            e.loop(copies, 1, [], copy)

        e.loop(columns, 2 * e.lanes, [], pair)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 8), generate
