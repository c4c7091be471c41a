"""AlexNet twice: in two halves, as in "ImageNet classification with deep convolutional networks", and torchvision's."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor

from .. import init
from ..activations import ReLU
from ..containers import Sequential
from ..convolution import Conv2d
from ..dropout import Dropout
from ..linear import Linear
from ..module import Module
from ..normalization import LocalResponseNorm
from ..pooling import AdaptiveAvgPool2d, MaxPool2d
from .weights import require_untrained


class AlexNet(Module):
    """The narrower form of "One weird trick for parallelizing convolutional networks", without normalization."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        self.features = Sequential(
            Conv2d(3, 64, 11, 4, 2),
            ReLU(),
            MaxPool2d(3, 2),
            Conv2d(64, 192, 5, padding=2),
            ReLU(),
            MaxPool2d(3, 2),
            Conv2d(192, 384, 3, padding=1),
            ReLU(),
            Conv2d(384, 256, 3, padding=1),
            ReLU(),
            Conv2d(256, 256, 3, padding=1),
            ReLU(),
            MaxPool2d(3, 2),
        )
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(dropout),
            Linear(256 * 6 * 6, 4096),
            ReLU(),
            Dropout(dropout),
            Linear(4096, 4096),
            ReLU(),
            Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W), usually of 224x224, to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class GroupedAlexNet(Module):
    """The network of the paper: where its halves, each on a processor of its own, did not see each other, two groups."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        norm = lambda: LocalResponseNorm(
            5, alpha=5e-4, beta=0.75, k=2.0
        )  # the paper's 1e-4 is of a sum, ours of a mean
        with init.skipped():
            self.features = Sequential(
                Conv2d(3, 96, 11, 4, 2),
                ReLU(),
                norm(),
                MaxPool2d(3, 2),
                Conv2d(96, 256, 5, padding=2, groups=2),
                ReLU(),
                norm(),
                MaxPool2d(3, 2),
                Conv2d(256, 384, 3, padding=1),
                ReLU(),
                Conv2d(384, 384, 3, padding=1, groups=2),
                ReLU(),
                Conv2d(384, 256, 3, padding=1, groups=2),
                ReLU(),
                MaxPool2d(3, 2),
            )
            self.classifier = Sequential(
                Linear(256 * 6 * 6, 4096),
                ReLU(),
                Dropout(dropout),
                Linear(4096, 4096),
                ReLU(),
                Dropout(dropout),
                Linear(4096, num_classes),
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights; biases one where that lets rectifiers begin with what is positive, as the paper has them."""
        layers = [m for m in self.modules() if isinstance(m, (Conv2d, Linear))]
        for place, layer in enumerate(layers, 1):
            init.normal_(layer.weight, 0, 0.01)
            init.constant_(layer.bias, 1.0 if place in (2, 4, 5, 6, 7) else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, 224, 224) to scores (N, num_classes)."""
        return self.classifier(self.features(x).flatten(1))


def alexnet(weights: Any = None, progress: bool = True, **kwargs: Any) -> AlexNet:
    """AlexNet as torchvision has it."""
    require_untrained("alexnet", weights, kwargs)
    return AlexNet(**kwargs)


def alexnet_grouped(**kwargs: Any) -> GroupedAlexNet:
    """AlexNet as in the paper."""
    return GroupedAlexNet(**kwargs)
