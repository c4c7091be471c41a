"""Networks of 3x3 convolutions alone, as in "Very deep convolutional networks for large-scale image recognition"."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from autograd_core import Tensor

from .. import init
from ..activations import ReLU
from ..containers import Sequential
from ..convolution import Conv2d
from ..dropout import Dropout
from ..linear import Linear
from ..module import Module
from ..normalization import BatchNorm2d
from ..pooling import AdaptiveAvgPool2d, MaxPool2d
from .weights import require_untrained

WIDTHS = 64, 128, 256, 512, 512
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(Module):
    """Convolutions, `features`, whose 512 channels are pooled to 7x7; three products make scores of classes of them."""

    def __init__(self, features: Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5):
        self.features = features
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        with init.skipped() if init_weights else nullcontext():  # 120 million numbers need not be drawn twice
            self.classifier = Sequential(
                Linear(512 * 7 * 7, 4096),
                ReLU(),
                Dropout(dropout),
                Linear(4096, 4096),
                ReLU(),
                Dropout(dropout),
                Linear(4096, num_classes),
            )
        if init_weights:
            self.apply(first_values)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W), usually of 224x224, to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def first_values(module: Module) -> None:
    """Normal weights and no biases."""
    if isinstance(module, Conv2d):
        init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, Linear):
        init.normal_(module.weight, 0, 0.01)
    if isinstance(module, (Conv2d, Linear)) and module.bias is not None:
        init.zeros_(module.bias)


def make_layers(depths: Sequence[int], batch_norm: bool = False) -> Sequential:
    """So many convolutions of each width, with a pooling after each width."""
    layers: list[Module] = []
    channels = 3
    for width, depth in zip(WIDTHS, depths):
        for _ in range(depth):
            norm = [BatchNorm2d(width)] if batch_norm else []
            layers += [Conv2d(channels, width, 3, padding=1), *norm, ReLU()]
            channels = width
        layers.append(MaxPool2d(2, 2))
    return Sequential(*layers)


def _vgg(name: str, depth: int, batch_norm: bool, weights: Any, options: dict[str, Any]) -> VGG:
    require_untrained(name, weights, options)
    return VGG(make_layers(DEPTHS[depth], batch_norm), **options)


def vgg11(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """11 layers with weights (A in the paper)."""
    return _vgg("vgg11", 11, False, weights, kwargs)


def vgg11_bn(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """11 layers, with batch norm."""
    return _vgg("vgg11_bn", 11, True, weights, kwargs)


def vgg13(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """13 layers (B in the paper)."""
    return _vgg("vgg13", 13, False, weights, kwargs)


def vgg13_bn(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """13 layers, with batch norm."""
    return _vgg("vgg13_bn", 13, True, weights, kwargs)


def vgg16(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """16 layers (D in the paper)."""
    return _vgg("vgg16", 16, False, weights, kwargs)


def vgg16_bn(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """16 layers, with batch norm."""
    return _vgg("vgg16_bn", 16, True, weights, kwargs)


def vgg19(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """19 layers (E in the paper)."""
    return _vgg("vgg19", 19, False, weights, kwargs)


def vgg19_bn(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
    """19 layers, with batch norm."""
    return _vgg("vgg19_bn", 19, True, weights, kwargs)
