"""Polynomials for functions of the normal distribution near 0, made when the first kernel with them is.

Imports Numba, for kernels only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal, localcontext

from numpy.polynomial import chebyshev

from ._pieces import pieces

DEGREE, MORE = 6, 10  # of a polynomial, and powers more from which it is made
DENSITY = Decimal("0.39894228040143267793994605993438186847585863116493")  # of normal numbers at 0
HALF = Decimal("0.5")
# Near the middle of where each is for, within 100 units of float32: where the first two coefficients for `above` are nearly
# such numbers themselves, the first by a hundredth of a unit and the second by a tenth, so that little is lost to rounding.
CENTRES = (
    0.353550643, 0.965931714, 1.40293097, 1.7259928, 1.99606967, 2.23324609, 2.44736218, 2.64405298, 2.82702231,
    2.99882364, 3.16129017, 3.31576514, 3.46334887, 3.6048944, 3.74104142, 3.87246442, 3.99949527, 4.12264872,
    4.2421875, 4.35848141, 4.47181606, 4.5822053, 4.69013739, 4.79558754, 4.89868069, 4.99971247, 5.09877682,
    5.19588661, 5.29132032, 5.38496828, 5.47707415, 5.5675559,
)  # fmt: skip


def tables(of: Callable) -> list[list[float]]:
    """The centres, and the coefficients for all of them, highest power first; `of` makes power series of those of `normal`."""
    with localcontext(prec=50):
        found = [polynomial(of, n, Decimal(c)) for n, c in enumerate(CENTRES)]
    return [[*CENTRES], *map(list, zip(*found))]


def polynomial(of: Callable, n: int, c: Decimal) -> list[float]:
    """The coefficients for one centre: of a power series, after Chebyshev's polynomials are taken off its end.

    These stay small for all t with t**2 nearest to n.
    """
    width = max(abs(Decimal(max(n + by, 0)).sqrt() - c) for by in (-HALF, HALF))
    series = of(*normal(c))
    for k in reversed(range(DEGREE + 1, len(series))):
        wave, last = chebyshev.cheb2poly([0] * k + [1]), series.pop()
        series = [a - last * Decimal(w / wave[k]) * width ** (k - i) for i, (a, w) in enumerate(zip(series, wave))]
    return [*map(float, series[::-1])]


@functools.cache
def normal(c: Decimal) -> tuple[list[Decimal], list[Decimal]]:
    """Power series around c: of the probability that a normal number is above, and of the density."""
    density = [DENSITY * (-HALF * c * c).exp()]
    for k in range(DEGREE + MORE + 1):
        density.append(-(c * density[k] + (density[k - 1] if k else 0)) / (k + 1))
    between = term = c  # 0 and c: the probability to be there, by the density
    for k in range(3, 400, 2):
        term *= c * c / k
        between += term
    return [HALF - between * density[0], *(-a / (k + 1) for k, a in enumerate(density[:-2]))], density


def _above(above: list[Decimal], density: list[Decimal]) -> list[Decimal]:
    return above


def _slope(above: list[Decimal], density: list[Decimal]) -> list[Decimal]:
    """The slope of gelu at -t: what is above t, less t times the density, which is how fast that falls."""
    return [a + (k + 1) * density[k + 1] for k, a in enumerate(above)]


above, slope = (pieces(f"normal{f.__name__}", functools.partial(tables, f)) for f in (_above, _slope))
