"""Recurrent networks: kernels against their references, functions against PyTorch, and what must hold on its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.kernels import recurrent as kernel
from autograd_core.kernels._jit import COMPILED
from autograd_core.kernels._threads import get_num_threads, set_num_threads

KINDS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


def draw(seed, dtype):
    """Small numbers of a shape, some of them in odd places in memory."""
    rng = np.random.default_rng(seed)

    def array(*shape):
        a = (rng.standard_normal(shape) * 0.5).astype(dtype)
        return [a, np.asfortranarray(a), np.ascontiguousarray(a[::-1])[::-1]][seed % 3]

    return array


def kernels(name, array, sizes, inputs, h, reverse):
    """Arguments of the kernel of a kind, and of its pull without what the forward run gives."""
    n, k, batch = sum(sizes), KINDS[name] * h, sizes[0] if sizes else 2
    x, v, w, h0 = array(n, inputs), array(k, inputs), array(k, h), array(batch, h)
    after = (sizes, reverse) + ((name == "rnn_relu",) if name.startswith("rnn") else ())
    first = {"lstm": (array(k), h0, array(batch, h)), "gru": (array(k), array(k), h0)}.get(name, (array(k), h0))
    arrives = (array(n, h), array(batch, h)) + ((array(batch, h),) if name == "lstm" else ())
    return name.partition("_")[0], (x, v, *first, w, *after), (arrives, (w, *after))


def both(name, arguments, way):
    """All results of a kernel and of its pull."""
    name, forward, (arrives, after) = arguments
    found = getattr(getattr(kernel, name), way)(*forward)
    saved = getattr(kernel, name).reference(*forward)[-1]
    return [*found, *getattr(getattr(kernel, f"{name}_pull"), way)(*arrives, saved, *after)]


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5).map(lambda s: tuple(sorted(s, reverse=True)))


@compiled
@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 99), SIZES | st.just((0, 0)), st.integers(0, 40), st.integers(0, 40), st.sampled_from("fd"),
    st.booleans(), st.sampled_from(list(KINDS)),
)  # fmt: skip
def test_kernels_equal_their_references(seed, sizes, inputs, h, dtype, reverse, name):
    arguments = kernels(name, draw(seed, dtype), sizes, inputs, h, reverse)
    tolerance = 3e-4 if dtype == "f" else 1e-11
    for ours, expected in zip(both(name, arguments, "compiled"), both(name, arguments, "reference"), strict=True):
        assert ours.dtype == expected.dtype == dtype
        np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)


@compiled
@pytest.mark.parametrize("name", KINDS)
def test_a_row_with_nan_stays_alone(name):
    arguments = kernels(name, draw(0, "f"), (20, 20, 20), 3, 17, False)
    arguments[1][0][21, 1] = np.nan  # row 1 of step 1
    hs, *_ = getattr(kernel, arguments[0]).compiled(*arguments[1])
    wrong = np.isnan(hs).all(1)
    assert wrong.tolist() == np.isnan(hs).any(1).tolist() == [i in (21, 41) for i in range(60)]


@compiled
@pytest.mark.parametrize("name", KINDS)
def test_the_number_of_threads_changes_no_bit(name):
    arguments = kernels(name, draw(0, "f"), (90, 90, 60, 7), 30, 50, True)
    usual, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(both(name, arguments, "compiled"))
    finally:
        set_num_threads(usual)
    for results in found[1:]:
        for a, b in zip(results[:-1], found[0][:-1], strict=True):  # the last is NumPy's product
            np.testing.assert_array_equal(a, b)


# --- functions -------------------------------------------------------------------------------------------------------

LAYERS = [
    {}, {"bidirectional": True}, {"num_layers": 2}, {"num_layers": 3, "bidirectional": True},
    {"has_biases": False}, {"batch_first": True, "num_layers": 2},
]  # fmt: skip


def weights(name, rng, inputs, h, num_layers=1, bidirectional=False, has_biases=True, project=0, **_):
    """All weights of a network."""
    params, k, directions, out = [], KINDS[name] * h, 1 + bidirectional, project or h
    for layer in range(num_layers):
        for _ in range(directions):
            shapes = [(k, inputs if layer == 0 else out * directions), (k, out)]
            shapes += [(k,), (k,)] * has_biases + [(h, h)] * 0 + ([(out, h)] if project else [])
            params += [rng.standard_normal(s) * 0.5 for s in shapes]
    return params


def results_of(run, name, x, states, params, **options):
    """All results as a list."""
    hx = states if name == "lstm" else states[0]
    return list(run(x, hx, params, **options))


def compare(torch, f, name, x, states, params, second=True, **options):
    """Values, gradients and second gradients here and in PyTorch."""
    theirs = getattr(torch, name)
    defaults = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": True, "bidirectional": False}
    ours = [ag.tensor(a, requires_grad=True) for a in (x, *states, *params)]
    others = [torch.tensor(a, requires_grad=True) for a in (x, *states, *params)]
    n = len(states)
    ys = results_of(f, name, ours[0], ours[1 : 1 + n], ours[1 + n :], **options)
    full = {**defaults, **({} if "batch_sizes" in options else {"batch_first": False}), **options}
    args = [full.pop("batch_sizes")] if "batch_sizes" in full else []
    if args:
        hx = others[1 : 1 + n] if name == "lstm" else others[1]
        zs = theirs(others[0], torch.tensor(args[0]), hx, others[1 + n :], *full.values())
    else:
        zs = results_of(theirs, name, others[0], others[1 : 1 + n], others[1 + n :], **full)
    rng = np.random.default_rng(7)
    seeds = [rng.standard_normal(tuple(z.shape)) for z in zs]
    for y, z in zip(ys, zs, strict=True):
        np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-10, atol=1e-12)
    gs = ag.gradient(ys, ours, [ag.tensor(s) for s in seeds], create_graph=second)
    hs = torch.autograd.grad(zs, others, [torch.tensor(s) for s in seeds], create_graph=second)
    for g, h in zip(gs, hs, strict=True):
        np.testing.assert_allclose(g.value, h.detach().numpy(), rtol=1e-9, atol=1e-11)
    if second:
        (sum((g**3).sum() for g in gs)).backward()
        sum((h**3).sum() for h in hs).backward()
        for a, b in zip(ours, others, strict=True):
            np.testing.assert_allclose(a.grad.value, b.grad.numpy(), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("options", LAYERS)
def test_networks_are_those_of_pytorch(name, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    shape = (2, 4, 3) if options.get("batch_first") else (4, 2, 3)
    layers = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    states = [rng.standard_normal((layers, 2, 5)) for _ in range(1 + (name == "lstm"))]
    params = weights(name, rng, 3, 5, **options)
    compare(torch, getattr(ag, name), name, rng.standard_normal(shape), states, params, **options)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
def test_packed_sequences_are_those_of_pytorch(name, options):
    torch = pytest.importorskip("torch")
    rng, sizes = np.random.default_rng(2), [3, 3, 2, 1, 1]
    layers = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    states = [rng.standard_normal((layers, 3, 4)) for _ in range(1 + (name == "lstm"))]
    params, data = weights(name, rng, 3, 4, **options), rng.standard_normal((10, 3))
    f = lambda x, hx, params, batch_sizes, **rest: getattr(ag, name)(x, np.array(batch_sizes), hx, params, **rest)
    compare(torch, f, name, data, states, params, second=False, batch_sizes=sizes, **options)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
def test_projections_are_those_of_pytorch(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    layers = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    states = [rng.standard_normal((layers, 2, 3)), rng.standard_normal((layers, 2, 5))]
    params = weights("lstm", rng, 4, 5, project=3, **options)
    compare(torch, ag.lstm, "lstm", rng.standard_normal((4, 2, 4)), states, params, second=False, **options)


@pytest.mark.parametrize("name", KINDS)
def test_cells_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    rng, call = np.random.default_rng(4), f"{name}_cell"
    params = weights(name, rng, 3, 4)
    x, states = rng.standard_normal((5, 3)), [rng.standard_normal((5, 4)) for _ in range(1 + (name == "lstm"))]
    for chosen in (params, params[:2]):
        ours = [ag.tensor(a, requires_grad=True) for a in (x, *states, *chosen)]
        others = [torch.tensor(a, requires_grad=True) for a in (x, *states, *chosen)]
        pack = lambda v: (v[0], tuple(v[1:3]), *v[3:]) if name == "lstm" else v
        y, z = getattr(ag, call)(*pack(ours)), getattr(torch, call)(*pack(others))
        ys, zs = (y, z) if name == "lstm" else ([y], [z])
        sum((v * v).sum() for v in ys).backward()
        sum((v * v).sum() for v in zs).backward()
        for a, b in zip(ys, zs, strict=True):
            np.testing.assert_allclose(a.value, b.detach().numpy(), rtol=1e-12)
        for a, b in zip(ours, others, strict=True):
            np.testing.assert_allclose(a.grad.value, b.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_dropout_between_layers():
    rng = np.random.default_rng(5)
    params, x = weights("gru", rng, 3, 4, num_layers=2), rng.standard_normal((5, 2, 3))
    run = lambda **options: ag.gru(ag.tensor(x), np.zeros((2, 2, 4)), params, num_layers=2, **options)[0].numpy()
    np.testing.assert_array_equal(run(dropout=0.5), run())  # not in training
    ag.manual_seed(0)
    a, b = run(dropout=0.5, train=True), run(dropout=0.5, train=True)
    assert not np.allclose(a, b) and not np.allclose(a, run())
    ag.manual_seed(0)
    np.testing.assert_array_equal(a, run(dropout=0.5, train=True))


@pytest.mark.parametrize("name", KINDS)
def test_one_step_is_the_formula(name):
    """Without PyTorch: h' from the definition, one unit."""
    rng = np.random.default_rng(6)
    x, h, c = rng.standard_normal((1, 1, 2)), rng.standard_normal((1, 1, 1)), rng.standard_normal((1, 1, 1))
    v, w, p, q = params = weights(name, rng, 2, 1)
    a, b = v @ x[0, 0] + p, w @ h[0, 0] + q
    s = lambda z: 1 / (1 + np.exp(-z))
    if name == "lstm":
        i, f, g, o = a + b
        expected = s(o) * np.tanh(s(f) * c[0, 0, 0] + s(i) * np.tanh(g))
    elif name == "gru":
        r, z = s(a[:2] + b[:2])
        expected = (1 - z) * np.tanh(a[2] + r * b[2]) + z * h[0, 0, 0]
    else:
        expected = np.tanh(a + b)[0] if name == "rnn_tanh" else max((a + b)[0], 0)
    y = getattr(ag, name)(x, (h, c) if name == "lstm" else h, params)[0]
    np.testing.assert_allclose(y[0, 0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh"])
def test_transforms(name):
    """Forward mode against differences, a batch against a loop, and the gradient of third order against differences."""
    rng = np.random.default_rng(8)
    params = weights(name, rng, 2, 3)
    states = [rng.standard_normal((1, 2, 3)) for _ in range(1 + (name == "lstm"))]
    run = lambda x, w=params[1]: getattr(ag, name)(
        x, states if name == "lstm" else states[0], [params[0], w, *params[2:]]
    )[0]
    x, u = rng.standard_normal((3, 2, 2)), rng.standard_normal((3, 2, 2))
    _, tangent = ag.jvp(run, (x,), (u,))
    np.testing.assert_allclose(tangent, (run(x + 1e-5 * u) - run(x - 1e-5 * u)) / 2e-5, rtol=1e-6, atol=1e-8)
    xs = rng.standard_normal((4, 3, 2, 2))
    np.testing.assert_allclose(ag.vmap(run)(xs), np.stack([run(v) for v in xs]), rtol=1e-12)
    ws = rng.standard_normal((2, *params[1].shape))
    np.testing.assert_allclose(ag.vmap(run, in_dims=(None, 0))(x, ws), np.stack([run(x, w) for w in ws]), rtol=1e-12)
    f = lambda t: (run(x + t * u) ** 2).sum()
    second, third = ag.grad(ag.grad(f)), ag.grad(ag.grad(ag.grad(f)))
    np.testing.assert_allclose(third(0.3), (second(0.3 + 1e-5) - second(0.3 - 1e-5)) / 2e-5, rtol=1e-5)
    np.testing.assert_allclose(ag.jvp(ag.grad(f), (0.3,), (1.0,))[1], second(0.3), rtol=1e-9)


X, H = np.zeros((4, 2, 3)), np.zeros((1, 2, 5))
GRU = [np.zeros((15, 3)), np.zeros((15, 5)), np.zeros(15), np.zeros(15)]
MISUSES = [
    (lambda: ag.gru(X[0], H, GRU), ValueError, r"gru: input must have 3 axes, .* got shape \(2, 3\)"),
    (lambda: ag.gru(X[:0], H, GRU), ValueError, "gru: the sequences have no steps"),
    (lambda: ag.gru(X, H[0], GRU), ValueError, r"gru: h0 must be \(1, batch, size\), got \(2, 5\)"),
    (lambda: ag.gru(X, H, GRU[:3]), ValueError, "gru: 1 times 4 weights are needed .* got 3"),
    (
        lambda: ag.gru(X, H, [GRU[0][:, :2], *GRU[1:]]),
        ValueError,
        r"gru: w_ih number 0 must be \(15, 3\), got \(15, 2\)",
    ),
    (lambda: ag.gru(X.astype("f"), H, GRU), TypeError, "gru: w_ih is float64, input is float32"),
    (lambda: ag.gru(X, H, GRU, colour=1), TypeError, "gru: takes"),
    (lambda: ag.gru(X), TypeError, "gru: hx is missing"),
    (lambda: ag.gru(X[0], np.array([1, 2]), H, GRU), ValueError, "gru: batch_sizes must be positive, not rise"),
    (lambda: ag.gru_cell(X, H[0], *GRU), ValueError, r"gru_cell: input must be \(batch, size\), got \(4, 2, 3\)"),
]


@pytest.mark.parametrize("call, kind, text", MISUSES)
def test_misuse(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
