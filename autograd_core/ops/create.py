"""Creation: tensors from data, from sizes, and from formulas.

Everything here ends in `made`, which tells whoever watches the thread that a constant came into being, or in `_of_data`,
which tells a capture: it must give each replay a fresh copy of it, for a later step may change it in place.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import as_dtype, default_complex, get_default_dtype, promote_types
from ..errors import called, of_another_library
from ..kernels._memory import lined_up
from ..op import Traced, op
from ..tape import current, observe, state
from ..tensor import Tensor, at
from .arguments import afford
from .arranging import reshape_to, stack_along
from .base import clone, filled
from .shape import spread_view

__all__ = [
    "arange", "as_tensor", "asarray", "bartlett_window", "blackman_window", "device", "empty", "empty_like", "eye",
    "from_numpy", "full", "full_like", "hamming_window", "hann_window", "kaiser_window", "linspace", "logspace",
    "meshgrid", "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros", "ones", "ones_like", "tensor",
    "tril_indices", "triu_indices", "zeros", "zeros_like",
]  # fmt: skip


class device(str):
    """Where a tensor lives.  There is one place: the string "cpu", with PyTorch's attributes."""

    __slots__ = ()
    type = "cpu"
    index = None  # type: ignore[assignment]  # of several devices of a type, not of a letter

    def __new__(cls, type: Any = "cpu", index: int | None = None):
        if str(type) not in ("cpu", "cpu:0") or index not in (None, 0):
            raise ValueError(f'device: {str(type)!r} is not known; there is only "cpu"')
        return super().__new__(cls, "cpu")

    def __repr__(self):
        return "device(type='cpu')"


CPU = device()


def as_device(where: Any, name: str) -> device:
    """The device a user means by `device=`, or an error: there is only "cpu"."""
    if where is not None and str(where) not in ("cpu", "cpu:0"):
        raise ValueError(f'{name}: device {str(where)!r} is not known; tensors live on "cpu" here; leave device= out')
    return CPU


# --- what every function here does to its arguments and its result ---------------------------------------------------


def made(array: np.ndarray, requires_grad: bool, where: Any, name: str) -> Tensor:
    """The tensor of a new array, which asks for gradients if told to."""
    if where is not None:
        as_device(where, name)
    t = at(array)
    if requires_grad:
        ask_gradients(t, name)
    if state.mode is not None and state.mode.observers:
        observe(clone.op, (array.copy(),), {}, t)
    return t


def ask_gradients(t: Any, name: str) -> Any:
    """Make a tensor a leaf that gradients arrive at."""
    require_differentiable(t.dtype, name)
    t.requires_grad = True
    return t


def require_differentiable(dtype: np.dtype, name: str) -> None:
    """Refuse gradients of whole numbers."""
    if dtype.kind not in "fc":
        raise TypeError(f"{name}: only floating-point and complex tensors have gradients, not {dtype}; use a float")


def float_type(dtype: Any, name: str, kinds: str = "fc") -> np.dtype:
    """The type asked for, by default the default type; it must hold fractions."""
    if dtype is None:
        return get_default_dtype()
    if (dtype := as_dtype(dtype)).kind not in kinds:
        raise TypeError(f"{name}: needs a floating-point dtype, got {dtype}")
    return dtype


def as_size(sizes: tuple, size: Any, dtype: np.dtype, name: str) -> tuple[int, ...]:
    """Sizes given one by one, as one sequence, or as `size=`; negative and absurd ones are refused."""
    if size is not None:
        sizes = (size,)
    if len(sizes) == 1 and sizes[0].__class__ is not int and not _is_number(sizes[0]):
        sizes = sizes[0]
    elif not sizes:
        raise TypeError(f"{name}: needs sizes, as in {name}(2, 3) or {name}((2, 3)); {name}(()) makes a single number")
    elif sizes[0].__class__ in (tuple, list):
        raise TypeError(f"{name}: after the size {sizes[0]} only keywords may follow; is it dtype={sizes[1]!r:.40}?")
    shape = tuple([n if n.__class__ is int else _length(n, name) for n in sizes])
    for n in shape:
        if n < 0:
            raise ValueError(f"{name}: sizes cannot be negative, got {shape}")
    afford(shape, dtype, name)
    if len(shape) > 64:
        raise ValueError(f"{name}: a tensor has at most 64 axes, got {len(shape)}")
    return shape


