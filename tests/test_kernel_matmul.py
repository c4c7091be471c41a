"""The product of matrices: every shape, layout and type against NumPy, and the same bits on any number of threads."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import _deterministic
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.kernels.matmul import matmul, rowwise
from nn import functional as F

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
TOLERANCE = {"f": 3e-6, "d": 1e-14}
LENGTHS = st.one_of(st.integers(0, 70), st.sampled_from([100, 129, 300, 561, 700]))
LAYOUTS = ["rows", "columns", "upwards", "backwards", "every second", "part", "spread", "turned part"]


def stored(rng, shape, char, layout):
    """Numbers in some layout."""
    *lead, m, n = shape
    x = rng.standard_normal(shape).astype(char)
    if layout == "columns":
        return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
    if layout == "upwards":
        return x[..., ::-1, :]
    if layout == "backwards":
        return x[..., ::-1]
    if layout == "every second":
        return rng.standard_normal((*lead, m, 2 * n)).astype(char)[..., ::2]
    if layout == "part":
        return rng.standard_normal((*lead, m + 3, n + 5)).astype(char)[..., 3:, 5:]
    if layout == "turned part":
        return rng.standard_normal((*lead, n + 3, m + 5)).astype(char)[..., 3:, 5:].swapaxes(-1, -2)
    return np.broadcast_to(x[..., :1, :], shape) if layout == "spread" and m else x


def check(a, b, bias=None, relu=False):
    """Ours against NumPy in float64, within what rounding may do to sums of so many products."""
    y = matmul.compiled(a, b, bias, relu)
    wide = matmul.reference(a.astype("d"), b.astype("d"), None if bias is None else bias.astype("d"), relu)
    assert y.dtype == a.dtype and y.shape == wide.shape and y.flags.c_contiguous
    size = matmul.reference(abs(a).astype("d"), abs(b).astype("d"), None if bias is None else abs(bias))
    assert (abs(y - wide) <= TOLERANCE[a.dtype.char] * (size + 1e-30) * 2).all()


@compiled
@settings(max_examples=150, deadline=None)
@given(
    st.tuples(LENGTHS, LENGTHS, LENGTHS),
    st.sampled_from([((), ()), ((3,), (3,)), ((2, 3), (3,)), ((1,), (4,)), ((2, 1), (1, 3)), ((), (5,)), ((0,), (0,))]),
    st.tuples(st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS)),
    st.sampled_from("fd"),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_any_shape_and_layout(sizes, leads, layouts, char, biased, relu, seed):
    m, k, n = sizes
    rng = np.random.default_rng(seed)
    if leads != ((), ()):
        m, k, n = min(m, 130), min(k, 130), min(n, 130)
    a = stored(rng, (*leads[0], m, k), char, layouts[0])
    b = stored(rng, (*leads[1], k, n), char, layouts[1])
    check(a, b, rng.standard_normal(n).astype(char) if biased else None, relu)


@compiled
@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize(
    "layouts", [("rows", "rows"), ("rows", "columns"), ("columns", "rows"), ("columns", "columns")]
)
@pytest.mark.parametrize(
    "sizes",
    [
        *((700, 600, 500), (300, 1500, 400), (1200, 130, 1000), (400, 1024, 512)),
        *((2, 900, 700), (700, 900, 1), (1, 300, 5000), (3, 1001, 1030), (1, 50_001, 1)),  # vectors, or a few
        *((33, 5003, 41), (64, 4096, 64)),  # few results of many products each
    ],
)
def test_large_products_in_blocks(sizes, layouts, char):
    (m, k, n), rng = sizes, np.random.default_rng(0)
    a, b = stored(rng, (m, k), char, layouts[0]), stored(rng, (k, n), char, layouts[1])
    check(a, b)
    check(a, b, rng.standard_normal(n).astype(char), True)


@compiled
@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "part"), ("every second", "turned part")])
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [((100, 90), (50, 90, 1)), ((7, 5), (3, 4, 5, 1)), ((50, 1, 90), (90, 100)), ((3, 4, 13, 5), (5, 7)),
     ((9, 5), (1, 5, 1)), ((9, 5), (0, 5, 1)), ((0, 5), (4, 5, 1)), ((0, 3, 5), (5, 7)), ((4, 3, 0), (0, 7))],
)  # fmt: skip
def test_one_matrix_for_many_columns_or_few_rows_each(a_shape, b_shape, layouts, char):
    """For the op these are one product of all that the other factor holds, which its layout may ask to be copied for."""
    rng = np.random.default_rng(3)
    a, b = stored(rng, a_shape, char, layouts[0]), stored(rng, b_shape, char, layouts[1])
    check(a, b)
    check(a, b, relu=True)
    check(a, b, rng.standard_normal(b_shape[-1]).astype(char))
    wide, size = np.matmul(a.astype("d"), b.astype("d")), np.matmul(abs(a).astype("d"), abs(b).astype("d"))
    y = ag.matmul(ag.tensor(a), ag.tensor(b)).numpy()
    assert y.shape == wide.shape and (abs(y - wide) <= TOLERANCE[char] * (size + 1e-30) * 2).all()


@compiled
@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize("layout", ["rows", "columns", "turned part"])
def test_every_number_of_rows_beside_whole_vectors(layout, char):
    """Where the left factor is stored by columns and columns fill vectors, tiles have code of their own."""
    rng = np.random.default_rng(5)
    for m in range(4, 30):
        for n in (8, 16, 24, 32, 48, 80):
            check(stored(rng, (m, 19), char, layout), stored(rng, (19, n), char, "rows"), rng.standard_normal(n), m % 2)


@compiled
def test_what_is_not_a_number_goes_through():
    rng = np.random.default_rng(0)
    for value in (np.nan, np.inf, -np.inf):
        a, b = rng.standard_normal((30, 70)).astype("f"), rng.standard_normal((70, 40)).astype("f")
        a[7, 33] = value
        with np.errstate(invalid="ignore"):
            expected = a @ b
        y = matmul.compiled(a, b)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
        y = matmul.compiled(a, b, np.zeros(40, "f"), True)
        np.testing.assert_allclose(y, np.maximum(expected, 0), rtol=1e-4, atol=1e-4)


@compiled
def test_entries_at_odd_addresses():
    """Steps that are no whole numbers of entries, as fields of records have; and numbers in the other byte order."""
    records = np.zeros((20, 30), dtype=[("flag", "i1"), ("x", "f4")])
    records["x"] = np.random.default_rng(0).standard_normal((20, 30))
    check(records["x"], np.ones((30, 10), "f"))
    swapped = np.ones((4, 5), ">f4")
    assert np.array_equal(matmul.compiled(swapped, np.ones((5, 6), ">f4")), np.full((4, 6), 5))
    assert np.array_equal(matmul.compiled(np.ones((4, 5), int), np.ones((5, 6), int)), np.full((4, 6), 5))


@compiled
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [((300, 300), (300, 300)), ((700, 700), (700, 700)), ((40, 60, 60), (40, 60, 60)), ((1, 2000), (2000, 900)),
     ((2000, 900), (900, 1)), ((1000, 300), (300, 20)), ((20, 900), (900, 1000)), ((1, 50_000), (50_000, 1)),
     ((40, 5001), (5001, 30)), ((100, 100), (100, 100)), ((90, 90), (300, 90, 1)), ((1000, 9, 9), (1000, 9, 9))],
)  # fmt: skip
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "columns")])
def test_bits_do_not_depend_on_threads(a_shape, b_shape, layouts):
    rng, before = np.random.default_rng(1), get_num_threads()
    a, b = stored(rng, a_shape, "f", layouts[0]), stored(rng, b_shape, "f", layouts[1])
    try:
        results = []
        for threads in (1, 2, 3, 2):
            set_num_threads(threads)
            results.append(matmul.compiled(a, b).tobytes())
        assert len(set(results)) == 1
    finally:
        set_num_threads(before)


@compiled
def test_ops_use_it_where_products_are_large():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((90, 80)).astype("f"), rng.standard_normal((80, 70)).astype("f")
    assert ag.matmul(a, b).tobytes() == matmul.compiled(a, b).tobytes()
    x, y = ag.tensor(a, requires_grad=True), ag.tensor(b, requires_grad=True)
    g = rng.standard_normal((90, 70)).astype("f")
    (x @ y).backward(ag.tensor(g))
    assert x.grad.numpy().tobytes() == matmul.compiled(g, b.T).tobytes()
    assert y.grad.numpy().tobytes() == matmul.compiled(a.T, g).tobytes()
    batch = rng.standard_normal((3, 4, 50, 60)).astype("f")
    np.testing.assert_allclose(ag.matmul(batch, b[:60]), np.matmul(batch, b[:60]), atol=1e-4)


@compiled
@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize("sizes", [(32, 32, 32), (64, 64, 64), (33, 64, 65), (200, 5, 40), (31, 64, 64), (64, 1, 600)])
def test_rows_by_rows_are_one_kernel_with_the_bias_also_in_a_replay(sizes, char):
    (m, k, n), rng = sizes, np.random.default_rng(0)
    x, w, bias = (rng.standard_normal(shape).astype(char) for shape in ((m, k), (n, k), (n,)))
    ways = (x, w.T), (np.asfortranarray(x), w.T), (x, np.ascontiguousarray(w.T))
    assert [rowwise(*pair) for pair in ways] == [m >= 32, k == 1, k == 1]  # a single column or row lies both ways
    wide, size = x.astype("g") @ w.T.astype("g"), abs(x.astype("g")) @ abs(w.T.astype("g"))
    for f, y in (
        (lambda x, w, b: ag.matmul(x, w.T), wide),
        (lambda x, w, b: F.linear(x, w), wide),
        (lambda x, w, b: F.linear(x, w, b), wide + bias),
        (lambda x, w, b: F.linear(x.reshape(1, m, k), w, b)[0], wide + bias),
    ):
        given = ag.tensor(x), ag.tensor(w), ag.tensor(bias)
        found, again = f(*given).numpy(), ag.compile(f)
        assert (abs(found - y) <= TOLERANCE[char] * 2 * (size + abs(bias))).all()
        for _ in range(3):
            assert np.array_equal(again(*given).numpy(), found)


@compiled
def test_native_code_can_call_the_product_of_numpy():
    from numba import njit

    from autograd_core.kernels._blas import gemm, gemm_at
    from autograd_core.kernels._jit import _threads  # noqa: F401 - kernels are there

    for char in "fd":
        address, bits = gemm(np.dtype(char))
        if not address:
            pytest.skip("NumPy's product is not where it is looked for")
        rng = np.random.default_rng(3)
        a, b = rng.standard_normal((5, 7)).astype(char), rng.standard_normal((4, 7)).astype(char).T
        c = np.zeros((5, 4), char)

        @njit
        def call(address, bits, a, b, c):
            gemm_at(a, address, bits, 0, 1, 5, 4, 7, a.ctypes.data, 7, b.ctypes.data, 7, c.ctypes.data, 4)

        call(address, bits, a, b, c)
        np.testing.assert_allclose(c, a @ b, rtol=1e-4)


def test_small_products_need_no_compiler():
    code = (
        "import sys, numpy as np, autograd_core as ag; ag.ones(60, 60) @ ag.ones(60, 60); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_everything_is_deterministic():
    assert not _deterministic.are_deterministic_algorithms_enabled()
    _deterministic.use_deterministic_algorithms(True, warn_only=True)
    assert _deterministic.are_deterministic_algorithms_enabled()
    _deterministic.use_deterministic_algorithms(False)
    with pytest.raises(TypeError, match="^use_deterministic_algorithms: expected True or False"):
        _deterministic.use_deterministic_algorithms(1)
