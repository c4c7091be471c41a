"""Reductions against PyTorch: values, types, gradients, second gradients; and what they must be on their own."""

import inspect
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.ops import PUBLIC
from autograd_core.tree import flatten


def weighted(results, lib, constant):
    """One real number of all results that have gradients; the same on either side."""
    total = 0
    for k, y in enumerate(results):
        if y.requires_grad:
            rng = np.random.default_rng(k)
            w = rng.standard_normal(tuple(y.shape))
            if "complex" in str(y.dtype):
                total = total + (lib.real(y) * constant(w)).sum() + (lib.imag(y) * constant(w + 1)).sum()
            else:
                total = total + (y * constant(w)).sum()
    return total


def numpy_type(x):
    return str(x.dtype).removeprefix("torch.")


def stages(function, xs, gradient, lib, constant, order):
    """Results, gradients and second gradients of a function, zero where there are none."""
    y = function(*xs)
    found = [list(y) if isinstance(y, tuple) else [y]]
    wanted = [x for x in xs if x.requires_grad]
    for _ in range(order if wanted else 0):
        total = weighted(found[-1], lib, constant)
        if getattr(total, "requires_grad", False):
            gs = gradient(total, wanted)
        else:
            gs = [None] * len(wanted)
        found.append(
            [constant(np.zeros(x.shape, numpy_type(x))) if g is None else g for g, x in zip(gs, wanted, strict=True)]
        )
    return found


def agree(ours, theirs, *arrays, order=2, rtol=1e-9, atol=1e-10):
    """Both functions give the same results, gradients and second gradients on these arrays."""
    torch = pytest.importorskip("torch")
    inexact = [a.dtype.kind in "fc" for a in arrays]
    mine = stages(
        ours,
        [ag.Tensor(a, requires_grad=d) for a, d in zip(arrays, inexact, strict=True)],
        lambda y, xs: ag.gradient(y, xs, create_graph=True, allow_unused=True),
        ag,
        ag.Tensor,
        order,
    )
    other = stages(
        theirs,
        [torch.tensor(a, requires_grad=d) for a, d in zip(arrays, inexact, strict=True)],
        lambda y, xs: torch.autograd.grad(y, xs, create_graph=True, allow_unused=True),
        torch,
        torch.tensor,
        order,
    )
    for stage, (xs, ys) in enumerate(zip(mine, other, strict=True)):
        for x, y in zip(xs, ys, strict=True):
            y = (y.detach() + 0 if stage else y.detach()).resolve_conj().numpy()  # + 0 makes PyTorch's zeros real
            x = x.detach().numpy()
            assert (x.shape, x.dtype) == (y.shape, y.dtype), f"derivative {stage}"
            np.testing.assert_allclose(x, y, rtol=rtol, atol=atol, err_msg=f"derivative {stage}")


def both(name, *arguments, **options):
    """The function of that name on either side, with arguments after the tensors."""
    torch = pytest.importorskip("torch")
    return [lambda *xs, lib=lib: getattr(lib, name)(*xs, *arguments, **options) for lib in (ag, torch)]


def real(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def cplx(*shape, seed=0):
    return real(*shape, seed=seed) + 1j * real(*shape, seed=seed + 1)


def leaf(values):
    return ag.Tensor(np.array(values, dtype=float), requires_grad=True)


def pulled(y, x, second=False):
    """The gradient of y's sum, or that of a weighted sum of the gradient, as an array."""
    (g,) = ag.gradient(y.sum(), [x], create_graph=second)
    if second:
        total = (g * np.arange(1.0, math.prod(x.shape) + 1).reshape(x.shape)).sum()
        if not total.requires_grad:
            return np.zeros(x.shape)
        (g,) = ag.gradient(total, [x], allow_unused=True)
    return np.zeros(x.shape) if g is None else g.detach().numpy()


SHAPES = [(), (1,), (4,), (2, 3), (3, 1, 2)]
DIMS = [None, 0, -1, (0, -1), (1,), ()]
SUMS = ["sum", "mean", "nansum", "nanmean"]
SPREADS = ["var", "std"]


def valid(shape, dim):
    axes = range(len(shape)) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    rank = max(len(shape), 1)
    wide = [a for a in axes if -rank <= a < rank]
    return len(wide) == len(axes) and len({a % rank for a in wide}) == len(wide)


CASES = [(s, d) for s in SHAPES for d in DIMS if valid(s, d) and not (s == () and isinstance(d, tuple) and d)]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("shape, dim", CASES)
@pytest.mark.parametrize("name", [*SUMS, *SPREADS, "amax", "amin", "logsumexp", "norm"])
def test_reductions(name, shape, dim, keepdim):
    if name == "logsumexp" and dim in (None, ()):
        dim = tuple(range(len(shape)))
        if dim == ():
            return
    if name in SPREADS and (dim == () or reduced(shape, dim) < 2):
        return  # PyTorch's gradient for dim=() divides by zero; nothing to deviate is tested below
    options = {"p": 2} if name == "norm" else {}
    agree(*both(name, dim=dim, keepdim=keepdim, **options), real(*shape), rtol=1e-7, atol=1e-8)


def reduced(shape, dim):
    axes = range(len(shape)) if dim in (None, ()) else dim if isinstance(dim, tuple) else (dim,)
    return math.prod(shape[a] for a in axes) if shape else 1


@pytest.mark.parametrize("name", ["sum", "mean", "var", "logsumexp"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_complex_reductions(name, dim):

    agree(*both(name, dim), cplx(3, 4))


@pytest.mark.parametrize("correction", [0, 1, 2, 0.5])
def test_corrections(correction):
    for name in ("var", "std", "var_mean", "std_mean"):
        agree(*both(name, 1, correction=correction), real(2, 4))
        agree(*both(name, correction=correction, keepdim=True), real(2, 4))


def test_spreads_take_unbiased_as_well():
    for name in ("var", "std", "var_mean", "std_mean"):
        agree(*both(name, False), real(5))
        agree(*both(name, 0, False, True), real(5, 2))


EMPTY = [
    ("sum", 0.0),
    ("mean", math.nan),
    ("nansum", 0.0),
    ("nanmean", math.nan),
    ("prod", 1.0),
    ("std", math.nan),
    ("var", math.nan),
]


@pytest.mark.parametrize("name, value", EMPTY)
def test_of_nothing(name, value):
    y = getattr(ag, name)(leaf(np.zeros((0, 2))), 0)
    assert np.array_equal(y.numpy() if not y.requires_grad else y.detach().numpy(), np.full(2, value), equal_nan=True)
    assert np.array_equal(getattr(ag, name)(np.zeros(0)), value, equal_nan=True)


def test_one_entry_has_no_sample_deviation():
    assert math.isnan(ag.std(np.ones(1))) and math.isnan(ag.var(np.ones((1, 1)), 0)[0])
    assert ag.std(np.ones(1), correction=0) == 0


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "all", "any", "amax", "amin", "count_nonzero"])
def test_result_types(name, dtype):
    agree(*both(name), np.array([[1, 0], [2, 3]]).astype(dtype), order=0)


@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_dtype(name, dtype):
    torch = pytest.importorskip("torch")
    if name == "mean" and dtype == "int64":
        return
    x = np.array([[1, 2], [3, 4]], np.int32)
    y = getattr(ag, name)(ag.Tensor(x), 0, dtype=getattr(ag, dtype))
    other = getattr(torch, name)(torch.tensor(x), 0, dtype=getattr(torch, dtype)).numpy()
    assert y.dtype == other.dtype and np.array_equal(y.numpy(), other)


def test_integers_become_floats_where_they_must():
    torch = pytest.importorskip("torch")
    y, other = ag.logsumexp(ag.Tensor([1, 2]), 0), torch.logsumexp(torch.tensor([1, 2]), 0)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), other.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["all", "any"])
@pytest.mark.parametrize("dim", [None, 0, (0, 1), -1])
def test_logic(name, dim):
    x = np.array([[True, False], [True, True]])
    agree(*both(name, **({} if dim is None else {"dim": dim})), x, order=0)
    agree(*both(name), np.zeros((0, 2), bool), order=0)
    agree(*both(name), np.array([1 + 1j, 0]), order=0)


def test_equal_extremes_share_the_gradient():
    for name in ("amax", "amin"):
        agree(*both(name, (0,)), np.array([[1.0, 2, 2], [1, 3, 2], [0, 2, 2]]))
    agree(*both("max"), np.array([1.0, 3, 3, 0]))
    agree(*both("min"), np.array([1.0, 3, 3, 1]))
    agree(*both("aminmax", dim=1), np.array([[1.0, 3, 3, 1], [0, 1, 2, 3]]))
    agree(*both("max"), np.array([1.0, np.nan, 3]))


