"""The inner loops of convolution by channels of their own, as LLVM vector code: on images as they lie, zeros around or not.

A band is some lines of a result from one side to the other, a tile one vector of each of them; each line that a tile needs
is read once for each tap across, and serves all taps down.  All addresses are integers, all steps count entries.  Imports
Numba, and is itself imported when a kernel needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._conv_lines import fetch, over_line
from ._emit import Emit
from ._shared import I32, I64, call_shared, char_of

BYTE = ir.IntType(8).as_pointer()
SPREAD = {3: 4, 5: 2}  # lines of what is gone back over steps from, for a band


def _form(builder, taps, step, lines):
    """(4 taps + step) 16 + lines"""
    kind = builder.add(builder.mul(taps, I64(4)), step)
    return builder.add(builder.mul(kind, I64(16)), lines)


def _inside(e, first, count):
    """Which of the lanes, the first of which is at `first`, are from 0 to `count`."""
    number = ir.VectorType(I32, e.lanes)
    undefined, lane = ir.Constant(number, ir.Undefined), ir.Constant(number, [0] * e.lanes)
    each = lambda v: e.b.shuffle_vector(e.b.insert_element(undefined, e.b.trunc(v, I32), I32(0)), undefined, lane)
    return e.b.icmp_unsigned("<", e.b.add(each(first), ir.Constant(number, list(range(e.lanes)))), each(count))


class Source:
    """Lines of an image from one entry on: what lies outside is zero, and read where `zeros` are."""

    def __init__(self, e, image, zeros, row, column, height, width, lines):
        self.e, self.column, self.width, image, zeros = e, column, width, e.at(image), e.at(zeros)
        rows = [e.b.add(row, I64(k)) for k in lines]
        inside = [(e.b.icmp_unsigned("<", row, height), e.step(image, e.b.mul(row, width))) for row in rows]
        self.lines = {k: e.b.select(is_in, line, zeros) for k, (is_in, line) in zip(lines, inside)}

    def line(self, k, v):
        """Where the k-th line has the column v after the first, if it has."""
        return self.e.step(self.lines[k], self.e.b.add(self.column, v))

    def masks(self, offsets, v):
        """Which lanes of the vectors at these offsets from there there are."""
        bd = self.e.b
        return [_inside(self.e, bd.add(bd.add(self.column, v), I64(o)), self.width) for o in offsets]


class Windows:
    """The vectors of lines under each tap across, v columns on; zero in the lanes that are not `wanted`, if that is given."""

    def __init__(self, source, v, taps, step, wanted=None):
        e = source.e
        self.e, self.source, self.v, self.taps, self.step, self.wanted = e, source, v, taps, step, wanted
        self.offsets = range(taps) if step == 1 else [j + k for j in range(0, taps, 2) for k in (0, e.lanes)]
        self.masks = source.masks(self.offsets, v)
        if step == 1 and wanted is not None:
            self.masks = [e.b.and_(mask, wanted) for mask in self.masks]

    def of(self, k):
        """Those of the k-th line."""
        e, line = self.e, self.source.line(k, self.v)
        parts = [e.masked_load(e.step(line, o), mask) for o, mask in zip(self.offsets, self.masks)]
        if self.step == 1:
            return parts
        pairs = zip(parts[::2], parts[1::2])
        found = [e.shuffled(a, b, range(first, 2 * e.lanes, 2)) for a, b in pairs for first in (0, 1)][: self.taps]
        return found if self.wanted is None else [e.b.select(self.wanted, v, e.constant(0)) for v in found]


def _rows_there(e, columns, rows, count):
    """Masks for so many lines of a result: the first `columns` lanes, and none of lines from `rows` on.

    Chosen as bits, for LLVM branches where masks are chosen, and moves what comes before to after that.
    """
    bd, bits = e.b, ir.IntType(e.lanes)
    lanes = bd.bitcast(e.mask(columns), bits)
    there = [bd.select(bd.icmp_signed("<", I64(k), rows), lanes, bits(0)) for k in range(count)]
    return [bd.bitcast(v, ir.VectorType(ir.IntType(1), e.lanes)) for v in there]


def _fetched(e, pointer, count, to_write=0):
    """Have so many lines of the cache read that are wanted soon."""
    for k in range(count):
        fetch(e, e.b.bitcast(e.step(pointer, k * e.lanes), BYTE), to_write)


@intrinsic
def correlated_band(
    typingctx,
    like,
    taps,
    step,
    lines,
    w,
    w_step,
    x,
    zeros,
    row,
    column,
    height,
    width,
    y,
    pitch,
    columns,
    x_next,
    y_next,
):
    """y[h pitch + v] = sum over i, j < taps of w[(i taps + j) w_step] x[row + h step + i, column + v step + j].

    x is an image of height x width; h < lines, v < columns.  Meanwhile as much is fetched of what is read and written,
    from x_next and y_next on.
    """

    def generate(context, builder, sig, args):
        call_shared(builder, "correlated", char_of(like), [*args[4:], _form(builder, *args[1:4])])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 16), generate


def write_correlated(function: ir.Function, char: str, form: int) -> None:
    """A band for so many taps, such steps and so many lines."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    taps, step, lines = form // 64, form // 16 % 4, form % 16
    w, w_step, x, zeros, row, column, height, width, y, pitch, columns, x_next, y_next, _ = function.args
    bd, w = e.b, e.at(w)
    source = Source(e, x, zeros, row, column, height, width, range((lines - 1) * step + taps))
    weights = [e.all(bd.load(e.step(w, bd.mul(w_step, I64(t))))) for t in range(taps * taps)]
    targets = [e.step(e.at(y), bd.mul(pitch, I64(k))) for k in range(lines)]

    def tile(v, left):
        _fetched(e, e.step(e.at(x_next), bd.mul(v, I64(lines * step * step))), lines * step * step)
        _fetched(e, e.step(e.at(y_next), bd.mul(v, I64(lines))), lines, 1)
        windows, sums = Windows(source, bd.mul(v, I64(step)), taps, step), [e.constant(0)] * lines
        for k in range((lines - 1) * step + taps):
            for j, vector in enumerate(windows.of(k)):
                for h in range(lines):
                    if 0 <= k - h * step < taps:
                        sums[h] = e.fma(weights[(k - h * step) * taps + j], vector, sums[h])
        for total, target in zip(sums, targets):
            e.masked_store(total, e.step(target, v), e.mask(left))

    over_line(e, columns, e.lanes, tile)
    bd.ret_void()


