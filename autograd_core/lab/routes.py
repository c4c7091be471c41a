"""One function, differentiated in every way there is: what each gives, how sure it is, and what it takes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from textwrap import shorten
from typing import Any

import numpy as np

from ..errors import require_callable
from ..functional import chosen_arguments, grad, jvp
from ..op import Traced
from ..source import source_grad
from ..symbolic import symbols, trace
from ..tape import current, using
from ..tree import flatten
from . import numeric
from .table import Table, shown

EXACT = 1024  # roundings that a route without an error of method is granted


@dataclass(frozen=True)
class Row:
    """What one route gave; for one that does not apply, why."""

    route: str
    gradient: Any = None
    error: float | None = None  # the largest distance from what the tape gave
    stated: float | None = None  # the largest error that the route owns up to
    evaluations: int | None = None
    seconds: float | None = None
    verdict: str = "agrees"

    @property
    def wrong(self) -> bool:
        """Whether it disagrees by more than it states, or is no gradient."""
        return self.verdict in ("disagrees", "not finite")


@dataclass(frozen=True)
class Comparison:
    """A row for each route; true if several agree, one of them a gradient, and none does not: to be asserted before training."""

    rows: list[Row]
    note: str = ""
    reference: str = "tape"  # the route that all are compared with

    def __bool__(self) -> bool:
        return self.checked and not any(row.wrong for row in self.rows)

    @property
    def checked(self) -> bool:
        """Whether there is a gradient, and another way that gave one too."""
        return self.reference in EXACT_ROUTES and sum(not row.verdict.startswith("refused") for row in self.rows) > 1

    def __getitem__(self, route: str) -> Row:
        for row in self.rows:
            if row.route == route:
                return row
        raise KeyError(f"compare: no route {route!r}; there are {', '.join(row.route for row in self.rows)}")

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def require(self) -> Comparison:
        """Raise an AssertionError with the table if a route disagrees; else the comparison itself."""
        if not self:
            what = (
                "the ways to differentiate disagree"
                if self.checked
                else "there is no gradient with something beside it"
            )
            raise AssertionError(f"{what}\n{self}")
        return self

    def table(self) -> Table:
        """The comparison as a table."""
        heads = ["route", "gradient", "error", "stated error", "evaluations", "seconds", "verdict"]
        numbers = lambda v: None if v is None else f"{v:.2g}"
        rows = [
            [r.route, _glance(r.gradient), numbers(r.error), numbers(r.stated), r.evaluations, numbers(r.seconds)]
            + [shorten(r.verdict, 80, placeholder=" ...")]
            for r in self.rows
        ]
        return Table(heads, rows)

    def __str__(self) -> str:
        return f"{self.table()}{self.note and chr(10) + self.note}"

    __repr__ = __str__


def compare(
    f: Callable,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    routes: Sequence[str] | None = None,
    most: int = 100,
) -> Comparison:
    """The gradient of f by the tape, forward mode, differences, symbols and generated source, side by side.

    `assert ag.compare(loss, weights)` before training fails if any way disagrees with the tape by more than it states.
    Where the slopes on two sides differ, differences say "corner" and what lies between these slopes agrees.  A function
    that the tape cannot follow is compared with the next route that can.  `routes` names those to take (default: all).
    Where the arguments in `argnums` have more than `most` entries, the derivative along one random direction is compared.
    """
    require_callable(f, "compare")
    if unknown := sorted(set(routes or ()) - set(ROUTES)):
        raise ValueError(f"compare: no route {unknown[0]!r}; there are {', '.join(ROUTES)}")
    numbers, put = chosen_arguments(args, argnums, "compare")
    chosen = tuple(args[n] for n in numbers)
    problem, note = Problem(f, lambda *xs: f(*put(xs)), args, numbers, chosen), ""
    entries = sum(np.size(x) for x in flatten(chosen)[0])
    if entries > most:
        problem = problem.along_a_direction()
        note = f"along one random direction; the arguments have {entries} entries"
    wanted = [name for name in ROUTES if routes is None or name in routes]
    runs = {name: Run(problem, ROUTES[name]) for name in dict.fromkeys(["tape", *wanted])}
    reference = next((name for name in [*EXACT_ROUTES, *runs] if name in runs and not runs[name].refusal), None)
    if reference is None:
        raise runs["tape"].refusal  # type: ignore[misc]
    rows = [runs[name].row(name, runs[reference]) for name in wanted]
    if reference != "tape":
        note = f"{note and note + chr(10)}the tape was refused; errors are distances from what {reference} gave"
    return Comparison(_excused(rows, runs[reference], [r for r in runs.values() if r.corner]), note, reference)


class Problem:
    """What is to be differentiated, and how often it was evaluated."""

    def __init__(self, whole: Callable | None, f: Callable, args: tuple, numbers: Sequence[int], chosen: tuple):
        self.whole, self.inner, self.args, self.numbers, self.chosen = whole, f, args, tuple(numbers), chosen
        self.evaluations, self.all = 0, tuple(range(len(chosen)))
        narrow = [x.dtype for x in flatten(args)[0] if getattr(x, "dtype", None) in (np.float16, np.float32)]
        self.epsilon = max([numeric.EPSILON, *(float(np.finfo(t).eps) for t in narrow)])  # of what is computed with

    def f(self, *xs: Any) -> Any:
        """The function of the chosen arguments."""
        self.evaluations += 1
        return self.inner(*xs)

    def along_a_direction(self) -> Problem:
        """The same as a function of one number: how far to go in a direction."""
        rng = np.random.default_rng(0)
        leaves, rebuild = flatten(self.chosen)
        steps = [rng.standard_normal(np.shape(x)) for x in leaves]
        steps = [
            u + 1j * rng.standard_normal(u.shape) if np.iscomplexobj(_plain(x)) else u for u, x in zip(steps, leaves)
        ]
        size = np.sqrt(sum((np.abs(u) ** 2).sum() for u in steps))
        steps = [(u / size).astype(getattr(x, "dtype", float)) for u, x in zip(steps, leaves)]
        moved = lambda t: rebuild([x + t * u for x, u in zip(leaves, steps)])
        problem = Problem(None, lambda t: self.inner(*moved(t)), (0.0,), (0,), (0.0,))
        problem.epsilon = self.epsilon
        return problem

    def tape(self) -> Callable:
        """Reverse mode: one run and one walk back."""
        return lambda: grad(self.f, self.all)(*self.chosen)

    def forward(self) -> Callable:
        """Forward mode: a run for each entry, two if it is complex."""
        leaves, rebuild = flatten(self.chosen)

        def along(k: int, place: tuple, direction: complex) -> np.ndarray:
            seeds = [np.zeros(np.shape(x), getattr(x, "dtype", type(x + 0.0))) for x in leaves]
            seeds[k][place] = direction
            value, tangent = jvp(self.f, self.chosen, rebuild(seeds))
            if value is None or np.shape(value):
                got = "nothing" if value is None else f"an array of shape {np.shape(value)}"
                raise ValueError(f"the function must return one number, and returned {got}")
            return _plain(tangent)

        def slope(k: int, place: tuple) -> np.ndarray:
            imaginary = along(k, place, 1j) if np.iscomplexobj(_plain(leaves[k])) else None
            return along(k, place, 1) if imaginary is None else along(k, place, 1) + 1j * imaginary

        return lambda: [slope(k, place) for k, x in enumerate(leaves) for place in np.ndindex(np.shape(x))]

    def differences(self, method: str) -> Callable:
        """A method of `numeric`, by the parts of what is complex."""
        leaves, rebuild = flatten(self.chosen)
        if not any(np.iscomplexobj(_plain(x)) for x in leaves):
            return lambda: numeric.grad(self.f, self.all, method)(*self.chosen)
        if method == "complex":
            raise TypeError("steps in the imaginary direction are for real arguments, and one is complex")
        parts = [[_plain(x).real, _plain(x).imag] if np.iscomplexobj(_plain(x)) else [_plain(x)] for x in leaves]

        def run() -> numeric.Estimate:
            joined = lambda pairs: [p[0] + 1j * p[1] if len(p) == 2 else p[0] for p in pairs]
            found = numeric.grad(lambda pairs: self.f(*rebuild(joined(pairs))), method=method)(parts)
            sizes = [np.hypot(*e) if len(e) == 2 else e[0] for e in found.error]
            return replace(found, value=joined(found.value), error=sizes)

        return run

    def symbols(self) -> Callable:
        """The formula of each derivative, evaluated."""
        if any(np.ndim(x) or isinstance(x, (tuple, list, dict)) for x in self.chosen):
            raise TypeError("symbols stand for numbers, and an argument has several entries")
        if any(np.iscomplexobj(_plain(x)) for x in self.chosen):
            raise TypeError("symbols stand for real numbers, and an argument is complex")
        names = [f"x{n}" for n in self.numbers]
        slopes = trace(self.f, *names).gradient(*symbols(names))
        values = {name: float(_plain(x)) for name, x in zip(names, self.chosen)}
        return lambda: [slope.evaluate(values) for slope in slopes]

    def source(self) -> Callable:
        """Generated adjoint code."""
        if self.whole is None:
            raise TypeError("what is compared is a direction, and the source is of the whole function")
        adjoint = source_grad(self.whole, self.numbers)
        return lambda: adjoint(*self.args)


ROUTES: dict[str, Callable[[Problem], Callable]] = {
    "tape": Problem.tape,
    "duals": Problem.forward,
    **{f"{method} differences": partial(Problem.differences, method=method) for method in numeric.SCHEMES},
    "symbolic": Problem.symbols,
    "source": Problem.source,
}


EXACT_ROUTES = ["tape", "duals", "symbolic", "source"]  # those without an error of method


class Run:
    """What a route gave, or why it does not apply.  It is run twice, and the second is timed: the first may compile."""

    def __init__(self, problem: Problem, make: Callable):
        self.problem = problem
        self.refusal: Exception | None = None
        try:
            run = make(problem)
            run()
        except Exception as error:
            self.refusal = error
            self.corner = False
            return
        problem.evaluations, start = 0, time.perf_counter()
        found = run()
        self.seconds, self.evaluations = time.perf_counter() - start, problem.evaluations
        estimated = isinstance(found, numeric.Estimate)
        self.corner = estimated and bool(found.corners.any())
        self.values = _vector(found.value if estimated else found)
        self.stated = _vector(found.error) if estimated else _roundings(problem, self.values)

    def row(self, route: str, reference: Run) -> Row:
        """How it compares."""
        if self.refusal is not None:
            return Row(route, verdict=f"refused: {_reason(self.refusal)}")
        with np.errstate(invalid="ignore"):
            off = np.abs(self.values - reference.values)
        agrees = bool(np.all(off <= self.stated + reference.stated))
        verdict = "disagrees" if not agrees else "corner" if self.corner else "agrees"
        verdict = verdict if np.isfinite(self.values).all() else "not finite"
        largest = lambda v: float(np.max(v, initial=0))
        return Row(route, self.values, largest(off), largest(self.stated), self.evaluations, self.seconds, verdict)


def _reason(error: Exception) -> str:
    if type(error).__module__.startswith("numba."):
        return "compiled functions take numbers and arrays only; give the function before it was compiled (.py_func)"
    return str(error).partition("\n")[0]


def _excused(rows: list[Row], reference: Run, corners: list[Run]) -> list[Row]:
    """At a corner, slopes that lie between those of its two sides are all right."""

    def between(values: np.ndarray) -> bool:
        near = lambda run: np.abs(values - run.values) <= run.stated + reference.stated
        return all(bool(np.all(near(run))) for run in corners)

    if not corners or not between(reference.values):
        return rows
    return [replace(row, verdict="corner") if row.wrong and between(row.gradient) else row for row in rows]


def _roundings(problem: Problem, truth: np.ndarray) -> np.ndarray:
    """What a route without an error of method may be off by."""
    return np.full(truth.shape, EXACT * problem.epsilon * (1 + np.max(np.abs(truth), initial=0)))


def _vector(tree: Any) -> np.ndarray:
    """All entries in a row."""
    return np.concatenate([np.zeros(0), *(np.ravel(_plain(leaf)) for leaf in flatten(tree)[0])])


def _plain(x: Any) -> np.ndarray:
    while isinstance(x, Traced):
        x = x.innermost()
    return np.asarray(x)


def _glance(v: np.ndarray | None) -> str:
    """A gradient in a cell."""
    if v is None or len(v) <= 3:
        return "" if v is None else ", ".join(map(shown, v))
    return f"{shown(v[0])}, {shown(v[1])}, ... ({len(v)})"


# --- passes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What the whole gradient takes with one number of inputs: passes, operations on tensors, seconds."""

    inputs: int
    forward_passes: int
    forward_operations: int
    forward_seconds: float
    reverse_passes: int
    reverse_operations: int
    reverse_seconds: float


