"""Products of matrices in which one side is a vector, or a few: what counts is the way through the large matrix."""

from __future__ import annotations

from ._jit import Late, kernel

dots_at, blend_at = Late("_dots", "dots_at"), Late("_dots", "blend_at")
matrices, word, whole = Late("_pack", "matrices"), Late("_pack", "word"), Late("_pack", "whole")
for_chunks = Late("_native", "for_chunks")

GRAIN = 1 << 17  # entries of the large matrix that a thread takes at a time, by rows
DEEP, STRIP, WIDEST = 8, 512, 2048  # rows of the large matrix that are added at a time, and columns of them
PIECE = 1 << 13  # entries of vectors whose products are added at a time


@kernel
def rows(begin, end, code, left, right, result, others, depth):
    """Some rows of a, each with every column of b: c[i, j] = a[i] . b[j], a and b with their entries side by side."""
    (size, dots), (a, a_row), (b, b_row), (c, c_row, c_col) = code, left, right, result
    for i in range(begin, end, 32):
        for j in range(others):
            to = c + (i * c_row + j * c_col) * size
            dots_at(dots, a + i * a_row * size, a_row, b + j * b_row * size, to, c_row, depth, min(32, end - i))


@kernel
def strips(begin, end, code, left, right, result, m, depth):
    """Add to some columns of c, m rows high, multiples of rows of b, a few at a time."""
    (size, blend), (a, a_row, a_col), (b, b_row), (c, c_row) = code, left, right, result
    for d in range(0, depth, DEEP):
        for i in range(m):
            at, source = a + (i * a_row + d * a_col) * size, b + (d * b_row + begin) * size
            to = c + (i * c_row + begin) * size
            blend_at(blend, at, a_col, source, b_row, to, end - begin, min(DEEP, depth - d))


@kernel
def width(columns, depth):
    """How many columns a thread takes at a time: long parts of rows are read faster, and all threads should have some."""
    return (max(min(columns // 4, WIDEST), GRAIN // depth, 1) + STRIP - 1) // STRIP * STRIP


@kernel
def pieces(begin, end, code, a, b, c, depth):
    """Inner products of some pieces of two vectors."""
    size, dots = code
    for piece in range(begin, end):
        d = piece * PIECE
        dots_at(dots, a + d * size, 0, b + d * size, c + piece * size, 1, min(PIECE, depth - d), 1)


@kernel(numbers="iiaaa")
def skinny(pool, table, a, b, c):
    """c += a @ b for one matrix with few rows or columns; whether it could be done.

    If there is one of each, c has room for a sum of each PIECE of the products.
    """
    size, dots, blend = word(table, 0), word(table, 3), word(table, 4)
    at_a, m, k, a_row, a_col, _ = matrices(a, size)
    at_b, _, n, b_row, b_col, _ = matrices(b, size)
    at_c, _, _, c_row, _, _ = matrices(c, size)
    if not (whole(a, size) and whole(b, size)) or k == 0:
        return False
    if a_col == 1 and b_row == 1 and n * m == 1:
        for_chunks(pool, pieces, (k + PIECE - 1) // PIECE, 2, ((size, dots), at_a, at_b, at_c, k))
    elif a_col == 1 and b_row == 1 and m >= n:
        step = max(GRAIN // k, 1)
        for_chunks(pool, rows, m, step, ((size, dots), (at_a, a_row), (at_b, b_col), (at_c, c_row, 1), n, k))
    elif a_col == 1 and b_row == 1:
        step = max(GRAIN // k, 1)
        for_chunks(pool, rows, n, step, ((size, dots), (at_b, b_col), (at_a, a_row), (at_c, 1, c_row), m, k))
    elif b_col == 1 and m < n:
        for_chunks(
            pool, strips, n, width(n, k), ((size, blend), (at_a, a_row, a_col), (at_b, b_row), (at_c, c_row), m, k)
        )
    elif a_row == 1 and n == 1:
        for_chunks(pool, strips, m, width(m, k), ((size, blend), (at_b, b_col, b_row), (at_a, a_col), (at_c, 1), 1, k))
    else:
        return False
    return True
