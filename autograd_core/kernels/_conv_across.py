"""The inner loops of convolution by lines, as LLVM vector code: an entry of a line, read once, meets all taps across.

All addresses are integers, all steps count entries.  Imports Numba, and is itself imported when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I64, call_shared, char_of

SPREAD = 12  # bit of a form


@intrinsic
def across_tile(typingctx, like, form, x, x_line, places, channel, w, segments, depth, y, y_line):
    """Lines of channels y: y[r y_line + v lanes + i] = sum over s < segments, c < depth and taps j of

    w[((s taps + j) depth + c) lanes + i] x[r x_line + places[s] + c channel + v step + j apart].

    form is ((32 (lines - 1) + columns) 8 + taps) 4 + 2 (step - 1) + apart - 1, with at most 4 lines.  With 4096 more entries
    lie two columns apart, going back over a step of two: the p-th and the j-th tap meet in column 2 p + j - taps + step.
    """

    def generate(context, builder, sig, args):
        call_shared(builder, "across", char_of(like), [*args[2:], args[1]])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 10), generate


def write_across(function: ir.Function, char: str, form: int) -> None:
    """The tile of a form."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    lines, columns, taps = form // 1024 % 4 + 1, form // 32 % 32, form // 4 % 8
    step, apart = form // 2 % 2 + 1, form % 2 + 1
    column = lambda p, j: 2 * p + j - taps + step if form >> SPREAD else (p - j * apart) / step
    met = [[(j, o) for j in range(taps) for o in range(columns) if column(p, j) == o] for p in range(64)]
    _across_tile(e, lines, columns, taps, met, *function.args[:-1])
    e.b.ret_void()


def _across_tile(e, lines, columns, taps, met, x, x_line, places, channel, w, segments, depth, y, y_line):
    """The loops over segments and channels; met: for each entry of a line which taps it meets, for which column."""
    bd, zero, before, count = e.b, e.constant(0), e.b.block, lines * columns
    outer, inner, after, end = (bd.append_basic_block(name) for name in ("segment", "channel", "after", "end"))
    places, w, of_tap = bd.inttoptr(places, I64.as_pointer()), e.at(w), bd.mul(depth, I64(e.lanes))
    of_taps, of_lines = (
        [bd.mul(of_tap, I64(j)) for j in range(taps + 1)],
        [bd.mul(x_line, I64(r)) for r in range(lines)],
    )
    bd.branch(outer)
    bd.position_at_end(outer)
    s, panel, held = bd.phi(I64), bd.phi(e.pointer), [bd.phi(e.vector) for _ in range(count)]
    first = e.step(e.at(x), bd.load(bd.gep(places, [s])))
    bd.branch(inner)
    bd.position_at_end(inner)
    c, from_w, from_x = bd.phi(I64), bd.phi(e.pointer), bd.phi(e.pointer)
    sums = [bd.phi(e.vector) for _ in range(count)]
    new, weights = list(sums), [e.load(e.step(from_w, offset)) for offset in of_taps[:-1]]
    for r, of_line in enumerate(of_lines):
        line = e.step(from_x, of_line)
        for p, hits in enumerate(met):
            value = e.all(bd.load(e.step(line, p))) if hits else None
            for j, o in hits:
                new[r * columns + o] = e.fma(value, weights[j], new[r * columns + o])
    following = bd.add(c, I64(1))
    pairs = [(c, I64(0), following), (from_w, panel, e.step(from_w, e.lanes)), (from_x, first, e.step(from_x, channel))]
    for phi, start, value in [*pairs, *zip(sums, held, new)]:
        phi.add_incoming(start, outer)
        phi.add_incoming(value, inner)
    bd.cbranch(bd.icmp_signed("<", following, depth), inner, after)
    bd.position_at_end(after)
    onwards = bd.add(s, I64(1))
    pairs = [(s, I64(0), onwards), (panel, w, e.step(panel, of_taps[-1]))]
    for phi, start, value in [*pairs, *zip(held, [zero] * count, new)]:
        phi.add_incoming(start, before)
        phi.add_incoming(value, after)
    bd.cbranch(bd.icmp_signed("<", onwards, segments), outer, end)
    bd.position_at_end(end)
    for r in range(lines):
        line = e.step(e.at(y), bd.mul(y_line, I64(r)))
        for o in range(columns):
            e.store(new[r * columns + o], e.step(line, o * e.lanes))
