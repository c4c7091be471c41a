"""`source_grad`: the gradient of a function as a function whose source is generated, and compiled with Numba."""

from __future__ import annotations

import functools
import itertools
import linecache
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..custom import custom_vjp
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

    def __call__(self, arguments: list, seeds: list) -> tuple[list, list]:
        """The results, and the gradients for the given seeds."""
        with np.errstate(all="ignore"):
            if self.warmed:
                found = self.run(*arguments, *seeds, *self.program.values())
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of Numba, about what could be quicker
                    found = self.run(*arguments, *seeds, *self.program.values())
                self.warmed = True
        return list(found[: self.count]), list(found[self.count :])


class SourceGradient:
    """What `source_grad` returns: called, the gradient; beside it the value, the source, and f as something on the tape."""

    def __init__(self, f: Callable, argnums: int | Sequence[int], compile: bool):
        self.f, self.argnums, self.compile = f, argnums, compile
        self.function = Function(f)
        functools.update_wrapper(self, python_function(f))
        self.made: dict[tuple, Adjoint] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The gradient of f's result, which must be one number, by the arguments in argnums."""
        return self.value_and_grad(*args, **options)[1]

    def value_and_grad(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """f's value and its gradient, by one run of the generated source."""
        arguments, wanted = self._arguments(args, options)
        adjoint = self._adjoint(arguments, wanted)
        kinds = adjoint.program.top.results()
        if len(kinds) != 1 or kinds[0].ndim:  # type: ignore[union-attr]
            got = f"{len(kinds)} values" if len(kinds) != 1 else str(kinds[0])
            raise ValueError(f"source_grad: {self.function.name} must return one number, it returns {got}; use vjp")
        values, gradients = adjoint(_numbers_of(arguments), [1.0])
        return values[0], self._shaped(gradients, [arguments[n] for n in wanted])

    def vjp(self, *args: Any, **options: Any) -> tuple[Any, Callable]:
        """f's value (or values), and the function that pulls cotangents of them back to gradients."""
        arguments, wanted = self._arguments(args, options)
        adjoint = self._adjoint(arguments, wanted)
        given = {n: a.copy() if isinstance(a, np.ndarray) else a for n, a in arguments.items()}
        values = self._values(given)

        def pull(*seeds: Any) -> Any:
            if len(seeds) != len(values):
                raise ValueError(f"source_grad: {len(values)} results, and {len(seeds)} cotangents")
            fitted = [_seed(s, v) for s, v in zip(seeds, values)]
            return self._shaped(adjoint(_numbers_of(given), fitted)[1], [given[n] for n in wanted])

        return (values[0] if len(values) == 1 else tuple(values)), pull

    def source(self, *args: Any, **options: Any) -> str:
        """The generated source for arguments like these."""
        return self._adjoint(*self._arguments(args, options)).program.text

    @functools.cached_property
    def on_tape(self) -> Callable:
        """f as a function of tensors: it runs compiled, and gradients flow back through the generated source."""
        return OnTape(self).call

    # --- arguments, by name ---

    def _bound(self, args: tuple, options: dict) -> dict[str, Any]:
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
        if adjoint is not None and adjoint.program.kinds_now() != adjoint.program.kinds_then:
            adjoint = None
        if adjoint is None:
            adjoint = self.made[key] = Adjoint(Program(self.f, kinds, wanted), self.compile)
        self._apart(adjoint, arguments)
        return adjoint

    def _apart(self, adjoint: Adjoint, arguments: dict[str, Any]) -> None:
        """Refuse arrays that share memory if one of them is written to: each is copied by itself."""
        scope = adjoint.program.top.scope
        arrays = {n: v for n, v in arguments.items() if isinstance(v, np.ndarray)}
        for a in arrays:
            if scope.root(a) in scope.written:
                for b in arrays:
                    if a != b and np.may_share_memory(arrays[a], arrays[b]):
                        raise ValueError(f"source_grad: {a} is written to, and shares memory with {b}; pass a copy")

    def _values(self, given: dict[str, Any]) -> list:
        """What f itself returns, with its arguments left alone."""
        arguments = [v.copy() if isinstance(v, np.ndarray) else v for v in given.values()]
        found = self.f(*arguments)
        return list(found) if isinstance(found, tuple) else [found]

    def _shaped(self, gradients: list, arguments: list) -> Any:
        typed = [_typed(g, a) for g, a in zip(gradients, arguments)]
        return typed[0] if isinstance(self.argnums, int) else tuple(typed)


class OnTape:
    """f on tensors: a custom function whose pullback runs the generated source."""

    def __init__(self, owner: SourceGradient):
        self.owner, count = owner, len(owner.function.parameters)
        numbers = [owner.argnums] if isinstance(owner.argnums, int) else owner.argnums
        self.wanted = sorted(n % count for n in numbers)
        fixed = [n for n in range(count) if n not in self.wanted]
        self.rule = custom_vjp(owner.function.f, nondiff_argnums=fixed)
        self.rule.defvjp(self.forward, self.backward)
        self.inverse = custom_vjp(self.gradients, nondiff_argnums=(0,))
        self.inverse.defvjp(lambda pull, g: (self.gradients(pull, g), None), self.second)

    def call(self, *args: Any, **options: Any) -> Any:
        given = list(self.owner._bound(args, options).values())
        return self.rule(*given)

    def forward(self, *args: Any) -> tuple:
        """The value, and how to pull back."""
        values = [np.asarray(_detached(a)) if isinstance(a, (Traced, np.ndarray)) else a for a in args]
        one = SourceGradient(self.owner.f, tuple(self.wanted), self.owner.compile)
        one.made = self.owner.made
        return one.vjp(*values)

    def backward(self, *kept: Any) -> tuple:
        *_, pull, g = kept
        return tuple(self.inverse(pull, g))

    def gradients(self, pull: Callable, g: Any) -> tuple:
        """The gradients for a cotangent of the result."""
        gs = g if isinstance(g, tuple) else (g,)
        return pull(*(np.asarray(_detached(x)) for x in gs))

    def second(self, *kept: Any) -> Any:
        raise NotImplementedError(
            f"source_grad: {self.owner.function.name} has no second derivative here; use the tape, or ag.symbolic"
        )


def _detached(x: Any) -> Any:
    """The array that a traced value holds."""
    while isinstance(x, Traced):
        x = x.value if isinstance(x, Tensor) else x.innermost()
    return x


def _numbers_of(arguments: dict[str, Any]) -> list:
    """Floats as NumPy's where nothing is compiled, so that they divide by zero as arrays do."""
    return [np.float64(v) if isinstance(v, float) else v for v in arguments.values()]


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