@dataclass(frozen=True)
class Passes:
    """The costs for several numbers of inputs."""

    costs: list[Cost]

    def table(self) -> Table:
        """A row for each number of inputs; last, how many times cheaper the one pass back is."""
        heads = ["inputs", "passes", "operations", "seconds", "back: passes", "operations", "seconds", "times cheaper"]
        ratio = lambda c: round(c.forward_seconds / c.reverse_seconds, 1)
        return Table(heads, [[*vars(c).values(), ratio(c)] for c in self.costs])

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__


def passes(f: Callable, points: Sequence = (1, 4, 16, 64)) -> Passes:
    """The gradient of a function of a vector by n passes forward, and by one back, as the vector grows.

    Points are vectors, or lengths of vectors of normal numbers.
    """
    require_callable(f, "passes")
    normal = np.random.default_rng(0).standard_normal
    return Passes([_cost(f, normal(x) if isinstance(x, int) else np.asarray(x, float)) for x in points])


def _cost(f: Callable, x: np.ndarray) -> Cost:
    problem = Problem(None, f, (x,), (0,), (x,))
    forward, reverse = (_measured(problem, run) for run in (problem.forward(), problem.tape()))
    return Cost(x.size, *forward, *reverse)


def _measured(problem: Problem, run: Callable) -> tuple[int, int, float]:
    """Passes, operations (those of a walk back as well), and the least seconds of three runs."""
    count = itertools.count()
    with using(observers=(*current().observers, lambda *call: next(count))):
        problem.evaluations = 0
        run()
        evaluations = problem.evaluations
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return evaluations, next(count), min(seconds)
