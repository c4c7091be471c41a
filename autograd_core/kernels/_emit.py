"""What products of matrices are written with, as LLVM code: loops, and vectors as wide as the processor's registers.

Addresses are integers and steps count entries.  Imports Numba, for kernels only.
"""

from __future__ import annotations

from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils

from ._shared import BYTES, I1, I32, I64, LANES, REALS, SIZES, VOID


@contextmanager
def counting(builder: ir.IRBuilder, stop, step: int = 1):
    """A loop whose counter goes from 0 by steps while it is below `stop`."""
    before = builder.block
    head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(I64)
    i.add_incoming(I64(0), before)
    builder.cbranch(builder.icmp_signed("<", i, stop), body, after)
    builder.position_at_end(body)
    yield i
    i.add_incoming(builder.add(i, I64(step)), builder.block)
    builder.branch(head)
    builder.position_at_end(after)


class Vectors:
    """Loads and stores of vectors, whole or the first few entries."""

    def __init__(self, builder: ir.IRBuilder, char: str):
        self.builder, self.lanes, self.size = builder, LANES[char], SIZES[char]
        self.real, self.vector = REALS[char], ir.VectorType(REALS[char], self.lanes)
        self.all = ir.VectorType(I1, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.kind = f"v{self.lanes}f{8 * self.size}"

    def function(self, name: str, result, arguments):
        """One of LLVM's own."""
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), name)

    def ask_for(self, pointer, write: int = 0) -> None:
        """Let a line of memory come near."""
        function = self.function("llvm.prefetch.p0", VOID, [pointer.type, I32, I32, I32])
        self.builder.call(function, [pointer, I32(write), I32(3), I32(1)])

    def fma(self, a, b, c):
        """a * b + c, rounded once where that costs no more."""
        return self.builder.call(self.function(f"llvm.fmuladd.{self.kind}", self.vector, [self.vector] * 3), [a, b, c])

    def pointer(self, address, *steps):
        """A pointer to the entry after an address by a sum of products (i, step)."""
        builder, offset = self.builder, I64(0)
        for i, step in steps:
            offset = builder.add(offset, builder.mul(i, step))
        return builder.gep(builder.inttoptr(address, BYTES), [builder.mul(offset, I64(self.size))])

    def spread(self, x):
        """A vector with x everywhere."""
        nothing = ir.Constant(ir.VectorType(x.type, self.lanes), ir.Undefined)
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(self.builder.insert_element(nothing, x, I32(0)), nothing, zeros)

    def first(self, count):
        """The mask of the first entries; none for a count of 0 or less."""
        numbers = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.spread(count))

    def load(self, pointer, mask=None):
        """A vector; 0 where the mask is not set."""
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.size)
        kinds = [pointer.type, I32, self.all, self.vector]
        function = self.function(f"llvm.masked.load.{self.kind}.p0", self.vector, kinds)
        return self.builder.call(function, [pointer, I32(self.size), mask, self.zero])

    def store(self, value, pointer, mask=None) -> None:
        """Write a vector, or what the mask says of it."""
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.size)
            return
        kinds = [self.vector, pointer.type, I32, self.all]
        function = self.function(f"llvm.masked.store.{self.kind}.p0", VOID, kinds)
        self.builder.call(function, [value, pointer, I32(self.size), mask])

    def transposed(self, rows: list) -> list:
        """As many vectors as they have entries, transposed: halves change places, then the quarters in them, and so on."""
        half = self.lanes // 2
        while half:
            new = list(rows)
            for i in range(self.lanes):
                if not i & half:
                    x, y = rows[i], rows[i + half]
                    low = [j if not j & half else self.lanes + j - half for j in range(self.lanes)]
                    high = [j + half if not j & half else self.lanes + j for j in range(self.lanes)]
                    new[i], new[i + half] = self._shuffled(x, y, low), self._shuffled(x, y, high)
            rows, half = new, half // 2
        return rows

    def _shuffled(self, x, y, order):
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, self.lanes), order))
