"""The inner loops of convolution as LLVM vector code: a tile of products, small transposes.

All addresses are integers, all steps count entries.  A vector has 64 bytes; LLVM splits it where registers are shorter.
Imports Numba, and is itself imported when the first kernel of a convolution is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._shared import I32, I64, REALS, SIZES, call_shared, char_of

BYTES = 64
ROWS = {1: 14, 2: 14, 3: 8, 6: 4}  # the most rows of a tile of so many vectors: what 32 registers hold


class Emit:
    """Vectors of one type of number, by its letter, and the instructions on them."""

    def __init__(self, builder, char):
        self.b, self.number, self.size = builder, REALS[char], SIZES[char]
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


def write_products(function: ir.Function, char: str, form: int) -> None:
    """A tile of so many vectors and rows, which is what its last argument says: 16 * vectors + rows."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep, _ = function.args
    sources = e.at(a), lda, sa, places, e.at(b), ldb, starts
    _tile(e, form % 16, form // 16, *sources, segments, depth, e.at(c), ldc, keep)
    e.b.ret_void()


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


@intrinsic
def tile(typingctx, like, rows, vectors, a, lda, sa, places, b, ldb, starts, segments, depth, c, ldc, keep):
    """c[i, j] = sum over s, d of a[places[s] + i lda + d sa] b[starts[s] + d ldb + j]; added to what is there if keep.

    i in range(rows), j in range(lanes * vectors), at most ROWS[vectors] rows; at least one segment and a depth of one.
    """

    def generate(context, builder, sig, args):
        _, rows, vectors, *rest = args
        form = builder.add(builder.mul(vectors, I64(16)), rows)
        call_shared(builder, "products", char_of(like), [*rest, form])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 14), generate


# --- transposes ------------------------------------------------------------------------------------------------------


@intrinsic
def turn(typingctx, like, source, step, high, wide, target, target_step):
    """target[j target_step + i] = source[i step + j] for i < high, j < wide, neither above the lanes of a vector."""

    def generate(context, builder, sig, args):
        call_shared(builder, "turn", char_of(like), args[1:])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 6), generate


def write_turn(function: ir.Function, char: str, form: int) -> None:
    """The function `turn`."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    source, step, high, wide, target, target_step = function.args
    e = Emit(builder, char)
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
    builder.ret_void()
