"""What nn.functional has beyond PyTorch: closed forms, figures of books, PyTorch's layers, and gradients twice."""

import heapq
import math

import numpy as np
import pytest

import autograd_core as ag
import nn.functional as F
from autograd_core import random

RNG = np.random.default_rng(8)
normal, uniform = RNG.standard_normal, RNG.uniform


@pytest.fixture(autouse=True)
def seeded():
    with random.fork_rng():
        yield random.manual_seed(3)


def leaf(a):
    return ag.tensor(a, requires_grad=True)


def twice(f, *arrays):
    """Gradients of first and second order are those of differences."""
    assert ag.gradcheck(f, [leaf(a) for a in arrays])
    assert ag.gradgradcheck(f, [leaf(a) for a in arrays])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def close(actual, expected, **options):
    np.testing.assert_allclose(
        getattr(actual, "detach", lambda: actual)(), expected, **{"rtol": 1e-12, "atol": 1e-14} | options
    )


# --- activations -----------------------------------------------------------------------------------------------------


def test_sigmoids_of_few_operations():
    x = np.linspace(-12, 12, 2001)
    y = F.ultra_fast_sigmoid(ag.tensor(x)).numpy()
    z = abs(x) / 2
    t = np.where(
        z < 1.7,
        1.5 * z / (1 + z),
        np.where(z < 3, 0.935409070603099 + 0.0458812946797165 * (z - 1.7), 0.99505475368673),
    )
    close(y, 0.5 * (1 + np.sign(x) * t))
    assert 0.027 < abs(y - sigmoid(x)).max() < 0.028
    close(F.hard_sigmoid(ag.tensor(np.array([-3.0, -1.0, 0.0, 1.0, 3.0]))), [0, 0.3, 0.5, 0.7, 1])


def test_tanh_with_other_slopes():
    x = normal((2, 3))
    close(F.scaled_tanh(ag.tensor(x)), 1.7159 * np.tanh(2 * x / 3))
    close(F.scaled_tanh(ag.tensor(np.array([1.0, -1.0]))), [1, -1], atol=1e-4)
    close(F.tanh_linear(ag.tensor(x), 0.2), np.tanh(x) + 0.2 * x)


def test_maxout():
    x = normal((2, 6, 3))
    close(F.maxout(ag.tensor(x), 2), np.maximum(x[:, ::2], x[:, 1::2]))
    close(F.maxout(ag.tensor(x), 3, -1), x.max(-1, keepdims=True))
    with pytest.raises(ValueError, match="6 entries along dim 1 .* make no groups of 4"):
        F.maxout(ag.tensor(x), 4)


def test_squash():
    x = normal((4, 3))
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    close(F.squash(ag.tensor(x)), length**2 / (1 + length**2) * x / length)
    zero = leaf(np.zeros((2, 3)))
    F.squash(zero).sum().backward()
    np.testing.assert_array_equal(zero.grad, 0)


SMOOTH = [F.ultra_fast_sigmoid, F.scaled_tanh, F.tanh_linear, F.squash, lambda x: F.maxout(x, 3), F.hard_sigmoid]


@pytest.mark.parametrize("f", SMOOTH)
def test_activations_twice(f):
    twice(f, normal((3, 3)) + 0.05)


# --- losses ----------------------------------------------------------------------------------------------------------


