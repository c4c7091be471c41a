"""Many calls of kernels in one: a table has a row for each, with what is called and the words that it is given.

To call a kernel costs Python a quarter of a microsecond or more, and native code some nanoseconds.  A row begins with
the address of what unpacks it, of which there is one for each way in which words and fractions follow each other.
Imports Numba, and is itself imported when the first table is made.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import EXACT, Kernel, Late, kernel

word = Late("_pack", "word")
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


@functools.cache
def unpacking(letters: str) -> Kernel:
    """A kernel that calls the function of a row with the words after it, which are as `letters` says; what that returns."""

    @intrinsic
    def unpack(typingctx, row):
        def generate(context, builder, sig, args):
            row = builder.inttoptr(args[0], I64.as_pointer())
            words = [builder.load(builder.gep(row, [I64(k)])) for k in range(1, len(letters) + 2)]
            values = [builder.bitcast(w, REAL) if c == "d" else w for w, c in zip(words[1:], letters)]
            return called(builder, words[0], values)

        return types.intp(types.intp), generate

    def unpacked(row):
        return unpack(row)

    unpacked.__module__ = __name__
    return kernel(unpacked, fastmath=EXACT, name=f"row_{letters}", numbers="i")


@kernel(fastmath=EXACT, numbers="iii", written=True)
def run(rows, starts, count):
    """Call each of some rows; what the last returns, if it is a whole number or a truth."""
    found = 0
    for k in range(count):
        row = rows + 8 * word(starts, k)
        found = call(word(row, 0), row)
    return found


class Table:
    """Rows, and what calls them all."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.starts: list[int] = []

    def add(self, called: Kernel, args: tuple) -> None:
        """A row for a call of a kernel of numbers."""
        letters = called.numbers.replace("a", "i")
        self.starts.append(len(self.words))
        self.words += [address(unpacking(letters)), address(called)]
        self.words += [bits(a) if c == "d" else int(a) for a, c in zip(args, letters)]

    def ready(self) -> tuple[Callable, tuple[int, int, int]]:
        """What to call, and with what, while the table is kept."""
        self.held = np.array(self.words, np.int64), np.array(self.starts, np.int64)
        rows, starts = self.held
        return run.build().func, (rows.ctypes.data, starts.ctypes.data, len(starts))


def bits(x: float) -> int:
    """A fraction as a word."""
    return struct.unpack("<q", struct.pack("<d", x))[0]


@functools.cache
def address(kernel: Kernel) -> int:
    """Where the machine code of a kernel of numbers is."""
    made = kernel.build().compiled_as
    return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
