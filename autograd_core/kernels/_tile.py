"""The heart of a product of matrices: a tile of results that stays in vector registers, as LLVM code.

    multiply(like, a, a_row, a_depth, b, b_row, c, c_row, depth, rows, columns, mode, bias)

    c[i * c_row + j] = sum over k < depth of a[i * a_row + k * a_depth] * b[k * b_row + j]     i < rows, j < columns

`like` is anything of the type of the entries, float32 or float64 (an array, or a number).  a, b, c and bias are addresses,
all steps count entries, any of them may be negative or 0.  Rows of b and of c have their entries side by side and need not
be aligned.  `rows` is 1 to ROWS, `columns` 1 to COLUMNS of the type: see `shape_of(dtype)`; nothing beyond them is read or
written.  `mode` is START, or a sum of: ADD (to what is in c), RELU (the result is max(result, 0), NaN stays), after
`bias`, if not 0, was added: the address of one number for each column.

Factors are *packed* if the entries of a for one k are side by side (a_row is 1) and columns fill vectors.  Code for these
(`multiply_at` only) neither adds steps nor masks: a fifth of its instructions are gone, which counts where another thread
shares the core.

`multiply` calls one piece of code that all kernels share.  Where depth is so small that a call counts (some 10 cycles),
`multiply_here(like, rows, vectors, ...)`, the rest as above, puts the code for exactly so many rows and vectors (both
literal numbers) in place; `columns` says how many there are, at most vectors * lanes of the type.

Kernels import these by `Late("_tile", "multiply")`.  Importing this imports Numba.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import (
    BYTES,
    BYTES_OF_VECTOR,
    I32,
    I64,
    LANES,
    MASKS,
    ROWS,
    SIZES,
    VECTORS,
    WIDTH,
    call_at,
    call_shared,
    char_of,
)

START, ADD, RELU = 0, 1, 2
PACKED = (ROWS + 1) * VECTORS  # forms before those for packed factors
LATENCY = 8  # sums that must be under way at once to keep the multipliers busy
AHEAD = 16  # rows of b that are asked for before they are needed
GROUP = 7  # rows of a that are addressed from the same pointer: so few need registers
LINE, LINES = 64, 16  # bytes of a line of the cache, and rows of a that are asked for in turn: a tile's, and a few more
NEAR, FURTHER = 768, 128  # bytes of a row up to which the tile below is asked for; beyond that, how far ahead


def shape_of(dtype: np.dtype) -> tuple[int, int]:
    """The most rows and columns of a tile."""
    return ROWS, WIDTH // np.dtype(dtype).itemsize


NAMES = "a a_row a_depth b b_row c c_row depth columns mode bias".split()


class _Tile(Emit):
    """Writes the code of one tile: so many rows, so many vectors in each."""

    def __init__(self, builder: ir.IRBuilder, char: str, rows: int, vectors: int, values: dict, masks: bool):
        super().__init__(builder, char, BYTES_OF_VECTOR)
        self.rows, self.vectors, self.values = rows, vectors, values
        self.sets = max(LATENCY // (rows * vectors), 1)  # sums of every so-manieth product, added in the end
        self.last = self._last() if masks else None
        self.packed = isinstance(values["a_row"], ir.Constant)

    def write(self) -> None:
        """All of it: sums over depth, then what is done to them, then c."""
        builder, values = self.b, self.values
        step = {name: builder.mul(values[name], I64(self.size)) for name in ("a_row", "a_depth", "b_row", "c_row")}
        a, b, c = (builder.inttoptr(values[name], BYTES) for name in "abc")
        self._ask_for_rows(c, step["c_row"])
        sums = self._sums(a, step["a_row"], step["a_depth"], b, step["b_row"])
        self._finish(sums, c, step["c_row"])

    def _last(self):
        """The mask of the last vector: which of its entries are there."""
        left = self.b.sub(self.values["columns"], I64((self.vectors - 1) * self.lanes))
        return self.mask(self.b.trunc(left, I32))

    def _place(self, row, j: int):
        """Where vector j of a row is, and which of it."""
        return self.step(row, BYTES_OF_VECTOR * j), None if j < self.vectors - 1 else self.last

    def _ask_for_rows(self, c, c_row) -> None:
        for i in range(self.rows):
            row = self.step(c, self.b.mul(c_row, I64(i)))
            for j in range(self.vectors):
                self.ask_for(self.step(row, BYTES_OF_VECTOR * j), 1)

    def _sums(self, a, a_row, a_depth, b, b_row):
        """The sums of products over depth, row by row: a loop over several k at once, and one over those left."""
        sums = [[self.constant(0)] * (self.rows * self.vectors) for _ in range(self.sets)]
        depth = self.values["depth"]
        if self.sets > 1:
            whole = self.b.mul(self.b.sdiv(depth, I64(self.sets)), I64(self.sets))
            sums, a, b = self._loop(sums, a, a_row, a_depth, b, b_row, whole)
            sums, depth = [self._together(sums)], self.b.sub(depth, whole)
        return self._loop(sums, a, a_row, a_depth, b, b_row, depth)[0][0]

    def _together(self, sets):
        """The sum of sets of sums: halves are added until one is left, so that few additions wait for others."""
        while len(sets) > 1:
            half = len(sets) // 2
            pairs = zip(sets[:half], sets[-half:])
            sets = [[self.b.fadd(x, y) for x, y in zip(*pair)] for pair in pairs] + sets[half:-half]
        return sets[0]

    def _loop(self, start, a, a_row, a_depth, b, b_row, depth):
        """Add products to len(start) sets of sums, each from a k of its own."""
        builder, sets = self.b, len(start)
        before, body, after = builder.block, builder.append_basic_block("depth"), builder.append_basic_block("done")
        bases = [self.step(a, builder.mul(a_row, I64(i))) for i in range(0, self.rows, GROUP)]
        steps = {i: self._opaque(builder.mul(a_row, I64(i))) for i in range(1, GROUP, 2)}
        following = self._following(a, a_row) if sets == 1 and self.rows >= GROUP and not self.packed else None
        builder.cbranch(builder.icmp_signed(">", depth, I64(0)), body, after)
        builder.position_at_end(body)
        k = self._phi(I64, I64(0), before)
        rows_of_a = [self._phi(BYTES, p, before) for p in bases]
        row_of_b = self._phi(BYTES, b, before)
        sums = [[self._phi(self.vector, value, before) for value in part] for part in start]
        new, there = [], row_of_b
        here = [builder.inttoptr(self._opaque(builder.ptrtoint(p, I64)), BYTES) for p in rows_of_a]
        if following is not None:
            self._ask_for_lines(following, a_row, k)
        for part in sums:
            new.append(self._products(part, here, steps, there))
            self._ask_for_next(there, b_row)
            here, there = [self.step(p, a_depth) for p in here], self.step(there, b_row)
        after_k = builder.add(k, I64(sets))
        phis, values = [k, row_of_b, *rows_of_a], [after_k, there, *here]
        for phi, value in zip(phis + sum(sums, []), values + sum(new, [])):
            phi.add_incoming(value, body)
        builder.cbranch(builder.icmp_signed("<", after_k, depth), body, after)
        builder.position_at_end(after)
        join = lambda old, value: self._join(old, before, value, body)
        result = [[join(*pair) for pair in zip(*part)] for part in zip(start, new)]
        return result, join(a, here[0]), join(b, there)

    def _opaque(self, x):
        """A number of which LLVM does not know where it comes from: addresses stay as they are written here.

        It would make of them a sum of which each waits for the last, and one more instruction for each row.
        """
        return self.b.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [x], False)

    def _row(self, base, steps, i: int):
        """The address i < GROUP rows further on, as a base and 1, 2 or 4 times a step."""
        if not i:
            return base
        twos = (i & -i).bit_length() - 1
        return self.step(base, self.b.shl(steps[i >> twos], I64(twos)))

    def _following(self, a, a_row):
        """Where what is read of a lies that should come near: the tile below, or if that is much, some lines further on."""
        builder = self.b
        near = builder.icmp_signed("<=", self.values["depth"], I64(NEAR // self.size))
        return self.step(a, builder.select(near, builder.mul(a_row, I64(self.rows)), I64(FURTHER)))

    def _ask_for_lines(self, following, a_row, k) -> None:
        """Ask for some lines of LINES rows, so that over as many k as a line has entries it is one of each."""
        builder, each = self.b, LINE // self.size
        count = LINES // each
        row, line = builder.and_(builder.mul(k, I64(count)), I64(LINES - 1)), builder.udiv(k, I64(each))
        place = self.step(following, builder.add(builder.mul(row, a_row), builder.mul(line, I64(LINE))))
        for _ in range(count):
            self.ask_for(place)
            place = self.step(place, a_row)

    def _ask_for_next(self, row, b_row) -> None:
        ahead = self.step(row, self.b.mul(b_row, I64(AHEAD)))
        for j in range(self.vectors):
            self.ask_for(self.step(ahead, BYTES_OF_VECTOR * j))

    def _phi(self, kind, value, block):
        phi = self.b.phi(kind)
        phi.add_incoming(value, block)
        return phi

    def _join(self, one, first, other, second):
        phi = self._phi(one.type, one, first)
        phi.add_incoming(other, second)
        return phi

    def _products(self, sums, rows_of_a, steps, row_of_b):
        """sums + the products of one k."""
        builder = self.b
        right = [self.masked_load(*self._place(row_of_b, j)) for j in range(self.vectors)]
        new = []
        for i in range(self.rows):
            pointer = self._row(rows_of_a[i // GROUP], steps, i % GROUP)
            x = self.all(builder.load(builder.bitcast(pointer, self.pointer), align=self.size))
            new += [self.fma(x, y, sums[i * self.vectors + j]) for j, y in enumerate(right)]
        return new

    def _finish(self, sums, c, c_row) -> None:
        """Old values, bias and activation, each if asked for; then the results are written."""
        rows = [self.step(c, self.b.mul(c_row, I64(i))) for i in range(self.rows)]
        places = [(row, j) for row in rows for j in range(self.vectors)]
        old = lambda sums: [self.b.fadd(x, self.masked_load(*self._place(*p))) for x, p in zip(sums, places)]
        sums = self._where(self._asked(ADD), sums, old)
        sums = self._where(self.b.icmp_signed("!=", self.values["bias"], I64(0)), sums, self._biased)
        sums = self._where(self._asked(RELU), sums, lambda sums: [self._cut(x) for x in sums])
        for value, place in zip(sums, places):
            self.masked_store(value, *self._place(*place))

    def _asked(self, what: int):
        """Whether the mode has this."""
        return self.b.icmp_signed("!=", self.b.and_(self.values["mode"], I64(what)), I64(0))

    def _biased(self, sums):
        """Sums with the numbers of their columns."""
        row = self.b.inttoptr(self.values["bias"], BYTES)
        y = [self.masked_load(*self._place(row, j)) for j in range(self.vectors)]
        return [self.b.fadd(x, y[i % self.vectors]) for i, x in enumerate(sums)]

    def _cut(self, x):
        """max(x, 0); NaN stays."""
        return self.b.select(self.b.fcmp_unordered(">", x, self.constant(0)), x, self.constant(0))

    def _where(self, condition, values, change):
        """The values, changed if the condition holds."""
        builder, before = self.b, self.b.block
        body, after = builder.append_basic_block("change"), builder.append_basic_block("go_on")
        builder.cbranch(condition, body, after)
        builder.position_at_end(body)
        new, body = change(values), builder.block
        builder.branch(after)
        builder.position_at_end(after)
        return [self._join(old, before, value, body) for old, value in zip(values, new)]


def _write(builder, char: str, rows: int, vectors: int, values: dict) -> None:
    """The code of a tile at this place; where parts of vectors are costly, twice: for whole vectors and for parts."""
    if MASKS:
        _Tile(builder, char, rows, vectors, values, True).write()
        return
    whole = builder.icmp_signed("==", values["columns"], I64(vectors * LANES[char]))
    with builder.if_else(whole) as (then, otherwise):
        with then:
            _Tile(builder, char, rows, vectors, values, False).write()
        with otherwise:
            _Tile(builder, char, rows, vectors, values, True).write()


# --- the code that kernels share -------------------------------------------------------------------------------------


def write_tile(function: ir.Function, char: str, form: int) -> None:
    """A function for so many rows and vectors; the second half of them for packed factors."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    values, (rows, vectors) = dict(zip(NAMES, function.args)), divmod(form % PACKED, VECTORS)
    if form >= PACKED:
        _Tile(builder, char, rows, vectors + 1, values | {"a_row": I64(1)}, False).write()
    else:
        _write(builder, char, rows, vectors + 1, values)
    builder.ret_void()


