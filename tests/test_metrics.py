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


ELEMENTS = {
    np.uint64: st.sampled_from([0, 1, 255, 2**40]),
    np.float16: st.floats(-100, 100, width=16).map(lambda x: x + 0.0),  # one zero
}


def wide(array) -> np.ndarray:
    return array.astype(np.float64)


@given(
    st.sampled_from([np.bool_, np.int8, np.uint8, np.uint64, np.float16]).flatmap(
        lambda kind: arrays.arrays(kind, (2, 6), elements=ELEMENTS.get(kind))
    )
)
@settings(max_examples=80, deadline=None)
def test_numbers_of_small_types_do_not_wrap_around(pair) -> None:
    p, t = pair
    assert metrics.mse(p, t) == pytest.approx(sk.mean_squared_error(wide(t), wide(p)))
    assert metrics.rmse(p, t) == pytest.approx(sk.root_mean_squared_error(wide(t), wide(p)))
    assert metrics.mae(p, t) == pytest.approx(sk.mean_absolute_error(wide(t), wide(p)))
    if len(set(t.tolist())) > 1:
        assert metrics.r2_score(p, t) == pytest.approx(sk.r2_score(wide(t), wide(p)), abs=1e-9)
    target = np.array([0, 1, 0, 1, 1, 0])
    assert metrics.roc_auc(p, target) == pytest.approx(sk.roc_auc_score(target, wide(p)))
    assert metrics.average_precision(p, target) == pytest.approx(sk.average_precision_score(target, wide(p)))


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 2.0, np.inf]), min_size=6, max_size=6))
def test_infinite_scores_are_as_high_as_each_other(scores) -> None:
    target = np.array([0, 1, 1, 0, 1, 1])
    pairs = [(p > n) + (p == n) / 2 for p in np.array(scores)[target == 1] for n in np.array(scores)[target == 0]]
    assert metrics.roc_auc(scores, target) == pytest.approx(np.mean(pairs))
    finite = np.clip(scores, -9, 9)
    assert metrics.average_precision(scores, target) == pytest.approx(sk.average_precision_score(target, finite))


def test_r2_of_a_constant() -> None:
    assert metrics.r2_score([2.0, 2.0], [2.0, 2.0]) == 1 and metrics.r2_score([2.0, 1.0], [2.0, 2.0]) == 0


def test_scores_of_classes() -> None:
    scores = ag.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    assert metrics.accuracy(scores, [1, 0, 0, 1]) == 0.5
    assert metrics.top_k_accuracy(scores, [1, 1, 0, 1], 2) == 0.75
    assert metrics.top_k_accuracy(scores, [1, 0, 2, 0], 1) == 0.75  # the tie counts against the true class
    assert metrics.accuracy(np.eye(3)[[0, 1]][:, :, None], np.array([[0], [1]])) == 1  # pixels


def test_classes_in_any_type_of_number() -> None:
    for kind in (np.int64, np.uint8, np.float32, bool):
        p, t = np.array([1, 0, 1, 1]).astype(kind), np.array([1, 0, 0, 1]).astype(kind)
        assert metrics.accuracy(p, t) == metrics.accuracy(p, t.astype(int)) == 0.75
        assert metrics.f1_score(p, t) == pytest.approx(0.8)


def test_masks() -> None:
    a, b = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    for x, y in ((a, b), (a > 0, b * 1.0), (a.astype(np.uint8) * 255, ag.tensor(b))):
        assert metrics.iou(x, y) == pytest.approx(1 / 3) and metrics.dice(x, y) == 0.5
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
        (lambda: metrics.accuracy([0.2, 0.7], [0, 1]), r"predictions \(2,\) are fractions and no classes; give scores"),
        (lambda: metrics.accuracy([0.9, 0.2], [1.0, 0.0]), "compare with a threshold first: p > 0.5 for prob"),
        (lambda: metrics.f1_score([0.9, 0.2], [1.0, 0.0]), "f1_score: predictions .* are fractions"),
        (lambda: metrics.accuracy([1, 0], [0.9, 0.2]), "targets .* are fractions"),
        (lambda: metrics.accuracy([np.nan, 0], [1, 0]), "are fractions"),
        (lambda: metrics.accuracy([[0.9], [0.2]], [1, 0]), r"\(2, 1\) have one column, .* p\[:, 0\], and compare"),
        (lambda: metrics.precision(np.ones((2, 1), int), [1, 0]), "have one column"),
        (lambda: metrics.accuracy([[0.9, np.nan], [0.2, 0.1]], [1, 0]), "1 of 4 scores are NaN"),
        (lambda: metrics.top_k_accuracy([[0.9, np.nan], [0.2, 0.1]], [1, 0], 1), "1 of 4 scores are NaN"),
        (lambda: metrics.top_k_accuracy(np.eye(3), [0, 1, -1], 1), "targets must be classes from 0 to 2"),
        (lambda: metrics.roc_auc([0.1, np.nan, np.nan], [0, 1, 0]), "roc_curve: 2 of 3 scores are NaN"),
        (lambda: metrics.average_precision([0.1, np.nan], [0, 1]), "1 of 2 scores are NaN, .* stop being finite"),
        (lambda: metrics.roc_auc(["a", "b"], [0, 1]), "scores must be numbers that have an order"),
        (lambda: metrics.mse([1j], [1j]), "mse: predictions must be real numbers, got complex128"),
        (lambda: metrics.iou([0.9, 0.2], [1, 0]), "iou: predictions are no mask, .* compare with a threshold"),
        (lambda: metrics.dice([1, 0], [0.5, 0.5]), "dice: targets are no mask"),
        (lambda: metrics.iou([0, 1, 2], [0, 1, 1]), "are no mask"),
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
