"""The kernels of convolution against their references: shapes drawn at random, both types, one thread and several."""

import platform

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograd_core.kernels import (
    conv,
    conv_across,
    conv_gradients,
    conv_layout,
    conv_planes,
    conv_tiling,
    conv_windows,
    conv_winograd,
)
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.kernels.conv_shapes import shape_of

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


@st.composite
def convolutions(draw, rank=None):
    """Arrays x and w, and how to convolve them."""
    rank = rank or draw(st.sampled_from([1, 2, 2, 3]))
    few = {1: 30, 2: 14, 3: 6}[rank]
    sizes = lambda low, high: st.tuples(*[st.integers(low, high)] * rank)
    groups, c, k = (draw(st.sampled_from(v)) for v in ([1, 1, 2, 3], [1, 2, 3, 5, 16, 18], [1, 3, 4, 9, 16, 33]))
    if draw(st.integers(0, 5)) == 0:
        groups, c, k = 5, 1, draw(st.integers(1, 2))
    size, kernel, stride = draw(sizes(1, few)), draw(sizes(1, 4)), draw(sizes(1, 3))
    padding, dilation = tuple(zip(draw(sizes(0, 3)), draw(sizes(0, 3)))), draw(sizes(1, 2))
    if draw(st.integers(0, 4)) == 0:
        kernel, stride, padding = (1,) * rank, (1,) * rank, ((0, 0),) * rank
    assume(all(n + sum(p) >= d * (k - 1) + 1 for n, k, p, d in zip(size, kernel, padding, dilation)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from("fd"))
    x = rng.standard_normal((draw(st.integers(0, 3)), c * groups, *size)).astype(dtype)
    w = rng.standard_normal((k * groups, c, *kernel)).astype(dtype)
    return x, w, (stride, padding, dilation, groups)


def close(a, b, rtol=2e-5):
    """Assert that arrays agree within rounding, relative to the largest entry."""
    assert a.shape == b.shape and a.dtype == b.dtype
    rtol = rtol if a.dtype == np.float32 else 1e-12
    assert a.size == 0 or np.abs(a - b).max() <= rtol * (1 + np.abs(b).max())


def all_three(x, w, how):
    """Names, functions and arguments of the convolution and its gradients."""
    y = conv.convolve.reference(x, w, *how)
    g = np.random.default_rng(0).standard_normal(y.shape).astype(y.dtype)
    yield conv.convolve, (x, w, *how)
    yield conv.convolve_input, (g, w, *how, x.shape[2:])
    yield conv.convolve_weight, (g, x, *how, w.shape[2:])


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_compiled_equals_reference(case):
    for f, args in all_three(*case):
        close(f.compiled(*args), f.reference(*args), 8e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "size, kernel, stride, padding",
    [
        ((1, 7, 5), (1, 2, 3), (4, 4, 2), ((1, 1), (3, 3), (0, 0))),
        ((1, 7, 5), (1, 2, 3), (4, 1, 1), ((2, 1), (3, 3), (0, 0))),
        ((7, 1), (2, 1), (1, 4), ((0, 1), (1, 1))),
        ((1, 7), (1, 2), (4, 2), ((1, 1), (0, 1))),
        ((1,), (1,), (5,), ((2, 2),)),
    ],
)
def test_axes_along_which_only_padding_is_read(size, kernel, stride, padding, groups):
    """The one step that fits begins before the image, and ends there."""
    rng, how = np.random.default_rng(0), (stride, padding, (1,) * len(size), groups)
    x, w = rng.standard_normal((3, 10, *size)), rng.standard_normal((10, 10 // groups, *kernel))
    for f, args in all_three(x, w, how):
        found = f.compiled(*args)
        np.testing.assert_array_equal(found, np.zeros_like(found))


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("groups", [1, 5])
def test_what_strides_pass_over_has_a_gradient_of_zero(dtype, groups):
    """A column of padding is all that a stride of 3 meets: no tap reaches the input, and all of its gradient is zeros."""
    g, w = np.ones((1, 5, 11, 1), dtype), np.ones((5, 5 // groups, 2, 1), dtype)
    how = (1, 3), ((2, 1), (1, 1)), (1, 1), groups
    assert np.array_equal(conv.convolve_input.compiled(g, w, *how, (9, 1)), np.zeros((1, 5, 9, 1), dtype))


@pytest.mark.parametrize("dtype", "fd")
def test_a_gradient_may_read_one_of_several_planes(dtype):
    """Padding before the only plane makes a second one of the result, of which the gradient reads just that one."""
    g, w = np.arange(8.0).reshape(1, 1, 2, 2, 2).astype(dtype), np.full((1, 1, 1, 1, 1), 2, dtype)
    args = g, w, (1, 1, 2), ((1, 0), (0, 0), (2, 0)), (1, 1, 1), 1, (1, 2, 1)
    assert np.array_equal(conv.convolve_input.compiled(*args).ravel(), [10, 14])


def how_to(rank=2, stride=1, padding=0, dilation=1, groups=1):
    """Static parameters, the same for all axes."""
    return (stride,) * rank, ((padding, padding),) * rank, (dilation,) * rank, groups


TILES = [
    ((2, 16, 9, 11), (17, 16, 3, 3), how_to(padding=1)),
    ((3, 33, 20, 7), (40, 33, 3, 3), how_to()),
    ((9, 20, 5, 5), (16, 20, 3, 3), how_to(padding=2)),
    ((4, 64, 14, 14), (65, 64, 3, 3), how_to(padding=1)),
    ((8, 256, 14, 14), (256, 256, 3, 3), how_to(padding=1)),
    ((40, 32, 16, 16), (32, 32, 3, 3), how_to(padding=1)),
    ((2, 24, 13, 17), (32, 24, 3, 3), ((1, 1), ((1, 2), (3, 0)), (2, 3), 1)),
    ((2, 64, 28, 28), (64, 64, 5, 5), how_to(padding=2)),
    ((2, 19, 23, 29), (37, 19, 5, 3), how_to()),
    ((2, 19, 23, 29), (7, 19, 3, 5), how_to(padding=1)),
    ((3, 36, 11, 9), (60, 12, 3, 3), how_to(padding=1, groups=3)),
    ((2, 16, 6, 14, 9), (32, 16, 3, 3, 3), how_to(3, padding=1)),
    ((2, 5, 6, 9, 7), (7, 5, 2, 3, 3), ((1, 1, 1), ((0, 1), (1, 1), (2, 2)), (2, 1, 1), 1)),
    ((3, 64, 300), (90, 64, 5), how_to(1, padding=2)),
    ((2, 20, 90), (9, 20, 3), how_to(1, padding=2, dilation=4)),
    ((2, 16, 29, 28), (32, 16, 3, 3), how_to(stride=2, padding=1)),
    ((2, 3, 30, 31), (20, 3, 7, 7), how_to(stride=2, padding=3)),
    ((2, 32, 12, 13), (40, 32, 4, 4), how_to(stride=2, padding=1)),
    ((2, 32, 28, 28), (40, 32, 5, 5), how_to(stride=2, padding=2)),
    ((2, 16, 28, 28), (40, 16, 3, 6), ((1, 2), ((2, 2), (1, 1)), (1, 1), 1)),
    ((1, 16, 29, 30), (40, 16, 9, 9), how_to(stride=3, padding=4)),
    ((2, 48, 15, 16), (40, 48, 4, 4), how_to(padding=1)),
]


@pytest.mark.parametrize("x, w, how", TILES)
def test_tiles_stay_within_their_tolerance(x, w, how, monkeypatch):
    """Errors below 1e-5 of the largest entry, against sums in float64; and the same bits for any number of threads."""
    rng, threads = np.random.default_rng(0), get_num_threads()
    x, w = rng.standard_normal(x).astype("f"), rng.standard_normal(w).astype("f")
    used = []
    monkeypatch.setattr(conv_tiling, "fits", lambda *args: used.append(args) or True)
    for f, args in all_three(x, w, how):
        exact = f.reference(*(a.astype("d") if isinstance(a, np.ndarray) else a for a in args))
        try:
            results = [set_num_threads(n) or f.compiled(*args) for n in (1, 2, 3)]
        finally:
            set_num_threads(threads)
        assert np.abs(results[0] - exact).max() <= 1e-5 * np.abs(exact).max()
        assert all(np.array_equal(results[0], r) for r in results[1:])
    assert used


@st.composite
def tiled_convolutions(draw):
    """The same for those that may be computed on tiles."""
    taps, strided = draw(st.sampled_from(conv_tiling.KINDS)), draw(st.booleans())
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))
    stride = tuple(step if r > 1 else 1 for step, r in zip(pair(1, 3), taps)) if strided else (1, 1)
    kernel = tuple(r * step - draw(st.integers(0, step - 1)) for r, step in zip(taps, stride))
    dilation, groups = ((1, 1), 1) if strided else (pair(1, 3), draw(st.integers(1, 3)))
    padding = tuple(pair(0, 3) for _ in range(2))
    size = tuple(d * (k - 1) + 1 + draw(st.integers(0, 12)) for d, k in zip(dilation, kernel))
    planes, depth, n, outer = (draw(st.integers(*v)) for v in ((0, 3), (1, 3), (1, 2), (1, 40)))
    inner = draw(st.sampled_from([1, 3, 16, 17, 32]))
    inner = inner if stride == (1, 1) or inner % 16 == 0 else 1 + inner % 5
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = rng.standard_normal((n, inner * groups, depth + planes, *size)).astype("f")
    w = rng.standard_normal((outer * groups, inner, depth, *kernel)).astype("f")
    return x, w, ((1, *stride), ((1, 0), *padding), (draw(st.integers(1, 2)) if planes > 2 else 1, *dilation), groups)


@settings(max_examples=40, deadline=None)
@given(tiled_convolutions())
def test_any_convolution_on_tiles(case):
    x, w, how = case
    assume(all(n + sum(p) >= d * (k - 1) + 1 for n, k, p, d in zip(x.shape[2:], w.shape[2:], how[1], how[2])))
    s = shape_of(x.shape, w.shape, *how)
    assume(conv_tiling.tiling(s))
    ways = conv_winograd.winograd, conv_winograd.winograd_input, conv_winograd.winograd_weight
    shapes = (s.x, s.w, s.y), (s.y, s.w, s.x), (s.y, s.x, s.w)
    for (f, args), way, (*of, into) in zip(all_three(x, w, how), ways, shapes):
        exact, found = f.reference(*args), np.full(into, np.nan, "f")
        way(*(a.reshape(shape) for a, shape in zip(args, of)), found, s)
        close(found.reshape(exact.shape), exact)


PLANES = [  # height and width, taps, step, padding
    ((9, 37), 3, 1, ((1, 1), (1, 1))),
    ((16, 16), 3, 1, ((0, 0), (0, 0))),
    ((7, 7), 3, 1, ((2, 0), (0, 3))),
    ((13, 18), 3, 1, ((1, 1), (1, 1))),  # of the last lines some belong to two bands
    ((3, 50), 3, 2, ((1, 1), (1, 1))),
    ((56, 33), 3, 2, ((0, 1), (0, 1))),
    ((14, 15), 3, 2, ((1, 2), (3, 0))),
    ((11, 40), 5, 1, ((2, 2), (2, 2))),
    ((6, 9), 5, 1, ((4, 1), (0, 5))),
    ((12, 70), 5, 2, ((2, 2), (2, 2))),
    ((8, 31), 5, 2, ((1, 2), (1, 2))),
]


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("size, taps, step, padding", PLANES)
def test_channels_by_themselves_are_convolved_as_they_lie(size, taps, step, padding, dtype):
    """Forward and both gradients, with one result for each channel and with two; an infinite entry reaches its windows."""
    rng = np.random.default_rng(0)
    for several in (1, 2):
        x, w = rng.standard_normal((2, 3, *size)), rng.standard_normal((3 * several, 1, taps, taps))
        how = (step, step), padding, (1, 1), 3
        assert conv_planes.fits(shape_of(x.shape, w.shape, *how), "weight")
        for f, args in all_three(x.astype(dtype), w.astype(dtype), how):
            args = [np.array(a) if isinstance(a, np.ndarray) else a for a in args]
            close(f.compiled(*args), f.reference(*args))
            image = args[0] if args[1].shape[-1] == taps else args[1]
            image[0, 1, -1, -1] = image[1, 0, 0, 0] = image[1, 1, 1, image.shape[-1] // 2] = np.inf
            with np.errstate(all="ignore"):
                exact = f.reference(*args)
            assert np.array_equal(np.isfinite(f.compiled(*args)), np.isfinite(exact))


LINES = [  # of tiles: several, one, in parts; read as they lie, or copied; planes; groups; a last block that is shorter
    ((3, 6, 14, 14), (16, 6, 5, 5), how_to()),
    ((2, 4, 9, 61), (21, 4, 3, 3), how_to(padding=1)),
    ((2, 8, 12, 12), (32, 4, 3, 3), how_to(padding=1, groups=2)),
    ((1, 64, 61, 57), (32, 64, 3, 3), how_to(padding=1, stride=2)),
    ((2, 3, 24, 30), (20, 3, 7, 7), how_to(padding=3, stride=2)),
    ((2, 5, 13, 19), (12, 5, 2, 4), ((2, 1), ((0, 3), (2, 5)), (1, 2), 1)),
    ((2, 3, 5, 6, 9), (16, 3, 2, 3, 3), ((2, 1, 1), ((1, 0), (1, 1), (1, 1)), (2, 1, 1), 1)),
    ((17, 6, 41), (16, 6, 5), how_to(1, padding=4, stride=2)),
    ((2, 14, 8, 8), (14, 14, 3, 3), how_to(padding=4)),
    ((2, 17, 33, 31), (9, 17, 2, 2), ((2, 2), ((1, 0), (0, 3)), (1, 1), 1)),
    ((1, 40, 23, 18), (12, 20, 4, 4), ((2, 2), ((1, 1), (2, 1)), (1, 1), 2)),
    ((1, 12, 5, 9, 26), (7, 12, 3, 2, 3), ((1, 2, 2), ((1, 1), (1, 1), (1, 0)), (2, 1, 1), 1)),
]


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("x, w, how", LINES)
def test_lines_meet_all_taps_across(x, w, how, dtype):
    """As the reference, with the same bits for any number of threads, and an infinite entry reaches its windows only."""
    rng, threads, s = np.random.default_rng(0), get_num_threads(), shape_of(x, w, *how)
    x, w = rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype)
    (f, args), (back, args_back), _ = all_three(x, w, how)
    cases = [(f, args, conv_across.forward, s.x, s.y)]
    if conv_across.goes_back(s):
        cases += [(back, args_back, conv_across.backward, s.y, s.x)]
    for f, args, way, of, into in cases:
        source = np.array(args[0])
        source[0, -1, ..., -1], source[-1, 0, ..., source.shape[-1] // 2] = np.inf, np.inf
        for a in (args[0], source):
            results = [np.full(into, np.nan, dtype) for _ in range(3)]
            with np.errstate(all="ignore"):
                exact = f.reference(a, *args[1:])
            try:
                for n, result in enumerate(results, 1):
                    set_num_threads(n)
                    way(a.reshape(of), w.reshape(s.w), result, s)
            finally:
                set_num_threads(threads)
            assert all(np.array_equal(results[0], r, equal_nan=True) for r in results[1:])
            if a is not source:
                close(results[0].reshape(exact.shape), exact)
            else:
                assert np.array_equal(np.isfinite(results[0]).reshape(exact.shape), np.isfinite(exact))


def test_results_are_nobody_elses():
    """What the kernels answer with are arrays of their own, which backward hands on without a copy."""
    rng, large = np.random.default_rng(0), lambda v: v.base is not None and not isinstance(v.base, np.ndarray)
    shapes = (
        ((4, 64, 56, 56), (64, 1, 3, 3), 64),
        ((2, 64, 56, 56), (128, 64, 1, 1), 1),
        ((4, 64, 56, 56), (8, 64, 3, 3), 1),
    )
    for x, w, groups in shapes:
        x, w = rng.standard_normal(x).astype("f"), rng.standard_normal(w).astype("f")
        how = (2, 2), ((w.shape[2] // 2,) * 2,) * 2, (1, 1), groups
        for f, args in all_three(x, w, how):
            result = f(*args)
            assert result.base is None or large(result)


WINDOWS = [  # what is worked on at a time: some lines of an image, all of some images, planes; by several for parts of K
    ((3, 5, 70, 40), (9, 5, 3, 3), how_to(padding=1), lambda r: 1 < 70 % r.block and r.many == 1),
    ((7, 3, 9, 9), (6, 3, 3, 3), how_to(padding=1), lambda r: 1 < r.many and 7 % r.many),
    ((1, 8, 30, 28), (40, 8, 3, 3), how_to(padding=1), lambda r: r.block == 30),
    ((4, 6, 31, 28), (7, 6, 3, 3), how_to(stride=2, padding=1), lambda r: (r.many_h, r.many_w) == (2, 2)),
    ((2, 4, 40, 39), (5, 4, 4, 5), ((3, 2), ((2, 0), (0, 3)), (1, 1), 1), lambda r: (r.many_h, r.many_w) == (3, 2)),
    ((2, 4, 40, 39), (5, 4, 2, 1), ((3, 3), ((0, 0), (1, 1)), (1, 1), 1), lambda r: (r.many_h, r.many_w) == (2, 1)),
    ((2, 4, 33, 31), (5, 4, 3, 2), ((1, 3), ((2, 2), (1, 1)), (3, 2), 1), lambda r: r.many_w == 3),
    ((3, 2, 7, 9, 12), (3, 2, 2, 3, 3), ((2, 1, 1), ((1, 1),) * 3, (2, 1, 1), 1), lambda r: r.planes == 9),
    ((3, 12, 20, 21), (21, 4, 3, 3), how_to(padding=1, groups=3), lambda r: True),
    ((4, 20, 2, 2), (1, 20, 3, 3), how_to(padding=2), lambda r: True),
    ((2, 6, 500), (13, 6, 5), how_to(1, padding=2, stride=2), lambda r: True),
]


HELD = [  # lines of an image, fewer at its end; images, fewer at the end; parts of K; planes; one line, turned whole
    ((2, 40, 71, 61), (33, 40, 3, 3), how_to(padding=1), lambda p: 1 < 71 % p.room[6] and p.room[5] == 1),
    ((7, 20, 9, 9), (18, 20, 3, 3), how_to(padding=1), lambda p: 1 < p.room[5] and 7 % p.room[5]),
    ((3, 30, 6, 7), (270, 30, 2, 3), ((2, 1), ((3, 0), (0, 4)), (1, 2), 1), lambda p: p.shares[1] == 2),
    ((3, 34, 19, 21), (100, 17, 3, 3), how_to(padding=1, stride=2, groups=2), lambda p: p.sizes[0] == 2),
    ((3, 5, 7, 9, 12), (3, 5, 2, 3, 3), ((2, 1, 3), ((1, 1),) * 3, (2, 1, 1), 1), lambda p: p.room[0] == 9),
    ((2, 17, 700), (13, 17, 19), how_to(1, padding=20), lambda p: p.sizes[2] == 1),
    ((2, 3, 60, 900), (5, 3, 1, 2), how_to(), lambda p: p.room[6] < 60),
    ((2, 3, 2, 2), (5, 3, 1, 1), how_to(padding=4, stride=4), lambda p: True),
]


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("way, x, w, how, kind", [("windows", *c) for c in WINDOWS] + [("lines", *c) for c in HELD])
def test_weights_from_lines_that_are_held(way, x, w, how, kind, dtype):
    """As the reference, with the same bits for any number of threads, and an entry that is none stays in its channel."""
    rng, threads, s = np.random.default_rng(0), get_num_threads(), shape_of(x, w, *how)
    plan, weight = {
        "windows": (conv_windows.room, conv_windows.weight),
        "lines": (conv_gradients.plan, conv_gradients.direct_weight),
    }[way]
    assert kind(plan(s, conv_layout.lanes_of(np.dtype("f"))))
    kernel, x, g = w[2:], rng.standard_normal(x).astype(dtype), rng.standard_normal(s.y).astype(dtype)
    exact = conv.convolve_weight.reference(g.reshape(*g.shape[:2], *s.out[-len(kernel) :]), x, *how, kernel)
    exact, x = exact.reshape(s.w), x.reshape(s.x)
    results = [np.full(s.w, np.nan, dtype) for _ in range(3)]
    try:
        for n, result in enumerate(results, 1):
            set_num_threads(n)
            weight(g, x, result, s)
    finally:
        set_num_threads(threads)
    close(results[0], exact)
    assert all(np.array_equal(results[0], r) for r in results[1:])
    x[:, 1], g[:, -1] = np.nan, np.inf
    inner, outer = s.inputs // s.groups, s.outputs // s.groups
    with np.errstate(all="ignore"):
        weight(g, x, results[0], s)
    found = np.isfinite(results[0]).reshape(s.groups, outer, inner, -1)
    expected = np.ones_like(found)
    expected[1 // inner, :, 1 % inner] = expected[-1, -1] = False
    assert not found[~expected].any() and found[expected].all()


@pytest.mark.parametrize(
    "x, w, how",
    [
        ((8, 16, 20, 20), (32, 16, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
        ((8, 16, 20, 20), (32, 16, 5, 5), ((2, 2), ((1, 1), (1, 1)), (1, 1), 1)),
        ((8, 16, 20, 20), (32, 16, 1, 1), ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
        ((8, 16, 20, 20), (16, 1, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 16)),
        ((8, 2, 20, 20), (5, 2, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
        ((8, 6, 20, 20), (16, 6, 5, 5), ((1, 1), ((2, 2), (0, 0)), (1, 1), 1)),
        ((8, 16, 20, 20), (32, 16, 1, 1), ((2, 2), ((0, 0), (0, 0)), (1, 1), 1)),
        ((8, 16, 20, 20), (16, 1, 3, 3), ((2, 2), ((1, 1), (1, 1)), (1, 1), 16)),
        ((8, 16, 20, 20), (32, 1, 5, 5), ((1, 1), ((2, 2), (2, 2)), (1, 1), 16)),
        ((2, 16, 40, 20), (32, 2, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 8)),
        ((8, 32, 20, 20), (16, 4, 3, 3), ((2, 2), ((1, 1), (1, 1)), (1, 1), 8)),
    ],
)
def test_threads_do_not_change_a_bit(x, w, how):
    rng, threads = np.random.default_rng(0), get_num_threads()
    x, w = rng.standard_normal(x).astype("f"), rng.standard_normal(w).astype("f")
    try:
        for f, args in all_three(x, w, how):
            results = []
            for n in (1, 2, 3):
                set_num_threads(n)
                results.append(f.compiled(*args))
            assert all(np.array_equal(results[0], r) for r in results[1:])
    finally:
        set_num_threads(threads)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize(
    "x, w, how",
    [
        ((2, 3, 300, 90), (3, 1, 3, 3), how_to(padding=1, groups=3)),  # images larger than what is worked on at a time
        ((1, 3, 300, 301), (6, 1, 3, 3), how_to(stride=2, padding=1, groups=3)),
        ((20, 4, 33, 31), (4, 1, 5, 3), ((3, 4), ((2, 2), (1, 0)), (1, 1), 4)),
        ((2, 6, 5, 9, 20), (6, 1, 1, 3, 1), ((2, 1, 3), ((1, 1),) * 3, (1, 1, 1), 6)),  # places that no tap reaches
        ((3, 32, 14, 17), (32, 4, 3, 3), how_to(padding=1, groups=8)),
        ((3, 32, 14, 17), (16, 4, 3, 2), how_to(stride=2, groups=8)),
        ((3, 64, 9, 30), (64, 16, 3, 3), how_to(padding=1, groups=4)),
        ((2, 32, 31, 31), (45, 32, 1, 1), how_to(stride=2)),
        ((2, 10, 40, 31), (6, 10, 1, 1), how_to(stride=3)),
        ((1, 64, 50, 50), (20, 64, 1, 1), how_to()),
    ],
)
def test_small_groups_and_single_taps(x, w, how, dtype):
    rng = np.random.default_rng(0)
    for f, args in all_three(rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype), how):
        close(f.compiled(*args), f.reference(*args), 8e-5)


@pytest.mark.parametrize("view", ["reversed", "transposed", "broadcast", "read-only"])
def test_any_strides(view):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 4, 9, 9)), rng.standard_normal((6, 4, 3, 3))
    x = {
        "reversed": lambda: x[:, ::-1, ::-2],
        "transposed": lambda: x.transpose(0, 1, 3, 2),
        "broadcast": lambda: np.broadcast_to(x[:1], x.shape),
        "read-only": lambda: x,
    }[view]()
    x.flags.writeable = False
    how = (1, 1), ((1, 1), (1, 1)), (1, 1), 1
    for f, args in all_three(x, w, how):
        close(f.compiled(*args), f.reference(*args))


def test_nan_and_infinity_stay_where_they_belong():
    x, w = np.zeros((1, 2, 12, 12)), np.ones((20, 2, 3, 3))
    x[0, 0, 2, 2], x[0, 1, 9, 9] = np.nan, np.inf
    how = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    y = conv.convolve.compiled(x, w, *how)
    np.testing.assert_array_equal(y, conv.convolve.reference(x, w, *how))
    assert np.isnan(y).sum() == 9 * 20 and np.isinf(y).sum() == 9 * 20


@pytest.mark.parametrize("dtype", ["e", "i", "D"])
def test_other_types_go_to_the_reference(dtype):
    x, w = np.ones((1, 2, 5), dtype), np.ones((3, 2, 2), dtype)
    y = conv.convolve.compiled(x, w, (1,), ((0, 0),), (1,), 1)
    assert y.dtype == dtype and np.all(y == 4)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("outer_first", [True, False])
@pytest.mark.parametrize(
    "inner, outer, taps, lanes", [(3, 40, 9, 32), (5, 16, 1, 16), (2, 33, 25, 32), (4, 7, 4, 5), (1, 70, 6, 16)]
)
def test_weights_are_packed_by_blocks_of_lanes(inner, outer, taps, lanes, outer_first, dtype):
    """Each entry where it belongs, for taps in any order and not all of them, and zeros where there is no channel."""
    groups, order = 2, np.random.default_rng(0).permutation(taps)[: taps - taps // 3]
    w = np.arange(1.0, groups * inner * outer * taps + 1).astype(dtype)
    shape = (groups, outer, inner, taps) if outer_first else (groups, inner, outer, taps)
    steps = (inner * outer * taps, *((inner * taps, taps) if outer_first else (taps, outer * taps)))
    blocks = -(-outer // lanes)
    expected = np.zeros((groups, blocks * lanes, inner, len(order)), dtype)
    expected[:, :outer] = (w.reshape(shape) if outer_first else w.reshape(shape).swapaxes(1, 2))[..., order]
    expected = expected.reshape(groups, blocks, lanes, inner, len(order)).transpose(0, 1, 4, 3, 2)
    found = conv_layout.packed(w, order, (inner, outer, lanes), steps, groups)
    assert np.array_equal(found.reshape(expected.shape), expected)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="others multiply and add at once")
@pytest.mark.parametrize("dtype", "fd")
def test_processors_without_fma_call_nothing_for_it(dtype):
    import llvmlite.binding as llvm
    from llvmlite import ir

    from autograd_core.kernels import _conv_tile, _machine, _shared

    _machine.machine()  # which makes LLVM ready
    module = ir.Module()
    _conv_tile.write_products(ir.Function(module, _shared.signature("products"), "products"), dtype, 16 * 2 + 3)
    target = llvm.Target.from_triple(llvm.get_process_triple())
    plain = target.create_target_machine(cpu="x86-64", features="")
    code = plain.emit_assembly(llvm.parse_assembly(str(module)))
    assert "mul" in code and "fma" not in code and "call" not in code
