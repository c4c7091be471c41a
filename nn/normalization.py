"""Normalization: over a batch, over a member of it, over groups of channels, over the last axes, over neighbours."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable
from typing import Any

from autograd_core import Tensor, empty, ones, tensor, zeros
from autograd_core.tape import state

from . import functional as F
from . import init
from .lazy import Lazy, materialize
from .module import Module
from .parameter import Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyInstanceNorm1d",
    "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LocalResponseNorm", "RMSNorm", "SyncBatchNorm",
]  # fmt: skip

STATISTICS = "running_mean", "running_var", "num_batches_tracked"
AXES = {1: "L", 2: "H, W", 3: "D, H, W"}


class Affine(Module):
    """Comes before normalizations with weights: these begin with one, and biases with zero."""

    weight: Any
    bias: Any = None

    def create(self, shape: Any, affine: bool, bias: bool, device: Any, dtype: Any) -> None:
        """Make the parameters, or None in their place."""
        made = lambda wanted: Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None
        self.weight, self.bias = made(affine), made(affine and bias)

    def reset_parameters(self) -> None:
        """Weights one, biases zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class RunningNorm(Affine):
    """What normalizations that may keep running statistics of channels have in common."""

    rank: int  # how many axes (N, C, ...) has after the channels
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def settle(self, num_features: int, eps: float, momentum: float | None, affine: bool, track: bool) -> None:
        """Store the arguments."""
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track

    def track(self, device: Any, dtype: Any) -> None:
        """Make the statistics, or None in their place."""
        how, shape = {"device": device, "dtype": dtype}, (self.num_features,)
        fresh = (zeros(shape, **how), ones(shape, **how), tensor(0)) if self.track_running_stats else (None,) * 3
        for name, value in zip(STATISTICS, fresh):
            self.register_buffer(name, value)

    def reset_running_stats(self) -> None:
        """Forget what was seen: means zero, variances one."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weights one, biases zero, no statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def require_axes(self, shape: tuple) -> None:
        """Raise unless an input has as many axes as the layer is for."""
        if len(shape) != self.rank + 2:
            raise ValueError(f"input must be (N, C, {AXES[self.rank]}), got shape {shape}")

    def channel_axis(self, ndim: int) -> int:
        """Where the channels of an input with so many axes are."""
        return 1

    def before_load(self, state: dict[str, Any], prefix: str) -> None:
        """States from before batches were counted keep the count that is there."""
        if self.track_running_stats and self.num_batches_tracked is not None:
            state.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked.detach())

    def extra_repr(self) -> str:
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
        return f"{text}, bias={self.bias is not None}, track_running_stats={self.track_running_stats}"


class LazyNorm(Lazy, RunningNorm):
    """A normalization whose number of channels the first input tells."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self.settle(0, eps, momentum, affine, track_running_stats)
        self.weight = UninitializedParameter(dtype=dtype) if affine else None
        self.bias = UninitializedParameter(dtype=dtype) if affine and bias else None
        self.track(device, dtype)

    def track(self, device: Any, dtype: Any) -> None:
        super().track(device, dtype)
        if self.track_running_stats:
            self.running_mean, self.running_var = (UninitializedBuffer(dtype=dtype) for _ in range(2))

    def infer(self, input: Tensor) -> None:
        self.require_axes(tuple(input.shape))
        self.num_features = input.shape[self.channel_axis(input.ndim)]
        for value in (self.weight, self.bias, self.running_mean, self.running_var):
            materialize(value, self.num_features)


# --- over a batch ----------------------------------------------------------------------------------------------------


