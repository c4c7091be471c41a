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

from ._emit import Emit, carrying, counting
from ._shared import I32, I64
from ._sizes import ROUND
from ._values import ASIDE

CHARS = {32: "f", 64: "d"}  # numbers as wide as keys


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
        e, data = Emit(builder, CHARS[kind.bitwidth]), make_array(sig.args[0])(context, builder, args[0]).data
        vector, mask, bounds = ir.VectorType(data.type.pointee, e.lanes), ir.IntType(e.lanes), e.all(args[2])

        def below(place):
            less = builder.icmp_signed("<", e.load(e.step(data, place), vector), bounds)
            return builder.zext(builder.ctpop(builder.bitcast(less, mask)), I64)

        stop = builder.mul(args[1], I64(ROUND))
        with carrying(builder, I64(0), stop, ROUND, [I64(0)]) as (first, (total,), new):
            some = [below(builder.add(first, I64(k))) for k in range(0, ROUND, e.lanes)]
            while len(some) > 1:
                some = [builder.add(a, b) for a, b in zip(some[::2], some[1::2])]
            new.append(builder.add(total, some[0]))
        return new[0]

    return types.int64(keys, types.int64, keys.dtype), generate


@intrinsic
def count_before(typingctx, keys, n, ranks):
    """ranks[i] = how many of n keys are less than keys[i], or equal and before it; both have room for whole vectors."""

    def generate(context, builder, sig, args):
        n, e = args[1], Emit(builder, CHARS[sig.args[0].dtype.bitwidth])
        source, target = (make_array(sig.args[k])(context, builder, args[k]).data for k in (0, 2))
        vector, counts = ir.VectorType(source.type.pointee, e.lanes), ir.VectorType(I32, e.lanes)

        def counted(total, start, stop, less):
            with carrying(builder, start, stop, 1, [total]) as (j, (so_far,), new):
                found = less(e.all(builder.load(e.step(source, j))), j)
                new.append(builder.add(so_far, builder.zext(found, counts)))
            return new[0]

        with counting(builder, n, e.lanes) as first:
            mine, behind = e.load(e.step(source, first), vector), builder.add(first, I64(e.lanes))
            behind = builder.select(builder.icmp_signed("<", behind, n), behind, n)

            def near(v, j):  # those of the same vector count up to their own place
                earlier = builder.not_(e.mask(builder.add(builder.trunc(builder.sub(j, first), I32), I32(1))))
                equal = builder.and_(builder.icmp_signed("==", v, mine), earlier)
                return builder.or_(builder.icmp_signed("<", v, mine), equal)

            total = counted(ir.Constant(counts, None), I64(0), first, lambda v, j: builder.icmp_signed("<=", v, mine))
            total = counted(total, first, behind, near)
            total = counted(total, behind, n, lambda v, j: builder.icmp_signed("<", v, mine))
            e.store(total, e.step(target, first))
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
