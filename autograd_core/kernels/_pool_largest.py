"""The largest entries of windows along rows, and where they are, as LLVM vector code: of some rows, then of columns.

Imports Numba, and is itself imported when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._pool_lines import Lanes
from ._shared import I32, I64


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
        less = e.constant(float("-inf"))
        before = e.all(builder.icmp_signed("!=", more, I64(0)))

        def vector(i):
            here, mask = e.step(source, i), e.below(builder.sub(count, i))
            number = builder.add(e.spread(builder.add(first, i)), e.numbered())
            held = builder.and_(mask, before)
            best, at = e.masked_load(e.step(target, i), held, less), e.masked_load(e.step(marks, i), held, number)

            def row(a, best, at):
                from_here = e.step(here, builder.mul(a, pitch))
                e.ask_ahead(from_here)
                v = e.masked_load(from_here, mask, less)
                later = builder.or_(builder.fcmp_ordered(">", v, best), builder.fcmp_unordered("uno", v, v))
                there = builder.add(number, e.spread(builder.mul(a, far)))
                return builder.select(later, v, best), builder.select(later, there, at)

            best, at = e.loop(rows, 1, [best, at], row)
            e.masked_store(best, e.step(target, i), mask)
            e.masked_store(at, e.step(marks, i), mask)

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
        less = e.constant(float("-inf"))
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
            e.masked_store(best, e.step(target, i), mask)
            e.masked_store(at, e.step(places, i), mask)

        e.loop(columns, e.lanes, [], vector)
        return context.get_dummy_value()

    return types.void(like, place, *[types.intp] * 10), generate


def _wins(bd, v, p, m, q):
    """Whether entries at p are rather to be taken than the best so far, at q."""
    tie = bd.and_(bd.fcmp_ordered("==", v, m), bd.icmp_signed("<", p, q))
    last = bd.or_(bd.fcmp_ordered("ord", m, m), bd.icmp_signed(">", p, q))
    return bd.or_(bd.or_(bd.fcmp_ordered(">", v, m), tie), bd.and_(bd.fcmp_unordered("uno", v, v), last))
