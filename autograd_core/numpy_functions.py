"""NumPy's functions on traced values: NumPy's names, arguments, types and results, computed by our functions.

A function of this module stands in for the one NumPy has under the same name (`linalg_x` for `np.linalg.x` is in
`numpy_linalg`).  Only arguments that were given arrive, by NumPy's names; `out` is dealt with by the caller.
"""

from __future__ import annotations

import builtins
import functools
import math
import operator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .forward import Dual
from .op import REGISTRY, Traced
from .ops import PUBLIC
from .ops.arguments import innermost_of
from .tensor import Tensor, at
from .vmap import Batched

F = SimpleNamespace(**PUBLIC)
NUMBERS = (int, float, complex)

# Answered by NumPy itself, from shapes and types alone, or from values where there is nothing to differentiate.
FORM = """can_cast common_type diag_indices_from iscomplexobj isrealobj ndim result_type shape size
    tril_indices_from triu_indices_from""".split()
VALUES = """array2string array_equal array_equiv array_repr array_str lexsort may_share_memory min_scalar_type
    packbits ravel_multi_index shares_memory unpackbits unravel_index""".split()


# --- operands --------------------------------------------------------------------------------------------------------


def traced_in(x: Any) -> bool:
    """Whether x is a traced value or a nest of lists with one in it."""
    return isinstance(x, Traced) or isinstance(x, (list, tuple)) and builtins.any(map(traced_in, x))


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
        return builtins.any(map(needs_grad, x))
    return isinstance(x, (Dual, Batched)) or isinstance(x, Tensor) and (x.requires_grad or isinstance(x.value, Traced))


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


@functools.cache
def type_from(function: Any, *dtypes: np.dtype) -> np.dtype:
    """The type NumPy gives the result of a function of arrays of these types."""
    return function(*[np.ones(1, d) for d in dtypes]).dtype


def spread(x: Any, shape: tuple) -> Any:
    return REGISTRY["broadcast_to"].call(operand(x), shape=tuple(shape))


def pick(x: Any, index: Any, axis: int = 0) -> Any:
    """The entries along an axis (not negative) that an integer array, mask or slice names."""
    key = (slice(None),) * axis + (index,)
    return at(x)[key] if traced_in(key) and not isinstance(x, Traced) else x[key]


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


# --- reductions ------------------------------------------------------------------------------------------------------


def over(function: Any, x: Any, axis: Any, keepdims: bool, **options: Any) -> Any:
    """A reduction of ours over NumPy's axes, of which `()` means none."""
    if axis == () and x.ndim:
        return function(x.reshape((*x.shape, 1)), dim=-1, **options)
    return function(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=bool(keepdims), **options)


