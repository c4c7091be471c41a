"""Running sums, products, recurrences and extremes of some entries at a time, which wait for those before them once.

Entries are added to those one, two and four places before them, and what has come before the eight is added to all.  The
next eight wait for that one addition.  All is done in float64, and rounded when it is written.

Products are made so only of numbers that are neither very large nor very small, so that none in between can leave what
float64 has.  Imports Numba, and is itself imported when the first kernel that names one of these is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from ._emit import Emit
from ._shared import I32, I64, char_of
from ._vector import FRACTION, ONE

WIDE = 8
DOUBLE = ir.DoubleType()
NUMBERS = ir.VectorType(DOUBLE, WIDE)
BINARY = 100  # products are made of numbers from 2**-100 to 2**100, and go on from some up to 2**200


class Eight(Emit):
    """What is done to eight entries; `back` says that those at higher places come first."""

    def __init__(self, context, builder, back: bool):
        super().__init__(builder, "d")
        self.context, self.back = context, back

    def place(self, kind, array, at, offset: int = 0):
        """Where entries lie."""
        data = make_array(kind)(self.context, self.b, array).data
        return self.step(data, self.b.add(at, at.type(offset)))

    def read(self, kind, array, at, offset: int = 0):
        """Entries as they are."""
        where = self.place(kind, array, at, offset)
        return self.load(where, ir.VectorType(where.type.pointee, WIDE))

    def wide(self, v):
        """Entries in float64."""
        return v if v.type == NUMBERS else self.b.fpext(v, NUMBERS)

    def write(self, v, kind, array, at) -> None:
        """Write entries, rounded to what the array has."""
        to = self.place(kind, array, at)
        self.store(v if to.type.pointee == DOUBLE else self.b.fptrunc(v, ir.VectorType(to.type.pointee, WIDE)), to)

    def earlier(self, v, far: int, start: float):
        """For each entry the one so far before it, the start where there is none."""
        order = [i + far if self.back else i - far for i in range(WIDE)]
        return self.shuffled(v, self.constant(start), [i if 0 <= i < WIDE else WIDE for i in order])

    def last(self, v):
        """The entry that comes last."""
        return self.b.extract_element(v, I32(0 if self.back else WIDE - 1))

    def within(self, v, low: int | None, high: int):
        """Whether the sizes of all entries, or of a number, are from 2**low, or 0, to 2**high, or 2**127 in float32."""
        builder, several = self.b, isinstance(v.type, ir.VectorType)
        width = 64 if (v.type.element if several else v.type) == DOUBLE else 32
        word = ir.IntType(width)
        power = lambda e: ONE[width] + (min(e, 127 if width == 32 else e) << FRACTION[width])
        kind = ir.VectorType(word, WIDE) if several else word
        constant = lambda k: ir.Constant(kind, [k] * WIDE) if several else word(k)
        bits = builder.and_(builder.bitcast(v, kind), constant((1 << width - 1) - 1))
        least = 0 if low is None else power(low)
        found = builder.icmp_unsigned("<=", builder.sub(bits, constant(least)), constant(power(high) - least))
        if several:
            mask = ir.IntType(WIDE)
            found = builder.icmp_unsigned("==", builder.bitcast(found, mask), mask((1 << WIDE) - 1))
        return found


def _totals(product: bool, back: bool):
    """f(x, place, out, total): the running sums or products of eight entries after a total, and the total behind them."""

    def f(typingctx, x, place, out, total):
        def generate(context, builder, sig, args):
            eight = Eight(context, builder, back)
            join, start = (builder.fmul, 1.0) if product else (builder.fadd, -0.0)  # +0 would be put in by `vexpandpd`
            v = eight.wide(eight.read(sig.args[0], args[0], args[1]))
            for far in (1, 2, 4):
                v = join(v, eight.earlier(v, far, start))
            eight.write(join(v, eight.all(args[3])), sig.args[2], args[2], args[1])
            return join(args[3], eight.last(v))

        return types.float64(x, types.intp, out, types.float64), generate

    return intrinsic(f)


sums_on, sums_back = _totals(False, False), _totals(False, True)
products_on, products_back = _totals(True, False), _totals(True, True)


@intrinsic
def usual(typingctx, x, place, total):
    """Whether eight entries of x, and a total, are such that products of them may be made in any order."""

    def generate(context, builder, sig, args):
        eight = Eight(context, builder, False)
        entries = eight.within(eight.read(sig.args[0], args[0], args[1]), -BINARY, BINARY)
        return builder.and_(entries, eight.within(args[2], -2 * BINARY, 2 * BINARY))

    return types.boolean(x, types.intp, types.float64), generate


def _pulled(back: bool):
    """f(g, x, y, place, out, carried): c[k] = g[k] + x[before k] c[before k] for eight, times y[after k]; the last c."""

    def f(typingctx, g, x, y, place, out, carried):
        def generate(context, builder, sig, args):
            eight, step = Eight(context, builder, back), 1 if back else -1
            a = eight.wide(eight.read(sig.args[1], args[1], args[3], step))
            b = eight.wide(eight.read(sig.args[0], args[0], args[3]))
            for far in (1, 2, 4):
                b = eight.fma(a, eight.earlier(b, far, -0.0), b)
                a = builder.fmul(a, eight.earlier(a, far, 1.0))
            c, zero = eight.fma(a, eight.all(args[5]), b), eight.constant(0)
            y = eight.wide(eight.read(sig.args[2], args[2], args[3], -step))
            found = builder.select(builder.fcmp_ordered("==", c, zero), zero, builder.fmul(c, y))
            eight.write(found, sig.args[4], args[4], args[3])
            return eight.fma(eight.last(a), args[5], eight.last(b))

        return types.float64(g, x, y, types.intp, out, types.float64), generate

    return intrinsic(f)


pulled_on, pulled_back = _pulled(False), _pulled(True)


@intrinsic
def usual_pull(typingctx, g, x, place, before, carried):
    """Whether `pulled` may be used: `before` is where the first of the eight factors in x lies."""

    def generate(context, builder, sig, args):
        eight = Eight(context, builder, False)
        terms = eight.within(eight.read(sig.args[0], args[0], args[2]), None, 2 * BINARY)
        factors = eight.within(eight.read(sig.args[1], args[1], args[3]), -BINARY, BINARY)
        return builder.and_(builder.and_(terms, factors), eight.within(args[4], None, 2 * BINARY))

    return types.boolean(g, x, types.intp, types.intp, types.float64), generate


@intrinsic
def extremes_on(typingctx, x, at, y, places, k, scale, best, where):
    """The largest scale x up to each of a vector's entries, times scale, and where they are; the last of both behind it.

    The first entry lies at `at`, is number k of its line, and comes after `best`, which is number `where`.  An entry
    takes the place of what came before it unless that is larger or NaN, one that is NaN in any case.
    """

    def generate(context, builder, sig, args):
        _, at, _, _, k, scale, best, where = args
        e = Emit(builder, char_of(sig.args[0]))
        place = lambda n: e.step(make_array(sig.args[n])(context, builder, args[n]).data, at)
        numbers, mask = ir.VectorType(I64, e.lanes), ir.IntType(e.lanes)
        by, old = e.all(scale), (e.all(best), e.all(where))
        wins = lambda v, before: builder.or_(builder.fcmp_ordered(">=", v, before), builder.fcmp_unordered("uno", v, v))

        def scanned(v):
            """The largest up to each entry, and which it is."""
            found, far = ir.Constant(ir.VectorType(I32, e.lanes), list(range(e.lanes))), 1
            while far < e.lanes:  # entries with none so far before them stay as they are
                order = [i - far if i >= far else i for i in range(e.lanes)]
                before, there = e.shuffled(v, v, order), e.shuffled(found, found, order)
                own = wins(v, before)
                v, found = builder.select(own, v, before), builder.select(own, found, there)
                far *= 2
            return v, builder.add(e.all(k), builder.zext(found, numbers))

        v = builder.fmul(by, e.load(place(0)))
        new, before = builder.bitcast(wins(v, old[0]), mask), builder.block
        with builder.if_then(builder.icmp_unsigned("!=", new, mask(0)), likely=False):  # seldom, after some entries
            found, there = scanned(v)
            own = wins(found, old[0])
            made, after = (builder.select(own, found, old[0]), builder.select(own, there, old[1])), builder.block
        results = [builder.phi(one.type) for one in old]
        for result, one, other in zip(results, old, made):
            result.add_incoming(one, before)
            result.add_incoming(other, after)
        e.store(builder.fmul(by, results[0]), place(2))
        e.store(results[1], place(3))
        last = [builder.extract_element(u, I32(e.lanes - 1)) for u in results]
        return context.make_tuple(builder, sig.return_type, last)

    long, number = types.int64, x.dtype
    return types.Tuple((number, long))(x, long, y, places, long, number, number, long), generate
