"""Convolution: one trilinear form <g, conv(x, w)>; each of its three gradients is an op whose rules are the others."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from ..kernels import conv as kernels
from ..op import op
from ..vmap import one_by_one
from .arranging import permuted, reshape_to
from .base import broadcast_to, conj
from .math import add
from .padding import constant_pad_nd
from .shape import swapaxes

__all__ = ["conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


# --- the three primitives --------------------------------------------------------------------------------------------


def _into_channels(v: Any, size: int, has: bool, axis: int) -> Any:
    """Members of a batch side by side along an axis; what is the same for all is repeated."""
    v = v if has else broadcast_to(v, shape=(size, *v.shape))
    v = v if axis == 0 else swapaxes(v, 0, 1)
    lead = v.shape[:axis]
    return reshape_to(v, shape=(*lead, size * v.shape[axis + 1], *v.shape[axis + 2 :]))


def _in_a_batch(function: Any, first_axes: tuple, fold: bool, split: int) -> Any:
    """The batch rule: members as more images if only the first argument has them, else as more groups."""

    def batch(size, values, batched, *, groups, **how):
        if size == 0 or 0 in values[0].shape + values[1].shape:
            return one_by_one(function.op, values, batched, size, {"groups": groups, **how})
        if fold and batched == [True, False]:
            x = values[0]
            y = function(reshape_to(x, shape=(size * x.shape[1], *x.shape[2:])), values[1], groups=groups, **how)
            return reshape_to(y, shape=(size, x.shape[1], *y.shape[1:]))
        a, b = (_into_channels(v, size, has, axis) for v, has, axis in zip(values, batched, first_axes))
        y = function(a, b, groups=groups * size, **how)
        y = reshape_to(y, shape=(*y.shape[:split], size, y.shape[split] // size, *y.shape[split + 1 :]))
        return swapaxes(y, 0, 1) if split else y

    return batch


def _draw(which: int):
    """Samples: arrays of one to three axes of pixels, with every static parameter."""

    def draw(rng: np.random.Generator):
        rank, groups = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        pick = lambda low, high: tuple(int(v) for v in rng.integers(low, high, rank))
        size, kernel, stride, dilation = pick(2, 5), pick(1, 3), pick(1, 3), pick(1, 3)
        padding = tuple(zip(pick(0, 2), pick(0, 2)))
        how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        pads = tuple(p if sum(p) + n > d * (k - 1) else (1, 1) for p, n, d, k in zip(padding, size, dilation, kernel))
        how["padding"] = pads
        x = rng.uniform(-2, 2, (int(rng.integers(0, 3)), int(rng.integers(1, 3)) * groups, *size))
        w = rng.uniform(-2, 2, (int(rng.integers(1, 3)) * groups, x.shape[1] // groups, *kernel))
        if rng.random() < 0.25:
            x, w = x + 1j * rng.uniform(-2, 2, x.shape), w + 1j * rng.uniform(-2, 2, w.shape)
        if which == 0:
            return [x, w], how
        out = output_sizes(x.shape, w.shape, stride, pads, dilation)
        g = rng.uniform(-2, 2, (x.shape[0], w.shape[0], *out)).astype(x.dtype)
        return ([g, w], how | {"shape": size}) if which == 1 else ([g, x], how | {"shape": kernel})

    return draw


def output_sizes(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple) -> tuple:
    """The sizes of the pixel axes of a convolution."""
    rows = zip(x[2:], w[2:], stride, padding, dilation)
    return tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, (a, b), d in rows)


@op(
    lambda g, w, x_shape, **how: convolve_input(g, conj(w), shape=tuple(x_shape[2:]), **how),
    lambda g, x, w_shape, **how: convolve_weight(g, conj(x), shape=tuple(w_shape[2:]), **how),
    linear=True,
    promotes=True,
    samples=_draw(0),
    batch=lambda *a, **how: _in_a_batch(convolve, (1, 0), True, 1)(*a, **how),
)
def convolve(x, w, *, stride, padding, dilation, groups):
    """Sums over windows of x (N, C, size) times w (K, C / groups, kernel); padding is a pair for each axis."""
    return kernels.convolve(x, w, stride, padding, dilation, groups)


@op(
    lambda g, w, shape, **how: convolve(g, conj(w), **how),
    lambda ct, g, w_shape, shape, **how: convolve_weight(conj(g), ct, shape=tuple(w_shape[2:]), **how),
    linear=True,
    promotes=True,
    samples=_draw(1),
    batch=lambda *a, **how: _in_a_batch(convolve_input, (1, 0), True, 1)(*a, **how),
)
def convolve_input(g, w, *, stride, padding, dilation, groups, shape):
    """The gradient of <g, convolve(x, w)> by x, whose pixel axes have the sizes `shape`; a transposed convolution."""
    return kernels.convolve_input(g, w, stride, padding, dilation, groups, shape)


@op(
    lambda ct, x, shape, **how: convolve(conj(x), ct, **how),
    lambda ct, g, x_shape, shape, **how: convolve_input(conj(g), ct, shape=tuple(x_shape[2:]), **how),
    linear=True,
    promotes=True,
    samples=_draw(2),
    batch=lambda *a, **how: _in_a_batch(convolve_weight, (1, 1), False, 0)(*a, **how),
)
def convolve_weight(g, x, *, stride, padding, dilation, groups, shape):
    """The gradient of <g, convolve(x, w)> by w, whose pixel axes have the sizes `shape`."""
    return kernels.convolve_weight(g, x, stride, padding, dilation, groups, shape)


# --- arguments -------------------------------------------------------------------------------------------------------


def numbers(value: Any, rank: int, who: str, what: str, least: int) -> tuple:
    """A number for each pixel axis, from one number or a sequence of them."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * rank if len(values) == 1 else values
    try:
        values = tuple(map(operator.index, values))
    except TypeError:
        raise TypeError(f"{who}: {what} must be an integer or {rank} of them, got {value!r}") from None
    if len(values) != rank:
        raise ValueError(f"{who}: {what} must be one integer or {rank} of them, got {value!r}")
    if min(values) < least:
        raise ValueError(f"{who}: {what} must be at least {least}, got {value!r}")
    return values


