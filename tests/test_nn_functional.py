"""nn.functional is torch.nn.functional: every name, with its parameters, values and gradients.

Left out are `scaled_mm` and `scaled_grouped_mm`, products of matrices in types of eight bits that NumPy has not, for
accelerators; and what PyTorch's module holds for its own use (NOT_PUBLIC).
"""

import functools
import inspect
import re
import types

import numpy as np
import pytest
from functional_calls import TABLE_OF_CALLS
from record_reference import SINGLE, answer, arrays_in, calls, label, replaced

import autograd_core as ag
import nn
import nn.functional as F

LEFT_OUT = {"scaled_mm", "scaled_grouped_mm"}
NOT_PUBLIC = """Optional assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function
    has_torch_function_unary has_torch_function_variadic""".split()
DRAWN = {"gumbel_softmax"}  # always by chance: see test_activations
OURS = types.SimpleNamespace(**vars(ag), nn=nn)
CALLS = {label(*call): call for call in calls() if call[0].startswith("nn.functional.")}
IDS = [k if len(k) < 150 else f"{k[:150]}-{i}" for i, k in enumerate(CALLS)]


def theirs():
    return pytest.importorskip("torch").nn.functional


def names():
    return [
        name
        for name, value in vars(theirs()).items()
        if name[0] != "_" and callable(value) and not inspect.isclass(value) and name not in NOT_PUBLIC
    ]


# --- names and parameters --------------------------------------------------------------------------------------------


def test_every_name_is_there_and_compared():
    compared = {name.removeprefix("nn.functional.") for name, *_ in TABLE_OF_CALLS}
    assert set(names()) - set(F.__all__) == LEFT_OUT
    assert set(names()) - compared == LEFT_OUT | DRAWN
    assert compared <= set(names())


def test_what_is_exported_is_documented():
    assert len(F.__all__) == len(set(F.__all__))
    assert all(inspect.getdoc(getattr(F, name)) for name in F.__all__)
    assert {n for n, v in vars(F).items() if n[0] != "_" and inspect.isroutine(v)} <= set(F.__all__)


def stated(function):
    """The parameters of one of PyTorch's functions: of Python's signature, or of the first line of the documentation."""
    try:
        return inspect.signature(function)
    except ValueError:
        found = re.match(r"\w+\(([^)]*)\) *->", (function.__doc__ or "").strip())
        return found and inspect.signature(eval(f"lambda {found[1].replace(chr(10), chr(32))}: 0"))


def dispatched(name):
    """The one of PyTorch's functions that says what the parameters are."""
    function = getattr(theirs(), name)
    chooses = "kwargs" in getattr(function, "__code__", types.SimpleNamespace(co_varnames=())).co_varnames
    return getattr(theirs(), f"{name}_with_indices") if chooses else function


def test_parameters_are_those_of_pytorch():
    silent = []
    for name in set(names()) - LEFT_OUT:
        expected, given = stated(dispatched(name)), inspect.signature(getattr(F, name))
        silent += [] if expected else [name]
        listed = lambda s: [(p.name, p.default) for p in s.parameters.values() if p.name != "*"]
        if expected:
            assert listed(given) == listed(expected), name
    assert set(silent) <= {"conv_tbc"}


# --- values and gradients --------------------------------------------------------------------------------------------


def outcome(lib, make, call, arrays):
    name, args, options = call
    ys, gs = answer(lib, make, functools.partial(pulled, lib), name, *replaced((args, options), iter(arrays)), arrays)
    return [*ys, *gs]


def pulled(lib, total, xs):
    pull = ag.gradient if lib is OURS else lib.autograd.grad
    return pull(total, xs, allow_unused=True)


def array(t):
    return None if t is None else t.detach().numpy() if hasattr(t, "detach") else np.asarray(t)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", CALLS.values(), ids=IDS)
def test_values_and_gradients_are_those_of_pytorch(call, dtype):
    torch = pytest.importorskip("torch")
    arrays = [a.astype(dtype) if a.dtype == np.float64 else a for a in arrays_in(call[1:])]
    if dtype == "float64" and "grouped_mm" in call[0]:
        pytest.skip("PyTorch has it for short types only")
    ours = outcome(OURS, lambda a, wanted: ag.tensor(a, requires_grad=wanted), call, arrays)
    others = outcome(torch, lambda a, wanted: torch.tensor(a, requires_grad=wanted), call, arrays)
    assert len(ours) == len(others)
    near = dtype == "float64" and call[0] not in SINGLE and "dtype" not in call[2]
    for k, (a, b) in enumerate(zip(map(array, ours), map(array, others))):
        if a is None or b is None:  # no gradient is one of zeros
            assert not np.any(0 if a is None else a) and not np.any(0 if b is None else b), k
            continue
        assert (a.shape, a.dtype) == (b.shape, b.dtype), k
        size = 1 + np.abs(b[np.isfinite(b)]).max(initial=0)
        np.testing.assert_allclose(a, b, 1e-10 if near else 1e-5, (1e-10 if near else 1e-5) * size, err_msg=str(k))


