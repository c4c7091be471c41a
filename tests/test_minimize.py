"""`optim.minimize` reaches known minima by every method, says why it stops, and refuses what makes no sense."""

import copy
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag
import optim
from benchmarks.problems import PROBLEMS
from optim.smooth.conjugate import BETAS

METHODS = ("bfgs", "l-bfgs", "l-bfgs-b", "cg", "newton", "trust-ncg")
LONG = {("cg", "osborne-1"), ("cg", "watson"), ("cg", "osborne-2"), ("trust-ncg", "meyer"), ("newton", "osborne-1")}
DO_NOT_APPLY = {("cg", "meyer")}  # the condition of the Hessian is above 1e12: conjugate gradients cannot get there


def pairs():
    for method in METHODS:
        for name in PROBLEMS:
            if (method, name) not in DO_NOT_APPLY:
                yield pytest.param(method, name, marks=[pytest.mark.slow] * ((method, name) in LONG))


@pytest.mark.parametrize("method, name", list(pairs()))
def test_known_minima(method, name):
    p = PROBLEMS[name]
    found = optim.minimize(p.value, p.start, method, max_iterations=10000)
    assert p.reached(found.value) <= 1e-8, found
    assert found.success
    assert found.nfev >= found.iterations > 0
    assert found.value == pytest.approx(p.value(found.x), rel=1e-6)


SCIPYS = {"bfgs": "BFGS", "l-bfgs": "L-BFGS-B", "l-bfgs-b": "L-BFGS-B", "cg": "CG", "newton": "Newton-CG"}
SCIPYS |= {"trust-ncg": "trust-ncg"}
QUICK = "beale bard wood kowalik-osborne biggs-exp6 watson chebyquad rosenbrock-10 powell-singular-4".split()


def evaluations(f, x0, method):
    """What SciPy needs, with the same derivatives and as small a gradient, and the value that it finds."""
    scipy_minimize = pytest.importorskip("scipy.optimize").minimize
    options = {"maxiter": 5000} | ({"xtol": 1e-10} if method == "newton" else {"gtol": 1e-8})
    more = {"hess": ag.hessian(f)} if method in ("newton", "trust-ncg") else {}
    options |= {"ftol": 0, "maxfun": 100_000} if "l-bfgs" in method else {}
    both = ag.value_and_grad(f)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scipy_minimize(both, x0, jac=True, method=SCIPYS[method], options=options, **more)
    return found.nfev, found.fun


def beside():
    for method in SCIPYS:
        for name in PROBLEMS:
            quick = name in QUICK and (method, name) not in LONG and method != "newton"
            yield pytest.param(method, name, marks=[pytest.mark.slow] * (not quick and method != "bfgs"))


@pytest.mark.parametrize("method, name", list(beside()))
def test_evaluations_beside_scipy(method, name):
    p = PROBLEMS[name]
    count, value = evaluations(p.value, p.start, method)
    if p.reached(value) > 1e-8:
        pytest.skip("SciPy stops elsewhere")
    assert optim.minimize(p.value, p.start, method, max_iterations=5000).nfev <= 2 * count