def pairs(padding: Any, kernel: tuple, stride: tuple, dilation: tuple, who: str) -> tuple:
    """Padding before and after each axis, from numbers or from 'valid' or 'same'."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in numbers(padding, len(kernel), who, "padding", 0))
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise ValueError(f"{who}: padding must be numbers, 'valid' or 'same', got {padding!r}")
    if any(s != 1 for s in stride):
        raise ValueError(f"{who}: padding='same' needs stride 1, got stride {stride}; give the padding in numbers")
    around = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return tuple((a // 2, a - a // 2) for a in around)


def checked(who: str, rank: int, input: Any, weight: Any, bias: Any, groups: Any, transposed: bool) -> int:
    """Raise unless the shapes of the arguments of a convolution fit each other; the number of groups."""
    for name, shape, sizes in (("input", input, (rank + 1, rank + 2)), ("weight", weight, (rank + 2,))):
        if not isinstance(shape, tuple):
            raise TypeError(f"{who}: {name} must be a tensor or an array, got {shape.__name__}")
        if len(shape) not in sizes:
            lead = "(N, C, ...) or (C, ...)" if name == "input" else "(K, C / groups, ...)"
            raise ValueError(f"{who}: {name} must be {lead} with {rank} axes of pixels, got shape {shape}")
    (groups,) = numbers(groups, 1, who, "groups", 1)
    channels, (first, second) = input[-rank - 1], weight[:2]
    given = f"input is {input}, weight is {weight}, groups is {groups}"
    if first % groups:
        raise ValueError(f"{who}: groups must divide the {first} channels of weight's first axis: {given}")
    if channels != (first if transposed else second * groups):
        wants = (
            f"{first} (weight's first axis)" if transposed else f"{second} * {groups} (weight's second times groups)"
        )
        last = rank > 1 and input[-1] == (first if transposed else second * groups)
        hint = "; if its channels come last, as in image files, input.movedim(-1, 1) would fit" if last else ""
        raise ValueError(f"{who}: input has {channels} channels where weight needs {wants}: {given}{hint}")
    outputs = second * groups if transposed else first
    if bias not in (None, (outputs,)):
        raise ValueError(f"{who}: bias must have shape ({outputs},), got {bias}")
    if 0 in weight:
        raise ValueError(f"{who}: weight has no entries: {given}")
    return groups


def _finished(y: Any, bias: Any, rank: int, single: bool) -> Any:
    """With the bias, and without the axis of images if there was none."""
    if bias is not None:
        y = add(y, reshape_to(bias, shape=(bias.shape[0], *(1,) * rank)))
    return reshape_to(y, shape=tuple(y.shape[1:])) if single else y


def _shape(v: Any) -> Any:
    """What is checked of an argument: its shape, or its type if it has none."""
    return tuple(v.shape) if hasattr(v, "ndim") else type(v)


def _settled(plan: Any, *arguments: Any) -> Any:
    """What follows from shapes and static arguments, remembered; lists cannot be, and are read anew each time."""
    try:
        return plan(*arguments)
    except TypeError as error:
        if "unhashable" in str(error):
            return plan.__wrapped__(*arguments)
        raise


@functools.lru_cache(1024)
def _plan(who, rank, input, weight, bias, stride, padding, dilation, groups):
    """The static parameters of a convolution of these shapes, or an error."""
    groups = checked(who, rank, input, weight, bias, groups, False)
    stride, dilation = numbers(stride, rank, who, "stride", 1), numbers(dilation, rank, who, "dilation", 1)
    kernel, size = weight[2:], input[-rank:]
    padding = pairs(padding, kernel, stride, dilation, who)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))
    full = tuple(n + a + b for n, (a, b) in zip(size, padding))
    if any(s > n for s, n in zip(spans, full)):
        raise ValueError(
            f"{who}: the kernel, which spans {spans}, is larger than the input with its padding, {full}; "
            f"input is {input}, weight is {weight}; give more padding"
        )
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def _conv(who, rank, input, weight, bias, stride, padding, dilation, groups):
    shapes = _shape(input), _shape(weight), bias if bias is None else _shape(bias)
    how = _settled(_plan, who, rank, *shapes, stride, padding, dilation, groups)
    single = len(shapes[0]) == rank + 1
    x = reshape_to(input, shape=(1, *input.shape)) if single else input
    y = convolve(x, weight, **how)
    return _finished(y, bias, rank, single) if single or bias is not None else y


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of input (N, C, W) or (C, W) with weight (K, C / groups, kernel)."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of input (N, C, H, W) or (C, H, W) with weight (K, C / groups, kernel)."""
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of input (N, C, D, H, W) or (C, D, H, W) with weight (K, C / groups, kernel)."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


