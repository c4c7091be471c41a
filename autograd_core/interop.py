"""NumPy's protocols: functions of NumPy called on traced values are computed by ours and recorded.

NumPy hands every call over to `__array_ufunc__` or `__array_function__`.  There its types decide (integers divide to
float64, mixed types go where NumPy sends them), its axes, its defaults.  What is not covered raises TypeError: nothing
silently leaves the tape.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .errors import MISUSES, said
from .numpy_functions import FORM, SPACES, VALUES, differences, reductions, shapes
from .numpy_functions.operands import (
    NUMBERS,
    F,
    Unseen,
    cast,
    common,
    constant,
    cut,
    merged,
    needs_grad,
    operand,
    plain,
    spread,
    stand_in,
    store,
    traced_in,
    truth,
)
from .op import Traced, elementwise, predicate
from .ops import PUBLIC
from .tape import current
from .tensor import Tensor, at, leaving
from .views import require_writable

cbrt = elementwise(np.cbrt, lambda y: 1 / (3 * y * y), domain="nonzero", promotes="inexact")
bit_count = predicate(np.bitwise_count, name="bitwise_count", promotes=False)


def uncovered(name: str, value: Any) -> TypeError:
    """The error for what NumPy can do and we cannot."""
    return TypeError(f"numpy.{name} is not covered for {value}; use t.detach().numpy() to leave the tape")


def kind_of(args: Any) -> str:
    """The name of the traced type among some arguments."""
    if isinstance(args, Traced):
        return "Tensor" if isinstance(args, Tensor) else type(args).__name__
    return next((kind_of(a) for a in args if traced_in(a)), "Tensor")


# --- ufuncs ----------------------------------------------------------------------------------------------------------

# fmt: off
RENAMED = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "negative": "neg", "absolute": "abs", "fabs": "abs",
    "power": "pow", "conjugate": "conj", "sign": "sgn", "rint": "round", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift", "arccos": "acos", "arccosh": "acosh",
    "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh",
    "degrees": "rad2deg", "radians": "deg2rad", "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le",
    "greater": "gt", "greater_equal": "ge",
}
WRITTEN: dict[str, Callable] = {  # ufuncs that are several of our functions
    "divmod": lambda a, b: (F.floor_divide(a, b), F.remainder(a, b)),
    "modf":   lambda x: (x - F.trunc(x), F.trunc(x)),
    "vecdot": lambda a, b: F.sum(F.conj(a) * b, dim=-1),
    "matvec": lambda a, b: F.matmul(a, shapes.expand_dims(b, -1))[..., 0],
    "vecmat": lambda a, b: F.matmul(shapes.expand_dims(F.conj(a), -2), b)[..., 0, :],
    "cbrt":   cbrt,
    "bitwise_count": bit_count,
}
REDUCED = {
    np.add: reductions.sum, np.multiply: reductions.prod, np.logical_and: reductions.all, np.logical_or: reductions.any,
    np.maximum: reductions.max, np.minimum: reductions.min, np.fmax: reductions.nanmax, np.fmin: reductions.nanmin,
}
SCANNED = {
    np.add: differences.cumsum, np.multiply: differences.cumprod,
    np.maximum: lambda x, axis, dtype=None: F.cummax(x, axis)[0],
    np.minimum: lambda x, axis, dtype=None: F.cummin(x, axis)[0],
}
# fmt: on
IGNORED = ("order", "subok")  # of memory layout and subclasses: what NumPy may use and values do not show


@functools.cache
def ours(ufunc: np.ufunc) -> Callable | None:
    """Our function for one of NumPy's, if there is one."""
    name = ufunc.__name__
    if getattr(np, name, None) is not ufunc:  # of another library
        return None
    return WRITTEN.get(name) or PUBLIC.get(RENAMED.get(name, name))


