"""The kernels of softmax, cross entropy and sums of losses: against references, on any layout, for any threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autograd_core.kernels import _jit, cross_entropy, ctc, losses, softmaxes
from autograd_core.kernels._threads import get_num_threads, set_num_threads

pytestmark = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
TOLERANCE = {"f": {"rtol": 2e-5, "atol": 2e-6}, "d": {"rtol": 1e-12, "atol": 1e-13}}
SPECIAL = [-np.inf, np.inf, np.nan, -np.nan, -1e30, 0.0]


@st.composite
def arrays(draw, special=True):
    """An array of up to three axes in any memory order, perhaps with infinities and NaN, and one of its axes."""
    shape = tuple(draw(st.lists(st.integers(0, 6) | st.sampled_from([33, 70]), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = (rng.standard_normal(shape) * 4).astype(draw(st.sampled_from("fd")))
    if special and draw(st.booleans()):
        x[rng.random(shape) < 0.2] = rng.choice(SPECIAL)
    x = np.transpose(x, draw(st.permutations(range(x.ndim))))
    x = x[tuple(slice(None, None, draw(st.sampled_from([1, -1, 2]))) for _ in shape)]
    if draw(st.booleans()):
        x = np.broadcast_to(x, (2, *x.shape))
    return x, draw(st.integers(-x.ndim, -1)), rng


@given(arrays())
def test_forward(case):
    x, axis, _ = case
    with np.errstate(all="ignore"):
        for f in (softmaxes.softmax, softmaxes.log_softmax):
            assert_allclose(f.compiled(x, axis), f.reference(x, axis), err_msg=f.__name__, **TOLERANCE[x.dtype.char])
        for keepdims in (True, False):
            for axes in {(axis,), tuple(range(axis, 0))}:
                args = x, axes, keepdims
                y, expected = softmaxes.logsumexp.compiled(*args), softmaxes.logsumexp.reference(*args)
                assert_allclose(y, expected, **TOLERANCE[x.dtype.char])


@given(arrays(special=False))
def test_backward(case):
    x, axis, rng = case
    v = rng.standard_normal(x.shape).astype(x.dtype)
    x = np.where(rng.random(x.shape) < 0.1, -np.inf, x)
    with np.errstate(all="ignore"):
        for f, pull in (
            (softmaxes.softmax, softmaxes.softmax_pull),
            (softmaxes.log_softmax, softmaxes.log_softmax_pull),
        ):
            y = f.reference(x, axis)
            tolerance = {"rtol": 1e-4, "atol": 1e-5} if x.dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
            assert_allclose(pull.compiled(v, y, axis), pull.reference(v, y, axis), **tolerance)
        y = softmaxes.logsumexp.reference(x, (-1,), True)
        g = rng.standard_normal(y.shape).astype(x.dtype)
        assert_allclose(
            softmaxes.shares.compiled(g, x, y), softmaxes.shares.reference(g, x, y), **TOLERANCE[x.dtype.char]
        )


def same_for_any_threads(f):
    """Assert that a function gives the same bits for one, two and three threads."""
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append(f())
    finally:
        set_num_threads(before)
    for y in results[1:]:
        np.testing.assert_array_equal(y, results[0])
    return results[0]


@pytest.mark.parametrize("shape, axis", [((300_000,), -1), ((2, 140_000), -1), ((700, 100), -1), ((3, 40, 1200), -2)])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_large(shape, axis, dtype):
    rng = np.random.default_rng(1)
    x, v = ((rng.standard_normal(shape) * 3).astype(dtype) for _ in "xv")
    x.reshape(-1)[:7] = -np.inf
    for f, args in (
        (softmaxes.softmax, (x, axis)),
        (softmaxes.log_softmax, (x, axis)),
        (softmaxes.logsumexp, (x, (axis,))),
        (softmaxes.softmax_pull, (v, softmaxes.softmax.reference(x, axis), axis)),
        (softmaxes.log_softmax_pull, (v, softmaxes.log_softmax.reference(x, axis), axis)),
    ):
        y = same_for_any_threads(lambda f=f, args=args: f.compiled(*args))
        scale = 100 if "pull" in f.__name__ else 1
        tolerance = {k: scale * t for k, t in TOLERANCE[dtype].items()}
        assert_allclose(y, f.reference(*args), err_msg=f.__name__, **tolerance)


@pytest.mark.parametrize("row", [[-np.inf] * 200_000, [np.inf] + [0.0] * 200_000, [np.nan] + [0.0] * 200_000])
def test_extremes_of_long_rows(row):
    x = np.array(row)
    with np.errstate(all="ignore"):
        for f in (softmaxes.softmax, softmaxes.log_softmax):
            assert_allclose(f.compiled(x, -1), f.reference(x, -1))
        assert_allclose(softmaxes.logsumexp.compiled(x, (-1,)), softmaxes.logsumexp.reference(x, (-1,)))


def test_other_types_are_left_to_the_reference():
    for dtype in ("e", "i", "F"):
        x = np.arange(200).reshape(2, 100).astype(dtype)
        if dtype != "F":
            np.testing.assert_array_equal(softmaxes.softmax.compiled(x, -1), softmaxes.softmax.reference(x, -1))
        args = x.astype("F" if dtype == "F" else "e"), (-1,)
        np.testing.assert_array_equal(softmaxes.logsumexp.compiled(*args), softmaxes.logsumexp.reference(*args))


@given(
    st.tuples(st.integers(0, 40), st.integers(1, 70), st.sampled_from([1, 1, 3, 30])),
    st.sampled_from("fd"),
    st.booleans(),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_cross_entropy(shape, dtype, weighted, smoothing, seed):
    forward = cross_entropy.forward
    rng = np.random.default_rng(seed)
    shape = shape[:2] if shape[2] == 1 else shape
    x = (rng.standard_normal(shape[::-1]) * 3).astype(dtype).T
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    target[rng.random(target.shape) < 0.1] = -100
    weight = rng.uniform(0.5, 2, shape[1]).astype(dtype) if weighted else None
    args = target, weight, -100, smoothing
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "f" else {"rtol": 1e-11, "atol": 1e-12}
    for reduction in ("mean", "sum", "none"):
        found, expected = (f(x, *args, reduction) for f in (forward.compiled, forward.reference))
        for a, b in zip(found, expected):
            assert a.dtype == b.dtype == x.dtype and a.shape == b.shape
            assert_allclose(a, b, **tolerance)
    for c in (rng.standard_normal(target.shape).astype(dtype), np.array(0.7, dtype)):
        for hit in (True, False):
            pulled = (c, x, expected[1], *args, hit)
            assert_allclose(
                cross_entropy.backward.compiled(*pulled), cross_entropy.backward.reference(*pulled), **tolerance
            )


@pytest.mark.parametrize("shape", [(3000, 30), (20, 40, 700)])
def test_cross_entropy_for_any_threads(shape):
    rng = np.random.default_rng(3)
    x, target = rng.standard_normal(shape).astype("f"), rng.integers(0, shape[1], (shape[0], *shape[2:]))
    loss, level, _ = (
        same_for_any_threads(lambda k=k: cross_entropy.forward.compiled(x, target, None, 5, 0.1)[k]) for k in range(3)
    )
    same_for_any_threads(lambda: cross_entropy.backward.compiled(loss, x, level, target, None, 5, 0.1, True))


@pytest.mark.parametrize("where", [0, 1234, -1])
def test_a_target_that_is_no_class_is_found(where):
    for shape in ((3000, 4), (3, 4, 1000)):
        target = np.zeros((shape[0], *shape[2:]), int)
        target.flat[where] = 4
        for f in (cross_entropy.forward.compiled, cross_entropy.forward.reference):
            with pytest.raises(IndexError, match="target 4 is no class"):
                f(np.zeros(shape), target, None, -100, 0.0)


@pytest.mark.parametrize("size", [0, 1, 5, 100, 70_001])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_sums(size, dtype):
    rng = np.random.default_rng(size)
    a, b = ((rng.standard_normal(size) * 5).astype(dtype)[::-1] for _ in "ab")
    for f, args in (
        (losses.squared_gaps, (a, b)),
        (losses.logit_losses, (a, b)),
        (losses.scaled_gap, (np.array(1.5, dtype), a, b)),
        (losses.scaled_logit_gap, (np.array(1.5, dtype), a, b)),
    ):
        y = same_for_any_threads(lambda f=f, args=args: f.compiled(*args))
        assert y.dtype == dtype
        assert_allclose(y, f.reference(*args), err_msg=f.__name__, **TOLERANCE[dtype])


def test_ctc():
    args = ctc.ctc.sample(np.random.default_rng(0), 300, np.dtype("d"))
    for a, b in zip(ctc.ctc.compiled(*args), ctc.ctc.reference(*args)):
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("n", [1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129])
def test_rows_that_end_within_a_vector(n, dtype):
    rng = np.random.default_rng(n)
    x, v = (rng.standard_normal((70, n)).astype(dtype) for _ in range(2))
    x[0], x[1, n // 2], x[2, -1], x[3, 0] = -np.inf, -np.inf, np.nan, np.inf
    wide = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        e = np.exp(wide - np.where(np.isinf(top := np.fmax.reduce(wide, 1, keepdims=True)) & (top < 0), 0, top))
        total = e.sum(1, keepdims=True)
        p = np.where(total == 0, 0, e / total)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == "f" else {"rtol": 1e-13, "atol": 1e-14}
    got = softmaxes.softmax.compiled(x, -1)
    np.testing.assert_allclose(got, p.astype(dtype), **tolerance)
    rest = slice(4, None)
    np.testing.assert_allclose(softmaxes.log_softmax.compiled(x, -1)[rest], np.log(p[rest]).astype(dtype), **tolerance)
    pulled = softmaxes.softmax_pull.compiled(v[rest], got[rest], -1)
    wanted = p[rest] * (v[rest] - (v[rest] * p[rest]).sum(1, keepdims=True))
    np.testing.assert_allclose(pulled, wanted.astype(dtype), **tolerance)
    pulled = softmaxes.log_softmax_pull.compiled(v[rest], np.log(p[rest]).astype(dtype), -1)
    np.testing.assert_allclose(pulled, (v[rest] - p[rest] * v[rest].sum(1, keepdims=True)).astype(dtype), **tolerance)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", [(4, 10), (300, 10), (2, 10, 3), (4, 10, 40)])
@pytest.mark.parametrize("far", [0.0, 1e3, -1e5, 1e8, 1e30])
def test_gradients_of_cross_entropy_wherever_the_scores_lie(far, shape, dtype):
    """The largest score and the logarithm of the sum are never added: beside 1e8 a logarithm of 2 is nothing."""
    rng, n = np.random.default_rng(0), shape[1]
    near = rng.integers(-3, 4, shape).astype("d") * (np.spacing(np.array(far, dtype)) if far else 1)
    x, target = (far + near).astype(dtype), rng.integers(0, n, (shape[0], *shape[2:]))
    near = x.astype("d") - far
    e = np.exp(near - near.max(1, keepdims=True))
    for smoothing in (0.0, 0.1):
        hits = np.expand_dims(target, 1) == np.arange(n).reshape(1, -1, *(1,) * (len(shape) - 2))
        expected = e / e.sum(1, keepdims=True) - hits * (1 - smoothing) - smoothing / n
        one, rest = np.ones((), dtype), (None, -100, smoothing)
        for f, pull in [
            (getattr(cross_entropy.forward, way), getattr(cross_entropy.backward, way))
            for way in ("compiled", "reference")
        ]:
            _, level, _ = f(x, target, *rest, "sum")
            found = pull(one, x, level, target, *rest, True)
            assert_allclose(found, expected, atol=1e-6 if dtype == "f" else 1e-14)
