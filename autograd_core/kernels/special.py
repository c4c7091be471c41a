"""Special functions on arrays, in double precision.

Every polynomial here was made for this file: the function, computed to 50 digits, was interpolated at Chebyshev points
of the interval named beside it, and the interpolant written in powers of t, which runs from -1 to 1 over that interval,
highest power first.  Everything else is a Taylor, Stirling or Euler-Maclaurin series, whose coefficients are computed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
BLOCK = 16384  # entries at a time: the vectors of one polynomial stay in the cache
ROOT_HALF, LOG_ROOT_2PI = math.sqrt(0.5), 0.5 * math.log(2 * math.pi)


def blockwise(kernel: Callable | None = None, *, single: bool = False) -> Callable:
    """Make a function of arrays of any shape and floating-point type from one of vectors of float64.

    With `single`, the kernel has a way of its own for float32.
    """
    if kernel is None:
        return functools.partial(blockwise, single=single)

    @functools.wraps(kernel)
    def call(*args: Any, **static: Any) -> Array:
        dtype = np.result_type(*args)
        if dtype.kind == "c":
            raise _not_real(kernel.__name__, dtype)
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        work = np.float32 if single and dtype.itemsize <= 4 else np.float64
        arrays = np.broadcast_arrays(*args) if len(args) > 1 else (np.asarray(args[0]),)
        out = np.empty(arrays[0].shape, dtype)
        flat, vectors = out.reshape(-1), [a.reshape(-1) for a in arrays]
        with np.errstate(all="ignore"):
            for k in range(0, flat.size, BLOCK):
                flat[k : k + BLOCK] = kernel(*[v[k : k + BLOCK].astype(work) for v in vectors], **static)
        return out

    return call


def _not_real(name: str, dtype: np.dtype) -> TypeError:
    error = TypeError(f"{name}: expected real arguments, got {dtype}; take .real or .abs() of it first")
    error.explained = True  # type: ignore[attr-defined]  # it names the function already
    return error


def horner(coefficients: Any, t: Array) -> Array:
    """The polynomial with these coefficients, highest power first."""
    y = np.full_like(t, coefficients[0])
    for c in coefficients[1:]:
        y *= t
        y += c
    return y


def pieces(conditions: tuple, functions: tuple, *args: Array) -> Array:
    """Each function on the entries that its condition is the first to select; the last one on all that are left."""
    out, left = np.empty_like(args[0]), np.ones(args[0].shape, bool)
    for condition, function in zip((*conditions, True), functions, strict=True):
        chosen = left & condition
        if chosen.all():
            return function(*args)
        if chosen.any():
            out[chosen] = function(*[a[chosen] for a in args])
        left &= ~chosen
    return out


def constant(value: float) -> Callable:
    """The function that is `value` everywhere."""
    return lambda x, *_: np.full_like(x, value)


# fmt: off
_ERF = (  # erf(x) / x in x² from 0 to 1
    -3.80659122412214e-13, 9.21125018742823e-12, -2.035231956483527e-10, 4.115751500265885e-09, -7.51156925108609e-08,
    1.2233827638093572e-06, -1.75371694412802e-05, 0.00021751715603563488, -0.0022854855611440855, 0.019852496688984218,
    -0.1405360890227171, 0.9654687386698673,
)
_ERF_ABOVE = (  # erf(x) / x as a quotient in x² up to 3.92², by least squares reweighted until the errors were even
    2.050077375375961e-06, 0.00028488347385471907, 0.003765658833408887, 0.052748853826605165, 0.19040746903880215,
    1.1283791461357946,
)
_ERF_BELOW = (
    3.8091650835794985e-05, 0.0011625452583209476, 0.014969301391857094, 0.11410952415743802, 0.5020769666721195, 1.0,
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
_LGAMMA = (  # log Γ(2 + t) / t in t from -½ to ½
    -5.043009058425092e-13, 2.126623574915764e-12, -6.599791480347414e-12, 2.807778288259308e-11,
    -1.247500494813837e-10, 5.352422368894483e-10, -2.3043738035184404e-09, 1.0012495486246804e-08,
    -4.3873352909331736e-08, 1.9425326866834958e-07, -8.716982578328323e-07, 3.981793089152702e-06,
    -1.8636779872543994e-05, 9.032844784482085e-05, -0.0004615969392919999, 0.0025726010534725475,
    -0.016838075263299526, 0.16123351671205663, 0.42278433509846713,
)
_DIGAMMA = (  # ψ(x) / (x - its zero) in x from 1 to 2
    2.832706668021759e-11, -8.498137230186096e-11, 9.206434499177992e-11, -2.7619635330317715e-10,
    1.2358072433984831e-09, -3.7075072647122386e-09, 1.0542687624027994e-08, -3.163020268955334e-08,
    9.542050972688906e-08, -2.86315275846934e-07, 8.589127353033379e-07, -2.57809436305308e-06, 7.741232223504057e-06,
    -2.325824239445257e-05, 6.995018873950506e-05, -0.00021074841140458636, 0.0006368880303257201,
    -0.0019350666648590097, 0.005936795278305649, -0.018550615381735115, 0.060135621060196744, -0.2118137106407303,
    0.9510558760318328,
)
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
_DIGAMMA_ZERO = (1.4616321449683622, 9.549995429965697e-17)
_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]
_BERNOULLI += [854513 / 138, -236364091 / 2730]  # B_2, B_4, ...
_STIRLING = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI[:9], start=1)][::-1]
_DIGAMMA_LARGE = [b / (2 * k) for k, b in enumerate(_BERNOULLI[:9], start=1)][::-1]
_ZETA = [b / math.factorial(2 * k) for k, b in enumerate(_BERNOULLI, start=1)]
_ARTANH = [1 / (2 * k + 1) for k in range(18, 0, -1)]
# fmt: on


# --- the error function and the normal distribution ------------------------------------------------------------------


def _bell(x: Array, scale: float = 1.0) -> Array:
    """exp(-scale x²) for |x| up to 40: x² is split in two so that the exponential is not given a rounded square."""
    head = x.astype(np.float32).astype(np.float64)
    return np.exp(-scale * head * head) * np.exp(-scale * (x - head) * (x + head))


def _erfcx(x: Array) -> Array:
    """exp(x²) erfc(x) for x >= 0."""
    u = np.minimum(x, 1e30)
    return horner(_ERFCX, (u - 4) / (u + 4)) / (x + 4)


def _erf_near(x: Array) -> Array:
    """erf for |x| up to 1."""
    return x * horner(_ERF, 2 * x * x - 1)


def _erfc(x: Array) -> Array:
    a = np.minimum(np.abs(x), 40.0)
    tail = _erfcx(a) * _bell(a)
    return np.where(x < 0, 2 - tail, tail)


def _erf_single(x: Array) -> Array:
    """erf to a unit in the last place of float32, its steps in float64."""
    a = np.clip(x.astype(np.float64), -3.92, 3.92)
    v = a * a
    return np.clip(a * horner(_ERF_ABOVE, v) / horner(_ERF_BELOW, v), -1.0, 1.0)


@blockwise(single=True)
def erf(x: Array) -> Array:
    """The error function, 2/√π times the integral of exp(-t²) from 0 to x."""
    if x.dtype == np.float32:
        return _erf_single(x)
    return pieces((np.abs(x) < 1,), (_erf_near, lambda x: np.copysign(1 - _erfc(np.abs(x)), x)), x)


@blockwise
def erfc(x: Array) -> Array:
    """1 - erf(x), accurate where that is tiny."""
    return pieces((np.abs(x) < 0.5,), (lambda x: 1 - _erf_near(x), _erfc), x)


@blockwise
def erfcx(x: Array) -> Array:
    """exp(x²) erfc(x), which stays in range for large x."""
    below = lambda x: 2 * _bell(np.maximum(x, -40.0), -1.0) - _erfcx(-x)
    return pieces((x < 0,), (below, _erfcx), x)


def normal_tail(a: Array) -> tuple[Array, Array]:
    """Two factors of the chance of a standard normal number above a, for 0 <= a <= 40; the second is exp(-a²/2)."""
    head = a.astype(np.float32).astype(np.float64)
    density = np.exp(-0.5 * head * head)
    density += density * np.expm1(-0.5 * (a - head) * (a + head))  # rounds less often than the product in `_bell`
    return 0.5 * _erfcx(a * ROOT_HALF), density


def normal_centre(x: Array) -> Array:
    """The chance of a standard normal number below x, to a unit or two in the last place for |x| up to 0.7."""
    return 0.5 + 0.5 * _erf_near(x * ROOT_HALF)


def _ndtr(x: Array) -> Array:
    tail, density = normal_tail(np.minimum(np.abs(x), 40.0))
    return np.where(x > 0, 1 - tail * density, tail * density)


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


# --- the gamma function ----------------------------------------------------------------------------------------------


def _stirling(x: Array) -> Array:
    """What Stirling's formula leaves out of log Γ(x), for x >= 8."""
    return horner(_STIRLING, 1 / (x * x)) / x


