"""Special functions against closed forms, SciPy, mpmath and torch; softmax and its masks."""

import math

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import bessel, error_function, gamma, incomplete_gamma
from autograd_core.kernels import special as others
from autograd_core.kernels.special import BLOCK, xlog1py
from autograd_core.op import REGISTRY
from autograd_core.ops import special
from autograd_core.testing import check

RNG = np.random.default_rng(7)
INF, NAN = math.inf, math.nan

OPS = """
    erf erfc erfcx erfinv ndtr ndtri log_ndtr hazard lgamma digamma polygamma zeta gammainc gammaincc i0 i1 i0e i1e
    bessel_j0 bessel_j1 bessel_y0 bessel_y1 bessel_over entr xlog1py softmax softmax_pull log_softmax log_softmax_pull
""".split()


def kernel(name):
    """The function of arrays, wherever it stands."""
    return next(getattr(m, name) for m in (bessel, error_function, gamma, incomplete_gamma, others) if hasattr(m, name))


def spread(low, high, count=100):
    """Numbers evenly spread over orders of magnitude, 10**low to 10**high."""
    return 10 ** RNG.uniform(low, high, count)


def even(low, high, count=300):
    return RNG.uniform(low, high, count)


def both(x):
    return np.concatenate([x, -x])


def relative(actual, expected):
    """The worst relative error; entries too small for full precision and infinities must only be equal or as small."""
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    usual = (np.abs(expected) > 1e-300) & np.isfinite(expected)
    assert np.array_equal(np.isfinite(actual), np.isfinite(expected))
    assert np.all(np.abs(actual[~usual & np.isfinite(expected)]) < 1e-299)
    return float(np.max(np.abs(actual - expected)[usual] / np.abs(expected)[usual], initial=0.0))


@pytest.mark.parametrize("name", OPS)
def test_has_every_property_of_an_op(name):
    assert check(REGISTRY[name], seed=3, rounds=3) > 0


# --- closed forms ----------------------------------------------------------------------------------------------------

EULER = 0.5772156649015329
CLOSED = [
    ("erf", [0.0, 0.5, -1.0], [0.0, 0.5204998778130465, -0.8427007929497149]),
    ("erfc", [0.0, 10.0, 26.0], [1.0, 2.088487583762545e-45, 5.663192408856143e-296]),
    ("erfcx", [0.0, 1e8, -1.0], [1.0, 5.641895835477563e-9, 5.00898008076228346]),
    ("ndtr", [0.0, -10.0], [0.5, 7.61985302416052606e-24]),
    ("ndtri", [0.5, 0.025], [0.0, -1.95996398454005424]),
    ("log_ndtr", [0.0, -100.0, 10.0], [-math.log(2), -5005.5242086942050886, -7.61985302416052606e-24]),
    ("gammaln", [1.0, 2.0, 11.0, 0.5], [0.0, 0.0, math.log(3628800), math.log(math.pi) / 2]),
    ("gammaln", [-0.5, -1.5], [math.log(2 * math.sqrt(math.pi)), math.log(4 / 3 * math.sqrt(math.pi))]),
    ("digamma", [1.0, 0.5, 2.0], [-EULER, -EULER - 2 * math.log(2), 1 - EULER]),
    ("i0", [0.0, 1.0], [1.0, 1.2660658777520083]),
    ("i1", [0.0, 1.0], [0.0, 0.5651591039924851]),
    ("bessel_j0", [0.0, 1.0], [1.0, 0.7651976865579666]),
    ("bessel_j1", [0.0, 1.0], [0.0, 0.4400505857449335]),
    ("entr", [1.0, 0.0, math.e], [0.0, 0.0, -math.e]),
]


@pytest.mark.parametrize("name, x, expected", CLOSED)
def test_known_values(name, x, expected):
    y = getattr(ag.special, name)(ag.tensor(np.array(x)))
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14, atol=1e-300)


