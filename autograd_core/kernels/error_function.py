"""The error function and the normal distribution, and their inverses.

How the polynomials were made stands in `special`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .special import Array, blockwise, horner, pieces
from .vector_math import TAIL

ROOT_HALF = math.sqrt(0.5)

# fmt: off
_ERF = (  # erf(x) / x in x² from 0 to 1
    -3.80659122412214e-13, 9.21125018742823e-12, -2.035231956483527e-10, 4.115751500265885e-09, -7.51156925108609e-08,
    1.2233827638093572e-06, -1.75371694412802e-05, 0.00021751715603563488, -0.0022854855611440855, 0.019852496688984218,
    -0.1405360890227171, 0.9654687386698673,
)
_ERFCX = (  # (x + 4) exp(x²) erfc(x) in (x - 4) / (x + 4) from -1 to 1
    -1.8622648765726154e-10, -7.64653997246155e-11, 2.3248139490706373e-09, 7.051218877756988e-10,
    -1.8208760359519016e-08, -2.753680956835059e-10, 1.269526620028216e-07, -7.440264267692018e-08,
    -8.478822846448528e-07, 1.423544943950122e-06, 4.695056181536189e-06, -1.8860655851650423e-05,
    -3.635329756508496e-06, 0.00017681276807153315, -0.0004550526593817673, -0.0002809588591883079,
    0.0061120556534863925, -0.026370053340693672, 0.07638151490940508, -0.1740109372399329, 0.3308515878780107,
    -0.5408538313132345, 0.7732087022652371, -0.976548729080882, 1.095995661000491,
)
_ERFINV_CENTRE = (  # erfinv(y) / y in w = -log(1 - y²) from 0 to 6.25
    -2.7032254091069344e-10, 7.689312733742569e-10, 1.5401738716654886e-09, -8.562787796742932e-09,
    4.792369996100387e-09, 3.915473114023045e-08, -9.867713140174249e-08, -1.0185147576818285e-08,
    5.394320648707009e-07, -1.059321402540731e-06, -6.83718721812117e-07, 7.1300572630824496e-06,
    -1.1257319182677936e-05, -1.5027710420277575e-05, 9.33673917780479e-05, -0.0001168888399309713,
    -0.0002643936684366174, 0.0012324855686812834, -0.0012716922684373015, -0.00413731437741443, 0.017808361818295655,
    -0.022604447453449802, -0.05892256710377784, 0.7504943200799635, 1.6536545626831027,
)
_ERFINV_SIDE = (  # erfinv(y) / y in √w from 2.5 to 4.5
    2.333425423765861e-10, -7.525085632762652e-10, -1.6224057816357384e-10, 5.353488890864914e-09,
    -1.5443558566320095e-08, 1.8045133251549628e-08, 4.3692506247480846e-08, -2.689246524779872e-07,
    5.77557544316418e-07, -1.4987536218319398e-07, -2.8670133738120348e-06, 9.409913008470806e-06,
    -1.3385600152421501e-05, -5.482069605910912e-06, 7.842383163903488e-05, -0.00022508928708762712,
    0.0004307712304857243, -0.0006798558569482404, 0.001093456383758426, -0.0020631750877059545, 0.0032768662191021286,
    1.0073688127440552, 3.3354857170835537,
)
_ERFINV_TAIL = (  # erfinv(y) / (y √w) in 1/√w from 1/28 to 1/4.5
    -2.677368826451791e-09, 3.995518842297591e-09, 1.4816279734128183e-08, -2.1972459093258163e-08,
    -4.014583091622325e-08, 5.902789401983486e-08, 6.450625276992397e-08, -9.327270060935863e-08,
    -7.247020453791894e-08, 1.0290733775161313e-07, 5.004754758278273e-08, -6.90873251298717e-08,
    -3.8262638386180724e-08, 5.725798653538906e-08, -1.6665108237118687e-08, 3.139997608307164e-08,
    -8.446129703714843e-08, 1.4773379560204425e-07, -2.573333957243936e-07, 4.748785614982777e-07,
    -9.049319354821363e-07, 1.788589650019995e-06, -3.7140790163625346e-06, 8.21794724267322e-06,
    -1.958868978876462e-05, 5.248365047576173e-05, -0.0001960834169117927, 0.0010188869764042685,
    -0.0019599137259497055, -0.017306996345928114, 0.9839063609616959,
)
# fmt: on


# k, coefficients, and what the last of these lacks, chosen so that it evens out the roundings of the others
ERFCX = 4, _ERFCX, 3.4e-17
NORMAL = 5, (*TAIL.arguments[2], 0.769193049750063), -2.7e-17  # of `mills`, as loops have it


def _short(x: Array) -> Array:
    """x to 24 digits: the product of two such numbers is exact."""
    return x.astype(np.float32).astype(np.float64)


def _both(a: Array, b: Array) -> Array:
    """(1 + a) (1 + b) - 1"""
    return a + b + a * b


def _bell(x: Array, scale: float = 1.0) -> Array:
    """exp(-scale x²) for |x| up to 40: x² is split in two so that the exponential is not given a rounded square."""
    head = _short(x)
    return np.exp(-scale * head * head) * np.exp(-scale * (x - head) * (x + head))


def _over(a: Array, head: Array, quotient: tuple) -> tuple[Array, Array]:
    """A polynomial in (a - k) / (a + k), over a + k: a number that is not rounded, and which part of it is missing.

    `head` is the short of a.  The polynomial's value and 1 / (a + k) are made short, and what that takes is known.
    """
    k, coefficients, low = quotient
    part = _short(1 / (a + k))
    more = (1 - k * part - head * part) - (a - head) * part
    more += more * more
    twice = 2 * k * part
    u = (1 - twice) - twice * more
    step, top = u * horner(coefficients[:-1], u), coefficients[-1]
    y = _short(step + top)
    return y * part, _both(more, ((top - y) + step + low) / y)


def _tail(a: Array, quotient: tuple, scale: float, factor: Any = 1.0) -> Array:
    """factor * exp(-scale a²) times such a quotient."""
    head = _short(a)
    y, more = _over(a, head, quotient)
    y = y * factor * np.exp(-scale * head * head)
    return y + y * _both(more, np.expm1(-scale * (a - head) * (a + head)))


def _erfcx(x: Array) -> Array:
    """exp(x²) erfc(x) for x >= 0."""
    u = np.minimum(x, 1e30)
    y, more = _over(u, _short(u), ERFCX)
    return np.where(x > u, 1 / (x * math.sqrt(math.pi)), y + y * more)


def _erf_near(x: Array) -> Array:
    """erf for |x| up to 1."""
    return x * horner(_ERF, 2 * x * x - 1)


def _erfc(x: Array) -> Array:
    tail = _tail(np.minimum(np.abs(x), 40.0), ERFCX, 1.0)
    return np.where(x < 0, 2 - tail, tail)


def each(function: Callable, x: Array) -> Array:
    """A function of one number, as Python has it, of each entry: for few this is quicker than steps in NumPy."""
    return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


@blockwise(single=True)
def erf(x: Array) -> Array:
    """The error function, 2/√π times the integral of exp(-t²) from 0 to x."""
    if x.dtype == np.float32:
        return each(math.erf, x)
    return pieces((np.abs(x) < 1,), (_erf_near, lambda x: np.copysign(1 - _erfc(np.abs(x)), x)), x)


@blockwise(single=True)
def erfc(x: Array) -> Array:
    """1 - erf(x), accurate where that is tiny."""
    return each(math.erfc, x) if x.dtype == np.float32 else _erfc(x)


@blockwise
def erfcx(x: Array) -> Array:
    """exp(x²) erfc(x), which stays in range for large x."""
    below = lambda x: 2 * _bell(np.maximum(x, -40.0), -1.0) - _erfcx(-x)
    return pieces((x < 0,), (below, _erfcx), x)


DENSITY = 1 / math.sqrt(2 * math.pi)


def normal_tail(a: Array, factor: Any = 1.0) -> Array:
    """factor times the chance of a standard normal number above a, for 0 <= a <= 40."""
    return _tail(a, NORMAL, 0.5, factor)


def normal_bend(a: Array) -> Array:
    """That chance less a times the density at a, for 0 <= a <= 40."""
    head = _short(a)
    y, more = _over(a, head, NORMAL)
    y = (y + (y * more - a * DENSITY)) * np.exp(-0.5 * head * head)
    return y + y * np.expm1(-0.5 * (a - head) * (a + head))


def _ndtr(x: Array) -> Array:
    tail = normal_tail(np.minimum(np.abs(x), 40.0))
    return np.where(x > 0, 1 - tail, tail)


@blockwise
def ndtr(x: Array) -> Array:
    """The normal distribution function: the chance of a standard normal number below x."""
    return _ndtr(x)


@blockwise
def log_ndtr(x: Array) -> Array:
    """log(ndtr(x)), accurate in both tails."""
    below = lambda x: np.log(0.5 * _erfcx(-x * ROOT_HALF)) - 0.5 * x * x
    return pieces((x < 0,), (below, lambda x: np.log1p(-_ndtr(-x))), x)


@blockwise
def hazard(x: Array) -> Array:
    """The derivative of log_ndtr: the normal density over the distribution function."""
    below = lambda x: math.sqrt(2 / math.pi) / _erfcx(-x * ROOT_HALF)
    above = lambda x: _bell(np.minimum(x, 40.0), 0.5) / (math.sqrt(2 * math.pi) * _ndtr(x))
    return pieces((x < 0,), (below, above), x)


def _inverse(y: Array, w: Array) -> Array:
    """The inverse of erf at y, given w = -log(1 - y²), which says how far out y is when y itself no longer can."""
    centre = lambda y, w: y * horner(_ERFINV_CENTRE, w / 3.125 - 1)
    side = lambda y, w: y * horner(_ERFINV_SIDE, np.sqrt(w) - 3.5)
    low, high = 1 / 28, 1 / 4.5
    tail = lambda y, w: y * np.sqrt(w) * horner(_ERFINV_TAIL, (2 / np.sqrt(w) - low - high) / (high - low))
    return pieces((w < 6.25, w < 20.25), (centre, side, tail), y, w)


@blockwise
def erfinv(x: Array) -> Array:
    """The inverse of erf, for x from -1 to 1."""
    return _inverse(x, -np.log((1 - x) * (1 + x)))


@blockwise
def ndtri(x: Array) -> Array:
    """The inverse of ndtr, for x from 0 to 1."""
    return math.sqrt(2) * _inverse(2 * x - 1, -np.log(4 * x * (1 - x)))
