"""Bad input: the error names what was called, what it was given and what it needs, and leaves nothing half changed."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import tape
from autograd_core.op import REGISTRY
from nn import functional as F

V, T, I, R, L, M, A = (
    ValueError,
    TypeError,
    IndexError,
    RuntimeError,
    np.linalg.LinAlgError,
    MemoryError,
    AttributeError,
)
N = NotImplementedError
NAN = float("nan")


class Scene:
    """Tensors of every kind, made anew for each case."""

    def __init__(self):
        r = np.arange(1.0, 7.0).reshape(2, 3)
        self.w = ag.tensor(r, dtype=ag.float32)
        self.x = ag.tensor(r, requires_grad=True)
        self.x.grad = ag.tensor(np.full((2, 3), 7.0))
        self.h = self.x * 2
        self.y = (self.h * self.h).sum()
        self.v, self.u, self.s = (ag.tensor(r.ravel()[:n], dtype=ag.float32) for n in (3, 4, 2))
        self.n = ag.tensor(2.5)
        self.i = ag.tensor([0, 1, 2])
        self.b = self.w > 3
        self.c = self.w.to(ag.complex64)
        self.e = self.v.expand(2, 3)
        self.q = ag.tensor([[2.0, 1.0], [1.0, 2.0]])
        self.a = np.arange(6.0).reshape(2, 3)

    def tensors(self):
        return {name: t for name, t in vars(self).items() if isinstance(t, ag.Tensor)}

    def state(self):
        """Everything that an error might have changed."""
        seen = {name: observed(t) for name, t in self.tensors().items()}
        rng = np.asarray(ag.get_rng_state()).tolist()
        modes = (ag.get_default_dtype(), tape.state.mode, tape.state.depth, ag.is_grad_enabled(), len(REGISTRY))
        return seen | {"a": self.a.tolist(), "rng": rng, "modes": modes}


def observed(t):
    grad = t.grad if t.grad is None else (t.grad.tolist(), t.grad.shape, t.grad.dtype)
    hooks = getattr(t.node, "hooks", None), getattr(t.leaf, "after", None)
    values = t.detach().numpy().copy()
    form = t.shape, t.dtype, t.requires_grad, t.is_leaf, t.retains_grad, t._version
    return values.tobytes(), grad, form, id(t.grad_fn), id(t.value), hooks


square = lambda x: (x * x).sum()
first = lambda c, x: (c, x)

# fmt: off
CREATION = [
    (lambda s: ag.tensor("abc"), T, r"tensor: expected numbers, lists, arrays or tensors, got str 'abc'"),
    (lambda s: ag.tensor([1, None]), T, r"tensor: expected numbers.*got list \[1, None\]"),
    (lambda s: ag.tensor([[1, 2], [3]]), V, r"tensor: rows of different lengths"),
    (lambda s: ag.tensor([1.0], dtype="flaot32"), T,
     r"tensor: not a type of entries: 'flaot32'; use one of ag\.float32"),
    (lambda s: ag.tensor([1.0], dtype=str), T, r"tensor: tensors hold numbers, not <U0"),
    (lambda s: ag.tensor([1, 2], requires_grad=True), T,
     r"tensor: only floating-point .* have gradients, not int64; use a float"),
    (lambda s: ag.tensor([True], requires_grad=True), T, r"tensor: only floating-point .*, not bool"),
    (lambda s: ag.tensor([1.0], device="cuda"), V, r"tensor: device 'cuda' is not known; tensors live on \"cpu\""),
    (lambda s: ag.tensor([10**30]), V, r"tensor: 10+ does not fit int64; .*float64"),
    (lambda s: ag.tensor([300], dtype=ag.uint8), V, r"tensor: 300 does not fit uint8, which holds 0 to 255"),
    (lambda s: ag.tensor([1 + 2j], dtype=ag.float32), T, r"tensor: complex numbers do not fit float32; take \.real"),
    (lambda s: ag.from_numpy([1, 2]), T, r"from_numpy: expected a NumPy array, got list; use tensor\(\)"),
    (lambda s: ag.from_numpy(np.array(["a"])), T, r"from_numpy: tensors hold numbers.*not <U1"),
    (lambda s: ag.as_tensor([[1, 2], [3]]), V, r"as_tensor: rows of different lengths"),
    (lambda s: ag.zeros(), T, r"zeros: needs sizes, as in zeros\(2, 3\)"),
    (lambda s: ag.zeros(2, -3), V, r"zeros: sizes cannot be negative, got \(2, -3\)"),
    (lambda s: ag.zeros(2.5), T, r"zeros: sizes must be integers, got 2\.5"),
    (lambda s: ag.zeros(NAN), T, r"zeros: sizes must be integers, got nan"),
    (lambda s: ag.zeros(10**12), M, r"zeros: \(10+,\) float32 would take 3725 GiB, and there are"),
    (lambda s: ag.zeros(10**10, 10**10), M, r"zeros: .*would take .* GiB"),
    (lambda s: ag.rand(10**13), M, r"rand: \(10+,\) float32 would take"),
    (lambda s: ag.zeros(3, dtype=ag.int64, requires_grad=True), T, r"zeros: only floating-point .* not int64"),
    (lambda s: ag.zeros(3, device="tpu"), V, r"zeros: device 'tpu' is not known"),
    (lambda s: ag.zeros(3, dtype="nonsense"), T, r"zeros: not a type of entries: 'nonsense'"),
    (lambda s: ag.full((2,), [1, 2]), T, r"full: fill_value must be a number, got list"),
    (lambda s: ag.zeros_like("a"), T, r"zeros_like: expected numbers, lists, arrays or tensors, got str 'a'"),
    (lambda s: ag.eye(-1), V, r"eye: sizes cannot be negative"),
    (lambda s: ag.arange(0, 10, 0), V, r"arange: no steps of 0 lead from 0 to 10"),
    (lambda s: ag.arange(0, 10, -1), V, r"arange: no steps of -1 lead from 0 to 10"),
    (lambda s: ag.arange(0, math.inf), V, r"arange: start, end and step must be finite real numbers, got 0, inf, 1"),
    (lambda s: ag.arange("a"), T, r"arange: end must be a number, got str"),
    (lambda s: ag.linspace(0, 1, -1), V, r"linspace: sizes cannot be negative"),
    (lambda s: ag.meshgrid(s.w, s.v), V, r"meshgrid: expected one-dimensional tensors, got shape \(2, 3\)"),
    (lambda s: ag.meshgrid(s.v, s.v, indexing="zz"), V, r"meshgrid: indexing must be 'ij' or 'xy', got 'zz'"),
    (lambda s: ag.complex(s.v, s.u), V,
     r"complex: shapes do not broadcast together \(real is \(3,\) float32, imag is \(4,\) float32\)"),
]

DTYPES_AND_DEVICES = [
    (lambda s: ag.set_default_dtype(ag.int64), T, r"set_default_dtype: needs a floating-point type, got int64"),
    (lambda s: ag.set_default_dtype("nonsense"), T, r"set_default_dtype: not a type of entries: 'nonsense'"),
    (lambda s: ag.set_default_dtype(ag.complex64), T, r"set_default_dtype: needs a floating-point type, got complex64"),
    (lambda s: s.w.to("cuda"), V, r"to: device 'cuda' is not known; tensors live on \"cpu\""),
    (lambda s: s.w.cuda(), V, r"cuda: device 'cuda' is not known"),
    (lambda s: ag.device("cuda"), V, r"device: 'cuda' is not known"),
    (lambda s: s.w.to(dtype="object"), T, r"dtype: tensors hold numbers, not object"),
    (lambda s: s.w.astype("U3"), T, r"dtype: tensors hold numbers, not <U3"),
    (lambda s: s.w.type_as(3), T, r"type_as: expected a tensor, got int 3"),
    (lambda s: ag.promote_types(ag.float32, "zz"), T, r"promote_types: not a type of entries: 'zz'"),
    (lambda s: ag.result_type(s.w, "a"), T, r"result_type: expected tensors, arrays or numbers, got str 'a'"),
    (lambda s: s.w.sum(dtype="zz"), T, r"sum: not a type of entries: 'zz'"),
]

ELEMENTWISE = [
    (lambda s: s.w + s.s, V, r"add: shapes do not broadcast together \(a is \(2, 3\) float32, b is \(2,\) float32\)"),
    (lambda s: s.w * s.q, V, r"mul: shapes do not broadcast together"),
    (lambda s: np.ones(2) * s.w, V,
     r"numpy\.multiply: shapes do not broadcast together \(a is \(2,\) float64, b is \(2, 3\) float64\)"),
    (lambda s: s.w < s.s, V, r"lt: shapes do not broadcast together"),
    (lambda s: s.w + "a", T, r"unsupported operand type\(s\) for \+: 'Tensor' and 'str'"),
    (lambda s: s.w + None, T, r"unsupported operand type\(s\) for \+: 'Tensor' and 'NoneType'"),
    (lambda s: ag.add(s.w, "a"), T, r"add: takes numbers \(a is \(2, 3\) float32, b is str 'a'\)"),
    (lambda s: ag.sin("a"), T, r"sin: takes numbers \(x is str 'a'\)"),
    (lambda s: ag.sin(None), T, r"sin: takes numbers \(x is NoneType None\)"),
    (lambda s: ag.where(s.b, s.u, s.w), V,
     r"where: shapes do not broadcast together \(condition is \(2, 3\) bool, a is \(4,\)"),
    (lambda s: ag.where(s.b, s.w), T, r"where: give both values, where\(condition, a, b\), or neither"),
    (lambda s: ag.lerp(s.w, s.u, 0.5), V,
     r"lerp: shapes do not broadcast together \(a is \(4,\) .*b is \(2, 3\) .*in sub\)"),
    (lambda s: ag.addcmul(s.w, s.u, s.v), V, r"addcmul: shapes do not broadcast together"),
    (lambda s: ag.round(s.w, decimals="a"), T, r"round: decimals cannot be str 'a'"),
    (lambda s: ag.logit(s.w, eps="a"), T, r"logit: eps cannot be str 'a'"),
    (lambda s: ag.lerp("a", s.w, 0.5), T, r"lerp: expected a tensor or an array, got str 'a'"),
    (lambda s: ag.clamp(s.w), V, r"clamp: at least one of min and max must be given"),
    (lambda s: ag.clamp(s.w, min=s.u), V,
     r"clamp: shapes do not broadcast together \(x is \(2, 3\) float32, min is \(4,\)"),
    (lambda s: ag.div(s.w, s.w, rounding_mode="up"), V,
     r"div: rounding_mode must be None, 'trunc' or 'floor', got 'up'"),
    (lambda s: s.w & s.w, T,
     r"bitwise_and: takes booleans and integers \(a is \(2, 3\) float32, b is \(2, 3\) float32\)"),
    (lambda s: ~s.w, T, r"bitwise_not: takes booleans and integers \(x is \(2, 3\) float32\)"),
    (lambda s: s.w << 1, T, r"bitwise_left_shift: takes integers \(a is \(2, 3\) float32, b is int 1\)"),
    (lambda s: ag.gcd(s.w, s.w), T, r"gcd: takes integers"),
    (lambda s: ag.floor(s.c), T, r"floor: takes real numbers \(x is \(2, 3\) complex64\)"),
    (lambda s: ag.atan2(s.c, s.w), T, r"atan2: takes real numbers \(a is \(2, 3\) complex64"),
    (lambda s: ag.erfinv(s.c), T, r"erfinv: expected real arguments, got complex64; take \.real"),
    (lambda s: -s.b, T, r"neg: .*boolean negative.*not supported.*use the `~` operator or the logical_not"),
    (lambda s: s.b - s.b, T, r"sub: boolean subtract.*use the bitwise_xor.*\(a is \(2, 3\) bool, b is \(2, 3\) bool\)"),
    (lambda s: s.i ** -1, V, r"pow: Integers to negative integer powers are not allowed"),
    (lambda s: s.w.imag, T, r"imag: expected a complex tensor"),
    (lambda s: ag.polygamma(-1, s.w), V, r"polygamma: n must not be negative, got -1"),
    (lambda s: ag.float_power(s.v, s.u), V, r"float_power: shapes do not broadcast together .*in pow"),
    (lambda s: ag.allclose(s.v, s.u), V, r"allclose: shapes do not broadcast together .*in isclose"),
]

REDUCTIONS = [
    (lambda s: s.w.sum(2), I, r"sum: dim 2 is out of range for a tensor with 2 axes \(use -2 to 1\)"),
    (lambda s: s.w.sum(axis=-3), I, r"sum: dim -3 is out of range"),
    (lambda s: s.w.sum(dim=(0, -2)), V, r"sum: dim \(0, -2\) names an axis twice"),
    (lambda s: s.w.sum(dim="a"), T, r"sum: dim must be an integer, got 'a'"),
    (lambda s: s.w.sum(dim=1.0), T, r"sum: dim must be an integer, got 1\.0"),
    (lambda s: ag.sum([1, 2]), T, r"sum: expected a tensor or an array, got list \[1, 2\]; make one with ag\.tensor"),
    (lambda s: ag.mean("a"), T, r"mean: expected a tensor or an array, got str 'a'"),
    (lambda s: s.i.mean(), T, r"mean: x has type int64.*use mean\(x\.float\(\)\)"),
    (lambda s: s.i.std(), T, r"std: x has type int64.*use std\(x\.float\(\)\)"),
    (lambda s: s.w.var(unbiased=True, correction=1), V, r"var: unbiased=True and correction=1 say the same"),
    (lambda s: ag.tensor([]).max(), V, r"max: x has shape \(0,\), with no entries"),
    (lambda s: ag.zeros(0, 3).argmin(0), V, r"argmin: x has shape \(0, 3\), with no entries along axis 0"),
    (lambda s: s.v.median(3), I, r"median: dim 3 is out of range for a tensor with 1 axes"),
    (lambda s: s.w.logsumexp(2), I, r"logsumexp: dim 2 is out of range"),
    (lambda s: s.w.sum(dim=0, axis=1), T, r"sum: axis and dim are two names of one argument; give one of them"),
    (lambda s: s.w.std(correction="a"), T, r"std: correction cannot be str 'a'"),
    (lambda s: s.w.norm(p="zz"), V, r"norm: p must be a number, 'fro' or 'nuc', got 'zz'"),
    (lambda s: s.i.float().quantile(1.5), V, r"quantile: q must be from 0 to 1, got 1\.5"),
    (lambda s: s.w.quantile(0.5, interpolation="zz"), V, r"quantile: interpolation must be one of linear.*got 'zz'"),
    (lambda s: s.v.trace(), V, r"trace: needs a matrix, got shape \(3,\)"),
    (lambda s: s.v.kthvalue(4), V, r"kthvalue: k must be from 1 to 3.*got 4"),
    (lambda s: s.v.topk(4), V, r"topk: k must be from 0 to 3.*got 4"),
    (lambda s: s.v.topk(1.5), T, r"topk: k must be an integer, got 1\.5"),
    (lambda s: s.v.topk("a"), T, r"topk: k must be an integer, got 'a'"),
    (lambda s: s.v.sort(1), I, r"sort: dim 1 is out of range"),
    (lambda s: s.v.cumsum(1), I, r"cumsum: dim 1 is out of range"),
    (lambda s: s.v.cumsum_(1), I, r"cumsum: dim 1 is out of range"),
    (lambda s: s.v.diff(n=-1), V, r"diff: needs an axis and n >= 0, got shape \(3,\) and n=-1"),
    (lambda s: ag.histc(s.v, bins=0), V, r"histc: needs bins >= 1"),
    (lambda s: ag.bincount(s.v), T, r"bincount: x must be a vector of integers, got shape \(3,\) of float32"),
    (lambda s: ag.bincount(ag.tensor([-1, 2])), V, r"bincount: x must not be negative, but has -1"),
    (lambda s: ag.searchsorted(s.w, s.w.mT), V,
     r"searchsorted: sequences of shape \(2, 3\) and values of shape \(3, 2\) do not go together"),
    (lambda s: ag.dist(s.v, s.u), V, r"dist: shapes do not broadcast together .*in sub"),
    (lambda s: ag.trapezoid(s.v, s.u), V, r"trapezoid: y has 3 samples .*but x has shape \(4,\)"),
]

SHAPES = [
    (lambda s: s.w.reshape(4), V, r"reshape: 6 entries of shape \(2, 3\) do not fill shape \(4,\)"),
    (lambda s: s.w.reshape(-1, -1), V, r"reshape: only one size may be -1, got \(-1, -1\)"),
    (lambda s: s.w.reshape(2.5), T, r"reshape: a size must be an integer, got 2\.5"),
    (lambda s: s.w.reshape(NAN), T, r"reshape: a size must be an integer, got nan"),
    (lambda s: s.v.repeat(10**14), M, r"repeat: .* would take .* GiB"),
    (lambda s: s.w.view(4), V, r"view: 6 entries of shape \(2, 3\) do not fill shape \(4,\)"),
    (lambda s: s.w.T.view(6), R, r"view: shape \(6,\) cannot be a view of this tensor of shape \(3, 2\).*use reshape"),
    (lambda s: s.w.transpose(0, 2), I, r"transpose: dim 2 is out of range"),
    (lambda s: s.w.permute(0), V, r"permute: needs each of the 2 axes of shape \(2, 3\) once, got \(0,\)"),
    (lambda s: s.w.movedim((0, 1), (0,)), V, r"movedim: 2 axes to move, but 1 places"),
    (lambda s: s.w.squeeze(2), I, r"squeeze: dim 2 is out of range"),
    (lambda s: s.w.unsqueeze(4), I, r"unsqueeze: dim 4 is out of range for a tensor with 3 axes"),
    (lambda s: s.w.expand(3, 3), V,
     r"expand: shape \(2, 3\) does not spread to \(3, 3\); sizes must agree from the right, or be 1"),
    (lambda s: ag.broadcast_to(s.w, (4, 3)), V, r"broadcast_to: shape \(2, 3\) does not spread to \(4, 3\)"),
    (lambda s: ag.broadcast_tensors(s.v, s.u), V,
     r"broadcast_tensors: shapes \(3,\), \(4,\) do not broadcast together"),
    (lambda s: s.w.flatten(1, 0), V, r"flatten: start_dim 1 comes after end_dim 0"),
    (lambda s: s.w.unflatten(1, (2, 2)), V, r"unflatten: 3 entries of shape \(3,\) do not fill shape \(2, 2\)"),
    (lambda s: ag.cat([]), V, r"cat: needs at least 1 tensor, got 0"),
    (lambda s: ag.cat([s.w, s.q]), V, r"cat: shapes may differ only along axis 0, got \(2, 3\), \(2, 2\)"),
    (lambda s: ag.cat([s.v, "a"]), T, r"cat: expected tensors, got str"),
    (lambda s: ag.stack([s.v, s.u]), V, r"stack: all tensors must have one shape, got \(3,\), \(4,\)"),
    (lambda s: s.v.chunk(0), V, r"chunk: the number of chunks must be positive, got 0"),
    (lambda s: s.u.split([1, 2]), V, r"split: sizes \(1, 2\) must add up to 4"),
    (lambda s: s.n.unbind(), V, r"unbind: needs a tensor with at least 1 axes, got shape \(\)"),
    (lambda s: s.w.flip(2), I, r"flip: dim 2 is out of range"),
    (lambda s: s.w.repeat(2), V, r"repeat: needs a number for each of the 2 axes, got \(2,\)"),
    (lambda s: s.v.narrow(0, 2, 2), I, r"narrow: 2 entries from 2 on do not exist on an axis of 3"),
    (lambda s: s.v.unfold(0, 5, 1), V, r"unfold: windows of 5 do not fit axis 0 of shape \(3,\)"),
    (lambda s: s.w.select_scatter(s.s, 0, 0), V,
     r"select_scatter: src has shape \(2,\), but the part of \(2, 3\) it replaces has shape \(3,\)"),
    (lambda s: ag.tril([[1, 2], [3, 4]]), T, r"tril: expected a tensor or an array, got list"),
    (lambda s: len(s.n), T, r"len: a tensor without axes has no length"),
    (lambda s: list(s.n), T, r"iter: a tensor without axes cannot be iterated over"),
    (lambda s: bool(s.v), V, r"bool: the truth value of a tensor of shape \(3,\) is ambiguous; use any\(\) or all\(\)"),
    (lambda s: s.v.item(), V, r"item: a tensor of shape \(3,\) is not one number; use tolist\(\) or index it"),
    (lambda s: f"{s.v:.2f}", V, r"item: a tensor of shape \(3,\) is not one number"),
    (lambda s: range(s.n), T, r"index: only a tensor of one integer can be an index, not float32 of shape \(\)"),
    (lambda s: "a" in s.v, T, r"in: expected a tensor or a number, got str 'a'"),
    (lambda s: s.v.mT, V, r"mT: a matrix needs two axes, the tensor has shape \(3,\)"),
    (lambda s: s.w.size(2), I, r"size: dim 2 is out of range for a tensor with 2 axes"),
    (lambda s: s.w.stride(2), I, r"stride: dim 2 is out of range"),
    (lambda s: s.x.numpy(), R,
     r"numpy: this tensor requires gradients, which the array would lose; use t\.detach\(\)\.numpy\(\)"),
]

INDEXING = [
    (lambda s: s.w[2], I, r"getitem: index 2 is out of (range|bounds) for .*\(2, 3\)"),
    (lambda s: s.w[0, 0, 0], I, r"getitem: too many indices.*\(2, 3\)"),
    (lambda s: s.w[1.5], I, r"getitem: 1\.5 is no index; a tensor of shape \(2, 3\) takes integers, slices"),
    (lambda s: s.w["a"], I, r"getitem: 'a' is no index"),
    (lambda s: s.w[s.v], I, r"getitem: an array of float32 is no index; use integers or a mask"),
    (lambda s: s.w[ag.tensor([True])], I, r"getitem: a mask of shape \(1,\) does not fit the axes \(2,\)"),
    (lambda s: s.w[[0, 1], [0, 1, 2]], I, r"getitem: index arrays of shapes \(2,\), \(3,\) do not broadcast"),
    (lambda s: s.w[::0], V, r"getitem: slice step cannot be zero"),
    (lambda s: s.w.__setitem__(2, 0.0), I, r"setitem: index 2 is out of range for an axis of 2 entries"),
    (lambda s: s.w.__setitem__(0, s.s), V,
     r"setitem: a value of shape \(2,\) does not fit the part it goes to, of shape \(3,\)"),
    (lambda s: s.w.__setitem__(0, "a"), T, r"setitem: .*got str 'a'"),
    (lambda s: s.w.__setitem__(s.b, s.s), V, r"setitem: a value of shape \(2,\) does not fit"),
    (lambda s: s.w.__setitem__(0, 1j), T,
     r"setitem: a value of complex128 cannot be stored in a tensor of float32; convert it"),
    (lambda s: s.i.__setitem__(0, s.n), T, r"setitem: a value of float32 cannot be stored in a tensor of int64"),
    (lambda s: s.x.__setitem__(0, 1.0), R,
     r"setitem: a view of a leaf that requires gradients cannot be changed in place.*no_grad\(\), or clone\(\)"),
    (lambda s: s.x.__setitem__([0], 1.0), R, r"setitem: a leaf that requires gradients cannot be changed in place"),
    (lambda s: s.e.__setitem__(0, 1.0), R,
     r"setitem: this tensor cannot be changed in place: its entries share memory, as after expand.*clone\(\) it first"),
    (lambda s: s.w.gather(0, s.w), T, r"gather: index must hold integers, got float32"),
    (lambda s: s.w.gather(0, s.i), V, r"gather: index has shape \(3,\); it must fit within x \(2, 3\)"),
    (lambda s: s.w.gather(0, ag.tensor([[5]])), I, r"gather: index 5 is out of range for an axis of 2 entries"),
    (lambda s: s.w.scatter_(0, ag.tensor([[5]]), 1.0), I, r"scatter: index 5 is out of range"),
    (lambda s: s.w.scatter_reduce(0, ag.tensor([[0]]), s.q[:1, :1], "zz"), V,
     r"scatter_reduce: reduce must be one of sum.*got 'zz'"),
    (lambda s: s.w.index_select(0, s.v), T, r"index_select: index must hold integers, got float32"),
    (lambda s: s.w.index_add_(0, ag.tensor([9]), s.w[:1]), I, r"index_add: index 9 is out of range for an axis of 2"),
    (lambda s: s.w.index_copy_(0, ag.tensor([0]), s.q[:1]), V, r"index_copy: source has shape \(1, 2\), but"),
    (lambda s: s.w.index_put_((ag.tensor([0]),), s.s), V, r"index_put: a value of shape \(2,\) does not fit"),
    (lambda s: s.w.masked_fill_(s.w, 0.0), T, r"masked_fill: mask must hold truth values, got float32; write mask > 0"),
    (lambda s: s.w.masked_fill_(s.b, s.v), V, r"masked_fill: value must be one number, got shape \(3,\)"),
    (lambda s: s.w.masked_scatter_(s.w > 0, s.v), V, r"masked_scatter: mask has 6 true entries, but source only 3"),
    (lambda s: s.v.take(ag.tensor([5])), I, r"take: index 5 is out of range for an axis of 3 entries"),
]

PRODUCTS = [
    (lambda s: s.w @ s.w, V,
     r"matmul: inner dimensions differ: a is \(2, 3\), b is \(2, 3\); did you mean a @ b\.mT\?"),
    (lambda s: s.w @ s.s, V, r"matmul: inner dimensions differ: a is \(2, 3\), b is \(2,\); did you mean a\.mT @ b\?"),
    (lambda s: s.w @ s.u, V, r"matmul: inner dimensions differ: a is \(2, 3\), b is \(4,\)$"),
    (lambda s: s.n @ s.v, V, r"matmul: both need at least one axis.*use \* to multiply by a number"),
    (lambda s: s.w @ 2, T, r"matmul: expected tensors or arrays, got Tensor and int"),
    (lambda s: ag.ones(2, 3, 4) @ ag.ones(5, 4, 2), V,
     r"matmul: the leading axes do not broadcast: a is \(2, 3, 4\), b is \(5, 4, 2\)"),
    (lambda s: ag.mm(s.v, s.v), V, r"mm: x must be a matrix, got shape \(3,\)"),
    (lambda s: ag.bmm(s.w, s.w), V, r"bmm: x must be a batch of matrices.*got shape \(2, 3\)"),
    (lambda s: ag.mv(s.w, s.s), V, r"mv: inner dimensions differ"),
    (lambda s: ag.dot(s.v, s.u), V, r"dot: inner dimensions differ: a is \(3,\), b is \(4,\)"),
    (lambda s: ag.outer(s.w, s.v), V, r"outer: x must be a vector, got shape \(2, 3\)"),
    (lambda s: ag.cross(s.v, s.u), V, r"cross: axis -1 must have length 3, x is \(3,\), other is \(4,\)"),
    (lambda s: ag.kron("a", s.w), T, r"kron: expected a tensor or an array, got str 'a'"),
    (lambda s: ag.tensordot(s.w, s.w, 1), V, r"tensordot: axis 1 of a \(2, 3\) and axis 0 of b \(2, 3\) differ"),
    (lambda s: ag.einsum("ij,jk->ik", s.w, s.w), V,
     r"einsum: index 'j' has sizes 3 and 2: 'ij' \(2, 3\) and 'jk' \(2, 3\)"),
    (lambda s: ag.einsum("ij,jk->ik", s.w), V, r"einsum: 'ij,jk->ik' has 2 operands, but 1 were given"),
    (lambda s: ag.einsum("ij->ik", s.w), V, r"einsum: index 'k' is in the result but in no operand"),
    (lambda s: ag.einsum("ijk->i", s.w), V,
     r"einsum: 'ijk' in 'ijk->i' names 3 axes, but the operand has shape \(2, 3\)"),
    (lambda s: ag.addmm(s.v, s.w, s.w), V, r"addmm: inner dimensions differ.*did you mean a @ b\.mT\?"),
    (lambda s: ag.cdist(s.w, s.q), V, r"cdist: needs \(\.\.\., n, k\) and \(\.\.\., m, k\), got \(2, 3\) and \(2, 2\)"),
]

LINALG = [
    (lambda s: ag.linalg.inv(s.w), V,
     r"inv: A must be a square matrix or a batch of them, got shape \(2, 3\); lstsq and pinv"),
    (lambda s: ag.linalg.inv(ag.zeros(2, 2)), L, r"inv: the matrix is singular; lstsq and pinv"),
    (lambda s: ag.linalg.inv(ag.ones(2, 2, dtype=ag.int64)), T,
     r"inv: A must be float32, float64 or complex, got int64; use \.float\(\)"),
    (lambda s: ag.linalg.inv("a"), T, r"inv: A must be a tensor or an array, got str"),
    (lambda s: ag.linalg.solve(s.q, s.v), V, r"solve: B must have 2 rows as A has: A is \(2, 2\), B is \(3,\)"),
    (lambda s: ag.linalg.cholesky(-s.q), L, r"cholesky: the matrix is not positive definite"),
    (lambda s: ag.linalg.eig(ag.full((2, 2), NAN)), L, r"eig: .*infs or NaNs"),
    (lambda s: ag.linalg.svd(ag.full((2, 2), NAN)), L, r"svd: SVD did not converge"),
    (lambda s: ag.linalg.eigh(s.q, UPLO="X"), V, r"eigh: UPLO must be 'L' or 'U', got 'X'"),
    (lambda s: ag.linalg.qr(s.q, mode="zz"), V, r"qr: mode must be 'reduced', 'complete' or 'r', got 'zz'"),
    (lambda s: ag.linalg.det(s.w), V, r"det: A must be a square matrix"),
    (lambda s: ag.linalg.matrix_power(s.q, 1.5), T, r"matrix_power: n must be an integer, got 1\.5"),
    (lambda s: ag.linalg.matrix_norm(s.q, ord="zz"), V, r"matrix_norm: ord must be one of 'fro'.*got 'zz'"),
    (lambda s: ag.linalg.vector_norm(s.v, dim=2), I, r"vector_norm: dim 2 is out of range"),
    (lambda s: ag.linalg.multi_dot([s.w, s.w]), V, r"multi_dot: shapes .*cannot be multiplied in a row"),
    (lambda s: ag.linalg.solve_triangular(s.q, s.w.mT, upper=True), V,
     r"solve_triangular: B must have 2 rows as A has"),
]

FFT = [
    (lambda s: ag.fft.fft(s.v, n=0), V, r"fft: a transform needs at least one data point, got 0"),
    (lambda s: ag.fft.fft(s.v, dim=1), I, r"fft: dim 1 is out of range"),
    (lambda s: ag.fft.fft(s.v, norm="zz"), V, r"fft: norm must be 'backward', 'ortho' or 'forward', got 'zz'"),
    (lambda s: ag.fft.fft("a"), T, r"fft: expected numbers, lists, arrays or tensors, got str 'a'"),
    (lambda s: ag.fft.rfft(s.c), T, r"rfft: expected real numbers, got complex64; use fft, or x\.real"),
    (lambda s: ag.fft.fftn(s.w, s=(1, 2, 3)), V, r"fftn: s has 3 lengths, but the tensor only 2 axes"),
    (lambda s: ag.fft.fft2(s.v), I, r"fft2: dim -2 is out of range"),
    (lambda s: ag.fft.fft(s.n), V, r"fft: a single number has no axis to transform"),
]

SPECIAL_AND_RANDOM = [
    (lambda s: ag.special.zeta(s.v, s.u), V, r"zeta: shapes do not broadcast together"),
    (lambda s: ag.special.softmax(s.w, 2), I, r"softmax: dim 2 is out of range"),
    (lambda s: ag.special.i0(s.c), T, r"i0: expected real arguments, got complex64"),
    (lambda s: ag.rand(2, dtype=ag.int64), T, r"rand: needs a floating-point dtype, got int64"),
    (lambda s: ag.rand(2, generator=3), T, r"rand: generator must be a Generator, got int"),
    (lambda s: ag.randint(5, 2, (2,)), V, r"randint: low must be less than high, got 5 and 2"),
    (lambda s: ag.randint(0, 300, (2,), dtype=ag.int8), V, r"randint: 0 to 299 does not fit int8"),
    (lambda s: ag.randint(0, 5), T, r"randint: needs a size"),
    (lambda s: ag.normal(0.0, -1.0, (2,)), V, r"normal: std must not be negative"),
    (lambda s: ag.normal(s.v, s.u), V, r"normal: mean \(3,\) and std \(4,\) do not broadcast together"),
    (lambda s: ag.bernoulli(s.v), V, r"bernoulli: probabilities must be from 0 to 1"),
    (lambda s: ag.bernoulli(ag.tensor([0.5, NAN])), V, r"bernoulli: probabilities must be from 0 to 1"),
    (lambda s: ag.multinomial(s.v, 4), V,
     r"multinomial: num_samples asks for 4 places.*only 3 of positive weight; use replacement=True"),
    (lambda s: ag.multinomial(ag.tensor([NAN, 1.0]), 1), V, r"multinomial: weights must be finite and >= 0"),
    (lambda s: ag.manual_seed("a"), T, r"manual_seed: the seed must be an integer, got 'a'"),
    (lambda s: s.v.uniform_(2, 1), V, r"uniform_: from_ must not exceed to, got 2 and 1"),
    (lambda s: s.v.normal_(0, -1), V, r"normal_: std must not be negative, got -1"),
    (lambda s: s.i.normal_(), T, r"normal_: needs a floating-point tensor, got int64"),
    (lambda s: s.x.normal_(), R, r"normal_: a leaf that requires gradients cannot be changed in place"),
    (lambda s: ag.randn_like("a"), T, r"randn_like: expected a tensor or an array, got str 'a'"),
]
# fmt: on


# --- functions with faults, for the cases below ----------------------------------------------------------------------


def backward_twice(s):
    y = (s.x * s.x).sum()
    ag.gradient(y, s.x)
    y.backward()


def shared_part_freed(s):
    h = s.x.exp()
    a, b = h.sum(), (h * 2).sum()
    ag.gradient(a, s.x)
    b.backward()


def overwritten_input(s):
    h = s.x * 1
    y = h * h
    h.add_(1)
    y.sum().backward()


def overwritten_result(s):
    h = s.x.exp()
    h[0] = 0.0
    h.sum().backward()


def overwritten_through_numpy(s):
    h = s.x * 1
    y = h.exp()
    np.add(y.detach(), 1, out=y.detach())
    y.sum().backward()


def overwritten_twice_named(s):
    with ag.detect_anomaly():
        overwritten_input(s)


def hooked(hook):
    """A backward through a tensor with a hook."""

    def run(s):
        h = s.x * 1
        h.register_hook(hook)
        h.sum().backward()

    return run


def unpacked(unpack):
    """A backward from what a saved-tensor hook gives back."""

    def run(s):
        with ag.saved_tensors_hooks(lambda t: t, unpack):
            y = s.x.exp().sum()
        y.backward()

    return run


def leaving(mode):
    """A backward from a result computed in a mode without recording."""

    def run(s):
        with mode():
            y = (s.x * 2).sum()
        y.backward()

    return run


def rerun(second):
    """A checkpoint of a function that does something else when it runs again."""

    def run(s):
        functions = iter([lambda x: (x * x).exp(), second])
        ag.checkpoint(lambda x: next(functions)(x), s.x).sum().backward()

    return run


def fails(_):
    raise ZeroDivisionError("the user's own")


class Doubled(ag.Function):
    """A Function without a backward; the others give it one that is wrong."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2


