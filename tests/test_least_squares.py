"""`optim.least_squares` recovers parameters and their standard errors, from poor starts too."""

import numpy as np
import pytest

import autograd_core as ag
import optim
from benchmarks.problems import KOWALIK, MEYER, OSBORNE_1, PROBLEMS

# Gauss-Newton has no region of trust: where its steps at the start are nearly square to the gradient it cannot begin.
NEED_TRUST = {"freudenstein-roth", "biggs-exp6", "jennrich-sampson", "chebyquad", "trigonometric", "brown-dennis"}


@pytest.mark.parametrize("name", PROBLEMS)
def test_known_minima(name):
    p = PROBLEMS[name]
    fit = optim.least_squares(p.residuals, p.start)
    assert p.reached(2 * fit.value) <= 1e-8, fit
    assert fit.success
    r = p.residuals(fit.x)
    np.testing.assert_allclose(fit.residuals, r, rtol=1e-6, atol=1e-16)
    assert fit.value == pytest.approx(float(r @ r) / 2)


@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - NEED_TRUST))
def test_known_minima_by_gauss_newton(name):
    p = PROBLEMS[name]
    fit = optim.least_squares(p.residuals, p.start, "gn")
    assert p.reached(2 * fit.value) <= 1e-8 and fit.success, fit


@pytest.mark.parametrize("name", sorted(NEED_TRUST))
def test_gauss_newton_does_not_claim_what_it_did_not_find(name):
    p = PROBLEMS[name]
    fit = optim.least_squares(p.residuals, p.start, "gn")
    assert not fit.success or p.reached(2 * fit.value) <= 1e-8


def test_evaluations_beside_scipy():
    theirs = pytest.importorskip("scipy.optimize").least_squares
    tight = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12, "max_nfev": 5000, "x_scale": "jac"}
    reached = []
    for name in sorted(set(PROBLEMS) - {"meyer"}):
        p = PROBLEMS[name]
        plain = lambda x, f=p.residuals: f(ag.tensor(x)).value
        other = theirs(plain, p.start, ag.jacobian(p.residuals), method="lm", **tight)
        if min(abs(2 * other.cost - m) / (1 + m) for m in p.minima) > 1e-6:
            continue  # SciPy's search ends early now and then, at the third evaluation of another run's forty-five
        assert optim.least_squares(p.residuals, p.start).nfev <= 2 * other.nfev, name
        reached.append(name)
    assert len(reached) >= len(PROBLEMS) - 3


