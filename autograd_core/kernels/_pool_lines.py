"""Windows along rows as LLVM vector code: sums and maxima of some rows, then of the columns of a row.

Neighbouring windows are lanes: those that move on by one are read as they lie, by two with every other entry taken out
of two vectors, the largest of any others from wherever they begin; for sums of such, rows are lanes.  All addresses are
integers.  A row that is read in windows has room for two more vectors behind it.  Imports Numba, and is itself imported
when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I32, I64, char_of

LANES = 16  # to a multiple of so many entries rows of tables and of rings are filled up
AHEAD = 512  # entries by which memory is asked for before it is read: images are often in no cache of a core's own
EVEN, ODD = (
    -2,
    -3,
)  # neighbours move on by one at every other place: at the even ones from the third on, or the odd ones


class Lanes(Emit):
    """Vectors of numbers, and of as many whole numbers."""

    def __init__(self, context, builder, number, place=types.int32):
        super().__init__(builder, char_of(number))
        self.place = context.get_value_type(place)
        self.places = ir.VectorType(self.place, self.lanes)

    def spread(self, x):
        """A vector of one whole number, of either width."""
        return _repeated(self.b, x if x.type == self.place else self.b.trunc(x, self.place), self.lanes)

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

    def _masked(self, what, result, *args):
        """Call one of LLVM's functions of vectors with masks."""
        kind = args[0].type if what == "store" else result
        name = f"v{self.lanes}{'i' if isinstance(kind.element, ir.IntType) else 'f'}{self._width(kind.element)}"
        name = f"llvm.masked.{what}.{name}.{f'v{self.lanes}' if what == 'gather' else ''}p0"
        signature = ir.FunctionType(result, [a.type for a in args])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, signature, name), args)

    def _width(self, element):
        return element.width if isinstance(element, ir.IntType) else 8 * self.size

    def read(self, pointer, mask, otherwise):
        """The entries from a pointer on where the mask is set; nothing else is touched."""
        kind = otherwise.type
        align = I32(self._width(kind.element) // 8)
        return self._masked("load", kind, self.b.bitcast(pointer, kind.as_pointer()), align, mask, otherwise)

    def ask_for(self, pointer):
        """Let what lies some way ahead of a pointer come near."""
        kinds = [pointer.type, I32, I32, I32]
        signature = ir.FunctionType(ir.VoidType(), kinds)
        function = cgutils.get_or_insert_function(self.b.module, signature, "llvm.prefetch.p0")
        self.b.call(function, [self.step(pointer, AHEAD), I32(0), I32(3), I32(1)])

    def write(self, value, pointer, mask):
        align = I32(self._width(value.type.element) // 8)
        pointer = self.b.bitcast(pointer, value.type.as_pointer())
        self._masked("store", ir.VoidType(), value, pointer, align, mask)

    def gathered(self, pointer, offsets, mask, otherwise):
        """The entries at offsets from a pointer where the mask is set."""
        size = self._width(otherwise.type.element) // 8
        pointers = self.b.gep(
            pointer, [I64(0)]
        )  # llvmlite knows no vectors of pointers, of which LLVM makes one gather
        pointers.indices, pointers.type = [offsets], ir.VectorType(pointer.type, self.lanes)
        return self._masked("gather", otherwise.type, pointers, I32(size), mask, otherwise)

    def every_other(self, pointer, kind):
        """Every other entry from a pointer on."""
        a, b = self.load(pointer, kind), self.load(self.step(pointer, self.lanes), kind)
        return self.shuffled(a, b, range(0, 2 * self.lanes, 2))

    def loop(self, count, step, held, body):
        """What is held at last, by body(i, ...) for each i from 0 to before count."""
        bd, before = self.b, self.b.block
        head, inside, end = (bd.append_basic_block(name) for name in ("head", "inside", "end"))
        bd.branch(head)
        bd.position_at_end(head)
        i, phis = bd.phi(I64), [bd.phi(v.type) for v in held]
        bd.cbranch(bd.icmp_signed("<", i, count), inside, end)
        bd.position_at_end(inside)
        new = body(i, *phis) or ()
        for phi, first, value in [(i, I64(0), bd.add(i, I64(step))), *zip(phis, held, new)]:
            phi.add_incoming(first, before)
            phi.add_incoming(value, bd.block)
        bd.branch(head)
        bd.position_at_end(end)
        return phis

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


def _repeated(bd, x, lanes):
    """A vector of one value."""
    undefined, zeros = ir.Constant(ir.VectorType(x.type, lanes), ir.Undefined), [0] * lanes
    zeros = ir.Constant(ir.VectorType(I32, lanes), zeros)
    return bd.shuffle_vector(bd.insert_element(undefined, x, I32(0)), undefined, zeros)


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
                e.ask_for(there)
                return [builder.fadd(total, e.read(there, mask, e.constant(0)))]

            one = e.read(
                here,
                builder.and_(mask, _repeated(builder, builder.icmp_signed("<", I64(0), rows), e.lanes)),
                e.constant(0),
            )
            here = e.step(here, pitch)
            e.write(e.loop(builder.sub(rows, I64(1)), 1, [one], row)[0], e.step(target, i), mask)

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
            e.write(builder.fmul(weights, total), e.step(e.at(target), i), e.below(builder.sub(columns, i)))

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
                e.write(line, e.step(there, builder.mul(far, I64(k))), e.below(left))

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
                    e.ask_for(e.step(row, at))
                sums.append(builder.fadd(*(e.read(e.step(row, at), mask, e.constant(0)) for row in (upper, lower))))
            total = builder.fadd(*(e.shuffled(*sums, range(k, 2 * e.lanes, 2)) for k in (0, 1)))
            weights = builder.fmul(scales, e.load(e.step(e.at(shares), i)))
            e.write(builder.fmul(weights, total), e.step(e.at(target), i), e.below(builder.sub(columns, i)))

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
                    v = e.read(e.step(source, at), e.within(at, width), zero)
                else:
                    v = e.gathered(source, builder.add(begin, e.spread(k)), counts, zero)
                if case in (EVEN, ODD):
                    v = e.shuffled(v, v, [(j + (case == ODD)) // 2 for j in range(e.lanes)])
                return [builder.fadd(total, builder.select(counts, builder.fmul(weight, v), zero))]

            total = builder.fmul(scale, e.loop(taps, 1, [zero], near)[0])
            here, mask = e.step(e.at(target), i), e.within(i, columns)
            e.loop(copies, 1, [], lambda c: e.write(total, e.step(here, builder.mul(c, columns)), mask))

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
                    e.write(totals[k], e.step(e.step(here, builder.mul(c, columns)), k * e.lanes), masks[k])

            e.loop(copies, 1, [], copy)

        e.loop(columns, 2 * e.lanes, [], pair)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 8), generate


@intrinsic
def rows_compared(typingctx, like, place, source, pitch, rows, first, far, more, target, marks, count):
    """target[i] = the largest of source[a pitch + i] over a < rows, marks[i] = first + a far + i, for i < count.

    If there is `more`, the largest so far, of rows before these, is there already.  Of equal ones the first is taken, of
    NaN the last.
    """

    def generate(context, builder, sig, args):
        e = Lanes(context, builder, like, place)
        _, _, source, pitch, rows, first, far, more, target, marks, count = args
        source, target, marks = e.at(source), e.at(target), builder.inttoptr(marks, e.place.as_pointer())
        less = ir.Constant(e.vector, [float("-inf")] * e.lanes)
        before = _repeated(builder, builder.icmp_signed("!=", more, I64(0)), e.lanes)

        def vector(i):
            here, mask = e.step(source, i), e.below(builder.sub(count, i))
            number = builder.add(e.spread(builder.add(first, i)), e.numbered())
            held = builder.and_(mask, before)
            best, at = e.read(e.step(target, i), held, less), e.read(e.step(marks, i), held, number)

            def row(a, best, at):
                from_here = e.step(here, builder.mul(a, pitch))
                e.ask_for(from_here)
                v = e.read(from_here, mask, less)
                later = builder.or_(builder.fcmp_ordered(">", v, best), builder.fcmp_unordered("uno", v, v))
                there = builder.add(number, e.spread(builder.mul(a, far)))
                return builder.select(later, v, best), builder.select(later, there, at)

            best, at = e.loop(rows, 1, [best, at], row)
            e.write(best, e.step(target, i), mask)
            e.write(at, e.step(marks, i), mask)

        e.loop(count, e.lanes, [], vector)
        return context.get_dummy_value()

    return types.void(like, place, *[types.intp] * 9), generate


@intrinsic
def windows_compared(
    typingctx, like, place, source, marks, starts, counts, taps, step, dilation, target, places, columns
):
    """target[j] = the largest of source[starts[j] + k dilation] over k < counts[j], places[j] its mark, for j < columns.

    Of equal ones that with the least mark is taken, of NaN that with the greatest; all else as for `windows_summed`.
    """

    def generate(context, builder, sig, args):
        e, whole = Lanes(context, builder, like, place), Lanes(context, builder, like)
        source, marks, starts, counts, taps, step, dilation, target, places, columns = args[2:]
        table = lambda at, i: e.load(e.step(builder.inttoptr(at, I32.as_pointer()), i), whole.places)
        source, target = e.at(source), e.at(target)
        marks, places = (builder.inttoptr(p, e.place.as_pointer()) for p in (marks, places))
        less = ir.Constant(e.vector, [float("-inf")] * e.lanes)
        last = ir.Constant(e.places, [(1 << e.place.width - 1) - 1] * e.lanes)

        def vector(i):
            first = builder.sext(builder.load(builder.inttoptr(starts, I32.as_pointer())), I64)

            def bests(case):
                if not case:
                    begin, many = table(starts, i), table(counts, i)

                def near(k, best, at):
                    far = builder.mul(k, dilation)
                    if case:
                        where = builder.add(far, builder.add(first, builder.mul(i, I64(case))))
                        read = e.every_other if case == 2 else e.load
                        v, p = read(e.step(source, where), e.vector), read(e.step(marks, where), e.places)
                    else:
                        mask = builder.icmp_signed("<", whole.spread(k), many)
                        there = builder.add(begin, whole.spread(far))
                        v, p = e.gathered(source, there, mask, less), e.gathered(marks, there, mask, last)
                    other = _wins(builder, v, p, best, at)
                    return builder.select(other, v, best), builder.select(other, p, at)

                return e.loop(taps, 1, [less, last], near)

            best, at = e.either(step, (1, 2, 0), bests)
            mask = e.below(builder.sub(columns, i))
            e.write(best, e.step(target, i), mask)
            e.write(at, e.step(places, i), mask)

        e.loop(columns, e.lanes, [], vector)
        return context.get_dummy_value()

    return types.void(like, place, *[types.intp] * 10), generate


def _wins(bd, v, p, m, q):
    """Whether entries at p are rather to be taken than the best so far, at q."""
    tie = bd.and_(bd.fcmp_ordered("==", v, m), bd.icmp_signed("<", p, q))
    last = bd.or_(bd.fcmp_ordered("ord", m, m), bd.icmp_signed(">", p, q))
    return bd.or_(bd.or_(bd.fcmp_ordered(">", v, m), tie), bd.and_(bd.fcmp_unordered("uno", v, v), last))
