"""Losses against torch, in value and in gradients of first and second order; closed forms, shapes, errors."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.ops import ctc, losses

RNG = np.random.default_rng(5)
normal, uniform = RNG.standard_normal, RNG.uniform
REDUCTIONS = ["none", "mean", "sum"]


def derivatives(f, arrays, seed, engine, order=2):
    """The value of f, its gradients, and gradients of a weighted sum of these."""
    rng = np.random.default_rng(seed)
    weigh = lambda t: (t * engine(rng.standard_normal(tuple(t.shape)))).sum()
    xs = [engine(a, True) if a.dtype.kind == "f" else engine(a) for a in arrays]
    wanted = [x for x, a in zip(xs, arrays) if a.dtype.kind == "f"]
    y = f(*xs)
    first = pulled(weigh(y), wanted)
    if order == 1:
        return [y, *first]
    second = sum((weigh(g) for g in first if g is not None), 0 * y.sum())
    return [y, *first, *pulled(second, wanted)]


def pulled(y, xs):
    gradient = ag.gradient if isinstance(y, ag.Tensor) else __import__("torch").autograd.grad
    return gradient(y, xs, create_graph=True, allow_unused=True)


def ours(a, wanted=False):
    return ag.tensor(a, requires_grad=wanted)


def theirs(a, wanted=False):
    torch = pytest.importorskip("torch")
    return torch.tensor(a, requires_grad=wanted)


def agree(f, g, arrays, order=2, rtol=1e-9, atol=1e-10):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = zip(derivatives(f, arrays, 3, ours, order), derivatives(g, arrays, 3, theirs, order))
    for k, (a, b) in enumerate(pairs):
        a = np.zeros(()) if a is None else a.detach().numpy()
        b = np.zeros(()) if b is None else b.detach().numpy()
        np.testing.assert_allclose(*np.broadcast_arrays(a, b), rtol, atol, err_msg=f"number {k}")


A, B, C = normal((4, 3)), normal((4, 3)) + 0.1, normal((4, 3))
P, Q = uniform(0.05, 0.95, (4, 3)), uniform(0.05, 0.95, (4, 3))
SIGNS, ROW_SIGNS = RNG.choice([-1.0, 1.0], (4, 3)), RNG.choice([-1, 1], 4)
COUNTS = RNG.integers(0, 5, (4, 3)).astype(float)
W = uniform(0.5, 2, (4, 3))
CASES = [
    ("mse_loss", (A, B), {}),
    ("mse_loss", (A, B), {"weight": W}),
    ("mse_loss", (A, B[0]), {}),
    ("l1_loss", (A, B), {}),
    ("l1_loss", (A, B), {"weight": W}),
    ("smooth_l1_loss", (A, B), {}),
    ("smooth_l1_loss", (A, B), {"beta": 0.3}),
    ("smooth_l1_loss", (A, B), {"beta": 0.0}),
    ("huber_loss", (A, B), {"delta": 0.7}),
    ("huber_loss", (A, B), {"weight": W}),
    ("binary_cross_entropy", (P, Q), {}),
    ("binary_cross_entropy", (P, Q), {"weight": W}),
    ("binary_cross_entropy_with_logits", (A, Q), {}),
    ("binary_cross_entropy_with_logits", (A, Q), {"weight": W}),
    ("binary_cross_entropy_with_logits", (A, Q), {"pos_weight": uniform(0.5, 2, 3)}),
    ("kl_div", (np.log(P), Q), {}),
    ("kl_div", (np.log(P), np.log(Q)), {"log_target": True}),
    ("poisson_nll_loss", (A, COUNTS), {}),
    ("poisson_nll_loss", (P, COUNTS.astype(int)), {"log_input": False, "full": True}),
    ("gaussian_nll_loss", (A, B, W), {}),
    ("gaussian_nll_loss", (A, B, W[:, 0]), {"full": True}),
    ("gaussian_nll_loss", (A, B, W[:, :1] * 0.01), {"eps": 0.011}),
    ("hinge_embedding_loss", (A, SIGNS.astype(int)), {"margin": 0.5}),
    ("margin_ranking_loss", (A, B, SIGNS.astype(int)), {"margin": 0.2}),
    ("cosine_embedding_loss", (A, B, ROW_SIGNS), {"margin": -0.2}),
    ("cosine_embedding_loss", (A[0], B[0], ROW_SIGNS[0]), {}),
    ("soft_margin_loss", (A, SIGNS.astype(int)), {}),
    ("multi_margin_loss", (A, np.array([0, 2, 1, 1])), {}),
    ("multi_margin_loss", (A, np.array([0, 2, 1, 1])), {"p": 2, "margin": 0.6, "weight": uniform(0.5, 2, 3)}),
    ("multi_margin_loss", (A[0], np.array([1])), {}),
    ("multilabel_margin_loss", (A, np.array([[0, 2, -1], [-1, 0, 1], [2, 1, 0], [1, -1, 2]])), {}),
    ("multilabel_margin_loss", (A[0], np.array([0, 2, -1])), {}),
    ("multilabel_soft_margin_loss", (A, (Q > 0.5).astype(float)), {}),
    ("multilabel_soft_margin_loss", (A, (Q > 0.5).astype(float)), {"weight": uniform(0.5, 2, 3)}),
    ("triplet_margin_loss", (A, B, C), {}),
    ("triplet_margin_loss", (A, B, C), {"p": 3, "swap": True, "margin": 0.5}),
    ("triplet_margin_with_distance_loss", (A, B, C), {"swap": True}),
]
ONCE = {"multi_margin_loss", "multilabel_margin_loss"}  # which PyTorch cannot differentiate twice


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, arrays, options", CASES)
def test_agrees_with_torch(name, arrays, options, reduction):
    functional = pytest.importorskip("torch").nn.functional
    given = {k: theirs(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    agree(
        lambda *xs: getattr(losses, name)(*xs, reduction=reduction, **options),
        lambda *xs: getattr(functional, name)(*xs, reduction=reduction, **given),
        arrays,
        order=1 if name in ONCE else 2,
    )


SHAPES = [(5, 4), (2, 3, 4), (2, 3, 2, 2), (1, 1), (6,)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_classes(shape, weighted, smoothing, reduction):
    functional = pytest.importorskip("torch").nn.functional
    classes = shape[1] if len(shape) > 1 else shape[0]
    target = RNG.integers(0, classes, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    if target.size > 2:
        target.flat[1] = -100
    weight = uniform(0.5, 2, classes) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    agree(
        lambda x: losses.cross_entropy(x, target, weight, **options),
        lambda x: functional.cross_entropy(x, theirs(target), weight if weight is None else theirs(weight), **options),
        [normal(shape) * 3],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_of_probabilities(shape, reduction):
    functional = pytest.importorskip("torch").nn.functional
    weight = uniform(0.5, 2, shape[1] if len(shape) > 1 else shape[0])
    options = {"reduction": reduction, "label_smoothing": 0.1}
    agree(
        lambda x, t: losses.cross_entropy(x, t, weight, **options),
        lambda x, t: functional.cross_entropy(x, t, theirs(weight), **options),
        [normal(shape) * 3, uniform(0, 1, shape)],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_nll(shape, weighted, reduction):
    functional = pytest.importorskip("torch").nn.functional
    classes = shape[1] if len(shape) > 1 else shape[0]
    target = RNG.integers(0, classes, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    weight = uniform(0.5, 2, classes) if weighted else None
    agree(
        lambda x: losses.nll_loss(x * x, target, weight, ignore_index=0, reduction=reduction).nan_to_num(),
        lambda x: functional.nll_loss(
            x * x, theirs(target), weight if weight is None else theirs(weight), ignore_index=0, reduction=reduction
        ).nan_to_num(),
        [normal(shape)],
    ) if (target != 0).any() else None


def test_cross_entropy_by_hand():
    x = ag.tensor([[1.0, 2.0, 0.5], [0.1, -1.0, 3.0]], dtype=ag.float64, requires_grad=True)
    loss = losses.cross_entropy(x, ag.tensor([1, 2]))
    e = np.exp(x.detach().numpy())
    p = e / e.sum(1, keepdims=True)
    assert loss.item() == pytest.approx(-np.log(p[[0, 1], [1, 2]]).mean(), rel=1e-14)
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), (p - [[0, 1, 0], [0, 0, 1]]) / 2, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extremes(dtype):
    x = ag.tensor(np.array([[1000, 0, -1000], [-np.inf, 0, 1], [80, 80, 80]], dtype), requires_grad=True)
    y = losses.cross_entropy(x, ag.tensor([0, 2, 1]), reduction="sum")
    assert y.dtype == dtype and y.item() == pytest.approx(math.log(1 + math.exp(-1)) + math.log(3), rel=1e-6)
    y.backward()
    assert np.isfinite(x.grad.numpy()).all() and x.grad.numpy()[1, 0] == 0


def test_nothing_counts():
    x = ag.tensor(np.ones((2, 3)), requires_grad=True)
    y = losses.cross_entropy(x, ag.tensor([-100, -100]))
    assert np.isnan(y.item())
    y.backward()
    assert np.array_equal(x.grad.numpy(), np.zeros((2, 3)))
    assert np.isnan(losses.cross_entropy(ag.zeros(0, 3), ag.zeros(0, dtype=ag.int64)).item())
    assert losses.cross_entropy(ag.zeros(0, 3), ag.zeros(0, dtype=ag.int64), reduction="sum").item() == 0


def test_losses_in_float32_stay_float32_and_agree_with_float64():
    for name, arrays, options in CASES:
        if not options:
            f = getattr(losses, name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wide = [ag.tensor(np.asarray(a)) for a in arrays]
                narrow = f(*[a.float() if a.dtype.kind == "f" else a for a in wide])
                expected = f(*wide).numpy()
            assert narrow.dtype == np.float32, name
            np.testing.assert_allclose(narrow.numpy(), expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("size", [1, 100, 40_000, 200_001])
def test_sums_of_long_inputs(size):
    a, b = normal(size).astype("f"), normal(size).astype("f")
    wide = a.astype("d") - b
    np.testing.assert_allclose(losses.mse_loss(a, b), (wide * wide).mean(), rtol=2e-6)
    t = (b > 0).astype("f")
    each = np.logaddexp(0, a.astype("d")) - a * t
    np.testing.assert_allclose(losses.binary_cross_entropy_with_logits(a, t), each.mean(), rtol=2e-6)


def test_logits_are_stable():
    x = ag.tensor(np.array([-1000.0, 1000.0, 0.0]), requires_grad=True)
    for options in ({}, {"pos_weight": np.array(1.0)}):
        y = losses.binary_cross_entropy_with_logits(x, np.array([0.0, 1.0, 1.0]), reduction="sum", **options)
        assert y.item() == pytest.approx(math.log(2))
        (g,) = ag.gradient(y, [x])
        np.testing.assert_allclose(g.numpy(), [0, 0, -0.5], atol=1e-15)


def test_per_member_gradients():
    x, t, w = normal((3, 4)), RNG.integers(0, 2, 3), normal((4, 2))
    f = lambda w, x, t: losses.cross_entropy((x @ w).reshape(1, 2), t.reshape(1))
    members = ag.vmap(ag.grad(f), (None, 0, 0))(ag.tensor(w), ag.tensor(x), ag.tensor(t)).numpy()
    for k in range(3):
        alone = ag.grad(f)(ag.tensor(w), ag.tensor(x[k]), ag.tensor(t[k])).numpy()
        np.testing.assert_allclose(members[k], alone, rtol=1e-12)


def test_distances():
    functional = pytest.importorskip("torch").nn.functional
    agree(losses.cosine_similarity, functional.cosine_similarity, [A, B])
    agree(
        lambda a, b: losses.cosine_similarity(a, b, 0), lambda a, b: functional.cosine_similarity(a, b, 0), [A, B[0:1]]
    )
    agree(losses.pairwise_distance, functional.pairwise_distance, [A, B])
    agree(
        lambda a, b: losses.pairwise_distance(a, b, 1.0, keepdim=True),
        lambda a, b: functional.pairwise_distance(a, b, 1.0, keepdim=True),
        [A, B],
    )
    assert ag.cosine_similarity(np.zeros(3), np.ones(3), dim=0) == 0
    assert ag.cosine_similarity(np.array([1e-9, 0]), np.array([1.0, 0]), dim=0) == pytest.approx(0.1)


# --- connectionist temporal classification ---------------------------------------------------------------------------


def ways(labels, length):
    """All sequences of classes 0, 1, 2 that become these labels without repetitions and blanks."""
    short = lambda path: [k for k, _ in itertools.groupby(path) if k]
    return [path for path in itertools.product(range(3), repeat=length) if short(path) == list(labels)]


@pytest.mark.parametrize("labels, length", [((1, 2), 4), ((1, 1), 4), ((2,), 3), ((), 2), ((1, 2, 1), 3), ((1, 1), 2)])
def test_ctc_counts_all_ways(labels, length):
    logs = np.log(RNG.dirichlet(np.ones(3), length))
    expected = sum(np.exp(sum(logs[t, k] for t, k in enumerate(path))) for path in ways(labels, length))
    y = ctc.ctc_loss(logs, np.array(labels, int), np.array(length), np.array(len(labels)), reduction="none")
    np.testing.assert_allclose(np.exp(-y), expected, rtol=1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("joined", [False, True])
def test_ctc_agrees_with_torch(joined, reduction):
    functional = pytest.importorskip("torch").nn.functional
    scores, labels = normal((7, 3, 5)), RNG.integers(0, 4, (3, 4))
    times, lengths = np.array([7, 5, 6]), np.array([3, 2, 0])
    targets = np.concatenate([r[:n] for r, n in zip(labels, lengths)]) if joined else labels
    options = {"blank": 4, "reduction": reduction}
    f = lambda x: ctc.ctc_loss(ag.log_softmax(x, 2), targets, times, lengths, **options)
    g = lambda x: functional.ctc_loss(x.log_softmax(2), *map(theirs, (targets, times, lengths)), **options)
    x, t = ours(scores, True), theirs(scores, True)
    y, z = f(x), g(t)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-12)
    y.sum().backward(), z.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), atol=1e-13)


def test_ctc_of_what_cannot_be():
    logs = ag.log_softmax(ag.tensor(normal((2, 1, 3)), requires_grad=True), 2)
    args = np.array([[1, 1, 2]]), (2,), (3,)
    assert ctc.ctc_loss(logs, *args, reduction="sum").item() == math.inf
    y = ctc.ctc_loss(logs, *args, reduction="sum", zero_infinity=True)
    (g,) = ag.gradient(y, [logs])
    assert y.item() == 0 and not g.numpy().any()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("joined", [False, True])
def test_ctc_of_a_batch_of_batches(joined, reduction):
    """Labels of their own for each member, and further derivatives."""
    logs, labels = ag.tensor(normal((3, 6, 2, 5))), ag.tensor(RNG.integers(1, 5, (3, 5) if joined else (3, 2, 3)))
    lengths = (2, 3) if joined or reduction == "none" else (3, 1)
    f = lambda x, t: ctc.ctc_loss(ag.log_softmax(x, -1), t, (6, 5), lengths, reduction=reduction)
    loss = lambda x, t: f(x, t).sum()
    tangent = ag.tensor(normal((6, 2, 5)))
    for g in (f, ag.grad(loss), lambda x, t: ag.jvp(lambda x: ag.grad(loss)(x, t), (x,), (tangent,))[1]):
        for axes in ((0, 0), (None, 0), (0, None)):
            given = [a if axis == 0 else a[0] for a, axis in zip((logs, labels), axes)]
            one = lambda k: g(*(a[k] if axis == 0 else a for a, axis in zip(given, axes)))  # noqa: B023
            wanted = np.stack([one(k).detach().numpy() for k in range(3)])
            np.testing.assert_allclose(ag.vmap(g, in_dims=axes)(*given).detach().numpy(), wanted, rtol=1e-9, atol=1e-12)


# --- errors ----------------------------------------------------------------------------------------------------------

X23, ROW = ag.tensor(normal((2, 3))), ag.tensor([0, 1])
ERRORS = [
    (lambda: losses.mse_loss(X23, X23, reduction="x"), ValueError, "^mse_loss: reduction must be 'none', 'mean' or"),
    (lambda: losses.mse_loss(X23, ag.zeros(2)), ValueError, r"^mse_loss: input is \(2, 3\), target is \(2,\)"),
    (lambda: losses.mse_loss(X23, X23, weight=ROW), ValueError, r"^mse_loss: weight is \(2,\), but input is \(2, 3\)"),
    (lambda: losses.cross_entropy(X23, ag.tensor([0])), ValueError, r"^cross_entropy: .* must be \(2,\), got \(1,\)"),
    (lambda: losses.cross_entropy(X23, ag.tensor([0, 3])), IndexError, "^cross_entropy: target 3 is no class: .* 3 of"),
    (lambda: losses.cross_entropy(X23, ag.zeros(2)), TypeError, "^cross_entropy: class indices must be integers"),
    (lambda: losses.cross_entropy(X23, ROW, ROW), ValueError, r"^cross_entropy: weight is \(2,\), but there are 3"),
    (lambda: losses.cross_entropy(X23, ROW, label_smoothing=2), ValueError, "^cross_entropy: label_smoothing must be"),
    (lambda: losses.cross_entropy(X23.long(), ROW), TypeError, "^cross_entropy: input must be floating-point"),
    (lambda: losses.nll_loss(X23, ag.tensor([0, -1])), IndexError, "target -1 is no class"),
    (
        lambda: losses.binary_cross_entropy(X23 * 9, X23),
        ValueError,
        "^binary_cross_entropy: all of input must be from 0",
    ),
    (lambda: losses.binary_cross_entropy_with_logits(X23, X23[0]), ValueError, "^binary_cross_entropy_with_logits: in"),
    (lambda: losses.huber_loss(X23, X23, delta=0), ValueError, "^huber_loss: delta must be positive"),
    (lambda: losses.smooth_l1_loss(X23, X23, beta=-1), ValueError, "^smooth_l1_loss: beta must not be negative"),
    (lambda: losses.gaussian_nll_loss(X23, X23, -1.0), ValueError, "^gaussian_nll_loss: var has negative entries"),
    (lambda: losses.gaussian_nll_loss(X23, X23, ag.ones(4)), ValueError, r"^gaussian_nll_loss: var is \(4,\)"),
    (lambda: losses.margin_ranking_loss(X23, X23, ROW), ValueError, "^margin_ranking_loss: inputs and target must"),
    (lambda: losses.cosine_embedding_loss(X23, X23, X23), ValueError, "^cosine_embedding_loss: needs"),
    (lambda: losses.multi_margin_loss(X23, ROW, p=3), ValueError, "^multi_margin_loss: p must be 1 or 2"),
    (lambda: losses.triplet_margin_loss(X23, X23, X23, margin=0), ValueError, "^triplet_margin_loss: margin must be"),
    (lambda: ctc.ctc_loss(X23, ROW, (2,), (3,)), ValueError, "^ctc_loss: 2 targets, but target_lengths add up to 3"),
    (lambda: ctc.ctc_loss(X23, ROW, (3,), (2,)), ValueError, "^ctc_loss: input_lengths must be from 0 to 2"),
    (lambda: ctc.ctc_loss(X23, ROW, (2,), (2,), blank=3), ValueError, "^ctc_loss: blank must be one of the 3"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_misuse_is_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@given(st.integers(0, 5), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_cross_entropy_on_any_layout(rows, classes, inner, seed):
    rng = np.random.default_rng(seed)
    x = np.moveaxis(rng.standard_normal((rows, inner, classes)), -1, 1)[:, ::-1]
    target = rng.integers(0, classes, (rows, inner))
    logs = x - np.logaddexp.reduce(x, axis=1, keepdims=True)
    expected = -np.take_along_axis(logs, target[:, None], 1)[:, 0]
    np.testing.assert_allclose(losses.cross_entropy(x, target, reduction="none"), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(losses.nll_loss(logs, target, reduction="none"), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("input, target", [([0.5], [2.0]), ([0.5], [-0.1]), ([0.5], [math.nan]), ([1.5], [1.0])])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_wants_probabilities(input, target, reduction):
    """Also in a replay, which has seen better ones."""
    loss = lambda x, t: losses.binary_cross_entropy(x, t, reduction=reduction)
    replayed, good = ag.compile(loss), (ag.tensor([0.5], requires_grad=True), ag.tensor([1.0]))
    for _ in range(5):
        replayed(*good)
    assert replayed.cache_info().replays
    for call in (loss, replayed):
        with pytest.raises(ValueError, match="all of (input|target) must be from 0 to 1"):
            call(ag.tensor(input), ag.tensor(target))


@pytest.mark.parametrize("far", [1e2, 1e5, 1e30])
def test_the_gradient_of_cross_entropy_is_right_for_large_scores(far):
    x = ag.tensor(np.float32([[far, far, 0]]), requires_grad=True)
    losses.cross_entropy(x, ag.tensor([0])).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-0.5, 0.5, 0]], atol=1e-6)
    image = ag.tensor(np.float32([far, far, 0]).reshape(1, 3, 1, 1), requires_grad=True)
    losses.cross_entropy(image, ag.tensor([[[0]]])).backward()
    np.testing.assert_allclose(image.grad.numpy().ravel(), [-0.5, 0.5, 0], atol=1e-6)