def function(backward=None, jvp=None, forward=None):
    """A Function of which some part is wrong."""
    parts = {"backward": backward, "jvp": jvp, "forward": forward}
    return type("Doubled", (Doubled,), {name: staticmethod(f) for name, f in parts.items() if f})


def through(backward):
    return lambda s: function(backward).apply(s.x).sum().backward()


def pushed(jvp):
    return lambda s: ag.jvp(function(jvp=jvp).apply, (s.w,), (s.w,))


def saved_overwritten(s):
    h = s.x * 1
    y = function(lambda ctx, g: ctx.saved_tensors and g).apply(h)
    h.add_(1)
    y.sum().backward()


def by_vjp(fwd, bwd=lambda kept, g: (g,)):
    """The gradient of a function with a custom pullback."""

    def run(s):
        @ag.custom_vjp
        def twice(x):
            return x * 2

        twice.defvjp(fwd, bwd)
        ag.grad(lambda x: twice(x).sum())(s.w)

    return run


def by_jvp(rule, transform):
    """A derivative of a function with a custom rule for tangents."""

    def run(s):
        @ag.custom_jvp
        def twice(x):
            return x * 2

        twice.defjvp(rule)
        transform(twice)(s.w)

    return run


def pushforward(f):
    return lambda x: ag.jvp(f, (x,), (x,))


