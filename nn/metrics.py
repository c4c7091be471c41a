"""How good predictions are: plain numbers from tensors or arrays, never recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = [
    "accuracy", "average_precision", "confusion_matrix", "dice", "f1_score", "iou", "mae", "mse", "n_way_accuracy",
    "perplexity", "precision", "precision_recall_curve", "r2_score", "recall", "rmse", "roc_auc", "roc_curve",
    "top_k_accuracy",
]  # fmt: skip


def _array(x: Any) -> np.ndarray:
    return x.detach().numpy() if isinstance(x, ag.Tensor) else np.asarray(x)


def _pair(name: str, predicted: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of one shape."""
    predicted, target = _array(predicted), _array(target)
    if predicted.shape != target.shape:
        raise ValueError(f"{name}: predictions {predicted.shape} and targets {target.shape} differ in shape")
    if not predicted.size:
        raise ValueError(f"{name}: there is nothing to measure")
    return predicted, target


def _ordered(name: str, scores: np.ndarray) -> np.ndarray:
    """Scores of which each is above another or below it or equal."""
    if scores.dtype.kind not in "biuf":
        raise ValueError(f"{name}: scores must be numbers that have an order, got {scores.dtype}")
    if lost := int(np.count_nonzero(np.isnan(scores))):
        raise ValueError(
            f"{name}: {lost} of {scores.size} scores are NaN, which is neither above nor below any; look for where the "
            "model's outputs stop being finite (`with ag.detect_anomaly():` names the operation)"
        )
    return scores


# --- classes ---------------------------------------------------------------------------------------------------------

CUT = "compare with a threshold first: p > 0.5 for probabilities, p > 0 for logits"