# --- transposed ------------------------------------------------------------------------------------------------------


@functools.lru_cache(1024)
def _transposed_plan(who, rank, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """The static parameters of a transposed convolution of these shapes, or an error."""
    groups = checked(who, rank, input, weight, bias, groups, True)
    stride, dilation = numbers(stride, rank, who, "stride", 1), numbers(dilation, rank, who, "dilation", 1)
    padding = numbers(padding, rank, who, "padding", 0)
    more = numbers(output_padding, rank, who, "output_padding", 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation)):
        raise ValueError(
            f"{who}: output_padding must be smaller than stride or dilation, got output_padding {more}, "
            f"stride {stride}, dilation {dilation}"
        )
    rows = zip(input[-rank:], weight[2:], stride, dilation)
    spans = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in rows]
    shape = sizes = tuple(n - 2 * p + m for n, p, m in zip(spans, padding, more))
    none = len(input) == rank + 2 and input[0] == 0
    if not none and 0 in input[-rank:]:
        raise ValueError(f"{who}: input has images without pixels, its shape is {input}; only the batch may be empty")
    if min(sizes) < (0 if none else 1):
        raise ValueError(f"{who}: the result would have sizes {sizes}; give less padding")
    around, zeros = tuple((p, p) for p in padding), (0,) * rank
    if any(m >= s for m, s in zip(more, stride)):  # less is cut off at the end, and what is not there is 0
        starts = [min(p, n) for p, n in zip(padding, spans)]
        shape = tuple(min(n - p, m) for n, p, m in zip(spans, starts, sizes))
        around = tuple((p, n - p - m) for n, p, m in zip(spans, starts, shape))
        zeros = tuple(m - n for m, n in zip(sizes, shape))
    how = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups, "shape": shape}
    return how, [n for z in reversed(zeros) for n in (0, z)] if any(zeros) else None


def _transposed(who, rank, input, weight, bias, *arguments):
    shapes = _shape(input), _shape(weight), bias if bias is None else _shape(bias)
    how, zeros = _settled(_transposed_plan, who, rank, *shapes, *arguments)
    single = len(shapes[0]) == rank + 1
    x = reshape_to(input, shape=(1, *input.shape)) if single else input
    y = convolve_input(x, weight, **how)
    y = y if zeros is None else constant_pad_nd(y, zeros)
    return _finished(y, bias, rank, single) if single or bias is not None else y


def conv_tbc(input, weight, bias, pad=0):
    """`conv1d` of input (T, N, C) with weight (k, C, K), to (T', N, K)."""
    if getattr(input, "ndim", 0) != 3 or weight.ndim != 3:
        shapes = f"{_shape(input)} and {_shape(weight)}"
        raise ValueError(f"conv_tbc: needs input (T, N, C) and weight (k, C, K), got shapes {shapes}")
    x, w = permuted(input, axes=(-2, -1, -3)), permuted(weight, axes=(-1, -2, -3))
    return permuted(_conv("conv_tbc", 1, x, w, bias, 1, pad, 1, 1), axes=(-1, -3, -2))


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of `conv1d`: input (N, C, W) or (C, W), weight (C, K / groups, kernel)."""
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of `conv2d`: input (N, C, H, W) or (C, H, W), weight (C, K / groups, kernel)."""
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of `conv3d`: input (N, C, D, H, W) or (C, D, H, W), weight (C, K / groups, kernel)."""
    return _transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip
