"""Products of matrices and vectors: two primitives, the matrix product and the cross product, and what follows."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..kernels.matmul import DOT, LARGE, ROWWISE, SINGLE, WIDE, two, work
from ..kernels.matmul import matmul as matrix_product
from ..op import SHORTCUTS, op
from ..samples import shapes
from ..tape import state
from ..tensor import Tensor
from ..views import refresh
from ..vmap import aligned
from .arguments import afford
from .arranging import expand_dims, reshape_to
from .axes import one_axis, spelled
from .base import conj
from .math import where
from .reduce import reduce_sum

__all__ = [
    *("addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cross", "dot", "ger"),
    *("kron", "matmul", "mm", "mv", "outer", "vdot"),
]
ndarray, new = np.ndarray, object.__new__
INPLACE = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]


# --- the product of matrices -----------------------------------------------------------------------------------------


def adjoint(x: Any) -> Any:
    """The conjugate transpose of matrices."""
    return conj(x).mT if x.dtype.kind == "c" else x.mT


def rows(x: Any) -> Any:
    """A batch of matrices as one matrix: all their rows."""
    return reshape_to(x, shape=(math.prod(x.shape[:-1]), x.shape[-1])) if x.ndim > 2 else x


def _of_right(g, a, b_shape):
    """The cotangent of b; where b is one matrix for many, one product adds up what they contribute."""
    return product(adjoint(rows(a)), rows(g)) if len(b_shape) == 2 else product(adjoint(a), g)


@op(
    lambda g, b: product(g, adjoint(b)),
    _of_right,
    linear=True,
    promotes=True,
    batch=lambda size, values, batched: product(*aligned(values, batched)),
    samples="n k, k m | b n k, k m | b n k, b k m | n k, b k m | n k, b k 1 | b 1 n k, c k m "
    "| n k:complex, k m:complex | b n k, k m:complex",
    name="matmul",
)
def product(a, b):
    """The products of matrices; the leading axes broadcast."""
    if a.__class__ is ndarray and (y := two(a, b)) is not None:
        return y
    multiply = matrix_product if b.ndim > 1 and work(a, b) >= LARGE else np.matmul  # of which small ones know nothing
    if b.ndim == 2 < a.ndim:  # one large product is faster than many small ones
        y = multiply(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b)
        return y.reshape(*a.shape[:-1], b.shape[-1])
    if a.ndim == 2 < b.ndim and b.shape[-1] == 1:  # as are many columns as rows of one
        y = multiply(b.reshape(math.prod(b.shape[:-2]), b.shape[-2]), a.T)
        return y.reshape(*b.shape[:-2], len(a), 1)
    return multiply(a, b)


_recorded = SHORTCUTS[2](product.op, product)  # the usual call, of two plain tensors


def _matmul(a, b):
    """The product of matrices, of a matrix and a vector, or of two vectors; axes in front are batches and broadcast."""
    try:
        if a.ndim > 1 and b.ndim > 1:
            return _recorded(a, b)
        if a.ndim == 1 == b.ndim:
            return reshape_to(product(reshape_to(a, shape=(1, *a.shape)), expand_dims(b, axis=-1)), shape=())
        if b.ndim == 1:
            y = product(a, expand_dims(b, axis=-1))
            return reshape_to(y, shape=y.shape[:-1])
        y = product(expand_dims(a, axis=-2), b)
        return reshape_to(y, shape=(*y.shape[:-2], y.shape[-1]))
    except (ValueError, AttributeError) as error:
        raise mismatch("matmul", a, b, error) from None


_matmul.__name__ = _matmul.__qualname__ = "matmul"
_general = spelled(_matmul)


@functools.wraps(_general)
def matmul(a=None, b=None, input=None, other=None):
    if a.__class__ is b.__class__ is Tensor and input is other is None:
        if a.origin is not None:
            refresh(a)
        if b.origin is not None:
            refresh(b)
        x, y = a.value, b.value
        if a.node is b.node is state.mode is None and x.__class__ is ndarray:
            dtype = x.dtype
            if (dtype is SINGLE or dtype is WIDE) and y.dtype is dtype and x.ndim == 2 == y.ndim:
                try:  # what `two` does with small ones, which are done before it could be called
                    size = x.size * y.shape[1]
                    small = size < ROWWISE or (size < LARGE and (y.flags.c_contiguous or x.flags.f_contiguous))
                    value = x.dot(y) if small and x.size < DOT else two(x, y)
                except ValueError:
                    value = None
                if value is not None:
                    t = new(Tensor)
                    t.value = value
                    t.leaf = t.origin = t.node = None
                    return t
        return _matmul(a, b)
    names = {"a": a, "b": b, "input": input, "other": other}
    return _general(**{name: value for name, value in names.items() if value is not None})


matmul.as_method = matmul  # type: ignore[attr-defined]  # what `spelled` does for others is done


def mismatch(name: str, a: Any, b: Any, error: Exception) -> Exception:
    """The error of a product that does not fit, with what would fit if there is something."""
    if not (hasattr(a, "ndim") and hasattr(b, "ndim")):
        return TypeError(f"{name}: expected tensors or arrays, got {type(a).__name__} and {type(b).__name__}")
    a_shape, b_shape = tuple(a.shape), tuple(b.shape)
    given = f"a is {a_shape}, b is {b_shape}"
    if not a_shape or not b_shape:
        return ValueError(f"{name}: both need at least one axis, {given}; use * to multiply by a number")
    if a_shape[-1] == (b_shape[-2] if len(b_shape) > 1 else b_shape[-1]):
        try:
            np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
            return error
        except ValueError:
            return ValueError(f"{name}: the leading axes do not broadcast: {given}")
    fits = [text for text, p, q in _transposed(a_shape, b_shape) if p[-1] == q[-2 if len(q) > 1 else -1]]
    return ValueError(f"{name}: inner dimensions differ: {given}" + (f"; did you mean {fits[0]}?" if fits else ""))


def _transposed(p: tuple, q: tuple) -> list:
    """The other ways to multiply: with one of the two transposed, or in the other order."""
    flip = lambda s: (*s[:-2], s[-1], s[-2]) if len(s) > 1 else s
    ways = [("a @ b.mT", p, flip(q))] if len(q) > 1 else []
    return ways + ([("a.mT @ b", flip(p), q)] if len(p) > 1 else []) + [("b @ a", q, p)]


def _with_axes(name: str, **wanted: tuple) -> None:
    """Raise unless each argument (given with its value) has as many axes as wanted."""
    for argument, (x, ndim) in wanted.items():
        if not hasattr(x, "ndim"):
            raise TypeError(f"{name}: {argument} must be a tensor or an array, got {type(x).__name__}")
        if x.ndim != ndim:
            kind = ("a number", "a vector", "a matrix", "a batch of matrices (3 axes)")[ndim]
            raise ValueError(f"{name}: {argument} must be {kind}, got shape {tuple(x.shape)}; matmul takes any shapes")


def mm(x, mat2):
    """The product of two matrices."""
    _with_axes("mm", x=(x, 2), mat2=(mat2, 2))
    return _fitting("mm", x, mat2)


def mv(x, vec):
    """The product of a matrix and a vector."""
    _with_axes("mv", x=(x, 2), vec=(vec, 1))
    return _fitting("mv", x, vec)


def bmm(x, mat2):
    """The products of two batches of matrices, one by one."""
    _with_axes("bmm", x=(x, 3), mat2=(mat2, 3))
    if x.shape[0] != mat2.shape[0]:
        raise ValueError(
            f"bmm: batches of different lengths: x is {tuple(x.shape)}, mat2 is {tuple(mat2.shape)}; matmul broadcasts"
        )
    return _fitting("bmm", x, mat2)


def dot(x, tensor):
    """The sum of products of two vectors' entries, not conjugated."""
    _with_axes("dot", x=(x, 1), tensor=(tensor, 1))
    return _fitting("dot", x, tensor)