def along(function: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction of ours that knows one axis, over NumPy's axes."""
    x, kept = merged(x, axis)
    y = function(x, -1)
    return y.reshape(kept) if keepdims else y


def selected(x: Any, where: Any, filler: Any) -> Any:
    return x if where is True else F.where(operand(where), x, np.asarray(filler, x.dtype))


def count(x: Any, axis: Any, keepdims: bool, where: Any = True) -> Any:
    """How many entries a reduction takes in."""
    return sum(spread(where, x.shape), axis, keepdims=keepdims)


def sum(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    x = selected(operand(a), where, 0)
    dtype = dtype or type_from(np.sum, x.dtype)
    y = cast(over(F.sum, cast(x, dtype), axis, keepdims), dtype)
    return y if initial is None else y + initial


def prod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    x = selected(operand(a), where, 1)
    dtype = dtype or type_from(np.prod, x.dtype)
    y = cast(along(F.prod, cast(x, dtype), axis, keepdims), dtype)
    return y if initial is None else y * initial


def mean(a, axis=None, dtype=None, keepdims=False, where=True):
    x = operand(a)
    x = cast(x, dtype or type_from(np.mean, x.dtype))
    if where is True:
        return over(F.mean, x, axis, keepdims)
    return sum(x, axis, keepdims=keepdims, where=where) / count(x, axis, keepdims, where)


numpy_mean = mean


def var(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    ddof = ddof if correction is None else correction
    x = selected(operand(a), where, 0)
    x = cast(x, dtype or type_from(np.mean, x.dtype))
    if where is True and mean is None and x.dtype.kind == "f":
        return over(F.var, x, axis, keepdims, correction=ddof)
    center = numpy_mean(x, axis, keepdims=True, where=where) if mean is None else operand(mean)
    apart = x - center
    squares = (apart * F.conj(apart)).real
    spare = F.clamp_min(count(x, axis, keepdims, where) - ddof, 0)
    return sum(squares, axis, keepdims=keepdims, where=where) / spare


def std(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    x = operand(a)
    if where is True and mean is None and x.dtype.kind != "c":
        x = cast(x, dtype or type_from(np.mean, x.dtype))
        return over(F.std, x, axis, keepdims, correction=ddof if correction is None else correction)
    return F.sqrt(var(x, axis, dtype, ddof, keepdims, where, mean, correction))


def extreme(reduction, combine, a, axis, keepdims, initial, where):
    x = operand(a)
    if where is not True:
        if initial is None:
            raise ValueError("max, min: with a where mask, `initial` must say what an empty selection gives")
        x = selected(x, where, initial)
    if initial is None:
        return over(reduction, x, axis, keepdims)
    lead = spread(np.asarray(initial, x.dtype), merged(x, axis)[0].shape[:-1] + (1,))
    joined, kept = F.cat([merged(x, axis)[0], lead], -1), merged(x, axis)[1]
    y = reduction(joined, dim=-1)
    return y.reshape(kept) if keepdims else y


def max(a, axis=None, keepdims=False, initial=None, where=True):
    return extreme(F.amax, F.maximum, a, axis, keepdims, initial, where)


def min(a, axis=None, keepdims=False, initial=None, where=True):
    return extreme(F.amin, F.minimum, a, axis, keepdims, initial, where)


ptp = lambda a, axis=None, keepdims=False: max(a, axis, keepdims) - min(a, axis, keepdims)
all = lambda a, axis=None, keepdims=False, where=True: over(F.all, selected(operand(a), where, 1), axis, keepdims)
any = lambda a, axis=None, keepdims=False, where=True: over(F.any, selected(operand(a), where, 0), axis, keepdims)
argmax = lambda a, axis=None, keepdims=False: along(F.argmax, operand(a), axis, keepdims)
argmin = lambda a, axis=None, keepdims=False: along(F.argmin, operand(a), axis, keepdims)
count_nonzero = lambda a, axis=None, keepdims=False: sum(operand(a) != 0, axis, keepdims=keepdims)


def average(a, axis=None, weights=None, returned=False, keepdims=False):
    x = operand(a)
    if weights is None:
        y = mean(x, axis, keepdims=keepdims)
        total = np.asarray(math.prod(x.shape) / builtins.max(math.prod(y.shape), 1), y.dtype)
    else:
        w = operand(weights)
        if x.dtype.kind in "biu":
            x = cast(x, np.result_type(x.dtype, w.dtype, np.float64))
        x, w = common(x, weights_along(w, x.shape, axis))
        total = sum(spread(w, x.shape), axis, keepdims=keepdims)
        if not isinstance(total, Batched) and (plain(total) == 0).any():
            raise ZeroDivisionError("average: the weights sum to zero, so they cannot be normalised")
        y = sum(x * w, axis, keepdims=keepdims) / total
    return (y, spread(total, y.shape)) if returned else y


def weights_along(w: Any, shape: tuple, axis: Any) -> Any:
    """Weights for some axes in a shape that broadcasts against the whole."""
    if tuple(w.shape) == tuple(shape):
        return w
    if axis is None:
        raise TypeError(f"average: weights of shape {w.shape} for an array of shape {shape} need axis")
    axes = normalize_axis_tuple(axis, len(shape))
    if tuple(w.shape) != tuple(shape[i] for i in axes):
        along = tuple(shape[i] for i in axes)
        raise ValueError(f"average: weights have shape {w.shape}, but the array has {along} along axis {axis}")
    w = F.permute(w, tuple(int(i) for i in np.argsort(axes)))
    return w.reshape(tuple(n if i in axes else 1 for i, n in enumerate(shape)))


# --- reductions that skip NaN ----------------------------------------------------------------------------------------


def without_nan(a: Any, value: Any) -> Any:
    x = operand(a)
    return fill(x, F.isnan(x), value) if x.dtype.kind in "fc" else x


def valid(x: Any, where: Any) -> Any:
    """The mask of entries that are selected and not NaN."""
    mask = ~F.isnan(x) if x.dtype.kind in "fc" else np.ones(x.shape, bool)
    return mask if where is True else mask & operand(where)


def nansum(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    return sum(without_nan(a, 0), axis, dtype, keepdims, initial, where)


def nanprod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    return prod(without_nan(a, 1), axis, dtype, keepdims, initial, where)


def nanmean(a, axis=None, dtype=None, keepdims=False, where=True):
    x = operand(a)
    return mean(x, axis, dtype, keepdims, valid(x, where))


def nanvar(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    x = operand(a)
    return var(x, axis, dtype, ddof, keepdims, valid(x, where), mean, correction)


def nanstd(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, mean=None, correction=None):
    x = operand(a)
    return std(x, axis, dtype, ddof, keepdims, valid(x, where), mean, correction)


def nan_extreme(extreme, infinity, a, axis, keepdims, initial, where):
    x = operand(a)
    if x.dtype.kind not in "fc":
        return extreme(x, axis, keepdims, initial, where)
    y = extreme(without_nan(x, infinity), axis, keepdims, initial, where)
    return fill(y, ~any(valid(x, where), axis, keepdims), np.nan) if initial is None else y


def nanmax(a, axis=None, keepdims=False, initial=None, where=True):
    return nan_extreme(max, -np.inf, a, axis, keepdims, initial, where)


def nanmin(a, axis=None, keepdims=False, initial=None, where=True):
    return nan_extreme(min, np.inf, a, axis, keepdims, initial, where)


def nan_argument(argument, infinity, a, axis, keepdims):
    x = operand(a)
    if not plain(any(valid(x, True), axis)).all():
        raise ValueError("nanargmax, nanargmin: a slice holds nothing but NaN")
    return argument(without_nan(x, infinity), axis, keepdims)


nanargmax = lambda a, axis=None, keepdims=False: nan_argument(argmax, -np.inf, a, axis, keepdims)
nanargmin = lambda a, axis=None, keepdims=False: nan_argument(argmin, np.inf, a, axis, keepdims)
nancumsum = lambda a, axis=None, dtype=None: cumsum(without_nan(a, 0), axis, dtype)
nancumprod = lambda a, axis=None, dtype=None: cumprod(without_nan(a, 1), axis, dtype)


# --- order statistics ------------------------------------------------------------------------------------------------


def order_statistics(x: Any, q: Any, axis: Any, method: str, keepdims: bool, skip_nan: bool = False) -> Any:
    """Quantiles, by interpolation in the sorted entries.

    A quantile of the places 0, 1, ... n-1 is itself a place: NumPy is asked for that, in whatever method.
    """
    x = inexact(x)
    q = q if type(q) in NUMBERS else constant(q, "quantile: q")
    dtype = np.quantile(np.ones(1, x.dtype), q, method=method).dtype
    q_shape = np.shape(q)
    x, kept = merged(x, axis)
    n, lead = x.shape[-1], tuple(x.shape[:-1])
    if n == 0:
        return mean(x, -1)
    ordered = F.sort(x, -1)[0]
    place = lambda m: np.quantile(np.arange(builtins.max(m, 1), dtype=float), q, method=method).ravel()
    places = np.stack([place(m) for m in (range(n + 1) if skip_nan else [n])])
    low = np.floor(places).astype(np.int64)
    which = sum(~F.isnan(x), -1) if skip_nan else np.zeros(lead, np.int64)  # row of `places` for each slice
    low, high, part = (pick(v, which) for v in (low, np.minimum(low + 1, n - 1), (places - low).astype(x.dtype)))
    below, above = F.take_along_dim(ordered, low, -1), F.take_along_dim(ordered, high, -1)
    y = F.where(part > 0, below + (above - below) * part, below)
    if not skip_nan:
        last = ordered[..., -1:]
        y = F.where(F.isnan(last), last, y)
    y = F.movedim(y, -1, 0)
    return cast(y.reshape(q_shape + (kept if keepdims else lead)), dtype)


def quantile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, q, axis, method, keepdims)


def nanquantile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, q, axis, method, keepdims, skip_nan=True)


def percentile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, hundredth(q), axis, method, keepdims)


def nanpercentile(a, q, axis=None, overwrite_input=False, method="linear", keepdims=False):
    return order_statistics(a, hundredth(q), axis, method, keepdims, skip_nan=True)


def hundredth(q: Any) -> Any:
    return q / 100 if type(q) in NUMBERS else constant(q, "percentile: q") / 100


median = lambda a, axis=None, overwrite_input=False, keepdims=False: order_statistics(a, 0.5, axis, "linear", keepdims)


def nanmedian(a, axis=None, overwrite_input=False, keepdims=False):
    return order_statistics(a, 0.5, axis, "linear", keepdims, skip_nan=True)


def sort(a, axis=-1, kind=None, stable=None):
    x = operand(a)
    return F.sort(x.reshape((-1,)) if axis is None else x, -1 if axis is None else axis)[0]


def argsort(a, axis=-1, kind=None, stable=None):
    x = operand(a)
    return F.argsort(x.reshape((-1,)) if axis is None else x, -1 if axis is None else axis)


partition = lambda a, kth, axis=-1, kind=None: sort(a, axis)
argpartition = lambda a, kth, axis=-1, kind=None: argsort(a, axis)


def searchsorted(a, v, side="left", sorter=None):
    a, v = common(a, v)
    a = a if sorter is None else pick(a, constant(sorter, "searchsorted: sorter"))
    return F.searchsorted(a, v, right=side == "right")


def digitize(x, bins, right=False):
    x, bins = common(x, bins)
    steps = np.diff(plain(bins))
    side = "left" if right else "right"
    if (steps >= 0).all():
        return searchsorted(bins, x, side)
    if (steps <= 0).all():
        return bins.shape[0] - searchsorted(F.flip(bins, (0,)), x, side)
    raise ValueError("digitize: bins must go up or down throughout")


# --- sets ------------------------------------------------------------------------------------------------------------


def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, equal_nan=True, sorted=True):
    x = operand(ar)
    _, index, inverse, counts = np.unique(plain(x), True, True, True, axis, equal_nan=equal_nan)
    values = pick(ravel(x), index) if axis is None else pick(x, index, normalize_axis_index(axis, x.ndim))
    wanted = [(index, return_index), (inverse, return_inverse), (counts, return_counts)]
    results = (values, *(r for r, asked in wanted if asked))
    return results if len(results) > 1 else values


unique_values = lambda x: unique(x, equal_nan=False)


def unique_all(x):
    found = np.unique_all(plain(x))
    return found._replace(values=pick(ravel(operand(x)), found.indices))


unique_counts = lambda x: np.unique_counts(plain(x))._replace(values=unique_values(x))
unique_inverse = lambda x: np.unique_inverse(plain(x))._replace(values=unique_values(x))


def found_in(source: Any, values: np.ndarray) -> Any:
    """The entries of a flat source that have these values."""
    order = np.argsort(plain(source), kind="stable")
    return pick(source, order[np.searchsorted(plain(source), values, sorter=order)])


union1d = lambda ar1, ar2: unique(concatenate((ar1, ar2), None))


def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    a, b = common(ar1, ar2)
    _, i, j = np.intersect1d(plain(a), plain(b), assume_unique, return_indices=True)
    return (pick(ravel(a), i), i, j) if return_indices else pick(ravel(a), i)


def setdiff1d(ar1, ar2, assume_unique=False):
    return found_in(ravel(operand(ar1)), np.setdiff1d(plain(ar1), plain(ar2), assume_unique))


def setxor1d(ar1, ar2, assume_unique=False):
    return found_in(concatenate((ar1, ar2), None), np.setxor1d(plain(ar1), plain(ar2), assume_unique))


def isin(element, test_elements, assume_unique=False, invert=False, kind=None):
    x, tests = common(element, test_elements)
    found = any(expand_dims(x, -1) == tests.reshape((-1,)), -1)
    return ~found if invert else found


# --- choosing --------------------------------------------------------------------------------------------------------


def truth(condition: Any) -> Any:
    condition = operand(condition)
    return condition if condition.dtype == bool else condition != 0


def where(condition, x=None, y=None):
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ValueError("where: give both x and y, or neither")
    return F.where(truth(condition), *yielding(x, y))


nonzero = lambda a: tuple(F.nonzero(operand(a), as_tuple=True))
argwhere = lambda a: F.argwhere(operand(a))
flatnonzero = lambda a: nonzero(ravel(a))[0]


def select(condlist, choicelist, default=0):
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    *choices, y = yielding(*choicelist, default)
    for condition, choice in reversed(list(zip(condlist, choices))):
        y = F.where(truth(condition), choice, y)
    return y


def choose(a, choices, mode="raise"):
    choices = common(*rows(choices))
    index, n = operand(a), len(choices)
    if mode == "raise" and ((plain(index) < 0) | (plain(index) >= n)).any():
        raise ValueError(f"choose: an index is not one of 0 to {n - 1}; mode='clip' or 'wrap' allows that")
    index = index % n if mode == "wrap" else F.clamp(index, 0, n - 1)
    return select([index == k for k in range(n - 1)], choices[:-1], choices[-1])


def piecewise(x, condlist, funclist, *args, **kw):
    x = operand(x)
    single = not isinstance(condlist, (list, tuple)) and operand(condlist).ndim == x.ndim
    masks = [spread(m, x.shape) for m in ([condlist] if single else condlist)]
    if len(funclist) == len(masks) + 1:
        masks.append(~functools.reduce(operator.or_, masks))
    if len(funclist) != len(masks):
        raise ValueError(f"piecewise: {len(masks)} conditions for {len(funclist)} functions")
    y = full_like(x, 0)
    for mask, f in zip(masks, funclist):
        if callable(f):
            y = F.masked_scatter(y, mask, cast(operand(f(x[plain(mask)], *args, **kw)), x.dtype))
        else:
            y = F.where(mask, cast(f, x.dtype), y)
    return y


def clip(a, a_min=None, a_max=None, min=None, max=None):
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    x, *bounds = yielding(a, *(b for b in (low, high) if b is not None))
    if low is not None:
        x = F.clamp_min(x, bounds[0])
    return x if high is None else F.clamp_max(x, bounds[-1])


extract = lambda condition, arr: compress(ravel(condition), arr)
compress = lambda condition, a, axis=None: take(a, np.flatnonzero(plain(condition)), axis)


def trim_zeros(filt, trim="fb", axis=None):
    x = operand(filt)
    places = np.argwhere(plain(x))
    key = [slice(None)] * x.ndim
    for i in range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim):
        low, high = (places[:, i].min(), places[:, i].max() + 1) if len(places) else (0, 0)
        key[i] = slice(low if "f" in trim.lower() else None, high if "b" in trim.lower() or not len(places) else None)
    return x[tuple(key)]


# --- indexing --------------------------------------------------------------------------------------------------------


def take(a, indices, axis=None, mode="raise"):
    x, index = operand(a), operand(indices)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, x.ndim)
    if mode == "wrap":
        index = index % x.shape[axis]
    elif mode == "clip":
        index = F.clamp(index, 0, x.shape[axis] - 1)
    return pick(x, index, axis)


