"""Elementwise functions: values, types and gradients of two orders against PyTorch, and the edges one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.ops import math as functions

INF, NAN = math.inf, math.nan
SHAPES = [(), (0,), (3, 4), (1, 5)]
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of log(0) and the like


def drawn(low: float, high: float, shape: tuple, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def leaf(*values, dtype="float64") -> ag.Tensor:
    return ag.tensor(np.array(values if len(values) != 1 else values[0], dtype), requires_grad=True)


def two_orders(f, arrays: tuple, leaf_of, gradient, weigh) -> list:
    """The value, gradients, and gradients of these, in either library; None where there is none."""
    xs = [leaf_of(a) for a in arrays]
    y = f(*xs)
    wanted = [x for x in xs if x.requires_grad]
    if not y.requires_grad:
        return [y, *[None] * (2 * len(wanted))]
    first = gradient(weigh(y), wanted, create_graph=True, allow_unused=True)
    terms = [weigh(g) for g in first if g is not None and g.requires_grad]
    second = gradient(sum(terms[1:], terms[0]), wanted, allow_unused=True) if terms else [None] * len(wanted)
    return [y, *first, *second]


def weights(y) -> np.ndarray:
    """A different weight for every entry; complex for complex ones."""
    w = np.cos(np.arange(np.prod(y.shape))).reshape(tuple(y.shape))
    return w + 1j * np.sin(w + 1) if "complex" in str(y.dtype) else w


def ours(f, *arrays) -> list:
    leaf_of = lambda a: ag.tensor(a, requires_grad=a.dtype.kind in "fc") if isinstance(a, np.ndarray) else a
    weigh = lambda y: (y * weights(y)).real.sum()
    return [r if r is None else np.asarray(r.value) for r in two_orders(f, arrays, leaf_of, ag.gradient, weigh)]


def theirs(f, *arrays) -> list:
    torch = pytest.importorskip("torch")

    def leaf_of(a):
        return torch.from_numpy(a.copy()).requires_grad_(a.dtype.kind in "fc") if isinstance(a, np.ndarray) else a

    def weigh(y):
        total = (y * torch.as_tensor(weights(y))).sum()
        return total.real if total.is_complex() else total

    results = two_orders(f, arrays, leaf_of, torch.autograd.grad, weigh)
    return [r if r is None else r.detach().numpy(force=True) for r in results]


def agree(f, g, *arrays, rtol=1e-9, atol=1e-11) -> None:
    """Our f and PyTorch's g: the same values, and the same gradients, where none is as good as zero."""
    a, b = ours(f, *arrays), theirs(g, *arrays)
    assert a[0].dtype == b[0].dtype, f"{a[0].dtype}, not {b[0].dtype}"
    for k, (p, q) in enumerate(zip(a, b)):
        if p is not None or q is not None:
            p, q = (np.zeros(np.shape(q if v is None else v)) if w is None else w for v, w in ((q, p), (p, q)))
            np.testing.assert_allclose(p, q, rtol, atol, err_msg=f"number {k} of value, gradients, second gradients")


# --- every function against PyTorch ----------------------------------------------------------------------------------

LINE, UNIT, OPEN, POSITIVE, ABOVE = (-3, 3), (-0.95, 0.95), (0.02, 0.98), (0.1, 4), (1.1, 5)
UNARY = dict.fromkeys(
    "abs absolute angle arctan arcsinh asinh atan ceil cos cosh deg2rad exp exp2 expm1 fix floor frac neg negative "
    "positive rad2deg reciprocal relu round sgn sigmoid sign sin sinc sinh square tan tanh trunc nan_to_num".split(),
    LINE,
)
UNARY |= dict.fromkeys("acos arccos arcsin arctanh asin atanh".split(), UNIT) | {"logit": OPEN}
UNARY |= dict.fromkeys("log log10 log1p log2 rsqrt sqrt".split(), POSITIVE) | dict.fromkeys(["acosh", "arccosh"], ABOVE)
BINARY = {
    "add": (LINE, LINE), "sub": (LINE, LINE), "subtract": (LINE, LINE), "mul": (LINE, LINE), "multiply": (LINE, LINE),
    "div": (LINE, LINE), "divide": (LINE, LINE), "true_divide": (LINE, LINE), "atan2": (LINE, LINE),
    "arctan2": (LINE, LINE), "copysign": (LINE, LINE), "fmax": (LINE, LINE), "fmin": (LINE, LINE), "fmod": (LINE, LINE),
    "remainder": (LINE, LINE), "hypot": (LINE, LINE), "ldexp": (LINE, LINE), "logaddexp": (LINE, LINE),
    "logaddexp2": (LINE, LINE), "maximum": (LINE, LINE), "minimum": (LINE, LINE), "pow": (POSITIVE, LINE),
    "float_power": (POSITIVE, LINE), "xlogy": (LINE, POSITIVE), "nextafter": (LINE, LINE),
}  # fmt: skip
PREDICATES = "eq ne lt le gt ge greater greater_equal less less_equal not_equal".split()
PREDICATES += ["logical_and", "logical_or", "logical_xor"]
TESTS = "isfinite isinf isnan isneginf isposinf isreal signbit logical_not".split()
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.5, 1.5, INF, -INF, NAN])


def torch_function(name: str):
    torch = pytest.importorskip("torch")
    return getattr(torch, name)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, shape):
    agree(getattr(ag, name), torch_function(name), drawn(*UNARY[name], shape))


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((), (2,)), ((2, 1), (1, 3)), ((0,), (1,))])
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, shapes):
    a, b = (drawn(*domain, shape, k) for k, (domain, shape) in enumerate(zip(BINARY[name], shapes)))
    agree(getattr(ag, name), torch_function(name), a, b)


@pytest.mark.parametrize("name", [*UNARY, *TESTS])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
def test_types_and_values_of_one_input(name, dtype):
    torch = pytest.importorskip("torch")
    x = np.array([0, 1, 1]).astype(dtype) if dtype in ("bool", "uint8") else np.array([-1, 0, 1, 3], dtype)
    try:
        expected = getattr(torch, name)(torch.from_numpy(x)).numpy()
    except RuntimeError:
        pytest.skip("PyTorch has no such function of this type")
    y = getattr(ag, name)(ag.tensor(x)).numpy()
    if (name, dtype) != ("square", "bool"):
        assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, 1e-6, atol=1e-7 if name == "sinc" else 0)  # whose zeros are 3e-8 there


PAIRS = [("float32", "float64"), ("float32", "int64"), ("int32", "int64"), ("int64", "int64"), ("uint8", "int32")]
PAIRS += [("bool", "float32"), ("int64", "float64"), ("float64", "float32"), ("int32", "float32")]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("name", [*BINARY, *PREDICATES, "floor_divide"])
def test_types_and_values_of_two_inputs(name, pair):
    torch = pytest.importorskip("torch")
    a, b = (np.array(v).astype(t) for v, t in zip(([1, 2, 1, 0], [2, 1, 3, 1]), pair))
    try:
        expected = getattr(torch, name)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    except RuntimeError:
        pytest.skip("PyTorch has no such function of these types")
    y = getattr(ag, name)(ag.tensor(a), ag.tensor(b)).numpy()
    assert y.dtype == expected.dtype or name == "ldexp"  # PyTorch's goes by way of a float32 power of 2
    np.testing.assert_allclose(y, expected, 1e-6)


NUMBERS = [name for name in BINARY if name not in ("float_power", "nextafter")]


@pytest.mark.parametrize("number", [2, 2.0, 0.3])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_never_widens(name, number):
    x = leaf([1.5, 2.5, 0.25], dtype="float32")
    for y in (getattr(ag, name)(x, number), getattr(ag, name)(x, np.float64(number))):
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.value, getattr(ag, name)(x.value, np.float32([number] * 3)), 1e-6)
        assert ag.gradient(y.sum(), [x])[0].dtype == np.float32


@pytest.mark.parametrize("name", UNARY)
def test_edges_of_one_input(name):
    f, g = getattr(ag, name), torch_function(name)
    y, dy, _ = ours(f, EDGES)
    expected, slope, _ = theirs(g, EDGES)
    known = ~np.isnan(EDGES) if name in ("sign", "sgn") else EDGES == EDGES  # NumPy's sign of NaN is NaN
    np.testing.assert_allclose(y[known], expected[known], 1e-12, atol=1e-16 if name == "sinc" else 0)
    if name != "relu":
        np.testing.assert_array_equal(
            np.signbit(y[EDGES == 0]), np.signbit(expected[EDGES == 0]), err_msg="sign of zero"
        )
    outside = np.isnan(expected)  # what the slope is where there is no value is of no use to anybody
    infinite = np.isinf(EDGES) if name in ("sinc", "logit", "reciprocal", "sigmoid") else outside
    np.testing.assert_allclose(dy[~outside & ~infinite], slope[~outside & ~infinite], 1e-12)


PLACES = np.array([0.0, 1.0, -1.0, 2.5, -2.5, INF, -INF])
EDGE_BINARY = "add sub mul div atan2 copysign fmax fmin fmod remainder maximum minimum hypot pow floor_divide".split()


