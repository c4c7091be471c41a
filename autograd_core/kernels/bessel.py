"""Bessel functions of the orders 0 and 1, modified ones among them, and the quotients that their derivatives need.

How the polynomials were made stands in `special`.
"""

from __future__ import annotations

import math

import numpy as np

from .special import Array, blockwise, constant, horner, pieces

# fmt: off
_I0E = (  # √x exp(-x) I0(x) in 8/x from 0 to 1
    -7.06893851181878e-11, -1.9216763724933513e-11, 5.181936971288284e-10, 1.4672236659214398e-10,
    -1.7789375042917173e-09, -5.562201990080394e-10, 3.881151253996067e-09, 1.497880830187091e-09,
    -6.188265090497361e-09, -3.4857887470034955e-09, 7.58022133915272e-09, 7.540601378890834e-09, -5.4685974495866e-09,
    -1.3404241991980871e-08, -6.729724111923548e-09, 7.553516470355896e-09, 2.1545177650836005e-08,
    3.932602459703109e-08, 8.87225351128584e-08, 2.973598432479169e-07, 1.4838475473607391e-06, 1.1143033791556743e-05,
    0.00013621607439232746, 0.003360551983667854, 0.4021765094450081,
)
_I1E = (  # √x exp(-x) I1(x) in 8/x from 0 to 1
    7.347992441734663e-11, 1.7502497778701306e-11, -5.388285995923524e-10, -1.342266320082222e-10,
    1.8513716745511988e-09, 5.146498826087142e-10, -4.047785403711858e-09, -1.4171698018664596e-09,
    6.4870195719816896e-09, 3.406636130196794e-09, -8.044231276166508e-09, -7.630751970065577e-09,
    6.040877342160988e-09, 1.4029693589852716e-08, 6.715795128085017e-09, -8.426622829598154e-09,
    -2.337059627111857e-08, -4.312935369971356e-08, -1.0001323461066435e-07, -3.483855609009937e-07,
    -1.8349101134666435e-06, -1.5038547201176271e-05, -0.00021923576383430274, -0.009749577193235728,
    0.38939845902587233,
)
_J0 = (  # J0(x) / ((x² - z²) (x² - w²)) in x² from 0 to 36, with its zeros z and w
    4.1931239355678407e-16, -1.787121668711016e-14, 6.53195503223523e-13, -2.0284528766986004e-11,
    5.263104136247333e-10, -1.1201566509490801e-08, 1.9115376799880862e-07, -2.5407373066732685e-06,
    2.5314152757899942e-05, -0.0001792287580749945, 0.0008320347890581551, -0.002204696491432354, 0.002430675493924603,
)
_J1 = (  # J1(x) / x, likewise
    1.3839450291901793e-17, -6.310834529948111e-16, 2.480416285097582e-14, -8.327552243426928e-13,
    2.3510412326950398e-11, -5.485911991425826e-10, 1.0356654702759123e-08, -1.5395754280182554e-07,
    1.7388069789124867e-06, -1.4194148437525609e-05, 7.766120861800151e-05, -0.00024978987935705466,
    0.0003483739060920107,
)
_Y0 = (  # Y0(x) - 2/π log(x) J0(x) in x² from 0 to 36
    -2.8957551854752695e-13, 1.2067675159369315e-11, -4.3003087702561517e-10, 1.2984096599215381e-08,
    -3.262866251909976e-07, 6.692190488505137e-06, -0.00010931358375186902, 0.0013775449763471477,
    -0.012825198728186037, 0.08279745527591624, -0.3336001413575695, 0.6673124865861597, -0.15182922873915472,
    -0.9446076120040159, 0.23144649403798057,
)
_Y1 = (  # (Y1(x) - 2/π (log(x) J1(x) - 1/x)) / x in x² from 0 to 36
    -9.942161192842107e-15, 4.4563610266283306e-13, -1.718905849901889e-11, 5.656791364150827e-10,
    -1.5629344085501538e-08, 3.562697071304912e-07, -6.5575830280964164e-06, 9.484358330854675e-05,
    -0.0010400145152791307, 0.008229262792587386, -0.04363349674993546, 0.13647459877549867, -0.186212417521995,
    -0.026212367438516446, 0.15342210591925187,
)
_P0 = (  # Hankel's amplitudes P and Q x/6, of order 0 and 1, in 36/x² from 0 to 1
    -2.9002716201272e-13, 6.185198626523856e-13, -2.1744057610569313e-13, 7.508432210359302e-13,
    -4.3752855537109046e-12, 1.2369042033356447e-11, -3.6582566751826365e-11, 1.2732608018910553e-10,
    -5.005711583550958e-10, 2.284156868273469e-09, -1.268326794231224e-08, 9.16995189648528e-08, -9.64007017352078e-07,
    1.8014620576548734e-05, -0.0009371922699208113, 0.9990437217524405,
)
_Q0 = (
    4.56033634940825e-14, -8.173217098249512e-14, -7.792664871109235e-14, 1.254858407252312e-13, 2.8476711484490795e-13,
    -5.606015136033192e-13, 5.891244284282062e-13, -1.5161487386236437e-12, 4.466513693434014e-12,
    -1.2188121893427853e-11, 3.570678237631729e-11, -1.1528508798240963e-10, 4.14655410598025e-10,
    -1.7047845244587513e-09, 8.314432786252736e-09, -5.080823192363995e-08, 4.2401910731941e-07, -5.601709278731375e-06,
    0.00015680723679626558, -0.0206704389555253,
)
_P1 = (
    3.0738637200401063e-13, -6.569692720746432e-13, 2.372920835876701e-13, -8.160285400407649e-13, 4.70337039844043e-12,
    -1.3356365300697454e-11, 3.97557003602517e-11, -1.3923896985175635e-10, 5.517921233394537e-10,
    -2.5451294754967523e-09, 1.4347992105173811e-08, -1.0614575500505515e-07, 1.1602937284029417e-06,
    -2.34981465314977e-05, 0.0015766098524144657, 1.0016013920824152,
)
_Q1 = (
    7.840677916859637e-14, -1.4487433270906364e-13, -9.731129499599741e-14, 1.494274958417371e-13,
    5.300383790559375e-13, -1.1195706348833052e-12, 1.68962388208304e-12, -4.478198205679842e-12, 1.309390356924934e-11,
    -3.87738730936625e-11, 1.2549777408465739e-10, -4.544808710493794e-10, 1.885800530935853e-09,
    -9.313164983402408e-09, 5.796064621902766e-08, -4.980557871159905e-07, 6.945249136204181e-06,
    -0.00022167979528674446, 0.062270807100537805,
)
_J0_ZEROS = ((2.404825557695773, -1.176691651530894e-16), (5.520078110286311, 8.088597146146722e-17))  # sums of two
_J1_ZEROS = ((3.8317059702075125, -1.5269184090088067e-16), (7.015586669815619, -9.414165653410389e-17))
# fmt: on