def _is_number(x: Any) -> bool:
    """Whether this is one size and not a sequence of them."""
    return not hasattr(x, "__iter__") or getattr(x, "ndim", 1) == 0


def _length(n: Any, name: str) -> int:
    """One size."""
    try:
        if n.__class__ is not bool:
            return operator.index(n)
    except TypeError:
        pass
    hint = "; give the type as dtype=..." if isinstance(n, (type, np.dtype)) else ""  # NumPy takes it there
    raise TypeError(f"{name}: sizes must be integers, got {n!r:.60}{hint}") from None


def stored(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """Python's numbers as another type, if that type holds them."""
    if array.dtype.kind == "c" and dtype.kind not in "cb":
        raise TypeError(f"{name}: complex numbers do not fit {dtype}; take .real or give dtype=ag.complex64")
    if dtype.kind in "iu" and array.dtype != dtype and array.dtype.kind != "b":
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        fits = (np.trunc(array) >= least) & (np.trunc(array) <= most)
        if not fits.all():
            raise ValueError(f"{name}: {array[~fits].flat[0]} does not fit {dtype}, which holds {least} to {most}")
    return array.astype(dtype, copy=False)


def _of_kind(kind: str, name: str) -> np.dtype:
    """The type of Python numbers of a kind."""
    if kind not in "biufc":
        raise TypeError(f"{name}: expected numbers")
    return {"b": dtypes.bool, "f": get_default_dtype(), "c": default_complex()}.get(kind, dtypes.int64)


def number(x: Any, name: str, what: str) -> Any:
    """A Python number, also from a tensor or array that holds one."""
    if isinstance(x, ARRAYS) and x.ndim == 0:
        x = x.item()
    if not isinstance(x, (int, float, complex)):
        raise TypeError(f"{name}: {what} must be a number, got {type(x).__name__} {getattr(x, 'shape', '')}".rstrip())
    return x


ARRAYS = (Traced, np.ndarray, np.generic)
PYTHON = (list, tuple, int, float, complex, np.generic)  # what an array has to be made of


# --- from data -------------------------------------------------------------------------------------------------------


@op(elementwise=True)
def snapshot(x):
    """A copy without history, tangent or gradient."""
    return np.array(x)


def tensor(data, dtype=None, device=None, requires_grad=False):
    """A copy of numbers, lists, arrays or tensors: floats get the default type, ints int64, arrays keep theirs."""
    as_device(device, "tensor")
    value = snapshot(data) if isinstance(data, Traced) else values_of(data, dtype, "tensor", copy=True)
    return _finished(value, dtype, requires_grad, "tensor", shared=False)


def as_tensor(data, dtype=None, device=None):
    """The data as a tensor: tensors are themselves, arrays share their memory, everything else is copied."""
    as_device(device, "as_tensor")
    value = data if isinstance(data, Traced) else values_of(data, dtype, "as_tensor")
    return _finished(value, dtype, False, "as_tensor", not isinstance(data, PYTHON))


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """The data as a tensor that shares memory where it can; `copy` demands a copy, or (False) forbids one."""
    as_device(device, "asarray")
    value = obj if isinstance(obj, Traced) else values_of(obj, dtype, "asarray")
    result = _finished(value, dtype, False, "asarray", not isinstance(obj, PYTHON))
    shares = result is obj or (isinstance(obj, np.ndarray) and np.may_share_memory(result.value, obj))
    if copy is False and not shares:
        kind = type(obj).__name__
        raise ValueError(f"asarray: {kind} to {result.dtype} needs a copy, which copy=False forbids; leave copy= out")
    result = clone(result) if copy and shares else result
    if requires_grad:
        result = result.detach() if result is obj else result
        ask_gradients(result, "asarray")
    return result


def from_numpy(ndarray):
    """A tensor in the memory of an array: a change to either is a change to both."""
    if isinstance(ndarray, Traced) and (capture := current().capture) is not None:
        if (made := capture.as_tensor(ndarray)) is not ndarray:
            return made
    if not isinstance(ndarray, np.ndarray):
        given = of_another_library([ndarray]) or f"got {type(ndarray).__name__}; use tensor(), which copies"
        raise TypeError(f"from_numpy: expected a NumPy array, {given}")
    return _of_data(_native(ndarray.view(np.ndarray), "from_numpy"), shared=True)


def _of_data(array: np.ndarray, shared: bool) -> Tensor:
    """The tensor of an array that a user's data has become, or shares."""
    capture = current().capture
    return at(array) if capture is None else capture.of_data(at(array), shared)


def _finished(value: Any, dtype: Any, requires_grad: bool, name: str, shared: bool) -> Any:
    """The tensor of a user's data, whose memory may be `shared`, in the type asked for."""
    if not isinstance(value, Traced):
        value = _of_data(value, shared)
    elif (capture := current().capture) is not None:
        value = capture.as_tensor(value)
    if dtype is not None:
        value = value.astype(as_dtype(dtype))
    if requires_grad:
        ask_gradients(value, name)
    return value


def values_of(data: Any, dtype: Any, name: str, copy: bool = False) -> Any:
    """The array of a user's data (a traced value if there are any in its lists)."""
    if isinstance(data, np.ndarray):
        data = data.view(np.ndarray) if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))
        return _native(lined_up(data) if copy else data, name)
    if isinstance(data, (list, tuple)) and any(issubclass(t, ARRAYS) for t in _leaf_types(data)):
        return _stacked(data, name)
    array = _converted(data, name)
    if copy and hasattr(data, "dtype"):  # of another library, in whose memory the array lies
        array = lined_up(array)
    if dtype is not None:
        return stored(array, as_dtype(dtype), name)
    if hasattr(data, "dtype"):
        return _native(array, name)
    return stored(array, _of_kind(array.dtype.kind, name), name)


