"""What NumPy's functions are given: traced values, arrays and nests of them, in the type that NumPy gives them."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..forward import Dual
from ..op import REGISTRY, Traced
from ..ops import PUBLIC
from ..ops.arguments import innermost_of
from ..tensor import Tensor, at
from ..vmap import Batched

F = SimpleNamespace(**PUBLIC)
NUMBERS = (int, float, complex)


# --- types -----------------------------------------------------------------------------------------------------------


def traced_in(x: Any) -> bool:
    """Whether x is a traced value or a nest of lists with one in it."""
    return isinstance(x, Traced) or isinstance(x, (list, tuple)) and any(map(traced_in, x))


def operand(x: Any) -> Any:
    """x as a traced value or an array; lists with traced values in them are stacked."""
    if isinstance(x, (Traced, np.ndarray)):
        return x
    return F.stack(common(*x), 0) if traced_in(x) else np.asarray(x)


def cast(x: Any, dtype: Any) -> Any:
    """x as a traced value or an array of that type."""
    x = x if isinstance(x, (Traced, np.ndarray)) else np.asarray(x, dtype)
    return x if x.dtype == dtype else x.astype(np.dtype(dtype))


def common(*xs: Any, dtype: Any = None) -> list:
    """Operands in the type that NumPy gives their combination."""
    xs = tuple(map(operand, xs))
    dtype = dtype or np.result_type(*[x.dtype for x in xs])
    return [cast(x, dtype) for x in xs]


def yielding(*xs: Any) -> list:
    """The same where Python numbers have little say in the type, as in ufuncs."""
    xs = tuple(x if type(x) in NUMBERS else operand(x) for x in xs)
    dtype = np.result_type(*[x if type(x) in NUMBERS else x.dtype for x in xs])
    return [cast(x, dtype) for x in xs]


def inexact(x: Any) -> Any:
    """x as an operand, with integers turned into float64 as NumPy does."""
    x = operand(x)
    return x if x.dtype.kind in "fc" else x.astype(np.dtype("float64"))


def truth(condition: Any) -> Any:
    condition = operand(condition)
    return condition if condition.dtype == bool else condition != 0


@functools.cache
def type_from(function: Any, *dtypes: np.dtype) -> np.dtype:
    """The type NumPy gives the result of a function of arrays of these types."""
    return function(*[np.ones(1, d) for d in dtypes]).dtype


# --- values behind ---------------------------------------------------------------------------------------------------


class Unseen(TypeError):
    """A decision about a shape or a branch needs values that differ from member to member of a batch."""


def plain(x: Any) -> Any:
    """The array of values behind x, for decisions about shapes and branches."""
    while isinstance(x, Traced):
        if isinstance(x, Batched):
            raise Unseen("its result depends on values in a way that differs from member to member under vmap")
        x = innermost_of(x) if isinstance(x, Tensor) else x.x
    return np.asarray([plain(v) for v in x]) if traced_in(x) else np.asarray(x)


def constant(x: Any, what: str) -> np.ndarray:
    """The values of an argument that NumPy functions are not differentiated by."""
    if isinstance(x, Dual) or isinstance(x, Tensor) and x.requires_grad:
        raise TypeError(f"{what} cannot be differentiated; give it without gradients: t.detach()")
    return plain(x)


def stand_in(x: Any) -> Any:
    """An array of the shape and type of a traced value, for questions about these."""
    if isinstance(x, Traced):
        return np.broadcast_to(np.zeros((), x.dtype), x.shape)
    return list(map(stand_in, x)) if traced_in(x) else x


def needs_grad(x: Any) -> bool:
    """Whether x carries derivatives that an array could not hold."""
    if isinstance(x, (list, tuple)):
        return any(map(needs_grad, x))
    return isinstance(x, (Dual, Batched)) or isinstance(x, Tensor) and (x.requires_grad or isinstance(x.value, Traced))


# --- entries ---------------------------------------------------------------------------------------------------------


def store(target: Any, value: Any, name: str) -> Any:
    """Write a result into what the user gave as `out` or to be changed in place."""
    if isinstance(target, Traced):
        target.write(value, name)
    elif needs_grad(value):
        raise TypeError(
            f"{name}: the result carries gradients and cannot be written into an ndarray; "
            "assign it to a name (a = a + t), make the target a Tensor, or use t.detach()"
        )
    else:
        REGISTRY["overwrite"].call(target, value)
    return target


def spread(x: Any, shape: tuple) -> Any:
    return REGISTRY["broadcast_to"].call(operand(x), shape=tuple(shape))


def pick(x: Any, index: Any, axis: int = 0) -> Any:
    """The entries along an axis (not negative) that an integer array, mask or slice names."""
    key = (slice(None),) * axis + (index,)
    return at(x)[key] if traced_in(key) and not isinstance(x, Traced) else x[key]


def along_axis(x: Any, axis: int, key: slice) -> tuple:
    """The index that applies a slice to one axis."""
    return (slice(None),) * normalize_axis_index(axis, x.ndim) + (key,)


def cut(x: Any, axis: int, start: int | None, stop: int | None = None) -> Any:
    """The entries from start to stop along an axis."""
    return x[along_axis(x, axis, slice(start, stop))]


def rows(x: Any) -> list:
    """The members of a sequence, or of an array along its first axis."""
    return [x[i] for i in range(x.shape[0])] if isinstance(x, (Traced, np.ndarray)) else list(x)


def fill(x: Any, mask: Any, value: Any) -> Any:
    """x with `value` where the mask is true."""
    return F.where(mask, np.asarray(value, x.dtype), x)


def merged(x: Any, axis: Any) -> tuple[Any, tuple]:
    """x with some axes (None: all) made into one last axis; and the shape in which these have length one."""
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim) if x.ndim else ()
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    x_shape = tuple(x.shape)
    if rest + axes != tuple(range(x.ndim)):
        x = F.permute(x, rest + axes)
    length = math.prod(x_shape[i] for i in axes)
    x = x.reshape((*(x_shape[i] for i in rest), length))
    return x, tuple(1 if i in axes else n for i, n in enumerate(x_shape))
