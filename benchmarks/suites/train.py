"""Whole training steps: forward, loss, backward, optimizer; the same first values, the same batch, the same losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..rows import Make, Row, Step, alike
from . import models
from .models import perceptron

MAIN = "ours", "ours compiled", "torch", "torch.compile", "jax"
DENSE = *MAIN, "autograd", "mygrad", "tinygrad"
ADAM = 10.0  # how often a parameter is moved: read twice, its slope written; four arrays read and three written by Adam
IMAGES = {"images": True, "tolerance": 1e-2}  # batch norm makes more of the last digits


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def labels(count: int, *shape: int) -> np.ndarray:
    """Whole numbers below `count`."""
    return np.random.default_rng(1).integers(0, count, shape)


def classified(count: int, *shape: int) -> Callable[[], tuple]:
    """A batch with its classes."""
    return lambda: (normal(*shape), labels(count, shape[0]))


def training(
    make: Callable, batch: Callable, loss: str, optimizer: str, settings: dict, moved: float
) -> Callable[[Any], Step]:
    """A step of training: `loss` of what the model makes of all of a batch but the last, and the last."""

    def ready(lib: Any) -> Step:
        model, given = make(lib), [lib.tensor(a) for a in batch()]
        loss_of = getattr(lib.F, loss)
        step = lib.whole(lib.trainer(model, lambda *b: loss_of(model(*b[:-1]), b[-1]), optimizer, **settings))

        def run() -> Any:
            return step(*given)

        run.work = lib.work(model, moved, *given[:-1])  # type: ignore[attr-defined]
        return run

    return ready


def trained(
    name: str,
    make: Callable,
    batch: Callable,
    loss: str = "cross_entropy",
    ways: tuple[str, ...] = MAIN,
    optimizer: str = "Adam",
    settings: dict | None = None,
    moved: float = ADAM,
    **more: Any,
) -> Row:
    """The row of a model that is trained by itself."""
    work = training(make, batch, loss, optimizer, {"lr": 1e-3} if settings is None else settings, moved)
    return row(name, alike(work, *ways), **more)


def row(name: str, ways: dict[str, Make], **more: Any) -> Row:
    """A row: the losses of the first three steps must agree."""
    usual = dict(suite="train", group="training step", checked=3, tolerance=1e-3, seconds=6.0, block=0.05, apart=True)
    return Row(**{**usual, "name": name, "ways": ways, **more})  # type: ignore[arg-type]


def adversarial(lib: Any) -> Step:
    """DCGAN: a step of the discriminator on real and made images, then one of the generator."""
    make, judge, noise = models.generator(lib), models.discriminator(lib), lib.tensor(normal(32, 64, 1, 1))
    real = lib.tensor(np.tanh(normal(32, 3, 32, 32, seed=1)))
    one, zero = lib.tensor(np.ones((32, 1), np.float32)), lib.tensor(np.zeros((32, 1), np.float32))
    loss = lib.F.binary_cross_entropy_with_logits

    def judged(real: Any, noise: Any) -> Any:
        return loss(judge(real), one) + loss(judge(lib.fixed(make(noise))), zero)

    judging = lib.trainer(judge, judged, "Adam", [make], lr=2e-4)
    making = lib.trainer(make, lambda noise: loss(judge(make(noise)), one), "Adam", [judge], lr=2e-4)
    step = lib.whole(lambda real, noise: (judging(real, noise), making(noise)))
    run = lambda: step(real, noise)
    if known := lib.work(judge, ADAM, real):
        again, made = lib.work(judge, 0.0, real), lib.work(make, ADAM, noise)
        # the one judges three times, the last time without gradients of its own; the other makes twice
        flops = known["flops"] * 8 / 3 + made["flops"] * 4 / 3
        run.work = {"flops": flops, "bytes": known["bytes"] + 2 * again["bytes"] + made["bytes"]}  # type: ignore[attr-defined]
    return run


def words() -> tuple:
    """Words, those beside them and five drawn ones, and which are which."""
    right = np.zeros((512, 6), np.float32)
    right[:, 0] = 1
    return labels(10_000, 512), labels(10_000, 512, 6), right


def rows() -> Iterator[Row]:
    """From the smallest network to a ResNet and a GPT."""
    image = normal(256, 784)
    yield trained("MLP 2-8-2, batch 1", perceptron(2, 8, 2), classified(2, 1, 2), ways=DENSE, quick=True)
    yield trained("MLP 64-64-64-10, batch 32", perceptron(64, 64, 64, 10), classified(10, 32, 64), ways=DENSE)
    yield trained("MLP 784-128-10, batch 64", perceptron(784, 128, 10), classified(10, 64, 784), ways=DENSE, quick=True)
    yield trained("MLP 784-512-256-10, batch 128", perceptron(784, 512, 256, 10), classified(10, 128, 784), ways=DENSE)
    yield trained(
        "MLP 784-1024-1024-10, batch 256", perceptron(784, 1024, 1024, 10), classified(10, 256, 784), ways=DENSE
    )
    sizes = 784, 256, 128, 256, 784
    yield trained(
        "autoencoder 784-256-128-256-784, batch 256", perceptron(*sizes), lambda: (image, image), "mse_loss", DENSE
    )
    yield trained("LeNet-5, batch 64", models.lenet, classified(10, 64, 1, 28, 28), ways=(*MAIN, "tinygrad"), **IMAGES)
    yield trained("VGG, six convolutions, batch 64", models.vgg, classified(10, 64, 3, 32, 32), **IMAGES)
    yield trained("ResNet-18, batch 16", models.resnet18, classified(10, 16, 3, 32, 32), **IMAGES)
    yield trained("LSTM over 28 rows, hidden 128, batch 128", models.recurrent("LSTM"), classified(10, 128, 28, 28))
    yield trained("GRU over 28 rows, hidden 128, batch 128", models.recurrent("GRU"), classified(10, 128, 28, 28))
    tokens = lambda: (labels(256, 8, 128), labels(256, 8 * 128))
    yield trained("GPT, width 128, 4 layers, 128 tokens, batch 8", models.gpt(256, 128, 4, 128), tokens)
    yield row("DCGAN, 3 x 32 x 32, batch 32", alike(adversarial, *MAIN), **IMAGES)
    picture = lambda: (normal(4, 1, 64, 64), (normal(4, 1, 64, 64, seed=1) > 0).astype(np.float32))
    yield trained("U-Net, 64 x 64, batch 4", models.unet, picture, "binary_cross_entropy_with_logits", **IMAGES)
    sgd = {"optimizer": "SGD", "settings": {"lr": 0.5}, "moved": 0.0}  # few of the words take part in a step
    near = "binary_cross_entropy_with_logits"
    yield trained(
        "word2vec, 10,000 words, width 100, batch 512, SGD", models.skip_gram(10_000, 100), words, near, **sgd
    )
