"""nn.metrics beside scikit-learn, by definition, and errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import autograd_core as ag
from nn import metrics

sk = pytest.importorskip("sklearn.metrics")

labels = st.integers(1, 30).flatmap(lambda n: st.tuples(*[arrays.arrays(np.int64, n, elements=st.integers(0, 3))] * 2))
binary = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0])),
        arrays.arrays(np.int64, n, elements=st.integers(0, 1)).filter(lambda t: 0 < t.sum() < len(t)),
    )
)


@given(labels, st.sampled_from(["micro", "macro", "weighted", None]))
@settings(max_examples=80, deadline=None)
def test_classes(pair, average) -> None:
    p, t = pair
    assert metrics.accuracy(ag.tensor(p), t) == pytest.approx(sk.accuracy_score(t, p))
    np.testing.assert_array_equal(metrics.confusion_matrix(p, t, 4), sk.confusion_matrix(t, p, labels=range(4)))
    named = {} if average else {"labels": range(max(p.max(), t.max()) + 1)}
    for ours, theirs in (
        (metrics.precision, sk.precision_score),
        (metrics.recall, sk.recall_score),
        (metrics.f1_score, sk.f1_score),
    ):
        wanted = theirs(t, p, average=average, zero_division=0, **named)
        np.testing.assert_allclose(ours(p, t, average), wanted, rtol=1e-12)
        two = (p > 1).astype(int), (t > 1).astype(int)
        np.testing.assert_allclose(ours(*two), theirs(two[1], two[0], zero_division=0), rtol=1e-12)


@given(binary)
@settings(max_examples=80, deadline=None)
def test_thresholds(pair) -> None:
    scores, t = pair
    for ours, theirs in zip(metrics.roc_curve(scores, t), sk.roc_curve(t, scores, drop_intermediate=False)):
        np.testing.assert_allclose(ours, theirs)
    for ours, theirs in zip(metrics.precision_recall_curve(scores, t), sk.precision_recall_curve(t, scores)):
        np.testing.assert_allclose(ours, theirs)
    assert metrics.roc_auc(scores, t) == pytest.approx(sk.roc_auc_score(t, scores))
    assert metrics.average_precision(scores, t) == pytest.approx(sk.average_precision_score(t, scores))


@given(arrays.arrays(np.float32, (2, 7), elements=st.floats(-100, 100, width=32)))
@settings(max_examples=60, deadline=None)
def test_numbers(pair) -> None:
    p, t = pair.astype(np.float64)
    assert metrics.mse(*pair) == pytest.approx(sk.mean_squared_error(t, p), rel=1e-5, abs=1e-9)
    assert metrics.rmse(p, t) == pytest.approx(sk.mean_squared_error(t, p) ** 0.5)
    assert metrics.mae(p, t) == pytest.approx(sk.mean_absolute_error(t, p))
    if np.ptp(t) > 1e-3:
        assert metrics.r2_score(p, t) == pytest.approx(sk.r2_score(t, p), rel=1e-9, abs=1e-9)


def test_r2_of_a_constant() -> None:
    assert metrics.r2_score([2.0, 2.0], [2.0, 2.0]) == 1 and metrics.r2_score([2.0, 1.0], [2.0, 2.0]) == 0


def test_scores_of_classes() -> None:
    scores = ag.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    assert metrics.accuracy(scores, [1, 0, 0, 1]) == 0.5
    assert metrics.top_k_accuracy(scores, [1, 1, 0, 1], 2) == 0.75
    assert metrics.top_k_accuracy(scores, [1, 0, 2, 0], 1) == 0.75  # the tie counts against the true class
    assert metrics.accuracy(np.eye(3)[[0, 1]][:, :, None], np.array([[0], [1]])) == 1  # pixels


def test_masks() -> None:
    a, b = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    assert metrics.iou(a, b) == pytest.approx(1 / 3) and metrics.dice(a, b) == 0.5
    assert metrics.iou(a * 0, a * 0) == metrics.dice(a * 0, a * 0) == 1


def test_perplexity() -> None:
    assert metrics.perplexity(ag.tensor(np.log(65.0))) == pytest.approx(65)


def test_trials_with_many_ways() -> None:
    t = np.repeat(np.arange(10), 3)
    near = lambda query, rows: np.abs(rows - query)
    assert metrics.n_way_accuracy(near, t.astype(float), t, 10) == 1
    chance = metrics.n_way_accuracy(
        lambda q, rows: np.random.default_rng(int(rows[1] * 1e6)).random(5), np.random.default_rng(0).random(30), t, 5
    )
    assert 0.1 < chance < 0.3
    assert metrics.n_way_accuracy(lambda q, rows: np.zeros(len(rows)), t, t, 2) == 0  # nothing is nearest


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: metrics.accuracy([1, 2], [1]), "differ in shape"),
        (lambda: metrics.accuracy([0.2, 0.7], [0, 1]), "are fractions; give scores"),
        (lambda: metrics.accuracy(np.zeros((0, 3)), np.zeros(0, int)), "nothing to measure"),
        (lambda: metrics.f1_score([0, 1, 2], [0, 1, 2]), "there are 3 classes; choose average="),
        (lambda: metrics.f1_score([0, 1, 2], [0, 1, 2], "mean"), "average must be"),
        (lambda: metrics.confusion_matrix([0, 3], [0, 1], 3), "classes must be from 0 to 2"),
        (lambda: metrics.roc_auc([0.1, 0.2], [1, 1]), "both classes, all are 1"),
        (lambda: metrics.roc_auc([0.1, 0.2], [1, 2]), "targets must be 0 or 1"),
        (lambda: metrics.top_k_accuracy(np.zeros((2, 3)), [0, 1], 4), "k must be from 1 to the 3 classes"),
        (lambda: metrics.top_k_accuracy(np.zeros(3), [0]), r"expected scores \(N, classes\)"),
        (lambda: metrics.n_way_accuracy(None, [1.0, 2.0], [0, 1], 2), "needs a class with two samples"),
    ],
)
def test_errors(call, text) -> None:
    with pytest.raises(ValueError, match=text):
        call()
