"""NumPy's own matrix product, OpenBLAS as a rule, for code that cannot go through Python.

    gemm(dtype)                                      its address and the bits of its integers, or (0, 0)
    gemm_at(like, address, wide, a_turned, b_turned, m, n, k, a, a_row, b, b_row, c, c_row)

The address is an argument of compiled code, which can therefore be kept on disk.  Small products stay on one thread in
OpenBLAS (up to some 2^18 multiplications), and have the same bits whatever else happens; larger ones are ours (`matmul`):
its threads would share them out by their number, and go on spinning for a tenth of a second after each.  Imports Numba.
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._openblas import AS_IT_IS, BY_ROWS, TURNED, function
from ._shared import I32, I64, REALS, VOID, char_of

NAMES = {"f": "cblas_sgemm", "d": "cblas_dgemm"}


@functools.cache
def gemm(dtype: np.dtype) -> tuple[int, int]:
    """The address of the matrix product for a type, and how many bits its integers have; 0, 0 if there is none."""
    found, bits = function(NAMES.get(np.dtype(dtype).char, ""))
    return ctypes.cast(found, ctypes.c_void_p).value or 0 if found else 0, bits


@intrinsic
def gemm_at(typingctx, like, address, bits, a_turned, b_turned, m, n, k, a, a_row, b, b_row, c, c_row):
    """c = a @ b by an address from `gemm`; a or b is stored by columns if turned; steps of rows count entries."""
    char = char_of(like)

    def generate(context, builder, sig, args):
        wide = builder.icmp_signed("==", args[2], I64(64))
        with builder.if_else(wide) as (then, otherwise):
            with then:
                _call(builder, char, args, I64)
            with otherwise:
                _call(builder, char, args, I32)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 13), generate


def _call(builder, char: str, args, integer) -> None:
    """The call, for integers of some width."""
    real, bytes_ = REALS[char], ir.IntType(8).as_pointer()
    _, address, _, *turned, m, n, k, a, a_row, b, b_row, c, c_row = args
    kinds = [I32] * 3 + [integer] * 3 + [real, bytes_, integer, bytes_, integer, real, bytes_, integer]
    whole = lambda x: builder.trunc(x, integer) if integer is I32 else x
    pointer = lambda x: builder.inttoptr(x, bytes_)
    way = [builder.select(builder.icmp_signed("!=", t, I64(0)), I32(TURNED), I32(AS_IT_IS)) for t in turned]
    values = [I32(BY_ROWS), *way, whole(m), whole(n), whole(k), real(1.0), pointer(a), whole(a_row)]
    values += [pointer(b), whole(b_row), real(0.0), pointer(c), whole(c_row)]
    builder.call(builder.inttoptr(address, ir.FunctionType(VOID, kinds).as_pointer()), values)