def test_known_values_of_two_arguments():
    f = ag.special
    x = np.array([0.01, 0.7, 3.0, 20.0])
    np.testing.assert_allclose(f.zeta(np.array([2.0, 4.0]), 1.0), [math.pi**2 / 6, math.pi**4 / 90], rtol=1e-15)
    np.testing.assert_allclose(f.polygamma(1, np.array([1.0, 0.5])), [math.pi**2 / 6, math.pi**2 / 2], rtol=1e-15)
    np.testing.assert_allclose(f.gammainc(np.ones(4), x), -np.expm1(-x), rtol=1e-14)
    np.testing.assert_allclose(f.gammaincc(np.full(4, 2.0), x), (1 + x) * np.exp(-x), rtol=1e-14)
    np.testing.assert_allclose(f.gammainc(np.full(4, 0.5), x), error_function.erf(np.sqrt(x)), rtol=1e-14)
    a, b = np.array([0.0, 2.0, 0.0]), np.array([-1.0, 1e-20, -5.0])
    np.testing.assert_allclose(f.xlog1py(a, b), [0, 2e-20, 0], rtol=1e-15)
    bivariate = math.log(math.pi) / 2 + f.gammaln(x + 1) + f.gammaln(x + 0.5)
    np.testing.assert_allclose(f.multigammaln(x + 1, 2), bivariate, rtol=1e-14)