def take_along_axis(arr, indices, axis=-1):
    x, index = operand(arr), operand(indices)
    if axis is None:
        x, axis = ravel(x), 0
    if x.ndim != index.ndim:
        raise ValueError(f"take_along_axis: indices have {index.ndim} axes, the array has {x.ndim}")
    axis = normalize_axis_index(axis, x.ndim)
    return F.take_along_dim(x, F.where(index < 0, index + x.shape[axis], index), axis)


def delete(arr, obj, axis=None):
    x, axis = (ravel(arr), 0) if axis is None else (operand(arr), axis)
    axis = normalize_axis_index(axis, x.ndim)
    obj = obj if isinstance(obj, slice) else constant(obj, "delete: obj")
    return pick(x, np.delete(np.arange(x.shape[axis]), obj), axis)


def insert(arr, obj, values, axis=None):
    x, axis = (ravel(arr), 0) if axis is None else (operand(arr), axis)
    axis, v = normalize_axis_index(axis, x.ndim), cast(operand(values), x.dtype)
    obj = obj if isinstance(obj, slice) else constant(obj, "insert: obj")
    n = x.shape[axis]
    v = v.reshape((1,) * (x.ndim - v.ndim) + tuple(v.shape))
    if not isinstance(obj, slice) and obj.ndim == 0:
        v, m = moveaxis(v, 0, axis), None
    else:
        m = len(np.insert(np.arange(n), obj, 0)) - n
    shape = tuple(x.shape[:axis]) + (v.shape[axis] if m is None else m,) + tuple(x.shape[axis + 1 :])
    order = np.insert(np.arange(n), obj, n + np.arange(shape[axis]))
    return pick(F.cat([x, spread(v, shape)], axis), order, axis)


