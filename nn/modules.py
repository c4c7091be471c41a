"""Names under which scripts for PyTorch find layers by file, and what layers have in common.

`nn.modules.Linear` and `nn.modules.linear.Linear` are `nn.Linear`; `nn.modules.batchnorm._BatchNorm` is what scripts ask
`isinstance` of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from . import module as _module
from .convolution import Convolution, TransposedConvolution
from .dropout import Dropping
from .losses import Loss, WeightedLoss
from .module import Module
from .normalization import BatchNorm, InstanceNorm, RunningNorm
from .pooling import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, AvgPool1d, LPPool, MaxPool, MaxUnpool
from .recurrent import RNNBase, RNNCellBase

_public = vars(sys.modules[__package__])  # this module is read after all others of the package
LAYERS = {name: value for name, value in _public.items() if isinstance(value, type) and issubclass(value, Module)}
globals().update(LAYERS)


def _file(*names: str, **common: Any) -> None:
    """Files of PyTorch's, here and to be imported: each has all layers, and what those in it have in common."""
    for name in names:
        file = ModuleType(f"{__name__}.{name}")
        vars(file).update(LAYERS | common)
        globals()[name] = sys.modules[file.__name__] = file


def _times(count: int) -> Callable:
    """A number as a tuple of so many; a tuple as it is."""
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * count


_file("activation", "adaptive", "channelshuffle", "container", "distance", "flatten", "fold", "linear", "normalization")
_file("padding", "pixelshuffle", "sparse", "transformer", "upsampling")
_file("module", **{name: value for name, value in vars(_module).items() if name.startswith("register_module_")})
_file("batchnorm", _BatchNorm=BatchNorm, _NormBase=RunningNorm)
_file("conv", _ConvNd=Convolution, _ConvTransposeNd=TransposedConvolution)
_file("dropout", _DropoutNd=Dropping)
_file("instancenorm", _InstanceNorm=InstanceNorm, _NormBase=RunningNorm)
_file("loss", _Loss=Loss, _WeightedLoss=WeightedLoss)
_file(
    "pooling",
    _MaxPoolNd=MaxPool,
    _MaxUnpoolNd=MaxUnpool,
    _AvgPoolNd=(AvgPool, AvgPool1d),
    _LPPoolNd=LPPool,
    _AdaptiveMaxPoolNd=AdaptiveMaxPool,
    _AdaptiveAvgPoolNd=AdaptiveAvgPool,
)
_file("rnn", RNNBase=RNNBase, RNNCellBase=RNNCellBase)
_file("utils", _single=_times(1), _pair=_times(2), _triple=_times(3), _quadruple=_times(4), _ntuple=_times)
