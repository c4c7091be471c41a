"""Kernels as LLVM code that is written from their text, with no compiler but LLVM's in between.

Numba makes a module of every function: it is typed, turned over in a dozen passes, optimized, linked into whoever calls
it, and optimized there again.  A logarithm, of eight small functions, takes a quarter of a second that way.  Here the text
of a function is read, and written as Numba would write it (`_writer`): what is `inline` where it is called, a kernel as
a function beside the one that calls it.  What Python calls is a shell around that, with one call in it, which is all that
Numba sees.  What may be rounded otherwise is said with each operation, so that it is what the function allows, and not
what the kernel around it does.

There may be assignments, branches, loops over ranges and `while`; arrays are read, written and cut, and their memory is
not counted.  A branch that the types decide is written on one side only.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import linecache
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from llvmlite import ir
from llvmlite.ir.instructions import FastMathFlags
from numba.core import typing
from numba.core.itanium_mangler import mangle
from numba.extending import intrinsic

from ._values import ASIDE
from ._writer import Writer

WIDE = '"prefer-vector-width"="512"'  # loops use the widest vectors: LLVM is shy of these, which slowed down older processors
VECTOR = ".vector"  # how the name of a function of vectors ends that loops call once they are of vectors
ROUNDED = {"fadd", "fsub", "fmul", "fdiv", "frem", "fcmp"}


class Settled(FastMathFlags):
    """How a call may be rounded, whatever is added for the kernel around it."""

    def __init__(self, flags: Iterable[str]):
        set.__init__(self, flags)

    def add(self, name: str) -> None:
        pass


class Fixed(list):
    """How an operation may be rounded, likewise."""

    def append(self, flag: str) -> None:
        pass


@functools.cache
def read(text: str, file: str, flags: int) -> dict[tuple, tuple[ast.FunctionDef, CodeType]]:
    """The functions in a text, by name and first line, as trees and as what Python makes of them."""
    try:
        tree = ast.parse(text)
        codes = [*inside(compile(tree, file, "exec", flags, dont_inherit=True))]
    except SyntaxError:
        return {}
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    trees = {(n.name, min([n.lineno, *(d.lineno for d in n.decorator_list)])): n for n in found}
    return {key: (trees[key], c) for c in codes if (key := (c.co_name, c.co_firstlineno)) in trees}


def inside(code: CodeType) -> Iterator[CodeType]:
    """All code in some."""
    for c in code.co_consts:
        if isinstance(c, CodeType):
            yield c
            yield from inside(c)


def texts(code: CodeType) -> Iterator[str]:
    """Where the text of a function may be read: its own lines, where they stand in the file, and the whole file."""
    lines, first = linecache.getlines(code.co_filename), code.co_firstlineno
    last = max(line for c in (code, *inside(code)) for _, line, *_ in c.co_positions() if line)
    if 3 < first <= len(lines):
        closed, indented = ", ".join(code.co_freevars), lines[first - 1][0].isspace()
        imports = "import np" if "np" in code.co_names else ""  # Python calls what is imported in another way
        above = f"def around({closed}):" if closed else "if True:" if indented else ""
        yield "\n".join(["\n" * (first - 4), imports, above, "".join(lines[first - 1 : last])])
    yield "".join(lines)


def body(code: CodeType) -> list[ast.stmt] | None:
    """The statements of a function; None if its text is not there, or is not what runs, having changed since."""
    flags = code.co_flags & annotations.compiler_flag
    for text in texts(code):
        node, found = read(text, code.co_filename, flags).get((code.co_name, code.co_firstlineno), (None, None))
        if found == code:
            return node.body
    return None


def written(fn: FunctionType, flags: Iterable[str], compiled: Callable[[], Any], inlined: bool = False) -> Any:
    """What kernels call as they would call the function, which names other such functions in place of Python's.

    It is written where it is called if it is to be `inlined`, else once beside the kernel, and LLVM decides.  `compiled`
    gives what to call if the text of the function is not to be had.
    """
    code, flags = fn.__code__, tuple(flags)
    names = code.co_varnames[: code.co_argcount]
    closed = {n: cell.cell_contents for n, cell in zip(code.co_freevars, fn.__closure__ or ())}
    scope = {**vars(builtins), **fn.__globals__, **closed}
    signatures: dict[tuple, typing.Signature] = {}

    @functools.cache
    def text() -> list[ast.stmt] | Any:
        return body(code) or compiled()

    def called(writer, args):
        found = text()
        return writer.function(found, dict(zip(names, args))) if isinstance(found, list) else writer.call(found, args)

    def aside(context, builder, sig, args):
        name = f"{mangle(fn.__qualname__, sig.args)}{ASIDE}"
        if (function := builder.module.globals.get(name)) is None:
            kind = ir.FunctionType(context.get_value_type(sig.return_type), [a.type for a in args])
            function = ir.Function(builder.module, kind, name)
            function.linkage = "internal"
            set.add(function.attributes, WIDE)
            inner = ir.IRBuilder(function.append_basic_block("entry"))
            inner.ret(here(context, inner, sig, function.args))
        return builder.call(function, args)

    def here(context, builder, sig, args):
        marks = [(b, b.instructions[-1] if b.instructions else None) for b in builder.function.blocks]
        writer = Writer(scope, context.typing_context, context, builder)
        result = called(writer, [writer.lent(writer.given(kind, held)) for kind, held in zip(sig.args, args)])
        settle(builder.function, marks, flags)
        return writer.cast(result, sig.return_type)

    def typed(typingctx, *args):
        if args not in signatures:
            writer = Writer(scope, typingctx)
            result = called(writer, [writer.given(kind, None) for kind in args])
            signatures[args] = writer.value(result).kind(*args)
        return signatures[args], here if inlined else aside

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in ("typingctx", *names)]
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed.__name__ = typed.__qualname__ = fn.__name__
    return intrinsic(typed)


def settle(function: ir.Function, marks: list[tuple], flags: tuple[str, ...]) -> None:
    """Say of all that was written since `marks`, the last instructions of blocks, how it may be rounded."""
    last = dict(marks)
    for block in function.blocks:
        mark = last.get(block)
        start = 1 + next((k for k, i in enumerate(block.instructions) if i is mark), -1)
        for i in block.instructions[start:]:
            if i.opname in ROUNDED and not isinstance(i.flags, Fixed):
                i.flags = Fixed(i.flags or flags)
            elif isinstance(i, ir.CallInstr) and not isinstance(i.fastmath, Settled):
                i.fastmath = Settled(flags if i.type in (ir.FloatType(), ir.DoubleType()) else ())


def shell(fn: FunctionType, name: str, body: Any) -> FunctionType:
    """A function that does no more than call what is written."""
    given = ", ".join(fn.__code__.co_varnames[: fn.__code__.co_argcount])
    scope = {"body": body, "__name__": fn.__module__}
    exec(compile(f"def {fn.__name__}({given}):\n    return body({given})\n", f"<shell of {name}>", "exec"), scope)
    made = scope[fn.__name__]
    made.__qualname__ = name
    return made
