"""What kernels need from LLVM that Numba has no word for: atomic words, functions as addresses, the loop of a worker.

Imports Numba, and is itself imported when the first kernel is built.
"""

from __future__ import annotations  # noqa: I001 - words in one line

from functools import partial

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.itanium_mangler import mangle
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.extending import intrinsic

from . import _jit
from ._written import WIDE, written
from ._threads import (
    ACTIVE, ALONE, BUSY, CORES, COSTS, COUNT, DATA, EACH, ENDED, FUNCTION, GENERATION, GRAIN, JOINTLY, KEEP, KIND,
    KINDS, MOST, NEXT, NUMBERS, OPEN, PLACE, PLACES, REGION, SETS, SINGLY, SLEEPING, STOP, THREADS, TOOK, TRIED, TURN,
    WORKERS, YIELD,
)  # fmt: skip

I64, VOID, BYTES = ir.IntType(64), ir.VoidType(), ir.IntType(8).as_pointer()
CHUNK = ir.FunctionType(VOID, [I64, I64, BYTES])
SHARED = ir.FunctionType(VOID, [I64] * 5)

# In ticks of the processor's clock, each a quarter to a half of a nanosecond.  A region of less than TINY is not shared,
# and one of LONG or more always.  Between them it depends on where entries lie, since what one core has written another
# has to fetch from there, and on the machine: both ways are tried, anew after AGAIN regions.  A turn lasts until the next
# region begins, but counts no more than AFTER of what comes in between: that has to fetch what the worker wrote, and an
# idle worker, which looks for work, slows it down where two cores are one.  There are BY_ONE turns alone, or fewer if
# they are longer than QUIET, half of them after workers fell asleep and the host of a virtual machine, which looks for
# their next wish for 200 us, did so too, and BY_ALL shared; to share has to gain a fifth, or ENOUGH.
TINY, LONG, AFTER, ENOUGH, QUIET = 4_000, 400_000, 50_000, 2_000, 32_000
BY_ONE, BY_ALL, AGAIN = 64, 16, 1 << 12
# To wake a worker costs whoever does it 2 to 20 microseconds, and it comes some 40 later: with less than WORTH at hand it
# is not worth while.  An idle worker looks for work for NEAR, longer than Python usually takes from one region to the
# next, and then sleeps.
WORTH, NEAR = 300_000, 200_000
SPINS = 1 << 14  # rounds of looking, at most, where there is no such clock

# How many chunks have been taken, in one word: from the front, by whoever opened the region, in its lower half, and
# from the back, by workers, in its upper half.  So each finds in its cache what it has written or read the last time.
FRONT, BACK = (1 << 32) - 1, 32

acquire = types.ExternalFunction("PyThread_acquire_lock", types.int32(types.intp, types.int32))
release = types.ExternalFunction("PyThread_release_lock", types.void(types.intp))


def _word(builder, pool, field):
    """A pointer to a word of the shared state."""
    return builder.inttoptr(builder.add(pool, builder.shl(field, I64(3))), I64.as_pointer())


class Part(JITCodeLibrary):
    """What other functions take in and nobody calls from Python: optimised as all are, but no machine code is made of it."""

    codegen = property(lambda self: self)

    def set_env(self, name, env):
        """Nothing: there is no place for it."""

    def get_pointer_to_function(self, name):
        """No address: there is none."""
        self._ensure_finalized()
        return 0

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def serialize_using_object_code(self):
        """What is kept of it."""
        return self.name, "part", self._get_module_for_linking().as_bitcode()

    @classmethod
    def restored(cls, codegen, name, bitcode):
        """One that was kept."""
        self = cls(codegen, name)
        self._final_module = self._shared_module = llvm.parse_bitcode(bitcode)
        self._finalized = True
        return self


def module_passes(codegen, module, **options) -> None:
    """Look at all of a module."""
    passes, builder = codegen._module_pass_manager(**options)
    passes.run(module, builder)