def gradient(f):
    return ag.grad(lambda x: f(x).sum())


good_fwd = lambda x: (x * 2, None)


def forward(x):
    return x * 1


def forward_of_two(a, b):
    return a + b


def named(name, *rules, by=forward, **options):
    """The declaration of an op."""
    return lambda s: ag.op(*rules, name=name, **{"samples": "n"} | options)(by)


# fmt: off
AUTOGRAD = [
    (lambda s: s.h.backward(), R,
     r"backward: the result has shape \(2, 3\), not one element; reduce it \(sum, mean\) or give its gradient"),
    (lambda s: s.w.backward(), R, r"backward: this tensor does not require gradients: nothing it was computed from"),
    (lambda s: s.h.detach().sum().backward(), R, r"backward: this tensor does not require gradients"),
    (lambda s: s.h.argmax().backward(), R, r"backward: this tensor does not require gradients"),
    (leaving(ag.no_grad), R, r"backward: this tensor does not require gradients"),
    (leaving(ag.inference_mode), R, r"backward: this tensor does not require gradients"),
    (lambda s: s.h.backward(s.v), V, r"backward: the gradient has shape \(3,\), but the result has shape \(2, 3\)"),
    (lambda s: s.h.backward("a"), T,
     r"backward: the gradient must be a tensor or numbers of shape \(2, 3\), got str 'a'"),
    (lambda s: s.h.backward(s.c), T,
     r"backward: the gradient is complex64, but the result float64; give its real part"),
    (lambda s: (s.h * 1j).sum().backward(), R, r"backward: the result is complex; take abs\(\) or real of it"),
    (lambda s: s.y.backward(inputs=[s.w]), R, r"backward: input 0 does not require gradients"),
    (lambda s: s.y.backward(inputs=[]), V, r"backward: inputs is empty"),
    (lambda s: s.y.backward(inputs=[3]), T, r"backward: input 0 is int 3, not a Tensor"),
    (lambda s: s.y.backward(inputs=3), T, r"backward: inputs must be a tensor or a sequence of them, got int 3"),
    (backward_twice, R,
     r"backward: the graph behind mul has been freed by an earlier backward; give that one retain_graph=True"),
    (shared_part_freed, R, r"backward: the graph behind exp has been freed.*retain_graph=True"),
    (overwritten_input, R,
     r"backward: mul needs a \(2, 3\), which has been changed in place.*clone\(\).*detect_anomaly shows where"),
    (overwritten_result, R, r"backward: exp needs its result \(2, 3\), which has been changed in place"),
    (overwritten_through_numpy, R, r"backward: exp needs its result \(2, 3\), which has been changed in place"),
    (overwritten_twice_named, R, r"backward: mul needs a \(2, 3\), which has been changed in place"),
    (lambda s: ag.gradient(s.y, [s.x, ag.zeros(2, requires_grad=True)]), R,
     r"gradient: the outputs do not depend on input 1; allow_unused=True gives None"),
    (lambda s: ag.gradient(s.y, s.w), R, r"gradient: input 0 does not require gradients; call requires_grad_\(\)"),
    (lambda s: ag.gradient(s.y, 3.0), T, r"gradient: inputs must be a tensor or a sequence of them, got float 3\.0"),
    (lambda s: ag.gradient(s.y, []), V, r"gradient: inputs is empty"),
    (lambda s: ag.gradient([], s.x), V, r"gradient: outputs is empty"),
    (lambda s: ag.gradient(3.0, s.x), T, r"gradient: outputs must be a tensor or a sequence of them, got float 3\.0"),
    (lambda s: ag.gradient(["a"], s.x), T, r"gradient: expected a Tensor, got str"),
    (lambda s: ag.gradient(s.h, s.x), R, r"gradient: the result has shape \(2, 3\), not one element"),
    (lambda s: ag.gradient(s.h, s.x, s.v), V,
     r"gradient: the gradient has shape \(3,\), but the result has shape \(2, 3\)"),
    (lambda s: ag.gradient([s.y, s.h], s.x, [None]), V, r"gradient: 2 outputs but 1 grad_outputs"),
    (lambda s: s.i.requires_grad_(), T, r"requires_grad: int64 numbers have no gradients; use t\.float\(\)"),
    (lambda s: setattr(s.b, "requires_grad", True), T, r"requires_grad: bool numbers have no gradients"),
    (lambda s: setattr(s.h, "requires_grad", False), R, r"requires_grad: this tensor was computed; use detach\(\)"),
    (lambda s: setattr(s.x, "grad", s.v), V, r"grad: expected \(2, 3\) float64 like the tensor, got \(3,\) float32"),
    (lambda s: setattr(s.x, "grad", np.ones(1)), T, r"grad: expected a Tensor or None, got ndarray"),
    (lambda s: setattr(s.w, "data", "a"), T, r"data: expected numbers, got str"),
    (lambda s: s.w.retain_grad(), R, r"retain_grad: this tensor does not require gradients"),
    (lambda s: s.w.register_hook(print), R, r"register_hook: this tensor does not require gradients"),
    (lambda s: s.h.register_hook(3), T, r"register_hook: expected a function, got int 3"),
    (lambda s: s.x.register_post_accumulate_grad_hook(3), T,
     r"register_post_accumulate_grad_hook: expected a function, got int 3"),
    (lambda s: s.h.register_post_accumulate_grad_hook(print), R,
     r"register_post_accumulate_grad_hook: only leaves that require gradients"),
    (hooked(lambda g: "a"), T, r"backward: a hook on mul must return a Tensor of shape \(2, 3\) or None, got str 'a'"),
    (hooked(lambda g: g.numpy()), T,
     r"backward: a hook on mul must return a Tensor of shape \(2, 3\) or None, got ndarray"),
    (hooked(lambda g: g[0]), V,
     r"backward: a hook on mul must return a Tensor of shape \(2, 3\) or None.*got \(3,\) float64"),
    (hooked(lambda g: g.long()), V,
     r"backward: a hook on mul must return a Tensor .*of type float64, got \(2, 3\) int64"),
    (hooked(fails), ZeroDivisionError, r"the user's own"),
    (unpacked(lambda t: "a"), V,
     r"saved_tensors_hooks: unpack must return what was packed, a Tensor of shape \(2, 3\), got str 'a'"),
    (unpacked(lambda t: t[0]), V, r"saved_tensors_hooks: unpack must return .*of shape \(2, 3\), got \(3,\) float64"),
    (lambda s: ag.saved_tensors_hooks(3, 4).__enter__(), T, r"saved_tensors_hooks: expected a function, got int 3"),
    (lambda s: s.h[0].detach_(), R, r"detach_: a view cannot be detached in place; use detach\(\)"),
]

