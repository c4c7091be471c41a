"""Order among floats that takes one instruction or two on whole vectors, whatever NaN may do.

Imports Numba, and is itself imported when the first kernel that names one of these is built.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.cpython.builtins import do_minmax
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from ._values import ASIDE

ROUND = 64  # keys that are counted at a time


def smallest(*numbers):
    """Python's `min`, for kernels; of whole numbers without what Numba compiles for each choice of types."""
    return min(numbers)


def largest(*numbers):
    """The same for `max`."""
    return max(numbers)


def declare(chosen: Callable, usual: Callable, before: Callable) -> None:
    """Tell Numba what one of these gives.

    Of floats it is what Numba has where Numba compiles: LLVM would draw what is done with the result into the choice, and
    round otherwise.  That may raise, which functions that are written cannot.
    """

    @infer_global(chosen)
    class Typed(AbstractTemplate):
        def generic(self, args, kws):
            kind = self.context.unify_types(*args)
            return kind and signature(kind, *args)

    @lower_builtin(chosen, types.VarArg(types.Any))
    def generate(context, builder, sig, args):
        if isinstance(sig.return_type, types.Integer) or builder.function.name.endswith(ASIDE):
            return do_minmax(context, builder, sig.args, args, before)
        kind = context.typing_context.resolve_value_type(usual)
        told = context.typing_context.resolve_function_type(kind, sig.args, {})
        several = context.make_tuple(builder, told.args[0], args)
        return context.get_function(kind, told)(builder, [several])


declare(smallest, min, operator.lt)
declare(largest, max, operator.gt)


@intrinsic
def greatest(typingctx, a, b):
    """The larger of two numbers; NaN if one is."""

    def generate(context, builder, sig, args):
        number = args[0].type
        name, signature = f"llvm.maximum.f{a.bitwidth}", ir.FunctionType(number, [number, number])
        largest = cgutils.get_or_insert_function(builder.module, signature, name)
        return builder.call(largest, args, fastmath=("nsz",))

    return a(a, b), generate


def _turned(builder, bits, width):
    """Integers of either sign with those below zero in reversed order; its own inverse."""
    sign = builder.ashr(bits, bits.type(width - 1))
    return builder.xor(bits, builder.and_(sign, bits.type((1 << (width - 1)) - 1)))


@intrinsic
def rank(typingctx, x):
    """An integer for a float; those of NaN lie beyond the infinities."""

    def generate(context, builder, sig, args):
        word = ir.IntType(x.bitwidth)
        return _turned(builder, builder.bitcast(args[0], word), x.bitwidth)

    return {32: types.int32, 64: types.int64}[x.bitwidth](x), generate


@intrinsic
def of_rank(typingctx, x, number):
    """The float of an integer, of the type of x."""

    def generate(context, builder, sig, args):
        return builder.bitcast(_turned(builder, args[1], x.bitwidth), args[0].type)

    return x(x, number), generate


@intrinsic
def count_below(typingctx, keys, rounds, bound):
    """How many of the first ROUND * rounds keys are less than a bound: comparisons make masks, and bits of these are counted."""

    def generate(context, builder, sig, args):
        kind = sig.args[0].dtype
        word, lanes, long = ir.IntType(kind.bitwidth), 512 // kind.bitwidth, ir.IntType(64)
        vector, mask = ir.VectorType(word, lanes), ir.IntType(lanes)
        order = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        nothing = ir.Constant(vector, ir.Undefined)
        bounds = builder.shuffle_vector(builder.insert_element(nothing, args[2], order.type.element(0)), nothing, order)
        start = builder.bitcast(make_array(sig.args[0])(context, builder, args[0]).data, vector.as_pointer())
        total = cgutils.alloca_once_value(builder, long(0))
        with cgutils.for_range(builder, args[1]) as loop:
            here, some = builder.mul(loop.index, long(ROUND // lanes)), []
            for k in range(ROUND // lanes):
                at = builder.gep(start, [builder.add(here, long(k))])
                less = builder.icmp_signed("<", builder.load(at, align=kind.bitwidth // 8), bounds)
                some.append(builder.zext(builder.ctpop(builder.bitcast(less, mask)), long))
            while len(some) > 1:
                some = [builder.add(a, b) for a, b in zip(some[::2], some[1::2])]
            builder.store(builder.add(builder.load(total), some[0]), total)
        return builder.load(total)

    return types.int64(keys, types.int64, keys.dtype), generate


@intrinsic
def count_before(typingctx, keys, n, ranks):
    """ranks[i] = how many of n keys are less than keys[i], or equal and before it; both have room for whole vectors."""

    def generate(context, builder, sig, args):
        keys, n, ranks = args
        kind, long, whole = sig.args[0].dtype, ir.IntType(64), ir.IntType(32)
        lanes = 512 // kind.bitwidth
        vector, counts = ir.VectorType(ir.IntType(kind.bitwidth), lanes), ir.VectorType(whole, lanes)
        zeros, numbers = (ir.Constant(counts, entries) for entries in ([0] * lanes, list(range(lanes))))
        source, target = (
            make_array(k)(context, builder, a).data for k, a in ((sig.args[0], keys), (sig.args[2], ranks))
        )
        total = cgutils.alloca_once(builder, counts)

        def spread(x):
            nothing = ir.Constant(ir.VectorType(x.type, lanes), ir.Undefined)
            return builder.shuffle_vector(builder.insert_element(nothing, x, whole(0)), nothing, zeros)

        def compare(start, stop, less):
            with cgutils.for_range_slice(builder, start, stop, long(1), long) as (j, _):
                found = builder.zext(less(spread(builder.load(builder.gep(source, [j]))), j), counts)
                builder.store(builder.add(builder.load(total), found), total)

        with cgutils.for_range_slice(builder, long(0), n, long(lanes), long) as (first, _):
            mine = builder.load(builder.bitcast(builder.gep(source, [first]), vector.as_pointer()), align=4)
            behind = builder.add(first, long(lanes))
            behind = builder.select(builder.icmp_signed("<", behind, n), behind, n)

            def near(v, j):
                earlier = builder.icmp_signed(">", numbers, spread(builder.trunc(builder.sub(j, first), whole)))
                equal = builder.and_(builder.icmp_signed("==", v, mine), earlier)
                return builder.or_(builder.icmp_signed("<", v, mine), equal)

            builder.store(zeros, total)
            compare(long(0), first, lambda v, j: builder.icmp_signed("<=", v, mine))
            compare(first, behind, near)
            compare(behind, n, lambda v, j: builder.icmp_signed("<", v, mine))
            there = builder.bitcast(builder.gep(target, [first]), counts.as_pointer())
            builder.store(builder.load(total), there, align=4)
        return context.get_dummy_value()

    return types.void(keys, types.int64, ranks), generate


@intrinsic
def high_product(typingctx, a, b):
    """The upper 64 bits of a product of two 64-bit words."""

    def generate(context, builder, sig, args):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate
