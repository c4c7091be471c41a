"""Expressions: what an elementwise function does, as a graph of ops on symbols.

An expression is one more kind of traced value: calling an op on it makes a larger expression.  Equal expressions are one
object, so what occurs twice is stored, differentiated and computed once.
"""

from __future__ import annotations

import functools
import inspect
import keyword
import math
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..op import REGISTRY, Op, Traced
from ..tape import user_line

Number = (bool, int, float)
FLOAT, TRUTH = np.dtype(np.float64), np.dtype(np.bool_)
ASK = {"__float__": "float()", "__int__": "int()", "__index__": "an index", "__complex__": "complex()"}
ASK |= {
    "__len__": "len()",
    "__iter__": "a loop",
    "__array__": "an array",
    "item": "item()",
    "tolist": "tolist()",
    "innermost": "a choice",
}


class Expression(Traced):
    """A symbol, a number, or an op applied to expressions; it stands for one entry of any array."""

    __slots__ = ("op", "args", "params", "name", "constant", "serial", "memory_of", "__weakref__")
    level = 1 << 30  # above every transform: what holds a symbol is symbolic
    shape, ndim, requires_grad, is_number = (), 0, False, True

    op: Op | None
    args: tuple[Expression, ...]
    params: dict
    name: str | None
    constant: Any
    serial: int
    memory_of: dict[str, Any]  # what functions that are asked often have found for it

    @property
    def dtype(self) -> np.dtype:
        """Truth values for comparisons, floats for everything else."""
        return TRUTH if self.op is not None and not self.op.differentiable else FLOAT

    def apply(self, op: Op, args: tuple, params: dict) -> Expression:
        """The larger expression that the op makes of its arguments."""
        if not op.elementwise or op.mutates or op.outputs != 1:
            hint = "leave it out: the gradient of a sum is the derivative of its terms" if op.name == "sum" else ""
            hint = hint or "an expression stands for one entry, and knows of no axes"
            raise TypeError(f"symbolic: {op.name} is not elementwise (at {user_line()}); {hint}")
        return applied(op, tuple(map(expression, args)), params)

    def __bool__(self) -> bool:
        raise TypeError(
            f"symbolic: a branch or loop depends on the value of {self!s:.60} (at {user_line()}), and a symbol has none; "
            "choose with ag.where, or use ag.source_grad or the tape (ag.grad), which follow branches and loops"
        )

    def __hash__(self) -> int:
        return self.serial

    def __reduce__(self) -> tuple:
        if self.op is not None:
            return _made_again, (self.op.name, self.args, self.params)
        return (named, (self.name, "symbol")) if self.name else (constant, (self.constant,))

    def __deepcopy__(self, memo: dict) -> Expression:
        return self

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: Any) -> Any:
        return REGISTRY["eq"].call(self, other)

    def same(self, other: Any) -> bool:
        """Whether two expressions are written alike."""
        return self is expression(other)

    # --- what can be asked of it: each in a file of its own ---

    def derivative(self, *by: Any, order: int = 1) -> Expression:
        """The derivative by one or several symbols in turn, each to the given order; simplified if it is no longer than 1000."""
        from .calculus import derivative

        return derivative(self, by, order)

    def gradient(self, *by: Any) -> tuple[Expression, ...]:
        """The derivatives by each symbol (by default by all, in alphabetical order)."""
        return tuple(self.derivative(s) for s in by or self.symbols())

    def hessian(self, *by: Any) -> tuple[tuple[Expression, ...], ...]:
        """The second derivatives by each pair of symbols."""
        by = by or self.symbols()
        return tuple(tuple(self.derivative(s, t) for t in by) for s in by)

    def simplify(self) -> Expression:
        """An expression of the same value wherever this one has one, usually shorter."""
        from .simplify import simplify

        return simplify(self)

    def expand(self) -> Expression:
        """The same with products of sums multiplied out."""
        from .simplify import expand

        return expand(self)

    def substitute(self, values: dict | None = None, **named: Any) -> Expression:
        """The same with symbols replaced by numbers or expressions: by name, or a dict of symbols."""
        found = {name: expression(v) for name, v in _by_name(values, named).items()}
        self._check_names(found)
        return rebuilt(self, lambda e: found.get(e.name, e))

    def evaluate(self, values: dict | None = None, **named: Any) -> Any:
        """The value, given one for every symbol: numbers, arrays or tensors.

        Others may be given too: those of a function, at a derivative that has lost some.
        """
        given = {name: _floating(v) for name, v in _by_name(values, named).items()}
        if missing := [s.name for s in self.symbols() if s.name not in given]:
            raise ValueError(f"symbolic: no value for {', '.join(missing)}; given: {', '.join(given) or 'none'}")
        known: dict[Expression, Any] = {}
        for e in nodes(self):
            known[e] = given[e.name] if e.name else e.constant if e.op is None else _computed(e, known)
        y = known[self]
        return y.item() if isinstance(y, np.generic) or isinstance(y, np.ndarray) and y.ndim == 0 else y

    def _check_names(self, given: Iterable[str]) -> None:
        names = [s.name for s in self.symbols()]
        for name in given:
            if name not in names:
                raise ValueError(f"symbolic: there is no symbol {name} in it; there are: {listed(names, name)}")

    def function(self, *names: str) -> Callable:
        """A function of these symbols, and maybe others, in this order (by default alphabetical), that evaluates it."""
        order = [_name_of(n) for n in names] or [s.name for s in self.symbols()]

        def call(*values: Any) -> Any:
            if len(values) != len(order):
                raise TypeError(f"symbolic: takes {len(order)} arguments ({', '.join(order)}), got {len(values)}")
            return self.evaluate(dict(zip(order, values)))

        return call

    def symbols(self) -> list[Expression]:
        """The symbols that occur, in alphabetical order."""
        return sorted((e for e in nodes(self) if e.name), key=lambda e: e.name)

    def operations(self, shared: bool = True) -> int:
        """How many operations it takes: each once if shared, else as often as it is written."""
        counts: dict[Expression, int] = {}
        for e in nodes(self):
            counts[e] = (e.op is not None) + sum(counts[a] for a in e.args)
        return sum(e.op is not None for e in counts) if shared else counts[self]

    def latex(self) -> str:
        """As LaTeX."""
        from .printing import latex

        return latex(self)

    def python(self, name: str | None = None) -> str:
        """As Python; given a name, as a function in which what occurs several times is computed once."""
        from .printing import definition, library, text

        return text(self, library(self)) if name is None else definition(self, name)

    def __repr__(self) -> str:
        from .printing import text

        return text(self)

    __str__ = __repr__

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def _refusal(what: str) -> Callable:
    def refuse(self: Expression, *args: Any, **options: Any) -> Any:
        raise TypeError(
            f"symbolic: {what} asks for the value of {self!s:.60} (at {user_line()}), and a symbol has none; "
            "write np.sin, not math.sin, and ag.where, not if; functions with branches and loops are for "
            "ag.source_grad or the tape (ag.grad)"
        )

    return refuse


