"""Losses as modules, beyond what the lines of `layers/losses.py` compare: chunks, adaptive softmax, old arguments, errors."""

import numpy as np
import pytest

import autograd_core as ag
import nn

rng = np.random.default_rng(0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"weight": ag.tensor([1.0, 2.0, 0.5])},
        {"ignore_index": 1, "bias": True},
        {"label_smoothing": 0.1},
        {"weight": ag.tensor([1.0, 2.0, 0.5]), "label_smoothing": 0.3, "ignore_index": 0},
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_chunks_change_nothing(given, reduction, soft):
    """Values and gradients with options are those without, and may be taken twice."""
    if soft and "ignore_index" in given:
        pytest.skip("ignore_index is for class indices")
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=3)
    whole = nn.LinearCrossEntropyLoss(4, 3, reduction=reduction, **given).double()
    parts = nn.LinearCrossEntropyLoss(4, 3, reduction=reduction, options=options, **given).double()
    parts.load_state_dict(whole.state_dict())
    x = rng.standard_normal((8, 4))
    target = ag.tensor(rng.dirichlet([1, 1, 1], 8) if soft else np.array([0, 1, 2, 1, 0, 0, 2, 1]))
    found = []
    for loss in (whole, parts):
        t = ag.tensor(x, requires_grad=True)
        y = loss(t, target)
        y.sum().backward(retain_graph=True)
        y.sum().backward()
        found.append([y, t.grad, *(p.grad for p in loss.parameters())])
    for a, b in zip(*found):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_chunks_hold_fewer_scores():
    """What the tape keeps of a loss in chunks does not grow with the number of classes times rows."""
    loss = nn.LinearCrossEntropyLoss(4, 1000, options=nn.LinearCrossEntropyOptions())
    kept = []

    def pack(t):
        kept.append(t.numel())
        return t

    with ag.saved_tensors_hooks(pack, lambda t: t):
        loss(ag.randn(64, 4), ag.zeros(64, dtype=ag.int64))
    assert max(kept, default=0) <= 4000


@pytest.mark.parametrize(
    "options, count, rows",
    [
        ({}, 64, 1),
        ({"chunking_method": "aspect_ratio"}, 64, 1),
        ({"batch_chunk_size": 5}, 64, 5),
        ({"chunking_method": None}, 9, 9),
    ],
)
def test_rows_of_a_chunk(options, count, rows):
    assert nn.LinearCrossEntropyOptions(**options).rows(count, 4, 1000) == rows


@pytest.mark.parametrize("wrong", [{"acc_policy": "best"}, {"chunking_method": "halves"}, {"batch_chunk_size": 0}])
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        nn.LinearCrossEntropyOptions(**wrong)


def test_adaptive_softmax_is_a_distribution():
    """Probabilities of all classes add up to one, and the loss picks from them."""
    layer = nn.AdaptiveLogSoftmaxWithLoss(16, 12, [2, 5, 9], div_value=2.0).double()
    x, target = ag.randn(9, 16, dtype=ag.float64), ag.tensor(np.arange(9) % 12)
    logs = layer.log_prob(x)
    np.testing.assert_allclose(logs.exp().sum(-1).detach().numpy(), 1)
    scored = layer(x, target)
    np.testing.assert_allclose(scored.output.detach().numpy(), logs.detach().numpy()[np.arange(9), np.arange(9)])
    np.testing.assert_allclose(scored.loss.item(), -scored.output.mean().item())
    assert np.array_equal(layer.predict(x).numpy(), logs.argmax(-1).numpy())


@pytest.mark.parametrize("cutoffs", [[], [0, 2], [3, 2], [2, 2], [10], [2.5]])
def test_cutoffs_are_checked(cutoffs):
    with pytest.raises(ValueError, match="cutoffs must be whole numbers that increase from 1 to n_classes - 1"):
        nn.AdaptiveLogSoftmaxWithLoss(4, 10, cutoffs)


@pytest.mark.parametrize(
    "shapes, target, told",
    [
        (((3, 4), (2,)), 0, "needs rows"),
        (((4,), (1,)), 0, "needs rows"),
        (((3, 4), (3,)), 10, "from 0 to 9"),
        (((3, 4), (3,)), 0.5, "must be integers"),
    ],
)
def test_classes_of_an_adaptive_softmax_are_checked(shapes, target, told):
    layer = nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2])
    with pytest.raises((ValueError, TypeError), match=told):
        layer(ag.randn(*shapes[0]), ag.full(shapes[1], target))


def test_old_arguments_warn():
    with pytest.warns(DeprecationWarning, match="say reduction='...'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"


def test_weights_move_and_are_saved_with_the_loss():
    loss = nn.CrossEntropyLoss(weight=ag.tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"] and not list(loss.parameters())
    assert loss.double().weight.dtype == ag.float64
    assert not nn.CrossEntropyLoss().state_dict()


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: nn.L1Loss(reduction="avg"), "L1Loss: reduction must be 'none', 'mean' or 'sum', got 'avg'"),
        (lambda: nn.MultiMarginLoss(p=3), "p must be 1 or 2"),
        (lambda: nn.TripletMarginLoss(margin=0), "margin must be positive"),
        (lambda: nn.LinearCrossEntropyLoss(4, 3, weight=ag.ones(2)), "each of 3 classes"),
        (lambda: nn.LinearCrossEntropyLoss(4, 3, label_smoothing=2), "from 0 to 1"),
        (lambda: nn.CrossEntropyLoss(weight=[1.0, 2.0]), "must be a Tensor or None, got list"),
        (lambda: nn.MultiMarginLoss(weight=ag.ones(2, 2)), r"weight must be \(C,\), got \(2, 2\)"),
    ],
)
def test_arguments_are_checked(make, told):
    with pytest.raises((ValueError, TypeError), match=told):
        make()