IN_PLACE = [
    (lambda s: s.x.add_(1), R,
     r"add_: a leaf that requires gradients cannot be changed in place.*use no_grad\(\), or clone\(\) it first"),
    (lambda s: s.x[0].mul_(2), R, r"mul_: a view of a leaf that requires gradients cannot be changed in place"),
    (lambda s: s.x.zero_(), R, r"zero_: a leaf that requires gradients"),
    (lambda s: s.x.copy_(s.w), R, r"copy_: a leaf that requires gradients"),
    (lambda s: s.w.add_(s.s), V, r"add: shapes do not broadcast together"),
    (lambda s: s.v.add_(s.w), V,
     r"add_: a value of shape \(2, 3\) cannot be stored in place in a tensor of shape \(3,\)"),
    (lambda s: s.v.__iadd__(s.w), V, r"add_: a value of shape \(2, 3\) cannot be stored in place"),
    (lambda s: s.i.add_(1.5), T, r"add_: float32 cannot be stored in place in a tensor of int64; convert one of them"),
    (lambda s: s.i.__itruediv__(2), T, r"div_: float32 cannot be stored in place in a tensor of int64"),
    (lambda s: s.i.sqrt_(), T, r"sqrt_: float32 cannot be stored in place in a tensor of int64"),
    (lambda s: s.w.mul_(1j), T, r"mul_: complex64 cannot be stored in place in a tensor of float32"),
    (lambda s: s.b.add_(1), T, r"add_: int64 cannot be stored in place in a tensor of bool"),
    (lambda s: s.w.mul_("a"), T, r"mul: takes numbers \(a is \(2, 3\) float32, b is str 'a'\)"),
    (lambda s: s.e.add_(1), R,
     r"add_: this tensor cannot be changed in place: its entries share memory.*; clone\(\) it first"),
    (lambda s: s.e.fill_(1), R, r"fill_: this tensor cannot be changed in place: its entries share memory"),
    (lambda s: s.v.copy_(s.u), V,
     r"copy_: a value of shape \(4,\) cannot be stored in place in a tensor of shape \(3,\)"),
    (lambda s: s.v.copy_("a"), T, r"copy_: str 'a' does not fit a tensor of float32"),
    (lambda s: s.v.fill_(s.v), V, r"fill_: expected one number, got shape \(3,\)"),
    (lambda s: s.v.fill_("a"), T, r"fill_: str 'a' does not fit a tensor of float32"),
    (lambda s: s.w.clamp_(), V, r"clamp: at least one of min and max"),
    (lambda s: copy.deepcopy(s.h), R,
     r"deepcopy: only leaf tensors can be copied deeply; use clone\(\), or detach\(\)"),
    (lambda s: pickle.dumps(s.h), R, r"pickle: only leaf tensors can be pickled; use detach\(\) first"),
    (lambda s: copy.deepcopy({"a": [s.y]}), R, r"deepcopy: only leaf tensors"),
]