@pytest.mark.parametrize("name", [*EDGE_BINARY, *PREDICATES, "logaddexp", "xlogy", "nextafter", "heaviside"])
def test_edge_values_of_two_inputs(name):
    torch = pytest.importorskip("torch")
    edges = np.array([*PLACES, NAN])
    a, b = (m.ravel() for m in np.meshgrid(edges, edges))
    y = getattr(ag, name)(ag.tensor(a), ag.tensor(b)).numpy()
    expected = getattr(torch, name)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(y, expected, 1e-12)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "fmax", "fmin", "maximum", "minimum", "copysign", "pow"])
def test_edge_slopes_of_two_inputs(name):
    finite = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 3.0])
    a, b = (m.ravel() for m in np.meshgrid(finite, finite))
    mine, other = ours(getattr(ag, name), a, b), theirs(torch_function(name), a, b)
    for p, q in zip(mine[:3], other[:3]):
        np.testing.assert_allclose(p, q, 1e-12)


# --- options and forms -----------------------------------------------------------------------------------------------

X, Y, Z = drawn(-3, 3, (3, 4), 1), drawn(-3, 3, (4,), 2), drawn(0.5, 3, (3, 1), 3)
W = drawn(0.1, 0.9, (3, 4), 4)
FORMS = {
    "add alpha": (lambda m: lambda x, y: m.add(x, y, alpha=2.5), X, Y),
    "sub alpha": (lambda m: lambda x, y: m.sub(x, y, alpha=-3), X, Y),
    "div floor": (lambda m: lambda x: m.div(x, 0.7, rounding_mode="floor"), X),
    "div trunc": (lambda m: lambda x: m.div(x, 0.7, rounding_mode="trunc"), X),
    "div trunc of integers": (lambda m: lambda x: m.div(x, 3, rounding_mode="trunc"), np.arange(-7, 8)),
    "div floor of integers": (lambda m: lambda x: m.div(x, 3, rounding_mode="floor"), np.arange(-7, 8)),
    "div of integers": (lambda m: lambda x: m.div(x, 3), np.arange(-7, 8)),
    "addcmul": (lambda m: lambda x, y, z: m.addcmul(x, y, z, value=0.5), X, Y, Z),
    "addcdiv": (lambda m: lambda x, y, z: m.addcdiv(x, y, z, value=0.5), X, Y, Z),
    "lerp": (lambda m: lambda x, y, w: m.lerp(x, y, w), X, X[::-1].copy(), W),
    "lerp by 0.2": (lambda m: lambda x, y: m.lerp(x, y, 0.2), X, Y),
    "lerp by 0.8": (lambda m: lambda x, y: m.lerp(x, y, 0.8), X, Y),
    "round 2": (lambda m: lambda x: m.round(x, decimals=2), X),
    "round -1": (lambda m: lambda x: m.round(x * 10, decimals=-1), X),
    "clamp": (lambda m: lambda x: m.clamp(x, -1, 0.5), X),
    "clamp min": (lambda m: lambda x: m.clamp(x, min=-1), X),
    "clamp max": (lambda m: lambda x: m.clamp(x, max=0.5), X),
    "clamp at the ends": (lambda m: lambda x: m.clamp(x, 0, 1), np.array([-1.0, 0.0, 0.5, 1.0, 2.0])),
    "clamp crossed": (lambda m: lambda x: m.clamp(x, 1, 0), X),
    "clamp by tensors": (lambda m: lambda x, y, z: m.clamp(x, y, z), X, Y, Z),
    "clamp by tensors that cross": (lambda m: lambda x, y, z: m.clamp(x, z, y), X, Y, Z),
    "clamp of integers": (lambda m: lambda x: m.clamp(x, -1.5, 2), np.arange(-3, 4)),
    "clamp_min": (lambda m: lambda x, y: m.clamp_min(x, y), X, Y),
    "clamp_max": (lambda m: lambda x: m.clamp_max(x, 1), X),
    "clip": (lambda m: lambda x: m.clip(x, -1, 1), X),
    "logit eps": (lambda m: lambda x: m.logit(x, 0.2), W),
    "nan_to_num": (lambda m: lambda x: m.nan_to_num(x, 1.5, 10.0, -20.0), EDGES),
    "where": (lambda m: lambda x, y: m.where(x > 0, x * x, y), X, Y),
    "where a number": (lambda m: lambda x: m.where(x > 0, x * x, 0.5), X),
    "where over numbers": (lambda m: lambda x: m.where(x > 0, 1.0, 0.0), X),
    "square of x by pow": (lambda m: lambda x: m.pow(x, 2), X),
    "conj_physical": (lambda m: lambda x: m.conj_physical(x), X + 1j * W),
    "view_as_real": (lambda m: lambda x: m.view_as_real(x) ** 2, X + 1j * W),
    "view_as_complex": (lambda m: lambda x: m.view_as_complex(x) ** 2, drawn(-2, 2, (3, 2))),
    "complex": (lambda m: lambda x, y: m.complex(x, y) ** 2, X, W),
    "polar": (lambda m: lambda x, y: m.polar(x, y) ** 2, W, X),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    f, *arrays = FORMS[form]
    agree(f(ag), f(pytest.importorskip("torch")), *arrays)


EXPONENTS = [0, 1, 2, 3, 4, 5, 8, 9, -1, -2, -3, 0.5, -0.5, 1.5, 2.0, 2.5, -1.5]


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers_by_a_number(exponent):
    power = lambda x: x**exponent
    agree(power, power, drawn(0.2, 3, (3, 4)))
    if exponent == int(exponent):
        agree(power, power, drawn(-3, 3, (3, 4)))
    if exponent >= 0:
        np.testing.assert_allclose(ours(power, np.zeros(2))[:2], theirs(power, np.zeros(2))[:2])
    narrow = leaf(drawn(0.2, 3, (5,)), dtype="float32")
    y = narrow**exponent
    assert y.dtype == np.float32 and ag.gradient(y.sum(), [narrow])[0].dtype == np.float32
    np.testing.assert_allclose(y.value, narrow.value.astype("float64") ** exponent, 1e-6)


@pytest.mark.parametrize("base", [2, 0.5, 3.0])
def test_powers_of_a_number(base):
    agree(lambda x: base**x, lambda x: base**x, np.array([0.0, 1.0, 2.5, 3.0]))
    narrow = leaf([0.5, 1.5], dtype="float32")
    assert (base**narrow).dtype == np.float32


def test_powers_of_zero_have_slope_zero_to_second_order():
    x = leaf([0.0, 1.0, 2.5])
    (g,) = ag.gradient((0.0**x).sum(), [x], create_graph=True)
    assert g.tolist() == [0, 0, 0] and ag.gradient(g.sum(), [x])[0].tolist() == [0, 0, 0]


def test_powers_of_integers():
    assert (ag.tensor([2, 3]) ** 2).tolist() == [4, 9] and (ag.tensor([2, 3]) ** 2).dtype == np.int64
    assert (ag.tensor([4, 9]) ** 0.5).dtype == np.float32
    assert ag.pow(ag.tensor([2, 3]), ag.tensor([5, 0])).tolist() == [32, 1]
    assert ag.float_power(ag.tensor([2, 3]), 2).dtype == np.float64


def test_operators_and_methods_and_changes_in_place():
    x = ag.tensor([4.0, 9.0])
    assert ((x + 1) * 2 - 3).tolist() == [7, 17] and (1 / x * 36).tolist() == [9, 4] and (-x).tolist() == [-4, -9]
    assert (x // 3).tolist() == [1, 3] and (x % 3).tolist() == [1, 0] and (17 % x).tolist() == [1, 8]
    assert abs(-x).tolist() == (+x).tolist() == [4, 9] and (2**x).tolist() == [16, 512]
    assert x.add(x, alpha=2).tolist() == [12, 27] and x.clamp(5, 6).tolist() == [5, 6] and x.rsqrt().tolist()[0] == 0.5
    assert x.clone().add_(1, alpha=3).sqrt_().square_().clamp_(max=8).round_().tolist() == [7, 8]
    i = ag.tensor([6, 5])
    assert (i & 3).tolist() == [2, 1] and (i | 1).tolist() == [7, 5] and (i ^ i).tolist() == [0, 0]
    assert (i << 1).tolist() == [12, 10] and (i >> 1).tolist() == [3, 2] and (~i).tolist() == [-7, -6]
    assert (~ag.tensor([True, False])).tolist() == [False, True]
    assert not (x == None) and x != "text"  # noqa: E711


# --- complex numbers -------------------------------------------------------------------------------------------------

COMPLEX = "abs angle acos acosh asin asinh atan atanh cos cosh exp exp2 expm1 log log10 log1p log2 neg".split()
COMPLEX += "positive reciprocal rsqrt sgn sigmoid sin sinc sinh sqrt square tan tanh".split()


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name):
    z = drawn(-1.5, 1.5, (3, 4), 5) + 1j * drawn(-1.5, 1.5, (3, 4), 6)
    agree(getattr(ag, name), torch_function(name), z, rtol=1e-7)
    assert getattr(ag, name)(ag.tensor(z.astype("complex64"))).dtype.itemsize == (4 if name in ("abs", "angle") else 8)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_complex_and_mixed_pairs(name):
    z, w = (drawn(0.3, 1.5, (3, 4), k) + 1j * drawn(-1.5, 1.5, (3, 4), k + 1) for k in (7, 9))
    r = drawn(0.3, 2, (4,), 11)
    for a, b in ((z, w), (z, r), (r, z)):
        agree(getattr(ag, name), torch_function(name), a, b, rtol=1e-8)


def test_sgn_angle_and_abs_of_complex_zero_have_slope_zero():
    z = leaf([0j], dtype="complex128")
    for f in (ag.abs, ag.angle):
        assert ag.gradient(f(z).sum(), [z])[0].tolist() == [0]
    assert ag.gradient(ag.sgn(z).real.sum(), [z])[0].tolist() == [0]


def slope_along(f, x: np.ndarray, u: np.ndarray, h: float = 1e-5) -> np.ndarray:
    return (f(x + h * u) - f(x - h * u)) / (2 * h)


@pytest.mark.parametrize("name", ["abs", "angle", "sgn", "exp", "sqrt", "sinc", "square"])
def test_forward_mode_of_complex_functions(name):
    z = np.array([1 + 2j, -0.5 + 0.3j, 2 - 1j])
    u = np.array([0.3 - 1j, 1 + 1j, -2j])
    f = getattr(ag, name)
    np.testing.assert_allclose(np.asarray(ag.jvp(f, (z,), (u,))[1]), slope_along(f, z, u), 1e-7)


def test_complex_forward_mode_of_parts():
    x, u = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    f = lambda v: ag.complex(v, v * v)
    np.testing.assert_allclose(np.asarray(ag.jvp(f, (x,), (u,))[1]), u + 2j * x * u)
    np.testing.assert_allclose(np.asarray(ag.jvp(lambda v: ag.complex(1.0, v), (x,), (u,))[1]), 1j * u)


def test_views_of_complex_numbers_share_memory():
    z = ag.tensor([1 + 2j, 3 - 1j])
    pairs = ag.view_as_real(z)
    assert pairs.tolist() == [[1, 2], [3, -1]] and np.shares_memory(pairs.numpy(), z.numpy())
    assert np.shares_memory(ag.view_as_complex(pairs).numpy(), z.numpy())
    assert ag.view_as_real(ag.tensor(1 + 2j)).tolist() == [1, 2]
    assert ag.view_as_complex(ag.tensor(np.ones((3, 2))[::-1, ::-1])).tolist() == [1 + 1j] * 3
    assert ag.view_as_complex(ag.tensor(np.ones((2, 3), "float32")).T).dtype == np.complex64


# --- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "complex64"])
@pytest.mark.parametrize("case", ["arrays", "zero", "other zero", "number", "column", "row condition"])
def test_where_equals_numpys(n, dtype, case):
    rng = np.random.default_rng(n)
    c, a, b = rng.random(n) < 0.5, rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
    if dtype[0] != "i":
        a[0], b[-1] = NAN, -INF
    args = {
        "arrays": (c, a, b), "zero": (c, a, 0), "other zero": (c, 0, b), "number": (c, a, 7),
        "column": (c, a[::-1], b[:2, None]), "row condition": (c[None], a[:3, None], b[::-1]),
    }[case]  # fmt: skip
    y = ag.where(*args)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.where(*args))