class BatchNorm(RunningNorm):
    """What the batch norms have in common: in training they use the statistics of the batch, else the running ones."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self.settle(num_features, eps, momentum, affine, track_running_stats)
        self.create(num_features, affine, bias, device, dtype)
        self.track(device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) to the same shape; in training the running statistics follow, and the batch is counted."""
        self.require_axes(tuple(input.shape))
        tracks = self.training and self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if tracks or not self.training else (None, None)
        batch = self.training or mean is None and var is None
        y = F.batch_norm(input, mean, var, self.weight, self.bias, batch, self.share(tracks), self.eps)
        if tracks and self.num_batches_tracked is not None:
            if state.mode is not None and state.mode.observers:
                self.num_batches_tracked.add_(1)  # for whoever watches
            else:
                count = self.num_batches_tracked.value  # a number that no gradient passes: no write to enter anywhere
                count += 1
        return y

    def share(self, tracks: bool) -> float:
        """How much the next batch counts in the running statistics: `momentum`, or as much as each before if None."""
        if self.momentum is not None:
            return self.momentum
        counted = tracks and self.num_batches_tracked is not None
        return 1 / (self.num_batches_tracked.item() + 1) if counted else 0.0


class BatchNorm1d(BatchNorm):
    """Each channel of (N, C) or (N, C, L) brought to mean 0 and variance 1, times weight, plus bias."""

    rank = 1

    def require_axes(self, shape: tuple) -> None:
        if len(shape) not in (2, 3):
            raise ValueError(f"input must be (N, C) or (N, C, L), got shape {shape}")


class BatchNorm2d(BatchNorm):
    """Each channel of (N, C, H, W) brought to mean 0 and variance 1, times weight, plus bias."""

    rank = 2


class BatchNorm3d(BatchNorm):
    """Each channel of (N, C, D, H, W) brought to mean 0 and variance 1, times weight, plus bias."""

    rank = 3


class LazyBatchNorm1d(LazyNorm, BatchNorm1d):
    """A BatchNorm1d whose number of channels the first input tells."""

    becomes = BatchNorm1d


class LazyBatchNorm2d(LazyNorm, BatchNorm2d):
    """A BatchNorm2d whose number of channels the first input tells."""

    becomes = BatchNorm2d


class LazyBatchNorm3d(LazyNorm, BatchNorm3d):
    """A BatchNorm3d whose number of channels the first input tells."""

    becomes = BatchNorm3d


class SyncBatchNorm(BatchNorm):
    """Batch norm of (N, C, ...) over all processes; of these there is one, so it is a BatchNorm of any rank."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def require_axes(self, shape: tuple) -> None:
        if len(shape) < 2 or not shape[1]:
            raise ValueError(f"input must be (N, C, ...) with at least one channel, got shape {shape}")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The model with a SyncBatchNorm in the place of each batch norm, on the same parameters and statistics."""
        made = cls.of(module, process_group) if isinstance(module, BatchNorm) else module
        for name, child in module.submodules():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made

    @classmethod
    def of(cls, norm: BatchNorm, process_group: Any = None) -> SyncBatchNorm:
        """The same batch norm as a SyncBatchNorm."""
        how = norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        made = cls(norm.num_features, *how, process_group, bias=norm.bias is not None)
        for name in ("weight", "bias", *STATISTICS):
            setattr(made, name, getattr(norm, name))
        made.training = norm.training
        return made


# --- over a member of a batch ----------------------------------------------------------------------------------------


class InstanceNorm(RunningNorm):
    """What the instance norms have in common: each member of a batch has its own means and variances."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self.settle(num_features, eps, momentum, affine, track_running_stats)
        self.create(num_features, affine, bias, device, dtype)
        self.track(device, dtype)
        self.reset_parameters()

    def require_axes(self, shape: tuple) -> None:
        if len(shape) not in (self.rank + 1, self.rank + 2):
            axes = AXES[self.rank]
            raise ValueError(f"input must be (N, C, {axes}) or (C, {axes}), got shape {shape}")

    def channel_axis(self, ndim: int) -> int:
        return ndim - self.rank - 1

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) or (C, ...) to the same shape; in training running statistics, if there are any, follow."""
        self.require_axes(tuple(input.shape))
        self.require_channels(input.shape[self.channel_axis(input.ndim)])
        single = input.ndim == self.rank + 1
        own = self.training or not self.track_running_stats
        parts = self.running_mean, self.running_var, self.weight, self.bias, own, self.momentum or 0.0, self.eps
        return F.instance_norm(input[None], *parts)[0] if single else F.instance_norm(input, *parts)

    def require_channels(self, channels: int) -> None:
        """Raise, or warn where it does not matter, if there are not as many channels as the layer was made for."""
        if channels == self.num_features:
            return
        text = f"input has {channels} channels, but num_features is {self.num_features}"
        if self.affine or self.track_running_stats:
            raise ValueError(f"{text}; they must agree, since each channel has numbers of its own")
        warnings.warn(f"{type(self).__name__}: {text}, which is not used without affine or running stats", stacklevel=4)


