"""Pooling against PyTorch, against sums written out, and what is said of arguments that do not fit."""

import itertools
import tracemalloc

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import _kept
from autograd_core.ops import pooling as F
from autograd_core.ops import unpooling
from autograd_core.ops.resampling import interpolate
from autograd_core.tensor import Tensor

RNG = np.random.default_rng(7)


def compare(name, x, *args, second=True, **options):
    """Values, places, gradients and second gradients as PyTorch has them."""
    torch = pytest.importorskip("torch")
    theirs_x = torch.tensor(x, requires_grad=True)
    ours_x = Tensor(x, requires_grad=True)
    theirs = getattr(torch.nn.functional, name)(theirs_x, *args, **options)
    ours = getattr(F, name)(ours_x, *args, **options)
    if isinstance(theirs, tuple):
        assert ours[1].dtype == np.int64
        np.testing.assert_array_equal(ours[1].numpy(), theirs[1].numpy())
        ours, theirs = ours[0], theirs[0]
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    weights = np.cos(np.arange(theirs.numel())).reshape(theirs.shape)
    (g,) = ag.gradient((ours**3 * ag.tensor(weights)).sum(), [ours_x], create_graph=second)
    (e,) = torch.autograd.grad((theirs**3 * torch.tensor(weights)).sum(), theirs_x, create_graph=second)
    np.testing.assert_allclose(g.detach().numpy(), e.detach().numpy(), rtol=1e-8, atol=1e-10)
    if second:
        (gg,) = ag.gradient((g * g).sum(), [ours_x])
        (ee,) = torch.autograd.grad((e * e).sum(), theirs_x)
        np.testing.assert_allclose(gg.numpy(), ee.numpy(), rtol=1e-7, atol=1e-9)


def drawn(d, batch=True, sizes=(5, 7, 6)):
    return RNG.standard_normal((*((2, 3) if batch else (3,)), *sizes[-d:]))


WINDOWS = [
    dict(kernel_size=2),
    dict(kernel_size=3, stride=2, padding=1),
    dict(kernel_size=3, stride=1, padding=1),
    dict(kernel_size=2, stride=3),
    dict(kernel_size=3, stride=2, ceil_mode=True),
    dict(kernel_size=2, stride=2, padding=1, ceil_mode=True),
    dict(kernel_size=4, stride=3, padding=2, ceil_mode=True),
    dict(kernel_size=2, stride=5, ceil_mode=True),
    dict(kernel_size=5, stride=1),
]


@pytest.mark.parametrize("d, options", [*itertools.product([1, 2, 3], WINDOWS)])
def test_max(d, options):
    compare(f"max_pool{d}d", drawn(d), **options, return_indices=True)
    compare(f"max_pool{d}d", drawn(d, batch=False), **options)


@pytest.mark.parametrize("d, dilation", [*itertools.product([1, 2, 3], [2, 3])])
def test_max_with_dilation(d, dilation):
    for stride, padding, ceil in itertools.product([1, 2, 3], [0, 1], [False, True]):
        x = drawn(d, sizes=(6, 7, 8))
        compare(f"max_pool{d}d", x, 2, stride, padding, dilation, ceil, return_indices=True, second=False)


def test_max_with_a_number_for_each_axis():
    compare("max_pool2d", drawn(2), (2, 3), (1, 2), (1, 0), (2, 1), return_indices=True)
    compare("max_pool3d", drawn(3), [2, 3, 1], (1, 2, 3), (1, 0, 0), return_indices=True)
    compare("max_pool2d", drawn(2), (2,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", WINDOWS)
def test_ties_nan_and_infinities(options, dtype):
    torch = pytest.importorskip("torch")
    x = RNG.integers(0, 3, (2, 2, 9, 21)).astype(dtype)
    for value in (np.nan, np.inf, -np.inf):
        x[RNG.random(x.shape) < 0.1] = value
    x[0, 0] = -np.inf
    theirs = torch.nn.functional.max_pool2d(torch.tensor(x), **options, return_indices=True)
    for values, places in (F.max_pool2d(x, **options, return_indices=True), in_numpy(x, options)):
        np.testing.assert_array_equal(values, theirs[0].numpy())
        np.testing.assert_array_equal(places, theirs[1].numpy())


def in_numpy(x, options):
    """Maxima without any compiling."""
    keys = "kernel_size", "stride", "padding", "dilation", "ceil_mode"
    usual = dict(stride=None, padding=0, dilation=1, ceil_mode=False) | options
    windows = F.max_windows("max_pool2d", 2, x.shape, *[usual[k] for k in keys])
    return F.kernels.largest.reference(x, windows)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float16])
def test_max_of_other_types(dtype):
    x = RNG.integers(0, 9, (2, 4, 6)).astype(dtype)
    y = F.max_pool2d(x, 2)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x.reshape(2, 2, 2, 3, 2).max((2, 4)))