def test_a_nan_extreme_hands_its_gradient_to_the_nans():
    x = leaf([1, np.nan, 3, np.nan])
    y = ag.amax(x)
    assert math.isnan(y.item())
    assert pulled(y, x).tolist() == [0, 0.5, 0, 0.5]


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 2.5, 3, 4, math.inf, -math.inf, -1, -2])
@pytest.mark.parametrize("dim", [None, 1, (0, 2)])
def test_norms(p, dim):
    agree(*both("norm", p=p, dim=dim), real(2, 3, 2), rtol=1e-7)


@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_norms_of_complex_numbers(p):
    agree(*both("norm", p=p, dim=1), cplx(2, 3), rtol=1e-7)


def test_norms_by_name():
    agree(*both("norm", "fro", dim=(0, 1)), real(3, 4))
    agree(*both("norm"), np.arange(4).astype(np.float32) + 1, order=1, rtol=1e-6)
    agree(*both("norm", "nuc"), real(3, 4), rtol=1e-6, atol=1e-8)
    agree(*both("norm", "nuc", dim=(0, 2), keepdim=True), real(2, 2, 3), order=1, rtol=1e-6)
    y = ag.norm(ag.Tensor([3, 4]), dtype=ag.float64)
    assert y.item() == 5 and y.dtype == np.float64


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, math.inf, -1])
def test_zeros_do_no_harm_to_the_gradients_of_norms(p):
    for values in ([0, 0, 0], [1, -2, 0], [0, 0, 3]):
        for make in (lambda v: ag.norm(v, p), lambda v: ag.dist(v, np.zeros(3), p)):
            x = leaf(values)
            assert np.isfinite(pulled(make(x), x)).all()
            assert pulled(make(x), x)[np.array(values) == 0].tolist() == [0] * values.count(0)
            assert np.isfinite(pulled(make(x), x, second=True)).all()


def test_the_number_of_nonzero_entries_has_gradient_zero():
    x = leaf([1, 0, 2])
    assert ag.norm(x, 0).item() == 2 and pulled(ag.norm(x, 0), x).tolist() == [0, 0, 0]


def test_points_that_coincide_have_distance_zero_with_gradient_zero():
    a, b = leaf([1, 2]), leaf([1, 2])
    y = ag.dist(a, b)
    assert y.item() == 0
    assert [g.tolist() for g in (pulled(y, a), pulled(ag.dist(a, b), b))] == [[0, 0], [0, 0]]


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e6 + 0.1])
@pytest.mark.parametrize("n", [2, 3, 7, 1000])
def test_the_deviation_of_equal_entries_is_zero_and_so_are_its_gradients(value, n):
    for name in ("std", "var"):
        x = leaf([[value] * n, [value] * n])
        y = getattr(ag, name)(x, 1)
        assert y.detach().numpy().tolist() == [0, 0]
        assert not pulled(y, x).any()
        if name == "std":
            assert not pulled(ag.std(x, 1), x, second=True).any()


def test_the_variance_of_large_equal_offsets_is_not_lost():
    x = real(1000)
    assert ag.var(x + 1e9) == pytest.approx(x.var(ddof=1), rel=1e-5)


EXTREME_ROWS = [
    [-np.inf, -np.inf],
    [np.inf, 1.0],
    [np.inf, np.inf],
    [-np.inf, 1.0],
    [1000.0, 1001.0],
    [-1000.0, -1001.0],
]


@pytest.mark.parametrize("row", EXTREME_ROWS)
def test_logsumexp_of_extremes(row):
    x = leaf(row)
    y = ag.logsumexp(x, 0)
    assert y.item() == np.logaddexp(*row)
    g = pulled(y, x)
    assert np.isfinite(g).all() and np.isfinite(pulled(ag.logsumexp(x, 0), x, second=True)).all()
    if math.isinf(y.item()):
        assert not g.any()
    else:
        np.testing.assert_allclose(g, np.exp(np.array(row) - y.item()))


def test_logsumexp_of_nothing_is_that_of_zero():
    assert ag.logsumexp(np.zeros((2, 0)), 1).tolist() == [-np.inf] * 2