def append(arr, values, axis=None):
    return concatenate((ravel(arr), ravel(values)) if axis is None else (arr, values), axis or 0)


def resize(a, new_shape):
    x = ravel(a)
    return pick(x, np.resize(np.arange(x.shape[0]), new_shape)) if x.shape[0] else full_like(x, 0, shape=new_shape)


def placed(name: str, target: Any, values: Any, *before: Any, after: tuple = (), **options: Any) -> None:
    """Change `target` in place as a NumPy function would: NumPy does it with the numbers of the values."""
    values = operand(values)
    numbers = np.full(target.shape, -1)
    getattr(np, name)(numbers, *before, np.arange(math.prod(values.shape)).reshape(values.shape), *after, **options)
    chosen = pick(cast(ravel(values), target.dtype), np.maximum(numbers, 0))
    store(target, F.where(numbers >= 0, chosen, target), name)


def fill_diagonal(a, val, wrap=False):
    placed("fill_diagonal", a, val, wrap=wrap)


def place(arr, mask, vals):
    placed("place", arr, vals, constant(mask, "place: mask"))


def putmask(a, mask, values):
    placed("putmask", a, values, constant(mask, "putmask: mask"))


def put(a, ind, v, mode="raise"):
    placed("put", a, v, constant(ind, "put: ind"), mode=mode)


def put_along_axis(arr, indices, values, axis):
    placed("put_along_axis", arr, values, constant(indices, "put_along_axis: indices"), after=(axis,))


def copyto(dst, src, casting="same_kind", where=True):
    src = operand(src) if type(src) not in NUMBERS else np.asarray(src, dst.dtype)
    if not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"copyto: cannot cast {src.dtype} to {dst.dtype} under casting={casting!r}")
    store(dst, cast(src, dst.dtype) if where is True else F.where(truth(where), cast(src, dst.dtype), dst), "copyto")


def ix_(*args):
    parts = [nonzero(a)[0] if operand(a).dtype == bool else operand(a) for a in args]
    return tuple(p.reshape((1,) * i + (-1,) + (1,) * (len(parts) - i - 1)) for i, p in enumerate(parts))


# --- elementwise -----------------------------------------------------------------------------------------------------


round = lambda a, decimals=0: F.round(operand(a), decimals=decimals)
fix = lambda x: F.trunc(operand(x))
real = lambda val: F.real(operand(val))


def imag(val):
    x = operand(val)
    return F.imag(x) if x.dtype.kind == "c" else full_like(x, 0)


def angle(z, deg=False):
    y = F.angle(inexact(z))
    return y * (180 / math.pi) if deg else y


isreal = lambda x: imag(x) == 0
iscomplex = lambda x: imag(x) != 0


def real_if_close(a, tol=100):
    x = operand(a)
    if x.dtype.kind != "c":
        return x
    limit = tol * np.finfo(x.dtype).eps if tol > 1 else tol
    return F.real(x) if (np.abs(plain(x).imag) < limit).all() else x


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    a, b = common(inexact(a), inexact(b))
    return F.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


allclose = lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: np.allclose(plain(a), plain(b), rtol, atol, equal_nan)


def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    x = operand(x)
    y = F.nan_to_num(x, nan, posinf, neginf) if x.dtype.kind == "f" else x
    if x.dtype.kind == "c":
        y = F.complex(F.nan_to_num(x.real, nan, posinf, neginf), F.nan_to_num(x.imag, nan, posinf, neginf))
    return y if copy else store(x, y, "nan_to_num")


isneginf = lambda x: F.isneginf(inexact(x))
isposinf = lambda x: F.isposinf(inexact(x))
sinc = lambda x: F.sinc(inexact(x))
i0 = lambda x: F.i0(inexact(x))


def unwrap(p, discont=None, axis=-1, period=2 * math.pi):
    x = operand(p)
    x, half = cast(x, type_from(np.unwrap, x.dtype)), period / 2
    step = diff(x, axis=axis)
    short = (step + half) % period - half
    short = F.where((short == -half) & (step > 0), np.asarray(half, x.dtype), short)
    change = F.where(F.abs(step) < operand(half if discont is None else discont), np.zeros((), x.dtype), short - step)
    return F.cat([cut(x, axis, 0, 1), cut(x, axis, 1) + F.cumsum(change, axis)], axis)


def interp(x, xp, fp, left=None, right=None, period=None):
    x, xp = (cast(v, np.float64) for v in common(x, xp))
    fp = cast(operand(fp), np.result_type(operand(fp).dtype, np.float64))
    if period is not None:
        x, xp = x % abs(period), xp % abs(period)
        order = np.argsort(plain(xp))
        xp, fp = pick(xp, order), pick(fp, order)
        xp, fp = F.cat([xp[-1:] - abs(period), xp, xp[:1] + abs(period)], 0), F.cat([fp[-1:], fp, fp[:1]], 0)
        left = right = None
    low = F.clamp(searchsorted(xp, x, "right") - 1, 0, builtins.max(xp.shape[0] - 2, 0))
    high = F.clamp_max(low + 1, xp.shape[0] - 1)
    x0, x1, f0, f1 = pick(xp, low), pick(xp, high), pick(fp, low), pick(fp, high)
    width = F.where(x1 > x0, x1 - x0, np.ones(()))
    y = f0 + (x - x0) * ((f1 - f0) / width)
    y = F.where(x < xp[0], fp[0] if left is None else cast(left, fp.dtype), y)
    return F.where(x > xp[-1], fp[-1] if right is None else cast(right, fp.dtype), y)


# --- sums and differences along an axis ------------------------------------------------------------------------------


