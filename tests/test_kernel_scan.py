"""Cumulative functions: compiled against references, against PyTorch with gradients, on any threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import _jit, scan
from autograd_core.kernels._threads import get_num_threads, set_num_threads

compiled = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")


@st.composite
def arrays(draw):
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 9, 40, 2100]), min_size=1, max_size=2))
    x = np.random.default_rng(draw(st.integers(0, 99))).integers(-6, 7, shape) / 4
    x = x.astype(draw(st.sampled_from("fd")))
    x = draw(st.sampled_from([x, x.T, x[..., ::-1], np.broadcast_to(x[..., :1], x.shape)]))
    return x, draw(st.integers(-x.ndim, -1))


def agree(a, b, dtype):
    tolerance = {"f": 3e-5, "d": 1e-11}[np.dtype(dtype).char]
    assert a.shape == b.shape and a.dtype == dtype
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@compiled
@settings(max_examples=60, deadline=None)
@given(arrays(), st.booleans())
def test_compiled_and_reference(given_, reverse):
    x, axis = given_
    wide = x.astype("d")
    agree(scan.cumsum.compiled(x, axis, reverse), scan.cumsum.reference(wide, axis, reverse), x.dtype)
    near = 1 + x / 64
    agree(scan.cumprod.compiled(near, axis, reverse), scan.cumprod.reference(near.astype("d"), axis, reverse), x.dtype)
    half = x / 4
    agree(
        scan.recurrence.compiled(half, x, axis, reverse),
        scan.recurrence.reference(half.astype("d"), wide, axis, reverse),
        x.dtype,
    )
    agree(scan.logcumsumexp.compiled(x, axis), scan.logcumsumexp.reference(wide, axis), x.dtype)
    for sign in (1, -1) if x.size else ():
        for special in (None, np.nan):
            y = np.array(x)
            if special is not None:
                y.flat[:: max(y.size // 2, 1)] = special
            for a, b in zip(scan.extremes.compiled(y, axis, sign), scan.extremes.reference(y, axis, sign)):
                assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 129, 1000, 2047, 2048, 2049, 4101])
def test_rows_of_any_length(n, dtype):
    """Whole stretches and blocks, and what is left of them; sums of whole numbers are exact, whatever their order."""
    x = np.random.default_rng(n).integers(-9, 10, (3, n)).astype(dtype)
    for reverse in (False, True):
        np.testing.assert_array_equal(scan.cumsum.compiled(x, -1, reverse), scan.cumsum.reference(x, -1, reverse))
    x[0].sort()  # each entry is a new largest
    x[1, n // 2 :] = -20  # none is
    for sign in (1, -1):
        for a, b in zip(scan.extremes.compiled(x, -1, sign), scan.extremes.reference(x, -1, sign), strict=True):
            np.testing.assert_array_equal(a, b)


@compiled
@pytest.mark.parametrize("row", [
    [np.inf, 1, np.nan, 2], [-np.inf, -np.inf, 0, 1], [-np.inf, np.inf, -np.inf], [np.nan, 1], [-1e30, 1e30],
])  # fmt: skip
def test_infinite_and_missing_entries(row):
    x = np.array(row)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(scan.logcumsumexp.compiled(x, -1), scan.logcumsumexp.reference(x, -1))
        np.testing.assert_allclose(scan.cumsum.compiled(x, -1), np.cumsum(x))


SPECIALS = [0.0, np.inf, -np.inf, np.nan, 1e-300, 1e300, 1e-160, -1e160, 2.0**101, 2.0**-101, 5e-324]


def step_by_step(g, x, y):
    """The gradient of running products, entry by entry in extended precision, where a zero stays zero."""
    zero_or = lambda a, b: np.longdouble(0) if a == 0 or b == 0 else a * b
    carried, factor, out = np.longdouble(0), np.longdouble(0), []
    for k in range(len(x) - 1, -1, -1):
        carried = (np.longdouble(0) if carried == 0 else carried * factor) + np.longdouble(g[k])
        factor = np.longdouble(x[k])
        out.append(zero_or(carried, np.longdouble(y[k - 1] if k else 1)))
    return np.array(out[::-1])


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", SPECIALS)
def test_products_of_numbers_of_any_size(special, dtype):
    """As when they are made one by one, wherever the special numbers stand among the eight that are taken at a time."""
    for place in (*range(3, 21), 39):
        x = 1 + np.random.default_rng(place).standard_normal(40) / 8
        x[place] = special
        for other in (None, 1 / special if special else 7.0):
            if other is not None:
                x[(place + 5) % 40] = other
            with np.errstate(all="ignore"):
                a = x.astype(dtype)
                for flip in (slice(None), slice(None, None, -1)):
                    exact = np.cumprod(a[flip].astype("d"))[flip].astype(dtype)
                    got = scan.cumprod.compiled(a, -1, flip.step is not None)
                    np.testing.assert_allclose(got, exact, rtol=1e-6 if dtype is np.float32 else 1e-13)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", [0.0, 1e-33, -1e33, 2.0**101])
@pytest.mark.parametrize("n", [2, 9, 10, 17, 18, 40, 101])
def test_gradients_of_products_of_numbers_of_any_size(n, special, dtype):
    rng = np.random.default_rng(n)
    for place in range(0, n, 3):
        x, g = 1 + rng.standard_normal(n) / 8, rng.standard_normal(n)
        x[place], g[(place + 3) % n] = special, special if abs(special) < 1 else 1.0
        x, g = x.astype(dtype), g.astype(dtype)
        y = np.cumprod(x.astype("d")).astype(dtype)
        exact = step_by_step(g, x, y)
        scale = step_by_step(abs(g), abs(x), abs(y))  # of what is added up
        within = scale * (1e-6 if dtype is np.float32 else 1e-14) + np.finfo(dtype).tiny
        got = scan.product_pull.compiled(g, x, y, -1)
        assert (abs(got - exact) <= within).all()
        got = scan.product_pull.compiled(g[::-1], x[::-1], y[::-1], -1, True)
        assert (abs(got[::-1] - exact) <= within).all()


@compiled
@pytest.mark.parametrize("place", [2, 5, 9, 16, 30])
def test_an_infinite_product_behind_a_zero_has_no_gradient(place):
    """Where nothing comes back, an infinite product before it gives no NaN; where a number comes back, it is infinite."""
    x, g = np.full(40, 1.5), np.zeros(40)
    y = np.cumprod(x)
    y[place], g[place] = np.inf, 1.0
    got = scan.product_pull.compiled(g, x, y, -1)
    np.testing.assert_allclose(got, step_by_step(g, x, y).astype("d"), rtol=1e-14)
    assert np.isfinite(got).all()
    g[place + 3] = 1.0
    got = scan.product_pull.compiled(g, x, y, -1)
    np.testing.assert_array_equal(np.isinf(got), np.arange(40) == place + 1)


@compiled
def test_a_zero_times_infinity_is_zero_in_recurrences():
    a, b = np.array([[1.0, np.inf, 2.0, np.nan, 3.0]] * 9).T, np.array([[0.0, 0.0, 1.0, 0.0, 1.0]] * 9).T
    for axis, f, g in ((-2, a, b), (-1, a.T, b.T)):
        y = scan.recurrence.compiled(f, g, axis)
        np.testing.assert_array_equal(y, scan.recurrence.reference(f, g, axis))


CALLS = {
    "cumsum": lambda m, x, d: m.cumsum(x, d),
    "cumprod": lambda m, x, d: m.cumprod(x, d),
    "cummax": lambda m, x, d: m.cummax(x, d)[0],
    "cummin": lambda m, x, d: m.cummin(x, d)[0],
    "logcumsumexp": lambda m, x, d: m.logcumsumexp(x, d),
    "prod": lambda m, x, d: m.prod(x, d),
}


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_torchs(name, zeros, dim):
    torch = pytest.importorskip("torch")
    data = 1 + np.random.default_rng(0).standard_normal((20, 25)) / 2
    if zeros:
        data[::3, 2] = data[5, ::4] = data[5, 1] = 0
    found = []
    for module in (ag, torch):
        x = ag.tensor(data).requires_grad_() if module is ag else torch.tensor(data, requires_grad=True)
        y = CALLS[name](module, x, dim)
        w = module.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)))
        gradient = ag.gradient if module is ag else torch.autograd.grad
        (g,) = gradient([(y * w).sum()], [x], create_graph=True)
        total = (g * g).sum()
        second = gradient([total], [x])[0] if total.requires_grad and name not in ("cummax", "cummin", "cumsum") else g
        found.append([v.detach().numpy() for v in (y, g, second)])
    for k, (ours, theirs) in enumerate(zip(*found)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9, err_msg=str(k))


def test_the_gradient_of_a_long_product_takes_no_steps_in_python():
    x = ag.tensor(np.ones(50_000)).requires_grad_()
    ag.cumprod(x, 0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.arange(50_000, 0, -1))


@compiled
def test_any_number_of_threads_gives_the_same_bits():
    rng, before, results = np.random.default_rng(0), get_num_threads(), []
    x = rng.standard_normal((600, 1001)).astype(np.float32)
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append([
                f(y, axis)
                for f in (scan.cumsum.compiled, scan.cumprod.compiled, scan.logcumsumexp.compiled)
                for y in (x, x.reshape(-1)) for axis in range(-y.ndim, 0)
            ])  # fmt: skip
    finally:
        set_num_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("count", [1, 5, 63, 64, 5000])
def test_a_running_sum_begins_with_zero_and_is_never_minus_zero(dtype, count):
    x = np.full((2, count), -0.0, dtype)
    for y in (
        ag.cumsum(ag.tensor(x[0]), 0),
        ag.cumsum(ag.tensor(x), 0),
        ag.cumsum(ag.tensor(x), 1),
        ag.cumsum(ag.tensor(x.T), 0),
    ):
        assert not np.signbit(y.numpy().real).any()
    t = ag.tensor(x[0].real.astype(np.float64), requires_grad=True)
    (ag.cumsum(t, 0) * -0.0).sum().backward()
    assert not np.signbit(t.grad.numpy()).any()
