"""Scalar steps of vector mathematics that Numba has no word for, each one or two instructions on whole vectors.

Imports Numba, and is itself imported when the first kernel that names one of these is built.  All are made in the type
of their argument: a number written in a kernel would widen float32.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

FRACTION = {32: 23, 64: 52}  # bits of the fraction, by the width of the type
ONE = {32: 0x3F800000, 64: 0x3FF0000000000000}  # the bits of 1.0
ROOT_HALF = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}  # and of the root of a half


def _float(x):
    """The type of an argument, which must be one of the two that kernels are made for."""
    if x not in (types.float32, types.float64):
        raise TypingError(f"vector mathematics is for float32 and float64, not {x}")
    return x


def _word(x):
    """The integers as wide as a float."""
    return ir.IntType(x.bitwidth)


def _llvm(builder, name, value, *args):
    """Call one of LLVM's functions of floats."""
    kind = ir.FunctionType(value.type, [value.type] * (1 + len(args)))
    name = f"llvm.{name}.f{32 if value.type == ir.FloatType() else 64}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value, *args])


@intrinsic
def like(typingctx, x, number):
    """A number as one of the type of x."""

    def generate(context, builder, sig, args):
        return context.cast(builder, args[1], sig.args[1], sig.return_type)

    return _float(x)(x, number), generate


@intrinsic
def pick(typingctx, x, single, double):
    """The first number if x is a float32, the second if it is a float64."""

    def generate(context, builder, sig, args):
        k = 1 if x == types.float32 else 2
        return context.cast(builder, args[k], sig.args[k], sig.return_type)

    return _float(x)(x, single, double), generate


@intrinsic
def single(typingctx, x):
    """Whether x is a float32: known when a kernel is compiled, so that a branch on it leaves no trace."""
    return types.boolean(
        _float(x)
    ), lambda context, builder, sig, args: cgutils.true_bit if x.bitwidth == 32 else (cgutils.false_bit)


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, rounded once."""
    return _float(a)(a, a, a), lambda context, builder, sig, args: _llvm(builder, "fma", *args)


@intrinsic
def signed(typingctx, size, sign):
    """A number of the size of the one and the sign of the other."""
    return _float(size)(size, size), lambda context, builder, sig, args: _llvm(builder, "copysign", *args)


@intrinsic
def nearest(typingctx, x):
    """The nearest whole number, of ties the even one."""
    return _float(x)(x), lambda context, builder, sig, args: _llvm(builder, "rint", *args)


@intrinsic
def two_to(typingctx, x):
    """2 ** x for a whole number x, if that is a normal number."""

    def generate(context, builder, sig, args):
        word, bits = _word(x), FRACTION[x.bitwidth]
        shifter = ir.Constant(args[0].type, 1.5 * 2.0**bits)  # a sum with this has x in its last bits
        whole = builder.shl(builder.bitcast(builder.fadd(args[0], shifter), word), word(bits))
        return builder.bitcast(builder.add(whole, word(ONE[x.bitwidth])), args[0].type)

    return _float(x)(x), generate


@intrinsic
def raised(typingctx, y, shifted):
    """y * 2**n for n = shifted - shifter(y), if y is 0 or both are normal numbers."""

    def generate(context, builder, sig, args):
        word = _word(y)
        n = builder.shl(builder.bitcast(args[1], word), word(FRACTION[y.bitwidth]))
        return builder.bitcast(builder.add(builder.bitcast(args[0], word), n), args[0].type)

    return _float(y)(y, y), generate


@intrinsic
def is_odd(typingctx, shifted):
    """Whether the whole number in a shifted one is odd."""

    def generate(context, builder, sig, args):
        word = _word(shifted)
        bit = builder.and_(builder.bitcast(args[0], word), word(1))
        return builder.icmp_unsigned("!=", bit, word(0))

    return types.boolean(_float(shifted)), generate


@intrinsic
def half_turns(typingctx, y, shifted):
    """y, or -y if the whole number in `shifted` is 2 or 3 more than a multiple of 4."""

    def generate(context, builder, sig, args):
        word = _word(y)
        sign = builder.shl(builder.lshr(builder.bitcast(args[1], word), word(1)), word(word.width - 1))
        return builder.bitcast(builder.xor(builder.bitcast(args[0], word), sign), args[0].type)

    return _float(y)(y, y), generate


@intrinsic
def far_from(typingctx, low, x):
    """How many floats further than `low` x is, for low >= 0; what is below it, or NaN, is further than any number."""

    def generate(context, builder, sig, args):
        return builder.sub(*(builder.bitcast(v, _word(low)) for v in args[::-1]))

    return (types.uint32 if _float(low) == types.float32 else types.uint64)(low, low), generate


@intrinsic
def mantissa_exponent(typingctx, x):
    """m and e with x = m * 2**e and m between the roots of 1/2 and of 2; for positive normal x."""

    def generate(context, builder, sig, args):
        word, bits = _word(x), FRACTION[x.bitwidth]
        pattern = builder.bitcast(args[0], word)
        e = builder.ashr(builder.sub(pattern, word(ROOT_HALF[x.bitwidth])), word(bits))
        m = builder.bitcast(builder.sub(pattern, builder.shl(e, word(bits))), args[0].type)
        return context.make_tuple(builder, sig.return_type, [m, builder.sitofp(e, args[0].type)])

    return types.UniTuple(_float(x), 2)(x), generate


def polynomial(name: str, single: tuple, double: tuple):
    """A function of x: the polynomial with these coefficients, highest power first, for the type of x."""

    def typed(typingctx, x):
        numbers = single if _float(x) == types.float32 else double

        def generate(context, builder, sig, args):
            y = ir.Constant(args[0].type, numbers[0])
            for c in numbers[1:]:
                y = _llvm(builder, "fmuladd", y, args[0], ir.Constant(args[0].type, c))
            return y

        return x(x), generate

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)
