"""How calls are written that need no new memory: each writes into the array that its result has in the plan."""

from __future__ import annotations

import numpy as np

from ..kernels import cross_entropy, nest, reduce
from ..kernels import matmul as products
from ..kernels._products import PACKED
from ..kernels._threads import ADDRESS as POOL
from ..kernels.direct import direct
from .emit import Source, emitter
from .program import Array, Call

FLOATS = {np.dtype("f"), np.dtype("d")}


@emitter("fused")
def loop(source: Source, call: Call) -> str:
    """One loop for many calls."""
    described, rows, columns = (call.settings[n] for n in ("nest", "rows", "columns"))
    kernel = source.name(nest.nest(described).build().func, "loop")
    args = [flat(a) if kind == nest.CYCLE else a for a, (kind, _) in zip(call.args, described.operands)]
    places = ", ".join(map(source.address, (*args, *call.results)))
    return f"{kernel}({POOL}, {rows}, {nest.grain_of(rows, columns)}, {columns}, {places})"


def flat(a: Array) -> Array:
    """All entries of an array in order as a vector."""
    return a._replace(shape=(a.size,), strides=(a.dtype.itemsize,))


@emitter("matmul")
def matmul(source: Source, call: Call) -> str | None:
    """a @ b for two matrices."""
    a, b = call.args
    if not isinstance(a, Array) or not isinstance(b, Array):
        return None
    return product(source, a, b, call.results[0], None, 0)


def product(source: Source, a: Array, b: Array, c: Array, bias: Array | None, activation: int) -> str | None:
    """c = a @ b, by whom `matmul.two` would take."""
    if len(a.shape) != 2 or len(b.shape) != 2 or a.dtype not in FLOATS or {a.dtype, b.dtype, c.dtype} != {a.dtype}:
        return None
    (m, k), n = a.shape, b.shape[1]
    if not m * n * k:
        return None
    if m * k * n < products.LARGE and not (n == 1 == m) and bias is None and c.contiguous:
        return f"{source.name(np.dot, 'dot')}({source.array(a)}, {source.array(b)}, {source.array(c)})"
    narrow = m < products.FEW or n < products.FEW or (k >= products.PARTED and m * n <= products.SQUARE)
    if narrow or m * n * k >= PACKED or not (steps(a) and steps(b)) or m * k * n < products.LARGE:
        return None
    code = products._codes.get(a.dtype) or products._code(a.dtype)
    kernel = source.name(products.product.build().func, "product")
    finish = f"{'0' if bias is None else source.address(bias)}, {activation}"
    places = ", ".join(map(source.address, (a, b, c)))
    return f"{kernel}({POOL}, {code}, {places}, {finish})"


def steps(a: Array) -> bool:
    """Whether entries are whole steps apart, as kernels count."""
    return all(s % a.dtype.itemsize == 0 and s >= 0 for s in a.strides)


@emitter("linear_product")
def linear_product(source: Source, call: Call) -> str | None:
    """Rows times the rows of a weight."""
    x, w = call.args
    return flat_product(source, x, w, call.results[0], None, 0)


@emitter("linear")
def linear(source: Source, call: Call) -> str | None:
    """The same with a bias."""
    x, w, bias = call.args
    return flat_product(source, x, w, call.results[0], bias, call.settings.get("activation", 0))


def flat_product(source: Source, x: Array, w: Array, y: Array, bias: Array | None, activation: int) -> str | None:
    """All rows of x in one matrix."""
    if not isinstance(x, Array) or not isinstance(w, Array) or len(w.shape) != 2:
        return None
    if len(x.shape) != 2:
        if not (x.contiguous and y.contiguous):
            return None
        x, y = as_matrix(x), as_matrix(y)
    return product(source, x, transposed(w), y, bias, activation)


