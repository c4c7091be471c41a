"""Activation functions against PyTorch and against their definitions."""

import math

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import elementwise as loops
from autograd_core.op import REGISTRY
from autograd_core.ops import activations as F
from autograd_core.testing import check

OPS = """
    gelu gelu_tanh silu mish softplus log_sigmoid elu leaky_relu hardtanh hardswish hardshrink softshrink threshold
""".split()

CASES = [
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("silu", {}),
    ("mish", {}),
    ("softplus", {}),
    ("softplus", {"beta": 2, "threshold": 3}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("selu", {}),
    ("celu", {"alpha": 2.0}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": -0.3}),
    ("rrelu", {"lower": 0.1, "upper": 0.3}),
    ("relu6", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.5, "max_val": 2.0}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("hardshrink", {}),
    ("softshrink", {"lambd": 0.7}),
    ("tanhshrink", {}),
    ("softsign", {}),
    ("logsigmoid", {}),
    ("threshold", {"threshold": 0.5, "value": 9.0}),
    ("glu", {"dim": 0}),
    ("softmin", {"dim": -1}),
]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in CASES]
SINGLE = {"hardsigmoid", "leaky_relu", "rrelu"}  # functions whose slopes PyTorch rounds to float32
CORNERS = [-3.0, 3.0, -1.0, 1.0, 0.0, 6.0, 0.5, -0.5, -20.0, 20.0, -100.0, 100.0, 1e-300, -1e-300]


def inputs(seed=0):
    """Ordinary numbers, large ones, and those at which functions have corners."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 3, 40), CORNERS]).reshape(6, 9)


@pytest.mark.parametrize("name", OPS)
def test_has_every_property_of_an_op(name):
    assert check(REGISTRY[name], seed=5, rounds=3) > 0


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_values_and_gradients_are_those_of_torch(name, options):
    torch = pytest.importorskip("torch")
    x, rng = inputs(), np.random.default_rng(1)
    a, b = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = getattr(F, name)(a, **options), getattr(torch.nn.functional, name)(b, **options)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-13, atol=1e-15)
    g, h = rng.normal(size=y.shape), rng.normal(size=x.shape)
    (first,) = ag.gradient(y, [a], ag.tensor(g), create_graph=True)
    (wanted,) = torch.autograd.grad(z, b, torch.tensor(g), create_graph=True)
    rounded = 1e-7 if name in SINGLE else 1e-11
    np.testing.assert_allclose(first.detach().numpy(), wanted.detach().numpy(), rtol=rounded, atol=1e-14)
    if wanted.requires_grad and first.requires_grad and name not in ("hardswish", "softplus"):
        (second,) = ag.gradient(first, [a], ag.tensor(h), allow_unused=True)
        (wanted,) = torch.autograd.grad(wanted, b, torch.tensor(h), allow_unused=True)
        if second is not None and wanted is not None:
            smooth = ~np.isin(x, CORNERS[:8])  # elsewhere a second derivative is a matter of taste
            np.testing.assert_allclose(
                second.detach().numpy()[smooth], wanted.detach().numpy()[smooth], rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("name, options", [c for c in CASES if c[0] != "softmin"], ids=IDS[:-1])
def test_large_arrays_give_what_small_ones_give(name, options):
    """Beyond a size loops of ours compute; each entry is what it is in an array of few."""
    x = np.random.default_rng(2).normal(0, 2, (2, 10000)).astype(np.float32)
    options = options | ({"dim": 0} if name == "glu" else {})
    t, s = ag.tensor(x, requires_grad=True), ag.tensor(x[:, :20], requires_grad=True)
    y, z = getattr(F, name)(t, **options), getattr(F, name)(s, **options)
    np.testing.assert_allclose(y.detach().numpy()[..., :20], z.detach().numpy(), rtol=2e-6, atol=1e-7)
    g = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)
    (a,), (b,) = ag.gradient(y, [t], ag.tensor(g)), ag.gradient(z, [s], ag.tensor(g[..., :20]))
    assert a.dtype == np.float32
    np.testing.assert_allclose(a.detach().numpy()[:, :20], b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_limits():
    """Nothing and everything: at minus infinity the smooth ones are 0."""
    for length in (2, 3 * loops.LARGE):
        x = ag.tensor(np.resize(np.array([-math.inf, math.inf], np.float32), length))
        for f in (F.gelu, lambda x: F.gelu(x, "tanh"), F.silu, F.mish, F.hardswish, F.softplus):
            assert f(x).numpy()[:2].tolist() == [0.0, math.inf]
        assert F.elu(x).numpy()[:2].tolist() == [-1.0, math.inf]
        assert F.logsigmoid(x).numpy()[:2].tolist() == [-math.inf, 0.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_stay(dtype):
    x = ag.tensor(np.array([-1.5, 0.0, 2.0], dtype))
    for name, options in CASES:
        if name != "glu":
            assert getattr(F, name)(x, **options).dtype == dtype, name


def test_prelu():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for shape, count in [((5,), 1), ((4, 3), 3), ((4, 3, 2, 2), 3), ((4, 3, 5), 1), ((), 1), ((0, 3), 3)]:
        x, w = rng.normal(size=shape), rng.uniform(-1, 1, count)
        a, v = ag.tensor(x, requires_grad=True), ag.tensor(w, requires_grad=True)
        b, u = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
        y, z = F.prelu(a, v), torch.nn.functional.prelu(b, u)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy())
        ours, theirs = ag.gradient((y * y).sum(), [a, v]), torch.autograd.grad((z * z).sum(), [b, u])
        for p, q in zip(ours, theirs):
            np.testing.assert_allclose(p.detach().numpy(), q.numpy(), atol=1e-15)


def test_rrelu_draws_a_slope_for_each_entry():
    ag.manual_seed(0)
    x = ag.tensor(np.full(10000, -1.0), requires_grad=True)
    y = F.rrelu(x, 0.2, 0.4, training=True)
    slopes = -y.detach().numpy()
    assert slopes.min() >= 0.2 and slopes.max() <= 0.4 and abs(slopes.mean() - 0.3) < 0.003
    (g,) = ag.gradient(y.sum(), [x])
    np.testing.assert_allclose(g.detach().numpy(), slopes)
    assert F.rrelu(ag.tensor(np.ones(3)), training=True).numpy().tolist() == [1, 1, 1]


def test_gumbel_softmax():
    ag.manual_seed(0)
    logits = ag.tensor(np.log(np.array([0.2, 0.3, 0.5])) + np.zeros((20000, 1)), requires_grad=True)
    soft, hard = F.gumbel_softmax(logits, tau=0.7), F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(soft.detach().numpy().sum(-1), 1)
    assert set(np.unique(hard.detach().numpy().round(12))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.detach().numpy().mean(0), [0.2, 0.3, 0.5], atol=0.02)
    (g,) = ag.gradient((hard * ag.tensor(np.arange(3.0))).sum(), [logits])
    np.testing.assert_allclose(g.detach().numpy().sum(-1), 0, atol=1e-12)
    assert np.abs(g.detach().numpy()).max() > 0.01


@pytest.mark.parametrize("name", ["relu_", "elu_", "selu_", "celu_", "leaky_relu_", "rrelu_", "hardtanh_"])
def test_in_place(name):
    x = np.random.default_rng(0).normal(size=(3, 4))
    leaf = ag.tensor(x, requires_grad=True)
    t = leaf * 2
    assert getattr(F, name)(t) is t
    function = getattr(F, name[:-1])
    np.testing.assert_array_equal(t.detach().numpy(), function(ag.tensor(x * 2)).detach().numpy())
    (g,) = ag.gradient(t.sum(), [leaf])
    (wanted,) = ag.gradient(function(leaf * 2).sum(), [leaf])
    np.testing.assert_array_equal(g.detach().numpy(), wanted.detach().numpy())


def test_the_option_inplace():
    t = ag.tensor(np.array([-1.0, 2.0]))
    for f in (F.silu, F.mish, F.relu6, F.hardsigmoid, F.hardswish):
        assert f(t, inplace=True) is t
    t = ag.tensor(np.array([-1.0, 2.0]))
    assert F.threshold_(t, 0.0, 5.0).numpy().tolist() == [5.0, 2.0]


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: F.gelu(x, "sigmoid"), ValueError, "gelu: approximate must be 'none' or 'tanh', got 'sigmoid'"),
        (lambda x: F.silu(x.long()), TypeError, "silu: expected real floating-point numbers, got int64"),
        (lambda x: F.softplus(None), TypeError, "softplus: expected real floating-point numbers, got object"),
        (lambda x: F.celu(x, 0.0), ValueError, "celu: alpha must not be 0"),
        (lambda x: F.prelu(x, ag.tensor(np.ones(4))), ValueError, "prelu: weight must have 1 or 3 entries"),
        (lambda x: F.rrelu(x, 0.5, 0.2), ValueError, "rrelu: lower must not be above upper"),
        (lambda x: F.hardtanh(x, 2.0, 1.0), ValueError, "hardtanh: min_val must not be above max_val"),
        (lambda x: F.softshrink(x, -1.0), ValueError, "softshrink: lambd must not be negative"),
        (lambda x: F.glu(x), ValueError, "glu: the axis to halve must have an even length"),
    ],
)
def test_misuse(call, error, match):
    with pytest.raises(error, match=match):
        call(ag.tensor(np.ones((2, 3))))


def test_integers_stay_where_nothing_else_is_made_of_them():
    x = ag.tensor(np.arange(-2, 8))
    assert F.relu6(x).numpy().tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 6]
    assert F.hardtanh(x).dtype == x.dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [8, 5000])
def test_the_slope_of_gelu(dtype, count):
    """The probability that a normal number is below x, and x times its density: closed forms, on both ways to compute."""
    x = np.concatenate([np.linspace(-45, 45, count - 4), [0, np.inf, -np.inf, np.nan]]).astype(dtype)
    t = ag.tensor(x, requires_grad=True)
    F.gelu(t).backward(ag.ones(count, dtype=dtype))
    near = np.clip(x.astype(np.float64), -50, 50)
    wanted = [0.5 * math.erfc(-v * math.sqrt(0.5)) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in near]
    np.testing.assert_allclose(t.grad.numpy(), wanted, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype, sizes", [
    (np.float16, [20, 300, 710, 745, 1000, 65504]), (np.float32, [20, 1e4, 1e20, 1e30]), (np.float64, [25, 1e4, 1e20, 1e200]),
])  # fmt: skip
@pytest.mark.parametrize("repeats", [1, 3000])
def test_the_slope_of_the_tangent_gelu_far_out(dtype, sizes, repeats):
    x = np.repeat(np.array([*sizes, *[-v for v in sizes]], dtype), repeats)
    t = ag.tensor(x, requires_grad=True)
    (g,) = ag.gradient(F.gelu(t, "tanh").sum(), [t], create_graph=True)
    (second,) = ag.gradient(g.sum(), [t])
    np.testing.assert_array_equal(g.detach().numpy(), (x > 0).astype(dtype))
    np.testing.assert_array_equal(second.numpy(), np.zeros_like(x))
