"""The test problems of Moré, Garbow and Hillstrom (ACM Transactions on Mathematical Software 7, 1981), as residuals.

The function to minimise is the sum of the squares.  `minima` are the values that are known for it, local ones included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

PROBLEMS: dict[str, Problem] = {}


@dataclass
class Problem:
    """Residuals, where to start, and the values of the minima."""

    name: str
    residuals: Callable
    start: np.ndarray
    minima: tuple[float, ...]

    def value(self, x: Any) -> Any:
        """The sum of squares."""
        r = self.residuals(x)
        return np.sum(r * r)

    def reached(self, value: float) -> float:
        """How far a value is from the nearest known minimum, in terms of that if it is above 1."""
        return min(abs(value - known) / max(1.0, known) for known in self.minima)


def problem(name: str, start: Any, *minima: float) -> Callable:
    """Enter residuals under a name."""

    def enter(residuals: Callable) -> Callable:
        PROBLEMS[name] = Problem(name, residuals, np.asarray(start, float), minima)
        return residuals

    return enter


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)


def each(*parts: Any) -> Any:
    """Numbers in a row."""
    return np.stack(parts)


@problem("freudenstein-roth", [0.5, -2], 0, 48.98425367924002)
def freudenstein_roth(x):
    a, b = x[0], x[1]
    return each(-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b)


@problem("powell-badly-scaled", [0, 1], 0)
def powell_badly_scaled(x):
    return each(1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001)


@problem("brown-badly-scaled", [1, 1], 0)
def brown_badly_scaled(x):
    return each(x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2)


@problem("beale", [1, 1], 0)
def beale(x):
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** np.arange(1.0, 4.0))


@problem("jennrich-sampson", [0.3, 0.4], 124.36218235561489)
def jennrich_sampson(x):
    i = np.arange(1.0, 11.0)
    return 2 + 2 * i - np.exp(i * x[0]) - np.exp(i * x[1])


@problem("helical-valley", [-1, 0, 0], 0)
def helical_valley(x):
    turn = np.arctan2(x[1], x[0]) / (2 * np.pi)
    return each(10 * (x[2] - 10 * turn), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2])


BARD = numbers(".14 .18 .22 .25 .29 .32 .35 .39 .37 .58 .73 .96 1.34 2.10 4.39")


@problem("bard", [1, 1, 1], 8.214877306578975e-3, 17.428693333333335)
def bard(x):
    u = np.arange(1.0, 16.0)
    v = 16 - u
    return BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


GAUSSIAN = numbers(".0009 .0044 .0175 .0540 .1295 .2420 .3521 .3989 .3521 .2420 .1295 .0540 .0175 .0044 .0009")


@problem("gaussian", [0.4, 1, 0], 1.1279327696189e-8)
def gaussian(x):
    t = (8 - np.arange(1.0, 16.0)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - GAUSSIAN


MEYER = numbers("34780 28610 23650 19630 16370 13720 11540 9744 8261 7030 6005 5147 4427 3820 3307 2872")


@problem("meyer", [0.02, 4000, 250], 87.94585517018)
def meyer(x):
    return x[0] * np.exp(x[1] / (50 + 5 * np.arange(16.0) + x[2])) - MEYER


@problem("box", [0, 10, 20], 0)
def box(x):
    t = 0.1 * np.arange(1.0, 11.0)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


@problem("wood", [-3, -1, -3, -1], 0, 7.876967)
def wood(x):
    a, b, c, d = x[0], x[1], x[2], x[3]
    slow = (np.sqrt(10) * (b + d - 2), (b - d) / np.sqrt(10))
    return each(10 * (b - a**2), 1 - a, np.sqrt(90) * (d - c**2), 1 - c, *slow)


KOWALIK = (
    numbers(".1957 .1947 .1735 .1600 .0844 .0627 .0456 .0342 .0323 .0235 .0246"),
    numbers("4 2 1 .5 .25 .167 .125 .1 .0833 .0714 .0625"),
)


@problem("kowalik-osborne", [0.25, 0.39, 0.415, 0.39], 3.0750560384923e-4)
def kowalik_osborne(x):
    y, u = KOWALIK
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


@problem("brown-dennis", [25, 5, -5, -1], 85822.20162635627)
def brown_dennis(x):
    t = np.arange(1.0, 21.0) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


OSBORNE_1 = numbers(
    ".844 .908 .932 .936 .925 .908 .881 .850 .818 .784 .751 .718 .685 .658 .628 .603 .580 .558 .538 .522 .506 .490 "
    ".478 .467 .457 .448 .438 .431 .424 .420 .414 .411 .406"
)


@problem("osborne-1", [0.5, 1.5, -1, 0.01, 0.02], 5.464894697483e-5)
def osborne_1(x):
    t = 10 * np.arange(33.0)
    return OSBORNE_1 - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


@problem("biggs-exp6", [1, 2, 1, 1, 1, 1], 0, 5.655649925e-3)
def biggs(x):
    t = 0.1 * np.arange(1.0, 14.0)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


OSBORNE_2 = numbers(
    "1.366 1.191 1.112 1.013 .991 .885 .831 .847 .786 .725 .746 .679 .608 .655 .616 .606 .602 .626 .651 .724 .649 "
    ".649 .694 .644 .624 .661 .612 .558 .533 .495 .500 .423 .395 .375 .372 .391 .396 .405 .428 .429 .523 .562 .607 "
    ".653 .672 .708 .633 .668 .645 .632 .591 .559 .597 .625 .739 .710 .729 .720 .636 .581 .428 .292 .162 .098 .054"
)


@problem("osborne-2", [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], 4.01377362935478e-2)
def osborne_2(x):
    t = np.arange(65.0)[:, None] / 10
    bells = np.sum(x[1:4] * np.exp(-((t - x[8:11]) ** 2) * x[5:8]), 1)
    return OSBORNE_2 - (x[0] * np.exp(-t[:, 0] * x[4]) + bells)


@problem("watson", np.zeros(6), 2.287670053552e-3)
def watson(x):
    n = len(x)
    t, j = np.arange(1.0, 30.0)[:, None] / 29, np.arange(n)
    slopes = np.where(j == 0, 0.0, j * t ** np.maximum(j - 1, 0))
    most = slopes @ x - ((t**j) @ x) ** 2 - 1
    return np.concatenate([most, each(x[0], x[1] - x[0] ** 2 - 1)])


@problem("penalty-1", [1, 2, 3, 4], 2.2499775008999e-5)
def penalty_1(x):
    return np.concatenate([np.sqrt(1e-5) * (x - 1), each(np.sum(x**2) - 0.25)])


@problem("penalty-2", np.full(4, 0.5), 9.3762932515e-6)
def penalty_2(x):
    n, a = len(x), np.sqrt(1e-5)
    i, e = np.arange(2.0, n + 1), np.exp(x / 10)
    y = np.exp(i / 10) + np.exp((i - 1) / 10)
    weighted = np.sum(np.arange(n, 0, -1.0) * x**2) - 1
    return np.concatenate([each(x[0] - 0.2), a * (e[1:] + e[:-1] - y), a * (e[1:] - np.exp(-0.1)), each(weighted)])


@problem("variably-dimensioned", 1 - np.arange(1.0, 11.0) / 10, 0)
def variably_dimensioned(x):
    total = np.sum(np.arange(1.0, len(x) + 1) * (x - 1))
    return np.concatenate([x - 1, each(total, total**2)])


@problem("trigonometric", np.full(10, 0.1), 0, 2.795061e-5)
def trigonometric(x):
    n = len(x)
    return n - np.sum(np.cos(x)) + np.arange(1.0, n + 1) * (1 - np.cos(x)) - np.sin(x)


@problem("brown-almost-linear", np.full(10, 0.5), 0, 1)
def brown_almost_linear(x):
    return np.concatenate([x[:-1] + np.sum(x) - (len(x) + 1), each(np.prod(x) - 1)])


def grid(n: int) -> np.ndarray:
    return np.arange(1.0, n + 1) / (n + 1)


@problem("discrete-boundary-value", grid(10) * (grid(10) - 1), 0)
def discrete_boundary_value(x):
    t, zero = grid(len(x)), np.zeros(1)
    left, right = np.concatenate([zero, x[:-1]]), np.concatenate([x[1:], zero])
    return 2 * x - left - right + (x + t + 1) ** 3 / (2 * (len(x) + 1) ** 2)


@problem("broyden-tridiagonal", -np.ones(10), 0)
def broyden_tridiagonal(x):
    zero = np.zeros(1)
    return (3 - 2 * x) * x - np.concatenate([zero, x[:-1]]) - 2 * np.concatenate([x[1:], zero]) + 1


@problem("broyden-banded", -np.ones(10), 0, 3.05727843)
def broyden_banded(x):
    i, j = np.indices((len(x), len(x)))
    near = ((j >= i - 5) & (j <= i + 1) & (j != i)).astype(float)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


@problem("chebyquad", grid(8), 3.516873725677e-3)
def chebyquad(x):
    n = len(x)
    before, now, means = 1.0, 2 * x - 1, []
    for i in range(1, n + 1):
        means.append(np.mean(now) + (1 / (i * i - 1) if i % 2 == 0 else 0.0))
        before, now = now, 2 * (2 * x - 1) * now - before
    return each(*means)


@problem("linear-full-rank", np.ones(5), 5)
def linear_full_rank(x):
    slant = -np.sum(x) / 5 - 1
    return np.concatenate([x + slant, slant * np.ones(5)])


@problem("linear-rank-1", np.ones(5), 10 * 9 / 2 / 21)
def linear_rank_1(x):
    return np.arange(1.0, 11.0) * np.sum(np.arange(1.0, 6.0) * x) - 1


def rosenbrock(x):
    return np.concatenate([10 * (x[1::2] - x[::2] ** 2), 1 - x[::2]])


def powell_singular(x):
    a, b, c, d = (x[k::4] for k in range(4))
    return np.concatenate([a + 10 * b, np.sqrt(5) * (c - d), (b - 2 * c) ** 2, np.sqrt(10) * (a - d) ** 2])


for n in 2, 10, 100:
    problem(f"rosenbrock-{n}", [-1.2, 1] * (n // 2), 0)(rosenbrock)
for n in 4, 20:
    problem(f"powell-singular-{n}", [3, -1, 0, 1] * (n // 4), 0)(powell_singular)
