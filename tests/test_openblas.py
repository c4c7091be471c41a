"""What NumPy's OpenBLAS is asked for beside NumPy: triangular systems, and one thread for small work."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd_core.kernels import _openblas, linalg

wanted = pytest.mark.skipif(_openblas.function("cblas_dtrsm")[0] is None, reason="NumPy has no OpenBLAS here")


@st.composite
def systems(draw):
    """A triangle, right-hand sides, and how they are meant."""
    n, m = draw(st.integers(0, 40)), draw(st.integers(0, 5))
    leads = draw(st.sampled_from([((), ()), ((3,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), (0,)), ((20,), (20,))]))
    rng, char = np.random.default_rng(draw(st.integers(0, 99))), draw(st.sampled_from("fdFD"))
    filled = lambda shape: rng.standard_normal((2, *shape)) / (1 + n) * np.array([1, 1j]).reshape(2, *[1] * len(shape))
    parts = lambda shape: (filled(shape).sum(0) if char in "FD" else filled(shape)[0].real).astype(char)
    a, b = parts((*leads[0], n, n)) + 2 * np.eye(n, dtype=char), parts((*leads[1], n, m))
    a = draw(st.sampled_from([lambda a: a, lambda a: a.mT.copy().mT, lambda a: a[..., ::-1, ::-1]]))(a)
    return a, b, draw(st.booleans()), draw(st.booleans())


@pytest.mark.parametrize("there", [pytest.param(True, marks=wanted), False])
@given(case=systems())
def test_triangular_systems(there, case):
    a, b, upper, unit = case
    triangle = np.triu(a) if upper else np.tril(a)
    if unit:
        triangle = triangle - triangle * np.eye(a.shape[-1]) + np.eye(a.shape[-1])
    given_a, given_b = a.copy(), b.copy()
    with pytest.MonkeyPatch.context() as patch:
        if not there:
            patch.setattr(_openblas, "_solver", lambda char: None)
        x = linalg.substitute(a, b, upper, unit)
    exact = np.linalg.solve(triangle.astype("D"), np.broadcast_to(b, x.shape).astype("D"))
    assert x.dtype == b.dtype
    assert np.allclose(x, exact, rtol=0, atol=1e-5 if a.dtype.char in "fF" else 1e-13)
    assert np.array_equal(a, given_a) and np.array_equal(b, given_b)


@pytest.mark.skipif(_openblas.function("openblas_get_num_threads")[0] is None, reason="NumPy has no OpenBLAS here")
def test_one_thread_while_anybody_is_inside_and_then_as_many_as_before():
    count, choose = _openblas.function("openblas_get_num_threads")[0], _openblas.function("openblas_set_num_threads")[0]
    before, entered, go_on = count(), threading.Event(), threading.Event()
    choose(2)
    had = count()  # where there is one processor, two are not to be had

    def other():
        with _openblas.alone:
            entered.set()
            go_on.wait(10)

    thread = threading.Thread(target=other)
    try:
        with pytest.raises(ValueError), _openblas.alone:
            thread.start()
            assert entered.wait(10) and count() == 1
            raise ValueError
        assert count() == 1, "the other thread is still inside"
        go_on.set()
        thread.join()
        assert count() == had
        with _openblas.quietly(_openblas.SMALL + 1):
            assert count() == had
    finally:
        go_on.set()
        choose(before)
