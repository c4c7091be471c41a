"""Differences: derivatives of any function from its values alone, each with a step chosen for it and an error that it states.

`grad`, `jacobian` and `hessian` are called as those of the library are, and return an `Estimate` instead.  What they
cost grows with the number of inputs, and what they give has half of the digits: they are for checks, not for training.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import require_callable
from ..functional import array_form, chosen_arguments, differentiable, outward
from ..functional import grad as tape_gradient
from ..op import Traced
from ..tape import no_grad
from ..tensor import at
from ..tree import flatten
from .steps import EPSILON, SCHEMES, Neighbourhood, Stencil, searched
from .table import Table, optional

TINY = 2.0**-66  # the step in the imaginary direction, where nothing is subtracted


@dataclass(frozen=True)
class Estimate:
    """A derivative by differences: its value and its error, in the form of what was asked for, and what it took."""

    value: Any
    error: Any
    steps: np.ndarray  # for each entry of the arguments
    evaluations: int
    method: str
    corners: np.ndarray  # for each entry, whether the slopes on its two sides differ; the error then reaches both

    def agrees(self, other: Any) -> bool:
        """Whether another derivative of the same form is nowhere further away than the stated error."""
        leaves = [flatten(tree)[0] for tree in (self.value, self.error, other)]
        return all(bool(np.all(np.abs(_plain(v) - _plain(o)) <= _plain(e))) for v, e, o in zip(*leaves))


def grad(f: Callable, argnums: int | Sequence[int] = 0, method: str = "richardson", step: float | None = None) -> Any:
    """A function that returns an estimate of the gradient of f, by differences of a method and a step of your choice."""
    return _transform(f, argnums, method, step, "numeric.grad", _first, scalar=True)


def jacobian(
    f: Callable, argnums: int | Sequence[int] = 0, method: str = "richardson", step: float | None = None
) -> Any:
    """A function that returns an estimate of f's derivative, of shape result + argument."""
    return _transform(f, argnums, method, step, "numeric.jacobian", _first)


def hessian(f: Callable, argnums: int = 0, method: str = "richardson", step: float | None = None) -> Any:
    """A function that returns an estimate of the matrix of second derivatives of f by one argument."""
    if not isinstance(argnums, int):
        raise TypeError(f"numeric.hessian: argnums must be one number, got {argnums!r}; put the arguments in one array")
    return _transform(f, argnums, method, step, "numeric.hessian", _second, scalar=True)


def _transform(f: Callable, argnums: Any, method: str, step: Any, who: str, run: Callable, scalar: bool = False) -> Any:
    require_callable(f, who)
    if method not in SCHEMES:
        raise ValueError(f"{who}: method must be one of {', '.join(SCHEMES)}, got {method!r}")
    if step is not None and not (np.isrealobj(step) and step > 0):
        raise ValueError(f"{who}: step must be a positive number or None, got {step!r}")

    def call(*args: Any, **options: Any) -> Estimate:
        numbers, put = chosen_arguments(args, argnums, who)
        chosen = tuple(args[n] for n in numbers)
        flat = Flat(lambda *xs: f(*put(xs), **options), chosen, who, scalar)
        value, error, steps, corners = run(flat, method, step)
        whole = isinstance(argnums, int)
        rows, build = flat.rows(square=run is _second, whole=whole)
        form = lambda matrix: flat.form(matrix, rows, build, whole)
        return Estimate(form(value), form(error), steps, flat.evaluations, method, corners)

    return call


# --- a function of many things as one of a vector ---------------------------------------------------------------------


