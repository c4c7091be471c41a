"""The inner loops of convolution as LLVM vector code: a tile of products, small transposes.

All addresses are integers, all steps count entries.  A vector has 64 bytes; LLVM splits it where registers are shorter.
Imports Numba, and is itself imported when the first kernel of a convolution is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import kernel

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
BYTES = 64
ROWS = {1: 14, 2: 14, 3: 8, 6: 4}  # the most rows of a tile of so many vectors: what 32 registers hold


class Emit:
    """Vectors of one type of number, and the instructions on them."""

    def __init__(self, context, builder, number):
        self.b, self.number = builder, context.get_value_type(number)
        self.size = number.bitwidth // 8
        self.lanes = BYTES // self.size
        self.vector = ir.VectorType(self.number, self.lanes)
        self.pointer = self.number.as_pointer()

    def at(self, address):
        """An address as a pointer to numbers."""
        return self.b.inttoptr(address, self.pointer)

    def step(self, pointer, offset):
        """A pointer so many entries further."""
        return self.b.gep(pointer, [offset if isinstance(offset, ir.Value) else I64(offset)])

    def load(self, pointer, type=None):
        type = type or self.vector
        return self.b.load(self.b.bitcast(pointer, type.as_pointer()), align=self.size)

    def store(self, value, pointer):
        self.b.store(value, self.b.bitcast(pointer, value.type.as_pointer()), align=self.size)

    def all(self, x):
        """A vector of one number."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(self.b.insert_element(undefined, x, I32(0)), undefined, zeros)

    def constant(self, value):
        return ir.Constant(self.vector, [float(value)] * self.lanes)

    def fma(self, a, b, c):
        """a * b + c, rounded once."""
        kind = "f32" if self.size == 4 else "f64"
        signature = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}{kind}"
        return self.b.call(cgutils.get_or_insert_function(self.b.module, signature, name), [a, b, c])

    def transposed(self, rows):
        """As many vectors as each has entries, turned: entry j of vector i becomes entry i of vector j."""
        n, width = len(rows), 1
        while width < n:
            for i in [i for i in range(n) if not i & width]:
                a, b = rows[i], rows[i + width]
                low = [j if not j & width else n + j - width for j in range(n)]
                high = [j + width if not j & width else n + j for j in range(n)]
                rows[i], rows[i + width] = (self.shuffled(a, b, order) for order in (low, high))
            width *= 2
        return rows

    def shuffled(self, a, b, order):
        return self.b.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(order)), list(order)))

    def mask(self, count, lanes=0):
        """Which of the lanes come before `count`."""
        lanes = lanes or self.lanes
        number = ir.VectorType(I64, lanes)
        undefined, zeros = ir.Constant(number, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        spread = self.b.shuffle_vector(self.b.insert_element(undefined, count, I32(0)), undefined, zeros)
        return self.b.icmp_signed("<", ir.Constant(number, list(range(lanes))), spread)

    def masked_load(self, pointer, mask):
        kind, pointer = f"v{self.lanes}f{8 * self.size}", self.b.bitcast(pointer, self.vector.as_pointer())
        signature = ir.FunctionType(self.vector, [pointer.type, I32, mask.type, self.vector])
        load = cgutils.get_or_insert_function(self.b.module, signature, f"llvm.masked.load.{kind}.p0")
        return self.b.call(load, [pointer, I32(self.size), mask, ir.Constant(self.vector, None)])

    def masked_store(self, value, pointer, mask):
        kind, pointer = f"v{value.type.count}f{8 * self.size}", self.b.bitcast(pointer, value.type.as_pointer())
        signature = ir.FunctionType(ir.VoidType(), [value.type, pointer.type, I32, mask.type])
        store = cgutils.get_or_insert_function(self.b.module, signature, f"llvm.masked.store.{kind}.p0")
        self.b.call(store, [value, pointer, I32(self.size), mask])


# --- the tile --------------------------------------------------------------------------------------------------------


def _products(widths):
    """The intrinsic behind tiles of so many vectors: a switch over the shapes of tiles."""

    @intrinsic
    def products(typingctx, like, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep):
        def generate(context, builder, sig, args):
            rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep = args[1:]
            e = Emit(context, builder, like)
            done = builder.append_basic_block("done")
            switch = builder.switch(builder.add(builder.mul(vectors, I64(16)), rows), done)
            for v in widths:
                for r in range(1, ROWS[v] + 1):
                    block = builder.append_basic_block(f"tile{r}x{v}")
                    switch.add_case(I64(16 * v + r), block)
                    builder.position_at_end(block)
                    places_of = (e.at(a), lda, sa, places, e.at(b), ldb, starts, segments, depth, e.at(c), ldc, keep)
                    _tile(e, r, v, *places_of)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(like, *[types.intp] * 14), generate

    return products


_narrow, _flat = _products((1, 2)), _products((3, 6))


def _tile(e, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep):
    """The loops over segments and depth for one shape of tile, whose sums stay in registers."""
    bd = e.b
    zero = e.constant(0)
    table = lambda address, s: bd.load(bd.gep(bd.inttoptr(address, I64.as_pointer()), [s]))
    before = bd.block
    outer, inner, after, end = (bd.append_basic_block(f"{n}{rows}x{vectors}") for n in ("seg", "depth", "after", "end"))
    bd.branch(outer)
    bd.position_at_end(outer)
    s = bd.phi(I64)
    sums = [bd.phi(e.vector) for _ in range(rows * vectors)]
    s.add_incoming(I64(0), before)
    first, panel = e.step(a, table(places, s)), e.step(b, table(starts, s))
    heads = [e.step(first, bd.mul(lda, I64(i))) for i in range(0, rows, 3)]
    bd.branch(inner)
    bd.position_at_end(inner)
    k, pb = bd.phi(I64), bd.phi(e.pointer)
    heads_now = [bd.phi(e.pointer) for _ in heads]
    accumulators = [bd.phi(e.vector) for _ in sums]
    bs = [e.load(e.step(pb, e.lanes * j)) for j in range(vectors)]
    new = []
    for i in range(rows):
        head = heads_now[i // 3]
        x = e.all(bd.load(e.step(head, bd.mul(lda, I64(i % 3))) if i % 3 else head))
        new += [e.fma(x, bs[j], accumulators[i * vectors + j]) for j in range(vectors)]
    following = bd.add(k, I64(1))
    pairs = [(k, I64(0), following), (pb, panel, e.step(pb, ldb))]
    pairs += [(p, h, e.step(p, sa)) for p, h in zip(heads_now, heads)]
    for phi, start, following_value in [*pairs, *zip(accumulators, sums, new)]:
        phi.add_incoming(start, outer)
        phi.add_incoming(following_value, inner)
    bd.cbranch(bd.icmp_signed("<", following, depth), inner, after)
    bd.position_at_end(after)
    onwards = bd.add(s, I64(1))
    s.add_incoming(onwards, after)
    for phi, value in zip(sums, new):
        phi.add_incoming(zero, before)
        phi.add_incoming(value, after)
    bd.cbranch(bd.icmp_signed("<", onwards, segments), outer, end)
    bd.position_at_end(end)
    out = [e.step(e.step(c, bd.mul(ldc, I64(i))), e.lanes * j) for i in range(rows) for j in range(vectors)]
    with bd.if_else(bd.icmp_signed("!=", keep, I64(0))) as (added, plain):
        with added:
            for p, value in zip(out, new):
                e.store(bd.fadd(e.load(p), value), p)
        with plain:
            for p, value in zip(out, new):
                e.store(value, p)


def _called_by_kernels(fn):
    """Compiled once, and called by many."""
    return kernel(fn).part


@_called_by_kernels
def tile(like, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep):
    """c[i, j] = sum over s, d of a[places[s] + i lda + d sa] b[starts[s] + d ldb + j]; added to what is there if keep.

    i in range(rows <= 14), j in range(lanes * vectors), vectors 1 or 2; at least one segment and a depth of one.
    """
    _narrow(like, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep)


@_called_by_kernels
def flat_tile(like, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep):
    """The same for few rows: 3 vectors of at most 8 rows, or 6 of at most 4."""
    _flat(like, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep)


# --- transposes ------------------------------------------------------------------------------------------------------


@intrinsic
def turn(typingctx, like, source, step, high, wide, target, target_step):
    """target[j target_step + i] = source[i step + j] for i < high, j < wide, neither above the lanes of a vector."""

    def generate(context, builder, sig, args):
        _, source, step, high, wide, target, target_step = args
        e = Emit(context, builder, like)
        source, target, lanes = e.at(source), e.at(target), I64(e.lanes)
        rows = [e.step(source, builder.mul(step, I64(i))) for i in range(e.lanes)]
        out = [e.step(target, builder.mul(target_step, I64(j))) for j in range(e.lanes)]
        whole = builder.and_(builder.icmp_signed(">=", high, lanes), builder.icmp_signed(">=", wide, lanes))
        with builder.if_else(whole) as (all_of_it, part):
            with all_of_it:
                for p, value in zip(out, e.transposed([e.load(p) for p in rows])):
                    e.store(value, p)
            with part:
                there = [builder.select(builder.icmp_signed("<", I64(i), high), p, source) for i, p in enumerate(rows)]
                loaded, kept = e.mask(wide), e.mask(high)
                for j, value in enumerate(e.transposed([e.masked_load(p, loaded) for p in there])):
                    with builder.if_then(builder.icmp_signed("<", I64(j), wide)):
                        e.masked_store(value, out[j], kept)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 6), generate
