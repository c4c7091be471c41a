"""Arrays while a kernel is written: entries, rows and parts of those whose entries lie in order.

Numba puts what describes an array into memory and takes it out again for each entry that is read, which is most of what LLVM
then has to go through.  Here it stays a value.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import load_item, store_item

from ._values import Value, Values

NUMBERS = {"size": "nitems", "itemsize": "itemsize"}


def whole(i: Any) -> bool:
    """Whether something is a number that counts entries."""
    return type(i) is int or isinstance(i, Value) and isinstance(i.kind, types.Integer)


def in_order(v: Any) -> bool:
    """Whether a value is an array whose entries lie in order."""
    return isinstance(v, Value) and isinstance(v.kind, types.Array) and v.kind.layout == "C"


class Arrays(Values):
    """What is done to arrays."""

    def call(self, f: Any, args: list) -> Any:
        """What a function gives."""
        if f is len and self.builder and isinstance(args[0], Value) and isinstance(args[0].kind, types.Array):
            return Value(types.intp, self.field(args[0], "shape", 0))
        return super().call(f, args)

    def field(self, v: Value, name: str, *axis: int) -> Any:
        """What describes an array: where its entries are, how many there are along an axis, and so on."""
        at = self.context.data_model_manager[v.kind].get_field_position(name)
        return self.builder.extract_value(v.held, [at, *axis])

    def described(self, kind: types.Type, held: Any, fields: dict) -> Value:
        """An array that is described like another but for some fields."""
        model = self.context.data_model_manager[kind]
        for name, value in fields.items():
            at = model.get_field_position(name)
            for axis, part in enumerate(value) if isinstance(value, list) else [((), value)]:
                held = self.builder.insert_value(held, part, [at, axis] if value is not part else at)
        return Value(kind, held)

    def number(self, i: Any) -> Any:
        """What holds a whole number."""
        kind = types.uintp if isinstance(i, Value) and not i.kind.signed else types.intp
        return self.cast(i, kind)

    def place(self, v: Value, indices: tuple) -> Any:
        """Where the entry is that has some indices, or the first that has."""
        builder, step, at = self.builder, None, None
        for axis in reversed(range(v.kind.ndim)):
            if axis < len(indices):
                here = self.wrapped(indices[axis], v, axis)
                here = here if step is None else builder.mul(here, step)
                at = here if at is None else builder.add(here, at)
            if axis:
                length = self.field(v, "shape", axis)
                step = length if step is None else builder.mul(step, length)
        return builder.gep(self.field(v, "data"), [at])

    def wrapped(self, i: Any, v: Value, axis: int) -> Any:
        """An index that counts from the start."""
        held = self.number(i)
        if i >= 0 if type(i) is int else not i.kind.signed:
            return held
        builder = self.builder
        negative = builder.icmp_signed("<", held, held.type(0))
        return builder.select(negative, builder.add(held, self.field(v, "shape", axis)), held)

    def item(self, v: Any, at: Any) -> Any:
        """An entry, or a row."""
        indices = at if isinstance(at, tuple) and not isinstance(at, Value) else (at,)
        if not (self.builder and in_order(v) and indices and all(map(whole, indices))):
            return super().item(v, at)
        kind, place = self.taken(v, at), self.place(v, indices)
        if not isinstance(kind, types.Array):
            return self.given(kind, load_item(self.context, self.builder, v.kind, place))
        axes = range(len(indices), v.kind.ndim)
        shape, strides = ([self.field(v, name, axis) for axis in axes] for name in ("shape", "strides"))
        return self.view(v, kind, place, shape, strides)

    def taken(self, v: Value, at: Any) -> types.Type:
        """Of what type some entries are."""
        return self.signature(operator.getitem, (v.kind, self.value(at).kind))[1].return_type

    def view(self, v: Value, kind: types.Type, place: Any, shape: list, strides: list) -> Value:
        """An array of entries of another."""
        count = shape[0]
        for length in shape[1:]:
            count = self.builder.mul(count, length)
        fields = {"nitems": count, "itemsize": self.field(v, "itemsize"), "data": place}
        nothing = ir.Constant(self.context.get_value_type(kind), ir.Undefined)
        nobody = {name: self.context.get_constant_null(types.voidptr) for name in ("meminfo", "parent")}
        return self.described(kind, nothing, {**nobody, **fields, "shape": shape, "strides": strides})

    def cut(self, v: Any, lower: Any, upper: Any) -> Any:
        """Some neighbours along the first axis."""
        if not (self.builder and in_order(v) and all(i is None or whole(i) for i in (lower, upper))):
            return super().cut(v, lower, upper)
        kind = self.signature(operator.getitem, (v.kind, types.slice2_type))[1].return_type
        builder, zero, length = self.builder, ir.IntType(64)(0), self.field(v, "shape", 0)
        start = zero if lower is None else self.clipped(lower, v, length)
        stop = length if upper is None else self.clipped(upper, v, length)
        count = builder.sub(stop, start)
        count = builder.select(builder.icmp_signed("<=", count, zero), zero, count)
        place = self.place(v, (Value(types.uintp, start),))
        axes = range(1, v.kind.ndim)
        shape = [count, *(self.field(v, "shape", axis) for axis in axes)]
        return self.view(v, kind, place, shape, [self.field(v, "strides", axis) for axis in (0, *axes)])

    def clipped(self, i: Any, v: Value, length: Any) -> Any:
        """A bound that is not outside; by branches that are hardly ever taken, which cost less than choices in short rows."""
        builder, found = self.builder, self.wrapped(i, v, 0)
        held = found
        for sign, bound in (("<", held.type(0)), (">=", length)):
            before, inside = builder.block, held
            with builder.if_then(builder.icmp_signed(sign, found, bound), likely=False):
                outside = builder.block
            held = builder.phi(bound.type)
            held.add_incoming(inside, before)
            held.add_incoming(bound, outside)
        return held

    def put(self, v: Any, at: Any, value: Any) -> None:
        """Write an entry."""
        indices = at if isinstance(at, tuple) and not isinstance(at, Value) else (at,)
        quick = self.builder and in_order(v) and 0 < len(indices) == v.kind.ndim and all(map(whole, indices))
        if quick:
            held = self.cast(value, v.kind.dtype)
            store_item(self.context, self.builder, v.kind, held, self.place(v, indices))
        else:
            super().put(v, at, value)

    def fill(self, v: Any, value: Any) -> None:
        """Write a number to all entries of an array, or those of another."""
        value = self.value(value)
        if not self.builder or not in_order(v) or v.kind.ndim > 1 or not isinstance(value.kind, types.Number):
            return super().fill(v, value)
        held, data = self.cast(value, v.kind.dtype), self.field(v, "data")
        with cgutils.for_range(self.builder, self.field(v, "shape", 0)) as loop:
            store_item(self.context, self.builder, v.kind, held, self.builder.gep(data, [loop.index]))
        return None

    def attribute(self, v: Any, name: str) -> Any:
        """An attribute of a value, or of what is there before the kernel runs."""
        if self.builder and isinstance(v, Value) and isinstance(v.kind, types.Array):
            if name in NUMBERS:
                return Value(types.intp, self.field(v, NUMBERS[name]))
            if name == "shape":
                return tuple(Value(types.intp, self.field(v, "shape", axis)) for axis in range(v.kind.ndim))
        return super().attribute(v, name)

    def reshaped(self, v: Value, shape: list) -> Value:
        """The same entries in another shape."""
        kind, lengths = v.kind.copy(ndim=len(shape)), [*map(self.number, shape)]
        if not self.builder:
            return Value(kind, None)
        strides = [self.field(v, "itemsize")]
        for length in lengths[:0:-1]:
            strides.insert(0, self.builder.mul(strides[0], length))
        return self.view(v, kind, self.field(v, "data"), lengths, strides)

    def address(self, v: Value) -> Value:
        """Where the entries of an array are."""
        return Value(types.intp, self.builder.ptrtoint(self.field(v, "data"), ir.IntType(64)))