def as_classes(predicted: Any, target: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true classes, flat: scores have their classes on axis 1, and one axis more than the targets."""
    predicted, target = _array(predicted), _array(target)
    if predicted.ndim == target.ndim + 1 and target.ndim:
        if predicted.shape[1] == 1:
            raise ValueError(
                f"{name}: predictions {predicted.shape} have one column, in which no class is the highest; for two "
                f"classes take the column as it is, p[:, 0], and {CUT}"
            )
        predicted = _ordered(name, predicted).argmax(axis=1)
    predicted, target = _pair(name, predicted, target)
    for what, classes in (("predictions", predicted), ("targets", target)):
        if classes.dtype.kind == "f" and not np.array_equal(classes, np.floor(classes)):
            raise ValueError(
                f"{name}: {what} {classes.shape} are fractions and no classes; give scores with an axis of classes, "
                f"(N, classes), and classes (N,) as targets; for two classes {CUT}"
            )
    return predicted.ravel(), target.ravel()


def accuracy(predicted: Any, target: Any) -> float:
    """The share of classes that are right; predictions are classes, or scores (N, classes, ...)."""
    p, t = as_classes(predicted, target, "accuracy")
    return float(np.mean(p == t))


def top_k_accuracy(scores: Any, target: Any, k: int = 5) -> float:
    """The share of targets that are among the k highest scores; among equal scores the true class counts last."""
    scores, target = _array(scores), _array(target)
    if scores.ndim != 2 or target.shape != scores.shape[:1]:
        raise ValueError(
            f"top_k_accuracy: expected scores (N, classes) and N targets, got {scores.shape}, {target.shape}"
        )
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"top_k_accuracy: k must be from 1 to the {scores.shape[1]} classes, got {k}")
    if not np.isin(target, range(scores.shape[1])).all():
        raise ValueError(f"top_k_accuracy: targets must be classes from 0 to {scores.shape[1] - 1}")
    own = np.take_along_axis(_ordered("top_k_accuracy", scores), target[:, None].astype(np.int64), axis=1)
    return float(np.mean((scores >= own).sum(axis=1) <= k))


def confusion_matrix(predicted: Any, target: Any, num_classes: int | None = None) -> np.ndarray:
    """How often each true class (row) was taken for each class (column)."""
    return _counts(predicted, target, num_classes, "confusion_matrix")


def _counts(predicted: Any, target: Any, num_classes: int | None, name: str) -> np.ndarray:
    p, t = as_classes(predicted, target, name)
    n = int(max(p.max(), t.max())) + 1 if num_classes is None else num_classes
    if min(p.min(), t.min()) < 0 or max(p.max(), t.max()) >= n:
        raise ValueError(f"{name}: classes must be from 0 to {n - 1}")
    return np.bincount(t.astype(np.int64) * n + p.astype(np.int64), minlength=n * n).reshape(n, n)


def precision(predicted: Any, target: Any, average: str | None = "binary") -> Any:
    """The share of what was called a class that is of it."""
    return _averaged(predicted, target, average, "precision", lambda hit, called, true: _share(hit, called))


def recall(predicted: Any, target: Any, average: str | None = "binary") -> Any:
    """The share of what is of a class that was called so."""
    return _averaged(predicted, target, average, "recall", lambda hit, called, true: _share(hit, true))


def f1_score(predicted: Any, target: Any, average: str | None = "binary") -> Any:
    """The harmonic mean of precision and recall."""
    return _averaged(predicted, target, average, "f1_score", lambda hit, called, true: _share(2 * hit, called + true))


def _averaged(predicted: Any, target: Any, average: str | None, name: str, share: Callable) -> Any:
    """A share for each class, for class 1 of two, or over all: by class, weighted by how many are true, or at once."""
    counts = _counts(predicted, target, None, name)
    hit, called, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    if average == "binary":
        if len(counts) > 2:
            raise ValueError(
                f"{name}: there are {len(counts)} classes; choose average='macro', 'micro', 'weighted' or None"
            )
        return float(share(*(np.append(c, 0)[1] for c in (hit, called, true))))
    if average == "micro":
        return float(share(hit.sum(), called.sum(), true.sum()))
    seen = (called + true) > 0
    each = share(hit, called, true)
    if average is None:
        return each
    if average not in ("macro", "weighted"):
        raise ValueError(f"{name}: average must be 'binary', 'micro', 'macro', 'weighted' or None, got {average!r}")
    return float(np.average(each[seen], weights=true[seen] if average == "weighted" else None))


def _share(part: Any, whole: Any) -> Any:
    """part / whole, and 0 where there is nothing to share."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(whole) > 0)


# --- two classes by a threshold --------------------------------------------------------------------------------------


def _ranked(name: str, scores: Any, target: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at each threshold from the highest score down, and the thresholds."""
    scores, target = _pair(name, scores, target)
    if not np.isin(target, (0, 1)).all():
        raise ValueError(f"{name}: targets must be 0 or 1")
    order = np.argsort(_ordered(name, scores), axis=None)[::-1]
    ranked, true = scores.ravel()[order], target.ravel()[order].astype(np.int64)
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # inf - inf is not 0
    hits = np.cumsum(true)[last]
    if not 0 < hits[-1] < len(ranked):
        raise ValueError(f"{name}: needs targets of both classes, all are {int(true[0])}")
    return hits, last + 1 - hits, ranked[last]


def roc_curve(scores: Any, target: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rate, true positive rate and threshold, from none called positive to all."""
    hits, misses, thresholds = _ranked("roc_curve", scores, target)
    return (
        np.append(0.0, misses / misses[-1]),
        np.append(0.0, hits / hits[-1]),
        np.append(np.inf, thresholds.astype(np.float64)),
    )


def roc_auc(scores: Any, target: Any) -> float:
    """The chance that a positive has a higher score than a negative, ties counting half."""
    x, y, _ = roc_curve(scores, target)
    return float(np.trapezoid(y, x))


def precision_recall_curve(scores: Any, target: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and threshold, from all called positive to none."""
    hits, misses, thresholds = _ranked("precision_recall_curve", scores, target)
    precisions, recalls = hits / (hits + misses), hits / hits[-1]
    return np.append(precisions[::-1], 1.0), np.append(recalls[::-1], 0.0), thresholds[::-1]


def average_precision(scores: Any, target: Any) -> float:
    """The area under precision by recall, in steps."""
    precisions, recalls, _ = precision_recall_curve(scores, target)
    return float(-np.sum(np.diff(recalls) * precisions[:-1]))


# --- numbers ---------------------------------------------------------------------------------------------------------


def _numbers(name: str, predicted: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of one shape in float64: differences of small integers wrap around."""
    predicted, target = _pair(name, predicted, target)
    for what, array in (("predictions", predicted), ("targets", target)):
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name}: {what} must be real numbers, got {array.dtype}")
    return predicted.astype(np.float64), target.astype(np.float64)


def mse(predicted: Any, target: Any) -> float:
    """The mean square of the errors."""
    p, t = _numbers("mse", predicted, target)
    return float(np.mean(np.square(p - t)))


def rmse(predicted: Any, target: Any) -> float:
    """The root of the mean square of the errors."""
    return mse(predicted, target) ** 0.5


def mae(predicted: Any, target: Any) -> float:
    """The mean size of the errors."""
    p, t = _numbers("mae", predicted, target)
    return float(np.mean(np.abs(p - t)))


def r2_score(predicted: Any, target: Any) -> float:
    """The share of the targets' variance that predictions explain."""
    p, t = _numbers("r2_score", predicted, target)
    spread, left = np.sum(np.square(t - t.mean())), np.sum(np.square(p - t))
    return float(1 - left / spread) if spread else float(left == 0)


def perplexity(loss: Any) -> float:
    """How many equally likely choices a mean cross entropy, in nats, is worth."""
    return float(np.exp(np.mean(_array(loss), dtype=np.float64)))


# --- masks and embeddings --------------------------------------------------------------------------------------------


def _masks(name: str, predicted: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two masks of one shape; an inside of 255, as in files of images, is one as well."""
    predicted, target = _pair(name, predicted, target)
    for what, array in (("predictions", predicted), ("targets", target)):
        inside = 1 if array.dtype.kind == "f" else array.max()
        if not np.isin(array, (0, inside)).all():
            raise ValueError(f"{name}: {what} are no mask, of 0 outside and 1 inside, but of other numbers; {CUT}")
    return predicted.astype(bool), target.astype(bool)


def iou(predicted: Any, target: Any) -> float:
    """What two masks share over what they cover together; two empty ones agree."""
    p, t = _masks("iou", predicted, target)
    union = np.count_nonzero(p | t)
    return np.count_nonzero(p & t) / union if union else 1.0


def dice(predicted: Any, target: Any) -> float:
    """Twice what two masks share over the sum of both; two empty ones agree."""
    p, t = _masks("dice", predicted, target)
    both = np.count_nonzero(p) + np.count_nonzero(t)
    return 2 * np.count_nonzero(p & t) / both if both else 1.0


def n_way_accuracy(
    distance: Callable[[Any, Any], Any], samples: Any, target: Any, ways: int, trials: int = 400, seed: int = 0
) -> float:
    """The share of trials in which, of `ways` samples of different classes, the one nearest to a query is of its class.

    `distance(query, candidates)` gives a number for each candidate; queries and candidates are drawn from `samples`, and
    a tie with another class is a miss.
    """
    samples, target, rng = _array(samples), _array(target), np.random.default_rng(seed)
    members = {c: np.flatnonzero(target == c) for c in np.unique(target)}
    askable = [c for c, rows in members.items() if len(rows) > 1]
    if not askable or not 2 <= ways <= len(members):
        raise ValueError(
            f"n_way_accuracy: needs a class with two samples and from 2 to {len(members)} ways (the classes), got {ways}"
        )
    right = 0
    for _ in range(trials):
        own = rng.choice(askable)
        query, match = rng.choice(members[own], 2, replace=False)
        others = rng.choice([c for c in members if c != own], ways - 1, replace=False)
        rows = [match, *(rng.choice(members[c]) for c in others)]
        distances = _array(distance(samples[query], samples[rows])).ravel()
        right += bool(np.all(distances[0] < distances[1:]))
    return right / trials