def _lgamma_from_2(t: Array) -> Array:
    """log Γ(2 + t) for |t| <= ½."""
    return t * horner(_LGAMMA, 2 * t)


def _lgamma_large(x: Array) -> Array:
    return (x - 0.5) * (np.log(x) - 1) + (LOG_ROOT_2PI - 0.5) + np.where(x < 1e100, _stirling(x), 0)


def _lgamma_small(x: Array) -> Array:
    """log |Γ(x)| for -½ <= x < 8, from log Γ(2 + t); x is never added to, so nothing is lost near its zeros 1 and 2."""
    k = np.rint(x)
    t = x - k
    y, product = _lgamma_from_2(t), np.ones_like(x)
    for j in range(2, 8):
        product *= np.where(k > j, t + j, 1)
    return y + np.log(product) - np.where(k < 2, np.log1p(t), 0) - np.where(k < 1, np.log(np.abs(t)), 0)


def _lgamma(x: Array) -> Array:
    return pieces((x >= 8, x >= -0.5), (_lgamma_large, _lgamma_small, _lgamma_reflected), x)


def _lgamma_reflected(x: Array) -> Array:
    away = x - np.rint(x)
    y = math.log(math.pi) - np.log(np.abs(np.sin(math.pi * away))) - _lgamma(np.fmax(1 - x, 1.0))
    return np.where(x == np.rint(x), np.inf, y)


