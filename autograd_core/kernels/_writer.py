"""How a function is written as LLVM code: expression by expression and statement by statement, from its tree.

What an operation is, and of what type its result, is asked of Numba.  Each function is gone through twice: first only to
find out of what types its values are, then for good.  Names stand for values, as in Python; only what a loop goes on with
has a place in memory, which LLVM puts into registers.  Imports Numba, for kernels only.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ._arrays import Arrays
from ._values import Value

OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.USub: operator.neg, ast.Not: operator.not_, ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.BitXor: operator.xor, ast.Invert: operator.invert,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


def reads(name: ast.Name) -> bool:
    """Whether a name is not one that is given."""
    return isinstance(name.ctx, ast.Load)


@functools.cache
def changed(node: ast.For | ast.While) -> set[str]:
    """The names that are given in a loop."""
    return {n.id for part in node.body for n in ast.walk(part) if isinstance(n, ast.Name) and not reads(n)}


def describe(again: ir.Branch, in_pairs: bool) -> None:
    """Tell LLVM of the loop that an instruction closes, if it is to work on two vectors at a time, and of what to leave as it is.

    Where arrays may overlap, LLVM would write the turns that are left after whole vectors eight times over: a third of the
    code, which takes longest to compile.  What names a loop is a list that begins with itself, so that no two are alike.
    """
    module, number = again.parent.module, ir.IntType(32)
    said = lambda name, *more: module.add_metadata([ir.MetaDataString(module, f"llvm.loop.{name}"), *more])
    left = said("vectorize.followup_epilogue", said("isvectorized", number(1)), said("unroll.runtime.disable"))
    wishes = [left, said("interleave.count", number(2))] if in_pairs else [left]
    name = module.add_metadata([number(len(module.metadata)), *wishes])
    name.operands = (name, *wishes)
    again.set_metadata("llvm.loop", name)


class Loop:
    """A loop that is being written: where the names are that it goes on with, and where it goes on."""

    def __init__(self, kinds: dict[str, types.Type]):
        self.kinds, self.slots, self.next, self.after = kinds, {}, None, None  # type: ignore[var-annotated]

    def keep(self, writer: Writer, names: dict) -> None:
        """Put values into their places, or find out what types these must be of."""
        for n, kind in self.kinds.items():
            if writer.builder:
                writer.builder.store(writer.cast(names[n], kind), self.slots[n])
            else:
                self.kinds[n] = writer.typing.unify_types(kind, writer.value(names[n]).kind)

    def load(self, writer: Writer, names: dict) -> None:
        """Take values from their places."""
        for n, kind in self.kinds.items():
            names[n] = writer.given(kind, writer.builder.load(self.slots[n]))

    def leave(self, writer: Writer, names: dict, for_good: bool) -> None:
        """Go round again, or on behind the loop."""
        self.keep(writer, names)
        if writer.builder:
            writer.builder.branch(self.after if for_good else self.next)


class Writer(Arrays):
    """Writes a function where a builder stands; without one, only finds out of what type all is."""

    def __init__(self, *given: Any, known: dict | None = None):
        super().__init__(*given)
        self.known: dict[ast.stmt, dict] = {} if known is None else known  # of what type loops go on with names
        self.returns: list[tuple] = []  # what is returned, and in which block

    def expression(self, node: ast.expr, names: dict) -> Any:
        """The value of an expression: one of the kernel's, a tuple, or what Python has for it already."""
        value = lambda node: self.expression(node, names)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return names[node.id] if node.id in names else self.scope[node.id]
            case ast.Attribute(attr="data", value=ast.Attribute(attr="ctypes", value=array)) if self.builder:
                return self.address(value(array))
            case ast.Attribute():
                return self.attribute(value(node.value), node.attr)
            case ast.Tuple():
                return tuple(map(value, node.elts))
            case ast.BinOp():
                return self.call(OPERATORS[type(node.op)], [value(node.left), value(node.right)])
            case ast.UnaryOp():
                return self.call(OPERATORS[type(node.op)], [value(node.operand)])
            case ast.Compare():
                return self.compared(value(node.left), [*zip(node.ops, node.comparators)], names)
            case ast.BoolOp(values=[left, *rest]):
                found = value(left)
                for right in rest:
                    ways = [lambda right=right: value(right), lambda found=found: found]
                    found = self.either(found, *(ways if isinstance(node.op, ast.And) else ways[::-1]))
                return found
            case ast.IfExp():
                return self.either(value(node.test), lambda: value(node.body), lambda: value(node.orelse))
            case ast.Slice(step=None):
                return self.call(
                    slice, [self.value(node.lower and value(node.lower)), node.upper and value(node.upper)]
                )
            case ast.Subscript(slice=ast.Slice(lower=lower, upper=upper, step=None)):
                return self.cut(value(node.value), lower and value(lower), upper and value(upper))
            case ast.Subscript():
                return self.item(value(node.value), value(node.slice))
            case ast.Call(func=ast.Attribute(attr="reshape", value=array), keywords=[]):
                return self.reshaped(value(array), [*map(value, node.args)])
            case ast.Call(keywords=[]):
                return self.call(value(node.func), [*map(value, node.args)])
        raise NotImplementedError(
            f"{ast.unparse(node)} cannot be written as LLVM code: declare the kernel without `written`"
        )

    def compared(self, left: Any, rest: list, names: dict) -> Any:
        """left < a < ..., of which each is only worked out if all before it holds."""
        (op, node), *more = rest
        right = self.expression(node, names)
        found = self.call(OPERATORS[type(op)], [left, right])
        return self.either(found, lambda: self.compared(right, more, names), lambda: found) if more else found

    # --- statements ---

    def function(self, body: list[ast.stmt], names: dict) -> Any:
        """What a function returns."""
        if self.run(body, names):
            self.returns.append((None, self.builder and self.builder.block))
        if len(self.returns) == 1:
            ((result, block),) = self.returns
            if self.builder:
                self.builder.position_at_end(block)
        else:
            result = self.joined(self.returns, self.added("returned"))
        for slot in self.rooms:
            self.outside("PyMem_RawFree", ir.VoidType(), self.builder.load(slot))
        return result

    def run(self, body: list[ast.stmt], names: dict) -> bool:
        """Do statements; whether it goes on after them."""
        for node in body:
            match node:
                case ast.Return():
                    result = node.value and self.expression(node.value, names)
                    self.returns.append((result, self.builder and self.builder.block))
                    return False
                case ast.Assign(targets=[target]):
                    self.assign(target, self.expression(node.value, names), names)
                case ast.AugAssign(target=target):
                    self.assign(target, self.expression(ast.BinOp(target, node.op, node.value), names), names)
                case ast.If():
                    if not self.branch(node, names):
                        return False
                case (
                    ast.For(target=ast.Name(), iter=ast.Call(func=ast.Name("range" | "paired")), orelse=[])
                    | ast.While(orelse=[])
                ):
                    self.loop(node, names)
                case ast.Continue() | ast.Break():
                    self.loops[-1].leave(self, names, isinstance(node, ast.Break))
                    return False
                case ast.Expr(value=ast.Constant()):
                    pass
                case ast.Expr():
                    self.expression(node.value, names)
                case _:
                    text = ast.unparse(node)
                    raise NotImplementedError(
                        f"{text} cannot be written as LLVM code: declare the kernel without `written`"
                    )
        return True

    def assign(self, target: ast.expr, value: Any, names: dict) -> None:
        """Give names to values."""
        if isinstance(target, ast.Tuple):
            for one, v in zip(target.elts, value, strict=True):
                self.assign(one, v, names)
        elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
            self.fill(self.expression(target, names), value)
        elif isinstance(target, ast.Subscript):
            at = self.expression(target.slice, names)
            self.put(self.expression(target.value, names), at, value)
        else:
            names[target.id] = value  # type: ignore[attr-defined]

    # --- loops ---

    def loop(self, node: Any, names: dict) -> None:
        """Do statements over and over."""
        counted = isinstance(node, ast.For)
        given = [self.expression(a, names) for a in node.iter.args] if counted else []
        back = (
            len(given) == 3 and isinstance(given[2], int) and given[2] < 0
        )  # a step that is not written down is positive
        bounds = [*map(self.value, given)]
        kind = types.uint64 if any(b.kind == types.uint64 for b in bounds) else types.intp
        kept = [n for n in names if n in changed(node) and n != getattr(node.target if counted else None, "id", None)]
        loop = Loop(self.kinds(node, names, kept, kind))
        if not self.builder:
            names.update({n: Value(k, None) for n, k in loop.kinds.items()})
            return
        builder = self.builder
        for n, k in loop.kinds.items():
            loop.slots[n] = cgutils.alloca_once(builder, self.context.get_value_type(k), name=n)
        loop.keep(self, names)
        if counted:
            one, zero = self.context.get_constant(kind, 1), self.context.get_constant(kind, 0)
            given = [self.cast(b, kind) for b in bounds]
            start, stop, step = (*([zero] if len(given) == 1 else []), *given, *([one] if len(given) < 3 else []))
        before, head, body = builder.block, self.added("head"), self.added("body")
        loop.next, loop.after = self.added("next"), self.added("after")
        builder.branch(head)
        builder.position_at_end(head)
        if counted:
            i = builder.phi(start.type)
            i.add_incoming(start, before)
            compare = builder.icmp_unsigned if kind == types.uint64 else builder.icmp_signed
            test = compare(">" if back else "<", i, stop)
        else:
            loop.load(self, names)
            test = self.test(self.expression(node.test, names))
            test = ir.Constant(ir.IntType(1), test) if isinstance(test, bool) else test
        builder.cbranch(test, body, loop.after)
        builder.position_at_end(body)
        own = dict(names)
        loop.load(self, own)
        if counted:
            own[node.target.id] = Value(kind, i)
        self.loops.append(loop)
        if self.run(node.body, own):
            loop.leave(self, own, False)
        self.loops.pop()
        builder.position_at_end(loop.next)
        if counted:
            i.add_incoming(builder.add(i, step, flags=() if kind == types.uint64 else ("nsw",)), loop.next)
        describe(builder.branch(head), counted and node.iter.func.id == "paired")
        builder.position_at_end(loop.after)
        loop.load(self, names)

    def kinds(self, node: Any, names: dict, kept: list[str], kind: types.Type) -> dict[str, types.Type]:
        """Of what type the names are that a loop goes on with: found by going round until nothing changes.

        Of a loop in another, that was found when going round that one.
        """
        if self.builder and self.loops:
            return dict(self.known[node])
        found = {n: self.value(names[n]).kind for n in kept}
        while True:
            writer, own = (
                Writer(self.scope, self.typing, known=self.known),
                {n: self.typed(v) for n, v in names.items()},
            )
            own |= {n: Value(k, None) for n, k in found.items()}
            if isinstance(node, ast.For):
                own[node.target.id] = Value(kind, None)
            loop = Loop(dict(found))
            writer.loops.append(loop)
            if writer.run(node.body, own):
                loop.leave(writer, own, False)
            if not self.builder:
                self.returns += writer.returns
            if loop.kinds == found:
                self.known[node] = dict(found)
                return found
            found = loop.kinds

    def typed(self, v: Any) -> Any:
        """Of what type a value is."""
        if isinstance(v, Value):
            return Value(v.kind, None)
        return tuple(map(self.typed, v)) if isinstance(v, tuple) else v

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