def _native(array: np.ndarray, name: str) -> np.ndarray:
    """An array whose type tensors know, in this machine's byte order."""
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise TypeError(f"{name}: tensors hold numbers of up to 64 bits, not {array.dtype}; convert with a.astype(...)")
    if not array.dtype.isnative:
        fix = "a.astype(a.dtype.newbyteorder('='))"
        raise TypeError(f"{name}: the array's bytes are in foreign order ({array.dtype.str}); use {fix}")
    return array


def _leaf_types(data: Any) -> set[type]:
    """The types of all that is in nested lists and tuples."""
    found = set(map(type, data))
    nests = {t for t in found if issubclass(t, (list, tuple))}
    return (found - nests).union(*(_leaf_types(row) for row in data if type(row) in nests))


def _converted(data: Any, name: str) -> np.ndarray:
    """What NumPy makes of Python numbers in nested lists."""
    try:
        array = np.asarray(data.detach() if hasattr(data, "detach") else data)
    except ValueError as error:
        raise ValueError(f"{name}: rows of different lengths do not make a tensor ({error})") from None
    except TypeError as error:  # of a type that NumPy has not, as bfloat16
        error = TypeError(f"{name}: {type(data).__name__} does not become an array ({error}); convert it first")
        error.explained = True  # type: ignore[attr-defined]
        raise error from None
    if array.dtype.kind == "O" and array.size and all(isinstance(n, int) for n in array.flat):
        raise ValueError(f"{name}: {max(array.flat, key=abs)} does not fit int64; give dtype=ag.float64 and a float")
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"{called(name)}: expected numbers, lists, arrays or tensors, got {type(data).__name__} {data!r:.50}"
        )
    return array