class Launcher(JITCodeLibrary):
    """What hands its arguments on to parts, whose loops are optimised already: what little there is, is looked at once."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        module_passes(self._codegen, self._final_module, opt=1, loop_vectorize=False, slp_vectorize=False)


class Glue(JITCodeLibrary):
    """What is written, and computes by calls of code that all share: it is looked at once, where others are twice."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        module_passes(self._codegen, self._final_module)


class _WideLower(Lower):
    """Lets loops use the widest vectors: LLVM is shy of those of 512 bits, which slowed down older processors."""

    def lower_function_body(self):
        set.add(self.function.attributes, WIDE)
        return super().lower_function_body()


@register_pass(mutates_CFG=True, analysis_only=False)
class _WideLowering(NativeLowering):
    _name = "wide_native_lowering"
    lowering_class = property(lambda self: _WideLower)

    def run_pass(self, state):
        kind = Part if state.flags.no_cpython_wrapper else state.pipeline.library
        state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
        if kind is not Part:
            state.library.enable_object_caching()
        return super().run_pass(state)


# What Numba does to functions, for the sake of what no kernel has: closures, `with`, overloads to take in, text to show.
IDLE = {
    "WithLifting", "InlineClosureLikes", "RewriteDynamicRaises", "MakeFunctionToJitFunction", "InlineInlinables",
    "FindLiterallyCalls", "LiteralUnroll", "LiteralPropagationSubPipelinePass", "InlineOverloads",
    "NoPythonSupportedFeatureValidation", "DumpParforDiagnostics", "AnnotateTypes",
}  # fmt: skip


class WideCompiler(CompilerBase):
    """Numba's usual pipeline, but for the width of vectors, and without passes that find nothing to do in kernels."""

    library = JITCodeLibrary

    def define_pipelines(self):
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        kept = [(p, text) for p, text in pipeline.passes if p.__name__ not in IDLE]
        pipeline.passes[:] = [(_WideLowering if p is NativeLowering else p, text) for p, text in kept]
        pipeline.finalize()
        return [pipeline]


class QuickCompiler(WideCompiler):
    """For functions that do no more than call others."""

    library = Launcher


class GlueCompiler(WideCompiler):
    """For what calls the code of tiles."""

    library = Glue


def compiled(fn, name, part=False, launcher=False, glue=False, **options):
    """What compiles a function when it is first called, for Python or as a part of others, and keeps it on disk."""
    pipeline = QuickCompiler if launcher else GlueCompiler if glue else WideCompiler
    usual = {"nogil": True, "error_model": "numpy", "pipeline_class": pipeline}
    usual |= {"no_cpython_wrapper": part, "no_cfunc_wrapper": True}
    dispatcher = _jit.keep(njit(**usual | options)(fn), name)
    dispatcher.compile = partial(_jit.undisturbed, dispatcher.compile)  # which Python's calls with new types come to
    dispatcher.get_call_template = partial(_whatever_number, dispatcher.get_call_template)
    return dispatcher


def _whatever_number(template, args, kws):
    """How a kernel is called by another: Numba would compile it once more for each number that is written in the call."""
    return template(tuple(map(types.unliteral, args)), {name: types.unliteral(kind) for name, kind in kws.items()})


def native(fn):
    """A function of the pool, which what is written calls."""
    return written(fn, (), lambda: compiled(fn, f"_native.{fn.__name__}", True))


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