class Flat:
    """A function of trees as one of a vector, which remembers what it was evaluated at."""

    def __init__(self, f: Callable, arguments: tuple, who: str, scalar: bool):
        self.f, self.who, self.scalar = f, who, scalar
        self.given, self.rebuild = flatten(arguments)
        arrays = [_plain(differentiable(x, who, f"leaf {k} of the arguments")) for k, x in enumerate(self.given)]
        if any(a.dtype.kind == "c" for a in arrays):
            raise TypeError(f"{who}: differences are by real numbers, and an argument is complex; give its parts")
        if far := [k for k, a in enumerate(arrays) if not np.isfinite(a).all()]:
            raise ValueError(
                f"{who}: leaf {far[0]} of the arguments is not finite, and has nothing beside it to step to"
            )
        self.shapes = [a.shape for a in arrays]
        self.x = np.concatenate([a.ravel().astype(np.float64) for a in arrays]) if arrays else np.zeros(0)
        self.known: dict[bytes, np.ndarray] = {}
        self.lifted = False  # whether the function takes tensors only
        self.shaken: np.ndarray | None = None
        self.epsilon, self.evaluations, self.results = EPSILON, 0, self.x[:0]
        self.y = self(self.x)
        self.result_shapes = [np.shape(r) for r in self.results]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        key = x.tobytes()
        if key not in self.known:
            self.known[key] = self.evaluated(x)
        return self.known[key]

    def evaluated(self, x: np.ndarray) -> np.ndarray:
        """All results as one vector."""
        self.evaluations += 1
        ends = np.cumsum([math.prod(s) for s in self.shapes])[:-1]
        parts = [part.reshape(s) for part, s in zip(np.split(x, ends), self.shapes)]
        try:
            with no_grad(), np.errstate(all="ignore"):
                leaves, self.build = flatten(self.called(parts))
        except (ArithmeticError, ValueError):
            if self.evaluations == 1 or x.dtype.kind == "c":
                raise
            return np.full_like(self.y, np.nan)  # a step out of the domain
        self.results = [_plain(y) for y in leaves]
        self._check(x)
        return np.concatenate([r.ravel() for r in self.results])

    def noise(self) -> np.ndarray:
        """How far rounding inside the function moves its results: the first that they move as the arguments hardly do.

        These move by different amounts: what depends on their differences alone would not move otherwise.
        """
        if self.shaken is None:
            apart = 1 + np.arange(len(self.x)) * 0.618 % 1
            scale, nudge = np.where(self.x == 0, 1.0, np.abs(self.x)) * apart, EPSILON
            self.shaken = np.zeros(len(self.y))
            while nudge < 1e-3 and not self.shaken.all():
                moved = [np.abs(self(self.x + k * nudge * scale) - self.y) for k in (1, 2, 3)]
                self.shaken = np.where(self.shaken == 0, np.max(moved, axis=0), self.shaken)
                nudge *= 16
        return self.shaken

    def called(self, parts: list) -> Any:
        """The result on what stands for the arguments: of their kinds, or, if the function does not take these, tensors."""
        try:
            return self.f(*self.rebuild([self._alike(part, g) for part, g in zip(parts, self.given)]))
        except (AttributeError, TypeError) as error:
            if self.evaluations == 1 and not self.lifted:
                return self._called_on_tensors(parts, error)
            if not any(part.dtype.kind == "c" for part in parts):
                raise
            raise TypeError(f"{self.who}: complex steps do not suit the function: {error}") from error

    def _called_on_tensors(self, parts: list, refusal: Exception) -> Any:
        self.lifted = True
        try:
            return self.called(parts)
        except Exception:
            raise refusal from None

    def _alike(self, part: np.ndarray, given: Any) -> Any:
        """New values in the form of a leaf of the arguments; NumPy's floats are Python's, and have no errors of domain."""
        if isinstance(given, Traced) or self.lifted:
            return at(part.copy())
        return part.copy() if isinstance(given, np.ndarray) else part.item() if part.dtype.kind == "c" else part[()]

    def _check(self, x: np.ndarray) -> None:
        if self.scalar and [r.shape for r in self.results] != [()]:
            shapes = ", ".join(str(r.shape) for r in self.results)
            got = f"what is of shape {shapes}; use numeric.jacobian, or reduce it (sum, mean)" if shapes else "nothing"
            raise ValueError(f"{self.who}: the function must return one number, and returned {got}")
        if x.dtype.kind == "c" and any(r.dtype.kind != "c" for r in self.results):
            raise ValueError(
                f"{self.who}: complex steps need a function that is analytic, and this one returns real numbers for "
                'complex arguments (abs, real, a comparison?); take method="richardson"'
            )
        narrow = [float(np.finfo(r.dtype).eps) for r in self.results if r.dtype.kind in "fc"]
        self.epsilon = max([EPSILON, *narrow])

    def rows(self, square: bool, whole: bool) -> tuple[list[tuple], Callable]:
        """The shapes of what the rows of a matrix of derivatives are of, results or arguments, and their tree."""
        if not square:
            return self.result_shapes, self.build
        return self.shapes, lambda trees: self.rebuild(trees)[0] if whole else self.rebuild(trees)

    def form(self, matrix: np.ndarray, rows: list[tuple], build: Callable, whole: bool) -> Any:
        """A matrix whose columns are entries of the arguments as trees of both; `whole`: by the one argument itself."""
        ends = lambda shapes: np.cumsum([math.prod(s) for s in shapes])[:-1]
        trees = []
        for shape, block in zip(rows, np.split(matrix, ends(rows))):
            columns = np.split(block, ends(self.shapes), axis=1)
            blocks = [c.reshape(shape + s) for c, s in zip(columns, self.shapes)]
            leaves = [outward(b, g if not b.ndim else array_form(g), 0) for b, g in zip(blocks, self.given)]
            trees.append(self.rebuild(leaves)[0] if whole else self.rebuild(leaves))
        return build(trees)