def test_where_types():
    c, f32 = ag.tensor([True, False]), ag.tensor([1.0, 2.0])
    assert ag.where(c, f32, 0).dtype == ag.where(c, 0.5, f32).dtype == ag.where(c, 1.0, 0.0).dtype == np.float32
    assert ag.where(c, ag.tensor([1, 2]), 0.5).dtype == np.float32 and ag.where(c, 1, 0).dtype == np.int64
    assert ag.where(c, f32, np.float64(0)).dtype == np.float32 and ag.where(c, f32, np.zeros(2)).dtype == np.float64
    assert ag.where(c, f32, 1j).dtype == np.complex64


def test_where_of_a_condition_alone_says_where():
    rows, columns = ag.where(ag.tensor([[True, False], [False, True]]))
    assert rows.tolist() == [0, 1] and columns.tolist() == [0, 1]


def test_where_as_a_method():
    x = ag.tensor([1.0, -2.0])
    assert functions.METHODS["where"](x, x > 0, 0.0).tolist() == [1, 0]


def test_where_in_forward_mode_and_in_a_batch():
    x, u = np.array([-1.0, 2.0]), np.array([3.0, 5.0])
    f = lambda v: ag.where(v > 0, v * v, 0.0)
    np.testing.assert_allclose(np.asarray(ag.jvp(f, (x,), (u,))[1]), [0, 20])
    batch = ag.vmap(lambda c, v: ag.where(c, v, 0.0))(x > 0, np.ones((2, 3)))
    np.testing.assert_allclose(np.asarray(batch), [[0] * 3, [1] * 3])