# Problems of the Statistical Reference Datasets of NIST: two starts, certified parameters, their standard deviations,
# and the residual sum of squares, to eleven digits.
MISRA = (
    np.array([77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0]),
    np.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78]),
)
DANWOOD = np.array([1.309, 1.471, 1.490, 1.565, 1.611, 1.680]), np.array([2.138, 3.421, 3.597, 4.340, 4.882, 5.660])
BOXBOD = np.array([1.0, 2, 3, 5, 7, 10]), np.array([109.0, 149, 149, 191, 213, 224])
RAT43 = (
    np.arange(1.0, 16.0),
    np.array(
        [16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96]
        + [637.56, 717.41]
    ),
)
NIST = {
    "Misra1a": (
        MISRA,
        lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
        [[500, 1e-4], [250, 5e-4]],
        [2.3894212918e2, 5.5015643181e-4],
        [2.7070075241e0, 7.2668688436e-6],
        1.2455138894e-1,
    ),
    "Misra1b": (
        MISRA,
        lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
        [[500, 1e-4], [300, 2e-4]],
        [3.3799746163e2, 3.9039091287e-4],
        [3.1643950207e0, 4.2547321834e-6],
        7.5464681533e-2,
    ),
    "DanWood": (
        DANWOOD,
        lambda b, x: b[0] * x ** b[1],
        [[1, 5], [0.7, 4]],
        [7.6886226176e-1, 3.8604055871],
        [1.8281973860e-2, 5.1726610913e-2],
        4.3173084083e-3,
    ),
    "BoxBOD": (
        BOXBOD,
        lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
        [[1, 1], [100, 0.75]],
        [2.1380940889e2, 5.4723748542e-1],
        [1.2354515176e1, 1.0455993237e-1],
        1.1680088766e3,
    ),
    "Rat43": (
        RAT43,
        lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
        [[100, 10, 1, 1], [700, 5, 0.75, 1.3]],
        [6.9964151270e2, 5.2771253025, 7.5962938329e-1, 1.2792483859],
        [1.6302297817e1, 2.0828735829, 1.9566123451e-1, 6.8761936385e-1],
        8.7864049080e3,
    ),
    "MGH09": (
        KOWALIK[::-1],
        lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
        [[25, 39, 41.5, 39], [0.25, 0.39, 0.415, 0.39]],
        [1.9280693458e-1, 1.9128232873e-1, 1.2305650693e-1, 1.3606233068e-1],
        [1.1435312227e-2, 1.9633220911e-1, 8.0842031232e-2, 9.0025542308e-2],
        3.0750560385e-4,
    ),
    "MGH10": (
        (50 + 5 * np.arange(16.0), MEYER),
        lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
        [[2, 4e5, 25000], [0.02, 4000, 250]],
        [5.6096364710e-3, 6.1813463463e3, 3.4522363462e2],
        [1.5687892471e-4, 2.3309021107e1, 7.8486103508e-1],
        8.7945855171e1,
    ),
    "MGH17": (
        (10 * np.arange(33.0), OSBORNE_1),
        lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
        [[50, 150, -100, 1, 2], [0.5, 1.5, -1, 0.01, 0.02]],
        [3.7541005211e-1, 1.9358469127, -1.4646871366, 1.2867534640e-2, 2.2122699662e-2],
        [2.0723153551e-3, 2.2031669222e-1, 2.2175707739e-1, 4.4861358114e-4, 8.9471996575e-4],
        5.4648946975e-5,
    ),
}


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", NIST)
def test_certified_digits(name, start):
    (x, y), model, starts, certified, deviations, squares = NIST[name]
    fit = optim.least_squares(lambda b: y - model(b, x), np.array(starts[start], float))
    np.testing.assert_allclose(fit.x, certified, rtol=5e-9)
    np.testing.assert_allclose(fit.standard_errors, deviations, rtol=1e-8)
    assert 2 * fit.value == pytest.approx(squares, rel=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), fit.standard_errors)