def _plain(x: Any) -> np.ndarray:
    """The array behind a value."""
    if isinstance(x, Traced):
        if x.level:
            raise TypeError(
                "numeric: differences are of plain values; inside jvp, vmap and the like they would be lost"
            )
        x = x.innermost()
    return np.asarray(x)


# --- differences -----------------------------------------------------------------------------------------------------


def _first(flat: Flat, method: str, step: float | None) -> tuple:
    """First derivatives, their errors, and the steps taken."""
    columns = [_derivative(flat, (j,), method, step) for j in range(len(flat.x))]
    values, errors, steps, corners = zip(*columns) if columns else ((), (), (), ())
    stack = lambda parts: np.stack(parts, axis=1) if parts else np.zeros((len(flat.y), 0))
    return stack(values), stack(errors), np.array(steps), np.array(corners, bool)


def _second(flat: Flat, method: str, step: float | None) -> tuple:
    """Second derivatives, their errors, and the steps taken along the diagonal."""
    n = len(flat.x)
    values, errors, steps = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    for i, j in itertools.combinations_with_replacement(range(n), 2):
        value, error, h, _ = _derivative(flat, (i, j), method, step)
        values[i, j] = values[j, i] = value[0]
        errors[i, j] = errors[j, i] = error[0]
        steps[i] = h if i == j else steps[i]
    return values, errors, steps, np.zeros(n, bool)


def _derivative(flat: Flat, along: tuple[int, ...], method: str, step: float | None) -> tuple:
    """The derivative along one entry or two, its error, the step, and whether there is a corner."""
    stencil = Stencil(method, along)
    if method == "complex" and len(along) == 1:
        return _imaginary(flat, stencil, step or TINY)
    if step is not None:
        found = stencil.at(flat, step)
        return found.value, found.error, step, False
    near = Neighbourhood(flat, along)
    best = searched(flat, stencil, near)
    return best.value, near.error(best), best.h, bool(near.corner.any())


