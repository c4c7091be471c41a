"""Elementwise functions on large arrays: one loop for each expression, made from the text of its steps when first met.

A step is an op on single numbers, and a `Program` a list of them: for one op, or for all that a gradient rule does.
The loops run on several threads, round as NumPy does (but for the functions of `vector_math`, which are ours), and
write into memory that is used again.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _scalars, vector_exp, vector_math, vector_trig
from ._jit import COMPILED, EXACT, Kernel, Late, generated, kernel, plain
from ._memory import empty
from ._sizes import LEAST
from ._threads import ADDRESS as POOL

entries, for_chunks = Late("_borrowed", "entries"), Late("_native", "for_chunks")

# An op on single numbers {0}, {1}, ...; zero, one and three are of the type of the arrays.
STEPS = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "neg": "-{0}", "positive": "{0}",
    "reciprocal": "one / {0}", "square": "{0} * {0}", "sqrt": "sqrt({0})", "abs": "abs({0})",
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}", "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "clamp_min": "{0} if {0} > {1} or {0} != {0} else {1}", "clamp_max": "{0} if {0} < {1} or {0} != {0} else {1}",
    "relu": "zero if {0} <= zero else {0}", "where": "{1} if {0} else {2}",
    "eq": "{0} == {1}", "ne": "{0} != {1}", "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}",
    "ge": "{0} >= {1}", "logical_not": "not {0}",
    "logical_and": "not (not {0} or not {1})", "logical_or": "not (not {0} and not {1})",
    "isnan": "{0} != {0}", "real": "{0}", "conj": "{0}", "floor": "floor({0})", "ceil": "ceil({0})",
    "trunc": "trunc({0})", "sgn": "one if {0} > zero else (-one if {0} < zero else ({0} if {0} != {0} else zero))",
    "softplus": "{0} if {0} * {beta} > {threshold} else softplus({0} * {beta}) / {beta}",
    "softplus_slope": "one if {0} * {beta} > {threshold} else sigmoid({0} * {beta})",
    "elu": "{0} * {scale} if {0} > zero else {scale} * {alpha} * expm1({0} * {rate})",
    "leaky_relu": "{0} if {0} > zero else {0} * {slope}",
    "hardtanh": "{low} if {0} < {low} else ({high} if {0} > {high} else {0})",
    "clamp": "{low} if {0} < {low} else ({high} if {0} > {high} else {0})",
    "hardswish": "-zero if {0} <= -three else ({0} if {0} >= three else {0} * ({0} + three) / (three + three))",
    "hardshrink": "zero if abs({0}) <= {size} else {0}",
    "softshrink": "{0} - {size} if {0} > {size} else ({0} + {size} if {0} < -{size} else {0} * zero)",
    "threshold": "{value} if {0} <= {threshold} else {0}", "pow": "pow({0}, {1})",
} | {
    name: f"{name}({{0}})"
    for name in (
        "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "mish", "rsqrt",
        "sigmoid", "silu", "silu_slope", "sin", "sinh", "tanh", "gelu", "gelu_slope", "gelu_tanh", "log_sigmoid",
    )
}  # fmt: skip
TRUTHS = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not", "isnan"}
# What does as well for most arguments, of each a size from one number to another: told after it has been done, by the
# largest of how far they are away, so that memory is read once.
TINY = "pick({x}, 1.1754943508222875e-38, 2.2250738585072014e-308)"
HUGE = "pick({x}, 3.4028234663852886e38, 1.7976931348623157e308)"
QUICK = {
    "sin": ("near_sin", "abs({x})", "like({x}, 0)", "like({x}, near)"),
    "cos": ("near_cos", "abs({x})", "like({x}, 0)", "like({x}, near)"),
    "exp": ("near_exp", "abs({x})", "like({x}, 0)", "pick({x}, 86.0, 707.0)"),
    "log": ("near_log", "{x}", TINY, HUGE),
    "gelu": ("near_gelu", "abs({x})", "like({x}, 0)", "like({x}, far)"),
    "gelu_slope": ("near_gelu_slope", "abs({x})", "like({x}, 0)", "like({x}, far)"),
}
PICKED = {"gelu", "gelu_slope"}  # polynomials of `_pieces`: of float32, on processors with AVX-512

SCOPE = {n: getattr(vector_math, n) for n in dir(vector_math) if n in STEPS or n == "like"}
SCOPE |= {"sqrt": math.sqrt, "near_sin": vector_trig.near_sin, "near_cos": vector_trig.near_cos, "__name__": __name__}
SCOPE |= {"near_exp": vector_exp.near_exp, "near_log": vector_exp.near_log, "near": vector_trig.NEAR}
SCOPE |= {"near_gelu": vector_math.near_gelu, "near_gelu_slope": vector_math.near_gelu_slope, "far": vector_math.FAR}
SCOPE |= {"pick": _scalars.pick, "far_from": _scalars.far_from, "single": _scalars.single}
SCOPE |= {n: getattr(vector_math, n) for n in ("expm1", "pow", "softplus")}
SCOPE |= {"paired": range, "inf": math.inf, "nan": math.nan, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc}
SLOW = {n for n, f in SCOPE.items() if isinstance(f, Kernel)} - {"rsqrt"}  # each operation waits for those before it
WIDE = {"gelu_slope"}  # what holds more values than there are registers for two vectors of
CONSTANTS = {"zero": 0, "one": 1, "three": 3}


def turns(steps: Sequence[str]) -> str:
    """What the loop of some steps goes through: one that waits for what it works out itself, by two vectors at a time."""
    words = {word for step in steps for word in re.findall(r"\w+", step)}
    return "paired" if words & SLOW and not words & WIDE else "range"


@functools.cache
def quick_ways() -> list[str]:
    """The functions that have a quick way on this processor."""
    from ._machine import processor

    picks = "+avx512f" in processor()[1].split(",")
    return [f for f in QUICK if picks or f not in PICKED]


class Program(NamedTuple):
    """What to do to each entry: which operands are arrays, the steps, and the names of the results."""

    arrays: tuple[bool, ...]  # or else numbers, the same for all entries
    steps: tuple[str, ...]  # "t0 = x0 * x1", x0, x1, ... being the operands
    results: tuple[str, ...]
    looks: bool = False  # whether to say if a result has NaN among its entries, and of each if it has one that is not 0

    def source(self) -> str:
        """The loop over a chunk."""
        names = [f"x{k}" for k in range(len(self.arrays))]
        first = names[self.arrays.index(True)]
        outs = [f"y{k}" for k in range(len(self.results))]
        told = ["told"] * self.looks
        lines = [f"def loop(begin, end, {', '.join([f'{n}s' for n in names + outs] + told)}):"]
        cut = [n for n, array in zip(names, self.arrays) if array] + outs
        lines += [f"    {n}s = {n}s[begin:end]" for n in cut]
        lines += [f"    {n} = like({first}s[0], {n}s)" for n, array in zip(names, self.arrays) if not array]
        lines += [f"    {n} = like({first}s[0], {v})" for n, v in CONSTANTS.items()]
        inputs = [n for n, array in zip(names, self.arrays) if array]
        most = [f"most{k}" for k in range(len(outs) * self.looks)]
        lines += [f"    {m} = far_from(zero, zero)" for m in most]
        count = f"len({first}s)"
        ways = quick_ways()
        if quick := [(n, f) for n in inputs for f in ways if any(s.endswith(f" {f}({n})") for s in self.steps)]:
            lines += [f"    {line}" for line in self.at_first(count, inputs, outs, quick)]
            lines += [f"    {n}s = {n}s[done:count]" for n in cut]
        lines += [f"    {line}" for line in self.over(count, inputs, self.steps, outs)]
        for k, m in enumerate(most):  # of several threads those that write there write the same
            lines += [f"    if {m} > far_from(zero, like(zero, inf)):", "        told[0] = 1"]
            lines += [f"    if {m} > far_from(zero, zero):", f"        told[{k + 1}] = 1"]
        return "\n".join([*lines, ""])

    def over(self, count: str, inputs: list[str], steps: Sequence[str], outs: list[str], of: str = "s") -> list[str]:
        """The steps for so many entries."""
        body = (
            [f"{n} = {n}{of}[i]" for n in inputs] + [*steps] + [f"{y}{of}[i] = {t}" for y, t in zip(outs, self.results)]
        )
        for k, t in enumerate(self.results * self.looks):
            body += [f"size{k} = far_from(zero, abs({t}))", f"most{k} = size{k} if size{k} > most{k} else most{k}"]
        return [f"for i in {turns(self.steps)}({count}):", *[f"    {line}" for line in body]]

    def at_first(self, count: str, inputs: list[str], outs: list[str], quick: list[tuple[str, str]]) -> list[str]:
        """The quick way, piece by piece, until a piece has an entry for which it will not do: from there on all is left."""
        most = [f"most{k}" for k in range(len(outs) * self.looks)]
        start, again = [f"{m}_before = {m}" for m in most], [f"    {m} = {m}_before" for m in most]
        steps, leave = [*self.steps], []
        for k, (n, f) in enumerate(quick):
            near, size, low, high = (
                text.format(x=x) for text, x in zip(QUICK[f], ("", n, "zero", "zero"), strict=True)
            )
            steps = [s.replace(f" {f}({n})", f" {near}({n})") if s.endswith(f" {f}({n})") else s for s in steps]
            steps += [f"away = far_from({low}, {size})", f"far{k} = away if away > far{k} else far{k}"]
            start += [f"far{k} = far_from({low}, {low})"]
            leave += [f"if far{k} > far_from({low}, {high}):", *again, "    break"]
        cut = [f"{n}p = {n}s[done:stop]" for n in inputs + outs]
        turn = [*cut, *start, *self.over("stop - done", inputs, steps, outs, "p"), *leave, "done = stop"]
        pieces = ["while done < count:", f"    stop = min(count, done + {PIECE})", *[f"    {line}" for line in turn]]
        if PICKED.intersection(f for _, f in quick):
            pieces = [f"if single({inputs[0]}s[0]):", *[f"    {line}" for line in pieces]]
        return ["done = 0", f"count = {count}", *pieces]


@functools.cache
def loop(program: Program) -> Callable:
    """The kernel of a program."""
    import hashlib  # not at the top: it takes as long to import as all loops

    source = program.source()
    name = f"loop_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    return kernel(generated(source, name, dict(SCOPE)), chunks=True, fastmath=EXACT, name=name, written=True)


MOST = 1 << 15  # entries in a chunk
PIECE = 1 << 12  # entries after which it is asked whether the quick way did
LARGE = 1 << 14  # entries from which on a loop of ours is quicker than a pass or two of NumPy's


def grain(count: int) -> int:
    """Entries in a chunk: about as many in each, in whole cache lines."""
    if count <= MOST:
        return MOST
    chunks = -(-count // MOST)
    return -(-count // (chunks * 64)) * 64


@functools.cache
def program(name: str, arrays: tuple[bool, ...], params: tuple[str, ...] = ()) -> Program:
    """The program of one op, its static parameters being the last operands, and numbers."""
    arrays = (*arrays, *[False] * len(params))
    names = [f"x{k}" for k in range(len(arrays))]
    count = len(names) - len(params)
    step = "t0 = " + STEPS[name].format(*names[:count], **dict(zip(params, names[count:])))
    return Program(arrays, (step,), ("t0",))


@functools.cache
def whole(program: Program, dtype: np.dtype) -> Callable:
    """The kernel for all entries of arrays of a type: called with how many, a grain, and operands, the results first.

    Arrays are given as records.
    """
    chunk = loop(program)
    names, outs = (
        [f"{letter}{k}" for k in range(len(of))] for letter, of in (("x", program.arrays), ("y", program.results))
    )
    operands = [f"entries(zero, {n}, count)" if array else n for n, array in zip(names, program.arrays)]
    told = ["told"] * program.looks
    given = [*operands, *[f"entries(zero, {n}, count)" for n in outs]]
    given += [f"entries(number, {n}, {1 + len(outs)})" for n in told]
    source = f"""def whole(pool, count, grain, {", ".join(outs + names + told)}):
    for_chunks(pool, chunk, count, grain, ({", ".join(given)},))