def vdot(x, other):
    """The inner product of two vectors; the first is conjugated."""
    _with_axes("vdot", x=(x, 1), other=(other, 1))
    return _fitting("vdot", conj(x), other)


def _fitting(name: str, a: Any, b: Any) -> Any:
    """The product, or an error in the name of the function that was called."""
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        raise mismatch(name, a, b, ValueError())
    return matmul(a, b)


def addmm(x, mat1, mat2, *, beta=1, alpha=1):
    """beta x + alpha mat1 @ mat2; with beta = 0, x is not looked at."""
    _with_axes("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return _added("addmm", x, _fitting("addmm", mat1, mat2), beta, alpha)


def addmv(x, mat, vec, *, beta=1, alpha=1):
    """beta x + alpha mat @ vec."""
    _with_axes("addmv", mat=(mat, 2), vec=(vec, 1))
    return _added("addmv", x, _fitting("addmv", mat, vec), beta, alpha)


def addr(x, vec1, vec2, *, beta=1, alpha=1):
    """beta x + alpha times the outer product of two vectors."""
    _with_axes("addr", vec1=(vec1, 1), vec2=(vec2, 1))
    return _added("addr", x, outer(vec1, vec2), beta, alpha)


def addbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """beta x + alpha times the sum of the products of two batches of matrices."""
    _with_axes("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _added("addbmm", x, reduce_sum(bmm(batch1, batch2), axis=(-3,)), beta, alpha)


def baddbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """beta x + alpha times the products of two batches of matrices."""
    _with_axes("baddbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _added("baddbmm", x, bmm(batch1, batch2), beta, alpha)


def _added(name: str, x: Any, y: Any, beta: Any, alpha: Any) -> Any:
    """beta x + alpha y, in the shape of y; what has the factor 0 is left out, infinite or NaN."""
    lead = (1,) * (len(y.shape) - len(x.shape))
    if len(x.shape) > len(y.shape) or any(n not in (1, m) for n, m in zip((*lead, *x.shape), y.shape)):
        raise ValueError(f"{name}: x of shape {tuple(x.shape)} cannot be added to a product of shape {tuple(y.shape)}")
    whole = x.dtype if x.dtype.kind in "biu" and y.dtype.kind in "biu" else None  # which it stays, as in PyTorch
    y = y if alpha == 1 else _nothing(y) if alpha == 0 else _scaled(y, alpha, whole)
    y = y - _nothing(x) if beta == 0 else (x if beta == 1 else _scaled(x, beta, whole)) + y
    return y if whole is None else y.astype(whole)


def _nothing(x: Any) -> Any:
    """Zeros that x has a part in, and so a gradient of zeros; taken away they leave even -0 as it is."""
    return where(np.False_, x, np.zeros((), x.dtype))


def _scaled(x: Any, factor: Any, whole: Any) -> Any:
    """x times a number, of which tensors of integers take the whole part."""
    return x * factor if whole is None else x * int(factor)


def outer(x, vec2):
    """All products of an entry of one vector and an entry of another."""
    _with_axes("outer", x=(x, 1), vec2=(vec2, 1))
    afford((*x.shape, *vec2.shape), x.dtype, "outer")
    return expand_dims(x, axis=-1) * vec2


ger = outer


def kron(x, other):
    """The Kronecker product: each entry of x replaced by itself times `other`."""
    rank = max(x.ndim, other.ndim)
    a, b = ((1,) * (rank - t.ndim) + tuple(t.shape) for t in (x, other))
    spread = reshape_to(x, shape=tuple(n for size in a for n in (size, 1)))
    tile = reshape_to(other, shape=tuple(n for size in b for n in (1, size)))
    return reshape_to(spread * tile, shape=tuple(m * n for m, n in zip(a, b)))


# --- the cross product -----------------------------------------------------------------------------------------------


@op(
    lambda g, b, axis: cross_product(conj(b), g, axis=axis),
    lambda g, a, axis: cross_product(g, conj(a), axis=axis),
    linear=True,
    promotes=True,
    batch=lambda size, values, batched, axis: cross_product(*aligned(values, batched), axis=axis),
    samples=[
        shapes("n 3, n 3 | n 3, 1 3 | 3, 3 | 3:complex, 3:complex", axis=[-1]),
        shapes("n 3 m, n 3 m | 3 1, 3 m", axis=[-2]),
    ],
    name="cross",
)
def cross_product(a, b, *, axis):
    """The cross product of vectors along an axis."""
    at = lambda x, k: x[(..., k, *(slice(None),) * (-axis - 1))]
    parts = [at(a, i) * at(b, j) - at(a, j) * at(b, i) for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.stack(parts, axis)


def cross(x, other, dim=None):
    """The cross product along `dim`, by default the first axis of length 3."""
    if dim is None:
        dim = next((k for k, n in enumerate(x.shape) if n == 3), None)
        if dim is None:
            raise ValueError(f"cross: no axis of x has length 3, its shape is {tuple(x.shape)}")
        dim -= x.ndim
    return crossed(x, other, dim)


def crossed(x: Any, other: Any, dim: int) -> Any:
    """The cross product along one axis, counted alike in both."""
    if x.ndim != other.ndim:
        raise ValueError(
            f"cross: both need the same number of axes, x is {tuple(x.shape)}, other is {tuple(other.shape)}"
        )
    axis = one_axis(x.ndim, dim, "cross")
    if x.ndim == 0 or x.shape[axis] != 3 or other.shape[axis] != 3:
        raise ValueError(f"cross: axis {dim} must have length 3, x is {tuple(x.shape)}, other is {tuple(other.shape)}")
    return cross_product(x, other, axis=axis)