@pytest.mark.parametrize("d, options", [*itertools.product([1, 2, 3], WINDOWS)])
def test_average(d, options):
    for include in (True, False):
        compare(f"avg_pool{d}d", drawn(d), **options, count_include_pad=include)
    compare(f"avg_pool{d}d", drawn(d, batch=False), **options)


@pytest.mark.parametrize("d", [2, 3])
def test_average_over_a_divisor(d):
    compare(f"avg_pool{d}d", drawn(d), 3, 2, 1, divisor_override=5)
    compare(f"avg_pool{d}d", drawn(d), 3, 2, 1, True, False, -2)


@pytest.mark.parametrize("d, size", [*itertools.product([1, 2, 3], [1, 2, 3, 4, 5, 9])])
def test_adaptive(d, size):
    compare(f"adaptive_avg_pool{d}d", drawn(d), size)
    compare(f"adaptive_max_pool{d}d", drawn(d), size, return_indices=True)
    compare(f"adaptive_max_pool{d}d", drawn(d, batch=False), size)


def test_adaptive_sizes_that_stay():
    compare("adaptive_avg_pool2d", drawn(2), (None, 3))
    compare("adaptive_max_pool2d", drawn(2), (3, None))
    compare("adaptive_avg_pool3d", drawn(3), (2, None, 1))
    assert F.adaptive_avg_pool2d(np.ones((2, 3, 4)), 0).shape == (2, 0, 0)


@pytest.mark.parametrize("d, p", [*itertools.product([1, 2, 3], [1, 2, 3, 2.5])])
def test_norms(d, p):
    x = np.abs(drawn(d)) if p != 2 else drawn(d)
    compare(f"lp_pool{d}d", x, p, 2)
    compare(f"lp_pool{d}d", x, p, 3, 2, True)


def test_norms_at_zero_and_infinity():
    x = Tensor(np.zeros((1, 2, 4)), requires_grad=True)
    (g,) = ag.gradient(F.lp_pool1d(x, 2, 2).sum(), [x])
    np.testing.assert_array_equal(g.numpy(), np.zeros((1, 2, 4)))
    x = np.abs(drawn(2))
    np.testing.assert_array_equal(F.lp_pool2d(x, float("inf"), 2), F.max_pool2d(x, 2))


@pytest.mark.parametrize("d", [2, 3])
def test_fractional(d):
    torch = pytest.importorskip("torch")
    x = drawn(d, sizes=(9, 11, 10))
    u = RNG.random((2, 3, d))
    for size, kernel in itertools.product([1, 2, 5, 6], [1, 2, 3]):
        name = f"fractional_max_pool{d}d"
        theirs_x, ours_x = torch.tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
        theirs = getattr(torch.nn.functional, name)(
            theirs_x, kernel, size, return_indices=True, _random_samples=torch.tensor(u)
        )
        ours = getattr(F, name)(ours_x, kernel, size, return_indices=True, _random_samples=ag.tensor(u))
        np.testing.assert_array_equal(ours[0].detach().numpy(), theirs[0].detach().numpy())
        np.testing.assert_array_equal(ours[1].numpy(), theirs[1].numpy())
        (g,) = ag.gradient((ours[0] ** 2).sum(), [ours_x])
        (e,) = torch.autograd.grad((theirs[0] ** 2).sum(), theirs_x)
        np.testing.assert_allclose(g.numpy(), e.numpy())


def test_fractional_draws_from_the_generator():
    x = ag.tensor(drawn(2, sizes=(13, 13)))
    ag.manual_seed(3)
    a = F.fractional_max_pool2d(x, 2, output_ratio=0.7)
    b = F.fractional_max_pool2d(x, 2, output_ratio=0.7)
    ag.manual_seed(3)
    c = F.fractional_max_pool2d(x, 2, output_ratio=(0.7, 0.7))
    assert a.shape == (2, 3, 9, 9)
    np.testing.assert_array_equal(a.numpy(), c.numpy())
    assert not np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("d", [1, 2, 3])
