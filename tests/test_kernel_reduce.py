"""Reductions: compiled against references over any shape, memory order and axes, against PyTorch, on any threads."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import _jit, extreme, moments
from autograd_core.kernels import reduce as kernels
from autograd_core.kernels._threads import get_num_threads, set_num_threads

compiled = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
quick = settings(max_examples=60, deadline=None)

LAYOUTS = {
    "in order": lambda x: x,
    "back to front": lambda x: np.array(x, order="F"),
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "spaced": lambda x: np.repeat(x, 2, -1)[..., ::2],
    "spread": lambda x: np.broadcast_to(x[..., :1], x.shape),
}


@st.composite
def arrays(draw, smallest=0):
    """An array of small numbers, some equal, in some layout, and some of its axes."""
    shape = draw(st.lists(st.sampled_from([smallest, 1, 2, 3, 17, 70]), min_size=1, max_size=3))
    x = np.random.default_rng(draw(st.integers(0, 99))).integers(-6, 7, shape) / 4
    x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x.astype(draw(st.sampled_from("fd"))))
    axes = st.sets(st.integers(-x.ndim, -1), min_size=1)
    return x, tuple(sorted(draw(axes)))


def agree(a, b, dtype):
    tolerance = {"f": 2e-6, "d": 1e-13}[np.dtype(dtype).char]
    assert a.shape == b.shape and a.dtype == dtype
    np.testing.assert_allclose(a, b, rtol=4 * tolerance, atol=tolerance * 100)


@compiled
@quick
@given(arrays(), st.sampled_from(["total", "mean", "absolute_sum", "square_sum", "product"]), st.booleans())
def test_sums_and_products(given_, name, keepdims):
    x, axis = given_
    f = getattr(kernels, name)
    x = np.sign(x) * abs(x) ** x.dtype.type(0.01) if name == "product" else x
    with np.errstate(all="ignore"):
        agree(f.compiled(x, axis, keepdims), f.reference(x.astype("d"), axis, keepdims), x.dtype)


@compiled
@quick
@given(arrays(smallest=1), st.sampled_from([1, -1]), st.sampled_from([None, np.nan, np.inf, -np.inf]), st.booleans())
def test_extremes_and_their_places(given_, sign, special, keepdims):
    x, axis = given_
    if special is not None:
        x = np.array(x)
        x.flat[:: max(x.size // 3, 1)] = special
    a, b = (f(x, axis, sign, keepdims) for f in (extreme.most.compiled, extreme.most.reference))
    assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    a, b = (f(x, axis[:1], sign) for f in (extreme.place.compiled, extreme.place.reference))
    assert a.dtype == b.dtype == np.int64 and np.array_equal(a, b)
    top = extreme.most(x, axis, sign, True)
    g = np.arange(1, top.size + 1).reshape(top.shape).astype(x.dtype)
    agree(extreme.shares.compiled(g, x, top, axis), extreme.shares.reference(g, x, top, axis), x.dtype)


@compiled
@quick
@given(arrays(smallest=1), st.booleans(), st.booleans())
def test_moments(given_, root, keepdims):
    x, axis = given_
    a = moments.variance.compiled(x, axis, 3, root, keepdims)
    agree(a, moments.variance.reference(x.astype("d"), axis, 3, root, keepdims), x.dtype)
    g = np.ones([1 if k in axis else n for k, n in enumerate(x.shape, -x.ndim)], x.dtype)
    pulled = moments.variance_pull.compiled(g, x, axis, 0.5)
    agree(pulled, moments.variance_pull.reference(g.astype("d"), x.astype("d"), axis, 0.5), x.dtype)


@compiled
def test_equal_entries_have_no_variance():
    for shape, axis in (((100_000,), (-1,)), ((1000, 70), (-2,)), ((7, 13), (-1,))):
        x = np.full(shape, 0.1, np.float32) * np.float32(3)
        assert (moments.variance.compiled(x, axis, 1) == 0).all()


@compiled
def test_long_sums_keep_their_digits():
    rng = np.random.default_rng(0)
    x = rng.random(10**7, np.float32)
    for y, axis in ((x, (-1,)), (x.reshape(-1, 10), (-2,)), (x.reshape(10, -1), (-1,)), (x.reshape(-1, 1000), (-2,))):
        exact = y.sum(axis, dtype=np.float64)
        assert np.abs(kernels.total.compiled(y, axis) / exact - 1).max() < 5e-7
        assert np.abs(kernels.mean.compiled(y, axis) * (y.size / exact.size) / exact - 1).max() < 5e-7
    shifted = x + np.float32(1000)
    exact = shifted.astype(np.float64).var()
    assert abs(moments.variance.compiled(shifted, (-1,), x.size) / exact - 1) < 1e-5


@compiled
@pytest.mark.parametrize("axis", [(-1,), (-2,), (-2, -1)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(axis):
    x = np.random.default_rng(0).standard_normal((3000, 301)).astype(np.float32)
    ways = [
        kernels.total.compiled, kernels.mean.compiled, functools.partial(extreme.most.compiled, sign=1),
        functools.partial(moments.variance.compiled, divisor=7),
    ]  # fmt: skip
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append([f(x, axis) for f in ways])
    finally:
        set_num_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


REDUCTIONS = {
    "sum": lambda m, x, d: x.sum(d),
    "mean": lambda m, x, d: x.mean(d),
    "var": lambda m, x, d: x.var(d),
    "std": lambda m, x, d: x.std(d),
    "amax": lambda m, x, d: x.amax(d),
    "amin": lambda m, x, d: x.amin(d),
    "max": lambda m, x, d: x.max(d).values,
    "prod": lambda m, x, d: (x / 8 + 1).prod(d),
    "norm 2": lambda m, x, d: m.norm(x, 2, d),
    "norm 1": lambda m, x, d: m.norm(x, 1, d),
    "norm inf": lambda m, x, d: m.norm(x, float("inf"), d),
    "norm 3": lambda m, x, d: m.norm(x, 3, d),
}


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_values_and_gradients_are_torchs(name, dim):
    torch = pytest.importorskip("torch")
    data = np.random.default_rng(0).standard_normal((12, 40, 30))
    call, found = REDUCTIONS[name], []
    for module in (ag, torch):
        x = module.tensor(data, requires_grad=True) if module is torch else ag.tensor(data).requires_grad_()
        y = call(module, x, dim)
        w = module.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)))
        gradient = ag.gradient if module is ag else torch.autograd.grad
        (g,) = gradient([(y * w).sum()], [x], create_graph=True)
        y2 = (g * g).sum()
        second = gradient([y2], [x], allow_unused=True)[0] if y2.requires_grad else None
        second = np.zeros(1) if second is None else second.numpy(force=True) if module is torch else second.numpy()
        found.append([y.detach().numpy(), g.detach().numpy(), second])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs * np.ones_like(ours), rtol=1e-9, atol=1e-11)


def test_argmax_is_torchs_with_ties_and_nan():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 5, (200, 50)).astype(np.float32)
    x[3, 7] = x[3, 9] = x[100, 7] = np.nan
    for dim in (None, 0, 1):
        assert np.array_equal(ag.argmax(ag.tensor(x), dim).numpy(), torch.argmax(torch.tensor(x), dim).numpy())
        assert np.array_equal(ag.argmin(ag.tensor(x), dim).numpy(), torch.argmin(torch.tensor(x), dim).numpy())


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 16, 63, 64, 65, 127, 128, 130])
def test_the_largest_wherever_it_is_in_a_row(n, dtype):
    """Rows end in whole vectors, of which some entries were seen before: each place is looked at, and NaN wins anywhere."""
    x = np.where(np.eye(n, dtype=bool), 1, -np.arange(n)).astype(dtype)
    assert (extreme.most.compiled(x, (-1,), 1) == 1).all() and (extreme.most.compiled(-x, (-1,), -1) == -1).all()
    x[np.arange(n), np.arange(n)] = np.nan
    assert np.isnan(extreme.most.compiled(x, (-1,), 1)).all()
