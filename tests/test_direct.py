"""The direct way through ops: what nobody watches comes out as what somebody does, to the bit."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops import dropout, embedding, grids, losses, normalization, pooling, scan, sort
from autograd_core.tape import using
from nn import Parameter

RNG = np.random.default_rng(0)
IMAGES, ROW = RNG.standard_normal((4, 6, 5, 5)).astype("f"), RNG.standard_normal(6).astype("f")
CLASSES, GRID = RNG.integers(0, 6, (4, 5, 5)), RNG.uniform(-1, 1, (4, 3, 3, 2)).astype("f")

CASES = {
    "batch_norm": (lambda x, w, m, v: normalization.batch_norm(x, m, v, w, w, True), [IMAGES, ROW, ROW, ROW**2]),
    "batch_norm of rows": (
        lambda x, w, m, v: normalization.batch_norm(x, m, v, w, w, True),
        [IMAGES[:, :, 0, 0], ROW, ROW, ROW**2],
    ),
    "without a variance": (lambda x, m: normalization.batch_norm(x, m, None, training=True), [IMAGES, ROW]),
    "group_norm": (lambda x, w: normalization.group_norm(x, 2, w, w), [IMAGES, ROW]),
    "layer_norm": (lambda x: normalization.layer_norm(x, (5, 5)), [IMAGES]),
    "cross_entropy": (losses.cross_entropy, [IMAGES, CLASSES]),
    "cross_entropy of rows": (losses.cross_entropy, [IMAGES[0, 0], CLASSES[0, 0] % 5]),
    "mse_loss": (losses.mse_loss, [IMAGES, IMAGES + 1]),
    "dropout": (dropout.dropout, [IMAGES]),
    "embedding": (lambda i, w: embedding.embedding(i, w), [CLASSES, IMAGES[0, :, 0]]),
    "max_pool2d": (lambda x: pooling.max_pool2d(x, 2), [IMAGES]),
    "max_pool2d with places": (lambda x: pooling.max_pool2d(x, 2, return_indices=True)[0], [IMAGES]),
    "cummax": (lambda x: scan.cummax(x, -1)[0], [IMAGES]),
    "topk": (lambda x: sort.topk(x, 2)[0], [IMAGES]),
    "median": (lambda x: sort.median(x, -2)[0], [IMAGES]),
    "grid_sample": (lambda x, g: grids.grid_sample(x, g, align_corners=False), [IMAGES, GRID]),
}


def outcome(name, watched, kind=ag.tensor):
    """The result, the gradients, and what became of the arguments; the names of the ops that were seen."""
    f, arrays = CASES[name]
    ag.manual_seed(3)
    count = {"batch_norm": 2, "batch_norm of rows": 2, "without a variance": 1}.get(name, len(arrays))
    xs = [kind(a, requires_grad=k < count and a.dtype.kind == "f") for k, a in enumerate(arrays)]
    seen = []
    if watched:
        with using(observers=(lambda op, *rest: seen.append(op.name),)):
            y = f(*xs)
    else:
        y = f(*xs)
    leaves = [x for x in xs if x.requires_grad]
    return [y, *ag.gradient(y, leaves, ag.ones(y.shape)), *xs], [x._version for x in xs], seen


@pytest.mark.parametrize("name", CASES)
def test_watching_changes_nothing(name):
    alone, writes, _ = outcome(name, False)
    watched, others, seen = outcome(name, True)
    assert seen and writes == others
    for a, b in zip(alone, watched, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_tensors(name):
    for a, b in zip(outcome(name, False)[0], outcome(name, False, Parameter)[0], strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_running_statistics_are_seen_to_move():
    assert outcome("batch_norm", True)[2] == ["batch_normalized", "detach", "update_running"]


def test_statistics_that_are_views_move_too():
    both = ag.tensor(np.stack([ROW, ROW**2]))
    normalization.batch_norm(ag.tensor(IMAGES), both[0], both[1], training=True)
    mean, var = ag.tensor(ROW), ag.tensor(ROW**2)
    normalization.batch_norm(ag.tensor(IMAGES), mean, var, training=True)
    np.testing.assert_array_equal(both.numpy(), np.stack([mean.numpy(), var.numpy()]))


def test_a_loss_is_refused_after_its_scores_were_changed():
    x = ag.tensor(IMAGES, requires_grad=True)
    scores = x * 1.0
    loss = losses.cross_entropy(scores, CLASSES)
    scores.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_classes_made_of_tensor_are_heard_if_they_say_how_ops_act():
    class Named(ag.Tensor):
        pass

    class Counting(ag.Tensor):
        calls = 0

        def apply(self, op, args, params):
            Counting.calls += 1
            return super().apply(op, args, params)

    assert type(Named([1.0]) * 2) is ag.Tensor
    x = Counting([1.0], requires_grad=True)
    ((x + 1) * x.exp()).sum().backward()
    assert Counting.calls == 2
    assert x.grad.item() == pytest.approx(3 * np.e)