def test_hinge_loss_is_that_of_the_book():
    x = ag.tensor(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    close(F.hinge_loss(x, ag.ones(5), reduction="none"), [3, 2, 1, 0, 0])
    close(F.hinge_loss(x, -ag.ones(5), squared=True, reduction="none"), [0, 0, 1, 4, 9])
    close(F.hinge_loss(x, ag.ones(5), margin=0.5), (2.5 + 1.5 + 0.5) / 5)
    with pytest.raises(ValueError, match="must have the same shape"):
        F.hinge_loss(x, ag.ones(4))
    with pytest.raises(ValueError, match="hinge_loss: reduction must be"):
        F.hinge_loss(x, ag.ones(5), reduction="all")


def test_contrastive_loss():
    a, b, y = normal((5, 3)), normal((5, 3)), np.array([0.0, 1, 1, 0, 1])
    d = np.linalg.norm(a - b, axis=1)
    expected = (1 - y) * d**2 / 2 + y * np.maximum(0, 2.5 - d) ** 2 / 2
    close(F.contrastive_loss(*map(ag.tensor, (a, b, y)), margin=2.5, reduction="none"), expected)
    twice(lambda a, b: F.contrastive_loss(a, b, ag.tensor(y), 2.5), a, b)
    same = leaf(a)
    F.contrastive_loss(same, ag.tensor(a), ag.ones(5)).backward()
    np.testing.assert_array_equal(same.grad, 0)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_losses(gamma):
    x, y = normal((4, 3)) * 2, RNG.integers(0, 2, (4, 3)).astype(float)
    p = np.where(y == 1, sigmoid(x), sigmoid(-x))
    expected = -np.where(y == 1, 0.3, 0.7) * (1 - p) ** gamma * np.log(p)
    close(F.sigmoid_focal_loss(ag.tensor(x), ag.tensor(y), 0.3, gamma), expected)
    close(F.sigmoid_focal_loss(ag.tensor(x), ag.tensor(y), -1, gamma), -((1 - p) ** gamma) * np.log(p))
    target, w = np.array([0, 2, 1, 1]), np.array([0.5, 1.0, 2.0])
    q = (np.exp(x) / np.exp(x).sum(1, keepdims=True))[np.arange(4), target]
    expected = -w[target] * (1 - q) ** gamma * np.log(q)
    close(F.focal_loss(*map(ag.tensor, (x, target, w)), gamma, "none"), expected)
    twice(lambda x: F.sigmoid_focal_loss(x, ag.tensor(y), 0.3, gamma, "sum"), x)
    twice(lambda x, w: F.focal_loss(x, ag.tensor(target), w, gamma), x, w)


def test_focal_loss_without_focus_is_cross_entropy():
    x, target = ag.tensor(normal((2, 3, 4, 5))), ag.tensor(RNG.integers(0, 3, (2, 4, 5)))
    close(F.focal_loss(x, target, gamma=0.0), F.cross_entropy(x, target))
    sure = leaf(np.array([[900.0, 0.0], [0.0, 900.0]]))
    F.focal_loss(sure, ag.tensor(np.array([0, 0])), gamma=0.5, reduction="sum").backward()
    close(sure.grad, [[0, 0], [-1, 1]])


def test_dice_loss():
    p, t = uniform(0, 1, (3, 4, 5)), RNG.integers(0, 2, (3, 4, 5)).astype(float)
    total = lambda a: a.reshape(3, -1).sum(1)
    close(
        F.dice_loss(*map(ag.tensor, (p, t)), reduction="none"), 1 - (2 * total(p * t) + 1) / (total(p) + total(t) + 1)
    )
    expected = 1 - 2 * total(p * t) / (total(p * p) + total(t))
    close(F.dice_loss(*map(ag.tensor, (p, t)), smooth=0.0, squared=True, reduction="none"), expected)
    close(F.dice_loss(*map(ag.tensor, (t, t)), smooth=0.0), 0)
    classes = RNG.integers(0, 4, (3, 5))
    hot = np.eye(4)[classes].transpose(0, 2, 1)
    expected = 1 - (2 * (p * hot).sum(2) + 1) / (p.sum(2) + hot.sum(2) + 1)
    close(F.dice_loss(*map(ag.tensor, (p, classes)), reduction="none"), expected)
    twice(lambda p: F.dice_loss(p, ag.tensor(t)), p)


def test_style():
    f, g = normal((2, 3, 4, 5)), normal((2, 3, 4, 5))
    rows = f.reshape(2, 3, 20)
    gram = rows @ rows.transpose(0, 2, 1)
    close(F.gram_matrix(ag.tensor(f), normalize=False), gram)
    close(F.gram_matrix(ag.tensor(f[0])), gram[0] / 60)
    other = g.reshape(2, 3, 20) @ g.reshape(2, 3, 20).transpose(0, 2, 1)
    expected = ((gram - other) ** 2).sum((1, 2)) / (4 * 3**2 * 20**2)
    close(F.style_loss(ag.tensor(f), ag.tensor(g), "none"), expected)
    twice(F.style_loss, f[:1, :, :2, :2], g[:1, :, :2, :2])


def test_sparsity():
    h = uniform(0.05, 0.9, (6, 4))
    r = h.mean(0)
    close(F.kl_sparsity_penalty(ag.tensor(h), 0.2), (0.2 * np.log(0.2 / r) + 0.8 * np.log(0.8 / (1 - r))).sum())
    close(F.kl_sparsity_penalty(ag.full((3, 2), 0.2), 0.2), 0, atol=2e-7)
    close(F.kl_sparsity_penalty(ag.tensor(h), 0.0, reduction="none"), -np.log(1 - r))
    twice(lambda h: F.kl_sparsity_penalty(h, 0.2), h)
    with pytest.raises(ValueError, match="rho is the share"):
        F.kl_sparsity_penalty(ag.tensor(h), 1.5)


def test_contraction():
    x, w, b = normal((4, 3)), normal((5, 3)), normal(5)
    layer = lambda x, w: ag.sigmoid(F.linear(x, w, ag.tensor(b)))
    h = sigmoid(x @ w.T + b)
    jacobians = (h * (1 - h))[:, :, None] * w
    expected = (jacobians**2).sum((1, 2))
    close(F.contractive_penalty(lambda x: layer(x, ag.tensor(w)), ag.tensor(x), "none"), expected)
    close(F.sigmoid_contractive_penalty(layer(ag.tensor(x), ag.tensor(w)), ag.tensor(w), "none"), expected)
    first, second = leaf(w), leaf(w)
    F.contractive_penalty(lambda x: layer(x, first), ag.tensor(x)).backward()
    F.sigmoid_contractive_penalty(layer(ag.tensor(x), second), second).backward()
    close(first.grad, second.grad.numpy(), rtol=1e-10)
    twice(lambda x, w: F.contractive_penalty(lambda v: layer(v, w), x), x[:2], w)
    with pytest.raises(ValueError, match="must make a row"):
        F.contractive_penalty(lambda x: x.sum(0, keepdim=True), ag.tensor(x))


# --- words -----------------------------------------------------------------------------------------------------------

N, D, V = 4, 3, 7
ROWS, WORDS, BIAS = normal((N, D)), normal((V, D)), normal(V)
TARGET, SAMPLES = np.array([0, 6, 2, 2]), RNG.integers(0, V, (N, 5))
NOISE = uniform(0.2, 1, V)
NOISE /= NOISE.sum()


def test_losses_against_noise():
    z, wrong = (
        (ROWS * WORDS[TARGET]).sum(1) + BIAS[TARGET],
        np.einsum("nd,nkd->nk", ROWS, WORDS[SAMPLES]) + BIAS[SAMPLES],
    )
    given = [ag.tensor(v) for v in (ROWS, WORDS, TARGET, NOISE, SAMPLES, BIAS)]
    expected = -np.log(sigmoid(z)) - np.log(sigmoid(-wrong)).sum(1)
    close(F.negative_sampling_loss(*given, "none"), expected)
    usual = np.log(5 * NOISE)
    expected = -np.log(sigmoid(z - usual[TARGET])) - np.log(sigmoid(usual[SAMPLES] - wrong)).sum(1)
    close(F.nce_loss(*given, "none"), expected)
    for f in (F.nce_loss, F.negative_sampling_loss):
        twice(lambda x, w, b: f(x, w, *given[2:5], b), ROWS, WORDS, BIAS)  # noqa: B023
        with pytest.raises(ValueError, match=rf"{f.__name__}: needs input \(N, D\)"):
            f(given[0], given[1].T, *given[2:])
        with pytest.raises(ValueError, match="a target for each of 4 rows"):
            f(given[0], given[1], given[2][:2], *given[3:])


def test_noise_is_drawn_from_its_distribution():
    seen = {}

    def count(*args, **options):
        found = ag.multinomial(*args, **options)
        seen["drawn"] = found.numpy()
        return found

    close(F.noise_distribution(np.array([1.0, 16, 81])), np.array([1, 8, 27]) / 36)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F.words, "multinomial", count)
        F.nce_loss(ag.tensor(ROWS), ag.tensor(WORDS), ag.tensor(TARGET), ag.tensor(NOISE), 2000)
    assert seen["drawn"].size == N * 2000
    shares = np.bincount(seen["drawn"], minlength=V) / seen["drawn"].size
    assert abs(shares - NOISE).max() < 4 * math.sqrt(0.25 / seen["drawn"].size)
    draw = lambda: F.nce_loss(*map(ag.tensor, (ROWS, WORDS, TARGET, NOISE)), 8, generator=ag.Generator(4)).item()
    assert draw() == draw()