@blockwise
def lgamma(x: Array) -> Array:
    """log |Γ(x)|."""
    return _lgamma(x)


def _digamma_small(x: Array) -> Array:
    """ψ(x) for 0 < x < 8, from ψ(1 + t), which keeps its relative accuracy around its zero."""
    k = np.floor(x)
    t = x - k
    y = (t - (_DIGAMMA_ZERO[0] - 1) - _DIGAMMA_ZERO[1]) * horner(_DIGAMMA, 2 * t - 1)
    for j in range(1, 7):
        y += np.where(k > j, 1 / (t + j), 0)
    return y - np.where(k < 1, 1 / t, 0)


def _digamma(x: Array) -> Array:
    large = lambda x: np.log(x) - 0.5 / x - horner(_DIGAMMA_LARGE, 1 / (x * x)) / (x * x)
    return pieces((x >= 8, x > 0), (large, _digamma_small, _digamma_reflected), x)


def _digamma_reflected(x: Array) -> Array:
    away = x - np.rint(x)
    y = _digamma(np.fmax(1 - x, 1.0)) - math.pi / np.tan(math.pi * away)
    return np.where(x == 0, np.copysign(np.inf, -x), np.where(away == 0, np.nan, y))


@blockwise
def digamma(x: Array) -> Array:
    """The derivative of lgamma."""
    return _digamma(x)


