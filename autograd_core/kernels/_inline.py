"""Functions of numbers, written as LLVM code into the kernels that call them, with no compiler in between.

Numba makes a module of every function: it is typed, optimized, linked into whoever calls it, and optimized there again.
A logarithm, of eight small functions, takes a quarter of a second that way.  Here the text of such a function is read,
and each call is written where it stands, operation by operation, as Numba writes them.  What may be rounded otherwise is
said with each operation, so that it is what the function allows, and not what the kernel around it does.

There may be assignments, branches and returns, but no loops and no slices.  A branch that the types decide is written on
one side only.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import linecache
import operator
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from llvmlite import ir
from llvmlite.ir.instructions import FastMathFlags
from numba import types
from numba.core import cgutils, typing
from numba.extending import _Intrinsic, intrinsic

OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.USub: operator.neg, ast.Not: operator.not_, ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
ROUNDED = {"fadd", "fsub", "fmul", "fdiv", "frem", "fcmp"}


class Value(NamedTuple):
    """A value when the kernel runs: its type, and what holds it; None while only types are asked for."""

    kind: types.Type
    held: Any


class Settled(FastMathFlags):
    """How a call may be rounded, whatever is added for the kernel around it."""

    def __init__(self, flags: Iterable[str]):
        set.__init__(self, flags)

    def add(self, name: str) -> None:
        pass


@functools.cache
def read(file: str) -> dict[tuple, ast.FunctionDef]:
    """The functions in a file, by name and first line."""
    try:
        found = [n for n in ast.walk(ast.parse("".join(linecache.getlines(file)))) if isinstance(n, ast.FunctionDef)]
    except SyntaxError:
        return {}
    return {(n.name, min([n.lineno, *(d.lineno for d in n.decorator_list)])): n for n in found}


def body(code: CodeType) -> list[ast.stmt] | None:
    """The statements of a function; None if its text is not there, or is not what runs, having changed since."""
    node = read(code.co_filename).get((code.co_name, code.co_firstlineno))
    if node is None:
        return None
    found = compile(ast.Module([node], []), code.co_filename, "exec", dont_inherit=True)
    same = lambda c: isinstance(c, CodeType) and (c.co_code, c.co_names) == (code.co_code, code.co_names)
    same_numbers = lambda c: repr(c.co_consts) == repr(code.co_consts)  # 0 is not 0.0
    return node.body if any(same(c) and same_numbers(c) for c in found.co_consts) else None


def written(fn: FunctionType, flags: Iterable[str], compiled: Callable[[], Any]) -> Any:
    """What kernels call as they would call the function, which names other such functions in place of Python's.

    `compiled` gives what to call if the text of the function is not to be had.
    """
    code, flags = fn.__code__, tuple(flags)
    names = code.co_varnames[: code.co_argcount]
    scope = {**vars(builtins), **fn.__globals__}
    signatures: dict[tuple, typing.Signature] = {}

    @functools.cache
    def text() -> list[ast.stmt] | Any:
        return body(code) or compiled()

    def called(writer, args):
        found = text()
        return writer.function(found, dict(zip(names, args))) if isinstance(found, list) else writer.call(found, args)

    def generate(context, builder, sig, args):
        marks = [(b, b.instructions[-1] if b.instructions else None) for b in builder.function.blocks]
        writer = Writer(scope, context.typing_context, context, builder)
        result = called(writer, [*map(writer.given, sig.args, args)])
        settle(builder.function, marks, flags)
        return writer.cast(result, sig.return_type)

    def typed(typingctx, *args):
        if args not in signatures:
            writer = Writer(scope, typingctx)
            result = called(writer, [writer.given(kind, None) for kind in args])
            signatures[args] = writer.value(result).kind(*args)
        return signatures[args], generate

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
            if i.opname in ROUNDED and not i.flags:
                i.flags.extend(flags)
            elif isinstance(i, ir.CallInstr) and not isinstance(i.fastmath, Settled):
                i.fastmath = Settled(flags if i.type in (ir.FloatType(), ir.DoubleType()) else ())


class Writer:
    """Writes a function where a builder stands; without one, only finds out of what type all is."""

    def __init__(self, scope: dict, typingctx: Any, context: Any = None, builder: Any = None):
        self.scope, self.typing, self.context, self.builder = scope, typingctx, context, builder
        self.returns: list[tuple] = []  # what is returned, and in which block

    # --- values ---

    def given(self, kind: types.Type, held: Any) -> Any:
        """A value, or a tuple of values."""
        if not isinstance(kind, types.BaseTuple):
            return Value(kind, held)
        parts = cgutils.unpack_tuple(self.builder, held, len(kind)) if self.builder else [None] * len(kind)
        return tuple(map(self.given, kind, parts))

    def value(self, v: Any) -> Value:
        """A tuple of values, or what is there before the kernel runs, as one value."""
        if isinstance(v, Value):
            return v
        if isinstance(v, tuple):
            parts = [*map(self.value, v)]
            kind = types.BaseTuple.from_types([p.kind for p in parts])
            made = self.context.make_tuple(self.builder, kind, [p.held for p in parts]) if self.builder else None
            return Value(kind, made)
        kind = self.typing.resolve_value_type(v)
        return Value(kind, self.context.get_constant_generic(self.builder, kind, v) if self.builder else None)

    def cast(self, v: Any, kind: types.Type) -> Any:
        """What holds a value, as one of a type."""
        v = self.value(v)
        return self.context.cast(self.builder, v.held, v.kind, kind) if self.builder else None

    def call(self, f: Any, args: list) -> Any:
        """What a function gives."""
        if not any(isinstance(a, (Value, tuple)) for a in args):
            return f(*args)
        args = [*map(self.value, args)]
        kinds = tuple(a.kind for a in args)
        if isinstance(f, _Intrinsic):
            sig, generate = f._defn(self.typing, *kinds)
            make = functools.partial(generate, self.context, self.builder, sig)
        else:
            known = self.typing.resolve_value_type(f)
            sig = self.typing.resolve_function_type(known, kinds, {})
            make = lambda values: self.context.get_function(known, sig)(self.builder, values)
        held = make([*map(self.cast, args, sig.args)]) if self.builder else None
        return self.given(sig.return_type, held)

    def expression(self, node: ast.expr, names: dict) -> Any:
        """The value of an expression: one of the kernel's, a tuple, or what Python has for it already."""
        value = lambda node: self.expression(node, names)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return names[node.id] if node.id in names else self.scope[node.id]
            case ast.Attribute():
                return getattr(value(node.value), node.attr)
            case ast.Tuple():
                return tuple(map(value, node.elts))
            case ast.BinOp():
                return self.call(OPERATORS[type(node.op)], [value(node.left), value(node.right)])
            case ast.UnaryOp():
                return self.call(OPERATORS[type(node.op)], [value(node.operand)])
            case ast.Compare(ops=[op], comparators=[right]):
                return self.call(OPERATORS[type(op)], [value(node.left), value(right)])
            case ast.BoolOp(values=[left, *rest]):
                found = value(left)
                for right in rest:
                    ways = [lambda right=right: value(right), lambda found=found: found]
                    found = self.either(found, *(ways if isinstance(node.op, ast.And) else ways[::-1]))
                return found
            case ast.IfExp():
                return self.either(value(node.test), lambda: value(node.body), lambda: value(node.orelse))
            case ast.Subscript():
                return self.call(operator.getitem, [value(node.value), value(node.slice)])
            case ast.Call(keywords=[]):
                return self.call(value(node.func), [*map(value, node.args)])
        raise NotImplementedError(f"a function of numbers with {ast.unparse(node)}: declare it with `kernel` instead")

    # --- statements ---

    def function(self, body: list[ast.stmt], names: dict) -> Any:
        """What a function returns."""
        if self.run(body, names):
            raise NotImplementedError("a function of numbers that returns nothing")
        if len(self.returns) == 1:
            ((result, block),) = self.returns
            if self.builder:
                self.builder.position_at_end(block)
            return result
        return self.joined(self.returns, self.added("returned"))

    def run(self, body: list[ast.stmt], names: dict) -> bool:
        """Do statements; whether it goes on after them."""
        for node in body:
            match node:
                case ast.Return(value=ast.expr() as value):
                    self.returns.append((self.expression(value, names), self.builder and self.builder.block))
                    return False
                case ast.Assign(targets=[target]):
                    self.assign(target, self.expression(node.value, names), names)
                case ast.AugAssign(target=ast.Name() as target):
                    value = ast.BinOp(ast.Name(target.id), node.op, node.value)
                    names[target.id] = self.expression(value, names)
                case ast.If():
                    if not self.branch(node, names):
                        return False
                case ast.Expr(value=ast.Constant()):
                    pass
                case _:
                    text = ast.unparse(node)
                    raise NotImplementedError(f"a function of numbers with {text}: declare it with `kernel` instead")
        return True

    def assign(self, target: ast.expr, value: Any, names: dict) -> None:
        """Give names to values."""
        if isinstance(target, ast.Tuple):
            for one, v in zip(target.elts, value, strict=True):
                self.assign(one, v, names)
        else:
            names[target.id] = value  # type: ignore[attr-defined]

    # --- branches ---

    def added(self, name: str) -> Any:
        """A new block."""
        return self.builder and self.builder.append_basic_block(name)

    def test(self, condition: Any) -> Any:
        """A condition as a truth value: Python's if it is known, None while only types are asked for."""
        if not isinstance(condition, Value):
            return bool(condition)
        if not self.builder:
            return None
        truth = self.context.is_true(self.builder, condition.kind, condition.held)
        return bool(truth.constant) if isinstance(truth, ir.Constant) else truth

    def parted(self, test: Any, ways: list[Callable]) -> list[tuple]:
        """What each of two ways gives, and the block in which it ends."""
        blocks = [self.added("yes"), self.added("no")]
        if self.builder:
            self.builder.cbranch(test, *blocks)
        found = []
        for block, way in zip(blocks, ways):
            if self.builder:
                self.builder.position_at_end(block)
            found.append((way(), self.builder and self.builder.block))
        return found

    def either(self, condition: Any, one: Callable, other: Callable) -> Any:
        """What one of two ways gives."""
        test = self.test(condition)
        if isinstance(test, bool):
            return (one if test else other)()
        return self.joined(self.parted(test, [one, other]), self.added("either"))

    def branch(self, node: ast.If, names: dict) -> bool:
        """Do one of two lists of statements; whether it goes on after them."""
        test = self.test(self.expression(node.test, names))
        if isinstance(test, bool):
            return self.run(node.body if test else node.orelse, names)
        sides = [dict(names), dict(names)]
        ways = [functools.partial(self.run, *side) for side in zip((node.body, node.orelse), sides)]
        parted = self.parted(test, ways)
        left = [(side, block) for side, (goes_on, block) in zip(sides, parted) if goes_on]
        if not left:
            return False
        if len(left) == 1:
            ((side, block),) = left
            if self.builder:
                self.builder.position_at_end(block)
            names.update(side)
            return True
        both = [n for n in sides[0] if n in sides[1]]
        joined = self.joined([(tuple(side[n] for n in both), block) for side, block in left], self.added("joined"))
        names.clear()
        names.update(zip(both, joined))
        return True

    def joined(self, found: list[tuple], after: Any) -> Any:
        """What comes out of several blocks, each with values of its own, after which all go on in one."""
        joined = self.merged([value for value, _ in found], [block for _, block in found], after)
        if self.builder:
            for _, block in found:
                self.builder.position_at_end(block)
                self.builder.branch(after)
            self.builder.position_at_end(after)
        return joined

    def merged(self, values: list, blocks: list, after: Any) -> Any:
        """One of some values, or tuples of them: that of the block which was run."""
        if all(v is values[0] for v in values):
            return values[0]
        if all(isinstance(v, tuple) and not isinstance(v, Value) for v in values):
            return tuple(self.merged([*each], blocks, after) for each in zip(*values, strict=True))
        found = []
        for v, block in zip(values, blocks):
            if self.builder:
                self.builder.position_at_end(block)
            found.append(self.value(v))
        kind = self.typing.unify_types(*(v.kind for v in found))
        if not self.builder:
            return Value(kind, None)
        held = []
        for v, block in zip(found, blocks):
            self.builder.position_at_end(block)
            held.append((self.cast(v, kind), block))
        self.builder.position_at_end(after)
        phi = self.builder.phi(held[0][0].type)
        for h, block in held:
            phi.add_incoming(h, block)
        return Value(kind, phi)
