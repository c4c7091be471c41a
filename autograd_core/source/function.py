"""`source_grad`: the gradient of a function as a function whose source is generated, and compiled with Numba."""

from __future__ import annotations

import functools
import itertools
import linecache
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..custom import applied
from ..functional import as_tensor
from ..kernels._jit import COMPILED
from ..op import Traced
from ..tensor import Tensor
from . import support
from .kinds import Kind, kind_of_value
from .program import Program
from .read import Function, python_function

_numbers = itertools.count(1)


class Adjoint:
    """The generated functions for arguments of given kinds, ready to be called."""

    def __init__(self, program: Program, compiled: bool):
        self.program, top = program, program.top
        self.count, self.name = top.count, f"{top.name}_adjoint"
        self.file = f"<adjoint {next(_numbers)} of {top.function.name}>"
        linecache.cache[self.file] = (len(program.text), None, program.text.splitlines(True), self.file)
        scope: dict[str, Any] = {**program.scope, **{n: getattr(support, n) for n in support.NAMES}}
        exec(compile(program.text, self.file, "exec"), scope)
        if compiled:
            from ..kernels._foreign import compile_together

            helpers = [n for n in support.NAMES if n in program.helpers()]
            made = [n for n, v in scope.items() if getattr(v, "__code__", None) and v.__code__.co_filename == self.file]
            compile_together(scope, [*helpers, *made])
        self.compiled, self.run = compiled, scope[self.name]
        self.warmed = not compiled
        written = program.top.scope.written
        self.written = [n for n in program.top.arrays() if program.top.scope.root(n) in written]

    def __call__(self, arguments: list, seeds: list) -> tuple[list, list]:
        """The results, and the gradients for the given seeds."""
        values = self.program.values()
        if self.warmed and self.compiled:
            found = self.run(*arguments, *seeds, *values)
        else:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of Numba, about what could be quicker
                found = self._first(_numbers_of(arguments, self.compiled) + seeds + values)
            self.warmed = True
        return list(found[: self.count]), list(found[self.count :])

    def _first(self, arguments: list) -> Any:
        """The first run, in which Numba may find that it cannot compile what the function does."""
        try:
            return self.run(*arguments)
        except Exception as error:
            if not type(error).__module__.startswith("numba"):
                raise
            name = self.program.top.function.name
            reason = next(
                (line for line in str(error).splitlines() if "No impl" in line or "nvalid" in line), str(error)
            )
            raise TypeError(
                f"source_grad: Numba does not compile {name}: {reason.strip():.200}; "
                "write it so that numba.njit takes it, or run the generated source as Python, by compile=False"
            ) from error


