"""Pictures of training: each function returns a Figure of Matplotlib, to be shown or saved with `figure.savefig(path)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["boundary", "confusion", "curves", "embedding", "endings", "filters", "images"]


def _array(x: Any) -> np.ndarray:
    return x.detach().numpy() if isinstance(x, ag.Tensor) else np.asarray(x)


def _figure(width: float, height: float) -> Any:
    """A figure that belongs to no window and no global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need Matplotlib: pip install 'autograd-core[plot]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def endings() -> list[str]:
    """Of files that a figure can be saved as."""
    return [f".{kind}" for kind in _figure(1, 1).canvas.get_supported_filetypes()]


def curves(history: Any, names: Sequence[str] | None = None, log: bool = False) -> Any:
    """Measured values by epoch: a History or a dict of columns; values with and without "validation" share an axis."""
    columns = history if isinstance(history, dict) else {n: history[n] for n in history.names()}
    names = [n for n in columns if n not in ("epoch", "seconds")] if names is None else list(names)
    if not names:
        raise ValueError("curves: there is no value to draw")
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.removeprefix("validation "), []).append(name)
    figure = _figure(4.5 * len(groups), 3.5)
    for axes, (title, members) in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups.items()):
        for name in members:
            values = columns[name]
            axes.plot(
                columns.get("epoch", range(1, len(values) + 1)), values, marker="." * (len(values) < 40), label=name
            )
        axes.set(xlabel="epoch", title=title, yscale="log" if log else "linear")
        if len(members) > 1:
            axes.legend()
    return figure


def images(batch: Any, labels: Sequence | None = None, columns: int | None = None, limit: int = 64) -> Any:
    """A grid of images: (N, H, W), (N, 1 or 3, H, W) or (N, H, W, 3); numbers are spread over what occurs."""
    pictures = _pictures(_array(batch)[:limit])
    n = len(pictures)
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    figure = _figure(1.2 * columns, (1.2 if labels is None else 1.45) * rows)
    for k, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if k < n:
            axes.imshow(pictures[k], cmap="gray", interpolation="nearest")
            if labels is not None:
                axes.set_title(str(labels[k]), fontsize=8)
    return figure


def _pictures(batch: np.ndarray) -> np.ndarray:
    """Grey (N, H, W) or coloured (N, H, W, 3) from 0 to 1."""
    shape = batch.shape
    if batch.ndim == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        batch = np.moveaxis(batch, 1, -1)
    if batch.ndim == 4 and batch.shape[-1] == 1:
        batch = batch[..., 0]
    if not len(batch) or batch.ndim not in (3, 4) or batch.ndim == 4 and batch.shape[-1] != 3:
        raise ValueError(f"expected images (N, H, W), (N, 1 or 3, H, W) or (N, H, W, 3), got {shape}")
    low, high = float(batch.min()), float(batch.max())
    return (batch.astype(np.float64) - low) / ((high - low) or 1)


def filters(weight: Any, limit: int = 64) -> Any:
    """The kernels of a convolution (K, C, H, W), in colour where C is 3, else each channel by itself; a matrix
    (K, n) is shown as rows if they are not square images."""
    w = _array(weight)
    if w.ndim == 2:
        side = math.isqrt(w.shape[1])
        w = w.reshape(-1, 1, side, side) if side * side == w.shape[1] else w[:, None, None, :]
    if w.ndim != 4:
        raise ValueError(f"filters: expected a weight (K, C, H, W) or (K, n), got {w.shape}")
    return images(w if w.shape[1] == 3 else w.reshape(-1, *w.shape[2:]), limit=limit)


def confusion(matrix: Any, classes: Sequence[str] | None = None) -> Any:
    """A confusion matrix: the number in each cell, and as colour its share of the row."""
    m = _array(matrix)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ValueError(f"confusion: expected a square matrix, got {m.shape}")
    n = len(m)
    figure = _figure(1.8 + 0.45 * n, 1.6 + 0.45 * n)
    axes = figure.subplots()
    shares = m / np.maximum(m.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(m):
        if count:
            dark = shares[row, column] > 0.5
            axes.text(
                column, row, f"{count:g}", ha="center", va="center", fontsize=7, color="white" if dark else "black"
            )
    names = [str(k) for k in range(n)] if classes is None else list(classes)
    axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(n), names)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def boundary(predict: Callable, x: Any, y: Any = None, steps: int = 200, margin: float = 0.15) -> Any:
    """What a model says over the plane around points (N, 2): classes where it gives scores for several, else levels."""
    points = _array(x)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"boundary: expected points (N, 2), got {points.shape}")
    low, high = points.min(axis=0), points.max(axis=0)
    room = margin * np.maximum(high - low, 1e-9)
    across, up = (np.linspace(low[k] - room[k], high[k] + room[k], steps, dtype=points.dtype) for k in (0, 1))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    with ag.no_grad():
        scores = _array(predict(ag.from_numpy(grid)))
    several = scores.ndim == 2 and scores.shape[1] > 1
    values = (scores.argmax(axis=1) if several else scores.reshape(-1)).reshape(steps, steps)
    figure = _figure(4.5, 4)
    axes = figure.subplots()
    if several:
        axes.contourf(
            across,
            up,
            values,
            np.arange(values.max() + 2) - 0.5,
            colors=_of_classes(range(values.max() + 1)),
            alpha=0.3,
        )
    else:
        figure.colorbar(axes.contourf(across, up, values, 20, cmap="RdBu_r", alpha=0.6))
    marks = None if y is None else _array(y).ravel()
    colours = (
        {"c": "black"} if marks is None else {"c": _of_classes(marks)} if several else {"c": marks, "cmap": "RdBu_r"}
    )
    axes.scatter(*points.T, **colours, s=12, edgecolors="black", linewidths=0.3)
    return figure


def _of_classes(numbers: Any) -> list:
    """A colour for each class."""
    from matplotlib import colormaps

    return [colormaps["tab10"](int(k) % 10) for k in numbers]


def embedding(points: Any, labels: Any = None, names: Sequence[str] | None = None) -> Any:
    """Points (N, 2), or the two directions in which points of more dimensions vary most; labels are colours or, as
    texts, written beside the points."""
    p = _array(points).astype(np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ValueError(f"embedding: expected points (N, 2 or more), got {p.shape}")
    if p.shape[1] > 2:
        centred = p - p.mean(axis=0)
        p = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    figure = _figure(5, 4.5)
    axes = figure.subplots()
    marks = None if labels is None else np.asarray(_array(labels))
    if marks is not None and marks.dtype.kind in "US":
        axes.scatter(*p.T, s=6)
        for place, text in zip(p, marks):
            axes.annotate(text, place, fontsize=7)
        return figure
    for k in [None] if marks is None else np.unique(marks):
        chosen = p if k is None else p[marks == k]
        axes.scatter(*chosen.T, s=6, label=None if k is None else str(k) if names is None else names[int(k)])
    if marks is not None and len(np.unique(marks)) <= 20:
        axes.legend(fontsize=7, markerscale=2)
    return figure
