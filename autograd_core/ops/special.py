"""Special functions and softmax; the module itself is the namespace `special`."""

from __future__ import annotations

import functools
import math
import operator

from .. import dtypes
from ..kernels import bessel, error_function, gamma, softmaxes
from ..kernels import incomplete_gamma as incomplete
from ..kernels import special as kernels
from ..op import elementwise, op
from ..samples import elementwise_samples, shapes
from ..views import write
from .axes import one_axis
from .base import clone, masked
from .math import (  # noqa: F401 - some are only here to be part of the namespace
    exp,
    exp2,
    expm1,
    log,
    log1p,
    logical_and,
    logit,
    ne,
    round,
    sgn,
    sigmoid,
    sinc,
    where,
    xlogy,
)
from .reduce import logsumexp, sum  # noqa: F401

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "gammaln", "i0", "igamma", "igammac", "lgamma", "log_softmax", "mvlgamma",
    "polygamma", "softmax",
]  # fmt: skip

INPLACE = ["mvlgamma"]

NAMESPACE = [
    "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2",
    "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr",
    "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc",
    "softmax", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

BELL, DENSITY = 2 / math.sqrt(math.pi), 1 / math.sqrt(2 * math.pi)


# --- how the table below is written ----------------------------------------------------------------------------------


def _between_poles(rng):
    """Samples at least 0.3 away from every integer, on both sides of 0."""
    return [rng.integers(-4, 4, (2, 3)) + rng.uniform(0.3, 0.7, (2, 3))], {}


def _unavailable(name: str, argument: str):
    """The derivative of a function by an argument in which it has none here: asking for it is an error."""

    def refuse():
        raise NotImplementedError(f"{name}: has no gradient with respect to {argument}; pass it detached")

    return refuse


def _bessel_over_slope(x, y, n, kind):
    """J_n(x) / x^n has the derivative -x times the next of its kind: exact at 0 too, to every order."""
    after = x * bessel_over(x, n=n + 1, kind=kind)
    return after - sgn(x) * y if kind == "ie" else -after if kind == "j" else after


_GAMMA = [*elementwise_samples(1, "positive"), _between_poles]
_POLYGAMMA = [
    *shapes("n m:positive | ():above1", n=[0, 1, 2, 3]),
    lambda rng: (_between_poles(rng)[0], {"n": int(rng.integers(3))}),
]
_WHOLE = "integers(2;6),positive"  # integers have no gradient
_ORDERS = shapes("n m:nonzero | ():nonzero", n=[1, 2, 3], kind=["j", "i", "ie"])

function = functools.partial(elementwise, promotes="inexact")

# fmt: off
erf          = function(error_function.erf, lambda x: exp(-x * x) * BELL)
erfc         = function(error_function.erfc, lambda x: exp(-x * x) * -BELL)
erfcx        = function(error_function.erfcx, lambda x, y: 2 * x * y - BELL)
erfinv       = function(error_function.erfinv, lambda y: exp(y * y) * (1 / BELL), domain="unit")
ndtr         = function(error_function.ndtr, lambda x: exp(-0.5 * x * x) * DENSITY)
ndtri        = function(error_function.ndtri, lambda y: exp(0.5 * y * y) * (1 / DENSITY), domain="probability")
log_ndtr     = function(error_function.log_ndtr, lambda x: hazard(x))
hazard       = function(error_function.hazard, lambda x, y: -(masked(y, x) + y * y))  # y is 0 where x is infinite

lgamma       = function(gamma.lgamma, lambda x: digamma(x), samples=_GAMMA)
digamma      = function(gamma.digamma, lambda x: polygamma_of(x, n=1), samples=_GAMMA)
polygamma_of = function(gamma.polygamma, lambda x, n: polygamma_of(x, n=n + 1), samples=_POLYGAMMA)
zeta         = function(gamma.zeta, _unavailable("zeta", "s"), lambda s, q: -s * zeta(s + 1, q), domain=_WHOLE)
gammainc     = function(incomplete.gammainc, _unavailable("gammainc", "a"), lambda a, x: _density(a, x), domain=_WHOLE)
gammaincc    = function(incomplete.gammaincc, _unavailable("gammaincc", "a"), lambda a, x: -_density(a, x), domain=_WHOLE)

i0           = function(bessel.i0, lambda x: i1(x))
i1           = function(bessel.i1, lambda x: i0(x) - bessel_over(x, n=1, kind="i"))
i0e          = function(bessel.i0e, lambda x, y: i1e(x) - sgn(x) * y, domain="nonzero")
i1e          = function(bessel.i1e, lambda x, y: i0e(x) - sgn(x) * y - bessel_over(x, n=1, kind="ie"),
                        domain="nonzero")
bessel_j0    = function(bessel.bessel_j0, lambda x: -bessel_j1(x))
bessel_j1    = function(bessel.bessel_j1, lambda x: bessel_j0(x) - bessel_over(x, n=1, kind="j"))
bessel_y0    = function(bessel.bessel_y0, lambda x: -bessel_y1(x), domain="positive")
bessel_y1    = function(bessel.bessel_y1, lambda x, y: bessel_y0(x) - y / x, domain="positive")
bessel_over  = function(bessel.bessel_over, _bessel_over_slope, samples=_ORDERS)

entr         = function(kernels.entr, lambda x: -1 - log(x), domain="positive")
xlog1py      = function(kernels.xlog1py, lambda a, b: where(logical_and(a == 0, b <= -1), 0, log1p(b)),
                        lambda a, b: where(logical_and(a == 0, b == -1), 0, a / (1 + b)), domain=",positive")
# fmt: on

gammaln, psi, expit, igamma, igammac = lgamma, digamma, sigmoid, gammainc, gammaincc


def _density(a, x):
    """The density of the gamma distribution."""
    return exp(xlogy(a - 1, x) - x - lgamma(a))


def polygamma(n, x):
    """The n-th derivative of the digamma function."""
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"polygamma: n must be an integer, got {n!r}; the order comes first: polygamma(n, x)") from None
    if n < 0:
        raise ValueError(f"polygamma: n must not be negative, got {n}")
    return polygamma_of(x, n=n)