T = np.linspace(0, 1, 41)
MODELS = {
    "exponentials": (
        lambda b: b[0] * np.exp(-b[1] * T) + b[2] * np.exp(-b[3] * T) + b[4] * np.exp(-b[5] * T),
        [0.0951, 1, 0.8607, 3, 1.5576, 5],
        [1.2, 0.3, 5.6, 5.5, 6.5, 7.6],
    ),
    "rational": (
        lambda b: (b[0] + b[1] * T + b[2] * T**2 + b[3] * T**3) / (1 + b[4] * T + b[5] * T**2 + b[6] * T**3),
        [1.3, 2, 0.5, 0.07, 0.9, 0.4, 0.05],
        [1, 1, 1, 0.1, 0.5, 0.5, 0.5],
    ),
    "oscillation": (
        lambda b: b[0] + b[1] * np.exp(-b[2] * T) * np.cos(b[3] * T + b[4]),
        [0.5, 2, 1.5, 17, 0.7],
        [0, 1, 0, 15, 0],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_recovered(name):
    model, true, start = MODELS[name]
    y = model(np.array(true, float))
    fit = optim.least_squares(lambda b: model(b) - y, np.array(start, float))
    slack = 1e-8 * np.linalg.cond(fit.jac / np.linalg.norm(fit.jac, axis=0)) * 1e-6  # digits that y itself has lost
    np.testing.assert_allclose(fit.x, true, rtol=max(1e-8, slack))


def test_standard_errors_of_an_oscillation_beside_mpmath():
    mpmath = pytest.importorskip("mpmath")
    model, true, start = MODELS["oscillation"]
    y = model(np.array(true)) + 0.01 * np.cos(1000 * T**2)
    fit = optim.least_squares(lambda b: model(b) - y, np.array(start, float))
    with mpmath.workdps(40):
        x, errors = high_precision(mpmath, y, fit.x)
    np.testing.assert_allclose(fit.x, x, rtol=1e-10)
    np.testing.assert_allclose(fit.standard_errors, errors, rtol=1e-9)


def high_precision(mp, y, start):
    """Gauss-Newton to 40 digits for the oscillation."""
    b = mp.matrix([mp.mpf(float(v)) for v in start])
    for _ in range(30):
        rows, r = [], []
        for t, v in zip(map(float, T), map(float, y)):
            e, angle = mp.exp(-b[2] * t), b[3] * t + b[4]
            c, s = e * mp.cos(angle), e * mp.sin(angle)
            rows.append([1, c, -t * b[1] * c, -t * b[1] * s, -b[1] * s])
            r.append(b[0] + b[1] * c - v)
        J, r = mp.matrix(rows), mp.matrix(r)
        inverse = (J.T * J) ** -1
        b -= inverse * (J.T * r)
    variance = sum(v * v for v in r) / (len(r) - 5)
    return [float(v) for v in b], [float(mp.sqrt(inverse[k, k] * variance)) for k in range(5)]


@pytest.mark.parametrize("method", ["lm", "gn"])
def test_a_straight_line_is_linear_least_squares(method):
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(20, 3)), rng.normal(size=20)
    fit = optim.least_squares(lambda x: A @ x - b, np.zeros(3), method)
    np.testing.assert_allclose(fit.x, np.linalg.lstsq(A, b)[0], rtol=1e-12)
    covariance = np.linalg.inv(A.T @ A) * (fit.residuals @ fit.residuals) / 17
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-12)
    np.testing.assert_allclose(fit.jac, A)
    assert fit.rank == 3


@pytest.mark.parametrize("method", ["lm", "gn"])
def test_bounds(method):
    y = 2 * np.exp(-3 * T) + 1
    residuals = lambda b: b[0] * np.exp(-b[1] * T) + b[2] - y
    free = optim.least_squares(residuals, np.ones(3), method, bounds=(0, 10))
    np.testing.assert_allclose(free.x, [2, 3, 1], rtol=1e-9)
    held = optim.least_squares(residuals, np.ones(3), method, bounds=([0, 0, 0], [9, 2.0, 9]))
    assert held.x[1] == 2.0 and held.success and np.array_equal(held.active, [0, 1, 0])
    g = held.jac.T @ held.residuals
    np.testing.assert_allclose(g[[0, 2]], 0, atol=1e-9)
    assert g[1] < 0


def test_bounds_beside_scipy():
    theirs = pytest.importorskip("scipy.optimize").least_squares
    for name in "bard kowalik-osborne wood rosenbrock-2 osborne-2 broyden-tridiagonal".split():
        p = PROBLEMS[name]
        low, high = np.minimum(p.start, 0.3) - 0.1, np.maximum(p.start, 0.8)
        fit = optim.least_squares(p.residuals, p.start, bounds=(low, high))
        plain = lambda x, f=p.residuals: f(ag.tensor(x)).value
        other = theirs(plain, p.start, ag.jacobian(p.residuals), bounds=(low, high), xtol=1e-14, ftol=1e-14, gtol=1e-12)
        assert fit.success and fit.value <= other.cost * (1 + 1e-8) + 1e-12, name


