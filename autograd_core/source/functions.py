"""What source transformation knows of NumPy, math and Python's own functions: kinds of results, and adjoints.

Elementwise functions have no entry of their own: their ops' declarations are asked, on symbols.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..interop import ours
from ..ops import PUBLIC
from .kinds import BOOL, FLOAT, INT, Kind, Scope, array, broadcast, product_kind
from .read import is_of_tensors, missing


class Entry:
    """A function: what it takes, the kind of its result, how a cotangent goes through it, and what else is to be known.

    What it takes are the names of its values, and with = after them of options, which are no values.
    """

    def __init__(self, takes: str, kind: Callable, pull: Callable | None = None, **options: bool):
        self.takes, self.kind, self.pull = takes, kind, pull
        self.view = options.get("view", False)
        self.copies = options.get("copies", False)  # what is a view of a contiguous array is a copy of another
        self.numbers = options.get("numbers", False)  # it is not of arrays
        self.listed = takes.startswith("items")
        self.values = [n.rstrip("?") for n in takes.split() if n[-1] not in "=*"]
        self.options = [n[:-1] for n in takes.split() if n[-1] == "="]
        self.least = sum(n[-1] not in "=*?" for n in takes.split())
        self.most = None if "*" in takes else len(self.values)  # how many arguments are values

    def given(self, scope: Scope, e: ast.Call, args: list[ast.expr]) -> list[ast.expr]:
        """The positional arguments, and the values that are given by name in their places."""
        name, found = ast.unparse(e.func), list(args)
        named = {k.arg: k.value for k in e.keywords}
        for n in named.keys() - {*self.values, *self.options}:
            scope.function.refuse(e, f"{name} is not known with the argument {n}; known are: {self.readable()}")
        while len(found) < len(self.values) and self.values[len(found)] in named:
            found.append(named.pop(self.values[len(found)]))
        if self.most is not None and len(found) > self.most + len(self.options):
            scope.function.refuse(e, f"{name} is not known with {len(found)} arguments; known are: {self.readable()}")
        if len(found) < self.least or named.keys() & set(self.values):
            scope.function.refuse(e, f"{name} needs the arguments {self.readable()}")
        if self.numbers and any((k := scope.kind(a)) and k.ndim for a in found):
            scope.function.refuse(e, f"{name} is of a number here, not of an array")
        return found

    def readable(self) -> str:
        """What it takes, in words."""
        return ", ".join([*self.values, *self.options]) or "none"


class Elementwise(Entry):
    """An elementwise function, known by what it does to symbols."""

    def __init__(self, takes: str, symbolic: Callable, base: str | None = "float", numbers: bool = False):
        super().__init__(takes, self.kind, lambda p, e, args, g: p.elementwise(e, args, symbolic, g), numbers=numbers)
        self.base = base

    def kind(self, scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:  # type: ignore[override]
        """That of its arguments."""
        inexact = self.base == "float" and all(k.base != "float" for k in kinds)
        return broadcast(*kinds, base="float" if inexact else None)


TABLE: dict[Any, Entry] = {}
METHODS: dict[str, Any] = {}


def entry_of(scope: Scope, e: ast.Call) -> tuple[Entry, list[ast.expr]]:
    """What is known of the function that is called, and its positional arguments; a method's array comes first."""
    function = scope.function.resolve(e.func, scope.local)
    args = list(e.args)
    if function is missing and isinstance(e.func, ast.Attribute):
        function, args = METHODS.get(e.func.attr, missing), [e.func.value, *args]
        if function is missing:
            scope.function.refuse(e, f"the method .{e.func.attr} is not known; known are {', '.join(sorted(METHODS))}")
    if function is missing:
        scope.function.refuse(e, f"{ast.unparse(e.func)} is not defined where the function stands")
    found = known(function) or unknown(scope, e, function)
    return found, found.given(scope, e, args)


