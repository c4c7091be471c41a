"""The loops of recurrent sequences: LSTM, GRU and the plain RNN over all time steps, forward and back.

Rows of a batch do not depend on each other, so a chunk is some rows through all of time, and no thread waits for
another.  The rows of step t stand at starts[t] to starts[t + 1] of x, hs, g, dx and saved.  What x gives to the gates
is x itself, or, where `inner` has panels, its product with them.
"""

from __future__ import annotations

import numpy as np

from ._jit import Late, inline, kernel
from ._scalars import like, pick, raised, signed
from .vector_exp import EXP, expm1_down, reduced

multiply, ROWS = Late("_tile", "multiply"), Late("_tile", "ROWS")
borrowed = Late("_borrowed", "borrowed")

CHUNK = 16  # rows of a batch that are worked on together

# --- gates: to two units in the last place, which is cheaper than to one ---------------------------------------------


@kernel(fastmath={"contract", "arcp", "ninf"}, forceinline=True)
def divided(a, b):
    """a / b for finite numbers: LLVM may refine an estimate of 1 / b, which is wrong only where b is infinite."""
    return a / b


@inline
def sigmoid(x):
    """1 / (1 + exp(-x))"""
    most = pick(x, 80.0, 700.0)
    t = most if -x > most else -most if -x < -most else -x
    shifted, r, _ = reduced(t)
    e = (r * r * EXP(r) + r + like(x, 1)) * raised(like(x, 1), shifted)
    return divided(like(x, 1), like(x, 1) + e)


@inline
def tanh(x):
    """-m / (2 + m) for m = exp(-2 |x|) - 1"""
    m = expm1_down(like(x, -2) * abs(x))
    return signed(divided(-m, like(x, 2) + m), x)


@kernel
def sigmoids(x):
    """Of a vector, in place."""
    for i in range(len(x)):
        x[i] = sigmoid(x[i])


@kernel
def tanhs(x):
    """Of a vector, in place."""
    for i in range(len(x)):
        x[i] = tanh(x[i])


# --- parts -----------------------------------------------------------------------------------------------------------


@kernel
def pack(b, panels):
    """The columns of b: (k, n) in panels (ceil(n / width), k, width) of those that a tile takes at once."""
    width = panels.shape[2]
    for p in range(panels.shape[0]):
        panel, count = panels[p], min(width, b.shape[1] - p * width)
        for k in range(panel.shape[0]):
            row, given = panel[k], b[k, p * width : p * width + count]
            for j in range(count):
                row[j] = given[j]


@kernel
def product(a, panels, c, mode, bias):
    """c (+)= a @ b + bias for few rows; a: (m, k), b in panels, c: (m, n); bias is an address or 0."""
    size, (count, depth, width) = a.itemsize, panels.shape
    rows, columns = c.shape
    parts = max((rows + ROWS - 1) // ROWS, 1)
    step = (rows + parts - 1) // parts
    for p in range(count):
        some = min(width, columns - p * width)
        for i in range(0, rows, step):
            multiply(
                panels, a.ctypes.data + i * a.strides[0], a.strides[0] // size, 1,
                panels.ctypes.data + p * depth * width * size, width,
                c.ctypes.data + i * c.strides[0] + p * width * size, c.strides[0] // size,
                depth, min(step, rows - i), some, mode, bias + p * width * size if bias else 0,
            )  # fmt: skip


@kernel
def given(x, bias, inner, rows):
    """What x and bias give to the gates of some rows."""
    if len(inner):
        product(x, inner, rows, 0, bias.ctypes.data)
        return
    for i in range(len(rows)):
        row, part = rows[i], x[i]
        for j in range(len(row)):
            row[j] = part[j] + bias[j]


@kernel
def add_up(rows, total):
    """total += the sum of rows."""
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(row)):
            total[j] += row[j]


# --- LSTM ------------------------------------------------------------------------------------------------------------


@kernel(chunks=True)
def lstm_steps(begin, end, x, bias, inner, panels, starts, reverse, hs, h, c, saved):
    """hs: (n, h); h, c: (batch, h) are the first states, then the last; saved: (n, 6 h): i f g o, c and h before."""
    steps, n = len(starts) - 1, h.shape[1]
    x, hs, h, c, saved = borrowed(x), borrowed(hs), borrowed(h), borrowed(c), borrowed(saved)
    bias, inner, panels = borrowed(bias), borrowed(inner), borrowed(panels)
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        first, count = starts[t] + begin, min(end, starts[t + 1] - starts[t]) - begin
        if count <= 0:
            continue
        states, rows = h[begin : begin + count], saved[first : first + count]
        given(x[first : first + count], bias, inner, rows[:, : 4 * n])
        product(states, panels, rows[:, : 4 * n], 1, 0)
        for i in range(count):
            lstm_row(rows[i], c[begin + i], states[i], hs[first + i], n)