@pytest.mark.parametrize("method", ["lm", "gn"])
@pytest.mark.parametrize("seed", range(12))
def test_bounds_on_linear_problems(method, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    A, b = rng.normal(size=(2 * n, n)) * np.exp(2 * rng.normal(size=n)), 3 * rng.normal(size=2 * n)
    low = rng.normal(size=n) - 0.5
    high = low + 2 * rng.random(n)
    fit = optim.least_squares(lambda x: A @ x - b, np.zeros(n), method, bounds=(low, high))
    x, g = fit.x, fit.jac.T @ fit.residuals / np.linalg.norm(A, axis=0)
    assert fit.success and (x >= low).all() and (x <= high).all()
    np.testing.assert_allclose(g[(x > low) & (x < high)], 0, atol=1e-9)
    assert (g[x == low] >= -1e-9).all() and (g[x == high] <= 1e-9).all()


def test_trees_tensors_and_residuals_of_any_shape():
    target = np.arange(6.0).reshape(2, 3)
    residuals = lambda p: {"a": p["w"] * ag.ones(2, 3) + p["b"] - target, "b": 0.1 * p["w"]}
    fit = optim.least_squares(residuals, {"w": ag.tensor([[1.0], [2.0]]), "b": 0.5})
    assert isinstance(fit.x["w"], ag.Tensor) and fit.x["w"].shape == (2, 1) and type(fit.x["b"]) is float
    assert fit.jac.shape == (8, 3) and type(fit.standard_errors["b"]) is float
    scalar = optim.least_squares(lambda x: [x - 1, x - 2, x - 6], 0.0)
    assert scalar.x == pytest.approx(3) and scalar.standard_errors == pytest.approx(np.sqrt(14 / 2 / 3))


def test_parameters_that_are_not_determined():
    fit = optim.least_squares(lambda x: (x[0] + x[1]) * T - T, np.array([5.0, 5.0]))
    assert fit.rank == 1 and np.isinf(fit.standard_errors).all()
    assert fit.x.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", ["lm", "gn"])
def test_fewer_residuals_than_parameters(method):
    fit = optim.least_squares(lambda x: [x[0] * x[1] - 2, x[1] + x[2] ** 2 - 5], [1.0, 1.0, 1.0, 7.0], method)
    assert fit.success and fit.value <= 1e-24 and fit.x[3] == 7
    assert fit.jac.shape == (2, 4) and fit.rank == 2 and np.isinf(fit.standard_errors).all()
    A, b = np.random.default_rng(0).normal(size=(3, 5)), np.ones(3)
    straight = optim.least_squares(lambda x: A @ x - b, np.zeros(5), method, bounds=(-9, 9))
    np.testing.assert_allclose(A @ straight.x, b, atol=1e-12)


@pytest.mark.parametrize("method", ["lm", "gn"])
def test_where_squares_overflow_no_step_goes(method):
    fit = optim.least_squares(lambda b: np.exp(b[0] * np.arange(1.0, 5)) - 1e3, [-4.0], method)
    assert np.isfinite(fit.value) and np.isfinite(fit.jac).all()
    assert fit.success == (abs(fit.grad[0]) <= 1e-6 * fit.value)


def test_limits_and_callback():
    p, seen = PROBLEMS["meyer"], []
    few = optim.least_squares(p.residuals, p.start, max_iterations=5, callback=seen.append)
    assert few.iterations == 5 and not few.success and len(seen) == 5
    assert optim.least_squares(p.residuals, p.start, callback=lambda x: True).status == 13
    assert "evaluations" in optim.least_squares(p.residuals, p.start, max_evaluations=7).message
    text = repr(few)
    assert text.startswith("LeastSquaresResult(\n") and "standard_errors: [" in text


def test_the_norm_may_be_bounded():
    rng = np.random.default_rng(1)
    A, b = rng.normal(size=(9, 4)), rng.normal(size=9) * 9
    x, _, m = optim.constrained_least_squares(A, b, norm=1.0)
    assert np.linalg.norm(x) == pytest.approx(1, abs=1e-14) and m > 0
    np.testing.assert_allclose(x, np.linalg.solve(A.T @ A + 2 * m * np.eye(4), A.T @ b), rtol=1e-12)
    loose = optim.constrained_least_squares(A, b, norm=100.0)
    np.testing.assert_allclose(loose.x, np.linalg.pinv(A) @ b, rtol=1e-12)
    assert loose.norm_multiplier == 0


def test_equations_may_have_to_hold():
    rng = np.random.default_rng(2)
    A, b, C, d = rng.normal(size=(9, 4)), rng.normal(size=9), rng.normal(size=(2, 4)), np.array([0.3, -0.2])
    x, v, m = optim.constrained_least_squares(A, b, C, d)
    kkt = np.block([[A.T @ A, C.T], [C, np.zeros((2, 2))]])
    np.testing.assert_allclose(np.r_[x, v], np.linalg.solve(kkt, np.r_[A.T @ b, d]), rtol=1e-11)
    y, w, m = optim.constrained_least_squares(A, 20 * b, C, d, norm=0.9)
    assert np.linalg.norm(y) == pytest.approx(0.9) and m > 0
    np.testing.assert_allclose(C @ y, d, atol=1e-14)
    np.testing.assert_allclose(A.T @ (A @ y - 20 * b) + C.T @ w + 2 * m * y, 0, atol=1e-11)
    twice = optim.constrained_least_squares(A, b, np.vstack([C, C]), np.r_[d, d])
    np.testing.assert_allclose(twice.x, x, rtol=1e-11)
    assert isinstance(optim.constrained_least_squares(ag.tensor(A), b).x, ag.Tensor)


line = lambda x: x * T - 1


@pytest.mark.parametrize(
    "error, words, call",
    [
        (ValueError, "no method is called 'lmm'; did you mean 'lm'", lambda: optim.least_squares(line, 1.0, "lmm")),
        (ValueError, "a residual is not finite", lambda: optim.least_squares(lambda x: ag.log(x * T), 1.0)),
        (ValueError, "a derivative is not finite", lambda: optim.least_squares(lambda x: ag.sqrt(x * T[1:]), 0.0)),
        (
            ValueError,
            "whose square is more than float64 holds",
            lambda: optim.least_squares(lambda b: np.exp(b[0] * np.arange(1.0, 5)) - 1, [100.0]),
        ),
        (TypeError, "residuals are complex", lambda: optim.least_squares(lambda x: x * (1 + 2j) - 1, [1.0, 2.0])),
        (TypeError, "residuals are complex", lambda: optim.least_squares(lambda x: [x, np.ones(2) * 1j], [1.0])),
        (TypeError, "function of residuals", lambda: optim.least_squares(3, 1.0)),
        (TypeError, "do not depend on x", lambda: optim.least_squares(lambda x: T, 1.0)),
        (TypeError, "residuals hold str", lambda: optim.least_squares(lambda x: "abc", 1.0)),
        (ValueError, "radius must be", lambda: optim.least_squares(line, 1.0, radius=0)),
        (TypeError, "radius must be a number, got str", lambda: optim.least_squares(line, 1.0, radius="a")),
        (ValueError, "no room", lambda: optim.least_squares(line, 1.0, bounds=(2, 1))),
        (ValueError, "A has 2 rows", lambda: optim.constrained_least_squares(np.eye(2), np.ones(3))),
        (ValueError, "both C and d", lambda: optim.constrained_least_squares(np.eye(2), np.ones(2), np.eye(2))),
        (ValueError, "norm must be", lambda: optim.constrained_least_squares(np.eye(2), np.ones(2), norm=0)),
        (
            ValueError,
            "no x meets",
            lambda: optim.constrained_least_squares(np.eye(2), np.ones(2), np.ones((2, 2)), np.array([1.0, 2.0])),
        ),
        (
            ValueError,
            "the shortest x",
            lambda: optim.constrained_least_squares(np.eye(2), np.ones(2), np.eye(2), np.ones(2), norm=1),
        ),
    ],
)
def test_errors_teach(error, words, call):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("method", ["lm", "gn"])
def test_a_jacobian_takes_one_call_of_the_function(method):
    calls = 0
    t = np.linspace(0, 4, 30)

    def residuals(b):
        nonlocal calls
        calls += 1
        return b[0] * np.exp(-b[1] * t) - 3 * np.exp(-1.5 * t)

    found = optim.least_squares(residuals, [1.0, 1.0], method)
    assert calls == found.nfev + found.njev