def _imaginary(flat: Flat, stencil: Stencil, h: float) -> tuple:
    """A step in the imaginary direction loses nothing; whether the function is analytic, a central difference tells."""
    value, largest = stencil.slope(flat, h)
    check, error, _, corner = _derivative(flat, stencil.along, "central", None)
    size = largest + np.abs(value) * (1 + abs(flat.x[stencil.along[0]]))
    own = 256 * flat.epsilon * size + h * h * np.abs(value)
    off = np.abs(value - check)
    fits = (off <= error + own) & (not corner)
    return value, np.where(fits, own, np.maximum(off, error)), h, corner


# --- what a step does ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """The error of each method at each step: truncation falls with the step, rounding rises as it gets smaller."""

    steps: np.ndarray
    errors: dict[str, np.ndarray]

    def orders(self) -> dict[str, float]:
        """The power of the step with which each error falls, measured where truncation is nearly all of it."""
        return {method: self._order(errors) for method, errors in self.errors.items()}

    def _order(self, errors: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.diff(np.log(errors)) / np.diff(np.log(self.steps))
        floor = np.minimum.accumulate(errors)[1:]
        clear = np.isfinite(slopes) & (errors[1:] > 1e4 * max(errors.min(), EPSILON)) & (errors[1:] <= floor)
        return float(slopes[clear][-3:].mean()) if clear.any() else math.nan

    def table(self) -> Table:
        """A row for each step."""
        rows = [[h, *(e[k] for e in self.errors.values())] for k, h in enumerate(self.steps)]
        return Table(["h", *self.errors], rows)

    def __str__(self) -> str:
        return str(self.table())

    def text(self, width: int = 60, height: int = 18) -> str:
        """The curves in letters: the first letter of a method where its error is; both axes are powers of ten."""
        across, up = np.log10(self.steps), {m: np.log10(np.maximum(e, EPSILON**1.2)) for m, e in self.errors.items()}
        values = np.concatenate(list(up.values()))
        low, high = np.floor(values.min()), np.ceil(values.max())
        grid = [[" "] * width for _ in range(height)]
        for method, errors in up.items():
            for x, y in zip(across, errors):
                column = round((x - across.min()) / max(np.ptp(across), 1) * (width - 1))
                grid[round((high - y) / max(high - low, 1) * (height - 1))][column] = method[0]
        edge = {0: f"1e{high:+03.0f}", height - 1: f"1e{low:+03.0f}"}
        lines = [f"{edge.get(k, ''):>6} |{''.join(row).rstrip()}" for k, row in enumerate(grid)]
        ends = f"{self.steps.min():<{width - 8}.0e}{self.steps.max():>8.0e}"
        return "\n".join(["error", *lines, " " * 7 + "+" + "-" * width, f"{'step':>6}  {ends}"])

    def plot(self, axes: Any = None) -> Any:
        """Draw the curves on axes of matplotlib, new ones if none are given."""
        axes = axes or optional("matplotlib.pyplot", "Curve.plot").figure().add_subplot()
        for method, errors in self.errors.items():
            axes.loglog(self.steps, np.maximum(errors, EPSILON**2), ".-", label=method)
        axes.set(xlabel="step h", ylabel="error of the derivative")
        axes.legend()
        return axes


def curve(
    f: Callable,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    methods: Sequence[str] = tuple(SCHEMES),
    steps: Any = None,
    exact: Any = None,
) -> Curve:
    """The largest error of the gradient by each method at each step, against `exact`, or else against the tape."""
    exact = tape_gradient(f, argnums)(*args) if exact is None else exact
    steps = 2.0 ** -np.arange(1, 50) if steps is None else np.asarray(steps, float)
    truth = [_plain(t) for t in flatten(exact)[0]]

    def off(method: str, h: float) -> float:
        found = flatten(grad(f, argnums, method, float(h))(*args).value)[0]
        return max(float(np.max(np.abs(_plain(v) - t), initial=0)) for v, t in zip(found, truth))

    return Curve(steps, {method: np.array([off(method, h) for h in steps]) for method in methods})
