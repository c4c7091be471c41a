"""What kernels need from LLVM that Numba has no word for: atomic words, functions as addresses, and the loop of a worker.

Imports Numba, and is itself imported when the first kernel is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.extending import intrinsic

from ._jit import keep
from ._threads import (
    ACTIVE, BUSY, COUNT, DATA, FUNCTION, GENERATION, GRAIN, MOST, NEXT, OPEN, SLEEPING, STOP, THREADS, WORKERS,
)  # fmt: skip

I64, VOID, BYTES = ir.IntType(64), ir.VoidType(), ir.IntType(8).as_pointer()
CHUNK = ir.FunctionType(VOID, [I64, I64, BYTES])
SPINS = 2000  # rounds that an idle worker looks for work before it sleeps: some 50 microseconds

acquire = types.ExternalFunction("PyThread_acquire_lock", types.int32(types.intp, types.int32))
release = types.ExternalFunction("PyThread_release_lock", types.void(types.intp))


def _word(builder, pool, field):
    """A pointer to a word of the shared state."""
    return builder.inttoptr(builder.add(pool, builder.shl(field, I64(3))), I64.as_pointer())


def native(fn):
    """Compiled, and kept on disk."""
    compiled = njit(nogil=True)(fn)
    keep(compiled, f"_native.{fn.__name__}")
    return compiled


class _WideLower(Lower):
    """Lets loops use the widest vectors: LLVM is shy of those of 512 bits, which slowed down older processors."""

    def lower_function_body(self):
        set.add(self.function.attributes, '"prefer-vector-width"="512"')
        return super().lower_function_body()


@register_pass(mutates_CFG=True, analysis_only=False)
class _WideLowering(NativeLowering):
    _name = "wide_native_lowering"
    lowering_class = property(lambda self: _WideLower)


class WideCompiler(CompilerBase):
    """Numba's usual pipeline, but for the width of vectors."""

    def define_pipelines(self):
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes[:] = [(_WideLowering if p is NativeLowering else p, text) for p, text in pipeline.passes]
        pipeline.finalize()
        return [pipeline]


@intrinsic
def load(typingctx, pool, field):
    """The value of a shared word."""
    generate = lambda context, builder, sig, args: builder.load_atomic(_word(builder, *args), "seq_cst", 8)
    return types.intp(types.intp, types.intp), generate


@intrinsic
def store(typingctx, pool, field, value):
    """Set a shared word."""

    def generate(context, builder, sig, args):
        builder.store_atomic(args[2], _word(builder, *args[:2]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def add(typingctx, pool, field, value):
    """Add to a shared word, and return what it was."""

    def generate(context, builder, sig, args):
        return builder.atomic_rmw("add", _word(builder, *args[:2]), args[2], "seq_cst")

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def swap(typingctx, pool, field, old, new):
    """Set a shared word to a new value if it has the old one; whether it had."""

    def generate(context, builder, sig, args):
        pair = builder.cmpxchg(_word(builder, *args[:2]), args[2], args[3], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.intp, types.intp, types.intp, types.intp), generate


@intrinsic
def pause(typingctx):
    """Tell the processor that this is a loop that waits."""

    def generate(context, builder, sig, args):
        if "x86" in builder.module.triple:
            nothing = ir.FunctionType(VOID, [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def task(typingctx, f, args):
    """The addresses of `f(begin, end, *args)` as a function of bounds and of a packet, and of the packet."""
    wanted = f.get_call_type(typingctx, (types.intp, types.intp, *args.types), {})

    def generate(context, builder, sig, values):
        packet = cgutils.alloca_once_value(builder, values[1])
        function = _on_packet(context, builder, f.dispatcher.overloads[wanted.args], wanted, values[1].type)
        addresses = builder.ptrtoint(function, I64), builder.ptrtoint(packet, I64)
        return context.make_tuple(builder, sig.return_type, addresses)

    return types.UniTuple(types.intp, 2)(f, args), generate


def _on_packet(context, builder, compiled, wanted, packet):
    """A native function that unpacks its arguments and calls a compiled one."""
    context.active_code_library.add_linking_library(compiled.library)
    name = f"{compiled.fndesc.mangled_name}.on_packet"
    if name in builder.module.globals:
        return builder.module.globals[name]
    function = ir.Function(builder.module, CHUNK, name=name)
    function.linkage = "internal"
    inner = ir.IRBuilder(function.append_basic_block("entry"))
    begin, end, data = function.args
    values = inner.load(inner.bitcast(data, packet.as_pointer()))
    arguments = [begin, end, *cgutils.unpack_tuple(inner, values, len(wanted.args) - 2)]
    context.call_internal_no_propagate(inner, compiled.fndesc, wanted, arguments)
    inner.ret_void()
    return function


@intrinsic
def call(typingctx, function, begin, end, data):
    """Call what `task` gave."""

    def generate(context, builder, sig, args):
        function = builder.inttoptr(args[0], CHUNK.as_pointer())
        builder.call(function, [args[1], args[2], builder.inttoptr(args[3], BYTES)])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), generate


@native
def _take(pool, function, data, count, grain):
    """Work on chunks of the open region until none is left."""
    begin = add(pool, NEXT, grain)
    while begin < count:
        call(function, begin, min(begin + grain, count), data)
        begin = add(pool, NEXT, grain)


@native
def region(pool, function, data, count, grain):
    """Do all chunks of a task, with the help of idle workers if the pool is free."""
    helpers = min(load(pool, THREADS) - 1, load(pool, WORKERS), (count - 1) // grain)
    if helpers < 1 or not swap(pool, BUSY, 0, 1):
        for begin in range(0, count, grain):
            call(function, begin, min(begin + grain, count), data)
        return
    store(pool, FUNCTION, function)
    store(pool, DATA, data)
    store(pool, COUNT, count)
    store(pool, GRAIN, grain)
    store(pool, NEXT, 0)
    store(pool, OPEN, helpers)
    add(pool, GENERATION, 1)
    for i in range(helpers):
        if swap(pool, SLEEPING + i, 1, 0):
            release(load(pool, SLEEPING + MOST + i))
    _take(pool, function, data, count, grain)
    store(pool, OPEN, 0)
    while load(pool, ACTIVE) > 0:
        pause()
    store(pool, BUSY, 0)


@native
def work(pool, index):
    """The life of a worker: look for a region, help with it, sleep when there has been none for a while."""
    seen, idle = load(pool, GENERATION), 0
    while load(pool, STOP) == 0:
        if load(pool, GENERATION) != seen:
            seen, idle = load(pool, GENERATION), 0
            add(pool, ACTIVE, 1)  # before looking whether it is open: who closes it waits for whom it sees active
            if load(pool, OPEN) > index:
                _take(pool, load(pool, FUNCTION), load(pool, DATA), load(pool, COUNT), load(pool, GRAIN))
            add(pool, ACTIVE, -1)
        elif idle < SPINS:
            idle += 1
            pause()
        else:
            store(pool, SLEEPING + index, 1)
            if load(pool, GENERATION) == seen and load(pool, STOP) == 0 or not swap(pool, SLEEPING + index, 1, 0):
                acquire(load(pool, SLEEPING + MOST + index), 1)
            idle = 0


@native
def for_chunks(pool, f, count, grain, args):
    """f(begin, end, *args) for the chunks of `grain` that make up range(count), on several threads."""
    if count > 0:
        function, data = task(f, args)
        region(pool, function, data, count, grain)