def test_much_noise_gives_the_gradient_of_cross_entropy():
    """All words as noise, each as often as its probability says: the estimate in the limit."""
    log_p = WORDS @ ROWS[0]
    log_p -= np.log(np.exp(log_p).sum())
    even, count = np.full(V, 1 / V), V * 20000
    scores = leaf(log_p[None])
    samples = np.repeat(np.arange(V), count // V)
    F.nce_loss(scores, ag.eye(V, dtype=ag.float64), ag.tensor([2]), ag.tensor(even), ag.tensor(samples)).backward()
    exact = leaf(log_p[None])
    F.cross_entropy(exact, ag.tensor([2])).backward()
    close(scores.grad, exact.grad.numpy(), atol=1e-4)


@pytest.mark.parametrize("counts", [[5, 1, 1, 3, 2, 8], [1, 1], [1] * 8, [0, 0, 3]])
def test_huffman_tree(counts):
    tree = F.HuffmanTree.of(counts)
    depth = (tree.signs.numpy() != 0).sum(1)
    heap, cost = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:  # the cost of the best tree is the sum of all joined weights
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        cost += joined
        heapq.heappush(heap, joined)
    assert (depth * counts).sum() == cost
    assert sum(0.5**depth) == 1
    assert {*tree.nodes.numpy()[tree.signs.numpy() != 0]} == set(range(len(counts) - 1))
    with pytest.raises(ValueError, match="two or more words"):
        F.HuffmanTree.of([1])


def test_hierarchical_softmax():
    tree = F.HuffmanTree.of([5, 1, 1, 3, 2, 8, 4])
    x, w, b = ROWS, normal((V - 1, D)), normal(V - 1)
    logs = F.hierarchical_log_softmax(*map(ag.tensor, (x, w)), tree, ag.tensor(b))
    close(logs.exp().sum(1), np.ones(N))
    for bias in (None, ag.tensor(b)):
        logs = F.hierarchical_log_softmax(ag.tensor(x), ag.tensor(w), tree, bias).numpy()
        loss = F.hierarchical_softmax_loss(ag.tensor(x), ag.tensor(w), ag.tensor(TARGET), tree, bias, "none")
        close(loss, -logs[np.arange(N), TARGET])
    twice(lambda x, w, b: F.hierarchical_softmax_loss(x, w, ag.tensor(TARGET), tree, b), x, w, b)
    for f in (F.hierarchical_softmax_loss, F.hierarchical_log_softmax):
        with pytest.raises(ValueError, match="7 words need weights of 6 decisions"):
            f(ag.tensor(x), ag.tensor(WORDS), *([ag.tensor(TARGET)] if f is F.hierarchical_softmax_loss else []), tree)


def adaptive(make):
    cutoffs = [3, 6, 10]
    rng = np.random.default_rng(1)
    tails = [(2, 3), (1, 4)]
    arrays = [rng.standard_normal(s) for s in ((5, 4), (5,), *[s for h, n in tails for s in ((h, 4), (n, h))])]
    head, bias, *rest = map(make, arrays)
    return head, list(zip(rest[::2], rest[1::2])), cutoffs, bias


def test_adaptive_softmax_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x, target = np.random.default_rng(2).standard_normal((6, 4)), np.array([0, 2, 3, 5, 6, 9])
    head, tails, cutoffs, bias = adaptive(leaf)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(4, 10, cutoffs[:-1], div_value=2.0, head_bias=True).double()
    with torch.no_grad():
        theirs.head.weight.copy_(torch.tensor(head.detach().numpy()))
        theirs.head.bias.copy_(torch.tensor(bias.detach().numpy()))
        for module, pair in zip(theirs.tail, tails):
            for layer, w in zip(module, pair):
                layer.weight.copy_(torch.tensor(w.detach().numpy()))
    a, b = leaf(x), torch.tensor(x, requires_grad=True)
    output, loss = F.adaptive_log_softmax_with_loss(a, ag.tensor(target), head, tails, cutoffs, bias)
    expected = theirs(b, torch.tensor(target))
    close(output, expected.output.detach().numpy())
    close(loss, expected.loss.item())
    logs = F.adaptive_log_softmax(a, head, tails, cutoffs, bias)
    close(logs, theirs.log_prob(b).detach().numpy())
    close(logs.exp().sum(1), np.ones(6))
    loss.backward()
    expected.loss.backward()
    close(a.grad, b.grad.numpy())
    close(head.grad, theirs.head.weight.grad.numpy())
    close(tails[1][1].grad, theirs.tail[1][1].weight.grad.numpy())


def test_adaptive_softmax_twice_and_wrong():
    head, tails, cutoffs, bias = adaptive(ag.tensor)
    x = normal((3, 4))
    twice(
        lambda x, w: F.adaptive_log_softmax_with_loss(
            x, ag.tensor([0, 4, 9]), head, [(tails[0][0], w), tails[1]], cutoffs
        )[1],
        x,
        tails[0][1].numpy(),
    )
    twice(lambda x: F.adaptive_log_softmax(x, head, tails, cutoffs, bias), x)
    with pytest.raises(ValueError, match="a target from 0 to 9 for each of 3 rows, .* from 0 to 10"):
        F.adaptive_log_softmax_with_loss(ag.tensor(x), ag.tensor([0, 4, 10]), head, tails, cutoffs)
    with pytest.raises(ValueError, match="need a head of 5 rows and 2 tails, got 5 rows and 1 tails"):
        F.adaptive_log_softmax(ag.tensor(x), head, tails[:1], cutoffs)