# --- what is not selected is no gradient -----------------------------------------------------------------------------

UNSELECTED = {
    "log": (lambda x: ag.where(x > 0, ag.log(x), 0), [-1.0, 0.0, 2.0], [0, 0, 0.5], [0, 0, -0.25]),
    "sqrt": (lambda x: ag.where(x > 0, ag.sqrt(x), 0), [-1.0, 0.0, 4.0], [0, 0, 0.25], [0, 0, -1 / 32]),
    "power": (lambda x: ag.where(x > 0, x**0.5, 0), [-1.0, 0.0, 4.0], [0, 0, 0.25], [0, 0, -1 / 32]),
    "x ** 1.5": (lambda x: ag.where(x > 0, x**1.5, 0), [-1.0, 0.0, 4.0], [0, 0, 3], [0, 0, 0.375]),
    "reciprocal": (lambda x: ag.where(x == 0, 0, 1 / x), [0.0, 2.0], [0, -0.25], [0, 0.25]),
    "zero times": (lambda x: ag.where(x > 0, x, 0) * 1.0 + 0 * ag.sqrt(x), [0.0], [0], [0]),
    "root of relu": (lambda x: ag.sqrt(ag.relu(x)), [-1.0, 4.0], [0, 0.25], [0, -1 / 32]),
    "root of clamp": (lambda x: ag.sqrt(ag.clamp(x, 0, 9)), [-1.0, 4.0, 10.0], [0, 0.25, 0], [0, -1 / 32, 0]),
    "root of clamp_min": (lambda x: ag.sqrt(ag.clamp_min(x, 0)), [-1.0, 4.0], [0, 0.25], [0, -1 / 32]),
    "root of maximum": (lambda x: ag.sqrt(ag.maximum(x, 0.0)), [-1.0, 4.0], [0, 0.25], [0, -1 / 32]),
    "root of fmax": (lambda x: ag.sqrt(ag.fmax(x, 0.0)), [-1.0, 4.0], [0, 0.25], [0, -1 / 32]),
    "log of minimum": (lambda x: ag.log(1 - ag.minimum(x, 1.0)), [2.0, 0.5], [0, -2], [0, -4]),
    "hypot at 0": (lambda x: ag.hypot(x, 0 * x), [0.0, 2.0], [0, 1], [0, 0]),
    "atan2 at 0": (lambda x: ag.atan2(x, 0 * x + 1) * x, [0.0], [0], [2]),
    "xlogy at 0": (lambda x: ag.xlogy(x * 0, x), [0.0, 1.0], [0, 0], [0, 0]),
    "logaddexp": (lambda x: ag.where(x > 0, ag.logaddexp(ag.log(x), ag.log(x)), 0), [0.0, 2.0], [0, 0.5], [0, -0.25]),
    "acos": (lambda x: ag.where(abs(x) < 1, ag.acos(x), 0), [1.0, 0.0, -3.0], [0, -1, 0], [0, 0, 0]),
    "copysign": (lambda x: ag.where(x > 0, ag.copysign(x, -1.0), 0), [-INF, 0.0, 2.0], [0, 0, -1], [0, 0, 0]),
}