def _series(v: Array, n: int, terms: int = 36) -> Array:
    """Σ v^k / (k! (n + k)!): I_n(x) is (x/2)^n times this at x²/4, J_n(x) the same at -x²/4."""
    return horner([1 / (math.factorial(k) * math.factorial(n + k)) for k in reversed(range(terms))], v)


def _i0e(x: Array) -> Array:
    near = lambda a: np.exp(-a) * _series(a * a / 4, 0)
    return pieces((np.abs(x) < 8,), (near, lambda a: horner(_I0E, 16 / a - 1) / np.sqrt(a)), np.abs(x))


def _i1e(x: Array) -> Array:
    near = lambda a: np.exp(-a) * (a / 2) * _series(a * a / 4, 1)
    return np.copysign(pieces((np.abs(x) < 8,), (near, lambda a: horner(_I1E, 16 / a - 1) / np.sqrt(a)), np.abs(x)), x)


def _unscaled(y: Array, x: Array) -> Array:
    """y exp(|x|), finite wherever the product is."""
    half = np.exp(0.5 * np.abs(x))
    return half * y * half


@blockwise
def i0e(x: Array) -> Array:
    """exp(-|x|) i0(x)."""
    return _i0e(x)


@blockwise
def i1e(x: Array) -> Array:
    """exp(-|x|) i1(x)."""
    return _i1e(x)


