"""Initial values: distributions, fans, orthogonality, what stays out of the record, reproducibility, errors."""

import inspect
import math

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core import random
from nn import Parameter, init

SHAPES = [(3, 5), (5, 3), (7, 2, 3), (4, 6, 2, 5), (2, 3, 3, 2, 4), (1, 1), (6, 1, 5)]
FIT = 1.95  # Kolmogorov's distance is above this once in a thousand times; seeds are fixed


@pytest.fixture(autouse=True)
def seeded():
    with random.fork_rng():
        yield random.manual_seed(12)


def parameter(*shape, dtype="float64"):
    return Parameter(np.full(shape, 7.0, dtype))


def values(t):
    return t.detach().numpy().astype(np.complex128 if t.is_complex() else np.float64).ravel()


def distance(sample, cdf):
    """Kolmogorov's: how far the share of the sample below x is from cdf(x)."""
    x = np.sort(sample)
    n, f = x.size, cdf(x)
    return max((np.arange(1, n + 1) / n - f).max(), (f - np.arange(n) / n).max()) * math.sqrt(n)


normal_cdf = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


def cut_cdf(mean, std, a, b):
    low, high = normal_cdf((a - mean) / std), normal_cdf((b - mean) / std)
    return lambda x: (normal_cdf((x - mean) / std) - low) / (high - low)


# --- distributions ---------------------------------------------------------------------------------------------------


def test_uniform_and_normal():
    x = values(init.uniform_(parameter(100, 200), -1.5, 0.5))
    assert -1.5 <= x.min() and x.max() < 0.5
    assert distance(x, lambda v: (v + 1.5) / 2) < FIT
    assert distance(values(init.normal_(parameter(100, 200), 3.0, 0.25)), lambda v: normal_cdf((v - 3) / 0.25)) < FIT


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "mean, std, a, b",
    [
        (0, 1, -2, 2),
        (1, 0.5, -2, 2),
        (0, 0.02, -2, 2),
        (0, 1, 3, 8),
        (0, 1, -12, -8),
        (5, 2, -1, 5.5),
        (0, 1, 0.1, 0.2),
    ],
)
def test_truncated_normal(mean, std, a, b, dtype):
    x = values(init.trunc_normal_(parameter(100, 200, dtype=dtype), mean, std, a, b))
    assert np.dtype(dtype).type(a) <= x.min() and x.max() <= np.dtype(dtype).type(b)
    above = a > mean
    z = -(x - mean) if above else x - mean
    low, high = (mean - b, mean - a) if above else (a - mean, b - mean)
    assert distance(z, cut_cdf(0, std, low, high)) < FIT


def test_truncated_normal_of_one_value():
    np.testing.assert_array_equal(values(init.trunc_normal_(parameter(3, 4), 0, 1, 0.5, 0.5)), 0.5)


