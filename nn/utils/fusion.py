"""Batch normalization in evaluation is multiplying and adding: here it becomes part of the layer before it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from autograd_core import Tensor, ones_like, zeros_like

from ..module import Module
from ..parameter import Parameter


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the convolution that does a convolution and the batch normalization after it."""
    scale = (bn_rv + bn_eps).rsqrt() * (ones_like(bn_rm) if bn_w is None else bn_w)
    shape = (1, -1) if transpose else (-1, 1)
    bias = zeros_like(bn_rm) if conv_b is None else conv_b
    weight = conv_w * scale.reshape(*shape, *(1,) * (conv_w.ndim - 2))
    shifted = (bias - bn_rm) * scale + (zeros_like(bn_rm) if bn_b is None else bn_b)
    kept = conv_w if conv_b is None else conv_b
    return (
        Parameter(weight.to(conv_w.dtype).detach(), conv_w.requires_grad),
        Parameter(shifted.to(kept.dtype).detach(), bias.requires_grad),
    )


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the linear layer that does a linear layer and the batch normalization after it."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """One convolution for a convolution and the batch normalization after it, both in evaluation."""
    return _fused(conv, bn, "fuse_conv_bn_eval", transpose)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """One linear layer for a linear layer and the batch normalization after it, both in evaluation."""
    if bn.num_features not in (linear.out_features, 1):
        raise ValueError(
            f"fuse_linear_bn_eval: the linear layer gives {linear.out_features} features, "
            f"the normalization takes {bn.num_features}"
        )
    return _fused(linear, bn, "fuse_linear_bn_eval")


def _fused(layer: Module, bn: Any, who: str, transpose: bool = False) -> Module:
    if layer.training or bn.training:
        raise ValueError(f"{who}: in training the statistics are those of the batch; call .eval() on both first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(f"{who}: the normalization has no running statistics (track_running_stats=False)")
    fused: Any = deepcopy(layer)
    stated = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    fused.weight, fused.bias = fuse_conv_bn_weights(fused.weight, fused.bias, *stated, transpose)
    return fused
