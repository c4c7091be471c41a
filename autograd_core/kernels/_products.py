"""The product of matrices: blocks in the order in which the tile reads them, shared out to all threads.

c is cut into *cells* of some hundred rows and the columns of one tile.  The rows of b that a cell needs, some hundred at a
time, lie in the nearest cache, side by side: a *panel*.  Tiles go down the cell with the panel as their right factor.  The
left factor is read where it is, or, if a is large, from a copy in the order of reading.

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
PIECES = 4  # panels, or rows of tiles, that a thread copies at a time
CELLS = 16  # of c, at least, so that threads are done at about the same time
GRAIN = 1 << 17  # products that a thread takes at a time, at least; parts of tiles count as if they were whole
START = 8  # products for each entry of a tile that take as long as it takes to begin with it
ALONE = 1_300_000  # products below which a second thread does not pay
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
def cells(begin, end, code, sizes, left, right, result, finish, depths, copied, records):
    """Some cells of c, in all matrices of a batch, over a range of depth."""
    (size, tile, pack), (m, n, k), (a_copy, b_copy), (bias, activation) = code, sizes, copied, finish
    (a, a_row, a_col), (b, b_row, b_col), (c, c_row), (start, stop, most, tall) = left, right, result, depths
    width, stack = WIDTH // size, on_stack(PANEL)
    panels, tops = (n + width - 1) // width, (m + tall - 1) // tall
    for cell in range(begin, end):
        item, top, j = cell // (panels * tops), cell // panels % tops * tall, cell % panels * width
        bottom, w = min(top + tall, m), min(width, n - j)
        if item:
            a, b = left[0] + offset(records[0], records[2], item), right[0] + offset(records[1], records[2], item)
            c = result[0] + offset(records[2], records[2], item)
        for d in range(start, stop, most):
            depth = min(most, stop - d, k - d)  # 0 if k is: then all that is left to do is to finish
            panel, panel_row, last = b + (d * b_row + j * b_col) * size, b_row, d + depth >= k
            if b_copy:
                panel, panel_row = b_copy + j * depth * size, width
            elif b_col != 1 or (m > 2 * ROWS and w < n):
                pack_at(pack, panel, b_row, b_col, stack, width, depth, w)
                panel, panel_row = stack, width
            for i in range(top, bottom, ROWS):
                h = min(ROWS, bottom - i)
                rows, row, col = a + (i * a_row + d * a_col) * size, a_row, a_col
                if a_copy:
                    rows, row, col = a_copy + i * depth * size, 1, h
                mode = (1 if d else 0) + (activation if last else 0)
                row_of_bias = bias + j * size if bias and last else 0
                to = c + (i * c_row + j) * size
                packed = 1 if row == 1 and w * size % BYTES_OF_VECTOR == 0 else 0
                tile_at(tile, size, rows, row, col, panel, panel_row, to, c_row, depth, w, mode, row_of_bias, h, packed)


@kernel(written=True)
def copies(begin, end, code, sizes, left, right, d, depth, copied):
    """Copy some panels of b, and then tiles' rows of a so that those of one column are side by side."""
    (size, _, pack), (m, n, _), (a_copy, b_copy) = code, sizes, copied
    (a, a_row, a_col), (b, b_row, b_col), width = left, right, WIDTH // size
    panels = (n + width - 1) // width if b_copy else 0
    for piece in range(begin, end):
        j, i = piece * width, (piece - panels) * ROWS
        if piece < panels:
            source = b + (d * b_row + j * b_col) * size
            pack_at(pack, source, b_row, b_col, b_copy + j * depth * size, width, depth, min(width, n - j))
        else:
            source, h = a + (i * a_row + d * a_col) * size, min(ROWS, m - i)
            pack_at(pack, source, a_col, a_row, a_copy + i * depth * size, h, depth, h)


@kernel(written=True)
def blocks(m, n, k, items, size):
    """How work is cut: depth at a time, rows of a cell, cells, cells for a thread at a time."""
    panels, tiles = (n * size + WIDTH - 1) // WIDTH, (m + ROWS - 1) // ROWS
    work = items * panels * tiles * (k + START) * ROWS * WIDTH // size
    parts = (k + DEPTH - 1) // DEPTH if k > MOST_DEPTH else 1
    most = max((k + parts - 1) // parts, 1)
    tops = (m * most * size + BLOCK - 1) // BLOCK
    if work >= ALONE:
        tops = max(tops, min((CELLS - 1) // (panels * items) + 1, m // LOW))
    tall = max((m + max(tops, 1) * ROWS - 1) // (max(tops, 1) * ROWS), 1) * ROWS
    count = items * panels * ((m + tall - 1) // tall)
    return most, tall, count, max((GRAIN * count + work - 1) // work, 1) if work >= ALONE else count


@kernel(numbers="iiaaaai", written=True)
def product(pool, table, a, b, c, bias, activation):
    """c = a @ b with all leading axes of c, plus a row, then an activation; arrays as their records; whether it could be done."""
    code = word(table, 0), word(table, 1), word(table, 2)
    at_a, m, k, a_row, a_col, _ = matrices(a, code[0])
    at_b, _, n, b_row, b_col, _ = matrices(b, code[0])
    at_c, _, _, c_row, _, items = matrices(c, code[0])
    if not (whole(a, code[0]) and whole(b, code[0])):
        return False
    most, tall, count, grain = blocks(m, n, k, items, code[0])
    sizes, left, right, result = (m, n, k), (at_a, a_row, a_col), (at_b, b_row, b_col), (at_c, c_row)
    finish, depths = (word(bias, HEAD) if bias else 0, activation), (0, max(k, 1), most, tall)
    for_chunks(pool, cells, count, grain, (code, sizes, left, right, result, finish, depths, (0, 0), (a, b, c)))
    return True


@kernel(numbers="iiaaaaia", written=True)
def large(pool, table, a, b, c, bias, activation, room):
    """The same for two matrices whose parts are copied first, a range of depth after the other; `room` is memory for it."""
    code = word(table, 0), word(table, 1), word(table, 2)
    size, width, at = code[0], WIDTH // code[0], word(room, HEAD)
    at_a, m, k, a_row, a_col, _ = matrices(a, size)
    at_b, _, n, b_row, b_col, _ = matrices(b, size)
    at_c, _, _, c_row, _, _ = matrices(c, size)
    if not (whole(a, size) and whole(b, size)):
        return False
    most, tall, count, grain = blocks(m, n, k, 1, size)
    sizes, left, right, result = (m, n, k), (at_a, a_row, a_col), (at_b, b_row, b_col), (at_c, c_row)
    finish, panels = (word(bias, HEAD) if bias else 0, activation), (n + width - 1) // width
    b_copy = at if m > tall else 0  # where lines of the cache begin, whatever the depth
    copied = at + panels * most * WIDTH if n >= 4 * width else 0, b_copy
    pieces = (panels if b_copy else 0) + ((m + ROWS - 1) // ROWS if copied[0] else 0)
    for d in range(0, k, most):
        for_chunks(pool, copies, pieces, PIECES, (code, sizes, left, right, d, min(most, k - d), copied))
        depths = d, min(d + most, k), most, tall
        for_chunks(pool, cells, count, grain, (code, sizes, left, right, result, finish, depths, copied, (a, b, c)))
    return True