def _hurwitz(s: Array, q: Array) -> Array:
    """Σ (q + k)^-s for s > 1 and q > 0: ten terms, then Euler and Maclaurin."""
    total = functools.reduce(np.add, [(q + k) ** -s for k in reversed(range(10))])
    a = q + 10
    power = a**-s
    total += np.where(power > 0, a * power / (s - 1) + 0.5 * power, 0)
    term = s * power / a
    for j, c in enumerate(_ZETA, start=1):
        total += np.where(term > 0, c * term, 0)
        term *= (s + (2 * j - 1)) / a * ((s + 2 * j) / a)
    return total


def _hurwitz_below(s: Array, q: Array) -> Array:
    """ζ(s, q) for q < 0 and an integer s: the terms left of zero are themselves a difference of two zetas."""
    f = -q - np.floor(-q)
    sign = np.where(s % 2 == 0, 1.0, -1.0)
    return _hurwitz(s, 1 - f) + sign * (_hurwitz(s, f) - _hurwitz(s, 1 - q))


def _zeta(s: Array, q: Array) -> Array:
    pole = (s == 1) | (q <= 0) & (q == np.floor(q)) & (s > 1)
    outside = (s < 1) | (q < 0) & (s != np.floor(s)) | np.isnan(s + q)
    return pieces((outside, pole, q < 0), (constant(np.nan), constant(np.inf), _hurwitz_below, _hurwitz), s, q)


@blockwise
def zeta(s: Array, q: Array) -> Array:
    """Hurwitz' zeta function, Σ (q + k)^-s over k = 0, 1, 2 ..."""
    return _zeta(s, q)


@blockwise
def polygamma(x: Array, *, n: int) -> Array:
    """The n-th derivative of the digamma function."""
    if n == 0:
        return _digamma(x)
    factorial = float(math.factorial(n)) if n < 171 else math.inf
    return (factorial if n % 2 else -factorial) * _zeta(np.full_like(x, n + 1.0), x)


# --- the incomplete gamma function -----------------------------------------------------------------------------------

_MANY = 20.0  # from this a on, the integral is computed by quadrature


def _excess(u: Array) -> Array:
    """u - log(1 + u), without cancellation near 0."""

    def near(u: Array) -> Array:
        r = u / (2 + u)  # log(1 + u) = 2 artanh(r)
        return u * r - 2 * r**3 * horner(_ARTANH, r * r)

    return pieces((np.abs(u) < 0.5,), (near, lambda u: u - np.log1p(u)), u)


def _poisson(a: Array, x: Array) -> Array:
    """x^a exp(-x) / Γ(a + 1)."""

    def small(a: Array, x: Array) -> Array:
        half = np.exp(-0.5 * x)
        return x**a * half * np.exp(-_lgamma(a + 1)) * half

    def large(a: Array, x: Array) -> Array:
        u = (x - a) / a
        excess = pieces((np.abs(u) < 0.5,), (lambda u, r: _excess(u), lambda u, r: u - np.log(r)), u, x / a)
        return np.exp(-a * excess - _stirling(a)) / np.sqrt(2 * math.pi * a)

    return pieces((a < _MANY,), (small, large), a, x)


def _lower_series(a: Array, x: Array) -> Array:
    """P(a, x) for x below a + 1: Σ x^k / ((a + 1) ... (a + k)), up to its factor."""
    total, term, k = np.ones_like(x), np.ones_like(x), 0
    while np.any(term > 1e-17 * total):
        k += 1
        term = term * x / (a + k)
        total = total + term
    return _poisson(a, x) * total


def _upper_series(a: Array, x: Array) -> Array:
    """Q(a, x) for a < 1 and x near 0, where it is no good as 1 - P."""
    total, power = np.zeros_like(x), np.ones_like(x)
    for k in range(1, 24):
        power = power * -x / k
        total += power / (a + k)
    gamma = _lgamma_from_2(a - (a > 0.5)) - np.where(a > 0.5, 0, np.log1p(a))
    exponent = a * np.log(x) - gamma
    return -np.expm1(exponent) - a * np.exp(exponent) * total


