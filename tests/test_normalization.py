"""Normalisation against torch, in value and in gradients of first and second order; precision, statistics, errors."""

import itertools

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops import normalization as norms

RNG = np.random.default_rng(8)
normal, uniform = RNG.standard_normal, RNG.uniform


def derivatives(f, arrays, engine, gradient):
    """The value of f, its gradients, and gradients of a weighted sum of these."""
    rng = np.random.default_rng(3)
    weigh = lambda t: (t * engine(rng.standard_normal(tuple(t.shape)))).sum()
    xs = [engine(a, True) for a in arrays]
    y = f(*xs)
    first = gradient(weigh(y), xs, create_graph=True)
    total = sum(map(weigh, first))
    return [y, *first, *(gradient(total, xs, allow_unused=True) if total.requires_grad else ())]


def agree(f, g, arrays, rtol=1e-8, atol=1e-9):
    torch = pytest.importorskip("torch")
    mine = derivatives(f, arrays, lambda a, wanted=False: ag.tensor(a, requires_grad=wanted), ag.gradient)
    others = derivatives(g, arrays, lambda a, wanted=False: torch.tensor(a, requires_grad=wanted), torch.autograd.grad)
    for k, (a, b) in enumerate(zip(mine, others)):
        a, b = (np.zeros(()) if v is None else v.detach().numpy() for v in (a, b))
        np.testing.assert_allclose(*np.broadcast_arrays(a, b), rtol, atol, err_msg=f"number {k}")


def functional():
    return pytest.importorskip("torch").nn.functional


def parts(size, affine):
    """So many of weight and bias."""
    return [normal(size) + 2 for _ in range(affine)]


@pytest.mark.parametrize("affine", [0, 1, 2])
@pytest.mark.parametrize("shape, last", [((5, 4), 1), ((2, 3, 4), 2), ((7,), 1), ((3, 70), 1), ((1, 1, 5), 1)])
def test_layer_norm(shape, last, affine):
    size = shape[-last:]
    agree(
        lambda x, *p: norms.layer_norm(x, size, *p, eps=0.01),
        lambda x, *p: functional().layer_norm(x, size, *p, eps=0.01),
        [normal(shape) * 2 + 1, *parts(size, affine)],
    )


@pytest.mark.parametrize("eps", [None, 0.1])
@pytest.mark.parametrize("affine", [0, 1])
@pytest.mark.parametrize("shape, last", [((5, 4), 1), ((2, 3, 4), 2), ((7,), 1), ((3, 70), 1)])
def test_rms_norm(shape, last, affine, eps):
    size = shape[-last:]
    arrays = [normal(shape) * 2 + 1, *parts(size, affine)]
    f = lambda x, weight=None: norms.rms_norm(x, size, weight, eps)
    g = lambda x, weight=None: functional().rms_norm(x, size, weight, eps)
    agree(f, g, arrays)


@pytest.mark.parametrize("affine", [0, 2])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4), (2, 4, 3, 2)])
def test_group_norm(shape, groups, affine):
    if len(shape) == 2 and groups == 4:
        shape = (2, 8)
    agree(
        lambda x, *p: norms.group_norm(x, groups, *p, eps=0.01),
        lambda x, *p: functional().group_norm(x, groups, *p, eps=0.01),
        [normal(shape) * 2 + 1, *parts(shape[1], affine)],
    )


@pytest.mark.parametrize("affine", [0, 2])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 3, 2), (1, 2, 70)])
def test_instance_norm(shape, affine):
    named = lambda p: dict(zip(("weight", "bias"), p))
    agree(
        lambda x, *p: norms.instance_norm(x, **named(p), eps=0.01),
        lambda x, *p: functional().instance_norm(x, **named(p), eps=0.01),
        [normal(shape) * 2 + 1, *parts(shape[1], affine)],
    )