@pytest.mark.parametrize("case", UNSELECTED)
def test_what_is_not_selected_is_no_gradient(case):
    f, at, first, second = UNSELECTED[case]
    x = leaf(np.array(at))
    (g,) = ag.gradient(f(x).sum(), [x])
    np.testing.assert_allclose(g.numpy(), first, err_msg="first order")
    (g,) = ag.gradient(f(x).sum(), [x], create_graph=True)
    np.testing.assert_allclose(g.value, first, err_msg="first order, recorded")
    if g.requires_grad:
        (h,) = ag.gradient(g.sum(), [x], allow_unused=True)
        np.testing.assert_allclose(0.0 if h is None else h.numpy(), second, atol=1e-12, err_msg="second order")
    else:
        assert not np.any(second)


def test_raw_log_keeps_its_slope():
    x = leaf([-2.0, 4.0])
    assert ag.gradient(ag.log(x).sum(), [x])[0].tolist() == [-0.5, 0.25]


@pytest.mark.parametrize("f", [ag.maximum, ag.minimum])
def test_ties_are_shared(f):
    a, b = leaf([1.0, 2.0, NAN]), leaf([1.0, 3.0, 0.0])
    ga, gb = ag.gradient(f(a, b).sum(), [a, b])
    first = 0.0 if f is ag.maximum else 1.0
    np.testing.assert_array_equal(ga.numpy(), [0.5, first, 1])
    np.testing.assert_array_equal(gb.numpy(), [0.5, 1 - first, 1])