TRANSFORMS = [
    (lambda s: ag.grad(lambda x: x * 2)(s.w), V,
     r"grad: the function must return one number, got shape \(2, 3\); use jacobian, or reduce it"),
    (lambda s: ag.value_and_grad(lambda x: x * 2)(s.w), V, r"value_and_grad: the function must return one number"),
    (lambda s: ag.grad(square)(s.i), T, r"grad: leaf 0 of the arguments holds int64; gradients need floating-point"),
    (lambda s: ag.grad(square)([s.w, "a"]), T,
     r"grad: leaf 1 of the arguments is str; gradients are of numbers, arrays and tensors"),
    (lambda s: ag.grad(square)(True), T, r"grad: leaf 0 of the arguments is bool"),
    (lambda s: ag.grad(square)(), V, r"grad: argnums=0, but the function was called with 0 positional arguments"),
    (lambda s: ag.grad(square, argnums=(0, 3))(s.w), V,
     r"grad: argnums=3, but the function was called with 1 positional"),
    (lambda s: ag.grad(square, argnums="a")(s.w), T,
     r"grad: argnums must be an integer or a tuple of integers, got 'a'"),
    (lambda s: ag.grad(square, argnums=1.0)(s.w), T, r"grad: argnums must be an integer .*got 1\.0"),
    (lambda s: ag.grad(3), T, r"grad: expected a function, got int 3"),
    (lambda s: ag.grad(lambda x: "a")(s.w), T,
     r"grad: the function returned str 'a', needed are numbers, arrays and tensors"),
    (lambda s: ag.grad(lambda x: None)(s.w), V, r"grad: the function must return one number, got None"),
    (lambda s: ag.grad(lambda x: (x.sum(), x.sum()))(s.w), V,
     r"grad: the function must return one number, got 2 values"),
    (lambda s: ag.grad(lambda x: x.sum() * 1j)(s.w), T,
     r"grad: the function returned a complex number; take its abs, real or imag"),
    (lambda s: ag.grad(square, has_aux=True)(s.w), T,
     r"grad: with has_aux=True the function must return \(value, aux\), not Tensor"),
    (lambda s: ag.grad(lambda x: x.numpy().sum())(s.w), R, r"numpy: this tensor requires gradients"),
    (lambda s: ag.grad(lambda x: x.add_(1).sum())(s.w), R,
     r"add_: a leaf that requires gradients cannot be changed in place"),
    (lambda s: ag.vjp(lambda x: x * 2, s.w)[1](s.v), V,
     r"vjp: the cotangent has shape \(3,\) at leaf 0, needed is \(2, 3\)"),
    (lambda s: ag.vjp(lambda x: (x, x), s.w)[1](s.w), V, r"vjp: the cotangent has 1 leaves, needed are 2"),
    (lambda s: ag.vjp(lambda x: x * 2, s.w)[1]("a"), T,
     r"vjp: the cotangent is, at leaf 0, str 'a', needed are numbers"),
    (lambda s: ag.vjp(lambda x: x * 2, s.w)[1](s.c), T,
     r"vjp: the cotangent is complex at leaf 0, where the value is real"),
    (lambda s: ag.jvp(square, (s.w,), (s.v,)), V, r"jvp: the tangent has shape \(3,\) at leaf 0, needed is \(2, 3\)"),
    (lambda s: ag.jvp(square, s.w, s.w), T, r"jvp: primals must be a tuple with one entry per argument, got Tensor"),
    (lambda s: ag.jvp(square, (s.w,), ()), V, r"jvp: the tangent has 0 leaves, needed are 1"),
    (lambda s: ag.jvp(square, (s.i,), (s.i,)), T, r"jvp: leaf 0 of the primals holds int64"),
    (lambda s: ag.jvp(lambda x: x.sum().item(), (s.w,), (s.w,)), R, r"item: inside jvp this would lose the tangent"),
    (lambda s: ag.jvp(lambda x: x.numpy(), (s.w,), (s.w,)), R, r"numpy: inside jvp this would lose the tangent"),
    (lambda s: ag.jvp(lambda x: x.sum().backward(), (s.w,), (s.w,)), R,
     r"backward: inside jvp or vmap gradients are taken by grad or vjp"),
    (lambda s: ag.jvp(lambda x: "a", (s.w,), (s.w,)), T, r"jvp: the function returned str 'a'"),
    (lambda s: ag.linearize(square, s.w)[1](s.v), V,
     r"linearize: the tangent has shape \(3,\) at leaf 0, needed is \(2, 3\)"),
    (lambda s: ag.vmap(lambda a, b: a + b)(s.v, s.u), V, r"vmap: the mapped axes have different sizes: 3, 4"),
    (lambda s: ag.vmap(square, in_dims=2)(s.v), V, r"vmap: in_dims=2, but that argument has shape \(3,\)"),
    (lambda s: ag.vmap(square, in_dims=(0, 1))(s.w), V, r"vmap: in_dims=\(0, 1\) has 2 entries for 1 values"),
    (lambda s: ag.vmap(square, in_dims=None)(s.w), V, r"vmap: no argument has an axis to map over"),
    (lambda s: ag.vmap(square, in_dims="a")(s.w), T,
     r"vmap: in_dims must be an integer, None, or a tuple of these.*got 'a'"),
    (lambda s: ag.vmap(square, out_dims=3)(s.w), V,
     r"vmap: out_dims=3, but with the mapped axis the result has 1 axes"),
    (lambda s: ag.vmap(square, out_dims=None)(s.w), V, r"vmap: out_dims=None for a result that differs over the batch"),
    (lambda s: ag.vmap(lambda x: (x, x), out_dims=(0,))(s.w), V, r"vmap: out_dims=\(0,\) has 1 entries for 2 values"),
    (lambda s: ag.vmap(square)(s.n), V, r"vmap: in_dims=0, but that argument has shape \(\); None shares it"),
    (lambda s: ag.vmap(lambda x: x.item())(s.v), R,
     r"item: inside vmap the value differs over the batch; use where\(\) or cond\(\)"),
    (lambda s: ag.vmap(lambda x: x if x > 0 else -x)(s.v), R,
     r"bool: inside vmap the value differs over the batch; use where\(\) or cond\(\)"),
    (lambda s: ag.vmap(lambda x: x.numpy())(s.w), R, r"numpy: inside vmap the value differs over the batch"),
    (lambda s: ag.vmap(lambda n: ag.repeat_interleave(ag.ones(3), n))(ag.ones((2, 3), dtype=ag.int64)), R,
     r"^repeat_interleave: repeats decide what is computed, and inside vmap they"),
    (lambda s: ag.vmap(lambda b: F.roi_align(ag.ones((1, 1, 4, 4)), [b], 2))(ag.ones((2, 1, 4))), R,
     r"^roi_align: boxes decide what is computed, and inside vmap they"),
    (lambda s: ag.vmap(lambda o: F.embedding_bag(ag.tensor([0, 1]), ag.ones((2, 2)), o))(ag.zeros((3, 2), dtype=ag.int64)), R,
     r"^embedding_bag: offsets decide what is computed, and inside vmap they"),
    (lambda s: ag.vmap(lambda n: F.ctc_loss(ag.ones((4, 2, 3)), ag.tensor([1, 1]), n, (1, 1)))(ag.full((3, 2), 4)), R,
     r"^ctc_loss: input_lengths decide what is computed, and inside vmap they"),
    (lambda s: ag.vmap(lambda x: x[x > 2])(s.w), R,
     r"getitem: a mask whose entries differ over the batch of vmap selects different numbers.*use where"),
    (lambda s: ag.vmap(lambda x: "a")(s.w), T, r"vmap: the function returned str 'a'"),
    (lambda s: ag.vmap(lambda x: x + s.u)(s.w), V, r"add: shapes do not broadcast together"),
    (lambda s: ag.vmap(lambda x: x.sum(1))(s.w), I, r"sum: dim 1 is out of range for a tensor with 1 axes"),
    (lambda s: ag.jacobian(square, mode="up"), V,
     r"jacobian: mode must be \"auto\", \"reverse\" or \"forward\", got 'up'"),
    (lambda s: ag.jacobian(square)(s.i), T, r"jacobian: leaf 0 of the arguments holds int64"),
    (lambda s: ag.hessian(lambda x: x)(s.w), V, r"hessian: the function must return one number, got shape \(2, 3\)"),
    (lambda s: ag.hvp(square, s.w, s.v), V, r"hvp: the tangent has shape \(3,\) at leaf 0, needed is \(2, 3\)"),
    (lambda s: ag.hvp(square, (s.w, s.w), (s.w,)), V, r"hvp: 2 primals but 1 tangents"),
    (lambda s: ag.ggnvp(lambda x: x, s.w, s.v), V, r"ggnvp: the tangent has shape \(3,\)"),
    (lambda s: ag.checkpoint(3, s.w), T, r"checkpoint: expected a function, got int 3"),
    (rerun(lambda x: x * x), R,
     r"checkpoint: the function kept \d arrays at first and \d when run again; it must do the same each time"),
    (rerun(lambda x: (x[:1] * x[:1]).exp()), R,
     r"checkpoint: the function kept arrays of one shape or type at first and of another when run again"),
    (rerun(fails), ZeroDivisionError, r"the user's own"),
    (lambda s: ag.cond(s.v, square, square, s.w), V,
     r"cond: pred must be one truth value, got shape \(3,\); for a choice per entry use where"),
    (lambda s: ag.cond("a", square, square, s.w), T, r"cond: pred must be a truth value, got str 'a'"),
    (lambda s: ag.cond(True, 3, square, s.w), T, r"cond: expected a function, got int 3"),
    (lambda s: ag.vmap(lambda x: ag.cond(x > 0, lambda x: (x, x), lambda x: x, x))(s.v), V,
     r"cond: under vmap both functions must return trees of one form, got 2 and 1 leaves"),
    (lambda s: ag.scan(first, 0.0), V, r"scan: needs one length, got none: give xs or length"),
    (lambda s: ag.scan(first, 0.0, s.v, length=2), V, r"scan: needs one length, got different ones: 2, 3"),
    (lambda s: ag.scan(first, 0.0, length=-1), V, r"scan: length must be a whole number, got -1"),
    (lambda s: ag.scan(lambda c, x: c, 0.0, s.v), T, r"scan: f must return \(carry, y\), got float"),
    (lambda s: ag.scan(first, 0.0, 3.0), V, r"scan: xs must have an axis to run over, got float 3\.0"),
    (lambda s: ag.scan(lambda c, x: (c, ag.zeros(int(x))), 0.0, s.v), V,
     r"scan: f must return results of one shape, got \[\(1,\)\] at first and \[\(2,\)\] in step 1"),
    (lambda s: ag.gradcheck(square, s.w), V, r"gradcheck: no input requires gradients"),
    (lambda s: ag.gradcheck(square, 3.0), T, r"gradcheck: inputs must be a Tensor or a tuple of them, got float 3\.0"),
    (lambda s: ag.gradcheck(lambda x: "a", s.x), T,
     r"gradcheck: the function must return a Tensor or several, got 'a'"),
    (lambda s: ag.gradcheck(lambda x: x.detach() * x, s.x), R,
     r"gradcheck: output 0 by input 0 .*disagrees; largest difference"),
]