def scanned(function: Any, like: Any, a: Any, axis: Any, dtype: Any) -> Any:
    x = operand(a)
    dtype = dtype or type_from(like, x.dtype)
    x = cast(x, dtype)
    return cast(function(x.reshape((-1,)), 0) if axis is None else function(x, axis), dtype)


cumsum = lambda a, axis=None, dtype=None: scanned(F.cumsum, np.cumsum, a, axis, dtype)
cumprod = lambda a, axis=None, dtype=None: scanned(F.cumprod, np.cumprod, a, axis, dtype)


def cumulative_sum(x, axis=None, dtype=None, include_initial=False):
    return cumulative(cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x, axis=None, dtype=None, include_initial=False):
    return cumulative(cumprod, 1, x, axis, dtype, include_initial)


def cumulative(scan, first, x, axis, dtype, include_initial):
    x = operand(x)
    if axis is None and x.ndim != 1:
        raise ValueError(f"cumulative_sum, cumulative_prod: an array with {x.ndim} axes needs axis")
    y = scan(x, axis or 0, dtype)
    if not include_initial:
        return y
    start = np.full(y[along_axis(y, axis or 0, slice(0, 1))].shape if y.shape[axis or 0] else (1,), first, y.dtype)
    return F.cat([start, y], axis or 0)


def along_axis(x: Any, axis: int, key: slice) -> tuple:
    """The index that applies a slice to one axis."""
    return (slice(None),) * normalize_axis_index(axis, x.ndim) + (key,)


def cut(x: Any, axis: int, start: int | None, stop: int | None = None) -> Any:
    return x[along_axis(x, axis, slice(start, stop))]