"""
    scope = {"chunk": chunk, "entries": entries, "for_chunks": for_chunks, "zero": dtype.type(0), "__name__": __name__}
    scope["number"] = np.int64(0)
    numbers, name = "iii" + "a" * len(outs), f"{chunk.name.rpartition('.')[2]}_{dtype.char}"
    numbers += "".join("a" if array else "d" for array in program.arrays) + "a" * len(told)
    return kernel(generated(source, name, scope), numbers=numbers, written=True, name=name)


def run(kernel: Callable, x: np.ndarray, operands: Sequence, results: int = 1) -> list[np.ndarray]:
    """The results of the kernel of all entries, for arrays like x with entries in order, and numbers."""
    made = [empty(x.shape, x.dtype) for _ in range(results)]
    given = [id(v) if v.__class__ is np.ndarray else v for v in operands]
    kernel(POOL, x.size, grain(x.size), *map(id, made), *given)
    return made


class Sound(tuple):
    """Results without NaN of which none is all zero: who made them has seen each entry, so nobody need look again."""

    __slots__ = ()


def looked_at(kernel: Callable, x: np.ndarray, operands: Sequence, results: int) -> tuple:
    """The results of a kernel that looks, marked as sound if they are."""
    told = np.zeros(1 + results, np.int64)
    made = run(kernel, x, [*operands, told], results)
    spoilt, *some = told.tolist()
    return tuple(made) if spoilt or not all(some) else Sound(made)


def power(x: str, exponent: float) -> str | None:
    """The step that raises to a small whole power."""
    return " * ".join([x] * exponent) if exponent.__class__ is int and 1 < exponent < 5 else None


# --- what stands between ops and loops -------------------------------------------------------------------------------


def fitting(x: Any) -> bool:
    """Whether x is an array that loops are made for."""
    return x.__class__ is np.ndarray and x.dtype in FLOATS and x.flags.c_contiguous


SINGLE, DOUBLE, ONE = np.dtype(np.float32), np.dtype(np.float64), (True,)
FLOATS = {SINGLE, DOUBLE}


def as_number(v: Any, dtype: np.dtype) -> float | None:
    """A Python number, or what an array of no axes and this type holds; None for all else."""
    if v.__class__ is float or v.__class__ is int and abs(v) < 1 << 53:
        return float(v)
    return float(v) if v.__class__ is np.ndarray and v.ndim == 0 and v.dtype is dtype else None


def with_loops(name: str, forward: Callable, count: int) -> Callable:
    """The forward function of an elementwise op of one or two inputs: NumPy's for small arrays, ours for large ones."""
    if name not in STEPS or name in TRUTHS or count > 2 or not COMPILED:
        return forward
    least = LEAST.get(f"elementwise.{name}", LARGE)
    way = of_two if count == 2 else of_one_and_numbers if number_of_params(forward) else of_one
    choose = way(name, forward, least)
    choose.small, choose.least = forward, least  # for callers that look at the size themselves
    choose.__name__, choose.__wrapped__ = name, forward
    choose.__doc__ = None if isinstance(forward, np.ufunc) else forward.__doc__
    return choose


