"""The kernels of normalisation: against their references, on any layout, for any threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autograd_core.kernels import _jit, norm
from autograd_core.kernels._threads import get_num_threads, set_num_threads

pytestmark = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
TOLERANCE = {"f": {"rtol": 2e-3, "atol": 2e-4}, "d": {"rtol": 1e-9, "atol": 1e-10}}


def agree(f, args, dtype):
    """Assert that a kernel gives what its reference gives, the same bits for one, two and three threads."""
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append(f.compiled(*args))
    finally:
        set_num_threads(before)
    several = lambda y: y if isinstance(y, tuple) else (y,)
    for y in results[1:]:
        for a, b in zip(several(y), several(results[0])):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(several(results[0]), several(f.reference(*args))):
        if b is None:
            assert a is None
        else:
            assert a.dtype == dtype
            assert_allclose(a, b, err_msg=f.__name__, **TOLERANCE[dtype])


sizes = st.integers(1, 7) | st.sampled_from([33, 100])
seeds = st.integers(0, 2**32 - 1)


def rows_agree(turns, groups, s, inner, affine, centre, dtype, seed):
    rng = np.random.default_rng(seed)
    n = s * inner
    x, g = (rng.standard_normal((n, turns * groups)).astype(dtype).T[::-1] for _ in "xg")
    weight, bias = ((rng.standard_normal(groups * s) + 2).astype(dtype) for _ in "wb")
    weight, bias = (None, None) if affine == 0 else (weight, None) if affine == 1 else (weight, bias)
    rest = n, groups if affine else 1, inner if affine else 1, 0.1, centre
    agree(norm.rows, (x, weight, bias, *rest), dtype)
    agree(norm.rows_pull, (g, x, weight, *rest), dtype)


@given(
    st.integers(1, 5), st.integers(1, 3), sizes, sizes, st.integers(0, 2), st.booleans(), st.sampled_from("fd"), seeds
)
def test_rows(turns, groups, s, inner, affine, centre, dtype, seed):
    rows_agree(turns, groups, s, inner, affine, centre, dtype, seed)


@pytest.mark.parametrize("shape", [(2000, 1, 60, 1), (40, 4, 5, 100), (3, 1, 40_000, 1), (700, 2, 64, 1)])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_many_rows(shape, dtype):
    rows_agree(*shape, 2, True, dtype, 0)


def channels_agree(shape, affine, dtype, seed):
    rng = np.random.default_rng(seed)
    x, g = ((rng.standard_normal(shape[::-1]) * 2 + 3).astype(dtype).T for _ in "xg")
    weight, bias = ((rng.standard_normal(shape[1]) + 2).astype(dtype) for _ in "wb") if affine else (None, None)
    agree(norm.batch, (x, weight, bias, 0.1), dtype)
    moments = norm.batch.reference(x, weight, bias, 0.1)[1]
    agree(norm.channels, (x, *moments, weight, bias, 0.1), dtype)
    agree(norm.batch_pull, (g, x, moments, weight, 0.1), dtype)


@given(st.tuples(sizes, sizes, sizes), st.booleans(), st.sampled_from("fd"), seeds)
def test_channels(shape, affine, dtype, seed):
    channels_agree(shape[:2] if seed % 2 else shape, affine, dtype, seed)


@pytest.mark.parametrize("shape", [(3000, 40), (70, 3, 900), (2, 2, 50_000), (1, 3, 40_000), (5000, 1)])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_large_batches(shape, dtype):
    channels_agree(shape, True, dtype, 1)


@pytest.mark.parametrize("shape", [(3000, 6), (30, 6, 70)])
def test_variance_beside_a_large_mean(shape):
    x = (np.random.default_rng(0).standard_normal(shape) + 1e4).astype("f")
    mean, var = norm.batch.compiled(x, None, None, 0.1)[1]
    axes = tuple(k for k in range(x.ndim) if k != 1)
    assert_allclose(mean, x.astype("d").mean(axes), rtol=1e-7)
    assert_allclose(var, x.astype("d").var(axes), rtol=1e-4)
    flat = np.ascontiguousarray(np.moveaxis(x, 1, 0).reshape(6, -1))
    y = norm.rows.compiled(flat, None, None, flat.shape[1], 1, 1, 0.0, True)
    d = flat.astype("d") - flat.astype("d").mean(1, keepdims=True)
    assert_allclose(y, d / d.std(1, keepdims=True), atol=2e-3)


def test_nan_stays_in_its_row():
    x = np.random.default_rng(0).standard_normal((5, 40))
    x[2, 7] = np.nan
    y = norm.rows.compiled(x, None, None, 40, 1, 1, 1e-5, True)
    assert np.isnan(y[2]).all() and np.isfinite(np.delete(y, 2, 0)).all()
