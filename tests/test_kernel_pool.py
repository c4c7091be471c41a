"""Kernels of pooling, resizing and sampling against their references, whatever the shape, the memory or the threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd_core.kernels import grid_corners, pool
from autograd_core.kernels import grid_sample as grids
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.kernels.resize import resize
from autograd_core.kernels.tables import Table, boxes, identity
from autograd_core.ops.resampling import shares, table_of

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
TYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 10**6)


def laid_out(x, how):
    """The same entries in memory that is spaced, reversed, transposed, or one entry repeated."""
    if how == "spaced":
        wide = np.zeros((*x.shape, 2), x.dtype)
        wide[..., 0] = x
        return wide[..., 0]
    if how == "reversed":
        flip = (slice(None, None, -1),) * x.ndim
        return np.array(x[flip], order="C")[flip]
    if how == "columns":
        return np.array(x, order="F")
    return np.broadcast_to(x.flat[0] if x.size else x.dtype.type(0), x.shape) if how == "repeated" else x


LAYOUTS = st.sampled_from(["", "spaced", "reversed", "columns", "repeated"])


def numbers(rng, shape, dtype, special=0.0):
    """Few different numbers, so that there are ties, and some that are none."""
    x = rng.integers(-3, 4, shape).astype(dtype)
    for value in (np.nan, np.inf, -np.inf, -0.0):
        x[rng.random(shape) < special] = value
    return x


@st.composite
def windows_of(draw, n):
    """Windows of an axis: regular ones with padding and dilation, or such that cover it."""
    if draw(st.booleans()):
        m = draw(st.integers(1, 5))
        start = np.arange(m) * n // m
        return pool.Windows(n, start, -(-(np.arange(m) + 1) * n // m) - start)
    taps, stride, step = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, (step * (taps - 1) + 1) // 2))
    count = max(1, (n + 2 * padding - step * (taps - 1) - 1) // stride + 1 + draw(st.integers(0, 1)))
    return pool.Windows(n, np.arange(count) * stride - padding, np.full(count, taps), step)


@given(st.data(), TYPES, SEEDS, LAYOUTS)
def test_largest(data, dtype, seed, how):
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    windows = tuple(data.draw(windows_of(n)) for n in sizes)
    x = numbers(np.random.default_rng(seed), (data.draw(st.integers(0, 3)), *sizes), dtype, 0.05)
    x = laid_out(x, how)
    for got, wanted in zip(pool.largest.compiled(x, windows), pool.largest.reference(x, windows)):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype


@pytest.mark.parametrize("starts, taps", [(range(0, 40), 3), (range(0, 40, 2), 3), (range(0, 40, 5), 4)])
def test_places_of_planes_that_need_wide_numbers(monkeypatch, starts, taps):
    monkeypatch.setattr(pool, "place_type", lambda windows: np.dtype(np.int64))
    axes = tuple(pool.Windows(n, np.array(starts), np.full(len(starts), taps)) for n in (45, 46))
    x = numbers(np.random.default_rng(0), (2, 45, 46), np.float64, 0.05)
    for got, wanted in zip(pool.largest.compiled(x, axes), pool.largest.reference(x, axes)):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype


@given(st.data(), TYPES, SEEDS, st.integers(-1, 2))
def test_averages_over_windows(data, dtype, seed, padding):
    """Sums of what each window holds, entry by entry, times the shares."""
    sizes = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 80)))
    taps, stride = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    x = np.random.default_rng(seed).standard_normal((2, *sizes)).astype(dtype)
    x[x > 2.5] = np.nan
    starts = [np.arange(-(-n // stride)) * stride - padding for n in sizes]
    inside = [(at := s[:, None] + np.arange(taps), (at >= 0) & (at < n)) for s, n in zip(starts, sizes)]
    share = [np.linspace(0.5, 1, len(s)) for s in starts]
    tables = [Table(n, s, np.where(i[1], w[:, None], 0.0)) for n, s, i, w in zip(sizes, starts, inside, share)]
    y = resize.compiled(x, tuple(tables))
    for i, j in np.ndindex(*y.shape[1:]):
        entries = x[:, inside[0][0][i][inside[0][1][i]]][:, :, inside[1][0][j][inside[1][1][j]]]
        wanted = entries.astype(float).sum((1, 2)) * share[0][i] * share[1][j]
        np.testing.assert_allclose(y[:, i, j], wanted, rtol=1e-5, atol=1e-5)


@given(TYPES, SEEDS, LAYOUTS, st.tuples(*[st.integers(0, 5)] * 3))
def test_take_and_put(dtype, seed, how, shape):
    rng = np.random.default_rng(seed)
    places = rng.integers(-1, 13, shape).astype(rng.choice([np.int32, np.int64]))
    x = laid_out(rng.standard_normal((shape[0], 3, 4)).astype(dtype), how)
    np.testing.assert_array_equal(pool.take.compiled(x, places, 2), pool.take.reference(x, places, 2))
    g = laid_out(rng.standard_normal(shape).astype(dtype), how)
    got, wanted = pool.put.compiled(g, places, (3, 4)), pool.put.reference(g, places, (3, 4))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@st.composite
def tables_of(draw, n):
    """A table of an axis of n: of any mode, of windows with margins, and their transposes."""
    m = draw(st.integers(1, 40))
    kind = draw(st.sampled_from(["nearest", "linear", "cubic", "smooth", "shares", "windows", "identity", "sum"]))
    if kind in ("nearest", "linear", "cubic", "smooth"):
        mode = "cubic" if kind == "smooth" else kind
        table = table_of(mode, n, m, n / m, draw(st.booleans()) and kind != "smooth", kind == "smooth")
    elif kind == "windows":
        taps, step = draw(st.integers(1, 6)), draw(st.integers(1, 3))
        start = np.arange(m) * step - taps // 2
        inside = (at := start[:, None] + np.arange(taps)) >= 0
        table = Table(n, start, np.where(inside & (at < n), 0.25, 0.0))
    elif kind == "sum":
        table = boxes(n, np.zeros(1, int), np.full(1, n), np.full(1, 0.5))
    else:
        table = shares(n, m) if kind == "shares" else identity(n)
    return table.T if draw(st.booleans()) else table


@pytest.mark.parametrize("n, m", [(14, 6), (13, 7), (14, 10), (22, 14), (9, 31)])
def test_gradients_of_smooth_cubic_tables_over_rows_that_are_resized_too(n, m):
    """Small negative weights end at 0, so neighbours do not begin in order by themselves."""
    rows, columns = table_of("cubic", n, m, n / m, False, True).T, table_of("linear", 30, 40, 0.75, False, False).T
    assert (np.diff(rows.start) >= 0).all()
    x = np.random.default_rng(0).standard_normal((2, m, 40))
    both = (identity(2), rows, columns)
    np.testing.assert_allclose(resize.compiled(x, both), resize.reference(x, both), rtol=1e-11, atol=1e-11)


@given(st.data(), TYPES, SEEDS, LAYOUTS)
def test_resize(data, dtype, seed, how):
    tables = tuple(data.draw(tables_of(n)) for n in data.draw(st.lists(st.integers(1, 24), min_size=1, max_size=3)))
    lead = data.draw(st.sampled_from([(), (2,), (2, 3), (0,)]))
    x = np.random.default_rng(seed).standard_normal((*lead, *[t.n_in for t in tables])).astype(dtype)
    x = laid_out(x, how)
    got, wanted = resize.compiled(x, tables), resize.reference(x, tables)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("start, weights", [([-2, 0, 1, 2, 9], [0, 1, 2, 1, 0]), ([-1, -1, 0, 1, 2], [0, 0, 1, 0, 1])])
def test_places_without_neighbours_take_nothing_from_beyond_the_axis_nor_from_nan(start, weights):
    table = Table(3, np.array(start), np.array(weights, float)[:, None])
    x = np.full((2, 3, 3), np.nan)
    x[1] = np.arange(9.0).reshape(3, 3)
    for tables in ((table, table), (table, identity(3)), (table, shares(3, 7)), (table,)):
        np.testing.assert_array_equal(resize.compiled(x, tables), resize.reference(x, tables))


@given(st.data())
def test_the_transpose_of_a_table(data):
    table = data.draw(tables_of(data.draw(st.integers(1, 24))))
    dense = resize.reference(np.eye(table.n_in), (table,))
    np.testing.assert_array_equal(resize.reference(np.eye(table.n_out), (table.T,)), dense.T)


def test_a_weight_of_zero_takes_nothing():
    x = np.ones((2, 1, 6, 6), np.float32)
    x[0, 0, 2, 3] = np.nan
    for table in (shares(6, 3), Table(6, np.arange(-1, 5, 2), np.array([[0.0, 1, 1]] * 3)), shares(3, 6).T):
        got, wanted = (f(x, (table, table)) for f in (resize.compiled, resize.reference))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))


@given(TYPES, SEEDS, LAYOUTS, st.sampled_from([1, 3, 4, 8]), st.integers(0, 40), st.integers(1, 3))
def test_sampling(dtype, seed, how, taps, points, channels):
    rng = np.random.default_rng(seed)
    x, g = (laid_out(rng.standard_normal((2, channels, n)).astype(dtype), how) for n in (7, points))
    w = laid_out((rng.standard_normal((2, taps, points)) * (rng.random((2, taps, points)) < 0.8)).astype(dtype), how)
    places = rng.integers(0, 7, (2, taps, points)).astype(rng.choice([np.int32, np.int64]))
    calls = (grids.sample, (x, w, places)), (grids.spread, (g, w, places, 7)), (grids.correlate, (g, x, places))
    for f, arguments in calls:
        got, wanted = f.compiled(*arguments), f.reference(*arguments)
        assert got.dtype == wanted.dtype and got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@given(SEEDS, st.integers(0, 2), st.booleans(), st.tuples(st.integers(1, 6), st.integers(1, 6)), st.integers(0, 40))
def test_corners(seed, padding, align, sizes, points):
    rng = np.random.default_rng(seed)
    grid = rng.uniform(-2.5, 2.5, (2, points, 2))
    grid[rng.random(grid.shape) < 0.05] = np.nan
    (w, places), (v, wanted) = (
        f(grid, sizes, padding, align) for f in (grid_corners.corners.compiled, grid_corners.corners.reference)
    )
    x = rng.standard_normal((2, 1, sizes[0] * sizes[1]))
    np.testing.assert_allclose(grids.sample.reference(x, w, places), grids.sample.reference(x, v, wanted), atol=1e-9)
    assert (places >= 0).all() and (places < sizes[0] * sizes[1]).all()
    d = rng.standard_normal((2, 4, points))
    got, wanted = (
        f(grid, d, sizes, padding, align) for f in (grid_corners.slopes.compiled, grid_corners.slopes.reference)
    )
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    x, grid = rng.standard_normal((2, 3, *sizes)), grid.reshape(2, points, 1, 2)
    got, wanted = (f(x, grid, padding, align) for f in (grids.images.compiled, grids.images.reference))
    np.testing.assert_allclose(got, wanted, atol=1e-9)


@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("full, points", [((2, 3, 7, 5), (4, 9)), ((1, 9, 9), (7, 10))])
def test_a_few_images_at_once_have_the_bits_of_one_step_after_the_other(
    monkeypatch, full, points, padding, align, char
):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal(full).astype(char), rng.standard_normal((*full[:-2], *points)).astype(char)
    grid = rng.uniform(-1.5, 1.5, (*full[:-3], *points, 2)).astype(char)
    grid.flat[3] = np.nan
    steps = [
        lambda: grids.images(x, grid, padding, align),
        lambda: grids.images_back(g, grid, full, padding, align),
        lambda: grids.images_slopes(g, x, grid, padding, align),
    ]
    assert grids.few(full, grid.shape, x.dtype, grid.dtype)
    at_once = [step() for step in steps]
    monkeypatch.setattr(grids, "few", lambda *_: None)
    for a, step in zip(at_once, steps, strict=True):
        np.testing.assert_array_equal(a, step(), strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_nothing(dtype):
    rng = np.random.default_rng(0)
    x, grid = rng.standard_normal((3, 5, 60, 70)).astype(dtype), rng.uniform(-1, 1, (3, 4200, 2)).astype(dtype)
    flat = x.reshape(3, 5, 4200)
    axes = (
        pool.Windows(60, np.arange(-1, 59, 2), np.full(30, 3)),
        pool.Windows(70, np.arange(-1, 69, 2), np.full(35, 3)),
    )
    up = tuple(table_of("linear", n, 2 * n, 0.5, False, False) for n in x.shape[2:])
    covering = tuple(pool.Windows(n, np.arange(7) * n // 7, np.full(7, 11)) for n in x.shape[2:])
    halves, overlapping = (shares(60, 30), shares(70, 35)), (shares(60, 7), shares(70, 32))
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            y, places = pool.largest.compiled(x, axes)
            w, at = grid_corners.corners.compiled(grid, x.shape[2:], 0, False)
            results.append(
                [y, places, pool.take.compiled(x, places, 2), pool.put.compiled(y, places, x.shape[2:]), w, at]
                + [resize.compiled(x, up), resize.compiled(resize.compiled(x, up), tuple(t.T for t in up))]
                + [resize.compiled(x, halves), resize.compiled(y, tuple(t.T for t in halves))]
                + [resize.compiled(x, overlapping), pool.largest.compiled(x, covering)[1]]
                + [grids.sample.compiled(flat, w, at), grids.spread.compiled(flat, w, at, 4200)]
                + [
                    grids.correlate.compiled(flat, flat, at),
                    grid_corners.slopes.compiled(grid, w, x.shape[2:], 2, False),
                ]
                + [pool.average.compiled(x, 2), pool.shared_out.compiled(x[..., :1, :1], (60, 70))]
            )
    finally:
        set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert a.tobytes() == b.tobytes()