# Of a weight (400, 100, 3), whose fans are 300 and 1200.
SCHEMES = {
    "xavier_uniform_": (dict(gain=2.0), "uniform", 4 / 750),
    "xavier_normal_": (dict(gain=0.5), "normal", 0.25 / 750),
    "xavier_trunc_normal_": (dict(gain=2.0), "cut", 4 / 750),
    "kaiming_uniform_": (dict(a=math.sqrt(5)), "uniform", 1 / 900),
    "kaiming_normal_": (dict(mode="fan_out", nonlinearity="relu"), "normal", 2 / 1200),
    "kaiming_trunc_normal_": (dict(mode="FAN_IN", nonlinearity="tanh"), "cut", 25 / 9 / 300),
    "lecun_uniform_": ({}, "uniform", 1 / 300),
    "lecun_normal_": ({}, "normal", 1 / 300),
    "lecun_trunc_normal_": ({}, "cut", 1 / 300),
    "variance_scaling_": (dict(scale=3.0, mode="fan_avg", distribution="uniform"), "uniform", 3 / 750),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_that_look_at_fans(name):
    options, kind, variance = SCHEMES[name]
    x, std = values(getattr(init, name)(parameter(400, 100, 3), **options)), math.sqrt(variance)
    wide = std / 0.8796256610342398  # the deviation of a standard normal number within two deviations
    cdf = {
        "uniform": lambda v: v / std / math.sqrt(12) + 0.5,
        "normal": lambda v: normal_cdf(v / std),
        "cut": cut_cdf(0, wide, -2 * wide, 2 * wide),
    }[kind]
    assert distance(x, cdf) < FIT
    assert abs(x.mean()) < 4 * std / math.sqrt(x.size)
    assert x.std() == pytest.approx(std, rel=0.01)


def test_other_names_for_the_same():
    assert init.glorot_uniform_ is init.xavier_uniform_ and init.glorot_normal_ is init.xavier_normal_
    assert init.he_uniform_ is init.kaiming_uniform_ and init.he_normal_ is init.kaiming_normal_
    assert init.identity_ is init.eye_


# --- values that are known -------------------------------------------------------------------------------------------


def test_constants():
    p = parameter(2, 3)
    assert init.constant_(p, 2.5) is p
    np.testing.assert_array_equal(values(p), 2.5)
    np.testing.assert_array_equal(values(init.ones_(p)), 1)
    np.testing.assert_array_equal(values(init.zeros_(p)), 0)
    for shape in [(2, 3), (3, 2), (3, 3)]:
        np.testing.assert_array_equal(init.eye_(parameter(*shape)).detach().numpy(), np.eye(*shape))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("outputs", [2, 4, 6])
def test_dirac_passes_channels_on(rank, groups, outputs):
    w = init.dirac_(parameter(outputs, 3, *(3, 5, 3)[:rank]), groups)
    x = np.random.default_rng(3).standard_normal((2, 3 * groups, *(4, 5, 6)[:rank]))
    y = getattr(ag, f"conv{rank}d")(ag.tensor(x), w.detach(), padding=(1, 2, 1)[:rank], groups=groups).numpy()
    each = outputs // groups
    for g in range(groups):
        for c in range(each):
            expected = x[:, 3 * g + c] if c < 3 else np.zeros_like(x[:, 0])
            np.testing.assert_array_equal(y[:, g * each + c], expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_orthogonal(shape, dtype):
    w = init.orthogonal_(parameter(*shape, dtype=dtype), gain=1.5).detach().numpy().reshape(shape[0], -1) / 1.5
    product = w @ w.conj().T if w.shape[0] < w.shape[1] else w.conj().T @ w
    np.testing.assert_allclose(product, np.eye(min(w.shape)), atol=1e-6 if dtype == "float32" else 1e-13)


def test_orthogonal_favours_no_direction():
    w = ag.stack([init.orthogonal_(parameter(2, 2)).detach() for _ in range(2000)]).numpy()
    angle = np.arctan2(w[:, 1, 0], w[:, 0, 0])
    assert distance(angle, lambda a: a / (2 * math.pi) + 0.5) < FIT
    assert abs(np.linalg.det(w).mean()) < 4 / math.sqrt(2000)


@pytest.mark.parametrize("sparsity, zeros", [(0, 0), (0.1, 1), (0.25, 3), (0.99, 10), (1, 10)])
def test_sparse(sparsity, zeros):
    w = init.sparse_(parameter(10, 400), sparsity, std=0.5).detach().numpy()
    np.testing.assert_array_equal((w == 0).sum(0), zeros)
    if 0 < zeros < 10:
        share = (w == 0).mean(1)
        assert abs(share - zeros / 10).max() < 4 * math.sqrt(zeros / 10 * (1 - zeros / 10) / 400)
    if zeros < 10:
        assert distance(w[w != 0], lambda v: normal_cdf(v / 0.5)) < FIT


# --- as PyTorch has it -----------------------------------------------------------------------------------------------


@pytest.fixture
def theirs():
    return pytest.importorskip("torch").nn.init


def test_names_and_parameters_are_those_of_pytorch(theirs):
    for name in theirs.__all__:
        ours = inspect.signature(getattr(init, name))
        if name.endswith("_") or name == "calculate_gain":
            expected = inspect.signature(getattr(theirs, name))
            shown = lambda s: [(p.name, p.default, p.kind) for p in s.parameters.values()]
            assert shown(ours) == shown(expected), name
        else:
            assert ours == inspect.signature(getattr(init, f"{name}_")), name


@pytest.mark.parametrize("shape", SHAPES)
def test_fans_and_units_are_those_of_pytorch(theirs, shape):
    import torch

    expected = theirs._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert init.fan_in_and_fan_out(parameter(*shape)) == init._calculate_fan_in_and_fan_out(parameter(*shape))
    assert init.fan_in_and_fan_out(parameter(*shape)) == expected
    for mode in ("fan_in", "fan_out"):
        fan = theirs._calculate_correct_fan(torch.empty(shape), mode)
        assert init._calculate_correct_fan(parameter(*shape), mode) == fan
    with torch.no_grad():  # fewer groups than channels, and kernels of even length
        for groups in {g for g in (1, 2, 3) if shape[0] % g == 0 and len(shape) > 2}:
            ours = init.dirac_(parameter(*shape), groups).detach().numpy()
            np.testing.assert_array_equal(ours, theirs.dirac_(torch.empty(shape), groups).numpy())


GAINS = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv1d", "conv_transpose3d"]


@pytest.mark.parametrize("name", GAINS)
def test_gains_are_those_of_pytorch(theirs, name):
    assert init.calculate_gain(name) == theirs.calculate_gain(name)
    assert init.calculate_gain(name, 0.3) == theirs.calculate_gain(name, 0.3)


# --- what happens to the parameter -----------------------------------------------------------------------------------

ARGUMENTS = {"constant_": (0.5,), "sparse_": (0.25,)}
IN_PLACE = [n for n in init.__all__ if n.endswith("_")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_and_not_recorded(name, dtype):
    p = parameter(*((4, 3, 5) if name == "dirac_" else (4, 8)), dtype=dtype)
    memory = p.value
    assert getattr(init, name)(p, *ARGUMENTS.get(name, ())) is p
    assert p.value is memory and p.dtype == dtype and p.requires_grad and p.is_leaf
    assert not (memory == 7).any() and np.isfinite(memory).all()
    (p * p).sum().backward()
    np.testing.assert_allclose(p.grad.numpy(), 2 * memory)


@pytest.mark.parametrize("name", [n for n in IN_PLACE if "generator" in inspect.signature(getattr(init, n)).parameters])
def test_draws_can_be_repeated(name):
    fill = lambda **options: values(getattr(init, name)(parameter(6, 8), *ARGUMENTS.get(name, ()), **options))
    seeded = lambda: ag.manual_seed(5) and fill()
    first = seeded()
    assert not np.array_equal(first, fill())
    np.testing.assert_array_equal(first, seeded())
    before = ag.get_rng_state()
    np.testing.assert_array_equal(first, fill(generator=ag.Generator(5)))
    np.testing.assert_array_equal(before, ag.get_rng_state())


def test_a_view_is_filled_where_it_is():
    p = parameter(4, 6)
    init.eye_(p[:2, :3].detach())
    expected = np.full((4, 6), 7.0)
    expected[:2, :3] = np.eye(2, 3)
    np.testing.assert_array_equal(p.detach().numpy(), expected)


def test_nothing_to_fill():
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_uniform_(parameter(0, 3))
    for name in ("xavier_uniform_", "xavier_trunc_normal_", "orthogonal_", "eye_", "lecun_normal_", "uniform_"):
        assert getattr(init, name)(parameter(3, 0)).shape == (3, 0)
        assert getattr(init, name)(parameter(0, 0)).shape == (0, 0)


def test_names_of_old_warn():
    for name in [n for n in init.__all__ if f"{n}_" in init.__all__]:
        p = parameter(*((4, 3, 5) if name == "dirac" else (4, 8)))
        with pytest.warns(FutureWarning, match=f"nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"):
            assert getattr(init, name)(p, *ARGUMENTS.get(f"{name}_", ())) is p
        assert not (p.value == 7).any()


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, shape, args, message",
    [
        (
            "xavier_uniform_",
            (3,),
            (),
            r"at least 2 axes \(outputs, inputs, ...\), got shape \(3,\); for a bias use zeros_",
        ),
        ("kaiming_normal_", (), (), "at least 2 axes"),
        ("kaiming_normal_", (2, 3), (0, "fan_on"), "mode must be 'fan_in' or 'fan_out', got 'fan_on'"),
        ("kaiming_uniform_", (2, 3), (0, "fan_in", "relU"), "no gain is known for 'relU', only for conv1d"),
        ("kaiming_uniform_", (2, 3), (True,), "slope of leaky_relu must be a number, got True"),
        ("eye_", (2, 3, 4), (), r"eye_: fills tensors of 2 axes, got shape \(2, 3, 4\)"),
        ("dirac_", (2, 3), (), r"dirac_: fills tensors of 3 or 4 or 5 axes, got shape \(2, 3\)"),
        ("dirac_", (4, 3, 3), (3,), "4 outputs .* cannot be divided into 3 groups"),
        ("orthogonal_", (3,), (), r"orthogonal_: fills tensors of 2 or more axes, got shape \(3,\)"),
        ("sparse_", (3,), (0.5,), "sparse_: fills tensors of 2 axes"),
        ("sparse_", (3, 4), (1.5,), "share of zeros in a column, from 0 to 1, but got 1.5"),
        ("uniform_", (3,), (1.0, 0.0), "must not exceed"),
        ("normal_", (3,), (0.0, -1.0), "std must not be negative"),
        ("trunc_normal_", (3,), (0.0, 1.0, 2.0, -2.0), "a at most b, got std=1.0, a=2.0, b=-2.0"),
        ("trunc_normal_", (3,), (0.0, 0.0), "std must be positive"),
        ("trunc_normal_", (3,), (0.0, 1.0, 50.0, 60.0), r"\[50.0, 60.0\] lies too far from the mean 0.0"),
        ("variance_scaling_", (2, 3), (-1.0,), "scale must not be negative"),
        ("variance_scaling_", (2, 3), (1.0, "fan_in", "cauchy"), "'truncated_normal', got 'cauchy'"),
    ],
)
def test_errors_say_what_was_given_and_leave_the_tensor_alone(name, shape, args, message):
    p = parameter(*shape)
    with pytest.raises(ValueError, match=message):
        getattr(init, name)(p, *args)
    np.testing.assert_array_equal(p.value, np.full(shape, 7.0))


@pytest.mark.parametrize("name", ["uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "orthogonal_"])
def test_integers_are_not_filled(name):
    with pytest.raises(TypeError, match="floating-point tensor, got int64"):
        getattr(init, name)(ag.zeros(2, 3, dtype=ag.int64))


def test_a_gain_needs_a_nonlinearity():
    with pytest.raises(ValueError, match="'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="got 'steep'"):
        init.calculate_gain("leaky_relu", "steep")


def test_everything_public_is_listed_and_documented():
    public = {
        n for n, v in vars(init).items() if inspect.isfunction(v) and v.__module__ == init.__name__ and n[0] != "_"
    }
    assert public == set(init.__all__) and init.__all__ == sorted(init.__all__)
    assert all(inspect.getdoc(getattr(init, n)) for n in init.__all__)


@pytest.mark.parametrize("make", [lambda d: nn.Linear(64, 32, dtype=d), lambda d: nn.Conv1d(8, 32, 8, dtype=d)])
def test_layers_of_complex_numbers_begin_with_both_parts_uniform(make):
    """Of the bounds of real ones, which the extreme draws come near."""
    layer = make(ag.complex64)
    for part in ("real", "imag"):
        drawn = abs(getattr(values(layer.weight), part))
        assert 0.99 / 8 < drawn.max() <= 1 / 8 and 0.9 / 16 < drawn.mean() < 1.1 / 16
    assert layer.bias.dtype == ag.complex64 and values(layer.bias).imag.any()
