"""Models, written once for every library that has the layers: `lib` is one of `benchmarks.peers`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any


def perceptron(*sizes: int, between: str = "ReLU") -> Callable[[Any], Any]:
    """Linear layers with a function between them."""

    def make(lib: Any) -> Any:
        pairs = [(lib.nn.Linear(a, b), getattr(lib.nn, between)()) for a, b in itertools.pairwise(sizes)]
        return lib.nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])

    return make


def lenet(lib: Any) -> Any:
    """LeNet-5 with ReLU and largest entries."""
    n = lib.nn
    return n.Sequential(
        n.Conv2d(1, 6, 5, padding=2), n.ReLU(), n.MaxPool2d(2), n.Conv2d(6, 16, 5), n.ReLU(), n.MaxPool2d(2),
        n.Flatten(), n.Linear(400, 120), n.ReLU(), n.Linear(120, 84), n.ReLU(), n.Linear(84, 10),
    )  # fmt: skip


def vgg(lib: Any) -> Any:
    """Six convolutions with batch norm, as for CIFAR."""
    n, layers, channels = lib.nn, [], 3
    for width in (32, 64, 128):
        for _ in range(2):
            layers += [n.Conv2d(channels, width, 3, padding=1), n.BatchNorm2d(width), n.ReLU()]
            channels = width
        layers.append(n.MaxPool2d(2))
    return n.Sequential(*layers, n.Flatten(), n.Linear(128 * 16, 10))


def resnet18(lib: Any) -> Any:
    """ResNet-18 as for CIFAR: 3 x 3 convolutions from the start, no pooling before the end."""
    n, relu = lib.nn, lib.F.relu

    class Block(n.Module):
        def __init__(self, c: int, k: int, stride: int):
            super().__init__()
            self.conv1, self.norm1 = n.Conv2d(c, k, 3, stride, 1, bias=False), n.BatchNorm2d(k)
            self.conv2, self.norm2 = n.Conv2d(k, k, 3, 1, 1, bias=False), n.BatchNorm2d(k)
            same = stride == 1 and c == k
            self.short = (
                n.Sequential() if same else n.Sequential(n.Conv2d(c, k, 1, stride, bias=False), n.BatchNorm2d(k))
            )

        def forward(self, x: Any) -> Any:
            y = relu(self.norm1(self.conv1(x)))
            return relu(self.norm2(self.conv2(y)) + self.short(x))

    class ResNet(n.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = n.Sequential(n.Conv2d(3, 64, 3, 1, 1, bias=False), n.BatchNorm2d(64), n.ReLU())
            widths = [64, 64, 128, 256, 512]
            stages = [(a, b, 1 if a == b else 2) for a, b in itertools.pairwise(widths)]
            self.blocks = n.Sequential(*[b for c, k, s in stages for b in (Block(c, k, s), Block(k, k, 1))])
            self.last = n.Linear(512, 10)

        def forward(self, x: Any) -> Any:
            return self.last(self.blocks(self.first(x)).mean((2, 3)))

    return ResNet()


def recurrent(kind: str, inputs: int = 28, states: int = 128) -> Callable[[Any], Any]:
    """An LSTM or GRU over sequences, and a linear layer on its last state."""

    def make(lib: Any) -> Any:
        class Model(lib.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.rnn = getattr(lib.nn, kind)(inputs, states, batch_first=True)
                self.last = lib.nn.Linear(states, 10)

            def forward(self, x: Any) -> Any:
                return self.last(self.rnn(x)[0][:, -1])

        return Model()

    return make


def gpt(vocabulary: int, width: int, layers: int, length: int, heads: int = 4) -> Callable[[Any], Any]:
    """A decoder in the manner of GPT-2."""

    def make(lib: Any) -> Any:
        n = lib.nn

        class Block(n.Module):
            def __init__(self) -> None:
                super().__init__()
                self.norm1, self.qkv, self.out = n.LayerNorm(width), n.Linear(width, 3 * width), n.Linear(width, width)
                self.norm2, self.up, self.down = (
                    n.LayerNorm(width),
                    n.Linear(width, 4 * width),
                    n.Linear(4 * width, width),
                )

            def attend(self, x: Any) -> Any:
                b, t, _ = x.shape
                qkv = self.qkv(x).reshape(b, t, 3, heads, width // heads)
                q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))
                y = lib.F.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.out(y.swapaxes(1, 2).reshape(b, t, width))

            def forward(self, x: Any) -> Any:
                x = x + self.attend(self.norm1(x))
                return x + self.down(lib.F.gelu(self.up(self.norm2(x))))

        class Model(n.Module):
            def __init__(self) -> None:
                super().__init__()
                self.tokens, self.places = n.Embedding(vocabulary, width), n.Embedding(length, width)
                self.blocks = n.Sequential(*[Block() for _ in range(layers)])
                self.norm, self.last = n.LayerNorm(width), n.Linear(width, vocabulary)

            def forward(self, x: Any) -> Any:
                h = self.tokens(x) + self.places.weight[: x.shape[1]]
                return self.last(self.norm(self.blocks(h))).reshape(-1, vocabulary)

        return Model()

    return make


def join(lib: Any, *parts: Any) -> Any:
    """Images side by side, as channels."""
    return (lib.m.cat if hasattr(lib.m, "cat") else lib.m.concatenate)(parts, 1)


def unet(lib: Any, width: int = 16) -> Any:
    """A U-Net of three levels: two convolutions each, pooled on the way down, joined on the way up."""
    n = lib.nn

    def two(c: int, k: int) -> Any:
        return n.Sequential(n.Conv2d(c, k, 3, padding=1), n.ReLU(), n.Conv2d(k, k, 3, padding=1), n.ReLU())

    class Model(n.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down1, self.down2, self.bottom = two(1, width), two(width, 2 * width), two(2 * width, 4 * width)
            self.pool = n.MaxPool2d(2)
            self.up2, self.right2 = n.ConvTranspose2d(4 * width, 2 * width, 2, 2), two(4 * width, 2 * width)
            self.up1, self.right1 = n.ConvTranspose2d(2 * width, width, 2, 2), two(2 * width, width)
            self.last = n.Conv2d(width, 1, 1)

        def forward(self, x: Any) -> Any:
            a = self.down1(x)
            b = self.down2(self.pool(a))
            c = self.bottom(self.pool(b))
            b = self.right2(join(lib, self.up2(c), b))
            return self.last(self.right1(join(lib, self.up1(b), a)))

    return Model()


def generator(lib: Any, width: int = 32) -> Any:
    """DCGAN's, from 64 numbers to 3 x 32 x 32."""
    n = lib.nn
    up = lambda c, k, stride, padding: n.ConvTranspose2d(c, k, 4, stride, padding, bias=False)
    return n.Sequential(
        up(64, 4 * width, 1, 0), n.BatchNorm2d(4 * width), n.ReLU(),
        up(4 * width, 2 * width, 2, 1), n.BatchNorm2d(2 * width), n.ReLU(),
        up(2 * width, width, 2, 1), n.BatchNorm2d(width), n.ReLU(), up(width, 3, 2, 1), n.Tanh(),
    )  # fmt: skip


def discriminator(lib: Any, width: int = 32) -> Any:
    """DCGAN's, of 3 x 32 x 32."""
    n = lib.nn
    down = lambda c, k, stride, padding: n.Conv2d(c, k, 4, stride, padding, bias=False)
    return n.Sequential(
        down(3, width, 2, 1), n.LeakyReLU(0.2), down(width, 2 * width, 2, 1), n.BatchNorm2d(2 * width), n.LeakyReLU(0.2),
        down(2 * width, 4 * width, 2, 1), n.BatchNorm2d(4 * width), n.LeakyReLU(0.2), down(4 * width, 1, 1, 0), n.Flatten(),
    )  # fmt: skip


def skip_gram(words: int, width: int) -> Callable[[Any], Any]:
    """word2vec: how well words go with those beside them."""

    def make(lib: Any) -> Any:
        class Model(lib.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                sparse = {"sparse": True} if lib.sparse else {}
                self.centre, self.beside = (lib.nn.Embedding(words, width, **sparse) for _ in range(2))

            def forward(self, word: Any, others: Any) -> Any:
                return (self.centre(word)[:, None] * self.beside(others)).sum(-1)

        return Model()

    return make