def of_one(name: str, forward: Callable, least: int) -> Callable:
    """The choice for an op of one input and no static parameters."""
    single = double = None
    ndarray, new = np.ndarray, np.empty

    def choose(x):
        if x.__class__ is not ndarray or (count := x.size) < least:
            return forward(x)
        dtype = x.dtype
        kernel = single if dtype is SINGLE else double if dtype is DOUBLE else None
        if kernel is None or not x.flags.carray:
            return unusual(x)
        if count <= MOST:
            y = new(x.shape, dtype)
            kernel(POOL, count, MOST, id(y), id(x))
        else:
            y = empty(x.shape, dtype)
            kernel(POOL, count, grain(count), id(y), id(x))
        return y

    def unusual(x):
        nonlocal single, double
        if x.dtype is SINGLE:
            single = whole(program(name, ONE), SINGLE).build().func
        elif x.dtype is DOUBLE:
            double = whole(program(name, ONE), DOUBLE).build().func
        else:
            return forward(x)
        return choose(x) if x.flags.carray else laid_out(choose, forward, x)

    return choose


# The choice for an op of one input and static parameters, which are numbers.  To pass these on by name costs as much as to
# compute on a few entries, so they are spelled out.
WITH_NUMBERS = """def choose(x, *, {names}):
    if x.__class__ is not ndarray or (count := x.size) < least:
        return forward(x, {stated})
    dtype = x.dtype
    if (kernel := kernels.get(dtype)) is None:
        if dtype not in FLOATS:
            return forward(x, {stated})
        kernel = kernels[dtype] = whole(program(op, ONE, order), dtype).build().func
    if not x.flags.carray:
        return laid_out(choose, forward, x, {stated})
    if count <= MOST:
        y = new(x.shape, dtype)
        kernel(POOL, count, MOST, id(y), id(x), {names})
    else:
        y = empty(x.shape, dtype)
        kernel(POOL, count, grain(count), id(y), id(x), {names})
    return y
"""