SPECTRA = {
    "geometric": np.geomspace,
    "even": np.linspace,
    "two": lambda low, high, n: np.where(np.arange(n) < n // 2, low, high),
}


def bowl(spectrum, condition, n, seed=0):
    """A quadratic whose lowest value is 0, at a place that is drawn, with its axes in directions that are drawn."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    A, b = (Q * SPECTRA[spectrum](1, condition, n)) @ Q.T, rng.normal(size=n)
    return lambda x: (x - b) @ (A @ (x - b)) / 2


@pytest.mark.parametrize("method", ["bfgs", "l-bfgs", "cg"])
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_evaluations_on_narrow_quadratics_beside_scipy(method, condition, spectrum):
    for n in 3, 10, 30:
        if method != "bfgs" and n * condition > 1e5 and (spectrum == "geometric" or n == 30):
            continue  # thousands of evaluations, in which rounding decides
        f = bowl(spectrum, condition, n)
        found = optim.minimize(f, np.zeros(n), method, max_iterations=5000)
        count, value = evaluations(f, np.zeros(n), method)
        assert found.value <= 1e-8
        assert value > 1e-8 or found.nfev <= 2 * count, (n, found.nfev, count)


@pytest.mark.parametrize("method", ["bfgs", "l-bfgs", "cg"])
def test_a_search_ends_where_x_no_longer_moves(method):
    f = bowl("two", 1e6, 10)
    found = optim.minimize(lambda x: 1e4 * f(x), np.zeros(10), method)  # no gradient can be below 1e-7 there
    assert found.success and found.value < 1e-12 and found.nfev < 600


@pytest.mark.parametrize("beta", BETAS)
def test_conjugate_gradients_solve_a_quadratic_in_as_many_steps_as_it_has_curvatures(beta):
    A = np.diag([1.0, 1.0, 5.0, 9.0])
    found = optim.minimize(lambda x: x @ A @ x / 2 - x.sum(), np.ones(4) * 3, "cg", beta=beta, line_search="exact")
    assert found.iterations <= 4
    np.testing.assert_allclose(found.x, 1 / np.diag(A), rtol=1e-9)


def quadratic(t):
    return 7 * t[0] ** 2 + 5 * t[1] ** 2 + 4 * t[0] * t[1]


def test_steepest_descent_with_exact_steps_turns_by_right_angles():
    places = [np.array([3.0, -2.0])]
    found = optim.minimize(quadratic, places[0], "steepest", callback=lambda x: places.append(x))
    gradients = [ag.grad(quadratic)(x) for x in places]
    for g, h in zip(gradients[:5], gradients[1:6]):
        assert abs(g @ h) <= 1e-9 * np.linalg.norm(g) * np.linalg.norm(h)
    np.testing.assert_allclose(found.x, 0, atol=1e-8)


def test_exact_step_on_a_quadratic():
    A, x = np.array([[14.0, 4.0], [4.0, 10.0]]), np.array([3.0, -2.0])
    g = A @ x
    t = optim.step_length(quadratic, x, -g, "exact")
    assert t == pytest.approx((g @ g) / (g @ A @ g), rel=1e-11)


def test_newton_needs_one_step_on_a_quadratic():
    found = optim.minimize(quadratic, [3.0, -2.0], "newton")
    assert found.iterations == 1 and found.value < 1e-24


@pytest.mark.parametrize("method", [*METHODS, "steepest"])
def test_the_likeliest_chance_of_heads(method):
    found = optim.minimize(lambda p: -(7 * ag.log(p) + 3 * ag.log(1 - p)), 0.5, method)
    assert type(found.x) is float and found.x == pytest.approx(0.7, abs=1e-9)
    assert type(found.grad) is float


@pytest.mark.parametrize("search", ["wolfe", "exact", "backtracking"])
@pytest.mark.parametrize("method", ["bfgs", "l-bfgs", "newton", "steepest"])
def test_every_search_goes_with_every_method(method, search):
    f = lambda x: ag.logsumexp(ag.stack([x[0] + 3 * x[1] - 0.1, x[0] - 3 * x[1] - 0.1, -x[0] - 0.1]), 0)
    found = optim.minimize(f, np.array([1.0, 1.0]), method, line_search=search)
    np.testing.assert_allclose(found.x, [-np.log(2) / 2, 0], atol=1e-7)


def test_wolfe_conditions_hold():
    rng = np.random.default_rng(0)
    for name in "beale wood helical-valley chebyquad osborne-1".split():
        p = PROBLEMS[name]
        both = ag.value_and_grad(p.value)
        value, g = both(p.start)
        for first in 1e-4, 1.0, 1e3:
            d = -g * np.exp(rng.normal(size=g.size))
            t = optim.step_length(p.value, p.start, d, first=first)
            after, h = both(p.start + t * d)
            assert after <= value + 1e-4 * t * (g @ d)
            assert abs(h @ d) <= 0.9 * abs(g @ d)


def test_x_keeps_its_form():
    f = lambda p: (p["a"] ** 2).sum() + ((p["b"][0] - 1) ** 2).sum() + (p["b"][1] - 2) ** 2
    x0 = {"a": ag.tensor([1.0, 2.0], dtype=ag.float32), "b": (np.ones((2, 2)) * 3, 5)}
    for method in METHODS:
        found = optim.minimize(f, x0, method)
        a, (b, c) = found.x["a"], found.x["b"]
        assert isinstance(a, ag.Tensor) and a.dtype == ag.float32 and a.shape == (2,)
        assert isinstance(b, np.ndarray) and b.shape == (2, 2) and type(c) is float
        np.testing.assert_allclose(b, 1, atol=1e-8)
        assert c == pytest.approx(2, abs=1e-8)
        assert set(found.grad) == {"a", "b"}


def test_x0_is_left_alone():
    x0 = np.array([-1.2, 1.0])
    optim.minimize(PROBLEMS["rosenbrock-2"].value, x0)
    assert np.array_equal(x0, [-1.2, 1.0])


def test_functions_that_branch_and_take_arguments():
    f = lambda x, a: (x - a) ** 2 if x > a else 3 * (x - a) ** 2
    for method in METHODS:
        assert optim.minimize(f, 5.0, method, args=(2.0,)).x == pytest.approx(2, abs=1e-8)


def test_the_value_may_be_infinite_on_the_way():
    found = optim.minimize(lambda x: x - ag.log(x), 1e-3)
    assert found.x == pytest.approx(1, abs=1e-8)
    f = lambda x: ag.where(x < 3, (x - 2.9) ** 2, ag.nan)
    assert optim.minimize(f, -50.0, "newton").x == pytest.approx(2.9)


def filled(x):
    a = np.zeros(2)
    a[0] = x[0] - 1
    return a.sum() ** 2 + (x[1] - 2) ** 2


LOSSES = {
    "math": lambda x: math.exp(x[0]) + x[0] ** 2,
    "float": lambda x: float(x[1]) ** 2 + x[0] ** 2,
    "item": lambda x: x[1].item() ** 2 + x[0] ** 2,
    "tolist": lambda x: sum(x.tolist()) ** 2 + x[0] ** 2,
    "array": filled,
}


@pytest.mark.parametrize("way", LOSSES)
@pytest.mark.parametrize("method", [*METHODS, "lm"])
def test_what_is_lost_on_the_way_is_refused(method, way):
    f = LOSSES[way]
    with pytest.raises(TypeError, match="does not depend on x in a way"):
        if method == "lm":
            optim.least_squares(lambda x: [f(x), x[1] - 1], [3.0, 1.0])
        else:
            optim.minimize(f, [3.0, 1.0], method)


def test_what_is_lost_later_is_refused_too():
    with pytest.raises(TypeError, match="takes a number out"):
        optim.minimize(lambda x: (x - 1) ** 2 + (float(x) if x < 2 else 0), 3.0)


@pytest.mark.parametrize("method", METHODS)
def test_numbers_may_be_looked_at(method):
    seen = []

    def f(x):
        seen.append(x.detach()[0].item())
        return (x[0] - 1) ** 2 + (x[1] ** 2 if x[1] else 0)

    assert optim.minimize(f, [3.0, 1.0], method).success and seen[0] == 3


def box_problem(n, seed):
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(n, n))
    A, b = B @ B.T + 0.1 * np.eye(n), rng.normal(size=n) * 3
    low = np.where(rng.random(n) < 0.7, rng.normal(size=n) - 1, -np.inf)
    return A, b, low, low + np.where(np.isinf(low), 0, rng.random(n) * 2)


@pytest.mark.parametrize("seed", range(8))
def test_bounds_on_a_quadratic(seed):
    A, b, low, high = box_problem(3 + 3 * seed, seed)
    high[np.isinf(low)] = 1.0
    found = optim.minimize(lambda x: x @ A @ x / 2 - b @ x, np.zeros(len(b)), bounds=(low, high))
    assert found.success and found.method == "l-bfgs-b"
    x, g = found.x, A @ found.x - b
    assert (x >= low).all() and (x <= high).all()
    inner = (x > low) & (x < high)
    np.testing.assert_allclose(g[inner], 0, atol=1e-7)
    assert (g[x == low] >= -1e-7).all() and (g[x == high] <= 1e-7).all()


def test_bounds_may_be_said_in_several_ways():
    f = lambda x: ((x - np.array([1.0, 2.0, 3.0])) ** 2).sum()
    for bounds in [(None, 2), (-5.0, [2, 2, 2]), [(None, 2), (0, 2), (0.5, 2)], (np.full(3, -9.0), np.full(3, 2.0))]:
        np.testing.assert_allclose(optim.minimize(f, np.zeros(3), bounds=bounds).x, [1, 2, 2], atol=1e-9)
    found = optim.minimize(f, np.array([9.0, 9, 9]), bounds=(2.5, 2.75))
    np.testing.assert_allclose(found.x, [2.5, 2.5, 2.75])
    fixed = optim.minimize(f, np.zeros(3), bounds=([0, 1, -5], [0, 1, 5]))
    np.testing.assert_allclose(fixed.x, [0, 1, 3], atol=1e-9)


@pytest.mark.parametrize("name", ["rosenbrock-2", "beale", "powell-singular-4", "variably-dimensioned", "osborne-2"])
def test_bounds_beside_scipy(name):
    scipy_minimize = pytest.importorskip("scipy.optimize").minimize
    p = PROBLEMS[name]
    low, high = np.minimum(p.start, 0.3) - 0.1, np.maximum(p.start, 0.8)
    found = optim.minimize(p.value, p.start, bounds=(low, high))
    options = {"ftol": 0, "gtol": 1e-8}
    other = scipy_minimize(ag.value_and_grad(p.value), p.start, jac=True, bounds=list(zip(low, high)), options=options)
    assert found.value <= other.fun + 1e-8 * max(1, abs(other.fun))
    assert found.nfev <= 2 * other.nfev


def test_multipliers_of_lagrange():
    found = optim.minimize(lambda x: x[0] + x[1], [1.0, 0.0], equal=lambda x: x[0] ** 2 + x[1] ** 2 - 2)
    np.testing.assert_allclose(found.x, [-1, -1], atol=1e-7)
    np.testing.assert_allclose(found.equal, [0.5], atol=1e-7)
    assert found.success and found.violation <= 1e-8


def test_conditions_of_karush_kuhn_and_tucker():
    f = lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2
    below = lambda x: [x[0] ** 2 - x[1], x[0] + x[1] - 2, -5 - x[0]]
    found = optim.minimize(f, [0.0, 0.0], below=below)
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-7)
    np.testing.assert_allclose(found.below, [2 / 3, 2 / 3, 0], atol=1e-7)
    impossible = optim.minimize(f, [0.0, 0.0], equal=lambda x: x[0] ** 2 + 1)
    assert not impossible.success and "missed by" in impossible.message


def test_counts_callbacks_and_limits():
    calls, seen = [], []

    def f(x):
        calls.append(1)
        return PROBLEMS["rosenbrock-2"].value(x)

    found = optim.minimize(f, [-1.2, 1.0], callback=seen.append)
    assert found.nfev == found.njev == len(calls) and len(seen) == found.iterations
    assert found.evaluations == {"nfev": found.nfev, "njev": found.njev, "nhev": 0}
    assert found.fun == found.value and found.nit == found.iterations
    stopped = optim.minimize(f, [-1.2, 1.0], callback=lambda x: True)
    assert stopped.iterations == 1 and not stopped.success and "callback" in stopped.message
    for method in METHODS:
        short = optim.minimize(f, [-1.2, 1.0], method, max_iterations=3)
        assert short.iterations == 3 and not short.success and "iterations" in short.message
        few = optim.minimize(f, [-1.2, 1.0], method, max_evaluations=5)
        assert not few.success and "evaluations" in few.message


def test_results_and_arguments_are_taken_in_scipys_way():
    found = optim.minimize(lambda x, a: ((x - a) ** 2).sum(), np.zeros(3), args=2.0)
    np.testing.assert_allclose(found["x"], 2)
    assert found.jac is found.grad and copy.deepcopy(found).fun == found["fun"]
    fit = optim.least_squares(lambda x, a: x - a, np.zeros(3), args=np.arange(3.0))
    assert fit.fun is fit.residuals and fit.jac.shape == (3, 3) and fit.optimality == fit.grad_norm
    with pytest.raises(AttributeError, match="has no 'hess_inv'; it has x, value"):
        found["hess_inv"]


def test_habits_of_scipy():
    found = optim.minimize(quadratic, [1.0, 1.0], "BFGS", tol=None)
    assert found.method == "bfgs" and found.grad_norm <= 1e-8
    assert "x" in found and "hess_inv" not in found and dict(found)["fun"] == found.value
    assert list(found) == list(found.keys()) and {"x", "fun", "jac", "nit"} <= set(found.keys())
    assert not optim.minimize(quadratic, [1.0, 1.0], tol=np.float32(1e-2), max_iterations=99).grad_norm > 1e-2
    fit = optim.least_squares(lambda x: x - 1, [3.0, 4.0], "LM", tol=None)
    assert fit.success and dict(fit)["cost"] == fit.value and "optimality" in fit


@pytest.mark.parametrize("method", [*METHODS, "lm"])
def test_a_callback_may_end_the_search_by_an_exception(method):
    def stop(x):
        raise StopIteration

    residuals = PROBLEMS["rosenbrock-2"].residuals
    if method == "lm":
        found = optim.least_squares(residuals, [-1.2, 1.0], callback=stop)
    else:
        found = optim.minimize(PROBLEMS["rosenbrock-2"].value, [-1.2, 1.0], method, callback=stop)
    assert found.status == 13 and found.iterations <= 2 and not found.success


def test_a_function_without_a_minimum():
    found = optim.minimize(lambda x: -(x**3), 1.0)
    assert not found.success and "without bound" in found.message


@pytest.mark.parametrize("method", ["bfgs", "l-bfgs", "l-bfgs-b", "cg", "newton", "trust-ncg"])
def test_what_falls_for_ever_is_soon_left(method):
    found = optim.minimize(lambda x: np.sum(x), [1.0, 2.0], method)
    assert found.status == 14 and found.nfev <= 1000


def test_the_code_in_the_document_runs():
    text = (Path(__file__).parent.parent / "docs" / "optim.md").read_text()
    scope = {}
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(code, scope)
    assert scope["fit"].success


def test_it_says_what_was_found():
    text = repr(optim.minimize(quadratic, [1.0, 1.0], "newton"))
    assert text.startswith("Result(\n") and "x: [" in text and "success: True" in text and "newton" in text


@pytest.mark.parametrize(
    "error, words, call",
    [
        (ValueError, "did you mean 'bfgs'", lambda: optim.minimize(quadratic, [1.0, 1.0], "bgfs")),
        (ValueError, "'trust-ncg' has products", lambda: optim.minimize(quadratic, [1.0, 1.0], "Newton-CG")),
        (ValueError, "equal= and below=", lambda: optim.minimize(quadratic, [1.0, 1.0], "SLSQP")),
        (ValueError, "know bounds", lambda: optim.least_squares(lambda x: x, [1.0, 1.0], "trf")),
        (ValueError, "start where it is finite", lambda: optim.minimize(lambda x: ag.log(x), -1.0)),
        (ValueError, "gradient is not finite", lambda: optim.minimize(lambda x: ag.sqrt(x), 0.0)),
        (ValueError, "x0 holds NaN", lambda: optim.minimize(quadratic, [1.0, np.nan])),
        (ValueError, "must return one number, got shape", lambda: optim.minimize(lambda x: x * x, np.ones(3))),
        (ValueError, "must return one number, got None", lambda: optim.minimize(lambda x: None, np.ones(3))),
        (TypeError, "does not depend on x", lambda: optim.minimize(lambda x: float(x) ** 2, 1.0)),
        (TypeError, "the first argument is the function", lambda: optim.minimize([1.0], quadratic)),
        (TypeError, "needed are numbers", lambda: optim.minimize(quadratic, "ab")),
        (TypeError, "needed are real numbers", lambda: optim.minimize(quadratic, np.ones(2) * 1j)),
        (ValueError, "nothing to move", lambda: optim.minimize(quadratic, np.ones(0))),
        (ValueError, "no room at entry 1", lambda: optim.minimize(quadratic, [1.0, 1], bounds=([0, 2], [1, 1]))),
        (ValueError, "bounds have shape", lambda: optim.minimize(quadratic, [1.0, 1], bounds=([0, 2, 3], 1))),
        (ValueError, "does not know bounds", lambda: optim.minimize(quadratic, [1.0, 1], "newton", bounds=(0, 1))),
        (TypeError, "bounds are", lambda: optim.minimize(quadratic, [1.0, 1], bounds=3)),
        (ValueError, "did you mean 'history'", lambda: optim.minimize(quadratic, [1.0, 1], "l-bfgs", histroy=3)),
        (ValueError, "no option", lambda: optim.minimize(quadratic, [1.0, 1], "bfgs", radius=3)),
        (ValueError, "did you mean 'wolfe'", lambda: optim.minimize(quadratic, [1.0, 1], line_search="wolf")),
        (ValueError, "derivatives are computed here", lambda: optim.minimize(quadratic, [1.0, 1], jac=True)),
        (ValueError, "here it is tol", lambda: optim.minimize(quadratic, [1.0, 1], gtol=1e-3)),
        (ValueError, "an argument of its own", lambda: optim.minimize(quadratic, [1.0, 1], options={"gtol": 1e-3})),
        (ValueError, "equal= for h", lambda: optim.minimize(quadratic, [1.0, 1], constraints=[])),
        (ValueError, "max_iterations", lambda: optim.least_squares(lambda x: x, [1.0, 1], max_nfev=3)),
        (ValueError, "no option is called 'loss'", lambda: optim.least_squares(lambda x: x, [1.0, 1], loss="huber")),
        (ValueError, "0 < c1 < c2", lambda: optim.minimize(quadratic, [1.0, 1], c1=0.95)),
        (ValueError, "history must be a whole", lambda: optim.minimize(quadratic, [1.0, 1], "l-bfgs", history=1.5)),
        (ValueError, "history must be a whole", lambda: optim.minimize(quadratic, [1.0, 1], "l-bfgs", history="a")),
        (TypeError, "radius must be a number", lambda: optim.minimize(quadratic, [1.0, 1], "trust-ncg", radius="a")),
        (ValueError, "radius must be above", lambda: optim.minimize(quadratic, [1.0, 1], "trust-ncg", radius=np.nan)),
        (TypeError, "c1 must be a number, got str", lambda: optim.minimize(quadratic, [1.0, 1], c1="a")),
        (TypeError, "c2 must be a number", lambda: optim.step_length(quadratic, [1.0, 1], [-1.0, -1], c2=None)),
        (ValueError, "tol must be", lambda: optim.minimize(quadratic, [1.0, 1], tol=-1)),
        (ValueError, "max_iterations must be", lambda: optim.minimize(quadratic, [1.0, 1], max_iterations=0)),
        (TypeError, "callback must be", lambda: optim.minimize(quadratic, [1.0, 1], callback=3)),
        (TypeError, "equal is a function", lambda: optim.minimize(quadratic, [1.0, 1], equal=3)),
        (ValueError, "does not lead down", lambda: optim.step_length(quadratic, [1.0, 1], [1.0, 1])),
        (ValueError, "direction has shapes", lambda: optim.step_length(quadratic, [1.0, 1], [1.0])),
    ],
)
def test_errors_teach(error, words, call):
    with pytest.raises(error, match=words):
        call()
