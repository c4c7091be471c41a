"""Blocks of matrices brought into the order in which a tile reads them, as LLVM code; and single words at addresses.

    pack(like, from, row, column, to, to_row, rows, columns)       to[i * to_row + j] = from[i * row + j * column]
    entry(like, address, i), set_entry(like, address, i, value)    the entry so many after an address
    size_of(like)                                                  bytes of an entry
    word(address, i), set_word(address, i, value)                  the 64-bit word so many after an address
    on_stack(bytes)                                                memory until the function returns

Addresses are integers and steps count entries, as in `_tile`; `like` is anything of the type of the entries.  `pack` copies
rows whose entries are side by side, transposes blocks in registers if it is columns that have them so, and takes entries
one by one otherwise.  Kernels import these by Late("_pack", ...).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._emit import Emit, counting
from ._products import HEAD
from ._shared import BYTES_OF_VECTOR, I32, I64, REALS, SIZES, call_at, call_shared, char_of


def write_pack(function: ir.Function, char: str, form: int) -> None:
    """The function `pack`."""
    ways = {name: function.append_basic_block(name) for name in ("entry", "other", "rows", "columns", "entries")}
    builder = ir.IRBuilder(ways["entry"])
    e, (source, row, column, to, to_row, rows, columns) = Emit(builder, char, BYTES_OF_VECTOR), function.args
    source, to = e.at(source), e.at(to)
    builder.cbranch(builder.icmp_signed("==", column, I64(1)), ways["rows"], ways["other"])
    builder.position_at_end(ways["other"])
    builder.cbranch(builder.icmp_signed("==", row, I64(1)), ways["columns"], ways["entries"])
    builder.position_at_end(ways["rows"])
    _copy(e, source, row, to, to_row, rows, columns)
    builder.position_at_end(ways["columns"])
    _transpose(e, source, column, to, to_row, columns, rows)
    builder.position_at_end(ways["entries"])
    with counting(builder, rows) as i, counting(builder, columns) as j:
        value = builder.load(e.step(e.step(source, builder.mul(i, row)), builder.mul(j, column)))
        builder.store(value, e.step(e.step(to, builder.mul(i, to_row)), j))
    builder.ret_void()


def _copy(e: Emit, source, row, to, to_row, rows, columns) -> None:
    """Copy row by row: whole vectors, then what is left of a row."""
    builder, whole = e.b, e.b.and_(columns, I64(-e.lanes))
    some = e.mask(builder.sub(columns, whole))
    with counting(builder, rows) as i:
        line, out = e.step(source, builder.mul(i, row)), e.step(to, builder.mul(i, to_row))
        with counting(builder, whole, e.lanes) as j:
            e.store(e.load(e.step(line, j)), e.step(out, j))
        with builder.if_then(builder.icmp_signed("<", whole, columns)):
            e.masked_store(e.masked_load(e.step(line, whole), some), e.step(out, whole), some)
    builder.ret_void()


def _transpose(e: Emit, source, row, to, to_row, rows, columns) -> None:
    """Transpose blocks of as many rows and columns as a vector has entries."""
    builder, lanes = e.b, e.lanes
    with counting(builder, columns, lanes) as j, counting(builder, rows, lanes) as i:
        line = lambda t: e.step(e.step(source, builder.mul(builder.add(i, t), row)), j)
        out = lambda t: e.step(e.step(to, builder.mul(builder.add(j, I64(t)), to_row)), i)
        left = builder.sub(rows, i), builder.sub(columns, j)
        full = builder.and_(*(builder.icmp_signed(">=", n, I64(lanes)) for n in left))
        with builder.if_else(full) as (then, otherwise):
            with then:
                for t, value in enumerate(e.transposed([e.load(line(I64(t))) for t in range(lanes)])):
                    e.store(value, out(t))
            with otherwise:
                _transpose_part(e, line, out, *left)
    builder.ret_void()


def _transpose_part(e: Emit, line, out, rows, columns) -> None:
    """Transpose a block of fewer rows or columns."""
    builder, values = e.b, []
    some, most = e.mask(columns), builder.sub(rows, I64(1))
    for t in range(e.lanes):  # rows that are not there are read as the last one
        nearest = builder.select(builder.icmp_signed("<", I64(t), most), I64(t), most)
        values.append(e.masked_load(line(nearest), some))
    some = e.mask(rows)
    for t, value in enumerate(e.transposed(values)):
        with builder.if_then(builder.icmp_signed("<", I64(t), columns)):
            e.masked_store(value, out(t), some)


@intrinsic
def pack(typingctx, like, source, row, column, to, to_row, rows, columns):
    """Copy a block of any steps into rows."""

    def generate(context, builder, sig, args):
        call_shared(builder, "pack", char_of(like), args[1:])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 7), generate


@intrinsic
def pack_at(typingctx, code, source, row, column, to, to_row, rows, columns):
    """The same by the address of the code."""

    def generate(context, builder, sig, args):
        call_at(builder, "pack", args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8), generate


# --- single words ----------------------------------------------------------------------------------------------------


@intrinsic
def size_of(typingctx, like):
    """How many bytes an entry has."""
    size = SIZES[char_of(like)]
    return types.intp(like), lambda context, builder, sig, args: I64(size)


def _at(builder, address, i, kind):
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [i])


@intrinsic
def entry(typingctx, like, address, i):
    """The entry so many after an address."""
    char = char_of(like)
    generate = lambda context, builder, sig, args: builder.load(_at(builder, *args[1:], REALS[char]))
    return {"f": types.float32, "d": types.float64}[char](like, types.intp, types.intp), generate


@intrinsic
def set_entry(typingctx, like, address, i, value):
    """Write the entry so many after an address."""
    char = char_of(like)

    def generate(context, builder, sig, args):
        builder.store(args[3], _at(builder, args[1], args[2], REALS[char]))
        return context.get_dummy_value()

    return types.void(like, types.intp, types.intp, {"f": types.float32, "d": types.float64}[char]), generate


@intrinsic
def word(typingctx, address, i):
    """The 64-bit word so many after an address."""
    generate = lambda context, builder, sig, args: builder.load(_at(builder, *args, I64))
    return types.intp(types.intp, types.intp), generate


@intrinsic
def set_word(typingctx, address, i, value):
    """Write the 64-bit word so many after an address."""

    def generate(context, builder, sig, args):
        builder.store(args[2], _at(builder, args[0], args[1], I64))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def matrices(typingctx, record, size):
    """What NumPy's record of an array says: address, rows, columns, steps of both in entries, how many matrices."""
    kind = types.UniTuple(types.intp, 6)

    def generate(context, builder, sig, args):
        field = lambda i: _at(builder, args[0], I64(HEAD + i), I64)
        axes = builder.load(builder.bitcast(field(1), I32.as_pointer()))
        axes, lengths, steps = builder.sext(axes, I64), builder.load(field(2)), builder.load(field(3))
        last = lambda place, i: builder.load(_at(builder, place, builder.sub(axes, I64(i)), I64))
        count = cgutils.alloca_once_value(builder, I64(1))
        with counting(builder, builder.sub(axes, I64(2))) as i:
            builder.store(builder.mul(builder.load(count), builder.load(_at(builder, lengths, i, I64))), count)
        numbers = [builder.load(field(0)), last(lengths, 2), last(lengths, 1)]
        numbers += [builder.sdiv(last(steps, i), args[1]) for i in (2, 1)]
        return context.make_tuple(builder, kind, [*numbers, builder.load(count)])

    return kind(types.intp, types.intp), generate


@intrinsic
def whole(typingctx, record, size):
    """Whether the steps of an array's matrices are whole numbers of entries."""

    def generate(context, builder, sig, args):
        axes = builder.load(builder.bitcast(_at(builder, args[0], I64(HEAD + 1), I64), I32.as_pointer()))
        steps, axes = builder.load(_at(builder, args[0], I64(HEAD + 3), I64)), builder.sext(axes, I64)
        two = [builder.load(_at(builder, steps, builder.sub(axes, I64(i)), I64)) for i in (1, 2)]
        rest = builder.and_(builder.or_(*two), builder.sub(args[1], I64(1)))
        return builder.icmp_signed("==", rest, I64(0))

    return types.boolean(types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def on_stack(typingctx, size):
    """The address of so many bytes (a literal number) that last until the function returns, aligned for vectors."""
    if not isinstance(size, types.IntegerLiteral):
        return None
    count = size.literal_value

    def generate(context, builder, sig, args):
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(ir.IntType(8), count))
            memory.align = BYTES_OF_VECTOR
        return builder.ptrtoint(memory, I64)

    return types.intp(size), generate