def _upper_fraction(a: Array, x: Array) -> Array:
    """Q(a, x) for x above a + 1: its continued fraction by the recurrence of its convergents' ratios."""
    b = x + 1 - a
    ratio, inverse = np.full_like(b, np.inf), 1 / b
    value = inverse
    for k in range(1, 1000):
        b = b + 2
        inverse = 1 / (b - k * (k - a) * inverse)
        ratio = b - k * (k - a) / ratio
        step = ratio * inverse
        settled = np.abs(step - 1) < 4e-16
        value = np.where(settled, value, value * step)
        if settled.all():
            break
    return _poisson(a, x) * a * value


def _quadrature(a: Array, x: Array, side: int) -> Array:
    """P (side -1) or Q (side 1) for a large: the integral from x to where nothing is left, by Gauss and Legendre."""
    depth, slope = 38.0, side * (x - a + 1) / x
    height = lambda s: slope * s + (a - 1) * _excess(side * s / x)
    length = 2 * depth / (slope + np.sqrt(slope * slope + 2 * depth * (a - 1) / (x * x)))
    for _ in range(3):  # Newton's way to the length at which the integrand has fallen by exp(-depth)
        length = length if side > 0 else np.minimum(length, 0.9 * x)
        length = length + (depth - height(length)) / (slope + (a - 1) / x * length / (x + side * length))
    length = length if side > 0 else np.minimum(length, x)
    total = np.zeros_like(x)
    for node, weight in zip(*_legendre(), strict=True):
        total += weight * np.exp(-height(node * length))
    return _poisson(a, x) * a / x * length * total


@functools.cache
def _legendre() -> tuple[list, list]:
    """Nodes and weights on the interval from 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(56)
    return list((nodes + 1) / 2), list(weights / 2)


def _incomplete(a: Array, x: Array, upper: bool) -> Array:
    """The regularized incomplete gamma function; of P and Q the smaller is computed, or what comes near it."""
    as_lower = lambda f: (lambda a, x: 1 - f(a, x)) if upper else f
    as_upper = lambda f: f if upper else (lambda a, x: 1 - f(a, x))
    cases = [
        (~((a >= 0) & (x >= 0)) | (a == 0) & (x == 0) | np.isinf(a) & np.isinf(x), constant(np.nan)),
        ((x == 0) | np.isinf(a), as_lower(constant(0.0))),
        ((a == 0) | np.isinf(x), as_upper(constant(0.0))),
        ((a >= _MANY) & (x < a), as_lower(lambda a, x: _quadrature(a, x, -1))),
        (a >= _MANY, as_upper(lambda a, x: _quadrature(a, x, 1))),
        (x > a + 1, as_upper(_upper_fraction)),
        (upper & (x < 1.1) & (a < 1), _upper_series),
    ]
    return pieces(tuple(c for c, _ in cases), (*[f for _, f in cases], as_lower(_lower_series)), a, x)


@blockwise
def gammainc(a: Array, x: Array) -> Array:
    """The regularized lower incomplete gamma function P(a, x)."""
    return _incomplete(a, x, upper=False)


@blockwise
def gammaincc(a: Array, x: Array) -> Array:
    """The regularized upper incomplete gamma function, 1 - P(a, x)."""
    return _incomplete(a, x, upper=True)


# --- Bessel functions ------------------------------------------------------------------------------------------------


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


# --- with logarithms -------------------------------------------------------------------------------------------------


@blockwise
def entr(x: Array) -> Array:
    """-x log x, 0 at 0."""
    return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0.0, np.where(x < 0, -np.inf, x)))


@blockwise
def xlog1py(a: Array, b: Array) -> Array:
    """a log(1 + b), 0 where a is 0."""
    return np.where((a == 0) & ~np.isnan(b), 0.0, a * np.log1p(b))