def test_unpooling(d):
    torch = pytest.importorskip("torch")
    x, pool, back = drawn(d, sizes=(6, 8, 7)), f"max_pool{d}d", f"max_unpool{d}d"
    for kernel, stride, padding, size in [(2, None, 0, None), (2, 2, 0, x.shape), (3, 3, 1, x.shape[2:])]:
        leaf, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, places = getattr(F, pool)(leaf, kernel, stride, padding, return_indices=True)
        u, spots = getattr(torch.nn.functional, pool)(other, kernel, stride, padding, return_indices=True)
        if size is None and any(n % 2 for n in x.shape[2:]):
            size = x.shape[2:]
        try:
            v = getattr(torch.nn.functional, back)(u, spots, kernel, stride, padding, size)
        except (RuntimeError, ValueError):
            with pytest.raises((ValueError, IndexError)):
                getattr(unpooling, back)(y, places, kernel, stride, padding, size)
            continue
        z = getattr(unpooling, back)(y, places, kernel, stride, padding, size)
        np.testing.assert_array_equal(z.detach().numpy(), v.detach().numpy())
        (g,) = ag.gradient((z**2).sum(), [leaf])
        (e,) = torch.autograd.grad((v**2).sum(), other)
        np.testing.assert_allclose(g.numpy(), e.numpy())


def test_against_sums_written_out():
    x = RNG.standard_normal((2, 3, 6, 8))
    blocks = x.reshape(2, 3, 3, 2, 4, 2)
    np.testing.assert_allclose(F.avg_pool2d(x, 2), blocks.mean((3, 5)))
    np.testing.assert_array_equal(F.max_pool2d(x, 2), blocks.max((3, 5)))
    np.testing.assert_allclose(F.lp_pool2d(x, 2, 2), np.sqrt((blocks**2).sum((3, 5))))
    np.testing.assert_allclose(F.adaptive_avg_pool2d(x, (3, 4)), blocks.mean((3, 5)))
    np.testing.assert_allclose(F.adaptive_avg_pool2d(x, 1)[..., 0, 0], x.mean((2, 3)))
    leaf = Tensor(x, requires_grad=True)
    (g,) = ag.gradient(F.avg_pool2d(leaf, 3, 2, 1).sum(), [leaf])
    rows, columns = np.array([1, 2, 1, 2, 1, 1]), np.array([1, 2, 1, 2, 1, 2, 1, 1])
    np.testing.assert_allclose(g.numpy()[0, 0], np.outer(rows, columns) / 9)


def test_batches_and_forward_mode():
    x = RNG.standard_normal((4, 2, 6, 8))
    f = lambda t: F.max_pool2d(t, 3, 2, 1) * F.avg_pool2d(t, 3, 2, 1)
    y = ag.vmap(f)(ag.tensor(x))
    np.testing.assert_allclose(y.numpy(), np.stack([f(v) for v in x]))
    u = RNG.standard_normal(x.shape)
    _, tangent = ag.jvp(f, (ag.tensor(x),), (ag.tensor(u),))
    np.testing.assert_allclose(tangent.numpy(), (f(x + 1e-6 * u) - f(x - 1e-6 * u)) / 2e-6, rtol=1e-5, atol=1e-6)


def test_an_empty_batch():
    x = np.zeros((0, 3, 4, 4), np.float32)
    assert F.max_pool2d(x, 2).shape == F.avg_pool2d(x, 2).shape == (0, 3, 2, 2)
    assert F.adaptive_avg_pool2d(x, 1).shape == (0, 3, 1, 1)


IMAGE = np.zeros((1, 2, 5, 5))
ERRORS = [
    (lambda: F.max_pool2d(IMAGE[0, 0], 2), ValueError, r"^max_pool2d: needs 3 axes \(C, H, W\) or 4 axes .*\(5, 5\)"),
    (lambda: F.max_pool1d(IMAGE, 2), ValueError, "^max_pool1d: needs 2 axes"),
    (lambda: F.max_pool2d(IMAGE, 6), ValueError, "^max_pool2d: windows over 6 entries do not fit an axis of 5"),
    (lambda: F.avg_pool2d(IMAGE, 2, padding=2), ValueError, "^avg_pool2d: padding 2 is more than half"),
    (lambda: F.max_pool2d(IMAGE, 0), ValueError, "^max_pool2d: kernel_size, stride and dilation must be at least 1"),
    (lambda: F.max_pool2d(IMAGE, 2, 0), ValueError, "^max_pool2d: kernel_size, stride"),
    (lambda: F.max_pool2d(IMAGE, (1, 2, 3)), ValueError, "^max_pool2d: kernel_size must be a number or 2 numbers"),
    (lambda: F.max_pool2d(IMAGE, 1.5), TypeError, "^max_pool2d: kernel_size must be a number"),
    (lambda: F.avg_pool2d(IMAGE, 2, divisor_override=0), ValueError, "^avg_pool2d: divisor_override"),
    (lambda: F.avg_pool2d(IMAGE.astype(int), 2), TypeError, "^avg_pool2d: needs floating-point entries, got int64"),
    (lambda: F.adaptive_avg_pool2d(IMAGE, -2), ValueError, "^adaptive_avg_pool2d: output_size must not be negative"),
    (lambda: F.adaptive_max_pool2d(IMAGE, (1, 2, 3)), ValueError, "^adaptive_max_pool2d: output_size must be"),
    (lambda: F.lp_pool2d(IMAGE, 0, 2), ValueError, "^lp_pool2d: norm_type must be positive"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2), ValueError, "^fractional_max_pool2d: give either"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, 5), ValueError, "^fractional_max_pool2d: .* do not fit"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, output_ratio=2.0), ValueError, "output_ratio must be between 0 and 1"),
    (
        lambda: unpooling.max_unpool2d(IMAGE, np.zeros((1, 2, 5, 4), int), 2),
        ValueError,
        "^max_unpool2d: indices must have the shape",
    ),
    (
        lambda: unpooling.max_unpool2d(IMAGE, np.zeros(IMAGE.shape, int), 2, output_size=(90, 9)),
        ValueError,
        "^max_unpool2d: output_size",
    ),
    (
        lambda: unpooling.max_unpool2d(IMAGE, np.full(IMAGE.shape, -7), 2),
        IndexError,
        "^max_unpool2d: index -7 lies outside of a result of size",
    ),
    (
        lambda: unpooling.max_unpool2d(IMAGE, np.full(IMAGE.shape, 10**6), 2),
        IndexError,
        "^max_unpool2d: index 1000000 lies outside of a result of size",
    ),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("shape, kernel, stride, padding", [
    ((1, 2, 6000), 100, 1, 0), ((1, 1, 9000), 301, 3, 150), ((1, 1, 5000), 2500, 1, 1250), ((1, 1, 5000), 5000, 1, 2500),
    ((1, 1, 7003), 400, 7, 10),
])  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"ceil_mode": True}, {"count_include_pad": False, "ceil_mode": True}])
def test_long_windows_that_overlap(shape, kernel, stride, padding, options):
    compare("avg_pool1d", RNG.standard_normal(shape), kernel, stride, padding, **options)


