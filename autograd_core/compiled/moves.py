"""How calls are written that only move entries: as copies of arrays, or of pieces of them, into place."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from ..kernels import copying
from ..kernels._threads import ADDRESS as POOL
from .emit import Source, emitter
from .program import Array, Call, in_order


@emitter("reshape", "compact", "clone")
def whole(source: Source, call: Call) -> str | None:
    """The same entries, in order."""
    x, y = call.args[0], call.results[0]
    if x.shape != y.shape:
        y = y._replace(shape=x.shape, strides=in_order(x)) if y.contiguous else None
    return y and moved(source, x, y)


@emitter("cat")
def cat(source: Source, call: Call) -> str:
    """Arrays side by side."""
    y, axis = call.results[0], call.params["axis"]
    ends = list(accumulate(x.shape[axis] for x in call.args))
    return "; ".join(
        moved(source, x, part(y, axis, end - x.shape[axis], x.shape[axis])) for x, end in zip(call.args, ends)
    )


@emitter("stack")
def stack(source: Source, call: Call) -> str:
    """Arrays along a new axis."""
    y, axis = call.results[0], call.params["axis"]
    axis %= len(y.shape)
    places = (part(y, axis, k, 1) for k in range(len(call.args)))
    without = lambda values: values[:axis] + values[axis + 1 :]
    flat = (a._replace(shape=without(a.shape), strides=without(a.strides)) for a in places)
    return "; ".join(moved(source, x, a) for x, a in zip(call.args, flat))


@emitter("put_block")
def put_block(source: Source, call: Call) -> str:
    """Zeros with a block of entries."""
    x, y = call.args[0], call.results[0]
    like = np.lib.stride_tricks.as_strided(np.empty(1, y.dtype), y.shape, y.strides)
    block = like[(*call.params["index"], ...) if ... not in call.params["index"] else call.params["index"]]
    begin = block.__array_interface__["data"][0] - like.__array_interface__["data"][0]
    block = y._replace(offset=y.offset + begin, shape=block.shape, strides=block.strides)
    return f"{source.array(y)}.fill(0); {moved(source, x, block)}"


def part(a: Array, axis: int, begin: int, count: int) -> Array:
    """Some of an axis."""
    axis %= len(a.shape)
    shape = (*a.shape[:axis], count, *a.shape[axis + 1 :])
    return a._replace(offset=a.offset + begin * a.strides[axis], shape=shape)


def moved(source: Source, x: Array, y: Array) -> str:
    """One copy, by a kernel if y lies in order."""
    kernels = copying.KERNELS.get(x.dtype.itemsize) if x.dtype == y.dtype and x.dtype.kind in "fiu" else None
    if kernels and y.contiguous and x.size and x.shape == y.shape and x.aligned:
        name = lambda kernel: source.name(kernel.build().func, "copy_")
        if way := copying.rows(x):
            return f"{name(kernels[0])}({POOL}, {source.address(x)}, {source.address(y)}, {x.size}, {', '.join(map(str, way))})"
        if lies := copying.turned(x.shape, x.strides, x.itemsize):
            given = f"{source.address(x)}, {source.address(y)}, {id(source.kept(lies[0]))}"
            return f"{name(kernels[1])}({POOL}, {given}, {', '.join(map(str, lies[1:]))})"
    return f"{source.name(np.copyto, 'copy')}({source.array(y)}, {source.array(x)}, casting='unsafe')"
