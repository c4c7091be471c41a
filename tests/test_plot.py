"""nn.plot: pictures come out, with what they should show in them; and errors."""

import io

import numpy as np
import pytest

import autograd_core as ag
from nn import plot
from nn.train import History

pytest.importorskip("matplotlib")
rng = np.random.default_rng(0)
HISTORY = History([{"epoch": k + 1, "loss": 1 / (k + 1), "validation loss": 1.5, "accuracy": 0.5} for k in range(4)])


def drawn(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plot.curves(HISTORY),
        lambda: plot.curves({"loss": [3.0, 1.0]}, log=True),
        lambda: plot.images(ag.rand(5, 1, 6, 4), labels=range(5)),
        lambda: plot.images(rng.integers(0, 255, (3, 8, 8, 3)), columns=3),
        lambda: plot.filters(ag.rand(4, 3, 5, 5)),
        lambda: plot.filters(ag.rand(4, 2, 5, 5)),
        lambda: plot.filters(ag.rand(3, 16)),
        lambda: plot.filters(ag.rand(3, 15)),
        lambda: plot.confusion(rng.integers(0, 9, (3, 3)), ["cat", "dog", "bird"]),
        lambda: plot.boundary(lambda x: x @ ag.ones(2, 3), ag.rand(9, 2), np.arange(9) % 3, steps=20),
        lambda: plot.boundary(lambda x: x[:, 0].sigmoid(), ag.rand(9, 2), steps=20),
        lambda: plot.embedding(rng.standard_normal((20, 5)), np.arange(20) % 3, names=["a", "b", "c"]),
        lambda: plot.embedding(ag.rand(3, 2), ["cat", "dog", "bird"]),
    ],
)
def test_pictures(figure) -> None:
    assert drawn(figure()).startswith(b"\x89PNG")


def test_a_value_and_its_validation_share_axes() -> None:
    loss, accuracy = plot.curves(HISTORY).axes
    assert [line.get_label() for line in loss.lines] == ["loss", "validation loss"] and len(accuracy.lines) == 1
    np.testing.assert_allclose(loss.lines[0].get_ydata(), HISTORY["loss"])


def test_images_fill_a_grid() -> None:
    figure = plot.images(np.stack([np.eye(4), 2 * np.eye(4), np.zeros((4, 4))]))
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(figure.axes) == 4 and len(shown) == 3 and shown[1].max() == 1 and shown[0].max() == 0.5


def test_the_plane_is_asked_around_the_points() -> None:
    asked = []
    plot.boundary(lambda x: asked.append(x.numpy()) or x, np.array([[0.0, 1], [2, 3]]), steps=5)
    assert asked[0].shape == (25, 2) and asked[0].min(axis=0).tolist() == [-0.3, 0.7] and asked[0].max() == 3.3


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: plot.images(np.zeros((2, 5, 4, 4))), r"expected images .* got \(2, 5, 4, 4\)"),
        (lambda: plot.filters(np.zeros(3)), "expected a weight"),
        (lambda: plot.confusion(np.zeros((2, 3))), "square matrix"),
        (lambda: plot.boundary(None, np.zeros((4, 3))), r"points \(N, 2\)"),
        (lambda: plot.embedding(np.zeros(4)), "points"),
        (lambda: plot.curves({"epoch": [1]}), "no value to draw"),
    ],
)
def test_errors(call, text) -> None:
    with pytest.raises(ValueError, match=text):
        call()
