"""Linear and bilinear layers: products of rows with a matrix of weights, and a bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels.matmul import LARGE, ROWWISE, matmul_reference, rowwise
from ..kernels.matmul import matmul as matrix_product
from ..op import op
from ..vmap import aligned
from .arranging import expand_dims, reshape_to
from .base import conj
from .contractions import contract
from .products import matmul, product

__all__ = ["bilinear"]


def rows(x: Any) -> Any:
    """All rows of a batch as one matrix; a vector is one row."""
    return x if x.ndim == 2 else reshape_to(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _of_input(g, weight, input_shape):
    y = product(rows(g), conj(weight))
    return y if g.ndim == 2 else reshape_to(y, shape=input_shape)  # a view, which backward would copy


def _of_weight(g, input):
    return product(rows(g).mT, rows(conj(input)))


def _one_by_one(values: list, batched: list) -> Any:
    """A batch of weights: products with leading axes."""
    x, w, *bias = values
    if not batched[1] and not any(batched[2:]):
        return product_with(x, w) if not bias else affine(x, w, *bias)
    single = x.ndim - batched[0] == 1
    x, w = aligned([expand_dims(x, axis=-2) if single else x, w.mT], batched[:2])
    y = product(x, w)
    if bias:
        terms = aligned([y, bias[0]], [batched[0] or batched[1], batched[2]])
        y = terms[0] + terms[1]
    return reshape_to(y, shape=(*y.shape[:-2], y.shape[-1])) if single else y


_SAMPLES = "k, n k | m k, n k | b m k, n k | m k:complex, n k:complex"


@op(
    _of_input,
    _of_weight,
    linear=True,
    promotes=True,
    batch=lambda size, values, batched: _one_by_one(values, batched),
    samples=_SAMPLES,
    name="linear_product",
)
def product_with(input, weight):
    """The rows of input times the rows of weight: (..., k), (n, k) to (..., n)."""
    return _affine(input, weight, None)


def _tangent(tangents, y, input, weight, bias):
    t_input, t_weight, t_bias = tangents
    terms = [product_with(t_input, weight)] if t_input is not None else []
    terms += [product_with(input, t_weight)] if t_weight is not None else []
    terms += [t_bias + np.zeros(y.shape, y.dtype)] if t_bias is not None else []
    return terms[0] if len(terms) == 1 else terms[0] + terms[1] if len(terms) == 2 else terms[0] + terms[1] + terms[2]


@op(
    _of_input,
    _of_weight,
    lambda g: g,
    promotes=True,
    jvp=_tangent,
    batch=lambda size, values, batched: _one_by_one(values, batched),
    samples="k, n k, n | m k, n k, n | b m k, n k, n | m k:complex, n k:complex, n:complex",
    name="linear",
)
def affine(input, weight, bias):
    """The rows of input times the rows of weight, plus bias: (..., k), (n, k), (n) to (..., n)."""
    return _affine(input, weight, bias)


def _affine(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """One product for all rows, to which the bias is added as it is written."""
    a, b = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), w.T
    count = a.size * len(w)
    small = matrix_product.compiled if count >= ROWWISE and rowwise(a, b) else matmul_reference
    y = (matrix_product if count >= LARGE else small)(a, b, bias)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(w))


def linear(input, weight, bias=None):
    """input @ weight.T + bias: input (..., in), weight (out, in) or (in), bias (out) or one for all, to (..., out)."""
    _check(input, weight, bias)
    if weight.ndim == 1:
        y = matmul(input, weight)
        return y if bias is None else y + bias
    if bias is None:
        return product_with(input, weight)
    whole = bias.ndim and bias.shape[0] == weight.shape[0]
    return affine(input, weight, bias) if whole else product_with(input, weight) + bias


def _check(x: Any, w: Any, bias: Any) -> None:
    """Raise if shapes do not fit."""
    given, sizes = getattr(x, "shape", ()), getattr(w, "shape", ())
    if len(sizes) == 2 and given and given[-1] == sizes[1] and (bias is None or getattr(bias, "shape", 0) == sizes[:1]):
        return  # as nearly always
    for name, value in (("input", x), ("weight", w)):
        if not hasattr(value, "ndim"):
            raise TypeError(f"linear: {name} must be a tensor or an array, got {type(value).__name__}")
    if not 1 <= w.ndim <= 2:
        raise ValueError(f"linear: weight must be (out, in) or (in), got shape {tuple(w.shape)}; bmm takes batches")
    if x.ndim < 1 or x.shape[-1] != w.shape[-1]:
        hint = _hint(tuple(x.shape), tuple(w.shape))
        raise ValueError(
            f"linear: input is {tuple(x.shape)}, weight is {tuple(w.shape)}: both last axes must have the same "
            f"length, weight is (out features, in features){hint}"
        )
    if bias is not None and (
        not hasattr(bias, "ndim") or tuple(bias.shape) not in ((), (1,) * (w.ndim - 1), tuple(w.shape[:-1]))
    ):
        given = f"shape {tuple(bias.shape)}" if hasattr(bias, "shape") else type(bias).__name__
        raise ValueError(f"linear: bias must have one entry for each row of weight, {tuple(w.shape[:-1])}, got {given}")


def _hint(x: tuple, w: tuple) -> str:
    """What is likely wrong where the last axis of an input is not that of a weight."""
    features = math.prod(x[1:])
    if features == w[-1]:
        return "; input.flatten(1) would fit"
    if len(x) == 4:
        return f"; if images are meant, flatten(1) makes ({x[0]}, {features}) of them: in_features would be {features}"
    if x and len(w) == 2 and x[-1] == w[0]:
        return "; are in_features and out_features swapped, or is weight.T meant?"
    return f"; in_features would have to be {x[-1]}" if x and len(w) == 2 else ""


def bilinear(input1, input2, weight, bias=None):
    """x1 W[o] x2 + bias[o]: input1 (..., in1), input2 (..., in2), weight (out, in1, in2), bias (out), to (..., out)."""
    if weight.ndim != 3 or not (input1.ndim and input2.ndim):
        raise ValueError(f"bilinear: weight must be (out, in1, in2), got shape {tuple(weight.shape)}")
    lead = tuple(input1.shape[:-1])
    if (input1.shape[-1], input2.shape[-1]) != tuple(weight.shape[1:]) or lead != tuple(input2.shape[:-1]):
        raise ValueError(
            f"bilinear: input1 is {tuple(input1.shape)}, input2 is {tuple(input2.shape)}, weight is "
            f"{tuple(weight.shape)}; needs (..., in1), (..., in2) with the same leading axes, and (out, in1, in2)"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(f"bilinear: bias must have shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    y = contract(rows(input1), weight, rows(input2), spec="ni,oij,nj->no")
    y = reshape_to(y, shape=(*lead, weight.shape[0]))
    return y if bias is None else y + bias