@blockwise
def i0(x: Array) -> Array:
    """The modified Bessel function of the first kind, order 0."""
    return _unscaled(_i0e(x), x)


@blockwise
def i1(x: Array) -> Array:
    """The modified Bessel function of the first kind, order 1."""
    return _unscaled(_i1e(x), x)


def _hankel(a: Array, p: tuple, q: tuple) -> tuple[Array, Array, Array, Array]:
    """Modulus and phase for a >= 6: amplitudes P and Q, and sin ± cos, all over sqrt(π a)."""
    v, s, c, scale = 72 / (a * a) - 1, np.sin(a), np.cos(a), 1 / np.sqrt(math.pi * a)
    return horner(p, v) * scale, horner(q, v) * 6 / a * scale, s + c, s - c


def _between(a: Array, zeros: tuple, coefficients: tuple) -> Array:
    """A polynomial times the two factors that vanish at the first zeros, each given as a sum of two numbers."""
    (z, dz), (w, dw) = zeros
    return (a - z - dz) * (a + z) * ((a - w - dw) * (a + w)) * horner(coefficients, a * a / 18 - 1)


def _j0(x: Array) -> Array:
    def far(a: Array) -> Array:
        p, q, plus, minus = _hankel(a, _P0, _Q0)
        return p * plus - q * minus

    return pieces((np.abs(x) < 6,), (lambda a: _between(a, _J0_ZEROS, _J0), far), np.abs(x))


def _j1(x: Array) -> Array:
    def far(a: Array) -> Array:
        p, q, plus, minus = _hankel(a, _P1, _Q1)
        return p * minus + q * plus

    return np.sign(x) * pieces((np.abs(x) < 6,), (lambda a: a * _between(a, _J1_ZEROS, _J1), far), np.abs(x))


@blockwise
def bessel_j0(x: Array) -> Array:
    """The Bessel function of the first kind, order 0."""
    return _j0(x)


@blockwise
def bessel_j1(x: Array) -> Array:
    """The Bessel function of the first kind, order 1."""
    return _j1(x)


@blockwise
def bessel_y0(x: Array) -> Array:
    """The Bessel function of the second kind, order 0."""

    def far(x: Array) -> Array:
        p, q, plus, minus = _hankel(x, _P0, _Q0)
        return p * minus + q * plus

    near = lambda x: 2 / math.pi * np.log(x) * _j0(x) + horner(_Y0, x * x / 18 - 1)
    return pieces((x < 6,), (near, far), x)


@blockwise
def bessel_y1(x: Array) -> Array:
    """The Bessel function of the second kind, order 1."""

    def far(x: Array) -> Array:
        p, q, plus, minus = _hankel(x, _P1, _Q1)
        return q * minus - p * plus

    near = lambda x: 2 / math.pi * (np.log(x) * _j1(x) - 1 / x) + x * horner(_Y1, x * x / 18 - 1)
    return pieces((x == 0, x < 6), (constant(-np.inf), near, far), x)


@blockwise
def bessel_over(x: Array, *, n: int, kind: str) -> Array:
    """J_n(x) / x^n (kind "j"), I_n(x) / x^n ("i"), or the latter times exp(-|x|) ("ie"), for n >= 1."""
    a, sign = np.abs(x), -1 if kind == "j" else 1

    def far(a: Array) -> Array:
        before, now = (_j0(a), _j1(a)) if kind == "j" else (_i0e(a), _i1e(a))
        for k in range(1, n):
            before, now = now, sign * (before - 2 * k / a * now)
        return (_unscaled(now, a) if kind == "i" else now) / a**n

    def near(a: Array) -> Array:
        y = _series(sign * a * a / 4, n) / 2**n
        return y * np.exp(-a) if kind == "ie" else y

    return pieces((a < n + (2 if kind == "j" else 7),), (near, far), a)
