"""Elementary functions in kernels: bounds on their errors, and what they do at the edges."""

import math

import numpy as np
import pytest

from autograd_core.kernels import _jit, activations
from autograd_core.ops import activations as ops

if not _jit.COMPILED:
    pytest.skip("without compiling there is nothing to look at", allow_module_level=True)

from benchmarks import accuracy

INF, NAN = math.inf, math.nan
DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("name", accuracy.NAMES)
def test_single_precision_is_off_by_two_units_at_most(name):
    """On every 40000-th number there is; `python -m benchmarks.accuracy --exhaustive` looks at all."""
    numbers = np.concatenate(list(accuracy.every(39989)))
    error, where = accuracy.single(name, numbers)
    assert error <= 2, f"{name}({where}) is off by {error:.2f} units"
    near = np.random.default_rng(0).normal(0, 1, 40000) * np.repeat([0.1, 1, 4, 30], 10000)
    error, where = accuracy.single(name, near.astype(np.float32))
    assert error <= 2, f"{name}({where}) is off by {error:.2f} units"


@pytest.mark.parametrize("name", accuracy.NAMES)
def test_double_precision_is_off_by_four_units_at_most(name):
    pytest.importorskip("mpmath")
    error, where = accuracy.worst_double(name, 20, seed=1)
    assert error <= 4, f"{name}({where}) is off by {error:.2f} units"


@pytest.mark.parametrize("name", accuracy.NAMES)
def test_small_arrays_are_as_precise_in_single(name):
    """Those that no loop is called for."""
    numbers = np.concatenate(list(accuracy.every(39989)))
    near = np.random.default_rng(0).normal(0, 1, 40000) * np.repeat([0.1, 1, 4, 30], 10000)
    worst = [-88.72, -13.04, -103.97, -3.43, 0.782453299, 1.385, -1.013, 88.717, -20.4478]
    for x in (numbers, near.astype(np.float32), np.array(worst, np.float32)):
        error, where = accuracy.single(name, x, accuracy.in_numpy)
        assert error <= 2, f"{name}({where}) is off by {error:.2f} units"


@pytest.mark.parametrize("name", accuracy.NAMES)
def test_small_arrays_are_as_precise_in_double(name):
    pytest.importorskip("mpmath")
    error, where = accuracy.worst_double(name, 20, seed=1, ours=accuracy.in_numpy)
    assert error <= 4, f"{name}({where}) is off by {error:.2f} units"


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2), (np.float64, 4)])
def test_powers(dtype, bound):
    pytest.importorskip("mpmath")
    error, where = accuracy.worst_power(dtype, 300, seed=1)
    assert error <= bound, where


