"""The inner loops of convolution as LLVM vector code: a tile of products, small transposes.

All addresses are integers, all steps count entries.  Imports Numba, and is itself imported when the first kernel of a
convolution is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I64, call_shared, char_of

ROWS = {1: 14, 2: 14, 3: 8, 6: 4}  # the most rows of a tile of so many vectors: what 32 registers hold


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