CUSTOM = [
    (lambda s: ag.Function.apply(s.x), N, r"Function: a Function needs a static forward\(ctx, \.\.\.\)"),
    (through(None), N, r"Doubled: has no static backward\(ctx, \.\.\.\), so no gradient flows through it"),
    (through(lambda ctx, g: (g, g)), R, r"Doubled\.backward returned 2 gradients for 1 arguments of forward"),
    (through(lambda ctx, g: "a"), T, r"Doubled\.backward: gradient 0 is str; it must be a tensor or None"),
    (through(lambda ctx, g: g.reshape(6)), R,
     r"Doubled: its gradient rule returned shape \(6,\) for an input of shape \(2, 3\)"),
    (lambda s: function(forward=lambda ctx, x: "a").apply(s.x), T,
     r"Doubled\.forward: result 0 is str; it must return tensors"),
    (pushed(lambda ctx, t: "a"), V, r"Doubled\.jvp: tangent 0 is str; it must be a tensor of shape \(2, 3\), or None"),
    (pushed(lambda ctx, t: t[0]), V,
     r"Doubled\.jvp: tangent 0 has shape \(3,\); it must be a tensor of shape \(2, 3\)"),
    (pushed(lambda ctx, t: (t, t)), V, r"Doubled\.jvp: 2 tangents for 1 results"),
    (saved_overwritten, R,
     r"Doubled: a tensor of shape \(2, 3\) saved for backward has been changed in place since; save a clone\(\)"),
    (lambda s: ag.vmap(Doubled.apply)(ag.zeros(0, 2)), V, r"Doubled: vmap cannot tell its results from an empty batch"),
    (lambda s: ag.custom_vjp(3), T, r"custom_vjp: expected a function, got int 3"),
    (lambda s: ag.custom_jvp(3), T, r"custom_jvp: expected a function, got int 3"),
    (lambda s: ag.custom_vjp(square)(s.w), R, r"<lambda>: call defvjp\(fwd, bwd\) before using a custom_vjp function"),
    (lambda s: ag.custom_jvp(forward)(s.w), R, r"forward: call defjvp\(rule\) before using a custom_jvp function"),
    (lambda s: ag.custom_vjp(square).defvjp(good_fwd, 4), T, r"defvjp: expected a function, got int 4"),
    (by_vjp(lambda x: x * 2), T, r"twice: fwd must return \(result, what bwd needs\), got tensor"),
    (by_vjp(lambda x: ("a", x)), T, r"custom rule: returned str 'a', needed are numbers, arrays and tensors"),
    (by_vjp(good_fwd, lambda kept, g: g), T, r"twice: bwd must return a tuple of 1 gradients, got tensor"),
    (by_vjp(good_fwd, lambda kept, g: (g, g)), T, r"twice: bwd must return a tuple of 1 gradients, got \("),
    (by_vjp(good_fwd, lambda kept, g: (g[0, 0].reshape(1, 1, 1, 1).expand(4, 1, 1, 4),)), R,
     r"twice: its gradient rule returned shape \(4, 1, 1, 4\) for an input of shape \(2, 3\)"),
    (by_jvp(lambda x, t: t[0], pushforward), T, r"twice: the rule must return \(result, tangent\), got"),
    (by_jvp(lambda x, t: (x[0] * 2, t[0][0]), pushforward), V,
     r"twice\.jvp: tangent 0 has shape \(3,\); it must be a tensor of shape \(2, 3\)"),
    (by_jvp(lambda x, t: (x[0] * 2, t[0][0]), gradient), V,
     r"twice: the rule: tangent 0 has shape \(3,\); it must be a tensor of shape \(2, 3\)"),
]