@pytest.mark.parametrize("affine", [0, 2])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 3, 3, 2), (2, 1, 70)])
def test_batch_norm(shape, training, affine):
    torch = pytest.importorskip("torch")
    mean, var = normal(shape[1]), uniform(0.5, 2, shape[1])
    ours, theirs = (ag.tensor(mean), ag.tensor(var)), (torch.tensor(mean), torch.tensor(var))
    named = lambda p: dict(zip(("weight", "bias"), p)) | {"training": training, "eps": 0.01, "momentum": 0.3}
    agree(
        lambda x, *p: norms.batch_norm(x, *ours, **named(p)),
        lambda x, *p: functional().batch_norm(x, *theirs, **named(p)),
        [normal(shape) * 2 + 1, *parts(shape[1], affine)],
    )
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-13)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics(name):
    torch, x = pytest.importorskip("torch"), normal((3, 4, 5))
    mean, var = normal(4), uniform(0.5, 2, 4)
    given = mean.copy(), var.copy()  # plain arrays are updated as tensors are
    theirs = torch.tensor(mean), torch.tensor(var)
    last = {"training": True} if name == "batch_norm" else {"use_input_stats": True}
    y = getattr(norms, name)(ag.tensor(x), *given, **last, momentum=0.2)
    z = getattr(functional(), name)(torch.tensor(x), *theirs, **last, momentum=0.2)
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-12, atol=1e-12)
    for a, b in zip(given, theirs):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-13)


def test_a_change_of_running_statistics_is_noticed():
    x, mean, var = ag.tensor(normal((5, 3)), requires_grad=True), ag.zeros(3, dtype=ag.float64), ag.ones(3).double()
    before = mean._version
    y = norms.batch_norm(x, mean, var)
    norms.batch_norm(x, mean, var, training=True)
    assert mean._version == before + 1 and mean.numpy().any()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_nothing_is_changed_by_an_error():
    x, mean, var = ag.tensor(normal((5, 3))), ag.zeros(3), ag.ones(3)
    fixed = np.ones(3, "f")
    fixed.flags.writeable = False
    for other, kind in ((fixed, RuntimeError), (ag.ones(3, dtype=ag.int64), TypeError), (ag.ones(2), ValueError)):
        with pytest.raises(kind):
            norms.batch_norm(x, mean, other, training=True)
        assert not mean.numpy().any()
    with pytest.raises(RuntimeError, match="inside vmap"):
        ag.vmap(lambda x: norms.batch_norm(x, mean, var, training=True))(ag.tensor(normal((2, 5, 3))))
    assert not mean.numpy().any()


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_a_large_mean_costs_little(offset):
    x = normal((8, 6, 50)) + offset
    narrow = x.astype("f")
    wide = narrow.astype("d")
    for f in (
        lambda x: norms.layer_norm(x, 50),
        lambda x: norms.group_norm(x, 2),
        lambda x: norms.batch_norm(x, None, None, training=True),
        lambda x: norms.batch_norm(x[:, :, 0], None, None, training=True),
    ):
        np.testing.assert_allclose(f(narrow), f(wide), atol=3e-3)
        d, s = wide - wide.mean(), wide.std()
    np.testing.assert_allclose(norms.layer_norm(narrow.reshape(-1), 2400), (d / s).reshape(-1), atol=2e-3)


def test_constant_rows():
    x = ag.tensor(np.full((2, 3, 4), 7.25, "f"), requires_grad=True)
    for y in (ag.layer_norm(x, 4), ag.group_norm(x, 1), norms.batch_norm(x, None, None, training=True)):
        assert not y.detach().numpy().any()
        (g,) = ag.gradient((y * ag.tensor(normal(y.shape).astype("f"))).sum(), [x])
        assert np.isfinite(g.numpy()).all()


