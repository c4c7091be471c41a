"""MobileNets: convolutions apart in space and in channels, as in the papers of versions 1 and 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import Tensor

from .. import init
from ..activations import ReLU, ReLU6
from ..containers import Sequential
from ..convolution import Conv2d
from ..dropout import Dropout
from ..linear import Linear
from ..module import Module
from ..normalization import BatchNorm2d, GroupNorm
from ..pooling import AdaptiveAvgPool2d
from .weights import require_untrained

Norm = Callable[..., Module]

# Expansion, channels, how many blocks, stride of the first.
INVERTED = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)

# Channels and stride of the pairs of version 1.
SEPARABLE = (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)


def conv_norm(
    channels: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1, norm: Norm = BatchNorm2d,
    activation: Norm = ReLU6,
) -> Sequential:  # fmt: skip
    """A convolution that keeps the size, up to its stride, a norm and a rectifier."""
    convolution = Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return Sequential(convolution, norm(out), activation())


def divisible(channels: float, by: int) -> int:
    """The nearest multiple of `by`, at least that and not less than nine tenths of what is asked for."""
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * channels else nearest


class InvertedResidual(Module):
    """To more channels, a convolution of each alone, back to few without a rectifier; added to what comes in if it fits."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Norm | None = None):
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {stride}")
        norm = BatchNorm2d if norm_layer is None else norm_layer
        hidden = round(inp * expand_ratio)
        expand = [] if expand_ratio == 1 else [conv_norm(inp, hidden, 1, norm=norm)]
        alone = conv_norm(hidden, hidden, 3, stride, hidden, norm)
        self.conv = Sequential(*expand, alone, Conv2d(hidden, oup, 1, bias=False), norm(oup))
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """(N, inp, H, W) to (N, oup, H / stride, W / stride)."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(Module):
    """Inverted residuals; all widths are multiplied by `width_mult` and rounded to multiples of `round_nearest`."""

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., Module] | None = None,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ):
        setting = INVERTED if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(row) != 4 for row in setting):
            raise ValueError(
                "MobileNetV2: inverted_residual_setting must have rows (expansion, channels, blocks, stride), got "
                f"{inverted_residual_setting}"
            )
        block = InvertedResidual if block is None else block
        norm = BatchNorm2d if norm_layer is None else norm_layer
        channels = divisible(32 * width_mult, round_nearest)
        self.last_channel = divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[Module] = [conv_norm(3, channels, stride=2, norm=norm)]
        for expansion, wide, count, first in setting:
            for stride in (first, *[1] * (count - 1)):
                out = divisible(wide * width_mult, round_nearest)
                features.append(block(channels, out, stride, expand_ratio=expansion, norm_layer=norm))
                channels = out
        self.features = Sequential(*features, conv_norm(channels, self.last_channel, 1, norm=norm))
        self.classifier = Sequential(Dropout(dropout), Linear(self.last_channel, num_classes))
        self.apply(first_values)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W), usually of 224x224, to scores (N, num_classes)."""
        return self.classifier(self.features(x).mean((2, 3)))


class MobileNetV1(Module):
    """Pairs of a convolution of each channel alone and a product over channels; widths times `width_mult`."""

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.001):
        channels = int(32 * width_mult)
        features = [conv_norm(3, channels, stride=2, activation=ReLU)]
        for wide, stride in SEPARABLE:
            out = int(wide * width_mult)
            alone = conv_norm(channels, channels, 3, stride, channels, activation=ReLU)
            features.append(Sequential(alone, conv_norm(channels, out, 1, activation=ReLU)))
            channels = out
        self.features = Sequential(*features)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.classifier = Sequential(Dropout(dropout), Linear(channels, num_classes))
        self.apply(first_values)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W), usually of 224x224, to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def first_values(module: Module) -> None:
    """Normal weights, those of convolutions such that they keep the size of gradients; no biases."""
    if isinstance(module, Conv2d):
        init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, (BatchNorm2d, GroupNorm)):
        module.reset_parameters()
    elif isinstance(module, Linear):
        init.normal_(module.weight, 0, 0.01)
    if isinstance(module, (Conv2d, Linear)) and module.bias is not None:
        init.zeros_(module.bias)


def mobilenet_v1(**kwargs: Any) -> MobileNetV1:
    """MobileNet as in "Efficient convolutional neural networks for mobile vision applications"."""
    return MobileNetV1(**kwargs)


def mobilenet_v2(weights: Any = None, progress: bool = True, **kwargs: Any) -> MobileNetV2:
    """MobileNet as in "Inverted residuals and linear bottlenecks"."""
    require_untrained("mobilenet_v2", weights, kwargs)
    return MobileNetV2(**kwargs)