class SourceGradient:
    """What `source_grad` returns: called, the gradient; beside it the value, the source, and f as something on the tape."""

    def __init__(self, f: Callable, argnums: int | Sequence[int], compile: bool):
        self.f, self.argnums, self.compile = f, argnums, compile
        self.function = Function(f)
        functools.update_wrapper(self, python_function(f))
        self.made: dict[tuple, Adjoint] = {}
        self.quick: dict[tuple, Adjoint] = {}  # by the types of arguments: those that may be called as they are

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The gradient of f's result, which must be one number, by the arguments in argnums."""
        return self.value_and_grad(*args, **options)[1]

    def value_and_grad(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """f's value and its gradient, by one run of the generated source."""
        if not options and (adjoint := self.quick.get(_signature(args))) is not None:
            found = adjoint.run(*args, 1.0)
            slopes = found[1:]
        else:
            found, slopes = self._by_name(args, options)
        return found[0], slopes[0] if isinstance(self.argnums, int) else tuple(slopes)

    def _by_name(self, args: tuple, options: dict) -> tuple[list, list]:
        """The same for arguments of which not yet known is that they can be passed on as they are."""
        arguments, wanted = self._arguments(args, options)
        adjoint = self._adjoint(arguments, wanted)
        kinds = adjoint.program.top.results()
        if len(kinds) != 1 or kinds[0].ndim:  # type: ignore[union-attr]
            got = f"{len(kinds)} values" if len(kinds) != 1 else str(kinds[0])
            raise ValueError(f"source_grad: {self.function.name} must return one number, it returns {got}; use vjp")
        values, gradients = adjoint(list(arguments.values()), [1.0])
        simple = adjoint.compiled and not adjoint.program.data and not adjoint.written and not options
        if simple and len(args) == len(arguments) and all(a is b for a, b in zip(args, arguments.values())):
            if not any(isinstance(a, np.floating) for a in args):
                self.quick[_signature(args)] = adjoint
        return values, [_typed(g, arguments[n]) for g, n in zip(gradients, wanted)]

    def vjp(self, *args: Any, **options: Any) -> tuple[Any, Callable]:
        """f's value (or values), and the function that pulls cotangents of them back to gradients."""
        pullback = Pullback(self, *self._arguments(args, options))

        def pull(*seeds: Any) -> Any:
            return self._shaped(pullback(*seeds))

        return (pullback.values[0] if len(pullback.values) == 1 else tuple(pullback.values)), pull

    def source(self, *args: Any, **options: Any) -> str:
        """The generated source for arguments like these."""
        return self._adjoint(*self._arguments(args, options)).program.text

    @functools.cached_property
    def on_tape(self) -> Callable:
        """f as a function of tensors: it runs compiled, and gradients flow back through the generated source."""
        return OnTape(self).call

    # --- arguments, by name ---

    def _bound(self, args: tuple, options: dict) -> dict[str, Any]:
        if not options and len(args) == len(self.function.parameters):
            return dict(zip(self.function.parameters, args))
        bound = self.function.signature.bind(*args, **options)
        bound.apply_defaults()
        return {n: bound.arguments[n] for n in self.function.parameters}

    def _wanted(self, given: dict[str, Any]) -> list[str]:
        numbers = [self.argnums] if isinstance(self.argnums, int) else list(self.argnums)
        names = list(given)
        for n in numbers:
            if not isinstance(n, int) or not -len(names) <= n < len(names):
                raise ValueError(f"source_grad: argnums={n!r}, but {self.function.name} has {len(names)} parameters")
        return [names[n] for n in numbers]

    def _arguments(self, args: tuple, options: dict) -> tuple[dict[str, Any], list[str]]:
        given = self._bound(args, options)
        wanted = self._wanted(given)
        for n, v in given.items():
            given[n] = self._plain(n, v, n in wanted)
        return given, wanted

    def _plain(self, name: str, v: Any, wanted: bool) -> Any:
        if isinstance(v, Traced):
            raise TypeError(
                f"source_grad: argument {name} is {type(v).__name__}; pass numbers and arrays, "
                "or use .on_tape, which takes and returns tensors"
            )
        v = v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v
        kind = kind_of_value(v)
        if kind is None:
            what = f"{v.dtype} array" if isinstance(v, np.ndarray) else f"{type(v).__name__} {v!r:.40}"
            raise TypeError(f"source_grad: argument {name} is {what}; taken are real numbers and arrays of them")
        if not wanted or kind.base == "float":
            return v
        if kind.base == "bool":
            raise TypeError(f"source_grad: argument {name} is a truth value, which has no gradient")
        return v.astype(np.float64) if kind.ndim else float(v)

    # --- running ---

    def _adjoint(self, arguments: dict[str, Any], wanted: list[str]) -> Adjoint:
        kinds: dict[str, Kind] = {n: kind_of_value(v) for n, v in arguments.items()}  # type: ignore[misc]
        key = (tuple(kinds.items()), tuple(wanted))
        adjoint = self.made.get(key)
        if adjoint is not None and adjoint.program.data and adjoint.program.kinds_now() != adjoint.program.kinds_then:
            adjoint = None
        if adjoint is None:
            with self.function.at(self.function.tree):
                program = Program(self.f, kinds, wanted)
            adjoint = self.made[key] = Adjoint(program, self.compile)
        self._apart(adjoint, arguments)
        return adjoint

    def _apart(self, adjoint: Adjoint, arguments: dict[str, Any]) -> None:
        """Refuse arrays that share memory if one of them is written to: each is copied by itself."""
        for a in adjoint.written:
            for b, v in arguments.items():
                if a != b and isinstance(v, np.ndarray) and np.may_share_memory(arguments[a], v):
                    raise ValueError(f"source_grad: {a} is written to, and shares memory with {b}; pass a copy")

    def _shaped(self, gradients: list) -> Any:
        return gradients[0] if isinstance(self.argnums, int) else tuple(gradients)


class Pullback:
    """f at some arguments: its values, and how cotangents of them are pulled back."""

    def __init__(self, owner: SourceGradient, arguments: dict[str, Any], wanted: list[str]):
        self.owner, self.wanted = owner, wanted
        self.given = {n: a.copy() if isinstance(a, np.ndarray) else a for n, a in arguments.items()}
        self.adjoint = owner._adjoint(arguments, wanted)
        self.kinds: list[Kind] = self.adjoint.program.top.results()  # type: ignore[assignment]
        self.one = len(self.kinds) == 1 and not self.kinds[0].ndim  # its gradient is found together with its value
        seeds = [1.0] if self.one else [np.zeros((1,) * k.ndim) if k.ndim else 0.0 for k in self.kinds]
        self.values, gradients = self.adjoint(list(self.given.values()), seeds)
        self.slopes = gradients if self.one else None

    def __call__(self, *seeds: Any) -> list:
        if len(seeds) != len(self.values):
            raise ValueError(f"source_grad: {len(self.values)} results, and {len(seeds)} cotangents")
        seeds = tuple(_seed(s, v) for s, v in zip(seeds, self.values))
        if self.slopes is not None:
            found = [seeds[0] * g for g in self.slopes]
        else:
            found = self.adjoint(list(self.given.values()), list(seeds))[1]
        return [_typed(g, self.given[n]) for g, n in zip(found, self.wanted)]

    def along(self, tangents: list) -> list:
        """The tangents of the values, entry by entry from their gradients."""
        rows = []
        for k, v in enumerate(self.values):
            tangent = np.zeros(np.shape(v))
            for i in np.ndindex(np.shape(v)):
                seeds = [np.zeros(np.shape(w)) for w in self.values]
                seeds[k][i] = 1.0
                tangent[i] = sum(np.sum(g * t) for g, t in zip(self(*seeds), tangents) if t is not None)
            rows.append(tangent)
        return rows


class OnTape:
    """f on tensors: calls that are recorded as one operation, whose pullback runs the generated source."""

    def __init__(self, owner: SourceGradient):
        count = len(owner.function.parameters)
        numbers = [owner.argnums] if isinstance(owner.argnums, int) else owner.argnums
        self.wanted = sorted({n % count for n in numbers})
        self.all = SourceGradient(owner.f, tuple(self.wanted), owner.compile)
        self.function = owner.function

    def call(self, *args: Any, **options: Any) -> Any:
        """f of numbers, arrays and tensors."""
        given = list(self.all._bound(args, options).values())
        leaves = [given[n] for n in self.wanted]
        if not any(isinstance(a, Traced) for a in leaves):
            values = Call(self, given).pullback(leaves).values
            return values[0] if len(values) == 1 else tuple(values)
        return applied(Call(self, given), tuple(as_tensor(a) for a in leaves))


class Call:
    """One call of such a function."""

    def __init__(self, owner: OnTape, given: list):
        self.owner, self.given, self.__name__ = owner, given, owner.function.name

    def pullback(self, leaves: Sequence) -> Pullback:
        """What runs the generated source, for the numbers that the arguments hold."""
        given = [_detached(a) for a in self.given]
        for n, a in zip(self.owner.wanted, leaves):
            given[n] = _detached(a)
        return Pullback(self.owner.all, *self.owner.all._arguments(given, {}))

    def forward(self, ctx: Any, *xs: Any) -> Any:
        """The values."""
        ctx.xs, ctx.pullback = xs, self.pullback(xs)
        values = tuple(as_tensor(np.asarray(v)) for v in ctx.pullback.values)
        return values if len(values) > 1 else values[0]

    def backward(self, ctx: Any, *gs: Any) -> Any:
        """The gradients, themselves recorded so that whoever differentiates them is told."""
        return applied(Once(self.__name__, ctx.pullback), (*gs, *ctx.xs))

    def jvp(self, ctx: Any, *ts: Any) -> Any:
        """The tangents of the values."""
        return applied(Once(self.__name__, ctx.pullback, forward_mode=True), (*ts, *ctx.xs))


class Once:
    """The derivative of such a function, which has none in turn."""

    def __init__(self, name: str, pullback: Pullback, forward_mode: bool = False):
        self.__name__, self.pullback, self.forward_mode = name, pullback, forward_mode

    def forward(self, ctx: Any, *args: Any) -> Any:
        """Gradients for cotangents, or tangents for tangents."""
        count = len(self.pullback.wanted if self.forward_mode else self.pullback.values)
        given = [None if a is None else np.asarray(_detached(a)) for a in args[:count]]
        found = self.pullback.along(given) if self.forward_mode else self.pullback(*given)
        return tuple(as_tensor(np.asarray(v)) for v in found)

    def backward(self, ctx: Any, *gs: Any) -> Any:
        """None: an error that says so."""
        what = f"source_grad: {self.__name__} has no second derivative here"
        raise NotImplementedError(f"{what}; use the tape, or ag.symbolic for what has no branches and loops")

    jvp = backward


def _signature(args: tuple) -> tuple:
    """What generated source depends on."""
    return tuple([(a.dtype, a.ndim) if a.__class__ is np.ndarray else a.__class__ for a in args])


def _detached(x: Any) -> Any:
    """The array that a traced value holds."""
    while isinstance(x, Traced):
        x = x.value if isinstance(x, Tensor) else x.innermost()
    return x


def _numbers_of(arguments: list, compiled: bool) -> list:
    """Floats as NumPy's where nothing is compiled, so that they divide by zero as arrays do."""
    return arguments if compiled else [np.float64(v) if isinstance(v, float) else v for v in arguments]


def _seed(s: Any, value: Any) -> Any:
    if np.shape(s) != np.shape(value):
        raise ValueError(f"source_grad: a cotangent of shape {np.shape(s)} for a result of shape {np.shape(value)}")
    return float(s) if np.ndim(value) == 0 else np.asarray(s)


def _typed(g: Any, a: Any) -> Any:
    """A gradient in the type of its argument."""
    if isinstance(a, np.ndarray):
        return g
    return type(a)(g) if isinstance(a, np.floating) and type(a) is not np.float64 else float(g)


def source_grad(f: Callable, argnums: int | Sequence[int] = 0, *, compile: bool = True) -> SourceGradient:
    """The gradient of f by transforming its source: adjoint source is generated, and compiled with Numba.

    f is a Python function of numbers and arrays, or one that Numba compiles: assignments, arithmetic, NumPy and math,
    if, for over ranges and arrays, while, break, continue, return, parts of arrays read and written, calls of other such
    functions, recursion.  `source(*args)` shows what is generated, `value_and_grad(*args)` gives both,
    `vjp(*args)` is for results that are arrays or several, and `on_tape(*args)` takes tensors.
    """
    return SourceGradient(f, argnums, compile and COMPILED)