def as_matrix(a: Array) -> Array:
    """An array in order as rows of its last axis."""
    n, size = a.shape[-1], a.dtype.itemsize
    return a._replace(shape=(a.size // n if n else 0, n), strides=(n * size, size))


def transposed(a: Array) -> Array:
    """A matrix turned."""
    return a._replace(shape=a.shape[::-1], strides=a.strides[::-1])


@emitter("sum", "mean")
def total(source: Source, call: Call) -> str | None:
    """Sums along axes that lie together."""
    x, y, axis = call.args[0], call.results[0], call.params["axis"]
    seen = x.contiguous and y.contiguous and axis and reduce.view(x.shape, axis, call.params.get("keepdims", False))
    if not seen or x.dtype not in FLOATS or not x.size:
        return None
    return reduced(source, reduce.SUMS, x, y, seen[:3], seen[1] if call.op.name == "mean" else 1.0)


def reduced(source: Source, way: reduce.Way, x: Array, y: Array, dims: tuple, divisor: float) -> str:
    """The call of a reduction's kernel."""
    kernel = source.name(way.of(np.dtype(x.dtype.char)).build().func, "reduce")
    sizes = ", ".join(map(str, dims))
    return f"{kernel}({POOL}, {source.address(x)}, {source.address(y)}, {sizes}, 1.0, {float(divisor)})"


def code(a: Array) -> str:
    """The type of an array and its number of axes, as `direct` takes them."""
    return f"{a.dtype.char}{len(a.shape)}"


def rates(call: Call, n: int) -> tuple:
    """What of a target its class has, and what every class."""
    smoothing = call.params["smoothing"]
    return call.params["ignored"], float(1 - smoothing), float(smoothing / n)


def weights(source: Source, given: tuple, dtype: np.dtype) -> str:
    """The record of the weights of classes, or of none."""
    if given:
        return source.address(given[0])
    nothing = cross_entropy.NOTHING[dtype.char]
    source.name(nothing)
    return str(id(nothing))


def usual(*arrays: object) -> bool:
    """Whether these are arrays in order."""
    return all(isinstance(a, Array) and a.contiguous for a in arrays)


@emitter("cross_entropy_of")
def cross_entropy_of(source: Source, call: Call) -> str | None:
    """The loss of few rows, in one call."""
    x, target, *weight = call.args
    how = cross_entropy.HOW[call.params["reduction"]]
    few = usual(x, target, *weight) and len(x.shape) == 2 and 0 < x.size <= 2 * cross_entropy.GRAIN
    if (
        not how
        or not few
        or x.dtype not in FLOATS
        or target.dtype != np.int64
        or {x.dtype, *types(weight)} != {x.dtype}
    ):
        return None
    kernel = direct(cross_entropy.cross_entropy_at_once, "f2 l1 f1 i d d i f0 f1 f0".replace("f", x.dtype.char))
    loss, lse, total = map(source.address, call.results)
    given = (
        source.address(x),
        source.address(target),
        weights(source, tuple(weight), x.dtype),
        *rates(call, x.shape[1]),
    )
    run = f"{source.name(kernel.build().func, 'cross_entropy')}({', '.join(map(str, given))}, {how}, {loss}, {lse}, {total})"
    check = source.name(cross_entropy.refuse_at, "refuse_at")
    return f"if bad := {run}: {check}({source.array(target)}, bad, {x.shape[1]})"


@emitter("cross_entropy_pull")
def cross_entropy_pull(source: Source, call: Call) -> str | None:
    """The gradient of the loss by the scores."""
    c, x, lse, target, *weight = call.args
    if not usual(c, x, lse, target, *weight) or len(x.shape) != 2 or not x.size or x.dtype not in FLOATS:
        return None
    if target.dtype != np.int64 or types([c, x, lse, *weight]) != {x.dtype}:
        return None
    kernel = direct(cross_entropy.cross_entropy_rows_pull, "f1 f2 f1 l1 f1 i d d i f2".replace("f", x.dtype.char))
    c = flat(c)
    places = ", ".join(map(source.address, (c, x, lse, target)))
    scalars = ", ".join(map(str, rates(call, x.shape[1])))
    name, grain = source.name(kernel.build().func, "cross_entropy_pull"), cross_entropy.GRAIN // x.shape[1] + 1
    weight_at, out = weights(source, tuple(weight), x.dtype), source.address(call.results[0])
    return f"{name}({POOL}, {x.shape[0]}, {grain}, {places}, {weight_at}, {scalars}, {int(call.params['hit'])}, {out})"


def types(arrays: list) -> set:
    """The types of arrays."""
    return {a.dtype for a in arrays}
