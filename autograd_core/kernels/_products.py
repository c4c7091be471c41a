"""The product of matrices: blocks in the order in which the tile reads them, shared out to all threads.

c is cut into *cells* of some hundred rows and the columns of one tile, or of some if depth is small.  The rows of b that a
tile needs, some hundred at a time, are a *panel*, which is read where it is, or, if its rows are far from each other, from
a copy in which they are side by side.  Tiles go down the cell, and across it, with panels as their right factor.  The left
factor is read where it is, or, if a is large, from a copy in the order of reading.

Which numbers are added in which order follows from the sizes alone, and so do the cells; threads take them as they come.

Arrays are handed over as the addresses of NumPy's own records (`id`), which say where entries are and how far apart, and
the type as a table of code (`_shared.table`): there is one compiled form for all types and strides, and a call costs what
it takes to pass a few integers.  Steps count entries.
"""

from __future__ import annotations

from ._jit import Late, kernel

tile_at, pack_at = Late("_tile", "multiply_at"), Late("_pack", "pack_at")
matrices, word, on_stack = Late("_pack", "matrices"), Late("_pack", "word"), Late("_pack", "on_stack")
whole = Late("_pack", "whole")
ROWS, WIDTH, BYTES_OF_VECTOR = Late("_shared", "ROWS"), Late("_shared", "WIDTH"), Late("_shared", "BYTES_OF_VECTOR")
for_chunks = Late("_native", "for_chunks")

DEPTH, MOST_DEPTH = 512, 640  # of a panel: about, and at most; c is read and written once for each, panels stay near
PANEL = MOST_DEPTH * 128  # bytes of a panel
BLOCK = 576 << 10  # bytes of a that a cell reads, at most: with a panel, they fit the second cache
LOW = 4 * 14  # rows of a cell, at least, if there are so many
PIECES = 8  # panels, or rows of tiles, that a thread copies at a time
STRETCH = 16  # rows that it copies of all of them before the next: pieces begin in the middle of lines of the cache
NEAR = 16 << 10  # bytes of panels that a cell has side by side: they and rows of a stay in the nearest cache
DIRECT = 256 << 10  # bytes from the first row of a panel to its last, up to which it is read where it is
CELLS = 16  # of c, at least, so that threads are done at about the same time
GRAIN = 1 << 17  # products that a thread takes at a time, at least; parts of tiles count as if they were whole
START = 8  # products for each entry of a tile that take as long as it takes to begin with it
PACKED = 1 << 26  # products from which a is copied
HEAD = object.__basicsize__ // 8  # words of a Python object before what NumPy has in an array's record


@kernel(written=True)
def offset(record, whole, item):
    """How many bytes after the first matrix the one for an item is; `whole` has all the leading axes."""
    axes, lengths, steps = word(record, HEAD + 1) & 0xFFFFFFFF, word(record, HEAD + 2), word(record, HEAD + 3)
    all_axes, all_lengths, total = word(whole, HEAD + 1) & 0xFFFFFFFF, word(whole, HEAD + 2), 0
    for axis in range(3, all_axes + 1):
        length = word(all_lengths, all_axes - axis)
        if axis <= axes and word(lengths, axes - axis) != 1:
            total += item % length * word(steps, axes - axis)
        item //= length
    return total


@kernel(written=True)
def tiles_of(m):
    """How rows are cut into tiles of about the same height: how many, how high at least, how many are one higher."""
    tiles = (m + ROWS - 1) // ROWS
    return tiles, m // max(tiles, 1), m % max(tiles, 1)


@kernel(written=True)
def cells(begin, end, code, sizes, left, right, result, finish, depths, copied, records):
    """Some cells of c, in all matrices of a batch, over a range of depth."""
    (size, tile, pack), (m, n, k), (a_copy, b_copy), (bias, activation) = code, sizes, copied, finish
    (a, a_row, a_col), (b, b_row, b_col), (c, c_row), (start, stop, most, tall, wide) = left, right, result, depths
    width, stack = WIDTH // size, on_stack(PANEL)
    tiles, least, more = tiles_of(m)
    across, tops = (n + wide - 1) // wide, (tiles + tall - 1) // tall
    for cell in range(begin, end):
        item, top, j = cell // (across * tops), cell // across % tops * tall, cell % across * wide
        bottom, right_end = min(top + tall, tiles), min(j + wide, n)
        if item:
            a, b = left[0] + offset(records[0], records[2], item), right[0] + offset(records[1], records[2], item)
            c = result[0] + offset(records[2], records[2], item)
        for d in range(start, stop, most):
            depth = min(most, stop - d, k - d)  # 0 if k is: then all that is left to do is to finish
            panels, b_step, panel_step, last = b + (d * b_row + j * b_col) * size, b_row, WIDTH, d + depth >= k
            if b_copy:
                panels, b_step, panel_step = b_copy + j * depth * size, width, depth * WIDTH
            elif b_col != 1 or (bottom - top > 2 and width < n and depth * b_row * size > DIRECT):
                for at in range(j, right_end, width):
                    source, w = panels + (at - j) * b_col * size, min(width, right_end - at)
                    pack_at(pack, source, b_row, b_col, stack + (at - j) * depth * size, width, depth, w)
                panels, b_step, panel_step = stack, width, depth * WIDTH
            mode, bias_step = (1 if d else 0) + (activation if last else 0), WIDTH if bias and last else 0
            i = top * least + min(top, more)
            for t in range(top, bottom):
                h = least + (1 if t < more else 0)
                rows, row, col = a + (i * a_row + d * a_col) * size, a_row, a_col
                if a_copy:
                    rows, row, col = a_copy + i * depth * size, 1, h
                panel, to, row_of_bias = panels, c + (i * c_row + j) * size, bias + j * size if bias_step else 0
                for at in range(j, right_end, width):
                    w = min(width, right_end - at)
                    packed = 1 if row == 1 and w * size % BYTES_OF_VECTOR == 0 else 0
                    tile_at(
                        tile, size, rows, row, col, panel, b_step, to, c_row, depth, w, mode, row_of_bias, h, packed
                    )
                    panel, to, row_of_bias = panel + panel_step, to + WIDTH, row_of_bias + bias_step
                i += h


