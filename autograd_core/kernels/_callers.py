"""The code behind `_entries`: what Python calls of written kernels, written too, with all that it calls.  Imports Numba."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.np.numpy_support import from_dtype

from ._borrowed import recorded
from ._entries import CLASSES, IN_ORDER
from ._known import few, load_all
from ._machine import machine
from ._native import Part, module_passes, region, work
from ._products import HEAD
from ._written import VECTOR, WIDE

I8, I32, I64, VOID = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.VoidType()
BYTES = I8.as_pointer()
NUMBERS = {
    "i": types.intp, "a": types.intp, "d": types.float64,
    "int": types.intp, "float": types.float64, "bool": types.boolean, "single": types.float32,
}  # fmt: skip


def kind_of(word: str) -> types.Type:
    """The type of what a word describes, in a kernel."""
    return NUMBERS[word] if word in NUMBERS else types.Array(from_dtype(np.dtype(word[0])), int(word[1:]), "C")


class Room(Part):
    """What is written, with all that it calls: a module that is looked at once, and no function by itself before."""

    def __init__(self, codegen, name, level):
        super().__init__(codegen, name)
        self.how = {"opt": level} if level < config.OPT else {}

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        module_passes(self._codegen, self._final_module, **self.how)
        if any(f.name.endswith(VECTOR) for f in self._final_module.functions):
            module_passes(self._codegen, self._final_module, opt=1, loop_vectorize=False, slp_vectorize=False)


def compiled(name: str, write: Callable, glue: bool, level: int) -> tuple[list[str], bytes]:
    """The code that `write(context, module)` writes, and the names of what it needs from outside."""
    with global_compiler_lock:
        room = Room(few().codegen(), name, 1 if glue else level)
        module = _written(room, name, write)
        if any(function.startswith("NRT_") for function in module.globals):
            rtsys.initialize(cpu_target.target_context)
            room.add_linking_library(rtsys.library)
        room.add_ir_module(module)
        room.finalize()
        made = room._final_module
    outside = [x.name for x in (*made.functions, *made.global_variables) if x.is_declaration]
    return [n for n in outside if not n.startswith("llvm.")], machine().emit_object(made)


def _written(room: Room, name: str, write: Callable) -> ir.Module:
    """A module with what `write` writes, which is tried again if there may be functions of Numba's that it missed."""
    module, context = room.create_ir_module(name), few()
    try:
        with context.push_code_library(room):
            write(context, module)
    except Exception:
        if load_all.cache_info().currsize:
            raise
        load_all()
        return _written(room, name, write)
    return module


def _begun(module: ir.Module, name: str, result: Any, parameters: list) -> tuple[ir.Function, ir.IRBuilder]:
    """A function, and what writes it."""
    function = ir.Function(module, ir.FunctionType(result, parameters), name)
    set.add(function.attributes, WIDE)
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def write_pool(context: Any, module: ir.Module) -> None:
    """C functions that call the code of regions and that of workers, and return nothing."""
    for name, part, count in (("region", region, 5), ("work", work, 2)):
        signature, write = part._defn(context.typing_context, *[types.intp] * count)
        function, builder = _begun(module, name, VOID, [I64] * count)
        write(context, builder, signature, function.args)
        builder.ret_void()


def write_entry(names: list, part: Callable, words: tuple, nogil: bool, context: Any, module: ir.Module) -> None:
    """The code for arguments that some words describe, and what Python calls."""
    written = part()
    context.refresh()  # to know all that it calls, which is registered where it is made
    signature, inner = written._defn(context.typing_context, *map(kind_of, words))
    numbers = [NUMBERS.get(word, types.intp) for word in words]
    code, builder = _begun(module, names[0], I32, [BYTES, BYTES, *map(context.get_value_type, numbers)])
    values = [_given(context, builder, word, held) for word, held in zip(words, code.args[2:])]
    found = inner(context, builder, signature, values)
    if signature.return_type != types.none:
        found = context.data_model_manager[signature.return_type].as_return(builder, found)
        builder.store(found, builder.bitcast(code.args[0], found.type.as_pointer()))
    builder.ret(I32(0))
    Caller(context, module, names[1], words).call(code, signature.return_type, nogil)


def _given(context: Any, builder: ir.IRBuilder, word: str, held: Any) -> Any:
    """An argument, of whose array the record is held."""
    if word in NUMBERS:
        return held
    kind = kind_of(word)
    axes = types.UniTuple(types.intp, kind.ndim)
    signature, write = recorded._defn(context.typing_context, kind.dtype, axes, types.intp)
    return write(context, builder, signature, [None, None, held])


