"""Arrays without an owner, for kernels that hand parts of arrays from function to function.

Numba counts the users of an array's memory, atomically, at most calls: two threads that work on rows of one array then
spend their time on that counter.  What is borrowed is not counted; whoever borrows sees to it that the owner stays.
Imports Numba, and is itself imported when the first kernel that names it is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from ._native import WideCompiler
from ._products import HEAD


@intrinsic
def borrowed(typingctx, array):
    """The same array, as one that nobody owns."""

    def generate(context, builder, sig, args):
        bare = make_array(sig.return_type)(context, builder, args[0])
        bare.meminfo = cgutils.get_null_value(bare.meminfo.type)
        bare.parent = cgutils.get_null_value(bare.parent.type)
        return impl_ret_borrowed(context, builder, sig.return_type, bare._getvalue())

    return array(array), generate


@intrinsic
def entries(typingctx, like, record, count):
    """The entries of an array of like's type that lie in order, from its record (`id`), as an array that nobody owns."""
    kind = types.Array(like, 1, "C")

    def generate(context, builder, sig, args):
        word = builder.add(args[1], context.get_constant(types.intp, 8 * HEAD))
        place = builder.load(builder.inttoptr(word, ir.IntType(64).as_pointer()))
        bare, size = make_array(kind)(context, builder), context.get_abi_sizeof(context.get_data_type(like))
        step = context.get_constant(types.intp, size)
        data = builder.inttoptr(place, context.get_data_type(like).as_pointer())
        populate_array(bare, data=data, shape=[args[2]], strides=[step], itemsize=step, meminfo=None)
        return bare._getvalue()

    return kind(like, types.intp, types.intp), generate


@intrinsic
def fetch(typingctx, array, i):
    """Have the line of the cache that holds an entry read while something else is done; past the end, nothing happens."""

    def generate(context, builder, sig, args):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        ask = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
        place = builder.gep(make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])
        to_read, near, data = word(0), word(3), word(1)
        builder.call(ask, [builder.bitcast(place, byte), to_read, near, data])
        return context.get_dummy_value()

    return types.void(array, i), generate


class Apart(WideCompiler):
    """For functions whose arrays share no memory: only then may loops that read here and there be made of vectors."""

    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


@intrinsic
def recorded(typingctx, like, axes, record):
    """The array of a record (`id`), with as many axes as `axes` has entries, in order, as one that nobody owns."""
    ndim = len(axes)
    kind = types.Array(like, ndim, "C")

    def generate(context, builder, sig, args):
        word = lambda at, k: builder.load(
            builder.inttoptr(builder.add(at, context.get_constant(types.intp, 8 * k)), ir.IntType(64).as_pointer())
        )
        place, lengths, apart = word(args[2], HEAD), word(args[2], HEAD + 2), word(args[2], HEAD + 3)
        bare, size = make_array(kind)(context, builder), context.get_abi_sizeof(context.get_data_type(like))
        data = builder.inttoptr(place, context.get_data_type(like).as_pointer())
        shape, strides = ([word(where, k) for k in range(ndim)] for where in (lengths, apart))
        step = context.get_constant(types.intp, size)
        populate_array(bare, data=data, shape=shape, strides=strides, itemsize=step, meminfo=None)
        return bare._getvalue()

    return kind(like, axes, types.intp), generate