def test_nan_is_left_out():
    x = np.array([[1.0, np.nan, 3], [np.nan, np.nan, np.nan]])
    agree(*both("nansum", 1), x)
    agree(*both("nanmean", 1), x[:1])
    assert np.isnan(ag.nanmean(x, 1)[1])


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_renorm(dim, p):
    agree(*both("renorm", p, dim, 1.0), real(3, 4), rtol=1e-7)


def test_renorm_in_place():
    t = ag.Tensor(np.array([[3.0, 4.0], [0.3, 0.4]]))
    assert t.renorm_(2, 0, 1) is t
    np.testing.assert_allclose(t.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)


def test_cov():
    agree(*both("cov"), real(3, 5))
    agree(*both("cov", correction=0), real(5))
    agree(*both("cov"), cplx(2, 4))
    agree(*both("cov"), np.array(2.0)[None].repeat(3))
    counts, scales = np.array([1, 2, 1, 3]), np.array([0.5, 1, 2, 0.1])
    torch = pytest.importorskip("torch")
    for correction in (0, 1):
        for weights in [{"fweights": counts}, {"aweights": scales}, {"fweights": counts, "aweights": scales}]:
            f = lambda lib, make, w=weights, c=correction: (
                lambda x: lib.cov(x, correction=c, **{k: make(v) for k, v in w.items()})
            )
            agree(f(ag, ag.Tensor), f(torch, torch.tensor), real(2, 4))


def test_corrcoef():
    agree(*both("corrcoef"), real(3, 6), rtol=1e-7, atol=1e-7)
    agree(*both("corrcoef"), real(4), order=1)
    assert ag.corrcoef(real(3, 6)).max() <= 1


def test_trace():
    agree(*both("trace"), real(3, 4))
    agree(*both("trace"), cplx(2, 2))
    agree(*both("trace"), np.arange(6).reshape(2, 3).astype(np.int32), order=0)


def test_methods_and_spellings():
    t = ag.Tensor(real(2, 3))
    assert t.sum(axis=1, keepdims=True).shape == (2, 1)
    assert t.mean((0, 1)).shape == () and t.std(0).shape == (3,) and t.amax(-1).shape == (2,)
    assert t.norm(dim=0).shape == (3,) and t.aminmax(dim=0).max.shape == (3,)