def diff(a, n=1, axis=-1, prepend=None, append=None):
    x = operand(a)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    one = tuple(1 if i == normalize_axis_index(axis, x.ndim) else m for i, m in enumerate(x.shape))
    edge = lambda v: [] if v is None else [spread(v, one) if operand(v).ndim == 0 else operand(v)]
    parts = [*edge(prepend), x, *edge(append)]
    x = concatenate(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        after, before = cut(x, axis, 1), cut(x, axis, None, -1)
        x = after != before if x.dtype == bool else after - before
    return x


def ediff1d(ary, to_end=None, to_begin=None):
    x = ravel(ary)
    parts = [to_begin, x[1:] - x[:-1], to_end]
    return F.cat([cast(ravel(p), x.dtype) for p in parts if p is not None], 0)


def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = operand(y)
    if x is None:
        width = dx
    else:
        width = diff(x, axis=axis if operand(x).ndim > 1 else -1)
        if width.ndim == 1:
            width = width.reshape(tuple(-1 if i == normalize_axis_index(axis, y.ndim) else 1 for i in range(y.ndim)))
    y = inexact(y)
    parts = yielding(width, (cut(y, axis, 1) + cut(y, axis, None, -1)) / 2)
    return sum(parts[0] * parts[1], axis)


def gradient(f, *varargs, axis=None, edge_order=1):
    f = inexact(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    steps = varargs or (1.0,)
    if len(steps) == 1 and np.ndim(stand_in(steps[0])) == 0:
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"gradient: {len(steps)} spacings for {len(axes)} axes")
    results = tuple(slope_along(f, step, i, edge_order) for step, i in zip(steps, axes))
    return results[0] if len(results) == 1 else results


def slope_along(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Second-order differences inside, differences of the given order at the edges, for even or uneven steps."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"gradient: {n} entries along axis {axis}; edge_order={edge_order} needs {edge_order + 1}")
    step = step if type(step) in NUMBERS else operand(step)
    even = np.ndim(stand_in(step)) == 0
    if not even and step.shape[0] != n:
        raise ValueError(f"gradient: {step.shape[0]} coordinates for {n} entries along axis {axis}")
    widths = spread(step, (n - 1,)) if even else step[1:] - step[:-1]
    widths = cast(widths.reshape((-1,) + (1,) * (f.ndim - axis - 1)), f.dtype)
    slopes = (cut(f, axis, 1) - cut(f, axis, None, -1)) / widths
    h, k = widths[:-1], widths[1:]
    inside = (cut(slopes, axis, None, -1) * k + cut(slopes, axis, 1) * h) / (h + k)
    first, last = cut(slopes, axis, 0, 1), cut(slopes, axis, -1)
    if edge_order == 2:
        h, k = widths[0], widths[1]
        first = first + (first - cut(slopes, axis, 1, 2)) * (h / (h + k))
        h, k = widths[-2], widths[-1]
        last = last + (last - entry_of(slopes, axis, -2)) * (k / (h + k))
    return F.cat([first, inside, last], axis)


def entry_of(x: Any, axis: int, i: int) -> Any:
    """One entry along an axis, which stays with length one."""
    return cut(x, axis, i, i + 1 or None)


# --- products --------------------------------------------------------------------------------------------------------


def dot(a, b):
    a, b = common(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return F.matmul(a, b) if b.ndim <= 2 else F.tensordot(a, b, dims=([-1], [-2]))


def inner(a, b):
    a, b = common(a, b)
    return a * b if a.ndim == 0 or b.ndim == 0 else F.tensordot(a, b, dims=([-1], [-1]))


def vdot(a, b):
    a, b = common(a, b)
    return F.sum(F.conj(ravel(a)) * ravel(b))


def outer(a, b):
    a, b = common(a, b)
    return a.reshape((-1, 1)) * b.reshape((1, -1))


kron = lambda a, b: F.kron(*common(a, b))


def tensordot(a, b, axes=2):
    listed = lambda x: [int(i) for i in np.atleast_1d(x)]
    dims = axes if isinstance(axes, int) else (listed(axes[0]), listed(axes[1]))
    return F.tensordot(*common(a, b), dims=dims)


def einsum(*operands, optimize=False, dtype=None, order="K", casting="safe"):
    if not isinstance(operands[0], str):
        operands = lettered(operands)
    return F.einsum(operands[0], *common(*map(operand, operands[1:]), dtype=dtype))


def lettered(operands: tuple) -> tuple:
    """einsum's arguments with subscripts as a string, from pairs of an operand and a list of axis numbers."""
    spell = lambda axes: "".join("..." if i is Ellipsis else chr((65 if i < 26 else 71) + i) for i in axes)
    arrays, axes = operands[0 : len(operands) // 2 * 2 : 2], operands[1::2]
    result = f"->{spell(operands[-1])}" if len(operands) % 2 else ""
    return (",".join(map(spell, axes)) + result, *arrays)


einsum_path = lambda *operands, optimize="greedy": np.einsum_path(*map(stand_in, operands), optimize=optimize)


def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = common(a, b)
    a, b = F.movedim(a, axisa, -1), F.movedim(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(f"cross: needs vectors of three components, got {a.shape[-1]} and {b.shape[-1]}")
    (a0, a1, a2), (b0, b1, b2) = ([v[..., i] for i in range(3)] for v in (a, b))
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return F.movedim(F.stack(parts, -1), -1, axisc)


trace = lambda a, offset=0, axis1=0, axis2=1, dtype=None: sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def full_convolution(a: Any, v: Any) -> Any:
    """Every overlap of two sequences, the first at least as long as the second."""
    n = v.shape[0]
    zeros = np.zeros(n - 1, a.dtype)
    return F.matmul(F.unfold(F.cat([zeros, a, zeros], 0), 0, n, 1), F.flip(v, (0,)))


def overlaps(a: Any, v: Any, mode: str, late: bool = False) -> Any:
    a, v = common(a, v)
    a, v = a.reshape((-1,)), v.reshape((-1,))
    if 0 in (a.shape[0], v.shape[0]):
        raise ValueError("convolve, correlate: sequences must not be empty")
    late = late and a.shape[0] < v.shape[0]
    a, v = (a, v) if a.shape[0] >= v.shape[0] else (v, a)
    m, n = a.shape[0], v.shape[0]
    y = full_convolution(a, v)
    if mode == "full":
        return y
    if mode not in ("same", "valid"):
        raise ValueError(f"convolve, correlate: mode must be 'full', 'same' or 'valid', got {mode!r}")
    start = n - 1 if mode == "valid" else n // 2 if late else (n - 1) // 2
    return y[start : start + (m - n + 1 if mode == "valid" else m)]


convolve = lambda a, v, mode="full": overlaps(a, v, mode)
correlate = lambda a, v, mode="valid": overlaps(a, F.flip(F.conj(operand(v)), (0,)), mode, late=True)


# --- polynomials -----------------------------------------------------------------------------------------------------


def polyval(p, x):
    x = operand(x)
    coefficients = rows(p)
    y = full_like(x, 0, dtype=common(x, *coefficients)[0].dtype)
    for c in coefficients:
        y = y * x + c
    return y


def polyadd(a1, a2):
    a, b = common(ravel(a1), ravel(a2))
    n = builtins.max(a.shape[0], b.shape[0])
    lead = lambda v: F.cat([np.zeros(n - v.shape[0], v.dtype), v], 0)
    return lead(a) + lead(b)


polysub = lambda a1, a2: polyadd(a1, -ravel(a2))
polymul = lambda a1, a2: convolve(a1, a2)


def polyder(p, m=1):
    p = operand(p)
    for _ in range(m):
        p, powers = common(p[:-1], np.arange(p.shape[0] - 1, 0, -1))
        p = p * powers
    return p


def polyint(p, m=1, k=None):
    p = inexact(p)
    k = ravel(0.0 if k is None else k)
    k = spread(k, (m,)) if k.shape[0] == 1 else k
    for i in range(m):
        p, powers = common(p, np.arange(p.shape[0], 0, -1))
        p = concatenate((p / powers, k[i : i + 1]))
    return p


def vander(x, N=None, increasing=False):
    x = operand(x)
    x, powers = common(x, np.arange(x.shape[0] if N is None else N))
    y = F.pow(x.reshape((-1, 1)), powers)
    return y if increasing else F.flip(y, (1,))


def polyfit(x, y, deg, w=None):
    x, y = inexact(x), inexact(y)
    a, b = vander(x, deg + 1), y
    if w is not None:
        w = inexact(w)
        a, b = a * w.reshape((-1, 1)), b * w.reshape((-1,) + (1,) * (y.ndim - 1))
    scale = F.sqrt(F.sum(a * a, dim=0))
    c = F.matmul(linalg_pinv(a / scale), b)
    return c / scale.reshape((-1,) + (1,) * (y.ndim - 1))


def linalg_pinv(a: Any) -> Any:
    from .ops import linalg

    return linalg.pinv(a)


# --- joining and splitting -------------------------------------------------------------------------------------------


def concatenate(arrays, axis=0, out=None, dtype=None, casting="same_kind"):
    parts = common(*map(operand, rows(arrays)), dtype=dtype)
    return F.cat([p.reshape((-1,)) for p in parts], 0) if axis is None else F.cat(parts, axis)


def stack(arrays, axis=0, dtype=None, casting="same_kind"):
    return F.stack(common(*map(operand, rows(arrays)), dtype=dtype), axis)


vstack = lambda tup, dtype=None, casting="same_kind": concatenate([atleast_2d(a) for a in rows(tup)], 0, dtype=dtype)


def hstack(tup, dtype=None, casting="same_kind"):
    parts = [atleast_1d(a) for a in rows(tup)]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype=dtype)


dstack = lambda tup: concatenate([atleast_3d(a) for a in rows(tup)], 2)


def column_stack(tup):
    parts = [operand(a) for a in rows(tup)]
    return concatenate([p.reshape((-1, 1)) if p.ndim < 2 else p for p in parts], 1)


def block(arrays):
    depth = lambda x: 1 + builtins.max(map(depth, x)) if isinstance(x, list) else 0
    leaves = lambda x: [y for v in x for y in leaves(v)] if isinstance(x, list) else [operand(x)]
    levels = depth(arrays)
    ndim = builtins.max(levels, *(x.ndim for x in leaves(arrays)), 0)

    def joined(x: Any, level: int) -> Any:
        if isinstance(x, list):
            return concatenate([joined(v, level - 1) for v in x], -level)
        x = operand(x)
        return x.reshape((1,) * (ndim - x.ndim) + tuple(x.shape))

    return joined(arrays, levels)


def unstack(x, axis=0):
    x = F.movedim(operand(x), axis, 0)
    return tuple(x[i] for i in range(x.shape[0]))


def array_split(ary, indices_or_sections, axis=0):
    x = operand(ary)
    n = x.shape[normalize_axis_index(axis, x.ndim)]
    if np.ndim(indices_or_sections):
        bounds = [0, *(int(i) for i in indices_or_sections), n]
    else:
        size, longer = divmod(n, int(indices_or_sections))
        bounds = [i * size + builtins.min(i, longer) for i in range(int(indices_or_sections) + 1)]
    return [cut(x, axis, start, stop) for start, stop in zip(bounds, bounds[1:])]


def split(ary, indices_or_sections, axis=0):
    n = operand(ary).shape[axis]
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(f"split: {n} entries do not divide into {indices_or_sections} equal parts; use array_split")
    return array_split(ary, indices_or_sections, axis)


hsplit = lambda ary, indices_or_sections: split(ary, indices_or_sections, 1 if operand(ary).ndim > 1 else 0)
vsplit = lambda ary, indices_or_sections: split(ary, indices_or_sections, needs_axes("vsplit", ary, 2) and 0)
dsplit = lambda ary, indices_or_sections: split(ary, indices_or_sections, needs_axes("dsplit", ary, 3) and 2)


def needs_axes(name: str, x: Any, least: int) -> int:
    if operand(x).ndim < least:
        raise ValueError(f"{name}: needs an array with {least} axes or more, got {operand(x).ndim}")
    return least


# --- shapes ----------------------------------------------------------------------------------------------------------


def reshape(a, shape, order="C", copy=None):
    x = operand(a)
    shape = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    y = x.reshape(shape) if order != "F" else transpose(transpose(x).reshape(shape[::-1]))
    return F.clone(y) if copy else y


def ravel(a, order="C"):
    x = operand(a)
    return (transpose(x) if order == "F" else x).reshape((-1,))


def transpose(a, axes=None):
    x = operand(a)
    return F.permute(x, tuple(range(x.ndim))[::-1] if axes is None else tuple(int(i) for i in axes))


moveaxis = lambda a, source, destination: F.movedim(operand(a), source, destination)
swapaxes = lambda a, axis1, axis2: F.swapaxes(operand(a), axis1, axis2)
matrix_transpose = lambda x: swapaxes(x, -1, -2)


def rollaxis(a, axis, start=0):
    x = operand(a)
    axis = normalize_axis_index(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return F.movedim(x, axis, start - 1 if axis < start else start)


def squeeze(a, axis=None):
    x = operand(a)
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axis_tuple(axis, x.ndim)
    if wide := [i for i in axes if x.shape[i] != 1]:
        raise ValueError(f"squeeze: axis {wide[0]} has length {x.shape[wide[0]]}, not one")
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def expand_dims(a, axis):
    x = operand(a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = x.ndim + len(axes)
    axes, lengths = normalize_axis_tuple(axes, ndim), iter(x.shape)
    return x.reshape(tuple(1 if i in axes else next(lengths) for i in range(ndim)))


broadcast_to = lambda array, shape, subok=False: spread(array, (shape,) if isinstance(shape, int) else shape)


def broadcast_arrays(*args, subok=False):
    xs = [operand(a) for a in args]
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in xs))
    return tuple(spread(x, shape) for x in xs)


def at_least(args: tuple, shape_of: Any) -> Any:
    xs = [operand(a) for a in args]
    results = tuple(x.reshape(shape_of(*x.shape)) for x in xs)
    return results[0] if len(results) == 1 else results


atleast_1d = lambda *arys: at_least(arys, lambda *shape: shape or (1,))
atleast_2d = lambda *arys: at_least(arys, lambda *shape: (1,) * (2 - len(shape)) + shape)


def atleast_3d(*arys):
    deep = {0: lambda: (1, 1, 1), 1: lambda n: (1, n, 1), 2: lambda n, m: (n, m, 1)}
    return at_least(arys, lambda *shape: shape if len(shape) > 2 else deep[len(shape)](*shape))


tile = lambda A, reps: F.tile(operand(A), (reps,) if np.ndim(reps) == 0 else tuple(int(r) for r in reps))


def repeat(a, repeats, axis=None):
    x, axis = (ravel(a), 0) if axis is None else (operand(a), axis)
    axis = normalize_axis_index(axis, x.ndim)
    return pick(x, np.repeat(np.arange(x.shape[axis]), constant(repeats, "repeat: repeats")), axis)


def roll(a, shift, axis=None):
    x = operand(a)
    if axis is None:
        return roll(ravel(x), shift, 0).reshape(tuple(x.shape))
    pairs = np.broadcast_arrays(shift, axis)
    shifts, axes = (tuple(int(i) for i in np.atleast_1d(p)) for p in pairs)
    for s, i in zip(shifts, axes):
        x = F.roll(x, s, i)
    return x


def flip(m, axis=None):
    x = operand(m)
    return F.flip(x, tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim))


fliplr = lambda m: flip(m, needs_axes("fliplr", m, 2) - 1)
flipud = lambda m: flip(m, needs_axes("flipud", m, 1) - 1)
rot90 = lambda m, k=1, axes=(0, 1): F.rot90(operand(m), k, tuple(axes))


def diag(v, k=0):
    x = operand(v)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: needs an array with one or two axes, got {x.ndim}")
    return F.diag_embed(x, k) if x.ndim == 1 else diagonal(x, k)


diagflat = lambda v, k=0: F.diag_embed(ravel(v), k)
diagonal = lambda a, offset=0, axis1=0, axis2=1: F.diagonal(operand(a), offset, axis1, axis2)
tril = lambda m, k=0: triangle(F.tril, m, k)
triu = lambda m, k=0: triangle(F.triu, m, k)


def triangle(function: Any, m: Any, k: int) -> Any:
    x = operand(m)
    return function(spread(x, (x.shape[0],) * 2) if x.ndim == 1 else x, k)


def pad(array, pad_width, mode="constant", **options):
    x = operand(array)
    widths = pairs_for(x.ndim, pad_width)
    if mode == "constant":
        values = pairs_for(x.ndim, options.get("constant_values", 0), rows_of_objects=True)
        for axis, ((before, after), (low, high)) in enumerate(zip(widths, values)):
            edge = lambda n, v, axis=axis, x=x: spread(cast(v, x.dtype), (*x.shape[:axis], n, *x.shape[axis + 1 :]))
            x = F.cat([edge(before, low), x, edge(after, high)], axis) if before or after else x
        return x
    if mode not in ("edge", "reflect", "symmetric", "wrap") or options:
        what = f"mode={mode!r}" + "".join(f" and {name}" for name in options)
        raise TypeError(f"numpy.pad with {what} is not covered for Tensor; use t.detach().numpy() to leave the tape")
    for axis, width in enumerate(widths):
        if any(np.asarray(width)):
            x = pick(x, np.pad(np.arange(x.shape[axis]), width, mode), axis)
    return x


def pairs_for(ndim: int, spec: Any, rows_of_objects: bool = False) -> list:
    """What `np.pad` takes for each axis and side: one for all, a pair for all, or a pair for each axis."""
    if isinstance(spec, dict):
        return [pairs_for(1, next((spec[k] for k in (i, i - ndim) if k in spec), 0))[0] for i in range(ndim)]
    if rows_of_objects and traced_in(spec):
        spec = [spec, spec] if isinstance(spec, Traced) else spec
        return list(map(tuple, spec)) if isinstance(spec[0], (list, tuple)) else [tuple(spec)] * ndim
    return [tuple(p) for p in np.broadcast_to(np.asarray(spec), (ndim, 2)).tolist()]


# --- making arrays ---------------------------------------------------------------------------------------------------


def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, device=None):
    x = operand(a)
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    shape = tuple(x.shape) if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    if isinstance(fill_value, Traced):
        return F.clone(spread(cast(fill_value, dtype), shape))
    y = np.full(shape, fill_value, dtype)
    if isinstance(x, (Dual, Batched)) and shape == tuple(x.shape):
        return F.where(np.False_, cast(x, dtype), y)  # so that it can be written to inside the transform
    return y


zeros_like = lambda a, dtype=None, order="K", subok=True, shape=None, device=None: full_like(a, 0, dtype, shape=shape)
ones_like = lambda a, dtype=None, order="K", subok=True, shape=None, device=None: full_like(a, 1, dtype, shape=shape)


def empty_like(prototype, dtype=None, order="K", subok=True, shape=None, device=None):
    return full_like(prototype, 0, dtype, shape=shape)


copy = lambda a, order="K", subok=False: F.clone(operand(a))


def astype(x, dtype, copy=True, device=None):
    y = cast(operand(x), dtype)
    return F.clone(y) if copy and y is x else y


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, device=None):
    start, stop = map(inexact, yielding(start, stop))
    num, parts = operator.index(num), operator.index(num) - bool(endpoint)
    if num < 0:
        raise ValueError(f"linspace: the number of samples must not be negative, got {num}")
    start, stop = broadcast_arrays(start, stop)
    step = (stop - start) / parts if parts > 0 else (stop - start) * np.asarray(np.nan, start.dtype)
    places = np.arange(num, dtype=start.dtype).reshape((-1,) + (1,) * start.ndim)
    y = start + places * step if parts > 0 else start + places * (stop - start)
    if endpoint and num > 1:
        y = F.cat([y[:-1], expand_dims(stop, 0)], 0)
    if dtype is not None:
        y = cast(F.floor(y) if np.dtype(dtype).kind in "iu" else y, dtype)
    y = F.movedim(y, 0, axis) if axis else y
    return (y, step) if retstep else y


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    exponents = linspace(start, stop, num, endpoint)
    y = F.pow(*yielding(base, exponents))
    y = y if dtype is None else cast(y, dtype)
    return F.movedim(y, 0, axis) if axis else y


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    start, stop = common(inexact(start), inexact(stop))
    seen = not isinstance(start * stop, Batched)
    if start.dtype.kind == "c" or seen and (plain(start) * plain(stop) <= 0).any():
        raise ValueError("geomspace: start and stop must be real, of one sign, and not zero")
    sign = F.sgn(start)
    y = sign * F.exp(linspace(F.log(start * sign), F.log(stop * sign), num, endpoint))
    if num > 0:
        first = expand_dims(spread(start, y.shape[1:]), 0)
        last = expand_dims(spread(stop, y.shape[1:]), 0)
        y = F.cat([first, y[1:-1], last], 0) if endpoint and num > 1 else F.cat([first, y[1:]], 0)
    y = y if dtype is None else cast(y, dtype)
    return F.movedim(y, 0, axis) if axis else y


def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    place = lambda i: 1 - i if indexing == "xy" and i < 2 <= len(xi) else i
    lined = lambda x, i: x.reshape(tuple(-1 if k == place(i) else 1 for k in range(len(xi))))
    parts = tuple(lined(operand(x), i) for i, x in enumerate(xi))
    return parts if sparse else tuple(map(F.clone, broadcast_arrays(*parts))) if copy else broadcast_arrays(*parts)


# --- statistics ------------------------------------------------------------------------------------------------------


def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, dtype=None):
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"cov: ddof must be an integer, got {ddof}")
    ddof = (0 if bias else 1) if ddof is None else ddof
    parts = [operand(v) for v in (m, y) if v is not None]
    dtype = dtype or np.result_type(*(p.dtype for p in parts), np.float64)
    rowed = lambda v: v.reshape((1, -1)) if v.ndim < 2 else v if rowvar else transpose(v)
    x = concatenate([rowed(cast(p, dtype)) for p in parts], 0)
    w = None if fweights is None else inexact(fweights)
    if aweights is not None:
        w = inexact(aweights) if w is None else w * inexact(aweights)
    total = x.shape[1] if w is None else F.sum(w)
    center = (F.sum(x, dim=1) if w is None else F.matmul(x, cast(w, dtype))) / total
    if aweights is None or ddof == 0:
        spare = total - ddof
    else:
        spare = total - ddof * F.sum(w * inexact(aweights)) / total
    x = x - center.reshape((-1, 1))
    weighted = x if w is None else x * w
    return squeeze(F.matmul(weighted, F.conj(transpose(x))) / spare)


