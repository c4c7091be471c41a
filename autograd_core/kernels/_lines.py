"""Lines of entries for softmax in whole vectors, the last of them masked: largest entries, sums of exponentials, results.

LLVM would do what is left of a line entry by entry, which for a hundred of them is a good part of the time, and look each
time whether arrays share memory.  Imports Numba, for kernels only.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit, carrying
from ._shared import BYTES_OF_VECTOR, I64, char_of
from ._vector import FRACTION, ONE
from .vector_exp import EXP

SETS = 4  # vectors at a time: the operations of one wait for each other
# 1 / log 2; log 2 in two parts; the least exponent of a normal number; what a sum has a whole number in its last bits with
NUMBERS = {
    "f": (1.4426950408889634, -0.693145752, -1.42860677e-06, -87.3, 12582912.0),
    "d": (1.4426950408889634, -0.6931471803691238, -1.9082149292705877e-10, -708.3, 6755399441055744.0),
}


class Line(Emit):
    """What is done to the vectors of a line of n entries."""

    def __init__(self, builder: ir.IRBuilder, char: str, n):
        super().__init__(builder, char, BYTES_OF_VECTOR)
        self.char, self.n = char, n

    def place(self, at, k):
        """Where entry k lies of a line that begins at an address."""
        return self.step(self.at(at), k)

    def each(self, do: Callable, join: Callable | None = None, start=None, ahead: tuple = ()):
        """do(place, mask, sum so far) for all vectors, a few at a time; what comes out, if that is to be joined.

        Meanwhile the lines after those that begin at `ahead` come near, so that nobody waits for memory there.
        """
        builder, lanes = self.b, self.lanes
        carried = [start] * SETS if join else []
        many, whole = builder.and_(self.n, I64(-SETS * lanes)), builder.and_(self.n, I64(-lanes))
        with carrying(builder, I64(0), many, SETS * lanes, carried) as (k, sums, new):
            places = [builder.add(k, I64(s * lanes)) for s in range(SETS)]
            for at, place in product(ahead, places):
                self.ask_for(self.place(at, builder.add(place, self.n)))
            found = [do(place, None, total) for place, total in zip(places, sums or [None] * SETS)]
            new += found if join else []
        while len(new) > 1:
            new = [join(*pair) for pair in zip(new[::2], new[1::2])]  # type: ignore[misc]
        with carrying(builder, many, whole, lanes, new) as (k, sums, rest):
            found = [do(k, None, *(sums or [None]))]
            rest += found if join else []
        with carrying(builder, whole, self.n, lanes, rest) as (k, sums, last):
            found = [do(k, self.mask(builder.sub(self.n, k)), *(sums or [None]))]
            last += found if join else []
        return self.folded(last[0], join) if join else None

    def larger(self, a, b):
        """The larger of each two entries; the second where the first is NaN."""
        return self.b.select(self.b.fcmp_ordered(">", a, b), a, b)

    def exp_below(self, x):
        """exp(x) for x up to 0, with 0 in place of subnormal numbers, as `softmax.exp_below`."""
        builder, (turn, high, low, least, shifter) = self.b, map(self.constant, NUMBERS[self.char])
        width = 8 * self.size
        words = ir.VectorType(ir.IntType(width), self.lanes)
        word = lambda number: ir.Constant(words, [number] * self.lanes)
        shifted = self.fma(x, turn, shifter)
        n = builder.fsub(shifted, shifter)
        r = self.fma(n, low, self.fma(n, high, x))
        first, *rest = EXP.arguments[1 if self.char == "f" else 2]
        y = self.constant(first)
        for c in (*rest, 1.0, 1.0):
            y = self.fma(y, r, self.constant(c))
        whole = builder.shl(builder.bitcast(shifted, words), word(FRACTION[width]))
        y = builder.fmul(y, builder.bitcast(builder.add(whole, word(ONE[width])), self.vector))
        return builder.select(builder.fcmp_ordered("<", x, least), self.constant(0), y)

    def top(self, at):
        """The largest entry that is a number, and 0 in place of -inf."""
        low, builder = self.constant(float("-inf")), self.b

        def do(k, mask, so_far):
            x = self.masked_load(self.place(at, k), mask)
            return self.larger(x if mask is None else builder.select(mask, x, low), so_far)

        found, nothing = self.each(do, self.larger, low), self.number(0.0)
        return builder.select(builder.fcmp_ordered("==", found, self.number(float("-inf"))), nothing, found)

    def exps(self, at, top, to):
        """The sum of exp(x - top), which are written if there is a place for them."""
        builder, spread, zero = self.b, self.all(top), self.constant(0)

        def do(k, mask, so_far):
            x = self.masked_load(self.place(at, k), mask)
            e = self.exp_below(builder.fsub(x, spread))
            if to is not None:
                self.masked_store(e, self.place(to, k), mask)
            return builder.fadd(so_far, e if mask is None else builder.select(mask, e, zero))

        return self.each(do, builder.fadd, zero, (at,))

    def summed(self, term: Callable, *at):
        """The sum of what is made of vectors at several places, which is 0 where all entries are."""

        def do(k, mask, so_far):
            return self.b.fadd(so_far, term(*[self.masked_load(self.place(a, k), mask) for a in at]))

        return self.each(do, self.b.fadd, self.constant(0))

    def written(self, to, change: Callable, *at, ahead: tuple = ()) -> None:
        """What is made of vectors at several places, written to another."""

        def do(k, mask, _):
            found = [self.masked_load(self.place(a, k), mask) for a in at]
            self.masked_store(change(*found), self.place(to, k), mask)

        self.each(do, ahead=ahead)


@intrinsic
def line_sums(typingctx, like, at, n):
    """The largest of n entries, and Σ exp(x - that); NaN is in the sum alone."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(like), args[2])
        top = line.top(args[1])
        return context.make_tuple(builder, sig.return_type, [top, line.exps(args[1], top, None)])

    return types.UniTuple(like, 2)(like, at, n), generate


