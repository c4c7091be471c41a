"""Sorting, selecting, searching and counting against PyTorch; and what they must be by themselves, ties included."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag

from test_reduce import agree, both, leaf, pulled, real  # isort: skip

SHAPES = [(), (1,), (5,), (2, 3), (0, 3), (3, 1, 4)]
CASES = [(s, d) for s in SHAPES for d in range(-max(len(s), 1), max(len(s), 1))]
FULL = [(s, d) for s, d in CASES if not s or s[d]]
TIES = np.array([[2.0, 1, 2, 1, 3], [0, 0, 0, 1, 1], [np.nan, 1, np.nan, 0, 1], [1, np.inf, -np.inf, np.inf, 1]])
integers = st.lists(st.integers(-3, 3), min_size=1, max_size=15)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("shape, dim", FULL)
@pytest.mark.parametrize("name", ["max", "min", "median", "nanmedian", "mode", "argmax", "argmin"])
def test_one_of_each_row(name, shape, dim, keepdim):
    agree(*both(name, dim, keepdim), real(*shape))


@pytest.mark.parametrize("name", ["max", "min", "median", "nanmedian"])
@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3)])
def test_one_of_all(name, shape):
    agree(*both(name), real(*shape))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("keepdim", [False, True])
def test_places_among_all(name, keepdim):
    agree(*both(name, keepdim=keepdim), real(3, 4), order=0)
    agree(*both(name), TIES, order=0)
    agree(*both(name), np.array(1.0), order=0)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "cummax"])
def test_ties_and_nan(name):
    agree(*both(name, 1), TIES)


def test_the_larger_and_the_smaller_of_two():
    for name in ("max", "min"):
        agree(*both(name), real(2, 3), real(3, seed=1))
    assert ag.max(np.array([1, 5]), other=np.array([3, 2])).tolist() == [3, 5]


def test_the_middle_of_all_is_shared_by_equal_entries():
    agree(*both("median"), np.array([1.0, 2, 2, 2, 3]))
    agree(*both("median"), np.array([1.0, np.nan, 2]))
    agree(*both("nanmedian"), np.array([1.0, np.nan, 2, 2, 5]))
    assert math.isnan(ag.median(np.zeros(0)))


def test_medians_of_rows_with_nan():
    for name in ("median", "nanmedian"):
        torch = pytest.importorskip("torch")
        ours, theirs = getattr(ag, name)(TIES, 1), getattr(torch, name)(torch.tensor(TIES), 1)
        np.testing.assert_array_equal(ours.values, theirs.values.numpy())
        np.testing.assert_array_equal(np.take_along_axis(TIES, ours.indices[:, None], 1)[:, 0], ours.values)
    assert ag.median(TIES[2], 0).indices == 0


@given(integers)
def test_the_mode_is_the_smallest_of_the_most_frequent(values):
    counts = Counter(values)
    most = min(v for v in counts if counts[v] == max(counts.values()))
    got = ag.mode(np.array(values))
    assert got.values == most and got.indices == max(k for k, v in enumerate(values) if v == most)


def test_the_mode_of_infinities():
    assert ag.mode(np.array([np.inf, 1, np.inf, -np.inf, -np.inf])).values == -np.inf
    assert ag.mode(np.array([True, False, True])).values


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("shape, dim", CASES)
def test_sort(shape, dim, descending):
    agree(*both("sort", dim, descending), real(*shape))
    agree(*both("argsort", dim, descending), real(*shape), order=0)


@pytest.mark.parametrize("descending", [False, True])
def test_sorting_keeps_the_order_of_equal_entries_and_puts_nan_above_all(descending):
    agree(*both("sort", stable=True, dim=1, descending=descending), TIES)


def test_msort():
    agree(*both("msort"), real(4, 3))


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("shape, dim", [((5,), -1), ((3, 4), 0), ((3, 4), 1), ((40,), 0), ((50, 2), 0)])
def test_topk(shape, dim, k, largest):
    agree(*both("topk", k, dim, largest), real(*shape))


def test_topk_without_axes():
    agree(*both("topk", 1), np.array(3.0))


@given(st.lists(st.integers(-3, 3), min_size=30, max_size=60), st.integers(1, 3), st.booleans())
def test_topk_of_many_equal_entries(values, k, largest):
    got = ag.topk(np.array(values), k, largest=largest)
    assert got.values.tolist() == sorted(values, reverse=largest)[:k]
    assert [values[j] for j in got.indices] == got.values.tolist() and len(set(got.indices.tolist())) == k


def test_topk_takes_nan_for_the_largest():
    x = np.where(np.arange(40) % 13 == 5, np.nan, np.arange(40.0))
    assert np.isnan(ag.topk(x, 3).values).all() and ag.topk(x, 2, largest=False).values.tolist() == [0, 1]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("keepdim", [False, True])
def test_kthvalue(k, keepdim):
    agree(*both("kthvalue", k, 1, keepdim), real(2, 3))
    agree(*both("kthvalue", k), real(3))


QS = [0.0, 0.3, 0.5, 1.0, np.array([0.25, 0.6]), np.array([0.5]), np.array(0.1), np.array([])]


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("q", QS, ids=str)
@pytest.mark.parametrize("dim", [None, 0, -1])
@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantile(name, dim, q, interpolation):
    torch = pytest.importorskip("torch")
    p = torch.tensor(q) if isinstance(q, np.ndarray) else q
    for keepdim in (False, True):
        options = {"dim": dim, "keepdim": keepdim, "interpolation": interpolation}
        ours, theirs = both(name, q, **options)[0], both(name, p, **options)[1]
        agree(ours, theirs, real(3, 4))
        agree(ours, theirs, TIES[2:3] if name == "nanquantile" else TIES[:3], order=1)


def test_quantile_of_a_number_and_by_its_fraction():
    torch = pytest.importorskip("torch")
    for dim in (None, 0):
        agree(*both("quantile", 0.3, dim, True), np.array(2.0))
    f = lambda lib: lambda x, q: lib.quantile(x, q)
    agree(f(ag), f(torch), real(5), np.array(0.3))


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values, q):
    np.testing.assert_allclose(ag.quantile(np.array(values), q), np.quantile(values, q), atol=1e-9)


SEQUENCE = np.array([1.0, 3, 3, 5, 9])


@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(right):
    values = np.array([[0.0, 3, 9], [10, 5, np.nan]])
    agree(*both("searchsorted", right=right), SEQUENCE, values, order=0)
    agree(*both("searchsorted", right=right), np.stack([SEQUENCE, SEQUENCE + 1]), values, order=0)
    agree(*both("searchsorted", right=right, out_int32=True), SEQUENCE, values, order=0)
    f = lambda lib: lambda x, edges: lib.bucketize(x, edges, right=right)
    agree(f(ag), f(pytest.importorskip("torch")), values, SEQUENCE, order=0)
    assert ag.searchsorted(SEQUENCE, 3, right=right) == (3 if right else 1)
    assert ag.bucketize(ag.Tensor(values), ag.Tensor(SEQUENCE), right=right).shape == (2, 3)


def test_searchsorted_through_an_order():
    shuffled = np.array([9.0, 1, 5, 3])
    order = ag.argsort(shuffled)
    assert ag.searchsorted(shuffled, np.array([2.0, 9]), sorter=order).tolist() == [1, 3]
    assert ag.searchsorted(SEQUENCE, np.array([3.0]), side="right").tolist() == [3]


@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("counts", [False, True])
def test_unique(name, dim, inverse, counts):
    options = {"return_inverse": inverse, "return_counts": counts, "dim": dim}
    for x in (np.array([[1, 3, 1], [1, 3, 1], [0, 0, 2]]), np.array([[2.0, 2, 1], [2, 2, 1]]), np.zeros((1, 1))):
        agree(*both(name, **options), x, order=0)
    if dim is None:
        agree(*both(name, **options), np.array([1.0, np.nan, np.nan, 1]), order=0)
        agree(*both(name, **options), np.zeros(0), order=0)


def test_bincount():
    x = np.array([0, 3, 1, 3])
    agree(*both("bincount"), x, order=0)
    agree(*both("bincount", minlength=6), x, order=0)
    agree(*both("bincount"), np.zeros(0, int), order=0)
    for dtype in ("float64", "float32", "int64"):
        agree(*both("bincount"), x, np.array([1, 2, 3, 4], dtype), order=0)
    t = ag.Tensor(np.array([1.0, 2]), requires_grad=True)
    assert not ag.bincount(ag.Tensor([0, 1]), t).requires_grad


def test_histograms():
    x = real(50)
    agree(*both("histc"), x, order=0)
    agree(*both("histc", 5, -1, 1), x, order=0)
    agree(*both("histc", 4), np.full(3, 2.0), order=0)
    agree(*both("histogram", 5), x, order=0)
    agree(*both("histogram", 4, range=(-1, 1), density=True), x, order=0)
    hist, edges = ag.histogram(ag.Tensor([0.5, 1.5, 1.6]), ag.Tensor([0.0, 1, 2]), weight=ag.Tensor([1.0, 2, 3]))
    assert hist.tolist() == [1, 5] and edges.tolist() == [0, 1, 2]
    y = ag.histc(ag.Tensor(np.array([0, np.nan, 1], np.float32)), 2, 0, 1)
    assert y.dtype == np.float32 and y.tolist() == [1, 1]


def test_gradients_go_to_the_entries_chosen():
    x = leaf([3, 1, 3, 2])
    assert pulled(ag.max(x, 0).values, x).tolist() == [1, 0, 0, 0]
    assert pulled(ag.topk(x, 2).values, x).tolist() == [1, 0, 1, 0]
    assert pulled(ag.sort(x).values * np.arange(4.0), x).tolist() == [2, 0, 3, 1]
    assert pulled(ag.median(x, 0).values, x).tolist() == [0, 0, 0, 1]


def test_names_of_results():
    t = ag.Tensor(real(2, 3))
    for result in (t.max(1), t.min(0), t.sort(), t.topk(1), t.kthvalue(1), t.mode(), t.median(0), t.cummax(0)):
        assert result.values is result[0] and result.indices is result[1]
        assert result.indices.dtype == np.int64


ERRORS = [
    (lambda: ag.max(np.zeros((0, 3)), 0), ValueError, r"max: x has shape \(0, 3\), with no entries along axis 0"),
    (lambda: ag.max(np.zeros(0)), ValueError, "max: x has shape"),
    (lambda: ag.max(np.zeros((2, 3)), (0, 1)), TypeError, r"max: dim must be one axis, got \(0, 1\); amax"),
    (lambda: ag.argmax(np.zeros((3, 0))), ValueError, "argmax: x has shape"),
    (lambda: ag.median(np.zeros((0, 3)), 0), ValueError, "median: x has shape"),
    (lambda: ag.topk(np.zeros((2, 3)), 4), ValueError, "topk: k must be from 0 to 3, the length of axis -1"),
    (lambda: ag.kthvalue(np.zeros(3), 0), ValueError, "kthvalue: k must be from 1 to 3"),
    (lambda: ag.sort(np.zeros(3), 1), IndexError, "sort: dim 1 is out of range"),
    (lambda: ag.quantile(np.zeros(3), 1.5), ValueError, "quantile: q must be from 0 to 1"),
    (lambda: ag.quantile(np.zeros(3, int), 0.5), TypeError, "quantile: x must be of a floating-point type"),
    (lambda: ag.quantile(np.zeros(3), 0.5, interpolation="cubic"), ValueError, "interpolation must be one of linear"),
    (lambda: ag.quantile(np.zeros(3), np.zeros((1, 1))), ValueError, "quantile: q must be a number or a vector"),
    (lambda: ag.quantile(np.zeros(0), 0.5), ValueError, "quantile: x has shape"),
    (lambda: ag.searchsorted(np.zeros((2, 3)), np.zeros((3, 1))), ValueError, "searchsorted: sequences of shape"),
    (lambda: ag.searchsorted(np.zeros(3), 1.0, side="up"), ValueError, "searchsorted: side must be"),
    (lambda: ag.bucketize(np.zeros(3), np.zeros((1, 1))), ValueError, "bucketize: boundaries must be a vector"),
    (lambda: ag.bincount(np.zeros(3)), TypeError, "bincount: x must be a vector of integers"),
    (lambda: ag.bincount(np.zeros((2, 2), int)), ValueError, "bincount: x must be a vector of integers"),
    (lambda: ag.bincount(np.array([-1])), ValueError, "bincount"),
    (lambda: ag.bincount(np.array([1]), np.ones(2)), ValueError, "bincount: weights must have the shape of x"),
    (lambda: ag.histc(np.array([np.nan])), ValueError, "histc: the entries of x range from nan to nan"),
    (lambda: ag.histc(np.zeros(3), 0), ValueError, "histc: needs bins >= 1"),
    (lambda: ag.unique(np.zeros(3), dim=1), IndexError, "unique: dim 1 is out of range"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "bool", "float32", "float16"])
@pytest.mark.parametrize("name", ["median", "nanmedian"])
@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_the_median_of_nothing_keeps_its_type(name, dtype, shape):
    torch = pytest.importorskip("torch")
    ours = getattr(ag, name)(ag.tensor(np.zeros(shape, dtype)))
    theirs = getattr(torch, name)(torch.empty(shape, dtype=getattr(torch, dtype))).numpy()
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours.numpy(), theirs)