class InstanceNorm1d(InstanceNorm):
    """Each channel of each member of (N, C, L) brought to mean 0 and variance 1."""

    rank = 1


class InstanceNorm2d(InstanceNorm):
    """Each channel of each member of (N, C, H, W) brought to mean 0 and variance 1."""

    rank = 2


class InstanceNorm3d(InstanceNorm):
    """Each channel of each member of (N, C, D, H, W) brought to mean 0 and variance 1."""

    rank = 3


class LazyInstanceNorm1d(LazyNorm, InstanceNorm1d):
    """An InstanceNorm1d whose number of channels the first input tells."""

    becomes = InstanceNorm1d


class LazyInstanceNorm2d(LazyNorm, InstanceNorm2d):
    """An InstanceNorm2d whose number of channels the first input tells."""

    becomes = InstanceNorm2d


class LazyInstanceNorm3d(LazyNorm, InstanceNorm3d):
    """An InstanceNorm3d whose number of channels the first input tells."""

    becomes = InstanceNorm3d


# --- over groups of channels, and over the last axes -----------------------------------------------------------------


class GroupNorm(Affine):
    """Each of num_groups groups of channels of (N, C, ...) brought to mean 0 and variance 1, times weight, plus bias."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.create(num_channels, affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(N, num_channels, ...) to the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        sizes = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{sizes}, bias={self.bias is not None}"


class LayerNorm(Affine):
    """The last axes, of sizes normalized_shape, brought to mean 0 and variance 1, times weight, plus bias."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        self.normalized_shape = sizes(normalized_shape, "LayerNorm")
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.create(self.normalized_shape, elementwise_affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(..., *normalized_shape) to the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{text}, bias={self.bias is not None}"


class RMSNorm(Affine):
    """The last axes, of sizes normalized_shape, divided by the root of their mean square, times weight."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        self.normalized_shape = sizes(normalized_shape, "RMSNorm")
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.create(self.normalized_shape, elementwise_affine, False, device, dtype)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """(..., *normalized_shape) to the same shape."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def sizes(shape: Any, who: str) -> tuple[int, ...]:
    """Sizes of axes, given as such or as one number."""
    try:
        return tuple(map(operator.index, shape if isinstance(shape, Iterable) else (shape,)))
    except TypeError:
        raise TypeError(f"{who}: normalized_shape must be a size or sizes of the last axes, got {shape!r}") from None


# --- over neighbouring channels --------------------------------------------------------------------------------------


class Neighbours(Module):
    """What has in common that divides by the squares of neighbouring channels."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LocalResponseNorm(Neighbours):
    """(N, C, ...) divided by (k + alpha * mean of squares over `size` neighbouring channels) ** beta."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) to the same shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)


class CrossMapLRN2d(Neighbours):
    """LocalResponseNorm of images, over as many channels before as after, also where `size` is even.

    PyTorch's has other results from channel (size + 1) // 2 on, since the first channel never leaves its sums, and
    gradients that are not those of its results.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1):
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if input.ndim != 4:
            raise ValueError(f"input must be (N, C, H, W), got shape {tuple(input.shape)}")
        width = (self.size - 1) // 2 * 2 + 1
        return F.local_response_norm(input, width, self.alpha * width / self.size, self.beta, self.k)