DECLARING_OPS = [
    (named("op_misspelt", lambda g, xx: g), T, r"op_misspelt: a rule asks for 'xx'; it may ask for: y, x, x_shape"),
    (lambda s: ag.elementwise(np.tan, lambda z: z, name="op_misspelt"), T,
     r"op_misspelt: a rule asks for 'z'; it may ask for: y, x, x_shape"),
    (named("exp", lambda g: g), V, r"exp: an op of this name exists already; give this one another by name="),
    (named("op_much", lambda g: g, lambda g: g), T, r"op_much: 2 rules for 1 inputs; None stands for no derivative"),
    (named("op_few", lambda g: g, by=forward_of_two), T, r"op_few: 1 rules for 2 inputs"),
    (named("op_number", 3), T, r"op_number: a rule must be a function, got 3"),
    (named("op_domain", lambda g: g, samples="n m:zz"), V,
     r"samples: 'n m:zz' asks for 'zz'; there are: unit, probability"),
]

NUMPY = [
    (lambda s: np.asarray(s.x), T,
     r"np\.asarray: this tensor requires gradients, which an array would lose; use t\.detach\(\)\.numpy\(\)"),
    (lambda s: s.a.__setitem__(0, s.x[0]), T, r"np\.asarray: this tensor requires gradients"),
    (lambda s: np.copyto(s.a, s.x), T,
     r"numpy\.copyto: the result carries gradients and cannot be written into an ndarray"),
    (lambda s: np.frexp(s.x), T,
     r"numpy\.frexp is not covered for Tensor; use t\.detach\(\)\.numpy\(\) to leave the tape"),
    (lambda s: np.busday_count(s.x, s.x), T, r"numpy\.busday_count is not covered for Tensor"),
    (lambda s: np.add(s.w, s.s), V,
     r"numpy\.add: shapes do not broadcast together \(a is \(2, 3\) float32, b is \(2,\) float32\)"),
    (lambda s: np.add(s.w, "a"), T, r"numpy\.add: takes numbers"),
    (lambda s: np.invert(s.w), T, r"numpy\.invert: takes booleans and integers"),
    (lambda s: np.concatenate([s.w, s.q]), V,
     r"numpy\.concatenate: shapes may differ only along axis 0, got \(2, 3\), \(2, 2\)"),
    (lambda s: np.expand_dims(s.w, 5), I, r"numpy\.expand_dims: axis 5 is out of bounds"),
    (lambda s: np.clip(s.w, s.u, None), V, r"numpy\.clip: shapes do not broadcast together"),
    (lambda s: np.divmod(s.w, s.w, out=(s.w, s.v)), V,
     r"numpy\.divmod: a result of shape \(2, 3\) does not fit an out of shape \(3,\)"),
    (lambda s: np.divmod(s.w, s.w, out=(s.w, s.x)), R,
     r"numpy\.divmod: a leaf that requires gradients cannot be changed in place"),
    (lambda s: np.apply_along_axis(lambda row: 1 / 0, 0, s.w), ZeroDivisionError, r"division by zero"),
    (lambda s: np.apply_along_axis(lambda row: int("user"), 0, s.w), V, r"invalid literal for int"),
    (lambda s: np.sin(s.w, out=3), T, r"numpy\.sin: out must be a Tensor or an array, got int"),
    (lambda s: np.sin(s.w, out=s.v), V, r"numpy\.sin: a result of shape \(2, 3\) does not fit an out of shape \(3,\)"),
    (lambda s: np.sin(s.v, out=s.i), T,
     r"numpy\.sin: cannot store float32 in an out of int64 under casting='same_kind'"),
    (lambda s: np.sin(s.x, out=s.a), T,
     r"numpy\.sin: the result carries gradients and cannot be written into an ndarray"),
    (lambda s: np.sin(s.w, out=s.x), R, r"numpy\.sin: a leaf that requires gradients cannot be changed in place"),
    (lambda s: np.sum(s.w, axis=2), I, r"numpy\.sum: dim 2 is out of range for a tensor with 2 axes"),
    (lambda s: np.add.at(s.w, [5], 1), I, r"numpy\.add\.at: index 5 is out of range for an axis of 2 entries"),
    (lambda s: np.multiply.at(s.w, [0], 1), T, r"numpy\.multiply\.at is not covered for Tensor this way"),
    (lambda s: np.matmul(s.w, s.w), V, r"numpy\.matmul: inner dimensions differ.*did you mean a @ b\.mT\?"),
    (lambda s: np.linalg.inv(s.w), V, r"numpy\.linalg\.inv: A must be a square matrix"),
    (lambda s: np.fill_diagonal(s.x, 1), R,
     r"fill_diagonal: a leaf that requires gradients cannot be changed in place"),
    (lambda s: np.from_dlpack(s.x), BufferError,
     r"__dlpack__: a tensor that requires gradients cannot be exported; use t\.detach\(\)"),
    (lambda s: ag.vmap(np.asarray)(s.w), T, r"np\.asarray: a value inside jvp or vmap cannot become an array"),
]
# fmt: on

