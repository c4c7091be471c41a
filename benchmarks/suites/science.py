"""Derivatives as science asks for them: of differential equations, Hessians, Jacobians, fits, implicit functions; in float64.

A function is written once, over whatever has NumPy's names; JAX gets loops as it wants them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy

from ..rows import Row, Step, alike

MAIN = "ours", "ours compiled", "torch", "torch.compile", "jax", "autograd"
FUNCTIONAL = "ours", "ours compiled", "torch", "jax", "autograd"


def drawn(*shape: int, seed: int = 0) -> numpy.ndarray:
    """Normal numbers in float64."""
    return numpy.random.default_rng(seed).standard_normal(shape)


def row(group: str, name: str, ways: dict[str, Callable], **more: Any) -> Row:
    """A row of this suite."""
    usual = dict(suite="science", tolerance=1e-6, seconds=3.0, block=0.02)
    return Row(**{**usual, "group": group, "name": name, "ways": ways, **more})  # type: ignore[arg-type]


def derived(kind: str, f: Callable, *arrays: Callable[[], numpy.ndarray]) -> Callable[[Any], Step]:
    """A derivative of f by the first of some arrays."""
    return lambda lib: lib.derivative(kind, f, *(a() for a in arrays))


# --- differential equations ------------------------------------------------------------------------------------------


def van_der_pol(np: Any, y: Any) -> Any:
    """The slope of Van der Pol's oscillator."""
    return np.stack([y[1], (1 - y[0] * y[0]) * y[1] - y[0]])


def lorenz_96(np: Any, y: Any) -> Any:
    """The slope of Lorenz's weather on a circle."""
    return (np.roll(y, -1, 0) - np.roll(y, 2, 0)) * np.roll(y, 1, 0) - y + 8.0


def runge_kutta(np: Any, slope: Callable, y: Any, h: float) -> Any:
    """One step of order four."""
    a = slope(np, y)
    b = slope(np, y + 0.5 * h * a)
    c = slope(np, y + 0.5 * h * b)
    d = slope(np, y + h * c)
    return y + h / 6 * (a + 2 * b + 2 * c + d)


def integrated(slope: Callable, steps: int, h: float) -> Callable[[Any, Any], Any]:
    """The squared length of where a trajectory ends."""

    def f(np: Any, y: Any) -> Any:
        for _ in range(steps):
            y = runge_kutta(np, slope, y, h)
        return np.sum(y * y)

    return f


def scanned(slope: Callable, steps: int, h: float) -> Callable[[Any, Any], Any]:
    """The same for JAX, which would compile a long loop for minutes if it were written out."""

    def f(np: Any, y: Any) -> Any:
        from jax import lax

        y, _ = lax.scan(lambda y, _: (runge_kutta(np, slope, y, h), None), y, None, length=steps)
        return np.sum(y * y)

    return f


def trajectory(title: str, slope: Callable, start: Callable, steps: int, h: float, *ways: str, **more: Any) -> Row:
    """The gradient of the end by the start."""
    written = alike(derived("grad", integrated(slope, steps, h), start), *ways)
    ways_ = written | {"jax": derived("grad", scanned(slope, steps, h), start)}
    return row("differential equations", f"{title}, {steps} steps of Runge-Kutta, gradient", ways_, **more)


# --- functions -------------------------------------------------------------------------------------------------------


def logistic(np: Any, w: Any, x: Any, y: Any) -> Any:
    """The loss of a logistic regression."""
    return np.mean(np.log(1 + np.exp(-y * np.matmul(x, w))))


def rosenbrock(np: Any, x: Any) -> Any:
    """Rosenbrock's function of many variables."""
    return np.sum(100 * (x[1:] - x[:-1] * x[:-1]) ** 2 + (1 - x[:-1]) ** 2)


def network(np: Any, x: Any, a: Any, b: Any) -> Any:
    """Two layers."""
    return np.tanh(np.matmul(b, np.tanh(np.matmul(a, x))))


def solution(np: Any, a: Any, b: Any) -> Any:
    """The squared length of the solution of linear equations, an implicit function of the matrix."""
    x = np.linalg.solve(a, b)
    return np.sum(x * x)


def log_volume(np: Any, a: Any) -> Any:
    """The logarithm of the determinant of a positive definite matrix, by its factor."""
    factor = np.linalg.cholesky(a)
    return np.sum(np.log(np.diagonal(factor) if np.__name__ != "torch" else factor.diagonal()))