def form_of(builder: ir.IRBuilder, rows, columns, size):
    """Which tile it is: so many rows, and all vectors that have columns."""
    last = builder.mul(builder.sub(columns, I64(1)), size)
    return builder.add(builder.mul(rows, I64(VECTORS)), builder.udiv(last, I64(BYTES_OF_VECTOR)))


@intrinsic
def multiply(typingctx, like, a, a_row, a_depth, b, b_row, c, c_row, depth, rows, columns, mode, bias):
    """A tile of a product of matrices; see above."""
    char = char_of(like)

    def generate(context, builder, sig, args):
        _, *first, rows, columns, mode, bias = args
        form = form_of(builder, rows, columns, I64(SIZES[char]))
        whole = builder.icmp_signed("==", builder.urem(columns, I64(LANES[char])), I64(0))
        packed = builder.and_(whole, builder.icmp_signed("==", first[1], I64(1)))
        form = builder.add(form, builder.select(packed, I64(PACKED), I64(0)))
        call_shared(builder, "tile", char, [*first, columns, mode, bias, form])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 12), generate


@intrinsic
def multiply_at(typingctx, code, size, a, a_row, a_depth, b, b_row, c, c_row, depth, columns, mode, bias, rows, packed):
    """The same by the address of the code, for entries of so many bytes; packed is 1 or 0, see above."""

    def generate(context, builder, sig, args):
        *values, rows, packed = args[2:]
        form = builder.add(form_of(builder, rows, values[8], args[1]), builder.mul(packed, I64(PACKED)))
        call_at(builder, "tile", args[0], [*values, form])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 15), generate


@intrinsic(prefer_literal=True)
def multiply_here(typingctx, like, rows, vectors, a, a_row, a_depth, b, b_row, c, c_row, depth, columns, mode, bias):
    """A tile of literal size, written in place."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    size = rows.literal_value, vectors.literal_value
    char = char_of(like)

    def generate(context, builder, sig, args):
        _write(builder, char, *size, dict(zip(NAMES, args[3:])))
        return context.get_dummy_value()

    return types.void(like, rows, vectors, *[types.intp] * 11), generate
