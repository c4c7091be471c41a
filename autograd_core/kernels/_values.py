"""Values while a kernel is written: numbers, arrays and tuples of them, and what Numba's functions make of these.

Imports Numba, for kernels only.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.funcdesc import ExternalFunctionDescriptor
from numba.core.imputils import impl_ret_new_ref
from numba.extending import _Intrinsic, intrinsic
from numba.np.arrayobj import make_array, populate_array

ASIDE = ".written"  # how names of functions end that are written
I64, BYTES, LINE = ir.IntType(64), ir.IntType(8).as_pointer(), 64
SIGNATURES: dict[tuple, tuple] = {}  # of functions of Numba's that were asked for


class Value(NamedTuple):
    """A value when the kernel runs: its type, and what holds it; None while only types are asked for."""

    kind: types.Type
    held: Any


@intrinsic
def blank(typingctx, like, count):
    """Room for so many entries of like's type; `np.empty` compiles five functions of Numba's."""
    kind = types.Array(like, 1, "C")

    def generate(context, builder, sig, args):
        data = context.get_data_type(like)
        step = context.get_constant(types.intp, context.get_abi_sizeof(data))
        aligned = context.get_constant(types.uint32, context.get_preferred_array_alignment(like))
        owner = context.nrt.meminfo_alloc_aligned_unchecked(builder, builder.mul(args[1], step), aligned)
        place = builder.bitcast(context.nrt.meminfo_data(builder, owner), data.as_pointer())
        made = make_array(kind)(context, builder)
        populate_array(made, data=place, shape=[args[1]], strides=[step], itemsize=step, meminfo=owner)
        return impl_ret_new_ref(context, builder, kind, made._getvalue())

    return kind(like, types.intp), generate


# A function that is given none of these is called while the kernel is written: what it gives is a constant.
RUNS = Value, tuple, _Intrinsic, types.ExternalFunction


class Values:
    """What is done to values where a builder stands; without one, only of what types they are."""

    def __init__(self, scope: dict, typingctx: Any, context: Any = None, builder: Any = None):
        self.scope, self.typing, self.context, self.builder = scope, typingctx, context, builder
        self.rooms: list = []  # where memory is that was perhaps taken, and is given back at the end
        self.loops: list = []  # those that are being written

    def given(self, kind: types.Type, held: Any) -> Any:
        """A value, or a tuple of values."""
        if not isinstance(kind, types.BaseTuple):
            return Value(kind, held)
        parts = cgutils.unpack_tuple(self.builder, held, len(kind)) if self.builder else [None] * len(kind)
        return tuple(map(self.given, kind, parts))

    def lent(self, v: Any) -> Any:
        """A value that nobody counts the uses of."""
        if not isinstance(v, Value):
            return tuple(map(self.lent, v))
        if not isinstance(v.kind, types.Array):
            return v
        model, nobody = self.context.data_model_manager[v.kind], self.context.get_constant_null(types.voidptr)
        held = v.held
        for name in ("meminfo", "parent"):
            held = self.builder.insert_value(held, nobody, model.get_field_position(name))
        return Value(v.kind, held)

    def value(self, v: Any) -> Value:
        """A tuple of values, or what is there before the kernel runs, as one value."""
        if isinstance(v, Value):
            return v
        if isinstance(v, tuple):
            parts = [*map(self.value, v)]
            kind = types.BaseTuple.from_types([p.kind for p in parts])
            made = self.context.make_tuple(self.builder, kind, [p.held for p in parts]) if self.builder else None
            return Value(kind, made)
        kind = self.typing.resolve_value_type(v)
        if not self.builder:
            return Value(kind, None)
        if isinstance(kind, types.Callable):
            return Value(kind, self.context.get_dummy_value())
        return Value(kind, self.context.get_constant_generic(self.builder, kind, v))

    def cast(self, v: Any, kind: types.Type) -> Any:
        """What holds a value, as one of a type."""
        v = self.value(v)
        return self.context.cast(self.builder, v.held, v.kind, kind) if self.builder else None

    def call(self, f: Any, args: list) -> Any:
        """What a function gives."""
        if not any(isinstance(a, RUNS) for a in (f, *args)):
            return f(*args)
        if f is int:
            return Value(types.intp, self.cast(args[0], types.intp))
        stated = isinstance(f, _Intrinsic) and f._prefer_literal
        kinds = tuple(types.literal(a) if stated and type(a) is int else self.value(a).kind for a in args)
        if isinstance(f, _Intrinsic):
            sig, generate = f._defn(self.typing, *kinds)
            make = functools.partial(generate, self.context, self.builder, sig)
        else:
            known, sig = self.signature(f, kinds)
            make = functools.partial(self.made, known, sig)
        if f is blank and self.loops:
            raise NotImplementedError("a kernel that takes memory in a loop: take it before")
        if f is blank and self.builder:
            return self.room(sig.return_type, self.cast(args[1], types.intp))
        held = make([*map(self.cast, args, sig.args)]) if self.builder else None
        return self.given(sig.return_type, held)

    def room(self, kind: types.Type, count: Any) -> Value:
        """Memory for so many entries, at the start of a line of the cache, that nobody counts the uses of."""
        builder, data = self.builder, self.context.get_data_type(kind.dtype)
        step = self.context.get_constant(types.intp, self.context.get_abi_sizeof(data))
        taken = self.outside("PyMem_RawMalloc", BYTES, builder.add(builder.mul(count, step), I64(LINE)))
        slot = cgutils.alloca_once(builder, BYTES, zfill=True)
        builder.store(taken, slot)
        self.rooms.append(slot)
        place = builder.and_(builder.add(builder.ptrtoint(taken, I64), I64(LINE - 1)), I64(-LINE))
        made = make_array(kind)(self.context, builder)
        place = builder.inttoptr(place, data.as_pointer())
        populate_array(made, data=place, shape=[count], strides=[step], itemsize=step, meminfo=None)
        return Value(kind, made._getvalue())

    def outside(self, name: str, result: Any, *args: Any) -> Any:
        """Call a C function."""
        kind = ir.FunctionType(result, [a.type for a in args])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), args)

    def made(self, known: Any, sig: Any, values: list) -> Any:
        """What holds what a function of Numba's gives."""
        if isinstance(known, types.Dispatcher):  # a kernel, none of which raises
            compiled = known.dispatcher.overloads[sig.args]
            self.context.active_code_library.add_linking_library(compiled.library)
            return self.context.call_internal_no_propagate(self.builder, compiled.fndesc, sig, values)[1]
        if not isinstance(known, types.ExternalFunction):
            try:
                return self.context.get_function(known, sig)(self.builder, values)
            except (TypeError, IndexError) as error:  # it would hand on an exception of its own as Numba's functions do
                raise NotImplementedError(
                    f"{known} compiles a function of Numba's, which cannot be called in LLVM code that is written: use "
                    "another, as `blank` for room, or declare the kernel without `written`"
                ) from error
        described = ExternalFunctionDescriptor(known.symbol, sig.return_type, sig.args)
        function = self.context.declare_external_function(self.builder.module, described)
        return self.context.call_external_function(self.builder, function, described.argtypes, values)

    def signature(self, f: Any, kinds: tuple) -> tuple:
        """What Numba calls a function, and what it makes of which types."""
        key = self.typing, f.kind if isinstance(f, Value) else f, kinds
        if key not in SIGNATURES:
            known = f.kind if isinstance(f, Value) else self.typing.resolve_value_type(f)
            SIGNATURES[key] = known, self.typing.resolve_function_type(known, kinds, {})
        return SIGNATURES[key]

    def item(self, v: Any, at: Any) -> Any:
        """An entry of an array, or one of a tuple."""
        known = isinstance(v, tuple) and not isinstance(v, Value)
        return v[at] if known else self.call(operator.getitem, [v, at])

    def cut(self, v: Any, lower: Any, upper: Any) -> Any:
        """Some entries of a tuple, or of an array along its first axis."""
        if isinstance(v, tuple) and not isinstance(v, Value):
            return v[lower:upper]
        return self.item(v, self.call(slice, [self.value(lower), upper]))

    def put(self, v: Any, at: Any, value: Any) -> None:
        """Write an entry, or several."""
        self.call(operator.setitem, [v, at, value])

    def fill(self, v: Any, value: Any) -> None:
        """Write to all entries of an array."""
        self.put(v, self.call(slice, [self.value(None), None]), value)

    def attribute(self, v: Any, name: str) -> Any:
        """An attribute of a value, or of what is there before the kernel runs."""
        if not isinstance(v, Value):
            return getattr(v, name)
        kind = self.typing.resolve_getattr(v.kind, name)
        get = self.builder and self.context.get_getattr(v.kind, name)
        held = get(self.context, self.builder, v.kind, v.held, name) if get else None
        return self.given(kind, held)
