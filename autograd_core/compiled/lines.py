"""How calls are written that are one kernel's: each writes into the array that its result has in the plan."""

from __future__ import annotations

import numpy as np

from ..kernels import matmul as products
from ..kernels import nest, reduce
from ..kernels._jit import COMPILED
from ..kernels._products import PACKED
from ..kernels._threads import ADDRESS as POOL
from .emit import emitter
from .program import Array, Call
from .rows import Line, Row

FLOATS = {np.dtype("f"), np.dtype("d")}
TINY = 1 << 13  # products of entries that cost less than the way to another library


@emitter("fused")
def loop(call: Call) -> list:
    """One loop for many calls."""
    described, rows, columns = (call.settings[n] for n in ("nest", "rows", "columns"))
    args = [flat(a) if kind in (nest.CYCLE, nest.GROUP) else a for a, (kind, _) in zip(call.args, described.operands)]
    return [Row(nest.nest(described), (POOL, rows, nest.grain_of(rows, columns), columns, *args, *call.results))]


def flat(a: Array) -> Array:
    """All entries of an array in order as a vector."""
    return a._replace(shape=(a.size,), strides=(a.dtype.itemsize,))


@emitter("matmul")
def matmul(call: Call) -> list | None:
    """a @ b for two matrices, or for one and many rows or columns."""
    (a, b), c = call.args, call.results[0]
    if not (isinstance(a, Array) and isinstance(b, Array)):
        return None
    if len(b.shape) == 2 < len(a.shape) and a.contiguous and c.contiguous:
        a, c = as_matrix(a), as_matrix(c)
    elif len(a.shape) == 2 < len(b.shape) and b.shape[-1] == 1 and b.contiguous and c.contiguous:
        a, b, c = as_matrix(columns(b)), transposed(a), as_matrix(columns(c))
    return product(a, b, c, None, 0)


def product(a: Array, b: Array, c: Array, bias: Array | None, activation: int) -> list | None:
    """c = a @ b, by whom `matmul.two` would take, or by ours where the way to another costs more than the product."""
    if len(a.shape) != 2 or len(b.shape) != 2 or a.dtype not in FLOATS or {a.dtype, b.dtype, c.dtype} != {a.dtype}:
        return None
    (m, k), n = a.shape, b.shape[1]
    size = m * k * n
    if not size:
        return None
    fit = COMPILED and steps(a) and steps(b) and c.contiguous and (bias is None or bias.contiguous)
    narrow = m < products.FEW or n < products.FEW or (k >= products.PARTED and m * n <= products.SQUARE)
    rowwise = size >= products.ROWWISE and m >= products.SIDE <= n and a.contiguous and transposed(b).contiguous
    if fit and (size <= TINY or (rowwise or size >= products.LARGE) and size < PACKED and not narrow):
        code = products._codes.get(a.dtype) or products._code(a.dtype)
        return [Row(products.product, (POOL, code, a, b, c, bias, activation))]
    if size < products.LARGE and not (n == 1 == m) and bias is None and c.contiguous:
        return [Line("{}({}, {}, {})", (np.dot, a, b, c))]
    return None


def steps(a: Array) -> bool:
    """Whether entries are whole steps apart, as kernels count."""
    return all(s % a.dtype.itemsize == 0 and s >= 0 for s in a.strides)


@emitter("linear_product")
def linear_product(call: Call) -> list | None:
    """Rows times the rows of a weight."""
    x, w = call.args
    return flat_product(x, w, call.results[0], None, 0)


@emitter("linear")
def linear(call: Call) -> list | None:
    """The same with a bias."""
    x, w, bias = call.args
    return flat_product(x, w, call.results[0], bias, call.settings.get("activation", 0))


def flat_product(x: Array, w: Array, y: Array, bias: Array | None, activation: int) -> list | None:
    """All rows of x in one matrix."""
    if not isinstance(x, Array) or not isinstance(w, Array) or len(w.shape) != 2:
        return None
    if len(x.shape) != 2:
        if not (x.contiguous and y.contiguous):
            return None
        x, y = as_matrix(x), as_matrix(y)
    return product(x, transposed(w), y, bias, activation)


def as_matrix(a: Array) -> Array:
    """An array in order as rows of its last axis."""
    n, size = a.shape[-1], a.dtype.itemsize
    return a._replace(shape=(a.size // n if n else 0, n), strides=(n * size, size))


def columns(a: Array) -> Array:
    """Matrices of one column as vectors."""
    return a._replace(shape=a.shape[:-1], strides=a.strides[:-1])


def transposed(a: Array) -> Array:
    """A matrix turned."""
    return a._replace(shape=a.shape[::-1], strides=a.strides[::-1])


@emitter("sum", "mean")
def total(call: Call) -> list | None:
    """Sums along axes that lie together."""
    x, y, axis = call.args[0], call.results[0], call.params["axis"]
    seen = x.contiguous and y.contiguous and axis and reduce.view(x.shape, axis, call.params.get("keepdims", False))
    if not COMPILED or not seen or x.dtype not in FLOATS or not x.size:
        return None
    kernel = reduce.SUMS.of(np.dtype(x.dtype.char))[seen[2] != 1]
    return [Row(kernel, (POOL, x, y, *seen[:3], 1.0, float(seen[1] if call.op.name == "mean" else 1)))]
