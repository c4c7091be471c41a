"""What kernels that are LLVM code are written with: loops, and vectors of one type of number.

Addresses are integers and steps count entries.  Imports Numba, for kernels only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils

from ._shared import BYTES, I32, I64, REALS, SIZES, VOID

WIDEST = 64  # bytes of a vector; LLVM splits it where registers are shorter


@contextmanager
def carrying(builder: ir.IRBuilder, start, stop, step: int, values: list):
    """A loop from a start by steps while below a stop that carries values: (counter, values so far, list for new ones).

    What is put into the list stands after the loop for what the values have become.
    """
    before = builder.block
    head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    i, held, new = builder.phi(I64), [builder.phi(v.type) for v in values], []
    builder.cbranch(builder.icmp_signed("<", i, stop), body, after)
    builder.position_at_end(body)
    yield i, held, new
    for phi, first, following in zip([i, *held], [start, *values], [builder.add(i, I64(step)), *new]):
        phi.add_incoming(first, before)
        phi.add_incoming(following, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    new[:] = held


@contextmanager
def counting(builder: ir.IRBuilder, stop, step: int = 1):
    """A loop whose counter goes from 0 by steps while it is below `stop`."""
    with carrying(builder, I64(0), stop, step, []) as (i, _, _):
        yield i


class Emit:
    """Vectors of one type of number, by its letter, and the instructions on them."""

    def __init__(self, builder: ir.IRBuilder, char: str, size_of_vector: int = WIDEST):
        self.b, self.number, self.size = builder, REALS[char], SIZES[char]
        self.lanes = size_of_vector // self.size
        self.vector = ir.VectorType(self.number, self.lanes)
        self.pointer = self.number.as_pointer()

    def called(self, name: str, result, *values):
        """What one of LLVM's own functions gives."""
        signature = ir.FunctionType(result, [v.type for v in values])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, signature, name), values)

    # --- memory

    def at(self, address):
        """An address as a pointer to numbers."""
        return self.b.inttoptr(address, self.pointer)

    def step(self, pointer, offset):
        """A pointer so many entries further."""
        return self.b.gep(pointer, [offset if isinstance(offset, ir.Value) else I64(offset)])

    def load(self, pointer, kind=None):
        """A vector, of numbers if no other kind is given; no vector has to be aligned."""
        kind = kind or self.vector
        return self.b.load(self.b.bitcast(pointer, kind.as_pointer()), align=bytes_of(kind.element))

    def store(self, value, pointer) -> None:
        """Write a vector."""
        to = self.b.bitcast(pointer, value.type.as_pointer())
        self.b.store(value, to, align=bytes_of(value.type.element))

    def mask(self, count):
        """Which of the lanes come before `count`, a whole number of either sign."""
        numbers = ir.Constant(ir.VectorType(count.type, self.lanes), list(range(self.lanes)))
        return self.b.icmp_signed("<", numbers, self.all(count))

    def masked_load(self, pointer, mask, otherwise=None):
        """A vector where the mask is set, 0 or what is given elsewhere; without a mask, all of it."""
        otherwise = otherwise or self.constant(0)
        kind = otherwise.type
        if mask is None:
            return self.load(pointer, kind)
        values = self.b.bitcast(pointer, kind.as_pointer()), I32(bytes_of(kind.element)), mask, otherwise
        return self.called(f"llvm.masked.load.{named(kind)}.p0", kind, *values)

    def masked_store(self, value, pointer, mask) -> None:
        """Write a vector where the mask is set; without a mask all of it."""
        if mask is None:
            return self.store(value, pointer)
        to, size = self.b.bitcast(pointer, value.type.as_pointer()), I32(bytes_of(value.type.element))
        self.called(f"llvm.masked.store.{named(value.type)}.p0", VOID, value, to, size, mask)

    def ask_for(self, pointer, write: int = 0) -> None:
        """Let a line of memory come near, which will be read, or written."""
        self.called("llvm.prefetch.p0", VOID, self.b.bitcast(pointer, BYTES), I32(write), I32(3), I32(1))

    # --- values

    def constant(self, value: float):
        """A vector of one number that is known."""
        return ir.Constant(self.vector, [float(value)] * self.lanes)

    def all(self, x):
        """A vector of one value, of any type."""
        nothing = ir.Constant(ir.VectorType(x.type, self.lanes), ir.Undefined)
        return self.shuffled(self.b.insert_element(nothing, x, I32(0)), nothing, [0] * self.lanes)

    def fma(self, a, b, c):
        """a * b + c of vectors or numbers, rounded once by all processors that have an instruction for it.

        Those that have none round twice: they would call a function for each entry, and nothing here needs the one rounding.
        """
        return self.called(f"llvm.fmuladd.{named(a.type)}", a.type, a, b, c)

    def shuffled(self, a, b, order):
        """A vector of entries of two, those of the second counted after those of the first."""
        return self.b.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(order)), list(order)))

    def folded(self, x, join: Callable):
        """What a vector's entries give together: halves are joined until one is left."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            order = [*range(lanes, 2 * lanes), *range(lanes, self.lanes)][: self.lanes]
            x = join(x, self.shuffled(x, x, order))
        return self.b.extract_element(x, I32(0))

    def transposed(self, rows: list) -> list:
        """As many vectors as they have entries, transposed: neighbours change places, pairs of them, and so on.

        Those within 128 bits come first, for which there are instructions without tables; halves before quarters.
        """
        rows, n = list(rows), self.lanes
        for far in [k for k in (1, 2, 8, 4) if k < n]:
            low = [j if not j & far else n + j - far for j in range(n)]
            high = [j + far if not j & far else n + j for j in range(n)]
            for i in [i for i in range(n) if not i & far]:
                pair = rows[i], rows[i + far]
                rows[i], rows[i + far] = self.shuffled(*pair, low), self.shuffled(*pair, high)
        return rows


def named(kind: ir.Type) -> str:
    """What LLVM calls a type in names of functions."""
    return f"v{kind.count}{named(kind.element)}" if isinstance(kind, ir.VectorType) else kind.intrinsic_name


def bytes_of(kind: ir.Type) -> int:
    """How many a number has."""
    return int(kind.intrinsic_name[1:]) // 8