for _name, _what in ASK.items():
    setattr(Expression, _name, _refusal(_what))

_made: weakref.WeakValueDictionary[tuple, Expression] = weakref.WeakValueDictionary()
_serials = iter(range(1 << 62))


def _interned(key: tuple, **slots: Any) -> Expression:
    found = _made.get(key)
    if found is None:
        found = Expression()
        fields: dict[str, Any] = {"op": None, "args": (), "params": {}, "name": None, "constant": None}
        fields |= {"serial": next(_serials), "memory_of": {}}
        for slot, value in (fields | slots).items():
            object.__setattr__(found, slot, value)
        _made[key] = found
    return found


def symbol(name: str) -> Expression:
    """A symbol of a name."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"symbolic: a symbol needs a name that Python takes, got {name!r}")
    return named(name, "symbol")


def named(name: str, what: str) -> Expression:
    """What has a name; of different kinds of things, two may have the same."""
    return _interned((what, name), name=name)


def symbols(names: str | Sequence[str]) -> tuple[Expression, ...]:
    """Symbols of several names: symbols("x y z")."""
    return tuple(map(symbol, names.replace(",", " ").split() if isinstance(names, str) else names))


def constant(value: Any) -> Expression:
    """A number as an expression."""
    return _interned(("number", type(value), repr(value)), constant=value)


def applied(op: Op, args: tuple[Expression, ...], params: dict) -> Expression:
    """An op of expressions, as one."""
    key = (op.name, *(a.serial for a in args), *sorted((k, repr(v)) for k, v in params.items()))
    return _interned(key, op=op, args=args, params=dict(params))


def expression(x: Any) -> Expression:
    """A number or an expression as an expression."""
    if isinstance(x, Expression):
        return x
    if isinstance(x, (np.ndarray, np.generic)) and x.ndim == 0:
        x = x.item()
    if isinstance(x, Number):
        return constant(x)
    what = f"{type(x).__name__} of shape {tuple(x.shape)}" if hasattr(x, "shape") else f"{type(x).__name__} {x!r:.40}"
    raise TypeError(
        f"symbolic: {what} (at {user_line()}) is no number; make it an argument, a symbol can stand for a whole array"
    )


def trace(f: Callable, *names: str) -> Expression:
    """The expression that a function of symbols computes; by default they are named as its parameters are."""
    if isinstance(f, Expression):
        return f
    if not callable(f):
        raise TypeError(f"symbolic: expected a function, got {type(f).__name__} {f!r:.40}")
    if not names:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(f).parameters.values()
        names = tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)
    return expression(f(*symbols(names)))


def nodes(*roots: Expression, known: Container[Expression] = ()) -> Iterator[Expression]:
    """All expressions in it, each once, arguments before what is made of them; what is known is not looked into."""
    seen: set[int] = set()
    stack = [(e, False) for e in reversed(roots)]
    while stack:
        e, ready = stack.pop()
        if ready:
            yield e
        elif e.serial not in seen:
            seen.add(e.serial)
            stack.append((e, True))
            if e not in known:
                stack.extend((a, False) for a in reversed(e.args) if a.serial not in seen)


def rebuilt(root: Expression, leaf: Callable, node: Callable = applied) -> Expression:
    """The expression with leaves replaced by what `leaf` says and everything above them made anew by `node`."""
    new: dict[Expression, Expression] = {}
    for e in nodes(root):
        new[e] = leaf(e) if e.op is None else node(e.op, tuple(new[a] for a in e.args), e.params)
    return new[root]


def remembered(function: Callable[[Expression], Any]) -> Callable[[Expression], Any]:
    """A function of one expression that is worked out once for each; of what is nested deeply, from within."""
    name = function.__name__

    @functools.wraps(function)
    def call(e: Expression) -> Any:
        if name not in e.memory_of:
            try:
                e.memory_of[name] = function(e)
            except RecursionError:
                for part in nodes(e):
                    if name not in part.memory_of:
                        part.memory_of[name] = function(part)
        return e.memory_of[name]

    return call


def listed(names: Sequence[str], wrong: str) -> str:
    """Names for a message about one that is not among them, with the one that may be meant."""
    near = [n for n in names if n.lower() == str(wrong).lower()] or get_close_matches(str(wrong), names, 1)
    return (", ".join(names) or "none") + (f"; did you mean {near[0]}?" if near else "")


def _by_name(values: Any, named: dict) -> dict[str, Any]:
    if values is not None and not isinstance(values, Mapping):
        raise TypeError(f"symbolic: values are given by names, as x=2, or as a dict, got {type(values).__name__}")
    return {_name_of(k): v for k, v in {**(values or {}), **named}.items()}


def _made_again(name: str, args: tuple, params: dict) -> Expression:
    return applied(REGISTRY[name], args, params)


def _name_of(key: Any) -> str:
    return key.name if isinstance(key, Expression) else key


def _floating(v: Any) -> Any:
    """Whole numbers as floats: calculus is done on the real line."""
    if isinstance(v, Traced) or isinstance(v, float):
        return v
    v = np.asarray(v)
    return v.astype(np.float64) if v.dtype.kind in "biu" else v if v.ndim else v[()]


def _computed(e: Expression, known: dict) -> Any:
    with np.errstate(all="ignore"):
        return e.op.call(*arrays([_entry(known[a]) for a in e.args]), **e.params)  # type: ignore[union-attr]


def _entry(v: Any) -> Any:
    """Numbers as they are; rules about powers and clamps look at the type of what they get."""
    return np.float64(v) if type(v) is int and abs(v) > math.factorial(20) else v


class Functions:
    """All elementwise ops as functions by their own names: what printed source calls where there is no shorter name."""

    def __getattr__(self, name: str) -> Callable:
        op = REGISTRY.get(name)
        if op is None or not op.elementwise:
            raise AttributeError(f"symbolic: {name!r} is not the name of an elementwise op")
        return lambda *args, **params: op.call(*arrays(args), **params)

    def __dir__(self) -> list[str]:
        return sorted(name for name, op in REGISTRY.items() if op.elementwise)


def arrays(args: Sequence) -> Sequence:
    """Floats as NumPy has them if there are no others, for kernels ask for their type; beside arrays they yield to that."""
    return [np.float64(a) for a in args] if all(type(a) is float for a in args) else args


functions = Functions()
