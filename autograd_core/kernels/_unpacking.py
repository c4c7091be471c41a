"""Calls of functions whose addresses and arguments lie in rows of words (`_rows`).  Imports Numba, for kernels only."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I32, I64, REAL, BYTES = ir.IntType(32), ir.IntType(64), ir.DoubleType(), ir.IntType(8).as_pointer()


def called(builder: ir.IRBuilder, address: ir.Value, values: list[ir.Value]) -> ir.Value:
    """Call what Numba compiled, in its way: with places for a result and for an exception, of which there is none."""
    result, raised = (cgutils.alloca_once(builder, I64, size=2) for _ in range(2))
    builder.store(I64(0), result)
    builder.store(I64(0), raised)
    kind = ir.FunctionType(I32, [BYTES, BYTES, *[v.type for v in values]])
    places = [builder.bitcast(place, BYTES) for place in (result, raised)]
    builder.call(builder.inttoptr(address, kind.as_pointer()), [*places, *values])
    return builder.load(result)


@intrinsic
def call(typingctx, function, row):
    """Call a function of one word; what it returns."""
    generate = lambda context, builder, sig, args: called(builder, args[0], [args[1]])
    return types.intp(types.intp, types.intp), generate


def unpack(letters: str) -> Any:
    """What calls the function of a row with the words after it, which are as `letters` says."""

    @intrinsic
    def unpack(typingctx, row):
        def generate(context, builder, sig, args):
            row = builder.inttoptr(args[0], I64.as_pointer())
            words = [builder.load(builder.gep(row, [I64(k)])) for k in range(1, len(letters) + 2)]
            values = [builder.bitcast(w, REAL) if c == "d" else w for w, c in zip(words[1:], letters)]
            return called(builder, words[0], values)

        return types.intp(types.intp), generate

    return unpack