@pytest.mark.parametrize("affine", [0, 2])
def test_forward_mode_and_batches(affine):
    p = [ag.tensor(v) for v in parts(4, affine)]
    x, t = ag.tensor(normal((3, 4, 2))), ag.tensor(normal((3, 4, 2)))
    for f in (
        lambda x: norms.group_norm(x, 2, *p),
        lambda x: norms.batch_norm(x, None, None, *p, training=True),
        lambda x: ag.layer_norm(x.mT, 4, *p),
    ):
        _, forward = ag.jvp(f, (x,), (t,))
        h = 1e-6
        np.testing.assert_allclose(forward.numpy(), (f(x + h * t) - f(x - h * t)).numpy() / (2 * h), atol=1e-7)
        both = ag.stack([x, t])
        np.testing.assert_allclose(ag.vmap(f)(both).numpy(), np.stack([f(x).numpy(), f(t).numpy()]), atol=1e-12)


@pytest.mark.parametrize("p, dim", [(2.0, 1), (1.0, 0), (3.0, -1)])
def test_normalize(p, dim):
    f, g = lambda x: norms.normalize(x, p, dim), lambda x: functional().normalize(x, p, dim)
    agree(f, g, [normal((3, 4, 2))], rtol=1e-7)
    assert not norms.normalize(np.zeros((2, 3)), p, dim).any()


@pytest.mark.parametrize("size, shape", list(itertools.product([1, 2, 3, 5], [(2, 4, 3), (1, 5, 2, 2)])))
def test_local_response_norm(size, shape):
    agree(
        lambda x: norms.local_response_norm(x, size, 0.5, 0.6, 1.2),
        lambda x: functional().local_response_norm(x, size, 0.5, 0.6, 1.2),
        [normal(shape)],
    )


@pytest.mark.parametrize("shape", [(0, 3), (0, 2, 4), (2, 3, 0)])
def test_nothing_to_normalise(shape):
    for y in (
        ag.layer_norm(np.zeros(shape), shape[-1]),
        norms.group_norm(np.zeros(shape), 1),
        norms.batch_norm(np.zeros(shape), None, None, training=True),
    ):
        assert y.shape == shape
    x = ag.zeros(shape, requires_grad=True)
    ag.layer_norm(x, shape[-1], ag.ones(shape[-1]), ag.ones(shape[-1])).sum().backward()
    assert x.grad.shape == shape


X = ag.tensor(normal((2, 3, 4)))
ERRORS = [
    (lambda: ag.layer_norm(X, 3), ValueError, r"^layer_norm: normalized_shape \(3,\) must be .* \(2, 3, 4\)"),
    (lambda: ag.layer_norm(X, (3, 4), ag.ones(4)), ValueError, r"^layer_norm: weight is \(4,\), but normalized_shape"),
    (lambda: ag.layer_norm(X, 1.5), TypeError, "^layer_norm: normalized_shape must be sizes"),
    (lambda: ag.layer_norm(X.long(), 4), TypeError, "^layer_norm: expected floating-point numbers, got int64"),
    (lambda: ag.rms_norm(X, ()), ValueError, "^rms_norm: normalized_shape"),
    (lambda: ag.group_norm(X, 2), ValueError, "^group_norm: 3 channels cannot be divided into num_groups=2"),
    (lambda: ag.group_norm(X, 1, ag.ones(4)), ValueError, r"^group_norm: weight is \(4,\), but input is \(2, 3, 4\)"),
    (lambda: norms.batch_norm(X, None, None), ValueError, "^batch_norm: needs running_mean and running_var"),
    (lambda: norms.batch_norm(X[:1, :, :1], None, None, training=True), ValueError, "more than 1 value per channel"),
    (lambda: norms.batch_norm(X[0, 0], None, None), ValueError, r"^batch_norm: input must be \(N, C, ...\)"),
    (lambda: norms.instance_norm(X[:, :, :1]), ValueError, "^instance_norm: expected more than 1 entry"),
    (lambda: norms.local_response_norm(X[0], 2), ValueError, "^local_response_norm: input must have 3 axes"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_misuse_is_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
