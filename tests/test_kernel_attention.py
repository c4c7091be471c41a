"""The kernels of attention against their references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_core.kernels import attention as kernel
from autograd_core.kernels import attention_dropout
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")

LENGTHS = st.integers(0, 5) | st.sampled_from([63, 64, 65, 127, 129, 140, 200])
SIZES = st.integers(0, 5) | st.sampled_from([16, 31, 33, 64])
LEAD = st.sampled_from([(), (1,), (2,), (2, 2), (0,), (9,)])


def mask_of(rng, kind, lead, length, keys, dtype):
    """No mask, or one that lets some look at nothing."""
    ones = (1,) * len(lead)
    shapes = {"no": (*ones, 0, 0), "one": (*ones, length, keys), "keys": (*lead, 1, keys), "all": (*lead, length, keys),
              "queries": (*ones, length, 1)}  # fmt: skip
    mask = np.where(rng.random(shapes[kind]) < 0.4, -np.inf, rng.standard_normal(shapes[kind]))
    if kind in ("one", "all"):
        mask[..., :1, :] = -np.inf
    return mask.astype(dtype)


def laid(x, seed):
    """The same numbers elsewhere in memory."""
    if seed % 3 == 0:
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    return np.asfortranarray(x) if seed % 3 == 1 else x


def arguments(seed, lead, length, keys, e, d, dtype, kind):
    rng = np.random.default_rng(seed)
    shapes = (*lead, length, e), (*lead, keys, e), (*lead, keys, d), (*lead, length, d)
    q, k, v, g = (laid(rng.standard_normal(s).astype(dtype), seed) for s in shapes)
    return q, k, v, g, mask_of(rng, kind, lead, length, keys, dtype)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99), LEAD, LENGTHS, LENGTHS, SIZES, SIZES, st.sampled_from("fd"), st.booleans(),
    st.sampled_from(["no", "one", "keys", "all", "queries"]), st.sampled_from([0.0, 0.3]),
)  # fmt: skip
def test_kernels_equal_their_references(seed, lead, length, keys, e, d, dtype, causal, kind, p):
    q, k, v, g, mask = arguments(seed, lead, length, keys, e, d, dtype, kind)
    tolerance = 5e-5 if dtype == "f" else 1e-12
    given = q, k, v, mask, 0.3, causal, attention_dropout.draw(np.array([seed, 0, 9], "u8"), lead, length, keys), p
    y, lse = kernel.attention.compiled(*given)
    expected = kernel.attention.reference(*given)
    pulled = [*kernel.attention_pull.compiled(g, y, lse, *given)]
    others = [*kernel.attention_pull.reference(g, *expected, *given)]
    if mask.size:
        pulled.append(kernel.mask_pull.compiled(g, y, lse, *given))
        others.append(kernel.mask_pull.reference(g, *expected, *given))
    for a, b in zip((y, lse, *pulled), (*expected, *others), strict=True):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_is_not_finite_spoils_its_queries_only(dtype, value):
    q, k, v, _, mask = arguments(2, (2,), 130, 150, 8, 8, dtype, "no")
    q[1, 70, 3] = value
    with np.errstate(all="ignore"):
        y, _ = kernel.attention.compiled(q, k, v, mask, 0.3, False)
    finite = np.isfinite(y).all(-1)
    assert np.flatnonzero(~finite).tolist() == ([] if value == 1e30 else [200])
    v[0, 10, 2] = value
    y, _ = kernel.attention.compiled(q, k, v, mask, 0.3, False)
    assert np.isfinite(y[0]).all(0).tolist() == [j != 2 or value == 1e30 for j in range(8)]


@pytest.mark.parametrize("kind", ["one", "queries", "keys"])
@pytest.mark.parametrize(
    "lead, causal, p", [((), False, 0.2), ((3,), True, 0.0), ((3,), True, 0.3), ((16,), False, 0.0)]
)
def test_the_number_of_threads_changes_no_bit(lead, causal, p, kind):
    q, k, v, g, mask = arguments(2, lead, 300, 260, 16, 24, "f", kind)
    given = q, k, v, mask, 0.3, causal, attention_dropout.draw(np.array([1, 0, 9], "u8"), lead, 300, 260), p
    usual, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            y, lse = kernel.attention.compiled(*given)
            pulled = [*kernel.attention_pull.compiled(g, y, lse, *given), kernel.mask_pull.compiled(g, y, lse, *given)]
            found.append([y, lse, *pulled])
    finally:
        set_num_threads(usual)
    for results in found[1:]:
        for a, b in zip(results, found[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_large_scores_do_not_overflow():
    q = np.full((1, 3, 4), 1e4, "f")
    k, v = q * np.array([[[1.0], [0.5], [-1]]], "f"), np.arange(12, dtype="f").reshape(1, 3, 4)
    y, lse = kernel.attention.compiled(q, k, v, np.zeros((1, 0, 0), "f"), 1.0, False)
    np.testing.assert_array_equal(y, np.broadcast_to(v[:, :1], y.shape))
    np.testing.assert_allclose(lse, 4e8, rtol=1e-6)