@intrinsic
def line_exps(typingctx, like, at, to, n):
    """Σ exp(x - the largest of n entries), and what is added up, in another place."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(like), args[3])
        return line.exps(args[1], line.top(args[1]), args[2])

    return like(like, at, to, n), generate


@intrinsic
def line_scaled(typingctx, at, n, factor):
    """n entries multiplied by a factor."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(factor), args[1])
        spread = line.all(args[2])
        line.written(args[0], lambda x: builder.fmul(x, spread), args[0])
        return context.get_dummy_value()

    return types.void(at, n, factor), generate


@intrinsic
def line_lowered(typingctx, at, to, n, top, rest):
    """(x - top) - rest of n entries, in another place."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(top), args[2])
        spread, after = line.all(args[3]), line.all(args[4])
        line.written(args[1], lambda x: builder.fsub(builder.fsub(x, spread), after), args[0])
        return context.get_dummy_value()

    return types.void(at, to, n, top, rest), generate


@intrinsic
def line_pulled(typingctx, like, v, p, to, n):
    """p (v - Σ v p) of n entries, in another place."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(like), args[4])
        dot = line.all(line.summed(builder.fmul, *args[1:3]))
        line.written(args[3], lambda v, p: builder.fmul(builder.fsub(v, dot), p), *args[1:3], ahead=args[1:3])
        return context.get_dummy_value()

    return types.void(like, v, p, to, n), generate


@intrinsic
def line_log_pulled(typingctx, like, v, logs, to, n):
    """v - exp(logs) Σ v of n entries, in another place, leaving out those whose logarithm is -inf."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(like), args[4])
        low, zero = line.constant(float("-inf")), line.constant(0)
        kept = lambda logs, y: builder.select(builder.fcmp_ordered("==", logs, low), zero, y)
        total = line.all(line.summed(lambda v, logs: kept(logs, v), *args[1:3]))
        change = lambda v, logs: kept(logs, builder.fsub(v, builder.fmul(line.exp_below(logs), total)))
        line.written(args[3], change, *args[1:3], ahead=args[1:3])
        return context.get_dummy_value()

    return types.void(like, v, logs, to, n), generate


@intrinsic
def line_shares(typingctx, x, to, n, top, rest, factor):
    """exp(x - top - rest) * factor of n entries, in another place; top + rest is at least x."""

    def generate(context, builder, sig, args):
        line = Line(builder, char_of(top), args[2])
        spread, after, by = map(line.all, args[3:])
        above = lambda x: builder.fsub(builder.fsub(x, spread), after)
        line.written(args[1], lambda x: builder.fmul(line.exp_below(above(x)), by), args[0])
        return context.get_dummy_value()

    return types.void(x, to, n, top, rest, factor), generate