GROUPS = {name: cases for name, cases in globals().items() if name.isupper() and isinstance(cases, list)}
CASES = [
    pytest.param(*case, id=f"{name.lower()}-{k}") for name, cases in GROUPS.items() for k, case in enumerate(cases)
]
INTERNAL = re.compile(r"ufunc|<class|<function|object has no attribute|object is not|NoneType' object|dtypes\.")


@pytest.mark.parametrize("call, kind, message", CASES)
def test_an_error_teaches_and_changes_nothing(call, kind, message):
    ag.manual_seed(3)
    scene = Scene()
    before = scene.state()
    with np.errstate(all="ignore"), pytest.raises(kind) as caught:
        call(scene)
    line = str(caught.value).partition("\n")[0]
    assert re.match(message, line), line
    assert not INTERNAL.search(line), line
    assert scene.state() == before
    (g,) = ag.gradient(scene.y, scene.x)
    np.testing.assert_array_equal(g.numpy(), 8 * scene.x.detach().numpy())


def test_every_group_is_tried():
    assert len(GROUPS) == 16 and len(CASES) >= 150


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.w.add_(1),
        lambda s: s.v[:1].zero_(),
        lambda s: s.y.backward(retain_graph=True),
        lambda s: s.w.requires_grad_(),
        lambda s: s.h.retain_grad(),
        lambda s: s.x.register_hook(print),
        lambda s: ag.rand(1),
        lambda s: s.a.fill(0),
    ],
)
def test_a_change_would_be_noticed(change):
    scene = Scene()
    before = scene.state()
    change(scene)
    assert scene.state() != before


def test_a_gradient_that_was_refused_can_be_asked_for_again():
    scene, other = Scene(), ag.zeros(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        ag.gradient(scene.y, [scene.x, other])
    assert ag.gradient(scene.y, [scene.x, other], allow_unused=True)[1] is None


def test_both_lines_are_named_in_anomaly_mode():
    with pytest.raises(
        RuntimeError, match=r"(?s)recorded at .*in overwritten_input.*changed at .*in overwritten_input"
    ):
        overwritten_twice_named(Scene())
