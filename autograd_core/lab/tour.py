"""A tour of the laboratory in the terminal, on examples that can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..forward import Dual
from ..functional import grad, value_and_grad
from ..jacobians import hessian
from ..ops import PUBLIC
from ..source import source_grad
from ..symbolic import trace as trace_of
from ..tensor import Tensor
from . import numeric
from .picture import draw
from .routes import compare, passes
from .table import Table
from .trace import wengert

exp, sin = PUBLIC["exp"], PUBLIC["sin"]

STOPS: dict[str, Callable[[], None]] = {}


def stop(function: Callable[[], None]) -> Callable[[], None]:
    """One stop of the tour, named as its function is."""
    STOPS[function.__name__] = function
    return function


def length(x1: Tensor, x2: Tensor) -> Tensor:
    """The length of a vector of two numbers."""
    return np.sqrt(x1**2 + x2**2)


def power(base: Tensor, exponent: int) -> Tensor:
    """A power by recursion."""
    return 1.0 if exponent == 0 else base * power(base, exponent - 1)


def steps(x, n):
    """Steps of Euler's along x' = sin(x)."""
    for _ in range(n):
        x = x + 0.1 * np.sin(x)
    return x


@stop
def trace() -> None:
    """The evaluation trace: forward mode down the list, reverse mode up"""
    print("sqrt(x1**2 + x2**2) at (1, 2):\n")
    print(wengert(length, 1, 2))
    print("\nRecursion and loops leave no mark but their lines. 2**5:\n")
    print(wengert(power, 2.0, 5, argnums=0))


@stop
def duals() -> None:
    """Dual numbers: the square of ε is zero"""
    x1, x2 = Dual(1.0, 1.0), Dual(2.0)
    print(f"{x1} * {x1} = {x1 * x1}")
    print(f"seeded for x1: sqrt(x1**2 + x2**2) = {length(x1, x2)}")
    print(f"seeded for x2: sqrt(x1**2 + x2**2) = {length(Dual(1.0), Dual(2.0, 1.0))}")
    print(f"a dual of duals, cubed: {Dual(Dual(2.0, 1.0), Dual(1.0)) ** 3}, the last of which is the second derivative")
    print("\nn passes forward, or one back, for n inputs of sum(x * sin(x)):\n")
    print(passes(lambda x: (x * sin(x)).sum()))


@stop
def differences() -> None:
    """Differences: truncation against rounding, and an error that is stated"""
    rows = []
    for method in numeric.SCHEMES:
        found = numeric.grad(lambda x: exp(x) * sin(x), method=method)(0.7)
        rows.append([method, found.value, f"{found.error:.1e}", f"{found.steps[0]:.1e}", found.evaluations])
    print(f"exp(x) * sin(x) at 0.7; by the tape {grad(lambda x: exp(x) * sin(x))(0.7)!r}:\n")
    print(Table(["method", "derivative", "stated error", "step", "evaluations"], rows))
    curve = numeric.curve(lambda x: exp(x) * sin(x), 0.7)
    print(f"\norders, measured: {', '.join(f'{m} {o:.2f}' for m, o in curve.orders().items())}\n")
    print(curve.text())


@stop
def picture() -> None:
    """The graph, with the derivative of each step on its edge"""
    print(draw(length, 1, 2, derivatives_on_edges=True))
    print('\nag.draw(length, 1, 2, derivatives_on_edges=True).save("length.svg") draws it.')


@stop
def symbols() -> None:
    """Symbols: rewrite rules, and a formula that can be read"""
    rows = []
    for text, f in (("2x³ + x²", lambda x: 2 * x**3 + x**2), ("sqrt(x² + 4)", lambda x: np.sqrt(x**2 + 4))):
        formula = trace_of(f)
        rows.append([text, str(formula.derivative()), str(formula.derivative(order=2))])
    print(Table(["function", "derivative", "second derivative"], rows))


@stop
def source() -> None:
    """Source transformation: code in, the code of its gradient out, both compiled"""
    adjoint = source_grad(steps)
    print(adjoint.source(0.7, 3))
    print(
        f"three steps of x <- x + 0.1 sin(x) from 0.7 have the slope {adjoint(0.7, 3)}; by the tape {grad(steps)(0.7, 3)}"
    )


@stop
def routes() -> None:
    """Every way to differentiate, side by side"""
    print(compare(length, 1, 2, argnums=(0, 1)))


@stop
def surfaces() -> None:
    """Second derivatives: minima, saddles, maxima"""
    eigenvalues = lambda f, at: np.linalg.eigvalsh(hessian(f)(np.array(at)))
    rows = [
        ["2x² + 3y² - 5", "(0, 0)", eigenvalues(lambda v: 2 * v[0] ** 2 + 3 * v[1] ** 2 - 5, [0.0, 0.0]), "minimum"],
        ["x² - y²", "(0, 0)", eigenvalues(lambda v: v[0] ** 2 - v[1] ** 2, [0.0, 0.0]), "saddle"],
        ["log(x / y)", "(1, 2)", eigenvalues(lambda v: (v[0] / v[1]).log(), [1.0, 2.0]), "saddle: not convex"],
    ]
    print(Table(["function", "at", "eigenvalues of the Hessian", "so it is a"], rows))


@stop
def coin() -> None:
    """Maximum likelihood: 7 heads in 10 tosses, by Newton's method"""
    likelihood = lambda p: 7 * p.log() + 3 * (1 - p).log()
    p, rows = 0.5, []
    for step in range(5):
        value, slope = value_and_grad(likelihood)(p)
        rows.append([step, p, value, slope])
        p -= slope / hessian(likelihood)(p)
    print(Table(["step", "p", "log likelihood", "slope"], rows))


def tour(names: Sequence[str] = ()) -> None:
    """Run the stops of these names, or all."""
    for k, name in enumerate(names or STOPS):
        function = STOPS[name]
        title = f"{name}: {function.__doc__}"
        print("\n" * bool(k) + f"{title}\n{'=' * len(title)}\n")
        function()