def _stacked(data: Any, name: str) -> Any:
    """Nested lists with arrays or tensors in them, in the smallest type that holds all."""
    rows = [snapshot(row) if isinstance(row, Traced) else np.asarray(values_of(row, None, name)) for row in data]
    if len({row.shape for row in rows}) > 1:
        given = ", ".join(str(row.shape) for row in rows[:4])
        raise ValueError(f"{name}: rows of different shapes do not make a tensor: {given}")
    dtype = reduce(promote_types, [row.dtype for row in rows])
    return stack_along(*[row.astype(dtype) for row in rows], axis=-rows[0].ndim - 1)


# --- constant --------------------------------------------------------------------------------------------------------


def zeros(*sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Zeros: zeros(2, 3) or zeros((2, 3))."""
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    return made(np.zeros(as_size(sizes, size, dtype, "zeros"), dtype), requires_grad, device, "zeros")


def ones(*sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Ones: ones(2, 3) or ones((2, 3))."""
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    return made(np.ones(as_size(sizes, size, dtype, "ones"), dtype), requires_grad, device, "ones")


def unwritten(shape: tuple, dtype: np.dtype) -> np.ndarray:
    """Memory as it is found; zeros for who watches, since two runs are to find the same."""
    return (np.empty if state.mode is None or not state.mode.observers else np.zeros)(shape, dtype)


def empty(*sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Memory as it is found, for who is going to write all of it."""
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    return made(unwritten(as_size(sizes, size, dtype, "empty"), dtype), requires_grad, device, "empty")


def full(size, fill_value, *, dtype=None, requires_grad=False, device=None):
    """One number everywhere; its kind decides the type."""
    return made(_filled(size, fill_value, dtype, "full"), requires_grad, device, "full")


def _filled(size: Any, fill_value: Any, dtype: Any, name: str) -> np.ndarray:
    value = np.asarray(number(fill_value, name, "fill_value"))
    dtype = _of_kind(value.dtype.kind, name) if dtype is None else as_dtype(dtype)
    return np.full(as_size((), size, dtype, name), stored(value, dtype, name))


def eye(n, m=None, *, dtype=None, requires_grad=False, device=None):
    """Ones on the diagonal of an n x m matrix, zeros elsewhere."""
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    rows, columns = as_size((n, n if m is None else m), None, dtype, "eye")
    return made(np.eye(rows, columns, dtype=dtype), requires_grad, device, "eye")


def _like(input: Any, make: Callable, dtype: Any, requires_grad: bool, where: Any, name: str) -> Any:
    """A new value of the shape and type of another; an array beside an array, else a tensor."""
    if not isinstance(input, (Traced, np.ndarray)):
        input = as_tensor(input)
    array = make(input.shape, input.dtype if dtype is None else as_dtype(dtype))
    if isinstance(input, Traced) and input.level and not requires_grad:
        return filled(input, array=array)
    return array if isinstance(input, np.ndarray) and not requires_grad else made(array, requires_grad, where, name)


def zeros_like(input, *, dtype=None, requires_grad=False, device=None):
    """Zeros of the shape and type of another."""
    return _like(input, np.zeros, dtype, requires_grad, device, "zeros_like")


def ones_like(input, *, dtype=None, requires_grad=False, device=None):
    """Ones of the shape and type of another."""
    return _like(input, np.ones, dtype, requires_grad, device, "ones_like")


def empty_like(input, *, dtype=None, requires_grad=False, device=None):
    """Unwritten memory of the shape and type of another."""
    return _like(input, unwritten, dtype, requires_grad, device, "empty_like")


def full_like(input, fill_value, *, dtype=None, requires_grad=False, device=None):
    """One number everywhere, in the shape and type of another."""
    fill = lambda shape, dtype: _filled(shape, fill_value, dtype, "full_like")
    return _like(input, fill, dtype, requires_grad, device, "full_like")


def new_zeros(x, *sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Zeros of a size, in the type of the tensor."""
    dtype = x.dtype if dtype is None else as_dtype(dtype)
    return made(np.zeros(as_size(sizes, size, dtype, "new_zeros"), dtype), requires_grad, device, "new_zeros")


def new_ones(x, *sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Ones of a size, in the type of the tensor."""
    dtype = x.dtype if dtype is None else as_dtype(dtype)
    return made(np.ones(as_size(sizes, size, dtype, "new_ones"), dtype), requires_grad, device, "new_ones")


def new_empty(x, *sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Unwritten memory of a size, in the type of the tensor."""
    dtype = x.dtype if dtype is None else as_dtype(dtype)
    return made(unwritten(as_size(sizes, size, dtype, "new_empty"), dtype), requires_grad, device, "new_empty")


def new_full(x, size, fill_value, *, dtype=None, requires_grad=False, device=None):
    """One number everywhere, in the type of the tensor."""
    array = _filled(size, fill_value, x.dtype if dtype is None else dtype, "new_full")
    return made(array, requires_grad, device, "new_full")


def new_tensor(x, data, *, dtype=None, requires_grad=False, device=None):
    """A copy of data, in the type of the tensor."""
    return tensor(data, x.dtype if dtype is None else dtype, device, requires_grad)


# --- by formula ------------------------------------------------------------------------------------------------------


def arange(start=None, end=None, step=1, *, dtype=None, requires_grad=False, device=None):
    """Numbers from start up to, but without, end; integers if all three are."""
    if start is None and end is None:
        raise TypeError("arange: needs an end, as in arange(3) or arange(1, 3)")
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    start, end, step = (number(v, "arange", w) for v, w in ((start, "start"), (end, "end"), (step, "step")))
    if any(isinstance(v, complex) for v in (start, end, step)) or not all(map(math.isfinite, (start, end, step))):
        raise ValueError(f"arange: start, end and step must be finite real numbers, got {start}, {end}, {step}")
    inferred = get_default_dtype() if any(isinstance(v, float) for v in (start, end, step)) else dtypes.int64
    dtype = inferred if dtype is None else as_dtype(dtype)
    steps = math.ceil((end - start) / step) if step and dtype.kind in "iu" and dtype != dtypes.int64 else None
    if dtype.kind in "iu":
        start, end, step = int(start), int(end), int(step)
    if step == 0 or (end - start) * (step > 0 or -1) < 0:
        raise ValueError(f"arange: no steps of {step} lead from {start} to {end}")
    exact = isinstance(start, int) and isinstance(end, int) and isinstance(step, int)
    count = steps if steps is not None else -((start - end) // step) if exact else math.ceil((end - start) / step)
    return made(_ramp(start, step, *as_size((count,), None, dtype, "arange"), dtype), requires_grad, device, "arange")


def _ramp(start: Any, step: Any, count: int, dtype: np.dtype) -> np.ndarray:
    """start, start + step, ... without rounding that adds up."""
    if dtype.kind not in "iu":
        return (start + step * np.arange(count, dtype=dtypes.float64)).astype(dtype)
    last = start + step * max(count - 1, 0)
    if dtype != dtypes.int64 or not -(1 << 62) < last < 1 << 62 > abs(start):
        stored(np.asarray([start, last]), dtype, "arange")
    return (start + step * np.arange(count)).astype(dtype, copy=False)


def linspace(start, end, steps, *, dtype=None, requires_grad=False, device=None):
    """`steps` evenly spaced numbers from start to end, both included."""
    values, dtype = _evenly(start, end, steps, dtype, "linspace")
    return made(values.astype(dtype), requires_grad, device, "linspace")


def logspace(start, end, steps, base=10.0, *, dtype=None, requires_grad=False, device=None):
    """base ** x for evenly spaced x from start to end."""
    exponents, dtype = _evenly(start, end, steps, dtype, "logspace")
    with np.errstate(all="ignore"):
        values = np.power(number(base, "logspace", "base"), exponents)
    return made(values.astype(dtype), requires_grad, device, "logspace")


def _evenly(start: Any, end: Any, steps: int, dtype: Any, name: str) -> tuple[np.ndarray, np.dtype]:
    """Evenly spaced numbers in double precision, counted from the nearer end, and the type they are to have."""
    start, end = number(start, name, "start"), number(end, name, "end")
    kind = "c" if isinstance(start, complex) or isinstance(end, complex) else "f"
    dtype = _of_kind(kind, name) if dtype is None else as_dtype(dtype)
    if kind == "c" and dtype.kind != "c":
        raise TypeError(f"{name}: from {start} to {end} needs a complex dtype, got {dtype}")
    (steps,) = as_size((steps,), None, dtype, name)
    i, step = np.arange(steps, dtype=dtypes.float64), (end - start) / max(steps - 1, 1)
    values = np.where(i < (steps + 1) // 2, start + step * i, end - step * (steps - 1 - i))
    return values, dtype


def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """Rows and columns of the entries on and below a diagonal."""
    return _indices(np.tril_indices, row, offset, col, dtype, device, "tril_indices")


def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """Rows and columns of the entries on and above a diagonal."""
    return _indices(np.triu_indices, row, offset, col, dtype, device, "triu_indices")


def _indices(find: Callable, row: int, offset: int, col: int, dtype: Any, where: Any, name: str) -> Tensor:
    dtype = dtypes.int64 if dtype is None else as_dtype(dtype)
    row, col = as_size((row, col), None, dtype, name)
    return made(np.stack(find(row, operator.index(offset), col)).astype(dtype), False, where, name)


def meshgrid(*tensors, indexing="ij"):
    """The coordinates of a grid, as views: one result per axis, each of the grid's shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    xs = [x if isinstance(x, (Traced, np.ndarray)) else as_tensor(x) for x in tensors]
    if bad := [x.shape for x in xs if x.ndim > 1]:
        raise ValueError(f"meshgrid: expected one-dimensional tensors, got shape {bad[0]}")
    axes = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        axes[:2] = 1, 0
    lengths = [math.prod(x.shape) for x in xs]
    shape = tuple(lengths[axes.index(k)] for k in range(len(xs)))
    alone = lambda axis: tuple(n if k == axis else 1 for k, n in enumerate(shape))
    return tuple(spread_view(reshape_to(x, shape=alone(axis)), shape) for x, axis in zip(xs, axes))


# --- windows ---------------------------------------------------------------------------------------------------------


def _window(formula: Callable, length: int, periodic: Any, dtype: Any, requires_grad: Any, where: Any, name: str):
    """A window by a formula in the position from 0 to 1; a periodic one stops a step before 1."""
    dtype = float_type(dtype, name, "f")
    (length,) = as_size((length,), None, dtype, name)
    position = np.arange(length) / max(length - 1 + bool(periodic), 1)
    values = formula(position) if length > 1 else np.ones(length)
    return made(values.astype(dtype), requires_grad, where, name)


def hann_window(window_length, periodic=True, *, dtype=None, requires_grad=False, device=None):
    """One period of a raised cosine."""
    formula = lambda x: 0.5 - 0.5 * np.cos(2 * np.pi * x)
    return _window(formula, window_length, periodic, dtype, requires_grad, device, "hann_window")


def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, requires_grad=False, device=None
):
    """alpha - beta cos: with the defaults, Hamming's."""
    formula = lambda x: alpha - beta * np.cos(2 * np.pi * x)
    return _window(formula, window_length, periodic, dtype, requires_grad, device, "hamming_window")


def bartlett_window(window_length, periodic=True, *, dtype=None, requires_grad=False, device=None):
    """A triangle."""
    formula = lambda x: 1 - np.abs(2 * x - 1)
    return _window(formula, window_length, periodic, dtype, requires_grad, device, "bartlett_window")


def blackman_window(window_length, periodic=True, *, dtype=None, requires_grad=False, device=None):
    """Three cosine terms."""
    formula = lambda x: 0.42 - 0.5 * np.cos(2 * np.pi * x) + 0.08 * np.cos(4 * np.pi * x)
    return _window(formula, window_length, periodic, dtype, requires_grad, device, "blackman_window")


def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, requires_grad=False, device=None):
    """Bessel's I0 of a half circle, nearly the best concentrated of all windows."""
    formula = lambda x: np.i0(beta * np.sqrt(np.clip(1 - (2 * x - 1) ** 2, 0, 1))) / np.i0(float(beta))
    return _window(formula, window_length, periodic, dtype, requires_grad, device, "kaiser_window")