def corrcoef(x, y=None, rowvar=True, dtype=None):
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    d = F.sqrt(F.real(F.diagonal(c)))
    c = c / d.reshape((-1, 1)) / d.reshape((1, -1))
    return c if c.dtype.kind == "c" else F.clamp(c, -1, 1)


def bincount(x, weights=None, minlength=0):
    x = operand(x)
    if weights is None:
        return F.bincount(x, minlength=minlength)
    length = builtins.max(int(plain(x).max(initial=-1)) + 1, minlength)
    return F.index_add(np.zeros(length), 0, x, cast(operand(weights), np.float64))


def histogram_bin_edges(a, bins=10, range=None, weights=None):
    if not isinstance(bins, (int, str)):
        return operand(bins)
    edges = np.histogram_bin_edges(plain(a), bins, range, None if weights is None else plain(weights))
    if range is not None or not needs_grad(a) or plain(a).size == 0 or plain(a).min() == plain(a).max():
        return edges
    return linspace(min(a), max(a), len(edges))


def histogram(a, bins=10, range=None, density=None, weights=None):
    edges = histogram_bin_edges(a, bins, range, weights)
    if not needs_grad(weights):
        counts, _ = np.histogram(plain(a), plain(edges), None, density, None if weights is None else plain(weights))
        return counts, edges
    where, n = np.searchsorted(plain(edges), plain(a).ravel(), "right") - 1, edges.shape[0] - 1
    where[plain(a).ravel() == plain(edges)[-1]] = n - 1
    inside = np.flatnonzero((where >= 0) & (where < n))
    counts = cast(bincount(where[inside], pick(ravel(weights), inside), n), operand(weights).dtype)
    return counts / diff(edges) / F.sum(counts) if density else counts, edges


# --- applying functions ----------------------------------------------------------------------------------------------


def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    x = operand(arr)
    axis = normalize_axis_index(axis, x.ndim)
    x = F.movedim(x, axis, -1)
    lead = tuple(x.shape[:-1])
    lines = x.reshape((-1, x.shape[-1]))
    y = stack([operand(func1d(lines[i], *args, **kwargs)) for i in range(lines.shape[0])])
    y, extra = y.reshape(lead + tuple(y.shape[1:])), y.ndim - 1
    return F.movedim(y, tuple(range(len(lead), len(lead) + extra)), tuple(range(axis, axis + extra))) if extra else y


def apply_over_axes(func, a, axes):
    x = operand(a)
    for axis in np.atleast_1d(axes):
        y = func(x, int(axis))
        x = y if y.ndim == x.ndim else expand_dims(y, int(axis) % x.ndim)
    return x


amax, amin, around = max, min, round