def of_one_and_numbers(name: str, forward: Callable, least: int) -> Callable:
    """Such a choice."""
    order = inspect.unwrap(forward).__code__.co_varnames[1 : 1 + number_of_params(forward)]
    source = WITH_NUMBERS.format(names=", ".join(order), stated=", ".join(f"{n}={n}" for n in order))
    scope = {**globals(), "ndarray": np.ndarray, "new": np.empty, "kernels": {}, "order": order, "op": name}
    return generated(source, f"choice of {name}", scope | {"forward": forward, "least": least})


def number_of_params(forward: Callable) -> int:
    """How many static parameters a function has."""
    code = getattr(inspect.unwrap(forward), "__code__", None)
    return code.co_kwonlyargcount if code else 0


def laid_out(choose: Callable, forward: Callable, x: np.ndarray, **params: Any) -> np.ndarray:
    """The result for an array that lies otherwise than kernels want it, or is not open to writing."""
    flags = x.flags
    if flags.c_contiguous:
        return choose(plain(x), **params)
    return choose(x.T, **params).T if flags.f_contiguous else forward(x, **params)


def of_two(name: str, forward: Callable, least: int) -> Callable:
    """The choice for an op of two inputs, one of which may be a number."""
    single = double = None
    ndarray, new = np.ndarray, np.empty

    def choose(a, b):
        if a.__class__ is ndarray and b.__class__ is ndarray and a.shape == b.shape and (count := a.size) >= least:
            dtype = a.dtype
            kernel = single if dtype is SINGLE else double if dtype is DOUBLE else None
            if kernel is not None and b.dtype is dtype and a.flags.carray and b.flags.carray:
                if count <= MOST:
                    y = new(a.shape, dtype)
                    kernel(POOL, count, MOST, id(y), id(a), id(b))
                else:
                    y = empty(a.shape, dtype)
                    kernel(POOL, count, grain(count), id(y), id(a), id(b))
                return y
        return unusual(a, b)

    def unusual(a, b):
        nonlocal single, double
        if a.__class__ is ndarray and a.size >= least and fitting(a):
            if fitting(b) and b.shape == a.shape and b.dtype is a.dtype:
                kernel = made(True, True, a.dtype)
                single, double = (kernel, double) if a.dtype is SINGLE else (single, kernel)
                return choose(plain(a), plain(b))
            if (number := as_number(b, a.dtype)) is not None:
                return together(a, True, False, plain(a), number)
        elif b.__class__ is ndarray and b.size >= least and fitting(b):
            if (number := as_number(a, b.dtype)) is not None:
                return together(b, False, True, number, plain(b))
        return forward(a, b)

    @functools.cache
    def made(a_array, b_array, dtype):
        return whole(program(name, (a_array, b_array)), dtype).build().func

    def together(like, a_array, b_array, a, b):
        y, count = empty(like.shape, like.dtype), like.size
        made(a_array, b_array, like.dtype)(
            POOL, count, grain(count), id(y), id(a) if a_array else a, id(b) if b_array else b
        )
        return y

    return choose