class Caller:
    """Writes the C function that Python calls."""

    def __init__(self, context: Any, module: ir.Module, name: str, words: tuple[str, ...]):
        self.context, self.module, self.words = context, module, words
        self.function, self.builder = _begun(module, name, BYTES, [BYTES, BYTES.as_pointer(), I64])
        self.api, self.nothing = context.get_python_api(self.builder), ir.Constant(BYTES, None)
        self.others = self.function.append_basic_block("others")

    def outside(self, name: str, result: Any, *args: Any) -> Any:
        """Call a function of Python's."""
        kind = ir.FunctionType(result, [a.type for a in args])
        return self.builder.call(cgutils.get_or_insert_function(self.module, kind, name), args)

    def known(self, name: str) -> Any:
        """The address of an object that all processes have."""
        name = f"autograd_core_{name}"
        found = self.module.globals.get(name) or ir.GlobalVariable(self.module, I8, name)
        return self.builder.ptrtoint(found, I64)

    def field(self, held: Any, k: int) -> Any:
        """A word of an object."""
        return self.builder.load(self.builder.gep(self.builder.bitcast(held, I64.as_pointer()), [I64(k)]))

    def need(self, test: Any) -> None:
        """Go on if something holds, and leave the call to others if not."""
        after = self.function.append_basic_block("fits")
        self.builder.cbranch(test, after, self.others)
        self.builder.position_at_end(after)

    def argument(self, word: str, held: Any) -> Any:
        """What the code takes for an argument."""
        builder, kind = self.builder, self.field(held, HEAD - 1)
        if word in CLASSES:
            tests = [
                builder.icmp_unsigned("==", kind, self.known(f"{c.__module__}_{c.__name__}")) for c in CLASSES[word]
            ]
            self.need(functools.reduce(builder.or_, tests))
        elif word not in NUMBERS:
            self.need(builder.icmp_unsigned("==", kind, self.known("ndarray")))
            axes, flags = (
                builder.and_(self.field(held, HEAD + k), I64(m)) for k, m in ((1, 0xFFFFFFFF), (6, IN_ORDER))
            )
            self.need(builder.icmp_unsigned("==", axes, I64(int(word[1:]))))
            self.need(builder.icmp_unsigned("==", flags, I64(IN_ORDER)))
            self.need(builder.icmp_unsigned("==", self.field(held, HEAD + 5), self.known(f"of_{ord(word[0])}")))
            return builder.ptrtoint(held, I64)
        if NUMBERS[word] == types.boolean:
            return builder.icmp_signed("!=", self.outside("PyObject_IsTrue", I32, held), I32(0))
        if NUMBERS[word] == types.intp:
            return self.outside("PyLong_AsLongLong", I64, held)
        number = self.outside("PyFloat_AsDouble", ir.DoubleType(), held)
        return number if NUMBERS[word] == types.float64 else builder.fptrunc(number, ir.FloatType())

    def call(self, code: ir.Function, kind: types.Type, nogil: bool) -> None:
        """Take the arguments, call the code without Python's lock, and make an object of what it gives."""
        builder, api, (own, given, count) = self.builder, self.api, self.function.args
        self.need(builder.icmp_signed("==", count, I64(len(self.words))))
        held = [builder.load(builder.gep(given, [I64(k)])) for k in range(len(self.words))]
        values = [self.argument(word, h) for word, h in zip(self.words, held)]
        with builder.if_then(cgutils.is_not_null(builder, self.outside("PyErr_Occurred", BYTES)), likely=False):
            builder.ret(self.nothing)
        place = cgutils.alloca_once(builder, I64, size=2)
        state = self.outside("PyEval_SaveThread", BYTES) if nogil else None
        builder.call(code, [builder.bitcast(place, BYTES), self.nothing, *values], attrs=("noinline",))
        if nogil:
            self.outside("PyEval_RestoreThread", VOID, state)
        if kind == types.none:
            api.return_none()
        else:
            model = self.context.data_model_manager[kind]
            found = builder.load(builder.bitcast(place, model.get_return_type().as_pointer()))
            builder.ret(api.from_native_value(kind, model.from_return(builder, found)))
        builder.position_at_end(self.others)
        with builder.if_then(cgutils.is_null(builder, own), likely=False):
            api.err_set_string("PyExc_TypeError", f"{self.function.name} takes {len(self.words)} numbers")
            builder.ret(self.nothing)
        builder.ret(self.outside("PyObject_Vectorcall", BYTES, own, given, count, self.nothing))