# --- what the table cannot say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relu", "relu6", "selu", "silu", "mish", "hardsigmoid", "hardswish"])
def test_inplace_may_be_given_by_position(name):
    t = ag.tensor(np.array([-1.0, 2.0]))
    assert getattr(F, name)(t, True) is t
    np.testing.assert_array_equal(t, getattr(F, name)(ag.tensor(np.array([-1.0, 2.0]))))


@pytest.mark.parametrize(
    "name, args", [("elu", (0.5,)), ("celu", (0.5,)), ("leaky_relu", (0.5,)), ("hardtanh", (-0.5, 0.5)),
                   ("threshold", (0.0, 3.0)), ("rrelu", (0.1, 0.2, False))]
)  # fmt: skip
def test_inplace_is_the_last_parameter(name, args):
    t = ag.tensor(np.array([-1.0, 2.0]))
    expected = getattr(F, name)(t, *args)
    assert getattr(F, name)(t, *args, False) is not t
    assert getattr(F, name)(t, *args, True) is t
    np.testing.assert_array_equal(t, expected)


@pytest.mark.parametrize("shape, dim", [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 2, 2), 1)])
def test_softmax_without_dim_warns_and_takes_that_of_pytorch(shape, dim):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(shape)
    for name in ("softmax", "log_softmax", "softmin"):
        with pytest.warns(UserWarning, match=f"{name}: give dim; without it dim={dim} is taken"):
            y = getattr(F, name)(ag.tensor(x))
        np.testing.assert_allclose(y, getattr(torch.nn.functional, name)(torch.tensor(x), dim).numpy())


def test_one_input_for_query_key_and_value():
    """The projections are then one product; the result is that of three."""
    rng = np.random.default_rng(0)
    x, w, b, out = (ag.tensor(rng.standard_normal(s)) for s in ((5, 2, 4), (12, 4), (12,), (4, 4)))
    together = F.multi_head_attention_forward(x, x, x, 4, 2, w, b, None, None, False, 0.0, out, None)
    apart = F.multi_head_attention_forward(x, x + 0, x + 0, 4, 2, w, b, None, None, False, 0.0, out, None)
    for y, z in zip(together, apart):
        np.testing.assert_allclose(y, z, atol=1e-14)
    single = F.multi_head_attention_forward(x[:, 0], x[:, 0], x[:, 0], 4, 2, w, b, None, None, False, 0.0, out, None)
    np.testing.assert_allclose(single[0], together[0][:, 0], atol=1e-14)


def test_attention_drops_weights_in_training_only():
    rng = np.random.default_rng(0)
    x, w, out = (ag.tensor(rng.standard_normal(s)) for s in ((50, 2, 4), (12, 4), (4, 4)))
    run = lambda **options: F.multi_head_attention_forward(
        x, x, x, 4, 2, w, None, None, None, False, 0.5, out, None, **options
    )
    _, weights = run(average_attn_weights=False)
    assert 0.4 < (weights.numpy() == 0).mean() < 0.6
    assert (run(training=False)[1].numpy() > 0).all()
    assert run(need_weights=False)[1] is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"query": (3, 2, 6)}, "query must have embed_dim=4 features, for 2 heads of one size; query is"),
        ({"num_heads": 3}, "embed_dim=4 features, for 3 heads of one size"),
        ({"value": (5, 2, 3)}, "value must have 4 features, got 3"),
        ({"key": (5, 4)}, r"or all \(time, features\); query is"),
        ({"attn_mask": (3, 4)}, r"attn_mask must be \(3, 5\) or \(4, 3, 5\), got \(3, 4\)"),
        ({"key_padding_mask": (5, 2)}, r"key_padding_mask must be \(2, 5\), got \(5, 2\)"),
        ({"bias_k": (1, 1, 4)}, "bias_k and bias_v go together"),
        ({"in_proj_weight": (8, 4)}, r"in_proj_weight must be \(12, 4\), got \(8, 4\)"),
        ({"in_proj_weight": None}, "needs in_proj_weight"),
        ({"use_separate_proj_weight": True}, "needs q_proj_weight, k_proj_weight, v_proj_weight"),
        ({"static_k": (4, 5, 3)}, r"static_k must be \(4, S, 2\)"),
    ],
)
def test_attention_says_what_does_not_fit(change, message):
    shapes = {"query": (3, 2, 4), "key": (5, 2, 4), "value": (5, 2, 4), "in_proj_weight": (12, 4)} | change
    given = {k: ag.zeros(v) if isinstance(v, tuple) else v for k, v in shapes.items()}
    rest = {"embed_dim_to_check": 4, "num_heads": 2, "in_proj_bias": None, "bias_k": None, "bias_v": None}
    rest |= {"add_zero_attn": False, "dropout_p": 0.0, "out_proj_weight": ag.zeros(4, 4), "out_proj_bias": None}
    with pytest.raises(ValueError, match=message):
        F.multi_head_attention_forward(**rest | given)