def known(function: Any) -> Entry | None:
    """What is known of a function."""
    if isinstance(function, np.ufunc) and function not in TABLE and not function.signature and (f := ours(function)):
        TABLE[function] = _of_ufunc(function, f)
    return TABLE.get(function) if function.__hash__ else None


def unknown(scope: Scope, e: ast.Call, function: Any) -> Any:
    """Refuse a function, and say what to write instead."""
    what = "is not known to source_grad; write it with what is, or as a function of yours"
    if is_of_tensors(function):
        alike = next((f"write np.{n}" for n in dir(np) if _alike(getattr(np, n), function)), "")
        what = "is a function of tensors, and this source is run on numbers and arrays; "
        what += alike or "write it with NumPy's or math's functions, or use ag.grad"
    return scope.function.refuse(e, f"{ast.unparse(e.func)} {what}")


def _alike(f: Any, mine: Callable) -> bool:
    """Whether a function of NumPy's is known here, and does what one of ours does."""
    return (
        ours(f) is mine if isinstance(f, np.ufunc) else getattr(f, "__name__", "") == mine.__name__ and bool(known(f))
    )


def _of_ufunc(ufunc: np.ufunc, f: Callable) -> Entry:
    op, takes = getattr(f, "op", None), "x y"[: 2 * ufunc.nin - 1]
    if op is not None and not op.differentiable:
        base = "bool" if "?" in ufunc.types[-1].partition("->")[2] else None
        return Entry(takes, lambda scope, e, args, kinds: broadcast(*kinds, base=base), pull_nothing)
    keeps = "l->l" in ufunc.types or "ll->l" in ufunc.types
    return Elementwise(takes, f, None if keeps else "float")


def keyword(e: ast.Call, args: list, name: str, place: int) -> ast.expr | None:
    """An argument by its name or its place."""
    return next((k.value for k in e.keywords if k.arg == name), args[place] if len(args) > place else None)


def literal(scope: Scope, e: ast.expr, what: str) -> Any:
    """A number that is written out."""
    try:
        return ast.literal_eval(e)
    except ValueError:
        return scope.function.refuse(e, f"{what} must be written as a number, not {ast.unparse(e)}")


def axis_of(scope: Scope, e: ast.Call, args: list, kind: Kind) -> int | None:
    """The axis that a reduction is over, None if over all."""
    given = keyword(e, args, "axis", 1)
    if given is None:
        return None
    axis = literal(scope, given, "axis")
    if axis is not None and not (isinstance(axis, int) and -kind.ndim <= axis < kind.ndim):
        scope.function.refuse(e, f"axis {axis!r} of {kind}")
    return axis if axis is None else axis % kind.ndim


# --- kinds ---