def test_long_windows_of_planes():
    x = RNG.standard_normal((1, 2, 3000, 4))
    compare("avg_pool2d", x, (200, 2), (1, 2), (100, 1))
    compare("avg_pool2d", x.transpose(0, 1, 3, 2).copy(), (2, 200), 1, divisor_override=7)
    compare("lp_pool1d", np.abs(x[..., 0]), 2.0, 200, 1)


def test_a_long_window_holds_its_entries_and_no_others():
    x = np.ones((1, 1, 8000), np.float32)
    x[0, 0, 4000], x[0, 0, 2000] = np.nan, np.inf
    y = F.avg_pool1d(ag.tensor(x), 100, 1).numpy()[0, 0]
    places = np.arange(len(y))
    taken = lambda at: (places <= at) & (at < places + 100)
    np.testing.assert_array_equal(y, np.where(taken(4000), np.nan, np.where(taken(2000), np.inf, np.float32(1))))
    half = F.avg_pool1d(ag.full((1, 1, 8000), 1000.0, dtype=ag.float16), 100, 1)
    assert half.dtype == np.float16 and (half.numpy() == 1000).all()


def test_averages_take_memory_in_proportion_to_what_goes_in_and_comes_out():
    tracemalloc.start()
    try:
        F.avg_pool1d(ag.zeros(1, 1, 100_000), 1001, 1)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_what_is_remembered_of_shapes_is_bounded(monkeypatch):
    monkeypatch.setattr(_kept, "ROOM", 1 << 20)
    F.avg_pool1d(ag.zeros(1, 1, 100), 3, 1)
    tracemalloc.start()
    try:
        for n in range(20_000, 20_060):
            F.avg_pool1d(ag.zeros(1, 1, n), 3, 1), F.max_pool1d(ag.zeros(1, 1, n), 3, 1)
            interpolate(ag.zeros(1, 1, n), scale_factor=2, mode="linear")
        assert tracemalloc.get_traced_memory()[0] < 8 << 20
    finally:
        tracemalloc.stop()


def test_unpooling_of_many_and_compiled():
    x, places = RNG.standard_normal((3, 1, 2, 2)), np.array([[[[0, 3], [8, 15]]]] * 3) % [[[[7]]], [[[16]]], [[[9]]]]
    unpooled = lambda x, i: unpooling.max_unpool2d(x, i, 2)
    expected = np.stack([unpooled(ag.tensor(a), ag.tensor(i)).numpy() for a, i in zip(x, places)])
    np.testing.assert_array_equal(ag.vmap(unpooled)(ag.tensor(x), ag.tensor(places)).numpy(), expected)
    run = ag.compile(unpooled)
    for a, i, y in zip(x, places, expected):
        np.testing.assert_array_equal(run(ag.tensor(a), ag.tensor(i)).numpy(), y)
    with pytest.raises(IndexError, match="max_unpool2d: index 16 lies outside"):
        run(ag.tensor(x[0]), ag.tensor(places[0] + 16))