# --- a head in chunks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{"batch_chunk_size": 3}, {"chunking_method": "aspect_ratio"}, {}])
def test_chunks_change_nothing(reduction, weighted, options):
    rng = np.random.default_rng(0)
    x, w, b = (ag.tensor(rng.standard_normal(s), requires_grad=True) for s in ((10, 3), (8, 3), (8,)))
    target = ag.tensor(np.array([0, 7, 3, 3, -100, 2, 1, -100, 5, 6]))
    how = {"linear_bias": b, "reduction": reduction, "weight": ag.arange(1.0, 9.0) if weighted else None}
    whole = F.linear_cross_entropy(x, w, target, **how)
    parts = F.linear_cross_entropy(x, w, target, **how, options=F.LinearCrossEntropyOptions(**options))
    np.testing.assert_allclose(parts.detach(), whole.detach(), rtol=1e-12)
    pulls = [ag.gradient((y * y).sum(), [x, w, b], create_graph=True) for y in (whole, parts)]
    for g, h in zip(*pulls):
        np.testing.assert_allclose(g.detach(), h.detach(), rtol=1e-11, atol=1e-13)
    seconds = [ag.gradient(sum((g * g).sum() for g in gs), [x, w, b]) for gs in pulls]
    for g, h in zip(*seconds):
        np.testing.assert_allclose(g, h, rtol=1e-10, atol=1e-12)


def test_sizes_of_chunks_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    for method in ("aspect_ratio", "aspect_ratio:3", "auto"):
        for sizes in [(100, 8, 50), (7, 8, 4), (1000, 16, 5000), (3, 2, 100), (64, 64, 64)]:
            theirs = torch.nn.LinearCrossEntropyOptions(chunking_method=method)
            expected = theirs._adjust(*sizes, torch.float64).batch_chunk_size
            assert F.LinearCrossEntropyOptions(chunking_method=method).rows(*sizes) == expected
    for wrong in ({"chunking_method": "aspect_ratio:0"}, {"batch_chunk_size": 0}, {"acc_policy": "exact"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            F.LinearCrossEntropyOptions(**wrong)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: F.linear_cross_entropy(ag.zeros(2, 3), ag.zeros(5, 4), ag.zeros(2)), r"needs input \(N, F\)"),
        (lambda: F.linear_cross_entropy(ag.zeros(3), ag.zeros(5, 2, 3), ag.zeros(2)), r"needs input \(N, F\)"),
        (
            lambda: F.linear_cross_entropy(ag.zeros(2, 3), ag.zeros(5, 3), ag.zeros(2, 5), ignore_index=1),
            "probabilities",
        ),
        (lambda: F.grouped_mm(ag.zeros(2, 3), ag.zeros(4, 2)), r"got shapes \(2, 3\) and \(4, 2\)"),
        (lambda: F.grouped_mm(ag.zeros(2, 3), ag.zeros(3, 2)), "offs says where"),
        (lambda: F.grouped_mm(ag.zeros(4, 3), ag.zeros(2, 3, 2), offs=ag.tensor([1, 5])), "do not fall, up to 4"),
        (lambda: F.grouped_mm(ag.zeros(4, 3), ag.zeros(2, 3, 2), offs=ag.tensor([4])), "must be 2 ends"),
        (lambda: F.pad(ag.zeros(2, 3), (1, 1), "mirror"), "mode must be 'constant', 'reflect'"),
        (lambda: F.pad(ag.zeros(2, 3), (1, 1), "reflect", 2.0), "a value belongs to mode='constant'"),
        (lambda: F.pad(ag.zeros(2, 3), (3, 0), "reflect"), r"shorter than the axis; got \(3, 0\) for dim -1"),
        (lambda: F.pad(ag.zeros(2, 3), (4, 0), "circular"), "no longer than what they go round"),
        (lambda: F.pad(ag.zeros(2, 0), (1, 0), "replicate"), "at least one entry inside"),
        (lambda: F.pad(ag.zeros(2, 3), (1,), "replicate"), "two numbers for each of at most 2 axes"),
        (lambda: F.pdist(ag.zeros(2, 3, 4)), "pdist: needs a matrix"),
        (lambda: F.conv_tbc(ag.zeros(2, 3), ag.zeros(3, 3, 4), ag.zeros(4)), r"conv_tbc: needs input \(T, N, C\)"),
    ],
)
def test_errors_say_what_was_given(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_groups_end_where_offs_says():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((2, 3, 4))
    y = F.grouped_mm(ag.tensor(a), ag.tensor(b), offs=ag.tensor([2, 5])).numpy()
    np.testing.assert_allclose(y, np.concatenate([a[:2] @ b[0], a[2:5] @ b[1], np.zeros((2, 4))]))
    assert ag.gradcheck(
        lambda x, w: F.grouped_mm(x, w, offs=ag.tensor([2, 5])),
        [ag.tensor(a, requires_grad=True), ag.tensor(b, requires_grad=True)],
    )