def mvlgamma(x, p):
    """The logarithm of the p-variate gamma function, for x above (p - 1) / 2."""
    if not isinstance(p, int) or p < 1:
        raise ValueError(f"mvlgamma: p must be a positive integer, got {p!r}")
    return functools.reduce(operator.add, [lgamma(x - 0.5 * j) for j in range(p)]) + p * (p - 1) / 4 * math.log(math.pi)


multigammaln = mvlgamma


# --- softmax ---------------------------------------------------------------------------------------------------------


def _total(x, axis):
    return sum(x, axis, True)


def _masked_rows(rng):
    """Samples with entries at -inf, and a row of nothing else."""
    x = rng.uniform(-2, 2, (3, 4))
    x[rng.random((3, 4)) < 0.3], x[1] = -math.inf, -math.inf
    return [x], {"axis": -1}


_AXES = shapes("n m | 2 n m", axis=[-1, -2])
_PAIRS = shapes("n m, n m", axis=[-1, -2])


@op(
    lambda g, p, axis: softmax_pull(g, p, axis=axis),
    lambda g, v, p, axis: g * (v - _total(v * p, axis)) - v * _total(g * p, axis),
    trailing=True,
    samples=_PAIRS,
)
def softmax_pull(v, p, *, axis):
    """The gradient of softmax, which is also its forward mode: p (v - Σ v p)."""
    return softmaxes.softmax_pull(v, p, axis)


@op(
    lambda g, y, axis: softmax_pull(g, y, axis=axis),
    name="softmax",
    trailing=True,
    promotes="inexact",
    jvp=lambda tangents, y, x, axis: softmax_pull(tangents[0], y, axis=axis),
    samples=[*_AXES, _masked_rows],
)
def softmax_along(x, *, axis):
    """exp(x) / Σ exp(x) along an axis, and 0 where that would be 0 / 0."""
    return softmaxes.softmax(x, axis)


@op(
    lambda g, logs, axis: masked(g - _total(exp(logs) * g, axis), ne(logs, -math.inf)),
    lambda g, v, logs, axis: -exp(logs) * g * _total(masked(v, ne(logs, -math.inf)), axis),
    trailing=True,
    samples=_PAIRS,
)
def log_softmax_pull(v, logs, *, axis):
    """The gradient of log_softmax: v - p Σ v, without the entries that are -inf."""
    return softmaxes.log_softmax_pull(v, logs, axis)


@op(
    lambda g, y, axis: log_softmax_pull(g, y, axis=axis),
    name="log_softmax",
    trailing=True,
    promotes="inexact",
    samples=_AXES,
)
def log_softmax_along(x, *, axis):
    """x - log Σ exp(x) along an axis; a row of nothing but -inf stays that."""
    return softmaxes.log_softmax(x, axis)


def _along(function, x, dim, dtype, name):
    """A function along one axis, after a change of type; of a number, along an axis made for it."""
    x = x if dtype is None else x.astype(dtypes.as_dtype(dtype))
    axis = one_axis(x.ndim, dim, name)
    return function(x, axis=axis) if x.ndim else function(x.reshape((1,)), axis=-1).reshape(())


def softmax(x, dim, dtype=None):
    """exp(x) / Σ exp(x) along `dim`; a row of nothing but -inf gives 0, with gradient 0."""
    if dtype is None and dim.__class__ is int and -x.ndim <= dim < 0:
        return softmax_along(x, axis=dim)
    return _along(softmax_along, x, dim, dtype, "softmax")


def log_softmax(x, dim, dtype=None):
    """log(softmax(x)) along `dim`; an entry that is -inf stays so, with gradient 0."""
    if dtype is None and dim.__class__ is int and -x.ndim <= dim < 0:
        return log_softmax_along(x, axis=dim)
    return _along(log_softmax_along, x, dim, dtype, "log_softmax")


def softmin(input, dim, dtype=None):
    """softmax of the negated entries."""
    return softmax(-input, dim, dtype)


def _polygamma_method(x, n):
    """The n-th derivative of digamma."""
    return polygamma(n, x)


def _polygamma_in_place(x, n):
    """`polygamma` in place; returns the tensor."""
    write(x, polygamma(n, clone(x)), "polygamma_")
    return x


METHODS = {"polygamma": _polygamma_method, "polygamma_": _polygamma_in_place}
