"""Residual networks, as in "Deep residual learning for image recognition", and their wide and grouped forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import Tensor

from .. import init
from ..activations import ReLU
from ..containers import Sequential
from ..convolution import Conv2d
from ..linear import Linear
from ..module import Module
from ..normalization import BatchNorm2d, GroupNorm
from ..pooling import AdaptiveAvgPool2d, MaxPool2d
from .weights import require_untrained

Norm = Callable[..., Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> Conv2d:
    """A convolution that keeps the size, up to its stride."""
    return Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> Conv2d:
    """A product over the channels of each pixel."""
    return Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(Module):
    """Two convolutions of 3x3, added to what comes in."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ):
        if groups != 1 or base_width != 64 or dilation != 1:
            raise ValueError(
                f"BasicBlock: has groups=1, base_width=64 and dilation=1 only, got {groups=}, {base_width=}, {dilation=}; "
                "Bottleneck takes others"
            )
        norm_layer = BatchNorm2d if norm_layer is None else norm_layer
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = ReLU()
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) to (N, planes, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(Module):
    """Convolutions of 1x1 to fewer channels, 3x3, and 1x1 to four times as many, added to what comes in.

    The stride is that of the 3x3, where the paper has it in the first one.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ):
        norm_layer = BatchNorm2d if norm_layer is None else norm_layer
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = ReLU()
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) to (N, 4 planes, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(Module):
    """Four groups of blocks, of which each but the first halves the image, the mean over it, and scores of classes."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ):
        dilated = (False, False, False) if replace_stride_with_dilation is None else replace_stride_with_dilation
        if len(dilated) != 3:
            raise ValueError(
                f"ResNet: replace_stride_with_dilation must be None or 3 truth values, got {replace_stride_with_dilation}"
            )
        self._norm_layer = BatchNorm2d if norm_layer is None else norm_layer
        self.inplanes, self.dilation, self.groups, self.base_width = 64, 1, groups, width_per_group
        self.conv1 = Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = ReLU()
        self.maxpool = MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilated[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilated[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilated[2])
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        self.apply(first_values)
        if zero_init_residual:
            self.apply(silence)

    def _make_layer(self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> Sequential:
        """A group of blocks; instead of a stride, all but the first can look further apart."""
        before, wide = self.dilation, planes * block.expansion
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        shortcut = None
        if stride != 1 or self.inplanes != wide:
            shortcut = Sequential(conv1x1(self.inplanes, wide, stride), self._norm_layer(wide))
        how = self.groups, self.base_width
        made = [block(self.inplanes, planes, stride, shortcut, *how, before, self._norm_layer)]
        made += [block(wide, planes, 1, None, *how, self.dilation, self._norm_layer) for _ in range(1, blocks)]
        self.inplanes = wide
        return Sequential(*made)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W), usually of 224x224, to scores (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def first_values(module: Module) -> None:
    """Normal weights of convolutions that keep the size of gradients; norms begin as they are."""
    if isinstance(module, Conv2d):
        init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, (BatchNorm2d, GroupNorm)):
        module.reset_parameters()


def silence(module: Module) -> None:
    """Let a block begin as the identity: the last norm multiplies by zero."""
    if isinstance(module, (BasicBlock, Bottleneck)):
        last: Any = module.bn3 if isinstance(module, Bottleneck) else module.bn2
        if getattr(last, "weight", None) is not None:
            init.zeros_(last.weight)


def resnet18(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """18 layers."""
    require_untrained("resnet18", weights, kwargs)
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


def resnet34(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """34 layers."""
    require_untrained("resnet34", weights, kwargs)
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


def resnet50(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """50 layers."""
    require_untrained("resnet50", weights, kwargs)
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


def resnet101(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """101 layers."""
    require_untrained("resnet101", weights, kwargs)
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


def resnet152(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """152 layers."""
    require_untrained("resnet152", weights, kwargs)
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


def resnext50_32x4d(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-50 whose 3x3 convolutions have 32 groups of 4 channels, as in "Aggregated residual transformations"."""
    require_untrained("resnext50_32x4d", weights, kwargs)
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"groups": 32, "width_per_group": 4} | kwargs)


def wide_resnet50_2(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-50 whose 3x3 convolutions are twice as wide, as in "Wide residual networks"."""
    require_untrained("wide_resnet50_2", weights, kwargs)
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"width_per_group": 128} | kwargs)