def _on_packet(context, builder, f, wanted, packet):
    """A native function that unpacks its arguments and calls a compiled one, or is one that is written."""
    compiled = f.dispatcher.overloads[wanted.args] if isinstance(f, types.Dispatcher) else None
    name = f"{compiled.fndesc.mangled_name if compiled else mangle(f.typing_key.__name__, wanted.args)}.on_packet"
    if name in builder.module.globals:
        return builder.module.globals[name]
    function = ir.Function(builder.module, CHUNK, name=name)
    function.linkage = "internal"
    set.add(function.attributes, WIDE)
    inner = ir.IRBuilder(function.append_basic_block("entry"))
    begin, end, data = function.args
    values = inner.load(inner.bitcast(data, packet.as_pointer()))
    arguments = [begin, end, *cgutils.unpack_tuple(inner, values, len(wanted.args) - 2)]
    if compiled:
        context.active_code_library.add_linking_library(compiled.library)
        context.call_internal_no_propagate(inner, compiled.fndesc, wanted, arguments)
    else:
        _, write = _found(context.typing_context, f, wanted.args)
        write(context, inner, wanted, arguments)
    inner.ret_void()
    return function


def _found(typingctx, f, kinds):
    """The signature of a function for some types, and what writes it if it is written."""
    if isinstance(f, types.Dispatcher):
        return f.get_call_type(typingctx, kinds, {}), None
    return f.typing_key._defn(typingctx, *kinds)


@intrinsic
def call(typingctx, function, begin, end, data):
    """Do a chunk: call a function made by `_on_packet`."""

    def generate(context, builder, sig, args):
        function = builder.inttoptr(args[0], CHUNK.as_pointer())
        builder.call(function, [args[1], args[2], builder.inttoptr(args[3], BYTES)])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), generate


@intrinsic
def ticks(typingctx):
    """The clock of the processor; 0 where a program may not read it."""

    def generate(context, builder, sig, args):
        if "x86" not in builder.module.triple:
            return I64(0)
        clock = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I64, []), "llvm.readcyclecounter")
        return builder.call(clock, [])

    return types.intp(), generate


@intrinsic
def system(typingctx, pool, field, a, b, c):
    """Call a function of the system's by its word; what it returns, -1 if there is none.  It takes what it needs of a, b, c."""

    def generate(context, builder, sig, args):
        function, result = builder.load(_word(builder, *args[:2])), cgutils.alloca_once_value(builder, I64(-1))
        with builder.if_then(builder.icmp_signed("!=", function, I64(0))):
            kind = ir.FunctionType(ir.IntType(32), [I64] * 3).as_pointer()
            builder.store(builder.sext(builder.call(builder.inttoptr(function, kind), args[2:]), I64), result)
        return builder.load(result)

    return types.intp(*[types.intp] * 5), generate