def test_logaddexp_of_nothing():
    a, b = leaf([-INF, -INF, 800.0]), leaf([-INF, 1.0, -800.0])
    y = ag.logaddexp(a, b)
    assert y.tolist() == [-INF, 1, 800]
    assert [g.tolist() for g in ag.gradient(y.sum(), [a, b])] == [[0, 0, 1], [0, 1, 0]]


# --- accuracy --------------------------------------------------------------------------------------------------------


def test_sigmoid_is_stable_and_silent():
    with np.errstate(all="raise", under="ignore"):
        y = ag.sigmoid(ag.tensor(np.array([-1000.0, -30.0, 0.0, 30.0, 1000.0])))
    np.testing.assert_allclose(y.numpy(), [0, 9.357622968839299e-14, 0.5, 1 - 9.357622968839299e-14, 1], 1e-14)


def test_xlogy_is_silent():
    with np.errstate(all="raise"):
        assert ag.xlogy(ag.tensor([0.0, 0.0, 2.0]), ag.tensor([0.0, -1.0, 1.0])).tolist() == [0, 0, 0]


def test_sinc_is_smooth_at_zero_to_every_order():
    pi = math.pi
    expected = [1, 0, -(pi**2) / 3, 0, pi**4 / 5, 0, -(pi**6) / 7]
    x = leaf([0.0, 1e-9, 1e-4])
    y = ag.sinc(x)
    for value, slope in zip(expected, expected[1:]):
        np.testing.assert_allclose(y.value, value + slope * x.value, 1e-6, 1e-12)
        y = ag.gradient(y.sum(), [x], create_graph=True)[0]


@given(st.floats(-20, 20), st.integers(0, 4))
def test_derivatives_of_sinc_agree_with_their_integral(x, order):
    nodes, w = np.polynomial.legendre.leggauss(80)
    t = (nodes + 1) / 2
    integral = np.sum(w / 2 * (math.pi * t) ** order * np.cos(math.pi * x * t + order * math.pi / 2))
    y = functions.sinc_slope(np.array([x]), order=order)
    np.testing.assert_allclose(y, integral, 1e-9, 1e-10)


@given(st.integers(-6, 6), st.floats(-2, 2).filter(lambda v: abs(v) > 0.01))
def test_whole_powers_in_single_precision(exponent, x):
    y = ag.pow(ag.tensor([x]), exponent).numpy()
    np.testing.assert_allclose(y, [float(np.float32(x)) ** exponent], 2e-6)


