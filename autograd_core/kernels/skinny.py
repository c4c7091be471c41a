"""Products of matrices in which one side is a vector, or a few: what counts is the way through the large matrix."""

from __future__ import annotations

from ._jit import Late, kernel
from ._products import inner

tile_at, dots_at = Late("_tile", "multiply_at"), Late("_dots", "dots_at")
matrices, word, whole = Late("_pack", "matrices"), Late("_pack", "word"), Late("_pack", "whole")
WIDTH = Late("_shared", "WIDTH")
for_chunks = Late("_native", "for_chunks")

GRAIN = 1 << 17  # entries of the large matrix that a thread takes at a time
DEEP = 16  # rows of the large matrix that are added at a time


@kernel(**inner)
def rows(begin, end, code, left, right, result, others, depth):
    """Some rows of a, each with every column of b: c[i, j] = a[i] . b[j], a and b with their entries side by side."""
    (size, dots), (a, a_row), (b, b_row), (c, c_row, c_col) = code, left, right, result
    for i in range(begin, end, 32):
        for j in range(others):
            to = c + (i * c_row + j * c_col) * size
            dots_at(dots, a + i * a_row * size, a_row, b + j * b_row * size, to, c_row, depth, min(32, end - i))


@kernel(**inner)
def strips(begin, end, code, left, right, result, m, depth):
    """Some columns of c, m rows high, from rows of b, a few at a time."""
    (size, tile), (a, a_row, a_col), (b, b_row), (c, c_row) = code, left, right, result
    width = WIDTH // size
    for d in range(0, depth, DEEP):
        for j in range(begin, end, width):
            source, to = b + (d * b_row + j) * size, c + j * size
            at, deep, w = a + d * a_col * size, min(DEEP, depth - d), min(width, end - j)
            tile_at(tile, at, a_row, a_col, source, b_row, to, c_row, deep, w, 1 if d else 0, 0, m)


@kernel
def skinny(pool, table, a, b, c):
    """c = a @ b for one matrix with few rows or columns; whether it could be done."""
    size, tile, dots = word(table, 0), word(table, 1), word(table, 3)
    at_a, m, k, a_row, a_col, _ = matrices(a, size)
    at_b, _, n, b_row, b_col, _ = matrices(b, size)
    at_c, _, _, c_row, _, _ = matrices(c, size)
    if not (whole(a, size) and whole(b, size)) or k == 0:
        return False
    if a_col == 1 and b_row == 1 and m >= n:
        step = max(GRAIN // k, 1)
        for_chunks(pool, rows, m, step, ((size, dots), (at_a, a_row), (at_b, b_col), (at_c, c_row, 1), n, k))
    elif a_col == 1 and b_row == 1:
        step = max(GRAIN // k, 1)
        for_chunks(pool, rows, n, step, ((size, dots), (at_b, b_col), (at_a, a_row), (at_c, 1, c_row), m, k))
    elif b_col == 1 and m < n:
        step = max(GRAIN // k // 512, 1) * 512
        for_chunks(pool, strips, n, step, ((size, tile), (at_a, a_row, a_col), (at_b, b_row), (at_c, c_row), m, k))
    elif a_row == 1 and n == 1:
        step = max(GRAIN // k // 512, 1) * 512
        for_chunks(pool, strips, m, step, ((size, tile), (at_b, b_col, b_row), (at_a, a_col), (at_c, 1), 1, k))
    else:
        return False
    return True