@kernel(written=True)
def copies(begin, end, code, sizes, left, right, d, depth, copied):
    """Copy some panels of b, and then tiles' rows of a so that those of one column are side by side."""
    (size, _, pack), (m, n, _), (a_copy, b_copy) = code, sizes, copied
    (a, a_row, a_col), (b, b_row, b_col), width = left, right, WIDTH // size
    panels, (_, least, more) = (n + width - 1) // width if b_copy else 0, tiles_of(m)
    middle, step = min(max(panels, begin), end), min(depth, STRETCH) if b_col == 1 else depth
    for first in range(0, depth, step):
        count = min(step, depth - first)
        for piece in range(begin, middle):
            j = piece * width
            source, to = b + ((d + first) * b_row + j * b_col) * size, b_copy + (j * depth + first * width) * size
            pack_at(pack, source, b_row, b_col, to, width, count, min(width, n - j))
    step = min(depth, STRETCH) if a_row == 1 else depth
    for first in range(0, depth, step):
        count = min(step, depth - first)
        for piece in range(middle, end):
            t = piece - panels
            i, h = t * least + min(t, more), least + (1 if t < more else 0)
            source, to = a + (i * a_row + (d + first) * a_col) * size, a_copy + (i * depth + first * h) * size
            pack_at(pack, source, a_col, a_row, to, h, count, h)


@kernel(written=True)
def blocks(m, n, k, items, size, near):
    """How work is cut: depth at a time, tiles of a cell's height, its columns, cells, cells for a thread at a time."""
    panels, tiles = (n * size + WIDTH - 1) // WIDTH, (m + ROWS - 1) // ROWS
    work = items * panels * tiles * (k + START) * ROWS * WIDTH // 4  # in float64 each takes as long as two
    parts = (k + DEPTH - 1) // DEPTH if k > MOST_DEPTH else 1
    most = max((k + parts - 1) // parts, 1)
    across = max((panels - 1) // max(near // (most * WIDTH), 1) + 1, 1)
    wide = max((panels + across - 1) // across, 1)
    across = (panels + wide - 1) // wide
    tops = (m * most * size + BLOCK - 1) // BLOCK
    if work >= 2 * GRAIN:
        tops = max(tops, min((CELLS - 1) // max(across * items, 1) + 1, m // LOW))
    tall = max((tiles + max(tops, 1) - 1) // max(tops, 1), 1)
    count = items * across * ((tiles + tall - 1) // tall)
    grain = (GRAIN * count + work - 1) // work if work >= 2 * GRAIN else count
    return most, tall, wide * (WIDTH // size), count, max(grain, 1)


@kernel(numbers="iiaaaai", written=True, glue=True)
def product(pool, table, a, b, c, bias, activation):
    """c = a @ b with all leading axes of c, plus a row, then an activation; arrays as their records; whether it could be done."""
    code = word(table, 0), word(table, 1), word(table, 2)
    at_a, m, k, a_row, a_col, _ = matrices(a, code[0])
    at_b, _, n, b_row, b_col, _ = matrices(b, code[0])
    at_c, _, _, c_row, _, items = matrices(c, code[0])
    if not (whole(a, code[0]) and whole(b, code[0])):
        return False
    most, tall, wide, count, grain = blocks(m, n, k, items, code[0], NEAR)
    sizes, left, right, result = (m, n, k), (at_a, a_row, a_col), (at_b, b_row, b_col), (at_c, c_row)
    finish, depths = (word(bias, HEAD) if bias else 0, activation), (0, max(k, 1), most, tall, wide)
    for_chunks(pool, cells, count, grain, (code, sizes, left, right, result, finish, depths, (0, 0), (a, b, c)))
    return True


@kernel(numbers="iiaaaaia", written=True, glue=True)
def large(pool, table, a, b, c, bias, activation, room):
    """The same for two matrices whose parts are copied first, a range of depth after the other; `room` is memory for it."""
    code = word(table, 0), word(table, 1), word(table, 2)
    size, width, at = code[0], WIDTH // code[0], word(room, HEAD)
    at_a, m, k, a_row, a_col, _ = matrices(a, size)
    at_b, _, n, b_row, b_col, _ = matrices(b, size)
    at_c, _, _, c_row, _, _ = matrices(c, size)
    if not (whole(a, size) and whole(b, size)):
        return False
    most, tall, wide, count, grain = blocks(m, n, k, 1, size, 0)
    sizes, left, right, result = (m, n, k), (at_a, a_row, a_col), (at_b, b_row, b_col), (at_c, c_row)
    finish, panels = (word(bias, HEAD) if bias else 0, activation), (n + width - 1) // width
    b_copy = at if m > tall * ROWS else 0  # where lines of the cache begin, whatever the depth
    copied = at + panels * most * WIDTH if n >= 4 * width else 0, b_copy
    pieces = (panels if b_copy else 0) + ((m + ROWS - 1) // ROWS if copied[0] else 0)
    for d in range(0, k, most):
        for_chunks(pool, copies, pieces, PIECES, (code, sizes, left, right, d, min(most, k - d), copied))
        depths = d, min(d + most, k), most, tall, wide
        for_chunks(pool, cells, count, grain, (code, sizes, left, right, result, finish, depths, copied, (a, b, c)))
    return True