@intrinsic
def products_summed(
    typingctx, like, taps, step, lines, sums, x, zeros, row, column, height, width, g, pitch, columns, x_next, g_next
):
    """sums[(i taps + j) lanes + .] += sum over h, v of g[h pitch + v] x[row + h step + i, column + v step + j].

    h < lines, v < columns.  Meanwhile as much is fetched from x_next and g_next on.
    """

    def generate(context, builder, sig, args):
        call_shared(builder, "summed", char_of(like), [*args[4:], _form(builder, *args[1:4])])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 16), generate


def write_summed(function: ir.Function, char: str, form: int) -> None:
    """Sums for so many taps, such steps and so many lines."""
    e = Emit(ir.IRBuilder(function.append_basic_block("entry")), char)
    taps, step, lines = form // 64, form // 16 % 4, form % 16
    sums, x, zeros, row, column, height, width, g, pitch, columns, x_next, g_next, _ = function.args
    bd, targets = e.b, [e.step(e.at(sums), t * e.lanes) for t in range(taps * taps)]
    source = Source(e, x, zeros, row, column, height, width, range((lines - 1) * step + taps))
    lines_of_g = [e.step(e.at(g), bd.mul(pitch, I64(k))) for k in range(lines)]

    def tile(v, left, totals):
        _fetched(e, e.step(e.at(x_next), bd.mul(v, I64(lines * step * step))), lines * step * step)
        _fetched(e, e.step(e.at(g_next), bd.mul(v, I64(lines))), lines)
        mask, slopes, totals = e.mask(left), {}, list(totals)
        windows = Windows(source, bd.mul(v, I64(step)), taps, step, mask)
        for k in range((lines - 1) * step + taps):
            if k % step == 0 and k // step < lines:
                slopes[k // step] = e.masked_load(e.step(lines_of_g[k // step], v), mask)
            vectors = windows.of(k)
            for h in range(lines):
                i = k - h * step
                for j, vector in enumerate(vectors if 0 <= i < taps else []):
                    totals[i * taps + j] = e.fma(slopes[h], vector, totals[i * taps + j])
        return totals

    totals = over_line(e, columns, e.lanes, tile, [e.load(target) for target in targets])
    for total, target in zip(totals, targets):
        e.store(total, target)
    bd.ret_void()


def _hits(taps, odd):
    """For each place within a step of two: (offset, tap) of what reaches it."""
    return [[((p + odd - i) // 2, i) for i in range(taps) if (p + odd - i) % 2 == 0] for p in (0, 1)]


@intrinsic
def spread_band(typingctx, like, taps, odd, w, g, zeros, row, column, height, width, x, pitch, rows, columns, x_next):
    """Lines of x = sum over i, j < taps of w[i taps + j] g, each entry of g (height x width) two from the last in x.

    Entry (2 h + p, 2 v + q) has those taps that fit at (row + h, column + v) of g and around, where taps start at `odd`;
    h < SPREAD[taps]; lines < rows and columns < columns of x are written.  Meanwhile as much is fetched from x_next on.
    """

    def generate(context, builder, sig, args):
        call_shared(builder, "spread", char_of(like), [*args[3:], builder.add(builder.mul(args[1], I64(2)), args[2])])
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 14), generate


def write_spread(function: ir.Function, char: str, form: int) -> None:
    """A band for so many taps, the first of them at such a place, 2 * taps + odd."""
    e, (taps, odd) = Emit(ir.IRBuilder(function.append_basic_block("entry")), char), divmod(form, 2)
    w, g, zeros, row, column, height, width, x, pitch, rows, columns, x_next, _ = function.args
    bd, lines, hits, w = e.b, SPREAD[taps], _hits(taps, odd), e.at(w)
    offsets = sorted({o for place in hits for o, _ in place})
    source = Source(e, g, zeros, row, column, height, width, range(offsets[0], lines + offsets[-1]))
    weights = [e.all(bd.load(e.step(w, t))) for t in range(taps * taps)]
    targets = [e.step(e.at(x), bd.mul(pitch, I64(k))) for k in range(2 * lines)]

    def tile(first, left):
        v = bd.ashr(first, I64(1))
        _fetched(e, e.step(e.at(x_next), bd.mul(first, I64(2 * lines))), 4 * lines, 1)
        masks, sums = source.masks(offsets, v), {(k, q): e.constant(0) for k in range(2 * lines) for q in (0, 1)}
        for k in source.lines:
            line = source.line(k, v)
            vectors = {o: e.masked_load(e.step(line, o), mask) for o, mask in zip(offsets, masks)}
            for h, p, q in ((h, p, q) for h in range(lines) for p in (0, 1) for q in (0, 1)):
                for o, i in hits[p]:
                    for across, j in hits[q] if h + o == k else []:
                        sums[2 * h + p, q] = e.fma(weights[i * taps + j], vectors[across], sums[2 * h + p, q])
        for part in (0, e.lanes):
            order = [j // 2 + (j % 2) * e.lanes + part // 2 for j in range(e.lanes)]
            for k, mask in enumerate(_rows_there(e, bd.sub(left, I64(part)), rows, 2 * lines)):
                to = e.step(e.step(targets[k], first), part)
                e.masked_store(e.shuffled(sums[k, 0], sums[k, 1], order), to, mask)

    over_line(e, columns, 2 * e.lanes, tile)
    bd.ret_void()
