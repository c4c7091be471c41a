"""U-Net, as in "U-Net: convolutional networks for biomedical image segmentation"."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from autograd_core import Tensor, cat

from .. import functional as F
from .. import init
from ..activations import ReLU
from ..containers import ModuleList, Sequential
from ..convolution import Conv2d, ConvTranspose2d
from ..dropout import Dropout
from ..module import Module


def pair(channels: int, width: int, padding: int) -> Sequential:
    """Two convolutions of 3x3 with rectifiers."""
    return Sequential(
        Conv2d(channels, width, 3, padding=padding), ReLU(), Conv2d(width, width, 3, padding=padding), ReLU()
    )


def center_crop(x: Tensor, height: int, width: int) -> Tensor:
    """The middle of images (..., H, W)."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


class UNet(Module):
    """Down by pairs of convolutions and pooling, up again, each time joined with the middle of what was of that size.

    Without padding each score is of a pixel with all that it depends on inside the image, and the border has none.  With
    padding=1 there are as many scores as pixels.  `dropout` is at the two deepest levels.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        padding: int = 0,
        dropout: float = 0.5,
    ):
        if padding not in (0, 1) or len(widths) < 2:
            raise ValueError(f"UNet: padding must be 0 or 1, and widths at least two, got {padding=}, {widths=}")
        self.padding = padding
        self.down = ModuleList([pair(c, w, padding) for c, w in pairwise((in_channels, *widths))])
        self.dropout = Dropout(dropout)
        steps = list(pairwise(reversed(widths)))
        self.up = ModuleList([ConvTranspose2d(deep, w, 2, 2) for deep, w in steps])
        self.across = ModuleList([pair(2 * w, w, padding) for _, w in steps])
        self.head = Conv2d(widths[0], num_classes, 1)
        self.apply(first_values)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) to scores (N, num_classes, *sizes), where sizes are output_size(H) and of W."""
        self._check(x)
        kept: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            x = convolve(F.max_pool2d(x, 2) if level else x)
            x = self.dropout(x) if level >= len(self.down) - 2 else x
            kept.append(x)
        for enlarge, convolve, side in zip(self.up, self.across, kept[-2::-1]):
            x = enlarge(x)
            x = convolve(cat([center_crop(side, *x.shape[-2:]), x], 1))
        return self.head(x)

    def output_size(self, size: int) -> int | None:
        """How many scores there are along an axis of so many pixels; None if it cannot be halved so often."""
        lost, levels = 4 * (1 - self.padding), len(self.up)
        for _ in range(levels):
            size -= lost
            if size % 2 or size <= 0:
                return None
            size //= 2
        size -= lost
        for _ in range(levels):
            size = 2 * size - lost
        return size if size > 0 else None

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4:
            raise ValueError(f"UNet: images must be (N, C, H, W), got {tuple(x.shape)}")
        for size in x.shape[-2:]:
            if self.output_size(size) is None:
                fits = next(n for n in range(size, size + 4096) if self.output_size(n))
                raise ValueError(
                    f"UNet: {len(self.up)} poolings cannot halve {size} pixels of {tuple(x.shape)} without a rest; "
                    f"the next size that they can is {fits}: pad the images"
                )


def first_values(module: Module) -> None:
    """Normal weights that keep the size of what goes forward, and no biases."""
    if isinstance(module, (Conv2d, ConvTranspose2d)):
        init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            init.zeros_(module.bias)