def test_arrays_give_arrays():
    x = real(2, 3)
    for name in ("sum", "mean", "std", "amax", "norm"):
        assert isinstance(getattr(ag, name)(x, dim=1), np.ndarray), name


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_numpy_agrees(values):
    x = np.array(values)
    np.testing.assert_allclose(ag.sum(x), x.sum(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ag.var(x, correction=0), x.var(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ag.norm(x), np.linalg.norm(x), rtol=1e-9)
    np.testing.assert_allclose(ag.logsumexp(x, 0), np.logaddexp.reduce(x), rtol=1e-9, atol=1e-9)


FUNCTIONS = {
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(),
    "std": lambda x: ag.std(x, 0),
    "var": lambda x: ag.var(x, keepdim=True),
    "amax": lambda x: x.amax((0, 1)),
    "max": lambda x: x.max(1).values,
    "all": lambda x: ag.all(x > -1, 1),
    "norm": lambda x: x.norm(3, 0),
    "dist": lambda x: ag.dist(x, 2 * x),
    "logsumexp": lambda x: x.logsumexp(0),
    "nanmean": lambda x: x.nanmean(1),
    "renorm": lambda x: x.renorm(2, 0, 0.5),
    "cov": ag.cov,
    "corrcoef": ag.corrcoef,
    "trace": ag.trace,
    "prod": lambda x: ag.prod(x),
    "cumsum": lambda x: x.cumsum(0),
    "cumprod": lambda x: x.cumprod(-1),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "cummin": lambda x: x.cummin(1).values,
    "diff": lambda x: x.diff(dim=0, prepend=x[:1]),
    "trapezoid": lambda x: ag.trapezoid(x, x[0], dim=1),
    "sort": lambda x: x.sort(0, descending=True).values,
    "topk": lambda x: x.topk(2).values,
    "argmax": lambda x: x.argmax(1),
    "median": lambda x: x.median() + x.median(0).values,
    "mode": lambda x: x.mode(0).values,
    "quantile": lambda x: x.quantile(np.array([0.2, 0.7]), 0).astype(x.dtype),
    "searchsorted": lambda x: ag.searchsorted(x.sort(1).values, x),
    "bucketize": lambda x: ag.bucketize(x, np.array([-1.0, 0, 1])),
    "histc": lambda x: x.histc(3, -1, 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batches_are_mapped_as_one_by_one(name):
    f, x = FUNCTIONS[name], real(3, 2, 4)
    whole = ag.vmap(f)(ag.Tensor(x))
    np.testing.assert_allclose(whole.numpy(), np.stack([f(ag.Tensor(v)).numpy() for v in x]), rtol=1e-12, atol=1e-14)
    if whole.dtype.kind == "f" and name != "histc":
        grad = ag.grad(lambda v: (f(v) * f(v)).sum())
        one_by_one = np.stack([grad(ag.Tensor(v)).numpy() for v in x])
        np.testing.assert_allclose(ag.vmap(grad)(ag.Tensor(x)).numpy(), one_by_one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_mode_agrees_with_reverse_mode(name):
    f, x, v = FUNCTIONS[name], real(2, 4), real(2, 4, seed=1)
    y, tangent = ag.jvp(f, (ag.Tensor(x),), (ag.Tensor(v),))
    if y.dtype.kind == "f" and name != "histc":
        t = leaf(x)
        w = np.random.default_rng(0).standard_normal(y.shape)
        (g,) = ag.gradient((f(t) * w).sum(), [t])
        np.testing.assert_allclose((tangent.numpy() * w).sum(), (g.numpy() * v).sum(), rtol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_kept(name):
    t = ag.Tensor(real(2, 4).astype(np.float32), requires_grad=True)
    y = FUNCTIONS[name](t)
    assert y.dtype in (np.float32, np.int64, np.bool_)
    if y.requires_grad:
        assert ag.gradient(y.sum(), [t])[0].dtype == np.float32


ERRORS = [
    (lambda: ag.mean(ag.Tensor([1, 2])), TypeError, r"mean: x has type int64.*x.float\(\)"),
    (lambda: ag.std(ag.Tensor([1, 2])), TypeError, "std: x has type int64"),
    (lambda: ag.norm(ag.Tensor([1, 2])), TypeError, "norm: x has type int64"),
    (lambda: ag.amax(np.zeros((0, 3))), ValueError, r"amax: x has shape \(0, 3\), with no entries along axis 0"),
    (lambda: ag.amin(np.zeros((2, 0)), 1), ValueError, "amin: .*axis 1"),
    (lambda: ag.sum(np.zeros((2, 3)), 2), IndexError, "sum: dim 2 is out of range"),
    (lambda: ag.sum(np.zeros((2, 3)), (0, 0)), ValueError, r"sum: dim \(0, 0\) names an axis twice"),
    (lambda: ag.sum(np.zeros((2, 3)), 1.5), TypeError, "sum: dim must be an integer"),
    (lambda: ag.std(np.zeros(3), unbiased=True, correction=1), ValueError, "std: unbiased=True and correction=1"),
    (lambda: ag.norm(np.zeros(3), "two"), ValueError, "norm: p must be a number, 'fro' or 'nuc', got 'two'"),
    (lambda: ag.norm(np.zeros(0), math.inf), ValueError, "norm: x has shape"),
    (lambda: ag.trace(np.zeros(3)), ValueError, r"trace: needs a matrix, got shape \(3,\)"),
    (lambda: ag.cov(np.zeros((2, 2, 2))), ValueError, "cov: expected a row or a matrix"),
    (lambda: ag.cov(np.zeros((2, 3)), aweights=np.ones(2)), ValueError, r"cov: aweights has shape \(2,\)"),
    (lambda: ag.cov(np.zeros((2, 3)), fweights=np.ones(3)), TypeError, "cov: fweights count observations"),
    (lambda: ag.renorm(np.zeros(3), 2, 0, 1.0), ValueError, "renorm: needs two axes"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


HALF = {
    "mean": lambda x: x.mean(),
    "var": lambda x: x.var(),
    "std_mean": lambda x: ag.std_mean(x)[1],
    "norm": lambda x: x.norm(),
    "dist": lambda x: ag.dist(x, x * 0),
    "vector_norm": lambda x: ag.linalg.vector_norm(x),
    "nanmean": lambda x: x.nanmean(),
    "logsumexp": lambda x: x.logsumexp(0),
    "sum_first": lambda x: x.reshape(35000, 2)[:3000].sum(0),
    "cumsum": lambda x: (x[:3000] * 8).cumsum(0)[-1],
}
EXPECTED = dict(zip(HALF, (1.0, 0.0, 1.0, 70000**0.5, 70000**0.5, 70000**0.5, 1.0, 1 + np.log(70000), 3000.0, 24000.0)))


@pytest.mark.parametrize("name", HALF)
def test_float16_is_rounded_once(name):
    x = ag.ones(70000, dtype=ag.float16, requires_grad=True)
    y = HALF[name](x)
    assert y.dtype == ag.float16
    np.testing.assert_allclose(y.detach().numpy().astype(float), EXPECTED[name], rtol=1e-3)
    y.sum().backward()
    assert x.grad.dtype == ag.float16 and np.isfinite(x.grad.numpy()).all()


LONG = [((200000, 3), 0), ((3, 70001), 1), ((2, 50001, 3), (0, 1)), ((50000, 2, 2), (0, -1))]


@pytest.mark.parametrize("shape, dim", LONG)
def test_sums_along_long_leading_axes_lose_few_digits(shape, dim):
    x = (np.random.default_rng(0).normal(size=shape) + 1000).astype(np.float32)
    for array in (x, np.asfortranarray(x), x[::-1]):
        y = ag.tensor(array).mean(dim, keepdim=True).numpy()
        np.testing.assert_allclose(y, array.astype(float).mean(dim, keepdims=True), rtol=5e-7)


def test_gradient_of_a_bias_shared_by_many_rows_loses_few_digits():
    g = (np.random.default_rng(1).normal(size=(200000, 3)) + 1000).astype(np.float32)
    bias = ag.zeros(3, requires_grad=True)
    (ag.tensor(np.zeros_like(g)) + bias).backward(ag.tensor(g))
    np.testing.assert_allclose(bias.grad.numpy(), g.astype(float).sum(0), rtol=5e-7)


# --- axes in any order -----------------------------------------------------------------------------------------------

ORDERED = {"flip", "permute", "roll", "rot90", "matrix_norm"}  # where the order of axes means something


def over_several():
    """Every public function that takes several axes as `dim`."""
    places = [PUBLIC, {f"linalg.{n}": f for n, f in vars(ag.linalg).items() if callable(f) and n[0] != "_"}]
    for name, function in [item for place in places for item in place.items()]:
        try:
            takes = "dim" in inspect.signature(function).parameters
        except (TypeError, ValueError):
            continue
        if takes and name.split(".")[-1] not in ORDERED:
            try:
                function(ag.rand(2, 3, 4, 5), dim=(1, 2))
            except (TypeError, ValueError, IndexError, RuntimeError):
                continue
            yield name, function


SEVERAL = dict(over_several())


def test_most_reductions_take_several_axes():
    known = "all amax amin any logsumexp mean nanmean nansum norm std std_mean sum var var_mean linalg.vector_norm"
    assert set(known.split()) <= set(SEVERAL)


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned"])
def test_axes_may_be_named_in_any_order(name, turned):
    x = np.random.default_rng(0).random((2, 3, 4, 5))
    t = ag.tensor(x).permute(3, 1, 0, 2) if turned else ag.tensor(x)
    for count in (2, 3, 4):
        for dims in itertools.permutations(range(4), count):
            given, wanted = [
                np.concatenate([v.numpy().ravel() if hasattr(v, "numpy") else [v] for v in flatten(y)[0]])
                for y in (SEVERAL[name](t, dim=d) for d in (tuple(d - 4 for d in dims), tuple(sorted(dims))))
            ]
            np.testing.assert_allclose(given, wanted, err_msg=f"{dims}")


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "std", "var", "any", "all"])
def test_axes_may_be_named_to_numpy_in_any_order(name):
    x = np.random.default_rng(0).random((2, 3, 4))
    for axis in itertools.permutations(range(-3, 0), 2):
        np.testing.assert_allclose(getattr(np, name)(ag.tensor(x), axis=axis).numpy(), getattr(np, name)(x, axis=axis))