EDGES = {  # what becomes of 0, -0, inf, -inf
    "exp": (1, 1, INF, 0),
    "exp2": (1, 1, INF, 0),
    "expm1": (0, -0.0, INF, -1),
    "log": (-INF, -INF, INF, NAN),
    "log2": (-INF, -INF, INF, NAN),
    "log10": (-INF, -INF, INF, NAN),
    "log1p": (0, -0.0, INF, NAN),
    "sin": (0, -0.0, NAN, NAN),
    "cos": (1, 1, NAN, NAN),
    "sinh": (0, -0.0, INF, -INF),
    "cosh": (1, 1, INF, INF),
    "tanh": (0, -0.0, 1, -1),
    "sigmoid": (0.5, 0.5, 1, 0),
    "silu": (0, -0.0, INF, 0),
    "softplus": (math.log(2), math.log(2), INF, 0),
    "log_sigmoid": (-math.log(2), -math.log(2), 0, -INF),
    "mish": (0, -0.0, INF, 0),
    "erf": (0, -0.0, 1, -1),
    "erfc": (1, 1, 0, 2),
    "gelu": (0, -0.0, INF, 0),
    "gelu_tanh": (0, -0.0, INF, 0),
    "rsqrt": (INF, -INF, 0, NAN),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", accuracy.NAMES)
def test_edges(name, dtype):
    x, wanted = np.array([0.0, -0.0, INF, -INF], dtype), np.array(EDGES[name], dtype)
    y = accuracy.ours(name, x)
    np.testing.assert_allclose(y, wanted, rtol=4 * np.finfo(dtype).eps)
    assert np.array_equal(np.signbit(y[:2]), np.signbit(wanted[:2]))


@pytest.mark.parametrize("dtype, word", [(np.float32, np.uint32), (np.float64, np.uint64)])
@pytest.mark.parametrize("name", accuracy.NAMES)
def test_what_is_not_a_number_stays_so(name, dtype, word):
    """Whatever its bits are."""
    quiet = np.array([NAN, -NAN], dtype).view(word)
    payload = np.random.default_rng(0).integers(0, 1 << 22, 200).astype(word)
    x = (quiet[:, None] | payload).view(dtype).ravel()
    assert np.isnan(accuracy.ours(name, x)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_numbers_come_in_and_go_out(dtype):
    tiny = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([tiny, 7 * tiny, float(np.finfo(dtype).tiny) / 3], dtype)
    for name in ("sin", "tanh", "expm1", "log1p", "sinh"):
        for sign in (1, -1):
            assert np.array_equal(accuracy.ours(name, sign * x), sign * x), name
    np.testing.assert_allclose(accuracy.ours("log", x), np.log(x), rtol=1e-6)
    for name, low in (("exp", math.log(tiny)), ("sigmoid", math.log(tiny)), ("softplus", math.log(tiny))):
        y = accuracy.ours(name, np.array([low + 0.1, low + 3, low - 2], dtype))
        assert y.tolist() == [tiny, round(math.exp(3)) * tiny, 0], name


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_at_the_edges(dtype):
    values = np.array([0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, INF, -INF, NAN, 2.0**30 + 1, 1e30], dtype)
    values = np.append(values, np.finfo(dtype).smallest_subnormal)
    x, y = (v.ravel().copy() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.float64), y.astype(np.float64)).astype(dtype)
    z = accuracy.ours("pow", x, y)
    np.testing.assert_allclose(z, wanted, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert np.array_equal(np.signbit(z[~np.isnan(z)]), np.signbit(wanted[~np.isnan(z)]))


def test_large_arguments_of_sine_and_cosine():
    """The quick reduction and the one for every number agree where both hold."""
    from autograd_core.kernels import vector_trig

    for dtype in DTYPES:
        for x in np.random.default_rng(0).uniform(-vector_trig.NEAR, vector_trig.NEAR, 50).astype(dtype):
            eps = 4 * np.finfo(dtype).eps
            assert math.isclose(vector_trig.near_sin(x), vector_trig.sin(x), rel_tol=eps, abs_tol=eps / 8)
            assert math.isclose(vector_trig.near_cos(x), vector_trig.cos(x), rel_tol=eps, abs_tol=eps / 8)


@pytest.mark.parametrize(
    ("name", "x"), [("tanh", 0.500510156), ("gelu", -1.83504713), ("gelu", -12.9778709), ("gelu", 0.0304294564)]
)
def test_two_units_where_errors_were_largest(name, x):
    """Of all float32 numbers, as `python -m benchmarks.accuracy --exhaustive` found them."""
    assert accuracy.single(name, np.array([x, -x], "f"))[0] <= 2


@pytest.mark.parametrize("count", [3, 300])
def test_softplus_far_below_is_zero_without_a_sign(count):
    for dtype in (np.float32, np.float64):
        y = activations.softplus(np.full(count, -1e30, dtype), beta=1.0, threshold=20.0)
        assert not y.any() and not np.signbit(y).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [3, 300])
def test_slopes_far_out(count, dtype):
    """At the ends; next to 1, where 1 - sigmoid(x) would be a few units times x; below the smallest normal number."""
    silu_slope, gelu_slope = ops.silu_slope.op.forward, ops.gelu_slope.op.forward
    for slope in (silu_slope, gelu_slope):
        assert slope(np.array([INF, -INF, 100] * (count // 3), dtype))[:3].tolist() == [1, 0, 1]
    x, low = (16.6, -100.0) if dtype is np.float32 else (36.7, -740.0)
    assert abs(silu_slope(np.full(count, x, dtype))[0] - 1 - (x - 1) * math.exp(-x)) <= np.finfo(dtype).eps
    np.testing.assert_allclose(
        silu_slope(np.full(count, low, dtype)), (1 + low) * math.exp(low / 2) * math.exp(low / 2), rtol=1e-3
    )