def decay(np: Any, x: Any, t: Any) -> Any:
    """Two exponentials and a constant."""
    return x[0] * np.exp(-x[1] * t) + x[2] * np.exp(-x[3] * t) + x[4]


TIMES = numpy.linspace(0, 10, 200)
TRUE = numpy.array([2.0, 0.3, 1.0, 2.0, 0.5])
START = numpy.array([1.5, 0.5, 1.5, 1.5, 0.0])


def measured() -> numpy.ndarray:
    """What the two exponentials are fitted to."""
    return decay(numpy, TRUE, TIMES) + 0.01 * drawn(200)


def fit_ours(lib: Any) -> Step:
    """By Levenberg-Marquardt with exact derivatives."""
    data = lib.tensor(measured())
    times = lib.tensor(TIMES)
    return lambda: lib.optim.least_squares(lambda x: decay(lib.m, x, times) - data, START).x


def fit_scipy(jacobian: Callable[[Any], Any]) -> Callable[[Any], Step]:
    """By SciPy's, with the derivatives of a library, or with differences."""

    def ready(lib: Any) -> Step:
        from scipy.optimize import least_squares

        data, slopes = measured(), jacobian(lib)
        return lambda: (
            least_squares(
                lambda x: decay(numpy, x, TIMES) - data, START, jac=slopes, method="lm", xtol=1e-10, ftol=1e-10
            ).x
        )

    return ready


def by_autograd(lib: Any) -> Callable:
    """The Jacobian of the two exponentials."""
    import autograd

    return autograd.jacobian(lambda x: decay(lib.np, x, TIMES))


def by_jax(lib: Any) -> Callable:
    """The Jacobian of the two exponentials."""
    import jax

    lib.wide([TIMES])
    slopes = jax.jit(jax.jacfwd(lambda x: decay(lib.np, x, TIMES)))
    return lambda x: numpy.asarray(slopes(x))


def rows() -> Iterator[Row]:
    """All of these."""
    pair, circle = lambda: numpy.array([1.0, 0.5]), lambda: 8 + drawn(40)
    yield trajectory("Van der Pol", van_der_pol, pair, 200, 0.02, *MAIN[:3], "autograd", "mygrad")
    yield trajectory("Lorenz 96 with 40 variables", lorenz_96, circle, 100, 0.005, *MAIN[:3], "autograd")
    labels = lambda: numpy.sign(drawn(200, seed=2))
    hessian = derived("hessian", logistic, lambda: drawn(20), lambda: drawn(200, 20, seed=1), labels)
    yield row("Hessians", "logistic regression, 20 parameters", alike(hessian, *MAIN), quick=True)
    many = derived("hvp", rosenbrock, lambda: drawn(10_000), lambda: drawn(10_000, seed=1))
    yield row("Hessians", "product with a vector, Rosenbrock of 10,000 variables", alike(many, *FUNCTIONAL))
    full = derived("hessian", rosenbrock, lambda: drawn(100))
    yield row("Hessians", "Rosenbrock of 100 variables", alike(full, *FUNCTIONAL))
    square = lambda n, k: lambda: drawn(n, n, seed=k) / n**0.5
    slopes = derived("jacobian", network, lambda: drawn(100), square(100, 1), square(100, 2))
    yield row("Jacobians", "two layers of 100", alike(slopes, *MAIN))
    wide = derived("jacobian", lambda np, x: np.tanh(x) * np.sum(x * x), lambda: drawn(500))
    yield row("Jacobians", "500 functions of 500 variables", alike(wide, *FUNCTIONAL))
    matrix = lambda: square(100, 1)() + 4 * numpy.eye(100)
    solve = derived("grad", solution, matrix, lambda: drawn(100))
    yield row(
        "implicit functions", "solution of 100 linear equations, gradient by the matrix", alike(solve, *FUNCTIONAL)
    )
    definite = lambda: square(100, 1)() @ square(100, 1)().T + numpy.eye(100)
    volume = derived("grad", log_volume, definite)
    yield row(
        "implicit functions", "Cholesky factor of 100 x 100, gradient", alike(volume, "ours", "ours compiled", "torch")
    )
    fits = {"ours": fit_ours, "scipy": fit_scipy(lambda lib: "2-point")}
    fits |= {"autograd": fit_scipy(by_autograd), "jax": fit_scipy(by_jax)}
    yield row("least squares", "five parameters of two exponentials, 200 points", fits, tolerance=1e-4)
