"""What GoogLeNet and Inception-v3 have in common."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor, tensor

from .. import functional as F
from .. import init
from ..convolution import Conv2d
from ..linear import Linear
from ..module import Module
from ..normalization import BatchNorm2d

# Trained weights of both expect pixels from -1 to 1; those of the other models have ImageNet's mean 0 and deviation 1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BasicConv2d(Module):
    """A convolution, a batch norm and a rectifier."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any):
        self.conv = Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W), up to the stride."""
        return F.relu(self.bn(self.conv(x)))


def from_minus_one_to_one(x: Tensor) -> Tensor:
    """Images of ImageNet's mean 0 and deviation 1 with pixels from -1 to 1 instead."""
    scale = tensor([d / 0.5 for d in DEVIATION], dtype=x.dtype).reshape(3, 1, 1)
    shift = tensor([(m - 0.5) / 0.5 for m in MEAN], dtype=x.dtype).reshape(3, 1, 1)
    return x * scale + shift


def draw_truncated(module: Module, std: float) -> None:
    """Normal weights of one deviation, cut at -2 and 2; norms begin as they are."""
    for part in module.modules():
        if isinstance(part, (Conv2d, Linear)):
            init.trunc_normal_(part.weight, 0.0, std, -2, 2)
        elif isinstance(part, BatchNorm2d):
            part.reset_parameters()
