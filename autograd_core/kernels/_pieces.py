"""Polynomials of which each number picks one, out of tables that lie in registers; for processors with AVX-512.

Where a loop calls one for a number, LLVM calls what is written here for whole vectors.  Imports Numba, for kernels only.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I32
from ._written import VECTOR, WIDE

LANES = 16
NUMBER, NUMBERS = ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)
WORDS = ir.VectorType(I32, LANES)
SHIFTER = 12582912.0  # a sum with this has a whole number in its last bits


def pieces(name: str, tables: Callable):
    """A function of float32 t >= 0: the polynomial, in t less a centre, that the whole number nearest to t**2 picks.

    There are tables of the 32 centres and of the coefficients for them, of the highest power first.
    """

    def typed(typingctx, t):
        return t(t), lambda context, builder, sig, args: builder.call(_of_one(builder.module, name, tables), args)

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _of_one(module: ir.Module, name: str, tables: Callable) -> ir.Function:
    """What loops call; LLVM is told that there is the same of vectors, and leaves both alone until loops are of vectors."""
    if (found := module.globals.get(name)) is not None:
        return found
    vector = _of_vectors(module, name + VECTOR, tables())
    function, builder = _function(module, name, NUMBER, "noinline")
    set.add(function.attributes, f'"vector-function-abi-variant"="_ZGV_LLVM_N{LANES}v_{name}({vector.name})"')
    given = builder.insert_element(ir.Constant(NUMBERS, ir.Undefined), function.args[0], I32(0))
    call = builder.call(vector, [given])
    set.add(call.attributes, "noinline")
    builder.ret(builder.extract_element(call, I32(0)))
    return function


def _of_vectors(module: ir.Module, name: str, tables: list[list[float]]) -> ir.Function:
    """The same of vectors, taken into loops once these call it."""
    function, builder = _function(module, name, NUMBERS, "alwaysinline")
    (t,), e = function.args, Emit(builder, "f")
    picked = lambda *values: e.called("llvm.x86.avx512.vpermi2var.ps.512", NUMBERS, *values)
    place = builder.bitcast(e.fma(t, t, e.constant(SHIFTER)), WORDS)
    halves = [[ir.Constant(NUMBERS, half) for half in (table[:LANES], table[LANES:])] for table in tables]
    centre, y, *rest = (picked(low, place, high) for low, high in halves)
    d = builder.fsub(t, centre)
    for c in rest:
        y = e.fma(y, d, c)
    builder.ret(y)
    return function


def _function(module: ir.Module, name: str, kind: ir.Type, inlined: str) -> tuple[ir.Function, ir.IRBuilder]:
    """A function of a number or a vector that does nothing but compute, and what writes it."""
    function = ir.Function(module, ir.FunctionType(kind, [kind]), name)
    function.linkage = "internal"
    for word in ("nounwind", "willreturn", "readnone", inlined, WIDE):
        set.add(function.attributes, word)
    return function, ir.IRBuilder(function.append_basic_block("entry"))
