"""GoogLeNet, as in "Going deeper with convolutions", with batch norm, as torchvision has it."""

from __future__ import annotations

from typing import Any, NamedTuple

from autograd_core import Tensor, cat

from .. import functional as F
from ..containers import Sequential
from ..dropout import Dropout
from ..linear import Linear
from ..module import Module
from ..pooling import AdaptiveAvgPool2d, MaxPool2d
from .inception_parts import BasicConv2d, draw_truncated, from_minus_one_to_one
from .weights import require_untrained


class GoogLeNetOutputs(NamedTuple):
    """Scores, and in training those of the classifiers on the way."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


# Channels that come in; of the 1x1; before and of the 3x3; before and of the second 3x3; of the pooled.
INCEPTIONS = {
    "inception3a": (192, 64, 96, 128, 16, 32, 32),
    "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "inception4a": (480, 192, 96, 208, 16, 48, 64),
    "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64),
    "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
    "inception5a": (832, 256, 160, 320, 32, 128, 128),
    "inception5b": (832, 384, 192, 384, 48, 128, 128),
}


class Inception(Module):
    """Four ways side by side: 1x1, 3x3, 3x3 (in the paper 5x5) and pooling; their channels are joined."""

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int, pool_proj: int
    ):
        around = {"kernel_size": 3, "padding": 1}
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1), BasicConv2d(ch3x3red, ch3x3, **around)
        )
        self.branch3 = Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1), BasicConv2d(ch5x5red, ch5x5, **around)
        )
        self.branch4 = Sequential(
            MaxPool2d(3, 1, 1, ceil_mode=True), BasicConv2d(in_channels, pool_proj, kernel_size=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to as many channels as all ways have together."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(Module):
    """A classifier on the way, for gradients to have a shorter one."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7):
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = Linear(128 * 4 * 4, 1024)
        self.fc2 = Linear(1024, num_classes)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, num_classes)."""
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(Module):
    """Nine modules of four ways; in training it gives GoogLeNetOutputs if it has the classifiers on the way."""

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ):
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = MaxPool2d(3, 2, ceil_mode=True)
        for name, channels in INCEPTIONS.items():
            self.add_module(name, Inception(*channels))
        self.maxpool3 = MaxPool2d(3, 2, ceil_mode=True)
        self.maxpool4 = MaxPool2d(2, 2, ceil_mode=True)
        self.aux1 = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.dropout = Dropout(dropout)
        self.fc = Linear(1024, num_classes)
        if init_weights is None or init_weights:
            draw_truncated(self, 0.01)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Images (N, 3, H, W), usually of 224x224, to scores (N, num_classes)."""
        x = from_minus_one_to_one(x) if self.transform_input else x
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self._through(x, "3a", "3b"))
        early = self._through(x, "4a")
        late = self._through(early, "4b", "4c", "4d")
        x = self._through(self.maxpool4(self._through(late, "4e")), "5a", "5b")
        scores = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if not self.training or self.aux1 is None or self.aux2 is None:
            return scores
        return GoogLeNetOutputs(scores, self.aux2(late), self.aux1(early))

    def _through(self, x: Tensor, *places: str) -> Tensor:
        for place in places:
            x = getattr(self, f"inception{place}")(x)
        return x


def googlenet(weights: Any = None, progress: bool = True, **kwargs: Any) -> GoogLeNet:
    """GoogLeNet, with classifiers on the way unless `aux_logits=False`."""
    require_untrained("googlenet", weights, kwargs)
    return GoogLeNet(**kwargs)