@native
def wake(pool, index):
    """Wake a worker that sleeps, on another core than this one.

    Systems like to start a thread where whoever wakes it runs, since what it needs is near; some, on virtual machines
    above all, leave it there for longer than a region takes, with another core idle.
    """
    core, kept = system(pool, PLACE, 0, 0, 0), NUMBERS + MOST + index
    if 0 <= core < SETS * 8 and load(pool, kept) != core + 1 and system(pool, PLACES, 0, SETS, pool + CORES * 8) >= 0:
        word, others = CORES + core // 64, 0
        store(pool, word, load(pool, word) & ~(1 << core % 64))
        for i in range(SETS // 8):
            others |= load(pool, CORES + i)
        if others and system(pool, KEEP, load(pool, NUMBERS + index), SETS, pool + CORES * 8) == 0:
            store(pool, kept, core + 1)
    release(load(pool, SLEEPING + MOST + index))


@native
def expect(pool, kind, took):
    """Keep how long such a region takes alone; whatever was tried is forgotten."""
    store(pool, kind + TOOK, took)
    if load(pool, kind + TURN):
        for word in range(SINGLY, TURN + 1):
            store(pool, kind + word, 0)


@native
def kind_of(pool, function, count, grain):
    """Where it is kept how long regions like this one took."""
    which = (function >> 4) + count * 31 + grain
    kind = COSTS + (which & (KINDS - 1)) * EACH
    if load(pool, kind + KIND) != which:
        store(pool, kind + KIND, which)
        expect(pool, kind, 0)
    return kind


@native
def pays(pool, kind):
    """Whether to share out a region for which it depends."""
    turn = load(pool, kind + TURN)
    if turn < BY_ONE + BY_ALL:
        return 1 if turn >= BY_ONE else 0
    gains, wanted = load(pool, kind + SINGLY) - load(pool, kind + JOINTLY), load(pool, kind + TOOK) // 5
    return 1 if gains > (wanted if wanted < ENOUGH else ENOUGH) else 0


@native
def ended(pool, kind, way, began):
    """Note that a region for which it depends was done alone or shared, if that is being tried."""
    turn, took = load(pool, kind + TURN), ticks() - began
    if turn >= BY_ONE + BY_ALL:
        store(pool, kind + TURN, turn + 1)
        if turn >= AGAIN:
            expect(pool, kind, load(pool, kind + TOOK))
        return
    if way == SINGLY and (turn == 0 or took < load(pool, kind + TOOK)):
        store(pool, kind + TOOK, took)
    store(pool, TRIED + 1, way)
    store(pool, TRIED + 2, began)
    store(pool, TRIED + 3, began + took + AFTER)
    store(pool, TRIED, kind)


@native
def tried(pool, kind, now):
    """Keep how long what was tried took, with what came after it: the least of all turns."""
    way, until = load(pool, TRIED + 1), load(pool, TRIED + 3)
    store(pool, TRIED, 0)
    turn, took = load(pool, kind + TURN), (now if now < until else until) - load(pool, TRIED + 2)
    if load(pool, kind + way) == 0 or took < load(pool, kind + way):
        store(pool, kind + way, took)
    turn += 1 + took // QUIET if way == SINGLY else 1
    store(pool, kind + TURN, BY_ONE if way == SINGLY and turn > BY_ONE else turn)


@native
def region(pool, function, data, count, grain):
    """Do all chunks of a task, with the help of idle workers if the pool is free.

    Sleeping workers are woken if regions like this one took long, or once it and those just before it have taken long
    without them.  This decides who does the work, and nothing else.
    """
    grain = 1 if grain < 1 else grain
    began, chunks, last = ticks(), (count - 1) // grain + 1, load(pool, TRIED)
    if last:
        tried(pool, last, began)
    kind, helpers = kind_of(pool, function, count, grain), chunks - 1
    expected = load(pool, kind + TOOK)
    depends = TINY <= expected < LONG
    if load(pool, WORKERS) < helpers:
        helpers = load(pool, WORKERS)
    if load(pool, THREADS) - 1 < helpers:
        helpers = load(pool, THREADS) - 1
    unwanted = pays(pool, kind) == 0 if depends else 0 < expected < TINY
    if helpers < 1 or chunks > FRONT >> 1 or unwanted or not swap(pool, BUSY, 0, 1):
        for begin in range(0, count - grain, grain):
            call(function, begin, begin + grain, data)
        call(function, (chunks - 1) * grain, count, data)
        if depends and unwanted:
            ended(pool, kind, SINGLY, began)
        elif chunks > 1 and not depends:
            expect(pool, kind, ticks() - began)
        return
    before = load(pool, ALONE) if began - load(pool, ENDED) < NEAR else 0
    due = WORTH - before if 0 < expected < WORTH - before else 0  # when to wake those that sleep
    store(pool, FUNCTION, function)
    store(pool, DATA, data)
    store(pool, COUNT, count)
    store(pool, GRAIN, grain)
    store(pool, NEXT, 0)
    store(pool, OPEN, helpers)
    add(pool, GENERATION, 1)
    mine, taken = 0, add(pool, NEXT, 1)
    while (taken & FRONT) + (taken >> BACK) < chunks:
        begin = (taken & FRONT) * grain
        if due >= 0 and ticks() - began >= due:
            for i in range(helpers):
                if load(pool, SLEEPING + i) == 1 and swap(pool, SLEEPING + i, 1, 0):
                    wake(pool, i)
            due = -1
        call(function, begin, begin + grain if begin + grain < count else count, data)
        mine, taken = mine + 1, add(pool, NEXT, 1)
    took, rounds = ticks() - began, 0
    store(pool, OPEN, 0)
    while load(pool, ACTIVE) > 0:
        pause()
        rounds += 1
        if rounds & 63 == 0:
            system(pool, YIELD, 0, 0, 0)
    if depends and mine < chunks:
        ended(pool, kind, JOINTLY, began)
    elif mine > 0 and not depends:
        expect(pool, kind, took * chunks // mine)
    store(pool, ALONE, 0 if due < 0 else before + took)
    store(pool, ENDED, ticks())
    store(pool, BUSY, 0)


@native
def work(pool, index):
    """The life of a worker: look for a region, help with it, sleep when there has been none for a while."""
    seen, rounds, since = load(pool, GENERATION), 0, ticks()
    while load(pool, STOP) == 0:
        if load(pool, GENERATION) != seen:
            seen = load(pool, GENERATION)
            add(pool, ACTIVE, 1)  # before looking whether it is open: who closes it waits for whom it sees active
            if load(pool, OPEN) > index:
                function, data = load(pool, FUNCTION), load(pool, DATA)
                count, grain = load(pool, COUNT), load(pool, GRAIN)
                chunks, taken = (count - 1) // grain + 1, add(pool, NEXT, 1 << BACK)
                while (taken & FRONT) + (taken >> BACK) < chunks:
                    begin = (chunks - 1 - (taken >> BACK)) * grain
                    call(function, begin, begin + grain if begin + grain < count else count, data)
                    taken = add(pool, NEXT, 1 << BACK)
            add(pool, ACTIVE, -1)
            rounds, since = 0, ticks()
        elif rounds < SPINS and ticks() - since < NEAR:
            pause()
            rounds += 1
            if rounds & 63 == 0:
                system(pool, YIELD, 0, 0, 0)
        else:
            store(pool, SLEEPING + index, 1)  # before looking once more: who opens a region looks here after saying so
            if load(pool, GENERATION) == seen and load(pool, STOP) == 0 or not swap(pool, SLEEPING + index, 1, 0):
                acquire(load(pool, SLEEPING + MOST + index), 1)
            rounds, since = 0, ticks()


@intrinsic
def for_chunks(typingctx, pool, f, count, grain, args):
    """f(begin, end, *args) for the chunks of `grain` that make up range(count), on several threads.

    An f that raises does so for nobody: its chunk stays as it is then, and all others are done.
    """
    wanted, _ = _found(typingctx, f, (types.intp, types.intp, *args.types))

    def generate(context, builder, sig, values):
        pool, _, count, grain, packet = values
        data = builder.bitcast(cgutils.alloca_once_value(builder, packet), BYTES)
        function = _on_packet(context, builder, f, wanted, packet.type)
        alone = builder.icmp_signed("<=", count, grain)
        with builder.if_then(builder.icmp_signed(">", count, I64(0))), builder.if_else(alone) as (one, many):
            with one:
                builder.call(function, [I64(0), count, data])
            with many:
                region = builder.inttoptr(builder.load(_word(builder, pool, I64(REGION))), SHARED.as_pointer())
                addresses = builder.ptrtoint(function, I64), builder.ptrtoint(data, I64)
                builder.call(region, [pool, *addresses, count, grain])
        return context.get_dummy_value()

    return types.void(types.intp, f, types.intp, types.intp, args), generate


def _hold() -> None:
    """Before a fork: wait until nobody compiles, since whoever did would be missing in the child, with all locks held.

    This is asked for after Numba has been imported, hence done before `logging` does the same: those who compile log.
    """
    _jit._building.acquire()
    global_compiler_lock.acquire()


def _let_go() -> None:
    """After it, in the process that forked."""
    global_compiler_lock.release()
    _jit._building.release()


_jit.hold_over_forks(_hold, _let_go, global_compiler_lock.release)
