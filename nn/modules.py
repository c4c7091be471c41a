"""Names under which scripts for PyTorch find layers by file, and what layers have in common.

`nn.modules.Linear` and `nn.modules.linear.Linear` are `nn.Linear`; `nn.modules.batchnorm._BatchNorm` is what scripts ask
`isinstance` of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

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


def _file(**common: Any) -> SimpleNamespace:
    """One of PyTorch's files: it has all layers, and what those in it have in common."""
    return SimpleNamespace(**LAYERS | common)


def _times(count: int) -> Callable:
    """A number as a tuple of so many; a tuple as it is."""
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * count


activation = adaptive = channelshuffle = container = distance = flatten = fold = linear = module = normalization = (
    _file()
)
padding = pixelshuffle = sparse = transformer = upsampling = activation
batchnorm = _file(_BatchNorm=BatchNorm, _NormBase=RunningNorm)
conv = _file(_ConvNd=Convolution, _ConvTransposeNd=TransposedConvolution)
dropout = _file(_DropoutNd=Dropping)
instancenorm = _file(_InstanceNorm=InstanceNorm, _NormBase=RunningNorm)
loss = _file(_Loss=Loss, _WeightedLoss=WeightedLoss)
pooling = _file(
    _MaxPoolNd=MaxPool,
    _MaxUnpoolNd=MaxUnpool,
    _AvgPoolNd=(AvgPool, AvgPool1d),
    _LPPoolNd=LPPool,
    _AdaptiveMaxPoolNd=AdaptiveMaxPool,
    _AdaptiveAvgPoolNd=AdaptiveAvgPool,
)
rnn = _file(RNNBase=RNNBase, RNNCellBase=RNNCellBase)
utils = SimpleNamespace(_single=_times(1), _pair=_times(2), _triple=_times(3), _quadruple=_times(4), _ntuple=_times)