@given(st.integers(-50, 50), st.integers(-9, 9).filter(bool))
def test_whole_division(a, b):
    x, y = ag.tensor([a]), ag.tensor([b])
    assert ag.div(x, y, rounding_mode="trunc").tolist() == [int(a / b)]
    assert (x // y).tolist() == ag.div(x, y, rounding_mode="floor").tolist() == [a // b] and (x % y).tolist() == [a % b]
    assert ag.fmod(x, y).tolist() == [int(math.fmod(a, b))] and ag.gcd(x, y).tolist() == [math.gcd(a, b)]
    assert ag.lcm(x, y).tolist() == [math.lcm(a, b)]


# --- comparison and logic --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PREDICATES)
def test_comparisons(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    grid = (rng.integers(0, 3, (3, 4)), rng.integers(0, 3, 4))
    for a, b in [grid, (np.zeros(0), np.ones(())), (np.array(1.0), np.array(NAN))]:
        y = getattr(ag, name)(ag.tensor(a), ag.tensor(b))
        assert y.dtype == np.bool_ and not y.requires_grad
        expected = getattr(torch, name)(torch.from_numpy(np.asarray(a)), torch.from_numpy(np.asarray(b)))
        np.testing.assert_array_equal(y.numpy(), expected.numpy())


def test_comparison_with_a_number_is_made_in_the_tensors_type():
    x = ag.tensor([0.1, 0.2])
    assert (x == 0.1).tolist() == [True, False] and (0.15 < x).tolist() == [False, True]
    assert not (leaf([1.0, 2.0]) > 1).requires_grad


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("x", [EDGES, np.array([0, 1, -1]), np.array([True, False])], ids=["float", "int", "bool"])
def test_tests(name, x):
    torch = pytest.importorskip("torch")
    expected = getattr(torch, name)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(getattr(ag, name)(ag.tensor(x)).numpy(), expected)


def test_tests_of_complex_numbers():
    z = ag.tensor([1 + 0j, 1 + 1j, complex(NAN, 0), complex(0, INF)])
    assert ag.isreal(z).tolist() == [True, False, True, False]
    assert ag.isnan(z).tolist() == [False, False, True, False] and ag.isfinite(z).tolist() == [True, True, False, False]


def test_closeness():
    x, y = ag.tensor([1.0, 2.0, NAN, INF]), ag.tensor([1.0 + 1e-6, 2.1, NAN, INF])
    assert ag.isclose(x, y).tolist() == [True, False, False, True]
    assert ag.isclose(x, y, rtol=0.1, equal_nan=True).tolist() == [True] * 4
    assert ag.allclose(x, y, atol=0.2, equal_nan=True) is True and ag.allclose(x, y) is False
    assert ag.equal(x[:2], x[:2]) is True and ag.equal(x[:2], y[:2]) is False and ag.equal(x, x[:2]) is False


def test_membership():
    x = ag.tensor([[1, 2], [3, 4]])
    assert ag.isin(x, ag.tensor([2, 3])).tolist() == [[False, True], [True, False]]
    assert ag.isin(x, [1], invert=True).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("name", ["and", "or", "xor", "left_shift", "right_shift"])
@pytest.mark.parametrize("pair", [("int64", "int64"), ("int32", "int64"), ("uint8", "uint8")], ids="-".join)
def test_bitwise(name, pair):
    torch = pytest.importorskip("torch")
    a, b = (np.array(v, t) for v, t in zip(([5, 12, 7], [3, 1, 2]), pair))
    y = getattr(ag, f"bitwise_{name}")(ag.tensor(a), ag.tensor(b)).numpy()
    expected = getattr(torch, f"bitwise_{name}")(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


# --- arrays, errors, names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("sign", "positive")])
def test_arrays_in_arrays_out(name):
    x = drawn(*UNARY[name], (2, 3))
    y = getattr(ag, name)(x)
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, getattr(ag, name)(ag.tensor(x)).numpy())


ERRORS = {
    "add: shapes do not broadcast": (lambda: ag.tensor(np.ones(2)) + ag.tensor(np.ones(3)), ValueError),
    "pow: shapes do not broadcast": (lambda: ag.tensor(np.ones(2)) ** ag.tensor(np.ones(3)), ValueError),
    "pow: Integers to negative": (lambda: ag.tensor([2]) ** -1, ValueError),
    "div: rounding_mode must be": (lambda: ag.div(ag.tensor([2.0]), 3, rounding_mode="up"), ValueError),
    "clamp: at least one": (lambda: ag.clamp(ag.tensor([2.0])), ValueError),
    "where: give both": (lambda: ag.where(ag.tensor([True]), 1.0), TypeError),
    "where: shapes do not broadcast": (lambda: ag.where(ag.tensor([True] * 2), ag.tensor([1.0] * 3), 0.0), ValueError),
    "view_as_real: .*expected": (lambda: ag.view_as_real(ag.tensor([1.0])), TypeError),
    "view_as_complex: .*needs pairs": (lambda: ag.view_as_complex(ag.tensor([1.0])), ValueError),
    "bitwise_and: ": (lambda: ag.tensor([1.0]) & 1, TypeError),
    "gcd: ": (lambda: ag.gcd(ag.tensor([1.0]), ag.tensor([2.0])), TypeError),
    "sub: ": (lambda: ag.tensor([True]) - ag.tensor([True]), TypeError),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    call, kind = ERRORS[message]
    with pytest.raises(kind, match=f"^{message}"):
        call()


def test_every_listed_name_is_there():
    missing = [n for n in (*functions.__all__, *functions.INPLACE) if not hasattr(functions, n)]
    assert not missing


def test_digits_are_kept_next_to_zeros():
    """Where sinc and logit are about to be 0, and where 1 - x * x is."""
    d = 2.0**-30
    np.testing.assert_allclose(ag.sinc(np.array([3 + d, 4 - d])), [-d / (3 + d), -d / (4 - d)], rtol=1e-15)
    np.testing.assert_allclose(ag.logit(np.array([0.5 + d, 0.5 - d])), [4 * d, -4 * d], rtol=1e-15)
    assert ag.sinc(np.array([1.0, -7.0, 1e10])).tolist() == [0, 0, 0]
    for function, slope in ((ag.asin, 1 / math.sqrt(2 * d)), (ag.acos, -1 / math.sqrt(2 * d)), (ag.atanh, 0.5 / d)):
        x = leaf([1 - d])
        np.testing.assert_allclose(ag.gradient(function(x).sum(), [x])[0], [slope], rtol=2 * d)