@functools.cache
def types(ufunc: np.ufunc, given: tuple, dtype: Any, casting: str) -> tuple:
    """The types of inputs and outputs for which NumPy computes a ufunc of inputs of these types."""
    signature = None if dtype is None else (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    options = {} if signature is None else {"signature": signature}
    return ufunc.resolve_dtypes(given + (None,) * ufunc.nout, casting=casting, **options)


def called(ufunc: np.ufunc, *inputs, where: Any = True, dtype=None, casting="same_kind", base=None, **options) -> Any:
    """A ufunc on inputs as NumPy would type them; entries that `where` leaves out are those of `base`, or 0."""
    function = ours(ufunc)
    if function is None:
        raise uncovered(ufunc.__name__, kind_of(inputs))
    inputs = tuple(x if type(x) in NUMBERS else operand(x) for x in inputs)
    loop = types(ufunc, tuple(type(x) if type(x) in NUMBERS else x.dtype for x in inputs), dtype, casting)
    values = [x if type(x) in (int, float) and t.kind == "f" else cast(x, t) for x, t in zip(inputs, loop)]
    with np.errstate(**{} if where is True else {"all": "ignore"}):
        results = on_axes(function, ufunc, values, options) if options else function(*values)
    several = isinstance(results, tuple)
    typed = [cast(y, t) for y, t in zip(results if several else (results,), loop[ufunc.nin :])]
    if where is not True:
        typed = [only_where(where, y, b) for y, b in zip(typed, base or (None,) * len(typed))]
    return tuple(typed) if several else typed[0]


def only_where(where: Any, y: Any, base: Any) -> Any:
    return F.where(truth(where), y, np.zeros((), y.dtype) if base is None else cast(base, y.dtype))


def on_axes(function: Callable, ufunc: np.ufunc, values: list, options: dict) -> Any:
    """A ufunc of vectors, along the axis that is asked for."""
    axis = options.pop("axis", None)
    if options or axis is None or ufunc is not np.vecdot:
        raise uncovered(f"{ufunc.__name__} with {', '.join(options) or 'axis'}", kind_of(values))
    return function(*[F.movedim(v, axis, -1) for v in values])


def identity(ufunc: np.ufunc, x: Any) -> np.ndarray:
    if ufunc.identity is None:
        raise ValueError(f"numpy.{ufunc.__name__}.reduce: nothing to reduce, and {ufunc.__name__} has no identity")
    return np.asarray(ufunc.identity, x.dtype)


def folded(ufunc: np.ufunc, x: Any, axis: int, dtype: Any) -> list:
    """The running results of a ufunc along an axis."""
    parts = shapes.unstack(x, axis)
    results = [cast(parts[0], dtype)] if dtype is not None and parts else list(parts[:1])
    for part in parts[1:]:
        results.append(called(ufunc, results[-1], part, dtype=dtype))
    return results


def reduce(ufunc: np.ufunc, x: Any, axis: Any = 0, dtype=None, keepdims=False, initial=None, where: Any = True) -> Any:
    """`ufunc.reduce`: by a reduction of ours, or else one entry after the other."""
    x, function = operand(x), REDUCED.get(ufunc)
    if function in (reductions.sum, reductions.prod):
        return function(x, axis, dtype, keepdims, initial, where)
    if function in (reductions.all, reductions.any):
        return function(x, axis, keepdims, where)
    if function is not None:
        return function(x if dtype is None else cast(x, dtype), axis, keepdims, initial, where)
    x, kept = merged(x, axis)
    if where is not True:
        x = F.where(truth(where), x, identity(ufunc, x))
    results = folded(ufunc, x, -1, dtype)
    y = results[-1] if results else spread(identity(ufunc, x), x.shape[:-1])
    y = y if initial is None else called(ufunc, initial, y)
    return y.reshape(kept) if keepdims else y


def accumulate(ufunc: np.ufunc, x: Any, axis: int = 0, dtype: Any = None) -> Any:
    """`ufunc.accumulate`: by a scan of ours, or else one entry after the other."""
    x = operand(x)
    axis = normalize_axis_index(axis, x.ndim)
    if ufunc in SCANNED:
        return SCANNED[ufunc](x if dtype is None else cast(x, dtype), axis, dtype)
    return F.stack(common(*folded(ufunc, x, axis, dtype)), axis)


def reduceat(ufunc: np.ufunc, x: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """`ufunc.reduceat`: the reductions of slices from each index to the next."""
    x, starts = operand(x), constant(indices, "reduceat: indices")
    axis = normalize_axis_index(axis, x.ndim)
    stops = [*starts[1:], x.shape[axis]]
    pieces = [cut(x, axis, int(i), int(max(i + 1, j))) for i, j in zip(starts, stops)]
    return F.stack([reduce(ufunc, p, axis, dtype) for p in pieces], axis)


def outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    """`ufunc.outer`: every entry of a with every entry of b."""
    a, b = operand(a), operand(b)
    return called(ufunc, a.reshape((*a.shape, *(1,) * b.ndim)), b, **options)


def change_at(ufunc: np.ufunc, x: Any, index: Any, *values: Any) -> None:
    """`np.add.at` and `np.subtract.at`: add in place, again where an index is repeated."""
    if ufunc not in (np.add, np.subtract) or not isinstance(x, Traced):
        raise uncovered(f"{ufunc.__name__}.at", f"{kind_of((x, *values))} this way")
    see = lambda i: plain(i) if traced_in(i) else i
    index = tuple(map(see, index)) if isinstance(index, tuple) else see(index)
    places = np.arange(math.prod(x.shape)).reshape(x.shape)[index]
    change = spread(cast(operand(values[0]), x.dtype), places.shape).reshape((-1,))
    change = change if ufunc is np.add else -change
    x.write(F.index_add(x.reshape((-1,)), 0, places.ravel(), change).reshape(tuple(x.shape)))


METHODS = {
    "__call__": called,
    "reduce": reduce,
    "accumulate": accumulate,
    "reduceat": reduceat,
    "outer": outer,
    "at": change_at,
}


def understood(x: Any) -> bool:
    """Whether an operand is ours to handle, rather than a type with NumPy protocols of its own."""
    return isinstance(x, (Traced, np.ndarray)) or not hasattr(x, "__array_ufunc__") or isinstance(x, np.generic)


def plainly(ufunc: np.ufunc, inputs: tuple, dtype: np.dtype) -> Any:
    """The usual case in a hurry: all inputs of one floating-point type, hence no types to settle."""
    if dtype.kind != "f" or any(not isinstance(x, (Traced, np.ndarray)) or x.dtype is not dtype for x in inputs):
        return None
    y = function(*inputs) if (function := ours(ufunc)) else None
    return y if isinstance(y, Traced) and (y.dtype is dtype or y.dtype == bool) else None


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple | None = None, **options: Any) -> Any:
    """NumPy's ufuncs and their methods."""
    try:
        if method == "__call__" and out is None and not options:
            if (y := plainly(ufunc, inputs, self.dtype)) is not None:
                return y
        return by_types(ufunc, method, inputs, out, options)
    except MISUSES as error:
        raise renamed(error, ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}") from error


def by_types(ufunc: np.ufunc, method: str, inputs: tuple, out: tuple | None, options: dict) -> Any:
    """A call of a ufunc whose types, options and outputs are to be seen to."""
    if not all(map(understood, (*inputs, *(out or ())))):
        return NotImplemented
    if ours(ufunc) is None:
        raise uncovered(ufunc.__name__, kind_of((*inputs, *(out or ()))))
    if wrong := [o for o in out or () if o is not None and not isinstance(o, (Traced, np.ndarray))]:
        raise TypeError(f"numpy.{ufunc.__name__}: out must be a Tensor or an array, got {type(wrong[0]).__name__}")
    options = {k: v for k, v in options.items() if k not in IGNORED and v is not np._NoValue}
    if "signature" in options or "sig" in options:
        raise uncovered(f"{ufunc.__name__} with signature", kind_of(inputs))
    if out is not None and method == "__call__" and options.get("where", True) is not True:
        options["base"] = out
    result = METHODS[method](ufunc, *inputs, **options)
    if out is None:
        return wrapped(result)
    name, casting = ufunc.__name__, options.get("casting", "same_kind")
    results = result if isinstance(result, tuple) else (result,)
    for o, y in zip(out, results):
        require_room(o, y, name, casting)
    stored = tuple(wrapped(y) if o is None else stored_in(o, y, name, casting) for o, y in zip(out, results))
    return stored if isinstance(result, tuple) else stored[0]


def fits(shape: tuple, room: tuple) -> bool:
    """Whether a result of a shape can be spread over another."""
    return len(shape) <= len(room) and all(n in (1, m) for n, m in zip(shape[::-1], room[::-1]))


def renamed(error: Exception, name: str) -> Exception:
    """An error under the name that was called; one that a function of the user's raised stays as it is."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else trace.tb_frame.f_code.co_filename
    if str(error).startswith("numpy.") or not where.startswith((*HOMES, "<")):
        return error
    kind = next(k for k in MISUSES if isinstance(error, k))
    return kind(f"numpy.{name}: {re.sub(r'^[a-z_0-9]+: ', '', said(error))}")


HOMES = tuple(str(Path(f).parent) for f in (__file__, np.__file__))


def require_room(out: Any, y: Any, name: str, casting: str = "same_kind") -> None:
    """Raise if `out` cannot take a result."""
    if out is None:
        return
    if not np.can_cast(y.dtype, out.dtype, casting):
        raise TypeError(f"numpy.{name}: cannot store {y.dtype} in an out of {out.dtype} under casting={casting!r}")
    if not fits(tuple(y.shape), tuple(out.shape)):
        raise ValueError(f"numpy.{name}: a result of shape {y.shape} does not fit an out of shape {out.shape}")
    require_writable(out, f"numpy.{name}")


def stored_in(out: Any, y: Any, name: str, casting: str = "same_kind") -> Any:
    """`out` with the result in it; nothing is written where it does not fit."""
    require_room(out, y, name, casting)
    return store(out, cast(y, out.dtype), f"numpy.{name}")


# --- functions -------------------------------------------------------------------------------------------------------


def about_form(function: Callable, *args: Any, **options: Any) -> Any:
    return function(*map(stand_in, args), **{k: stand_in(v) for k, v in options.items()})


def about_values(function: Callable, *args: Any, **options: Any) -> Any:
    return function(*map(seen, args), **{k: seen(v) for k, v in options.items()})


def seen(x: Any) -> Any:
    """x with arrays for traced values, in it or in a sequence of it."""
    return x if not traced_in(x) else plain(x) if isinstance(x, Traced) else tuple(map(seen, x))


def table() -> dict[Callable, Callable]:
    """What stands in for each of NumPy's functions."""
    found: dict[Callable, Callable] = {}
    for space, functions in SPACES:
        for name, stand in functions.items():
            if callable(stand) and hasattr(function := vars(space).get(name), "_implementation"):
                found[function] = stand
    for names, ask in ((FORM, about_form), (VALUES, about_values)):
        found |= {getattr(np, name): functools.partial(ask, getattr(np, name)) for name in names}
    return found | {getattr(np, name): functools.partial(like, getattr(np, name)) for name in LIKE}


LIKE = "arange array asanyarray asarray ascontiguousarray empty eye full identity ones tri zeros".split()
UNWRAPPED = {getattr(np, name) for name in FORM} | {np.einsum_path}


def like(function: Callable, *args: Any, **options: Any) -> Any:
    """NumPy's way to make an array of the type of another one: `np.zeros(3, like=t)`."""
    if not args or not traced_in(args[0]):
        return function(*args, **options)
    dtype = args[1] if len(args) > 1 else options.get("dtype")
    x = operand(args[0])
    y = x if dtype is None else cast(x, dtype)
    return F.clone(y) if function is np.array and options.get("copy", True) and y is args[0] else y


@functools.cache
def parameters(function: Callable, stand: Callable) -> tuple[inspect.Signature, int]:
    """How a function of NumPy is called, and how many arguments it needs at least.

    Some versions of NumPy do not say; ours are called alike.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:
        signature = inspect.signature(stand)
    return signature, sum(p.default is p.empty and p.kind < p.VAR_POSITIONAL for p in signature.parameters.values())


def given(function: Callable, stand: Callable, args: tuple, options: dict) -> tuple[list, dict, Any]:
    """The arguments that differ from NumPy's defaults: required ones by place, others by name; and `out`."""
    signature, required = parameters(function, stand)
    if len(args) == required and not options:
        return list(args), {}, None
    bound = signature.bind(*args, **options).arguments
    out, places, names = bound.pop("out", None), [], {}
    for name, value in bound.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            places += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            names |= value
        elif parameter.default is parameter.empty:
            places.append(value)
        elif value is not parameter.default and value is not np._NoValue:
            names[name] = value
    return places, names, out


TABLE = table()


def array_function(self: Any, function: Callable, kinds: Any, args: tuple, options: dict) -> Any:
    """NumPy's functions that are not ufuncs."""
    if not all(issubclass(t, (Traced, np.ndarray)) for t in kinds):
        return NotImplemented
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    stand = TABLE.get(function)
    if stand is None:
        raise uncovered(name, kind_of((*args, *options.values())))
    places, names, out = (args, options, None) if name in LIKE else given(function, stand, args, options)
    if unknown := unknown_option(stand, names):
        raise uncovered(f"{name} with {unknown}", kind_of((*args, *options.values())))
    try:
        result = stand(*places, **names)
    except Unseen as error:
        raise TypeError(f"numpy.{name}: {error}") from None
    except MISUSES as error:
        raise renamed(error, name) from error
    if out is not None:
        return stored_in(out, result, name)
    return result if function in UNWRAPPED else wrapped(result)


@functools.cache
def options_of(stand: Callable) -> tuple[frozenset, bool]:
    kinds = inspect.signature(stand).parameters
    return frozenset(kinds), any(p.kind is p.VAR_KEYWORD for p in kinds.values())


def unknown_option(stand: Callable, names: dict) -> str:
    """An option that the stand-in for a function of NumPy does not know."""
    known, takes_all = options_of(stand)
    return "" if takes_all else next((n for n in names if n not in known), "")


def wrapped(result: Any) -> Any:
    """A result with every array in it made a Tensor; what is no array stays as it is."""
    if isinstance(result, (np.ndarray, np.generic)):
        return at(np.asarray(result))
    if isinstance(result, tuple):
        parts = map(wrapped, result)
        return result._make(parts) if hasattr(result, "_make") else tuple(parts)
    return [wrapped(r) for r in result] if isinstance(result, list) else result


# --- arrays out of tensors, and back ---------------------------------------------------------------------------------


def array(self: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """The values as an array, for functions that know nothing of tensors."""
    if not isinstance(self, Tensor) or isinstance(self.value, Traced):
        raise TypeError("np.asarray: a value inside jvp or vmap cannot become an array; call np or ag functions on it")
    if self.requires_grad and current().grad:
        raise TypeError(
            "np.asarray: this tensor requires gradients, which an array would lose; use t.detach().numpy(), "
            "or np.stack to make one tensor of several"
        )
    leaving(self, "np.asarray")
    value = self.value if dtype is None else self.value.astype(dtype, copy=False)
    if copy is False and value is not self.value:
        raise ValueError(f"np.asarray: {self.dtype} becomes {value.dtype} only by copying, and copy=False")
    return value.copy() if copy and value is self.value else value


def array_namespace(self: Any, /, *, api_version: str | None = None) -> Any:
    """The module with the functions for this type, for code written against the array API standard."""
    return sys.modules[__package__]


def dlpack(self: Any, **options: Any) -> Any:
    """The memory as a DLPack capsule."""
    if needs_grad(self):
        raise BufferError("__dlpack__: a tensor that requires gradients cannot be exported; use t.detach()")
    leaving(self, "DLPack")
    return self.value.__dlpack__(**options)


def dlpack_device(self: Any) -> tuple[int, int]:
    """The CPU."""
    return (1, 0)


def from_dlpack(x: Any) -> Tensor:
    """A tensor over the memory of another library's array."""
    return at(x if isinstance(x, np.ndarray) else np.from_dlpack(x))


def install() -> None:
    """Let every traced value take part in NumPy's protocols."""
    Traced.__array_ufunc__ = array_ufunc
    Traced.__array_function__ = array_function
    Traced.__array__ = array
    Traced.__array_priority__ = 1000
    Traced.__array_namespace__ = array_namespace
    Traced.__dlpack__ = dlpack
    Traced.__dlpack_device__ = dlpack_device


install()
