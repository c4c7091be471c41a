"""The inner loops of convolution by channels of their own, as LLVM vector code: on images as they lie, zeros around or not.

A tile is some lines of one column of vectors; each line that it needs is read once for each tap across, and serves all
taps down.  All addresses are integers, all steps count entries.  Imports Numba, and is itself imported when a kernel
needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._emit import Emit
from ._shared import I32, I64, char_of

BYTE = ir.IntType(8)
LINES = {(3, 1): 8, (3, 2): 8, (5, 1): 4, (5, 2): 4}  # of a tile, by taps along each axis and steps
SUMMED = (4, 2, 1)  # where products are summed
SPREAD = {3: 4, 5: 2}  # places down that a tile has, where steps are gone back over


def _switched(e, number, cases, generate):
    """generate(key) for the one of the cases, by number, that is meant."""
    done = e.b.append_basic_block("done")
    switch = e.b.switch(number, done)
    for value, key in cases:
        block = e.b.append_basic_block(f"case{value}")
        switch.add_case(I64(value), block)
        e.b.position_at_end(block)
        generate(*key)
        e.b.branch(done)
    e.b.position_at_end(done)


def _inside(e, first, count):
    """Which of the lanes, the first of which is at `first`, are from 0 to `count`."""
    number = ir.VectorType(I32, e.lanes)
    undefined, lane = ir.Constant(number, ir.Undefined), ir.Constant(number, [0] * e.lanes)
    each = lambda v: e.b.shuffle_vector(e.b.insert_element(undefined, e.b.trunc(v, I32), I32(0)), undefined, lane)
    return e.b.icmp_unsigned("<", e.b.add(each(first), ir.Constant(number, list(range(e.lanes)))), each(count))


class Source:
    """Lines of an image from one entry on: what lies outside is zero, and read where `zeros` are."""

    def __init__(self, e, image, zeros, row, column, height, width):
        self.e, self.zeros, self.column = e, e.at(zeros), column
        self.image, self.row, self.height, self.width = e.at(image), row, height, width

    def line(self, k):
        """Where the k-th line has the first column, if it has."""
        bd = self.e.b
        row = bd.add(self.row, I64(k))
        line = self.e.step(self.image, bd.mul(row, self.width))
        start = bd.select(bd.icmp_unsigned("<", row, self.height), line, self.zeros)
        return self.e.step(start, self.column)

    def masks(self, offsets):
        """Which lanes of the vectors at these offsets from the first column there are."""
        return [_inside(self.e, self.e.b.add(self.column, I64(o)), self.width) for o in offsets]


class Windows:
    """The vectors of a line under each tap across; zero in the lanes that are not `wanted`, if that is given."""

    def __init__(self, source, taps, step, wanted=None):
        e = source.e
        self.e, self.source, self.taps, self.step, self.wanted = e, source, taps, step, wanted
        self.offsets = range(taps) if step == 1 else [j + k for j in range(0, taps, 2) for k in (0, e.lanes)]
        self.masks = source.masks(self.offsets)
        if step == 1 and wanted is not None:
            self.masks = [e.b.and_(mask, wanted) for mask in self.masks]

    def of(self, k):
        """Those of the k-th line."""
        e, line = self.e, self.source.line(k)
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


def _fetched(e, pointer, to_write):
    """Have a line of the cache read that is wanted soon."""
    where = BYTE.as_pointer()
    fetch = cgutils.get_or_insert_function(
        e.b.module, ir.FunctionType(ir.VoidType(), [where, I32, I32, I32]), "llvm.prefetch.p0"
    )
    e.b.call(fetch, [e.b.bitcast(pointer, where), I32(to_write), I32(3), I32(1)])


@intrinsic
def correlated_tile(
    typingctx, like, taps, step, w, w_step, x, zeros, row, column, height, width, y, pitch, rows, columns
):
    """y[h pitch + v] = sum over i, j < taps of w[(i taps + j) w_step] x[row + h step + i, column + v step + j].

    x is an image of height x width; h < rows and < LINES[taps, step], v < columns and < lanes.
    """

    def generate(context, builder, sig, args):
        e = Emit(builder, char_of(like))
        cases = [(4 * t + s, (t, s, *args[3:])) for t, s in LINES]
        tile = lambda *key: _correlated_tile(e, *key)
        _switched(e, builder.add(builder.mul(args[1], I64(4)), args[2]), cases, tile)
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 14), generate


def _correlated_tile(e, taps, step, w, w_step, x, zeros, row, column, height, width, y, pitch, rows, columns):
    bd, lines, w = e.b, LINES[taps, step], e.at(w)
    windows = Windows(Source(e, x, zeros, row, column, height, width), taps, step)
    weights = [e.all(bd.load(e.step(w, bd.mul(w_step, I64(t))))) for t in range(taps * taps)]
    targets = [e.step(e.at(y), bd.mul(pitch, I64(k))) for k in range(lines)]
    for k in range(lines * step):
        _fetched(e, windows.source.line(k + (lines - 1) * step + taps), 0)
    for target in targets:
        _fetched(e, e.step(target, bd.mul(pitch, I64(lines))), 1)
    sums = [e.constant(0)] * lines
    for k in range((lines - 1) * step + taps):
        vectors = windows.of(k)
        for j, vector in enumerate(vectors):
            for h in range(lines):
                if 0 <= k - h * step < taps:
                    sums[h] = e.fma(weights[(k - h * step) * taps + j], vector, sums[h])
    for total, target, mask in zip(sums, targets, _rows_there(e, columns, rows, lines)):
        e.masked_store(total, target, mask)


@intrinsic
def products_summed(typingctx, like, taps, step, lines, sums, x, zeros, row, column, height, width, g, pitch, columns):
    """sums[(i taps + j) lanes + v] += sum over h of g[h pitch + v] x[row + h step + i, column + v step + j].

    h < lines, one of SUMMED, v < columns and < lanes.
    """

    def generate(context, builder, sig, args):
        e, (taps, step, lines) = Emit(builder, char_of(like)), args[1:4]
        cases = [((4 * t + s) * 16 + n, (t, s, n, *args[4:])) for t, s in LINES for n in SUMMED]
        number = builder.add(builder.mul(taps, I64(64)), builder.add(builder.mul(step, I64(16)), lines))
        _switched(e, number, cases, lambda *key: _products_summed(e, *key))
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 13), generate


def _products_summed(e, taps, step, lines, sums, x, zeros, row, column, height, width, g, pitch, columns):
    bd, mask = e.b, e.mask(columns)
    windows = Windows(Source(e, x, zeros, row, column, height, width), taps, step, mask)
    for k in range(lines * step):
        _fetched(e, windows.source.line(k + (lines - 1) * step + taps), 0)
    targets = [e.step(e.at(sums), t * e.lanes) for t in range(taps * taps)]
    totals, slopes = [e.load(target) for target in targets], {}
    for k in range((lines - 1) * step + taps):
        if k % step == 0 and k // step < lines:
            slopes[k // step] = e.masked_load(e.step(e.at(g), bd.mul(pitch, I64(k // step))), mask)
        vectors = windows.of(k)
        for h in range(lines):
            i = k - h * step
            for j, vector in enumerate(vectors if 0 <= i < taps else []):
                totals[i * taps + j] = e.fma(slopes[h], vector, totals[i * taps + j])
    for total, target in zip(totals, targets):
        e.store(total, target)


def _hits(taps, odd):
    """For each place within a step of two: (offset, tap) of what reaches it."""
    return [[((p + odd - i) // 2, i) for i in range(taps) if (p + odd - i) % 2 == 0] for p in (0, 1)]


@intrinsic
def spread_tile(typingctx, like, taps, odd, w, g, zeros, row, column, height, width, x, pitch, rows, columns):
    """Lines of x = sum over i, j < taps of w[i taps + j] g, each entry of g (height x width) two from the last in x.

    Entry (2 h + p, 2 v + q) has those taps that fit at (row + h, column + v) of g and around, where taps start at `odd`;
    h < SPREAD[taps], v < lanes; lines < rows and columns < columns of x are written.
    """

    def generate(context, builder, sig, args):
        e = Emit(builder, char_of(like))
        cases = [(2 * t + o, (t, o, *args[3:])) for t in SPREAD for o in (0, 1)]
        number = builder.add(builder.mul(args[1], I64(2)), args[2])
        _switched(e, number, cases, lambda *key: _spread_tile(e, *key))
        return context.get_dummy_value()

    return types.void(like, *[types.intp] * 13), generate


def _spread_tile(e, taps, odd, w, g, zeros, row, column, height, width, x, pitch, rows, columns):
    bd, lines, hits, w, x = e.b, SPREAD[taps], _hits(taps, odd), e.at(w), e.at(x)
    offsets = sorted({o for place in hits for o, _ in place})
    source = Source(e, g, zeros, row, column, height, width)
    masks = source.masks(offsets)
    weights = [e.all(bd.load(e.step(w, t))) for t in range(taps * taps)]
    for k, part in ((k, part) for k in range(2 * lines) for part in (0, e.lanes)):
        _fetched(e, e.step(e.step(x, bd.mul(pitch, I64(2 * lines + k))), part), 1)
    sums = {(k, q): e.constant(0) for k in range(2 * lines) for q in (0, 1)}
    for k in range(offsets[0], lines + offsets[-1]):
        line = source.line(k)
        vectors = {o: e.masked_load(e.step(line, o), mask) for o, mask in zip(offsets, masks)}
        for h, p, q in ((h, p, q) for h in range(lines) for p in (0, 1) for q in (0, 1)):
            for o, i in hits[p]:
                for across, j in hits[q] if h + o == k else []:
                    sums[2 * h + p, q] = e.fma(weights[i * taps + j], vectors[across], sums[2 * h + p, q])
    for part in (0, 1):
        order = [j // 2 + (j % 2) * e.lanes + part * e.lanes // 2 for j in range(e.lanes)]
        masks = _rows_there(e, bd.sub(columns, I64(part * e.lanes)), rows, 2 * lines)
        for k, mask in enumerate(masks):
            line = e.step(x, bd.mul(pitch, I64(k)))
            e.masked_store(e.shuffled(sums[k, 0], sums[k, 1], order), e.step(line, part * e.lanes), mask)
