"""Cumulative functions and products against PyTorch; and what they must be by themselves, zeros included."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag

from test_reduce import agree, both, cplx, leaf, pulled, real  # isort: skip

SHAPES = [(), (1,), (5,), (0,), (2, 3), (0, 3), (3, 1, 4)]
CASES = [(s, d) for s in SHAPES for d in range(-max(len(s), 1), max(len(s), 1))]


@pytest.mark.parametrize("shape, dim", CASES)
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
def test_scans(name, shape, dim):
    agree(*both(name, dim), real(*shape))


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dim", [0, -1])
def test_complex_scans(name, dim):
    agree(*both(name, dim), cplx(3, 4))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax"])
def test_result_types(name, dtype):
    agree(*both(name, 0), np.array([1, 0, 1]).astype(dtype), order=0)
    if name != "cummax":
        torch = pytest.importorskip("torch")
        y = getattr(ag, name)(ag.Tensor(np.array([1, 2], dtype)), 0, dtype=ag.float64)
        assert y.dtype == getattr(torch, name)(torch.tensor([1, 2]), 0, dtype=torch.float64).numpy().dtype


ZEROS = [[1.0, 2, 3], [0.0, 2, 3], [2.0, 0, 3], [2.0, 3, 0], [0.0, 0, 3], [0.0, 2, 0], [0.0, 0, 0]]


@pytest.mark.parametrize("row", ZEROS)
def test_products_of_zeros(row):
    x = np.array(row)
    for name, options in [("prod", {}), ("prod", {"dim": 0}), ("cumprod", {"dim": 0})]:
        agree(*both(name, **options), x)
    agree(*both("prod", 1), np.stack([x, x[::-1], x + 1]))
    agree(*both("prod"), x * (1 + 2j))


@pytest.mark.parametrize("row", ZEROS)
def test_the_gradient_of_a_product_is_the_product_of_the_others(row):
    x = leaf(row)
    others = [math.prod(row[:k] + row[k + 1 :]) for k in range(3)]
    assert pulled(ag.prod(x), x).tolist() == others
    hessian = np.array([[0 if i == k else row[3 - i - k] for k in range(3)] for i in range(3)])
    assert pulled(ag.prod(x), x, second=True).tolist() == (hessian @ [1.0, 2, 3]).tolist()


@pytest.mark.parametrize("shape, dim", CASES)
@pytest.mark.parametrize("keepdim", [False, True])
def test_prod(shape, dim, keepdim):
    agree(*both("prod", dim, keepdim), real(*shape))
    agree(*both("prod"), real(*shape))


def test_prod_over_several_axes():
    x = leaf(real(2, 3, 4))
    np.testing.assert_allclose(ag.prod(x, (0, -1)).detach().numpy(), x.detach().numpy().prod((0, 2)))
    np.testing.assert_allclose(ag.prod(x, (0, -1), keepdim=True).shape, (1, 3, 1))
    np.testing.assert_allclose(pulled(ag.prod(x, (0, -1)), x), pulled(ag.prod(ag.prod(x, 2), 0), x))


def test_what_is_not_selected_of_an_infinite_product_is_no_gradient():
    x = leaf([2, np.inf, 3])
    assert pulled(ag.cumprod(x, 0)[0], x).tolist() == [1, 0, 0]
    big = leaf([1e200, 1e200, 1e200])
    with np.errstate(over="ignore"):
        assert pulled(ag.cumprod(big, 0)[:1], big).tolist() == [1, 0, 0]


EXTREMES = [
    [-np.inf, -np.inf, 1],
    [-np.inf, 1, -np.inf],
    [1, np.inf, 2],
    [-np.inf] * 3,
    [900, 1000, -1000],
    [-1000, 0, 1000],
]


@pytest.mark.parametrize("row", EXTREMES)
def test_logcumsumexp_of_extremes(row):
    x = leaf(row)
    y = ag.logcumsumexp(x, 0)
    np.testing.assert_array_equal(y.detach().numpy(), np.logaddexp.accumulate(row))
    finite = np.isfinite(y.detach().numpy())
    expected = [sum(math.exp(row[j] - y[k].item()) for k in range(j, 3) if finite[k]) for j in range(3)]
    np.testing.assert_allclose(pulled(y, x), expected, atol=1e-300)
    assert np.isfinite(pulled(ag.logcumsumexp(x, 0), x, second=True)).all()


@pytest.mark.parametrize("row", [[1, 1, 0, 1, 2], [np.nan, 1, 2, 0, 1], [1, np.nan, 3, np.nan, 0], [3, 2, 2, 1, 1]])
@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extremes_keep_the_last_of_equal_ones_and_nan(name, row):
    agree(*both(name, 0), np.array(row, float))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_running_maximum_is_what_python_accumulates(values):
    got = ag.cummax(np.array(values), 0)
    assert got.values.tolist() == list(itertools.accumulate(values, max))
    assert [values[k] for k in got.indices] == got.values.tolist()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("shape, dim", [((5,), -1), ((2, 4), 0), ((2, 4), 1), ((3, 0), 1), ((3, 0), 0)])
def test_diff(n, shape, dim):
    agree(*both("diff", n, dim), real(*shape))


def test_diff_with_ends():
    torch = pytest.importorskip("torch")
    f = lambda lib: lambda x, a, b: lib.diff(x, 2, 1, prepend=a, append=b)
    agree(f(ag), f(torch), real(2, 3), real(2, 1, seed=1), real(2, 2, seed=2))
    agree(*both("diff"), np.array([True, False, False, True]), order=0)
    agree(*both("diff"), np.array([1, 4, 2], np.int32), order=0)


STEPS = [{}, {"dx": 0.5}]


@pytest.mark.parametrize("name", ["trapezoid", "cumulative_trapezoid", "trapz"])
def test_integrals(name):
    torch = pytest.importorskip("torch")
    for options in STEPS:
        agree(*both(name, **options), real(5))
        agree(*both(name, dim=0, **options), real(3, 4))
    for y, x, dim in [
        ((5,), (5,), -1),
        ((3, 4), (3,), 0),
        ((3, 4), (3, 4), 1),
        ((2, 3, 4), (3, 4), 1),
        ((2, 3), (1, 3), -1),
    ]:
        f = lambda lib, dim=dim: lambda *samples: getattr(lib, name)(*samples, dim=dim)
        agree(f(ag), f(torch), real(*y), real(*x, seed=1))
    if name != "trapz":
        agree(*both(name), np.array([1, 2, 4]), order=0)


def test_numpy_agrees():
    x = real(4, 5)
    np.testing.assert_allclose(ag.cumsum(x, 1), x.cumsum(1))
    np.testing.assert_allclose(ag.cumprod(x, 0), x.cumprod(0))
    np.testing.assert_allclose(ag.diff(x, 2, 0), np.diff(x, 2, 0))
    np.testing.assert_allclose(ag.trapezoid(x, dim=0), np.trapezoid(x, axis=0))


def test_in_place():
    t = ag.Tensor(np.array([1.0, 2.0, 3.0]))
    assert t.cumsum_(0) is t and t.tolist() == [1, 3, 6]
    assert t.cumprod_(0).tolist() == [1, 3, 18]
    x = leaf([1, 2, 3])
    y = x * 1
    y.cumsum_(0)
    assert pulled(y, x).tolist() == [3, 2, 1]


def test_a_long_product_has_a_finite_gradient():
    x = leaf(np.ones(5000))
    assert pulled(ag.cumprod(x, 0), x).tolist() == list(range(5000, 0, -1))


ERRORS = [
    (lambda: ag.cumsum(np.zeros((2, 3)), 2), IndexError, "cumsum: dim 2 is out of range"),
    (lambda: ag.cummax(np.zeros(3), 1), IndexError, "cummax: dim 1 is out of range"),
    (lambda: ag.logcumsumexp(np.zeros(3, complex), 0), TypeError, "logcumsumexp: x must be real, got complex128"),
    (lambda: ag.diff(np.zeros(())), ValueError, "diff: needs an axis"),
    (lambda: ag.diff(np.zeros(3), -1), ValueError, "diff: needs an axis and n >= 0"),
    (lambda: ag.trapezoid(np.zeros(3), np.zeros(3), dx=1), ValueError, "trapezoid: x and dx both"),
    (lambda: ag.trapezoid(np.zeros((3, 4)), np.zeros(3)), ValueError, "trapezoid: y has 4 samples along axis -1"),
    (lambda: ag.cumulative_trapezoid(np.zeros(())), ValueError, "cumulative_trapezoid: y needs an axis"),
    (lambda: ag.prod(np.zeros((2, 3)), 5), IndexError, "prod: dim 5 is out of range"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_diff_of_order_zero_is_a_copy():
    x = ag.arange(4.0)
    ag.diff(x, n=0)[0] = 7.0
    assert x[0] == 0.0