def test_identities():
    f, x = ag.special, even(0.05, 40)
    np.testing.assert_allclose(f.erf(x) + f.erfc(x), 1, rtol=1e-15)
    np.testing.assert_allclose(f.digamma(x + 1) - f.digamma(x), 1 / x, rtol=1e-12)
    np.testing.assert_allclose(f.gammaln(x + 1) - f.gammaln(x), np.log(x), rtol=0, atol=1e-13)
    np.testing.assert_allclose(f.zeta(3.5, x) - f.zeta(3.5, x + 1), x**-3.5, rtol=1e-12)
    np.testing.assert_allclose(f.gammainc(x, x[::-1]) + f.gammaincc(x, x[::-1]), 1, rtol=1e-14)
    wronskian = f.bessel_j1(x) * f.bessel_y0(x) - f.bessel_j0(x) * f.bessel_y1(x)
    np.testing.assert_allclose(wronskian, 2 / (math.pi * x), rtol=1e-14)
    y = even(-5.5, 5.5)
    np.testing.assert_allclose(f.ndtri(f.ndtr(-np.abs(y))), -np.abs(y), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(f.erf(f.erfinv(np.tanh(y))), np.tanh(y), rtol=1e-14)


EDGES = [  # at inf, -inf, nan, 0, -0, -1, as in torch
    ("erf", [1, -1, NAN, 0, 0, -0.8427007929497149]),
    ("erfc", [0, 2, NAN, 1, 1, 1.842700792949715]),
    ("erfcx", [0, INF, NAN, 1, 1, 5.00898008076228346]),
    ("erfinv", [NAN, NAN, NAN, 0, 0, -INF]),
    ("ndtr", [1, 0, NAN, 0.5, 0.5, 0.15865525393145707]),
    ("ndtri", [NAN, NAN, NAN, -INF, -INF, NAN]),
    ("log_ndtr", [0, -INF, NAN, -math.log(2), -math.log(2), -1.841021645009264]),
    ("lgamma", [INF, INF, NAN, INF, INF, INF]),
    ("digamma", [INF, NAN, NAN, -INF, INF, NAN]),
    ("i0e", [0, 0, NAN, 1, 1, 0.46575960759364043]),
    ("i1e", [0, 0, NAN, 0, 0, -0.20791041534970845]),
    ("bessel_j0", [NAN, NAN, NAN, 1, 1, 0.7651976865579666]),
    ("bessel_j1", [NAN, NAN, NAN, 0, 0, -0.4400505857449335]),
    ("bessel_y0", [NAN, NAN, NAN, -INF, -INF, NAN]),
    ("bessel_y1", [NAN, NAN, NAN, -INF, -INF, NAN]),
    ("entr", [-INF, -INF, NAN, 0, 0, -INF]),
]


@pytest.mark.parametrize("name, expected", EDGES)
def test_at_infinity_and_at_poles(name, expected):
    y = kernel(name)(np.array([INF, -INF, NAN, 0.0, -0.0, -1.0]))
    np.testing.assert_allclose(y, expected, rtol=1e-15)


def test_two_arguments_at_infinity_and_at_poles():
    s = np.array([1.0, 0.5, 2.0, 2.0, 2.5, 3.0, NAN, 2.0])
    q = np.array([1.0, 1.0, 0.0, -1.0, -0.5, -2.5, 1.0, NAN])
    np.testing.assert_allclose(gamma.zeta(s, q), [INF, NAN, INF, INF, NAN, 0.0541020258208637, NAN, NAN], rtol=1e-14)
    a = np.array([0.0, 0, 1, 1, INF, 1, INF, -1, 0, NAN])
    x = np.array([0.0, 1, 0, INF, 1, -1, INF, 1, INF, 1])
    np.testing.assert_array_equal(incomplete_gamma.gammainc(a, x), [NAN, 1, 0, 1, 0, NAN, NAN, NAN, 1, NAN])
    np.testing.assert_array_equal(incomplete_gamma.gammaincc(a, x), [NAN, 0, 1, 0, 1, NAN, NAN, NAN, 0, NAN])
    np.testing.assert_array_equal(ag.polygamma(2, np.array([0.0, -1.0])), [-INF, -INF])
    a, b = np.array([0.0, 1.0, -1.0]), np.array([NAN, -1.0, -1.0])
    np.testing.assert_array_equal(xlog1py(a, b), [NAN, -INF, INF])


# --- against SciPy and mpmath ----------------------------------------------------------------------------------------

SCIPY = [  # our name, SciPy's, arguments, tolerance: SciPy itself is off by up to 3e-13 in the tails
    ("erf", "erf", [both(np.r_[spread(-300, 1), even(0, 7)])], 1e-15),
    ("erfc", "erfc", [np.r_[even(-7, 26), both(spread(-20, 1))]], 1e-13),
    ("erfcx", "erfcx", [np.r_[even(-26, 30), spread(-20, 20)]], 1e-13),
    ("erfinv", "erfinv", [np.r_[even(-1, 1), spread(-300, -1), 1 - spread(-15, -1)]], 1e-14),
    ("ndtr", "ndtr", [np.r_[even(-37, 10), both(spread(-20, 1))]], 5e-13),
    ("log_ndtr", "log_ndtr", [np.r_[even(-37, 30), -spread(0, 150)]], 5e-13),
    ("ndtri", "ndtri", [np.r_[even(0, 1), spread(-300, -1), 1 - spread(-15, -1)]], 1e-14),
    ("lgamma", "gammaln", [np.r_[spread(-300, 300), even(2.2, 200), even(-0.9, 0.9)]], 1e-14),
    ("digamma", "psi", [np.r_[spread(-300, 300), even(1.6, 100), even(0, 1.4)]], 1e-14),
    ("zeta", "zeta", [1 + spread(-3, 1, 400), spread(-3, 6, 400)], 1e-14),
    ("i0", "i0", [both(np.r_[even(0, 30), spread(-20, 2.8)])], 1e-14),
    ("i1", "i1", [both(np.r_[even(0, 30), spread(-20, 2.8)])], 1e-14),
    ("i0e", "i0e", [both(np.r_[even(0, 30), spread(-20, 9)])], 1e-14),
    ("i1e", "i1e", [both(np.r_[even(0, 30), spread(-20, 9)])], 1e-14),
    ("gammainc", "gammainc", [spread(-3, 3, 600), spread(-3, 2, 600)], 1e-12),
    ("gammaincc", "gammaincc", [spread(-3, 3, 600), spread(-3, 2, 600)], 1e-12),
    ("entr", "entr", [even(0, 5)], 1e-15),
    ("xlog1py", "xlog1py", [even(-2, 2), np.r_[even(-1, 5, 150), spread(-20, 2, 150)]], 1e-14),
]


@pytest.mark.parametrize("name, theirs, args, tolerance", SCIPY, ids=[row[0] for row in SCIPY])
def test_agrees_with_scipy(name, theirs, args, tolerance):
    scipy = pytest.importorskip("scipy.special")
    assert relative(kernel(name)(*args), getattr(scipy, theirs)(*args)) < tolerance


@pytest.mark.parametrize("name", ["j0", "j1", "y0", "y1"])
def test_bessel_functions_agree_with_scipy(name):
    """Of size 1/sqrt(x): errors are measured against that; SciPy's own grow like x times rounding."""
    scipy = pytest.importorskip("scipy.special")
    x = np.r_[even(0.1, 6), even(6, 100), spread(1, 4)]
    difference = getattr(bessel, f"bessel_{name}")(x) - getattr(scipy, name)(x)
    scale = np.maximum(1, np.abs(getattr(scipy, name)(x)))
    assert np.all(np.abs(difference) * np.sqrt(x) < 1e-14 * scale * np.maximum(1, x / 10))


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_polygamma_agrees_with_scipy(n):
    scipy = pytest.importorskip("scipy.special")
    x = np.r_[spread(-3, 4), even(0, 20), RNG.integers(-9, 0, 100) + even(0.1, 0.4, 100)]
    assert relative(gamma.polygamma(x, n=n), scipy.polygamma(n, x)) < 1e-13


_ROOT = 1.4616321449683622  # of digamma
_SHAPES = spread(-3, 2.5, 80)

MPMATH = [  # our name, the same in mpmath, arguments, tolerance
    ("erf", lambda mp, x: mp.erf(x), [both(np.r_[spread(-300, 1, 50), even(0, 6, 200)])], 4e-16),
    ("erfc", lambda mp, x: mp.erfc(x), [even(-6, 26, 200)], 2e-15),
    ("erfcx", lambda mp, x: mp.exp(x * x) * mp.erfc(x), [even(-26, 20, 200)], 2e-15),
    ("erfinv", lambda mp, x: mp.erfinv(x), [np.r_[even(-1, 1, 100), 1 - spread(-15, -1, 50)]], 1e-15),
    ("ndtr", lambda mp, x: mp.erfc(-x / mp.sqrt(2)) / 2, [even(-37, 8, 200)], 2e-15),
    ("log_ndtr", lambda mp, x: mp.log(mp.erfc(-x / mp.sqrt(2)) / 2), [even(-37, 20, 200)], 2e-15),
    ("hazard", lambda mp, x: mp.npdf(x) / mp.ncdf(x), [even(-37, 37, 100)], 2e-15),
    ("lgamma", lambda mp, x: mp.loggamma(x), [np.r_[even(0, 200, 200), spread(-300, -1, 20), even(0, 12, 200)]], 1e-15),
    ("lgamma", lambda mp, x: mp.loggamma(x), [np.r_[1 + both(spread(-15, -1)), 2 + both(spread(-15, -1))]], 1e-15),
    ("digamma", lambda mp, x: mp.digamma(x), [np.r_[even(0, 12, 200), _ROOT + both(spread(-14, -1, 40))]], 1e-15),
    ("zeta", lambda mp, s, q: mp.zeta(s, q), [even(1.01, 9, 60), spread(-2, 1, 60)], 3e-15),
    ("i0", lambda mp, x: mp.besseli(0, x), [np.r_[even(0, 40, 100), even(700, 713, 20)]], 2e-15),
    ("i1", lambda mp, x: mp.besseli(1, x), [np.r_[even(0, 40, 100), even(700, 713, 20)]], 2e-15),
    ("bessel_j0", lambda mp, x: mp.besselj(0, x), [even(0, 6, 100)], 3e-15),
    ("bessel_j1", lambda mp, x: mp.besselj(1, x), [even(0, 6, 100)], 3e-15),
    ("bessel_y0", lambda mp, x: mp.bessely(0, x), [even(0, 0.8, 60)], 3e-15),
    ("bessel_y1", lambda mp, x: mp.bessely(1, x), [even(0, 2, 60)], 1e-14),
    ("gammainc", lambda mp, a, x: mp.gammainc(a, 0, x, regularized=True), [_SHAPES, _SHAPES * even(0.5, 2, 80)], 1e-13),
    ("gammaincc", lambda mp, a, x: mp.gammainc(a, x, regularized=True), [_SHAPES, _SHAPES * even(0.5, 2, 80)], 1e-13),
    ("gammaincc", lambda mp, a, x: mp.gammainc(a, x, regularized=True), [spread(-4, 0), spread(-2, 0)], 2e-14),
]


@pytest.mark.parametrize("name, reference, args, tolerance", MPMATH, ids=[row[0] for row in MPMATH])
def test_agrees_with_mpmath(name, reference, args, tolerance):
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.dps = 350 if name in ("log_ndtr", "erfcx", "hazard") else 40
    numbers = [[mp.mpf(float(v)) for v in values] for values in args]
    expected = [float(mp.re(reference(mp, *values))) for values in zip(*numbers, strict=True)]
    assert relative(kernel(name)(*args), expected) < tolerance


def test_negative_arguments_lose_relative_accuracy_only_at_zeros():
    mp = pytest.importorskip("mpmath").mp.clone()
    x = -even(0.5, 20, 150)
    x = x[np.abs(x - np.rint(x)) > 0.01]
    for f, reference in ((gamma.lgamma, lambda v: mp.log(abs(mp.gamma(v)))), (gamma.digamma, mp.digamma)):
        expected = np.array([float(reference(mp.mpf(float(v)))) for v in x])
        assert np.all(np.abs(f(x) - expected) < 1e-14 * np.maximum(10, np.abs(expected)))


# --- arrays of every kind --------------------------------------------------------------------------------------------

UNARY = "erf erfc erfcx ndtr log_ndtr lgamma digamma i0 i1 i0e i1e bessel_j0 bessel_j1 bessel_y0 bessel_y1 entr".split()


@pytest.mark.parametrize("name", UNARY)
def test_types_and_shapes(name):
    f = getattr(ag.special, name)
    for dtype in (np.float16, np.float32, np.float64):
        x = np.linspace(0.5, 4, 12).astype(dtype).reshape(3, 4)
        y = f(ag.tensor(x))
        assert y.dtype == dtype and y.shape == (3, 4)
        atol = 1e-6 if dtype == np.float16 else 0  # where float16 itself has fewer digits
        np.testing.assert_allclose(y.numpy(), f(x.astype(np.float64)), rtol=4 * float(np.finfo(dtype).eps), atol=atol)
        assert f(x).dtype == dtype and f(x[0, 0]).dtype == dtype
    assert f(ag.tensor([1, 2, 3])).dtype == np.float32
    assert f(np.array([1, 2, 3])).dtype == np.float64
    assert f(ag.tensor(1.5)).shape == () and f(ag.tensor(np.zeros((0, 3)))).shape == (0, 3)


@pytest.mark.parametrize("name", ["erf", "lgamma", "ndtri", "bessel_j0"])
def test_long_and_scattered_arrays(name):
    f, x = kernel(name), even(0.01, 0.99, 3 * BLOCK + 5)
    y = f(x)
    np.testing.assert_array_equal(y[::1000], [f(v) for v in x[::1000]])
    np.testing.assert_array_equal(f(x[::-3]), y[::-3])
    table = x[:6000].reshape(60, 100)
    np.testing.assert_array_equal(f(table.T), f(table).T)


def test_erf_in_single_precision():
    x = np.linspace(-6, 6, 100_001).astype(np.float32)
    y, exact = error_function.erf(x), error_function.erf(x.astype(np.float64))
    assert y.dtype == np.float32 and np.abs(y).max() == 1
    assert np.all(np.abs(y - exact) <= 4e-7 * np.abs(exact))


def test_arguments_broadcast_and_promote():
    a, x = np.array([[1], [2]], np.float32), np.array([0.5, 1.0, 2.0])
    assert ag.special.gammainc(ag.tensor(a), ag.tensor(x)).shape == (2, 3)
    assert ag.special.gammainc(ag.tensor(a), ag.tensor(x)).dtype == np.float64
    assert ag.special.zeta(2, ag.tensor(x.astype(np.float32))).dtype == np.float32
    assert ag.special.xlog1py(ag.tensor(a), 2.0).dtype == np.float32


# --- gradients -------------------------------------------------------------------------------------------------------


def gradients(f, x):
    """First and second derivative of an elementwise function."""
    x = ag.tensor(x, requires_grad=True)
    (first,) = ag.gradient(f(x).sum(), [x], create_graph=True)
    (second,) = ag.gradient(first.sum(), [x])
    return first.detach().numpy(), second.numpy()


TORCH = {
    (-3, 3): "erf erfc erfcx expit expm1 exp2",
    (-8, 4): "ndtr log_ndtr",
    (-9, 9): "i0 i1 i0e i1e",
    (0.01, 0.99): "erfinv ndtri logit entr",
    (0.1, 9): "gammaln digamma sinc log1p",
    (-3.8, -3.2): "gammaln psi",
}
ROWS = [(name, ends) for ends, names in TORCH.items() for name in names.split()]


@pytest.mark.parametrize("name, ends", ROWS)
def test_values_and_gradients_agree_with_torch(name, ends):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.special, name)
    x = even(*ends)
    t = torch.tensor(x, requires_grad=True)
    y = getattr(ag.special, name)(ag.tensor(x)).numpy()
    np.testing.assert_allclose(y, theirs(t).detach().numpy(), rtol=1e-12, atol=1e-14)
    (first,) = torch.autograd.grad(theirs(t).sum(), t, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), t)
    ours = gradients(getattr(ag.special, name), x)
    np.testing.assert_allclose(ours[0], first.detach().numpy(), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours[1], second.numpy(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
@pytest.mark.parametrize("name", ["polygamma", "mvlgamma"])
def test_polygamma_and_mvlgamma_agree_with_torch(name, n):
    """PyTorch's own trigamma is good to 3e-10."""
    torch = pytest.importorskip("torch")
    x = even(2.6, 9, 50)
    f = lambda module, v: module.polygamma(n, v) if name == "polygamma" else module.mvlgamma(v, n + 1)
    t = torch.tensor(x, requires_grad=True)
    (expected,) = torch.autograd.grad(f(torch, t).sum(), t)
    np.testing.assert_allclose(f(ag, ag.tensor(x)).numpy(), f(torch, t).detach().numpy(), rtol=1e-9)
    np.testing.assert_allclose(gradients(lambda v: f(ag, v), x)[0], expected.numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", ["zeta", "gammainc", "gammaincc", "xlog1py", "xlogy"])
def test_gradients_of_two_arguments_agree_with_torch(name):
    torch = pytest.importorskip("torch")
    a, x = even(1.5, 5, 40), even(0.2, 4, 40)
    b, t = torch.tensor(a, requires_grad=name[0] == "x"), torch.tensor(x, requires_grad=True)
    ours = [ag.tensor(a, requires_grad=name[0] == "x"), ag.tensor(x, requires_grad=True)]
    getattr(torch.special, name)(b, t).sum().backward()
    getattr(ag.special, name)(*ours).sum().backward()
    np.testing.assert_allclose(ours[1].grad.numpy(), t.grad.numpy(), rtol=1e-11)
    if name[0] == "x":
        np.testing.assert_allclose(ours[0].grad.numpy(), b.grad.numpy(), rtol=1e-11)


def test_gradients_at_zero_are_limits():
    f, zero = ag.special, np.zeros(1)
    for function, first, second in ((f.bessel_j0, 0, -0.5), (f.bessel_j1, 0.5, 0), (f.i0, 0, 0.5), (f.i1, 0.5, 0)):
        assert gradients(function, zero) == (first, second)
    assert gradients(f.i1e, zero)[0] == 0.5
    x = ag.tensor(zero, requires_grad=True)
    y = f.bessel_j1(x)
    for expected in (0.5, 0.0, -0.375):
        (y,) = ag.gradient(y.sum(), [x], create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), [expected], atol=1e-15)


def test_gradient_of_log_ndtr_far_out():
    first, second = gradients(ag.special.log_ndtr, np.array([-1e4, -40.0, 40.0, INF]))
    np.testing.assert_allclose(first, [10000.000099999998, 40.0249688472072637, 0, 0], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(second, [-1, -0.999377331621408611, 0, 0], rtol=1e-6, atol=1e-300)


def test_gradient_at_zero_times_the_logarithm_of_zero():
    a, b = ag.tensor([0.0, 0.0, 2.0], requires_grad=True), ag.tensor([-1.0, 1.0, 0.0], requires_grad=True)
    ag.special.xlog1py(a, b).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), [0, math.log(2), 0], rtol=1e-6)
    np.testing.assert_allclose(b.grad.numpy(), [0, 0, 2])


# --- softmax ---------------------------------------------------------------------------------------------------------


SHAPES = [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((3, 4), -2), ((2, 3, 4), 1), ((), 0), ((0, 3), 1), ((3, 0), 1)]


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape, dim", SHAPES)
def test_softmax_agrees_with_torch(name, shape, dim):
    torch = pytest.importorskip("torch")
    x, g, h = (RNG.standard_normal(shape) * 3 for _ in range(3))
    ours, t = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = getattr(ag, name)(ours, dim), getattr(torch, name)(t, dim)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-14, atol=1e-15)
    (first,) = ag.gradient(y, [ours], ag.tensor(g), create_graph=True)
    (expected,) = torch.autograd.grad(z, t, torch.tensor(g), create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    (second,) = ag.gradient(first, [ours], ag.tensor(h))
    (expected,) = torch.autograd.grad(expected, t, torch.tensor(h))
    np.testing.assert_allclose(second.numpy(), expected.numpy(), rtol=1e-11, atol=1e-13)


MASKED = np.array([[1.0, -INF, 2.0], [-INF, -INF, -INF], [-INF, 0.5, -INF]])


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_masked_entries_have_no_gradient(name, dim):
    x = ag.tensor(MASKED, requires_grad=True)
    y = getattr(x, name)(dim)
    values = y.detach().numpy()
    assert not np.isnan(values).any()
    assert np.all(values[MASKED == -INF] == (0 if name == "softmax" else -INF))
    g = ag.tensor(RNG.standard_normal((3, 3)), requires_grad=True)
    (first,) = ag.gradient(y, [x], g, create_graph=True)
    second = ag.gradient(first, [x, g], ag.tensor(RNG.standard_normal((3, 3))), create_graph=True)
    third = ag.gradient(second[0], [x], ag.tensor(RNG.standard_normal((3, 3))))
    for gradient in (first, *second, *third):
        assert np.all(gradient.detach().numpy()[MASKED == -INF] == 0)
        assert not np.isnan(gradient.detach().numpy()).any()
    kept = np.array([[1.0, 2.0]])
    if dim == 1:
        unmasked = ag.tensor(kept, requires_grad=True)
        (expected,) = ag.gradient(getattr(unmasked, name)(1), [unmasked], g.detach()[:1, [0, 2]])
        np.testing.assert_allclose(first.detach().numpy()[:1, [0, 2]], expected.numpy(), rtol=1e-13)


def test_softmax_of_large_numbers_and_narrow_types():
    np.testing.assert_array_equal(ag.softmax(np.array([1e308, -1e308, 1e308]), 0), [0.5, 0, 0.5])
    np.testing.assert_array_equal(ag.log_softmax(np.array([1000.0, 0.0]), 0), [0, -1000])
    assert np.isnan(ag.softmax(np.array([INF, 0.0]), 0)).any()
    half = ag.softmax(ag.tensor(np.zeros(40_000, np.float16)), 0)
    assert half.dtype == np.float16 and abs(float(half.numpy().astype(np.float64).sum()) - 1) < 0.01
    assert ag.softmax(ag.tensor([1, 2]), 0).dtype == np.float32
    assert ag.softmax(ag.tensor([1, 2]), 0, dtype=ag.float64).dtype == np.float64
    assert ag.tensor([[1.0, 2.0]]).log_softmax(dim=-1).dtype == np.float32


def test_softmax_under_transforms():
    x = RNG.standard_normal((4, 3))
    np.testing.assert_allclose(ag.vmap(lambda r: ag.softmax(r, 0))(ag.tensor(x)).numpy(), ag.softmax(x, 1), rtol=1e-14)
    np.testing.assert_allclose(ag.vmap(lambda r: ag.softmax(r, 0))(ag.tensor(x[:, 0])).numpy(), np.ones(4))


# --- names and errors ------------------------------------------------------------------------------------------------


def test_every_name_is_there():
    missing = [n for n in special.NAMESPACE if not callable(getattr(ag.special, n, None))]
    assert not missing
    assert not [n for n in special.__all__ if not hasattr(ag, n)]
    assert ag.special.psi is ag.special.digamma and ag.special.expit is ag.special.sigmoid
    undocumented = [n for n in special.__all__ if not getattr(ag.special, n).__doc__]
    assert not undocumented


def test_methods():
    x = ag.tensor([0.2, 0.7])
    for name in ("erf", "erfc", "erfinv", "lgamma", "digamma", "i0"):
        np.testing.assert_array_equal(getattr(x, name)().numpy(), getattr(ag, name)(x).numpy())
    expected = ag.erf(x).numpy()
    assert x.erf_() is x
    np.testing.assert_array_equal(x.numpy(), expected)


ERRORS = [
    (lambda: ag.polygamma(-1, np.ones(2)), ValueError, "^polygamma: n must not be negative, got -1"),
    (lambda: ag.polygamma(np.ones(2), 1), TypeError, "^polygamma: n must be an integer.*the order comes first"),
    (lambda: ag.mvlgamma(np.ones(2), 0), ValueError, "^mvlgamma: p must be a positive integer, got 0"),
    (lambda: ag.softmax(ag.tensor([1.0]), 1), IndexError, "^softmax: dim 1 is out of range"),
    (lambda: ag.log_softmax(ag.tensor([1.0]), "x"), TypeError, "^log_softmax: dim must be an integer"),
    (lambda: ag.erf(ag.tensor([1j])), TypeError, "^erf: expected real arguments, got complex"),
    (lambda: ag.lgamma(np.array([1j])), TypeError, "^lgamma: expected real arguments, got complex128"),
    (lambda: ag.special.zeta(ag.tensor([2.0, 3.0]), ag.tensor([1.0] * 3)), ValueError, "^zeta: .*do not broadcast"),
    (
        lambda: ag.special.zeta(ag.tensor([2.0], requires_grad=True), ag.tensor([1.0])).sum().backward(),
        NotImplementedError,
        "^zeta: has no gradient with respect to s",
    ),
    (
        lambda: ag.special.gammainc(ag.tensor([2.0], requires_grad=True), ag.tensor([1.0])).sum().backward(),
        NotImplementedError,
        "^gammainc: has no gradient with respect to a",
    ),
]


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_polygamma_in_place():
    x = ag.tensor([1.0, 2.0])
    assert x.polygamma_(1) is x
    np.testing.assert_allclose(x.numpy(), [math.pi**2 / 6, math.pi**2 / 6 - 1], rtol=1e-5)