@kernel
def lstm_row(row, c, h, y, n):
    """One step of one row: gates in place, then the states."""
    i, f, g, o = row[:n], row[n : 2 * n], row[2 * n : 3 * n], row[3 * n : 4 * n]
    sigmoids(row[: 2 * n])
    tanhs(g)
    sigmoids(o)
    cell, before = row[4 * n : 5 * n], row[5 * n :]
    for j in range(n):
        cell[j] = c[j]
    for j in range(n):
        before[j] = h[j]
    for j in range(n):
        c[j] = f[j] * c[j] + i[j] * g[j]
    for j in range(n):
        h[j] = c[j]
    tanhs(h)
    for j in range(n):
        h[j] *= o[j]
    for j in range(n):
        y[j] = h[j]


@kernel(chunks=True)
def lstm_steps_back(begin, end, g, saved, panels, starts, reverse, dh, dc, dx, totals):
    """g: (n, h); dh, dc: (batch, h) arrive at the last states and become those of the first; dx: (n, 4 h)."""
    steps, n = len(starts) - 1, dh.shape[1]
    g, saved, panels, dx = borrowed(g), borrowed(saved), borrowed(panels), borrowed(dx)
    dh, dc, work, total = borrowed(dh), borrowed(dc), np.empty((2, n), dh.dtype), borrowed(totals)[begin // CHUNK]
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        first, count = starts[t] + begin, min(end, starts[t + 1] - starts[t]) - begin
        if count <= 0:
            continue
        states, rows = dh[begin : begin + count], dx[first : first + count]
        for i in range(count):
            lstm_row_back(saved[first + i], g[first + i], states[i], dc[begin + i], rows[i], work, n)
        add_up(rows, total)
        product(rows, panels, states, 0, 0)


@kernel
def lstm_row_back(row, g, dh, dc, out, work, n):
    """What arrives at the gates of one row: out; dc goes on to the step before."""
    one, t, slope = row.dtype.type(1), work[0], work[1]
    i, f, c, o, cell = row[:n], row[n : 2 * n], row[2 * n : 3 * n], row[3 * n : 4 * n], row[4 * n : 5 * n]
    di, df, dg, do = out[:n], out[n : 2 * n], out[2 * n : 3 * n], out[3 * n : 4 * n]
    for j in range(n):
        t[j] = f[j] * cell[j] + i[j] * c[j]
    tanhs(t)
    for j in range(n):
        slope[j] = dh[j] + g[j]
    for j in range(n):
        do[j] = slope[j] * t[j] * (o[j] * (one - o[j]))
    for j in range(n):
        dc[j] += slope[j] * o[j] * (one - t[j] * t[j])
    for j in range(n):
        di[j] = dc[j] * c[j] * (i[j] * (one - i[j]))
    for j in range(n):
        dg[j] = dc[j] * i[j] * (one - c[j] * c[j])
    for j in range(n):
        df[j] = dc[j] * cell[j] * (f[j] * (one - f[j]))
        dc[j] *= f[j]


# --- GRU -------------------------------------------------------------------------------------------------------------


@kernel(chunks=True)
def gru_steps(begin, end, x, bias_x, bias, inner, panels, starts, reverse, hs, h, saved):
    """As lstm_steps, of one state; saved: (n, 5 h): r z n, what the states give to n, and h before."""
    steps, n = len(starts) - 1, h.shape[1]
    x, hs, h, saved = borrowed(x), borrowed(hs), borrowed(h), borrowed(saved)
    bias_x, bias, inner, panels = borrowed(bias_x), borrowed(bias), borrowed(inner), borrowed(panels)
    work = np.empty((CHUNK, 3 * n), h.dtype)
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        first, count = starts[t] + begin, min(end, starts[t + 1] - starts[t]) - begin
        if count <= 0:
            continue
        states, rows = h[begin : begin + count], saved[first : first + count]
        given(x[first : first + count], bias_x, inner, rows[:, : 3 * n])
        product(states, panels, work[:count], 0, bias.ctypes.data)
        for i in range(count):
            gru_row(work[i], states[i], hs[first + i], rows[i], n)


@kernel
def gru_row(work, h, y, row, n):
    """One step of one row: gates and what they are made of, then the state."""
    one, both, new, part = row.dtype.type(1), row[: 2 * n], row[2 * n : 3 * n], row[3 * n : 4 * n]
    r, z = row[:n], row[n : 2 * n]
    for j in range(len(both)):
        both[j] += work[j]
    sigmoids(both)
    given, before = work[2 * n :], row[4 * n :]
    for j in range(n):
        part[j] = given[j]
    for j in range(n):
        before[j] = h[j]
    for j in range(n):
        new[j] += r[j] * part[j]
    tanhs(new)
    for j in range(n):
        h[j] = (one - z[j]) * new[j] + z[j] * h[j]
    for j in range(n):
        y[j] = h[j]


@kernel(chunks=True)
def gru_steps_back(begin, end, g, saved, panels, starts, reverse, dh, dx, dy, totals):
    """dx: (n, 3 h) arrives at what x gives to the gates, dy: (n, 3 h) at what the states give."""
    steps, n = len(starts) - 1, dh.shape[1]
    g, saved, panels, dh, dx, dy = (
        borrowed(g),
        borrowed(saved),
        borrowed(panels),
        borrowed(dh),
        borrowed(dx),
        borrowed(dy),
    )
    totals = borrowed(totals)
    total, total_y = totals[begin // CHUNK, : 3 * n], totals[begin // CHUNK, 3 * n :]
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        first, count = starts[t] + begin, min(end, starts[t + 1] - starts[t]) - begin
        if count <= 0:
            continue
        states, rows, others = dh[begin : begin + count], dx[first : first + count], dy[first : first + count]
        for i in range(count):
            gru_row_back(saved[first + i], g[first + i], states[i], rows[i], others[i], n)
        add_up(rows, total)
        add_up(others, total_y)
        product(others, panels, states, 1, 0)


@kernel
def gru_row_back(row, g, dh, out, other, n):
    """What arrives at the gates of one row; of dh, what goes past them to the step before."""
    one, r, z, new, part, h = (
        row.dtype.type(1),
        row[:n],
        row[n : 2 * n],
        row[2 * n : 3 * n],
        row[3 * n : 4 * n],
        row[4 * n :],
    )
    dr, dz, dn, dpart, both = out[:n], out[n : 2 * n], out[2 * n :], other[2 * n :], other[: 2 * n]
    for j in range(n):
        dh[j] += g[j]
    for j in range(n):
        dz[j] = dh[j] * (h[j] - new[j]) * (z[j] * (one - z[j]))
    for j in range(n):
        dn[j] = dh[j] * (one - z[j]) * (one - new[j] * new[j])
    for j in range(n):
        dr[j] = dn[j] * part[j] * (r[j] * (one - r[j]))
    for j in range(n):
        dpart[j] = dn[j] * r[j]
    for j in range(n):
        dh[j] *= z[j]
    for j in range(len(both)):
        both[j] = out[j]


# --- the plain RNN ---------------------------------------------------------------------------------------------------


@kernel(chunks=True)
def rnn_steps(begin, end, x, bias, inner, panels, starts, reverse, relu, hs, h, saved):
    """As lstm_steps, of one state; saved: (n, 2 h): h and h before."""
    steps, n = len(starts) - 1, h.shape[1]
    x, hs, h, saved = borrowed(x), borrowed(hs), borrowed(h), borrowed(saved)
    bias, inner, panels = borrowed(bias), borrowed(inner), borrowed(panels)
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        first, count = starts[t] + begin, min(end, starts[t + 1] - starts[t]) - begin
        if count <= 0:
            continue
        states, rows = h[begin : begin + count], saved[first : first + count]
        given(x[first : first + count], bias, inner, rows[:, :n])
        product(states, panels, rows[:, :n], 1 + 2 * relu, 0)
        for i in range(count):
            row, before, state, y = rows[i, :n], rows[i, n:], states[i], hs[first + i]
            if not relu:
                tanhs(row)
            for j in range(n):
                before[j] = state[j]
            for j in range(n):
                state[j] = row[j]
            for j in range(n):
                y[j] = row[j]


@kernel(chunks=True)
def rnn_steps_back(begin, end, g, saved, panels, starts, reverse, relu, dh, dx, totals):
    """As lstm_steps_back, of one state; dx: (n, h)."""
    steps, n = len(starts) - 1, dh.shape[1]
    g, saved, panels, dh, dx = borrowed(g), borrowed(saved), borrowed(panels), borrowed(dh), borrowed(dx)
    zero, one, total = dh.dtype.type(0), dh.dtype.type(1), borrowed(totals)[begin // CHUNK]
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        first, count = starts[t] + begin, min(end, starts[t + 1] - starts[t]) - begin
        if count <= 0:
            continue
        states, rows = dh[begin : begin + count], dx[first : first + count]
        for i in range(count):
            row, state, more, y = rows[i], states[i], g[first + i], saved[first + i, :n]
            if relu:
                for j in range(n):
                    row[j] = state[j] + more[j] if y[j] > zero else zero
            else:
                for j in range(n):
                    row[j] = (state[j] + more[j]) * (one - y[j] * y[j])
        add_up(rows, total)
        product(rows, panels, states, 0, 0)
