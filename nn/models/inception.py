"""Inception-v3, as in "Rethinking the inception architecture for computer vision"."""

from __future__ import annotations

from typing import Any, NamedTuple

from autograd_core import Tensor, cat

from .. import functional as F
from ..dropout import Dropout
from ..linear import Linear
from ..module import Module
from ..pooling import AdaptiveAvgPool2d, MaxPool2d
from .inception_parts import BasicConv2d, draw_truncated, from_minus_one_to_one
from .weights import require_untrained

SIDES: list[dict[str, Any]] = [
    {"kernel_size": k, "padding": tuple(n // 2 for n in k)} for k in ((1, 7), (7, 1), (3, 3))
]
ROW, COLUMN, SQUARE = SIDES


class InceptionOutputs(NamedTuple):
    """Scores, and in training those of the classifier on the way."""

    logits: Tensor
    aux_logits: Tensor | None


class InceptionA(Module):
    """Side by side: 1x1, 5x5, 3x3 twice, and pooling."""

    def __init__(self, in_channels: int, pool_features: int):
        self.branch1x1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = BasicConv2d(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = BasicConv2d(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, **SQUARE)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, **SQUARE)
        self.branch_pool = BasicConv2d(in_channels, pool_features, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to 224 + pool_features channels."""
        square = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, 1, 1))
        return cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), square, pooled], 1)


class InceptionB(Module):
    """Half the size, side by side: 3x3, 3x3 twice, and pooling."""

    def __init__(self, in_channels: int):
        self.branch3x3 = BasicConv2d(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, **SQUARE)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to in_channels + 480 channels of half the size."""
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return cat([self.branch3x3(x), twice, F.max_pool2d(x, 3, 2)], 1)


class InceptionC(Module):
    """Side by side: 1x1, 7x7 as a row and a column, the same twice, and pooling."""

    def __init__(self, in_channels: int, channels_7x7: int):
        narrow = channels_7x7
        self.branch1x1 = BasicConv2d(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = BasicConv2d(in_channels, narrow, kernel_size=1)
        self.branch7x7_2 = BasicConv2d(narrow, narrow, **ROW)
        self.branch7x7_3 = BasicConv2d(narrow, 192, **COLUMN)
        self.branch7x7dbl_1 = BasicConv2d(in_channels, narrow, kernel_size=1)
        self.branch7x7dbl_2 = BasicConv2d(narrow, narrow, **COLUMN)
        self.branch7x7dbl_3 = BasicConv2d(narrow, narrow, **ROW)
        self.branch7x7dbl_4 = BasicConv2d(narrow, narrow, **COLUMN)
        self.branch7x7dbl_5 = BasicConv2d(narrow, 192, **ROW)
        self.branch_pool = BasicConv2d(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to 768 channels."""
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return cat([self.branch1x1(x), once, twice, self.branch_pool(F.avg_pool2d(x, 3, 1, 1))], 1)


class InceptionD(Module):
    """Half the size, side by side: 3x3, 7x7 and 3x3, and pooling."""

    def __init__(self, in_channels: int):
        self.branch3x3_1 = BasicConv2d(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = BasicConv2d(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = BasicConv2d(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = BasicConv2d(192, 192, **ROW)
        self.branch7x7x3_3 = BasicConv2d(192, 192, **COLUMN)
        self.branch7x7x3_4 = BasicConv2d(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to in_channels + 512 channels of half the size."""
        far = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return cat([self.branch3x3_2(self.branch3x3_1(x)), far, F.max_pool2d(x, 3, 2)], 1)


class InceptionE(Module):
    """Side by side: 1x1, a row beside a column, the same of a 3x3, and pooling."""

    def __init__(self, in_channels: int):
        row: dict[str, Any] = {"kernel_size": (1, 3), "padding": (0, 1)}
        column: dict[str, Any] = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = BasicConv2d(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = BasicConv2d(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = BasicConv2d(384, 384, **row)
        self.branch3x3_2b = BasicConv2d(384, 384, **column)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(448, 384, **SQUARE)
        self.branch3x3dbl_3a = BasicConv2d(384, 384, **row)
        self.branch3x3dbl_3b = BasicConv2d(384, 384, **column)
        self.branch_pool = BasicConv2d(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to 2048 channels."""
        once, twice = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        near = [self.branch3x3_2a(once), self.branch3x3_2b(once)]
        far = [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        return cat([self.branch1x1(x), *near, *far, self.branch_pool(F.avg_pool2d(x, 3, 1, 1))], 1)


class InceptionAux(Module):
    """A classifier on the way, for gradients to have a shorter one."""

    def __init__(self, in_channels: int, num_classes: int):
        self.conv0 = BasicConv2d(in_channels, 128, kernel_size=1)
        self.conv1 = BasicConv2d(128, 768, kernel_size=5)
        self.fc = Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, 17, 17) to (N, num_classes)."""
        x = self.conv1(self.conv0(F.avg_pool2d(x, 5, 3)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Inception3(Module):
    """Eleven modules of ways side by side; in training it gives InceptionOutputs if it has the classifier on the way."""

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ):
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3)
        self.maxpool2 = MaxPool2d(3, 2)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, 128)
        self.Mixed_6c = InceptionC(768, 160)
        self.Mixed_6d = InceptionC(768, 160)
        self.Mixed_6e = InceptionC(768, 192)
        self.AuxLogits = InceptionAux(768, num_classes) if aux_logits else None
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.dropout = Dropout(dropout)
        self.fc = Linear(2048, num_classes)
        if init_weights is None or init_weights:
            self._draw()

    def _draw(self) -> None:
        draw_truncated(self, 0.1)
        if self.AuxLogits is not None:
            draw_truncated(self.AuxLogits.fc, 0.001)

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        """Images (N, 3, H, W), usually of 299x299, to scores (N, num_classes)."""
        x = from_minus_one_to_one(x) if self.transform_input else x
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        middle = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(middle)))
        scores = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        if not self.training or self.AuxLogits is None:
            return scores
        return InceptionOutputs(scores, self.AuxLogits(middle))


def inception_v3(weights: Any = None, progress: bool = True, **kwargs: Any) -> Inception3:
    """Inception-v3, with a classifier on the way unless `aux_logits=False`."""
    require_untrained("inception_v3", weights, kwargs)
    return Inception3(**kwargs)