def reduced(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of a reduction over all axes, or over one."""
    base, floats = kinds[0].base, kinds[0].dtype.startswith("float")
    if axis_of(scope, e, args, kinds[0]) is None:
        return INT if base == "bool" else Kind(base)
    return array(kinds[0].ndim - 1, kinds[0].dtype if floats else "int64")


def averaged(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of a mean."""
    if axis_of(scope, e, args, kinds[0]) is None:
        return FLOAT
    return array(kinds[0].ndim - 1, kinds[0].dtype if kinds[0].base == "float" else "float64")


def like_first(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """That of the first argument."""
    return kinds[0]


def made_like(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of an array that is made in the shape of another."""
    if not kinds[0].ndim:
        scope.function.refuse(e, f"{ast.unparse(e.func)} of a number; write the number")
    return array(kinds[0].ndim, _dtype(scope, e, args, default=kinds[0].dtype))


def of_vectors(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of what is known of arrays with one axis."""
    if any(k.ndim != 1 for k in kinds):
        scope.function.refuse(e, f"{ast.unparse(e.func)} is supported of arrays with one axis")
    outer = len(kinds) == 2
    return array(2, np.result_type(*(k.dtype for k in kinds)).name) if outer else summed_type(kinds[0])


def summed_type(kind: Kind) -> Kind:
    """The kind of sums of the entries of an array along it."""
    return array(kind.ndim, kind.dtype if kind.base == "float" else "int64")


def larger_kind(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of Python's max and min."""
    if len(kinds) < 2:
        scope.function.refuse(e, f"{ast.unparse(e.func)} is supported of two numbers; of an array, use NumPy's")
    return broadcast(*kinds)


def norm_kind(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of the length of a vector."""
    if len(args) > 1 or e.keywords:
        scope.function.refuse(e, "np.linalg.norm is supported without options")
    return FLOAT


def searched(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.searchsorted."""
    if kinds[1].ndim:
        scope.function.refuse(e, "np.searchsorted is supported of one number in an array")
    return INT


def made(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of an array that is made of a shape."""
    shape = args[0]
    if isinstance(shape, (ast.Tuple, ast.List)):
        return array(len(shape.elts), _dtype(scope, e, args))
    if kinds[0] == INT:
        return array(1, _dtype(scope, e, args))
    if isinstance(shape, ast.Attribute) and shape.attr == "shape":
        return array(scope.kind(shape.value).ndim, _dtype(scope, e, args))  # type: ignore[union-attr]
    return scope.function.refuse(e, "a shape must be a whole number, a tuple of them, or the .shape of an array")


def _dtype(scope: Scope, e: ast.Call, args: list, place: int = 1, default: str = "float64") -> str:
    given = keyword(e, args, "dtype", place)
    if given is None:
        return default
    dtype = scope.function.resolve(given, scope.local)
    if dtype is missing:
        scope.function.refuse(e, f"{ast.unparse(given)} is not a type; write np.float64 or the like")
    return np.dtype(dtype).name


def filled(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.full."""
    kind = made(scope, e, args[:1], kinds)
    if kinds[1].ndim:
        scope.function.refuse(e, "np.full of an array; fill with a number, or assign to a part of an array of zeros")
    return array(kind.ndim, _dtype(scope, e, args, 2, TYPES[kinds[1].base]))


def listed(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of an array of items that are written out."""
    items, ndim = args[0], 0
    if not isinstance(items, (ast.List, ast.Tuple)):
        scope.function.refuse(e, "np.array of something that is not written out; use .copy() for a copy")
    leaves: list = [items]
    while isinstance(leaves[0], (ast.List, ast.Tuple)):
        leaves, ndim = [x for row in leaves for x in row.elts], ndim + 1
        if not leaves:
            scope.function.refuse(e, "np.array of nothing; use np.zeros(0)")
    found = scope.kinds_of(leaves)
    if found is None:
        return None  # type: ignore[return-value]
    if any(k.ndim for k in found):
        scope.function.refuse(e, "np.array of arrays; fill an array of zeros instead")
    return array(ndim, _dtype(scope, e, args, default=TYPES[broadcast(*found).base]))


def spread(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.arange and np.linspace."""
    if any(k.ndim for k in kinds):
        scope.function.refuse(e, f"{ast.unparse(e.func)} is known of numbers")
    whole = e.func.attr == "arange" and all(k.base == "int" for k in kinds)  # type: ignore[attr-defined]
    return array(1, "int64" if whole else "float64")


def reshaped(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.reshape."""
    shape = args[1:] if len(args) > 2 or kinds[1] == INT else [args[1]]
    if any(k.ndim or k.base not in ("int", "tuple") for k in kinds[1:]) or len(args) > 2 and set(kinds[1:]) != {INT}:
        scope.function.refuse(e, "a shape must be whole numbers, and its order is that of C")
    if len(shape) == 1 and isinstance(shape[0], (ast.Tuple, ast.List)):
        return array(len(shape[0].elts), kinds[0].dtype)
    if len(shape) == 1 and isinstance(shape[0], ast.Attribute) and kinds[1] != INT:
        return array(scope.kind(shape[0].value).ndim, kinds[0].dtype)  # type: ignore[union-attr]
    if kinds[1] != INT:
        scope.function.refuse(e, "a shape must be written out, or be the .shape of an array")
    return array(len(shape), kinds[0].dtype)


def transposed(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.transpose."""
    axes_of(scope, e, args, kinds[0])
    return kinds[0]


def axes_of(scope: Scope, e: ast.Call, args: list, kind: Kind) -> tuple[int, ...] | None:
    """The axes of a transpose in their new order, None if they are turned around."""
    given = args[1] if len(args) == 2 else ast.copy_location(ast.Tuple(args[1:], ast.Load()), e)
    axes = literal(scope, given, "axes")
    if axes in ((), None):
        return None
    order = range(kind.ndim)
    found = tuple(order[a] for a in axes if a in range(-kind.ndim, kind.ndim))
    if sorted(found) != list(order):
        scope.function.refuse(e, f"axes {axes!r} of {kind}: each of its axes is needed once")
    return found


def joined_rows(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.concatenate along the first axis."""
    if not isinstance(args[0], (ast.Tuple, ast.List)) or e.keywords or len(args) > 1:
        scope.function.refuse(e, "np.concatenate is known of a tuple of arrays, along the first axis")
    found = scope.kinds_of(args[0].elts)
    return found and array(found[0].ndim, np.result_type(*(k.dtype for k in found)).name)  # type: ignore


def chosen(scope: Scope, e: ast.Call, args: list, kinds: list[Kind]) -> Kind:
    """Of np.where."""
    kind = broadcast(*kinds[1:])
    ndim = max(k.ndim for k in kinds)
    return array(ndim, kind.dtype or TYPES[kind.base])


# --- adjoints: p writes lines, g is the text of the cotangent ---


def pull_sum(p: Any, e: ast.Call, args: list, g: str) -> None:
    kind = p.scope.kind(args[0])
    axis = axis_of(p.scope, e, args, kind)
    whole = g if axis is None else f"np.expand_dims({g}, {axis})"
    p.spread(args[0], whole, kind, whole_array=axis is not None)


def pull_mean(p: Any, e: ast.Call, args: list, g: str) -> None:
    kind = p.scope.kind(args[0])
    axis = axis_of(p.scope, e, args, kind)
    x = p.value(args[0])
    count = f"{x}.size" if axis is None else f"{x}.shape[{axis}]"
    share = p.bound(f"{p.factor(g)} / {count}")
    p.spread(args[0], share if axis is None else f"np.expand_dims({share}, {axis})", kind, axis is not None)


def pull_extreme(p: Any, e: ast.Call, args: list, g: str) -> None:
    if axis_of(p.scope, e, args, p.scope.kind(args[0])) is not None:
        p.scope.function.refuse(e, f"{ast.unparse(e.func)} along an axis is not supported")
    best = p.bound(f"{p.value(args[0])} == {p.value(e)}", "best")
    p.pull(args[0], f"{p.factor(g)} * {best} / np.sum({best})")


def pull_prod(p: Any, e: ast.Call, args: list, g: str) -> None:
    kind = p.scope.kind(args[0])
    if kind.ndim != 1:
        p.scope.function.refuse(e, "np.prod is supported of arrays with one axis")
    p.pull(args[0], f"{p.factor(g)} * others({p.value(args[0])})")


def pull_cumsum(p: Any, e: ast.Call, args: list, g: str) -> None:
    p.pull(args[0], f"np.cumsum({p.factor(g)}[::-1])[::-1]")


def pull_product(p: Any, e: ast.expr, args: list, g: str) -> None:
    a, b = args[:2]
    ranks = (p.scope.kind(a).ndim, p.scope.kind(b).ndim)
    g = p.bound(g)
    if p.active(a):
        y = p.value(b)
        p.pull(a, {1: f"{g} * {y}", 2: f"np.outer({g}, {y})"}[ranks[0]] if ranks[1] == 1 else f"np.dot({g}, {y}.T)")
    if p.active(b):
        x = p.value(a)
        by_vector = {1: f"{g} * {x}", 2: f"np.outer({x}, {g})"}
        p.pull(b, by_vector[ranks[1]] if ranks[0] == 1 else f"np.dot({x}.T, {g})")


def pull_outer(p: Any, e: ast.Call, args: list, g: str) -> None:
    g = p.bound(g)
    for x, text in ((args[0], "np.dot({g}, {y})"), (args[1], "np.dot({y}, {g})")):
        if p.active(x):
            other = args[1] if x is args[0] else args[0]
            p.pull(x, text.format(g=g, y=p.value(other)))


def pull_norm(p: Any, e: ast.Call, args: list, g: str) -> None:
    y = p.bound(p.value(e))
    p.lines.append((f"if {y} != 0.0:", p.inside(lambda: p.pull(args[0], f"{p.factor(g)} / {y} * {p.value(args[0])}"))))


def pull_nothing(p: Any, e: ast.Call, args: list, g: str) -> None:
    """Of what does not change when its arguments change a little."""


def pull_same(p: Any, e: ast.Call, args: list, g: str) -> None:
    p.pull(args[0], g)


def pull_reshape(p: Any, e: ast.Call, args: list, g: str) -> None:
    p.pull(args[0], f"np.reshape({g}, {p.value(args[0])}.shape)")


def pull_transpose(p: Any, e: ast.Call, args: list, g: str) -> None:
    axes = axes_of(p.scope, e, args, p.scope.kind(args[0]))
    p.pull(
        args[0],
        f"{p.factor(g)}.T" if axes is None else f"np.transpose({g}, {tuple(map(axes.index, range(len(axes))))})",
    )


def pull_listed(p: Any, e: ast.Call, args: list, g: str) -> None:
    g = p.bound(g)

    def item(x: ast.expr, index: str) -> None:
        if isinstance(x, (ast.List, ast.Tuple)):
            for k, inner in enumerate(x.elts):
                item(inner, f"{index}, {k}" if index else str(k))
        else:
            p.pull(x, f"{g}[{index}]")

    item(args[0], "")


def pull_full(p: Any, e: ast.Call, args: list, g: str) -> None:
    p.pull(args[1], f"np.sum({g})")


def pull_joined(p: Any, e: ast.Call, args: list, g: str) -> None:
    g, start = p.bound(g), "0"
    for x in args[0].elts:
        end = p.bound(f"{start} + len({p.value(x)})" if start != "0" else f"len({p.value(x)})", "end")
        p.pull(x, f"{g}[{start}:{end}]")
        start = end


def pull_where(p: Any, e: ast.Call, args: list, g: str) -> None:
    if p.scope.kind(e).ndim:
        p.elementwise(e, args, PUBLIC["where"], g)
    else:
        p.choice(args[0], args[1], args[2], g)


def pull_larger(sign: str) -> Callable:
    """Python's max and min: the first of equals."""

    def pull(p: Any, e: ast.Call, args: list, g: str) -> None:
        if len(args) != 2:
            p.scope.function.refuse(e, f"{ast.unparse(e.func)} is supported of two numbers")
        test = ast.Compare(args[1], [ast.Gt() if sign == ">" else ast.Lt()], [args[0]])
        p.choice(ast.copy_location(test, e), args[1], args[0], g)

    return pull


# --- the table ---

TYPES = {"float": "float64", "int": "int64", "bool": "bool"}
number_kind = lambda kind: lambda scope, e, args, kinds: kind
flat_kind = lambda scope, e, args, kinds: array(1, kinds[0].dtype)
float_copy = lambda scope, e, args, kinds: array(kinds[0].ndim, _dtype(scope, e, args))
matrix_product = lambda scope, e, args, kinds: product_kind(scope, e, *kinds)

MATH = {n: n for n in """sin cos tan sinh cosh tanh exp expm1 log log1p log2 log10 sqrt hypot floor ceil trunc copysign
                         exp2 cbrt fmod""".split()}  # fmt: skip
MATH |= {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh"}
MATH |= {"atanh": "arctanh", "atan2": "arctan2", "pow": "power", "fabs": "absolute", "degrees": "degrees"}
MATH |= {"radians": "radians"}
for _name, _ufunc in MATH.items():
    if hasattr(math, _name):
        _takes = "x y"[: 2 * getattr(np, _ufunc).nin - 1]
        TABLE[getattr(math, _name)] = Elementwise(_takes, ours(getattr(np, _ufunc)), numbers=True)  # type: ignore[arg-type]
for _f in (math.floor, math.ceil, math.trunc, int, round, np.int64):
    TABLE[_f] = Entry("x", number_kind(INT), numbers=True)
for _f in (math.isnan, math.isinf, math.isfinite, bool):
    TABLE[_f] = Entry("x", number_kind(BOOL), numbers=True)
for _f in (len, np.size, np.ndim, np.argmax, np.argmin):
    TABLE[_f] = Entry("a", number_kind(INT))
for _f in (np.all, np.any):
    TABLE[_f] = Entry("a", number_kind(BOOL))
for _f in (np.max, np.min, np.amax, np.amin):
    TABLE[_f] = Entry("a axis=", reduced, pull_extreme)
for _f in (np.zeros, np.ones, np.empty):
    TABLE[_f] = Entry("shape dtype=", made)
for _f in (np.zeros_like, np.ones_like, np.empty_like):
    TABLE[_f] = Entry("a dtype=", made_like, pull_nothing)
for _f in (np.dot, np.matmul):
    TABLE[_f] = Entry("a b", matrix_product, pull_product)
for _f in (float, np.float64):
    TABLE[_f] = Entry("x", number_kind(FLOAT), pull_same, numbers=True)
for _f in (math.erf, math.erfc, math.lgamma):
    TABLE[_f] = Elementwise("x", PUBLIC[_f.__name__], numbers=True)
TABLE |= {
    abs: Elementwise("x", PUBLIC["abs"], None), builtins.pow: Elementwise("base exp", PUBLIC["pow"], None),
    np.clip: Elementwise("a a_min a_max", PUBLIC["clamp"], None), np.where: Entry("condition x y", chosen, pull_where),
    max: Entry("x *", larger_kind, pull_larger(">"), numbers=True),
    min: Entry("x *", larger_kind, pull_larger("<"), numbers=True),
    np.sum: Entry("a axis=", reduced, pull_sum), np.mean: Entry("a axis=", averaged, pull_mean),
    np.prod: Entry("a axis=", reduced, pull_prod), np.cumsum: Entry("a", of_vectors, pull_cumsum),
    np.outer: Entry("a b", of_vectors, pull_outer), np.linalg.norm: Entry("x ord= axis= keepdims=", norm_kind, pull_norm),
    np.copy: Entry("a", like_first, pull_same), np.full: Entry("shape fill_value dtype=", filled, pull_full),
    np.arange: Entry("start stop? step?", spread), np.linspace: Entry("start stop num= endpoint=", spread),
    np.array: Entry("items dtype=", listed, pull_listed), np.concatenate: Entry("items", joined_rows, pull_joined),
    np.reshape: Entry("a shape *", reshaped, pull_reshape, view=True, copies=True),
    np.transpose: Entry("a axes? *", transposed, pull_transpose, view=True),
    np.ravel: Entry("a", flat_kind, pull_reshape, view=True, copies=True),
    np.ndarray.flatten: Entry("a", flat_kind, pull_reshape), np.ndarray.astype: Entry("a dtype=", float_copy, pull_same),
    np.searchsorted: Entry("a v side=", searched), print: Entry("*", number_kind(Kind("none"))),
}  # fmt: skip
METHODS |= {
    "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod, "dot": np.dot, "copy": np.copy,
    "reshape": np.reshape, "ravel": np.ravel, "cumsum": np.cumsum, "transpose": np.transpose, "astype": np.ndarray.astype,
    "flatten": np.ndarray.flatten, "argmax": np.argmax, "argmin": np.argmin, "all": np.all, "any": np.any,
}  # fmt: skip
